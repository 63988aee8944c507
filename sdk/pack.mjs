// npm pack and npm publish: before, `build` writes dist/ and puts in force what package.json says under publishConfig, which
// npm leaves alone; after, `restore` takes that back. In the workspace the exports are the sources.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const manifest = join(here, "package.json");
const source = join(here, "package.json.source");

/** Chains that nobody else can reach. */
const LOCAL = ["31337.json"];

async function build() {
  if (!existsSync(join(here, "src/abi/index.ts"))) {
    throw new Error("the ABIs are not generated yet: run npm run build in the repository first");
  }
  rmSync(dist, { recursive: true, force: true });
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: here, stdio: "inherit" });

  const abis = await import("./dist/abi/index.js");
  for (const [name, abi] of Object.entries(abis)) {
    writeFileSync(join(dist, "abi", `${name.replace(/Abi$/, "")}.json`), `${JSON.stringify(abi)}\n`);
  }
  const deployed = join(here, "../deploy/addresses");
  mkdirSync(join(dist, "addresses"));
  for (const file of existsSync(deployed) ? readdirSync(deployed) : []) {
    if (!LOCAL.includes(file)) copyFileSync(join(deployed, file), join(dist, "addresses", file));
  }

  const text = readFileSync(manifest, "utf8");
  const { publishConfig, ...rest } = JSON.parse(text);
  delete rest.scripts;
  writeFileSync(source, text);
  writeFileSync(manifest, `${JSON.stringify({ ...rest, ...publishConfig }, null, 2)}\n`);
}

function restore() {
  if (!existsSync(source)) return;
  writeFileSync(manifest, readFileSync(source));
  rmSync(source);
}

restore(); // a former attempt may have ended in between
if (process.argv[2] === "build") await build();
