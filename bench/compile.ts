// Compiles with solc-js, keeps what came out in the cache folder, and deploys.
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { type BaseContract, ContractFactory, type InterfaceAbi } from "ethers";

export interface Artifact {
  abi: InterfaceAbi;
  bytecode: string;
  linkReferences: Record<string, Record<string, { start: number; length: number }[]>>;
}

interface Compiler {
  compile(input: string): string;
}

interface CompilerOutput {
  errors?: { severity: string; formattedMessage: string }[];
  contracts: Record<string, Record<string, { abi: InterfaceAbi; evm: { bytecode: { object: string } } }>>;
}

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BENCH = fileURLToPath(new URL(".", import.meta.url));

/** The peers are bench/package.json's, not the project's. */
const requirePeer = createRequire(join(BENCH, "package.json"));

export const peerFolder = (name: string) => join(BENCH, "node_modules", name);

/** All contracts of `sources` (texts by import path), by name. */
function compile(packageName: string, sources: Record<string, string>, settings: object) {
  const input = JSON.stringify({
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([path, content]) => [path, { content }])),
    settings: { ...settings, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
  });
  const key = createHash("sha256").update(packageName).update(input).digest("hex").slice(0, 16);
  const file = join(ROOT, "cache/bench", `${key}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Record<string, Artifact>;

  const solc = requirePeer(packageName) as Compiler;
  const output = JSON.parse(solc.compile(input)) as CompilerOutput;
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  const contracts = Object.values(output.contracts)
    .flatMap((ofFile) => Object.entries(ofFile))
    .map(([name, { abi, evm }]): [string, Artifact] => [
      name,
      { abi, bytecode: `0x${evm.bytecode.object}`, linkReferences: {} },
    ]);
  mkdirSync(join(ROOT, "cache/bench"), { recursive: true });
  writeFileSync(file, JSON.stringify(Object.fromEntries(contracts)));
  return Object.fromEntries(contracts);
}

const readSources = (folder: string, patterns: string[]) =>
  Object.fromEntries(
    globSync(patterns, { cwd: folder })
      .sort()
      .map((path) => [path.replaceAll("\\", "/"), readFileSync(join(folder, path), "utf8")]),
  );

/** The bench's own contracts, with the project's compiler. */
export function compileOwn(): Record<string, Artifact> {
  const sources = {
    ...readSources(ROOT, [
      "bench/contracts/*.sol",
      "contracts/interfaces/{IFlashLiquidator,IOracleAdapter}.sol",
    ]),
    ...readSources(join(ROOT, "node_modules"), ["@openzeppelin/contracts/token/ERC20/IERC20.sol"]),
  };
  return compile("solc", sources, { optimizer: { enabled: true, runs: 999_999 }, evmVersion: "osaka" });
}

/** As Morpho Blue is deployed: its own compiler and the settings of its repository's build. */
export function compileMorpho(): Record<string, Artifact> {
  const sources = readSources(peerFolder("@morpho-org/morpho-blue"), [
    "src/Morpho.sol",
    "src/interfaces/*.sol",
    "src/libraries/*.sol",
    "src/mocks/IrmMock.sol",
  ]);
  return compile("solc-0.8.19", sources, {
    optimizer: { enabled: true, runs: 999_999 },
    viaIR: true,
    evmVersion: "paris",
    metadata: { bytecodeHash: "none" },
  });
}

/** Aave's artifacts, as its package carries them. */
export function readAave(path: string): Artifact {
  const folder = join(peerFolder("@aave/core-v3"), "artifacts/contracts/protocol");
  return JSON.parse(readFileSync(join(folder, path), "utf8")) as Artifact;
}

export async function deploy(
  signer: HardhatEthersSigner,
  artifact: Artifact | undefined,
  args: unknown[],
  libraries: Record<string, string> = {},
): Promise<{ address: string; contract: BaseContract }> {
  if (artifact === undefined) throw new Error("no such contract among the compiled ones");
  let code = artifact.bytecode;
  for (const places of Object.values(artifact.linkReferences)) {
    for (const [name, references] of Object.entries(places)) {
      const address = libraries[name];
      if (address === undefined) throw new Error(`library ${name} is not deployed`);
      for (const { start, length } of references) {
        const at = 2 + 2 * start;
        code = code.slice(0, at) + address.slice(2).toLowerCase() + code.slice(at + 2 * length);
      }
    }
  }
  const contract = await new ContractFactory(artifact.abi, code, signer).deploy(...args);
  return { address: await contract.getAddress(), contract };
}
