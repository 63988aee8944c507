// What a book may lose within an hour and a day: the market walked through many price paths. Pure.
import { type Outcome, type Setting, simulate } from "./market.ts";
import { random, type Sampler, STEPS_AN_HOUR } from "./paths.ts";

export const HORIZONS = [1, 24] as const;

/** Whole debt tokens, over all paths. */
export interface Losses {
  hours: number;
  paths: number;
  liquidated: Spread; // debt sold or seized: the liquidation at risk
  badDebt: Spread; //    before insurance
  /** What the lenders bear after insurance and reserves, on average. */
  lendersLoss: number;
  /** Share of the paths that make any bad debt. */
  chance: number;
}

export interface Spread {
  mean: number;
  error: number; // standard error of the mean
  at95: number; //  no more than this on 95 of 100 paths
  at99: number;
  worst: number;
  /** Exceeded on one path of each of ONE_IN. */
  tail: number[];
}

export const ONE_IN = [2, 5, 10, 20, 50, 100, 200, 500, 1_000] as const;

/** A market as it is walked: prices and the book in book debt, of which one is worth `index` debt tokens. */
export interface Stage {
  setting: Setting;
  price: number;
  index: number;
}

/** @param cover whole debt tokens that insurance and reserves pay first. */
export function lossesOf(
  { setting, price, index }: Stage,
  cover: number,
  { sampler, paths, seed }: { sampler: Sampler; paths: number; seed: number },
): Losses[] {
  const next = random(seed);
  const steps = HORIZONS.map((hours) => hours * STEPS_AN_HOUR);
  const path = new Float64Array(Math.max(...steps));
  const outcomes: Outcome[][] = HORIZONS.map(() => []);
  for (let i = 0; i < paths; i++) {
    sampler(next, path);
    for (let step = 0; step < path.length; step++) path[step] = price * Math.exp(path[step]!);
    steps.forEach((count, at) => outcomes[at]!.push(simulate(setting, path.subarray(0, count))));
  }
  return HORIZONS.map((hours, at) => {
    const badDebts = outcomes[at]!.map(({ badDebt }) => badDebt * index);
    return {
      hours,
      paths,
      liquidated: spreadOf(outcomes[at]!.map(({ sold, seized }) => (sold + seized) * index)),
      badDebt: spreadOf(badDebts),
      lendersLoss: meanOf(badDebts.map((loss) => Math.max(0, loss - cover))),
      chance: badDebts.filter((loss) => loss > 0).length / paths,
    };
  });
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  const mean = meanOf(values);
  const variance = meanOf(values.map((value) => (value - mean) ** 2));
  const quantile = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
  return {
    mean,
    error: Math.sqrt(variance / values.length),
    at95: quantile(0.95),
    at99: quantile(0.99),
    worst: sorted.at(-1)!,
    tail: ONE_IN.map((paths) => quantile(1 - 1 / paths)),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Steps of a fall that is spread evenly, in logs, over `hours`, and stays for a day. */
function fallPath(price: number, fall: number, hours: number): Float64Array {
  const down = hours * STEPS_AN_HOUR;
  return Float64Array.from(
    { length: down + 24 * STEPS_AN_HOUR },
    (_, step) => price * (1 - fall) ** Math.min(1, (step + 1) / down),
  );
}

/** The smallest whole percent by which the price may fall within `hours` so that bad debt exceeds `cover`; undefined: none. */
export function reverseStressWithin(
  { setting, price, index }: Stage,
  cover: number,
  hours: number,
): number | undefined {
  for (let percent = 1; percent < 100; percent++) {
    if (simulate(setting, fallPath(price, percent / 100, hours)).badDebt * index > cover) return percent;
  }
  return undefined;
}
