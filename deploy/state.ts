// What Ignition remembers of a chain (deploy/deployments/<id>), kept apart from that of a former chain of the same id.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { HardhatEthers } from "@nomicfoundation/hardhat-ethers/types";
import { HardhatArtifactResolver } from "@nomicfoundation/hardhat-ignition/helpers";
import { trackTransaction, wipe } from "@nomicfoundation/ignition-core";
import { artifacts } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";

interface Chain {
  genesis: string;
  startBlock: number;
}

export interface State {
  startBlock: number;
  /** A former throwaway chain's state was dropped. */
  isReset: boolean;
}

/**
 * Prepares `dir` for a deployment to the chain and returns the block that it started from. The state of another chain is
 * dropped when the chain is a throwaway one, and an error otherwise.
 */
export async function prepareState(
  dir: string,
  { provider }: HardhatEthers,
  isLocal: boolean,
): Promise<State> {
  const file = join(dir, "chain.json");
  const genesis = (await provider.getBlock(0))?.hash;
  if (!genesis) throw new Error("the chain has no block 0");

  let isReset = false;
  if (existsSync(dir)) {
    const chain = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Chain) : undefined;
    const missing = chain?.genesis === genesis ? await findMissing(dir, provider) : "the chain's block 0";
    if (chain && missing === undefined) return { startBlock: chain.startBlock, isReset };
    if (!isLocal) throw new Error(`${dir} belongs to another chain: ${missing} differs`);
    rmSync(dir, { recursive: true });
    isReset = true;
  }
  const startBlock = await provider.getBlockNumber();
  mkdirSync(dir, { recursive: true });
  writeFileSync(file, `${JSON.stringify({ genesis, startBlock } satisfies Chain, null, 2)}\n`);
  return { startBlock, isReset };
}

/** The first contract that Ignition remembers and the chain does not know. */
async function findMissing(dir: string, provider: HardhatEthers["provider"]): Promise<string | undefined> {
  for (const [id, address] of Object.entries(readDeployed(dir))) {
    if ((await provider.getCode(address)) === "0x") return `the code of ${id} at ${address}`;
  }
  return undefined;
}

/** What the journal says, as far as it is needed here: one JSON message a line. */
interface JournalMessage {
  type: string;
  futureId: string;
  from?: string;
  networkInteractionId?: number;
  nonce?: number;
}

/**
 * A process that dies while it sends leaves a transaction of which the journal knows the nonce and not the hash, and
 * Ignition asks for help. The chain knows whether it was sent: then Ignition is told its hash; else it is sent again, with
 * the same nonce, so that at most one of the two can ever count.
 */
export async function recoverLost(
  dir: string,
  { provider, ethers }: NetworkConnection,
  { startBlock }: State,
  confirmations?: number,
): Promise<void> {
  // Ignition cannot go on from a future that it has noted and not begun: as if it had not been noted.
  for (const futureId of findUnbegun(dir)) await wipe(dir, new HardhatArtifactResolver(artifacts), futureId);
  for (const { futureId, from, nonce } of findLost(dir)) {
    const hash = await findTransaction(ethers.provider, from, nonce, startBlock);
    if (hash !== undefined) {
      await trackTransaction(dir, hash, provider, confirmations);
    } else if ((await ethers.provider.getTransactionCount(from, "pending")) <= nonce) {
      await wipe(dir, new HardhatArtifactResolver(artifacts), futureId);
    } else {
      throw new Error(
        `transaction ${nonce} of ${from} (${futureId}) is pending: wait for it and deploy again`,
      );
    }
  }
}

function readJournal(dir: string): JournalMessage[] {
  const file = join(dir, "journal.jsonl");
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as JournalMessage);
}

/** Futures that send a transaction, of which the journal says that they exist and nothing more. */
function findUnbegun(dir: string): string[] {
  const unbegun = new Set<string>();
  for (const { type, futureId } of readJournal(dir)) {
    if (/^(DEPLOYMENT|CALL|SEND_DATA)_EXECUTION_STATE_INITIALIZE$/.test(type)) unbegun.add(futureId);
    else unbegun.delete(futureId);
  }
  return [...unbegun];
}

function findLost(dir: string): { futureId: string; from: string; nonce: number }[] {
  const senders = new Map<string, string>();
  const prepared = new Map<string, { futureId: string; nonce: number }>();
  for (const { type, futureId, from, networkInteractionId, nonce } of readJournal(dir)) {
    const key = `${futureId} ${networkInteractionId}`;
    if (from !== undefined) senders.set(futureId, from);
    if (type === "TRANSACTION_PREPARE_SEND" && nonce !== undefined) prepared.set(key, { futureId, nonce });
    else if (type === "WIPE_APPLY") prepared.delete(`${futureId} 1`);
    else prepared.delete(key);
  }
  return [...prepared.values()].map(({ futureId, nonce }) => {
    const from = senders.get(futureId);
    if (from === undefined) throw new Error(`the journal in ${dir} names no sender of ${futureId}`);
    return { futureId, from, nonce };
  });
}

async function findTransaction(
  provider: HardhatEthers["provider"],
  from: string,
  nonce: number,
  startBlock: number,
): Promise<string | undefined> {
  if ((await provider.getTransactionCount(from)) <= nonce) return undefined;
  for (let number = await provider.getBlockNumber(); number >= startBlock; number--) {
    const block = await provider.getBlock(number, true);
    const found = block?.prefetchedTransactions.find(
      (transaction) => transaction.nonce === nonce && BigInt(transaction.from) === BigInt(from),
    );
    if (found) return found.hash;
  }
  return undefined;
}

/** The contracts that a former run deployed, by Ignition's ids. */
export function readDeployed(dir: string): Record<string, string> {
  const file = join(dir, "deployed_addresses.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, string>) : {};
}
