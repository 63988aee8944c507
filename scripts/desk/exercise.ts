// A timed exercise, on a chain of its own: the price of a canary market goes wrong, the signers pause it, the pause lapses
// into grace, and the market is normal again.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import {
  checkAgainstChain,
  countPauses,
  EXERCISE_PAUSE,
  exercisedPause,
  type ExerciseReport,
  formatDuration,
  type Proposal,
  propose,
  readStatus,
  sign,
  toJson,
} from "@breakwater/sdk/desk";
import { config, network } from "hardhat";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal } from "../../deploy/local.ts";
import { readParameters } from "../../deploy/parameters.ts";
import { openRpcDesk, type RpcDesk } from "./chain.ts";
import { execute } from "./execute.ts";
import { readProposal, signaturesBeside, writeProposal, writeSignature } from "./files.ts";
import { openSigner, ownerOf } from "./keys.ts";

const CANARY = "canary-usdc";
const WAIT_MS = 15 * 60_000;

/** The parameters of a local chain with a copy of the first market, for exercises only. */
function parametersWithCanary() {
  const parameters = readParameters("local");
  const [first] = parameters.markets;
  const canary = { ...first!, id: CANARY, name: "Canary USDC for WETH", symbol: "cUSDC-WETH" };
  return { ...parameters, markets: [...parameters.markets, canary] };
}

export async function exercise(options: {
  wait: boolean;
  report: string;
  say: (text: string) => void;
}): Promise<ExerciseReport> {
  const server = await network.createServer("default", "127.0.0.1", 0);
  const { port } = await server.listen();
  const rpc = `http://127.0.0.1:${port}`;
  const connection = await network.create({ network: "localhost", override: { url: rpc } });
  const stateId = `chain-31337-${port}`;
  let desk: RpcDesk | undefined;
  try {
    const parameters = parametersWithCanary();
    const local = await deployLocal(connection, { parameters, stateId });
    const directory = await mkdtemp(join(tmpdir(), "breakwater-exercise-"));
    const addresses = writeAddresses(local.addresses, directory);
    desk = await openRpcDesk(rpc, addresses);
    const report = await play(desk, {
      ...options,
      directory,
      owners: local.signers.pausers.map(({ address }) => address),
      breakPrice: async () => local.setPrice("ETH/USD", "1400"),
      mendPrice: async () => local.setPrice("ETH/USD", "2000"),
      passTo: async (time) => {
        await connection.provider.request({ method: "evm_setNextBlockTimestamp", params: [Number(time)] });
        await connection.provider.request({ method: "evm_mine" });
      },
    });
    await mkdir(dirname(options.report), { recursive: true });
    await writeFile(options.report, `${toJson(report)}\n`);
    return report;
  } finally {
    desk?.close();
    await connection.close();
    await server.close();
    await rm(join(config.paths.ignition, "deployments", stateId), { recursive: true, force: true });
  }
}

interface Stage {
  wait: boolean;
  say: (text: string) => void;
  directory: string;
  owners: string[];
  breakPrice: () => Promise<void>;
  mendPrice: () => Promise<void>;
  passTo: (time: bigint) => Promise<void>;
}

async function play(desk: RpcDesk, stage: Stage): Promise<ExerciseReport> {
  const steps: ExerciseReport["steps"] = [];
  const timed = async (step: string, work: () => Promise<string>) => {
    const from = performance.now();
    const found = await work();
    steps.push({ step, milliseconds: Math.round(performance.now() - from), found });
    stage.say(`${step.padEnd(18)} ${String(steps.at(-1)!.milliseconds).padStart(7)} ms  ${found}`);
  };
  const market = desk.addresses.markets.find(({ id }) => id === CANARY)!;
  const levelIs = async (wanted: string) => {
    const { markets } = await readStatus(desk, 0);
    const level = markets.find(({ id }) => id === CANARY)!.brake.level;
    if (level !== wanted) throw new Error(`${CANARY} is at ${level}, not at ${wanted}`);
    return `${CANARY} is at ${level}`;
  };
  const file = join(stage.directory, "exercise.json");
  const startedAt = new Date().toISOString();
  const before = await countPauses(desk);
  const started = performance.now();

  await timed("alert", async () => {
    await stage.breakPrice();
    const { markets } = await readStatus(desk, 0);
    const { state } = markets.find(({ id }) => id === CANARY)!.price;
    if (state === "Fresh") throw new Error("the price went wrong, and status does not show it");
    return `${CANARY}: the first feed is 30 % low, the price is ${state}`;
  });
  await timed("proposal", async () => {
    const options = { market: CANARY, for: EXERCISE_PAUSE, reason: "exercise" };
    await writeProposal(file, await propose(desk, "pause-liquidations", options));
    return file;
  });
  const proposal = await readProposal(file);
  for (const at of [0, 1]) {
    await timed(`signature ${at + 1}`, async () => {
      if (stage.wait) return waitForSignature(desk, file, proposal, at, stage.say);
      const checked = await checkAgainstChain(desk, proposal);
      const owner = await openSigner({ account: stage.owners[at], keyEnv: "" }, desk.provider);
      const signature = await sign(proposal, await ownerOf(owner), checked);
      await writeSignature(file, signature);
      return signature.signer;
    });
  }
  await timed("paused", async () => {
    const sender = await openSigner({ account: stage.owners[2], keyEnv: "" }, desk.provider);
    const { effect } = await execute(desk, proposal, await signaturesBeside(file, proposal), sender, false);
    await levelIs("LiquidationsPaused");
    return effect;
  });
  const alertToPausedMilliseconds = Math.round(performance.now() - started);
  const state = await desk.brake.stateOf(market.vault);
  const pause = await exercisedPause(desk, CANARY, before);
  await timed("lapse into grace", async () => {
    await stage.passTo(state.pausedUntil);
    return levelIs("Grace");
  });
  await timed("normal", async () => {
    await stage.passTo(state.graceUntil);
    await stage.mendPrice();
    return levelIs("None");
  });
  return {
    startedAt,
    market: CANARY,
    signedBy: stage.wait ? "people" : "the exercise itself",
    steps,
    alertToPausedMilliseconds,
    ...pause,
  };
}

async function waitForSignature(
  desk: RpcDesk,
  file: string,
  proposal: Proposal,
  have: number,
  say: Stage["say"],
): Promise<string> {
  const addresses = join(dirname(file), `${desk.chainId}.json`);
  if (have === 0)
    say(`sign: npm run desk -- sign ${file} --rpc ${desk.rpc} --addresses ${addresses} --account …`);
  const until = performance.now() + WAIT_MS;
  while (performance.now() < until) {
    const files = await signaturesBeside(file, proposal);
    if (files.length > have) return `${files.length} of 2`;
    await sleep(500);
  }
  throw new Error(`no signature within ${formatDuration(WAIT_MS / 1_000)}`);
}
