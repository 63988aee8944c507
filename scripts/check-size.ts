// Prints the code size of every contract under contracts/ and fails over the limits of EIP-170 and EIP-3860.
import { readFileSync, globSync } from "node:fs";
import { parseArgs } from "node:util";

const RUNTIME_LIMIT = 24_576;
const INIT_LIMIT = 49_152;
// Less room than this is a warning: the next fix must not be the one that does not fit.
const RESERVE = 2_048;

const { values: options } = parseArgs({ options: { json: { type: "boolean" }, help: { type: "boolean" } } });
if (options.help) {
  console.log(
    "check:size [--json]\n\nCode sizes of contracts/ in bytes; fails over EIP-170's or EIP-3860's limit.",
  );
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

if (options.json) {
  console.log(JSON.stringify({ limit: RUNTIME_LIMIT, sizes }, null, 2));
} else {
  const width = Math.max(8, ...sizes.map(({ name }) => name.length));
  const cell = (value: number | string) => value.toLocaleString("en").padStart(8);
  console.log(`${"contract".padEnd(width)}${cell("runtime")}${cell("free")}${cell("init")}`);
  for (const { name, runtime, free, init } of sizes) {
    const remark =
      free < 0 || init > INIT_LIMIT
        ? "  TOO LARGE"
        : free < RESERVE
          ? `  warning: under ${RESERVE} free`
          : "";
    console.log(`${name.padEnd(width)}${cell(runtime)}${cell(free)}${cell(init)}${remark}`);
  }
}
if (tooLarge.length > 0) process.exitCode = 1;
