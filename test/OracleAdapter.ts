import { expect } from "chai";
import { concat, toBeHex, type BaseContract, type TransactionResponse } from "ethers";
import { network } from "hardhat";

import type { OracleConfigStruct } from "../sdk/src/types/OracleAdapter.js";
import type {
  InverseOracleAdapter,
  IOracleAdapter,
  OracleAdapter,
  SettableFeed,
  TestToken,
} from "../sdk/src/types/index.ts";
import { createPool, deployUniswap, sqrtPriceOf, tradeTo } from "./support/uniswap.ts";

const { ethers, networkHelpers } = await network.create();
const { time } = networkHelpers;

const STATE = { Dead: 0n, Single: 1n, Diverged: 2n, Fresh: 3n } as const;
const Q128 = 1n << 128n;
const HOUR = 3_600;
const MAX_AGE = HOUR;
const NONE = { feed: ethers.ZeroAddress, maxAge: 0n, minAnswer: 0n, maxAnswer: 0n };
const FEEDS = ["collateral", "debt", "secondCollateral", "secondDebt"] as const;
type FeedName = (typeof FEEDS)[number];

const usd = (dollars: number, decimals: bigint): bigint =>
  (BigInt(Math.round(dollars * 1e6)) * 10n ** decimals) / 10n ** 6n;
const q128 = (price: number): bigint => (BigInt(Math.round(price * 1e6)) * Q128) / 10n ** 6n;

/** ETH in USDC: the primary feeds have 8 decimals, the second ones 18. */
async function deployFeeds() {
  const feeds: Record<FeedName, SettableFeed> = {
    collateral: await ethers.deployContract("SettableFeed", [8, "ETH / USD"]),
    debt: await ethers.deployContract("SettableFeed", [8, "USDC / USD"]),
    secondCollateral: await ethers.deployContract("SettableFeed", [18, "ETH / USD"]),
    secondDebt: await ethers.deployContract("SettableFeed", [18, "USDC / USD"]),
  };
  const decimals: Record<FeedName, bigint> = {
    collateral: 8n,
    debt: 8n,
    secondCollateral: 18n,
    secondDebt: 18n,
  };
  const set = (name: FeedName, dollars: number) => feeds[name].set(usd(dollars, decimals[name]));
  const feedConfig = async (name: FeedName) => ({
    feed: await feeds[name].getAddress(),
    maxAge: BigInt(MAX_AGE),
    minAnswer: usd(0.5, decimals[name]),
    maxAnswer: usd(100_000, decimals[name]),
  });
  const config = {
    collateral: ethers.ZeroAddress,
    debt: ethers.ZeroAddress,
    collateralFeed: await feedConfig("collateral"),
    debtFeed: await feedConfig("debt"),
    secondCollateralFeed: await feedConfig("secondCollateral"),
    secondDebtFeed: await feedConfig("secondDebt"),
    pool: ethers.ZeroAddress,
    twapWindow: 0n,
    blockTime: 0n,
    band: 300n,
    jumpLimit: 1_000n,
    jumpWidening: 500n,
    jumpLimitMax: 4_000n,
    calmVolatility: 800n,
    stressVolatility: 2_500n,
    maxLtvCut: 1_000n,
    volatilityPeriod: 43_200n,
    vetoBudget: 21_600n,
    vetoRefill: 2_592_000n,
  };
  for (const name of FEEDS) await set(name, name.toLowerCase().includes("debt") ? 1 : 2_000);
  for (const name of ["debt", "secondDebt"] as const) await set(name, 1); // the round before is looked at after a jump
  return { feeds, decimals, set, config };
}

async function deployTwoSources() {
  const arrangement = await deployFeeds();
  const adapter = await ethers.deployContract("OracleAdapter", [arrangement.config]);
  await adapter.update(); // the price that a single source is compared with
  return { ...arrangement, adapter };
}

async function expectPrice(
  adapter: IOracleAdapter | InverseOracleAdapter | OracleAdapter,
  state: bigint,
  low: bigint,
  high = low,
) {
  const price = await adapter.read();
  expect(price.state).to.equal(state);
  expect(price.low).to.equal(low);
  expect(price.high).to.equal(high);
  return price;
}

/** Gas of an execution, without what every transaction costs. */
async function gasOf(sending: Promise<TransactionResponse>): Promise<bigint> {
  const transaction = await sending;
  const { gasUsed } = (await transaction.wait())!;
  const bytes = ethers.getBytes(transaction.data);
  return bytes.reduce((gas, byte) => gas - (byte === 0 ? 4n : 16n), gasUsed - 21_000n);
}

/** Gas of read() with everything cold, as in the first call of a transaction. */
async function gasOfRead(adapter: OracleAdapter): Promise<bigint> {
  const [signer] = await ethers.getSigners();
  const transaction = { to: await adapter.getAddress(), data: adapter.interface.encodeFunctionData("read") };
  return gasOf(signer!.sendTransaction(transaction));
}

/** A contract that answers every call with `size` bytes: round, answer, 0, the time of the block, 0 … */
function answering({ round = 1n, answer, size }: { round?: bigint; answer: bigint; size: number }): string {
  return concat([
    concat(["0x7f", toBeHex(round, 32), "0x5f52"]), //         PUSH32 round   PUSH0      MSTORE
    concat(["0x7f", toBeHex(answer, 32), "0x602052"]), //      PUSH32 answer  PUSH1 0x20 MSTORE
    concat(["0x42606052", "0x62", toBeHex(size, 3), "0x5ff3"]), // TIMESTAMP PUSH1 0x60 MSTORE PUSH3 size PUSH0 RETURN
  ]);
}

/** A pool that answers observe() with these 8 words: two offsets, then each array's length and elements. */
const observing = (words: readonly bigint[], end = "0x6101005ff3") =>
  // PUSH2 0x100 PUSH0 RETURN
  concat([
    ...words.map((word, i) => concat(["0x7f", toBeHex(word, 32), "0x61", toBeHex(32 * i, 2), "0x52"])),
    end,
  ]);
const signed = (value: bigint) => BigInt.asUintN(256, value);
/** Cumulative ticks that grew by `total` over the window. */
const grown = (total: bigint) => [0x40n, 0xa0n, 2n, signed(7n), signed(7n + total), 2n, 0n, 0n];

const setCode = async (contract: BaseContract, code: string) =>
  networkHelpers.setCode(await contract.getAddress(), code);

describe("OracleAdapter", () => {
  describe("with two sources of feeds", () => {
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
  });

  it("costs little more to read than the feeds do", async () => {
    const { adapter, config } = await deployTwoSources();
    expect(await gasOfRead(adapter)).to.be.lessThan(49_200n); // four of our feeds take 39,600
    const direct = { ...config, debtFeed: NONE, secondDebtFeed: NONE };
    const two = await ethers.deployContract("OracleAdapter", [direct]);
    await two.update();
    expect(await gasOfRead(two)).to.be.lessThan(28_000n);
  });

  describe("when a feed fails", () => {
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

  describe("with a single source", () => {
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

  describe("update", () => {
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

  describe("listing", () => {
    it("tells what it was made of", async () => {
      const { adapter, config } = await deployTwoSources();
      const encode = (c: OracleConfigStruct) => adapter.interface.encodeFunctionResult("config", [c]);
      expect(encode(await adapter.config())).to.equal(encode(config));
      expect(await adapter.band()).to.equal(300n);
    });

    it("accepts a configuration on its bounds", async () => {
      const { config } = await deployFeeds();
      const precise = await ethers.deployContract("SettableFeed", [24, "precise"]);
      const { debtFeed } = config;
      for (const changes of [
        { band: 1n },
        { band: 2_000n },
        { jumpLimit: 1n },
        { jumpLimit: 4_000n },
        { jumpLimitMax: 5_000n },
        { calmVolatility: 2_499n },
        { volatilityPeriod: 300n },
        { maxLtvCut: 5_000n },
        { vetoBudget: 1n },
        { vetoBudget: 31_535_999n, vetoRefill: 31_536_000n },
        { debtFeed: { ...debtFeed, maxAge: 1n } },
        { debtFeed: { ...debtFeed, minAnswer: 1n, maxAnswer: 2n } },
        { debtFeed: { ...debtFeed, feed: precise } },
      ]) {
        await ethers.deployContract("OracleAdapter", [{ ...config, ...changes }]);
      }
    });

    it("refuses a configuration that makes no sense", async () => {
      const { config, feeds } = await deployFeeds();
      const deploy = async (changes: Partial<OracleConfigStruct>) =>
        ethers.deployContract("OracleAdapter", [{ ...config, ...changes }]);
      const { collateralFeed, debtFeed, secondCollateralFeed } = config;
      const { interface: errors } = await ethers.getContractFactory("OracleAdapter");
      const [eoa] = await ethers.getSigners();
      const precise = await ethers.deployContract("SettableFeed", [25, "too precise"]);
      const refused = async (changes: Partial<OracleConfigStruct>, error: string, ...args: unknown[]) =>
        expect(deploy(changes))
          .to.be.revertedWithCustomError({ interface: errors }, error)
          .withArgs(...args);

      await refused({ collateralFeed: NONE }, "FeedMissing", ethers.ZeroAddress);
      await refused({ debtFeed: { ...debtFeed, feed: eoa! } }, "FeedMissing", eoa!.address);
      await refused({ secondCollateralFeed: NONE }, "FeedMissing", ethers.ZeroAddress);
      await refused({ debtFeed: { ...debtFeed, maxAge: 0n } }, "FeedMaxAgeZero", debtFeed.feed);
      await refused(
        { debtFeed: { ...debtFeed, minAnswer: 0n } },
        "FeedBoundsInvalid",
        debtFeed.feed,
        0n,
        debtFeed.maxAnswer,
      );
      await refused(
        { debtFeed: { ...debtFeed, minAnswer: 7n, maxAnswer: 7n } },
        "FeedBoundsInvalid",
        debtFeed.feed,
        7n,
        7n,
      );
      await refused(
        { debtFeed: { ...debtFeed, feed: precise } },
        "FeedDecimalsTooMany",
        await precise.getAddress(),
        25n,
        24n,
      );
      await refused({ secondCollateralFeed: collateralFeed }, "SourcesNotIndependent", collateralFeed.feed);
      const pool = await feeds.secondDebt.getAddress();
      await refused({ pool }, "SecondSourceAmbiguous", pool, secondCollateralFeed.feed);
      const debtOnly = { pool, secondCollateralFeed: NONE };
      await refused(debtOnly, "SecondSourceAmbiguous", pool, ethers.ZeroAddress);
      const collateralOnly = { pool, secondDebtFeed: NONE };
      await refused(collateralOnly, "SecondSourceAmbiguous", pool, secondCollateralFeed.feed);
      await refused({ band: 0n }, "BandOutOfRange", 0n, 2_000n);
      await refused({ band: 2_001n }, "BandOutOfRange", 2_001n, 2_000n);
      await refused({ jumpLimit: 0n }, "JumpLimitOutOfRange", 0n, 4_000n, 5_000n);
      await refused({ jumpLimit: 4_001n }, "JumpLimitOutOfRange", 4_001n, 4_000n, 5_000n);
      await refused({ jumpLimitMax: 5_001n }, "JumpLimitOutOfRange", 1_000n, 5_001n, 5_000n);
      await refused({ calmVolatility: 2_500n }, "VolatilityOutOfRange", 2_500n, 2_500n, 43_200n);
      await refused({ volatilityPeriod: 299n }, "VolatilityOutOfRange", 800n, 2_500n, 299n);
      await refused({ maxLtvCut: 5_001n }, "MaxLtvCutTooLarge", 5_001n, 5_000n);
      await refused({ vetoBudget: 0n }, "VetoOutOfRange", 0n, 2_592_000n);
      await refused({ vetoBudget: 2_592_000n }, "VetoOutOfRange", 2_592_000n, 2_592_000n);
      await refused({ vetoRefill: 31_536_001n }, "VetoOutOfRange", 21_600n, 31_536_001n);
    });
  });

  for (const order of ["token 0", "token 1"] as const) {
    describe(`with a Uniswap v3 pool whose ${order} is the collateral`, () => {
      const WINDOW = 600;
      const isToken0 = order === "token 0";

      async function deployPool(
        observations = 120,
        [collateralDecimals, debtDecimals]: readonly [number, number] = [18, 6],
      ) {
        const [signer] = await ethers.getSigners();
        const uniswap = await deployUniswap(signer!);
        const weth = await ethers.deployContract("TestToken", ["Wrapped Ether", "WETH", collateralDecimals]);
        const wethAddress = await weth.getAddress();
        let usdc: TestToken;
        let usdcAddress: string;
        do {
          usdc = await ethers.deployContract("TestToken", ["USD Coin", "USDC", debtDecimals]);
          usdcAddress = await usdc.getAddress();
        } while (BigInt(wethAddress) < BigInt(usdcAddress) !== isToken0);
        const sqrtPrice = (dollars: number) =>
          isToken0 ? sqrtPriceOf(dollars, 18, 6) : sqrtPriceOf(1 / dollars, 6, 18);
        const [token0, token1] = isToken0 ? [weth, usdc] : [usdc, weth];
        const options = { sqrtPrice: sqrtPrice(2_000), liquidity: 10n ** 18n, observations };
        const pool = await createPool(uniswap, token0, token1, options);
        const arrangement = await deployFeeds();
        const config = {
          ...arrangement.config,
          collateral: wethAddress,
          debt: usdcAddress,
          secondCollateralFeed: NONE,
          secondDebtFeed: NONE,
          pool: await pool.getAddress(),
          twapWindow: BigInt(WINDOW),
          blockTime: 12n,
        };
        return {
          ...arrangement,
          pool,
          config,
          trade: (dollars: number) => tradeTo(uniswap, pool, sqrtPrice(dollars)),
        };
      }

      async function deployWithPool() {
        const arrangement = await deployPool();
        await arrangement.trade(2_001);
        await arrangement.trade(2_000);
        const adapter = await ethers.deployContract("OracleAdapter", [arrangement.config]);
        return { ...arrangement, adapter };
      }

      /** Whole debt tokens per whole collateral token at the tick; good enough to tell ticks apart. */
      const priceAtTick = (tick: bigint) => 1.0001 ** (isToken0 ? Number(tick) : -Number(tick)) * 1e12;
      const toNumber = (price: bigint) => Number(price) / 2 ** 128;
      const expectNear = (actual: bigint, expected: number, tolerance = 1e-9) =>
        expect(Math.abs(toNumber(actual) / expected - 1)).to.be.lessThan(tolerance);

      /** The pool's mean tick, rounded toward minus infinity, and whether there was something to round. */
      async function meanTick(pool: Awaited<ReturnType<typeof deployPool>>["pool"]) {
        const { tickCumulatives } = await pool.observe([WINDOW, 0]);
        const total = tickCumulatives[1]! - tickCumulatives[0]!;
        const rest = ((total % BigInt(WINDOW)) + BigInt(WINDOW)) % BigInt(WINDOW);
        return { tick: (total - rest) / BigInt(WINDOW), isRounded: rest !== 0n };
      }

      it("refuses a pool that can hold too few observations for the window", async () => {
        const { config, pool, trade } = await deployPool(1);
        const factory = await ethers.getContractFactory("OracleAdapter");
        await pool.increaseObservationCardinalityNext(121);
        await expect(factory.deploy(config))
          .to.be.revertedWithCustomError(factory, "CardinalityTooLow")
          .withArgs(config.pool, 1n, 101n);
        await trade(2_001); // the trade that makes the reserved room usable
        await factory.deploy(config);
        await factory.deploy({ ...config, blockTime: 10n }); // just enough
        await factory.deploy({ ...config, twapWindow: 1n, blockTime: 1n });
        await expect(factory.deploy({ ...config, blockTime: 7n }))
          .to.be.revertedWithCustomError(factory, "CardinalityTooLow")
          .withArgs(await pool.getAddress(), 121n, 173n);
      });

      it("refuses other tokens, no window and no pool", async () => {
        const { config, trade } = await deployPool();
        await trade(2_001);
        const factory = await ethers.getContractFactory("OracleAdapter");
        const { collateral, debt } = config;
        const pair = isToken0 ? [collateral, debt] : [debt, collateral];
        for (const changes of [
          { collateral: debt },
          { debt: collateral },
          { debt: config.pool },
          { collateral: config.pool },
        ]) {
          await expect(factory.deploy({ ...config, ...changes }))
            .to.be.revertedWithCustomError(factory, "PoolTokensMismatch")
            .withArgs(config.pool, ...pair);
        }
        await expect(factory.deploy({ ...config, twapWindow: 0n }))
          .to.be.revertedWithCustomError(factory, "WindowInvalid")
          .withArgs(0n, 12n);
        await expect(factory.deploy({ ...config, blockTime: 0n }))
          .to.be.revertedWithCustomError(factory, "WindowInvalid")
          .withArgs(600n, 0n);
        const [eoa] = await ethers.getSigners();
        await expect(factory.deploy({ ...config, pool: eoa! }))
          .to.be.revertedWithCustomError(factory, "PoolMissing")
          .withArgs(eoa!.address);
      });

      it("tells what it was made of", async () => {
        const { adapter, config } = await deployWithPool();
        const encode = (c: OracleConfigStruct) => adapter.interface.encodeFunctionResult("config", [c]);
        expect(encode(await adapter.config())).to.equal(encode(config));
      });

      it("has no price before the pool's history covers the window", async () => {
        const { adapter, pool } = await deployWithPool();
        const { blockTimestamp: first } = await pool.observations(0);
        await time.increaseTo(first + BigInt(WINDOW) - 1n);
        await expect(pool.observe([WINDOW, 0])).to.be.revertedWith("OLD");
        await expectPrice(adapter, STATE.Dead, 0n);
        await time.increaseTo(first + BigInt(WINDOW));
        expect((await adapter.read()).state).to.equal(STATE.Fresh);
      });

      it("gives the price at the mean tick, and the time as the round", async () => {
        const { adapter, pool, feeds } = await deployWithPool();
        await time.increase(WINDOW);
        const price = await adapter.read();
        const { tick } = await meanTick(pool);
        expect(price.state).to.equal(STATE.Fresh);
        expect(price.roundB).to.equal(BigInt(await time.latest()));
        expect(price.roundA).to.equal(await feeds.collateral.latestRound());
        expectNear(price.high === 2_000n * Q128 ? price.low : price.high, priceAtTick(tick));
      });

      it("follows real swaps as the mean over the window, rounded toward minus infinity", async () => {
        const { adapter, pool, trade, feeds, set } = await deployWithPool();
        await time.increase(WINDOW);
        await adapter.update();
        await feeds.collateral.setReverting(true); // to see the pool's price alone
        await trade(2_050);
        let rounded = 0;
        const seen: number[] = [];
        let price = await adapter.read();
        for (let i = 0; i < 7; i++) {
          await time.increase(97);
          const { tick, isRounded } = await meanTick(pool);
          price = await adapter.read();
          expect(price.state).to.equal(STATE.Single);
          expectNear(price.low, priceAtTick(tick));
          expect(price.high - price.low).to.be.lessThan(2n);
          seen.push(toNumber(price.low));
          if (isRounded) rounded++;
        }
        expect(rounded).to.be.greaterThan(0);
        expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b)); // only ever up
        expect(seen[0]).to.be.lessThan(2_020);
        expectNear(price.low, 2_050, 2e-4);
        await trade(1_990);
        await time.increase(WINDOW);
        expectNear((await adapter.read()).low, 1_990, 2e-4);
        await feeds.collateral.setReverting(false);
        await set("collateral", 2_000);
        await set("debt", 1);
        expect((await adapter.read()).state).to.equal(STATE.Fresh);
      });

      it("spans its window and the one before when it is alone and has jumped", async () => {
        const { adapter, pool, trade, feeds } = await deployWithPool();
        await time.increase(WINDOW);
        await adapter.update();
        await feeds.collateral.setReverting(true);
        await trade(2_150);
        await time.increase(WINDOW - 1);
        const { low, high } = await adapter.read();
        const { tickCumulatives: at } = await pool.observe([2 * WINDOW, WINDOW]);
        const before = priceAtTick((at[1]! - at[0]!) / BigInt(WINDOW));
        expectNear(low, before, 2e-4);
        expectNear(high, priceAtTick((await meanTick(pool)).tick), 2e-4);
        expect(toNumber(high) / toNumber(low)).to.be.greaterThan(1.06);
      });

      it("costs no more to read than feeds do", async () => {
        const { adapter } = await deployWithPool();
        await time.increase(WINDOW);
        await adapter.update();
        expect(await gasOfRead(adapter)).to.be.lessThan(49_200n);
      });

      it("hardly moves with a price that holds for one block", async () => {
        const { adapter, trade } = await deployWithPool();
        await time.increase(WINDOW);
        await trade(1_000);
        await time.increase(12);
        const price = await adapter.read();
        expect(price.state).to.equal(STATE.Fresh);
        expect(toNumber(price.low)).to.be.greaterThan(1_940); // 13 s of 600 at half the price
      });

      it("is Diverged while the pool lags the feed, Fresh when it has followed", async () => {
        const { adapter, trade, set } = await deployWithPool();
        await time.increase(WINDOW);
        await set("collateral", 1_800);
        await trade(1_800);
        let price = await adapter.read();
        expect(price.state).to.equal(STATE.Diverged);
        expect(price.low).to.equal(1_800n * Q128);
        await time.increase(WINDOW);
        price = await adapter.read();
        expect(price.state).to.equal(STATE.Fresh);
      });

      it("lets a pool that has lost its code or its history leave the feeds alone", async () => {
        const { adapter, pool } = await deployWithPool();
        await time.increase(WINDOW);
        await adapter.update();
        await setCode(pool, "0x");
        await expectPrice(adapter, STATE.Single, 2_000n * Q128);
        await setCode(pool, answering({ round: 0x40n, answer: 1n, size: 0x100 }));
        await expectPrice(adapter, STATE.Single, 2_000n * Q128);
      });

      it("takes an answer of another shape for none", async () => {
        const { adapter, pool } = await deployWithPool();
        await time.increase(WINDOW);
        await adapter.update();
        const { tick } = await meanTick(pool);
        const words = grown(tick * BigInt(WINDOW));
        const replaced = (index: number, word: bigint) => words.map((old, i) => (i === index ? word : old));
        await setCode(pool, observing(words));
        expect((await adapter.read()).state).to.equal(STATE.Fresh);
        for (const code of [
          observing(replaced(0, 0x60n)),
          observing(replaced(2, 3n)),
          observing(words, "0x6101205ff3"), // longer
          observing(words, "0x60e05ff3"), // shorter
          observing(words, "0x6101005ffd"), // reverts with it
        ]) {
          await setCode(pool, code);
          const price = await expectPrice(adapter, STATE.Single, 2_000n * Q128);
          expect(price.roundB).to.equal(0n);
        }
      });

      it("rounds the mean of every sign toward minus infinity", async () => {
        const { config, feeds, pool, set } = await deployPool(120, [18, 18]);
        await set("collateral", 1);
        const adapter = await ethers.deployContract("OracleAdapter", [{ ...config, blockTime: 600n }]);
        await setCode(pool, observing(grown(0n)));
        await adapter.update();
        await feeds.collateral.setReverting(true); // to see the pool's price alone
        for (const [total, tick] of [
          [0n, 0n],
          [1n, 0n],
          [599n, 0n],
          [600n, 1n],
          [-1n, -1n],
          [-600n, -1n],
          [-601n, -2n],
        ] as const) {
          await setCode(pool, observing(grown(total)));
          const price = await adapter.read();
          expect(price.state, `${total}`).to.equal(STATE.Single);
          expectNear(price.low, priceAtTick(tick) / 1e12);
        }
      });

      it("believes every tick of TickMath's domain that makes a price, and none beyond", async () => {
        const last = 887_272n;
        for (const sign of [1n, -1n]) {
          // The tick is the collateral's price, or its inverse.
          const isDear = isToken0 === sign > 0n;
          const { config, feeds, pool } = await deployPool(120, isDear ? [0, 24] : [24, 0]);
          const wide = { minAnswer: 1n, maxAnswer: 2n ** 128n - 1n };
          const adapter = await ethers.deployContract("OracleAdapter", [
            {
              ...config,
              collateralFeed: { ...config.collateralFeed, ...wide },
              debtFeed: { ...config.debtFeed, ...wide },
              blockTime: 600n,
            },
          ]);
          // 1.0001^887272 ≈ 3.4e38, ± 24 decimals
          await feeds.collateral.set(isDear ? 34_026n * 10n ** 18n : 29_390n);
          await feeds.debt.set(isDear ? 10n ** 8n : 10n ** 19n);
          await setCode(pool, observing(grown(sign * last * BigInt(WINDOW))));
          expect((await adapter.read()).state).to.equal(STATE.Fresh);
          await setCode(pool, observing(grown(sign * (last + 1n) * BigInt(WINDOW))));
          expect((await adapter.read()).state).to.equal(STATE.Dead);
        }
      });

      it("refuses tokens with more than 24 decimals", async () => {
        const factory = await ethers.getContractFactory("OracleAdapter");
        for (const decimals of [
          [25, 6],
          [18, 25],
        ] as const) {
          const { config } = await deployPool(120, decimals);
          await expect(factory.deploy({ ...config, blockTime: 600n }))
            .to.be.revertedWithCustomError(factory, "TokenDecimalsTooMany")
            .withArgs(decimals[0] === 25 ? config.collateral : config.debt, 25n, 24n);
        }
      });

      it("does not revert for a mean tick that no number is the negative of", async () => {
        const { pool, config } = await deployPool();
        const adapter = await ethers.deployContract("OracleAdapter", [
          { ...config, twapWindow: 1n, blockTime: 1n },
        ]);
        await setCode(pool, observing(grown(-(2n ** 255n)))); // over a window of one second
        await expectPrice(adapter, STATE.Dead, 0n);
      });
    });
  }
});

describe("InverseOracleAdapter", () => {
  async function deployMirror() {
    const arrangement = await deployTwoSources();
    const mirror = await ethers.deployContract("InverseOracleAdapter", [arrangement.adapter]);
    return { ...arrangement, mirror };
  }
  const inverseDown = (price: bigint) => (1n << 256n) / price;
  const inverseUp = (price: bigint) => ((1n << 256n) + price - 1n) / price;

  it("gives 1 / high and 1 / low, rounded outward, with the other's state and rounds", async () => {
    const { adapter, mirror, set } = await deployMirror();
    await set("collateral", 2_010);
    const price = await adapter.read();
    const mirrored = await expectPrice(mirror, STATE.Fresh, inverseDown(price.high), inverseUp(price.low));
    expect([mirrored.roundA, mirrored.roundB]).to.deep.equal([price.roundA, price.roundB]);
    expect(await mirror.band()).to.equal(await adapter.band());
    expect(await mirror.MIRRORED()).to.equal(await adapter.getAddress());
  });

  it("is in every state that the other is in", async () => {
    const { mirror, feeds, set } = await deployMirror();
    await set("collateral", 2_150);
    await expectPrice(mirror, STATE.Diverged, inverseDown(2_150n * Q128), inverseUp(2_000n * Q128));
    await feeds.secondDebt.setReverting(true);
    await set("collateral", 2_150);
    await expectPrice(mirror, STATE.Single, inverseDown(2_150n * Q128), inverseUp(2_150n * Q128));
    await feeds.debt.setReverting(true);
    await expectPrice(mirror, STATE.Dead, 0n);
  });

  it("forwards an update to the adapter behind", async () => {
    const { adapter, mirror, set } = await deployMirror();
    await set("collateral", 2_040);
    expect(await mirror.update.staticCall()).to.deep.equal(await mirror.read());
    await mirror.update();
    expect((await adapter.lastFresh()).price).to.equal((2_020n * Q128) >> 32n);
  });

  it("refuses an address without code", async () => {
    const [eoa] = await ethers.getSigners();
    const factory = await ethers.getContractFactory("InverseOracleAdapter");
    await expect(factory.deploy(eoa!))
      .to.be.revertedWithCustomError(factory, "AdapterMissing")
      .withArgs(eoa!.address);
  });
});
