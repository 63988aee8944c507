import { formatUnits } from "ethers";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

import type { EndpointState, KeeperEvent, OnEvent } from "../events.ts";

// The keeper's events as numbers for Prometheus.

const ENDPOINT_STATES: EndpointState[] = ["up", "down", "stale", "wrong chain", "disagrees"];

export interface Metrics {
  registry: Registry;
  onEvent: OnEvent;
  logFailed: () => void;
  /** An alert or a margin call was delivered, or could not be. */
  delivered: (what: "alert" | "margin call", succeeded: boolean) => void;
}

/** `isAlone`: it shares its work with no other keeper. */
export function openMetrics({ isAlone }: { isAlone: boolean }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <T extends string>(name: string, help: string, labelNames: T[] = []) =>
    new Counter({ name: `keeper_${name}`, help, labelNames, registers });
  const gauge = <T extends string>(name: string, help: string, labelNames: T[] = []) =>
    new Gauge({ name: `keeper_${name}`, help, labelNames, registers });

  const blocks = counter("blocks_evaluated_total", "Blocks that were evaluated.");
  const block = gauge("block_number", "The block that was evaluated last.");
  const evaluatedAt = gauge("block_evaluated_timestamp_seconds", "When that was, by this machine's clock.");
  const lag = gauge("block_lag_seconds", "From that block's timestamp to its evaluation.");
  const markets = gauge("markets", "Markets that are watched.");
  const round = new Histogram({
    name: "keeper_round_seconds",
    help: "What a block's evaluation took.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const failures = counter("rounds_failed_total", "Blocks whose evaluation failed.");
  const opportunities = counter("opportunities_total", "Decisions to act.", ["market", "action"]);
  const taken = counter("opportunities_taken_total", "Actions that succeeded.", ["market", "action"]);
  const missed = counter("opportunities_missed_total", "Actions that did not, and why.", [
    "market",
    "action",
    "cause",
  ]);
  const profit = counter("profit_eth_total", "Earned by liquidations before gas, in the chain's coin.", [
    "market",
  ]);
  const loss = counter("loss_eth_total", "Lost by rescues before gas, in the chain's coin.", ["market"]);
  const repaid = counter("repaid_total", "Debt repaid, in whole tokens.", ["market", "token"]);
  const gas = counter("gas_eth_total", "Paid for gas, in the chain's coin.");
  const transactions = counter("transactions_total", "What became of transactions.", ["event"]);
  const balance = gauge("balance_eth", "The account's balance, in the chain's coin.");
  const endpoint = gauge("endpoint_state", "1 for the state that an endpoint is in.", ["endpoint", "state"]);
  const endpointChanges = counter("endpoint_changes_total", "Changes of an endpoint's state.", [
    "endpoint",
    "state",
  ]);
  const leader = gauge("leader", "1 while this keeper may act.");
  const logFailures = counter("log_failures_total", "Log lines that could not be written.");
  const deliveries = counter("deliveries_total", "Alerts and margin calls, by result.", ["what", "result"]);
  for (const event of ["sent", "replaced", "mined", "reverted", "reorged", "held"])
    transactions.inc({ event }, 0);
  leader.set(isAlone ? 1 : 0); // what a lease says comes later

  const reorged = new Set<number>();

  const onEvent = (event: KeeperEvent): void => {
    switch (event.kind) {
      case "block":
        blocks.inc();
        block.set(event.block);
        evaluatedAt.setToCurrentTime();
        lag.set(event.lagMs / 1_000);
        markets.set(event.markets);
        round.observe(event.ms / 1_000);
        break;
      case "round failed":
        failures.inc();
        break;
      case "opportunity":
        opportunities.inc({ market: event.market, action: event.action });
        break;
      case "taken": {
        const { market, action, profitWei = 0n, debtSymbol: token } = event;
        taken.inc({ market, action });
        if (profitWei >= 0n) profit.inc({ market }, whole(profitWei, 18));
        else loss.inc({ market }, whole(-profitWei, 18));
        repaid.inc({ market, token }, whole(event.repaid, event.debtDecimals));
        break;
      }
      case "missed":
        missed.inc({ market: event.market, action: event.action, cause: event.cause });
        break;
      case "mined":
        transactions.inc({ event: event.succeeded ? "mined" : "reverted" });
        // A transaction that a reorg moved to another block is paid once.
        if (!reorged.delete(event.nonce)) gas.inc(whole(event.gasPaid, 18));
        break;
      case "reorged":
        reorged.add(event.nonce);
        transactions.inc({ event: event.kind });
        break;
      case "sent":
      case "replaced":
      case "held":
        transactions.inc({ event: event.kind });
        break;
      case "balance":
        balance.set(whole(event.wei, 18));
        break;
      case "endpoint":
        for (const state of ENDPOINT_STATES) {
          endpoint.set({ endpoint: event.endpoint, state }, state === event.state ? 1 : 0);
        }
        endpointChanges.inc({ endpoint: event.endpoint, state: event.state });
        break;
      case "lease":
        leader.set(event.held ? 1 : 0);
        break;
      default:
        event satisfies never;
    }
  };

  return {
    registry,
    onEvent,
    logFailed: () => logFailures.inc(),
    delivered: (what, succeeded) => deliveries.inc({ what, result: succeeded ? "delivered" : "failed" }),
  };
}

/** For a picture, not for accounts: a double. */
function whole(units: bigint, decimals: number): number {
  return Number(formatUnits(units, decimals));
}
