/** A ratio or price "Q128" is a number times 2^128. */
export const Q128 = 1n << 128n;
export const WAD = 10n ** 18n;
export const BPS = 10_000n;

/** a / b, rounded up; b > 0, a ≥ 0. */
export function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

export function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** a − b, at least 0. */
export function saturatingSub(a: bigint, b: bigint): bigint {
  return a > b ? a - b : 0n;
}

/** Position of the highest set bit; value > 0. */
export function log2(value: bigint): number {
  const digits = value.toString(16);
  return 4 * digits.length - 1 - Math.clz32(parseInt(digits[0]!, 16)) + 28;
}

/** Square root, rounded down. */
export function isqrt(value: bigint): bigint {
  if (value < 2n) return value;
  // Newton from above: falls strictly until it reaches the floor of the root.
  let root = 1n << BigInt((log2(value) >> 1) + 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
