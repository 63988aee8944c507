// Whether the register explains all that changed: sums of lines against what the chain says before and after.
import { BALANCES, type Balance, type Line } from "./lines.ts";
import type { Market, State } from "./read.ts";
import { BALANCE_UNIT, type Names, unitsIn } from "./names.ts";

export interface Row {
  name: string;
  asset: string;
  opening: string;
  register: string;
  closing: string;
  difference: string;
}

export interface Reconciliation {
  reconciled: boolean;
  markets: { market: string; balances: Row[]; positions: Check; lenders: Check }[];
  /** What all vaults together hold of each token. */
  assets: Row[];
}

/** Of many accounts only those that differ are named. */
export interface Check {
  checked: number;
  differences: string[];
}

type Changes = Record<string, bigint>;

/** Adds lines up as they are written. */
export class Sums {
  /** By market, then balance. */
  readonly balances = new Map<string, Changes>();
  /** By market, then account and sub-account, then what of the position. */
  readonly positions = new Map<string, Map<string, Changes>>();
  /** By market, then account. */
  readonly shares = new Map<string, Changes>();
  lines = 0;

  add(line: Line): void {
    this.lines++;
    const { market, account, sub, kind, amounts, changes, positionChanges } = line;
    if (market === undefined) return;
    const balances = entry(this.balances, market, () => ({}));
    for (const [name, amount] of Object.entries(changes)) plus(balances, name, amount.raw);
    if (sub !== undefined && account !== undefined) {
      const positions = entry(this.positions, market, () => new Map<string, Changes>());
      const position = entry(positions, `${account}/${sub}`, () => ({}));
      for (const [name, amount] of Object.entries(positionChanges)) plus(position, name, amount.raw);
    }
    if (["lend", "redeem", "shares-out", "shares-in"].includes(kind) && account !== undefined) {
      plus(
        entry(this.shares, market, () => ({})),
        account,
        amounts.shares?.raw ?? "0",
      );
    }
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

function plus(sums: Changes, name: string, raw: string): void {
  sums[name] = (sums[name] ?? 0n) + BigInt(raw);
}

export function balanceRows(
  names: Names,
  market: Market,
  sums: Sums,
  opening: State["balances"],
  closing: State["balances"],
): Row[] {
  const units = unitsIn(names, market);
  return (Object.keys(BALANCES) as Balance[]).map((name) =>
    rowOf(
      name,
      units[BALANCE_UNIT[name]](0n).asset,
      opening[name],
      sums.balances.get(market.id)?.[name] ?? 0n,
      closing[name],
    ),
  );
}

export function rowOf(name: string, asset: string, opening: bigint, register: bigint, closing: bigint): Row {
  return {
    ...{ name, asset },
    opening: opening.toString(),
    register: register.toString(),
    closing: closing.toString(),
    difference: (closing - opening - register).toString(),
  };
}

/** Tokens of all vaults together, out of the markets' rows. */
export function assetRows(markets: { balances: Row[] }[]): Row[] {
  const held = markets
    .flatMap(({ balances }) => balances)
    .filter(({ name }) => name === "debtTokens" || name === "collateralTokens");
  return [...new Set(held.map(({ asset }) => asset))].sort().map((asset) => {
    const rows = held.filter((row) => row.asset === asset);
    const sum = (of: "opening" | "register" | "closing") =>
      rows.reduce((total, row) => total + BigInt(row[of]), 0n);
    return rowOf("held by all vaults", asset, sum("opening"), sum("register"), sum("closing"));
  });
}

export function isReconciled({ markets, assets }: Omit<Reconciliation, "reconciled">): boolean {
  return (
    [...assets, ...markets.flatMap(({ balances }) => balances)].every(
      ({ difference }) => difference === "0",
    ) &&
    markets.every(({ positions, lenders }) => positions.differences.length + lenders.differences.length === 0)
  );
}

/** What is wrong, in words. */
export function differencesOf({ markets, assets }: Reconciliation): string[] {
  const words = (where: string, { name, asset, opening, register, closing, difference }: Row) =>
    `${where}: ${name} (${asset}) was ${opening}, is ${closing}, and the register sums to ${register}: ` +
    `it differs by ${difference}`;
  return [
    ...markets.flatMap(({ market, balances, positions, lenders }) => [
      ...balances.filter(({ difference }) => difference !== "0").map((row) => words(market, row)),
      ...[...positions.differences, ...lenders.differences].map((each) => `${market}: ${each}`),
    ]),
    ...assets.filter(({ difference }) => difference !== "0").map((row) => words("all vaults", row)),
  ];
}
