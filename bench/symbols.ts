// Names for a trace, from the build: which contract an address runs, which function an instruction belongs to.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { artifacts } from "hardhat";

import type { Chain } from "./chain.ts";
import { ROOT } from "./compile.ts";
import type { Symbols } from "./explain.ts";

type References = Record<string, Record<string, { start: number; length: number }[]>>;

interface BuildArtifact {
  contractName: string;
  inputSourceName: string;
  buildInfoId: string;
  deployedBytecode: string;
  deployedLinkReferences: References;
  immutableReferences: Record<string, { start: number; length: number }[]>;
}

interface Node {
  nodeType?: string;
  name?: string;
  kind?: string;
  src?: string;
  [key: string]: unknown;
}

interface BuildOutput {
  output: {
    sources: Record<string, { id: number; ast: Node }>;
    contracts: Record<string, Record<string, { evm: { deployedBytecode: { sourceMap: string } } }>>;
  };
}

interface Code {
  name: string;
  functionAt: (pc: number) => string | undefined;
}

/** `roles` name the addresses whose code says too little: two tokens, two proxies. */
export async function readSymbols(
  chain: Chain,
  addresses: Iterable<string>,
  roles: Record<string, string>,
): Promise<Symbols> {
  const built: BuildArtifact[] = [];
  for (const name of await artifacts.getAllFullyQualifiedNames()) {
    built.push((await artifacts.readArtifact(name)) as unknown as BuildArtifact);
  }
  const outputs = new Map<string, BuildOutput["output"]>();
  const outputOf = (id: string) => {
    const known = outputs.get(id);
    if (known) return known;
    const file = join(ROOT, "artifacts/build-info", `${id}.output.json`);
    const { output } = JSON.parse(readFileSync(file, "utf8")) as BuildOutput;
    outputs.set(id, output);
    return output;
  };

  const codes = new Map<string, Code>();
  for (const address of addresses) {
    const code = await chain.code(address);
    const artifact = built.find((candidate) => isCodeOf(candidate, code));
    const role = roles[address.toLowerCase()];
    const own = artifact?.contractName.replace("TransparentUpgradeableProxy", "proxy");
    const name = [role, own].filter((part) => part !== undefined).join(" ") || address;
    codes.set(address.toLowerCase(), {
      name,
      functionAt: artifact ? functionsOf(artifact, code, outputOf(artifact.buildInfoId)) : () => undefined,
    });
  }
  return {
    contract: (address) => codes.get(address.toLowerCase())?.name ?? address,
    function: (address, pc) => codes.get(address.toLowerCase())?.functionAt(pc),
  };
}

/** Equal but for what is filled in later: immutables, libraries' addresses, a library's own. */
function isCodeOf(artifact: BuildArtifact, code: string): boolean {
  const { deployedBytecode } = artifact;
  if (deployedBytecode.length !== code.length || code.length < 100) return false;
  const [template, deployed] = [withoutLinks(deployedBytecode), code].map((hex) => {
    const bytes = Buffer.from(hex.slice(2), "hex");
    const places = [
      ...Object.values(artifact.deployedLinkReferences).flatMap((file) => Object.values(file).flat()),
      ...Object.values(artifact.immutableReferences).flat(),
      { start: 1, length: 20 },
    ];
    for (const { start, length } of places) bytes.fill(0, start, start + length);
    return bytes.toString("hex");
  });
  return template === deployed;
}

/** Placeholders of libraries are no hex digits. */
const withoutLinks = (code: string) => code.replace(/__\$[0-9a-f]{34}\$__/g, "0".repeat(40));

/** The innermost function around an instruction's source, by the compiler's source map. */
function functionsOf(
  { contractName, inputSourceName }: BuildArtifact,
  code: string,
  { sources, contracts }: BuildOutput["output"],
): (pc: number) => string | undefined {
  const { sourceMap } = contracts[inputSourceName]![contractName]!.evm.deployedBytecode;
  const functions = new Map<number, { name: string; start: number; end: number }[]>();
  for (const { id, ast } of Object.values(sources)) functions.set(id, functionsIn(ast));

  const names: (string | undefined)[] = [];
  let [start, length, file] = [0, 0, -1];
  for (const entry of sourceMap.split(";")) {
    const [s, l, f] = entry.split(":");
    if (s) start = Number(s);
    if (l) length = Number(l);
    if (f) file = Number(f);
    const around = (functions.get(file) ?? []).filter(
      (candidate) => candidate.start <= start && start + length <= candidate.end,
    );
    const innermost = around.sort((a, b) => a.end - a.start - (b.end - b.start))[0];
    names.push(innermost?.name);
  }

  const bytes = Buffer.from(code.slice(2), "hex");
  const indexAt = new Map<number, number>();
  for (let pc = 0, index = 0; pc < bytes.length; index++) {
    indexAt.set(pc, index);
    const op = bytes[pc]!;
    pc += op >= 0x60 && op <= 0x7f ? op - 0x5e : 1;
  }
  return (pc) => names[indexAt.get(pc) ?? -1];
}

function functionsIn(node: Node, contract = ""): { name: string; start: number; end: number }[] {
  const inside = node.nodeType === "ContractDefinition" ? `${node.name ?? ""}.` : contract;
  const own: { name: string; start: number; end: number }[] = [];
  if (node.nodeType === "FunctionDefinition" || node.nodeType === "ModifierDefinition") {
    const [start, length] = (node.src ?? "0:0").split(":").map(Number);
    const name = node.name === "" || node.name === undefined ? (node.kind ?? "") : node.name;
    own.push({ name: `${inside}${name}`, start: start!, end: start! + length! });
  }
  const children = Object.values(node).flatMap((value) =>
    Array.isArray(value) ? (value as unknown[]) : [value],
  );
  for (const child of children) {
    if (typeof child === "object" && child !== null) own.push(...functionsIn(child as Node, inside));
  }
  return own;
}
