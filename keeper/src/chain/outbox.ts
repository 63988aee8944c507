import type { Provider, TransactionLike } from "ethers";

import type { OnEvent } from "../events.ts";
import type { Lease } from "../lease.ts";

// Every transaction of the account: noted before it is sent, raised until it is mined, watched until no reorg undoes it.

/** Who pays and signs; without `sign` the node does (an unlocked account of a local chain, a JSON-RPC signer). */
export interface Account {
  address: string;
  sign?: (transaction: TransactionLike<string>) => Promise<string>;
}

export interface OutboxOptions {
  provider: Provider;
  account: Account;
  chainId: number;
  lease: Lease;
  /** File of the journal: survives kill -9, locks out a second keeper. */
  journal: string;
  /** Blocks after which a mined transaction is forgotten. */
  confirmations: number;
  /** Takes eth_sendRawTransaction; after `privateBlocks` the public endpoints get it too. */
  privateRpc?: { url: string; blocks: number } | undefined;
  /** Between looks at what is in flight. */
  pollMs: number;
  onEvent: OnEvent;
}
