import { expect } from "chai";
import { network } from "hardhat";

import { deployMarket, LEVEL, type TestMarket } from "./support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const HOUR = 3_600n;
const REASON = ethers.encodeBytes32String("feed");

describe("EmergencyBrake", () => {
  let m: TestMarket;
  let vault: string;
  const fixture = () => deployMarket(connection);

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    vault = await m.vault.getAddress();
  });

  const pause = (level: bigint, seconds: bigint) => m.brake.pause(vault, level, seconds, REASON);
  const level = () => m.brake.levelOf(vault);

  it("lapses by its timestamp into a grace as long as the pause, and then is over, without a transaction", async () => {
    await pause(LEVEL.LiquidationsPaused, 600n);
    expect(await level()).to.equal(LEVEL.LiquidationsPaused);
    await networkHelpers.time.increase(600);
    expect(await level()).to.equal(LEVEL.Grace);
    await networkHelpers.time.increase(600);
    expect(await level()).to.equal(LEVEL.None);
  });

  it("gives at most an hour of grace", async () => {
    await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
    const { pausedUntil, graceUntil } = await m.brake.pausesOf(vault);
    expect(graceUntil - pausedUntil).to.equal(HOUR);
  });

  it("continues the same episode when paused again in grace", async () => {
    await pause(LEVEL.LiquidationsPaused, 1_800n);
    const first = await m.brake.pausesOf(vault);
    await networkHelpers.time.increase(1_900);
    await pause(LEVEL.LiquidationsPaused, 1_800n);
    const second = await m.brake.pausesOf(vault);
    expect(second.pausedAt).to.equal(first.pausedAt);
    expect(second.graceUntil - second.pausedUntil).to.equal(HOUR);
  });

  it("charges pause and grace in advance, refills, and never lasts for ever", async () => {
    const [full] = await m.brake.budgetOf(vault);
    await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
    expect((await m.brake.budgetOf(vault))[0]).to.equal(full - 5n * HOUR);
    // Somebody who pauses whenever it is possible stops liquidations for at most the budget and what refills meanwhile.
    let paused = 5n * HOUR;
    for (let i = 0; i < 60; i++) {
      await networkHelpers.time.increase(HOUR);
      const before = (await m.brake.pausesOf(vault)).graceUntil;
      try {
        await pause(LEVEL.LiquidationsPaused, HOUR);
      } catch {
        continue;
      }
      const now = BigInt(await networkHelpers.time.latest());
      paused += (await m.brake.pausesOf(vault)).graceUntil - (before > now ? before : now);
    }
    expect(paused).to.be.at.most(full + (full * 65n * HOUR) / (30n * 86_400n));
    await networkHelpers.time.increase(30n * 86_400n);
    expect((await m.brake.budgetOf(vault))[0]).to.equal(full);
  });

  it("refuses what is too long, too short, no pause, unlisted, or beyond the budget, with the numbers", async () => {
    await expect(pause(LEVEL.LiquidationsPaused, 4n * HOUR + 1n))
      .to.be.revertedWithCustomError(m.brake, "PauseTooLong")
      .withArgs(4n * HOUR + 1n, 4n * HOUR);
    await expect(pause(LEVEL.NoNewRisk, 0n)).to.be.revertedWithCustomError(m.brake, "PauseTooLong");
    await expect(pause(LEVEL.Grace, 1n))
      .to.be.revertedWithCustomError(m.brake, "NotAPause")
      .withArgs(LEVEL.Grace);
    await expect(m.brake.pause(m.debt, LEVEL.NoNewRisk, 1n, REASON)).to.be.revertedWithCustomError(
      m.brake,
      "NotListed",
    );
    await expect(m.brake.list(vault)).to.be.revertedWithCustomError(m.brake, "AlreadyListed").withArgs(vault);
    await pause(LEVEL.LiquidationsPaused, HOUR);
    await expect(pause(LEVEL.LiquidationsPaused, 60n)).to.be.revertedWithCustomError(m.brake, "NotLonger");
    for (let i = 0; i < 2; i++) {
      await networkHelpers.time.increase(5n * HOUR);
      await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
    }
    await networkHelpers.time.increase(5n * HOUR);
    await expect(pause(LEVEL.LiquidationsPaused, 4n * HOUR))
      .to.be.revertedWithCustomError(m.brake, "PauseBudgetSpent")
      .withArgs(vault, 5n * HOUR, (available: bigint) => available < HOUR);
    // and a pause of new risk has a budget of its own
    await pause(LEVEL.NoNewRisk, 86_400n);
    expect(await level()).to.equal(LEVEL.NoNewRisk);
  });

  it("pauses all markets, and passes over one that is paused for longer", async () => {
    await pause(LEVEL.LiquidationsPaused, 2n * HOUR);
    const before = await m.brake.pausesOf(vault);
    await m.brake.pauseAll(LEVEL.LiquidationsPaused, HOUR, REASON);
    expect(await m.brake.pausesOf(vault)).to.deep.equal(before);
    expect(await m.brake.markets()).to.deep.equal([vault]);
  });

  it("resumes early into a grace of what was paused, and returns what was not used", async () => {
    await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
    await networkHelpers.time.increase(600);
    await m.brake.resume(vault);
    const { pausedAt, pausedUntil, graceUntil } = await m.brake.pausesOf(vault);
    expect(graceUntil - pausedUntil).to.equal(pausedUntil - pausedAt);
    const [full] = [12n * HOUR];
    expect(full - (await m.brake.budgetOf(vault))[0]).to.be.within(
      graceUntil - pausedAt - 20n,
      graceUntil - pausedAt,
    );
    expect(await level()).to.equal(LEVEL.Grace);
    await expect(m.brake.resume(vault)).to.be.revertedWithCustomError(m.brake, "NotPaused").withArgs(vault);
  });

  it("obeys roles only", async () => {
    const [, stranger] = await ethers.getSigners();
    for (const call of [
      m.brake.connect(stranger).pause(vault, LEVEL.NoNewRisk, 1n, REASON),
      m.brake.connect(stranger).pauseAll(LEVEL.NoNewRisk, 1n, REASON),
      m.brake.connect(stranger).resume(vault),
      m.brake.connect(stranger).list(vault),
    ]) {
      await expect(call).to.be.revertedWithCustomError(m.brake, "AccessManagedUnauthorized");
    }
  });
});
