// What a drill found, and how it is told: JSON, a table, the figures of the picture. Pure.
// Amounts are in USDC's 6 decimals and in wei, until they are printed.
import type { Reference } from "./reference.ts";
import { isoTime, type PricePath } from "./path.ts";
import { dollars, type Picture, type Point } from "./picture.ts";

/** What keepers did in one step, and what they left. */
export interface StepRecord {
  time: number;
  price: bigint;
  transactions: number;
  gas: bigint;
  ticks: number;
  repaid: bigint; //        for ticks that were sold, the pot aside
  seized: bigint; //        wei of WETH for that
  penalty: bigint; //       what the seized collateral was worth beyond what it repaid
  insolventDebt: bigint; // of ticks that were seized whole into the pot
  seizedEquity: bigint; //  what those were still worth beyond their debt
  potPaid: bigint; //       by keepers, for the pot
  potSurplus: bigint; //    of that beyond the pot's debt: the reserves'
  badDebt: bigint; //       what the pot did not bring; borne by the following three
  insurancePaid: bigint;
  reservesPaid: bigint;
  lendersLoss: bigint;
  flashRepaid: bigint; //   the part of repaid and potPaid that needed no capital
  underWater: { debtSeconds: bigint; maxSeconds: number }; // from the feed's round to the liquidation
  /** Debt that is liquidatable, and the pot's, until it is repaid: over the step, and what is left of it. */
  uncovered: { debtSeconds: bigint; debt: bigint };
  cleared: boolean; //      no populated tick at or above the trigger, and no pot, is left
  debt: bigint; //          outstanding after the step
}

export interface DrillResult {
  path: PricePath;
  positions: number;
  seed: number;
  blockGas: bigint;
  openedDebt: bigint;
  openedCollateral: bigint; // wei
  steps: StepRecord[];
  model: Reference;
}

export interface Totals {
  transactions: number;
  maxTransactionsPerStep: number;
  stepsNotCleared: number;
  gas: bigint;
  ticks: number;
  repaid: bigint;
  seized: bigint;
  penalty: bigint;
  insolventDebt: bigint;
  potPaid: bigint;
  flashRepaid: bigint;
  badDebt: bigint;
  insurancePaid: bigint;
  reservesPaid: bigint;
  lendersLoss: bigint;
  underWater: { maxSeconds: number; meanSeconds: number }; // mean weighted by debt
}

export function totalsOf(steps: StepRecord[]): Totals {
  const sum = (amount: (step: StepRecord) => bigint) =>
    steps.reduce((total, step) => total + amount(step), 0n);
  const cleared = sum((step) => step.repaid + step.insolventDebt);
  const debtSeconds = sum((step) => step.underWater.debtSeconds);
  return {
    transactions: steps.reduce((total, step) => total + step.transactions, 0),
    maxTransactionsPerStep: Math.max(0, ...steps.map((step) => step.transactions)),
    stepsNotCleared: steps.filter((step) => !step.cleared).length,
    gas: sum((step) => step.gas),
    ticks: steps.reduce((total, step) => total + step.ticks, 0),
    repaid: sum((step) => step.repaid),
    seized: sum((step) => step.seized),
    penalty: sum((step) => step.penalty),
    insolventDebt: sum((step) => step.insolventDebt),
    potPaid: sum((step) => step.potPaid),
    flashRepaid: sum((step) => step.flashRepaid),
    badDebt: sum((step) => step.badDebt),
    insurancePaid: sum((step) => step.insurancePaid),
    reservesPaid: sum((step) => step.reservesPaid),
    lendersLoss: sum((step) => step.lendersLoss),
    underWater: {
      maxSeconds: Math.max(0, ...steps.map((step) => step.underWater.maxSeconds)),
      meanSeconds: cleared === 0n ? 0 : Math.round(Number((debtSeconds * 10n) / cleared)) / 10,
    },
  };
}

/** What keeps a drill from passing; empty: it passed. */
export function failuresOf({ steps, model }: DrillResult): string[] {
  const totals = totalsOf(steps);
  const failures: string[] = [];
  const left = steps.filter((step) => !step.cleared);
  if (left.length > 0) {
    failures.push(`${left.length} steps were not cleared, the first at ${isoTime(left[0]!.time)}`);
  }
  for (const name of ["badDebt", "insurancePaid", "lendersLoss"] as const) {
    const difference = totals[name] > model[name] ? totals[name] - model[name] : model[name] - totals[name];
    if (difference > model.tolerance) {
      failures.push(
        `${name} is ${decimal(totals[name], 6)}, the reference model's ${decimal(model[name], 6)}: ` +
          `they differ by more than the tolerance of ${decimal(model.tolerance, 6)}`,
      );
    }
  }
  return failures;
}

// ------------------------------------------------------------------ telling

export function decimal(amount: bigint, decimals: number): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, "0");
  return `${amount < 0n ? "-" : ""}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

const usdc = (amount: bigint) => decimal(amount, 6);

export function toJson(result: DrillResult): unknown {
  const { path, steps, model } = result;
  const totals = totalsOf(steps);
  return {
    prices: path.name,
    from: isoTime(path.start.time),
    to: isoTime(path.steps.at(-1)!.time),
    gaps: { count: path.gaps.length, longestSeconds: longestGap(path) },
    seed: result.seed,
    blockGas: result.blockGas.toString(),
    steps: steps.length,
    positions: result.positions,
    openedDebt: usdc(result.openedDebt),
    openedCollateral: decimal(result.openedCollateral, 18),
    transactions: totals.transactions,
    maxTransactionsPerStep: totals.maxTransactionsPerStep,
    stepsNotCleared: totals.stepsNotCleared,
    gas: totals.gas.toString(),
    ticks: totals.ticks,
    repaid: usdc(totals.repaid),
    seized: decimal(totals.seized, 18),
    penalty: usdc(totals.penalty),
    insolventDebt: usdc(totals.insolventDebt),
    potPaid: usdc(totals.potPaid),
    flashRepaid: usdc(totals.flashRepaid),
    badDebt: usdc(totals.badDebt),
    insurancePaid: usdc(totals.insurancePaid),
    reservesPaid: usdc(totals.reservesPaid),
    lendersLoss: usdc(totals.lendersLoss),
    timeUnderWater: totals.underWater,
    debtOutstanding: usdc(steps.at(-1)?.debt ?? result.openedDebt),
    model: {
      badDebt: usdc(model.badDebt),
      insurancePaid: usdc(model.insurancePaid),
      lendersLoss: usdc(model.lendersLoss),
      tolerance: usdc(model.tolerance),
      ambiguous: model.ambiguous,
    },
    failures: failuresOf(result),
  };
}

function longestGap(path: PricePath): number {
  return Math.max(0, ...path.gaps.map(({ seconds }) => seconds));
}

export function toTable(result: DrillResult): string {
  const { path, steps, model } = result;
  const totals = totalsOf(steps);
  const count = (value: number | bigint) => value.toLocaleString("en");
  const money = (amount: bigint) => {
    const cents = (amount + 5_000n) / 10_000n;
    return `$${count(cents / 100n)}.${(cents % 100n).toString().padStart(2, "0")}`;
  };
  const prices = [path.start, ...path.steps].map(({ price }) => price);
  const lowest = prices.reduce((a, b) => (b < a ? b : a));
  const dollar = (price: bigint) => `$${decimal(price, 8).slice(0, -6)}`;
  const gaps =
    path.gaps.length === 0
      ? "none"
      : `${path.gaps.length}, the longest ${longestGap(path) / 3600} h, stepped over`;
  const rows: [string, string][] = [
    ["prices", path.name],
    ["price: first, lowest, last", [path.start.price, lowest, prices.at(-1)!].map(dollar).join(", ")],
    ["gaps", gaps],
    ["steps", count(steps.length)],
    ["positions", count(result.positions)],
    ["debt opened", money(result.openedDebt)],
    ["debt outstanding at the end", money(steps.at(-1)?.debt ?? result.openedDebt)],
    ["", ""],
    ["keepers' transactions", count(totals.transactions)],
    ["most in one step", count(totals.maxTransactionsPerStep)],
    ["steps not cleared", count(totals.stepsNotCleared)],
    ["ticks liquidated", count(totals.ticks)],
    ["gas", count(totals.gas)],
    [
      "time under water",
      `mean ${totals.underWater.meanSeconds} s, longest ${totals.underWater.maxSeconds} s (from the feed's round)`,
    ],
    ["", ""],
    ["repaid by keepers for ticks", money(totals.repaid)],
    ["collateral seized for that", `${decimal(totals.seized, 18).slice(0, -12)} WETH`],
    ["penalty paid by borrowers", money(totals.penalty)],
    ["debt of insolvent ticks", money(totals.insolventDebt)],
    ["paid by keepers for them", money(totals.potPaid)],
    ["without capital, through the pool", money(totals.flashRepaid)],
    ["", ""],
    ["bad debt", `${money(totals.badDebt)}   model ${money(model.badDebt)}`],
    ["paid by insurance", `${money(totals.insurancePaid)}   model ${money(model.insurancePaid)}`],
    ["paid by reserves", money(totals.reservesPaid)],
    ["lenders' loss", `${money(totals.lendersLoss)}   model ${money(model.lendersLoss)}`],
    ["tolerance", `$${usdc(model.tolerance)}`],
  ];
  return rows.map(([label, value]) => (label ? `${label.padEnd(36)}${value}` : "")).join("\n");
}

export function toPicture(result: DrillResult): Picture {
  const { path, steps, positions } = result;
  const totals = totalsOf(steps);
  const amount = (value: bigint) => Number(value) / 1e6;
  const start: Point = {
    time: path.start.time,
    price: Number(path.start.price) / 1e8,
    debt: amount(result.openedDebt),
    sold: 0,
    seized: 0,
    insurance: 0,
    reserves: 0,
    lenders: 0,
    transactions: 0,
  };
  const points = [start];
  for (const step of steps) {
    const before = points.at(-1)!;
    points.push({
      time: step.time,
      price: Number(step.price) / 1e8,
      debt: amount(step.debt),
      sold: before.sold + amount(step.repaid),
      seized: before.seized + amount(step.insolventDebt),
      insurance: before.insurance + amount(step.insurancePaid),
      reserves: before.reserves + amount(step.reservesPaid),
      lenders: before.lenders + amount(step.lendersLoss),
      transactions: step.transactions,
    });
  }
  const prices = points.map(({ price }) => price);
  const name = path.name.split(/[\\/]/).at(-1)!;
  return {
    title: `Liquidation drill: ${deepestFall(prices)} on ${name}`,
    subtitle:
      `${positions.toLocaleString("en")} positions of WETH/USDC (seed ${result.seed}), ${steps.length.toLocaleString("en")} steps ` +
      `of 15 minutes, ${(Number(result.blockGas) / 1e6).toFixed(1)}M gas a block`,
    figures: [
      { label: "keepers' transactions", value: totals.transactions.toLocaleString("en") },
      { label: "most in one step", value: String(totals.maxTransactionsPerStep) },
      { label: "steps not cleared", value: String(totals.stepsNotCleared) },
      { label: "gas of keepers", value: `${(Number(totals.gas) / 1e6).toFixed(1)}M` },
      { label: "penalty paid", value: dollars(amount(totals.penalty)) },
      { label: "bad debt", value: dollars(amount(totals.badDebt)) },
      { label: "longest under water", value: `${Math.ceil(totals.underWater.maxSeconds / 60)} min` },
    ],
    note:
      "A tick is liquidated once the feed and the pool's 10-minute average agree that it is at or above the liquidation " +
      "threshold. Under water: from the feed's round to the liquidation.",
    points,
  };
}

/** The greatest fall from a high to a later low. */
function deepestFall(prices: number[]): string {
  let high = 0;
  let deepest = 0;
  for (const price of prices) {
    high = Math.max(high, price);
    deepest = Math.max(deepest, 1 - price / high);
  }
  return `−${(deepest * 100).toFixed(0)} %`;
}
