/**
 * A wrong price: one source 3 % low for an hour, then 30 %. Nobody is liquidated whom the true price would not, and nothing
 * else stops; once the veto is spent, what docs/oracle.md says.
 */
import { expect } from "chai";
import type { Result } from "ethers";
import { network } from "hardhat";

import type { OracleConfigStruct } from "../../sdk/src/types/OracleAdapter.ts";
import { deployMarket, MAX_UINT256, MIN_INT256, orderOf, STATE, USD, USDC } from "../support/market.ts";
import { createPool, deployUniswap, sqrtPriceOf, tradeTo } from "../support/uniswap.ts";

const ETHER = 10n ** 18n;
const PRICE = 3_000n * USD;
const MINUTE = 60;
const HOUR = 60 * MINUTE;

async function openMarket() {
  const connection = await network.create();
  const market = await deployMarket(connection);
  const { vault, signer } = market;
  const [lender, owner, keeper] = [signer(1), signer(2), signer(4)];
  for (const account of [lender, owner, keeper])
    await market.fund(account, { collateral: 1_000n * ETHER, debt: 10n ** 13n });
  await vault.connect(lender).deposit(10n ** 12n, lender);
  // From 62 % to 81 % of LTV.
  for (let i = 0n; i < 20n; i++) {
    await vault.connect(owner).adjust(owner, i, ETHER, (1_860n + 30n * i) * USDC, owner, "0x");
  }
  return { ...market, lender, owner, keeper };
}
type Opened = Awaited<ReturnType<typeof openMarket>>;

const liquidate = async ({ vault, liquidator, keeper }: Opened) =>
  liquidator.connect(keeper).liquidate(await orderOf(vault, keeper, { maxRepay: 10n ** 12n }), "0x");

/** Everything that does not take new risk goes on. */
async function expectBusiness({ vault, owner, lender }: Opened, lendersGoOn: boolean) {
  const mine = vault.connect(owner);
  await mine.adjust(owner, 0, 0, -USDC, owner, "0x");
  await mine.adjust(owner, 0, ETHER / 1_000n, 0, owner, "0x");
  await mine.withdrawSurplus.staticCall(owner, 0, MAX_UINT256, owner);
  await mine.adjust.staticCall(owner, 19, MIN_INT256, -(10n ** 12n), owner, "0x");
  const lending = vault.connect(lender);
  if (lendersGoOn) {
    await lending.deposit(USDC, lender);
    await lending.withdraw(USDC, lender, lender);
  } else {
    await expect(lending.deposit(USDC, lender)).to.be.revertedWithCustomError(vault, "LendersWait");
  }
  await expect(mine.adjust(owner, 0, 0, USDC, owner, "0x")).to.be.revertedWithCustomError(
    vault,
    "PriceNotFresh",
  );
}

/** Rounds of both sources every 10 minutes, with what anyone does then. */
async function pass(
  market: Opened,
  seconds: number,
  rounds: () => Promise<unknown>,
  each: () => Promise<unknown>,
) {
  for (let at = 0; at < seconds; at += 10 * MINUTE) {
    await rounds();
    await market.oracle.update();
    await each();
    await market.connection.networkHelpers.time.increase(10 * MINUTE);
  }
}

const nothing = async (market: Opened) =>
  expect(liquidate(market)).to.be.revertedWithCustomError(market.vault, "NothingToLiquidate");

describe("a wrong price", () => {
  for (const wrong of ["primary", "second"] as const) {
    const right = wrong === "primary" ? "second" : "primary";

    it(`of the ${wrong} source liquidates nobody while the veto lasts`, async () => {
      const market = await openMarket();
      const { oracle, feeds, setSource } = market;
      const say = (price: bigint) => async () => {
        await setSource(feeds[wrong], price, USD);
        await setSource(feeds[right], PRICE, USD);
      };
      // The control: at the true price nobody is liquidatable.
      await nothing(market);
      await pass(market, HOUR, say((PRICE * 97n) / 100n), async () => {
        expect((await oracle.read()).state).to.equal(STATE.Diverged);
        await nothing(market);
        await expectBusiness(market, true);
      });
      // At 70 % somebody would be insolvent at the lower price: lenders wait rather than leave that to others.
      let held = HOUR;
      while (held < 6 * HOUR - 10 * MINUTE) {
        await pass(market, 10 * MINUTE, say((PRICE * 70n) / 100n), async () => {
          await nothing(market);
          await expectBusiness(market, false);
        });
        held += 10 * MINUTE;
      }
      // Corrected in time: everything as before, and the veto is not whole yet.
      await market.setPrices(PRICE, USD);
      await oracle.update();
      expect((await oracle.read()).state).to.equal(STATE.Fresh);
      await nothing(market);
      expect(await oracle.vetoLeft()).to.be.lessThan(BigInt(HOUR));
    });

    it(`of the ${wrong} source that nobody corrects: after the veto the primary rules`, async () => {
      const market = await openMarket();
      const { oracle, feeds, setSource, vault, lender } = market;
      const other = await deployMarket(market.connection, { collateralPrice: PRICE });
      const say = async () => {
        await setSource(feeds[wrong], (PRICE * 70n) / 100n, USD);
        await setSource(feeds[right], PRICE, USD);
        await other.setPrices(PRICE, USD);
      };
      await pass(market, 6 * HOUR, say, () => nothing(market));
      await pass(market, HOUR, say, async () => undefined);
      const { low, high, state } = await oracle.read();
      expect(state).to.equal(STATE.Diverged);
      const primary = wrong === "primary" ? (PRICE * 70n) / 100n : PRICE;
      expect(high).to.equal((primary << 128n) / USD);
      // The end that lenders are paid by stays: who knows which source is wrong must not leave at the others' cost.
      expect(low).to.equal((((PRICE * 70n) / 100n) << 128n) / USD);
      expect(await vault.maxWithdraw(lender)).to.equal(0n);
      // And the governor can put a right oracle in the place of one whose source lies.
      await vault.setOracle.staticCall(other.oracle);
      if (wrong === "primary") {
        // What the primary says is liquidatable is sold, but nothing is seized whole.
        await liquidate(market);
        expect(await vault.potDebt()).to.equal(0n);
      } else {
        await nothing(market);
      }
    });
  }

  it("of one round of a source that is alone liquidates nobody", async () => {
    for (const alone of ["primary", "second"] as const) {
      const market = await openMarket();
      const { oracle, feeds, setSource } = market;
      await oracle.update();
      await feeds[alone === "primary" ? "second" : "primary"].collateral.setReverting(true);
      await setSource(feeds[alone], (PRICE * 92n) / 100n, USD);
      expect((await oracle.read()).state).to.equal(STATE.Single);
      await nothing(market);
      await expectBusiness(market, true);
      await setSource(feeds[alone], PRICE, USD); // the next round is right again
      await nothing(market);
      // Had it been true, the second round would have said so.
      await setSource(feeds[alone], (PRICE * 92n) / 100n, USD);
      await setSource(feeds[alone], (PRICE * 92n) / 100n, USD);
      await liquidate(market);
    }
  });

  it("of a Uniswap pool that is held low liquidates nobody", async () => {
    const market = await openMarket();
    const { connection, collateral, debt, vault, oracle, governor } = market;
    const { time } = connection.networkHelpers;
    const uniswap = await deployUniswap(governor);
    const isToken0 = BigInt(await collateral.getAddress()) < BigInt(await debt.getAddress());
    const [token0, token1] = isToken0 ? [collateral, debt] : [debt, collateral];
    const at = (dollars: number) =>
      isToken0 ? sqrtPriceOf(dollars, 18, 6) : sqrtPriceOf(1 / dollars, 6, 18);
    const pool = await createPool(uniswap, token0, token1, {
      sqrtPrice: at(3_000),
      liquidity: 10n ** 18n,
      observations: 120,
    });
    await tradeTo(uniswap, pool, at(3_001));
    await tradeTo(uniswap, pool, at(3_000));
    // A struct of structs as a plain object: what a constructor takes.
    const plain = (struct: object) => (struct as Result).toObject();
    const config = await oracle.config();
    const none = { feed: connection.ethers.ZeroAddress, maxAge: 0n, minAnswer: 0n, maxAnswer: 0n };
    const twap = await connection.ethers.deployContract("OracleAdapter", [
      {
        ...plain(config),
        collateralFeed: plain(config.collateralFeed),
        debtFeed: plain(config.debtFeed),
        secondCollateralFeed: none,
        secondDebtFeed: none,
        pool: await pool.getAddress(),
        twapWindow: 600n,
        blockTime: 12n,
      } as OracleConfigStruct,
    ]);
    await time.increase(600);
    await market.setPrices(PRICE, USD);
    await vault.setOracle(twap);
    const opened = { ...market, oracle: twap };
    const say = async () => market.setSource(market.feeds.primary, PRICE, USD);
    for (const [dollars, lendersGoOn] of [
      [2_905, true],
      [2_100, false],
    ] as const) {
      await tradeTo(uniswap, pool, at(dollars));
      await time.increase(600);
      await pass(opened, HOUR, say, async () => {
        expect((await twap.read()).state).to.equal(STATE.Diverged);
        await nothing(opened);
        await expectBusiness(opened, lendersGoOn);
      });
    }
    await pass(opened, 6 * HOUR, say, () => nothing(opened)); // the veto spent: the primary is right
    await tradeTo(uniswap, pool, at(3_000));
    await time.increase(600);
    await say();
    expect((await twap.read()).state).to.equal(STATE.Fresh);
    await nothing(opened);
  });
});

describe("an oracle that never comes back", () => {
  it("is replaced by one near its last price after a day, by any after a week", async () => {
    const market = await openMarket();
    const { connection, vault, oracle } = market;
    const near = await deployMarket(connection, { collateralPrice: (PRICE * 65n) / 100n });
    const far = await deployMarket(connection, { collateralPrice: PRICE / 2n });
    await oracle.update();
    await market.kill();
    const seen = async (hours: number) => {
      for (let hour = 0; hour < hours; hour++) {
        await oracle.update();
        await connection.networkHelpers.time.increase(HOUR - 10);
      }
      for (const { setPrices, parameters } of [near, far]) await setPrices(parameters.collateralPrice, USD);
    };
    await seen(23);
    await expect(vault.setOracle(near.oracle)).to.be.revertedWithCustomError(vault, "NotProvenDead");
    await seen(2);
    await expect(vault.setOracle(far.oracle)).to.be.revertedWithCustomError(vault, "OracleMismatch");
    const snapshot = await connection.networkHelpers.takeSnapshot();
    await vault.setOracle(near.oracle);
    await snapshot.restore();
    await seen(6 * 24);
    await vault.setOracle(far.oracle);
  });

  it("with one source left is replaced by one that agrees with that", async () => {
    const market = await openMarket();
    const { connection, vault, oracle, feeds } = market;
    await oracle.update();
    await feeds.second.collateral.setReverting(true);
    const other = await deployMarket(connection, { collateralPrice: (PRICE * 102n) / 100n });
    await expect(vault.setOracle(other.oracle)).to.be.revertedWithCustomError(vault, "OracleMismatch");
    await other.setSource(other.feeds.primary, PRICE, USD);
    await vault.setOracle(other.oracle);
  });
});
