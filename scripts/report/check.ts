// The register held against the chain: every balance, position and lender at both ends of the period.
import { Refusal } from "@breakwater/sdk/desk";
import type { Point } from "./book.ts";
import type { Names } from "./names.ts";
import { type Chain, eachOf, type Market, readBalance, type State } from "./read.ts";
import {
  assetRows,
  balanceRows,
  type Check,
  isReconciled,
  type Reconciliation,
  type Sums,
} from "./reconcile.ts";
import type { Register } from "./register.ts";

const POSITIONS_PER_CALL = 100;

/** Before the period and at its end, by market. */
interface Ends {
  period: { from: number; to: number };
  states: [Map<string, State>, Map<string, State>];
  checks: [Map<string, Check>, Map<string, Check>];
  opening: Map<string, Map<string, Point>>;
}

export async function reconcile(
  chain: Chain,
  register: Register,
  sums: Sums,
  { period, states: [opening, closing], checks, opening: points }: Ends,
): Promise<Reconciliation> {
  const { names } = register;
  const markets = await Promise.all(
    chain.markets.map(async (market) => {
      const { id } = market;
      const moved = explained(names, sums, market, points.get(id)!, register.bookOf(market).points());
      return {
        market: id,
        balances: balanceRows(names, market, sums, opening.get(id)!.balances, closing.get(id)!.balances),
        positions: joined(...checks.map((at) => at.get(id)!), moved),
        lenders: await lendersOf(chain, names, register, sums, market, period),
      };
    }),
  );
  const sides = { markets, assets: assetRows(markets) };
  return { reconciled: isReconciled(sides), ...sides };
}

/** Every position that the events make, as the market itself resolves it. */
export async function checksAt(chain: Chain, register: Register, block: number): Promise<Map<string, Check>> {
  const checks = new Map<string, Check>();
  for (const market of chain.markets) {
    const book = register.bookOf(market);
    const positions = [...book.kept.values()];
    const differences: string[] = [];
    const chunks = [];
    for (let at = 0; at < positions.length; at += POSITIONS_PER_CALL) {
      chunks.push(positions.slice(at, at + POSITIONS_PER_CALL));
    }
    for (const chunk of chunks) {
      const lens = await chain.contracts.lens.getAddress();
      if ((await chain.provider.getCode(lens, block)) === "0x") {
        throw new Refusal(
          `the Lens ${lens} is not there yet at block ${block}: name the addresses of that time`,
        );
      }
      const views = await chain.contracts.lens.positions(
        market.vault,
        chunk.map(({ owner }) => owner),
        chunk.map(({ sub }) => sub),
        { blockTag: block },
      );
      for (const [at, view] of views.entries()) {
        const { owner, sub } = chunk[at]!;
        const own = await book.replay.position(owner, sub);
        const { collateralDivisor, collateralMultiplier } = market.units;
        const tokens = (units: bigint) => (units * collateralDivisor) / collateralMultiplier;
        for (const [name, here, there] of [
          ["book debt", own.debt, view.bookDebt],
          ["collateral", tokens(own.collateral), view.collateral],
          ["surplus", tokens(own.surplus), view.surplus],
        ] as const) {
          if (here !== there) {
            differences.push(
              `block ${block}: position ${owner}/${sub} has ${name} ${here} by its events, ${there} in the market`,
            );
          }
        }
      }
    }
    checks.set(market.id, { checked: positions.length, differences });
  }
  return checks;
}

/** Opening + lines = closing, position by position. */
function explained(
  names: Names,
  sums: Sums,
  market: Market,
  opening: Map<string, Point>,
  closing: Map<string, Point>,
): Check {
  const lines = sums.positions.get(market.id) ?? new Map<string, Record<string, bigint>>();
  const named = (key: string) => {
    const [owner, sub] = key.split("/") as [string, string];
    return `${names.account(owner)}/${sub}`;
  };
  const keys = new Set([...opening.keys(), ...closing.keys()].map(named));
  for (const key of lines.keys()) keys.add(key);
  const at = (points: Map<string, Point>) => new Map([...points].map(([key, point]) => [named(key), point]));
  const [before, after] = [at(opening), at(closing)];
  const differences: string[] = [];
  for (const key of keys) {
    for (const name of ["debt", "collateral", "surplus"] as const) {
      const change = (after.get(key)?.[name] ?? 0n) - (before.get(key)?.[name] ?? 0n);
      const told = lines.get(key)?.[name] ?? 0n;
      if (change !== told)
        differences.push(`position ${key}: ${name} changed by ${change}, its lines sum to ${told}`);
    }
  }
  return { checked: keys.size, differences };
}

function joined(...checks: Check[]): Check {
  return {
    checked: Math.max(...checks.map(({ checked }) => checked)),
    differences: checks.flatMap(({ differences }) => differences),
  };
}

/** The shares of everybody who has any, or had a line. */
async function lendersOf(
  chain: Chain,
  names: Names,
  register: Register,
  sums: Sums,
  market: Market,
  { from, to }: Ends["period"],
): Promise<Check> {
  const told = sums.shares.get(market.id) ?? {};
  const { balances } = register.bookOf(market).replay.tables;
  const holders = [
    ...new Set([...Object.keys(told), ...[...balances.keys()].map((holder) => names.account(holder))]),
  ].sort();
  const differences = await eachOf(holders, async (holder) => {
    const address = holder.split(":").at(-1)!;
    const [before, after] = await Promise.all(
      [from - 1, to].map(async (block) => readBalance(chain, market.vault, address, block)),
    );
    const change = after! - before!;
    const lines = told[holder] ?? 0n;
    if (change === lines) return [];
    return [`lender ${holder}: shares changed by ${change}, its lines sum to ${lines}`];
  });
  return { checked: holders.length, differences: differences.flat() };
}
