import { readFileSync } from "node:fs";

import { type JsonRpcProvider, getAddress, toQuantity } from "ethers";
import type { Page } from "playwright-core";

const INJECTED = readFileSync(new URL("injected.js", import.meta.url), "utf8");

class Refusal extends Error {
  constructor(
    readonly code: number,
    words: string,
  ) {
    super(words);
  }
}

const REJECTED = new Refusal(4001, "User rejected the request.");
const UNSUPPORTED = new Refusal(4200, "The wallet does not support this method.");

/** A wallet whose owner is the test: it signs with an account that the node has unlocked, or does not. */
export class TestWallet {
  chainId: number;
  /** What its owner says to the requests that he is asked about. */
  answer: "approve" | "reject" = "approve";
  /** Whether it can send several calls as one. */
  sendsTogether = false;
  /** What it was asked, in order. */
  readonly asked: string[] = [];
  /** Hashes of what it sent. */
  readonly sent: string[] = [];
  #isConnected = false;
  #page: Page | undefined;

  constructor(
    readonly account: string,
    private readonly provider: JsonRpcProvider,
    chainId = 31_337,
  ) {
    this.chainId = chainId;
  }

  async inject(page: Page): Promise<void> {
    this.#page = page;
    await page.exposeFunction("askTestWallet", async (request: { method: string; params?: unknown[] }) => {
      try {
        return { result: await this.#respond(request.method, request.params ?? []) };
      } catch (error) {
        const { code, message, error: inner } = error as { code?: unknown; message: string; error?: Refusal };
        return {
          error: {
            code: inner?.code ?? (typeof code === "number" ? code : -32_603),
            message: inner?.message ?? message,
          },
        };
      }
    });
    await page.addInitScript({ content: INJECTED });
  }

  /** As its owner does in the wallet itself. */
  async switchTo(chainId: number): Promise<void> {
    this.chainId = chainId;
    await this.#tell("chainChanged", toQuantity(chainId));
  }

  /** The same transaction again, under another hash, for double the price. */
  async speedUp(hash: string): Promise<string> {
    const { to, data, value, nonce, gasLimit, maxFeePerGas } = await this.#pending(hash);
    return this.#send({ to, data, value: toQuantity(value), nonce, gas: gasLimit, price: 2n * maxFeePerGas });
  }

  /** Another transaction in its place, which does nothing. */
  async cancel(hash: string): Promise<string> {
    const { nonce, maxFeePerGas } = await this.#pending(hash);
    return this.#send({
      to: this.account,
      data: "0x",
      value: "0x0",
      nonce,
      gas: 21_000n,
      price: 2n * maxFeePerGas,
    });
  }

  async #pending(hash: string) {
    const transaction = await this.provider.getTransaction(hash);
    if (!transaction) throw new Error(`the node does not know ${hash}`);
    const { to, data, value, nonce, gasLimit, gasPrice } = transaction;
    return { to, data, value, nonce, gasLimit, maxFeePerGas: transaction.maxFeePerGas ?? gasPrice };
  }

  async #send(of: {
    to: string | null;
    data: string;
    value: string;
    nonce: number;
    gas: bigint;
    price: bigint;
  }) {
    const request = {
      from: this.account,
      to: of.to,
      data: of.data,
      value: of.value,
      nonce: toQuantity(of.nonce),
      gas: toQuantity(of.gas),
      maxFeePerGas: toQuantity(of.price),
      maxPriorityFeePerGas: toQuantity(of.price),
    };
    return (await this.provider.send("eth_sendTransaction", [request])) as string;
  }

  async #tell(name: string, value: unknown): Promise<void> {
    await this.#page?.evaluate(`window.tellTestWallet(${JSON.stringify(name)}, ${JSON.stringify(value)})`);
  }

  async #respond(method: string, params: unknown[]): Promise<unknown> {
    this.asked.push(method);
    switch (method) {
      case "eth_chainId":
        return toQuantity(this.chainId);
      case "eth_accounts":
        return this.#isConnected ? [this.account] : [];
      case "eth_requestAccounts":
        this.#consent();
        this.#isConnected = true;
        return [this.account];
      case "wallet_switchEthereumChain":
        this.#consent();
        await this.switchTo(Number((params[0] as { chainId: string }).chainId));
        return null;
      case "eth_sendTransaction": {
        this.#consent();
        const hash = (await this.provider.send(method, params)) as string;
        this.sent.push(hash);
        return hash;
      }
      case "eth_signTypedData_v4":
        this.#consent();
        return (await this.provider.send(method, params)) as unknown;
      case "wallet_getCapabilities":
        if (!this.sendsTogether) throw UNSUPPORTED;
        return { [toQuantity(this.chainId)]: { atomic: { status: "supported" } } };
      case "wallet_sendCalls": {
        this.#consent();
        const { calls } = params[0] as { calls: object[] };
        for (const call of calls) {
          const request = { from: getAddress(this.account), ...call };
          const hash = (await this.provider.send("eth_sendTransaction", [request])) as string;
          this.sent.push(hash);
          await this.provider.waitForTransaction(hash);
        }
        return { id: `${calls.length} calls` };
      }
      case "wallet_getCallsStatus":
        return { status: 200, receipts: [{ transactionHash: this.sent.at(-1) }] };
      default:
        throw UNSUPPORTED;
    }
  }

  #consent(): void {
    if (this.answer === "reject") throw REJECTED;
  }
}
