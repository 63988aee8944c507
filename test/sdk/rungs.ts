import { expect } from "chai";
import { network } from "hardhat";

import {
  type Contracts,
  type MarketReading,
  connect,
  openAccount,
  openMarkets,
  readRates,
  readSources,
  readTicks,
} from "@breakwater/sdk/chain";
import {
  BPS,
  Q128,
  WAD,
  clearsBefore,
  debtTokensUp,
  debtUnitsUp,
  liquidatableAt,
  priceAfter,
  shareOfDebt,
} from "@breakwater/sdk/core";

import { type Local, deployLocal } from "../../deploy/local.ts";
import { random } from "../../scripts/drill/book.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";

// What screens show of a market: its ladder, its oracle's sources, its rates to come, what an account has in it.

describe("What the SDK shows of a market", () => {
  let local: Local;
  let contracts: Contracts;
  let markets: MarketReading[];
  let block: number;

  before(async () => {
    const connection = await network.create();
    local = await deployLocal(connection);
    const [lender, ...owners] = local.signers.others;
    await fundLenders(local, lender!);
    await openPositions(local, planOpenings(local, owners, 60, { from: 1.2, to: 5 }, random(7)));
    await local.setPrice("ETH/USD", "1950");
    const { provider } = connection.ethers;
    contracts = connect(local.addresses, provider);
    block = await provider.getBlockNumber();
    markets = await (await openMarkets(contracts, provider))(block);
  });

  it("tells longs from shorts, and which market mirrors which", () => {
    const [long, short, alone] = markets;
    expect([long!.side, short!.side, alone!.side]).to.deep.equal(["long", "short", "long"]);
    expect(long!.mirror).to.equal(short!.addresses.vault);
    expect(short!.mirror).to.equal(long!.addresses.vault);
    expect(alone!.mirror).to.equal(undefined);
  });

  it("clears what Lens.liquidatableUnder says, to the unit", async () => {
    const falls = [0n, 1n, 37n, 500n, 1_000n, 2_000n, 5_000n, 9_999n, 10_000n];
    for (const { addresses, state } of markets) {
      const rungs = await readTicks(contracts, addresses, block);
      const lens = await contracts.lens.liquidatableUnder(addresses.vault, falls, { blockTag: block });
      const own = falls.map((fall) => {
        const price = (state.priceHigh * (BPS - fall)) / BPS;
        return liquidatableAt(price, rungs, state).debt;
      });
      expect(own).to.deep.equal([...lens]);
      expect(own.at(-1)).to.be.greaterThan(own[3]!);
    }
  });

  it("counts what clears before a tick, and shares of all", async () => {
    const [{ addresses, state, view }] = markets as [MarketReading];
    const rungs = await readTicks(contracts, addresses, block);
    expect(rungs.map(({ tick }) => tick)).to.deep.equal(rungs.map(({ tick }) => tick).sort((a, b) => b - a));
    const total = rungs.reduce((sum, { bookDebt }) => sum + bookDebt, 0n);
    expect(total).to.equal(view.bookDebt);
    const third = rungs[2]!;
    const before = clearsBefore(third.tick, rungs, state);
    const above = rungs[0]!.bookDebt + rungs[1]!.bookDebt;
    expect(before).to.deep.equal({
      debt: debtTokensUp(debtUnitsUp(above, state.borrowIndex), state.units),
      ticks: 2,
      positions: rungs[0]!.positions + rungs[1]!.positions,
    });
    expect(shareOfDebt(clearsBefore(-1e6, rungs, state), rungs, state)).to.equal(WAD);
    expect(clearsBefore(rungs[0]!.tick, rungs, state).debt).to.equal(0n);
    expect(shareOfDebt(before, [], state)).to.equal(0n);
  });

  it("moves a price against longs and against shorts", () => {
    expect(priceAfter(2_000n * Q128, 500n, "long")).to.equal(1_900n * Q128);
    // The base token from 2,000 to 2,500: a short's market has the inverse.
    expect(priceAfter(Q128 / 2_000n, 2_500n, "short") - Q128 / 2_500n).to.be.within(-1n, 0n);
  });

  it("says what each source of the oracle says", async () => {
    for (const { addresses, state } of markets) {
      const [feed, pool] = await readSources(contracts, addresses, block);
      expect([feed!.kind, pool!.kind, pool!.window]).to.deep.equal(["feed", "pool", 600n]);
      expect([feed!.isStale, feed!.age! < 3_600n]).to.deep.equal([false, true]);
      // The range is made of the two, but for its rounding and the pool's tick.
      for (const { price } of [feed!, pool!]) {
        expect(
          price! >= (state.priceLow * 9_998n) / BPS && price! <= (state.priceHigh * 10_002n) / BPS,
        ).to.equal(true);
      }
    }
    const [long] = await readSources(contracts, markets[0]!.addresses, block);
    expect(long!.price).to.equal(1_950n * Q128);
  });

  it("begins its forecast where the rates are, with a pair and without", async () => {
    for (const market of markets) {
      const { hours, pair } = await readRates(contracts, market, block);
      expect(hours.length).to.equal(24);
      expect(pair === undefined).to.equal(market.mirror === undefined);
      const near = (a: bigint, b: bigint) => a >= (b * 95n) / 100n && a <= (b * 105n) / 100n;
      expect(near(hours[0]!.borrow, market.view.borrowRate), market.addresses.id).to.equal(true);
      expect(near(hours[0]!.lend, market.view.lendRate), market.addresses.id).to.equal(true);
    }
  });

  it("finds an account's positions in every sub-account, also those that were given to it", async () => {
    const [, owner, other] = local.signers.others;
    const read = openAccount(contracts, owner!.address);
    const mine = await read(markets, block);
    expect(mine.length).to.be.greaterThan(0);
    for (const { market, sub, figures, tick, view } of mine) {
      expect(view.sub).to.equal(sub);
      expect(figures.liquidationPrice).to.equal(view.liquidationPrice);
      expect(figures.health).to.equal(view.health);
      expect(BigInt(tick)).to.equal(view.tick);
      expect(figures.debt).to.equal(view.debt);
      expect(market.addresses.vault).to.be.a("string");
    }
    const { market, sub } = mine[0]!;
    const vault = contracts.vault(market.addresses).connect(owner);
    await (await vault.offerPosition(owner!, sub, other!)).wait();
    await (
      await contracts.vault(market.addresses).connect(other).transferPosition(owner!, sub, other!, 77n)
    ).wait();
    const now = await local.ethers.provider.getBlockNumber();
    expect((await read(markets, now)).length).to.equal(mine.length - 1);
    const theirs = await openAccount(contracts, other!.address)(markets, now);
    expect(theirs.some((position) => position.market === market && position.sub === 77n)).to.equal(true);
  });
});
