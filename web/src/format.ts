import type { MarketReading, PriceSource, PriceState } from "@breakwater/sdk/chain";
import { BPS, Q128, WAD, YEAR, formatAmount, formatPercent, formatPrice } from "@breakwater/sdk/core";

// Every figure becomes text here and nowhere else. Figures are cut, not rounded: a page must not promise more than there is.

const MINUS = "−";
const SPACE = "\u00a0"; // between figure and unit: it does not break

function text(figure: string): string {
  return figure.replace("-", MINUS);
}

/** A token amount: large ones with 2 decimals, small ones with as many as it takes to see them. */
export function amount(value: bigint, decimals: number, symbol?: string): string {
  if (value === 0n) return withUnit("0", symbol);
  const size = value < 0n ? -value : value;
  const whole = size / 10n ** BigInt(decimals);
  const places = decimals <= 6 || whole >= 1_000n ? 2 : whole >= 1n ? 4 : 6;
  const least = 10n ** BigInt(Math.max(decimals - places, 0));
  const figure =
    size > 0n && size < least
      ? `${value < 0n ? "-" : ""}<${SPACE}${formatAmount(least, decimals, places)}`
      : formatAmount(value, decimals, places);
  return withUnit(text(figure), symbol);
}

/** The same in few characters: 1.24M. */
export function compact(value: bigint, decimals: number, symbol?: string): string {
  const size = value < 0n ? -value : value;
  const one = 10n ** BigInt(decimals);
  const steps = [
    [10n ** 9n, "B"],
    [10n ** 6n, "M"],
    [10n ** 3n, "k"],
  ] as const;
  const step = steps.find(([from]) => size >= from * one);
  if (!step) {
    const few = size >= one ? 2 : 4;
    return size === 0n || decimals < few || size < one / 10_000n
      ? amount(value, decimals, symbol)
      : withUnit(text(formatAmount(value, decimals, size >= 100n * one ? 1 : few)), symbol);
  }
  const [from, letter] = step;
  const places = size >= from * one * 100n ? 0 : size >= from * one * 10n ? 1 : 2;
  const figure = formatAmount((value * 10n ** BigInt(places)) / (from * one), places);
  return withUnit(`${text(figure)}${letter}`, symbol);
}

/** Exact, for a title or a copy. */
export function exact(value: bigint, decimals: number): string {
  return formatAmount(value, decimals)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

export function collateralAmount(value: bigint, { addresses, symbols }: MarketReading): string {
  return amount(value, addresses.decimals.collateral, symbols.collateral);
}

export function debtAmount(value: bigint, { addresses, symbols }: MarketReading): string {
  return amount(value, addresses.decimals.debt, symbols.debt);
}

/** A WAD fraction: 12.34 %. */
export function percent(wad: bigint, places = 2): string {
  const figure = formatPercent(wad, places).replace(" ", SPACE);
  // What is cut to nothing has no sign.
  return text(/^-[0.]*[^\d.]/.test(figure) ? figure.slice(1) : figure);
}

export function bps(value: bigint, places = 2): string {
  return percent((value * WAD) / BPS, places);
}

/** A change, with its sign. */
export function signed(wad: bigint, places = 2): string {
  return `${wad > 0n ? "+" : ""}${percent(wad, places)}`;
}

/** The same with as many decimals as it takes to see two digits of it. */
export function change(wad: bigint): string {
  const size = wad < 0n ? -wad : wad;
  let places = 2;
  for (let least = WAD / 1_000n; size < least && places < 8; least /= 10n) places++;
  return signed(wad, size === 0n ? 2 : places);
}

/** A rate per second as one of a year. */
export function yearly(perSecond: bigint, places = 2): string {
  return percent(perSecond * YEAR, places);
}

/** WAD: what a share is worth; it moves far behind the point. */
export function sharePrice(wad: bigint): string {
  return formatAmount(wad, 18, 8);
}

/** WAD: 3.00×. */
export function leverage(wad: bigint): string {
  return `${formatAmount(wad, 18, 2)}×`;
}

/** WAD; without debt there is none. */
export function health(wad: bigint | undefined): string {
  return wad === undefined ? "no debt" : formatAmount(wad, 18, 3);
}

/** 1,240,000. */
export function gas(value: bigint): string {
  return formatAmount(value, 0);
}

// ---------------------------------------------------------------- prices

/** Of a price: what is priced, and in what. The one that reads better: 2,000 USDC per WETH also in the short market. */
export function priceUnits({ side, symbols }: MarketReading): { base: string; quote: string; unit: string } {
  const { collateral, debt } = symbols;
  const [base, quote] = side === "long" ? [collateral, debt] : [debt, collateral];
  return { base, quote, unit: `${quote} per ${base}` };
}

/** A market's price (Q128) the way that people talk of it, Q128. */
export function spoken(price: bigint, { side }: Pick<MarketReading, "side">): bigint {
  return side === "long" || price === 0n ? price : (Q128 * Q128) / price;
}

/** The figure alone; "none" for a price that there is not. */
export function price(value: bigint | undefined, market: Pick<MarketReading, "side">): string {
  if (value === undefined || value === 0n) return "none";
  const figure = spoken(value, market);
  return formatPrice(figure, figure >= 10n * Q128 ? 2 : figure >= Q128 ? 4 : 6);
}

/** From the lower to the higher, whichever way round it is spoken: the same in a market and in its mirror. */
export function priceRange(
  { priceLow, priceHigh }: Pick<MarketReading["state"], "priceLow" | "priceHigh">,
  market: Pick<MarketReading, "side">,
): string {
  const ends = [price(priceLow, market), price(priceHigh, market)];
  const [low, high] = market.side === "long" ? ends : ends.reverse();
  return low === high ? (low ?? "none") : `${low ?? ""} – ${high ?? ""}`;
}

export function priceWithUnit(value: bigint | undefined, market: MarketReading): string {
  const figure = price(value, market);
  return figure === "none" ? figure : withUnit(figure, priceUnits(market).unit);
}

/** For drawing only: a price as a double. */
export function drawn(value: bigint, market: Pick<MarketReading, "side">): number {
  return Number((spoken(value, market) * 10n ** 12n) / Q128) / 1e12;
}

// ---------------------------------------------------------------- names, times

/** "Long WETH", "Short WETH". */
export function marketName(market: MarketReading): string {
  return `${market.side === "long" ? "Long" : "Short"} ${priceUnits(market).base}`;
}

export function address(value: string): string {
  return `${value.slice(0, 6)}…${value.slice(-4)}`;
}

/** Seconds: 3 h 12 min. */
export function duration(seconds: bigint | number): string {
  const all = Math.max(Number(seconds), 0);
  const parts = [
    [Math.floor(all / 86_400), "d"],
    [Math.floor((all % 86_400) / 3_600), "h"],
    [Math.floor((all % 3_600) / 60), "min"],
    [Math.floor(all % 60), "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return `0${SPACE}s`;
  return parts
    .slice(first, first + 2)
    .filter(([count], at) => at === 0 || count > 0)
    .map(([count, unit]) => `${count}${SPACE}${unit}`)
    .join(" ");
}

/** Unix time, in the reader's zone. */
export function time(seconds: bigint | number): string {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(
    Number(seconds) * 1_000,
  );
}

export function sourceName({ kind, window }: PriceSource): string {
  return kind === "feed" ? "price feed" : `pool, mean of ${duration(window ?? 0n)}`;
}

export function sourceWords({ price: value, age, isStale }: PriceSource): string {
  if (value === undefined) return "does not answer";
  if (age === undefined) return "of now";
  return `${duration(age)} old${isStale ? ": too old to be believed" : ""}`;
}

export const PRICE_STATES: Record<PriceState, { name: string; words: string }> = {
  Fresh: { name: "Fresh", words: "Both sources answer and agree." },
  Diverged: {
    name: "Diverged",
    words: "The sources disagree: no new risk; liquidation only where both say so.",
  },
  Single: { name: "One source", words: "Only one source answers: no new risk, nothing is seized whole." },
  Dead: {
    name: "No price",
    words: "No source answers: nothing is liquidated, nobody borrows. Repaying works.",
  },
};

function withUnit(figure: string, unit: string | undefined): string {
  return unit === undefined ? figure : `${figure}${SPACE}${unit}`;
}
