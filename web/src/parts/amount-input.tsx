import { formatAmount, parseAmount } from "@breakwater/sdk/core";
import { useId } from "react";

import { amount, exact } from "../format.ts";

export interface AmountToken {
  symbol: string;
  decimals: number;
}

/** What a field's text comes to: an amount, nothing yet, or words that say what is wrong with it. */
export function readAmount(
  text: string,
  { decimals, symbol }: AmountToken,
  most?: bigint,
): { amount?: bigint; words?: string } {
  if (text.trim() === "") return {};
  // "1,5" would be read as fifteen.
  if (/,(?!\d{3}(\D|$))/.test(text)) return { words: "Write decimals with a point: 1.5" };
  let value: bigint;
  try {
    value = parseAmount(text, decimals);
  } catch {
    return { words: `Write a number with at most ${decimals} decimals, like 1.5` };
  }
  if (value <= 0n) return { words: "Write an amount above zero." };
  if (most !== undefined && value > most) {
    return { amount: value, words: `That is more than the ${amount(most, decimals, symbol)} there are.` };
  }
  return { amount: value };
}

/** A token amount as text; bigint from here on. `most`: with a button that takes all of it. */
export function AmountInput({
  label,
  token,
  text,
  onText,
  most,
  mostName = "Available",
  isOptional = false,
}: {
  label: string;
  token: AmountToken;
  text: string;
  onText: (text: string) => void;
  most?: bigint;
  mostName?: string;
  isOptional?: boolean;
}) {
  const id = useId();
  const { words } = readAmount(text, token, most);
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
        {isOptional && <span className="font-normal text-muted"> (optional)</span>}
      </label>
      <div className="relative">
        <input
          id={id}
          className="field pr-20 text-lg"
          inputMode="decimal"
          autoComplete="off"
          spellCheck={false}
          placeholder="0.0"
          value={text}
          onChange={({ target }) => onText(target.value)}
          aria-invalid={words !== undefined}
          aria-describedby={`${id}-words`}
        />
        <span
          aria-hidden
          className="pointer-events-none absolute inset-y-0 right-3 grid place-items-center text-muted"
        >
          {token.symbol}
        </span>
      </div>
      <div
        id={`${id}-words`}
        className="flex min-h-6 flex-wrap items-baseline justify-between gap-x-3 text-sm"
      >
        <span className="text-danger" aria-live="polite">
          {words}
        </span>
        {most !== undefined && (
          <span className="ml-auto text-muted">
            {mostName}: {amount(most, token.decimals, token.symbol)}{" "}
            <button
              type="button"
              className="link font-medium"
              aria-label={`All: ${exact(most, token.decimals)} ${token.symbol}`}
              onClick={() => onText(formatAmount(most, token.decimals).replaceAll(",", ""))}
            >
              All
            </button>
          </span>
        )}
      </div>
    </div>
  );
}
