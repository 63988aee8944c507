// Price feeds: settable ones where the parameters name no Chainlink feed.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type { ContractFuture } from "@nomicfoundation/ignition-core";

import { type Parameters, parseAmount } from "../parameters.ts";

/** Results are keyed by the pair without its slash: identifiers allow none. */
export const feedKey = (pair: string) => pair.replace("/", "_");

export function feedsModule({ feeds }: Parameters) {
  return buildModule("Feeds", (m) => {
    const results: Record<string, ContractFuture<string>> = {};
    for (const [pair, feed] of Object.entries(feeds)) {
      const key = feedKey(pair);
      if ("address" in feed) {
        results[key] = m.contractAt("AggregatorV3Interface", feed.address, { id: key });
        continue;
      }
      const settable = m.contract("SettableFeed", [feed.decimals, pair], { id: key });
      m.call(settable, "set", [parseAmount(feed.price, feed.decimals)], { id: `${key}_set` });
      results[key] = settable;
    }
    return results;
  });
}
