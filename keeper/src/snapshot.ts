import type { BrakeLevel, PriceState } from "@breakwater/sdk/chain";

// What a decision is made of: one block's view of every market, and nothing else. Plain values, no chain.

/** What a liquidation of one size would do, were it sent now. Amounts in token units. */
export interface Offer {
  maxRepay: bigint; // debt token, the size asked for
  repaid: bigint; //   debt token
  seized: bigint; //   collateral token
  proceeds: bigint; // debt token, for all of the seized collateral on `path`
  path: string; //     Uniswap v3 path
  ticks: number; //    sold or seized
}

/** What the keeper saw when it last drove a market's clocks; in memory only. */
export interface LastPoke {
  at: bigint; // the block's timestamp
  priceState: PriceState;
  round: bigint;
  count: number; // since the keeper started
}

export interface MarketSnapshot {
  id: string;
  vault: string;
  debtSymbol: string;
  debtDecimals: number;
  oracle: string;
  priceState: PriceState;
  round: bigint; // of the price's primary source
  lastPoke: LastPoke | undefined;
  /** A ramp that is not complete; halted: its clock was stopped on a Dead price. */
  ramp: { halted: boolean } | undefined;
  brake: { level: BrakeLevel; until: bigint };
  /** The highest populated tick and how far the price is from liquidating it, WAD; none: no debt. */
  nearest?: { tick: number; distance: bigint };
  liquidatableTicks: number; // insolvent ones included
  insolventTicks: number; //    of them; they can only be seized whole; in grace: what may be seized
  potDebt: bigint; //        debt token units, seized and not yet sold
  /** Debt token units for 10^18 wei of the chain's coin; undefined: no pool says. */
  coinPrice: bigint | undefined;
  offers: Offer[];
}

export interface Snapshot {
  block: number;
  timestamp: bigint;
  gasPrice: bigint; // wei, the going fee
  markets: MarketSnapshot[];
}
