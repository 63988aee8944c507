// Prices that are made up, the same for the same seed. Pure.
import { normal, random } from "../drill/book.ts";
import type { Price } from "./simulate.ts";

const HOUR = 3_600;
const START = Date.UTC(2026, 0, 1) / 1_000;

interface Kind {
  /** Standard deviation of an hour's return. */
  deviation: number;
  /** Return an hour in a trend, upwards or downwards; a third of the time there is none. */
  drift: number;
  /** Days that a trend lasts on average. */
  trendDays: number;
}

export const KINDS = {
  trends: { deviation: 0.008, drift: 0.0008, trendDays: 10 },
  calm: { deviation: 0.004, drift: 0, trendDays: 10 },
} as const satisfies Record<string, Kind>;

export function generatedPrices(kind: keyof typeof KINDS, days: number, seed: number): Price[] {
  const { deviation, drift, trendDays }: Kind = KINDS[kind];
  const next = random(seed);
  let log = Math.log(2_000);
  let trend = 0;
  return Array.from({ length: days * 24 + 1 }, (_, hour) => {
    if (next() < 1 / (trendDays * 24)) trend = Math.floor(next() * 3) - 1;
    log += trend * drift + deviation * normal(next) - (deviation * deviation) / 2;
    return { time: START + hour * HOUR, price: Math.exp(log) };
  });
}
