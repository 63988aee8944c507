import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import type { Contract } from "ethers";

import {
  DEFAULT_RISK,
  deployFundedMarket,
  deployMarket,
  ETH,
  type FundedMarket,
  LEVEL,
  MAX_UINT256,
  MIN_INT256,
  orderOf,
  STATE,
  USD,
  USDC,
} from "./support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

describe("Vault", () => {
  let m: FundedMarket;
  let lender: HardhatEthersSigner;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;

  const fixture = () => deployFundedMarket(connection);

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [lender, alice, bob, keeper] = m.accounts;
  });

  const adjust = (who: HardhatEthersSigner, collateral: bigint, debt: bigint, sub = 0n, owner = who) =>
    m.vault.connect(who).adjust(owner, sub, collateral, debt, who, "0x");
  const liquidate = async (maxRepay = 10_000_000n * USDC, more: Record<string, unknown> = {}) =>
    m.liquidator.connect(keeper).liquidate(await orderOf(m.vault, keeper, { maxRepay, ...more }), "0x");
  const pause = async (level: bigint, seconds: bigint) =>
    m.brake.pause(await m.vault.getAddress(), level, seconds, ethers.encodeBytes32String("test"));

  describe("adjust", () => {
    it("opens, tops up, repays, withdraws and closes; what comes back is what went in, but for the interest", async () => {
      await adjust(alice, ETH, 1_500n * USDC);
      await adjust(alice, ETH / 2n, 0n);
      await adjust(alice, 0n, -500n * USDC);
      await adjust(alice, -ETH / 4n, 0n);
      await adjust(alice, MIN_INT256, MIN_INT256);
      // each change may leave one unit behind: rounding favours solvency
      expect(await m.collateral.balanceOf(alice)).to.be.within(10_000n * ETH - 5n, 10_000n * ETH);
      const paid = 20_000_000n * USDC - (await m.debt.balanceOf(alice));
      expect(paid).to.be.within(1n, 1_000n);
      expect(await m.collateral.balanceOf(m.vault)).to.be.at.most(5n);
    });

    it("keeps sub-accounts apart", async () => {
      await adjust(alice, ETH, 1_000n * USDC, 0n);
      await adjust(alice, ETH, 0n, 1n);
      await adjust(alice, MIN_INT256, 0n, 1n);
      await expect(adjust(alice, MIN_INT256, 0n, 0n)).to.be.revertedWithCustomError(
        m.vault,
        "DebtWithoutCollateral",
      );
    });

    it("repays what is owed when asked for more, for anyone", async () => {
      await adjust(alice, ETH, 1_000n * USDC);
      await expect(adjust(bob, 0n, -5_000n * USDC, 0n, alice)).to.changeTokenBalances(
        ethers,
        m.debt,
        [bob, m.vault],
        [-1_000_000_001n, 1_000_000_001n],
      );
      await adjust(alice, MIN_INT256, 0n);
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
      for (const data of entries) {
        await expect(
          caller.adjust(m.vault, 0n, ETH, 1_000n * USDC, [{ target, data }]),
        ).to.be.revertedWithCustomError(m.vault, "ReentrancyGuardReentrantCall");
      }
      expect(await m.debt.balanceOf(caller)).to.equal(0n);
    });

    it("refuses zero and dust, with nothing changed", async () => {
      await expect(adjust(alice, 0n, 0n)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
      const small = await deployMarket(connection, { collateralDecimals: 24, collateralPrice: 2_000n * USD });
      await small.fund(alice, { collateral: 10n ** 24n });
      await expect(
        small.vault.connect(alice).adjust(alice, 0n, 999_999n, 0n, alice, "0x"),
      ).to.be.revertedWithCustomError(small.vault, "ZeroAmount");
    });

    it("refuses a debt below the minimum, but lets a repayment leave one", async () => {
      await expect(adjust(alice, ETH, 9n * USDC))
        .to.be.revertedWithCustomError(m.vault, "DebtTooSmall")
        .withArgs((debt: bigint) => debt >= 9n * ETH && debt <= 9n * ETH + 1n, 10n * ETH);
      await adjust(alice, ETH, 100n * USDC);
      await adjust(alice, 0n, -99n * USDC);
    });

    it("refuses more than the caps, but lets a top-up through", async () => {
      await m.vault.setCaps({ debt: 1_000_000_000n, collateral: 2_000_000n, minDebt: 0n });
      await expect(adjust(alice, ETH, 1_001n * USDC)).to.be.revertedWithCustomError(
        m.vault,
        "DebtCapExceeded",
      );
      await expect(adjust(alice, 3n * ETH, 100n * USDC))
        .to.be.revertedWithCustomError(m.vault, "CollateralCapExceeded")
        .withArgs(3n * ETH, 2n * ETH);
      await adjust(alice, ETH, 900n * USDC);
      await adjust(alice, 5n * ETH, 0n);
      await adjust(alice, 0n, -100n * USDC);
    });

    it("refuses an LTV above the maximum and says both", async () => {
      await expect(adjust(alice, ETH, 1_641n * USDC))
        .to.be.revertedWithCustomError(m.vault, "LtvTooHigh")
        .withArgs((ltv: bigint) => ltv > (82n * ETH) / 100n && ltv < (83n * ETH) / 100n, (82n * ETH) / 100n);
    });

    it("refuses more than the market's cash, the balance, or the position", async () => {
      await expect(adjust(alice, 9_000n * ETH, 10_000_001n * USDC))
        .to.be.revertedWithCustomError(m.vault, "InsufficientCash")
        .withArgs(10_000_001n * USDC, 10_000_000n * USDC);
      await expect(adjust(alice, 10_001n * ETH, 0n)).to.be.revertedWithCustomError(
        m.collateral,
        "ERC20InsufficientBalance",
      );
      await adjust(alice, ETH, 0n);
      await expect(adjust(alice, -2n * ETH, 0n))
        .to.be.revertedWithCustomError(m.vault, "InsufficientCollateral")
        .withArgs(2n * ETH, ETH);
      await expect(adjust(alice, 2n ** 200n, 0n))
        .to.be.revertedWithCustomError(m.vault, "AmountTooLarge")
        .withArgs(2n ** 200n, 2n ** 128n - 1n);
      await expect(adjust(alice, 0n, 2n ** 200n)).to.be.revertedWithCustomError(m.vault, "AmountTooLarge");
    });

    it("takes amounts of up to 128 bits as numbers, and no larger ones", async () => {
      const most = 2n ** 128n - 1n;
      for (const [collateral, debt] of [
        [most + 1n, 0n],
        [-most - 1n, 0n],
        [0n, most + 1n],
      ] as const) {
        await expect(adjust(alice, collateral, debt))
          .to.be.revertedWithCustomError(m.vault, "AmountTooLarge")
          .withArgs(most + 1n, most);
      }
      await expect(adjust(alice, most, 0n)).to.be.revertedWithCustomError(m.vault, "TooMuchCollateral");
      await expect(adjust(alice, -most, 0n)).to.be.revertedWithCustomError(m.vault, "InsufficientCollateral");
      await expect(adjust(alice, 0n, most)).to.be.revertedWithCustomError(m.vault, "DebtWithoutCollateral");
      await adjust(alice, ETH, 1_000n * USDC);
      await adjust(alice, 0n, -most - 1n); // whoever repays more repays everything
      await adjust(alice, MIN_INT256, 0n);
    });

    it("lets a debt of exactly the minimum and of exactly the caps through", async () => {
      await m.vault.setCaps({ debt: 1_000_000_000n, collateral: 1_000_000n, minDebt: 1_000_000_000n });
      await expect(adjust(alice, ETH, 1_000n * USDC - 1n)).to.be.revertedWithCustomError(
        m.vault,
        "DebtTooSmall",
      );
      await expect(adjust(alice, ETH + 1n, 1_000n * USDC))
        .to.be.revertedWithCustomError(m.vault, "CollateralCapExceeded")
        .withArgs(ETH + 1n, ETH);
      await expect(adjust(alice, ETH, 1_000n * USDC + 1n))
        .to.be.revertedWithCustomError(m.vault, "DebtCapExceeded")
        .withArgs(1_000n * ETH + 10n ** 12n, 1_000n * ETH);
      await adjust(alice, ETH, 1_000n * USDC);
    });

    it("counts what comes in and what goes out in the collateral cap", async () => {
      await adjust(alice, 3n * ETH, 1_000n * USDC);
      await m.vault.setCaps({ debt: 2n ** 79n, collateral: 2_000_000n, minDebt: 0n });
      await expect(adjust(alice, -ETH / 2n, USDC))
        .to.be.revertedWithCustomError(m.vault, "CollateralCapExceeded")
        .withArgs((5n * ETH) / 2n, 2n * ETH);
      await adjust(alice, -ETH, USDC);
    });

    it("lets collateral out beyond the caps and below the minimum, while the LTV allows it", async () => {
      await adjust(alice, 2n * ETH, 1_000n * USDC);
      await m.vault.setCaps({ debt: 1n, collateral: 1n, minDebt: 2_000_000_000n });
      await adjust(alice, -ETH, 0n);
      await expect(adjust(alice, -ETH / 2n, 0n)).to.be.revertedWithCustomError(m.vault, "LtvTooHigh");
    });

    it("needs no price where the tick does not rise, nor to close one below 1", async () => {
      await adjust(alice, 10n * ETH, 10_003n * USDC);
      const surplus = await m.vault.connect(alice).withdrawSurplus.staticCall(alice, 0n, MAX_UINT256, alice);
      const cheap = await deployMarket(connection, { collateralPrice: USD / 100n, debtDecimals: 18 });
      await cheap.fund(lender, { debt: 1_000n * ETH });
      await cheap.vault.connect(lender).deposit(1_000n * ETH, lender);
      await cheap.fund(alice, { collateral: 10_000n * ETH });
      await cheap.vault.connect(alice).adjust(alice, 0n, 10_000n * ETH, 50n * ETH, alice, "0x");
      await cheap.fund(alice, { debt: ETH });
      for (const market of [m, cheap]) await market.kill();
      await adjust(alice, -surplus / 2n, 0n);
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
      await adjust(alice, ETH, 1_000n * USDC);
      await networkHelpers.time.increase(1_000);
      const slots = async () => Promise.all([0, 1].map((slot) => m.vault.readSlot(ethers.toBeHex(slot, 32))));
      const before = await slots();
      await adjust(alice, ETH, 0n);
      expect(await slots()).to.deep.equal(before);
      await adjust(alice, -ETH, 0n);
      expect(await slots()).not.to.deep.equal(before);
    });

    it("says what it changed", async () => {
      await expect(adjust(alice, ETH, 1_000n * USDC))
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
      await adjust(alice, ETH, 1_000n * USDC);
      for (const [c, d] of [
        [-1n, 0n],
        [0n, 1n],
        [MIN_INT256, MIN_INT256],
      ] as const) {
        await expect(adjust(bob, c, d, 0n, alice))
          .to.be.revertedWithCustomError(m.vault, "NotAuthorized")
          .withArgs(bob.address, alice.address);
      }
    });

    it("takes no new risk on a price that is not Fresh, but lets everybody reduce and leave", async () => {
      await adjust(alice, 10n * ETH, 10_000n * USDC);
      await adjust(bob, 10n * ETH, 10_000n * USDC);
      await m.setSource(m.feeds.primary, 2_100n * USD);
      await m.setSource(m.feeds.second, 1_900n * USD);
      expect((await m.oracle.read()).state).to.equal(STATE.Diverged);
      await expect(adjust(alice, 0n, USDC))
        .to.be.revertedWithCustomError(m.vault, "PriceNotFresh")
        .withArgs(STATE.Diverged);
      await m.kill();
      expect((await m.oracle.read()).state).to.equal(STATE.Dead);
      await expect(adjust(alice, -ETH, 0n))
        .to.be.revertedWithCustomError(m.vault, "PriceNotFresh")
        .withArgs(STATE.Dead);
      await adjust(alice, ETH, 0n);
      await adjust(alice, 0n, -1_000n * USDC);
      await adjust(alice, -2n * ETH, -3_000n * USDC); // unwinding that lowers the tick
      await adjust(alice, MIN_INT256, MIN_INT256);
      await adjust(bob, MIN_INT256, MIN_INT256);
    });

    it("takes no new risk under any level of the brake, but lets everybody reduce and leave", async () => {
      for (const level of [LEVEL.NoNewRisk, LEVEL.LiquidationsPaused]) {
        await adjust(alice, 10n * ETH, 10_000n * USDC);
        await pause(level, 600n);
        await expect(adjust(alice, 0n, USDC))
          .to.be.revertedWithCustomError(m.vault, "NewRiskPaused")
          .withArgs(level);
        await adjust(alice, ETH, -1_000n * USDC);
        await adjust(alice, MIN_INT256, MIN_INT256);
        await networkHelpers.time.increase(601);
        if (level === LEVEL.LiquidationsPaused) {
          await expect(adjust(alice, ETH, 100n * USDC))
            .to.be.revertedWithCustomError(m.vault, "NewRiskPaused")
            .withArgs(LEVEL.Grace);
          await networkHelpers.time.increase(600);
        }
      }
      await adjust(alice, ETH, 100n * USDC);
    });

    it("withdraws surplus on a dead price, while paused, and no more than there is", async () => {
      await adjust(alice, 10n * ETH, 0n);
      await adjust(alice, 0n, 10_003n * USDC);
      await pause(LEVEL.LiquidationsPaused, 600n);
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
      await adjust(alice, 10n * ETH, 10_003n * USDC);
      const surplus = () => m.vault.connect(alice).withdrawSurplus.staticCall(alice, 0n, MAX_UINT256, alice);
      const before = await surplus();
      await adjust(bob, 1n, 0n, 0n, alice);
      expect(await surplus()).to.be.at.least(before);
    });
  });

  describe("operators", () => {
    const types = {
      SetOperator: [
        { name: "owner", type: "address" },
        { name: "operator", type: "address" },
        { name: "approved", type: "bool" },
        { name: "nonce", type: "uint256" },
        { name: "deadline", type: "uint256" },
      ],
    };
    const domain = async () => ({
      name: "Breakwater",
      version: "1",
      chainId: 31337n,
      verifyingContract: await m.vault.getAddress(),
    });

    it("act for the owner until they are dismissed", async () => {
      await expect(m.vault.connect(alice).setOperator(bob, true))
        .to.emit(m.vault, "SetOperator")
        .withArgs(alice.address, bob.address, true);
      await adjust(bob, ETH, 1_000n * USDC, 7n, alice);
      await m.vault.connect(alice).setOperator(bob, false);
      await expect(adjust(bob, 0n, USDC, 7n, alice)).to.be.revertedWithCustomError(m.vault, "NotAuthorized");
    });

    it("are authorised by signature, once, before the deadline", async () => {
      const deadline = BigInt(await networkHelpers.time.latest()) + 1_000n;
      const message = { owner: alice.address, operator: bob.address, approved: true, nonce: 0n, deadline };
      const signature = await alice.signTypedData(await domain(), types, message);
      await expect(
        m.vault.setOperatorBySignature(
          alice,
          bob,
          true,
          deadline,
          await bob.signTypedData(await domain(), types, message),
        ),
      )
        .to.be.revertedWithCustomError(m.vault, "InvalidSignature")
        .withArgs(alice.address);
      await m.vault.setOperatorBySignature(alice, bob, true, deadline, signature);
      expect(await m.vault.isOperator(alice, bob)).to.equal(true);
      await expect(
        m.vault.setOperatorBySignature(alice, bob, true, deadline, signature),
      ).to.be.revertedWithCustomError(m.vault, "InvalidSignature");
      const second = await alice.signTypedData(await domain(), types, {
        ...message,
        approved: false,
        nonce: 1n,
      });
      await networkHelpers.time.setNextBlockTimestamp(deadline); // the last second
      await m.vault.setOperatorBySignature(alice, bob, false, deadline, second);
      expect(await m.vault.isOperator(alice, bob)).to.equal(false);
      await networkHelpers.time.setNextBlockTimestamp(deadline + 1n);
      await expect(m.vault.setOperatorBySignature(alice, bob, true, deadline, signature))
        .to.be.revertedWithCustomError(m.vault, "SignatureExpired")
        .withArgs(deadline);
    });
  });

  describe("transfer of positions", () => {
    it("needs the receiver, and the owner's offer", async () => {
      await adjust(alice, ETH, 1_000n * USDC);
      await expect(m.vault.connect(alice).transferPosition(alice, 0n, bob, 0n))
        .to.be.revertedWithCustomError(m.vault, "NotAuthorized")
        .withArgs(alice.address, bob.address);
      await expect(m.vault.connect(bob).transferPosition(alice, 0n, bob, 0n))
        .to.be.revertedWithCustomError(m.vault, "NotOffered")
        .withArgs(alice.address, 0n, bob.address);
      await m.vault.connect(alice).offerPosition(alice, 0n, bob);
      await m.vault.connect(bob).transferPosition(alice, 0n, bob, 3n);
      await expect(adjust(alice, MIN_INT256, 0n)).to.changeTokenBalance(ethers, m.collateral, alice, 0n);
      await adjust(bob, MIN_INT256, MIN_INT256, 3n);
      await expect(m.vault.connect(bob).transferPosition(alice, 0n, bob, 4n)).to.be.revertedWithCustomError(
        m.vault,
        "NotOffered",
      );
    });

    it("never overwrites a position, and moves between one's own sub-accounts", async () => {
      await adjust(alice, ETH, 1_000n * USDC, 0n);
      await adjust(alice, ETH, 0n, 1n);
      await expect(m.vault.connect(alice).transferPosition(alice, 0n, alice, 1n))
        .to.be.revertedWithCustomError(m.vault, "PositionNotEmpty")
        .withArgs(alice.address, 1n);
      await expect(
        m.vault.connect(alice).transferPosition(alice, 0n, alice, 0n),
      ).to.be.revertedWithCustomError(m.vault, "PositionNotEmpty");
      await m.vault.connect(alice).transferPosition(alice, 0n, alice, 2n);
      await adjust(alice, MIN_INT256, MIN_INT256, 2n);
    });
  });

  describe("lenders", () => {
    it("get what previews say, and interest", async () => {
      await adjust(alice, 1_000n * ETH, 1_500_000n * USDC);
      await networkHelpers.time.increase(86_000);
      const shares = await m.vault.previewDeposit.staticCall(1_000n * USDC);
      await m.vault.connect(bob).deposit(1_000n * USDC, bob);
      // a second passes between the preview and the block
      expect(await m.vault.balanceOf(bob)).to.be.within(shares - 2n, shares);
      expect(await m.vault.totalAssets()).to.be.greaterThan(10_001_000n * USDC);
      const max = await m.vault.maxRedeem(bob);
      await m.vault.connect(bob).redeem(max, bob, bob);
      expect(await m.vault.balanceOf(bob)).to.equal(0n);
    });

    it("mint and withdraw at what previews say", async () => {
      expect([await m.vault.name(), await m.vault.symbol()]).to.deep.equal(["Breakwater COL/DEBT", "bwDEBT"]);
      await adjust(alice, 1_000n * ETH, 1_500_000n * USDC);
      await networkHelpers.time.increase(86_000);
      const assets = await m.vault.previewMint(1_000n * USDC);
      expect(assets).to.be.greaterThan(1_000n * USDC); // a share has earned interest
      const money = await m.debt.balanceOf(bob);
      await m.vault.connect(bob).mint(1_000n * USDC, bob);
      // a second passes between the preview and the block
      expect(money - (await m.debt.balanceOf(bob))).to.be.within(assets, assets + 2n);
      const shares = await m.vault.previewWithdraw(500n * USDC);
      await m.vault.connect(bob).withdraw(500n * USDC, bob, bob);
      expect(1_000n * USDC - (await m.vault.balanceOf(bob))).to.be.within(shares - 2n, shares);
    });

    it("buy the first shares one for one", async () => {
      expect(await m.vault.balanceOf(lender)).to.equal(10_000_000n * USDC);
      expect(await m.vault.totalSupply()).to.equal(10_000_000n * USDC);
      expect(await m.vault.decimals()).to.equal(6n);
      expect(await m.vault.asset()).to.equal(await m.debt.getAddress());
    });

    it("are rounded against, to the wei", async () => {
      await adjust(alice, 8_000n * ETH, 9_000_000n * USDC);
      await networkHelpers.time.increase(86_000);
      await m.vault.connect(lender).transfer(bob, 555_555_555n);
      const [supply, total] = [(await m.vault.totalSupply()) + 1n, (await m.vault.totalAssets()) + 1n];
      const up = (x: bigint, numerator: bigint, denominator: bigint) =>
        (x * numerator + denominator - 1n) / denominator;
      let rounded = 0;
      for (const x of [1_000n * USDC, 777_777_777n, 123_456_789n, 999_999_999n]) {
        const [shares, assets] = [(x * supply) / total, (x * total) / supply];
        if ((x * supply) % total !== 0n) rounded++;
        expect(await m.vault.previewDeposit(x)).to.equal(shares);
        expect(await m.vault.previewRedeem(x)).to.equal(assets);
        expect(await m.vault.previewMint(x)).to.equal(up(x, total, supply));
        expect(await m.vault.previewWithdraw(x)).to.equal(up(x, supply, total));
        const as = (who: HardhatEthersSigner) => m.vault.connect(who);
        expect(await as(bob).deposit.staticCall(x, bob)).to.equal(shares);
        expect(await as(bob).mint.staticCall(x, bob)).to.equal(up(x, total, supply));
        expect(await as(lender).withdraw.staticCall(x, lender, lender)).to.equal(up(x, supply, total));
        expect(await as(lender).redeem.staticCall(x, lender, lender)).to.equal(assets);
      }
      expect(rounded).to.be.greaterThan(0);
      const most = 2n ** 111n - 1n - (total - 1n);
      expect(await m.vault.maxDeposit(bob)).to.equal(most);
      expect(await m.vault.maxMint(bob)).to.equal((most * supply) / total);
      expect(await m.vault.maxRedeem(lender)).to.equal((1_000_000n * USDC * supply) / total); // all cash
      expect(await m.vault.maxWithdraw(bob)).to.equal((555_555_555n * total) / supply);
      expect(await m.vault.maxRedeem(bob)).to.equal(555_555_555n);
    });

    it("bring no more than half of what cash can hold, and no dust", async () => {
      const most = 2n ** 111n - 1n;
      await m.fund(bob, { debt: most });
      const room = await m.vault.maxDeposit(bob);
      expect(room).to.equal(most - 10_000_000n * USDC);
      expect(await m.vault.maxMint(bob)).to.equal(room);
      await expect(m.vault.connect(bob).deposit(room + 1n, bob))
        .to.be.revertedWithCustomError(m.vault, "AmountTooLarge")
        .withArgs(room + 1n, most);
      await m.vault.connect(bob).deposit(room, bob);
      expect(await m.vault.maxDeposit(bob)).to.equal(0n);
      expect(await m.vault.maxMint(bob)).to.equal(0n);
      await expect(m.vault.connect(bob).redeem(0n, bob, bob)).to.be.revertedWithCustomError(
        m.vault,
        "ZeroAmount",
      );
      await expect(m.vault.connect(bob).withdraw(0n, bob, bob)).to.be.revertedWithCustomError(
        m.vault,
        "ZeroAmount",
      );
    });

    it("get shares for the least deposit only if it is worth one", async () => {
      await adjust(alice, 8_000n * ETH, 9_000_000n * USDC);
      await networkHelpers.time.increase(86_000);
      await expect(m.vault.connect(bob).deposit(1n, bob)).to.be.revertedWithCustomError(
        m.vault,
        "ZeroAmount",
      );
      await m.vault.connect(bob).deposit(2n, bob);
      expect(await m.vault.balanceOf(bob)).to.equal(1n);
    });

    it("refuses zero, and more than the cash", async () => {
      await expect(m.vault.connect(bob).deposit(0n, bob)).to.be.revertedWithCustomError(
        m.vault,
        "ZeroAmount",
      );
      await expect(m.vault.connect(bob).mint(0n, bob)).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
      await adjust(alice, 9_000n * ETH, 9_000_000n * USDC);
      await expect(m.vault.connect(lender).withdraw(1_000_001n * USDC, lender, lender))
        .to.be.revertedWithCustomError(m.vault, "InsufficientCash")
        .withArgs(1_000_001n * USDC, 1_000_000n * USDC);
      expect(await m.vault.maxWithdraw(lender)).to.equal(1_000_000n * USDC);
      await m.vault.connect(lender).withdraw(1_000_000n * USDC, lender, lender);
      expect(await m.vault.maxWithdraw(lender)).to.equal(0n);
    });

    it("cannot be robbed by a donation", async () => {
      const before = await m.vault.totalAssets();
      await m.debt.mint(m.vault, 10n ** 12n);
      expect(await m.vault.totalAssets()).to.equal(before);
    });

    it("wait while an insolvent tick cannot be seized, and the views say so", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_600n * USD);
      const shares = await m.vault.balanceOf(lender);
      // Fresh: the tick is seized on the way, and the loss is in the price
      expect(await m.vault.maxWithdraw(lender)).to.equal(9_998_400n * USDC); // all the cash
      const worth = await m.vault.previewRedeem(shares / 2n);
      expect(worth).to.be.lessThan(5_000_000n * USDC);
      await pause(LEVEL.LiquidationsPaused, 600n);
      for (const max of ["maxDeposit", "maxMint", "maxWithdraw", "maxRedeem"] as const) {
        expect(await m.vault[max](lender), max).to.equal(0n);
      }
      await expect(m.vault.previewRedeem(1n)).to.be.revertedWithCustomError(m.vault, "LendersWait");
      await expect(m.vault.connect(lender).redeem(1n, lender, lender))
        .to.be.revertedWithCustomError(m.vault, "LendersWait")
        .withArgs(STATE.Fresh, LEVEL.LiquidationsPaused);
      await networkHelpers.time.increase(1_201);
      await m.setPrices(1_600n * USD);
      await expect(m.vault.connect(lender).redeem(shares / 2n, lender, lender)).to.emit(m.vault, "Liquidate");
    });

    it("wait while a tick is insolvent at the lower price only", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setSource(m.feeds.primary, 1_610n * USD);
      await m.setSource(m.feeds.second, 1_640n * USD);
      expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
      await expect(m.vault.connect(lender).deposit(USDC, lender)).to.be.revertedWithCustomError(
        m.vault,
        "LendersWait",
      );
    });

    it("wait on a dead price, unless nothing is owed", async () => {
      await adjust(alice, ETH, 1_000n * USDC);
      await m.kill();
      await expect(m.vault.connect(lender).deposit(USDC, lender))
        .to.be.revertedWithCustomError(m.vault, "LendersWait")
        .withArgs(STATE.Dead, LEVEL.None);
      await adjust(alice, MIN_INT256, MIN_INT256);
      await m.vault.connect(lender).redeem(await m.vault.balanceOf(lender), lender, lender);
    });

    it("ask for the seizure of many insolvent ticks first", async () => {
      for (let i = 0n; i < 65n; i++) await adjust(alice, ETH, (1_000n + i * 6n) * USDC, i);
      await m.setPrices(900n * USD);
      await expect(m.vault.connect(lender).deposit(USDC, lender))
        .to.be.revertedWithCustomError(m.vault, "SeizeFirst")
        .withArgs(64n);
      await m.liquidator.seize(m.vault, 40n);
      await m.vault.connect(lender).deposit(USDC, lender);
    });
  });

  describe("liquidation", () => {
    it("brings a tick to the target for the bonus, and says the numbers when there is nothing to do", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await expect(liquidate())
        .to.be.revertedWithCustomError(m.vault, "NothingToLiquidate")
        .withArgs(
          (top: bigint) => top > 0n,
          (trigger: bigint) => trigger > 0n,
          10_000_000n * USDC,
          0n,
        );
      await m.setPrices(1_850n * USD);
      await liquidate();
      await expect(liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
      const lens = await ethers.deployContract("Lens");
      const position = await lens.position(m.vault, alice, 0n);
      // on the highest whole tick that is not above the target of 83 %
      expect(position.ltvHigh).to.be.within((827n * ETH) / 1_000n, (83n * ETH) / 100n);
      expect(position.health).to.be.greaterThan(ETH);
    });

    it("stops where the budget ends, on a whole tick", async () => {
      await adjust(alice, 10n * ETH, 16_000n * USDC);
      await m.setPrices(1_820n * USD);
      const paid = m.debt.balanceOf(keeper);
      await liquidate(500n * USDC);
      const spent = (await paid) - (await m.debt.balanceOf(keeper));
      expect(spent).to.be.within(1n, 500n * USDC);
      await expect(liquidate(1n)).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
    });

    it("takes no source for dead because its caller gave it little gas", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setSource(m.feeds.primary, 1_880n * USD); // no reason to liquidate
      await m.setSource(m.feeds.second, 1_835n * USD); // one, if it were alone
      expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
      const order = await orderOf(m.vault, keeper, { maxRepay: 10_000n * USDC, buyPot: false });
      const attempt = async (gasLimit: bigint) =>
        m.liquidator
          .connect(keeper)
          .liquidate.staticCall(order, "0x", { gasLimit })
          .then(({ repaid }) => repaid)
          .catch(() => 0n);
      for (let gas = 40_000n; gas <= 600_000n; gas += 4_000n)
        expect(await attempt(gas), `${gas}`).to.equal(0n);
      await m.setSource(m.feeds.primary, 1_835n * USD);
      expect(await attempt(600_000n)).to.be.greaterThan(0n);
    });

    it("refuses a late order, too little collateral, an unknown market, and whoever is not the Liquidator", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_850n * USD);
      await expect(liquidate(10_000n * USDC, { deadline: 1n }))
        .to.be.revertedWithCustomError(m.liquidator, "DeadlineExpired")
        .withArgs(1n, (now: bigint) => now > 1n);
      await expect(liquidate(10_000n * USDC, { minCollateral: ETH }))
        .to.be.revertedWithCustomError(m.liquidator, "TooLittleCollateral")
        .withArgs((seized: bigint) => seized < ETH, ETH);
      await expect(liquidate(10_000n * USDC, { market: bob.address }))
        .to.be.revertedWithCustomError(m.liquidator, "UnknownMarket")
        .withArgs(bob.address);
      const request = {
        caller: bob.address,
        receiver: bob.address,
        maxRepay: 1n,
        fromTick: 0n,
        maxTicks: 0n,
        buyPot: false,
        seizeOnly: false,
      };
      await expect(m.vault.connect(bob).liquidate(request, "0x")).to.be.revertedWithCustomError(
        m.vault,
        "NotAuthorized",
      );
      await expect(
        m.liquidator.connect(bob).payLiquidation(m.debt, 1n, 1n, "0x"),
      ).to.be.revertedWithCustomError(m.liquidator, "UnexpectedCallback");
    });

    it("gives the collateral before the payment, and undoes all of it without one", async () => {
      const caller = await ethers.deployContract("CallbackCaller");
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_850n * USD);
      const order = await orderOf(m.vault, caller, { maxRepay: 10_000n * USDC, buyPot: false });
      await expect(caller.liquidate(m.liquidator, order, [])).to.be.revertedWithCustomError(
        m.debt,
        "ERC20InsufficientAllowance",
      );
      const token = await m.debt.getAddress();
      const mint = m.debt.interface.encodeFunctionData("mint", [await caller.getAddress(), 1_000n * USDC]);
      const approve = m.debt.interface.encodeFunctionData("approve", [
        await m.liquidator.getAddress(),
        MAX_UINT256,
      ]);
      await caller.liquidate(m.liquidator, order, [
        { target: token, data: mint },
        { target: token, data: approve },
      ]);
      expect(await m.collateral.balanceOf(caller)).to.be.greaterThan(0n);
    });

    it("takes an order until its deadline, and for exactly the collateral that it asks for", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_850n * USD);
      const deadline = BigInt(await networkHelpers.time.latest()) + 100n;
      const before = await networkHelpers.takeSnapshot();
      await networkHelpers.time.setNextBlockTimestamp(deadline);
      await liquidate(10_000n * USDC, { deadline });
      const seized = (await m.collateral.balanceOf(keeper)) - 10_000n * ETH;
      expect(seized).to.be.greaterThan(0n);
      await before.restore();
      await networkHelpers.time.setNextBlockTimestamp(deadline + 1n);
      await expect(liquidate(10_000n * USDC, { deadline }))
        .to.be.revertedWithCustomError(m.liquidator, "DeadlineExpired")
        .withArgs(deadline, deadline + 1n);
      await before.restore();
      await networkHelpers.time.setNextBlockTimestamp(deadline);
      await expect(liquidate(10_000n * USDC, { deadline, minCollateral: seized + 1n }))
        .to.be.revertedWithCustomError(m.liquidator, "TooLittleCollateral")
        .withArgs(seized, seized + 1n);
      await before.restore();
      await networkHelpers.time.setNextBlockTimestamp(deadline);
      await liquidate(10_000n * USDC, { deadline, minCollateral: seized });
      await before.restore();
    });

    it("names the keeper, the receiver and the bounds, and tells the keeper's contract what is due", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_850n * USD);
      const recorder = await ethers.deployContract("CallbackRecorder");
      await m.debt.mint(recorder, 10_000n * USDC);
      const approval = m.debt.interface.encodeFunctionData("approve", [
        await m.liquidator.getAddress(),
        MAX_UINT256,
      ]);
      await recorder.getFunction("call")(m.debt, approval);
      const order = await orderOf(m.vault, bob, { maxRepay: 10_000n * USDC, buyPot: false });
      const [repaid, seized] = await m.liquidator.connect(keeper).liquidate.staticCall(order, "0x");
      const data = m.liquidator.interface.encodeFunctionData("liquidate", [order, "0xab"]);
      const tx = recorder.getFunction("call")(m.liquidator, data);
      const isNear = (amount: bigint) => (value: bigint) => value >= amount && value <= amount + 10n ** 12n;
      await expect(tx)
        .to.emit(recorder, "Liquidated")
        .withArgs(m.liquidator, m.vault, isNear(repaid), isNear(seized), "0xab");
      await expect(tx)
        .to.emit(m.vault, "Liquidate")
        .withArgs(m.vault, recorder, bob, () => true);
      expect(await m.collateral.balanceOf(bob)).to.be.greaterThan(10_000n * ETH);
    });

    it("seizes at contracts only", async () => {
      await expect(m.liquidator.seize(alice, 0n))
        .to.be.revertedWithCustomError(m.liquidator, "UnknownMarket")
        .withArgs(alice.address);
    });

    describe("by a market that lies", () => {
      const PRICE = 10n * USDC;
      type Calls = { target: string; data: string }[];
      const plan = (market: Contract, calls: Calls) => market.getFunction("plan")(calls);
      const make = (market: Contract, calls: Calls) => market.getFunction("make")(calls);

      async function deployFalse() {
        const market = await ethers.deployContract("FalseMarket");
        const target = await m.liquidator.getAddress();
        const asset = await m.debt.getAddress();
        const order = await orderOf(market, bob, { maxRepay: PRICE, buyPot: false });
        const abi = m.liquidator.interface;
        const ask = (amount: bigint, data = "0x") => ({
          target,
          data: abi.encodeFunctionData("payLiquidation", [asset, amount, 0n, data]),
        });
        const name = (more: Partial<typeof order> = {}) => ({
          target,
          data: abi.encodeFunctionData("liquidate", [{ ...order, ...more }, "0x"]),
        });
        return { market, order, ask, name };
      }

      it("nobody pays but who named it, and no more than was bid", async () => {
        const { market, order, ask } = await deployFalse();
        const balances = () => Promise.all([bob, keeper, market].map((of) => m.debt.balanceOf(of)));
        const [bobs, keepers] = await balances();
        // Both have approved the Liquidator without limit.
        await plan(market, [ask(PRICE)]);
        await m.liquidator.connect(bob).liquidate(order, "0x");
        expect(await balances()).to.deep.equal([bobs! - PRICE, keepers, PRICE]);

        await plan(market, [ask(PRICE + 1n)]);
        await expect(m.liquidator.connect(bob).liquidate(order, "0x"))
          .to.be.revertedWithCustomError(m.liquidator, "TooMuchToRepay")
          .withArgs(PRICE + 1n, PRICE);
        await plan(market, [ask(1n)]);
        await expect(m.liquidator.connect(bob).seize(market, 0n))
          .to.be.revertedWithCustomError(m.liquidator, "TooMuchToRepay")
          .withArgs(1n, 0n);
        expect(await balances()).to.deep.equal([bobs! - PRICE, keepers, PRICE]);
      });

      it("is paid once, and only while it is called", async () => {
        const { market, order, ask, name } = await deployFalse();
        const refuses = async (call: Promise<unknown>) => {
          await expect(call)
            .to.be.revertedWithCustomError(m.liquidator, "UnexpectedCallback")
            .withArgs(await market.getAddress());
        };
        await plan(market, [ask(PRICE / 2n), ask(PRICE / 2n)]);
        await refuses(m.liquidator.connect(bob).liquidate(order, "0x"));
        await plan(market, []);
        await refuses(make(market, [ask(0n)]));
        // Afterwards, in the same transaction.
        await refuses(make(market, [name(), ask(0n)]));
      });

      it("cannot ask for the payment of another market, nor for its own once another has been named", async () => {
        const { market, order, ask, name } = await deployFalse();
        const other = await ethers.deployContract("FalseMarket");
        await plan(market, [
          {
            target: await other.getAddress(),
            data: other.interface.encodeFunctionData("make", [[ask(PRICE)]]),
          },
        ]);
        await expect(m.liquidator.connect(bob).liquidate(order, "0x"))
          .to.be.revertedWithCustomError(m.liquidator, "UnexpectedCallback")
          .withArgs(await other.getAddress());
        // It names another one itself: then it would be the payer, and afterwards nobody is.
        await plan(market, [name({ market: await other.getAddress() }), ask(PRICE)]);
        await expect(m.liquidator.connect(bob).liquidate(order, "0x"))
          .to.be.revertedWithCustomError(m.liquidator, "UnexpectedCallback")
          .withArgs(await market.getAddress());
      });

      it("leaves alone the liquidation in whose callback it is named", async () => {
        const { market, name, ask } = await deployFalse();
        const caller = await ethers.deployContract("CallbackCaller");
        await m.debt.mint(caller, 10_000n * USDC);
        await caller.call(
          m.debt,
          m.debt.interface.encodeFunctionData("approve", [await m.liquidator.getAddress(), MAX_UINT256]),
        );
        await plan(market, [ask(PRICE)]);
        await adjust(alice, ETH, 1_600n * USDC);
        await m.setPrices(1_850n * USD);
        const { order } = await deployFalse();
        const before = await m.debt.balanceOf(m.vault);
        await caller.liquidate(
          m.liquidator,
          { ...order, market: await m.vault.getAddress(), maxRepay: 100n * USDC },
          [name()],
        );
        expect(await m.debt.balanceOf(market)).to.equal(PRICE);
        const paid = (await m.debt.balanceOf(m.vault)) - before;
        expect(paid).to.be.within(90n * USDC, 100n * USDC);
        expect(await m.debt.balanceOf(caller)).to.equal(10_000n * USDC - PRICE - paid);
      });
    });

    it("waits for the brake and a price", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_850n * USD);
      await pause(LEVEL.LiquidationsPaused, 600n);
      await expect(liquidate())
        .to.be.revertedWithCustomError(m.vault, "LiquidationsPaused")
        .withArgs(LEVEL.LiquidationsPaused, (until: bigint) => until > 0n);
      await networkHelpers.time.increase(601);
      await expect(liquidate())
        .to.be.revertedWithCustomError(m.vault, "LiquidationsPaused")
        .withArgs(LEVEL.Grace, (until: bigint) => until > 0n);
      await networkHelpers.time.increase(600);
      await m.kill();
      await expect(liquidate()).to.be.revertedWithCustomError(m.vault, "PriceDead");
      await m.heal();
      await liquidate();
    });

    it("touches nobody whose LTV is below the threshold at the better price", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setSource(m.feeds.primary, 1_850n * USD);
      await m.setSource(m.feeds.second, 1_880n * USD); // 1,600 / 1,880 = 85.1 %
      await expect(liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
    });
  });

  describe("losses", () => {
    it("are paid by insurance first, then reserves, then lenders, and the sale leaves the share price alone", async () => {
      await m.insurance.connect(bob).deposit(m.vault, 20n * USDC);
      await adjust(alice, ETH, 1_600n * USDC);
      await networkHelpers.time.increase(80_000);
      await m.setPrices(1_500n * USD, USD);
      const marked = await m.vault.totalAssets();
      await m.liquidator.seize(m.vault, 0n);
      expect(await m.vault.totalAssets()).to.be.within(marked - 1n, marked + 1n);
      expect(await m.vault.potDebt()).to.be.greaterThan(1_600n * ETH);
      await expect(m.insurance.withdraw(m.vault, bob, 1n)).to.be.revertedWithCustomError(
        m.insurance,
        "PotOpen",
      );
      const tx = await liquidate();
      const receipt = await tx.wait();
      const log = receipt!.logs
        .map((l) => m.vault.interface.parseLog(l))
        .find((l) => l?.name === "ChangePot");
      const report = log!.args.report as { insurancePaid: bigint; reservesPaid: bigint; lendersLoss: bigint };
      expect(report.insurancePaid).to.equal(20n * USDC);
      expect(report.lendersLoss).to.be.greaterThan(50n * USDC);
      expect(await m.vault.potDebt()).to.equal(0n);
      expect(await m.vault.totalAssets()).to.be.within(marked - 2n, marked + 2n);
    });

    it("cannot be escaped: deposit, buy the pot, withdraw gains nothing", async () => {
      await m.insurance.connect(bob).deposit(m.vault, 500n * USDC);
      await adjust(alice, ETH, 1_600n * USDC);
      await m.setPrices(1_500n * USD);
      await m.liquidator.seize(m.vault, 0n);
      const before = await m.debt.balanceOf(keeper);
      await m.vault.connect(keeper).deposit(1_000_000n * USDC, keeper);
      await liquidate();
      await m.vault.connect(keeper).redeem(await m.vault.balanceOf(keeper), keeper, keeper);
      const paid = before - (await m.debt.balanceOf(keeper));
      // one ether at 1,500 less the least bonus of 1.5 %, and a few seconds more of discount
      expect(paid).to.be.within(1_470n * USDC, 1_480n * USDC);
    });

    it("give a small seizure no power over the mark of a large pot", async () => {
      await adjust(alice, 100n * ETH, 160_000n * USDC);
      await adjust(bob, (ETH * 12n) / 1_000n, 19n * USDC);
      await m.setPrices(1_500n * USD);
      await m.liquidator.seize(m.vault, 1n);
      await networkHelpers.time.increase(3_700);
      await m.setPrices(1_500n * USD);
      const lens = await ethers.deployContract("Lens");
      const [before, assets] = [(await lens.market(m.vault)).potPrice, await m.vault.totalAssets()];
      await m.liquidator.seize(m.vault, 0n);
      const after = (await lens.market(m.vault)).potPrice;
      expect(after).to.be.within(before, before + before / 1_000n);
      expect(await m.vault.totalAssets()).to.be.within(assets - 10n * USDC, assets + 10n * USDC);
    });

    /** A pot of one ether that owes 1,600, at two prices that agree. */
    const openPot = async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await networkHelpers.time.increase(80_000);
      await m.setPrices(1_500n * USD, USD);
      await m.liquidator.seize(m.vault, 0n);
    };

    it("are shared out to the last unit: what was owed and not paid", async () => {
      await m.insurance.connect(bob).deposit(m.vault, 20n * USDC);
      await adjust(bob, 9_000n * ETH, 9_000_000n * USDC); // its interest fills the reserves
      await openPot();
      const owed = await m.vault.potDebt();
      const receipt = (await (await liquidate(1_000n * USDC)).wait())!;
      const named = (name: string) =>
        receipt.logs.map((log) => m.vault.interface.parseLog(log)).find((log) => log?.name === name)!.args
          .report as Record<string, bigint>;
      const pot = named("ChangePot");
      expect(pot.potDebtSold).to.be.within(owed / 2n, owed - 1n);
      expect(pot.reservesPaid).to.be.greaterThan(0n);
      const sold = (pot.potDebtSold! + 10n ** 12n - 1n) / 10n ** 12n;
      expect(pot.insurancePaid! + pot.reservesPaid! + pot.lendersLoss!).to.equal(
        sold - named("Liquidate").repaid!,
      );
    });

    it("show in every preview what the lender then gets, at the price that is worse for it", async () => {
      await openPot();
      await m.setSource(m.feeds.second, 1_520n * USD);
      expect((await m.oracle.read()).state).to.equal(STATE.Fresh);
      const vault = m.vault.connect(lender);
      const x = 1_000_000_007n;
      const now = { blockTag: "pending" };
      expect(await vault.deposit.staticCall(x, lender)).to.equal(await vault.previewDeposit(x, now));
      expect(await vault.mint.staticCall(x, lender)).to.equal(await vault.previewMint(x, now));
      expect(await vault.withdraw.staticCall(x, lender, lender)).to.equal(
        await vault.previewWithdraw(x, now),
      );
      expect(await vault.redeem.staticCall(x, lender, lender)).to.equal(await vault.previewRedeem(x, now));
      // In and out at once loses the gap between the prices.
      const [shares, back] = [await vault.previewDeposit(x, now), await vault.previewWithdraw(x, now)];
      expect(shares).to.be.lessThan(back - 100n);
      expect(await vault.previewMint(x, now)).to.be.greaterThan((await vault.previewRedeem(x, now)) + 100n);
    });

    it("never let a share be burned for nothing", async () => {
      await openPot();
      await liquidate();
      expect(await m.vault.previewRedeem(1n)).to.equal(0n);
      await expect(m.vault.connect(lender).redeem(1n, lender, lender)).to.be.revertedWithCustomError(
        m.vault,
        "ZeroAmount",
      );
    });

    it("leave the reserves where they are until the pot is sold", async () => {
      await adjust(bob, 9_000n * ETH, 9_000_000n * USDC);
      await openPot();
      await expect(m.vault.collectReserves()).to.be.revertedWithCustomError(m.vault, "ZeroAmount");
      await liquidate();
      await adjust(bob, 0n, -MAX_UINT256 / 4n);
      await m.vault.collectReserves();
    });

    it("are found by whoever seizes, and nothing else is sold then", async () => {
      await adjust(alice, ETH, 1_600n * USDC);
      await adjust(bob, ETH, 1_400n * USDC);
      await m.setPrices(1_610n * USD);
      const receipt = (await (await m.liquidator.connect(keeper).seize(m.vault, 0n)).wait())!;
      const { args } = receipt.logs
        .map((log) => m.vault.interface.parseLog(log))
        .find((log) => log?.name === "Liquidate")!;
      expect(args.caller).to.equal(keeper.address);
      const report = args.report as Record<string, bigint>;
      expect([report.ticks, report.repaid, report.seized]).to.deep.equal([1n, 0n, 0n]);
      await liquidate(); // bob's
    });

    it("sends reserves to the fund, not while the pot is open", async () => {
      await adjust(alice, 9_000n * ETH, 9_000_000n * USDC);
      await networkHelpers.time.increase(86_000);
      await m.vault.collectReserves();
      expect(await m.insurance.balanceOf(m.vault)).to.be.greaterThan(0n);
      await expect(m.insurance.connect(bob).withdraw(m.vault, bob, 1n)).to.be.revertedWithCustomError(
        m.insurance,
        "AccessManagedUnauthorized",
      );
      const available = await m.insurance.balanceOf(m.vault);
      await expect(m.insurance.withdraw(m.vault, bob, available + 1n))
        .to.be.revertedWithCustomError(m.insurance, "InsufficientInsurance")
        .withArgs(await m.vault.getAddress(), available + 1n, available);
      await m.insurance.withdraw(m.vault, bob, available);
    });
  });

  describe("listing and parameters", () => {
    it("refuses decimals outside 6 to 24, one token twice, and too fine a grid", async () => {
      for (const [options, error] of [
        [{ collateralDecimals: 5 }, "UnsupportedDecimals"],
        [{ collateralDecimals: 25 }, "UnsupportedDecimals"],
        [{ debtDecimals: 5 }, "UnsupportedDecimals"],
        [{ debtDecimals: 25 }, "UnsupportedDecimals"],
        [{ collateralUnitDecimals: 5 }, "UnsupportedDecimals"],
        [{ collateralUnitDecimals: 19 }, "UnsupportedDecimals"],
        [{ spacing: 3 }, "SpacingTooSmall"],
      ] as const) {
        const refusal = await deployMarket(connection, options).then(
          () => "deployed",
          (reason: unknown) => String(reason),
        );
        expect(refusal).to.contain(error);
      }
    });

    it("accepts the coarsest and the finest decimals, and the finest grid", async () => {
      for (const [collateralDecimals, debtDecimals, collateralUnitDecimals] of [
        [6, 24, 6],
        [24, 6, 18],
      ] as const) {
        const { vault } = await deployMarket(connection, {
          collateralDecimals,
          debtDecimals,
          collateralUnitDecimals,
          spacing: 4,
        });
        const scale = (from: number, to: number) => (from < to ? 10n ** BigInt(to - from) : 1n);
        expect(await vault.scales()).to.deep.equal([
          scale(collateralDecimals, collateralUnitDecimals),
          scale(collateralUnitDecimals, collateralDecimals),
          scale(debtDecimals, 18),
          scale(18, debtDecimals),
          scale(collateralUnitDecimals, 18),
        ]);
        expect(await vault.SPACING()).to.equal(4n);
      }
    });

    it("takes its parameters and its rate of reserves from the governor, and says so", async () => {
      const { risk } = m.parameters;
      await expect(m.vault.setRisk(risk)).to.emit(m.vault, "SetRisk");
      await expect(m.vault.setReserveFactor(50n)).to.emit(m.vault, "SetReserveFactor").withArgs(50n);
      await expect(m.vault.setCaps({ debt: 1n, collateral: 2n, minDebt: 3n })).to.emit(m.vault, "SetCaps");
      await expect(pause(LEVEL.NoNewRisk, 600n)).to.emit(m.vault, "SetBrake");
    });

    it("names the rule that a parameter breaks", async () => {
      const risk = { ...m.parameters.risk };
      for (const [change, rule] of [
        [{ maxLtv: 8600n }, "maxLtv < liquidationThreshold"],
        [{ target: 8590n }, "0 < target * (1 + step) <= liquidationThreshold"],
        [{ bonusMin: 0n }, "0 < bonusMin <= bonusMax"],
        [{ bonusMax: 2_100n }, "target * (1 + bonusMax) < 1"],
        [
          { liquidationThreshold: 9_500n },
          "liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1",
        ],
        [{ bonusMin: 99n }, "step <= bonusMin / 4"],
        [{ maxLtv: 8_550n }, "step <= (liquidationThreshold - maxLtv) / 4"],
      ] as const) {
        await expect(m.vault.setRisk({ ...risk, ...change }))
          .to.be.revertedWithCustomError(m.vault, "InvalidRisk")
          .withArgs(rule);
      }
      await expect(m.vault.setRisk({ ...risk, liquidationThreshold: 8_599n }))
        .to.be.revertedWithCustomError(m.vault, "ThresholdWouldFall")
        .withArgs(8_600n, 8_599n);
      await expect(m.vault.setReserveFactor(51n))
        .to.be.revertedWithCustomError(m.vault, "InvalidReserveFactor")
        .withArgs(51n, 50n);
      await m.vault.setRisk({ ...risk, liquidationThreshold: 8_650n });
      for (const call of [
        m.vault.connect(bob).setRisk(risk),
        m.vault.connect(bob).setCaps({ debt: 0n, collateral: 0n, minDebt: 0n }),
        m.vault.connect(bob).setReserveFactor(1n),
        m.vault.connect(bob).setOracle(bob),
      ]) {
        await expect(call).to.be.revertedWithCustomError(m.vault, "AccessManagedUnauthorized");
      }
      await expect(m.vault.connect(bob).setBrake(1n, 1n, 1n)).to.be.revertedWithCustomError(
        m.vault,
        "NotAuthorized",
      );
    });

    it("swaps the oracle only for one that agrees", async () => {
      const other = await deployMarket(connection, { collateralPrice: 3_000n * USD });
      await expect(m.vault.setOracle(other.oracle)).to.be.revertedWithCustomError(m.vault, "OracleMismatch");
      const same = await deployMarket(connection, { collateralPrice: 2_000n * USD });
      await m.vault.setOracle(same.oracle);
    });

    it("swaps the oracle only for one whose band the parameters allow, at both ends of a ramp", async () => {
      const risk = { ...DEFAULT_RISK, maxLtv: 7_500n, liquidationThreshold: 8_000n, target: 7_800n };
      const options = { collateralPrice: 2_000n * USD, risk };
      const { vault } = await deployMarket(connection, options);
      const wide = await deployMarket(connection, { ...options, band: 1_500n });
      await vault.setOracle.staticCall(wide.oracle);
      await vault.startRamp(
        { ...risk, liquidationThreshold: DEFAULT_RISK.liquidationThreshold },
        20n * 86_400n,
      );
      await expect(vault.setOracle(wide.oracle))
        .to.be.revertedWithCustomError(vault, "InvalidRisk")
        .withArgs("liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1");
    });

    it("refuses a token that takes a fee, and leaves nothing behind", async () => {
      const fee = await deployMarket(connection, {
        collateralPrice: 2_000n * USD,
        collateralToken: "FeeToken",
      });
      await fee.fund(alice, { collateral: 10n * ETH });
      await expect(fee.vault.connect(alice).adjust(alice, 0n, ETH, 0n, alice, "0x"))
        .to.be.revertedWithCustomError(fee.vault, "TransferMismatch")
        .withArgs(await fee.collateral.getAddress(), ETH, (ETH * 99n) / 100n);
      expect(await fee.collateral.balanceOf(alice)).to.equal(10n * ETH);
    });
  });
});
