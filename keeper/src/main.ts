// The keeper's entry point: command line, configuration, wiring, signals. The only file that reads arguments and environment.
import { readFile } from "node:fs/promises";

import { type Addresses, loadAddresses } from "@breakwater/sdk/addresses";
import { connect, explainRevert } from "@breakwater/sdk/chain";
import { Command, CommanderError } from "commander";
import { JsonRpcProvider } from "ethers";
import { type Logger, pino } from "pino";
import { ZodPrefault } from "zod";

import { openSources } from "./collect.ts";
import { type Config, InvalidConfig, KEYS, readConfig } from "./config.ts";
import type { Sender } from "./execute.ts";
import { type Keeper, run, step } from "./keeper.ts";
import { openSigner } from "./signer.ts";

/** What every command starts from. */
interface Opened {
  config: Config;
  addresses: Addresses;
  provider: JsonRpcProvider;
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
  // A failed request is retried by the next block's round, not by ethers behind its back.
  const provider = new JsonRpcProvider(config.rpcUrls[0], undefined, { batchMaxCount: 1 });
  const { chainId } = await provider.getNetwork();
  if (chainId !== BigInt(addresses.chainId)) {
    throw new InvalidConfig(`RPC_URL: is chain ${chainId}, but ADDRESSES are of chain ${addresses.chainId}`);
  }
  return { config, addresses, provider, log };
}

async function runKeeper({ dryRun, once }: RunOptions): Promise<void> {
  const { config, addresses, provider, log } = await open(!dryRun);
  try {
    let sender: Sender | undefined;
    const signer = dryRun ? undefined : await openSigner(config.signer, provider);
    if (signer) {
      sender = { contracts: connect(addresses, signer), provider, account: await signer.getAddress() };
    }
    log.info({ chainId: addresses.chainId, account: sender?.account, dryRun }, "keeper started");
    const sources = await openSources(addresses, provider);
    const keeper: Keeper = { sources, sender, parameters: config.parameters, log };
    if (once) {
      const { outcomes } = await step(keeper, await provider.getBlockNumber());
      if (outcomes.some(({ status }) => status !== "done")) process.exitCode = 1;
      return;
    }
    const stopping = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
    // As a child of `npm start`: never outlive the parent.
    process.once("disconnect", () => stopping.abort());
    await run(keeper, config.pollMs, stopping.signal);
    log.info("keeper stopped");
  } finally {
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
