// A crash for the page to watch: for its minutes every price that is no dollar's falls in even steps, then stands still for a
// while. What it does to the markets the page reads from the chain.
import type { Drill } from "./web.ts";

/** Steps after the fall, before the prices move by themselves again: keepers finish. */
const AFTERMATH = 6;
/** Of the first prices: below, feeds would be out of their range. */
const LEAST_LEVEL = 0.02;

export interface DrillStep {
  block: number;
  time: number;
  /** Decimal texts, by pair. */
  prices: Record<string, string>;
}

export type DrillState =
  | { phase: "none" }
  | {
      phase: "falling" | "settling" | "over";
      fall: number; //    percent
      minutes: number; // of the chain's time
      /** Of the fall. */
      steps: number;
      /** The first is from before the fall. */
      path: DrillStep[];
    };

export interface DrillRunner extends Drill {
  state: () => DrillState;
  /** Where prices stand at the next step, as a share of where they would be without any drill; while it runs they stand
   * still otherwise. */
  advance: () => { level: number; isRunning: boolean };
  /** What that step made of the chain. */
  note: (step: DrillStep) => void;
}

/** @param stepSeconds of the chain's time, between two prices. */
export function openDrill(stepSeconds: number): DrillRunner {
  let level = 1;
  let state: DrillState = { phase: "none" };
  let last: DrillStep | undefined;
  let from = level;
  let taken = 0;

  return {
    state: () => state,
    start({ fall, minutes }) {
      if (state.phase === "falling" || state.phase === "settling")
        throw new Error("A drill is running: wait until it is over.");
      if (level * (1 - fall / 100) < LEAST_LEVEL)
        throw new Error(
          "Former drills have left too little of the prices: try a smaller fall, or start the chain anew.",
        );
      const steps = Math.max(Math.round((minutes * 60) / stepSeconds), 1);
      state = { phase: "falling", fall, minutes, steps, path: last ? [last] : [] };
      [from, taken] = [level, 0];
    },
    advance() {
      if (state.phase === "none" || state.phase === "over") return { level, isRunning: false };
      taken++;
      const share = Math.min(taken / state.steps, 1);
      level = from * (1 - (state.fall / 100) * share);
      return { level, isRunning: true };
    },
    note(step) {
      last = step;
      if (state.phase === "none" || state.phase === "over") return;
      // A drill that was asked for while this step was under way begins with the next one.
      const path = taken === 0 ? [step] : [...state.path, step];
      const phase = taken < state.steps ? "falling" : taken < state.steps + AFTERMATH ? "settling" : "over";
      state = { ...state, path, phase };
    },
  };
}
