import { expect } from "chai";

import type { Cause, EndpointState, KeeperEvent } from "../../../keeper/src/events.ts";
import { type Alert, openAlerts } from "../../../keeper/src/operation/alerts.ts";
import type { Problem } from "../../../keeper/src/operation/health.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

describe("keeper alerts", () => {
  function open() {
    const clock = { ms: 0 };
    const state = { problems: [] as Problem[], isDown: false, deliveries: [] as boolean[] };
    const sent: Alert[] = [];
    const alerts = openAlerts({
      problems: () => state.problems,
      send: async (alert) => {
        if (state.isDown) throw new Error("the webhook answered 500");
        sent.push(alert);
      },
      onDelivery: (succeeded) => state.deliveries.push(succeeded),
      now: () => clock.ms,
    });
    /** What is sent `seconds` later. */
    const after = async (seconds: number) => {
      clock.ms += seconds * SECOND;
      await alerts.tell();
      return sent.splice(0).map(({ severity, key }) => `${severity} ${key}`);
    };
    const happen = (event: KeeperEvent) => alerts.onEvent(event);
    return { state, after, happen, sent, tell: alerts.tell };
  }
  const missed = (cause: Cause): KeeperEvent => ({
    kind: "missed",
    market: "m",
    action: "liquidate",
    cause,
    words: "why",
    gasPaid: 0n,
  });
  const endpoint = (to: EndpointState): KeeperEvent => ({
    kind: "endpoint",
    endpoint: "a:1",
    state: to,
    words: "why",
  });

  it("tell of what lasts once, again every hour, and of its end when it is calm", async () => {
    const { state, after } = open();
    expect(await after(0)).to.deep.equal([]);
    state.problems = [{ kind: "poor", words: "the balance is low" }];
    expect(await after(1)).to.deep.equal(["page poor"]);
    expect(await after(1)).to.deep.equal([]);
    expect(await after(HOUR / SECOND)).to.deep.equal(["page poor"]);
    state.problems = [];
    expect(await after(1)).to.deep.equal([]);
    expect(await after(30)).to.deep.equal([]);
    state.problems = [{ kind: "poor", words: "the balance is low" }];
    expect(await after(1), "it came back before it was over").to.deep.equal([]);
    state.problems = [];
    await after(1);
    expect(await after(60)).to.deep.equal(["resolved poor"]);
    expect(await after(HOUR / SECOND)).to.deep.equal([]);
  });

  it("are tried again when they could not be delivered, at growing intervals, and lose none", async () => {
    const { state, after, happen } = open();
    state.isDown = true;
    happen(missed("bug"));
    for (let second = 0; second < 300; second++) expect(await after(1)).to.deep.equal([]);
    expect(state.deliveries.every((succeeded) => !succeeded)).to.equal(true);
    expect(state.deliveries.length).to.be.within(8, 12);
    state.isDown = false;
    expect(await after(60)).to.deep.equal(["page missed: bug"]);
  });

  it("do not page for a race that was lost, but for what is ours to mend", async () => {
    const { after, happen } = open();
    for (const cause of [
      "lost race",
      "price moved",
      "paused",
      "expired",
      "too dear",
      "not leading",
    ] as const) {
      happen(missed(cause));
    }
    expect(await after(1)).to.deep.equal([]);
    for (const cause of ["no gas money", "key shared", "no journal", "unknown"] as const)
      happen(missed(cause));
    expect(await after(1)).to.have.lengthOf(4);
    happen(missed("key shared"));
    expect(await after(1)).to.deep.equal([]);
  });

  it("page for endpoints that lie, warn of those that are down", async () => {
    const { after, happen } = open();
    happen(endpoint("down"));
    expect(await after(1)).to.deep.equal(["warning endpoint a:1"]);
    happen(endpoint("up"));
    expect(await after(61)).to.deep.equal(["resolved endpoint a:1"]);
    happen(endpoint("disagrees"));
    expect(await after(1)).to.deep.equal(["page endpoint a:1"]);
  });

  it("tell anew when what was only a warning becomes serious", async () => {
    const { after, happen } = open();
    happen(endpoint("down"));
    await after(1);
    happen(endpoint("wrong chain"));
    expect(await after(1)).to.deep.equal(["page endpoint a:1"]);
  });

  it("page after three failures without a clean block, be it of one market", async () => {
    const { after, happen } = open();
    const failed: KeeperEvent = { kind: "round failed", words: "why" };
    const block: KeeperEvent = { kind: "block", block: 1, markets: 1, lagMs: 0, ms: 0 };
    for (const event of [failed, failed, block, block, failed, block, failed]) happen(event);
    expect(await after(1)).to.deep.equal([]);
    happen(block);
    happen(failed);
    expect(await after(1)).to.deep.equal(["page rounds"]);
    happen(block);
    expect(await after(61)).to.deep.equal([]);
    happen(block);
    expect(await after(61)).to.deep.equal(["resolved rounds"]);
  });

  it("warn when the lease is lost, not when a keeper stands by", async () => {
    const { after, happen } = open();
    happen({ kind: "lease", held: false, words: "" });
    expect(await after(1)).to.deep.equal([]);
    happen({ kind: "lease", held: true, words: "" });
    happen({ kind: "lease", held: false, words: "" });
    expect(await after(1)).to.deep.equal(["warning lease"]);
  });

  it("warn of a transaction that waits, until it is mined", async () => {
    const { after, happen } = open();
    happen({ kind: "held", nonce: 3, words: "why" });
    expect(await after(1)).to.deep.equal(["warning held 3"]);
    happen({ kind: "mined", nonce: 3, hash: "0x", block: 1, gasPaid: 1n, succeeded: true });
    expect(await after(61)).to.deep.equal(["resolved held 3"]);
    happen({ kind: "reorged", nonce: 3, hash: "0x" });
    expect(await after(1)).to.deep.equal(["warning reorg"]);
  });
});
