// The directory of a report: written beside its place, and moved there when it is whole.
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

import { z } from "zod";

import { Refusal } from "@breakwater/sdk/desk";
import {
  ACCOUNT_COLUMNS,
  accountRow,
  COLUMNS,
  csvOf,
  csvRow,
  jsonSchema,
  type Line,
  lineSchema,
  SCHEMA,
} from "./lines.ts";

export const manifestSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  statement: z.string(),
  command: z.string(),
  version: z.string(),
  chain: z.string(),
  contracts: z.record(z.string(), z.string()),
  sources: z.array(
    z.strictObject({
      adapter: z.string(),
      mirrors: z.string().optional(),
      primary: z.array(z.string()).optional(),
      second: z.array(z.string()).optional(),
    }),
  ),
  period: z.strictObject({
    from: z.strictObject({ block: z.int(), blockHash: z.string(), time: z.string() }),
    to: z.strictObject({ block: z.int(), blockHash: z.string(), time: z.string() }),
  }),
  lines: z.int(),
  reconciled: z.boolean(),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.int(), sha256: z.string() })),
});
export type Manifest = z.infer<typeof manifestSchema>;

export const MANIFEST = "manifest.json";
/** Text that waits to be written, of all files together. */
const MAX_WAITING = 32_000_000;

export class Directory {
  private readonly place: string;
  private readonly waiting = new Map<string, string[]>();
  private readonly begun = new Set<string>();
  private characters = 0;

  constructor(private readonly out: string) {
    refuseForeign(out);
    mkdirSync(dirname(out), { recursive: true });
    this.place = join(dirname(out), `.${basename(out)}-${process.pid}`);
    mkdirSync(join(this.place, "accounts"), { recursive: true });
    this.put("register.schema.json", toJson(jsonSchema()));
    this.append("register.csv", csvRow(COLUMNS));
    this.append("register.jsonl");
  }

  /** Nothing is written that the schema does not know. */
  add(line: Line): void {
    const checked = lineSchema.parse(line);
    this.append("register.jsonl", JSON.stringify(checked));
    this.append("register.csv", csvOf(checked));
    if (checked.account === undefined) return;
    const file = `accounts/${checked.account.split(":").at(-1)!}.csv`;
    if (!this.begun.has(file)) this.append(file, csvRow(ACCOUNT_COLUMNS));
    this.append(file, accountRow(checked));
  }

  put(name: string, text: string): void {
    writeFileSync(join(this.place, name), text);
  }

  /** @returns the manifest, once everything is where it was meant to be. */
  finish(about: Omit<Manifest, "files" | "schema">): Manifest {
    this.flush();
    const manifest: Manifest = {
      schema: SCHEMA,
      ...about,
      files: filesIn(this.place).map((name) => ({ name, ...digestOf(join(this.place, name)) })),
    };
    this.put(MANIFEST, toJson(manifestSchema.parse(manifest)));
    rmSync(this.out, { recursive: true, force: true });
    renameSync(this.place, this.out);
    return manifest;
  }

  abandon(): void {
    rmSync(this.place, { recursive: true, force: true });
  }

  private append(name: string, row?: string): void {
    this.begun.add(name);
    let rows = this.waiting.get(name);
    if (!rows) this.waiting.set(name, (rows = []));
    if (row === undefined) return;
    rows.push(row);
    this.characters += row.length;
    if (this.characters > MAX_WAITING) this.flush();
  }

  private flush(): void {
    for (const [name, rows] of this.waiting) {
      appendFileSync(join(this.place, name), rows.map((row) => `${row}\n`).join(""));
    }
    this.waiting.clear();
    this.characters = 0;
  }
}

export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Names of all files below, in one order everywhere. */
export function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(directory.length + 1))
    .sort();
}

export function digestOf(file: string): { bytes: number; sha256: string } {
  const bytes = readFileSync(file);
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** An earlier report is replaced; anything else is not ours to touch. */
function refuseForeign(out: string): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory()) throw new Refusal(`--out ${out} is a file`);
  const files = filesIn(out);
  if (files.length === 0) return;
  const known = new Set([MANIFEST, ...namesIn(out)]);
  const foreign = files.filter((name) => !known.has(name));
  if (foreign.length > 0) {
    const some =
      foreign.slice(0, 3).join(", ") + (foreign.length > 3 ? ` and ${foreign.length - 3} more` : "");
    throw new Refusal(
      `--out ${out} has files that no earlier report lists: ${some}; name an empty directory`,
    );
  }
}

/** What the manifest that is there lists, of whatever version. */
function namesIn(directory: string): string[] {
  try {
    const manifest = JSON.parse(readFileSync(join(directory, MANIFEST), "utf8")) as Partial<Manifest>;
    return (manifest.files ?? []).map(({ name }) => name);
  } catch {
    return [];
  }
}
