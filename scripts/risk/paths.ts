// Price histories, and paths that are drawn from them: from a jump diffusion that is fitted to the returns, or from the
// returns themselves in blocks. Simulated numbers, so plain doubles; the same seed gives the same paths.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { normal, random } from "../drill/book.ts";
import {
  type Candle,
  type Candles,
  isoTime,
  parseCandles,
  PRICE_DECIMALS,
  STEP_SECONDS,
  walk,
} from "../drill/path.ts";

export { normal, random, STEP_SECONDS };

const HOUR = 3_600;
export const STEPS_AN_HOUR = HOUR / STEP_SECONDS;

/** What there is a history of, by the token's symbol; the files of ../shared/data begin with its name. */
const ASSETS: Record<string, string> = { WETH: "eth", ETH: "eth", WBTC: "btc", BTC: "btc" };
const DOLLARS = new Set(["USDC", "USDT", "DAI", "USD"]);

/** Less than this says nothing about tails. */
const LEAST_CANDLES = 24 * 14;

/** A move (log) within an hour, gone with it, that only a thin order book makes: no feed of several exchanges follows. */
const ODD = 0.4;

export interface PriceHistory extends Candles {
  name: string; //     of its file, or that it is generated
  generated: boolean;
  /** Candles that were set right or left out, and why. */
  odd: string[];
}

/** Log returns a step of 15 minutes, in runs without a gap. */
export type Returns = Float64Array[];

/** What is wrong with a history, in plain words. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
}

// ------------------------------------------------------------------ histories

/** Where real prices are, if they are. */
const SHARED = resolve(import.meta.dirname, "../../../shared/data");

/**
 * The history of the asset behind `symbol` in dollars: from `path`, a file of candles (as the drill reads them) or a
 * folder of them, or else from ../shared/data if it is there, or else generated.
 */
export function loadPrices(symbol: string, path?: string): PriceHistory {
  const file = path === undefined ? sharedFile(symbol) : fileAt(path, symbol);
  return file === undefined ? generatedPrices() : pricesOf(read(file), basename(file));
}

/** A history from CSV text; gaps of any length break it into runs. */
export function pricesOf(text: string, name: string): PriceHistory {
  const parsed = parseCandles(text, name, Infinity);
  if (parsed.candles.length < LEAST_CANDLES) {
    throw new HistoryError(
      `${name}: ${parsed.candles.length} candles; at least ${LEAST_CANDLES} are needed to say anything of risk`,
    );
  }
  const odd: string[] = [];
  const candles = parsed.candles.flatMap((candle, at) => {
    const first = at === 0 && Math.abs(logOf(candle.close, candle.open)) > ODD;
    if (first) {
      odd.push(`${isoTime(candle.time)}: left out, a listing's first price`);
      return [];
    }
    return [withoutSpike(candle, odd)];
  });
  return { ...parsed, candles, name, generated: false, odd };
}

function withoutSpike(candle: Candle, odd: string[]): Candle {
  const [top, bottom] =
    candle.open > candle.close ? [candle.open, candle.close] : [candle.close, candle.open];
  const [high, low] = [
    logOf(candle.high, top) > ODD ? top : candle.high,
    logOf(bottom, candle.low) > ODD ? bottom : candle.low,
  ];
  if (high !== candle.high) odd.push(`${isoTime(candle.time)}: high ${dollars(candle.high)} left out`);
  if (low !== candle.low) odd.push(`${isoTime(candle.time)}: low ${dollars(candle.low)} left out`);
  return { ...candle, high, low };
}

/** The first `share` of a history, and the rest. */
export function splitAt(history: PriceHistory, share: number): [PriceHistory, PriceHistory] {
  const at = Math.round(history.candles.length * share);
  const part = (candles: Candle[]): PriceHistory => ({ ...history, candles, gaps: [] });
  return [part(history.candles.slice(0, at)), part(history.candles.slice(at))];
}

/** From when to when. */
export function spanOf({ candles, interval }: PriceHistory): { from: string; to: string; days: number } {
  const [first, last] = [candles[0]!.time, candles.at(-1)!.time + interval];
  return { from: isoTime(first), to: isoTime(last), days: (last - first) / (24 * HOUR) };
}

function sharedFile(symbol: string): string | undefined {
  return existsSync(SHARED) ? fileIn(SHARED, symbol) : undefined;
}

function fileAt(path: string, symbol: string): string {
  if (!existsSync(path) || !statSync(path).isDirectory()) return path;
  const file = fileIn(path, symbol);
  if (file === undefined) throw new HistoryError(`${path}: no file of hourly candles of ${symbol}`);
  return file;
}

function fileIn(folder: string, symbol: string): string | undefined {
  const asset = ASSETS[symbol.toUpperCase()];
  const file = readdirSync(folder).find((name) => name.startsWith(`${asset}usd-1h-`));
  return file === undefined ? undefined : join(folder, file);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new HistoryError(`${file}: ${(error as Error).message}`);
  }
}

/** A calm day's and a wild day's deviation of an hour's return, and how long either lasts, days. */
const REGIMES = [
  { deviation: 0.006, days: 20 },
  { deviation: 0.016, days: 5 },
] as const;
const GENERATED = {
  days: 730,
  start: Date.UTC(2024, 0, 1) / 1_000,
  price: 2_000,
  jumpsADay: 0.15,
  jump: 0.045,
};

/** Two years of hourly candles that are made up: calm and wild spells, and jumps. For when no data are there. */
export function generatedPrices(seed = 1): PriceHistory {
  const next = random(seed);
  let [log, regime] = [Math.log(GENERATED.price), 0];
  const candles = Array.from({ length: GENERATED.days * 24 }, (_, hour): Candle => {
    if (next() < 1 / (24 * REGIMES[regime]!.days)) regime = 1 - regime;
    const deviation = REGIMES[regime]!.deviation / Math.sqrt(STEPS_AN_HOUR);
    const open = log;
    const prices = [open];
    for (let step = 0; step < STEPS_AN_HOUR; step++) {
      log += deviation * normal(next);
      if (next() < GENERATED.jumpsADay / 24 / STEPS_AN_HOUR) log += GENERATED.jump * normal(next);
      prices.push(log);
    }
    const price = (value: number) => BigInt(Math.round(Math.exp(value) * 10 ** PRICE_DECIMALS));
    return {
      time: GENERATED.start + hour * HOUR,
      open: price(open),
      high: price(Math.max(...prices)),
      low: price(Math.min(...prices)),
      close: price(log),
    };
  });
  const name = `generated prices (seed ${seed}); real ones: --prices FILE`;
  return { candles, interval: HOUR, gaps: [], name, generated: true, odd: [] };
}

// ------------------------------------------------------------------ returns

/** A history walked as the drill walks it: open, the nearer extreme, the other, close. A gap ends a run. */
export function returnsOf({ candles, interval }: PriceHistory): Returns {
  const runs: number[][] = [[]];
  const { start, steps } = walk(candles, interval);
  let before = start.price;
  for (const { seconds, price } of steps) {
    const seamless = seconds === STEP_SECONDS;
    if (!seamless) runs.push([]);
    runs.at(-1)!.push(seamless ? logOf(price, before) : 0);
    before = price;
  }
  return runs.map((run) => Float64Array.from(run));
}

export interface Tokens {
  collateral: string;
  debt: string;
}

/** The one of a market's two tokens that is no dollar. */
export function assetOf({ collateral, debt }: Tokens): string {
  const short = isDollar(collateral);
  if (short === isDollar(debt)) {
    throw new HistoryError(
      `${collateral}/${debt}: one of the two must be a dollar, to have a history of the other`,
    );
  }
  return short ? debt : collateral;
}

export function isDollar(symbol: string): boolean {
  return DOLLARS.has(symbol.toUpperCase());
}

/**
 * The returns of a market's price, debt tokens per collateral token: its asset's, turned round if that is the debt.
 * `path` is loadPrices'.
 */
export function marketReturns(tokens: Tokens, path?: string): { history: PriceHistory; returns: Returns } {
  const asset = assetOf(tokens);
  const history = loadPrices(asset, path);
  const returns = returnsOf(history);
  return { history, returns: asset === tokens.debt ? returns.map((run) => run.map((r) => -r)) : returns };
}

// ------------------------------------------------------------------ paths

/** Fills `out` with one path: the log of the price, over the one at the start, after each step of 15 minutes. */
export type Sampler = (next: () => number, out: Float64Array) => void;

/** Returns a step: normal, with a jump now and then. */
export interface JumpDiffusion {
  deviation: number; //     of a step without a jump
  jumps: number; //         chance of a jump in a step
  jumpMean: number;
  jumpDeviation: number;
}

/** A return farther out than so many deviations of the others is a jump. */
const JUMP = 4;

/** Fitted to returns over an hour: jumps are what lies beyond four deviations of the rest. */
export function fitJumpDiffusion(returns: Returns): JumpDiffusion {
  const hourly = returns.flatMap((run) => {
    const sums: number[] = [];
    for (let at = 0; at + STEPS_AN_HOUR <= run.length; at += STEPS_AN_HOUR) {
      let sum = 0;
      for (let step = 0; step < STEPS_AN_HOUR; step++) sum += run[at + step]!;
      sums.push(sum);
    }
    return sums;
  });
  let deviation = deviationOf(hourly);
  for (let before = Infinity; deviation < before;) {
    before = deviation;
    deviation = deviationOf(hourly.filter((r) => Math.abs(r) <= JUMP * before));
  }
  const jumps = hourly.filter((r) => Math.abs(r) > JUMP * deviation);
  return {
    deviation: deviation / Math.sqrt(STEPS_AN_HOUR),
    jumps: hourly.length === 0 ? 0 : jumps.length / hourly.length / STEPS_AN_HOUR,
    jumpMean: meanOf(jumps),
    jumpDeviation: deviationOf(jumps),
  };
}

/** The log's mean stays where it is: no drift. */
export function jumpDiffusion({ deviation, jumps, jumpMean, jumpDeviation }: JumpDiffusion): Sampler {
  return (next, out) => {
    let log = 0;
    for (let step = 0; step < out.length; step++) {
      log += deviation * normal(next) - jumps * jumpMean;
      if (next() < jumps) log += jumpMean + jumpDeviation * normal(next);
      out[step] = log;
    }
  };
}

/**
 * The returns themselves, less their mean, in blocks of random length (geometric, `hours` on average: the stationary
 * bootstrap of Politis and Romano), so that a wild hour is followed by what followed it. A block ends where its run does.
 */
export function bootstrap(returns: Returns, hours = 24): Sampler {
  const all = Float64Array.from(returns.flatMap((run) => [...run]));
  const ends = new Uint8Array(all.length);
  let at = 0;
  for (const run of returns) {
    at += run.length;
    if (at > 0) ends[at - 1] = 1;
  }
  const drift = meanOf(all);
  const leave = 1 / (hours * STEPS_AN_HOUR);
  return (next, out) => {
    let log = 0;
    let from = -1;
    for (let step = 0; step < out.length; step++) {
      if (from < 0 || ends[from] === 1 || next() < leave) from = Math.floor(next() * all.length);
      else from++;
      log += all[from]! - drift;
      out[step] = log;
    }
  };
}

// ------------------------------------------------------------------ numbers

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at]!;
  return values.length === 0 ? 0 : sum / values.length;
}

function deviationOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)));
}

function logOf(price: bigint, over: bigint): number {
  return Math.log(Number(price) / Number(over));
}

function dollars(price: bigint): string {
  return (Number(price) / 10 ** PRICE_DECIMALS).toFixed(2);
}
