// Whether a directory is what its manifest says, its lines are what the schema says, and its sums what the chain said.
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { z } from "zod";

import { BALANCES, jsonSchema, type Line, SCHEMA } from "./lines.ts";
import { Sums } from "./reconcile.ts";
import type { Solvency } from "./solvency.ts";
import { digestOf, filesIn, MANIFEST, manifestSchema, toJson, type Manifest } from "./write.ts";

const MOST = 20;

export interface Verification {
  directory: string;
  schema?: string;
  lines: number;
  files: number;
  problems: string[];
}

export async function verify(directory: string): Promise<Verification> {
  const problems: string[] = [];
  const found: Verification = { directory, lines: 0, files: 0, problems };
  if (!existsSync(join(directory, MANIFEST))) {
    problems.push(`${directory} has no ${MANIFEST}: it is no report`);
    return found;
  }
  const manifest = readManifest(join(directory, MANIFEST), problems);
  if (!manifest) return found;
  found.schema = manifest.schema;
  found.files = manifest.files.length;
  for (const { name, bytes, sha256 } of manifest.files) {
    const file = join(directory, name);
    if (!existsSync(file)) {
      problems.push(`${name} is missing`);
      continue;
    }
    const digest = digestOf(file);
    if (digest.sha256 !== sha256) {
      problems.push(
        `${name} has SHA-256 ${digest.sha256} and ${digest.bytes} bytes, not ${sha256} and ${bytes}`,
      );
    }
  }
  const listed = new Set([MANIFEST, ...manifest.files.map(({ name }) => name)]);
  for (const name of filesIn(directory)) {
    if (!listed.has(name)) problems.push(`${name} is in no manifest`);
  }
  if (problems.length > 0) return found;
  const text = readFileSync(join(directory, "register.schema.json"), "utf8");
  if (text !== toJson(jsonSchema())) {
    problems.push(`register.schema.json is not that of ${SCHEMA}`);
    return found;
  }
  const sums = await readLines(join(directory, "register.jsonl"), text, found);
  if (sums.lines !== manifest.lines) {
    problems.push(`register.jsonl has ${sums.lines} lines, the manifest says ${manifest.lines}`);
  }
  if (problems.length === 0) addUp(directory, manifest, sums, problems);
  if (!manifest.reconciled) problems.push("the manifest itself says that it was not reconciled");
  return found;
}

function readManifest(file: string, problems: string[]): Manifest | undefined {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    problems.push(`${MANIFEST} is no JSON: ${(error as Error).message}`);
    return undefined;
  }
  const schema = (json as { schema?: unknown } | null)?.schema;
  if (schema !== SCHEMA) {
    problems.push(
      `it was written as ${JSON.stringify(schema) as string | undefined}, and this command verifies ${SCHEMA}: ` +
        "use the version of the command that wrote it, or write the report anew",
    );
    return undefined;
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) problems.push(`${MANIFEST}: ${z.prettifyError(parsed.error).replaceAll("\n", " ")}`);
  return parsed.data;
}

/** By the published schema alone, as anybody else would read it. */
async function readLines(file: string, schemaText: string, found: Verification): Promise<Sums> {
  const schema = z.fromJSONSchema(JSON.parse(schemaText) as Parameters<typeof z.fromJSONSchema>[0]);
  const sums = new Sums();
  for await (const text of createInterface({ input: createReadStream(file) })) {
    const parsed = schema.safeParse(jsonOf(text));
    if (parsed.success) sums.add(parsed.data as Line);
    else if (found.problems.length < MOST) {
      const words = z.prettifyError(parsed.error).replaceAll("\n", " ");
      found.problems.push(`register.jsonl, line ${sums.lines + 1}: ${words}`);
    }
  }
  found.lines = sums.lines;
  return sums;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Balances before + lines = balances after. */
function addUp(directory: string, { period }: Manifest, sums: Sums, problems: string[]): void {
  const read = (block: number) =>
    JSON.parse(readFileSync(join(directory, `solvency-${block}.json`), "utf8")) as Solvency;
  const [before, after] = [read(period.from.block - 1), read(period.to.block)];
  for (const { market, balances } of after.markets) {
    const opening = before.markets.find((each) => each.market === market)!.balances;
    for (const name of Object.keys(BALANCES) as (keyof typeof BALANCES)[]) {
      const change = BigInt(balances[name].raw) - BigInt(opening[name].raw);
      const told = sums.balances.get(market)?.[name] ?? 0n;
      if (change !== told) problems.push(`${market}: ${name} changed by ${change}, the lines sum to ${told}`);
    }
  }
}
