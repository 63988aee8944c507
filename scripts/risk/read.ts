// A deployment's markets as the exposure looks at them, at one block, and every position of them.
import { type MarketReading, openMarkets, readEvents } from "@breakwater/sdk/chain";
import { liquidatableUnder } from "@breakwater/sdk/core";
import { Refusal } from "@breakwater/sdk/desk";
import type { PositionViewStructOutput } from "../../sdk/src/types/Lens.ts";

import { type RpcDesk } from "../desk/chain.ts";
import { readPool } from "./depth.ts";
import { FALLS, type Subject } from "./exposure.ts";

/** Nodes bound the gas of a call. */
const TICKS_PER_CALL = 200;
const FALLS_PER_CALL = 20;
const POSITIONS_PER_CALL = 200;
/** Above every tick. */
const FROM_THE_TOP = 2 ** 23 - 1;

export type Holding = PositionViewStructOutput;

export interface MarketBook {
  reading: MarketReading;
  holdings: Holding[]; // with debt or surplus
  subject: Subject;
}

export interface Scope {
  markets?: readonly string[];
  block?: number;
  refills: number;
}

/** Every market that is asked for, at one block. */
export async function readBooks(desk: RpcDesk, scope: Scope) {
  const block = await blockOf(desk, scope.block);
  const readMarkets = await openMarkets(desk, desk.provider);
  const readings = await readMarkets(block.number).catch((error: unknown) => {
    throw new Refusal(
      `the node does not give the state at block ${block.number}: ${(error as Error).message}`,
    );
  });
  const ids = readings.map(({ addresses }) => addresses.id);
  const unknown = scope.markets?.find((id) => !ids.includes(id));
  if (unknown !== undefined) throw new Refusal(`no market ${unknown}: there are ${ids.join(", ")}`);
  const wanted = readings.filter(({ addresses }) => scope.markets?.includes(addresses.id) ?? true);
  const keys = await keysOf(desk, block.number);
  const books: MarketBook[] = [];
  for (const reading of wanted) {
    books.push(
      await readBook(desk, reading, keys.get(reading.addresses.id) ?? [], block.number, scope.refills),
    );
  }
  return { block, books };
}

async function blockOf(desk: RpcDesk, wanted?: number) {
  const block = await desk.provider.getBlock(wanted ?? "latest");
  if (!block?.hash) {
    const latest = await desk.provider.getBlockNumber();
    throw new Refusal(`there is no block ${wanted ?? "at all"} yet: the latest is ${latest}`);
  }
  const { startBlock } = desk.addresses;
  if (block.number < startBlock) {
    throw new Refusal(`block ${block.number} is before the deployment, which was at ${startBlock}`);
  }
  return { number: block.number, hash: block.hash, time: block.timestamp };
}

interface Key {
  owner: string;
  sub: bigint;
}

/** By market: who ever had a position. */
async function keysOf(desk: RpcDesk, to: number): Promise<Map<string, Key[]>> {
  const from = desk.addresses.startBlock;
  const events = await readEvents(desk, ["Adjust", "TransferPosition"], from, to).catch((error: unknown) => {
    throw new Refusal(
      `the node does not give the events of blocks ${from} to ${to}, which the positions are found by: ${(error as Error).message}`,
    );
  });
  const keys = new Map<string, Map<string, Key>>();
  for (const event of events) {
    const { owner, sub } =
      event.name === "Adjust" ? event.args : { owner: event.args.to, sub: event.args.toSub };
    const market = keys.get(event.market!) ?? new Map<string, Key>();
    keys.set(event.market!, market.set(`${owner} ${sub}`, { owner, sub }));
  }
  return new Map([...keys].map(([market, found]) => [market, [...found.values()]]));
}

async function readBook(
  desk: RpcDesk,
  reading: MarketReading,
  keys: Key[],
  block: number,
  refills: number,
): Promise<MarketBook> {
  const { addresses, view, state, symbols } = reading;
  const { vault, decimals } = addresses;
  const at = { blockTag: block };
  const ticks: Subject["ticks"] = [];
  for (let from = FROM_THE_TOP; ;) {
    const page = await desk.lens.ticks(vault, from, TICKS_PER_CALL, at);
    for (const { tick, bookDebt, count } of page) {
      ticks.push({ tick: Number(tick), debt: bookDebt, count: Number(count) });
    }
    if (page.length < TICKS_PER_CALL) break;
    from = ticks.at(-1)!.tick - 1;
  }
  const holdings: Holding[] = [];
  for (let first = 0; first < keys.length; first += POSITIONS_PER_CALL) {
    const some = keys.slice(first, first + POSITIONS_PER_CALL);
    const owners = some.map(({ owner }) => owner);
    const subs = some.map(({ sub }) => sub);
    const views = await desk.lens.positions(vault, owners, subs, at);
    holdings.push(...views.filter(({ debt, surplus }) => debt > 0n || surplus > 0n));
  }
  const owed = new Map<string, bigint>();
  for (const { owner, bookDebt } of holdings) {
    if (bookDebt > 0n) owed.set(owner, (owed.get(owner) ?? 0n) + bookDebt);
  }
  const subject: Subject = {
    id: addresses.id,
    symbols,
    decimals,
    state,
    risk: termsOf(view.risk),
    ticks,
    positions: ticks.reduce((sum, { count }) => sum + count, 0),
    borrowers: [...owed.values()],
    insurance: view.insurance,
    reserves: view.reserves,
    pool: await readPool(desk, desk.provider, addresses, refills, block),
  };
  await compare(desk, subject, holdings, vault, block);
  return { reading, holdings, subject };
}

/** What ethers gives has its names as getters only. */
function termsOf(risk: Subject["risk"]): Subject["risk"] {
  const { maxLtv, liquidationThreshold, target, bonusMin, bonusMax, slope } = risk;
  return { maxLtv, liquidationThreshold, target, bonusMin, bonusMax, slope };
}

/** The ticks' figures against the Lens's, and against the positions one by one. */
async function compare(
  desk: RpcDesk,
  { id, ticks, state }: Subject,
  holdings: Holding[],
  vault: string,
  block: number,
) {
  const ours = liquidatableUnder(ticks, FALLS, state);
  const lens: bigint[] = [];
  for (let first = 0; first < FALLS.length; first += FALLS_PER_CALL) {
    const some = FALLS.slice(first, first + FALLS_PER_CALL);
    lens.push(...(await desk.lens.liquidatableUnder(vault, some, { blockTag: block })));
  }
  const each = liquidatableUnder(
    holdings
      .filter(({ bookDebt }) => bookDebt > 0n)
      .map(({ tick, bookDebt }) => ({ tick: Number(tick), debt: bookDebt, count: 1 })),
    FALLS,
    state,
  );
  FALLS.forEach((fall, at) => {
    const [debt, told, sum] = [ours[at]!, lens[at]!, each[at]!];
    if (!agree({ ticks: debt, lens: told, positions: sum })) {
      throw new Refusal(
        `${id} at block ${block}, liquidatable at −${fall / 100n} %: ${debt} by the ticks, ${told} by the Lens, ` +
          `${sum} by ${holdings.length} positions, in the debt token's smallest units: they must agree`,
      );
    }
  });
}

/** Positions resolve rounded down: together they never owe more than their ticks, and hardly less. */
export function agree(debt: Record<"ticks" | "lens" | "positions", bigint>): boolean {
  const less = debt.ticks - debt.positions;
  return debt.ticks === debt.lens && less >= 0n && less <= debt.ticks / ROUNDING + 1n;
}

const ROUNDING = 10n ** 9n;
