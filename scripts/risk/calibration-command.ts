// npm run risk -- calibrate: the command, and what it writes.
import { mkdirSync, readFileSync, writeFileSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";

import { Refusal, toJson } from "@breakwater/sdk/desk";
import { type Command, InvalidArgumentError, Option } from "commander";

import { type Parameters, readParameters } from "../../deploy/parameters.ts";
import { calibrationText, deskCommands, picture, withTables } from "./calibration-text.ts";
import { calibrate, type Options, marketOf, withCalibrations } from "./calibration.ts";
import { assetOf } from "./paths.ts";
const PAGE = "docs/calibration.md";
const PICTURE = "docs/calibration.svg";

const number =
  (least: number, most: number, what: string) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`${what} from ${least} to ${most}`);
    }
    return value;
  };
const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text.replaceAll("_", ""));
    if (/^[\d_]+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a whole number from ${least} to ${most}`);
  };

/** npm runs scripts in the project's folder; a path is meant from where the command was typed. */
const fromHere = (path: string) => resolve(process.env["INIT_CWD"] ?? process.cwd(), path);

export function addCalibrate(program: Command): void {
  program
    .command("calibrate")
    .description(
      "The least conservative parameters whose bad debt stays below a bound, from price history and DEX depth; back-tested on " +
        "days that they have not seen. Writes parameters that the deployment and the desk accept. See docs/calibration.md.",
    )
    .option("--parameters <name>", "a name in deploy/parameters, or a JSON file", "local")
    .option("--market <id...>", "only these")
    .option(
      "--prices <path>",
      "hourly candles: a folder of them, or the file of one asset (../shared/data, or generated)",
    )
    .addOption(
      new Option("--fit <part>", "of the history; both: each, and the more careful is taken")
        .choices(["first", "last", "both"])
        .default("both"),
    )
    .option("--share <share>", "of the history that is its first part", number(0.1, 0.9, "a share"), 0.6)
    .option(
      "--epsilon <bps>",
      "of the debt that may be lost in a year",
      number(0.01, 1e4, "basis points"),
      50,
    )
    .option("--confidence <percent>", "that it is not more", number(50, 99.9, "percent"), 95)
    .option(
      "--patience <percent>",
      "of the hours that who is at the max LTV survives",
      number(50, 99.99, "percent"),
      99,
    )
    .option("--clear <hours>", "the longest that anything may stay liquidatable", number(0, 24, "hours"), 4)
    .addOption(
      new Option("--spread <spread>", "of the borrowers' leverage")
        .choices(["drill", "edge"])
        .default("drill"),
    )
    .option("--delay <steps>", "steps of 15 minutes that keepers wait", whole(0, 96), 0)
    .option(
      "--refills <count>",
      "how often in 15 minutes others bring the pool back to the price",
      whole(1, 1e6),
      15,
    )
    .option(
      "--depth <dollars>",
      "that move the price by 2 % (else the parameters' pool)",
      number(1, 1e12, "dollars"),
    )
    .option("--cap <tokens>", "debt, whole tokens (else the largest that fits)", number(1e-6, 1e15, "tokens"))
    .option("--keep-spacing", "the grid of the parameters, as a live market must", false)
    .option("--paths <count>", "days drawn from the jump diffusion", whole(100, 1e6), 5_000)
    .option(
      "--out <dir>",
      "parameters.json, calibration.json and a picture of each market",
      "out/calibration",
    )
    .option("--docs", `put the first market's tables into ${PAGE}, and draw ${PICTURE}`, false)
    .option("--json", "print the figures as JSON", false)
    .action((options: Options & { out: string; docs: boolean; json: boolean }) => {
      const parameters = parametersOf(options.parameters);
      const ids = options.market ?? parameters.markets.map(({ id }) => id);
      if (ids.length === 0) throw new Refusal("the parameters have no market");
      const prices = options.prices === undefined ? undefined : fromHere(options.prices);
      checkPrices(prices, parameters, ids);
      const note = options.json ? () => undefined : (text: string) => console.error(text);
      const results = ids.map((id) => calibrate(parameters, id, { ...options, prices }, undefined, note));

      const directory = fromHere(options.out);
      mkdirSync(directory, { recursive: true });
      const file = join(directory, "parameters.json");
      writeFileSync(file, `${JSON.stringify(withCalibrations(parameters, results), null, 2)}\n`);
      readParameters(file); // what is refused is not left unsaid
      writeFileSync(join(directory, "calibration.json"), `${toJson(results)}\n`);
      for (const result of results) writeFileSync(join(directory, `${result.market}.svg`), picture(result));
      if (options.docs) {
        writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8"), results[0]!));
        writeFileSync(PICTURE, picture(results[0]!));
      }
      if (options.json) console.log(toJson(results));
      else {
        for (const result of results) console.log(`${calibrationText(result)}\n`);
        console.log(`Written: ${directory}. For a market that is live:`);
        for (const result of results)
          for (const command of deskCommands(result, file)) console.log(`  ${command}`);
      }
    });
}

/** A file is of one asset. */
function checkPrices(path: string | undefined, parameters: Parameters, ids: readonly string[]): void {
  if (path === undefined) return;
  if (!existsSync(path)) throw new Refusal(`there are no prices at ${path}`);
  if (!/\.csv$/i.test(path)) return;
  const assets = new Set(ids.map((id) => assetOf(marketOf(parameters, id))));
  if (assets.size > 1) {
    throw new Refusal(
      `${path} is of one asset, the markets are of ${[...assets].join(" and ")}: name a folder, or some markets with --market`,
    );
  }
}

function parametersOf(name: string): Parameters {
  try {
    return readParameters(name.endsWith(".json") ? fromHere(name) : name);
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}
