// What the skew surcharge does to a book of longs and shorts: with it and without, on real prices and on made-up ones, for
// each of its parameters and for other traders than those assumed. The same figures every time.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { readParameters } from "../deploy/parameters.ts";
import { type FundingTerms, valueOfDebt, WAD, YEAR } from "../sdk/src/core.ts";
import { parseCandles } from "./drill/path.ts";
import { drawFunding } from "./funding/picture.ts";
import { generatedPrices } from "./funding/prices.ts";
import {
  BEHAVIOUR,
  type Behaviour,
  type Hour,
  imbalanceOfHour,
  type Outcome,
  type Price,
  simulate,
} from "./funding/simulate.ts";
import { withPart } from "./page.ts";

const PAGE = "docs/funding.md";
const PICTURE = "docs/funding.svg";
const FILES = {
  "ETH 2017–2021": "ethusd-1h-2017-08-to-2021-04.csv",
  "BTC 2017–2021": "btcusd-1h-2017-08-to-2021-04.csv",
} as const;
const GENERATED_DAYS = 180;
const SEED = 1;
/** Both markets' caps together, millions of dollars: K is a share of them. */
const CAPS = 50;

/** The parameters as people say them. */
export interface Choice {
  maxRate: number; //     percent a year
  deadBand: number; //    percent
  halfLife: number; //    hours
  floor: number; //       K, percent of both caps
  sparedShare: number; // percent
}

const DEPLOYED = readParameters("local").pairs[0]!;
export const CHOSEN: Choice = {
  maxRate: DEPLOYED.maxRatePercentPerYear,
  deadBand: DEPLOYED.deadBandPercent,
  halfLife: DEPLOYED.halfLifeSeconds / 3_600,
  floor: 10,
  sparedShare: DEPLOYED.sparedSharePercent,
};
const NONE: Choice = { ...CHOSEN, maxRate: 0, sparedShare: 0 };

/** What is tried in place of each chosen value. */
const TRIED: readonly (readonly [
  name: string,
  unit: string,
  key: keyof Choice,
  values: readonly number[],
])[] = [
  ["greatest rate", "% a year", "maxRate", [0, 10, 20, 30, 50, 100]],
  ["half-life", "h", "halfLife", [1, 4, 12, 24, 72]],
  ["dead band", "%", "deadBand", [0, 5, 10, 20]],
  ["K", "% of caps", "floor", [1, 10, 50]],
];

const OTHERS: readonly (readonly [what: string, behaviour: Partial<Behaviour>])[] = [
  ["as assumed", {}],
  ["cost is ignored", { costWeight: 0 }],
  ["half of the cost counts", { costWeight: 0.5 }],
  ["cost counts twice", { costWeight: 2 }],
  ["momentum twice as strong", { momentum: { mean: 0.4, spread: 0.6 } }],
  ["no momentum, opinions only", { momentum: { mean: 0, spread: 0 } }],
  ["no lean to either side", { opinion: { ...BEHAVIOUR.opinion, mean: 0 } }],
  ["lean to long twice as strong", { opinion: { ...BEHAVIOUR.opinion, mean: 0.2 } }],
  ["a look every 2 hours", { lookEveryHours: 2 }],
  ["a look every 48 hours", { lookEveryHours: 48 }],
  ["full size at an edge of 25 % a year", { fullAt: 0.25 }],
  ["full size at an edge of 100 % a year", { fullAt: 1 }],
  ["lenders four times as slow", { lenderSpeed: BEHAVIOUR.lenderSpeed / 4 }],
];

export function termsOf(choice: Choice): FundingTerms {
  const share = (percent: number) => (BigInt(Math.round(percent * 100)) * WAD) / 10_000n;
  return {
    maxRate: share(choice.maxRate) / YEAR,
    deadBand: share(choice.deadBand),
    halfLife: BigInt(choice.halfLife * 3_600),
    insuranceShare: BigInt(DEPLOYED.insuranceSharePercent),
    sparedShare: BigInt(choice.sparedShare),
    floor: valueOfDebt(BigInt(CAPS) * 1_000_000n * share(choice.floor)),
  };
}

// ------------------------------------------------------------------ tables

const percent = (value: number, digits = 0) => `${value.toFixed(digits)} %`;
const thousands = (dollars: number) => (dollars === 0 ? "–" : `$${(dollars / 1e3).toFixed(0)}k`);
const millions = (dollars: number) => `$${(dollars / 1e6).toFixed(1)}M`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const BALANCE = ["mean imbalance", "exceeded 5 % of the time", "3 : 1 or worse", "at a stretch"];
const balance = (o: Outcome) => [
  percent(o.meanImbalance),
  percent(o.highImbalance),
  `${percent(o.lopsided)} of the time`,
  `${o.spell.toFixed(1)} days`,
];

/** With funding and without, for each of the prices. */
export function seriesTable(series: readonly (readonly [string, readonly Price[]])[]): string {
  const rows = series.flatMap(([name, prices]) =>
    (
      [
        ["none", NONE],
        ["as chosen", CHOSEN],
      ] as const
    ).map(([what, choice]) => {
      const { outcome: o } = simulate(prices, termsOf(choice));
      const cost = (base: number, surcharge: number, relief: number) =>
        `${percent(base + surcharge - relief, 1)}${surcharge === 0 ? "" : ` (${percent(surcharge, 1)})`}`;
      return [
        name,
        what,
        ...balance(o),
        `${millions(o.long)} / ${millions(o.short)}`,
        cost(o.baseLong, o.surchargeLong, o.reliefLong),
        cost(o.baseShort, o.surchargeShort, o.reliefShort),
        thousands((o.long * o.surchargeLong + o.short * o.surchargeShort) / 100 / 2),
      ];
    }),
  );
  const head = [
    "prices",
    "funding",
    ...BALANCE,
    "debt long / short",
    "longs pay a year",
    "shorts pay a year",
    "insurance and lenders get each, a year",
  ];
  return table(head, rows);
}

/** One parameter changed at a time. */
export function parameterTable(prices: readonly Price[]): string {
  const rows = TRIED.flatMap(([name, unit, key, values]) =>
    values.map((value) => {
      const chosen = value === CHOSEN[key];
      const { outcome: o } = simulate(prices, termsOf({ ...CHOSEN, [key]: value }));
      const cells = [
        name,
        `${value} ${unit}`,
        ...balance(o),
        percent(o.surchargeLong, 1),
        percent(o.surchargeShort, 1),
        `${o.jump.toFixed(1)} points`,
        millions(o.long + o.short),
      ];
      return chosen ? cells.map((cell) => `**${cell}**`) : cells;
    }),
  );
  const head = [
    "parameter",
    "value",
    ...BALANCE,
    "longs' surcharge",
    "shorts' surcharge",
    "most it moves in an hour",
    "both debts",
  ];
  return table(head, rows);
}

/** Other traders than assumed, without funding → with it. */
export function behaviourTable(prices: readonly Price[]): string {
  const rows = OTHERS.map(([what, change]) => {
    const behaviour = { ...BEHAVIOUR, ...change };
    const none = simulate(prices, termsOf(NONE), behaviour).outcome;
    const o = simulate(prices, termsOf(CHOSEN), behaviour).outcome;
    return [
      what,
      `${percent(none.meanImbalance)} → ${percent(o.meanImbalance)}`,
      `${percent(none.lopsided)} → ${percent(o.lopsided)}`,
      `${millions(none.long)} → ${millions(o.long)}`,
      `${millions(none.short)} → ${millions(o.short)}`,
      `${percent(o.surchargeLong, 1)} / ${percent(o.surchargeShort, 1)}`,
    ];
  });
  return table(
    ["traders", "mean imbalance", "3 : 1 or worse", "long debt", "short debt", "surcharge long / short"],
    rows,
  );
}

// ------------------------------------------------------------------ prices and page

export function generatedSeries(): [string, Price[]][] {
  return [
    ["made up: trends", generatedPrices("trends", GENERATED_DAYS, SEED)],
    ["made up: calm", generatedPrices("calm", GENERATED_DAYS, SEED)],
  ];
}

/** The closing prices of the files that are there. */
export function realSeries(folder: string): [string, Price[]][] {
  return Object.entries(FILES).flatMap(([name, file]): [string, Price[]][] => {
    const path = join(folder, file);
    if (!existsSync(path)) return [];
    const { candles, interval } = parseCandles(readFileSync(path, "utf8"), path);
    return [
      [name, candles.map(({ time, close }) => ({ time: time + interval, price: Number(close) / 1e8 }))],
    ];
  });
}

function picture(name: string, prices: readonly Price[], from: number, to: number): string {
  const without = simulate(prices, termsOf(NONE));
  const funded = simulate(prices, termsOf(CHOSEN));
  const within = (hours: Hour[]) => hours.filter(({ time }) => time >= from && time <= to);
  const drawn = (hours: Hour[]) => hours.filter((_, hour) => hour % 6 === 0);
  const [before, after] = [within(without.hours), within(funded.hours)];
  const mean = (hours: Hour[], of: (hour: Hour) => number) =>
    hours.reduce((sum, hour) => sum + of(hour), 0) / hours.length;
  const size = (hour: Hour) => Math.abs(imbalanceOfHour(hour));
  const lopsided = (hours: Hour[]) => mean(hours, (hour) => (size(hour) > 0.5 ? 1 : 0));
  const change = (of: (hours: Hour[]) => number) =>
    `${percent(100 * of(before))} → ${percent(100 * of(after))}`;
  const weighted = (of: (hour: Hour) => number, by: (hour: Hour) => number) =>
    percent((100 * mean(after, (hour) => of(hour) * by(hour))) / mean(after, by), 1);
  return drawFunding({
    title: "Funding brings longs and shorts back towards balance",
    subtitle: `${name}, hourly prices; simulated traders who follow momentum and opinion and weigh what a position costs`,
    figures: [
      { value: change((hours) => mean(hours, size)), label: "mean imbalance, without → with" },
      { value: change(lopsided), label: "of the time 3 : 1 or worse" },
      {
        value: weighted(
          (h) => h.surchargeLong,
          (h) => h.long,
        ),
        label: "surcharge of longs, a year, mean",
      },
      {
        value: weighted(
          (h) => h.surchargeShort,
          (h) => h.short,
        ),
        label: "surcharge of shorts, a year, mean",
      },
    ],
    note: "npm run sim:funding -- --docs. The traders are an assumption: docs/funding.md says which, and what other assumptions give.",
    deadBand: CHOSEN.deadBand / 100,
    without: drawn(before),
    with: drawn(after),
  });
}

if (import.meta.filename === process.argv[1]) {
  const { values: options } = parseArgs({
    options: {
      prices: { type: "string", default: "../shared/data" },
      docs: { type: "boolean" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const real = realSeries(options.prices);
  const generated = generatedSeries();
  if (options.help) {
    console.log(`sim:funding [-- --prices FOLDER] [-- --json] [-- --docs]

A book of longs and shorts with the skew surcharge and without, on real prices where they are and on made-up ones.
--prices  folder of the hourly candles (${options.prices}): ${Object.values(FILES).join(", ")}
--json    figures of each series, without funding and with it
--docs    puts the tables into ${PAGE} and draws ${PICTURE}; needs the real prices`);
  } else if (options.json) {
    const figures = [...real, ...generated].map(([name, prices]) => ({
      prices: name,
      none: simulate(prices, termsOf(NONE)).outcome,
      chosen: simulate(prices, termsOf(CHOSEN)).outcome,
    }));
    console.log(JSON.stringify(figures, null, 2));
  } else if (options.docs) {
    const eth = real[0]?.[1];
    if (real.length < Object.keys(FILES).length || eth === undefined) {
      console.error(
        `The page shows real prices, and not all of their files are in ${options.prices}: name their folder with --prices`,
      );
      process.exitCode = 1;
    } else {
      let page = readFileSync(PAGE, "utf8");
      page = withPart(page, "real", seriesTable(real));
      page = withPart(page, "generated", seriesTable(generated));
      page = withPart(page, "parameters", parameterTable(eth));
      page = withPart(page, "behaviour", behaviourTable(eth));
      writeFileSync(PAGE, page);
      writeFileSync(
        PICTURE,
        picture(
          "ETH, December 2019 to July 2020",
          eth,
          Date.UTC(2019, 11, 1) / 1e3,
          Date.UTC(2020, 6, 31) / 1e3,
        ),
      );
    }
  } else {
    console.log(`${seriesTable([...real, ...generated])}\n`);
    console.log(`${parameterTable((real[0] ?? generated[0]!)[1])}\n`);
    console.log(behaviourTable((real[0] ?? generated[0]!)[1]));
  }
}
