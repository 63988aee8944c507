// The drill's chain: in process, with a clock and blocks that the drill sets itself.
import { type EIP1193Provider } from "hardhat/types/providers";

/** The cap of one transaction (EIP-7825). */
export const MAX_TRANSACTION_GAS = 2n ** 24n;
export const BLOCK_SECONDS = 12;
/** The pool's average has followed the feed once its window is over. */
export const WINDOW_SECONDS = 600;

export interface Log {
  address: string;
  topics: string[];
  data: string;
}

export interface Receipt {
  gasUsed: bigint;
  logs: Log[];
}

export class Chain {
  /** Time of the newest block. */
  time = 0;

  constructor(private readonly provider: EIP1193Provider) {}

  private async request(method: string, ...params: unknown[]): Promise<unknown> {
    return this.provider.request({ method, params });
  }

  /** From here on blocks are mined by `mine` only. */
  async takeOver(blockGas: bigint): Promise<void> {
    await this.request("evm_setAutomine", false);
    await this.request("evm_setBlockGasLimit", hex(blockGas));
    const block = (await this.request("eth_getBlockByNumber", "latest", false)) as { timestamp: string };
    this.time = Number(block.timestamp);
  }

  /** Puts a transaction into the next block. */
  async send(from: string, to: string, data: string, gas: bigint): Promise<string> {
    // Fees are not what the drill is about: none is asked, so that a full block excludes nobody.
    const transaction = {
      from,
      to,
      data,
      gas: hex(gas),
      maxFeePerGas: hex(FEE),
      maxPriorityFeePerGas: "0x0",
    };
    return (await this.request("eth_sendTransaction", transaction)) as string;
  }

  /** Mines the next block at `time` and returns what became of `hashes`; a transaction that failed is an error. */
  async mine(time: number, ...hashes: string[]): Promise<Receipt[]> {
    await this.request("evm_setNextBlockTimestamp", time);
    await this.request("hardhat_setNextBlockBaseFeePerGas", "0x0");
    await this.request("evm_mine");
    this.time = time;
    return Promise.all(hashes.map((hash) => this.receipt(hash)));
  }

  private async receipt(hash: string): Promise<Receipt> {
    const receipt = (await this.request("eth_getTransactionReceipt", hash)) as {
      status: string;
      gasUsed: string;
      logs: Log[];
    } | null;
    if (!receipt) throw new Error(`transaction ${hash} did not fit into its block`);
    if (receipt.status !== "0x1") throw new Error(`transaction ${hash} failed: ${await this.reasonOf(hash)}`);
    return { gasUsed: BigInt(receipt.gasUsed), logs: receipt.logs };
  }

  private async reasonOf(hash: string): Promise<string> {
    const { from, to, input, gas, blockNumber } = (await this.request(
      "eth_getTransactionByHash",
      hash,
    )) as Record<string, string>;
    try {
      await this.request("eth_call", { from, to, data: input, gas }, hex(BigInt(blockNumber ?? "0x0") - 1n));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    return "it succeeds on the block before";
  }

  /** What a call would return now; undefined if it reverts. */
  async call(from: string, to: string, data: string, gas = MAX_TRANSACTION_GAS): Promise<string | undefined> {
    try {
      return (await this.request("eth_call", { from, to, data, gas: hex(gas) }, "latest")) as string;
    } catch {
      return undefined;
    }
  }
}

const FEE = 10n ** 9n;

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
