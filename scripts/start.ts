// `npm start`: a whole Breakwater on this machine. A Hardhat node on 127.0.0.1, the deployment, lenders, positions, an
// arbitrageur, the keeper as a process of its own, the web app, and prices that move. Ctrl-C ends all of it.
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { explainRevert } from "@breakwater/sdk/chain";
import { Wallet, parseEther } from "ethers";
import { network } from "hardhat";

import { writeAddresses } from "../deploy/deploy.ts";
import { type Local, deployLocal } from "../deploy/local.ts";
import { type Index, startIndex } from "./index/ponder.ts";
import { openChain } from "./index/scene.ts";
import { openArbitrageur } from "./arbitrage.ts";
import { random } from "./drill/book.ts";
import { fundLenders, openPositions, planOpenings } from "./start/book.ts";
import { openDrill } from "./start/drill.ts";
import { wobble } from "./start/prices.ts";
import { type WebServer, buildWeb, serveWeb } from "./start/web.ts";

const HOST = "127.0.0.1";
const DEFAULT_PORT = 8545;
const DEFAULT_METRICS_PORT = 9464;
const DEFAULT_INDEX_PORT = 42_069;
const DEFAULT_WEB_PORT = 5173;
/** Time on the chain passes faster: this many seconds with every change of the price, an oracle's whole window. */
const STEP_SECONDS = 600;

const HELP = `usage: npm start -- [--port N] [--positions N] [--seed N] [--step MS] [--out DIR] [--metrics-port N] [--no-keeper]
                    [--index] [--index-port N] [--web-port N] [--no-web] [--help]

  --port          of the JSON-RPC server on ${HOST} (${DEFAULT_PORT})
  --positions     opened at the beginning (200)
  --seed          of sizes, leverage and prices (1)
  --step          milliseconds between two prices, ${STEP_SECONDS / 60} minutes of the chain's time (2500)
  --out           directory of the addresses file (deploy/addresses)
  --metrics-port  of the keeper's /metrics and /health on ${HOST}; 0: any that is free (${DEFAULT_METRICS_PORT})
  --no-keeper     leaves liquidating to a keeper of yours (keeper/README.md)
  --index         runs the index too (indexer/README.md); its first run installs it
  --index-port    of the index's GraphQL and SQL on ${HOST} (${DEFAULT_INDEX_PORT})
  --web-port      of the web app on ${HOST} (${DEFAULT_WEB_PORT})
  --no-web        without the web app
`;

class Refusal extends Error {}

/** What the user can put right: no stack trace. */
function isUsage(error: unknown): error is Error {
  return (
    error instanceof Refusal ||
    (error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"))
  );
}

function options(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: "string", default: String(DEFAULT_PORT) },
      positions: { type: "string", default: "200" },
      seed: { type: "string", default: "1" },
      step: { type: "string", default: "2500" },
      out: { type: "string" },
      "metrics-port": { type: "string", default: String(DEFAULT_METRICS_PORT) },
      "no-keeper": { type: "boolean", default: false },
      index: { type: "boolean", default: false },
      "index-port": { type: "string", default: String(DEFAULT_INDEX_PORT) },
      "web-port": { type: "string", default: String(DEFAULT_WEB_PORT) },
      "no-web": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const whole = (
    name: "port" | "positions" | "seed" | "step" | "metrics-port" | "index-port" | "web-port",
    most: number,
  ) => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw new Refusal(`--${name} must be a whole number from 0 to ${most}, not ${values[name]}`);
    }
    return value;
  };
  return {
    help: values.help,
    withKeeper: !values["no-keeper"],
    out: values.out,
    port: whole("port", 65_535),
    positions: whole("positions", 2_000),
    seed: whole("seed", 2 ** 32 - 1),
    step: whole("step", 3_600_000),
    metricsPort: whole("metrics-port", 65_535),
    withIndex: values.index,
    indexPort: whole("index-port", 65_535),
    withWeb: !values["no-web"],
    webPort: whole("web-port", 65_535),
  };
}

const started = Date.now();
function say(who: string, words: string): void {
  const seconds = ((Date.now() - started) / 1000).toFixed(0).padStart(4);
  console.log(`${seconds}s  ${who.padEnd(11)} ${words}`);
}

async function refuseBusyPort(port: number, option: string): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        error.code === "EADDRINUSE"
          ? new Refusal(
              `port ${port} of ${HOST} is busy: stop what listens there, or choose another with ${option}`,
            )
          : error,
      );
    });
    probe.listen(port, HOST, () => probe.close(() => resolve()));
  });
}

/** The keeper in its own process, configured by what is given and by nothing else; its log lines become ours. */
function startKeeper(settings: Record<string, string>): ChildProcess {
  const keeper = fork(fileURLToPath(new URL("../keeper/src/main.ts", import.meta.url)), [], {
    execArgv: ["--disable-warning=ExperimentalWarning", "--import", "tsx"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    env: { PATH: process.env.PATH, ...settings, POLL_MS: "500" },
  });
  createInterface({ input: keeper.stdout! }).on("line", (line) => {
    try {
      const { msg } = JSON.parse(line) as { msg?: string };
      say("keeper", msg ?? line);
    } catch {
      say("keeper", line);
    }
  });
  say("keeper", `process ${keeper.pid ?? "none"}`);
  return keeper;
}

async function stopKeeper(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => keeper.once("exit", () => resolve()));
  keeper.kill("SIGTERM");
  const late = setTimeout(() => keeper.kill("SIGKILL"), 5_000);
  await gone;
  clearTimeout(late);
}

async function main(): Promise<void> {
  const {
    help,
    withKeeper,
    withIndex,
    withWeb,
    out,
    port,
    positions,
    seed,
    step,
    metricsPort,
    indexPort,
    webPort,
  } = options(process.argv.slice(2));
  if (help) {
    process.stdout.write(HELP);
    return;
  }
  const stopping = new AbortController();
  const { signal } = stopping;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    // A second one does not wait; the keeper ends when its channel to this process closes.
    process.on(name, () => (signal.aborted ? process.exit(1) : stopping.abort()));
  }

  await refuseBusyPort(port, "--port");
  if (withKeeper) await refuseBusyPort(metricsPort, "--metrics-port");
  if (withIndex) await refuseBusyPort(indexPort, "--index-port");
  if (withWeb) await refuseBusyPort(webPort, "--web-port");
  // Beside the deployment; whoever waits for it hears of its failure.
  const built = withWeb ? buildWeb() : Promise.resolve();
  built.catch(() => undefined);
  const server = await network.createServer("default", HOST, port);
  const { port: bound } = await server.listen();
  const rpcUrl = `http://${HOST}:${bound}`;
  say("chain", `JSON-RPC on ${rpcUrl}, chain 31337, Hardhat's accounts unlocked`);
  const connection = await network.create({ network: "localhost", override: { url: rpcUrl } });
  let keeper: ChildProcess | undefined;
  let index: Index | undefined;
  let web: WebServer | undefined;
  // Each run has a chain of its own, and so a keeper and an index that remember nothing.
  const state = mkdtempSync(join(tmpdir(), "breakwater-start-"));
  try {
    const local = await deployLocal(connection, {
      // On the usual port `npm run deploy` finds this deployment.
      stateId: bound === DEFAULT_PORT ? undefined : `chain-31337-${bound}`,
    });
    signal.throwIfAborted();
    const file = writeAddresses(local.addresses, out);
    printAddresses(local);

    const [lender, trader, keeperFunds, ...owners] = local.signers.others;
    // The last one is for whoever sits here: `npm run trade`.
    const yours = owners.pop();
    if (!lender || !trader || !keeperFunds || !yours || owners.length === 0) {
      throw new Error("too few accounts");
    }
    await fundLenders(local, lender);
    await (await local.tokens["USDC"]!.mint(yours, 100_000_000_000n)).wait();
    say("you", `${yours.address}: 10,000 ether, 100,000 USDC; npm run trade -- --help`);
    const next = random(seed);
    await openPositions(local, planOpenings(local, owners, positions, { from: 1.2, to: 5 }, next));
    const arbitrageur = await openArbitrageur(local, trader);
    say("book", `lenders funded, ${positions} positions of leverage 1.2 to 5 opened`);
    signal.throwIfAborted();

    if (withKeeper) {
      // Like an operator's: a key of its own, with some gas money.
      const key = Wallet.createRandom();
      await (await keeperFunds.sendTransaction({ to: key.address, value: parseEther("100") })).wait();
      keeper = startKeeper({
        RPC_URL: rpcUrl,
        ADDRESSES: file,
        PRIVATE_KEY: key.privateKey,
        // The chain's clock runs faster than the keeper's work.
        DEADLINE_SECONDS: String(6 * STEP_SECONDS),
        METRICS_PORT: String(metricsPort),
        STATE_DIR: state,
      });
      keeper.once("exit", (code) => {
        if (signal.aborted) return;
        say("keeper", `ended by itself with code ${code ?? "none"}`);
        process.exitCode = 1;
        stopping.abort();
      });
    }

    if (withIndex) {
      const settings = { sampleBlocks: 5, pollMs: 500, logLevel: "warn" } as const;
      const place = { rpc: rpcUrl, addresses: file };
      index = await startIndex(
        await openChain(place),
        { ...settings, rpc: rpcUrl, port: indexPort, directory: state },
        "pipe",
      );
      createInterface({ input: index.process.stdout! }).on("line", (line) => say("index", line));
      say("index", `process ${index.process.pid ?? "none"}, ${index.url}/graphql; npm run index -- check`);
      void index.ended.then((reason) => {
        if (signal.aborted) return;
        say("index", reason ?? "ended");
        process.exitCode = 1;
        stopping.abort();
      });
    }

    const drill = openDrill(STEP_SECONDS);
    if (withWeb) {
      await built;
      web = await serveWeb({
        ...{ port: webPort, rpcUrl, deployment: local.addresses, drill },
        ...(index && { index: index.url }),
      });
      say("web", `${web.url}: markets, positions, trades; works with any wallet in the browser`);
    }

    const prices = wobble(local.parameters.feeds, next);
    let opened = positions;
    for (let count = 1; !signal.aborted; count++) {
      await pause(step, undefined, { signal });
      const fallen = drill.advance();
      const { moved, news } = prices.step(fallen);
      for (const [pair, price] of Object.entries(moved)) await local.setPrice(pair, price);
      if (news) say("prices", news);
      // The keeper trades too: a pool may have moved past its price meanwhile.
      const trades = await arbitrageur.trade().catch((error: unknown) => {
        say("arbitrage", explainRevert(error).words);
        return [];
      });
      for (const { pool, words } of trades) if (news) say("arbitrage", `${pool}: ${words}`);
      await connection.provider.request({ method: "evm_increaseTime", params: [STEP_SECONDS] });
      await connection.provider.request({ method: "evm_mine" });
      const { number, timestamp } = (await connection.ethers.provider.getBlock("latest"))!;
      drill.note({ block: number, time: timestamp, prices: moved });
      // Nobody opens anything in a crash.
      if (count % 10 === 0 && !fallen.isRunning) {
        // Volatility lowers the max LTV of new risk, and diverged sources forbid it: then the market refuses them.
        const refused = await openPositions(
          local,
          planOpenings(local, owners, 3, { from: 4, to: 5 }, next, opened),
        ).then(
          () => undefined,
          (error: unknown) => explainRevert(error).words,
        );
        opened += 3;
        say("book", refused ? `new positions refused: ${refused}` : "3 new positions of leverage 4 to 5");
      }
    }
  } catch (error) {
    if (!signal.aborted) {
      console.error(error);
      process.exitCode = 1;
    }
  } finally {
    // Requests that were under way fail when the chain goes; nobody waits for them any more.
    process.on("unhandledRejection", () => undefined);
    stopping.abort();
    await web?.close();
    if (keeper) await stopKeeper(keeper);
    await index?.stop();
    rmSync(state, { recursive: true });
    await connection.close();
    await server.close();
    say("chain", "stopped");
  }
}

function printAddresses({ addresses, signers }: Local): void {
  const section = (title: string, record: Record<string, string>) => {
    console.log(`\n  ${title}`);
    for (const [name, address] of Object.entries(record)) console.log(`    ${name.padEnd(28)} ${address}`);
  };
  section("contracts", addresses.contracts);
  section("markets", Object.fromEntries(addresses.markets.map(({ id, vault }) => [id, vault])));
  section("oracles", Object.fromEntries(addresses.markets.map(({ id, oracle }) => [id, oracle])));
  section("Safes", addresses.safes);
  section("tokens", addresses.tokens);
  section("feeds (settable)", addresses.feeds);
  section("accounts", { deployer: signers.deployer.address });
  console.log();
}

try {
  await main();
} catch (error) {
  console.error(isUsage(error) ? error.message : error);
  process.exitCode = 1;
}
process.exit();
