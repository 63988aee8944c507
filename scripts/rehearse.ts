// npm run upgrade:rehearse: see HELP.
import { parseArgs } from "node:util";

import { loadAddresses } from "@breakwater/sdk/addresses";

import { CHECKS, rehearse, type Report } from "./rehearse/run.ts";

const HELP = `npm run upgrade:rehearse -- --impl NAME|ADDRESS [--market ID]... [--rpc URL] [--addresses FILE] [--data HEX] [--json]

Copies the running chain, lets each market run the new implementation, and tries on the copy with every live position:
that it is priced to the unit as before; that anyone repays it and its owner leaves; that its tick is liquidated at the
price at which it becomes liquidatable; that nothing below the trigger is touched in a fall by half; that every balance,
total and lender's share is kept; that the brake still stops liquidations; that the former implementation can be put back.
Nothing on the chain itself changes.

--impl NAME       a contract of the build, deployed on the copy with the market's own listing (Vault)
--impl ADDRESS    an implementation that is on the chain
--market ID       only this market; may be repeated
--rpc URL         (http://127.0.0.1:8545)
--addresses FILE  of the deployment (deploy/addresses/31337.json)
--data HEX        calls the implementation with this when it is set
--json            the report as JSON

Exit code 1: bad input, or a check that failed; the report says of which position, and why.`;

function print({ block, seconds, markets }: Report): void {
  for (const { market, implementation, positions, ticks, lenders, failures } of markets) {
    console.log(`${market}  ${implementation}  ${positions} positions on ${ticks} ticks, ${lenders} lenders`);
    for (const check of CHECKS) {
      const failed = failures.filter((failure) => failure.check === check);
      console.log(`  ${check.padEnd(11)} ${failed.length === 0 ? "ok" : `FAILED ${failed.length}`}`);
      for (const { owner, sub, words } of failed) {
        console.log(`    ${owner === undefined ? "" : `${owner} sub-account ${sub}: `}${words}`);
      }
    }
  }
  const failed = markets.flatMap(({ failures }) => failures).length;
  console.log(
    `\nblock ${block}, ${seconds.toFixed(1)} s: ${failed === 0 ? "every check passed" : `${failed} failed`}`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      impl: { type: "string" },
      market: { type: "string", multiple: true },
      rpc: { type: "string", default: "http://127.0.0.1:8545" },
      addresses: { type: "string", default: "deploy/addresses/31337.json" },
      data: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (values.impl === undefined)
    throw new Error("--impl is missing: a contract's name or an address; see --help");
  const report = await rehearse({
    rpc: values.rpc,
    addresses: await loadAddresses(values.addresses),
    implementation: values.impl,
    data: values.data,
    markets: values.market,
    onStep: (words) => console.error(words),
  });
  if (values.json) console.log(JSON.stringify(report, null, 2));
  else print(report);
  if (report.markets.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exit();
