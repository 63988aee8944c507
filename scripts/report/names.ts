// CAIP identifiers, amounts with their assets, and what every line has.
import { formatAmount } from "@breakwater/sdk/core";
import { getAddress } from "ethers";

import type { Amount, Balance, Line } from "./lines.ts";
import type { Block, Market, RegisterEvent } from "./read.ts";

export function isoTime(seconds: number | bigint): string {
  return new Date(Number(seconds) * 1_000).toISOString().replace(".000Z", "Z");
}

/** A decimal without separators, exactly. */
export function decimalOf(raw: bigint, decimals: number): string {
  const text = formatAmount(raw, decimals).replaceAll(",", "");
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export class Names {
  constructor(readonly chainId: number) {}

  get chain(): string {
    return `eip155:${this.chainId}`;
  }
  account(address: string): string {
    return `${this.chain}:${getAddress(address)}`;
  }
  amount(raw: bigint, decimals: number, token: string): Amount {
    return {
      asset: `${this.chain}/erc20:${getAddress(token)}`,
      raw: raw.toString(),
      decimal: decimalOf(raw, decimals),
    };
  }
}

/** Amounts of one market by what they are of. */
export function unitsIn(names: Names, market: Market) {
  const { decimals, vault, collateral, debt, unitDecimals } = market;
  return {
    debt: (raw: bigint) => names.amount(raw, decimals.debt, debt),
    collateral: (raw: bigint) => names.amount(raw, decimals.collateral, collateral),
    debtUnits: (raw: bigint) => names.amount(raw, 18, debt),
    collateralUnits: (raw: bigint) => names.amount(raw, unitDecimals, collateral),
    shares: (raw: bigint) => names.amount(raw, decimals.debt, vault),
  };
}
export const BALANCE_UNIT = {
  cash: "debt",
  debt: "debtUnits",
  reserves: "debt",
  insurance: "debt",
  potDebt: "debtUnits",
  potCollateral: "collateralUnits",
  shares: "shares",
  debtTokens: "debt",
  collateralTokens: "collateral",
} as const satisfies Record<Balance, keyof ReturnType<typeof unitsIn>>;

/** What a line of no event has too. */
export function stamp(names: Names, block: Block) {
  return {
    chain: names.chain,
    block: block.number,
    blockHash: block.hash,
    time: isoTime(block.timestamp),
    transaction: null,
    logIndex: null,
    event: null,
    contract: null,
    amounts: {},
    changes: {},
    positionChanges: {},
  };
}

export function lineOf(
  names: Names,
  block: Block,
  event: RegisterEvent,
  kind: Line["kind"],
  rest: Partial<Line>,
): Line {
  return {
    ...stamp(names, block),
    id: `${block.number}.${event.index}`,
    kind,
    transaction: event.transaction,
    logIndex: event.index,
    event: event.name,
    contract: names.account(event.address),
    ...rest,
  };
}
