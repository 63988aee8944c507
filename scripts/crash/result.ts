// What a comparison found, told as a table and as JSON. Pure.
import { isoTime } from "../drill/path.ts";
import type { Compared } from "./run.ts";
import type { Outcome } from "./simulate.ts";

const COLUMNS: readonly (readonly [heading: string, cell: (outcome: Outcome) => string])[] = [
  ["debt liquidated", ({ cleared }) => money(cleared)],
  ["penalty paid by borrowers", ({ penalty }) => money(penalty)],
  ["protocol's income", ({ income }) => money(income)],
  ["bad debt", ({ badDebt }) => money(badDebt)],
  [
    "minutes uncovered: mean, longest",
    (o) => `${o.uncoveredMinutes.toFixed(1)}, ${Math.round(o.longestMinutes)}`,
  ],
  ["transactions", ({ transactions }) => transactions.toLocaleString("en")],
  ["gas", ({ gas }) => `${(gas / 1e6).toFixed(1)}M`],
  ["uncovered at the end", ({ left }) => money(left)],
];

export function toTable({ outcomes, rulesAlone }: Pick<Compared, "outcomes" | "rulesAlone">): string {
  const row = (outcome: Outcome, note = "") =>
    `| ${[outcome.name + note, ...COLUMNS.map(([, cell]) => cell(outcome))].join(" | ")} |`;
  return [
    `| | ${COLUMNS.map(([heading]) => heading).join(" | ")} |`,
    `| --- |${" ---: |".repeat(COLUMNS.length)}`,
    ...outcomes.map((outcome) => row(outcome)),
    ...rulesAlone.map((outcome) => row(outcome, ", our bonus and wait")),
  ].join("\n");
}

export function money(value: number): string {
  if (value === 0) return "0";
  if (value >= 1e6) return `$${(value / 1e6).toFixed(2)}M`;
  return value >= 1e4 ? `$${Math.round(value / 1e3)}k` : `$${value.toFixed(value < 100 ? 2 : 0)}`;
}

export function toJson({ setting, bookDebt, outcomes, rulesAlone }: Compared): unknown {
  const { path, positions, seed, blockGas, poolOnly } = setting;
  return {
    prices: path.name,
    from: isoTime(path.start.time),
    to: isoTime(path.steps.at(-1)!.time),
    gaps: path.gaps.length,
    positions,
    seed,
    blockGas: blockGas.toString(),
    keepers: poolOnly ? "pool" : "capital",
    bookDebt: rounded(bookDebt),
    outcomes: outcomes.map(figures),
    rulesAlone: rulesAlone.map(figures),
  };
}

function figures(outcome: Outcome): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(outcome).map(([key, value]: [string, string | number]) => [
      key,
      typeof value === "number" ? rounded(value) : value,
    ]),
  );
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
