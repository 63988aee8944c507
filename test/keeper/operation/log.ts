import { spawn } from "node:child_process";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { expect } from "chai";

import { readConfig } from "../../../keeper/src/config.ts";
import { openLog, scrub } from "../../../keeper/src/operation/log.ts";

const KEY = `0x${"ab".repeat(32)}`;

describe("keeper logs", () => {
  const { secrets } = readConfig({
    RPC_URL: "https://rpc.example/v2/providers-key",
    ADDRESSES: "a.json",
    PRIVATE_KEY: KEY,
    DATABASE_URL: 'postgres://keeper:pass"word9@db/keeper',
  });

  it("are JSON lines in which no secret stands, wherever it came from", async () => {
    const directory = await mkdtemp(join(tmpdir(), "breakwater-"));
    try {
      const file = join(directory, "log");
      const log = openLog({ level: "info", secrets, onFailure: () => expect.fail(), destination: file });
      log.info({ url: "https://rpc.example/v2/providers-key", key: KEY.slice(2) }, `signed with ${KEY}`);
      log.error({ err: new Error("connect: https://rpc.example/v2/providers-key") }, "failed");
      log.warn({ password: 'pass"word9' }, "pass%22word9");
      log.debug("not at this level");
      let lines: string[] = [];
      while (lines.length < 3) {
        await pause(5);
        lines = (await readFile(file, "utf8")).trim().split("\n");
      }
      const text = lines.join("\n");
      expect(text).to.contain("https://rpc.example/[redacted]").and.to.contain("signed with [redacted]");
      for (const secret of ["abab", "providers-key", "word9", "not at"]) expect(text).not.to.contain(secret);
      expect(JSON.parse(lines[0]!)).to.include({ level: 30, msg: "signed with [redacted]" });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("that cannot be written are counted, and keep the process neither from working nor from ending", async () => {
    const script = `
      import { openLog } from "./keeper/src/operation/log.ts";
      let failures = 0;
      const log = openLog({ level: "info", secrets: [], onFailure: () => failures++ });
      for (let line = 0; line < 100; line++) log.info({ line, padding: "x".repeat(20_000) }, "no room");
      setTimeout(() => { log.info("the last"); console.error(failures > 1); process.exit(); }, 50);`;
    const full = await open("/dev/full", "w");
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script], {
      cwd: fileURLToPath(new URL("../../../", import.meta.url)),
      stdio: ["ignore", full.fd, "pipe"],
      timeout: 20_000,
    });
    let text = "";
    child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise((resolve) => child.once("exit", resolve));
    await full.close();
    expect([code, text]).to.deep.equal([0, "true\n"]);
  });

  it("leave alone what is no secret", () => {
    expect(scrub("keeper 127.0.0.1 v2", secrets)).to.equal("keeper 127.0.0.1 v2");
  });
});
