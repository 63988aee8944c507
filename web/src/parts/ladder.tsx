import type { MarketReading } from "@breakwater/sdk/chain";
import { type Rung, clearsBefore, liquidatableAt, priceAfter, shareOfDebt } from "@breakwater/sdk/core";
import { type PointerEvent, useId, useMemo, useState } from "react";

import { compact, debtAmount, drawn, percent, price, priceUnits, signed } from "../format.ts";
import { useWidth } from "./lines.tsx";
import { Empty } from "./notice.tsx";
import { Sheet } from "./sheet.tsx";

// The liquidation ladder: a market's debt over the prices at which it would be liquidated. The reader moves a water line away from
// the price now, and what it passes is what such a move would clear.

/** Basis points against the borrowers, shown always. */
const MOVES = [500n, 1_000n, 2_000n];
const VIEWS = { near: 2_500, far: 7_500 };
type View = keyof typeof VIEWS;

const HEIGHT = 300;
const TOP = 44;
const BOTTOM = 30;
/** A tick is drawn this wide, in pixels; ticks that are closer share a bar. */
const BAR = { least: 4, most: 12 };
/** The label of the price now is this wide. */
const NOW = 64;
/** Rows of the table. */
const BAND = 200n;

export interface LadderProps {
  market: MarketReading;
  rungs: readonly Rung[];
  /** Where a position stands. */
  position?: { tick: number; name: string };
}

export function Ladder({ market, rungs, position }: LadderProps) {
  const { state, side } = market;
  const { base, unit } = priceUnits(market);
  const now = state.priceHigh;
  const [view, setView] = useState<View>("near");
  const [move, setMove] = useState(1_000);
  const id = useId();
  const most = VIEWS[view];
  const shown = Math.min(move, most);

  const line = priceAfter(now, BigInt(shown), side);
  const cleared = useMemo(() => liquidatableAt(line, rungs, state), [line, rungs, state]);
  const rows = useMemo(
    () =>
      [0n, ...MOVES].map((by) => {
        const at = priceAfter(now, by, side);
        const of = liquidatableAt(at, rungs, state);
        return { by, at, of };
      }),
    [now, rungs, side, state],
  );

  if (rungs.length === 0) {
    return <Empty title="Nobody owes anything here">There is no debt, so no price clears any.</Empty>;
  }
  if (now === 0n) {
    return (
      <Empty title="There is no price now">
        Nothing can be liquidated until one of the oracle’s sources answers again.
      </Empty>
    );
  }

  const verb = side === "long" ? "falls" : "rises";
  const sign = side === "long" ? "−" : "+";
  const share = shareOfDebt(cleared, rungs, state);
  const said =
    `If ${base} ${verb} by ${percent(BigInt(shown) * 10n ** 14n, 1)} to ${price(line, market)} ${unit}, ` +
    `${debtAmount(cleared.debt, market)} of debt can be liquidated: ${percent(share, 1)} of all, ` +
    `${count(cleared.ticks, "tick")}, ${count(cleared.positions, "position")}.`;
  const own = position && rungs.find(({ tick }) => tick === position.tick);

  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap items-end justify-between gap-x-6 gap-y-2">
        <p className="max-w-prose">
          Each bar is debt that is liquidated at that price. Move the line away from the price now: what it
          passes, such a move would clear.
        </p>
        <fieldset className="choice">
          <legend className="sr-only">How far to look</legend>
          {(Object.keys(VIEWS) as View[]).map((known) => (
            <label key={known}>
              <input
                type="radio"
                name={`${id}-view`}
                checked={view === known}
                onChange={() => setView(known)}
              />
              to {sign}
              {VIEWS[known] / 100} %
            </label>
          ))}
        </fieldset>
      </div>

      <Picture
        {...{ market, rungs, most, line, own }}
        name={position?.name}
        label={`Liquidation ladder of ${base}. ${said}`}
        onMove={(bps) => setMove(Math.round(Math.min(Math.max(bps, 0), most)))}
      />

      <div>
        <label htmlFor={`${id}-move`} className="font-medium">
          If {base} {verb} by {percent(BigInt(shown) * 10n ** 14n, 1)}
        </label>
        <input
          id={`${id}-move`}
          type="range"
          min={0}
          max={most}
          step={10}
          // As the picture: a falling price goes to the left.
          dir={side === "long" ? "rtl" : "ltr"}
          value={shown}
          aria-valuetext={said}
          onChange={({ target }) => setMove(Number(target.value))}
        />
        <p className="min-h-16 sm:min-h-6">{said}</p>
      </div>

      {position && own && <Before {...{ market, rungs, own }} name={position.name} />}

      <Sheet
        caption={`What a move of ${base} would clear`}
        columns={[
          { name: `If ${base}` },
          { name: "Clears debt of", isFigure: true },
          { name: "Positions", isFigure: true },
        ]}
        rows={rows.map(({ by, at, of }) => ({
          key: String(by),
          cells: [
            <>
              {by === 0n ? "stays" : `${verb} ${percent(by * 10n ** 14n, 0)}`}
              <span className="block text-sm font-normal">
                {price(at, market)} {unit}
              </span>
            </>,
            <>
              {compact(of.debt, market.addresses.decimals.debt, market.symbols.debt)}
              <span className="block text-sm text-muted">
                {percent(shareOfDebt(of, rungs, state), 1)} of all
              </span>
            </>,
            of.positions,
          ],
        }))}
      />

      <details>
        <summary className="link w-fit">The whole ladder as a table</summary>
        <Bands {...{ market, rungs }} />
      </details>
    </div>
  );
}

function Before({
  market,
  rungs,
  own,
  name,
}: {
  market: MarketReading;
  rungs: readonly Rung[];
  own: Rung;
  name: string;
}) {
  const before = clearsBefore(own.tick, rungs, market.state);
  return (
    <p>
      <strong className="font-semibold">
        {percent(shareOfDebt(before, rungs, market.state), 1)} of the debt clears before {name}
      </strong>{" "}
      ({debtAmount(before.debt, market)} in {count(before.ticks, "tick")}); it is liquidated at{" "}
      {price(own.liquidationPrice, market)} {priceUnits(market).unit}.
    </p>
  );
}

// ---------------------------------------------------------------- the picture

interface PictureProps {
  market: MarketReading;
  rungs: readonly Rung[];
  most: number;
  line: bigint;
  own: Rung | undefined;
  name: string | undefined;
  label: string;
  onMove: (bps: number) => void;
}

function Picture({ market, rungs, most, line, own, name, label, onMove }: PictureProps) {
  const { ref, width } = useWidth();
  const { state, side, addresses } = market;
  const { unit } = priceUnits(market);
  const now = drawn(state.priceHigh, market);
  const end = drawn(priceAfter(state.priceHigh, BigInt(most), side), market);
  // Some room on the other side, for what is liquidatable already.
  const room = (end / now) ** -0.06;
  const [low, high] = side === "long" ? [end, now * room] : [now * room, end];
  // Logarithmic, as the ticks are: each is as wide as the next.
  const x = (at: number) => (Math.log(at / low) / Math.log(high / low)) * width;

  const tickWidth = (Math.log(1 + addresses.spacing / 10_000) / Math.log(high / low)) * width;
  const bar = Math.min(Math.max(Math.floor(tickWidth), BAR.least), BAR.most);
  const bars = useMemo(() => {
    if (width === 0) return [];
    const one = 10 ** addresses.decimals.debt;
    const bins = new Map<number, { debt: number; price: number; rung: Rung }>();
    for (const rung of rungs) {
      const at = drawn(rung.liquidationPrice, market);
      if (at < low || at > high) continue;
      const bin = Math.floor(((Math.log(at / low) / Math.log(high / low)) * width) / bar);
      const known = bins.get(bin);
      // For drawing a double will do.
      if (known) known.debt += Number(rung.debt) / one;
      else bins.set(bin, { debt: Number(rung.debt) / one, price: at, rung });
    }
    return [...bins].map(([bin, of]) => ({ x: bin * bar, ...of }));
  }, [rungs, market, width, low, high, addresses, bar]);

  const tallest = Math.max(...bars.map(({ debt }) => debt), 1e-9);
  const floor = HEIGHT - BOTTOM;
  const y = (debt: number) => floor - (debt / tallest) * (floor - TOP - 14);
  const path = (of: typeof bars) =>
    of.map(({ x, debt }) => `M${x} ${floor}V${(y(debt) - 1).toFixed(1)}h${bar - 1}V${floor}z`).join("");

  const at = drawn(line, market);
  const isPassed = (p: number) => (side === "long" ? p >= at : p <= at);
  const isOver = (p: number) => (side === "long" ? p >= now : p <= now);
  const [from, to] = [Math.min(x(now), x(at)), Math.max(x(now), x(at))];
  const guides = spaced(
    MOVES.filter((by) => Number(by) <= most).map((by) => {
      const p = priceAfter(state.priceHigh, by, side);
      const debt = liquidatableAt(p, rungs, state).debt;
      return {
        x: x(drawn(p, market)),
        first: `${side === "long" ? "−" : "+"}${Number(by) / 100} %`,
        second: compact(debt, addresses.decimals.debt),
      };
    }),
    side === "long" ? width - NOW : NOW,
  );
  const edge = side === "long" ? width : 0;
  const drag = (event: PointerEvent<SVGSVGElement>) => {
    if (event.buttons !== 1) return;
    const left = event.currentTarget.getBoundingClientRect().left;
    const p = low * (high / low) ** ((event.clientX - left) / width);
    onMove((side === "long" ? 1 - p / now : p / now - 1) * 10_000);
  };

  return (
    <div ref={ref} className="min-h-[300px] overflow-hidden">
      {width > 0 && (
        <svg
          role="img"
          aria-label={label}
          width={width}
          height={HEIGHT}
          className="block cursor-ew-resize touch-pan-y select-none text-[13px]"
          onPointerDown={drag}
          onPointerMove={drag}
        >
          {/* The water: from the price now to the line. */}
          <rect x={from} y={TOP} width={to - from} height={floor - TOP} className="fill-accent-soft" />
          {levels(tallest).map((level) => (
            <g key={level}>
              <line
                x1={0}
                x2={width}
                y1={y(level)}
                y2={y(level)}
                className="stroke-line"
                strokeDasharray="2 4"
              />
              <text
                x={side === "long" ? 2 : width - 2}
                y={y(level) - 4}
                textAnchor={side === "long" ? "start" : "end"}
                className="fill-muted"
              >
                {short(level)} {market.symbols.debt}
              </text>
            </g>
          ))}
          {guides.map(({ x: gx, first, second, isNamed }) => (
            <g key={first}>
              <line
                x1={gx}
                x2={gx}
                y1={TOP}
                y2={floor}
                className="stroke-strong-line"
                strokeDasharray="1 3"
              />
              {isNamed && (
                <text x={gx} y={16} textAnchor="middle" className="fill-muted">
                  {first}
                  <tspan x={gx} dy={17} className="fill-ink font-medium">
                    {second}
                  </tspan>
                </text>
              )}
            </g>
          ))}
          <path d={path(bars.filter(({ price: p }) => !isPassed(p)))} className="fill-strong-line" />
          <path d={path(bars.filter(({ price: p }) => isPassed(p) && !isOver(p)))} className="fill-accent" />
          <path d={path(bars.filter(({ price: p }) => isOver(p)))} className="fill-danger" />
          <line x1={0} x2={width} y1={floor} y2={floor} className="stroke-strong-line" />
          {axis(low, high, width).map((p) => (
            <text key={p} x={x(p)} y={HEIGHT - 10} textAnchor="middle" className="fill-muted">
              {p.toLocaleString("en-US", { maximumSignificantDigits: 6 })}
            </text>
          ))}
          {/* The line that the reader moves, and the price now. */}
          <line x1={x(at)} x2={x(at)} y1={TOP - 4} y2={floor} className="stroke-accent" strokeWidth={2} />
          <circle cx={x(at)} cy={floor - 18} r={7} className="fill-surface stroke-accent" strokeWidth={2} />
          <line x1={x(now)} x2={x(now)} y1={TOP - 4} y2={floor + 4} className="stroke-ink" strokeWidth={2} />
          <text
            x={edge}
            y={16}
            textAnchor={side === "long" ? "end" : "start"}
            className="fill-ink font-semibold"
          >
            now
            <tspan x={edge} dy={17}>
              {price(state.priceHigh, market)}
            </tspan>
          </text>
          {own && (
            <Place x={x(drawn(own.liquidationPrice, market))} {...{ width, floor }} name={name ?? ""} />
          )}
        </svg>
      )}
      <p className="flex flex-wrap gap-x-4 text-sm text-muted">
        <span>
          {unit}, on a scale where each tick is as wide as the next; the price now is the one that liquidation
          looks at
        </span>
        <Key className="bg-accent">passed by the line</Key>
        <Key className="bg-strong-line">standing</Key>
        {bars.some(({ price: p }) => isOver(p)) && <Key className="bg-danger">liquidatable now</Key>}
      </p>
    </div>
  );
}

function Place({ x, width, floor, name }: { x: number; width: number; floor: number; name: string }) {
  if (x < 0 || x > width) return null;
  const anchor = x < 50 ? "start" : x > width - 50 ? "end" : "middle";
  return (
    <g>
      <path d={`M${x} ${floor + 1}l-7 11h14z`} className="fill-ink" />
      <line x1={x} x2={x} y1={TOP + 16} y2={floor} className="stroke-ink" strokeDasharray="4 3" />
      <text x={x} y={TOP + 12} textAnchor={anchor} className="fill-ink font-semibold">
        {name}
      </text>
    </g>
  );
}

function Key({ className, children }: { className: string; children: string }) {
  return (
    <span className="flex items-center gap-1.5">
      <span aria-hidden className={`inline-block size-2.5 ${className}`} />
      {children}
    </span>
  );
}

// ---------------------------------------------------------------- the table

/** The ladder in bands of some percent of the price, from the price now on. */
function Bands({ market, rungs }: { market: MarketReading; rungs: readonly Rung[] }) {
  const { state, side } = market;
  const far = Math.max(...rungs.map(({ tick }) => tick)) - Math.min(...rungs.map(({ tick }) => tick));
  const rows = [];
  let former = liquidatableAt(state.priceHigh, rungs, state);
  for (let by = BAND; by < 9_600n && rows.length <= far; by += BAND) {
    const at = priceAfter(state.priceHigh, by, side);
    const cleared = liquidatableAt(at, rungs, state);
    if (cleared.ticks > former.ticks) {
      rows.push({
        key: String(by),
        cells: [
          `${signed((side === "long" ? -1n : 1n) * (by - BAND) * 10n ** 14n, 0)} to ${signed((side === "long" ? -1n : 1n) * by * 10n ** 14n, 0)}`,
          price(at, market),
          debtAmount(cleared.debt - former.debt, market),
          cleared.ticks - former.ticks,
          cleared.positions - former.positions,
          percent(shareOfDebt(cleared, rungs, state), 1),
        ],
      });
    }
    former = cleared;
  }
  return (
    <Sheet
      caption="The whole ladder"
      columns={[
        { name: "Move" },
        { name: `To ${priceUnits(market).unit}`, isFigure: true },
        { name: "Debt in it", isFigure: true },
        { name: "Ticks", isFigure: true },
        { name: "Positions", isFigure: true },
        { name: "Cleared so far", isFigure: true },
      ]}
      rows={rows}
    />
  );
}

// ---------------------------------------------------------------- drawing

/** Marks of which none is too near to the one before to be read; `from`: where the first label may begin. */
function spaced<T extends { x: number }>(marks: T[], from: number): (T & { isNamed: boolean })[] {
  let last = from;
  return marks.map((mark, at) => {
    const isNamed = Math.abs(mark.x - last) >= (at === 0 ? 26 : 50);
    if (isNamed) last = mark.x;
    return { ...mark, isNamed };
  });
}

/** Two or three round figures up to the tallest bar. */
function levels(most: number): number[] {
  const step = round(most / 4);
  return [1, 2, 3].map((times) => times * step).filter((level) => level <= most);
}

/** Round prices, far enough apart to be read. */
function axis(low: number, high: number, width: number): number[] {
  const step = round(((high - low) / width) * 90);
  const prices: number[] = [];
  for (let p = Math.ceil(low / step) * step; p <= high; p += step) {
    const x = (Math.log(p / low) / Math.log(high / low)) * width;
    const former = prices.at(-1);
    const apart = former === undefined ? x : x - (Math.log(former / low) / Math.log(high / low)) * width;
    if (apart >= (former === undefined ? 24 : 60) && x <= width - 24) prices.push(p);
  }
  return prices;
}

function round(value: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((times) => times * magnitude >= value) ?? 10) * magnitude;
}

function short(value: number): string {
  return value
    .toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 })
    .replace("K", "k");
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
