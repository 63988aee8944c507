import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect } from "chai";
import { config, network } from "hardhat";
import type { JsonRpcServer } from "hardhat/types/network";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal, type Local } from "../../deploy/local.ts";
import { readParameters } from "../../deploy/parameters.ts";
import { fundLenders } from "../../scripts/start/book.ts";
import { ETH, USDC } from "../support/market.ts";

const run = promisify(execFile);

interface Row {
  market: string;
  sub: string;
  figures: { collateral: string; debt: string; leverage: string };
}

(process.env.COMMANDS ? describe : describe.skip)("npm run trade", function () {
  this.timeout(180_000);
  let server: JsonRpcServer;
  let local: Local;
  let directory: string;
  let target: string[];
  const stateId = `test-trade-${process.pid}`;

  before(async () => {
    server = await network.createServer("default", "127.0.0.1");
    const { port } = await server.listen();
    const rpc = `http://127.0.0.1:${port}`;
    const connection = await network.create({ network: "localhost", override: { url: rpc } });
    // And a second market of the same tokens, to move to.
    const parameters = readParameters("local");
    const second = { ...parameters.markets[0]!, id: "weth-usdc-2", symbol: "bwUSDC-WETH-2" };
    local = await deployLocal(connection, {
      stateId,
      parameters: { ...parameters, markets: [...parameters.markets, second] },
    });
    await fundLenders(local, local.signers.others[0]!);
    await local.tokens["USDC"]!.mint(local.signers.others.at(-1)!, 100_000n * USDC);
    directory = await mkdtemp(join(tmpdir(), "breakwater-"));
    target = ["--rpc", rpc, "--addresses", writeAddresses(local.addresses, directory)];
  });

  after(async () => {
    await server.close();
    await rm(directory, { recursive: true });
    await rm(join(config.paths.ignition, "deployments", stateId), { recursive: true, force: true });
  });

  const trade = async (...args: string[]) => {
    const { stdout } = await run(
      process.execPath,
      ["--import", "tsx", "scripts/trade.ts", ...args, ...target],
      {
        env: { ...process.env, PRIVATE_KEY: "" },
      },
    );
    return stdout;
  };
  const refused = async (...args: string[]) =>
    trade(...args).then(
      (text) => expect.fail(text),
      (error: unknown) => (error as { stderr: string }).stderr,
    );
  const positions = async () => JSON.parse(await trade("positions", "--json")) as Row[];

  it("opens a long with ether, changes its leverage, flips it, lists and closes it", async () => {
    const long = await trade(
      "open",
      "--side",
      "long",
      "--leverage",
      "2",
      "--margin",
      "5",
      "--token",
      "ETH",
      "--yes",
    );
    expect(long).to.match(/^weth-usdc, sub-account 0 +before +after\n/);
    expect(long).to.match(/\nleverage +none +2\.0\d ×\n/);
    expect(long).to.match(/\nyou pay +5\.0 ETH\n/);
    expect(long).to.match(/\nliquidation in 30 days +1,1\d\d\.\d\d USDC per WETH\n/);
    expect(long).to.match(/\ntrade: 0x[0-9a-f]{64}, \d+ gas\n$/);
    expect(await trade("margin", "--side", "long", "--add", "1", "--token", "ETH", "--yes")).to.match(
      /\nleverage +2\.0\d × +1\.8\d ×\n[^]*\nyou pay +1\.0 ETH\n/,
    );
    await trade("margin", "--side", "long", "--take", "1", "--token", "ETH", "--yes");
    await trade("adjust", "--side", "long", "--leverage", "3", "--yes");
    expect(await trade("positions")).to.match(/weth-usdc +0 +14\.\d+ WETH +19,\d+\.\d+ USDC +3\.0\d ×/);
    await trade("flip", "--side", "long", "--leverage", "2", "--yes");
    const [short, ...others] = await positions();
    expect(others).to.deep.equal([]);
    expect(short).to.include({ market: "usdc-weth", sub: "0" });
    expect(BigInt(short!.figures.leverage)).to.be.within(2n * ETH, (21n * ETH) / 10n);
    const weth = async () => local.tokens["WETH"]!.balanceOf(local.signers.others.at(-1)!);
    const before = await weth();
    await trade("close", "--side", "short", "--token", "ETH", "--yes");
    expect(await positions()).to.deep.equal([]);
    expect(await weth()).to.equal(before); // it came as ether
  });

  it("opens a short with dollars, and closes it", async () => {
    const you = local.signers.others.at(-1)!;
    const before = await local.tokens["USDC"]!.balanceOf(you);
    await trade("open", "--side", "short", "--leverage", "2", "--margin", "10000", "--yes");
    await trade("close", "--side", "short", "--yes");
    const lost = before - (await local.tokens["USDC"]!.balanceOf(you));
    expect(lost).to.be.within(5n * USDC, 30n * USDC); // the pool's fee, twice, on about 10,000
  });

  it("leaves protection orders, lists them and takes them back", async () => {
    await trade("open", "--side", "long", "--leverage", "3", "--margin", "5", "--token", "ETH", "--yes");
    const stop = ["protect", "create", "--side", "long", "--kind", "stop-loss", "--at", "1800", "--tip", "5"];
    const text = await trade(...stop, "--yes");
    expect(text).to.match(/^weth-usdc, sub-account 0 +now +after\n/);
    expect(text).to.match(/\nwhen +down to 1,800\.00 USDC per WETH\n/);
    expect(text).to.match(/\nsells +14\.\d+ WETH\nfor at least +26,\d+\.\d+ USDC\n/);
    expect(text).to.match(/\ntip +5\.000000 USDC, up to 25\.000000 USDC\n/);
    expect(text).to.match(/let the orders act for you in weth-usdc: 0x[0-9a-f]{64}, \d+ gas\n/);
    expect(text).to.match(/leave the order: 0x[0-9a-f]{64}, \d+ gas\n$/);
    const topUp = await trade(
      ...["protect", "create", "--side", "long", "--kind", "top-up", "--at", "75", "--target", "65"],
      ...["--tip", "0.002", "--budget", "4", "--times", "3", "--yes"],
    );
    expect(topUp).to.match(/\nadds +2\.\d+ WETH\ntakes at most +4\.000000 WETH in all\n/);
    expect(topUp).to.match(/approve WETH for the orders: just what is needed/);
    const list = await trade("protect", "list");
    expect(list).to.match(
      /\n1 +weth-usdc +0 +stop-loss +down to 1,800\.00 USDC per WETH +nothing +1 .+ now a price of/,
    );
    expect(list).to.match(/\n2 +weth-usdc +0 +top-up +LTV from 75\.00 % +65\.00 % +3 .+ now an LTV of 6/);
    // Told before anything is sent.
    const beyond = ["--kind", "deleverage", "--at", "90", "--target", "80", "--tip", "1"];
    expect(await refused("protect", "create", "--side", "long", ...beyond, "--yes")).to.match(
      /^no such order: its LTV is below the liquidation threshold/,
    );
    await trade("protect", "cancel", "1", "--yes");
    const left = JSON.parse(await trade("protect", "list", "--json")) as { id: string; kind: string }[];
    expect(left.map(({ id, kind }) => [id, kind])).to.deep.equal([["2", "TopUp"]]);
  });

  it("sends nothing that nobody has agreed to", async () => {
    const open = ["open", "--side", "long", "--leverage", "2", "--margin", "1", "--token", "ETH"];
    const count = await local.ethers.provider.getTransactionCount(local.signers.others.at(-1)!);
    expect(await refused(...open)).to.equal("nobody is there to ask: add --yes to send it\n");
    const { quote, transactions } = JSON.parse(await trade(...open, "--json")) as {
      quote: { positions: unknown[]; value: string };
      transactions: { data: string }[];
    };
    expect(quote.value).to.equal(String(ETH));
    expect(transactions.at(-1)!.data).to.match(/^0x/);
    expect(await local.ethers.provider.getTransactionCount(local.signers.others.at(-1)!)).to.equal(count);
  });

  it("says in plain words what is wrong", async () => {
    const open = ["open", "--side", "long", "--margin", "1", "--token", "ETH", "--yes"];
    expect(await refused(...open, "--leverage", "7")).to.equal(
      "leverage 7.00 is beyond the market's maximum of 5.55 now\n",
    );
    expect(await refused(...open, "--leverage", "2", "--market", "weth-dai")).to.match(
      /^no market weth-dai: there are/,
    );
    expect(await refused(...open, "--leverage", "2", "--slippage", "99")).to.match(/from 0 to 50 percent/);
    const little = ["open", "--side", "long", "--margin", "0.001", "--token", "ETH", "--leverage", "2"];
    expect(await refused(...little, "--yes")).to.match(
      /^the market would refuse it: a debt of 1\.\d+ would be below the minimum of 10\.0+ \[DebtTooSmall\]\n$/,
    );
  });

  it("moves a position to another sub-account, and to a market of the same tokens", async () => {
    const open = ["open", "--side", "long", "--leverage", "2", "--margin", "2", "--token", "ETH"];
    await trade(...open, "--sub", "3", "--yes");
    const move = ["move", "--side", "long", "--yes"];
    expect(await refused(...move)).to.equal("where to? add --to or --to-sub\n");
    const within = await trade(...move, "--sub", "3", "--to-sub", "5");
    expect(within).to.match(/^weth-usdc, sub-account 3 +as it is to 5\n/);
    const across = await trade(...move, "--sub", "5", "--to", "weth-usdc-2");
    expect(across).to.match(/^weth-usdc, sub-account 5 +before +after\n[^]*\nleverage +2\.0\d × +none\n/);
    expect(across).to.match(/\nweth-usdc-2, sub-account 0 +before +after\n/);
    const mine = await positions();
    const there = mine.find(({ market }) => market === "weth-usdc-2")!;
    expect(BigInt(there.figures.leverage)).to.be.within(2n * ETH, (21n * ETH) / 10n);
    expect(
      mine.filter(({ market, sub }) => market === "weth-usdc" && ["3", "5"].includes(sub)),
    ).to.deep.equal([]);
  });

  it("recovers an account by its guardians, and says where it stands", async () => {
    const { recovery } = local.contracts;
    const [owner, heir, ...people] = local.signers.others.map(({ address }) => address);
    const guardians = people.slice(0, 3).sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
    const guard = { guardians, threshold: 2, delay: 2 * 86_400 };
    const salt = local.ethers.ZeroHash;
    const account = await recovery.accountOf(owner!, guard, salt);
    await (await recovery.create(owner!, guard, salt)).wait();

    const now = (await local.ethers.provider.getBlock("latest"))!.timestamp;
    const until = new Date((now + 86_400) * 1_000).toISOString();
    const of = ["--of", account];
    const start = ["recover", "start", ...of, "--new-owner", heir!, "--until", until, "--yes"];
    expect(await refused(...start, "--account", owner!)).to.match(/is no guardian of 0x\w+: these are 0x/);
    expect(await trade(...start, "--account", guardians[0]!)).to.match(
      /\napprovals, yours included +1 of 2\n[^]*\nthen +1 more must run the same command\n[^]*\napprove the recovery: 0x/,
    );
    expect(await trade(...start, "--account", guardians[2]!)).to.match(
      /\napprovals, yours included +2 of 2\n[^]*\nthen +in 48 hours anyone can finish it, unless the owner cancels\n/,
    );
    expect(await trade("recover", "status", ...of)).to.match(
      new RegExp(`\nrecovery to +${heir!}\n[^]*\nnow +the owner can cancel\n`),
    );
    expect(await refused("recover", "finish", ...of, "--yes")).to.match(
      /^that can be done from \d{4}-[\d-]+T[\d:]+Z on \[TooEarly\]\n$/,
    );
    await trade("recover", "cancel", ...of, "--account", owner!, "--yes");
    expect((await recovery.stateOf(account)).newOwner).to.equal(local.ethers.ZeroAddress);

    // Again, and locked: by the contract itself, which takes less time than two commands.
    const deadline = BigInt(now + 86_400);
    const [first, last] = guardians
      .slice(1)
      .map((each) => recovery.connect(local.signers.others.find(({ address }) => address === each)));
    await (await first!.approve(await recovery.digestOf(account, 2, heir!, deadline))).wait();
    const approvals = guardians.slice(1).map((guardian) => ({ guardian, signature: "0x" }));
    await (await last!.act(account, 2, heir!, deadline, approvals)).wait();
    expect(await refused("recover", "cancel", ...of, "--account", owner!, "--yes")).to.match(
      /^the account is locked until /,
    );
    await local.ethers.provider.send("evm_increaseTime", [2 * 86_400]);
    await local.ethers.provider.send("evm_mine", []);
    await trade("recover", "finish", ...of, "--yes");
    const state = JSON.parse(await trade("recover", "status", ...of, "--json")) as object;
    expect(state).to.deep.include({ owner: heir, guardians, threshold: 2 });
    expect(state).to.not.have.any.keys("recovery", "lockedUntil");
    expect(await recovery.ownerOf(account)).to.equal(heir);
  });
});
