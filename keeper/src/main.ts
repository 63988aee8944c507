// The keeper's entry point: command line, configuration, wiring, signals. The only file that reads arguments and environment.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type Addresses, loadAddresses } from "@breakwater/sdk/addresses";
import { explainRevert } from "@breakwater/sdk/chain";
import { Command, CommanderError } from "commander";
import { type Logger, pino } from "pino";
import { ZodPrefault } from "zod";

import { Endpoints } from "./chain/endpoints.ts";
import { type Journal, openFileJournal } from "./chain/journal.ts";
import { Outbox } from "./chain/outbox.ts";
import { openSources } from "./collect.ts";
import { type Config, InvalidConfig, KEYS, readConfig } from "./config.ts";
import type { Sender } from "./execute.ts";
import type { OnEvent } from "./events.ts";
import { Keeper } from "./keeper.ts";
import { ALONE, openSharedLease } from "./lease.ts";
import { openAccount } from "./signer.ts";

/** What every command starts from. */
interface Opened {
  config: Config;
  addresses: Addresses;
  provider: Endpoints;
  log: Logger;
}

interface RunOptions {
  dryRun: boolean;
  once: boolean;
}

async function open(needsSigner: boolean): Promise<Opened> {
  const { config: file } = program.opts<{ config?: string }>();
  const yaml = file === undefined ? "" : await readText("--config", file);
  const config = readConfig(process.env, yaml, { needsSigner });
  const log = pino({ level: config.logLevel, base: undefined });
  const addresses = await loadAddresses(config.addresses);
  const { rpcUrls: urls, webSocketUrl: webSocket } = config;
  const { chainId } = addresses;
  const provider = new Endpoints({ urls, webSocket, chainId, onEvent: () => undefined });
  return { config, addresses, provider, log };
}

async function runKeeper({ dryRun, once }: RunOptions): Promise<void> {
  const { config, addresses, provider, log } = await open(!dryRun);
  const { parameters, pollMs } = config;
  const onEvent: OnEvent = () => undefined;
  const closing: (() => Promise<void>)[] = [];
  try {
    const account = dryRun ? undefined : await openAccount(config.signer);
    const sources = await openSources(addresses, provider, account?.address);
    const { contracts } = sources;
    provider.probe = await contracts.lens.markets.populateTransaction(
      addresses.markets.map(({ vault }) => vault),
    );
    let lease = ALONE;
    let sender: Sender | undefined;
    if (account) {
      // What an earlier chain of the same number left behind is none of ours.
      const { hash: genesis } = (await provider.getBlock(0))!;
      const { chainId } = addresses;
      let journal: Journal;
      if (config.databaseUrl) {
        const name = `${chainId} ${genesis}`;
        ({ lease, journal } = await openSharedLease({
          databaseUrl: config.databaseUrl,
          name,
          seconds: config.leaseSeconds,
          onEvent,
        }));
      } else {
        const file = join(config.stateDir, `journal-${chainId}-${account.address}.db`);
        journal = openFileJournal(file, genesis!);
      }
      closing.push(async () => lease.close());
      const privateRpc = config.privateRpc && {
        node: new Endpoints({ urls: [config.privateRpc.url], chainId, onEvent }),
        blocks: config.privateRpc.blocks,
      };
      const outbox = await Outbox.open({
        ...{ provider, account, chainId, journal, lease, privateRpc, pollMs, onEvent },
      });
      closing.unshift(async () => outbox.close());
      sender = { contracts, provider, outbox };
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
    provider.destroy();
    // Its channel would keep the process.
    if (process.connected) process.disconnect();
  }
}

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
  .action(runKeeper);

try {
  await program.parseAsync();
} catch (error) {
  // Commander has said so itself.
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    process.stderr.write(
      error instanceof InvalidConfig
        ? `configuration:\n${error.message}\n`
        : `${explainRevert(error).words}\n`,
    );
    process.exitCode = 1;
  }
}
