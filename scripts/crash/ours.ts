// Our own engine in the comparison: the contracts, as the drill drives them.
import type { StepRecord } from "../drill/result.ts";
import { failuresOf, totalsOf } from "../drill/result.ts";
import { type Progress, runDrill } from "../drill/run.ts";
import { STEP_SECONDS, type PricePath } from "../drill/path.ts";
import type { Outcome } from "./simulate.ts";

export interface OursSetting {
  path: PricePath;
  positions: number;
  seed: number;
  blockGas: bigint;
  poolOnly: boolean;
}

/** Runs the drill; losses that are not the exact model's are an error. */
export async function ours(setting: OursSetting, progress: Progress): Promise<Outcome> {
  const result = await runDrill(setting, progress);
  // Without the keeper with capital a step may end before the pool has taken all.
  const failures = failuresOf(result).filter(
    (failure) => !setting.poolOnly || !failure.includes("not cleared"),
  );
  if (failures.length > 0) throw new Error(`the drill failed: ${failures.join("; ")}`);
  return outcomeOf(result.steps, result.openedDebt);
}

/** A drill's steps in the comparison's terms. */
export function outcomeOf(steps: StepRecord[], openedDebt: bigint): Outcome {
  const totals = totalsOf(steps);
  const seizedEquity = steps.reduce((sum, step) => sum + step.seizedEquity, 0n);
  const debtSeconds = steps.reduce((sum, { uncovered }) => sum + uncovered.debtSeconds, 0n);
  return {
    name: "Breakwater",
    penalty: usd(totals.penalty + seizedEquity),
    income: usd(steps.reduce((sum, { potSurplus }) => sum + potSurplus, 0n)),
    badDebt: usd(totals.badDebt),
    cleared: usd(totals.repaid + totals.insolventDebt),
    gas: Number(totals.gas),
    transactions: totals.transactions,
    uncoveredMinutes: usd(debtSeconds) / 60 / usd(openedDebt),
    longestMinutes: longestSeconds(steps) / 60,
    left: usd(steps.at(-1)?.uncovered.debt ?? 0n),
  };
}

/** Of stretches that ended with a liquidation, and of one that has not ended. */
function longestSeconds(steps: StepRecord[]): number {
  const lastCleared = steps.findLastIndex(({ cleared }) => cleared);
  const open = steps[lastCleared + 1];
  const stillOpen = open === undefined ? 0 : steps.at(-1)!.time + STEP_SECONDS - open.time;
  return Math.max(stillOpen, ...steps.map(({ underWater }) => underWater.maxSeconds));
}

function usd(amount: bigint): number {
  return Number(amount) / 1e6;
}
