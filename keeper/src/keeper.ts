import { setTimeout as pause } from "node:timers/promises";

import { formatAmount } from "@breakwater/sdk/core";
import type { Logger } from "pino";

import type { Endpoints, Head } from "./chain/endpoints.ts";
import type { Order } from "./chain/journal.ts";
import { type Sources, collect } from "./collect.ts";
import {
  type Action,
  type Decision,
  type Parameters,
  type Reason,
  decide,
  describe,
  explain,
} from "./decide.ts";
import type { ActionKind, OnEvent } from "./events.ts";
import {
  type Outcome,
  type Sender,
  type StartGrace,
  coinPriceFor,
  execute,
  keyOf,
  outcomeOf,
  renew,
} from "./execute.ts";
import type { Lease } from "./lease.ts";
import type { MarketSnapshot, Snapshot } from "./snapshot.ts";

// collect → decide → execute, once a block. What is sent is not waited for: the next block is evaluated meanwhile, and
// what is still in flight is renewed or taken back by it.

/** What a keeper is made of. */
export interface Parts {
  sources: Sources;
  /** Absent: a dry run. */
  sender: Sender | undefined;
  lease: Lease;
  parameters: Parameters;
  log: Logger;
  onEvent: OnEvent;
}

export interface Round {
  snapshot: Snapshot;
  decisions: Decision[];
  outcomes: Outcome[];
}

interface Evaluation {
  snapshot: Snapshot;
  decisions: Decision[];
  /** What was begun; it may take blocks. */
  sending: Promise<Outcome>[];
}

/** An order, for the report of what came of it. */
interface About {
  vault: string; // none: ""
  action: ActionKind;
  coinPrice: bigint | undefined;
  plan: string;
}

/**
 * Blocks that an order is left alone after it was mined and failed: 2, 4, and so on; it cost gas. Losing races is business: then
 * a few at most, or a keeper would be missing in the hour that counts.
 */
const LONGEST_BREAK = 64;
const BREAK_AFTER_A_RACE = 4;

export class Keeper implements Parts {
  sources: Sources;
  sender: Sender | undefined;
  lease: Lease;
  parameters: Parameters;
  log: Logger;
  onEvent: OnEvent;
  #block = -1;
  /** When a block was seen: then its markets have names. */
  readonly #ready = Promise.withResolvers<undefined>();
  // By an order's key: what is under way; what is wanted; what was said of its failing; where it was mined, and how often it
  // failed there.
  readonly #inFlight = new Map<string, Promise<Outcome>>();
  readonly #renewing = new Set<string>();
  readonly #open = new Set<string>();
  readonly #missed = new Map<string, string>();
  readonly #minedAt = new Map<string, number>();
  readonly #failed = new Map<string, { times: number; until: number }>();
  /** By vault, as last seen. */
  readonly #markets = new Map<string, MarketSnapshot>();
  /** By market: the reasons that were said last. */
  readonly #said = new Map<string, string>();

  constructor({ sources, sender, lease, parameters, log, onEvent }: Parts) {
    this.sources = sources;
    this.sender = sender;
    this.lease = lease;
    this.parameters = parameters;
    this.log = log;
    this.onEvent = onEvent;
  }

  /** One round at `block`, and what came of it. */
  async step(block: number): Promise<Round> {
    let { snapshot, decisions, sending } = await this.evaluate(block);
    const outcomes = await Promise.all(sending);
    if (snapshot.sequencerGrace > 0n && outcomes[0]?.status === "done") {
      // First of all the grace; then whatever may be done in it.
      const next = await this.sources.provider.getBlockNumber();
      ({ snapshot, decisions, sending } = await this.evaluate(next));
      outcomes.push(...(await Promise.all(sending)));
    }
    return { snapshot, decisions, outcomes };
  }

  /** A round for every new block, until `signal` aborts; a round that fails is tried again. */
  async run(endpoints: Endpoints, pollMs: number, signal: AbortSignal): Promise<void> {
    const { log, onEvent } = this;
    let last = -1;
    let trustsHints = true;
    while (!signal.aborted) {
      let head: Head | undefined;
      try {
        head = await endpoints.nextHead(last, pollMs, signal, trustsHints);
        const { decisions } = await this.evaluate(head.block);
        last = head.block;
        trustsHints = true;
        for (const decision of decisions) this.#say(decision, head.block);
      } catch (error) {
        // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- aborted meanwhile
        if (signal.aborted) return;
        // What was announced may not be there yet: ask.
        trustsHints = false;
        if (head?.hinted) continue;
        const words = error instanceof Error ? error.message : String(error);
        onEvent({ kind: "round failed", words });
        log.error({ err: error }, "the round failed; trying again");
        await pause(pollMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async evaluate(block: number): Promise<Evaluation> {
    const started = performance.now();
    const { sources, sender, parameters, onEvent, log } = this;
    const account = sender?.outbox.account;
    const pending = sender?.outbox.pending ?? [];
    for (const order of pending) this.#adopt(order, sender!);
    const [snapshot, balance] = await Promise.all([
      collect(sources, block, parameters.maxTicks),
      account === undefined ? undefined : sources.provider.getBalance(account, block),
      // What was mined meanwhile is no longer wanted.
      sender?.outbox.advance(),
    ]);
    if (block < this.#block) {
      // The chain went back: what was remembered of later blocks may never have been.
      this.#minedAt.clear();
      this.#failed.clear();
    }
    this.#block = block;
    const decisions = decide(snapshot, parameters);
    for (const { market } of decisions) this.#markets.set(market.vault, market);
    this.#ready.resolve(undefined);
    for (const { id, words } of snapshot.unreadable) {
      onEvent({ kind: "round failed", words: `${id} cannot be read: ${words}` });
      log.error({ block, market: id }, `${id} cannot be read: ${words}`);
    }
    const sending = sender
      ? this.#act(snapshot, decisions, sender, pending)
      : this.#pretend(snapshot, decisions);
    if (account !== undefined) onEvent({ kind: "balance", account, wei: balance! });
    onEvent({
      ...{ kind: "block", block, markets: decisions.length },
      ...{ lagMs: Date.now() - Number(snapshot.timestamp) * 1_000, ms: performance.now() - started },
    });
    return { snapshot, decisions, sending };
  }

  /** `before`: in flight before the block was read; of what a reorganisation has put there since, it says nothing. */
  #act(
    { block, sequencerGrace }: Snapshot,
    decisions: Decision[],
    sender: Sender,
    before: Order[],
  ): Promise<Outcome>[] {
    const { pokeBudget } = this.parameters;
    const grace: StartGrace = { kind: "sequencer grace", until: sequencerGrace, worth: pokeBudget };
    const wanted = new Map<string, { action: Action | StartGrace; market?: MarketSnapshot }>();
    // Borrowers get time after an outage of the sequencer, if somebody asks for it: who liquidates for a living asks too.
    if (sequencerGrace > 0n) wanted.set(keyOf(grace), { action: grace });
    else {
      for (const { market, actions, reasons } of decisions) {
        this.#debug(block, market, reasons);
        for (const action of actions) wanted.set(keyOf(action), { action, market });
      }
    }
    for (const key of this.#open) if (!wanted.has(key)) this.#close(key);
    const earlier = new Set(before.map(({ key }) => key));
    for (const { key, action } of sender.outbox.pending) {
      if (action !== "approve" && !wanted.has(key) && earlier.has(key))
        void sender.outbox.withdraw(key).catch(this.#complain);
    }
    const sending: Promise<Outcome>[] = [];
    for (const [key, { action, market }] of wanted) {
      // It was mined while an older block was looked at.
      if ((this.#minedAt.get(key) ?? -1) > block) continue;
      if (!this.#open.has(key)) {
        this.#open.add(key);
        this.onEvent({ kind: "opportunity", block, market: market?.id ?? "", action: action.kind });
      }
      if ((this.#failed.get(key)?.until ?? -1) > block || !this.lease.held) continue;
      const current = this.#inFlight.get(key);
      if (current) this.#renew(key, action, coinPriceFor(action, market), sender);
      sending.push(current ?? this.#begin(key, action, market, sender));
    }
    return sending;
  }

  #begin(
    key: string,
    action: Action | StartGrace,
    market: MarketSnapshot | undefined,
    sender: Sender,
  ): Promise<Outcome> {
    const plan = action.kind === "sequencer grace" ? describeGrace(action.until) : describe(action, market!);
    const { vault = "" } = market ?? {};
    const coinPrice = coinPriceFor(action, market);
    return this.#follow(key, execute(action, sender, coinPrice), {
      vault,
      action: action.kind,
      coinPrice,
      plan,
    });
  }

  /** Sent by an earlier life of this keeper, or by the one that led before it. */
  #adopt(order: Order, sender: Sender): void {
    const { key, market: vault, action, coinPrice } = order;
    if (this.#inFlight.has(key) || action === "approve") return;
    const outcome = sender.outbox.settled(key).then(async (settlement) => {
      await this.#ready.promise;
      return outcomeOf(settlement, sender);
    });
    void this.#follow(key, outcome, { vault, action, coinPrice, plan: "what was sent before" });
  }

  /** The same, as it is best now, in the place of what is in flight. */
  #renew(key: string, action: Action | StartGrace, coinPrice: bigint | undefined, sender: Sender): void {
    if (this.#renewing.has(key) || !sender.outbox.pending.some((order) => order.key === key)) return;
    this.#renewing.add(key);
    void renew(action, sender, coinPrice)
      .catch(this.#complain)
      .finally(() => this.#renewing.delete(key));
  }

  async #follow(key: string, executing: Promise<Outcome>, about: About): Promise<Outcome> {
    const following = executing.then((outcome) => {
      this.#inFlight.delete(key);
      this.#report(key, outcome, about);
      return outcome;
    });
    this.#inFlight.set(key, following);
    return following;
  }

  #report(key: string, outcome: Outcome, about: About): void {
    const { log, onEvent } = this;
    const { action, coinPrice, plan } = about;
    const seen = this.#markets.get(about.vault);
    const market = seen?.id ?? about.vault;
    const who = market === "" ? "" : `${market}: `;
    const record = { block: this.#block, market, action, ...texts(outcome) };
    if (outcome.status !== "refused") this.#minedAt.set(key, outcome.block);
    if (outcome.status === "done") {
      const { hash, repaid, profit, gasPaid } = outcome;
      const { debtDecimals = 18, debtSymbol = "" } = seen ?? {};
      const profitWei = coinPrice ? (profit * 10n ** 18n) / coinPrice : undefined;
      onEvent({
        ...{ kind: "taken", market, action, hash, repaid, profit },
        ...{ profitWei, gasPaid, debtSymbol, debtDecimals },
      });
      const amount = (value: bigint) => `${formatAmount(value, debtDecimals, 4)} ${debtSymbol}`;
      const gains = `; repaid ${amount(repaid)}, profit ${amount(profit)} before gas`;
      log.info(record, `${who}done: ${plan}${repaid > 0n ? gains : ""}`);
      this.#close(key);
      this.#failed.delete(key);
      return;
    }
    const { cause, words } = outcome;
    if (outcome.status === "reverted") {
      const times = (this.#failed.get(key)?.times ?? 0) + 1;
      const isOurs = cause === "bug" || cause === "unknown";
      const until = outcome.block + Math.min(2 ** times, isOurs ? LONGEST_BREAK : BREAK_AFTER_A_RACE);
      this.#failed.set(key, { times, until });
    }
    // Once while it lasts: every block tries again.
    const told = `${outcome.status} ${cause}`;
    if (this.#missed.get(key) === told && outcome.status === "refused") return;
    this.#missed.set(key, told);
    const gasPaid = outcome.status === "reverted" ? outcome.gasPaid : 0n;
    onEvent({ kind: "missed", market, action, cause, words, gasPaid });
    log.warn(record, `${who}${outcome.status}: ${words} (${cause}; wanted to ${plan})`);
  }

  /** Nothing wants it any more. */
  #close(key: string): void {
    this.#open.delete(key);
    this.#missed.delete(key);
  }

  #pretend({ block, sequencerGrace }: Snapshot, decisions: Decision[]): Promise<Outcome>[] {
    const { log } = this;
    const about = { block, dryRun: true };
    if (sequencerGrace > 0n) log.info(about, `would ${describeGrace(sequencerGrace)}`);
    for (const { market, actions, reasons } of decisions) {
      this.#debug(block, market, reasons);
      for (const action of actions) {
        log.info(
          { ...about, market: market.id, action: action.kind },
          `${market.id}: would ${describe(action, market)}`,
        );
      }
    }
    return [];
  }

  #debug(block: number, market: MarketSnapshot, reasons: Reason[]): void {
    for (const reason of reasons) {
      const about = { block, market: market.id, reason: reason.kind };
      this.log.debug(about, explain(reason, market));
    }
  }

  /** Every block's reasons are in the debug log; a person wants to hear when they change. */
  #say({ market, reasons }: Decision, block: number): void {
    const kinds = reasons.map(({ kind }) => kind).join();
    if (kinds === "" || kinds === this.#said.get(market.id)) return;
    this.#said.set(market.id, kinds);
    for (const reason of reasons) {
      this.log.info(
        { block, market: market.id, reason: reason.kind },
        `${market.id}: ${explain(reason, market)}`,
      );
    }
  }

  readonly #complain = (error: unknown): void => {
    const words = error instanceof Error ? error.message : String(error);
    this.onEvent({ kind: "round failed", words });
    this.log.warn({ err: error }, words);
  };
}

function describeGrace(until: bigint): string {
  return `start the grace after an outage of the sequencer, until ${new Date(Number(until) * 1_000).toISOString()}`;
}

/** JSON has no bigint. */
function texts(record: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]: [string, unknown]) => [
      key,
      typeof value === "bigint" ? String(value) : value,
    ]),
  );
}
