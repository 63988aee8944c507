/** A seeded source of random numbers (SplitMix64): the same seed, the same run. */
export class Random {
  private state: bigint;

  constructor(seed: bigint) {
    this.state = BigInt.asUintN(64, seed);
  }

  private next(): bigint {
    this.state = BigInt.asUintN(64, this.state + 0x9e3779b97f4a7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  /** In [low, high]. */
  between(low: bigint, high: bigint): bigint {
    if (high <= low) return low;
    return low + (((this.next() << 64n) | this.next()) % (high - low + 1n));
  }

  index(length: number): number {
    return Number(this.between(0n, BigInt(length) - 1n));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.index(items.length)];
    if (item === undefined) throw new Error("Nothing to pick from");
    return item;
  }

  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.between(0n, 9_999n) < BigInt(Math.round(percent * 100));
  }

  /** Spread evenly over the orders of magnitude between low and high. */
  magnitude(low: bigint, high: bigint): bigint {
    const bits = BigInt((high / low).toString(2).length - 1);
    const floor = low << this.between(0n, bits);
    return this.between(floor, floor * 2n < high ? floor * 2n : high);
  }

  /** One of the keys, as often as its weight says. */
  weighted<K extends string>(weights: Record<K, number>): K {
    const entries = Object.entries(weights) as [K, number][];
    const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
    let at = this.index(total);
    for (const [key, weight] of entries) {
      if (at < weight) return key;
      at -= weight;
    }
    throw new Error("Weights are positive");
  }
}
