// What events say of the past that no call does: the surplus of all positions, what is scheduled, what happened lately. A
// reorganisation takes back what came after it.
import { type Addresses, contractAddress } from "@breakwater/sdk/addresses";
import { explainRevert } from "@breakwater/sdk/chain";
import {
  AccessManager__factory,
  AccountRecovery__factory,
  Safe__factory,
  Upgrader__factory,
  Vault__factory,
} from "@breakwater/sdk/types";
import { formatTime, whoIs, wordsOf } from "@breakwater/sdk/desk";
import { type Interface, type Log, type LogDescription, type Provider, getAddress } from "ethers";

/** What happened in a block and is worth a look for a while. */
export interface Recent {
  rule: "loss" | "recovery" | "safe-changed" | "upgraded";
  block: number;
  market?: string;
  /** Of a loss, in debt token units. */
  amount?: bigint;
  words: string;
}

export interface Scheduled {
  id: string;
  executableAt: bigint;
  words: string;
}

export type History = ReturnType<typeof openHistory>;

/** Nodes bound how many blocks one question may span. */
const BLOCKS_PER_CALL = 5_000;
/** A reorganisation that is deeper is read again from the start. */
const DEPTH = 1_000;
/** How long a thing is recent at most. */
const RECENT_BLOCKS = 100_000;

const SAFE_CHANGES = [
  ...["AddedOwner", "RemovedOwner", "ChangedThreshold", "EnabledModule", "DisabledModule"],
  ...["ChangedGuard", "ChangedModuleGuard", "ChangedFallbackHandler"],
];

export function openHistory(addresses: Addresses, provider: Provider) {
  const at = (name: string) => contractAddress(addresses, name);
  const emitters = new Map<string, { abi: Interface; names: string[] }>();
  const vaultEvents = ["Adjust", "WithdrawSurplus", "Settle", "TransferPosition", "Liquidate", "ChangePot"];
  for (const { vault } of addresses.markets) {
    emitters.set(vault, { abi: Vault__factory.createInterface(), names: vaultEvents });
  }
  for (const safe of Object.values(addresses.safes)) {
    emitters.set(safe, { abi: Safe__factory.createInterface(), names: SAFE_CHANGES });
  }
  const recoveryEvents = ["Lock", "StartRecovery", "Recover"];
  emitters.set(at("AccountRecovery"), {
    abi: AccountRecovery__factory.createInterface(),
    names: recoveryEvents,
  });
  emitters.set(at("Upgrader"), { abi: Upgrader__factory.createInterface(), names: ["Upgrade", "Restore"] });
  emitters.set(at("AccessManager"), {
    abi: AccessManager__factory.createInterface(),
    names: ["OperationScheduled", "OperationExecuted", "OperationCanceled"],
  });
  const topics = [
    ...new Set(
      [...emitters.values()].flatMap(({ abi, names }) => names.map((name) => abi.getEvent(name)!.topicHash)),
    ),
  ];

  let next = addresses.startBlock;
  let missing: string | undefined;
  let hasLooked = false;
  /** How to take back each of the latest changes, oldest first. */
  let undos: { block: number; undo: () => void }[] = [];
  let recent: Recent[] = [];
  const scheduled = new Map<string, Scheduled>();
  const lastLiquidation = new Map<string, number>();
  const surplus = new Map<string, bigint>(); // by position
  const totals = new Map<string, bigint>(); // by vault

  function change<K, V>(map: Map<K, V>, key: K, value: V | undefined, block: number): void {
    const before = map.get(key);
    const set = (to: V | undefined) => (to === undefined ? map.delete(key) : map.set(key, to));
    set(value);
    undos.push({ block, undo: () => set(before) });
  }

  function setSurplus(vault: string, owner: string, sub: bigint, value: bigint, block: number): void {
    const key = `${vault} ${owner} ${sub}`;
    const total = (totals.get(vault) ?? 0n) + value - (surplus.get(key) ?? 0n);
    change(surplus, key, value === 0n ? undefined : value, block);
    change(totals, vault, total, block);
  }

  function apply({ address, blockNumber: block }: Log, { name, args }: LogDescription): void {
    const { id } = addresses.markets.find(({ vault }) => vault === getAddress(address)) ?? {};
    const vault = getAddress(address);
    const note = (rule: Recent["rule"], words: string, more: Partial<Recent> = {}) => {
      const before = recent;
      recent = [...recent, { rule, block, words, ...more }];
      undos.push({ block, undo: () => (recent = before) });
    };
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- by the event's name
    const value = <T>(key: string) => args[key] as T;
    const named = (key: string) => whoIs(addresses, value<string>(key)).name;
    switch (name) {
      case "Adjust":
      case "WithdrawSurplus":
      case "Settle":
        setSurplus(vault, value("owner"), value("sub"), value("surplus"), block);
        break;
      case "TransferPosition": {
        const moved = surplus.get(`${vault} ${value<string>("from")} ${value<bigint>("fromSub")}`) ?? 0n;
        setSurplus(vault, value("from"), value("fromSub"), 0n, block);
        setSurplus(vault, value("to"), value("toSub"), moved, block);
        break;
      }
      case "Liquidate":
        change(lastLiquidation, vault, block, block);
        break;
      case "ChangePot": {
        const { lendersLoss } = value<{ lendersLoss: bigint }>("report");
        const more = { market: id!, amount: lendersLoss };
        if (lendersLoss > 0n) note("loss", "a loss was socialised", more);
        break;
      }
      case "Lock":
        note(
          "recovery",
          `${value<string>("account")} is locked by ${named("by")} until ${formatTime(value<bigint>("until"))}`,
        );
        break;
      case "StartRecovery":
        note(
          "recovery",
          `${value<string>("account")} goes to ${value<string>("newOwner")} from ${formatTime(value<bigint>("from"))} on`,
        );
        break;
      case "Recover":
        note("recovery", `${value<string>("account")} belongs to ${value<string>("owner")} now`);
        break;
      case "Upgrade":
        note(
          "upgraded",
          `${named("proxy")} runs ${value<string>("implementation")} instead of ${value<string>("previous")}, ` +
            `which can be put back until ${formatTime(value<bigint>("restorableUntil"))}`,
        );
        break;
      case "Restore":
        note("upgraded", `${named("proxy")} runs ${value<string>("implementation")} again`);
        break;
      case "OperationScheduled": {
        const words = wordsOf(addresses, { to: value("target"), data: value("data") }).join(" ");
        const operation = {
          id: value<string>("operationId"),
          executableAt: value<bigint>("schedule"),
          words,
        };
        change(scheduled, operation.id, operation, block);
        break;
      }
      case "OperationExecuted":
      case "OperationCanceled":
        change(scheduled, value<string>("operationId"), undefined, block);
        break;
      default:
        note("safe-changed", `${whoIs(addresses, address).name}: ${name} ${String(args[0])}`);
    }
  }

  async function logs(from: number, to: number): Promise<Log[]> {
    if (from > to) return [];
    try {
      return await provider.getLogs({
        address: [...emitters.keys()],
        topics: [topics],
        fromBlock: from,
        toBlock: to,
      });
    } catch (error) {
      // Providers bound what one answer may hold; an endpoint that fails is another matter.
      if (from === to || (error as Error).name === "NoEndpoint") throw error;
      const middle = Math.floor((from + to) / 2);
      return [...(await logs(from, middle)), ...(await logs(middle + 1, to))];
    }
  }

  function take(block: number, found: Log[]): void {
    for (const log of found) {
      const { abi } = emitters.get(getAddress(log.address))!;
      const parsed = abi.parseLog(log);
      if (parsed) apply(log, parsed);
    }
    next = block + 1;
    undos = undos.filter((each) => each.block > block - DEPTH);
    recent = recent.filter((each) => each.block > block - RECENT_BLOCKS);
  }

  return {
    /** The events up to shortly before `block`, as far as they are not known yet; what is left is for `read`. */
    async catchUp(block: number): Promise<void> {
      while (next < block && (!hasLooked || block - next >= BLOCKS_PER_CALL)) {
        const to = Math.min(next + BLOCKS_PER_CALL - 1, block - 1);
        try {
          take(to, await logs(next, to));
        } catch (error) {
          if ((error as Error).name === "NoEndpoint") throw error;
          // Nodes forget. One that did not when it was asked before will be asked again.
          if (hasLooked) throw error;
          missing = `events before block ${block}: ${explainRevert(error).words}`;
          next = block;
        }
      }
    },
    /** Those that are not known yet, up to `block`; `apply` makes them known. */
    read: async (block: number) => logs(next, block),
    apply(block: number, found: Log[]): void {
      take(block, found);
      hasLooked = true;
    },
    /** Takes back what came after `block`; false: that is too deep. */
    rewind(block: number): boolean {
      if (next - 1 - block >= DEPTH) return false;
      while (undos.length > 0 && undos.at(-1)!.block > block) undos.pop()!.undo();
      next = Math.min(next, block + 1);
      return true;
    },
    /** Σ of the positions', in collateral units; undefined: not all of the past is known. */
    surplusOf: (vault: string) => (missing === undefined ? (totals.get(vault) ?? 0n) : undefined),
    lastLiquidation: (vault: string) => lastLiquidation.get(vault),
    scheduled: (time: bigint, expiration: bigint) =>
      [...scheduled.values()].filter(({ executableAt }) => executableAt + expiration > time),
    recent: () => recent,
    unseen: () => (missing === undefined ? [] : [missing]),
  };
}
