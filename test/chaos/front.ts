import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { EIP1193Provider } from "hardhat/types/providers";

// JSON-RPC over HTTP in front of a chain of this process, with faults to switch on.

interface Request {
  id: number;
  method: string;
  params?: unknown[];
}

export interface Faults {
  /** Takes requests and never answers. */
  stalls: boolean;
  /** Answers 429. */
  limits: boolean;
  /** Claims another chain. */
  chainId: string | undefined;
  /** Blocks that its head is behind the chain's. */
  behind: number;
  /** Says something else than the chain of calls. */
  lies: boolean;
  /** Added to the nonces that it names. */
  nonces: number;
  /** Takes transactions and keeps them to itself. */
  swallows: boolean;
  /** Comes before a request of this method is passed on. */
  before: Partial<Record<string, () => Promise<void>>>;
  /** Comes after, before it is answered. */
  after: Partial<Record<string, () => Promise<void>>>;
}

const NONE: Faults = {
  ...{ stalls: false, limits: false, chainId: undefined, behind: 0, lies: false, nonces: 0, swallows: false },
  ...{ before: {}, after: {} },
};

export class Front {
  faults: Faults = { ...NONE };
  readonly url: string;
  /** The methods of each request. */
  readonly asked: string[][] = [];
  readonly close: () => Promise<void>;
  readonly #chain: EIP1193Provider;

  private constructor(chain: EIP1193Provider, url: string, close: () => Promise<void>) {
    this.#chain = chain;
    this.url = url;
    this.close = close;
  }

  static async open(chain: EIP1193Provider): Promise<Front> {
    const server = createServer((request, response) => {
      front.#answer(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const front = new Front(chain, `http://127.0.0.1:${port}`, async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    });
    return front;
  }

  heal(): void {
    this.faults = { ...NONE };
  }

  get host(): string {
    return new URL(this.url).host;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.faults.stalls) return;
    if (this.faults.limits) {
      response.writeHead(429, { "retry-after": "1" }).end();
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Request | Request[];
    this.asked.push([body].flat().map(({ method }) => method));
    const answers = [];
    for (const one of Array.isArray(body) ? body : [body]) answers.push(await this.#one(one));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(Array.isArray(body) ? answers : answers[0]));
  }

  async #one({ id, method, params = [] }: Request): Promise<object> {
    const { faults } = this;
    await faults.before[method]?.();
    if (faults.swallows && method === "eth_sendRawTransaction") {
      return { jsonrpc: "2.0", id, result: `0x${"0".repeat(64)}` };
    }
    try {
      const result: unknown = await this.#chain.request({
        method,
        params: await this.#rewind(method, params),
      });
      await faults.after[method]?.();
      return { jsonrpc: "2.0", id, result: this.#bend(method, result) };
    } catch (error) {
      const { code = -32000, message, data } = error as { code?: number; message: string; data?: unknown };
      return { jsonrpc: "2.0", id, error: { code, message, data } };
    }
  }

  /** As a node that lags would understand it. */
  async #rewind(method: string, params: unknown[]): Promise<unknown[]> {
    if (this.faults.behind === 0 || params.at(-1) !== "latest" || method === "eth_getTransactionCount") {
      return params;
    }
    return [...params.slice(0, -1), `0x${(await this.#head()).toString(16)}`];
  }

  #bend(method: string, result: unknown): unknown {
    const { chainId, behind, lies, nonces } = this.faults;
    if (method === "eth_getTransactionCount") return `0x${(Number(result) + nonces).toString(16)}`;
    if (method === "eth_chainId" && chainId !== undefined) return chainId;
    if (method === "eth_blockNumber") return `0x${(Number(result) - behind).toString(16)}`;
    if (method === "eth_call" && lies && typeof result === "string" && result.length > 66) {
      return `${result.slice(0, -2)}${result.endsWith("00") ? "01" : "00"}`;
    }
    return result;
  }

  async #head(): Promise<number> {
    return Number(await this.#chain.request({ method: "eth_blockNumber" })) - this.faults.behind;
  }
}
