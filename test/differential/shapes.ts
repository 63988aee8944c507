/** The markets that random runs happen in. */
import type { MarketOptions, Risk } from "../support/market.ts";

const USD = 10n ** 8n;
const MAX_CAP = 2n ** 80n - 1n;

export interface Shape {
  name: string;
  market: MarketOptions;
  /** Of a new position's collateral; USD, 8 decimals. */
  worth: { least: bigint; most: bigint };
}

const WORTH = { least: 20n * USD, most: 2_000_000n * USD };

/** Close to each other, as two dollars: high thresholds, thin bonus, the finest grid. */
const CORRELATED: Risk = {
  maxLtv: 9400n,
  liquidationThreshold: 9600n,
  target: 9550n,
  bonusMin: 20n,
  bonusMax: 150n,
  slope: 3000n,
};
const VOLATILE: Risk = {
  maxLtv: 6000n,
  liquidationThreshold: 7000n,
  target: 6600n,
  bonusMin: 500n,
  bonusMax: 1500n,
  slope: 10_000n,
};
/** A bonus that does not grow, and a target close below the threshold. */
const FLAT: Risk = {
  maxLtv: 8200n,
  liquidationThreshold: 8600n,
  target: 8550n,
  bonusMin: 150n,
  bonusMax: 150n,
  slope: 0n,
};

interface Terms {
  collateralDecimals: number;
  debtDecimals: number;
  collateralUnitDecimals?: number;
  spacing?: number;
  collateralPrice: bigint;
  debtPrice?: bigint;
  risk?: Risk;
  band?: bigint;
  reserveFactor?: bigint;
  maxLtvCut?: bigint;
  worth?: { least: bigint; most: bigint };
  /** No minimum debt. */
  tinyDebts?: boolean;
}

/** The caps are those of a market of 40 million dollars, the minimum debt is ten. */
function shape(name: string, { worth = WORTH, tinyDebts = false, ...terms }: Terms): Shape {
  const debtPrice = terms.debtPrice ?? USD;
  const cap = (dollars: bigint, price: bigint) => {
    const millionths = (dollars * USD * 1_000_000n) / price + 1n;
    return millionths < MAX_CAP ? millionths : MAX_CAP;
  };
  return {
    name,
    worth,
    market: {
      ...terms,
      debtPrice,
      caps: {
        debt: cap(40_000_000n, debtPrice),
        collateral: cap(80_000_000n, terms.collateralPrice),
        minDebt: tinyDebts ? 0n : cap(10n, debtPrice),
      },
    },
  };
}

export const SHAPES: readonly Shape[] = [
  shape("18/6, a dear collateral", {
    collateralDecimals: 18,
    debtDecimals: 6,
    collateralPrice: 3_000n * USD,
  }),
  shape("6/18, the short side", {
    collateralDecimals: 6,
    debtDecimals: 18,
    collateralPrice: USD,
    debtPrice: 3_000n * USD,
  }),
  shape("8/6, the dearest collateral", {
    collateralDecimals: 8,
    debtDecimals: 6,
    collateralPrice: 60_000n * USD,
    maxLtvCut: 1_000n,
  }),
  shape("18/8, the cheapest collateral against the dearest debt, coarse units", {
    collateralDecimals: 18,
    debtDecimals: 8,
    collateralUnitDecimals: 14,
    collateralPrice: 1_000n,
    debtPrice: 60_000n * USD,
  }),
  shape("18/18, a fine grid", {
    collateralDecimals: 18,
    debtDecimals: 18,
    spacing: 5,
    collateralPrice: 3_000n * USD,
    debtPrice: 2_900n * USD,
  }),
  shape("6/18, the cheapest debt, a fine grid", {
    collateralDecimals: 6,
    debtDecimals: 18,
    spacing: 5,
    collateralPrice: 50n * USD,
    debtPrice: 1_000n,
  }),
  shape("18/6, correlated, the finest grid", {
    collateralDecimals: 18,
    debtDecimals: 6,
    spacing: 4,
    collateralPrice: (101n * USD) / 100n,
    risk: CORRELATED,
    band: 50n,
    reserveFactor: 0n,
  }),
  shape("18/6, volatile, a coarse grid", {
    collateralDecimals: 18,
    debtDecimals: 6,
    spacing: 50,
    collateralPrice: 40n * USD,
    risk: VOLATILE,
    maxLtvCut: 1_500n,
    band: 1000n,
    reserveFactor: 50n,
  }),
  shape("24/24, no minimum debt", {
    collateralDecimals: 24,
    debtDecimals: 24,
    collateralPrice: 7n * USD,
    debtPrice: 3n * USD,
    tinyDebts: true,
  }),
  shape("18/24, a flat bonus", {
    collateralDecimals: 18,
    debtDecimals: 24,
    collateralPrice: 250n * USD,
    risk: FLAT,
  }),
  shape("8/18, a dear collateral in units of its own decimals: dust", {
    collateralDecimals: 8,
    debtDecimals: 18,
    collateralUnitDecimals: 8,
    collateralPrice: 60_000n * USD,
    tinyDebts: true,
    worth: { least: 20n * USD, most: 200_000n * USD },
  }),
  shape("18/18, an astronomic supply in coarse units", {
    collateralDecimals: 18,
    debtDecimals: 18,
    collateralUnitDecimals: 6,
    collateralPrice: 20_000n,
    debtPrice: 3_000n * 10n ** 12n,
    tinyDebts: true,
  }),
  shape("18/18, the upper end of the grid", {
    collateralDecimals: 18,
    debtDecimals: 18,
    collateralPrice: 6n * 10n ** 21n,
    debtPrice: 1_000n,
    tinyDebts: true,
    worth: { least: USD, most: 2_000_000n * USD },
  }),
  shape("18/18, the lower end of the grid", {
    collateralDecimals: 18,
    debtDecimals: 18,
    collateralPrice: 20_000n,
    debtPrice: 10n ** 23n,
    tinyDebts: true,
    // Up to more than a position can hold.
    worth: { least: 20n * USD, most: 8_000_000n * USD },
  }),
];
