import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";
import { JsonRpcSigner } from "ethers";
import type { Page } from "playwright-core";

import { writeAddresses } from "../../deploy/deploy.ts";
import { run } from "../../scripts/desk/commands.ts";
import { ownerOf } from "../../scripts/desk/keys.ts";
import {
  checkAgainstChain,
  type Desk,
  executionOf,
  type ExerciseReport,
  hashesOf,
  openDesk,
  type OwnerSignature,
  type Proposal,
  propose,
  sign,
  toJson,
} from "../../sdk/src/desk.ts";
import { type Stage, connectWallet, e2e, expectPresentable, openStage } from "./stage.ts";

e2e("the Emergency screen", function () {
  this.timeout(240_000);
  let stage: Stage;
  let desk: Desk;
  let directory: string;

  before(async () => {
    stage = await openStage({ positions: 12 });
    desk = await openDesk(stage.local.addresses, stage.provider);
    directory = await mkdtemp(join(tmpdir(), "breakwater-emergency-"));
  });
  after(async () => {
    await rm(directory, { recursive: true, force: true });
    await stage.close();
  });

  const pauser = (at: number) => stage.local.signers.pausers[at]!.address;
  const governor = (at: number) => stage.local.signers.governors[at]!.address;

  /** The screen as one of the owners sees it. */
  async function open(account: string): Promise<{ page: Page; wallet: ReturnType<Stage["wallet"]> }> {
    const wallet = stage.wallet(account);
    const page = await stage.visit("emergency", { wallet });
    page.setDefaultTimeout(60_000); // of chain time that passes, a page learns with the next block
    await connectWallet(page);
    await page.getByRole("article").first().waitFor();
    return { page, wallet };
  }
  const market = (page: Page, name: string) => page.getByRole("article", { name });
  const fileInput = (page: Page) => page.locator("input[type=file]");

  /** Downloads what a button gives, into `directory` under the name that the page gave it. */
  async function download(page: Page, name: string | RegExp): Promise<string> {
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name }).click(),
    ]);
    const path = join(directory, file.suggestedFilename());
    await file.saveAs(path);
    return path;
  }
  async function paste(page: Page, text: string): Promise<void> {
    await page.getByLabel("Or the text that you were sent").fill(text);
    await page.getByRole("button", { name: "Open", exact: true }).click();
  }
  async function signAs(account: string, proposal: Proposal): Promise<OwnerSignature> {
    const owner = await ownerOf(new JsonRpcSigner(stage.provider, account));
    return sign(proposal, owner, await checkAgainstChain(desk, proposal));
  }
  const pause = async (market: string, more: Record<string, string> = {}) =>
    propose(desk, "pause-liquidations", { market, for: "1h", reason: "test", ...more });

  it("pauses a market with two signers, each at a page of their own; it lapses into grace, then is open", async () => {
    const { page: first } = await open(pauser(0));
    const weth = market(first, "Long WETH");
    await weth.getByText("Nothing is paused").waitFor();
    await weth.getByRole("button", { name: /Pause liquidations/ }).click();
    await first.getByLabel("For", { exact: true }).fill("2h");
    await first.getByLabel("Reason").fill("wrong-price");
    await first.getByRole("button", { name: "Write the proposal" }).click();

    await first.getByText("Pause liquidations of weth-usdc for 2h (reason: wrong-price)").waitFor();
    await first.getByText(/spends 3h \(grace included\) of the 12h/).waitFor();
    await first.getByText("keepers can liquidate nothing at the price as it is").waitFor();
    const proposalFile = await download(first, "Download the proposal");
    const { hashes, transaction, safe } = JSON.parse(await readFile(proposalFile, "utf8")) as Proposal;
    expect(hashes).to.deep.equal(hashesOf(31_337, safe, transaction));
    for (const hash of [hashes.domain, hashes.message, hashes.safeTransaction]) {
      await first.getByText(hash).waitFor();
    }
    await expectPresentable(first, "emergency-proposal");
    await first.getByRole("button", { name: "Sign it" }).click();
    await first.getByText("Signatures: 1 of 2").waitFor();
    expect(await first.getByRole("button", { name: "Execute it" }).isDisabled()).to.equal(true);
    const signatureFile = await download(first, /^Download the signature of/);

    const { page: second, wallet } = await open(pauser(2));
    await fileInput(second).setInputFiles([proposalFile, signatureFile]);
    await second.getByText("Signatures: 1 of 2").waitFor();
    await second.getByRole("button", { name: "Sign it" }).click();
    await second.getByText("Signatures: 2 of 2").waitFor();
    expect(wallet.asked).to.include("eth_signTypedData_v4");
    await second.reload(); // nothing is lost
    await second.getByText("Signatures: 2 of 2").waitFor();
    await second.getByRole("button", { name: "Execute it" }).click();
    await second.getByText(/Liquidations paused: weth-usdc until /).waitFor();

    for (const page of [first, second]) {
      await market(page, "Long WETH").locator("[data-level=LiquidationsPaused]").waitFor();
      await market(page, "Short WETH").getByText("Nothing is paused").waitFor();
    }
    await market(first, "Long WETH")
      .getByText(/^Lapses in/)
      .waitFor();
    await first.getByText(/Wrong nonce: the proposal has 0, the Safe is at 1 \(used already\)/).waitFor();
    expect(await first.getByRole("button", { name: "Sign it" }).count()).to.equal(0);
    await second.getByRole("button", { name: "Done: put it away" }).click();
    await expectPresentable(second, "emergency-paused");

    await stage.mine(7_200);
    await market(second, "Long WETH").locator("[data-level=Grace]").waitFor();
    await market(second, "Long WETH")
      .getByText(/^Grace ends in/)
      .waitFor();
    await stage.mine(3_600);
    await market(second, "Long WETH").getByText("Nothing is paused").waitFor();
  });

  it("passes on what the command line takes, and takes what the command line writes", async () => {
    const addresses = writeAddresses(stage.local.addresses, directory);
    const desk = async (...args: string[]) => {
      let text = "";
      const say = (line: string) => void (text += `${line}\n`);
      const at = args[0] === "verify" ? [] : ["--rpc", stage.rpcUrl];
      const code = await run([...args, ...at, "--addresses", addresses], { out: say, err: say });
      expect(code, text).to.equal(0);
      return text;
    };
    const file = join(directory, "from-desk.json");
    const what = ["--market", "wbtc-usdc", "--for", "1h", "--reason", "both", "--file", file];
    await desk("propose", "pause-liquidations", ...what);
    await desk("sign", file, "--account", pauser(0));

    const { page } = await open(pauser(1));
    await fileInput(page).setInputFiles([file, file.replace(".json", `.${pauser(0)}.sig.json`)]);
    await page.getByText("Signatures: 1 of 2").waitFor();
    await page.getByRole("button", { name: "Sign it" }).click();
    await page.getByText("Signatures: 2 of 2").waitFor();

    const mine = await download(page, "Download the proposal");
    for (const at of [0, 1]) {
      await download(page, new RegExp(`^Download the signature of ${pauser(at).slice(0, 6)}`));
    }
    const seen = await desk("verify", mine);
    expect(seen).to.contain(pauser(0)).and.to.contain(pauser(1));
    expect(await desk("execute", mine, "--account", governor(0))).to.match(/liquidations paused: wbtc-usdc/);
    await market(page, "Long WBTC").locator("[data-level=LiquidationsPaused]").waitFor();
  });

  it("refuses what is not what it says: other words, bytes, a wrong Safe, an extra call, a wrong signature", async () => {
    const { page } = await open(pauser(0));
    const good = await pause("weth-usdc");
    const { addresses } = desk;
    const { governor: wrongSafe } = addresses.safes;
    const { manager } = stage.local.contracts;
    const extra = {
      to: await manager.getAddress(),
      data: manager.interface.encodeFunctionData("grantRole", [1n, governor(0), 0]),
      nonce: good.transaction.nonce,
    };
    const rehashed = (of: Partial<Proposal>) => {
      const whole = { ...good, ...of };
      return { ...whole, hashes: hashesOf(31_337, whole.safe, whole.transaction) };
    };
    const longer = good.transaction.data.replace(
      (3_600).toString(16).padStart(64, "0"),
      (14_400).toString(16).padStart(64, "0"),
    );
    const cases: [unknown, RegExp][] = [
      [{ ...good, intent: ["pause new risk of weth-usdc for 1h"] }, /Changed intent: the calldata means/],
      [{ ...good, transaction: { ...good.transaction, data: longer } }, /Changed bytes: the message hash is/],
      [rehashed({ safe: wrongSafe }), /Wrong Safe: pause-liquidations is for/],
      [rehashed({ transaction: extra }), /Not on the menu: AccessManager\.grantRole/],
      [rehashed({ transaction: { ...good.transaction, data: `${good.transaction.data}00` } }), /plain form/],
      [
        { ...good, transaction: { ...good.transaction, operation: 1 } },
        /transaction\.operation must be absent/,
      ],
      [{ ...good, chainId: 1 }, /Wrong chain: the proposal is for chain 1/],
    ];
    for (const [json, words] of cases) {
      await paste(page, toJson(json));
      await page.getByRole("alert").getByText(words).waitFor();
      expect(await page.getByRole("heading", { name: /^Proposal:/ }).count()).to.equal(0);
    }
    await paste(page, "hello");
    await page.getByText(/it is not JSON/).waitFor();

    await paste(page, toJson(good));
    await page.getByText("Signatures: 0 of 2").waitFor();
    const signature = await signAs(pauser(1), good);
    const elsewhere = await signAs(pauser(1), await pause("weth-usdc", { for: "2h" }));
    const wrong: [OwnerSignature, RegExp][] = [
      [elsewhere, /signs another transaction/],
      [{ ...signature, signer: pauser(2) }, /is no signature of 0x/],
      [{ ...signature, expiresAt: signature.expiresAt + 60 }, /Changed expiry/],
    ];
    for (const [json, words] of wrong) {
      await paste(page, toJson(json));
      await page.getByRole("alert").getByText(words).waitFor();
    }
    await page.getByText("Signatures: 0 of 2").waitFor();
    await expectPresentable(page, "emergency-refused");
    await paste(page, toJson(signature));
    await page.getByText("Signatures: 1 of 2").waitFor();
  });

  it("signs nothing for a stranger, on another network, against its owner's will, or when it is too late", async () => {
    const proposal = await pause("weth-usdc", { expires: "30m" });
    const { page: stranger } = await open(stage.local.signers.others[5]!.address);
    await paste(stranger, toJson(proposal));
    await stranger.getByText("not among the owners of this Safe").waitFor();
    expect(await stranger.getByRole("button", { name: "Sign it" }).isDisabled()).to.equal(true);

    const { page, wallet } = await open(pauser(0));
    await paste(page, toJson(proposal));
    wallet.answer = "reject";
    await page.getByRole("button", { name: "Sign it" }).click();
    await page.getByText("declined in the wallet; nothing was sent").waitFor();
    await wallet.switchTo(1);
    await page
      .getByText(/^Your wallet is on Ethereum\. Switch it/)
      .first()
      .waitFor();
    expect(await page.getByRole("button", { name: "Sign it" }).isDisabled()).to.equal(true);
    await stage.mine(1_801);
    await page.getByText(/Expired: this proposal ended at/).waitFor();
    expect(await page.getByRole("button", { name: "Sign it" }).count()).to.equal(0);
  });

  it("shows what the governor has scheduled, and the pauser cancels it", async () => {
    const proposal = await propose(desk, "set-reserve-factor", { market: "weth-usdc", percent: "12" });
    const signatures = await Promise.all([0, 1, 2].map(async (at) => signAs(governor(at), proposal)));
    const [sender] = stage.local.signers.others;
    const terms = { sender: sender!.address, acceptCost: false };
    const { to, data } = await executionOf(desk, proposal, signatures, terms);
    await (await sender!.sendTransaction({ to, data })).wait();

    const { page } = await open(pauser(0));
    const scheduled = page.getByRole("region", { name: "Scheduled by the governor" });
    await scheduled.getByText("Set the reserve factor of weth-usdc to 12 %").waitFor();
    await scheduled.getByText(/Can be executed in/).waitFor();
    await scheduled.getByRole("button", { name: "Propose to cancel it" }).click();
    await page.getByText("CANCEL what the governor Safe has scheduled:").waitFor();
    const cancel = JSON.parse(
      await readFile(await download(page, "Download the proposal"), "utf8"),
    ) as Proposal;
    await page.getByRole("button", { name: "Sign it" }).click();
    await page.getByText("Signatures: 1 of 2").waitFor();
    await paste(page, toJson(await signAs(pauser(1), cancel)));
    await page.getByText("Signatures: 2 of 2").waitFor();
    await page.getByRole("button", { name: "Execute it" }).click();
    await page.getByText(/Cancelled 0x/).waitFor();
    await scheduled.getByText("Nothing is scheduled").waitFor();
  });

  it("asks before it executes what has become dearer", async () => {
    const proposal = await pause("usdc-weth");
    const { page } = await open(pauser(0));
    const cheap = await signAs(pauser(1), proposal);
    const figures = cheap.cost.map(({ name }) => ({ name, value: 0n }));
    await paste(page, [proposal, { ...cheap, cost: figures }].map(toJson).join("\n"));
    await page.getByRole("button", { name: "Sign it" }).click();
    await page.getByText("Signatures: 2 of 2").waitFor();
    await page.getByText("It costs more than when it was signed").waitFor();
    const execute = page.getByRole("button", { name: "Execute it" });
    expect(await execute.isDisabled()).to.equal(true);
    await page.getByLabel(/I accept it/).check();
    expect(await execute.isDisabled()).to.equal(false);
  });

  it("times an exercise from the alert until the market is normal again", async () => {
    const { page } = await open(pauser(0));
    await page.getByLabel("Exercise").check();
    const exercise = page.getByRole("region", { name: "Exercise" });
    await exercise.getByLabel("Market").selectOption("usdc-weth");
    await exercise.getByRole("button", { name: "Alert: start the clock" }).click();
    const steps = exercise.getByRole("list", { name: "Steps of the exercise" });
    await steps.getByText("proposal").waitFor();
    const proposal = JSON.parse(
      await readFile(await download(page, "Download the proposal"), "utf8"),
    ) as Proposal;
    await page.getByRole("button", { name: "Sign it" }).click();
    await steps.getByText("signature 1").waitFor();
    await paste(page, toJson(await signAs(pauser(1), proposal)));
    await steps.getByText("signature 2").waitFor();
    await page.getByRole("button", { name: "Execute it" }).click();
    await steps.getByText("paused", { exact: true }).waitFor();
    await stage.mine(1_800);
    await steps.getByText("lapse into grace").waitFor();
    await expectPresentable(page, "emergency-exercise");
    await stage.mine(1_800);
    await exercise.getByText(/^From alert to paused: \d+\.\d s, signed by people$/).waitFor();
    await exercise.getByText("No other market was touched.").waitFor();
    const report = JSON.parse(
      await readFile(await download(page, "Download the report"), "utf8"),
    ) as ExerciseReport;
    expect([report.pausedSeconds, report.graceSeconds]).to.deep.equal([1_800, 1_800]);
    expect(report.steps.map(({ step }) => step)).to.deep.equal([
      "alert",
      "proposal",
      "signature 1",
      "signature 2",
      "paused",
      "lapse into grace",
      "normal",
    ]);
  });

  it("is presentable", async () => {
    const page = await stage.visit("emergency");
    await page.getByRole("article").first().waitFor();
    await expectPresentable(page, "emergency");
  });
});
