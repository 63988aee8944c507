// @breakwater/sdk/addresses: what a deployment wrote to deploy/addresses/<chainId>.json, checked on the way in.
import { Fields } from "./fields.ts";

export interface MarketAddresses {
  id: string; // "WETH/USDC": collateral/debt
  vault: string;
  collateral: string;
  debt: string;
  oracle: string;
  decimals: { collateral: number; debt: number };
  spacing: number;
}

export interface Addresses {
  chainId: number;
  startBlock: number;
  contracts: Record<string, string>;
  safes: { pauser: string; governor: string };
  markets: MarketAddresses[];
}

export class InvalidAddresses extends Error {
  constructor(where: string, expected: string, value: unknown) {
    super(
      `addresses: ${where || "the file"} must be ${expected}, but is ${value === undefined ? "missing" : JSON.stringify(value)}`,
    );
    this.name = "InvalidAddresses";
  }
}

/** Reads and checks an addresses file. */
export async function loadAddresses(file: string | URL): Promise<Addresses> {
  const { readFile } = await import("node:fs/promises"); // a browser has none, and does without this function
  return parseAddresses(JSON.parse(await readFile(file, "utf8")));
}

/** Checks the shape and every address; names the offending key. Keys that it does not know are left alone. */
export function parseAddresses(json: unknown): Addresses {
  const root = new Fields("", json, (...what) => new InvalidAddresses(...what));
  const contracts = root.object("contracts");
  const safes = root.object("safes");
  return {
    chainId: root.integer("chainId"),
    startBlock: root.integer("startBlock"),
    contracts: Object.fromEntries(contracts.keys().map((key) => [key, contracts.address(key)])),
    safes: { pauser: safes.address("pauser"), governor: safes.address("governor") },
    markets: root.array("markets").map((market) => {
      const decimals = market.object("decimals");
      return {
        id: market.text("id"),
        vault: market.address("vault"),
        collateral: market.address("collateral"),
        debt: market.address("debt"),
        oracle: market.address("oracle"),
        decimals: { collateral: decimals.integer("collateral"), debt: decimals.integer("debt") },
        spacing: market.integer("spacing"),
      };
    }),
  };
}

/** The address of a contract by the name that the deployment gave it. */
export function contractAddress(addresses: Addresses, name: string): string {
  const address = addresses.contracts[name];
  if (address === undefined) throw new InvalidAddresses(`contracts.${name}`, "an address", address);
  return address;
}
