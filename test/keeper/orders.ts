import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { expect } from "chai";
import { network } from "hardhat";
import { pino } from "pino";

import {
  type Contracts,
  type OrderRequest,
  connect,
  openMarkets,
  orderTransactions,
  ordersOf,
  previewOrder,
} from "@breakwater/sdk/chain";
import { Q128, WAD } from "@breakwater/sdk/core";

import { deployLocal } from "../../deploy/local.ts";
import { openFileJournal } from "../../keeper/src/chain/journal.ts";
import { Outbox } from "../../keeper/src/chain/outbox.ts";
import { openSources } from "../../keeper/src/collect.ts";
import { explainBlock } from "../../keeper/src/commands/explain.ts";
import type { Parameters } from "../../keeper/src/decide.ts";
import type { KeeperEvent } from "../../keeper/src/events.ts";
import { Keeper } from "../../keeper/src/keeper.ts";
import { ALONE } from "../../keeper/src/lease.ts";
import { decideOrders, explainOrder } from "../../keeper/src/orders/decide.ts";
import type { MarketSnapshot, OrderOffer, Snapshot } from "../../keeper/src/snapshot.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";
import { ETH, USDC } from "../support/market.ts";

const GWEI = 10n ** 9n;

const parameters: Parameters = {
  minProfit: 10n ** 15n,
  maxSlippage: 50n,
  deadline: 120n,
  maxTicks: 100,
  gasBase: 700_000n,
  gasPerTick: 15_000n,
  inventory: undefined,
  rescue: undefined,
  seizeBudget: 0n,
  pokeBudget: 0n,
  pokePeriod: 0n,
};

describe("protection orders: decide", () => {
  const decideOn = (offer: Partial<OrderOffer>) =>
    decideOrders(
      {
        vault: "0xVault",
        orders: [{ id: 7n, tip: 20n * USDC, coinPrice: 2_000n * USDC, path: "0x01", ...offer }],
      } as MarketSnapshot,
      { gasPrice: 10n * GWEI } as Snapshot,
      parameters,
    );

  it("takes a tip that pays for gas and profit, and tells the contract the least", () => {
    // 0.01 coins; gas 0.005 and profit 0.001
    expect(decideOn({})).to.deep.equal({
      actions: [
        {
          ...{ kind: "order", market: "0xVault", id: 7n, path: "0x01", coinPrice: 2_000n * USDC },
          ...{ minTip: 12n * USDC, gain: 5n * 10n ** 15n, worth: 9n * 10n ** 15n },
        },
      ],
      reasons: [],
    });
    expect(decideOn({ tip: 12n * USDC }).actions).to.have.length(1);
  });

  it("says why not", () => {
    for (const [offer, words] of [
      [
        { tip: 12n * USDC - 1n },
        /order 7: its tip of 0.00599\d+ of the coin is less than 0.005000 of the coin of gas/,
      ],
      [{ path: undefined }, /order 7: no route sells within its bounds/],
      [{ coinPrice: undefined }, /order 7: no pool says what its tip is worth/],
    ] as const) {
      const { actions, reasons } = decideOn(offer);
      expect(actions).to.deep.equal([]);
      expect(reasons.map(explainOrder).join()).to.match(words);
    }
  });
});

describe("protection orders: keeper on a chain", function () {
  this.timeout(120_000);

  async function open() {
    const connection = await network.create();
    const local = await deployLocal(connection);
    const [lender, trader, account, owner] = local.signers.others as [
      HardhatEthersSigner,
      HardhatEthersSigner,
      HardhatEthersSigner,
      HardhatEthersSigner,
    ];
    await fundLenders(local, lender);
    // 60,000 dollars of equity each: two longs of leverage 3, and a short.
    const [long, short] = [local.markets["weth-usdc"]!, local.markets["usdc-weth"]!];
    await openPositions(
      local,
      [long, long, short].map((market, at) => ({
        ...{ market, owner, sub: at % 2, equityUsd: 60_000, leverage: 3 },
      })),
    );
    const arbitrageur = await openArbitrageur(local, trader);
    const { provider } = connection.ethers;
    const events: KeeperEvent[] = [];
    const onEvent = (event: KeeperEvent) => void events.push(event);
    const sources = await openSources(local.addresses, provider);
    const outbox = await Outbox.open({
      ...{ provider, account: { address: account.address }, chainId: 31337, lease: ALONE, pollMs: 20 },
      ...{ onEvent, journal: openFileJournal(":memory:", "test") },
    });
    const keeper = new Keeper({
      ...{ sources, parameters, onEvent, lease: ALONE, log: pino({ level: "silent" }) },
      sender: { contracts: sources.contracts, provider, outbox },
    });
    const contracts: Contracts = connect(local.addresses, owner);
    const readings = async () => (await openMarkets(contracts, provider))("latest");
    const leave = async (id: string, more: Partial<OrderRequest>) => {
      const market = (await readings()).find(({ addresses }) => addresses.id === id)!;
      const request: OrderRequest = {
        ...{ market, owner: owner.address, sub: 0n, kind: "StopLoss", target: 0n, slippage: 150n },
        ...{ keepCollateral: false, level: 0n, tipMin: 5n * USDC, tipMax: 50n * USDC },
        ...{ expiry: 2n ** 39n, times: 1n, budget: 0n, ...more },
      };
      const preview = await previewOrder(contracts, request);
      for (const { to, data } of await orderTransactions(contracts, preview)) {
        await (await owner.sendTransaction({ to, data })).wait();
      }
      return preview;
    };
    const setPrice = async (price: string) => {
      await local.setPrice("ETH/USD", price);
      await arbitrageur.trade();
      await connection.networkHelpers.time.increase(600);
    };
    const round = async () => keeper.step(await provider.getBlockNumber());
    const positionOf = async ({ vault }: typeof long, sub = 0n) => contracts.lens.position(vault, owner, sub);
    const explained = async () =>
      (await explainBlock(sources, parameters, await provider.getBlockNumber())).markets.flatMap(
        ({ would, why }) => [...would, ...why],
      );
    return {
      connection,
      local,
      contracts,
      events,
      account,
      owner,
      long,
      short,
      leave,
      setPrice,
      round,
      positionOf,
      explained,
    };
  }

  it("executes what is triggered and pays, through the outbox, and says why not the rest", async () => {
    const { local, contracts, events, account, owner, long, short, ...t } = await open();
    const [usdc, weth] = [local.tokens["USDC"]!, local.tokens["WETH"]!];
    // Stops of both: the long's at 1,900; the short's, which would be at 2,100, keeps its dollars.
    await t.leave("weth-usdc", { level: 1_900n * Q128 });
    await t.leave("usdc-weth", { level: Q128 / 2_100n, keepCollateral: true });
    const byLtv = { sub: 1n, level: (69n * WAD) / 100n };
    // Too little for anybody's gas, and more than any pool gives.
    const poor = { ...byLtv, kind: "Deleverage", target: 5_000n, tipMin: 0n, tipMax: 1n } as const;
    await t.leave("weth-usdc", poor);
    await t.leave("weth-usdc", { ...poor, slippage: 0n });
    // Out of the owner's wallet.
    await weth.mint(owner, 30n * ETH);
    const { after } = await t.leave("weth-usdc", {
      ...{ ...byLtv, kind: "TopUp", target: 6_500n, slippage: 0n, budget: 40n * ETH, times: 3n },
      ...{ tipMin: ETH / 100n, tipMax: ETH / 10n },
    });
    expect(after.ltv).to.be.within((648n * WAD) / 1_000n, (65n * WAD) / 100n);
    expect((await t.round()).outcomes).to.deep.equal([]);

    await t.setPrice("1890");
    const words = (await t.explained()).join("\n");
    expect(words).to.match(/execute order 1: expect 0\.\d+ of the coin after gas/);
    expect(words).to.match(/order 3: its tip of 0.0000\d* of the coin is less than/);
    expect(words).to.match(/order 4: no route sells within its bounds/);
    const [had, tips] = [await usdc.balanceOf(owner), await usdc.balanceOf(account)];
    const { outcomes } = await t.round();
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["done", "done"]);
    expect((await t.positionOf(long)).debt).to.equal(0n);
    const tip = (await usdc.balanceOf(account)) - tips;
    expect(tip).to.be.within(9n * USDC, 10n * USDC); // a tenth of the way to 5 % below, of 5 to 50
    const topUp = await weth.balanceOf(account);
    expect(topUp).to.be.within(ETH / 100n, ETH / 10n);
    expect((await t.positionOf(long, 1n)).ltvHigh).to.be.within((648n * WAD) / 1_000n, (65n * WAD) / 100n);
    const taken = () => events.filter((event) => event.kind === "taken");
    expect(taken().map(({ market, action, profit }) => [market, action, profit])).to.have.deep.members([
      ["weth-usdc", "order", tip],
      ["weth-usdc", "order", topUp],
    ]);
    // 90 ETH sold near 1,890, less 120,000 owed.
    expect((await usdc.balanceOf(owner)) - had).to.be.within(49_000n * USDC, 50_100n * USDC);
    expect((await t.round()).outcomes).to.deep.equal([]);

    await t.setPrice("2110");
    expect((await t.round()).outcomes.map(({ status }) => status)).to.deep.equal(["done"]);
    const { debt, collateral } = await t.positionOf(short);
    expect([debt, collateral]).to.deep.equal([0n, 0n]);
    expect(
      (await ordersOf(contracts, owner.address)).map(({ id, kind, times }) => [id, kind, times]),
    ).to.deep.equal([
      [3n, "Deleverage", 1n],
      [4n, "Deleverage", 1n],
      [5n, "TopUp", 2n],
    ]);
  });
});
