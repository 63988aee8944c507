// What a transaction of a Safe does, from its bytes alone. Whoever signs reads this and never a file's own words.
import { AbiCoder, getAddress, type Interface, keccak256, type Result } from "ethers";

import { type Addresses, contractAddress } from "../addresses.ts";
import type { About, Action, Decoded } from "./action.ts";
import { ACTIONS } from "./actions.ts";
import { type Desk, formatTime, INTERFACES, type LoggedCall, Refusal, whoIs } from "./desk.ts";

export interface Call {
  to: string;
  data: string;
}

/** The fields of a Safe transaction, as strings; those that do not stand here are zero on the menu. */
export interface SafeTransaction extends Call {
  nonce: number;
}

export interface Intent {
  /** Of the menu, or cancel, or void. */
  action: string;
  /** void: a transaction that does nothing but use its nonce up. */
  step: "at once" | "schedule" | "execute" | "cancel" | "void";
  words: string[];
  /** What is called in the end; none of a void transaction. */
  call?: Decoded;
  entry?: Action;
  /** Of a scheduled operation. */
  operation?: { id: string; caller: string; when?: bigint };
}

const ANY = AbiCoder.defaultAbiCoder();

/** AccessManager.hashOperation. */
export function operationId(caller: string, { to, data }: Call): string {
  return keccak256(ANY.encode(["address", "address", "bytes"], [caller, to, data]));
}

export function intentOf(addresses: Addresses, safe: string, { to, data }: Call, about?: About): Intent {
  if (getAddress(to) === getAddress(safe) && data === "0x") {
    return {
      action: "void",
      step: "void",
      words: ["do nothing: whatever else has this nonce can never be executed"],
    };
  }
  if (getAddress(to) === contractAddress(addresses, "AccessManager"))
    return managerIntent(addresses, safe, data);
  const { action, entry, call, words } = menuEntry(addresses, { to, data }, about);
  requireSafe(addresses, safe, action, entry, call);
  if (!entry.isDelayed) return { action, step: "at once", words, call, entry };
  const operation = { id: operationId(safe, { to, data }), caller: safe };
  return { action, step: "execute", words: ["EXECUTE, as scheduled:", ...words], call, entry, operation };
}

function managerIntent(addresses: Addresses, safe: string, data: string): Intent {
  const { fn, args } = decode(INTERFACES.AccessManager, data, "AccessManager");
  const target = { to: args.target as string, data: args.data as string };
  if (fn === "schedule") {
    const { action, entry, call, words } = menuEntry(addresses, target);
    if (!entry.isDelayed) throw new Refusal(`${action} is not scheduled: it takes effect at once`);
    requireSafe(addresses, safe, action, entry, call);
    const when = args.when as bigint;
    const head =
      when === 0n
        ? "SCHEDULE, for as soon as the delay allows:"
        : `SCHEDULE, for ${formatTime(when)} and not before:`;
    const operation = { id: operationId(safe, target), caller: safe, when };
    return { action, step: "schedule", words: [head, ...words], call, entry, operation };
  }
  if (fn === "cancel") {
    const caller = args.caller as string;
    const { call, entry, words } = menuEntry(addresses, target);
    const head = `CANCEL what the ${whoIs(addresses, caller).name} has scheduled:`;
    const operation = { id: operationId(caller, target), caller };
    return { action: "cancel", step: "cancel", words: [head, ...words], call, entry, operation };
  }
  throw new Refusal(`not on the menu: AccessManager.${fn}`);
}

function menuEntry(addresses: Addresses, { to, data }: Call, about?: About) {
  const { kind, name } = whoIs(addresses, to);
  if (kind === undefined) throw new Refusal(`not on the menu: a call of ${name}`);
  const { fn, args } = decode(INTERFACES[kind], data, name);
  const found = Object.entries(ACTIONS).find(
    ([, each]) => each.contract === kind && each.functions.includes(fn) && (each.matches?.(args) ?? true),
  );
  if (!found) throw new Refusal(`not on the menu: ${name}.${fn}(${args.join(", ")})`);
  const [action, entry] = found;
  const call: Decoded = { to: getAddress(to), name, fn, args };
  return { action, entry, call, words: entry.words(addresses, call, about) };
}

function decode(contract: Interface, data: string, name: string): { fn: string; args: Result } {
  const parsed = contract.parseTransaction({ data });
  if (!parsed) throw new Refusal(`not on the menu: ${name} has no function ${data.slice(0, 10)}`);
  // Bytes that say the same in another way, or something more behind it, are not what anybody meant.
  const again = contract.encodeFunctionData(parsed.fragment, parsed.args);
  if (again !== data.toLowerCase())
    throw new Refusal(`the calldata of ${name}.${parsed.name} is not in its plain form`);
  return { fn: parsed.name, args: parsed.args };
}

function requireSafe(
  addresses: Addresses,
  safe: string,
  action: string,
  { safe: wanted }: Action,
  call: Decoded,
): void {
  // Whoever is no guardian gets no further than the simulation.
  if (wanted === "guardian") return;
  const expected = wanted === "own" ? call.to : addresses.safes[wanted];
  if (getAddress(safe) === expected) return;
  throw new Refusal(`wrong Safe: ${action} is for ${expected}, not for ${getAddress(safe)}`);
}

// ---------------------------------------------------------------- what is scheduled

export interface Scheduled extends LoggedCall {
  executableAt: bigint;
  expiresAt: bigint;
  words: string[];
}

/** Public endpoints answer for so many blocks at once. */
const BLOCKS = 10_000;
/** What was read may have been in another block. */
const REORGANISED = 64;

/** What waits in the AccessManager, soonest first. What the menu does not know is shown as it is. */
export async function scheduledOperations({
  addresses,
  manager,
  provider,
  now,
  log,
}: Desk): Promise<Scheduled[]> {
  const [last, expiration, time] = await Promise.all([
    provider.getBlockNumber(),
    manager.expiration(),
    now(),
  ]);
  for (let from = Math.max(addresses.startBlock, log.readTo - REORGANISED); from <= last;) {
    const to = Math.min(from + BLOCKS - 1, last);
    for (const { args } of await manager.queryFilter(manager.filters.OperationScheduled(), from, to)) {
      const [id, nonce, , caller, target, data] = args;
      log.calls.set(id, { id, nonce, caller, to: target, data });
    }
    log.readTo = to;
    from = to + 1;
  }
  const operations = await Promise.all(
    [...log.calls.values()].map(async (call) => {
      const executableAt = await manager.getSchedule(call.id);
      return { ...call, executableAt, expiresAt: executableAt + expiration, words: wordsOf(addresses, call) };
    }),
  );
  return operations
    .filter(({ executableAt, expiresAt }) => executableAt > 0n && expiresAt > time)
    .sort((a, b) => Number(a.executableAt - b.executableAt));
}

export function wordsOf(addresses: Addresses, call: Call): string[] {
  try {
    return menuEntry(addresses, call).words;
  } catch {
    return [`UNKNOWN to this desk: ${whoIs(addresses, call.to).name} ${call.data}`];
  }
}
