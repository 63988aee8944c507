// npm run report: the register of a period, and what the markets hold and owe at its ends. See docs/register.md.
import { resolve } from "node:path";

import { explainRevert } from "@breakwater/sdk/chain";
import { ReplayError } from "@breakwater/sdk/core";
import { Refusal } from "@breakwater/sdk/desk";
import { Command, InvalidArgumentError } from "commander";

import { DEFAULT_RPC } from "./desk/chain.ts";
import { openChain } from "./report/read.ts";
import { differencesOf } from "./report/reconcile.ts";
import { writeReport } from "./report/run.ts";
import { verify } from "./report/verify.ts";

interface Options {
  from?: number;
  to?: number;
  out?: string;
  verify?: string;
  rpc: string;
  addresses?: string;
  json: boolean;
}

/** Differences that are told one by one. */
const MOST = 20;

const program = new Command("npm run report --")
  .description(
    "Writes the register of all that moved a unit from block FROM to block TO, both included: register.jsonl with its JSON " +
      "Schema and a CSV twin, a CSV for each account, solvency before and after, reconciliation, and a manifest of SHA-256s. " +
      "The past takes an archive node. Exit code 1: bad input, or sums that are not the change of the chain's state.",
  )
  .option("--from <block>", "first block", block)
  .option("--to <block>", "last block", block)
  .option("--out <directory>", "new, empty, or of an earlier report, which is replaced")
  .option("--verify <directory>", "instead: checks a report's manifest, schema and sums; needs no chain")
  .option("--rpc <url>", "of the chain", process.env["RPC_URL"] ?? DEFAULT_RPC)
  .option("--addresses <file>", "of the deployment (deploy/addresses/<chainId>.json)")
  .option("--json", "print JSON and nothing else", false)
  .action(run);

function block(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("a block number is needed");
  return Number(text);
}

/** npm runs scripts in the project's folder; a directory is meant from where the command was typed. */
function fromHere(path: string): string {
  return resolve(process.env["INIT_CWD"] ?? process.cwd(), path);
}

async function run(options: Options): Promise<void> {
  if (options.verify !== undefined) {
    const result = await verify(fromHere(options.verify));
    const { problems, lines, files, schema } = result;
    if (options.json) console.log(JSON.stringify(result, null, 2));
    else if (problems.length === 0)
      console.log(`${schema!}: ${lines} lines, ${files} files, as the manifest says`);
    else for (const problem of problems) console.error(problem);
    if (problems.length > 0) process.exitCode = 1;
    return;
  }
  const { from, to, out } = options;
  if (from === undefined || to === undefined || out === undefined) {
    throw new Refusal("--from, --to and --out are needed, or --verify; see --help");
  }
  const chain = await openChain(options.rpc, options.addresses);
  try {
    const { manifest, reconciliation } = await writeReport(chain, { from, to }, fromHere(out), (words) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${words}`);
    });
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
    const final = await chain.provider.getBlock("finalized").catch(() => null);
    if (final && final.number < to)
      console.error(`block ${to} is not final: the newest that is, is ${final.number}`);
    const differences = differencesOf(reconciliation);
    if (options.json) console.log(JSON.stringify({ manifest, differences }, null, 2));
    else {
      const { period, lines, files } = manifest;
      console.log(
        `blocks ${from} to ${to}, ${period.from.time} to ${period.to.time}: ${lines} lines, ${files.length} files`,
      );
      for (const { market, positions, lenders } of reconciliation.markets) {
        console.log(
          `${market}: ${positions.checked} positions and ${lenders.checked} lenders held against the chain`,
        );
      }
    }
    if (differences.length > 0) {
      for (const words of differences.slice(0, MOST)) console.error(`DIFFERS: ${words}`);
      if (differences.length > MOST)
        console.error(`and ${differences.length - MOST} more: reconciliation.json`);
      process.exitCode = 1;
    } else if (!options.json) console.log("reconciled: the register sums to the change of the chain's state");
  } finally {
    chain.close();
  }
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof Refusal) console.error(error.message);
  else if (error instanceof ReplayError) console.error(`${error.message} (does the node have every log?)`);
  else console.error(explainRevert(error).words);
  process.exitCode = 1;
}
