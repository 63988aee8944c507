import { randomUUID } from "node:crypto";

import { Pool } from "pg";

import { type Journal, formatEntry, parseEntry } from "./chain/journal.ts";
import type { OnEvent } from "./events.ts";

// Which of several keepers acts. A keeper alone needs nothing; those that share a PostgreSQL elect one, and only its
// transactions get into the journal that they share. What is not in the journal is not sent, so a loser sends nothing.

export interface Lease {
  /** Whether this keeper may act now. */
  readonly held: boolean;
  /** Called before it may, with what the one before it left in the journal. */
  beforeActing: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

export const ALONE: Lease = { held: true, beforeActing: undefined, close: () => Promise.resolve() };

export interface SharedOptions {
  databaseUrl: string;
  /** Keepers of one name share the work: those of one chain. */
  name: string;
  /** How long a keeper that is not heard of keeps it: at most a block, so that another has it within two. */
  seconds: number;
  onEvent: OnEvent;
}

const SCHEMA = `
  SELECT pg_advisory_xact_lock(7311);
  CREATE TABLE IF NOT EXISTS keeper_lease (
    name text PRIMARY KEY, holder text NOT NULL, token bigint NOT NULL, until timestamptz NOT NULL
  );
  CREATE TABLE IF NOT EXISTS keeper_journal (
    name text, account text, nonce bigint, body text NOT NULL, PRIMARY KEY (name, account, nonce)
  );`;

/** The token rises with every holder: what was begun under an older one is refused. */
const TAKE = `
  INSERT INTO keeper_lease AS lease VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 second')
  ON CONFLICT (name) DO UPDATE
    SET holder = $2, token = lease.token + (lease.holder <> $2)::int, until = excluded.until
    WHERE lease.holder = $2 OR lease.until < clock_timestamp()
  RETURNING token`;

/** The row is locked until the write is done: nobody takes the lease in between. */
const LEADER = `
  WITH leader AS (
    SELECT 1 FROM keeper_lease
    WHERE name = $1 AND holder = $2 AND token = $3 AND until > clock_timestamp() FOR SHARE
  )`;
const WRITE = `${LEADER}
  INSERT INTO keeper_journal SELECT $1, $4, $5, $6 FROM leader
  ON CONFLICT (name, account, nonce) DO UPDATE SET body = excluded.body`;
const ERASE = `${LEADER}
  DELETE FROM keeper_journal USING leader WHERE name = $1 AND account = $4 AND nonce = $5`;

/** A name with several addresses fails with a code and no message. */
function noAnswer(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return `the database does not answer: ${message || code}`;
}

export async function openSharedLease(options: SharedOptions): Promise<{ lease: Lease; journal: Journal }> {
  const { databaseUrl, name, seconds, onEvent } = options;
  const ttl = seconds * 1_000;
  const pool = new Pool({
    connectionString: databaseUrl,
    max: 2,
    connectionTimeoutMillis: ttl,
    query_timeout: ttl,
  });
  // A connection that breaks while idle is replaced by the next query.
  pool.on("error", () => undefined);
  try {
    await pool.query(SCHEMA);
  } catch (error) {
    await pool.end();
    throw new Error(noAnswer(error), { cause: error });
  }

  const holder = randomUUID();
  let token: string | undefined;
  /** By the monotonic clock of this process. */
  let until = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function lose(words: string): void {
    until = 0;
    if (token === undefined) return;
    token = undefined;
    onEvent({ kind: "lease", held: false, words });
  }

  async function take(): Promise<void> {
    // From before the question: the answer may take its time.
    const asked = performance.now();
    try {
      const { rows } = await pool.query<{ token: string }>(TAKE, [name, holder, seconds]);
      const granted = rows[0]?.token;
      if (granted === undefined) {
        lose("another keeper has it");
        return;
      }
      // Also when it only lapsed: meanwhile this keeper looked after nothing.
      if (granted !== token || performance.now() >= until) await lease.beforeActing?.();
      if (granted !== token) {
        token = granted;
        onEvent({ kind: "lease", held: true, words: `this keeper leads, term ${granted}` });
      }
      until = asked + ttl;
    } catch (error) {
      if (performance.now() >= until) lose(noAnswer(error));
    }
  }

  function renewLater(): void {
    if (isClosed) return;
    timer = setTimeout(() => void take().then(renewLater), ttl / 4);
    timer.unref();
  }

  async function asLeader(statement: string, ...values: unknown[]): Promise<void> {
    const { rowCount } = await pool.query(statement, [name, holder, token ?? "0", ...values]);
    if (rowCount !== 0 || statement === ERASE) return;
    lose("another keeper has it");
    throw new Error("the lease is lost");
  }

  const lease: Lease = {
    get held() {
      return token !== undefined && performance.now() < until;
    },
    beforeActing: undefined,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      until = 0;
      await pool
        .query("UPDATE keeper_lease SET until = clock_timestamp() WHERE name = $1 AND holder = $2", [
          name,
          holder,
        ])
        .catch(() => undefined); // then it ends by itself
      await pool.end();
    },
  };
  const journal: Journal = {
    async load() {
      const { rows } = await pool.query<{ body: string }>(
        "SELECT body FROM keeper_journal WHERE name = $1 ORDER BY account, nonce",
        [name],
      );
      return rows.map(({ body }) => parseEntry(body));
    },
    write: (entry) => asLeader(WRITE, entry.account, entry.nonce, formatEntry(entry)),
    erase: ({ account, nonce }) => asLeader(ERASE, account, nonce),
    close: () => Promise.resolve(), // with the lease
  };
  await take();
  renewLater();
  return { lease, journal };
}
