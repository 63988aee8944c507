import { type Provider, ZeroAddress, concat, dataSlice, getAddress, toBeHex } from "ethers";

import { type QuoterV2, type UniswapV3Factory, UniswapV3Pool__factory } from "../types/index.ts";

// Uniswap v3: which pools there are, and what a sale on them brings.

/** Fees, in millionths, that Uniswap v3 pools have. */
const FEES = [100n, 500n, 3_000n, 10_000n];

/** A Uniswap v3 path: token, fee, token, and so on. */
export function encodePath(tokens: readonly string[], fees: readonly bigint[]): string {
  if (fees.length === 0 || tokens.length !== fees.length + 1) {
    throw new RangeError(
      `a path of ${tokens.length} tokens needs ${tokens.length - 1} fees, not ${fees.length}`,
    );
  }
  return concat(tokens.flatMap((token, at) => (at === 0 ? [token] : [toBeHex(fees[at - 1]!, 3), token])));
}

/** The tokens of a path. */
export function tokensOfPath(path: string): string[] {
  const count = ((path.length - 2) / 2 - 20) / 23 + 1;
  return Array.from({ length: count }, (_, at) => getAddress(dataSlice(path, at * 23, at * 23 + 20)));
}

/** Paths of one pool each, from `tokenIn` to `tokenOut`, for the pools that exist and have liquidity. */
export async function directPaths(
  factory: UniswapV3Factory,
  provider: Provider,
  tokenIn: string,
  tokenOut: string,
): Promise<string[]> {
  const paths = await Promise.all(
    FEES.map(async (fee) => {
      const pool = await factory.getPool(tokenIn, tokenOut, fee);
      if (pool === ZeroAddress) return undefined;
      const liquidity = await UniswapV3Pool__factory.connect(pool, provider).liquidity();
      return liquidity === 0n ? undefined : encodePath([tokenIn, tokenOut], [fee]);
    }),
  );
  return paths.filter((path) => path !== undefined);
}

export interface SaleQuote {
  path: string;
  out: bigint;
}

/** The best of `paths` for selling `amount` at `block`; none if no pool can take it. */
export async function quoteSale(
  quoter: QuoterV2,
  paths: readonly string[],
  amount: bigint,
  block: number,
): Promise<SaleQuote | undefined> {
  if (amount === 0n) return undefined;
  const quotes = await Promise.all(
    paths.map(async (path) => {
      try {
        const [out] = await quoter.quoteExactInput.staticCall(path, amount, { blockTag: block });
        return { path, out };
      } catch (error) {
        // A pool that cannot answer reverts; a node that cannot is another matter.
        if (isRevert(error)) return undefined;
        throw error;
      }
    }),
  );
  return quotes.reduce<SaleQuote | undefined>(
    (best, quote) => (quote && (!best || quote.out > best.out) ? quote : best),
    undefined,
  );
}

function isRevert(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "CALL_EXCEPTION";
}
