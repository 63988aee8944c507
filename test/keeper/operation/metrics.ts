import { expect } from "chai";

import type { KeeperEvent } from "../../../keeper/src/events.ts";
import { openMetrics } from "../../../keeper/src/operation/metrics.ts";

const ETH = 10n ** 18n;
const MARKET = "WETH/USDC";

/** The value of the line that begins with `name`, or undefined. */
async function read(metrics: ReturnType<typeof openMetrics>, name: string): Promise<number | undefined> {
  const text = await metrics.registry.metrics();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

describe("keeper metrics", () => {
  const taken = (profitWei: bigint): KeeperEvent => ({
    kind: "taken",
    market: MARKET,
    action: "liquidate",
    hash: "0x",
    repaid: 2_500_000_000n,
    profit: 0n,
    profitWei,
    gasPaid: ETH / 100n,
    debtSymbol: "USDC",
    debtDecimals: 6,
  });
  const mined = (nonce: number): KeeperEvent => ({
    kind: "mined",
    nonce,
    hash: "0x",
    block: 1,
    gasPaid: ETH / 100n,
    succeeded: true,
  });

  it("count blocks, and say how late the last one was", async () => {
    const metrics = openMetrics({ isAlone: true });
    metrics.onEvent({ kind: "block", block: 7, markets: 3, lagMs: 1_500, ms: 40 });
    metrics.onEvent({ kind: "block", block: 8, markets: 3, lagMs: 250, ms: 20 });
    metrics.onEvent({ kind: "round failed", words: "no answer" });
    expect(await read(metrics, "keeper_blocks_evaluated_total")).to.equal(2);
    expect(await read(metrics, "keeper_block_number")).to.equal(8);
    expect(await read(metrics, "keeper_block_lag_seconds")).to.equal(0.25);
    expect(await read(metrics, "keeper_markets")).to.equal(3);
    expect(await read(metrics, 'keeper_round_seconds_bucket{le="0.025"}')).to.equal(1);
    expect(await read(metrics, "keeper_rounds_failed_total")).to.equal(1);
    const at = await read(metrics, "keeper_block_evaluated_timestamp_seconds");
    expect(Math.abs(at! - Date.now() / 1_000) < 5).to.equal(true);
  });

  it("say what was seen, taken and missed, and why", async () => {
    const metrics = openMetrics({ isAlone: true });
    metrics.onEvent({ kind: "opportunity", block: 1, market: MARKET, action: "liquidate" });
    metrics.onEvent(taken(ETH / 2n));
    metrics.onEvent(taken(-ETH / 4n));
    metrics.onEvent({
      kind: "missed",
      market: MARKET,
      action: "liquidate",
      cause: "lost race",
      words: "",
      gasPaid: 0n,
    });
    const labels = `{market="${MARKET}",action="liquidate"`;
    expect(await read(metrics, `keeper_opportunities_total${labels}}`)).to.equal(1);
    expect(await read(metrics, `keeper_opportunities_taken_total${labels}}`)).to.equal(2);
    expect(await read(metrics, `keeper_opportunities_missed_total${labels},cause="lost race"}`)).to.equal(1);
    expect(await read(metrics, `keeper_profit_eth_total{market="${MARKET}"}`)).to.equal(0.5);
    expect(await read(metrics, `keeper_loss_eth_total{market="${MARKET}"}`)).to.equal(0.25);
    expect(await read(metrics, `keeper_repaid_total{market="${MARKET}",token="USDC"}`)).to.equal(5_000);
  });

  it("count gas once, also of a transaction that a reorg moved", async () => {
    const metrics = openMetrics({ isAlone: true });
    metrics.onEvent(mined(4));
    metrics.onEvent({ kind: "reorged", nonce: 4, hash: "0x" });
    metrics.onEvent(mined(4));
    expect(await read(metrics, "keeper_gas_eth_total")).to.equal(0.01);
    metrics.onEvent(mined(5));
    expect(await read(metrics, "keeper_gas_eth_total")).to.equal(0.02);
    expect(await read(metrics, 'keeper_transactions_total{event="mined"}')).to.equal(3);
    expect(await read(metrics, 'keeper_transactions_total{event="reorged"}')).to.equal(1);
    expect(await read(metrics, 'keeper_transactions_total{event="reverted"}')).to.equal(0);
  });

  it("show an endpoint's one state, the lease and the balance", async () => {
    const metrics = openMetrics({ isAlone: true });
    expect(await read(metrics, "keeper_leader")).to.equal(1);
    expect(await read(openMetrics({ isAlone: false }), "keeper_leader")).to.equal(0);
    metrics.onEvent({ kind: "lease", held: false, words: "" });
    expect(await read(metrics, "keeper_leader")).to.equal(0);
    for (const state of ["down", "up"] as const) {
      metrics.onEvent({ kind: "endpoint", endpoint: "a:1", state, words: "" });
    }
    expect(await read(metrics, 'keeper_endpoint_state{endpoint="a:1",state="down"}')).to.equal(0);
    expect(await read(metrics, 'keeper_endpoint_state{endpoint="a:1",state="up"}')).to.equal(1);
    expect(await read(metrics, 'keeper_endpoint_changes_total{endpoint="a:1",state="down"}')).to.equal(1);
    metrics.onEvent({ kind: "balance", account: "0x", wei: 3n * ETH });
    expect(await read(metrics, "keeper_balance_eth")).to.equal(3);
  });
});
