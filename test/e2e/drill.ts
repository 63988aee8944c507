import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { expect } from "chai";
import { type Contracts, connect, lossOf, openLiquidations } from "@breakwater/sdk/chain";
import { formatAmount } from "@breakwater/sdk/core";
import { MaxUint256 } from "ethers";

import { type DrillRunner, openDrill } from "../../scripts/start/drill.ts";
import { type Stage, e2e, expectPresentable, openStage } from "./stage.ts";

const STEP_SECONDS = 600;
const FIRST = { "ETH/USD": 2_000, "BTC/USD": 40_000 };
const PLENTY = 10n ** 30n;

e2e("Drill", function () {
  this.timeout(240_000);
  let stage: Stage;
  let drill: DrillRunner;
  let contracts: Contracts;
  let keeper: HardhatEthersSigner;

  before(async () => {
    drill = openDrill(STEP_SECONDS);
    stage = await openStage({ positions: 45, drill: () => drill });
    contracts = connect(stage.local.addresses, stage.provider);
    keeper = stage.local.signers.others[2]!;
    for (const { debt } of Object.values(stage.local.markets)) {
      await (await debt.connect(keeper).mint(keeper, PLENTY)).wait();
      await (await debt.connect(keeper).approve(stage.local.contracts.liquidator, MaxUint256)).wait();
    }
  });
  after(async () => stage.close());

  /** What npm start does between two prices, its keeper included. */
  async function step() {
    const { level } = drill.advance();
    const prices = Object.fromEntries(
      Object.entries(FIRST).map(([pair, first]) => [pair, (first * level).toFixed(2)]),
    );
    await stage.local.setPrice("USDC/USD", "1");
    await stage.local.setPrice("BTC/USD", prices["BTC/USD"]!);
    await stage.setPrice("ETH/USD", prices["ETH/USD"]!, STEP_SECONDS);
    for (const { vault } of Object.values(stage.local.markets)) {
      const order = {
        market: await vault.getAddress(),
        maxRepay: PLENTY,
        minCollateral: 0n,
        fromTick: 2n ** 23n - 1n,
        maxTicks: 0n,
        buyPot: true,
        receiver: keeper.address,
        deadline: MaxUint256,
      };
      const { liquidate } = stage.local.contracts.liquidator.connect(keeper);
      const isPossible = await liquidate.staticCall(order, "0x").then(
        () => true,
        () => false,
      );
      if (isPossible) await (await liquidate(order, "0x")).wait();
    }
    const { number, timestamp } = (await stage.provider.getBlock("latest"))!;
    drill.note({ block: number, time: timestamp, prices });
  }

  const ask = async (body: object, origin = stage.url) =>
    fetch(`${stage.url}/drill`, {
      method: "POST",
      headers: { origin, "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  it("starts for nobody but the page, and for no nonsense", async () => {
    expect((await ask({ fall: 30, minutes: 60 }, "https://elsewhere.example")).status).to.equal(403);
    for (const body of [{ fall: 99, minutes: 60 }, { fall: 30 }, { fall: 30, minutes: 5 }])
      expect((await ask(body)).status, JSON.stringify(body)).to.equal(400);
    expect(drill.state()).to.deep.equal({ phase: "none" });
  });

  it("shows a crash from start to end: price, ladder, liquidations, gas, bad debt", async () => {
    await step();
    const page = await stage.visit("drill");
    await page.getByRole("img", { name: /^Liquidation ladder/ }).waitFor();
    await page.getByRole("slider", { name: /^Prices fall by/ }).fill("60");
    await page.getByRole("combobox").selectOption({ label: "30\u00a0min" });
    await page.getByRole("button", { name: "Start the crash" }).click();
    await page.getByText("Step 0 of 3 of a fall of 60 % within 30\u00a0min").waitFor();
    const refused = await ask({ fall: 10, minutes: 60 });
    expect(refused.status).to.equal(409);
    expect(await refused.json()).to.deep.equal({ words: "A drill is running: wait until it is over." });

    const from = (await stage.provider.getBlockNumber()) + 1;
    await step();
    await page.getByText("Step 1 of 3").waitFor();
    await page.getByRole("region", { name: "The newest liquidations" }).waitFor();
    await page.getByRole("img", { name: /^Debt liquidated since the start: [1-9]/ }).waitFor();
    await expectPresentable(page, "drill");
    await page.setViewportSize({ width: 1280, height: 900 });
    for (let count = 0; count < 2; count++) await step();
    await page.getByText("Prices have fallen by 60 % and stand still").waitFor();
    for (let count = 0; count < 6; count++) await step();
    await page.getByText("Over: −60 % within 30\u00a0min").waitFor();

    const records = await openLiquidations(contracts, from, { withGas: true })(
      await stage.provider.getBlockNumber(),
    );
    await page.getByText(`${records.length} liquidations. Lenders lost`).waitFor();
    for (const [name, id] of [
      ["Long WETH", "weth-usdc"],
      ["Short WETH", "usdc-weth"],
    ] as const) {
      const mine = records.filter(({ market }) => market === id);
      const { lenders } = lossOf(mine);
      const said = await page.getByRole("region", { name, exact: true }).innerText();
      expect(said).to.contain(`${mine.length} liquidation`);
      expect(said).to.contain(`Lenders lost\n${lenders === 0n ? "0" : formatAmount(lenders, 6, 2)}`);
    }
    expect(lossOf(records).lenders).to.be.above(0n);
    expect(
      await page.getByRole("img", { name: /^Price from/ }).getAttribute("aria-label"),
      "from before to after",
    ).to.match(/from 2,000\.\d+ to 800\.\d+ USDC per WETH/);

    await page.getByRole("link", { name: "Lend" }).click();
    await page.getByText(/collateral did not cover all: insurance paid .*lenders lost [1-9]/).waitFor();
    await page.getByRole("region", { name: "Losses, newest first" }).waitFor();
  });

  it("can be followed by somebody who comes later, and started again", async () => {
    const page = await stage.visit("drill");
    await page.getByText("Over: −60 % within 30\u00a0min").waitFor();
    await page.getByRole("heading", { name: "Start another one" }).waitFor();
    await page.getByRole("slider", { name: /^Prices fall by/ }).fill("90");
    await page.getByRole("button", { name: "Start the crash" }).click();
    await page.getByText("Step 0 of 12").waitFor();
    for (let count = 0; count < 18; count++) drill.advance();
    for (let block = await stage.provider.getBlockNumber(), count = 0; count < 1; count++)
      drill.note({ block, time: 0, prices: {} });
    expect((await ask({ fall: 90, minutes: 10 })).status, "too little would be left").to.equal(409);
  });
});
