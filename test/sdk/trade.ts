import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { MaxUint256 } from "ethers";

import {
  type Contracts,
  type Margin,
  type MarketReading,
  type ProtocolEvent,
  type TradeQuote,
  type TypedData,
  authorisationsFor,
  connect,
  encodePath,
  explainRevert,
  openMarkets,
  permitFor,
  permitOf,
  quoteClose,
  quoteFlip,
  quoteLeverage,
  quoteMargin,
  quoteMove,
  quoteTransfer,
  readEvents,
  tradeTransaction,
  transactionsOf,
  watchEvents,
} from "@breakwater/sdk/chain";
import {
  type Figures,
  DAY,
  WAD,
  YEAR,
  debtTokensOf,
  figuresOf,
  growth,
  ltvOf,
  ltvOfLeverage,
  positionAfter,
  worseThan,
} from "@breakwater/sdk/core";

import { deployLocal, type Local } from "../../deploy/local.ts";
import { readParameters } from "../../deploy/parameters.ts";
import { random } from "../../scripts/drill/book.ts";
import { fundLenders } from "../../scripts/start/book.ts";
import { ETH, USDC } from "../support/market.ts";
import { addPool, drainPool } from "../support/pools.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;
const { time } = networkHelpers;

const FOREVER = 2n ** 40n;

async function fixture() {
  // And a second market of the same tokens, to move to.
  const parameters = readParameters("local");
  const [weth] = parameters.markets;
  const second = { ...weth!, id: "weth-usdc-2", symbol: "bwUSDC-WETH-2" };
  const local = await deployLocal(connection, {
    parameters: { ...parameters, markets: [...parameters.markets, second] },
  });
  const [lender, trader, other] = local.signers.others as [
    HardhatEthersSigner,
    HardhatEthersSigner,
    HardhatEthersSigner,
  ];
  await fundLenders(local, lender);
  // Somebody owes something, so that interest runs.
  for (const [id, collateral, debt] of [
    ["weth-usdc", 5_000n * ETH, 6_000_000n * USDC],
    ["usdc-weth", 10_000_000n * USDC, 3_000n * ETH],
  ] as const) {
    const market = local.markets[id]!;
    await market.collateral.mint(other, collateral);
    await market.collateral.connect(other).approve(market.vault, MaxUint256);
    await market.vault.connect(other).adjust(other, 0n, collateral, debt, other, "0x");
  }
  for (const token of Object.values(local.tokens)) {
    await token.mint(trader, token === local.tokens["WETH"] ? 1_000n * ETH : 1_000_000n * USDC);
    await token.connect(trader).approve(local.contracts.leverageRouter, MaxUint256);
  }
  for (const { vault } of Object.values(local.markets)) {
    await vault.connect(trader).setOperator(local.contracts.leverageRouter, true);
  }
  return { local, trader };
}

describe("SDK: leveraged trades", function () {
  this.timeout(300_000);
  let local: Local;
  let trader: HardhatEthersSigner;
  let contracts: Contracts;
  let read: Awaited<ReturnType<typeof openMarkets>>;

  beforeEach(async () => {
    ({ local, trader } = await networkHelpers.loadFixture(fixture));
    contracts = connect(local.addresses, trader);
    read = await openMarkets(contracts, trader);
  });

  const find = (markets: MarketReading[], id: string) =>
    markets.find(({ addresses }) => addresses.id === id)!;

  /** A quote for the next block, whose time is set. */
  const quoteNext = async (
    ask: (at: (id: string) => Parameters<typeof quoteClose>[1]) => Promise<TradeQuote>,
  ) => {
    await time.setNextBlockTimestamp((await time.latest()) + 12);
    const markets = await read("pending");
    return ask((id) => ({
      market: find(markets, id),
      owner: trader.address,
      sub: 0n,
      slippage: 50n,
      deadline: BigInt(2 ** 40),
      into: "collateral",
      block: "pending",
    }));
  };

  const balances = async () =>
    new Map(
      await Promise.all(
        Object.values(local.addresses.tokens).map(
          async (token) =>
            [
              token,
              await Object.values(local.tokens)
                .find(({ target }) => target === token)!
                .balanceOf(trader),
            ] as const,
        ),
      ),
    );

  const figuresIn = async (id: string, sub = 0n): Promise<Figures> => {
    const { state, addresses } = find(await read("latest"), id);
    const view = await contracts.lens.position(addresses.vault, trader, sub);
    const { collateralMultiplier, collateralDivisor } = state.units;
    return figuresOf(
      {
        tick: Number(view.tick),
        debt: view.bookDebt,
        surplus: (view.surplus * collateralMultiplier) / collateralDivisor,
      },
      state,
    );
  };

  const expectFigures = (actual: Figures, quoted: Figures) => {
    const { collateral, debt, ...ratios } = quoted;
    expect({ ...actual, collateral: 0n, debt: 0n }).to.deep.equal({ ...ratios, collateral: 0n, debt: 0n });
    expect(actual.collateral).to.be.within(collateral - 1n, collateral + 1n);
    expect(actual.debt).to.be.within(debt - 1n, debt + 1n);
  };

  /** Sends the trade of a quote, and finds that it did what was quoted: exact but for one token unit of rounding. */
  const sendAndCompare = async (quote: TradeQuote) => {
    const before = await balances();
    const { to, data, value } = tradeTransaction(contracts, quote);
    const receipt = (await (await trader.sendTransaction({ to, data, value })).wait())!;
    const after = await balances();

    const router = contracts.leverageRouter;
    const swap = receipt.logs
      .filter((log) => log.address === router.target)
      .map((log) => router.interface.parseLog(log))[0];
    expect(swap !== undefined).to.equal(quote.swap !== undefined);
    if (swap)
      expect(swap.args["sold"], "sold").to.be.within(
        (quote.swap?.sold ?? 0n) - 1n,
        (quote.swap?.sold ?? 0n) + 1n,
      );
    if (swap)
      expect(swap.args["bought"], "bought").to.be.within(
        (quote.swap?.bought ?? 0n) - 1n,
        (quote.swap?.bought ?? 0n) + 1n,
      );
    for (const [index, { market, after: quoted, rate, refusal }] of quote.positions.entries()) {
      expect(refusal).to.equal(undefined);
      expectFigures(await figuresIn(market, quote.trade.legs[index]!.sub), quoted);
      const { view } = find(await read("latest"), market);
      expect(view.borrowRate * YEAR).to.be.closeTo(rate.after, YEAR); // a unit of the rate per second
    }
    for (const { token, amount } of quote.left) {
      const paid = token === quote.trade.token ? quote.trade.amount : 0n;
      const got = after.get(token)! - before.get(token)! + paid;
      if (!quote.trade.unwrap) expect(got, "left").to.be.within(amount - 2n, amount + 2n);
    }
    return receipt;
  };

  it("P2: opens, changes, flips and closes as quoted", async () => {
    const open = await quoteNext((at) =>
      quoteLeverage(contracts, {
        ...at("weth-usdc"),
        leverage: 3n * WAD,
        margin: { token: "collateral", amount: 10n * ETH },
      }),
    );
    const [{ after, rate, forecast }] = open.positions as [TradeQuote["positions"][number]];
    // The tick is at most a step above the LTV of the leverage, the collateral what the swap surely brings.
    const ltv = ltvOfLeverage(3n * WAD);
    expect(after.ltv).to.be.within(ltv, (ltv * 10_026n) / 10_000n);
    expect(open.swap!.againstOracle).to.be.within(WAD / 2_000n, WAD / 200n);
    expect(open.swap!.impact).to.be.within(WAD / 100_000n, WAD / 200n);
    expect(open.swap!.fee).to.equal((open.swap!.sold * 500n) / 1_000_000n);
    expect(rate.after).to.be.greaterThan(rate.before);
    expect(rate.after).to.be.within(rate.least, rate.most);
    expect(forecast.map(({ days }) => days)).to.deep.equal([7n, 30n]);
    expect(forecast[0]!.liquidationPrice).to.be.greaterThan(after.liquidationPrice!);
    expect(forecast[1]!.liquidationPrice).to.be.greaterThan(forecast[0]!.liquidationPrice);
    await sendAndCompare(open);

    const more = await quoteNext((at) =>
      quoteLeverage(contracts, { ...at("weth-usdc"), leverage: 4n * WAD }),
    );
    expect(more.positions[0]!.after.ltv).to.be.within(ltvOfLeverage(4n * WAD), WAD);
    await sendAndCompare(more);

    const less = await quoteNext((at) =>
      quoteLeverage(contracts, { ...at("weth-usdc"), leverage: 2n * WAD }),
    );
    expect(less.positions[0]!.after.ltv).to.be.within(
      (ltvOfLeverage(2n * WAD) * 999n) / 1_000n,
      (ltvOfLeverage(2n * WAD) * 10_026n) / 10_000n,
    );
    await sendAndCompare(less);

    const markets = () => read("pending");
    const flip = await quoteNext(async (at) =>
      quoteFlip(contracts, {
        ...at("weth-usdc"),
        deadline: BigInt(await time.latest()) + 1_800n,
        leverage: 2n * WAD,
        to: find(await markets(), "usdc-weth"),
        toSub: 7n,
      }),
    );
    expect(flip.positions[1]!.after.ltv).to.be.within(
      ltvOfLeverage(2n * WAD),
      (ltvOfLeverage(2n * WAD) * 10_026n) / 10_000n,
    );
    await sendAndCompare(flip);

    const close = await quoteNext((at) => quoteClose(contracts, { ...at("usdc-weth"), sub: 7n }));
    expect(close.trade.exactOut).to.equal(true);
    await sendAndCompare(close);
    expect(await figuresIn("usdc-weth", 7n)).to.include({ debt: 0n, collateral: 0n });
  });

  it("goes through two pools where that brings more than one", async () => {
    await addPool(
      local,
      { token: "WETH", amount: 10_000n * ETH },
      { token: "WBTC", amount: 500n * 10n ** 8n },
    );
    await drainPool(local, 99n);
    const [WETH, WBTC, USD] = ["WETH", "WBTC", "USDC"].map((name) => local.addresses.tokens[name]!);
    const open = await quoteNext((at) =>
      quoteLeverage(contracts, {
        ...at("weth-usdc"),
        leverage: 2n * WAD,
        margin: { token: "collateral", amount: 20n * ETH },
      }),
    );
    expect(open.trade.path).to.equal(encodePath([USD!, WBTC!, WETH!], [3_000n, 3_000n]));
    expect(open.swap!.fee).to.equal((open.swap!.sold * 5_991n) / 1_000_000n);
    await sendAndCompare(open);
    const close = await quoteNext((at) => quoteClose(contracts, at("weth-usdc")));
    expect(close.trade.path).to.equal(encodePath([USD!, WBTC!, WETH!], [3_000n, 3_000n]));
    await sendAndCompare(close);
    expect(await figuresIn("weth-usdc")).to.include({ debt: 0n, collateral: 0n });
  });

  it("moves a position to a market of the same tokens, and to another sub-account", async () => {
    const open = await quoteNext((at) =>
      quoteLeverage(contracts, {
        ...at("weth-usdc"),
        leverage: 3n * WAD,
        margin: { token: "collateral", amount: 10n * ETH },
      }),
    );
    await sendAndCompare(open);
    const markets = () => read("pending");
    const move = await quoteNext(async (at) =>
      quoteMove(contracts, {
        ...at("weth-usdc"),
        deadline: BigInt(await time.latest()) + 1_800n,
        to: find(await markets(), "weth-usdc-2"),
        toSub: 3n,
      }),
    );
    expect(move.trade.path).to.equal("0x");
    const [from, to] = move.positions;
    expect(to!.after.debt - from!.before.debt).to.be.within(0n, USDC); // interest until the deadline
    await sendAndCompare(move);
    expect(await figuresIn("weth-usdc")).to.include({ debt: 0n, collateral: 0n });

    const at = { owner: trader.address, sub: 3n };
    const market = find(await read("latest"), "weth-usdc-2");
    const { position, transaction } = await quoteTransfer(contracts, { ...at, market, toSub: 0n });
    const { to: vault, data } = transaction;
    await trader.sendTransaction({ to: vault, data });
    expect(await figuresIn("weth-usdc-2", 3n)).to.include({ debt: 0n, collateral: 0n });
    expect((await figuresIn("weth-usdc-2")).leverage).to.be.closeTo(position.leverage, WAD / 10n ** 6n);

    const refused = async (attempt: Promise<unknown>, words: RegExp) =>
      expect(await attempt.catch((error: unknown) => error))
        .to.have.property("message")
        .that.matches(words);
    await refused(quoteTransfer(contracts, { ...at, market, toSub: 0n }), /^there is nothing to move$/);
    await refused(
      quoteTransfer(contracts, { ...at, sub: 0n, market, toSub: 0n }),
      /^sub-account 0 of weth-usdc-2 is in use/,
    );
    const request = { ...at, sub: 0n, market, slippage: 0n, deadline: FOREVER, toSub: 0n };
    const other = find(await read("latest"), "usdc-weth");
    await refused(quoteMove(contracts, { ...request, to: other }), /^usdc-weth has not the tokens of/);
    await refused(quoteMove(contracts, { ...request, to: market }), /^the position is in that market/);
  });

  it("adds margin and takes it out, repays and borrows, without a swap", async () => {
    const change = async (margin: Margin) => {
      const quote = await quoteNext((at) => quoteMargin(contracts, { ...at("weth-usdc"), margin }));
      expect(quote.trade.path).to.equal("0x");
      await sendAndCompare(quote);
      return quote;
    };
    const first = await change({ token: "collateral", amount: 10n * ETH, ether: true });
    expect(first.value).to.equal(10n * ETH);
    await change({ token: "debt", amount: -9_000n * USDC });
    await change({ token: "collateral", amount: -2n * ETH });
    const repaid = await change({ token: "debt", amount: 4_000n * USDC });
    const { before, after } = repaid.positions[0]!;
    expect(before.debt - after.debt).to.be.within(4_000n * USDC - 1n, 4_000n * USDC + 1n);
    const all = await change({ token: "debt", amount: 6_000n * USDC });
    expect(all.left[0]!.amount).to.be.within(999n * USDC, 1_000n * USDC);
    expect(await figuresIn("weth-usdc")).to.include({ debt: 0n });

    const attempt = async (margin: Margin) =>
      quoteNext((at) => quoteMargin(contracts, { ...at("weth-usdc"), margin })).then(
        ({ positions }) => positions[0]!.refusal?.name,
        (error: unknown) => explainRevert(error).name + explainRevert(error).words,
      );
    expect(await attempt({ token: "collateral", amount: -9n * ETH })).to.match(/^InsufficientCollateral/);
    expect(await attempt({ token: "debt", amount: -14_000n * USDC })).to.equal("LtvTooHigh");
    expect(await attempt({ token: "debt", amount: USDC })).to.match(/there is no debt to repay$/);
    expect(await attempt({ token: "debt", amount: -(10n ** 14n) })).to.match(/the market has .* to lend/);
    expect(await attempt({ token: "debt", amount: 0n })).to.match(/must be more than nothing$/);
  });

  it("says with what the market would refuse, before anything is sent", async () => {
    const { vault } = local.markets["weth-usdc"]!;
    const ask = async (amount: bigint) =>
      quoteLeverage(contracts, {
        market: find(await read("latest"), "weth-usdc"),
        owner: trader.address,
        sub: 0n,
        slippage: 50n,
        deadline: FOREVER,
        leverage: 2n * WAD,
        margin: { token: "collateral", amount },
      });
    const quote = await ask(ETH / 1_000n);
    const { refusal } = quote.positions[0]!;
    expect(refusal!.words).to.match(
      /^a debt of 1\.98\d+ would be below the minimum of 10.0+ \[DebtTooSmall\]$/,
    );
    const { to, data, value } = tradeTransaction(contracts, quote);
    await expect(trader.sendTransaction({ to, data, value })).to.be.revertedWithCustomError(
      vault,
      "DebtTooSmall",
    );
    await time.increase(5_000);
    expect((await ask(ETH)).positions[0]!.refusal!.name).to.equal("PriceNotFresh");
  });

  it("opens a short with the debt token in ether, and closes it into that", async () => {
    const open = await quoteNext((at) =>
      quoteLeverage(contracts, {
        ...at("usdc-weth"),
        leverage: 3n * WAD,
        margin: { token: "debt", amount: 5n * ETH, ether: true },
      }),
    );
    expect(open.value).to.equal(5n * ETH);
    await sendAndCompare(open);
    const close = await quoteNext((at) =>
      quoteClose(contracts, { ...at("usdc-weth"), into: "debt", unwrap: true }),
    );
    const before = await ethers.provider.getBalance(trader);
    const receipt = await sendAndCompare(close);
    const got = (await ethers.provider.getBalance(trader)) - before + receipt.fee;
    expect(got).to.be.within(close.left[0]!.amount - 2n, close.left[0]!.amount + 2n);
    expect(got).to.be.within((48n * ETH) / 10n, 5n * ETH);
  });

  it("is right a block later but for the interest in between", async () => {
    const market = find(await read("latest"), "weth-usdc");
    const quote = await quoteLeverage(contracts, {
      market,
      owner: trader.address,
      sub: 0n,
      slippage: 50n,
      deadline: FOREVER,
      leverage: 2n * WAD,
      margin: { token: "collateral", amount: 10n * ETH },
    });
    await time.setNextBlockTimestamp((await time.latest()) + 60);
    await trader.sendTransaction(tradeTransaction(contracts, quote));
    const after = await figuresIn("weth-usdc");
    const quoted = quote.positions[0]!.after;
    expect(after.debt).to.equal(quoted.debt);
    // At most a step of the grid: the minute's interest may bring it just over the edge of one.
    expect(after.ltv).to.be.within((quoted.ltv * 9_974n) / 10_000n, (quoted.ltv * 10_026n) / 10_000n);
  });

  it("lists the transactions that are missing, and none that is not", async () => {
    const { leverageRouter } = local.contracts;
    const { vault, collateral } = local.markets["weth-usdc"]!;
    await vault.connect(trader).setOperator(leverageRouter, false);
    await collateral.connect(trader).approve(leverageRouter, 0n);
    const quote = await quoteLeverage(contracts, {
      market: find(await read("latest"), "weth-usdc"),
      owner: trader.address,
      sub: 0n,
      slippage: 50n,
      deadline: FOREVER,
      leverage: 2n * WAD,
      margin: { token: "collateral", amount: ETH },
    });
    const transactions = await transactionsOf(contracts, quote, {
      [await collateral.getAddress()]: "WETH",
    });
    expect(transactions.map(({ words }) => words)).to.deep.equal([
      "let the router act for you in weth-usdc",
      "approve WETH for the router: just what is needed",
      "trade",
    ]);
    for (const { to, data, value } of transactions) await trader.sendTransaction({ to, data, value });
    expect((await figuresIn("weth-usdc")).debt).to.be.greaterThan(0n);
    expect(
      await transactionsOf(contracts, { ...quote, trade: { ...quote.trade, amount: 0n } }),
    ).to.have.length(1);
  });

  it("says what to sign instead of sending an authorisation", async () => {
    const { vault } = local.markets["weth-usdc"]!;
    await vault.connect(trader).setOperator(local.contracts.leverageRouter, false);
    const quote = await quoteLeverage(contracts, {
      market: find(await read("latest"), "weth-usdc"),
      owner: trader.address,
      sub: 0n,
      slippage: 50n,
      deadline: FOREVER,
      leverage: 2n * WAD,
      margin: { token: "collateral", amount: ETH },
    });
    const [typed] = await authorisationsFor(contracts, quote);
    const signature = await trader.signTypedData(typed!.domain, typed!.types, typed!.message);
    const signed = [{ market: typed!.domain.verifyingContract, deadline: FOREVER, signature }];
    await trader.sendTransaction(tradeTransaction(contracts, quote, signed));
    expect((await figuresIn("weth-usdc")).debt).to.be.greaterThan(0n);
  });

  it("says what to sign instead of sending an approval, for a token that knows permits", async () => {
    const { leverageRouter } = local.contracts;
    const { vault, collateral } = local.markets["usdc-weth"]!;
    await vault.connect(trader).setOperator(leverageRouter, false);
    const ask = async (token: "collateral" | "debt", amount: bigint) =>
      quoteLeverage(contracts, {
        market: find(await read("latest"), "usdc-weth"),
        owner: trader.address,
        sub: 0n,
        slippage: 50n,
        deadline: FOREVER,
        leverage: 2n * WAD,
        margin: { token, amount },
      });
    const quote = await ask("collateral", 10_000n * USDC);
    expect(await permitFor(contracts, quote)).to.equal(undefined); // approved
    for (const token of Object.values(local.tokens)) {
      await token.connect(trader).approve(leverageRouter, 0n);
    }
    expect(await permitFor(contracts, await ask("debt", ETH))).to.equal(undefined); // wrapped ether knows none
    const permit = (await permitFor(contracts, quote))!;
    const [authorisation] = await authorisationsFor(contracts, quote);
    const sign = async ({ domain, types, message }: TypedData) =>
      trader.signTypedData(domain, types, message);
    const transaction = tradeTransaction(
      contracts,
      quote,
      [
        {
          market: authorisation!.domain.verifyingContract,
          deadline: FOREVER,
          signature: await sign(authorisation!),
        },
      ],
      permitOf(permit, await sign(permit)),
    );
    const { to, data, value } = transaction;
    await trader.sendTransaction({ to, data, value });
    expect((await figuresIn("usdc-weth")).debt).to.be.greaterThan(0n);
    expect(await collateral.allowance(trader, leverageRouter)).to.equal(0n);
  });

  it("refuses in plain words what would not go through", async () => {
    const at = async (id = "weth-usdc") => ({
      market: find(await read("latest"), id),
      owner: trader.address,
      sub: 0n,
      slippage: 50n,
      deadline: FOREVER,
    });
    const margin = { token: "collateral", amount: 10n * ETH } as const;
    const refused = async (attempt: Promise<unknown>, reason: string, words: RegExp) => {
      const error = await attempt.then(
        () => undefined,
        (e: unknown) => e as { reason?: string; message: string },
      );
      expect(error, reason).to.have.property("reason", reason);
      expect(error!.message).to.match(words);
    };
    await refused(
      quoteLeverage(contracts, { ...(await at()), leverage: 6n * WAD, margin }),
      "LeverageTooHigh",
      /^leverage 6.00 is beyond the market's maximum of 5.55 now$/,
    );
    await refused(
      quoteLeverage(contracts, {
        ...(await at()),
        leverage: 2n * WAD,
        margin: { token: "collateral", amount: 10_000n * ETH },
      }),
      "InsufficientCash",
      /^the market has 14,000,000.00 USDC to lend; this takes /,
    );
    await refused(
      quoteLeverage(contracts, { ...(await at("wbtc-usdc")), leverage: 2n * WAD }),
      "NoPosition",
      /add a margin/,
    );
    await refused(quoteClose(contracts, { ...(await at()), into: "debt" }), "NoPosition", /nothing to close/);
    await refused(
      quoteFlip(contracts, {
        ...(await at()),
        leverage: 2n * WAD,
        to: find(await read("latest"), "usdc-weth"),
        toSub: 0n,
      }),
      "NoPosition",
      /no leveraged position/,
    );
  });

  it("reads and watches what the contracts emit, as plain values", async () => {
    const names = ["Adjust", "Swap", "SetOperator"] as const;
    const from = (await ethers.provider.getBlockNumber()) + 1;
    const seen: ProtocolEvent<(typeof names)[number]>[] = [];
    const end = await watchEvents(contracts, names, (event) => seen.push(event), { from });
    const { vault } = local.markets["weth-usdc"]!;
    const quote = await quoteNext((at) =>
      quoteLeverage(contracts, {
        ...at("weth-usdc"),
        leverage: 2n * WAD,
        margin: { token: "collateral", amount: 10n * ETH },
      }),
    );
    await sendAndCompare(quote);
    await vault.connect(trader).setOperator(local.contracts.leverageRouter, false);
    await vault.connect(trader).approve(trader, 1n); // of none of these names
    const to = await ethers.provider.getBlockNumber();
    const events = await readEvents(contracts, names, from, to);
    const [adjust, swap, operator] = events;
    expect(events.map(({ contract, name, market }) => [contract, name, market])).to.deep.equal([
      ["Vault", "Adjust", "weth-usdc"],
      ["LeverageRouter", "Swap", undefined],
      ["Vault", "SetOperator", "weth-usdc"],
    ]);
    if (adjust?.name !== "Adjust" || swap?.name !== "Swap") throw new Error("the first is an Adjust");
    const [leg] = quote.trade.legs;
    expect(adjust.args.owner).to.equal(trader.address);
    expect([adjust.args.collateralDelta, adjust.args.debtDelta]).to.deep.equal([leg!.collateral, leg!.debt]);
    expect(swap.args.sold).to.equal(leg!.debt);
    expect(swap.transaction).to.equal(adjust.transaction);
    expect(operator?.args).to.include({ owner: trader.address, approved: false });
    for (let wait = 0; seen.length < events.length && wait < 100; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(seen).to.deep.equal(events);
    end();
  });

  it("P2: reckons every change of a position to the unit, and so does the preview", async () => {
    const { vault, collateral, debt } = local.markets["weth-usdc"]!;
    for (const token of [collateral, debt]) await token.connect(trader).approve(vault, MaxUint256);
    const next = random(6);
    let done = 0;
    for (let step = 0; step < 60; step++) {
      const amount = (most: bigint) => (BigInt(Math.floor((next() * 2 - 1) * 1e9)) * most) / 1_000_000_000n;
      const [c, d] = [step % 3 === 1 ? 0n : amount(8n * ETH), step % 3 === 2 ? 0n : amount(9_000n * USDC)];
      await time.setNextBlockTimestamp((await time.latest()) + 600);
      const { state } = find(await read("pending"), "weth-usdc");
      const view = await contracts.lens.position(vault, trader, 3n, { blockTag: "pending" });
      const p = { tick: Number(view.tick), debt: view.bookDebt, surplus: view.surplus };
      const previewed = await contracts.lens
        .preview(vault, trader, 3n, c, d, { blockTag: "pending" })
        .catch(() => undefined);
      const receipt = await vault
        .connect(trader)
        .adjust(trader, 3n, c, d, trader, "0x")
        .then(async (sent) => sent.wait())
        .catch(() => undefined);
      expect(previewed?.refusal === "0x").to.equal(receipt !== null && receipt !== undefined);
      if (!receipt || !previewed) continue;
      done++;
      const event = receipt.logs
        .filter(({ address }) => address === vault.target)
        .map((log) => vault.interface.parseLog(log))
        .find((log) => log?.name === "Adjust")!;
      const after = positionAfter(p, c, d, state);
      expect(event.args["debt"]).to.equal(after.debt);
      expect(event.args["surplus"]).to.equal(after.surplus);
      if (after.debt !== 0n) expect(event.args["tick"]).to.equal(BigInt(after.tick));
      expect(previewed.positionAfter.surplus).to.equal(after.surplus);
      expect(previewed.positionAfter.debt).to.equal(debtTokensOf(after, state));
      expect(previewed.positionAfter.ltvLow).to.equal(after.debt === 0n ? 0n : ltvOf(after.tick, state));
    }
    expect(done).to.be.greaterThan(20);
  });

  it("grows a debt as an exponential does", () => {
    for (const [rate, days] of [
      [0.04, 7n],
      [0.3, 30n],
      [8, 30n],
    ] as const) {
      const perSecond = BigInt(Math.round((rate / Number(YEAR)) * 1e18));
      const exact = Math.exp((rate * Number(days * DAY)) / Number(YEAR));
      expect(growth(perSecond, days * DAY) / 1_000_000_000n).to.be.closeTo(
        BigInt(Math.round(exact * 1e9)),
        2n,
      );
    }
    expect(worseThan({ sold: 100n, bought: 200n }, { sold: 10n, bought: 19n })).to.equal(WAD / 20n);
  });
});
