// What Uniswap v3 takes of a market's collateral: the liquidity of the pair's pool, read range by range.
import type { MarketAddresses } from "@breakwater/sdk/addresses";
import type { Contracts } from "@breakwater/sdk/chain";
import { BORROW_INDEX_ONE, type MarketState } from "@breakwater/sdk/core";
import { UniswapV3Pool__factory } from "@breakwater/sdk/types";
import { type BlockTag, type Provider, ZeroAddress } from "ethers";

import { type Pool, sellable } from "./market.ts";

/** Fees, in millionths, that pools have. */
const FEES = [100, 500, 3_000, 10_000] as const;
/** Liquidity between these factors of the price counts. */
const WITHIN = { down: 0.02, up: 4 };
const WORD = 256;

/** The deepest pool of the pair: where selling takes the price down by 5 % only after the most. Undefined: none has liquidity. */
export async function readPool(
  { factory }: Pick<Contracts, "factory">,
  provider: Provider,
  market: MarketAddresses,
  refills: number,
  block: BlockTag,
): Promise<Pool | undefined> {
  const pools = await Promise.all(
    FEES.map(async (fee) => {
      const address = await factory.getPool(market.collateral, market.debt, fee, { blockTag: block });
      return address === ZeroAddress
        ? undefined
        : poolAt(address, provider, market, fee / 1e6, refills, block);
    }),
  );
  let deepest: { pool: Pool; depth: number } | undefined;
  for (const found of pools) {
    if (found === undefined) continue;
    const depth = sellable(found.pool, found.price, 0.95 * found.price);
    if (depth > (deepest?.depth ?? 0)) deepest = { pool: found.pool, depth };
  }
  return deepest?.pool;
}

/** Prices in whole debt tokens per whole collateral token. */
async function poolAt(
  address: string,
  provider: Provider,
  { collateral, debt, decimals }: MarketAddresses,
  fee: number,
  refills: number,
  block: BlockTag,
): Promise<{ pool: Pool; price: number } | undefined> {
  const pool = UniswapV3Pool__factory.connect(address, provider);
  const at = { blockTag: block };
  const [{ sqrtPriceX96, tick: now }, active, spacing] = await Promise.all([
    pool.slot0(at),
    pool.liquidity(at),
    pool.tickSpacing(at).then(Number),
  ]);
  if (sqrtPriceX96 === 0n) return undefined;

  const tick = Number(now);
  const [up, down] = [WITHIN.up, WITHIN.down].map((factor) => Math.log(factor) / Math.log(1.0001)) as [
    number,
    number,
  ];
  // A pool's price is token1 for token0: the market's, or its inverse.
  const straight = BigInt(collateral) < BigInt(debt);
  const [from, to] = straight ? [tick + down, tick + up] : [tick - up, tick - down];
  const wordOf = (raw: number) => Math.floor(raw / spacing / WORD);
  const words = Array.from({ length: wordOf(to) - wordOf(from) + 1 }, (_, i) => wordOf(from) + i);
  const bitmaps = await Promise.all(words.map(async (word) => pool.tickBitmap(word, at)));
  const edges = bitmaps.flatMap((bits, i) =>
    Array.from({ length: WORD }, (_, bit) => bit)
      .filter((bit) => (bits >> BigInt(bit)) & 1n)
      .map((bit) => (words[i]! * WORD + bit) * spacing),
  );
  const nets = await Promise.all(edges.map(async (edge) => (await pool.ticks(edge, at)).liquidityNet));

  const { collateral: dc, debt: dd } = decimals;
  const priceOf = (raw: number) => (straight ? 1 : -1) * raw * Math.log(1.0001) + (dc - dd) * Math.LN10;
  const scale = 10 ** ((dc + dd) / 2);
  const ranges: Pool["ranges"][number][] = [];
  const add = (lower: number, upper: number, liquidity: bigint) => {
    const [a, b] = [Math.exp(priceOf(lower)), Math.exp(priceOf(upper))];
    if (liquidity > 0n && lower < upper) {
      ranges.push({ from: Math.min(a, b), to: Math.max(a, b), liquidity: Number(liquidity) / scale });
    }
  };
  // Outward from the active range, on either side.
  const above = edges.findIndex((edge) => edge > tick);
  const first = above === -1 ? edges.length : above;
  let [liquidity, upper] = [active, edges[first] ?? to];
  for (let i = first - 1; i >= -1; i--) {
    const lower = edges[i] ?? from;
    add(lower, upper, liquidity);
    if (i >= 0) liquidity -= nets[i]!;
    upper = lower;
  }
  liquidity = active;
  for (let i = first; i < edges.length; i++) {
    liquidity += nets[i]!;
    add(edges[i]!, edges[i + 1] ?? to, liquidity);
  }
  const root = Number(sqrtPriceX96) / 2 ** 96;
  const price = (straight ? root * root : 1 / (root * root)) * 10 ** (dc - dd);
  return { pool: { ranges, fee, refills }, price };
}

/** The same pool in book debt for 10¹⁸ collateral units, which is what ticks are measured in. */
export function inBookUnits(pool: Pool, { units, borrowIndex }: MarketState): Pool {
  const index = Number(borrowIndex) / Number(BORROW_INDEX_ONE);
  const coarser = Number(units.priceMultiplier);
  return {
    ...pool,
    ranges: pool.ranges.map(({ from, to, liquidity }) => ({
      from: (from * coarser) / index,
      to: (to * coarser) / index,
      liquidity: liquidity / Math.sqrt(coarser * index),
    })),
  };
}

/** Debt tokens that selling `amount` of collateral brings, starting at `price`; as much of it as the pool takes. */
export function proceedsOf({ ranges, fee }: Pool, price: number, amount: number): number {
  const edges = [...new Set([price, ...ranges.flatMap(({ from, to }) => [from, to])])]
    .filter((edge) => edge <= price)
    .sort((a, b) => b - a);
  let [left, proceeds] = [amount * (1 - fee), 0];
  for (let at = 1; at < edges.length && left > 0; at++) {
    const [high, low] = [edges[at - 1]!, edges[at]!];
    const liquidity = ranges
      .filter(({ from, to }) => from <= low && to >= high)
      .reduce((sum, range) => sum + range.liquidity, 0);
    if (liquidity === 0) continue;
    const start = 1 / Math.sqrt(high);
    const end = Math.min(1 / Math.sqrt(low), start + left / liquidity);
    proceeds += liquidity * (1 / start - 1 / end);
    left -= liquidity * (end - start);
  }
  return proceeds;
}
