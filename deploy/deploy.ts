// Deploys the system to the chain of a connection: what exists already stays, what is missing is completed.
import type { NetworkConnection } from "hardhat/types/network";

import type { Addresses } from "../sdk/src/addresses.ts";
import { breakwaterModule } from "./modules/Breakwater.ts";
import { feedKey } from "./modules/Feeds.ts";
import { marketKey } from "./modules/Markets.ts";
import { poolKey } from "./modules/Pools.ts";
import { tokensModule } from "./modules/Tokens.ts";
import { entry, type Parameters } from "./parameters.ts";

/** deploy/addresses/<chainId>.json, with what scripts on a local chain need besides. */
export interface Deployment extends Addresses {
  tokens: Record<string, string>;
  feeds: Record<string, string>;
  pools: Record<string, string>;
  /** ProxyAdmin of each proxy, by the name of the contract or the market's id. */
  proxyAdmins: Record<string, string>;
}

export interface DeployOptions {
  startBlock?: number;
  displayUi?: boolean;
}

/** Contracts that the addresses file names; the rest of the modules' results are its other sections. */
const CONTRACTS = [
  "AccessManager",
  "Liquidator",
  "EmergencyBrake",
  "InsuranceFund",
  "UniswapV3Factory",
  "NonfungiblePositionManager",
  "SwapRouter",
  "QuoterV2",
  "Safe",
  "SafeProxyFactory",
  "CompatibilityFallbackHandler",
  "MultiSend",
  "MultiSendCallOnly",
  "SignMessageLib",
  "CreateCall",
  "SimulateTxAccessor",
];

export async function deployBreakwater(
  { ignition, ethers }: NetworkConnection,
  parameters: Parameters,
  { startBlock, displayUi = false }: DeployOptions = {},
): Promise<Deployment> {
  const { chainId } = await ethers.provider.getNetwork();
  if (chainId !== BigInt(parameters.chainId)) {
    throw new Error(`these parameters are for chain ${parameters.chainId}, but this is chain ${chainId}`);
  }
  const isLocal = parameters.chainId === 31337;
  const options = {
    displayUi,
    // A local chain mines at once and never reorganises.
    config: isLocal ? { blockPollingInterval: 10, requiredConfirmations: 1 } : {},
  };
  startBlock ??= await ethers.provider.getBlockNumber();

  // Two steps, because a pool's parameters depend on the order of its tokens' addresses.
  const fresh = await addressesOf(await ignition.deploy(tokensModule(parameters), options));
  const tokens = Object.fromEntries(
    Object.entries(parameters.tokens).map(([symbol, token]) => [
      symbol,
      "address" in token ? token.address : entry(fresh, symbol),
    ]),
  );
  const all = await addressesOf(await ignition.deploy(breakwaterModule(parameters, tokens), options));

  const pick = <T>(keys: string[], value: (key: string) => T) =>
    Object.fromEntries(keys.map((key) => [key, value(key)]));
  const ids = parameters.markets.map(({ id }) => id);
  return {
    chainId: parameters.chainId,
    startBlock,
    contracts: pick(
      CONTRACTS.filter((name) => name in all),
      (name) => entry(all, name),
    ),
    safes: { pauser: entry(all, "Pauser"), governor: entry(all, "Governor") },
    markets: parameters.markets.map(({ id, collateral, debt, spacing }) => ({
      id,
      vault: entry(all, `${marketKey(id)}_vault`),
      collateral: entry(tokens, collateral),
      debt: entry(tokens, debt),
      oracle: entry(all, `${marketKey(id)}_oracle`),
      decimals: {
        collateral: entry(parameters.tokens, collateral).decimals,
        debt: entry(parameters.tokens, debt).decimals,
      },
      spacing,
    })),
    tokens,
    feeds: pick(Object.keys(parameters.feeds), (pair) => entry(all, feedKey(pair))),
    pools: pick(Object.keys(parameters.pools), (pair) => entry(all, poolKey(pair))),
    proxyAdmins: {
      ...pick(["Liquidator", "EmergencyBrake", "InsuranceFund"], (name) => entry(all, `${name}Admin`)),
      ...pick(ids, (id) => entry(all, `${marketKey(id)}_admin`)),
    },
  };
}

async function addressesOf(contracts: Record<string, { getAddress(): Promise<string> }>) {
  const pairs = Object.entries(contracts).map(async ([key, contract]) => [key, await contract.getAddress()]);
  return Object.fromEntries(await Promise.all(pairs)) as Record<string, string>;
}
