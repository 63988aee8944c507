import { type Contracts, reversePath } from "@breakwater/sdk/chain";

import type { OrderOffer, Sale } from "../snapshot.ts";

// The owners' protection orders that can be executed now: one call a market finds them, more is asked only for those.

/** Orders of one call: nodes bound its gas. */
const PAGE = 200n;

export type Executable = Awaited<ReturnType<Contracts["protectionOrders"]["executable"]>>["found"][number];

export interface Market {
  sale: (amount: bigint) => Promise<Sale | undefined>;
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

/** With the way of its sale, if there is one within its bounds, and with what its tip is worth. */
export async function offerOf({ id, quote }: Executable, { sale, coinPrice }: Market): Promise<OrderOffer> {
  const { exactOut, amount, limit, tip, tipToken } = quote;
  const sold = exactOut ? limit : amount;
  const [best, price] = await Promise.all([sold === 0n ? undefined : sale(sold), coinPrice(tipToken)]);
  const wanted = exactOut ? amount : limit;
  const path = best && best.proceeds >= wanted ? (exactOut ? reversePath(best.path) : best.path) : undefined;
  return {
    id,
    tip,
    coinPrice: price,
    path: sold === 0n ? "0x" : path,
  };
}
