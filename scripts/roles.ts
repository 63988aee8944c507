// npm run roles: who may call what, after which delay, on a chain; fails where that differs from deploy/roles.json.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { Command } from "commander";
import { config, network } from "hardhat";

import type { Deployment } from "../deploy/deploy.ts";
import { duration, readRoles, type RolesOnChain } from "../deploy/read-roles.ts";

interface Options {
  network: string;
  url?: string;
  addresses: string;
  json: boolean;
}

const program = new Command("npm run roles --")
  .description(
    "Prints who may call what after which delay, read back from the chain, and names every difference from " +
      "deploy/roles.json: roles granted to others, other delays, guardians or admins, functions that are restricted " +
      "otherwise, closed targets, proxies that somebody else can upgrade. Exit code 1 if there is one.",
  )
  .option("--network <name>", "a network of hardhat.config.ts", "localhost")
  .option("--url <url>", "another endpoint for this network")
  .option("--addresses <dir>", "where the deployment's <chainId>.json is", "deploy/addresses")
  .option("--json", "print JSON and nothing else; durations in seconds", false)
  .parse();
const options = program.opts<Options>();

try {
  const connection = await network.create({
    network: options.network,
    override: options.url === undefined ? undefined : { url: options.url },
  });
  const { provider } = connection.ethers;
  const { chainId } = await provider.getNetwork();
  const file = resolve(config.paths.root, options.addresses, `${chainId}.json`);
  const onChain = await readRoles(provider, JSON.parse(readFileSync(file, "utf8")) as Deployment);
  console.log(
    options.json
      ? JSON.stringify(onChain, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value), 2)
      : report(onChain),
  );
  if (onChain.differences.length > 0) process.exitCode = 1;
  await connection.close();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function report({
  chainId,
  block,
  manager,
  roles,
  functions,
  proxyAdmins,
  differences,
}: RolesOnChain): string {
  const lines = [`AccessManager ${manager}, chain ${chainId}, block ${block}`];
  for (const { role, id, members, guardian } of roles) {
    const holders = members.map(
      ({ name, account, executionDelay }) =>
        `${name === account ? account : `${name} ${account}`}, delay ${duration(executionDelay)}`,
    );
    const cancelling = guardian === "ADMIN" ? "" : `, cancelled by ${guardian}`;
    lines.push("", `${role} (${id}): ${holders.join("; ") || "nobody"}${cancelling}`);
    const own = functions.filter((each) => each.role === role);
    for (const [kind, group] of Object.entries(Object.groupBy(own, (each) => each.kind))) {
      const targets = new Set(group.map(({ target }) => target)).size;
      const calls = [...new Set(group.map((each) => each.function))].join(", ");
      lines.push(`  ${`${kind}${targets > 1 ? ` × ${targets}` : ""}`.padEnd(16)}${calls}`);
    }
  }
  const ossified = proxyAdmins.filter(({ owner }) => BigInt(owner) === 0n).map(({ proxy }) => proxy);
  lines.push("", `${proxyAdmins.length} proxies, upgraded by the Upgrader alone.`);
  if (ossified.length > 0) lines.push(`Never upgraded again: ${ossified.join(", ")}.`);
  lines.push(
    differences.length === 0
      ? "As deploy/roles.json says."
      : `${differences.length} differences from deploy/roles.json:`,
    ...differences.map((difference) => `- ${difference}`),
  );
  return lines.join("\n");
}
