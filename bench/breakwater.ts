// Breakwater through its proxies: with the one-slot price source, or with the real adapter and both of its sources.
import { encodePath } from "@breakwater/sdk/chain";
import {
  Lens__factory,
  LeverageRouter__factory,
  Liquidator__factory,
  type UniswapV3Pool,
  Vault__factory,
} from "@breakwater/sdk/types";
import { ZeroHash } from "ethers";
import { sqrtPriceX96 } from "../deploy/liquidity.ts";
import { deployLocal } from "../deploy/local.ts";
import { readParameters } from "../deploy/parameters.ts";
import { deployMarket, type TestMarket } from "../test/support/market.ts";
import { createPool, deployUniswap, FEE, tradeTo, type Uniswap } from "../test/support/uniswap.ts";
import type { Call, Chain, Receipt } from "./chain.ts";
import { type Artifact, deploy } from "./compile.ts";
import {
  approve,
  atMost,
  COLLATERAL_DECIMALS,
  DEBT_DECIMALS,
  type Exchange,
  type Holder,
  LIQUIDATOR,
  LENDER,
  PRICE,
  type Protocol,
  SPACING,
  USER,
} from "./scene.ts";

export interface Breakwater extends Protocol {
  vault: string;
  liquidator: string;
  lens: string;
}

const vaultInterface = Vault__factory.createInterface();
const lensInterface = Lens__factory.createInterface();
const liquidatorInterface = Liquidator__factory.createInterface();
const routerInterface = LeverageRouter__factory.createInterface();
const ALL = -(2n ** 255n);
const NO_CALLBACK = "0x";
const MICRO = 10n ** 6n;
/** Of the slot's pool: 25 million dollars, as the demonstration market's. */
const LIQUIDITY = 28n * 10n ** 16n;
const OBSERVATIONS = 60;

/** The test suite's market, whose oracle is swapped for the slot. */
export async function withSlot(chain: Chain, own: Record<string, Artifact>) {
  const market = await deployMarket(chain.connection, {
    collateralDecimals: COLLATERAL_DECIMALS,
    debtDecimals: DEBT_DECIMALS,
    spacing: SPACING,
    collateralPrice: PRICE,
  });
  const collateral = await market.collateral.getAddress();
  const slot = await deploy(chain.signer, own["SlotPrice"], [collateral]);
  const setPrice = async (price: bigint) => {
    await slot.contract.getFunction("set")(price);
  };
  await setPrice(PRICE);
  await market.vault.setOracle(slot.address);
  const lens = await new Lens__factory(chain.signer).deploy();
  const exchange = await openExchange(market);
  // Nobody trades in ether here: any address does for it.
  const leverageRouter = await new LeverageRouter__factory(market.signer(1)).deploy(
    exchange.router,
    slot.address,
  );
  const breakwater = connect(chain, {
    vault: await market.vault.getAddress(),
    liquidator: await market.liquidator.getAddress(),
    lens: await lens.getAddress(),
    leverageRouter: await leverageRouter.getAddress(),
    collateral,
    debt: await market.debt.getAddress(),
    setPrice,
  });
  return { breakwater, slot: slot.address, setPrice, exchange };
}

/** By an account of its own, so that what is deployed afterwards has the same addresses with and without it. */
async function openExchange(market: TestMarket): Promise<Exchange> {
  const dealer = market.signer(1);
  const uniswap = await deployUniswap(dealer);
  const collateral = market.collateral.connect(dealer);
  const debt = market.debt.connect(dealer);
  const collateralIs0 = BigInt(await collateral.getAddress()) < BigInt(await debt.getAddress());
  const [token0, token1] = collateralIs0 ? [collateral, debt] : [debt, collateral];
  const sides = [10n ** BigInt(8 + COLLATERAL_DECIMALS), PRICE * 10n ** BigInt(DEBT_DECIMALS)] as const;
  const sqrtPrice = collateralIs0 ? sqrtPriceX96(...sides) : sqrtPriceX96(sides[1], sides[0]);
  const pool = await createPool(uniswap, token0, token1, {
    sqrtPrice,
    liquidity: LIQUIDITY,
    observations: OBSERVATIONS,
  });
  await tradeBothWays(uniswap, pool);
  return { router: await uniswap.router.getAddress(), pool: await pool.getAddress() };
}

/** Whoever is the first to trade a pool in a direction pays for the counter of its fees. */
async function tradeBothWays(uniswap: Uniswap, pool: UniswapV3Pool): Promise<void> {
  const { sqrtPriceX96: before } = await pool.slot0();
  for (const price of [before + before / 1_000n, before]) await tradeTo(uniswap, pool, price);
}

/** The demonstration market: the OracleAdapter over a feed and a Uniswap v3 pool's average. */
export async function withAdapter(chain: Chain): Promise<Breakwater> {
  const parameters = readParameters("local");
  parameters.markets = parameters.markets
    .filter(({ id }) => id === "weth-usdc")
    .map((market) => ({ ...market, caps: { ...market.caps, debt: "1e12", collateral: "1e9" } }));
  parameters.pairs = []; // the market alone
  const local = await deployLocal(chain.connection, { parameters });
  const market = local.markets["weth-usdc"]!;
  const pool = local.pools["WETH/USDC"]!;
  const uniswap = {
    signer: chain.signer,
    factory: local.contracts.uniswapFactory,
    positions: local.contracts.positionManager,
    router: local.contracts.swapRouter,
  };
  const wethIs0 = (await pool.token0()) === market.collateral.target;

  /** A round of the feed, an arbitrage, the ten minutes that the average needs to follow, and the round again. */
  const setPrice = async (price: bigint) => {
    const text = `${price / 10n ** 8n}.${(price % 10n ** 8n).toString().padStart(8, "0")}`;
    // Amounts of equal value.
    const sides = [10n ** BigInt(8 + COLLATERAL_DECIMALS), price * 10n ** BigInt(DEBT_DECIMALS)] as const;
    await local.setPrice("ETH/USD", text);
    await local.setPrice("USDC/USD", "1");
    await tradeTo(uniswap, pool, wethIs0 ? sqrtPriceX96(...sides) : sqrtPriceX96(sides[1], sides[0]));
    chain.advance(600);
    await local.setPrice("ETH/USD", text);
  };
  await tradeBothWays(uniswap, pool);
  await setPrice(PRICE);
  return connect(chain, {
    vault: market.vault.target as string,
    liquidator: local.contracts.liquidator.target as string,
    lens: local.contracts.lens.target as string,
    leverageRouter: local.contracts.leverageRouter.target as string,
    collateral: market.collateral.target as string,
    debt: market.debt.target as string,
    setPrice,
  });
}

function connect(
  chain: Chain,
  at: Pick<Breakwater, "vault" | "liquidator" | "lens" | "collateral" | "debt" | "setPrice"> & {
    leverageRouter: string;
  },
): Breakwater {
  const { vault, lens, liquidator, leverageRouter, collateral, debt } = at;
  const eventOf = (receipt: Receipt, name: "Adjust" | "Liquidate") => {
    const { topicHash } = vaultInterface.getEvent(name);
    const log = receipt.logs.find(({ address, topics }) => isSame(address, vault) && topics[0] === topicHash);
    return log && vaultInterface.decodeEventLog(name, log.data, log.topics);
  };
  const adjust = ({ owner, sub }: Holder, collateralDelta: bigint, debtDelta: bigint): Call => ({
    from: owner,
    to: vault,
    data: vaultInterface.encodeFunctionData("adjust", [
      owner,
      sub,
      collateralDelta,
      debtDelta,
      owner,
      NO_CALLBACK,
    ]),
  });
  /** The debt token is always sold last or bought first: Uniswap's path of an exact output is reversed. */
  const path = encodePath([debt, collateral], [FEE]);
  const trade = (
    { owner, sub }: Holder,
    own: bigint,
    collateralDelta: bigint,
    debtDelta: bigint,
    limit: bigint,
  ): Call => ({
    from: owner,
    to: leverageRouter,
    data: routerInterface.encodeFunctionData("trade", [
      {
        owner,
        legs: [{ market: vault, sub, collateral: collateralDelta, debt: debtDelta }],
        path,
        exactOut: debtDelta < 0n,
        limit,
        token: collateral,
        amount: own,
        receiver: owner,
        unwrap: false,
        deadline: 2n ** 32n - 1n,
      },
      [],
      { value: 0n, deadline: 0n, v: 0, r: ZeroHash, s: ZeroHash },
    ]),
  });
  return {
    ...at,
    name: "breakwater",
    spenders: [vault, liquidator],
    open: (holder, collateral, debt) => [adjust(holder, collateral, debt)],
    addCollateral: (holder, amount) => [adjust(holder, amount, 0n)],
    repay: (holder, amount) => [adjust(holder, 0n, -amount)],
    withdraw: (holder, amount) => [adjust(holder, -amount, 0n)],
    // More than is owed repays what is owed.
    close: async (holder) => [adjust(holder, ALL, -(10n ** 12n) * MICRO)],
    leverage: [
      {
        allow: [
          approve(USER, collateral, leverageRouter),
          {
            from: USER,
            to: vault,
            data: vaultInterface.encodeFunctionData("setOperator", [leverageRouter, true]),
          },
        ],
        open: (holder, own, amount, borrowed) => [trade(holder, own, amount, borrowed, amount - own)],
        close: async (holder, borrowed) => [trade(holder, 0n, ALL, ALL, atMost(borrowed))],
      },
    ],
    deposit: (amount) => [
      { from: LENDER, to: vault, data: vaultInterface.encodeFunctionData("deposit", [amount, LENDER]) },
    ],
    withdrawDeposit: (amount) => [
      {
        from: LENDER,
        to: vault,
        data: vaultInterface.encodeFunctionData("withdraw", [amount, LENDER, LENDER]),
      },
    ],
    borrowIndex: async () => {
      const answer = await chain.call(lens, lensInterface.encodeFunctionData("market", [vault]));
      const [market] = lensInterface.decodeFunctionResult("market", answer) as unknown as [
        { borrowIndex: bigint },
      ];
      return market.borrowIndex;
    },
    landedAt: (receipt) => {
      const event = eventOf(receipt, "Adjust");
      return event && Number(event["tick"] as bigint);
    },
    swept: (receipt) => {
      const report = eventOf(receipt, "Liquidate")?.["report"] as
        Record<"ticks" | "landTick", bigint> | undefined;
      return report && { ticks: Number(report.ticks), land: Number(report.landTick) };
    },
    // Ticks, not accounts: one transaction, whoever is in them.
    liquidate: async () => [
      {
        from: LIQUIDATOR,
        to: liquidator,
        data: liquidatorInterface.encodeFunctionData("liquidate", [
          {
            market: vault,
            maxRepay: 2n ** 128n - 1n,
            minCollateral: 0n,
            fromTick: 2n ** 23n - 1n,
            maxTicks: 0n,
            buyPot: false,
            deadline: 2n ** 32n - 1n,
            receiver: LIQUIDATOR,
          },
          NO_CALLBACK,
        ]),
      },
    ],
  };
}

const isSame = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
