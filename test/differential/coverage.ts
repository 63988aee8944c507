/** What a run has reached: without it, 'no difference' would say nothing. */
import type { BookState } from "./storage.ts";

/** Branches that long runs must have reached, in the order in which they are printed. */
export const RARE = [
  "partial landing",
  "merge into a populated tick",
  "budget too small for a step",
  "dust",
  "insolvent tick skipped",
  "bonus at its minimum",
  "bonus at its maximum",
  "bonus by the gap",
  "bonus at the equity cap",
  "tick sold",
  "tick seized",
  "seizure by a lender",
  "seizure in a grace period",
  "dust joins an old pot",
  "pot sold whole",
  "pot sold in part",
  "pot sold above its debt",
  "loss paid by insurance",
  "loss paid by reserves",
  "loss paid by lenders",
  "tick held at its old place",
  "bottom tick",
  "two links deep",
  "three links deep",
  "rebase",
  "everybody left",
  "ramp halted",
  "ramp goes on",
  "wind-down",
  "cascade cap reached",
  "one step that counts whole",
  "seized beyond the cap at two rounds",
  "settled whole",
  "settled in part",
] as const;

export class Coverage {
  private readonly counts: Map<string, number>;
  private deepest = 0;
  private rebases = 0;

  constructor(counts: Record<string, number> = {}) {
    this.counts = new Map(Object.entries(counts));
  }

  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  add(counts: Iterable<readonly [string, number]>): void {
    for (const [what, times] of counts) this.count(what, times);
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0;
  }

  /** What only the book shows. */
  book({ positions }: BookState): void {
    const all = [...positions.values()];
    const depth = Math.max(...all.map((position) => position.depth));
    if (depth >= 2 && this.deepest < 2) this.count("two links deep");
    if (depth >= 3 && this.deepest < 3) this.count("three links deep");
    this.deepest = depth;
    const rebases = all.reduce((sum, position) => sum + position.rebases, 0);
    if (rebases > this.rebases) this.count("rebase");
    this.rebases = rebases;
  }

  entries(): [string, number][] {
    return [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  toJson(): Record<string, number> {
    return Object.fromEntries(this.entries());
  }
}
