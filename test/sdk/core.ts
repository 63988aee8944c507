import { expect } from "chai";
import type { Result } from "ethers";
import { network } from "hardhat";

import {
  BORROW_INDEX_ONE,
  BPS,
  Q128,
  WAD,
  accrueRate,
  bestSize,
  bookPriceDown,
  bookPriceUp,
  ceilTick,
  collateralTokensOf,
  debtTokensOf,
  distanceToLiquidation,
  expWad,
  floorTick,
  formatAmount,
  formatPercent,
  formatPrice,
  growth,
  healthOf,
  isInsolvent,
  isLiquidatable,
  isqrt,
  ladder,
  landing,
  leverageOf,
  liquidationPriceOf,
  lnWad,
  ltvOf,
  ltvOfLeverage,
  maxTick,
  move,
  parseAmount,
  parsePrice,
  positionOf,
  ratioOf,
  refine,
  salePrice,
  saleTerms,
  sqrtPriceAtTick,
  tickAtSqrtPrice,
  unitsOf,
  type MarketState,
  type SizeQuote,
} from "@breakwater/sdk/core";

/** A seeded source of random integers, so that a red run can be repeated. */
function randomness(seed: bigint) {
  let state = seed;
  const bits = (count: number) => {
    let value = 0n;
    for (let have = 0; have < count; have += 32) {
      state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
      value = (value << 32n) | (state >> 32n);
    }
    return value & ((1n << BigInt(count)) - 1n);
  };
  const below = (limit: bigint) => bits(limit.toString(2).length + 32) % limit;
  return {
    below,
    between: (from: bigint, to: bigint) => from + below(to - from + 1n),
    /** Every magnitude is equally likely. */
    ofAnySize: (maxBits: number) => bits(1 + Number(below(BigInt(maxBits)))),
  };
}

const SPACINGS = [4, 5, 15, 25, 60];

describe("SDK core against the contracts", () => {
  async function deploy() {
    const { ethers } = await network.create();
    return ethers.deployContract("CoreHarness");
  }

  it("gives every tick the contract's ratio", async () => {
    const harness = await deploy();
    const random = randomness(1n);
    for (const spacing of SPACINGS) {
      const top = maxTick(spacing);
      const ticks = [-top, -1, 0, 1, top];
      while (ticks.length < 400) ticks.push(Number(random.between(BigInt(-top), BigInt(top))));
      const expected: unknown = await harness.getFunction("ratiosOf").staticCall(ticks, spacing);
      expect(ticks.map((tick) => ratioOf(tick, spacing))).to.deep.equal([...(expected as bigint[])]);
    }
  });

  it("rounds every ratio to the contract's ticks", async () => {
    const harness = await deploy();
    const random = randomness(2n);
    for (const spacing of SPACINGS) {
      const top = maxTick(spacing);
      const limit = ratioOf(top, spacing);
      const ratios = [0n, 1n, 1n << 64n, limit];
      while (ratios.length < 300) {
        const ratio = ratioOf(Number(random.between(BigInt(-top), BigInt(top))), spacing);
        const any = random.ofAnySize(192);
        ratios.push(ratio, ratio - 1n, any <= limit ? any : limit);
        if (ratio < limit) ratios.push(ratio + 1n);
      }
      const [ceil, floor] = (await harness.getFunction("ticksOf").staticCall(ratios, spacing)) as [
        bigint[],
        bigint[],
      ];
      expect(ratios.map((ratio) => ceilTick(ratio, spacing))).to.deep.equal([...ceil].map(Number));
      expect(ratios.map((ratio) => floorTick(ratio, spacing))).to.deep.equal([...floor].map(Number));
    }
  });

  it("sells every tick at the contract's price, wherever it lands", async () => {
    const harness = await deploy();
    const random = randomness(3n);
    let partial = 0;
    for (let round = 0; round < 6; round++) {
      const inputs = Array.from({ length: 100 }, () => {
        const spacing = SPACINGS[Number(random.below(BigInt(SPACINGS.length)))]!;
        const high = (1n << random.between(80n, 184n)) + random.ofAnySize(80);
        const bonusMin = random.between(50n, 300n);
        const liquidationThreshold = random.between(5_000n, 9_000n);
        return {
          high,
          low: high - (high * random.below(400n)) / BPS,
          liquidationThreshold,
          target: liquidationThreshold - random.between(100n, 400n),
          bonusMin,
          bonusMax: bonusMin + random.below(600n),
          slope: random.below(20_000n),
          spacing,
          above: random.below(BigInt(Math.trunc(2_000 / spacing))),
          debt: 1n + random.ofAnySize(103),
          budget: 0n,
        };
      });
      for (const i of inputs) i.budget = random.below(i.debt);
      const outputs = (await harness.getFunction("sales").staticCall(inputs)) as unknown as {
        terms: Result;
        triggerTick: bigint;
        w: bigint;
        full: Record<string, bigint>;
        land: bigint;
        partialMove: Record<string, bigint>;
      }[];
      inputs.forEach((i, at) => {
        const expected = outputs[at]!;
        const t = saleTerms(i.high, i.low, i, i.spacing);
        expect([t.high, t.low, t.shift, BigInt(t.targetTick), t.targetRatio]).to.deep.equal(
          ["high", "low", "shift", "targetTick", "targetRatio"].map(
            (key) => expected.terms.getValue(key) as bigint,
          ),
        );
        expect(BigInt(t.triggerTick)).to.equal(expected.triggerTick);
        const tick = t.triggerTick + Number(i.above);
        const ratio = ratioOf(tick, i.spacing);
        const w = salePrice(t, ratio >> t.shift);
        expect(w).to.equal(expected.w);
        if (ratio >> t.shift >= w) return;
        const full = move(t, i.debt, ratio, t.targetRatio, w);
        const fields = (m: Record<string, bigint>) => [m.debt, m.seized, m.num, m.den];
        expect([full.debt, full.seized, full.num, full.den]).to.deep.equal(fields(expected.full));
        if (i.budget === 0n || i.debt - full.debt <= i.budget) return;
        const { land, move: m } = landing(t, i.debt, tick, ratio, w, i.budget);
        expect(land).to.equal(Number(expected.land));
        if (!m) return;
        partial++;
        expect([m.debt, m.seized, m.num, m.den]).to.deep.equal(fields(expected.partialMove));
      });
    }
    expect(partial).to.be.greaterThan(50);
  });

  it("converts prices and knows insolvency as the contract does", async () => {
    const harness = await deploy();
    const random = randomness(4n);
    for (let round = 0; round < 200; round++) {
      const price = random.ofAnySize(170);
      const index = BORROW_INDEX_ONE + random.ofAnySize(90);
      const units = { ...unitsOf(25, 18, 6), priceMultiplier: 10n ** random.below(13n) };
      const [down, up] = (await harness
        .getFunction("bookPrices")
        .staticCall(price, index, units.priceMultiplier)) as [bigint, bigint];
      expect([bookPriceDown(price, index, units), bookPriceUp(price, index, units)]).to.deep.equal([
        down,
        up,
      ]);
      const ratio = (up * random.between(9_000n, 10_500n)) / BPS;
      const bonusMin = random.between(50n, 500n);
      const expected: unknown = await harness.getFunction("isInsolvent").staticCall(ratio, up, bonusMin);
      expect(isInsolvent(ratio, up, bonusMin)).to.equal(expected);
    }
  });

  it("takes exponentials and logarithms as the contracts do", async () => {
    const harness = await deploy();
    const random = randomness(8n);
    const limit = 135_305_999_368_893_231_589n;
    const exponents = [0n, 1n, -1n, WAD, -WAD, 20n * WAD, limit - 1n, -(1n << 200n)];
    const values = [1n, 2n, WAD - 1n, WAD, WAD + 1n, (1n << 96n) - 1n, 1n << 96n, (1n << 255n) - 1n];
    for (let edge = -41_446_531_673_892_822_313n - 2n; exponents.length < 16; edge++) exponents.push(edge);
    while (exponents.length < 1_500) {
      const size = random.ofAnySize(67);
      exponents.push(size < limit ? size : limit - 1n, -size);
    }
    while (values.length < 1_500) values.push(1n + random.ofAnySize(254), WAD + random.below(4n * WAD));
    const answer = async (name: string, inputs: bigint[]) => [
      ...((await harness.getFunction(name).staticCall(inputs)) as bigint[]),
    ];
    expect(exponents.map(expWad)).to.deep.equal(await answer("exponentials", exponents));
    expect(values.map(lnWad)).to.deep.equal(await answer("logarithms", values));
    expect(() => expWad(limit)).to.throw(RangeError, /does not fit/);
    expect(() => lnWad(0n)).to.throw(RangeError, /no logarithm of 0/);
  });

  it("adapts the rate and grows a debt as the contract does", async () => {
    const harness = await deploy();
    const random = randomness(9n);
    for (let round = 0; round < 200; round++) {
      const utilization = [0n, (9n * WAD) / 10n, WAD][round] ?? random.below(WAD + 1n);
      const rateAtTarget = random.between(31_709_791n, 63_419_583_967n);
      const elapsed = random.ofAnySize(28);
      const [rate, atTarget, grown] = (await harness
        .getFunction("accrue")
        .staticCall(utilization, rateAtTarget, elapsed)) as [bigint, bigint, bigint];
      expect(accrueRate(utilization, rateAtTarget, elapsed)).to.deep.equal({ rate, rateAtTarget: atTarget });
      expect(growth(rate, elapsed)).to.equal(grown);
    }
  });
});

describe("SDK core", () => {
  const market: MarketState = {
    units: unitsOf(25, 18, 6),
    borrowIndex: (BORROW_INDEX_ONE * 10_321n) / 10_000n,
    priceLow: 1_990n * Q128,
    priceHigh: 2_000n * Q128,
    liquidationThreshold: 8_600n,
  };
  /** The trigger as the contract computes it. */
  const trigger = (m: MarketState) =>
    ceilTick(
      (bookPriceUp(m.priceHigh, m.borrowIndex, m.units) * m.liquidationThreshold + BPS - 1n) / BPS,
      m.units.spacing,
    );

  it("takes the tick of a square root as Uniswap defines it", () => {
    for (const tick of [-443_636, -100_001, -1, 0, 1, 99_999, 443_636]) {
      expect(tickAtSqrtPrice(sqrtPriceAtTick(tick))).to.equal(tick);
      expect(tickAtSqrtPrice(sqrtPriceAtTick(tick) - 1n)).to.equal(tick - 1);
    }
  });

  it("takes square roots rounded down", () => {
    const random = randomness(5n);
    for (let round = 0; round < 300; round++) {
      const value = random.ofAnySize(256);
      const root = isqrt(value);
      expect(root * root <= value && (root + 1n) * (root + 1n) > value).to.be.true;
    }
  });

  it("puts health below 1 exactly at the trigger tick", () => {
    const random = randomness(6n);
    for (let round = 0; round < 300; round++) {
      const m = {
        ...market,
        priceHigh: random.between(1n, 5_000n) * Q128 + random.ofAnySize(128),
        borrowIndex: BORROW_INDEX_ONE + random.ofAnySize(70),
      };
      const first = trigger(m);
      expect(isLiquidatable(first, m)).to.be.true;
      expect(isLiquidatable(first - 1, m)).to.be.false;
      expect(healthOf(first, m) < WAD).to.be.true;
    }
  });

  it("gives the highest price at which a tick is liquidatable", () => {
    const random = randomness(7n);
    for (let round = 0; round < 300; round++) {
      const tick = Number(random.between(-2_000n, 4_000n));
      const price = liquidationPriceOf(tick, market);
      expect(isLiquidatable(tick, { ...market, priceHigh: price })).to.be.true;
      expect(isLiquidatable(tick, { ...market, priceHigh: price + 1n })).to.be.false;
    }
  });

  it("measures LTV and distance", () => {
    const first = trigger(market);
    expect(ltvOf(first, market) > (WAD * 86n) / 100n).to.be.true;
    expect(distanceToLiquidation(first, market) <= 0n).to.be.true;
    expect(distanceToLiquidation(first - 100, market) > WAD / 5n).to.be.true;
    expect(leverageOf(ltvOfLeverage(4n * WAD))).to.equal(4n * WAD);
  });

  it("places a position at or above its own ratio and leaves the rest as surplus", () => {
    const position = positionOf(1_000n * WAD, WAD, 25);
    const ratio = ratioOf(position.tick, 25);
    expect(ratio >= 1_000n * Q128 && ratioOf(position.tick - 1, 25) < 1_000n * Q128).to.be.true;
    expect(collateralTokensOf(position, market) <= WAD).to.be.true;
    expect(WAD - collateralTokensOf(position, market) <= 1n).to.be.true;
    expect(debtTokensOf(position, market)).to.equal(1_032_100_000n);
    expect(positionOf(0n, WAD, 25).surplus).to.equal(WAD);
  });

  it("finds the size that earns most", () => {
    const profitOf = (size: bigint) => size * 30n - (size * size) / 1_000n;
    let quotes: SizeQuote[] = ladder(1_000_000n, 8).map((size) => ({ size, profit: profitOf(size) }));
    for (let round = 0; round < 12; round++) {
      quotes = [...quotes, ...refine(quotes, 50n).map((size) => ({ size, profit: profitOf(size) }))];
    }
    const best = bestSize(quotes)!;
    expect(best.size >= 14_900n && best.size <= 15_100n, String(best.size)).to.be.true;
    expect(refine(quotes, 100n)).to.deep.equal([]);
    expect(bestSize<SizeQuote>([])).to.equal(undefined);
    expect(ladder(3n, 8)).to.deep.equal([3n, 1n]);
  });

  it("reads and writes amounts", () => {
    expect(formatAmount(-1_234_567_890n, 6)).to.equal("-1,234.567890");
    expect(formatAmount(5n, 18, 2)).to.equal("0.00");
    expect(formatAmount(1_500n, 0)).to.equal("1,500");
    expect(parseAmount("1,234.56789", 6)).to.equal(1_234_567_890n);
    expect(() => void parseAmount("1.1234567", 6)).to.throw(
      /"1.1234567" is not an amount with at most 6 decimals/,
    );
    expect(() => void parseAmount("1e6", 6)).to.throw(/is not an amount/);
    expect(formatPrice((1_999n * Q128) / 4n)).to.equal("499.75");
    expect(parsePrice("499.75", "long")).to.equal((1_999n * Q128) / 4n);
    expect(parsePrice("4", "short")).to.equal(Q128 / 4n);
    expect(() => void parsePrice("0", "long")).to.throw(/is no price/);
    expect(formatPercent((WAD * 8_312n) / 10_000n)).to.equal("83.12 %");
  });
});
