import { ceilTick, ratioOf } from "./grid.ts";
import { BPS, WAD, ceilDiv, saturatingSub } from "./math.ts";
import { behindDown, behindUp } from "./sale.ts";
import {
  BORROW_INDEX_ONE,
  type Units,
  bookPriceDown,
  bookPriceUp,
  collateralTokensDown,
  debtTokensUp,
  debtUnitsUp,
} from "./units.ts";

// A position is exactly at its tick: its LTV, health and liquidation price are the tick's, one number everywhere.

/** A market's state that positions are measured with; prices whole debt tokens per whole collateral token, Q128. */
export interface MarketState {
  units: Units;
  borrowIndex: bigint; // accrued
  priceLow: bigint;
  priceHigh: bigint;
  liquidationThreshold: bigint; // basis points
}

/** R/p at the lower price, WAD, rounded up: what new risk is measured by, and what is shown. */
export function ltvOf(tick: number, m: MarketState): bigint {
  return ceilDiv(ratioOf(tick, m.units.spacing) * WAD, bookPriceDown(m.priceLow, m.borrowIndex, m.units));
}

/** 1/LTV, WAD, rounded down. */
export function collateralRatioOf(ltv: bigint): bigint {
  return (WAD * WAD) / ltv;
}

/** LT·p/R at the higher price, WAD; below 1 ⇔ liquidatable, without exception. */
export function healthOf(tick: number, m: MarketState): bigint {
  const price = bookPriceUp(m.priceHigh, m.borrowIndex, m.units) * m.liquidationThreshold;
  // The greatest WAD below the real number: a tick that is exactly at the threshold is liquidatable.
  return saturatingSub(ceilDiv(price * WAD, ratioOf(tick, m.units.spacing) * BPS), 1n);
}

export function isLiquidatable(tick: number, m: MarketState): boolean {
  return healthOf(tick, m) < WAD;
}

/** R·I/LT: the highest price (Q128, as `priceHigh`) at which the tick is liquidatable. */
export function liquidationPriceOf(tick: number, m: MarketState): bigint {
  const bookPrice = (ratioOf(tick, m.units.spacing) * BPS) / m.liquidationThreshold;
  return (bookPrice * m.borrowIndex) / (BORROW_INDEX_ONE * m.units.priceMultiplier);
}

/** How far the price would have to fall, WAD of the price now; negative: it is past it. */
export function distanceToLiquidation(tick: number, m: MarketState): bigint {
  return WAD - ceilDiv(liquidationPriceOf(tick, m) * WAD, m.priceHigh);
}

export interface Position {
  tick: number;
  debt: bigint; //    book debt
  surplus: bigint; // collateral units
}

/** What is owed in debt token units, rounded up: what closing costs. */
export function debtTokensOf(p: Position, m: MarketState): bigint {
  return debtTokensUp(debtUnitsUp(p.debt, m.borrowIndex), m.units);
}

/** Collateral token units that the owner has in the position, surplus included, rounded down. */
export function collateralTokensOf(p: Position, m: MarketState): bigint {
  const behind = p.debt === 0n ? 0n : behindDown(p.debt, ratioOf(p.tick, m.units.spacing));
  return collateralTokensDown(behind + p.surplus, m.units);
}

/** The surplus in collateral token units, rounded down: what can always be taken out. */
export function surplusTokensOf(p: Position, m: MarketState): bigint {
  return collateralTokensDown(p.surplus, m.units);
}

/** The position that `debt` (book debt) over `collateral` (collateral units) makes when it joins. */
export function positionOf(debt: bigint, collateral: bigint, spacing: number): Position {
  if (debt === 0n) return { tick: 0, debt, surplus: collateral };
  const tick = ceilTick(ceilDiv(debt << 128n, collateral), spacing);
  return { tick, debt, surplus: saturatingSub(collateral, behindUp(debt, ratioOf(tick, spacing))) };
}

/** Max LTV of new risk, basis points, when volatility takes `cut` (basis points) of it; in whole basis points, down. */
export function maxLtvUnderStress(maxLtv: bigint, cut: bigint): bigint {
  return (maxLtv * (BPS - cut)) / BPS;
}

/** LTV of a position that was levered to `leverage` (WAD): 1 − 1/leverage. */
export function ltvOfLeverage(leverage: bigint): bigint {
  return WAD - ceilDiv(WAD * WAD, leverage);
}

/** 1/(1 − LTV), WAD; LTV below 1. */
export function leverageOf(ltv: bigint): bigint {
  return (WAD * WAD) / (WAD - ltv);
}
