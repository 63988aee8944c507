// What signers look at before they decide: every market, and what the governor has scheduled.
import { BRAKE_LEVELS, PRICE_STATES } from "../chain/markets.ts";
import { adapterOf, readSources } from "../chain/sources.ts";
import { FALLS } from "./cost.ts";
import { type Desk, formatReason } from "./desk.ts";
import { type Scheduled, scheduledOperations } from "./intent.ts";

const NOW_AND_AFTER = [0n, ...FALLS];

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
  const [state, budgets, atFalls, sources, vetoLeft, events, pots] = await Promise.all([
    desk.brake.stateOf(vault),
    desk.brake.budgetOf(vault),
    desk.lens.liquidatableUnder(vault, NOW_AND_AFTER),
    // Of the oracle that the market has now: the deployment's may have been replaced.
    readSources(desk, { ...market, oracle: view.oracle }),
    vetoOf(desk, view.oracle),
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

async function vetoOf(desk: Desk, oracle: string): Promise<bigint | undefined> {
  const { adapter } = await adapterOf(desk, oracle);
  return adapter.vetoLeft().catch(() => undefined);
}
