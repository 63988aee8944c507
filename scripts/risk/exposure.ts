// What one market stands to lose, from its ticks: exact figures of falls (core), and simulated ones of the next day.
import {
  BORROW_INDEX_ONE,
  bookPriceUp,
  concentration,
  debtByDistance,
  debtTokensUp,
  debtUnitsUp,
  type DistanceBand,
  formatAmount,
  liquidatableUnder,
  type MarketState,
  Q128,
  reverseStress,
  type SaleRisk,
  type Sweep,
  sweepUnder,
  type TickDebt,
} from "@breakwater/sdk/core";

import { price } from "../trade/desk.ts";
import { inBookUnits, proceedsOf } from "./depth.ts";
import { HORIZONS, lossesOf, reverseStressWithin, type Stage } from "./losses.ts";
import { type Pool, sellable } from "./market.ts";
import {
  bootstrap,
  fitJumpDiffusion,
  jumpDiffusion,
  type PriceHistory,
  type Returns,
  spanOf,
} from "./paths.ts";

/** A market as it is looked at; amounts in token units. */
export interface Subject {
  id: string;
  symbols: { collateral: string; debt: string };
  decimals: { collateral: number; debt: number };
  state: MarketState;
  risk: SaleRisk & { maxLtv: bigint };
  ticks: TickDebt[];
  positions: number;
  borrowers: bigint[]; // what each owes, book debt
  insurance: bigint;
  reserves: bigint;
  /** Undefined: there is none with liquidity. */
  pool: Pool | undefined;
}

export interface Assumptions {
  paths: number;
  seed: number;
  delay: number; // steps of 15 minutes before keepers act
  history: PriceHistory;
  returns: Returns;
}

/** Basis points of a fall, 1 to 60 %. */
export const FALLS = Array.from({ length: 60 }, (_, at) => BigInt(at + 1) * 100n);
const TOP = [1, 10, 100] as const;
/** Losses of the price at which the pool's depth is told, basis points. */
const IMPACTS = [100n, 200n, 500n, 1_000n] as const;
const MODELS = ["jump diffusion", "bootstrap"] as const;

export interface FallFigures extends Sweep {
  fall: bigint; //         basis points
  liquidatable: bigint; // debt token units, rounded up
  /** What has to be sold, seized collateral included, over what the pool takes at the least bonus before it is brought back. */
  poolTimes: number | undefined;
}

export type Exposure = ReturnType<typeof exposureOf>;

export function exposureOf(subject: Subject, assumed?: Assumptions) {
  const { state, risk, ticks, pool } = subject;
  const cover = subject.insurance + subject.reserves;
  const isPriced = state.priceHigh !== 0n && ticks.length > 0;
  const liquidatable = liquidatableUnder(ticks, FALLS, state);
  const falls = isPriced
    ? FALLS.map((fall, at): FallFigures => {
        const sweep = sweepUnder(ticks, fall, state, risk);
        const poolTimes = timesOf(subject, fall, sweep.sold + sweep.seizedCollateral);
        return { fall, liquidatable: liquidatable[at]!, ...sweep, poolTimes };
      })
    : [];
  const stage = isPriced && pool !== undefined && assumed ? stageOf(subject, pool, assumed.delay) : undefined;
  return {
    market: subject.id,
    symbols: subject.symbols,
    decimals: subject.decimals,
    price: { low: state.priceLow, high: state.priceHigh },
    debt: debtOf(ticks, state),
    positions: subject.positions,
    borrowers: subject.borrowers.length,
    ticks: ticks.length,
    insurance: subject.insurance,
    reserves: subject.reserves,
    /** Basis points of the debt that the largest borrowers owe. */
    concentration: TOP.map((count) => ({ count, share: concentration(subject.borrowers, count) })),
    distance: debtByDistance(ticks, state),
    falls,
    depth: pool && isPriced ? depthOf(pool, state) : undefined,
    reverse: isPriced
      ? {
          /** Basis points, at once and with all the capital it takes. */
          atOnce: reverseStress(ticks, 0n, state, risk),
          beyondCover: reverseStress(ticks, cover, state, risk),
          /** Percent, with what keepers can sell to the pool. */
          within: stage
            ? HORIZONS.map((hours) => ({
                hours,
                any: reverseStressWithin(stage, 0, hours),
                beyondCover: reverseStressWithin(stage, whole(cover, subject.decimals.debt), hours),
              }))
            : [],
        }
      : undefined,
    losses: stage && assumed ? simulated(subject, stage, assumed) : undefined,
  };
}

/** The market as the simulation walks it. */
function stageOf({ state, risk, ticks }: Subject, pool: Pool, delay: number): Stage {
  return {
    setting: {
      terms: { ...risk, spacing: state.units.spacing },
      book: new Map(ticks.map(({ tick, debt }) => [tick, debt])),
      pool: inBookUnits(pool, state),
      delay,
    },
    price: quotient(bookPriceUp(state.priceHigh, state.borrowIndex, state.units)),
    index: Number(state.borrowIndex) / Number(BORROW_INDEX_ONE),
  };
}

function simulated(subject: Subject, stage: Stage, { paths, seed, history, returns }: Assumptions) {
  const model = fitJumpDiffusion(returns);
  const cover = whole(subject.insurance + subject.reserves, subject.decimals.debt);
  const samplers = { "jump diffusion": jumpDiffusion(model), bootstrap: bootstrap(returns) };
  const { name, generated, odd, gaps } = history;
  return {
    history: { name, generated, ...spanOf(history), gaps: gaps.length, odd },
    model,
    seed,
    refills: stage.setting.pool.refills,
    delay: stage.setting.delay,
    figures: MODELS.map((name) => ({
      model: name,
      horizons: lossesOf(stage, cover, { sampler: samplers[name], paths, seed }),
    })),
  };
}

function depthOf(pool: Pool, { priceHigh }: MarketState) {
  const start = quotient(priceHigh);
  return {
    fee: pool.fee,
    impacts: IMPACTS.map((impact) => {
      const collateral = sellable({ ...pool, refills: 1 }, start, start * (1 - Number(impact) / 1e4));
      return { impact, collateral, proceeds: proceedsOf(pool, start, collateral) };
    }),
  };
}

function timesOf({ pool, state, risk, decimals }: Subject, fall: bigint, collateral: bigint) {
  if (pool === undefined) return undefined;
  const fallen = quotient(state.priceHigh) * (1 - Number(fall) / 1e4);
  const takes = sellable({ ...pool, refills: 1 }, fallen, fallen / (1 + Number(risk.bonusMin) / 1e4));
  return takes === 0 ? undefined : whole(collateral, decimals.collateral) / takes;
}

function debtOf(ticks: readonly TickDebt[], { borrowIndex, units }: MarketState): bigint {
  const debt = ticks.reduce((sum, tick) => sum + tick.debt, 0n);
  return debtTokensUp(debtUnitsUp(debt, borrowIndex), units);
}

function quotient(q128: bigint): number {
  return Number(q128) / Number(Q128);
}

function whole(amount: bigint, decimals: number): number {
  return Number(amount) / 10 ** decimals;
}

// ------------------------------------------------------------------ text

/** Falls that a person reads; the JSON has all. */
const SHOWN = new Set([1n, 5n, 10n, 15n, 20n, 30n, 40n, 50n, 60n].map((percent) => percent * 100n));

export function exposureText(e: Exposure): string {
  const { symbols, decimals } = e;
  const debt = (amount: bigint) => formatAmount(amount, decimals.debt, 2);
  const about = (amount: number) => grouped(amount);
  const head = [
    `${e.market}: ${debt(e.debt)} ${symbols.debt} of debt, ${e.positions} positions of ${e.borrowers} borrowers on ${e.ticks} ticks`,
  ];
  if (e.debt === 0n) return [...head, "nobody owes anything: nothing to lose"].join("\n");
  head.push(
    `largest ${e.concentration.map(({ count }) => count).join(" / ")} borrowers: ` +
      `${e.concentration.map(({ share }) => percentOf(share)).join(" / ")} of it; ` +
      `insurance ${debt(e.insurance)}, reserves ${debt(e.reserves)}`,
  );
  if (e.price.high === 0n)
    return [...head, "the price is Dead: without one no distance can be told"].join("\n");
  head.push(
    `price ${price(e.price.low, symbols)} to ${price(e.price.high, symbols)}; falls below are of both`,
  );

  const bands = coarse(e.distance).map(({ label, band }) => [
    label,
    debt(band.debt),
    percentOf((band.debt * 10_000n) / e.debt),
    String(band.positions),
  ]);
  const falls = e.falls
    .filter(({ fall }) => SHOWN.has(fall))
    .map((f) => [
      `−${f.fall / 100n} %`,
      debt(f.liquidatable),
      formatAmount(f.sold + f.seizedCollateral, decimals.collateral, 2),
      f.poolTimes === undefined ? "–" : f.poolTimes.toFixed(1),
      debt(f.seizedDebt),
      debt(f.badDebt),
    ]);
  const parts = [
    head.join("\n"),
    tableText([["price has to fall by", `debt, ${symbols.debt}`, "share", "positions"], ...bands]),
    tableText([
      ["at once", "liquidatable", `to sell, ${symbols.collateral}`, "× pool", "seized whole", "bad debt"],
      ...falls,
    ]),
    e.depth
      ? `pool (fee ${(e.depth.fee * 100).toFixed(2)} %) takes ` +
        e.depth.impacts
          .map(
            ({ impact, collateral }) => `${about(collateral)} ${symbols.collateral} at −${impact / 100n} %`,
          )
          .join(", ")
      : "no pool of the pair has liquidity: keepers without capital cannot sell, and no loss is simulated",
    reverseText(e),
  ];
  if (e.losses) {
    const { history, figures, refills, delay } = e.losses;
    const rows = figures.flatMap(({ model, horizons }) =>
      horizons.map((l) => [
        `${model}, ${l.hours} h`,
        `${(100 * l.chance).toFixed(2)} %`,
        `${about(l.badDebt.mean)} ± ${about(l.badDebt.error)}`,
        about(l.badDebt.at95),
        about(l.badDebt.at99),
        about(l.lendersLoss),
        about(l.liquidated.mean),
        about(l.liquidated.at95),
        about(l.liquidated.at99),
      ]),
    );
    parts.push(
      tableText([
        [
          symbols.debt,
          "any bad debt",
          "bad debt, mean",
          "95 %",
          "99 %",
          "lenders', mean",
          "liquidated, mean",
          "95 %",
          "99 %",
        ],
        ...rows,
      ]),
      `${figures[0]!.horizons[0]!.paths} paths each from ${history.name}, ${history.from.slice(0, 10)} to ${history.to.slice(0, 10)}` +
        (history.gaps > 0 ? `, ${history.gaps} gaps` : "") +
        `; the pool is brought back ${refills} times in a step of 15 minutes` +
        (delay > 0 ? `; keepers wait for ${delay} steps` : "") +
        history.odd.map((odd) => `\n  ${odd}`).join(""),
    );
  }
  return parts.join("\n\n");
}

function reverseText({ reverse }: Exposure): string {
  if (!reverse) return "";
  const bps = (fall: bigint | undefined) => (fall === undefined ? "none" : `−${formatAmount(fall, 2)} %`);
  const percent = (fall: number | undefined) => (fall === undefined ? "none" : `−${fall} %`);
  return tableText([
    ["smallest fall that makes", "bad debt", "more than insurance and reserves"],
    ["at once", bps(reverse.atOnce), bps(reverse.beyondCover)],
    ...reverse.within.map(({ hours, any, beyondCover }) => [
      `within ${hours} h`,
      percent(any),
      percent(beyondCover),
    ]),
  ]);
}

/** Edges, in percent, of the bands that a person reads. */
const EDGES = [0, 5, 10, 15, 20, 30, 40, 50, 60, 101];

function coarse(
  bands: readonly DistanceBand[],
): { label: string; band: { debt: bigint; positions: number } }[] {
  const between = (from: number, to: number) =>
    bands
      .filter(({ percent }) => percent >= from && percent < to)
      .reduce((sum, b) => ({ debt: sum.debt + b.debt, positions: sum.positions + b.positions }), {
        debt: 0n,
        positions: 0,
      });
  return [
    { label: "liquidatable now", band: between(-1, 0) },
    ...EDGES.slice(0, -1).map((from, at) => ({
      label: at === EDGES.length - 2 ? `${from} % and more` : `${from} to ${EDGES[at + 1]} %`,
      band: between(from, EDGES[at + 1]!),
    })),
  ].filter(({ band }) => band.positions > 0);
}

function percentOf(bps: bigint): string {
  return `${formatAmount(bps, 2, 1)} %`;
}

/** Simulated amounts: two decimals where they are small. */
export function grouped(amount: number): string {
  return amount.toLocaleString("en", { maximumFractionDigits: amount >= 100 || amount === 0 ? 0 : 2 });
}

/** The first column to the left, the others to the right. */
export function tableText(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[at]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
