import { BPS, Q128, ceilDiv } from "./math.ts";

// Units of contracts/libraries/Market.sol. Token units are a token's own smallest units. Debt units have 18
// decimals; collateral units 18 or, for an astronomic supply, fewer. Book debt is debt units × BORROW_INDEX_ONE /
// borrow index. Prices are whole debt tokens per whole collateral token, Q128; book prices are book debt per
// collateral unit, Q128.

export const BORROW_INDEX_ONE = 1n << 72n;

/** What a market never changes. A token amount × multiplier / divisor is its units; one of the two is 1. */
export interface Units {
  spacing: number;
  collateralMultiplier: bigint;
  collateralDivisor: bigint;
  debtMultiplier: bigint;
  debtDivisor: bigint;
  priceMultiplier: bigint;
}

/** The units of a market; collateral units have 18 decimals unless the market was listed with fewer. */
export function unitsOf(
  spacing: number,
  collateralDecimals: number,
  debtDecimals: number,
  collateralUnitDecimals = 18,
): Units {
  const scale = (from: number, to: number) => 10n ** BigInt(Math.max(to - from, 0));
  return {
    spacing,
    collateralMultiplier: scale(collateralDecimals, collateralUnitDecimals),
    collateralDivisor: scale(collateralUnitDecimals, collateralDecimals),
    debtMultiplier: scale(debtDecimals, 18),
    debtDivisor: scale(18, debtDecimals),
    priceMultiplier: scale(collateralUnitDecimals, 18),
  };
}

export function debtUnitsDown(book: bigint, index: bigint): bigint {
  return (book * index) / BORROW_INDEX_ONE;
}

export function debtUnitsUp(book: bigint, index: bigint): bigint {
  return ceilDiv(book * index, BORROW_INDEX_ONE);
}

export function bookDebtDown(debtUnits: bigint, index: bigint): bigint {
  return (debtUnits * BORROW_INDEX_ONE) / index;
}

export function bookDebtUp(debtUnits: bigint, index: bigint): bigint {
  return ceilDiv(debtUnits * BORROW_INDEX_ONE, index);
}

export function debtTokensDown(debtUnits: bigint, u: Units): bigint {
  return (debtUnits * u.debtDivisor) / u.debtMultiplier;
}

export function debtTokensUp(debtUnits: bigint, u: Units): bigint {
  return ceilDiv(debtUnits * u.debtDivisor, u.debtMultiplier);
}

export function debtUnitsOfTokensDown(tokens: bigint, u: Units): bigint {
  return (tokens * u.debtMultiplier) / u.debtDivisor;
}

export function debtUnitsOfTokensUp(tokens: bigint, u: Units): bigint {
  return ceilDiv(tokens * u.debtMultiplier, u.debtDivisor);
}

export function collateralUnitsDown(tokens: bigint, u: Units): bigint {
  return (tokens * u.collateralMultiplier) / u.collateralDivisor;
}

export function collateralUnitsUp(tokens: bigint, u: Units): bigint {
  return ceilDiv(tokens * u.collateralMultiplier, u.collateralDivisor);
}

export function collateralTokensDown(units: bigint, u: Units): bigint {
  return (units * u.collateralDivisor) / u.collateralMultiplier;
}

/** Price in book debt per collateral unit, rounded down. */
export function bookPriceDown(price: bigint, index: bigint, u: Units): bigint {
  return (price * BORROW_INDEX_ONE * u.priceMultiplier) / index;
}

/** Price in book debt per collateral unit, rounded up. */
export function bookPriceUp(price: bigint, index: bigint, u: Units): bigint {
  return ceilDiv(price * BORROW_INDEX_ONE * u.priceMultiplier, index);
}

/** Value in debt token units of collateral token units at `price`, rounded down. */
export function valueInDebt(collateralTokens: bigint, price: bigint, u: Units): bigint {
  const value =
    (collateralTokens * u.collateralMultiplier * u.debtDivisor * price * u.priceMultiplier) / Q128;
  return value / (u.collateralDivisor * u.debtMultiplier);
}

// ---------------------------------------------------------------- text

/** An amount of smallest units as a decimal string, cut (not rounded) to `places` decimals. */
export function formatAmount(amount: bigint, decimals: number, places = decimals): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  const fraction = digits.slice(digits.length - decimals).slice(0, places);
  return `${amount < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** The inverse of formatAmount; refuses what is not a decimal number or has more decimals than the token. */
export function parseAmount(text: string, decimals: number): bigint {
  const match = /^(-?)(\d[\d,]*)(?:\.(\d+))?$/.exec(text.trim());
  const fraction = match?.[3] ?? "";
  if (!match || fraction.length > decimals) {
    throw new RangeError(`"${text}" is not an amount with at most ${decimals} decimals`);
  }
  const amount = BigInt(match[2]!.replaceAll(",", "") + fraction.padEnd(decimals, "0"));
  return match[1] === "-" ? -amount : amount;
}

/** A Q128 price as a decimal string. */
export function formatPrice(price: bigint, places = 2): string {
  return formatAmount((price * 10n ** BigInt(places)) / Q128, places);
}

/** The inverse of formatPrice, of a price of the pair: of a short's market, which has the inverse price, Q128. */
export function parsePrice(text: string, side: "long" | "short"): bigint {
  const price = parseAmount(text, 18);
  if (price <= 0n) throw new RangeError(`"${text}" is no price`);
  return side === "long" ? (price * Q128) / 10n ** 18n : (Q128 * 10n ** 18n) / price;
}

/** A WAD fraction as a percentage, cut to `places` decimals: 0.8312e18 → "83.12 %". */
export function formatPercent(wad: bigint, places = 2): string {
  return `${formatAmount(wad * 100n, 18, places)} %`;
}

/** Basis points as a percentage. */
export function formatBps(bps: bigint): string {
  return `${formatAmount(bps * 100n, Number(BPS).toString().length - 1, 2)} %`;
}
