import { expect } from "chai";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { config, network } from "hardhat";
import type { JsonRpcServer } from "hardhat/types/network";

import { deployBreakwater, type Deployment } from "../../deploy/deploy.ts";
import { readParameters } from "../../deploy/parameters.ts";

const parameters = readParameters("local");

// Minutes of nodes that die at every moment: `npm run test:chaos` and CI.
(process.env.CHAOS ? describe : describe.skip)("deploying to a node", () => {
  let server: JsonRpcServer;
  let url: string;
  let stateId: string;
  let out: string;
  const stateDir = () => join(config.paths.ignition, "deployments", stateId);

  async function startNode() {
    server = await network.createServer("default", "127.0.0.1");
    const { address, port } = await server.listen();
    url = `http://${address}:${port}`;
  }
  const connect = () => network.create({ network: "localhost", override: { url } });

  beforeEach(async () => {
    await startNode();
    stateId = `test-${process.pid}-${Date.now()}`;
    out = mkdtempSync(join(tmpdir(), "breakwater-"));
  });

  afterEach(async () => {
    await server.close();
    rmSync(stateDir(), { recursive: true, force: true });
    rmSync(out, { recursive: true });
  });

  /** The deployment is whole when the deployer can do nothing any more and a second run finds nothing to do. */
  async function expectWhole(deployment: Deployment) {
    const { ethers } = await connect();
    const manager = await ethers.getContractAt("AccessManager", deployment.contracts["AccessManager"]!);
    const [deployer] = await ethers.getSigners();
    expect((await manager.getFunction("hasRole")(0, deployer!.address))[0]).to.equal(false);
    const block = await ethers.provider.getBlockNumber();
    const again = await deployBreakwater(await connect(), parameters, { stateId });
    expect(again).to.deep.equal(deployment);
    expect(await ethers.provider.getBlockNumber()).to.equal(block);
  }

  it("does nothing new the second time", async () => {
    await expectWhole(await deployBreakwater(await connect(), parameters, { stateId }));
  });

  /** Deploys until transaction `sent + 1` is lost: it, or the answer to it. */
  async function loseTransaction(sent: number, isLastSent: boolean) {
    const connection = await connect();
    const request = connection.provider.request.bind(connection.provider);
    let left = sent;
    connection.provider.request = async (args) => {
      const isLost = args.method === "eth_sendTransaction" && left-- <= 0;
      if (isLost && (!isLastSent || left < -1)) throw new Error("connection lost");
      const answer: unknown = await request(args);
      if (isLost) throw new Error("connection lost");
      return answer;
    };
    let failed = false;
    await deployBreakwater(connection, parameters, { stateId }).catch(() => (failed = true));
    expect(failed).to.equal(true);
  }

  const losses = [
    { sent: 1, isLastSent: false },
    { sent: 30, isLastSent: true },
    { sent: 70, isLastSent: false },
  ];
  for (const { sent, isLastSent } of losses) {
    const what = isLastSent ? "the answer to" : "the node before";
    it(`completes a deployment that lost ${what} transaction ${sent + 1}`, async () => {
      await loseTransaction(sent, isLastSent);
      const deployment = await deployBreakwater(await connect(), parameters, { stateId });
      expect(deployment.startBlock).to.equal(0);
      await expectWhole(deployment);
    });
  }

  it("completes a deployment that died between noting what it does next and beginning it", async () => {
    await loseTransaction(30, false);
    const file = join(stateDir(), "journal.jsonl");
    const lines = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    const read = (line: string) => JSON.parse(line) as { type: string; futureId: string };
    const last = new Map(lines.map((line) => [read(line).futureId, read(line).type]));
    const [lost] = [...last].find(([, type]) => type === "TRANSACTION_PREPARE_SEND")!;
    const kept = lines.filter((line) => read(line).futureId !== lost || /INITIALIZE/.test(read(line).type));
    expect(lines.length - kept.length).to.equal(2);
    writeFileSync(file, `${kept.join("\n")}\n`);
    await expectWhole(await deployBreakwater(await connect(), parameters, { stateId }));
  });

  it("starts afresh on a new chain, and says so", async () => {
    const first = await deployBreakwater(await connect(), parameters, { stateId });
    await server.close();
    await startNode();
    const said: string[] = [];
    const log = (line: string) => said.push(line);
    const second = await deployBreakwater(await connect(), parameters, { stateId, log });
    expect(second.contracts).to.deep.equal(first.contracts); // the same deployer, the same nonces
    expect(said.join()).to.contain("new chain");
    await expectWhole(second);
  });

  it("refuses parameters of another chain", async () => {
    const refused: unknown = await deployBreakwater(
      await connect(),
      { ...parameters, chainId: 1 },
      { stateId },
    ).catch((error: unknown) => error);
    expect(String(refused)).to.contain("these parameters are for chain 1, but this is chain 31337");
    expect(existsSync(stateDir())).to.equal(false);
  });

  it("the command completes what a killed one left, and then reports nothing new", async () => {
    const run = (signal?: () => Promise<unknown>) => {
      const args = ["--import", "tsx", "scripts/deploy.ts", "--url", url, "--state", stateId, "--out", out];
      const child = spawn(process.execPath, args, { cwd: config.paths.root });
      let text = "";
      child.stdout.on("data", (data: Buffer) => (text += data.toString()));
      child.stderr.on("data", (data: Buffer) => (text += data.toString()));
      void signal?.().then(() => child.kill("SIGKILL"));
      return once(child, "close").then(([code]) => ({ code: code as number | null, text }));
    };
    const { provider } = (await connect()).ethers;
    const killed = await run(async () => {
      while ((await provider.getBlockNumber()) < 40) await new Promise((wake) => setTimeout(wake, 20));
    });
    expect(killed.code).to.equal(null);
    expect(readdirSync(out)).to.deep.equal([]);
    expect(await provider.getBlockNumber()).to.be.below(100);

    const completed = await run();
    expect(completed.code, completed.text).to.equal(0);
    expect(completed.text).to.match(/Deployed in/);
    const written = readFileSync(join(out, "31337.json"), "utf8");

    const block = await provider.getBlockNumber();
    const again = await run();
    expect(again.code, again.text).to.equal(0);
    expect(again.text).to.match(/nothing new/);
    expect(await provider.getBlockNumber()).to.equal(block);
    expect(readFileSync(join(out, "31337.json"), "utf8")).to.equal(written);
    await expectWhole(JSON.parse(written) as Deployment);
  });
});
