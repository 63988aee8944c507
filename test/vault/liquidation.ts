import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import type { Contract } from "ethers";

import {
  deployFundedMarket,
  ETH,
  type FundedMarket,
  LEVEL,
  MAX_UINT256,
  orderOf,
  STATE,
  USD,
  USDC,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const fixture = () => deployFundedMarket(connection);

describe("Vault liquidation", () => {
  let m: FundedMarket;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [, alice, bob, keeper] = m.accounts;
  });

  it("brings a tick to the target for the bonus, and says the numbers when there is nothing to do", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await expect(m.liquidate())
      .to.be.revertedWithCustomError(m.vault, "NothingToLiquidate")
      .withArgs(
        (top: bigint) => top > 0n,
        (trigger: bigint) => trigger > 0n,
        10_000_000n * USDC,
        0n,
      );
    await m.setPrices(1_850n * USD);
    await m.liquidate();
    await expect(m.liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
    const lens = await ethers.deployContract("Lens");
    const position = await lens.position(m.vault, alice, 0n);
    // on the highest whole tick that is not above the target of 83 %
    expect(position.ltvHigh).to.be.within((827n * ETH) / 1_000n, (83n * ETH) / 100n);
    expect(position.health).to.be.greaterThan(ETH);
  });

  it("stops where the budget ends, on a whole tick", async () => {
    await m.adjust(alice, 10n * ETH, 16_000n * USDC);
    await m.setPrices(1_820n * USD);
    const paid = m.debt.balanceOf(keeper);
    await m.liquidate({ maxRepay: 500n * USDC });
    const spent = (await paid) - (await m.debt.balanceOf(keeper));
    expect(spent).to.be.within(1n, 500n * USDC);
    await expect(m.liquidate({ maxRepay: 1n })).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
  });

  it("takes no source for dead because its caller gave it little gas", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
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
    for (let gas = 40_000n; gas <= 600_000n; gas += 4_000n) expect(await attempt(gas), `${gas}`).to.equal(0n);
    await m.setSource(m.feeds.primary, 1_835n * USD);
    expect(await attempt(600_000n)).to.be.greaterThan(0n);
  });

  it("refuses a late order, too little collateral, an unknown market, and whoever is not the Liquidator", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setPrices(1_850n * USD);
    await expect(m.liquidate({ maxRepay: 10_000n * USDC, deadline: 1n }))
      .to.be.revertedWithCustomError(m.liquidator, "DeadlineExpired")
      .withArgs(1n, (now: bigint) => now > 1n);
    await expect(m.liquidate({ maxRepay: 10_000n * USDC, minCollateral: ETH }))
      .to.be.revertedWithCustomError(m.liquidator, "TooLittleCollateral")
      .withArgs((seized: bigint) => seized < ETH, ETH);
    await expect(m.liquidate({ maxRepay: 10_000n * USDC, market: bob.address }))
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
    await m.adjust(alice, ETH, 1_600n * USDC);
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
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setPrices(1_850n * USD);
    const deadline = BigInt(await networkHelpers.time.latest()) + 100n;
    const before = await networkHelpers.takeSnapshot();
    await networkHelpers.time.setNextBlockTimestamp(deadline);
    await m.liquidate({ maxRepay: 10_000n * USDC, deadline });
    const seized = (await m.collateral.balanceOf(keeper)) - 10_000n * ETH;
    expect(seized).to.be.greaterThan(0n);
    await before.restore();
    await networkHelpers.time.setNextBlockTimestamp(deadline + 1n);
    await expect(m.liquidate({ maxRepay: 10_000n * USDC, deadline }))
      .to.be.revertedWithCustomError(m.liquidator, "DeadlineExpired")
      .withArgs(deadline, deadline + 1n);
    await before.restore();
    await networkHelpers.time.setNextBlockTimestamp(deadline);
    await expect(m.liquidate({ maxRepay: 10_000n * USDC, deadline, minCollateral: seized + 1n }))
      .to.be.revertedWithCustomError(m.liquidator, "TooLittleCollateral")
      .withArgs(seized, seized + 1n);
    await before.restore();
    await networkHelpers.time.setNextBlockTimestamp(deadline);
    await m.liquidate({ maxRepay: 10_000n * USDC, deadline, minCollateral: seized });
    await before.restore();
  });

  it("names the keeper, the receiver and the bounds, and tells the keeper's contract what is due", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
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
      await m.adjust(alice, ETH, 1_600n * USDC);
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
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setPrices(1_850n * USD);
    await m.pause(LEVEL.LiquidationsPaused, 600n);
    await expect(m.liquidate())
      .to.be.revertedWithCustomError(m.vault, "LiquidationsPaused")
      .withArgs(LEVEL.LiquidationsPaused, (until: bigint) => until > 0n);
    await networkHelpers.time.increase(601);
    await expect(m.liquidate())
      .to.be.revertedWithCustomError(m.vault, "LiquidationsPaused")
      .withArgs(LEVEL.Grace, (until: bigint) => until > 0n);
    await networkHelpers.time.increase(600);
    await m.kill();
    await expect(m.liquidate()).to.be.revertedWithCustomError(m.vault, "PriceDead");
    await m.heal();
    await m.liquidate();
  });

  it("touches nobody whose LTV is below the threshold at the better price", async () => {
    await m.adjust(alice, ETH, 1_600n * USDC);
    await m.setSource(m.feeds.primary, 1_850n * USD);
    await m.setSource(m.feeds.second, 1_880n * USD); // 1,600 / 1,880 = 85.1 %
    await expect(m.liquidate()).to.be.revertedWithCustomError(m.vault, "NothingToLiquidate");
  });
});
