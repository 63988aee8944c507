// One market through a price path, for risk figures: the book's ticks, keepers without capital who sell through a pool of
// finite depth, the pot. Liquidations are the SDK's arithmetic, bit for bit the contracts'; prices are relative to the
// path's first, so that a tick's ratio is its LTV at the start. Pure.
import {
  behindDown,
  BPS,
  ceilTick,
  floorTick,
  isInsolvent,
  landing,
  max,
  min,
  move,
  Q128,
  ratioOf,
  salePrice,
  saleTerms,
  type SaleRisk,
  type SaleTerms,
} from "../../sdk/src/core.ts";
import { LEVERAGE_MIXTURE, MAX_LEVERAGE } from "../drill/book.ts";

export interface Terms extends SaleRisk {
  maxLtv: bigint; // basis points
  spacing: number;
}

/** By tick: the debt there, 18 decimals. */
export type Book = ReadonlyMap<number, bigint>;

/** Liquidity in [from, to] of the price, in whole debt tokens: Uniswap v3's L. */
interface Range {
  from: number;
  to: number;
  liquidity: number;
}

/** What a keeper sells into, again and again: whoever trades between markets brings it back to the price. */
export interface Pool {
  ranges: readonly Range[];
  fee: number; //     a share
  refills: number; // how often a step
}

export interface Setting {
  terms: Terms;
  book: Book;
  pool: Pool;
  /** Steps that pass from the first liquidatable tick to the keepers' first sale. */
  delay: number;
}

/** Whole debt tokens, but for the steps. */
export interface Outcome {
  sold: number;
  seized: number; //  whole ticks
  penalty: number; // what sold collateral was worth beyond the debt that it repaid
  badDebt: number; // what the pot did not bring, before insurance
  underWater: number; // most steps that anything stayed liquidatable, or in the pot
}

export interface PoolPosition {
  value: number; // whole debt tokens
  down: number; //  factors of the price;
  up: number; //    0 and Infinity: the whole range
}

const UNIT = 1e18;
/** The pot's discount grows from bonusMin to bonusMax within an hour; a step is a quarter of one. */
const POT_STEPS = 4;

export function poolOf(positions: readonly PoolPosition[], fee: number, refills: number): Pool {
  const ranges = positions.map(({ value, down, up }) => ({
    from: down,
    to: up,
    liquidity: value / (2 - Math.sqrt(down) - 1 / Math.sqrt(up)),
  }));
  return { ranges, fee, refills };
}

/** Collateral that brings the pool from `price` down to where a seller gets `least` for the last of it, after the fee. */
export function sellable({ ranges, fee, refills }: Pool, price: number, least: number): number {
  const end = least / (1 - fee);
  let amount = 0;
  for (const { from, to, liquidity } of ranges) {
    const [high, low] = [Math.min(price, to), Math.max(end, from)];
    if (low < high) amount += liquidity * (1 / Math.sqrt(low) - 1 / Math.sqrt(high));
  }
  return amount * refills;
}

export type Spread = "drill" | "edge";

/** Borrowers with `debt` (whole tokens) in all: the drill's mixture of leverage, stretched to what is offered, or all of them in the last tenth. */
export function bookOf(
  spread: Spread,
  { maxLtv, spacing }: Pick<Terms, "maxLtv" | "spacing">,
  debt: number,
): Book {
  const most = 1 / (1 - Number(maxLtv) / 1e4);
  const groups =
    spread === "drill"
      ? LEVERAGE_MIXTURE.map(({ share, from, to }) => ({
          share,
          from: (from - 1) / (MAX_LEVERAGE - 1),
          to: (to - 1) / (MAX_LEVERAGE - 1),
        }))
      : [{ share: 1, from: 0.9, to: 1 }];
  const topTick = floorTick((maxLtv * Q128) / BPS, spacing);
  const weights = new Map<number, number>();
  const strata = 100;
  for (const { share, from, to } of groups) {
    for (let i = 0; i < strata; i++) {
      const borrowed = (from + ((to - from) * (i + 0.5)) / strata) * (most - 1); // of an equity of 1
      const ltv = borrowed / (1 + borrowed);
      const tick = Math.min(topTick, ceilTick(toQ128(ltv), spacing));
      weights.set(tick, (weights.get(tick) ?? 0) + share * borrowed);
    }
  }
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  return new Map(
    [...weights].map(([tick, weight]) => [
      tick,
      BigInt(Math.round((debt * 1e6 * weight) / total)) * 10n ** 12n,
    ]),
  );
}

/** `prices`: relative to what the book was opened at, a step each. */
export function simulate({ terms, book: opened, pool, delay }: Setting, prices: ArrayLike<number>): Outcome {
  const outcome: Outcome = { sold: 0, seized: 0, penalty: 0, badDebt: 0, underWater: 0 };
  let book: Map<number, bigint> | undefined; // copied when it first changes
  let top = highest(opened);
  let topLtv = Number(ratioOf(top, terms.spacing)) / 2 ** 128;
  const threshold = Number(terms.liquidationThreshold) / 1e4;
  const pot = { debt: 0n, collateral: 0n, age: 0 };
  let waiting = 0;

  for (let step = 0; step < prices.length; step++) {
    const price = prices[step]!;
    const hasPot = pot.collateral !== 0n;
    if (hasPot) pot.age = Math.min(pot.age + 1, POT_STEPS);
    // A little early: what decides is below, in integers.
    if (topLtv * (1 + 1e-9) < threshold * price && !hasPot) {
      waiting = 0;
      continue;
    }
    const t = saleTerms(toQ128(price), toQ128(price), terms, terms.spacing);
    if (top < t.triggerTick && !hasPot) continue;
    outcome.underWater = Math.max(outcome.underWater, waiting++);
    if (waiting <= delay) continue;
    book ??= new Map(opened);
    let sold = 0; // collateral, in this step
    const due = [...book.keys()].filter((tick) => tick >= t.triggerTick).sort((a, b) => b - a);
    for (const tick of due) {
      const debt = book.get(tick)!;
      const ratio = rememberedRatio(tick, terms.spacing);
      if (isInsolvent(ratio, t.price, terms.bonusMin)) {
        const collateral = behindDown(debt, ratio);
        // As Market.seizedAtWith: what joins does not give what waits a new start.
        pot.age = (pot.age * Number(pot.collateral)) / Number(pot.collateral + collateral);
        pot.debt += debt;
        pot.collateral += collateral;
        outcome.seized += Number(debt) / UNIT;
        book.delete(tick);
        continue;
      }
      const w = salePrice(t, ratio >> t.shift);
      const least = Number(w << t.shift) / 2 ** 128;
      const room = sellable(pool, price, least) - sold;
      if (room <= 0) continue; // a keeper skips what does not pay
      const sale = saleOf(t, tick, debt, ratio, w, toUnits(room * least));
      if (sale === undefined) continue;
      book.delete(tick);
      book.set(sale.land, (book.get(sale.land) ?? 0n) + sale.debt);
      const repaid = Number(debt - sale.debt) / UNIT;
      const seized = Number(sale.seized) / UNIT;
      sold += seized;
      outcome.sold += repaid;
      outcome.penalty += Math.max(0, seized * price - repaid);
    }
    if (pot.collateral !== 0n) {
      const u = potPrice(pot, t.price, terms);
      const bought = min(pot.collateral, toUnits(sellable(pool, price, Number(u) / 2 ** 128) - sold));
      outcome.badDebt += sellPot(pot, bought, u);
    }
    top = highest(book);
    topLtv = book.size === 0 ? 0 : Number(rememberedRatio(top, terms.spacing)) / 2 ** 128;
    const stands = pot.collateral !== 0n || top >= t.triggerTick;
    if (!stands) waiting = 0;
  }
  if (pot.collateral !== 0n) {
    // What is left is worth what it would fetch at the greatest discount.
    const last = toQ128(prices[prices.length - 1]!);
    outcome.badDebt += sellPot(pot, pot.collateral, (last * BPS) / (BPS + terms.bonusMax));
  }
  return outcome;
}

/** To the target, or as far as the budget reaches; undefined: it buys no step. */
function saleOf(t: SaleTerms, tick: number, debt: bigint, ratio: bigint, w: bigint, budget: bigint) {
  const whole = move(t, debt, ratio, t.targetRatio, w);
  if (debt - whole.debt <= budget) return { ...whole, land: t.targetTick };
  const part = landing(t, debt, tick, ratio, w, budget);
  return part.move === undefined ? undefined : { ...part.move, land: part.land };
}

interface Pot {
  debt: bigint;
  collateral: bigint;
  age: number; // steps, at most POT_STEPS
}

/** As Market.potPrice. */
function potPrice({ debt, collateral, age }: Pot, price: bigint, { bonusMin, bonusMax }: SaleRisk): bigint {
  const discount = bonusMin + BigInt(Math.floor((Number(bonusMax - bonusMin) * age) / POT_STEPS));
  const ceiling = (price * BPS) / (BPS + discount);
  const floor = (price * BPS) / (BPS + bonusMax);
  return max(floor, min(ceiling, (debt << 128n) / collateral));
}

/** The loss of what was sold, whole tokens. */
function sellPot(pot: Pot, bought: bigint, price: bigint): number {
  if (bought <= 0n) return 0;
  const debt = (pot.debt * bought) / pot.collateral;
  const proceeds = (bought * price) >> 128n;
  pot.debt -= debt;
  pot.collateral -= bought;
  return Number(max(0n, debt - proceeds)) / UNIT;
}

function highest(book: Book): number {
  let top = -Infinity;
  for (const tick of book.keys()) if (tick > top) top = tick;
  return top;
}

function toQ128(price: number): bigint {
  return BigInt(Math.round(price * 2 ** 64)) << 64n;
}

function toUnits(amount: number): bigint {
  return amount <= 0 ? 0n : BigInt(Math.floor(amount * 1e6)) * 10n ** 12n;
}

const ratios = new Map<number, Map<number, bigint>>();

/** ratioOf, remembered: a search asks for the same few hundred ticks millions of times. */
function rememberedRatio(tick: number, spacing: number): bigint {
  let known = ratios.get(spacing);
  if (known === undefined) ratios.set(spacing, (known = new Map<number, bigint>()));
  let ratio = known.get(tick);
  if (ratio === undefined) known.set(tick, (ratio = ratioOf(tick, spacing)));
  return ratio;
}
