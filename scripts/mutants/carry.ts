// The sources that carry all mutants: each mutated place asks at run time which mutant is active, so that one build serves
// every mutant.
import { type Node, nodesIn, type Range, rangeOf } from "./tree.ts";

/** What a mutant does to the source. */
export type Edit = Range & { id: number } & (
    { kind: "replace"; text: string; cast: string } | { kind: "remove" } | { kind: "modifier"; name: string }
  );

export const MARKER_FILE = "contracts/ActiveMutant.sol";
export const MARKER_NAME = "ActiveMutant";

/** Linked with the active mutant's id as its address, the library is a constant that the optimizer does not know. */
export const marker = (
  isActive = `uint160(address(${MARKER_NAME})) == mutant`,
) => `// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

library ${MARKER_NAME} {}

function isActive(uint160 mutant) pure returns (bool) {
    return ${isActive};
}
`;

/** What a modifier does, to be left out at run time. */
export const MODIFIERS: Record<string, string> = {
  restricted: `
    modifier restrictedUnless(uint160 mutant) {
        if (!isActive(mutant)) _checkCanCall(_msgSender(), _msgData());
        _;
    }`,
  nonReentrant: `
    modifier nonReentrantUnless(uint160 mutant) {
        bytes32 slot = _reentrancyGuardStorageSlot();
        if (!isActive(mutant)) {
            if (_reentrancyGuardEntered()) revert ReentrancyGuardReentrantCall();
            assembly ("memory-safe") { tstore(slot, 1) }
        }
        _;
        if (!isActive(mutant)) assembly ("memory-safe") { tstore(slot, 0) }
    }`,
};
export class Source {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  text({ start, end }: Range): string {
    return this.bytes.subarray(start, end).toString("utf8");
  }

  /** On one line, without comments. */
  plain(range: Range): string {
    return plain(this.text(range));
  }

  plainWith(range: Range, part: Range, text: string): string {
    const before = this.text({ start: range.start, end: part.start });
    return plain(before + text + this.text({ start: part.end, end: range.end }));
  }

  lineOf(offset: number): number {
    return this.text({ start: 0, end: offset }).split("\n").length;
  }

  /** The range with its semicolon. */
  statement(range: Range): Range {
    if (this.text({ start: range.end - 1, end: range.end }) === ";") return range;
    return { start: range.start, end: this.bytes.indexOf(";", range.end) + 1 };
  }
}

const plain = (text: string) =>
  text
    .replace(/\/\/.*$/gm, "")
    .replace(/\s+/g, " ")
    .replace(/([([]) /g, "$1")
    .replace(/ ([)\]])/g, "$1")
    .trim();

export function carry(source: Source, file: string, tree: Node, edits: readonly Edit[]): string {
  const names = new Set(edits.flatMap((edit) => (edit.kind === "modifier" ? [edit.name] : [])));
  const insertions = new Map<number, string>();
  const pragma = nodesIn(tree, "nodes").find(({ nodeType }) => nodeType === "PragmaDirective")!;
  const up = "../".repeat(file.split("/").length - 2) || "./";
  insertions.set(rangeOf(pragma).end, `\nimport {isActive} from "${up}ActiveMutant.sol";`);
  for (const name of names) {
    const contract = nodesIn(tree, "nodes").find(({ nodeType }) => nodeType === "ContractDefinition")!;
    const first = rangeOf(nodesIn(contract, "nodes").find((node) => node.nodeType !== "UsingForDirective")!);
    insertions.set(first.start, (insertions.get(first.start) ?? "") + MODIFIERS[name]! + "\n    ");
  }

  // Equal ranges together, outer ones before inner ones.
  const places = Map.groupBy(edits, ({ start, end }) => `${start}:${end}`);
  const ordered = [...places.values()].sort(
    ([a], [b]) => a!.start - b!.start || b!.end - a!.end || a!.id - b!.id,
  );

  let next = 0;
  const copy = (start: number, end: number): string => {
    let text = "";
    for (const [offset, insertion] of [...insertions].sort(([a], [b]) => a - b)) {
      if (offset < start || offset >= end) continue;
      text += source.text({ start, end: offset }) + insertion;
      start = offset;
      insertions.delete(offset);
    }
    return text + source.text({ start, end });
  };
  const render = (range: Range): string => {
    let text = "";
    let at = range.start;
    while (next < ordered.length && ordered[next]![0]!.start < range.end) {
      const place = ordered[next++]!;
      const { start, end } = place[0]!;
      text += copy(at, start) + wrap(place, render({ start, end }));
      at = end;
    }
    return text + copy(at, range.end);
  };
  return render({ start: 0, end: source.bytes.length });
}

function wrap(place: readonly Edit[], inner: string): string {
  let text = inner;
  const removal = place.find(({ kind }) => kind === "remove");
  if (removal) return `{ if (!isActive(${removal.id})) { ${inner} } }`;
  const modifier = place.find((edit) => edit.kind === "modifier");
  if (modifier) return `${modifier.name}Unless(${modifier.id})`;
  const cast = place.map((edit) => (edit.kind === "replace" ? edit.cast : "")).find((type) => type !== "");
  if (cast !== undefined) text = `${cast}(${inner})`;
  for (const edit of place.toReversed()) {
    if (edit.kind !== "replace") continue;
    const other = edit.cast === "" ? `(${edit.text})` : `${edit.cast}(${edit.text})`;
    text = `(isActive(${edit.id}) ? ${other} : ${place.at(-1) === edit ? `(${text})` : text})`;
  }
  return text;
}
