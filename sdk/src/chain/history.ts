import type { Block } from "ethers";

import type { ResolvedPosition } from "../core/book.ts";
import { type Figures, figuresOf } from "../core/leverage.ts";
import type { MarketState } from "../core/position.ts";
import { REPLAYED_EVENTS, Replay, memoryTables, thresholdsOf } from "../core/replay.ts";
import { formatAmount, formatPrice, valueInDebt } from "../core/units.ts";
import { type Contracts, providerOf } from "./connect.ts";
import { type EventName, type ProtocolEvent, readEvents } from "./events.ts";
import { readIndexed } from "./indexed.ts";
import { type MarketReading, PRICE_STATES, type PriceState } from "./markets.ts";

// What became of an account's positions, liquidations included: those have no event of their own, so the markets are
// replayed.

export interface HistoryEntry {
  market: MarketReading;
  sub: bigint;
  kind: "open" | "change" | "close" | "move" | "liquidation" | "seizure" | "settlement";
  block: number;
  /** Unix time. */
  time: number;
  transaction: string;
  /** Token units; debt with the interest that was charged until then: adding collateral charges none. */
  before: { collateral: bigint; debt: bigint };
  after: { collateral: bigint; debt: bigint };
  liquidation?: {
    before: Figures; // at its prices, as the following
    after: Figures;
    debtCleared: bigint; //    debt token units
    collateralSold: bigint; // collateral token units
    /** What the collateral was worth beyond the debt that it cleared, at the higher price; debt token units. */
    penalty: bigint;
    priceLow: bigint; // Q128
    priceHigh: bigint;
    priceState: PriceState;
    /** Of the oracle's two sources. */
    rounds: [a: bigint, b: bigint];
  };
}

const EVENTS = [...new Set([...REPLAYED_EVENTS.vault, ...REPLAYED_EVENTS.insurance])] as EventName[];

interface Told {
  replay: Replay<ReturnType<typeof memoryTables>>;
  subs: Set<bigint>;
}

/** An index is asked for more blocks than this; the node has the last ones sooner. */
const FEW_BLOCKS = 50;

/**
 * Tells an account's history, oldest first; each reading asks only for what is new since the last one. What an index at
 * `index` knows is taken from there, all else from the node; it tells the same without one.
 */
export function openHistory(contracts: Contracts, owner: string, index?: string) {
  const { addresses, insurance } = contracts;
  const markets = new Map<string, Told>();
  let entries: HistoryEntry[] = [];
  let next = addresses.startBlock;
  /** Of the last block that was read. */
  let hash: string | undefined;
  /** Until it tells what cannot be. */
  let isTrusted = index !== undefined;

  const forget = () => {
    markets.clear();
    entries = [];
    next = addresses.startBlock;
    hash = undefined;
  };

  return async function readHistory(
    readings: readonly MarketReading[],
    block: number,
  ): Promise<HistoryEntry[]> {
    // What was read of blocks that a reorganisation has taken back is void.
    if (hash !== undefined && (await providerOf(contracts).getBlock(next - 1))?.hash !== hash) forget();
    const fund = await insurance.getAddress();
    const asksIndex = isTrusted && block - next > FEW_BLOCKS;
    const indexed = asksIndex
      ? await readIndexed(contracts, EVENTS, next, block, index!).catch(() => undefined)
      : undefined;
    const late = await readEvents(contracts, EVENTS, indexed ? indexed.until + 1 : next, block);
    const events = [...(indexed?.events ?? []), ...late];
    const [lateTimes, last] = await Promise.all([timesOf(contracts, late), blockOf(contracts, block)]);
    const times = new Map([...(indexed?.times ?? []), ...lateTimes]);
    try {
      for (const reading of readings) {
        const { vault } = reading.addresses;
        const market = {
          ...{ vault, insurance: fund, units: reading.state.units },
          paired: reading.mirror !== undefined,
        };
        const told = markets.get(vault) ?? {
          replay: new Replay(market, memoryTables()),
          subs: new Set<bigint>(),
        };
        markets.set(vault, told);
        for (const event of events) {
          entries.push(...(await tell(told, reading, owner, event, times.get(event.block)!)));
        }
      }
    } catch (error) {
      // Half of it may be told: the next reading begins anew, and does not ask again whoever left something out.
      forget();
      if (indexed) isTrusted = false;
      throw error;
    }
    next = block + 1;
    hash = last.hash ?? undefined;
    entries.sort((a, b) => a.block - b.block);
    return [...entries];
  };
}

async function timesOf(
  contracts: Contracts,
  events: readonly { block: number }[],
): Promise<Map<number, number>> {
  const blocks = [...new Set(events.map(({ block }) => block))];
  return new Map(
    await Promise.all(
      blocks.map(async (number) => {
        return [number, (await blockOf(contracts, number)).timestamp] as const;
      }),
    ),
  );
}

async function blockOf(contracts: Contracts, number: number): Promise<Block> {
  const block = await providerOf(contracts).getBlock(number);
  if (!block) throw new Error(`the node has no block ${number}`);
  return block;
}

async function tell(
  { replay, subs }: Told,
  market: MarketReading,
  owner: string,
  event: ProtocolEvent,
  time: number,
): Promise<HistoryEntry[]> {
  const { address, name, block, index: logIndex, transaction } = event;
  const args = event.args as unknown as Record<string, unknown>;
  const positions = async () =>
    Promise.all([...subs].map(async (sub) => [sub, await replay.position(owner, sub)] as const));
  const isLiquidation = name === "Liquidate" && address === market.addresses.vault;
  const held = isLiquidation ? new Map(await positions()) : undefined;
  const change = await replay.apply({ address, name, args, block, logIndex, timestamp: time });
  const at = { market, block, time, transaction };

  if (held) {
    const report = args["report"] as Report;
    const { liquidationThreshold } = thresholdsOf((await replay.record())!, BigInt(time));
    const { borrowIndex, priceLow, priceHigh } = report;
    const state: MarketState = {
      ...{ units: market.state.units, borrowIndex, priceLow, priceHigh, liquidationThreshold },
    };
    return (await positions())
      .filter(([sub, now]) => held.get(sub)!.debt !== now.debt)
      .map(([sub, now]) => ({ ...at, sub, ...liquidationOf(held.get(sub)!, now, state, report) }));
  }

  const own = change.positions.filter((each) => each.owner.toLowerCase() === owner.toLowerCase());
  if (own.length === 0) return [];
  for (const { sub } of own) subs.add(sub);
  const { borrowIndex } = (await replay.record())!.ledger;
  return own.map(({ sub, before: was, after: now }) => {
    const [before, after] = [was, now].map((p) => amountsOf(p, { ...market.state, borrowIndex }));
    return { ...at, sub, kind: kindOf(name, was, now), before: before!, after: after! };
  });
}

interface Report {
  priceLow: bigint;
  priceHigh: bigint;
  roundA: bigint;
  roundB: bigint;
  oracleState: bigint;
  borrowIndex: bigint;
}

function liquidationOf(
  was: ResolvedPosition,
  now: ResolvedPosition,
  state: MarketState,
  { priceLow, priceHigh, roundA, roundB, oracleState }: Report,
): Pick<HistoryEntry, "kind" | "before" | "after" | "liquidation"> {
  const [before, after] = [figuresOf(was, state), figuresOf(now, state)];
  const debtCleared = before.debt - after.debt;
  const collateralSold = before.collateral - after.collateral;
  return {
    kind: now.seized ? "seizure" : "liquidation",
    before: amountsOf(was, state),
    after: amountsOf(now, state),
    liquidation: {
      ...{ before, after, debtCleared, collateralSold },
      penalty: valueInDebt(collateralSold, priceHigh, state.units) - debtCleared,
      ...{ priceLow, priceHigh, priceState: PRICE_STATES[Number(oracleState)]! },
      rounds: [roundA, roundB],
    },
  };
}

function amountsOf(p: ResolvedPosition, state: MarketState): { collateral: bigint; debt: bigint } {
  const { collateral, debt } = figuresOf(p, state);
  return { collateral, debt };
}

function kindOf(name: string, was: ResolvedPosition, now: ResolvedPosition): HistoryEntry["kind"] {
  if (name === "TransferPosition") return "move";
  if (name === "Settle") return "settlement";
  const [had, has] = [was, now].map(({ debt, surplus }) => debt > 0n || surplus > 0n);
  return had ? (has ? "change" : "close") : "open";
}

const COLUMNS = [
  ...["time", "block", "transaction", "market", "sub", "what"],
  ...["collateral token", "collateral before", "collateral after", "debt token", "debt before", "debt after"],
  ...["debt cleared", "collateral sold", "penalty", "price low", "price high", "round a", "round b"],
];

/** The history as CSV, with every digit; prices in debt tokens per collateral token, the penalty in debt tokens. */
export function historyCsv(entries: readonly HistoryEntry[]): string {
  const rows = entries.map(
    ({ market, sub, kind, block, time, transaction, before, after, liquidation: l }) => {
      const { decimals, id } = market.addresses;
      const collateral = (amount: bigint) => plain(formatAmount(amount, decimals.collateral));
      const debt = (amount: bigint) => plain(formatAmount(amount, decimals.debt));
      const price = (value: bigint) => plain(formatPrice(value, 18));
      return [
        ...[new Date(time * 1_000).toISOString(), block, transaction, id, sub, kind],
        ...[market.symbols.collateral, collateral(before.collateral), collateral(after.collateral)],
        ...[market.symbols.debt, debt(before.debt), debt(after.debt)],
        ...(l
          ? [
              ...[debt(l.debtCleared), collateral(l.collateralSold), debt(l.penalty)],
              ...[price(l.priceLow), price(l.priceHigh), ...l.rounds],
            ]
          : COLUMNS.slice(12).map(() => "")),
      ];
    },
  );
  return [COLUMNS, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

function plain(figure: string): string {
  return figure.replaceAll(",", "");
}
