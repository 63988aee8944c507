import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import type { Result } from "ethers";

import { revertData } from "@breakwater/sdk/chain";

import type { Lens } from "../../types/ethers-contracts/index.js";
import {
  BPS,
  deployFundedMarket,
  deployMarket,
  ETH,
  LEVEL,
  type MarketOptions,
  MAX_INT24,
  MAX_UINT256,
  MIN_INT256,
  orderOf,
  STATE,
  type TestMarket,
  USD,
  USDC,
  WAD,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const Q128 = 1n << 128n;
const BORROW_INDEX_ONE = 1n << 72n;
const VERDICT = {
  Possible: 0n,
  Paused: 1n,
  Grace: 2n,
  Dead: 3n,
  NothingLiquidatable: 4n,
  NotFresh: 5n,
  BudgetTooSmall: 6n,
} as const;

const ceilDiv = (a: bigint, b: bigint) => (a + b - 1n) / b;
const sum = (values: bigint[]) => values.reduce((total, value) => total + value, 0n);
/** Calls see the block that would be mined next, as a transaction does. */
const PENDING = { blockTag: "pending" } as const;

/** Reproducible: a red run can be repeated. */
function randomFrom(seed: number) {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function deploy(options: MarketOptions) {
  const m = await deployMarket(connection, options);
  const lens: Lens = await ethers.deployContract("Lens");
  return { m, lens };
}

describe("Lens", () => {
  let m: TestMarket;
  let lens: Lens;
  let alice: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;

  /** WETH/USDC at 2,000; ten million to borrow; positions of alice in sub-accounts 0 to 5, of LTV 50 to 80 %. */
  async function fixture() {
    const market = await deployFundedMarket(connection);
    const [, borrower] = market.accounts;
    for (const [sub, debt] of [1_000n, 1_200n, 1_350n, 1_500n, 1_550n, 1_600n].entries()) {
      await market.vault.connect(borrower).adjust(borrower, BigInt(sub), ETH, debt * USDC, borrower, "0x");
    }
    await networkHelpers.time.increase(86_400 / 4);
    return market;
  }

  beforeEach(async () => {
    const market = await networkHelpers.loadFixture(fixture);
    m = market;
    ({ lens } = market);
    [, alice, , keeper] = market.accounts;
  });

  const SUBS = [0n, 1n, 2n, 3n, 4n, 5n];
  const positions = async () =>
    lens.positions.staticCall(
      m.vault,
      SUBS.map(() => alice.address),
      SUBS,
      PENDING,
    );
  const preview = (maxRepay = MAX_UINT256, fromTick = MAX_INT24, maxTicks = 0n, buyPot = true) =>
    lens.liquidation.staticCall(m.vault, maxRepay, fromTick, maxTicks, buyPot, PENDING);
  const order = async (maxRepay = MAX_UINT256, fromTick = MAX_INT24, maxTicks = 0n, buyPot = true) =>
    orderOf(m.vault, keeper, { maxRepay, fromTick, maxTicks, buyPot });
  const liquidate = async (...args: Parameters<typeof order>) =>
    m.liquidator.connect(keeper).liquidate(await order(...args), "0x");

  describe("market", () => {
    it("says what the market was made of", async () => {
      const view = await lens.market(m.vault);
      expect(view.vault).to.equal(await m.vault.getAddress());
      expect(view.collateral).to.equal(await m.collateral.getAddress());
      expect(view.debt).to.equal(await m.debt.getAddress());
      expect([view.collateralDecimals, view.debtDecimals, view.spacing]).to.deep.equal([18n, 6n, 25n]);
      expect(view.oracle).to.equal(await m.oracle.getAddress());
      expect(view.reserveFactor).to.equal(m.parameters.reserveFactor);
      expect([...view.risk]).to.deep.equal(Object.values(m.parameters.risk));
      expect([...view.caps]).to.deep.equal(Object.values(m.parameters.caps));
    });

    it("accrues to now what the market will write now", async () => {
      await networkHelpers.time.setNextBlockTimestamp((await networkHelpers.time.latest()) + 1_000_000);
      const before = await lens.market.staticCall(m.vault, PENDING);
      await m.vault.accrueInterest();
      const ledger = BigInt(await m.vault.readSlot(ethers.zeroPadValue("0x00", 32)));
      const second = BigInt(await m.vault.readSlot(ethers.zeroPadValue("0x01", 32)));
      expect(before.borrowIndex).to.equal(ledger & (2n ** 104n - 1n));
      expect(before.cash).to.equal((ledger >> 104n) & (2n ** 112n - 1n));
      expect(before.rateAtTarget).to.equal(ledger >> 216n);
      expect(before.reserves).to.equal((second >> 104n) & (2n ** 112n - 1n));
      expect(before.borrowIndex).to.be.greaterThan(BORROW_INDEX_ONE);
      expect(before.reserves).to.be.greaterThan(0n);
    });

    it("adds up", async () => {
      const view = await lens.market(m.vault);
      expect(view.cash).to.equal((10_000_000n - 8_200n) * USDC);
      expect(view.totalDebt).to.equal((view.bookDebt * view.borrowIndex) / BORROW_INDEX_ONE / 10n ** 12n);
      expect(view.totalAssets).to.equal(view.cash + view.totalDebt - view.reserves);
      expect(view.totalAssets).to.equal(await m.vault.totalAssets());
      expect(view.sharePrice).to.equal(await m.vault.convertToAssets(USDC));
      expect(view.utilization).to.equal((view.totalDebt * WAD) / (view.totalDebt + view.cash));
      // the curve below the target utilization: a quarter of the rate at target when nothing is lent out
      const distance = ((view.utilization - (9n * WAD) / 10n) * WAD) / ((9n * WAD) / 10n);
      expect(view.borrowRate).to.equal(
        (((((3n * WAD) / 4n) * distance) / WAD + WAD) * view.rateAtTarget) / WAD,
      );
      const lent = view.borrowRate - (view.borrowRate * 10n) / 100n;
      expect(view.lendRate).to.equal((lent * view.utilization) / WAD);
    });

    it("knows the top tick, the trigger and the target", async () => {
      const view = await lens.market(m.vault);
      const ladder = await lens.ticks(m.vault, MAX_INT24, 100n);
      expect(view.populated).to.be.true;
      expect(view.topTick).to.equal(ladder[0]!.tick);
      // 1.0001^(25 ticks) is the step: the trigger is where LTV reaches 86 %, the target where it is at most 83 %
      const ltvOf = (tick: bigint) =>
        Number(ladder[0]!.ltvHigh) * 1.0001 ** (25 * Number(tick - ladder[0]!.tick));
      expect(ltvOf(view.triggerTick)).to.be.at.least(0.86e18);
      expect(ltvOf(view.triggerTick - 1n)).to.be.lessThan(0.86e18);
      expect(ltvOf(view.targetTick)).to.be.at.most(0.83e18);
      expect(ltvOf(view.targetTick + 1n)).to.be.greaterThan(0.83e18);
    });

    it("tells the price's state, and nothing that needs a price once it is dead", async () => {
      const price = await m.oracle.read();
      let view = await lens.market(m.vault);
      expect([...view.price]).to.deep.equal([...price]);
      expect(view.price.state).to.equal(STATE.Fresh);
      await networkHelpers.time.increase(90_000);
      view = await lens.market(m.vault);
      expect(view.price.state).to.equal(STATE.Dead);
      expect([view.triggerTick, view.targetTick]).to.deep.equal([2n ** 23n - 1n, -(2n ** 23n)]);
      const [position] = await positions();
      expect([position!.ltvHigh, position!.health, position!.liquidatable]).to.deep.equal([0n, 0n, false]);
      expect(position!.debt).to.be.greaterThan(0n);
      expect((await lens.ticks(m.vault, MAX_INT24, 9n))[0]!.salePrice).to.equal(0n);
      expect(await lens.liquidatableUnder(m.vault, [9_000n])).to.deep.equal([0n]);
    });

    it("tells the brake's level and its timestamps", async () => {
      await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 1_000n, ethers.ZeroHash);
      const pauses = await m.brake.stateOf(m.vault);
      const view = await lens.market(m.vault);
      expect(view.brakeLevel).to.equal(LEVEL.LiquidationsPaused);
      expect(view.liquidationsPausedUntil).to.equal(pauses.pausedUntil);
      expect(view.graceUntil).to.equal(pauses.graceUntil);
      expect(view.noNewRiskUntil).to.equal(pauses.graceUntil);
    });

    it("prices the pot and knows its insurance", async () => {
      await m.insurance.connect(keeper).deposit(m.vault, 100n * USDC);
      await m.setPrices(1_550n * USD);
      await m.liquidator.seize(m.vault, 0n);
      const view = await lens.market(m.vault);
      expect(view.insurance).to.equal(100n * USDC);
      expect(view.potDebt).to.equal(ceilDiv(await m.vault.potDebt(), 10n ** 12n));
      expect(view.potCollateral).to.be.greaterThan(0n);
      // right after the seizure: the pot's debt, at most the lower price less the smallest bonus
      const own = (view.potDebt * 10n ** 12n * Q128) / view.potCollateral;
      const ceiling = (view.price.low * BPS) / (BPS + 150n);
      const floor = (view.price.low * BPS) / (BPS + 800n);
      expect(view.potPrice).to.be.within(floor, ceiling);
      expect(view.potPrice).to.be.at.most(own > floor ? own : floor);
      expect((await preview(0n)).verdict).to.equal(VERDICT.BudgetTooSmall); // buys nothing of the pot
    });

    it("is empty, not broken, for a market that nobody uses", async () => {
      const fresh = await deploy({});
      const [view, other] = await lens.markets([fresh.m.vault, m.vault]);
      expect(view!.populated).to.be.false;
      expect([view!.totalDebt, view!.utilization, view!.potPrice]).to.deep.equal([0n, 0n, 0n]);
      expect(other!.populated).to.be.true;
      expect(await lens.ticks(fresh.m.vault, MAX_INT24, 10n)).to.deep.equal([]);
      const nothing = await lens.liquidation(fresh.m.vault, MAX_UINT256, MAX_INT24, 0n, true);
      expect(nothing.verdict).to.equal(VERDICT.NothingLiquidatable);
    });
  });

  describe("positions", () => {
    /** What leaves and what comes in when a position is closed, from the market itself. */
    const close = (sub: bigint) =>
      m.vault.connect(alice).adjust.staticCall(alice, sub, MIN_INT256, MIN_INT256, alice, "0x", PENDING);

    it("are worth what closing them takes and gives", async () => {
      for (const view of await positions()) {
        const [collateral, debt] = await close(view.sub);
        expect(view.debt).to.equal(-debt);
        expect(-collateral - view.collateral - view.surplus).to.be.within(0n, 1n);
      }
    });

    it("follow their node through liquidations, across links", async () => {
      for (const price of [1_850n, 1_700n, 1_600n]) {
        await m.setPrices(price * USD);
        await liquidate(100n * USDC);
        await liquidate();
      }
      const views = await positions();
      expect(new Set(views.map(({ node }) => node)).size).to.be.lessThan(SUBS.length); // merged
      for (const view of views) {
        const [collateral, debt] = await close(view.sub);
        expect(view.debt).to.equal(-debt);
        expect(-collateral - view.collateral - view.surplus).to.be.within(0n, 1n);
      }
    });

    it("turn liquidatable exactly at their liquidation price, where health falls below 1", async () => {
      const [view] = await lens.positions(m.vault, [alice], [3n]);
      const answer = (view!.liquidationPrice * USD) / Q128;
      // the interest of the seconds that setting four prices takes lifts it by less than a thousand
      for (const [price, expected] of [
        [answer + 2_000n, false],
        [answer - 1n, true],
      ] as const) {
        await m.setPrices(price);
        const now = await lens.position.staticCall(m.vault, alice, 3n, PENDING);
        const { price: read, triggerTick } = await lens.market.staticCall(m.vault, PENDING);
        expect(now.liquidatable).to.equal(expected);
        expect(now.liquidatable).to.equal(read.high <= now.liquidationPrice);
        expect(now.liquidatable).to.equal(now.tick >= triggerTick);
        expect(now.health < WAD).to.equal(expected);
        expect(now.health).to.be.within(WAD - 10n ** 12n, WAD + 10n ** 12n);
      }
      expect(view!.liquidationPriceWad).to.equal((view!.liquidationPrice * WAD) / Q128);
    });

    it("have one ratio: LTV, health, collateral ratio and liquidation price are the same number", async () => {
      await m.setSource(m.feeds.second, 1_980n * USD);
      const { price, risk } = await lens.market(m.vault);
      for (const view of await positions()) {
        const near = (a: bigint, b: bigint) => expect(a).to.be.within(b - b / 10n ** 9n, b + b / 10n ** 9n);
        near(view.ltvHigh, (view.liquidationPrice * risk.liquidationThreshold * WAD) / (price.high * BPS));
        near(view.ltvLow, (view.ltvHigh * price.high) / price.low);
        near(view.health, (risk.liquidationThreshold * WAD * WAD) / (view.ltvHigh * BPS));
        near(view.collateralRatio, (WAD * WAD) / view.ltvHigh);
        // token amounts round to a millionth of a dollar
        near(view.ltvHigh, (view.debt * 10n ** 12n * WAD * Q128) / (view.collateral * price.high));
      }
    });

    it("show a seized one without debt, its surplus untouched", async () => {
      const before = await positions();
      await m.setPrices(1_550n * USD);
      const insolvent = (await positions()).filter((view) => view.insolvent);
      expect(insolvent.length).to.be.greaterThan(0);
      await m.liquidator.seize(m.vault, 0n);
      for (const { sub } of insolvent) {
        const view = await lens.position(m.vault, alice, sub);
        expect([view.seized, view.debt, view.collateral]).to.deep.equal([true, 0n, 0n]);
        expect(view.surplus).to.equal(before[Number(sub)]!.surplus);
      }
    });

    it("are empty when unknown; lists of different lengths are refused", async () => {
      const view = await lens.position(m.vault, keeper, 77n);
      expect([view.node, view.debt, view.collateral, view.surplus]).to.deep.equal([0n, 0n, 0n, 0n]);
      await expect(lens.positions(m.vault, [alice, keeper], [1n]))
        .to.be.revertedWithCustomError(lens, "LengthMismatch")
        .withArgs(2n, 1n);
    });
  });

  describe("preview", () => {
    /** What a view says, without its node, which is the book's choice. */
    const plain = (view: Result) => ({ ...view.toObject(), node: 0n });
    const failure = async <T>(attempt: Promise<T>): Promise<T | string> =>
      attempt.catch((error: unknown) => {
        const data = revertData(error);
        if (data === undefined) throw error;
        return data;
      });

    /** Previews a change for the next block, makes it, and finds that it was as previewed. @return the refusal's name. */
    const check = async (sub: bigint, collateral: bigint, debt: bigint): Promise<string | undefined> => {
      await networkHelpers.time.setNextBlockTimestamp((await networkHelpers.time.latest()) + 60);
      const before = await lens.position.staticCall(m.vault, alice, sub, PENDING);
      const rate = (await lens.market.staticCall(m.vault, PENDING)).borrowRate;
      const foreseen = await failure(lens.preview.staticCall(m.vault, alice, sub, collateral, debt, PENDING));
      const change = m.vault.connect(alice).adjust;
      const moved = await failure(change.staticCall(alice, sub, collateral, debt, alice, "0x", PENDING));
      const nameOf = (data: string) =>
        (m.vault.interface.parseError(data) ?? lens.interface.parseError(data))?.name ?? data;
      if (typeof foreseen === "string") {
        expect(moved).to.equal(foreseen);
        return nameOf(foreseen);
      }
      expect(plain(foreseen.positionBefore as unknown as Result)).to.deep.equal(
        plain(before as unknown as Result),
      );
      expect(foreseen.borrowRateBefore).to.equal(rate);
      if (foreseen.refusal !== "0x") {
        expect(foreseen.newRisk).to.be.true;
        expect(moved).to.equal(foreseen.refusal);
        return nameOf(foreseen.refusal);
      }
      expect(moved).to.deep.equal([foreseen.collateralMoved, foreseen.debtMoved]);
      await change(alice, sub, collateral, debt, alice, "0x");
      const after = await lens.position(m.vault, alice, sub);
      expect(plain(foreseen.positionAfter as unknown as Result)).to.deep.equal(
        plain(after as unknown as Result),
      );
      expect(foreseen.borrowRateAfter).to.equal((await lens.market(m.vault)).borrowRate);
      return undefined;
    };

    it("P1: is what adjust then does, or the error with which it refuses", async () => {
      const below = randomFrom(6);
      const amount = (most: bigint) => (BigInt(below(2_000_001) - 1_000_000) * most) / 1_000_000n;
      const outcomes = new Map<string | undefined, number>();
      for (let round = 0; round < 120; round++) {
        const sub = BigInt(below(8));
        let [collateral, debt] = [amount(2n * ETH), amount(2_500n * USDC)];
        const kind = below(10);
        if (kind === 0) [collateral, debt] = [MIN_INT256, MIN_INT256];
        if (kind === 1) collateral = MIN_INT256;
        if (kind === 2) debt = MIN_INT256;
        if (kind === 3) collateral = 0n;
        if (kind === 4) debt = 0n;
        if (round === 40) await m.setPrices(1_900n * USD);
        if (round === 80) await m.setPrices(2_200n * USD);
        const outcome = await check(sub, collateral, debt);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      expect(outcomes.get(undefined)).to.be.at.least(30);
      for (const name of ["LtvTooHigh", "InsufficientCollateral"]) {
        expect(outcomes.get(name), name).to.be.at.least(3);
      }
    });

    it("is exact among others at a tick that a liquidation has moved", async () => {
      await m.setPrices(1_750n * USD);
      await liquidate();
      await m.setPrices(2_000n * USD);
      const [top] = await lens.ticks(m.vault, MAX_INT24, 1n);
      const { borrowIndex } = await lens.market(m.vault);
      const debt = (((top!.ratio * ETH) / Q128) * borrowIndex) / BORROW_INDEX_ONE / 10n ** 12n;
      expect(await check(7n, ETH, debt)).to.be.undefined;
      expect((await lens.position(m.vault, alice, 7n)).node).to.equal(top!.node);
      expect(await check(7n, 0n, -USDC / 1_000n)).to.be.undefined; // stays there
      expect((await lens.position(m.vault, alice, 7n)).node).to.equal(top!.node);
    });

    it("names everything that forbids new risk, with the position that it would be", async () => {
      expect(await check(0n, 0n, 700n * USDC)).to.equal("LtvTooHigh");
      expect(await check(7n, ETH, 9n * USDC)).to.equal("DebtTooSmall");
      expect(await check(7n, 9_000n * ETH, 9_999_000n * USDC)).to.equal("InsufficientCash");
      const caps = { ...m.parameters.caps, collateral: 10n * 10n ** 6n };
      await m.vault.setCaps(caps);
      expect(await check(7n, 5n * ETH, 20n * USDC)).to.equal("CollateralCapExceeded");
      await m.vault.setCaps({ ...caps, debt: 8_300n * 10n ** 6n });
      expect(await check(7n, 5n * ETH, 200n * USDC)).to.equal("DebtCapExceeded");
      await m.setSource(m.feeds.second, 1_900n * USD);
      expect(await check(0n, 0n, 20n * USDC)).to.equal("PriceNotFresh");
      await m.brake.pause(m.vault, LEVEL.NoNewRisk, 1_000n, ethers.ZeroHash);
      expect(await check(0n, 0n, 20n * USDC)).to.equal("NewRiskPaused");
      const { positionAfter } = await lens.preview(m.vault, alice, 0n, 0n, 700n * USDC);
      expect(positionAfter.debt).to.be.within(1_700n * USDC, 1_701n * USDC);
      expect(positionAfter.ltvLow).to.be.greaterThan((WAD * 85n) / 100n);
      // What is no new risk needs neither.
      expect(await check(0n, 0n, -20n * USDC)).to.be.undefined;
      expect(await check(1n, MIN_INT256, MIN_INT256)).to.be.undefined;
    });

    it("reverts as adjust does where there is no position to show", async () => {
      expect(await check(0n, 0n, 0n)).to.equal("ZeroAmount");
      expect(await check(0n, 2n ** 128n, 0n)).to.equal("AmountTooLarge");
      expect(await check(0n, 2n ** 96n, 0n)).to.equal("TooMuchCollateral");
      expect(await check(0n, -2n * ETH, 0n)).to.equal("InsufficientCollateral");
      expect(await check(0n, MIN_INT256, 0n)).to.equal("DebtWithoutCollateral");
      expect(await check(0n, 0n, 2n ** 100n)).to.equal("RatioAboveGrid");
    });

    it("knows no price when it is dead, and that only what lowers the risk goes through", async () => {
      await networkHelpers.time.increase(90_000);
      expect(await check(0n, ETH, -500n * USDC)).to.be.undefined;
      expect(await check(0n, -ETH / 2n, 0n)).to.equal("PriceNotFresh");
    });
  });

  describe("ticks", () => {
    it("are the whole book, from the top down, and can be paged", async () => {
      const ladder = await lens.ticks(m.vault, MAX_INT24, 100n);
      const { bookDebt } = await lens.market(m.vault);
      expect(sum(ladder.map((tick) => tick.bookDebt))).to.equal(bookDebt);
      expect(sum(ladder.map((tick) => tick.count))).to.equal(6n);
      for (const [i, { tick }] of ladder.entries()) {
        if (i > 0) expect(tick).to.be.lessThan(ladder[i - 1]!.tick);
      }
      const first = await lens.ticks(m.vault, MAX_INT24, 2n);
      const rest = await lens.ticks(m.vault, first[1]!.tick - 1n, 100n);
      expect([...first, ...rest]).to.deep.equal([...ladder]);
      expect(await lens.ticks(m.vault, MAX_INT24, 0n)).to.deep.equal([]);
    });

    it("show the price at which a liquidation really sells", async () => {
      await m.setPrices(1_840n * USD);
      const [top] = await lens.ticks.staticCall(m.vault, MAX_INT24, 1n, PENDING);
      expect(top!.liquidatable).to.be.true;
      const { repaid, seized } = await preview(MAX_UINT256, MAX_INT24, 1n);
      const paid = (repaid * 10n ** 12n * Q128) / seized;
      expect(top!.salePrice).to.be.within(paid - paid / 10n ** 6n, paid + paid / 10n ** 6n);
    });
  });

  describe("liquidation", () => {
    it("names the reason when nothing would happen", async () => {
      expect((await preview()).verdict).to.equal(VERDICT.NothingLiquidatable);
      await m.setPrices(1_840n * USD);
      expect((await preview()).verdict).to.equal(VERDICT.Possible);
      expect((await preview(1n)).verdict).to.equal(VERDICT.BudgetTooSmall);
      const { triggerTick } = await lens.market(m.vault);
      expect((await preview(MAX_UINT256, triggerTick - 1n)).verdict).to.equal(VERDICT.NothingLiquidatable);

      await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 600n, ethers.ZeroHash);
      const { pausedUntil, graceUntil } = await m.brake.stateOf(m.vault);
      let view = await preview();
      expect([view.verdict, view.until]).to.deep.equal([VERDICT.Paused, pausedUntil]);
      await networkHelpers.time.increaseTo(pausedUntil);
      view = await preview();
      expect([view.verdict, view.until]).to.deep.equal([VERDICT.Grace, graceUntil]);
      await networkHelpers.time.increaseTo(graceUntil);
      expect((await preview()).verdict).to.equal(VERDICT.Possible);
      await networkHelpers.time.increase(90_000);
      expect((await preview()).verdict).to.equal(VERDICT.Dead);
    });

    it("says that insolvent ticks and the pot wait for a fresh price", async () => {
      await m.setPrices(1_200n * USD);
      await m.liquidator.seize(m.vault, 2n);
      await m.setSource(m.feeds.second, 1_100n * USD);
      expect((await preview()).verdict).to.equal(VERDICT.NotFresh);
      await expect(liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
    });

    it("values what the keeper gains at both prices", async () => {
      await m.setPrices(1_840n * USD);
      await m.setSource(m.feeds.second, 1_820n * USD);
      const view = await preview();
      const value = (price: bigint) => (view.seized * price) / Q128 / 10n ** 12n - view.repaid;
      expect(view.gainLow - value(view.price.low)).to.be.within(0n, 1n);
      expect(view.gainHigh - value(view.price.high)).to.be.within(0n, 1n);
      expect(view.gainLow).to.be.at.least((view.repaid * 149n) / BPS); // bonusMin at least, even at the lower price
    });

    it("looks no further than maxTicks and starts at fromTick", async () => {
      await m.setPrices(1_600n * USD);
      const ladder = (await lens.ticks(m.vault, MAX_INT24, 100n)).filter((tick) => tick.liquidatable);
      expect(ladder.length).to.be.greaterThan(2);
      const one = await preview(MAX_UINT256, ladder[1]!.tick, 1n);
      expect([one.ticks, one.fromTick, one.lowestTick]).to.deep.equal([1n, ladder[1]!.tick, ladder[1]!.tick]);
    });
  });

  describe("liquidation, against its execution", () => {
    const REPORT = [
      "priceLow",
      "priceHigh",
      "fromTick",
      "lowestTick",
      "landTick",
      "partialTick",
      "partialLandTick",
      "ticks",
      "repaid",
      "seized",
      "potDebt",
      "potCollateral",
      "potDebtSold",
      "potCollateralSold",
    ] as const;
    /** A liquidation that has nothing to do with the pot has no second event. */
    const NO_POT = { potDebt: 0n, potCollateral: 0n, potDebtSold: 0n, potCollateralSold: 0n };
    const MARKETS: (MarketOptions & { name: string })[] = [
      { name: "18/6 decimals", collateralPrice: 2_000n * USD },
      {
        name: "8/18 decimals, fine grid",
        collateralDecimals: 8,
        debtDecimals: 18,
        spacing: 10,
        collateralPrice: 60_000n * USD,
      },
      {
        name: "6/18 decimals, inverse",
        collateralDecimals: 6,
        debtDecimals: 18,
        collateralPrice: USD,
        debtPrice: 2_000n * USD,
      },
      {
        name: "24/8 decimals, coarse units, cheap collateral",
        collateralDecimals: 24,
        debtDecimals: 8,
        collateralUnitDecimals: 12,
        collateralPrice: 2_000n,
        debtPrice: 60_000n * USD,
      },
    ];

    for (const [index, { name, ...options }] of MARKETS.entries()) {
      it(`is equal to the wei over random books, prices and budgets: ${name}`, async () => {
        ({ m, lens } = await deploy({ ...options, caps: { minDebt: 0n } }));
        [alice, keeper] = [m.signer(2), m.signer(3)];
        const random = randomFrom(index + 1);
        const { collateralDecimals, debtDecimals, collateralPrice, debtPrice } = m.parameters;
        const [whole, unit] = [10n ** BigInt(collateralDecimals), 10n ** BigInt(debtDecimals)];
        // a position of about a thousand dollars
        const lot = (1_000n * USD * whole) / collateralPrice;
        const worth = (1_000n * USD * unit) / debtPrice;
        for (const account of [1, 2, 3].map(m.signer)) {
          await m.fund(account, { collateral: lot * 10n ** 6n, debt: worth * 10n ** 6n });
        }
        await m.vault.connect(m.signer(1)).deposit(worth * 10n ** 5n, m.signer(1));
        let sub = 0n;
        const seen = new Map<bigint, number>();
        for (let round = 0; round < 10; round++) {
          // Fresh and at the start's price again, so that the book can fill up.
          await m.setPrices(collateralPrice, debtPrice);
          for (let i = 0; i < 5; i++) {
            const size = BigInt(1 + random(20));
            const debt = (worth * size * BigInt(5_000 + random(3_100))) / BPS;
            await m.vault.connect(alice).adjust(alice, sub++, lot * size, debt, alice, "0x");
          }
          await networkHelpers.time.increase(random(40_000));
          const price = (collateralPrice * BigInt(9_800 - random(3_000))) / BPS;
          await m.setPrices(price, debtPrice);
          const apart = random(6);
          if (apart < 3) {
            await m.setSource(
              m.feeds.second,
              (price * BigInt(10_000 - random(apart === 0 ? 900 : 280))) / BPS,
            );
          }
          const book = await lens.market(m.vault);
          const budget = random(3) === 0 ? MAX_UINT256 : (book.totalDebt * BigInt(1 + random(6_000))) / BPS;
          const fromTick = random(4) === 0 ? book.topTick - BigInt(random(20)) : MAX_INT24;
          const maxTicks = random(3) === 0 ? BigInt(1 + random(4)) : 0n;
          const args = [budget, fromTick, maxTicks, random(4) !== 0] as const;

          const at = (await networkHelpers.time.latest()) + 1 + random(3_000);
          await networkHelpers.time.setNextBlockTimestamp(at);
          const expected = await preview(...args);
          seen.set(expected.verdict, (seen.get(expected.verdict) ?? 0) + 1);
          await networkHelpers.time.setNextBlockTimestamp(at);
          if (expected.verdict !== VERDICT.Possible) {
            await expect(liquidate(...args)).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
            expect([expected.repaid, expected.seized, expected.ticks]).to.deep.equal([0n, 0n, 0n]);
            continue;
          }
          const receipt = await (await liquidate(...args)).wait();
          const events = receipt!.logs
            .filter((log) => log.address === book.vault)
            .map((log) => m.vault.interface.parseLog(log))
            .filter((log) => log !== null && ["Liquidate", "ChangePot"].includes(log.name));
          expect(events[0]!.name).to.equal("Liquidate");
          const pot = [expected.seizedPotDebt, expected.potDebtSold].some((debt) => debt !== 0n);
          expect(events.length).to.equal(pot ? 2 : 1);
          const reports = events.map((log) => log!.args.getValue("report") as Result);
          const report = Object.assign({}, NO_POT, ...reports.map((part) => part.toObject())) as Record<
            (typeof REPORT)[number],
            bigint
          >;
          const foreseen: Record<(typeof REPORT)[number], bigint> = {
            priceLow: expected.price.low,
            priceHigh: expected.price.high,
            fromTick: expected.fromTick,
            lowestTick: expected.lowestTick,
            landTick: expected.landTick,
            partialTick: expected.partialTick,
            partialLandTick: expected.partialLandTick,
            ticks: expected.ticks,
            repaid: expected.repaid,
            seized: expected.seized,
            potDebt: expected.seizedPotDebt,
            potCollateral: expected.seizedPotCollateral,
            potDebtSold: expected.potDebtSold,
            potCollateralSold: expected.potCollateralSold,
          };
          for (const field of REPORT) {
            expect(report[field], `${field} in round ${String(round)}`).to.equal(foreseen[field]);
          }
        }
        expect(seen.get(VERDICT.Possible)).to.be.at.least(5);
      });
    }
  });

  describe("liquidatableUnder", () => {
    it("equals what is liquidatable once the price has fallen", async () => {
      const falls = [0n, 500n, 800n, 1_000n, 1_500n, 3_000n, 6_000n];
      const amounts = await lens.liquidatableUnder(m.vault, falls);
      const { borrowIndex } = await lens.market(m.vault);
      for (const [i, fall] of falls.entries()) {
        const snapshot = await networkHelpers.takeSnapshot();
        await m.setPrices((2_000n * USD * (BPS - fall)) / BPS);
        const ladder = await lens.ticks(m.vault, MAX_INT24, 100n);
        const book = sum(ladder.filter((tick) => tick.liquidatable).map((tick) => tick.bookDebt));
        expect(amounts[i]).to.equal(ceilDiv(ceilDiv(book * borrowIndex, BORROW_INDEX_ONE), 10n ** 12n));
        await snapshot.restore();
      }
      expect(amounts[0]).to.equal(0n);
      const { bookDebt } = await lens.market(m.vault);
      expect(amounts.at(-1)).to.equal(ceilDiv(ceilDiv(bookDebt * borrowIndex, BORROW_INDEX_ONE), 10n ** 12n));
      expect(await lens.liquidatableUnder(m.vault, [10_000n])).to.deep.equal([amounts.at(-1)]);
    });

    it("refuses a fall of more than all of the price", async () => {
      await expect(lens.liquidatableUnder(m.vault, [10_001n]))
        .to.be.revertedWithCustomError(lens, "FallTooLarge")
        .withArgs(10_001n);
    });
  });
});
