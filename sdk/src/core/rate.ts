import { expWad } from "./exp.ts";
import { WAD, max, min } from "./math.ts";

// The borrow rate, as contracts/libraries/AdaptiveRate.sol has it; per second, WAD, unless said otherwise.

export const YEAR = 31_536_000n;
export const DAY = 86_400n;

const TARGET_UTILIZATION = (9n * WAD) / 10n;
const STEEPNESS = 4n * WAD;
const SPEED = 1_585_489_599_188n; // 50 a year
const MAX_EXPONENT = 20n * WAD;
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
  const distance = distanceFromTarget(utilization);
  const coefficient = distance < 0n ? WAD - (WAD * WAD) / STEEPNESS : STEEPNESS - WAD;
  return (((coefficient * distance) / WAD + WAD) * rateAtTarget) / WAD;
}

/** The mean rate over the last `seconds` and the rate at target after them. */
export function accrueRate(
  utilization: bigint,
  rateAtTarget: bigint,
  seconds: bigint,
): { rate: bigint; rateAtTarget: bigint } {
  const exponent = ((SPEED * distanceFromTarget(utilization)) / WAD) * seconds;
  if (exponent === 0n) return { rate: rateAt(utilization, rateAtTarget), rateAtTarget };
  // The mean of an exponential, by the trapezoid rule with one point in the middle.
  const end = adapt(rateAtTarget, exponent);
  const mean = (rateAtTarget + end + 2n * adapt(rateAtTarget, exponent / 2n)) / 4n;
  return { rate: rateAt(utilization, mean), rateAtTarget: end };
}

/** e^(rate × seconds), WAD: what a debt grows by at a rate that stays; at most e^20. */
export function growth(rate: bigint, seconds: bigint): bigint {
  return growthOf(rate * seconds);
}

/** The same of an exponent, WAD. */
export function growthOf(exponent: bigint): bigint {
  return expWad(min(exponent, MAX_EXPONENT));
}

function distanceFromTarget(utilization: bigint): bigint {
  const range = utilization > TARGET_UTILIZATION ? WAD - TARGET_UTILIZATION : TARGET_UTILIZATION;
  return ((utilization - TARGET_UTILIZATION) * WAD) / range;
}

function adapt(rateAtTarget: bigint, exponent: bigint): bigint {
  const rate = (rateAtTarget * expWad(max(min(exponent, MAX_EXPONENT), -MAX_EXPONENT))) / WAD;
  return max(MIN_AT_TARGET, min(rate, MAX_AT_TARGET));
}
