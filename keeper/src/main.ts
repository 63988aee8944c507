// The keeper's entry point: command line, configuration, wiring, signals. The only file that reads arguments and environment.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { type Addresses, loadAddresses } from "@breakwater/sdk/addresses";
import { explainRevert } from "@breakwater/sdk/chain";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { Logger } from "pino";
import { ZodPrefault } from "zod";

import { Endpoints } from "./chain/endpoints.ts";
import { type Journal, openFileJournal } from "./chain/journal.ts";
import { type Account, Outbox } from "./chain/outbox.ts";
import { type Sources, openSources } from "./collect.ts";
import { check, findingLine } from "./commands/check.ts";
import { explainBlock, explainedLines } from "./commands/explain.ts";
import { attemptLine, optimistic } from "./commands/optimistic.ts";
import { replay, replayedLines } from "./commands/replay.ts";
import { type Config, InvalidConfig, KEYS, readConfig } from "./config.ts";
import type { OnEvent } from "./events.ts";
import type { Sender } from "./execute.ts";
import { Keeper } from "./keeper.ts";
import { ALONE, type Lease, openSharedLease } from "./lease.ts";
import { openAccount } from "./signer.ts";
import { type Alert, openAlerts } from "./operation/alerts.ts";
import { openHealth, serve } from "./operation/health.ts";
import { logEvents, openLog, scrub } from "./operation/log.ts";
import { openMarginCalls, readSubscriptions } from "./operation/margin-calls.ts";
import { openMetrics } from "./operation/metrics.ts";
import { post } from "./operation/webhook.ts";

const ALERT_MS = 1_000;

/** What every command starts from. */
interface Opened {
  config: Config;
  addresses: Addresses;
}

/** What an error's words must not show; known once the configuration is read. */
const secrets: string[] = [];

async function open(needsSigner: boolean): Promise<Opened> {
  const { config: file } = program.opts<{ config?: string }>();
  const yaml = file === undefined ? "" : await readText("--config", file);
  const config = readConfig(process.env, yaml, { needsSigner });
  secrets.push(...config.secrets);
  return { config, addresses: await loadAddresses(config.addresses) };
}

function openProvider({ config, addresses }: Opened, onEvent: OnEvent = () => undefined): Endpoints {
  const { rpcUrls: urls, webSocketUrl: webSocket } = config;
  return new Endpoints({ urls, webSocket, chainId: addresses.chainId, onEvent });
}

// ------------------------------------------------------------------ run

async function run({ dryRun, once }: { dryRun: boolean; once: boolean }): Promise<void> {
  const opened = await open(!dryRun);
  const { config, addresses } = opened;
  const { operation, parameters, pollMs } = config;
  const subscriptions = await openSubscriptions(opened);
  const isAlone = config.databaseUrl === undefined || dryRun;
  const metrics = openMetrics({ isAlone });
  const log = openLog({ level: config.logLevel, secrets, onFailure: metrics.logFailed });
  process.once("uncaughtException", (error) => {
    log.fatal({ err: error }, "this is a bug; ending, so that whoever supervises it starts it again");
    setTimeout(() => process.exit(1), 100); // the log's last line
  });

  const health = openHealth(operation);
  const listeners: OnEvent[] = [metrics.onEvent, health.onEvent, logEvents(log)];
  const onEvent: OnEvent = (event) => {
    for (const listen of listeners) listen(event);
  };
  const closing: (() => unknown)[] = [];
  try {
    if (!once) {
      const server = await serve(operation, metrics.registry, health);
      closing.unshift(server.close);
      log.info({ url: server.url }, `metrics on ${server.url}/metrics, health on ${server.url}/health`);
    }
    const provider = openProvider(opened, onEvent);
    closing.unshift(() => provider.destroy());
    const account = dryRun ? undefined : await openAccount(config.signer, addresses.chainId);
    const alerts = openAlerts({
      problems: health.problems,
      send: async (alert) => tell(alert, account, opened, log),
      onDelivery: (succeeded) => metrics.delivered("alert", succeeded),
    });
    listeners.push(alerts.onEvent);
    const telling = setInterval(() => void alerts.tell(), ALERT_MS);
    closing.unshift(() => clearInterval(telling));

    const sources = await openSources(addresses, provider, account?.address);
    // On this the endpoints have to agree too.
    const { lens } = sources.contracts;
    provider.probe = await lens.markets.populateTransaction(addresses.markets.map(({ vault }) => vault));
    // What an earlier chain of the same number left behind is none of ours.
    const genesis = (await provider.getBlock(0))!.hash!;
    const { sender, lease } = await openSender(opened, sources, provider, genesis, account, onEvent, closing);
    if (subscriptions.length > 0) {
      const calls = await openMarginCalls({
        ...{ subscriptions, contracts: sources.contracts, log, send: post },
        file: join(config.stateDir, `margin-calls-${genesis}.json`),
        onDelivery: (succeeded) => metrics.delivered("margin call", succeeded),
        mayCall: () => lease.held,
      });
      listeners.push(calls.onEvent);
      closing.unshift(calls.idle);
    }
    log.info({ chainId: addresses.chainId, account: account?.address, dryRun }, "keeper started");
    const keeper = new Keeper({ sources, sender, lease, parameters, log, onEvent });
    if (once) {
      const { outcomes } = await keeper.step(await provider.getBlockNumber());
      if (outcomes.some(({ status }) => status !== "done")) process.exitCode = 1;
      return;
    }
    const stopping = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
    // As a child of `npm start`: never outlive the parent.
    process.once("disconnect", () => stopping.abort());
    await keeper.run(provider, pollMs, stopping.signal);
    log.info("keeper stopped");
  } finally {
    for (const close of closing) await close();
    // Its channel would keep the process.
    if (process.connected) process.disconnect();
  }
}

/** Everything that sends; the lease and the journal with it. Nothing for a dry run. */
async function openSender(
  { config, addresses: { chainId } }: Opened,
  { contracts }: Sources,
  provider: Endpoints,
  genesis: string,
  account: Account | undefined,
  onEvent: OnEvent,
  closing: (() => unknown)[],
): Promise<{ sender: Sender | undefined; lease: Lease }> {
  if (!account) return { sender: undefined, lease: ALONE };
  let lease = ALONE;
  let journal: Journal;
  if (config.databaseUrl) {
    const shared = {
      databaseUrl: config.databaseUrl,
      name: `${chainId} ${genesis}`,
      seconds: config.leaseSeconds,
    };
    ({ lease, journal } = await openSharedLease({ ...shared, onEvent }));
  } else {
    journal = openFileJournal(join(config.stateDir, `journal-${chainId}-${account.address}.db`), genesis);
  }
  closing.unshift(() => lease.close());
  const privateRpc = config.privateRpc && {
    node: new Endpoints({ urls: [config.privateRpc.url], chainId, onEvent }),
    blocks: config.privateRpc.blocks,
  };
  const { pollMs } = config;
  const outbox = await Outbox.open({
    ...{ provider, account, chainId, journal, lease, privateRpc, pollMs, onEvent },
  });
  closing.unshift(() => outbox.close());
  return { sender: { contracts, provider, outbox }, lease };
}

async function openSubscriptions({ config, addresses }: Opened) {
  const { marginCalls } = config.operation;
  if (marginCalls === undefined) return [];
  await mkdir(config.stateDir, { recursive: true });
  const markets = addresses.markets.map(({ id }) => id);
  return readSubscriptions(await readText("MARGIN_CALLS", marginCalls), markets);
}

/** To the webhook, if there is one, and to the log. */
async function tell(
  alert: Alert,
  account: Account | undefined,
  { config, addresses: { chainId } }: Opened,
  log: Logger,
): Promise<void> {
  const { webhookUrl } = config.operation;
  const { severity, key, words } = alert;
  const body = { severity, key, chainId, account: account?.address, at: new Date().toISOString() };
  if (webhookUrl)
    await post(webhookUrl, {
      text: scrub(`keeper, chain ${chainId}: ${severity}: ${words}`, secrets),
      ...body,
    });
  log[severity === "resolved" ? "info" : "warn"](body, `alert: ${words}`);
}

// ------------------------------------------------------------------ the other commands

interface Output {
  json: boolean;
}

/** A command that only reads: its rows as they come, then its totals. */
async function read(
  { json }: Output,
  act: (
    sources: Sources,
    opened: Opened,
    row: (value: object, lines: string[]) => void,
  ) => Promise<object | undefined>,
): Promise<void> {
  const opened = await open(false);
  const provider = openProvider(opened);
  try {
    const sources = await openSources(opened.addresses, provider);
    await print(json, (row) => act(sources, opened, row));
  } finally {
    provider.destroy();
  }
}

async function print(
  json: boolean,
  act: (row: (value: object, lines: string[]) => void) => Promise<object | undefined>,
): Promise<void> {
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const totals = await act((value, lines) => say(json ? JSON.stringify(value) : lines.join("\n")));
  if (!totals) return;
  const words = Object.entries(totals).map(([name, count]) => `${String(count)} ${name}`);
  say(json ? JSON.stringify(totals) : words.join(", "));
}

async function runCheck({ json }: Output): Promise<void> {
  const opened = await open(false);
  const { config, addresses } = opened;
  const provider = openProvider(opened);
  try {
    await print(json, async (row) => {
      const totals = await check(
        { config, addresses, provider, openAccount: () => openAccount(config.signer, addresses.chainId) },
        (finding) => row(finding, [findingLine(finding)]),
      );
      if (totals.wrong > 0) process.exitCode = 1;
      return totals;
    });
  } finally {
    provider.destroy();
  }
}

async function runExplain({ json, block }: Output & { block?: number }): Promise<void> {
  await read({ json }, async (sources, { config }, row) => {
    const explained = await explainBlock(
      sources,
      config.parameters,
      block ?? (await sources.provider.getBlockNumber()),
    );
    row(explained, explainedLines(explained));
    return undefined;
  });
}

async function runReplay({ json, from, to }: Output & { from: number; to: number }): Promise<void> {
  await read({ json }, async (sources, { config }, row) =>
    replay(sources, config.parameters, { from, to }, (replayed) => row(replayed, replayedLines(replayed))),
  );
}

async function runOptimistic({ json, block }: Output & { block?: number }): Promise<void> {
  await read({ json }, async (sources, { config }, row) => {
    const at = block ?? (await sources.provider.getBlockNumber());
    const totals = await optimistic(sources, config.parameters, at, (attempt) =>
      row(attempt, [attemptLine(attempt)]),
    );
    if (totals.succeeded < totals.tried) process.exitCode = 1;
    return totals;
  });
}

// ------------------------------------------------------------------ the command line

async function readText(key: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new InvalidConfig(`${key}: ${(error as Error).message}`);
  }
}

/** Every key of the configuration, with its default. */
function describeKeys(): string {
  const lines = Object.entries(KEYS.shape).map(([key, schema]) => {
    const fallback = schema instanceof ZodPrefault ? ` (${schema.def.defaultValue})` : "";
    return `  ${key.padEnd(24)}${schema.description ?? ""}${fallback}`;
  });
  return `\nconfiguration, in the environment or as KEY: value in the file of --config (the environment has precedence):\n${lines.join("\n")}\n`;
}

function blockNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a block's number.");
  return Number(text);
}

const asJson = (command: Command) => command.option("--json", "one JSON object a line", false);
const atBlock = (command: Command) =>
  command.option("--block <number>", "of the past: takes an archive node", blockNumber);

const program = new Command("keeper")
  .description("Liquidates whatever pays, with no capital of its own; logs what it did, or why not.")
  .option("--config <file>", "YAML file with the keys below")
  .addHelpText("after", describeKeys)
  .exitOverride();

program
  .command("run", { isDefault: true })
  .description("work until stopped (the default)")
  .option("--dry-run", "decide and say so, send nothing", false)
  .option("--once", "one block, then exit", false)
  .action(run);

asJson(program.command("check"))
  .description("look at everything that it will need, and change nothing")
  .action(runCheck);

atBlock(asJson(program.command("explain")))
  .description("the nearest tick of each market, its distance, and why nothing is done")
  .action(runExplain);

asJson(program.command("replay"))
  .description("what it would have done over past blocks, and who did")
  .requiredOption("--from <block>", "first block: takes an archive node", blockNumber)
  .requiredOption("--to <block>", "last block", blockNumber)
  .action(runReplay);

atBlock(asJson(program.command("optimistic")))
  .description("make each tick liquidatable on a copy of the chain, and try")
  .action(runOptimistic);

try {
  await program.parseAsync();
} catch (error) {
  // Commander has said so itself.
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    const words =
      error instanceof InvalidConfig ? `configuration:\n${error.message}` : explainRevert(error).words;
    process.stderr.write(`${scrub(words, secrets)}\n`);
    process.exitCode = 1;
  }
}
