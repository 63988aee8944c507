import { expect } from "chai";
import { network } from "hardhat";

import { DAY, deployMarket, HOUR, LEVEL, MINUTE, type TestMarket } from "./support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const REASON = ethers.encodeBytes32String("feed");
const OTHER_REASON = ethers.encodeBytes32String("other");

describe("EmergencyBrake", () => {
  let m: TestMarket;
  let vault: string;
  const fixture = () => deployMarket(connection);

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    vault = await m.vault.getAddress();
  });

  const pause = (level: bigint, seconds: bigint) => m.brake.pause(vault, level, seconds, REASON);
  const pauseBriefly = (level: bigint, seconds: bigint) =>
    m.brake.pauseBriefly(vault, level, seconds, REASON);
  const state = () => m.brake.stateOf(vault);
  const level = async () => (await state()).level;
  const budgets = () => m.brake.budgetOf(vault);
  const now = async () => BigInt(await networkHelpers.time.latest());

  describe("a pause", () => {
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
      const { pausedUntil, graceUntil } = await state();
      expect(graceUntil - pausedUntil).to.equal(HOUR);
    });

    it("continues the same episode when asked for in grace, and begins a new one afterwards", async () => {
      await pause(LEVEL.LiquidationsPaused, 1_800n);
      const first = await state();
      await networkHelpers.time.increase(1_900);
      await pause(LEVEL.LiquidationsPaused, 1_800n);
      const second = await state();
      expect(second.pausedAt).to.equal(first.pausedAt);
      expect(second.graceUntil - second.pausedUntil).to.equal(HOUR);
      await networkHelpers.time.increaseTo(second.graceUntil);
      await pause(LEVEL.LiquidationsPaused, 60n);
      const third = await state();
      expect(third.pausedAt).to.equal(await now());
      expect(third.graceUntil - third.pausedUntil).to.equal(60n);
    });

    it("tells who asked for it, why, and how often", async () => {
      await expect(pause(LEVEL.LiquidationsPaused, HOUR))
        .to.emit(m.brake, "Pause")
        .withArgs(vault, LEVEL.LiquidationsPaused, anyUint, anyUint, 1n, REASON, m.governor.address);
      await m.brake.pauseBriefly(vault, LEVEL.NoNewRisk, MINUTE, OTHER_REASON);
      const at = await now();
      const seen = await state();
      expect(seen.liquidationPauses).to.equal(1n);
      expect(seen.newRiskPauses).to.equal(1n);
      expect(seen.newRiskPausedAt).to.equal(at);
      expect(seen.noNewRiskUntil).to.equal(at + MINUTE);
      expect(seen.reason).to.equal(OTHER_REASON);
      expect(seen.reporter).to.equal(m.governor.address);
      expect(seen.level).to.equal(LEVEL.LiquidationsPaused);
    });

    it("is refused when too long, too short, no pause, unlisted, no longer than what runs, or beyond the budget", async () => {
      await expect(pause(LEVEL.LiquidationsPaused, 4n * HOUR + 1n))
        .to.be.revertedWithCustomError(m.brake, "PauseTooLong")
        .withArgs(4n * HOUR + 1n, 4n * HOUR);
      await expect(pause(LEVEL.NoNewRisk, 0n))
        .to.be.revertedWithCustomError(m.brake, "PauseTooLong")
        .withArgs(0n, 3n * DAY);
      await expect(pauseBriefly(LEVEL.NoNewRisk, 15n * MINUTE + 1n))
        .to.be.revertedWithCustomError(m.brake, "PauseTooLong")
        .withArgs(15n * MINUTE + 1n, 15n * MINUTE);
      for (const none of [LEVEL.Grace, LEVEL.None]) {
        for (const call of [
          () => pause(none, 1n),
          () => pauseBriefly(none, 1n),
          () => m.brake.pauseAll(none, 1n, REASON),
        ]) {
          await expect(call()).to.be.revertedWithCustomError(m.brake, "NotAPause").withArgs(none);
        }
      }
      for (const call of [
        () => m.brake.pause(m.debt, LEVEL.NoNewRisk, 1n, REASON),
        () => m.brake.resume(m.debt, LEVEL.NoNewRisk, 0n),
        () => m.brake.stateOf(m.debt),
        () => m.brake.budgetOf(m.debt),
      ]) {
        await expect(call()).to.be.revertedWithCustomError(m.brake, "NotListed").withArgs(m.debt);
      }
      await expect(m.brake.list(vault))
        .to.be.revertedWithCustomError(m.brake, "AlreadyListed")
        .withArgs(vault);
      await expect(m.brake.list(m.debt)).to.be.revertedWithCustomError(m.brake, "MarketDoesNotAnswer");
      await pause(LEVEL.LiquidationsPaused, HOUR);
      const { pausedUntil } = await state();
      await expect(pause(LEVEL.LiquidationsPaused, MINUTE))
        .to.be.revertedWithCustomError(m.brake, "NotLonger")
        .withArgs(vault, pausedUntil, (requested: bigint) => requested < pausedUntil);
      for (let i = 0; i < 2; i++) {
        await networkHelpers.time.increase(5n * HOUR);
        await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
      }
      await networkHelpers.time.increase(5n * HOUR);
      await expect(pause(LEVEL.LiquidationsPaused, 4n * HOUR))
        .to.be.revertedWithCustomError(m.brake, "PauseBudgetSpent")
        .withArgs(vault, 5n * HOUR, (available: bigint) => available < HOUR);
      // and a pause of new risk has a budget of its own
      await pause(LEVEL.NoNewRisk, DAY);
      expect(await level()).to.equal(LEVEL.NoNewRisk);
    });
  });

  describe("the budget", () => {
    it("is charged pause and grace in advance, refills a minute in an hour, and is never more than full", async () => {
      const { liquidations: full, newRisk } = await budgets();
      expect(full).to.equal(12n * HOUR);
      expect(newRisk).to.equal(6n * DAY);
      await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
      expect((await budgets()).liquidations).to.equal(full - 5n * HOUR);
      await networkHelpers.time.increase(HOUR);
      expect((await budgets()).liquidations).to.equal(full - 5n * HOUR + MINUTE);
      await networkHelpers.time.increase(30n * DAY);
      expect((await budgets()).liquidations).to.equal(full);
    });

    it("charges what an extension adds, no more", async () => {
      await pause(LEVEL.LiquidationsPaused, 2n * HOUR);
      const before = await state();
      const { liquidations } = await budgets();
      await networkHelpers.time.increase(HOUR);
      await pause(LEVEL.LiquidationsPaused, 2n * HOUR);
      const added = (await state()).graceUntil - before.graceUntil;
      expect(added).to.be.within(HOUR, HOUR + 5n);
      expect((await budgets()).liquidations).to.equal(liquidations - added + MINUTE);
    });

    it("never lasts for ever", async () => {
      // Somebody who pauses whenever it is possible stops liquidations for at most the budget and what refills meanwhile.
      let blocked = 0n;
      for (let i = 0; i < 60; i++) {
        const before = (await state()).graceUntil;
        try {
          await pause(LEVEL.LiquidationsPaused, HOUR);
          const at = await now();
          blocked += (await state()).graceUntil - (before > at ? before : at);
        } catch {
          // spent, for now
        }
        await networkHelpers.time.increase(HOUR);
      }
      expect(blocked).to.be.within(12n * HOUR, 12n * HOUR + (62n * HOUR) / 60n);
    });
  });

  describe("the sentinel", () => {
    it("spends its own small budget and the common one", async () => {
      await pauseBriefly(LEVEL.LiquidationsPaused, 10n * MINUTE);
      expect(await level()).to.equal(LEVEL.LiquidationsPaused);
      expect(await budgets()).to.deep.equal([
        12n * HOUR - 20n * MINUTE,
        6n * DAY,
        2n * HOUR - 20n * MINUTE,
        6n * HOUR,
      ]);
      await pauseBriefly(LEVEL.NoNewRisk, 10n * MINUTE);
      expect((await budgets()).newRisk).to.equal(6n * DAY - 10n * MINUTE);
      expect((await budgets()).sentinelNewRisk).to.equal(6n * HOUR - 10n * MINUTE);
    });

    it("that presses for days leaves the pauser all but its own budget", async () => {
      let spent = 0n;
      for (let i = 0; i < 100; i++) {
        const before = await budgets();
        await pauseBriefly(LEVEL.LiquidationsPaused, 15n * MINUTE).catch(() => undefined);
        const after = await budgets();
        if (after.liquidations < before.liquidations) spent += before.liquidations - after.liquidations;
        await networkHelpers.time.increase(20n * MINUTE);
      }
      expect(spent).to.be.within(HOUR, 2n * HOUR + (34n * HOUR) / 360n);
      expect((await budgets()).liquidations).to.be.greaterThanOrEqual(10n * HOUR);
    });

    it("never draws what the pauser needs for one whole pause with its grace", async () => {
      await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
      await networkHelpers.time.increase(5n * HOUR);
      await pause(LEVEL.LiquidationsPaused, HOUR);
      await networkHelpers.time.increase(2n * HOUR);
      // Of 12 hours 7 are spent and some minutes have come back: that is all the sentinel has.
      const { liquidations, sentinelLiquidations } = await budgets();
      expect(liquidations).to.be.within(5n * HOUR, 5n * HOUR + 8n * MINUTE);
      expect(sentinelLiquidations).to.equal(liquidations - 5n * HOUR);
      await expect(pauseBriefly(LEVEL.LiquidationsPaused, 15n * MINUTE))
        .to.be.revertedWithCustomError(m.brake, "PauseBudgetSpent")
        .withArgs(vault, 30n * MINUTE, sentinelLiquidations);
      await pauseBriefly(LEVEL.LiquidationsPaused, MINUTE);
      await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
    });
  });

  describe("all markets", () => {
    it("are paused, but for one that is paused for longer", async () => {
      await pause(LEVEL.LiquidationsPaused, 2n * HOUR);
      const before = await state();
      await m.brake.pauseAll(LEVEL.LiquidationsPaused, HOUR, OTHER_REASON);
      await m.brake.pauseAllBriefly(LEVEL.LiquidationsPaused, MINUTE, OTHER_REASON);
      expect(await state()).to.deep.equal(before);
      expect(await m.brake.markets()).to.deep.equal([vault]);
      await m.brake.pauseAll(LEVEL.LiquidationsPaused, 3n * HOUR, OTHER_REASON);
      expect((await state()).liquidationPauses).to.equal(2n);
      await m.brake.pauseAllBriefly(LEVEL.NoNewRisk, MINUTE, REASON);
      expect((await state()).newRiskPauses).to.equal(1n);
    });

    it("cannot be paused, and says so, when none has the budget", async () => {
      for (let i = 0; i < 2; i++) {
        await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
        await networkHelpers.time.increase(5n * HOUR);
      }
      await expect(
        m.brake.pauseAll(LEVEL.LiquidationsPaused, 4n * HOUR, REASON),
      ).to.be.revertedWithCustomError(m.brake, "NothingPaused");
    });

    it("are refused with too little gas, rather than passed over for want of it", async () => {
      await expect(
        m.brake.pauseAll(LEVEL.LiquidationsPaused, HOUR, REASON, { gasLimit: 240_000n }),
      ).to.be.revertedWithCustomError(m.brake, "TooLittleGas");
    });
  });

  describe("resuming", () => {
    it("ends a pause early into a grace of what was paused, and returns what was not used", async () => {
      await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
      await networkHelpers.time.increase(600);
      await expect(m.brake.resume(vault, LEVEL.LiquidationsPaused, 1n))
        .to.emit(m.brake, "Resume")
        .withArgs(vault, LEVEL.LiquidationsPaused, anyUint, 1n, m.governor.address);
      const { pausedAt, pausedUntil, graceUntil } = await state();
      expect(pausedUntil).to.equal(await now());
      expect(graceUntil - pausedUntil).to.equal(pausedUntil - pausedAt);
      // Ten minutes refill ten seconds.
      expect((await budgets()).liquidations).to.equal(12n * HOUR - (graceUntil - pausedAt) + 10n);
      expect(await level()).to.equal(LEVEL.Grace);
      await expect(m.brake.resume(vault, LEVEL.LiquidationsPaused, 1n))
        .to.be.revertedWithCustomError(m.brake, "NotPaused")
        .withArgs(vault, LEVEL.LiquidationsPaused);
    });

    it("leaves the other level", async () => {
      await pause(LEVEL.LiquidationsPaused, HOUR);
      await pause(LEVEL.NoNewRisk, DAY);
      const { pausedUntil, noNewRiskUntil } = await state();
      await m.brake.resume(vault, LEVEL.NoNewRisk, 1n);
      expect((await state()).pausedUntil).to.equal(pausedUntil);
      expect((await state()).noNewRiskUntil).to.equal(await now());
      expect((await budgets()).newRisk).to.equal(6n * DAY - 1n); // the second that it lasted
      await pause(LEVEL.NoNewRisk, DAY);
      await m.brake.resume(vault, LEVEL.LiquidationsPaused, 1n);
      expect((await state()).noNewRiskUntil).to.be.greaterThan(noNewRiskUntil);
      await networkHelpers.time.increase(HOUR);
      expect(await level()).to.equal(LEVEL.NoNewRisk);
    });

    it("ends the pause that it was scheduled for, and no later one", async () => {
      await pause(LEVEL.LiquidationsPaused, MINUTE);
      await networkHelpers.time.increase(10n * MINUTE);
      await pause(LEVEL.LiquidationsPaused, HOUR);
      await expect(m.brake.resume(vault, LEVEL.LiquidationsPaused, 1n))
        .to.be.revertedWithCustomError(m.brake, "PausedAgain")
        .withArgs(vault, LEVEL.LiquidationsPaused, 1n, 2n);
      await expect(m.brake.resume(vault, LEVEL.Grace, 2n))
        .to.be.revertedWithCustomError(m.brake, "NotAPause")
        .withArgs(LEVEL.Grace);
      await m.brake.resume(vault, LEVEL.LiquidationsPaused, 2n);
    });

    it("gives the sentinel nothing back", async () => {
      await pauseBriefly(LEVEL.NoNewRisk, 10n * MINUTE);
      await m.brake.resume(vault, LEVEL.NoNewRisk, 1n);
      const { newRisk, sentinelNewRisk } = await budgets();
      expect(newRisk).to.equal(6n * DAY - 1n);
      expect(sentinelNewRisk).to.equal(6n * HOUR - 10n * MINUTE);
    });
  });

  describe("the sequencer", () => {
    const UP = 0n;
    const DOWN = 1n;
    const withFeed = async () => {
      const feed = await ethers.deployContract("SettableFeed", [0, "L2 Sequencer Uptime Status Feed"]);
      await feed.set(UP);
      await networkHelpers.time.increase(30n * DAY);
      await m.brake.setSequencerFeed(feed, HOUR);
      return feed;
    };

    it("has no feed unless one is set, and then no grace", async () => {
      expect(await m.brake.sequencer()).to.deep.equal([ethers.ZeroAddress, 0n, 12n * HOUR]);
      expect(await m.brake.sequencerGraceDue()).to.equal(0n);
      await expect(m.brake.startSequencerGrace()).to.be.revertedWithCustomError(
        m.brake,
        "NoSequencerGraceDue",
      );
    });

    it("gives every market grace until an hour after it came back, once, free of the pauser's budget", async () => {
      const feed = await withFeed();
      expect(await m.brake.sequencerGraceDue()).to.equal(0n);
      await feed.set(DOWN);
      await networkHelpers.time.increase(30n * MINUTE);
      await feed.set(UP);
      const since = await now();
      await networkHelpers.time.increase(10n * MINUTE);
      expect(await m.brake.sequencerGraceDue()).to.equal(since + HOUR);
      await expect(m.brake.connect(m.signer(5)).startSequencerGrace())
        .to.emit(m.brake, "SequencerGrace")
        .withArgs(since + HOUR);
      const seen = await state();
      expect(seen.level).to.equal(LEVEL.Grace);
      expect(seen.graceUntil).to.equal(since + HOUR);
      expect(seen.sequencerGraceUntil).to.equal(since + HOUR);
      expect((await budgets()).liquidations).to.equal(12n * HOUR);
      await expect(m.brake.startSequencerGrace()).to.be.revertedWithCustomError(
        m.brake,
        "NoSequencerGraceDue",
      );
      await networkHelpers.time.increaseTo(since + HOUR);
      expect(await level()).to.equal(LEVEL.None);
      await expect(m.brake.startSequencerGrace()).to.be.revertedWithCustomError(
        m.brake,
        "NoSequencerGraceDue",
      );
    });

    it("gives grace while it is down, and keeps enough for the time after", async () => {
      const feed = await withFeed();
      await feed.set(DOWN);
      for (let i = 0; i < 30; i++) {
        await m.brake.startSequencerGrace().catch(() => undefined);
        await networkHelpers.time.increase(HOUR);
      }
      const { budgetLeft } = await m.brake.sequencer();
      expect(budgetLeft).to.be.within(HOUR, HOUR + 30n * MINUTE);
      await feed.set(UP);
      await m.brake.startSequencerGrace();
      expect((await state()).sequencerGraceUntil).to.equal((await now()) - 1n + HOUR);
    });

    it("cannot stop liquidations for ever by lying", async () => {
      const feed = await withFeed();
      let blocked = 0n;
      const start = await now();
      for (let i = 0; i < 60; i++) {
        await feed.set(UP); // has just come back, it says each time
        const before = (await state()).sequencerGraceUntil;
        await m.brake.startSequencerGrace().catch(() => undefined);
        const at = await now();
        const { sequencerGraceUntil } = await state();
        if (sequencerGraceUntil > before) blocked += sequencerGraceUntil - (before > at ? before : at);
        await networkHelpers.time.increase(HOUR);
      }
      expect(blocked).to.be.greaterThan(12n * HOUR - MINUTE);
      expect(blocked).to.be.at.most(12n * HOUR + ((await now()) - start) / 60n + 1n);
    });

    it("neither shortens the grace of a pause nor is shortened by one", async () => {
      const feed = await withFeed();
      await feed.set(UP);
      const since = await now();
      await pause(LEVEL.LiquidationsPaused, 4n * HOUR);
      const { graceUntil } = await state();
      await m.brake.startSequencerGrace();
      expect((await state()).graceUntil).to.equal(graceUntil);
      await m.brake.resume(vault, LEVEL.LiquidationsPaused, 1n);
      expect((await state()).level).to.equal(LEVEL.Grace);
      expect((await state()).graceUntil).to.equal(since + HOUR);
    });

    it("is not believed while its feed reverts, is new, or speaks of the future", async () => {
      const feed = await withFeed();
      await feed.setReverting(true);
      expect(await m.brake.sequencerGraceDue()).to.equal(0n);
      await feed.setReverting(false);
      await feed.setRound(7n, DOWN, 0n);
      expect(await m.brake.sequencerGraceDue()).to.equal(0n);
      await feed.setRound(8n, DOWN, (await now()) + DAY);
      expect(await m.brake.sequencerGraceDue()).to.equal(0n);
    });

    it("takes only a feed that says up or down, and a grace of at most an hour", async () => {
      const feed = await withFeed();
      for (const grace of [0n, HOUR + 1n]) {
        await expect(m.brake.setSequencerFeed(feed, grace))
          .to.be.revertedWithCustomError(m.brake, "SequencerGraceOutOfRange")
          .withArgs(grace, HOUR);
      }
      const price = m.feeds.primary.collateral;
      await expect(m.brake.setSequencerFeed(price, HOUR)).to.be.revertedWithCustomError(
        m.brake,
        "NotASequencerFeed",
      );
      await expect(m.brake.setSequencerFeed(ethers.ZeroAddress, 0n))
        .to.emit(m.brake, "SetSequencerFeed")
        .withArgs(ethers.ZeroAddress, 0n);
    });
  });

  it("has budgets that divide the time of refilling, so that nothing is rounded", async () => {
    const refill = await m.brake.REFILL();
    for (const budget of [
      await m.brake.LIQUIDATION_BUDGET(),
      await m.brake.NEW_RISK_BUDGET(),
      await m.brake.SENTINEL_LIQUIDATION_BUDGET(),
      await m.brake.SENTINEL_NEW_RISK_BUDGET(),
      await m.brake.SEQUENCER_BUDGET(),
    ]) {
      expect(refill % budget).to.equal(0n);
    }
  });

  it("obeys roles only", async () => {
    const [, stranger] = await ethers.getSigners();
    const asStranger = m.brake.connect(stranger);
    for (const call of [
      () => asStranger.pause(vault, LEVEL.NoNewRisk, 1n, REASON),
      () => asStranger.pauseAll(LEVEL.NoNewRisk, 1n, REASON),
      () => asStranger.pauseBriefly(vault, LEVEL.NoNewRisk, 1n, REASON),
      () => asStranger.pauseAllBriefly(LEVEL.NoNewRisk, 1n, REASON),
      () => asStranger.resume(vault, LEVEL.NoNewRisk, 1n),
      () => asStranger.list(vault),
      () => asStranger.setSequencerFeed(m.debt, 1n),
    ]) {
      await expect(call()).to.be.revertedWithCustomError(m.brake, "AccessManagedUnauthorized");
    }
  });
});

function anyUint(value: unknown): boolean {
  return typeof value === "bigint";
}
