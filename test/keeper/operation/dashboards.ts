import { readFile } from "node:fs/promises";

import { expect } from "chai";
import { parse } from "yaml";

import type { Cause, KeeperEvent } from "../../../keeper/src/events.ts";
import { openMetrics } from "../../../keeper/src/operation/metrics.ts";

// The dashboard and the alert rules speak of metrics, labels and values that the keeper has.

const file = async (name: string) => readFile(new URL(`../../../keeper/${name}`, import.meta.url), "utf8");

interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
}

interface Dashboard {
  panels: { title: string; id: number; targets?: { expr: string }[] }[];
}

/** One of every kind, so that every label is seen. */
const EVENTS: KeeperEvent[] = [
  { kind: "opportunity", block: 1, market: "m", action: "liquidate" },
  {
    ...{ kind: "taken", market: "m", action: "liquidate", hash: "0x", repaid: 1n, profit: 1n, profitWei: 1n },
    ...{ gasPaid: 1n, debtSymbol: "USDC", debtDecimals: 6 },
  },
  { kind: "missed", market: "m", action: "liquidate", cause: "bug", words: "", gasPaid: 0n },
  { kind: "endpoint", endpoint: "a:1", state: "up", words: "" },
];
const LOSS = { ...EVENTS[1], profitWei: -1n } as KeeperEvent;
/** All values of the label; a new cause does not compile until it is here. */
const CAUSES: Record<Cause, true> = {
  "lost race": true,
  "price moved": true,
  paused: true,
  expired: true,
  "too dear": true,
  "no gas money": true,
  "key shared": true,
  "not leading": true,
  "no journal": true,
  endpoint: true,
  bug: true,
  unknown: true,
};

/** What Prometheus and Grafana put on every metric. */
const FROM_OUTSIDE = ["instance", "job"];

describe("the keeper's dashboard and alert rules", () => {
  async function open() {
    const metrics = openMetrics({ isAlone: true });
    for (const event of [...EVENTS, LOSS]) metrics.onEvent(event);
    metrics.delivered("alert", true);
    metrics.delivered("margin call", false);
    // By series name: each label with the values that were seen.
    const series = new Map<string, Map<string, Set<string>>>();
    for (const line of (await metrics.registry.metrics()).split("\n")) {
      const [, name, labels = ""] = /^([a-z_]+)(?:\{(.*)\})? /.exec(line) ?? [];
      if (name === undefined) continue;
      const known = series.get(name) ?? new Map<string, Set<string>>();
      series.set(name, known);
      for (const [, label, value] of labels.matchAll(/([a-z]+)="([^"]*)"/g)) {
        known.set(label!, (known.get(label!) ?? new Set()).add(value!));
      }
    }
    for (const cause of Object.keys(CAUSES))
      series.get("keeper_opportunities_missed_total")!.get("cause")!.add(cause);
    return series;
  }

  function verify(expression: string, series: Awaited<ReturnType<typeof open>>): void {
    const used = [...expression.matchAll(/\b((?:keeper|process|nodejs)_[a-z_]+)(?:\{([^}]*)\})?/g)];
    expect(used.length + Number(expression.includes("up{")), expression).to.be.at.least(1);
    const labels = new Set(FROM_OUTSIDE);
    for (const [, name, selectors = ""] of used) {
      const known = series.get(name!);
      expect(known, `${name} in ${expression}`).not.to.equal(undefined);
      for (const label of known!.keys()) labels.add(label);
      for (const [, label, operator, value] of selectors.matchAll(/([a-z]+)(=~|!~|=|!=)"([^"]*)"/g)) {
        if (FROM_OUTSIDE.includes(label!)) continue;
        const values = operator!.endsWith("~") ? value!.split("|") : [value!];
        for (const one of values) expect([...known!.get(label!)!], `${label} of ${name}`).to.include(one);
      }
    }
    for (const [, list] of expression.matchAll(/by \(([^)]*)\)/g)) {
      for (const label of list!.split(", ")) expect([...labels], expression).to.include(label);
    }
  }

  it("the rules", async () => {
    const series = await open();
    const { groups } = parse(await file("alerts.yaml")) as Rules;
    const rules = groups.flatMap((group) => group.rules);
    expect(new Set(rules.map(({ alert }) => alert)).size)
      .to.equal(rules.length)
      .and.to.be.greaterThan(10);
    for (const { expr, annotations } of rules) {
      verify(expr, series);
      expect(annotations.summary).to.match(/\.$|\?$/);
    }
  });

  it("the dashboard", async () => {
    const series = await open();
    const text = await file("grafana.json");
    const { panels } = JSON.parse(text) as Dashboard;
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(expressions.length).to.be.greaterThan(15);
    for (const expression of expressions) verify(expression, series);
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
    // Every metric of the keeper's own is on it, or in the rules.
    const shown = text + (await file("alerts.yaml"));
    const own = [...series.keys()].filter((name) => /^keeper_/.test(name));
    const unseen = own.filter((name) => !shown.includes(name.replace(/_(sum|count)$/, "_bucket")));
    expect(unseen).to.deep.equal([]);
  });

  it("would notice a metric that does not exist", async () => {
    const series = await open();
    expect(() => verify("keeper_blocks_total > 1", series)).to.throw(/keeper_blocks_total/);
    expect(() => verify('keeper_endpoint_state{state="asleep"} == 1', series)).to.throw(/state/);
    expect(() => verify("sum by (color) (keeper_leader)", series)).to.throw(/color/);
  });
});
