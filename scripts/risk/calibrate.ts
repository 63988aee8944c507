// The least conservative parameters of a market for which the bad debt to expect stays below a bound, at a confidence: each
// combination of bonus, slope and target is tried at the highest liquidation threshold that it bears. Pure; the same
// figures for the same seed.
import { BPS, brokenRule } from "../../sdk/src/core.ts";
import { bookOf, type Outcome, type Pool, simulate, type Spread, type Terms } from "./market.ts";
import { random, type Returns, type Sampler, STEPS_AN_HOUR } from "./paths.ts";

const DAY_STEPS = 24 * STEPS_AN_HOUR;
const DAYS_A_YEAR = 365;
/** A day of the history begins every two hours: what a crash does depends on where it finds the book. */
const STRIDE = 2 * STEPS_AN_HOUR;
/** Losses come in spells: a week's days are drawn together. */
const BLOCK = 7 * 12;
const RESAMPLES = 1_000;
const SEED = 1;
/** What liquidations cost on the many days without bad debt is told by every so manieth of them. */
const SAMPLE = 9;

/** Days, each of which the book begins anew, by the price relative to its start after each step. */
export interface Days {
  prices: Float64Array[];
  lowest: number[];
}

/** What is assumed of everybody but the market. */
export interface Assumptions {
  spread: Spread;
  delay: number; // steps
  pool: Pool;
}

export interface Goal {
  epsilon: number; //    share of the debt that may be lost in a year
  confidence: number; // that it is not more
  patience: number; //   share of the hours in which who borrowed at the max LTV is not liquidated within the hour
  clearHours: number; // the longest that anything may stay liquidatable, or in the pot
}

/** Bad debt, share of the book's debt, a year. */
export interface Loss {
  mean: number;
  bound: number; // at the confidence
}

/** What would have happened on every one of some days. */
export interface Backtest extends Loss {
  worst: number; //      of a single day, share of the debt
  liquidated: number; // mean share of the debt sold or seized, a year
  penalty: number; //    share of the debt that borrowers paid, a year
  underWater: number; // most steps that anything waited
}

export interface Setup {
  band: bigint;
  assumptions: Assumptions;
  goal: Goal;
  /** Each has to stay below the bound. */
  fit: readonly Days[];
  /** How far the price falls within an hour in one of the hours beyond the patience. */
  hourlyFall: number;
  /** The grids that may be chosen, coarsest first: a keeper pays for each tick. */
  spacings: readonly number[];
}

// ------------------------------------------------------------------ days

export function daysOf(returns: Returns): Days {
  const prices: Float64Array[] = [];
  for (const run of returns) {
    for (let from = 0; from + DAY_STEPS <= run.length; from += STRIDE) {
      let log = 0;
      prices.push(run.slice(from, from + DAY_STEPS).map((r) => Math.exp((log += r))));
    }
  }
  return withLowest(prices);
}

export function drawnDays(sampler: Sampler, count: number, seed = SEED): Days {
  const next = random(seed);
  const prices = Array.from({ length: count }, () => {
    const logs = new Float64Array(DAY_STEPS);
    sampler(next, logs);
    return logs.map(Math.exp);
  });
  return withLowest(prices);
}

function withLowest(prices: Float64Array[]): Days {
  return { prices, lowest: prices.map((day) => day.reduce((least, price) => Math.min(least, price), 1)) };
}

/** The fall (a share) that the price does not exceed within an hour in `patience` of the hours. */
export function hourlyFall(returns: Returns, patience: number): number {
  const falls: number[] = [];
  for (const run of returns) {
    for (let from = 0; from + STEPS_AN_HOUR <= run.length; from += STEPS_AN_HOUR) {
      let [log, least] = [0, 0];
      for (let step = from; step < from + STEPS_AN_HOUR; step++) least = Math.min(least, (log += run[step]!));
      falls.push(1 - Math.exp(least));
    }
  }
  falls.sort((a, b) => a - b);
  return falls[Math.min(falls.length - 1, Math.floor(falls.length * patience))] ?? 0;
}

// ------------------------------------------------------------------ losses

/** `cap`: the book's debt, whole tokens. */
export function lossOf(
  terms: Terms,
  cap: number,
  days: Days,
  assumptions: Assumptions,
  confidence: number,
): Loss {
  return withBound(lossesOf(terms, cap, days, assumptions), confidence);
}

/** Bad debt of each day, share of the debt. */
function lossesOf(terms: Terms, cap: number, days: Days, { spread, delay, pool }: Assumptions): number[] {
  const setting = { terms, book: bookOf(spread, terms, cap), pool, delay };
  // Nobody becomes insolvent on a day that falls by less than the margin of who has the least.
  const safe = (Number(terms.maxLtv) / 1e4) * (1 + Number(terms.bonusMin) / 1e4) * 1.01;
  return days.prices.map((prices, day) =>
    days.lowest[day]! > safe ? 0 : simulate(setting, prices).badDebt / cap,
  );
}

/** The mean of a year, and what it is not above at `confidence`: blocks of days drawn again and again. */
function withBound(losses: readonly number[], confidence: number): Loss {
  const blocks: { sum: number; count: number }[] = [];
  for (let from = 0; from < losses.length; from += BLOCK) {
    const block = losses.slice(from, from + BLOCK);
    blocks.push({ sum: block.reduce((sum, loss) => sum + loss, 0), count: block.length });
  }
  const total = blocks.reduce((sum, block) => sum + block.sum, 0);
  if (total === 0) return { mean: 0, bound: 0 };
  const next = random(SEED);
  const means = Array.from({ length: RESAMPLES }, () => {
    let [sum, count] = [0, 0];
    for (let draw = 0; draw < blocks.length; draw++) {
      const block = blocks[Math.floor(next() * blocks.length)]!;
      sum += block.sum;
      count += block.count;
    }
    return sum / count;
  }).sort((a, b) => a - b);
  return {
    mean: (DAYS_A_YEAR * total) / losses.length,
    bound: DAYS_A_YEAR * means[Math.min(RESAMPLES - 1, Math.ceil(confidence * RESAMPLES) - 1)]!,
  };
}

export function backtest(
  terms: Terms,
  cap: number,
  days: Days,
  assumptions: Assumptions,
  confidence: number,
): Backtest {
  const losses = lossesOf(terms, cap, days, assumptions);
  return {
    ...withBound(losses, confidence),
    worst: losses.reduce((most, loss) => Math.max(most, loss), 0),
    ...courseOf(terms, cap, days, assumptions),
  };
}

/** What liquidations cost, and how long they took. */
function courseOf(terms: Terms, cap: number, days: Days, { spread, delay, pool }: Assumptions) {
  const setting = { terms, book: bookOf(spread, terms, cap), pool, delay };
  const outcomes: Outcome[] = days.prices
    .filter((_, day) => day % SAMPLE === 0)
    .map((prices) => simulate(setting, prices));
  const yearly = (of: (o: Outcome) => number) =>
    (DAYS_A_YEAR * outcomes.reduce((sum, outcome) => sum + of(outcome), 0)) / outcomes.length / cap;
  return {
    liquidated: yearly(({ sold, seized }) => sold + seized),
    penalty: yearly(({ penalty }) => penalty),
    underWater: outcomes.reduce((most, { underWater }) => Math.max(most, underWater), 0),
  };
}

// ------------------------------------------------------------------ search

/** What is tried; basis points. */
export const TRIED = {
  bonusMin: [50n, 100n, 150n, 200n],
  bonusMax: [500n, 800n, 1_200n],
  slope: [2_500n, 5_000n, 10_000n],
  targetGap: [100n, 200n, 300n],
} as const;
const THRESHOLDS = { least: 3_000n, most: 9_700n, step: 50n };
export const SPACINGS = [25, 20, 15, 10, 5] as const;

export type Shape = Record<keyof typeof TRIED, bigint>;

/** The whole set at a threshold; undefined where the contract would refuse it. */
export function termsAt(
  threshold: bigint,
  shape: Shape,
  { band, hourlyFall: fall, spacings }: Setup,
): Terms | undefined {
  const { step } = THRESHOLDS;
  const survived = BigInt(Math.floor(Number(threshold) * (1 - fall)));
  // The rules want four steps between the two; a step of n basis points of a ratio is a little more than n.
  const ruled = threshold - 4n * BigInt(spacings.at(-1)!) - 1n;
  const maxLtv = ((survived < ruled ? survived : ruled) / step) * step;
  const terms = {
    maxLtv,
    liquidationThreshold: threshold,
    target: threshold - shape.targetGap,
    bonusMin: shape.bonusMin,
    bonusMax: shape.bonusMax,
    slope: shape.slope,
  };
  const spacing = spacings.find((each) => brokenRule(terms, each, band) === undefined);
  return spacing === undefined ? undefined : { ...terms, spacing };
}

export function shapes(): Shape[] {
  return TRIED.bonusMin.flatMap((bonusMin) =>
    TRIED.bonusMax.flatMap((bonusMax) =>
      TRIED.slope.flatMap((slope) =>
        TRIED.targetGap.map((targetGap) => ({ bonusMin, bonusMax, slope, targetGap })),
      ),
    ),
  );
}

/** The greater of the losses to expect by each way of looking at the fit's days; the first beyond `enough` will do. */
export function fitLoss(
  terms: Terms,
  cap: number,
  { fit, assumptions, goal }: Setup,
  enough = Infinity,
): Loss {
  let worst: Loss = { mean: 0, bound: 0 };
  for (const days of fit) {
    const loss = lossOf(terms, cap, days, assumptions, goal.confidence);
    if (loss.bound >= worst.bound) worst = loss;
    if (worst.bound > enough) break;
  }
  return worst;
}

export interface Choice {
  terms: Terms;
  shape: Shape;
  loss: Loss;
}

/** The highest threshold from `from` on that keeps the goal; undefined: not even `from`. */
export function highest(
  shape: Shape,
  cap: number,
  setup: Setup,
  from = THRESHOLDS.least,
): Choice | undefined {
  const at = (threshold: bigint): Choice | undefined => {
    const terms = termsAt(threshold, shape, setup);
    if (terms === undefined) return undefined;
    const loss = fitLoss(terms, cap, setup, setup.goal.epsilon);
    return loss.bound <= setup.goal.epsilon ? { terms, shape, loss } : undefined;
  };
  const { step, most } = THRESHOLDS;
  let best = at(from);
  let [threshold, stride, rises] = [from, step, true];
  // Strides that double until one is too long, then halve: the loss rises with the threshold.
  while (best !== undefined && stride >= step) {
    const next = threshold + stride <= most ? at(threshold + stride) : undefined;
    if (next !== undefined) [best, threshold] = [next, threshold + stride];
    else rises = false;
    stride = rises ? stride * 2n : stride / 2n;
  }
  return best;
}

/** Most leverage first; of equal ones that which costs borrowers least. Undefined: none keeps the goal. */
export function search(cap: number, setup: Setup, tried: readonly Shape[] = shapes()): Choice | undefined {
  const { assumptions, fit } = setup;
  let best: (Choice & { penalty: number }) | undefined;
  for (const shape of tried) {
    const found = highest(shape, cap, setup, best?.terms.liquidationThreshold ?? THRESHOLDS.least);
    if (found === undefined) continue;
    const isMore = best === undefined || found.terms.maxLtv > best.terms.maxLtv;
    const { penalty } = courseOf(found.terms, cap, fit[0]!, assumptions);
    if (isMore || penalty < best!.penalty) best = { ...found, penalty };
  }
  return best;
}

export interface Point {
  cap: number;
  terms: Terms;
  loss: Loss;
}

export interface Room {
  cap: number;
  terms: Terms | undefined; // undefined: no threshold keeps the goal
  hours: number; // the longest that anything waited on the fit's days
}

/** What each cap leaves room for, with one shape. */
export function roomOf(shape: Shape, caps: readonly number[], setup: Setup): Room[] {
  const { assumptions, fit } = setup;
  return caps.map((cap) => {
    const terms = highest(shape, cap, setup)?.terms;
    if (terms === undefined) return { cap, terms, hours: Infinity };
    const { underWater } = courseOf(terms, cap, fit[0]!, assumptions);
    return { cap, terms, hours: underWater / STEPS_AN_HOUR };
  });
}

/** A point of threshold is the price of a larger market: the largest cap within it of the best, which clears in time; or the smallest. */
export function capOf(rooms: readonly Room[], { clearHours }: Goal): number {
  const threshold = ({ terms }: Room) => Number(terms?.liquidationThreshold ?? 0n);
  const best = Math.max(...rooms.map(threshold));
  const fits = rooms.filter((room) => threshold(room) >= best - 100 && room.hours <= clearHours);
  return Math.max(
    ...(fits.length > 0 ? fits : [rooms.reduce((a, b) => (b.cap < a.cap ? b : a))]).map(({ cap }) => cap),
  );
}

export interface Point {
  cap: number;
  terms: Terms;
  loss: Loss;
}

/** Leverage offered against loss, for a shape and some caps. */
export function frontier(
  shape: Shape,
  caps: readonly number[],
  thresholds: readonly bigint[],
  setup: Setup,
): Point[] {
  return caps.flatMap((cap) =>
    thresholds.flatMap((threshold) => {
      const terms = termsAt(threshold, shape, setup);
      return terms === undefined ? [] : [{ cap, terms, loss: fitLoss(terms, cap, setup) }];
    }),
  );
}

/** 1 / (1 − max LTV). */
export function leverageOffered({ maxLtv }: Pick<Terms, "maxLtv">): number {
  return 1 / (1 - Number(maxLtv) / Number(BPS));
}
