// The size of what an audit covers. docs/audit/scope.md shows the same table; test/docs/audit.ts compares them.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const PAGE = "docs/audit/scope.md";

/** Lines of a Solidity file with something other than comment on them. */
const codeLines = (source: string): number =>
  source
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .filter((line) => line.replace(/\/\/.*/, "").trim() !== "").length;

export interface ScopeLine {
  file: string;
  code: number;
  lines: number;
}

export function scope(): ScopeLine[] {
  return globSync("contracts/**/*.sol")
    .filter((file) => !file.includes("/mocks/"))
    .sort()
    .map((file) => {
      const source = readFileSync(file, "utf8");
      return { file, code: codeLines(source), lines: source.split("\n").length - 1 };
    });
}

export function scopeTable(): string {
  const files = scope();
  const sum = (key: "code" | "lines") => files.reduce((total, file) => total + file[key], 0);
  const rows = files.map(({ file, code, lines }) => `| [${file}](../../${file}) | ${code} | ${lines} |`);
  const total = `| ${files.length} files | ${sum("code")} | ${sum("lines")} |`;
  return ["| file | code | with comments |", "| --- | --- | --- |", ...rows, total].join("\n");
}

if (import.meta.filename === process.argv[1]) {
  const { values: options } = parseArgs({
    options: { json: { type: "boolean" }, write: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (options.help) {
    console.log(`report:scope [-- --json] [-- --write]

Lines of contracts/, without mocks. --write puts the table into ${PAGE}.`);
  } else {
    if (options.write) {
      const page = readFileSync(PAGE, "utf8");
      writeFileSync(PAGE, page.replace(/\| file \| code[\s\S]*? files \|.*\|/, scopeTable()));
    }
    console.log(options.json ? JSON.stringify(scope(), null, 2) : scopeTable());
  }
}
