// The size that earns most. Profit over size rises, then falls: the bonus is proportional, slippage grows faster.
// The chain is asked for a few sizes at a time; what to ask next, and which was best, is decided here.

export interface SizeQuote {
  size: bigint;
  profit: bigint;
}

/** `count` sizes from `greatest` downwards, each half of the one before; without zeros and repetitions. */
export function ladder(greatest: bigint, count: number): bigint[] {
  const sizes: bigint[] = [];
  for (let size = greatest; size > 0n && sizes.length < count; size /= 2n) sizes.push(size);
  return sizes;
}

/** The quote with the highest profit; of equal ones the smallest size. */
export function bestSize<Q extends SizeQuote>(quotes: readonly Q[]): Q | undefined {
  return bySize(quotes).reduce<Q | undefined>(
    (best, quote) => (best === undefined || quote.profit > best.profit ? quote : best),
    undefined,
  );
}

/** The sizes to ask for next: halfway from the best one to its neighbours; none when they are `precision` close. */
export function refine(quotes: readonly SizeQuote[], precision: bigint): bigint[] {
  const best = bestSize(quotes);
  if (!best) return [];
  const sorted = bySize(quotes);
  const at = sorted.findIndex(({ size }) => size === best.size);
  return [sorted[at - 1], sorted[at + 1]]
    .filter((neighbour) => neighbour !== undefined)
    .map(({ size }) => [size, (size + best.size) / 2n] as const)
    .filter(
      ([size, middle]) => distance(size, best.size) > precision && !sorted.some((q) => q.size === middle),
    )
    .map(([, middle]) => middle);
}

function distance(a: bigint, b: bigint): bigint {
  return a > b ? a - b : b - a;
}

function bySize<Q extends SizeQuote>(quotes: readonly Q[]): Q[] {
  return [...quotes].sort((a, b) => (a.size < b.size ? -1 : a.size > b.size ? 1 : 0));
}
