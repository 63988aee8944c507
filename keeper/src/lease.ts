import type { OnEvent } from "./events.ts";

// Which of several keepers acts.

export interface Lease {
  /** True while this keeper may act, by its own monotonic clock. */
  readonly held: boolean;
  close(): Promise<void>;
}

/** A keeper alone: it always may. */
export const ALONE: Lease = { held: true, close: () => Promise.resolve() };

export interface SharedOptions {
  databaseUrl: string;
  /** Keepers of one name share the work: one a chain and operator. */
  name: string;
  /** How long a silent keeper keeps it; at most a block. */
  seconds: number;
  onEvent: OnEvent;
}
