/**
 * Contracts compiled with a node index of 20 bits that is rebased below 2^12, instead of 80 bits and 2^63. A wrongly
 * rounded index costs less than a unit of debt; here it costs percents.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { InterfaceAbi } from "ethers";
import hre from "hardhat";
import type { Artifact } from "hardhat/types/artifacts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const require = createRequire(import.meta.url);

export const TINY = { indexOne: 1n << 20n, indexMin: 1n << 12n };
/** What the build has. */
export const FULL = { indexOne: 1n << 79n, indexMin: 1n << 63n };

const BOOK = "contracts/libraries/TickBook.sol";
const REPLACEMENTS = [
  ["INDEX_ONE = 2 ** 79;", "INDEX_ONE = 2 ** 20;"],
  ["INDEX_MIN = 2 ** 63;", "INDEX_MIN = 2 ** 12;"],
] as const;
/** The contracts that the book is compiled into. */
const CONTRACTS: Record<string, string> = {
  Vault: "contracts/Vault.sol",
  Lending: "contracts/libraries/Lending.sol",
  Liquidation: "contracts/libraries/Liquidation.sol",
  Parameters: "contracts/libraries/Parameters.sol",
  Positions: "contracts/libraries/Positions.sol",
};

type LinkReferences = Record<string, Record<string, { start: number; length: number }[]>>;
interface Compiled {
  abi: InterfaceAbi;
  evm: { bytecode: { object: string; linkReferences: LinkReferences } };
}
type Contracts = Record<string, Record<string, Compiled>>;
/** By name. */
export type Artifacts = ReadonlyMap<string, Artifact>;

/** The sources that a compilation reads, with the tiny index in its place. */
class Sources {
  readonly read = new Map<string, string>();

  of(path: string): string {
    const file = existsSync(join(ROOT, path)) ? join(ROOT, path) : require.resolve(path);
    let contents = readFileSync(file, "utf8");
    if (path === BOOK) for (const [from, to] of REPLACEMENTS) contents = replaceOnce(contents, from, to);
    this.read.set(path, contents);
    return contents;
  }
}

function replaceOnce(source: string, from: string, to: string): string {
  if (source.split(from).length !== 2) throw new Error(`"${from}" does not occur once in ${BOOK}`);
  return source.replace(from, to);
}

/** `files`: a source and the contract of it that is wanted. */
export function compileTiny(files: Record<string, string>, settings: object): Contracts {
  const solc = require("solc") as {
    compile(
      input: string,
      callbacks: { import: (path: string) => { contents: string } | { error: string } },
    ): string;
  };
  const sources = new Sources();
  const output = JSON.parse(
    solc.compile(
      JSON.stringify({
        language: "Solidity",
        sources: Object.fromEntries(Object.keys(files).map((path) => [path, { content: sources.of(path) }])),
        settings: {
          ...settings,
          outputSelection: Object.fromEntries(
            Object.entries(files).map(([path, name]) => [path, { [name]: ["abi", "evm.bytecode"] }]),
          ),
        },
      }),
      { import: (path) => ({ contents: sources.of(path) }) },
    ),
  ) as { errors?: { severity: string; formattedMessage: string }[]; contracts: Contracts };
  const failures = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (failures.length !== 0) throw new Error(failures.map((e) => e.formattedMessage).join("\n"));
  return output.contracts;
}

/** The build's, of the Vault. */
function settings(): object {
  const { compilers, overrides } = hre.config.solidity.profiles.default!;
  return (overrides[CONTRACTS.Vault!] ?? compilers[0]!).settings as object;
}

function cacheFile(): string {
  const sources = new Sources();
  // What the contracts import lies beside them or is pinned by the lock file.
  const identity = createHash("sha256");
  for (const path of globSync("contracts/**/*.sol", { cwd: ROOT }).sort()) identity.update(sources.of(path));
  identity.update(JSON.stringify(settings())).update(readFileSync(join(ROOT, "package-lock.json")));
  return join(hre.config.paths.cache, "tiny-index", `${identity.digest("hex").slice(0, 16)}.json`);
}

/** Whether `tinyArtifacts` needs no compiler. */
export function haveTinyArtifacts(): boolean {
  return existsSync(cacheFile());
}

/** A market's contracts, compiled once for each state of the sources, with the build's settings. */
export async function tinyArtifacts(): Promise<Artifacts> {
  const file = cacheFile();
  let contracts: Contracts;
  if (existsSync(file)) {
    contracts = JSON.parse(readFileSync(file, "utf8")) as Contracts;
  } else {
    const files = Object.fromEntries(Object.entries(CONTRACTS).map(([name, path]) => [path, name]));
    contracts = compileTiny(files, settings());
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(contracts));
  }
  const artifacts = new Map<string, Artifact>();
  for (const [name, path] of Object.entries(CONTRACTS)) {
    const { object, linkReferences } = contracts[path]![name]!.evm.bytecode;
    const artifact = await hre.artifacts.readArtifact(name);
    artifacts.set(name, { ...artifact, bytecode: `0x${object}`, linkReferences });
  }
  return artifacts;
}
