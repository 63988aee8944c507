// The bench's chain: in process, with a clock of its own, so that every run gives the same figures.
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";

/** The cap of one transaction (EIP-7825). */
export const MAX_TRANSACTION_GAS = 2n ** 24n;

export interface Call {
  from: string;
  to: string;
  data: string;
}

export interface Log {
  address: string;
  topics: string[];
  data: string;
}

export interface Receipt {
  hash: string;
  to: string;
  data: string;
  gasUsed: bigint;
  logs: Log[];
}

export interface Snapshot {
  id: string;
  time: number;
}

/** One step of debug_traceTransaction. */
export interface StructLog {
  pc: number;
  op: string;
  gas: number;
  gasCost: number;
  depth: number;
  stack: string[];
}

const MINES = ["eth_sendTransaction", "eth_sendRawTransaction", "evm_mine"];

interface Request {
  readonly method: string;
  readonly params?: readonly unknown[] | object;
}

export class Chain {
  private constructor(
    readonly connection: NetworkConnection,
    readonly signer: HardhatEthersSigner,
    private readonly request: (request: Request) => Promise<unknown>,
    /** Time of the next block; it stands still until `advance` moves it. */
    private time: number,
  ) {}

  static async create(startsAt: number): Promise<Chain> {
    const connection = await network.create({
      override: {
        allowBlocksWithSameTimestamp: true,
        initialBaseFeePerGas: 0,
        initialDate: new Date((startsAt - 1) * 1000),
      },
    });
    const { provider } = connection;
    const request = provider.request.bind(provider) as (request: Request) => Promise<unknown>;
    const [signer] = await connection.ethers.getSigners();
    if (signer === undefined) throw new Error("the chain has no accounts");
    const chain = new Chain(connection, signer, request, startsAt);
    // Whoever sends through the connection (Ignition, ethers) lives by this clock too, a second a transaction: by the
    // computer's, no two runs would charge the same interest.
    provider.request = (async (asked: Request) => {
      const answer = await chain.onClock(asked);
      if (MINES.includes(asked.method)) chain.advance(1);
      return answer;
    }) as typeof provider.request;
    return chain;
  }

  private async onClock(asked: Request): Promise<unknown> {
    if (asked.method === "evm_increaseTime") {
      this.advance((asked.params as [number])[0]);
      return "0x0";
    }
    // An estimate is made for the block that would come next.
    if (MINES.includes(asked.method) || asked.method === "eth_estimateGas") {
      await this.request({ method: "evm_setNextBlockTimestamp", params: [this.time] });
    }
    return this.request(asked);
  }

  private async ask<T>(method: string, ...params: unknown[]): Promise<T> {
    return (await this.onClock({ method, params })) as T;
  }

  advance(seconds: number): void {
    this.time += seconds;
  }

  /** Lets `address` send without a key. */
  async impersonate(address: string): Promise<void> {
    await this.ask("hardhat_impersonateAccount", address);
  }

  /** Sends and mines; a transaction that fails is an error. */
  async send({ from, to, data }: Call): Promise<Receipt> {
    const gas = `0x${MAX_TRANSACTION_GAS.toString(16)}`;
    const hash = await this.ask<string>("eth_sendTransaction", { from, to, data, gas, gasPrice: "0x0" });
    const receipt = await this.ask<{ gasUsed: string; logs: Log[] }>("eth_getTransactionReceipt", hash);
    return { hash, to, data, gasUsed: BigInt(receipt.gasUsed), logs: receipt.logs };
  }

  async call(to: string, data: string): Promise<string> {
    return this.ask("eth_call", { from: this.signer.address, to, data }, "latest");
  }

  async code(address: string): Promise<string> {
    return this.ask("eth_getCode", address, "latest");
  }

  async snapshot(): Promise<Snapshot> {
    return { id: await this.ask<string>("evm_snapshot"), time: this.time };
  }

  /** Back to `snapshot`, which can be returned to again. */
  async restore(snapshot: Snapshot): Promise<void> {
    await this.ask("evm_revert", snapshot.id);
    this.time = snapshot.time;
    snapshot.id = await this.ask<string>("evm_snapshot");
  }

  async trace(hash: string): Promise<StructLog[]> {
    const options = { disableMemory: true, disableStorage: true };
    return (await this.ask<{ structLogs: StructLog[] }>("debug_traceTransaction", hash, options)).structLogs;
  }
}
