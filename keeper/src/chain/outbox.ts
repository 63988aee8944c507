import { type TransactionLike, type TransactionReceipt, keccak256, toQuantity } from "ethers";

import type { Cause, OnEvent } from "../events.ts";
import type { Lease } from "../lease.ts";
import type { Node } from "./endpoints.ts";
import type { Attempt, Entry, Journal, Order } from "./journal.ts";

// Every transaction of the account: noted before it is sent, raised until it is mined, watched until no reorganisation
// undoes it. Whatever is sent twice is sent with one nonce, so that at most one of it is mined.

/** Who pays and signs; without `sign` the node does (an account that it has unlocked). */
export interface Account {
  address: string;
  sign?: ((transaction: TransactionLike) => Promise<string>) | undefined;
}

export interface OutboxOptions {
  provider: Node;
  account: Account;
  chainId: number;
  journal: Journal;
  lease: Lease;
  /** Blocks after which a mined transaction is final. */
  confirmations?: number;
  /** Gets transactions first; after `blocks` the public endpoints get them too. */
  privateRpc?: { node: Node; blocks: number } | undefined;
  /** Between looks at what is in flight. */
  pollMs: number;
  onEvent: OnEvent;
}

/** What must be known to send: one round trip. */
export interface Look {
  block: number;
  timestamp: bigint;
  baseFee: bigint; // of the next block
  tip: bigint; //     that lately got transactions into a block
  mined: number; //   nonces that are used
  pending: number; // the same, with what the node holds
}

export type Settlement =
  | { status: "mined"; receipt: TransactionReceipt }
  /** It was taken back, or something else of its nonce was mined: it never will be. */
  | { status: "withdrawn"; words: string }
  /** Nothing was sent, or the account's key sent something else. */
  | { status: "refused"; cause: Cause; words: string };

interface Fees {
  maxFee: bigint;
  tip: bigint;
}

const CANCEL_GAS = 21_000n;
/** Blocks for which an unexplained nonce may be the node's delay. */
const PATIENCE = 3;
/** Blocks for which a transaction that is not ours may hold our nonce. */
const FOREIGN_PATIENCE = 10;
/** Nonces that are filled at most: a node that lies can claim any number. */
const WIDEST_GAP = 16;

export class Outbox {
  readonly account: string;
  readonly #options: OutboxOptions;
  readonly #onEvent: OnEvent;
  #entries: Entry[] = [];
  /** Sent by another keeper, with another key. */
  #others: Entry[] = [];
  readonly #waiting = new Map<string, PromiseWithResolvers<Settlement>>();
  /** By nonce: the block since which it is unexplained; the last one in which its fee was held. */
  readonly #unexplained = new Map<number, number>();
  readonly #held = new Map<number, number>();
  #foreign: { mined: number; since: number } | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: OutboxOptions) {
    this.#options = options;
    this.#onEvent = options.onEvent;
    this.account = options.account.address;
  }

  /** Goes on with what an earlier life of the keeper left in the journal. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const outbox = new Outbox(options);
    options.lease.beforeActing = async () => outbox.reload();
    if (options.lease.held) await outbox.reload();
    return outbox;
  }

  /** Reads the journal again: another keeper may have written to it. */
  reload(): Promise<void> {
    return this.#serial(async () => {
      const all = await this.#options.journal.load();
      this.#entries = all.filter(({ account }) => account === this.account);
      this.#others = all.filter(({ account }) => account !== this.account);
      this.#drive();
    });
  }

  /** What is in flight, the latest attempt of each nonce. */
  get pending(): Order[] {
    return this.#entries.flatMap((entry) => {
      const order = entry.mined ? undefined : last(entry).order;
      return order ? [order] : [];
    });
  }

  /** Settles when it is known what came of the order in flight with this key. */
  settled(key: string): Promise<Settlement> {
    const waiting = this.#waiting.get(key) ?? Promise.withResolvers<Settlement>();
    this.#waiting.set(key, waiting);
    return waiting.promise;
  }

  async look(): Promise<Look> {
    const { provider } = this.#options;
    const [header, history, mined, pending] = await Promise.all([
      provider.getBlock("latest"),
      provider.send("eth_feeHistory", ["0x5", "latest", [50]]) as Promise<FeeHistory>,
      provider.getTransactionCount(this.account, "latest"),
      provider.getTransactionCount(this.account, "pending"),
    ]);
    if (!header) throw new Error("the node does not know its latest block");
    const tips = (history.reward ?? []).map(([tip = "0x0"]) => BigInt(tip)).sort((a, b) => (a < b ? -1 : 1));
    const baseFee = BigInt(history.baseFeePerGas.at(-1) ?? "0x0");
    const tip = max(tips[tips.length >> 1] ?? 0n, baseFee / 20n, 1n);
    const { number: block, timestamp } = header;
    return { block, timestamp: BigInt(timestamp), baseFee, tip, mined, pending };
  }

  /** Sends `order`, or puts it in the place of the one in flight with its key. */
  async send(order: Order, look: Look): Promise<Settlement> {
    const settled = this.settled(order.key);
    try {
      await this.#serial(() => this.#accept(order, look));
    } catch (error) {
      const cause = causeOf(error);
      this.#settle(order.key, { status: "refused", cause, words: wordsOf(error) });
    }
    return settled;
  }

  /** Puts `order` in the place of the one in flight with its key, if that is still so. */
  async renew(order: Order, look: Look): Promise<void> {
    await this.#serial(async () => {
      if (this.#options.lease.held) await this.#replace(order, look);
    });
  }

  /** Takes the order with this key back, if it is not mined yet: by something that costs less. */
  async withdraw(key: string): Promise<void> {
    await this.#serial(async () => {
      const entry = this.#entries.find((one) => !one.mined && last(one).order?.key === key);
      if (!entry || !this.#options.lease.held) return;
      const look = await this.look();
      if (look.mined <= entry.nonce) await this.#raise(entry, look, undefined, "taken back");
    });
  }

  /** Looks at everything in flight once. */
  async advance(): Promise<void> {
    await this.#serial(async () => {
      if (this.#entries.length + this.#others.length === 0) return;
      const { provider, lease } = this.#options;
      if (!lease.held) {
        this.#leave();
        return;
      }
      const [look, ...receipts] = await Promise.all([
        this.look(),
        ...[...this.#entries, ...this.#others].map(async (entry) => {
          const hashes = entry.attempts.flatMap(({ hash }) => hash ?? []);
          const found = await Promise.all(hashes.map((hash) => provider.getTransactionReceipt(hash)));
          return found.find((receipt) => receipt !== null);
        }),
      ]);
      const all = [...this.#entries, ...this.#others];
      for (const [at, entry] of all.entries()) {
        if (entry.account === this.account) await this.#examine(entry, receipts[at], look);
        else if (receipts[at] || look.timestamp > (last(entry).order?.deadline ?? 0n)) {
          this.#others = this.#others.filter((other) => other !== entry);
        }
      }
      await this.#fillGap(look);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#queue.catch(() => undefined);
    await this.#options.journal.close();
  }

  async #accept(order: Order, look: Look): Promise<void> {
    if (!this.#options.lease.held) throw new Refused("not leading", "another keeper leads");
    if (await this.#replace(order, look)) return;
    const own = this.#entries.filter(({ mined }) => !mined);
    const wasTried = ({ attempts }: Entry) => attempts.some((attempt) => attempt.order?.key === order.key);
    if ([...own, ...this.#others].some(wasTried)) {
      throw new Refused("unknown", "an earlier transaction of the same order may still be mined");
    }
    // A nonce that only waits to be taken back is as good as a new one.
    const free = own.find((entry) => last(entry).order === undefined);
    if (free && (await this.#raise(free, look, order, "its nonce was free"))) return;

    const fees = firstFees(order.worth / order.gas, look);
    if (!fees) {
      const words = `the base fee of ${look.baseFee} wei is above ${order.worth / order.gas}, all that it is worth`;
      throw new Refused("too dear", words);
    }
    const next = Math.max(look.mined, ...this.#entries.map(({ nonce }) => nonce + 1));
    this.#refuseForeign(look, next);
    const entry: Entry = {
      ...{ account: this.account, nonce: next, worth: order.worth, firstBlock: look.block },
      ...{ attempts: [], mined: undefined },
    };
    const attempt = await this.#attempt(entry, order, fees, look);
    this.#entries.push(entry);
    this.#drive();
    this.#onEvent({ kind: "sent", nonce: next, hash: attempt.hash ?? "unknown", via: attempt.via, ...fees });
  }

  /** Whether there was one to replace. */
  async #replace(order: Order, look: Look): Promise<boolean> {
    const current = this.#entries.find((entry) => !entry.mined && last(entry).order?.key === order.key);
    if (!current) return false;
    const { data, worth } = last(current).order!;
    const isDue = look.block > last(current).block && look.mined <= current.nonce;
    if (isDue && (data !== order.data || worth !== order.worth)) {
      await this.#raise(current, look, order, "the opportunity changed");
    }
    return true;
  }

  /** With our key somebody else sends: it may be a second keeper, or what a lost journal forgot. */
  #refuseForeign({ mined, pending, block }: Look, next: number): void {
    if (pending <= next) {
      this.#foreign = undefined;
      return;
    }
    if (this.#foreign?.mined !== mined) this.#foreign = { mined, since: block };
    if (block - this.#foreign.since >= FOREIGN_PATIENCE) return; // stuck: ours takes its place
    throw new Refused(
      "key shared",
      `this account has ${pending - next} transactions pending that are not ours`,
    );
  }

  /** Notes, then sends. Throws if it is certain that no node took it, and then it is not noted either. */
  async #attempt(entry: Entry, order: Order | undefined, fees: Fees, look: Look): Promise<Attempt> {
    const { account, chainId, journal, lease } = this.#options;
    const transaction = {
      ...{ type: 2, chainId, nonce: entry.nonce, value: 0n },
      to: order?.to ?? account.address,
      data: order?.data ?? "0x",
      gasLimit: order?.gasLimit ?? CANCEL_GAS,
      maxFeePerGas: fees.maxFee,
      maxPriorityFeePerGas: fees.tip,
    };
    const raw = await account.sign?.(transaction);
    const attempt: Attempt = {
      ...{ order, raw, hash: raw && keccak256(raw), ...fees, block: look.block },
      via: this.#isPrivate(entry, look) ? "private" : "public",
    };
    entry.attempts.push(attempt);
    try {
      await journal.write(entry);
    } catch (error) {
      entry.attempts.pop();
      throw lease.held
        ? new Refused("no journal", wordsOf(error))
        : new Refused("not leading", wordsOf(error));
    }
    // Writing took time.
    if (!lease.held) throw new Refused("not leading", "the lease was lost before it could be sent");
    try {
      await this.#broadcast(entry, attempt);
    } catch (error) {
      const cause = causeOf(error);
      // Whether a node that did not answer took it, nobody knows; a used nonce explains itself at the next look.
      if (cause === "endpoint" || isNonceTaken(error)) return attempt;
      // A node that mines at once answers a transaction that failed in its block with an error.
      if (attempt.hash !== undefined && (await this.#isMined(attempt.hash))) return attempt;
      entry.attempts.pop();
      await (entry.attempts.length > 0 ? journal.write(entry) : journal.erase(entry));
      throw new Refused(cause, wordsOf(error));
    }
    if (attempt.hash !== undefined && raw === undefined) await journal.write(entry);
    return attempt;
  }

  async #isMined(hash: string): Promise<boolean> {
    return (await this.#options.provider.getTransactionReceipt(hash)) !== null;
  }

  async #broadcast({ nonce }: Entry, attempt: Attempt): Promise<void> {
    const { provider, privateRpc, account } = this.#options;
    const { raw, order, maxFee, tip, via } = attempt;
    try {
      if (raw !== undefined) {
        const node = via === "private" ? privateRpc!.node : provider;
        await node.send("eth_sendRawTransaction", [raw]);
        return;
      }
      const transaction = {
        ...{ from: account.address, to: order?.to ?? account.address, data: order?.data ?? "0x" },
        ...{ nonce: toQuantity(nonce), gas: toQuantity(order?.gasLimit ?? CANCEL_GAS) },
        ...{ maxFeePerGas: toQuantity(maxFee), maxPriorityFeePerGas: toQuantity(tip) },
      };
      attempt.hash = (await provider.send("eth_sendTransaction", [transaction])) as string;
    } catch (error) {
      if (!/already known|known transaction|already imported/i.test(wordsOf(error))) throw error;
    }
  }

  #isPrivate({ firstBlock }: Entry, { block }: Look): boolean {
    const { privateRpc } = this.#options;
    return privateRpc !== undefined && block < firstBlock + privateRpc.blocks;
  }

  async #examine(entry: Entry, receipt: TransactionReceipt | undefined, look: Look): Promise<void> {
    const { journal, confirmations = 5 } = this.#options;
    const { nonce, mined } = entry;
    if (receipt) {
      const { hash, blockHash, blockNumber: block, fee: gasPaid, status } = receipt;
      this.#unexplained.delete(nonce);
      if (mined?.blockHash !== blockHash) {
        entry.mined = { hash, block, blockHash };
        await journal.write(entry);
        if (!mined) {
          this.#onEvent({ kind: "mined", nonce, hash, block, gasPaid, succeeded: status === 1 });
          this.#settleAll(entry, receipt);
        }
      }
      if (look.block - block >= confirmations) await this.#forget(entry);
      return;
    }
    if (look.mined > nonce) {
      // Another transaction of ours that we do not know, or a node that shows receipts late.
      if (this.#doubt(nonce, look) <= PATIENCE) return;
      await this.#forget(entry);
      const words = `another transaction of this account used the nonce ${nonce}`;
      for (const key of keysOf(entry)) this.#settle(key, { status: "refused", cause: "key shared", words });
      return;
    }
    if (mined) {
      this.#onEvent({ kind: "reorged", nonce, hash: mined.hash });
      entry.mined = undefined;
      await journal.write(entry);
      await this.#resend(entry);
      return;
    }
    const { order, block, via } = last(entry);
    if (look.block <= block) return;
    if (order && look.timestamp > order.deadline) {
      await this.#raise(entry, look, undefined, "its deadline is past");
    } else if (via === "private" && !this.#isPrivate(entry, look)) {
      await this.#publish(entry);
    } else {
      await this.#raise(entry, look, order, "not mined");
    }
  }

  /** The private endpoint had its time. */
  async #publish(entry: Entry): Promise<void> {
    const attempt = last(entry);
    attempt.via = "public";
    await this.#options.journal.write(entry);
    await this.#resend(entry);
    const { hash = "unknown", maxFee, tip } = attempt;
    this.#onEvent({ kind: "sent", nonce: entry.nonce, hash, via: "public", maxFee, tip });
  }

  /** A higher fee for the same nonce, at most what the order is worth; then the old one waits for the fee to fall. */
  async #raise(entry: Entry, look: Look, order: Order | undefined, why: string): Promise<boolean> {
    const previous = last(entry);
    const worth = order?.worth ?? entry.worth;
    const bound = worth / (order?.gas ?? CANCEL_GAS);
    const least = bump(previous.maxFee);
    if (bound < least || bound < look.baseFee) {
      const words = `a fee of ${max(least, look.baseFee)} wei is above ${bound}, all that it is worth`;
      await this.#hold(entry, look, `${words} (${why})`);
      return false;
    }
    const tip = max(bump(previous.tip), look.tip);
    const maxFee = min(max(least, 2n * look.baseFee + tip), bound);
    const fees = { maxFee, tip: min(tip, maxFee) };
    entry.worth = worth;
    try {
      const attempt = await this.#attempt(entry, order, fees, look);
      this.#held.delete(entry.nonce);
      this.#onEvent({
        ...{ kind: "replaced", nonce: entry.nonce, hash: attempt.hash ?? "unknown" },
        ...{ attempt: entry.attempts.length, ...fees, why },
      });
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.#hold(entry, look, `${error.message} (${why})`);
      return false;
    }
  }

  /** Waits with what was sent last. */
  async #hold(entry: Entry, { block }: Look, words: string): Promise<void> {
    const { nonce } = entry;
    if (this.#held.get(nonce) === block) return;
    if (!this.#held.has(nonce)) this.#onEvent({ kind: "held", nonce, words });
    this.#held.set(nonce, block);
    await this.#resend(entry);
  }

  /** A node may have forgotten it. */
  async #resend(entry: Entry): Promise<void> {
    // What it says to that, the next look shows better.
    await this.#broadcast(entry, last(entry)).catch(() => undefined);
  }

  /** Nonces below ours that nothing fills: a deep reorganisation, or a node that lied about them. */
  async #fillGap(look: Look): Promise<void> {
    const waiting = this.#entries.filter(({ mined }) => !mined);
    const lowest = Math.min(...waiting.map(({ nonce }) => nonce));
    if (waiting.length === 0 || lowest <= look.mined) return;
    if (this.#entries.some(({ nonce }) => nonce === look.mined)) return;
    const patience = look.pending > look.mined ? FOREIGN_PATIENCE : PATIENCE;
    if (this.#doubt(look.mined, look) <= patience) return;
    if (lowest - look.mined > WIDEST_GAP) {
      for (const entry of waiting) {
        await this.#forget(entry);
        const words = `its nonce ${entry.nonce} is far above ${look.mined}, the next one: a node lied`;
        for (const key of keysOf(entry)) this.#settle(key, { status: "refused", cause: "endpoint", words });
      }
      return;
    }
    const worth = max(...waiting.map((entry) => entry.worth));
    const fees = firstFees(worth / CANCEL_GAS, look);
    if (!fees) return;
    const entry: Entry = {
      ...{ account: this.account, nonce: look.mined, worth, firstBlock: look.block },
      ...{ attempts: [], mined: undefined },
    };
    const { hash = "unknown", via } = await this.#attempt(entry, undefined, fees, look);
    this.#entries.push(entry);
    this.#onEvent({ kind: "sent", nonce: entry.nonce, hash, via, ...fees });
  }

  /** Who leads now looks after them. */
  #leave(): void {
    this.#entries = this.#others = [];
    for (const key of [...this.#waiting.keys()]) {
      this.#settle(key, { status: "refused", cause: "not leading", words: "another keeper leads now" });
    }
  }

  #settleAll(entry: Entry, receipt: TransactionReceipt): void {
    const done = entry.attempts.find(({ hash }) => hash === receipt.hash)?.order?.key;
    for (const key of keysOf(entry)) {
      const words = "another transaction of its nonce was mined";
      this.#settle(key, key === done ? { status: "mined", receipt } : { status: "withdrawn", words });
    }
  }

  #settle(key: string, settlement: Settlement): void {
    this.#waiting.get(key)?.resolve(settlement);
    this.#waiting.delete(key);
  }

  async #forget(entry: Entry): Promise<void> {
    this.#entries = this.#entries.filter((one) => one !== entry);
    this.#held.delete(entry.nonce);
    this.#unexplained.delete(entry.nonce);
    await this.#options.journal.erase(entry);
  }

  #doubt(nonce: number, { block }: Look): number {
    const since = this.#unexplained.get(nonce) ?? block;
    this.#unexplained.set(nonce, since);
    return block - since;
  }

  /** Looks again and again while something is in flight. */
  #drive(): void {
    if (this.#timer || this.#isClosed || this.#entries.length + this.#others.length === 0) return;
    this.#timer = setTimeout(() => {
      void this.advance()
        .catch((error: unknown) => {
          this.#onEvent({ kind: "round failed", words: `looking at what is in flight: ${wordsOf(error)}` });
        })
        .then(() => {
          this.#timer = undefined;
          this.#drive();
        });
    }, this.#options.pollMs);
    // Nobody waits for a transaction to be final.
    if (this.#waiting.size === 0) this.#timer.unref();
  }

  /** One thing at a time: a nonce is given once. */
  #serial<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(act);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}

interface FeeHistory {
  baseFeePerGas: string[];
  reward?: string[][];
}

/** Nothing was sent. */
class Refused extends Error {
  readonly reason: Cause;

  constructor(cause: Cause, words: string) {
    super(words);
    this.reason = cause;
  }
}

function firstFees(bound: bigint, { baseFee, tip }: Look): Fees | undefined {
  if (bound < baseFee) return undefined;
  const maxFee = min(2n * baseFee + tip, bound);
  return { maxFee, tip: min(tip, maxFee) };
}

/** More than the tenth that nodes ask for a replacement. */
function bump(fee: bigint): bigint {
  return (fee * 9n) / 8n + 1n;
}

function last(entry: Entry): Attempt {
  return entry.attempts.at(-1)!;
}

function keysOf({ attempts }: Entry): Set<string> {
  return new Set(attempts.flatMap(({ order }) => order?.key ?? []));
}

/** What a node's refusal of a transaction means. */
function causeOf(error: unknown): Cause {
  if (error instanceof Refused) return error.reason;
  const words = wordsOf(error);
  if (/insufficient funds|enough funds|insufficient balance/i.test(words)) return "no gas money";
  if (/fee cap less than|less than block base fee|too low for the next block/i.test(words)) return "too dear";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const isAnswer = typeof code === "number" || code === "UNKNOWN_ERROR" || isNonceTaken(error);
  return isAnswer ? "bug" : "endpoint";
}

function isNonceTaken(error: unknown): boolean {
  return /nonce|underpriced|replacement/i.test(wordsOf(error));
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner =
    "info" in error ? (error.info as { error?: { message?: string } } | undefined)?.error : undefined;
  return inner?.message ?? error.message;
}

function max(...values: bigint[]): bigint {
  return values.reduce((a, b) => (b > a ? b : a));
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
