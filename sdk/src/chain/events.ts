import { type Interface, getAddress } from "ethers";

import { contractAddress } from "../addresses.ts";
import {
  type AccountRecovery,
  AccountRecovery__factory,
  type EmergencyBrake,
  EmergencyBrake__factory,
  type InsuranceFund,
  InsuranceFund__factory,
  type LeverageRouter,
  LeverageRouter__factory,
  type ProtectionOrders,
  ProtectionOrders__factory,
  type Vault,
  Vault__factory,
} from "../types/index.ts";
import type { TypedContractEvent } from "../types/common.ts";
import { type Contracts, providerOf } from "./connect.ts";

// What the contracts emitted, typed and as plain values.

interface Emitters {
  Vault: Vault;
  LeverageRouter: LeverageRouter;
  ProtectionOrders: ProtectionOrders;
  EmergencyBrake: EmergencyBrake;
  InsuranceFund: InsuranceFund;
  AccountRecovery: AccountRecovery;
}
type ContractName = keyof Emitters;

const INTERFACES: Record<ContractName, () => Interface> = {
  Vault: () => Vault__factory.createInterface(),
  LeverageRouter: () => LeverageRouter__factory.createInterface(),
  ProtectionOrders: () => ProtectionOrders__factory.createInterface(),
  EmergencyBrake: () => EmergencyBrake__factory.createInterface(),
  InsuranceFund: () => InsuranceFund__factory.createInterface(),
  AccountRecovery: () => AccountRecovery__factory.createInterface(),
};

/** Without the signatures, which TypeChain lists too. */
type NamesIn<C extends ContractName> = Exclude<
  keyof Emitters[C]["filters"],
  `${string}(${string}` | symbol | number
>;
type ArgsOf<Filter> = Filter extends TypedContractEvent<infer _I, infer _O, infer Args> ? Args : never;

/** Every event, told apart by `contract` and `name`. */
type AnyEvent = {
  [C in ContractName]: {
    [N in NamesIn<C>]: {
      contract: C;
      name: N;
      /** By the names in the contract's interface, where their units stand too. */
      args: ArgsOf<Emitters[C]["filters"][N]>;
      address: string;
      /** Of a vault's. */
      market?: string;
      block: number;
      transaction: string;
      index: number;
    };
  }[NamesIn<C>];
}[ContractName];

export type EventName = AnyEvent["name"];
/** An event of one of these names. */
export type ProtocolEvent<N extends EventName = EventName> = Extract<AnyEvent, { name: N }>;

/** Nodes bound how many blocks one question may span. */
export const BLOCKS_PER_CALL = 5_000;

/** The events of these names from block `from` to `to`, both included, in their order. */
export async function readEvents<const N extends EventName>(
  contracts: Contracts,
  names: readonly N[],
  from: number,
  to: number,
): Promise<ProtocolEvent<N>[]> {
  const emitters = emittersOf(contracts);
  const topics = [...emitters.values()].flatMap(({ abi }) =>
    names.flatMap((name) => abi.getEvent(name)?.topicHash ?? []),
  );
  const provider = providerOf(contracts);
  const events: ProtocolEvent<N>[] = [];
  for (let fromBlock = from; fromBlock <= to; fromBlock += BLOCKS_PER_CALL) {
    const logs = await provider.getLogs({
      address: [...emitters.keys()],
      topics: [[...new Set(topics)]],
      fromBlock,
      toBlock: Math.min(fromBlock + BLOCKS_PER_CALL - 1, to),
    });
    for (const { address, topics: indexed, data, blockNumber, transactionHash, index } of logs) {
      const { abi, contract, market } = emitters.get(getAddress(address))!;
      // Another contract's event may share its topic with one of these.
      const parsed = abi.parseLog({ topics: indexed, data });
      if (!parsed || !names.includes(parsed.name as N)) continue;
      events.push({
        contract,
        name: parsed.name,
        args: parsed.args.toObject(true),
        address,
        ...(market !== undefined && { market }),
        block: blockNumber,
        transaction: transactionHash,
        index,
      } as ProtocolEvent<N>);
    }
  }
  return events;
}

export interface WatchOptions {
  /** The first block; by default the next one. */
  from?: number;
  /** Blocks that must follow before an event counts: what a reorganisation takes back is not told. */
  confirmations?: number;
  /** The node did not answer, and the next block asks for the same again; or the listener threw. */
  onError?: (error: unknown) => void;
}

/** Tells every event of these names once, in their order, as blocks come. @returns what ends it. */
export async function watchEvents<const N extends EventName>(
  contracts: Contracts,
  names: readonly N[],
  onEvent: (event: ProtocolEvent<N>) => void,
  { from, confirmations = 0, onError = () => undefined }: WatchOptions = {},
): Promise<() => void> {
  const provider = providerOf(contracts);
  let next = from ?? (await provider.getBlockNumber()) + 1;
  let head = 0;
  let isReading = false;
  const look = async (block: number) => {
    head = Math.max(head, block);
    if (isReading) return;
    isReading = true;
    try {
      while (next <= head - confirmations) {
        const to = head - confirmations;
        const events = await readEvents(contracts, names, next, to);
        next = to + 1;
        events.forEach(onEvent);
      }
    } catch (error) {
      onError(error);
    } finally {
      isReading = false;
    }
  };
  const onBlock = (block: number) => void look(block);
  await provider.on("block", onBlock);
  if (from !== undefined) onBlock(await provider.getBlockNumber());
  return () => {
    void provider.off("block", onBlock);
  };
}

interface Emitter {
  contract: ContractName;
  abi: Interface;
  market?: string;
}

/** By address. */
function emittersOf({ addresses }: Contracts): Map<string, Emitter> {
  const emitters = new Map<string, Emitter>();
  for (const [contract, abi] of Object.entries(INTERFACES) as [ContractName, () => Interface][]) {
    if (contract !== "Vault")
      emitters.set(getAddress(contractAddress(addresses, contract)), { contract, abi: abi() });
  }
  const abi = INTERFACES.Vault();
  for (const { vault, id } of addresses.markets)
    emitters.set(getAddress(vault), { contract: "Vault", abi, market: id });
  return emitters;
}
