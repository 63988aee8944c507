// What opening a long would do, before anything is signed; nothing is sent.
import { quoteLeverage } from "@breakwater/sdk/chain";
import { WAD, formatAmount, formatPercent, formatPrice } from "@breakwater/sdk/core";

import { contracts, market, provider, signer } from "./setup.js";

const { positions, swap } = await quoteLeverage(contracts, {
  market,
  owner: await signer.getAddress(),
  sub: 0n,
  leverage: 3n * WAD,
  margin: { token: "collateral", amount: WAD, ether: true }, // one ether
  slippage: 50n, // basis points
  deadline: BigInt(Math.floor(Date.now() / 1_000) + 86_400),
});
const { after, rate, forecast, refusal } = positions[0]!;
console.log(`leverage ${formatAmount(after.leverage, 18, 2)}, LTV ${formatPercent(after.ltv)}`);
console.log(`liquidation at ${formatPrice(after.liquidationPrice!)}`);
for (const { days, liquidationPrice } of forecast) {
  console.log(`in ${days} days, at ${formatPercent(rate.after)} a year: at ${formatPrice(liquidationPrice)}`);
}
console.log(`swap ${formatPercent(swap!.againstOracle, 3)} worse than the oracle`);
console.log(refusal ? `the market would refuse: ${refusal.words}` : "the market would accept it");
provider.destroy();
