import { type Addresses, parseAddresses } from "@breakwater/sdk/addresses";
import {
  type Contracts,
  type MarketReading,
  connect,
  explainRevert,
  openMarkets,
} from "@breakwater/sdk/chain";
import { JsonRpcProvider, Network } from "ethers";
import { useEffect, useRef, useState } from "react";

import { createStore, useStore } from "./store.ts";

// The chain as the page knows it: one store that reads every market once a block, and a hook for whatever else a
// screen reads at that block.

export interface Chain {
  addresses: Addresses;
  /** Of the node that the page reads from; a wallet that does not know the chain is offered it. */
  rpcUrl: string;
  /** Where an index of this deployment answers, if one runs. */
  index?: string;
  /** A chain of this machine's: it has a drill. */
  isLocal: boolean;
  provider: JsonRpcProvider;
  contracts: Contracts;
}

/** All markets at one block. */
export interface Snapshot {
  block: number;
  time: bigint;
  markets: MarketReading[];
  /** Markets that could not be read, and why. */
  unread: { id: string; words: string }[];
}

export type Connection =
  | { status: "loading" }
  /** There is no deployment here, or not one that this page understands. */
  | { status: "absent"; words: string }
  /** The node does not answer, and never has. */
  | { status: "unreachable"; words: string; rpcUrl: string }
  /** `silentSince` (milliseconds): the node has stopped answering, and the snapshot is as old as that. */
  | { status: "open"; chain: Chain; snapshot: Snapshot; silentSince?: number };

const LOCAL_CHAIN = 31_337;
const POLL_MS = 1_000;
const RETRY_MS = 2_000;

const connection = createStore<Connection>({ status: "loading" });
let wake: () => void = () => undefined;

const LOOKS = 50;
const LOOK_MS = 100;

/**
 * Resolves when the page has this block: then all that it says, quotes too, is of after what was sent. Not waited for
 * longer than five seconds, which is the node's matter.
 */
export async function reached(block: number): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    const now = connection.get();
    if (now.status === "open" && now.snapshot.block >= block) return;
    wake();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Follows the chain for as long as the page lives. */
export async function followChain(): Promise<never> {
  for (;;) {
    try {
      const deployment = await fetchDeployment();
      await followDeployment(deployment);
    } catch (error) {
      if (!(error instanceof Absent)) throw error;
      connection.set({ status: "absent", words: error.message });
    }
    await pause(RETRY_MS);
  }
}

class Absent extends Error {}

type Deployment = Pick<Chain, "addresses" | "rpcUrl" | "index">;

async function fetchDeployment(): Promise<Deployment> {
  const response = await fetch("./addresses.json", { cache: "no-store" }).catch(() => undefined);
  if (!response?.ok || !/json/.test(response.headers.get("content-type") ?? "")) {
    throw new Absent("This server has no addresses.json: nothing is deployed here yet.");
  }
  try {
    const json = (await response.json()) as { rpcUrl?: unknown; index?: unknown };
    const addresses = parseAddresses(json);
    if (typeof json.rpcUrl !== "string") throw new Error("addresses: rpcUrl must be the node's address");
    const { rpcUrl, index } = json;
    return { addresses, rpcUrl, ...(typeof index === "string" && { index }) };
  } catch (error) {
    throw new Absent(`This server's addresses.json cannot be used. ${(error as Error).message}`);
  }
}

/** Ends when the chain turns out to be another one than before: then the addresses are read anew. */
async function followDeployment(deployment: Deployment) {
  const { addresses, rpcUrl } = deployment;
  const network = Network.from(addresses.chainId);
  // An answer that is kept for a moment may be of the block before.
  const provider = new JsonRpcProvider(rpcUrl, network, { staticNetwork: network, cacheTimeout: -1 });
  try {
    const contracts = connect(addresses, provider);
    const isLocal = addresses.chainId === LOCAL_CHAIN;
    const chain: Chain = { ...deployment, isLocal, provider, contracts };
    let read: Awaited<ReturnType<typeof openMarkets>>;
    try {
      const answered = BigInt((await provider.send("eth_chainId", [])) as string);
      if (answered !== BigInt(addresses.chainId)) {
        throw new Absent(
          `The node is of chain ${answered}, the addresses are of chain ${addresses.chainId}.`,
        );
      }
      read = await openMarkets(contracts, provider);
    } catch (error) {
      if (error instanceof Absent) throw error;
      connection.set({ status: "unreachable", words: explainRevert(error).words, rpcUrl });
      return;
    }
    for (;;) {
      const before = connection.get();
      try {
        const block = await provider.getBlock("latest");
        if (!block) throw new Error("the node has no block");
        const known = before.status === "open" && before.chain === chain ? before.snapshot.block : -1;
        if (block.number < known) return;
        if (block.number > known || (before.status === "open" && before.silentSince !== undefined)) {
          const unread: Snapshot["unread"] = [];
          const markets = await read(block.number, (id, error) =>
            unread.push({ id, words: explainRevert(error).words }),
          );
          const snapshot = { block: block.number, time: BigInt(block.timestamp), markets, unread };
          connection.set({ status: "open", chain, snapshot });
        }
      } catch (error) {
        if (before.status !== "open") {
          connection.set({ status: "unreachable", words: explainRevert(error).words, rpcUrl });
          return;
        }
        connection.set({ ...before, silentSince: before.silentSince ?? Date.now() });
      }
      await pause(POLL_MS);
    }
  } finally {
    provider.destroy();
  }
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

export function useConnection(): Connection {
  return useStore(connection);
}

/** The chain and its newest snapshot, for what the shell shows only when there are both. */
export function useChain(): { chain: Chain; snapshot: Snapshot; isSilent: boolean } {
  const now = useStore(connection);
  if (now.status !== "open") throw new Error("a screen is shown only when the chain is open");
  return { chain: now.chain, snapshot: now.snapshot, isSilent: now.silentSince !== undefined };
}

/** What was read: `value` stays while the next block's is under way, or cannot be read (`error`). */
export interface Reading<T> {
  value?: T;
  /** The value's. */
  block?: number;
  error?: string;
}

/**
 * Reads at every block, one reading at a time. Another `key` (everything that `read` depends on, as a text) is another
 * thing: what was read of the former is gone. No key: there is nothing to read.
 */
export function useRead<T>(
  key: string | undefined,
  read: (chain: Chain, block: number) => Promise<T>,
): Reading<T> {
  const { chain, snapshot } = useChain();
  const { block } = snapshot;
  const [reading, setReading] = useState<Reading<T> & { key?: string; asked?: number }>({});
  const busy = useRef<string>(undefined);
  const latest = useRef(read);
  latest.current = read;

  useEffect(() => {
    if (key === undefined || busy.current === key) return;
    if (reading.key === key && reading.asked === block) return;
    busy.current = key;
    void latest
      .current(chain, block)
      .then(
        (value) => ({ value, block }),
        (error: unknown) => ({ error: explainRevert(error).words }),
      )
      .then((result) => {
        if (busy.current !== key) return; // overtaken by another key
        busy.current = undefined;
        setReading((former) => ({
          ...(former.key === key && former),
          error: undefined,
          ...result,
          key,
          asked: block,
        }));
      });
  }, [key, block, chain, reading]);

  return reading.key === key ? reading : {};
}
