// npm run risk: what the markets stand to lose. See docs/risk.md.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { explainRevert } from "@breakwater/sdk/chain";
import { Refusal, formatTime, toJson } from "@breakwater/sdk/desk";
import { Command, InvalidArgumentError } from "commander";
import { getAddress, isAddress } from "ethers";

import { DEFAULT_RPC, openRpcDesk } from "./desk/chain.ts";
import { PriceFileError } from "./drill/path.ts";
import { accountOf, accountText } from "./risk/account.ts";
import { generatedSubject } from "./risk/bench.ts";
import { addCalibrate } from "./risk/calibration-command.ts";
import {
  type Assumptions,
  type Exposure,
  exposureOf,
  exposureText,
  type Subject,
  tableText,
} from "./risk/exposure.ts";
import { assetOf, HistoryError, marketReturns } from "./risk/paths.ts";
import { drawExposure } from "./risk/picture.ts";
import { readBooks } from "./risk/read.ts";
import { withPart } from "./page.ts";

const PAGE = "docs/risk.md";
const PICTURE = "docs/risk.svg";

const program = new Command("risk")
  .description("What the markets stand to lose. See docs/risk.md.")
  .showHelpAfterError("(--help says more)");

const whole = (least: number, most: number) => (value: string) => {
  const amount = Number(value.replaceAll("_", ""));
  if (!/^[\d_]+$/.test(value) || amount < least || amount > most) {
    throw new InvalidArgumentError(`a whole number from ${least} to ${most}`);
  }
  return amount;
};

interface Simulation {
  prices?: string;
  paths: number;
  seed: number;
  refills: number;
  delay: number;
  json: boolean;
}

function simulation(command: Command): Command {
  return command
    .option(
      "--prices <path>",
      "hourly candles: a folder of them, or the file of one asset (../shared/data, or generated)",
    )
    .option("--paths <count>", "price paths of each model", whole(1, 1_000_000), 10_000)
    .option("--seed <number>", "the same seed gives the same figures", whole(0, 2 ** 32 - 1), 1)
    .option(
      "--refills <count>",
      "how often in 15 minutes others bring the pool back to the price",
      whole(1, 1_000_000),
      15,
    )
    .option("--delay <steps>", "steps of 15 minutes that keepers wait", whole(0, 96), 0)
    .option("--json", "print JSON and nothing else", false);
}

interface ExposureOptions extends Simulation {
  rpc: string;
  addresses?: string;
  market?: string[];
  account?: string;
  block?: number;
  out?: string;
}

simulation(
  program
    .command("exposure")
    .description(
      "by market: debt by distance to liquidation, under falls, in a day; or one account over all markets",
    )
    .option("--rpc <url>", "of the chain", process.env["RPC_URL"] ?? DEFAULT_RPC)
    .option("--addresses <file>", "of the deployment (deploy/addresses/<chainId>.json)")
    .option("--market <id...>", "only these markets")
    .option("--account <address>", "one owner instead")
    .option("--block <number>", "at this block (the latest)", whole(0, Number.MAX_SAFE_INTEGER))
    .option("--out <folder>", "write exposure.json and a picture of each market there"),
).action(async (options: ExposureOptions) => {
  if (options.account !== undefined && !isAddress(options.account)) {
    throw new Refusal(`--account ${options.account as string}: not an address`);
  }
  const desk = await openRpcDesk(options.rpc, options.addresses);
  try {
    const { block, books } = await readBooks(desk, {
      markets: options.market,
      block: options.block,
      refills: options.refills,
    });
    const source = { chainId: desk.chainId, block: block.number, hash: block.hash, time: block.time };
    const heading = `block ${block.number} of chain ${desk.chainId}, ${formatTime(BigInt(block.time))}`;
    if (options.account !== undefined) {
      const account = accountOf(books, getAddress(options.account));
      console.log(options.json ? toJson({ ...source, ...account }) : `${heading}\n\n${accountText(account)}`);
      if (options.out !== undefined) write(options.out, "account.json", toJson({ ...source, ...account }));
      return;
    }
    const subjects = books.map(({ subject }) => subject);
    const prices = options.prices === undefined ? undefined : fromHere(options.prices);
    checkPrices(prices, subjects);
    const exposures = subjects.map((subject) => exposureOf(subject, assumptionsOf(options, subject, prices)));
    const notes = books.flatMap(({ reading }) => notesOf(reading));
    const all = { ...source, notes, markets: exposures };
    console.log(
      options.json ? toJson(all) : [heading, ...exposures.map(exposureText), ...notes].join("\n\n"),
    );
    if (options.out !== undefined) {
      write(options.out, "exposure.json", toJson(all));
      for (const exposure of exposures) {
        if (exposure.falls.length > 0)
          write(
            options.out,
            `${exposure.market}.svg`,
            drawExposure(exposure, `${heading}; ${sourceOf(exposure)}`),
          );
      }
    }
  } finally {
    desk.close();
  }
});

function assumptionsOf(options: Simulation, subject: Subject, prices?: string): Assumptions | undefined {
  if (subject.ticks.length === 0) return undefined;
  const { paths, seed, delay } = options;
  return { paths, seed, delay, ...marketReturns(subject.symbols, prices) };
}

/** A file is of one asset. */
function checkPrices(prices: string | undefined, subjects: readonly Subject[]): void {
  if (prices === undefined || !/\.csv$/i.test(prices)) return;
  const assets = new Set(subjects.map(({ symbols }) => assetOf(symbols)));
  if (assets.size > 1) {
    throw new Refusal(
      `${prices} is of one asset, the markets are of ${[...assets].join(" and ")}: name a folder, or some markets with --market`,
    );
  }
}

/** What the figures leave out. */
function notesOf({
  addresses: { id },
  view,
  brake,
  priceState,
}: Awaited<ReturnType<typeof readBooks>>["books"][number]["reading"]) {
  return [
    ...(brake.level === "LiquidationsPaused" || brake.level === "Grace"
      ? [`${id}: liquidations wait until ${formatTime(brake.until)}; the figures are as if they did not`]
      : []),
    ...(priceState === "Diverged" || priceState === "Single"
      ? [`${id}: the price is ${priceState}; the figures are as if both sources followed the fall`]
      : []),
    ...(view.cascadeCap > 0n ? [`${id}: the cascade brake is on; the figures are without it`] : []),
    ...(view.ramp.duration > 0n ? [`${id}: the thresholds are on a ramp; the figures are of those now`] : []),
    ...(view.potDebt > 0n ? [`${id}: there is a pot, which is not in the figures`] : []),
  ];
}

function sourceOf({ losses }: Exposure): string {
  return losses === undefined
    ? "no price paths"
    : `${losses.figures[0]!.horizons[0]!.paths.toLocaleString("en")} paths of each model, seed ${losses.seed}, from ${losses.history.name}`;
}

interface BenchOptions extends Simulation {
  positions: number;
  debt: number;
  docs: boolean;
}

simulation(
  program
    .command("bench")
    .description("the same of a generated book, without a chain, and how long it takes")
    .option("--positions <count>", "of the drill's kind", whole(1, 1_000_000), 100_000)
    .option("--debt <amount>", "that they owe together, whole dollars", whole(1, 1e12), 50_000_000)
    .option("--docs", `put the figures into ${PAGE} and draw ${PICTURE}; needs real prices`, false),
).action((options: BenchOptions) => {
  const started = performance.now();
  const subject = generatedSubject(options.positions, BigInt(options.debt), options.refills, options.seed);
  const built = performance.now();
  const prices = options.prices === undefined ? undefined : fromHere(options.prices);
  const assumptions = assumptionsOf(options, subject, prices)!;
  const read = performance.now();
  const exposure = exposureOf(subject, assumptions);
  const done = performance.now();
  const seconds = {
    book: inSeconds(built - started),
    prices: inSeconds(read - built),
    figures: inSeconds(done - read),
  };
  if (options.docs) {
    if (exposure.losses!.history.generated)
      throw new Refusal(`${PAGE} shows real prices: name them with --prices`);
    const note = `npm run risk -- bench --docs: ${sourceOf(exposure)}`;
    writeFileSync(PICTURE, drawExposure(exposure, note));
    const figures = `\`\`\`\n${exposureText(exposure)}\n\`\`\``;
    writeFileSync(PAGE, withPart(readFileSync(PAGE, "utf8"), "figures", figures));
  }
  console.log(
    options.json
      ? toJson({ seconds, ...exposure })
      : `${exposureText(exposure)}\n\n${tableText([
          ["seconds", ""],
          [`book of ${options.positions} positions`, seconds.book],
          ["price history", seconds.prices],
          [`${options.paths} paths of each model, falls, reverse stress`, seconds.figures],
        ])}`,
  );
});

addCalibrate(program);

function inSeconds(milliseconds: number): string {
  return (milliseconds / 1_000).toFixed(1);
}

/** npm runs scripts in the project's folder; a path is meant from where the command was typed. */
function fromHere(path: string): string {
  return resolve(process.env["INIT_CWD"] ?? process.cwd(), path);
}

function write(folder: string, name: string, content: string): void {
  const path = fromHere(folder);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, name), content.endsWith("\n") ? content : `${content}\n`);
}

try {
  await program.parseAsync();
} catch (error) {
  // What a person can mend is told in a line; anything else is a fault of ours, with its trace.
  if (error instanceof Refusal || error instanceof HistoryError || error instanceof PriceFileError) {
    console.error(error.message);
  } else console.error(explainRevert(error).words);
  process.exitCode = 1;
}
