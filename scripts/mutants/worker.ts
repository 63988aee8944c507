// One process that runs tests against one mutant after the other, with its own copy of the artifacts. Its parent sends
// jobs and reads verdicts over IPC; started in the copy of the project, so that `hardhat` is configured by it.
import { pathToFileURL } from "node:url";
import { join } from "node:path";

import hre, { network } from "hardhat";
import Mocha from "mocha";

import { Artifacts } from "./project.ts";
import type { Stage } from "./stages.ts";

export interface Job {
  mutant: number;
  stages: Stage[];
  /** Tried first: what killed this mutant before, or its neighbours. */
  likely: { stage: string; test: string }[];
  /** Tests that fail without any mutant, by stage and name: they depend on gas or code size. */
  excluded: string[];
  /** Runs everything, instead of stopping at the first failure. */
  whole: boolean;
}

export interface Failure {
  stage: string;
  test: string;
  message: string;
}

/** Sent after each stage, and after the likely tests. */
export interface Verdict {
  mutant: number;
  stage: string;
  failures: Failure[];
  milliseconds: number;
  /** Nothing follows. */
  done: boolean;
}

const TIMEOUT = 60_000;
const SILENT = () => true;

class Silent extends Mocha.reporters.Base {
  override epilogue() {
    // The verdict says it all.
  }
}

const { MUTANTS_ARTIFACTS: dir } = process.env;
if (dir === undefined) throw new Error("Started by scripts/mutants.ts only");
const artifacts = new Artifacts(process.cwd(), dir);

// Tests open chains and leave them to the end of the process; and their contracts are larger than any test foresees.
const chains: { close(): Promise<void> }[] = [];
const create = network.create.bind(network);
network.create = (async (options?: Parameters<typeof create>[0]) => {
  const parameters = typeof options === "string" ? { network: options } : options;
  const override = { ...parameters?.override, allowUnlimitedContractSize: true };
  const isLocal = parameters?.network === undefined || parameters.network === "default";
  const chain = await create(isLocal ? { ...parameters, override } : options);
  chains.push(chain);
  return chain;
}) as typeof network.create;

let runs = 0;

async function run(job: Job): Promise<void> {
  artifacts.activate(job.mutant);
  let began = performance.now();
  const report = (stage: string, failures: Failure[], done: boolean) => {
    const milliseconds = Math.round(performance.now() - began);
    began = performance.now();
    process.send!({ mutant: job.mutant, stage, failures, milliseconds, done } satisfies Verdict);
  };
  for (const [name, tests] of Map.groupBy(job.likely, ({ stage }) => stage)) {
    const stage = job.stages.find((candidate) => candidate.name === name);
    if (!stage || stage.kind === "source") continue;
    const failures = await runStage({ ...stage, only: matching(tests.map(({ test }) => test)) }, job);
    if (failures.length > 0) {
      report(name, failures, true);
      return;
    }
  }
  report("(likely)", [], false);
  for (const [index, stage] of job.stages.entries()) {
    const failures = await runStage(stage, job);
    const done = index === job.stages.length - 1 || (!job.whole && failures.length > 0);
    report(stage.name, failures, done);
    if (done) return;
  }
}

/** Exactly these tests. A fuzz test's name ends with its parameters, which the filter does not see. */
const matching = (tests: readonly string[]) =>
  `^(?:${tests.map((test) => test.replace(/\(.*\)$/, "").replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|")})`;

async function runStage(stage: Stage, job: Job): Promise<Failure[]> {
  const found = stage.kind === "solidity" ? await runSolidity(stage, job) : await runMocha(stage, job);
  await Promise.all(chains.splice(0).map((chain) => chain.close()));
  return found.filter(({ test }) => !job.excluded.includes(`${stage.name}: ${test}`));
}

async function runMocha(stage: Stage, { mutant, excluded, whole }: Job): Promise<Failure[]> {
  const failures: Failure[] = [];
  const fail = (test: string, error: unknown) =>
    failures.push({ stage: stage.name, test, message: firstLine(error) });
  const mocha = new Mocha({
    bail: !whole,
    timeout: TIMEOUT,
    reporter: Silent,
    ...(stage.only === undefined ? {} : { grep: new RegExp(stage.only) }),
  });
  const file = join(stage.kind === "source" ? artifacts.sources(mutant) : process.cwd(), stage.file);
  mocha.suite.emit(Mocha.Suite.constants.EVENT_FILE_PRE_REQUIRE, globalThis, file, mocha);
  try {
    // A query makes it another module: its suites are declared again.
    await import(`${pathToFileURL(file).href}?run=${runs++}`);
  } catch (error) {
    fail("(loading)", error);
    return failures;
  }
  mocha.suite.eachTest((test: Mocha.Test) => {
    if (excluded.includes(`${stage.name}: ${test.fullTitle()}`)) test.pending = true;
  });
  await new Promise<void>((resolve) => {
    mocha.run(() => resolve()).on("fail", (test, error) => fail(test.fullTitle(), error));
  });
  return failures;
}

interface SolidityTest {
  name: string;
  status: string;
  reason?: string;
}

async function runSolidity(stage: Stage, { whole }: Job): Promise<Failure[]> {
  const result = (await hre.tasks.getTask(["test", "solidity"]).run({
    testFiles: [stage.file],
    noCompile: true,
    ...(stage.only === undefined ? {} : { grep: stage.only }),
    ...(stage.except === undefined ? {} : { grepExclude: stage.except }),
  })) as { value?: SolidityRun; error?: SolidityRun };
  const { suiteResults = [] } = result.value ?? result.error ?? {};
  const tests = suiteResults.flatMap(({ testResults }) => testResults);
  if (tests.length === 0 && whole) throw new Error(`${stage.file}: no test ran`);
  return tests
    .filter(({ status }) => status === "Failure")
    .map(({ name, reason = "" }) => ({ stage: stage.name, test: name, message: firstLine(reason) }));
}

interface SolidityRun {
  suiteResults?: { testResults: SolidityTest[] }[];
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0]!.slice(0, 200);

// Mocha adds listeners with every run.
process.setMaxListeners(0);
// A test that left something running when it failed.
process.on("unhandledRejection", SILENT);
process.on("disconnect", () => process.exit());
process.on("message", (job: Job) => {
  run(job).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
