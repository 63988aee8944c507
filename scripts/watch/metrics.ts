// What a look saw, as numbers for Prometheus.
import { BRAKE_LEVELS, PRICE_STATES } from "@breakwater/sdk/chain";
import { formatUnits } from "ethers";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

import { type Look, type MarketLook, SLACK_BITS } from "./chain.ts";
import type { Finding } from "./rules.ts";

export type Metrics = ReturnType<typeof openMetrics>;

/** For a picture, not for accounts: a double. */
const whole = (units: bigint, decimals: number) => Number(formatUnits(units, decimals));
const debt = (value: (market: MarketLook) => bigint) => (market: MarketLook) =>
  whole(value(market), market.decimals.debt);
const price = (value: bigint) => Number(value) / 2 ** 128;

/** One figure of each market. */
const FIGURES: Record<string, [help: string, value: (market: MarketLook, look: Look) => number | undefined]> =
  {
    price_low: ["Lower price, whole debt tokens; 0: Dead.", ({ view }) => price(view.price.low)],
    price_high: ["Higher price, likewise.", ({ view }) => price(view.price.high)],
    veto_left_seconds: [
      "For which diverged sources may hold liquidations back.",
      ({ oracle }) => number(oracle.veto?.left),
    ],
    debt: ["Debt, whole tokens.", debt(({ view }) => view.totalDebt)],
    liquidatable_debt: ["Debt of the ticks at or above the trigger.", debt(({ debt }) => debt.liquidatable)],
    shortfall: ["Debt that no collateral covers at the higher price.", debt(({ debt }) => debt.shortfall)],
    pot_debt: ["Debt that was seized and is not sold.", debt(({ view }) => view.potDebt)],
    pot_age_seconds: [
      "Since it was seized, the mean by collateral; 0: no pot.",
      ({ view, pot }, { time }) => (view.potDebt === 0n ? 0 : Number(time - pot.seizedAt)),
    ],
    cash: ["Debt tokens that lenders can withdraw.", debt(({ view }) => view.cash)],
    insurance: ["Debt tokens in the insurance fund for this market.", debt(({ view }) => view.insurance)],
    reserves: ["Debt tokens of the reserves.", debt(({ view }) => view.reserves)],
    share_price: ["Debt tokens for one whole share.", debt(({ view }) => view.sharePrice)],
    utilization: ["Share of what was lent that is in use.", ({ view }) => whole(view.utilization, 18)],
    debt_cap: ["Cap on debt, whole tokens.", ({ view }) => whole(view.caps.debt, 6)],
    collateral: [
      "Collateral tokens held.",
      ({ held, decimals }) => whole(held.collateral, decimals.collateral),
    ],
    collateral_cap: ["Cap on them.", ({ view }) => whole(view.caps.collateral, 6)],
    slack_units: [
      "Collateral units held beyond everything promised.",
      ({ slack }) => slack && Number(slack.value) / 2 ** Number(SLACK_BITS),
    ],
    pause_left_seconds: [
      "Until the level of the brake lapses; 0: none.",
      ({ brake }, { time }) => Math.max(0, Number(brake.until - time)),
    ],
    pause_budget_seconds: [
      "That the pauser may still pause liquidations.",
      ({ brake }) => number(brake.budgets.liquidations.left),
    ],
    last_liquidation_block: ["Block of the newest liquidation.", ({ lastLiquidation }) => lastLiquidation],
  };

const number = (value: bigint | undefined) => (value === undefined ? undefined : Number(value));

export function openMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `watch_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `watch_${name}`, help, labelNames, registers });

  const looks = counter("looks_total", "Blocks that were looked at.");
  const failures = counter("looks_failed_total", "Blocks that could not be looked at.");
  const reorgs = counter("reorgs_total", "Reorganisations that were seen.");
  const deliveries = counter("deliveries_total", "Alerts, by result.", ["result"]);
  const duration = new Histogram({
    name: "watch_look_seconds",
    help: "What a look took.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const block = gauge("block_number", "The block that was looked at last.");
  const lookedAt = gauge("looked_timestamp_seconds", "When that was, by this machine's clock.");
  const unseen = gauge("unseen", "Things that could not be looked at.");
  const firing = gauge("firing", "1 while a rule fires.", ["rule", "market", "severity"]);
  const state = gauge("price_state", "1 for the state that a market's price is in.", ["market", "state"]);
  const level = gauge("brake_level", "1 for the level that a market's brake is at.", ["market", "level"]);
  const feedAge = gauge("feed_age_seconds", "Age of a feed's answer.", ["market", "feed"]);
  const figures = Object.entries(FIGURES).map(
    ([name, [help, value]]) => [gauge(name, help, ["market"]), value] as const,
  );

  return {
    registry,
    delivered: (succeeded: boolean) => deliveries.inc({ result: succeeded ? "delivered" : "failed" }),
    failed: () => failures.inc(),
    looked(look: Look, found: Finding[], ms: number): void {
      looks.inc();
      if (look.reorged) reorgs.inc();
      duration.observe(ms / 1_000);
      block.set(look.block);
      lookedAt.setToCurrentTime();
      unseen.set(look.unseen.length);
      // What is not there any more must not stand still.
      for (const each of [firing, state, level, feedAge, ...figures.map(([figure]) => figure)]) each.reset();
      for (const { rule, market = "", severity } of found) firing.set({ rule, market, severity }, 1);
      for (const market of look.markets) {
        const { id } = market;
        for (const each of PRICE_STATES)
          state.set({ market: id, state: each }, each === market.priceState ? 1 : 0);
        for (const each of BRAKE_LEVELS)
          level.set({ market: id, level: each }, each === market.brake.level ? 1 : 0);
        for (const { name, age } of market.oracle.feeds) {
          if (age !== undefined) feedAge.set({ market: id, feed: name }, Number(age));
        }
        for (const [figure, value] of figures) {
          const now = value(market, look);
          if (now !== undefined) figure.set({ market: id }, now);
        }
      }
    },
  };
}
