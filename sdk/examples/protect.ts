// Opens a long, leaves a stop-loss that anybody may execute for a tip, and takes both back.
import {
  type Transaction,
  cancelTransaction,
  orderTransactions,
  ordersOf,
  previewOrder,
  quoteClose,
  quoteLeverage,
  transactionsOf,
} from "@breakwater/sdk/chain";
import { Q128, WAD, formatAmount } from "@breakwater/sdk/core";

import { contracts, market, provider, signer } from "./setup.js";

async function send(transactions: Transaction[]): Promise<void> {
  for (const { to, data, value, words } of transactions) {
    const receipt = await (await signer.sendTransaction({ to, data, value })).wait();
    console.log(`${words}: block ${receipt!.blockNumber}, ${receipt!.gasUsed} gas`);
  }
}

const owner = await signer.getAddress();
const now = BigInt((await provider.getBlock("latest"))!.timestamp);
const trade = { market, owner, sub: 8n, slippage: 50n, deadline: now + 1_200n, unwrap: true };
const margin = { token: "collateral", amount: WAD, ether: true } as const;
await send(
  await transactionsOf(contracts, await quoteLeverage(contracts, { ...trade, leverage: 3n * WAD, margin })),
);

const preview = await previewOrder(contracts, {
  ...{ market, owner, sub: 8n, kind: "StopLoss", target: 0n, keepCollateral: false },
  level: 1_700n * Q128, // USDC per WETH
  slippage: 100n, //       basis points below the oracle's price
  tipMin: 5_000_000n, //   at the level; USDC
  tipMax: 25_000_000n, //  5 % below it
  ...{ expiry: now + 86_400n * 30n, times: 1n, budget: 0n },
});
console.log(
  `at 1,700 it leaves at least ${formatAmount(preview.quote.least - preview.quote.tip, 6, 2)} USDC`,
);
await send(await orderTransactions(contracts, preview));
for (const { id, kind } of await ordersOf(contracts, owner)) {
  console.log(`order ${id}: ${kind}`);
  await send([cancelTransaction(contracts, id)]);
}
await send(await transactionsOf(contracts, await quoteClose(contracts, { ...trade, into: "collateral" })));
provider.destroy();
