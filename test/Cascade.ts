import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import type { LiquidationReportStructOutput } from "../sdk/src/types/IVault.ts";
import {
  deployFundedMarket,
  ETH,
  DAY,
  HOUR,
  MAX_INT24,
  orderOf,
  type FundedMarket,
  USD,
  USDC,
} from "./support/market.ts";

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;

/** Millionths of a whole token: the debt token has six decimals. */
const CAP = 2_000n * USDC;
const UNIT = 10n ** 12n;
/** Verdict.CascadeCap */
const CAPPED = 7n;

describe("Cascade brake (W6)", () => {
  let m: FundedMarket;
  let lens: FundedMarket["lens"];
  let keeper: HardhatEthersSigner;

  /** Five positions from 77 % to 81 % of 16,000 each, and a price at which all of them are liquidatable. */
  async function fixture() {
    const market = await deployFundedMarket(connection, { maxAge: 4_000n * DAY });
    const [, alice] = market.accounts;
    for (let i = 0n; i < 5n; i++) {
      const debt = (16_000n * USDC * (77n + i)) / 80n;
      await market.adjust(alice, 10n * ETH, debt, i);
    }
    await market.setPrices(1_780n * USD);
    return market;
  }

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [, , , keeper] = m.accounts;
    ({ lens } = m);
  });

  /** What the Lens announced is what happened; debt tokens repaid. */
  async function liquidate(maxRepay = 10_000_000n * USDC, fromTick = MAX_INT24) {
    const now = BigInt(await time.latest()) + 10n;
    await time.increaseTo(now);
    const announced = await lens.liquidation(m.vault, maxRepay, fromTick, 0, true);
    await time.setNextBlockTimestamp(now + 1n);
    const order = await orderOf(m.vault, keeper, { maxRepay, fromTick });
    const receipt = await (await m.liquidator.connect(keeper).liquidate(order, "0x")).wait();
    const log = receipt!.logs.find((l) => l.topics[0] === m.vault.interface.getEvent("Liquidate").topicHash);
    const report = m.vault.interface.parseLog(log!)!.args.report as LiquidationReportStructOutput;
    expect(report.landTick).to.equal(announced.landTick);
    expect(report.lowestTick).to.equal(announced.lowestTick);
    expect(report.ticks).to.equal(announced.ticks);
    return { repaid: report.repaid, report };
  }
  const left = async () => (await lens.market(m.vault)).cascadeLeft / UNIT;
  const order = async (fromTick = MAX_INT24) =>
    m.liquidator.connect(keeper).liquidate(await orderOf(m.vault, keeper, { fromTick }), "0x");

  it("is off at the start, and off again when the governor says so", async () => {
    expect((await lens.market(m.vault)).cascadeCap).to.equal(0n);
    await m.vault.setCascade(CAP, HOUR);
    await m.vault.setCascade(0n, 0n);
    const { repaid } = await liquidate();
    expect(repaid).to.be.greaterThan(20_000n * USDC);
    for (const [cap, window] of [
      [1n, 0n],
      [0n, 1n],
    ] as const) {
      await expect(m.vault.setCascade(cap, window))
        .to.be.revertedWithCustomError(m.vault, "InvalidCascade")
        .withArgs(cap, window);
    }
  });

  it("sells the riskiest tick first, whatever fromTick says, until the cap is used up", async () => {
    await expect(m.vault.setCascade(CAP, HOUR)).to.emit(m.vault, "SetCascade").withArgs(CAP, HOUR);
    const riskiest = (await lens.market(m.vault)).topTick;
    const { repaid, report } = await liquidate(10_000_000n * USDC, riskiest - 5n);
    expect(report.fromTick).to.be.at.least(riskiest);
    expect(report.lowestTick).to.equal(riskiest);
    // Whole grid steps within the cap: the next would have been beyond it.
    expect(repaid).to.be.within(CAP / 2n, CAP);
    expect(await left()).to.equal(CAP - repaid);
  });

  it("lets one step overshoot, counts it whole, and then waits for it", async () => {
    await m.vault.setCascade(10n * USDC, HOUR);
    const { repaid } = await liquidate(); // a step of one tick costs a few hundred
    expect(repaid).to.be.greaterThan(10n * USDC);
    expect(repaid).to.be.lessThan(2_000n * USDC);
    expect(await left()).to.equal(0n);
    await expect(order()).to.be.revertedWithCustomError(m.vault, "CascadeCapReached").withArgs(0n, HOUR);
    const { verdict } = await lens.liquidation(m.vault, 10n ** 13n, MAX_INT24, 0, true);
    expect(verdict).to.equal(CAPPED);
    // Who only seizes waits for no cap: there is nothing to seize.
    await expect(m.liquidator.connect(keeper).seize(m.vault, 0)).to.be.revertedWithCustomError(
      m.vault,
      "NothingToLiquidate",
    );
    // It takes as many windows as it was caps.
    await time.increase((repaid * HOUR) / (10n * USDC) - HOUR - 60n);
    await m.setPrices(1_780n * USD);
    await expect(order()).to.be.revertedWithCustomError(m.vault, "CascadeCapReached");
    await time.increase(120n);
    await liquidate();
  });

  it("refills within its window, and sells everything in the end", async () => {
    await m.vault.setCascade(CAP, HOUR);
    const { repaid: first } = await liquidate();
    await time.increase(HOUR / 2n);
    expect(await left()).to.be.within(CAP - first + CAP / 2n, CAP);
    await time.increase(HOUR);
    expect(await left()).to.equal(CAP);
    for (let i = 0; i < 60; i++) {
      await m.setPrices(1_780n * USD);
      if ((await lens.liquidation(m.vault, 10n ** 13n, MAX_INT24, 0, true)).verdict !== 0n) break;
      const { repaid } = await liquidate();
      expect(repaid).to.be.at.most(CAP + 2_000n * USDC);
      await time.increase(HOUR);
    }
    const [amount] = await lens.liquidatableUnder(m.vault, [0]);
    expect(amount).to.equal(0n);
  });

  it("does not hold up what is insolvent at two rounds, nor the pot", async () => {
    await m.vault.setCascade(1n, HOUR);
    await liquidate(); // one step, and the cap is used up for days
    await time.increase(301);
    await m.setPrices(1_600n * USD);
    await m.oracle.update();
    await expect(liquidate()).to.be.revertedWithCustomError(m.vault, "CascadeCapReached");
    await time.increase(301);
    await m.setPrices(1_600n * USD);
    const { repaid, report } = await liquidate();
    expect(report.ticks).to.be.greaterThan(0n);
    expect(repaid).to.be.greaterThan(0n); // for the pot
    await expect(m.liquidator.connect(keeper).seize(m.vault, 0)).to.be.revertedWithCustomError(
      m.vault,
      "NothingToLiquidate",
    );
  });

  it("keeps what was used when it is set anew, and takes the caller's own budget as it is", async () => {
    await m.vault.setCascade(CAP, HOUR);
    const { repaid } = await liquidate(1_500n * USDC);
    expect(repaid).to.be.at.most(1_500n * USDC);
    await m.vault.setCascade(2n * CAP, 1_000n * HOUR);
    expect(await left()).to.be.within(2n * CAP - repaid, 2n * CAP - repaid + 2n * USDC);
  });
});
