import { spawnSync } from "node:child_process";

import { expect } from "chai";

import { planPositions } from "../../scripts/drill/book.ts";
import {
  builtInPath,
  parseCandles,
  pathOf,
  PriceFileError,
  STEP_SECONDS,
  type PriceFileErrorName,
} from "../../scripts/drill/path.ts";
import { MIN_BLOCK_GAS } from "../../scripts/drill/market.ts";
import { dollars, drawPicture, type Point } from "../../scripts/drill/picture.ts";
import {
  failuresOf,
  toJson,
  toPicture,
  toTable,
  totalsOf,
  type DrillResult,
} from "../../scripts/drill/result.ts";
import { emptyRecord, runDrill } from "../../scripts/drill/run.ts";

const HEADER = "timestamp,open,high,low,close";
const dollar = (amount: number) => BigInt(Math.round(amount * 100)) * 1_000_000n;

describe("drill: price files", function () {
  const garbage: [what: string, rows: string[], name: PriceFileErrorName, message: string][] = [
    ["an empty file", [], "EmptyPriceFile", "p.csv:1: the file is empty"],
    ["blank lines only", ["", "  "], "EmptyPriceFile", "p.csv:1: the file is empty"],
    ["a header alone", [HEADER], "EmptyPriceFile", "p.csv:1: no candle follows the header"],
    [
      "a missing column",
      ["timestamp,open,high,close", "2020-03-11T00:00:00Z,1,1,1"],
      "MissingColumn",
      'p.csv:1: column low is missing; the header is "timestamp,open,high,close"',
    ],
    [
      "a missing value",
      [HEADER, "2020-03-11T00:00:00Z,1,2,1"],
      "MissingValue",
      "p.csv:2: close has no value",
    ],
    [
      "a price that is no number",
      [HEADER, "2020-03-11T00:00:00Z,1,2,1,1", "", "2020-03-11T01:00:00Z,1,n/a,1,1"],
      "InvalidPrice",
      'p.csv:4: high "n/a" is not a decimal number',
    ],
    [
      "a price in scientific notation",
      [HEADER, "2020-03-11T00:00:00Z,1e3,2,1,1"],
      "InvalidPrice",
      'p.csv:2: open "1e3" is not a decimal number',
    ],
    [
      "a price of zero",
      [HEADER, "2020-03-11T00:00:00Z,1,2,0.000000001,1"],
      "PriceNotPositive",
      "p.csv:2: low 0.000000001 is not above zero",
    ],
    [
      "a negative price",
      [HEADER, "2020-03-11T00:00:00Z,1,2,-1,1"],
      "PriceNotPositive",
      "p.csv:2: low -1 is not above zero",
    ],
    [
      "a high below the low",
      [HEADER, "2020-03-11T00:00:00Z,1.5,1,2,1.5"],
      "HighBelowLow",
      "p.csv:2: high 1 is below low 2",
    ],
    [
      "a close outside the range",
      [HEADER, "2020-03-11T00:00:00Z,1.5,2,1,2.5"],
      "PriceOutsideRange",
      "p.csv:2: close 2.5 is outside 1 … 2",
    ],
    [
      "a timestamp that is none",
      [HEADER, "yesterday,1,2,1,1"],
      "InvalidTimestamp",
      'p.csv:2: timestamp "yesterday" is neither ISO 8601 nor seconds since 1970',
    ],
    [
      "a duplicate timestamp",
      [HEADER, "2020-03-11T00:00:00Z,1,2,1,1", "2020-03-11T00:00:00Z,1,2,1,1"],
      "TimestampNotAfter",
      "p.csv:3: timestamp 2020-03-11T00:00:00Z appears twice",
    ],
    [
      "timestamps out of order",
      [HEADER, "2020-03-11T01:00:00Z,1,2,1,1", "2020-03-11T00:00:00Z,1,2,1,1"],
      "TimestampNotAfter",
      "p.csv:3: timestamp 2020-03-11T00:00:00Z comes after 2020-03-11T01:00:00Z",
    ],
    [
      "candles of less than an hour",
      [HEADER, "2020-03-11T00:00:00Z,1,2,1,1", "2020-03-11T00:05:00Z,1,2,1,1"],
      "UnsupportedInterval",
      "p.csv:3: candles of 300 s: four steps of 900 s must fit, so whole hours only",
    ],
    [
      "an irregular interval",
      [HEADER, "0000000000,1,2,1,1", "0000003600,1,2,1,1", "0000007200,1,2,1,1", "0000012000,1,2,1,1"],
      "IrregularInterval",
      "p.csv:5: 4800 s after the candle before; the interval is 3600 s",
    ],
    [
      "too long a gap",
      [HEADER, "0000000000,1,2,1,1", "0000003600,1,2,1,1", "0000007200,1,2,1,1", "0000100800,1,2,1,1"],
      "GapTooLong",
      "p.csv:5: 25 h without a candle; at most 24 h are stepped over",
    ],
  ];
  for (const [what, rows, name, message] of garbage) {
    it(`refuses ${what}`, function () {
      expect(() => parseCandles(rows.join("\n"), "p.csv"))
        .to.throw(PriceFileError, message)
        .with.property("name", name);
    });
  }

  it("finds columns by name and ignores the others", function () {
    const text = "\uFEFFvolume,Close,low,high,open,Timestamp\r\n9,3.5,1,4,2,2020-03-11 00:00:00\r\n";
    const { candles, interval } = parseCandles(text, "p.csv");
    expect(interval).to.equal(3600);
    expect(candles).to.deep.equal([
      { time: 1583884800, open: dollar(2), high: dollar(4), low: dollar(1), close: dollar(3.5) },
    ]);
  });

  it("reads seconds, milliseconds and ISO timestamps as the same instant", function () {
    for (const time of ["1583884800", "1583884800000", "2020-03-11T00:00:00Z", "2020-03-11T01:00:00+01:00"]) {
      expect(parseCandles(`${HEADER}\n${time},1,2,1,1`, "p.csv").candles[0]?.time).to.equal(1583884800);
    }
  });
});

describe("drill: walking a path", function () {
  const prices = (text: string) => pathOf(`${HEADER}\n${text}`, "p.csv").steps.map(({ price }) => price);

  it("goes to the extreme nearer to the open first, to the high when both are equally near", function () {
    expect(prices("2020-03-11,10,11,5,6")).to.deep.equal([10, 11, 5, 6].map(dollar));
    expect(prices("2020-03-11,10,15,9,14")).to.deep.equal([10, 9, 15, 14].map(dollar));
    expect(prices("2020-03-11,10,12,8,9")).to.deep.equal([10, 12, 8, 9].map(dollar));
  });

  it("takes four steps of 15 minutes for an hourly candle and more for a longer one", function () {
    const hourly = pathOf(`${HEADER}\n2020-03-11T00:00Z,10,11,5,6\n2020-03-11T01:00Z,6,6,6,6`, "p.csv");
    expect(hourly.start).to.deep.equal({ time: 1583884800, seconds: 0, price: dollar(10) });
    expect(hourly.steps).to.have.length(8);
    expect(hourly.steps.every(({ seconds }) => seconds === STEP_SECONDS)).to.be.true;
    const twoHours = prices("2020-03-11T00:00Z,10,12,5,6\n2020-03-11T02:00Z,6,6,6,6").slice(0, 8);
    expect(twoHours).to.deep.equal([10, 10, 11, 12, 8.5, 5, 5.5, 6].map(dollar));
  });

  it("reports a gap and steps over it in one longer step", function () {
    const rows = ["00:00Z,10,10,10,10", "01:00Z,10,10,10,10", "04:00Z,8,8,8,8"];
    const path = pathOf(`${HEADER}\n${rows.map((row) => `2020-03-11T${row}`).join("\n")}`, "p.csv");
    expect(path.gaps).to.deep.equal([{ line: 4, seconds: 7200 }]);
    expect(path.steps).to.have.length(12);
    expect(path.steps[8]).to.deep.equal({
      time: 1583884800 + 4 * 3600 + 900,
      seconds: 7200 + 900,
      price: dollar(8),
    });
  });

  it("falls 54 % within a day on the built-in path", function () {
    const { start, steps } = builtInPath();
    const all = [start, ...steps];
    const high = all.reduce((best, step) => (step.price > best.price ? step : best));
    const low = all.reduce((best, step) => (step.price < best.price ? step : best));
    // Whole numbers: Hardhat's matchers take over closeTo and refuse fractions.
    expect((low.price * 1_000n) / high.price).to.be.within(459n, 461n);
    expect(low.time - high.time)
      .to.be.greaterThan(0)
      .and.at.most(86_400);
    expect(builtInPath(10).steps).to.deep.equal(steps.slice(0, 10));
  });
});

describe("drill: the book", function () {
  const price = dollar(2000);
  const ltv = ({ collateral, debt }: { collateral: bigint; debt: bigint }) =>
    Number(debt) / 1e6 / ((Number(collateral) / 1e18) * 2000);

  it("is the same for the same seed and another for another seed", function () {
    expect(planPositions(50, 7, price)).to.deep.equal(planPositions(50, 7, price));
    expect(planPositions(50, 7, price)).to.not.deep.equal(planPositions(50, 8, price));
    expect(planPositions(80, 7, price).slice(0, 50)).to.deep.equal(planPositions(50, 7, price));
  });

  it("has many positions of little leverage and a few near the maximum", function () {
    const ltvs = planPositions(2000, 1, price).map(ltv);
    const count = (from: number, to: number) => ltvs.filter((x) => x >= from && x < to).length;
    expect(count(1 - 1 / 1.2 - 1e-4, 0.6)).to.be.closeTo(1_200, 80);
    expect(count(0.6, 0.75)).to.be.closeTo(600, 80);
    expect(count(0.75, 0.8151)).to.be.closeTo(200, 60);
  });
});

describe("drill: the picture", function () {
  const point = (time: number, price: number): Point => ({
    time,
    price,
    debt: 1e6,
    sold: 0,
    seized: 0,
    insurance: 0,
    reserves: 0,
    lenders: 0,
    transactions: 0,
  });

  it("draws finite numbers only, even when nothing changes, and escapes its texts", function () {
    for (const points of [[point(0, 5)], [point(0, 5), point(900, 5)], [point(0, 5), point(900, 4)]]) {
      const svg = drawPicture({ title: "a < b", subtitle: "", figures: [], note: "", points });
      expect(svg)
        .to.match(/^<\?xml/)
        .and.to.include("a &lt; b")
        .and.to.not.match(/NaN|Infinity|undefined/);
    }
  });

  it("names amounts in a readable unit", function () {
    expect([0, 93.5, 4321, 45_600, 12_345_678].map((amount) => dollars(amount))).to.deep.equal([
      "$0",
      "$93.50",
      "$4,321",
      "$45.60k",
      "$12.35M",
    ]);
  });
});

describe("drill: the command", function () {
  const drill = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", "scripts/drill.ts", ...args], { encoding: "utf8" });

  it("tells its options", function () {
    const { status, stdout } = drill("--help");
    expect(status).to.equal(0);
    for (const option of ["prices", "positions", "blockgas", "seed", "json", "picture"]) {
      expect(stdout).to.include(`--${option}`);
    }
  });

  for (const [args, message] of [
    [["--positions", "0"], "ArgumentError: --positions 0: a whole number from 1 to "],
    [
      ["--prices", "package.json"],
      "MissingColumn: package.json:1: column timestamp, open, high, low, close is missing",
    ],
  ] as const) {
    it(`refuses ${args.join(" ")} in one line`, function () {
      const { status, stderr } = drill(...args);
      expect(status).to.equal(1);
      expect(stderr.trim().split("\n")).to.have.length(1);
      expect(stderr).to.include(message);
    });
  }
});

describe("drill: a small run", function () {
  /** The built-in path to the end of its third leg, in which ticks become insolvent within a step. */
  const path = builtInPath(80);

  it("clears every step and loses exactly what the reference model loses", async function () {
    const result = await runDrill({ path, positions: 60, seed: 3, blockGas: 36_000_000n }, () => undefined);
    const totals = totalsOf(result.steps);
    expect(failuresOf(result)).to.deep.equal([]);
    expect(result.steps).to.have.length(80);
    expect(totals.stepsNotCleared).to.equal(0);
    expect(totals.maxTransactionsPerStep).to.be.within(1, 3);
    // Through the pool without capital, and out of the pot with it.
    expect(totals.flashRepaid > 0n).to.be.true;
    expect(totals.potPaid > 0n && totals.badDebt > 0n).to.be.true;
    expect(totals.badDebt).to.equal(totals.insurancePaid + totals.reservesPaid + totals.lendersLoss);

    const json = toJson(result) as Record<string, unknown>;
    expect(json).to.include({ steps: 80, positions: 60, stepsNotCleared: 0 });
    for (const name of ["gas", "repaid", "penalty", "badDebt", "insurancePaid", "lendersLoss"]) {
      expect(json[name]).to.match(/^\d+(\.\d{6})?$/);
    }
    expect(json["model"]).to.have.all.keys(
      "badDebt",
      "insurancePaid",
      "lendersLoss",
      "tolerance",
      "ambiguous",
    );
    expect(toTable(result)).to.include("steps not cleared");
    expect(drawPicture(toPicture(result))).to.not.match(/NaN|Infinity|undefined/);
  });

  it("clears every step in the smallest blocks, too", async function () {
    const small = { ...path, steps: path.steps.slice(0, 20) };
    const result = await runDrill(
      { path: small, positions: 60, seed: 3, blockGas: MIN_BLOCK_GAS },
      () => undefined,
    );
    expect(failuresOf(result)).to.deep.equal([]);
    expect(totalsOf(result.steps).transactions).to.be.greaterThan(0);
  });

  it("fails when a step is not cleared, or when losses are not the model's", function () {
    const step = { ...emptyRecord(1583884800, dollar(100)), badDebt: 10n };
    const result: DrillResult = {
      path,
      positions: 1,
      seed: 1,
      blockGas: 1n,
      openedDebt: 1n,
      openedCollateral: 1n,
      steps: [step],
      model: { badDebt: 8n, insurancePaid: 1n, lendersLoss: 0n, tolerance: 1n, ambiguous: 0 },
    };
    expect(failuresOf(result)).to.deep.equal([
      "1 steps were not cleared, the first at 2020-03-11T00:00:00Z",
      "badDebt is 0.000010, the reference model's 0.000008: they differ by more than the tolerance of 0.000001",
    ]);
  });
});
