import { type Transaction, type TypedData, explainRevert } from "@breakwater/sdk/chain";
import { type TransactionReceipt, TypedDataEncoder, toQuantity } from "ethers";
import { useRef, useState } from "react";

import { type Chain, reached, useChain } from "./chain.ts";
import { createStore, useStore } from "./store.ts";
import { type Connected, ask, chainName, isRejection, useWallet, wordsOf } from "./wallet.ts";

// From a list of steps to what became of each: what a wallet is asked, and what the chain says of what it sent.

export type Progress =
  | { state: "to do" }
  /** Its owner reads and decides. */
  | { state: "in the wallet" }
  | { state: "signed" }
  | { state: "rejected" }
  | { state: "sent"; hash: string }
  /** No node knows it any more, and its number is not used: it may come back. */
  | { state: "dropped"; hash: string }
  /** `replaces`: the owner sped it up; it is the same, under another hash. */
  | { state: "confirmed"; hash: string; block: number; replaces?: string }
  /** Another transaction with its number was confirmed instead. */
  | { state: "replaced"; hash: string; by: string }
  | { state: "failed"; words: string; hash?: string };

/** One thing that the wallet is asked for. */
export interface Step {
  words: string;
  run: (wallet: Acting) => Promise<void>;
}

/** What a step can ask; each ends when it is signed or confirmed, and throws otherwise. */
export interface Acting {
  send: (transaction: Transaction) => Promise<TransactionReceipt>;
  /** All or none, as one (only where the wallet `sendsTogether`). */
  sendTogether: (transactions: readonly Transaction[]) => Promise<void>;
  sign: (data: TypedData) => Promise<string>;
}

/** Each transaction by itself or, where the wallet can, all as one. */
export function stepsOf(transactions: readonly Transaction[], together: boolean): Step[] {
  if (together && transactions.length > 1) {
    const words = transactions.map((transaction) => transaction.words).join(", then ");
    return [{ words, run: async (wallet) => wallet.sendTogether(transactions) }];
  }
  return transactions.map((transaction) => ({
    words: transaction.words,
    run: async (wallet) => {
      await wallet.send(transaction);
    },
  }));
}

// ---------------------------------------------------------------- what was sent

/** A transaction that the page follows, whatever screen is shown, and after a reload. */
export interface Sent {
  hash: string;
  words: string;
  from: string;
  nonce: number;
  /** The newest block when it was sent. */
  since: number;
  /** What it does: another one that does the same has replaced it only by name. */
  content: string;
  progress: Progress;
}

type Pending = Omit<Sent, "progress">;

const SENT = "breakwater.sent";
/** More than this many looks without any trace, and it counts as dropped. */
const LOOKS = 5;
const LOOK_MS = 1_000;
const KEPT = 8;

const sent = createStore<readonly Sent[]>([]);

export function useSent(): readonly Sent[] {
  return useStore(sent);
}

/** Goes on with what was under way when the page was left. */
export function resumeSent(chain: Chain): void {
  const stored = JSON.parse(localStorage.getItem(keyOf(chain)) ?? "[]") as Pending[];
  for (const pending of stored) {
    if (sent.get().some(({ hash }) => hash === pending.hash)) continue;
    void follow(chain, pending, () => undefined).catch(() => undefined);
  }
}

function keyOf({ addresses }: Chain): string {
  return `${SENT}.${addresses.chainId}.${addresses.startBlock}.${addresses.contracts["Lens"] ?? ""}`;
}

function note(chain: Chain, of: Pending, progress: Progress): void {
  const others = sent.get().filter(({ hash }) => hash !== of.hash);
  sent.set([{ ...of, progress }, ...others].slice(0, KEPT));
  const pending = sent
    .get()
    .filter(({ progress: { state } }) => state === "sent" || state === "dropped")
    .map(({ progress: _, ...pending }) => pending);
  localStorage.setItem(keyOf(chain), JSON.stringify(pending));
}

/** Looks until the chain has decided; by its number, for a wallet may replace it by another. */
async function follow(
  chain: Chain,
  of: Pending,
  tell: (progress: Progress) => void,
): Promise<TransactionReceipt> {
  const { provider } = chain;
  const say = (progress: Progress) => {
    note(chain, of, progress);
    tell(progress);
  };
  say({ state: "sent", hash: of.hash });
  for (let unseen = 0, from = of.since; ;) {
    const look = async (): Promise<TransactionReceipt | undefined> => {
      const receipt = await provider.getTransactionReceipt(of.hash);
      if (receipt) return receipt;
      const [head, used] = await Promise.all([
        provider.getBlockNumber(),
        provider.getTransactionCount(of.from, "latest"),
      ]);
      if (used > of.nonce) {
        // Its number is used, and not by it: by which?
        for (; from <= head; from++) {
          const block = await provider.getBlock(from, true);
          const other = block?.prefetchedTransactions.find(
            ({ from: sender, nonce }) => sender === of.from && nonce === of.nonce,
          );
          if (other) return (await provider.getTransactionReceipt(other.hash)) ?? undefined;
        }
        return undefined;
      }
      unseen = (await provider.getTransaction(of.hash)) ? 0 : unseen + 1;
      say({ state: unseen > LOOKS ? "dropped" : "sent", hash: of.hash });
      return undefined;
    };
    // A node that does not answer is no news of the transaction.
    const receipt = await look().catch(() => undefined);
    if (receipt) {
      const progress = await outcomeOf(chain, of, receipt);
      await reached(receipt.blockNumber);
      say(progress);
      if (progress.state !== "confirmed") throw new Told(progress);
      return receipt;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function outcomeOf({ provider }: Chain, of: Pending, receipt: TransactionReceipt): Promise<Progress> {
  const { hash, blockNumber: block, status } = receipt;
  const mine = await provider.getTransaction(hash);
  if (hash !== of.hash) {
    if (mine === null || contentOf(mine) !== of.content)
      return { state: "replaced", hash: of.hash, by: hash };
  }
  if (status === 1)
    return { state: "confirmed", hash, block, ...(hash !== of.hash && { replaces: of.hash }) };
  const why = mine
    ? await provider
        .call({ from: mine.from, to: mine.to, data: mine.data, value: mine.value, blockTag: block })
        .then(
          () => "it ran out of gas, or the state had changed",
          (error: unknown) => explainRevert(error).words,
        )
    : "the chain reverted it";
  return { state: "failed", words: why, hash };
}

function contentOf({ to, data, value }: { to: string | null; data: string; value: bigint }): string {
  return `${to?.toLowerCase() ?? ""}:${value}:${data}`;
}

/** A step's end that is told already. */
class Told extends Error {
  constructor(readonly progress: Progress) {
    super(progress.state);
  }
}

// ---------------------------------------------------------------- running steps

export interface Flow {
  steps: { words: string; progress: Progress }[];
  isRunning: boolean;
  isDone: boolean;
  /** It will not go on by itself: a step failed, or was dropped and may never come back. */
  isStopped: boolean;
  /** Begins; a flow that is running is left alone. */
  start: (steps: readonly Step[]) => void;
  /** From the step that did not succeed. */
  retry: () => void;
  clear: () => void;
}

const SUCCESS: readonly Progress["state"][] = ["confirmed", "signed"];

/** Steps one after the other, with what became of each. `onDone`: all have succeeded. */
export function useFlow(onDone?: () => void): Flow {
  const { chain } = useChain();
  const { connected } = useWallet();
  const [plan, setPlan] = useState<{ steps: readonly Step[]; progress: readonly Progress[] }>({
    steps: [],
    progress: [],
  });
  const [isRunning, setRunning] = useState(false);
  // A run that its owner has left still follows what it sent, and has nothing to say here any more.
  const turn = useRef(0);
  const isDropped = plan.progress.some(({ state }) => state === "dropped");

  const run = async (steps: readonly Step[], from: number) => {
    if (isRunning && !isDropped) return;
    setRunning(true);
    const mine = ++turn.current;
    const isLeft = () => turn.current !== mine;
    const tell = (at: number, progress: Progress) => {
      if (!isLeft()) setPlan((former) => ({ ...former, progress: former.progress.with(at, progress) }));
    };
    let at = from;
    try {
      for (; at < steps.length; at++) {
        const here = at;
        tell(here, { state: "in the wallet" });
        if (!connected) throw new Error("no wallet is connected");
        await steps[here]!.run(
          acting(chain, connected, steps[here]!.words, (progress) => tell(here, progress)),
        );
        if (isLeft()) return;
      }
      onDone?.();
    } catch (error) {
      tell(at, endOf(error));
    } finally {
      if (!isLeft()) setRunning(false);
    }
  };

  const isDone = plan.steps.length > 0 && plan.progress.every(({ state }) => SUCCESS.includes(state));
  return {
    steps: plan.steps.map(({ words }, at) => ({ words, progress: plan.progress[at]! })),
    isRunning,
    isDone,
    isStopped: plan.steps.length > 0 && !isDone && (!isRunning || isDropped),
    start: (steps) => {
      if (isRunning) return;
      setPlan({ steps, progress: steps.map(() => ({ state: "to do" })) });
      void run(steps, 0);
    },
    retry: () => {
      const at = plan.progress.findIndex(({ state }) => !SUCCESS.includes(state));
      if (at >= 0) void run(plan.steps, at);
    },
    clear: () => {
      if (isRunning && !isDropped) return;
      turn.current++;
      setRunning(false);
      setPlan({ steps: [], progress: [] });
    },
  };
}

function endOf(error: unknown): Progress {
  if (error instanceof Told) return error.progress;
  if (isRejection(error)) return { state: "rejected" };
  const { name, words } = explainRevert(error);
  // A wallet's error may be no Error.
  return { state: "failed", words: name === "Unknown" ? wordsOf(error) : words };
}

function acting(
  chain: Chain,
  { wallet, account }: Connected,
  words: string,
  tell: (progress: Progress) => void,
): Acting {
  const { provider, addresses } = chain;
  const chainId = toQuantity(addresses.chainId);

  /** It may have changed since the page last heard of it. */
  const checkNetwork = async () => {
    const now = await ask<string>(wallet, "eth_chainId");
    if (BigInt(now) !== BigInt(addresses.chainId)) {
      throw new Error(
        `${wallet.info.name} is on ${chainName(BigInt(now))}, not ${chainName(addresses.chainId)}`,
      );
    }
  };

  return {
    async send({ to, data, value }) {
      await checkNetwork();
      // What cannot work is said before the wallet is asked.
      const gas = await provider.estimateGas({ from: account, to, data, value });
      const [nonce, since] = await Promise.all([
        provider.getTransactionCount(account, "pending"),
        provider.getBlockNumber(),
      ]);
      tell({ state: "in the wallet" });
      // More than estimated: a block later the same trade may cross other ticks.
      const request = { from: account, to, data, value: toQuantity(value), gas: toQuantity((gas * 5n) / 4n) };
      const hash = await ask<string>(wallet, "eth_sendTransaction", [request]);
      const known = await provider.getTransaction(hash).catch(() => null);
      const of = {
        hash,
        words,
        from: account,
        nonce: known?.nonce ?? nonce,
        since,
        content: contentOf({ to, data, value }),
      };
      return follow(chain, of, tell);
    },

    async sendTogether(transactions) {
      await checkNetwork();
      const calls = transactions.map(({ to, data, value }) => ({ to, data, value: toQuantity(value) }));
      const request = { version: "2.0.0", chainId, from: account, atomicRequired: true, calls };
      const { id } = await ask<{ id: string }>(wallet, "wallet_sendCalls", [request]);
      tell({ state: "sent", hash: id });
      for (;;) {
        const { status, receipts = [] } = await ask<{
          status: number;
          receipts?: { transactionHash: string }[];
        }>(wallet, "wallet_getCallsStatus", [id]);
        const hash = receipts.at(-1)?.transactionHash;
        if (status >= 400) throw new Error("the wallet's calls were not made: nothing has changed");
        if (status >= 200 && hash !== undefined) {
          const receipt = await provider.getTransactionReceipt(hash);
          if (receipt) {
            await reached(receipt.blockNumber);
            tell({ state: "confirmed", hash, block: receipt.blockNumber });
            return;
          }
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },

    async sign({ domain, types, message }) {
      await checkNetwork();
      tell({ state: "in the wallet" });
      const payload = JSON.stringify(TypedDataEncoder.getPayload(domain, types, message));
      const signature = await ask<string>(wallet, "eth_signTypedData_v4", [account, payload]);
      tell({ state: "signed" });
      return signature;
    },
  };
}
