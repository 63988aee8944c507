// The picture of a calibration: leverage offered against the bad debt to expect, a curve for each cap. Pure.
import { GRID, INK, line, niceScale, polyline, round, SOFT, text, drawing, escape } from "../chart.ts";

interface Spot {
  leverage: number;
  loss: number; // share of the debt, a year
}

export interface Frontier {
  title: string;
  subtitle: string;
  confidence: string;
  epsilon: number;
  curves: { label: string; points: Spot[] }[];
  marks: (Spot & { label: string })[];
}

const WIDTH = 1040;
const HEIGHT = 620;
const [LEFT, RIGHT, TOP, BOTTOM] = [110, 270, 110, 90];
const COLORS = ["#2f6db3", "#1f7a5c", "#d07a1f", "#8a4fa3", "#b3312f"];
const MARKS = ["#b3312f", "#b3312f", INK];
/** Losses below a tenth of a basis point are drawn as none. */
const LEAST = 1e-5;
const MOST = 1;

export function drawFrontier({ title, subtitle, confidence, epsilon, curves, marks }: Frontier): string {
  const leverages = [...curves.flatMap(({ points }) => points), ...marks].map(({ leverage }) => leverage);
  const { low, high, ticks } = niceScale(Math.min(...leverages), Math.max(...leverages));
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
  const x = (leverage: number) => LEFT + ((leverage - low) / (high - low)) * (right - LEFT);
  // A decade above the axis for what is none.
  const decades = Math.log10(MOST / LEAST) + 1;
  const y = (loss: number) =>
    loss < LEAST
      ? bottom
      : bottom - ((Math.log10(Math.min(loss, MOST) / LEAST) + 1) / decades) * (bottom - TOP);

  const svg: string[] = [];
  for (let power = -5; power <= 0; power++) {
    const loss = 10 ** power;
    svg.push(line(LEFT, y(loss), right, y(loss), GRID));
    svg.push(
      text(LEFT - 12, y(loss) + 4, `${Number((100 * loss).toPrecision(1))} %`, {
        size: 13,
        color: SOFT,
        anchor: "end",
      }),
    );
  }
  svg.push(line(LEFT, bottom, right, bottom, SOFT));
  svg.push(text(LEFT - 12, bottom + 4, "none", { size: 13, color: SOFT, anchor: "end" }));
  for (const tick of ticks) {
    svg.push(line(x(tick), bottom, x(tick), bottom + 5, SOFT));
    svg.push(
      text(x(tick), bottom + 22, `${Number(tick.toFixed(2))}×`, { size: 13, color: SOFT, anchor: "middle" }),
    );
  }
  svg.push(
    text((LEFT + right) / 2, bottom + 48, "leverage offered, 1 / (1 − max LTV)", {
      size: 13,
      color: INK,
      anchor: "middle",
    }),
  );
  svg.push(
    `<text transform="translate(28 ${round((TOP + bottom) / 2)}) rotate(-90)" font-size="13" fill="${INK}" text-anchor="middle">bad debt a year, share of the debt, at ${escape(confidence)} at most</text>`,
  );
  svg.push(
    `<line x1="${LEFT}" y1="${round(y(epsilon))}" x2="${right}" y2="${round(y(epsilon))}" stroke="${INK}" stroke-dasharray="6 4"/>`,
    text(LEFT + 8, y(epsilon) - 7, `allowed: ${Number((100 * epsilon).toPrecision(3))} %`, {
      size: 13,
      weight: 600,
    }),
  );
  curves.forEach(({ points }, at) => {
    const xs = points.map(({ leverage }) => x(leverage));
    svg.push(
      `<polyline points="${polyline(
        xs,
        points.map(({ loss }) => y(loss)),
      )}" fill="none" stroke="${COLORS[at % COLORS.length]!}" stroke-width="2" stroke-linejoin="round"/>`,
    );
  });
  marks.forEach(({ leverage, loss }, at) => {
    const color = MARKS[at % MARKS.length]!;
    const fill = at === 1 ? "#ffffff" : color;
    svg.push(
      `<circle cx="${round(x(leverage))}" cy="${round(y(loss))}" r="6" fill="${fill}" stroke="${color}" stroke-width="2.5"/>`,
    );
  });
  const legend = right + 26;
  svg.push(text(legend, TOP + 4, "debt cap", { size: 13, weight: 600 }));
  curves.forEach(({ label }, at) => {
    const top = TOP + 28 + at * 22;
    svg.push(
      line(legend, top - 4, legend + 20, top - 4, COLORS[at % COLORS.length]!).replace(
        "/>",
        ' stroke-width="3"/>',
      ),
    );
    svg.push(text(legend + 28, top, label, { size: 13, color: SOFT }));
  });
  marks.forEach(({ label }, at) => {
    const top = TOP + 58 + (curves.length + at) * 22;
    const color = MARKS[at % MARKS.length]!;
    svg.push(
      `<circle cx="${legend + 10}" cy="${top - 4}" r="5" fill="${at === 1 ? "#ffffff" : color}" stroke="${color}" stroke-width="2.5"/>`,
    );
    svg.push(text(legend + 28, top, label, { size: 13, color: SOFT }));
  });
  return drawing({ title, subtitle, width: WIDTH, height: HEIGHT, left: LEFT }, svg);
}
