import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { expect } from "chai";
import { network } from "hardhat";
import { MaxUint256 } from "ethers";

import {
  type HistoryEntry,
  type MarketReading,
  connect,
  costsOf,
  historyCsv,
  openHistory,
  openMarkets,
  positionOfView,
  quoteLeverage,
  readBalances,
} from "@breakwater/sdk/chain";
import { WAD, YEAR, figuresOf, interestIn, liquidationPriceIn, valueInDebt } from "@breakwater/sdk/core";

import { deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders } from "../../scripts/start/book.ts";
import { ETH, USDC } from "../support/market.ts";

const connection = await network.create();
const { networkHelpers } = connection;
const MAX_TICK = 2 ** 23 - 1;

describe("SDK: an account's history and costs", function () {
  this.timeout(300_000);

  async function fixture() {
    const local = await deployLocal(connection);
    const [lender, dealer, keeper, trader, other] = local.signers.others;
    await fundLenders(local, lender!);
    const arbitrageur = await openArbitrageur(local, dealer!);
    const contracts = connect(local.addresses, trader!);
    const readMarkets = await openMarkets(contracts, trader!);
    const market = local.markets["weth-usdc"]!;
    const open = async (owner: typeof trader, sub: bigint, collateral: bigint, debt: bigint) => {
      await market.collateral.mint(owner!, collateral);
      await market.collateral.connect(owner).approve(market.vault, MaxUint256);
      await market.vault.connect(owner).adjust(owner!, sub, collateral, debt, owner!, "0x");
    };
    await market.debt.mint(keeper!, 10n ** 15n);
    await market.debt.connect(keeper).approve(local.contracts.liquidator, MaxUint256);
    const liquidate = async (maxRepay = 10n ** 15n) => {
      const order = {
        ...{ market: market.vault, maxRepay, minCollateral: 0n, fromTick: MAX_TICK, maxTicks: 0n },
        ...{ buyPot: false, deadline: 2n ** 40n, receiver: keeper! },
      };
      await local.contracts.liquidator.connect(keeper).liquidate(order, "0x");
    };
    const setPrice = async (price: string) => {
      await local.setPrice("ETH/USD", price);
      await arbitrageur.trade();
      await networkHelpers.time.increase(600);
    };
    return {
      local,
      contracts,
      readMarkets,
      market,
      trader: trader!,
      other: other!,
      open,
      liquidate,
      setPrice,
    };
  }

  /** Amounts as the Lens had them at the end of a block. */
  const amountsAt = async (
    { contracts, trader }: Awaited<ReturnType<typeof fixture>>,
    market: MarketReading,
    sub: bigint,
    block: number,
  ) => {
    const view = await contracts.lens.position(market.addresses.vault, trader, sub, { blockTag: block });
    const { borrowIndex } = await contracts.lens.market(market.addresses.vault, { blockTag: block });
    const { collateral, debt } = figuresOf(positionOfView(view, market), { ...market.state, borrowIndex });
    return { collateral, debt };
  };

  it("tells what each liquidation did to a position, as the chain has it, and what its owner did", async () => {
    const scene = await networkHelpers.loadFixture(fixture);
    const { contracts, readMarkets, trader, other, open, liquidate, setPrice, market } = scene;
    await open(trader, 0n, 10n * ETH, 15_000n * USDC);
    await open(trader, 3n, 10n * ETH, 11_000n * USDC);
    await open(other, 0n, 50n * ETH, 78_000n * USDC);
    const history = openHistory(contracts, trader.address);
    const read = async () =>
      history(await readMarkets("latest"), await connection.ethers.provider.getBlockNumber());
    expect((await read()).map(({ kind, sub }) => [kind, sub])).to.deep.equal([
      ["open", 0n],
      ["open", 3n],
    ]);

    // What a reorganisation takes back is forgotten.
    const snapshot = await networkHelpers.takeSnapshot();
    await open(trader, 4n, 10n * ETH, 10_000n * USDC);
    expect(await read()).to.have.length(3);
    await snapshot.restore();
    expect(await read()).to.have.length(2);

    await setPrice("1720");
    await liquidate();
    await market.collateral.mint(trader, ETH);
    await market.vault.connect(trader).adjust(trader, 0n, ETH, 0n, trader, "0x");
    await setPrice("1200");
    await liquidate();
    const entries = await read();
    expect(entries.map(({ kind, sub }) => [kind, sub])).to.deep.equal([
      ["open", 0n],
      ["open", 3n],
      ["liquidation", 0n],
      ["change", 0n],
      ["seizure", 0n],
      ["liquidation", 3n],
    ]);
    expect(
      await openHistory(contracts, trader.address)(await readMarkets("latest"), entries.at(-1)!.block),
    ).to.have.length(entries.length);
    for (const { sub, block, after, market: of, kind } of entries) {
      const amounts = await amountsAt(scene, of, sub, block);
      expect(after.collateral, `${kind} of ${sub}`).to.equal(amounts.collateral);
      // Adding collateral charges no interest.
      expect(after.debt, `${kind} of ${sub}`).to.be.within(
        amounts.debt - (kind === "change" ? 10n : 0n),
        amounts.debt,
      );
    }
    const [, , partial] = entries as [HistoryEntry, HistoryEntry, HistoryEntry];
    const l = partial.liquidation!;
    expect(l.before.health! < WAD && l.after.health! > WAD).to.equal(true);
    expect(l.debtCleared).to.equal(partial.before.debt - partial.after.debt);
    expect(l.penalty).to.equal(
      valueInDebt(l.collateralSold, l.priceHigh, partial.market.state.units) - l.debtCleared,
    );
    // At least the smallest bonus, 1.5 %, of what was cleared.
    expect(l.penalty >= (l.debtCleared * 15n) / 1_000n - 1n).to.equal(true);
    expect(l.priceState).to.equal("Fresh");
    expect(l.rounds[0]).to.equal(2n);

    const lines = historyCsv(entries).split("\r\n");
    expect(lines).to.have.length(entries.length + 2);
    expect(new Set(lines.slice(0, -1).map((line) => line.split(",").length)).size).to.equal(1);
    expect(lines[3]!.split(",").slice(3, 6)).to.deep.equal(["weth-usdc", "0", "liquidation"]);
  });

  it("tells the same with an index that is down, stutters, follows another chain or leaves something out", async () => {
    const { contracts, local, readMarkets, trader, open, liquidate, setPrice } =
      await networkHelpers.loadFixture(fixture);
    const { provider } = connection.ethers;
    await open(trader, 0n, 10n * ETH, 15_000n * USDC);
    await open(trader, 1n, 10n * ETH, 11_000n * USDC);
    await setPrice("1720");
    await liquidate();
    const block = await provider.getBlockNumber();
    const markets = await readMarkets("latest");
    const expected = await openHistory(contracts, trader.address)(markets, block);
    expect(expected.map(({ kind }) => kind)).to.deep.equal(["open", "open", "liquidation"]);

    const address = [...local.addresses.markets.map(({ vault }) => vault), local.contracts.insurance];
    interface Row {
      block: number;
      blockHash: string;
    }
    const logsUntil = async (until: number) => {
      const asked = await Promise.all(
        address.map(async (one) => provider.getLogs({ address: one, fromBlock: 0, toBlock: until })),
      );
      const rows = asked.flat().map(async (log) => ({
        ...{ address: log.address, topics: log.topics, data: log.data, logIndex: log.index },
        ...{ block: log.blockNumber, transaction: log.transactionHash, blockHash: log.blockHash },
        timestamp: (await log.getBlock()).timestamp,
      }));
      return (await Promise.all(rows)).sort((a, b) => a.block - b.block || a.logIndex - b.logIndex);
    };
    const [whole, early] = [await logsUntil(block), await logsUntil(block - 5)];
    const without = (name: string) => {
      const { topicHash } = local.markets["weth-usdc"]!.vault.interface.getEvent(name as "Adjust");
      return whole.filter(({ topics }) => topics[0] !== topicHash);
    };
    const answer: { status?: number; body: (from: number, to: number) => unknown } = { body: () => "" };
    const between = (rows: readonly Row[]) => (from: number, to: number) => ({
      logs: rows.filter((row) => row.block >= from && row.block <= to),
      until: to,
    });
    let asked = 0;
    const server = createServer((request, response) => {
      asked++;
      const { searchParams } = new URL(request.url!, "http://localhost");
      const [from, to] = [Number(searchParams.get("from")), Number(searchParams.get("to"))];
      response.writeHead(answer.status ?? 200).end(JSON.stringify(answer.body(from, to)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const openWith = () => openHistory(contracts, trader.address, url);
    try {
      for (const body of [
        between(whole),
        between(early),
        between([]),
        // Whole blocks only, as many as fit.
        (from: number, to: number) => between(whole)(from, Math.min(to, from + 40)),
        between(whole.map((row) => ({ ...row, blockHash: `0x${"0".repeat(64)}` }))),
        () => ({ logs: [{ block: "many" }], until: 0 }),
        () => ({ logs: [], until: 0 }),
        () => ({ error: "no" }),
      ]) {
        answer.body = body;
        asked = 0;
        expect(await openWith()(markets, block)).to.deep.equal(expected);
        expect(asked).to.be.greaterThan(0);
      }
      answer.status = 503;
      expect(await openWith()(markets, block)).to.deep.equal(expected);
      answer.status = 200;

      // What it tells is what counts, where its last block is the node's.
      answer.body = between(whole.map((row) => ({ ...row, timestamp: row.timestamp + 1 })));
      const later = expected.map((entry) => ({ ...entry, time: entry.time + 1 }));
      expect(await openWith()(markets, block)).to.deep.equal(later);

      // Lenders without deposits: the replay sees that something is missing, and the index is not asked again.
      answer.body = between(without("Deposit"));
      const history = openWith();
      const failed = await history(markets, block).catch((error: unknown) => error);
      expect(failed).to.be.instanceOf(Error);
      asked = 0;
      expect(await history(markets, block)).to.deep.equal(expected);
      expect(asked).to.equal(0);
    } finally {
      server.close();
    }
    expect(await openWith()(markets, block)).to.deep.equal(expected);
  });

  it("adds up what a trade costs, in what the pair is priced in", async () => {
    const { contracts, readMarkets, trader, local } = await networkHelpers.loadFixture(fixture);
    const markets = await readMarkets("latest");
    for (const [id, token] of [
      ["weth-usdc", "debt"],
      ["usdc-weth", "collateral"],
    ] as const) {
      const market = markets.find(({ addresses }) => addresses.id === id)!;
      const amount = id === "weth-usdc" ? ETH : 2_000n * USDC;
      const quote = await quoteLeverage(contracts, {
        ...{ market, owner: trader.address, sub: 0n, leverage: 3n * WAD, slippage: 50n, deadline: 2n ** 40n },
        margin: { token: "collateral", amount },
      });
      const costs = costsOf(quote, market);
      expect(costs.token).to.equal(token);
      // Twice the margin is swapped, about 4,000 USDC, at a pool's fee of 0.05 % and some impact.
      expect(costs.swap).to.be.within(USDC, 20n * USDC);
      const [day, week, month] = costs.allIn;
      expect([day, week, month].map((each) => each!.days)).to.deep.equal([1n, 7n, 30n]);
      expect(month!.cost).to.equal(costs.swap + month!.interest);
      expect(week!.interest).to.be.within(7n * day!.interest - 7n, 7n * day!.interest + USDC / 100n);
    }
    const { weth, usdc } = { weth: local.addresses.tokens["WETH"]!, usdc: local.addresses.tokens["USDC"]! };
    const { ether, tokens } = await readBalances(contracts, trader.address, [weth, usdc]);
    expect(ether).to.equal(await connection.ethers.provider.getBalance(trader));
    expect(tokens).to.deep.equal({ [weth]: 0n, [usdc]: await local.tokens["USDC"]!.balanceOf(trader) });
  });

  it("grows a debt as it grows a liquidation price", () => {
    const rate = WAD / 10n / YEAR;
    const debt = 10n ** 24n;
    expect(interestIn(30n, debt, rate)).to.be.within(
      liquidationPriceIn(30n, debt, rate) - debt,
      liquidationPriceIn(30n, debt, rate) - debt + 1n,
    );
  });
});
