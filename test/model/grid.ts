/**
 * The grid of ratios by its definition: R_k = floor(S_k² / 2^64), S_k = getSqrtPriceAtTick(k × spacing) of Uniswap v4.
 * S_k is itself defined by an algorithm over published constants (1.0001^(-2^i / 2) in Q128.128), repeated here.
 */
import { Real } from "./real.ts";

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

export const MAX_RAW_TICK = 443_636;

export function sqrtPriceAtTick(raw: number): bigint {
  let price = 1n << 128n;
  FACTORS.forEach((factor, bit) => {
    if ((Math.abs(raw) >> bit) & 1) price = (price * factor) >> 128n;
  });
  if (raw > 0) price = (2n ** 256n - 1n) / price;
  return (price + 2n ** 32n - 1n) >> 32n;
}

/** The ticks of one market. */
export class Grid {
  readonly bottom: number;
  readonly top: number;
  private readonly ratios = new Map<number, bigint>();

  constructor(readonly spacing: number) {
    this.top = Math.floor(MAX_RAW_TICK / spacing);
    this.bottom = -this.top;
  }

  /** R_k, the Q128.128 integer. */
  integerRatio(tick: number): bigint {
    const known = this.ratios.get(tick);
    if (known !== undefined) return known;
    const root = sqrtPriceAtTick(tick * this.spacing);
    const ratio = (root * root) >> 64n;
    this.ratios.set(tick, ratio);
    return ratio;
  }

  ratio(tick: number): Real {
    return Real.ratio(this.integerRatio(tick), 1n << 128n);
  }

  /** The smallest tick with R_k ≥ `ratio`: the bottom for what is below the grid, top + 1 for what is above it. */
  ceilTick(ratio: Real): number {
    let low = this.bottom;
    let high = this.top + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.ratio(middle).compare(ratio) >= 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The largest tick with R_k ≤ `ratio`; bottom − 1 if there is none. */
  floorTick(ratio: Real): number {
    const tick = this.ceilTick(ratio);
    return tick <= this.top && this.ratio(tick).compare(ratio) === 0 ? tick : tick - 1;
  }
}
