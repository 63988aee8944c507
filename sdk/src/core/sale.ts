import { ceilTick, floorTick, ratioOf } from "./grid.ts";
import { BPS, Q128, WAD, ceilDiv, log2, max, min, saturatingSub } from "./math.ts";

// The arithmetic of a liquidation, bit for bit as contracts/libraries/Sale.sol, where it is explained.

export interface SaleRisk {
  liquidationThreshold: bigint; // basis points, as all of them
  target: bigint;
  bonusMin: bigint;
  bonusMax: bigint;
  slope: bigint;
}

/** Prices in book debt per collateral unit; `high` and `low` are shifted right by `shift`, as ratios are. */
export interface SaleTerms extends SaleRisk {
  price: bigint;
  high: bigint;
  low: bigint;
  bonusGap: bigint; // WAD: with it a keeper who trusts the lower price still earns bonusMin
  shift: bigint;
  triggerTick: number;
  targetTick: number;
  targetRatio: bigint;
  spacing: number;
}

export interface Move {
  debt: bigint; //   left, book debt
  seized: bigint; // collateral units
  num: bigint; //    the node's index becomes index × num / den
  den: bigint;
}

/** Collateral behind `debt` at `ratio`, rounded down (taken out). */
export function behindDown(debt: bigint, ratio: bigint): bigint {
  return (debt << 128n) / ratio;
}

/** Collateral behind `debt` at `ratio`, rounded up (put in). */
export function behindUp(debt: bigint, ratio: bigint): bigint {
  return ceilDiv(debt << 128n, ratio);
}

/** @param ramped thresholds that a ramp has moved may be low: bonusMax then bounds the gap's share of the bonus. */
export function saleTerms(
  high: bigint,
  low: bigint,
  risk: SaleRisk,
  spacing: number,
  ramped = false,
): SaleTerms {
  const shift = BigInt(Math.max(log2(high) - 126, 0));
  const bonusGap = ((high >> shift) * (WAD + (risk.bonusMin * WAD) / BPS)) / (low >> shift) - WAD;
  const targetTick = floorTick((high * risk.target) / BPS, spacing);
  return {
    ...risk,
    price: high,
    high: high >> shift,
    low: low >> shift,
    bonusGap: ramped ? min(bonusGap, (risk.bonusMax * WAD) / BPS) : bonusGap,
    shift,
    spacing,
    triggerTick: ceilTick(ceilDiv(high * risk.liquidationThreshold, BPS), spacing),
    targetTick,
    targetRatio: ratioOf(targetTick, spacing),
  };
}

/** Equity is at most bonusMin: the tick can only be seized whole. */
export function isInsolvent(ratio: bigint, bookPrice: bigint, bonusMin: bigint): boolean {
  return ratio * (BPS + bonusMin) >= bookPrice * BPS;
}

/** The price w at which a tick of (shifted) `ratio` is sold. */
export function salePrice(t: SaleTerms, ratio: bigint): bigint {
  const least = (t.bonusMin * WAD) / BPS;
  const ltv = (ratio * WAD) / t.high;
  const threshold = (t.liquidationThreshold * WAD) / BPS;
  let bonus = least + (saturatingSub(ltv, threshold) * t.slope) / BPS;
  bonus = min(bonus, (t.bonusMax * WAD) / BPS);
  bonus = max(bonus, t.bonusGap);
  const cap = t.high > ratio ? ((t.high - ratio) * 9n * WAD) / (ratio * 10n) : 0n;
  if (bonus > cap) bonus = max(cap, least);
  return (t.high * WAD) / (WAD + bonus);
}

/** g(R) = w/R − 1, Q128; both shifted. */
export function gain(w: bigint, ratio: bigint): bigint {
  return (saturatingSub(w, ratio) << 128n) / ratio;
}

/** Moves `debt` from ratio `from` to the lower `to` (both Q128) at the sale price `w` (shifted). */
export function move(t: SaleTerms, debt: bigint, from: bigint, to: bigint, w: bigint): Move {
  const num = gain(w, from >> t.shift);
  const den = gain(w, to >> t.shift);
  const left = ceilDiv(debt * num, den);
  const before = behindDown(debt, from);
  const behind = behindUp(left, to);
  if (behind <= before) return { debt: left, seized: before - behind, num, den };
  // Dust: rounding would need more collateral than there is.
  const kept = (debt * (to >> t.shift)) / (t.shift === 0n ? from : (from >> t.shift) + 1n);
  return { debt: kept, seized: 0n, num: kept, den: debt };
}

/**
 * The lowest tick above the target and below `tick` to which `budget` (book debt, less than a full move needs) can
 * bring `debt`, and the move to it; `tick` itself and no move if the budget buys no step.
 */
export function landing(
  t: SaleTerms,
  debt: bigint,
  tick: number,
  from: bigint,
  w: bigint,
  budget: bigint,
): { land: number; move?: Move } {
  if (budget === 0n) return { land: tick };
  const g = (gain(w, from >> t.shift) * debt) / (debt - budget);
  const least = ((w * Q128) / (Q128 + g)) << t.shift;
  let land = Math.max(ceilTick(least, t.spacing), t.targetTick + 1);
  for (; land < tick; land++) {
    const m = move(t, debt, from, ratioOf(land, t.spacing), w);
    if (debt - m.debt <= budget) return { land, move: m };
  }
  return { land: tick };
}
