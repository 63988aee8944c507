// A transaction that fails, in plain words: more than the market allows against what is put in.
import { explainRevert } from "@breakwater/sdk/chain";

import { contracts, market, provider, signer } from "./setup.js";

const owner = await signer.getAddress();
const units = 10n ** BigInt(market.addresses.decimals.debt);
try {
  await contracts
    .vault(market.addresses)
    .adjust.staticCall(owner, 8n, 10n ** 18n, 1_900n * units, owner, "0x");
} catch (error) {
  const { name, args, words } = explainRevert(error);
  console.log(`${name}: ${words}`);
  console.log(args);
}
provider.destroy();
