// npm run risk -- calibrate: what is read for it, and what it prints and writes.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { type Command, InvalidArgumentError, Option } from "commander";

import { entry, type MarketParameters, type Parameters, readParameters } from "../../deploy/parameters.ts";
import { Refusal, toJson } from "@breakwater/sdk/desk";
import {
  type Assumptions,
  type Backtest,
  backtest,
  capOf,
  type Choice,
  type Days,
  daysOf,
  drawnDays,
  frontier,
  type Goal,
  hourlyFall,
  leverageOffered,
  lossOf,
  type Loss,
  type Point,
  type Room,
  roomOf,
  search,
  type Setup,
  type Shape,
  SPACINGS,
} from "./calibrate.ts";
import { PRICE_DECIMALS } from "../drill/path.ts";
import { drawFrontier } from "./frontier.ts";
import { type Pool, poolOf, type PoolPosition, sellable, type Spread, type Terms } from "./market.ts";
import {
  assetOf,
  fitJumpDiffusion,
  jumpDiffusion,
  loadPrices,
  type PriceHistory,
  type Returns,
  returnsOf,
  spanOf,
  splitAt,
  STEP_SECONDS,
} from "./paths.ts";
import { withPart } from "../page.ts";

const PAGE = "docs/calibration.md";
const PICTURE = "docs/calibration.svg";
const STEP_MINUTES = STEP_SECONDS / 60;
/** Of the cap that the parameters have: what is tried. */
const CAP_SHARES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

export interface Options {
  parameters: string;
  market?: string[];
  prices?: string;
  fit: "first" | "last" | "both";
  share: number;
  epsilon: number; //    basis points a year
  confidence: number; // percent, as the next
  patience: number;
  clear: number; //      hours
  spread: Spread;
  delay: number; //      steps
  refills: number; //    a step
  depth?: number; //     dollars
  cap?: number; //       whole debt tokens
  keepSpacing: boolean;
  paths: number;
}

type Part = "first" | "last";

/** Fitted on one part of the history, tried on the other. */
export interface Fit {
  part: Part;
  cap: number;
  choice: Choice | undefined; // undefined: nothing keeps the goal
  rooms: Room[];
  onFit?: Backtest;
  onUnseen?: Backtest;
}

export interface Calibration {
  market: string;
  collateral: string;
  debt: string;
  prices: {
    name: string;
    generated: boolean;
    odd: string[];
    parts: Record<Part, { from: string; to: string; days: number }>;
  };
  /** Whole debt tokens that the sale of collateral brings until the pool is 2 % lower. */
  depth: number;
  goal: Goal;
  fits: Fit[];
  /** Of the fits that which offers less leverage. */
  chosen: Fit & { choice: Choice };
  deployed: { terms: Terms; cap: number; loss: Loss; first: Backtest; last: Backtest };
  frontier: Point[];
  others: { what: string; chosen: Loss; deployed: Loss }[];
  /** Whole collateral tokens. */
  collateralCap: number;
}

// ------------------------------------------------------------------ inputs

interface Scene {
  market: MarketParameters;
  band: bigint;
  history: PriceHistory;
  /** The market's price, debt tokens per collateral token, whichever way the history is. */
  returnsOf: (history: PriceHistory) => Returns;
  pool: (refills: number, depth?: number) => Pool;
  /** Whole debt tokens for a collateral token. */
  price: number;
}

function sceneOf(parameters: Parameters, id: string, path: string | undefined): Scene {
  const market = marketOf(parameters, id);
  const isInverse = "inverseOf" in market.oracle;
  const oracle =
    "inverseOf" in market.oracle ? marketOf(parameters, market.oracle.inverseOf).oracle : market.oracle;
  if ("inverseOf" in oracle) throw new Refusal(`${id}: the inverse of an inverse`);
  const asset = assetOf(market);
  const history = loadPrices(asset, path);
  const dollars = (token: string, feed: string) => {
    const has = entry(parameters.feeds, feed);
    if ("price" in has) return Number(has.price);
    return token === asset ? Number(history.candles.at(-1)!.close) / 10 ** PRICE_DECIMALS : 1;
  };
  const collateralPrice = dollars(market.collateral, isInverse ? oracle.debt : oracle.collateral);
  const debtPrice = dollars(market.debt, isInverse ? oracle.collateral : oracle.debt);

  const pool = entry(parameters.pools, oracle.pool);
  const isBase = pool.base.token === market.collateral;
  if (!isBase && pool.quote.token !== market.collateral) {
    throw new Refusal(`${id}: the pool ${oracle.pool} does not have ${market.collateral}`);
  }
  const positions = pool.liquidity.map(({ rangePercent, valueUsd }): PoolPosition => {
    const value = Number(valueUsd) / debtPrice;
    if (rangePercent === "full") return { value, down: 0, up: Infinity };
    const share = rangePercent / 100;
    return isBase
      ? { value, down: 1 - share, up: 1 + share }
      : { value, down: 1 / (1 + share), up: 1 / (1 - share) };
  });
  return {
    market,
    band: BigInt(oracle.bandBps),
    history,
    returnsOf(part) {
      const returns = returnsOf(part);
      return asset === market.debt ? returns.map((run) => run.map((r) => -r)) : returns;
    },
    pool(refills, depth) {
      if (depth === undefined && positions.length === 0) {
        throw new Refusal(
          `${id}: the parameters name no liquidity of ${oracle.pool}; say how much there is with --depth`,
        );
      }
      const given = depth === undefined ? positions : [fullRange(depth / debtPrice)];
      return poolOf(given, pool.feeMillionths / 1e6, refills);
    },
    price: collateralPrice / debtPrice,
  };
}

function marketOf(parameters: Parameters, id: string): MarketParameters {
  const market = parameters.markets.find((each) => each.id === id);
  if (market) return market;
  throw new Refusal(`no market ${id}; there are ${parameters.markets.map((each) => each.id).join(", ")}`);
}

const DEPTH = 0.02;

/** The position over the whole range of which `amount` moves the price by 2 %. */
function fullRange(amount: number): PoolPosition {
  return { value: (2 * amount) / (1 - Math.sqrt(1 - DEPTH)), down: 0, up: Infinity };
}

/** Debt tokens that a pool pays, once, until its price is 2 % lower. */
function depthOf(pool: Pool): number {
  const once = { ...pool, fee: 0, refills: 1 };
  const [middle, end] = [1 - DEPTH / 2, 1 - DEPTH];
  return (
    sellable(once, 1, middle) * (1 - DEPTH / 4) +
    (sellable(once, 1, end) - sellable(once, 1, middle)) * (1 - (3 * DEPTH) / 4)
  );
}

export function termsOf({ risk, spacing }: MarketParameters): Terms {
  return {
    maxLtv: BigInt(risk.maxLtvBps),
    liquidationThreshold: BigInt(risk.liquidationThresholdBps),
    target: BigInt(risk.targetBps),
    bonusMin: BigInt(risk.bonusMinBps),
    bonusMax: BigInt(risk.bonusMaxBps),
    slope: BigInt(risk.slopeBps),
    spacing,
  };
}

// ------------------------------------------------------------------ one market

export function calibrate(
  parameters: Parameters,
  id: string,
  options: Options,
  tried?: readonly Shape[],
  note: (text: string) => void = () => undefined,
): Calibration {
  const scene = sceneOf(parameters, id, options.prices);
  const { market, history } = scene;
  const deployed = termsOf(market);
  const deployedCap = Number(market.caps.debt);
  const pool = scene.pool(options.refills, options.depth);
  const assumptions: Assumptions = { spread: options.spread, delay: options.delay, pool };
  const goal: Goal = {
    epsilon: options.epsilon / 1e4,
    confidence: options.confidence / 100,
    patience: options.patience / 100,
    clearHours: options.clear,
  };
  const [first, last] = splitAt(history, options.share);
  const parts = { first, last };
  const days = { first: daysOf(scene.returnsOf(first)), last: daysOf(scene.returnsOf(last)) };
  for (const part of ["first", "last"] as const) {
    if (days[part].prices.length > 0) continue;
    throw new Refusal(
      `${history.name}: the ${part} part has no day without a gap; --share moves the division`,
    );
  }
  const setups = (["first", "last"] as const).map((part) => {
    const returns = scene.returnsOf(parts[part]);
    const drawn = drawnDays(jumpDiffusion(fitJumpDiffusion(returns)), options.paths);
    return {
      part,
      setup: {
        band: scene.band,
        assumptions,
        goal,
        fit: [days[part], drawn],
        hourlyFall: hourlyFall(returns, goal.patience),
        spacings: options.keepSpacing ? [market.spacing] : SPACINGS,
      } satisfies Setup,
    };
  });

  const caps = CAP_SHARES.map((share) => share * deployedCap);
  const shape: Shape = {
    bonusMin: deployed.bonusMin,
    bonusMax: deployed.bonusMax,
    slope: deployed.slope,
    targetGap: deployed.liquidationThreshold - deployed.target,
  };
  const fits = setups
    .filter(({ part }) => options.fit === "both" || options.fit === part)
    .map(({ part, setup }): Fit => {
      note(`${id}: fitting on the ${part} part of ${history.name}`);
      const rooms = roomOf(shape, options.cap === undefined ? caps : [options.cap], setup);
      const cap = capOf(rooms, goal);
      const choice = search(cap, setup, tried);
      if (choice === undefined) return { part, cap, choice, rooms };
      const test = (on: Days) => backtest(choice.terms, cap, on, assumptions, goal.confidence);
      return {
        part,
        cap,
        choice,
        rooms,
        onFit: test(days[part]),
        onUnseen: test(days[part === "first" ? "last" : "first"]),
      };
    });
  const possible = fits.filter((fit): fit is Fit & { choice: Choice } => fit.choice !== undefined);
  if (possible.length < fits.length) {
    throw new Refusal(
      `${id}: no parameters keep the bad debt below ${options.epsilon} basis points a year at ${options.confidence} %: a larger --epsilon, a smaller --cap, or more depth`,
    );
  }
  const chosen = possible.reduce((a, b) => (b.choice.terms.maxLtv < a.choice.terms.maxLtv ? b : a));
  const { setup } = setups.find(({ part }) => part === chosen.part)!;

  note(`${id}: the frontier, and other assumptions`);
  const threshold = chosen.choice.terms.liquidationThreshold;
  const thresholds = Array.from({ length: 17 }, (_, i) => threshold - 1_000n + 100n * BigInt(i));
  const drawnCaps = [...new Set([deployedCap / 100, deployedCap / 10, deployedCap, chosen.cap])].sort(
    (a, b) => a - b,
  );
  const whole: Days = {
    prices: [...days.first.prices, ...days.last.prices],
    lowest: [...days.first.lowest, ...days.last.lowest],
  };
  const test = (terms: Terms, cap: number, on: Days) =>
    backtest(terms, cap, on, assumptions, goal.confidence);
  const others = otherAssumptions(scene, options).map(({ what, closes, ...change }) => {
    const on = closes ? daysOf(scene.returnsOf(atCloses(history))) : whole;
    const loss = (terms: Terms, cap: number) =>
      lossOf(terms, cap, on, { ...assumptions, ...change }, goal.confidence);
    return { what, chosen: loss(chosen.choice.terms, chosen.cap), deployed: loss(deployed, deployedCap) };
  });
  return {
    market: id,
    collateral: market.collateral,
    debt: market.debt,
    prices: {
      name: history.name,
      generated: history.generated,
      odd: history.odd,
      parts: { first: spanOf(first), last: spanOf(last) },
    },
    depth: depthOf(pool),
    goal,
    fits,
    chosen,
    deployed: {
      terms: deployed,
      cap: deployedCap,
      loss: lossOf(deployed, deployedCap, whole, assumptions, goal.confidence),
      first: test(deployed, deployedCap, days.first),
      last: test(deployed, deployedCap, days.last),
    },
    frontier: frontier(chosen.choice.shape, drawnCaps, thresholds, setup),
    others,
    collateralCap: roundUp((2 * chosen.cap) / scene.price),
  };
}

/** What is assumed otherwise, one at a time. */
function otherAssumptions(
  scene: Scene,
  options: Options,
): ({ what: string; closes?: boolean } & Partial<Assumptions>)[] {
  const pool = (factor: number) => ({ pool: scene.pool(options.refills * factor, options.depth) });
  return [
    { what: "as assumed" },
    { what: "half the depth", ...pool(0.5) },
    { what: "a tenth of the depth", ...pool(0.1) },
    { what: "ten times the depth", ...pool(10) },
    { what: "keepers 15 minutes late", delay: 1 },
    { what: "keepers an hour late", delay: 4 },
    { what: "all borrowers in the last tenth of the leverage", spread: "edge" },
    { what: "prices that go from close to close", closes: true },
  ];
}

/** Without the extremes within an hour. */
function atCloses(history: PriceHistory): PriceHistory {
  const candles = history.candles.map(({ time, open, close }) => {
    const [low, high] = open < close ? [open, close] : [close, open];
    return { time, open, high, low, close };
  });
  return { ...history, candles };
}

/** To two digits. */
function roundUp(value: number): number {
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(2));
}

/** The parameters with what was calibrated. */
export function withCalibrations(parameters: Parameters, results: readonly Calibration[]): Parameters {
  const markets = parameters.markets.map((market) => {
    const result = results.find((each) => each.market === market.id);
    if (!result) return market;
    const { terms } = result.chosen.choice;
    return {
      ...market,
      spacing: terms.spacing,
      risk: {
        maxLtvBps: Number(terms.maxLtv),
        liquidationThresholdBps: Number(terms.liquidationThreshold),
        targetBps: Number(terms.target),
        bonusMinBps: Number(terms.bonusMin),
        bonusMaxBps: Number(terms.bonusMax),
        slopeBps: Number(terms.slope),
      },
      caps: {
        ...market.caps,
        debt: amountText(result.chosen.cap),
        collateral: amountText(result.collateralCap),
      },
    };
  });
  const names = results.map(({ market }) => market).join(", ");
  return {
    ...parameters,
    markets,
    note: `${parameters.note} Calibrated (npm run risk -- calibrate): ${names}.`,
  };
}

/** At most six decimals, as caps have. */
function amountText(amount: number): string {
  return amount.toFixed(6).replace(/\.?0+$/, "");
}

// ------------------------------------------------------------------ text

const percent = (share: number, digits = 2) => `${(100 * share).toFixed(digits)} %`;
const bpsPercent = (bps: bigint) => percent(Number(bps) / 1e4, 2).replace(/\.?0+ %/, " %");
const amount = (value: number) =>
  value >= 1e6
    ? `${Number((value / 1e6).toPrecision(3))}M`
    : value >= 1e4
      ? `${Number((value / 1e3).toPrecision(3))}k`
      : `${Number(value.toPrecision(3))}`;
const hours = (steps: number) => (steps === 0 ? "0" : `${(steps * STEP_MINUTES) / 60} h`);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");
}

const TERMS = ["max LTV", "leverage", "LT", "target", "bonus", "slope", "step", "debt cap"] as const;
function termsCells(terms: Terms, cap: number, unit: string): string[] {
  return [
    bpsPercent(terms.maxLtv),
    `${leverageOffered(terms).toFixed(2)}×`,
    bpsPercent(terms.liquidationThreshold),
    bpsPercent(terms.target),
    `${bpsPercent(terms.bonusMin)} … ${bpsPercent(terms.bonusMax)}`,
    `${Number(terms.slope) / 1e4}`,
    `${terms.spacing / 100} %`,
    `${amount(cap)} ${unit}`,
  ];
}

/** What was chosen on each part, and what is deployed. */
export function termsTable({ fits, deployed, debt }: Calibration): string {
  return table(
    ["", ...TERMS],
    [
      ["deployed", ...termsCells(deployed.terms, deployed.cap, debt)],
      ...fits.map(({ part, cap, choice }) => [
        `fitted on the ${part} part`,
        ...termsCells(choice!.terms, cap, debt),
      ]),
    ],
  );
}

/** The same on the part that they were fitted on, and on the other. */
export function backtestTable({ fits, deployed, goal }: Calibration): string {
  const bound = `at ${percent(goal.confidence, 0)} at most`;
  const cells = (test: Backtest) => [
    percent(test.mean),
    percent(test.bound),
    percent(test.worst),
    percent(test.penalty, 1),
    hours(test.underWater),
  ];
  const rows = [
    ["deployed", "first part", ...cells(deployed.first), ""],
    ["deployed", "last part", ...cells(deployed.last), ""],
    ...fits.flatMap(({ part, choice, onFit, onUnseen }) => {
      const name = `fitted on the ${part} part`;
      const kept = (loss: Loss) => (loss.bound <= goal.epsilon ? "yes" : "**no**");
      return [
        [
          name,
          `${part} part, and drawn days`,
          percent(choice!.loss.mean),
          percent(choice!.loss.bound),
          ...cells(onFit!).slice(2),
          kept(choice!.loss),
        ],
        [
          name,
          `**unseen: ${part === "first" ? "last" : "first"} part**`,
          ...cells(onUnseen!),
          kept(onUnseen!),
        ],
      ];
    }),
  ];
  return table(
    ["parameters", "days", "bad debt a year", bound, "worst day", "penalty a year", "longest wait", "kept"],
    rows,
  );
}

export function roomTable({ chosen, debt, goal }: Calibration): string {
  const rows = chosen.rooms.map(({ cap, terms, hours: waited }) => [
    `${amount(cap)} ${debt}`,
    terms === undefined ? "none" : bpsPercent(terms.liquidationThreshold),
    terms === undefined ? "–" : `${leverageOffered(terms).toFixed(2)}×`,
    terms === undefined ? "–" : `${waited} h${waited > goal.clearHours ? " (too long)" : ""}`,
  ]);
  return table(["debt cap", "highest LT", "leverage", "longest wait"], rows);
}

export function othersTable({ others, goal }: Calibration): string {
  const cell = ({ mean, bound }: Loss) => `${percent(mean)} (${percent(bound)})`;
  return table(
    [`mean (at ${percent(goal.confidence, 0)} at most), whole history`, "calibrated", "deployed"],
    others.map(({ what, chosen, deployed }) => [what, cell(chosen), cell(deployed)]),
  );
}

export function calibrationText(result: Calibration): string {
  const { prices, goal, chosen } = result;
  const span = ({ from, to, days }: { from: string; to: string; days: number }) =>
    `${from.slice(0, 10)} to ${to.slice(0, 10)}, ${days.toFixed(0)} days`;
  const unseen = chosen.onUnseen!.bound <= goal.epsilon;
  return [
    `${result.market}: ${prices.name}${prices.generated ? "" : `; first part ${span(prices.parts.first)}; last part ${span(prices.parts.last)}`}`,
    ...prices.odd.map((what) => `  ${what}`),
    `Goal: bad debt of at most ${percent(goal.epsilon)} of the debt a year at ${percent(goal.confidence, 0)}; depth ${amount(result.depth)} ${result.debt} within 2 %`,
    "",
    termsTable(result),
    "",
    backtestTable(result),
    "",
    roomTable(result),
    "",
    othersTable(result),
    "",
    `Chosen: fitted on the ${chosen.part} part; on days that it has not seen it ${unseen ? "keeps" : "does NOT keep"} the goal.`,
  ].join("\n");
}

/** The desk's commands that bring a market there; a threshold falls by a ramp only. */
export function deskCommands({ market, chosen, deployed }: Calibration, file: string): string[] {
  const { terms } = chosen.choice;
  const falls =
    terms.liquidationThreshold < deployed.terms.liquidationThreshold || terms.target < deployed.terms.target;
  const risk = falls ? "start-ramp" : "set-risk";
  return [
    `npm run desk -- propose ${risk} --market ${market} --parameters ${file}${falls ? " --over 14d" : ""}`,
    `npm run desk -- propose set-caps --market ${market} --parameters ${file}`,
  ];
}

export function picture(result: Calibration): string {
  const { chosen, deployed, frontier: points, goal, debt, prices } = result;
  return drawFrontier({
    title: `${result.market}: leverage offered against bad debt`,
    subtitle: `${prices.name}, fitted on its ${chosen.part} part; a curve for each debt cap`,
    confidence: percent(goal.confidence, 0),
    epsilon: goal.epsilon,
    curves: [...new Set(points.map(({ cap }) => cap))].map((cap) => ({
      label: `${amount(cap)} ${debt}`,
      points: points
        .filter((point) => point.cap === cap)
        .map(({ terms, loss }) => ({ leverage: leverageOffered(terms), loss: loss.bound })),
    })),
    marks: [
      { label: "calibrated", leverage: leverageOffered(chosen.choice.terms), loss: chosen.choice.loss.bound },
      {
        label: "calibrated, unseen days",
        leverage: leverageOffered(chosen.choice.terms),
        loss: chosen.onUnseen!.bound,
      },
      {
        label: `deployed (${amount(deployed.cap)}), all days`,
        leverage: leverageOffered(deployed.terms),
        loss: deployed.loss.bound,
      },
    ],
  });
}

// ------------------------------------------------------------------ the command

const number =
  (least: number, most: number, what: string) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`${what} from ${least} to ${most}`);
    }
    return value;
  };
const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text.replaceAll("_", ""));
    if (/^[\d_]+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a whole number from ${least} to ${most}`);
  };

/** npm runs scripts in the project's folder; a path is meant from where the command was typed. */
const fromHere = (path: string) => resolve(process.env["INIT_CWD"] ?? process.cwd(), path);

export function addCalibrate(program: Command): void {
  program
    .command("calibrate")
    .description(
      "The least conservative parameters whose bad debt stays below a bound, from price history and DEX depth; back-tested on " +
        "days that they have not seen. Writes parameters that the deployment and the desk accept. See docs/calibration.md.",
    )
    .option("--parameters <name>", "a name in deploy/parameters, or a JSON file", "local")
    .option("--market <id...>", "only these")
    .option(
      "--prices <path>",
      "hourly candles: a folder of them, or the file of one asset (../shared/data, or generated)",
    )
    .addOption(
      new Option("--fit <part>", "of the history; both: each, and the more careful is taken")
        .choices(["first", "last", "both"])
        .default("both"),
    )
    .option("--share <share>", "of the history that is its first part", number(0.1, 0.9, "a share"), 0.6)
    .option(
      "--epsilon <bps>",
      "of the debt that may be lost in a year",
      number(0.01, 1e4, "basis points"),
      50,
    )
    .option("--confidence <percent>", "that it is not more", number(50, 99.9, "percent"), 95)
    .option(
      "--patience <percent>",
      "of the hours that who is at the max LTV survives",
      number(50, 99.99, "percent"),
      99,
    )
    .option("--clear <hours>", "the longest that anything may stay liquidatable", number(0, 24, "hours"), 4)
    .addOption(
      new Option("--spread <spread>", "of the borrowers' leverage")
        .choices(["drill", "edge"])
        .default("drill"),
    )
    .option("--delay <steps>", "steps of 15 minutes that keepers wait", whole(0, 96), 0)
    .option(
      "--refills <count>",
      "how often in 15 minutes others bring the pool back to the price",
      whole(1, 1e6),
      15,
    )
    .option(
      "--depth <dollars>",
      "that move the price by 2 % (else the parameters' pool)",
      number(1, 1e12, "dollars"),
    )
    .option("--cap <tokens>", "debt, whole tokens (else the largest that fits)", number(1e-6, 1e15, "tokens"))
    .option("--keep-spacing", "the grid of the parameters, as a live market must", false)
    .option("--paths <count>", "days drawn from the jump diffusion", whole(100, 1e6), 5_000)
    .option(
      "--out <dir>",
      "parameters.json, calibration.json and a picture of each market",
      "out/calibration",
    )
    .option("--docs", `put the first market's tables into ${PAGE}, and draw ${PICTURE}`, false)
    .option("--json", "print the figures as JSON", false)
    .action((options: Options & { out: string; docs: boolean; json: boolean }) => {
      const parameters = parametersOf(options.parameters);
      const ids = options.market ?? parameters.markets.map(({ id }) => id);
      if (ids.length === 0) throw new Refusal("the parameters have no market");
      const prices = options.prices === undefined ? undefined : fromHere(options.prices);
      checkPrices(prices, parameters, ids);
      const note = options.json ? () => undefined : (text: string) => console.error(text);
      const results = ids.map((id) => calibrate(parameters, id, { ...options, prices }, undefined, note));

      const directory = fromHere(options.out);
      mkdirSync(directory, { recursive: true });
      const file = join(directory, "parameters.json");
      writeFileSync(file, `${JSON.stringify(withCalibrations(parameters, results), null, 2)}\n`);
      readParameters(file); // what is refused is not left unsaid
      writeFileSync(join(directory, "calibration.json"), `${toJson(results)}\n`);
      for (const result of results) writeFileSync(join(directory, `${result.market}.svg`), picture(result));
      if (options.docs) {
        writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8"), results[0]!));
        writeFileSync(PICTURE, picture(results[0]!));
      }
      if (options.json) console.log(toJson(results));
      else {
        for (const result of results) console.log(`${calibrationText(result)}\n`);
        console.log(`Written: ${directory}. For a market that is live:`);
        for (const result of results)
          for (const command of deskCommands(result, file)) console.log(`  ${command}`);
      }
    });
}

/** A file is of one asset. */
function checkPrices(path: string | undefined, parameters: Parameters, ids: readonly string[]): void {
  if (path === undefined || !/\.csv$/i.test(path)) return;
  const assets = new Set(ids.map((id) => assetOf(marketOf(parameters, id))));
  if (assets.size > 1) {
    throw new Refusal(
      `${path} is of one asset, the markets are of ${[...assets].join(" and ")}: name a folder, or some markets with --market`,
    );
  }
}

function parametersOf(name: string): Parameters {
  try {
    return readParameters(name.endsWith(".json") ? fromHere(name) : name);
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

/** The page with a result's tables in place of those it has. */
export function withTables(page: string, result: Calibration): string {
  const tables = {
    terms: termsTable(result),
    backtest: backtestTable(result),
    caps: roomTable(result),
    others: othersTable(result),
  };
  return Object.entries(tables).reduce((text, [name, content]) => withPart(text, name, content), page);
}
