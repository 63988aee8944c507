import type { Action } from "./decide.ts";

// What happens to a keeper, for whoever operates it: metrics, alerts and health listen to nothing else.

export type ActionKind = Action["kind"] | "sequencer grace" | "approve";

/** Why an opportunity was not taken. */
export type Cause =
  | "lost race" //     somebody else was first
  | "price moved" //   the venue or the oracle
  | "paused" //        by the brake, between the decision and now
  | "expired" //       its deadline passed
  | "too dear" //      the fee that it takes is more than it is worth
  | "no gas money"
  | "key shared" //    somebody else sends with this account
  | "not leading" //   another keeper holds the lease
  | "no journal" //    what cannot be noted is not sent
  | "endpoint" //      no node answered
  | "bug" //           ours: a revert that nothing else explains
  | "unknown";

export type EndpointState = "up" | "down" | "stale" | "wrong chain" | "disagrees";

export type KeeperEvent =
  /** A block was evaluated. `lagMs`: from the block's timestamp by this machine's clock; `ms`: what it took. */
  | { kind: "block"; block: number; markets: number; lagMs: number; ms: number }
  | { kind: "round failed"; words: string }
  /** A decision to act; once per market and action until it is taken, missed or gone. */
  | { kind: "opportunity"; block: number; market: string; action: ActionKind }
  /** `profit` and `repaid` in debt token units (an order's profit in its tip's), `profitWei` in the chain's coin if it has a price; before gas. */
  | {
      kind: "taken";
      market: string;
      action: ActionKind;
      hash: string;
      repaid: bigint;
      profit: bigint;
      profitWei: bigint | undefined;
      gasPaid: bigint;
      debtSymbol: string;
      debtDecimals: number;
    }
  | { kind: "missed"; market: string; action: ActionKind; cause: Cause; words: string; gasPaid: bigint }
  | { kind: "sent"; nonce: number; hash: string; via: "public" | "private"; maxFee: bigint; tip: bigint }
  | {
      kind: "replaced";
      nonce: number;
      hash: string;
      attempt: number;
      maxFee: bigint;
      tip: bigint;
      why: string;
    }
  | { kind: "mined"; nonce: number; hash: string; block: number; gasPaid: bigint; succeeded: boolean }
  /** A transaction that was in a block is in none any more; it is pending again. */
  | { kind: "reorged"; nonce: number; hash: string }
  /** The fee that it takes is above the bound; it waits for the fee to fall or to be worth more. */
  | { kind: "held"; nonce: number; words: string }
  | { kind: "balance"; account: string; wei: bigint }
  /** `endpoint`: host and port only, a path may hold a key. */
  | { kind: "endpoint"; endpoint: string; state: EndpointState; words: string }
  | { kind: "lease"; held: boolean; words: string };

export type OnEvent = (event: KeeperEvent) => void;
