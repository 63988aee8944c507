import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import { thresholdsAt } from "../sdk/src/core.ts";
import {
  DAY,
  DEFAULT_RISK,
  deployFundedMarket,
  ETH,
  LEVEL,
  MAX_INT24,
  type Risk,
  type FundedMarket,
  USDC,
} from "./support/market.ts";

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;

const LOWER: Risk = { ...DEFAULT_RISK, maxLtv: 7000n, liquidationThreshold: 7400n, target: 7100n };

describe("Ramps (W1 to W3)", () => {
  let m: FundedMarket;
  let lens: FundedMarket["lens"];
  let alice: HardhatEthersSigner;

  const fixture = () => deployFundedMarket(connection, { maxAge: 400n * DAY });

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [, alice] = m.accounts;
    ({ lens } = m);
  });

  const view = async () => lens.market(m.vault);
  const thresholds = async () => {
    const { risk } = await view();
    return [risk.liquidationThreshold, risk.target];
  };
  /** The ramp of LOWER over ten days; when it began. */
  const start = async (duration = 10n * DAY) => {
    await m.vault.startRamp(LOWER, duration);
    return BigInt(await time.latest());
  };

  it("lower both thresholds along a straight line, and all else at once; the SDK knows the same line", async () => {
    const began = await start();
    expect(await thresholds()).to.deep.equal([8600n, 8300n]);
    expect((await view()).risk.maxLtv).to.equal(7000n);
    for (const day of [1n, 3n, 5n, 9n]) {
      await time.increaseTo(began + day * DAY);
      expect(await thresholds()).to.deep.equal([8600n - day * 120n, 8300n - day * 120n]);
    }
    // Between two whole basis points: the threshold up, the target down.
    await time.increaseTo(began + 9n * DAY + 1_000n);
    expect(await thresholds()).to.deep.equal([7519n, 7218n]);
    const { ramp, rampElapsed } = await view();
    expect(thresholdsAt(ramp, rampElapsed)).to.deep.equal({ liquidationThreshold: 7519n, target: 7218n });
    expect(thresholdsAt(ramp, 2n * DAY)).to.deep.equal({ liquidationThreshold: 8360n, target: 8060n });
    expect(thresholdsAt(ramp, 99n * DAY)).to.deep.equal({ liquidationThreshold: 7400n, target: 7100n });
    await time.increaseTo(began + 30n * DAY);
    expect(await thresholds()).to.deep.equal([7400n, 7100n]);
    expect((await view()).rampElapsed).to.equal(10n * DAY);
  });

  it("make nobody liquidatable before the line reaches them, and then whoever it has reached", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC); // 80 %
    const began = await start();
    await time.increaseTo(began + 4n * DAY); // 81.2 %
    expect((await lens.position(m.vault, alice, 0)).liquidatable).to.equal(false);
    await expect(m.liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
    await time.increaseTo(began + (51n * DAY) / 10n); // 79.9 %
    const before = await lens.position(m.vault, alice, 0);
    expect(before.liquidatable).to.equal(true);
    expect(before.health).to.be.lessThan(ETH);
    const announced = await lens.liquidation.staticCall(m.vault, 10n ** 13n, MAX_INT24, 0, true);
    await m.liquidate();
    const { ltvHigh, liquidatable, tick } = await lens.position(m.vault, alice, 0);
    expect(tick).to.equal(announced.landTick);
    expect(liquidatable).to.equal(false);
    // At the target of that moment.
    expect(ltvHigh).to.be.within((7640n * ETH) / 10_000n, (7689n * ETH) / 10_000n);
  });

  it("are the only way down, last 3 to 180 days, keep the rules at both ends, and are the governor's", async () => {
    await expect(m.vault.setRisk(LOWER))
      .to.be.revertedWithCustomError(m.vault, "ThresholdWouldFall")
      .withArgs(8600n, 7400n);
    for (const duration of [1n, 3n * DAY - 1n, 180n * DAY + 1n]) {
      await expect(m.vault.startRamp(LOWER, duration))
        .to.be.revertedWithCustomError(m.vault, "InvalidDuration")
        .withArgs(duration, 3n * DAY, 180n * DAY);
    }
    // No faster than a wind-down: a fourteenth a day.
    const half: Risk = { ...LOWER, maxLtv: 3000n, liquidationThreshold: 4300n, target: 4150n };
    await expect(m.vault.startRamp(half, 7n * DAY - 1n))
      .to.be.revertedWithCustomError(m.vault, "InvalidDuration")
      .withArgs(7n * DAY - 1n, 7n * DAY, 180n * DAY);
    // At its end: maxLtv above the threshold. At its beginning: a bonus that the threshold of today does not bear.
    await expect(m.vault.startRamp({ ...LOWER, maxLtv: 7400n }, 3n * DAY)).to.be.revertedWithCustomError(
      m.vault,
      "InvalidRisk",
    );
    await expect(m.vault.startRamp({ ...LOWER, bonusMin: 1_200n, bonusMax: 1_200n }, 3n * DAY))
      .to.be.revertedWithCustomError(m.vault, "InvalidRisk")
      .withArgs("liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1");
    for (const call of [
      () => m.vault.connect(alice).startRamp(LOWER, 3n * DAY),
      () => m.vault.connect(alice).stopRamp(),
      () => m.vault.connect(alice).startWindDown(14n * DAY),
      () => m.vault.connect(alice).setCascade(1n, 1n),
    ]) {
      await expect(call()).to.be.revertedWithCustomError(m.vault, "AccessManagedUnauthorized");
    }
    await m.vault.startRamp(LOWER, 180n * DAY);
    // Without a duration it is setRisk.
    await expect(m.vault.startRamp(LOWER, 0n)).to.be.revertedWithCustomError(m.vault, "ThresholdWouldFall");
    await m.vault.startRamp(DEFAULT_RISK, 0n);
    expect(await thresholds()).to.deep.equal([8600n, 8300n]);
  });

  it("can be stopped where they are, replaced, and overtaken by a rise", async () => {
    let began = await start();
    await time.setNextBlockTimestamp(began + 5n * DAY);
    await expect(m.vault.stopRamp())
      .to.emit(m.vault, "SetRisk")
      .withArgs([7000n, 8000n, 7700n, 150n, 800n, 5000n]);
    await time.increase(20n * DAY);
    expect(await thresholds()).to.deep.equal([8000n, 7700n]);
    expect((await view()).ramp.duration).to.equal(0n);

    began = await start();
    await time.setNextBlockTimestamp(began + 5n * DAY);
    await m.vault.startRamp(LOWER, 3n * DAY); // from 77 %, faster
    const { ramp } = await view();
    expect([ramp.fromThreshold, ramp.fromTarget, ramp.duration]).to.deep.equal([7700n, 7400n, 3n * DAY]);
    await expect(m.vault.setRisk({ ...LOWER, liquidationThreshold: 7600n })).to.be.revertedWithCustomError(
      m.vault,
      "ThresholdWouldFall",
    );
    await m.vault.setRisk({ ...DEFAULT_RISK });
    await time.increase(20n * DAY);
    expect(await thresholds()).to.deep.equal([8600n, 8300n]);
  });

  it("stand still while liquidations are paused and in the grace, however the pause ends", async () => {
    const began = await start();
    const pausing = began + 2n * DAY;
    await time.setNextBlockTimestamp(pausing);
    await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 3_600n, new Uint8Array(32));
    expect((await view()).rampElapsed).to.equal(2n * DAY);
    await time.increaseTo(pausing + 3_000n);
    expect((await view()).rampElapsed).to.equal(2n * DAY);
    await time.increaseTo(pausing + 7_200n); // an hour, and an hour of grace
    expect((await view()).rampElapsed).to.equal(2n * DAY);
    await time.increaseTo(pausing + 7_300n);
    expect((await view()).rampElapsed).to.equal(2n * DAY + 100n);

    // Ended after ten minutes: ten minutes of grace.
    const again = pausing + DAY;
    await time.setNextBlockTimestamp(again);
    await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 14_000n, new Uint8Array(32));
    const { liquidationPauses } = await m.brake.stateOf(m.vault);
    await time.setNextBlockTimestamp(again + 600n);
    await m.brake.resume(m.vault, LEVEL.LiquidationsPaused, liquidationPauses);
    const elapsed = 2n * DAY + DAY - 7_200n;
    expect((await view()).rampElapsed).to.equal(elapsed);
    await time.increaseTo(again + 1_200n);
    expect((await view()).rampElapsed).to.equal(elapsed);
    await time.increaseTo(again + 1_250n);
    expect((await view()).rampElapsed).to.equal(elapsed + 50n);

    // A pause of new risk alone does not touch what liquidates.
    await m.brake.pause(m.vault, LEVEL.NoNewRisk, 3_600n, new Uint8Array(32));
    await time.increaseTo(again + 2_250n);
    expect((await view()).rampElapsed).to.equal(elapsed + 1_050n);
  });

  it("begin after a pause that is running", async () => {
    await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 3_600n, new Uint8Array(32));
    const began = await start();
    await time.increaseTo(began + 7_000n);
    expect((await view()).rampElapsed).to.equal(0n);
    await time.increaseTo(began + 7_300n);
    expect((await view()).rampElapsed).to.be.within(100n, 110n);
  });

  it("stand still on a dead price from when somebody says so until somebody says otherwise", async () => {
    const poke = () => m.vault.connect(alice).pokeRamp();
    await expect(poke()).to.be.revertedWithCustomError(m.vault, "NothingToPoke"); // no ramp
    const began = await start();
    await expect(poke()).to.be.revertedWithCustomError(m.vault, "NothingToPoke"); // it runs, the price lives
    await m.kill();
    // A day that nobody has reported counts.
    await time.setNextBlockTimestamp(began + DAY);
    await expect(poke())
      .to.emit(m.vault, "SetRamp")
      .withArgs([8600n, 8300n, 7400n, 7100n, DAY, 10n * DAY, true]);
    await expect(poke()).to.be.revertedWithCustomError(m.vault, "NothingToPoke");
    await time.increaseTo(began + 5n * DAY);
    expect(await thresholds()).to.deep.equal([8480n, 8180n]);
    // Alive again: until the clock is started the old threshold holds, for the borrower.
    await m.heal();
    await time.setNextBlockTimestamp(began + 6n * DAY);
    await expect(poke())
      .to.emit(m.vault, "SetRamp")
      .withArgs([8600n, 8300n, 7400n, 7100n, began + 5n * DAY, 10n * DAY, false]);
    await time.increaseTo(began + 7n * DAY);
    expect(await thresholds()).to.deep.equal([8360n, 8060n]);
    // Nothing to halt once it is over.
    await time.increaseTo(began + 60n * DAY);
    await m.kill();
    await expect(poke()).to.be.revertedWithCustomError(m.vault, "NothingToPoke");
  });

  it("count a pause within a dead stretch once", async () => {
    const began = await start();
    await m.kill();
    await time.setNextBlockTimestamp(began + DAY);
    await m.vault.pokeRamp();
    await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 3_600n, new Uint8Array(32));
    await m.heal();
    const paused = BigInt(await time.latest());
    await m.vault.pokeRamp(); // within the pause
    expect((await view()).rampElapsed).to.equal(DAY);
    await time.increaseTo(paused + 20_000n);
    const { graceUntil, rampElapsed } = await view();
    expect(rampElapsed).to.equal(DAY + paused + 20_000n - graceUntil);
  });

  it("begin halted on a dead price", async () => {
    await m.kill();
    const began = await start();
    await time.increaseTo(began + 3n * DAY);
    expect(await thresholds()).to.deep.equal([8600n, 8300n]);
    await m.heal();
    await m.vault.pokeRamp();
    await time.increase(DAY);
    expect((await view()).rampElapsed).to.be.within(DAY, DAY + 5n);
  });
});
