// The system on a throwaway chain, as typed contracts: for `npm start`, the drill and the tests.
import type { HardhatEthers, HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import type { NetworkConnection } from "hardhat/types/network";

import {
  AccessAdmin__factory,
  AccessManager__factory,
  AccountRecovery__factory,
  EmergencyBrake__factory,
  FlashLiquidator__factory,
  InsuranceFund__factory,
  IOracleAdapter__factory,
  Lens__factory,
  LeverageRouter__factory,
  Liquidator__factory,
  MarketPair__factory,
  NonfungiblePositionManager__factory,
  ProtectionOrders__factory,
  QuoterV2__factory,
  Safe__factory,
  SettableFeed__factory,
  SwapRouter__factory,
  TestToken__factory,
  UniswapV3Factory__factory,
  UniswapV3Pool__factory,
  Upgrader__factory,
  Vault__factory,
} from "../sdk/src/types/index.ts";
import { type Deployment, type DeployOptions, deployBreakwater } from "./deploy.ts";
import { entry, type Parameters, parseAmount, readParameters } from "./parameters.ts";

const FRESH = 3n;

/**
 * What each of Hardhat's accounts does, by index: 0 deploys and keeps no role, 1–3 own the pauser Safe (two sign), 4–8
 * the governor Safe (three sign), 9 is the sentinel. From 10 on they are free: `others`.
 */
export interface LocalSigners {
  deployer: HardhatEthersSigner;
  pausers: HardhatEthersSigner[];
  governors: HardhatEthersSigner[];
  sentinel: HardhatEthersSigner;
  others: HardhatEthersSigner[];
}

export interface LocalOptions extends DeployOptions {
  parameters?: Parameters;
  /** Prices in USD to begin with, by pair, instead of the parameters': { "ETH/USD": "194.5" }. */
  prices?: Record<string, string>;
}

export type Local = ReturnType<typeof connectLocal>;
export type LocalMarket = Local["markets"][string];

/** Deploys to the connection's chain (in-process, or a node with unlocked accounts) and waits until prices are Fresh. */
export async function deployLocal(connection: NetworkConnection, options: LocalOptions = {}): Promise<Local> {
  const parameters = withPrices(options.parameters ?? readParameters("local"), options.prices ?? {});
  const addresses = await deployBreakwater(connection, parameters, options);
  await backWeth(connection, addresses);
  await warmUp(connection, parameters, addresses);
  return connectLocal(connection, parameters, addresses, await connection.ethers.getSigners());
}

/** Ether for what anyone mints of the local wrapped ether, so that it can be unwrapped: a billion. */
async function backWeth({ provider, ethers }: NetworkConnection, { tokens }: Deployment): Promise<void> {
  const balance = ethers.toQuantity(ethers.parseEther("1000000000"));
  await provider.request({ method: "hardhat_setBalance", params: [entry(tokens, "WETH"), balance] });
}

/**
 * A new pool knows no time-weighted price. If one of them does not, moves the clock of the local chain on by the oracles'
 * window, and lets every adapter record its first price.
 */
export async function warmUp(
  { ethers, provider }: NetworkConnection,
  parameters: Parameters,
  { markets, pools }: Deployment,
): Promise<void> {
  const signer = await ethers.provider.getSigner(0);
  const windows = parameters.markets.map(({ oracle }) =>
    "windowSeconds" in oracle ? oracle.windowSeconds : 0,
  );
  const window = Math.max(...windows);
  const answers = await Promise.allSettled(
    Object.values(pools).map((pool) => UniswapV3Pool__factory.connect(pool, signer).observe([window, 0])),
  );
  if (answers.every(({ status }) => status === "fulfilled")) return;

  await provider.request({ method: "evm_increaseTime", params: [window] });
  await provider.request({ method: "evm_mine" });
  for (const { id, oracle } of markets) {
    const adapter = IOracleAdapter__factory.connect(oracle, signer);
    const { state } = await adapter.read();
    if (state !== FRESH)
      throw new Error(`the oracle of ${id} is not Fresh after its window: check feeds and pool`);
    await (await adapter.update()).wait();
  }
}

/** Contracts for the addresses of a local deployment, sending as the deployer (account 0) unless connected otherwise. */
export function connectLocal(
  { ethers }: { ethers: HardhatEthers },
  parameters: Parameters,
  addresses: Deployment,
  signers: HardhatEthersSigner[],
) {
  const [deployer] = signers;
  if (deployer === undefined) throw new Error("the chain has no unlocked accounts");
  const at = (name: string) => entry(addresses.contracts, name);
  const each = <T>(record: Record<string, string>, connect: (address: string) => T) =>
    Object.fromEntries(Object.entries(record).map(([key, address]) => [key, connect(address)]));

  const tokens = each(addresses.tokens, (address) => TestToken__factory.connect(address, deployer));
  const feeds = each(addresses.feeds, (address) => SettableFeed__factory.connect(address, deployer));
  const pools = each(addresses.pools, (address) => UniswapV3Pool__factory.connect(address, deployer));
  const signerOf = (owner: Parameters["sentinel"]) => {
    const signer =
      typeof owner === "string"
        ? signers.find(({ address }) => address === owner)
        : signers[owner?.account ?? -1];
    if (signer === undefined) throw new Error(`the chain has no account for ${JSON.stringify(owner)}`);
    return signer;
  };
  const pausers = parameters.safes.pauser.owners.map(signerOf);
  const governors = parameters.safes.governor.owners.map(signerOf);
  const sentinel = signerOf(parameters.sentinel);

  return {
    ethers,
    parameters,
    addresses,
    signers: {
      deployer,
      pausers,
      governors,
      sentinel,
      others: signers.filter((signer) => ![deployer, ...pausers, ...governors, sentinel].includes(signer)),
    } satisfies LocalSigners,
    contracts: {
      manager: AccessManager__factory.connect(at("AccessManager"), deployer),
      accessAdmin: AccessAdmin__factory.connect(at("AccessAdmin"), deployer),
      upgrader: Upgrader__factory.connect(at("Upgrader"), deployer),
      liquidator: Liquidator__factory.connect(at("Liquidator"), deployer),
      brake: EmergencyBrake__factory.connect(at("EmergencyBrake"), deployer),
      insurance: InsuranceFund__factory.connect(at("InsuranceFund"), deployer),
      lens: Lens__factory.connect(at("Lens"), deployer),
      recovery: AccountRecovery__factory.connect(at("AccountRecovery"), deployer),
      leverageRouter: LeverageRouter__factory.connect(at("LeverageRouter"), deployer),
      protectionOrders: ProtectionOrders__factory.connect(at("ProtectionOrders"), deployer),
      flashLiquidator: FlashLiquidator__factory.connect(at("FlashLiquidator"), deployer),
      uniswapFactory: UniswapV3Factory__factory.connect(at("UniswapV3Factory"), deployer),
      positionManager: NonfungiblePositionManager__factory.connect(
        at("NonfungiblePositionManager"),
        deployer,
      ),
      swapRouter: SwapRouter__factory.connect(at("SwapRouter"), deployer),
      quoter: QuoterV2__factory.connect(at("QuoterV2"), deployer),
    },
    safes: {
      pauser: Safe__factory.connect(addresses.safes.pauser, deployer),
      governor: Safe__factory.connect(addresses.safes.governor, deployer),
    },
    tokens,
    feeds,
    pools,
    pairs: each(addresses.pairs, (address) => MarketPair__factory.connect(address, deployer)),
    markets: Object.fromEntries(
      addresses.markets.map((market) => [
        market.id,
        {
          ...market,
          vault: Vault__factory.connect(market.vault, deployer),
          oracle: IOracleAdapter__factory.connect(market.oracle, deployer),
          collateral: TestToken__factory.connect(market.collateral, deployer),
          debt: TestToken__factory.connect(market.debt, deployer),
        },
      ]),
    ),
    /** A new round of a feed, now: setPrice("ETH/USD", "1950.25"). */
    setPrice: async (pair: string, price: string): Promise<void> => {
      const { decimals } = entry(parameters.feeds, pair);
      await (await entry(feeds, pair).set(parseAmount(price, decimals))).wait();
    },
  };
}

function withPrices(parameters: Parameters, prices: Record<string, string>): Parameters {
  const feeds = { ...parameters.feeds };
  for (const [pair, price] of Object.entries(prices)) {
    feeds[pair] = { ...entry(feeds, pair), price };
  }
  return { ...parameters, feeds };
}
