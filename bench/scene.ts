// What is played on every protocol alike: who, how much, at which ticks.
import { BORROW_INDEX_ONE, BPS, floorTick, ratioOf } from "@breakwater/sdk/core";
import { TestToken__factory } from "@breakwater/sdk/types";
import { id as keccak, MaxUint256 } from "ethers";

import type { Call, Receipt } from "./chain.ts";
import type { Result } from "./results.ts";

export const SPACING = 25;
/** Whole debt tokens for a whole collateral token, 8 decimals. */
export const PRICE = 2_000_00000000n;
export const COLLATERAL_DECIMALS = 18;
export const DEBT_DECIMALS = 6;
/** Of every position. */
export const COLLATERAL = 10n * 10n ** 18n;
/** Changes are 1 % of the position. */
export const CHANGE = 100n;
export const BACKGROUND = 200;

const MAX_LTV = 8_200n;
const LIQUIDATION_THRESHOLD = 8_600n;
const TARGET = 8_300n;

const account = (name: string) => `0x${keccak(name).slice(26)}`;

export const USER = account("user");
export const LENDER = account("lender");
export const LIQUIDATOR = account("liquidator");
export const crowd = (index: number) => account(`crowd ${index}`);

const token = TestToken__factory.createInterface();

/** Without limit. */
export const approve = (from: string, to: string, spender: string): Call => ({
  from,
  to,
  data: token.encodeFunctionData("approve", [spender, MaxUint256]),
});

/** Sub-accounts are Breakwater's; a peer's accounts all have sub-account 0. */
export interface Holder {
  owner: string;
  sub: number;
}

export interface Opening extends Holder {
  tick: number;
}

/** Uniswap v3's SwapRouter and the pool of the two tokens. */
export interface Exchange {
  router: string;
  pool: string;
}

/**
 * One way to a leveraged position and out of it: what is borrowed is sold on Uniswap v3 for collateral, and the other way
 * round. Whoever trades pays what `own` says, and has nothing of the debt token left in the end.
 */
export interface Leverage {
  by?: Result["by"];
  /** Rights and approvals, given once. */
  allow: Call[];
  open(holder: Holder, own: bigint, collateral: bigint, debt: bigint): Call[];
  /** `debt`: as it was opened. */
  close(holder: Holder, debt: bigint): Promise<Call[]>;
}

/** What a protocol has to be able to do to take part; a step is as many transactions as it takes a user. */
export interface Protocol {
  name: Result["protocol"];
  collateral: string;
  debt: string;
  /** Whom borrowers, lenders and liquidators approve. */
  spenders: string[];
  /** What liquidates more than one account at once out of its own funds, if the liquidator itself does not. */
  batch?: string;
  setPrice(price: bigint): Promise<void>;
  open(holder: Holder, collateral: bigint, debt: bigint): Call[];
  addCollateral(holder: Holder, amount: bigint): Call[];
  repay(holder: Holder, amount: bigint): Call[];
  withdraw(holder: Holder, amount: bigint): Call[];
  close(holder: Holder): Promise<Call[]>;
  deposit(amount: bigint): Call[];
  withdrawDeposit(amount: bigint): Call[];
  liquidate(holders: Holder[]): Promise<Call[]>;
  leverage: Leverage[];
  /** By which book debt grows; a peer's positions need no aiming at ticks. */
  borrowIndex?(): Promise<bigint>;
  /** The tick in which a change left its position. */
  landedAt?(receipt: Receipt): number | undefined;
  /** How many ticks a liquidation swept, and where they landed. */
  swept?(receipt: Receipt): { ticks: number; land: number } | undefined;
}

// ---------------------------------------------------------------- leverage

/** The pool's fee is a tenth of it; the rest is for what the trade itself moves the price. */
const SLIPPAGE = 50n;

const SCALE = 10n ** BigInt(COLLATERAL_DECIMALS + 8 - DEBT_DECIMALS);
export const inCollateral = (debt: bigint) => (debt * SCALE) / PRICE;
export const inDebt = (collateral: bigint) => (collateral * PRICE) / SCALE;

/** Collateral units that a swap of `debt` must bring, and may cost. */
export const atLeast = (debt: bigint) => (inCollateral(debt) * (BPS - SLIPPAGE)) / BPS;
export const atMost = (debt: bigint) => (inCollateral(debt) * (BPS + SLIPPAGE)) / BPS;

// ---------------------------------------------------------------- ticks

const q128 = (price: bigint) => (price << 128n) / 10n ** 8n;

/** The highest tick that may be opened, with one to spare for interest. */
const TOP = floorTick((q128(PRICE) * MAX_LTV) / BPS, SPACING) - 1;
/** In a crash the lowest tick that can be liquidated: 48 below the top, the span that can be sold and not be seized. */
export const LOWEST = TOP - 48;
/** Between two ticks: half a tick up from the one below, so that neither interest nor rounding decides. */
const TRIGGER_RATIO = (ratioOf(LOWEST, SPACING) + ratioOf(LOWEST - 1, SPACING)) / 2n;
/** Where whole ticks land. It is populated. */
export const LANDING = floorTick((TRIGGER_RATIO * TARGET) / LIQUIDATION_THRESHOLD, SPACING);

/** Every second tick from just below the liquidatable ones. */
export const BACKGROUND_TICKS = Array.from({ length: BACKGROUND }, (_, i) => LANDING + 12 - 2 * i);

/** Where the user opens: a fifth down the background; the tick below it is empty. */
export const POPULATED = LANDING - 70;
export const FRESH = POPULATED - 1;
/** Leverage 3, in a populated tick. */
export const LEVERAGED = LANDING - 20;
/** Far from any other position. */
export const NEW_REGION = POPULATED - 1_500;

/** A price at which `LOWEST` and everything above it can be liquidated, and nothing below. */
export function crashPrice(borrowIndex: bigint): bigint {
  const whole = (TRIGGER_RATIO * borrowIndex) / BORROW_INDEX_ONE;
  return (whole * BPS * 10n ** 8n) / LIQUIDATION_THRESHOLD / 2n ** 128n;
}

/**
 * Debt (whole cents) that puts `COLLATERAL` into `tick`, a fifth of a step below its ratio: interest does not lift it out,
 * and changes of 1 %, which are four steps, end within a tick too.
 */
export function debtAt(tick: number, borrowIndex: bigint): bigint {
  const ratio = (ratioOf(tick, SPACING) * 4n + ratioOf(tick - 1, SPACING)) / 5n;
  const units = (((ratio * COLLATERAL) >> 128n) * borrowIndex) / BORROW_INDEX_ONE;
  return (units / 10n ** 16n) * 10n ** 4n;
}

/** `count` positions over `ticks` ticks, every `every`-th from the lowest that will be liquidated. */
export function crashBook(count: number, ticks: number, every: number, subs: boolean): Opening[] {
  return Array.from({ length: count }, (_, i) => ({
    owner: crowd(BACKGROUND + (subs ? i % 1_000 : i)),
    sub: subs ? Math.floor(i / 1_000) : 0,
    tick: LOWEST + (i % ticks) * every,
  }));
}
