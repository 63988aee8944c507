// The roles as they are on a chain, read back from its events and state, and how they differ from deploy/roles.json.
import { dataSlice, getAddress, type Log, type Provider, ZeroAddress } from "ethers";

import { AccessManager__factory, ProxyAdmin__factory, Vault__factory } from "../sdk/src/types/index.ts";
import type { Deployment } from "./deploy.ts";
import { entry } from "./parameters.ts";
import { functionsOf, type Holder, KINDS, type Restricted, ROLE_NAMES, ROLES, TABLE } from "./roles.ts";

/** Public endpoints answer for so many blocks at once. */
const BLOCKS = 10_000;
const ADMIN_SLOT = "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103";
const PUBLIC_ROLE = 2n ** 64n - 1n;

interface Instance {
  kind: Restricted;
  contract: string;
  target: string;
}

export interface RolesOnChain {
  chainId: number;
  block: number;
  manager: string;
  roles: {
    role: string;
    id: bigint;
    /** Seconds; `pendingDelay` from `delayChangesAt` on. */
    members: {
      account: string;
      name: string;
      executionDelay: bigint;
      since: bigint;
      pendingDelay: bigint;
      delayChangesAt: bigint;
    }[];
    grantDelay: bigint;
    admin: string;
    guardian: string;
  }[];
  functions: (Instance & { function: string; selector: string; role: string })[];
  /** By the proxy's name; owner 0: never upgraded again. */
  proxyAdmins: { proxy: string; admin: string; owner: string }[];
  /** One sentence for each difference from the table; empty: the chain is as the table says. */
  differences: string[];
}

export async function readRoles(provider: Provider, deployment: Deployment): Promise<RolesOnChain> {
  const managerAddress = entry(deployment.contracts, "AccessManager");
  const manager = AccessManager__factory.connect(managerAddress, provider);
  const block = await provider.getBlockNumber();
  const differences: string[] = [];
  const differ = (isSame: boolean, sentence: string) => {
    if (!isSame) differences.push(sentence);
  };

  const names = namesOf(deployment);
  const nameOf = (address: string) => names.get(address) ?? address;
  const roleName = (id: bigint) =>
    id === PUBLIC_ROLE
      ? "everybody"
      : (ROLE_NAMES.find((name) => ROLES[name] === id) ?? `role ${id}, which the table has not`);

  // Whatever was ever granted, restricted or closed.
  const accounts = new Map<bigint, Set<string>>(ROLE_NAMES.map((name) => [ROLES[name], new Set()]));
  const restricted = new Map<string, Set<string>>();
  const targets = new Set<string>();
  const add = <K, V>(map: Map<K, Set<V>>, key: K, value?: V) => {
    if (!map.has(key)) map.set(key, new Set());
    if (value !== undefined) map.get(key)!.add(value);
  };
  for (const log of await logsOf(provider, managerAddress, deployment.startBlock, block)) {
    const event = manager.interface.parseLog(log);
    const args = (event?.args.toObject() ?? {}) as {
      roleId?: bigint;
      account?: string;
      target?: string;
      selector?: string;
    };
    if (args.roleId !== undefined && args.target === undefined) add(accounts, args.roleId, args.account);
    if (args.target !== undefined) targets.add(args.target);
    if (args.target !== undefined && args.selector !== undefined) {
      add(restricted, args.target, args.selector);
    }
  }

  const roles: RolesOnChain["roles"] = [];
  for (const [id, candidates] of [...accounts].sort(([a], [b]) => Number(a - b))) {
    if (id === PUBLIC_ROLE) continue;
    const role = roleName(id);
    const terms = ROLE_NAMES.map((name) => TABLE.roles[name]).find((each) => BigInt(each.id) === id);
    const holder = terms && holderOf(deployment, terms.holder);
    if (typeof holder === "string") candidates.add(holder);
    const members: RolesOnChain["roles"][number]["members"] = [];
    for (const account of candidates) {
      const [since, executionDelay, pendingDelay, delayChangesAt] = await manager.getAccess(id, account);
      const who = `${role}: ${nameOf(account)}`;
      if (since === 0n) {
        differ(account !== holder, `${who} should hold it and does not`);
        continue;
      }
      members.push({
        account,
        name: nameOf(account),
        executionDelay,
        since,
        pendingDelay,
        delayChangesAt,
      });
      if (account !== holder || terms === undefined) {
        differences.push(`${who} holds it, with a delay of ${duration(executionDelay)}, and should not`);
        continue;
      }
      const expected = BigInt(terms.executionDelay);
      differ(
        executionDelay === expected,
        `${who} waits ${duration(executionDelay)}, not ${duration(expected)}`,
      );
      differ(
        delayChangesAt === 0n || pendingDelay === expected,
        `${who} will wait ${duration(pendingDelay)} from ${date(delayChangesAt)} on, not ${duration(expected)}`,
      );
    }
    const [grantDelay, admin, guardian] = [
      await manager.getRoleGrantDelay(id),
      roleName(await manager.getRoleAdmin(id)),
      roleName(await manager.getRoleGuardian(id)),
    ];
    roles.push({ role, id, members, grantDelay, admin, guardian });
    const [wantedAdmin, wantedGuardian] = [terms?.admin ?? "ADMIN", terms?.guardian ?? "ADMIN"];
    const wantedDelay = BigInt(terms?.grantDelay ?? 0);
    differ(admin === wantedAdmin, `${role}: granted by ${admin}, not by ${wantedAdmin}`);
    differ(guardian === wantedGuardian, `${role}: cancelled by ${guardian}, not by ${wantedGuardian}`);
    differ(
      grantDelay === wantedDelay,
      `${role}: a grant takes effect after ${duration(grantDelay)}, not ${duration(wantedDelay)}`,
    );
  }

  const functions: RolesOnChain["functions"] = [];
  for (const { kind, contract, target } of instancesOf(deployment)) {
    targets.add(target);
    for (const { name, selector, role: wanted } of functionsOf(kind)) {
      restricted.get(target)?.delete(selector);
      const role = roleName(await manager.getTargetFunctionRole(target, selector));
      functions.push({ kind, contract, target, function: name, selector, role });
      differ(role === wanted, `${contract}.${name}: called by ${role}, not by ${wanted}`);
    }
    const authority = await Vault__factory.connect(target, provider).authority();
    differ(authority === managerAddress, `${contract}: obeys ${nameOf(authority)}, not the AccessManager`);
  }
  for (const kind of KINDS) {
    differ(
      functions.some((each) => each.kind === kind) || kind === "MarketPair", // there may be none
      `${kind}: the table has it, and the addresses do not`,
    );
  }
  // What is left is in no table.
  for (const [target, selectors] of restricted) {
    for (const selector of selectors) {
      const id = await manager.getTargetFunctionRole(target, selector);
      differ(
        id === ROLES.ADMIN,
        `${nameOf(target)}: function ${selector} is called by ${roleName(id)}, and is not in the table`,
      );
    }
  }
  for (const target of targets) {
    differ(!(await manager.isTargetClosed(target)), `${nameOf(target)}: closed, nobody can call it`);
    const delay = await manager.getTargetAdminDelay(target);
    differ(delay === 0n, `${nameOf(target)}: an admin delay of ${duration(delay)}, not none`);
  }

  const proxyAdmins: RolesOnChain["proxyAdmins"] = [];
  const owner = entry(deployment.contracts, "Upgrader");
  const proxies = { ...deployment.contracts, ...byMarket(deployment) };
  for (const [name, admin] of Object.entries(deployment.proxyAdmins)) {
    const proxy = entry(proxies, name);
    const actual = getAddress(dataSlice(await provider.getStorage(proxy, ADMIN_SLOT), 12));
    differ(actual === admin, `${name}: its proxy's admin is ${actual}, not ${admin}`);
    const ownedBy = await ProxyAdmin__factory.connect(actual, provider).owner();
    proxyAdmins.push({ proxy: name, admin: actual, owner: ownedBy });
    differ(
      ownedBy === owner || ownedBy === ZeroAddress,
      `${name}: its ProxyAdmin belongs to ${nameOf(ownedBy)}, not to the Upgrader`,
    );
  }

  return {
    chainId: deployment.chainId,
    block,
    manager: managerAddress,
    roles,
    functions,
    proxyAdmins,
    differences,
  };
}

/** 172800 → "48 h" */
export function duration(seconds: bigint): string {
  if (seconds === 0n) return "none";
  for (const [unit, size] of [
    ["h", 3_600n],
    ["min", 60n],
  ] as const) {
    if (seconds % size === 0n) return `${seconds / size} ${unit}`;
  }
  return `${seconds} s`;
}

function date(timestamp: bigint): string {
  return new Date(Number(timestamp) * 1_000).toISOString();
}

function holderOf(deployment: Deployment, holder: Holder): string | null {
  switch (holder) {
    case "contracts.AccessAdmin":
      return entry(deployment.contracts, "AccessAdmin");
    case "safes.pauser":
      return deployment.safes.pauser;
    case "safes.governor":
      return deployment.safes.governor;
    case "sentinel":
      return deployment.sentinel;
  }
}

function byMarket({ markets }: Deployment): Record<string, string> {
  return Object.fromEntries(markets.map(({ id, vault }) => [id, vault]));
}

/** Every deployed contract of a kind that the table has. */
export function instancesOf(deployment: Deployment): Instance[] {
  const several: Partial<Record<Restricted, Record<string, string>>> = {
    Vault: byMarket(deployment),
    MarketPair: deployment.pairs,
  };
  return KINDS.flatMap((kind) => {
    const fixed = deployment.contracts[kind];
    const instances = several[kind] ?? (fixed === undefined ? {} : { "": fixed });
    return Object.entries(instances).map(([id, target]) => ({
      kind,
      contract: `${kind} ${id}`.trimEnd(),
      target,
    }));
  });
}

function namesOf(deployment: Deployment): Map<string, string> {
  const { contracts, safes, sentinel } = deployment;
  return new Map([
    ...Object.entries(contracts).map(([name, address]) => [address, name] as const),
    ...Object.entries(byMarket(deployment)).map(([id, address]) => [address, `Vault ${id}`] as const),
    ...Object.entries(deployment.pairs).map(([id, address]) => [address, `MarketPair ${id}`] as const),
    [safes.pauser, "pauser Safe"],
    [safes.governor, "governor Safe"],
    [sentinel ?? "", "sentinel"],
  ]);
}

async function logsOf(provider: Provider, address: string, first: number, last: number): Promise<Log[]> {
  const logs: Log[] = [];
  for (let from = first; from <= last; from += BLOCKS) {
    const toBlock = Math.min(from + BLOCKS - 1, last);
    logs.push(...(await provider.getLogs({ address, fromBlock: from, toBlock })));
  }
  return logs;
}
