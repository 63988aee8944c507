// Test tokens, where the parameters name no canonical ones.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type { NamedArtifactContractDeploymentFuture } from "@nomicfoundation/ignition-core";

import type { Parameters } from "../parameters.ts";

/** Deployed before the rest: the tokens' addresses decide which of them is a pool's token0. */
export function tokensModule({ tokens }: Parameters) {
  return buildModule("Tokens", (m) => {
    const deployed: Record<string, NamedArtifactContractDeploymentFuture<string>> = {};
    for (const [symbol, token] of Object.entries(tokens)) {
      if ("address" in token) continue;
      deployed[symbol] = m.contract(token.contract, [token.name, symbol, token.decimals], { id: symbol });
    }
    return deployed;
  });
}
