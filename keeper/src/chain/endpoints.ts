import {
  type JsonRpcError,
  JsonRpcApiProvider,
  type JsonRpcPayload,
  type JsonRpcResult,
  Network,
  type Provider,
} from "ethers";

import type { EndpointState, OnEvent } from "../events.ts";

// Several JSON-RPC endpoints as one ethers provider. Reads go to the first that is well, and to the next when it fails;
// signed transactions go to all. In the background the endpoints are compared with each other.

export interface EndpointOptions {
  /** In the order of trust. */
  urls: readonly string[];
  /** New heads as a hint; polling stays the truth. */
  webSocket?: string | undefined;
  chainId: number;
  /** Of one request. */
  timeoutMs?: number;
  /** An endpoint whose head stands this long, while another's moves, is left. */
  staleMs?: number;
  /** Between two comparisons. */
  compareMs?: number;
  onEvent: OnEvent;
}

export interface Head {
  block: number;
  /** Announced, not asked for: the endpoint that is read may not have it yet. */
  hinted: boolean;
}

type Answer = JsonRpcResult | JsonRpcError;

interface Endpoint {
  url: string;
  headers: Record<string, string>;
  /** Host and port: a path may hold a key. */
  name: string;
  state: EndpointState;
  failures: number;
  retryAt: number;
  head: number;
  highest: number;
  advancedAt: number;
}

/** The endpoint failed, not the call. */
class EndpointFailure extends Error {
  readonly state: "down" | "wrong chain";
  readonly retryMs: number;

  constructor(words: string, state: "down" | "wrong chain" = "down", retryMs = 0) {
    super(words);
    this.state = state;
    this.retryMs = retryMs;
  }
}

/** An ethers provider that also takes JSON-RPC calls; those made at once go in one batch. */
export type Node = Provider & { send: (method: string, params: unknown[]) => Promise<unknown> };

export class NoEndpoint extends Error {
  override name = "NoEndpoint";
}

const LONGEST_BREAK_MS = 30_000;
/** How far below the lowest head hashes are compared: above it two honest nodes may differ. */
const SETTLED = 2;
/** A node that is further behind is not compared. */
const FAR_BEHIND = 32;
const BLOCK_NUMBER: JsonRpcPayload = { jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] };
const CHAIN_ID = { jsonrpc: "2.0", id: 0, method: "eth_chainId", params: [] } as const;
const PREFERENCE: EndpointState[] = ["up", "stale", "disagrees", "down", "wrong chain"];

export class Endpoints extends JsonRpcApiProvider {
  /** A call whose answers are compared too: what a decision is made of. */
  probe: { to: string; data: string } | undefined;

  readonly #endpoints: Endpoint[];
  readonly #chainId: bigint;
  readonly #timeoutMs: number;
  readonly #staleMs: number;
  readonly #onEvent: OnEvent;
  readonly #timer: NodeJS.Timeout | undefined;
  #compared = 0;
  #comparing: Promise<void> | undefined;
  #socket: WebSocket | undefined;
  /** The latest announcement, and whether it waits to be looked at. */
  #announced = { block: -1, isNew: false };
  #listening = false;
  #wake: (() => void) | undefined;

  constructor(options: EndpointOptions) {
    const { urls, webSocket, chainId, timeoutMs = 3_000, staleMs = 30_000, compareMs = 15_000 } = options;
    // ethers would answer what was asked a quarter of a second ago from memory.
    super(Network.from(chainId), { staticNetwork: true, batchStallTime: 0, cacheTimeout: -1 });
    this.#chainId = BigInt(chainId);
    this.#timeoutMs = timeoutMs;
    this.#staleMs = staleMs;
    this.#onEvent = options.onEvent;
    this.#endpoints = urls.map(endpointAt);
    // The one that is down is looked at more often than those that are well.
    if (urls.length > 1) {
      const tick = Math.min(compareMs, 1_000);
      this.#timer = setInterval(() => {
        const isDue = performance.now() - this.#compared >= compareMs;
        const someReturn = this.#endpoints.some(({ state, retryAt }) => state !== "up" && isPast(retryAt));
        if (isDue || someReturn) void this.compare();
      }, tick).unref();
    }
    if (webSocket) this.#listen(webSocket, 1_000);
    this._start();
  }

  override async _send(payload: JsonRpcPayload | JsonRpcPayload[]): Promise<Answer[]> {
    const payloads = Array.isArray(payload) ? payload : [payload];
    const signed = payloads.filter(({ method }) => method === "eth_sendRawTransaction");
    const others = payloads.filter(({ method }) => method !== "eth_sendRawTransaction");
    const [asked, ...sent] = await Promise.all([
      others.length > 0 ? this.#ask(others).then(({ answers }) => answers) : [],
      ...signed.map((one) => this.#broadcast(one)),
    ]);
    return [...asked, ...sent];
  }

  /** The head by the endpoint that is read. */
  async head(): Promise<number> {
    const { endpoint, head } = await this.#head();
    if (head >= endpoint.highest || this.#endpoints.length === 1 || !isPast(this.#compared + 1_000))
      return head;
    // It went back: a reorganisation, or this node alone?
    await this.compare();
    return (await this.#head()).head;
  }

  /** Waits for a head other than `last`: asks every `pollMs`, seldom while new heads are announced. */
  async nextHead(last: number, pollMs: number, signal: AbortSignal, trustHints = true): Promise<Head> {
    for (;;) {
      signal.throwIfAborted();
      const { block: announced, isNew } = this.#announced;
      this.#announced.isNew = false;
      if (trustHints && isNew && last >= 0 && announced > last) return { block: announced, hinted: true };
      const block = await this.head();
      if (block !== last) {
        // Nobody announced it: do not wait for announcements.
        if (block !== this.#announced.block) this.#listening = false;
        return { block, hinted: false };
      }
      // Announced while it was asked: nothing would wake this up.
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- meanwhile
      if (this.#announced.isNew) continue;
      await this.#wait(trustHints && this.#listening ? Math.min(10 * pollMs, 15_000) : pollMs, signal);
    }
  }

  /** Asks every endpoint for its head, a settled block and the probe, and leaves those that are behind or alone. */
  compare(): Promise<void> {
    return (this.#comparing ??= this.#compareAll().finally(() => (this.#comparing = undefined)));
  }

  override destroy(): void {
    clearInterval(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    super.destroy();
  }

  async #head(): Promise<{ endpoint: Endpoint; head: number }> {
    const { endpoint, answers } = await this.#ask([BLOCK_NUMBER]);
    const head = quantity(answers[0]);
    if (head === undefined) throw new NoEndpoint(`${endpoint.name} names no head`);
    observe(endpoint, head);
    return { endpoint, head };
  }

  async #ask(payloads: JsonRpcPayload[]): Promise<{ endpoint: Endpoint; answers: Answer[] }> {
    // What a node signs and sends itself must not be asked of a second one: the first may have done it.
    const isOnce = payloads.some(({ method }) => method === "eth_sendTransaction");
    const ranked = this.#ranked();
    const [first] = ranked;
    if (first!.state === "down") await this.#wait(Math.min(first!.retryAt - performance.now(), 2_000));
    const failures: string[] = [];
    for (const endpoint of isOnce ? ranked.slice(0, 1) : ranked) {
      try {
        const answers = await this.#post(endpoint, payloads);
        this.#succeeded(endpoint);
        return { endpoint, answers };
      } catch (error) {
        failures.push(`${endpoint.name}: ${this.#failed(endpoint, error)}`);
      }
    }
    throw new NoEndpoint(`no endpoint answers: ${failures.join("; ")}`);
  }

  /** To all: one may keep it to itself, and the same bytes are mined only once. */
  async #broadcast(payload: JsonRpcPayload): Promise<Answer> {
    const refusals: Answer[] = [];
    const sends = this.#endpoints.map(async (endpoint) => {
      const [answer] = await this.#post(endpoint, [payload], false).catch((error: unknown) => {
        throw new Error(`${endpoint.name}: ${this.#failed(endpoint, error)}`);
      });
      if (!("error" in answer!)) return answer!;
      refusals.push(answer);
      throw new Error(answer.error.message);
    });
    try {
      return await Promise.any(sends);
    } catch (error) {
      if (refusals[0]) return refusals[0];
      const failures = (error as AggregateError).errors as Error[];
      throw new NoEndpoint(`no endpoint answers: ${failures.map(({ message }) => message).join("; ")}`);
    }
  }

  /** With every request the chain is asked for: a balancer may lead elsewhere at any time. */
  async #post(endpoint: Endpoint, payloads: JsonRpcPayload[], checksChain = true): Promise<Answer[]> {
    const body = JSON.stringify(checksChain ? [CHAIN_ID, ...payloads] : payloads);
    let answers: unknown;
    try {
      const response = await fetch(endpoint.url, {
        method: "POST",
        headers: endpoint.headers,
        body,
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      if (!response.ok) {
        const seconds = Number(response.headers.get("retry-after"));
        throw new EndpointFailure(`HTTP ${response.status}`, "down", seconds > 0 ? seconds * 1_000 : 0);
      }
      answers = await response.json();
    } catch (error) {
      if (error instanceof EndpointFailure) throw error;
      const isTimeout = error instanceof Error && error.name === "TimeoutError";
      throw new EndpointFailure(isTimeout ? `no answer within ${this.#timeoutMs} ms` : causeOf(error));
    }
    if (!Array.isArray(answers)) throw new EndpointFailure("the answer is no JSON-RPC batch");
    const byId = new Map((answers as Answer[]).map((answer) => [answer.id, answer]));
    const [chain, ...rest] = [...(checksChain ? [CHAIN_ID] : [undefined]), ...payloads].map(
      (payload) => payload && byId.get(payload.id),
    );
    if (rest.some((answer) => answer === undefined)) throw new EndpointFailure("an answer is missing");
    const limited = rest.find((answer) => answer && "error" in answer && isRateLimit(answer.error));
    if (limited) throw new EndpointFailure("too many requests");
    if (checksChain) {
      const id = chain && "result" in chain ? BigInt(chain.result as string) : undefined;
      if (id !== this.#chainId) {
        throw new EndpointFailure(`is chain ${id ?? "unknown"}, not ${this.#chainId}`, "wrong chain");
      }
    }
    return rest as Answer[];
  }

  #ranked(): Endpoint[] {
    const rank = ({ state }: Endpoint) => PREFERENCE.indexOf(state);
    return [...this.#endpoints].sort(
      (a, b) => rank(a) - rank(b) || (a.state === "down" ? a.retryAt - b.retryAt : 0),
    );
  }

  #succeeded(endpoint: Endpoint): void {
    endpoint.failures = 0;
    if (endpoint.state === "down" || endpoint.state === "wrong chain")
      this.#become(endpoint, "up", "answers");
  }

  #failed(endpoint: Endpoint, error: unknown): string {
    const failure = error instanceof EndpointFailure ? error : new EndpointFailure(String(error));
    endpoint.failures++;
    const pauseMs = Math.max(failure.retryMs, 1_000 * 2 ** Math.min(endpoint.failures - 1, 5));
    endpoint.retryAt = performance.now() + Math.min(pauseMs, LONGEST_BREAK_MS);
    this.#become(endpoint, failure.state, failure.message);
    return failure.message;
  }

  #become(endpoint: Endpoint, state: EndpointState, words: string): void {
    if (endpoint.state === state) return;
    endpoint.state = state;
    this.#onEvent({ kind: "endpoint", endpoint: endpoint.name, state, words });
  }

  async #compareAll(): Promise<void> {
    this.#compared = performance.now();
    const told = await this.#askEach(this.#endpoints, [BLOCK_NUMBER]);
    const alive = [...told].flatMap(([endpoint, [answer]]) => {
      const head = quantity(answer);
      if (head !== undefined) observe(endpoint, head);
      return head === undefined ? [] : [endpoint];
    });
    for (const endpoint of alive) this.#judgeHead(endpoint, alive);
    const trusted = this.#ranked().find((endpoint) => alive.includes(endpoint));
    if (!trusted) return;
    const near = alive.filter(({ head }) => head >= trusted.head - FAR_BEHIND);
    await this.#judgeWords(near, Math.max(0, Math.min(...near.map(({ head }) => head)) - SETTLED));
  }

  #judgeHead(endpoint: Endpoint, all: Endpoint[]): void {
    const best = Math.max(-1, ...all.filter((other) => other !== endpoint).map(({ head }) => head));
    const { head, highest, advancedAt } = endpoint;
    const stands = performance.now() - advancedAt > this.#staleMs;
    const wentBack = head < highest && best >= highest;
    if (head < best && (stands || wentBack)) {
      const why = wentBack ? `went back from ${highest}` : "stands";
      this.#become(endpoint, "stale", `its head ${head} ${why}; another's is ${best}`);
    } else if (endpoint.state === "stale" && head >= best - 1) {
      this.#become(endpoint, "up", `its head is ${head}`);
    }
    // Where nobody is higher, the chain itself was reorganised.
    if (best < highest) endpoint.highest = Math.max(head, best);
  }

  async #judgeWords(endpoints: Endpoint[], block: number): Promise<void> {
    const { probe } = this;
    const tag = `0x${block.toString(16)}`;
    const told = await this.#askEach(endpoints, [
      { jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params: [tag, false] },
      ...(probe ? [{ jsonrpc: "2.0" as const, id: 2, method: "eth_call", params: [probe, tag] }] : []),
    ]);
    const groups = Map.groupBy(told.keys(), (endpoint) => wordsOf(told.get(endpoint)!));
    // Of equally many those with the more trusted one, which are named first.
    const trust = (group: Endpoint[]) =>
      Math.min(...group.map((endpoint) => this.#endpoints.indexOf(endpoint)));
    const [believed = [], ...others] = [...groups.values()].sort(
      (a, b) => b.length - a.length || trust(a) - trust(b),
    );
    for (const endpoint of believed) {
      if (endpoint.state === "disagrees") this.#become(endpoint, "up", "agrees again");
    }
    const names = believed.map(({ name }) => name).join(", ");
    for (const endpoint of others.flat()) {
      this.#become(endpoint, "disagrees", `says otherwise of block ${block} than ${names}`);
    }
  }

  async #askEach(endpoints: Endpoint[], payloads: JsonRpcPayload[]): Promise<Map<Endpoint, Answer[]>> {
    const answers = new Map<Endpoint, Answer[]>();
    await Promise.all(
      endpoints.map(async (endpoint) => {
        try {
          answers.set(endpoint, await this.#post(endpoint, payloads));
          this.#succeeded(endpoint);
        } catch (error) {
          this.#failed(endpoint, error);
        }
      }),
    );
    return answers;
  }

  #listen(url: string, retryMs: number): void {
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_subscribe", params: ["newHeads"] }));
    };
    socket.onmessage = ({ data }) => {
      const number = announcedBlock(data);
      if (number === undefined) return;
      this.#listening = true;
      this.#announced = { block: number, isNew: true };
      this.#wake?.();
    };
    socket.onclose = () => {
      this.#listening = false;
      if (this.#socket !== socket) return; // destroyed
      const later = Math.min(2 * retryMs, LONGEST_BREAK_MS);
      setTimeout(() => this.#socket === socket && this.#listen(url, later), retryMs).unref();
    };
  }

  #wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        if (signal) this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(finish, ms);
      signal?.addEventListener("abort", finish);
      if (signal) this.#wake = finish;
    });
  }
}

function endpointAt(address: string): Endpoint {
  const url = new URL(address);
  const { username, password, host: name } = url;
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (username !== "" || password !== "") {
    // fetch takes no credentials in an address.
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    headers.authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
    url.username = url.password = "";
  }
  const advancedAt = performance.now();
  return {
    ...{ url: url.href, headers, name, state: "up", failures: 0, retryAt: 0 },
    ...{ head: -1, highest: -1, advancedAt },
  };
}

function observe(endpoint: Endpoint, head: number): void {
  if (head > endpoint.head) endpoint.advancedAt = performance.now();
  endpoint.head = head;
  endpoint.highest = Math.max(endpoint.highest, head);
}

function isPast(moment: number): boolean {
  return performance.now() >= moment;
}

function quantity(answer: Answer | undefined): number | undefined {
  const value = answer && "result" in answer ? Number(answer.result) : NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** What a node says of a block: its hash and the probe's answer. */
function wordsOf([header, view]: Answer[]): string {
  const block = header && "result" in header ? (header.result as { hash?: string } | null) : null;
  return JSON.stringify([block?.hash, view && "result" in view ? view.result : undefined]);
}

function announcedBlock(message: unknown): number | undefined {
  try {
    const { params } = JSON.parse(String(message)) as { params?: { result?: { number?: string } } };
    const number = Number(params?.result?.number);
    return Number.isSafeInteger(number) ? number : undefined;
  } catch {
    return undefined;
  }
}

function isRateLimit({ code, message = "" }: JsonRpcError["error"]): boolean {
  return code === 429 || code === -32005 || /rate limit|too many requests/i.test(message);
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}
