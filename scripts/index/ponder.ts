// The index's own process: Ponder, told what to index.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Refusal } from "../trade/desk.ts";
import { type Chain, nameOf, sceneOf, startHashOf } from "./scene.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const HOME = join(ROOT, "indexer");
const PONDER = join(HOME, "node_modules/ponder/dist/esm/bin/ponder.js");

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
  execFileSync(process.execPath, [join(ROOT, "scripts/ensure-install.mjs"), "indexer"], {
    stdio: ["ignore", 2, 2],
  });
  const name = nameOf(chain, options.sampleBlocks);
  const home = join(options.directory, name);
  mkdirSync(home, { recursive: true });
  const { rpc, pollMs, sampleBlocks, databaseUrl, port } = options;
  const scene = await sceneOf(chain, {
    ...{ rpc, pollMs, sampleBlocks },
    database: databaseUrl === undefined ? { directory: join(home, "pglite") } : { url: databaseUrl },
  });
  const file = join(home, "scene.json");
  writeFileSync(file, JSON.stringify(scene, undefined, 2));
  const flags = ["--root", HOME, "--schema", name, "--port", String(port), "--hostname", "127.0.0.1"];
  const child = spawn(process.execPath, [PONDER, "start", ...flags, "--log-level", options.logLevel], {
    cwd: HOME,
    stdio: ["ignore", out, "inherit"],
    env: { ...process.env, INDEX_SCENE: file, PONDER_TELEMETRY_DISABLED: "true" },
  });
  let stopping = false;
  let reason: string | undefined;
  const ended = new Promise<string | undefined>((resolve) => {
    child.once("exit", (code, signal) => {
      clearInterval(watch);
      resolve(
        stopping ? undefined : (reason ?? `the index ended with ${signal ?? `code ${code ?? "none"}`}`),
      );
    });
  });
  // What is indexed is never of two chains.
  const watch = setInterval(() => {
    void startHashOf(chain.provider, chain.addresses).then(
      (hash) => {
        if (hash === chain.startHash) return;
        reason = `the chain at ${rpc} is another one than when the index was started: it has been reset; start the index again`;
        child.kill("SIGTERM");
      },
      () => undefined, // it says itself that the node does not answer
    );
  }, 2_000);
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
  let end: string | undefined | false = false;
  void index.ended.then((reason) => (end = reason));
  for (const until = Date.now() + seconds * 1_000; Date.now() < until; await pause(250)) {
    if (end !== false) throw new Refusal(end ?? "the index was stopped");
    const ready = await fetch(`${index.url}/ready`).catch(() => undefined);
    if (ready?.status === 200 && (await indexedBlock(index.url)) >= block) return;
  }
  throw new Refusal(`the index at ${index.url} has not come to block ${block} in ${seconds} seconds`);
}
