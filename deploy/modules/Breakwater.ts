// The whole system. Its results are what deploy/addresses names.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";

import { entry, type Parameters } from "../parameters.ts";
import { accessModule } from "./Access.ts";
import { feedsModule } from "./Feeds.ts";
import { marketsModule } from "./Markets.ts";
import { peripheryModule } from "./Periphery.ts";
import { poolsModule } from "./Pools.ts";
import { protocolModule } from "./Protocol.ts";
import { safesModule } from "./Safes.ts";
import { uniswapModule } from "./Uniswap.ts";

export function breakwaterModule(parameters: Parameters, tokens: Record<string, string>) {
  const feeds = feedsModule(parameters);
  const weth = entry(tokens, "WETH");
  const uniswap = uniswapModule(parameters, weth);
  const pools = poolsModule(parameters, tokens, uniswap);
  const safes = safesModule(parameters);
  const protocol = protocolModule();
  const markets = marketsModule(parameters, tokens, feeds, pools, protocol);
  const periphery = peripheryModule(protocol, uniswap, weth);
  const access = accessModule(parameters, safes, protocol, markets);
  return buildModule("Breakwater", (m) => {
    m.useModule(access);
    return {
      ...m.useModule(protocol),
      ...m.useModule(periphery),
      ...m.useModule(uniswap),
      ...m.useModule(safes),
      ...m.useModule(feeds),
      ...m.useModule(pools),
      ...m.useModule(markets),
    };
  });
}
