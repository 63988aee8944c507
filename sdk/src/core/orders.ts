import { floorTick, ratioOf } from "./grid.ts";
import { BPS, Q128, WAD, ceilDiv, max, min, saturatingSub } from "./math.ts";
import { type MarketState, type Position, collateralTokensOf, debtTokensOf } from "./position.ts";
import { behindDown } from "./sale.ts";
import {
  BORROW_INDEX_ONE,
  type Units,
  bookDebtUp,
  bookPriceDown,
  bookPriceUp,
  collateralTokensDown,
  collateralUnitsDown,
  collateralUnitsUp,
  debtTokensUp,
  debtUnitsOfTokensDown,
  debtUnitsOfTokensUp,
  debtUnitsUp,
} from "./units.ts";

// What a protection order does to a position: contracts/periphery/ProtectionOrders.sol, to the unit.

/** As the contract numbers them. */
export const KIND = { Deleverage: 0n, StopLoss: 1n, TakeProfit: 2n, TopUp: 3n, Repay: 4n } as const;
export type OrderKind = keyof typeof KIND;

/** Of IProtectionOrders.Order what decides about amounts. */
export interface OrderTerms {
  kind: OrderKind;
  target: bigint; //   basis points of LTV; 0: closes
  slippage: bigint; // basis points below the oracle's lower price
  keepCollateral: boolean;
  level: bigint; //    LTV in WAD, or price in Q128
  tipMin: bigint;
  tipMax: bigint;
}

/** IProtectionOrders.Quote, in token units; what is all of it stands as what it is. */
export interface OrderQuote {
  collateral: bigint; // of the position: out of it (negative) or into it
  debt: bigint; //       repaid: negative
  exactOut: boolean; //  false: sells `amount` for at least `limit`; true: buys `amount` for at most `limit`
  amount: bigint; //     0: nothing is sold
  limit: bigint;
  tip: bigint;
  least: bigint; //      comes out at least, the tip in it; the rest is the owner's
}

/** Why an order does nothing, as the contract's errors. */
export class OrderRefused extends Error {
  readonly reason: "NoDebt" | "NotTriggered" | "WouldMakeWorse" | "TargetUnreachable";

  constructor(reason: OrderRefused["reason"], words: string) {
    super(words);
    this.name = "OrderRefused";
    this.reason = reason;
  }
}

const URGENT = 500n;

export function sells(kind: OrderKind): boolean {
  return KIND[kind] < KIND.TopUp;
}

/** Whether the level is an LTV; else it is a price. */
export function isByLtv(kind: OrderKind): boolean {
  return kind !== "StopLoss" && kind !== "TakeProfit";
}

/** Whether the tip is paid in the collateral token; else in the debt token. */
export function tipsCollateral({
  kind,
  target,
  keepCollateral,
}: Pick<OrderTerms, "kind" | "target" | "keepCollateral">): boolean {
  return kind === "TopUp" || (sells(kind) && target === 0n && keepCollateral);
}

/** The LTV that liquidation looks at, at the higher price; WAD. */
export function ltvAtHigh(p: Position, m: MarketState): bigint {
  if (p.debt === 0n) return 0n;
  return ceilDiv(ratioOf(p.tick, m.units.spacing) * WAD, bookPriceUp(m.priceHigh, m.borrowIndex, m.units));
}

/** What the order looks at now, and whether it has come to its level, at both ends of the price. */
export function triggerOf(
  { kind, level }: OrderTerms,
  p: Position,
  m: MarketState,
): { current: bigint; triggered: boolean } {
  if (kind === "StopLoss") return { current: m.priceHigh, triggered: m.priceHigh <= level };
  const current = kind === "TakeProfit" ? m.priceLow : ltvAtHigh(p, m);
  return { current, triggered: current >= level };
}

/** The market at the price at which the order would just be triggered, with nothing else changed. */
export function stateAtTrigger({ kind, level }: OrderTerms, p: Position, m: MarketState): MarketState {
  let price = level;
  if (isByLtv(kind)) {
    const bookPrice = (ratioOf(p.tick, m.units.spacing) * WAD) / level;
    price = (bookPrice * m.borrowIndex) / (BORROW_INDEX_ONE * m.units.priceMultiplier);
  }
  return { ...m, priceLow: price, priceHigh: price };
}

/** Rises linearly from the level to where the order is urgent. */
export function tipOf({ kind, level, tipMin, tipMax }: OrderTerms, current: bigint, m: MarketState): bigint {
  const beyond = current < level ? level - current : current - level;
  const urgent = isByLtv(kind)
    ? saturatingSub((m.liquidationThreshold * WAD) / BPS, level)
    : (level * URGENT) / BPS;
  return beyond >= urgent ? tipMax : tipMin + ((tipMax - tipMin) * beyond) / urgent;
}

/** @param acts whether ProtectionOrders is the owner's operator: only then an addition folds in the surplus. */
export function quoteOrder(order: OrderTerms, p: Position, m: MarketState, acts = true): OrderQuote {
  if (p.debt === 0n) throw new OrderRefused("NoDebt", "there is no debt in this sub-account");
  const { current, triggered } = triggerOf(order, p, m);
  if (!triggered) throw new OrderRefused("NotTriggered", "the order still waits for its level");
  const tip = tipOf(order, current, m);
  if (!sells(order.kind)) return quoteAddition(order, p, m, tip, acts);
  return order.target === 0n ? quoteFullClose(order, p, m, tip) : quoteReduction(order, p, m, tip);
}

function quoteFullClose(order: OrderTerms, p: Position, m: MarketState, tip: bigint): OrderQuote {
  const { units } = m;
  const owed = debtTokensOf(p, m);
  const held = collateralTokensOf(p, m);
  const all = { collateral: -held, debt: -owed, exactOut: order.keepCollateral, tip };
  if (!order.keepCollateral) {
    const limit = max(worthUp(held, order, m), owed + tip);
    return { ...all, amount: held, limit, least: limit - owed };
  }
  if (held <= tip) throw unreachable();
  const cost = (debtUnitsOfTokensDown(owed, units) * Q128) / worst(order, m);
  const limit = min(collateralTokensDown(cost, units), held - tip);
  return { ...all, amount: owed, limit, least: held - limit };
}

function quoteReduction(order: OrderTerms, p: Position, m: MarketState, tip: bigint): OrderQuote {
  const { units, borrowIndex } = m;
  const ratio = targetRatio(order, p, m);
  const least = (bookPriceDown(m.priceLow, borrowIndex, units) * (BPS - order.slippage)) / BPS;
  if (least <= ratio) throw unreachable();
  const tipDebt = bookDebtUp(debtUnitsOfTokensUp(tip + 2n, units) + 2n, borrowIndex);
  const held = heldUnits(p, m.units);
  const excess = max(saturatingSub(p.debt + tipDebt, (ratio * held) / Q128), tipDebt);
  const amount = collateralTokensUp(ceilDiv(excess * Q128, least - ratio), units);
  if (collateralUnitsUp(amount, units) >= held) throw unreachable();
  const limit = worthUp(amount, order, m);
  return { collateral: -amount, debt: tip - limit, exactOut: false, amount, limit, tip, least: tip };
}

function quoteAddition(
  order: OrderTerms,
  p: Position,
  m: MarketState,
  tip: bigint,
  acts: boolean,
): OrderQuote {
  const ratio = targetRatio(order, p, m);
  const held = heldUnits(acts ? p : { ...p, surplus: 0n }, m.units);
  const nothing = { collateral: 0n, debt: 0n, exactOut: false, amount: 0n, limit: 0n, tip, least: tip };
  if (order.kind === "TopUp") {
    const added = max(saturatingSub(ceilDiv(p.debt * Q128, ratio), held), 1n);
    return { ...nothing, collateral: collateralTokensUp(added, m.units) };
  }
  const repaid = max(saturatingSub(p.debt, (ratio * held) / Q128), 1n);
  return { ...nothing, debt: -debtTokensUp(debtUnitsUp(repaid, m.borrowIndex), m.units) };
}

/** R of the highest tick whose LTV is at most the target. */
function targetRatio({ target }: OrderTerms, p: Position, { units, ...m }: MarketState): bigint {
  const tick = floorTick((bookPriceUp(m.priceHigh, m.borrowIndex, units) * target) / BPS, units.spacing);
  if (tick >= p.tick) {
    throw new OrderRefused("WouldMakeWorse", "the LTV would be at the target already, or below it");
  }
  return ratioOf(tick, units.spacing);
}

function heldUnits(p: Position, units: Units): bigint {
  return behindDown(p.debt, ratioOf(p.tick, units.spacing)) + p.surplus;
}

/** Debt units per collateral unit, Q128. */
function worst({ slippage }: OrderTerms, m: MarketState): bigint {
  return ceilDiv(m.priceLow * m.units.priceMultiplier * (BPS - slippage), BPS);
}

function worthUp(collateral: bigint, order: OrderTerms, m: MarketState): bigint {
  return debtTokensUp(ceilDiv(collateralUnitsDown(collateral, m.units) * worst(order, m), Q128), m.units);
}

function collateralTokensUp(amount: bigint, { collateralDivisor, collateralMultiplier }: Units): bigint {
  return ceilDiv(amount * collateralDivisor, collateralMultiplier);
}

function unreachable(): OrderRefused {
  return new OrderRefused(
    "TargetUnreachable",
    "selling, as badly as the order allows, even all of the collateral would not bring the LTV to the target",
  );
}
