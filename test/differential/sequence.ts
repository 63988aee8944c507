/**
 * A differential run as data: the market, and every operation with its amounts. What a seed generated can so be saved,
 * shrunk and run again.
 */
import type { MarketOptions, Risk } from "../support/market.ts";

/** Token units; "all": whatever there is. */
export type Amount = bigint | "all";
export type Side = "primary" | "second";
export type Token = "collateral" | "debt";

export type Operation =
  | { do: "wait"; seconds: bigint }
  /** Negative amounts leave the position: collateral "all" and a repayment of "all" close it. */
  | { do: "adjust"; account: string; collateral: Amount; debt: Amount; by?: string }
  | { do: "surplus"; account: string; amount: Amount }
  | { do: "transfer"; from: string; to: string }
  | { do: "deposit"; lender: string; amount: bigint }
  | { do: "mint"; lender: string; amount: bigint }
  | { do: "withdraw"; lender: string; amount: bigint }
  | { do: "redeem"; lender: string; amount: Amount }
  /** A new round of all four feeds; USD, 8 decimals. */
  | { do: "prices"; primary: bigint; second: bigint }
  /** A round of one feed, `age` seconds old. */
  | { do: "feed"; side: Side; token: Token; answer: bigint; age: bigint }
  /** From now on the feed reverts. */
  | { do: "revert"; side: Side; token: Token }
  /** No feed reverts any more, and all have a new round. */
  | { do: "heal"; price: bigint }
  | { do: "liquidate"; maxRepay: bigint; fromTick?: number; maxTicks: number; buyPot: boolean }
  | { do: "seize"; maxTicks: number }
  | { do: "pause"; level: "NoNewRisk" | "LiquidationsPaused"; seconds: bigint }
  | { do: "resume"; level: "NoNewRisk" | "LiquidationsPaused" }
  | { do: "ramp"; risk: Risk; seconds: bigint }
  | { do: "stopRamp" }
  | { do: "pokeRamp" }
  | { do: "windDown"; seconds: bigint }
  /** Millionths of a whole debt token, and seconds. */
  | { do: "cascade"; cap: bigint; window: bigint }
  | { do: "settle"; account: string; maxRepay: bigint }
  | { do: "accrue" }
  /** The oracle records what it sees. */
  | { do: "record" }
  | { do: "reserves" }
  | { do: "insure"; amount: bigint }
  | { do: "donate"; amount: bigint }
  /** Prices heal, pauses end, everybody closes and redeems: nothing may be left. */
  | { do: "leave"; price: bigint };

export type Of<K extends Operation["do"]> = Extract<Operation, { do: K }>;

export interface Sequence {
  market: MarketOptions;
  /** With a node index of 20 bits instead of 80. */
  tiny: boolean;
  operations: Operation[];
}

/** A sequence that is kept because of what it reaches (words of coverage.ts) or what it once broke. */
export interface Regression extends Sequence {
  about: string;
  reaches: string[];
}

/** The accounts and lenders of every run: who they are is a matter of the run, not of the sequence. */
export const OWNERS = ["a", "b", "c", "d"] as const;
export const SUBS = [0n, 1n, 2n, 3n] as const;
export const LENDERS = ["x", "y", "z"] as const;

const BIGINT = /^-?\d+n$/;

/** JSON with bigints as "123n". */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? `${item}n` : item), indent);
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, item: unknown) =>
    typeof item === "string" && BIGINT.test(item) ? BigInt(item.slice(0, -1)) : item,
  );
}

/** A regression as a file: an operation a line. */
export function toFile({ operations, ...rest }: Regression): string {
  const head = toJson(rest, 2).slice(0, -2);
  return `${head},\n  "operations": [\n${operations.map((o) => `    ${toJson(o)}`).join(",\n")}\n  ]\n}\n`;
}

export function fromFile(text: string): Regression {
  return fromJson(text) as Regression;
}
