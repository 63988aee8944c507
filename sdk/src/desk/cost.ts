// What a decision costs: interest that goes on, debt that cannot be liquidated meanwhile, budget that is spent.
import { MaxUint256 } from "ethers";

import type { MarketAddresses } from "../addresses.ts";
import { PRICE_STATES } from "../chain/markets.ts";
import { BPS, min, Q128, saturatingSub, WAD } from "../core/math.ts";
import { formatAmount } from "../core/units.ts";
import { type Desk, formatDuration } from "./desk.ts";

export interface Figure {
  name: string;
  value: bigint;
  /** What it may change by without anybody being asked again; that or half of it, whichever is more. */
  slack: bigint;
}

export interface Cost {
  figures: Figure[];
  words: string[];
}

const HOUR = 3_600;
/** A price that has not moved yet is not calm, only unknown. */
const UNKNOWN_VOLATILITY = 0.02;
const MAX_TICKS = 500n;
/** Basis points. */
export const FALLS = [500n, 1_000n, 2_000n];
/** Of caps: millionths of a whole token. */
const CAP_DECIMALS = 6n;
const FRESH = BigInt(PRICE_STATES.indexOf("Fresh"));
/** Above every tick. */
const FROM_THE_TOP = 2 ** 23 - 1;

/** Standard deviation of the price in an hour, as a fraction, from the oracle's own volatility a day. */
export function hourlyVolatility(perDay: bigint): number | undefined {
  return perDay === 0n ? undefined : Number(perDay) / Number(BPS) / Math.sqrt(24);
}

/** Debt (token units) that no collateral would cover at `fall` basis points below the lower price. */
export async function badDebtAt(desk: Desk, vault: string, fall: bigint): Promise<bigint> {
  const [ticks, view] = await Promise.all([
    desk.lens.ticks(vault, FROM_THE_TOP, MAX_TICKS),
    desk.lens.market(vault),
  ]);
  const price = (view.price.low * (BPS - fall)) / BPS;
  if (price === 0n) return 0n;
  const [up, down] = [10n ** view.debtDecimals, 10n ** view.collateralDecimals];
  return ticks.reduce((sum, { debt, collateral }) => {
    const worth = (collateral * price * up) / (Q128 * down);
    return sum + (debt > worth ? debt - worth : 0n);
  }, 0n);
}

/** A pause of liquidations, or of new risk, of some markets for `duration` seconds. */
export async function costOfPause(
  desk: Desk,
  markets: MarketAddresses[],
  level: "LiquidationsPaused" | "NoNewRisk",
  duration: bigint,
): Promise<Cost> {
  const cost: Cost = { figures: [], words: [] };
  const now = await desk.now();
  for (const market of markets) {
    const { id, vault, decimals } = market;
    const [state, budgets, view, maxGrace] = await Promise.all([
      desk.brake.stateOf(vault),
      desk.brake.budgetOf(vault),
      desk.lens.market(vault),
      desk.brake.MAX_GRACE(),
    ]);
    const symbol = id.split("-")[1]!.toUpperCase();
    const amount = (value: bigint) => `${formatAmount(value, decimals.debt, 2)} ${symbol}`;
    const money = (name: string, value: bigint) =>
      cost.figures.push({ name: `${id} ${name}`, value, slack: view.totalDebt / 100n });

    if (level === "NoNewRisk") {
      const from = state.noNewRiskUntil > now ? state.noNewRiskUntil : now;
      const spent = now + duration > from ? now + duration - from : 0n;
      cost.figures.push({ name: `${id} budget seconds`, value: spent, slack: 60n });
      cost.words.push(
        `${id}: spends ${formatDuration(spent)} of the ${formatDuration(budgets.newRisk)} of its budget that are left; ` +
          "liquidations go on",
      );
      continue;
    }
    // As the brake charges it: a pause within a pause or its grace continues the episode.
    const since = now >= state.graceUntil ? now : state.pausedAt;
    const until = now + duration;
    const grace = until - since < maxGrace ? until - since : maxGrace;
    const charged = now >= state.graceUntil ? now : state.graceUntil;
    const spent = until + grace > charged ? until + grace - charged : 0n;
    cost.figures.push({ name: `${id} budget seconds`, value: spent, slack: 60n });

    const interest = (view.totalDebt * view.borrowRate * duration) / WAD;
    const known = hourlyVolatility(view.volatility);
    const sigma = known ?? UNKNOWN_VOLATILITY;
    const fallBps = (hours: number) =>
      BigInt(Math.min(9_999, Math.ceil(2 * sigma * Math.sqrt(hours) * 10_000)));
    const hours = Number(until + grace - now) / HOUR;
    const [nowDebt, hourDebt, allDebt] = await desk.lens.liquidatableUnder(vault, [
      0n,
      fallBps(1),
      fallBps(hours),
    ]);
    const bad = await badDebtAt(desk, vault, fallBps(hours));
    money("interest", interest);
    money("debt at risk per hour", hourDebt! - nowDebt!);
    money("bad debt in a bad case", bad);
    cost.words.push(
      `${id}: spends ${formatDuration(spent)} (grace included) of the ${formatDuration(budgets.liquidations)} of its ` +
        "budget that are left",
      `${id}: borrowers go on owing interest, ${amount(interest)} in that time on ${amount(view.totalDebt)}`,
      `${id}: ${amount(nowDebt!)} is liquidatable now and waits; at ${(sigma * 100).toFixed(2)} % an hour ` +
        `(${known === undefined ? "assumed: the oracle knows none" : "the oracle's measure"}) two deviations add ` +
        `${amount(hourDebt! - nowDebt!)} in an hour, ${amount(allDebt! - nowDebt!)} until the grace ends`,
      `${id}: in that case ${amount(bad)} of debt would have no collateral behind it`,
    );
  }
  return cost;
}

/** What can happen to a market that is not paused: at the price as it is, right or wrong. */
export async function costOfNoPause(
  desk: Desk,
  { id, vault, decimals }: MarketAddresses,
  level: "LiquidationsPaused" | "NoNewRisk",
): Promise<Cost> {
  const view = await desk.lens.market(vault);
  const symbol = id.split("-")[1]!.toUpperCase();
  const amount = (value: bigint) => `${formatAmount(value, decimals.debt, 2)} ${symbol}`;
  const figure = (name: string, value: bigint) => ({ name: `${id} ${name}`, value, slack: 0n });
  if (level === "NoNewRisk") {
    const cap = (view.caps.debt * 10n ** view.debtDecimals) / 10n ** CAP_DECIMALS;
    const free = min(view.cash, saturatingSub(cap, view.totalDebt));
    const borrowable = view.brakeLevel === 0n && view.price.state === FRESH && !view.windingDown ? free : 0n;
    const words =
      borrowable > 0n
        ? `${id}: up to ${amount(borrowable)} can be borrowed at this price; if it is too high, against too little`
        : `${id}: nothing can be borrowed now anyway`;
    return { figures: [figure("debt that can be added", borrowable)], words: [words] };
  }
  const [sale, atFalls] = await Promise.all([
    desk.lens.liquidation(vault, MaxUint256 >> 1n, FROM_THE_TOP, MAX_TICKS, true),
    desk.lens.liquidatableUnder(vault, FALLS),
  ]);
  const penalty = sale.gainHigh > 0n ? sale.gainHigh : 0n;
  return {
    figures: [figure("debt that is liquidated", sale.repaid), figure("penalty of the borrowers", penalty)],
    words: [
      sale.repaid > 0n
        ? `${id}: keepers can repay ${amount(sale.repaid)} now, and borrowers pay ${amount(penalty)} for it`
        : `${id}: keepers can liquidate nothing at the price as it is`,
      ...FALLS.map((fall, at) => {
        const most = (atFalls[at]! * view.risk.bonusMax) / BPS;
        return (
          `${id}: ${amount(atFalls[at]!)} after a fall of ${(fall * 100n) / BPS} %, ` +
          `for a penalty of at most ${amount(most)}`
        );
      }),
    ],
  };
}

/** What would be liquidatable at today's price at a lower threshold. */
export async function costOfLowerThresholds(desk: Desk, vault: string, threshold: bigint): Promise<Cost> {
  const view = await desk.lens.market(vault);
  const current = view.risk.liquidationThreshold;
  if (threshold >= current) return { figures: [], words: ["no threshold falls"] };
  // A lower threshold is to a position what a lower price is.
  const fall = BPS - (threshold * BPS) / current;
  const [now, then] = await desk.lens.liquidatableUnder(vault, [0n, fall]);
  const value = then! - now!;
  const amount = formatAmount(value, Number(view.debtDecimals), 2);
  return {
    figures: [{ name: "debt below the new threshold", value, slack: view.totalDebt / 20n }],
    words: [
      `${amount} of debt, in whole tokens, has to be repaid or is liquidated on the way, at today's price`,
    ],
  };
}
