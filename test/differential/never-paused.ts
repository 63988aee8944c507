/**
 * Repaying, topping up, closing and withdrawing surplus work in every state of the oracle, at every level of the brake,
 * beyond every cap, for a position that is healthy and for one that is insolvent (I9).
 */
import { expect } from "chai";
import { network } from "hardhat";

import { type TestMarket, deployMarket, LEVEL, MAX_UINT256, MIN_INT256, STATE } from "../support/market.ts";

const USD = 10n ** 8n;
const ETHER = 10n ** 18n;
const PRICE = 3_000n * USD;

type State = keyof typeof STATE;
type Level = keyof typeof LEVEL;

const ORACLE: Record<State, (market: TestMarket, price: bigint) => Promise<unknown>> = {
  Fresh: (market, price) => market.setPrices(price),
  Diverged: (market, price) => market.setSource(market.feeds.second, (price * 110n) / 100n),
  Single: async ({ oracle, feeds }) => {
    await oracle.update(); // a single source is believed only near a recorded price
    await feeds.second.collateral.setReverting(true);
  },
  Dead: async ({ feeds }) => {
    await feeds.primary.collateral.set(0n);
    await feeds.second.debt.setReverting(true);
  },
};

const BRAKE: Record<Level, (market: TestMarket) => Promise<unknown>> = {
  None: async () => undefined,
  NoNewRisk: ({ brake, vault }) => brake.pause(vault, LEVEL.NoNewRisk, 3600n, new Uint8Array(32)),
  LiquidationsPaused: ({ brake, vault }) =>
    brake.pause(vault, LEVEL.LiquidationsPaused, 3600n, new Uint8Array(32)),
  Grace: async ({ brake, vault, connection }) => {
    await brake.pause(vault, LEVEL.LiquidationsPaused, 3600n, new Uint8Array(32));
    await connection.networkHelpers.time.increase(3600n);
  },
};

async function openPosition() {
  const connection = await network.create();
  const market = await deployMarket(connection);
  const [lender, owner, stranger] = [market.signer(1), market.signer(2), market.signer(3)];
  await market.fund(lender, { debt: 10n ** 12n });
  await market.fund(owner, { collateral: 100n * ETHER, debt: 10n ** 12n });
  await market.fund(stranger, { collateral: 100n * ETHER, debt: 10n ** 12n });
  await market.vault.connect(lender).deposit(10n ** 12n, lender);
  // A second position keeps the market from emptying; the first keeps its surplus: it is not at its tick exactly.
  await market.vault.connect(owner).adjust(owner, 1, 10n * ETHER, 15_000n * 10n ** 6n, owner, "0x");
  await market.vault.connect(owner).adjust(owner, 0, ETHER, 2_400n * 10n ** 6n, owner, "0x");
  return { market, owner, stranger, snapshot: await connection.networkHelpers.takeSnapshot() };
}

describe("what is never paused", () => {
  let position: Awaited<ReturnType<typeof openPosition>>;

  before(async () => {
    position = await openPosition();
  });

  for (const state of Object.keys(STATE) as State[]) {
    for (const level of Object.keys(LEVEL) as Level[]) {
      for (const price of [PRICE, PRICE / 2n]) {
        it(`works with a ${state} price, at level ${level}, ${price === PRICE ? "healthy" : "insolvent"}`, async () => {
          const { market, owner, stranger, snapshot } = position;
          const { vault } = market;
          const enter = async () => {
            await snapshot.restore();
            await market.setPrices(price);
            await BRAKE[level](market);
            await ORACLE[state](market, price);
            await vault.setCaps({ debt: 0n, collateral: 0n, minDebt: 10n ** 18n });
            expect((await market.oracle.read()).state).to.equal(STATE[state]);
            expect(await market.brake.levelOf(vault)).to.equal(LEVEL[level]);
          };

          await enter();
          await vault.connect(owner).adjust(owner, 0, 0, -1_000n * 10n ** 6n, owner, "0x");
          await vault.connect(owner).adjust(owner, 0, ETHER, 0, owner, "0x");
          const withdrawn = await vault
            .connect(owner)
            .withdrawSurplus.staticCall(owner, 0, MAX_UINT256, owner);
          expect(withdrawn).to.be.greaterThan(0n);
          await vault.connect(owner).withdrawSurplus(owner, 0, MAX_UINT256, owner);
          await vault.connect(owner).adjust(owner, 0, MIN_INT256, -(10n ** 12n), owner, "0x");

          await enter();
          await vault.connect(stranger).adjust(owner, 0, 0, -1_000n * 10n ** 6n, stranger, "0x");
          await vault.connect(stranger).adjust(owner, 0, ETHER, 0, stranger, "0x");
          await vault.connect(stranger).adjust(owner, 0, 0, -(10n ** 12n), stranger, "0x");
          await vault.connect(owner).withdrawSurplus(owner, 0, MAX_UINT256, owner);
          await vault.connect(owner).adjust(owner, 1, MIN_INT256, -(10n ** 12n), owner, "0x");
        });
      }
    }
  }
});
