import {
  type Contracts,
  type Venue,
  bestPurchase,
  bestSale,
  isRevert,
  reversePath,
} from "@breakwater/sdk/chain";

import type { OrderOffer } from "../snapshot.ts";

// The owners' protection orders that can be executed now: one call finds those of many markets, more is asked only for them.

/** Markets of one call, and orders of each: nodes bound its gas. */
const MARKETS = 20;
const PAGE = 100n;

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
  vaults: readonly string[],
  block: number,
): Promise<Executable[]> {
  const chunks: string[][] = [];
  for (let at = 0; at < vaults.length; at += MARKETS) chunks.push(vaults.slice(at, at + MARKETS));
  return (await Promise.all(chunks.map(readChunk))).flat();

  async function readChunk(chunk: string[]): Promise<Executable[]> {
    const page = async (from: bigint) => protectionOrders.executable(chunk, from, PAGE, { blockTag: block });
    try {
      const { found, longest } = await page(0n);
      const more: ReturnType<typeof page>[] = [];
      for (let from = PAGE; from < longest; from += PAGE) more.push(page(from));
      return [...found, ...(await Promise.all(more)).flatMap((each) => [...each.found])];
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      // One market must not hide the others; and in the past there may have been no contract.
      if (chunk.length === 1) return [];
      return (await Promise.all(chunk.map(async (vault) => readChunk([vault])))).flat();
    }
  }
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

/** By a revert, or by nothing, as where there is no code. */
export function isUnanswered(error: unknown): boolean {
  return isRevert(error) || (error instanceof Error && "code" in error && error.code === "BAD_DATA");
}
