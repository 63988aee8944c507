// Funds the lenders of a local deployment and opens positions on its markets.
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { WAD } from "@breakwater/sdk/core";
import { MaxUint256 } from "ethers";

import type { Local, LocalMarket } from "../../deploy/local.ts";
import { entry } from "../../deploy/parameters.ts";

/** Whole dollars lent to each market. */
const LENT_USD = 20_000_000n;
const EQUITY_USD = { from: 1_000, to: 60_000 };
/** Sent at a time: a node queues transactions, but not without end. */
const BATCH = 25;
/** More than it takes: an estimate is for the state before the others of its batch. */
const GAS_LIMIT = 1_000_000n;

export interface Opening {
  market: LocalMarket;
  owner: HardhatEthersSigner;
  sub: number;
  equityUsd: number;
  leverage: number;
}

/** Every market gets a lender. */
export async function fundLenders(local: Local, lender: HardhatEthersSigner): Promise<void> {
  for (const { vault, debt, decimals } of Object.values(local.markets)) {
    const amount = await worth(local, await debt.getAddress(), decimals.debt, LENT_USD * WAD);
    await (await debt.connect(lender).mint(lender, amount)).wait();
    await (await debt.connect(lender).approve(vault, MaxUint256)).wait();
    await (await vault.connect(lender).deposit(amount, lender)).wait();
  }
}

/** Equity is spread evenly over its magnitudes, leverage over its range; the same for the same `next`. */
export function planOpenings(
  local: Local,
  owners: HardhatEthersSigner[],
  count: number,
  leverage: { from: number; to: number },
  next: () => number,
  firstSub = 0,
): Opening[] {
  const markets = Object.values(local.markets);
  return Array.from({ length: count }, (_, at) => ({
    market: markets[at % markets.length]!,
    owner: owners[at % owners.length]!,
    sub: firstSub + at,
    equityUsd: Math.round(EQUITY_USD.from * (EQUITY_USD.to / EQUITY_USD.from) ** next()),
    leverage: leverage.from + (leverage.to - leverage.from) * next(),
  }));
}

/** Opens positions: collateral of equity × leverage, borrowed against all but the equity. */
export async function openPositions(local: Local, openings: Opening[]): Promise<void> {
  for (let at = 0; at < openings.length; at += BATCH) {
    const batch = openings.slice(at, at + BATCH);
    const sent = await Promise.all(batch.map(async (opening) => open(local, opening)));
    await Promise.all(sent.flat().map(async (transaction) => transaction.wait()));
  }
}

async function open(local: Local, { market, owner, sub, equityUsd, leverage }: Opening) {
  const { vault, collateral, debt, decimals } = market;
  const value = BigInt(Math.round(equityUsd * leverage * 100)) * (WAD / 100n);
  const owed = BigInt(Math.round(equityUsd * (leverage - 1) * 100)) * (WAD / 100n);
  const [amount, borrowed] = await Promise.all([
    worth(local, await collateral.getAddress(), decimals.collateral, value),
    worth(local, await debt.getAddress(), decimals.debt, owed),
  ]);
  const token = collateral.connect(owner);
  const minted = await token.mint(owner, amount);
  // Estimated on the state after the mint: it has to be in a block.
  await minted.wait();
  const approved =
    (await token.allowance(owner, vault)) === 0n ? [await token.approve(vault, MaxUint256)] : [];
  await Promise.all(approved.map(async (transaction) => transaction.wait()));
  return [
    await vault.connect(owner).adjust(owner, sub, amount, borrowed, owner, "0x", { gasLimit: GAS_LIMIT }),
  ];
}

/** Token units that are worth `dollars` (18 decimals) by the feeds. */
async function worth(local: Local, address: string, decimals: number, dollars: bigint): Promise<bigint> {
  const symbol = Object.entries(local.addresses.tokens).find(([, token]) => token === address)?.[0];
  const side = Object.values(local.parameters.pools)
    .flatMap(({ base, quote }) => [base, quote])
    .find(({ token }) => token === symbol);
  if (!side) throw new Error(`no feed says what ${address} is worth`);
  const [, answer] = await entry(local.feeds, side.feed).latestRoundData();
  const feedDecimals = entry(local.parameters.feeds, side.feed).decimals;
  return (dollars * 10n ** BigInt(decimals + feedDecimals)) / (answer * WAD);
}
