// The quick suite, in stages: which tests look at which file, the cheapest and most telling first.

export interface Stage {
  name: string;
  /** `source`: by mocha, and the test compiles the contracts itself. */
  kind: "solidity" | "mocha" | "source";
  file: string;
  /** Tests whose names match. */
  only?: string;
  /** Expensive: after all mutants have been through the other stages, for those that are left. */
  late?: boolean;
}

const solidity = (file: string, only?: string): Stage => ({
  name: only === undefined ? file : `${file} ${only}`,
  kind: "solidity",
  file: `test/${file}`,
  ...(only === undefined ? {} : { only }),
});
const mocha = (file: string): Stage => ({ name: file, kind: "mocha", file: `test/${file}` });

const late = (stage: Stage): Stage => ({ ...stage, late: true });

const GRID = solidity("libraries/Grid.t.sol");
const SALE = solidity("libraries/Sale.t.sol");
const BOOK = solidity("libraries/TickBook.t.sol");
const MARKET_MATHS = solidity("libraries/Market.t.sol");
const WALK = solidity("invariant/Book.t.sol", "test_");
const INVARIANTS = late(solidity("invariant/Book.t.sol", "invariant_"));
const ADAPTER_MATHS = solidity("OracleAdapter.t.sol");
const ADAPTER = mocha("OracleAdapter.ts");
const VAULT = mocha("Vault.ts");
const BRAKE = mocha("EmergencyBrake.ts");
const FLASH = mocha("periphery/FlashLiquidator.ts");
const LENS = mocha("periphery/Lens.ts");
const CORE = late(mocha("sdk/core.ts"));
const MODEL_GRID = mocha("differential/grid.ts");
const MODEL = late(mocha("differential/differential.ts"));
const ACCESS = mocha("deploy/access.ts");
const REGRESSIONS = mocha("differential/regressions.ts");
const NEVER_PAUSED = mocha("differential/never-paused.ts");

const TINY = late({ ...mocha("libraries/tiny-index.ts"), kind: "source" });

const MARKET = [VAULT, BRAKE, REGRESSIONS, NEVER_PAUSED, FLASH, LENS, MODEL];

/** The files that are mutated, and what may kill their mutants. */
export const STAGES: Record<string, Stage[]> = {
  "contracts/libraries/Grid.sol": [GRID, SALE, BOOK, WALK, MODEL_GRID, VAULT, INVARIANTS, CORE, LENS, MODEL],
  "contracts/libraries/TickBook.sol": [BOOK, WALK, INVARIANTS, ...MARKET, CORE, TINY],
  "contracts/libraries/Sale.sol": [SALE, WALK, VAULT, LENS, CORE, INVARIANTS, FLASH, MODEL, TINY],
  "contracts/libraries/Liquidation.sol": [WALK, ...MARKET, INVARIANTS],
  "contracts/Vault.sol": [...MARKET, ACCESS],
  "contracts/Liquidator.sol": [VAULT, BRAKE, FLASH, LENS, ACCESS, MODEL],
  "contracts/OracleAdapter.sol": [ADAPTER_MATHS, ADAPTER, VAULT],
  "contracts/libraries/Market.sol": [MARKET_MATHS, SALE, WALK, ...MARKET, INVARIANTS, CORE],
  "contracts/libraries/Lending.sol": MARKET,
};
