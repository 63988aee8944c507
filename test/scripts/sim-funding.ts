import { expect } from "chai";
import { readFileSync } from "node:fs";

import { drawFunding } from "../../scripts/funding/picture.ts";
import { BEHAVIOUR, simulate } from "../../scripts/funding/simulate.ts";
import { CHOSEN, generatedSeries, realSeries, seriesTable, termsOf } from "../../scripts/sim-funding.ts";
import { withPart } from "../../scripts/page.ts";

/** As prettier leaves them. */
const squeezed = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");

describe("sim:funding", function () {
  this.timeout(60_000);
  const series = generatedSeries();
  const prices = series[0]![1].slice(0, 24 * 90);
  const withRate = (maxRate: number, behaviour = BEHAVIOUR) =>
    simulate(prices, termsOf({ ...CHOSEN, maxRate }), behaviour);

  it("has the table of made-up prices that docs/funding.md shows", () => {
    const page = readFileSync("docs/funding.md", "utf8");
    const expected = withPart(page, "generated", seriesTable(series));
    expect(squeezed(page), "npm run sim:funding -- --docs").to.equal(squeezed(expected));
    expect(withPart(page, "generated", "other")).to.not.equal(page);
  });

  it("brings the book nearer to balance the more it may charge", () => {
    const none = withRate(0).outcome;
    const some = withRate(30).outcome;
    const much = withRate(100).outcome;
    expect(some.meanImbalance).to.be.lessThan(none.meanImbalance - 2);
    expect(much.meanImbalance).to.be.lessThan(some.meanImbalance - 2);
    expect(none.surchargeLong + none.surchargeShort).to.equal(0);
    expect(some.surchargeLong).to.be.greaterThan(0);
    expect(Math.max(some.surchargeLong, some.surchargeShort)).to.be.lessThan(30);
    expect(much.jump).to.be.greaterThan(some.jump);
  });

  it("changes nothing for traders who ignore what it costs, but their bill", () => {
    const careless = { ...BEHAVIOUR, costWeight: 0 };
    const [none, some] = [withRate(0, careless).outcome, withRate(30, careless).outcome];
    expect(some.meanImbalance).to.equal(none.meanImbalance);
    expect(some.long).to.equal(none.long);
    expect(some.surchargeLong).to.be.greaterThan(0);
  });

  it("gives the same figures for the same seed, and a picture of finite numbers", () => {
    const [first, again] = [withRate(30), withRate(30)];
    expect(first.outcome).to.deep.equal(again.outcome);
    const other = simulate(prices, termsOf(CHOSEN), BEHAVIOUR, 2).outcome;
    expect(other.meanImbalance).to.not.equal(first.outcome.meanImbalance);
    const svg = drawFunding({
      title: "a < b",
      subtitle: "",
      figures: [{ label: "x", value: "y" }],
      note: "",
      deadBand: 0.05,
      without: withRate(0).hours,
      with: first.hours,
    });
    expect(svg).to.include("a &lt; b");
    expect(svg).to.not.match(/NaN|Infinity|undefined/);
  });

  it("does without real prices where there are none", () => {
    expect(realSeries("no/such/folder")).to.deep.equal([]);
  });
});
