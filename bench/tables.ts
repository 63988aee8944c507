// The printed tables. Pure.
import { gasOf, gasPerTick, isReached, type Result, type Target, targetsOf } from "./results.ts";

interface Row {
  label: string;
  key: Pick<Result, "operation" | "positions" | "ticks" | "every" | "by">;
}

/** A variant that is measured and shown, but is no part of the results. */
export interface Extra {
  label: string;
  gas: number;
}

const ROWS: Row[] = [
  { label: "open, populated tick", key: { operation: "open-populated" } },
  { label: "open, fresh tick", key: { operation: "open-fresh" } },
  { label: "open, new region", key: { operation: "open-new-region" } },
  { label: "add collateral", key: { operation: "add-collateral" } },
  { label: "repay a part", key: { operation: "repay" } },
  { label: "withdraw a part", key: { operation: "withdraw" } },
  { label: "close", key: { operation: "close" } },
  { label: "leveraged open", key: { operation: "leverage-open" } },
  { label: "leveraged open, peer by hand", key: { operation: "leverage-open", by: "hand" } },
  { label: "leveraged close", key: { operation: "leverage-close" } },
  { label: "leveraged close, peer by hand", key: { operation: "leverage-close", by: "hand" } },
  { label: "lender deposit", key: { operation: "lender-deposit" } },
  { label: "lender withdraw", key: { operation: "lender-withdraw" } },
  { label: "liquidate 1", key: { operation: "liquidate", positions: 1, ticks: 1 } },
  { label: "liquidate 10, 10 ticks", key: { operation: "liquidate", positions: 10, ticks: 10 } },
  { label: "liquidate 100, 47 ticks", key: { operation: "liquidate", positions: 100, ticks: 47 } },
  { label: "liquidate 1,000, 47 ticks", key: { operation: "liquidate", positions: 1_000, ticks: 47 } },
  { label: "liquidate 10,000, 47 ticks", key: { operation: "liquidate", positions: 10_000, ticks: 47 } },
  {
    label: "liquidate 7, 7 ticks, 1 in 8",
    key: { operation: "liquidate", positions: 7, ticks: 7, every: 8 },
  },
];

/** Ours beside the peers, all with the same price source. */
export function peerTable(results: Result[]): string[][] {
  const rows = ROWS.flatMap(({ label, key }) => {
    const [ours, morpho, aave] = (["breakwater", "morpho-blue", "aave-v3"] as const).map((protocol) =>
      gasOf(results, { protocol, ...(protocol === "breakwater" ? { ...key, by: undefined } : key) }),
    );
    if (ours === undefined && morpho === undefined && aave === undefined) return [];
    return [[label, figure(ours), figure(morpho), figure(aave), ratio(ours, morpho), ratio(ours, aave)]];
  });
  return [["gas", "Breakwater", "Morpho Blue", "Aave v3.0", "× Morpho", "× Aave"], ...rows];
}

/** Ours with the slot and with the real adapter. */
export function sourceTable(results: Result[]): string[][] {
  const rows = ROWS.flatMap(({ label, key }) => {
    const slot = gasOf(results, { protocol: "breakwater", ...key });
    const adapter = gasOf(results, { protocol: "breakwater", ...key, priceSource: "adapter" });
    return adapter === undefined || slot === undefined
      ? []
      : [[label, figure(slot), figure(adapter), figure(adapter - slot)]];
  });
  const tick = (["dense", "sparse"] as const).map((spread) => [
    `each further tick, ${spread}`,
    figure(gasPerTick(results, spread)),
    figure(gasPerTick(results, spread, "adapter")),
    "",
  ]);
  return [["gas", "slot", "feed and TWAP", "difference"], ...rows, ...tick];
}

export function extraTable(extras: Extra[]): string[][] {
  return [["gas, not in the results", "Breakwater"], ...extras.map(({ label, gas }) => [label, figure(gas)])];
}

export function targetTable(results: Result[]): string[][] {
  const rows = targetsOf(results).map((target) => [
    target.name,
    figure(target.gas),
    figure(target.limit),
    factors(target),
    isReached(target) ? "reached" : `NOT REACHED, ${figure(target.gas - target.limit)} above`,
  ]);
  return [["target", "gas", "at most", "× Morpho", ""], ...rows];
}

function factors({ gas, limit, morpho }: Target): string {
  return morpho === undefined ? "" : `${(gas / morpho).toFixed(3)} of ${(limit / morpho).toFixed(2)}`;
}

const figure = (gas: number | undefined) => (gas === undefined ? "–" : Math.round(gas).toLocaleString("en"));
const ratio = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? "–" : (a / b).toFixed(a / b < 0.1 ? 3 : 2);

/** Columns side by side: the first to the left, figures to the right, as Markdown if asked. */
export function format(table: string[][], markdown = false): string {
  const width = (column: number) => Math.max(...table.map((row) => row[column]!.length));
  const widths = table[0]!.map((_, column) => width(column));
  const isText = (column: number) => column === 0 || table[0]![column] === "";
  const lines = table.map((row) => {
    const cells = row.map((cell, i) => (isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
    return markdown ? `| ${cells.join(" | ")} |` : cells.join("  ").trimEnd();
  });
  if (markdown) lines.splice(1, 0, `| ${widths.map((_, i) => (isText(i) ? "---" : "---:")).join(" | ")} |`);
  return lines.join("\n");
}
