import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { QuoterV2__factory } from "@breakwater/sdk/types";
import { expect } from "chai";
import { network } from "hardhat";

import { deployLocal } from "../../deploy/local.ts";
import { readParameters } from "../../deploy/parameters.ts";
import { Aave, liquidationCall, maxLiquidatableDebt } from "../../scripts/crash/aave.ts";
import { absorb, Compound, quoteCollateral } from "../../scripts/crash/compound.ts";
import { Maker, type MakerTerms, stairstep, status, take } from "../../scripts/crash/maker.ts";
import { ours, outcomeOf } from "../../scripts/crash/ours.ts";
import { gasCostOf, peersOf } from "../../scripts/crash/peers.ts";
import { drawPicture } from "../../scripts/crash/picture.ts";
import { Pool } from "../../scripts/crash/pool.ts";
import { toJson, toTable } from "../../scripts/crash/result.ts";
import { comparePeers } from "../../scripts/crash/run.ts";
import { type Account, BlockGas, elsewhere, type Rule, simulate } from "../../scripts/crash/simulate.ts";
import { builtInPath, type PricePath, STEP_SECONDS } from "../../scripts/drill/path.ts";
import { emptyRecord } from "../../scripts/drill/run.ts";
import { near } from "../support/near.ts";

const FREE = { base: 0, action: 0 };
const GENEROUS = 1e12;

/** Prices in dollars, a step each after the first. */
function pathThrough(...prices: number[]): PricePath {
  const at = (price: number, i: number) => ({
    time: i * STEP_SECONDS,
    seconds: i === 0 ? 0 : STEP_SECONDS,
    price: BigInt(Math.round(price * 1e8)),
  });
  const [start, ...steps] = prices.map(at);
  return { name: "made up", start: start!, steps, gaps: [] };
}

function run(
  rule: Rule,
  path: PricePath,
  { pool, blockGas = GENEROUS }: { pool?: Pool; blockGas?: number } = {},
) {
  return simulate(rule, 1, { path, blockGas, pool, waits: false });
}

/** As prettier leaves them. */
const squeezed = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");

describe("sim:crash: Aave's rule, by LiquidationLogic", () => {
  const terms = { threshold: 0.86, bonus: 0.05, protocolFee: 0.1 };

  it("may close half of the debt, and all of it at a health factor of 0.95 or below $2,000", () => {
    const account = (collateral: number, debt: number): Account => ({ collateral, debt });
    expect(maxLiquidatableDebt(account(10, 17_300), 2_000, 0.86)).to.equal(8_650); // 17,200/17,300
    expect(maxLiquidatableDebt(account(10, 18_105), 2_000, 0.86)).to.equal(9_052.5); // 0.9500138
    expect(maxLiquidatableDebt(account(10, 18_106), 2_000, 0.86)).to.equal(18_106); //  0.9499613
    expect(maxLiquidatableDebt(account(1.1, 1_999), 2_000, 0.86)).to.equal(1_999);
    expect(maxLiquidatableDebt(account(0.9999, 2_001), 2_000, 0.86)).to.equal(2_001);
  });

  it("takes the debt's worth and the bonus of collateral, a tenth of the bonus for the protocol", () => {
    const call = liquidationCall({ collateral: 10, debt: 17_300 }, 2_000, terms, Infinity)!;
    expect(call.debtToCover).to.equal(8_650);
    near(call.collateral, 4.54125, 1e-12); //   8,650 / 2,000 × 1.05
    near(call.protocolFee, 0.021625, 1e-12); // (4.54125 − 4.325) / 10
    expect(call.deficit).to.equal(0);
  });

  it("pays less where the collateral does not reach, and writes off the rest", () => {
    const call = liquidationCall({ collateral: 10, debt: 19_800 }, 2_000, terms, Infinity)!;
    expect(call.collateral).to.equal(10);
    near(call.debtToCover, 20_000 / 1.05, 1e-9);
    near(call.deficit, 752.38, 0.01);
  });

  it("refuses a call that leaves less than $1,000 of either", () => {
    const account = { collateral: 1.4, debt: 2_700 };
    expect(liquidationCall(account, 2_000, terms, 1_699)).to.not.equal(undefined);
    expect(liquidationCall(account, 2_000, terms, 1_701)).to.equal(undefined); // $999 of debt would be left
    expect(liquidationCall({ ...account, debt: 2_750 }, 2_000, terms, 1_720)).to.equal(undefined); // $994 of collateral
    expect(liquidationCall(account, 2_000, terms, 2_700)).to.not.equal(undefined);
  });

  it("counts what borrowers lose: bonus of what is sold, and no more than their equity", () => {
    const account = { collateral: 10, debt: 17_300 };
    const half = run(new Aave("", [account], terms, FREE), pathThrough(2_100, 2_000));
    near(half.penalty, 432.5, 1e-9); // 5 % of 8,650
    near(half.income, 43.25, 1e-9);
    expect(half).to.include({ cleared: 8_650, badDebt: 0, left: 0, transactions: 1 });
    expect(account.debt).to.equal(8_650);

    const gone = run(
      new Aave("", [{ collateral: 10, debt: 19_800 }], terms, FREE),
      pathThrough(2_400, 2_000),
    );
    near(gone.penalty, 200, 1e-9); // all there was
    near(gone.badDebt, 752.38, 0.01);
    expect(gone.cleared).to.equal(19_800);
  });
});

describe("sim:crash: Compound's rule, by Comet", () => {
  const terms = { liquidateCollateralFactor: 0.86, liquidationFactor: 0.95, storeFrontPriceFactor: 0.5 };

  it("sells collateral as Comet's own test of quoteCollateral has it", () => {
    const theirs = { liquidateCollateralFactor: 0, liquidationFactor: 0.6, storeFrontPriceFactor: 0.5 };
    expect(quoteCollateral(200, 200, theirs)).to.equal(1.25);
  });

  it("pays 95 % of the collateral's worth for the account, and the debt where that is more", () => {
    expect(absorb({ collateral: 10, debt: 15_215 }, 1_700, 0.95)).to.deep.equal({
      newBalance: 935,
      paid: 16_150,
    });
    expect(absorb({ collateral: 10, debt: 15_215 }, 1_600, 0.95)).to.deep.equal({
      newBalance: 0,
      paid: 15_215,
    });
  });

  it("takes 5 % of all collateral, and keeps half of it when the price stays", () => {
    const outcome = run(
      new Compound("", [{ collateral: 10, debt: 15_215 }], terms, FREE),
      pathThrough(2_000, 1_700),
    );
    near(outcome.penalty, 850, 1e-9); //            5 % of 17,000
    near(outcome.income, 425, 1e-9); // sold for 16,575, paid 16,150
    expect(outcome).to.include({ cleared: 15_215, badDebt: 0, left: 0 });
  });

  it("bears the price until the collateral is sold", () => {
    const pool = Pool.filledAt(2_000, {
      ...readParameters("local").pools["WETH/USDC"]!,
      liquidity: [{ rangePercent: "full", valueUsd: "2e4" }],
    });
    const rule = new Compound("", [{ collateral: 10, debt: 15_215 }], terms, FREE);
    const outcome = run(rule, pathThrough(2_000, 1_700, ...Array.from({ length: 10 }, () => 1_200)), {
      pool,
    });
    near(outcome.penalty, 850, 1e-9);
    expect(outcome.badDebt).to.be.greaterThan(1_000);
    expect(outcome.longestMinutes).to.be.greaterThan(15);
  });
});

describe("sim:crash: Maker's rule, by Dog, Clipper and StairstepExponentialDecrease", () => {
  const terms: MakerTerms = {
    threshold: 0.86,
    chop: 1.13,
    hole: 1e9,
    buf: 1.2,
    cut: 0.99,
    step: 90,
    tail: 8_400,
    cusp: 0.4,
    dust: 0,
    oracleDelay: 0,
  };

  it("takes as Maker's own tests of take have it", () => {
    const sale = { tab: 110, lot: 40, top: 5, tic: 0 };
    expect(take(sale, 5, 25, 20)).to.deep.equal({ slice: 22, owe: 110 });
    expect(take(sale, 5, 22, 20)).to.deep.equal({ slice: 22, owe: 110 });
    expect(take(sale, 5, 11, 20)).to.deep.equal({ slice: 11, owe: 55 });
    // The whole lot ends the auction, whatever of the tab is left.
    expect(take({ ...sale, lot: 21 }, 5, 25, 20)).to.deep.equal({ slice: 21, owe: 105 });
  });

  it("leaves no dust: less is sold, or nothing", () => {
    const sale = { tab: 110, lot: 40, top: 5, tic: 0 };
    expect(take(sale, 5, 20, 30)).to.deep.equal({ slice: 16, owe: 80 });
    expect(take({ ...sale, tab: 30 }, 5, 1, 30)).to.equal(undefined);
  });

  it("lowers the price by one part of every step, and starts again after the tail or below the cusp", () => {
    const curve = { cut: 1 - 0.0112345678, step: 5 };
    for (let elapsed = 0, price = 50e6; elapsed < 600; elapsed++) {
      if (elapsed > 0 && elapsed % 5 === 0) price *= curve.cut;
      near(stairstep(50e6, elapsed, curve), price, 1e-6);
    }
    const sale = { tab: 1, lot: 1, top: 100, tic: 1_000 };
    expect(status(sale, 1_089, terms)).to.deep.equal({ done: false, price: 100 });
    expect(status(sale, 1_090, terms)).to.deep.equal({ done: false, price: 99 });
    expect(status(sale, 1_000 + 91 * 90, terms).done).to.equal(false); // 0.99^91 = 0.4007
    expect(status(sale, 1_000 + 92 * 90, terms).done).to.equal(true); //  0.99^92 = 0.3967
    const patient = { ...terms, cusp: 0 };
    expect(status(sale, 1_000 + 8_400, patient).done).to.equal(false);
    expect(status(sale, 1_000 + 8_401, patient).done).to.equal(true);
  });

  it("raises 113 % of the debt once the price has come down to the feed's, and returns the rest", () => {
    // 1.2 × 0.99^19 = 0.9914: after 19 steps, half an hour.
    const account = { collateral: 10, debt: 14_700 };
    const prices = [2_000, ...Array.from({ length: 5 }, () => 1_700)];
    const outcome = run(new Maker("", [account], terms, FREE), pathThrough(...prices));
    const asked = 1_700 * 1.2 * 0.99 ** 19;
    near(outcome.penalty, ((14_700 * 1.13) / asked) * 1_700 - 14_700, 1e-6);
    near(outcome.income, 1_911, 1e-6);
    expect(outcome).to.include({ badDebt: 0, cleared: 14_700, left: 0 });
    near(outcome.longestMinutes, (12 + 19 * 90) / 60, 0.3);
  });

  it("acts on an older price, an hour later", () => {
    const late = { ...terms, oracleDelay: 3_600 };
    const prices = [2_000, ...Array.from({ length: 8 }, () => 1_700)];
    const outcome = run(
      new Maker("", [{ collateral: 10, debt: 15_000 }], late, FREE),
      pathThrough(...prices),
    );
    near(outcome.longestMinutes, 60 + (19 * 90) / 60, 1);
  });

  it("starts no more auctions than the hole has room for", () => {
    const small = { ...terms, hole: 17_000 };
    const accounts = [1, 2].map(() => ({ collateral: 10, debt: 15_000 }));
    const rule = new Maker("", accounts, small, FREE);
    rule.round(1_700, 0);
    const gas = new BlockGas(GENEROUS, FREE);
    rule.liquidate({ time: 12, price: 1_700, gas, venue: elsewhere(1_700) });
    // Room for a whole vault and $50 of the next: 17,000 − 16,950.
    expect(accounts[0]!.debt).to.equal(0);
    near(accounts[1]!.debt, 15_000 - 50 / 1.13, 1e-6);
  });
});

describe("sim:crash: the walk", function () {
  this.timeout(60_000);
  const built = {
    path: builtInPath(),
    positions: 200,
    seed: 1,
    blockGas: 36_000_000n,
    poolOnly: true,
  };

  it("fills blocks with transactions of at most 16.78M gas, and leaves the rest for the next block", () => {
    const gas = new BlockGas(36_000_000, { base: 100_000, action: 8_000_000 });
    expect([gas.spend(), gas.spend(), gas.spend(), gas.spend(), gas.spend()]).to.deep.equal([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(gas).to.include({ transactions: 2, used: 32_200_000 });

    const accounts = () => Array.from({ length: 100 }, () => ({ collateral: 1, debt: 1_750 }));
    const rule = () =>
      new Compound(
        "",
        accounts(),
        { liquidateCollateralFactor: 0.86, liquidationFactor: 0.95, storeFrontPriceFactor: 0.5 },
        { base: 0, action: 1_000_000 },
      );
    const path = pathThrough(2_100, 2_000);
    const [wide, narrow] = [run(rule(), path), run(rule(), path, { blockGas: 2_000_000 })];
    expect(wide.longestMinutes).to.equal(0.2);
    near(narrow.longestMinutes, 50 * 0.2, 1e-9);
    expect(narrow.gas).to.equal(wide.gas);
  });

  it("explains two measurements by a base and an action", () => {
    const cost = gasCostOf([
      { positions: 10, gas: 1_300_000 },
      { positions: 1_000, gas: 113_050_000 },
    ]);
    near(cost.base + 10 * cost.action, 1_300_000, 1e-3);
    near(cost.base + 1_000 * cost.action, 113_050_000, 1e-3);
  });

  it("touches nobody while nobody is beyond the threshold, whatever the rule", () => {
    const positions = [{ collateral: 10n ** 19n, debt: 17_000_000_000n }];
    for (const rule of peersOf(positions, 0.86)) {
      const outcome = run(rule, pathThrough(2_000, 1_990, 2_000));
      expect(outcome, rule.name).to.include({
        cleared: 0,
        penalty: 0,
        badDebt: 0,
        gas: 0,
        uncoveredMinutes: 0,
      });
    }
  });

  it("creates no value: what borrowers lose and lenders bear is what keepers and the protocol win", () => {
    const price = 1_900;
    const positions = Array.from({ length: 40 }, (_, i) => ({
      collateral: 10n ** 19n,
      debt: BigInt(15_000 + i * 150) * 10n ** 6n,
    }));
    const missing = positions.reduce(
      (sum, { debt }) => sum + Math.max(0, Number(debt) / 1e6 - 10 * price),
      0,
    );
    for (const rule of peersOf(positions, 0.86)) {
      let [asked, keepers] = [0, 0];
      const venue = {
        room: (least: number) => ((asked = least) <= price ? Infinity : 0),
        sell: (amount: number) => ((keepers += amount * (price - asked)), amount * price),
      };
      rule.round(price, 0);
      for (let time = 12; rule.uncovered(price) > 0; time += 12) {
        rule.liquidate({ time, price, gas: new BlockGas(GENEROUS, FREE), venue });
        expect(time, rule.name).to.be.lessThan(1e5);
      }
      const { penalty, income, badDebt } = rule.tally;
      expect(missing).to.be.greaterThan(0);
      near(keepers + income, penalty + badDebt - missing, 1e-5, rule.name);
    }
  });

  it("is the same every time, and costs more where the pool is all there is", () => {
    const [first, again] = [comparePeers(built), comparePeers(built)];
    expect(first).to.deep.equal(again);
    const capital = comparePeers({ ...built, poolOnly: false });
    first.outcomes.forEach((outcome, i) => {
      expect(outcome.uncoveredMinutes, outcome.name).to.be.at.least(
        capital.outcomes[i]!.uncoveredMinutes - 1e-9,
      );
    });
    // Keepers that wait for our oracle leave debt uncovered for its ten minutes at least.
    first.rulesAlone.forEach(({ longestMinutes }) => expect(longestMinutes).to.be.greaterThan(10));
  });

  it("has the peers' rows that docs/crash.md shows for the made-up path", () => {
    const page = readFileSync("docs/crash.md", "utf8");
    for (const [name, poolOnly] of [
      ["built-in pool", true],
      ["built-in capital", false],
    ] as const) {
      const table = new RegExp(`<!-- ${name} -->\\n\\n([\\s\\S]*?)\\n\\n<!-- end -->`).exec(page)![1]!;
      const rows = toTable(comparePeers({ ...built, positions: 2_000, poolOnly })).split("\n");
      for (const row of rows)
        expect(squeezed(table), "npm run sim:crash -- --docs").to.include(squeezed(row));
    }
  });

  it("draws finite numbers only, even when nothing happened", () => {
    const outcome = outcomeOf([emptyRecord(0, 10n ** 8n)], 10n ** 6n);
    const svg = drawPicture({ title: "a < b", subtitle: "", note: "", outcomes: [outcome] });
    expect(svg)
      .to.include("a &lt; b")
      .and.not.match(/NaN|Infinity|undefined/);
    const { outcomes, rulesAlone, bookDebt } = comparePeers(built);
    expect(JSON.stringify(toJson({ setting: built, bookDebt, outcomes, rulesAlone }))).to.not.match(/null/);
  });

  it("takes our figures from the drill's steps: what is uncovered, and for how long at a stretch", () => {
    const step = { ...emptyRecord(0, 10n ** 8n), cleared: true };
    const open = {
      ...step,
      cleared: false,
      uncovered: { debtSeconds: 600n * 10n ** 6n, debt: 7n * 10n ** 6n },
    };
    const outcome = outcomeOf(
      [step, { ...open, time: 900 }, { ...open, time: 1_800, penalty: 5_000_000n }],
      10n ** 6n,
    );
    expect(outcome).to.include({ uncoveredMinutes: 20, longestMinutes: 30, left: 7, penalty: 5 });
  });
});

describe("sim:crash: the chain's part", function () {
  this.timeout(120_000);

  it("knows what the pool pays, near and far from its price", async () => {
    const connection = await network.create();
    try {
      const local = await deployLocal(connection, { parameters: readParameters("local"), prices: {} });
      const quoter = QuoterV2__factory.connect(
        local.addresses.contracts["QuoterV2"]!,
        local.signers.deployer,
      );
      const { collateral, debt } = local.markets["weth-usdc"]!;
      const depth = Pool.filledAt(2_000, readParameters("local").pools["WETH/USDC"]!);
      for (const amount of [1, 100, 3_000, 20_000]) {
        const [quoted] = await quoter.quoteExactInputSingle.staticCall({
          tokenIn: await collateral.getAddress(),
          tokenOut: await debt.getAddress(),
          amountIn: BigInt(amount) * 10n ** 18n,
          fee: 500,
          sqrtPriceLimitX96: 0,
        });
        const [venue, real] = [depth.at(2_000), Number(quoted) / 1e6];
        near(venue.sell(amount) / real, 1, 0.001, `${amount} WETH`);
        // What has room above a price is what moves the pool to it.
        const last = depth.at(2_000);
        const room = last.room(1_900);
        last.sell(room);
        near(last.room(1_900), 0, room * 1e-9);
        expect(last.room(1_890)).to.be.greaterThan(0);
      }
    } finally {
      await connection.close();
    }
  });

  it("sells through the pool alone, and loses what the exact model loses", async () => {
    // The third leg: −31 % in two steps, and what follows.
    const { steps, ...path } = builtInPath(81);
    const crash = { ...path, start: steps[74]!, steps: steps.slice(75) };
    const setting = { path: crash, positions: 25, seed: 3, blockGas: 36_000_000n, poolOnly: true };
    const outcome = await ours(setting, () => undefined);
    expect(outcome.badDebt).to.be.greaterThan(0);
    expect(outcome.cleared).to.be.greaterThan(0);
    expect(outcome.penalty).to.be.greaterThan(0);
    expect(outcome.longestMinutes).to.be.greaterThan(10);
    expect(outcome.gas).to.be.greaterThan(0);
  });
});

describe("sim:crash: the command", function () {
  this.timeout(60_000);
  const call = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", "scripts/sim-crash.ts", ...args], { encoding: "utf8" });

  it("tells its options", () => {
    const { stdout, status: code } = call("--help");
    expect(code).to.equal(0);
    for (const option of ["--prices", "--built-in", "--keepers", "--json", "--picture", "--docs"]) {
      expect(stdout).to.include(option);
    }
  });

  for (const [args, message] of [
    [["--prices", "nowhere.csv"], /^Refusal: --prices nowhere\.csv: ENOENT/],
    [["--prices", "a.csv", "--built-in"], /^Refusal: --prices and --built-in: one of them/],
    [["--prices", "package.json"], /^MissingColumn: package\.json:1: /],
    [["--positions", "0"], /A whole number from 1 to 20000 is needed\./],
  ] as const) {
    it(`refuses ${args.join(" ")} in one line`, () => {
      const { stderr, status: code } = call(...args);
      expect(code).to.equal(1);
      expect(stderr.trim()).to.match(message);
      expect(stderr.trim().split("\n")).to.have.length(1);
    });
  }
});
