// Arithmetic of a Uniswap v3 pool's first price and liquidity.

const MIN_TICK = -887_272;
const Q192 = 1n << 192n;

function sqrt(value: bigint): bigint {
  if (value < 2n) return value;
  let x = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (x + value / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** √(token1 / token0) in Q64.96, where `amount0` of token0 is worth `amount1` of token1 (smallest units). */
export function sqrtPriceX96(amount0: bigint, amount1: bigint): bigint {
  return sqrt((amount1 * Q192) / amount0);
}

export interface Range {
  tickLower: number;
  tickUpper: number;
  amount0: bigint;
  amount1: bigint;
}

/**
 * The position of a given value, in token1, between price × `down` and price × `up`. What a position takes is the
 * pool's arithmetic, not this: floating point is good enough to choose it.
 */
export function rangeOf(
  sqrtPrice: bigint,
  spacing: number,
  bounds: { down: number; up: number } | "full",
  value1: number,
): Range {
  const root = Number(sqrtPrice) / 2 ** 96;
  const toGrid = (tick: number) => Math.floor(tick / spacing) * spacing;
  const tickAt = (factor: number) => toGrid(Math.log(root * root * factor) / Math.log(1.0001));
  const widest = -Math.ceil(MIN_TICK / spacing) * spacing;
  const tickLower = bounds === "full" ? -widest : tickAt(bounds.down);
  const tickUpper = bounds === "full" ? widest : tickAt(bounds.up);
  const lower = 1.0001 ** (tickLower / 2);
  const upper = 1.0001 ** (tickUpper / 2);
  // Per unit of liquidity.
  const unit0 = 1 / root - 1 / upper;
  const unit1 = root - lower;
  const liquidity = value1 / (unit0 * root * root + unit1);
  return {
    tickLower,
    tickUpper,
    amount0: BigInt(Math.ceil(liquidity * unit0)),
    amount1: BigInt(Math.ceil(liquidity * unit1)),
  };
}
