// What signers look at before they decide: every market, and what the governor has scheduled.
import type { MarketAddresses } from "../addresses.ts";
import { BRAKE_LEVELS, PRICE_STATES } from "../chain/markets.ts";
import {
  AggregatorV3Interface__factory,
  InverseOracleAdapter__factory,
  ITwapPool__factory,
  OracleAdapter__factory,
} from "../types/index.ts";
import { FALLS } from "./cost.ts";
import { type Desk, formatDuration, formatReason } from "./desk.ts";
import { type Scheduled, scheduledOperations } from "./intent.ts";

const NOW_AND_AFTER = [0n, ...FALLS];

export interface Source {
  name: string;
  /** Collateral in debt tokens; none: it does not answer. */
  price?: number;
  ageSeconds?: number;
}

export type MarketStatus = Awaited<ReturnType<typeof marketStatus>>;
export interface Status {
  chainId: number;
  block: number;
  time: bigint;
  markets: MarketStatus[];
  safes: { name: string; address: string; nonce: bigint; threshold: bigint; owners: string[] }[];
  scheduled: Scheduled[];
}

export async function readStatus(desk: Desk, lookBack: number): Promise<Status> {
  const readings = await desk.readMarkets();
  const block = await desk.provider.getBlockNumber();
  const [time, scheduled] = [await desk.now(), await scheduledOperations(desk)];
  const markets: MarketStatus[] = [];
  for (const reading of readings) markets.push(await marketStatus(desk, reading, block, time, lookBack));
  const safes = [];
  for (const [name, address] of Object.entries(desk.addresses.safes)) {
    const safe = desk.safe(address);
    const [nonce, threshold, owners] = [
      await safe.nonce(),
      await safe.getThreshold(),
      await safe.getOwners(),
    ];
    safes.push({ name, address, nonce, threshold, owners: [...owners] });
  }
  return { chainId: desk.chainId, block, time, markets, safes, scheduled };
}

type Reading = Awaited<ReturnType<Desk["readMarkets"]>>[number];

async function marketStatus(desk: Desk, reading: Reading, block: number, time: bigint, lookBack: number) {
  const { addresses: market, view, symbols } = reading;
  const { vault } = market;
  const [state, budgets, atFalls, sources, vetoLeft] = await Promise.all([
    desk.brake.stateOf(vault),
    desk.brake.budgetOf(vault),
    desk.lens.liquidatableUnder(vault, NOW_AND_AFTER),
    readSources(desk, market, time),
    vetoOf(desk, market),
  ]);
  const contract = desk.vault(market);
  const from = Math.max(desk.addresses.startBlock, block - lookBack);
  const events = await contract.queryFilter(contract.filters.Liquidate(), from, block);
  const last = events.at(-1);
  const pots = await contract.queryFilter(contract.filters.ChangePot(), from, block);
  const left = (until: bigint) => (until > time ? until - time : 0n);
  return {
    id: market.id,
    vault,
    symbols,
    decimals: market.decimals,
    price: {
      state: PRICE_STATES[Number(view.price.state)]!,
      low: view.price.low,
      high: view.price.high,
      sources,
      /** Basis points: a day; 0 to 10,000; of new risk now. */
      volatility: view.volatility,
      stress: view.stress,
      maxLtvNow: view.maxLtvNow,
      /** Seconds for which diverged sources may still hold liquidations back. */
      vetoLeft,
    },
    debt: {
      total: view.totalDebt,
      pot: view.potDebt,
      /** By fall in basis points; token units. */
      liquidatable: Object.fromEntries(NOW_AND_AFTER.map((fall, at) => [String(fall), atFalls[at]!])),
    },
    lenders: { cash: view.cash, insurance: view.insurance, utilization: view.utilization },
    keepers: {
      liquidations: events.length,
      sinceBlock: from,
      last: last && {
        block: last.blockNumber,
        time: BigInt((await last.getBlock()).timestamp),
        caller: last.args.caller,
        repaid: last.args.report.repaid,
        ticks: last.args.report.ticks,
      },
      lendersLoss: pots.reduce((sum, { args }) => sum + args.report.lendersLoss, 0n),
    },
    brake: {
      level: BRAKE_LEVELS[Number(state.level)]!,
      pausedFor: left(state.pausedUntil),
      graceFor: left(state.graceUntil),
      noNewRiskFor: left(state.noNewRiskUntil),
      pausedUntil: state.pausedUntil,
      graceUntil: state.graceUntil,
      liquidationPauses: state.liquidationPauses,
      newRiskPauses: state.newRiskPauses,
      reason: formatReason(state.reason),
      reporter: state.reporter,
    },
    budgets: {
      liquidations: budgets.liquidations,
      newRisk: budgets.newRisk,
      sentinelLiquidations: budgets.sentinelLiquidations,
      sentinelNewRisk: budgets.sentinelNewRisk,
    },
    ramp: { duration: view.ramp.duration, elapsed: view.rampElapsed, windingDown: view.windingDown },
    cascade: {
      window: view.cascadeWindow,
      left: view.cascadeLeft,
    },
  };
}

async function adapterOf({ provider }: Desk, { oracle }: MarketAddresses) {
  const mirrored = await InverseOracleAdapter__factory.connect(oracle, provider)
    .MIRRORED()
    .catch(() => undefined);
  return {
    adapter: OracleAdapter__factory.connect(mirrored ?? oracle, provider),
    isMirrored: mirrored !== undefined,
  };
}

async function vetoOf(desk: Desk, market: MarketAddresses): Promise<bigint | undefined> {
  const { adapter } = await adapterOf(desk, market);
  return adapter.vetoLeft().catch(() => undefined);
}

/** What each source says alone, as the adapter would read it. */
export async function readSources(desk: Desk, market: MarketAddresses, time: bigint): Promise<Source[]> {
  const { provider } = desk;
  const { adapter, isMirrored } = await adapterOf(desk, market);
  const config = await adapter.config().catch(() => undefined);
  if (!config) return [];
  const invert = (price: number) => (isMirrored ? 1 / price : price);
  const answer = async ({ feed, maxAge }: { feed: string; maxAge: bigint }) => {
    if (BigInt(feed) === 0n) return { value: 1, age: 0 };
    const contract = AggregatorV3Interface__factory.connect(feed, provider);
    const [[, value, , updatedAt], decimals] = [await contract.latestRoundData(), await contract.decimals()];
    const age = Number(time - updatedAt);
    return { value: Number(value) / 10 ** Number(decimals), age, isStale: age > Number(maxAge) };
  };
  const pair = async (
    name: string,
    collateral: typeof config.collateralFeed,
    debt: typeof config.debtFeed,
  ) => {
    try {
      const [c, d] = [await answer(collateral), await answer(debt)];
      const stale = [c, d].some(({ isStale }) => isStale) ? " (STALE)" : "";
      return {
        name: `${name}${stale}`,
        price: invert(c.value / d.value),
        ageSeconds: Math.max(c.age, d.age),
      };
    } catch {
      return { name: `${name} (does not answer)` };
    }
  };
  const first = await pair("first feed", config.collateralFeed, config.debtFeed);
  if (BigInt(config.pool) === 0n) {
    return [first, await pair("second feed", config.secondCollateralFeed, config.secondDebtFeed)];
  }
  const name = `mean of the pool over ${formatDuration(config.twapWindow)}`;
  try {
    const pool = ITwapPool__factory.connect(config.pool, provider);
    const [past, now] = (await pool.observe([config.twapWindow, 0]))[0] as unknown as [bigint, bigint];
    const ratio = 1.0001 ** (Number(now - past) / Number(config.twapWindow));
    const isToken0 = (await pool.token0()) === config.collateral;
    const { collateral, debt } = isMirrored ? swap(market.decimals) : market.decimals;
    const price = (isToken0 ? ratio : 1 / ratio) * 10 ** (collateral - debt);
    return [first, { name, price: invert(price) }];
  } catch {
    return [first, { name: `${name} (does not answer)` }];
  }
}

const swap = ({ collateral, debt }: MarketAddresses["decimals"]) => ({ collateral: debt, debt: collateral });
