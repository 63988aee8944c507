// The index's own process: Ponder, told what to index.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Client } from "pg";

import { Refusal } from "../trade/desk.ts";
import { type Chain, hashOf, nameOf, sceneOf } from "./scene.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const HOME = join(ROOT, "indexer");
const PONDER = join(HOME, "node_modules/ponder/dist/esm/bin/ponder.js");

const LOCAL = 31337;

export interface IndexOptions {
  rpc: string;
  port: number;
  /** Where databases are kept, unless `databaseUrl` is PostgreSQL's. */
  directory: string;
  databaseUrl?: string;
  sampleBlocks: number;
  pollMs: number;
  logLevel: "error" | "warn" | "info" | "debug";
}

export interface Index {
  url: string;
  process: ChildProcess;
  /** When the process has ended: why, if it was not asked to. */
  ended: Promise<string | undefined>;
  stop: () => Promise<void>;
}

export async function startIndex(
  chain: Chain,
  options: IndexOptions,
  out: "inherit" | "pipe" = "inherit",
): Promise<Index> {
  // Half as large again as all the rest: only who runs it installs it.
  // Not at once: a node may be in this process, and others wait for its answers.
  const install = spawn(process.execPath, [join(ROOT, "scripts/ensure-install.mjs"), "indexer"], {
    stdio: ["ignore", 2, 2],
  });
  const [code] = (await once(install, "exit")) as [number | null];
  if (code !== 0) throw new Refusal(`the index could not be installed: exit code ${String(code)}`);
  await refuseBusyPort(options.port);
  const name = nameOf(chain, options.sampleBlocks);
  const home = join(options.directory, name);
  mkdirSync(home, { recursive: true });
  const { rpc, pollMs, sampleBlocks, databaseUrl, port } = options;
  const database =
    databaseUrl === undefined
      ? { directory: join(home, "pglite") }
      : { url: chain.addresses.chainId === LOCAL ? await ownDatabase(databaseUrl, name) : databaseUrl };
  const scene = await sceneOf(chain, { rpc, pollMs, sampleBlocks, database });
  const file = join(home, "scene.json");
  writeFileSync(file, JSON.stringify(scene, undefined, 2));
  const flags = ["--root", HOME, "--schema", name, "--port", String(port), "--hostname", "127.0.0.1"];
  const child = spawn(process.execPath, [PONDER, "start", ...flags, "--log-level", options.logLevel], {
    cwd: HOME,
    stdio: ["ignore", out, "inherit"],
    env: { ...process.env, INDEX_SCENE: file, PONDER_TELEMETRY_DISABLED: "true" },
  });
  let stopping = false;
  // What is indexed is never of two chains.
  const isReset = async () =>
    hashOf(chain.provider, chain.mark.block).then(
      (hash) => hash !== chain.mark.hash,
      () => false, // Ponder says itself that the node does not answer
    );
  const watch = setInterval(() => {
    void isReset().then((is) => is && child.kill("SIGTERM"));
  }, 2_000);
  const ended = new Promise<string | undefined>((resolve) => {
    child.once("exit", (code, signal) => {
      clearInterval(watch);
      if (stopping) {
        resolve(undefined);
        return;
      }
      void isReset().then((is) =>
        resolve(
          is
            ? `the chain at ${rpc} is another one than when the index was started: it has been reset; start the index again`
            : `the index ended with ${signal ?? `code ${code ?? "none"}`}`,
        ),
      );
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    ended,
    async stop() {
      stopping = true;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(late);
    },
  };
}

/**
 * Ponder keeps what nodes answered by chain id and block, beside all schemas: of another local chain these would be false
 * answers. So each has a database of its own on the server.
 */
async function ownDatabase(url: string, name: string): Promise<string> {
  const client = new Client(url);
  try {
    await client.connect();
    const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${name}`);
  } catch (error) {
    throw new Refusal(
      `PostgreSQL did not give the local chain a database ${name} of its own: ${(error as Error).message}`,
    );
  } finally {
    await client.end();
  }
  const own = new URL(url);
  own.pathname = `/${name}`;
  return own.href;
}

/** Ponder would take the next one. */
async function refuseBusyPort(port: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", () => {
      reject(
        new Refusal(
          `port ${port} of 127.0.0.1 is busy: stop what listens there, or choose another with --port`,
        ),
      );
    });
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve()));
  });
}

/** Up to which block it has come. */
export async function indexedBlock(url: string): Promise<number> {
  const response = await fetch(`${url}/status`).catch(() => undefined);
  if (!response?.ok) return -1;
  const status = (await response.json()) as Record<string, { block: { number: number } | null }>;
  return status.main?.block?.number ?? -1;
}

/** Waits until it answers and has indexed `block`. */
export async function indexed(
  index: Pick<Index, "url" | "ended">,
  block: number,
  seconds = 120,
): Promise<void> {
  const end = index.ended.then((reason) => ({ reason }));
  for (const until = Date.now() + seconds * 1_000; Date.now() < until;) {
    const over = await Promise.race([end, pause(250, undefined)]);
    if (over) throw new Refusal(over.reason ?? "the index was stopped");
    const ready = await fetch(`${index.url}/ready`).catch(() => undefined);
    if (ready?.status === 200 && (await indexedBlock(index.url)) >= block) return;
  }
  throw new Refusal(`the index at ${index.url} has not come to block ${block} in ${seconds} seconds`);
}
