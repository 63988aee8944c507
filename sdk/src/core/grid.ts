import { isqrt, log2 } from "./math.ts";

// The ladder of debt/collateral ratios, bit for bit as contracts/libraries/Grid.sol and the TickMath of Uniswap v4
// that it stands on.

/** Greatest raw tick of the grid. */
export const MAX_RAW_TICK = 443_636;

const MAX_UINT256 = (1n << 256n) - 1n;

// 2^128 / sqrt(1.0001^(2^i)), rounded to the nearest integer: Uniswap's constants.
const FACTORS = [
  0xfffcb933bd6fad37aa2d162d1a594001n,
  0xfff97272373d413259a46990580e213an,
  0xfff2e50f5f656932ef12357cf3c7fdccn,
  0xffe5caca7e10e4e61c3624eaa0941cd0n,
  0xffcb9843d60f6159c9db58835c926644n,
  0xff973b41fa98c081472e6896dfb254c0n,
  0xff2ea16466c96a3843ec78b326b52861n,
  0xfe5dee046a99a2a811c461f1969c3053n,
  0xfcbe86c7900a88aedcffc83b479aa3a4n,
  0xf987a7253ac413176f2b074cf7815e54n,
  0xf3392b0822b70005940c7a398e4b70f3n,
  0xe7159475a2c29b7443b29c7fa6e889d9n,
  0xd097f3bdfd2022b8845ad8f792aa5825n,
  0xa9f746462d870fdf8a65dc1f90e061e5n,
  0x70d869a156d2a1b890bb3df62baf32f7n,
  0x31be135f97d08fd981231505542fcfa6n,
  0x9aa508b5b7a84e1c677de54f3e99bc9n,
  0x5d6af8dedb81196699c329225ee604n,
  0x2216e584f5fa1ea926041bedfe98n,
  0x48a170391f7dc42444e8fa2n,
];

/** sqrt(1.0001^tick) as a Q64.96, |tick| ≤ 887,272. */
export function sqrtPriceAtTick(tick: number): bigint {
  const steps = Math.abs(tick);
  if (!Number.isInteger(tick) || steps > 887_272) throw new RangeError(`raw tick ${tick} is out of range`);
  let price = 1n << 128n;
  FACTORS.forEach((factor, bit) => {
    if (steps & (1 << bit)) price = bit === 0 ? factor : (price * factor) >> 128n;
  });
  if (tick > 0) price = MAX_UINT256 / price;
  return (price + 0xffffffffn) >> 32n;
}

/** The greatest raw tick whose square-root price is at most `sqrtPrice` (Q64.96). */
export function tickAtSqrtPrice(sqrtPrice: bigint): number {
  const price = sqrtPrice << 32n;
  const msb = log2(price);
  let r = msb >= 128 ? price >> BigInt(msb - 127) : price << BigInt(127 - msb);
  let log = BigInt(msb - 128) << 64n;
  for (let bit = 63n; bit >= 50n; bit--) {
    r = (r * r) >> 127n;
    const carry = r >> 128n;
    log |= carry << bit;
    r >>= carry;
  }
  const logSqrt10001 = log * 255738958999603826347141n;
  const low = Number((logSqrt10001 - 3402992956809132418596140100660247210n) >> 128n);
  const high = Number((logSqrt10001 + 291339464771989622907027621153398088495n) >> 128n);
  return low !== high && sqrtPriceAtTick(high) <= sqrtPrice ? high : low;
}

/** Greatest tick of the grid; the least is its negative. */
export function maxTick(spacing: number): number {
  return Math.trunc(MAX_RAW_TICK / spacing);
}

/** R_k: book debt per collateral unit at `tick`, Q128. */
export function ratioOf(tick: number, spacing: number): bigint {
  if (Math.abs(tick) > maxTick(spacing)) throw new RangeError(`tick ${tick} is not on the grid`);
  return ratioOfRaw(tick * spacing);
}

/** The smallest tick k with R_k ≥ `ratio`, clamped at the bottom of the grid. */
export function ceilTick(ratio: bigint, spacing: number): number {
  const tick = ceilTickOrAbove(ratio, spacing);
  if (tick > maxTick(spacing)) throw new RangeError(`no tick of the grid is as high as the ratio ${ratio}`);
  return tick;
}

/** The largest tick k with R_k ≤ `ratio`, clamped at the top; one below the grid if there is none. */
export function floorTick(ratio: bigint, spacing: number): number {
  return ratio >= 1n << 192n ? maxTick(spacing) : ceilTickOrAbove(ratio + 1n, spacing) - 1;
}

/** Up to one tick above the grid, never below it. */
function ceilTickOrAbove(ratio: bigint, spacing: number): number {
  const top = maxTick(spacing);
  if (ratio < 1n << 64n) return -top;
  if (ratio >= 1n << 192n) return top + 1;
  const raw = tickAtSqrtPrice(isqrt(ratio << 64n));
  const rest = raw % spacing;
  let tick = Math.trunc(raw / spacing);
  if (rest > 0 || (rest === 0 && ratioOfRaw(raw) < ratio)) tick++;
  // `+ 0`: a bigint has no −0, a number has
  return Math.max(tick, -top) + 0;
}

function ratioOfRaw(raw: number): bigint {
  const root = sqrtPriceAtTick(raw);
  return (root * root) >> 64n;
}
