import { readFileSync } from "node:fs";

import { expect } from "chai";

import { explain, kindTable, slotTable } from "../../bench/explain.ts";
import { gasOf, gasPerTick, isReached, type Result, targetsOf, worsened } from "../../bench/results.ts";
import { format, peerTable, sourceTable, targetTable } from "../../bench/tables.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

const ours = (operation: Result["operation"], gas: number, more: Partial<Result> = {}): Result => ({
  protocol: "breakwater",
  operation,
  priceSource: "slot",
  gas,
  ...more,
});
const morpho = (operation: Result["operation"], gas: number, more: Partial<Result> = {}): Result => ({
  ...ours(operation, gas, more),
  protocol: "morpho-blue",
});
const sweep = (positions: number, ticks: number, gas: number, every?: number) =>
  ours("liquidate", gas, { positions, ticks, ...(every !== undefined && { every }) });

describe("bench: targets", function () {
  const named = (results: Result[], name: string) =>
    targetsOf(results).find((target) => target.name === name);

  it("judges a multiple of Morpho's gas, the limit included", function () {
    const at = (gas: number) => named([ours("repay", gas), morpho("repay", 1_000)], "repay")!;
    expect(at(1_300)).to.deep.equal({ name: "repay", gas: 1_300, limit: 1_300, morpho: 1_000 });
    expect(isReached(at(1_300))).to.equal(true);
    expect(isReached(at(1_301))).to.equal(false);
  });

  it("judges nothing that was not measured", function () {
    expect(targetsOf([])).to.deep.equal([]);
    expect(targetsOf([ours("repay", 1)])).to.deep.equal([]);
    expect(targetsOf([ours("repay", 1, { priceSource: "adapter" }), morpho("repay", 1)])).to.deep.equal([]);
  });

  it("sums a life only when all of it was measured", function () {
    const daily = ["open-populated", "add-collateral", "repay", "withdraw", "close"] as const;
    const results = daily.flatMap((operation) => [ours(operation, 100), morpho(operation, 90)]);
    const name = "open + add + repay + withdraw + close";
    expect(named(results, name)).to.include({ gas: 500, limit: 450 });
    expect(named(results.slice(1), name)).to.equal(undefined);
  });

  it("takes what each further tick costs from the widest sweep", function () {
    const results = [sweep(1, 1, 1_000), sweep(10, 10, 1_900), sweep(100, 47, 10_200), sweep(7, 7, 2_500, 8)];
    expect(gasPerTick(results, "dense")).to.equal(200);
    expect(gasPerTick(results, "sparse")).to.equal(250);
    expect(gasPerTick(results, "dense", "adapter")).to.equal(undefined);
    expect(gasPerTick(results.slice(0, 1), "dense")).to.equal(undefined);
  });

  it("allows 10,000 positions a thousandth more than 1,000", function () {
    const name = "liquidate 10,000 positions, 47 ticks";
    const at = (gas: number) => named([sweep(1_000, 47, 500_000), sweep(10_000, 47, gas)], name)!;
    expect(isReached(at(500_500))).to.equal(true);
    expect(isReached(at(500_501))).to.equal(false);
  });

  it("tells a sparse sweep from a dense one", function () {
    const results = [sweep(7, 7, 2, 8), sweep(7, 7, 1)];
    const key = { protocol: "breakwater", operation: "liquidate", positions: 7, ticks: 7 } as const;
    expect(gasOf(results, key)).to.equal(1);
    expect(gasOf(results, { ...key, every: 8 })).to.equal(2);
  });

  it("puts one leveraged open of ours beside a peer's contract and beside its user's hands", function () {
    const results = [
      ours("leverage-open", 300),
      morpho("leverage-open", 200),
      morpho("leverage-open", 900, { by: "hand" }),
    ];
    expect(peerTable(results).slice(1)).to.deep.equal([
      ["leveraged open", "300", "200", "–", "1.50", "–"],
      ["leveraged open, peer by hand", "300", "900", "–", "0.33", "–"],
    ]);
    expect(
      sourceTable([...results, ours("leverage-open", 350, { priceSource: "adapter" })])[1],
    ).to.deep.equal(["leveraged open", "300", "350", "50"]);
  });

  it("says how far a target was missed", function () {
    const [, row] = targetTable([ours("repay", 1_400), morpho("repay", 1_000)]);
    expect(row).to.deep.equal(["repay", "1,400", "1,300", "1.400 of 1.30", "NOT REACHED, 100 above"]);
  });
});

describe("bench: the committed results", function () {
  const results = JSON.parse(read("bench/results.json")) as Result[];

  it("hold each figure once", function () {
    const keys = results.map((result) => JSON.stringify({ ...result, gas: undefined }));
    expect(new Set(keys).size).to.equal(keys.length);
    expect(results.every(({ gas }) => Number.isInteger(gas) && gas > 21_000)).to.equal(true);
  });

  it("suffice to judge every target", function () {
    expect(targetsOf(results)).to.have.length(13);
  });

  it("are what README.md and docs/bench.md show", function () {
    expect(read("README.md")).to.contain(format(peerTable(results), true));
    for (const table of [peerTable(results), sourceTable(results), targetTable(results)]) {
      expect(read("docs/bench.md")).to.contain(format(table, true));
    }
  });
});

describe("bench: explaining a transaction", function () {
  const [caller, callee] = [`0x${"11".repeat(20)}`, `0x${"22".repeat(20)}`];
  const step = (depth: number, op: string, gas: number, gasCost: number, stack: string[] = []) => ({
    pc: 0,
    op,
    gas,
    gasCost,
    depth,
    stack,
  });
  // The caller reads a slot, lets the callee write one of its own, and stops.
  const steps = [
    step(1, "PUSH1", 50_000, 3),
    step(1, "SLOAD", 49_997, 2_100, ["0x5"]),
    step(1, "CALL", 47_897, 40_000, ["0x0", "0x0", "0x0", callee, "0x9c40"]),
    step(2, "SSTORE", 40_000, 22_100, ["0x1", "0x7"]),
    step(2, "STOP", 17_900, 0),
    step(1, "STOP", 23_197, 0),
  ];
  const receipt = {
    hash: "0x",
    to: caller,
    data: "0x00ff",
    gasUsed: 21_000n + 20n + 26_803n - 803n,
    logs: [],
  };
  const explanation = explain(steps, receipt, {
    contract: (address) => (address === caller ? "caller" : "callee"),
    function: () => "f",
  });

  it("adds up to the gas used", function () {
    const table = kindTable(explanation);
    const total = (name: string) => table.find(([label]) => label === name)!.at(-1);
    expect(total("all contracts")).to.equal("26,803");
    expect(total("its calldata")).to.equal("20");
    expect(total("refund")).to.equal("-803");
    expect(total("gas used")).to.equal("47,020");
    expect(total("without compute, keccak and second reads")).to.equal("47,017");
  });

  it("charges a call with what the callee did not use", function () {
    expect(Object.fromEntries(explanation.contracts.get("caller")!)).to.deep.equal({
      compute: 3,
      "cold SLOAD": 2_100,
      accounts: 2_600,
    });
    expect(Object.fromEntries(explanation.contracts.get("callee")!)).to.include({ SSTORE: 22_100 });
  });

  it("names the slots whose storage it is", function () {
    expect(slotTable(explanation).slice(1)).to.deep.equal([
      ["caller", "5", "1", "", "2,100"],
      ["callee", "7", "", "1", "22,100"],
    ]);
  });
});

describe("bench: what has become dearer", function () {
  const committed = [ours("repay", 100), ours("close", 50), morpho("repay", 10)];

  it("names what costs more than the committed figure, with both", function () {
    expect(worsened([ours("repay", 101), ours("close", 50), morpho("repay", 99)], committed)).to.deep.equal([
      { key: { protocol: "breakwater", operation: "repay", priceSource: "slot" }, gas: 101, before: 100 },
    ]);
  });

  it("lets pass what became cheaper, and not what was never committed", function () {
    expect(worsened([ours("repay", 99)], committed)).to.deep.equal([]);
    expect(worsened([ours("withdraw", 1)], committed)).to.deep.equal([
      {
        key: { protocol: "breakwater", operation: "withdraw", priceSource: "slot" },
        gas: 1,
        before: undefined,
      },
    ]);
  });
});
