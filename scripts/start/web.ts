// Builds the web app and serves it, with what it must know of this chain, on this machine only.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { glob, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

import { z } from "zod";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dist = join(root, "web/dist");
const stampFile = join(dist, ".stamp");

/** What the page is made of. */
const SOURCES = ["web/src/**/*", "web/*.*", "sdk/src/**/*.ts", "sdk/package.json", "package-lock.json"];

/** Builds the page if its sources have changed since the last time. */
export async function buildWeb(): Promise<void> {
  const hash = createHash("sha256");
  const files = (await Array.fromAsync(glob(SOURCES, { cwd: root }))).sort();
  for (const file of files) {
    if (!(await stat(join(root, file))).isFile()) continue;
    hash.update(file).update(await readFile(join(root, file)));
  }
  const stamp = hash.digest("hex");
  if ((await readFile(stampFile, "utf8").catch(() => "")) === stamp) return;
  await rm(dist, { recursive: true, force: true });
  const vite = join(createRequire(import.meta.url).resolve("vite/package.json"), "../bin/vite.js");
  await promisify(execFile)(process.execPath, [vite, "build", "--logLevel", "warn"], {
    cwd: join(root, "web"),
    env: { ...process.env, NODE_ENV: "production" }, // a test's would make it React's slow, large variant
  });
  await writeFile(stampFile, stamp);
}

const DrillRequest = z.strictObject({
  /** Percent of the price. */
  fall: z.number().int().min(1).max(90),
  /** Of the chain's time. */
  minutes: z.number().int().min(10).max(1_440),
});

/** A crash on the local chain, as the page asks for it and follows it. */
export interface Drill {
  /** Refuses by throwing, in plain words. */
  start: (request: z.infer<typeof DrillRequest>) => void;
  /** What JSON can say, bigint as decimal text. */
  state: () => unknown;
}

export interface WebOptions {
  port: number;
  rpcUrl: string;
  /** What /addresses.json gives, with the node's address; undefined: there is none. */
  deployment: object | undefined;
  /** The address of an index, whose logs the page may ask for here: its policy allows no other server than the node. */
  index?: string;
  drill?: Drill;
}

export interface WebServer {
  url: string;
  close: () => Promise<void>;
}

const HOST = "127.0.0.1";
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
/** A request for a drill is short. */
const MOST_BYTES = 1_000;

/** Serves web/dist; `port` 0 takes any that is free. */
export async function serveWeb({ port, rpcUrl, deployment, index, drill }: WebOptions): Promise<WebServer> {
  let url = "";
  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => {
      console.error(error);
      response.destroy();
    });
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(headersFor(rpcUrl))) response.setHeader(name, value);
    const { method = "GET", headers } = request;
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    // Another name for this address is another site's attempt to be taken for this one.
    if (!isOwnHost(headers.host)) return answer(response, 403, { words: "this server has another name" });
    if (pathname === "/drill") return answerDrill(request, response);
    if (method !== "GET" && method !== "HEAD") return answer(response, 405, { words: "only GET" });
    if (pathname === "/addresses.json") {
      if (deployment === undefined) return answer(response, 404, { words: "nothing is deployed" });
      return answer(response, 200, {
        ...deployment,
        rpcUrl,
        ...(index !== undefined && { index: "./index" }),
      });
    }
    if (pathname === "/index/logs") return answerLogs(searchParams, response);
    const path = pathname === "/" ? "/index.html" : pathname;
    const type = TYPES[extname(path)];
    const file = join(dist, path);
    const isThere = type !== undefined && file.startsWith(join(dist, "/")) && (await isFile(file));
    if (!isThere) return answer(response, 404, { words: "there is no such file" });
    response.setHeader("content-type", type);
    // What has a hash in its name never changes.
    const isNamed = path.startsWith("/assets/");
    response.setHeader("cache-control", isNamed ? "public, max-age=31536000, immutable" : "no-cache");
    const isPacked = /\bgzip\b/.test(headers["accept-encoding"] ?? "") && extname(path) !== ".woff2";
    const bytes = await readFile(file);
    if (isPacked) response.setHeader("content-encoding", "gzip");
    response.end(method === "HEAD" ? undefined : isPacked ? await promisify(gzip)(bytes) : bytes);
  }

  async function answerDrill(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!drill) return answer(response, 404, { words: "this chain has no drill" });
    if (request.method === "GET") return answer(response, 200, drill.state());
    const { origin, "content-type": type } = request.headers;
    if (request.method !== "POST") return answer(response, 405, { words: "GET or POST" });
    if (origin === undefined || !isOwnHost(origin.replace(/^http:\/\//, ""))) {
      return answer(response, 403, { words: "only this server's own page starts a drill" });
    }
    if (type !== "application/json") return answer(response, 415, { words: "application/json" });
    const parsed = DrillRequest.safeParse(await bodyOf(request));
    if (!parsed.success) return answer(response, 400, { words: z.prettifyError(parsed.error) });
    try {
      drill.start(parsed.data);
    } catch (error) {
      return answer(response, 409, { words: (error as Error).message });
    }
    return answer(response, 202, drill.state());
  }

  async function answerLogs(asked: URLSearchParams, response: ServerResponse): Promise<void> {
    if (index === undefined) return answer(response, 404, { words: "no index runs here" });
    const told = await fetch(`${index}/logs?${asked.toString()}`).catch(() => undefined);
    if (!told) return answer(response, 502, { words: "the index does not answer" });
    return answer(response, told.status, await told.json().catch(() => ({ words: "the index stutters" })));
  }

  function isOwnHost(host: string | undefined): boolean {
    const own = new URL(url).port;
    return host === `${HOST}:${own}` || host === `localhost:${own}`;
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  url = `http://${HOST}:${address.port}`;
  return {
    url,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function headersFor(rpcUrl: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' data:", // wallets announce their pictures as such
    `connect-src 'self' ${new URL(rpcUrl).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    "content-security-policy": policy.join("; "),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
  };
}

async function answer(response: ServerResponse, status: number, json: unknown): Promise<void> {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(json));
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > MOST_BYTES) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
