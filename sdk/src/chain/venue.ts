import { type BlockTag, type Provider, ZeroAddress, concat, dataLength, dataSlice, toBeHex } from "ethers";

import { WAD } from "../core/math.ts";
import { UniswapV3Pool__factory } from "../types/index.ts";
import type { Contracts } from "./connect.ts";
import { isRevert } from "./errors.ts";

// Where one token is swapped for another: Uniswap v3, every fee tier, by one pool or by two with a token between.

/** A route is a Uniswap v3 path: token, fee, token, and so on; for a purchase from what is bought to what is sold. */
export interface Venue {
  /** Every route from one token to another that there is now. */
  routes: (tokenIn: string, tokenOut: string) => Promise<string[]>;
  /** What `amount` of the route's first token brings at `block`; undefined: it cannot take that much. */
  quote: (route: string, amount: bigint, block: BlockTag) => Promise<bigint | undefined>;
  /** What `amount` of the first token of a purchase's route costs at `block`; undefined: it cannot give that much. */
  quoteCost: (route: string, amount: bigint, block: BlockTag) => Promise<bigint | undefined>;
}

export interface Sale {
  path: string;
  proceeds: bigint;
}

export interface Purchase {
  path: string;
  cost: bigint;
}

const MILLION = 1_000_000n;

/** Fees, in millionths, that pools have. */
const FEES = [100n, 500n, 3_000n, 10_000n];

/** @param between tokens that a route may pass through; by default those of the markets. */
export function uniswap(
  { factory, quoter, addresses }: Contracts,
  provider: Provider,
  between: readonly string[] = addresses.markets.flatMap(({ collateral, debt }) => [collateral, debt]),
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
      const middles = [...new Set(between)].filter((token) => token !== tokenIn && token !== tokenOut);
      const [direct, ...hops] = await Promise.all([
        feesOf(tokenIn, tokenOut),
        ...middles.map(async (middle) => {
          const [first, second] = await Promise.all([feesOf(tokenIn, middle), feesOf(middle, tokenOut)]);
          return first.flatMap((a) => second.map((b) => encodePath([tokenIn, middle, tokenOut], [a, b])));
        }),
      ]);
      return [...direct.map((fee) => encodePath([tokenIn, tokenOut], [fee])), ...hops.flat()];
    },
    quote: async (route, amount, block) =>
      answer(async () => {
        const [out] = await quoter.quoteExactInput.staticCall(route, amount, { blockTag: block });
        return out;
      }),
    quoteCost: async (route, amount, block) =>
      answer(async () => {
        const [cost] = await quoter.quoteExactOutput.staticCall(route, amount, { blockTag: block });
        return cost;
      }),
  };
}

/** A pool that cannot answer reverts; a node that cannot is another matter. */
async function answer(ask: () => Promise<bigint>): Promise<bigint | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isRevert(error)) return undefined;
    throw error;
  }
}

/** The best of `routes` for selling all of `amount`; none if no pool can take it. */
export async function bestSale(
  venue: Venue,
  routes: readonly string[],
  amount: bigint,
  block: BlockTag,
): Promise<Sale | undefined> {
  if (amount === 0n) return undefined;
  const sales = await Promise.all(
    routes.map(async (path) => ({ path, proceeds: await venue.quote(path, amount, block) })),
  );
  let best: Sale | undefined;
  for (const { path, proceeds } of sales) {
    if (proceeds !== undefined && (!best || proceeds > best.proceeds)) best = { path, proceeds };
  }
  return best;
}

/** The best of `routes`, from what is bought to what is sold, for buying all of `amount`; none if no pool can give it. */
export async function bestPurchase(
  venue: Venue,
  routes: readonly string[],
  amount: bigint,
  block: BlockTag,
): Promise<Purchase | undefined> {
  if (amount === 0n) return undefined;
  const purchases = await Promise.all(
    routes.map(async (path) => ({ path, cost: await venue.quoteCost(path, amount, block) })),
  );
  let best: Purchase | undefined;
  for (const { path, cost } of purchases) {
    if (cost !== undefined && (!best || cost < best.cost)) best = { path, cost };
  }
  return best;
}

/** So many are all asked for every amount. */
const FEW = 3;

/** Those of `routes` that are the best for one of the `amounts`; a few are taken as they are. */
export async function bestRoutes(
  venue: Venue,
  routes: readonly string[],
  amounts: readonly bigint[],
  block: BlockTag,
): Promise<string[]> {
  if (routes.length <= FEW) return [...routes];
  const sales = await Promise.all(amounts.map(async (amount) => bestSale(venue, routes, amount, block)));
  return [...new Set(sales.flatMap((sale) => (sale ? [sale.path] : [])))];
}

export function encodePath(tokens: readonly string[], fees: readonly bigint[]): string {
  if (fees.length === 0 || tokens.length !== fees.length + 1) {
    throw new RangeError(
      `a path of ${tokens.length} tokens needs ${tokens.length - 1} fees, not ${fees.length}`,
    );
  }
  return concat(tokens.flatMap((token, at) => (at === 0 ? [token] : [toBeHex(fees[at - 1]!, 3), token])));
}

/** The same path from its other end: a purchase's from a sale's. */
export function reversePath(path: string): string {
  const parts: string[] = [];
  for (let at = 0, size = 20; at < dataLength(path); at += size, size = 23 - size) {
    parts.unshift(dataSlice(path, at, at + size));
  }
  return concat(parts);
}

/** What the pools of a path take of what is sold, WAD. */
export function feeOfPath(path: string): bigint {
  const pools = ((path.length - 2) / 2 - 20) / 23;
  const fees = Array.from({ length: pools }, (_, at) => BigInt(dataSlice(path, at * 23 + 20, at * 23 + 23)));
  return WAD - fees.reduce((kept, fee) => (kept * (MILLION - fee)) / MILLION, WAD);
}
