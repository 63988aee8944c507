import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { formatEther } from "ethers";
import type { Registry } from "prom-client";

import { InvalidConfig } from "../config.ts";
import type { KeeperEvent, OnEvent } from "../events.ts";

// Whether the keeper does its work, for whoever restarts it or is called.

export interface Limits {
  maxSilence: number; // seconds without an evaluated block
  minBalance: bigint; // wei
}

export interface Problem {
  /** The same while the same thing is wrong. */
  kind: string;
  /** A page unless it says so. */
  severity?: "page" | "warning";
  words: string;
}

export interface Health {
  onEvent: OnEvent;
  /** What is wrong; empty: well. */
  problems: () => Problem[];
}

/** `now` in milliseconds, of a clock that nobody sets: a keeper is not ill because its machine's time jumped. */
export function openHealth({ maxSilence, minBalance }: Limits, now = () => performance.now()): Health {
  let last = now();
  let block: number | undefined;
  let balance: bigint | undefined;
  const onEvent = (event: KeeperEvent): void => {
    if (event.kind === "block") [last, block] = [now(), event.block];
    else if (event.kind === "balance") balance = event.wei;
  };
  const problems = (): Problem[] => {
    const found: Problem[] = [];
    const seconds = Math.floor((now() - last) / 1_000);
    if (seconds >= maxSilence) {
      const since = block === undefined ? "the start" : `block ${block}`;
      found.push({ kind: "silent", words: `no block was evaluated since ${since}, for ${seconds} seconds` });
    }
    if (balance !== undefined && balance < minBalance) {
      const words = `the balance of ${formatEther(balance)} is below ${formatEther(minBalance)}`;
      found.push({ kind: "poor", words });
    }
    return found;
  };
  return { onEvent, problems };
}

/** /metrics and /health; resolves when it listens. */
export async function serve(
  { host, port }: { host: string; port: number },
  registry: Registry,
  health: Pick<Health, "problems">,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const [path] = (request.url ?? "").split("?");
    if (path === "/health") {
      const problems = health.problems().map(({ words }) => words);
      response.writeHead(problems.length === 0 ? 200 : 503, { "content-type": "application/json" });
      response.end(`${JSON.stringify({ healthy: problems.length === 0, problems })}\n`);
    } else if (path === "/metrics") {
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
    } else {
      response.writeHead(404).end("there are /metrics and /health\n");
    }
  });
  await listen(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  };
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`, close };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on("error", ({ code }: NodeJS.ErrnoException) => {
      const key = code === "EADDRINUSE" || code === "EACCES" ? "METRICS_PORT" : "METRICS_HOST";
      reject(new InvalidConfig(`${key}: cannot listen on ${host}:${port}: ${code}`));
    });
    server.listen(port, host, resolve);
  });
}
