// npm run bench: see HELP.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { deployAave } from "./aave.ts";
import { withAdapter, withSlot } from "./breakwater.ts";
import { Chain } from "./chain.ts";
import { compileOwn, ROOT } from "./compile.ts";
import { calledIn, explain, functionTable, kindTable, slotTable } from "./explain.ts";
import { deployMorpho } from "./morpho.ts";
import { type Result, worsened } from "./results.ts";
import {
  CRASHES,
  type Crash,
  totalGas,
  LARGE_CRASH,
  type Measurement,
  measureAll,
  SPARSE_CRASH,
  Stage,
} from "./run.ts";
import type { Protocol } from "./scene.ts";
import { readSymbols } from "./symbols.ts";
import { type Extra, extraTable, format, peerTable, sourceTable, targetTable } from "./tables.ts";

/** Operations that can be explained, and what has to be played for each. */
const EXPLAINED = new Map<string, (stage: Stage) => Promise<Measurement[]>>([
  ...["open-populated", "add-collateral", "repay", "withdraw", "close"].map(
    (step) => [step, async (stage: Stage) => stage.life("populated")] as const,
  ),
  ...["open-fresh", "add-collateral-fresh", "repay-fresh", "withdraw-fresh", "close-fresh"].map(
    (step) => [step, async (stage: Stage) => stage.life("fresh")] as const,
  ),
  ["open-new-region", async (stage) => [await stage.openInNewRegion()]],
  ["leverage-open", async (stage) => stage.leverage(stage.protocol.leverage[0]!)],
  ["leverage-close", async (stage) => stage.leverage(stage.protocol.leverage[0]!)],
  ["lender-deposit", async (stage) => stage.lend()],
  ["lender-withdraw", async (stage) => stage.lend()],
  ["liquidate-1", async (stage) => [await stage.liquidate(CRASHES[0]!)]],
  ["liquidate-10", async (stage) => [await stage.liquidate(CRASHES[1]!)]],
  ["liquidate-100", async (stage) => [await stage.liquidate(CRASHES[2]!)]],
  ["liquidate-sparse", async (stage) => [await stage.liquidate(SPARSE_CRASH)]],
]);

const HELP = `npm run bench -- [--ours [--check] | --docs] [--json]
npm run bench -- --explain OPERATION

Gas of daily operations and of liquidations, from the receipts of one chain in process: Breakwater through its proxies,
Morpho Blue and Aave v3.0, with OpenZeppelin tokens, max approvals, 200 positions in the background, interest that runs,
and the same one-slot price source for all; then Breakwater with its real adapter over a feed and a Uniswap v3 average.
Every run gives the same figures. Writes bench/results.json. The first run installs the peers into bench/node_modules.

--ours      only Breakwater, by the slot, without the 10,000 positions; the peers' figures are those of
            bench/results.json. Writes nothing and installs nothing.
--check     with --ours: fails if an operation costs more gas than bench/results.json says (npm run check:gas).
--docs      also puts the tables, with today's date, into README.md and docs/bench.md.
--json      prints what bench/results.json holds, and nothing else.

--explain OPERATION  where the gas of one of Breakwater's operations goes, from its trace: by contract and kind, by storage
                     slot, by function. OPERATION: ${[...EXPLAINED.keys()].join(", ")}.

Exit code 1: something could not be measured, or has become dearer (--check). A target that is not reached is only reported.`;

/** Of the first block; far from any date that a contract could mistake for something else. */
const STARTS_AT = 1_900_000_000;
const DOCS = ["README.md", "docs/bench.md"];
const RESULTS = join(ROOT, "bench/results.json");

/** An argument that cannot be served. */
class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        ours: { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        docs: { type: "boolean", default: false },
        explain: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new ArgumentError(`${error instanceof Error ? error.message : String(error)}; see --help`);
  }
}

/** Progress goes to stderr: `--json` keeps a clean stdout. */
const say = (line: string) => console.error(`${line} …`);

async function measure(onlyOurs: boolean): Promise<{ results: Result[]; extras: Extra[] }> {
  const chain = await Chain.create(STARTS_AT);
  const own = compileOwn();
  const empty = await chain.snapshot();
  const results: Result[] = [];
  const extras: Extra[] = [];
  const play = async (protocol: Protocol, priceSource: Result["priceSource"], crashes: Crash[]) => {
    const stage = await Stage.prepare(chain, protocol);
    for (const measurement of await measureAll(stage, crashes)) {
      const result = resultOf(measurement, protocol.name, priceSource);
      if (result) results.push(result);
      else if (protocol.name === "breakwater" && priceSource === "slot") {
        extras.push({ label: measurement.step, gas: Number(totalGas(measurement)) });
      }
    }
  };

  say("Breakwater");
  const { breakwater, slot, setPrice, exchange } = await withSlot(chain, own);
  const deployed = await chain.snapshot();
  await play(breakwater, "slot", [...CRASHES, SPARSE_CRASH, ...(onlyOurs ? [] : [LARGE_CRASH])]);
  if (onlyOurs) return { results: [...results, ...peersOf(readResults())], extras };

  const scene = { collateral: breakwater.collateral, debt: breakwater.debt, slot, setPrice, exchange };
  await chain.restore(deployed);
  say("Morpho Blue");
  await play(await deployMorpho(chain, own, scene), "slot", CRASHES);
  await chain.restore(deployed);
  say("Aave v3.0");
  await play(await deployAave(chain, own, scene), "slot", CRASHES);
  await chain.restore(empty);
  say("Breakwater with its adapter");
  await play(await withAdapter(chain), "adapter", [...CRASHES, SPARSE_CRASH]);
  return { results, extras };
}

/** Undefined: a variant that only the tables show. */
function resultOf(
  measurement: Measurement,
  protocol: Result["protocol"],
  priceSource: Result["priceSource"],
): Result | undefined {
  const { step, crash, by } = measurement;
  switch (step) {
    case "add-collateral-fresh":
    case "repay-fresh":
    case "withdraw-fresh":
    case "close-fresh":
      return undefined;
  }
  return {
    protocol,
    operation: step,
    ...(crash && { positions: crash.positions, ticks: crash.ticks }),
    ...(crash && crash.every !== 1 && { every: crash.every }),
    ...(by && { by }),
    priceSource,
    gas: Number(totalGas(measurement)),
  };
}

const readResults = () => JSON.parse(readFileSync(RESULTS, "utf8")) as Result[];
const peersOf = (results: Result[]) => results.filter(({ protocol }) => protocol !== "breakwater");

/** Every table between its two marks, with the day of the run. */
function writeDocs(results: Result[]): void {
  const day = new Date().toISOString().slice(0, 10);
  const tables = { peers: peerTable(results), sources: sourceTable(results), targets: targetTable(results) };
  for (const file of DOCS) {
    const path = join(ROOT, file);
    const text = readFileSync(path, "utf8").replace(
      /(<!-- bench (\w+) -->\n)[^]*?(<!-- \/bench -->)/g,
      (_, open: string, name: keyof typeof tables, close: string) =>
        `${open}\`npm run bench\`, ${day}:\n\n${format(tables[name], true)}\n${close}`,
    );
    writeFileSync(path, text);
  }
}

/** Cheaper is no failure: the next full run writes it down. */
function check(results: Result[]): void {
  for (const { key, gas, before } of worsened(results, readResults())) {
    console.error(`${JSON.stringify(key)}: ${gas} gas, bench/results.json says ${before ?? "nothing"}`);
    process.exitCode = 1;
  }
}

async function explainOperation(operation: string): Promise<void> {
  const play = EXPLAINED.get(operation);
  if (!play) throw new ArgumentError(`--explain ${operation} is not an operation; see --help`);
  const chain = await Chain.create(STARTS_AT);
  const { breakwater, slot, exchange } = await withSlot(chain, compileOwn());
  const measurements = await play(await Stage.prepare(chain, breakwater));
  const { receipts } = measurements.find(({ step }) => step === operation) ?? measurements[0]!;
  const [receipt] = receipts;
  const steps = await chain.trace(receipt!.hash);
  const roles = Object.fromEntries(
    Object.entries({
      vault: breakwater.vault,
      liquidator: breakwater.liquidator,
      collateral: breakwater.collateral,
      debt: breakwater.debt,
      SlotPrice: slot,
      "Uniswap's router": exchange.router,
      "Uniswap's pool": exchange.pool,
    }).map(([role, address]) => [address.toLowerCase(), role]),
  );
  const symbols = await readSymbols(chain, [receipt!.to, ...calledIn(steps)], roles);
  const explanation = explain(steps, receipt!, symbols);
  const tables = [kindTable(explanation), slotTable(explanation), functionTable(explanation)];
  console.log(tables.map((table) => format(table)).join("\n\n"));
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
    return;
  }
  if (options.explain !== undefined) return explainOperation(options.explain);
  if (options.check && !options.ours) throw new ArgumentError("--check goes with --ours; see --help");
  if (!options.ours) {
    const install = join(ROOT, "scripts/ensure-install.mjs");
    execFileSync(process.execPath, [install, "bench"], { stdio: ["ignore", 2, 2] });
  }
  const { results, extras } = await measure(options.ours);
  const json = JSON.stringify(results, null, 2);
  if (!options.ours) writeFileSync(RESULTS, `${json}\n`);
  if (options.docs && !options.ours) writeDocs(results);
  if (options.check) check(results);
  if (options.json) {
    console.log(json);
    return;
  }
  const tables = [peerTable(results), extraTable(extras), targetTable(results)];
  if (!options.ours) tables.splice(1, 0, sourceTable(results));
  console.log(tables.map((table) => format(table)).join("\n\n"));
}

try {
  await main();
} catch (error) {
  // What a person can mend is told in a line; anything else is a fault of ours, with its trace.
  if (error instanceof ArgumentError) console.error(`${error.name}: ${error.message}`);
  else console.error(error);
  process.exitCode = 1;
}
