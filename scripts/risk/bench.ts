// A book without a chain: the drill's borrowers on the local deployment's first market, as many as one likes.
import { planPositions } from "../drill/book.ts";
import { PRICE_DECIMALS } from "../drill/path.ts";
import { parseAmount, readParameters } from "../../deploy/parameters.ts";
import { BORROW_INDEX_ONE, positionOf, Q128, unitsOf } from "@breakwater/sdk/core";

import type { Subject } from "./exposure.ts";
import { poolOf } from "./market.ts";

const PRICE = 2_000n;

/** `debt`: whole tokens that all of them owe together. */
export function generatedSubject(positions: number, debt: bigint, refills: number, seed: number): Subject {
  const parameters = readParameters("local");
  const market = parameters.markets[0]!;
  const pool = parameters.pools[`${market.collateral}/${market.debt}`]!;
  const { spacing, risk } = market;
  const units = unitsOf(spacing, 18, 6);
  const planned = planPositions(positions, seed, PRICE * 10n ** BigInt(PRICE_DECIMALS));
  const total = planned.reduce((sum, position) => sum + position.debt, 0n);
  // The same leverage, and together as much as is asked for.
  const scaled = (amount: bigint) => (amount * debt * 10n ** 6n) / total;
  const ticks = new Map<number, { debt: bigint; count: number }>();
  const borrowers: bigint[] = [];
  for (const position of planned) {
    const owed = scaled(position.debt) * units.debtMultiplier;
    if (owed === 0n) continue;
    const { tick } = positionOf(owed, scaled(position.collateral), spacing);
    const at = ticks.get(tick) ?? { debt: 0n, count: 0 };
    ticks.set(tick, { debt: at.debt + owed, count: at.count + 1 });
    borrowers.push(owed);
  }
  return {
    id: market.id,
    symbols: { collateral: market.collateral, debt: market.debt },
    decimals: { collateral: 18, debt: 6 },
    state: {
      units,
      borrowIndex: BORROW_INDEX_ONE,
      priceLow: PRICE * Q128,
      priceHigh: PRICE * Q128,
      liquidationThreshold: BigInt(risk.liquidationThresholdBps),
    },
    risk: {
      maxLtv: BigInt(risk.maxLtvBps),
      liquidationThreshold: BigInt(risk.liquidationThresholdBps),
      target: BigInt(risk.targetBps),
      bonusMin: BigInt(risk.bonusMinBps),
      bonusMax: BigInt(risk.bonusMaxBps),
      slope: BigInt(risk.slopeBps),
    },
    ticks: [...ticks]
      .sort(([a], [b]) => b - a)
      .map(([tick, { debt: owed, count }]) => ({ tick, debt: owed, count })),
    positions: borrowers.length,
    borrowers,
    insurance: 0n,
    reserves: 0n,
    pool: poolAtPrice(
      poolOf(
        pool.liquidity.map(({ rangePercent, valueUsd }) => ({
          value: Number(parseAmount(valueUsd, 0)),
          ...(rangePercent === "full"
            ? { down: 0, up: Infinity }
            : { down: 1 - rangePercent / 100, up: 1 + rangePercent / 100 }),
        })),
        pool.feeMillionths / 1e6,
        refills,
      ),
    ),
  };
}

/** poolOf's is at a price of 1. */
function poolAtPrice(pool: ReturnType<typeof poolOf>): ReturnType<typeof poolOf> {
  const price = Number(PRICE);
  return {
    ...pool,
    ranges: pool.ranges.map(({ from, to, liquidity }) => ({
      from: from * price,
      to: to * price,
      liquidity: liquidity / Math.sqrt(price),
    })),
  };
}
