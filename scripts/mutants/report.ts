// What a run over mutants says: figures per file and the survivors.
import type { Mutant } from "./generate.ts";
import type { Failure } from "./worker.ts";

export interface Result extends Mutant {
  /** The first test that noticed; null: none did. */
  killedBy: Failure | null;
  milliseconds: number;
  /** Why no test can notice; empty if there is no reason. */
  explanation: string;
}

interface Figures {
  file: string;
  mutants: number;
  killed: number;
  survived: number;
  /** Of those that survived. */
  explained: number;
  /** Killed of all, percent; and of those that are not explained. */
  killedOfAll: number;
  score: number;
}

export interface Summary {
  date: string;
  files: Figures[];
  total: Figures;
  survivors: Omit<Result, "killedBy" | "milliseconds">[];
}

export function summarize(results: readonly Result[]): Summary {
  const files = [...new Set(results.map(({ file }) => file))];
  return {
    date: new Date().toISOString().slice(0, 10),
    files: files.map((file) =>
      figures(
        file,
        results.filter((result) => result.file === file),
      ),
    ),
    total: figures("total", results),
    survivors: results
      .filter(({ killedBy }) => killedBy === null)
      .map(({ killedBy: _killedBy, milliseconds: _milliseconds, ...survivor }) => survivor),
  };
}

function figures(file: string, results: readonly Result[]): Figures {
  const survivors = results.filter(({ killedBy }) => killedBy === null);
  const killed = results.length - survivors.length;
  const explained = survivors.filter(({ explanation }) => explanation !== "").length;
  return {
    file,
    mutants: results.length,
    killed,
    survived: survivors.length,
    explained,
    killedOfAll: percent(killed, results.length),
    score: percent(killed, results.length - explained),
  };
}

/** With one decimal, rounded down. */
const percent = (part: number, whole: number) => Math.floor((part / whole) * 1000) / 10;

export function toTable({ files, total, survivors }: Summary): string {
  const rows = [...files, total].map(
    (row) =>
      row.file.padEnd(36) +
      [row.mutants, row.killed, row.survived, row.explained]
        .map((value) => String(value).padStart(10))
        .join("") +
      [row.killedOfAll, row.score].map((value) => `${value.toFixed(1)} %`.padStart(10)).join(""),
  );
  const head = `${"".padEnd(36)}${["mutants", "killed", "survived", "explained", "of all", "score"].map((name) => name.padStart(10)).join("")}`;
  const open = survivors
    .filter(({ explanation }) => explanation === "")
    .map(
      ({ id, file, line, before, after }) =>
        `${id} ${file}:${line}\n    - ${before}\n    + ${after || "(removed)"}`,
    );
  return [head, ...rows, ...(open.length > 0 ? ["", "Not explained:", ...open] : [])].join("\n");
}

/** `missing`: files whose mutants have not all been run. */
export function toMarkdown(
  { date, files, total, survivors }: Summary,
  missing: readonly string[] = [],
): string {
  const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  const code = (text: string) => `\`${text.replaceAll("|", "\\|")}\``;
  const figuresRow = (figure: Figures) =>
    row([
      figure.file.replace("contracts/", ""),
      figure.mutants,
      figure.killed,
      figure.survived,
      figure.explained,
      `${figure.killedOfAll.toFixed(1)} %`,
      `${figure.score.toFixed(1)} %`,
    ]);
  return `# Mutants

Written by \`npm run test:mutants\` on ${date}. Every mutant is one change of the contracts: an operator, the direction of a
rounding, a comparison or its boundary, a condition that always or never holds, a dropped guard (\`require\`, modifier, checked
cast), a removed statement, a small constant one up or down, the lower price for the higher. It is killed when a test of the quick suite
fails; gas, sizes and layouts do not count. How it works: [testing](../testing.md#mutants).

The score is killed of those that are not explained.

| file | mutants | killed | survived | explained | killed of all | score |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
${[...files, total].map(figuresRow).join("\n")}
${missing.length === 0 ? "" : `\nMutated too, but not all run yet: ${missing.map((file) => file.replace("contracts/", "")).join(", ")}.\n`}
## Survivors

${files
  .filter(({ survived }) => survived > 0)
  .map(
    ({ file }) =>
      `### ${file.replace("contracts/", "")}\n\n| line | change | why no test notices |\n| ---: | --- | --- |\n` +
      survivors
        .filter((survivor) => survivor.file === file)
        .map(({ line, before, after, explanation }) =>
          row([line, `${code(before)} → ${after ? code(after) : "removed"}`, explanation || "**open**"]),
        )
        .join("\n"),
  )
  .join("\n\n")}
`;
}
