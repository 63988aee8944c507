// Tells what happens to positions, as blocks come, until COUNT events were seen.
import { watchEvents } from "@breakwater/sdk/chain";

import { contracts, provider } from "./setup.js";

let left = Number(process.env["COUNT"] ?? "Infinity");
const end = await watchEvents(contracts, ["Adjust", "Liquidate"], (event) => {
  if (event.name === "Adjust") {
    const { owner, sub, collateralDelta, debtDelta } = event.args;
    console.log(`${event.market}: ${owner}/${sub} collateral ${collateralDelta}, debt ${debtDelta}`);
  } else {
    console.log(`${event.market}: liquidated ${event.args.report.repaid}`);
  }
  if (--left > 0) return;
  end();
  provider.destroy();
});
console.log("watching");
