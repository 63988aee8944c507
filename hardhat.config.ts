import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

import hardhatToolbox from "@nomicfoundation/hardhat-toolbox-mocha-ethers";
import { configVariable, defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);

// Never left to the compiler's default: the code must mean the same under the next solc.
const EVM_VERSION = "osaka";

// The compiler's own sequence without the function specializer (F), which copies whole functions for each constant
// argument: the Vault would be 1.2 kB larger.
const STEPS =
  "dhfoDgvulfnTUtnIf[xa[r]EscLMVcul[j]Tpeulxa[rul]xa[r]cLgvifCTUca[r]LSsTOtfDnca[r]Iulc]jmul[jul]VcTOculjmul:fDnTOcmu";

/** One compiler, taken from npm (WebAssembly), so that a build downloads nothing. */
const compiler = (runs: number) => ({
  version: "0.8.37",
  path: require.resolve("solc/soljson.js"),
  settings: {
    // First, as Hardhat puts it there for `production`: the order is part of the build's identity.
    optimizer: {
      enabled: true,
      runs,
      details: { yul: true, yulDetails: { stackAllocation: true, optimizerSteps: STEPS } },
    },
    evmVersion: EVM_VERSION,
    viaIR: true, // without it the stack is too deep
    // No metadata in the code: smaller, and comments do not change addresses or sizes.
    metadata: { bytecodeHash: "none", appendCBOR: false },
    // Hardhat adds what artifacts need; the layout is for scripts/check-layout.ts.
    outputSelection: { "*": { "*": ["storageLayout"] } },
  },
});

// The Vault needs size more than gas, and the Lens is called for free. Their job also compiles beside the others'
// (scripts/build-hooks.ts): a first start waits for the slower of the two instead of for both.
const SMALL = compiler(100);

// What is compiled alike is one job, and a job has one core. These two are large and share little with the rest: jobs of
// their own, by a number that changes nothing else.
const BESIDE = compiler(201);

const SOLC = {
  // By default Hardhat compiles `production` in another way: each deployment would cost two full builds and not
  // be byte for byte what was tested.
  isolated: false,
  toolVersionsInBuildInfo: false,
  compilers: [compiler(200)],
  overrides: {
    "contracts/Vault.sol": SMALL,
    "contracts/periphery/Lens.sol": SMALL,
    "test/invariant/Book.t.sol": BESIDE,
    "test/invariant/Brake.t.sol": BESIDE,
  },
};

export default defineConfig({
  plugins: [
    hardhatToolbox,
    { id: "breakwater", hookHandlers: { solidity: () => import("./scripts/build-hooks.ts") } },
  ],
  paths: {
    sources: "contracts",
    tests: { solidity: "test", mocha: "test" },
    ignition: "deploy",
  },
  solidity: {
    profiles: {
      default: SOLC,
      // Ignition builds with `production` unless told otherwise: it must be the tested code.
      production: SOLC,
    },
    // Safe and Uniswap v3 are not compiled: npm carries the canonical artifacts (see scripts/generate.ts).
    npmFilesToBuild: [
      "@openzeppelin/contracts/access/manager/AccessManager.sol",
      "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol",
      "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol",
    ],
  },
  networks: {
    default: {
      type: "edr-simulated",
      chainType: "l1",
      hardfork: EVM_VERSION,
      blockGasLimit: 36_000_000,
      allowUnlimitedContractSize: process.env.ALLOW_UNLIMITED_CONTRACT_SIZE === "1", // for coverage only
    },
    localhost: {
      type: "http",
      chainType: "l1",
      url: "http://127.0.0.1:8545",
    },
    sepolia: {
      type: "http",
      chainType: "l1",
      url: configVariable("SEPOLIA_RPC_URL"),
      accounts: [configVariable("SEPOLIA_PRIVATE_KEY")],
    },
  },
  // `npm run verify -- chain-<id> --network NAME`; untested.
  verify: { etherscan: { apiKey: configVariable("ETHERSCAN_API_KEY") } },
  test: {
    solidity: {
      // A fixed seed: a red run can be repeated.
      profiles: {
        default: {
          fuzz: { runs: 256, seed: "0x627265616b7761746572" },
          invariant: { runs: 32, depth: 64, failOnRevert: true },
        },
        // `hardhat test solidity --test-profile deep`
        deep: {
          fuzz: { runs: 10_000, seed: "0x627265616b7761746572" },
          invariant: { runs: 256, depth: 256, failOnRevert: true },
        },
      },
    },
    mocha: {
      timeout: 120_000,
      parallel: true,
      jobs: availableParallelism(),
      require: [fileURLToPath(new URL("test/support/bigint.ts", import.meta.url))],
    },
  },
});
