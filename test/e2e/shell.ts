import { expect } from "chai";

import { type Stage, connectWallet, e2e, expectPresentable, openStage } from "./stage.ts";

e2e("the shell", function () {
  this.timeout(180_000);
  let stage: Stage;

  before(async () => {
    stage = await openStage({ positions: 9 });
  });
  after(async () => stage.close());

  it("says what it is, whichever way one arrives", async () => {
    const page = await stage.visit("");
    await page.getByRole("heading", { level: 1, name: "Markets" }).waitFor();
    expect(await page.title()).to.equal("Markets – Breakwater");
    await page.goto(`${stage.url}/#/nowhere`);
    await page.getByText("There is no such page").waitFor();
    await page.getByRole("link", { name: "To the markets" }).click();
    await page.getByRole("heading", { level: 1, name: "Markets" }).waitFor();
  });

  it("is served with a policy that allows no inline code and no other origin", async () => {
    const { headers } = await fetch(stage.url);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy)
      .to.match(/default-src 'none'/)
      .and.not.match(/unsafe|\*/);
    expect(policy).to.contain(`connect-src 'self' ${stage.rpcUrl};`);
    const html = await (await fetch(stage.url)).text();
    expect(html).not.to.match(/<style|style=|<script(?![^>]*src=)/);
  });

  it("loads less than 300 kB before it shows the markets", async () => {
    const page = await stage.visit("markets");
    await page.getByRole("img", { name: /Liquidation ladder/ }).waitFor();
    const sizes = await page.evaluate<number[]>(
      `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => name.startsWith(${JSON.stringify(stage.url)})).map(({ encodedBodySize }) => encodedBodySize)`,
    );
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(bytes).to.be.within(100_000, 300_000);
  });

  it("answers nobody who calls it by another name, and no other site", async () => {
    const foreign = await fetch(`${stage.url}/drill`, {
      method: "POST",
      headers: { origin: "https://elsewhere.example", "content-type": "application/json" },
      body: JSON.stringify({ fall: 30, minutes: 60 }),
    });
    expect(foreign.status).to.equal(404); // this stage has no drill; with one it is 403
    const { request } = await import("node:http");
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request(stage.url, { headers: { host: "rebound.example" } }, (response) => resolve(response.statusCode))
        .on("error", reject)
        .end();
    });
    expect(status).to.equal(403);
    expect((await fetch(`${stage.url}/..%2f..%2fpackage.json`)).status).to.equal(404);
  });

  it("connects a wallet, and takes it up again after a reload", async () => {
    const page = await stage.visit("markets", { wallet: stage.wallet() });
    await connectWallet(page);
    await page.reload();
    await page.getByRole("button", { name: /^0x/ }).click();
    await page.getByRole("button", { name: "Disconnect" }).click();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Connect wallet" }).waitFor();
  });

  it("says that its owner declined", async () => {
    const wallet = stage.wallet();
    wallet.answer = "reject";
    const page = await stage.visit("markets", { wallet });
    await page.getByRole("button", { name: "Connect wallet" }).click();
    await page.getByRole("button", { name: "Test wallet" }).click();
    await page.getByRole("button", { name: "Connect wallet" }).click();
    await page.getByText("You declined in Test wallet. Nothing was connected.").waitFor();
  });

  it("without a wallet says how to get one, and looks at any account", async () => {
    const page = await stage.visit("markets");
    await page.getByRole("button", { name: "Connect wallet" }).click();
    await page.getByText("No wallet found in this browser.").waitFor();
    const [account] = stage.local.signers.others;
    await page.getByPlaceholder("0x…").fill(account!.address);
    await page.getByRole("button", { name: "Look" }).click();
    expect(page.url()).to.equal(`${stage.url}/#/position?address=${account!.address}`);
  });

  it("offers to bring a wallet from another network", async () => {
    const wallet = stage.wallet();
    wallet.chainId = 1;
    const page = await stage.visit("markets", { wallet });
    await connectWallet(page);
    await page.getByText("Your wallet is on Ethereum").waitFor();
    await expectPresentable(page, "wrong-network");
    await page.getByRole("button", { name: "Switch to the local chain" }).click();
    await page.getByText("Your wallet is on Ethereum").waitFor({ state: "hidden" });
  });

  it("works by keyboard alone", async () => {
    const page = await stage.visit("markets", { wallet: stage.wallet() });
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).to.equal("Skip to content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).to.equal("main");
    const button = page.getByRole("button", { name: "Connect wallet" });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    expect(await page.evaluate("document.activeElement.textContent")).to.equal("Connect wallet");
  });

  it("changes its colours and keeps them", async () => {
    const page = await stage.visit("markets");
    const theme = async () => page.evaluate("document.documentElement.dataset.theme");
    await page.getByRole("button", { name: /Colours: Auto/ }).click();
    await page.getByRole("button", { name: /Colours: Light/ }).click();
    expect(await theme()).to.equal("dark");
    await page.reload();
    expect(await theme()).to.equal("dark");
  });

  it("goes on showing what it knows when the node falls silent", async () => {
    const page = await stage.visit("markets");
    await page.getByRole("heading", { level: 1 }).waitFor();
    const other = await stage.visit("markets");
    await other.route(`${stage.rpcUrl}/**`, async (route) => route.abort());
    await other.getByText("The node does not answer").waitFor();
    await expectPresentable(other, "node-silent");
    await other.unroute(`${stage.rpcUrl}/**`);
    await other.getByText("The node does not answer").waitFor({ state: "hidden" });
  });
});

e2e("the shell without a chain", function () {
  this.timeout(180_000);
  let stage: Stage;

  before(async () => {
    stage = await openStage({ positions: 0, isEmpty: true });
  });
  after(async () => stage.close());

  it("says that nothing is deployed", async () => {
    const page = await stage.visit("");
    await page.getByText("There is no Breakwater here yet").waitFor();
    await expectPresentable(page, "nothing-deployed");
  });

  it("says that the node does not answer, and goes on when it does", async () => {
    const page = await stage.visit("");
    await page.route("**/addresses.json", async (route) =>
      route.fulfill({ json: { ...stage.local.addresses, rpcUrl: stage.rpcUrl } }),
    );
    await page.route(`${stage.rpcUrl}/**`, async (route) => route.abort());
    await page.getByText("The node does not answer").waitFor();
    await page.unroute(`${stage.rpcUrl}/**`);
    await page.getByRole("heading", { level: 1, name: "Markets" }).waitFor();
  });
});
