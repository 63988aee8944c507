// npm run sim:crash: one crash through our contracts and through the peers' rules.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";

import { Command, InvalidArgumentError } from "commander";

import { drawPicture } from "./crash/picture.ts";
import { toJson, toTable } from "./crash/result.ts";
import type { Compared, Comparison } from "./crash/run.ts";
import { MIN_BLOCK_GAS } from "./drill/market.ts";
import { builtInPath, pathOf, PriceFileError, type PricePath } from "./drill/path.ts";
import type { Progress } from "./drill/run.ts";
import { withPart } from "./page.ts";

const PAGE = "docs/crash.md";
const REAL = resolve(import.meta.dirname, "../../shared/data/ethusd-2020-03-black-thursday-1h.csv");
const REAL_NAME = "Black Thursday, 11 to 14 March 2020, hourly candles";
const MAX_POSITIONS = 20_000;

interface Options {
  prices?: string;
  builtIn: boolean;
  keepers: "pool" | "capital";
  positions: number;
  seed: number;
  blockgas: number;
  json: boolean;
  picture?: string;
  docs: boolean;
}

/** What a person can mend. */
class Refusal extends Error {
  override readonly name = "Refusal";
}

const whole = (least: number, most: number) => (text: string) => {
  const digits = text.replaceAll("_", "");
  const value = Number(digits);
  if (!/^\d{1,15}$/.test(digits) || value < least || value > most) {
    throw new InvalidArgumentError(`A whole number from ${least} to ${most} is needed.`);
  }
  return value;
};

function keepers(text: string): "pool" | "capital" {
  if (text !== "pool" && text !== "capital") throw new InvalidArgumentError("It is pool or capital.");
  return text;
}

const program = new Command("npm run sim:crash --")
  .description(
    "One book of positions, one price path, one pool and one block gas limit, through our contracts (as npm run drill) and " +
      "through models of other protocols' rules: penalty paid by borrowers, bad debt, minutes uncovered, gas. What is " +
      "modelled, and from which formulas: docs/crash.md.",
  )
  .option(
    "--prices <file>",
    "candles, as npm run drill reads them; by default those of 12 March 2020 if they are there",
  )
  .option("--built-in", "the drill's made-up path instead", false)
  .option(
    "--keepers <pool|capital>",
    "where keepers sell: through the pool only, or elsewhere at the feed's price what it cannot take",
    keepers,
    "pool" as const,
  )
  .option("--positions <number>", "to open", whole(1, MAX_POSITIONS), 2_000)
  .option("--seed <number>", "of the positions", whole(0, 2 ** 32 - 1), 1)
  .option("--blockgas <gas>", "of a block", whole(Number(MIN_BLOCK_GAS), 1e9), 36_000_000)
  .option("--json", "the figures instead of the table; dollars unless the name says otherwise", false)
  .option("--picture <file.svg>", "draws the figures")
  .option(
    "--docs",
    `puts the tables of both paths into ${PAGE} and draws the picture; needs the real prices`,
    false,
  );

function pathFor({ prices, builtIn }: Options): PricePath {
  if (prices !== undefined && builtIn) throw new Refusal("--prices and --built-in: one of them");
  if (builtIn || (prices === undefined && !existsSync(REAL))) return builtInPath();
  return realPath(prices);
}

function realPath(prices: string | undefined): PricePath {
  const file = prices === undefined ? REAL : fromHere(prices);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Refusal(`--prices ${prices ?? REAL}: ${(error as Error).message}`);
  }
  const path = pathOf(text, prices ?? REAL);
  return file.endsWith(basename(REAL)) ? { ...path, name: REAL_NAME } : path;
}

/** npm runs scripts in the project's folder; a file is meant from where the command was typed. */
function fromHere(file: string): string {
  return resolve(process.env["INIT_CWD"] ?? process.cwd(), file);
}

function write(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new Refusal(`${file}: ${(error as Error).message}`);
  }
}

function picture({ setting, outcomes, bookDebt }: Compared): string {
  const { path, positions, seed, blockGas, poolOnly } = setting;
  const sold = poolOnly ? "sold through the pool only" : "sold elsewhere where the pool cannot take it";
  return drawPicture({
    title: `One crash under each rule: ${path.name}`,
    subtitle:
      `${positions.toLocaleString("en")} positions of WETH/USDC that owe $${(bookDebt / 1e6).toFixed(1)}M (seed ${seed}), ` +
      `${(Number(blockGas) / 1e6).toFixed(0)}M gas a block, ${sold}`,
    note:
      "Breakwater: its contracts, waiting in each step until its oracle's two sources agree. The others: models of their " +
      "rules with their published penalties and our threshold of 86 %.",
    outcomes,
  });
}

/** Terminals only. */
const progress: Progress = (phase, done, of) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${phase} ${done}/${of}`);
};

/** Loads Hardhat, which who asks for help or errs need not wait for. */
async function compare(setting: Comparison): Promise<Compared> {
  const run = await import("./crash/run.ts");
  return run.compare(setting, progress);
}

async function renewDocs(
  setting: Omit<Comparison, "path" | "poolOnly">,
  prices: string | undefined,
): Promise<void> {
  const paths = [
    ["real", realPath(prices)],
    ["built-in", builtInPath()],
  ] as const;
  for (const [name, path] of paths) {
    for (const poolOnly of [true, false]) {
      const compared = await compare({ ...setting, path, poolOnly });
      const key = `${name} ${poolOnly ? "pool" : "capital"}`;
      writeFileSync(PAGE, withPart(readFileSync(PAGE, "utf8"), key, toTable(compared)));
      if (key === "real pool") writeFileSync("docs/crash.svg", picture(compared));
    }
  }
}

async function main(): Promise<void> {
  const options = program.parse().opts<Options>();
  const { positions, seed, docs } = options;
  const setting = { positions, seed, blockGas: BigInt(options.blockgas) };
  if (docs) return renewDocs(setting, options.prices);
  const path = pathFor(options);
  const compared = await compare({ ...setting, path, poolOnly: options.keepers === "pool" });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
  console.log(
    options.json ? JSON.stringify(toJson(compared), null, 2) : `prices: ${path.name}\n\n${toTable(compared)}`,
  );
  if (options.picture !== undefined) write(fromHere(options.picture), picture(compared));
}

if (import.meta.filename === process.argv[1]) {
  try {
    await main();
  } catch (error) {
    // What a person can mend is told in a line; anything else is a fault of ours, with its trace.
    if (error instanceof Refusal || error instanceof PriceFileError)
      console.error(`${error.name}: ${error.message}`);
    else console.error(error);
    process.exitCode = 1;
  }
}
