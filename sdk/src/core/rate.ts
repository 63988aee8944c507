import { WAD } from "./math.ts";

// The borrow rate, as contracts/libraries/AdaptiveRate.sol has it; per second, WAD, unless said otherwise.

export const YEAR = 31_536_000n;
export const DAY = 86_400n;

const TARGET_UTILIZATION = (9n * WAD) / 10n;
const STEEPNESS = 4n * WAD;
const MIN_AT_TARGET = 31_709_791n;
const MAX_AT_TARGET = 63_419_583_967n;

/** The least and the greatest rate that a market can ever charge. */
export const RATE_BOUNDS = {
  least: (MIN_AT_TARGET * WAD) / STEEPNESS,
  most: (MAX_AT_TARGET * STEEPNESS) / WAD,
};

/** The share of the lenders' tokens that is lent out, WAD. */
export function utilizationOf(debt: bigint, cash: bigint): bigint {
  return debt + cash === 0n ? 0n : (debt * WAD) / (debt + cash);
}

/** The rate at `utilization` while the rate at target stays what it is. */
export function rateAt(utilization: bigint, rateAtTarget: bigint): bigint {
  const above = utilization > TARGET_UTILIZATION;
  const distance =
    ((utilization - TARGET_UTILIZATION) * WAD) / (above ? WAD - TARGET_UTILIZATION : TARGET_UTILIZATION);
  const coefficient = above ? STEEPNESS - WAD : WAD - (WAD * WAD) / STEEPNESS;
  return (((coefficient * distance) / WAD + WAD) * rateAtTarget) / WAD;
}

/** e^(rate × seconds), WAD, to a few units: what a debt grows by at a rate that stays. */
export function growth(rate: bigint, seconds: bigint): bigint {
  const exponent = rate * seconds;
  let sum = WAD;
  let term = WAD;
  for (let n = 1n; term > 0n; n++) {
    term = (term * exponent) / (WAD * n);
    sum += term;
  }
  return sum;
}
