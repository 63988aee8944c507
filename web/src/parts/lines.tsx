import { useEffect, useRef, useState } from "react";

export interface Line {
  name: string;
  points: readonly { x: number; y: number }[];
  /** Told apart by more than its colour. */
  isDashed?: boolean;
}

/** A drawing's width in pixels, of the element that it is in. */
export function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(ref.current!);
    return () => observer.disconnect();
  }, []);
  return { ref, width };
}

const HEIGHT = 150;
const TOP = 12;
const BOTTOM = 24;
const LEFT = 58;

/** Lines over a common axis, from doubles: for looking at; the figures stand beside it in words. */
export function Lines({
  label,
  lines,
  formatY,
  from,
  to,
}: {
  /** For screen readers: what it shows, with the figures that matter. */
  label: string;
  lines: readonly Line[];
  formatY: (y: number) => string;
  /** What the ends of the axis are called. */
  from: string;
  to: string;
}) {
  const { ref, width } = useWidth();
  const all = lines.flatMap(({ points }) => points);
  const [left, right] = [Math.min(...all.map(({ x }) => x)), Math.max(...all.map(({ x }) => x))];
  const [least, most] = [Math.min(...all.map(({ y }) => y)), Math.max(...all.map(({ y }) => y))];
  // A line that hardly moves is drawn as one that hardly moves.
  const room = Math.max((most - least) * 0.15, Math.abs(most) * 0.02, 1e-9);
  const low = least >= 0 ? Math.max(least - room, 0) : least - room;
  const high = most + room;
  const floor = HEIGHT - BOTTOM;
  const px = (x: number) => LEFT + (right === left ? 0 : ((x - left) / (right - left)) * (width - LEFT - 6));
  const py = (y: number) => floor - ((y - low) / (high - low)) * (floor - TOP);
  return (
    <div ref={ref} className="min-h-[150px] overflow-hidden">
      {width > 0 && all.length > 0 && (
        <svg role="img" aria-label={label} width={width} height={HEIGHT} className="block text-[13px]">
          {[low, (low + high) / 2, high].map((y) => (
            <g key={y}>
              <line x1={LEFT} x2={width} y1={py(y)} y2={py(y)} className="stroke-line" />
              <text x={LEFT - 8} y={py(y) + 4} textAnchor="end" className="fill-muted">
                {formatY(y)}
              </text>
            </g>
          ))}
          {lines.map(({ name, points, isDashed }) => (
            <path
              key={name}
              d={points
                .map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`)
                .join("")}
              fill="none"
              className="stroke-accent"
              strokeWidth={2}
              strokeDasharray={isDashed ? "5 4" : undefined}
            />
          ))}
          <text x={LEFT} y={HEIGHT - 6} className="fill-muted">
            {from}
          </text>
          <text x={width - 2} y={HEIGHT - 6} textAnchor="end" className="fill-muted">
            {to}
          </text>
        </svg>
      )}
      {lines.length > 1 && (
        <p className="flex flex-wrap gap-x-5 text-sm text-muted">
          {lines.map(({ name, isDashed }) => (
            <span key={name} className="flex items-center gap-2">
              <svg aria-hidden width="24" height="4">
                <line
                  x2="24"
                  y1="2"
                  y2="2"
                  className="stroke-accent"
                  strokeWidth={2}
                  strokeDasharray={isDashed ? "5 4" : undefined}
                />
              </svg>
              {name}
            </span>
          ))}
        </p>
      )}
    </div>
  );
}
