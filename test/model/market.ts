/**
 * The state of the reference model, its time, its brake, its ticks and its units.
 *
 * UNITS. Token amounts: units of the token (bigint in, Real out). Collateral: collateral units. Debt: debt units of 18
 * decimals; *book debt* is debt units divided by the borrow index, which starts at 1. Prices: whole debt tokens per
 * whole collateral token, Q128.128 integers, as the oracle gives them. Time: seconds.
 */
import { Grid } from "./grid.ts";
import { accrueRate, INITIAL_RATE } from "./rate.ts";
import { Real } from "./real.ts";
import {
  type Level,
  type Price,
  type Parameters,
  type Account,
  type Cascade,
  type Ramp,
  type RiskParameters,
  type Terms,
  Refusal,
} from "./types.ts";

export const BPS = 10_000n;
export const Q128 = 1n << 128n;
/** Debt units in a millionth of a whole token. */
export const MICRO = Real.of(10n ** 12n);
export const POT_DISCOUNT_PERIOD = 3600n;
/** Of the borrow index: it has 72 bits after the point. */
const BORROW_INDEX_STEP = Real.ratio(1n, 1n << 72n);
const MAX_GRACE = 3600n;
const DAY = 86_400n;
/** Where a wind-down brings the liquidation threshold, basis points. */
const WIND_DOWN_FLOOR = 500n;

export const bps = (x: bigint) => Real.ratio(x, BPS);

export class Market {
  readonly grid: Grid;
  readonly accounts = new Map<string, Account>();
  readonly shares = new Map<string, Real>();
  /** Decisions that an implementation may have taken otherwise. */
  readonly ambiguous: string[] = [];
  /** Branches that were taken, and how often: what a run without a difference has shown. */
  readonly reached = new Map<string, number>();

  now: bigint;
  accruedAt: bigint;
  /** When the running pause of liquidations began, and until when each level lasts. */
  protected pausedAt = 0n;
  protected pausedUntil = 0n;
  protected graceUntil = 0n;
  protected noNewRiskUntil = 0n;
  ramp: Ramp | undefined;
  windingDown = false;
  cascade: Cascade | undefined;
  borrowIndex = Real.one;
  rateAtTarget = INITIAL_RATE;

  /** Debt token units. */
  cash = Real.zero;
  reserves = Real.zero;
  insurance = Real.zero;
  totalShares = Real.zero;
  /** Debt and collateral units. */
  potDebt = Real.zero;
  potCollateral = Real.zero;
  seizedAt = 0n;
  /** Collateral token units that the market holds. */
  collateralHeld = Real.zero;

  /** Sums over all liquidations, debt token units. */
  readonly losses = {
    badDebt: Real.zero,
    insurancePaid: Real.zero,
    reservesPaid: Real.zero,
    lendersLoss: Real.zero,
  };

  /** What earlier members left behind in a tick: the last one takes it. Book debt; nothing, within its bound. */
  protected readonly residue = new Map<number, Real>();
  /** Who is at each populated tick. */
  protected readonly ticks = new Map<number, Set<string>>();
  protected readonly debtUnitsPerToken: Real;
  protected readonly collateralUnitsPerToken: Real;
  protected readonly priceScale: Real;
  /** What a move may take of a position's debt because its node's index is rounded. */
  protected readonly indexStep: Real;

  /** `indexMin`: an index of a node never has fewer bits. */
  constructor(
    readonly parameters: Parameters,
    startedAt: bigint,
    indexMin = 1n << 63n,
  ) {
    this.indexStep = Real.ratio(1n, indexMin);
    this.grid = new Grid(parameters.spacing);
    this.now = startedAt;
    this.accruedAt = startedAt;
    this.debtUnitsPerToken = powerOfTen(18 - parameters.debtDecimals);
    this.collateralUnitsPerToken = powerOfTen(
      parameters.collateralUnitDecimals - parameters.collateralDecimals,
    );
    this.priceScale = powerOfTen(18 - parameters.collateralUnitDecimals);
  }

  // ------------------------------------------------------------------ time

  /** Time passes; interest is charged by the next change that needs it. */
  advance(to: bigint): void {
    if (to < this.now) throw new Error(`Time runs forward: ${this.now} to ${to}`);
    // The clock of a ramp stands in a pause of liquidations and in the grace after it.
    const since = max(this.now, this.graceUntil);
    if (this.ramp !== undefined && !this.ramp.halted && to > since) this.ramp.ran += to - since;
    this.now = to;
  }

  /** Charges interest up to `to`. */
  accrue(to: bigint = this.now): void {
    this.advance(to);
    const { borrowIndex, rateAtTarget, reserves } = this.accrued();
    this.borrowIndex = borrowIndex;
    this.rateAtTarget = rateAtTarget;
    this.reserves = reserves;
    this.accruedAt = this.now;
  }

  /**
   * Takes over index (Q72) and rate (10^-18 a second) of an implementation, after they were compared: so that the
   * rounding of one accrual does not widen the bounds of all that follows.
   */
  adoptInterest(index: bigint, rateAtTarget: bigint): void {
    this.borrowIndex = Real.ratio(index, 1n << 72n);
    this.rateAtTarget = Real.ratio(rateAtTarget, 10n ** 18n);
  }

  /**
   * Takes over what an implementation with a tiny index keeps, after it was compared: its roundings are percents, and
   * would soon leave nothing to compare. `nodes`: the whole debt of each tick.
   */
  adoptBook(
    positions: Iterable<[string, { byShares: bigint; surplus: bigint }]>,
    nodes: Iterable<{ tick: number; debt: bigint }>,
  ): void {
    for (const [name, { byShares, surplus }] of positions) {
      this.put(name, { ...this.account(name), debt: Real.of(byShares), surplus: Real.of(surplus) });
    }
    this.residue.clear();
    for (const { tick, debt } of nodes) {
      this.residue.set(tick, Real.of(debt).minus(this.debtsAt(tick)));
    }
  }

  accrued(): { borrowIndex: Real; rateAtTarget: Real; reserves: Real } {
    const { borrowIndex, rateAtTarget, reserves } = this;
    const elapsed = this.now - this.accruedAt;
    if (elapsed === 0n) return { borrowIndex, rateAtTarget, reserves };
    const debt = this.toDebtTokens(this.totalBookDebt().times(borrowIndex).rounded()).rounded();
    const utilization = debt.isZero()
      ? Real.zero
      : debt.over(debt.plus(this.cash)).clamp(Real.zero, Real.one);
    const step = accrueRate(utilization, rateAtTarget, elapsed);
    if (debt.isZero()) return { borrowIndex, rateAtTarget: step.rateAtTarget, reserves };
    const grown = borrowIndex.times(step.growth).rounded(BORROW_INDEX_STEP);
    const book = this.totalBookDebt();
    const units = book.times(borrowIndex).times(step.growth.minus(Real.one));
    // The difference of two rounded totals.
    const interest = this.toDebtTokens(units.rounded(book.times(BORROW_INDEX_STEP)).rounded())
      .rounded()
      .orZero();
    const toReserves = interest.times(Real.ratio(this.parameters.reserveFactor, 100n)).rounded();
    return { borrowIndex: grown, rateAtTarget: step.rateAtTarget, reserves: reserves.plus(toReserves) };
  }

  // ------------------------------------------------------------------ brake

  /** The level now. A pause of liquidations ends in a grace period; it is also a pause of new risk. */
  get level(): Level {
    if (this.now < this.pausedUntil) return "LiquidationsPaused";
    if (this.now < this.graceUntil) return "Grace";
    return this.windingDown || this.now < this.noNewRiskUntil ? "NoNewRisk" : "None";
  }

  pauseNewRisk(seconds: bigint): void {
    this.noNewRiskUntil = this.now + seconds;
  }

  /** A pause during a pause or its grace continues the same episode. */
  pauseLiquidations(seconds: bigint): void {
    if (this.now >= this.graceUntil) this.pausedAt = this.now;
    this.pausedUntil = this.now + seconds;
    this.graceUntil = this.pausedUntil + min(this.pausedUntil - this.pausedAt, MAX_GRACE);
  }

  resume(level: "NoNewRisk" | "LiquidationsPaused"): void {
    if (level === "NoNewRisk") {
      this.noNewRiskUntil = this.now;
    } else {
      this.pausedUntil = this.now;
      this.graceUntil = this.now + min(this.now - this.pausedAt, MAX_GRACE);
    }
  }

  // ------------------------------------------------------------------ thresholds

  /** Liquidation threshold (rounded up) and target (down) now: by definition whole basis points. */
  thresholds(): { liquidationThreshold: bigint; target: bigint } {
    const { risk } = this.parameters;
    if (this.ramp === undefined)
      return { liquidationThreshold: risk.liquidationThreshold, target: risk.target };
    const { from, to, duration } = this.ramp;
    const ran = min(this.ramp.ran, duration);
    const between = (a: bigint, b: bigint) => Real.ratio(a * (duration - ran) + b * ran, duration);
    return {
      liquidationThreshold: between(from.liquidationThreshold, to.liquidationThreshold).ceil(),
      target: between(from.target, to.target).floor(),
    };
  }

  /** The thresholds of `target` are reached in `duration` seconds; the rest holds at once. */
  startRamp(target: RiskParameters, duration: bigint, price: Price): void {
    this.refuseIfWindingDown();
    // No faster than a wind-down.
    const now = this.thresholds();
    const least = (from: bigint, to: bigint) => (max(from - to, 0n) * 14n * DAY) / from;
    const byThreshold = least(now.liquidationThreshold, target.liquidationThreshold);
    const shortest = max(3n * DAY, max(byThreshold, least(now.target, target.target)));
    if (duration < shortest || duration > 180n * DAY) throw new Refusal("InvalidDuration");
    this.rampTo(target, duration, price);
  }

  stopRamp(): void {
    this.refuseIfWindingDown();
    Object.assign(this.parameters.risk, this.thresholds());
    this.ramp = undefined;
  }

  /** Whoever sees the price dead stops the clock, whoever sees it alive lets it go on. */
  pokeRamp(price: Price): void {
    const dead = price.state === "Dead";
    if (this.ramp === undefined || this.ramp.ran >= this.ramp.duration || this.ramp.halted === dead) {
      throw new Refusal("NothingToPoke");
    }
    this.ramp.halted = dead;
    this.reach(dead ? "ramp halted" : "ramp goes on");
  }

  /** Both thresholds fall by one factor. */
  startWindDown(duration: bigint, price: Price): void {
    if (duration < 14n * DAY || duration > 180n * DAY) throw new Refusal("InvalidDuration");
    this.refuseIfWindingDown();
    const { liquidationThreshold, target } = this.thresholds();
    const floor = min(liquidationThreshold, WIND_DOWN_FLOOR);
    this.windingDown = true;
    const end = { liquidationThreshold: floor, target: (target * floor) / liquidationThreshold };
    this.rampTo({ ...this.parameters.risk, ...end, maxLtv: 0n, slope: 0n }, duration, price);
    this.reach("wind-down");
  }

  private rampTo(target: RiskParameters, duration: bigint, price: Price): void {
    const from = this.thresholds();
    this.parameters.risk = target;
    this.ramp = { from, to: target, duration, ran: 0n, halted: price.state === "Dead" };
  }

  private refuseIfWindingDown(): void {
    if (this.windingDown) throw new Refusal("WindingDown");
  }

  // ------------------------------------------------------------------ cascade brake

  /** Off if both are 0. What was used of the old cap is missing from the new one. */
  setCascade(cap: bigint, window: bigint): void {
    if ((cap === 0n) !== (window === 0n)) throw new Refusal("InvalidCascade");
    const room = Real.of(cap).minus(this.cascadeUsed());
    this.cascade = cap === 0n ? undefined : { cap, window, room, at: this.now };
  }

  /** Millionths of a whole debt token that may be sold now: it fills evenly, in whole ones, empty to full in the window. */
  cascadeRoom({ cap, window, room, at }: Cascade): Real {
    return room.plus(Real.of((cap * (this.now - at)) / window)).least(Real.of(cap));
  }

  cascadeUsed(): Real {
    const { cascade } = this;
    return cascade === undefined ? Real.zero : Real.of(cascade.cap).minus(this.cascadeRoom(cascade)).orZero();
  }

  /** Takes over what an implementation counts as used, after it was compared: millionths are much where debts are tiny. */
  adoptCascade(used: bigint, at: bigint): void {
    const { cap, window } = this.cascade!;
    this.cascade = { cap, window, room: Real.of(cap - used), at };
  }

  protected get cascadeSpent(): boolean {
    const { cascade } = this;
    if (cascade === undefined) return false;
    return this.compare(this.cascadeRoom(cascade), Real.zero, "cascade cap") <= 0;
  }

  // ------------------------------------------------------------------ accounts and ticks

  account(name: string): Account {
    return this.accounts.get(name) ?? { tick: undefined, debt: Real.zero, surplus: Real.zero };
  }

  protected put(name: string, account: Account): void {
    const old = this.accounts.get(name)?.tick;
    if (old !== undefined) this.ticks.get(old)!.delete(name);
    if (old !== undefined && this.ticks.get(old)!.size === 0) this.ticks.delete(old);
    if (account.tick !== undefined) {
      const members = this.ticks.get(account.tick) ?? new Set<string>();
      this.ticks.set(account.tick, members.add(name));
    }
    this.accounts.set(name, account);
  }

  /** Σ of all debts, book debt, as a total that the implementation keeps. */
  totalBookDebt(): Real {
    let total = Real.zero;
    for (const { tick, debt } of this.accounts.values()) if (tick !== undefined) total = total.plus(debt);
    for (const residue of this.residue.values()) total = total.plus(residue);
    return total;
  }

  /** Highest first. */
  populatedTicks(): number[] {
    return [...this.ticks.keys()].sort((a, b) => b - a);
  }

  /** The debt of all that are at `tick`, as a node of an implementation keeps it. */
  tickDebt(tick: number): Real {
    return this.debtsAt(tick).plus(this.residueAt(tick));
  }

  protected debtsAt(tick: number): Real {
    let total = Real.zero;
    for (const name of this.membersAt(tick)) total = total.plus(this.account(name).debt);
    return total;
  }

  /** The account's debt: the only one of a tick has what earlier ones left behind, too. */
  debtOf({ tick, debt }: Account): Real {
    if (tick === undefined) return Real.zero;
    return this.membersAt(tick).size === 1 ? debt.plus(this.residueAt(tick)) : debt;
  }

  protected membersAt(tick: number): ReadonlySet<string> {
    return new Set(this.ticks.get(tick));
  }

  protected residueAt(tick: number): Real {
    return this.residue.get(tick) ?? Real.zero;
  }

  protected addResidue(tick: number, residue: Real): void {
    this.residue.set(tick, this.residueAt(tick).plus(residue));
  }

  // ------------------------------------------------------------------ what is insolvent

  protected termsOf(price: Price, borrowIndex: Real): Terms {
    const risk = this.thresholds();
    const high = this.bookPrice(price.high, borrowIndex);
    const threshold = high.times(bps(risk.liquidationThreshold));
    const aim = high.times(bps(risk.target));
    const trigger = this.grid.ceilTick(threshold);
    const target = this.grid.floorTick(aim);
    for (const [tick, bound] of [
      [trigger, threshold],
      [trigger - 1, threshold],
      [target, aim],
      [target + 1, aim],
    ] as const) {
      if (tick < this.grid.bottom || tick > this.grid.top) continue;
      if (bound.isNear(this.grid.ratio(tick)))
        this.ambiguous.push(`tick ${tick} at the trigger or the target`);
    }
    return { high, low: this.bookPrice(price.low, borrowIndex), trigger, target };
  }

  /** At the ends of the grid there is no tick to liquidate from, or none to land at. */
  protected checkGrid({ trigger, target }: Terms): void {
    if (trigger > this.grid.top) throw new Refusal("RatioAboveGrid");
    if (target < this.grid.bottom) throw new Refusal("TickOutOfGrid");
  }

  /**
   * The price at which insolvent ticks may be seized whole now; in a grace period, and once the cascade cap is used up,
   * it must have been so earlier too.
   */
  protected seizable(price: Price): Price | undefined {
    if (price.state !== "Fresh" || this.level === "LiquidationsPaused") return undefined;
    if (this.level !== "Grace" && !this.cascadeSpent) return price;
    const { earlierHigh = 0n } = price;
    if (earlierHigh === 0n) return undefined;
    return { ...price, high: earlierHigh > price.high ? earlierHigh : price.high };
  }

  /** R·(1 + bonusMin) ≥ price: the equity is at most bonusMin. */
  protected isInsolvent(tick: number, price: Real): boolean {
    const worth = this.grid.ratio(tick).times(bps(BPS + this.parameters.risk.bonusMin));
    return this.compare(worth, price, `insolvency of tick ${tick}`) >= 0;
  }

  /** The tick's debt and collateral go to the pot; its accounts keep their surplus. */
  protected seize(tick: number): { debt: Real; collateral: Real } {
    const bookDebt = this.tickDebt(tick);
    const debt = bookDebt.times(this.borrowIndex).rounded();
    const collateral = bookDebt.over(this.grid.ratio(tick)).rounded();
    this.reach("tick seized");
    if (this.cascadeSpent) this.reach("seized beyond the cap at two rounds");
    for (const name of this.membersAt(tick)) {
      this.put(name, { tick: undefined, debt: Real.zero, surplus: this.account(name).surplus, seized: true });
    }
    this.residue.delete(tick);
    this.potDebt = this.potDebt.plus(debt);
    this.potCollateral = this.potCollateral.plus(collateral);
    return { debt, collateral };
  }

  /** After a sweep that may have seized: `before` was in the pot. */
  protected dateSeizure(before: Real): void {
    const added = this.potCollateral.minus(before);
    const old = this.now - this.seizedAt > POT_DISCOUNT_PERIOD / 4n;
    if (old && !added.isZero() && added.times(Real.of(1000n)).compare(before) < 0) {
      this.reach("dust joins an old pot");
    }
    this.seizedAt = this.seizedAtWith(before, this.potCollateral);
  }

  /** The mean time of seizure, weighted by collateral, when a pot of `before` grows to `after`; the earlier second. */
  protected seizedAtWith(before: Real, after: Real): bigint {
    if (after.minus(before).isZero()) return this.seizedAt;
    const elapsed = min(this.now - this.seizedAt, POT_DISCOUNT_PERIOD);
    return this.now - Real.of(elapsed).times(before).over(after).ceil();
  }

  /** Debt units per collateral unit: the pot's own debt, but at a discount that grows from bonusMin to bonusMax. */
  protected potPrice(debt: Real, collateral: Real, price: bigint, seizedAt: bigint): Real {
    const { bonusMin, bonusMax } = this.parameters.risk;
    const elapsed = min(this.now - seizedAt, POT_DISCOUNT_PERIOD);
    // In whole basis points, by definition.
    const discount = bonusMin + ((bonusMax - bonusMin) * elapsed) / POT_DISCOUNT_PERIOD;
    const inUnits = Real.ratio(price, Q128).times(this.priceScale);
    const step = Real.ratio(1n, Q128);
    const ceiling = inUnits.over(bps(BPS + discount)).rounded(step);
    const floor = inUnits.over(bps(BPS + bonusMax)).rounded(step);
    if (collateral.isZero()) return floor;
    return floor.greatest(ceiling.least(debt.over(collateral).rounded(step)));
  }

  // ------------------------------------------------------------------ units

  /** Q128.128 whole-token price → book debt per collateral unit. */
  protected bookPrice(price: bigint, index: Real): Real {
    const real = Real.ratio(price, Q128).times(this.priceScale).over(index);
    return real.rounded(Real.ratio(1n, Q128));
  }

  toDebtTokens(units: Real): Real {
    return units.over(this.debtUnitsPerToken);
  }

  toDebtUnits(tokens: Real): Real {
    const units = tokens.times(this.debtUnitsPerToken);
    return this.debtUnitsPerToken.compare(Real.one) < 0 ? units.rounded() : units;
  }

  toCollateralTokens(units: Real): Real {
    return units.over(this.collateralUnitsPerToken);
  }

  toCollateralUnits(tokens: Real): Real {
    const units = tokens.times(this.collateralUnitsPerToken);
    return this.collateralUnitsPerToken.compare(Real.one) < 0 ? units.rounded() : units;
  }

  protected reach(branch: string): void {
    this.reached.set(branch, (this.reached.get(branch) ?? 0) + 1);
  }

  /** Whole units that a known number of tokens becomes, and that it costs to take it out. */
  protected collateralIn(tokens: bigint): Real {
    return Real.of(Real.of(tokens).times(this.collateralUnitsPerToken).floor());
  }

  protected collateralOut(tokens: bigint): Real {
    return Real.of(Real.of(tokens).times(this.collateralUnitsPerToken).ceil());
  }

  protected compare(a: Real, b: Real, what: string): number {
    if (a.isNear(b)) this.ambiguous.push(what);
    return a.compare(b);
  }
}

function powerOfTen(exponent: number): Real {
  return exponent >= 0 ? Real.of(10n ** BigInt(exponent)) : Real.ratio(1n, 10n ** BigInt(-exponent));
}

export function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
