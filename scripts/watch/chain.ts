// What the watch reads of a deployment: the state of every market at a block, in one batch of calls, and what their events
// say up to it.
import type { Addresses, MarketAddresses } from "@breakwater/sdk/addresses";
import { contractAddress } from "@breakwater/sdk/addresses";
import { connect, explainRevert, isRevert, type MarketReading, openMarkets } from "@breakwater/sdk/chain";
import { Q128 } from "@breakwater/sdk/core";
import {
  AccessManager__factory,
  AggregatorV3Interface__factory,
  InverseOracleAdapter__factory,
  OracleAdapter__factory,
  TestToken__factory,
} from "@breakwater/sdk/types";
import { formatReason } from "@breakwater/sdk/desk";
import { type Provider, ZeroAddress } from "ethers";

import { type History, openHistory, type Recent, type Scheduled } from "./history.ts";

export type { Recent, Scheduled };

/** Fixed point of the slack: less than a unit of collateral matters. */
export const SLACK_BITS = 96n;
const TICKS_PER_CALL = 500n;
/** Above every tick. */
const FROM_THE_TOP = 2 ** 23 - 1;
const REMEMBERED_HEADS = 200;
const ANY_BUDGET = 2n ** 128n - 1n;
/** Words of Market.State (contracts/libraries/MarketReader.sol). */
const [BOOK, POT_COLLATERAL] = ["0x05", "0x06"].map((slot) => `0x${slot.slice(2).padStart(64, "0")}`) as [
  string,
  string,
];

export interface Feed {
  name: string;
  /** Seconds at the block; undefined: it does not answer. */
  age: bigint | undefined;
  maxAge: bigint;
}

/** Amounts in token units of the debt, unless said otherwise. */
export interface MarketLook extends Pick<MarketReading, "view" | "symbols" | "priceState"> {
  id: string;
  decimals: MarketAddresses["decimals"];
  oracle: {
    band: bigint; // basis points
    feeds: Feed[];
    /** Seconds for which diverged sources may still hold liquidations back; undefined: the adapter has no such budget. */
    veto: { left: bigint; full: bigint } | undefined;
  };
  brake: {
    level: MarketReading["brake"]["level"];
    until: bigint;
    reason: string;
    reporter: string;
    /** As the brake has it; the market's own are in `view`. */
    told: { pausedUntil: bigint; graceUntil: bigint; noNewRiskUntil: bigint };
    /** Seconds of pause that the pauser has left. */
    budgets: Record<"liquidations" | "newRisk", { left: bigint; full: bigint }>;
  };
  /** In the vault's balance. */
  held: { debt: bigint; collateral: bigint };
  debt: {
    /** Of the ticks at or above the trigger. */
    liquidatable: bigint;
    /** Whether somebody could liquidate some of it in this block. */
    canLiquidate: boolean;
    /** More than its collateral is worth at the higher price, the pot included; 0 on a Dead price. */
    shortfall: bigint;
    /** Book debt of all ticks, to compare with `view.bookDebt`. */
    ofTicks: bigint;
  };
  pot: { seizedAt: bigint };
  /** Holdings less everything promised, in collateral units with SLACK_BITS; undefined: the history is not known. */
  slack: { value: bigint; error: bigint } | undefined;
  /** Newest block with a Liquidate, as far as the history goes. */
  lastLiquidation: number | undefined;
}

export interface Look {
  block: number;
  hash: string;
  time: bigint;
  markets: MarketLook[];
  unreadable: { market: string; words: string }[];
  scheduled: Scheduled[];
  recent: Recent[];
  /** Tokens of the insurance fund that are not there. */
  missingInsurance: { token: string; booked: bigint; held: bigint }[];
  /** What could not be looked at. */
  unseen: string[];
  /** What the last look saw is on another branch of the chain. */
  reorged: boolean;
}

type Contracts = ReturnType<typeof connect>;

export async function openWatcher(addresses: Addresses, provider: Provider) {
  const contracts = connect(addresses, provider);
  const { brake } = contracts;
  const insurance = contractAddress(addresses, "InsuranceFund");
  const manager = AccessManager__factory.connect(contractAddress(addresses, "AccessManager"), provider);
  const [fullLiquidations, fullNewRisk, expiration] = await Promise.all([
    brake.LIQUIDATION_BUDGET(),
    brake.NEW_RISK_BUDGET(),
    manager.expiration(),
  ]);
  const oracleAt = once(async (address: string) => openOracle(address, provider));
  // Each alone: one that is broken must not hide the others.
  const marketAt = once(async (vault: string) => {
    const markets = addresses.markets.filter((market) => market.vault === vault);
    return openMarkets({ ...contracts, addresses: { ...addresses, markets } }, provider);
  });
  /** The governor may swap it. */
  const oracleOf = new Map(addresses.markets.map(({ vault, oracle }) => [vault, oracle]));
  let history: History = openHistory(addresses, provider);
  /** What was looked at, oldest first. */
  const heads: { number: number; hash: string }[] = [];

  /** Back to the newest block that the chain still has. */
  async function rewind(): Promise<void> {
    for (let last = heads.at(-1); last !== undefined; last = heads.at(-1)) {
      const there = await provider.getBlock(last.number);
      if (there?.hash === last.hash && history.rewind(last.number)) return;
      heads.pop();
    }
    history = openHistory(addresses, provider);
  }

  /** The state at `block` and what happened up to it. Blocks go up, but for a reorganisation. */
  return async function look(block: number): Promise<Look> {
    await history.catchUp(block);
    const blockTag = block;
    const unreadable: Look["unreadable"] = [];
    const skip = (id: string, error: unknown) => {
      // BAD_DATA: nothing answers there.
      if (!isRevert(error) && (error as { code?: string }).code !== "BAD_DATA") throw error;
      unreadable.push({ market: id, words: explainRevert(error).words });
      return [];
    };
    // All of it starts at once, so that it goes out as one batch.
    const last = heads.at(-1);
    const [before, header, events, read, insured] = await Promise.all([
      last && provider.getBlock(last.number),
      provider.getBlock(block),
      history.read(block),
      Promise.all(
        addresses.markets.map(async (market) =>
          readMarket(market).then(
            (each) => [each],
            (error: unknown) => skip(market.id, error),
          ),
        ),
      ),
      Promise.all(
        [...new Set(addresses.markets.map(({ debt }) => debt))].map(async (token) => ({
          token,
          held: await TestToken__factory.connect(token, provider).balanceOf(insurance, { blockTag }),
        })),
      ),
    ]);
    if (!header) throw new Error(`the node has no block ${block}`);
    if (last && before?.hash !== last.hash) {
      await rewind();
      return { ...(await look(block)), reorged: true };
    }
    const found = read.flat();
    const swapped = found.filter(({ market: { view } }) => oracleOf.get(view.vault) !== view.oracle);
    if (swapped.length > 0) {
      for (const { market } of swapped) oracleOf.set(market.view.vault, market.view.oracle);
      return look(block);
    }
    history.apply(block, events);
    heads.push({ number: block, hash: header.hash! });
    if (heads.length > REMEMBERED_HEADS) heads.shift();

    return {
      block,
      hash: header.hash!,
      time: BigInt(header.timestamp),
      markets: found.map((each) => lookOf(each, BigInt(header.timestamp))),
      unreadable,
      scheduled: history.scheduled(BigInt(header.timestamp), expiration),
      recent: history.recent(),
      missingInsurance: insured.flatMap(({ token, held }) => {
        const booked = found
          .filter(({ market: { view } }) => view.debt === token)
          .reduce((sum, { market: { view } }) => sum + view.insurance, 0n);
        return held < booked ? [{ token, booked, held }] : [];
      }),
      unseen: history.unseen(),
      reorged: false,
    };

    async function readMarket(market: MarketAddresses) {
      const { vault } = market;
      const readView = await marketAt(vault);
      const adapter = await oracleAt(oracleOf.get(vault)!);
      const at = { blockTag };
      const contract = contracts.vault(market);
      const balance = async (token: string) =>
        TestToken__factory.connect(token, provider).balanceOf(vault, at);
      const [[reading], state, budgets, ticks, debt, collateral, book, potCollateral, outcome, oracle] =
        await Promise.all([
          readView(block),
          brake.stateOf(vault, at),
          brake.budgetOf(vault, at),
          readTicks(contracts, vault, block),
          balance(market.debt),
          balance(market.collateral),
          contract.readSlot(BOOK, at),
          contract.readSlot(POT_COLLATERAL, at),
          contracts.lens.liquidation(vault, ANY_BUDGET, FROM_THE_TOP, 1, false, at),
          adapter.read(block),
        ]);
      const bits = (word: string, from: bigint, count: bigint) =>
        (BigInt(word) >> from) & ((1n << count) - 1n);
      return {
        ...{ market: reading!, state, budgets, ticks, outcome, oracle },
        held: { debt, collateral },
        seizedAt: bits(book, 56n, 32n),
        potCollateral: bits(potCollateral, 0n, 128n), // collateral units
      };
    }

    function lookOf(
      { market, state, budgets, ticks, held, ...detail }: Awaited<ReturnType<typeof readMarket>>,
      time: bigint,
    ): MarketLook {
      const { addresses: about, view, symbols, priceState } = market;
      const { units } = market.state;
      const { high } = view.price;
      const sum = (of: (tick: (typeof ticks)[number]) => bigint) =>
        ticks.reduce((total, tick) => total + of(tick), 0n);
      const worth = (collateral: bigint) =>
        (collateral * high * 10n ** BigInt(about.decimals.debt)) /
        (Q128 * 10n ** BigInt(about.decimals.collateral));
      const lacks = (debt: bigint, collateral: bigint) => {
        const missing = debt - worth(collateral);
        return high > 0n && missing > 0n ? missing : 0n;
      };
      const surplus = history.surplusOf(about.vault);
      const holdings =
        ((held.collateral * units.collateralMultiplier) << SLACK_BITS) / units.collateralDivisor;
      const behind = sum(({ bookDebt, ratio }) => (bookDebt << (128n + SLACK_BITS)) / ratio);
      return {
        ...{ id: about.id, decimals: about.decimals, view, symbols, priceState, held },
        oracle: {
          ...detail.oracle,
          feeds: detail.oracle.feeds.map(({ name, updatedAt, maxAge }) => ({
            name,
            age: updatedAt === undefined ? undefined : time - updatedAt,
            maxAge,
          })),
        },
        brake: {
          level: market.brake.level,
          until: market.brake.until,
          reason: formatReason(state.reason),
          reporter: state.reporter,
          told: state,
          budgets: {
            liquidations: { left: budgets.liquidations, full: fullLiquidations },
            newRisk: { left: budgets.newRisk, full: fullNewRisk },
          },
        },
        debt: {
          liquidatable: sum(({ liquidatable, debt }) => (liquidatable ? debt : 0n)),
          canLiquidate: detail.outcome.verdict === 0n,
          shortfall:
            sum(({ debt, collateral }) => lacks(debt, collateral)) + lacks(view.potDebt, view.potCollateral),
          ofTicks: sum(({ bookDebt }) => bookDebt),
        },
        pot: { seizedAt: detail.seizedAt },
        slack:
          surplus === undefined
            ? undefined
            : {
                value: holdings - behind - ((surplus + detail.potCollateral) << SLACK_BITS),
                error: BigInt(ticks.length),
              },
        lastLiquidation: history.lastLiquidation(about.vault),
      };
    }
  };
}

/** `open` for each key once, unless it failed. */
function once<T>(open: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const opened = new Map<string, Promise<T>>();
  return async (key) => {
    const known = opened.get(key) ?? open(key);
    opened.set(key, known);
    try {
      return await known;
    } catch (error) {
      opened.delete(key);
      throw error;
    }
  };
}

async function readTicks({ lens }: Contracts, vault: string, blockTag: number) {
  const ticks = [];
  for (let from = FROM_THE_TOP; ;) {
    const page = await lens.ticks(vault, from, TICKS_PER_CALL, { blockTag });
    ticks.push(...page);
    if (BigInt(page.length) < TICKS_PER_CALL) return ticks;
    from = Number(page.at(-1)!.tick) - 1;
  }
}

/** An adapter; one that is not ours has neither feeds nor a veto that could be looked at. */
async function openOracle(address: string, provider: Provider) {
  const none = (error: unknown) => {
    if (isRevert(error) || (error as { code?: string }).code === "BAD_DATA") return undefined;
    throw error;
  };
  const mirrored = await InverseOracleAdapter__factory.connect(address, provider).MIRRORED().catch(none);
  const own = OracleAdapter__factory.connect(address, provider);
  const adapter = mirrored === undefined ? own : OracleAdapter__factory.connect(mirrored, provider);
  const config = await adapter.config().catch(none);
  const feeds = Object.entries({
    "collateral feed": config?.collateralFeed,
    "debt feed": config?.debtFeed,
    "second collateral feed": config?.secondCollateralFeed,
    "second debt feed": config?.secondDebtFeed,
  }).flatMap(([name, feed]) =>
    feed && feed.feed !== ZeroAddress
      ? [{ name, maxAge: feed.maxAge, contract: AggregatorV3Interface__factory.connect(feed.feed, provider) }]
      : [],
  );
  return {
    async read(blockTag: number) {
      const at = { blockTag };
      const [band, left, ...rounds] = await Promise.all([
        own.band(at),
        config && adapter.vetoLeft(at),
        ...feeds.map(async ({ contract }) => contract.latestRoundData(at).catch(none)),
      ]);
      return {
        band,
        veto: config && left !== undefined ? { left, full: config.vetoBudget } : undefined,
        feeds: feeds.map(({ name, maxAge }, at) => ({ name, maxAge, updatedAt: rounds[at]?.updatedAt })),
      };
    },
  };
}
