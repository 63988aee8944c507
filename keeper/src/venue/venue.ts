import type { Sale } from "../snapshot.ts";

// Where one token is sold for another.

export interface Venue {
  /** Every route from one token to another that there is now: Uniswap v3 paths, as FlashLiquidator takes them. */
  routes: (tokenIn: string, tokenOut: string) => Promise<string[]>;
  /** What `amount` of the route's first token brings at `block`; undefined: it cannot take that much. */
  quote: (route: string, amount: bigint, block: number) => Promise<bigint | undefined>;
}

/** The best of `routes` for all of `amount`. */
export async function bestSale(
  venue: Venue,
  routes: readonly string[],
  amount: bigint,
  block: number,
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

/** So many are all asked for every amount. */
const FEW = 3;

/** Those of `routes` that are the best for one of the `amounts`; a few are taken as they are. */
export async function bestRoutes(
  venue: Venue,
  routes: readonly string[],
  amounts: readonly bigint[],
  block: number,
): Promise<string[]> {
  if (routes.length <= FEW) return [...routes];
  const sales = await Promise.all(amounts.map(async (amount) => bestSale(venue, routes, amount, block)));
  return [...new Set(sales.flatMap((sale) => (sale ? [sale.path] : [])))];
}
