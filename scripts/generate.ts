// Generates the SDK's contract types (sdk/src/types, by TypeChain) and ABIs (sdk/src/abi) from the artifacts
// of our contracts and of those that we use but do not compile. Part of every Hardhat build (build-hooks.ts);
// when nothing changed it only reads the artifacts.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { glob, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Interface, type InterfaceAbi } from "ethers";

const root = fileURLToPath(new URL("..", import.meta.url));
const { resolve } = createRequire(import.meta.url);

interface Artifact {
  contractName: string;
  abi: unknown[];
  bytecode: string;
  linkReferences: object;
}

// npm carries these with the code that is deployed on public networks; another compiler would give another.
const SAFE = "@safe-global/safe-smart-account/build/artifacts/contracts";
const V3_CORE = "@uniswap/v3-core/artifacts/contracts";
const V3_PERIPHERY = "@uniswap/v3-periphery/artifacts/contracts";
export const PREBUILT = [
  `${SAFE}/Safe.sol/Safe.json`,
  `${SAFE}/accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json`,
  `${SAFE}/handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json`,
  `${SAFE}/libraries/CreateCall.sol/CreateCall.json`,
  `${SAFE}/libraries/MultiSend.sol/MultiSend.json`,
  `${SAFE}/libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json`,
  `${SAFE}/libraries/SignMessageLib.sol/SignMessageLib.json`,
  `${SAFE}/proxies/SafeProxyFactory.sol/SafeProxyFactory.json`,
  `${V3_CORE}/UniswapV3Factory.sol/UniswapV3Factory.json`,
  `${V3_CORE}/UniswapV3Pool.sol/UniswapV3Pool.json`,
  `${V3_PERIPHERY}/NonfungiblePositionManager.sol/NonfungiblePositionManager.json`,
  `${V3_PERIPHERY}/SwapRouter.sol/SwapRouter.json`,
  `${V3_PERIPHERY}/lens/QuoterV2.sol/QuoterV2.json`,
];

export async function generateSdk(artifactsDir: string): Promise<void> {
  const built = await Array.fromAsync(
    glob(["contracts/**/*.json", "@openzeppelin/contracts/**/*.json"], { cwd: artifactsDir }),
  );
  const files = [
    ...built.map((file) => join(artifactsDir, file)),
    ...PREBUILT.map((file) => resolve(file)),
  ].sort();
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));

  const hash = createHash("sha256").update(await readFile(fileURLToPath(import.meta.url)));
  for (const text of texts) hash.update(text);
  const stamp = hash.digest("hex");
  const types = join(root, "sdk/src/types");
  const abi = join(root, "sdk/src/abi");
  const stampFile = join(root, "cache/sdk.stamp");
  const isCurrent =
    existsSync(join(types, "index.ts")) &&
    existsSync(join(abi, "index.ts")) &&
    existsSync(stampFile) &&
    (await readFile(stampFile, "utf8")) === stamp;
  if (isCurrent) return;

  // Flat, so that imports need not know where a contract's source lies.
  const artifacts = new Map<string, Artifact>();
  for (const text of texts) {
    const artifact = JSON.parse(text) as Artifact;
    if (artifact.abi.length === 0) continue;
    const other = artifacts.get(artifact.contractName);
    if (other) throw new Error(`two contracts are called ${artifact.contractName}: rename ours`);
    artifacts.set(artifact.contractName, artifact);
  }

  // Written aside and then moved into place: whoever reads meanwhile finds the old files or the new ones.
  const temp = join(root, `cache/sdk-${process.pid}`);
  const temps = { json: join(temp, "json"), types: join(temp, "types"), abi: join(temp, "abi") };
  for (const dir of Object.values(temps)) await mkdir(dir, { recursive: true });
  for (const [name, artifact] of artifacts) {
    await writeFile(join(temps.json, `${name}.json`), JSON.stringify(artifact));
    const source = `export const ${name}Abi = ${JSON.stringify(artifact.abi, null, 2)} as const;\n`;
    await writeFile(join(temps.abi, `${name}.ts`), source);
  }
  const names = [...artifacts.keys()].sort();
  await writeFile(
    join(temps.abi, "index.ts"),
    names.map((name) => `export { ${name}Abi } from "./${name}.ts";\n`).join(""),
  );
  // By itself and as text: who explains errors need not carry every ABI.
  const fragments = [...artifacts.values()].flatMap(({ abi }) =>
    new Interface(abi as InterfaceAbi).fragments
      .filter(({ type }) => type === "error")
      .map((fragment) => fragment.format("full")),
  );
  await writeFile(
    join(temps.abi, "errors.ts"),
    `export const errorFragments = ${JSON.stringify([...new Set(fragments)].sort(), null, 2)};\n`,
  );
  await promisify(execFile)(
    process.execPath,
    [
      resolve("typechain/dist/cli/cli.js"),
      "--target=ethers-v6",
      "--node16-modules",
      `--input-dir=${temps.json}`,
      `--out-dir=${temps.types}`,
      join(temps.json, "*.json").replaceAll("\\", "/"),
    ],
    { cwd: root },
  );
  await mkdir(join(root, "sdk/src"), { recursive: true });
  for (const [from, to] of [
    [temps.types, types],
    [temps.abi, abi],
  ] as const) {
    await rm(to, { recursive: true, force: true });
    await rename(from, to);
  }
  await rm(temp, { recursive: true });
  await writeFile(stampFile, stamp);
}
