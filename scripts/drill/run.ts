// A drill: the whole protocol on a chain in process, a book of positions, a price path, keepers.
import { bestSize, ladder, refine, type SizeQuote, unitsOf } from "@breakwater/sdk/core";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { network } from "hardhat";

import { deployLocal, type Local } from "../../deploy/local.ts";
import {
  entry,
  parseAmount,
  readParameters,
  type MarketParameters,
  type Parameters,
} from "../../deploy/parameters.ts";
import type { Parameters as ModelParameters } from "../../test/model/model.ts";
import { planPositions } from "./book.ts";
import { BLOCK_SECONDS, Chain, MAX_TRANSACTION_GAS, WINDOW_SECONDS } from "./chain.ts";
import type { TickViewStructOutput } from "../../sdk/src/types/Lens.ts";
import { DrillMarket, type OraclePrice, type Order, type Report, type Scene } from "./market.ts";
import { STEP_SECONDS, type PricePath, type Step } from "./path.ts";
import { replay, type Journal } from "./reference.ts";
import { decimal, type DrillResult, type StepRecord } from "./result.ts";

export interface DrillOptions {
  path: PricePath;
  positions: number;
  seed: number;
  blockGas: bigint;
  /** Without it a keeper with capital takes what the pool cannot; with it all is sold through the pool, or waits. */
  poolOnly?: boolean;
}

export type Progress = (phase: string, done: number, of: number) => void;

const MARKET = "weth-usdc";
/** Before the path begins: when the system is deployed, and when the book is opened. */
const DEPLOYED_BEFORE = 4 * 3600;
const OPENED_BEFORE = 2 * 3600;
/** Lenders have lent a quarter more than is borrowed, and one percent of the debt is insured. */
const LENT_PERCENT = 125n;
const INSURED_PERCENT = 1n;
/** What a liquidation costs beyond its ticks, and at most for each tick. */
const BASE_GAS = 900_000n;
const TICK_GAS = 20_000n;
/** Sizes that the keeper without capital tries: each half of the one before. */
const FLASH_SIZES = 7;
/** The same where nobody else comes: even the smallest part of a crash must fit the pool. */
const POOL_SIZES = 12;
/** How often it then tries halfway from the best one to its neighbours. */
const REFINEMENTS = 3;

export async function runDrill(options: DrillOptions, progress: Progress): Promise<DrillResult> {
  const { path, positions: count, seed, blockGas, poolOnly = false } = options;
  const positions = planPositions(count, seed, path.start.price);
  const openedDebt = positions.reduce((sum, { debt }) => sum + debt, 0n);
  const openedCollateral = positions.reduce((sum, { collateral }) => sum + collateral, 0n);

  progress("deploying", 0, 1);
  const connection = await network.create({
    override: { initialDate: new Date((path.start.time - DEPLOYED_BEFORE) * 1000) },
  });
  try {
    const price = decimal(path.start.price, 8);
    const local = await deployLocal(connection, {
      parameters: withRoom(readParameters("local"), openedCollateral),
      prices: { "ETH/USD": price },
    });
    const chain = new Chain(connection.provider);
    const market = new DrillMarket(chain, await sceneOf(local));
    await chain.takeOver(blockGas);
    const journal: Journal = [{ kind: "begin", time: await market.accruedAt() }];

    const lent = (openedDebt * LENT_PERCENT) / 100n;
    const insured = (openedDebt * INSURED_PERCENT) / 100n;
    // At a fixed time, however long the deployment took: runs of the same seed differ in cents of interest at most.
    await market.round(path.start.price, path.start.time - OPENED_BEFORE);
    await market.fund(lent, insured);
    const opening = await market.price();
    journal.push({ kind: "lend", time: chain.time, assets: lent, price: opening });
    journal.push({ kind: "insure", amount: insured });
    await market.open(positions, blockGas, (opened) => {
      for (const { sub, time } of opened) {
        journal.push({ kind: "open", time, sub, ...positions[sub]!, price: opening });
      }
      progress("opening positions", opened.at(-1)!.sub + 1, count);
    });
    if (chain.time >= path.start.time)
      throw new Error(`the book took longer than ${OPENED_BEFORE} s to open`);

    const keepers = new Keepers(market, chain, journal, blockGas, poolOnly);
    const steps: StepRecord[] = [];
    for (const step of path.steps) {
      steps.push(await keepers.step(step));
      progress("walking the path", steps.length, path.steps.length);
    }
    const model = replay(modelParameters(local), journal, (done) =>
      progress("walking the reference model", done, journal.length),
    );
    return { path, positions: count, seed, blockGas, openedDebt, openedCollateral, steps, model };
  } finally {
    await connection.close();
  }
}

/** Caps are the demonstration's; the book is given room, at whatever price the path starts. */
function withRoom(parameters: Parameters, collateral: bigint): Parameters {
  const whole = collateral / 10n ** 18n + 1n;
  const markets = parameters.markets.map((market) =>
    market.id === MARKET
      ? { ...market, caps: { ...market.caps, debt: "1e9", collateral: `${whole * 2n}` } }
      : market,
  );
  // A book of longs alone would pay funding, which the reference model does not know.
  return { ...parameters, markets, pairs: [] };
}

async function sceneOf(local: Local): Promise<Scene> {
  const market = local.markets[MARKET]!;
  const { collateralUnitDecimals } = marketParameters(local);
  const { deployer, others } = local.signers;
  const [lender, borrower, arbitrageur, flash, keeper] = others.map(
    ({ address }: HardhatEthersSigner) => address,
  );
  const pool = local.pools["WETH/USDC"]!;
  return {
    vault: await market.vault.getAddress(),
    oracle: await market.oracle.getAddress(),
    liquidator: await local.contracts.liquidator.getAddress(),
    flashLiquidator: entry(local.addresses.contracts, "FlashLiquidator"),
    lens: await local.contracts.lens.getAddress(),
    insurance: await local.contracts.insurance.getAddress(),
    feed: await local.feeds["ETH/USD"]!.getAddress(),
    usdcFeed: await local.feeds["USDC/USD"]!.getAddress(),
    weth: await market.collateral.getAddress(),
    usdc: await market.debt.getAddress(),
    pool: await pool.getAddress(),
    poolFee: Number(await pool.fee()),
    router: await local.contracts.swapRouter.getAddress(),
    units: unitsOf(market.spacing, market.decimals.collateral, market.decimals.debt, collateralUnitDecimals),
    risk: modelParameters(local).risk,
    accounts: {
      admin: deployer.address,
      lender: lender!,
      borrower: borrower!,
      arbitrageur: arbitrageur!,
      flash: flash!,
      keeper: keeper!,
    },
  };
}

/** The market's parameters as the model takes them. */
function modelParameters(local: Local): ModelParameters {
  const market = local.markets[MARKET]!;
  const { risk, caps, reserveFactorPercent, collateralUnitDecimals, spacing } = marketParameters(local);
  const millionths = (whole: string) => parseAmount(whole, 6);
  return {
    collateralDecimals: market.decimals.collateral,
    debtDecimals: market.decimals.debt,
    collateralUnitDecimals,
    spacing,
    risk: {
      maxLtv: BigInt(risk.maxLtvBps),
      liquidationThreshold: BigInt(risk.liquidationThresholdBps),
      target: BigInt(risk.targetBps),
      bonusMin: BigInt(risk.bonusMinBps),
      bonusMax: BigInt(risk.bonusMaxBps),
      slope: BigInt(risk.slopeBps),
    },
    caps: {
      debt: millionths(caps.debt),
      collateral: millionths(caps.collateral),
      minDebt: millionths(caps.minDebt),
    },
    reserveFactor: BigInt(reserveFactorPercent),
  };
}

function marketParameters({ parameters }: Local): MarketParameters {
  return parameters.markets.find(({ id }) => id === MARKET)!;
}

/**
 * One step is: a feed round with the arbitrageur behind it; ten minutes, until the pool's average has followed; the
 * same round again; then keepers, one transaction to a block, until nothing is liquidatable at `high` and no pot is
 * left. First a keeper without capital sells through the pool what earns most there; the arbitrageur refills it; then a
 * keeper with capital takes the rest, which it sells elsewhere: a pool of finite depth cannot absorb a crash. With
 * `poolOnly` it does not come: what the pool cannot take at a profit waits, and what is insolvent is seized.
 */
class Keepers {
  private readonly gas: bigint;
  private readonly maxTicks: number;
  /** When what is left over from earlier steps came under water. */
  private since: number | undefined;
  /** What the insolvent ticks were still worth to their owners before the liquidation that is counted next. */
  private equity = 0n;

  constructor(
    private readonly market: DrillMarket,
    private readonly chain: Chain,
    private readonly journal: Journal,
    blockGas: bigint,
    private readonly poolOnly: boolean,
  ) {
    this.gas = blockGas < MAX_TRANSACTION_GAS ? blockGas : MAX_TRANSACTION_GAS;
    this.maxTicks = Math.max(1, Number((this.gas - BASE_GAS) / TICK_GAS));
  }

  async step({ time, price }: Step): Promise<StepRecord> {
    const { market, chain, journal } = this;
    await market.round(price, time);
    await market.refresh(price, time + WINDOW_SECONDS + BLOCK_SECONDS);
    journal.push({ kind: "accrue", time: chain.time });

    const record = emptyRecord(time, price);
    this.since ??= time;
    const last = time + STEP_SECONDS - 2 * BLOCK_SECONDS;
    let seenAt = time;
    for (;;) {
      const { ticks, potDebt } = await market.liquidatable(await market.price());
      const due = ticks.length === 0 ? [] : await market.riskiest(ticks.length);
      const uncovered = due.reduce((sum, { debt }) => sum + debt, potDebt / UNITS_PER_TOKEN);
      record.uncovered.debtSeconds += uncovered * BigInt(chain.time - seenAt);
      seenAt = chain.time;
      record.uncovered.debt = uncovered;
      record.cleared = ticks.length === 0 && potDebt === 0n;
      if (record.cleared || chain.time >= last) break;
      this.equity = equityOfInsolvent(due);
      const repaid = this.poolOnly || record.transactions === 0 ? await this.flash(record, price) : 0n;
      if (repaid !== 0n) continue;
      if (!this.poolOnly) await this.fund(record);
      else if (due.some(({ insolvent }) => insolvent)) await this.seize(record);
      else break;
    }
    if (record.cleared) this.since = undefined;
    else record.uncovered.debtSeconds += record.uncovered.debt * BigInt(time + STEP_SECONDS - chain.time);
    record.debt = await market.debt();
    return record;
  }

  /** The most profitable liquidation through the pool, if one earns anything; returns what it repaid. */
  private async flash(record: StepRecord, price: bigint): Promise<bigint> {
    const { market, chain } = this;
    const order = (maxRepay: bigint): Order => ({ maxRepay, maxTicks: this.maxTicks, buyPot: this.poolOnly });
    const whole = await market.quote(order(NO_BUDGET));
    const quotes: SizeQuote[] = [];
    const ask = async (sizes: bigint[]) => {
      for (const size of sizes) {
        const quote = await market.quoteFlash(order(size));
        quotes.push({ size, profit: quote?.profit ?? 0n });
      }
    };
    await ask(ladder(whole, this.poolOnly ? POOL_SIZES : FLASH_SIZES));
    for (let i = 0; this.poolOnly && i < REFINEMENTS; i++) await ask(refine(quotes, 0n));
    const best = bestSize(quotes);
    if (!best || best.profit === 0n) return 0n;
    const chosen = order(best.size === whole ? NO_BUDGET : best.size);
    const { gas, report } = await market.flashLiquidate(chosen, this.gas, chain.time + BLOCK_SECONDS);
    this.count(record, chosen, gas, report);
    record.flashRepaid += report.repaid;
    await market.arbitrage(price, chain.time + BLOCK_SECONDS);
    return report.repaid;
  }

  private async fund(record: StepRecord): Promise<void> {
    await this.liquidate(record, { maxRepay: NO_BUDGET, maxTicks: this.maxTicks, buyPot: true });
  }

  /** What is insolvent into the pot: that takes no capital. */
  private async seize(record: StepRecord): Promise<void> {
    await this.liquidate(record, { maxRepay: 0n, maxTicks: this.maxTicks, buyPot: false });
  }

  private async liquidate(record: StepRecord, order: Order): Promise<void> {
    const { gas, report } = await this.market.liquidate(order, this.gas, this.chain.time + BLOCK_SECONDS);
    this.count(record, order, gas, report);
  }

  private count(record: StepRecord, order: Order, gas: bigint, report: Report): void {
    const { time } = this.chain;
    this.journal.push({ kind: "liquidate", time, order, price: report.price });
    const loss = report.insurancePaid + report.reservesPaid + report.lendersLoss;
    // What the pot brought is its debt, in tokens rounded up, less the loss; or more than that, if it alone was sold.
    const owed = ceilTokens(report.potDebtSold);
    const potPaid = report.ticks === 0 ? report.repaid : owed - loss;
    const repaid = report.repaid - potPaid;
    const seized = report.seized - report.potCollateralSold;
    const worth = valueOf(seized, report.price);
    const insolventDebt = report.potDebt / UNITS_PER_TOKEN;
    const seconds = time - (this.since ?? time);

    record.transactions += 1;
    record.gas += gas;
    record.ticks += report.ticks;
    record.repaid += repaid;
    record.seized += seized;
    record.penalty += worth > repaid ? worth - repaid : 0n;
    record.insolventDebt += insolventDebt;
    if (insolventDebt !== 0n) {
      record.seizedEquity += this.equity;
      this.equity = 0n;
    }
    record.potPaid += potPaid;
    if (potPaid > owed) record.potSurplus += potPaid - owed;
    record.badDebt += loss;
    record.insurancePaid += report.insurancePaid;
    record.reservesPaid += report.reservesPaid;
    record.lendersLoss += report.lendersLoss;
    if (repaid + insolventDebt > 0n) {
      record.underWater.debtSeconds += (repaid + insolventDebt) * BigInt(seconds);
      record.underWater.maxSeconds = Math.max(record.underWater.maxSeconds, seconds);
    }
  }
}

const NO_BUDGET = 2n ** 128n - 1n;
/** Debt units of one of USDC's units; wei are collateral units. */
const UNITS_PER_TOKEN = 10n ** 12n;
const WAD = 10n ** 18n;

function ceilTokens(debtUnits: bigint): bigint {
  return (debtUnits + UNITS_PER_TOKEN - 1n) / UNITS_PER_TOKEN;
}

/** Wei of WETH in USDC's units, at `high`. */
function valueOf(wei: bigint, { high }: OraclePrice): bigint {
  return (wei * high) / UNITS_PER_TOKEN / 2n ** 128n;
}

/** By how much insolvent ticks were still worth more than their debt: their owners lose that when they are seized. */
function equityOfInsolvent(ticks: TickViewStructOutput[]): bigint {
  return ticks
    .filter(({ insolvent, ltvHigh }) => insolvent && ltvHigh < WAD)
    .reduce((sum, { debt, ltvHigh }) => sum + (debt * (WAD - ltvHigh)) / ltvHigh, 0n);
}

export function emptyRecord(time: number, price: bigint): StepRecord {
  return {
    time,
    price,
    transactions: 0,
    gas: 0n,
    ticks: 0,
    repaid: 0n,
    seized: 0n,
    penalty: 0n,
    insolventDebt: 0n,
    seizedEquity: 0n,
    potPaid: 0n,
    potSurplus: 0n,
    badDebt: 0n,
    insurancePaid: 0n,
    reservesPaid: 0n,
    lendersLoss: 0n,
    flashRepaid: 0n,
    underWater: { debtSeconds: 0n, maxSeconds: 0 },
    uncovered: { debtSeconds: 0n, debt: 0n },
    cleared: false,
    debt: 0n,
  };
}
