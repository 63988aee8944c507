import type { Addresses } from "@breakwater/sdk/addresses";
import {
  type Contracts,
  type MarketReading,
  type SaleQuote,
  connect,
  directPaths,
  openMarkets,
  quoteSale,
} from "@breakwater/sdk/chain";
import { distanceToLiquidation, ladder, refine } from "@breakwater/sdk/core";
import { MaxUint256, type Provider } from "ethers";

import type { LastPoke, MarketSnapshot, Offer, Snapshot } from "./snapshot.ts";

// One block's snapshot: one Lens call for all markets; where something can be done, quotes of a few sizes.

export interface Sources {
  provider: Provider;
  contracts: Contracts;
  readMarkets: (block: number) => Promise<MarketReading[]>;
  /** By vault: where its collateral can be sold for its debt. */
  salePaths: Map<string, string[]>;
  /** By debt token: where the chain's coin, wrapped, can be sold for it; none: it is that coin. */
  coinPaths: Map<string, string[]>;
  /** By vault. */
  lastPokes: Map<string, LastPoke>;
}

/** Above every tick: the sweep starts at the top. */
export const FROM_THE_TOP = 2 ** 23 - 1;

const COIN = 10n ** 18n;
const LADDER = 6;
const REFINEMENTS = 3;

export async function openSources(addresses: Addresses, provider: Provider): Promise<Sources> {
  const contracts = connect(addresses, provider);
  const { factory, router } = contracts;
  const coin = await router.WETH9();
  const salePaths = new Map<string, string[]>();
  const coinPaths = new Map<string, string[]>();
  for (const { vault, collateral, debt } of addresses.markets) {
    salePaths.set(vault, await directPaths(factory, provider, collateral, debt));
    if (debt !== coin) coinPaths.set(debt, await directPaths(factory, provider, coin, debt));
  }
  const readMarkets = await openMarkets(contracts, provider);
  return { provider, contracts, readMarkets, salePaths, coinPaths, lastPokes: new Map() };
}

export async function collect(sources: Sources, block: number, maxTicks: number): Promise<Snapshot> {
  const { provider } = sources;
  const [readings, header, { gasPrice }] = await Promise.all([
    sources.readMarkets(block),
    provider.getBlock(block),
    provider.getFeeData(),
  ]);
  if (!header) throw new Error(`the node does not know block ${block}`);
  if (gasPrice === null) throw new Error("the node names no gas price");
  const markets = await Promise.all(
    readings.map((reading) => collectMarket(sources, reading, block, maxTicks)),
  );
  return { block, timestamp: BigInt(header.timestamp), gasPrice, markets };
}

async function collectMarket(
  sources: Sources,
  { addresses, symbols, view, state, priceState, brake }: MarketReading,
  block: number,
  maxTicks: number,
): Promise<MarketSnapshot> {
  const { vault, debt } = addresses;
  const isDead = priceState === "Dead";
  const snapshot: MarketSnapshot = {
    id: addresses.id,
    vault,
    debtSymbol: symbols.debt,
    debtDecimals: addresses.decimals.debt,
    oracle: view.oracle,
    priceState,
    round: view.price.roundA,
    lastPoke: sources.lastPokes.get(vault),
    ramp: view.rampElapsed < view.ramp.duration ? { halted: view.ramp.halted } : undefined,
    brake,
    liquidatableTicks: 0,
    insolventTicks: 0,
    potDebt: view.potDebt,
    coinPrice: undefined,
    offers: [],
  };
  if (view.populated && !isDead) {
    const tick = Number(view.topTick);
    snapshot.nearest = { tick, distance: distanceToLiquidation(tick, state) };
  }
  const isGrace = brake.level === "Grace";
  const isClosed = isDead || brake.level === "LiquidationsPaused" || (isGrace && priceState !== "Fresh");
  const hasWork = view.potDebt > 0n || (view.populated && view.topTick >= view.triggerTick);
  if (isClosed || !hasWork) return snapshot;

  const { lens } = sources.contracts;
  const ask = (maxRepay: bigint) =>
    lens.liquidation(vault, maxRepay, FROM_THE_TOP, maxTicks, true, { blockTag: block });
  const everything = await ask(MaxUint256);
  snapshot.liquidatableTicks = Number(everything.ticks);
  snapshot.insolventTicks = Number(everything.ticksSeized);
  if (isGrace) return snapshot; // nothing is sold
  if (priceState !== "Fresh") {
    // What it may not seize, the Lens does not count.
    const top = await lens.ticks(vault, FROM_THE_TOP, maxTicks, { blockTag: block });
    snapshot.insolventTicks = top.filter(({ insolvent }) => insolvent).length;
  }
  if (everything.repaid === 0n) return snapshot;

  const sale = (amount: bigint) =>
    quoteSale(sources.contracts.quoter, sources.salePaths.get(vault)!, amount, block);
  const offerFor = async (size: bigint): Promise<Offer | undefined> => {
    const { repaid, seized, ticks } = await ask(size);
    const quote: SaleQuote | undefined = await sale(seized);
    return (
      quote && { maxRepay: size, repaid, seized, proceeds: quote.out, path: quote.path, ticks: Number(ticks) }
    );
  };
  const greatest = everything.repaid;
  let sizes = ladder(greatest, LADDER);
  for (let round = 0; round <= REFINEMENTS && sizes.length > 0; round++) {
    const offers = await Promise.all(sizes.map(offerFor));
    snapshot.offers.push(...offers.filter((offer) => offer !== undefined));
    const quotes = snapshot.offers.map((o) => ({ size: o.maxRepay, profit: o.proceeds - o.repaid }));
    sizes = refine(quotes, greatest / 64n);
  }
  const coinPaths = sources.coinPaths.get(debt);
  snapshot.coinPrice = coinPaths
    ? (await quoteSale(sources.contracts.quoter, coinPaths, COIN, block))?.out
    : COIN;
  return snapshot;
}
