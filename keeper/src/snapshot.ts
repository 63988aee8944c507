import type { BrakeLevel, PriceState, Sale } from "@breakwater/sdk/chain";

// What a decision is made of: one block's view of every market, and nothing else. Plain values, no chain.

/** What a liquidation of one size would do, were it sent now. Amounts in token units. */
export interface Offer {
  fromTick: number; // what is above is left alone
  maxRepay: bigint; // debt token, the size asked for
  repaid: bigint; //   debt token
  seized: bigint; //   collateral token
  value: bigint; //    debt token: `seized` at the lower price
  ticks: number; //    sold or seized
  /** The best sale of all that is seized; none: no venue takes that much. */
  sale: Sale | undefined;
}

/** An owner's protection order that can be executed now. */
export interface OrderOffer {
  id: bigint;
  tip: bigint; // units of its token
  /** Units of that token for 10^18 wei of the chain's coin; undefined: no pool says. */
  coinPrice: bigint | undefined;
  /** Of its sale; "0x": nothing is sold; undefined: none keeps its bounds. */
  path: string | undefined;
}

/** What the oracle's `update()` has recorded; its clocks run from here. */
export interface Recorded {
  state: PriceState;
  round: bigint; //   of the last Fresh price, its low 32 bits
  freshAt: bigint; // timestamps: when a Fresh price was recorded last,
  apartAt: bigint; // and when one that was Diverged or Dead
}

export interface MarketSnapshot {
  id: string;
  vault: string;
  debt: string; // token
  debtSymbol: string;
  debtDecimals: number;
  /** Which is poked: two markets that mirror each other have one. */
  oracle: string;
  priceState: PriceState;
  round: bigint; // of the price's primary source
  /** Undefined: an oracle that keeps no record. */
  recorded: Recorded | undefined;
  /** A ramp that is not complete; halted: its clock was stopped on a Dead price. */
  ramp: { halted: boolean } | undefined;
  brake: { level: BrakeLevel; until: bigint };
  /**
   * The highest populated tick, and how far the price would have to fall until it is liquidatable, and until it can only be
   * seized whole: WAD of the price now, negative: past it. None: no debt.
   */
  nearest: { tick: number; distance: bigint; toSeizure: bigint } | undefined;
  liquidatableTicks: number; // insolvent ones included
  insolventTicks: number; //    of them; they can only be seized whole; in grace: what may be seized
  /** There is something, but the cascade brake's cap leaves nothing of it now. */
  cascadeCapped: boolean;
  potDebt: bigint; //        debt token units, seized and not yet sold
  /** Debt token units for 10^18 wei of the chain's coin; undefined: no pool says. */
  coinPrice: bigint | undefined;
  /** Debt token units that the keeper's account holds: its own capital. */
  inventory: bigint;
  /** What a little collateral brings: the venues' price of it, in token units; undefined: none has one. */
  little: { collateral: bigint; proceeds: bigint } | undefined;
  offers: Offer[];
  orders: OrderOffer[];
}

export interface Snapshot {
  block: number;
  hash: string;
  timestamp: bigint;
  baseFee: bigint; //  wei, of the next block
  tip: bigint; //      wei, that lately got transactions into a block
  gasPrice: bigint; // wei, the going fee: both
  /** Until when a grace after an outage of the sequencer could be started; 0: none is due. */
  sequencerGrace: bigint;
  markets: MarketSnapshot[];
  /** Markets of which the Lens could not say anything: nobody liquidates there. */
  unreadable: { id: string; words: string }[];
}
