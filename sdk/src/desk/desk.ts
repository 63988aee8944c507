// What the desk knows of a deployment: its contracts, and names for their addresses.
import {
  decodeBytes32String,
  encodeBytes32String,
  getAddress,
  type Interface,
  isAddress,
  type Provider,
  toUtf8Bytes,
  ZeroAddress,
} from "ethers";

import { type Addresses, contractAddress, type MarketAddresses } from "../addresses.ts";
import { connect } from "../chain/connect.ts";
import { openMarkets } from "../chain/markets.ts";
import { parseAmount } from "../core/units.ts";
import {
  AccessAdmin__factory,
  AccessManager__factory,
  AccountRecovery__factory,
  EmergencyBrake__factory,
  Safe__factory,
  Upgrader__factory,
  Vault__factory,
} from "../types/index.ts";

/** What the person at the desk can put right: no stack trace. */
export class Refusal extends Error {
  override name = "Refusal";
}

/** Scheduled at some time; the AccessManager says whether it still is. */
export interface LoggedCall {
  id: string;
  caller: string;
  nonce: bigint;
  to: string;
  data: string;
}

/** The contracts that the menu calls. */
export const INTERFACES = {
  Vault: Vault__factory.createInterface() as Interface,
  EmergencyBrake: EmergencyBrake__factory.createInterface() as Interface,
  Upgrader: Upgrader__factory.createInterface() as Interface,
  AccessAdmin: AccessAdmin__factory.createInterface() as Interface,
  AccountRecovery: AccountRecovery__factory.createInterface() as Interface,
  AccessManager: AccessManager__factory.createInterface() as Interface,
  Safe: Safe__factory.createInterface() as Interface,
};
export type Kind = keyof typeof INTERFACES;

export const SAFES = ["pauser", "governor"] as const;
export type SafeName = (typeof SAFES)[number];

export type Desk = Awaited<ReturnType<typeof openDesk>>;

/** Refuses a chain that the addresses are not of. */
export async function openDesk(addresses: Addresses, provider: Provider) {
  const chainId = Number((await provider.getNetwork()).chainId);
  if (addresses.chainId !== chainId) {
    throw new Refusal(
      `wrong chain: this is chain ${chainId}, the addresses are of chain ${addresses.chainId}`,
    );
  }
  const contracts = connect(addresses, provider);
  const at = (name: string) => contractAddress(addresses, name);
  const readMarkets = await openMarkets(contracts, provider);
  return {
    chainId,
    provider,
    ...contracts,
    manager: AccessManager__factory.connect(at("AccessManager"), provider),
    upgrader: Upgrader__factory.connect(at("Upgrader"), provider),
    /** What the AccessManager's log has, by operation, and up to which block it was read. */
    log: { calls: new Map<string, LoggedCall>(), readTo: addresses.startBlock },
    safe: (address: string) => Safe__factory.connect(address, provider),
    readMarkets: async () => readMarkets(await provider.getBlockNumber()),
    now: async () => BigInt((await provider.getBlock("latest"))!.timestamp),
  };
}

/** What a contract of the deployment is, and what people call it. */
export function whoIs(addresses: Addresses, address: string): { kind?: Kind; name: string } {
  const wanted = getAddress(address);
  const market = addresses.markets.find(({ vault }) => vault === wanted);
  if (market) return { kind: "Vault", name: market.id };
  for (const safe of SAFES) {
    if (addresses.safes[safe] === wanted) return { kind: "Safe", name: `${safe} Safe` };
  }
  const [name] = Object.entries(addresses.contracts).find(([, at]) => at === wanted) ?? [];
  if (name === undefined) return { name: wanted };
  return { kind: name in INTERFACES && name !== "Safe" ? (name as Kind) : undefined, name };
}

export function addressOf(addresses: Addresses, name: string): string {
  return contractAddress(addresses, name);
}

export function marketOf(addresses: Addresses, id: string): MarketAddresses {
  const market = addresses.markets.find((each) => each.id === id);
  if (market) return market;
  throw new Refusal(`no market ${id}: there are ${addresses.markets.map((each) => each.id).join(", ")}`);
}

export function safeOf(addresses: Addresses, name: string): string {
  if (name === "pauser" || name === "governor") return addresses.safes[name];
  throw new Refusal(`no Safe ${name}: there are ${SAFES.join(" and ")}`);
}

// ---------------------------------------------------------------- what people write and read

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** "2h", "90m", "1h30m" → seconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  const seconds = parts.reduce((sum, [, n, unit]) => sum + Number(n) * UNITS[unit as keyof typeof UNITS], 0);
  if (seconds === 0 || parts.map(([part]) => part).join("") !== text) {
    throw new Refusal(`"${text}" is no duration: write 90s, 30m, 2h, 7d or 1h30m`);
  }
  return seconds;
}

export function formatDuration(seconds: bigint | number): string {
  let left = Number(seconds);
  const parts = [];
  for (const [unit, size] of Object.entries(UNITS).reverse()) {
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count}${unit === "m" ? "min" : unit}`);
    left -= count * size;
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

export function formatTime(seconds: bigint | number): string {
  return new Date(Number(seconds) * 1_000).toISOString().replace(".000Z", "Z");
}

export function parseAddress(text: string): string {
  if (isAddress(text) && text !== ZeroAddress) return getAddress(text);
  throw new Refusal(`"${text}" is no address`);
}

/** "82.5" → 8250 basis points. */
export function parseBps(text: string): bigint {
  if (!/^\d{1,6}(\.\d{1,2})?$/.test(text))
    throw new Refusal(`"${text}" is no percentage with at most 2 decimals`);
  return parseAmount(text, 2);
}

/** At most 31 letters, as a bytes32 holds them. */
export function parseReason(text: string): string {
  if (toUtf8Bytes(text).length > 31) throw new Refusal("the reason: at most 31 letters");
  return encodeBytes32String(text);
}

export function formatReason(reason: string): string {
  try {
    // Unprintable letters could hide what else is shown.
    return decodeBytes32String(reason).replace(/[^\x20-\x7e]/g, "?") || "none";
  } catch {
    return reason;
  }
}
