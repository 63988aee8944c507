// The depth of a Uniswap v3 pool: what selling the base token brings, from a price to which arbitrage has set it. Pure.
import { rangeOf, sqrtPriceX96 } from "../../deploy/liquidity.ts";
import type { PoolParameters } from "../../deploy/parameters.ts";
import type { Venue } from "./simulate.ts";

/** By the fee in millionths, as Uniswap has it. */
const TICK_SPACING: Record<number, number> = { 100: 1, 500: 10, 3000: 60, 10_000: 200 };

interface Liquidity {
  amount: number; // √(base × quote), whole tokens
  low: number; //    price, quote per base
  high: number;
}

export class Pool {
  private constructor(
    private readonly ranges: readonly Liquidity[],
    private readonly fee: number,
  ) {}

  /** As the deployment fills it at `price`. */
  static filledAt(price: number, { feeMillionths, liquidity }: PoolParameters): Pool {
    const unit = 10n ** 18n;
    const root = sqrtPriceX96(unit, BigInt(Math.round(price * 1e18)));
    const ranges = liquidity.map(({ rangePercent, valueUsd }): Liquidity => {
      const share = rangePercent === "full" ? 0 : rangePercent / 100;
      const bounds = share === 0 ? ("full" as const) : { down: 1 - share, up: 1 + share };
      const range = rangeOf(root, TICK_SPACING[feeMillionths]!, bounds, Number(valueUsd) * 1e18);
      const [low, high] = [1.0001 ** range.tickLower, 1.0001 ** range.tickUpper];
      const quote = Number(range.amount1) / 1e18;
      return { amount: quote / (Math.sqrt(price) - Math.sqrt(low)), low, high };
    });
    return new Pool(ranges, feeMillionths / 1e6);
  }

  /** The pool as arbitrage leaves it at `price`. */
  at(price: number): Venue {
    let now = price;
    /** Base tokens that move the price from `now` to `to`, the fee aside. */
    const between = (to: number) =>
      this.ranges.reduce((sum, { amount, low, high }) => {
        const [from, until] = [Math.min(now, high), Math.max(to, low)];
        return until < from ? sum + amount * (1 / Math.sqrt(until) - 1 / Math.sqrt(from)) : sum;
      }, 0);
    return {
      room: (least) => {
        const to = least / (1 - this.fee);
        return to < now ? between(to) / (1 - this.fee) : 0;
      },
      sell: (amount) => {
        const before = now;
        const taken = amount * (1 - this.fee);
        // The price falls until the ranges have taken it all; each halving of the interval adds a bit.
        let [down, up] = [0, now];
        for (let i = 0; i < 100; i++) {
          const middle = (down + up) / 2;
          if (between(middle) > taken) down = middle;
          else up = middle;
        }
        now = up;
        return this.ranges.reduce((sum, { amount: l, low, high }) => {
          const [from, until] = [Math.min(before, high), Math.max(now, low)];
          return until < from ? sum + l * (Math.sqrt(from) - Math.sqrt(until)) : sum;
        }, 0);
      },
    };
  }
}
