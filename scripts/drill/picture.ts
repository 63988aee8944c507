// The picture of a drill: a self-contained SVG of price, debt outstanding, debt cleared and bad debt. Pure.
import {
  GRID,
  INK,
  line,
  niceScale,
  polyline,
  round,
  SOFT,
  stairs,
  text,
  timeTicks,
  type TimeTick,
  drawing,
  escape,
} from "../chart.ts";

/** What the picture shows of one step; dollars. A figure leaves bigint only here, where it is drawn. */
export interface Point {
  time: number; // seconds since 1970
  price: number;
  debt: number; //        owed by borrowers, after the step
  sold: number; //        repaid by keepers so far, the pot aside
  seized: number; //      debt of insolvent ticks seized so far
  insurance: number; //   bad debt so far, by who bore it
  reserves: number;
  lenders: number;
  transactions: number; // of keepers in this step
}

export interface Picture {
  title: string;
  subtitle: string;
  figures: { label: string; value: string }[];
  note: string;
  points: Point[]; // the first is the state before the first step
}

interface Layer {
  label: string;
  color: string;
  values: number[];
}

interface Panel {
  title: string;
  unit: string;
  height: number;
  fromZero: boolean;
  stacked: boolean;
  layers: Layer[];
}

const WIDTH = 1200;
const LEFT = 92;
const RIGHT = 224; // room for the labels at the end of the lines
const PLOT = WIDTH - LEFT - RIGHT;
const TOP = 176;
const BETWEEN = 58;
const COLORS = {
  price: "#1c2733",
  debt: "#2f6db3",
  sold: "#2a8c82",
  seized: "#e0a526",
  insurance: "#8a6bbd",
  reserves: "#c9b3e6",
  lenders: "#c8372d",
};

export function drawPicture(picture: Picture): string {
  const { points } = picture;
  const panels = panelsOf(points);
  const bottom = TOP + panels.reduce((sum, { height }) => sum + height + BETWEEN, 0);
  const height = bottom + 24;
  const x = timeScale(points);
  const times = timeTicks(points[0]!.time, points.at(-1)!.time);

  let y = TOP;
  const drawn = panels.map((panel, index) => {
    const svg = drawPanel(panel, points, x, times, y, index === panels.length - 1, index === 0);
    y += panel.height + BETWEEN;
    return svg;
  });
  const { title, subtitle, note } = picture;
  const content = [drawFigures(picture.figures), ...drawn];
  return drawing({ title, subtitle, note, width: WIDTH, height, left: LEFT }, content);
}

function panelsOf(points: Point[]): Panel[] {
  const layer = (label: string, color: string, value: (point: Point) => number): Layer => ({
    label,
    color,
    values: points.map(value),
  });
  const clearing = [
    layer("sold to keepers", COLORS.sold, ({ sold }) => sold),
    layer("seized insolvent", COLORS.seized, ({ seized }) => seized),
  ];
  const bearers = [
    layer("insurance fund", COLORS.insurance, ({ insurance }) => insurance),
    layer("reserves", COLORS.reserves, ({ reserves }) => reserves),
    layer("lenders", COLORS.lenders, ({ lenders }) => lenders),
  ];
  const price = [layer("at the end", COLORS.price, (point) => point.price)];
  const debt = [layer("at the end", COLORS.debt, (point) => point.debt)];
  return [
    { title: "Price of ETH", unit: "$", height: 190, fromZero: false, stacked: false, layers: price },
    { title: "Debt outstanding", unit: "$", height: 130, fromZero: true, stacked: true, layers: debt },
    {
      title: "Debt cleared by liquidation, cumulative",
      unit: "$",
      height: 130,
      fromZero: true,
      stacked: true,
      layers: clearing,
    },
    {
      title: "Bad debt by who bore it, cumulative",
      unit: "$",
      height: 130,
      fromZero: true,
      stacked: true,
      layers: bearers,
    },
  ];
}

// ------------------------------------------------------------------ panels

function drawPanel(
  panel: Panel,
  points: Point[],
  x: (time: number) => number,
  times: TimeTick[],
  top: number,
  isLast: boolean,
  marks: boolean,
): string {
  const bottom = top + panel.height;
  const totals = points.map((_, i) => panel.layers.reduce((sum, { values }) => sum + values[i]!, 0));
  const { low, high, ticks } = valueScale(panel, totals);
  const y = (value: number) => bottom - ((value - low) / (high - low)) * panel.height;

  const svg = [text(LEFT, top - 14, panel.title, { size: 14, weight: 600 })];
  for (const { time, label } of times) {
    svg.push(line(x(time), top, x(time), bottom, GRID));
    svg.push(text(x(time), bottom + 17, label, { size: 11.5, color: SOFT, anchor: "middle" }));
  }
  const digits = digitsFor(ticks);
  for (const tick of ticks) {
    svg.push(line(LEFT, y(tick), LEFT + PLOT, y(tick), tick === 0 ? "#aab4be" : GRID));
    const label = dollars(tick, ticks.at(-1), digits);
    svg.push(text(LEFT - 10, y(tick) + 4, label, { size: 12, color: SOFT, anchor: "end" }));
  }
  if (isLast) {
    svg.push(text(LEFT + PLOT, bottom + 34, "time (UTC)", { size: 11.5, color: SOFT, anchor: "end" }));
  }

  const xs = points.map(({ time }) => x(time));
  const labels: { y: number; color: string; label: string; value: string }[] = [];
  let base = points.map(() => low);
  for (const { label, color, values } of panel.layers) {
    const above = panel.stacked ? values.map((value, i) => (base[i] ?? 0) + value) : values;
    // Debt changes at once, at a step; the price is only known at steps, so a line is all that can be said.
    const outline = panel.stacked ? stairs(xs, above.map(y)) : polyline(xs, above.map(y));
    if (panel.stacked) {
      const back = stairs(xs, base.map(y)).split(" ").reverse().join(" ");
      svg.push(`<polygon points="${outline} ${back}" fill="${color}" fill-opacity="0.82"/>`);
    } else {
      svg.push(
        `<polyline points="${outline}" fill="none" stroke="${color}" stroke-width="1.8" stroke-linejoin="round"/>`,
      );
    }
    const last = values.at(-1)!;
    if (last > 0 || !panel.stacked || panel.layers.length === 1) {
      const middle = panel.stacked ? ((base.at(-1) ?? 0) + above.at(-1)!) / 2 : last;
      labels.push({ y: y(middle) + 4, color, label, value: dollars(last) });
    }
    base = above;
  }
  if (marks) svg.push(drawMarks(points, xs, y));
  if (labels.length === 0) labels.push({ y: y(0) + 4, color: SOFT, label: "none", value: "$0" });
  for (const { y: at, color, label, value } of apart(labels)) {
    svg.push(
      `<text x="${LEFT + PLOT + 12}" y="${round(at)}" font-size="13" fill="${INK}"><tspan fill="${color}">■</tspan> ` +
        `<tspan font-weight="600">${escape(value)}</tspan> <tspan fill="${SOFT}">${escape(label)}</tspan></text>`,
    );
  }
  return svg.join("\n");
}

/** A dot on the price line at each step in which keepers acted. */
function drawMarks(points: Point[], xs: number[], y: (value: number) => number): string {
  const dots = points.flatMap(({ transactions, price }, i) =>
    transactions === 0
      ? []
      : [
          `<circle cx="${round(xs[i]!)}" cy="${round(y(price))}" r="3" fill="${COLORS.sold}" stroke="#fff" stroke-width="0.8"/>`,
        ],
  );
  const lowest = points.reduce((best, { price }, i) => (price < points[best]!.price ? i : best), 0);
  const low = points[lowest]!.price;
  const label = text(xs[lowest]!, y(low) + 18, `low ${dollars(low)}`, { size: 12, anchor: "middle" });
  const at = LEFT + 130;
  const legend =
    `<circle cx="${at}" cy="${TOP - 19}" r="3.5" fill="${COLORS.sold}"/>` +
    text(at + 9, TOP - 14, "step in which keepers liquidated", { size: 12, color: SOFT });
  return [...dots, label, legend].join("\n");
}

/** Moves labels that would overlap apart, downwards from the highest. */
function apart<T extends { y: number }>(labels: T[]): T[] {
  const sorted = [...labels].sort((a, b) => b.y - a.y); // from the axis upwards
  let limit = Infinity;
  return sorted.map((label) => {
    const y = Math.min(label.y, limit);
    limit = y - 18;
    return { ...label, y };
  });
}

function drawFigures(figures: Picture["figures"]): string {
  const step = (WIDTH - LEFT - 40) / Math.max(1, figures.length);
  return figures
    .map(({ label, value }, i) => {
      const at = LEFT + i * step;
      return `${text(at, 108, value, { size: 19, weight: 600 })}\n${text(at, 126, label, { size: 11.5, color: SOFT })}`;
    })
    .join("\n");
}

// ------------------------------------------------------------------ scales

function timeScale(points: Point[]): (time: number) => number {
  const first = points[0]!.time;
  const span = Math.max(1, points.at(-1)!.time - first);
  return (time) => LEFT + ((time - first) / span) * PLOT;
}

function valueScale(panel: Panel, totals: number[]): { low: number; high: number; ticks: number[] } {
  const least = panel.fromZero ? 0 : Math.min(...totals);
  const most = Math.max(...totals);
  if (most <= least) return { low: 0, high: most > 0 ? most * 1.25 : 1, ticks: [0] };
  return niceScale(least, most);
}

function digitsFor(ticks: number[]): number {
  const unit = unitOf(ticks.at(-1) ?? 0).size;
  const distance = ((ticks[1] ?? 0) - (ticks[0] ?? 0)) / unit;
  return (
    [0, 1, 2].find(
      (digits) => Math.abs(distance * 10 ** digits - Math.round(distance * 10 ** digits)) < 1e-9,
    ) ?? 2
  );
}

// ------------------------------------------------------------------ drawing

function unitOf(scale: number): { size: number; letter: string } {
  if (scale >= 1e9) return { size: 1e9, letter: "B" };
  if (scale >= 1e6) return { size: 1e6, letter: "M" };
  if (scale >= 1e4) return { size: 1e3, letter: "k" };
  return { size: 1, letter: "" };
}

/** $12.3M, $450k, $93; in the unit of `scale`, so that an axis keeps one unit. */
export function dollars(value: number, scale = value, digits?: number): string {
  if (value === 0) return "$0";
  const { size, letter } = unitOf(scale);
  const places = digits ?? (size === 1 ? (value < 1000 ? 2 : 0) : value / size < 100 ? 2 : 1);
  const number = (value / size).toLocaleString("en", {
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
  return `$${number}${letter}`;
}
