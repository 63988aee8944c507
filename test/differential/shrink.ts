/**
 * Makes a sequence small while it still shows something: drops chunks of operations, then single ones, then simplifies
 * amounts, until nothing more can go or the time is over.
 */
import type { Operation } from "./sequence.ts";

/** Whether a sequence still shows it. */
type Shows = (operations: readonly Operation[]) => Promise<boolean>;

export async function shrink(
  operations: readonly Operation[],
  shows: Shows,
  milliseconds: number,
): Promise<Operation[]> {
  const deadline = Date.now() + milliseconds;
  const late = () => Date.now() > deadline;
  let current = [...operations];
  let before: number;
  do {
    before = current.length;
    current = await drop(current, shows, late);
    current = await simplify(current, shows, late);
  } while (current.length < before && !late());
  return current;
}

/** Chunks of half the length, a quarter, …, one; from the end, where most of what is superfluous is not. */
async function drop(operations: Operation[], shows: Shows, late: () => boolean): Promise<Operation[]> {
  let current = operations;
  for (let size = Math.ceil(current.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let end = current.length; end > 0 && !late(); end -= size) {
      const shorter = [...current.slice(0, Math.max(0, end - size)), ...current.slice(end)];
      if (shorter.length !== 0 && (await shows(shorter))) current = shorter;
    }
  }
  return current;
}

async function simplify(operations: Operation[], shows: Shows, late: () => boolean): Promise<Operation[]> {
  let current = operations;
  for (let i = 0; i < current.length; i++) {
    for (const [key, value] of Object.entries(current[i]!)) {
      for (const simpler of simplerThan(key, value as unknown)) {
        if (late()) return current;
        const changed = { ...current[i]!, [key]: simpler };
        const candidate = current.with(i, changed);
        if (await shows(candidate)) {
          current = candidate;
          break;
        }
      }
    }
  }
  return current;
}

/** Simplest first. */
function simplerThan(key: string, value: unknown): unknown[] {
  if (value === true) return [false];
  if (key === "fromTick") return [undefined];
  if (key === "maxTicks") return [0];
  if (typeof value !== "bigint" || value === 0n) return [];
  const digits = value.toString().replace("-", "").length;
  const rounded = [1, 2, 4, 8]
    .filter((kept) => kept < digits)
    .map((kept) => {
      const unit = 10n ** BigInt(digits - kept);
      return (value / unit) * unit;
    });
  return [0n, ...rounded].filter((candidate) => candidate !== value);
}
