import { formatAmount, parseAmount } from "@breakwater/sdk/core";
import { useId } from "react";

import { leverage as times } from "../format.ts";

const HUNDREDTH = 10n ** 16n;
/** Of the slider, hundredths. */
const STEP = 5n;
const LEAST = 105n;

/** What the text comes to, WAD; undefined: no leverage, or not one that there is. */
export function readLeverage(text: string, most: bigint): bigint | undefined {
  try {
    const leverage = parseAmount(text, 18);
    return leverage > 10n ** 18n && leverage <= most ? leverage : undefined;
  } catch {
    return undefined;
  }
}

/** A slider and a field for the same thing. */
export function LeverageInput({
  text,
  onText,
  most,
  label = "Leverage",
}: {
  text: string;
  onText: (text: string) => void;
  /** WAD. */
  most: bigint;
  label?: string;
}) {
  const id = useId();
  const steps = most / HUNDREDTH / STEP;
  const leverage = readLeverage(text, most);
  const at = leverage === undefined ? steps * STEP : leverage / HUNDREDTH;
  return (
    <div className="grid gap-1">
      <div className="flex items-center justify-between gap-3">
        <label htmlFor={id} className="font-medium">
          {label}
        </label>
        <div className="relative w-28">
          <input
            className="field pr-8 text-right text-lg"
            inputMode="decimal"
            autoComplete="off"
            aria-label={`${label}, as a number`}
            aria-invalid={leverage === undefined}
            aria-describedby={`${id}-words`}
            value={text}
            onChange={({ target }) => onText(target.value)}
          />
          <span
            aria-hidden
            className="pointer-events-none absolute inset-y-0 right-3 grid place-items-center text-muted"
          >
            ×
          </span>
        </div>
      </div>
      <input
        id={id}
        type="range"
        min={Number(LEAST)}
        max={Number(steps * STEP)}
        step={Number(STEP)}
        value={Number(at)}
        aria-valuetext={times(at * HUNDREDTH)}
        onChange={({ target }) => onText(formatAmount(BigInt(target.value), 2))}
      />
      <div id={`${id}-words`} className="flex min-h-6 justify-between gap-3 text-sm text-muted">
        {leverage === undefined ? (
          <span className="text-danger" aria-live="polite">
            Write a number above 1, up to {formatAmount(most, 18, 2)}.
          </span>
        ) : (
          <span>{times(LEAST * HUNDREDTH)}</span>
        )}
        <span>at most {times(most)} now</span>
      </div>
    </div>
  );
}
