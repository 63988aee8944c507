// A local chain with the demonstration's markets, the built page, and a browser: what every test here stands on.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect } from "chai";
import { JsonRpcProvider } from "ethers";
import { network } from "hardhat";
import type { Browser, Page } from "playwright-core";

import { type Local, deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { random } from "../../scripts/drill/book.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";
import { type Drill, type WebServer, buildWeb, serveWeb } from "../../scripts/start/web.ts";
import { TestWallet } from "./wallet.ts";

/** `npm run test:e2e` runs these; npm test leaves them out. */
export function e2e(title: string, suite: (this: Mocha.Suite) => void): void {
  // Asked for anew: a worker of Mocha's has another `describe` for each file.
  (process.env["E2E"] ? describe : describe.skip)(title, suite);
}

const HOST = "127.0.0.1";
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const SCREENS = fileURLToPath(new URL("../../docs/screens", import.meta.url));
const WIDTHS = [1280, 390];
const THEMES = ["light", "dark"] as const;

export interface Visit {
  wallet?: TestWallet;
  theme?: (typeof THEMES)[number];
  width?: number;
}

export interface Stage {
  local: Local;
  provider: JsonRpcProvider;
  rpcUrl: string;
  url: string;
  /** A wallet for one of Hardhat's accounts; `free` ones have no part in the deployment (the first has USDC and WETH). */
  wallet: (account?: string) => TestWallet;
  /** Opens the page at `#/path`; whatever it logs as an error fails the test at `close`. */
  visit: (path: string, visit?: Visit) => Promise<Page>;
  /** Moves a price, in USD, and the pool after it; ten minutes, which the oracles look back over, pass unless said otherwise. */
  setPrice: (pair: string, price: string, seconds?: number) => Promise<void>;
  mine: (seconds?: number) => Promise<void>;
  /** Ends the node, and nothing else. */
  stopNode: () => Promise<void>;
  close: () => Promise<void>;
}

export interface StageOptions {
  positions?: number;
  seed?: number;
  drill?: (local: Local) => Drill;
  /** Serves no addresses.json. */
  isEmpty?: boolean;
  /** The address of an index of this deployment, once it has all that there is. */
  index?: (local: Local, rpcUrl: string) => Promise<string>;
}

export async function openStage({
  positions = 45,
  seed = 1,
  drill,
  isEmpty = false,
  index,
}: StageOptions = {}): Promise<Stage> {
  const server = await network.createServer("default", HOST, 0);
  const { port } = await server.listen();
  const rpcUrl = `http://${HOST}:${port}`;
  const connection = await network.create({ network: "localhost", override: { url: rpcUrl } });
  const provider = new JsonRpcProvider(rpcUrl, undefined, { batchMaxCount: 1, cacheTimeout: -1 });
  const local = await deployLocal(connection, { stateId: `chain-31337-${port}` });
  const [lender, trader, , visitor, ...owners] = local.signers.others;
  await fundLenders(local, lender!);
  await openPositions(local, planOpenings(local, owners, positions, { from: 1.2, to: 5 }, random(seed)));
  for (const [symbol, amount] of [
    ["USDC", 100_000n * 10n ** 6n],
    ["WETH", 100n * 10n ** 18n],
  ] as const) {
    await (await local.tokens[symbol]!.mint(visitor!, amount)).wait();
  }

  const arbitrageur = await openArbitrageur(local, trader!);

  await buildWeb();
  const web: WebServer = await serveWeb({
    port: 0,
    rpcUrl,
    deployment: isEmpty ? undefined : local.addresses,
    ...(drill && { drill: drill(local) }),
    ...(index && { index: await index(local, rpcUrl) }),
  });
  const browser = await openBrowser();
  const troubles: string[] = [];
  let isUp = true;

  const stage: Stage = {
    local,
    provider,
    rpcUrl,
    url: web.url,
    wallet: (account = visitor!.address) => new TestWallet(account, provider),
    async visit(path, { wallet, theme = "light", width = 1280 } = {}) {
      const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: theme,
        reducedMotion: "reduce",
        locale: "en-GB",
        timezoneId: "UTC",
      });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      page.on("pageerror", (error) => troubles.push(error.message));
      page.on("console", (message) => {
        // A node that is down is the test's doing.
        if (message.type() === "error" && !/Failed to load resource/.test(message.text()))
          troubles.push(message.text());
      });
      await wallet?.inject(page);
      await page.goto(`${web.url}/#/${path}`);
      return page;
    },
    async setPrice(pair, price, seconds = 600) {
      await local.setPrice(pair, price);
      await arbitrageur.trade();
      await stage.mine(seconds);
    },
    async mine(seconds = 0) {
      if (seconds > 0) await provider.send("evm_increaseTime", [seconds]);
      await provider.send("evm_mine", []);
    },
    async stopNode() {
      isUp = false;
      provider.destroy();
      await connection.close();
      await server.close();
    },
    async close() {
      await browser.close();
      await web.close();
      if (isUp) await stage.stopNode();
      expect(troubles, "what the page said went wrong").to.deep.equal([]);
    },
  };
  return stage;
}

async function openBrowser(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(
      `there is no Chromium at ${CHROMIUM}: install Debian's (apt-get install chromium), or say in CHROMIUM where one is`,
    );
  }
  const { chromium } = await import("playwright-core");
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
}

/** Connects the page to its wallet, as its owner does. */
export async function connectWallet(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Connect wallet" }).click();
  await page.getByRole("button", { name: "Test wallet" }).click();
  await page.getByRole("button", { name: /^0x/ }).waitFor();
}

/** No finding of axe's that it calls serious or critical. */
export async function expectAccessible(page: Page): Promise<void> {
  const { default: axe } = await import("axe-core");
  await page.evaluate(axe.source);
  interface Finding {
    id: string;
    impact: string;
    nodes: { html: string; failureSummary: string }[];
  }
  const { violations } = await page.evaluate<{ violations: Finding[] }>("axe.run()");
  const found = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} (${failureSummary})`).join("; ")}`,
    );
  expect(found, "axe's findings").to.deep.equal([]);
}

/** In both themes and at both widths: nothing wider than the screen, accessible and, if asked for, a picture for the README. */
export async function expectPresentable(page: Page, name: string): Promise<void> {
  for (const width of WIDTHS) {
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(300);
      const wide = await page.evaluate<number>("document.documentElement.scrollWidth");
      expect(wide, `width of ${name} at ${width}`).to.be.at.most(width);
      await expectAccessible(page);
      if (process.env["SCREENS"]) {
        mkdirSync(SCREENS, { recursive: true });
        await page.screenshot({ path: join(SCREENS, `${name}-${theme}-${width}.png`), fullPage: true });
      }
    }
  }
}
