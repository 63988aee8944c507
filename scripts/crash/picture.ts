// The picture of a comparison: a self-contained SVG, a panel for each figure and a bar for each rule. Pure.
import { GRID, INK, line, niceScale, round, SOFT, text, drawing } from "../chart.ts";
import { money } from "./result.ts";
import type { Outcome } from "./simulate.ts";

export interface Picture {
  title: string;
  subtitle: string;
  note: string;
  outcomes: Outcome[]; // ours first
}

interface Panel {
  title: string;
  unit: string;
  value: (outcome: Outcome) => number;
  label: (value: number) => string;
}

const WIDTH = 1200;
const LEFT = 40;
const NAMES = 200; //  beside the bars of each panel
const PANEL = 560; //  a panel with its names
const PLOT = PANEL - NAMES - 64; // room for the figure at the end of the longest bar
const TOP = 128;
const BAR = 24;
const GAP = 12;
const OURS = "#2f6db3";
const PEER = "#9fb0c1";

const minutes = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} min`;
const PANELS: readonly Panel[] = [
  { title: "Penalty paid by borrowers", unit: "dollars", value: ({ penalty }) => penalty, label: money },
  { title: "Bad debt", unit: "dollars", value: ({ badDebt }) => badDebt, label: money },
  {
    title: "Uncovered, for the average dollar of debt",
    unit: "minutes, over the whole path",
    value: ({ uncoveredMinutes }) => uncoveredMinutes,
    label: minutes,
  },
  {
    title: "Gas of keepers",
    unit: "million",
    value: ({ gas }) => gas / 1e6,
    label: (value) => `${Math.round(value)}M`,
  },
];

export function drawPicture({ title, subtitle, note, outcomes }: Picture): string {
  const panelHeight = outcomes.length * (BAR + GAP) + 86;
  const height = TOP + 2 * panelHeight + 20;
  const panels = PANELS.map((panel, i) =>
    drawPanel(panel, outcomes, LEFT + (i % 2) * (PANEL + 20), TOP + Math.floor(i / 2) * panelHeight),
  );
  return drawing({ title, subtitle, note, width: WIDTH, height, left: LEFT }, panels);
}

function drawPanel(
  { title, unit, value, label }: Panel,
  outcomes: Outcome[],
  left: number,
  top: number,
): string {
  const x0 = left + NAMES;
  const bottom = top + outcomes.length * (BAR + GAP) + 6;
  const most = Math.max(...outcomes.map(value));
  const { high, ticks } = niceScale(0, most > 0 ? most : 1);
  const x = (amount: number) => x0 + (amount / high) * PLOT;
  const svg = [text(left, top - 14, title, { size: 15, weight: 600 })];
  for (const tick of ticks) {
    svg.push(line(x(tick), top, x(tick), bottom, tick === 0 ? "#aab4be" : GRID));
    const shown = unit === "dollars" ? money(tick).replace(/\.?0+(?=M$)/, "") : tick.toLocaleString("en");
    svg.push(text(x(tick), bottom + 16, shown, { size: 11.5, color: SOFT, anchor: "middle" }));
  }
  svg.push(text(x0 + PLOT, bottom + 33, unit, { size: 11.5, color: SOFT, anchor: "end" }));
  outcomes.forEach((outcome, i) => {
    const y = top + 8 + i * (BAR + GAP);
    const amount = value(outcome);
    const [color, weight] = i === 0 ? [OURS, 700] : [PEER, 400];
    svg.push(text(x0 - 10, y + 16, outcome.name, { size: 12, weight, anchor: "end" }));
    svg.push(
      `<rect x="${x0}" y="${y}" width="${round(Math.max(x(amount) - x0, 1))}" height="${BAR}" fill="${color}"/>`,
    );
    svg.push(text(x(amount) + 8, y + 16, label(amount), { size: 12.5, weight: 600, color: INK }));
  });
  return svg.join("\n");
}
