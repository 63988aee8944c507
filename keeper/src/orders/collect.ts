import { type Contracts, type Venue, bestPurchase, bestSale, reversePath } from "@breakwater/sdk/chain";

import type { OrderOffer } from "../snapshot.ts";

// The owners' protection orders that can be executed now: one call a market finds them, more is asked only for those.

/** Orders of one call: nodes bound its gas. */
const PAGE = 200n;

export type Executable = Awaited<ReturnType<Contracts["protectionOrders"]["executable"]>>["found"][number];

interface Market {
  venue: Venue;
  /** From its collateral to its debt token. */
  routes: readonly string[];
  block: number;
  coinPrice: (token: string) => Promise<bigint | undefined>;
}

export async function readExecutable(
  { protectionOrders }: Contracts,
  vault: string,
  block: number,
): Promise<Executable[]> {
  const page = async (from: bigint) => protectionOrders.executable(vault, from, PAGE, { blockTag: block });
  const { found, total } = await page(0n);
  const more = Array.from({ length: Math.ceil(Number(total) / Number(PAGE)) - 1 }, (_, at) =>
    page(PAGE * BigInt(at + 1)),
  );
  return [...found, ...(await Promise.all(more)).flatMap((each) => [...each.found])];
}

/** With the best way of its sale, if one keeps its bounds, and with what its tip is worth. */
export async function offerOf({ id, quote }: Executable, market: Market): Promise<OrderOffer> {
  const [path, coinPrice] = await Promise.all([pathOf(quote, market), market.coinPrice(quote.tipToken)]);
  return { id, tip: quote.tip, coinPrice, path };
}

async function pathOf(
  { exactOut, amount, limit }: Executable["quote"],
  { venue, routes, block }: Market,
): Promise<string | undefined> {
  if (amount === 0n) return "0x";
  if (exactOut) {
    const purchase = await bestPurchase(venue, routes.map(reversePath), amount, block);
    return purchase && purchase.cost <= limit ? purchase.path : undefined;
  }
  const sale = await bestSale(venue, routes, amount, block);
  return sale && sale.proceeds >= limit ? sale.path : undefined;
}
