import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";

import { readParameters } from "../../deploy/parameters.ts";
import { planPositions } from "../../scripts/drill/book.ts";
import { builtInPath } from "../../scripts/drill/path.ts";
import { calibrate, type Options, termsOf, withCalibrations } from "../../scripts/risk/calibration.ts";
import {
  calibrationText,
  deskCommands,
  picture,
  roomTable,
  withTables,
} from "../../scripts/risk/calibration-text.ts";
import {
  type Assumptions,
  daysOf,
  drawnDays,
  fitLoss,
  frontier,
  hourlyFall,
  search,
  type Setup,
  termsAt,
} from "../../scripts/risk/calibrate.ts";
import { bookOf, poolOf, sellable, simulate } from "../../scripts/risk/market.ts";
import { generatedPrices, jumpDiffusion } from "../../scripts/risk/paths.ts";
import { brokenRule, positionOf } from "../../sdk/src/core.ts";
import { near } from "../support/near.ts";

const parameters = readParameters("local");
const deployed = termsOf(parameters.markets[0]!);
const BOUNDLESS = poolOf([{ value: 1e15, down: 0, up: Infinity }], 0, 1);
const POOL = poolOf([{ value: 25e6, down: 0, up: Infinity }], 0.0005, 1);

const directory = mkdtempSync(join(tmpdir(), "breakwater-calibration-"));

/** Forty days are enough to see that it works, and quick. */
function prices(): string {
  const file = join(directory, "generated.csv");
  const rows = generatedPrices()
    .candles.slice(0, 40 * 24)
    .map(({ time, open, high, low, close }) =>
      [time, ...[open, high, low, close].map((price) => (Number(price) / 1e8).toFixed(4))].join(","),
    );
  writeFileSync(file, ["timestamp,open,high,low,close", ...rows].join("\n"));
  return file;
}

const OPTIONS: Options = {
  prices: prices(),
  cap: 5e6,
  parameters: "local",
  fit: "both",
  share: 0.6,
  epsilon: 50,
  confidence: 95,
  patience: 99,
  clear: 4,
  spread: "drill",
  delay: 0,
  refills: 15,
  keepSpacing: false,
  paths: 100,
};
const SHAPES = [
  { bonusMin: 100n, bonusMax: 500n, slope: 5_000n, targetGap: 200n },
  { bonusMin: 200n, bonusMax: 800n, slope: 5_000n, targetGap: 200n },
];

describe("a market walked through a path", () => {
  const { start, steps } = builtInPath();
  const prices = steps.map(({ price }) => Number(price) / Number(start.price));
  const book = new Map<number, bigint>();
  for (const { collateral, debt } of planPositions(2_000, 1, start.price)) {
    const [units, owed] = [(collateral * start.price) / 10n ** 8n, debt * 10n ** 12n];
    const { tick } = positionOf(owed, units, deployed.spacing);
    book.set(tick, (book.get(tick) ?? 0n) + owed);
  }

  it("gives what the drill's contracts gave, where a keeper has as much capital as it takes", () => {
    const outcome = simulate({ terms: deployed, book, pool: BOUNDLESS, delay: 0 }, prices);
    // docs/drill.md, the built-in path.
    near(outcome.sold, 42.7e6, 0.1e6);
    near(outcome.seized, 2.9e6, 0.05e6);
    near(outcome.badDebt, 64.8e3, 0.2e3);
    expect(outcome.underWater).to.equal(0);
  });

  it("loses more where the pool is thin, and where keepers are late", () => {
    const at = (pool: typeof POOL, delay: number) => simulate({ terms: deployed, book, pool, delay }, prices);
    expect(at(POOL, 0).badDebt).to.be.greaterThan(10 * at(BOUNDLESS, 0).badDebt);
    expect(at(POOL, 0).underWater).to.be.greaterThan(4);
    expect(at(BOUNDLESS, 4).badDebt).to.be.greaterThan(at(BOUNDLESS, 0).badDebt);
    expect(at(BOUNDLESS, 4).underWater).to.be.at.least(4);
  });

  it("touches nobody while the price stands, and takes nothing from those that are solvent", () => {
    const still = new Float64Array(96).fill(1);
    const setting = { terms: deployed, book: bookOf("edge", deployed, 1e6), pool: POOL, delay: 0 };
    expect(simulate(setting, still)).to.deep.equal({
      sold: 0,
      seized: 0,
      penalty: 0,
      badDebt: 0,
      underWater: 0,
    });
    const fall = simulate(setting, [0.95, 0.93]);
    expect(fall.sold).to.be.greaterThan(0);
    expect([fall.seized, fall.badDebt]).to.deep.equal([0, 0]);
    // The bonus at the threshold is the least.
    expect(fall.penalty / fall.sold).to.be.within(0.015, 0.03);
  });

  it("fills a book to its cap, and nobody beyond the max LTV", () => {
    for (const spread of ["drill", "edge"] as const) {
      const borrowers = bookOf(spread, deployed, 3e6);
      const debt = [...borrowers.values()].reduce((sum, each) => sum + each, 0n);
      near(Number(debt) / 1e18, 3e6, 1);
      const ltvs = [...borrowers.keys()].map((tick) => 1.0001 ** (tick * deployed.spacing));
      expect(Math.max(...ltvs)).to.be.within(0.81, 0.82);
      const [least, most] = spread === "edge" ? [0.79, 0.82] : [0.1, 0.3];
      expect(Math.min(...ltvs)).to.be.within(least, most);
    }
  });

  it("sells into a pool until the last of it brings the price that is asked", () => {
    // x · y = k with 12.5M on each side at a price of 1.
    const amount = sellable(POOL, 1, 0.97);
    const price = 12.5e6 ** 2 / (12.5e6 + amount) ** 2;
    near(price * (1 - POOL.fee), 0.97, 1e-9);
    expect(sellable(POOL, 1, 1)).to.equal(0);
    const ranged = poolOf([{ value: 1e6, down: 0.9, up: 1.1 }], 0, 1);
    expect(sellable(ranged, 1, 0.5)).to.equal(sellable(ranged, 1, 0.9));
    expect(sellable(ranged, 0.8, 0.5)).to.equal(0);
    expect(sellable({ ...ranged, refills: 3 }, 1, 0.95)).to.equal(3 * sellable(ranged, 1, 0.95));
  });
});

describe("a calibration", function () {
  this.timeout(120_000);
  after(() => rmSync(directory, { recursive: true }));

  /** Wild enough that two of the blocks that are drawn together tell something. */
  const wild = jumpDiffusion({ deviation: 0.006, jumps: 0.004, jumpMean: -0.02, jumpDeviation: 0.09 });
  const days = drawnDays(wild, 84 * 2);
  const assumptions: Assumptions = { spread: "drill", delay: 0, pool: POOL };
  const setup = (epsilon: number): Setup => ({
    band: 300n,
    assumptions,
    goal: { epsilon, confidence: 0.95, patience: 0.99, clearHours: 4 },
    fit: [days],
    hourlyFall: 0.05,
    spacings: [25, 20, 15, 10, 5],
  });

  it("finds the highest threshold that keeps the bound, within the contract's rules", () => {
    const [strict, loose] = [0.02, 0.2].map((epsilon) => ({
      epsilon,
      choice: search(5e6, setup(epsilon), SHAPES)!,
    }));
    for (const { epsilon, choice } of [strict!, loose!]) {
      const { terms, shape, loss } = choice;
      expect(brokenRule(terms, terms.spacing, 300n)).to.equal(undefined);
      expect(loss.bound).to.be.within(loss.mean, epsilon);
      const above = termsAt(terms.liquidationThreshold + 50n, shape, setup(epsilon))!;
      expect(fitLoss(above, 5e6, setup(epsilon)).bound).to.be.greaterThan(epsilon);
    }
    expect(loose!.choice.terms.maxLtv > strict!.choice.terms.maxLtv).to.equal(true);
    expect(search(5e6, setup(-1), SHAPES), "nothing keeps less than nothing").to.equal(undefined);
  });

  it("draws a frontier along which loss rises with leverage", () => {
    const points = frontier(SHAPES[0]!, [5e6], [6_500n, 7_000n, 7_500n, 8_000n, 8_500n, 9_000n], setup(0.02));
    expect(points).to.have.length(6);
    points.slice(1).forEach((point, at) => {
      expect(point.terms.maxLtv > points[at]!.terms.maxLtv).to.equal(true);
      expect(point.loss.mean).to.be.at.least(points[at]!.loss.mean);
    });
    expect(points.at(-1)!.loss.mean).to.be.greaterThan(points[0]!.loss.mean);
  });

  it("leaves the distance of an hour's fall between max LTV and threshold", () => {
    const quiet = new Float64Array(4 * 1_000);
    for (let hour = 0; hour < 1_000; hour++) quiet[4 * hour + 1] = hour < 15 ? -0.1 : -0.01;
    near(hourlyFall([quiet], 0.99), 1 - Math.exp(-0.1), 1e-12);
    near(hourlyFall([quiet], 0.9), 1 - Math.exp(-0.01), 1e-12);
    expect(daysOf([quiet.slice(0, 95)]).prices, "less than a day").to.have.length(0);
  });

  it("writes parameters that the deployment reads, the same each time, and names the desk's commands", () => {
    const result = calibrate(parameters, "weth-usdc", OPTIONS, SHAPES);
    expect(result.prices.name).to.equal("generated.csv");
    const { terms } = result.chosen.choice;
    expect(result.fits.map(({ part }) => part)).to.deep.equal(["first", "last"]);
    for (const { choice } of result.fits) expect(choice!.terms.maxLtv >= terms.maxLtv).to.equal(true);

    const file = join(directory, "parameters.json");
    writeFileSync(file, JSON.stringify(withCalibrations(parameters, [result])));
    const read = readParameters(file);
    const [market, ...rest] = read.markets;
    expect(termsOf(market!)).to.deep.equal(terms);
    expect(Number(market!.caps.debt)).to.equal(result.chosen.cap);
    expect(rest).to.deep.equal(parameters.markets.slice(1));

    expect(deskCommands(result, file)[0]).to.match(
      /propose (start-ramp|set-risk) --market weth-usdc --parameters/,
    );
    expect(calibrationText(result))
      .to.match(/generated.csv; first part 2024-01-01/)
      .and.to.match(/on days that it has not seen it/);
    expect(picture(result)).to.not.match(/NaN|Infinity|undefined/);
    const page = withTables(readFileSync("docs/calibration.md", "utf8"), result);
    expect(page).to.include(roomTable(result));
    expect(page).to.match(/\n## The goal\n/);
  });

  it("calibrates the mirrored market on the same prices turned round", () => {
    const result = calibrate(
      parameters,
      "usdc-weth",
      { ...OPTIONS, cap: 2_500, fit: "last", keepSpacing: true },
      SHAPES.slice(1),
    );
    expect(result.chosen.choice.terms.spacing).to.equal(25);
    // 25 million dollars of depth are 12,500 WETH of value; of it what moves the price by 2 %.
    expect(result.depth).to.be.within(150, 250);
    expect(result.collateralCap).to.be.greaterThan(1_000 * result.chosen.cap);
  });

  it("says what it cannot do", () => {
    const refused = (words: RegExp, id: string, options: Partial<Options>, of = parameters) =>
      expect(() => calibrate(of, id, { ...OPTIONS, ...options }, SHAPES)).to.throw(words);
    refused(/no market moon-usdc; there are weth-usdc, usdc-weth, wbtc-usdc/, "moon-usdc", {});
    refused(/no\/such\.csv/, "weth-usdc", { prices: "no/such.csv" });
    const pools = structuredClone(parameters.pools);
    pools["WETH/USDC"]!.liquidity = [];
    refused(/say how much there is with --depth/, "weth-usdc", {}, { ...parameters, pools });
  });
});
