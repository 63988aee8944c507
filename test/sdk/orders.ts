import { expect } from "chai";

import {
  BORROW_INDEX_ONE,
  BPS,
  KIND,
  type MarketState,
  type OrderKind,
  OrderRefused,
  type OrderTerms,
  Q128,
  WAD,
  collateralTokensOf,
  figuresOf,
  ltvAtHigh,
  positionAfter,
  positionOf,
  quoteOrder,
  sells,
  stateAtTrigger,
  tipOf,
  triggerOf,
  unitsOf,
} from "@breakwater/sdk/core";

import { random } from "../../scripts/drill/book.ts";

// The contract's parity is in test/periphery/ProtectionOrders.ts; here the same arithmetic for every kind of token.
describe("SDK orders", () => {
  const KINDS = Object.keys(KIND) as OrderKind[];

  it("K1 leaves at most the target and hardly less, whatever the tokens' decimals, prices and sizes", () => {
    const next = random(20_261_121);
    const between = (from: number, to: number) => from + (to - from) * next();
    const refused: Record<string, number> = {};
    let executed = 0;
    for (let round = 0; round < 5_000; round++) {
      const [collateralDecimals, debtDecimals] = [
        ...[[18, 6] as const, [6, 18] as const, [8, 6] as const, [18, 18] as const],
        ...[[6, 6] as const, [24, 18] as const, [18, 24] as const],
      ][round % 7]!;
      const units = unitsOf(25, collateralDecimals, debtDecimals);
      const low = (BigInt(Math.round(10 ** between(6, 16))) * Q128) / 10n ** 11n;
      const m: MarketState = {
        units,
        borrowIndex: (BORROW_INDEX_ONE * BigInt(Math.round(between(1e6, 3e6)))) / 1_000_000n,
        priceLow: low,
        priceHigh: low + (low * BigInt(Math.round(between(0, 300)))) / BPS,
        liquidationThreshold: 8_600n,
      };
      // A collateral worth 10 to 10^7 whole debt tokens.
      const worth = BigInt(Math.round(10 ** between(4, 10))) * 10n ** 15n;
      const collateral = (worth * Q128) / low;
      const owed = (worth * BigInt(Math.round(between(300, 980)))) / 1_000n;
      const p = positionOf((owed * BORROW_INDEX_ONE) / m.borrowIndex, collateral, units.spacing);
      const before = ltvAtHigh(p, m);
      const kind = KINDS[round % 5]!;
      const levels = {
        Deleverage: before,
        TopUp: before,
        Repay: before,
        StopLoss: m.priceHigh,
        TakeProfit: low,
      };
      const tip = 10n ** BigInt(kind === "TopUp" ? collateralDecimals : debtDecimals) / 100n;
      const order: OrderTerms = {
        ...{ kind, level: levels[kind], keepCollateral: false, tipMin: tip, tipMax: 3n * tip },
        target: (before * BigInt(Math.round(between(400, 990)))) / 1_000n / 10n ** 14n,
        slippage: BigInt(Math.floor(between(0, 1_000))),
      };
      try {
        const quote = quoteOrder(order, p, m);
        const after = positionAfter(p, quote.collateral, quote.debt, m);
        const ltv = ltvAtHigh(after, m);
        expect(
          ltv * BPS <= order.target * WAD && after.tick < p.tick,
          JSON.stringify({ round, kind }),
        ).to.equal(true);
        // Two steps of 0.25 %, unless a unit of the token is coarser than that.
        const isFine = collateralTokensOf(p, m) > 100_000n;
        expect(
          !isFine || ltv * BPS * 1_006n > order.target * WAD * 1_000n,
          JSON.stringify({ round, kind }),
        ).to.equal(true);
        expect(quote.tip).to.be.within(tip, 3n * tip);
        if (sells(kind)) expect(quote.limit + quote.debt).to.equal(quote.tip);
        executed++;
      } catch (error) {
        if (!(error instanceof OrderRefused)) throw error;
        refused[error.reason] = (refused[error.reason] ?? 0) + 1;
      }
    }
    expect(executed).to.be.greaterThan(3_500);
    expect(refused["TargetUnreachable"]).to.be.greaterThan(0);
  });

  const m: MarketState = {
    units: unitsOf(25, 18, 6),
    borrowIndex: BORROW_INDEX_ONE,
    priceLow: 2_000n * Q128,
    priceHigh: 2_000n * Q128,
    liquidationThreshold: 8_600n,
  };
  const p = positionOf(40_000n * WAD, 30n * WAD, 25); // LTV 66.8 %
  const order: OrderTerms = {
    ...{ kind: "Deleverage", target: 6_000n, slippage: 100n, keepCollateral: false },
    ...{ level: (74n * WAD) / 100n, tipMin: 1_000_000n, tipMax: 13_000_000n },
  };

  it("finds the price at which an order would just be triggered", () => {
    for (const each of [
      order,
      { ...order, kind: "StopLoss", level: 1_800n * Q128 },
      { ...order, kind: "TakeProfit", level: 2_200n * Q128 },
    ] as OrderTerms[]) {
      expect(triggerOf(each, p, m).triggered).to.equal(false);
      const state = stateAtTrigger(each, p, m);
      expect(triggerOf(each, p, state).triggered).to.equal(true);
      const away = each.kind === "TakeProfit" ? -1n : 1n;
      const step = (state.priceHigh / 10n ** 9n) * away;
      const near = { ...state, priceLow: state.priceLow + step, priceHigh: state.priceHigh + step };
      expect(triggerOf(each, p, near).triggered).to.equal(false);
      expect(tipOf(each, triggerOf(each, p, state).current, state)).to.equal(each.tipMin);
    }
    // 12 points of LTV up to the threshold, one dollar each.
    expect(tipOf(order, (80n * WAD) / 100n, m)).to.equal(7_000_000n);
    expect(tipOf(order, (99n * WAD) / 100n, m)).to.equal(13_000_000n);
  });

  it("closes into either token, and says why an order does nothing", () => {
    const stop: OrderTerms = { ...order, kind: "StopLoss", target: 0n, level: 2_000n * Q128 };
    const held = collateralTokensOf(p, m);
    const all = quoteOrder(stop, p, m);
    expect(all).to.include({ exactOut: false, amount: held, collateral: -held, tip: 1_000_000n });
    expect(all.limit).to.be.within((held * 1_980n) / 10n ** 12n, (held * 1_980n) / 10n ** 12n + 1n);
    expect(all.least).to.equal(all.limit - figuresOf(p, m).debt);
    const keeps = quoteOrder({ ...stop, keepCollateral: true }, p, m);
    expect(keeps).to.include({ exactOut: true, amount: figuresOf(p, m).debt, collateral: -held });
    expect(keeps.limit).to.be.within((20_200n * WAD) / 1_000n, (20_203n * WAD) / 1_000n);
    const reasonOf = (of: OrderTerms, position = p, state = m) => {
      try {
        quoteOrder(of, position, state);
      } catch (error) {
        return (error as OrderRefused).reason;
      }
      return undefined;
    };
    expect(reasonOf(order)).to.equal("NotTriggered");
    expect(reasonOf(stop, { tick: 0, debt: 0n, surplus: WAD })).to.equal("NoDebt");
    expect(reasonOf({ ...stop, target: 7_000n })).to.equal("WouldMakeWorse");
    const fallen = { ...m, priceLow: 1_335n * Q128, priceHigh: 1_335n * Q128 };
    expect(reasonOf({ ...stop, target: 6_000n }, p, fallen)).to.equal("TargetUnreachable");
  });
});
