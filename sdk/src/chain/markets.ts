import { Contract, type ContractRunner } from "ethers";

import type { MarketAddresses } from "../addresses.ts";
import type { MarketState } from "../core/position.ts";
import type { MarketViewStructOutput } from "../types/Lens.ts";
import type { Contracts } from "./connect.ts";

/** In the order of the contracts' enums. */
export const PRICE_STATES = ["Dead", "Single", "Diverged", "Fresh"] as const;
export const BRAKE_LEVELS = ["None", "NoNewRisk", "Grace", "LiquidationsPaused"] as const;
export type PriceState = (typeof PRICE_STATES)[number];
export type BrakeLevel = (typeof BRAKE_LEVELS)[number];

/** A market at one block. */
export interface MarketReading {
  addresses: MarketAddresses;
  symbols: { collateral: string; debt: string };
  /** As the Lens gives it. */
  view: MarketViewStructOutput;
  /** What core measures positions with. */
  state: MarketState;
  priceState: PriceState;
  brake: { level: BrakeLevel; until: bigint };
}

/** Reads all markets with one call a block; what never changes is read once, here. */
export async function openMarkets(contracts: Contracts, runner: ContractRunner) {
  const { lens, addresses } = contracts;
  const fixed = await Promise.all(
    addresses.markets.map(async (market) => {
      const [scales, collateral, debt] = await Promise.all([
        contracts.vault(market).scales(),
        symbolOf(market.collateral, runner),
        symbolOf(market.debt, runner),
      ]);
      const [collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier] = scales;
      return {
        addresses: market,
        symbols: { collateral, debt },
        units: {
          spacing: market.spacing,
          collateralMultiplier,
          collateralDivisor,
          debtMultiplier,
          debtDivisor,
          priceMultiplier,
        },
      };
    }),
  );

  return async function readMarkets(block: number): Promise<MarketReading[]> {
    const vaults = addresses.markets.map(({ vault }) => vault);
    const views = await lens.markets(vaults, { blockTag: block });
    return fixed.map(({ units, ...market }, at) => {
      const view = views[at]!;
      const level = BRAKE_LEVELS[Number(view.brakeLevel)]!;
      const until = {
        None: 0n,
        NoNewRisk: view.noNewRiskUntil,
        Grace: view.graceUntil,
        LiquidationsPaused: view.liquidationsPausedUntil,
      };
      return {
        ...market,
        view,
        state: {
          units,
          borrowIndex: view.borrowIndex,
          priceLow: view.price.low,
          priceHigh: view.price.high,
          liquidationThreshold: view.risk.liquidationThreshold,
        },
        priceState: PRICE_STATES[Number(view.price.state)]!,
        brake: { level, until: until[level] },
      };
    });
  };
}

async function symbolOf(token: string, runner: ContractRunner): Promise<string> {
  const erc20 = new Contract(token, ["function symbol() view returns (string)"], runner);
  return (await erc20.getFunction("symbol").staticCall()) as string;
}
