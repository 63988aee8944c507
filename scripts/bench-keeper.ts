// npm run bench:keeper: see HELP.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Wallet } from "ethers";
import { pino } from "pino";

import { Endpoints } from "../keeper/src/chain/endpoints.ts";
import { openFileJournal } from "../keeper/src/chain/journal.ts";
import { Outbox } from "../keeper/src/chain/outbox.ts";
import { openSources } from "../keeper/src/collect.ts";
import type { Parameters } from "../keeper/src/decide.ts";
import type { Outcome } from "../keeper/src/execute.ts";
import { Keeper } from "../keeper/src/keeper.ts";
import { ALONE } from "../keeper/src/lease.ts";
import { type Scene, openScene } from "./bench-keeper/scene.ts";
import { type Traffic, countTraffic } from "./bench-keeper/traffic.ts";

const OUT = fileURLToPath(new URL("../bench/keeper.json", import.meta.url));

const HELP = `npm run bench:keeper -- [--full] [--json] [--help]

How fast the keeper is, and how much it asks, on a local chain behind HTTP in another process. Time runs from the block of a new price until the
signed transaction leaves; noticing the block is extra: nothing with a WebSocket, at most POLL_MS without. Traffic is what
HTTP carries in a block, bodies only. Idle: nothing is liquidatable. Writes bench/keeper.json.

--full   also 100,000 positions, and more prices (a quarter of an hour)
--json   prints what bench/keeper.json holds, and nothing else
`;

/** Markets and positions, growing. */
const STAGES: [markets: number, positions: number][] = [
  [1, 100],
  [1, 1_000],
  [1, 10_000],
  [10, 15_000],
  [100, 20_000],
];
const FULL: typeof STAGES = [...STAGES.slice(0, 3), [1, 100_000], [10, 110_000], [100, 120_000]];
const PRICES = { quick: 20, full: 30, from: 1_895, to: 1_700 };
const IDLE_BLOCKS = 5;

const parameters: Parameters = {
  minProfit: 0n,
  maxSlippage: 50n,
  deadline: 120n,
  maxTicks: 200,
  gasBase: 700_000n,
  gasPerTick: 15_000n,
  inventory: undefined,
  rescue: undefined,
  seizeBudget: 10n ** 16n,
  pokeBudget: 0n,
  pokePeriod: 0n,
};

interface Result {
  markets: number;
  positions: number;
  samples: number;
  /** Milliseconds from the block of a new price to the signed transaction. */
  median: number;
  p99: number;
  idle: Traffic;
  /** Of a block with a liquidation, until it is sent; the median. */
  busy: Traffic;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      full: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const say = (words: string) => !values.json && console.log(words);
  const samples = values.full ? PRICES.full : PRICES.quick;
  const results: Result[] = [];
  const traffic = countTraffic();
  const scene = await openScene();
  try {
    say(HEADINGS);
    for (const [markets, positions] of values.full ? FULL : STAGES) {
      await scene.grow(markets, positions);
      const result = await scene.tentatively(async () => measure(scene, traffic, markets, samples));
      results.push(result);
      say(row(result));
    }
  } finally {
    await scene.close();
  }
  const report = { processor: cpus()[0]?.model ?? "unknown", processors: cpus().length, results };
  const text = `${JSON.stringify(report, null, 2)}\n`;
  writeFileSync(OUT, text);
  if (values.json) process.stdout.write(text);
}

async function measure(
  scene: Scene,
  traffic: ReturnType<typeof countTraffic>,
  markets: number,
  samples: number,
): Promise<Result> {
  const addresses = scene.addresses();
  const { chainId } = addresses;
  const onEvent = () => undefined;
  const state = mkdtempSync(join(tmpdir(), "bench-keeper-"));
  const endpoints = new Endpoints({ urls: [scene.url], chainId, timeoutMs: 60_000, onEvent });
  const wallet = Wallet.createRandom();
  await scene.fund(wallet.address);
  const sources = await openSources(addresses, endpoints);
  const outbox = await Outbox.open({
    provider: endpoints,
    account: { address: wallet.address, sign: async (transaction) => wallet.signTransaction(transaction) },
    chainId,
    journal: openFileJournal(join(state, "journal.db"), "bench"),
    lease: ALONE,
    pollMs: 50,
    onEvent,
  });
  const keeper = new Keeper({
    sources,
    sender: { contracts: sources.contracts, provider: endpoints, outbox },
    lease: ALONE,
    parameters,
    log: pino({ level: "silent" }),
    onEvent,
  });
  try {
    const idle: Traffic[] = [];
    for (let at = 0; at < IDLE_BLOCKS; at++) {
      await scene.mine();
      const block = await endpoints.getBlockNumber();
      traffic.restart();
      const { outcomes } = await keeper.step(block);
      if (outcomes.length > 0) throw new Error("the market is not idle");
      idle.push(traffic.sofar());
    }
    const times: number[] = [];
    const busy: Traffic[] = [];
    for (let at = 0; at < samples; at++) {
      const price = PRICES.from + ((PRICES.to - PRICES.from) * at) / samples;
      const block = await scene.setPrice(price);
      traffic.restart();
      const { outcomes } = await keeper.step(block);
      const sent = traffic.sent();
      if (sent) {
        times.push(sent.ms);
        busy.push(sent.before);
      } else if (outcomes[0]) throw new Error(`nothing was sent: ${describeOutcome(outcomes[0])}`);
    }
    return {
      markets,
      positions: scene.positions(),
      samples: times.length,
      median: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      idle: quantileOf(idle, 0.99),
      busy: quantileOf(busy, 0.5),
    };
  } finally {
    await outbox.close();
    endpoints.destroy();
    rmSync(state, { recursive: true });
  }
}

function describeOutcome(outcome: Outcome): string {
  return outcome.status === "done" ? outcome.status : `${outcome.status}: ${outcome.words}`;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

function quantileOf(list: readonly Traffic[], share: number): Traffic {
  const of = (key: keyof Traffic) =>
    quantile(
      list.map((traffic) => traffic[key]),
      share,
    );
  return { roundTrips: of("roundTrips"), calls: of("calls"), sent: of("sent"), received: of("received") };
}

const WIDTHS = [7, 9, 8, 10, 10, 16, 10, 10, 20, 12];
const line = (cells: (string | number)[]) =>
  cells.map((cell, at) => String(cell).padStart(WIDTHS[at]!)).join("  ");
const HEADINGS = [
  line(["", "", "", "to signed", "", "idle", "", "", "liquidating", ""]),
  line([
    "markets",
    "positions",
    "samples",
    "median ms",
    "p99 ms",
    "round trips",
    "RPC calls",
    "kB",
    "round trips",
    "kB",
  ]),
].join("\n");

function row({ markets, positions, samples, median, p99, idle, busy }: Result): string {
  const kB = ({ sent, received }: Traffic) => ((sent + received) / 1_000).toFixed(1);
  return line([
    markets,
    positions,
    samples,
    median.toFixed(0),
    p99.toFixed(0),
    idle.roundTrips,
    idle.calls,
    kB(idle),
    busy.roundTrips,
    kB(busy),
  ]);
}

try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
process.exit();
