// npm run check:sdk: packs the SDK as npm would publish it, puts it into a foreign project, compiles the SDK's examples there,
// strictly, and runs them with plain Node against a deployment on a chain of its own. Downloads nothing.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

import { config, network } from "hardhat";

import { writeAddresses } from "../deploy/deploy.ts";
import { deployLocal } from "../deploy/local.ts";
import { fundLenders } from "./start/book.ts";

const { values: options } = parseArgs({
  options: { node: { type: "string", default: process.execPath }, help: { type: "boolean" } },
});
if (options.help) {
  console.log(`check:sdk [-- --node <path>]

Packs the SDK, compiles its examples in a foreign project, and runs them on a local chain.
--node  runs them with this Node (20 or newer) instead of the one that runs this`);
  process.exit();
}

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const directory = await mkdtemp(join(tmpdir(), "breakwater-sdk-"));
const stateId = `check-sdk-${process.pid}`;
const children: ChildProcess[] = [];
const server = await network.createServer("default", "127.0.0.1");
try {
  const project = await foreignProject();
  const { port } = await server.listen();
  const rpc = `http://127.0.0.1:${port}`;
  const local = await deployLocal(await network.create({ network: "localhost", override: { url: rpc } }), {
    stateId,
  });
  await fundLenders(local, local.signers.others[0]!);
  const env = {
    ...process.env,
    RPC_URL: rpc,
    ADDRESSES: writeAddresses(local.addresses, directory),
    PRIVATE_KEY: "",
    COUNT: "2",
  };
  const example = (name: string) => [join(project, "out", `${name}.js`)];

  const watching = spawn(options.node, example("watch"), { env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(watching);
  let watched = "";
  watching.stdout.on("data", (chunk: Buffer) => (watched += chunk.toString()));
  await Promise.race([once(watching.stdout, "data"), once(watching, "exit")]); // or it does not start
  for (const [name, expected] of [
    ["markets", /^weth-usdc: 2,000\.0+ USDC per WETH \(Fresh\), .* leverage up to 5\.55$/m],
    ["quote", /^leverage 3\.0\d, LTV 66\.\d\d %$[^]*^the market would accept it$/m],
    [
      "open",
      /^let the router act for you in [^]*^trade: block \d+, \d+ gas\n[^]*^trade: block \d+, \d+ gas$/m,
    ],
    [
      "protect",
      /^at 1,700 it leaves at least [\d,]+\.\d\d USDC\n[^]*^order \d+: StopLoss\ncancel order \d+: block/m,
    ],
    ["errors", /^LtvTooHigh: the LTV of 9\d\.\d\d % would be above 82\.00 % \[LtvTooHigh\]$/m],
  ] as const) {
    const { stdout } = await run(options.node, example(name), { env });
    expectText(name, stdout, expected);
  }
  if (watching.exitCode === null) await once(watching, "exit");
  expectText(
    "watch",
    watched,
    /^weth-usdc: 0x\w+\/7 collateral \d+, debt \d+\nweth-usdc: 0x\w+\/7 collateral -/m,
  );
  console.log("the packed SDK compiles in a foreign project, and its examples run");
} finally {
  for (const child of children) child.kill();
  await server.close();
  await rm(directory, { recursive: true });
  await rm(join(config.paths.ignition, "deployments", stateId), { recursive: true, force: true });
}

/** With the packed SDK, and what npm would install beside it taken from here. */
async function foreignProject(): Promise<string> {
  const project = join(directory, "project");
  const installed = join(project, "node_modules", "@breakwater");
  await mkdir(installed, { recursive: true });
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", directory], {
    cwd: join(root, "sdk"),
    maxBuffer: 2 ** 26,
  });
  const { filename } = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>)[0]!;
  await run("tar", ["-xzf", join(directory, filename), "-C", installed]);
  await rename(join(installed, "package"), join(installed, "sdk"));
  for (const name of ["ethers", "@types"]) {
    await symlink(join(root, "node_modules", name), join(project, "node_modules", name), "dir");
  }
  await cp(join(root, "sdk", "examples"), join(project, "src"), { recursive: true });
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "foreign", type: "module" }));
  await writeFile(
    join(project, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        module: "nodenext",
        target: "es2023",
        types: ["node"],
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        verbatimModuleSyntax: true,
        rootDir: "src",
        outDir: "out",
      },
      include: ["src"],
    }),
  );
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project]).catch(
    (error: unknown) => {
      throw new Error((error as { stdout: string }).stdout);
    },
  );
  // What is no code has its own entry points.
  const abi = JSON.parse(await readFile(join(installed, "sdk/dist/abi/Vault.json"), "utf8")) as unknown[];
  if (abi.length === 0) throw new Error("the Vault's ABI is empty");
  return project;
}

function expectText(name: string, text: string, expected: RegExp): void {
  if (!expected.test(text))
    throw new Error(`the example ${name} said, instead of ${expected.source}:\n${text}`);
  console.log(`${name}:\n${text.trimEnd()}\n`);
}
