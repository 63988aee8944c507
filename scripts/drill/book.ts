// The positions of a drill: a realistic spread of leverage and size, the same for the same seed. Pure.
import { PRICE_DECIMALS } from "./path.ts";

export interface PlannedPosition {
  collateral: bigint; // wei of WETH
  debt: bigint; //       USDC, 6 decimals
}

/** Mulberry32: small, fast, and the same numbers on every machine. Yields [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Highest leverage: an LTV of 81.5 %, so that the step up to the tick stays below the 82 % of new risk. */
export const MAX_LEVERAGE = 5.4;

/** Share of the positions and the range of their leverage: most borrow a little, some all they can. */
export const LEVERAGE_MIXTURE = [
  { share: 0.6, from: 1.2, to: 2.5 },
  { share: 0.3, from: 2.5, to: 4 },
  { share: 0.1, from: 4, to: MAX_LEVERAGE },
] as const;

/** Equity in dollars: log-normal, within what makes sense to open and what one account holds. */
const EQUITY = { median: 6000, sigma: 1.4, min: 150, max: 2_000_000 };

/** `count` positions opened at `price` (dollars, PRICE_DECIMALS decimals). */
export function planPositions(count: number, seed: number, price: bigint): PlannedPosition[] {
  const next = random(seed);
  return Array.from({ length: count }, () => {
    const leverage = leverageOf(next(), next());
    const equity = Math.min(
      EQUITY.max,
      Math.max(EQUITY.min, EQUITY.median * Math.exp(EQUITY.sigma * normal(next))),
    );
    // From here on integers: cents and hundredths of a percent.
    const cents = BigInt(Math.round(equity * 100));
    const bps = BigInt(Math.round(leverage * 10_000));
    return {
      collateral: (cents * bps * 10n ** BigInt(18 + PRICE_DECIMALS)) / (1_000_000n * price),
      debt: cents * (bps - 10_000n),
    };
  });
}

function leverageOf(group: number, within: number): number {
  let sum = 0;
  for (const { share, from, to } of LEVERAGE_MIXTURE) {
    sum += share;
    if (group < sum) return from + (to - from) * within;
  }
  return MAX_LEVERAGE;
}

/** A standard normal number (Box and Muller). */
export function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
