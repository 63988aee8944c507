import { expect } from "chai";
import { network } from "hardhat";

import { deployLocal } from "../../deploy/local.ts";
import { openSources } from "../../keeper/src/collect.ts";
import { explainBlock, explainedLines } from "../../keeper/src/commands/explain.ts";
import { type Attempt, attemptLine, optimistic } from "../../keeper/src/commands/optimistic.ts";
import { type Replayed, replay, replayedLines } from "../../keeper/src/commands/replay.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";
import { PARAMETERS as parameters } from "../support/keeper.ts";

describe("the keeper's commands", function () {
  async function open() {
    const connection = await network.create();
    const local = await deployLocal(connection);
    const [lender, trader, owner, other] = local.signers.others;
    await fundLenders(local, lender!);
    const [long, short] = [local.markets["weth-usdc"]!, local.markets["usdc-weth"]!];
    await openPositions(
      local,
      [long, long, short].map((market, sub) => ({
        market,
        owner: owner!,
        sub,
        equityUsd: 40_000,
        leverage: [3, 5, 4][sub]!,
      })),
    );
    const arbitrageur = await openArbitrageur(local, trader!);
    const { provider } = connection.ethers;
    const sources = await openSources(local.addresses, provider);
    const setPrice = async (price: string) => {
      await local.setPrice("ETH/USD", price);
      await arbitrageur.trade();
      await connection.networkHelpers.time.increase(600);
    };
    return {
      connection,
      local,
      provider,
      sources,
      setPrice,
      long,
      other: other!,
      block: async () => provider.getBlockNumber(),
    };
  }

  // None of them changes anything; what the tests do to the chain comes last.
  let opened: ReturnType<typeof open>;
  before(() => {
    opened = open();
  });

  it("explain: the nearest tick, its distance, and why nothing", async () => {
    const { sources, block } = await opened;
    const explained = await explainBlock(sources, parameters, await block());
    const [long, short, unused] = explained.markets;
    expect(long!.nearest).to.deep.include({ positions: 1 });
    expect(long!.nearest!.debt).to.match(/^160,000\.\d\d USDC$/);
    expect(long!.nearest!.distancePercent).to.match(/^6\.\d\d %$/);
    expect(long!.would).to.deep.equal([]);
    expect(long!.why[0]).to.match(/^nearest tick -?\d+: the price is 6/);
    expect(short!.nearest!.debt).to.match(/^60\.0\d WETH$/);
    expect(unused).to.deep.include({ nearest: undefined, why: ["nobody owes anything"] });
    expect(explainedLines(explained).join("\n")).to.match(
      /\nweth-usdc: Fresh, 2,?000\.\d+ to 2,?000\.\d+; brake: None/,
    );
  });

  it("optimistic: could liquidate every tick, on a copy only", async () => {
    const { sources, block, provider, long } = await opened;
    const at = await block();
    const attempts: Attempt[] = [];
    const totals = await optimistic(sources, parameters, at, (attempt) => attempts.push(attempt));
    const lines = attempts.map(attemptLine).join("\n");
    expect(totals, lines).to.deep.equal({ tried: 3, succeeded: 3 });
    expect(attempts.map(({ market }) => market)).to.deep.equal(["weth-usdc", "weth-usdc", "usdc-weth"]);
    expect(lines).to.match(/^yes weth-usdc tick -?\d+ \(1 positions, 160,000/);
    // Nothing has happened.
    expect(await provider.getBlockNumber()).to.equal(at);
    expect((await long.oracle.read()).low > 1_990n << 128n).to.be.true;
  });

  it("replay: what it would have done, and who did", async () => {
    const { sources, block, setPrice, local, long, other } = await opened;
    const from = await block();
    await setPrice("1830");
    const { liquidator } = local.contracts;
    await (await long.debt.connect(other).mint(other, 10n ** 12n)).wait();
    await (await long.debt.connect(other).approve(liquidator, 10n ** 12n)).wait();
    const order = {
      market: long.vault,
      maxRepay: 10n ** 12n,
      minCollateral: 0n,
      fromTick: 2 ** 23 - 1,
      maxTicks: 0,
      buyPot: false,
      deadline: 2n ** 63n,
      receiver: other,
    };
    const sent = await liquidator.connect(other).liquidate(order, "0x");
    const mined = (await sent.wait())!.blockNumber;
    const to = await block();
    const rows: Replayed[] = [];
    const totals = await replay(sources, parameters, { from, to }, (row) => rows.push(row));
    expect(totals.blocks).to.equal(to - from + 1);
    expect(rows.map((row) => row.block)).to.deep.equal(rows.map((row) => row.block).sort((a, b) => a - b));
    const last = rows.find((row) => row.block === mined - 1)!;
    expect(last.market).to.equal("weth-usdc");
    expect(last.would[0]).to.match(/^liquidate 1 tick: repay .* USDC, expect .* USDC after gas$/);
    expect(last.taken.map(({ by, hash }) => [by, hash])).to.deep.equal([[other.address, sent.hash]]);
    expect(totals.taken).to.equal(1);
    expect(rows.every((row) => row.block < mined)).to.be.true;
    expect(replayedLines(last).at(-1)).to.match(/in the next block 0x\w{40} repaid \d.* USDC/);
    expect(totals.opportunities >= 1).to.be.true;

    const nowhere = { from: to, to: to + 1 };
    const refused = await replay(sources, parameters, nowhere, () => undefined).then(
      () => "replayed",
      (error: unknown) => String(error),
    );
    expect(refused).to.match(/the newest is/);
  });

  it("optimistic: tells what it could from what pays, and says which it could not", async () => {
    const { sources, block, local, provider } = await opened;
    const attempts: Attempt[] = [];
    const wanting = { ...parameters, minProfit: 10n ** 24n };
    const totals = await optimistic(sources, wanting, await block(), (a) => attempts.push(a));
    expect(totals).to.deep.equal({ tried: 3, succeeded: 3 });
    for (const { pays, words } of attempts) {
      expect(pays).to.be.false;
      expect(words).to.match(/^repays .* earns .* before gas: not enough to do it$/);
    }

    const { positionManager } = local.contracts;
    for (let tokenId = 1n; tokenId <= 4n; tokenId++) {
      const { liquidity } = await positionManager.positions(tokenId);
      const all = { tokenId, liquidity, amount0Min: 0n, amount1Min: 0n, deadline: 2n ** 64n };
      await (await positionManager.decreaseLiquidity(all)).wait();
    }
    const dry: Attempt[] = [];
    const reopened = await openSources(local.addresses, provider);
    const none = await optimistic(reopened, parameters, await block(), (a) => dry.push(a));
    expect(none, dry.map(attemptLine).join("\n")).to.deep.equal({ tried: 3, succeeded: 0 });
    expect(dry[0]!.words).to.equal("no pool prices gas in USDC");
    expect(attemptLine(dry[0]!)).to.match(/^NO {2}weth-usdc tick/);
  });
});
