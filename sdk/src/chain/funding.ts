import { type BlockTag, ZeroAddress } from "ethers";

import type { MarketAddresses } from "../addresses.ts";
import {
  type FundingHour,
  NOTHING_DUE,
  type RateHour,
  forecastFunding,
  forecastRates,
  lendRateOf,
} from "../core/funding.ts";
import { MarketPair__factory } from "../types/index.ts";
import type { Contracts } from "./connect.ts";
import type { MarketReading } from "./markets.ts";

/** Both sides' borrow rates in the hours to come. */
export interface FundingForecast {
  long: string; // vaults
  short: string;
  /** WAD, now; above 0 longs pay the surcharge. */
  skew: bigint;
  /** Where it is going. */
  target: bigint;
  /** Of both sides' debts, millionths of a quote token. */
  valueLong: bigint;
  valueShort: bigint;
  hours: FundingHour[];
}

/**
 * What borrowing costs in `market` and in its mirror in each of the next 24 hours, if debts, price and utilization
 * stay what they are at `block`. Undefined: the market has no pair.
 */
export async function readForecast(
  contracts: Contracts,
  market: MarketAddresses,
  block: BlockTag = "latest",
): Promise<FundingForecast | undefined> {
  const { runner } = contracts.lens;
  const at = await runner?.provider?.getBlock(block);
  if (!at) throw new Error(`The node has no block ${block.toString()}`);
  const blockTag = at.number;
  const address = await contracts.vault(market).PAIR({ blockTag });
  if (address === ZeroAddress) return undefined;
  const pair = MarketPair__factory.connect(address, runner);
  const [terms, view] = await Promise.all([pair.terms({ blockTag }), pair.read({ blockTag })]);
  const [long, short] = await contracts.lens.markets([view.long, view.short], { blockTag });
  const { valueLong, valueShort, skew } = view;
  // `read` is advanced to the block; its `updatedAt` is the last push.
  const now = BigInt(at.timestamp);
  const state = { valueLong, valueShort, skew, updatedAt: now, long: NOTHING_DUE, short: NOTHING_DUE };
  return {
    long: view.long,
    short: view.short,
    skew,
    target: view.target,
    valueLong,
    valueShort,
    hours: forecastFunding(state, terms, long!, short!, now),
  };
}

/** A market's rates in each of the next 24 hours, if debts, price and utilization stay; with its pair's balance, if it has one. */
export async function readRates(
  contracts: Contracts,
  { addresses, view, side, funding }: MarketReading,
  block: BlockTag = "latest",
): Promise<{ hours: RateHour[]; pair: FundingForecast | undefined }> {
  const pair = await readForecast(contracts, addresses, block);
  if (pair && funding) {
    const hours = pair.hours.map(({ time, [side]: rates }) => ({
      time,
      borrow: rates.borrow,
      lend: lendRateOf(rates, view, funding.insuranceShare),
    }));
    return { hours, pair };
  }
  const at = await contracts.lens.runner?.provider?.getBlock(block);
  if (!at) throw new Error(`The node has no block ${block.toString()}`);
  return { hours: forecastRates(view, BigInt(at.timestamp)), pair: undefined };
}
