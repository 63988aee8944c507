import { expect } from "chai";
import {
  type Contracts,
  type MarketReading,
  connect,
  openMarkets,
  quoteLending,
  readLender,
  yieldOf,
} from "@breakwater/sdk/chain";
import { YEAR, formatAmount, formatPercent } from "@breakwater/sdk/core";
import type { Page } from "playwright-core";

import { type Stage, connectWallet, e2e, expectAccessible, expectPresentable, openStage } from "./stage.ts";

const USDC = 10n ** 6n;

e2e("Lend", function () {
  this.timeout(240_000);
  let stage: Stage;
  let contracts: Contracts;
  let read: Awaited<ReturnType<typeof openMarkets>>;

  before(async () => {
    stage = await openStage({ positions: 45 });
    contracts = connect(stage.local.addresses, stage.provider);
    read = await openMarkets(contracts, stage.provider);
  });
  after(async () => stage.close());

  const market = async (): Promise<MarketReading> => (await read("latest"))[0]!;
  /** As the page writes it. */
  const text = (figure: string) => figure.replace(" ", "\u00a0").replace("-", "−");
  const row = (page: Page, name: string) =>
    page.getByRole("table", { name: /changes/ }).getByRole("row", { name: new RegExp(`^${name}`) });
  const done = async (page: Page, words: string) => {
    await page.getByText(words).waitFor();
    const states = await page.getByRole("list", { name: "Steps" }).locator("[data-state]").all();
    return Promise.all(states.map(async (state) => state.getAttribute("data-state")));
  };

  it("shows a lender's account without a wallet, where the yield comes from, the past, and what was lost", async () => {
    await stage.mine(7 * 86_400);
    // A week without a price: the feeds say it again.
    await stage.local.setPrice("USDC/USD", "1");
    await stage.local.setPrice("BTC/USD", "40000");
    await stage.setPrice("ETH/USD", "2000");
    const lender = stage.local.signers.others[0]!.address;
    const page = await stage.visit(`lend?address=${lender}`);
    await page.getByRole("heading", { name: "This account’s deposit" }).waitFor();
    await page.getByRole("img", { name: /^Gain of a million shares/ }).waitFor();
    await page.getByText("None: nobody has been liquidated here so far.").waitFor();
    expect(await page.getByRole("textbox").count(), "nothing to send for somebody else").to.equal(0);
    const { interest, fee, lend } = yieldOf(await market());
    const said = await page.getByRole("region", { name: "Where the yield comes from" }).innerText();
    for (const rate of [interest, lend]) expect(said).to.contain(text(formatPercent(rate * YEAR, 3)));
    expect(said).to.contain(text(formatPercent(-fee * YEAR, 3)));
    await expectPresentable(page, "lend");
  });

  it("deposits and withdraws all, and says before what it does to the unit of the SDK", async () => {
    const wallet = stage.wallet();
    const page = await stage.visit("lend", { wallet });
    await connectWallet(page);
    await page.getByText("Write how much USDC to deposit.").waitFor();
    await page.getByRole("textbox", { name: "Amount to deposit" }).fill("40,000");
    await row(page, "Your deposit").waitFor();
    const reading = await market();
    const quote = await quoteLending(contracts, {
      market: reading,
      owner: wallet.account,
      kind: "deposit",
      amount: 40_000n * USDC,
    });
    expect(await row(page, "In your wallet").innerText()).to.contain(formatAmount(quote.after.balance, 6, 2));
    expect(await row(page, "Lenders get").innerText()).to.contain(
      text(formatPercent(quote.after.lendRate * YEAR, 3)),
    );
    await expectPresentable(page, "lend-deposit");
    await page.getByRole("button", { name: /^Deposit 40,000/ }).click();
    expect(await done(page, "Deposited. Your shares earn from this block on.")).to.deep.equal([
      "confirmed",
      "confirmed",
    ]);
    await expectAccessible(page);
    const { worth } = await readLender(contracts, await market(), wallet.account);
    expect(worth).to.be.within(40_000n * USDC - 2n, 40_000n * USDC + 2n);

    await stage.mine(600);
    await page.getByText("Withdraw", { exact: true }).click();
    await page.getByRole("button", { name: /^All:/ }).click();
    await page.getByText("All of it, with the interest until it is sent: nothing stays behind.").waitFor();
    // Interest comes while one looks at it.
    await stage.mine(600);
    await page.getByRole("button", { name: /^Withdraw 40,000/ }).click();
    await done(page, "Withdrawn. It is in your wallet.");
    const left = await readLender(contracts, await market(), wallet.account);
    expect(left).to.include({ shares: 0n, worth: 0n });
    expect(left.balance, "with interest").to.be.at.least(100_000n * USDC);
  });

  it("sends approval and deposit as one where the wallet can, by keyboard alone", async () => {
    const wallet = stage.wallet();
    wallet.sendsTogether = true;
    const page = await stage.visit("lend?market=usdc-weth", { wallet });
    await connectWallet(page);
    const field = page.getByRole("textbox", { name: "Amount to deposit" });
    await field.focus();
    await page.keyboard.type("2.5");
    const button = page.getByRole("button", { name: /^Deposit 2\.5/ });
    await button.waitFor();
    for (let presses = 0; presses < 10; presses++) {
      await page.keyboard.press("Tab");
      if ((await page.locator(":focus").innerText()).startsWith("Deposit 2.5")) break;
    }
    await page.keyboard.press("Enter");
    expect(await done(page, "Deposited. Your shares earn from this block on.")).to.deep.equal(["confirmed"]);
    expect(wallet.asked).to.include("wallet_sendCalls").and.not.include("eth_sendTransaction");
  });

  it("refuses what is not there, and says what is", async () => {
    const page = await stage.visit("lend", { wallet: stage.wallet() });
    await connectWallet(page);
    await page.getByText(/In your wallet: [1-9]/).waitFor();
    const field = page.getByRole("textbox", { name: "Amount to deposit" });
    await field.fill("900000");
    await page
      .getByText(/^That is more than/)
      .first()
      .waitFor();
    await field.fill("1,5");
    await page.getByText("Write decimals with a point: 1.5").first().waitFor();
    expect(await page.getByRole("button", { name: /^Deposit/ }).count()).to.equal(0);
  });

  it("offers a lender what is there, and says that the rest is lent out", async () => {
    const lender = stage.local.signers.others[0]!.address;
    const page = await stage.visit("lend", { wallet: stage.wallet(lender) });
    await connectWallet(page);
    await page.getByText("Withdraw", { exact: true }).click();
    await page.getByText("Not all of it is there now").waitFor();
    await page.getByRole("button", { name: /^All:/ }).click();
    const { maxWithdraw, worth } = await readLender(contracts, await market(), lender);
    expect(maxWithdraw).to.be.below(worth);
    await page.getByRole("button", { name: `Withdraw ${formatAmount(maxWithdraw, 6, 2)}` }).waitFor();
    expect(await page.getByText("nothing stays behind").count()).to.equal(0);
  });

  it("says that lenders wait, why, and when it is over", async () => {
    const page = await stage.visit("lend", { wallet: stage.wallet() });
    await connectWallet(page);
    await page.getByRole("textbox", { name: "Amount to deposit" }).fill("10");
    await page.getByRole("button", { name: /^Deposit 10/ }).waitFor();
    // The pool's mean does not follow at once: somebody may be insolvent at one source's price only.
    await stage.local.setPrice("ETH/USD", "1300");
    await page.getByText("Nobody can deposit or withdraw now").waitFor();
    await page.getByText("Lenders wait until every loss is known: the price is diverged.").waitFor();
    await page.getByText("Lenders have to wait now: the reason stands above.").waitFor();
    await stage.setPrice("ETH/USD", "2000");
    await page.getByRole("button", { name: /^Deposit 10/ }).waitFor();
    expect(await page.getByText("Nobody can deposit or withdraw now").count()).to.equal(0);
  });
});
