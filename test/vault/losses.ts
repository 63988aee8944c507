import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  deployFundedMarket,
  ETH,
  type FundedMarket,
  MAX_UINT256,
  STATE,
  USD,
  USDC,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const fixture = () => deployFundedMarket(connection);

describe("Vault losses", () => {
  let m: FundedMarket;
  let lender: HardhatEthersSigner;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [lender, alice, bob, keeper] = m.accounts;
  });

  it("are paid by insurance first, then reserves, then lenders, and the sale leaves the share price alone", async () => {
    await m.insurance.connect(bob).deposit(m.vault, 20n * USDC);
    await m.adjust(alice, ETH, 1_600n * USDC);
    await networkHelpers.time.increase(80_000);
    await m.setPrices(1_500n * USD, USD);
    const marked = await m.vault.totalAssets();
    await m.liquidator.seize(m.vault, 0n);
    expect(await m.vault.totalAssets()).to.be.within(marked - 1n, marked + 1n);
    expect(await m.vault.potDebt()).to.be.greaterThan(1_600n * ETH);
    await expect(m.insurance.withdraw(m.vault, bob, 1n)).to.be.revertedWithCustomError(
      m.insurance,
      "PotOpen",
    );
    const tx = await m.liquidate();
    const receipt = await tx.wait();
    const log = receipt!.logs.map((l) => m.vault.interface.parseLog(l)).find((l) => l?.name === "ChangePot");
    const report = log!.args.report as { insurancePaid: bigint; reservesPaid: bigint; lendersLoss: bigint };
    expect(report.insurancePaid).to.equal(20n * USDC);
    expect(report.lendersLoss).to.be.greaterThan(50n * USDC);
    expect(await m.vault.potDebt()).to.equal(0n);
    expect(await m.vault.totalAssets()).to.be.within(marked - 2n, marked + 2n);
  });

  it("cannot be escaped: deposit, buy the pot, withdraw gains nothing", async () => {
    await m.insurance.connect(bob).deposit(m.vault, 500n * USDC);
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setPrices(1_500n * USD);
    await m.liquidator.seize(m.vault, 0n);
    const before = await m.debt.balanceOf(keeper);
    await m.vault.connect(keeper).deposit(1_000_000n * USDC, keeper);
    await m.liquidate();
    await m.vault.connect(keeper).redeem(await m.vault.balanceOf(keeper), keeper, keeper);
    const paid = before - (await m.debt.balanceOf(keeper));
    // one ether at 1,500 less the least bonus of 1.5 %, and a few seconds more of discount
    expect(paid).to.be.within(1_470n * USDC, 1_480n * USDC);
  });

  it("give a small seizure no power over the mark of a large pot", async () => {
    await m.adjust(alice, 100n * ETH, 160_000n * USDC);
    await m.adjust(bob, (ETH * 12n) / 1_000n, 19n * USDC);
    await m.setPrices(1_500n * USD);
    await m.liquidator.seize(m.vault, 1n);
    await networkHelpers.time.increase(3_700);
    await m.setPrices(1_500n * USD);
    const lens = await ethers.deployContract("Lens");
    const [before, assets] = [(await lens.market(m.vault)).potPrice, await m.vault.totalAssets()];
    await m.liquidator.seize(m.vault, 0n);
    const after = (await lens.market(m.vault)).potPrice;
    expect(after).to.be.within(before, before + before / 1_000n);
    expect(await m.vault.totalAssets()).to.be.within(assets - 10n * USDC, assets + 10n * USDC);
  });

  /** A pot of one ether that owes 1,600, at two prices that agree. */
  const openPot = async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await networkHelpers.time.increase(80_000);
    await m.setPrices(1_500n * USD, USD);
    await m.liquidator.seize(m.vault, 0n);
  };

  it("are shared out to the last unit: what was owed and not paid", async () => {
    await m.insurance.connect(bob).deposit(m.vault, 20n * USDC);
    await m.adjust(bob, 9_000n * ETH, 9_000_000n * USDC); // its interest fills the reserves
    await openPot();
    const owed = await m.vault.potDebt();
    const receipt = (await (await m.liquidate({ maxRepay: 1_000n * USDC })).wait())!;
    const named = (name: string) =>
      receipt.logs.map((log) => m.vault.interface.parseLog(log)).find((log) => log?.name === name)!.args
        .report as Record<string, bigint>;
    const pot = named("ChangePot");
    expect(pot.potDebtSold).to.be.within(owed / 2n, owed - 1n);
    expect(pot.reservesPaid).to.be.greaterThan(0n);
    const sold = (pot.potDebtSold! + 10n ** 12n - 1n) / 10n ** 12n;
    expect(pot.insurancePaid! + pot.reservesPaid! + pot.lendersLoss!).to.equal(
      sold - named("Liquidate").repaid!,
    );
  });

  it("show in every preview what the lender then gets, at the price that is worse for it", async () => {
    await openPot();
    await m.setSource(m.feeds.second, 1_520n * USD);
    expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
    const vault = m.vault.connect(lender);
    const x = 1_000_000_007n;
    const now = { blockTag: "pending" };
    expect(await vault.deposit.staticCall(x, lender)).to.equal(await vault.previewDeposit(x, now));
    expect(await vault.mint.staticCall(x, lender)).to.equal(await vault.previewMint(x, now));
    expect(await vault.withdraw.staticCall(x, lender, lender)).to.equal(await vault.previewWithdraw(x, now));
    expect(await vault.redeem.staticCall(x, lender, lender)).to.equal(await vault.previewRedeem(x, now));
    // In and out at once loses the gap between the prices.
    const [shares, back] = [await vault.previewDeposit(x, now), await vault.previewWithdraw(x, now)];
    expect(shares).to.be.lessThan(back - 100n);
    expect(await vault.previewMint(x, now)).to.be.greaterThan((await vault.previewRedeem(x, now)) + 100n);
    // Who lends more buys at the higher price, and has the less room.
    const room = await vault.maxDeposit(lender, now);
    expect(room).to.be.lessThan(2n ** 111n - 1n - (await vault.totalAssets(now)));
    expect(await vault.maxMint(lender, now)).to.equal(await vault.previewDeposit(room, now));
  });

  it("never let a share be burned for nothing", async () => {
    await openPot();
    await m.liquidate();
    expect(await m.vault.previewRedeem(1n)).to.equal(0n);
    await expect(m.vault.connect(lender).redeem(1n, lender, lender)).to.be.revertedWithCustomError(
      m.vault,
      "ZeroAmount",
    );
  });

  it("leave the reserves where they are until the pot is sold", async () => {
    await m.adjust(bob, 9_000n * ETH, 9_000_000n * USDC);
    await openPot();
    await expect(m.vault.collectReserves()).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
    await m.liquidate();
    await m.adjust(bob, 0n, -MAX_UINT256 / 4n);
    await m.vault.collectReserves();
  });

  it("are found by whoever seizes, and nothing else is sold then", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.adjust(bob, ETH, 1_400n * USDC);
    await m.setPrices(1_610n * USD);
    const receipt = (await (await m.liquidator.connect(keeper).seize(m.vault, 0n)).wait())!;
    const { args } = receipt.logs
      .map((log) => m.vault.interface.parseLog(log))
      .find((log) => log?.name === "Liquidate")!;
    expect(args.caller).to.equal(keeper.address);
    const report = args.report as Record<string, bigint>;
    expect([report.ticks, report.repaid, report.seized]).to.deep.equal([1n, 0n, 0n]);
    await m.liquidate(); // bob's
  });

  it("sends reserves to the fund, not while the pot is open", async () => {
    await m.adjust(alice, 9_000n * ETH, 9_000_000n * USDC);
    await networkHelpers.time.increase(86_000);
    await m.vault.collectReserves();
    expect(await m.insurance.balanceOf(m.vault)).to.be.greaterThan(0n);
    await expect(m.insurance.connect(bob).withdraw(m.vault, bob, 1n)).to.be.revertedWithCustomError(
      m.insurance,
      "AccessManagedUnauthorized",
    );
    const available = await m.insurance.balanceOf(m.vault);
    await expect(m.insurance.withdraw(m.vault, bob, available + 1n))
      .to.be.revertedWithCustomError(m.insurance, "InsufficientInsurance")
      .withArgs(await m.vault.getAddress(), available + 1n, available);
    await m.insurance.withdraw(m.vault, bob, available);
  });
});
