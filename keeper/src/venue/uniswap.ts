import { type Contracts, encodePath, isRevert } from "@breakwater/sdk/chain";
import { UniswapV3Pool__factory } from "@breakwater/sdk/types";
import { type Provider, ZeroAddress } from "ethers";

import type { Venue } from "./venue.ts";

// Uniswap v3: every fee tier, by one pool or by two with a listed token between.

/** Fees, in millionths, that pools have. */
const FEES = [100n, 500n, 3_000n, 10_000n];

export function uniswap(
  { factory, quoter }: Contracts,
  provider: Provider,
  between: readonly string[],
): Venue {
  /** Of the pools that exist and have liquidity. */
  async function feesOf(tokenA: string, tokenB: string): Promise<bigint[]> {
    const fees = await Promise.all(
      FEES.map(async (fee) => {
        const pool = await factory.getPool(tokenA, tokenB, fee);
        if (pool === ZeroAddress) return undefined;
        return (await UniswapV3Pool__factory.connect(pool, provider).liquidity()) > 0n ? fee : undefined;
      }),
    );
    return fees.filter((fee) => fee !== undefined);
  }

  return {
    async routes(tokenIn, tokenOut) {
      const middles = between.filter((token) => token !== tokenIn && token !== tokenOut);
      const [direct, ...hops] = await Promise.all([
        feesOf(tokenIn, tokenOut),
        ...middles.map(async (middle) => {
          const [first, second] = await Promise.all([feesOf(tokenIn, middle), feesOf(middle, tokenOut)]);
          return first.flatMap((a) => second.map((b) => encodePath([tokenIn, middle, tokenOut], [a, b])));
        }),
      ]);
      return [...direct.map((fee) => encodePath([tokenIn, tokenOut], [fee])), ...hops.flat()];
    },

    async quote(route, amount, block) {
      try {
        const [out] = await quoter.quoteExactInput.staticCall(route, amount, { blockTag: block });
        return out;
      } catch (error) {
        // A pool that cannot answer reverts; a node that cannot is another matter.
        if (isRevert(error)) return undefined;
        throw error;
      }
    },
  };
}
