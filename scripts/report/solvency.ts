// What the markets hold against what they owe at one block.
import { PRICE_STATES } from "@breakwater/sdk/chain";
import { debtTokensUp, Q128 } from "@breakwater/sdk/core";
import { getAddress } from "ethers";

import { BALANCES, type Amount, type Balance } from "./lines.ts";
import { type Block, type Chain, type Market, readBalance, type State } from "./read.ts";
import type { MarketBook } from "./book.ts";
import { BALANCE_UNIT, decimalOf, isoTime, type Names, unitsIn } from "./names.ts";

export const SOLVENCY_SCHEMA = "breakwater-solvency/1";

export interface Solvency {
  schema: string;
  statement: string;
  command: string;
  chain: string;
  block: number;
  blockHash: string;
  time: string;
  /** Whether every market and the fund hold at least what they owe. */
  solvent: boolean;
  markets: MarketSolvency[];
  insurance: { asset: string; held: Amount; owed: Amount; holdsEnough: boolean }[];
}

export interface MarketSolvency {
  market: string;
  vault: string;
  exists: boolean;
  /** As stored: with the interest charged so far. */
  balances: Record<Balance, Amount>;
  borrowIndex: string;
  positions: { withDebt: number; withoutDebt: number };
  /** Tokens that the vault holds, and what of them is accounted for. */
  debtToken: { held: Amount; owed: Amount; over: Amount; holdsEnough: boolean };
  /** Of the book: behind debts, surplus, pot. */
  collateralToken: {
    held: Amount;
    behindDebt: Amount;
    surplus: Amount;
    pot: Amount;
    over: Amount;
    holdsEnough: boolean;
  };
  /** With interest up to this block, at the oracle's price then; missing before the market or its lens exists. */
  now?: {
    price: { source: string; low: string; high: string; state: string; roundA: string; roundB: string };
    borrowersOwe: Amount;
    lendersOwn: Amount;
    sharePrice: Amount;
    reserves: Amount;
    /** Debt whose collateral is worth less than it at the lower price, and what that is short of; none without a price. */
    underwater?: { debt: Amount; short: Amount };
  };
}

interface Part {
  market: Market;
  state: State;
  book: MarketBook;
}

export async function solvencyOf(
  chain: Chain,
  names: Names,
  block: Block,
  parts: Part[],
  command: string,
): Promise<Solvency> {
  const markets = await Promise.all(parts.map(async (part) => marketSolvency(chain, names, block, part)));
  const tokens = [...new Set(parts.map(({ market }) => market.debt))];
  const insurance = await Promise.all(
    tokens.map(async (token) => {
      const of = parts.filter(({ market }) => market.debt === token);
      const { decimals } = of[0]!.market;
      const owed = of.reduce((sum, { state }) => sum + state.balances.insurance, 0n);
      const held = await readBalance(chain, token, chain.fund, block.number);
      const amount = (raw: bigint) => names.amount(raw, decimals.debt, token);
      return { asset: amount(0n).asset, held: amount(held), owed: amount(owed), holdsEnough: held >= owed };
    }),
  );
  return {
    schema: SOLVENCY_SCHEMA,
    statement: "Read from the chain at this block. It is no audit and claims compliance with no regime.",
    command,
    chain: names.chain,
    block: block.number,
    blockHash: block.hash,
    time: isoTime(block.timestamp),
    solvent:
      insurance.every(({ holdsEnough }) => holdsEnough) &&
      markets.every(({ debtToken, collateralToken }) => debtToken.holdsEnough && collateralToken.holdsEnough),
    markets,
    insurance,
  };
}

async function marketSolvency(
  chain: Chain,
  names: Names,
  block: Block,
  { market, state, book }: Part,
): Promise<MarketSolvency> {
  const amount = unitsIn(names, market);
  const { balances, ledger, exists } = state;
  const { collateralMultiplier, collateralDivisor } = market.units;
  const [behind, surplus] = [...book.kept.values()].reduce(
    ([a, b], each) => [a + each.collateral, b + each.surplus],
    [0n, 0n],
  );
  const held = (balances.collateralTokens * collateralMultiplier) / collateralDivisor;
  const over = held - behind - surplus - balances.potCollateral;
  const withDebt = [...book.kept.values()].filter(({ debt }) => debt > 0n).length;
  return {
    market: market.id,
    vault: names.account(market.vault),
    exists,
    balances: Object.fromEntries(
      (Object.keys(BALANCES) as Balance[]).map((name) => [name, amount[BALANCE_UNIT[name]](balances[name])]),
    ) as Record<Balance, Amount>,
    borrowIndex: ledger.borrowIndex.toString(),
    positions: { withDebt, withoutDebt: book.kept.size - withDebt },
    debtToken: {
      held: amount.debt(balances.debtTokens),
      owed: amount.debt(balances.cash),
      over: amount.debt(balances.debtTokens - balances.cash),
      holdsEnough: balances.debtTokens >= balances.cash,
    },
    collateralToken: {
      held: amount.collateral(balances.collateralTokens),
      behindDebt: amount.collateralUnits(behind),
      surplus: amount.collateralUnits(surplus),
      pot: amount.collateralUnits(balances.potCollateral),
      over: amount.collateralUnits(over),
      holdsEnough: over >= 0n,
    },
    ...(exists && { now: await nowOf(chain, names, block, market, book) }),
  };
}

async function nowOf(
  { contracts, provider }: Chain,
  names: Names,
  { number }: Block,
  market: Market,
  book: MarketBook,
): Promise<MarketSolvency["now"]> {
  const lens = await contracts.lens.getAddress();
  if ((await provider.getCode(lens, number)) === "0x") return undefined;
  const [view] = await contracts.lens.markets([market.vault], { blockTag: number });
  const { price, totalDebt, totalAssets, sharePrice, reserves, borrowIndex, oracle } = view!;
  const amount = unitsIn(names, market);
  const { units } = market;
  let [debt, short] = [0n, 0n];
  for (const kept of book.kept.values()) {
    if (kept.tick === undefined) continue;
    const owed = (kept.debt * borrowIndex) / book.lastIndex();
    const value = (kept.collateral * price.low * units.priceMultiplier) / Q128;
    if (value >= owed) continue;
    debt += owed;
    short += owed - value;
  }
  const told = (q128: bigint) => decimalOf((q128 * 10n ** 18n) / Q128, 18);
  return {
    price: {
      source: names.account(getAddress(oracle)),
      low: told(price.low),
      high: told(price.high),
      state: PRICE_STATES[Number(price.state)]!,
      roundA: price.roundA.toString(),
      roundB: price.roundB.toString(),
    },
    borrowersOwe: amount.debt(totalDebt),
    lendersOwn: amount.debt(totalAssets),
    sharePrice: amount.debt(sharePrice),
    reserves: amount.debt(reserves),
    ...(price.low !== 0n && {
      underwater: {
        debt: amount.debt(debtTokensUp(debt, units)),
        short: amount.debt(debtTokensUp(short, units)),
      },
    }),
  };
}
