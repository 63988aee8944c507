// A copy of the project whose contracts carry every mutant, built once; and copies of its artifacts in which one mutant
// is active.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { marker, MARKER_FILE, MARKER_NAME } from "./carry.ts";

/** What is not part of the project, or too large to copy. */
const LEFT_OUT = new Set([
  "artifacts",
  "cache",
  "coverage",
  "node_modules",
  "out",
  "types",
  ".git",
  "hardhat.config.ts",
]);

// The same compiler settings. Contracts outgrow the limit of code size; an endless loop ends with the gas; fewer runs than
// in the suite, so whatever they kill the suite kills; a failing sequence is not made shorter.
const CONFIG = `import base from "./hardhat.base.ts";

const { default: chain } = base.networks;
const { profiles } = base.test.solidity;

export default {
  ...base,
  paths: { ...base.paths, artifacts: process.env.MUTANTS_ARTIFACTS ?? "artifacts" },
  networks: { ...base.networks, default: { ...chain, allowUnlimitedContractSize: true } },
  test: {
    ...base.test,
    solidity: {
      profiles: {
        ...profiles,
        default: {
          ...profiles.default,
          gasLimit: 1_000_000_000n,
          fuzz: { ...profiles.default.fuzz, runs: 64 },
          invariant: { runs: 4, depth: 64, failOnRevert: true, shrinkRunLimit: 0 },
        },
      },
    },
  },
};
`;

/** Identifies the sources of contracts, with their mutants; `tests`: and of the Solidity tests. */
export function fingerprint(root: string, sources: ReadonlyMap<string, string>, tests: boolean): string {
  const hash = createHash("sha256");
  for (const text of sources.values()) hash.update(text);
  const files = globSync(["contracts/**/*.sol", ...(tests ? ["test/**/*.sol"] : [])], { cwd: root });
  for (const file of ["hardhat.config.ts", ...files.toSorted()]) {
    if (!sources.has(file)) hash.update(file).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

/** Copies the project to `project`, with the contracts in `sources` instead of its own, and builds it if they changed. */
export function build(root: string, project: string, sources: ReadonlyMap<string, string>): void {
  mkdirSync(project, { recursive: true });
  const kept = new Set(["artifacts", "cache", "types"]);
  for (const name of readdirSync(project)) {
    if (!kept.has(name) && name !== "sdk") rmSync(join(project, name), { recursive: true });
  }
  for (const name of readdirSync(root)) {
    if (!LEFT_OUT.has(name)) cpSync(join(root, name), join(project, name), { recursive: true });
  }
  rmSync(join(project, "test/gas"), { recursive: true }); // measures; and is slow to compile
  cpSync(join(root, "hardhat.config.ts"), join(project, "hardhat.base.ts"));
  writeFileSync(join(project, "hardhat.config.ts"), CONFIG);
  for (const [file, text] of sources) writeFileSync(join(project, file), text);

  const stamp = join(project, "cache/mutants.stamp");
  const wanted = fingerprint(root, sources, true);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  // Its warnings are about size and about changed operators.
  const { status, stderr } = spawnSync("hardhat", ["build", "--quiet"], { cwd: project, encoding: "utf8" });
  if (status !== 0) throw new Error(`The contracts with their mutants do not compile: ${stderr}`);
  writeFileSync(stamp, wanted);
}

type LinkReferences = Record<string, Record<string, { start: number; length: number }[]>>;
interface Artifact {
  bytecode: string;
  deployedBytecode: string;
  linkReferences: LinkReferences;
  deployedLinkReferences: LinkReferences;
}

/** Artifacts of their own for one process, in which it chooses the active mutant. */
export class Artifacts {
  readonly #project: string;
  readonly #sources: string;
  readonly #marked: { file: string; artifact: Artifact }[] = [];

  constructor(project: string, dir: string) {
    this.#project = project;
    this.#sources = `${dir}-sources`;
    rmSync(dir, { recursive: true, force: true });
    cpSync(join(project, "artifacts"), dir, { recursive: true });
    for (const name of globSync("**/*.sol/*.json", { cwd: dir })) {
      const artifact = JSON.parse(readFileSync(join(dir, name), "utf8")) as Artifact;
      if (isMarked(artifact.linkReferences) || isMarked(artifact.deployedLinkReferences))
        this.#marked.push({ file: join(dir, name), artifact });
    }
  }

  /** A tree of sources in which the mutant is active, for a test that compiles them itself. */
  sources(mutant: number): string {
    rmSync(this.#sources, { recursive: true, force: true });
    for (const name of ["contracts", "test", "sdk", "package.json", "package-lock.json"])
      cpSync(join(this.#project, name), join(this.#sources, name), { recursive: true });
    writeFileSync(join(this.#sources, MARKER_FILE), marker(`mutant == ${mutant}`));
    return this.#sources;
  }

  /** 0: none, the contracts as they are. */
  activate(mutant: number): void {
    const address = mutant.toString(16).padStart(40, "0");
    for (const { file, artifact } of this.#marked) {
      const [bytecode, linkReferences] = link(artifact.bytecode, artifact.linkReferences, address);
      const [deployedBytecode, deployedLinkReferences] = link(
        artifact.deployedBytecode,
        artifact.deployedLinkReferences,
        address,
      );
      const text = JSON.stringify({
        ...artifact,
        bytecode,
        linkReferences,
        deployedBytecode,
        deployedLinkReferences,
      });
      const temp = `${file}.new`;
      writeFileSync(temp, text);
      renameSync(temp, file);
    }
  }
}

const isMarked = (references: LinkReferences) =>
  Object.values(references).some((libraries) => MARKER_NAME in libraries);

function link(bytecode: string, references: LinkReferences, address: string): [string, LinkReferences] {
  const rest: LinkReferences = {};
  for (const [source, libraries] of Object.entries(references)) {
    const { [MARKER_NAME]: places = [], ...others } = libraries;
    for (const { start } of places) {
      const at = 2 + 2 * start;
      bytecode = bytecode.slice(0, at) + address + bytecode.slice(at + 40);
    }
    if (Object.keys(others).length > 0) rest[source] = others;
  }
  return [bytecode, rest];
}
