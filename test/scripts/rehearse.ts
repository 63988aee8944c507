import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect } from "chai";
import { network } from "hardhat";
import { solidityPacked } from "ethers";

import type { Deployment } from "../../deploy/deploy.ts";
import { deployImplementation, listingOf } from "../../deploy/implementation.ts";
import { connectLocal, type Local } from "../../deploy/local.ts";
import { readParameters } from "../../deploy/parameters.ts";
import { type Failure, rehearse, type Report } from "../../scripts/rehearse/run.ts";

const MARKET = "weth-usdc";

(process.env.COMMANDS ? describe : describe.skip)("npm run upgrade:rehearse", function () {
  this.timeout(120_000);
  let local: Local;
  let rpc: string;
  let dir: string;
  let child: ChildProcess;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "rehearse-"));
    // A price an hour, and no keeper: the chain stands still.
    const options = ["--port", "0", "--positions", "18", "--step", "3600000", "--out", dir];
    const args = ["scripts/start.ts", ...options, "--no-keeper", "--no-web"];
    child = spawn(process.execPath, ["--import", "tsx", ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const ready = Promise.withResolvers<true>();
    child.once("exit", (code) => ready.reject(new Error(`npm start ended with ${code}`)));
    let text = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (/positions of leverage/.test(text)) ready.resolve(true);
    });
    await ready.promise;
    rpc = /http:\/\/127\.0\.0\.1:\d+/.exec(text)![0];
    const connection = await network.create({ network: "localhost", override: { url: rpc } });
    const addresses = JSON.parse(await readFile(join(dir, "31337.json"), "utf8")) as Deployment;
    local = connectLocal(
      connection,
      readParameters("local"),
      addresses,
      await connection.ethers.getSigners(),
    );
  });
  after(async () => {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
    await rm(dir, { recursive: true });
    await rm(`deploy/deployments/chain-31337-${new URL(rpc).port}`, { recursive: true });
  });

  const run = async (implementation: string, market = MARKET) => {
    const latest = async (): Promise<unknown> =>
      local.ethers.provider.send("eth_getBlockByNumber", ["latest", false]);
    const before = await latest();
    const report = await rehearse({ rpc, addresses: local.addresses, implementation, markets: [market] });
    expect(await latest()).to.deep.equal(before);
    return report.markets[0]!;
  };
  const vault = () => local.markets[MARKET]!.vault;
  const running = async () => (await local.contracts.upgrader.stateOf(vault())).implementation;
  const faulty = async (prefix: string) =>
    (await local.ethers.deployContract("FaultyVault", [await running(), prefix])).getAddress();
  const named = ({ owner, sub }: Failure) => `${owner} ${sub}`;

  it("passes the code that runs already, in every market, and leaves the chain alone", async () => {
    for (const { id } of local.addresses.markets) {
      const report = await run("Vault", id);
      expect(report.failures).to.deep.equal([]);
      expect(report.positions).to.equal(6);
      expect(report.ticks).to.be.greaterThan(3);
      expect(report.lenders).to.equal(1);
    }
  });

  it("is a command: exit code 0 and JSON, or 1 and the position", async () => {
    const command = async (...args: string[]) => {
      const file = join(dir, "31337.json");
      const options = ["--rpc", rpc, "--addresses", file, "--market", MARKET, ...args];
      const call = promisify(execFile)(process.execPath, [
        "--import",
        "tsx",
        "scripts/rehearse.ts",
        ...options,
      ]);
      return call.then(
        ({ stdout }) => ({ code: 0, stdout, stderr: "" }),
        (error: unknown) => error as { code: number; stdout: string; stderr: string },
      );
    };
    const good = await command("--impl", "Vault", "--json");
    expect(good.code).to.equal(0);
    expect((JSON.parse(good.stdout) as Report).markets[0]!.failures).to.deep.equal([]);
    const bad = await command("--impl", await faulty(vault().interface.getFunction("liquidate").selector));
    expect(bad.code).to.equal(1);
    expect(bad.stdout).to.match(/liquidated +FAILED 6\n +0x[0-9a-fA-F]{40} sub-account \d+: /);
    const none = await command();
    expect(none.code).to.equal(1);
    expect(none.stderr).to.include("--impl is missing");
  });

  it("names the one position that cannot be repaid, and no other", async () => {
    const [event] = await vault().queryFilter(vault().filters.Adjust());
    const { owner, sub } = event!.args;
    const { selector } = vault().interface.getFunction("adjust");
    const prefix = solidityPacked(["bytes4", "uint256", "uint256"], [selector, owner, sub]);
    const { failures } = await run(await faulty(prefix));
    expect(failures.map(({ check }) => check)).to.deep.equal(["repaid"]);
    expect(named(failures[0]!)).to.equal(`${owner} ${sub}`);
  });

  it("names every position if nothing can be liquidated, or is priced on another grid", async () => {
    const liquidate = await run(await faulty(vault().interface.getFunction("liquidate").selector));
    const failed = liquidate.failures.filter(({ check, owner }) => check === "liquidated" && owner);
    expect(new Set(failed.map(named)).size).to.equal(liquidate.positions);

    const other = await deployImplementation(local.ethers, "Vault", vault(), { spacing: 50n });
    const grid = await run(other);
    const priced = grid.failures.filter(({ check }) => check === "priced");
    expect(new Set(priced.map(named)).size).to.equal(grid.positions);
    expect(
      grid.failures.some(({ check, words }) => check === "kept" && words.startsWith("SPACING")),
    ).to.equal(true);
    expect((await listingOf(vault())).spacing).to.equal(25n);
  });

  it("notices that a balance is not kept, and that the brake is not obeyed", async () => {
    const setBrake = vault().interface.getFunction("setBrake").selector;
    const deaf = await run(await faulty(setBrake));
    expect(deaf.failures.map(({ check }) => check)).to.deep.equal(["brake"]);

    const other = await deployImplementation(local.ethers, "Vault", local.markets["wbtc-usdc"]!.vault);
    const swapped = await run(other);
    const kept = swapped.failures
      .filter(({ check }) => check === "kept")
      .map(({ words }) => words.split(" ")[0]);
    expect(kept).to.include.members(["COLLATERAL", "scales"]);
  });
});
