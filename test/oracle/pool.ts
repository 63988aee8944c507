import { expect } from "chai";
import { network } from "hardhat";

import type { OracleConfigStruct } from "../../sdk/src/types/OracleAdapter.js";
import type { TestToken } from "../../sdk/src/types/index.ts";
import { STATE } from "../support/market.ts";
import {
  answering,
  expectPrice,
  grown,
  NONE,
  observing,
  observingTwo,
  openOracles,
  Q128,
} from "../support/oracle.ts";
import { createPool, deployUniswap, sqrtPriceOf, tradeTo } from "../support/uniswap.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;
const { time } = networkHelpers;
const { deployFeeds, gasOfRead, setCode } = openOracles(connection);

for (const order of ["token 0", "token 1"] as const) {
  describe(`OracleAdapter with a Uniswap v3 pool whose ${order} is the collateral`, () => {
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

    it("believes no two windows of which one makes no price", async () => {
      const { config, feeds, pool } = await deployPool(120, [18, 18]);
      const wide = { minAnswer: 1n, maxAnswer: 2n ** 128n - 1n };
      const adapter = await ethers.deployContract("OracleAdapter", [
        { ...config, collateralFeed: { ...config.collateralFeed, ...wide }, blockTime: 600n },
      ]);
      const means = async (now: bigint, before: bigint) => {
        const [first, second] = [now, before].map((tick) => (isToken0 ? tick : -tick) * BigInt(WINDOW));
        await setCode(pool, observingTwo(first!, second!));
      };
      // 1.0001^443000 ≈ 1.7e19; prices of 2⁶⁴ or more, from tick 443637 on, are none.
      await feeds.collateral.set(17_309_465_208_364n * 10n ** 14n);
      await feeds.debt.set(10n ** 8n);
      await means(443_000n, 443_000n);
      expect((await adapter.update.staticCall()).state).to.equal(STATE.Fresh);
      await adapter.update();
      await feeds.collateral.setReverting(true);
      // By 6.5 % up: with the window before, too.
      await means(443_630n, 443_620n);
      expect((await adapter.read()).state).to.equal(STATE.Single);
      await means(443_630n, 443_640n);
      await expectPrice(adapter, STATE.Dead, 0n);
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
