import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  deployMarket,
  ETH,
  MAX_INT24,
  MAX_UINT256,
  orderOf,
  type TestMarket,
  USD,
  USDC,
} from "../support/market.ts";
import { createPool, deployUniswap, sqrtPriceOf, tradeTo } from "../support/uniswap.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const FEE = 500n;

/** WETH/USDC at 2,000 with positions of LTV 50 to 80 %, and a Uniswap pool of finite depth. */
async function fixture() {
  const m = await deployMarket(connection, { collateralPrice: 2_000n * USD });
  const [governor, lender, borrower] = [m.signer(0), m.signer(1), m.signer(2)];
  await m.fund(lender, { debt: 50_000_000n * USDC });
  await m.fund(borrower, { collateral: 10_000n * ETH });
  await m.vault.connect(lender).deposit(10_000_000n * USDC, lender);
  for (const [sub, debt] of [1_000n, 1_200n, 1_400n, 1_500n, 1_550n, 1_600n].entries()) {
    await m.vault.connect(borrower).adjust(borrower, BigInt(sub), ETH, debt * USDC, borrower, "0x");
  }
  const uniswap = await deployUniswap(governor);
  const collateralFirst = BigInt(await m.collateral.getAddress()) < BigInt(await m.debt.getAddress());
  const sqrtPrice = (dollars: number) =>
    collateralFirst ? sqrtPriceOf(dollars, 18, 6) : sqrtPriceOf(1 / dollars, 6, 18);
  const tokens = collateralFirst ? ([m.collateral, m.debt] as const) : ([m.debt, m.collateral] as const);
  const pool = await createPool(uniswap, ...tokens, {
    sqrtPrice: sqrtPrice(2_000),
    liquidity: 10n ** 17n,
    observations: 1,
  });
  const flash = await ethers.deployContract("FlashLiquidator", [m.liquidator, uniswap.router]);
  const lens = await ethers.deployContract("Lens");
  /** The feeds and the pool at `dollars`. */
  const move = async (dollars: number) => {
    await tradeTo(uniswap, pool, sqrtPrice(dollars));
    await m.setPrices(BigInt(dollars) * USD);
  };
  return { m, uniswap, pool, flash, lens, move, sqrtPrice };
}

type Arrangement = Awaited<ReturnType<typeof fixture>>;

describe("FlashLiquidator", () => {
  let m: TestMarket;
  let flash: Arrangement["flash"];
  let lens: Arrangement["lens"];
  let uniswap: Arrangement["uniswap"];
  let move: Arrangement["move"];
  let path: string;
  let keeper: HardhatEthersSigner;
  let receiver: HardhatEthersSigner;

  beforeEach(async () => {
    ({ m, flash, lens, uniswap, move } = await networkHelpers.loadFixture(fixture));
    [keeper, receiver] = [m.signer(4), m.signer(5)];
    path = pathOf(await m.collateral.getAddress(), await m.debt.getAddress());
  });

  const pathOf = (from: string, to: string, fee = FEE) =>
    ethers.solidityPacked(["address", "uint24", "address"], [from, fee, to]);
  const params = async (more: Record<string, unknown> = {}) => ({
    market: await m.vault.getAddress(),
    maxRepay: MAX_UINT256,
    fromTick: MAX_INT24,
    maxTicks: 0n,
    buyPot: true,
    path,
    minOut: 0n,
    minProfit: 0n,
    deadline: 2n ** 40n,
    receiver: receiver.address,
    ...more,
  });
  const liquidate = async (more: Record<string, unknown> = {}) =>
    flash.connect(keeper).liquidate(await params(more));
  const expected = async (more: Record<string, unknown> = {}) =>
    flash.connect(keeper).liquidate.staticCall(await params(more), { blockTag: "pending" });
  const expectEmpty = async () => {
    for (const token of [m.collateral, m.debt]) {
      expect(await token.balanceOf(flash)).to.equal(0n);
      expect(await token.allowance(flash, m.liquidator)).to.equal(0n);
      expect(await token.allowance(flash, uniswap.router)).to.equal(0n);
    }
  };

  it("liquidates with no capital and sends the profit, all of it, to the receiver", async () => {
    await move(1_840);
    const preview = await lens.liquidation(m.vault, MAX_UINT256, MAX_INT24, 0n, true);
    const { repaid, seized, profit } = await expected();
    expect(repaid).to.be.within(preview.repaid, preview.repaid + 10n); // a second's interest
    expect(profit).to.be.greaterThan(0n);
    const vaultBefore = await m.debt.balanceOf(m.vault);
    await expect(liquidate({ minProfit: profit - 10n }))
      .to.emit(flash, "FlashLiquidate")
      .withArgs(
        await m.vault.getAddress(),
        keeper.address,
        receiver.address,
        (value: bigint) => value >= repaid,
        (value: bigint) => value >= seized,
        (value: bigint) => value >= profit - 10n,
      );
    expect(await m.debt.balanceOf(receiver)).to.be.within(profit - 10n, profit + 10n);
    expect((await m.debt.balanceOf(m.vault)) - vaultBefore).to.be.within(repaid, repaid + 10n);
    expect(await m.debt.balanceOf(keeper)).to.equal(0n);
    expect(await m.collateral.balanceOf(keeper)).to.equal(0n);
    await expectEmpty();
  });

  it("keeps the budget, the ticks and the pot that it was asked for", async () => {
    await move(1_550);
    const before = await lens.ticks(m.vault, MAX_INT24, 100n);
    await liquidate({ maxRepay: 400n * USDC, maxTicks: 3n, buyPot: false });
    expect(await m.vault.potDebt()).to.be.greaterThan(0n);
    const potBefore = await m.vault.potDebt();
    await networkHelpers.time.increase(3_600); // the pot's discount grows
    await m.setPrices(1_550n * USD);
    await liquidate();
    expect(potBefore).to.be.greaterThan(await m.vault.potDebt());
    expect((await lens.ticks(m.vault, MAX_INT24, 100n)).length).to.be.lessThan(before.length);
    await expectEmpty();
  });

  it("seizes insolvent ticks when there is nothing to sell: no swap, no payment, no profit", async () => {
    await move(1_550);
    await liquidate({ maxTicks: 1n, buyPot: false });
    expect(await m.vault.potDebt()).to.be.greaterThan(0n);
    expect(await m.debt.balanceOf(receiver)).to.equal(0n);
    await expectEmpty();
    await move(1_450);
    await expect(liquidate({ maxTicks: 1n, buyPot: false, minProfit: 1n }))
      .to.be.revertedWithCustomError(flash, "ProfitTooLow")
      .withArgs(0n, 1n);
  });

  it("refuses a profit below the minimum, and says both", async () => {
    await move(1_840);
    const { profit } = await expected();
    await expect(liquidate({ minProfit: profit + 1_000n }))
      .to.be.revertedWithCustomError(flash, "ProfitTooLow")
      .withArgs((value: bigint) => value >= profit - 10n && value <= profit + 10n, profit + 1_000n);
  });

  it("refuses a swap that does not even repay: the loss is nobody's", async () => {
    await m.setPrices(1_840n * USD);
    await move(1_500); // the pool is far below the feeds
    await m.setPrices(1_840n * USD);
    await expect(liquidate())
      .to.be.revertedWithCustomError(flash, "ProfitTooLow")
      .withArgs((value: bigint) => value < 0n, 0n);
    await expectEmpty();
  });

  it("refuses less than the minimum out", async () => {
    await move(1_840);
    const { repaid, profit } = await expected();
    await expect(liquidate({ minOut: repaid + profit + 1_000n })).to.be.revertedWith("Too little received");
  });

  it("refuses a path that does not lead from the collateral to the debt token", async () => {
    await move(1_840);
    const [collateral, debt] = [await m.collateral.getAddress(), await m.debt.getAddress()];
    for (const [wrong, first, last] of [
      [pathOf(debt, collateral), debt, collateral],
      [pathOf(collateral, collateral), collateral, collateral],
      ["0x", ethers.ZeroAddress, ethers.ZeroAddress],
      [collateral, ethers.ZeroAddress, ethers.ZeroAddress],
      [ethers.concat([collateral, "0x0001f400", debt]), collateral, debt],
    ] as const) {
      await expect(liquidate({ path: wrong }))
        .to.be.revertedWithCustomError(flash, "PathMismatch")
        .withArgs(first, last);
    }
  });

  it("passes on the errors of Liquidator and market: late, unknown, nothing to do", async () => {
    await expect(liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
    await move(1_840);
    await expect(liquidate({ deadline: 1n })).to.be.revertedWithCustomError(m.liquidator, "DeadlineExpired");
    await expect(liquidate({ market: keeper.address }))
      .to.be.revertedWithCustomError(m.liquidator, "UnknownMarket")
      .withArgs(keeper.address);
  });

  it("answers no callback but the Liquidator's, and that only during its own call", async () => {
    const [vault, amount] = [await m.vault.getAddress(), 10n * USDC];
    const swap = ethers.AbiCoder.defaultAbiCoder().encode(
      ["tuple(bytes path, uint256 minOut, uint256 minProfit, uint256 deadline)"],
      [[path, 0n, 0n, 2n ** 40n]],
    );
    await m.debt.mint(flash, amount);
    await m.collateral.mint(flash, ETH);
    await expect(flash.connect(keeper).onLiquidation(vault, amount, 0n, swap))
      .to.be.revertedWithCustomError(flash, "UnexpectedCallback")
      .withArgs(keeper.address);
    // What asks for a payment that nobody has ordered does not reach it.
    const rogue = await ethers.deployContract("FalseMarket");
    const target = await m.liquidator.getAddress();
    const ask = m.liquidator.interface.encodeFunctionData("payLiquidation", [
      await m.debt.getAddress(),
      amount,
      ETH,
      swap,
    ]);
    await expect(rogue.getFunction("make")([{ target, data: ask }]))
      .to.be.revertedWithCustomError(m.liquidator, "UnexpectedCallback")
      .withArgs(await rogue.getAddress());
  });

  it("cannot be entered from inside another liquidation of the market", async () => {
    await move(1_840);
    const rogue = await ethers.deployContract("CallbackCaller");
    await expect(
      rogue.liquidate(m.liquidator, await orderOf(m.vault, rogue, { maxRepay: 100n * USDC, buyPot: false }), [
        {
          target: await flash.getAddress(),
          data: flash.interface.encodeFunctionData("liquidate", [await params()]),
        },
      ]),
    ).to.be.revertedWithCustomError(m.vault, "ReentrancyGuardReentrantCall");
  });

  it("pays nobody what was sent to it before", async () => {
    await m.debt.mint(flash, 1_000_000n * USDC);
    await m.collateral.mint(flash, 1_000n * ETH);
    await move(1_840);
    const { profit } = await expected();
    await expect(liquidate({ minProfit: profit + 1_000n })).to.be.revertedWithCustomError(
      flash,
      "ProfitTooLow",
    );
    await liquidate();
    expect(await m.debt.balanceOf(flash)).to.equal(1_000_000n * USDC);
    expect(await m.collateral.balanceOf(flash)).to.equal(1_000n * ETH);
    expect(await m.debt.balanceOf(receiver)).to.be.within(profit - 10n, profit + 10n);
  });

  it("sends collateral that an exhausted pool left to the receiver", async () => {
    await move(1_840);
    const { repaid } = await expected();
    // A pool of its own fee with debt tokens only, in one narrow range: just more than the repayment.
    const [collateral, debt] = [await m.collateral.getAddress(), await m.debt.getAddress()];
    const collateralFirst = BigInt(collateral) < BigInt(debt);
    const [token0, token1] = collateralFirst ? [collateral, debt] : [debt, collateral];
    await uniswap.factory.createPool(token0, token1, 3_000n);
    const pool = await ethers.getContractAt(
      (await import("../../deploy/modules/prebuilt.ts")).UNISWAP.UniswapV3Pool.abi,
      await uniswap.factory.getPool(token0, token1, 3_000n),
      m.governor,
    );
    const initialize = pool.getFunction("initialize");
    await initialize(collateralFirst ? sqrtPriceOf(1_841, 18, 6) : sqrtPriceOf(1 / 1_841, 6, 18));
    const { tick } = (await pool.getFunction("slot0").staticCall()) as { tick: bigint };
    const near = Math.floor(Number(tick) / 60) * 60;
    const amount = (repaid * 101n) / 100n;
    await uniswap.positions.mint({
      token0,
      token1,
      fee: 3_000n,
      tickLower: collateralFirst ? near - 60 : near + 60,
      tickUpper: collateralFirst ? near : near + 120,
      amount0Desired: collateralFirst ? 0n : amount,
      amount1Desired: collateralFirst ? amount : 0n,
      amount0Min: 0n,
      amount1Min: 0n,
      recipient: m.governor.address,
      deadline: 2n ** 32n,
    });
    const { seized } = await expected();
    await liquidate({ path: pathOf(collateral, debt, 3_000n) });
    expect(await m.collateral.balanceOf(receiver)).to.be.within(1n, seized / 10n);
    expect(await m.debt.balanceOf(receiver)).to.be.within((repaid * 9n) / 1_000n, repaid / 50n);
    await expectEmpty();
  });
});
