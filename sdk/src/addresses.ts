// @breakwater/sdk/addresses: what a deployment wrote to deploy/addresses/<chainId>.json, checked on the way in.
import { isAddress } from "ethers";

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
      `addresses: ${where} must be ${expected}, but is ${value === undefined ? "missing" : JSON.stringify(value)}`,
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
  const root = new Fields("", json);
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

class Fields {
  readonly #where: string;
  readonly #value: Record<string, unknown>;

  constructor(where: string, value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new InvalidAddresses(where === "" ? "the file" : where, "an object", value);
    }
    this.#where = where;
    this.#value = value as Record<string, unknown>;
  }

  keys(): string[] {
    return Object.keys(this.#value);
  }

  address(key: string): string {
    return this.#checked(key, "an address", (value) => isAddress(value)) as string;
  }

  text(key: string): string {
    return this.#checked(key, "a text", (value) => typeof value === "string" && value !== "") as string;
  }

  integer(key: string): number {
    return this.#checked(
      key,
      "a whole number, not negative",
      (v) => Number.isSafeInteger(v) && Number(v) >= 0,
    ) as number;
  }

  object(key: string): Fields {
    return new Fields(this.#path(key), this.#value[key]);
  }

  array(key: string): Fields[] {
    const list = this.#checked(key, "a list", (value) => Array.isArray(value)) as unknown[];
    return list.map((value, at) => new Fields(`${this.#path(key)}[${at}]`, value));
  }

  #checked(key: string, expected: string, isValid: (value: unknown) => boolean): unknown {
    const value = this.#value[key];
    if (!isValid(value)) throw new InvalidAddresses(this.#path(key), expected, value);
    return value;
  }

  #path(key: string): string {
    return this.#where === "" ? key : `${this.#where}.${key}`;
  }
}
