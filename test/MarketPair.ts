import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  accrueFunding,
  accrueRate,
  type FundingState,
  type FundingTerms,
  fundedInterest,
  growthOf,
  NOTHING_DUE,
  surchargeOf,
  targetSkew,
  utilizationOf,
  valueOfDebt,
} from "@breakwater/sdk/core";
import { connect, readForecast } from "@breakwater/sdk/chain";

import { deployLocal, type Local, type LocalMarket } from "../deploy/local.ts";
import { fundLenders } from "../scripts/start/book.ts";
import { random } from "../scripts/drill/book.ts";
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

/** A pair whose markets both charged at `updatedAt`. */
const stateOf = (
  { valueLong, valueShort, skew }: { valueLong: bigint; valueShort: bigint; skew: bigint },
  updatedAt: bigint,
): FundingState => ({ valueLong, valueShort, skew, updatedAt, long: NOTHING_DUE, short: NOTHING_DUE });

const indexAfter = (index: bigint, exponent: bigint): bigint => (index * growthOf(exponent) + WAD - 1n) / WAD;

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
    expect(terms).to.deep.equal({
      maxRate: 9_512_937_595n, // 30 % a year
      deadBand: WAD / 20n,
      halfLife: 12n * HOUR,
      insuranceShare: 50n,
      sparedShare: 50n,
      floor: FLOOR,
    });
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

  it("values the shorts at the dearer of two prices, as the market does that lends to them", async () => {
    await local.setPrice("ETH/USD", "2020"); // and the pool stays
    await goShort(1_000_000n * USDC, 100n * ETH);
    expect((await pair.read()).valueShort).to.be.within(201_900_000_000n, 202_100_000_000n);
  });

  it("F4: charges the heavy side to the unit what the SDK says, and insures its share of it", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    const opened = await timeOf();
    const before = await ledgerOf(long);
    const pushed = await pair.read();
    expect(pushed.target).to.be.greaterThan(WAD / 2n);
    await later(DAY);
    await (await long.vault.accrueInterest()).wait();
    const elapsed = (await timeOf()) - opened;
    const after = await ledgerOf(long);

    const { long: due, skew } = accrueFunding(stateOf(pushed, opened), terms, opened + elapsed);
    expect((await pair.read()).skew).to.equal(skew);
    const base = accrueRate(utilizationOf(before.totalDebt, before.cash), before.rateAtTarget, elapsed);
    const charged = fundedInterest(base.rate * elapsed, elapsed, before.reserveFactor, due, terms);
    expect(after.borrowIndex).to.equal(indexAfter(before.borrowIndex, charged.exponent));
    // a day at a rate that has come three quarters of the way to half of 30 %: some 0.03 %
    expect(charged.surcharge).to.be.within(2n * 10n ** 14n, 5n * 10n ** 14n);

    const interest = after.totalDebt - before.totalDebt;
    expect(after.reserves - before.reserves).to.equal((interest * charged.cut) / WAD);
    const cut = base.rate * elapsed * 10n + charged.surcharge * terms.insuranceShare;
    expect(after.reserves - before.reserves).to.be.closeTo((interest * cut) / (charged.exponent * 100n), 1n);
  });

  it("spares the light side's borrowers a part of the reserve fee, and its lenders nothing", async () => {
    await goShort(20_000_000n * USDC, 5_000n * ETH);
    await goLong(2_000n * ETH, 1_000_000n * USDC);
    const opened = await timeOf();
    const before = await ledgerOf(long);
    const pushed = await pair.read();
    expect(pushed.target).to.be.lessThan(0n);
    await later(5n * DAY);
    await (await long.vault.accrueInterest()).wait();
    const elapsed = (await timeOf()) - opened;
    const after = await ledgerOf(long);
    const base = accrueRate(utilizationOf(before.totalDebt, before.cash), before.rateAtTarget, elapsed);
    const { long: due } = accrueFunding(stateOf(pushed, opened), terms, opened + elapsed);
    const charged = fundedInterest(base.rate * elapsed, elapsed, before.reserveFactor, due, terms);
    expect(after.borrowIndex).to.equal(indexAfter(before.borrowIndex, charged.exponent));
    expect(after.borrowIndex).to.be.lessThan(indexAfter(before.borrowIndex, base.rate * elapsed));
    // at least what the lenders get: nine tenths
    expect(after.borrowIndex).to.be.greaterThan(
      indexAfter(before.borrowIndex, (base.rate * elapsed * 9n) / 10n),
    );
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
    const { skew } = accrueFunding(stateOf(pushed, opened), terms, opened + DAY);
    expect((await pair.read()).skew).to.be.closeTo(skew, 100n);
  });

  it("costs each side what the SDK forecast for the next day", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    await goShort(2_000_000n * USDC, 500n * ETH);
    const contracts = connect(local.addresses, ethers.provider);
    const forecastOf = async (id: string) =>
      readForecast(
        contracts,
        local.addresses.markets.find((market) => market.id === id)!,
      );
    const at = await timeOf();
    const forecast = (await forecastOf("weth-usdc"))!;
    expect([forecast.long, forecast.short]).to.deep.equal([long.vault.target, short.vault.target]);
    expect(forecast.hours.map(({ time }) => time)).to.deep.equal(
      Array.from({ length: 24 }, (_, hour) => at + BigInt(hour + 1) * HOUR),
    );
    expect(forecast.target).to.be.greaterThan(forecast.skew);
    const before = [await ledgerOf(long), await ledgerOf(short)];
    await networkHelpers.time.increaseTo(at + DAY);
    const after = [await ledgerOf(long), await ledgerOf(short)];
    expect((await pair.read()).skew).to.be.closeTo(forecast.hours.at(-1)!.skew, WAD / 10n ** 4n);
    for (const [i, side] of (["long", "short"] as const).entries()) {
      const exponent = forecast.hours.reduce((sum, hour) => sum + hour[side].borrow * HOUR, 0n);
      const grown = (after[i]!.borrowIndex * WAD) / before[i]!.borrowIndex - WAD;
      expect(grown).to.be.closeTo(growthOf(exponent) - WAD, grown / 1_000n);
    }
    expect(await forecastOf("wbtc-usdc")).to.equal(undefined);
  });

  it("F4: keeps to the unit what the SDK reckons, whatever its markets push and when", async () => {
    const next = random(1);
    const sizeOf = (bits: number) =>
      BigInt(Math.floor(next() * 2 ** 52)) << BigInt(Math.floor(next() * bits));
    const senders = await Promise.all(
      [long, short].map(async ({ vault }) => {
        await networkHelpers.setBalance(vault.target as string, 10n ** 20n);
        return ethers.getImpersonatedSigner(vault.target as string);
      }),
    );
    let state = stateOf(await pair.read(), await timeOf());
    let price = (await pair.read()).price;
    let turns = 0;
    for (let step = 0; step < 150; step++) {
      const now = state.updatedAt + BigInt(2 + Math.floor(next() ** 6 * 2e7));
      await networkHelpers.time.setNextBlockTimestamp(now - 1n);
      const isLong = next() < 0.5;
      // Mostly like each other, at times out of every proportion.
      const usual = isLong ? 1n : 2_000n;
      const debt =
        next() < 0.1 ? sizeOf(120) : (BigInt(Math.floor(next() * 60_000_000)) * WAD + sizeOf(8)) / usual;
      const ownPrice = (BigInt(Math.floor(1e9 + next() * 1e9)) << 128n) / 10n ** (isLong ? 6n : 12n);
      const observed = next() < 0.3 ? 0n : ownPrice;
      const sender = isLong ? senders[0]! : senders[1]!;
      await pair.connect(sender).observe(observed);
      await networkHelpers.time.setNextBlockTimestamp(now);
      await pair.connect(sender).push(debt);

      const before = Math.sign(Number(state.skew));
      state = accrueFunding(state, terms, now);
      if (before * Math.sign(Number(state.skew)) < 0) turns++;
      if (!isLong && observed !== 0n) price = MAX_UINT256 / observed;
      if (isLong) state = { ...state, valueLong: valueOfDebt(debt), long: NOTHING_DUE };
      else state = { ...state, valueShort: valueOfDebt(debt, price), short: NOTHING_DUE };

      // The pair as of its last block, and as it will be some time later.
      const view = await pair.read({ blockTag: "latest" });
      expect([view.valueLong, view.valueShort, view.price]).to.deep.equal([
        state.valueLong,
        state.valueShort,
        price,
      ]);
      expect([view.skew, view.target, view.updatedAt]).to.deep.equal([
        state.skew,
        targetSkew(state, terms),
        now,
      ]);
      for (const [market, due] of [
        [long, state.long],
        [short, state.short],
      ] as const) {
        const surcharge = surchargeOf(due, terms);
        expect([...(await pair.dueOf(market.vault))]).to.deep.equal([
          surcharge,
          (surcharge * terms.insuranceShare) / 100n,
          (due.spared * terms.sparedShare) / 100n,
        ]);
      }
    }
    expect(turns, "of the heavy side").to.be.greaterThan(10);
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

  it("charges next to nothing for a book that was turned over for a block", async () => {
    await goShort(1_000_000n * USDC, 250n * ETH);
    const before = await pair.read();
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    await networkHelpers.time.setNextBlockTimestamp((await timeOf()) + 12n);
    await long.vault.connect(bull).adjust(bull, 0n, ALL, ALL, bull, "0x");
    const after = await pair.read();
    expect(after.valueLong).to.equal(0n);
    // 12 seconds of a half-life of 12 hours: 0.02 % of the way at most
    expect(after.skew - before.skew).to.be.within(1n, WAD / 5_000n);
    expect((await pair.dueOf(long.vault)).surcharge).to.equal(0n);
  });

  it("changes nothing for anyone but its markets", async () => {
    await goLong(15_000n * ETH, 12_000_000n * USDC);
    const before = await pair.read();
    await pair.connect(bear).push(10n ** 30n * MICRO);
    await pair.connect(bear).observe(1n);
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
    // Half a mirror image, either half.
    for (const [one, two] of [
      [wbtc, short.vault],
      [short.vault, wbtc],
    ] as const) {
      await expect(other.link(one, two))
        .to.be.revertedWithCustomError(other, "NotMirrored")
        .withArgs(one, two);
    }
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
