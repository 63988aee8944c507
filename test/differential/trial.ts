/** One operation, to be tried on the contracts and on the model alike. */
import type { Model, Price } from "../model/model.ts";
import type { Real } from "../model/real.ts";
import type { Call } from "./chain.ts";
import type { BookState } from "./storage.ts";
import type { Venue } from "./venue.ts";

/** A difference. Its kind says what differs, without the numbers: a shrunk sequence must still show the same. */
export class Mismatch extends Error {
  constructor(
    message: string,
    readonly kind = message.split(":")[0]!.replace(/-?\d+/g, "#"),
  ) {
    super(message);
  }
}

/** What the operation may ask of the run. */
export interface Context {
  venue: Venue;
  model: Model;
  price: Price;
}

export type EventArguments = Record<string, unknown>;

/** What the transaction left: its events by name, and the book after it. */
export interface Evidence {
  event: (name: string) => EventArguments;
  eventIfAny: (name: string) => EventArguments | undefined;
  book: BookState;
}

export interface Trial<T> {
  what: string;
  from: string;
  call: Call;
  onModel: () => T;
  /** It may change which price makes a tick insolvent, and so what the lenders own. */
  marksAnew?: boolean;
  /** Compares what the model did with what the contracts say. */
  check?: (done: T, evidence: Evidence) => void;
}

export function admit(what: string, expected: Real, actual: bigint): void {
  if (!expected.admits(actual)) {
    throw new Mismatch(`${what}: the contract has ${actual}, the model ${expected.toString()}`);
  }
}

export function expectEqual<T extends bigint | number | string | boolean | undefined>(
  what: string,
  actual: T,
  expected: T,
): void {
  if (actual !== expected) throw new Mismatch(`${what}: ${actual} instead of ${expected}`);
}
