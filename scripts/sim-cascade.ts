// What the cascade brake costs: a book of ticks through a crash, for each cap and each speed of the fall. Pure: the SDK's
// arithmetic, bit for bit the contracts', without a chain; the same figures every time. The brake is there to slow down
// what liquidations do to the collateral's market; that benefit is not in here, only its price.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { readParameters } from "../deploy/parameters.ts";
import {
  behindDown,
  BPS,
  isInsolvent,
  landing,
  max,
  min,
  move,
  positionOf,
  Q128,
  ratioOf,
  salePrice,
  saleTerms,
  type SaleRisk,
  type SaleTerms,
} from "../sdk/src/core.ts";
import { planPositions } from "./drill/book.ts";
import { withPart } from "./page.ts";

const PAGE = "docs/cascade.md";
const MINUTE = 60;
/** A keeper acts, and the price moves, so often. */
const STEP = 5 * MINUTE;
const HOUR = 3_600;
const FALL = 4_000n;
const PRICE = 2_000n; // whole debt tokens; units of both tokens have 18 decimals
const MAX_HOURS = 24 * 60;
const POSITIONS = 10_000;
const SEED = 1;

/** Of the book's debt within an hour, percent; undefined: off. */
const CAPS = [undefined, 100, 50, 25, 10, 5] as const;
/** Percent of the price at the start, an hour; the last one at once. */
const SPEEDS = [5, 10, 20, 40, 480] as const;

export type Spread = "realistic" | "edge";

/** By tick: the debt there. */
type Book = Map<number, bigint>;

export interface Outcome {
  capPercent: number | undefined;
  fallPercentPerHour: number;
  /** Percent of the book's debt at the start. */
  soldPercent: number;
  seizedPercent: number;
  badDebtPercent: number;
  /** The longest that any debt was liquidatable until it was not, or was seized. */
  longestWaitHours: number;
}

interface Setting {
  risk: SaleRisk;
  spacing: number;
  capPercent: number | undefined;
  fallPercentPerHour: number;
}

/** The drill's borrowers, or the same debt all of it at 75 to 82 %. */
export function bookOf(spread: Spread, spacing: number): Book {
  const book: Book = new Map();
  const put = (tick: number, debt: bigint) => book.set(tick, (book.get(tick) ?? 0n) + debt);
  if (spread === "realistic") {
    for (const { collateral, debt } of planPositions(POSITIONS, SEED, PRICE * 10n ** 8n)) {
      put(positionOf(debt * 10n ** 12n, collateral, spacing).tick, debt * 10n ** 12n);
    }
    return book;
  }
  for (let bps = 7_500n; bps <= 8_200n; bps++) {
    const debt = 100_000n * 10n ** 18n;
    put(positionOf(debt, (debt * BPS) / (bps * PRICE), spacing).tick, debt);
  }
  return book;
}

export function crash(start: Book, { risk, spacing, capPercent, fallPercentPerHour }: Setting): Outcome {
  const book: Book = new Map(start);
  const total = sum(start.values());
  const cap = capPercent === undefined ? undefined : (total * BigInt(capPercent)) / 100n;
  /** Since when a tick's debt has been liquidatable. */
  const waiting = new Map<number, number>();
  let [sold, seized, badDebt, used, longest] = [0n, 0n, 0n, 0n, 0];

  for (let now = STEP; now <= MAX_HOURS * HOUR; now += STEP) {
    const fallen = min(FALL, BigInt(Math.round((fallPercentPerHour * 100 * now) / HOUR)));
    const price = (PRICE * Q128 * (BPS - fallen)) / BPS;
    const t = saleTerms(price, price, risk, spacing);
    if (cap !== undefined) used = max(0n, used - (cap * BigInt(STEP)) / BigInt(HOUR));
    let left = cap === undefined ? total : max(0n, cap - used);
    let mayOverstep = cap !== undefined && left !== 0n;
    const due = [...book.keys()].filter((tick) => tick >= t.triggerTick).sort((a, b) => b - a);
    for (const tick of due) waiting.set(tick, waiting.get(tick) ?? now);
    for (const tick of due) {
      const debt = book.get(tick)!;
      const ratio = ratioOf(tick, spacing);
      if (isInsolvent(ratio, price, risk.bonusMin)) {
        // Seized whole, and the pot sold at once for the least discount.
        const proceeds = (behindDown(debt, ratio) * price * BPS) / (Q128 * (BPS + risk.bonusMin));
        badDebt += max(0n, debt - proceeds);
        seized += debt;
        book.delete(tick);
      } else {
        const step = sale(t, tick, debt, ratio, left, mayOverstep);
        if (step === undefined) break;
        mayOverstep = false;
        const repaid = debt - step.debt;
        sold += repaid;
        used += repaid;
        left = max(0n, left - repaid);
        book.delete(tick);
        book.set(step.land, (book.get(step.land) ?? 0n) + step.debt);
        if (step.land >= t.triggerTick) {
          waiting.set(step.land, Math.min(waiting.get(step.land) ?? now, waiting.get(tick)!));
        }
      }
      longest = Math.max(longest, now - waiting.get(tick)!);
      waiting.delete(tick);
    }
    const over = fallen === FALL && [...book.keys()].every((tick) => tick < t.triggerTick);
    if (over) break;
  }
  const percent = (x: bigint) => Number((x * 10_000n) / total) / 100;
  return {
    capPercent,
    fallPercentPerHour,
    soldPercent: percent(sold),
    seizedPercent: percent(seized),
    badDebtPercent: percent(badDebt),
    longestWaitHours: Math.round((longest / HOUR) * 10) / 10,
  };
}

/** As Liquidation does it: to the target, or as far as the cap reaches, or one step beyond it; undefined: not now. */
function sale(
  t: SaleTerms,
  tick: number,
  debt: bigint,
  ratio: bigint,
  left: bigint,
  mayOverstep: boolean,
): { land: number; debt: bigint } | undefined {
  const w = salePrice(t, ratio >> t.shift);
  const whole = move(t, debt, ratio, t.targetRatio, w);
  if (debt - whole.debt <= left) return { land: t.targetTick, debt: whole.debt };
  const part = landing(t, debt, tick, ratio, w, left);
  if (part.move !== undefined) return { land: part.land, debt: part.move.debt };
  if (!mayOverstep) return undefined;
  return { land: tick - 1, debt: move(t, debt, ratio, ratioOf(tick - 1, t.spacing), w).debt };
}

export function outcomes(spread: Spread): Outcome[] {
  const { risk, spacing } = readParameters("local").markets[0]!;
  const book = bookOf(spread, spacing);
  const terms: SaleRisk = {
    liquidationThreshold: BigInt(risk.liquidationThresholdBps),
    target: BigInt(risk.targetBps),
    bonusMin: BigInt(risk.bonusMinBps),
    bonusMax: BigInt(risk.bonusMaxBps),
    slope: BigInt(risk.slopeBps),
  };
  return CAPS.flatMap((capPercent) =>
    SPEEDS.map((fallPercentPerHour) => crash(book, { risk: terms, spacing, capPercent, fallPercentPerHour })),
  );
}

/** A row for each cap, a column for each speed: seized whole / bad debt / longest wait. */
export function crashTable(results: readonly Outcome[]): string {
  const columns = SPEEDS.map((speed) => (speed === 480 ? "at once" : `${speed} % an hour`));
  const rows = CAPS.map((cap) => {
    const cells = results
      .filter(({ capPercent }) => capPercent === cap)
      .map((r) => `${r.seizedPercent.toFixed(1)} % / ${r.badDebtPercent.toFixed(2)} % / ${wait(r)}`);
    return `| ${cap === undefined ? "off" : `${cap} % an hour`} | ${cells.join(" | ")} |`;
  });
  return [`| cap | ${columns.join(" | ")} |`, `| --- |${" --- |".repeat(SPEEDS.length)}`, ...rows].join("\n");
}

function wait({ longestWaitHours }: Outcome): string {
  return longestWaitHours === 0 ? "0" : `${longestWaitHours.toFixed(1)} h`;
}

function sum(values: Iterable<bigint>): bigint {
  let total = 0n;
  for (const value of values) total += value;
  return total;
}

/** The page with both tables in place of those it has. */
export function withTables(page: string): string {
  return (["realistic", "edge"] as const).reduce(
    (text, spread) => withPart(text, spread, crashTable(outcomes(spread))),
    page,
  );
}

if (import.meta.filename === process.argv[1]) {
  const { values: options } = parseArgs({
    options: { json: { type: "boolean" }, docs: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (options.help) {
    console.log(`sim:cascade [-- --json] [-- --docs]

A fall of ${FALL / 100n} % through a book of positions, for each setting of the cascade brake and each speed of the fall:
share of the debt seized whole / bad debt (both of the book's debt) / the longest that debt stayed
liquidatable.
--docs  puts the tables into ${PAGE}`);
  } else if (options.docs) {
    writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8")));
  } else if (options.json) {
    console.log(JSON.stringify({ realistic: outcomes("realistic"), edge: outcomes("edge") }, null, 2));
  } else {
    for (const spread of ["realistic", "edge"] as const) {
      console.log(`${spread === "realistic" ? "The drill's borrowers" : "Everybody at 75 to 82 %"}\n`);
      console.log(`${crashTable(outcomes(spread))}\n`);
    }
  }
}
