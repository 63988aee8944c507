// A pair of mirrored markets and the traders in it, hour by hour. Funding and base rates are the contracts' arithmetic;
// what the traders and lenders do is an assumption, written down here and in docs/funding.md. Pure.
import {
  accrueFunding,
  accrueRate,
  type FundingState,
  type FundingTerms,
  fundedInterest,
  type FundingDue,
  NOTHING_DUE,
  Q128,
  rateAt,
  utilizationOf,
  valueOfDebt,
  YEAR,
} from "../../sdk/src/core.ts";
import { normal, random } from "../drill/book.ts";

const DAY = 24 * 3_600;
const PER_YEAR = Number(YEAR) / 1e18;

/** A price, dollars per base token, from `time` on. */
export interface Price {
  time: number; // seconds since 1970
  price: number;
}

/** How traders and lenders respond. Returns and costs are shares a year: 0.3 is 30 % a year. */
export interface Behaviour {
  traders: number;
  /** Dollars of debt of all traders together, were each of them at their limit. */
  size: number;
  /** Expected return of the base token for each standard deviation that its price has moved: mean and spread. */
  momentum: { mean: number; spread: number };
  /** What traders believe apart from the price: everybody's mean, the spread, and its half-life in days. */
  opinion: { mean: number; spread: number; halfLifeDays: number };
  /** Expected return, net of cost, at which a trader borrows up to their limit. */
  fullAt: number;
  /** How much of the cost a trader takes into account: 0 nothing, 1 all of it. */
  costWeight: number;
  /** A trader looks at position and cost once in so many hours, on average. */
  lookEveryHours: number;
  /** A year's interest that lenders get elsewhere, on the quote token and on the base token. */
  elsewhere: { quote: number; base: number };
  /** Deposits change by this share a day for each percent of interest above or below it. */
  lenderSpeed: number;
}

export const BEHAVIOUR: Behaviour = {
  traders: 200,
  size: 40e6,
  momentum: { mean: 0.2, spread: 0.3 },
  opinion: { mean: 0.1, spread: 0.25, halfLifeDays: 14 },
  fullAt: 0.5,
  costWeight: 1,
  lookEveryHours: 12,
  elsewhere: { quote: 0.04, base: 0.02 },
  lenderSpeed: 0.03,
};

export const RESERVE_FACTOR = 10n; // percent
/** Days over which a trader's momentum is measured; each has one of them. */
const LOOKBACKS = [1, 3, 7, 30] as const;
/** A price that moved further says no more. */
const MOST_DEVIATIONS = 2;
/** Imbalance at which one side owes three times what the other owes. */
const LOPSIDED = 0.5;
/** Left out of the figures: the book starts empty. */
const WARM_UP = 30 * DAY;

interface Trader {
  limit: number;
  momentum: number;
  lookback: number; // hours
  opinion: number;
  long: number; //  quote tokens owed
  short: number; // base tokens owed
}

/** Both markets at an hour's end; rates are shares a year, means of the hour. */
export interface Hour {
  time: number;
  price: number;
  long: number; //  dollars owed
  short: number;
  skew: number;
  surchargeLong: number;
  surchargeShort: number;
}

export interface Outcome {
  /** (L − S) / (L + S) in percent: its mean size, the size it exceeds in 5 % of the time, and its mean. */
  meanImbalance: number;
  highImbalance: number;
  tilt: number;
  /** Percent of the time in which one side owed more than three times what the other owed, and days of it at a stretch. */
  lopsided: number;
  spell: number;
  /** Dollars owed, mean. */
  long: number;
  short: number;
  /** Percent a year of what the side owed. */
  surchargeLong: number;
  surchargeShort: number;
  reliefLong: number;
  reliefShort: number;
  baseLong: number;
  baseShort: number;
  /** The surcharge's greatest change within an hour, percentage points a year. */
  jump: number;
  /** How often the heavy side changed, a year. */
  turns: number;
}

export interface Run {
  outcome: Outcome;
  hours: Hour[];
}

export function simulate(
  prices: readonly Price[],
  terms: FundingTerms,
  behaviour: Behaviour = BEHAVIOUR,
  seed = 1,
): Run {
  const next = random(seed);
  const traders = Array.from({ length: behaviour.traders }, () => traderOf(behaviour, next));
  const total = traders.reduce((sum, { limit }) => sum + limit, 0);
  for (const trader of traders) trader.limit *= behaviour.size / total;
  const logs = prices.map(({ price }) => Math.log(price));
  const deviation = deviationOf(logs);
  const lenders = {
    long: lenderOf(behaviour.size / 4, behaviour.elsewhere.quote),
    short: lenderOf(behaviour.size / 4 / prices[0]!.price, behaviour.elsewhere.base),
  };
  let pair: FundingState = {
    valueLong: 0n,
    valueShort: 0n,
    skew: 0n,
    updatedAt: BigInt(prices[0]!.time),
    long: NOTHING_DUE,
    short: NOTHING_DUE,
  };
  const owed = { long: 0, short: 0 }; // tokens
  const hours: Hour[] = [];
  const tally = new Tally(terms, prices[0]!.time + WARM_UP);

  for (let i = 1; i < prices.length; i++) {
    const { time, price } = prices[i]!;
    const elapsed = time - prices[i - 1]!.time;
    pair = accrueFunding(pair, terms, BigInt(time));
    const long = costOf(lenders.long, owed.long, elapsed, pair.long, terms);
    const short = costOf(lenders.short, owed.short, elapsed, pair.short, terms);
    const hour: Hour = {
      time,
      price,
      long: owed.long,
      short: owed.short * price,
      skew: Number(pair.skew) / 1e18,
      surchargeLong: long.surcharge,
      surchargeShort: short.surcharge,
    };
    hours.push(hour);
    tally.add(hour, elapsed, long, short);

    for (const lender of [lenders.long, lenders.short]) {
      lend(lender, lender === lenders.long ? owed.long : owed.short, elapsed, behaviour.lenderSpeed);
    }
    const now = {
      long: rateNow(lenders.long, owed.long) + surchargeNow(pair.skew, terms),
      short: rateNow(lenders.short, owed.short) + surchargeNow(-pair.skew, terms),
    };
    const newDay = Math.floor(time / DAY) !== Math.floor((time - elapsed) / DAY);
    for (const trader of traders) {
      if (newDay) trader.opinion = opinionAfterADay(trader.opinion, behaviour, next);
      if (next() * behaviour.lookEveryHours >= elapsed / 3_600) continue;
      const moved = logs[i]! - logs[Math.max(0, i - trader.lookback)]!;
      const deviations = moved / (deviation * Math.sqrt(trader.lookback));
      const view =
        trader.momentum * Math.max(-MOST_DEVIATIONS, Math.min(MOST_DEVIATIONS, deviations)) + trader.opinion;
      const wanted = (edge: number) => trader.limit * Math.max(0, Math.min(1, edge / behaviour.fullAt));
      const free = { long: lenders.long.deposits - owed.long, short: lenders.short.deposits - owed.short };
      const change = (side: "long" | "short", target: number) => {
        const amount = Math.min(target - trader[side], free[side]);
        trader[side] += amount;
        owed[side] = Math.max(0, owed[side] + amount);
      };
      change("long", wanted(view - behaviour.costWeight * now.long));
      change("short", wanted(-view - behaviour.costWeight * now.short) / price);
    }
    pair = {
      ...pair,
      valueLong: valueOfDebt(unitsOf(owed.long)),
      valueShort: valueOfDebt(unitsOf(owed.short), priceOf(price)),
      long: NOTHING_DUE,
      short: NOTHING_DUE,
    };
  }
  return { outcome: tally.outcome(), hours };
}

// ------------------------------------------------------------------ traders

function traderOf({ momentum, opinion }: Behaviour, next: () => number): Trader {
  return {
    limit: Math.exp(1.2 * normal(next)), // a few are large
    momentum: momentum.mean + momentum.spread * normal(next),
    lookback: LOOKBACKS[Math.floor(next() * LOOKBACKS.length)]! * 24,
    opinion: opinion.mean + opinion.spread * normal(next),
    long: 0,
    short: 0,
  };
}

function opinionAfterADay(before: number, { opinion }: Behaviour, next: () => number): number {
  const kept = 0.5 ** (1 / opinion.halfLifeDays);
  const news = opinion.spread * Math.sqrt(1 - kept * kept) * normal(next);
  return opinion.mean + kept * (before - opinion.mean) + news;
}

/** Standard deviation of an hour's return. */
function deviationOf(logs: readonly number[]): number {
  const squares = logs.slice(1).map((log, i) => (log - logs[i]!) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

// ------------------------------------------------------------------ lenders and rates

interface Lender {
  deposits: number; // tokens
  least: number;
  elsewhere: number;
  rateAtTarget: bigint;
}

function lenderOf(deposits: number, elsewhere: number): Lender {
  return { deposits, least: deposits / 10, elsewhere, rateAtTarget: BigInt(Math.round(0.04 / PER_YEAR)) };
}

function lend(lender: Lender, owed: number, elapsed: number, speed: number): void {
  const earned = (rateNow(lender, owed) * owed * (100 - Number(RESERVE_FACTOR))) / 100 / lender.deposits;
  const change = (earned - lender.elsewhere) * 100 * speed * (elapsed / DAY);
  lender.deposits = Math.max(
    lender.least,
    owed,
    lender.deposits * (1 + Math.max(-0.5, Math.min(0.5, change))),
  );
}

function utilization(lender: Lender, owed: number): bigint {
  return utilizationOf(unitsOf(owed), unitsOf(Math.max(0, lender.deposits - owed)));
}

/** A year's base rate as a market shows it. */
function rateNow(lender: Lender, owed: number): number {
  return Number(rateAt(utilization(lender, owed), lender.rateAtTarget)) * PER_YEAR;
}

/** A year's surcharge as a market shows it; a negative skew: the other side's. */
function surchargeNow(skew: bigint, { maxRate }: FundingTerms): number {
  return skew > 0n ? (Number(maxRate) * PER_YEAR * Number(skew)) / 1e18 : 0;
}

interface Cost {
  base: number;
  surcharge: number;
  relief: number;
}

/** What the last `elapsed` seconds cost a side, shares a year; moves its rate at target. */
function costOf(lender: Lender, owed: number, elapsed: number, due: FundingDue, terms: FundingTerms): Cost {
  const { rate, rateAtTarget } = accrueRate(utilization(lender, owed), lender.rateAtTarget, BigInt(elapsed));
  lender.rateAtTarget = rateAtTarget;
  const seconds = BigInt(elapsed);
  const { surcharge, relief } = fundedInterest(rate * seconds, seconds, RESERVE_FACTOR, due, terms);
  return {
    base: Number(rate) * PER_YEAR,
    surcharge: (Number(surcharge) * PER_YEAR) / elapsed,
    relief: (Number(relief) * PER_YEAR) / elapsed,
  };
}

function unitsOf(tokens: number): bigint {
  return BigInt(Math.round(tokens * 1e6)) * 10n ** 12n;
}

function priceOf(price: number): bigint {
  return (BigInt(Math.round(price * 1e6)) * Q128) / 1_000_000n;
}

// ------------------------------------------------------------------ figures

class Tally {
  readonly #terms: FundingTerms;
  readonly #from: number;
  readonly #imbalances: number[] = [];
  readonly #sums = { time: 0, long: 0, short: 0, tilt: 0 };
  readonly #paid = { baseLong: 0, baseShort: 0, long: 0, short: 0, reliefLong: 0, reliefShort: 0 };
  #skew = 0;
  #jump = 0;
  #heavy = 0;
  #turns = 0;
  #spells = 0;

  constructor(terms: FundingTerms, from: number) {
    this.#terms = terms;
    this.#from = from;
  }

  add(hour: Hour, elapsed: number, long: Cost, short: Cost): void {
    const change = Math.abs(hour.skew - this.#skew) * (3_600 / elapsed);
    this.#skew = hour.skew;
    if (hour.time < this.#from) return;
    this.#jump = Math.max(this.#jump, change);
    const heavy = Math.sign(hour.skew) || this.#heavy;
    if (this.#heavy !== 0 && heavy !== this.#heavy) this.#turns++;
    this.#heavy = heavy;
    const imbalance = imbalanceOfHour(hour);
    if (Math.abs(imbalance) > LOPSIDED && !((this.#imbalances.at(-1) ?? 0) > LOPSIDED)) this.#spells++;
    this.#imbalances.push(Math.abs(imbalance));
    const s = this.#sums;
    s.time += elapsed;
    s.tilt += imbalance * elapsed;
    s.long += hour.long * elapsed;
    s.short += hour.short * elapsed;
    const p = this.#paid;
    p.baseLong += long.base * hour.long * elapsed;
    p.baseShort += short.base * hour.short * elapsed;
    p.long += long.surcharge * hour.long * elapsed;
    p.short += short.surcharge * hour.short * elapsed;
    p.reliefLong += long.relief * hour.long * elapsed;
    p.reliefShort += short.relief * hour.short * elapsed;
  }

  outcome(): Outcome {
    const sorted = this.#imbalances.toSorted((a, b) => a - b);
    const lopsided = sorted.filter((x) => x > LOPSIDED).length;
    const [s, p] = [this.#sums, this.#paid];
    const ofLong = (dollars: number) => (s.long === 0 ? 0 : (100 * dollars) / s.long);
    const ofShort = (dollars: number) => (s.short === 0 ? 0 : (100 * dollars) / s.short);
    return {
      meanImbalance: (100 * sorted.reduce((sum, x) => sum + x, 0)) / sorted.length,
      highImbalance: 100 * sorted[Math.floor(sorted.length * 0.95)]!,
      tilt: (100 * s.tilt) / s.time,
      lopsided: (100 * lopsided) / sorted.length,
      spell: this.#spells === 0 ? 0 : lopsided / 24 / this.#spells,
      long: s.long / s.time,
      short: s.short / s.time,
      surchargeLong: ofLong(p.long),
      surchargeShort: ofShort(p.short),
      reliefLong: ofLong(p.reliefLong),
      reliefShort: ofShort(p.reliefShort),
      baseLong: ofLong(p.baseLong),
      baseShort: ofShort(p.baseShort),
      jump: this.#jump * Number(this.#terms.maxRate) * PER_YEAR * 100,
      turns: this.#turns / (s.time / Number(YEAR)),
    };
  }
}

/** (L − S) / (L + S). */
export function imbalanceOfHour({ long, short }: Hour): number {
  return long + short === 0 ? 0 : (long - short) / (long + short);
}
