// Which test killed which mutant, in few bytes: so that a clone need not begin anew.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import type { Mutant } from "./generate.ts";
import type { Failure } from "./worker.ts";

export interface Kill {
  key: string;
  /** Of the mutated file. */
  version: string;
  killedBy: Failure;
}

interface Kills {
  /** Stage and test. */
  tests: [string, string][];
  /** By file: its version, and for each killed mutant the number of the test. */
  files: Record<string, { version: string; kills: Record<string, number> }>;
}

const fileOf = (key: string) => key.split(" ")[0]!;
const short = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 10);

export function readKills(path: string, mutants: readonly Mutant[]): Kill[] {
  if (!existsSync(path)) return [];
  const { tests, files } = JSON.parse(readFileSync(path, "utf8")) as Kills;
  return mutants.flatMap(({ key }) => {
    const file = files[fileOf(key)];
    const test = tests[file?.kills[short(key)] ?? -1];
    return file && test
      ? [{ key, version: file.version, killedBy: { stage: test[0], test: test[1], message: "" } }]
      : [];
  });
}

export function writeKills(path: string, all: readonly Kill[]): void {
  const sorted = all.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const names = [...new Set(sorted.map(({ killedBy }) => `${killedBy.stage}\n${killedBy.test}`))].sort();
  const files: Kills["files"] = {};
  for (const { key, version, killedBy } of sorted) {
    const file = (files[fileOf(key)] ??= { version, kills: {} });
    file.kills[short(key)] = names.indexOf(`${killedBy.stage}\n${killedBy.test}`);
  }
  const tests = names.map((name) => name.split("\n", 2));
  writeFileSync(path, JSON.stringify({ tests, files }, null, 1) + "\n");
}
