import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect } from "chai";

import { parseAddresses } from "@breakwater/sdk/addresses";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Listens on a port that was free, and gives it back. */
async function occupy(port = 0): Promise<{ port: number; free: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    free: async () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

function start(...args: string[]) {
  const child: ChildProcess = spawn(process.execPath, ["--import", "tsx", "scripts/start.ts", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return {
    child,
    ended,
    text: () => text,
    /** Resolves when the output matches, fails when the process ends before. */
    async seen(pattern: RegExp): Promise<RegExpExecArray> {
      for (;;) {
        const match = pattern.exec(text);
        if (match) return match;
        const over = await Promise.race([
          ended.then(() => true),
          new Promise<false>((resolve) => setTimeout(() => resolve(false), 100)),
        ]);
        if (over) throw new Error(`ended without ${pattern.source}:\n${text}`);
      }
    },
  };
}

(process.env.COMMANDS ? describe : describe.skip)("npm start", function () {
  this.timeout(120_000);

  it("says that the port is busy, and starts nothing", async () => {
    const { port, free } = await occupy();
    for (const option of ["--port", "--metrics-port", "--web-port"]) {
      const run = start("--port", "0", option, String(port));
      expect(await run.ended).to.equal(1);
      expect(run.text()).to.equal(
        `port ${port} of 127.0.0.1 is busy: stop what listens there, or choose another with ${option}\n`,
      );
    }
    await free();
  });

  it("refuses nonsense and explains itself", async () => {
    const wrong = start("--positions", "many");
    expect(await wrong.ended).to.equal(1);
    expect(wrong.text()).to.equal("--positions must be a whole number from 0 to 2000, not many\n");
    const unknown = start("--fast");
    expect(await unknown.ended).to.equal(1);
    expect(unknown.text()).to.match(/Unknown option '--fast'/);
    const help = start("--help");
    expect(await help.ended).to.equal(0);
    expect(help.text()).to.match(/^usage: npm start/);
  });

  it("shows a liquidation by the keeper, and ends whole on Ctrl-C", async () => {
    const { port, free } = await occupy();
    await free();
    const out = await mkdtemp(join(tmpdir(), "breakwater-"));
    const quick = ["--positions", "24", "--step", "500", "--metrics-port", "0", "--web-port", "0"];
    const run = start("--port", String(port), "--out", out, ...quick);
    try {
      const [, pid] = await run.seen(/keeper +process (\d+)/);
      const [, metrics = ""] = await run.seen(/keeper +metrics on (http:\/\/127.0.0.1:\d+\/metrics)/);
      const [, web = ""] = await run.seen(/web +(http:\/\/127.0.0.1:\d+):/);
      expect(await (await fetch(web)).text()).to.match(/<title>Breakwater<\/title>/);
      const served = (await (await fetch(`${web}/addresses.json`)).json()) as { rpcUrl: string };
      expect(served.rpcUrl).to.equal(`http://127.0.0.1:${port}`);
      await run.seen(/keeper .* done: liquidate \d+ ticks?: .*; repaid .* profit/);
      expect(await (await fetch(metrics)).text()).to.match(
        /^keeper_opportunities_taken_total\{market="[^"]+",action="liquidate"\} [1-9]/m,
      );
      expect((await fetch(metrics.replace("metrics", "health"))).status).to.equal(200);
      const { markets } = parseAddresses(JSON.parse(await readFile(join(out, "31337.json"), "utf8")));
      expect(markets).to.have.length(3);

      run.child.kill("SIGINT");
      expect(await run.ended, run.text()).to.equal(0);
      expect(run.text()).to.match(/keeper stopped\n.*stopped\n$/s);
      expect(() => process.kill(Number(pid), 0)).to.throw("ESRCH");
      await (await occupy(port)).free();
    } finally {
      run.child.kill("SIGKILL");
      await rm(out, { recursive: true });
      await rm(join(ROOT, `deploy/deployments/chain-31337-${port}`), { recursive: true, force: true });
    }
  });
});
