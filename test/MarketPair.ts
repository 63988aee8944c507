import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  accrueFunding,
  accrueRate,
  type FundingState,
  type FundingTerms,
  growthOf,
  surchargeOf,
  utilizationOf,
} from "@breakwater/sdk/core";

import { deployLocal, type Local, type LocalMarket } from "../deploy/local.ts";
import { fundLenders } from "../scripts/start/book.ts";
import type { MarketPair } from "../sdk/src/types/index.ts";
import { DAY, ETH, HOUR, MAX_UINT256, MIN_INT256, USDC, WAD } from "./support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const MICRO = 10n ** 12n;
const ALL = MIN_INT256;
/** 20 million, in millionths. */
const FLOOR = 20_000_000n * 10n ** 6n;

async function fixture() {
  const local = await deployLocal(connection);
  const [lender, bull, bear] = local.signers.others;
  await fundLenders(local, lender!);
  for (const trader of [bull!, bear!]) {
    for (const [token, amount] of [
      ["WETH", 100_000n * ETH],
      ["USDC", 100_000_000n * USDC],
    ] as const) {
      await local.tokens[token]!.mint(trader, amount);
      for (const { vault } of Object.values(local.markets)) {
        await local.tokens[token]!.connect(trader).approve(vault, MAX_UINT256);
      }
    }
  }
  return { local, bull: bull!, bear: bear! };
}

describe("MarketPair", function () {
  this.timeout(120_000);
  let local: Local;
  let bull: HardhatEthersSigner;
  let bear: HardhatEthersSigner;
  let pair: MarketPair;
  let long: LocalMarket;
  let short: LocalMarket;
  let terms: FundingTerms;

  beforeEach(async () => {
    ({ local, bull, bear } = await networkHelpers.loadFixture(fixture));
    pair = local.pairs["weth-usdc"]!;
    [long, short] = [local.markets["weth-usdc"]!, local.markets["usdc-weth"]!];
    const [maxRate, deadBand, halfLife, insuranceShare, sparedShare, floor] = await pair.terms();
    terms = { maxRate, deadBand, halfLife, insuranceShare, sparedShare, floor };
  });

  /** WETH against USDC at 2,000. */
  const goLong = async (collateral: bigint, debt: bigint) =>
    long.vault.connect(bull).adjust(bull, 0n, collateral, debt, bull, "0x");
  const goShort = async (collateral: bigint, debt: bigint) =>
    short.vault.connect(bear).adjust(bear, 0n, collateral, debt, bear, "0x");
  const later = async (seconds: bigint) => {
    await networkHelpers.time.increase(seconds);
    // Prices are not older than that.
    await local.setPrice("ETH/USD", "2000");
    await local.setPrice("USDC/USD", "1");
  };
  const timeOf = async () => BigInt((await ethers.provider.getBlock("latest"))!.timestamp);
  const ledgerOf = async ({ vault }: LocalMarket) => local.contracts.lens.market(vault);

  it("is linked to the two markets, which know it", async () => {
    const view = await pair.read();
    expect([view.long, view.short]).to.deep.equal([long.vault.target, short.vault.target]);
    for (const { vault } of [long, short]) expect(await vault.PAIR()).to.equal(pair.target);
    expect(await local.markets["wbtc-usdc"]!.vault.PAIR()).to.equal(ethers.ZeroAddress);
    expect(terms.floor).to.equal(FLOOR);
  });

  it("values what both sides owe: the short's at the last Fresh price", async () => {
    await goLong(2_000n * ETH, 1_000_000n * USDC);
    await goShort(1_000_000n * USDC, 100n * ETH);
    const view = await pair.read();
    expect(view.valueLong).to.be.within(1_000_000_000_000n, 1_000_000_000_001n);
    // the shorts' price is the inverse of the longs', rounded
    expect(view.valueShort).to.be.within(199_900_000_000n, 200_100_000_000n);
    // (1,000,000 − 200,000) / 20,000,000 is 4 %, within the dead band
    expect(view.target).to.equal(0n);
  });

  it("charges the heavy side to the unit what the SDK says, and insures its share of it", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    const opened = await timeOf();
    const before = await ledgerOf(long);
    const pushed = await pair.read();
    expect(pushed.target).to.be.greaterThan(WAD / 2n);
    await later(DAY);
    await (await long.vault.accrueInterest()).wait();
    const elapsed = (await timeOf()) - opened;
    const after = await ledgerOf(long);

    const state: FundingState = {
      debtLong: pushed.valueLong,
      debtShort: 0n,
      price: pushed.price,
      skew: 0n,
      dueLong: 0n,
      dueShort: 0n,
      sparedLong: 0n,
      sparedShort: 0n,
      updatedAt: opened,
    };
    const { dueLong, skew } = accrueFunding(state, terms, opened + elapsed);
    expect((await pair.read()).skew).to.equal(skew);
    const surcharge = surchargeOf(dueLong, terms);
    const base = accrueRate(utilizationOf(before.totalDebt, before.cash), before.rateAtTarget, elapsed);
    const exponent = base.rate * elapsed + surcharge;
    const index = (before.borrowIndex * growthOf(exponent) + WAD - 1n) / WAD;
    expect(after.borrowIndex).to.equal(index);
    // a day at a rate that has come three quarters of the way to half of 30 %: some 0.03 %
    expect(surcharge).to.be.within(2n * 10n ** 14n, 5n * 10n ** 14n);

    const interest = after.totalDebt - before.totalDebt;
    const cut = base.rate * elapsed * 10n + surcharge * terms.insuranceShare;
    expect(after.reserves - before.reserves).to.be.closeTo((interest * cut) / (exponent * 100n), 1n);
  });

  it("spares the light side's borrowers a part of the reserve fee, and its lenders nothing", async () => {
    await goShort(20_000_000n * USDC, 5_000n * ETH);
    await goLong(2_000n * ETH, 1_000_000n * USDC);
    const opened = await timeOf();
    const before = await ledgerOf(long);
    expect((await pair.read()).target).to.be.lessThan(0n);
    await later(5n * DAY);
    await (await long.vault.accrueInterest()).wait();
    const elapsed = (await timeOf()) - opened;
    const after = await ledgerOf(long);
    const base = accrueRate(utilizationOf(before.totalDebt, before.cash), before.rateAtTarget, elapsed);
    const without = (before.borrowIndex * growthOf(base.rate * elapsed) + WAD - 1n) / WAD;
    expect(after.borrowIndex).to.be.lessThan(without);
    // at least what the lenders get: nine tenths
    const lenders = (before.borrowIndex * growthOf((base.rate * elapsed * 9n) / 10n) + WAD - 1n) / WAD;
    expect(after.borrowIndex).to.be.greaterThan(lenders);
    const interest = after.totalDebt - before.totalDebt;
    const full = (before.totalDebt * (growthOf(base.rate * elapsed) - WAD)) / WAD;
    expect(interest - (after.reserves - before.reserves)).to.be.closeTo((full * 9n) / 10n, full / 10_000n);
  });

  it("F1: charges the same however often anyone looks", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    const opened = await timeOf();
    const pushed = await pair.read();
    for (let hour = 1n; hour <= 24n; hour++) {
      await networkHelpers.time.increaseTo(opened + hour * HOUR - 1n);
      await short.vault.accrueInterest(); // pushes no other value
    }
    const { skew } = accrueFunding(
      {
        debtLong: pushed.valueLong,
        debtShort: 0n,
        price: 0n,
        skew: 0n,
        dueLong: 0n,
        dueShort: 0n,
        sparedLong: 0n,
        sparedShort: 0n,
        updatedAt: opened,
      },
      terms,
      opened + DAY,
    );
    expect((await pair.read()).skew).to.be.closeTo(skew, 100n);
  });

  it("F3: is repaid and left whatever the oracle does, valued at the last Fresh price", async () => {
    await goShort(20_000_000n * USDC, 5_000n * ETH);
    const { valueShort } = await pair.read();
    await networkHelpers.time.increase(2n * DAY);
    await networkHelpers.setCode(short.oracle.target as string, "0xfe"); // whoever asks it now reverts
    await short.vault.connect(bear).adjust(bear, 0n, 0n, -2_500n * ETH, bear, "0x");
    expect((await pair.read()).valueShort).to.be.closeTo(valueShort / 2n, valueShort / 100n);
    await short.vault.connect(bear).adjust(bear, 0n, ALL, ALL, bear, "0x");
    expect((await pair.read()).valueShort).to.equal(0n);
  });

  it("follows the price of the shorts' debt when anyone accrues the market", async () => {
    await goShort(20_000_000n * USDC, 5_000n * ETH);
    const before = await pair.read();
    await later(30n * HOUR);
    await local.setPrice("ETH/USD", "2040"); // within the agreement of both sources
    await short.vault.accrueInterest();
    const after = await pair.read();
    expect(after.price).to.be.greaterThan(before.price);
    expect(after.valueShort).to.be.greaterThan(before.valueShort);
  });

  it("shows in the Lens what borrowers pay now and lenders get", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    await later(DAY);
    const { skew } = await pair.read();
    const [heavy, light] = [await ledgerOf(long), await ledgerOf(short)];
    expect(heavy.surcharge).to.equal((terms.maxRate * skew) / WAD);
    expect([heavy.spared, light.surcharge]).to.deep.equal([0n, 0n]);
    expect(light.spared).to.equal((skew * terms.sparedShare) / 100n);
    const lens = heavy.borrowIndex;
    await long.vault.accrueInterest();
    expect((await ledgerOf(long)).borrowIndex).to.be.closeTo(lens, lens / 10n ** 8n); // a second later
  });

  it("changes nothing for anyone but its markets", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    const before = await pair.read();
    await pair.connect(bear).push(10n ** 30n * MICRO, 1n);
    const after = await pair.read();
    expect([after.valueLong, after.valueShort, after.price, after.updatedAt]).to.deep.equal([
      before.valueLong,
      before.valueShort,
      before.price,
      before.updatedAt,
    ]);
    expect([...(await pair.dueOf(bear))]).to.deep.equal([0n, 0n, 0n]);
    expect([...(await pair.rateOf(bear))]).to.deep.equal([0n, 0n, 0n]);
  });

  it("is linked once, by the governor, to mirror images", async () => {
    const manager = await ethers.deployContract("AccessManager", [bull]);
    const fine = {
      maxRate: 1n,
      deadBand: 0n,
      halfLife: HOUR,
      insuranceShare: 0n,
      sparedShare: 0n,
      floor: 1n,
    };
    const other = await ethers.deployContract("MarketPair", [manager, fine], bull);
    await expect(other.connect(bear).link(long.vault, short.vault)).to.be.revertedWithCustomError(
      other,
      "AccessManagedUnauthorized",
    );
    const { vault: wbtc } = local.markets["wbtc-usdc"]!;
    await expect(other.link(long.vault, wbtc))
      .to.be.revertedWithCustomError(other, "NotMirrored")
      .withArgs(long.vault, wbtc);
    await expect(other.link(long.vault, short.vault))
      .to.emit(other, "Link")
      .withArgs(long.vault, short.vault);
    await expect(other.link(long.vault, short.vault))
      .to.be.revertedWithCustomError(other, "AlreadyLinked")
      .withArgs(long.vault, short.vault);
  });

  it("refuses terms beyond its ceilings, and a market without its contract", async () => {
    const manager = local.contracts.manager;
    const fine = {
      maxRate: 31_709_791_983n,
      deadBand: WAD / 2n,
      halfLife: 30n * DAY,
      insuranceShare: 100n,
      sparedShare: 100n,
      floor: 1n,
    };
    await ethers.deployContract("MarketPair", [manager, fine]);
    for (const [term, value, least, most] of [
      ["maxRate", fine.maxRate + 1n, 0n, fine.maxRate],
      ["deadBand", fine.deadBand + 1n, 0n, fine.deadBand],
      ["halfLife", fine.halfLife + 1n, HOUR, fine.halfLife],
      ["halfLife", HOUR - 1n, HOUR, fine.halfLife],
      ["insuranceShare", 101n, 0n, 100n],
      ["sparedShare", 101n, 0n, 100n],
      ["floor", 0n, 1n, 2n ** 80n - 1n],
    ] as const) {
      await expect(ethers.deployContract("MarketPair", [manager, { ...fine, [term]: value }]))
        .to.be.revertedWithCustomError(pair, "InvalidTerms")
        .withArgs(term, value, least, most);
    }
  });
});
