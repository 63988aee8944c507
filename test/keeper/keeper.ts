import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { expect } from "chai";
import { network } from "hardhat";
import { pino } from "pino";

import { connect, encodePath, openMarkets } from "@breakwater/sdk/chain";
import { WAD, healthOf, liquidationPriceOf } from "@breakwater/sdk/core";

import { deployLocal, type Local } from "../../deploy/local.ts";
import { openFileJournal } from "../../keeper/src/chain/journal.ts";
import { Outbox } from "../../keeper/src/chain/outbox.ts";
import { FROM_THE_TOP, collect, openSources } from "../../keeper/src/collect.ts";
import { decide, explain, type Parameters } from "../../keeper/src/decide.ts";
import type { KeeperEvent } from "../../keeper/src/events.ts";
import { Keeper } from "../../keeper/src/keeper.ts";
import { ALONE } from "../../keeper/src/lease.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";
import { PARAMETERS } from "../support/keeper.ts";
import { addPool, drainPool } from "../support/pools.ts";
import { execute } from "../support/safe.ts";

const parameters: Parameters = { ...PARAMETERS, pokePeriod: 600n };

/** The window of the pools' time-weighted prices. */
const WINDOW = 600;

describe("keeper on a chain", function () {
  async function open() {
    const connection = await network.create();
    const local = await deployLocal(connection);
    const [lender, trader, account, ...owners] = local.signers.others as [
      HardhatEthersSigner,
      HardhatEthersSigner,
      HardhatEthersSigner,
      ...HardhatEthersSigner[],
    ];
    await fundLenders(local, lender);
    const market = local.markets["weth-usdc"]!;
    // 5 × 40,000 dollars at leverage 2 to 5
    await openPositions(
      local,
      [2, 3, 4, 4.6, 5].map((leverage, sub) => ({
        market,
        owner: owners[0]!,
        sub,
        equityUsd: 40_000,
        leverage,
      })),
    );
    const arbitrageur = await openArbitrageur(local, trader);
    const { provider } = connection.ethers;
    const lines: string[] = [];
    const events: KeeperEvent[] = [];
    const onEvent = (event: KeeperEvent) => void events.push(event);
    const sources = await openSources(local.addresses, provider);
    const outbox = await Outbox.open({
      ...{
        provider,
        account: { address: account.address },
        chainId: 31337,
        lease: ALONE,
        pollMs: 20,
        onEvent,
      },
      journal: openFileJournal(":memory:", "test"),
    });
    const keeper = new Keeper({
      ...{ sources, parameters, onEvent, lease: ALONE },
      sender: { contracts: sources.contracts, provider, outbox },
      log: pino({ level: "debug" }, { write: (line: string) => void lines.push(line) }),
    });
    const setPrice = async (price: string, waits = WINDOW) => {
      await local.setPrice("ETH/USD", price);
      await arbitrageur.trade();
      await connection.networkHelpers.time.increase(waits);
    };
    const round = async () => keeper.step(await provider.getBlockNumber());
    const says = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    const trade = async () => arbitrageur.trade();
    return {
      trade,
      connection,
      local,
      keeper,
      account,
      owner: owners[0]!,
      market,
      setPrice,
      round,
      says,
      provider,
    };
  }

  async function expectNothingHeld(local: Local) {
    const flash = local.addresses.contracts.FlashLiquidator!;
    for (const token of Object.values(local.tokens)) expect(await token.balanceOf(flash)).to.equal(0n);
  }

  it("starts the grace after an outage of the sequencer before anything else, and then waits", async () => {
    const { connection, local, market, round, says, setPrice } = await open();
    const { brake, manager } = local.contracts;
    const feed = await connection.ethers.deployContract("SettableFeed", [0, "sequencer"]);
    await feed.set(0n);
    const set = brake.interface.encodeFunctionData("setSequencerFeed", [await feed.getAddress(), 3_600n]);
    const schedule = manager.interface.encodeFunctionData("schedule", [await brake.getAddress(), set, 0n]);
    const governors = local.signers.governors.slice(0, 3);
    await execute(local.safes.governor, governors, manager, schedule);
    await connection.networkHelpers.time.increase(48 * 3_600);
    await execute(local.safes.governor, governors, brake, set);
    await local.setPrice("USDC/USD", "1");
    await local.setPrice("BTC/USD", "40000");
    await setPrice("1840");
    await feed.set(1n);
    await feed.set(0n);
    const kinds = async () =>
      (await round()).decisions[0]!.actions.map((a) => (a.kind === "liquidate" ? a.mode : a.kind));
    expect(await kinds()).to.deep.equal(["poke"]);
    expect(says().join()).to.match(/done: start the grace after an outage of the sequencer, until 20/);
    expect((await brake.stateOf(market.vault)).level).to.equal(2n);
    await round();
    expect(
      says()
        .join()
        .match(/done: start the grace/g),
    ).to.have.lengthOf(1);
    await connection.networkHelpers.time.increase(3_000);
    await setPrice("1840");
    const { decisions, outcomes } = await round();
    expect(decisions[0]!.actions[0]?.kind).to.equal("liquidate");
    expect(outcomes.every(({ status }) => status === "done")).to.be.true;

    // In the next grace the keeper seizes, once a second round bears it out, and sells nothing.
    await feed.set(1n);
    await feed.set(0n);
    await round();
    await setPrice("1400", 1_800);
    expect(await kinds()).to.deep.equal(["poke"]);
    await setPrice("1400");
    expect((await brake.stateOf(market.vault)).level).to.equal(2n);
    expect(await kinds(), says().join("\n"))
      .to.include("absorb")
      .and.not.include("flash");
    expect((await market.vault.potDebt()) > 0n, says().join("\n")).to.be.true;
  });

  it("pokes the oracle while the sources are apart, once a period, so that the veto runs out", async () => {
    const { connection, local, keeper, round, says } = await open();
    const oracle = keeper.sources.contracts.oracle(local.addresses.markets[0]!);
    const full = await oracle.vetoLeft();
    await local.setPrice("ETH/USD", "2100"); // the pool stays where it is
    const pokes = async () =>
      (await round()).decisions[0]!.actions.filter(({ kind }) => kind === "poke").length;
    expect(await pokes()).to.equal(0); // borrowers have just been there
    await connection.networkHelpers.time.increase(300);
    expect(await pokes()).to.equal(1);
    expect(await pokes()).to.equal(0);
    // Another keeper, or this one after a restart, knows as much: the record is the chain's.
    keeper.sources = await openSources(local.addresses, keeper.sources.provider);
    expect(await pokes()).to.equal(0);
    for (let period = 0; period < 9; period++) {
      await connection.networkHelpers.time.increase(600);
      await local.setPrice("ETH/USD", "2100");
      await local.setPrice("USDC/USD", "1");
      expect(await pokes()).to.equal(1);
    }
    // Nobody else looked, and an interval counts for ten minutes at most.
    const spent = Number(full - (await oracle.vetoLeft()));
    expect(spent, String(spent)).to.be.within(5_300, 5_500);
    expect(says()).to.include("weth-usdc: done: poke the oracle: the price is Diverged");
  });

  it("reads all markets as the Lens has them, and measures positions alike", async () => {
    const { local, owner, market, provider } = await open();
    const contracts = connect(local.addresses, provider);
    const read = await openMarkets(contracts, provider);
    const block = await provider.getBlockNumber();
    const readings = await read(block);
    expect(readings.map(({ addresses }) => addresses.id)).to.deep.equal([
      "weth-usdc",
      "usdc-weth",
      "wbtc-usdc",
    ]);
    const [{ state, priceState, symbols }] = readings as [(typeof readings)[0]];
    expect([priceState, symbols.collateral, symbols.debt]).to.deep.equal(["Fresh", "WETH", "USDC"]);
    for (let sub = 0; sub < 5; sub++) {
      const position = await contracts.lens.position(market.vault, owner, sub, { blockTag: block });
      const tick = Number(position.tick);
      expect(healthOf(tick, state)).to.equal(position.health);
      expect(liquidationPriceOf(tick, state)).to.equal(position.liquidationPrice);
    }
  });

  it("says how far the nearest tick is while nothing is liquidatable", async () => {
    const { keeper, provider } = await open();
    const snapshot = await collect(keeper.sources, await provider.getBlockNumber(), parameters.maxTicks);
    const words = decide(snapshot, parameters).map(({ market, reasons }) =>
      reasons.map((r) => explain(r, market)),
    );
    expect(words[0]![0]).to.match(/^nearest tick -?\d+: the price is 6\.\d+ % above its liquidation price$/);
    expect(words.slice(1)).to.deep.equal([["nobody owes anything"], ["nobody owes anything"]]);
  });

  it("liquidates with a profit after the price fell, until every position is healthy", async () => {
    const { local, market, owner, account, setPrice, round, says, provider } = await open();
    await setPrice("1830");
    const contracts = connect(local.addresses, provider);
    const before = await contracts.lens.position(market.vault, owner, 4);
    expect(before.liquidatable).to.be.true;

    const { outcomes } = await round();
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["done"]);
    const after = await contracts.lens.position(market.vault, owner, 4);
    expect(after.health > WAD).to.be.true;
    expect(after.debt < before.debt).to.be.true;
    const profit = await market.debt.balanceOf(account);
    expect(profit > 100n * 10n ** 6n, String(profit)).to.be.true;
    await expectNothingHeld(local);
    expect(says().some((line) => /^weth-usdc: done: liquidate 1 tick.* repaid .* profit/.test(line))).to.be
      .true;

    // Nothing is left to do.
    expect((await round()).outcomes).to.deep.equal([]);
  });

  it("takes the size that earns most from a pool that is too thin for everything", async () => {
    const { local, market, setPrice, round, says, account } = await open();
    await setPrice("1700");
    await drainPool(local, 90n);

    const { decisions, outcomes } = await round();
    const action = decisions[0]!.actions[0];
    expect(action?.kind === "liquidate" && action.mode, says().join("\n")).to.equal("flash");
    if (action?.kind !== "liquidate" || action.mode !== "flash") return;
    const { offers } = decisions[0]!.market;
    const everything = offers.reduce((a, b) => (b.repaid > a.repaid ? b : a));
    expect(action.offer.repaid < everything.repaid, says().join("\n")).to.be.true;
    expect(
      outcomes.map(({ status }) => status),
      says().join("\n"),
    ).to.deep.equal(["done"]);
    expect((await market.debt.balanceOf(account)) >= action.minProfit).to.be.true;
    await expectNothingHeld(local);
  });

  it("sells through two pools where that brings more than one", async () => {
    const { local, market, setPrice, round, says, account, keeper, provider } = await open();
    const tokens = await Promise.all(
      Object.values(local.tokens).map(async (token) => [await token.symbol(), await token.getAddress()]),
    );
    const { WETH, WBTC, USDC } = Object.fromEntries(tokens) as Record<string, string>;
    await addPool(
      local,
      { token: "WETH", amount: 10_000n * WAD },
      { token: "WBTC", amount: 425n * 10n ** 8n },
    );
    await setPrice("1700");
    await drainPool(local, 99n);
    keeper.sources = await openSources(local.addresses, provider);
    const routes = keeper.sources.saleRoutes.get(await market.vault.getAddress());
    const twoPools = encodePath([WETH!, WBTC!, USDC!], [3_000n, 3_000n]);
    expect(routes).to.deep.equal([encodePath([WETH!, USDC!], [500n]), twoPools]);

    const { decisions, outcomes } = await round();
    const action = decisions[0]!.actions[0];
    expect(
      action?.kind === "liquidate" && action.mode === "flash" && action.path,
      says().join("\n"),
    ).to.equal(twoPools);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["done"]);
    expect((await market.debt.balanceOf(account)) > 0n).to.be.true;
    await expectNothingHeld(local);
  });

  it("looks below the highest ticks when those do not pay", async () => {
    const { local, setPrice, round, says, trade } = await open();
    // The highest is nearly insolvent: equity of 3 % leaves a small bonus. Then somebody sells, and the pool is below the
    // oracle by more than that; its average has hardly moved.
    await setPrice("1650");
    await local.setPrice("ETH/USD", "1595");
    await trade();
    await local.setPrice("ETH/USD", "1650");
    const { decisions, outcomes } = await round();
    const action = decisions[0]!.actions[0];
    const { offers } = decisions[0]!.market;
    expect(action?.kind === "liquidate" && action.mode === "flash", says().join("\n")).to.be.true;
    if (action?.kind !== "liquidate" || action.mode !== "flash") return;
    expect(action.offer.fromTick < FROM_THE_TOP).to.be.true;
    const fromTheTop = offers.filter(({ fromTick }) => fromTick === FROM_THE_TOP);
    expect(fromTheTop.every(({ sale, repaid }) => !sale || sale.proceeds <= repaid)).to.be.true;
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["done"]);
  });

  it("liquidates with the account's own tokens where no pool buys enough, and keeps the collateral", async () => {
    const { local, market, setPrice, round, says, account, keeper } = await open();
    await setPrice("1830");
    await drainPool(local, 100n);
    const held = 20_000n * 10n ** 6n;
    await (await market.debt.mint(account, held)).wait();
    keeper.sources.account = account.address;
    keeper.parameters = { ...parameters, inventory: { haircut: 50n } };
    // Without a pool nothing prices gas: the coin's route is another.
    await addPool(
      local,
      { token: "WETH", amount: 20n * WAD },
      { token: "USDC", amount: 36_600n * 10n ** 6n },
    );
    const { contracts, provider } = keeper.sources;
    keeper.sources = await openSources(contracts.addresses, provider, account.address);

    const { decisions, outcomes } = await round();
    const action = decisions[0]!.actions[0];
    expect(action?.kind === "liquidate" && action.mode, says().join("\n")).to.equal("inventory");
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["done"]);
    const paid = held - (await market.debt.balanceOf(account));
    const collateral = await market.collateral.balanceOf(account);
    expect(paid > 0n && paid <= held).to.be.true;
    // At the oracle's price the collateral is worth more than was paid: 1830 USDC with 6 decimals for 10^18.
    expect((collateral * 1_830n) / 10n ** 12n > paid).to.be.true;
    // The account's collateral and tokens are all that moved.
    await expectNothingHeld(local);
  });

  it("rescues at a loss when a tick nears total seizure, within the limit", async () => {
    const { market, setPrice, round, says, keeper, owner } = await open();
    await setPrice("1700"); // 4.5 % above total seizure of the highest
    keeper.parameters = { ...parameters, minProfit: 10n ** 22n };
    const refused = await round();
    expect(refused.outcomes).to.deep.equal([]);
    keeper.parameters = { ...keeper.parameters, rescue: { distance: 400n, maxLoss: 10n ** 17n } };
    expect((await round()).outcomes).to.deep.equal([]);
    keeper.parameters = { ...keeper.parameters, rescue: { distance: 500n, maxLoss: 10n ** 17n } };
    const { outcomes } = await round();
    expect(
      outcomes.map(({ status }) => status),
      says().join("\n"),
    ).to.deep.equal(["done"]);
    const position = await keeper.sources.contracts.lens.position(market.vault, owner, 4);
    expect(position.health > WAD).to.be.true;
    expect(says().some((line) => /liquidated|rescue/.test(line))).to.be.true;
  });

  it("goes on with the other markets when the Lens cannot read one", async () => {
    const { connection, local, keeper, provider } = await open();
    // An oracle that reverts.
    await connection.networkHelpers.setCode(local.addresses.markets[2]!.oracle, "0x5f5ffd");
    const { markets, unreadable } = await collect(keeper.sources, await provider.getBlockNumber(), 100);
    expect(markets.map(({ id }) => id)).to.deep.equal(["weth-usdc", "usdc-weth"]);
    expect(unreadable.map(({ id }) => id)).to.deep.equal(["wbtc-usdc"]);
  });

  it("seizes insolvent ticks and clears the pot", async () => {
    const { market, setPrice, round, local, keeper, says } = await open();
    // Beyond total seizure for the highest leverage: 80 % of 2,000 over 1,600.
    await setPrice("1600");
    const { outcomes } = await round();
    expect(
      outcomes.map(({ status }) => status),
      says().join("\n"),
    ).to.deep.equal(["done"]);
    // The sale has moved the pool: what is left of the pot waits for the arbitrageur.
    for (let rounds = 0; rounds < 3 && (await market.vault.potDebt()) > 0n; rounds++) {
      await setPrice("1600");
      await round();
    }
    expect(await market.vault.potDebt()).to.equal(0n);
    const [reading] = await keeper.sources.readMarkets(await keeper.sources.provider.getBlockNumber());
    const { view } = reading!;
    expect(view.topTick < view.triggerTick).to.be.true;
    await expectNothingHeld(local);
  });

  it("seizes without capital when no pool buys anything", async () => {
    const { market, setPrice, round, keeper, account } = await open();
    await setPrice("1600");
    keeper.sources.saleRoutes.set(await market.vault.getAddress(), []);
    const { decisions, outcomes } = await round();
    expect(decisions[0]!.actions.map((a) => a.kind === "liquidate" && a.mode)).to.deep.equal(["absorb"]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["done"]);
    expect((await market.vault.potDebt()) > 0n).to.be.true;
    expect(await market.debt.balanceOf(account)).to.equal(0n);
  });

  it("refuses what the simulation refuses, and says why", async () => {
    const { local, keeper, setPrice, round, says } = await open();
    await setPrice("1830");
    // The market changes between the decision and the execution: two signatures of the pauser Safe are another test.
    const expired: Parameters = { ...parameters, deadline: 0n };
    keeper.parameters = expired;
    const { outcomes } = await round();
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["refused"]);
    expect(
      says().some((line) => /^weth-usdc: refused: the deadline .* is past/.test(line)),
      says().join("\n"),
    ).to.be.true;
    await expectNothingHeld(local);
  });

  it("sends nothing on a dry run", async () => {
    const { keeper, setPrice, round, says, provider } = await open();
    await setPrice("1830");
    keeper.sender = undefined;
    const block = await provider.getBlockNumber();
    expect((await round()).outcomes).to.deep.equal([]);
    expect(await provider.getBlockNumber()).to.equal(block);
    expect(says().some((line) => line.startsWith("weth-usdc: would liquidate 1 tick:"))).to.be.true;
  });
});
