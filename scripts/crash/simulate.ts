// A rule of liquidation against a price path: the drill's book and blocks, keepers that take every profit. Pure.
// What the rules do is in their own files. Whole tokens and dollars as plain doubles: peers' units are not ours.
import { BLOCK_SECONDS, MAX_TRANSACTION_GAS, WINDOW_SECONDS } from "../drill/chain.ts";
import { type PricePath, STEP_SECONDS } from "../drill/path.ts";
import type { Pool } from "./pool.ts";

export interface Account {
  collateral: number; // whole tokens
  debt: number; //       dollars
}

/** What a transaction costs before its first action, and each action of it. */
export interface GasCost {
  base: number;
  action: number;
}

/** What a rule has done so far; dollars. */
export interface Tally {
  /** Equity that liquidations took from borrowers, at the feed's price. */
  penalty: number;
  /** The part of that which the protocol kept. */
  income: number;
  /** Debt that no sale covered, before any income. */
  badDebt: number;
  /** Debt that liquidations ended, bad debt included. */
  cleared: number;
}

export function emptyTally(): Tally {
  return { penalty: 0, income: 0, badDebt: 0, cleared: 0 };
}

/** One block as keepers find it. */
export interface Block {
  time: number;
  price: number;
  gas: BlockGas;
  venue: Venue;
}

export interface Rule {
  readonly name: string;
  readonly tally: Tally;
  readonly gasCost: GasCost;
  /** A new round of the feed. */
  round(price: number, time: number): void;
  /** What keepers do in a block. */
  liquidate(block: Block): void;
  /** Dollars of debt that is liquidatable at the feed's price or whose collateral the protocol holds, not repaid yet. */
  uncovered(price: number): number;
}

/** Where keepers sell what they seize. */
export interface Venue {
  /** How much can be sold until one more token brings less than `least` dollars. */
  room(least: number): number;
  /** What that brings, dollars. */
  sell(amount: number): number;
}

/** A keeper with capital sells elsewhere, any amount at the feed's price. */
export function elsewhere(price: number): Venue {
  return { room: (least) => (least <= price ? Infinity : 0), sell: (amount) => amount * price };
}

/** Gas of one block, filled with transactions that hold as many actions as the cap of one allows. */
export class BlockGas {
  transactions = 0;
  used = 0;
  private inTransaction = Infinity;

  constructor(
    private readonly limit: number,
    private readonly cost: GasCost,
  ) {}

  /** Whether `count` further actions fit; they are then done. */
  spend(count = 1): boolean {
    const gas = this.cost.action * count;
    const opens = this.inTransaction + gas > Number(MAX_TRANSACTION_GAS);
    const total = gas + (opens ? this.cost.base : 0);
    if (this.used + total > this.limit) return false;
    this.used += total;
    if (opens) this.transactions++;
    this.inTransaction = opens ? total : this.inTransaction + gas;
    return true;
  }
}

export interface Outcome extends Tally {
  name: string;
  gas: number;
  transactions: number;
  /** Minutes that the average dollar of the book's debt at the start was uncovered. */
  uncoveredMinutes: number;
  /** The longest stretch in which any debt was. */
  longestMinutes: number;
  /** Still uncovered after the last step. */
  left: number;
}

export interface Setting {
  path: PricePath;
  blockGas: number;
  /** Keepers sell through it, and arbitrage brings it back to the feed in the block after; undefined: elsewhere. */
  pool: Pool | undefined;
  /** In each step keepers act only when our oracle's sources agree, as ours do in the drill; false: from the first block. */
  waits: boolean;
}

/** Walks the path. A keeper acts in the first block after a round at the earliest. */
export function simulate(rule: Rule, bookDebt: number, { path, blockGas, pool, waits }: Setting): Outcome {
  const every = pool === undefined ? BLOCK_SECONDS : 2 * BLOCK_SECONDS;
  const uncovered = new Stretches();
  let [gas, transactions] = [0, 0];
  rule.round(dollars(path.start.price), path.start.time);
  path.steps.forEach((step, i) => {
    const price = dollars(step.price);
    const next = path.steps[i + 1]?.time ?? step.time + STEP_SECONDS;
    const [begin, end] = waits
      ? [step.time + WINDOW_SECONDS + BLOCK_SECONDS, step.time + STEP_SECONDS - 2 * BLOCK_SECONDS]
      : [step.time, next];
    rule.round(price, step.time);
    uncovered.at(step.time, rule.uncovered(price));
    for (let time = begin + BLOCK_SECONDS; time < end && uncovered.now > 0; time += every) {
      const blockGasLeft = new BlockGas(blockGas, rule.gasCost);
      rule.liquidate({ time, price, gas: blockGasLeft, venue: pool?.at(price) ?? elsewhere(price) });
      gas += blockGasLeft.used;
      transactions += blockGasLeft.transactions;
      uncovered.at(time, rule.uncovered(price));
    }
  });
  const left = uncovered.now;
  const last = path.steps.at(-1)!;
  uncovered.at(last.time + STEP_SECONDS, 0);
  return {
    name: rule.name,
    ...rule.tally,
    gas,
    transactions,
    uncoveredMinutes: uncovered.dollarSeconds / 60 / bookDebt,
    longestMinutes: uncovered.longest / 60,
    left,
  };
}

/** Uncovered debt over time: its integral, and the longest stretch without a moment at zero. */
class Stretches {
  now = 0;
  dollarSeconds = 0;
  longest = 0;
  private seen: number | undefined;
  private since: number | undefined;

  at(time: number, debt: number): void {
    this.dollarSeconds += this.now * (time - (this.seen ?? time));
    this.longest = Math.max(this.longest, this.since === undefined ? 0 : time - this.since);
    this.since = debt > 0 ? (this.since ?? time) : undefined;
    this.seen = time;
    this.now = debt;
  }
}

/** Of a feed's answer. */
export function dollars(price: bigint): number {
  return Number(price) / 1e8;
}

/** What the borrower would have left. */
export function equity({ collateral, debt }: Account, price: number): number {
  return Math.max(0, collateral * price - debt);
}

/** Liquidatable: all three peers say so strictly beyond the threshold. */
export function isBeyond({ collateral, debt }: Account, price: number, threshold: number): boolean {
  return debt > 0 && debt > collateral * price * threshold;
}
