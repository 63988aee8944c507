/**
 * The chain of a differential run, as raw requests. Nothing is estimated and nothing waits: a transaction is put into
 * the pool, mined at the run's own time, and its receipt read.
 */
import type { NetworkConnection } from "hardhat/types/network";
import { toBeHex } from "ethers";
import { network } from "hardhat";

export interface Log {
  address: string;
  topics: string[];
  data: string;
}

export interface MinedLog extends Log {
  block: number;
  logIndex: number;
  timestamp: number;
}

interface RawLog extends Log {
  blockNumber: string;
  logIndex: string;
}

export interface Call {
  to: string;
  data: string;
}

/** What a transaction did: its logs, or the data that it reverted with. */
export type Outcome = { reverted: string } | { reverted?: undefined; logs: Log[] };

const GAS = toBeHex(16_000_000);
const FEE = toBeHex(10n ** 9n);
/**
 * Answers three words of each view in its calldata: of (to, selector, argument), 32 bytes each, it calls
 * to.selector(argument).
 */
const BATCHER =
  "0x5f5b36811015602c5780602001355f5280604001356004526060816040016024" +
  "5f84355afa50606001600156" +
  "5b366040f3";
const BATCHER_AT = "0x000000000000000000000000000000000000ba7c";
/** Answers the words of its storage at the slots in its calldata: for (i = 0; i < size; i += 32) out[i] = sload(in[i]) */
const READER = "0x5f5b3681101560145780355481526020016001565b365ff3";

export class Chain {
  private constructor(
    private readonly connection: NetworkConnection,
    public time: bigint,
  ) {}

  /** A new chain: what it is asked fails quietly, for telling why in full takes long. */
  static async create(unlimitedSize: boolean): Promise<NetworkConnection> {
    return await network.create({
      network: "default",
      override: {
        allowBlocksWithSameTimestamp: true,
        allowUnlimitedContractSize: unlimitedSize || process.env.ALLOW_UNLIMITED_CONTRACT_SIZE === "1",
        throwOnCallFailures: false,
      },
    });
  }

  /** From here on blocks are mined by the run only. */
  static async takeOver(connection: NetworkConnection): Promise<Chain> {
    const block = (await connection.provider.request({
      method: "eth_getBlockByNumber",
      params: ["latest", false],
    })) as { timestamp: string };
    const chain = new Chain(connection, BigInt(block.timestamp));
    await chain.request("evm_setAutomine", false);
    return chain;
  }

  async snapshot(): Promise<{ id: string; time: bigint }> {
    return { id: (await this.request("evm_snapshot")) as string, time: this.time };
  }

  async restore({ id, time }: { id: string; time: bigint }): Promise<void> {
    await this.request("evm_revert", id);
    this.time = time;
  }

  /** Ends the block, at `time`. */
  async mine(time: bigint): Promise<void> {
    this.time = time;
    await this.request("evm_setNextBlockTimestamp", toBeHex(time));
    await this.request("evm_mine");
  }

  /** A transaction at this very moment, from any account. */
  async send(from: string, call: Call): Promise<Outcome> {
    const [outcome] = await this.sendAll(from, [call]);
    return outcome!;
  }

  /** Transactions in one block at this very moment. */
  async sendAll(from: string, calls: readonly Call[]): Promise<Outcome[]> {
    const hashes = await Promise.all(calls.map((call) => this.post(from, call)));
    await this.mine(this.time);
    const outcomes: Outcome[] = [];
    for (const [index, hash] of hashes.entries()) {
      const receipt = (await this.request("eth_getTransactionReceipt", hash)) as {
        status: string;
        logs: Log[];
      };
      // A transaction that reverted changed nothing, so calling it again tells why.
      outcomes.push(
        receipt.status === "0x1"
          ? { logs: receipt.logs }
          : { reverted: await this.read({ from, ...calls[index]! }) },
      );
    }
    return outcomes;
  }

  /** What a view answers now, or the data that it reverts with. */
  async read(call: Call & { from?: string }): Promise<string> {
    return (await this.request("eth_call", { ...call, gas: GAS }, "latest")) as string;
  }

  /** The first three words that views with at most one argument answer now, in one call. */
  async readAll(calls: readonly Call[]): Promise<bigint[][]> {
    const words = (hex: string, at: number) => hex.slice(at, at + 64);
    const data = calls
      .map(({ to, data: callData }) => {
        const [selector, argument] = [callData.slice(2, 10), callData.slice(10)];
        return (
          to.slice(2).toLowerCase().padStart(64, "0") + selector.padEnd(64, "0") + argument.padEnd(64, "0")
        );
      })
      .join("");
    const call = { to: BATCHER_AT, data: `0x${data}`, gas: GAS };
    const answer = (await this.request("eth_call", call, "latest", {
      [BATCHER_AT]: { code: BATCHER },
    })) as string;
    return calls.map((_, i) => [0, 64, 128].map((at) => BigInt(`0x${words(answer, 2 + 192 * i + at)}`)));
  }

  /** Words of a contract's storage, in one call. */
  async readSlots(address: string, slots: readonly bigint[]): Promise<bigint[]> {
    const data = `0x${slots.map((slot) => slot.toString(16).padStart(64, "0")).join("")}`;
    const answer = (await this.request("eth_call", { to: address, data, gas: GAS }, "latest", {
      [address]: { code: READER },
    })) as string;
    return slots.map((_, i) => BigInt(`0x${answer.slice(2 + 64 * i, 66 + 64 * i)}`));
  }

  /** What these contracts emitted from block `from` on, and the last block. */
  async logsSince(from: number, addresses: readonly string[]): Promise<{ logs: MinedLog[]; last: number }> {
    const last = Number(await this.request("eth_blockNumber"));
    const range = { fromBlock: toBeHex(from), toBlock: toBeHex(last), address: addresses };
    const logs = (await this.request("eth_getLogs", range)) as RawLog[];
    const times = new Map<string, number>();
    for (const { blockNumber } of logs) {
      if (times.has(blockNumber)) continue;
      const block = (await this.request("eth_getBlockByNumber", blockNumber, false)) as { timestamp: string };
      times.set(blockNumber, Number(block.timestamp));
    }
    return {
      last,
      logs: logs.map(({ blockNumber, logIndex, ...log }) => ({
        ...log,
        block: Number(blockNumber),
        logIndex: Number(logIndex),
        timestamp: times.get(blockNumber)!,
      })),
    };
  }

  private async post(from: string, call: Call): Promise<string> {
    return (await this.request("eth_sendTransaction", {
      from,
      ...call,
      gas: GAS,
      maxFeePerGas: FEE,
      maxPriorityFeePerGas: "0x0",
    })) as string;
  }

  private async request(method: string, ...params: unknown[]): Promise<unknown> {
    return await this.connection.provider.request({ method, params });
  }
}
