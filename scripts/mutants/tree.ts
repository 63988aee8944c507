// The compiler's syntax tree of the contracts, with types.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** A node of solc's JSON tree; what hangs below it depends on its type. */
export interface Node {
  id: number;
  nodeType: string;
  /** `offset:length:file`, in bytes. */
  src: string;
  [property: string]: unknown;
}

interface Output {
  errors?: { severity: string; formattedMessage: string }[];
  sources: Record<string, { ast: Node }>;
}

interface Compiler {
  compile(
    input: string,
    callbacks: { import(path: string): { contents: string } | { error: string } },
  ): string;
}

/** The trees of `files` (paths below `root`) and of whatever they import, by path. */
export function parse(root: string, files: readonly string[]): Map<string, Node> {
  const solc = createRequire(import.meta.url)("solc") as Compiler;
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(
      files.map((file) => [file, { content: readFileSync(join(root, file), "utf8") }]),
    ),
    settings: { viaIR: true, outputSelection: { "*": { "": ["ast"] } } },
  };
  const find = (path: string) => {
    const file = path.startsWith("contracts/") ? join(root, path) : join(root, "node_modules", path);
    return { contents: readFileSync(file, "utf8") };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find })) as Output;
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  return new Map(Object.entries(output.sources).map(([path, { ast }]) => [path, ast]));
}

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "nodeType" in value;

/** The nodes directly below, in the order of their properties. */
export function childrenOf(node: Node): Node[] {
  return Object.values(node).flatMap((value) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  );
}

export function nodeIn(node: Node, property: string): Node {
  const value = node[property];
  if (!isNode(value)) throw new Error(`${node.nodeType} has no ${property}`);
  return value;
}

export function optionalNodeIn(node: Node, property: string): Node | undefined {
  const value = node[property];
  return isNode(value) ? value : undefined;
}

export function nodesIn(node: Node, property: string): Node[] {
  const value = node[property];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function textIn(node: Node, property: string): string {
  const value = node[property];
  return typeof value === "string" ? value : "";
}

export interface Range {
  start: number;
  end: number;
}

export function rangeOf({ src }: Node): Range {
  const [start = 0, length = 0] = src.split(":").map(Number);
  return { start, end: start + length };
}

/** As the compiler writes it: `uint256`, `int_const 1`, `struct Price memory`, … */
export function typeOf(node: Node): string {
  const descriptions = node.typeDescriptions as { typeString?: string } | undefined;
  return descriptions?.typeString ?? "";
}
