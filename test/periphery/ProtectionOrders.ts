import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { type ContractTransactionReceipt, MaxUint256, type Result } from "ethers";

import { encodePath, explainRevert } from "@breakwater/sdk/chain";
import { BPS, KIND, OrderRefused, type OrderTerms, Q128, WAD, quoteOrder } from "@breakwater/sdk/core";

import { random } from "../../scripts/drill/book.ts";
import { TestToken__factory } from "../../sdk/src/types/index.ts";
import type { OrderStruct, QuoteStructOutput } from "../../sdk/src/types/ProtectionOrders.ts";
import {
  DAY,
  ETH,
  LEVEL,
  MIN_INT256,
  STATE,
  USD,
  USDC,
  type TestMarket,
  deployMarket,
} from "../support/market.ts";
import { createPool, deployUniswap, sqrtPriceOf, tradeTo } from "../support/uniswap.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const FEE = 500n;

/** ETH/USDC at 2,000; a trader with 29 ETH and 40,000 USDC of debt, LTV 69 %; a pool of finite depth beside it. */
async function fixture() {
  const m = await deployMarket(connection, { collateralPrice: 2_000n * USD });
  const [governor, lender, trader, keeper] = [m.signer(0), m.signer(1), m.signer(2), m.signer(3)];
  await m.fund(lender, { debt: 10_000_000n * USDC });
  await m.vault.connect(lender).deposit(10_000_000n * USDC, lender);
  const uniswap = await deployUniswap(governor);
  const collateralFirst = BigInt(await m.collateral.getAddress()) < BigInt(await m.debt.getAddress());
  const sqrtPrice = (dollars: number) =>
    collateralFirst ? sqrtPriceOf(dollars, 18, 6) : sqrtPriceOf(1 / dollars, 6, 18);
  const tokens = collateralFirst ? ([m.collateral, m.debt] as const) : ([m.debt, m.collateral] as const);
  const pool = await createPool(uniswap, ...tokens, {
    sqrtPrice: sqrtPrice(2_000),
    liquidity: 10n ** 18n,
    observations: 1,
  });
  const router = await ethers.deployContract("LeverageRouter", [uniswap.router, uniswap.factory]);
  const orders = await ethers.deployContract("ProtectionOrders", [router]);
  const lens = await ethers.deployContract("Lens");
  for (const operator of [router, orders]) await m.vault.connect(trader).setOperator(operator, true);
  await m.fund(trader, { collateral: 29n * ETH });
  await m.vault.connect(trader).adjust(trader, 0n, 29n * ETH, 40_000n * USDC, lender, "0x");
  const movePool = async (dollars: number) => tradeTo(uniswap, pool, sqrtPrice(dollars));
  /** Both sources and the pool. */
  const move = async (dollars: number) => {
    await movePool(dollars);
    await m.setPrices(BigInt(Math.round(dollars * 1e8)));
  };
  return { m, uniswap, orders, router, lens, trader, keeper, move, movePool };
}

type Arrangement = Awaited<ReturnType<typeof fixture>>;

describe("ProtectionOrders", function () {
  this.timeout(120_000);
  let m: TestMarket;
  let orders: Arrangement["orders"];
  let router: Arrangement["router"];
  let uniswap: Arrangement["uniswap"];
  let lens: Arrangement["lens"];
  let trader: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;
  let move: Arrangement["move"];
  let movePool: Arrangement["movePool"];
  let COL: string;
  let DEBT: string;
  let down: string; // collateral to debt
  let back: string; // the same, reversed

  beforeEach(async () => {
    ({ m, orders, router, uniswap, lens, trader, keeper, move, movePool } =
      await networkHelpers.loadFixture(fixture));
    [COL, DEBT] = [await m.collateral.getAddress(), await m.debt.getAddress()];
    [down, back] = [encodePath([COL, DEBT], [FEE]), encodePath([DEBT, COL], [FEE])];
  });

  const price = (dollars: number) => (BigInt(Math.round(dollars * 1e6)) * Q128) / 1_000_000n;
  const percent = (value: number) => BigInt(Math.round(value * 1e6)) * 10n ** 10n;
  const positionOf = async (sub = 0n) => lens.position(m.vault, trader, sub);
  /** Down to 60 % when the LTV reaches 74 %; 1 to 20 dollars. */
  const deleverage = async (more: Partial<OrderStruct> = {}): Promise<OrderStruct> => ({
    owner: trader.address,
    sub: 0n,
    market: await m.vault.getAddress(),
    kind: KIND.Deleverage,
    target: 6_000n,
    slippage: 100n,
    expiry: 2n ** 39n,
    times: 1n,
    keepCollateral: false,
    level: percent(74),
    tipMin: USDC,
    tipMax: 20n * USDC,
    budget: 0n,
    ...more,
  });
  const stopLoss = async (more: Partial<OrderStruct> = {}) =>
    deleverage({ kind: KIND.StopLoss, target: 0n, level: price(1_800), ...more });
  const topUp = async (more: Partial<OrderStruct> = {}) =>
    deleverage({
      ...{ kind: KIND.TopUp, times: 3n, slippage: 0n, budget: 20n * ETH },
      ...{ tipMin: ETH / 1_000n, tipMax: ETH / 100n, ...more },
    });
  const create = async (order: OrderStruct, from = trader): Promise<bigint> => {
    const receipt = await (await orders.connect(from).create(order)).wait();
    const log = receipt!.logs.map((each) => orders.interface.parseLog(each)!)[0]!;
    return log.args["id"] as bigint;
  };
  const quoteOf = async (id: bigint): Promise<QuoteStructOutput> => orders.quote(id, { blockTag: "pending" });
  const expectEmpty = async () => {
    for (const token of [m.collateral, m.debt]) {
      for (const holder of [orders, router]) expect(await token.balanceOf(holder)).to.equal(0n);
      for (const spender of [m.vault, router]) expect(await token.allowance(orders, spender)).to.equal(0n);
    }
  };
  const balances = async (of: HardhatEthersSigner) => ({
    collateral: await m.collateral.balanceOf(of),
    debt: await m.debt.balanceOf(of),
  });
  /** Executes it, and finds the contracts empty. What owner and keeper got of each token. */
  const execute = async (id: bigint, path = down, minTip = 0n) => {
    const [ownerBefore, keeperBefore] = [await balances(trader), await balances(keeper)];
    const receipt = (await (await orders.connect(keeper).execute(id, path, minTip, keeper)).wait())!;
    await expectEmpty();
    const [owner, tips] = [await balances(trader), await balances(keeper)];
    const gained = (to: typeof owner, from: typeof owner) => ({
      collateral: to.collateral - from.collateral,
      debt: to.debt - from.debt,
    });
    return { owner: gained(owner, ownerBefore), tip: gained(tips, keeperBefore), ...reported(receipt) };
  };
  const reported = (receipt: ContractTransactionReceipt) => {
    const log = receipt.logs
      .filter(({ address }) => address === orders.target)
      .map((each) => orders.interface.parseLog(each)!)
      .find(({ name }) => name === "ExecuteOrder")!;
    const { quote, left, times } = log.args as unknown as {
      quote: QuoteStructOutput;
      left: bigint;
      times: bigint;
    };
    return { quote, left, times, gasUsed: receipt.gasUsed };
  };
  const expectUnchanged = async (act: () => Promise<unknown>) => {
    const [before, owned] = [await positionOf(), await balances(trader)];
    await act();
    const after = await positionOf();
    expect([after.bookDebt, after.collateral, after.surplus]).to.deep.equal([
      before.bookDebt,
      before.collateral,
      before.surplus,
    ]);
    expect(await balances(trader)).to.deep.equal(owned);
    await expectEmpty();
  };

  describe("creates", () => {
    it("an order that anybody can read, its owner can take back, and that is gone then", async () => {
      const order = await deleverage();
      const id = await create(order);
      const kept = await orders.orderOf(id);
      expect((kept as unknown as Result).toObject()).to.deep.equal(order);
      await expect(orders.connect(keeper).cancel(id))
        .to.be.revertedWithCustomError(orders, "NotOrderOwner")
        .withArgs(keeper.address, trader.address);
      await expect(orders.connect(trader).cancel(id))
        .to.emit(orders, "CancelOrder")
        .withArgs(id, trader.address, trader.address);
      await expect(orders.orderOf(id)).to.be.revertedWithCustomError(orders, "UnknownOrder").withArgs(id);
      await expect(orders.connect(keeper).execute(id, down, 0n, keeper)).to.be.revertedWithCustomError(
        orders,
        "UnknownOrder",
      );
      expect(await create(order)).to.equal(id + 1n);
    });

    it("none for somebody else, and clears away what has expired", async () => {
      const expiry = BigInt(await networkHelpers.time.latest()) + DAY;
      const order = await deleverage({ expiry });
      await expect(orders.connect(keeper).create(order))
        .to.be.revertedWithCustomError(orders, "NotOrderOwner")
        .withArgs(keeper.address, trader.address);
      const id = await create(order);
      await networkHelpers.time.increaseTo(expiry + 1n);
      await m.setPrices(1_880n * USD);
      await expect(orders.connect(keeper).execute(id, down, 0n, keeper))
        .to.be.revertedWithCustomError(orders, "OrderExpired")
        .withArgs(expiry, (timestamp: bigint) => timestamp > expiry);
      await expect(orders.connect(trader).create(order)).to.be.revertedWithCustomError(
        orders,
        "OrderExpired",
      );
      await orders.connect(keeper).cancel(id);
      expect((await orders.executable([m.vault], 0n, 10n)).longest).to.equal(0n);
    });

    it("none that could do nothing, or make things worse", async () => {
      const rules: [Partial<OrderStruct>, string][] = [
        [{ times: 0n }, "it is executed at least once"],
        [{ tipMin: 2n, tipMax: 1n }, "the tip rises from tipMin to tipMax"],
        [{ slippage: 1_001n }, "slippage is at most 10 %"],
        [{ target: 10_000n }, "a target LTV is below 100 %"],
        [{ level: 0n }, "a level is above 0 and below 2^192"],
        [{ kind: KIND.TakeProfit, level: 2n ** 192n }, "a level is above 0 and below 2^192"],
        [{ kind: KIND.TopUp, target: 0n, budget: 1n }, "only a sale closes"],
        [{ kind: KIND.Repay }, "TopUp and Repay have a budget, a sale has none"],
        [{ budget: 1n }, "TopUp and Repay have a budget, a sale has none"],
        [{ target: 0n, times: 2n }, "a position is closed once"],
        [{ keepCollateral: true }, "only a close keeps the collateral"],
        [{ level: percent(86) }, "its LTV is below the liquidation threshold"],
      ];
      for (const [more, rule] of rules) {
        await expect(orders.connect(trader).create(await deleverage(more)))
          .to.be.revertedWithCustomError(orders, "InvalidOrder")
          .withArgs(rule);
      }
      await expect(orders.connect(trader).create(await deleverage({ target: 7_400n })))
        .to.be.revertedWithCustomError(orders, "WouldMakeWorse")
        .withArgs(7_400n, percent(74));
      // Collateral at 85 % of debt, sold 10 % below its price on top, still lowers the LTV; that is as far as it goes.
      await create(await deleverage({ level: percent(85.9), slippage: 1_000n }));
      // What is no market has no words to read.
      await expect(orders.connect(trader).create(await stopLoss({ market: COL }))).to.be.revert(ethers);
      await expect(orders.connect(trader).create(await stopLoss({ market: keeper.address }))).to.be.revert(
        ethers,
      );
    });
  });

  describe("executes", () => {
    it("a deleverage, down to its target and not much further, for a tip out of the sale", async () => {
      const id = await create(await deleverage());
      await expect(orders.quote(id))
        .to.be.revertedWithCustomError(orders, "NotTriggered")
        .withArgs((ltv: bigint) => ltv > percent(68) && ltv < percent(70), percent(74));
      await move(1_850);
      const quote = await quoteOf(id);
      const { owner, tip, left, times, gasUsed } = await execute(id);
      expect(times).to.equal(0n);
      const { ltvHigh } = await positionOf();
      expect(ltvHigh).to.be.within(percent(59.8), percent(60));
      expect(tip).to.deep.equal({ collateral: 0n, debt: quote.tip });
      // What the pool gave above the worst, 1 % less half a permille.
      expect(owner).to.deep.equal({ collateral: 0n, debt: left });
      expect(left).to.be.within((quote.limit * 8n) / 1_000n, (quote.limit * 10n) / 1_000n);
      await expect(orders.orderOf(id)).to.be.revertedWithCustomError(orders, "UnknownOrder");
      expect(gasUsed).to.be.lessThan(800_000n);
    });

    it("a deleverage as often as it may", async () => {
      const id = await create(await deleverage({ times: 2n }));
      await move(1_850);
      expect((await execute(id)).times).to.equal(1n);
      await expect(orders.quote(id)).to.be.revertedWithCustomError(orders, "NotTriggered");
      await move(1_480);
      expect((await execute(id)).times).to.equal(0n);
      expect((await positionOf()).ltvHigh).to.be.within(percent(59.8), percent(60));
    });

    it("a stop-loss, selling everything for at least the oracle's price less the slippage", async () => {
      const id = await create(await stopLoss());
      await move(1_801);
      await expect(orders.quote(id))
        .to.be.revertedWithCustomError(orders, "NotTriggered")
        .withArgs((high: bigint) => high > price(1_800), price(1_800));
      await move(1_790);
      const quote = await quoteOf(id);
      const { debt: owed, collateral, surplus } = await positionOf();
      expect(quote.amount).to.equal(collateral + surplus);
      expect(quote.limit).to.be.within(
        ((collateral + surplus) * 1_790n * 99n * USDC) / (100n * ETH),
        ((collateral + surplus) * 1_790n * 99n * USDC) / (100n * ETH) + 2n,
      );
      const { owner, tip } = await execute(id);
      const after = await positionOf();
      expect([after.debt, after.collateral, after.surplus]).to.deep.equal([0n, 0n, 0n]);
      expect(owner.collateral).to.equal(0n);
      expect(owner.debt + tip.debt).to.be.greaterThanOrEqual(quote.limit - owed - USDC);
      expect(owner.debt).to.be.within(11_500n * USDC, 11_900n * USDC);
    });

    it("a stop-loss that keeps the collateral: buys just what is owed, and tips in collateral", async () => {
      const tips = { tipMin: ETH / 1_000n, tipMax: ETH / 100n };
      const id = await create(await stopLoss({ keepCollateral: true, ...tips }));
      await move(1_790);
      const quote = await quoteOf(id);
      const held = await positionOf();
      const { owner, tip } = await execute(id, back);
      expect((await positionOf()).debt).to.equal(0n);
      expect(tip).to.deep.equal({ collateral: quote.tip, debt: 0n });
      expect(owner.debt).to.equal(0n);
      expect(owner.collateral).to.be.greaterThanOrEqual(quote.least - quote.tip);
      // 40,000 USDC at 1,790 cost 22.35 ETH, the pool's fee and the impact.
      expect(held.collateral + held.surplus - owner.collateral - tip.collateral).to.be.within(
        (2_234n * ETH) / 100n,
        (2_240n * ETH) / 100n,
      );
    });

    it("a take-profit, closing or only reducing", async () => {
      const order = await stopLoss({ kind: KIND.TakeProfit, level: price(2_200), target: 4_000n });
      const id = await create(order);
      await move(2_199);
      await expect(orders.quote(id)).to.be.revertedWithCustomError(orders, "NotTriggered");
      await move(2_210);
      await execute(id);
      expect((await positionOf()).ltvHigh).to.be.within(percent(39.8), percent(40));
      await execute(await create({ ...order, target: 0n }));
      expect((await positionOf()).debt).to.equal(0n);
    });

    it("a top-up out of the owner's wallet, as often and as far as he said", async () => {
      await m.fund(trader, { collateral: 30n * ETH });
      await m.collateral.connect(trader).approve(orders, MaxUint256);
      // It needs no operator.
      for (const operator of [router, orders]) await m.vault.connect(trader).setOperator(operator, false);
      const id = await create(await topUp());
      await move(1_850);
      const first = await execute(id, "0x");
      expect(first.times).to.equal(2n);
      expect((await positionOf()).ltvHigh).to.be.within(percent(59.8), percent(60));
      expect(-first.owner.collateral).to.equal(first.quote.collateral + first.tip.collateral);
      expect((await orders.orderOf(id)).budget).to.equal(20n * ETH + first.owner.collateral);
      await move(1_480);
      await execute(id, "0x");
      const { budget } = await orders.orderOf(id);
      await move(1_180);
      await expect(orders.quote(id))
        .to.be.revertedWithCustomError(orders, "BudgetExceeded")
        .withArgs((needed: bigint) => needed > budget, budget);
      // An operator's top-up folds in the surplus.
      await orders.connect(trader).cancel(id);
      const again = await create(await topUp());
      await m.vault.connect(trader).setOperator(orders, true);
      await execute(again, "0x");
      expect((await positionOf()).ltvHigh).to.be.within(percent(59.8), percent(60));
    });

    it("a repayment out of the owner's wallet", async () => {
      await m.fund(trader, { debt: 20_000n * USDC });
      await m.debt.connect(trader).approve(orders, 9_000n * USDC);
      const order = await topUp({
        kind: KIND.Repay,
        budget: 20_000n * USDC,
        tipMin: USDC,
        tipMax: 9n * USDC,
      });
      const id = await create(order);
      await move(1_850);
      const repaid = await quoteOf(id);
      const { owner, tip } = await execute(id, "0x");
      expect((await positionOf()).ltvHigh).to.be.within(percent(59.8), percent(60));
      expect(owner).to.deep.equal({ collateral: 0n, debt: repaid.debt - tip.debt });
      await move(1_480);
      await expect(orders.quote(id))
        .to.be.revertedWithCustomError(orders, "InsufficientFunds")
        .withArgs(DEBT, 9_000n * USDC + owner.debt, (needed: bigint) => needed > 6_000n * USDC);
    });

    it("for a tip that rises with the distance beyond the level", async () => {
      const id = await create(await deleverage());
      const stop = await create(await stopLoss());
      const expectTip = async (of: bigint, beyond: bigint, room: bigint) => {
        const { tip } = await quoteOf(of);
        expect(tip).to.be.within(
          USDC + (19n * USDC * beyond) / room - 1n,
          USDC + (19n * USDC * beyond) / room + 1n,
        );
      };
      // From 74 % to the threshold, 86 %.
      for (const dollars of [1_860, 1_800, 1_700, 1_610]) {
        await move(dollars);
        await expectTip(id, (await quoteOf(id)).ltv - percent(74), percent(12));
      }
      await move(1_600);
      expect((await quoteOf(id)).tip).to.equal(20n * USDC);
      // From 1,800 to 5 % below.
      await move(1_800);
      await expectTip(stop, 0n, 1n);
      await move(1_755);
      await expectTip(stop, 45n, 90n);
      await move(1_600);
      expect((await quoteOf(stop)).tip).to.equal(20n * USDC);
      await expect(orders.connect(keeper).execute(stop, down, 20n * USDC + 1n, keeper))
        .to.be.revertedWithCustomError(orders, "TipTooLow")
        .withArgs(20n * USDC, 20n * USDC + 1n);
    });

    it("only what both sources say, and sells for what the lower one says", async () => {
      const apart = async (primary: bigint, second: bigint) => {
        await m.setSource(m.feeds.primary, primary * USD);
        await m.setSource(m.feeds.second, second * USD);
      };
      const stop = await create(await stopLoss());
      const profit = await create(await stopLoss({ kind: KIND.TakeProfit, level: price(2_050) }));
      const lower = await create(await deleverage({ level: percent(76.5) }));
      await apart(1_820n, 1_790n);
      for (const id of [stop, lower]) {
        await expect(orders.quote(id)).to.be.revertedWithCustomError(orders, "NotTriggered");
      }
      await apart(2_080n, 2_040n);
      await expect(orders.quote(profit)).to.be.revertedWithCustomError(orders, "NotTriggered");
      await apart(1_799n, 1_770n);
      const { amount, limit } = await quoteOf(stop);
      expect(limit).to.be.within(
        (amount * 1_770n * 99n * USDC) / (100n * ETH),
        (amount * 1_770n * 99n * USDC) / (100n * ETH) + 2n,
      );
      const kept = await create(await stopLoss({ keepCollateral: true, tipMin: 0n, tipMax: 0n }));
      // 40,000 dollars at 1,770, 1 % worse.
      expect((await quoteOf(kept)).limit).to.be.within((2_282n * ETH) / 100n, (2_283n * ETH) / 100n);
    });

    it("a stop-loss that hardly leaves anything, as long as the sale pays debt and tip", async () => {
      const id = await create(await stopLoss());
      await move(1_390); // 40,310 dollars, and 1 % of that
      const { debt } = await positionOf();
      const { limit, least, tip } = await quoteOf(id);
      expect(tip).to.equal(20n * USDC);
      expect(limit).to.be.within(debt + tip, debt + tip + 1_000n);
      expect(least).to.equal(tip);
      const { owner, tip: paid } = await execute(id);
      expect(paid.debt).to.equal(tip);
      expect(owner.debt).to.be.within(1n, 300n * USDC);
    });

    it("while liquidations are paused", async () => {
      const id = await create(await deleverage());
      await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 3_600n, ethers.ZeroHash);
      await move(1_850);
      await execute(id);
    });
  });

  describe("refuses, and moves nothing:", () => {
    const refused = async (id: bigint, error: string, path = down) =>
      expectUnchanged(async () =>
        expect(orders.connect(keeper).execute(id, path, 0n, keeper)).to.be.revertedWithCustomError(
          orders,
          error,
        ),
      );

    it("a price that is Diverged or Dead, and for prices' sake one that is Single", async () => {
      const ids = [await create(await deleverage()), await create(await stopLoss())] as const;
      await movePool(1_750);
      await m.setSource(m.feeds.primary, 1_750n * USD);
      for (const id of ids) {
        await expect(orders.quote(id))
          .to.be.revertedWithCustomError(orders, "PriceUntrusted")
          .withArgs(STATE.Diverged);
        await refused(id, "PriceUntrusted");
      }
      await m.setPrices(1_790n * USD);
      await m.oracle.update();
      await m.feeds.second.collateral.setReverting(true);
      await expect(orders.quote(ids[1]))
        .to.be.revertedWithCustomError(orders, "PriceUntrusted")
        .withArgs(STATE.Single);
      expect((await quoteOf(ids[0])).tip).to.be.greaterThan(USDC);
      await m.feeds.primary.collateral.setReverting(true);
      for (const id of ids) {
        await expect(orders.quote(id))
          .to.be.revertedWithCustomError(orders, "PriceUntrusted")
          .withArgs(STATE.Dead);
      }
      expect((await orders.executable([m.vault], 0n, 10n)).found).to.deep.equal([]);
      // Liquidation would go by the one source; so does what is to prevent it.
      await m.feeds.primary.collateral.setReverting(false);
      await movePool(1_790);
      await execute(ids[0]);
    });

    it("a sandwich beyond the bound, and gives the owner the bound within it", async () => {
      for (const [order, path] of [
        [await deleverage(), down],
        [await stopLoss(), down],
        [await stopLoss({ keepCollateral: true, tipMin: 0n, tipMax: 0n }), back],
      ] as const) {
        const id = await create(order);
        await move(1_790);
        await movePool(1_771); // 1.06 % below
        await expectUnchanged(async () =>
          expect(orders.connect(keeper).execute(id, path, 0n, keeper)).to.be.revertedWithCustomError(
            router,
            "SlippageExceeded",
          ),
        );
        const snapshot = await networkHelpers.takeSnapshot();
        await movePool(1_778); // 0.67 %, and fee and impact
        const { least, tip } = await quoteOf(id);
        const { owner } = await execute(id, path);
        expect(owner.collateral + owner.debt).to.be.within(least - tip - USDC, MaxUint256);
        await snapshot.restore();
        await orders.connect(trader).cancel(id);
      }
    });

    it("a path that leads the owner's proceeds elsewhere", async () => {
      const id = await create(await stopLoss());
      await move(1_790);
      const own = TestToken__factory.connect(
        await (await ethers.deployContract("TestToken", ["Own", "OWN", 18])).getAddress(),
        keeper,
      );
      const tokens = [await own.getAddress(), COL].sort((x, y) => (BigInt(x) < BigInt(y) ? -1 : 1));
      await createPool(
        uniswap,
        TestToken__factory.connect(tokens[0]!, uniswap.signer),
        TestToken__factory.connect(tokens[1]!, uniswap.signer),
        { sqrtPrice: 2n ** 96n, liquidity: 10n ** 24n, observations: 1 },
      );
      // The debt is paid by who executes: 40,000 USDC for all of the collateral, in his own pool.
      await m.fund(keeper, { debt: 40_010n * USDC });
      await m.debt.connect(keeper).transfer(router, 40_010n * USDC);
      const elsewhere = encodePath([COL, await own.getAddress()], [FEE]);
      const { limit } = await quoteOf(id);
      expect(limit).to.be.lessThan(10n ** 18n);
      await expect(orders.connect(keeper).execute(id, elsewhere, 0n, keeper))
        .to.be.revertedWithCustomError(orders, "TooLittleLeft")
        .withArgs(
          DEBT,
          (held: bigint) => held < 20n * USDC,
          (least: bigint) => least > 11_000n * USDC,
        );
      for (const path of ["0x", back, "0x1234"]) {
        await expect(orders.connect(keeper).execute(id, path, 0n, keeper)).to.be.revert(ethers);
      }
      // Who pays for the collateral and forgets to take it has given it away.
      const { least } = await quoteOf(id);
      await m.fund(keeper, { debt: least });
      await m.debt.connect(keeper).transfer(router, least);
      const { collateral, surplus } = await positionOf();
      const { owner } = await execute(id, "0x");
      expect(owner.collateral).to.equal(collateral + surplus);
      expect((await positionOf()).debt).to.equal(0n);
    });

    it("what its owner took back: operators, allowance, position", async () => {
      await move(1_850);
      const id = await create(await deleverage());
      for (const operator of [orders, router]) {
        await m.vault.connect(trader).setOperator(operator, false);
        await expect(orders.quote(id))
          .to.be.revertedWithCustomError(orders, "NotOperator")
          .withArgs(m.vault, operator);
        await refused(id, "NotOperator");
        await m.vault.connect(trader).setOperator(operator, true);
      }
      const add = await create(await topUp());
      await expect(orders.quote(add))
        .to.be.revertedWithCustomError(orders, "InsufficientFunds")
        .withArgs(COL, 0n, (needed: bigint) => needed > 6n * ETH);
      await refused(add, "InsufficientFunds", "0x");
      await m.vault.connect(trader).transferPosition(trader, 0n, trader, 1n);
      for (const each of [id, add]) {
        await expect(orders.quote(each)).to.be.revertedWithCustomError(orders, "NoDebt").withArgs(trader, 0n);
      }
    });

    it("a target that no sale reaches any more, and one that is reached already", async () => {
      const id = await create(await deleverage());
      await move(1_385); // LTV 99.6 %, and a sale may be 1 % worse
      await refused(id, "TargetUnreachable");
      await move(2_300);
      const done = await create(
        await stopLoss({ kind: KIND.TakeProfit, level: price(2_250), target: 6_500n }),
      );
      await refused(done, "WouldMakeWorse");
    });
  });

  describe("has no use beyond its orders:", () => {
    it("K4: a market that lies neither gets at others' tokens nor calls in between", async () => {
      await m.fund(trader, { collateral: 10n * ETH });
      await m.collateral.connect(trader).approve(orders, MaxUint256);
      const victim = await create(await topUp());
      await move(1_850);
      // The thief's own position in the real market, which the false one answers for.
      const thief = m.signer(5);
      const market = await ethers.deployContract("LyingMarket", [m.vault]);
      await m.fund(thief, { collateral: 20n * ETH });
      await m.collateral.connect(thief).approve(orders, MaxUint256);
      await m.vault.connect(thief).adjust(thief, 0n, 10n * ETH, 14_500n * USDC, thief, "0x");
      const order = await topUp({ owner: thief.address, market: await market.getAddress() });
      const id = await create(order, thief);
      const attempt = async () => orders.connect(thief).execute(id, "0x", 0n, thief);
      const plan = async (target: { getAddress(): Promise<string> }, data: string) =>
        market.getFunction("plan").send([{ target: await target.getAddress(), data }]);

      await market.getFunction("plan").send([]);
      await expect(attempt()).to.be.revertedWithCustomError(orders, "WouldMakeWorse");
      await plan(orders, orders.interface.encodeFunctionData("execute", [victim, "0x", 0n, thief.address]));
      await expect(attempt()).to.be.revertedWithCustomError(orders, "ReentrancyGuardReentrantCall");
      const steal = m.collateral.interface.encodeFunctionData("transferFrom", [
        ...([trader.address, thief.address, 1n] as const),
      ]);
      await plan(m.collateral, steal);
      await expect(attempt()).to.be.revertedWithCustomError(m.collateral, "ERC20InsufficientAllowance");
      // It adds of its own and leaves what it was approved: that comes back, and the approval is gone.
      await m.collateral.mint(market, 10n * ETH);
      const approve = m.collateral.interface.encodeFunctionData("approve", [m.vault.target, MaxUint256]);
      const adjust = m.vault.interface.encodeFunctionData("adjust", [
        ...([thief.address, 0n, 5n * ETH, 0n, thief.address, "0x"] as const),
      ]);
      await market.getFunction("plan").send([
        { target: COL, data: approve },
        { target: m.vault.target, data: adjust },
      ]);
      const before = await m.collateral.balanceOf(thief);
      await expectUnchanged(attempt);
      expect(await m.collateral.allowance(orders, market)).to.equal(0n);
      // The tip went from the thief to the thief.
      expect(await m.collateral.balanceOf(thief)).to.equal(before);
    });
  });

  describe("lists", () => {
    it("what can be executed, page by page, as it then is", async () => {
      expect(await orders.executable([m.vault], 0n, 10n)).to.deep.equal([[], 0n]);
      const ids: bigint[] = [];
      for (const more of [
        {},
        { level: percent(80) },
        { sub: 7n },
        { target: 5_000n },
        { market: undefined },
      ]) {
        ids.push(await create(await deleverage(more as Partial<OrderStruct>)).catch(() => 0n));
      }
      ids.push(await create(await topUp())); // nothing approved
      ids.push(await create(await stopLoss({ level: price(1_860) })));
      await move(1_850);
      const { found, longest } = await orders.executable([m.vault], 0n, 100n);
      expect(longest).to.equal(6n);
      expect(found.map(({ id }) => id)).to.deep.equal([ids[0], ids[3], ids[6]]);
      for (const { id, market, quote } of found) {
        expect(market).to.equal(m.vault.target);
        expect(quote).to.deep.equal(await orders.quote(id));
      }
      const pages = await Promise.all(
        [0n, 3n, 6n].map(async (from) => orders.executable([m.vault], from, 3n)),
      );
      expect(pages.flatMap((page) => page.found.map(({ id }) => id))).to.deep.equal(
        found.map(({ id }) => id),
      );
      expect(pages.every((page) => page.longest === 6n)).to.equal(true);
      await execute(ids[6]!);
      expect((await orders.executable([m.vault], 0n, 100n)).found).to.deep.equal([]); // no debt
      expect((await orders.executable([COL], 0n, 100n)).longest).to.equal(0n);
      expect((await orders.executable([], 0n, 100n)).longest).to.equal(0n);
    });
  });

  it("K1 K2 K3: whatever the order and the price, keeps its bounds or moves nothing", async () => {
    const next = random(20_261_121);
    const between = (from: number, to: number) => from + (to - from) * next();
    await m.fund(trader, { collateral: 3_000n * ETH, debt: 5_000_000n * USDC });
    for (const token of [m.collateral, m.debt]) await token.connect(trader).approve(orders, MaxUint256);
    const done = new Map<string, number>();
    /** The SDK's arithmetic and the contract's: the same, or both refuse. */
    const expectParity = async (id: bigint, order: OrderStruct) => {
      const [view, p, scales, exact] = await Promise.all([
        lens.market(m.vault),
        positionOf(BigInt(order.sub)),
        m.vault.scales(),
        orders.quote(id).catch(() => undefined),
      ]);
      const state = {
        units: { spacing: m.parameters.spacing, ...unitsOf(scales) },
        borrowIndex: view.borrowIndex,
        priceLow: view.price.low,
        priceHigh: view.price.high,
        liquidationThreshold: view.risk.liquidationThreshold,
      };
      const terms = { ...order, kind: Object.keys(KIND)[Number(order.kind)] } as unknown as OrderTerms;
      const computed = () =>
        quoteOrder(terms, { tick: Number(p.tick), debt: p.bookDebt, surplus: p.surplus }, state);
      if (!exact) {
        expect(computed).to.throw(OrderRefused);
        return;
      }
      const { collateral, debt, ...rest } = computed();
      for (const [key, value] of Object.entries(rest))
        expect(exact[key as keyof typeof rest]).to.equal(value);
      if (exact.debt === MIN_INT256) expect(debt).to.equal(-p.debt);
      else expect([exact.collateral, exact.debt]).to.deep.equal([collateral, debt]);
    };
    const unitsOf = (scales: bigint[]) => {
      const [collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier] =
        scales as [bigint, bigint, bigint, bigint, bigint];
      return { collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier };
    };
    for (let round = 0; round < 25; round++) {
      await move(2_000);
      const sub = BigInt(round + 1);
      const collateral = BigInt(Math.round(between(1, 60) * 1e6)) * 10n ** 12n;
      const debt = (collateral * BigInt(Math.round(2_000e6 * between(0.3, 0.8)))) / ETH;
      await m.vault.connect(trader).adjust(trader, sub, collateral, debt, trader, "0x");
      const { ltvHigh } = await positionOf(sub);
      const kind = BigInt(round % 5);
      const byPrice = kind === KIND.StopLoss || kind === KIND.TakeProfit;
      const isClose = kind < KIND.TopUp && next() < 0.3;
      const keepCollateral = isClose && next() < 0.5;
      const dollars = kind === KIND.TakeProfit ? between(2_000, 2_400) : between(1_500, 2_000);
      const slippage = BigInt(Math.floor(between(0, 300)));
      const level = byPrice
        ? price(dollars * (kind === KIND.TakeProfit ? between(0.9, 1.05) : between(0.95, 1.1)))
        : (ltvHigh * BigInt(Math.round(between(0.98, 1.2) * 1e6))) / 1_000_000n;
      const inCollateral = kind === KIND.TopUp || keepCollateral;
      const tipMin = inCollateral ? ETH / 10_000n : USDC / 5n;
      const order = await deleverage({
        ...{ sub, kind, slippage, level, keepCollateral, tipMin },
        tipMax: tipMin * BigInt(Math.ceil(between(1, 100))),
        target: isClose ? 0n : BigInt(Math.floor((Number(ltvHigh) / 1e14) * between(0.5, 1.02))),
        budget: kind < KIND.TopUp ? 0n : inCollateral ? 1_000n * ETH : 1_000_000n * USDC,
      });
      const outcome = (name: string) => done.set(name, (done.get(name) ?? 0) + 1);
      const refuse = (error: unknown) => {
        outcome(explainRevert(error).name);
        return undefined;
      };
      const id = await create(order).catch(refuse);
      if (id === undefined) continue;
      await move(dollars);
      await movePool(dollars * between(0.97, 1.01));
      const before = await positionOf(sub);
      await expectParity(id, order);
      const [owned, tipped] = [await balances(trader), await balances(keeper)];
      const path = kind >= KIND.TopUp ? "0x" : keepCollateral ? back : down;
      const receipt = await orders
        .connect(keeper)
        .execute(id, path, 0n, keeper)
        .then(async (sent) => sent.wait())
        .catch(refuse);
      await expectEmpty();
      const after = await positionOf(sub);
      if (!receipt) {
        expect([after.bookDebt, after.collateral]).to.deep.equal([before.bookDebt, before.collateral]);
        expect(await balances(trader)).to.deep.equal(owned);
        continue;
      }
      outcome(Object.keys(KIND)[Number(kind)]!);
      const { quote } = reported(receipt);
      // K1: never a higher LTV, and at most the target.
      if (after.debt > 0n) {
        expect(after.ltvHigh).to.be.lessThan(before.ltvHigh);
        expect(after.ltvHigh * BPS).to.be.lessThanOrEqual(BigInt(order.target) * WAD);
        // Not much further either: what is sold or added is the least.
        expect(after.ltvHigh * BPS * 1_006n).to.be.greaterThan(BigInt(order.target) * WAD * 1_000n);
      } else expect(order.target).to.equal(0n);
      // K2: all that the owner has, at the oracle's price, falls by slippage and tip at most.
      const worth = (of: typeof after, wallet: typeof owned) =>
        ((of.collateral + of.surplus + wallet.collateral) * BigInt(Math.round(dollars * 1e8))) / 10n ** 20n +
        wallet.debt -
        of.debt;
      const [now, then] = [await balances(trader), await balances(keeper)];
      const tip = { collateral: then.collateral - tipped.collateral, debt: then.debt - tipped.debt };
      expect(inCollateral ? tip.collateral : tip.debt).to.equal(quote.tip);
      expect(quote.tip).to.be.within(BigInt(order.tipMin), BigInt(order.tipMax));
      const tipWorth = inCollateral
        ? (quote.tip * BigInt(Math.round(dollars * 1e8))) / 10n ** 20n
        : quote.tip;
      const sold = kind >= KIND.TopUp ? 0n : keepCollateral ? quote.limit : quote.amount;
      const soldWorth = (sold * BigInt(Math.round(dollars * 1e8))) / 10n ** 20n;
      const lost = worth(before, owned) - worth(after, now);
      expect(lost).to.be.lessThanOrEqual((soldWorth * slippage) / BPS + tipWorth + USDC / 100n);
      // K3: and nobody but the keeper got any of it: `expectEmpty` above, the tip here.
      expect(inCollateral ? tip.debt : tip.collateral).to.equal(0n);
    }
    // Each kind was executed, and some of each reason refused.
    for (const kind of Object.keys(KIND)) expect(done.get(kind) ?? 0, kind).to.be.greaterThan(0);
    expect(done.get("SlippageExceeded") ?? 0).to.be.greaterThan(0);
    expect(done.get("NotTriggered") ?? 0).to.be.greaterThan(0);
  });
});
