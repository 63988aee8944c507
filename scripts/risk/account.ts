// One owner's exposure over all markets: positions, what is held and owed of each token, and what a move of all prices
// at once makes of it. Markets' own prices; every dollar token counts as a dollar.
import { distanceToLiquidation, formatAmount, formatPercent, Q128 } from "@breakwater/sdk/core";

import { price } from "../trade/desk.ts";
import { grouped, tableText } from "./exposure.ts";
import { isDollar } from "./paths.ts";
import type { MarketBook } from "./read.ts";

/** Moves of every asset against the dollar, percent. */
const MOVES = [-60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50, 60] as const;

export type Account = ReturnType<typeof accountOf>;

export function accountOf(books: readonly MarketBook[], owner: string) {
  const positions = books.flatMap(({ reading, holdings }) =>
    holdings
      .filter((holding) => holding.owner === owner)
      .map((holding) => ({ ...positionOf(reading, holding), decimals: reading.addresses.decimals })),
  );
  const tokens = new Map<string, { decimals: number; net: bigint }>();
  for (const { symbols, decimals, collateral, surplus, debt } of positions) {
    add(tokens, symbols.collateral, decimals.collateral, collateral + surplus);
    add(tokens, symbols.debt, decimals.debt, -debt);
  }
  return {
    owner,
    positions,
    /** Held less owed, token units. */
    net: [...tokens].map(([symbol, token]) => ({ symbol, ...token })),
    moves: dollarsKnown(books) ? MOVES.map((percent) => ({ percent, ...after(books, owner, percent) })) : [],
  };
}

type Reading = MarketBook["reading"];
type Holding = MarketBook["holdings"][number];

function positionOf({ addresses, symbols, state }: Reading, holding: Holding) {
  const hasDebt = holding.bookDebt > 0n;
  return {
    market: addresses.id,
    symbols,
    sub: holding.sub,
    debt: holding.debt,
    collateral: holding.collateral,
    surplus: holding.surplus,
    ...(hasDebt && state.priceHigh > 0n
      ? {
          ltv: holding.ltvHigh,
          health: holding.health,
          liquidationPrice: holding.liquidationPrice,
          /** WAD of the price now. */
          distance: distanceToLiquidation(Number(holding.tick), state),
        }
      : {}),
  };
}

function add(
  tokens: Map<string, { decimals: number; net: bigint }>,
  symbol: string,
  decimals: number,
  amount: bigint,
) {
  tokens.set(symbol, { decimals, net: (tokens.get(symbol)?.net ?? 0n) + amount });
}

/** Each market has one dollar, and a price. */
function dollarsKnown(books: readonly MarketBook[]): boolean {
  return books.every(
    ({ reading: { symbols, state } }) =>
      isDollar(symbols.collateral) !== isDollar(symbols.debt) && state.priceLow > 0n,
  );
}

/** Dollars: what the owner would have, and how much debt would be liquidatable, after a move of every asset. */
function after(books: readonly MarketBook[], owner: string, percent: number) {
  let [equity, liquidatable] = [0, 0];
  const factor = 1 + percent / 100;
  for (const { reading, holdings } of books) {
    const { symbols, state, addresses } = reading;
    const { decimals } = addresses;
    const long = isDollar(symbols.debt);
    // A market whose debt is the asset sees the inverse of its price.
    const move = long ? factor : 1 / factor;
    const now = Number(state.priceHigh) / Number(Q128);
    const debtInDollars = long ? 1 : factor / now;
    for (const holding of holdings) {
      if (holding.owner !== owner) continue;
      const whole = (amount: bigint) => (Number(amount) / 10 ** decimals.collateral) * now * move;
      const owed = Number(holding.debt) / 10 ** decimals.debt;
      // What a position lacks its owner does not owe.
      const margin = Math.max(0, whole(holding.collateral) - owed);
      equity += (whole(holding.surplus) + margin) * debtInDollars;
      if (holding.bookDebt === 0n) continue;
      const distance = Number(distanceToLiquidation(Number(holding.tick), state)) / 1e18;
      if (1 - move >= distance) liquidatable += owed * debtInDollars;
    }
  }
  return { equity: cents(equity), liquidatable: cents(liquidatable) };
}

function cents(dollars: number): number {
  return Math.round(dollars * 100) / 100;
}

export function accountText(a: Account): string {
  if (a.positions.length === 0) return `${a.owner} has no position in any market`;
  const rows = a.positions.map((p) => [
    `${p.market} ${p.sub}`,
    `${formatAmount(p.collateral + p.surplus, p.decimals.collateral, 4)} ${p.symbols.collateral}`,
    `${formatAmount(p.debt, p.decimals.debt, 4)} ${p.symbols.debt}`,
    p.ltv === undefined ? "–" : formatPercent(p.ltv),
    p.health === undefined ? "–" : formatAmount(p.health, 18, 3),
    p.liquidationPrice === undefined ? "never" : price(p.liquidationPrice, p.symbols),
    p.distance === undefined ? "–" : p.distance <= 0n ? "now" : formatPercent(p.distance, 1),
  ]);
  const net = a.net.map(
    ({ symbol, decimals, net: amount }) => `${formatAmount(amount, decimals, 4)} ${symbol}`,
  );
  return [
    tableText([
      ["position", "collateral", "debt", "LTV", "health", "liquidated at", "has to fall by"],
      ...rows,
    ]),
    `held less owed: ${net.join(", ")}`,
    a.moves.length === 0
      ? "a market has no price, or no dollar: no common measure"
      : tableText([
          ["every asset by", "equity, $", "debt liquidatable, $"],
          ...a.moves.map(({ percent, equity, liquidatable }) => [
            `${percent > 0 ? "+" : ""}${percent} %`,
            equity < 0 ? `−${grouped(-equity)}` : grouped(equity),
            grouped(liquidatable),
          ]),
        ]),
  ].join("\n\n");
}
