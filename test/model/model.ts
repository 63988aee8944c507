/**
 * The reference model of one market: every account by itself, in exact numbers, written from the design. No nodes, no
 * shares of nodes, no links: an account has a tick, a debt and a surplus, and a liquidation multiplies the debt of each
 * account of a swept tick by g(R_k) / g(R_j). It imports nothing of the contracts and nothing of the SDK.
 *
 * Every number carries the bound of what a rounding implementation may be away from it (see real.ts; docs/rounding.md
 * derives each `rounded`). Where a decision depends on two numbers that are closer than their bounds, the model notes
 * it in `ambiguous`: from then on an implementation may have taken another way.
 */
import { Lenders } from "./lenders.ts";
import { bps, MICRO, Q128 } from "./market.ts";
import { Real } from "./real.ts";
import {
  type Account,
  type Price,
  type LiquidateRequest,
  type Liquidation,
  type Settlement,
  type Terms,
  Refusal,
} from "./types.ts";

export * from "./types.ts";

const WEI = Real.ratio(1n, 10n ** 18n);
/** A collateral conversion inside a sale works on the upper 127 bits of a price. */
const PRICE_STEP = Real.ratio(1n, 1n << 125n);

export class Model extends Lenders {
  /** Sells what is liquidatable, seizes what is insolvent, sells the pot. */
  liquidate(request: LiquidateRequest): Liquidation {
    const { maxRepay, maxTicks = 0, buyPot = false, seizeOnly = false } = request;
    if (this.level === "LiquidationsPaused") throw new Refusal("LiquidationsPaused");
    if (request.price.state === "Dead") throw new Refusal("PriceDead");
    const { borrowIndex } = this.accrued();
    const fresh = request.price.state === "Fresh";
    const grace = this.level === "Grace";
    // With the cascade brake on, the riskiest first.
    const { cascade, cascadeSpent: spent } = this;
    const fromTick = cascade === undefined ? (request.fromTick ?? this.grid.top) : this.grid.top;
    const seizable = this.seizable(request.price);
    const price = seizable ?? request.price;
    const terms = this.termsOf(price, borrowIndex);
    this.checkGrid(terms);

    // Decide, then act: nothing has changed if there is nothing to do.
    const ticks = this.populatedTicks().filter((tick) => tick <= fromTick && tick >= terms.trigger);
    const plan: { from: number; to: number | undefined; w: Real }[] = [];
    // Whoever pays sets one bound, the cascade brake another.
    let own = this.toDebtUnits(Real.of(maxRepay)).over(borrowIndex).rounded();
    let room = cascade && this.cascadeRoom(cascade).times(MICRO).over(borrowIndex).rounded();
    let repaid = Real.zero;
    for (const from of ticks) {
      if (maxTicks !== 0 && plan.length === maxTicks) break;
      if (this.isInsolvent(from, terms.high)) {
        if (seizable !== undefined) plan.push({ from, to: undefined, w: Real.zero });
        else this.reach("insolvent tick skipped");
        continue;
      }
      if (seizeOnly || grace || spent) break;
      const w = this.salePrice(from, terms);
      let { to, cost } = this.landing(from, w, terms, room === undefined ? own : own.least(room));
      const last = to !== terms.target;
      if (last && room !== undefined && room.compare(own) < 0) {
        const { debt, left } = this.move(from, from - 1, w);
        if (to !== from) this.reach("cascade cap reached");
        // Too little room for a step: one is sold all the same, if the caller pays for it.
        else if (this.compare(debt.minus(left), own, "step beyond the cap") <= 0) {
          [to, cost] = [from - 1, debt.minus(left)];
          this.reach("one step that counts whole");
        }
      }
      if (to === from) {
        this.reach("budget too small for a step");
        break;
      }
      if (to !== terms.target) this.reach("partial landing");
      plan.push({ from, to, w });
      [own, room, repaid] = [own.minus(cost), room?.minus(cost), repaid.plus(cost)];
      if (last) break;
    }
    const sellsPot =
      buyPot &&
      fresh &&
      !grace &&
      (!this.potDebt.isZero() || plan.some(({ to }) => to === undefined)) &&
      maxRepay !== 0n;
    if (plan.length === 0 && !(sellsPot && this.buysOfPot(price.low, maxRepay))) {
      const capped = spent && !seizeOnly;
      throw new Refusal(grace ? "LiquidationsPaused" : capped ? "CascadeCapReached" : "NothingToLiquidate");
    }
    if (grace) this.reach("seizure in a grace period");
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
      high: price.high,
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
    this.dateSeizure(potBefore);
    const sales = repaid.times(borrowIndex).rounded();
    if (cascade !== undefined) {
      cascade.room = this.cascadeRoom(cascade).minus(sales.over(MICRO).rounded());
      cascade.at = this.now;
    }
    result.repaid = this.toDebtTokens(sales).rounded();
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

  /** Whether as much is offered for the pot as a unit of its collateral costs, or all of it. */
  private buysOfPot(price: bigint, offer: bigint): boolean {
    const at = this.potPrice(this.potDebt, this.potCollateral, price, this.seizedAt);
    const budget = this.toDebtUnits(Real.of(offer));
    if (this.potCollateral.times(at).compare(budget) <= 0) return true;
    return this.compare(budget.over(at).rounded(), Real.one, "buys nothing of the pot") >= 0;
  }

  /** After a wind-down: sells what is left of one account, at most for `maxRepay`; the rest becomes surplus. */
  settle(name: string, maxRepay: bigint, price: Price): Settlement {
    const { ramp } = this;
    if (!this.windingDown || ramp!.ran < ramp!.duration) throw new Refusal("NotWoundDown");
    if (this.level === "Grace" || this.level === "LiquidationsPaused")
      throw new Refusal("LiquidationsPaused");
    if (price.state === "Dead") throw new Refusal("PriceDead");
    const before = this.account(name);
    const { tick } = before;
    if (tick === undefined) throw new Refusal("NothingToSettle");
    const { borrowIndex } = this.accrued();
    const low = price.state === "Diverged" ? price.high : price.low;
    const terms = this.termsOf({ ...price, low }, borrowIndex);
    if (terms.target < this.grid.bottom) throw new Refusal("TickOutOfGrid");
    if (this.isInsolvent(tick, terms.high)) throw new Refusal("NothingToSettle");
    const debt = this.debtOf(before);
    const budget = this.toDebtUnits(Real.of(maxRepay)).over(borrowIndex).rounded();
    if (this.compare(budget, Real.one, "ZeroAmount") < 0) throw new Refusal("ZeroAmount");
    const closes = this.compare(budget, debt, "settles whole") >= 0;
    const paid = closes ? debt : budget;
    const ratio = this.grid.ratio(tick);
    const sold = paid.over(this.salePrice(tick, terms)).least(paid.over(ratio)).rounded();
    const margin = debt.over(ratio).rounded().minus(sold).orZero();

    const after: Account = { tick: undefined, debt: Real.zero, surplus: before.surplus };
    if (closes) {
      this.reach("settled whole");
      after.surplus = before.surplus.plus(margin);
    } else {
      this.reach("settled in part");
      after.debt = debt.minus(paid).rounded();
      if (sold.isNear(Real.one)) this.ambiguous.push("sells nothing");
      after.tick = this.tickFor(after.debt, margin, sold.floor() < 1n ? tick : undefined);
      const rest = margin.minus(after.debt.over(this.grid.ratio(after.tick)).rounded()).orZero();
      after.surplus = before.surplus.plus(rest);
    }
    this.accrue();
    this.replace(name, before, after);
    const repaid = this.toDebtTokens(paid.times(borrowIndex).rounded()).rounded();
    const seized = this.toCollateralTokens(sold).rounded();
    this.cash = this.cash.plus(repaid);
    this.collateralHeld = this.collateralHeld.minus(seized);
    return { repaid, seized };
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

  /**
   * w = high / (1 + b). The bonus grows with the shortfall from bonusMin to bonusMax, and with the gap of the sources so
   * that low / (1 + bonusMin) is not exceeded (in a ramp at most to bonusMax); above bonusMin it is at most nine tenths of the
   * equity.
   */
  protected salePrice(tick: number, { high, low }: Terms): Real {
    const { risk } = this.parameters;
    const ltv = this.grid.ratio(tick).over(high).rounded(WEI);
    const least = bps(risk.bonusMin);
    const shortfall = ltv.minus(bps(this.thresholds().liquidationThreshold)).orZero();
    const wanted = least.plus(shortfall.times(bps(risk.slope)).rounded(WEI)).least(bps(risk.bonusMax));
    const gapOf = high.times(Real.one.plus(least)).over(low).minus(Real.one).rounded(WEI);
    const gap = this.ramp === undefined ? gapOf : gapOf.least(bps(risk.bonusMax));
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
  protected gain(w: Real, tick: number): Real {
    const g = w.over(this.grid.ratio(tick)).minus(Real.one);
    return g.rounded(Real.ratio(1n, Q128)).rounded(g.plus(Real.one).times(PRICE_STEP)).orZero();
  }

  /** What is left of a tick's debt if it moves, and the collateral units that this sells. */
  protected move(from: number, to: number, w: Real): { debt: Real; left: Real; sold: Real; dust: Real } {
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
  protected landing(from: number, w: Real, terms: Terms, budget: Real): { to: number; cost: Real } {
    for (let to = terms.target; to < from; to++) {
      const { debt, left } = this.move(from, to, w);
      const cost = debt.minus(left);
      if (this.compare(cost, budget, `landing of tick ${from} at ${to}`) <= 0) return { to, cost };
    }
    return { to: from, cost: Real.zero };
  }

  /** Moves the accounts of a tick, one of `sweep`; returns the collateral units that are sold. */
  protected sell(from: number, to: number, w: Real, sweep: number): Real {
    const { sold, dust } = this.move(from, to, w);
    this.reach("tick sold");
    if (!dust.isZero()) this.reach("dust");
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

  /** Sells as much of the pot as `budget` buys; books the loss: insurance, reserves, lenders. */
  protected sellPot(price: bigint, budget: Real, result: Liquidation): { paid: Real; collateral: Real } {
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
}
