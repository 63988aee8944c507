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
  const [readings, block, time, scheduled] = await Promise.all([
    desk.readMarkets(),
    desk.provider.getBlockNumber(),
    desk.now(),
    scheduledOperations(desk),
  ]);
  const [markets, safes] = await Promise.all([
    Promise.all(readings.map(async (reading) => marketStatus(desk, reading, block, time, lookBack))),
    Promise.all(
      Object.entries(desk.addresses.safes).map(async ([name, address]) => {
        const safe = desk.safe(address);
        const [nonce, threshold, owners] = await Promise.all([
          safe.nonce(),
          safe.getThreshold(),
          safe.getOwners(),
        ]);
        return { name, address, nonce, threshold, owners: [...owners] };
      }),
    ),
  ]);
  return { chainId: desk.chainId, block, time, markets, safes, scheduled };
}

type Reading = Awaited<ReturnType<Desk["readMarkets"]>>[number];

async function marketStatus(desk: Desk, reading: Reading, block: number, time: bigint, lookBack: number) {
  const { addresses: market, view, symbols } = reading;
  const { vault } = market;
  const contract = desk.vault(market);
  const from = Math.max(desk.addresses.startBlock, block - lookBack);
  // The oracle that the market has now: the deployment's may have been replaced.
  const oracle = adapterOf(desk, view.oracle);
  const [state, budgets, atFalls, sources, vetoLeft, events, pots] = await Promise.all([
    desk.brake.stateOf(vault),
    desk.brake.budgetOf(vault),
    desk.lens.liquidatableUnder(vault, NOW_AND_AFTER),
    oracle.then(async (adapter) => readSources(desk, market, adapter, time)),
    oracle.then(async ({ adapter }) => adapter.vetoLeft().catch(() => undefined)),
    contract.queryFilter(contract.filters.Liquidate(), from, block),
    contract.queryFilter(contract.filters.ChangePot(), from, block),
  ]);
  const last = events.at(-1);
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

/** A mirrored market's adapter reads another one. */
async function adapterOf({ provider }: Desk, oracle: string) {
  const mirrored = await InverseOracleAdapter__factory.connect(oracle, provider)
    .MIRRORED()
    .catch(() => undefined);
  return {
    adapter: OracleAdapter__factory.connect(mirrored ?? oracle, provider),
    isMirrored: mirrored !== undefined,
  };
}

/** What each source says alone, as the adapter would read it. */
async function readSources(
  { provider }: Desk,
  market: MarketAddresses,
  { adapter, isMirrored }: Awaited<ReturnType<typeof adapterOf>>,
  time: bigint,
): Promise<Source[]> {
  const config = await adapter.config().catch(() => undefined);
  if (!config) return [];
  const invert = (price: number) => (isMirrored ? 1 / price : price);
  const answer = async ({ feed, maxAge }: { feed: string; maxAge: bigint }) => {
    if (BigInt(feed) === 0n) return { value: 1, age: 0 };
    const contract = AggregatorV3Interface__factory.connect(feed, provider);
    const [[, value, , updatedAt], decimals] = await Promise.all([
      contract.latestRoundData(),
      contract.decimals(),
    ]);
    const age = Number(time - updatedAt);
    return { value: Number(value) / 10 ** Number(decimals), age, isStale: age > Number(maxAge) };
  };
  const pair = async (
    name: string,
    collateral: typeof config.collateralFeed,
    debt: typeof config.debtFeed,
  ) => {
    try {
      const [c, d] = await Promise.all([answer(collateral), answer(debt)]);
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
    const [[ticks], token0] = await Promise.all([pool.observe([config.twapWindow, 0]), pool.token0()]);
    const [past, now] = ticks as unknown as [bigint, bigint];
    const ratio = 1.0001 ** (Number(now - past) / Number(config.twapWindow));
    const isToken0 = token0 === config.collateral;
    const { collateral, debt } = isMirrored ? swap(market.decimals) : market.decimals;
    const price = (isToken0 ? ratio : 1 / ratio) * 10 ** (collateral - debt);
    return [first, { name, price: invert(price) }];
  } catch {
    return [first, { name: `${name} (does not answer)` }];
  }
}

const swap = ({ collateral, debt }: MarketAddresses["decimals"]) => ({ collateral: debt, debt: collateral });
