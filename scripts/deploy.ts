// npm run deploy: deploys the system to a network, or completes what is there.
import { Command } from "commander";
import { network } from "hardhat";

import { deployBreakwater, LOCAL_CHAIN, writeAddresses } from "../deploy/deploy.ts";
import { warmUp } from "../deploy/local.ts";
import { readParameters } from "../deploy/parameters.ts";

interface Options {
  network: string;
  parameters?: string;
  url?: string;
  state?: string;
  out?: string;
  json: boolean;
}

const program = new Command("npm run deploy --")
  .description(
    "Deploys the system with the parameters of deploy/parameters, and writes deploy/addresses/<chainId>.json. " +
      "What exists already stays as it is; an interrupted deployment is completed.",
  )
  .option("--network <name>", "a network of hardhat.config.ts", "localhost")
  .option(
    "--parameters <name>",
    "a name in deploy/parameters, or a JSON file (default: local for localhost, else the network's)",
  )
  .option("--url <url>", "another endpoint for this network")
  .option("--state <id>", "where in deploy/deployments the state is (default: chain-<chainId>)")
  .option("--out <dir>", "where the addresses file goes (default: deploy/addresses)")
  .option("--json", "print the addresses as JSON and nothing else", false)
  .parse();
const options = program.opts<Options>();
const log = options.json ? () => {} : console.log;

try {
  const name = options.parameters ?? (options.network === "localhost" ? "local" : options.network);
  const parameters = readParameters(name);
  const connection = await network.create({
    network: options.network,
    override: options.url === undefined ? undefined : { url: options.url },
  });
  const { provider } = connection.ethers;
  const [before, started] = [await provider.getBlockNumber(), performance.now()];
  const deployment = await deployBreakwater(connection, parameters, {
    stateId: options.state,
    displayUi: !options.json && parameters.chainId !== LOCAL_CHAIN,
    log,
  });
  if (parameters.chainId === LOCAL_CHAIN) await warmUp(connection, parameters, deployment);
  const file = writeAddresses(deployment, options.out);

  if (options.json) console.log(JSON.stringify(deployment, null, 2));
  const blocks = (await provider.getBlockNumber()) - before;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const isNew = parameters.chainId !== LOCAL_CHAIN || blocks > 0;
  log(isNew ? `Deployed in ${seconds} s.` : "Everything was there already: nothing new.");
  for (const { id, vault } of deployment.markets) log(`${id.padEnd(14)}${vault}`);
  for (const [id, safe] of Object.entries(deployment.safes)) log(`${`${id} Safe`.padEnd(14)}${safe}`);
  log(`Addresses: ${file}`);
  await connection.close();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
