// Maker's Liquidations 2.0: the vault's collateral in an auction whose price falls (Dog.bark, Clipper.take and redo,
// StairstepExponentialDecrease.price). One collateral against dollars. Names as there.
import {
  type Account,
  type Block,
  emptyTally,
  type GasCost,
  isBeyond,
  type Rule,
  type Venue,
} from "./simulate.ts";

export interface MakerTerms {
  threshold: number; // 1/mat
  chop: number; //      1.13: what is to be raised for a dollar of debt
  hole: number; //      most that running auctions are to raise
  buf: number; //       where an auction starts, of the oracle's price
  cut: number; //       what a step leaves of the price
  step: number; //      seconds
  tail: number; //      seconds until an auction has to start again
  cusp: number; //      share of its first price below which it has to
  dust: number; //      least that a buyer may leave to be raised
  oracleDelay: number; // seconds by which the oracle's price is behind the feed's
}

/** StairstepExponentialDecrease.price. */
export function stairstep(
  top: number,
  elapsed: number,
  { cut, step }: { cut: number; step: number },
): number {
  return top * cut ** Math.floor(elapsed / step);
}

export interface Sale {
  tab: number; // dollars to raise
  lot: number; // collateral to sell
  top: number; // first price
  tic: number; // start
}

/** Clipper.status: the price, and whether the auction has to start again first. */
export function status(sale: Sale, time: number, terms: MakerTerms): { done: boolean; price: number } {
  const elapsed = time - sale.tic;
  const price = stairstep(sale.top, elapsed, terms);
  return { done: elapsed > terms.tail || price / sale.top < terms.cusp, price };
}

/** Clipper.take of up to `amount` at `price`: what is bought and paid; undefined: it reverts. */
export function take(
  { tab, lot }: Sale,
  price: number,
  amount: number,
  dust: number,
): { slice: number; owe: number } | undefined {
  const slice = Math.min(lot, amount);
  const owe = slice * price;
  if (owe > tab) return { slice: tab / price, owe: tab };
  if (owe < tab && slice < lot && tab - owe < dust) {
    if (tab <= dust) return undefined;
    return { slice: (tab - dust) / price, owe: tab - dust };
  }
  return { slice, owe };
}

interface Auction extends Sale {
  due: number; //    debt of the vault
  raised: number;
  worth: number; // of what was sold, at the feed's price then
}

/** Less than this is left to wait for the next step, unless it is all. */
const LEAST_TAKE = 1_000;

export class Maker implements Rule {
  readonly tally = emptyTally();
  private due: Account[] = [];
  private auctions: Auction[] = [];
  private rounds: { time: number; price: number }[] = [];

  constructor(
    readonly name: string,
    private readonly accounts: Account[],
    private readonly terms: MakerTerms,
    /** Of `bark` or `take`; a liquidation is one of each. */
    readonly gasCost: GasCost,
  ) {}

  round(price: number, time: number): void {
    this.rounds.push({ time, price });
    this.due = this.accounts.filter((account) => isBeyond(account, price, this.terms.threshold));
  }

  liquidate({ time, price, gas, venue }: Block): void {
    const oracle = this.oraclePrice(time);
    const unsafe = this.accounts.filter((account) => isBeyond(account, oracle, this.terms.threshold));
    for (const account of unsafe.sort((a, b) => b.debt - a.debt)) {
      if (!this.bark(account, oracle, time, gas.spend.bind(gas))) break;
    }
    this.due = this.due.filter(({ debt }) => debt > 0);

    for (const auction of this.auctions) {
      if (status(auction, time, this.terms).done && gas.spend()) {
        auction.tic = time;
        auction.top = oracle * this.terms.buf;
      }
    }
    const open = this.auctions
      .map((auction) => ({ auction, ...status(auction, time, this.terms) }))
      .filter(({ done, price: asked }) => !done && asked <= price)
      .sort((a, b) => a.price - b.price);
    for (const { auction, price: asked } of open) {
      if (venue.room(asked) <= 0) break;
      if (!this.buy(auction, asked, price, venue, gas.spend.bind(gas))) break;
    }
    this.auctions = this.auctions.filter((auction) => !this.isOver(auction));
  }

  /** The newest round that is as old as the delay. */
  private oraclePrice(time: number): number {
    const known = this.rounds.filter((round) => round.time <= time - this.terms.oracleDelay);
    return (known.at(-1) ?? this.rounds[0]!).price;
  }

  /** Dog.bark: as much of the vault as the hole has room for; false: no further one now. */
  private bark(account: Account, oracle: number, time: number, spend: () => boolean): boolean {
    const { chop, hole, buf, dust } = this.terms;
    const room = hole - this.auctions.reduce((sum, { tab }) => sum + tab, 0);
    if (room <= 0 || room < dust) return false;
    let due = Math.min(account.debt, room / chop);
    // What would be left as dust goes too, or the hole is too small for the vault.
    if (due < account.debt && account.debt - due < dust) due = account.debt;
    if (!spend()) return false;
    const lot = (account.collateral * due) / account.debt;
    this.auctions.push({ tab: due * chop, lot, top: oracle * buf, tic: time, due, raised: 0, worth: 0 });
    account.collateral -= lot;
    account.debt -= due;
    return true;
  }

  private buy(auction: Auction, asked: number, price: number, venue: Venue, spend: () => boolean): boolean {
    const taken = take(auction, asked, venue.room(asked), this.terms.dust);
    if (taken === undefined) return true;
    const isAll = taken.slice >= auction.lot || taken.owe >= auction.tab;
    if (!isAll && taken.owe < LEAST_TAKE) return true;
    if (!spend()) return false;
    venue.sell(taken.slice);
    auction.lot -= taken.slice;
    auction.tab -= taken.owe;
    auction.raised += taken.owe;
    auction.worth += taken.slice * price;
    return true;
  }

  /** An auction ends with its tab raised, the rest of its lot going back, or with its lot sold. */
  private isOver({ tab, lot, due, raised, worth }: Auction): boolean {
    if (tab > 0 && lot > 0) return false;
    this.tally.penalty += Math.max(0, worth - due);
    this.tally.income += Math.max(0, raised - due);
    this.tally.badDebt += Math.max(0, due - raised);
    this.tally.cleared += due;
    return true;
  }

  uncovered(): number {
    const waiting = this.due.reduce((sum, { debt }) => sum + debt, 0);
    return this.auctions.reduce((sum, { due, raised }) => sum + Math.max(0, due - raised), waiting);
  }
}
