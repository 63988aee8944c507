// The peers' rules with their published parameters, on the drill's book. Where each figure is from: docs/crash.md.
import { readFileSync } from "node:fs";

import type { PlannedPosition } from "../drill/book.ts";
import { Aave } from "./aave.ts";
import { Compound } from "./compound.ts";
import { Maker, type MakerTerms } from "./maker.ts";
import type { Account, GasCost, Rule } from "./simulate.ts";

const BENCH = new URL("../../bench/results.json", import.meta.url);

/** Gas of the same liquidation of many accounts, given once, not measured by `npm run bench`. */
const GIVEN = {
  compound: [
    { positions: 10, gas: 546_000 },
    { positions: 1_000, gas: 48_000_000 },
  ],
  maker: [
    { positions: 10, gas: 2_690_000 },
    { positions: 1_000, gas: 240_000_000 },
  ],
} as const;

/** Aave's bonus for WETH; Compound's factors for WETH; Maker's for ETH-A. */
const BONUS = 0.05;
const PROTOCOL_FEE = 0.1;
const LIQUIDATION_FACTOR = 0.95;
const STORE_FRONT_PRICE_FACTOR = 0.5;
const CHOP = 1.13;
const AUCTION: Omit<MakerTerms, "threshold" | "chop" | "oracleDelay"> = {
  hole: 40e6,
  buf: 1.2,
  cut: 0.99,
  step: 90,
  tail: 8_400,
  cusp: 0.4,
  dust: 7_500,
};
const ORACLE_DELAY = 3_600;

interface Measured {
  positions: number;
  gas: number;
}

/** The least base and the action that explain two measurements. */
export function gasCostOf([few, many]: readonly [Measured, Measured]): GasCost {
  const action = (many.gas - few.gas) / (many.positions - few.positions);
  return { base: few.gas - few.positions * action, action };
}

function aaveGas(): GasCost {
  const results = JSON.parse(readFileSync(BENCH, "utf8")) as (Measured & {
    protocol: string;
    operation: string;
  })[];
  const of = (positions: number) => {
    const found = results.find(
      (result) =>
        result.protocol === "aave-v3" && result.operation === "liquidate" && result.positions === positions,
    );
    if (found === undefined) throw new Error(`bench/results.json has no liquidation of ${positions} at Aave`);
    return found;
  };
  return gasCostOf([of(10), of(1_000)]);
}

/** Each with its own copy of the book's positions. */
function accountsOf(positions: readonly PlannedPosition[]): Account[] {
  return positions.map(({ collateral, debt }) => ({
    collateral: Number(collateral) / 1e18,
    debt: Number(debt) / 1e6,
  }));
}

/** As the peers run them, but all with our liquidation threshold. */
export function peersOf(positions: readonly PlannedPosition[], threshold: number): Rule[] {
  return [
    aave(positions, threshold, BONUS),
    compound(positions, threshold, LIQUIDATION_FACTOR),
    maker(positions, threshold, CHOP, 0, "Maker's rule, price at once"),
    maker(positions, threshold, CHOP, ORACLE_DELAY, "Maker's rule, price an hour old"),
  ];
}

/** The same rules where `penalty` (0.015: 1.5 %) is what each charges. */
export function rulesAloneOf(
  positions: readonly PlannedPosition[],
  threshold: number,
  penalty: number,
): Rule[] {
  return [
    aave(positions, threshold, penalty),
    compound(positions, threshold, 1 - penalty),
    maker(positions, threshold, 1 + penalty, 0, "Maker's rule"),
  ];
}

function aave(positions: readonly PlannedPosition[], threshold: number, bonus: number): Rule {
  const terms = { threshold, bonus, protocolFee: PROTOCOL_FEE };
  return new Aave("Aave v3's rule", accountsOf(positions), terms, aaveGas());
}

function compound(positions: readonly PlannedPosition[], threshold: number, liquidationFactor: number): Rule {
  const terms = {
    liquidateCollateralFactor: threshold,
    liquidationFactor,
    storeFrontPriceFactor: STORE_FRONT_PRICE_FACTOR,
  };
  return new Compound("Compound III's rule", accountsOf(positions), terms, gasCostOf(GIVEN.compound));
}

function maker(
  positions: readonly PlannedPosition[],
  threshold: number,
  chop: number,
  oracleDelay: number,
  name: string,
): Rule {
  const { base, action } = gasCostOf(GIVEN.maker);
  const terms = { ...AUCTION, threshold, chop, oracleDelay };
  // A liquidation is a bark and a take.
  return new Maker(name, accountsOf(positions), terms, { base, action: action / 2 });
}
