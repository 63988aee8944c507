import { expect } from "chai";
import { MaxUint256, ZeroHash } from "ethers";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";

import { type Stage, connectWallet, e2e, expectPresentable, openStage } from "./stage.ts";

const MAX_TICK = 2 ** 23 - 1;

/** One of several choices. */
async function pick(page: Page, name: string): Promise<void> {
  await page.getByRole("radio", { name, exact: true }).check();
}

/** Fills the ticket of Trade. */
async function ask(page: Page, { pay, margin, leverage }: { pay: string; margin: string; leverage: string }) {
  await pick(page, pay);
  await page.getByLabel("Margin").fill(margin);
  await page.getByLabel("Leverage, as a number").fill(leverage);
}

async function open(page: Page, side: "long" | "short", leverage: string): Promise<void> {
  await page.getByRole("button", { name: `Open ${side} at ${leverage}×` }).click();
}

/** The first figure of a table's row: what stands under "After". */
async function afterOf(page: Page, row: string): Promise<string> {
  const cells = page.getByRole("row", { name: row }).first().getByRole("cell");
  return (await cells.last().textContent()) ?? "";
}

e2e("trading", function () {
  this.timeout(240_000);
  let stage: Stage;

  before(async () => {
    stage = await openStage({ positions: 24 });
  });
  after(async () => stage.close());

  /** As a keeper does. */
  const liquidate = async (id: string) => {
    const { local } = stage;
    const { vault, debt } = local.markets[id]!;
    const keeper = local.signers.others[2]!;
    await (await debt.mint(keeper, 10n ** 30n)).wait();
    const { liquidator } = local.contracts;
    await (await debt.connect(keeper).approve(liquidator, MaxUint256)).wait();
    const order = {
      ...{ market: await vault.getAddress(), maxRepay: 10n ** 30n, minCollateral: 0n, fromTick: MAX_TICK },
      ...{ maxTicks: 0n, buyPot: false, deadline: 2n ** 40n, receiver: keeper.address },
    };
    await (await liquidator.connect(keeper).liquidate(order, "0x")).wait();
  };

  it("quotes without a wallet, and says what is missing to send it", async () => {
    const page = await stage.visit("trade?market=weth-usdc");
    await ask(page, { pay: "WETH", margin: "1,5", leverage: "3" });
    await page.getByText("Write decimals with a point: 1.5").waitFor();
    await ask(page, { pay: "WETH", margin: "1.5", leverage: "3" });
    await page.getByText("Connect a wallet to go on.").waitFor();
    expect(await page.getByRole("button", { name: "Open long at 3.00×" }).isDisabled()).to.equal(true);
    await page.getByLabel("Leverage, as a number").fill("50");
    await page.getByText(/Write a number above 1, up to/).waitFor();
    await expectPresentable(page, "trade-without-wallet");
  });

  it("opens a long, sees it crash and partly liquidated, tops it up, repays, reduces and closes it", async () => {
    const wallet = stage.wallet();
    const page = await stage.visit("trade?market=weth-usdc", { wallet });
    await connectWallet(page);
    await ask(page, { pay: "ETH", margin: "2", leverage: "4" });
    await page.getByText("All-in cost, 30 days").waitFor();
    await expectPresentable(page, "trade");
    const promised = await afterOf(page, "Liquidation price");
    await open(page, "long", "4.00");
    await page.getByText("Your position is open.").waitFor();
    expect(wallet.asked).to.include("eth_signTypedData_v4");
    await page.getByRole("link", { name: "Look at it" }).click();

    await page.getByRole("heading", { name: "Long WETH" }).waitFor();
    const standing = page.getByRole("region", { name: "Long WETH" });
    expect(await standing.textContent(), "the one liquidation price").to.contain(promised);
    await page.getByText(/% of debt clears before you/).waitFor();
    await page.getByText("Opened", { exact: false }).first().waitFor();

    await stage.setPrice("ETH/USD", "1720");
    await page.getByText("This position can be liquidated now").waitFor();
    await liquidate("weth-usdc");
    await page.getByText("Partly liquidated").waitFor();
    await page.getByText("This position can be liquidated now").waitFor({ state: "hidden" });
    await page.getByText("Rounds of the sources").waitFor();
    await expectPresentable(page, "position");

    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save as CSV" }).click();
    const csv = await readFile(await (await download).path(), "utf8");
    const lines = csv.trim().split("\r\n");
    expect(lines[0]).to.contain("debt cleared,collateral sold,penalty");
    expect(lines.map((line) => line.split(",")[5])).to.deep.equal(["what", "open", "liquidation"]);

    const health = standing.getByText(/^\d\.\d{3}$/);
    const low = (await health.textContent())!;
    await page.getByLabel("Collateral to add").fill("1");
    await page.getByRole("button", { name: "Top up" }).click();
    await page.getByText("It is added.").waitFor();
    await page.getByRole("button", { name: "Go on" }).click();
    await standing.getByText(low, { exact: true }).waitFor({ state: "hidden" });
    expect(Number(await health.textContent())).to.be.greaterThan(Number(low));

    await pick(page, "Repay");
    await page.getByLabel("Debt to repay").fill("500");
    await page.getByRole("button", { name: "Repay" }).click();
    await page.getByText("It is repaid.").waitFor();
    await page.getByRole("button", { name: "Go on" }).click();

    await pick(page, "Leverage");
    await page.getByLabel("Leverage, as a number").fill("1.5");
    await page.getByRole("button", { name: "Bring it to 1.50×" }).click();
    await page.getByText("The leverage is changed.").waitFor();
    await page.getByRole("button", { name: "Go on" }).click();

    await pick(page, "Close");
    await page.getByRole("button", { name: "Close the position" }).click();
    await page.getByText("Long WETH is closed").waitFor();
    await page.getByText("Closed", { exact: false }).first().waitFor();
    await stage.setPrice("ETH/USD", "2000");
  });

  it("repays everything without dust, by one batch where the wallet can", async () => {
    const wallet = stage.wallet();
    wallet.sendsTogether = true;
    const page = await stage.visit("trade?market=usdc-weth", { wallet });
    await connectWallet(page);
    await ask(page, { pay: "USDC", margin: "5000", leverage: "2" });
    await open(page, "short", "2.00");
    await page.getByText("Your position is open.").waitFor();
    expect(wallet.asked).to.include("wallet_sendCalls").and.not.include("eth_signTypedData_v4");
    await page.getByRole("link", { name: "Look at it" }).click();
    await pick(page, "Repay");
    await pick(page, "WETH");
    await page.getByRole("button", { name: /^All/ }).click();
    await page.getByRole("button", { name: "Repay" }).click();
    await page.getByText("It is repaid.").waitFor();
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("nothing can be liquidated").waitFor();
    await pick(page, "Close");
    await page.getByRole("button", { name: "Close the position" }).click();
    await page.getByText("Short WETH is closed").waitFor();
  });

  it("leaves an order, lists it and cancels it", async () => {
    const wallet = stage.wallet();
    const page = await stage.visit("trade?market=weth-usdc", { wallet });
    await connectWallet(page);
    await ask(page, { pay: "ETH", margin: "1", leverage: "2" });
    await open(page, "long", "2.00");
    await page.getByRole("link", { name: "Look at it" }).click();
    await page.getByText("No order protects this position").waitFor();
    await page.getByRole("button", { name: "Leave an order" }).click();
    await page.getByLabel("When the price reaches").fill("1500");
    await page.getByLabel("Tip for whoever executes it").fill("5");
    await page.getByText("You get at least").waitFor();
    await expectPresentable(page, "position-order");
    await page.getByRole("button", { name: "Leave the order" }).click();
    await page.getByText("The order stands.").waitFor();
    await page.getByRole("button", { name: /^Cancel order/ }).click();
    await page.getByText("The order is cancelled.").waitFor();
    await page.getByText("No order protects this position").waitFor();
  });

  it("shows an account without a wallet", async () => {
    const { account } = stage.wallet();
    const page = await stage.visit(`position?address=${account}`);
    await page.getByRole("heading", { name: "Long WETH" }).waitFor();
    await page.getByText(/% of debt clears before this account/).waitFor();
    await page.getByText("This account has none", { exact: false }).waitFor();
    expect(await page.getByRole("button", { name: "Top up" }).count()).to.equal(0);
    await expectPresentable(page, "position-of-another");
    await page.goto(`${stage.url}/#/position?address=0x12`);
    await page.getByText("“0x12” is no address.").waitFor();
    await page.goto(`${stage.url}/#/position`);
    await page.getByText("Whose positions?").waitFor();
  });

  it("lets guardians start a recovery, and the owner cancel it", async () => {
    const { recovery } = stage.local.contracts;
    const [owner, ...others] = stage.local.signers.others.slice(-4);
    const heir = others.pop()!;
    const guardians = others.map(({ address }) => address).sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
    const guard = { guardians, threshold: 2, delay: 172_800 };
    const account = await recovery.accountOf(owner!, guard, ZeroHash);
    await (await recovery.create(owner!, guard, ZeroHash)).wait();

    for (const [at, words] of ["Approve the recovery", "Start the recovery"].entries()) {
      const page = await stage.visit(`position?address=${account}`, { wallet: stage.wallet(guardians[at]) });
      await connectWallet(page);
      await page.getByLabel("New owner").fill(heir.address);
      await page.getByRole("button", { name: "Approve or start it" }).click();
      await page.getByText(`1. ${words}`).waitFor();
      await page.getByText("It is on the chain").waitFor();
    }
    const page = await stage.visit(`position?address=${account}`, { wallet: stage.wallet(owner!.address) });
    await page.getByText("the owner can still cancel it").waitFor();
    await connectWallet(page);
    await page.getByRole("button", { name: "Cancel the recovery" }).click();
    await page.getByText("none is pending").waitFor();
    await expectPresentable(page, "position-recovery");
  });

  it("says what became of it: declined, replaced, dropped, wrong network", async () => {
    const wallet = stage.wallet();
    const page = await stage.visit("trade?market=weth-usdc", { wallet });
    await connectWallet(page);
    await ask(page, { pay: "ETH", margin: "1", leverage: "2" });
    const send = page.getByRole("button", { name: "Open long at 2.00×" });

    wallet.answer = "reject";
    await send.click();
    const steps = page.getByRole("list", { name: "Steps" });
    await steps.getByText("declined in the wallet; nothing was sent").waitFor();
    wallet.answer = "approve";
    await page.getByRole("button", { name: "Leave it" }).click();

    const pend = async (): Promise<string> => {
      const known = wallet.sent.length;
      await send.click();
      await steps.getByText(/sent \(0x.*\), waiting for a block/).waitFor();
      expect(wallet.sent.length).to.equal(known + 1);
      return wallet.sent.at(-1)!;
    };
    await stage.provider.send("evm_setAutomine", [false]);
    try {
      await wallet.speedUp(await pend());
      await stage.mine();
      await steps.getByText(/confirmed in block \d+ as 0x.*, which replaced 0x/).waitFor();
      await page.getByRole("button", { name: "Go on" }).click();

      await wallet.cancel(await pend());
      await stage.mine();
      await steps.getByText(/not done: another transaction of yours \(0x.*\) took the place of 0x/).waitFor();
      await page.getByRole("button", { name: "Leave it" }).click();

      await stage.provider.send("hardhat_dropTransaction", [await pend()]);
      await steps.getByText(/it was dropped, or will come back/).waitFor();
      await page.getByRole("button", { name: "Leave it" }).click();
    } finally {
      await stage.provider.send("evm_setAutomine", [true]);
    }

    await wallet.switchTo(1);
    await page.getByText(/Switch it to the local chain to go on/).waitFor();
    expect(await send.isDisabled()).to.equal(true);
  });
});
