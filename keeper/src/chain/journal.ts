import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

import type { ActionKind } from "../events.ts";

// What was sent and is not settled, on disk before it is on the wire.

/** What a transaction is to do. */
export interface Order {
  /** Of all orders of one key at most one may ever be mined at a time. */
  key: string;
  market: string;
  action: ActionKind;
  to: string;
  data: string;
  gasLimit: bigint;
  /** What it will probably use. */
  gas: bigint;
  /** Wei that its gas may cost at most. */
  worth: bigint;
  /** Block timestamp after which it is taken back; a liquidation does nothing then. */
  deadline: bigint;
  /** Debt token units for 10^18 wei, when it was decided. */
  coinPrice: bigint | undefined;
}

export interface Attempt {
  /** Undefined: takes the nonce back, for nothing. */
  order: Order | undefined;
  /** Undefined: the node signs, and has not told. */
  hash: string | undefined;
  raw: string | undefined;
  maxFee: bigint;
  tip: bigint;
  /** The head when it was sent. */
  block: number;
  via: "public" | "private";
}

/** One nonce and everything that was ever sent with it: one of the attempts is mined, or none. */
export interface Entry {
  account: string;
  nonce: number;
  worth: bigint;
  firstBlock: number;
  attempts: Attempt[];
  /** Kept until it is deep enough. */
  mined: { hash: string; block: number; blockHash: string } | undefined;
}

export interface Journal {
  load(): Promise<Entry[]>;
  /** Durable when it resolves. */
  write(entry: Entry): Promise<void>;
  erase(entry: Entry): Promise<void>;
  close(): Promise<void>;
}

export class JournalLocked extends Error {
  override name = "JournalLocked";
}

/** A SQLite file, locked while it is open. `chain`: what another chain's journal is told from, the genesis block's hash. */
export function openFileJournal(file: string, chain: string): Journal {
  if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true });
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT");
  } catch (error) {
    db.close();
    throw new JournalLocked(`${file}: another keeper uses this journal (${(error as Error).message})`);
  }
  db.exec(
    "CREATE TABLE IF NOT EXISTS entry (chain TEXT, account TEXT, nonce INTEGER, body TEXT NOT NULL, " +
      "PRIMARY KEY (chain, account, nonce))",
  );
  const load = db.prepare("SELECT body FROM entry WHERE chain = ? ORDER BY account, nonce");
  const write = db.prepare("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)");
  const erase = db.prepare("DELETE FROM entry WHERE chain = ? AND account = ? AND nonce = ?");
  const later = async (act: () => unknown) => void act();
  return {
    load: () => Promise.resolve(load.all(chain).map(({ body }) => parseEntry(body as string))),
    write: (entry) => later(() => write.run(chain, entry.account, entry.nonce, formatEntry(entry))),
    erase: ({ account, nonce }) => later(() => erase.run(chain, account, nonce)),
    close: () => later(() => db.close()),
  };
}

export function formatEntry(entry: Entry): string {
  return JSON.stringify(entry, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}

export function parseEntry(text: string): Entry {
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === "string" && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as Entry;
}
