/**
 * Repaying, topping up, closing and withdrawing surplus work in every state of the oracle, at every level of the brake
 * whoever put it there, beyond every cap, for a position that is healthy and for one that is insolvent (I9, B2); and no
 * pause touches anything of a market but its timestamps (B3).
 */
import { expect } from "chai";
import { network } from "hardhat";

import {
  deployMarket,
  HOUR,
  LEVEL,
  MAX_UINT256,
  MIN_INT256,
  STATE,
  type TestMarket,
  USD,
} from "../support/market.ts";

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

const REASON = new Uint8Array(32);

/** Every way to a level. */
const BRAKE: Record<string, { level: Level; enter: (market: TestMarket) => Promise<unknown> }> = {
  "no pause": { level: "None", enter: async () => undefined },
  "a pause of new risk": {
    level: "NoNewRisk",
    enter: ({ brake, vault }) => brake.pause(vault, LEVEL.NoNewRisk, HOUR, REASON),
  },
  "the sentinel's pause of new risk": {
    level: "NoNewRisk",
    enter: ({ brake }) => brake.pauseAllBriefly(LEVEL.NoNewRisk, 900n, REASON),
  },
  "a pause of liquidations": {
    level: "LiquidationsPaused",
    enter: ({ brake, vault }) => brake.pause(vault, LEVEL.LiquidationsPaused, HOUR, REASON),
  },
  "the sentinel's pause of liquidations": {
    level: "LiquidationsPaused",
    enter: ({ brake, vault }) => brake.pauseBriefly(vault, LEVEL.LiquidationsPaused, 900n, REASON),
  },
  "the grace after a pause": {
    level: "Grace",
    enter: async ({ brake, vault, connection }) => {
      await brake.pause(vault, LEVEL.LiquidationsPaused, HOUR, REASON);
      await connection.networkHelpers.time.increase(HOUR);
    },
  },
  "the grace after a resumption": {
    level: "Grace",
    enter: async ({ brake, vault, connection }) => {
      await brake.pause(vault, LEVEL.LiquidationsPaused, HOUR, REASON);
      await connection.networkHelpers.time.increase(HOUR / 2n);
      await brake.resume(vault, LEVEL.LiquidationsPaused, 1n);
    },
  },
  "the grace after an outage of the sequencer": {
    level: "Grace",
    enter: async ({ brake, connection }) => {
      const feed = await connection.ethers.deployContract("SettableFeed", [0, "sequencer"]);
      await feed.set(0n);
      await brake.setSequencerFeed(feed, HOUR);
      await brake.startSequencerGrace();
    },
  },
  "everything at once": {
    level: "LiquidationsPaused",
    enter: async ({ brake, connection }) => {
      const feed = await connection.ethers.deployContract("SettableFeed", [0, "sequencer"]);
      await feed.set(1n);
      await brake.setSequencerFeed(feed, HOUR);
      await brake.pauseAll(LEVEL.NoNewRisk, 72n * HOUR, REASON);
      await brake.pauseAll(LEVEL.LiquidationsPaused, 4n * HOUR, REASON);
      await brake.startSequencerGrace();
    },
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
    for (const [brake, { level, enter: brakeNow }] of Object.entries(BRAKE)) {
      for (const price of [PRICE, PRICE / 2n]) {
        it(`works with a ${state} price, in ${brake}, ${price === PRICE ? "healthy" : "insolvent"}`, async () => {
          const { market, owner, stranger, snapshot } = position;
          const { vault } = market;
          const enter = async () => {
            await snapshot.restore();
            await market.setPrices(price);
            await brakeNow(market);
            await ORACLE[state](market, price);
            await vault.setCaps({ debt: 0n, collateral: 0n, minDebt: 10n ** 18n });
            expect((await market.oracle.read()).state).to.equal(STATE[state]);
            expect((await market.brake.stateOf(vault)).level).to.equal(LEVEL[level]);
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

  it("works at any time in any sequence of pauses, which touch nothing but timestamps (B2, B3)", async () => {
    const { market, owner, stranger, snapshot } = position;
    const { vault, brake, connection } = market;
    const { networkHelpers } = connection;
    await snapshot.restore();
    const feed = await connection.ethers.deployContract("SettableFeed", [0, "sequencer"]);
    await feed.set(0n);
    await brake.setSequencerFeed(feed, HOUR);
    const before = await untouched(market);
    // A fixed sequence of numbers (MMIX), so that a failure comes again.
    let random = 1n;
    const below = (n: number) => {
      random = (random * 6364136223846793005n + 1442695040888963407n) % 2n ** 64n;
      return Number((random >> 33n) % BigInt(n));
    };
    const done: Record<string, number> = {};
    const levels = new Set<bigint>();
    for (let step = 0; step < 120; step++) {
      const level = below(3) === 0 ? LEVEL.NoNewRisk : LEVEL.LiquidationsPaused;
      const longest = level === LEVEL.NoNewRisk ? 72 * 3_600 : 4 * 3_600;
      const { liquidationPauses, newRiskPauses } = await brake.stateOf(vault);
      const count = level === LEVEL.NoNewRisk ? newRiskPauses : liquidationPauses;
      const calls: Record<string, () => Promise<unknown>> = {
        pause: () => brake.pause(vault, level, 1 + below(longest), REASON),
        pauseAll: () => brake.pauseAll(level, 1 + below(longest), REASON),
        pauseBriefly: () => brake.pauseBriefly(vault, level, 1 + below(900), REASON),
        pauseAllBriefly: () => brake.pauseAllBriefly(level, 1 + below(900), REASON),
        resume: () => brake.resume(vault, level, count),
        startSequencerGrace: async () => {
          await feed.set(BigInt(below(2)));
          await brake.startSequencerGrace();
        },
        remind: () => brake.remind(vault),
        wait: () => networkHelpers.time.increase(1 + below(below(4) === 0 ? 200_000 : 7_200)),
      };
      const name = Object.keys(calls)[below(8)]!;
      await calls[name]!().then(
        () => (done[name] = (done[name] ?? 0) + 1),
        () => undefined,
      );
      expect(await untouched(market), name).to.deep.equal(before);
      levels.add((await brake.stateOf(vault)).level);
      if (step % 4 !== 0) continue;
      const here = await networkHelpers.takeSnapshot();
      const asOwner = vault.connect(owner);
      await asOwner.adjust(owner, 0, 0, -1_000n * 10n ** 6n, owner, "0x");
      await vault.connect(stranger).adjust(owner, 0, ETHER, 0, stranger, "0x");
      await asOwner.withdrawSurplus(owner, 0, MAX_UINT256, owner);
      await asOwner.adjust(owner, 0, MIN_INT256, -(10n ** 12n), owner, "0x");
      await here.restore();
    }
    expect(Object.keys(done)).to.have.lengthOf(8);
    expect(levels.size).to.equal(4);
  });
});

/** What a market has: its tokens and its slots, without the brake's timestamps. */
async function untouched({ vault, collateral, debt }: TestMarket) {
  const slots: bigint[] = [];
  for (let slot = 0n; slot < 14n; slot++) {
    slots.push(BigInt(await vault.runner!.provider!.getStorage(vault, slot)));
  }
  const field = (at: bigint, bits: bigint) => ((1n << bits) - 1n) << at;
  slots[2]! &= ~field(192n, 32n); // noNewRiskUntil
  slots[4]! &= ~field(80n, 64n); //  pausedUntil, graceUntil
  return { slots, balances: [await collateral.balanceOf(vault), await debt.balanceOf(vault)] };
}
