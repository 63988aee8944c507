// Lets the compiler's model checker (z3, inside solc-js) prove claims about the contracts' arithmetic for all inputs
// within their bounds: no overflow, no underflow, no division by zero, and what each claim asserts.
//
// The checker cannot take the contracts whole, so each claim gets a library with the text of the functions that it is
// about, cut from the source. Two things are changed, both to prove more: `unchecked` is dropped, and a shift to the left
// becomes a product, so that lost bits count as an overflow. What is written in assembly elsewhere is replaced by what
// it does (AXIOMS). docs/audit/arithmetic.md proves the rest on paper.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

import { AXIOMS, CLAIMS, type Claim } from "./smt/claims.ts";

const { values: options } = parseArgs({
  options: { json: { type: "boolean" }, only: { type: "string" }, help: { type: "boolean" } },
});
if (options.help) {
  console.log(`check:smt [-- --only NAME] [-- --json]

Proves the arithmetic's claims (scripts/smt/claims.ts) with the compiler's model checker; fails if one is not proved.`);
  process.exit();
}

interface Output {
  errors?: { severity: string; message: string; formattedMessage: string }[];
}
const solc = createRequire(import.meta.url)("solc") as { compile(input: string): string };

/** From `start` to the end of the block that opens after it. */
function block(source: string, start: number): string {
  let depth = 0;
  for (let end = source.indexOf("{", start); end < source.length; end++) {
    if (source[end] === "{") depth++;
    if (source[end] === "}" && --depth === 0) return source.slice(start, end + 1);
  }
  throw new Error(`no end of the block at ${start}`);
}

function cut(source: string, pattern: RegExp, what: string): string {
  const found = pattern.exec(source);
  if (!found) throw new Error(`${what} is not there any more`);
  return block(source, found.index);
}

/** A library with the constants, and the named structs and functions, of a source. */
function excerpt({ library, functions, structs = [], wraps }: Claim): string {
  const source = readFileSync(`contracts/libraries/${library}.sol`, "utf8").replace(/\/\/.*$/gm, "");
  const uses = source.match(/^ {4}using FixedPointMathLib for uint256;/gm) ?? [];
  const constants = source.match(/^ {4}\w+ (internal|private) constant [^;]+;/gm) ?? [];
  const parts = [
    ...uses,
    ...constants,
    ...(source.match(/^ {4}enum \w+ \{[^}]*\}/gm) ?? []),
    ...structs.map((name) => cut(source, new RegExp(`struct ${name} `), `struct ${name}`)),
    ...functions.map((name) => cut(source, new RegExp(`function ${name}\\(`), `function ${name}`)),
  ];
  return `library ${library} {\n${parts.join("\n")}\n}`
    .replace(wraps ? /$^/ : /\bunchecked \{/g, "{")
    .replace(/\bprivate\b/g, "internal")
    .replace(/ << (\w+(\.\w+)*)/g, " * 2 ** $1");
}

function prove(claim: Claim): { proved: number; open: string[] } {
  const content = [
    "// SPDX-License-Identifier: MIT",
    "pragma solidity 0.8.37;",
    AXIOMS,
    excerpt(claim),
    `contract Claim {\n    function claim(${claim.given}) external view {\n${claim.says}\n    }\n}`,
  ].join("\n");
  const modelChecker = {
    engine: "bmc",
    contracts: { "Claim.sol": ["Claim"] },
    targets: ["assert", "overflow", "underflow", "divByZero"],
    showProvedSafe: true,
    showUnproved: true,
    solvers: ["z3"],
  };
  const input = {
    language: "Solidity",
    sources: { "Claim.sol": { content } },
    settings: { modelChecker, outputSelection: { "*": { "*": [] } } },
  };
  const { errors = [] } = JSON.parse(solc.compile(JSON.stringify(input))) as Output;
  const proved = errors.filter(({ message }) => /BMC: .* is safe!/.test(message)).length;
  const open = errors.filter(
    ({ severity, message }) => severity === "error" || /happens here|might happen/.test(message),
  );
  return { proved, open: open.map(({ formattedMessage }) => formattedMessage.trim()) };
}

const results = [];
for (const claim of CLAIMS.filter(({ name }) => name.includes(options.only ?? ""))) {
  const start = Date.now();
  const { proved, open } = prove(claim);
  const seconds = (Date.now() - start) / 1000;
  const holds = proved > 0 && open.length === 0;
  results.push({ name: claim.name, holds, checks: proved, seconds, open });
  if (!options.json) {
    const state = holds ? "proved" : "NOT PROVED";
    console.log(`${state.padEnd(11)} ${claim.name} (${proved} checks, ${seconds.toFixed(1)} s)`);
    for (const text of open) console.log(`\n${text}\n`);
  }
}
if (options.json) console.log(JSON.stringify(results, null, 2));
if (results.length === 0 || results.some(({ holds }) => !holds)) process.exitCode = 1;
