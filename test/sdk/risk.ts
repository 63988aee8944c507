import {
  behindDown,
  BORROW_INDEX_ONE,
  BPS,
  bookPriceUp,
  concentration,
  debtByDistance,
  isInsolvent,
  isLiquidatable,
  liquidatableUnder,
  type MarketState,
  move,
  Q128,
  ratioOf,
  reverseStress,
  salePrice,
  saleTerms,
  sweepUnder,
  type TickDebt,
  unitsOf,
} from "@breakwater/sdk/core";
import { expect } from "chai";
import { near } from "../support/near.ts";

const RISK = { liquidationThreshold: 8_600n, target: 8_300n, bonusMin: 150n, bonusMax: 800n, slope: 5_000n };
const UNITS = unitsOf(25, 18, 6);

/** Interest of 10 % so far; the sources a percent apart. */
const market: MarketState = {
  units: UNITS,
  borrowIndex: (BORROW_INDEX_ONE * 11n) / 10n,
  priceLow: 1_990n * Q128,
  priceHigh: 2_010n * Q128,
  liquidationThreshold: RISK.liquidationThreshold,
};
const bookPrice = (fall = 0n) =>
  bookPriceUp((market.priceHigh * (BPS - fall)) / BPS, market.borrowIndex, UNITS);
/** Debts of odd sizes on every third tick, from LTV 20 % to 81 %. */
const book: TickDebt[] = [];
for (let tick = 4_000; tick > -4_000; tick--) {
  const ltv = Number((ratioOf(tick, 25) * 10_000n) / bookPrice());
  if (ltv > 2_000 && ltv < 8_100 && tick % 3 === 0) {
    book.push({ tick, debt: 12_345_678_901_234_567_891n * BigInt(ltv), count: 1 + (tick & 3) });
  }
}
const sum = (values: bigint[]) => values.reduce((total, value) => total + value, 0n);

describe("sdk: exposure", function () {
  it("counts as liquidatable under a fall what is so at the fallen price", function () {
    const falls = Array.from({ length: 61 }, (_, percent) => BigInt(percent) * 100n);
    const amounts = liquidatableUnder(book, falls, market);
    falls.forEach((fall, at) => {
      const fallen = { ...market, priceHigh: (market.priceHigh * (BPS - fall)) / BPS };
      const debt = sum(book.filter(({ tick }) => isLiquidatable(tick, fallen)).map((each) => each.debt));
      // Debt units, then millionths, both rounded up.
      const tokens = (debt * 11n + 10n * 10n ** 12n - 1n) / (10n * 10n ** 12n);
      expect(amounts[at], `−${percentOf(fall)} %`).to.be.oneOf([tokens, tokens + 1n]);
    });
    expect(amounts[0]).to.equal(0n);
    expect(amounts[60]! > amounts[30]!).to.equal(true);
    expect(liquidatableUnder(book, falls, { ...market, priceHigh: 0n })).to.deep.equal(falls.map(() => 0n));
    expect(liquidatableUnder([], [9_900n], market)).to.deep.equal([0n]);
  });

  it("puts every tick into the band of its distance, none twice", function () {
    const bands = debtByDistance(book, market);
    expect(sum(bands.map(({ positions }) => BigInt(positions)))).to.equal(
      sum(book.map(({ count }) => BigInt(count))),
    );
    expect(bands.map(({ percent }) => percent)).to.deep.equal(
      [...new Set(bands.map((b) => b.percent))].sort((a, b) => a - b),
    );
    for (const { percent } of bands) {
      // A band ends where a fall of one percent more takes all of it.
      const upTo = sum(bands.filter((band) => band.percent <= percent).map(({ debt }) => debt));
      const [taken] = liquidatableUnder(book, [BigInt(percent + 1) * 100n], market);
      expect(upTo - taken!, String(percent)).to.be.within(0n, BigInt(bands.length));
    }
    const top = book[0]!.tick + 40;
    expect(debtByDistance([{ tick: top, debt: 10n ** 18n, count: 2 }], market)).to.deep.equal([
      { percent: -1, debt: 1_100_000n, positions: 2 },
    ]);
    expect(debtByDistance(book, { ...market, priceHigh: 0n })).to.deep.equal([]);
  });

  it("sweeps as a liquidation with all the capital it takes would, tick by tick", function () {
    for (const fall of [0n, 600n, 1_500n, 2_500n, 4_000n]) {
      const sweep = sweepUnder(book, fall, market, RISK);
      const high = bookPrice(fall);
      const low = (((market.priceLow * (BPS - fall)) / BPS) * BORROW_INDEX_ONE) / market.borrowIndex;
      const t = saleTerms(high, low, RISK, 25);
      let [repaid, sold, seizedDebt, seizedCollateral] = [0n, 0n, 0n, 0n];
      for (const { tick, debt } of book.filter((each) => each.tick >= t.triggerTick)) {
        const ratio = ratioOf(tick, 25);
        if (isInsolvent(ratio, high, RISK.bonusMin)) {
          seizedDebt += debt;
          seizedCollateral += behindDown(debt, ratio);
        } else {
          const step = move(t, debt, ratio, t.targetRatio, salePrice(t, ratio >> t.shift));
          repaid += debt - step.debt;
          sold += step.seized;
        }
      }
      const tokens = (bookDebt: bigint) => Number(bookDebt) * 1.1e-12;
      near(Number(sweep.repaid), tokens(repaid), 2);
      near(Number(sweep.seizedDebt), tokens(seizedDebt), 2);
      expect([sweep.sold, sweep.seizedCollateral]).to.deep.equal([sold, seizedCollateral]);
      const proceeds = (Number(seizedCollateral) * 1_990 * (1 - Number(fall) / 1e4)) / 1.015 / 1e12;
      near(Number(sweep.badDebt), Math.max(0, tokens(seizedDebt) - proceeds), 1_000);
    }
    expect(sweepUnder(book, 0n, market, RISK).repaid).to.equal(0n);
    expect(sweepUnder(book, 4_000n, market, RISK).badDebt > 0n).to.equal(true);
  });

  it("finds the smallest fall that costs more than the cover", function () {
    for (const cover of [0n, 10n ** 9n, 10n ** 12n]) {
      const fall = reverseStress(book, cover, market, RISK)!;
      expect(sweepUnder(book, fall, market, RISK).badDebt > cover).to.equal(true);
      expect(sweepUnder(book, fall - 1n, market, RISK).badDebt > cover).to.equal(false);
    }
    // LTV 81 % of the lower price, and a bonus of 1.5 %, that is about 19 %.
    expect(Number(reverseStress(book, 0n, market, RISK))).to.be.within(1_700, 2_000);
    expect(reverseStress(book, 10n ** 30n, market, RISK)).to.equal(undefined);
    expect(reverseStress([], 0n, market, RISK)).to.equal(undefined);
  });

  it("says what the largest owe of all", function () {
    const amounts = [1n, 5n, 2n, 2n];
    expect([1, 2, 10].map((count) => concentration(amounts, count))).to.deep.equal([5_000n, 7_000n, 10_000n]);
    expect(concentration([], 1)).to.equal(0n);
  });
});

function percentOf(bps: bigint): string {
  return String(bps / 100n);
}
