// npm run test:mutants: see HELP.
import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { generate, type Mutant } from "./mutants/generate.ts";
import { build, fingerprint } from "./mutants/project.ts";
import { readKills, writeKills } from "./mutants/kills.ts";
import { type Result, summarize, toMarkdown, toTable } from "./mutants/report.ts";
import { STAGES } from "./mutants/stages.ts";
import type { Failure, Job, Verdict } from "./mutants/worker.ts";

const HELP = `npm run test:mutants -- [--file NAMES] [--id N] [--survivors] [--sample N] [--fresh] [--jobs N] [--list] [--json]

Changes the contracts in one place at a time and runs the quick suite: a change that no test notices survives, and shows
what is not tested. All changes are compiled at once, each behind a question which of them is active; so the first run
builds for some minutes, and every mutant takes seconds. Results are kept in cache/mutants: an interrupted run goes on.
What was killed is also kept in scripts/mutants/kills.json, which is committed: while a mutated file stays as it is, its
mutants need not die again. Every run writes docs/audit/mutants.md and mutants.json, of the files all of whose mutants
have been run.

--file NAMES  mutants of these files only: Grid,TickBook,…
--id N        shows one mutant and what its tests say
--survivors   runs those again that survived, and those that are explained, which a run leaves out
--sample N    N mutants, evenly spread
--fresh       forgets what is known
--jobs N      processes (all cores)
--list        lists the mutants, runs nothing
--json        prints the results as JSON

Exit code 1: a mutant survived that scripts/mutants/explanations.json does not explain.`;

const { values: options } = parseArgs({
  options: {
    file: { type: "string" },
    id: { type: "string" },
    survivors: { type: "boolean" },
    sample: { type: "string" },
    fresh: { type: "boolean" },
    jobs: { type: "string" },
    list: { type: "boolean" },
    json: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (options.help) {
  console.log(HELP);
  process.exit();
}

const root = fileURLToPath(new URL("..", import.meta.url));
const home = join(root, "cache/mutants");
const project = join(home, "project");
const record = join(home, "results.jsonl");
const say = (text: string) => console.error(text);

// ------------------------------------------------------------------ what to run

const { mutants, sources } = generate(root, Object.keys(STAGES));
const contracts = fingerprint(root, sources, false);
/** By file: a result counts until its file changes. */
const versions = new Map(
  [...sources.keys()].map((file) => [file, existsSync(join(root, file)) ? hashOf([file]) : ""]),
);
const suite = hashOf(globSync("test/**/*.{ts,sol}", { cwd: root }).toSorted());
const chosen = choose();
if (options.list) {
  const rows = chosen.map(
    ({ id, file, line, rule, before, after }) => `${id}\t${file}:${line}\t${rule}\t${before}\t${after}\n`,
  );
  writeFileSync(1, rows.join("")); // a pipe would lose what console.log has not written yet
  process.exit();
}

function choose(): Mutant[] {
  if (options.id !== undefined) {
    const mutant = mutants.find(({ id }) => id === Number(options.id));
    if (!mutant) throw new Error(`There is no mutant ${options.id}; the last is ${mutants.length}`);
    return [mutant];
  }
  const names = options.file?.split(",");
  const ours = mutants.filter(({ file }) => names?.some((name) => file.endsWith(`/${name}.sol`)) ?? true);
  if (ours.length === 0)
    throw new Error(`No mutants of ${options.file}; files: ${Object.keys(STAGES).join(", ")}`);
  const size = Number(options.sample ?? ours.length);
  const step = Math.max(1, ours.length / size);
  return ours.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

function hashOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

// ------------------------------------------------------------------ what is known

const explanations = JSON.parse(
  readFileSync(new URL("mutants/explanations.json", import.meta.url), "utf8"),
) as Record<string, string>;
/** What nobody can notice is tried only when asked for; last, and not by the expensive tests. */
const isExplained = ({ key }: Mutant) => key in explanations;

/** One line of the record. */
interface Known {
  key: string;
  /** Of the mutated file. */
  version: string;
  suite: string;
  killedBy: Failure | null;
  milliseconds: number;
  /** It passed the cheap stages; the others wait until all mutants have been through these. */
  early?: boolean;
}

const known = new Map<string, Known>();
/** What killed it before, by key; what killed its neighbours lately, by function and by file. */
const killers = new Map<string, Failure>();
const recent = new Map<string, Failure[]>();
const kills = fileURLToPath(new URL("mutants/kills.json", import.meta.url));
if (!options.fresh) {
  const lines = existsSync(record) ? readFileSync(record, "utf8").split("\n").filter(Boolean) : [];
  const committed = readKills(kills, mutants).map((kill) => ({ ...kill, suite: "", milliseconds: 0 }));
  for (const entry of [...committed, ...lines.map((line) => JSON.parse(line) as Known)]) {
    if (entry.killedBy) killers.set(entry.key, entry.killedBy);
    // Of changed sources only the test that will probably kill again is worth knowing.
    if (entry.version === versions.get(entry.key.split(" ")[0]!)) known.set(entry.key, entry);
  }
}

/** Killed stays killed; what survived is tried again when the tests have changed. */
function isKnown({ key }: Mutant): boolean {
  const entry = known.get(key);
  if (!entry) return false;
  return entry.killedBy !== null || (entry.suite === suite && entry.early !== true && !options.survivors);
}

// ------------------------------------------------------------------ workers

type Task = Omit<Job, "excluded">;

const excluded: string[] = [];
const jobs = Number(options.jobs ?? availableParallelism());

class Worker {
  readonly #name: number;
  #process: ChildProcess | undefined;
  #served = 0;

  constructor(name: number) {
    this.#name = name;
  }

  /** The failures of each stage that ran. */
  async run(task: Task, limits: ReadonlyMap<string, number>): Promise<Verdict[]> {
    // Chains and modules that are done with leave something behind.
    if (this.#served++ >= 60) this.stop();
    this.#process ??= fork(fileURLToPath(new URL("mutants/worker.ts", import.meta.url)), {
      cwd: project,
      env: {
        ...process.env,
        MUTANTS_ARTIFACTS: join(home, `artifacts-${this.#name}`),
      },
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const child = this.#process;
    const verdicts: Verdict[] = [];
    return await new Promise((resolve) => {
      // The first verdict is that of the likely tests.
      const stageNow = () => task.stages[Math.max(0, verdicts.length - 1)]!.name;
      const give = (test: string) => {
        const failure = { stage: stageNow(), test, message: "" };
        verdicts.push({
          mutant: task.mutant,
          stage: stageNow(),
          failures: [failure],
          milliseconds: 0,
          done: true,
        });
        this.stop();
        finish();
      };
      let timer: NodeJS.Timeout;
      const watch = () => {
        clearTimeout(timer);
        timer = setTimeout(() => give("(timeout)"), 2 * (limits.get(stageNow()) ?? 300_000));
      };
      const hear = (verdict: Verdict) => {
        verdicts.push(verdict);
        if (verdict.done) finish();
        else watch();
      };
      const crash = () => give("(crash)");
      const finish = () => {
        clearTimeout(timer);
        child.off("message", hear).off("exit", crash);
        resolve(verdicts);
      };
      child.on("message", hear).on("exit", crash);
      watch();
      child.send({ ...task, excluded } satisfies Job);
    });
  }

  stop() {
    this.#process?.removeAllListeners("exit");
    this.#process?.kill("SIGKILL");
    this.#process = undefined;
    this.#served = 0;
  }
}

// ------------------------------------------------------------------ run

/** A stage without any mutant: what fails cannot kill, and how long it takes. */
interface Baseline {
  contracts: string;
  tests: string;
  failures: Failure[];
  milliseconds: number;
}

async function readBaseline(worker: Worker): Promise<Map<string, Baseline>> {
  const file = join(home, "baseline.json");
  const old = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, Baseline>) : {};
  const stagesByName = new Map(
    Object.values(STAGES).flatMap((list) => list.map((stage) => [stage.name, stage])),
  );
  const baselines = new Map(
    Object.entries(old).filter(([name, baseline]) => {
      const stage = stagesByName.get(name);
      return stage && baseline.contracts === contracts && baseline.tests === hashOf([stage.file]);
    }),
  );
  const stages = [...stagesByName.values()].filter(({ name }) => !baselines.has(name));
  if (stages.length === 0) return baselines;
  say("Running the suite on contracts in which no mutant is active …");
  const verdicts = await worker.run({ mutant: 0, stages, likely: [], whole: true }, new Map());
  worker.stop();
  for (const stage of stages) {
    const { failures, milliseconds } = verdicts.find((verdict) => verdict.stage === stage.name)!;
    const broken = failures.find(({ test }) => test.startsWith("("));
    if (broken) throw new Error(`${stage.name} ${broken.test}: ${broken.message}`);
    baselines.set(stage.name, { contracts, tests: hashOf([stage.file]), failures, milliseconds });
  }
  writeFileSync(file, JSON.stringify(Object.fromEntries(baselines), null, 2));
  return baselines;
}

const isEarly = ({ key }: Mutant) => {
  const entry = known.get(key);
  return entry?.suite === suite && entry.early === true;
};

function taskOf(mutant: Mutant, late: boolean): Task {
  const killer = killers.get(mutant.key);
  const whole = options.id !== undefined;
  const likely = whole
    ? []
    : [...(killer ? [killer] : []), ...neighboursOf(mutant)].filter(({ test }) => !isNoTest(test));
  const stages = STAGES[mutant.file]!.filter((stage) => whole || (stage.late ?? false) === late);
  return { mutant: mutant.id, stages, likely, whole };
}

const isNoTest = (test: string) => /^\(|^setUp|" hook /.test(test);

/** The latest killers of the same function, then of the same file. */
function neighboursOf({ file, function: name }: Mutant): Failure[] {
  const all = [...(recent.get(`${file} ${name}`) ?? []), ...(recent.get(file) ?? [])];
  return all.filter(({ test }, index) => all.findIndex((other) => other.test === test) === index);
}

function remember({ file, function: name }: Mutant, killer: Failure) {
  for (const place of [`${file} ${name}`, file]) {
    const others = (recent.get(place) ?? []).filter(({ test }) => test !== killer.test);
    recent.set(place, [killer, ...others].slice(0, 4));
  }
}

const show = ({ id, file, line, rule, before, after }: Mutant) =>
  `${id} ${file}:${line} ${rule}\n    - ${before}\n    + ${after || "(removed)"}`;

const saveKills = () =>
  writeKills(
    kills,
    [...known.values()].flatMap(({ killedBy, ...entry }) => (killedBy ? [{ ...entry, killedBy }] : [])),
  );

mkdirSync(home, { recursive: true });
const waiting =
  options.id === undefined
    ? chosen.filter((mutant) => !isKnown(mutant) && (options.survivors || !isExplained(mutant)))
    : chosen;
const workers = Array.from({ length: Math.max(1, Math.min(jobs, waiting.length)) }, (_, i) => new Worker(i));
if (waiting.length > 0) {
  say(`${mutants.length} mutants, ${waiting.length} to run. Building …`);
  build(root, project, sources);
  const baselines = await readBaseline(workers[0]!);
  for (const { stage, test, message } of [...baselines.values()].flatMap(({ failures }) => failures)) {
    say(`Left out, fails without a mutant: ${stage}: ${test}: ${message}`);
    excluded.push(`${stage}: ${test}`);
  }
  const limits = new Map(
    [...baselines].map(([stage, { milliseconds }]) => [stage, 60_000 + 10 * milliseconds]),
  );
  // In such an order that any part of the run is a fair sample of what is not explained.
  const early = waiting
    .filter((mutant) => !isEarly(mutant))
    .map((mutant) => ({ mutant, place: createHash("sha256").update(mutant.key).digest("hex") }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ mutant }) => mutant);
  const open = early.filter((mutant) => !isExplained(mutant));
  const explained = early.filter(isExplained);
  const late = waiting.filter(isEarly);
  const total = waiting.length;
  const began = Date.now();
  let done = 0;
  await Promise.all(
    workers.map(async (worker) => {
      for (;;) {
        const isLate = open.length === 0 && late.length > 0;
        const mutant = open.shift() ?? late.shift() ?? explained.shift();
        if (!mutant) break;
        const task = taskOf(mutant, isLate);
        const verdicts = await worker.run(task, limits);
        const failures = verdicts.flatMap((verdict) => verdict.failures);
        const milliseconds = verdicts.reduce((sum, verdict) => sum + verdict.milliseconds, 0);
        if (failures[0]) remember(mutant, failures[0]);
        const killedBy = failures[0] ?? null;
        const waits =
          !task.whole &&
          !isLate &&
          killedBy === null &&
          !isExplained(mutant) &&
          STAGES[mutant.file]!.some((stage) => stage.late);
        const entry: Known = {
          key: mutant.key,
          version: versions.get(mutant.file)!,
          suite,
          killedBy,
          milliseconds,
        };
        if (waits) {
          entry.early = true;
          late.push(mutant);
        } else {
          done++;
        }
        known.set(mutant.key, entry);
        appendFileSync(record, JSON.stringify(entry) + "\n");
        if (task.whole) {
          say(show(mutant));
          for (const { stage, milliseconds: time, failures: found } of verdicts) {
            say(`  ${stage}: ${found.length === 0 ? "passes" : "fails"}, ${time} ms`);
            for (const { test, message } of found) say(`    ${test}: ${message}`);
          }
        } else if (entry.killedBy === null) {
          say(`${waits ? "Survived so far" : "Survived"}: ${show(mutant)}`);
        }
        if (done % 50 === 0 && !waits) {
          saveKills();
          const minutes = ((Date.now() - began) / 60_000).toFixed(1);
          say(`${done} of ${total} after ${minutes} minutes`);
        }
      }
      worker.stop();
    }),
  );
}

// ------------------------------------------------------------------ result

saveKills();
const resultOf = (mutant: Mutant): Result => ({
  ...mutant,
  killedBy: known.get(mutant.key)?.killedBy ?? null,
  milliseconds: known.get(mutant.key)?.milliseconds ?? 0,
  explanation: explanations[mutant.key] ?? "",
});
const results = chosen.map(resultOf);
const summary = summarize(results);
if (options.json) console.log(JSON.stringify({ ...summary, results }, null, 2));
else if (options.id === undefined) console.log(toTable(summary));

if (options.id === undefined) {
  const isDone = (mutant: Mutant) => isKnown(mutant) || isExplained(mutant);
  const files = Object.keys(STAGES);
  const missing = files.filter((file) => mutants.some((mutant) => mutant.file === file && !isDone(mutant)));
  const all = summarize(mutants.filter(({ file }) => !missing.includes(file)).map(resultOf));
  for (const key of Object.keys(explanations)) {
    if (known.get(key)?.killedBy) say(`Explained, but no survivor: ${key}`);
  }
  const audit = join(root, "docs/audit");
  mkdirSync(audit, { recursive: true });
  writeFileSync(join(audit, "mutants.md"), toMarkdown(all, missing));
  writeFileSync(join(audit, "mutants.json"), JSON.stringify(all, null, 2) + "\n");
}
if (summary.survivors.some(({ explanation }) => explanation === "")) process.exitCode = 1;
