import type { Addresses } from "@breakwater/sdk/addresses";
import {
  type Contracts,
  type LiquidationView,
  type MarketReading,
  type PriceState,
  type Venue,
  bestRoutes,
  bestSale,
  connect,
  explainRevert,
  openMarkets,
  uniswap,
} from "@breakwater/sdk/chain";
import {
  BPS,
  WAD,
  bestSize,
  ceilDiv,
  distanceToLiquidation,
  ladder,
  liquidationPriceOf,
  refine,
} from "@breakwater/sdk/core";
import { InverseOracleAdapter__factory, TestToken__factory } from "@breakwater/sdk/types";
import { MaxUint256, type Provider, toQuantity } from "ethers";

import { type Executable, isUnanswered, offerOf, readExecutable } from "./orders/collect.ts";
import type { MarketSnapshot, Offer, OrderOffer, Recorded, Snapshot } from "./snapshot.ts";

// One block's snapshot. Idle, it is one batch of requests, that is, one round trip: the header, the going fees, the Lens'
// view of all markets, their executable orders, the oracles' records and the sequencer's grace. Only where something can be
// done more is asked.

/** Sends what is asked at once in one batch. */
export type Node = Provider & { send: (method: string, params: unknown[]) => Promise<unknown> };

export interface Sources {
  provider: Node;
  contracts: Contracts;
  readMarkets: Awaited<ReturnType<typeof openMarkets>>;
  venue: Venue;
  /** Where the chain's coin, wrapped, is traded. */
  coin: string;
  /** By vault: where its collateral can be sold for its debt. */
  saleRoutes: Map<string, string[]>;
  /** By token: where the coin can be sold for it; none: it is that coin. */
  coinRoutes: Map<string, string[]>;
  /** The timestamp for which the routes were looked up; 0: when opening. */
  routesAt: bigint;
  /** By a market's oracle: the adapter that keeps the record; undefined: none does. */
  recorders: Map<string, string | undefined>;
  /** Whose debt tokens may be used, if any. */
  account: string | undefined;
}

/** Above every tick: the sweep starts at the top. */
export const FROM_THE_TOP = 2 ** 23 - 1;

const LADDER = 6;
/** Of what can be seized: moves no pool. */
const LITTLE = 1_000n;
/** Blocks, of which the greatest usual tip counts. */
const FEE_HISTORY = 4;
/** Seconds after which pools may have come and gone. */
const ROUTES_PERIOD = 3_600n;
const CASCADE_CAP = 7n; // of the Lens' verdicts
/** As the adapter numbers what it saw: Above and Below are Diverged. */
const SEEN: readonly PriceState[] = ["Fresh", "Single", "Dead", "Diverged", "Diverged"];

export async function openSources(addresses: Addresses, provider: Node, account?: string): Promise<Sources> {
  const contracts = connect(addresses, provider);
  const coin = await contracts.router.WETH9();
  const listed = addresses.markets.flatMap(({ collateral, debt }) => [collateral, debt]);
  const sources: Sources = {
    provider,
    contracts,
    readMarkets: await openMarkets(contracts, provider),
    venue: uniswap(contracts, provider, [coin, ...listed]),
    coin,
    saleRoutes: new Map(),
    coinRoutes: new Map(),
    routesAt: 0n,
    recorders: new Map(),
    account,
  };
  await Promise.all([
    findRoutes(sources),
    ...addresses.markets.map(async ({ oracle }) => findRecorder(sources, oracle)),
  ]);
  return sources;
}

/** @param maxTicks of one liquidation. @param fromTick what is above is not looked at. */
export async function collect(
  sources: Sources,
  block: number,
  maxTicks: number,
  fromTick = FROM_THE_TOP,
): Promise<Snapshot> {
  const { provider, contracts } = sources;
  const unreadable: Snapshot["unreadable"] = [];
  const [header, fees, sequencerGrace, records, orders, readings] = await Promise.all([
    provider.getBlock(block),
    readFees(provider, block),
    contracts.brake.sequencerGraceDue({ blockTag: block }),
    readRecords(sources, block),
    readExecutable(
      contracts,
      contracts.addresses.markets.map(({ vault }) => vault),
      block,
    ),
    sources.readMarkets(block, (id, error) => unreadable.push({ id, words: explainRevert(error).words })),
  ]);
  if (!header?.hash) throw new Error(`the node does not know block ${block}`);
  const timestamp = BigInt(header.timestamp);
  const markets = await Promise.all(
    readings.map(async (reading) => {
      const { oracle } = reading.view;
      if (!sources.recorders.has(oracle)) {
        // The governor has set another oracle since.
        const recorder = await findRecorder(sources, oracle);
        if (recorder) records.set(recorder, await readRecord(sources, recorder, block));
      }
      const recorder = sources.recorders.get(oracle);
      const recorded = recorder === undefined ? undefined : records.get(recorder);
      const isCalm = reading.priceState === "Fresh" && recorded?.state === "Fresh";
      const [market, apartAt] = await Promise.all([
        collectMarket(sources, reading, { block, maxTicks, fromTick }),
        // Of no use while nothing is apart, and a request for every oracle in every block.
        recorder === undefined || isCalm ? 0n : readApartAt(sources, recorder, block),
      ]);
      return {
        ...market,
        orders: await collectOrders(sources, reading, orders, block),
        oracle: recorder ?? oracle,
        recorded: recorded && { ...recorded, apartAt },
      };
    }),
  );
  const isIdle = markets.every(({ offers, orders: found }) => offers.length + found.length === 0);
  if (isIdle && timestamp - sources.routesAt >= ROUTES_PERIOD) {
    if (sources.routesAt > 0n) await findRoutes(sources);
    sources.routesAt = timestamp;
  }
  return { block, hash: header.hash, timestamp, ...fees, sequencerGrace, markets, unreadable };
}

async function readFees(
  provider: Node,
  block: number,
): Promise<Pick<Snapshot, "baseFee" | "tip" | "gasPrice">> {
  const history = (await provider.send("eth_feeHistory", [
    toQuantity(FEE_HISTORY),
    toQuantity(block),
    [50],
  ])) as { baseFeePerGas: string[]; reward?: string[][] };
  // Its last entry is the next block's.
  const baseFee = BigInt(history.baseFeePerGas.at(-1)!);
  let tip = 0n;
  for (const [reward = "0x0"] of history.reward ?? []) if (BigInt(reward) > tip) tip = BigInt(reward);
  return { baseFee, tip, gasPrice: baseFee + tip };
}

// ------------------------------------------------------------------ oracles' records

/** Of two oracles that mirror each other one keeps the record for both. */
async function findRecorder(sources: Sources, oracle: string): Promise<string | undefined> {
  const { provider, contracts, recorders } = sources;
  const mirrored = await unlessReverted(InverseOracleAdapter__factory.connect(oracle, provider).MIRRORED());
  const adapter = mirrored ?? oracle;
  const record = await unlessReverted(contracts.oracle({ oracle: adapter }).lastFresh());
  const recorder = record && adapter;
  recorders.set(oracle, recorder);
  return recorder;
}

type LastFresh = Omit<Recorded, "apartAt">;

async function readRecords(sources: Sources, block: number): Promise<Map<string, LastFresh | undefined>> {
  const recorders = new Set([...sources.recorders.values()].filter((recorder) => recorder !== undefined));
  return new Map(
    await Promise.all(
      [...recorders].map(async (recorder) => [recorder, await readRecord(sources, recorder, block)] as const),
    ),
  );
}

async function readRecord(
  { contracts }: Sources,
  oracle: string,
  block: number,
): Promise<LastFresh | undefined> {
  const last = await unlessReverted(contracts.oracle({ oracle }).lastFresh({ blockTag: block }));
  return last && { state: SEEN[Number(last.seen)]!, round: last.round, freshAt: last.time };
}

async function readApartAt({ contracts }: Sources, oracle: string, block: number): Promise<bigint> {
  return (await unlessReverted(contracts.oracle({ oracle }).history({ blockTag: block })))?.seenAt ?? 0n;
}

/** A contract without the function may answer with a revert or with nothing. */
async function unlessReverted<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isUnanswered(error)) return undefined;
    throw error;
  }
}

// ------------------------------------------------------------------ venues

async function findRoutes({ contracts, venue, coin, saleRoutes, coinRoutes }: Sources): Promise<void> {
  const { markets } = contracts.addresses;
  const tokens = new Set(markets.flatMap(({ collateral, debt }) => [collateral, debt]));
  tokens.delete(coin);
  await Promise.all([
    ...markets.map(async ({ vault, collateral, debt }) =>
      saleRoutes.set(vault, await venue.routes(collateral, debt)),
    ),
    ...[...tokens].map(async (token) => coinRoutes.set(token, await venue.routes(coin, token))),
  ]);
}

/** Token units for a whole coin. */
async function readCoinPrice(
  { venue, coin, coinRoutes }: Sources,
  token: string,
  block: number,
): Promise<bigint | undefined> {
  if (token === coin) return WAD;
  const sale = await bestSale(venue, coinRoutes.get(token)!, WAD, block);
  return sale && sale.proceeds > 0n ? sale.proceeds : undefined;
}

// ------------------------------------------------------------------ protection orders

async function collectOrders(
  sources: Sources,
  { addresses: { vault } }: MarketReading,
  orders: readonly Executable[],
  block: number,
): Promise<OrderOffer[]> {
  return Promise.all(
    orders
      .filter(({ market }) => market === vault)
      .map(async (order) =>
        offerOf(order, {
          venue: sources.venue,
          routes: sources.saleRoutes.get(vault)!,
          block,
          coinPrice: async (token) => readCoinPrice(sources, token, block),
        }),
      ),
  );
}

// ------------------------------------------------------------------ a market

/** What to ask the Lens for. */
interface Question {
  block: number;
  maxTicks: number;
  fromTick: number;
}

async function collectMarket(
  sources: Sources,
  reading: MarketReading,
  question: Question,
): Promise<Omit<MarketSnapshot, "oracle" | "orders" | "recorded">> {
  const { addresses, symbols, view, priceState, brake } = reading;
  const { vault, debt } = addresses;
  const snapshot: Omit<MarketSnapshot, "oracle" | "orders" | "recorded"> = {
    id: addresses.id,
    vault,
    debt,
    debtSymbol: symbols.debt,
    debtDecimals: addresses.decimals.debt,
    priceState,
    round: view.price.roundA,
    ramp: view.rampElapsed < view.ramp.duration ? { halted: view.ramp.halted } : undefined,
    brake,
    nearest: nearestOf(reading),
    liquidatableTicks: 0,
    insolventTicks: 0,
    cascadeCapped: false,
    potDebt: view.potDebt,
    coinPrice: undefined,
    inventory: 0n,
    little: undefined,
    offers: [],
  };
  const isGrace = brake.level === "Grace";
  const isClosed =
    priceState === "Dead" || brake.level === "LiquidationsPaused" || (isGrace && priceState !== "Fresh");
  const hasWork = view.potDebt > 0n || (view.populated && view.topTick >= view.triggerTick);
  if (isClosed || !hasWork) return snapshot;

  const { block } = question;
  const [everything, top, coinPrice, inventory] = await Promise.all([
    askLens(sources, vault, question, MaxUint256),
    // What it may not seize, the Lens does not count.
    priceState === "Fresh" ? [] : readTicks(sources, vault, question),
    readCoinPrice(sources, debt, block),
    sources.account === undefined
      ? 0n
      : TestToken__factory.connect(debt, sources.provider).balanceOf(sources.account, { blockTag: block }),
  ]);
  snapshot.liquidatableTicks = Number(everything.ticks);
  // What it may not seize, the Lens does not count.
  snapshot.insolventTicks =
    priceState === "Fresh" ? Number(everything.ticksSeized) : top.filter(({ insolvent }) => insolvent).length;
  if (isGrace) return snapshot; // nothing is sold
  snapshot.cascadeCapped = everything.verdict === CASCADE_CAP;
  snapshot.coinPrice = coinPrice;
  snapshot.inventory = inventory;
  const little = inventory > 0n ? everything.seized / LITTLE : 0n;
  const [offers, sale] = await Promise.all([
    findOffers(sources, vault, question, everything, inventory),
    bestSale(sources.venue, sources.saleRoutes.get(vault)!, little, block),
  ]);
  snapshot.offers = offers;
  snapshot.little = sale && { collateral: little, proceeds: sale.proceeds };
  if (everything.repaid > 0n && !snapshot.offers.some(pays)) {
    // Near insolvency the bonus shrinks: what is below may pay nevertheless.
    const [highest, ...others] = await readTicks(sources, vault, question);
    const cheapest = others
      .filter(({ liquidatable, insolvent }) => liquidatable && !insolvent)
      .reduce((best, tick) => (tick.salePrice < best.salePrice ? tick : best), highest!);
    if (cheapest !== highest) {
      const below = { ...question, fromTick: Number(cheapest.tick) };
      const rest = await askLens(sources, vault, below, MaxUint256);
      snapshot.offers.push(...(await findOffers(sources, vault, below, rest, inventory)));
    }
  }
  return snapshot;
}

async function readTicks({ contracts }: Sources, vault: string, { block, maxTicks, fromTick }: Question) {
  return contracts.lens.ticks(vault, fromTick, maxTicks, { blockTag: block });
}

async function askLens(
  { contracts }: Sources,
  vault: string,
  { block, maxTicks, fromTick }: Question,
  maxRepay: bigint,
): Promise<LiquidationView> {
  return contracts.lens.liquidation(vault, maxRepay, fromTick, maxTicks, true, { blockTag: block });
}

/** Of the sizes that may earn most, at most what repays `everything`; one of them is the account's `inventory`. */
async function findOffers(
  sources: Sources,
  vault: string,
  question: Question,
  everything: LiquidationView,
  inventory: bigint,
): Promise<Offer[]> {
  const { venue, saleRoutes } = sources;
  const { block, fromTick } = question;
  const greatest = everything.repaid;
  const ask = async (size: bigint) => ({
    size,
    view: size === greatest ? everything : await askLens(sources, vault, question, size),
  });
  const sizes = new Set([...ladder(greatest, LADDER), ...ladder((3n * greatest) / 4n, LADDER / 2)]);
  if (inventory > 0n && inventory < greatest) sizes.add(inventory);
  const [asked, routes] = await Promise.all([
    Promise.all([...sizes].map(ask)),
    bestRoutes(venue, saleRoutes.get(vault)!, ladder(everything.seized, LADDER), block),
  ]);
  const sell = async ({ size: maxRepay, view }: (typeof asked)[number]): Promise<Offer> => {
    const { repaid, seized, gainLow, ticks } = view;
    const sale = await bestSale(venue, routes, seized, block);
    return { fromTick, maxRepay, repaid, seized, value: repaid + gainLow, ticks: Number(ticks), sale };
  };
  const offers = await Promise.all(asked.map(sell));
  const quotes = offers.flatMap(({ maxRepay, repaid, sale }) =>
    sale ? [{ size: maxRepay, profit: sale.proceeds - repaid }] : [],
  );
  // Where the pool is deep all is best, and nearly all hardly better: no time is lost on it.
  const finer = bestSize(quotes)?.size === greatest ? [] : refine(quotes, greatest / 64n);
  return [...offers, ...(await Promise.all(finer.map(async (size) => sell(await ask(size)))))];
}

function pays({ sale, repaid }: Offer): boolean {
  return sale !== undefined && sale.proceeds > repaid;
}

function nearestOf({ view, state, priceState }: MarketReading): MarketSnapshot["nearest"] {
  if (!view.populated || priceState === "Dead") return undefined;
  const tick = Number(view.topTick);
  // Insolvent: what its collateral is worth no longer covers the debt and the least bonus.
  const { liquidationThreshold, bonusMin } = view.risk;
  const seizurePrice =
    (liquidationPriceOf(tick, state) * liquidationThreshold * (BPS + bonusMin)) / (BPS * BPS);
  return {
    tick,
    distance: distanceToLiquidation(tick, state),
    toSeizure: WAD - ceilDiv(seizurePrice * WAD, state.priceHigh),
  };
}
