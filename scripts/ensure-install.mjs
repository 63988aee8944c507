// The first thing that every npm script does, on any Node and with nothing installed: make node_modules match
// the lock. Called in the script itself, as npm skips pre-hooks where ignore-scripts is set.
// Hardhat's native part declares Node >= 22 and npm under an older Node silently leaves it out, hence the
// detour through a newer Node. The stamp makes the usual case a matter of milliseconds.
//
// `--stamp` (the postinstall hook) only records an install that npm itself has just made. An argument
// (bench, scripts/postgres) names another folder with a lock of its own, which is installed only when it is needed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const home = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = process.argv.slice(2).find((argument) => !argument.startsWith("--"));
const root = folder === undefined ? home : join(home, folder);
const stampFile = join(root, "node_modules", ".stamp");

const stamp = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json"), "utf8").replace(/\r\n/g, "\n"))
  .update(`${process.platform} ${process.arch}`)
  .digest("hex");

/** Whether a Node version ("v20.1.2") is one that Hardhat's native part installs on. */
function isNewEnough(version) {
  const [major, minor] = version.replace(/^v/, "").split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 13);
}

if (process.argv.includes("--stamp")) {
  // Here `node` is already the installed one; what counts is the Node that npm runs on.
  const npmsNode = /node\/(v[\d.]+)/.exec(process.env.npm_config_user_agent || "");
  if (npmsNode && isNewEnough(npmsNode[1])) writeFileSync(stampFile, stamp);
} else if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
  // Whatever the machine's npm settings say, development dependencies and their scripts are needed.
  const ci = ["ci", "--include=dev", "--ignore-scripts=false", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  if (!npm) fail("run this through npm: npm run ensure");
  console.error("Installing dependencies (npm ci) …");
  if (isNewEnough(process.version)) {
    run([npm, ...ci]);
  } else {
    const { node } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")).devDependencies;
    run([npm, "exec", "--yes", "--loglevel=error", `--package=node@${node}`, "--", "node", npm, ...ci]);
  }
  writeFileSync(stampFile, stamp);
}

function run(args) {
  // npm's chatter goes to stderr: commands with --json keep a clean stdout.
  const { status, error } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) fail(error.message);
  if (status !== 0) fail(`npm ci failed (exit code ${status})`);
}

function fail(message) {
  console.error(`ensure-install: ${message}`);
  process.exit(1);
}
