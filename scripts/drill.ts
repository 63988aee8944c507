// npm run drill: see HELP.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";

import { MIN_BLOCK_GAS } from "./drill/market.ts";
import { builtInPath, MAX_GAP_SECONDS, pathOf, PriceFileError, type PricePath } from "./drill/path.ts";
import { drawPicture } from "./drill/picture.ts";
import { failuresOf, toJson, toPicture, toTable } from "./drill/result.ts";
import { runDrill, type Progress } from "./drill/run.ts";

const DEFAULTS = { positions: 2000, seed: 1, blockGas: 36_000_000n, picture: "out/drill.svg" };
const MAX_POSITIONS = 20_000;

const HELP = `npm run drill -- [--prices FILE.csv] [--positions N] [--blockgas GAS] [--seed N] [--json FILE] [--picture FILE.svg]

Opens N positions of the WETH/USDC market on a chain in process, with everything real but the price feed, walks a
price path in steps of 15 minutes and lets keepers liquidate; then walks the reference model and compares the losses.

--prices FILE    candles; columns timestamp,open,high,low,close by name, others are ignored. Timestamps are ISO 8601
                 (UTC unless they name a zone) or seconds since 1970; candles last a whole number of hours.
                 Without it: a built-in path that falls 54 % in a day, in three legs.
--positions N    positions to open, 1 to ${MAX_POSITIONS.toLocaleString("en")} (${DEFAULTS.positions.toLocaleString("en")})
--blockgas GAS   gas of a block, at least ${MIN_BLOCK_GAS.toLocaleString("en")} (${DEFAULTS.blockGas.toLocaleString("en")}); a transaction may use 16,777,216 of it
--seed N         of the positions: the same seed gives the same book (${DEFAULTS.seed})
--json FILE      writes the figures; amounts are decimal strings, in USDC unless the name says otherwise
--picture FILE   where to draw (${DEFAULTS.picture})

A candle is walked open, one extreme, the other, close, a quarter of its steps each: an hourly candle is four steps. The
extreme nearer to the open comes first; the high, if both are equally near. A gap in the file is counted and stepped
over in one longer step; a gap above ${MAX_GAP_SECONDS / 3600} h is an error.

A step: a round of the feed, and an arbitrageur who trades the pool to it with inventory from outside; ten minutes, in
which the pool's average follows; the same round again; then, one transaction to a block of 12 s, a keeper without
capital who sells through the pool what earns most there, and a keeper with capital who takes the rest, buys what was
seized, and sells elsewhere. The step is cleared when no tick is at or above the liquidation threshold at the higher of
the two prices, and nothing that was seized is left.

Exit code 1: bad input, a step that was not cleared, or losses that differ from the model's by more than rounding.`;

interface Options {
  path: PricePath;
  positions: number;
  seed: number;
  blockGas: bigint;
  json: string | undefined;
  picture: string;
}

/** An argument that cannot be served. */
class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

const TEXT = { type: "string" } as const;
const OPTIONS = {
  prices: TEXT,
  positions: TEXT,
  blockgas: TEXT,
  seed: TEXT,
  json: TEXT,
  picture: TEXT,
  help: { type: "boolean", short: "h" },
} as const;

function readOptions(args: string[]): Options | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  return {
    path: values.prices === undefined ? builtInPath() : readPath(values.prices),
    positions: Number(integer("positions", values.positions, DEFAULTS.positions, 1, MAX_POSITIONS)),
    seed: Number(integer("seed", values.seed, DEFAULTS.seed, 0, 2 ** 32 - 1)),
    blockGas: integer("blockgas", values.blockgas, DEFAULTS.blockGas, MIN_BLOCK_GAS, 10n ** 9n),
    json: values.json === undefined ? undefined : writable("json", values.json),
    picture: writable("picture", values.picture ?? DEFAULTS.picture),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS });
  } catch (error) {
    throw new ArgumentError(`${messageOf(error)}; see --help`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function integer(
  name: string,
  value: string | undefined,
  byDefault: number | bigint,
  least: number | bigint,
  most: number | bigint,
): bigint {
  if (value === undefined) return BigInt(byDefault);
  const digits = value.replaceAll("_", "");
  if (!/^\d{1,15}$/.test(digits) || BigInt(digits) < BigInt(least) || BigInt(digits) > BigInt(most)) {
    throw new ArgumentError(`--${name} ${value}: a whole number from ${least} to ${most} is needed`);
  }
  return BigInt(digits);
}

function readPath(file: string): PricePath {
  let text: string;
  try {
    text = readFileSync(fromHere(file), "utf8");
  } catch (error) {
    throw new ArgumentError(`--prices ${file}: ${messageOf(error)}`);
  }
  return pathOf(text, file);
}

/** npm runs scripts in the project's folder; a file is meant from where the command was typed. */
function fromHere(file: string): string {
  return resolve(process.env["INIT_CWD"] ?? process.cwd(), file);
}

/** A file that can be written: better to know before the run than after it. */
function writable(name: string, value: string): string {
  const file = fromHere(value);
  try {
    mkdirSync(dirname(file), { recursive: true });
    closeSync(openSync(file, "a"));
  } catch (error) {
    throw new ArgumentError(`--${name} ${value}: ${messageOf(error)}`);
  }
  return file;
}

/** One line on a terminal that is redrawn; nothing elsewhere. */
function progressBar(): Progress {
  const width = 32;
  let drawn = "";
  return (phase, done, of) => {
    if (!process.stderr.isTTY) return;
    const filled = Math.floor((done / of) * width);
    const line = `${phase.padEnd(28)}${"█".repeat(filled)}${"░".repeat(width - filled)} ${done}/${of}`;
    if (line === drawn) return;
    drawn = line;
    process.stderr.write(`\r\x1b[2K${line}`);
  };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    console.log(HELP);
    return;
  }
  const startedAt = Date.now();
  const result = await runDrill(options, progressBar());
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");

  console.log(toTable(result));
  writeFileSync(options.picture, drawPicture(toPicture(result)));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(toJson(result), null, 2)}\n`);
  console.log(
    `\npicture: ${options.picture}${options.json === undefined ? "" : `\nfigures: ${options.json}`}`,
  );
  console.log(`took ${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
  for (const failure of failuresOf(result)) {
    console.error(`FAILED: ${failure}`);
    process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  // What a person can mend is told in a line; anything else is a fault of ours, with its trace.
  if (error instanceof ArgumentError || error instanceof PriceFileError)
    console.error(`${error.name}: ${error.message}`);
  else console.error(error);
  process.exitCode = 1;
}
