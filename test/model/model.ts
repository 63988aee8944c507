/**
 * The reference model of one market: every account by itself, in exact numbers, written from the design. No nodes, no
 * shares of nodes, no links: an account has a tick, a debt and a surplus, and a liquidation multiplies the debt of each
 * account of a swept tick by g(R_k) / g(R_j). It imports nothing of the contracts and nothing of the SDK.
 *
 * Every number carries the bound of what a rounding implementation may be away from it (see real.ts; docs/rounding.md
 * derives each `rounded`). Where a decision depends on two numbers that are closer than their bounds, the model notes
 * it in `ambiguous`: from then on an implementation may have taken another way.
 *
 * UNITS. Token amounts: units of the token (bigint in, Real out). Collateral: collateral units. Debt: debt units of 18
 * decimals; *book debt* is debt units divided by the borrow index, which starts at 1. Prices: whole debt tokens per
 * whole collateral token, Q128.128 integers, as the oracle gives them. Time: seconds.
 */
import { Grid } from "./grid.ts";
import { accrueRate, INITIAL_RATE } from "./rate.ts";
import { Real } from "./real.ts";

export type State = "Dead" | "Single" | "Diverged" | "Fresh";
export type Level = "None" | "NoNewRisk" | "Grace" | "LiquidationsPaused";

export interface Price {
  low: bigint;
  high: bigint;
  state: State;
}

/** Basis points. */
export interface RiskParameters {
  maxLtv: bigint;
  liquidationThreshold: bigint;
  target: bigint;
  bonusMin: bigint;
  bonusMax: bigint;
  slope: bigint;
}

export interface Parameters {
  collateralDecimals: number;
  debtDecimals: number;
  collateralUnitDecimals: number;
  spacing: number;
  risk: RiskParameters;
  /** Millionths of a whole token. */
  caps: { debt: bigint; collateral: bigint; minDebt: bigint };
  /** Percent. */
  reserveFactor: bigint;
}

/** What a call reverts with: the name of the contract's error. */
export class Refusal extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}

export interface Account {
  /** undefined: no debt. */
  tick: number | undefined;
  /** Book debt. */
  debt: Real;
  /** Collateral units. */
  surplus: Real;
}

export interface AdjustRequest {
  account: string;
  /** Token units in (positive) or out; "all": whatever there is. */
  collateral: bigint | "all";
  /** Token units borrowed (positive) or repaid. */
  debt: bigint;
  price: Price;
  /** By the owner or its operator (the default), or by a stranger. */
  acts?: boolean;
}

/** What really moved, token units. */
export interface Moved {
  collateral: Real;
  debt: Real;
}

export interface LiquidateRequest {
  price: Price;
  /** Debt token units. */
  maxRepay: bigint;
  /** Default: skip nothing. */
  fromTick?: number;
  /** 0 (the default): no bound. */
  maxTicks?: number;
  buyPot?: boolean;
  seizeOnly?: boolean;
}

export interface Liquidation {
  /** Token units, pot included. */
  repaid: Real;
  seized: Real;
  /** Debt and collateral units that went into the pot. */
  potDebt: Real;
  potCollateral: Real;
  /** Debt units that were sold out of the pot. */
  potDebtSold: Real;
  /** Debt token units: the loss of what was sold, and who bore it. */
  badDebt: Real;
  insurancePaid: Real;
  reservesPaid: Real;
  lendersLoss: Real;
  /** Ticks sold (in whole or in part) and seized, in the order of the sweep; `to` undefined: seized. */
  moves: { from: number; to: number | undefined }[];
}

/** What a lender finds: assets in token units, and ticks to seize before. */
interface Entry {
  total: Real;
  insolvent: number[];
}

/** The prices and bounds of one liquidation, in book debt per collateral unit. */
interface Terms {
  high: Real;
  low: Real;
  trigger: number;
  target: number;
}

const BPS = 10_000n;
const Q128 = 1n << 128n;
const MICRO = Real.of(10n ** 12n);
const WEI = Real.ratio(1n, 10n ** 18n);
/** Of the borrow index: it has 72 bits after the point. */
const BORROW_INDEX_STEP = Real.ratio(1n, 1n << 72n);
const POT_DISCOUNT_PERIOD = 3600n;
const MAX_SEIZURES = 64;
const MAX_GRACE = 3600n;
/** A collateral conversion inside a sale works on the upper 127 bits of a price. */
const PRICE_STEP = Real.ratio(1n, 1n << 125n);

const bps = (x: bigint) => Real.ratio(x, BPS);

export class Model {
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
  private pausedAt = 0n;
  private pausedUntil = 0n;
  private graceUntil = 0n;
  private noNewRiskUntil = 0n;
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
  private readonly residue = new Map<number, Real>();
  /** Who is at each populated tick. */
  private readonly ticks = new Map<number, Set<string>>();
  private readonly debtUnitsPerToken: Real;
  private readonly collateralUnitsPerToken: Real;
  private readonly priceScale: Real;
  /** What a move may take of a position's debt because its node's index is rounded. */
  private readonly indexStep: Real;

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
    return this.now < this.noNewRiskUntil ? "NoNewRisk" : "None";
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

  resume(): void {
    if (this.now < this.pausedUntil) {
      this.pausedUntil = this.now;
      this.graceUntil = this.now + min(this.now - this.pausedAt, MAX_GRACE);
    }
    this.noNewRiskUntil = min(this.noNewRiskUntil, this.now);
  }

  // ------------------------------------------------------------------ borrowers

  account(name: string): Account {
    return this.accounts.get(name) ?? { tick: undefined, debt: Real.zero, surplus: Real.zero };
  }

  /** A new position: collateral in, debt out, token units. */
  open(account: string, collateral: bigint, debt: bigint, price: Price): Moved {
    return this.adjust({ account, collateral, debt, price });
  }

  /** Changes a position by signed amounts; refuses with the contract's error and changes nothing then. */
  adjust({ account: name, collateral, debt: debtDelta, price, acts = true }: AdjustRequest): Moved {
    const out = collateral === "all" || collateral < 0n;
    if (!acts && (out || debtDelta > 0n)) throw new Refusal("NotAuthorized");
    if (collateral === 0n && debtDelta === 0n) throw new Refusal("ZeroAmount");
    if (collateral !== "all" && collateral > 0n) {
      if (this.collateralIn(collateral).isZero()) throw new Refusal("ZeroAmount");
    }
    const index = debtDelta !== 0n || out ? this.accrued().borrowIndex : this.borrowIndex;

    const before = this.account(name);
    const oldDebt = this.debtOf(before);
    // A position is exactly at its tick's ratio; beyond that it has a surplus, which the owner's change makes margin.
    const behind =
      before.tick === undefined ? Real.zero : oldDebt.over(this.grid.ratio(before.tick)).rounded();
    let margin = acts ? before.surplus.plus(behind) : behind;
    let taken = Real.zero;
    let added = Real.zero;
    if (collateral === "all") {
      taken = margin;
    } else if (collateral < 0n) {
      taken = this.collateralOut(-collateral);
      if (this.compare(taken, margin, "InsufficientCollateral") > 0)
        throw new Refusal("InsufficientCollateral");
    } else {
      added = this.collateralIn(collateral);
    }
    margin = margin.minus(taken).plus(added).orZero();
    if (collateral === "all") margin = Real.zero;

    let debt = oldDebt;
    let debtMoved = Real.of(debtDelta);
    if (debtDelta > 0n) {
      debt = oldDebt.plus(this.toDebtUnits(Real.of(debtDelta)).over(index).rounded());
    } else if (debtDelta < 0n) {
      const repaid = this.toDebtUnits(Real.of(-debtDelta)).over(index).rounded();
      if (repaid.compare(Real.one) < 0) {
        if (repaid.isNear(Real.one)) this.ambiguous.push("ZeroAmount");
        throw new Refusal("ZeroAmount");
      }
      if (this.compare(repaid, oldDebt, "closes") >= 0) {
        debt = Real.zero;
      } else {
        debt = oldDebt.minus(repaid);
      }
    }
    // Whoever repays all pays what was owed.
    if (debtDelta < 0n && debt.isZero()) {
      debtMoved = Real.zero.minus(this.toDebtTokens(oldDebt.times(index).rounded()).rounded());
    }

    const after: Account = {
      tick: undefined,
      debt: Real.zero,
      surplus: acts ? margin : before.surplus.plus(margin),
    };
    if (!debt.isZero()) {
      const reducesRisk = !out && debtDelta <= 0n;
      after.tick = this.tickFor(debt, margin, reducesRisk ? before.tick : undefined);
      after.debt = debt.rounded();
      const need = after.debt.over(this.grid.ratio(after.tick)).rounded();
      after.surplus = margin.minus(need).orZero();
      if (!acts) after.surplus = after.surplus.plus(before.surplus);
    }
    this.checkWidth(after.surplus, 96n);
    this.checkWidth(this.totalBookDebt().minus(oldDebt).plus(after.debt), 104n);

    const taking = collateral === "all" ? Real.zero : Real.of(collateral);
    const collateralMoved =
      collateral === "all" ? Real.zero.minus(this.toCollateralTokens(taken).rounded()) : taking;
    const rises =
      out &&
      after.tick !== undefined &&
      before.tick !== undefined &&
      after.tick > before.tick &&
      !taken.isZero();
    if (debtDelta > 0n || rises)
      this.checkNewRisk(after, oldDebt, debtDelta > 0n, index, price, collateralMoved);
    if (debtDelta > 0n && this.compare(debtMoved, this.cash, "cash") > 0)
      throw new Refusal("InsufficientCash");

    if (debtDelta !== 0n || out) this.accrue();
    this.replace(name, before, after);
    this.cash = this.cash.minus(debtMoved);
    this.collateralHeld = this.collateralHeld.plus(collateralMoved);
    return { collateral: collateralMoved, debt: debtMoved };
  }

  /** Token units; "all": what there is. Needs no price, no market that is open, and no interest. */
  withdrawSurplus(name: string, amount: bigint | "all"): Real {
    const account = this.account(name);
    const available = this.toCollateralTokens(account.surplus).rounded();
    let moved = available;
    if (amount === "all") {
      if (this.compare(available, Real.one, "surplus") < 0) throw new Refusal("ZeroAmount");
    } else {
      if (amount === 0n) throw new Refusal("ZeroAmount");
      moved = Real.of(amount);
      if (this.compare(moved, available, "InsufficientSurplus") > 0) throw new Refusal("InsufficientSurplus");
    }
    const left = account.surplus.minus(this.toCollateralUnits(moved)).orZero();
    this.put(name, { ...account, surplus: left });
    this.collateralHeld = this.collateralHeld.minus(moved);
    return moved;
  }

  /** The position as it is becomes that of another, empty account. */
  transfer(from: string, to: string): void {
    const [moved, empty] = [this.account(from), this.account(to)];
    if (empty.tick !== undefined || this.compare(empty.surplus, Real.zero, "empty") !== 0) {
      throw new Refusal("PositionNotEmpty");
    }
    this.put(from, empty);
    this.put(to, moved);
  }

  /** What does not fit its place in the book is refused. */
  private checkWidth(amount: Real, width: bigint): void {
    if (this.compare(amount, Real.of(1n << width), `${width} bits`) >= 0) {
      throw new Refusal("SafeCastOverflowedUintDowncast");
    }
  }

  /** The smallest tick that `debt` over `margin` may take, at most `ceiling`. */
  private tickFor(debt: Real, margin: Real, ceiling: number | undefined): number {
    if (margin.isZero() && ceiling === undefined) throw new Refusal("DebtWithoutCollateral");
    if (margin.isZero()) return ceiling!;
    const ratio = debt.over(margin);
    let tick = this.grid.ceilTick(ratio);
    if (ceiling !== undefined && tick > ceiling) {
      this.reach("tick held at its old place");
      tick = ceiling;
    }
    if (tick === this.grid.bottom && ratio.compare(this.grid.ratio(tick)) < 0) this.reach("bottom tick");
    if (tick > this.grid.top) throw new Refusal("RatioAboveGrid");
    const below = tick > this.grid.bottom && ratio.isNear(this.grid.ratio(tick - 1));
    const above = tick !== ceiling && ratio.isNear(this.grid.ratio(tick));
    if (below || above) this.ambiguous.push(`tick ${tick} of ${ratio.toString(20)}`);
    return tick;
  }

  private checkNewRisk(
    after: Account,
    oldDebt: Real,
    borrows: boolean,
    index: Real,
    price: Price,
    collateralMoved: Real,
  ): void {
    const { risk, caps } = this.parameters;
    if (this.level !== "None") throw new Refusal("NewRiskPaused");
    if (price.state !== "Fresh") throw new Refusal("PriceNotFresh");
    const limit = this.bookPrice(price.low, index).times(bps(risk.maxLtv));
    if (this.compare(this.grid.ratio(after.tick!), limit, "LtvTooHigh") > 0) throw new Refusal("LtvTooHigh");
    if (!borrows) return;
    const owed = after.debt.times(index).rounded();
    if (this.compare(owed, Real.of(caps.minDebt).times(MICRO), "DebtTooSmall") < 0)
      throw new Refusal("DebtTooSmall");
    const total = this.totalBookDebt().minus(oldDebt).plus(after.debt).times(index).rounded();
    if (this.compare(total, Real.of(caps.debt).times(MICRO), "DebtCapExceeded") > 0) {
      throw new Refusal("DebtCapExceeded");
    }
    const collateral = this.toCollateralUnits(this.collateralHeld.plus(collateralMoved)).rounded();
    const cap = Real.of(caps.collateral).times(MICRO).over(this.priceScale);
    if (this.compare(collateral, cap, "CollateralCapExceeded") > 0)
      throw new Refusal("CollateralCapExceeded");
  }

  private replace(name: string, before: Account, after: Account): void {
    if (before.tick !== undefined) {
      // The last one takes the whole residue; others leave what rounding kept from them.
      if (this.membersAt(before.tick).size === 1) this.residue.delete(before.tick);
      else this.addResidue(before.tick, Real.zero.within(before.debt.bound()));
    }
    this.put(name, after);
  }

  private put(name: string, account: Account): void {
    const old = this.accounts.get(name)?.tick;
    if (old !== undefined) this.ticks.get(old)!.delete(name);
    if (old !== undefined && this.ticks.get(old)!.size === 0) this.ticks.delete(old);
    if (account.tick !== undefined) {
      const members = this.ticks.get(account.tick) ?? new Set<string>();
      this.ticks.set(account.tick, members.add(name));
    }
    this.accounts.set(name, account);
  }

  // ------------------------------------------------------------------ lenders

  /** Deposits `assets`; returns the shares. */
  deposit(lender: string, assets: bigint, price: Price): Real {
    const entry = this.enter(price, "high");
    const shares = this.sharesFor(Real.of(assets), entry.total).rounded();
    this.lend(entry, lender, Real.of(assets), shares);
    return shares;
  }

  /** Mints `shares`; returns the assets. */
  mint(lender: string, shares: bigint, price: Price): Real {
    const entry = this.enter(price, "high");
    const assets = this.assetsFor(Real.of(shares), entry.total).rounded();
    this.lend(entry, lender, assets, Real.of(shares));
    return assets;
  }

  /** Withdraws `assets`; returns the shares. */
  withdraw(lender: string, assets: bigint, price: Price): Real {
    const entry = this.enter(price, "low");
    const shares = this.sharesFor(Real.of(assets), entry.total).rounded();
    this.leave(entry, lender, Real.of(assets), shares);
    return shares;
  }

  /** Redeems `shares` ("all": the lender's); returns the assets. */
  redeem(lender: string, shares: bigint | "all", price: Price): Real {
    const entry = this.enter(price, "low");
    const given = shares === "all" ? this.sharesOf(lender) : Real.of(shares);
    const assets = this.assetsFor(given, entry.total).rounded();
    this.leave(entry, lender, assets, given);
    if (shares === "all") this.shares.delete(lender);
    return assets;
  }

  sharesOf(lender: string): Real {
    return this.shares.get(lender) ?? Real.zero;
  }

  /** The lenders' assets now, token units, at the lower price unless said otherwise. */
  totalAssets(price: Price, side: "low" | "high" = "low"): Real {
    return this.assess(price, side).total;
  }

  /** Whether a lender who came or went now would have to wait, or to seize first. */
  lendersWait(price: Price): "LendersWait" | "SeizeFirst" | undefined {
    const { waits, more } = this.assess(price, "low");
    return more ? "SeizeFirst" : waits ? "LendersWait" : undefined;
  }

  /** Reserves go to the insurance fund, as far as there is cash, unless the pot is open. */
  collectReserves(): Real {
    const { reserves } = this.accrued();
    if (!this.potDebt.isZero()) throw new Refusal("ZeroAmount");
    const amount = reserves.least(this.cash).rounded();
    if (this.compare(amount, Real.one, "reserves") < 0) throw new Refusal("ZeroAmount");
    this.accrue();
    this.reserves = this.reserves.minus(amount);
    this.cash = this.cash.minus(amount);
    this.insurance = this.insurance.plus(amount);
    return amount;
  }

  insure(amount: bigint): void {
    this.insurance = this.insurance.plus(Real.of(amount));
  }

  private sharesFor(assets: Real, total: Real): Real {
    return assets.times(this.totalShares.plus(Real.one)).over(total.plus(Real.one));
  }

  private assetsFor(shares: Real, total: Real): Real {
    return shares.times(total.plus(Real.one)).over(this.totalShares.plus(Real.one));
  }

  private lend(entry: Entry, lender: string, assets: Real, shares: Real): void {
    if (this.compare(assets, Real.one, "assets") < 0 || this.compare(shares, Real.one, "shares") < 0) {
      throw new Refusal("ZeroAmount");
    }
    this.settle(entry);
    this.cash = this.cash.plus(assets);
    this.totalShares = this.totalShares.plus(shares);
    this.shares.set(lender, this.sharesOf(lender).plus(shares));
  }

  private leave(entry: Entry, lender: string, assets: Real, shares: Real): void {
    if (this.compare(assets, Real.one, "assets") < 0) throw new Refusal("ZeroAmount");
    // The last lender takes the cash whole: what is near is not too much.
    if (this.compare(assets, this.cash, "cash") > 0 && !assets.isNear(this.cash)) {
      throw new Refusal("InsufficientCash");
    }
    const balance = this.sharesOf(lender);
    if (shares !== balance && this.compare(shares, balance, "shares") > 0) {
      throw new Refusal("ERC20InsufficientBalance");
    }
    this.settle(entry);
    this.cash = this.cash.minus(assets);
    this.totalShares = this.totalShares.minus(shares);
    this.shares.set(lender, balance.minus(shares));
  }

  /** What a lender finds: the assets at the price that is worse for who comes or goes. */
  private enter(price: Price, side: "low" | "high"): Entry {
    const { total, waits, more, insolvent } = this.assess(price, side);
    if (more) throw new Refusal("SeizeFirst");
    if (waits) throw new Refusal("LendersWait");
    if (insolvent.length !== 0) this.checkGrid(this.termsOf(price, this.accrued().borrowIndex));
    return { total, insolvent };
  }

  /** Charges interest and seizes what is insolvent, before a lender comes or goes. */
  private settle({ insolvent }: Entry): void {
    this.accrue();
    const before = this.potCollateral;
    if (insolvent.length !== 0) this.reach("seizure by a lender");
    for (const tick of insolvent) this.seize(tick);
    this.seizedAt = this.seizedAtWith(before, this.potCollateral);
  }

  /** What lenders own if every tick that is insolvent at `high` were seized now, and whether they have to wait. */
  private assess(price: Price, side: "low" | "high") {
    const { borrowIndex, reserves } = this.accrued();
    const owed = !this.totalBookDebt().isZero();
    const pot = !this.potDebt.isZero();
    const able = price.state === "Fresh" && (this.level === "None" || this.level === "NoNewRisk");
    let waits = false;
    let insolvent: number[] = [];
    let more = false;
    if ((owed || pot) && price.state === "Dead") {
      waits = true;
    } else if (owed || pot) {
      const high = this.bookPrice(price.high, borrowIndex);
      const low = this.bookPrice(price.low, borrowIndex);
      const ticks = this.populatedTicks();
      insolvent = ticks.filter((tick) => this.isInsolvent(tick, high));
      more = able && insolvent.length > MAX_SEIZURES;
      const next = ticks[insolvent.length];
      const atLowOnly = insolvent.length <= MAX_SEIZURES && next !== undefined && this.isInsolvent(next, low);
      waits = insolvent.length > MAX_SEIZURES || atLowOnly || ((insolvent.length !== 0 || pot) && !able);
      if (!able) insolvent = [];
      insolvent = insolvent.slice(0, MAX_SEIZURES);
    }

    let bookDebt = this.totalBookDebt();
    let potDebt = this.potDebt;
    let potCollateral = this.potCollateral;
    for (const tick of insolvent) {
      const debt = this.tickDebt(tick);
      bookDebt = bookDebt.minus(debt);
      potDebt = potDebt.plus(debt.times(borrowIndex).rounded());
      potCollateral = potCollateral.plus(debt.over(this.grid.ratio(tick)).rounded());
    }
    let total = this.cash.plus(this.toDebtTokens(bookDebt.times(borrowIndex).rounded()).rounded());
    let owedToReserves = reserves;
    if (!potDebt.isZero()) {
      const seizedAt = this.seizedAtWith(this.potCollateral, potCollateral);
      const at = this.potPrice(potDebt, potCollateral, side === "low" ? price.low : price.high, seizedAt);
      const fetch = potCollateral.times(at).rounded();
      const mark = potDebt.least(fetch.plus(this.toDebtUnits(this.insurance)));
      total = total.plus(this.toDebtTokens(mark).rounded());
      owedToReserves = reserves.minus(this.toDebtTokens(potDebt.minus(mark)).rounded()).orZero();
    }
    return { total: total.minus(owedToReserves).orZero(), waits, more, insolvent };
  }

  // ------------------------------------------------------------------ liquidation

  /** Sells what is liquidatable, seizes what is insolvent, sells the pot. */
  liquidate(request: LiquidateRequest): Liquidation {
    const {
      price,
      maxRepay,
      fromTick = this.grid.top,
      maxTicks = 0,
      buyPot = false,
      seizeOnly = false,
    } = request;
    if (this.level === "Grace" || this.level === "LiquidationsPaused")
      throw new Refusal("LiquidationsPaused");
    if (price.state === "Dead") throw new Refusal("PriceDead");
    const { borrowIndex } = this.accrued();
    const fresh = price.state === "Fresh";
    const terms = this.termsOf(price, borrowIndex);
    this.checkGrid(terms);

    // Decide, then act: nothing has changed if there is nothing to do.
    const ticks = this.populatedTicks().filter((tick) => tick <= fromTick && tick >= terms.trigger);
    const plan: { from: number; to: number | undefined; w: Real }[] = [];
    let budget = this.toDebtUnits(Real.of(maxRepay)).over(borrowIndex).rounded();
    let repaid = Real.zero;
    for (const from of ticks) {
      if (maxTicks !== 0 && plan.length === maxTicks) break;
      if (this.isInsolvent(from, terms.high)) {
        if (fresh) plan.push({ from, to: undefined, w: Real.zero });
        else this.reach("insolvent tick skipped");
        continue;
      }
      if (seizeOnly) break;
      const w = this.salePrice(from, terms);
      const { to, cost } = this.landing(from, w, terms, budget);
      if (to === from) {
        this.reach("budget too small for a step");
        break;
      }
      if (to !== terms.target) this.reach("partial landing");
      plan.push({ from, to, w });
      budget = budget.minus(cost);
      repaid = repaid.plus(cost);
      if (to !== terms.target) break;
    }
    const sellsPot =
      buyPot &&
      fresh &&
      (!this.potDebt.isZero() || plan.some(({ to }) => to === undefined)) &&
      maxRepay !== 0n;
    if (plan.length === 0 && !sellsPot) throw new Refusal("NothingToLiquidate");
    this.accrue();

    const result: Liquidation = {
      repaid: Real.zero,
      seized: Real.zero,
      potDebt: Real.zero,
      potCollateral: Real.zero,
      potDebtSold: Real.zero,
      badDebt: Real.zero,
      insurancePaid: Real.zero,
      reservesPaid: Real.zero,
      lendersLoss: Real.zero,
      moves: plan.map(({ from, to }) => ({ from, to })),
    };
    const potBefore = this.potCollateral;
    for (const { from, to, w } of plan) {
      if (to === undefined) {
        const { debt, collateral } = this.seize(from);
        result.potDebt = result.potDebt.plus(debt);
        result.potCollateral = result.potCollateral.plus(collateral);
      } else {
        result.seized = result.seized.plus(this.sell(from, to, w, plan.length));
      }
    }
    this.seizedAt = this.seizedAtWith(potBefore, this.potCollateral);
    result.repaid = this.toDebtTokens(repaid.times(borrowIndex).rounded()).rounded();
    let sold = result.seized;
    if (sellsPot) {
      const bought = this.sellPot(price.low, Real.of(maxRepay).minus(result.repaid).orZero(), result);
      result.repaid = result.repaid.plus(bought.paid);
      sold = sold.plus(bought.collateral);
    }
    result.seized = this.toCollateralTokens(sold).rounded();
    this.cash = this.cash.plus(result.repaid).plus(result.insurancePaid);
    this.collateralHeld = this.collateralHeld.minus(result.seized);
    for (const key of ["badDebt", "insurancePaid", "reservesPaid", "lendersLoss"] as const) {
      this.losses[key] = this.losses[key].plus(result[key]);
    }
    return result;
  }

  /** Ticks that are liquidatable at the higher price, from the top. */
  liquidatableTicks(price: Price): number[] {
    if (price.state === "Dead") return [];
    const { trigger } = this.termsOf(price, this.accrued().borrowIndex);
    return this.populatedTicks().filter((tick) => tick >= trigger);
  }

  /** Debt units that are liquidatable now, and those of them that are insolvent. */
  underWater(price: Price): { liquidatable: Real; insolvent: Real } {
    const { borrowIndex } = this.accrued();
    const high = this.bookPrice(price.high, borrowIndex);
    let [liquidatable, insolvent] = [Real.zero, Real.zero];
    for (const tick of this.liquidatableTicks(price)) {
      const debt = this.tickDebt(tick).times(borrowIndex);
      liquidatable = liquidatable.plus(debt);
      if (this.isInsolvent(tick, high)) insolvent = insolvent.plus(debt);
    }
    return { liquidatable, insolvent };
  }

  /** At the ends of the grid there is no tick to liquidate from, or none to land at. */
  private checkGrid({ trigger, target }: Terms): void {
    if (trigger > this.grid.top) throw new Refusal("RatioAboveGrid");
    if (target < this.grid.bottom) throw new Refusal("TickOutOfGrid");
  }

  private termsOf(price: Price, borrowIndex: Real): Terms {
    const { risk } = this.parameters;
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

  /** R·(1 + bonusMin) ≥ price: the equity is at most bonusMin. */
  private isInsolvent(tick: number, price: Real): boolean {
    const worth = this.grid.ratio(tick).times(bps(BPS + this.parameters.risk.bonusMin));
    return this.compare(worth, price, `insolvency of tick ${tick}`) >= 0;
  }

  /**
   * w = high / (1 + b). The bonus grows with the shortfall from bonusMin to bonusMax, and with the gap of the sources so
   * that low / (1 + bonusMin) is not exceeded; above bonusMin it is at most nine tenths of the equity.
   */
  private salePrice(tick: number, { high, low }: Terms): Real {
    const { risk } = this.parameters;
    const ltv = this.grid.ratio(tick).over(high).rounded(WEI);
    const least = bps(risk.bonusMin);
    const shortfall = ltv.minus(bps(risk.liquidationThreshold)).orZero();
    const wanted = least.plus(shortfall.times(bps(risk.slope)).rounded(WEI)).least(bps(risk.bonusMax));
    const gap = high.times(Real.one.plus(least)).over(low).minus(Real.one).rounded(WEI);
    const cap = high.over(this.grid.ratio(tick)).minus(Real.one).times(Real.ratio(9n, 10n)).rounded(WEI);
    const bonus = wanted.greatest(gap).least(cap.greatest(least));
    if (bonus.compare(cap) === 0) this.reach("bonus at the equity cap");
    else if (bonus.compare(gap) === 0 && gap.compare(wanted) > 0) this.reach("bonus by the gap");
    else if (bonus.compare(bps(risk.bonusMax)) === 0) this.reach("bonus at its maximum");
    else if (bonus.compare(least) === 0) this.reach("bonus at its minimum");
    const w = high.over(Real.one.plus(bonus));
    return w.rounded(w.times(PRICE_STEP)).rounded(Real.ratio(1n, Q128));
  }

  /** g(R) = w/R − 1. */
  private gain(w: Real, tick: number): Real {
    const g = w.over(this.grid.ratio(tick)).minus(Real.one);
    return g.rounded(Real.ratio(1n, Q128)).rounded(g.plus(Real.one).times(PRICE_STEP)).orZero();
  }

  /** What is left of a tick's debt if it moves, and the collateral units that this sells. */
  private move(from: number, to: number, w: Real): { debt: Real; left: Real; sold: Real; dust: Real } {
    const debt = this.tickDebt(from);
    const [ratioFrom, ratioTo] = [this.grid.ratio(from), this.grid.ratio(to)];
    const left = debt.times(this.gain(w, from)).over(this.gain(w, to)).rounded();
    const sold = debt.over(ratioFrom).rounded().minus(left.over(ratioTo).rounded()).orZero();
    if (sold.compare(Real.of(2n)) > 0) return { debt, left, sold, dust: Real.zero };
    // Less than the roundings can tell apart: an implementation may sell nothing and lower the debt to the collateral.
    const dust = ratioTo.plus(ratioTo).plus(Real.one);
    return { debt, left: left.rounded(dust), sold: sold.rounded(Real.of(2n)), dust };
  }

  /** Where the budget brings a tick: the target, or the lowest tick above it that the budget pays for. */
  private landing(from: number, w: Real, terms: Terms, budget: Real): { to: number; cost: Real } {
    for (let to = terms.target; to < from; to++) {
      const { debt, left } = this.move(from, to, w);
      const cost = debt.minus(left);
      if (this.compare(cost, budget, `landing of tick ${from} at ${to}`) <= 0) return { to, cost };
    }
    return { to: from, cost: Real.zero };
  }

  /** Moves the accounts of a tick, one of `sweep`; returns the collateral units that are sold. */
  private sell(from: number, to: number, w: Real, sweep: number): Real {
    const { sold, dust, left } = this.move(from, to, w);
    this.reach("tick sold");
    if (!dust.isZero()) this.reach("dust");
    if (left.isZero()) this.reach("sold to nothing");
    if (this.membersAt(to).size !== 0) this.reach("merge into a populated tick");
    const factor = this.gain(w, from).over(this.gain(w, to));
    // At most one link for each node of the sweep, one into the target's, one rebase.
    const links = Real.of(BigInt(sweep) + 2n);
    const residue = this.residueAt(from).times(factor).within(Real.one.plus(dust));
    // Whoever is there already may become the child of a merge.
    for (const name of this.membersAt(to)) {
      const account = this.account(name);
      this.put(name, { ...account, debt: account.debt.rounded() });
    }
    for (const name of this.membersAt(from)) {
      const account = this.account(name);
      const debt = account.debt
        .times(factor)
        .rounded(account.debt.times(this.indexStep))
        .rounded(links)
        .rounded(dust);
      this.put(name, { ...account, tick: to, debt });
    }
    this.residue.delete(from);
    this.addResidue(to, residue);
    return sold;
  }

  /** The tick's debt and collateral go to the pot; its accounts keep their surplus. */
  private seize(tick: number): { debt: Real; collateral: Real } {
    const bookDebt = this.tickDebt(tick);
    const debt = bookDebt.times(this.borrowIndex).rounded();
    const collateral = bookDebt.over(this.grid.ratio(tick)).rounded();
    this.reach("tick seized");
    const old = this.now - this.seizedAt > POT_DISCOUNT_PERIOD / 4n;
    if (old && collateral.times(Real.of(1000n)).compare(this.potCollateral) < 0) {
      this.reach("dust joins an old pot");
    }
    for (const name of this.membersAt(tick)) {
      this.put(name, { tick: undefined, debt: Real.zero, surplus: this.account(name).surplus });
    }
    this.residue.delete(tick);
    this.potDebt = this.potDebt.plus(debt);
    this.potCollateral = this.potCollateral.plus(collateral);
    return { debt, collateral };
  }

  /** The mean time of seizure, weighted by collateral, when a pot of `before` grows to `after`; the earlier second. */
  private seizedAtWith(before: Real, after: Real): bigint {
    if (after.minus(before).isZero()) return this.seizedAt;
    const elapsed = min(this.now - this.seizedAt, POT_DISCOUNT_PERIOD);
    return this.now - Real.of(elapsed).times(before).over(after).ceil();
  }

  /** Sells as much of the pot as `budget` buys; books the loss: insurance, reserves, lenders. */
  private sellPot(price: bigint, budget: Real, result: Liquidation): { paid: Real; collateral: Real } {
    const at = this.potPrice(this.potDebt, this.potCollateral, price, this.seizedAt);
    const budgetUnits = this.toDebtUnits(budget);
    let bought = this.potCollateral;
    let cost = bought.times(at).rounded();
    let debtSold = this.potDebt;
    if (this.compare(cost, budgetUnits, "pot") > 0) {
      this.reach("pot sold in part");
      bought = budgetUnits.over(at).rounded();
      cost = bought.times(at).rounded();
      debtSold = this.potDebt.times(bought).over(this.potCollateral).rounded();
      this.potDebt = this.potDebt.minus(debtSold).orZero();
      this.potCollateral = this.potCollateral.minus(bought).orZero();
    } else {
      this.reach("pot sold whole");
      this.potDebt = Real.zero;
      this.potCollateral = Real.zero;
    }
    const paid = this.toDebtTokens(cost).rounded();
    const owed = this.toDebtTokens(debtSold).rounded();
    result.potDebtSold = debtSold;
    result.badDebt = owed.minus(paid).orZero();
    result.insurancePaid = result.badDebt.least(this.insurance);
    this.insurance = this.insurance.minus(result.insurancePaid);
    const rest = result.badDebt.minus(result.insurancePaid);
    result.reservesPaid = rest.least(this.reserves);
    result.lendersLoss = rest.minus(result.reservesPaid);
    this.reserves = this.reserves.minus(result.reservesPaid).plus(paid.minus(owed).orZero());
    if (!result.insurancePaid.isZero()) this.reach("loss paid by insurance");
    if (!result.reservesPaid.isZero()) this.reach("loss paid by reserves");
    if (!result.lendersLoss.isZero()) this.reach("loss paid by lenders");
    if (paid.compare(owed) > 0) this.reach("pot sold above its debt");
    return { paid, collateral: bought };
  }

  /** Debt units per collateral unit: the pot's own debt, but at a discount that grows from bonusMin to bonusMax. */
  private potPrice(debt: Real, collateral: Real, price: bigint, seizedAt: bigint): Real {
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

  // ------------------------------------------------------------------ ticks

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

  private debtsAt(tick: number): Real {
    let total = Real.zero;
    for (const name of this.membersAt(tick)) total = total.plus(this.account(name).debt);
    return total;
  }

  /** The account's debt: the only one of a tick has what earlier ones left behind, too. */
  debtOf({ tick, debt }: Account): Real {
    if (tick === undefined) return Real.zero;
    return this.membersAt(tick).size === 1 ? debt.plus(this.residueAt(tick)) : debt;
  }

  private membersAt(tick: number): ReadonlySet<string> {
    return new Set(this.ticks.get(tick));
  }

  private residueAt(tick: number): Real {
    return this.residue.get(tick) ?? Real.zero;
  }

  private addResidue(tick: number, residue: Real): void {
    this.residue.set(tick, this.residueAt(tick).plus(residue));
  }

  // ------------------------------------------------------------------ units

  /** Q128.128 whole-token price → book debt per collateral unit. */
  private bookPrice(price: bigint, index: Real): Real {
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

  private reach(branch: string): void {
    this.reached.set(branch, (this.reached.get(branch) ?? 0) + 1);
  }

  /** Whole units that a known number of tokens becomes, and that it costs to take it out. */
  private collateralIn(tokens: bigint): Real {
    return Real.of(Real.of(tokens).times(this.collateralUnitsPerToken).floor());
  }

  private collateralOut(tokens: bigint): Real {
    return Real.of(Real.of(tokens).times(this.collateralUnitsPerToken).ceil());
  }

  private compare(a: Real, b: Real, what: string): number {
    if (a.isNear(b)) this.ambiguous.push(what);
    return a.compare(b);
  }
}

function powerOfTen(exponent: number): Real {
  return exponent >= 0 ? Real.of(10n ** BigInt(exponent)) : Real.ratio(1n, 10n ** BigInt(-exponent));
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
