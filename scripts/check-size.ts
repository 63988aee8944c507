// Prints the code size of every contract under contracts/. Fails over the limits of EIP-170 and EIP-3860, and when a
// contract is larger than .size-snapshot says: whoever makes one larger renews the snapshot and says why.
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const RUNTIME_LIMIT = 24_576;
const INIT_LIMIT = 49_152;
// Less room than this is a warning: the next fix must not be the one that does not fit.
const RESERVE = 2_048;
const SNAPSHOT = ".size-snapshot";

const { values: options } = parseArgs({
  options: { json: { type: "boolean" }, write: { type: "boolean" }, help: { type: "boolean" } },
});
if (options.help) {
  console.log(`check:size [-- --json] [-- --write]

Code sizes of contracts/ in bytes. Fails over EIP-170's or EIP-3860's limit, and when a contract is larger than in
${SNAPSHOT}, or missing there.
--json   prints JSON
--write  makes the present sizes the reference`);
  process.exit();
}

const bytes = (hex: string) => (hex.length - 2) / 2;

const sizes = globSync("artifacts/contracts/**/*.sol/*.json")
  .map(
    (file) =>
      JSON.parse(readFileSync(file, "utf8")) as Record<
        "contractName" | "bytecode" | "deployedBytecode",
        string
      >,
  )
  .map((artifact) => ({
    name: artifact.contractName,
    runtime: bytes(artifact.deployedBytecode),
    free: RUNTIME_LIMIT - bytes(artifact.deployedBytecode),
    init: bytes(artifact.bytecode),
  }))
  // Interfaces have no code, libraries without external functions only a stub.
  .filter(({ runtime }) => runtime > 100)
  .sort((a, b) => b.runtime - a.runtime);

const tooLarge = sizes.filter(({ free, init }) => free < 0 || init > INIT_LIMIT);

if (options.write) {
  const lines = sizes.map(({ name, runtime }) => `  ${JSON.stringify(name)}: ${runtime}`);
  writeFileSync(SNAPSHOT, `{\n${lines.join(",\n")}\n}\n`);
}
const snapshot = existsSync(SNAPSHOT)
  ? (JSON.parse(readFileSync(SNAPSHOT, "utf8")) as Record<string, number>)
  : {};
const grown = sizes.filter(({ name, runtime }) => runtime > (snapshot[name] ?? 0));

if (options.json) {
  console.log(JSON.stringify({ limit: RUNTIME_LIMIT, sizes, snapshot }, null, 2));
} else {
  const width = Math.max(8, ...sizes.map(({ name }) => name.length));
  const cell = (value: number | string) => value.toLocaleString("en").padStart(8);
  const difference = (bytes_: number) => (bytes_ === 0 ? "" : `  ${bytes_ > 0 ? "+" : ""}${bytes_}`);
  console.log(`${"contract".padEnd(width)}${cell("runtime")}${cell("free")}${cell("init")}`);
  for (const { name, runtime, free, init } of sizes) {
    const remark =
      free < 0 || init > INIT_LIMIT
        ? "  TOO LARGE"
        : free < RESERVE
          ? `  warning: under ${RESERVE} free`
          : "";
    const change = snapshot[name] === undefined ? "  new" : difference(runtime - snapshot[name]);
    console.log(`${name.padEnd(width)}${cell(runtime)}${cell(free)}${cell(init)}${change}${remark}`);
  }
}
if (grown.length > 0) {
  const names = grown.map(({ name }) => name).join(", ");
  console.error(`larger than ${SNAPSHOT}: ${names}. If it is meant: npm run check:size -- --write`);
}
if (tooLarge.length > 0 || grown.length > 0) process.exitCode = 1;
