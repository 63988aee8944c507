import { readFileSync } from "node:fs";

import type { ReplayMarket } from "../sdk/src/core.ts";

type Hex = `0x${string}`;

/** What there is to index: scripts/index/scene.ts finds it out, and INDEX_SCENE names the file. Integers of `units` are text. */
export interface Scene {
  chainId: number;
  rpc: string;
  startBlock: number;
  pollMs: number;
  /** Blocks between two samples of prices and rates. */
  sampleBlocks: number;
  /** The first block with the Lens, which samples are read with. */
  sampleFrom: number;
  database: { directory: string } | { url: string };
  contracts: Record<"brake" | "insurance" | "orders" | "recovery" | "manager" | "upgrader" | "lens", Hex>;
  safes: { pauser: Hex; governor: Hex };
  pairs: Hex[];
  markets: SceneMarket[];
}

export interface SceneMarket {
  vault: Hex;
  id: string;
  collateral: Hex;
  debt: Hex;
  decimals: { collateral: number; debt: number };
  pair: Hex | null;
  spacing: number;
  scales: [string, string, string, string, string];
}

const file = process.env.INDEX_SCENE;
if (file === undefined) throw new Error("INDEX_SCENE is not set: start the index with npm run index");

export const scene = JSON.parse(readFileSync(file, "utf8")) as Scene;

/** A market as the replay wants it. */
export function replayMarket({ vault, pair, spacing, scales }: SceneMarket): ReplayMarket {
  const [collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier] = scales.map(
    BigInt,
  ) as [bigint, bigint, bigint, bigint, bigint];
  return {
    vault,
    insurance: scene.contracts.insurance,
    paired: pair !== null,
    units: {
      spacing,
      collateralMultiplier,
      collateralDivisor,
      debtMultiplier,
      debtDivisor,
      priceMultiplier,
    },
  };
}
