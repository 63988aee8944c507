import { expect } from "chai";

import {
  accrueFunding,
  advanceSkew,
  forecastFunding,
  imbalanceOf,
  fundedInterest,
  NOTHING_DUE,
  Q128,
  surchargeOf,
  targetSkew,
  valueOfDebt,
  WAD,
  YEAR,
  type FundingState,
  type FundingTerms,
} from "@breakwater/sdk/core";

import { random } from "../../scripts/drill/book.ts";

const HOUR = 3_600n;
const TERMS: FundingTerms = {
  maxRate: (WAD * 30n) / 100n / YEAR,
  deadBand: WAD / 20n,
  halfLife: 12n * HOUR,
  insuranceShare: 50n,
  sparedShare: 50n,
  floor: valueOfDebt(1_000_000n * WAD),
};
const PAIR: FundingState = {
  valueLong: valueOfDebt(9_000_000n * WAD),
  valueShort: valueOfDebt(1_500n * WAD, 2_000n * Q128),
  skew: 0n,
  updatedAt: 1_000n,
  long: NOTHING_DUE,
  short: NOTHING_DUE,
};

describe("SDK: funding", () => {
  it("heads for the imbalance beyond the dead band, measured against a floor", () => {
    expect(imbalanceOf(PAIR, TERMS.floor)).to.equal(WAD / 2n);
    expect(targetSkew(PAIR, TERMS)).to.equal((WAD * 45n) / 95n);
    const mirrored = { ...PAIR, valueLong: PAIR.valueShort, valueShort: PAIR.valueLong };
    expect(targetSkew(mirrored, TERMS)).to.equal((-WAD * 45n) / 95n);
    const within = { ...PAIR, valueLong: valueOfDebt(3_300_000n * WAD) };
    expect(targetSkew(within, TERMS)).to.equal(0n);
    expect(targetSkew({ ...PAIR, valueShort: 0n }, TERMS), "one side only").to.equal(WAD);
    const tiny = { ...PAIR, valueLong: valueOfDebt(100_000n * WAD), valueShort: 0n };
    expect(imbalanceOf(tiny, TERMS.floor), "a tenth of the floor").to.equal(WAD / 10n);
    expect(valueOfDebt(1n << 128n), "does not fit").to.equal((1n << 80n) - 1n);
  });

  it("goes half of its way in a half-life", () => {
    for (const [skew, target] of [
      [0n, WAD],
      [WAD, -WAD],
      [-WAD / 2n, 0n],
    ] as const) {
      const { skew: end } = advanceSkew(skew, target, TERMS.halfLife, TERMS.halfLife);
      expect(Number(end - (skew + target) / 2n)).to.be.closeTo(0, 2);
    }
    expect(advanceSkew(WAD, -WAD, TERMS.halfLife, 10n * YEAR).skew).to.equal(-WAD);
  });

  it("charges the area under the path to whoever was heavy", () => {
    const next = random(1);
    const skewOf = () => BigInt(Math.round((next() * 2 - 1) * 1e18));
    let crossings = 0;
    for (let round = 0; round < 300; round++) {
      const [skew, target] = [skewOf(), round % 7 === 0 ? 0n : skewOf()];
      const elapsed = BigInt(Math.floor(next() ** 3 * 400_000));
      const { long, short, skew: end } = advanceSkew(skew, target, TERMS.halfLife, elapsed);
      if (skew < 0n !== end < 0n && end !== 0n) crossings++;
      const area = areaOf(
        Number(skew) / 1e18,
        Number(target) / 1e18,
        Number(TERMS.halfLife),
        Number(elapsed),
      );
      expect(Math.abs(Number(long) / 1e18 - area.long) <= 0.01 + area.long * 1e-5, "long").to.be.true;
      expect(Math.abs(Number(short) / 1e18 - area.short) <= 0.01 + area.short * 1e-5, "short").to.be.true;
      expect(long >= 0n && short >= 0n).to.be.true;
    }
    expect(crossings).to.be.greaterThan(30);
  });

  it("charges the same however often it is poked (F1)", () => {
    const next = random(2);
    for (let round = 0; round < 20; round++) {
      const start = { ...PAIR, skew: BigInt(Math.round((next() * 2 - 1) * 1e18)) };
      const state = round % 2 === 0 ? start : { ...start, valueLong: valueOfDebt(500_000n * WAD) };
      const end = state.updatedAt + BigInt(Math.floor(next() * 500_000));
      const once = accrueFunding(state, TERMS, end);
      let poked = state;
      const pokes = 200;
      for (let i = 0; i < pokes; i++) {
        const left = end - poked.updatedAt;
        poked = accrueFunding(
          poked,
          TERMS,
          poked.updatedAt + BigInt(Math.floor(next() * Number(left) * 0.05)),
        );
      }
      poked = accrueFunding(poked, TERMS, end);
      // Each poke drops less than a billionth of a second, and rounds the skew by two units at most.
      for (const side of ["long", "short"] as const) {
        for (const key of ["charged", "spared"] as const) {
          expect(Number(poked[side][key] - once[side][key])).to.be.closeTo(0, pokes + 10);
        }
      }
      expect(Number(poked.skew - once.skew)).to.be.closeTo(0, 2 * pokes);
    }
  });

  it("stays within its bounds (F2)", () => {
    const next = random(3);
    let state = PAIR;
    for (let round = 0; round < 500; round++) {
      const before = state;
      state = accrueFunding(state, TERMS, state.updatedAt + BigInt(Math.floor(next() ** 4 * 1e6)));
      const target = targetSkew(before, TERMS);
      const [least, most] = before.skew < target ? [before.skew, target] : [target, before.skew];
      expect(state.skew >= least && state.skew <= most, "between what it was and its target").to.be.true;
      expect(state.skew >= -WAD && state.skew <= WAD).to.be.true;
      const elapsed = (state.updatedAt - before.updatedAt) * 10n ** 9n;
      expect(state.long.charged + state.short.charged <= elapsed, "at most full rate").to.be.true;
      state = {
        ...state,
        valueLong: BigInt(Math.floor(next() ** 2 * 1e13)),
        valueShort: BigInt(Math.floor(next() ** 2 * 1e13)),
        long: NOTHING_DUE,
        short: NOTHING_DUE,
      };
    }
  });

  it("forecasts what is then charged", () => {
    const long = { utilization: (WAD * 95n) / 100n, rateAtTarget: 1_268_391_679n, reserveFactor: 10n };
    const short = { utilization: (WAD * 60n) / 100n, rateAtTarget: 600_000_000n, reserveFactor: 10n };
    const state = { ...PAIR, skew: -WAD / 4n };
    const now = state.updatedAt + 500n;
    const hours = forecastFunding(state, TERMS, long, short, now);
    expect(hours).to.have.length(24);
    expect(hours.at(-1)!.time).to.equal(now + 24n * HOUR);

    const atNow = accrueFunding(state, TERMS, now);
    const after = accrueFunding(atNow, TERMS, now + 24n * HOUR);
    expect(Number(after.skew - hours.at(-1)!.skew)).to.be.closeTo(0, 48);
    const charged = surchargeOf(after.long, TERMS) - surchargeOf(atNow.long, TERMS);
    const forecast = hours.reduce((sum, hour) => sum + hour.long.surcharge * HOUR, 0n);
    expect(Number(charged - forecast)).to.be.closeTo(0, 24 * 3_600);

    const [first, last] = [hours[0]!, hours.at(-1)!];
    expect(first.short.surcharge > 0n && first.long.relief > 0n, "shorts are heavy at first").to.be.true;
    expect(last.long.surcharge > 0n && last.short.relief > 0n, "then longs").to.be.true;
    expect(last.short.surcharge === 0n && last.long.relief === 0n).to.be.true;
    expect(last.long.base > first.long.base, "above the target utilization the base rate rises").to.be.true;
    for (const { long: l, short: s } of hours) {
      expect(Number(l.borrow - (l.base + l.surcharge - l.relief))).to.be.closeTo(0, 1);
      expect(Number(s.borrow - (s.base + s.surcharge - s.relief))).to.be.closeTo(0, 1);
    }
  });

  it("charges the heavy side and spares the light side part of the reserve fee, never more than the fee", () => {
    const day = 24n * HOUR;
    const base = ((WAD * 5n) / 100n / YEAR) * day;
    const fee = base / 10n;
    const due = (charged: bigint, spared: bigint) => ({
      charged: charged * 10n ** 9n,
      spared: spared * 10n ** 9n,
    });
    const interest = (d: ReturnType<typeof due>, terms = TERMS) => fundedInterest(base, day, 10n, d, terms);

    const light = interest(due(0n, day));
    expect(light).to.deep.equal({
      exponent: base - fee / 2n,
      surcharge: 0n,
      relief: fee / 2n,
      cut: ((fee - fee / 2n) * WAD) / (base - fee / 2n),
    });
    const all = interest(due(0n, 2n * day), { ...TERMS, sparedShare: 100n });
    expect([all.relief, all.cut]).to.deep.equal([fee, 0n]);

    const heavy = interest(due(day, 0n));
    const surcharge = TERMS.maxRate * day;
    expect([heavy.exponent, heavy.surcharge, heavy.relief]).to.deep.equal([base + surcharge, surcharge, 0n]);
    expect(heavy.cut).to.equal(((fee + surcharge / 2n) * WAD) / (base + surcharge));
    expect(fundedInterest(0n, 0n, 10n, NOTHING_DUE, TERMS).cut).to.equal(0n);
  });
});

/** The integral of the path above and below zero, by the midpoint rule. */
function areaOf(
  skew: number,
  target: number,
  halfLife: number,
  elapsed: number,
): { long: number; short: number } {
  const steps = 4_000;
  let [long, short] = [0, 0];
  for (let i = 0; i < steps; i++) {
    const time = ((i + 0.5) * elapsed) / steps;
    const value = target + (skew - target) * 0.5 ** (time / halfLife);
    if (value > 0) long += (value * elapsed) / steps;
    else short -= (value * elapsed) / steps;
  }
  return { long, short };
}
