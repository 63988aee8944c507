// Deploys the system to the chain of a connection: what exists already stays, what is missing is completed.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { config } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";

import type { Addresses } from "../sdk/src/addresses.ts";
import { breakwaterModule } from "./modules/Breakwater.ts";
import { feedKey } from "./modules/Feeds.ts";
import { marketKey } from "./modules/Markets.ts";
import { poolKey } from "./modules/Pools.ts";
import { tokensModule } from "./modules/Tokens.ts";
import { entry, type Parameters } from "./parameters.ts";
import { prepareState, readDeployed, recoverLost } from "./state.ts";

/** Hardhat's own chain. */
export const LOCAL_CHAIN = 31337;

/** deploy/addresses/<chainId>.json, with what scripts on a local chain need besides. */
export interface Deployment extends Addresses {
  tokens: Record<string, string>;
  feeds: Record<string, string>;
  pools: Record<string, string>;
  /** Who holds SENTINEL; null: nobody yet. */
  sentinel: string | null;
  /** MarketPair of each pair, by its id. */
  pairs: Record<string, string>;
  /** ProxyAdmin of each proxy, by the name of the contract or the market's id. */
  proxyAdmins: Record<string, string>;
}

export interface DeployOptions {
  /** Name of the state in deploy/deployments; by default the chain's. An in-process chain has none. */
  stateId?: string;
  displayUi?: boolean;
  log?: (line: string) => void;
}

/** Contracts that the addresses file names; the rest of the modules' results are its other sections. */
const CONTRACTS = [
  "AccessManager",
  "AccessAdmin",
  "Upgrader",
  "Liquidator",
  "EmergencyBrake",
  "InsuranceFund",
  "Lens",
  "AccountRecovery",
  "FlashLiquidator",
  "LeverageRouter",
  "ProtectionOrders",
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

/** Contracts that exist already are left alone; an interrupted deployment goes on where it stopped. */
export async function deployBreakwater(
  connection: NetworkConnection,
  parameters: Parameters,
  { stateId = `chain-${parameters.chainId}`, displayUi = false, log = () => {} }: DeployOptions = {},
): Promise<Deployment> {
  const { ignition, ethers, networkConfig } = connection;
  const { chainId } = await ethers.provider.getNetwork();
  if (chainId !== BigInt(parameters.chainId)) {
    throw new Error(`these parameters are for chain ${parameters.chainId}, but this is chain ${chainId}`);
  }
  const isLocal = parameters.chainId === LOCAL_CHAIN;
  // A local chain mines at once and never reorganises.
  const ignitionConfig = isLocal ? { blockPollingInterval: 10, requiredConfirmations: 1 } : {};
  const options = { displayUi, deploymentId: stateId, config: ignitionConfig };

  let startBlock = await ethers.provider.getBlockNumber();
  let deployed: Record<string, string> = {};
  if (networkConfig.type === "http") {
    const dir = join(config.paths.ignition, "deployments", stateId);
    const state = await prepareState(dir, ethers, isLocal);
    if (state.isReset)
      log(`This is a new chain: forgot what deploy/deployments/${stateId} said of a former one.`);
    await recoverLost(
      dir,
      connection,
      state,
      ignition.getResolvedConfig(ignitionConfig).requiredConfirmations,
    );
    startBlock = state.startBlock;
    deployed = readDeployed(dir);
  }

  // Two steps, because a pool's parameters depend on the order of its tokens' addresses. The first is not repeated:
  // Ignition would take what the second has left unfinished for its own.
  const missing = Object.entries(parameters.tokens).filter(
    ([symbol, token]) => !("address" in token) && !(`Tokens#${symbol}` in deployed),
  );
  const fresh =
    missing.length > 0 ? await addressesOf(await ignition.deploy(tokensModule(parameters), options)) : {};
  const tokens = Object.fromEntries(
    Object.entries(parameters.tokens).map(([symbol, token]) => [
      symbol,
      "address" in token ? token.address : (deployed[`Tokens#${symbol}`] ?? entry(fresh, symbol)),
    ]),
  );
  const all = await addressesOf(await ignition.deploy(breakwaterModule(parameters, tokens), options));

  const pick = <T>(keys: string[], value: (key: string) => T) =>
    Object.fromEntries(keys.map((key) => [key, value(key)]));
  const ids = parameters.markets.map(({ id }) => id);
  const { sentinel } = parameters;
  return {
    chainId: parameters.chainId,
    startBlock,
    contracts: pick(
      CONTRACTS.filter((name) => name in all),
      (name) => entry(all, name),
    ),
    safes: { pauser: entry(all, "Pauser"), governor: entry(all, "Governor") },
    sentinel:
      typeof sentinel === "object" && sentinel !== null
        ? (await ethers.getSigners())[sentinel.account]!.address
        : sentinel,
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
    pairs: pick(
      parameters.pairs.map(({ id }) => id),
      (id) => entry(all, `${marketKey(id)}_pair`),
    ),
    proxyAdmins: {
      ...pick(["EmergencyBrake", "InsuranceFund"], (name) => entry(all, `${name}Admin`)),
      ...pick(ids, (id) => entry(all, `${marketKey(id)}_admin`)),
    },
  };
}

async function addressesOf(contracts: Record<string, { getAddress(): Promise<string> }>) {
  const pairs = Object.entries(contracts).map(async ([key, contract]) => [key, await contract.getAddress()]);
  return Object.fromEntries(await Promise.all(pairs)) as Record<string, string>;
}

/** Writes DIR/<chainId>.json, for everything that does not deploy; returns the file's name. */
export function writeAddresses(
  deployment: Deployment,
  dir = join(config.paths.root, "deploy/addresses"),
): string {
  const file = join(dir, `${deployment.chainId}.json`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(file, `${JSON.stringify(deployment, null, 2)}\n`);
  return file;
}
