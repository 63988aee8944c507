import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  deployFundedMarket,
  deployMarket,
  ETH,
  type FundedMarket,
  LEVEL,
  MAX_UINT256,
  MIN_INT256,
  STATE,
  USD,
  USDC,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const fixture = () => deployFundedMarket(connection);

describe("Vault adjust", () => {
  let m: FundedMarket;
  let lender: HardhatEthersSigner;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [lender, alice, bob] = m.accounts;
  });

  it("opens, tops up, repays, withdraws and closes; what comes back is what went in, but for the interest", async () => {
    await m.adjust(alice, ETH, 1_500n * USDC);
    await m.adjust(alice, ETH / 2n, 0n);
    await m.adjust(alice, 0n, -500n * USDC);
    await m.adjust(alice, -ETH / 4n, 0n);
    await m.adjust(alice, MIN_INT256, MIN_INT256);
    // each change may leave one unit behind: rounding favours solvency
    expect(await m.collateral.balanceOf(alice)).to.be.within(10_000n * ETH - 5n, 10_000n * ETH);
    const paid = 20_000_000n * USDC - (await m.debt.balanceOf(alice));
    expect(paid).to.be.within(1n, 1_000n);
    expect(await m.vault.totalAssets(), "nobody pays for it").to.be.within(
      10_000_000n * USDC,
      10_000_000n * USDC + paid,
    );
    expect(await m.collateral.balanceOf(m.vault)).to.be.at.most(5n);
  });

  it("keeps sub-accounts apart", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC, 0n);
    await m.adjust(alice, ETH, 0n, 1n);
    await m.adjust(alice, MIN_INT256, 0n, 1n);
    await expect(m.adjust(alice, MIN_INT256, 0n, 0n)).to.be.revertedWithCustomError(
      m.vault,
      "DebtWithoutCollateral",
    );
  });

  it("repays what is owed when asked for more, for anyone", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC);
    await expect(m.adjust(bob, 0n, -5_000n * USDC, 0n, alice)).to.changeTokenBalances(
      ethers,
      m.debt,
      [bob, m.vault],
      [-1_000_000_001n, 1_000_000_001n],
    );
    await m.adjust(alice, MIN_INT256, 0n);
  });

  it("gives a borrower's contract the tokens before it pays, and counts what is receivable meanwhile", async () => {
    const caller = await ethers.deployContract("CallbackCaller");
    const before = await m.vault.totalAssets();
    const mint = m.collateral.interface.encodeFunctionData("mint", [await caller.getAddress(), ETH]);
    const approve = m.collateral.interface.encodeFunctionData("approve", [await m.vault.getAddress(), ETH]);
    const token = await m.collateral.getAddress();
    await caller.adjust(m.vault, 0n, ETH, 1_000n * USDC, [
      { target: token, data: mint },
      { target: token, data: approve },
    ]);
    expect(await m.debt.balanceOf(caller)).to.equal(1_000n * USDC);
    expect(await caller.seenTotalAssets()).to.be.within(before, before + 1n);
  });

  it("reverts when a callback re-enters, in every entry, and nothing is lost", async () => {
    const caller = await ethers.deployContract("CallbackCaller");
    const self = await caller.getAddress();
    await m.collateral.mint(self, ETH);
    const i = m.vault.interface;
    const target = await m.vault.getAddress();
    const entries = [
      i.encodeFunctionData("adjust", [self, 0n, 1n, 0n, self, "0x"]),
      i.encodeFunctionData("withdrawSurplus", [self, 0n, 1n, self]),
      i.encodeFunctionData("deposit", [1n, self]),
      i.encodeFunctionData("mint", [1n, self]),
      i.encodeFunctionData("withdraw", [1n, self, self]),
      i.encodeFunctionData("redeem", [1n, self, self]),
      i.encodeFunctionData("transferPosition", [self, 0n, self, 1n]),
      i.encodeFunctionData("settle", [self, 0n, 1n, self]),
      i.getFunction("collectReserves").selector,
      i.getFunction("accrueInterest").selector,
    ];
    const liquidator = await m.liquidator.getAddress();
    const seize = m.liquidator.interface.encodeFunctionData("seize", [target, 1n]);
    await expect(
      caller.adjust(m.vault, 0n, ETH, 1_000n * USDC, [{ target: liquidator, data: seize }]),
    ).to.be.revertedWithCustomError(m.vault, "ReentrancyGuardReentrantCall");
    for (const data of entries) {
      await expect(
        caller.adjust(m.vault, 0n, ETH, 1_000n * USDC, [{ target, data }]),
      ).to.be.revertedWithCustomError(m.vault, "ReentrancyGuardReentrantCall");
    }
    expect(await m.debt.balanceOf(caller)).to.equal(0n);
  });

  it("refuses zero and dust, with nothing changed", async () => {
    await expect(m.adjust(alice, 0n, 0n)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
    const small = await deployMarket(connection, { collateralDecimals: 24, collateralPrice: 2_000n * USD });
    await small.fund(alice, { collateral: 10n ** 24n });
    await expect(
      small.vault.connect(alice).adjust(alice, 0n, 999_999n, 0n, alice, "0x"),
    ).to.be.revertedWithCustomError(small.vault, "ZeroAmount");
  });

  it("refuses a debt below the minimum, but lets a repayment leave one", async () => {
    await expect(m.adjust(alice, ETH, 9n * USDC))
      .to.be.revertedWithCustomError(m.vault, "DebtTooSmall")
      .withArgs((debt: bigint) => debt >= 9n * ETH && debt <= 9n * ETH + 1n, 10n * ETH);
    await m.adjust(alice, ETH, 100n * USDC);
    await m.adjust(alice, 0n, -99n * USDC);
  });

  it("refuses more than the caps, but lets a top-up through", async () => {
    await m.vault.setCaps({ debt: 1_000_000_000n, collateral: 2_000_000n, minDebt: 0n });
    await expect(m.adjust(alice, ETH, 1_001n * USDC)).to.be.revertedWithCustomError(
      m.vault,
      "DebtCapExceeded",
    );
    await expect(m.adjust(alice, 3n * ETH, 100n * USDC))
      .to.be.revertedWithCustomError(m.vault, "CollateralCapExceeded")
      .withArgs(3n * ETH, 2n * ETH);
    await m.adjust(alice, ETH, 900n * USDC);
    await m.adjust(alice, 5n * ETH, 0n);
    await m.adjust(alice, 0n, -100n * USDC);
  });

  it("counts everybody's debt in the debt cap", async () => {
    await m.vault.setCaps({ debt: 1_000_000_000n, collateral: 10_000_000_000n, minDebt: 0n });
    await m.adjust(alice, ETH, 900n * USDC);
    await expect(m.adjust(bob, ETH, 101n * USDC))
      .to.be.revertedWithCustomError(m.vault, "DebtCapExceeded")
      .withArgs((debt: bigint) => debt >= 1_001n * ETH && debt < 1_002n * ETH, 1_000n * ETH);
    await m.adjust(bob, ETH, 99n * USDC);
  });

  it("lowers the maximum LTV while the price is restless", async () => {
    const market = await deployMarket(connection, { maxLtvCut: 1_000n });
    const [lend, borrow] = [market.signer(1), market.signer(2)];
    await market.fund(lend, { debt: 10_000_000n * USDC });
    await market.fund(borrow, { collateral: 10n * ETH });
    await market.vault.connect(lend).deposit(1_000_000n * USDC, lend);
    for (const price of [2_000n, 1_200n, 2_000n]) {
      await networkHelpers.time.increase(400);
      await market.setPrices(price * USD);
      await market.oracle.update();
    }
    const { maxLtvCut } = await market.oracle.read();
    expect(maxLtvCut).to.equal(1_000n);
    const open = async (debt: bigint) =>
      market.vault.connect(borrow).adjust(borrow, 0n, ETH, debt, borrow, "0x");
    await expect(open(1_500n * USDC))
      .to.be.revertedWithCustomError(market.vault, "LtvTooHigh")
      .withArgs((ltv: bigint) => ltv >= (75n * ETH) / 100n, (738n * ETH) / 1_000n);
    await open(1_470n * USDC);
  });

  it("measures it at the lower price", async () => {
    await m.setSource(m.feeds.second, 2_040n * USD);
    expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
    await expect(m.adjust(alice, ETH, 1_650n * USDC)).to.be.revertedWithCustomError(m.vault, "LtvTooHigh");
    await m.adjust(alice, ETH, 1_635n * USDC);
  });

  it("allows the maximum itself", async () => {
    // Tick 0 is a debt unit for a collateral unit: at 1.25 its LTV is 80 % exactly.
    const market = await deployMarket(connection, {
      ...{ collateralDecimals: 18, debtDecimals: 18, collateralPrice: 125_000_000n },
      risk: { maxLtv: 8_000n },
    });
    const [lend, borrow] = [market.signer(1), market.signer(2)];
    await market.fund(lend, { debt: 1_000n * ETH });
    await market.fund(borrow, { collateral: 100n * ETH });
    await market.vault.connect(lend).deposit(1_000n * ETH, lend);
    await market.vault.connect(borrow).adjust(borrow, 0n, 100n * ETH, 100n * ETH, borrow, "0x");
    expect(await market.vault.totalAssets()).to.be.at.least(1_000n * ETH);
  });

  it("refuses an LTV above the maximum and says both", async () => {
    await expect(m.adjust(alice, ETH, 1_641n * USDC))
      .to.be.revertedWithCustomError(m.vault, "LtvTooHigh")
      .withArgs((ltv: bigint) => ltv > (82n * ETH) / 100n && ltv < (83n * ETH) / 100n, (82n * ETH) / 100n);
  });

  it("refuses more than the market's cash, the balance, or the position", async () => {
    await expect(m.adjust(alice, 9_000n * ETH, 10_000_001n * USDC))
      .to.be.revertedWithCustomError(m.vault, "InsufficientCash")
      .withArgs(10_000_001n * USDC, 10_000_000n * USDC);
    await expect(m.adjust(alice, 10_001n * ETH, 0n)).to.be.revertedWithCustomError(
      m.collateral,
      "ERC20InsufficientBalance",
    );
    await m.adjust(alice, ETH, 0n);
    await expect(m.adjust(alice, -2n * ETH, 0n))
      .to.be.revertedWithCustomError(m.vault, "InsufficientCollateral")
      .withArgs(2n * ETH, ETH);
    await expect(m.adjust(alice, 2n ** 200n, 0n))
      .to.be.revertedWithCustomError(m.vault, "AmountTooLarge")
      .withArgs(2n ** 200n, 2n ** 128n - 1n);
    await expect(m.adjust(alice, 0n, 2n ** 200n)).to.be.revertedWithCustomError(m.vault, "AmountTooLarge");
  });

  it("takes amounts of up to 128 bits as numbers, and no larger ones", async () => {
    const most = 2n ** 128n - 1n;
    for (const [collateral, debt] of [
      [most + 1n, 0n],
      [-most - 1n, 0n],
      [0n, most + 1n],
    ] as const) {
      await expect(m.adjust(alice, collateral, debt))
        .to.be.revertedWithCustomError(m.vault, "AmountTooLarge")
        .withArgs(most + 1n, most);
    }
    await expect(m.adjust(alice, most, 0n)).to.be.revertedWithCustomError(m.vault, "TooMuchCollateral");
    await expect(m.adjust(alice, -most, 0n)).to.be.revertedWithCustomError(m.vault, "InsufficientCollateral");
    await expect(m.adjust(alice, 0n, most)).to.be.revertedWithCustomError(m.vault, "DebtWithoutCollateral");
    await m.adjust(alice, ETH, 1_000n * USDC);
    await m.adjust(alice, 0n, -most - 1n); // whoever repays more repays everything
    await m.adjust(alice, MIN_INT256, 0n);
  });

  it("lets a debt of exactly the minimum and of exactly the caps through", async () => {
    await m.vault.setCaps({ debt: 1_000_000_000n, collateral: 1_000_000n, minDebt: 1_000_000_000n });
    await expect(m.adjust(alice, ETH, 1_000n * USDC - 1n)).to.be.revertedWithCustomError(
      m.vault,
      "DebtTooSmall",
    );
    await expect(m.adjust(alice, ETH + 1n, 1_000n * USDC))
      .to.be.revertedWithCustomError(m.vault, "CollateralCapExceeded")
      .withArgs(ETH + 1n, ETH);
    await expect(m.adjust(alice, ETH, 1_000n * USDC + 1n))
      .to.be.revertedWithCustomError(m.vault, "DebtCapExceeded")
      .withArgs(1_000n * ETH + 10n ** 12n, 1_000n * ETH);
    await m.adjust(alice, ETH, 1_000n * USDC);
  });

  it("caps collateral in whole tokens, whatever its unit in the book", async () => {
    const market = await deployMarket(connection, {
      collateralUnitDecimals: 12,
      caps: { collateral: 2_000_000n, minDebt: 0n },
    });
    const [lend, borrow] = [market.signer(1), market.signer(2)];
    await market.fund(lend, { debt: 10_000n * USDC });
    await market.fund(borrow, { collateral: 10n * ETH });
    await market.vault.connect(lend).deposit(10_000n * USDC, lend);
    const open = async (collateral: bigint) =>
      market.vault.connect(borrow).adjust(borrow, 0n, collateral, 100n * USDC, borrow, "0x");
    await expect(open(3n * ETH))
      .to.be.revertedWithCustomError(market.vault, "CollateralCapExceeded")
      .withArgs(3n * 10n ** 12n, 2n * 10n ** 12n);
    await open(2n * ETH);
  });

  it("counts what comes in and what goes out in the collateral cap", async () => {
    await m.adjust(alice, 3n * ETH, 1_000n * USDC);
    await m.vault.setCaps({ debt: 2n ** 79n, collateral: 2_000_000n, minDebt: 0n });
    await expect(m.adjust(alice, -ETH / 2n, USDC))
      .to.be.revertedWithCustomError(m.vault, "CollateralCapExceeded")
      .withArgs((5n * ETH) / 2n, 2n * ETH);
    await m.adjust(alice, -ETH, USDC);
  });

  it("lets collateral out beyond the caps and below the minimum, while the LTV allows it", async () => {
    await m.adjust(alice, 2n * ETH, 1_000n * USDC);
    await m.vault.setCaps({ debt: 1n, collateral: 1n, minDebt: 2_000_000_000n });
    await m.adjust(alice, -ETH, 0n);
    await expect(m.adjust(alice, -ETH / 2n, 0n)).to.be.revertedWithCustomError(m.vault, "LtvTooHigh");
  });

  it("needs no price where the tick does not rise, nor to close one below 1", async () => {
    await m.adjust(alice, 10n * ETH, 10_003n * USDC);
    const surplus = await m.vault.connect(alice).withdrawSurplus.staticCall(alice, 0n, MAX_UINT256, alice);
    const cheap = await deployMarket(connection, { collateralPrice: USD / 100n, debtDecimals: 18 });
    await cheap.fund(lender, { debt: 1_000n * ETH });
    await cheap.vault.connect(lender).deposit(1_000n * ETH, lender);
    await cheap.fund(alice, { collateral: 10_000n * ETH });
    await cheap.vault.connect(alice).adjust(alice, 0n, 10_000n * ETH, 50n * ETH, alice, "0x");
    await cheap.fund(alice, { debt: ETH });
    for (const market of [m, cheap]) await market.kill();
    await m.adjust(alice, -surplus / 2n, 0n);
    await cheap.vault.connect(alice).adjust(alice, 0n, MIN_INT256, MIN_INT256, alice, "0x");
  });

  it("rounds amounts finer than its units against whoever moves them", async () => {
    const fine = await deployMarket(connection, {
      collateralDecimals: 24,
      debtDecimals: 24,
      caps: { minDebt: 0n },
    });
    await fine.fund(lender, { debt: 10n ** 30n });
    await fine.vault.connect(lender).deposit(10n ** 30n, lender);
    await fine.fund(alice, { collateral: 10n ** 30n });
    const move = (collateral: bigint, debt: bigint) =>
      fine.vault.connect(alice).adjust(alice, 0n, collateral, debt, alice, "0x");
    await move(10n ** 26n + 999_999n, 0n); // the last is no whole unit
    await move(-1n, 0n);
    const owned = await fine.collateral.balanceOf(alice);
    await move(MIN_INT256, 0n);
    expect((await fine.collateral.balanceOf(alice)) - owned).to.equal(10n ** 26n - 1_000_000n);
    await move(10n ** 26n, 10n ** 27n + 1n);
    const lens = await ethers.deployContract("Lens");
    expect((await lens.position(fine.vault, alice, 0n)).debt).to.be.at.least(10n ** 27n + 1_000_000n);
    await fine.fund(alice, { debt: 10n });
    await expect(move(0n, -1n)).to.be.revertedWithCustomError(fine.vault, "ZeroAmount");
  });

  it("leaves the ledger alone when collateral comes", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC);
    await networkHelpers.time.increase(1_000);
    const slots = async () => Promise.all([0, 1].map((slot) => m.vault.readSlot(ethers.toBeHex(slot, 32))));
    const before = await slots();
    await m.adjust(alice, ETH, 0n);
    expect(await slots()).to.deep.equal(before);
    await m.adjust(alice, -ETH, 0n);
    expect(await slots()).not.to.deep.equal(before);
  });

  it("says what it changed", async () => {
    await expect(m.adjust(alice, ETH, 1_000n * USDC))
      .to.emit(m.vault, "Adjust")
      .withArgs(
        alice.address,
        0n,
        alice.address,
        ETH,
        1_000n * USDC,
        (tick: bigint) => tick > 0n,
        (node: bigint) => node > 0n,
        1_000n * ETH,
        1_000n * ETH,
        (surplus: bigint) => surplus > 0n,
        (index: bigint) => index > 0n,
      );
    expect(await m.vault.connect(alice).adjust.staticCall(alice, 0n, 5n, -7n, alice, "0x")).to.deep.equal([
      5n,
      -7n,
    ]);
  });

  it("says no index where none is needed", async () => {
    await m.adjust(alice, ETH, 0n);
    const [event] = await m.vault.queryFilter(m.vault.filters.Adjust(alice));
    expect(event!.args.borrowIndex).to.equal(0n);
  });

  it("moves the tokens that it names, and no others", async () => {
    const changes: [bigint, bigint][] = [
      [2n * ETH, 0n],
      [0n, 1_000n * USDC],
      [0n, -100n * USDC],
      [-ETH / 10n, 0n],
    ];
    for (const [collateral, debt] of changes) {
      const { logs } = (await (await m.adjust(alice, collateral, debt)).wait())!;
      const moved = logs.filter(({ topics }) => topics[0] === m.debt.getEvent("Transfer").fragment.topicHash);
      expect(moved.map(({ address }) => address)).to.deep.equal([
        await (debt === 0n ? m.collateral : m.debt).getAddress(),
      ]);
    }
  });

  it("tells a borrower's contract what it owes, and nothing of what it gets", async () => {
    const borrower = await ethers.deployContract("CallbackRecorder");
    for (const token of [m.collateral, m.debt]) {
      await token.mint(borrower, 1_000n * ETH);
      const approval = token.interface.encodeFunctionData("approve", [
        await m.vault.getAddress(),
        MAX_UINT256,
      ]);
      await borrower.getFunction("call")(token, approval);
    }
    for (const [collateral, debt] of [
      [ETH, 1_000n * USDC],
      [-ETH / 10n, -500n * USDC],
    ] as const) {
      const data = m.vault.interface.encodeFunctionData("adjust", [
        await borrower.getAddress(),
        0n,
        collateral,
        debt,
        bob.address,
        "0x1234",
      ]);
      await expect(borrower.getFunction("call")(m.vault, data))
        .to.emit(borrower, "Adjusted")
        .withArgs(
          await m.vault.getAddress(),
          collateral > 0n ? collateral : 0n,
          debt < 0n ? -debt : 0n,
          "0x1234",
        );
    }
    expect(await m.debt.balanceOf(bob)).to.equal(20_001_000n * USDC);
  });

  it("refuses a stranger who borrows or withdraws", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC);
    for (const [c, d] of [
      [-1n, 0n],
      [0n, 1n],
      [MIN_INT256, MIN_INT256],
    ] as const) {
      await expect(m.adjust(bob, c, d, 0n, alice))
        .to.be.revertedWithCustomError(m.vault, "NotAuthorized")
        .withArgs(bob.address, alice.address);
    }
  });

  it("takes no new risk on a price that is not Fresh, but lets everybody reduce and leave", async () => {
    await m.adjust(alice, 10n * ETH, 10_000n * USDC);
    await m.adjust(bob, 10n * ETH, 10_000n * USDC);
    await m.setSource(m.feeds.primary, 2_100n * USD);
    await m.setSource(m.feeds.second, 1_900n * USD);
    expect((await m.oracle.read()).state).to.equal(STATE.Diverged);
    await expect(m.adjust(alice, 0n, USDC))
      .to.be.revertedWithCustomError(m.vault, "PriceNotFresh")
      .withArgs(STATE.Diverged);
    await m.kill();
    expect((await m.oracle.read()).state).to.equal(STATE.Dead);
    await expect(m.adjust(alice, -ETH, 0n))
      .to.be.revertedWithCustomError(m.vault, "PriceNotFresh")
      .withArgs(STATE.Dead);
    await m.adjust(alice, ETH, 0n);
    await m.adjust(alice, 0n, -1_000n * USDC);
    await m.adjust(alice, -2n * ETH, -3_000n * USDC); // unwinding that lowers the tick
    await m.adjust(alice, MIN_INT256, MIN_INT256);
    await m.adjust(bob, MIN_INT256, MIN_INT256);
  });

  it("takes no new risk under any level of the brake, but lets everybody reduce and leave", async () => {
    for (const level of [LEVEL.NoNewRisk, LEVEL.LiquidationsPaused]) {
      await m.adjust(alice, 10n * ETH, 10_000n * USDC);
      await m.pause(level, 600n);
      await expect(m.adjust(alice, 0n, USDC))
        .to.be.revertedWithCustomError(m.vault, "NewRiskPaused")
        .withArgs(level);
      await m.adjust(alice, ETH, -1_000n * USDC);
      await m.adjust(alice, MIN_INT256, MIN_INT256);
      await networkHelpers.time.increase(601);
      if (level === LEVEL.LiquidationsPaused) {
        await expect(m.adjust(alice, ETH, 100n * USDC))
          .to.be.revertedWithCustomError(m.vault, "NewRiskPaused")
          .withArgs(LEVEL.Grace);
        await networkHelpers.time.increase(600);
      }
    }
    await m.adjust(alice, ETH, 100n * USDC);
  });

  it("takes new risk again in the second in which a pause ends", async () => {
    await m.pause(LEVEL.NoNewRisk, 600n);
    const { timestamp } = (await ethers.provider.getBlock("latest"))!;
    await networkHelpers.time.setNextBlockTimestamp(timestamp + 599);
    await expect(m.adjust(alice, ETH, 100n * USDC)).to.be.revertedWithCustomError(m.vault, "NewRiskPaused");
    await networkHelpers.time.setNextBlockTimestamp(timestamp + 600);
    await m.adjust(alice, ETH, 100n * USDC);
  });

  it("withdraws surplus on a dead price, while paused, and no more than there is", async () => {
    await m.adjust(alice, 10n * ETH, 0n);
    await m.adjust(alice, 0n, 10_003n * USDC);
    await m.pause(LEVEL.LiquidationsPaused, 600n);
    await m.kill();
    await expect(m.vault.connect(bob).withdrawSurplus(alice, 0n, 1n, bob)).to.be.revertedWithCustomError(
      m.vault,
      "NotAuthorized",
    );
    const surplus = await m.vault.connect(alice).withdrawSurplus.staticCall(alice, 0n, MAX_UINT256, alice);
    expect(surplus).to.be.within(1n, (10n * ETH) / 390n); // at most one step of 0.25 %
    await expect(m.vault.connect(alice).withdrawSurplus(alice, 0n, surplus + 1n, alice))
      .to.be.revertedWithCustomError(m.vault, "InsufficientSurplus")
      .withArgs(surplus + 1n, surplus);
    await m.vault.connect(alice).withdrawSurplus(alice, 0n, surplus, alice);
    await expect(
      m.vault.connect(alice).withdrawSurplus(alice, 0n, MAX_UINT256, alice),
    ).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
  });

  it("does not let a stranger's top-up turn surplus into margin", async () => {
    await m.adjust(alice, 10n * ETH, 10_003n * USDC);
    const surplus = () => m.vault.connect(alice).withdrawSurplus.staticCall(alice, 0n, MAX_UINT256, alice);
    const before = await surplus();
    await m.adjust(bob, 1n, 0n, 0n, alice);
    expect(await surplus()).to.be.at.least(before);
  });
});
