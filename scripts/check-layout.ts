// Compares the storage of the upgradeable contracts with storage-layouts/*.json, which describe what is deployed:
// variables may be appended, nothing may move or change its type. ERC-7201 namespaces are included. Also runs
// OpenZeppelin's other upgrade checks (initializers, selfdestruct, delegatecall).
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";

import {
  assertStorageUpgradeSafe,
  getContractVersion,
  getErrors,
  getStorageLayout,
  makeNamespacedInput,
  solcInputOutputDecoder,
  UpgradeableContractErrorReport,
  validate,
  withValidationDefaults,
  type SolcInput,
  type SolcOutput,
  type StorageLayout,
} from "@openzeppelin/upgrades-core";

const CONTRACTS = ["Vault", "EmergencyBrake", "InsuranceFund"];
const DIR = "storage-layouts";

// Ours by design: token addresses and scales are immutables of the implementation, and liquidation sweeps are a
// linked library.
const ALLOWED = ["constructor", "state-variable-immutable", "external-library-linking"];
const OPTIONS = withValidationDefaults({ kind: "transparent" });

const { values: options } = parseArgs({ options: { write: { type: "boolean" }, help: { type: "boolean" } } });
if (options.help) {
  console.log(`check:layout [-- --write]

Fails when storage of ${CONTRACTS.join(", ")} is not compatible with ${DIR}/.
--write  makes the present layouts the reference (after a deployment or an upgrade)`);
  process.exit();
}

const readJson = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));

/** Layouts carry AST ids, which differ from build to build: numbered by appearance they compare as text. */
function withoutIds(layout: StorageLayout): StorageLayout {
  const ids = new Map<string, number>();
  const text = JSON.stringify(layout, (key, value: unknown) =>
    key === "src" || key === "astId" ? undefined : value,
  );
  return JSON.parse(
    text.replace(/\)(\d+)(?=[_,)"])/g, (_, id: string) => {
      if (!ids.has(id)) ids.set(id, ids.size + 1);
      return `)${ids.get(id)}`;
    }),
  ) as StorageLayout;
}

/** The compiler knows the slots of namespaced structs only when they are made state variables. */
function compileNamespaces(input: SolcInput, output: SolcOutput): SolcOutput {
  const solc = createRequire(import.meta.url)("solc") as { compile(input: string): string };
  return JSON.parse(solc.compile(JSON.stringify(makeNamespacedInput(input, output)))) as SolcOutput;
}

type RunData = ReturnType<typeof validate>;
const runs = new Map<string, RunData>();

function check(name: string): { state: string; failures: string[] } {
  const reference = join(DIR, `${name}.json`);
  const [file] = globSync(`artifacts/contracts/**/${name}.sol/${name}.json`);
  if (file === undefined) {
    if (existsSync(reference))
      return { state: "FAILED", failures: [`${reference} exists, the contract does not`] };
    return { state: "does not exist yet", failures: [] };
  }
  const { buildInfoId, inputSourceName } = readJson(file) as { buildInfoId: string; inputSourceName: string };
  let run = runs.get(buildInfoId);
  if (!run) {
    const { input, solcVersion } = readJson(`artifacts/build-info/${buildInfoId}.json`) as {
      input: SolcInput;
      solcVersion: string;
    };
    const { output } = readJson(`artifacts/build-info/${buildInfoId}.output.json`) as { output: SolcOutput };
    const decoder = solcInputOutputDecoder(input, output);
    run = validate(output, decoder, solcVersion, input, compileNamespaces(input, output));
    runs.set(buildInfoId, run);
  }

  const failures: string[] = [];
  const version = getContractVersion(run, `${inputSourceName}:${name}`);
  const errors = getErrors(run, version, OPTIONS).filter(({ kind }) => !ALLOWED.includes(kind));
  if (errors.length > 0) failures.push(new UpgradeableContractErrorReport(errors).explain());

  const layout = getStorageLayout(run, version);
  const text = `${JSON.stringify(withoutIds(layout), null, 2)}\n`;
  let state = "unchanged";
  if (options.write) {
    mkdirSync(DIR, { recursive: true });
    writeFileSync(reference, text);
    state = "written";
  } else if (!existsSync(reference)) {
    failures.push(`${reference} is missing: npm run check:layout -- --write`);
  } else if (readFileSync(reference, "utf8") !== text) {
    state = "appended to";
    try {
      assertStorageUpgradeSafe(readJson(reference) as StorageLayout, layout, OPTIONS);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { state: failures.length > 0 ? "FAILED" : state, failures };
}

for (const name of CONTRACTS) {
  const { state, failures } = check(name);
  console.log(`${name.padEnd(16)}${state}`);
  for (const failure of failures) console.error(`\n${failure}\n`);
  if (failures.length > 0) process.exitCode = 1;
}
