// The price path of a drill: read from a file of candles, or built in; walked in steps of 15 minutes. Pure.

/** Prices are US dollars with the 8 decimals of a Chainlink feed. */
export const PRICE_DECIMALS = 8;
export const STEP_SECONDS = 900;
/** A longer hole in a file is no outage but a file cut together from pieces. */
export const MAX_GAP_SECONDS = 24 * 3600;

const HOUR = 3600;
const COLUMNS = ["timestamp", "open", "high", "low", "close"] as const;
type Column = (typeof COLUMNS)[number];
type PriceColumn = Exclude<Column, "timestamp">;

export interface Candle {
  time: number; // start, seconds since 1970
  open: bigint;
  high: bigint;
  low: bigint;
  close: bigint;
}

export interface Gap {
  line: number; // of the candle after the gap
  seconds: number; // without a candle
}

export interface Candles {
  candles: Candle[];
  interval: number; // seconds
  gaps: Gap[];
}

/** One step: at `time` the price becomes `price`. `seconds` have passed since the step before. */
export interface Step {
  time: number;
  seconds: number;
  price: bigint;
}

export interface PricePath {
  name: string;
  start: Step; // the book is opened at this price
  steps: Step[];
  gaps: Gap[];
}

export type PriceFileErrorName =
  | "EmptyPriceFile"
  | "MissingColumn"
  | "MissingValue"
  | "InvalidTimestamp"
  | "InvalidPrice"
  | "PriceNotPositive"
  | "HighBelowLow"
  | "PriceOutsideRange"
  | "TimestampNotAfter"
  | "IrregularInterval"
  | "UnsupportedInterval"
  | "GapTooLong";

/** What is wrong with a price file, and in which line. */
export class PriceFileError extends Error {
  override readonly name: PriceFileErrorName;

  constructor(name: PriceFileErrorName, file: string, line: number, what: string) {
    super(`${file}:${line}: ${what}`);
    this.name = name;
  }
}

// ------------------------------------------------------------------ reading

/** Candles from CSV text. Columns go by their name in the header; others are ignored. */
export function parseCandles(text: string, file: string, maxGap = MAX_GAP_SECONDS): Candles {
  const rows = text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)
    .map((row, index) => ({ line: index + 1, row: row.trim() }))
    .filter(({ row }) => row !== "");
  const header = rows[0];
  if (!header) throw new PriceFileError("EmptyPriceFile", file, 1, "the file is empty");

  const names = cellsOf(header.row).map((name) => name.toLowerCase());
  const missing = COLUMNS.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    const what = `column ${missing.join(", ")} is missing; the header is "${header.row}"`;
    throw new PriceFileError("MissingColumn", file, header.line, what);
  }
  if (rows.length === 1) {
    throw new PriceFileError("EmptyPriceFile", file, header.line, "no candle follows the header");
  }

  const lines: number[] = [];
  const candles = rows.slice(1).map(({ line, row }) => {
    lines.push(line);
    const cells = cellsOf(row);
    return parseCandle((column) => cells[names.indexOf(column)] ?? "", file, line);
  });
  return { candles, ...spacingOf(candles, lines, file, maxGap) };
}

function cellsOf(row: string): string[] {
  return row.split(",").map((cell) =>
    cell
      .trim()
      .replace(/^"(.*)"$/, "$1")
      .trim(),
  );
}

function parseCandle(cell: (column: Column) => string, file: string, line: number): Candle {
  const price = (column: PriceColumn) => parsePrice(cell(column), column, file, line);
  const candle: Candle = {
    time: parseTime(cell("timestamp"), file, line),
    open: price("open"),
    high: price("high"),
    low: price("low"),
    close: price("close"),
  };
  if (candle.high < candle.low) {
    const what = `high ${cell("high")} is below low ${cell("low")}`;
    throw new PriceFileError("HighBelowLow", file, line, what);
  }
  for (const column of ["open", "close"] as const) {
    if (candle[column] < candle.low || candle[column] > candle.high) {
      const what = `${column} ${cell(column)} is outside ${cell("low")} … ${cell("high")}`;
      throw new PriceFileError("PriceOutsideRange", file, line, what);
    }
  }
  return candle;
}

function parsePrice(text: string, column: PriceColumn, file: string, line: number): bigint {
  if (text === "") throw new PriceFileError("MissingValue", file, line, `${column} has no value`);
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (!match)
    throw new PriceFileError("InvalidPrice", file, line, `${column} "${text}" is not a decimal number`);
  const [, sign, whole = "0", fraction = ""] = match;
  const price = BigInt(whole + fraction.slice(0, PRICE_DECIMALS).padEnd(PRICE_DECIMALS, "0"));
  if (sign === "-" || price === 0n) {
    throw new PriceFileError("PriceNotPositive", file, line, `${column} ${text} is not above zero`);
  }
  return price;
}

/** ISO 8601 (UTC unless it names another zone), or seconds or milliseconds since 1970. */
function parseTime(text: string, file: string, line: number): number {
  if (text === "") throw new PriceFileError("MissingValue", file, line, "timestamp has no value");
  if (/^\d{9,10}$/.test(text)) return Number(text);
  if (/^\d{12,13}$/.test(text)) return Math.floor(Number(text) / 1000);
  const iso = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  const milliseconds = iso
    ? Date.parse(text.replace(" ", "T") + (iso[1] || text.length === 10 ? "" : "Z"))
    : NaN;
  if (Number.isNaN(milliseconds)) {
    const what = `timestamp "${text}" is neither ISO 8601 nor seconds since 1970`;
    throw new PriceFileError("InvalidTimestamp", file, line, what);
  }
  return Math.floor(milliseconds / 1000);
}

/** The interval is the usual distance of two candles; what is longer is a gap. */
function spacingOf(
  candles: Candle[],
  lines: number[],
  file: string,
  maxGap: number,
): { interval: number; gaps: Gap[] } {
  const distances = candles.slice(1).map((candle, index) => candle.time - candles[index]!.time);
  distances.forEach((distance, index) => {
    if (distance > 0) return;
    const [before, after] = [isoTime(candles[index]!.time), isoTime(candles[index + 1]!.time)];
    const what =
      distance === 0 ? `timestamp ${after} appears twice` : `timestamp ${after} comes after ${before}`;
    throw new PriceFileError("TimestampNotAfter", file, lines[index + 1]!, what);
  });

  const counts = new Map<number, number>();
  for (const distance of distances) counts.set(distance, (counts.get(distance) ?? 0) + 1);
  const interval = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]?.[0] ?? HOUR;
  if (interval % HOUR !== 0) {
    const what = `candles of ${interval} s: four steps of ${STEP_SECONDS} s must fit, so whole hours only`;
    throw new PriceFileError("UnsupportedInterval", file, lines[1] ?? 1, what);
  }

  const gaps: Gap[] = [];
  distances.forEach((distance, index) => {
    if (distance === interval) return;
    const line = lines[index + 1]!;
    if (distance % interval !== 0) {
      const what = `${distance} s after the candle before; the interval is ${interval} s`;
      throw new PriceFileError("IrregularInterval", file, line, what);
    }
    const seconds = distance - interval;
    if (seconds > maxGap) {
      const what = `${seconds / HOUR} h without a candle; at most ${maxGap / HOUR} h are stepped over`;
      throw new PriceFileError("GapTooLong", file, line, what);
    }
    gaps.push({ line, seconds });
  });
  return { interval, gaps };
}

export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

// ------------------------------------------------------------------ walking

/**
 * Walks each candle open → one extreme → the other → close, a quarter of its steps each; the extreme nearer to the
 * open comes first (the high, if they are equally near). Within a quarter of several steps the price moves in equal
 * amounts. An hourly candle thus gives exactly its four prices. A gap is one longer step.
 */
export function walk(candles: Candle[], interval: number): { start: Step; steps: Step[] } {
  const quarter = interval / STEP_SECONDS / 4;
  const first = candles[0]!;
  const start: Step = { time: first.time, seconds: 0, price: first.open };
  const steps: Step[] = [];
  let last = start;
  for (const candle of candles) {
    const highFirst = candle.high - candle.open <= candle.open - candle.low;
    const extremes = highFirst ? [candle.high, candle.low] : [candle.low, candle.high];
    let time = candle.time;
    for (const to of [candle.open, ...extremes, candle.close]) {
      const from = last.price;
      for (let i = 1; i <= quarter; i++) {
        time += STEP_SECONDS;
        const price = from + ((to - from) * BigInt(i)) / BigInt(quarter);
        last = { time, seconds: time - last.time, price };
        steps.push(last);
      }
    }
  }
  return { start, steps };
}

/** The path of a price file. */
export function pathOf(text: string, file: string): PricePath {
  const { candles, interval, gaps } = parseCandles(text, file);
  return { name: file, gaps, ...walk(candles, interval) };
}

// ------------------------------------------------------------------ built in

/** Quarter-hour and price at which the built-in path changes direction; geometric in between. */
const LEGS: readonly (readonly [step: number, price: number])[] = [
  [0, 2000],
  [8, 2020],
  [24, 1616], //  first leg: −20 % in 4 hours
  [44, 1713],
  [52, 1285], //  second leg: −25 % in 2 hours
  [76, 1349],
  [78, 929.2], // third leg: −31 % in half an hour: some ticks are insolvent before anybody can act
  [96, 975],
  [112, 1040],
];

/** A calm start, a day that ends 54 % below its high, in three legs, each faster than the one before, and an aftermath. */
export function builtInPath(steps = 112): PricePath {
  const startTime = Date.UTC(2026, 0, 5) / 1000;
  const priceAt = (step: number): bigint => {
    const next = LEGS.findIndex(([at]) => at >= step);
    const [toStep, to] = LEGS[next === -1 ? LEGS.length - 1 : next]!;
    const [fromStep, from] = LEGS[Math.max(0, next - 1)]!;
    const share = toStep === fromStep ? 1 : (step - fromStep) / (toStep - fromStep);
    // A wobble that is zero at the corners keeps the legs exact.
    const wobble = 1 + 0.004 * Math.sin(Math.PI * share) * Math.sin(step * 2.399963);
    return BigInt(Math.round(from * (to / from) ** share * wobble * 100)) * 10n ** BigInt(PRICE_DECIMALS - 2);
  };
  const at = (step: number): Step => ({
    time: startTime + step * STEP_SECONDS,
    seconds: step === 0 ? 0 : STEP_SECONDS,
    price: priceAt(step),
  });
  return {
    name: "the built-in path",
    start: at(0),
    steps: Array.from({ length: Math.min(steps, 112) }, (_, index) => at(index + 1)),
    gaps: [],
  };
}
