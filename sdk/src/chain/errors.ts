import { type ErrorFragment, Interface, type Result } from "ethers";

import { errorFragments } from "../abi/errors.ts";
import { BPS, Q128, WAD } from "../core/math.ts";
import { formatAmount, formatPercent, formatPrice } from "../core/units.ts";

// A revert in plain words, with its values.

export interface Revert {
  /** The error's name, `Error` for a require with a text, `Panic`, or `Unknown`. */
  name: string;
  args: Record<string, unknown>;
  words: string;
}

const BRAKE_LEVELS = ["none", "no new risk", "grace after a pause", "liquidations paused"];
const PRICE_STATES = ["dead", "from one source only", "diverged", "fresh"];
const GRACE = 2n;
const FRESH = 3n;

/** Every error of our contracts and of those that they use, each once. */
const errors = new Interface(errorFragments);

/** The values of the errors below; which error has which, and their units, stand in the interfaces. */
type Args = Record<
  | "allowance"
  | "amount"
  | "available"
  | "budget"
  | "current"
  | "deadline"
  | "debt"
  | "expected"
  | "from"
  | "expiry"
  | "held"
  | "least"
  | "left"
  | "level"
  | "limit"
  | "ltv"
  | "maxLtv"
  | "maxRepay"
  | "minDebt"
  | "minimum"
  | "needed"
  | "newHigh"
  | "newLow"
  | "oldHigh"
  | "oldLow"
  | "owed"
  | "potDebt"
  | "profit"
  | "minProfit"
  | "minTip"
  | "operator"
  | "received"
  | "requested"
  | "seized"
  | "rule"
  | "state"
  | "target"
  | "tip"
  | "timestamp"
  | "token"
  | "tokenIn"
  | "tokenOut"
  | "topTick"
  | "triggerTick"
  | "until"
  | "wanted"
  | "window",
  bigint
>;

// What deserves a better sentence than its name.
const SENTENCES: Record<string, (a: Args) => string> = {
  ApprovalsExpired: (a) => `the approvals counted until ${time(a.deadline)}`,
  BudgetExceeded: (a) => `the order may still take ${a.budget} token units, and needs ${a.needed}`,
  CascadeCapReached: (a) =>
    `the cascade brake lets ${units(a.left)} be liquidated now; its cap refills within ${a.window} seconds`,
  DeadlineExpired: (a) => `the deadline ${time(a.deadline)} is past (block time ${time(a.timestamp)})`,
  DebtTooSmall: (a) => `a debt of ${units(a.debt)} would be below the minimum of ${units(a.minDebt)}`,
  InsufficientAllowance: (a) =>
    `the router may take ${a.allowance} units of ${a.token}, and needs ${a.needed}: approve it, or sign a permit`,
  InsufficientCash: (a) => `the market has ${a.available} token units to lend or pay out, not ${a.requested}`,
  InsufficientFunds: (a) =>
    `the owner holds, or has approved to the orders, ${a.available} units of ${a.token}: it takes ${a.needed}`,
  InsufficientLiquidity: (a) =>
    `the pools do not give ${a.wanted} units of ${a.tokenOut} for ${a.available} of ${a.tokenIn}`,
  InsufficientPayment: (a) =>
    `the swap leaves ${a.held} units of ${a.token}, and the position needs ${a.owed}: quote again`,
  InvalidOrder: (a) => `no such order: ${a.rule}`,
  LendersWait: (a) => `lenders wait until every loss is known: ${untilWhen(a)}`,
  LiquidationsPaused: (a) => `liquidations wait (${level(a.level)}) until ${time(a.until)}`,
  LockedDown: (a) => `the account is locked until ${time(a.until)}`,
  LtvTooHigh: (a) => `the LTV of ${formatPercent(a.ltv)} would be above ${formatPercent(a.maxLtv)}`,
  NewRiskPaused: (a) => `no new risk now: ${level(a.level)}`,
  NoRecovery: () => "no recovery of this account is pending",
  NoDebt: () => "there is no debt in this sub-account",
  NotOperator: (a) => `the owner has not let ${a.operator} act for him`,
  NothingToLiquidate: (a) =>
    `nothing to liquidate: highest populated tick at most ${a.topTick}, trigger tick ${a.triggerTick}, ` +
    `budget ${a.maxRepay}, seized debt for sale ${units(a.potDebt)}`,
  NotTriggered: (a) => `it waits for ${orderLevel(a.level)}: now ${orderLevel(a.current)}`,
  NotWoundDown: (a) =>
    a.left === 2n ** 256n - 1n
      ? "the market is not being wound down"
      : `the wind-down takes ${a.left} seconds more, while nothing is paused and there is a price`,
  OracleMismatch: (a) =>
    `the oracles disagree: old ${formatPrice(a.oldLow)} to ${formatPrice(a.oldHigh)}, ` +
    `new ${formatPrice(a.newLow)} to ${formatPrice(a.newHigh)}`,
  OrderExpired: (a) => `the order expired at ${time(a.expiry)} (block time ${time(a.timestamp)})`,
  PermitExpired: (a) =>
    `the permit's deadline ${time(a.deadline)} is past (block time ${time(a.timestamp)}): sign another`,
  PriceDead: () => "there is no price now",
  PriceNotFresh: (a) => `new risk needs two sources that agree; the price is ${state(a.state)}`,
  PriceUntrusted: (a) => `this order is not executed on a price that is ${state(a.state)}`,
  ProfitTooLow: (a) => `the profit of ${a.profit} token units would be below ${a.minProfit}`,
  SlippageExceeded: (a) =>
    `the swap would come to ${a.amount} token units, beyond the limit of ${a.limit}: the price has moved`,
  TargetUnreachable: (a) =>
    `from an LTV of ${formatPercent(a.ltv)}, no sale within the order's bounds leads to ${percent(a.target)}`,
  TipTooLow: (a) => `the tip of ${a.tip} token units would be below ${a.minTip}`,
  TooEarly: (a) => `that can be done from ${time(a.from)} on`,
  TooLate: (a) => `that could be done until ${time(a.until)}`,
  TooLittleCollateral: (a) => `only ${a.seized} of at least ${a.minimum} collateral token units`,
  TooLittleLeft: (a) => `the sale left ${a.held} units of ${a.token}, and ${a.least} are the owner's`,
  TransferMismatch: (a) => `the token ${a.token} moved ${a.received} instead of ${a.expected}`,
  WindingDown: () => "the market is being wound down: nobody comes in, and its risk parameters stay",
  WouldMakeWorse: (a) =>
    `it would not lower the LTV: ${formatPercent(a.ltv)}, and the target is ${percent(a.target)}`,
};

/** Says what a failed call or transaction failed of; an error that is no revert gives its own message. */
export function explainRevert(error: unknown): Revert {
  const data = revertData(error);
  if (data === undefined || data === "0x") {
    return { name: "Unknown", args: {}, words: messageOf(error) };
  }
  const parsed = errors.parseError(data);
  if (!parsed) return { name: "Unknown", args: { data }, words: `reverted with ${data}` };
  const args = argsOf(parsed.fragment, parsed.args);
  return { name: parsed.name, args, words: wordsOf(parsed.name, args) };
}

/** The revert data inside an error of ethers, of Hardhat or of a JSON-RPC node, wherever they put it. */
export function revertData(error: unknown): string | undefined {
  const seen = new Set<unknown>();
  const queue: unknown[] = [error];
  while (queue.length > 0) {
    const value = queue.shift();
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    const { data, error: inner, info, cause } = value as Record<string, unknown>;
    if (typeof data === "string" && /^0x([0-9a-f]{2}){4,}$/i.test(data)) return data;
    queue.push(data, inner, info, cause);
  }
  return undefined;
}

/** Whether a call was executed and failed: a node that does not answer is another matter. */
export function isRevert(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, error: answer } = error as Error & { code?: unknown; error?: { message?: string } };
  if (code === "CALL_EXCEPTION") return true;
  // Without revert data ethers does not know a node's answer for what it is, and nodes differ in their words.
  return /revert|out of gas|invalid opcode/i.test(`${error.message} ${answer?.message ?? ""}`);
}

function wordsOf(name: string, args: Record<string, unknown>): string {
  if (name === "Error") return String(Object.values(args)[0]);
  if (name === "Panic") return `panic ${String(Object.values(args)[0])}`;
  const sentence = SENTENCES[name];
  if (sentence) return `${sentence(args as Args)} [${name}]`;
  const words = name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
  const values = Object.entries(args).map(([key, value]) => `${key} ${String(value)}`);
  return `${words[0]!.toLowerCase()}${words.slice(1)}${values.length > 0 ? `: ${values.join(", ")}` : ""} [${name}]`;
}

function argsOf(fragment: ErrorFragment, args: Result): Record<string, unknown> {
  return Object.fromEntries(
    fragment.inputs.map((input, at) => [input.name || String(at), args[at] as unknown]),
  );
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // ethers cannot place what the node said, and hides it.
  const { code, error: answer } = error as Error & { code?: unknown; error?: { message?: string } };
  if (code === "UNKNOWN_ERROR" && answer?.message !== undefined) return answer.message;
  return "shortMessage" in error && typeof error.shortMessage === "string"
    ? error.shortMessage
    : error.message;
}

function time(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}

function untilWhen({ state: price, level: brake }: Args): string {
  if (price !== FRESH) return `the price is ${state(price)}`;
  if (brake >= GRACE) return `liquidations wait (${level(brake)})`;
  return "somebody's collateral may not cover his debt, and has not been seized yet";
}

function units(amount: bigint): string {
  return formatAmount(amount, 18, 6);
}

function percent(bps: bigint): string {
  return formatPercent((bps * WAD) / BPS);
}

/** An order's level: no LTV is as large as any price. */
function orderLevel(value: bigint): string {
  if (value < 2n ** 64n) return `an LTV of ${formatPercent(value)}`;
  // A short's market has the inverse of the price that people talk of.
  return `a price of ${value < Q128 ? `1 / ${formatPrice((Q128 * Q128) / value)}` : formatPrice(value)}`;
}

function level(value: bigint): string {
  return BRAKE_LEVELS[Number(value)] ?? String(value);
}

function state(value: bigint): string {
  return PRICE_STATES[Number(value)] ?? String(value);
}
