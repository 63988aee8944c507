import { WAD } from "@breakwater/sdk/core";

import { percent } from "../format.ts";

/** How much of a whole, as a bar beside its figure. `mark`: a point on it that means something, WAD too. */
export function Share({ name, share, mark }: { name: string; share: bigint; mark?: bigint }) {
  const width = (of: bigint) => `${Math.min(Number((of * 1_000n) / WAD) / 10, 100)}%`;
  return (
    <span
      role="meter"
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Number((share * 100n) / WAD)}
      aria-valuetext={percent(share)}
      className="relative block h-2 overflow-hidden rounded-full bg-sunken ring-1 ring-strong-line ring-inset"
    >
      <span className="absolute inset-y-0 left-0 bg-accent" style={{ width: width(share) }} />
      {mark !== undefined && (
        <span className="absolute inset-y-0 w-0.5 bg-ink" style={{ left: width(mark) }} />
      )}
    </span>
  );
}
