// npm run index: runs the index of the markets, and compares it with the chain. See indexer/README.md.
import { fileURLToPath } from "node:url";

import { Command, InvalidArgumentError } from "commander";

import { checkIndex } from "./index/check.ts";
import type { LoadOptions } from "./index/load.ts";
import { startIndex } from "./index/ponder.ts";
import { openChain } from "./index/scene.ts";
import { Refusal } from "./trade/desk.ts";

const number = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new InvalidArgumentError(`a whole number from ${least} to ${most}`);
  return value;
};

const place = (command: Command) =>
  command
    .option("--rpc <url>", "of the chain", process.env["RPC_URL"] ?? "http://127.0.0.1:8545")
    .option("--addresses <file>", "of the deployment (deploy/addresses/<chainId>.json)");

const program = new Command("npm run index --").description("the index of the markets");

place(
  program
    .command("start", { isDefault: true })
    .description("index, and serve GraphQL (/graphql) and SQL (/sql) on 127.0.0.1, until Ctrl-C"),
)
  .option("--port <port>", "of the server", number(1, 65_535), 42_069)
  .option(
    "--directory <dir>",
    "of the embedded databases",
    fileURLToPath(new URL("../indexer/.data", import.meta.url)),
  )
  .option("--database-url <url>", "PostgreSQL instead of the embedded one", process.env["DATABASE_URL"])
  .option("--sample <blocks>", "blocks between two samples of prices and rates", number(1, 100_000), 25)
  .option("--poll <ms>", "between two looks at the chain", number(100, 600_000), 1_000)
  .option("--verbose", "log every block", false)
  .action(
    async (o: {
      rpc: string;
      addresses?: string;
      port: number;
      directory: string;
      databaseUrl?: string;
      sample: number;
      poll: number;
      verbose: boolean;
    }) => {
      const chain = await openChain(o);
      const index = await startIndex(chain, {
        ...{ rpc: o.rpc, port: o.port, directory: o.directory, databaseUrl: o.databaseUrl },
        ...{ sampleBlocks: o.sample, pollMs: o.poll, logLevel: o.verbose ? "debug" : "info" },
      });
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void index.stop());
      const reason = await index.ended;
      if (reason !== undefined) throw new Refusal(reason);
    },
  );

place(
  program
    .command("check")
    .description("compare every position and total with the chain; fails on a difference"),
)
  .option("--url <url>", "of the index", "http://127.0.0.1:42069")
  .option("--json", "print JSON and nothing else", false)
  .action(async (o: { rpc: string; addresses?: string; url: string; json: boolean }) => {
    const checked = await checkIndex(await openChain(o), o.url);
    if (o.json) console.log(JSON.stringify(checked, undefined, 2));
    for (const { market, block, positions, ticks, lenders, differences } of checked) {
      if (differences.length !== 0) process.exitCode = 1;
      if (o.json) continue;
      const found = `${positions} positions, ${ticks} ticks, ${lenders} lenders and all totals`;
      console.log(`${market}, block ${block}: ${found}: ${differences.length} differences`);
      for (const { what, index, chain } of differences)
        console.log(`  ${what}: ${index}, on the chain ${chain}`);
    }
  });

program
  .command("load")
  .description(
    "how the index bears many positions and liquidations: on a chain of its own, with everything checked",
  )
  .option("--positions <count>", "to open", number(100, 1_000_000), 100_000)
  .option("--liquidations <count>", "to make", number(1, 100_000), 1_000)
  .option("--port <port>", "of the index", number(1, 65_535), 42_070)
  .option("--database-url <url>", "PostgreSQL instead of the embedded one", process.env["DATABASE_URL"])
  .option("--json", "print JSON and nothing else", false)
  .action(async (o: LoadOptions & { json: boolean }) => {
    const { loadIndex } = await import("./index/load.ts");
    const result = await loadIndex(o, (words) => console.error(words));
    if (o.json) console.log(JSON.stringify(result, undefined, 2));
    else
      for (const [name, value] of Object.entries(result))
        console.log(`${name.padEnd(16)} ${value ?? "unknown"}`);
    if (result.differences !== 0) process.exitCode = 1;
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Refusal ? error.message : error);
  process.exitCode = 2;
}
process.exit();
