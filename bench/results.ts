// bench/results.json, and what is read off it: costs per tick and the targets that must be reached. Pure.

export interface Result {
  protocol: "breakwater" | "morpho-blue" | "aave-v3";
  operation:
    | "open-populated"
    | "open-fresh"
    | "open-new-region"
    | "add-collateral"
    | "repay"
    | "withdraw"
    | "close"
    | "leverage-open"
    | "leverage-close"
    | "lender-deposit"
    | "lender-withdraw"
    | "liquidate";
  positions?: number;
  ticks?: number;
  /** Where the ticks are not adjacent: one in so many. */
  every?: number;
  /** Leveraged a transaction at a time, without a contract that does it in one. */
  by?: "hand";
  priceSource: "slot" | "adapter";
  gas: number;
}

export type Key = Pick<Result, "protocol" | "operation"> & Partial<Omit<Result, "gas">>;

export interface Target {
  name: string;
  gas: number;
  /** At most. */
  limit: number;
  /** Morpho Blue's gas, if the limit is a multiple of it. */
  morpho?: number;
}

/** By the slot's prices unless `key` says otherwise; undefined if it was not measured. */
export function gasOf(results: Result[], key: Key): number | undefined {
  return results.find(
    (result) =>
      result.protocol === key.protocol &&
      result.operation === key.operation &&
      result.priceSource === (key.priceSource ?? "slot") &&
      result.positions === key.positions &&
      result.ticks === key.ticks &&
      result.every === key.every &&
      result.by === key.by,
  )?.gas;
}

/** What each tick beyond the first adds to a liquidation. */
export function gasPerTick(
  results: Result[],
  spread: "dense" | "sparse",
  priceSource: Result["priceSource"] = "slot",
): number | undefined {
  const sweeps = results.filter(
    ({ protocol, operation, every, priceSource: source, positions }) =>
      protocol === "breakwater" &&
      operation === "liquidate" &&
      source === priceSource &&
      (positions === 1 || (every !== undefined) === (spread === "sparse")),
  );
  const one = sweeps.find(({ ticks }) => ticks === 1);
  const most = sweeps.reduce<Result | undefined>(
    (best, sweep) => (sweep.ticks! > (best?.ticks ?? 1) ? sweep : best),
    undefined,
  );
  return one && most && (most.gas - one.gas) / (most.ticks! - one.ticks!);
}

/** Every target that the results allow to judge. */
export function targetsOf(results: Result[]): Target[] {
  const ours = (operation: Result["operation"], more: Partial<Key> = {}) =>
    gasOf(results, { protocol: "breakwater", operation, ...more });
  const morpho = (operation: Result["operation"], more: Partial<Key> = {}) =>
    gasOf(results, { protocol: "morpho-blue", operation, ...more });
  const one = { positions: 1, ticks: 1 };
  const thousand = ours("liquidate", { positions: 1_000, ticks: 47 });
  const tenThousand = ours("liquidate", { positions: 10_000, ticks: 47 });
  const daily = ["open-populated", "add-collateral", "repay", "withdraw", "close"] as const;
  const sum = (gas: (number | undefined)[]) =>
    gas.reduce((total, each) => (total === undefined || each === undefined ? undefined : total + each), 0);

  const targets: Target[] = [];
  const against = (name: string, factor: number, gas?: number, peer?: number) => {
    if (gas !== undefined && peer !== undefined)
      targets.push({ name, gas, limit: factor * peer, morpho: peer });
  };
  const below = (name: string, limit: number, gas?: number) => {
    if (gas !== undefined) targets.push({ name, gas, limit });
  };
  against("open, populated tick", 0.9, ours("open-populated"), morpho("open-populated"));
  against("open, fresh tick", 1.05, ours("open-fresh"), morpho("open-fresh"));
  against("add collateral", 1.6, ours("add-collateral"), morpho("add-collateral"));
  against("repay", 1.3, ours("repay"), morpho("repay"));
  against("withdraw", 1.3, ours("withdraw"), morpho("withdraw"));
  against(
    "open + add + repay + withdraw + close",
    1,
    sum(daily.map((step) => ours(step))),
    sum(daily.map((step) => morpho(step))),
  );
  against("lender deposit", 1.15, ours("lender-deposit"), morpho("lender-deposit"));
  against("lender withdraw", 1.2, ours("lender-withdraw"), morpho("lender-withdraw"));
  against("liquidate one position", 1.4, ours("liquidate", one), morpho("liquidate", one));
  below("liquidate 1,000 positions, 47 ticks", 600_000, thousand);
  if (thousand !== undefined)
    below("liquidate 10,000 positions, 47 ticks", (thousand * 1_001) / 1_000, tenThousand);
  below("each further tick, dense", 9_500, gasPerTick(results, "dense"));
  below("each further tick, sparse", 11_500, gasPerTick(results, "sparse"));
  return targets;
}

export const isReached = ({ gas, limit }: Target) => gas <= limit;

/** Results of ours that cost more gas than the committed ones, or that these do not have. */
export function worsened(
  results: Result[],
  committed: Result[],
): { key: Key; gas: number; before?: number }[] {
  return results
    .filter(({ protocol }) => protocol === "breakwater")
    .map(({ gas, ...key }) => ({ key, gas, before: gasOf(committed, key) }))
    .filter(({ gas, before }) => before === undefined || gas > before);
}
