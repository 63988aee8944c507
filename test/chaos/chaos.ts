import { closeSync, existsSync, openSync } from "node:fs";

import { expect } from "chai";
import { network } from "hardhat";
import { Client } from "pg";

import { Endpoints } from "../../keeper/src/chain/endpoints.ts";
import type { KeeperEvent } from "../../keeper/src/events.ts";
import { openSharedLease } from "../../keeper/src/lease.ts";

import { expectRejection, until } from "../support/keeper.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import type { Front } from "./front.ts";
import { type Stage, openStage } from "./stage.ts";

// Everything that goes wrong around a keeper: each time nothing is sent twice, no nonce is stuck, the keeper goes on
// without a person's doing, and says what happened. `npm run test:chaos`; npm test leaves it out.

(process.env.CHAOS ? describe : describe.skip)("chaos", function () {
  this.timeout(240_000);
  // On a busy machine a step may come too late for what it is to break; a defect shows twice.
  this.retries(1);
  let stage: Stage;

  before(async () => {
    stage = await openStage();
  });
  after(async () => stage.close());
  beforeEach(async () => stage.reset());

  type Running = Awaited<ReturnType<Stage["keeper"]>>;

  /** The fall that makes the first position liquidatable, and the next ones. */
  const PRICES = ["1830", "1815", "1795", "1765"];
  const fall = async (times = 0, baseFee?: bigint) => stage.setPrice(PRICES[times]!, baseFee);

  type EndpointEvent = Extract<KeeperEvent, { kind: "endpoint" }>;

  const changes = async (keeper: Running, { host }: Front, to: EndpointEvent["state"]) =>
    keeper.sees("endpoint", ({ endpoint, state }) => endpoint === host && state === to);

  /** Every opportunity was taken once, and the next one is taken too. */
  async function expectRecovery(keeper: Running, falls = 1): Promise<void> {
    const before = await stage.liquidations();
    await keeper.sees("taken", () => true, 1);
    await stage.expectNothingStuck(stage.account.address);
    await fall(falls);
    await until("another liquidation", async () => (await stage.liquidations()) > before);
    await stage.expectNothingStuck(stage.account.address);
    await expectNoDoubleSend();
    expect(await keeper.metric("keeper_opportunities_taken_total")).to.be.greaterThan(0);
  }

  /** A second send would be a liquidation that found nothing, or a gap in the nonces. */
  async function expectNoDoubleSend(reverted = 0): Promise<void> {
    const sent = await stage.sent(stage.account.address);
    const failed = sent.filter(({ status }) => status === 0);
    const why = await Promise.all(
      failed.map(async ({ hash, index, gasUsed }) => {
        const { nonce, gasLimit } = (await stage.provider.getTransaction(hash))!;
        return `nonce ${nonce}, #${index} in its block, ${gasUsed} of ${gasLimit} gas`;
      }),
    );
    expect(failed, why.join("; ")).to.have.lengthOf(reverted);
    const useful = sent.filter(({ status, logs }) => status === 1 && logs.length > 0);
    expect(useful).to.have.lengthOf(await stage.liquidations());
  }

  it("liquidates when nothing goes wrong", async () => {
    const { asked } = stage.front;
    const keeper = await stage.keeper();
    await keeper.sees("block");
    const [blocks, requests] = [keeper.of("block").length, asked.length];
    await keeper.sees("block", () => true, blocks + 10);
    // Idle: looks for a new block aside, one request a block at most.
    const idle = asked
      .slice(requests)
      .filter((methods) => methods.some((m) => !/chainId|blockNumber/.test(m)));
    expect(idle.length).to.be.at.most(keeper.of("block").length - blocks + 1);
    await fall();
    await expectRecovery(keeper);
  });

  it("fills the gap that a node's lie about its nonce has left", async () => {
    const keeper = await stage.keeper();
    stage.front.faults.nonces = 2;
    await fall();
    const [sent] = await keeper.sees("sent");
    expect(sent!.nonce).to.equal(2);
    stage.front.heal();
    await keeper.sees("sent", () => true, 3);
    await expectRecovery(keeper);
  });

  it("takes the place of its own transaction that a lost journal forgot", async () => {
    const { provider, account } = stage;
    const baseFee = 20n * 10n ** 9n;
    await fall(0, baseFee);
    await stage.tick(200, baseFee);
    // Pending for ever: its fee is too low.
    const cheap = { maxFeePerGas: 10n ** 9n, maxPriorityFeePerGas: 1n, gasLimit: 21_000n };
    await account.connect(provider).sendTransaction({ ...cheap, to: account.address, nonce: 0 });
    const keeper = await stage.keeper();
    const [sent] = await keeper.sees("sent");
    expect(sent!.nonce).to.equal(0);
    await keeper.sees("taken");
    await expectRecovery(keeper);
  });

  it("leaves an endpoint that stalls for the next one, and comes back", async () => {
    const { front, second } = stage;
    const keeper = await stage.keeper({ fronts: [front, second] });
    front.faults.stalls = true;
    await fall();
    await changes(keeper, front, "down");
    await keeper.sees("taken");
    front.heal();
    await changes(keeper, front, "up");
    expect(await keeper.metric("keeper_endpoint_changes_total", { state: "down" })).to.equal(1);
    await expectRecovery(keeper);
  });

  it("outlasts the stall of its only endpoint", async () => {
    const keeper = await stage.keeper();
    await keeper.sees("block");
    stage.front.faults.stalls = true;
    await fall();
    await keeper.sees("round failed");
    stage.front.heal();
    await keeper.sees("taken");
    expect(await keeper.metric("keeper_rounds_failed_total")).to.be.greaterThan(0);
    await expectRecovery(keeper);
  });

  it("waits out its only endpoint's 429", async () => {
    const keeper = await stage.keeper();
    await keeper.sees("block");
    stage.front.faults.limits = true;
    await fall();
    const [down] = await changes(keeper, stage.front, "down");
    expect(down!.words).to.equal("HTTP 429");
    stage.front.heal();
    await keeper.sees("taken");
    await expectRecovery(keeper);
  });

  it("does not read the wrong chain", async () => {
    const { front, second } = stage;
    front.faults.chainId = "0x1";
    front.faults.lies = true;
    const keeper = await stage.keeper({ fronts: [front, second] });
    const [wrong] = await changes(keeper, front, "wrong chain");
    expect(wrong!.words).to.equal("is chain 1, not 31337");
    await fall();
    await keeper.sees("taken");
    expect(
      await keeper.metric("keeper_endpoint_state", { endpoint: front.host, state: "wrong chain" }),
    ).to.equal(1);
    front.heal();
    await changes(keeper, front, "up");
    await expectRecovery(keeper);
  });

  it("leaves an endpoint whose head goes backwards", async () => {
    const { front, second } = stage;
    const keeper = await stage.keeper({ fronts: [front, second] });
    await keeper.sees("block");
    front.faults.behind = 6;
    await changes(keeper, front, "stale");
    await fall();
    await keeper.sees("taken");
    front.heal();
    await changes(keeper, front, "up");
    expect(await keeper.metric("keeper_endpoint_changes_total", { state: "stale" })).to.equal(1);
    await expectRecovery(keeper);
  });

  it("follows a head that goes backwards everywhere", async () => {
    const keeper = await stage.keeper();
    const { networkHelpers } = stage.connection;
    const snapshot = await networkHelpers.takeSnapshot();
    await keeper.sees("block", () => true, 5);
    await snapshot.restore();
    await stage.tick(200);
    const last = keeper.of("block").at(-1)!.block;
    await until("an older block", () => keeper.of("block").at(-1)!.block < last);
    await fall();
    await expectRecovery(keeper);
  });

  it("sends again what a reorganisation took out of its block, with the same nonce", async () => {
    const keeper = await stage.keeper();
    await fall();
    await stage.tick(undefined);
    const [sent] = await keeper.sees("sent");
    const snapshot = await stage.connection.networkHelpers.takeSnapshot();
    await stage.tick(200);
    await keeper.sees("taken");
    await stage.tick(undefined);
    await snapshot.restore();
    await stage.tick(undefined);
    await keeper.sees("reorged");
    await stage.tick(200);
    await keeper.sees("mined", ({ nonce }) => nonce === sent!.nonce, 2);
    expect(await keeper.metric("keeper_transactions_total", { event: "reorged" })).to.equal(1);
    // If the last block before was still being looked at, it may have been taken back first, and sent anew.
    await until("the liquidation again", async () => (await stage.liquidations()) === 1);
    await expectRecovery(keeper);
  });

  it("follows a base fee × 50 up to what the opportunity is worth", async () => {
    const keeper = await stage.keeper();
    await fall(0, 20n * 10n ** 9n);
    await stage.tick(undefined);
    const [sent] = await keeper.sees("sent");
    const { baseFeePerGas } = (await stage.provider.getBlock("latest"))!;
    await stage.request("hardhat_setNextBlockBaseFeePerGas", `0x${(baseFeePerGas! * 50n).toString(16)}`);
    await stage.request("evm_mine");
    await keeper.sees("replaced", ({ nonce }) => nonce === sent!.nonce);
    await stage.tick(200);
    await keeper.sees("taken");
    expect(keeper.of("taken")[0]!.profitWei! > keeper.of("taken")[0]!.gasPaid).to.be.true;
    expect(await keeper.metric("keeper_transactions_total", { event: "replaced" })).to.be.greaterThan(0);
    expect(await stage.sent(stage.account.address)).to.have.lengthOf(1);
    await expectRecovery(keeper);
  });

  it("holds what costs more than it is worth, and sends it when the fee has fallen", async () => {
    const keeper = await stage.keeper();
    await fall();
    await stage.tick(undefined);
    const [sent] = await keeper.sees("sent");
    const dear = `0x${(10n ** 15n).toString(16)}`;
    await stage.request("hardhat_setNextBlockBaseFeePerGas", dear);
    await stage.request("evm_mine");
    await keeper.sees("held", ({ nonce }) => nonce === sent!.nonce);
    expect(await keeper.metric("keeper_transactions_total", { event: "held" })).to.equal(1);
    await stage.request("hardhat_setNextBlockBaseFeePerGas", "0x3b9aca00");
    await stage.tick(200);
    await until("a liquidation", async () => (await stage.liquidations()) === 1);
    await expectRecovery(keeper);
  });

  it("loses to a competing keeper once, and not again", async () => {
    const { rival } = stage;
    const keeper = await stage.keeper();
    await fall();
    await stage.tick(undefined);
    const [sent] = await keeper.sees("sent");
    const { to, data } = (await stage.provider.getTransaction(sent!.hash))!;
    await rival.connect(stage.provider).sendTransaction({
      ...{ to, data, gasLimit: 3_000_000n },
      ...{ maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 10n ** 11n },
    });
    await stage.request("evm_mine");
    const [missed] = await keeper.sees("missed");
    expect(missed!.cause).to.equal("lost race");
    expect(missed!.gasPaid > 0n).to.be.true;
    expect(await keeper.metric("keeper_opportunities_missed_total", { cause: "lost race" })).to.equal(1);
    await stage.tick(200);
    await stage.expectNothingStuck(stage.account.address);
    await fall(1);
    await keeper.sees("taken");
    const receipts = await stage.sent(stage.account.address);
    expect(receipts.map(({ status }) => status)).to.deep.equal([0, 1]);
  });

  it("takes back what a competing keeper has taken before it was mined", async () => {
    const { rival } = stage;
    const keeper = await stage.keeper();
    await fall();
    await stage.tick(undefined);
    const [sent] = await keeper.sees("sent");
    const { to, data } = (await stage.provider.getTransaction(sent!.hash))!;
    // Too dear for ours, not for the rival's.
    await stage.request("hardhat_setNextBlockBaseFeePerGas", "0x2540be400");
    await rival.connect(stage.provider).sendTransaction({
      ...{ to, data, gasLimit: 3_000_000n },
      ...{ maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 10n ** 11n },
    });
    await stage.request("evm_mine");
    await keeper.sees("replaced", ({ why }) => why === "taken back");
    await stage.tick(200);
    const [missed] = await keeper.sees("missed");
    expect(missed!.cause).to.equal("lost race");
    await stage.expectNothingStuck(stage.account.address);
    await fall(1);
    await keeper.sees("taken");
    const receipts = await stage.sent(stage.account.address);
    expect(receipts.map(({ logs }) => logs.length > 0)).to.deep.equal([false, true]);
  });

  it("says that it is out of gas money, and goes on when it has some", async () => {
    const keeper = await stage.keeper();
    const { address } = stage.account;
    await stage.request("hardhat_setBalance", address, "0x64");
    await fall();
    await keeper.sees("missed", ({ cause }) => cause === "no gas money");
    await keeper.sees("balance", ({ wei }) => wei < 10n ** 15n);
    expect(await keeper.metric("keeper_balance_eth")).to.be.lessThan(0.001);
    expect(await keeper.metric("keeper_opportunities_missed_total", { cause: "no gas money" })).to.equal(1);
    expect(await stage.sent(address)).to.have.lengthOf(0);
    await stage.request("hardhat_setBalance", address, `0x${(10n ** 20n).toString(16)}`);
    await expectRecovery(keeper);
  });

  it("pays the gas of a pause that began between quote and send once, waits, and goes on", async () => {
    const { brake } = stage.local.contracts;
    const { sentinel } = stage.local.signers;
    const keeper = await stage.keeper();
    let paused = false;
    stage.front.faults.before.eth_sendRawTransaction = async () => {
      if (paused) return;
      paused = true;
      const reason = `0x${"0".repeat(64)}`;
      const fees = { maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 10n ** 11n, gasLimit: 500_000n };
      await brake.connect(sentinel).pauseBriefly(stage.market.vault, 3, 600, reason, fees);
    };
    await fall();
    const [missed] = await keeper.sees("missed");
    expect(missed!.cause).to.equal("paused");
    expect(await keeper.metric("keeper_opportunities_missed_total", { cause: "paused" })).to.equal(1);
    const count = (await stage.sent(stage.account.address)).length;
    expect(count).to.equal(1);
    const { graceUntil } = await brake.stateOf(stage.market.vault);
    await keeper.sees("block", () => true, keeper.of("block").length + 3);
    expect(await stage.sent(stage.account.address)).to.have.lengthOf(count);
    await stage.request("evm_setNextBlockTimestamp", `0x${graceUntil.toString(16)}`);
    await fall(1);
    await keeper.sees("taken");
    await stage.expectNothingStuck(stage.account.address);
    await expectNoDoubleSend(1);
  });

  it("hears that its second endpoint lies, and believes the first", async () => {
    const { front, second } = stage;
    const keeper = await stage.keeper({ fronts: [front, second] });
    second.faults.lies = true;
    second.faults.swallows = true;
    await changes(keeper, second, "disagrees");
    expect(
      await keeper.metric("keeper_endpoint_state", { endpoint: second.host, state: "disagrees" }),
    ).to.equal(1);
    await fall();
    await keeper.sees("taken");
    second.heal();
    await changes(keeper, second, "up");
    await expectRecovery(keeper);
  });

  it("is not moved by a clock that jumps", async () => {
    const keeper = await stage.keeper();
    await keeper.sees("block");
    const now = Date.now;
    try {
      Date.now = () => now() + 86_400_000;
      await fall();
      await keeper.sees("taken");
      expect(await keeper.metric("keeper_block_lag_seconds")).to.be.greaterThan(80_000);
      Date.now = () => now() - 86_400_000;
      await expectRecovery(keeper);
    } finally {
      Date.now = now;
    }
  });

  it("refuses to share a journal", async () => {
    await stage.keeper();
    await expectRejection(stage.keeper(), /another keeper uses this journal/);
  });

  it("sends once when two keepers have one key and two journals", async () => {
    const first = await stage.keeper({ journalName: "first" });
    const second = await stage.keeper({ journalName: "second" });
    await fall();
    await until("a liquidation", async () => (await stage.liquidations()) === 1);
    await stage.expectNothingStuck(stage.account.address);
    for (const [at] of PRICES.slice(1).entries()) {
      const before = await stage.liquidations();
      await fall(at + 1);
      await until("another liquidation", async () => (await stage.liquidations()) > before);
      await stage.expectNothingStuck(stage.account.address);
    }
    const useful = (await stage.sent(stage.account.address)).filter(({ logs }) => logs.length > 0);
    expect(useful).to.have.lengthOf(await stage.liquidations());
    // What both sign alike is one transaction.
    const taken = () => new Set([...first.of("taken"), ...second.of("taken")].map(({ hash }) => hash)).size;
    await until("both have heard", async () => taken() === (await stage.liquidations()));
  });

  it("loses nothing but gas when the price whipsaws within a block", async () => {
    const keeper = await stage.keeper();
    await fall();
    await stage.tick(undefined);
    await keeper.sees("sent");
    // Back up before the keeper's transaction, in the same block.
    const feed = stage.local.feeds["ETH/USD"]!;
    const fees = { maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 10n ** 11n, gasLimit: 200_000n };
    await feed.set(1_900n * 10n ** 8n, fees);
    await stage.request("evm_mine");
    const [missed] = await keeper.sees("missed");
    expect(["lost race", "price moved"]).to.include(missed!.cause);
    await stage.tick(200);
    await stage.expectNothingStuck(stage.account.address);
    await fall(1);
    await keeper.sees("taken");
    await expectNoDoubleSend(1);
  });

  it("hears of a new block before it would ask, and asks when nothing is announced any more", async () => {
    const server = await network.createServer("default", "127.0.0.1", 0);
    const { port } = await server.listen();
    const url = `http://127.0.0.1:${port}`;
    const endpoints = new Endpoints({
      ...{ urls: [url], webSocket: url.replace("http", "ws"), chainId: 31337, onEvent: () => undefined },
    });
    try {
      const { signal } = new AbortController();
      const mine = async (): Promise<unknown> => endpoints.send("evm_mine", []) as Promise<unknown>;
      let { block } = await endpoints.nextHead(-1, 50, signal);
      // Announcements begin some time.
      for (let hinted = false; !hinted;) {
        const next = endpoints.nextHead(block, 50, signal);
        await mine();
        ({ block, hinted } = await next);
      }
      const began = performance.now();
      const next = endpoints.nextHead(block, 60_000, signal);
      await mine();
      expect(await next).to.deep.equal({ block: block + 1, hinted: true });
      expect(performance.now() - began).to.be.below(5_000);
      // One that is not trusted is asked for.
      const asked = endpoints.nextHead(block + 1, 50, signal, false);
      await mine();
      expect(await asked).to.deep.equal({ block: block + 2, hinted: false });
    } finally {
      endpoints.destroy();
      await server.close();
    }
  });

  it("turns to the public endpoints when the private one keeps a transaction to itself", async () => {
    const { front, second } = stage;
    second.faults.swallows = true;
    const keeper = await stage.keeper({ fronts: [front], privateFront: second });
    await fall();
    const [first] = await keeper.sees("sent", ({ via }) => via === "private");
    const [again] = await keeper.sees("sent", ({ via }) => via === "public");
    expect(again!.nonce).to.equal(first!.nonce);
    await expectRecovery(keeper);
  });

  for (const [when, reachesNode] of [
    ["before the node has it", false],
    ["when the node has it", true],
  ] as const) {
    it(`goes on after kill -9 in mid-send, ${when}`, async () => {
      const { front, account } = stage;
      const first = stage.child({ state: "killed" });
      let killed: Promise<void> | undefined;
      const kill = async () => {
        if (killed) return;
        killed = first.kill("SIGKILL");
        await killed;
        if (!reachesNode) throw new Error("the connection is gone");
      };
      if (reachesNode) front.faults.after.eth_sendRawTransaction = kill;
      else front.faults.before.eth_sendRawTransaction = kill;
      await until("it runs", () => first.text().includes("keeper started"), first.text);
      await fall();
      // Slow enough for the second life to find it pending.
      await stage.tick(reachesNode ? 15_000 : 200);
      await until("it was killed", () => first.child.signalCode === "SIGKILL", first.text);
      const second = stage.child({ state: "killed" });
      await until("it runs", () => second.text().includes("keeper started"), second.text);
      await stage.tick(200);
      await until("a liquidation", async () => (await stage.liquidations()) === 1, second.text);
      await until("it says so", () => second.text().includes("done: what was sent before"), second.text);
      await stage.expectNothingStuck(account.address);
      await fall(1);
      await until("another", async () => (await stage.liquidations()) === 2, second.text);
      await stage.expectNothingStuck(account.address);
      await expectNoDoubleSend();
    });
  }

  it("does not mind a full disk for its logs", async function () {
    if (!existsSync("/dev/full")) this.skip();
    const full = openSync("/dev/full", "w");
    const keeper = stage.child({ state: "full", stdout: full, env: { METRICS_PORT: "19464" } });
    try {
      const metrics = async () => (await fetch("http://127.0.0.1:19464/metrics")).text();
      await until(
        "it evaluates",
        async () => /blocks_evaluated_total [1-9]/.test(await metrics().catch(() => "")),
        keeper.text,
      );
      await fall();
      await until("a liquidation", async () => (await stage.liquidations()) === 1, keeper.text);
      await fall(1);
      await until("another", async () => (await stage.liquidations()) === 2, keeper.text);
      expect(await metrics()).to.match(/keeper_log_failures_total [1-9]/);
      await stage.expectNothingStuck(stage.account.address);
      await expectNoDoubleSend();
    } finally {
      closeSync(full);
    }
  });

  describe("of several keepers with one PostgreSQL", () => {
    let postgres: Postgres;

    before(async function () {
      this.timeout(300_000); // it may have to be installed
      postgres = await startPostgres();
    });
    after(async () => postgres.remove());
    beforeEach(async () => {
      // The chain began anew: what an earlier test noted would look like undone by a reorganisation, and be sent again.
      const client = new Client(postgres.url);
      await client.connect();
      await client.query("DROP TABLE IF EXISTS keeper_lease, keeper_journal");
      await client.end();
    });

    const child = (name: string) =>
      stage.child({ state: name, env: { DATABASE_URL: postgres.url, LEASE_SECONDS: "1" } });
    const leads = ({ text }: { text: () => string }) => text().includes("this keeper leads");

    it("another takes over within two blocks of the leader's kill -9, and nothing is sent twice", async () => {
      const leader = child("leader");
      await until("the leader leads", () => leads(leader), leader.text);
      const other = child("other");
      await until("the other runs", () => other.text().includes("keeper started"), other.text);
      await fall();
      await until("a liquidation", async () => (await stage.liquidations()) === 1, leader.text);
      expect(leads(other)).to.be.false;
      const blockMs = 1_500;
      await stage.tick(blockMs);
      const start = await stage.provider.getBlockNumber();
      await leader.kill("SIGKILL");
      await until("the other leads", () => leads(other), other.text);
      expect((await stage.provider.getBlockNumber()) - start).to.be.at.most(2);
      await fall(1);
      await until("another liquidation", async () => (await stage.liquidations()) === 2, other.text);
      await stage.expectNothingStuck(stage.account.address);
      await expectNoDoubleSend();
    });

    it("a leader that froze in mid-send sends nothing when it wakes up as a loser", async () => {
      const frozen = child("frozen");
      await until("the leader leads", () => leads(frozen), frozen.text);
      const other = child("other");
      await until("the other runs", () => other.text().includes("keeper started"), other.text);
      let isFrozen = false;
      stage.front.faults.before.eth_estimateGas = async () => {
        if (!isFrozen) frozen.child.kill("SIGSTOP");
        isFrozen = true;
      };
      await fall();
      await until("the other leads", () => leads(other), other.text);
      await until("a liquidation", async () => (await stage.liquidations()) === 1, other.text);
      frozen.child.kill("SIGCONT");
      await until("it knows", () => frozen.text().includes("another keeper"), frozen.text);
      await fall(1);
      await until("another liquidation", async () => (await stage.liquidations()) === 2, other.text);
      await stage.expectNothingStuck(stage.account.address);
      await expectNoDoubleSend();
      expect(frozen.text()).not.to.include("done:");
    });

    for (const when of ["before the fall", "in mid-send"]) {
      it(`sends nothing while the database is gone, ${when}, and goes on when it is back`, async () => {
        const { lease, journal } = await openSharedLease({
          ...{ databaseUrl: postgres.url, name: when, seconds: 1, onEvent: () => undefined },
        });
        const keeper = await stage.keeper({ lease, journal });
        try {
          await keeper.sees("block");
          let gone: Promise<void> | undefined;
          const crash = () => (gone ??= postgres.crash());
          if (when === "in mid-send") stage.front.faults.before.eth_estimateGas = crash;
          else await crash();
          await fall();
          await until("the database is gone", () => gone !== undefined);
          await until("the lease has ended", () => !lease.held);
          await keeper.sees("block", () => true, keeper.of("block").length + 5);
          expect(await stage.sent(stage.account.address)).to.be.empty;
          await postgres.start();
          await expectRecovery(keeper);
        } finally {
          await postgres.start();
          await keeper.stop();
          await lease.close();
        }
      });
    }
  });
});
