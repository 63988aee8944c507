/** What lenders own in the reference model, and when they have to wait. */
import { Borrowers } from "./borrowers.ts";
import { Real } from "./real.ts";
import { type Price, type Entry, Refusal } from "./types.ts";

const MAX_SEIZURES = 64;

export class Lenders extends Borrowers {
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

  protected sharesFor(assets: Real, total: Real): Real {
    return assets.times(this.totalShares.plus(Real.one)).over(total.plus(Real.one));
  }

  protected assetsFor(shares: Real, total: Real): Real {
    return shares.times(total.plus(Real.one)).over(this.totalShares.plus(Real.one));
  }

  protected lend(entry: Entry, lender: string, assets: Real, shares: Real): void {
    if (this.compare(assets, Real.one, "assets") < 0 || this.compare(shares, Real.one, "shares") < 0) {
      throw new Refusal("ZeroAmount");
    }
    this.enterNow(entry);
    this.cash = this.cash.plus(assets);
    this.totalShares = this.totalShares.plus(shares);
    this.shares.set(lender, this.sharesOf(lender).plus(shares));
  }

  protected leave(entry: Entry, lender: string, assets: Real, shares: Real): void {
    if (this.compare(assets, Real.one, "assets") < 0) throw new Refusal("ZeroAmount");
    // The last lender takes the cash whole: what is near is not too much.
    if (this.compare(assets, this.cash, "cash") > 0 && !assets.isNear(this.cash)) {
      throw new Refusal("InsufficientCash");
    }
    const balance = this.sharesOf(lender);
    if (shares !== balance && this.compare(shares, balance, "shares") > 0) {
      throw new Refusal("ERC20InsufficientBalance");
    }
    this.enterNow(entry);
    this.cash = this.cash.minus(assets);
    this.totalShares = this.totalShares.minus(shares);
    this.shares.set(lender, balance.minus(shares));
  }

  /** What a lender finds: the assets at the price that is worse for who comes or goes. */
  protected enter(price: Price, side: "low" | "high"): Entry {
    if (side === "high" && this.windingDown) throw new Refusal("WindingDown");
    const { total, waits, more, insolvent } = this.assess(price, side);
    if (more) throw new Refusal("SeizeFirst");
    if (waits) throw new Refusal("LendersWait");
    if (insolvent.length !== 0)
      this.checkGrid(this.termsOf(this.seizable(price)!, this.accrued().borrowIndex));
    return { total, insolvent };
  }

  /** Charges interest and seizes what is insolvent, before a lender comes or goes. */
  protected enterNow({ insolvent }: Entry): void {
    this.accrue();
    const before = this.potCollateral;
    if (insolvent.length !== 0) this.reach("seizure by a lender");
    for (const tick of insolvent) this.seize(tick);
    this.dateSeizure(before);
  }

  /** What lenders own if every tick that is insolvent at `high` were seized now, and whether they have to wait. */
  protected assess(price: Price, side: "low" | "high") {
    const { borrowIndex, reserves } = this.accrued();
    const owed = !this.totalBookDebt().isZero();
    const pot = !this.potDebt.isZero();
    const seizable = this.seizable(price);
    const able = seizable !== undefined;
    const priced = price.state === "Fresh" && this.level !== "LiquidationsPaused";
    let waits = false;
    let insolvent: number[] = [];
    let more = false;
    if ((owed || pot) && price.state === "Dead") {
      waits = true;
    } else if (owed || pot) {
      const high = this.bookPrice((seizable ?? price).high, borrowIndex);
      const low = this.bookPrice(price.low, borrowIndex);
      const ticks = this.populatedTicks();
      insolvent = ticks.filter((tick) => this.isInsolvent(tick, high));
      more = able && insolvent.length > MAX_SEIZURES;
      const next = ticks[insolvent.length];
      const atLowOnly = insolvent.length <= MAX_SEIZURES && next !== undefined && this.isInsolvent(next, low);
      waits =
        insolvent.length > MAX_SEIZURES || atLowOnly || (insolvent.length !== 0 && !able) || (pot && !priced);
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
}
