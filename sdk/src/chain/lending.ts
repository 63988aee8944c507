import type { BlockTag } from "ethers";

import { lendRateOf } from "../core/funding.ts";
import { WAD, min, saturatingSub } from "../core/math.ts";
import { rateAt, utilizationOf } from "../core/rate.ts";
import { type Contracts, providerOf } from "./connect.ts";
import { explainRevert, isRevert } from "./errors.ts";
import type { MarketReading } from "./markets.ts";
import { type Transaction, approvalTransactions, tokenBalance } from "./transactions.ts";

// What lending to a market is, was and would be. All amounts are of the market's debt token but for shares, which have as
// many decimals.

/** What a lender has in a market, and what it lets him do now, by ERC-4626. */
export interface Lender {
  /** In his wallet. */
  balance: bigint;
  shares: bigint;
  /** What his shares are worth. */
  worth: bigint;
  maxDeposit: bigint; // by the market; his balance may be less
  maxWithdraw: bigint;
  maxRedeem: bigint;
}

export async function readLender(
  contracts: Contracts,
  { addresses }: MarketReading,
  owner: string,
  block: BlockTag = "latest",
): Promise<Lender> {
  const vault = contracts.vault(addresses);
  const at = { blockTag: block };
  const [balance, shares, maxDeposit, maxWithdraw, maxRedeem] = await Promise.all([
    tokenBalance(contracts, addresses.debt, owner, block),
    vault.balanceOf(owner, at),
    vault.maxDeposit(owner, at),
    vault.maxWithdraw(owner, at),
    vault.maxRedeem(owner, at),
  ]);
  const worth = await vault.convertToAssets(shares, at);
  return { balance, shares, worth, maxDeposit, maxWithdraw, maxRedeem };
}

/** Why nobody can come or go now, in the market's own error's words; undefined: everybody can. */
export async function readWaits(
  contracts: Contracts,
  { addresses }: MarketReading,
  block: BlockTag = "latest",
): Promise<{ deposit: string | undefined; withdraw: string | undefined }> {
  const vault = contracts.vault(addresses);
  const one = 10n ** BigInt(addresses.decimals.debt);
  const why = async (preview: Promise<bigint>) =>
    preview.then(
      () => undefined,
      (error: unknown) => {
        if (!isRevert(error)) throw error;
        return explainRevert(error).words;
      },
    );
  const [deposit, withdraw] = await Promise.all([
    why(vault.previewDeposit(one, { blockTag: block })),
    why(vault.previewRedeem(one, { blockTag: block })),
  ]);
  return { deposit, withdraw };
}

/** Per second, WAD, on all that lenders own, what lies idle included: lend = interest − fee + surcharge − insurance. */
export interface LendYield {
  /** What borrowers pay by the market's own curve. */
  interest: bigint;
  /** What the reserves take of it. */
  fee: bigint;
  /** What the heavy side of a pair pays beside, as this market is that side. */
  surcharge: bigint;
  /** The insurance's share of that. */
  insurance: bigint;
  lend: bigint;
}

/** Where a lender's rate comes from, as it is now or with another utilization. */
export function yieldOf({ view, funding }: MarketReading, utilization: bigint = view.utilization): LendYield {
  const { reserveFactor, rateAtTarget, surcharge } = view;
  const insuranceShare = funding?.insuranceShare ?? 0n;
  const base = rateAt(utilization, rateAtTarget);
  const ofAll = (rate: bigint) => (rate * utilization) / WAD;
  return {
    interest: ofAll(base),
    fee: ofAll((base * reserveFactor) / 100n),
    surcharge: ofAll(surcharge),
    insurance: ofAll((surcharge * insuranceShare) / 100n),
    lend: lendRateOf({ base, surcharge }, { utilization, rateAtTarget, reserveFactor }, insuranceShare),
  };
}

// ---------------------------------------------------------------- deposits and withdrawals

export interface LendingFigures {
  balance: bigint;
  shares: bigint;
  worth: bigint;
  utilization: bigint;
  /** Per second, WAD: the market's, with the lender's tokens in it or out of it. */
  lendRate: bigint;
}

export interface LendingQuote {
  kind: "deposit" | "withdraw";
  market: MarketReading;
  owner: string;
  assets: bigint;
  shares: bigint;
  /** Every share is redeemed: nothing stays behind, whatever interest comes until then. */
  isAll: boolean;
  before: LendingFigures;
  after: LendingFigures;
}

/** What a deposit or a withdrawal would do in `block`. Throws what the market would, when lenders have to wait. */
export async function quoteLending(
  contracts: Contracts,
  {
    market,
    owner,
    kind,
    amount,
    block = "latest",
  }: {
    market: MarketReading;
    owner: string;
    kind: "deposit" | "withdraw";
    /** `all`: the most that can be deposited or withdrawn when it is sent. */
    amount: bigint | "all";
    block?: BlockTag;
  },
): Promise<LendingQuote> {
  const vault = contracts.vault(market.addresses);
  const at = { blockTag: block };
  const lender = await readLender(contracts, market, owner, block);
  const { balance, worth } = lender;
  const most = kind === "deposit" ? min(balance, lender.maxDeposit) : lender.maxWithdraw;
  // What the market has not in cash cannot be taken by shares: their price may rise until then.
  const isAll =
    kind === "withdraw" && amount === "all" && lender.shares > 0n && lender.maxRedeem === lender.shares;
  const asked = amount === "all" ? most : amount;
  const [assets, shares] = isAll
    ? [await vault.previewRedeem(lender.shares, at), lender.shares]
    : [
        asked,
        await (kind === "deposit" ? vault.previewDeposit(asked, at) : vault.previewWithdraw(asked, at)),
      ];
  const sign = kind === "deposit" ? 1n : -1n;
  const { view } = market;
  const sharesAfter = lender.shares + sign * shares;
  const utilization = utilizationOf(view.totalDebt, saturatingSub(view.cash + sign * assets, 0n));
  return {
    kind,
    market,
    owner,
    assets,
    shares,
    isAll,
    before: { balance, shares: lender.shares, worth, utilization: view.utilization, lendRate: view.lendRate },
    after: {
      balance: balance - sign * assets,
      shares: sharesAfter,
      worth: sharesAfter > 0n ? await vault.convertToAssets(sharesAfter, at) : 0n,
      utilization,
      lendRate: yieldOf(market, utilization).lend,
    },
  };
}

/**
 * From here to the quote: the approval, if one is missing, and the deposit; or the withdrawal. No permit: a market takes none,
 * so that it would be a signature more and no transaction less.
 */
export async function lendingTransactions(
  contracts: Contracts,
  { kind, market, owner, assets, shares, isAll }: LendingQuote,
): Promise<Transaction[]> {
  const { vault, debt } = market.addresses;
  const { interface: abi } = contracts.vault(market.addresses);
  const of = { to: vault, value: 0n };
  if (kind === "withdraw") {
    const data = isAll
      ? abi.encodeFunctionData("redeem", [shares, owner, owner])
      : abi.encodeFunctionData("withdraw", [assets, owner, owner]);
    return [{ ...of, data, words: isAll ? "withdraw all" : "withdraw" }];
  }
  return [
    ...(await approvalTransactions(
      contracts,
      owner,
      { token: debt, amount: assets },
      { address: vault, name: "the market" },
      { [debt]: market.symbols.debt },
    )),
    { ...of, data: abi.encodeFunctionData("deposit", [assets, owner]), words: "deposit" },
  ];
}

// ---------------------------------------------------------------- the past

export interface SharePrice {
  block: number;
  time: number;
  /** Debt tokens per share, WAD: finer than a token unit. */
  price: bigint;
}

export interface ShareHistory {
  /** Oldest first; the last is of the block that was asked for. */
  prices: SharePrice[];
  /** From the first to the last, WAD. */
  gain: bigint;
  /** The node keeps no state of before the first. */
  isCut: boolean;
}

/** At most so many points beside the newest. */
const POINTS = 48;

/**
 * A market's share price since the deployment, as the market itself gave it at blocks evenly apart. No event says what it
 * was: interest runs without one. Each reading asks only for what it has not read before.
 */
export function openShareHistory(contracts: Contracts, { addresses }: MarketReading) {
  const { startBlock } = contracts.addresses;
  const vault = contracts.vault(addresses);
  const known = new Map<number, SharePrice | "before the market" | "forgotten">();

  async function read(block: number): Promise<SharePrice> {
    const [at, price] = await Promise.all([
      providerOf(contracts).getBlock(block),
      vault.convertToAssets(WAD, { blockTag: block }),
    ]);
    if (!at) throw new Error(`The node has no block ${block}`);
    return { block, time: at.timestamp, price };
  }

  return async function readHistory(block: number): Promise<ShareHistory> {
    // A power of two, so that what was read stays of use as the chain grows.
    let step = 1;
    while ((block - startBlock) / step > POINTS) step *= 2;
    // First: a node that does not answer has forgotten nothing.
    const newest = await read(block);
    const blocks = [];
    for (let at = Math.ceil(startBlock / step) * step; at < block; at += step) blocks.push(at);
    await Promise.all(
      blocks.map(async (at) => {
        if (!known.has(at)) known.set(at, await read(at).catch(whyNone));
      }),
    );
    const past = blocks.map((at) => known.get(at)!);
    const prices = [...past.filter((point) => typeof point !== "string"), newest];
    const [first, last] = [prices[0]!, prices.at(-1)!];
    return {
      prices,
      gain: ((last.price - first.price) * WAD) / first.price,
      isCut: past.includes("forgotten"),
    };
  };
}

function whyNone(error: unknown): "before the market" | "forgotten" {
  // Where there is no code yet, a call succeeds and returns nothing.
  const isEmpty = error instanceof Error && "code" in error && error.code === "BAD_DATA";
  return isEmpty || isRevert(error) ? "before the market" : "forgotten";
}
