// npm run watch on a chain that is well, and on one where each thing is wrong.
import { globSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename } from "node:path";

import { expect } from "chai";
import { encodeBytes32String, JsonRpcProvider } from "ethers";

import { Endpoints } from "../../keeper/src/chain/endpoints.ts";
import { type Look, type MarketLook, openWatcher, SLACK_BITS } from "../../scripts/watch/chain.ts";
import { run } from "../../scripts/watch/commands.ts";
import { type Before, BLIND, findings, RULES } from "../../scripts/watch/rules.ts";
import { readThresholds } from "../../scripts/watch/thresholds.ts";
import { execute } from "../support/safe.ts";
import { openStage, type Stage } from "../desk/stage.ts";
import { openWebhook } from "../keeper/operation/support.ts";
import { until } from "../support/keeper.ts";

const MARKET = "weth-usdc";

describe("npm run watch", function () {
  this.timeout(120_000);
  let stage: Stage;
  before(async () => {
    stage = await openStage();
    // One market says as much as three, sooner.
    const [only] = stage.local.addresses.markets.filter(({ id }) => id === MARKET);
    await writeFile(stage.path("one.json"), JSON.stringify({ ...stage.local.addresses, markets: [only] }));
  });
  after(async () => stage.close());
  beforeEach(async () => stage.reset());

  const request = async (method: string, ...params: unknown[]): Promise<unknown> =>
    stage.local.ethers.provider.send(method, params);
  const mine = async (blocks: number) => request("hardhat_mine", `0x${blocks.toString(16)}`);

  async function watch(...args: string[]) {
    const answer = { code: 0, out: "", err: "" };
    answer.code = await run(["--rpc", stage.rpc, "--addresses", stage.path("one.json"), ...args], {
      out: (text) => (answer.out += `${text}\n`),
      err: (text) => (answer.err += `${text}\n`),
      signal: new AbortController().signal,
    });
    return answer;
  }
  const once = async (...args: string[]) => watch("--once", ...args);
  async function thresholds(yaml: string): Promise<string[]> {
    await writeFile(stage.path("thresholds.yaml"), yaml);
    return ["--thresholds", stage.path("thresholds.yaml")];
  }
  /** The rules that fire, each once. */
  async function firing(...args: string[]): Promise<string[]> {
    const { code, out, err } = await once("--json", ...args);
    const { findings } = JSON.parse(out || "{}") as { findings: { rule: string; market?: string }[] };
    expect(code, out + err).to.equal(findings.length > 0 ? 1 : 0);
    return [...new Set(findings.map(({ rule, market }) => [rule, market].join(" ").trim()))].sort();
  }
  /** The market moves there: feeds, pool, and its mean. */
  async function marketAt(price: string): Promise<void> {
    await stage.local.setPrice("ETH/USD", price);
    await stage.arbitrageur.trade();
    await stage.pass(700);
    await stage.local.setPrice("ETH/USD", price);
  }
  /** A contract as if it sent transactions itself. */
  async function as(address: string) {
    await request("hardhat_setBalance", address, "0xde0b6b3a7640000");
    return stage.local.ethers.getImpersonatedSigner(address);
  }
  const vault = () => stage.local.markets[MARKET]!.vault;

  /** A way to the node that can be cut, counts, and refuses as providers do. */
  async function openProxy() {
    const state = {
      isDown: false,
      requests: 0,
      refuse: (_method: string, _params: unknown[]): string | undefined => undefined,
    };
    interface Call {
      id: number;
      method: string;
      params: unknown[];
    }
    const answer = async (body: string) => {
      const headers = { "content-type": "application/json" };
      const answers = (await (await fetch(stage.rpc, { method: "POST", body, headers })).json()) as {
        id: number;
      }[];
      const refused = new Map(
        (JSON.parse(body) as Call[]).map(({ id, method, params }) => [id, state.refuse(method, params)]),
      );
      return answers.map((each) => {
        const message = refused.get(each.id);
        return message === undefined
          ? each
          : { jsonrpc: "2.0", id: each.id, error: { code: -32000, message } };
      });
    };
    const server = createServer((incoming, response) => {
      state.requests++;
      let body = "";
      incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
      incoming.on("end", () => {
        if (state.isDown) return void response.writeHead(503).end();
        answer(body).then(
          (answers) => response.writeHead(200).end(JSON.stringify(answers)),
          () => response.writeHead(502).end(),
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, state, close: () => server.close() };
  }

  it("finds nothing on a chain that is well", async () => {
    const { code, out, err } = await once("--addresses", stage.addresses);
    expect(out + err).to.match(/^Block \d+, .*Z: nothing fires, in 3 markets\.\n$/);
    expect(code).to.equal(0);
  });

  it("finds nothing in markets without debt, and what their books hold to the unit", async () => {
    const provider = new JsonRpcProvider(stage.rpc);
    try {
      const look = await openWatcher(stage.local.addresses, provider);
      const [first] = await vault().queryFilter(vault().filters.Adjust());
      const empty = await look(first!.blockNumber - 1);
      expect(empty.markets.map(({ view, debt }) => [view.totalDebt, debt.liquidatable])).to.deep.equal(
        empty.markets.map(() => [0n, 0n]),
      );
      for (const { slack } of empty.markets) expect(slack!.value).to.equal(0n);
      // 12 positions later, dust of their roundings and nothing else.
      const { markets } = await look(await provider.getBlockNumber());
      for (const { id, view, slack, debt } of markets) {
        expect(debt.ofTicks, id).to.equal(view.bookDebt);
        expect(slack!.value >= 0n && slack!.value < 10n << SLACK_BITS, `${id}: ${slack!.value}`).to.equal(
          true,
        );
      }
    } finally {
      provider.destroy();
    }
  });

  it("page when sources diverge, when a feed is late, and when it is lost", async () => {
    await stage.local.setPrice("ETH/USD", "1400");
    expect(await firing()).to.deep.equal([`diverged ${MARKET}`]);
    await stage.reset();
    await stage.local.setPrice("ETH/USD", "2000");
    await stage.pass(3_400);
    expect(await firing()).to.deep.equal([`feed-age ${MARKET}`]);
    await stage.pass(300);
    expect(await firing()).to.deep.equal([`feed-age ${MARKET}`, `feed-lost ${MARKET}`]);
  });

  it("page when debt stands for n blocks that somebody could liquidate, and not before", async () => {
    await marketAt("1650");
    expect(await firing()).to.not.include(`keeper-silent ${MARKET}`);
    await mine(12);
    const { code, out } = await once();
    expect(code).to.equal(1);
    expect(out).to.match(
      /page +keeper-silent +weth-usdc: [\d,.]+ USDC of debt are liquidatable, and nobody has liquidated anything for 1\d blocks {2}\(docs\/runbooks\/keeper-outage\.md\)/,
    );
    const off = await thresholds(`markets: { ${MARKET}: { keeper-silent: off } }`);
    expect(await firing(...off)).to.not.include(`keeper-silent ${MARKET}`);
    // Paused: nobody could.
    await stage.local.contracts.brake
      .connect(await as(stage.local.addresses.safes.pauser))
      .pause(vault(), 3, 3_600, encodeBytes32String("wrong-price"));
    expect(await firing())
      .to.include(`paused ${MARKET}`)
      .and.not.include(`keeper-silent ${MARKET}`);
  });

  it("page for debt without collateral, and for a pot that nobody buys", async () => {
    await marketAt("1100");
    expect(await firing()).to.include(`shortfall ${MARKET}`);
    const { liquidator } = stage.local.contracts;
    await (await liquidator.connect(stage.keeper).seize(vault(), 0)).wait();
    const limits = await thresholds("pot: { seconds: 60 }");
    await stage.pass(120);
    await stage.local.setPrice("ETH/USD", "1100");
    expect(await firing(...limits)).to.include(`pot ${MARKET}`);
    const { debt } = stage.local.markets[MARKET]!;
    await (await debt.mint(stage.keeper, 10n ** 13n)).wait();
    await (await debt.connect(stage.keeper).approve(liquidator, 10n ** 13n)).wait();
    const order = {
      market: vault(),
      maxRepay: 10n ** 13n,
      minCollateral: 0,
      fromTick: 2 ** 23 - 1,
      maxTicks: 0,
    };
    const rest = { buyPot: true, deadline: 2n ** 40n, receiver: stage.keeper };
    await (await liquidator.connect(stage.keeper).liquidate({ ...order, ...rest }, "0x")).wait();
    const found = await firing(...limits);
    expect(found).to.include(`loss ${MARKET}`).and.not.include(`pot ${MARKET}`);
    expect(found.filter((rule) => rule.startsWith("books"))).to.deep.equal([]);
  });

  it("page when books do not hold what they promise", async () => {
    const { collateral, debt } = stage.local.markets[MARKET]!;
    const thief = await as(await vault().getAddress());
    await (await collateral.connect(thief).transfer(stage.keeper, 10n ** 15n)).wait();
    await (await debt.connect(thief).transfer(stage.keeper, 1n)).wait();
    const { out } = await once();
    expect(out)
      .to.match(/page +books +weth-usdc: it promises \d{15} units of collateral more than it holds/)
      .and.match(/page +books +weth-usdc: it holds [\d,.]+ USDC and books cash of/);
  });

  it("page for a market that does not know what the brake told it, and one that cannot be read", async () => {
    const { brake } = stage.local.contracts;
    await brake
      .connect(await as(stage.local.addresses.safes.pauser))
      .pause(vault(), 1, 3_600, encodeBytes32String("test"));
    expect(await firing()).to.deep.equal([`paused ${MARKET}`]);
    await vault()
      .connect(await as(await brake.getAddress()))
      .setBrake(0, 0, 0);
    expect(await firing()).to.deep.equal([`deaf ${MARKET}`]);
    await request("hardhat_setCode", await vault().getAddress(), "0x60006000fd");
    const { code, out, err } = await once("--addresses", stage.addresses);
    expect([code, out.match(/unreadable/g)?.length], out + err).to.deep.equal([1, 1]);
    expect(out).to.match(/in 2 markets/);
  });

  it("page for what is scheduled unless it is known, and for a Safe that changed", async () => {
    const { contracts, signers, safes } = stage.local;
    const data = contracts.manager.interface.encodeFunctionData("schedule", [
      await vault().getAddress(),
      vault().interface.encodeFunctionData("setReserveFactor", [20]),
      0,
    ]);
    await execute(safes.governor, signers.governors, contracts.manager, data);
    const { out } = await once();
    const [, id] = /page +scheduled .*\(operation (0x[0-9a-f]{64})\)/.exec(out) ?? [];
    expect(await firing(...(await thresholds(`scheduled: { known: ["${id}"] }`)))).to.deep.equal([]);
    const swap = safes.pauser.interface.encodeFunctionData("changeThreshold", [3]);
    await execute(safes.pauser, signers.pausers, safes.pauser, swap);
    expect(await firing()).to.deep.equal(["safe-changed", "scheduled"]);
  });

  it("forgets what a reorganisation took back", async () => {
    const provider = new JsonRpcProvider(stage.rpc, undefined, { cacheTimeout: -1 });
    try {
      const look = await openWatcher(stage.local.addresses, provider);
      const slacks = async () => {
        const { reorged, markets } = await look(await provider.getBlockNumber());
        return { reorged, slack: markets.map(({ slack }) => slack!.value) };
      };
      await mine(3);
      const before = await slacks();
      const snapshot = await request("evm_snapshot");
      const owner = stage.owners[0]!;
      const { collateral } = stage.local.markets[MARKET]!;
      await (await collateral.mint(owner, 10n ** 18n)).wait();
      // A position without debt: all of it is surplus.
      await (
        await vault()
          .connect(owner)
          .adjust(owner, 99, 10n ** 18n, 0, owner, "0x")
      ).wait();
      expect(await slacks()).to.deep.equal(before);
      await request("evm_revert", snapshot);
      await mine(5);
      expect(await slacks()).to.deep.equal({ ...before, reorged: true });
      expect(await slacks()).to.deep.equal(before);
    } finally {
      provider.destroy();
    }
  });

  it("looks with one request, at most; and around what a node refuses or no longer has", async () => {
    const proxy = await openProxy();
    const { state, url } = proxy;
    const provider = new Endpoints({ urls: [url], chainId: 31337, onEvent: () => undefined });
    try {
      const look = await openWatcher(stage.local.addresses, provider);
      const head = await provider.getBlockNumber();
      await look(head);
      await mine(2);
      state.requests = 0;
      await look(head + 2);
      expect(state.requests).to.equal(1);

      const range = (params: unknown[]) => params[0] as { fromBlock: string; toBlock: string };
      state.refuse = (method, params) =>
        method === "eth_getLogs" && Number(range(params).toBlock) - Number(range(params).fromBlock) > 60
          ? "query returned more than 60 blocks"
          : undefined;
      const limited = await once("--rpc", url);
      expect([limited.code, limited.out], limited.out + limited.err).to.deep.equal([0, limited.out]);
      state.refuse = (method, params) =>
        (method === "eth_getLogs" && Number(range(params).fromBlock) < head) ||
        (method === "eth_call" && Number(params[1]) < head)
          ? "missing trie node"
          : undefined;
      const pruned = await once("--rpc", url);
      expect(pruned.out, pruned.err).to.match(
        /^unseen +events before block \d+: missing trie node\nBlock \d+, .*: nothing fires/,
      );
      expect(pruned.code).to.equal(2);
    } finally {
      provider.destroy();
      proxy.close();
    }
  });

  it("says with 2 that it could not look: no chain, another chain, no such file, a node that stands", async () => {
    const nowhere = await once("--rpc", "http://127.0.0.1:1");
    expect([nowhere.code, nowhere.err]).to.deep.equal([2, nowhere.err]);
    expect(nowhere.err).to.match(/^Could not look: no endpoint answers: 127\.0\.0\.1:1/);
    const addresses = { ...stage.local.addresses, chainId: 5 };
    await writeFile(stage.path("other.json"), JSON.stringify(addresses));
    const other = await once("--addresses", stage.path("other.json"));
    expect([other.code, /is chain 31337, not 5/.test(other.err)], other.err).to.deep.equal([2, true]);
    expect((await once("--addresses", stage.path("none.json"))).code).to.equal(2);
    expect((await once("--no-such-option")).code).to.equal(2);
    const bad = await once(...(await thresholds("pot: { second: 5 }")));
    expect([bad.code, /pot: Unrecognized key: "second"/.test(bad.err)], bad.err).to.deep.equal([2, true]);
  });

  describe("without --once", () => {
    it("tells once what fires, with metrics and health, and that it sees nothing any more", async () => {
      const [hook, proxy] = [await openWebhook(), await openProxy()];
      const stop = new AbortController();
      let out = "";
      const limits = await thresholds("blind: { seconds: 2 }");
      process.env.WEBHOOK_URL = hook.url;
      const args = [
        "--rpc",
        proxy.url,
        "--addresses",
        stage.addresses,
        "--metrics-port",
        "0",
        "--poll",
        "100",
      ];
      const ended = run([...args, ...limits], {
        out: (text) => (out += `${text}\n`),
        err: (text) => (out += `${text}\n`),
        signal: stop.signal,
      });
      try {
        delete process.env.WEBHOOK_URL;
        await until(
          "it listens",
          () => /metrics on/.test(out),
          () => out,
        );
        const [, url] = /metrics on (\S+)\/metrics/.exec(out)!;
        const metrics = async () => (await fetch(`${url}/metrics`)).text();
        await until(
          "it looks",
          async () => /watch_looks_total [1-9]/.test(await metrics()),
          () => out,
        );
        expect(await metrics()).to.match(/watch_price_state\{market="weth-usdc",state="Fresh"\} 1/);
        await stage.local.setPrice("ETH/USD", "1400");
        const keys = () => hook.bodies.map(({ severity, key }) => `${String(severity)} ${String(key)}`);
        await until(
          "it alerts",
          () => keys().includes(`page diverged ${MARKET}`),
          () => out,
        );
        expect(await metrics()).to.match(
          /watch_firing\{rule="diverged",market="weth-usdc",severity="page"\} 1/,
        );
        const { text } = hook.bodies.find(({ key }) => key === `diverged ${MARKET}`)!;
        expect(text).to.match(/^watch, chain 31337: page: .*docs\/runbooks\/wrong-price\.md/);
        await mine(1);
        proxy.state.isDown = true;
        await until(
          "it is blind",
          () => keys().includes("page blind"),
          () => out,
        );
        const isWell = async () => (await fetch(`${url}/health`)).ok;
        await until(
          "it is not well",
          async () => !(await isWell()),
          () => out,
        );
        proxy.state.isDown = false;
        await mine(1);
        await until("it is well again", isWell, () => out);
        expect(keys().filter((key) => key === `page diverged ${MARKET}`)).to.have.lengthOf(1);
      } finally {
        stop.abort();
        expect(await ended).to.equal(0);
        proxy.close();
        await hook.close();
      }
    });
  });
});

describe("the rules of the watch", () => {
  // A market that is well, in units of no decimals; each case makes one thing wrong.
  const DAY = 86_400n;
  const wellView = {
    price: { low: 100n, high: 101n },
    bookDebt: 1_000n,
    totalDebt: 1_000n,
    cash: 500n,
    reserves: 0n,
    insurance: 50n,
    potDebt: 0n,
    sharePrice: 10n ** 6n,
    utilization: 6n * 10n ** 17n,
    caps: { debt: 2_000n * 10n ** 6n, collateral: 2_000n * 10n ** 6n },
    cascadeCap: 0n,
    cascadeWindow: 0n,
    cascadeLeft: 0n,
    liquidationsPausedUntil: 0n,
    graceUntil: 0n,
    noNewRiskUntil: 0n,
  };
  const well = {
    id: "m",
    symbols: { collateral: "C", debt: "D" },
    decimals: { collateral: 0, debt: 0 },
    view: wellView as unknown as MarketLook["view"],
    priceState: "Fresh",
    oracle: { band: 300n, feeds: [], veto: { left: DAY, full: DAY } },
    brake: {
      level: "None",
      until: 0n,
      reason: "none",
      reporter: "0x",
      told: { pausedUntil: 0n, graceUntil: 0n, noNewRiskUntil: 0n },
      budgets: { liquidations: { left: DAY, full: DAY }, newRisk: { left: DAY, full: DAY } },
    },
    held: { debt: 500n, collateral: 1_000n },
    debt: { liquidatable: 0n, canLiquidate: false, shortfall: 0n, ofTicks: 1_000n },
    pot: { seizedAt: 0n },
    slack: { value: 0n, error: 0n },
    lastLiquidation: undefined,
  } satisfies MarketLook;
  const view = (changes: Partial<typeof wellView>) => ({
    view: { ...wellView, ...changes } as unknown as MarketLook["view"],
  });
  function rulesOf(
    market: Partial<MarketLook>,
    {
      look = {},
      before = {},
      yaml = "",
    }: { look?: Partial<Look>; before?: Partial<Before>; yaml?: string } = {},
  ): string[] {
    const seen: Look = {
      ...{ block: 1_000, hash: "0x", time: 10n * DAY, markets: [{ ...well, ...market }], unreadable: [] },
      ...{ scheduled: [], recent: [], missingInsurance: [], unseen: [], reorged: false },
      ...look,
    };
    return findings(seen, readThresholds(yaml, ["m"]), { standing: new Map(), ...before }).map(
      ({ rule }) => rule,
    );
  }

  it("are silent on a market that is well", () => {
    expect(rulesOf({})).to.deep.equal([]);
  });

  it("fire beyond their threshold, and not at it", () => {
    const at = (rule: string, still: string[], firing: string[]) =>
      expect([still, firing], rule).to.deep.equal([[], [rule]]);
    const price = (high: bigint) => rulesOf(view({ price: { low: 10_000n, high } }));
    at("spread", price(10_240n), price(10_241n));
    const veto = (left: bigint) => rulesOf({ oracle: { ...well.oracle, veto: { left, full: DAY } } });
    at("veto", veto(DAY / 2n), veto(DAY / 2n - 1n));
    const age = (seconds: bigint | undefined) =>
      rulesOf({ oracle: { ...well.oracle, feeds: [{ name: "feed", age: seconds, maxAge: 1_000n }] } });
    at("feed-age", age(900n), age(901n));
    expect(age(undefined)).to.deep.equal(["feed-age"]);
    const insured = (insurance: bigint) =>
      rulesOf(view({ insurance }), { yaml: "insurance: { percentOfDebt: 5 }" });
    at("insurance", insured(50n), insured(49n));
    const pot = (seizedAt: bigint) => rulesOf({ ...view({ potDebt: 1n }), pot: { seizedAt } });
    at("pot", pot(10n * DAY - 1_799n), pot(10n * DAY - 1_800n));
    const utilization = (value: bigint) => rulesOf(view({ utilization: value }));
    at("utilization", utilization(98n * 10n ** 16n), utilization(98n * 10n ** 16n + 1n));
    const capped = (debt: bigint) => rulesOf(view({ caps: { debt, collateral: 10n ** 12n } }));
    at("caps", capped(1_112n * 10n ** 6n), capped(1_111n * 10n ** 6n));
    const held = (collateral: bigint) => rulesOf({ held: { debt: 500n, collateral } });
    at("caps", held(1_800n), held(1_801n));
    const cascade = (cascadeLeft: bigint) =>
      rulesOf(view({ cascadeCap: 5n, cascadeWindow: 60n, cascadeLeft }));
    at("cascade", cascade(10n ** 12n), cascade(10n ** 12n - 1n));
    const budget = (left: bigint) =>
      rulesOf({ brake: { ...well.brake, budgets: { ...well.brake.budgets, newRisk: { left, full: DAY } } } });
    at("budget", budget(DAY / 4n), budget(DAY / 4n - 1n));
  });

  it("tell keepers that are silent from keepers that do not keep up", () => {
    const debt = { ...well.debt, liquidatable: 2n, canLiquidate: true };
    const standing = (since: number, more: Partial<MarketLook> = {}) =>
      rulesOf({ debt, ...more }, { before: { standing: new Map([["m", since]]) } });
    expect(standing(991)).to.deep.equal([]);
    expect(standing(990)).to.deep.equal(["keeper-silent"]);
    expect(standing(990, { lastLiquidation: 991 })).to.deep.equal([]);
    expect(standing(950, { lastLiquidation: 991 })).to.deep.equal(["keeper-behind"]);
    expect(standing(950, { debt: { ...debt, canLiquidate: false } })).to.deep.equal([]);
    expect(standing(950, { debt: { ...debt, liquidatable: 1n } }), "dust").to.deep.equal([]);
  });

  it("compare books with themselves and with the last look's", () => {
    const look = { markets: [{ ...well, slack: { value: 5n, error: 1n } }], block: 999 } as unknown as Look;
    const now = (market: Partial<MarketLook>, more: Partial<Look> = {}) =>
      rulesOf({ slack: { value: 5n, error: 1n }, ...market }, { before: { look }, look: more });
    expect(now({})).to.deep.equal([]);
    expect(now({ slack: { value: 3n, error: 1n } }), "within the roundings").to.deep.equal([]);
    expect(now({ slack: { value: 2n, error: 1n } })).to.deep.equal(["books"]);
    expect(now({ slack: undefined })).to.deep.equal([]);
    expect(now({ held: { debt: 499n, collateral: 1_000n } })).to.deep.equal(["books"]);
    expect(now({ debt: { ...well.debt, ofTicks: 999n } })).to.deep.equal(["books"]);
    expect(now({}, { missingInsurance: [{ token: "0x", booked: 2n, held: 1n }] })).to.deep.equal(["books"]);
    const fallen = view({ sharePrice: 999_000n });
    expect(now(fallen)).to.deep.equal(["books"]);
    const loss = { rule: "loss", block: 1_000, market: "m", amount: 1n, words: "" } as const;
    expect(now(fallen, { recent: [loss] })).to.deep.equal(["loss"]);
  });

  it("tell what happened lately for as long as the threshold says", () => {
    for (const rule of ["upgraded", "recovery", "safe-changed"] as const) {
      const lately = (block: number) => rulesOf({}, { look: { recent: [{ rule, block, words: "" }] } });
      expect([lately(700), lately(701)]).to.deep.equal([[], [rule]]);
    }
  });

  it("name a runbook each, which names them", () => {
    const named = Object.fromEntries(
      globSync("docs/runbooks/*.md").map((file) => {
        const [, names = ""] = /^\*\*Watch:\*\* (.*)$/m.exec(readFileSync(file, "utf8")) ?? [];
        return [basename(file, ".md"), [...names.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name!).sort()];
      }),
    );
    const rules = Object.entries({ ...RULES, blind: BLIND });
    const expected = Object.groupBy(rules, ([, { runbook }]) => runbook);
    expect(named).to.deep.equal(
      Object.fromEntries(
        Object.entries(expected).map(([book, found]) => [book, found!.map(([name]) => name).sort()]),
      ),
    );
    const page = readFileSync("docs/watch.md", "utf8");
    for (const [name] of rules) expect(page).to.include(`\`${name}\``);
  });

  it("fail closed on thresholds that they do not know", () => {
    const refused = (yaml: string) => {
      try {
        readThresholds(yaml, ["a", "b"]);
      } catch (error) {
        return (error as Error).message;
      }
      return "taken";
    };
    expect(refused("divergd: {}")).to.match(/divergd: is no rule; there are diverged, /);
    expect(refused("utilization: { percent: 101 }")).to.match(/utilization\.percent: Too big/);
    expect(refused("utilization: { percent: '98' }")).to.match(/utilization\.percent: Invalid input/);
    expect(refused("pot: on")).to.match(/pot: Invalid input/);
    expect(refused("markets: { c: { pot: off } }")).to.match(/markets\.c: there are a, b/);
    expect(refused("markets: { a: { pt: off } }")).to.match(/markets\.a\.pt: is no rule/);
    expect(refused("markets: { a: { scheduled: off } }")).to.match(
      /markets\.a\.scheduled: belongs to no market/,
    );
    expect(refused("[1]")).to.match(/the file: must be a mapping/);
    expect(refused("a: [")).to.match(/is no YAML/);
    expect(refused("")).to.equal("taken");
  });

  it("take a market's threshold before that of all, and that before the default", () => {
    const thresholds = readThresholds(
      "utilization: { percent: 95 }\nmarkets: { a: { utilization: off, pot: { seconds: 60 } } }",
      ["a", "b"],
    );
    expect(thresholds("utilization", "a")).to.equal(undefined);
    expect(thresholds("utilization", "b")).to.deep.equal({ percent: 95 });
    expect(thresholds("pot", "a")).to.deep.equal({ seconds: 60 });
    expect(thresholds("pot", "b")).to.deep.equal({ seconds: 1_800 });
  });
});
