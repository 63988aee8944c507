import { expect } from "chai";
import { network } from "hardhat";

import type { SettableFeed } from "../../sdk/src/types/index.ts";
import { STATE } from "../support/market.ts";
import {
  answering,
  expectPrice,
  FEEDS,
  HOUR,
  MAX_AGE,
  NONE,
  openOracles,
  Q128,
  q128,
  usd,
} from "../support/oracle.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;
const { time } = networkHelpers;
const { deployFeeds, deployTwoSources, gasOf, gasOfRead, setCode } = openOracles(connection);

describe("OracleAdapter with two sources of feeds", () => {
  it("is Fresh while both agree, exact where the quotient is", async () => {
    const { adapter } = await deployTwoSources();
    const price = await expectPrice(adapter, STATE.Fresh, 2_000n * Q128);
    expect([price.roundA, price.roundB]).to.deep.equal([1n, 1n]);
  });

  it("rounds low down and high up", async () => {
    const { adapter, set } = await deployTwoSources();
    await set("debt", 3);
    await set("secondDebt", 3);
    await expectPrice(adapter, STATE.Fresh, (2_000n * Q128) / 3n, (2_000n * Q128) / 3n + 1n);
  });

  it("takes the lower low and the higher high, whichever source they come from", async () => {
    const { adapter, set } = await deployTwoSources();
    await set("collateral", 2_010);
    await expectPrice(adapter, STATE.Fresh, 2_000n * Q128, 2_010n * Q128);
    await set("collateral", 1_990);
    await expectPrice(adapter, STATE.Fresh, 1_990n * Q128, 2_000n * Q128);
  });

  it("reports the round of each source's collateral feed", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    const newest = 2n ** 80n - 1n;
    await feeds.collateral.setRound(newest, usd(2_000, 8n), await time.latest());
    await set("secondCollateral", 2_000);
    await set("debt", 1);
    const price = await expectPrice(adapter, STATE.Fresh, 2_000n * Q128);
    expect([price.roundA, price.roundB]).to.deep.equal([newest, 2n]);
  });

  it("reads a collateral feed without a debt feed as a price in debt tokens", async () => {
    const { config, feeds, set } = await deployFeeds();
    const adapter = await ethers.deployContract("OracleAdapter", [
      { ...config, debtFeed: NONE, secondDebtFeed: NONE },
    ]);
    await set("debt", 3);
    await feeds.secondDebt.setReverting(true);
    await expectPrice(adapter, STATE.Fresh, 2_000n * Q128);
  });

  it("is Fresh up to the band and Diverged beyond it", async () => {
    const { adapter, set } = await deployTwoSources();
    await set("collateral", 2_060); // 3 % of the lower
    await expectPrice(adapter, STATE.Fresh, 2_000n * Q128, 2_060n * Q128);
    await set("collateral", 2_060.000001);
    const price = await adapter.read();
    expect(price.state).to.equal(STATE.Diverged);
    expect(price.low).to.equal(2_000n * Q128);
    expect(price.high).to.be.greaterThan(2_060n * Q128);
  });

  it("measures the band from the lower source, whichever it is", async () => {
    const { adapter, set } = await deployTwoSources();
    await set("secondCollateral", 2_060);
    await expectPrice(adapter, STATE.Fresh, 2_000n * Q128, 2_060n * Q128);
    await set("collateral", 1_999.9);
    expect((await adapter.read()).state).to.equal(STATE.Diverged);
  });

  it("believes answers on its bounds, and one exactly as old as allowed", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    await set("debt", 0.5);
    await set("secondDebt", 0.5);
    await expectPrice(adapter, STATE.Fresh, 4_000n * Q128);
    const updatedAt = await time.latest();
    for (const name of FEEDS) {
      const { answer } = await feeds[name].latestRoundData();
      await feeds[name].setRound(9n, answer, updatedAt);
    }
    await time.increaseTo(updatedAt + MAX_AGE);
    await expectPrice(adapter, STATE.Fresh, 4_000n * Q128);
    await time.increaseTo(updatedAt + MAX_AGE + 1);
    await expectPrice(adapter, STATE.Dead, 0n);
  });

  it("costs little more to read than the feeds do", async () => {
    const { adapter, config } = await deployTwoSources();
    expect(await gasOfRead(adapter)).to.be.lessThan(49_200n); // four of our feeds take 39,600
    const direct = { ...config, debtFeed: NONE, secondDebtFeed: NONE };
    const two = await ethers.deployContract("OracleAdapter", [direct]);
    await two.update();
    expect(await gasOfRead(two)).to.be.lessThan(28_000n);
  });
});

describe("OracleAdapter when a feed fails", () => {
  type Fail = (feed: SettableFeed, decimals: bigint, dollars: number) => Promise<unknown>;
  const round = async (feed: SettableFeed, answer: bigint, updatedAt: number) =>
    feed.setRound(7n, answer, updatedAt);
  const failures: Record<string, Fail> = {
    "is stale": async (feed, decimals, dollars) =>
      round(feed, usd(dollars, decimals), (await time.latest()) - MAX_AGE - 1),
    "answers zero": async (feed) => feed.set(0n),
    "answers a negative number": async (feed) => feed.set(-1n),
    "answers the most negative number": async (feed) => feed.set(-(2n ** 255n)),
    "answers less than its minimum": async (feed, decimals) => feed.set(usd(0.5, decimals) - 1n),
    "answers more than its maximum": async (feed, decimals) => feed.set(usd(100_000, decimals) + 1n),
    "has no time": async (feed, decimals, dollars) => round(feed, usd(dollars, decimals), 0),
    "has a time in the future": async (feed, decimals, dollars) =>
      round(feed, usd(dollars, decimals), (await time.latest()) + 1_000),
    reverts: async (feed) => feed.setReverting(true),
    "answers with too few bytes": async (feed, decimals, dollars) =>
      setCode(feed, answering({ answer: usd(dollars, decimals), size: 0x9f })),
    "answers with a round that is none": async (feed, decimals, dollars) =>
      setCode(feed, answering({ round: 2n ** 80n, answer: usd(dollars, decimals), size: 0xa0 })),
    "has lost its code": async (feed) => setCode(feed, "0x"),
    "burns all its gas": async (feed) => setCode(feed, "0xfe"),
  };
  for (const [reason, fail] of Object.entries(failures)) {
    it(`leaves the other source alone when one ${reason}`, async () => {
      for (const name of FEEDS) {
        const { adapter, feeds, decimals, set } = await deployTwoSources();
        const isPrimary = name === "collateral" || name === "debt";
        await set(isPrimary ? "secondCollateral" : "collateral", 2_020);
        await set(isPrimary ? "collateral" : "secondCollateral", 1_980);
        const isDebt = name.toLowerCase().includes("debt");
        await fail(feeds[name], decimals[name], isDebt ? 1 : 1_980);
        const price = await expectPrice(adapter, STATE.Single, 2_020n * Q128);
        if (!isDebt) expect(isPrimary ? price.roundA : price.roundB).to.equal(0n);
      }
    });

    it(`is Dead when one feed of each source ${reason}, and recovers`, async () => {
      const { adapter, feeds, decimals, set } = await deployTwoSources();
      const snapshot = await networkHelpers.takeSnapshot();
      await fail(feeds.collateral, decimals.collateral, 2_000);
      await fail(feeds.secondDebt, decimals.secondDebt, 1);
      await expectPrice(adapter, STATE.Dead, 0n);
      await adapter.update(); // nor does it revert
      await snapshot.restore();
      for (const name of FEEDS) await set(name, name.toLowerCase().includes("debt") ? 1 : 1_000);
      await expectPrice(adapter, STATE.Fresh, 1_000n * Q128);
    });
  }

  it("does not believe a round that never was, however old an answer may be", async () => {
    const { config, feeds } = await deployFeeds();
    const collateralFeed = { ...config.collateralFeed, maxAge: 2n ** 32n - 1n };
    const adapter = await ethers.deployContract("OracleAdapter", [{ ...config, collateralFeed }]);
    await adapter.update();
    await feeds.collateral.setRound(7n, usd(1_990, 8n), 1);
    await expectPrice(adapter, STATE.Fresh, 1_990n * Q128, 2_000n * Q128);
    await feeds.collateral.setRound(7n, usd(1_990, 8n), 0);
    await expectPrice(adapter, STATE.Single, 2_000n * Q128);
  });

  it("believes the same contract when it answers with a whole round, or with more", async () => {
    for (const size of [0xa0, 0xffff]) {
      const { adapter, feeds } = await deployTwoSources();
      await setCode(feeds.collateral, answering({ round: 5n, answer: usd(2_010, 8n), size }));
      const price = await expectPrice(adapter, STATE.Fresh, 2_000n * Q128, 2_010n * Q128);
      expect(price.roundA).to.equal(5n);
    }
  });

  it("takes a quotient of 2⁶⁴ or more, or below 2⁻⁶⁴, for none", async () => {
    const { config, feeds } = await deployFeeds();
    const wide = { minAnswer: 1n, maxAnswer: 2n ** 128n - 1n };
    const adapter = await ethers.deployContract("OracleAdapter", [
      {
        ...config,
        collateralFeed: { ...config.collateralFeed, ...wide },
        debtFeed: { ...config.debtFeed, ...wide },
        secondCollateralFeed: { ...config.secondCollateralFeed, ...wide },
      },
    ]);
    await feeds.collateral.set(2n ** 90n - 1n);
    await feeds.debt.set(2n ** 26n);
    await feeds.secondCollateral.set(2n ** 127n); // 1.7e20, Dead by itself as well
    await expectPrice(adapter, STATE.Dead, 0n);
    await feeds.secondCollateral.set((2n ** 64n - 1n) * 10n ** 18n);
    expect((await adapter.read()).state).to.equal(STATE.Fresh); // 2⁶⁴ − 2⁻²⁶ and 2⁶⁴ − 1
    await adapter.update();
    await feeds.collateral.set(2n ** 90n);
    expect((await adapter.read()).state).to.equal(STATE.Single);
    await feeds.collateral.set(2n ** 128n - 1n);
    await feeds.debt.set(1n);
    expect((await adapter.read()).state).to.equal(STATE.Single);
    await feeds.collateral.set(1n);
    await feeds.debt.set(2n ** 64n + 1n);
    expect((await adapter.read()).state).to.equal(STATE.Single);
  });
});

describe("OracleAdapter with a single source", () => {
  it("follows it up to the jump limit in both directions", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    await feeds.secondCollateral.setReverting(true);
    for (const dollars of [2_200, 1_800]) {
      await set("collateral", dollars);
      await set("collateral", dollars);
      await expectPrice(adapter, STATE.Single, q128(dollars));
    }
    // Within half a minute of the record the limit widens by less than 5 basis points.
    for (const dollars of [2_201.000001, 1_798.999999, 4_000, 1]) {
      await set("collateral", dollars);
      await set("collateral", dollars);
      await expectPrice(adapter, STATE.Dead, 0n);
    }
  });

  it("keeps what the source rounds, low down and high up", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    await feeds.secondCollateral.setReverting(true);
    await set("debt", 1.03);
    const low = (2_000n * Q128 * 100n) / 103n;
    await expectPrice(adapter, STATE.Single, low, low + 1n);
  });

  it("widens the limit by the hour, up to its maximum", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    await feeds.secondCollateral.setReverting(true);
    const { time: recorded } = await adapter.lastFresh();
    // [hours, limit in basis points]
    for (const [hours, limit] of [
      [1, 1_500],
      [4, 3_000],
      [6, 4_000],
      [1_000, 4_000],
    ] as const) {
      await time.increaseTo(Number(recorded) + hours * HOUR);
      expect(await adapter.jumpLimit()).to.equal(limit);
      await set("debt", 1);
      for (const sign of [1, -1]) {
        await set("collateral", 2_000 + sign * 0.2 * limit);
        await set("collateral", 2_000 + sign * 0.2 * limit);
        await expectPrice(adapter, STATE.Single, q128(2_000 + sign * 0.2 * limit));
        await set("collateral", 2_000 + sign * (0.2 * limit + 0.5));
        await expectPrice(adapter, STATE.Dead, 0n);
      }
    }
  });

  it("widens the limit by no more than the hours that have passed", async () => {
    const { adapter } = await deployTwoSources();
    const { time: recorded } = await adapter.lastFresh();
    await time.increaseTo(Number(recorded) + HOUR - 1);
    expect(await adapter.jumpLimit()).to.equal(1_499n);
  });

  it("counts what is rounded outward as beyond the limit", async () => {
    const { config, feeds, set } = await deployFeeds();
    const wide = { minAnswer: 1n, maxAnswer: 2n ** 128n - 1n };
    const adapter = await ethers.deployContract("OracleAdapter", [
      {
        ...config,
        collateralFeed: { ...config.collateralFeed, ...wide },
        debtFeed: { ...config.debtFeed, ...wide },
        jumpWidening: 0n,
      },
    ]);
    await set("collateral", 2_000.9);
    await set("secondCollateral", 2_000.9);
    await adapter.update();
    await feeds.secondCollateral.setReverting(true);
    const last = (await adapter.lastFresh()).price << 32n;
    for (const [factor, inward] of [
      [11_000n, -1n],
      [9_000n, 1n],
    ] as const) {
      // The limit is no whole number: a quotient between the same two whole numbers is rounded beyond it.
      expect((last * factor) % 10_000n).to.be.greaterThan(0n);
      const below = (last * factor) / 10_000n;
      let debt = 2n ** 115n;
      while ((below * debt) % Q128 < Q128 - debt) debt++;
      const answer = (below * debt) / Q128 + 1n;
      await feeds.debt.set(debt);
      await feeds.debt.set(debt);
      await feeds.collateral.set(answer);
      await feeds.collateral.set(answer);
      await expectPrice(adapter, STATE.Dead, 0n);
      await feeds.collateral.set(answer + inward);
      await feeds.collateral.set(answer + inward);
      expect((await adapter.read()).state).to.equal(STATE.Single);
    }
  });

  it("limits the second source just the same", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    await feeds.collateral.setReverting(true);
    await set("secondCollateral", 2_200);
    await set("secondCollateral", 2_200);
    await expectPrice(adapter, STATE.Single, 2_200n * Q128);
    await set("secondCollateral", 2_201);
    await expectPrice(adapter, STATE.Dead, 0n);
  });

  it("believes a round before whose answer is on its bounds", async () => {
    const { config, feeds, set } = await deployFeeds();
    const bounds = { minAnswer: usd(2_000, 8n), maxAnswer: usd(2_200, 8n) };
    const adapter = await ethers.deployContract("OracleAdapter", [
      { ...config, collateralFeed: { ...config.collateralFeed, ...bounds } },
    ]);
    await adapter.update();
    await feeds.secondCollateral.setReverting(true);
    await set("collateral", 2_190);
    await expectPrice(adapter, STATE.Single, 2_000n * Q128, 2_190n * Q128);
    await set("collateral", 2_200);
    await set("collateral", 2_150);
    await expectPrice(adapter, STATE.Single, 2_150n * Q128, 2_200n * Q128);
  });

  it("believes no round before whose answer is beyond its bounds, near as it may be", async () => {
    const { config, feeds, set } = await deployFeeds();
    const bounds = { minAnswer: usd(1_950, 8n), maxAnswer: usd(2_150, 8n) };
    const adapter = await ethers.deployContract("OracleAdapter", [
      { ...config, collateralFeed: { ...config.collateralFeed, ...bounds } },
    ]);
    await adapter.update();
    await feeds.secondCollateral.setReverting(true);
    for (const [before, state] of [
      [1_949, STATE.Dead],
      [2_151, STATE.Dead],
      [1_950, STATE.Single],
      [2_150, STATE.Single],
    ] as const) {
      await set("collateral", before);
      await set("collateral", 2_140);
      expect((await adapter.read()).state, String(before)).to.equal(state);
    }
    await set("collateral", 2_150);
    expect((await adapter.read()).state, "on the bound itself").to.equal(STATE.Single);
  });

  it("spans two rounds of feeds whose decimals differ", async () => {
    const { config, feeds, set } = await deployFeeds();
    const adapter = await ethers.deployContract("OracleAdapter", [
      { ...config, debtFeed: config.secondDebtFeed, secondDebtFeed: config.debtFeed },
    ]);
    await adapter.update();
    await feeds.secondCollateral.setReverting(true);
    await set("collateral", 2_100);
    await set("collateral", 2_200);
    await expectPrice(adapter, STATE.Single, 2_100n * Q128, 2_200n * Q128);
  });

  it("spans two rounds of the collateral over two of the debt", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    await feeds.secondCollateral.setReverting(true);
    await set("collateral", 2_100);
    await set("collateral", 2_150);
    const debt = await feeds.debt.latestRoundData();
    await feeds.debt.set((debt.answer * 101n) / 100n);
    await feeds.debt.set((debt.answer * 102n) / 100n);
    const price = await adapter.read();
    expect(price.state).to.equal(STATE.Single);
    expect(price.low).to.equal((2_100n * 100n * Q128) / 102n);
    expect(price.high).to.equal((2_150n * 100n * Q128) / 101n + 1n);
  });

  it("believes no two rounds of which one makes no price", async () => {
    const { config, feeds } = await deployFeeds();
    const wide = { minAnswer: 1n, maxAnswer: 2n ** 128n - 1n };
    const adapter = await ethers.deployContract("OracleAdapter", [
      {
        ...config,
        collateralFeed: { ...config.collateralFeed, ...wide },
        secondCollateralFeed: { ...config.secondCollateralFeed, ...wide },
      },
    ]);
    await feeds.collateral.set((2n ** 64n - 1n) * 10n ** 8n);
    await feeds.secondCollateral.set((2n ** 64n - 1n) * 10n ** 18n);
    await adapter.update();
    expect((await adapter.read()).state).to.equal(STATE.Fresh);
    await feeds.secondCollateral.setReverting(true);
    await feeds.collateral.set(2n ** 64n * 10n ** 8n); // too much for a price
    await feeds.collateral.set((2n ** 64n / 100n) * 95n * 10n ** 8n);
    await expectPrice(adapter, STATE.Dead, 0n);
  });

  it("is Dead as long as no Fresh price was ever recorded", async () => {
    const { config, feeds } = await deployFeeds();
    const adapter = await ethers.deployContract("OracleAdapter", [config]);
    await feeds.secondCollateral.setReverting(true);
    await expectPrice(adapter, STATE.Dead, 0n);
    await feeds.secondCollateral.setReverting(false);
    await adapter.update();
    await feeds.secondCollateral.setReverting(true);
    await expectPrice(adapter, STATE.Single, 2_000n * Q128);
  });
});

describe("OracleAdapter update", () => {
  it("returns what read does", async () => {
    const { adapter, set } = await deployTwoSources();
    await set("collateral", 2_017);
    expect(await adapter.update.staticCall()).to.deep.equal(await adapter.read());
  });

  it("records the middle of a Fresh price once per primary round", async () => {
    const { adapter, set } = await deployTwoSources();
    await set("collateral", 2_020);
    await adapter.update();
    const recorded = await adapter.lastFresh();
    expect(recorded.slice(0, 3)).to.deep.equal([(2_010n * Q128) >> 32n, BigInt(await time.latest()), 2n]);
    await set("secondCollateral", 2_020); // a new round, but not of the primary source
    await adapter.update();
    expect(await adapter.lastFresh()).to.deep.equal(recorded);
  });

  it("tells rounds of different phases apart", async () => {
    const { adapter, feeds } = await deployTwoSources();
    await feeds.collateral.setRound((2n << 64n) | 17n, usd(2_000, 8n), await time.latest());
    await adapter.update();
    expect((await adapter.lastFresh()).round).to.equal(17n);
  });

  it("records neither a Diverged nor a Single price, but the same round once it is Fresh", async () => {
    const { adapter, feeds, set } = await deployTwoSources();
    const before = await adapter.lastFresh();
    await set("collateral", 2_150);
    await adapter.update(); // Diverged
    await feeds.secondCollateral.setReverting(true);
    await adapter.update(); // Single
    expect((await adapter.lastFresh()).slice(0, 3)).to.deep.equal(before.slice(0, 3));
    await feeds.secondCollateral.setReverting(false);
    await set("secondCollateral", 2_150);
    await adapter.update();
    expect((await adapter.lastFresh()).price).to.equal((2_150n * Q128) >> 32n);
  });

  it("costs little more than a read when there is nothing new", async () => {
    const { adapter, set } = await deployTwoSources();
    const read = await gasOfRead(adapter);
    expect((await gasOf(adapter.update())) - read).to.be.lessThan(2_600n);
    // A new round within the period of a sample; and the next sample.
    await set("collateral", 2_001);
    expect((await gasOf(adapter.update())) - read).to.be.lessThan(12_000n);
    await time.increase(300);
    await set("collateral", 2_002);
    expect((await gasOf(adapter.update())) - read).to.be.lessThan(16_000n);
  });
});
