import { expect } from "chai";

import { type Parameters, type Price, Model, Refusal } from "./model.ts";
import { Real } from "./real.ts";

const PARAMETERS: Parameters = {
  collateralDecimals: 18,
  debtDecimals: 6,
  collateralUnitDecimals: 18,
  spacing: 25,
  risk: {
    maxLtv: 8200n,
    liquidationThreshold: 8600n,
    target: 8300n,
    bonusMin: 150n,
    bonusMax: 800n,
    slope: 5000n,
  },
  caps: { debt: 2n ** 79n, collateral: 2n ** 79n, minDebt: 10_000_000n },
  reserveFactor: 10n,
};
const ETHER = 10n ** 18n;
const DOLLAR = 10n ** 6n;

const fresh = (dollars: bigint): Price => ({ low: dollars << 128n, high: dollars << 128n, state: "Fresh" });

/** Ten accounts of 1 ether, from 1,600 to 2,400 dollars of debt at a price of 3,000. */
function crowd(): Model {
  const model = new Model(PARAMETERS, 0n);
  model.deposit("lender", 1_000_000n * DOLLAR, fresh(3_000n));
  for (let i = 0n; i < 10n; i++)
    model.open(`account ${i}`, ETHER, (1_600n + i * 85n) * DOLLAR, fresh(3_000n));
  return model;
}

const near = (a: Real, b: Real) =>
  a
    .minus(b)
    .exact()
    .compare(Real.ratio(1n, 10n ** 60n)) < 0;
const same = (a: Real, b: Real) => near(a, b) && near(b, a);

describe("the reference model", () => {
  it("knows e", () => {
    expect(Real.one.exp().toString(40)).to.match(/^2\.7182818284590452353602874713526624977572 /);
    expect(Real.zero.minus(Real.one).exp().toString(40)).to.match(
      /^0\.3678794411714423215955237701614608674458 /,
    );
  });

  it("carries bounds through arithmetic", () => {
    const ten = Real.of(10n).rounded();
    expect(ten.admits(9n) && ten.admits(11n)).to.equal(true);
    expect(ten.admits(12n)).to.equal(false);
    expect(ten.times(ten).admits(121n)).to.equal(true);
    expect(ten.times(ten).admits(122n)).to.equal(false);
    expect(Real.of(90n).over(ten).admits(10n)).to.equal(true);
    expect(Real.of(5n).least(ten).tolerance()).to.equal(0n);
  });

  it("charges the rate at target at the target: 4 % a year", () => {
    const model = new Model(PARAMETERS, 0n);
    model.deposit("lender", 10_000n * DOLLAR, fresh(3_000n));
    model.open("borrower", 10n * ETHER, 9_000n * DOLLAR, fresh(3_000n));
    model.accrue(86_400n);
    expect(model.borrowIndex.toString(9)).to.match(/^1\.000109595 /); // e^(0.04 / 365)
  });

  it("keeps collateral × w − debt of a tick it sells", () => {
    const model = crowd();
    const price = fresh(2_700n);
    const [tick] = model.liquidatableTicks(price);
    const debt = model.tickDebt(tick!);
    const collateral = debt.over(model.grid.ratio(tick!));
    const { repaid, seized, moves } = model.liquidate({ price, maxRepay: 10n ** 12n, maxTicks: 1 });
    expect(moves).to.have.length(1);
    // The bonus: 1.5 % and half of what the tick is beyond 86 %.
    const ltv = model.grid.ratio(tick!).over(Real.of(2_700n));
    const bonus = Real.ratio(15n, 1000n).plus(ltv.minus(Real.ratio(86n, 100n)).over(Real.of(2n)));
    const w = Real.of(2_700n).over(Real.one.plus(bonus));
    const left = model.tickDebt(moves[0]!.to!);
    expect(
      same(debt.minus(left), collateral.minus(left.over(model.grid.ratio(moves[0]!.to!))).times(w)),
    ).to.equal(true);
    expect(same(model.toDebtUnits(repaid), model.toCollateralUnits(seized).times(w))).to.equal(true);
  });

  it("ends in the same state however whole ticks are split (I10)", () => {
    const [once, split] = [crowd(), crowd()];
    const price = fresh(2_500n);
    const { moves } = once.liquidate({ price, maxRepay: 10n ** 12n });
    expect(moves.length).to.be.greaterThan(2);
    for (let i = 0; i < moves.length; i++) split.liquidate({ price, maxRepay: 10n ** 12n, maxTicks: 1 });
    for (const [name, account] of once.accounts) {
      expect(split.account(name).tick).to.equal(account.tick);
      expect(same(split.account(name).debt, account.debt)).to.equal(true);
    }
    expect(() => split.liquidate({ price, maxRepay: 10n ** 12n })).to.throw(Refusal, "NothingToLiquidate");
  });

  it("lets through a cap, a step that counts whole, and what refills (W6)", () => {
    const model = crowd();
    const request = { price: fresh(2_500n), maxRepay: 10n ** 12n };
    const sell = () => model.liquidate(request).repaid.ceil();
    model.setCascade(900n * DOLLAR, 3_600n);
    const capped = sell();
    expect(capped <= 900n * DOLLAR).to.equal(true);
    const step = sell();
    expect(capped + step > 900n * DOLLAR).to.equal(true);
    expect(sell).to.throw(Refusal, "CascadeCapReached");
    // Until there is room again the step that was too much has to refill too.
    const full = ((capped + step) * 3_600n) / (900n * DOLLAR) - 3_600n;
    model.advance(full);
    expect(sell).to.throw(Refusal, "CascadeCapReached");
    model.advance(full + 2n);
    expect(sell() > 0n).to.equal(true);
  });

  it("books a loss on insurance first, then on reserves, then on the lenders", () => {
    const model = crowd();
    model.insure(100n * DOLLAR);
    const price = fresh(1_500n);
    const marked = model.totalAssets(price);
    const { potDebt } = model.liquidate({ price, maxRepay: 0n, seizeOnly: true });
    expect(potDebt.isZero()).to.equal(false);
    expect(same(model.totalAssets(price), marked)).to.equal(true);
    const { insurancePaid, lendersLoss, badDebt } = model.liquidate({
      price,
      maxRepay: 10n ** 12n,
      buyPot: true,
    });
    expect(insurancePaid.floor()).to.equal(100n * DOLLAR);
    expect(same(lendersLoss.plus(insurancePaid), badDebt)).to.equal(true);
    expect(same(model.totalAssets(price), marked)).to.equal(true);
  });
});
