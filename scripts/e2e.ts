// `npm run test:e2e`: the web app in a real browser, against a chain of its own.
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { buildWeb } from "./start/web.ts";

const HELP = `usage: npm run test:e2e -- [FILE …] [--screens] [--help]

  FILE       of test/e2e, such as test/e2e/shell.ts (all)
  --screens  writes a picture of every screen to docs/screens

Needs Chromium: Debian's (apt-get install chromium), or another one that the variable CHROMIUM names.
`;

const root = fileURLToPath(new URL("..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { screens: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
});
const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

if (values.help) {
  process.stdout.write(HELP);
} else if (!existsSync(chromium)) {
  console.error(`There is no Chromium at ${chromium}.\n\n${HELP}`);
  process.exitCode = 1;
} else {
  // Once, before the files, which run side by side.
  await buildWeb();
  const files =
    positionals.length > 0
      ? positionals
      : globSync("test/e2e/*.ts", { cwd: root }).filter((file) => !/(stage|wallet)\.ts$/.test(file));
  const hardhat = join(
    dirname(createRequire(import.meta.url).resolve("hardhat/package.json")),
    "dist/src/cli.js",
  );
  const { status } = spawnSync(process.execPath, [hardhat, "test", "mocha", ...files, "--no-compile"], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, E2E: "yes", ...(values.screens && { SCREENS: "yes" }) },
  });
  process.exitCode = status ?? 1;
}
