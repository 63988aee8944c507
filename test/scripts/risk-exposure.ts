import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { BORROW_INDEX_ONE, Q128 } from "@breakwater/sdk/core";
import { expect } from "chai";
import { config, network } from "hardhat";
import type { JsonRpcServer } from "hardhat/types/network";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal, type Local } from "../../deploy/local.ts";
import { entry } from "../../deploy/parameters.ts";
import { type RpcDesk, openRpcDesk } from "../../scripts/desk/chain.ts";
import { Refusal } from "../../sdk/src/desk.ts";
import { accountOf } from "../../scripts/risk/account.ts";
import { generatedSubject } from "../../scripts/risk/bench.ts";
import { inBookUnits, proceedsOf } from "../../scripts/risk/depth.ts";
import { type Assumptions, exposureOf, exposureText } from "../../scripts/risk/exposure.ts";
import { lossesOf, reverseStressWithin } from "../../scripts/risk/losses.ts";
import { poolOf, sellable } from "../../scripts/risk/market.ts";
import { generatedPrices, returnsOf } from "../../scripts/risk/paths.ts";
import { drawExposure } from "../../scripts/risk/picture.ts";
import { agree, readBooks } from "../../scripts/risk/read.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";
import { random } from "../../scripts/drill/book.ts";
import { near } from "../support/near.ts";

const history = generatedPrices();
const assumed: Assumptions = { paths: 25, seed: 3, delay: 0, history, returns: returnsOf(history) };

describe("risk: depth of a pool", function () {
  const pool = poolOf(
    [
      { value: 10_000, down: 0.5, up: 2 },
      { value: 5_000, down: 0, up: Infinity },
    ],
    0.003,
    1,
  );

  it("what can be sold down to a price brings between that and the price now", function () {
    const amount = sellable(pool, 1, 0.9);
    const proceeds = proceedsOf(pool, 1, amount);
    expect(proceeds / amount).to.be.within(0.9, 0.997);
    // The last of it, one after the other, brings just what was asked.
    const last = (proceedsOf(pool, 1, amount * 1.0001) - proceeds) / (amount * 0.0001);
    near(last, 0.9, 0.001);
  });

  it("a constant product pool is one range", function () {
    const product = poolOf([{ value: 2_000, down: 0, up: Infinity }], 0, 1); // 1,000 of either
    for (const amount of [1, 100, 5_000]) {
      near(proceedsOf(product, 1, amount), (1_000 * amount) / (1_000 + amount), 1e-6);
    }
  });

  it("is the same in book units: other prices, the same collateral, debt over the index", function () {
    const subject = generatedSubject(10, 1_000n, 1, 1);
    const state = { ...subject.state, borrowIndex: BORROW_INDEX_ONE * 4n };
    const book = inBookUnits(pool, state);
    near(sellable(book, 0.25, 0.9 / 4), sellable(pool, 1, 0.9), 1e-6);
    near(proceedsOf(book, 0.25, 50), proceedsOf(pool, 1, 50) / 4, 1e-6);
  });
});

describe("risk: simulated losses", function () {
  const subject = generatedSubject(500, 20_000_000n, 15, 1);
  const exposure = exposureOf(subject, assumed);
  /** Calm for an hour, and then within another one down, for good. */
  const falling = (fall: number) => (_: () => number, out: Float64Array) => {
    for (let step = 0; step < out.length; step++) {
      out[step] = Math.log(1 - fall) * Math.min(1, Math.max(0, (step - 3) / 4));
    }
  };
  const stage = {
    setting: {
      terms: { ...subject.risk, spacing: 25 },
      book: new Map(subject.ticks.map(({ tick, debt }) => [tick, debt])),
      pool: subject.pool!,
      delay: 0,
    },
    price: 2_000,
    index: 1,
  };
  const losses = (fall: number, cover = 0, of = stage) =>
    lossesOf(of, cover, { sampler: falling(fall), paths: 2, seed: 1 });

  it("come out the same again, and say which model, horizon and how many paths", function () {
    expect(exposureOf(subject, assumed)).to.deep.equal(exposure);
    expect(exposure.losses!.figures.map(({ model }) => model)).to.deep.equal(["jump diffusion", "bootstrap"]);
    for (const { horizons } of exposure.losses!.figures) {
      expect(horizons.map(({ hours, paths }) => [hours, paths])).to.deep.equal([
        [1, 25],
        [24, 25],
      ]);
      const [hour, day] = horizons;
      expect(day!.liquidated.mean).to.be.at.least(hour!.liquidated.mean);
      expect(day!.liquidated.at99).to.be.at.least(day!.liquidated.at95);
      expect(day!.liquidated.worst).to.be.at.least(day!.liquidated.at99);
    }
  });

  it("nothing without a fall; more the deeper it is; the first hour only what is in it", function () {
    expect(losses(0)[1]).to.deep.include({ chance: 0, lendersLoss: 0 });
    const [hour, day] = losses(0.3) as [ReturnType<typeof losses>[0], ReturnType<typeof losses>[0]];
    expect(hour.liquidated.mean).to.equal(0);
    expect(day.liquidated.mean).to.be.above(1e5);
    const [, deeper] = losses(0.7);
    expect(deeper!.liquidated.mean).to.be.above(day.liquidated.mean);
    expect(deeper!.badDebt.mean).to.be.above(day.badDebt.mean);
    expect(deeper!.chance).to.equal(1);
  });

  it("insurance comes first, and a deeper pool loses less", function () {
    const [, day] = losses(0.7);
    const loss = day!.badDebt.mean;
    near(losses(0.7, loss / 4)[1]!.lendersLoss, (3 * loss) / 4, 1);
    expect(losses(0.7, loss + 1)[1]!.lendersLoss).to.equal(0);
    const deep = { ...stage, setting: { ...stage.setting, pool: { ...subject.pool!, refills: 10_000 } } };
    expect(losses(0.7, 0, deep)[1]!.badDebt.mean).to.be.below(loss / 2);
  });

  it("do not depend on the units that debt is kept in", function () {
    const index = 1.5;
    const book = new Map([...stage.setting.book].map(([tick, debt]) => [tick, (debt * 2n) / 3n] as const));
    // On the same ticks the price is less too: not the same book, so only amounts are compared, not ticks.
    const other = {
      setting: {
        ...stage.setting,
        book,
        pool: inBookUnits(subject.pool!, { ...subject.state, borrowIndex: (BORROW_INDEX_ONE * 3n) / 2n }),
      },
      price: 2_000 / index,
      index,
    };
    // Ticks are 0.25 % apart; 1.5 is between two of them.
    const shift = Math.round(Math.log(index) / Math.log(1.0001) / 25);
    other.setting.book = new Map([...book].map(([tick, debt]) => [tick - shift, debt] as const));
    const [ours, theirs] = [losses(0.5)[1]!, losses(0.5, 0, other)[1]!];
    near(theirs.liquidated.mean / ours.liquidated.mean, 1, 0.03);
    near(theirs.badDebt.mean / ours.badDebt.mean, 1, 0.1);
  });

  it("a fall that is spread over a day has to be deeper to cost anything", function () {
    const within = [1, 24].map((hours) => reverseStressWithin(stage, 0, hours) ?? 100);
    expect(within[0]).to.be.above(Number(exposure.reverse!.atOnce) / 100);
    expect(within[1]).to.be.above(within[0]!);
    expect(reverseStressWithin(stage, 1e12, 1)).to.equal(undefined);
  });

  it("are told in words and drawn, with every label in its place", function () {
    const words = exposureText(exposure);
    expect(words).to.contain("19,999,9").and.contain("500 positions of 500 borrowers");
    expect(words)
      .to.match(/−20 % +[\d,.]+/)
      .and.to.contain("generated prices (seed 1)");
    const svg = drawExposure(exposure, "a note");
    expect(svg).to.not.match(/NaN|undefined|Infinity/);
    expect(svg.match(/<polyline/g)).to.have.lengthOf(10);
  });

  it("an empty market, and a Dead price, have nothing to tell and say so", function () {
    const empty = exposureOf({ ...subject, ticks: [], positions: 0, borrowers: [] });
    expect(exposureText(empty)).to.match(/nobody owes anything: nothing to lose$/);
    const dead = exposureOf(
      { ...subject, state: { ...subject.state, priceLow: 0n, priceHigh: 0n } },
      assumed,
    );
    expect(dead).to.deep.include({ falls: [], distance: [], losses: undefined, reverse: undefined });
    expect(exposureText(dead)).to.match(/Dead: without one no distance can be told$/);
    const dry = exposureOf({ ...subject, pool: undefined }, assumed);
    expect(dry.losses).to.equal(undefined);
    expect(exposureText(dry)).to.contain("no pool of the pair has liquidity");
  });
});

describe("risk: three ways to the same debt", function () {
  const debt = 10n ** 12n;
  const cases: [what: string, ticks: bigint, lens: bigint, positions: bigint, agreed: boolean][] = [
    ["equal", debt, debt, debt, true],
    ["positions less by rounding", debt, debt, debt - 1_000n, true],
    ["positions less by more", debt, debt, debt - 1_002n, false],
    ["positions more", debt, debt, debt + 1n, false],
    ["the Lens by one unit", debt, debt + 1n, debt, false],
    ["nothing", 0n, 0n, 0n, true],
  ];
  for (const [what, ticks, lens, positions, agreed] of cases) {
    it(`${what}: ${agreed ? "agree" : "do not agree"}`, function () {
      expect(agree({ ticks, lens, positions })).to.equal(agreed);
    });
  }
});

describe("npm run risk -- exposure", function () {
  this.timeout(180_000);
  let server: JsonRpcServer;
  let local: Local;
  let desk: RpcDesk;
  let directory: string;
  let emptyAt: number;
  let target: string[];
  const stateId = `test-risk-${process.pid}`;
  const scope = { refills: 15 };

  before(async () => {
    server = await network.createServer("default", "127.0.0.1");
    const { port } = await server.listen();
    const rpc = `http://127.0.0.1:${port}`;
    const connection = await network.create({ network: "localhost", override: { url: rpc } });
    local = await deployLocal(connection, { stateId });
    await fundLenders(local, local.signers.others[0]!);
    emptyAt = await connection.ethers.provider.getBlockNumber();
    const owners = local.signers.others.slice(1, 5);
    // All but the last market, which stays empty.
    const openings = planOpenings(local, owners, 18, { from: 1.5, to: 4.8 }, random(1));
    await openPositions(
      local,
      openings.filter(({ market }) => market !== Object.values(local.markets)[2]),
    );
    directory = await mkdtemp(join(tmpdir(), "breakwater-"));
    const addresses = writeAddresses(local.addresses, directory);
    target = ["--rpc", rpc, "--addresses", addresses];
    desk = await openRpcDesk(rpc, addresses);
  });

  after(async () => {
    desk.close();
    await server.close();
    await rm(directory, { recursive: true });
    await rm(join(config.paths.ignition, "deployments", stateId), { recursive: true, force: true });
  });

  const refusalOf = async (reading: Promise<unknown>): Promise<string> =>
    reading.then(
      () => expect.fail("it was read"),
      (error: unknown) => {
        if (error instanceof Refusal) return error.message;
        throw error;
      },
    );
  const risk = async (...args: string[]) =>
    promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      "scripts/risk.ts",
      "exposure",
      ...args,
      ...target,
    ]);

  it("agrees with the Lens and with the positions one by one, interest included", async () => {
    const { books } = await readBooks(desk, scope); // compares, and refuses if they differ
    expect(books.map(({ subject }) => [subject.id, subject.positions])).to.deep.equal([
      ["weth-usdc", 6],
      ["usdc-weth", 6],
      ["wbtc-usdc", 0],
    ]);
    for (const { subject, holdings } of books.slice(0, 2)) {
      expect(subject.borrowers).to.have.lengthOf(4);
      const exposure = exposureOf(subject);
      const each = holdings.filter(
        ({ liquidationPrice }) => liquidationPrice * 10n >= subject.state.priceHigh * 7n,
      );
      const under30 = exposure.falls.find(({ fall }) => fall === 3_000n)!;
      const debt = each.reduce((sum, view) => sum + view.debt, 0n);
      expect(debt - under30.liquidatable).to.be.within(0n, BigInt(each.length));
    }
  });

  it("looks at an older block", async () => {
    const { block, books } = await readBooks(desk, { ...scope, block: emptyAt });
    expect(block.number).to.equal(emptyAt);
    expect(books.map(({ subject }) => subject.positions)).to.deep.equal([0, 0, 0]);
  });

  it("reads the pool as it is: selling brings what the quoter says", async () => {
    const { books } = await readBooks(desk, scope);
    for (const { subject, reading } of books) {
      const { collateral, debt, decimals } = reading.addresses;
      const fee = Math.round(subject.pool!.fee * 1e6);
      for (const dollars of [1_000, 300_000, 4_000_000]) {
        const price = Number((subject.state.priceLow * 10n ** 12n) / Q128) / 1e12;
        const amount = subject.symbols.collateral === "USDC" ? dollars : dollars / price;
        const amountIn = BigInt(Math.round(amount * 1e6)) * 10n ** BigInt(decimals.collateral - 6);
        const [out] = await desk.quoter.quoteExactInputSingle.staticCall({
          tokenIn: collateral,
          tokenOut: debt,
          amountIn,
          fee,
          sqrtPriceLimitX96: 0,
        });
        const quoted = Number(out) / 10 ** decimals.debt;
        expect(proceedsOf(subject.pool!, price, amount) / quoted).to.be.within(0.9999, 1.0001);
      }
    }
  });

  it("one account over all markets: what it holds and owes, and what moves make of it", async () => {
    const { books } = await readBooks(desk, scope);
    const owner = local.signers.others[1]!.address;
    const account = accountOf(books, owner);
    expect(account.positions.length).to.be.above(2);
    const usdc = account.net.find(({ symbol }) => symbol === "USDC")!.net;
    const parts = account.positions.map(({ symbols, collateral, surplus, debt }) =>
      symbols.debt === "USDC" ? -debt : collateral + surplus,
    );
    expect(usdc).to.equal(parts.reduce((sum, part) => sum + part, 0n));
    const { price } = entry(local.parameters.feeds, "ETH/USD") as { price: string };
    const weth = Number(account.net.find(({ symbol }) => symbol === "WETH")!.net) / 1e18;
    const at = (percent: number) => account.moves.find((move) => move.percent === percent)!;
    // Collateral is counted at the market's higher price, within the pool's fee of the feed.
    expect(at(0).equity - (Number(usdc) / 1e6 + weth * Number(price))).to.be.within(-500, 500);
    expect(at(10).equity - at(0).equity - weth * Number(price) * 0.1).to.be.within(-50, 50);
    expect(at(-60).equity).to.be.above(0); // nobody owes more than a position holds
    expect(at(0).liquidatable).to.equal(0);
    expect(at(-60).liquidatable).to.be.above(0); // longs
    expect(at(60).liquidatable).to.be.above(0); //  shorts
    expect(accountOf(books, directory)).to.deep.include({ positions: [], net: [] });
  });

  it("prints JSON, writes figures and pictures, and refuses what cannot be", async () => {
    await local.feeds["ETH/USD"]!.set(0); // the pool alone is left
    const out = join(directory, "out");
    const { stdout } = await risk("--json", "--paths", "20", "--out", out);
    const told = JSON.parse(stdout) as {
      block: number;
      notes: string[];
      markets: { market: string; debt: string }[];
    };
    expect(told.markets.map(({ market, debt }) => [market, debt === "0"])).to.deep.equal([
      ["weth-usdc", false],
      ["usdc-weth", false],
      ["wbtc-usdc", true],
    ]);
    expect(told.notes).to.include(
      "weth-usdc: the price is Single; the figures are as if both sources followed the fall",
    );
    expect((await readdir(out)).sort()).to.deep.equal(["exposure.json", "usdc-weth.svg", "weth-usdc.svg"]);
    expect(await readFile(join(out, "exposure.json"), "utf8")).to.equal(stdout);

    expect(await refusalOf(readBooks(desk, { ...scope, block: 10 ** 9 }))).to.contain(
      `there is no block ${10 ** 9} yet`,
    );
    expect(await refusalOf(readBooks(desk, { ...scope, markets: ["a-b"] }))).to.contain(
      "no market a-b: there are weth-usdc, ",
    );
    const before = { ...desk, addresses: { ...desk.addresses, startBlock: told.block + 1 } };
    expect(await refusalOf(readBooks(before, scope))).to.contain("is before the deployment");
    const file = join(directory, "eth.csv");
    await writeFile(file, "");
    const refused = await risk("--prices", file).catch((error: unknown) => error as { stderr: string });
    expect(refused.stderr).to.contain("is of one asset, the markets are of WETH and WBTC");
  });

  it("says which blocks the node no longer has", async () => {
    desk.provider.getLogs = async () => Promise.reject(new Error("history has been pruned"));
    expect(await refusalOf(readBooks(desk, scope))).to.match(
      /does not give the events of blocks \d+ to \d+.*history has been pruned/,
    );
  });
});
