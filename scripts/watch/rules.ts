// The rules of the watch: what is wrong, by how much, and which page says what to do about it. Pure.
import { BPS, formatAmount, formatBps, formatPercent, WAD } from "@breakwater/sdk/core";
import { formatDuration, formatTime } from "@breakwater/sdk/desk";
import { z } from "zod";

import { type Look, type MarketLook, type Recent, SLACK_BITS } from "./chain.ts";

export type Severity = "page" | "warning";

export interface Finding {
  rule: RuleName;
  market?: string;
  /** The same while the same thing is wrong. */
  key: string;
  severity: Severity;
  words: string;
  /** In docs/runbooks. */
  runbook: string;
}

/** What a look is compared with. */
export interface Before {
  /** The last look, if it was at an earlier block of the same branch. */
  look?: Look;
  /** Since which block liquidatable debt stands, by market. */
  standing: ReadonlyMap<string, number>;
}

interface Found {
  /** Tells two findings of one rule and market apart. */
  about?: string;
  words: string;
}

interface Rule<T> {
  runbook: string;
  severity: Severity;
  threshold: z.ZodType<T>;
  find: (
    look: Look,
    threshold: (market?: string) => T | undefined,
    before: Before,
  ) => (Found & { market?: string })[];
}

// ------------------------------------------------------------------ thresholds

const percent = (fallback: number) => z.number().min(0).max(100).default(fallback);
const blocks = (fallback: number) => z.int().min(1).max(100_000).default(fallback);
const seconds = (fallback: number) => z.int().min(1).max(31_536_000).default(fallback);
const none = z.strictObject({});
const recently = z.strictObject({ blocks: blocks(300) });

function share(value: bigint, percentage: number): bigint {
  return (value * BigInt(Math.round(percentage * 10_000))) / 1_000_000n;
}

function amountOf({ decimals, symbols }: MarketLook, value: bigint): string {
  return `${formatAmount(value, decimals.debt, 2)} ${symbols.debt}`;
}

function shareOf(part: bigint, whole: bigint): string {
  return whole === 0n ? "all" : formatPercent((part * WAD) / whole);
}

// ------------------------------------------------------------------ kinds of rules

type About<T> = Omit<Rule<T>, "find">;

/** One that looks at every market alone. */
function ofMarket<T>(
  about: About<T>,
  find: (market: MarketLook, threshold: T, look: Look, before: Before) => (Found | string | undefined)[],
): Rule<T> {
  return {
    ...about,
    find: (look, threshold, before) =>
      look.markets.flatMap((market) => {
        const limits = threshold(market.id);
        if (limits === undefined) return [];
        return find(market, limits, look, before)
          .filter((found) => found !== undefined)
          .map((found) => ({
            market: market.id,
            ...(typeof found === "string" ? { words: found } : found),
          }));
      }),
  };
}

/** One for which something happened within the latest blocks. */
function ofLately(
  rule: Recent["rule"],
  about: Omit<About<{ blocks: number }>, "threshold">,
): Rule<{ blocks: number }> {
  return {
    ...about,
    threshold: recently,
    find: ({ recent, block, markets }, threshold) =>
      recent.flatMap((each) => {
        const limit = threshold(each.market);
        if (each.rule !== rule || !limit || each.block <= block - limit.blocks) return [];
        const market = markets.find(({ id }) => id === each.market);
        const lost = market && each.amount !== undefined ? ` of ${amountOf(market, each.amount)}` : "";
        return [
          {
            ...(each.market !== undefined && { market: each.market }),
            about: `${each.block} ${each.words}`,
            words: `${each.words}${lost}, in block ${each.block}`,
          },
        ];
      }),
  };
}

const rule = <T>(each: Rule<T>): Rule<T> => each;

// ------------------------------------------------------------------ the rules

export const RULES = {
  // ---- wrong-price
  diverged: ofMarket(
    { runbook: "wrong-price", severity: "page", threshold: none },
    ({ priceState, oracle }) => [
      priceState === "Diverged"
        ? `the sources are more than ${formatBps(oracle.band)} apart: no new risk, liquidation only where both agree`
        : undefined,
    ],
  ),
  spread: ofMarket(
    {
      runbook: "wrong-price",
      severity: "warning",
      threshold: z.strictObject({ percentOfBand: percent(80) }),
    },
    ({ view, priceState, oracle: { band } }, { percentOfBand }) => {
      const { low, high } = view.price;
      if (priceState !== "Fresh") return [];
      const apart = ((high - low) * BPS) / low;
      return [
        apart > share(band, percentOfBand)
          ? `the sources are ${formatBps(apart)} apart, of ${formatBps(band)} that count as agreement`
          : undefined,
      ];
    },
  ),
  veto: ofMarket(
    { runbook: "wrong-price", severity: "page", threshold: z.strictObject({ percentLeft: percent(50) }) },
    ({ oracle: { veto } }, { percentLeft }) => [
      veto && veto.left < share(veto.full, percentLeft)
        ? `diverged sources may hold liquidations back for ${formatDuration(veto.left)} more, of ${formatDuration(veto.full)}; then the primary rules`
        : undefined,
    ],
  ),

  // ---- stuck-feed
  "feed-lost": ofMarket({ runbook: "stuck-feed", severity: "page", threshold: none }, ({ priceState }) => [
    priceState === "Dead"
      ? "there is no price: nothing is liquidated and nothing borrowed"
      : priceState === "Single"
        ? "one source alone is left: no new risk, liquidation near the last price of both only"
        : undefined,
  ]),
  "feed-age": ofMarket(
    {
      runbook: "stuck-feed",
      severity: "warning",
      threshold: z.strictObject({ percentOfMaxAge: percent(90) }),
    },
    ({ oracle: { feeds } }, { percentOfMaxAge }) =>
      feeds.map(({ name, age, maxAge }) => {
        if (age === undefined) return { about: name, words: `the ${name} does not answer` };
        if (age <= share(maxAge, percentOfMaxAge)) return undefined;
        const words = `the ${name}'s answer is ${formatDuration(age)} old; it counts for ${formatDuration(maxAge)}`;
        return { about: name, words };
      }),
  ),

  // ---- keeper-outage
  "keeper-silent": ofMarket(
    {
      runbook: "keeper-outage",
      severity: "page",
      threshold: z.strictObject({ blocks: blocks(10), percentOfDebt: percent(0.1) }),
    },
    (market, limits, { block }, { standing }) => {
      const since = Math.max(standing.get(market.id) ?? block, market.lastLiquidation ?? 0);
      if (!isStanding(market, limits.percentOfDebt) || block - since < limits.blocks) return [];
      return [
        `${amountOf(market, market.debt.liquidatable)} of debt are liquidatable, and nobody has liquidated anything ` +
          `for ${block - since} blocks`,
      ];
    },
  ),
  "keeper-behind": ofMarket(
    {
      runbook: "keeper-outage",
      severity: "warning",
      threshold: z.strictObject({ blocks: blocks(50), percentOfDebt: percent(0.1) }),
    },
    (market, limits, { block }, { standing }) => {
      const since = standing.get(market.id) ?? block;
      if (!isStanding(market, limits.percentOfDebt) || block - since < limits.blocks) return [];
      return [
        `some debt has been liquidatable for ${block - since} blocks, ${amountOf(market, market.debt.liquidatable)} now`,
      ];
    },
  ),

  // ---- insolvency
  loss: ofLately("loss", { runbook: "insolvency", severity: "page" }),
  shortfall: ofMarket(
    { runbook: "insolvency", severity: "page", threshold: z.strictObject({ percentOfDebt: percent(0) }) },
    (market, { percentOfDebt }) => {
      const { shortfall } = market.debt;
      const { insurance, reserves, totalDebt } = market.view;
      if (shortfall <= share(totalDebt, percentOfDebt)) return [];
      return [
        `${amountOf(market, shortfall)} of debt have no collateral behind them, even at the higher price; ` +
          `insurance ${amountOf(market, insurance)}, reserves ${amountOf(market, reserves)}`,
      ];
    },
  ),
  pot: ofMarket(
    { runbook: "insolvency", severity: "page", threshold: z.strictObject({ seconds: seconds(1_800) }) },
    (market, limits, { time }) => {
      const age = time - market.pot.seizedAt;
      if (market.view.potDebt === 0n || age < BigInt(limits.seconds)) return [];
      return [
        `seized collateral for ${amountOf(market, market.view.potDebt)} is unsold after ${formatDuration(age)}`,
      ];
    },
  ),
  insurance: ofMarket(
    {
      runbook: "insolvency",
      severity: "warning",
      // A new market has none; it fills from the reserves.
      threshold: z.strictObject({ percentOfDebt: percent(0) }),
    },
    (market, { percentOfDebt }) => {
      const { insurance, totalDebt } = market.view;
      if (insurance >= share(totalDebt, percentOfDebt)) return [];
      return [`insurance is ${amountOf(market, insurance)}, ${shareOf(insurance, totalDebt)} of the debt`];
    },
  ),

  // ---- bad-upgrade
  unreadable: rule({
    runbook: "bad-upgrade",
    severity: "page",
    threshold: none,
    find: ({ unreadable }, threshold) =>
      unreadable.flatMap(({ market, words }) =>
        threshold(market) ? [{ market, words: `nothing can be read of it: ${words}` }] : [],
      ),
  }),
  books: rule({
    runbook: "bad-upgrade",
    severity: "page",
    threshold: none,
    find: (look, threshold, before) => [
      ...look.missingInsurance.map(({ token, booked, held }) => ({
        about: token,
        words: `the insurance fund books ${booked} units of ${token} and holds ${held}`,
      })),
      ...look.markets.flatMap((market) => {
        if (!threshold(market.id)) return [];
        const earlier = before.look?.markets.find(({ id }) => id === market.id);
        const lost = look.recent.some(
          ({ rule: what, market: id, block }) =>
            what === "loss" && id === market.id && block > (before.look?.block ?? 0),
        );
        return brokenBooks(market, earlier, lost).map((words) => ({
          market: market.id,
          about: words.replace(/-?\d[\d,.]*/g, "#"),
          words,
        }));
      }),
    ],
  }),
  deaf: ofMarket(
    { runbook: "bad-upgrade", severity: "page", threshold: none },
    ({ brake, view }, _, { time }) => {
      const now = (until: bigint) => (until > time ? until : 0n);
      const { pausedUntil, graceUntil, noNewRiskUntil } = brake.told;
      const newRisk = noNewRiskUntil > graceUntil ? noNewRiskUntil : graceUntil;
      const differ = (
        [
          ["liquidations paused", pausedUntil, view.liquidationsPausedUntil],
          ["grace", graceUntil, view.graceUntil],
          ["no new risk", newRisk, view.noNewRiskUntil],
        ] as const
      ).filter(([, told, known]) => now(told) !== now(known));
      return differ.map(([name, told, known]) => ({
        about: name,
        words: `the market does not know what the brake told it: ${name} until ${formatTime(told)}, not ${formatTime(known)}`,
      }));
    },
  ),
  upgraded: ofLately("upgraded", { runbook: "bad-upgrade", severity: "warning" }),

  // ---- compromised-signer
  scheduled: rule({
    runbook: "compromised-signer",
    severity: "page",
    threshold: z.strictObject({ known: z.array(z.string().regex(/^0x[0-9a-f]{64}$/)).default([]) }),
    find: ({ scheduled }, threshold) => {
      const limits = threshold();
      return scheduled
        .filter(({ id }) => limits && !limits.known.includes(id))
        .map(({ id, executableAt, words }) => ({
          about: id,
          words: `scheduled, executable from ${formatTime(executableAt)} on: ${words} (operation ${id})`,
        }));
    },
  }),
  "safe-changed": ofLately("safe-changed", { runbook: "compromised-signer", severity: "page" }),

  // ---- lost-account
  recovery: ofLately("recovery", { runbook: "lost-account", severity: "warning" }),

  // ---- full-market
  utilization: ofMarket(
    { runbook: "full-market", severity: "warning", threshold: z.strictObject({ percent: percent(98) }) },
    (market, limits) => {
      const { utilization, cash } = market.view;
      if (utilization <= share(WAD, limits.percent)) return [];
      return [
        `${formatPercent(utilization)} of what was lent is in use; ${amountOf(market, cash)} can be withdrawn`,
      ];
    },
  ),
  caps: ofMarket(
    { runbook: "full-market", severity: "warning", threshold: z.strictObject({ percent: percent(90) }) },
    ({ view, held, decimals }, limits) => {
      // Caps are millionths of whole tokens.
      const part = (name: string, amount: bigint, places: number, cap: bigint) => {
        const used = amount * 10n ** 6n;
        const all = cap * 10n ** BigInt(places);
        if (used <= share(all, limits.percent)) return undefined;
        return { about: name, words: `${shareOf(used, all)} of the cap on ${name} are used` };
      };
      return [
        part("debt", view.totalDebt, decimals.debt, view.caps.debt),
        part("collateral", held.collateral, decimals.collateral, view.caps.collateral),
      ];
    },
  ),
  cascade: ofMarket(
    { runbook: "full-market", severity: "warning", threshold: z.strictObject({ percentLeft: percent(20) }) },
    ({ view }, { percentLeft }) => {
      // Millionths of a whole token against units of 18 decimals.
      const all = view.cascadeCap * 10n ** 12n;
      if (view.cascadeWindow === 0n || view.cascadeLeft >= share(all, percentLeft)) return [];
      return [
        `the cascade brake lets through ${shareOf(view.cascadeLeft, all)} of its cap; ` +
          `it refills in ${formatDuration(view.cascadeWindow)}`,
      ];
    },
  ),

  // ---- paused-market
  paused: ofMarket(
    { runbook: "paused-market", severity: "warning", threshold: none },
    ({ brake: { level, until, reason, reporter } }, _, { time }) => {
      if (level === "None") return [];
      const what = {
        NoNewRisk: "no new risk",
        Grace: "grace after a pause",
        LiquidationsPaused: "liquidations paused",
      };
      return [
        {
          about: level,
          words:
            `${what[level]} for ${formatDuration(until - time)} more, until ${formatTime(until)}; ` +
            `reason of the latest pause: ${reason}, by ${reporter}`,
        },
      ];
    },
  ),
  budget: ofMarket(
    {
      runbook: "paused-market",
      severity: "warning",
      threshold: z.strictObject({ percentLeft: percent(25) }),
    },
    ({ brake: { budgets } }, { percentLeft }) =>
      (["liquidations", "newRisk"] as const).map((kind) => {
        const { left, full } = budgets[kind];
        if (left >= share(full, percentLeft)) return undefined;
        const what = kind === "newRisk" ? "new risk" : kind;
        return {
          about: kind,
          words: `${formatDuration(left)} of ${formatDuration(full)} are left to pause ${what}`,
        };
      }),
  ),
};

export type RuleName = keyof typeof RULES | "blind";

/** That the watch itself sees nothing is no finding of a look: see `run.ts`. */
export const BLIND = {
  runbook: "keeper-outage",
  severity: "page",
  threshold: z.strictObject({ seconds: seconds(120) }),
} as const;

/** Whether debt that somebody could liquidate is worth waiting for. */
export function isStanding({ debt, view }: MarketLook, percentOfDebt = 0): boolean {
  return debt.canLiquidate && debt.liquidatable > share(view.totalDebt, percentOfDebt);
}

function brokenBooks(market: MarketLook, earlier: MarketLook | undefined, lost: boolean): string[] {
  const { view, held, debt, slack } = market;
  const broken = [];
  if (held.debt < view.cash) {
    broken.push(`it holds ${amountOf(market, held.debt)} and books cash of ${amountOf(market, view.cash)}`);
  }
  if (debt.ofTicks !== view.bookDebt) {
    broken.push(`its ticks owe ${debt.ofTicks} of book debt, its ledger says ${view.bookDebt}`);
  }
  if (slack && slack.value + slack.error < 0n) {
    broken.push(`it promises ${(-slack.value >> SLACK_BITS) + 1n} units of collateral more than it holds`);
  }
  const fell =
    slack && earlier?.slack && earlier.slack.value - earlier.slack.error - slack.value - slack.error;
  if (fell !== undefined && fell > 0n) {
    broken.push(`its slack fell by ${(fell >> SLACK_BITS) + 1n} units of collateral`);
  }
  // A pot is marked at the price, which may fall.
  const isPriced = view.potDebt > 0n || (earlier?.view.potDebt ?? 0n) > 0n;
  if (
    earlier &&
    !lost &&
    !isPriced &&
    view.sharePrice < earlier.view.sharePrice - share(earlier.view.sharePrice, 0.01)
  ) {
    broken.push(
      `its share price fell from ${earlier.view.sharePrice} to ${view.sharePrice}, and no loss was booked`,
    );
  }
  return broken;
}

/** `thresholds` gives a rule's for a market, or for the whole deployment; undefined: it is off. */
export function findings(
  look: Look,
  thresholds: (rule: RuleName, market?: string) => unknown,
  before: Before,
): Finding[] {
  return Object.entries(RULES).flatMap(([name, each]) => {
    const { runbook, severity, find } = each as Rule<unknown>;
    return find(look, (market) => thresholds(name as RuleName, market), before).map(
      ({ about, market, words }) => ({
        rule: name as RuleName,
        ...(market !== undefined && { market }),
        key: [name, market, about].filter((part) => part !== undefined).join(" "),
        severity,
        words: market === undefined ? words : `${market}: ${words}`,
        runbook,
      }),
    );
  });
}

/** Since which block debt stands that somebody could liquidate. */
export function standingSince(
  { block, markets }: Look,
  before: ReadonlyMap<string, number>,
): Map<string, number> {
  return new Map(
    markets.filter((market) => isStanding(market)).map(({ id }) => [id, before.get(id) ?? block]),
  );
}
