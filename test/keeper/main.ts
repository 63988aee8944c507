import { randomBytes } from "node:crypto";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect } from "chai";
import { Wallet, encryptKeystoreJson } from "ethers";
import { network } from "hardhat";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal } from "../../deploy/local.ts";
import { KEYS } from "../../keeper/src/config.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";
import { until } from "../support/keeper.ts";
import { openWebhook } from "./operation/support.ts";

// The keeper's command line, as an operator types it, against a node behind JSON-RPC.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What the image holds. */
const BUNDLE = join(ROOT, "keeper/dist/keeper.mjs");
const WINDOW = 600;

describe("the keeper's command line", function () {
  this.timeout(60_000);

  async function open() {
    const server = await network.createServer("default", "127.0.0.1", 0);
    const { port } = await server.listen();
    const url = `http://127.0.0.1:${port}`;
    const connection = await network.create({ network: "localhost", override: { url } });
    const stateId = `chain-31337-${port}`;
    const local = await deployLocal(connection, { stateId });
    const directory = await mkdtemp(join(tmpdir(), "breakwater-"));
    const addresses = writeAddresses(local.addresses, directory);
    const [lender, trader, account, owner] = local.signers.others;
    await fundLenders(local, lender!);
    const market = local.markets["weth-usdc"]!;
    await openPositions(
      local,
      [3, 5].map((leverage, sub) => ({ market, owner: owner!, sub, equityUsd: 40_000, leverage })),
    );
    const arbitrageur = await openArbitrageur(local, trader!);
    const key = new Wallet(randomBytes(32).toString("hex"));
    const mine = async (seconds: number) => {
      await connection.provider.request({ method: "evm_increaseTime", params: [seconds] });
      await connection.provider.request({ method: "evm_mine" });
    };
    return {
      ...{ connection, local, directory, url, port, key, account: account!, owner: owner!, mine },
      env: {
        RPC_URL: url,
        ADDRESSES: addresses,
        METRICS_PORT: "0",
        STATE_DIR: join(directory, "state"),
        POLL_MS: "100",
      },
      path: (name: string) => join(directory, name),
      async setPrice(price: string) {
        await local.setPrice("ETH/USD", price);
        await arbitrageur.trade();
        await mine(WINDOW);
      },
      async close() {
        await connection.close();
        await server.close();
        await rm(directory, { recursive: true });
        await rm(join(ROOT, "deploy/deployments", stateId), { recursive: true, force: true });
      },
    };
  }
  let chain: Awaited<ReturnType<typeof open>>;
  before(async function () {
    this.timeout(120_000);
    await promisify(execFile)("npm", ["run", "--silent", "--workspace", "keeper", "bundle"], { cwd: ROOT });
    chain = await open();
  });
  after(async () => chain.close());

  const running = new Set<ChildProcess>();
  afterEach(() => {
    for (const child of running) child.kill("SIGKILL");
  });

  function keeper(args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", BUNDLE, ...args], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, ...chain.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
      child.once("close", (code) => {
        running.delete(child);
        resolve({ code, out, err });
      }),
    );
    return {
      ended,
      stop: async () => {
        child.kill("SIGTERM");
        return ended;
      },
      /** Resolves when the output matches, fails when the process ends before. */
      async seen(pattern: RegExp): Promise<RegExpExecArray> {
        for (;;) {
          const match = pattern.exec(out);
          if (match) return match;
          const over = await Promise.race([
            ended.then(() => true),
            new Promise<false>((resolve) => setTimeout(() => resolve(false), 50)),
          ]);
          if (over) throw new Error(`ended without ${pattern.source}:\n${out}${err}`);
        }
      },
    };
  }
  const unlocked = () => ({ ACCOUNT: chain.account.address });

  it("check: all is well, or each thing that is not, with exit code 1", async () => {
    const well = await keeper(["check"], unlocked()).ended;
    expect(well.code, well.out + well.err).to.equal(0);
    expect(well.out).to.match(/^ok {4}endpoint 127.0.0.1:\d+: chain 31337, head \d+, 0 seconds old$/m);
    expect(well.out).to.match(/^ok {4}bytecode: at each of \d\d addresses$/m);
    expect(well.out).to.match(
      /^ok {4}weth-usdc quotes: \d+ routes; 1 whole collateral token sells for 1,9\d\d\./m,
    );
    expect(well.out).to.match(/^\d\d looked, 0 wrong\n$/m);

    const addresses = JSON.parse(await readFile(chain.env.ADDRESSES, "utf8")) as {
      contracts: Record<string, string>;
      markets: { oracle: string }[];
    };
    addresses.markets[0]!.oracle = `0x${"12".repeat(20)}`;
    await writeFile(chain.path("wrong.json"), JSON.stringify(addresses));
    const ill = await keeper(["check", "--json"], {
      RPC_URL: `${chain.url},http://127.0.0.1:1/secret-of-provider`,
      ADDRESSES: chain.path("wrong.json"),
      PRIVATE_KEY: chain.key.privateKey,
    }).ended;
    expect(ill.code).to.equal(1);
    const findings = ill.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Finding);
    const wrong = findings.filter(({ ok }) => ok === false).map(({ what, words }) => `${what}: ${words}`);
    expect(wrong).to.have.lengthOf(3);
    expect(wrong[0]).to.match(/^endpoint 127.0.0.1:1: no endpoint answers/);
    expect(wrong[1]).to.equal("bytecode: there is none at weth-usdc oracle");
    expect(wrong[2]).to.match(/^balance: 0.0 is below MIN_BALANCE_ETH, 0.05$/);
    expect(ill.out + ill.err)
      .not.to.contain("secret-of-provider")
      .and.not.contain(chain.key.privateKey.slice(2));
  });

  it("explain and optimistic: read, in words or as JSON", async () => {
    const words = await keeper(["explain"]).ended;
    expect(words.out, words.err).to.match(/^weth-usdc: Fresh, .*\n {2}nearest tick -?\d+: 1 positions/m);
    const json = await keeper(["explain", "--json"]).ended;
    expect(JSON.parse(json.out)).to.have.property("markets").with.lengthOf(3);
    const could = await keeper(["optimistic"]).ended;
    expect(could.code, could.out + could.err).to.equal(0);
    expect(could.out).to.match(/^2 tried, 2 succeeded\n$/m);
  });

  it("fails closed: by key, and without its values", async () => {
    const unknown = await keeper(["--fast"]).ended;
    expect([unknown.code, unknown.err]).to.deep.equal([1, "error: unknown option '--fast'\n"]);
    const none = await keeper([]).ended;
    expect(none.code).to.equal(1);
    expect(none.err).to.match(/^configuration:\nPRIVATE_KEY: is missing/);
    const file = await keeper(["--config", chain.path("none.yaml")]).ended;
    expect(file.err).to.match(/^configuration:\n--config: ENOENT/);
    const block = await keeper(["replay", "--from", "x", "--to", "2"]).ended;
    expect(block.err).to.match(/'--from <block>' argument 'x' is invalid/);
    const other = await keeper(["run"], { ...unlocked(), ADDRESSES: await otherChain() }).ended;
    expect(other.code).to.equal(1);
    expect(other.err).to.match(/is chain 31337, not 5/);
    const help = await keeper(["--help"]).ended;
    expect(help.code).to.equal(0);
    for (const key of Object.keys(KEYS.shape)) expect(help.out).to.match(new RegExp(`^ {2}${key} `, "m"));

    async function otherChain() {
      const addresses = JSON.parse(await readFile(chain.env.ADDRESSES, "utf8")) as object;
      await writeFile(chain.path("5.json"), JSON.stringify({ ...addresses, chainId: 5 }));
      return chain.path("5.json");
    }
  });

  it("run: liquidates with an encrypted keystore, serves what it did, calls owners and whoever is on call", async () => {
    const { path, key, local } = chain;
    const hook = await openWebhook();
    await writeFile(
      path("key.json"),
      await encryptKeystoreJson(key, "password", { scrypt: { N: 2, r: 8, p: 1 } }),
    );
    await writeFile(path("password"), "password\n");
    const position = `owner: "${chain.owner.address}", sub: 1, webhook: "${hook.url}"`;
    await writeFile(path("calls.yaml"), `- { market: weth-usdc, ${position}, distances: [9, 8, 7] }\n`);
    const config = { KEYSTORE: "key.json", KEYSTORE_PASSWORD_FILE: "password", MARGIN_CALLS: "calls.yaml" };
    const lines = Object.entries(config).map(([name, file]) => `${name}: ${path(file)}\n`);
    await writeFile(path("keeper.yaml"), `${lines.join("")}WEBHOOK_URL: ${hook.url}\nMIN_BALANCE_ETH: 1\n`);
    await local.signers.others[5]!.sendTransaction({ to: key, value: 10n ** 18n / 2n });

    const run = keeper(["--config", path("keeper.yaml")]);
    const [, url = ""] = await run.seen(/metrics on (http:\/\/127.0.0.1:\d+)/);
    const get = async (what: string) => {
      const response = await fetch(`${url}/${what}`);
      return `${response.status} ${await response.text()}`;
    };
    await run.seen(/keeper started/);
    // The balance is half of what it should be.
    await until("it is ill", async () => (await get("health")).startsWith("503"));
    expect(await get("health")).to.match(/^503 .*the balance of 0.5 is below 1.0/);
    await until("it calls", () => hook.bodies.length >= 2);
    const told = hook.bodies.splice(0).map(({ severity, level, text }) => [severity ?? level, text]);
    expect(told).to.have.lengthOf(2);
    expect(told).to.deep.include(["page", "keeper, chain 31337: page: the balance of 0.5 is below 1.0"]);
    expect(told.find(([level]) => level === 3)?.[1]).to.match(/^weth-usdc: position 1 is liquidated when/);

    await local.signers.others[5]!.sendTransaction({ to: key, value: 10n ** 18n });
    await chain.setPrice("1840");
    await run.seen(/weth-usdc: done: liquidate 1 tick/);
    await until("it is well", async () => (await get("health")).startsWith("200"));
    const metrics = await get("metrics");
    expect(metrics).to.match(
      /^keeper_opportunities_taken_total\{market="weth-usdc",action="liquidate"\} 1$/m,
    );
    expect(metrics).to.match(/^keeper_profit_eth_total\{market="weth-usdc"\} 0\.\d+$/m);
    expect(metrics).to.match(/^keeper_deliveries_total\{what="margin call",result="delivered"\} \d$/m);

    const { code, out, err } = await run.stop();
    await hook.close();
    expect([code, err]).to.deep.equal([0, ""]);
    expect(out).to.match(/keeper stopped"\}\n$/);
    for (const line of out.trim().split("\n"))
      expect(JSON.parse(line)).to.include.keys("level", "time", "msg");
    expect(out).not.to.contain(key.privateKey.slice(2)).and.not.contain(hook.url);
  });

  it("replay: says what it did itself", async () => {
    const head = await chain.connection.ethers.provider.getBlockNumber();
    const { code, out, err } = await keeper(["replay", "--from", String(head - 10), "--to", String(head)])
      .ended;
    expect(code, err).to.equal(0);
    expect(out).to.match(new RegExp(`weth-usdc: in the next block ${chain.key.address} repaid`));
    expect(out).to.match(/^11 blocks, [1-9] opportunities, [1-9] taken\n$/m);
  });

  it("run: does not start beside another on its port, and a dry run sends nothing", async () => {
    const first = keeper(["--dry-run"]);
    const [, port = ""] = await first.seen(/metrics on http:\/\/127.0.0.1:(\d+)/);
    const second = await keeper(["--dry-run"], { METRICS_PORT: port }).ended;
    expect([second.code, second.err]).to.deep.equal([
      1,
      `configuration:\nMETRICS_PORT: cannot listen on 127.0.0.1:${port}: EADDRINUSE\n`,
    ]);
    await first.seen(/keeper started/);
    const head = await chain.connection.ethers.provider.getBlockNumber();
    await chain.setPrice("1700");
    const blocks = (await chain.connection.ethers.provider.getBlockNumber()) - head;
    await first.seen(/weth-usdc: would liquidate/);
    expect((await first.stop()).code).to.equal(0);
    expect((await chain.connection.ethers.provider.getBlockNumber()) - head).to.equal(blocks);
  });
});

interface Finding {
  what: string;
  ok: boolean | undefined;
  words: string;
}
