import type { BlockTag, Provider } from "ethers";

import type { MarketAddresses } from "../addresses.ts";
import { sqrtPriceAtTick } from "../core/grid.ts";
import { Q128 } from "../core/math.ts";
import {
  AggregatorV3Interface__factory,
  ITwapPool__factory,
  InverseOracleAdapter__factory,
  OracleAdapter__factory,
} from "../types/index.ts";
import { type Contracts, providerOf } from "./connect.ts";

// What each of an oracle's two sources says by itself, as the adapter would read it; for people to look at.

export interface PriceSource {
  kind: "feed" | "pool";
  /** Q128, whole debt tokens per whole collateral token; none: it does not answer. */
  price?: bigint;
  /** Seconds since the older of its feeds' answers; a pool's mean is of now. */
  age?: bigint;
  /** Older than the adapter believes. */
  isStale: boolean;
  /** Of a pool's mean, seconds. */
  window?: bigint;
}

/** The adapter with the sources: a mirrored market's reads another one. */
export async function adapterOf(contracts: Contracts, oracle: string, block: BlockTag = "latest") {
  const provider = providerOf(contracts);
  const mirrored = await InverseOracleAdapter__factory.connect(oracle, provider)
    .MIRRORED({ blockTag: block })
    .catch(() => undefined);
  return {
    adapter: OracleAdapter__factory.connect(mirrored ?? oracle, provider),
    isMirrored: mirrored !== undefined,
  };
}

/** An adapter that the SDK does not know has no sources to show. */
export async function readSources(
  contracts: Contracts,
  market: MarketAddresses,
  block: BlockTag = "latest",
): Promise<PriceSource[]> {
  const provider = providerOf(contracts);
  const at = { blockTag: block };
  const { adapter, isMirrored } = await adapterOf(contracts, market.oracle, block);
  const [config, header] = await Promise.all([
    adapter.config(at).catch(() => undefined),
    provider.getBlock(block),
  ]);
  if (!config || !header) return [];
  const now = BigInt(header.timestamp);
  const inverted = (price: bigint) => (!isMirrored || price === 0n ? price : (Q128 * Q128) / price);

  const ofFeeds = async (collateral: Feed, debt: Feed): Promise<PriceSource> => {
    try {
      const [c, d] = await Promise.all([
        answerOf(collateral, provider, block),
        answerOf(debt, provider, block),
      ]);
      const age = now - (c.updatedAt < d.updatedAt ? c.updatedAt : d.updatedAt);
      const isStale = now - c.updatedAt > collateral.maxAge || now - d.updatedAt > debt.maxAge;
      const price = (c.answer * 10n ** d.decimals * Q128) / (d.answer * 10n ** c.decimals);
      return { kind: "feed", price: inverted(price), age, isStale };
    } catch {
      return { kind: "feed", isStale: false };
    }
  };

  const first = await ofFeeds(config.collateralFeed, config.debtFeed);
  const window = config.twapWindow;
  if (BigInt(config.pool) === 0n) {
    return [first, await ofFeeds(config.secondCollateralFeed, config.secondDebtFeed)];
  }
  try {
    const pool = ITwapPool__factory.connect(config.pool, provider);
    const [token0, [cumulatives]] = await Promise.all([
      pool.token0(at),
      pool.observe([window, 0], at) as unknown as Promise<[[bigint, bigint]]>,
    ]);
    const { collateral, debt } = isMirrored ? swapped(market.decimals) : market.decimals;
    const root = sqrtPriceAtTick(floorDiv(cumulatives[1] - cumulatives[0], window));
    const ratio = (root * root) >> 64n; // token1's smallest units per token0's, Q128
    const raw = token0 === config.collateral ? ratio : (Q128 * Q128) / ratio;
    const price = (raw * 10n ** BigInt(collateral)) / 10n ** BigInt(debt);
    return [first, { kind: "pool", price: inverted(price), isStale: false, window }];
  } catch {
    return [first, { kind: "pool", isStale: false, window }];
  }
}

interface Feed {
  feed: string;
  maxAge: bigint;
}

interface Answer {
  answer: bigint;
  decimals: bigint;
  updatedAt: bigint;
}

/** No feed means a token that is the unit itself. */
async function answerOf({ feed }: Feed, provider: Provider, block: BlockTag): Promise<Answer> {
  if (BigInt(feed) === 0n) return { answer: 1n, decimals: 0n, updatedAt: 2n ** 64n };
  const contract = AggregatorV3Interface__factory.connect(feed, provider);
  const [[, answer, , updatedAt], decimals] = await Promise.all([
    contract.latestRoundData({ blockTag: block }),
    contract.decimals({ blockTag: block }),
  ]);
  return { answer, decimals, updatedAt };
}

function floorDiv(a: bigint, b: bigint): number {
  return Number(a >= 0n ? a / b : -((-a + b - 1n) / b));
}

function swapped({ collateral, debt }: MarketAddresses["decimals"]): MarketAddresses["decimals"] {
  return { collateral: debt, debt: collateral };
}
