import { Fields } from "../fields.ts";
import { type Contracts, providerOf } from "./connect.ts";
import { type EventName, type ProtocolEvent, type RawLog, parseEvents } from "./events.ts";

// The markets' events from an index that keeps them (indexer/). A node tells an event's block, and when that was only if it is
// asked for every block; the index tells both at once.

export interface IndexedEvents {
  events: ProtocolEvent[];
  /** Unix time by block. */
  times: Map<number, number>;
  /** All events up to this block are there; later ones are to be asked of the node. */
  until: number;
}

interface IndexedLog extends RawLog {
  hash: string;
  time: number;
}

/**
 * What the index at `url` has of the events of these names from block `from` to `to`: as far as its last log, and only if
 * that log's block is the node's too. A block's hash stands for all blocks before it, so the index has followed the same
 * chain until then. Throws if it does not answer, or not as an index does.
 */
export async function readIndexed(
  contracts: Contracts,
  names: readonly EventName[],
  from: number,
  to: number,
  url: string,
): Promise<IndexedEvents> {
  const logs: IndexedLog[] = [];
  const lasts: IndexedLog[] = [];
  for (let next = from; next <= to;) {
    const page = await ask(url, next, to);
    if (page.until < next) throw new Error(`the index at ${url} has nothing from block ${next} on`);
    logs.push(...page.logs);
    lasts.push(...page.logs.slice(-1));
    next = page.until + 1;
  }
  const provider = providerOf(contracts);
  const blocks = await Promise.all(lasts.map(async ({ blockNumber }) => provider.getBlock(blockNumber)));
  const isSame = lasts.every(({ hash }, i) => blocks[i]?.hash === hash);
  if (!isSame || logs.length === 0) return { events: [], times: new Map(), until: from - 1 };
  return {
    events: parseEvents(contracts, names, logs),
    times: new Map(logs.map(({ blockNumber, time }) => [blockNumber, time])),
    until: logs.at(-1)!.blockNumber,
  };
}

async function ask(url: string, from: number, to: number): Promise<{ logs: IndexedLog[]; until: number }> {
  const response = await fetch(`${url}/logs?from=${from}&to=${to}`, { cache: "no-store" });
  if (!response.ok) throw new Error(`the index at ${url} answered ${response.status}`);
  const answer = await response.json();
  const invalid = (where: string, expected: string, value: unknown) =>
    new Error(`the index at ${url} answered ${where} as ${JSON.stringify(value)}, which is not ${expected}`);
  const root = new Fields("", answer, invalid);
  const logs = root.array("logs").map((row) => ({
    address: row.address("address"),
    topics: row.texts("topics"),
    data: row.text("data"),
    blockNumber: row.integer("block"),
    index: row.integer("logIndex"),
    transactionHash: row.text("transaction"),
    hash: row.text("blockHash"),
    time: row.integer("timestamp"),
  }));
  return { logs, until: root.integer("until") };
}
