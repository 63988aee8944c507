import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { promisify } from "node:util";

import { connect, openMarkets, quoteLeverage, transactionsOf } from "@breakwater/sdk/chain";
import { WAD } from "@breakwater/sdk/core";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { expect } from "chai";
import { MaxUint256, solidityPacked } from "ethers";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal, type Local } from "../../deploy/local.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { random } from "../../scripts/drill/book.ts";
import { type AmountName, type Balance, COLUMNS, KINDS, type Line } from "../../scripts/report/lines.ts";
import {
  type Chain,
  openChain,
  readBlock,
  readRegisterEvents,
  type RegisterEvent,
} from "../../scripts/report/read.ts";
import { differencesOf } from "../../scripts/report/reconcile.ts";
import { Register } from "../../scripts/report/register.ts";
import { type Report, writeReport } from "../../scripts/report/run.ts";
import type { Solvency } from "../../scripts/report/solvency.ts";
import { verify } from "../../scripts/report/verify.ts";
import { digestOf, type Manifest, toJson } from "../../scripts/report/write.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";
import { expectRejection } from "../support/keeper.ts";
import { ETH, MAX_INT24, USDC } from "../support/market.ts";

const MARKET = "weth-usdc";
interface Scene {
  local: Local;
  /** Where the period begins and ends; the market is wound down after it, up to `settled`. */
  from: number;
  to: number;
  settled: number;
}

/** Everything that moves a unit, once: in the period, or (what opens the book) before it. */
async function play(connection: NetworkConnection, local: Local): Promise<Scene> {
  const { networkHelpers, ethers } = connection;
  const { time } = networkHelpers;
  const [lender, trader, keeper, friend, ...owners] = local.signers.others as [
    HardhatEthersSigner,
    HardhatEthersSigner,
    HardhatEthersSigner,
    HardhatEthersSigner,
    ...HardhatEthersSigner[],
  ];
  const { liquidator, flashLiquidator, insurance, leverageRouter, protectionOrders, manager } =
    local.contracts;
  const { vault, collateral, debt } = local.markets[MARKET]!;
  const some = owners.slice(0, 4);
  await fundLenders(local, lender);
  await openPositions(local, planOpenings(local, some, 24, { from: 2, to: 5 }, random(3)));
  // One of a known size, to do things with.
  const [owner] = some as [HardhatEthersSigner];
  await collateral.mint(owner, 200n * ETH);
  await collateral.connect(owner).approve(vault, MaxUint256);
  await vault.connect(owner).adjust(owner, 100, 10n * ETH, 12_000n * USDC, owner, "0x");
  for (const token of [debt, collateral]) {
    for (const who of [keeper, lender, owner]) {
      await token.mint(who, token === debt ? 50_000_000n * USDC : 50_000n * ETH);
      for (const spender of [vault, liquidator, insurance, leverageRouter, protectionOrders])
        await token.connect(who).approve(spender, MaxUint256);
    }
  }
  const arbitrageur = await openArbitrageur(local, trader);
  /** A price that both sources agree on. */
  const price = async (eth: string) => {
    for (const pause of [600, 300]) {
      await local.setPrice("ETH/USD", eth);
      await local.setPrice("BTC/USD", "40000");
      await arbitrageur.trade();
      await time.increase(pause);
    }
    await local.setPrice("ETH/USD", eth);
    await local.setPrice("BTC/USD", "40000");
  };
  const order = (more: object = {}) => ({
    market: vault.target,
    ...{ maxRepay: 40_000_000n * USDC, minCollateral: 0n, fromTick: MAX_INT24, maxTicks: 0n },
    ...{ buyPot: true, deadline: 2n ** 40n, receiver: keeper.address, ...more },
  });
  await networkHelpers.mine();
  const from = (await ethers.provider.getBlockNumber()) + 1;

  // The owner's own doings.
  const own = vault.connect(owner);
  await own.adjust(owner, 100, ETH, 0, owner, "0x");
  await own.adjust(owner, 100, 0, -2_000n * USDC, owner, "0x");
  await own.withdrawSurplus(owner, 100, MaxUint256, owner);
  await own.adjust(owner, 100, -ETH / 2n, 500n * USDC, owner, "0x");
  await own.offerPosition(owner, 100, friend);
  await vault.connect(friend).transferPosition(owner, 100, friend, 7);
  // Lenders, insurance, what nobody said, interest without an event.
  await insurance.connect(lender).deposit(vault, 5_000n * USDC);
  await vault.connect(lender).transfer(friend, 1_000n * USDC);
  await vault.connect(friend).redeem(400n * USDC, friend, friend);
  await collateral.connect(lender).transfer(vault, 12_345n);
  await debt.connect(lender).transfer(vault, 7n);
  await vault.connect(lender).deposit(1_000n * USDC, friend);
  await time.increase(3_600);
  await price("2000");
  await vault.accrueInterest();
  await vault.collectReserves();
  // Leverage through the router, and an order that takes some of it back.
  const contracts = connect(local.addresses, owner);
  for (const { vault: each } of Object.values(local.markets))
    for (const operator of [leverageRouter, protectionOrders])
      await each.connect(owner).setOperator(operator, true);
  const [reading] = await (await openMarkets(contracts, ethers.provider))("latest");
  const quote = await quoteLeverage(contracts, {
    market: reading!,
    ...{ owner: owner.address, sub: 200n, leverage: 3n * WAD, slippage: 100n, deadline: 2n ** 40n },
    margin: { token: "collateral", amount: 3n * ETH, ether: false },
    unwrap: false,
  });
  for (const { to, data, value } of await transactionsOf(contracts, quote, {}))
    await (await owner.sendTransaction({ to, data, value })).wait();
  const down = solidityPacked(["address", "uint24", "address"], [collateral.target, 500, debt.target]);
  const STOP_LOSS = 1n;
  await protectionOrders.connect(owner).create({
    ...{ owner: owner.address, market: vault.target, sub: 200n, kind: STOP_LOSS, times: 1n },
    ...{ target: 0n, level: 1_700n << 128n, expiry: 2n ** 39n, slippage: 300n },
    ...{ tipMin: USDC, tipMax: 20n * USDC, budget: 0n, keepCollateral: false },
  });
  // A fall that sells some ticks, in part and whole; and one that seizes others, whose sale is a loss.
  await price("1800");
  await price("1640");
  await protectionOrders.connect(keeper).execute(1, down, 0, keeper);
  await price("1640"); // after what that sold
  await liquidator.connect(keeper).liquidate(order({ maxRepay: 2_000n * USDC }), "0x");
  await flashLiquidator.connect(keeper).liquidate({
    market: vault.target,
    ...{ maxRepay: 5_000n * USDC, fromTick: MAX_INT24, maxTicks: 0n, buyPot: false },
    ...{ path: down, minOut: 0n, minProfit: 0n, deadline: 2n ** 40n, receiver: keeper.address },
  });
  await liquidator.connect(keeper).liquidate(order(), "0x");
  await price("1250");
  await vault.connect(lender).deposit(USDC, lender); // seizes what is insolvent
  await liquidator.connect(keeper).liquidate(order({ maxRepay: 30_000n * USDC }), "0x");
  await liquidator.connect(keeper).liquidate(order(), "0x");
  await vault.accrueInterest();
  const to = await ethers.provider.getBlockNumber();

  // After the period: the end of the market, and of a position in it.
  const governor = await ethers.getImpersonatedSigner(local.addresses.safes.governor);
  await networkHelpers.setBalance(governor.address, ETH);
  const windDown = vault.interface.encodeFunctionData("startWindDown", [14n * 86_400n]);
  await manager.connect(governor).schedule(vault, windDown, 0);
  await time.increase(5 * 86_400);
  await price("1250");
  await manager.connect(governor).execute(vault, windDown);
  await time.increase(15 * 86_400);
  await price("1300");
  await vault.connect(keeper).settle(friend, 7, 1_000n * USDC, keeper);
  await vault.connect(keeper).settle(friend, 7, 100_000n * USDC, keeper);
  return { local, from, to, settled: await ethers.provider.getBlockNumber() };
}

type Request = { id: number; method: string; params?: unknown[] };
/** What becomes of the chain's answer, or the words of a refusal. */
type Rule = (
  method: string,
  params: unknown[],
) => { edit: (result: unknown) => unknown } | { refusal: string } | undefined;

/** The chain of this process over HTTP, with a rule of what it answers instead. */
async function openFront(provider: NetworkConnection["provider"]) {
  const front = { rule: (() => undefined) as Rule, url: "", close: () => {} };
  const answer = async ({ id, method, params = [] }: Request) => {
    const said = front.rule(method, params);
    const failed = (message: string) => ({ jsonrpc: "2.0", id, error: { code: -32000, message } });
    if (said && "refusal" in said) return failed(said.refusal);
    try {
      const result: unknown = await provider.request({ method, params });
      return { jsonrpc: "2.0", id, result: said ? said.edit(result) : result };
    } catch (error) {
      return failed((error as Error).message);
    }
  };
  const server = createServer((request, response) => {
    void (async () => {
      const asked = (await json(request)) as Request | Request[];
      const answers = Array.isArray(asked) ? await Promise.all(asked.map(answer)) : await answer(asked);
      response.end(JSON.stringify(answers));
    })();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  front.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  front.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return front;
}

describe("npm run report", function () {
  this.timeout(180_000);
  let connection: NetworkConnection;
  let front: Awaited<ReturnType<typeof openFront>>;
  let scene: Scene;
  let directory: string;
  let addresses: string;
  let chain: Chain;
  let report: Report;
  let lines: Line[];
  const at = (...path: string[]) => join(directory, ...path);
  const write = async (from: number, to: number, name: string) =>
    writeReport(chain, { from, to }, at(name), () => undefined);
  const read = async (...path: string[]) => readFile(at(...path), "utf8");
  const linesIn = async (name: string) =>
    (await read(name, "register.jsonl"))
      .split("\n")
      .slice(0, -1)
      .map((text) => JSON.parse(text) as Line);
  const of = (kind: Line["kind"], among = lines) => among.filter((line) => line.kind === kind);
  const raw = (line: Line, name: AmountName) => BigInt(line.amounts[name]?.raw ?? 0);
  const command = async (...args: string[]) =>
    promisify(execFile)(process.execPath, ["--import", "tsx", "scripts/report.ts", ...args]).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: unknown) => error as { code: number; stdout: string; stderr: string },
    );

  before(async () => {
    connection = await network.create();
    scene = await play(connection, await deployLocal(connection));
    front = await openFront(connection.provider);
    directory = await mkdtemp(join(tmpdir(), "breakwater-report-"));
    addresses = writeAddresses(scene.local.addresses, directory);
    chain = await openChain(front.url, addresses);
    report = await write(scene.from, scene.to, "a");
    lines = await linesIn("a");
  });
  after(async () => {
    chain.close();
    front.close();
    await rm(directory, { recursive: true });
  });
  afterEach(() => {
    front.rule = () => undefined;
  });

  it("[J1] explains every change to the unit, in this period, before it and after it", async () => {
    expect(differencesOf(report.reconciliation)).to.deep.equal([]);
    expect(report.manifest.reconciled).to.be.true;
    const moved = report.reconciliation.markets.find(({ market }) => market === MARKET)!;
    for (const { name, register } of moved.balances) {
      // The pot filled and was sold, the fund was filled and drawn.
      if (!["potDebt", "potCollateral", "insurance"].includes(name)) expect(register, name).not.to.equal("0");
    }
    expect(moved.positions.checked).to.be.greaterThan(8);
    expect(moved.lenders.checked).to.equal(2);
    const kinds = new Set(lines.map(({ kind }) => kind));
    expect(KINDS.filter((kind) => !kinds.has(kind))).to.deep.equal([
      "settlement",
      "settled",
      "insurance-out",
    ]);

    const [early, late] = [
      await write(1, scene.from - 1, "early"),
      await write(scene.to + 1, scene.settled, "late"),
    ];
    for (const { reconciliation } of [early, late]) expect(differencesOf(reconciliation)).to.deep.equal([]);
    const settled = await linesIn("late");
    expect(of("settlement", settled)).to.have.length(2);
    expect(of("settled", settled)).to.have.length(2);
    // One ends where the next begins.
    const [end, begin] = [
      await read("early", `solvency-${scene.from - 1}.json`),
      await read("a", `solvency-${scene.from - 1}.json`),
    ].map((text) => (JSON.parse(text) as Solvency).markets);
    expect(end).to.deep.equal(begin);
  });

  it("says what is held and owed at the end, and with which command that is had again", async () => {
    const {
      solvent,
      command: again,
      markets,
    } = JSON.parse(await read("a", `solvency-${scene.to}.json`)) as Solvency;
    expect(solvent).to.be.true;
    expect(again).to.equal(`npm run report -- --from ${scene.from} --to ${scene.to} --out DIR`);
    const { debtToken, collateralToken, positions, now } = markets.find(({ market }) => market === MARKET)!;
    expect(debtToken.over.raw).to.equal("7"); // what nobody said
    expect(Number(collateralToken.over.raw)).to.be.within(12_345, 12_400); // and roundings, in the book's favour
    expect(positions.withDebt).to.be.greaterThan(0);
    const view = await scene.local.contracts.lens.market(scene.local.markets[MARKET]!.vault, {
      blockTag: scene.to,
    });
    expect(now!.lendersOwn.raw).to.equal(String(view.totalAssets));
    expect(now!.borrowersOwe.raw).to.equal(String(view.totalDebt));
    expect([now!.price.state, now!.underwater!.debt.raw]).to.deep.equal(["Fresh", "0"]);
  });

  it("[J3] writes the same bytes again", async () => {
    const digests = (await write(scene.from, scene.to, "b")).manifest;
    expect(digests).to.deep.equal(report.manifest);
    expect(await read("b", "manifest.json")).to.equal(await read("a", "manifest.json"));
  });

  it("[J2] tells what a liquidation did out of the logs alone, with its evidence", async () => {
    const register = new Register(chain);
    const told: Line[] = [];
    for (const event of Map.groupBy(
      await readRegisterEvents(chain, 1, scene.to),
      ({ block }) => block,
    ).values()) {
      const block = await readBlock(chain, event[0]!.block);
      told.push(...(await register.lines({ block, events: event, readings: new Map(), transfers: [] })));
    }
    const inPeriod = told.filter(({ block }) => block >= scene.from);
    expect(of("liquidation", inPeriod)).to.deep.equal(of("liquidation"));
    // But for what is counted from the beginning of the period.
    const forever = (line: Line) => ({
      ...line,
      positionChanges: {},
      amounts: { ...line.amounts, accrued: undefined },
    });
    expect(of("liquidated", inPeriod).map(forever)).to.deep.equal(of("liquidated").map(forever));

    const [partial, , whole, seizure, sale, rest] = of("liquidation") as [Line, Line, Line, Line, Line, Line];
    expect(partial.evidence!.partial).not.to.equal(null);
    expect(whole.evidence!.partial).to.equal(null);
    expect(whole.evidence!.steps.map(({ landTick }) => landTick)).to.deep.equal(
      whole.evidence!.steps.map(() => whole.evidence!.landTick),
    );
    expect(Number(whole.ltvBefore)).to.be.within(0.86, 0.98);
    expect(Number(whole.ltvAfter)).to.be.within(0.82, 0.83);
    expect(seizure.evidence!.steps.every(({ factor, landTick }) => factor === null && landTick === null)).to
      .be.true;
    expect(raw(seizure, "repaid")).to.equal(0n);
    // Debt that is sold or seized is some positions', to within a unit each; and the penalty is what they paid.
    for (const line of of("liquidation")) {
      const shares = of("liquidated").filter(({ id }) => id.startsWith(`${line.id}.`));
      expect(shares).to.have.length(line.evidence!.positions);
      const sum = shares.reduce((total, share) => total + raw(share, "debtCleared"), 0n);
      expect(sum - raw(line, "debtCleared")).to.be.within(-20n, 20n);
      for (const share of shares) {
        expect(raw(share, "debtCleared")).to.equal(raw(share, "interest") - raw(share, "principal"));
        expect(raw(share, "interest") > 0n).to.be.true;
      }
      expect(line.price!.from).to.equal("event");
      expect(raw(line, "badDebt")).to.equal(
        raw(line, "insurance") + raw(line, "reserves") + raw(line, "lendersLoss"),
      );
    }
    expect(raw(sale, "potPaid") > 0n && raw(sale, "debtCleared") > 0n).to.be.true;
    expect(raw(sale, "insurance") > 0n && raw(rest, "lendersLoss") > 0n).to.be.true;
    const drawn = of("insurance-cover").reduce((sum, line) => sum + raw(line, "amount"), 0n);
    expect(drawn).to.equal(raw(sale, "insurance") + raw(rest, "insurance"));
    // What their prices' rounds are rounds of.
    const { primary, second } = report.manifest.sources.find(({ mirrors }) => mirrors === undefined)!;
    expect([primary!.length, second!.length]).to.deep.equal([2, 1]);
  });

  it("keeps principal and interest apart, through repayments and transfers", () => {
    const [top, repaid, borrowed] = of("adjust") as [Line, Line, Line];
    expect(top.amounts.accrued).to.equal(undefined);
    expect(raw(repaid, "interest") > 0n).to.be.true;
    // Less than the tokens: what of them becomes no whole unit of book debt stays the book's.
    expect(2_000n * WAD - (raw(repaid, "interest") - raw(repaid, "principal"))).to.be.within(0n, 2n);
    expect(raw(borrowed, "principal")).to.be.within(500n * WAD, 500n * WAD + 2n);
    const [[out], [into]] = [of("transfer-out"), of("transfer-in")] as [[Line], [Line]];
    expect(raw(out, "principal")).to.equal(-raw(into, "principal"));
    expect(into.after!.debt).to.deep.equal(out.before!.debt);
    expect(out.after).to.deep.include({ debt: { ...out.after!.debt, raw: "0", decimal: "0" } });
  });

  it("names accounts and assets by CAIP, has a schema, a CSV twin and a file for each account", async () => {
    const { local } = scene;
    const { vault, collateral } = local.markets[MARKET]!;
    const [adjusted] = of("adjust") as [Line];
    expect(adjusted.chain).to.equal("eip155:31337");
    expect(adjusted.vault).to.equal(`eip155:31337:${await vault.getAddress()}`);
    expect(adjusted.amounts.collateral).to.deep.equal({
      asset: `eip155:31337/erc20:${await collateral.getAddress()}`,
      raw: String(ETH),
      decimal: "1",
    });
    expect(adjusted.time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(adjusted.blockHash).to.equal((await local.ethers.provider.getBlock(adjusted.block))!.hash);
    expect(await read("a", "register.schema.json")).to.equal(
      await readFile("scripts/report/register.schema.json", "utf8"),
    );
    const rows = (await read("a", "register.csv")).trimEnd().split("\n");
    expect(rows).to.have.length(lines.length + 1);
    expect(rows[0]).to.equal(COLUMNS.join(","));
    const accounts = Map.groupBy(lines, ({ account }) => account);
    accounts.delete(undefined);
    expect((await readdir(at("a", "accounts"))).sort()).to.deep.equal(
      [...accounts.keys()].map((account) => `${account!.split(":").at(-1)!}.csv`).sort(),
    );
    const [owner] = of("adjust").map(({ account }) => account!);
    const own = (await read("a", "accounts", `${owner!.split(":").at(-1)!}.csv`)).trimEnd().split("\n");
    expect(own).to.have.length(accounts.get(owner)!.length + 1);
    expect(own[1]).to.match(/,adjust,weth-usdc,100,[^,]+,-1,[^,]+,,,/); // an ether left the wallet
  });

  it("tells what nobody said, and believes no router about a market that is not listed", () => {
    expect(of("unaccounted").map((line) => raw(line, "amount"))).to.deep.equal([12_345n, 7n]);
    const swap = of("swap")[0]!;
    expect(swap.account).to.equal(of("adjust").find(({ sub }) => sub === "200")!.account);
    const forged = new Register(chain);
    return forged
      .lines({
        block: { number: 9, hash: swap.blockHash, timestamp: 0 },
        events: [{ ...eventOf(swap), block: 9 }],
        readings: new Map(),
        transfers: [],
      })
      .then(([line]) => {
        expect(line!.account).to.equal(undefined);
        expect(line!.note).to.match(/^says 0x.+, but no listed market changed a position/);
      });
    function eventOf(line: Line) {
      const asset = (name: AmountName) => line.amounts[name]!.asset.split(":").at(-1)!;
      const [tokenIn, tokenOut] = [asset("sold"), asset("bought")];
      return {
        ...{ contract: "LeverageRouter", name: "Swap", address: line.contract!.split(":").at(-1)! },
        args: {
          owner: line.account!.split(":").at(-1)!,
          ...{ tokenIn, tokenOut, sold: raw(line, "sold"), bought: raw(line, "bought") },
        },
        ...{ transaction: line.transaction!, index: 0 },
      } as RegisterEvent;
    }
  });

  it("verifies a directory without a chain, and says what is wrong with another", async () => {
    expect(await verify(at("a"))).to.deep.include({ problems: [], lines: lines.length });
    await cp(at("a"), at("c"), { recursive: true });
    const problems = async () => (await verify(at("c"))).problems;
    const text = await read("a", "register.jsonl");
    const manifest = await read("a", "manifest.json");
    const become = async (register: string) => {
      await writeFile(at("c", "register.jsonl"), register);
      const digest = digestOf(at("c", "register.jsonl"));
      const json = JSON.parse(manifest) as Manifest;
      const files = json.files.map((file) =>
        file.name === "register.jsonl" ? { ...file, ...digest } : file,
      );
      await writeFile(at("c", "manifest.json"), toJson({ ...json, files }));
    };
    await writeFile(at("c", "register.jsonl"), `${text}{}\n`);
    expect(await problems()).to.match(/^register\.jsonl has SHA-256/);
    // Whoever mends the digest too meets the number of lines, the schema and the sums.
    await become(`${text}{}\n`);
    expect((await problems())[0]).to.match(/^register\.jsonl, line \d+: /);
    const [redeemed] = of("redeem") as [Line];
    const less = {
      ...redeemed,
      changes: { ...redeemed.changes, cash: { ...redeemed.changes.cash!, raw: "-1" } },
    };
    await become(text.replace(JSON.stringify(redeemed), JSON.stringify(less)));
    expect(await problems()).to.deep.equal([
      "weth-usdc: cash changed by " +
        `${sumOf("cash")}, the lines sum to ${sumOf("cash") - BigInt(redeemed.changes.cash!.raw) - 1n}`,
    ]);
    await become(text);
    expect(await problems()).to.deep.equal([]);
    await writeFile(at("c", "notes.txt"), "");
    expect(await problems()).to.deep.equal(["notes.txt is in no manifest"]);
    await writeFile(
      at("c", "manifest.json"),
      manifest.replace("breakwater-register/1", "breakwater-register/0"),
    );
    expect((await problems())[0]).to.match(
      /^it was written as "breakwater-register\/0", and this command verifies/,
    );
    expect((await verify(at("nowhere"))).problems[0]).to.match(/has no manifest\.json: it is no report$/);
    function sumOf(name: Balance) {
      return lines
        .filter(({ market }) => market === MARKET)
        .reduce((sum, { changes }) => sum + BigInt(changes[name]?.raw ?? 0), 0n);
    }
  });

  it("asks for as many blocks as a node answers for, and says what one has thrown away", async () => {
    front.rule = (method, params) => {
      if (method !== "eth_getLogs") return undefined;
      const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }];
      if (Number(toBlock) - Number(fromBlock) < 50) return undefined;
      return { refusal: "query returned more than 10000 results" };
    };
    // Over its own directory.
    expect((await write(scene.from, scene.to, "b")).manifest).to.deep.equal(report.manifest);
    front.rule = (method) =>
      method === "eth_getStorageAt" || method === "eth_getCode"
        ? { refusal: "missing trie node" }
        : undefined;
    await expectRejection(
      write(scene.from, scene.to, "pruned"),
      new RegExp(`does not have the state of block ${scene.from - 1} any more \\("missing trie node"\\)`),
    );
    front.rule = (method) =>
      method === "eth_getLogs" ? { refusal: "pruned history unavailable" } : undefined;
    await expectRejection(
      write(scene.from, scene.to, "pruned"),
      /does not have the logs of blocks \d+ to \d+ any more/,
    );
    front.rule = (method) => (method === "eth_getLogs" ? { edit: () => [] } : undefined);
    await expectRejection(write(scene.from, scene.to, "pruned"), /no event of it: it does not have all logs/);
    const without =
      ({ transaction }: Line): Rule =>
      (method) =>
        method === "eth_getLogs"
          ? {
              edit: (logs) =>
                (logs as { transactionHash: string }[]).filter((log) => log.transactionHash !== transaction),
            }
          : undefined;
    const [top, repaid] = of("adjust") as [Line, Line];
    front.rule = without(repaid);
    await expectRejection(write(scene.from, scene.to, "pruned"), /ReplayError: market 0x.+, block \d+/);
    front.rule = without(top);
    const less = differencesOf((await write(scene.from, scene.to, "less")).reconciliation);
    expect(less[0]).to.match(/^weth-usdc: collateralTokens .+: it differs by 1000000000000000000$/);
    let asked = 0;
    front.rule = (method, params) =>
      method === "eth_getBlockByNumber" && Number(params[0]) === scene.to && ++asked > 2
        ? { edit: (block) => ({ ...(block as object), hash: lines[0]!.blockHash }) }
        : undefined;
    await expectRejection(write(scene.from, scene.to, "pruned"), /the chain was reorganised, run it again/);
    expect(await readdir(directory)).not.to.include("pruned");
  });

  it("refuses what makes no sense, and leaves other people's files alone", async () => {
    await expectRejection(write(9, 8, "no"), /--from 9 is after --to 8/);
    await expectRejection(write(0, 8, "no"), /--from must be 1 at least/);
    await expectRejection(write(1, 99_999, "no"), /--to 99999 is in the future: the newest block is \d+/);
    await writeFile(at("mine.txt"), "mine");
    await expectRejection(
      write(1, 2, "."),
      /files that no earlier report lists: .+; name an empty directory/,
    );
    await expectRejection(write(1, 2, "mine.txt"), /is a file/);
    expect(await read("mine.txt")).to.equal("mine");
    await expectRejection(openChain("http://127.0.0.1:1", addresses), /no chain answers at/);
    const other = { ...scene.local.addresses, chainId: 7 };
    await writeFile(at("7.json"), JSON.stringify(other));
    await expectRejection(openChain(front.url, at("7.json")), /is chain 31337, the addresses are of chain 7/);
    await expectRejection(openChain(front.url, at("8.json")), /no addresses of chain 31337/);
  });

  it("has honest empties: before the deployment, and in a block of nobody's", async () => {
    const none = await write(1, 2, "empty");
    expect([none.manifest.lines, none.manifest.reconciled]).to.deep.equal([0, true]);
    expect((JSON.parse(await read("empty", "solvency-2.json")) as Solvency).markets[0]!.exists).to.be.false;
    const quiet = await write(scene.from - 1, scene.from - 1, "quiet");
    expect([quiet.manifest.lines, quiet.manifest.reconciled]).to.deep.equal([0, true]);
    expect((await verify(at("quiet"))).problems).to.deep.equal([]);
  });

  it("is a command; and fails, with the difference, where the chain has what no event says", async () => {
    const target = ["--rpc", front.url, "--addresses", addresses];
    const { networkHelpers } = connection;
    const vault = scene.local.markets[MARKET]!.vault;
    await networkHelpers.mine(); // a block in which nothing happens
    const before = await networkHelpers.time.latestBlock();
    const at1: unknown = await connection.provider.request({
      method: "eth_getStorageAt",
      params: [await vault.getAddress(), "0x1", "latest"],
    });
    const reserves = (more: bigint) => BigInt(at1 as string) + (more << 104n);
    await networkHelpers.setStorageAt(await vault.getAddress(), 1, reserves(9n));
    await networkHelpers.mine();
    await expectRejection(
      write(before, before + 1, "false"),
      /weth-usdc, block \d+: reserves rose by 9 beyond the events, of interest of 0 that is from 0 to 0/,
    );
    await networkHelpers.setStorageAt(await vault.getAddress(), 1, reserves(0n));
    await networkHelpers.setStorageAt(await vault.getAddress(), 6, 5n); // collateral in the pot
    await networkHelpers.mine();
    const period = ["--from", String(before), "--to", String(before + 2), "--out", at("false")];
    const failed = await command(...period, ...target);
    expect(failed.code, failed.stderr).to.equal(1);
    expect(failed.stderr).to.match(
      /^DIFFERS: weth-usdc: potCollateral \(eip155:31337\/erc20:0x\w+\) was 0, is 5, and the register sums to 0: it differs by 5\n$/,
    );
    expect((await verify(at("false"))).problems).to.not.be.empty;
    const good = await command("--verify", at("a"));
    expect([good.code, good.stdout]).to.deep.equal([
      0,
      `breakwater-register/1: ${lines.length} lines, ${report.manifest.files.length} files, as the manifest says\n`,
    ]);
  });
});
