// The picture of a simulation: price, imbalance and cost of each side, with funding and without. Pure.
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
  drawing,
  escape,
} from "../chart.ts";
import { type Hour, imbalanceOfHour } from "./simulate.ts";

export interface Picture {
  title: string;
  subtitle: string;
  figures: { label: string; value: string }[];
  note: string;
  deadBand: number; // as a share
  /** The same hours, without funding and with it. */
  without: Hour[];
  with: Hour[];
}

interface Line {
  label: string;
  color: string;
  values: number[];
  faint?: boolean;
  filled?: boolean; // down to zero
  /** Drawn where the line ends. */
  value: string;
}

interface Panel {
  title: string;
  height: number;
  lines: Line[];
  fromZero: boolean;
  band?: number; // shaded on both sides of zero
  format: (value: number) => string;
}

const WIDTH = 1200;
const LEFT = 92;
const RIGHT = 214;
const PLOT = WIDTH - LEFT - RIGHT;
const TOP = 182;
const BETWEEN = 60;
const LONG = "#2f6db3";
const SHORT = "#d07a1f";
const WITHOUT = "#8d99a6";
const WITH = "#1f7a5c";

export function drawFunding(picture: Picture): string {
  const panels = panelsOf(picture);
  const height = TOP + panels.reduce((sum, panel) => sum + panel.height + BETWEEN, 0) + 14;
  const times = picture.with.map(({ time }) => time);
  let top = TOP;
  const drawn = panels.map((panel) => {
    const svg = drawPanel(panel, times, top);
    top += panel.height + BETWEEN;
    return svg;
  });
  const step = (WIDTH - LEFT - 20) / picture.figures.length;
  const figures = picture.figures.map(
    ({ label, value }, i) =>
      text(LEFT + i * step, 112, value, { size: 19, weight: 600 }) +
      text(LEFT + i * step, 131, label, { size: 12, color: SOFT }),
  );
  const { title, subtitle, note } = picture;
  return drawing({ title, subtitle, note, width: WIDTH, height, left: LEFT }, [...figures, ...drawn]);
}

function panelsOf({ without, with: funded, deadBand }: Picture): Panel[] {
  const [before, after] = [without.at(-1)!, funded.at(-1)!];
  const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
  const millions = (value: number) => `$${(value / 1e6).toFixed(1)}M`;
  const side = (label: string, color: string, hours: Hour[], of: (hour: Hour) => number, faint = false) => ({
    label,
    color,
    faint,
    values: hours.map(of),
    value: millions(of(hours.at(-1)!)),
  });
  const price: Line = {
    label: "at the end",
    color: INK,
    values: funded.map((hour) => hour.price),
    value: `$${after.price.toFixed(0)}`,
  };
  return [
    { title: "Price of ETH", height: 130, lines: [price], fromZero: false, format: (v) => `$${v}` },
    {
      title: "Imbalance: (long debt − short debt) / both; above zero longs owe more; shaded: the dead band",
      height: 210,
      fromZero: true,
      band: deadBand,
      format: percent,
      lines: [
        {
          label: "no funding",
          color: WITHOUT,
          values: without.map(imbalanceOfHour),
          value: percent(imbalanceOfHour(before)),
        },
        {
          label: "with funding",
          color: WITH,
          values: funded.map(imbalanceOfHour),
          value: percent(imbalanceOfHour(after)),
        },
      ],
    },
    {
      title: "Surcharge, a year: longs pay above zero, shorts below",
      height: 120,
      fromZero: true,
      format: (value) => percent(Math.abs(value)),
      lines: [
        {
          label: "longs pay",
          color: LONG,
          values: funded.map((hour) => hour.surchargeLong),
          value: percent(after.surchargeLong),
          filled: true,
        },
        {
          label: "shorts pay",
          color: SHORT,
          values: funded.map((hour) => -hour.surchargeShort),
          value: percent(after.surchargeShort),
          filled: true,
        },
      ],
    },
    {
      title: "Debt of each side: with funding, and faint without",
      height: 150,
      fromZero: true,
      format: (value) => `$${value / 1e6}M`,
      lines: [
        side("long, no funding", LONG, without, ({ long }) => long, true),
        side("short, no funding", SHORT, without, ({ short }) => short, true),
        side("long", LONG, funded, ({ long }) => long),
        side("short", SHORT, funded, ({ short }) => short),
      ],
    },
  ];
}

function drawPanel(
  { title, height, lines, fromZero, band, format }: Panel,
  times: number[],
  top: number,
): string {
  const bottom = top + height;
  const [first, last] = [times[0]!, times.at(-1)!];
  const x = (time: number) => LEFT + ((time - first) / (last - first)) * PLOT;
  const values = lines.flatMap((one) => one.values);
  const floor = fromZero ? Math.min(0, ...extremes(values)) : extremes(values)[0];
  const { low, high, ticks } = niceScale(floor, Math.max(fromZero ? 0.01 : 0, extremes(values)[1]));
  const y = (value: number) => bottom - ((value - low) / (high - low)) * height;
  const svg = [text(LEFT, top - 14, title, { size: 14, weight: 600 })];
  if (band !== undefined) {
    svg.push(
      `<rect x="${LEFT}" y="${round(y(band))}" width="${PLOT}" height="${round(y(-band) - y(band))}" fill="#eef2f5"/>`,
    );
  }
  for (const { time, label } of timeTicks(first, last)) {
    svg.push(line(x(time), top, x(time), bottom, GRID));
    svg.push(text(x(time), bottom + 17, label, { size: 11.5, color: SOFT, anchor: "middle" }));
  }
  for (const tick of ticks) {
    const isZero = Math.abs(tick) < 1e-9;
    svg.push(line(LEFT, y(tick), LEFT + PLOT, y(tick), isZero && low < 0 ? "#8d99a6" : GRID));
    svg.push(
      text(LEFT - 10, y(tick) + 4, format(isZero ? 0 : tick), { size: 12, color: SOFT, anchor: "end" }),
    );
  }
  const xs = times.map(x);
  for (const { values: own, color, faint, filled } of lines) {
    if (filled) {
      const outline = stairs(xs, own.map(y));
      svg.push(
        `<polygon points="${LEFT},${round(y(0))} ${outline} ${LEFT + PLOT},${round(y(0))}" fill="${color}" fill-opacity="0.75"/>`,
      );
    } else {
      svg.push(
        `<polyline points="${polyline(xs, own.map(y))}" fill="none" stroke="${color}" stroke-width="${faint ? 1.2 : 1.9}"` +
          `${faint ? ' stroke-opacity="0.55" stroke-dasharray="4 3"' : ""} stroke-linejoin="round"/>`,
      );
    }
  }
  // Labels at the ends of the lines, moved apart where they would overlap.
  let limit = -Infinity;
  for (const { own, color, label, value, faint } of lines
    .map((one) => ({ ...one, own: y(one.values.at(-1)!) + 4 }))
    .sort((a, b) => a.own - b.own)) {
    const at = Math.max(own, limit + 18);
    limit = at;
    svg.push(
      `<text x="${LEFT + PLOT + 12}" y="${round(at)}" font-size="13" fill="${INK}"><tspan fill="${color}"${faint ? ' fill-opacity="0.55"' : ""}>■</tspan> ` +
        `<tspan font-weight="600">${escape(value)}</tspan> <tspan fill="${SOFT}">${escape(label)}</tspan></text>`,
    );
  }
  return svg.join("\n");
}

function extremes(values: readonly number[]): [number, number] {
  return values.reduce<[number, number]>(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
}
