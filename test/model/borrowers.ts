/** What borrowers, and strangers for them, do with positions in the reference model. */
import { bps, Market, MICRO } from "./market.ts";
import { Real } from "./real.ts";
import { type Price, type Account, type AdjustRequest, type Moved, Refusal } from "./types.ts";

/** Half of what a surplus can be: then a repayment always finds room for what it frees. */
const MAX_COLLATERAL = Real.of(1n << 95n);

export class Borrowers extends Market {
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
    if (collateral === "all") {
      margin = Real.zero;
    } else if (collateral > 0n) {
      const held = acts ? margin : margin.plus(before.surplus);
      if (this.compare(held, MAX_COLLATERAL, "TooMuchCollateral") > 0) throw new Refusal("TooMuchCollateral");
    }

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
    const inUse = empty.tick !== undefined || empty.seized === true;
    if (inUse || this.compare(empty.surplus, Real.zero, "empty") !== 0) {
      throw new Refusal("PositionNotEmpty");
    }
    this.put(from, empty);
    this.put(to, moved);
  }

  /** What does not fit its place in the book is refused. */
  protected checkWidth(amount: Real, width: bigint): void {
    if (this.compare(amount, Real.of(1n << width), `${width} bits`) >= 0) {
      throw new Refusal("SafeCastOverflowedUintDowncast");
    }
  }

  /** The smallest tick that `debt` over `margin` may take, at most `ceiling`. */
  protected tickFor(debt: Real, margin: Real, ceiling: number | undefined): number {
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

  protected checkNewRisk(
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
    const maxLtv = (risk.maxLtv * (10_000n - (price.maxLtvCut ?? 0n))) / 10_000n;
    const limit = this.bookPrice(price.low, index).times(bps(maxLtv));
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

  protected replace(name: string, before: Account, after: Account): void {
    if (before.tick !== undefined) {
      // The last one takes the whole residue; others leave what rounding kept from them.
      if (this.membersAt(before.tick).size === 1) this.residue.delete(before.tick);
      else this.addResidue(before.tick, Real.zero.within(before.debt.bound()));
    }
    this.put(name, after);
  }
}
