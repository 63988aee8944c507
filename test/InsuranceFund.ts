import { expect } from "chai";
import { network } from "hardhat";

import { deployMarket, USDC } from "./support/market.ts";

const connection = await network.create();
const { ethers } = connection;

describe("InsuranceFund", () => {
  it("gives a contract that poses as a market no token but the one that was paid in for it", async () => {
    const { insurance, vault, debt, fund } = await deployMarket(connection, {
      collateralPrice: 2_000n * 10n ** 8n,
    });
    const [, owner, thief] = await ethers.getSigners();
    await fund(owner!, { collateral: 0n, debt: 500n * USDC });
    await insurance.connect(owner).deposit(vault, 500n * USDC);

    const worthless = await ethers.deployContract("TestToken", ["Worthless", "W", 6]);
    await worthless.mint(thief!, 500n * USDC);
    await worthless.connect(thief).approve(insurance, 500n * USDC);
    const market = await ethers.deployContract("TwoFacedMarket");
    await market.getFunction("setAsset")(worthless);
    await insurance.connect(thief).deposit(market, 500n * USDC);
    expect(await insurance.balanceOf(market)).to.equal(500n * USDC);

    await market.getFunction("setAsset")(debt);
    expect(await insurance.balanceOf(market)).to.equal(0n);
    await expect(market.getFunction("cover")(insurance, 1n))
      .to.be.revertedWithCustomError(insurance, "InsufficientInsurance")
      .withArgs(await market.getAddress(), 1n, 0n);
    expect(await insurance.balanceOf(vault)).to.equal(500n * USDC);

    await market.getFunction("setAsset")(worthless);
    await market.getFunction("cover")(insurance, 500n * USDC);
    expect(await worthless.balanceOf(market)).to.equal(500n * USDC);
    expect(await debt.balanceOf(insurance)).to.equal(500n * USDC);
  });
});
