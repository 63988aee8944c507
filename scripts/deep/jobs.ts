// What the long differential run consists of, and how far it has come.
import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export type Variant = "normal" | "tiny";

/** One run of one seed in one market. */
export interface Job {
  variant: Variant;
  shape: number;
  seed: number;
  steps: number;
  /** Keep the shortest way to this branch (coverage.ts), if the run reaches it. */
  find?: string;
}

export interface Report {
  job: Job;
  /** What was done of the job's steps: fewer if a decision was too close to call, or something differed. */
  steps: number;
  operations: number;
  coverage: Record<string, number>;
  ambiguous?: string;
  failure?: string;
  /** Where the shrunk sequence of the failure, or to the branch, was kept. */
  kept?: string;
}

/** Of one variant. */
export interface Progress {
  /** What was run: the contracts, the model and the test. */
  code: string;
  seed: number;
  reports: Report[];
  /** Of work: what was waited for only once, however many workers there were. */
  seconds: number;
}

export const STEPS_A_RUN = 400;

/** The jobs of a variant, in their order: every market in turn, each run with its own seed. */
export function jobAt(variant: Variant, index: number, seed: number, shapes: number): Job {
  return { variant, shape: index % shapes, seed: seed + index, steps: STEPS_A_RUN };
}

export const stepsOf = (reports: readonly Report[]) => reports.reduce((sum, { steps }) => sum + steps, 0);

/** Of everything that a run depends on. */
export function identityOf(root: string): string {
  const hash = createHash("sha256");
  const sources = globSync(["contracts/**/*.sol", "test/{model,differential,support}/*.ts"], { cwd: root });
  for (const file of sources.sort()) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex").slice(0, 16);
}

export function readProgress(file: string): Partial<Record<Variant, Progress>> {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Partial<Record<Variant, Progress>>;
  } catch {
    return {};
  }
}

export function writeProgress(file: string, progress: Partial<Record<Variant, Progress>>): void {
  mkdirSync(dirname(file), { recursive: true });
  // An interruption leaves the old file or the new one.
  writeFileSync(`${file}.new`, JSON.stringify(progress));
  renameSync(`${file}.new`, file);
}
