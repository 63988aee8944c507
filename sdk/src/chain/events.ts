import { type Filter, type Interface, type Log, type Provider, getAddress, isError } from "ethers";

import { contractAddress } from "../addresses.ts";
import {
  type AccountRecovery,
  AccountRecovery__factory,
  type EmergencyBrake,
  EmergencyBrake__factory,
  type FlashLiquidator,
  FlashLiquidator__factory,
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
  FlashLiquidator: FlashLiquidator;
  AccountRecovery: AccountRecovery;
}
type ContractName = keyof Emitters;

const INTERFACES: Record<ContractName, () => Interface> = {
  Vault: () => Vault__factory.createInterface(),
  LeverageRouter: () => LeverageRouter__factory.createInterface(),
  ProtectionOrders: () => ProtectionOrders__factory.createInterface(),
  EmergencyBrake: () => EmergencyBrake__factory.createInterface(),
  InsuranceFund: () => InsuranceFund__factory.createInterface(),
  FlashLiquidator: () => FlashLiquidator__factory.createInterface(),
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
const BLOCKS_PER_CALL = 5_000;

/** The logs from block `from` to `to`, both included, in their order: by as many blocks as the node answers for. */
export async function readLogs(provider: Provider, filter: Filter, from: number, to: number): Promise<Log[]> {
  const logs: Log[] = [];
  for (let fromBlock = from; fromBlock <= to; fromBlock += BLOCKS_PER_CALL) {
    logs.push(...(await ask(fromBlock, Math.min(fromBlock + BLOCKS_PER_CALL - 1, to))));
  }
  return logs;

  async function ask(fromBlock: number, toBlock: number): Promise<Log[]> {
    try {
      return await provider.getLogs({ ...filter, fromBlock, toBlock });
    } catch (error) {
      // What ethers does not know is the node's own refusal: perhaps of so many blocks, or so many logs.
      if (fromBlock === toBlock || !isError(error, "UNKNOWN_ERROR")) throw error;
      const middle = Math.floor((fromBlock + toBlock) / 2);
      return [...(await ask(fromBlock, middle)), ...(await ask(middle + 1, toBlock))];
    }
  }
}

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
  const filter = { address: [...emitters.keys()], topics: [[...new Set(topics)]] };
  return eventsOf(emitters, names, await readLogs(providerOf(contracts), filter, from, to));
}

/** Those of the logs that are the protocol's events of these names. */
export function parseEvents<const N extends EventName>(
  contracts: Contracts,
  names: readonly N[],
  logs: readonly RawLog[],
): ProtocolEvent<N>[] {
  return eventsOf(emittersOf(contracts), names, logs);
}

export type RawLog = Pick<Log, "address" | "topics" | "data" | "blockNumber" | "transactionHash" | "index">;

function eventsOf<const N extends EventName>(
  emitters: ReadonlyMap<string, Emitter>,
  names: readonly N[],
  logs: readonly RawLog[],
): ProtocolEvent<N>[] {
  return logs.flatMap(({ address, topics, data, blockNumber, transactionHash, index }) => {
    const emitter = emitters.get(getAddress(address));
    // Another contract's event may share its topic with one of these.
    const parsed = emitter?.abi.parseLog({ topics, data });
    if (!emitter || !parsed || !names.includes(parsed.name as N)) return [];
    const { contract, market } = emitter;
    const event = {
      contract,
      name: parsed.name,
      args: parsed.args.toObject(true),
      address: getAddress(address),
      ...(market !== undefined && { market }),
      block: blockNumber,
      transaction: transactionHash,
      index,
    };
    return [event as ProtocolEvent<N>];
  });
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
