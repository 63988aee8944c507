// Opens a long with one ether and closes it again: quote, the transactions that it takes, receipts.
import { type TradeQuote, quoteClose, quoteLeverage, transactionsOf } from "@breakwater/sdk/chain";
import { WAD } from "@breakwater/sdk/core";

import { contracts, market, provider, signer } from "./setup.js";

async function send(quote: TradeQuote): Promise<void> {
  for (const { to, data, value, words } of await transactionsOf(contracts, quote)) {
    const receipt = await (await signer.sendTransaction({ to, data, value })).wait();
    console.log(`${words}: block ${receipt!.blockNumber}, ${receipt!.gasUsed} gas`);
  }
}

const request = {
  market,
  owner: await signer.getAddress(),
  sub: 7n,
  slippage: 50n,
  deadline: BigInt((await provider.getBlock("latest"))!.timestamp + 1_200),
  unwrap: true, // what is left comes as ether
};
const margin = { token: "collateral", amount: WAD, ether: true } as const;
await send(await quoteLeverage(contracts, { ...request, leverage: 3n * WAD, margin }));
await send(await quoteClose(contracts, { ...request, into: "collateral" }));
provider.destroy();
