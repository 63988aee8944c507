/**
 * One complete market on an in-process chain, deployed with ethers only: two test tokens, two feeds for each of the two
 * sources, the real OracleAdapter, an AccessManager, and Liquidator, EmergencyBrake, InsuranceFund and Vault behind
 * transparent proxies whose admins the AccessManager owns.
 *
 *     const connection = await network.create();
 *     const market = await deployMarket(connection, { debtDecimals: 6, collateralPrice: 3_000_00000000n });
 *     const alice = market.signer(1);
 *     await market.fund(alice, { debt: 10n ** 12n });          // mints and approves vault, liquidator and fund
 *     await market.vault.connect(alice).deposit(10n ** 12n, alice);
 *     await market.setPrices(2_900_00000000n);                 // both sources; a new round now
 *
 * The first signer deploys and holds every role without delay: ADMIN, PAUSER, RESUMER, GOVERNOR. It owns no position.
 * Prices are in USD with 8 decimals. The feeds of a source are `market.feeds.primary` and `market.feeds.second`, each
 * { collateral, debt }, all SettableFeeds.
 */
import type { Artifact } from "hardhat/types/artifacts";
import type { NetworkConnection } from "hardhat/types/network";
import { type AddressLike, type Addressable, encodeBytes32String, type Signer, resolveAddress } from "ethers";

import type {
  EmergencyBrake,
  InsuranceFund,
  Liquidator,
  OracleAdapter,
  SettableFeed,
  TestToken,
  Vault,
} from "../../types/ethers-contracts/index.js";
import type { ILiquidator } from "../../types/ethers-contracts/contracts/Liquidator.js";

/** A whole token of 18 and of 6 decimals, a dollar of the feeds. */
export const ETH = 10n ** 18n;
export const USDC = 10n ** 6n;
export const USD = 10n ** 8n;
export const MINUTE = 60n;
export const HOUR = 3_600n;
export const DAY = 86_400n;

export const BPS = 10_000n;
export const WAD = 10n ** 18n;
export const MAX_UINT256 = 2n ** 256n - 1n;
export const MIN_INT256 = -(2n ** 255n);
/** `fromTick` of an order that skips nothing. */
export const MAX_INT24 = 2n ** 23n - 1n;

export const ROLE = { ADMIN: 0n, PAUSER: 1n, RESUMER: 2n, GOVERNOR: 3n, SENTINEL: 4n } as const;
export const LEVEL = { None: 0n, NoNewRisk: 1n, Grace: 2n, LiquidationsPaused: 3n } as const;
export const STATE = { Dead: 0n, Single: 1n, Diverged: 2n, Fresh: 3n } as const;

export interface Risk {
  maxLtv: bigint;
  liquidationThreshold: bigint;
  target: bigint;
  bonusMin: bigint;
  bonusMax: bigint;
  slope: bigint;
}

/** Millionths of a whole token. */
export interface Caps {
  debt: bigint;
  collateral: bigint;
  minDebt: bigint;
}

export interface MarketOptions {
  /** FeeToken takes a fee on every transfer: a market must refuse it. */
  collateralToken?: "TestToken" | "FeeToken";
  collateralDecimals?: number;
  debtDecimals?: number;
  /** Decimals of a collateral unit inside the book; fewer than 18 for an astronomic supply. */
  collateralUnitDecimals?: number;
  spacing?: number;
  /** USD, 8 decimals. */
  collateralPrice?: bigint;
  debtPrice?: bigint;
  risk?: Partial<Risk>;
  caps?: Partial<Caps>;
  /** Percent. */
  reserveFactor?: bigint;
  /** Basis points. */
  band?: bigint;
  /** Basis points of the max LTV that volatility may take of new risk; none unless a test is about it. */
  maxLtvCut?: bigint;
  /** Seconds. */
  maxAge?: bigint;
}

export interface SourceFeeds {
  collateral: SettableFeed;
  debt: SettableFeed;
}

export type TestMarket = Awaited<ReturnType<typeof deployMarket>>;

export const DEFAULT_RISK: Risk = {
  maxLtv: 8200n,
  liquidationThreshold: 8600n,
  target: 8300n,
  bonusMin: 150n,
  bonusMax: 800n,
  slope: 5000n,
};

/** What a liquidator asks for: everything from the top, and the pot, for as much as 10 million USDC. */
export async function orderOf(
  market: Addressable,
  receiver: AddressLike,
  more: Partial<ILiquidator.OrderStruct> = {},
): Promise<ILiquidator.OrderStruct> {
  return {
    market: await market.getAddress(),
    maxRepay: 10_000_000n * USDC,
    minCollateral: 0n,
    fromTick: MAX_INT24,
    maxTicks: 0n,
    buyPot: true,
    deadline: 2n ** 40n,
    receiver: await resolveAddress(receiver),
    ...more,
  };
}

/** Practically none. */
export const DEFAULT_CAPS: Caps = { debt: 2n ** 79n, collateral: 2n ** 79n, minDebt: 10_000_000n };

/** `artifacts`: by name, instead of the build's. */
export async function deployMarket(
  connection: NetworkConnection,
  options: MarketOptions = {},
  artifacts: ReadonlyMap<string, Artifact> = new Map(),
) {
  const { ethers } = connection;
  const signers = await ethers.getSigners();
  /** The chain's funded accounts; 0 is the governor. */
  const signer = (index: number) => {
    const found = signers[index];
    if (found === undefined) throw new Error(`The chain has ${signers.length} accounts, not ${index + 1}`);
    return found;
  };
  const governor = signer(0);
  const collateralDecimals = options.collateralDecimals ?? 18;
  const debtDecimals = options.debtDecimals ?? 6;
  const collateralPrice = options.collateralPrice ?? 3_000_00000000n;
  const debtPrice = options.debtPrice ?? 1_00000000n;
  const risk: Risk = { ...DEFAULT_RISK, ...options.risk };
  const caps: Caps = { ...DEFAULT_CAPS, ...options.caps };
  const maxAge = options.maxAge ?? 86_400n;

  const collateral: TestToken = await ethers.deployContract(
    (options.collateralToken ?? "TestToken") as "TestToken",
    ["Collateral", "COL", collateralDecimals],
  );
  const debt: TestToken = await ethers.deployContract("TestToken", ["Debt", "DEBT", debtDecimals]);

  const deploySource = async (name: string): Promise<SourceFeeds> => ({
    collateral: await ethers.deployContract("SettableFeed", [8, `COL / USD ${name}`]),
    debt: await ethers.deployContract("SettableFeed", [8, `DEBT / USD ${name}`]),
  });
  const feeds = { primary: await deploySource("primary"), second: await deploySource("second") };
  const setSource = async (source: SourceFeeds, collateralUsd: bigint, debtUsd?: bigint) => {
    await source.collateral.set(collateralUsd);
    if (debtUsd !== undefined) await source.debt.set(debtUsd);
  };
  /** A new round of both sources; a debt price that is not given stays, with its old round. */
  const setPrices = async (collateralUsd: bigint, debtUsd?: bigint) => {
    await setSource(feeds.primary, collateralUsd, debtUsd);
    await setSource(feeds.second, collateralUsd, debtUsd);
  };
  // Twice: after a jump a single source is believed as far as two rounds of its feeds bear it out.
  await setPrices(collateralPrice, debtPrice);
  await setPrices(collateralPrice, debtPrice);

  /** Neither source answers any more; `heal` ends it. */
  const setDead = (isDead: boolean) => async () => {
    for (const { collateral: feed } of [feeds.primary, feeds.second]) await feed.setReverting(isDead);
  };

  const feedConfig = async (feed: SettableFeed) => ({
    feed: await feed.getAddress(),
    maxAge,
    minAnswer: 1n,
    maxAnswer: 10n ** 30n,
  });
  const oracle: OracleAdapter = await ethers.deployContract("OracleAdapter", [
    {
      collateral: await collateral.getAddress(),
      debt: await debt.getAddress(),
      collateralFeed: await feedConfig(feeds.primary.collateral),
      debtFeed: await feedConfig(feeds.primary.debt),
      secondCollateralFeed: await feedConfig(feeds.second.collateral),
      secondDebtFeed: await feedConfig(feeds.second.debt),
      pool: ethers.ZeroAddress,
      twapWindow: 0n,
      blockTime: 0n,
      band: options.band ?? 300n,
      jumpLimit: 1000n,
      jumpWidening: 500n,
      jumpLimitMax: 4000n,
      calmVolatility: 800n,
      stressVolatility: 2_500n,
      maxLtvCut: options.maxLtvCut ?? 0n,
      volatilityPeriod: 43_200n,
      vetoBudget: 21_600n,
      vetoRefill: 2_592_000n,
    },
  ]);
  await oracle.update(); // a single source is believed only near a recorded Fresh price

  const manager = await ethers.deployContract("AccessManager", [governor.address]);
  const authority = await manager.getAddress();
  for (const role of [ROLE.PAUSER, ROLE.RESUMER, ROLE.GOVERNOR, ROLE.SENTINEL]) {
    await manager.grantRole(role, governor.address, 0);
  }

  /** `implementation` behind a proxy, initialised in the proxy's constructor. */
  const behindProxy = async (implementation: { getAddress(): Promise<string> }, initialize: string) => {
    const proxy = await ethers.deployContract("TransparentUpgradeableProxy", [
      await implementation.getAddress(),
      authority,
      initialize,
    ]);
    return await proxy.getAddress();
  };
  const deployShared = async (name: "EmergencyBrake" | "InsuranceFund") => {
    const implementation = await ethers.deployContract(name as "EmergencyBrake");
    return await behindProxy(
      implementation,
      implementation.interface.encodeFunctionData("initialize", [authority]),
    );
  };
  const liquidator: Liquidator = await ethers.deployContract("Liquidator");
  const brake: EmergencyBrake = await ethers.getContractAt(
    "EmergencyBrake",
    await deployShared("EmergencyBrake"),
  );
  const insurance: InsuranceFund = await ethers.getContractAt(
    "InsuranceFund",
    await deployShared("InsuranceFund"),
  );

  const deploy = async (name: string, parameters: unknown[], libraries: Record<string, string>) => {
    const artifact = artifacts.get(name);
    if (artifact === undefined) return await ethers.deployContract(name, parameters, { libraries });
    return await (await ethers.getContractFactoryFromArtifact(artifact, { libraries })).deploy(...parameters);
  };
  const library = async (name: string, libraries: Record<string, string> = {}) =>
    await (await deploy(name, [], libraries)).getAddress();
  const liquidation = await library("Liquidation");
  const implementation = await deploy(
    "Vault",
    [
      {
        name: "Breakwater COL/DEBT",
        symbol: "bwDEBT",
        collateral: await collateral.getAddress(),
        debt: await debt.getAddress(),
        spacing: options.spacing ?? 25,
        collateralUnitDecimals: options.collateralUnitDecimals ?? 18,
        liquidator: await liquidator.getAddress(),
        brake: await brake.getAddress(),
        insurance: await insurance.getAddress(),
        pair: ethers.ZeroAddress,
      },
    ],
    {
      Lending: await library("Lending", { Liquidation: liquidation }),
      Liquidation: liquidation,
      Parameters: await library("Parameters"),
      Positions: await library("Positions"),
    },
  );
  const vault: Vault = await ethers.getContractAt(
    "Vault",
    await behindProxy(
      implementation,
      implementation.interface.encodeFunctionData("initialize", [
        authority,
        await oracle.getAddress(),
        risk,
        caps,
        options.reserveFactor ?? 10n,
      ]),
    ),
  );
  const address = await vault.getAddress();

  const restrict = async (target: { getAddress(): Promise<string> }, selectors: string[], role: bigint) =>
    manager.setTargetFunctionRole(await target.getAddress(), selectors, role);
  const selector =
    (contract: { interface: { getFunction(name: string): { selector: string } | null } }) => (name: string) =>
      contract.interface.getFunction(name)!.selector;
  await restrict(
    vault,
    [
      "setRisk",
      "startRamp",
      "stopRamp",
      "startWindDown",
      "setCaps",
      "setCascade",
      "setReserveFactor",
      "setOracle",
    ].map(selector(vault)),
    ROLE.GOVERNOR,
  );
  await restrict(brake, ["list", "setSequencerFeed"].map(selector(brake)), ROLE.GOVERNOR);
  await restrict(brake, ["pause", "pauseAll"].map(selector(brake)), ROLE.PAUSER);
  await restrict(brake, ["pauseBriefly", "pauseAllBriefly"].map(selector(brake)), ROLE.SENTINEL);
  await restrict(brake, ["resume"].map(selector(brake)), ROLE.RESUMER);
  await restrict(insurance, ["withdraw"].map(selector(insurance)), ROLE.GOVERNOR);
  await brake.list(address);

  /** Mints tokens to `account` and approves vault, liquidator and insurance fund without limit. */
  const fund = async (account: Signer, amounts: { collateral?: bigint; debt?: bigint }) => {
    for (const [token, amount] of [
      [collateral, amounts.collateral ?? 0n],
      [debt, amounts.debt ?? 0n],
    ] as const) {
      if (amount !== 0n) await token.mint(await account.getAddress(), amount);
      for (const spender of [vault, liquidator, insurance]) {
        await token.connect(account).approve(await spender.getAddress(), MAX_UINT256);
      }
    }
  };

  return {
    connection,
    signer,
    governor,
    manager,
    collateral,
    debt,
    feeds,
    oracle,
    vault,
    liquidator,
    brake,
    insurance,
    /** What the market was made of. */
    parameters: {
      collateralDecimals,
      debtDecimals,
      collateralUnitDecimals: options.collateralUnitDecimals ?? 18,
      spacing: options.spacing ?? 25,
      collateralPrice,
      debtPrice,
      risk,
      caps,
      reserveFactor: options.reserveFactor ?? 10n,
      maxAge,
    },
    setSource,
    setPrices,
    kill: setDead(true),
    heal: setDead(false),
    fund,
  };
}

export type FundedMarket = Awaited<ReturnType<typeof deployFundedMarket>>;

/**
 * A market at a price of 2,000, a Lens, and four accounts with 10,000 of the collateral and 20 million of the debt token
 * each, of which the first has lent ten million.
 */
export async function deployFundedMarket(connection: NetworkConnection, options: MarketOptions = {}) {
  const market = await deployMarket(connection, { collateralPrice: 2_000n * USD, ...options });
  const { signer, vault } = market;
  const accounts = [signer(1), signer(2), signer(3), signer(4)] as const;
  for (const account of accounts) {
    await market.fund(account, { collateral: 10_000n * ETH, debt: 20_000_000n * USDC });
  }
  await vault.connect(accounts[0]).deposit(10_000_000n * USDC, accounts[0]);
  const [, , , keeper] = accounts;
  return {
    ...market,
    lens: await connection.ethers.deployContract("Lens"),
    accounts,
    adjust: async (who: Signer, collateral: bigint, debt: bigint, sub = 0n, owner: AddressLike = who) =>
      vault.connect(who).adjust(owner, sub, collateral, debt, who, "0x"),
    /** By the last account. */
    liquidate: async (more: Partial<ILiquidator.OrderStruct> = {}) =>
      market.liquidator.connect(keeper).liquidate(await orderOf(vault, keeper, more), "0x"),
    pause: async (level: bigint, seconds: bigint) =>
      market.brake.pause(vault, level, seconds, encodeBytes32String("test")),
  };
}
