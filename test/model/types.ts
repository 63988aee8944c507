/** What the reference model is asked and answers. */
import type { Real } from "./real.ts";

export type State = "Dead" | "Single" | "Diverged" | "Fresh";
export type Level = "None" | "NoNewRisk" | "Grace" | "LiquidationsPaused";

export interface Price {
  low: bigint;
  high: bigint;
  state: State;
  /** Basis points of the max LTV that volatility takes of new risk. */
  maxLtvCut?: bigint;
  /** The higher price at an earlier round: what was insolvent then too may be seized in a grace period. */
  earlierHigh?: bigint;
}

/** Basis points. */
export interface RiskParameters {
  maxLtv: bigint;
  liquidationThreshold: bigint;
  target: bigint;
  bonusMin: bigint;
  bonusMax: bigint;
  slope: bigint;
}

export interface Parameters {
  collateralDecimals: number;
  debtDecimals: number;
  collateralUnitDecimals: number;
  spacing: number;
  risk: RiskParameters;
  /** Millionths of a whole token. */
  caps: { debt: bigint; collateral: bigint; minDebt: bigint };
  /** Percent. */
  reserveFactor: bigint;
}

/** What a call reverts with: the name of the contract's error. */
export class Refusal extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}

/** The cascade brake. Millionths of a whole debt token. */
export interface Cascade {
  cap: bigint;
  window: bigint;
  /** What may be sold at `at`: at most the cap, and less than nothing after a step beyond it. */
  room: Real;
  at: bigint;
}

/** Thresholds between two pairs, basis points: `ran` of `duration` seconds. */
export interface Ramp {
  from: { liquidationThreshold: bigint; target: bigint };
  to: { liquidationThreshold: bigint; target: bigint };
  duration: bigint;
  ran: bigint;
  /** Seen on a Dead price: the clock stands. */
  halted: boolean;
}

export interface Account {
  /** undefined: no debt. */
  tick: number | undefined;
  /** Book debt. */
  debt: Real;
  /** Collateral units. */
  surplus: Real;
  /** Its debt was seized; until the owner changes it, its sub-account counts as in use. */
  seized?: boolean;
}

export interface AdjustRequest {
  account: string;
  /** Token units in (positive) or out; "all": whatever there is. */
  collateral: bigint | "all";
  /** Token units borrowed (positive) or repaid. */
  debt: bigint;
  price: Price;
  /** By the owner or its operator (the default), or by a stranger. */
  acts?: boolean;
}

/** What really moved, token units. */
export interface Moved {
  collateral: Real;
  debt: Real;
}

export interface LiquidateRequest {
  price: Price;
  /** Debt token units. */
  maxRepay: bigint;
  /** Default: skip nothing. */
  fromTick?: number;
  /** 0 (the default): no bound. */
  maxTicks?: number;
  buyPot?: boolean;
  seizeOnly?: boolean;
}

export interface Liquidation {
  /** Token units, pot included. */
  repaid: Real;
  seized: Real;
  /** Debt and collateral units that went into the pot. */
  potDebt: Real;
  potCollateral: Real;
  /** Debt units that were sold out of the pot. */
  potDebtSold: Real;
  /** Debt token units: the loss of what was sold, and who bore it. */
  badDebt: Real;
  insurancePaid: Real;
  reservesPaid: Real;
  lendersLoss: Real;
  /** Ticks sold (in whole or in part) and seized, in the order of the sweep; `to` undefined: seized. */
  moves: { from: number; to: number | undefined }[];
  /** The higher price that counted. */
  high: bigint;
}

/** The sale of what a wind-down has left of a position; token units. */
export interface Settlement {
  repaid: Real;
  seized: Real;
}

/** What a lender finds: assets in token units, and ticks to seize before. */
export interface Entry {
  total: Real;
  insolvent: number[];
}

/** The prices and bounds of one liquidation, in book debt per collateral unit. */
export interface Terms {
  high: Real;
  low: Real;
  trigger: number;
  target: number;
}
