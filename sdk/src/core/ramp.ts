import { ceilDiv, min } from "./math.ts";

// Thresholds on their way, bit for bit as contracts/libraries/Market.sol, where it is explained.

/** Basis points and seconds; `duration` 0: no ramp. */
export interface Ramp {
  fromThreshold: bigint;
  fromTarget: bigint;
  toThreshold: bigint;
  toTarget: bigint;
  duration: bigint;
}

/** Both thresholds once the ramp's clock has run for `elapsed` seconds. */
export function thresholdsAt(ramp: Ramp, elapsed: bigint): { liquidationThreshold: bigint; target: bigint } {
  const { fromThreshold, fromTarget, toThreshold, toTarget, duration } = ramp;
  if (duration === 0n) return { liquidationThreshold: fromThreshold, target: fromTarget };
  const ran = min(elapsed, duration);
  const left = duration - ran;
  return {
    liquidationThreshold: ceilDiv(fromThreshold * left + toThreshold * ran, duration),
    target: (fromTarget * left + toTarget * ran) / duration,
  };
}
