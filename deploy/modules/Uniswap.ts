// Uniswap v3: its own bytecode locally, the canonical deployment on a public network.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import { encodeBytes32String } from "ethers";

import type { Parameters } from "../parameters.ts";
import { UNISWAP } from "./prebuilt.ts";

export function uniswapModule({ uniswap }: Parameters, weth: string) {
  return buildModule("Uniswap", (m) => {
    if (uniswap) {
      const canonical = (name: keyof typeof uniswap) => m.contractAt(name, UNISWAP[name], uniswap[name]);
      const factory = canonical("UniswapV3Factory");
      return {
        UniswapV3Factory: factory,
        NonfungiblePositionManager: canonical("NonfungiblePositionManager"),
        QuoterV2: canonical("QuoterV2"),
        // It holds nothing and knows nobody. Public networks may have only SwapRouter02, which takes no deadline.
        SwapRouter: m.contract("SwapRouter", UNISWAP.SwapRouter, [factory, weth]),
      };
    }
    const factory = m.contract("UniswapV3Factory", UNISWAP.UniswapV3Factory);
    const descriptor = m.contract(
      "NonfungibleTokenPositionDescriptor",
      UNISWAP.NonfungibleTokenPositionDescriptor,
      [weth, encodeBytes32String("ETH")],
      { libraries: { NFTDescriptor: m.library("NFTDescriptor", UNISWAP.NFTDescriptor) } },
    );
    return {
      UniswapV3Factory: factory,
      NonfungiblePositionManager: m.contract(
        "NonfungiblePositionManager",
        UNISWAP.NonfungiblePositionManager,
        [factory, weth, descriptor],
      ),
      SwapRouter: m.contract("SwapRouter", UNISWAP.SwapRouter, [factory, weth]),
      QuoterV2: m.contract("QuoterV2", UNISWAP.QuoterV2, [factory, weth]),
    };
  });
}
