// What the pictures of the drill and of the funding simulation are drawn with: SVG, no library. Pure.

export const INK = "#1c2733";
export const SOFT = "#5b6875";
export const GRID = "#e3e8ed";

// ------------------------------------------------------------------ scales

export interface TimeTick {
  time: number;
  label: string;
}

/** About nine instants: the first of months, or whole hours or days; a day's first is labelled with its date. */
export function timeTicks(first: number, last: number): TimeTick[] {
  const hours = (last - first) / 3600;
  if (hours > 24 * 75) return monthTicks(first, last);
  const every = ([1, 2, 3, 6, 12, 24, 48, 168].find((h) => hours / h <= 10) ?? 720) * 3600;
  const ticks: TimeTick[] = [];
  for (let time = Math.ceil(first / every) * every; time <= last; time += every) {
    const date = new Date(time * 1000);
    const isDate = time % 86_400 === 0;
    const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
    ticks.push({ time, label: isDate ? day : date.toISOString().slice(11, 16) });
  }
  return ticks;
}

function monthTicks(first: number, last: number): TimeTick[] {
  const [from, to] = [new Date(first * 1000), new Date(last * 1000)];
  const months = (date: Date) => date.getUTCFullYear() * 12 + date.getUTCMonth();
  const span = months(to) - months(from);
  const every = [1, 2, 3, 6].find((count) => span / count <= 10) ?? 12;
  const ticks: TimeTick[] = [];
  for (let month = Math.ceil(months(from) / every) * every; month <= months(to); month += every) {
    const date = new Date(Date.UTC(Math.floor(month / 12), month % 12));
    const time = date.getTime() / 1000;
    if (time < first) continue;
    const label = date.toLocaleDateString("en-GB", { month: "short", year: "numeric", timeZone: "UTC" });
    ticks.push({ time, label });
  }
  return ticks;
}

/** An axis from `least` to `most` in about four round steps. */
export function niceScale(least: number, most: number): { low: number; high: number; ticks: number[] } {
  const rough = (most - least) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = ([1, 2, 2.5, 5].find((m) => m * power >= rough) ?? 10) * power;
  const low = Math.floor(least / size) * size;
  const count = Math.max(1, Math.ceil((most - low) / size));
  const ticks = Array.from({ length: count + 1 }, (_, i) => low + i * size);
  return { low, high: ticks.at(-1)!, ticks };
}

// ------------------------------------------------------------------ drawing

export interface Drawing {
  title: string;
  subtitle: string;
  /** At the bottom. */
  note?: string;
  width: number;
  height: number;
  /** Where title, subtitle and note begin. */
  left: number;
}

const FONTS = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/** A self-contained SVG. */
export function drawing(
  { title, subtitle, note, width, height, left }: Drawing,
  content: readonly string[],
): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="${FONTS}" role="img">
<title>${escape(title)}</title>
<desc>${escape(subtitle)}</desc>
<rect width="${width}" height="${height}" fill="#ffffff"/>
${text(left, 46, title, { size: 22, weight: 700 })}
${text(left, 71, subtitle, { size: 14, color: SOFT })}
${content.join("\n")}
${note === undefined ? "" : text(left, height - 14, note, { size: 11.5, color: SOFT })}
</svg>
`;
}

export function polyline(xs: number[], ys: number[]): string {
  return xs.map((x, i) => `${round(x)},${round(ys[i]!)}`).join(" ");
}

/** A line that keeps its value until the next step changes it. */
export function stairs(xs: number[], ys: number[]): string {
  return xs
    .map((x, i) => `${i === 0 ? "" : `${round(x)},${round(ys[i - 1]!)} `}${round(x)},${round(ys[i]!)}`)
    .join(" ");
}

export function line(x1: number, y1: number, x2: number, y2: number, color: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${color}"/>`;
}

export function text(
  x: number,
  y: number,
  content: string,
  {
    size,
    weight = 400,
    color = INK,
    anchor = "start",
  }: { size: number; weight?: number; color?: string; anchor?: string },
): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" font-weight="${weight}" fill="${color}" text-anchor="${anchor}">${escape(content)}</text>`;
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function escape(content: string): string {
  return content.replace(
    /[&<>"]/g,
    (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c,
  );
}
