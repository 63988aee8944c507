/** The table of docs/oracle.md, cell by cell: what each function does in each state of the price at each level of the brake. */
import { readFileSync } from "node:fs";

import { expect } from "chai";
import { network } from "hardhat";

import { maxLtvUnderStress } from "@breakwater/sdk/core";

import {
  deployMarket,
  LEVEL,
  MAX_UINT256,
  MIN_INT256,
  orderOf,
  STATE,
  type TestMarket,
  USD,
  USDC,
} from "./support/market.ts";

const ETHER = 10n ** 18n;
const PRICE = 3_000n * USD;
const REASON = new Uint8Array(32);

const LEVELS = {
  none: "None",
  "no new risk": "NoNewRisk",
  grace: "Grace",
  paused: "LiquidationsPaused",
} as const;
const STATES = ["Dead", "Single", "Diverged", "Fresh"] as const;

/** A position of 10 ether and 24,000: liquidatable at 0.9, insolvent at 1.0; and one that is never in danger. */
const SCENES = { healthy: PRICE, liquidatable: (PRICE * 8n) / 9n, insolvent: (PRICE * 8n) / 10n };

type Scene = keyof typeof SCENES | "pot";
type Try = (market: TestMarket) => Promise<unknown>;

const liquidate =
  (buyPot: boolean): Try =>
  async ({ vault, liquidator, signer }) =>
    liquidator
      .connect(signer(4))
      .liquidate.staticCall(await orderOf(vault, signer(4), { maxRepay: 10n ** 12n, buyPot }), "0x");
const adjust =
  (sub: bigint, collateral: bigint, debt: bigint): Try =>
  ({ vault, signer }) =>
    vault.connect(signer(2)).adjust.staticCall(signer(2), sub, collateral, debt, signer(2), "0x");
const lend: Try = async ({ vault, signer }) => {
  const lender = vault.connect(signer(1));
  await lender.deposit.staticCall(USDC, signer(1));
  await lender.mint.staticCall(USDC, signer(1));
  await lender.withdraw.staticCall(USDC, signer(1), signer(1));
  await lender.redeem.staticCall(USDC, signer(1), signer(1));
};

const FUNCTIONS: Record<string, [Scene, Try]> = {
  repay: ["insolvent", adjust(0n, 0n, -1_000n * USDC)],
  "top up": ["insolvent", adjust(0n, ETHER, 0n)],
  close: ["insolvent", adjust(0n, MIN_INT256, -(10n ** 12n))],
  "withdraw surplus": [
    "insolvent",
    ({ vault, signer }) =>
      vault.connect(signer(2)).withdrawSurplus.staticCall(signer(2), 0, MAX_UINT256, signer(2)),
  ],
  unwind: ["insolvent", adjust(0n, -ETHER, -3_000n * USDC)],
  borrow: ["healthy", adjust(1n, 0n, USDC)],
  "withdraw to a higher tick": ["healthy", adjust(1n, -ETHER, 0n)],
  "sell a liquidatable tick": ["liquidatable", liquidate(false)],
  "seize an insolvent tick": [
    "insolvent",
    async ({ vault, liquidator }) => liquidator.seize.staticCall(await vault.getAddress(), 0),
  ],
  "buy the pot": ["pot", liquidate(true)],
  "lend, redeem": ["healthy", lend],
  "lend, redeem: insolvent tick": ["insolvent", lend],
  "lend, redeem: pot": ["pot", lend],
};

/** The sources are apart with the lower one second: at the higher price nothing changes. */
const ORACLE: Record<keyof typeof STATE, (market: TestMarket, price: bigint) => Promise<unknown>> = {
  Fresh: async () => undefined,
  Diverged: ({ feeds }, price) => feeds.second.collateral.set((price * 96n) / 100n),
  Single: ({ feeds }) => feeds.second.collateral.setReverting(true),
  Dead: async ({ feeds }) => {
    await feeds.primary.collateral.set(0n);
    await feeds.second.debt.setReverting(true);
  },
};

async function arrange(scene: Scene) {
  const connection = await network.create();
  const market = await deployMarket(connection);
  const { vault, oracle, liquidator, signer } = market;
  const [lender, owner, keeper] = [signer(1), signer(2), signer(4)];
  for (const account of [lender, owner, keeper])
    await market.fund(account, { collateral: 100n * ETHER, debt: 10n ** 13n });
  await vault.connect(lender).deposit(10n ** 12n, lender);
  await vault.connect(owner).adjust(owner, 0, 10n * ETHER, 24_000n * USDC, owner, "0x");
  await vault.connect(owner).adjust(owner, 1, 10n * ETHER, 5_000n * USDC, owner, "0x");
  const price = SCENES[scene === "pot" ? "insolvent" : scene];
  // So at two rounds, minutes apart: what a grace period asks for.
  for (let round = 0; round < 3; round++) {
    await market.setPrices(price, USD);
    await oracle.update();
    await connection.networkHelpers.time.increase(301);
  }
  if (scene === "pot") {
    await liquidator.seize(vault, 0);
    expect(await vault.potDebt()).to.be.greaterThan(0n);
  }
  return { market, price, snapshot: await connection.networkHelpers.takeSnapshot() };
}

const ROW = /^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/;
const table = readFileSync("docs/oracle.md", "utf8")
  .split("\n")
  .map((line) =>
    ROW.exec(line.replaceAll(/ +\|/g, " |"))
      ?.slice(1)
      .map((cell) => cell.trim()),
  )
  .filter((row) => row !== undefined && row[0]! in FUNCTIONS) as string[][];

describe("the matrix of docs/oracle.md", () => {
  const scenes = new Map<Scene, Awaited<ReturnType<typeof arrange>>>();

  before(async () => {
    for (const scene of ["healthy", "liquidatable", "insolvent", "pot"] as const)
      scenes.set(scene, await arrange(scene));
  });

  it("O5: has a cell for every function, level and state", () => {
    for (const name of Object.keys(FUNCTIONS)) {
      const levels = table.filter(([what]) => what === name).map(([, level]) => level);
      expect(levels, name).to.deep.equal(levels[0] === "any" ? ["any"] : Object.keys(LEVELS));
    }
  });

  for (const [name, row, ...cells] of table as [string, string, ...string[]][]) {
    for (const word of (row === "any" ? Object.keys(LEVELS) : [row]) as (keyof typeof LEVELS)[]) {
      for (const [at, state] of STATES.entries()) {
        const cell = cells[at]!;
        it(`${name} at level ${word} on a ${state} price: ${cell}`, async () => {
          const [scene, attempt] = FUNCTIONS[name]!;
          const { market, price, snapshot } = scenes.get(scene)!;
          const { vault, brake, oracle, connection } = market;
          await snapshot.restore();
          const level = LEVELS[word];
          if (level === "NoNewRisk") await brake.pause(vault, LEVEL.NoNewRisk, 7200n, REASON);
          if (level === "Grace" || level === "LiquidationsPaused")
            await brake.pause(vault, LEVEL.LiquidationsPaused, 3600n, REASON);
          if (level === "Grace") await connection.networkHelpers.time.increase(3600);
          await ORACLE[state](market, price);
          expect((await oracle.read()).state).to.equal(STATE[state]);
          expect((await brake.stateOf(vault)).level).to.equal(LEVEL[level]);
          const attempted = attempt(market);
          if (cell === "yes") await attempted;
          else await expect(attempted).to.be.revertedWithCustomError(vault, cell);
        });
      }
    }
  }
});

describe("in a grace period", () => {
  it("a tick that was insolvent at one round alone is not seized, nor do lenders pass it", async () => {
    const { market, snapshot } = await arrange("healthy");
    const { vault, brake, oracle, liquidator, connection } = market;
    await snapshot.restore();
    await brake.pause(vault, LEVEL.LiquidationsPaused, 3600n, REASON);
    await connection.networkHelpers.time.increase(3600);
    const seize = async () => liquidator.seize.staticCall(await vault.getAddress(), 0);
    // From 3,000 to insolvent: one round, then a second one too soon for a sample.
    for (const [wait, price] of [
      [1, SCENES.insolvent],
      [60, SCENES.insolvent - USD],
    ] as const) {
      await connection.networkHelpers.time.increase(wait);
      await market.setPrices(price, USD);
      await oracle.update();
      await expect(seize()).to.be.revertedWithCustomError(vault, "LiquidationsPaused");
      await expect(lend(market)).to.be.revertedWithCustomError(vault, "LendersWait");
    }
    await connection.networkHelpers.time.increase(301);
    await market.setPrices(SCENES.insolvent - 2n * USD, USD);
    await seize();
    await lend(market);
    const sold = liquidate(true)(market); // sells nothing: not even what it has seized
    expect(await sold).to.deep.equal([0n, 0n]);
    // Back above insolvency: the price now counts as well.
    await market.setPrices(SCENES.liquidatable, USD);
    await expect(seize()).to.be.revertedWithCustomError(vault, "LiquidationsPaused");
  });
});

describe("under stress", () => {
  it("new risk has a lower max LTV, what is open keeps its threshold, and the Lens says so", async () => {
    const connection = await network.create();
    const market = await deployMarket(connection, { maxLtvCut: 1_000n });
    const { vault, oracle, signer } = market;
    const [lender, owner] = [signer(1), signer(2)];
    for (const account of [lender, owner])
      await market.fund(account, { collateral: 100n * ETHER, debt: 10n ** 12n });
    await vault.connect(lender).deposit(10n ** 12n, lender);
    const lens = await connection.ethers.deployContract("Lens");
    const borrow = (sub: number, debt: bigint) =>
      vault.connect(owner).adjust(owner, sub, 10n * ETHER, debt * USDC, owner, "0x");
    const before = await lens.market(vault);
    expect([before.stress, before.maxLtvNow]).to.deep.equal([0n, 8_200n]);
    await borrow(0, 24_000n); // 80 %

    // Half way between calm and stress: 5 % in a few rounds is 0.05 · √(day / 12 h), 7 % a day; 12 % is 17 %.
    const price = (PRICE * 885n) / 1_000n;
    await market.setPrices(price);
    const { stress, volatility, maxLtvNow, risk } = await lens.market(vault);
    expect(volatility).to.be.within(1_650n, 1_750n);
    expect(stress).to.equal((10_000n * (volatility - 800n)) / 1_700n);
    const cut = (1_000n * (volatility - 800n)) / 1_700n;
    expect(maxLtvNow).to.equal((8_200n * (10_000n - cut)) / 10_000n);
    expect(risk.liquidationThreshold).to.equal(8_600n);
    expect(maxLtvUnderStress(8_200n, cut)).to.equal(maxLtvNow);

    const debtAt = (ltv: bigint) => (10n * price * ltv) / USD / 10_000n;
    await expect(borrow(1, debtAt(maxLtvNow + 30n)))
      .to.be.revertedWithCustomError(vault, "LtvTooHigh")
      .withArgs((ltv: bigint) => ltv > maxLtvNow * 10n ** 14n, maxLtvNow * 10n ** 14n);
    await borrow(1, debtAt(maxLtvNow - 30n));
    // Two days of rounds at this price.
    for (let round = 0; round < 48; round++) {
      await connection.networkHelpers.time.increase(3_600);
      await market.setPrices(price, USD);
      await oracle.update();
    }
    expect((await lens.market(vault)).maxLtvNow).to.equal(8_200n);
    await borrow(2, debtAt(8_170n));
  });
});
