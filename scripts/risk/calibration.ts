// npm run risk -- calibrate: what is read for it, and one market's calibration.

import { Refusal } from "@breakwater/sdk/desk";

import { entry, type MarketParameters, type Parameters } from "../../deploy/parameters.ts";
import { PRICE_DECIMALS } from "../drill/path.ts";
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
} from "./paths.ts";

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

export function marketOf(parameters: Parameters, id: string): MarketParameters {
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
