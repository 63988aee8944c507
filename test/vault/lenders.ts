import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  deployFundedMarket,
  deployMarket,
  ETH,
  type FundedMarket,
  LEVEL,
  MIN_INT256,
  STATE,
  USD,
  USDC,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const fixture = () => deployFundedMarket(connection);

describe("Vault lenders", () => {
  let m: FundedMarket;
  let lender: HardhatEthersSigner;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [lender, alice, bob] = m.accounts;
  });

  it("get what previews say, and interest", async () => {
    await m.adjust(alice, 1_000n * ETH, 1_500_000n * USDC);
    await networkHelpers.time.increase(86_000);
    const shares = await m.vault.previewDeposit.staticCall(1_000n * USDC);
    await m.vault.connect(bob).deposit(1_000n * USDC, bob);
    // a second passes between the preview and the block
    expect(await m.vault.balanceOf(bob)).to.be.within(shares - 2n, shares);
    expect(await m.vault.totalAssets()).to.be.greaterThan(10_001_000n * USDC);
    const max = await m.vault.maxRedeem(bob);
    await m.vault.connect(bob).redeem(max, bob, bob);
    expect(await m.vault.balanceOf(bob)).to.equal(0n);
  });

  it("mint and withdraw at what previews say", async () => {
    expect([await m.vault.name(), await m.vault.symbol()]).to.deep.equal(["Breakwater COL/DEBT", "bwDEBT"]);
    await m.adjust(alice, 1_000n * ETH, 1_500_000n * USDC);
    await networkHelpers.time.increase(86_000);
    const assets = await m.vault.previewMint(1_000n * USDC);
    expect(assets).to.be.greaterThan(1_000n * USDC); // a share has earned interest
    const money = await m.debt.balanceOf(bob);
    await m.vault.connect(bob).mint(1_000n * USDC, bob);
    // a second passes between the preview and the block
    expect(money - (await m.debt.balanceOf(bob))).to.be.within(assets, assets + 2n);
    const shares = await m.vault.previewWithdraw(500n * USDC);
    await m.vault.connect(bob).withdraw(500n * USDC, bob, bob);
    expect(1_000n * USDC - (await m.vault.balanceOf(bob))).to.be.within(shares - 2n, shares);
  });

  it("buy the first shares one for one", async () => {
    expect(await m.vault.balanceOf(lender)).to.equal(10_000_000n * USDC);
    expect(await m.vault.totalSupply()).to.equal(10_000_000n * USDC);
    expect(await m.vault.decimals()).to.equal(6n);
    expect(await m.vault.asset()).to.equal(await m.debt.getAddress());
  });

  it("are rounded against, to the wei", async () => {
    const huge = 10n ** 30n;
    await m.fund(bob, { debt: huge });
    await m.adjust(alice, 8_000n * ETH, 9_000_000n * USDC);
    await networkHelpers.time.increase(86_000);
    await m.vault.connect(lender).transfer(bob, 555_555_555n);
    const [supply, total] = [(await m.vault.totalSupply()) + 1n, (await m.vault.totalAssets()) + 1n];
    const up = (x: bigint, numerator: bigint, denominator: bigint) =>
      (x * numerator + denominator - 1n) / denominator;
    let rounded = 0;
    for (const x of [1_000n * USDC, 777_777_777n, 123_456_789n, 999_999_999n]) {
      const [shares, assets] = [(x * supply) / total, (x * total) / supply];
      if ((x * supply) % total !== 0n) rounded++;
      expect(await m.vault.previewDeposit(x)).to.equal(shares);
      expect(await m.vault.previewRedeem(x)).to.equal(assets);
      expect(await m.vault.previewMint(x)).to.equal(up(x, total, supply));
      expect(await m.vault.previewWithdraw(x)).to.equal(up(x, supply, total));
      const as = (who: HardhatEthersSigner) => m.vault.connect(who);
      expect(await as(bob).deposit.staticCall(x, bob)).to.equal(shares);
      expect(await as(bob).mint.staticCall(x, bob)).to.equal(up(x, total, supply));
      expect(await as(lender).withdraw.staticCall(x, lender, lender)).to.equal(up(x, supply, total));
      expect(await as(lender).redeem.staticCall(x, lender, lender)).to.equal(assets);
    }
    expect(rounded).to.be.greaterThan(0);
    // Of amounts that nobody has, the virtual share and unit are not lost in the rounding.
    expect(await m.vault.connect(bob).deposit.staticCall(huge, bob)).to.equal((huge * supply) / total);
    expect(await m.vault.previewDeposit(huge)).to.equal((huge * supply) / total);
    expect(await m.vault.previewRedeem(huge)).to.equal((huge * total) / supply);
    expect(await m.vault.previewMint(huge)).to.equal(up(huge, total, supply));
    expect(await m.vault.previewWithdraw(huge)).to.equal(up(huge, supply, total));
    const most = 2n ** 111n - 1n - (total - 1n);
    expect(await m.vault.maxDeposit(bob)).to.equal(most);
    expect(await m.vault.maxMint(bob)).to.equal((most * supply) / total);
    expect(await m.vault.maxRedeem(lender)).to.equal((1_000_000n * USDC * supply) / total); // all cash
    expect(await m.vault.maxWithdraw(bob)).to.equal((555_555_555n * total) / supply);
    expect(await m.vault.maxRedeem(bob)).to.equal(555_555_555n);
  });

  it("are rounded against where a token is as fine as the book", async () => {
    const market = await deployMarket(connection, { debtDecimals: 18, caps: { minDebt: 0n } });
    const [lend, borrow] = [market.signer(1), market.signer(2)];
    const huge = 10n ** 30n;
    await market.fund(lend, { debt: 2n * huge });
    await market.fund(borrow, { collateral: ETH });
    await market.vault.connect(lend).deposit(2_000n * ETH, lend);
    await market.vault.connect(borrow).adjust(borrow, 0n, ETH, 1_500n * ETH, borrow, "0x");
    for (let hour = 0; hour < 5; hour++) {
      await networkHelpers.time.increase(3_600);
      const [supply, total] = [await market.vault.totalSupply(), await market.vault.totalAssets()];
      expect(await market.vault.connect(lend).deposit.staticCall(huge, lend)).to.equal(
        (huge * (supply + 1n)) / (total + 1n),
      );
    }
  });

  it("have interest charged by anyone", async () => {
    await m.adjust(alice, 8_000n * ETH, 9_000_000n * USDC);
    await networkHelpers.time.increase(86_400);
    const index = async () => BigInt(await ethers.provider.getStorage(m.vault, 0)) & (2n ** 104n - 1n);
    const before = await index();
    await m.vault.connect(bob).accrueInterest();
    expect(await index()).to.be.greaterThan(before);
  });

  it("bring no more than half of what cash can hold, and no dust", async () => {
    const most = 2n ** 111n - 1n;
    await m.fund(bob, { debt: most });
    const room = await m.vault.maxDeposit(bob);
    expect(room).to.equal(most - 10_000_000n * USDC);
    expect(await m.vault.maxMint(bob)).to.equal(room);
    await expect(m.vault.connect(bob).deposit(room + 1n, bob))
      .to.be.revertedWithCustomError(m.vault, "AmountTooLarge")
      .withArgs(room + 1n, most);
    await m.vault.connect(bob).deposit(room, bob);
    const noRoom = async () => {
      expect(await m.vault.maxDeposit(bob)).to.equal(0n);
      expect(await m.vault.maxMint(bob)).to.equal(0n);
    };
    await noRoom();
    await m.adjust(alice, ETH, 1_000n * USDC);
    await networkHelpers.time.increase(86_400n * 365n);
    await m.setPrices(2_000n * USD, USD);
    expect(await m.vault.totalAssets()).to.be.greaterThan(most);
    await noRoom();
    await expect(m.vault.connect(bob).redeem(0n, bob, bob)).to.be.revertedWithCustomError(
      m.vault,
      "ZeroAmount",
    );
    await expect(m.vault.connect(bob).withdraw(0n, bob, bob)).to.be.revertedWithCustomError(
      m.vault,
      "ZeroAmount",
    );
  });

  it("get shares for the least deposit only if it is worth one", async () => {
    await m.adjust(alice, 8_000n * ETH, 9_000_000n * USDC);
    await networkHelpers.time.increase(86_000);
    await expect(m.vault.connect(bob).deposit(1n, bob)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
    await m.vault.connect(bob).deposit(2n, bob);
    expect(await m.vault.balanceOf(bob)).to.equal(1n);
  });

  it("refuses zero, and more than the cash", async () => {
    await expect(m.vault.connect(bob).deposit(0n, bob)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
    await expect(m.vault.connect(bob).mint(0n, bob)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
    await m.adjust(alice, 9_000n * ETH, 9_000_000n * USDC);
    await expect(m.vault.connect(lender).withdraw(1_000_001n * USDC, lender, lender))
      .to.be.revertedWithCustomError(m.vault, "InsufficientCash")
      .withArgs(1_000_001n * USDC, 1_000_000n * USDC);
    expect(await m.vault.maxWithdraw(lender)).to.equal(1_000_000n * USDC);
    await m.vault.connect(lender).withdraw(1_000_000n * USDC, lender, lender);
    expect(await m.vault.maxWithdraw(lender)).to.equal(0n);
  });

  it("cannot be robbed by a donation", async () => {
    const before = await m.vault.totalAssets();
    await m.debt.mint(m.vault, 10n ** 12n);
    expect(await m.vault.totalAssets()).to.equal(before);
  });

  it("wait while an insolvent tick cannot be seized, and the views say so", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setPrices(1_600n * USD);
    const shares = await m.vault.balanceOf(lender);
    // Fresh: the tick is seized on the way, and the loss is in the price
    expect(await m.vault.maxWithdraw(lender)).to.equal(9_998_400n * USDC); // all the cash
    const worth = await m.vault.previewRedeem(shares / 2n);
    expect(worth).to.be.lessThan(5_000_000n * USDC);
    await m.pause(LEVEL.LiquidationsPaused, 600n);
    for (const max of ["maxDeposit", "maxMint", "maxWithdraw", "maxRedeem"] as const) {
      expect(await m.vault[max](lender), max).to.equal(0n);
    }
    expect(await m.vault.totalAssets(), "waits for nothing").to.be.greaterThan(0n);
    await expect(m.vault.previewRedeem(1n)).to.be.revertedWithCustomError(m.vault, "LendersWait");
    await expect(m.vault.connect(lender).redeem(1n, lender, lender))
      .to.be.revertedWithCustomError(m.vault, "LendersWait")
      .withArgs(STATE.Fresh, LEVEL.LiquidationsPaused);
    await networkHelpers.time.increase(1_201);
    await m.setPrices(1_600n * USD);
    await expect(m.vault.connect(lender).redeem(shares / 2n, lender, lender)).to.emit(m.vault, "Liquidate");
  });

  it("wait while a tick is insolvent at the lower price only", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setSource(m.feeds.primary, 1_610n * USD);
    await m.setSource(m.feeds.second, 1_640n * USD);
    expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
    await expect(m.vault.connect(lender).deposit(USDC, lender)).to.be.revertedWithCustomError(
      m.vault,
      "LendersWait",
    );
  });

  it("can take what they have at the lower price, while a pot is worth more at the higher one", async () => {
    await m.adjust(alice, 5_000n * ETH, 7_000_000n * USDC);
    await m.vault.connect(lender).transfer(bob, 1_000_000n * USDC);
    await m.setPrices(1_300n * USD);
    await m.liquidator.seize(m.vault, 10n);
    await m.setSource(m.feeds.second, 1_330n * USD);
    expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
    const [supply, total] = [(await m.vault.totalSupply()) + 1n, (await m.vault.totalAssets()) + 1n];
    expect(await m.vault.maxWithdraw(bob)).to.equal((1_000_000n * USDC * total) / supply);
    const cash = await m.debt.balanceOf(m.vault);
    expect(await m.vault.maxWithdraw(lender)).to.equal(cash);
    expect(await m.vault.maxRedeem(lender)).to.equal((cash * supply) / total);
    // Whoever comes buys the pot at the higher one.
    expect(await m.vault.previewDeposit(USDC)).to.be.lessThan((USDC * supply) / total);
  });

  it("wait on a dead price, unless nothing is owed", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC);
    await m.kill();
    await expect(m.vault.connect(lender).deposit(USDC, lender))
      .to.be.revertedWithCustomError(m.vault, "LendersWait")
      .withArgs(STATE.Dead, LEVEL.None);
    await m.adjust(alice, MIN_INT256, MIN_INT256);
    await m.vault.connect(lender).redeem(await m.vault.balanceOf(lender), lender, lender);
  });

  it("ask for the seizure of many insolvent ticks first", async () => {
    for (let i = 0n; i < 65n; i++) await m.adjust(alice, ETH, (1_000n + i * 6n) * USDC, i);
    await m.setPrices(900n * USD);
    await expect(m.vault.connect(lender).deposit(USDC, lender))
      .to.be.revertedWithCustomError(m.vault, "SeizeFirst")
      .withArgs(64n);
    await m.liquidator.seize(m.vault, 40n);
    await m.vault.connect(lender).deposit(USDC, lender);
  });
});
