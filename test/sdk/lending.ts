import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { MaxUint256 } from "ethers";

import {
  type Contracts,
  type LendingQuote,
  type MarketReading,
  connect,
  gasOf,
  lendingTransactions,
  lossOf,
  openLiquidations,
  openMarkets,
  openShareHistory,
  quoteLending,
  readLender,
  readWaits,
  yieldOf,
} from "@breakwater/sdk/chain";

import { type Local, deployLocal } from "../../deploy/local.ts";
import { random } from "../../scripts/drill/book.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;
const USDC = 10n ** 6n;

async function fixture() {
  const local = await deployLocal(connection);
  const [lender, lone, liquidator, ...owners] = local.signers.others as [
    HardhatEthersSigner,
    HardhatEthersSigner,
    HardhatEthersSigner,
    ...HardhatEthersSigner[],
  ];
  await fundLenders(local, lender);
  await openPositions(local, planOpenings(local, owners, 9, { from: 3, to: 5 }, random(3)));
  await (await local.tokens["USDC"]!.mint(lone, 50_000n * USDC)).wait();
  const contracts = connect(local.addresses, ethers.provider);
  return { local, contracts, lender, lone, liquidator, read: await openMarkets(contracts, ethers.provider) };
}

describe("SDK: lending", function () {
  this.timeout(120_000);
  let local: Local;
  let contracts: Contracts;
  let lender: HardhatEthersSigner;
  let lone: HardhatEthersSigner;
  let liquidator: HardhatEthersSigner;
  let read: Awaited<ReturnType<typeof openMarkets>>;
  let market: MarketReading;

  beforeEach(async () => {
    ({ local, contracts, lender, lone, liquidator, read } = await networkHelpers.loadFixture(fixture));
    market = (await read("latest"))[0]!;
  });

  const send = async (quote: LendingQuote) => {
    const transactions = await lendingTransactions(contracts, quote);
    for (const { to, data } of transactions) await (await lone.sendTransaction({ to, data })).wait();
    return transactions.map(({ words }) => words);
  };
  const quote = async (kind: "deposit" | "withdraw", amount: bigint | "all") =>
    quoteLending(contracts, { market, owner: lone.address, kind, amount });
  /** Ten minutes after the price: the pool's mean has followed it. */
  const setPrice = async (price: string) => {
    await local.setPrice("ETH/USD", price);
    const { openArbitrageur } = await import("../../scripts/arbitrage.ts");
    await (await openArbitrageur(local, local.signers.others.at(-1)!)).trade();
    await networkHelpers.mine(2, { interval: 600 });
    market = (await read("latest"))[0]!;
  };

  it("says what a deposit and a withdrawal make of a lender and of the rate", async () => {
    const deposit = await quote("deposit", 20_000n * USDC);
    expect(deposit.before).to.include({ balance: 50_000n * USDC, shares: 0n, worth: 0n });
    expect(deposit.before.lendRate).to.equal(market.view.lendRate);
    expect(await send(deposit)).to.deep.equal([
      "approve USDC for the market: just what is needed",
      "deposit",
    ]);
    market = (await read("latest"))[0]!;
    const now = await readLender(contracts, market, lone.address);
    expect(now.balance).to.equal(deposit.after.balance);
    // A block's interest later.
    expect(now.worth).to.be.within(deposit.after.worth - 2n, deposit.after.worth + 2n);
    expect(Number(market.view.lendRate)).to.be.closeTo(Number(deposit.after.lendRate), 1e5);
    expect(deposit.after.lendRate).to.be.below(deposit.before.lendRate);

    const some = await quote("withdraw", 5_000n * USDC);
    expect(some.isAll).to.equal(false);
    expect(await send(some)).to.deep.equal(["withdraw"]);
    market = (await read("latest"))[0]!;
    expect((await readLender(contracts, market, lone.address)).balance).to.equal(35_000n * USDC);

    await networkHelpers.time.increase(86_400);
    await networkHelpers.mine();
    market = (await read("latest"))[0]!;
    const all = await quote("withdraw", "all");
    expect(all.assets).to.equal((await readLender(contracts, market, lone.address)).maxWithdraw);
    expect(all).to.include({ isAll: true });
    expect(all.after).to.include({ shares: 0n, worth: 0n });
    await networkHelpers.time.increase(600);
    expect(await send(all)).to.deep.equal(["withdraw all"]);
    const left = await readLender(contracts, market, lone.address);
    expect(left).to.include({ shares: 0n, worth: 0n });
    expect(left.balance).to.be.above(all.after.balance);
  });

  it("takes a lender's rate apart, in every market, to the unit", async () => {
    for (const each of await read("latest")) {
      const { interest, fee, surcharge, insurance, lend } = yieldOf(each);
      expect(lend).to.equal(each.view.lendRate);
      expect(Number(interest - fee + surcharge - insurance - lend)).to.be.closeTo(0, 4);
    }
  });

  it("offers a withdrawal of what is there, not of what is lent out", async () => {
    const { maxWithdraw, worth, maxRedeem, shares } = await readLender(contracts, market, lender.address);
    expect(maxWithdraw).to.equal(market.view.cash);
    expect(maxWithdraw).to.be.below(worth);
    expect(maxRedeem).to.be.below(shares);
    const { isAll, assets } = await quoteLending(contracts, {
      market,
      owner: lender.address,
      kind: "withdraw",
      amount: "all",
    });
    expect(isAll).to.equal(false);
    expect(assets).to.equal(market.view.cash);
  });

  it("gives the share price since the deployment, each block asked for once", async () => {
    const readHistory = openShareHistory(contracts, market);
    await networkHelpers.mine(10, { interval: 86_400 });
    const block = await ethers.provider.getBlockNumber();
    const { prices, gain, isCut } = await readHistory(block);
    expect(isCut).to.equal(false);
    expect(prices.length).to.be.within(10, 50);
    expect(prices.at(-1)!.block).to.equal(block);
    const sorted = prices.map(({ price }) => price);
    expect(sorted).to.deep.equal([...sorted].sort((a, b) => (a < b ? -1 : 1)));
    expect(gain).to.be.above(0n);
    const vault = contracts.vault(market.addresses);
    for (const { block: at, price } of prices.slice(-3)) {
      expect(await vault.convertToAssets(10n ** 18n, { blockTag: at })).to.equal(price);
    }
    const again = await readHistory(block);
    expect(again.prices.slice(0, -1).every((point, at) => point === prices[at])).to.equal(true);
  });

  it("says why lenders wait, and who paid for a crash", async () => {
    const readLiquidations = openLiquidations(contracts, local.addresses.startBlock, { withGas: true });
    expect(await readWaits(contracts, market)).to.deep.equal({ deposit: undefined, withdraw: undefined });
    await local.setPrice("ETH/USD", "1300");
    market = (await read("latest"))[0]!;
    const waits = await readWaits(contracts, market);
    expect(waits.withdraw).to.match(/^lenders wait until every loss is known: the price is diverged/);
    expect(waits.deposit).to.equal(waits.withdraw);
    let refused = "";
    await quote("deposit", USDC).catch((error: unknown) => (refused = String(error)));
    expect(refused).to.match(/LendersWait/);

    await setPrice("1300");
    const usdc = local.tokens["USDC"]!.connect(liquidator);
    await (await usdc.mint(liquidator, 50_000_000n * USDC)).wait();
    await (await usdc.approve(local.contracts.liquidator, MaxUint256)).wait();
    const before = await contracts.insurance.balanceOf(market.addresses.vault);
    const sent = await local.contracts.liquidator.connect(liquidator).liquidate(
      {
        market: market.addresses.vault,
        maxRepay: 50_000_000n * USDC,
        minCollateral: 0n,
        fromTick: 2n ** 23n - 1n,
        maxTicks: 0n,
        buyPot: true,
        receiver: liquidator.address,
        deadline: MaxUint256,
      },
      "0x",
    );
    const receipt = await sent.wait();
    const records = await readLiquidations(await ethers.provider.getBlockNumber());
    expect(records).to.have.lengthOf(1);
    expect(records[0]).to.include({
      market: market.addresses.id,
      caller: liquidator.address,
      transaction: receipt!.hash,
      gasUsed: receipt!.gasUsed,
    });
    expect(gasOf([...records, ...records])).to.equal(receipt!.gasUsed);
    const loss = lossOf(records);
    expect(loss.insurance).to.equal(before - (await contracts.insurance.balanceOf(market.addresses.vault)));
    expect(loss.insurance + loss.reserves + loss.lenders).to.be.above(0n);
    // What was read before is not read again, nor lost, nor counted twice by readings that overlap.
    await networkHelpers.mine(40);
    const block = await ethers.provider.getBlockNumber();
    for (const read of await Promise.all([block - 1, block, block].map(readLiquidations)))
      expect(read).to.deep.equal(records);
  });
});
