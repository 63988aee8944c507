// The keeper's entry point: configuration, wiring, signals.
import { connect, explainRevert } from "@breakwater/sdk/chain";
import { loadAddresses } from "@breakwater/sdk/addresses";
import { JsonRpcProvider, JsonRpcSigner, Wallet } from "ethers";
import { pino } from "pino";

import { openSources } from "./collect.ts";
import { type Config, HELP, InvalidConfig, readConfig } from "./config.ts";
import type { Sender } from "./execute.ts";
import { type Keeper, run, step } from "./keeper.ts";

async function open(config: Config, provider: JsonRpcProvider): Promise<Keeper> {
  const { parameters, dryRun } = config;
  const log = pino({ level: config.logLevel, base: undefined });
  const addresses = await loadAddresses(config.addresses);
  const { chainId } = await provider.getNetwork();
  if (chainId !== BigInt(addresses.chainId)) {
    throw new InvalidConfig(`RPC_URL: is chain ${chainId}, but ADDRESSES are of chain ${addresses.chainId}`);
  }
  let sender: Sender | undefined;
  if (!dryRun && config.signer.kind !== "none") {
    const signer =
      config.signer.kind === "key"
        ? new Wallet(config.signer.key, provider)
        : new JsonRpcSigner(provider, config.signer.address);
    sender = { contracts: connect(addresses, signer), provider, account: await signer.getAddress() };
  }
  log.info({ chainId: Number(chainId), account: sender?.account, dryRun }, "keeper started");
  return { sources: await openSources(addresses, provider), sender, parameters, log };
}

async function main(): Promise<void> {
  const config = readConfig(process.argv.slice(2), process.env);
  if (config === "help") {
    process.stdout.write(HELP);
    return;
  }
  // A failed request is retried by the next block's round, not by ethers behind its back.
  const provider = new JsonRpcProvider(config.rpcUrl, undefined, { batchMaxCount: 1 });
  try {
    const keeper = await open(config, provider);
    if (config.once) {
      const { outcomes } = await step(keeper, await provider.getBlockNumber());
      if (outcomes.some(({ status }) => status !== "done")) process.exitCode = 1;
      return;
    }
    const stopping = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
    // As a child of `npm start`: never outlive the parent.
    process.once("disconnect", () => stopping.abort());
    await run(keeper, config.pollMs, stopping.signal);
    keeper.log.info("keeper stopped");
  } finally {
    provider.destroy();
    // Its channel would keep the process.
    if (process.connected) process.disconnect();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(
    error instanceof InvalidConfig ? `configuration:\n${error.message}\n` : `${explainRevert(error).words}\n`,
  );
  process.exitCode = 1;
}
