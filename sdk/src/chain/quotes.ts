import { type BlockTag, type Provider, ZeroAddress, dataSlice } from "ethers";

import { WAD } from "../core/math.ts";
import { type QuoterV2, type UniswapV3Factory, UniswapV3Pool__factory } from "../types/index.ts";
import { isRevert } from "./errors.ts";
import { encodePath } from "./paths.ts";

// Uniswap v3: which pools there are, and what a sale on them brings.

const MILLION = 1_000_000n;

/** Fees, in millionths, that Uniswap v3 pools have. */
const FEES = [100n, 500n, 3_000n, 10_000n];

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
  block: BlockTag,
): Promise<SaleQuote | undefined> {
  const quotes = await answers(paths, amount, async (path) => {
    const [out] = await quoter.quoteExactInput.staticCall(path, amount, { blockTag: block });
    return { path, out };
  });
  return quotes.sort((a, b) => Number(b.out > a.out) - Number(b.out < a.out))[0];
}

/** A path leads from what is bought to what is sold, as Uniswap's router wants it. */
export interface PurchaseQuote {
  path: string;
  cost: bigint;
}

/** The best of the reversed `paths` for buying `amount` at `block`; none if no pool can give it. */
export async function quotePurchase(
  quoter: QuoterV2,
  paths: readonly string[],
  amount: bigint,
  block: BlockTag,
): Promise<PurchaseQuote | undefined> {
  const quotes = await answers(paths, amount, async (path) => {
    const [cost] = await quoter.quoteExactOutput.staticCall(path, amount, { blockTag: block });
    return { path, cost };
  });
  return quotes.sort((a, b) => Number(b.cost < a.cost) - Number(b.cost > a.cost))[0];
}

async function answers<Q>(
  paths: readonly string[],
  amount: bigint,
  ask: (path: string) => Promise<Q>,
): Promise<Q[]> {
  if (amount === 0n) return [];
  const quotes = await Promise.all(
    paths.map(async (path) =>
      ask(path).catch((error: unknown) => {
        // A pool that cannot answer reverts; a node that cannot is another matter.
        if (isRevert(error)) return undefined;
        throw error;
      }),
    ),
  );
  return quotes.filter((quote) => quote !== undefined);
}

/** What the pools of a path take of what is sold, WAD. */
export function feeOfPath(path: string): bigint {
  const pools = ((path.length - 2) / 2 - 20) / 23;
  const fees = Array.from({ length: pools }, (_, at) => BigInt(dataSlice(path, at * 23 + 20, at * 23 + 23)));
  return WAD - fees.reduce((kept, fee) => (kept * (MILLION - fee)) / MILLION, WAD);
}
