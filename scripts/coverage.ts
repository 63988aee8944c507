// Runs the tests with Hardhat's coverage and prints what they reach of each contract. Left out are the tests that start
// processes of their own, which coverage cannot follow. docs/audit/coverage.md shows the table and explains the rest.
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const PAGE = "docs/audit/coverage.md";

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean" },
    write: { type: "boolean" },
    report: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (options.help) {
  console.log(`coverage [-- --report] [-- --json] [-- --write]

Tests with coverage (a quarter of an hour); HTML and lcov go to coverage/. Prints lines reached per contract.
--report  reads coverage/lcov.info of the last run instead
--write   puts the table into ${PAGE}`);
  process.exit();
}

if (!options.report) {
  const files = globSync("test/**/*.{ts,sol}").filter((file) => {
    if (file.endsWith(".sol")) return file.endsWith(".t.sol");
    const source = readFileSync(file, "utf8");
    return /^\s*describe\(/m.test(source) && !/node:child_process/.test(source);
  });
  // Instrumented code is larger than the limit.
  const env = { ...process.env, ALLOW_UNLIMITED_CONTRACT_SIZE: "1" };
  const { status } = spawnSync("hardhat", ["test", "--coverage", ...files], { stdio: "inherit", env });
  // Tests of gas fail here: instrumented code uses more.
  if (status !== 0) console.error("Some tests failed under coverage; those of gas and size do.");
}

interface FileCoverage {
  file: string;
  lines: number;
  reached: number;
  missed: number[];
}

/** lcov: SF:file, then DA:line,hits for each line. */
function parseLcov(text: string): FileCoverage[] {
  return text
    .split("end_of_record")
    .map((record): FileCoverage => {
      const file = /^SF:(.*)$/m.exec(record)?.[1] ?? "";
      const hits = [...record.matchAll(/^DA:(\d+),(\d+)/gm)].map(
        ([, line, count]) => [Number(line), Number(count)] as const,
      );
      const missed = hits.filter(([, count]) => count === 0).map(([line]) => line);
      return { file, lines: hits.length, reached: hits.length - missed.length, missed };
    })
    .filter(({ file }) => file.startsWith("contracts/") && !file.includes("/mocks/"))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

const files = parseLcov(readFileSync("coverage/lcov.info", "utf8"));
const percent = (reached: number, lines: number) => `${((100 * reached) / lines).toFixed(1)} %`;
const sum = (key: "lines" | "reached") => files.reduce((total, file) => total + file[key], 0);
const table = [
  "| file | lines | reached | not reached |",
  "| --- | --- | --- | --- |",
  ...files.map(
    ({ file, lines, reached, missed }) =>
      `| ${file} | ${lines} | ${percent(reached, lines)} | ${missed.join(", ") || "–"} |`,
  ),
  `| all | ${sum("lines")} | ${percent(sum("reached"), sum("lines"))} | ${sum("lines") - sum("reached")} lines |`,
].join("\n");

if (options.write) {
  const page = readFileSync(PAGE, "utf8");
  writeFileSync(PAGE, page.replace(/\| file \| lines[\s\S]*?\| all \|.*\|/, table));
}
console.log(options.json ? JSON.stringify(files, null, 2) : table);
if (files.length === 0) process.exitCode = 1;
