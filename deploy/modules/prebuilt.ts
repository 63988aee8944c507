// Safe and Uniswap v3 come as compiled artifacts from npm: the code that is deployed on public networks.
import { createRequire } from "node:module";

import type { Artifact } from "@nomicfoundation/ignition-core";

const require = createRequire(import.meta.url);

/** An npm artifact in the format that Hardhat 3 reads; they are in Hardhat 2's. */
function prebuilt(path: string): Artifact {
  return { ...(require(path) as Artifact), _format: "hh3-artifact-1" } as Artifact;
}

const safe = (path: string) => prebuilt(`@safe-global/safe-smart-account/build/artifacts/contracts/${path}`);
const core = (path: string) => prebuilt(`@uniswap/v3-core/artifacts/contracts/${path}`);
const periphery = (path: string) => prebuilt(`@uniswap/v3-periphery/artifacts/contracts/${path}`);

export const SAFE = {
  Safe: safe("Safe.sol/Safe.json"),
  SafeProxyFactory: safe("proxies/SafeProxyFactory.sol/SafeProxyFactory.json"),
  CompatibilityFallbackHandler: safe(
    "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json",
  ),
  MultiSend: safe("libraries/MultiSend.sol/MultiSend.json"),
  MultiSendCallOnly: safe("libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json"),
  SignMessageLib: safe("libraries/SignMessageLib.sol/SignMessageLib.json"),
  CreateCall: safe("libraries/CreateCall.sol/CreateCall.json"),
  SimulateTxAccessor: safe("accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json"),
};

export const UNISWAP = {
  UniswapV3Factory: core("UniswapV3Factory.sol/UniswapV3Factory.json"),
  UniswapV3Pool: core("UniswapV3Pool.sol/UniswapV3Pool.json"),
  NFTDescriptor: periphery("libraries/NFTDescriptor.sol/NFTDescriptor.json"),
  NonfungibleTokenPositionDescriptor: periphery(
    "NonfungibleTokenPositionDescriptor.sol/NonfungibleTokenPositionDescriptor.json",
  ),
  NonfungiblePositionManager: periphery("NonfungiblePositionManager.sol/NonfungiblePositionManager.json"),
  SwapRouter: periphery("SwapRouter.sol/SwapRouter.json"),
  QuoterV2: periphery("lens/QuoterV2.sol/QuoterV2.json"),
};
