// npm run test:deep: see HELP.
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Coverage, RARE } from "../test/differential/coverage.ts";
import { SHAPES } from "../test/differential/shapes.ts";
import { tinyArtifacts } from "../test/support/tiny.ts";
import {
  identityOf,
  type Job,
  jobAt,
  type Progress,
  readProgress,
  type Report,
  STEPS_A_RUN,
  stepsOf,
  type Variant,
  writeProgress,
} from "./deep/jobs.ts";

const ROOT = join(import.meta.dirname, "..");
const FILE = join(ROOT, "cache", "deep", "progress.json");
const DEFAULTS = { steps: 100_000, seed: 1, workers: 2 };

const HELP = `npm run test:deep -- [--steps N] [--seed S] [--tiny | --normal] [--shape K] [--workers W] [--fresh] [--json]

Random operations of lenders, borrowers, keepers and a failing oracle, on the deployed contracts and on the exact reference
model, everything compared after each (test/differential): in ${SHAPES.length} kinds of market, first as compiled, then with a node index
of 20 bits instead of 80, in which a wrongly rounded index costs percents. Then the fuzz and invariant tests in Solidity with
the deep profile of hardhat.config.ts.

It continues where it was interrupted (cache/deep), unless contracts, model or test have changed. A run that differs is
shrunk to a few operations and kept in test/differential/regressions, which npm test replays.

--steps N    steps of each variant (${DEFAULTS.steps.toLocaleString("en")})
--seed S     of the first run; the following have the following ones (${DEFAULTS.seed})
--tiny       only with the tiny index; no Solidity
--normal     only as compiled; no Solidity
--shape K    one run of seed S in market K, from 0 to ${SHAPES.length - 1}; no Solidity
--find TEXT  with --shape: keeps the shortest way to a branch, of those that the summary counts, if the run reaches it
--workers W  processes (${DEFAULTS.workers})
--fresh      from the beginning
--json       prints the figures as JSON

Exit code 1: a difference, or a Solidity test that failed.`;

const { values } = parseArgs({
  options: {
    steps: { type: "string" },
    seed: { type: "string" },
    tiny: { type: "boolean" },
    normal: { type: "boolean" },
    shape: { type: "string" },
    find: { type: "string" },
    workers: { type: "string" },
    fresh: { type: "boolean" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});

function integer(name: string, value: string | undefined, byDefault: number, most: number): number {
  if (value === undefined) return byDefault;
  const digits = value.replaceAll("_", "");
  if (!/^\d{1,15}$/.test(digits) || Number(digits) > most) {
    throw new Error(`--${name} ${value}: a whole number up to ${most} is needed`);
  }
  return Number(digits);
}

const log = (line: string) => (values.json ? console.error(line) : console.log(line));

/** Processes that take jobs. */
class Workers {
  private readonly idle: ChildProcess[];

  constructor(count: number) {
    this.idle = Array.from({ length: count }, () =>
      fork(join(import.meta.dirname, "deep", "worker.ts"), [], {
        cwd: ROOT,
        execArgv: ["--import", "tsx"],
      }),
    );
  }

  /** Runs jobs until there is none; `done` hears of each. */
  async run(next: () => Job | undefined, done: (report: Report) => void): Promise<void> {
    const loop = async (worker: ChildProcess) => {
      for (let job = next(); job !== undefined; job = next()) done(await this.ask(worker, job));
    };
    await Promise.all(this.idle.map(loop));
  }

  stop(): void {
    for (const worker of this.idle) worker.kill();
  }

  private ask(worker: ChildProcess, job: Job): Promise<Report> {
    return new Promise((resolve, reject) => {
      const exit = (code: number | null) => {
        reject(new Error(`A worker ended with code ${code} in ${JSON.stringify(job)}`));
      };
      worker.once("exit", exit);
      worker.once("message", (report: Report) => {
        worker.off("exit", exit);
        resolve(report);
      });
      worker.send(job);
    });
  }
}

function describe({ job, steps, failure, ambiguous, kept }: Report): string {
  const where = `${job.variant} ${SHAPES[job.shape]!.name}, --shape ${job.shape} --seed ${job.seed}`;
  if (failure !== undefined) return `DIFFERS after ${steps} steps: ${where}\n${failure}\nkept: ${kept}`;
  return ambiguous === undefined ? where : `too close to call after ${steps} steps: ${where}`;
}

function summary(variant: Variant, { reports, seconds, seed }: Progress) {
  const coverage = new Coverage();
  for (const report of reports) coverage.add(Object.entries(report.coverage));
  return {
    variant,
    seeds: [seed, seed + reports.length - 1],
    runs: reports.length,
    steps: stepsOf(reports),
    operations: reports.reduce((sum, { operations }) => sum + operations, 0),
    seconds: Math.round(seconds),
    differences: reports.filter(({ failure }) => failure !== undefined).length,
    tooCloseToCall: reports.filter(({ ambiguous }) => ambiguous !== undefined).length,
    coverage: coverage.toJson(),
  };
}

function toText(figures: ReturnType<typeof summary>): string {
  const { variant, seeds, runs, steps, operations, seconds, differences, tooCloseToCall, coverage } = figures;
  const counts = RARE.map((what) => `${what} ${coverage[what] ?? 0}`).join(", ");
  const refusals = Object.entries(coverage).filter(([what]) => what.startsWith("refused: "));
  return [
    `${variant}: ${steps.toLocaleString("en")} steps (${operations.toLocaleString("en")} operations) in ${runs} runs, ` +
      `seeds ${seeds.join(" to ")}, ${(seconds / 60).toFixed(1)} min, ${(steps / seconds).toFixed(0)} steps/s; ` +
      `${differences} differences, ${tooCloseToCall} runs ended where a decision was too close to call`,
    `  reached: ${counts}`,
    `  refused: ${refusals.map(([what, times]) => `${what.slice(9)} ${times}`).join(", ")}`,
  ].join("\n");
}

/** Runs what is missing of `steps`, and keeps how far it came after each run. */
async function runVariant(
  workers: Workers,
  variant: Variant,
  progress: Progress,
  steps: number,
  save: () => void,
): Promise<void> {
  const { reports, seed, seconds } = progress;
  const startedAt = Date.now();
  const taken = new Set(reports.map(({ job }) => job.seed - seed));
  let index = 0;
  let underWay = 0;
  const next = (): Job | undefined => {
    if (stepsOf(reports) + underWay >= steps) return undefined;
    while (taken.has(index)) index++;
    taken.add(index);
    const job = jobAt(variant, index, seed, SHAPES.length);
    underWay += job.steps;
    return job;
  };
  await workers.run(next, (report) => {
    underWay -= report.job.steps;
    reports.push(report);
    progress.seconds = seconds + (Date.now() - startedAt) / 1000;
    save();
    const done = stepsOf(reports);
    const rate = (done / progress.seconds).toFixed(0);
    log(`${done.toLocaleString("en")} steps, ${rate}/s: ${describe(report)}`);
  });
}

async function runOne(workers: Workers, job: Job): Promise<void> {
  let left: Job | undefined = job;
  const next = () => {
    const now = left;
    left = undefined;
    return now;
  };
  await workers.run(next, (report) => {
    log(describe(report));
    if (report.ambiguous !== undefined) log(report.ambiguous);
    if (report.kept !== undefined) log(`kept: ${report.kept}`);
    console.log(JSON.stringify({ ...report.coverage, steps: report.steps }, null, 2));
    if (report.failure !== undefined) process.exitCode = 1;
  });
}

function testSolidity(): void {
  const { status } = spawnSync("hardhat", ["test", "solidity", "--test-profile", "deep"], {
    cwd: ROOT,
    stdio: "inherit",
    shell: true,
  });
  if (status !== 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(HELP);
    return;
  }
  const seed = integer("seed", values.seed, DEFAULTS.seed, 2 ** 48);
  const workers = new Workers(integer("workers", values.workers, DEFAULTS.workers, 64));
  try {
    if (values.shape !== undefined) {
      const shape = integer("shape", values.shape, 0, SHAPES.length - 1);
      const steps = integer("steps", values.steps, STEPS_A_RUN, 100_000);
      const variant = values.tiny ? "tiny" : "normal";
      await runOne(workers, { variant, shape, seed, steps, ...(values.find && { find: values.find }) });
      return;
    }
    const steps = integer("steps", values.steps, DEFAULTS.steps, 100_000_000);
    const kept = values.fresh ? {} : readProgress(FILE);
    const code = identityOf(ROOT);
    for (const variant of ["normal", "tiny"] as const) {
      if ((values.tiny && variant === "normal") || (values.normal && variant === "tiny")) continue;
      let progress = kept[variant];
      if (progress?.seed !== seed || progress.code !== code) {
        if (progress !== undefined)
          log(`${variant}: from the beginning, for the seed or the code is another`);
        progress = { code, seed, reports: [], seconds: 0 };
      }
      kept[variant] = progress;
      if (variant === "tiny") await tinyArtifacts(); // compiled once for all workers
      await runVariant(workers, variant, progress, steps, () => writeProgress(FILE, kept));
      const figures = summary(variant, progress);
      console.log(values.json ? JSON.stringify(figures) : toText(figures));
      if (figures.differences !== 0) process.exitCode = 1;
    }
  } finally {
    workers.stop();
  }
  if (!values.tiny && !values.normal) testSolidity();
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
