import { ceilTick, ratioOf } from "./grid.ts";
import { BPS, Q128, WAD, ceilDiv, min, saturatingSub } from "./math.ts";
import {
  type MarketState,
  type Position,
  collateralRatioOf,
  collateralTokensOf,
  debtTokensOf,
  healthOf,
  leverageOf,
  liquidationPriceOf,
  ltvOf,
  ltvOfLeverage,
} from "./position.ts";
import { DAY, growth } from "./rate.ts";
import { behindDown, behindUp } from "./sale.ts";
import {
  bookDebtDown,
  bookDebtUp,
  collateralUnitsDown,
  collateralUnitsUp,
  debtUnitsOfTokensDown,
  debtUnitsOfTokensUp,
  valueInDebt,
} from "./units.ts";

// From a leverage that somebody wants to exact amounts, and from amounts to what the position is then. Amounts in token
// units, slippage in basis points, leverage WAD. Collateral is valued at the lower price, as new risk is.

/** A quoted swap. */
export interface Swap {
  sold: bigint;
  bought: bigint;
}

export interface Terms {
  leverage: bigint;
  slippage: bigint;
}

/** What a position holds, margin that is added included. */
export interface Holdings {
  collateral: bigint;
  debt: bigint;
}

/** The least that a sale may bring, rounded up. */
export function leastBought(bought: bigint, slippage: bigint): bigint {
  return ceilDiv(bought * (BPS - slippage), BPS);
}

/** The most that a purchase may cost, rounded down. */
export function mostSold(sold: bigint, slippage: bigint): bigint {
  return (sold * (BPS + slippage)) / BPS;
}

/**
 * The debt to borrow and sell, with `spare` debt tokens beside it, so that the position has the leverage if the sale
 * brings what `swap` did, less the slippage. At most 0: there is nothing to borrow for that leverage.
 */
export function debtToBorrow(
  held: Holdings,
  spare: bigint,
  swap: Swap,
  { leverage, slippage }: Terms,
  m: MarketState,
): bigint {
  const ltv = ltvOfLeverage(leverage);
  const kept = (valueInDebt(leastBought(swap.bought, slippage), m.priceLow, m.units) * WAD) / swap.sold;
  const value = valueInDebt(held.collateral, m.priceLow, m.units) + (spare * kept) / WAD;
  return (ltv * value - held.debt * WAD) / (WAD - (ltv * kept) / WAD);
}

/** The collateral to sell, so that the position has the leverage if the sale brings what `swap` did, less the slippage. */
export function collateralToSell(
  held: Holdings,
  swap: Swap,
  { leverage, slippage }: Terms,
  m: MarketState,
): bigint {
  const ltv = ltvOfLeverage(leverage);
  const worth = valueInDebt(swap.sold, m.priceLow, m.units);
  const kept = (leastBought(swap.bought, slippage) * WAD) / worth;
  const excess = held.debt * WAD - ltv * valueInDebt(held.collateral, m.priceLow, m.units);
  // A sale that brings less than the LTV of its worth only makes the position worse.
  if (kept <= ltv) return held.collateral;
  return min((ceilDiv(excess, kept - ltv) * swap.sold) / worth, held.collateral);
}

/** What the owner's change makes of a position: contracts/libraries/TickBook.sol, `change`, with units as Vault.adjust's. */
export function positionAfter(p: Position, collateral: bigint, debt: bigint, m: MarketState): Position {
  const { units, borrowIndex } = m;
  const { spacing } = units;
  const old = p.debt === 0n ? 0n : ratioOf(p.tick, spacing);
  const held =
    p.surplus +
    (p.debt === 0n ? 0n : behindDown(p.debt, old)) +
    (collateral < 0n ? -collateralUnitsUp(-collateral, units) : collateralUnitsDown(collateral, units));
  const owed =
    debt < 0n
      ? saturatingSub(p.debt, bookDebtDown(debtUnitsOfTokensDown(-debt, units), borrowIndex))
      : p.debt + bookDebtUp(debtUnitsOfTokensUp(debt, units), borrowIndex);
  if (owed === 0n) return { tick: 0, debt: 0n, surplus: held };
  let ratio = held === 0n ? old : ceilDiv(owed << 128n, held);
  // A change that reduces risk never lifts the tick.
  if (old !== 0n && collateral >= 0n && debt <= 0n) ratio = min(ratio, old);
  const tick = ceilTick(ratio, spacing);
  return { tick, debt: owed, surplus: saturatingSub(held, behindUp(owed, ratioOf(tick, spacing))) };
}

/** A position as a trader sees it: its tick's. Without debt there is no LTV, no health and no liquidation. */
export interface Figures {
  collateral: bigint; //       surplus included, rounded down
  debt: bigint; //             what closes it, rounded up
  leverage: bigint; //         1/(1 − LTV), WAD
  ltv: bigint; //              WAD, at the lower price
  collateralRatio?: bigint; // WAD
  health?: bigint; //          WAD; below 1: liquidatable
  liquidationPrice?: bigint; // Q128, debt tokens per collateral token
}

export function figuresOf(p: Position, m: MarketState): Figures {
  const amounts = { collateral: collateralTokensOf(p, m), debt: debtTokensOf(p, m) };
  if (p.debt === 0n) return { ...amounts, leverage: WAD, ltv: 0n };
  const ltv = ltvOf(p.tick, m);
  return {
    ...amounts,
    ltv,
    leverage: ltv < WAD ? leverageOf(ltv) : 0n,
    collateralRatio: collateralRatioOf(ltv),
    health: healthOf(p.tick, m),
    liquidationPrice: liquidationPriceOf(p.tick, m),
  };
}

/** The liquidation price after `days` at a rate (per second, WAD) that stays: interest alone raises it. */
export function liquidationPriceIn(days: bigint, price: bigint, rate: bigint): bigint {
  return (price * growth(rate, days * DAY)) / WAD;
}

/** What a debt costs in `days` at a rate (per second, WAD) that stays, rounded up. */
export function interestIn(days: bigint, debt: bigint, rate: bigint): bigint {
  return ceilDiv(debt * growth(rate, days * DAY), WAD) - debt;
}

/** The highest leverage that a market lets somebody take, for a max LTV in basis points; WAD. */
export function maxLeverage(maxLtv: bigint): bigint {
  return leverageOf((maxLtv * WAD) / BPS);
}

/** The price of a swap in debt tokens per collateral token, Q128. */
export function swapPrice(collateral: bigint, debt: bigint, m: MarketState): bigint {
  const { collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier } = m.units;
  return (
    (debt * debtMultiplier * collateralDivisor * Q128) /
    (debtDivisor * collateral * collateralMultiplier * priceMultiplier)
  );
}

/** By how much a swap is worse than `fair` for who makes it, WAD; negative: better. */
export function worseThan(fair: Swap, swap: Swap): bigint {
  return WAD - (swap.bought * fair.sold * WAD) / (swap.sold * fair.bought);
}
