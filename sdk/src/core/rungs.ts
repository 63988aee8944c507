import { ceilTick } from "./grid.ts";
import { BPS, WAD, ceilDiv } from "./math.ts";
import type { MarketState } from "./position.ts";
import { bookPriceUp, debtTokensUp, debtUnitsUp } from "./units.ts";

// The liquidation ladder: a market's populated ticks, and how much of its debt a price would make liquidatable.

/** One populated tick. */
export interface Rung {
  tick: number;
  positions: number;
  bookDebt: bigint;
  debt: bigint; //             debt token units, rounded up
  collateral: bigint; //       behind it, collateral token units, rounded down
  liquidationPrice: bigint; // Q128, debt tokens per collateral token
}

export interface Cleared {
  debt: bigint; // debt token units, rounded up
  ticks: number;
  positions: number;
}

/** What would be liquidatable at a higher price of `price` (Q128): Lens.liquidatableUnder to the unit. */
export function liquidatableAt(price: bigint, rungs: readonly Rung[], m: MarketState): Cleared {
  if (price === 0n) return clearedOf(rungs, m);
  const threshold = bookPriceUp(price, m.borrowIndex, m.units) * m.liquidationThreshold;
  const trigger = ceilTick(ceilDiv(threshold, BPS), m.units.spacing);
  return clearedOf(
    rungs.filter(({ tick }) => tick >= trigger),
    m,
  );
}

/** What is liquidated before a position at `tick` is: the ticks above its own. */
export function clearsBefore(tick: number, rungs: readonly Rung[], m: MarketState): Cleared {
  return clearedOf(
    rungs.filter((rung) => rung.tick > tick),
    m,
  );
}

/** Of all that `rungs` owe, WAD. */
export function shareOfDebt({ debt }: Cleared, rungs: readonly Rung[], m: MarketState): bigint {
  const all = clearedOf(rungs, m).debt;
  return all === 0n ? 0n : (debt * WAD) / all;
}

/**
 * A price (Q128) after the base token's price against the quote token moved against the borrowers by `move` basis points: it
 * fell for longs, rose for shorts, whose market has the inverse price.
 */
export function priceAfter(price: bigint, move: bigint, side: "long" | "short"): bigint {
  return side === "long" ? (price * (BPS - move)) / BPS : (price * BPS) / (BPS + move);
}

/** The inverse: by how much the base token's price must move against the borrowers from `now` until the price is `price`, WAD. */
export function moveTo(price: bigint, now: bigint, side: "long" | "short"): bigint {
  return side === "long" ? WAD - ceilDiv(price * WAD, now) : (now * WAD) / price - WAD;
}

function clearedOf(rungs: readonly Rung[], m: MarketState): Cleared {
  const book = rungs.reduce((sum, { bookDebt }) => sum + bookDebt, 0n);
  return {
    debt: debtTokensUp(debtUnitsUp(book, m.borrowIndex), m.units),
    ticks: rungs.length,
    positions: rungs.reduce((sum, { positions }) => sum + positions, 0),
  };
}
