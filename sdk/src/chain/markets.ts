import { type BlockTag, Contract, type ContractRunner, ZeroAddress } from "ethers";

import type { MarketAddresses } from "../addresses.ts";
import type { FundingTerms } from "../core/funding.ts";
import type { Rung } from "../core/rungs.ts";
import type { MarketState, Position } from "../core/position.ts";
import { collateralUnitsDown } from "../core/units.ts";
import { MarketPair__factory } from "../types/index.ts";
import type {
  LiquidationViewStructOutput,
  MarketViewStructOutput,
  PositionViewStructOutput,
} from "../types/Lens.ts";
import type { Contracts } from "./connect.ts";
import { isRevert } from "./errors.ts";

/** In the order of the contracts' enums. */
export const PRICE_STATES = ["Dead", "Single", "Diverged", "Fresh"] as const;
export const BRAKE_LEVELS = ["None", "NoNewRisk", "Grace", "LiquidationsPaused"] as const;
export type PriceState = (typeof PRICE_STATES)[number];
export type BrakeLevel = (typeof BRAKE_LEVELS)[number];

/** What a liquidation would do, as the Lens gives it. */
export type LiquidationView = LiquidationViewStructOutput;

/** A market at one block. */
export interface MarketReading {
  addresses: MarketAddresses;
  symbols: { collateral: string; debt: string };
  /** Of its pair; undefined: it has none. */
  funding: FundingTerms | undefined;
  /** What people who borrow here are, by its pair; a market without one is long. */
  side: "long" | "short";
  /** The vault of the other side of its pair. */
  mirror: string | undefined;
  /** As the Lens gives it. */
  view: MarketViewStructOutput;
  /** What core measures positions with. */
  state: MarketState;
  priceState: PriceState;
  brake: { level: BrakeLevel; until: bigint };
}

/** Nodes bound the gas of a call. */
const MARKETS_PER_CALL = 20;
const TICKS_PER_CALL = 500n;
/** Above every tick. */
const FROM_THE_TOP = 2 ** 23 - 1;

/** Reads all markets in one round trip a block; what never changes is read once, here. */
export async function openMarkets(contracts: Contracts, runner: ContractRunner) {
  const { lens, addresses } = contracts;
  const fixed = await Promise.all(
    addresses.markets.map(async (market) => {
      const [scales, pair, collateral, debt] = await Promise.all([
        contracts.vault(market).scales(),
        pairOf(await contracts.vault(market).PAIR(), market, runner),
        symbolOf(market.collateral, runner),
        symbolOf(market.debt, runner),
      ]);
      const [collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier] = scales;
      return {
        addresses: market,
        symbols: { collateral, debt },
        ...pair,
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

  /** A market that the Lens cannot read is told to `skip` and left out; without it, none may be. */
  return async function readMarkets(
    block: BlockTag,
    skip?: (id: string, error: unknown) => void,
  ): Promise<MarketReading[]> {
    const chunks: (typeof fixed)[] = [];
    for (let at = 0; at < fixed.length; at += MARKETS_PER_CALL) {
      chunks.push(fixed.slice(at, at + MARKETS_PER_CALL));
    }
    const readings = await Promise.all(chunks.map(async (chunk) => readChunk(chunk, block, skip)));
    return readings.flat();
  };

  async function readChunk(
    chunk: typeof fixed,
    block: BlockTag,
    skip?: (id: string, error: unknown) => void,
  ): Promise<MarketReading[]> {
    try {
      const vaults = chunk.map(({ addresses: { vault } }) => vault);
      const views = await lens.markets(vaults, { blockTag: block });
      return chunk.map((market, at) => readingOf(market, views[at]!));
    } catch (error) {
      // One market must not hide the others.
      if (!skip || !isRevert(error)) throw error;
      const [only] = chunk;
      if (chunk.length > 1) {
        return (await Promise.all(chunk.map(async (one) => readChunk([one], block, skip)))).flat();
      }
      skip(only!.addresses.id, error);
      return [];
    }
  }

  function readingOf(
    { units, ...market }: (typeof fixed)[number],
    view: MarketViewStructOutput,
  ): MarketReading {
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
  }
}

/** Every populated tick of a market, from the riskiest downwards. */
export async function readTicks(
  { lens }: Contracts,
  { vault }: MarketAddresses,
  block: BlockTag = "latest",
): Promise<Rung[]> {
  const rungs: Rung[] = [];
  for (let from = FROM_THE_TOP; ; from = rungs.at(-1)!.tick - 1) {
    const views = await lens.ticks(vault, from, TICKS_PER_CALL, { blockTag: block });
    for (const { tick, count, bookDebt, debt, collateral, liquidationPrice } of views) {
      rungs.push({
        tick: Number(tick),
        positions: Number(count),
        bookDebt,
        debt,
        collateral,
        liquidationPrice,
      });
    }
    if (views.length < TICKS_PER_CALL) return rungs;
  }
}

/** A position as core reckons with it. */
export async function readPosition(
  { lens }: Contracts,
  {
    market,
    owner,
    sub,
    block = "latest",
  }: { market: MarketReading; owner: string; sub: bigint; block?: BlockTag },
): Promise<Position> {
  const view = await lens.position(market.addresses.vault, owner, sub, { blockTag: block });
  return positionOfView(view, market);
}

export function positionOfView(
  view: Pick<PositionViewStructOutput, "tick" | "bookDebt" | "surplus">,
  { state }: MarketReading,
): Position {
  return {
    tick: Number(view.tick),
    debt: view.bookDebt,
    // In whole token units: what is less than one of them stays unseen.
    surplus: collateralUnitsDown(view.surplus, state.units),
  };
}

async function pairOf(
  address: string,
  { vault }: MarketAddresses,
  runner: ContractRunner,
): Promise<Pick<MarketReading, "funding" | "side" | "mirror">> {
  if (address === ZeroAddress) return { funding: undefined, side: "long", mirror: undefined };
  const pair = MarketPair__factory.connect(address, runner);
  const [terms, { long, short }] = await Promise.all([pair.terms(), pair.read()]);
  const [maxRate, deadBand, halfLife, insuranceShare, sparedShare, floor] = terms;
  return {
    funding: { maxRate, deadBand, halfLife, insuranceShare, sparedShare, floor },
    ...(short === vault ? { side: "short", mirror: long } : { side: "long", mirror: short }),
  };
}

async function symbolOf(token: string, runner: ContractRunner): Promise<string> {
  const erc20 = new Contract(token, ["function symbol() view returns (string)"], runner);
  return (await erc20.getFunction("symbol").staticCall()) as string;
}
