// One report: reads, follows, writes, holds the sums against the chain.
import { readFileSync } from "node:fs";

import { Refusal } from "@breakwater/sdk/desk";
import { checksAt, reconcile } from "./check.ts";
import type { Line } from "./lines.ts";
import { isoTime, Names } from "./names.ts";
import {
  type Block,
  type Chain,
  eachOf,
  type Market,
  ofThePast,
  readBlock,
  readBlocks,
  readLedger,
  readPrice,
  readRegisterEvents,
  readSources,
  readState,
  readTransfers,
  type RegisterEvent,
  type State,
} from "./read.ts";
import { type Reconciliation, Sums } from "./reconcile.ts";
import { charges, Register } from "./register.ts";
import { solvencyOf } from "./solvency.ts";
import { Directory, type Manifest, toJson } from "./write.ts";

export interface Period {
  from: number;
  to: number;
}

export interface Report {
  manifest: Manifest;
  reconciliation: Reconciliation;
}

const PAGE = 5_000;
const STATEMENT =
  "A record of what a chain says, made to be checked against it. It claims compliance with no regime.";

export async function writeReport(
  chain: Chain,
  { from, to }: Period,
  out: string,
  onStep: (words: string) => void,
): Promise<Report> {
  const { markets, startBlock } = chain;
  await refusePeriod(chain, { from, to });
  const names = new Names(chain.chainId);
  const command = `npm run report -- --from ${from} --to ${to} --out DIR`;
  const [first, last, before] = [
    await readBlock(chain, from),
    await readBlock(chain, to),
    await readBlock(chain, from - 1),
  ];
  const opening = await statesAt(chain, before.number);
  const closing = await statesAt(chain, to);
  const directory = new Directory(out);
  try {
    const register = new Register(chain);
    const parts = (states: Map<string, State>) =>
      markets.map((market) => ({
        market,
        state: states.get(market.id)!,
        book: register.bookOf(market),
      }));
    for (const [a, b] of pages(startBlock, from - 1)) {
      onStep(`following events, block ${b} of ${to}`);
      for (const { block, events } of await blocksOf(chain, await readRegisterEvents(chain, a, b))) {
        await register.follow(block, events);
      }
    }
    for (const market of markets) {
      const state = opening.get(market.id)!;
      await register.bookOf(market).open(state.ledger, state.exists);
    }
    const sums = new Sums();
    const adapters = new Set<string>();
    const add = (lines: Line[]) => {
      for (const line of lines) {
        if (line.price) adapters.add(line.price.source.split(":").at(-1)!);
        sums.add(line);
        directory.add(line);
      }
    };
    const openingChecks = await checksAt(chain, register, before.number);
    const openingPoints = new Map(markets.map((market) => [market.id, register.bookOf(market).points()]));
    const solvencyBefore = await solvencyOf(chain, names, before, parts(opening), command);
    directory.put(`solvency-${before.number}.json`, toJson(solvencyBefore));

    for (const [a, b] of pages(from, to)) {
      onStep(`writing lines, block ${b} of ${to}`);
      for (const page of await readPages(chain, register, a, b, to)) add(await register.lines(page));
    }
    add(await register.closing(last));

    onStep("reconciling");
    const closingChecks = await checksAt(chain, register, to);
    const reconciliation = await reconcile(chain, register, sums, {
      period: { from, to },
      states: [opening, closing],
      checks: [openingChecks, closingChecks],
      opening: openingPoints,
    });
    directory.put("reconciliation.json", toJson(reconciliation));
    directory.put(
      `solvency-${to}.json`,
      toJson(await solvencyOf(chain, names, last, parts(closing), command)),
    );
    const now = await readBlock(chain, to);
    if (now.hash !== last.hash) {
      throw new Refusal(
        `block ${to} was ${last.hash} and is ${now.hash} now: the chain was reorganised, run it again`,
      );
    }
    const manifest = directory.finish({
      statement: STATEMENT,
      command,
      version: versionOf(),
      chain: names.chain,
      contracts: Object.fromEntries([
        ...markets.map(({ id, vault }): [string, string] => [id, names.account(vault)]),
        ["InsuranceFund", names.account(chain.fund)],
      ]),
      sources: await sourcesOf(chain, names, adapters, to),
      period: { from: stamped(first), to: stamped(last) },
      lines: sums.lines,
      reconciled: reconciliation.reconciled,
    });
    return { manifest, reconciliation };
  } catch (error) {
    directory.abandon();
    throw error;
  }
}

async function refusePeriod({ provider }: Chain, { from, to }: Period): Promise<void> {
  if (from > to) throw new Refusal(`--from ${from} is after --to ${to}`);
  if (from < 1)
    throw new Refusal("--from must be 1 at least: the period begins with the state of the block before");
  const newest = await provider.getBlockNumber();
  if (to > newest) throw new Refusal(`--to ${to} is in the future: the newest block is ${newest}`);
}

function* pages(from: number, to: number): Generator<[number, number]> {
  for (let at = from; at <= to; at += PAGE) yield [at, Math.min(at + PAGE - 1, to)];
}

async function statesAt(chain: Chain, block: number): Promise<Map<string, State>> {
  const states = await eachOf(chain.markets, async (market) => readState(chain, market, block));
  return new Map(chain.markets.map(({ id }, at) => [id, states[at]!]));
}

async function blocksOf(
  chain: Chain,
  events: RegisterEvent[],
): Promise<{ block: Block; events: RegisterEvent[] }[]> {
  const byBlock = Map.groupBy(events, ({ block }) => block);
  const blocks = await readBlocks(chain, byBlock.keys());
  return [...byBlock.entries()]
    .sort(([a], [b]) => a - b)
    .map(([number, within]) => ({
      block: blocks.get(number)!,
      events: within.sort((a, b) => a.index - b.index),
    }));
}

/** Blocks with events or tokens that moved; and the last, in which interest may have been charged without either. */
async function readPages(chain: Chain, register: Register, from: number, to: number, last: number) {
  const [events, transfers] = await Promise.all([
    readRegisterEvents(chain, from, to),
    ofThePast(`the logs of blocks ${from} to ${to}`, readTransfers(chain, from, to)),
  ]);
  const byBlock = Map.groupBy(events, ({ block }) => block);
  const moved = Map.groupBy(transfers, ({ block }) => block);
  for (const block of [...moved.keys(), ...(to === last ? [last] : [])]) {
    if (!byBlock.has(block)) byBlock.set(block, []);
  }
  const blocks = await readBlocks(chain, byBlock.keys());
  const oracles = new Map(chain.markets.map((market) => [market.vault, register.bookOf(market).oracle()]));
  const wanted = [...byBlock.keys()]
    .sort((a, b) => a - b)
    .map((number) => {
      const within = byBlock.get(number)!.sort((a, b) => a.index - b.index);
      for (const event of within) {
        if (event.contract === "Vault" && event.name === "SetOracle") {
          oracles.set(vaultOf(chain, event), event.args.oracle);
        }
      }
      const asked = chain.markets.flatMap((market) => {
        const own = within.filter(
          (event) =>
            (event.contract === "Vault" && vaultOf(chain, event) === market.vault) ||
            (event.contract === "InsuranceFund" &&
              "market" in event.args &&
              event.args.market === market.vault),
        );
        const charged = own.some(charges) || number === last;
        return own.length > 0 || charged
          ? [{ market, oracle: oracles.get(market.vault)!, charged, priced: own.length > 0 }]
          : [];
      });
      return { number, within, asked };
    });
  return eachOf(wanted, async ({ number, within, asked }) => ({
    block: blocks.get(number)!,
    events: within,
    transfers: moved.get(number) ?? [],
    readings: new Map(
      await Promise.all(
        asked.map(async ({ market, oracle, charged, priced }) => {
          const [ledger, price] = await Promise.all([
            charged ? ledgerOf(chain, market, number) : undefined,
            priced ? readPrice(chain, oracle, number) : undefined,
          ]);
          return [market.vault, { ledger, price }] as const;
        }),
      ),
    ),
  }));
}

function vaultOf(chain: Chain, { address }: RegisterEvent): string {
  return chain.markets.find(({ vault }) => vault.toLowerCase() === address.toLowerCase())!.vault;
}

/** Before the market is open there is none. */
async function ledgerOf(chain: Chain, { vault }: Market, block: number) {
  const ledger = await readLedger(chain, vault, block);
  return ledger.borrowIndex === 0n ? undefined : ledger;
}

/** What the rounds of the lines' prices are rounds of: feeds, or the pool of an average. */
async function sourcesOf(chain: Chain, names: Names, adapters: Set<string>, block: number) {
  const found = await eachOf([...adapters].sort(), async (adapter) => readSources(chain, adapter, block));
  return found.map(({ adapter, mirrors, primary, second }) => ({
    adapter: names.account(adapter),
    ...(mirrors !== undefined && { mirrors: names.account(mirrors) }),
    ...(primary && { primary: primary.map((each) => names.account(each)) }),
    ...(second && { second: second.map((each) => names.account(each)) }),
  }));
}

function stamped({ number, hash, timestamp }: Block) {
  return { block: number, blockHash: hash, time: isoTime(timestamp) };
}

function versionOf(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
