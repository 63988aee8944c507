// The picture of an exposure: where the debt stands, what a fall makes of it, and what a day may bring. Pure.
import { formatAmount } from "@breakwater/sdk/core";

import { GRID, line, niceScale, polyline, round, SOFT, text, drawing } from "../chart.ts";
import type { Exposure } from "./exposure.ts";
import { ONE_IN } from "./losses.ts";

const WIDTH = 1200;
const LEFT = 88;
const RIGHT = 200; // room for the labels at the end of the lines
const BETWEEN = 92;
const TOP = 150;
const HEIGHT = 220;
const HALF = (WIDTH - LEFT - RIGHT - 150) / 2;
const COLORS = { debt: "#2f6db3", loss: "#c8372d", jumps: "#d07a1f", drawn: "#1f7a5c" };

interface Curve {
  label: string;
  color: string;
  values: number[];
  dashed?: boolean;
}

interface Frame {
  left: number;
  top: number;
  width: number;
  title: string;
  below: string; // the name of the horizontal axis
}

export function drawExposure(e: Exposure, note: string): string {
  const unit = e.symbols.debt;
  const whole = (amount: bigint) => Number(amount) / 10 ** e.decimals.debt;
  const fall = `fall of ${e.symbols.collateral} in ${e.symbols.debt}, %`;
  const wide = WIDTH - LEFT - RIGHT;
  const second = TOP + HEIGHT + BETWEEN;
  const third = second + HEIGHT + BETWEEN;
  const panels = [
    drawBars(
      {
        left: LEFT,
        top: TOP,
        width: wide,
        title: `Debt by how far the price has to fall before it is liquidated, ${unit}`,
        below: fall,
      },
      e.distance.map(({ percent, debt }) => ({ at: percent, value: whole(debt) })),
    ),
    drawCurves(
      {
        left: LEFT,
        top: second,
        width: wide,
        title: `Debt liquidatable if the price falls at once, and what of it would be lost, ${unit}`,
        below: fall,
      },
      [0, 10, 20, 30, 40, 50, 60].map((percent) => ({ at: percent / 60, label: String(percent) })),
      [0, ...e.falls.map(({ fall }) => Number(fall) / 6_000)],
      [
        {
          label: "liquidatable",
          color: COLORS.debt,
          values: [0, ...e.falls.map((f) => whole(f.liquidatable))],
        },
        { label: "bad debt", color: COLORS.loss, values: [0, ...e.falls.map((f) => whole(f.badDebt))] },
      ],
    ),
  ];
  if (e.losses) {
    const places = ONE_IN.map((_, at) => at / (ONE_IN.length - 1));
    const ticks = ONE_IN.map((paths, at) => ({ at: places[at]!, label: paths.toLocaleString("en") }));
    const curves = (of: "liquidated" | "badDebt"): Curve[] =>
      e.losses!.figures.flatMap(({ model, horizons }) =>
        horizons.map((losses) => ({
          label: `${model === "bootstrap" ? "bootstrap" : "jumps"}, ${losses.hours} h`,
          color: model === "bootstrap" ? COLORS.drawn : COLORS.jumps,
          values: losses[of].tail,
          dashed: losses.hours === 1,
        })),
      );
    const below = "exceeded once in so many paths";
    panels.push(
      drawCurves(
        { left: LEFT, top: third, width: HALF, title: `Debt liquidated, ${unit}`, below },
        ticks,
        places,
        curves("liquidated"),
      ),
      drawCurves(
        {
          left: LEFT + HALF + 220,
          top: third,
          width: WIDTH - LEFT - HALF - 220 - 172,
          title: `Bad debt before insurance, ${unit}`,
          below,
        },
        ticks,
        places,
        curves("badDebt"),
      ),
    );
  }
  const height = (e.losses ? third : second) + HEIGHT + 84;
  const shares = e.concentration.map(({ share }) => `${formatAmount(share, 2, 1)} %`).join(" / ");
  const subtitle =
    `${short(whole(e.debt))} ${unit} owed by ${e.borrowers.toLocaleString("en")} borrowers in ${e.positions.toLocaleString("en")} positions; ` +
    `the largest 1 / 10 / 100 owe ${shares}`;
  const reverse =
    e.reverse?.atOnce === undefined
      ? ""
      : `the smallest fall that makes bad debt: ${(Number(e.reverse.atOnce) / 100).toFixed(2)} % at once` +
        e.reverse.within
          .map(({ hours, any }) => (any === undefined ? "" : `, ${any} % within ${hours} h`))
          .join("");
  const reverseLine = text(LEFT, 93, reverse, { size: 14, color: SOFT });
  const title = `Exposure of ${e.market}`;
  return drawing({ title, subtitle, note, width: WIDTH, height, left: LEFT }, [reverseLine, ...panels]);
}

function drawBars(frame: Frame, bars: { at: number; value: number }[]): string {
  const scale = niceScale(0, Math.max(...bars.map(({ value }) => value), 1e-9));
  const step = frame.width / 101; // −1: liquidatable now, 0 to 99
  const rects = bars.map(({ at, value }) => {
    const height = (value / scale.high) * HEIGHT;
    const color = at < 0 ? COLORS.loss : COLORS.debt;
    return `<rect x="${round(frame.left + (at + 1) * step + 0.5)}" y="${round(frame.top + HEIGHT - height)}" width="${round(step - 1)}" height="${round(height)}" fill="${color}"/>`;
  });
  const ticks = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map((percent) => ({
    at: (percent + 1) / 101,
    label: String(percent),
  }));
  const now = bars.some(({ at }) => at < 0)
    ? text(frame.left + 2, frame.top + 12, "red: liquidatable now", { size: 12, color: COLORS.loss })
    : "";
  return [axes(frame, scale, ticks), ...rects, now].join("\n");
}

function drawCurves(
  frame: Frame,
  ticks: { at: number; label: string }[],
  places: readonly number[],
  curves: Curve[],
): string {
  const most = Math.max(...curves.flatMap(({ values }) => values));
  const scale = niceScale(0, most > 0 ? most : 1);
  const x = places.map((at) => frame.left + at * frame.width);
  const y = (value: number) => frame.top + HEIGHT - (value / scale.high) * HEIGHT;
  const lines = curves.map(
    ({ color, values, dashed }) =>
      `<polyline points="${polyline(x, values.map(y))}" fill="none" stroke="${color}" stroke-width="2"${dashed ? ' stroke-dasharray="5 4"' : ""}/>`,
  );
  // Labels beside the ends of their lines, pushed apart where they would cover each other.
  let above = -Infinity;
  const labels = curves
    .map(({ label, color, values }) => ({ label, color, value: values.at(-1)!, y: y(values.at(-1)!) + 4 }))
    .sort((a, b) => a.y - b.y);
  const lowest = frame.top + HEIGHT + 4;
  labels.forEach((label, at) => {
    label.y = Math.min(Math.max(label.y, above + 15), lowest - (labels.length - 1 - at) * 15);
    above = label.y;
  });
  const ends = labels.map(({ label, color, value, y: at }) =>
    text(frame.left + frame.width + 8, at, `${label}: ${short(value)}`, { size: 12, color }),
  );
  return [axes(frame, scale, ticks), ...lines, ...ends].join("\n");
}

function axes(
  { left, top, width, title, below }: Frame,
  scale: ReturnType<typeof niceScale>,
  ticks: { at: number; label: string }[],
): string {
  const bottom = top + HEIGHT;
  return [
    text(left, top - 14, title, { size: 14, weight: 600 }),
    ...scale.ticks.map((value) => {
      const at = bottom - (value / scale.high) * HEIGHT;
      return (
        line(left, at, left + width, at, GRID) +
        text(left - 10, at + 4, short(value), { size: 12, color: SOFT, anchor: "end" })
      );
    }),
    ...ticks.map(({ at, label }) =>
      text(left + at * width, bottom + 20, label, { size: 12, color: SOFT, anchor: "middle" }),
    ),
    text(left + width / 2, bottom + 40, below, { size: 12, color: SOFT, anchor: "middle" }),
  ].join("\n");
}

/** 12,345,678 → 12.3M. */
function short(value: number): string {
  return value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
}
