/**
 * The adaptive curve (target 90 %, steepness 4, speed 50 a year, start 4 %, bounds 0.1 to 200 %) over the reals; rates
 * per second. `rounded` marks where an implementation with 18 decimals a second rounds: rates and exponents by 10^-18.
 */
import { Real } from "./real.ts";

const WEI = Real.ratio(1n, 10n ** 18n);
const YEAR = 365n * 86_400n;
const TARGET = Real.ratio(9n, 10n);
const STEEPNESS = Real.of(4n);
const SPEED = Real.ratio(50n, YEAR).rounded(WEI);
const MIN = Real.ratio(1n, 1000n * YEAR).rounded(WEI);
const MAX = Real.ratio(2n, YEAR).rounded(WEI);
const MAX_EXPONENT = Real.of(20n);

export const INITIAL_RATE = Real.ratio(4n, 100n * YEAR).rounded(WEI);

/** What `elapsed` seconds at `utilization` do: the factor of the borrow index, and the new rate at target. */
export function accrueRate(
  utilization: Real,
  rateAtTarget: Real,
  elapsed: bigint,
): { growth: Real; rateAtTarget: Real } {
  const seconds = Real.of(elapsed);
  const above = utilization.compare(TARGET) > 0;
  // Continuous at the target; where it is uncertain on which side we are, the steeper side bounds the error.
  const steep = above || utilization.isNear(TARGET);
  const span = above ? Real.one.minus(TARGET) : TARGET;
  const exactDistance = utilization.exact().minus(TARGET).over(span);
  const distance = exactDistance
    .rounded(
      utilization
        .rounded(WEI)
        .bound()
        .over(steep ? Real.one.minus(TARGET) : TARGET),
    )
    .rounded(WEI);

  const exponent = SPEED.times(distance).rounded(WEI).times(seconds);
  const end = adapt(rateAtTarget, exponent);
  const middle = adapt(rateAtTarget, exponent.over(Real.of(2n)).rounded(WEI));
  const average = rateAtTarget.plus(end).plus(middle).plus(middle).over(Real.of(4n)).rounded(WEI);

  // The steeper coefficient bounds the error at the target.
  const coefficient = above ? STEEPNESS.minus(Real.one) : Real.one.minus(Real.one.over(STEEPNESS));
  const bend = coefficient.times(distance).rounded(steep ? distance.bound().times(STEEPNESS) : WEI);
  const rate = bend.rounded(WEI).plus(Real.one).times(average).rounded(WEI);
  const growth = rate.times(seconds).least(MAX_EXPONENT).exp().rounded(WEI);
  return { growth: growth.rounded(growth.times(WEI)), rateAtTarget: end };
}

function adapt(start: Real, exponent: Real): Real {
  const factor = exponent.clamp(Real.zero.minus(MAX_EXPONENT), MAX_EXPONENT).exp();
  return start
    .times(factor.rounded(factor.times(WEI)).rounded(WEI))
    .rounded(WEI)
    .clamp(MIN, MAX);
}
