import { ceilTick, ratioOf } from "./grid.ts";
import { BPS, Q128, ceilDiv, max, saturatingSub } from "./math.ts";
import { type MarketState, distanceToLiquidation, isLiquidatable } from "./position.ts";
import { type SaleRisk, behindDown, isInsolvent, move, salePrice, saleTerms } from "./sale.ts";
import {
  bookPriceDown,
  bookPriceUp,
  collateralTokensDown,
  debtTokensUp,
  debtUnitsDown,
  debtUnitsUp,
} from "./units.ts";

// What a book stands to lose: figures of its ticks, at the price now and at lower ones. Falls in basis points.

/** A populated tick. */
export interface TickDebt {
  tick: number;
  debt: bigint; //  book debt
  count: number; // positions
}

/** Debt (token units, rounded up) of the ticks that are liquidatable if the price falls: as Lens.liquidatableUnder. */
export function liquidatableUnder(
  ticks: readonly TickDebt[],
  falls: readonly bigint[],
  m: MarketState,
): bigint[] {
  if (m.priceHigh === 0n) return falls.map(() => 0n);
  return falls.map((fall) => {
    const price = bookPriceUp((m.priceHigh * (BPS - fall)) / BPS, m.borrowIndex, m.units);
    const trigger = ceilTick(ceilDiv(price * m.liquidationThreshold, BPS), m.units.spacing);
    let debt = 0n;
    for (const tick of ticks) if (tick.tick >= trigger) debt += tick.debt;
    return debtTokensUp(debtUnitsUp(debt, m.borrowIndex), m.units);
  });
}

export interface DistanceBand {
  /** Whole percent by which the price has to fall, rounded down; −1: it is liquidatable now. */
  percent: number;
  debt: bigint; // token units, rounded up
  positions: number;
}

/** Debt by how far the price is from liquidating it, nearest first; bands without debt are left out. */
export function debtByDistance(ticks: readonly TickDebt[], m: MarketState): DistanceBand[] {
  if (m.priceHigh === 0n) return [];
  const bands = new Map<number, { debt: bigint; positions: number }>();
  for (const { tick, debt, count } of ticks) {
    const percent = isLiquidatable(tick, m)
      ? -1
      : Number(max(distanceToLiquidation(tick, m), 0n) / 10n ** 16n);
    const band = bands.get(percent) ?? { debt: 0n, positions: 0 };
    bands.set(percent, { debt: band.debt + debt, positions: band.positions + count });
  }
  return [...bands]
    .sort(([a], [b]) => a - b)
    .map(([percent, { debt, positions }]) => ({
      percent,
      debt: debtTokensUp(debtUnitsUp(debt, m.borrowIndex), m.units),
      positions,
    }));
}

/** What a fall that is over at once would come to, if keepers had all the capital that it takes. Token units. */
export interface Sweep {
  repaid: bigint; //        rounded up, pot excluded
  sold: bigint; //          collateral for it, rounded down
  seizedDebt: bigint; //    of insolvent ticks, rounded down, as the following
  seizedCollateral: bigint;
  badDebt: bigint; //       what the pot does not bring if it is sold at once, before insurance; rounded up
}

export function sweepUnder(ticks: readonly TickDebt[], fall: bigint, m: MarketState, risk: SaleRisk): Sweep {
  const { units, borrowIndex } = m;
  const [high, low] = [m.priceHigh, m.priceLow].map((price) => (price * (BPS - fall)) / BPS) as [
    bigint,
    bigint,
  ];
  const sweep: Sweep = { repaid: 0n, sold: 0n, seizedDebt: 0n, seizedCollateral: 0n, badDebt: 0n };
  if (low === 0n) return sweep;
  const bookHigh = bookPriceUp(high, borrowIndex, units);
  const t = saleTerms(bookHigh, bookPriceDown(low, borrowIndex, units), risk, units.spacing);
  let [repaid, sold, potDebt, potCollateral] = [0n, 0n, 0n, 0n];
  for (const { tick, debt } of ticks) {
    if (tick < t.triggerTick) continue;
    const ratio = ratioOf(tick, units.spacing);
    if (isInsolvent(ratio, bookHigh, risk.bonusMin)) {
      potDebt += debtUnitsDown(debt, borrowIndex);
      potCollateral += behindDown(debt, ratio);
      continue;
    }
    const w = salePrice(t, ratio >> t.shift);
    if (w <= t.targetRatio >> t.shift) continue; // the sources are so far apart that nothing moves
    const step = move(t, debt, ratio, t.targetRatio, w);
    repaid += debt - step.debt;
    sold += step.seized;
  }
  // The pot is sold for its debt, but at least at the least discount: Market.potPrice.
  const price = (low * units.priceMultiplier * BPS) / (BPS + risk.bonusMin);
  const loss = saturatingSub(potDebt, (potCollateral * price) / Q128);
  return {
    repaid: debtTokensUp(debtUnitsUp(repaid, borrowIndex), units),
    sold: collateralTokensDown(sold, units),
    seizedDebt: (potDebt * units.debtDivisor) / units.debtMultiplier,
    seizedCollateral: collateralTokensDown(potCollateral, units),
    badDebt: debtTokensUp(loss, units),
  };
}

/** The smallest fall, at once, that makes more bad debt than `cover` (token units); undefined: none below 100 % does. */
export function reverseStress(
  ticks: readonly TickDebt[],
  cover: bigint,
  m: MarketState,
  risk: SaleRisk,
): bigint | undefined {
  const tooMuch = (fall: bigint) => sweepUnder(ticks, fall, m, risk).badDebt > cover;
  let [low, high] = [0n, BPS - 1n];
  if (m.priceLow === 0n || !tooMuch(high)) return undefined;
  // The deeper the fall, the more bad debt: what becomes insolvent only adds to it.
  while (low < high) {
    const middle = (low + high) / 2n;
    if (tooMuch(middle)) high = middle;
    else low = middle + 1n;
  }
  return low;
}

/** What the `count` largest amounts are of them all, basis points. */
export function concentration(amounts: readonly bigint[], count: number): bigint {
  const sorted = [...amounts].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  const sum = (values: readonly bigint[]) => values.reduce((total, value) => total + value, 0n);
  const total = sum(sorted);
  return total === 0n ? 0n : (sum(sorted.slice(0, count)) * BPS) / total;
}
