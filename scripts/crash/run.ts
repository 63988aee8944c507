// The comparison: one book, one path, one pool, one block gas limit; our contracts, and the peers' rules.
import { readParameters } from "../../deploy/parameters.ts";
import { planPositions } from "../drill/book.ts";
import type { PricePath } from "../drill/path.ts";
import type { Progress } from "../drill/run.ts";
import { ours } from "./ours.ts";
import { peersOf, rulesAloneOf } from "./peers.ts";
import { Pool } from "./pool.ts";
import { dollars, type Outcome, type Rule, simulate } from "./simulate.ts";

const MARKET = "weth-usdc";
const POOL = "WETH/USDC";

export interface Comparison {
  path: PricePath;
  positions: number;
  seed: number;
  blockGas: bigint;
  poolOnly: boolean;
}

export interface Compared {
  setting: Comparison;
  /** Dollars. */
  bookDebt: number;
  /** Ours first, then the peers with what they charge. */
  outcomes: Outcome[];
  /** The peers' rules alone: with our smallest bonus as their penalty, and our oracle's wait in each step. */
  rulesAlone: Outcome[];
}

/** The peers alone: pure, and the same every time. */
export function comparePeers(setting: Comparison): Omit<Compared, "setting"> {
  const { path, positions: count, seed, poolOnly } = setting;
  const parameters = readParameters("local");
  const { risk } = parameters.markets.find(({ id }) => id === MARKET)!;
  const positions = planPositions(count, seed, path.start.price);
  const bookDebt = positions.reduce((sum, { debt }) => sum + Number(debt) / 1e6, 0);
  const pool = poolOnly ? Pool.filledAt(dollars(path.start.price), parameters.pools[POOL]!) : undefined;
  const threshold = risk.liquidationThresholdBps / 10_000;
  const outcomes = (rules: Rule[], waits: boolean) =>
    rules.map((rule) => simulate(rule, bookDebt, { path, blockGas: Number(setting.blockGas), pool, waits }));
  return {
    bookDebt,
    outcomes: outcomes(peersOf(positions, threshold), false),
    rulesAlone: outcomes(rulesAloneOf(positions, threshold, risk.bonusMinBps / 10_000), true),
  };
}

export async function compare(setting: Comparison, progress: Progress): Promise<Compared> {
  const own = await ours(setting, progress);
  const { outcomes, ...rest } = comparePeers(setting);
  return { setting, ...rest, outcomes: [own, ...outcomes] };
}
