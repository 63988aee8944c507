import { ZeroAddress, getAddress } from "ethers";

import { type Contracts, providerOf } from "./connect.ts";
import type { Transaction } from "./transactions.ts";

// An account under AccountRecovery, as its owner and its guardians see it. Times are Unix times.

export interface RecoverableAccount {
  account: string;
  owner: string;
  guardians: string[];
  /** So many of them act together. */
  threshold: number;
  /** Seconds for which a recovery waits. */
  delay: bigint;
  /** Nothing of value or control leaves it before; undefined: it is not locked. */
  lockedUntil?: bigint;
  recovery?: {
    newOwner: string;
    /** When anyone can finish it. */
    from: bigint;
    until: bigint;
    /** waiting: the owner can still cancel; due: anyone can finish it; lapsed: the guardians must begin anew. */
    phase: "waiting" | "due" | "lapsed";
  };
}

export async function readAccount(contracts: Contracts, account: string): Promise<RecoverableAccount> {
  const [state, block] = await Promise.all([
    contracts.recovery.stateOf(account),
    providerOf(contracts).getBlock("latest"),
  ]);
  const now = BigInt(block!.timestamp);
  const { guard, lockedUntil, newOwner, recoverFrom: from, recoverUntil: until } = state;
  return {
    account: getAddress(account),
    owner: state.owner,
    guardians: [...guard.guardians],
    threshold: Number(guard.threshold),
    delay: guard.delay,
    ...(lockedUntil > now && { lockedUntil }),
    ...(newOwner !== ZeroAddress && {
      recovery: {
        newOwner,
        from,
        until,
        phase: now < from ? ("waiting" as const) : now <= until ? ("due" as const) : ("lapsed" as const),
      },
    }),
  };
}

export interface RecoveryRequest {
  account: string;
  /** Who sends it. */
  guardian: string;
  newOwner: string;
  /** Until when the approvals count; the same for all guardians. */
  deadline: bigint;
  /** Whether the account is locked as well, so that its owner, or a thief, cannot cancel. */
  lock: boolean;
}

/**
 * A guardian's part in a recovery: the last one whose approval is needed starts it, the others approve it on the chain.
 * `missing`: approvals that are needed after this one.
 */
export async function quoteRecovery(
  contracts: Contracts,
  { account, guardian, newOwner, deadline, lock }: RecoveryRequest,
): Promise<{ approved: string[]; missing: number; transaction: Transaction }> {
  const { recovery } = contracts;
  const { guardians, threshold } = await readAccount(contracts, account);
  if (!guardians.includes(guardian)) {
    throw new RangeError(`${guardian} is no guardian of ${account}: these are ${guardians.join(", ")}`);
  }
  const action = lock ? 2n : 0n; // QuorumAction
  const digest = await recovery.digestOf(account, action, newOwner, deadline);
  const known = await Promise.all(guardians.map(async (each) => recovery.isApproved(digest, each)));
  // In their ascending order, as `act` wants them.
  const approved = guardians.filter((each, at) => each === guardian || known[at]);
  const missing = Math.max(threshold - approved.length, 0);
  const approvals = approved.map((each) => ({ guardian: each, signature: "0x" }));
  const data =
    missing > 0
      ? recovery.interface.encodeFunctionData("approve", [digest])
      : recovery.interface.encodeFunctionData("act", [account, action, newOwner, deadline, approvals]);
  const words = missing > 0 ? "approve the recovery" : "start the recovery";
  return { approved, missing, transaction: await transactionOf(contracts, data, words) };
}

/** The owner drops the pending recovery. */
export async function cancelRecovery(contracts: Contracts, account: string): Promise<Transaction> {
  const data = contracts.recovery.interface.encodeFunctionData("cancelRecovery", [account]);
  return transactionOf(contracts, data, "cancel the recovery");
}

/** Anyone gives the account its new owner once the delay is over. */
export async function finishRecovery(contracts: Contracts, account: string): Promise<Transaction> {
  const data = contracts.recovery.interface.encodeFunctionData("executeRecovery", [account]);
  return transactionOf(contracts, data, "finish the recovery");
}

async function transactionOf(contracts: Contracts, data: string, words: string): Promise<Transaction> {
  return { to: await contracts.recovery.getAddress(), data, value: 0n, words };
}
