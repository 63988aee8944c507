import { expect } from "chai";
import { network } from "hardhat";
import type { ContractTransactionResponse } from "ethers";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import { Random } from "./differential/random.ts";
import {
  DAY,
  deployFundedMarket,
  ETH,
  HOUR,
  LEVEL,
  MAX_INT24,
  MAX_UINT256,
  MIN_INT256,
  orderOf,
  STATE,
  type FundedMarket,
  USD,
  USDC,
} from "./support/market.ts";

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;

const PLENTY = 10n ** 14n;
const PRICE = 2_000n * USD;

describe("Wind-down (W4, W5)", () => {
  let m: FundedMarket;
  let lens: FundedMarket["lens"];
  let lender: HardhatEthersSigner;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;

  async function fixture() {
    const market = await deployFundedMarket(connection, { maxAge: 400n * DAY });
    const [, alice] = market.accounts;
    await market.adjust(alice, 10n * ETH, 15_000n * USDC); // 75 %
    await market.adjust(alice, 10n * ETH, 700n * USDC, 1n); // 3.5 %
    return market;
  }

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [lender, alice, bob, keeper] = m.accounts;
    ({ lens } = m);
  });

  const liquidate = async (market = m, from = keeper) =>
    market.liquidator.connect(from).liquidate(await orderOf(market.vault, from, { maxRepay: PLENTY }), "0x");
  const settle = (owner: HardhatEthersSigner, sub: bigint, maxRepay = MAX_UINT256) =>
    m.vault.connect(keeper).settle(owner, sub, maxRepay, keeper);

  it("closes the market to new risk and to lenders who come, for ever; everything else goes on", async () => {
    await expect(m.vault.startWindDown(14n * DAY))
      .to.emit(m.vault, "StartWindDown")
      .withArgs(m.governor.address)
      .and.to.emit(m.vault, "SetRisk")
      .withArgs([0n, 8600n, 8300n, 150n, 800n, 0n]);
    const { windingDown, ramp, brakeLevel } = await lens.market(m.vault);
    expect(windingDown).to.equal(true);
    expect([ramp.toThreshold, ramp.toTarget, ramp.duration]).to.deep.equal([500n, 482n, 14n * DAY]);
    expect(brakeLevel).to.equal(LEVEL.NoNewRisk);

    const { vault } = m;
    await expect(m.adjust(bob, ETH, 100n * USDC)).to.be.revertedWithCustomError(vault, "NewRiskPaused");
    expect(await vault.maxDeposit(bob)).to.equal(0n);
    expect(await vault.maxMint(bob)).to.equal(0n);
    for (const call of [
      () => vault.connect(bob).deposit(USDC, bob),
      () => vault.connect(bob).mint(USDC, bob),
      () => vault.previewDeposit(USDC),
      () => vault.previewMint(USDC),
      () =>
        vault.setRisk({
          maxLtv: 8200n,
          liquidationThreshold: 8600n,
          target: 8300n,
          bonusMin: 150n,
          bonusMax: 800n,
          slope: 5000n,
        }),
      () =>
        vault.startRamp(
          {
            maxLtv: 82n,
            liquidationThreshold: 8600n,
            target: 8300n,
            bonusMin: 150n,
            bonusMax: 800n,
            slope: 0n,
          },
          3n * DAY,
        ),
      () => vault.stopRamp(),
      () => vault.startWindDown(14n * DAY),
    ]) {
      await expect(call()).to.be.revertedWithCustomError(vault, "WindingDown");
    }
    // A pause that ends, early or not, brings no new risk back.
    await m.brake.pause(vault, LEVEL.NoNewRisk, 3_600n, new Uint8Array(32));
    await time.increase(4_000n);
    expect((await lens.market(vault)).brakeLevel).to.equal(LEVEL.NoNewRisk);

    await m.adjust(alice, ETH, 0n);
    await m.adjust(alice, 0n, -1_000n * USDC);
    await m.adjust(alice, MIN_INT256, MIN_INT256);
    const most = await vault.maxWithdraw(lender);
    expect(most).to.be.greaterThan(9_900_000n * USDC);
    await vault.connect(lender).withdraw(most, lender, lender);
  });

  it("lasts 14 to 180 days, and brings both thresholds down by one factor", async () => {
    for (const duration of [14n * DAY - 1n, 180n * DAY + 1n]) {
      await expect(m.vault.startWindDown(duration))
        .to.be.revertedWithCustomError(m.vault, "InvalidDuration")
        .withArgs(duration, 14n * DAY, 180n * DAY);
    }
    await m.vault.startWindDown(20n * DAY);
    const began = BigInt(await time.latest());
    for (let day = 0n; day <= 20n; day += 2n) {
      await time.increaseTo(began + day * DAY + 1n);
      const { risk } = await lens.market(m.vault);
      // target / threshold = 8300 / 8600, but for whole basis points.
      expect(risk.target).to.be.within(
        (risk.liquidationThreshold * 8300n) / 8600n - 2n,
        (risk.liquidationThreshold * 8300n) / 8600n,
      );
    }
    expect((await lens.market(m.vault)).risk.liquidationThreshold).to.equal(500n);
  });

  it("sells at the minimum bonus, however far beyond the threshold", async () => {
    await m.vault.startWindDown(14n * DAY);
    await time.increase(12n * DAY);
    const before = await m.collateral.balanceOf(keeper);
    const paid = await m.debt.balanceOf(keeper);
    await liquidate();
    const repaid = paid - (await m.debt.balanceOf(keeper));
    const seized = (await m.collateral.balanceOf(keeper)) - before;
    // 1.5 % and no more, of 2,000 dollars each.
    expect((seized * 2_000n * 10_000n) / (repaid * 10n ** 12n)).to.be.within(10_149n, 10_150n);
  });

  it("stops its clock on a dead price, where repaying and leaving work", async () => {
    await m.kill();
    await m.vault.startWindDown(14n * DAY);
    await time.increase(30n * DAY);
    expect((await lens.market(m.vault)).risk.liquidationThreshold).to.equal(8600n);
    await m.adjust(bob, 0n, -1_000n * USDC, 0n, alice);
    await m.vault.connect(alice).withdrawSurplus(alice, 0, MAX_UINT256, alice);
    await m.adjust(alice, MIN_INT256, MIN_INT256, 1n);
    await m.heal();
    await m.vault.connect(bob).pokeRamp();
    await time.increase(7n * DAY);
    expect((await lens.market(m.vault)).risk.liquidationThreshold).to.be.within(4549n, 4551n);
    await m.kill();
    await m.vault.connect(bob).pokeRamp();
    await time.increase(30n * DAY);
    await expect(settle(alice, 0n)).to.be.revertedWithCustomError(m.vault, "NotWoundDown");
    await m.adjust(alice, MIN_INT256, MIN_INT256);
    expect((await lens.market(m.vault)).totalDebt).to.equal(0n);
  });

  it("is started by anyone once the oracle proves that it was dead for a week and lives", async () => {
    const start = () => m.vault.connect(bob).startWindDownDead();
    await expect(start())
      .to.be.revertedWithCustomError(m.vault, "NotProvenDead")
      .withArgs(0n, 7n * DAY);
    await m.oracle.update();
    await m.kill();
    const look = async (hours: number) => {
      for (let hour = 0; hour < hours; hour++) {
        await m.oracle.update(); // anyone's: what is not seen hourly proves nothing
        await time.increase(HOUR - 10n);
      }
    };
    await look(7 * 24);
    await m.oracle.update();
    expect((await m.oracle.read()).state).to.equal(STATE.Dead);
    await expect(start()).to.be.revertedWithCustomError(m.vault, "NotProvenDead"); // it does not live
    await m.heal();
    await m.setPrices(PRICE, USD);
    await expect(start())
      .to.be.revertedWithCustomError(m.vault, "NotProvenDead")
      .withArgs((proven: bigint) => proven > 6n * DAY && proven < 7n * DAY, 7n * DAY);
    await m.kill();
    await look(7 * 24 + 1);
    await m.oracle.update();
    await m.heal();
    await m.setPrices(PRICE, USD);
    await expect(m.vault.connect(bob).startWindDownDead())
      .to.emit(m.vault, "StartWindDown")
      .withArgs(bob.address);
    expect((await lens.market(m.vault)).ramp.duration).to.equal(14n * DAY);
    await expect(m.vault.connect(bob).startWindDownDead()).to.be.revertedWithCustomError(
      m.vault,
      "WindingDown",
    );
  });

  it("sells for bonusMax at most while the sources are apart", async () => {
    await m.vault.startWindDown(14n * DAY);
    await time.increase(12n * DAY);
    await m.setSource(m.feeds.primary, PRICE / 2n, USD);
    await m.setSource(m.feeds.primary, PRICE / 2n, USD); // two rounds of a wrong source
    await m.setSource(m.feeds.second, PRICE, USD);
    expect((await m.oracle.read()).state).to.equal(STATE.Diverged);
    const [before, holding] = await Promise.all([m.debt.balanceOf(keeper), m.collateral.balanceOf(keeper)]);
    await liquidate();
    const repaid = before - (await m.debt.balanceOf(keeper));
    const worth = (((await m.collateral.balanceOf(keeper)) - holding) * 2_000n * USDC) / ETH;
    expect(repaid).to.be.greaterThan(1_000n * USDC);
    expect(worth).to.be.lessThanOrEqual((repaid * 10_801n) / 10_000n);
    expect(worth).to.be.greaterThan((repaid * 10_790n) / 10_000n); // as much as that: the gap is far wider
  });

  describe("settling", () => {
    const complete = async () => {
      await m.vault.startWindDown(14n * DAY);
      await time.increase(14n * DAY);
    };

    it("waits for the end of the ramp, the brake and a price", async () => {
      await expect(settle(alice, 1n))
        .to.be.revertedWithCustomError(m.vault, "NotWoundDown")
        .withArgs(MAX_UINT256);
      await m.vault.startWindDown(14n * DAY);
      const began = BigInt(await time.latest());
      await time.setNextBlockTimestamp(began + 14n * DAY - 1n);
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "NotWoundDown").withArgs(1n);
      await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 3_600n, new Uint8Array(32));
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "NotWoundDown");
      await time.increase(8_000n);
      await m.brake.pause(m.vault, LEVEL.LiquidationsPaused, 3_600n, new Uint8Array(32));
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "LiquidationsPaused");
      await time.increase(3_600n);
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "LiquidationsPaused"); // grace
      await time.increase(3_601n);
      await m.kill();
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "PriceDead");
      await m.heal();
      await settle(alice, 1n);
    });

    it("pays a position's debt for collateral of that worth and the minimum bonus; the rest stays the owner's", async () => {
      await complete();
      const [before, holding] = await Promise.all([
        lens.position(m.vault, alice, 1),
        m.collateral.balanceOf(keeper),
      ]);
      const paid = await m.debt.balanceOf(keeper);
      await expect(settle(alice, 1n)).to.emit(m.vault, "Settle");
      const repaid = paid - (await m.debt.balanceOf(keeper));
      const seized = (await m.collateral.balanceOf(keeper)) - holding;
      expect(repaid).to.be.within(before.debt, before.debt + 1n);
      // At 2,000 dollars; never more than the bonus allows.
      expect(seized).to.be.within(
        (repaid * 10n ** 12n * 1_0149n) / 2_000_0000n,
        (repaid * 10n ** 12n * 10_150n) / 20_000_000n,
      );
      const after = await lens.position(m.vault, alice, 1);
      expect([after.debt, after.node]).to.deep.equal([0n, 0n]);
      const whole = before.collateral + before.surplus - seized;
      expect(after.surplus).to.be.within(whole - 2n, whole);
      const owned = await m.collateral.balanceOf(alice);
      await m.vault.connect(alice).withdrawSurplus(alice, 1, MAX_UINT256, alice);
      expect((await m.collateral.balanceOf(alice)) - owned).to.equal(after.surplus);
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "NothingToSettle");
    });

    it("may be done in part, each part at the same price, and never raises the LTV", async () => {
      await complete();
      const before = await lens.position(m.vault, alice, 1);
      await settle(alice, 1n, 100n * USDC);
      const after = await lens.position(m.vault, alice, 1);
      expect(before.debt - after.debt).to.be.within(99_990_000n, 100n * USDC);
      expect(after.tick).to.be.lessThan(before.tick);
      const gone = before.collateral + before.surplus - after.collateral - after.surplus;
      expect(gone).to.be.within((1_0149n * 100n * ETH) / 2_000_0000n, (1_0151n * 100n * ETH) / 2_000_0000n);
      await expect(settle(alice, 1n, 0n)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
      await settle(alice, 1n);
      expect((await lens.position(m.vault, alice, 1)).debt).to.equal(0n);
    });

    it("does not let a source that is wrong choose the price", async () => {
      await complete();
      await m.setSource(m.feeds.second, (PRICE * 70n) / 100n);
      expect((await m.oracle.read()).state).to.equal(STATE.Diverged);
      const holding = await m.collateral.balanceOf(keeper);
      await settle(alice, 1n, 100n * USDC);
      const seized = (await m.collateral.balanceOf(keeper)) - holding;
      expect(seized).to.be.within((1_0149n * 100n * ETH) / 2_000_0000n, (10_150n * 100n * ETH) / 20_000_000n);
    });

    it("leaves an insolvent position to be seized with its tick", async () => {
      await complete();
      await m.setPrices(60n * USD); // 70 dollars of debt a piece of collateral
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.vault, "NothingToSettle");
      await m.liquidator.connect(keeper).seize(m.vault, 0);
    });

    it("is paid by the caller, or does nothing", async () => {
      await complete();
      await m.debt.connect(keeper).approve(m.vault, 0n);
      await expect(settle(alice, 1n)).to.be.revertedWithCustomError(m.debt, "ERC20InsufficientAllowance");
    });
  });

  it("settles every one of 500 positions: lenders get all but booked losses, owners the rest, totals reach 0", async function () {
    this.timeout(600_000);
    const random = new Random(20n);
    const { vault } = m;
    const owners = [alice, bob];
    const lenders = [lender, m.signer(5)];
    await m.fund(lenders[1]!, { debt: 20_000_000n * USDC });
    await vault.connect(lenders[1]).deposit(5_000_000n * USDC, lenders[1]!);
    const paidIn = 15_000_000n * USDC;
    await m.adjust(alice, MIN_INT256, MIN_INT256);
    await m.adjust(alice, MIN_INT256, MIN_INT256, 1n);
    const positions: { owner: HardhatEthersSigner; sub: bigint }[] = [];
    for (let i = 0n; i < 500n; i++) {
      const owner = owners[Number(i % 2n)]!;
      const units = random.between(ETH / 10n, 20n * ETH);
      // From 1 % to 81.9 %: a tenth so little that no ramp reaches them.
      const ltv = random.chance(10) ? random.between(100n, 480n) : random.between(500n, 8_190n);
      await vault
        .connect(owner)
        .adjust(
          owner,
          1_000n + i,
          units,
          (units * 2_000n * ltv) / (10_000n * 10n ** 12n) + 10n * USDC,
          owner,
          "0x",
        );
      positions.push({ owner, sub: 1_000n + i });
    }

    await vault.startWindDown(14n * DAY);
    let price = PRICE;
    let booked = 0n;
    let out = 0n;
    const count = async (transaction: Promise<ContractTransactionResponse>) => {
      const receipt = await (await transaction).wait();
      for (const log of receipt!.logs) {
        const event = m.vault.interface.parseLog(log);
        if (event?.name === "ChangePot") booked += (event.args.report as { lendersLoss: bigint }).lendersLoss;
      }
    };
    for (let step = 0; step < 58; step++) {
      await time.increase(6n * HOUR);
      // One crash, so that something is insolvent; otherwise it wanders.
      price = step === 6 ? (price * 70n) / 100n : (price * random.between(9_900n, 10_105n)) / 10_000n;
      await m.setPrices(price);
      const { verdict } = await lens.liquidation(vault, PLENTY, MAX_INT24, 0, true);
      if (verdict === 0n) await count(liquidate());
      // Lenders leave as cash comes, as much as the views say, and never more than there is.
      const who = lenders[step % 2]!;
      const most = ((await vault.maxWithdraw(who)) * 9n) / 10n;
      if (most > 100_000n * USDC) {
        await vault.connect(who).withdraw(most, who, who);
        out += most;
      }
    }
    const { ramp, rampElapsed } = await lens.market(vault);
    expect(rampElapsed).to.equal(ramp.duration);
    expect(booked, "a loss was booked").to.be.greaterThan(0n);

    let settled = 0;
    for (const { owner, sub } of positions) {
      if ((await lens.position(vault, owner, sub)).debt === 0n) continue;
      await settle(owner, sub);
      settled++;
    }
    expect(settled).to.be.greaterThan(400);
    const end = await lens.market(vault);
    expect([end.bookDebt, end.totalDebt, end.potDebt, end.potCollateral]).to.deep.equal([0n, 0n, 0n, 0n]);
    expect(end.populated).to.equal(false);

    for (const who of lenders) {
      const shares = await vault.maxRedeem(who);
      expect(shares).to.equal(await vault.balanceOf(who));
      out += await vault.connect(who).redeem.staticCall(shares, who, who);
      await vault.connect(who).redeem(shares, who, who);
    }
    expect(await vault.totalSupply()).to.equal(0n);
    // What they paid in, less what was booked on them, and their part of the interest.
    expect(out).to.be.at.least(paidIn - booked);
    const { cash, reserves } = await lens.market(vault);
    expect(cash).to.be.within(reserves, reserves + 10n);

    for (const { owner, sub } of positions) {
      const { surplus, collateral: margin } = await lens.position(vault, owner, sub);
      expect(margin).to.equal(0n);
      if (surplus !== 0n) await vault.connect(owner).withdrawSurplus(owner, sub, MAX_UINT256, owner);
    }
    // Dust of roundings, in favour of the vault.
    expect(await m.collateral.balanceOf(vault)).to.be.at.most(5_000n);
  });
});
