import { expect } from "chai";

import { isoTime } from "../../scripts/drill/path.ts";
import {
  bootstrap,
  fitJumpDiffusion,
  generatedPrices,
  HistoryError,
  jumpDiffusion,
  loadPrices,
  marketReturns,
  pricesOf,
  random,
  returnsOf,
  spanOf,
  splitAt,
} from "../../scripts/risk/paths.ts";
import { near } from "../support/near.ts";

const START = Date.UTC(2020, 2, 1) / 1_000;
const HOUR = 3_600;

/** Hourly candles as a file holds them: each opens at its price, dips by 1 %, and closes at the next one's price. */
function csv(prices: number[], skip: number[] = []): string {
  const rows = prices.slice(0, -1).flatMap((open, hour) => {
    if (skip.includes(hour)) return [];
    const close = prices[hour + 1]!;
    const [high, low] = [Math.max(open, close), Math.min(open, close) * 0.99];
    return [`${isoTime(START + hour * HOUR)},${[open, high, low, close].map((p) => p.toFixed(2)).join(",")}`];
  });
  return ["timestamp,open,high,low,close", ...rows].join("\n");
}

const waves = Array.from({ length: 401 }, (_, hour) => 1_000 + 100 * Math.sin(hour / 10));

describe("risk: price histories", function () {
  it("walks candles to four returns an hour, which add up to the way from the first price to the last", function () {
    const returns = returnsOf(pricesOf(csv(waves), "p.csv"));
    expect(returns).to.have.lengthOf(1);
    expect(returns[0]).to.have.lengthOf(1_600);
    const sum = returns[0]!.reduce((total, r) => total + r, 0);
    near(sum, Math.log(waves[400]! / 1_000), 1e-4);
  });

  it("breaks at gaps, of any length, and lets no return bridge one", function () {
    const missing = [100, 101, ...Array.from({ length: 40 }, (_, i) => 200 + i)];
    const history = pricesOf(csv(waves, missing), "p.csv");
    expect(history.gaps.map(({ seconds }) => seconds / HOUR)).to.deep.equal([2, 40]);
    const returns = returnsOf(history);
    expect(returns.map((run) => run.length)).to.deep.equal([400, 98 * 4, 160 * 4]);
    expect([returns[1]![0], returns[2]![0]]).to.deep.equal([0, 0]);
  });

  it("leaves out a listing's first price and a spike that comes and goes within an hour, and says so", function () {
    const rows = csv(waves).split("\n");
    rows[1] = `${isoTime(START)},2000,2000,990,1000`;
    rows[50] = rows[50]!.replace(/^([^,]+,[^,]+,[^,]+),[^,]+/, "$1,300.00");
    const history = pricesOf(rows.join("\n"), "p.csv");
    expect(history.odd).to.deep.equal([
      "2020-03-01T00:00:00Z: left out, a listing's first price",
      "2020-03-03T01:00:00Z: low 300.00 left out",
    ]);
    expect(Math.min(...returnsOf(history)[0]!)).to.be.above(-0.05);
    expect(spanOf(history)).to.deep.include({ from: "2020-03-01T01:00:00Z", to: "2020-03-17T16:00:00Z" });
  });

  it("keeps a fall that stays", function () {
    const fallen = waves.map((price, hour) => (hour > 200 ? price / 2 : price));
    const history = pricesOf(csv(fallen), "p.csv");
    expect(history.odd).to.deep.equal([]);
    expect(Math.min(...returnsOf(history)[0]!)).to.be.below(-0.6);
  });

  it("refuses a history that says nothing of tails, an unreadable file, and two tokens of which neither is a dollar", function () {
    expect(() => pricesOf(csv(waves.slice(0, 100)), "p.csv")).to.throw(
      HistoryError,
      "p.csv: 99 candles; at least 336 are needed to say anything of risk",
    );
    expect(() => loadPrices("WETH", "nowhere.csv")).to.throw(HistoryError, "nowhere.csv: ENOENT");
    expect(() => marketReturns({ collateral: "WBTC", debt: "WETH" })).to.throw(
      HistoryError,
      "WBTC/WETH: one of the two must be a dollar",
    );
  });

  it("turns the returns round for a market whose debt is the asset", function () {
    // An asset without a file: the generated history.
    const long = marketReturns({ collateral: "XYZ", debt: "USDC" });
    const short = marketReturns({ collateral: "USDC", debt: "XYZ" });
    expect(long.history.generated).to.equal(true);
    expect(short.returns[0]!.slice(0, 50)).to.deep.equal(long.returns[0]!.slice(0, 50).map((r) => -r));
  });

  it("splits without losing or sharing a candle", function () {
    const history = generatedPrices();
    const [fit, unseen] = splitAt(history, 0.7);
    expect(fit.candles.length + unseen.candles.length).to.equal(history.candles.length);
    expect(unseen.candles[0]!.time).to.equal(fit.candles.at(-1)!.time + HOUR);
  });
});

describe("risk: price paths", function () {
  const returns = returnsOf(generatedPrices());
  const model = fitJumpDiffusion(returns);
  const STEPS = 96;
  const draw = (sample: ReturnType<typeof bootstrap>, count: number, seed = 1) => {
    const next = random(seed);
    return Array.from({ length: count }, () => {
      const out = new Float64Array(STEPS);
      sample(next, out);
      return out;
    });
  };
  const ends = (paths: Float64Array[]) => paths.map((path) => path[STEPS - 1]!);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

  it("are the same for the same seed, and others for another", function () {
    for (const sample of [bootstrap(returns), jumpDiffusion(model)]) {
      expect(draw(sample, 3)).to.deep.equal(draw(sample, 3));
      expect(draw(sample, 3)).to.not.deep.equal(draw(sample, 3, 2));
    }
  });

  it("a fit recovers the model that made the returns", function () {
    const truth = { deviation: 0.004, jumps: 0.002, jumpMean: -0.03, jumpDeviation: 0.05 };
    const next = random(7);
    const made = new Float64Array(400_000);
    jumpDiffusion(truth)(next, made);
    const fit = fitJumpDiffusion([made.map((log, at) => log - (made[at - 1] ?? 0))]);
    near(fit.deviation, truth.deviation, 0.0002);
    // Small jumps hide in the noise, so fewer and larger ones are found.
    expect(fit.jumps).to.be.within(0.5 * truth.jumps, truth.jumps);
    near(
      fit.jumps * (fit.jumpMean ** 2 + fit.jumpDeviation ** 2),
      truth.jumps * (truth.jumpMean ** 2 + truth.jumpDeviation ** 2),
      6e-7,
    );
  });

  it("do not drift, and spread as the model says", function () {
    const at = ends(draw(jumpDiffusion(model), 4_000));
    const { deviation, jumps, jumpMean, jumpDeviation } = model;
    const variance = STEPS * (deviation ** 2 + jumps * (jumpMean ** 2 + jumpDeviation ** 2));
    near(mean(at), 0, 4 * Math.sqrt(variance / 4_000));
    expect(mean(at.map((end) => end ** 2)) / variance).to.be.within(0.85, 1.15);
    near(mean(ends(draw(bootstrap(returns), 4_000))), 0, 0.004);
  });

  it("a bootstrap follows a return with what followed it, but for the ends of blocks and runs", function () {
    // Each return tells its place; the runs are 600 and 400 steps.
    const place = Float64Array.from({ length: 1_000 }, (_, at) => at);
    const drift = 499.5;
    const sample = bootstrap([place.slice(0, 600), place.slice(600)], 6);
    let [steps, breaks, crossed] = [0, 0, 0];
    for (const path of draw(sample, 500)) {
      const places = [...path].map((log, at) => Math.round(log - (path[at - 1] ?? 0) + drift));
      for (let at = 1; at < STEPS; at++) {
        steps++;
        if (places[at] !== places[at - 1]! + 1) breaks++;
        if (places[at] === 600 && places[at - 1] === 599) crossed++;
      }
    }
    // Blocks of 24 steps on average; a run's end ends one too. 1 in 24,000 lands there by chance.
    expect(breaks / steps).to.be.within(1 / 26, 1 / 21);
    expect(crossed).to.be.at.most(2);
  });
});
