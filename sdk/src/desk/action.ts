// An action of the menu is one entry: whose Safe, which function, what is asked for, what it means, how to see that it
// worked, and what it costs.
import type { Result } from "ethers";

import type { Addresses } from "../addresses.ts";
import type { Cost } from "./cost.ts";
import { type Desk, type Kind, Refusal, type SafeName } from "./desk.ts";

/** What guardians approve by its hash alone: the calldata cannot say it, so a file has it beside, and it is checked. */
export interface About {
  account: string;
  action: number;
  newOwner: string;
  nonce: string;
  deadline: number;
}

export type Options = Record<string, string | boolean | undefined>;

/** What a person writes or chooses for an action: a flag of the command line, a field of a form. */
export interface Field {
  name: string;
  kind:
    | "market"
    | "market or all"
    | "proxy"
    | "operation"
    | "duration"
    | "percent"
    | "amount"
    | "address"
    | "addresses"
    | "time"
    | "text"
    | "yes";
  words: string;
  choices?: readonly string[];
  isOptional?: boolean;
}

/** A call of a contract, decoded. */
export interface Decoded {
  to: string;
  name: string; // of `to`
  fn: string;
  args: Result;
}

export interface Action {
  summary: string;
  /** own: the Safe that is called; guardian: any, that AccountRecovery knows as one. */
  safe: SafeName | "own" | "guardian";
  /** Through the AccessManager: scheduled first, executed after the delay. */
  isDelayed: boolean;
  contract: Kind;
  functions: string[];
  /** Tells apart actions that share a function. */
  matches?: (args: Result) => boolean;
  /** How long its signatures may be collected. */
  expires: string;
  fields: Field[];
  build: (
    desk: Desk,
    options: Options,
  ) => Promise<{ to: string; fn: string; args: unknown[]; about?: About }>;
  words: (addresses: Addresses, call: Decoded, about?: About) => string[];
  /** Afterwards: what is now the case, or a Refusal that says what is not. */
  effect: (desk: Desk, call: Decoded, safe: string) => Promise<string>;
  cost?: (desk: Desk, call: Decoded) => Promise<Cost>;
  /** What it costs to leave it. */
  omission?: (desk: Desk, call: Decoded) => Promise<string[]>;
}

/** A field that is needed. */
export function text(options: Options, name: string): string {
  const value = options[name];
  if (typeof value === "string") return value;
  throw new Refusal(`${name} is missing`);
}

export function confirm(isSo: boolean, isNot: string, is: string): string {
  if (!isSo) throw new Refusal(`executed, but ${isNot}`);
  return is;
}
