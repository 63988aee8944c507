/**
 * Why self-liquidation, flash loans and their relatives do not pay (docs/threat-model.md, liquidations). In each the
 * attacker's whole wealth is compared: tokens, positions and shares, at the price better for the attacker.
 */
import { expect } from "chai";
import type { AddressLike } from "ethers";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  deployFundedMarket,
  ETH,
  MAX_INT24,
  MAX_UINT256,
  MIN_INT256,
  orderOf,
  type FundedMarket,
  USD,
  USDC,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const PLENTY = 10n ** 13n;

describe("Threats: liquidations", () => {
  let m: FundedMarket;
  let lens: FundedMarket["lens"];
  let lender: HardhatEthersSigner;
  let victim: HardhatEthersSigner;
  let attacker: HardhatEthersSigner;
  let keeper: HardhatEthersSigner;

  const fixture = () => deployFundedMarket(connection);

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [lender, victim, attacker, keeper] = m.accounts;
    ({ lens } = m);
  });

  const order = async (receiver: AddressLike, more: Record<string, unknown> = {}) =>
    orderOf(m.vault, receiver, { maxRepay: PLENTY, ...more });
  const liquidate = async (who: HardhatEthersSigner, more: Record<string, unknown> = {}) =>
    m.liquidator.connect(who).liquidate(await order(who, more), "0x");

  /** Debt token units, at `price` dollars. */
  async function wealth(address: string, price: bigint, subs: readonly bigint[] = [0n]): Promise<bigint> {
    const worth = (units: bigint) => (units * price) / 10n ** 12n;
    let sum =
      worth(await m.collateral.balanceOf(address)) +
      (await m.debt.balanceOf(address)) +
      (await m.vault.convertToAssets(await m.vault.balanceOf(address)));
    for (const sub of subs) {
      const p = await lens.position(m.vault, address, sub);
      sum += worth(p.collateral + p.surplus) - p.debt;
    }
    return sum;
  }

  it("self-liquidation pays oneself one's own bonus", async () => {
    await m.adjust(attacker, 100n * ETH, 160_000n * USDC);
    await m.setPrices(1_800n * USD);
    const before = await wealth(attacker.address, 1_800n);
    await liquidate(attacker);
    expect((await lens.position(m.vault, attacker, 0)).debt).to.be.lessThan(130_000n * USDC);
    // Nothing but roundings and seconds of interest.
    expect(await wealth(attacker.address, 1_800n)).to.be.within(before - 10_000n, before);
  });

  it("borrowing and liquidating oneself in one block gains nothing, whatever the price does in it", async () => {
    const before = await wealth(attacker.address, 1_790n);
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
    const gasLimit = 3_000_000n;
    try {
      await m.vault
        .connect(attacker)
        .adjust(attacker, 0, 100n * ETH, 163_000n * USDC, attacker, "0x", { gasLimit, gasPrice: 10n ** 11n });
      await networkHelpers.mine(1);
      // The round, the self-liquidation and leaving in one block, in this order.
      for (const source of [m.feeds.primary, m.feeds.second]) {
        await source.collateral.set(1_790n * USD, { gasLimit, gasPrice: 10n ** 11n });
      }
      await m.liquidator
        .connect(attacker)
        .liquidate(await order(attacker), "0x", { gasLimit, gasPrice: 10n ** 10n });
      await m.vault
        .connect(attacker)
        .adjust(attacker, 0, MIN_INT256, MIN_INT256, attacker, "0x", { gasLimit, gasPrice: 10n ** 10n });
      await networkHelpers.mine(1);
    } finally {
      await connection.provider.request({ method: "evm_setAutomine", params: [true] });
    }
    const last = await ethers.provider.getBlockNumber();
    expect(await m.vault.queryFilter(m.vault.filters.Liquidate(), last)).to.have.length(1);
    expect(await m.vault.queryFilter(m.vault.filters.Adjust(), last)).to.have.length(1);
    expect((await lens.position(m.vault, attacker, 0)).debt).to.equal(0n);
    expect(await wealth(attacker.address, 1_790n)).to.be.within(before - 20_000n, before);
  });

  it("buying one's own tick by fromTick gains no more than what the tick's other borrowers pay anyone", async () => {
    await m.adjust(attacker, 100n * ETH, 160_000n * USDC);
    await m.adjust(victim, 100n * ETH, 163_500n * USDC); // a riskier tick
    await m.setPrices(1_800n * USD);
    const { tick } = await lens.position(m.vault, attacker, 0);
    const untouched = await lens.position(m.vault, victim, 0);
    const before = await wealth(attacker.address, 1_800n);
    await liquidate(attacker, { fromTick: tick });
    expect((await lens.position(m.vault, victim, 0)).bookDebt).to.equal(untouched.bookDebt);
    expect(await wealth(attacker.address, 1_800n)).to.be.within(before - 10_000n, before);
  });

  it("shares of a tick pay shares of its bonus: with the victim's half, half of what a stranger would earn", async () => {
    await m.adjust(attacker, 100n * ETH, 160_000n * USDC);
    await m.adjust(victim, 100n * ETH, 160_000n * USDC);
    await m.setPrices(1_800n * USD);
    const [mine, theirs] = [await wealth(attacker.address, 1_800n), await wealth(victim.address, 1_800n)];
    const announced = await lens.liquidation(m.vault, PLENTY, MAX_INT24, 0, true);
    await liquidate(attacker);
    const gain = (await wealth(attacker.address, 1_800n)) - mine;
    const loss = theirs - (await wealth(victim.address, 1_800n));
    expect(gain).to.be.within(announced.gainHigh / 2n - 10_000n, announced.gainHigh / 2n + 10_000n);
    expect(gain).to.be.at.most(loss);
  });

  it("a loan of collateral for one transaction buys no loan that outlives it, and cannot liquidate", async () => {
    const caller = await ethers.deployContract("CallbackCaller");
    const self = await caller.getAddress();
    // Borrow against collateral that is only lent: what was borrowed must go back for the collateral to come out.
    await m.collateral.mint(self, 1_000n * ETH);
    await m.debt.mint(self, 10n * USDC); // for the roundings
    for (const token of [m.collateral, m.debt]) {
      const approve = token.interface.encodeFunctionData("approve", [
        await m.vault.getAddress(),
        MAX_UINT256,
      ]);
      await caller.call(token, approve);
    }
    const i = m.vault.interface;
    await caller.call(
      m.vault,
      i.encodeFunctionData("adjust", [self, 0n, 1_000n * ETH, 1_600_000n * USDC, self, "0x"]),
    );
    await expect(
      caller.call(m.vault, i.encodeFunctionData("adjust", [self, 0n, MIN_INT256, 0n, self, "0x"])),
    ).to.be.revertedWithCustomError(m.vault, "DebtWithoutCollateral");
    await caller.call(
      m.vault,
      i.encodeFunctionData("adjust", [self, 0n, MIN_INT256, MIN_INT256, self, "0x"]),
    );
    expect(await m.collateral.balanceOf(self)).to.be.at.most(1_000n * ETH);
    expect(await m.debt.balanceOf(self)).to.be.lessThan(10n * USDC);

    // From within its own change, with the vault's collateral in hand, nobody can liquidate.
    await m.adjust(victim, 100n * ETH, 160_000n * USDC);
    await m.setPrices(1_800n * USD);
    await caller.call(m.vault, i.encodeFunctionData("adjust", [self, 0n, 100n * ETH, 0n, self, "0x"]));
    const approve = m.debt.interface.encodeFunctionData("approve", [await m.liquidator.getAddress(), PLENTY]);
    const attack = m.liquidator.interface.encodeFunctionData("liquidate", [await order(self), "0x"]);
    await expect(
      caller.adjust(m.vault, 0n, -50n * ETH, 0n, [
        { target: await m.debt.getAddress(), data: approve },
        { target: await m.liquidator.getAddress(), data: attack },
      ]),
    ).to.be.revertedWithCustomError(m.vault, "ReentrancyGuardReentrantCall");
  });

  it("nobody leaves before a loss that is there, nor gains by coming before it is booked", async () => {
    await m.adjust(victim, 100n * ETH, 163_000n * USDC);
    await m.vault.connect(attacker).deposit(5_000_000n * USDC, attacker);
    await m.setPrices(1_500n * USD); // 13,000 and more are lost
    const whole = 15_000_000n * USDC;
    // Whoever leaves now has seized what is insolvent first, and bears a third.
    const out = await m.vault
      .connect(attacker)
      .redeem.staticCall(await m.vault.balanceOf(attacker), attacker, attacker);
    expect(5_000_000n * USDC - out).to.be.greaterThan((13_000n * USDC) / 3n);
    // Coming before the pot is sold, and going after it: no gain, though the sale brings more than the mark.
    const before = await m.debt.balanceOf(keeper);
    await m.vault.connect(keeper).deposit(5_000_000n * USDC, keeper);
    await liquidate(victim);
    await m.vault.connect(keeper).redeem(await m.vault.balanceOf(keeper), keeper, keeper);
    expect(await m.debt.balanceOf(keeper)).to.be.at.most(before);
    expect(await m.vault.totalAssets()).to.be.lessThan(whole - 13_000n * USDC);
  });

  it("a sandwich of the pot gains the keeper's discount and nothing of the lenders'", async () => {
    await m.adjust(victim, 100n * ETH, 163_000n * USDC);
    await m.insurance.connect(lender).deposit(m.vault, 10_000n * USDC);
    await m.setPrices(1_500n * USD);
    const before = await wealth(attacker.address, 1_500n);
    const snapshot = await networkHelpers.takeSnapshot();
    await liquidate(attacker);
    const honest = (await wealth(attacker.address, 1_500n)) - before;
    await snapshot.restore();
    await m.vault.connect(attacker).deposit(10_000_000n * USDC, attacker);
    expect(await m.vault.potDebt()).to.be.greaterThan(163_000n * ETH); // to come is to seize first
    await liquidate(attacker);
    await m.vault.connect(attacker).redeem(await m.vault.balanceOf(attacker), attacker, attacker);
    // A few seconds more of the pot's growing discount.
    expect((await wealth(attacker.address, 1_500n)) - before).to.be.within(0n, honest + 100n * USDC);
  });

  it("a donation moves no share price and no tick", async () => {
    await m.adjust(victim, 100n * ETH, 160_000n * USDC);
    const [assets, position] = [await m.vault.totalAssets(), await lens.position(m.vault, victim, 0)];
    await m.debt.connect(attacker).transfer(m.vault, 1_000_000n * USDC);
    await m.collateral.connect(attacker).transfer(m.vault, 100n * ETH);
    expect(await m.vault.totalAssets()).to.be.within(assets, assets + 1_000n);
    const after = await lens.position(m.vault, victim, 0);
    expect([after.tick, after.bookDebt, after.surplus]).to.deep.equal([
      position.tick,
      position.bookDebt,
      position.surplus,
    ]);
  });

  it("joining a victim's tick, before or within a liquidation, leaves the victim as it would be alone", async () => {
    await m.adjust(victim, 100n * ETH, 160_000n * USDC);
    const snapshot = await networkHelpers.takeSnapshot();
    await m.setPrices(1_800n * USD);
    await liquidate(keeper);
    const alone = await wealth(victim.address, 1_800n);
    await snapshot.restore();
    // Nine times as much at the same tick, and dust beside it.
    await m.adjust(attacker, 900n * ETH, 1_440_000n * USDC);
    await m.adjust(attacker, ETH / 100n, 16n * USDC, 1n);
    const [a, b] = [await lens.position(m.vault, attacker, 0), await lens.position(m.vault, victim, 0)];
    expect(a.node).to.equal(b.node);
    await m.setPrices(1_800n * USD);
    await liquidate(keeper);
    expect(await wealth(victim.address, 1_800n)).to.be.within(alone - 10_000n, alone + 10_000n);
  });

  it("a budget that ends within a tick never takes more of a victim than a whole sale would", async () => {
    await m.adjust(victim, 100n * ETH, 160_000n * USDC);
    await m.adjust(attacker, 900n * ETH, 1_440_000n * USDC);
    await m.setPrices(1_800n * USD);
    const snapshot = await networkHelpers.takeSnapshot();
    await liquidate(keeper);
    const whole = await wealth(victim.address, 1_800n);
    await snapshot.restore();
    for (let i = 0; i < 4; i++) await liquidate(keeper, { maxRepay: 60_000n * USDC });
    expect(await wealth(victim.address, 1_800n)).to.be.at.least(whole - 10_000n);
  });

  it("dust costs keepers nothing: a tick costs the same gas for one position and for forty", async () => {
    await m.adjust(victim, 100n * ETH, 160_000n * USDC);
    const gas = async () => {
      await m.setPrices(1_800n * USD);
      return (await (await liquidate(keeper)).wait())!.gasUsed;
    };
    const snapshot = await networkHelpers.takeSnapshot();
    const alone = await gas();
    await snapshot.restore();
    for (let sub = 0n; sub < 39n; sub++) await m.adjust(attacker, ETH / 100n, 16n * USDC, sub);
    expect((await lens.position(m.vault, attacker, 38)).node).to.equal(
      (await lens.position(m.vault, victim, 0)).node,
    );
    const crowded = await gas();
    expect(crowded).to.be.within(alone - 3_000n, alone + 3_000n);
    // And less than the minimum cannot be opened at all.
    await expect(m.adjust(attacker, ETH / 100n, 9n * USDC, 99n)).to.be.revertedWithCustomError(
      m.vault,
      "DebtTooSmall",
    );
  });
});
