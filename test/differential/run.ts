/**
 * One random run: the same operations on the real contracts and on the reference model, everything compared after each.
 *
 * Each step fixes a timestamp, mines an empty block at it and then sends the operation in a block of the same
 * timestamp: so what the views say before it and after it belongs to the same moment. The price is what the real
 * adapter says at that moment. What the model refuses must revert with the same error and change nothing.
 *
 * The tolerance of every comparison is the one the model derives (docs/rounding.md). Index and rate are compared after
 * each accrual and then taken over, so that a run does not dilute its bounds.
 */
import type { NetworkConnection } from "hardhat/types/network";
import { type Interface, toBeHex } from "ethers";

import { type Liquidation, type Moved, type Parameters, type Price, Model, Refusal } from "../model/model.ts";
import { Real } from "../model/real.ts";
import {
  type MarketOptions,
  type TestMarket,
  deployMarket,
  LEVEL,
  MAX_INT24,
  MAX_UINT256,
  MIN_INT256,
} from "../support/market.ts";
import { Random } from "./random.ts";
import { type BookState, FIRST_OF_TICK, readBook } from "./storage.ts";

export interface Scenario extends MarketOptions {
  name: string;
}

interface Account {
  name: string;
  owner: string;
  sub: bigint;
}

interface Receipt {
  status: string;
  logs: { address: string; topics: string[]; data: string }[];
}

/** What one operation did on chain. */
type Outcome = { reverted: string } | { reverted?: undefined; receipt: Receipt };

const STATES = ["Dead", "Single", "Diverged", "Fresh"] as const;
const LEVELS = ["None", "NoNewRisk", "Grace", "LiquidationsPaused"] as const;
const USD = 10n ** 8n;
const Q128 = 1n << 128n;
const GAS = toBeHex(16_000_000);
const PLENTY = 1n << 120n;
const HOUR = 3600n;

export class Mismatch extends Error {}

export interface Summary {
  steps: number;
  refusals: number;
  liquidations: number;
  seizures: number;
  /** Of the liquidations, those while the sources did not agree. */
  apart: number;
  potSales: number;
  lossesBooked: number;
  /** Decisions closer than the roundings: the run ends there. */
  ambiguous: string[];
}

export class Run {
  readonly summary: Summary = {
    steps: 0,
    refusals: 0,
    liquidations: 0,
    seizures: 0,
    apart: 0,
    potSales: 0,
    lossesBooked: 0,
    ambiguous: [],
  };
  private readonly trace: string[] = [];
  private slack: bigint | undefined;
  /** First nodes of ticks, which are not counted by the book. */
  private readonly firstNodes = new Set<bigint>();
  private donations = 0n;
  private collateralUsd: bigint;
  private broken = false;

  private constructor(
    private readonly connection: NetworkConnection,
    private readonly market: TestMarket,
    private readonly model: Model,
    private readonly random: Random,
    private readonly accounts: Account[],
    private readonly lenders: string[],
    private readonly addresses: Addresses,
    private price: Price,
    private time: bigint,
  ) {
    this.collateralUsd = market.parameters.collateralPrice;
  }

  static async start(connection: NetworkConnection, scenario: Scenario, seed: bigint): Promise<Run> {
    const debtPrice = scenario.debtPrice ?? USD;
    const collateralPrice = scenario.collateralPrice ?? 3_000n * USD;
    const market = await deployMarket(connection, {
      ...scenario,
      caps: {
        debt: (40_000_000n * USD * 1_000_000n) / debtPrice,
        collateral: (80_000_000n * USD * 1_000_000n) / collateralPrice,
        minDebt: (10n * USD * 1_000_000n) / debtPrice,
      },
    });
    const owners = [1, 2, 3, 4].map((i) => market.signer(i).address);
    const lenders = [5, 6, 7].map((i) => market.signer(i).address);
    const accounts = owners.flatMap((owner, i) =>
      [0n, 1n, 2n, 3n].map((sub) => ({ name: `${"abcd"[i]!}${sub}`, owner, sub })),
    );
    for (let i = 0; i <= 7; i++) await market.fund(market.signer(i), { collateral: PLENTY, debt: PLENTY });
    const addresses = {
      vault: await market.vault.getAddress(),
      liquidator: await market.liquidator.getAddress(),
      insurance: await market.insurance.getAddress(),
      brake: await market.brake.getAddress(),
      debt: await market.debt.getAddress(),
      collateral: await market.collateral.getAddress(),
    };
    const ledger = BigInt(await connection.ethers.provider.getStorage(addresses.vault, 1));
    const startedAt = (ledger >> 216n) & 0xffffffffn;
    const latest = await connection.ethers.provider.getBlock("latest");
    const model = new Model(market.parameters satisfies Parameters, startedAt);
    const run = new Run(
      connection,
      market,
      model,
      new Random(seed),
      accounts,
      lenders,
      addresses,
      { low: 0n, high: 0n, state: "Dead" },
      BigInt(latest!.timestamp),
    );
    return run;
  }

  /** `steps` random operations, then everybody leaves. Throws a Mismatch with the trace. */
  async go(steps: number): Promise<Summary> {
    try {
      await this.moment(60n);
      for (let i = 0; i < 2; i++) await this.lend();
      for (let i = 0; i < 8; i++) await this.open();
      await this.compare();
      while (this.summary.steps < steps) {
        await this.step();
        this.summary.steps++;
        // Whatever was near, both decided alike.
        this.model.ambiguous.length = 0;
      }
      await this.everybodyLeaves();
    } catch (error) {
      if (error instanceof Mismatch && this.model.ambiguous.length !== 0) {
        this.summary.ambiguous = [...this.model.ambiguous, error.message, ...this.trace.slice(-3)];
        return this.summary;
      }
      const message = error instanceof Error ? error.message : String(error);
      throw new Mismatch(`${message}\nafter:\n${this.trace.slice(-12).join("\n")}`, { cause: error });
    }
    return this.summary;
  }

  // ------------------------------------------------------------------ steps

  private async step(): Promise<void> {
    const { random } = this;
    await this.moment(
      random.chance(40) ? 0n : random.magnitude(12n, random.chance(4) ? 40n * 24n * HOUR : 3n * HOUR),
    );
    const before = {
      assets: await this.market.vault.totalAssets(),
      supply: await this.market.vault.totalSupply(),
    };
    const revaluation = this.revaluation();
    const operation = random.weighted({
      open: 24,
      change: 16,
      repay: 6,
      topUp: 5,
      close: 2,
      surplus: 4,
      transfer: 2,
      stranger: 4,
      lend: 10,
      movePrice: 24,
      breakOracle: 6,
      liquidate: 16,
      seize: 3,
      pause: 2,
      accrue: 2,
      reserves: 2,
      insure: 2,
      donate: 1,
    });
    await this[operation]();
    // What a move makes liquidatable is often liquidated at once.
    if (operation === "movePrice" && random.chance(40)) await this.liquidate();
    if (this.broken && random.chance(50)) await this.heal();
    // The share price falls with a loss that is marked, never within an operation at one price (I15).
    if (!this.priceMoved) {
      const after = {
        assets: await this.market.vault.totalAssets(),
        supply: await this.market.vault.totalSupply(),
      };
      if (
        (after.assets + revaluation + 1n) * (before.supply + 1n) <
        (before.assets + 1n) * (after.supply + 1n)
      ) {
        const lost = before.assets - after.assets;
        throw new Mismatch(
          `The share price fell in ${operation}: assets ${before.assets} to ${after.assets} (${lost}), ` +
            `shares ${before.supply} to ${after.supply}`,
        );
      }
    }
    await this.compare();
  }

  private priceMoved = false;

  /**
   * While a tick is insolvent the pot is marked as if that tick were seized now, and so the discount of the whole pot
   * begun anew. If the tick goes otherwise (repaid, or skipped by who buys the pot), the old discount is back: the share
   * price may fall by as much of the pot as the discount had grown.
   */
  private revaluation(): bigint {
    const { model, price } = this;
    const { bonusMin, bonusMax } = this.market.parameters.risk;
    if (model.underWater(price).insolvent.isZero()) return 0n;
    return (model.toDebtTokens(model.potDebt).ceil() * (bonusMax - bonusMin)) / 10_000n + 1n;
  }

  /** Time goes on by `seconds`; the price of the new moment is read. */
  private async moment(seconds: bigint): Promise<void> {
    this.priceMoved = false;
    if (seconds > 0n) {
      this.time += seconds;
      await this.rpc("evm_setNextBlockTimestamp", [toBeHex(this.time)]);
      await this.rpc("evm_mine", []);
    }
    this.model.advance(this.time);
    await this.readPrice();
  }

  private async readPrice(): Promise<void> {
    const { low, high, state } = await this.market.oracle.read();
    this.price = { low, high, state: STATES[Number(state)]! };
  }

  private async open(): Promise<void> {
    const { random, model } = this;
    const free = this.accounts.filter(({ name }) => model.account(name).tick === undefined);
    if (free.length === 0) return this.change();
    const account = random.pick(free);
    const collateral = this.collateralWorth(random.magnitude(20n * USD, 2_000_000n * USD));
    // Often exactly below a tick that others are at.
    const ticks = model.populatedTicks();
    let debt =
      (this.debtFor(collateral) *
        random.between(random.chance(25) ? 1_000n : 7_000n, random.chance(95) ? 8_190n : 9_000n)) /
      10_000n;
    if (ticks.length !== 0 && random.chance(50)) {
      const ratio = model.grid.ratio(random.pick(ticks)).times(model.borrowIndex);
      const units = model.toCollateralUnits(Real.of(collateral)).times(ratio);
      debt = (model.toDebtTokens(units).floor() * 999_999n) / 1_000_000n;
    }
    await this.adjust(account, collateral, random.chance(2) ? 1n : debt);
  }

  private async change(): Promise<void> {
    const { random } = this;
    const account = this.borrower();
    if (account === undefined) return this.lend();
    const { collateral, debt } = this.holdings(account);
    const part = (of: bigint) => (of * random.between(1n, 3_000n)) / 10_000n;
    const kind = random.pick(["borrow", "withdraw", "unwind", "leverage", "swap"] as const);
    if (kind === "borrow") await this.adjust(account, 0n, part(debt));
    if (kind === "withdraw")
      await this.adjust(account, -part(random.chance(10) ? collateral * 8n : collateral), 0n);
    if (kind === "leverage") await this.adjust(account, part(collateral), part(debt));
    if (kind === "swap") await this.adjust(account, part(collateral), -part(debt));
    if (kind === "unwind") {
      const share = random.between(100n, 9_000n);
      await this.adjust(account, -(collateral * share) / 10_001n, -(debt * share) / 10_000n);
    }
  }

  private async repay(): Promise<void> {
    const account = this.borrower();
    if (account === undefined) return this.lend();
    const { debt } = this.holdings(account);
    // Sometimes all but dust: of so many units, though, that roundings do not blur its tick.
    const { model } = this;
    const blur = model.toDebtTokens(model.debtOf(model.account(account.name)).bound()).ceil() * 20_000n;
    if (debt < 10_000n * blur) return this.close();
    const dust = this.market.parameters.debtDecimals > 8 ? blur : blur / 20_000n;
    const left = model.accruedAt === model.now && this.random.chance(40) ? dust : debt;
    const repaid = left < debt ? debt - left : (debt * this.random.between(10n, 9_990n)) / 10_000n + 1n;
    await this.adjust(account, 0n, -repaid);
  }

  private async topUp(): Promise<void> {
    const account = this.borrower();
    if (account === undefined) return this.lend();
    await this.adjust(account, this.collateralWorth(this.random.magnitude(USD, 100_000n * USD)), 0n);
  }

  private async close(): Promise<void> {
    const account = this.borrower();
    if (account === undefined) return this.lend();
    await this.adjust(account, this.random.chance(80) ? "all" : 0n, -PLENTY);
  }

  private async stranger(): Promise<void> {
    const { random } = this;
    const account = random.chance(80)
      ? (this.borrower() ?? random.pick(this.accounts))
      : random.pick(this.accounts);
    const { debt } = this.holdings(account);
    const from = random.pick(this.lenders);
    const kind = random.pick(["topUp", "repay", "close", "steal"] as const);
    if (kind === "topUp") {
      await this.adjust(account, this.collateralWorth(random.magnitude(USD, 10_000n * USD)), 0n, from);
    }
    if (kind === "repay") await this.adjust(account, 0n, -(debt / 3n) - 1_000_000n, from);
    if (kind === "close") await this.adjust(account, 0n, -PLENTY, from);
    if (kind === "steal") await this.adjust(account, -1n, 0n, from);
  }

  private async surplus(): Promise<void> {
    const { random, model } = this;
    const owning = this.accounts.filter(({ name }) => !model.account(name).surplus.isZero());
    const account = random.pick(owning.length !== 0 ? owning : this.accounts);
    const available = model.toCollateralTokens(model.account(account.name).surplus).floor();
    const amount = random.chance(60)
      ? "all"
      : random.chance(80)
        ? (available * random.between(1n, 9_900n)) / 10_000n
        : available * 2n + 10n;
    await this.both(
      `withdrawSurplus ${account.name} ${amount}`,
      () => model.withdrawSurplus(account.name, amount),
      account.owner,
      this.addresses.vault,
      this.market.vault.interface.encodeFunctionData("withdrawSurplus", [
        account.owner,
        account.sub,
        amount === "all" ? MAX_UINT256 : amount,
        account.owner,
      ]),
      (moved, log) => this.admit("surplus withdrawn", moved, log("WithdrawSurplus").amount as bigint),
    );
  }

  private async transfer(): Promise<void> {
    const { random, model } = this;
    const from = random.chance(80)
      ? (this.borrower() ?? random.pick(this.accounts))
      : random.pick(this.accounts);
    const to = random.pick(this.accounts.filter(({ owner }) => owner === from.owner));
    await this.both(
      `transfer ${from.name} to ${to.name}`,
      () => model.transfer(from.name, to.name),
      from.owner,
      this.addresses.vault,
      this.market.vault.interface.encodeFunctionData("transferPosition", [
        from.owner,
        from.sub,
        to.owner,
        to.sub,
      ]),
    );
  }

  private async lend(): Promise<void> {
    const { random, model, market, addresses, price } = this;
    const { vault } = market;
    const lender = random.pick(this.lenders);
    const shares = await vault.balanceOf(lender);
    const assets = this.debtWorth(random.magnitude(1_000n * USD, 20_000_000n * USD));
    const kind =
      this.summary.steps === 0 || model.cash.compare(Real.of(this.debtWorth(200_000n * USD))) < 0
        ? "deposit"
        : shares === 0n
          ? random.pick(["deposit", "mint"] as const)
          : random.pick(["deposit", "mint", "withdraw", "redeem", "redeemAll"] as const);
    const part = (of: bigint) => (of * random.between(1n, 9_000n)) / 10_000n + 1n;
    if (kind === "deposit" || kind === "mint") {
      const data =
        kind === "deposit"
          ? vault.interface.encodeFunctionData("deposit", [assets, lender])
          : vault.interface.encodeFunctionData("mint", [assets, lender]);
      await this.both(
        `${kind} ${assets}`,
        () => (kind === "deposit" ? model.deposit(lender, assets, price) : model.mint(lender, assets, price)),
        lender,
        addresses.vault,
        data,
        (moved, log) =>
          this.admit(kind, moved, log("Deposit")[kind === "deposit" ? "shares" : "assets"] as bigint),
      );
    } else if (kind === "withdraw") {
      const amount = part(random.chance(10) ? assets * 100n : await vault.convertToAssets(shares));
      await this.both(
        `withdraw ${amount}`,
        () => model.withdraw(lender, amount, price),
        lender,
        addresses.vault,
        vault.interface.encodeFunctionData("withdraw", [amount, lender, lender]),
        (moved, log) => this.admit(kind, moved, log("Withdraw").shares as bigint),
      );
    } else {
      const all = kind === "redeemAll";
      const amount = all ? shares : part(shares);
      await this.both(
        `${kind} ${amount}`,
        () => model.redeem(lender, all ? "all" : amount, price),
        lender,
        addresses.vault,
        vault.interface.encodeFunctionData("redeem", [amount, lender, lender]),
        (moved, log) => this.admit(kind, moved, log("Withdraw").assets as bigint),
      );
    }
  }

  private async movePrice(): Promise<void> {
    const { random, market } = this;
    this.priceMoved = true;
    const kind = random.weighted({ wobble: 50, fall: 30, crash: 8, rise: 12 });
    const [low, high] = {
      wobble: [-200n, 200n],
      fall: [-900n, -200n],
      crash: [-4_000n, -900n],
      rise: [200n, 3_000n],
    }[kind] as [bigint, bigint];
    this.collateralUsd += (this.collateralUsd * random.between(low, high)) / 10_000n;
    const least = market.parameters.collateralPrice / 5n;
    if (this.collateralUsd < least) this.collateralUsd = market.parameters.collateralPrice;
    const gap = random.chance(30) ? random.between(-250n, 250n) : 0n;
    this.note(`price ${this.collateralUsd} gap ${gap}`);
    await this.setPrices(this.collateralUsd, this.collateralUsd + (this.collateralUsd * gap) / 10_000n);
  }

  /** Diverged, stale, reverting, zero: one source or both. */
  private async breakOracle(): Promise<void> {
    const { random, market } = this;
    this.priceMoved = true;
    this.broken = true;
    const kind = random.pick(["diverge", "diverge", "revert", "fall", "zero", "stale", "bothDead"] as const);
    const source = random.chance(50) ? market.feeds.primary : market.feeds.second;
    this.note(`oracle ${kind} of ${source === market.feeds.primary ? "primary" : "second"}`);
    const round = (await source.collateral.latestRound()) + 1n;
    if (kind === "diverge") {
      const gap = random.pick([-1n, 1n]) * random.between(350n, 1_500n);
      this.collateralUsd -= (this.collateralUsd * random.between(0n, 900n)) / 10_000n;
      await this.setPrices(this.collateralUsd, this.collateralUsd);
      await this.at(() => source.collateral.set(this.collateralUsd + (this.collateralUsd * gap) / 10_000n));
    }
    if (kind === "fall") {
      const other = source === market.feeds.primary ? market.feeds.second : market.feeds.primary;
      const fall = random.between(400n, 950n);
      await this.at(() => other.collateral.set(this.collateralUsd - (this.collateralUsd * fall) / 10_000n));
    }
    if (kind === "revert" || kind === "fall") await this.at(() => source.collateral.setReverting(true));
    if (kind === "zero") await this.at(() => source.debt.setRound(round, 0n, this.time));
    if (kind === "stale") {
      await this.at(() => source.collateral.setRound(round, this.collateralUsd, this.time - 100_000n));
    }
    if (kind === "bothDead") {
      await this.at(() => market.feeds.primary.collateral.set(-1n));
      await this.at(() => market.feeds.second.debt.setReverting(true));
    }
    await this.readPrice();
    this.note(`  ${this.price.state}`);
    if (random.chance(50)) await this.liquidate();
  }

  private async heal(): Promise<void> {
    this.broken = false;
    this.priceMoved = true;
    this.note("oracle heals");
    for (const { collateral, debt } of [this.market.feeds.primary, this.market.feeds.second]) {
      await this.at(() => collateral.setReverting(false));
      await this.at(() => debt.setReverting(false));
    }
    await this.setPrices(this.collateralUsd, this.collateralUsd);
  }

  private async setPrices(primary: bigint, second: bigint): Promise<void> {
    const { feeds, parameters } = this.market;
    await this.at(() => feeds.primary.collateral.set(primary));
    await this.at(() => feeds.primary.debt.set(parameters.debtPrice));
    await this.at(() => feeds.second.collateral.set(second));
    await this.at(() => feeds.second.debt.set(parameters.debtPrice));
    await this.readPrice();
  }

  private async liquidate(): Promise<void> {
    const { random, model, price, market, addresses } = this;
    const ticks = model.liquidatableTicks(price);
    if (ticks.length === 0 && random.chance(80) && model.potDebt.isZero()) return;
    const populated = model.populatedTicks();
    const owed = model.toDebtTokens(model.underWater(price).liquidatable.plus(model.potDebt)).ceil();
    const unlimited = random.chance(45);
    const maxRepay = unlimited ? PLENTY : (owed * random.between(10n, 12_000n)) / 10_000n;
    const fromTick =
      random.chance(25) && populated.length !== 0 ? random.pick(populated) - random.index(3) : undefined;
    const maxTicks = random.chance(25) ? 1 + random.index(4) : 0;
    const buyPot = random.chance(50);
    await this.both(
      `liquidate ${maxRepay} from ${fromTick ?? "top"} ticks ${maxTicks} pot ${buyPot} (${price.state})`,
      () => model.liquidate({ price, maxRepay, fromTick: fromTick ?? model.grid.top, maxTicks, buyPot }),
      market.governor.address,
      addresses.liquidator,
      market.liquidator.interface.encodeFunctionData("liquidate", [
        {
          market: addresses.vault,
          maxRepay,
          minCollateral: 0n,
          fromTick: fromTick ?? MAX_INT24,
          maxTicks,
          buyPot,
          deadline: MAX_UINT256,
          receiver: market.governor.address,
        },
        "0x",
      ]),
      (result, log) => this.admitLiquidation(result, log),
    );
    if (unlimited && fromTick === undefined && maxTicks === 0 && model.level === "None") {
      // After an unlimited call nothing is left that could be sold (I6); a second one does nothing (I13).
      const left = model.liquidatableTicks(this.price);
      if (price.state === "Fresh" && left.length !== 0)
        throw new Mismatch(`Left to liquidate: ${left.join(", ")}`);
    }
  }

  private async seize(): Promise<void> {
    const { random, model, price, market, addresses } = this;
    const maxTicks = random.chance(50) ? 0 : 1 + random.index(3);
    await this.both(
      `seize ${maxTicks} (${price.state})`,
      () => model.liquidate({ price, maxRepay: 0n, maxTicks, seizeOnly: true }),
      market.signer(1).address,
      addresses.liquidator,
      market.liquidator.interface.encodeFunctionData("seize", [addresses.vault, maxTicks]),
      (result, log) => this.admitLiquidation(result, log),
    );
  }

  private admitLiquidation(result: Liquidation, log: (name: string) => LogArguments): void {
    const report = log("Liquidate").report as Record<string, bigint>;
    this.admit("repaid", result.repaid, report.repaid!);
    this.admit("seized", result.seized, report.seized!);
    this.admit("debt into the pot", result.potDebt, report.potDebt!);
    this.admit("collateral into the pot", result.potCollateral, report.potCollateral!);
    this.admit("debt out of the pot", result.potDebtSold, report.potDebtSold!);
    this.admit("insurance paid", result.insurancePaid, report.insurancePaid!);
    this.admit("reserves paid", result.reservesPaid, report.reservesPaid!);
    this.admit("lenders' loss", result.lendersLoss, report.lendersLoss!);
    this.summary.liquidations += result.moves.filter(({ to }) => to !== undefined).length;
    if (this.price.state !== "Fresh") this.summary.apart += result.moves.length;
    this.summary.seizures += result.moves.filter(({ to }) => to === undefined).length;
    if (!result.potDebtSold.isZero()) this.summary.potSales++;
    if (!result.badDebt.isZero()) this.summary.lossesBooked++;
    this.note(`  ${result.moves.map(({ from, to }) => `${from}→${to ?? "pot"}`).join(" ")}`);
  }

  private async pause(): Promise<void> {
    const { random, model, market, addresses } = this;
    const resumes = model.level !== "None" && random.chance(50);
    const liquidations = random.chance(60);
    const seconds = random.between(60n, 2n * HOUR);
    const level = liquidations ? LEVEL.LiquidationsPaused : LEVEL.NoNewRisk;
    const data = resumes
      ? market.brake.interface.encodeFunctionData("resume", [addresses.vault])
      : market.brake.interface.encodeFunctionData("pause", [addresses.vault, level, seconds, toBeHex(0, 32)]);
    const outcome = await this.send(market.governor.address, addresses.brake, data);
    this.note(resumes ? "resume" : `pause ${level} for ${seconds}: ${outcome.reverted ?? "done"}`);
    // Its budget is not the model's: a refused pause changes nothing.
    if (outcome.reverted !== undefined) return;
    if (resumes) model.resume();
    else if (liquidations) model.pauseLiquidations(seconds);
    else model.pauseNewRisk(seconds);
  }

  private async accrue(): Promise<void> {
    const { vault } = this.market;
    await this.both(
      "accrueInterest",
      () => this.model.accrue(),
      this.lenders[0]!,
      this.addresses.vault,
      vault.interface.encodeFunctionData("accrueInterest"),
    );
  }

  private async reserves(): Promise<void> {
    await this.both(
      "collectReserves",
      () => this.model.collectReserves(),
      this.lenders[0]!,
      this.addresses.vault,
      this.market.vault.interface.encodeFunctionData("collectReserves"),
      (amount, log) => this.admit("reserves", amount, log("CollectReserves").amount as bigint),
    );
  }

  private async insure(): Promise<void> {
    const amount = this.debtWorth(this.random.magnitude(USD, 100_000n * USD));
    await this.both(
      `insure ${amount}`,
      () => this.model.insure(amount),
      this.lenders[0]!,
      this.addresses.insurance,
      this.market.insurance.interface.encodeFunctionData("deposit", [this.addresses.vault, amount]),
    );
  }

  /** A gift to the vault's balance changes nothing. */
  private async donate(): Promise<void> {
    const amount = this.debtWorth(1_000n * USD);
    this.note(`donate ${amount}`);
    await this.at(() => this.market.debt.transfer(this.addresses.vault, amount));
    this.donations += amount;
  }

  // ------------------------------------------------------------------ the end

  /** Everybody can leave, and the totals reach 0 (I14). */
  private async everybodyLeaves(): Promise<void> {
    this.note("everybody leaves");
    await this.moment(3n * HOUR);
    await this.heal();
    await this.moment(1n);
    while (this.model.level !== "None") {
      await this.moment(HOUR);
      await this.setPrices(this.collateralUsd, this.collateralUsd);
    }
    for (const account of this.accounts) {
      if (this.model.account(account.name).tick !== undefined) await this.adjust(account, "all", -PLENTY);
      if (!this.model.account(account.name).surplus.isZero()) {
        await this.send(
          account.owner,
          this.addresses.vault,
          this.market.vault.interface.encodeFunctionData("withdrawSurplus", [
            account.owner,
            account.sub,
            MAX_UINT256,
            account.owner,
          ]),
        );
        this.model.accounts.set(account.name, {
          ...this.model.account(account.name),
          surplus: Real.zero.rounded(),
        });
      }
    }
    if (!this.model.potDebt.isZero()) {
      const { vault, governor, liquidator } = this.market;
      await this.both(
        "buy the pot",
        () => this.model.liquidate({ price: this.price, maxRepay: PLENTY, buyPot: true }),
        governor.address,
        this.addresses.liquidator,
        liquidator.interface.encodeFunctionData("liquidate", [
          {
            market: await vault.getAddress(),
            maxRepay: PLENTY,
            minCollateral: 0n,
            fromTick: MAX_INT24,
            maxTicks: 0,
            buyPot: true,
            deadline: MAX_UINT256,
            receiver: governor.address,
          },
          "0x",
        ]),
        (result, log) => this.admitLiquidation(result, log),
      );
    }
    for (const lender of this.lenders) {
      const shares = await this.market.vault.balanceOf(lender);
      if (shares === 0n) continue;
      await this.both(
        `leave ${lender}`,
        () => this.model.redeem(lender, "all", this.price),
        lender,
        this.addresses.vault,
        this.market.vault.interface.encodeFunctionData("redeem", [shares, lender, lender]),
      );
    }
    const book = await this.readBook();
    const supply = await this.market.vault.totalSupply();
    for (const [what, left] of [
      ["book debt", book.debt],
      ["pot debt", book.potDebt],
      ["pot collateral", book.potCollateral],
      ["live nodes", BigInt(book.live.size)],
      ["shares", supply],
    ] as const) {
      if (left !== 0n) throw new Mismatch(`Everybody left, but there is ${what}: ${left}`);
    }
  }

  // ------------------------------------------------------------------ comparing

  private async compare(): Promise<void> {
    const { model, market } = this;
    const book = await this.readBook();
    if (book.accruedAt !== model.accruedAt) {
      throw new Mismatch(`Accrued at ${book.accruedAt}, the model at ${model.accruedAt}`);
    }
    this.admit("borrow index", model.borrowIndex.times(Real.of(1n << 72n)), book.borrowIndex);
    this.admit("rate at target", model.rateAtTarget.times(Real.of(10n ** 18n)), book.rateAtTarget);
    model.adoptInterest(book.borrowIndex, book.rateAtTarget);

    this.admit("cash", model.cash, book.cash);
    this.admit("reserves", model.reserves, book.reserves);
    this.admit("insurance", model.insurance, await market.insurance.balanceOf(this.addresses.vault));
    this.admit("book debt", model.totalBookDebt(), book.debt);
    this.admit("pot debt", model.potDebt, book.potDebt);
    this.admit("pot collateral", model.potCollateral, book.potCollateral);
    this.admit("shares", model.totalShares, await market.vault.totalSupply());
    for (const lender of this.lenders) {
      this.admit(`shares of ${lender}`, model.sharesOf(lender), await market.vault.balanceOf(lender));
    }
    for (const [name, position] of book.positions) {
      const account = model.account(name);
      if (account.tick !== position.tick) {
        throw new Mismatch(`${name} is at tick ${position.tick}, the model at ${account.tick}`);
      }
      this.admit(`debt of ${name}`, model.debtOf(account), position.debt);
      this.admit(`surplus of ${name}`, account.surplus, position.surplus);
    }
    this.admit("total assets", model.totalAssets(this.price), await market.vault.totalAssets());
    const open = (await market.vault.maxDeposit(this.lenders[0]!)) !== 0n;
    const waits = model.lendersWait(this.price);
    if (open === (waits !== undefined)) {
      throw new Mismatch(
        `Lenders ${open ? "need not wait" : "wait"}, in the model ${waits ?? "they need not"}`,
      );
    }
    const level = LEVELS[Number(await market.brake.levelOf(this.addresses.vault))];
    if (level !== model.level) throw new Mismatch(`The brake is at ${level}, the model at ${model.level}`);
    await this.checkBook(book);
  }

  /** Invariants of the book by itself. */
  private async checkBook(book: BookState): Promise<void> {
    const { model, market } = this;
    // I3: the total is the sum of the nodes; I2: no node owes less than its positions; I5; I11.
    let nodes = 0n;
    let held = book.potCollateral << 64n;
    for (const [, node] of book.live) {
      nodes += node.debt;
      held += (node.debt << 192n) / model.grid.integerRatio(node.tick);
      if (node.tick > book.top) throw new Mismatch(`Tick ${node.tick} is above the bound ${book.top}`);
      const members = [...book.positions.values()].filter(({ tick }) => tick === node.tick);
      const owed = members.reduce((sum, { debt }) => sum + debt, 0n);
      if (owed > node.debt) throw new Mismatch(`Tick ${node.tick} owes ${owed}, its node ${node.debt}`);
      if (node.count !== BigInt(members.length)) {
        throw new Mismatch(
          `Tick ${node.tick} has ${members.length} positions, its node counts ${node.count}`,
        );
      }
    }
    if (nodes !== book.debt) throw new Mismatch(`The nodes owe ${nodes}, the book ${book.debt}`);
    for (const { node } of book.positions.values()) if (node >= FIRST_OF_TICK) this.firstNodes.add(node);
    const ids = book.nodes + BigInt(this.firstNodes.size);
    const limit = ids.toString(2).length * 2;
    for (const [name, { surplus, depth }] of book.positions) {
      held += surplus << 64n;
      if (depth > limit) throw new Mismatch(`${name} is ${depth} links deep of ${ids} nodes`);
    }
    // I1: what the vault holds beyond what it promises never decreases.
    const [collateralMultiplier, collateralDivisor] = await market.vault.scales();
    const balance = await market.collateral.balanceOf(this.addresses.vault);
    const slack = ((balance * collateralMultiplier) << 64n) / collateralDivisor - held;
    const rounding = 1n << 8n; // of this computation, in 2^-64 units
    if (slack < -rounding || (this.slack !== undefined && slack < this.slack - rounding)) {
      throw new Mismatch(`Slack fell from ${this.slack} to ${slack} (2^-64 collateral units)`);
    }
    this.slack = slack;
    const tokens = await market.debt.balanceOf(this.addresses.vault);
    if (tokens !== book.cash + this.donations) {
      throw new Mismatch(
        `The vault holds ${tokens}, accounts for ${book.cash} and got ${this.donations} as gifts`,
      );
    }
  }

  private admit(what: string, expected: Real, actual: bigint): void {
    if (!expected.admits(actual)) {
      throw new Mismatch(`${what}: the contract has ${actual}, the model ${expected.toString()}`);
    }
  }

  private async readBook(): Promise<BookState> {
    return await readBook(
      async (slot) =>
        BigInt(
          (await this.rpc("eth_getStorageAt", [this.addresses.vault, toBeHex(slot, 32), "latest"])) as string,
        ),
      this.accounts,
    );
  }

  // ------------------------------------------------------------------ sending

  private async adjust(
    { name, owner, sub }: Account,
    collateral: bigint | "all",
    debt: bigint,
    from: string = owner,
  ): Promise<void> {
    const { model, price } = this;
    await this.both<Moved>(
      `adjust ${name} ${collateral} ${debt}${from === owner ? "" : " by a stranger"} (${price.state}, ${model.level})`,
      () => model.adjust({ account: name, collateral, debt, price, acts: from === owner }),
      from,
      this.addresses.vault,
      this.market.vault.interface.encodeFunctionData("adjust", [
        owner,
        sub,
        collateral === "all" ? MIN_INT256 : collateral,
        debt,
        from,
        "0x",
      ]),
      (moved, log) => {
        this.admit("collateral moved", moved.collateral, log("Adjust").collateralDelta as bigint);
        this.admit("debt moved", moved.debt, log("Adjust").debtDelta as bigint);
      },
    );
  }

  /** The operation on the model and on the contracts; both refuse for the same reason, or `check` compares. */
  private async both<T>(
    what: string,
    onModel: () => T,
    from: string,
    to: string,
    data: string,
    check?: (result: T, log: (name: string) => LogArguments) => void,
  ): Promise<void> {
    let result: { done: T } | { refused: string };
    try {
      result = { done: onModel() };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      result = { refused: error.reason };
    }
    const outcome = await this.send(from, to, data);
    const reverted = outcome.reverted;
    this.note(`${what}${reverted === undefined ? "" : `: ${reverted}`}`);
    const expected = "refused" in result ? result.refused : undefined;
    if (expected !== reverted) {
      throw new Mismatch(
        `${what}: the contract ${reverted ?? "does it"}, the model ${expected ?? "does it"}`,
      );
    }
    if (outcome.reverted !== undefined) this.summary.refusals++;
    else if ("done" in result) check?.(result.done, (name) => this.logOf(outcome.receipt, name));
  }

  /** A transaction at this very moment, from any account. */
  private async send(from: string, to: string, data: string): Promise<Outcome> {
    await this.rpc("evm_setNextBlockTimestamp", [toBeHex(this.time)]);
    try {
      const hash = await this.rpc("eth_sendTransaction", [{ from, to, data, gas: GAS }]);
      const receipt = (await this.rpc("eth_getTransactionReceipt", [hash])) as Receipt;
      return { receipt };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const name = /custom error '(\w+)\(/.exec(message)?.[1];
      return { reverted: name ?? message };
    }
  }

  /** A call of a test contract through ethers, at this very moment. */
  private async at(call: () => Promise<unknown>): Promise<void> {
    await this.rpc("evm_setNextBlockTimestamp", [toBeHex(this.time)]);
    await call();
  }

  private logOf(receipt: Receipt, name: string): LogArguments {
    const { vault } = this.market;
    const interface_: Interface = vault.interface;
    for (const log of receipt.logs) {
      if (log.address.toLowerCase() !== this.addresses.vault.toLowerCase()) continue;
      const parsed = interface_.parseLog(log);
      if (parsed?.name === name) return parsed.args.toObject();
    }
    throw new Mismatch(`No ${name} in the receipt`);
  }

  private async rpc(method: string, params: unknown[]): Promise<unknown> {
    return await this.connection.provider.request({ method, params });
  }

  private note(line: string): void {
    if (process.env.DEEP_VERBOSE === "2") console.log(line);
    this.trace.push(`${this.summary.steps}: +${this.time} ${line}`);
  }

  // ------------------------------------------------------------------ amounts

  private borrower(): Account | undefined {
    const open = this.accounts.filter(({ name }) => this.model.account(name).tick !== undefined);
    return open.length === 0 ? undefined : this.random.pick(open);
  }

  /** Token units that an account has and owes. */
  private holdings({ name }: Account): { collateral: bigint; debt: bigint } {
    const { model } = this;
    const account = model.account(name);
    if (account.tick === undefined) return { collateral: 0n, debt: 0n };
    const debt = model.debtOf(account);
    const collateral = debt.over(model.grid.ratio(account.tick)).plus(account.surplus);
    return {
      collateral: model.toCollateralTokens(collateral).floor(),
      debt: model.toDebtTokens(debt.times(model.accrued().borrowIndex)).floor(),
    };
  }

  private collateralWorth(usd: bigint): bigint {
    return (usd * 10n ** BigInt(this.market.parameters.collateralDecimals)) / this.collateralUsd + 1n;
  }

  private debtWorth(usd: bigint): bigint {
    const { debtDecimals, debtPrice } = this.market.parameters;
    return (usd * 10n ** BigInt(debtDecimals)) / debtPrice + 1n;
  }

  /** Debt token units that are worth `collateral`, at the lower price. */
  private debtFor(collateral: bigint): bigint {
    const { collateralDecimals, debtDecimals } = this.market.parameters;
    const scaled =
      (collateral * this.price.low * 10n ** BigInt(debtDecimals)) / 10n ** BigInt(collateralDecimals);
    return scaled / Q128 + 1n;
  }
}

type LogArguments = Record<string, unknown>;

interface Addresses {
  vault: string;
  liquidator: string;
  insurance: string;
  brake: string;
  debt: string;
  collateral: string;
}
