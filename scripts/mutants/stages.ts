// The quick suite, in stages: which tests look at which file, the cheapest and most telling first.

export interface Stage {
  name: string;
  /** `source`: by mocha, and the test compiles the contracts itself. */
  kind: "solidity" | "mocha" | "source";
  file: string;
  /** Tests whose names match, and those whose names do not. */
  only?: string;
  except?: string;
  /** Expensive: after all mutants have been through the other stages, for those that are left. */
  late?: boolean;
}

const solidity = (file: string, filter: Pick<Stage, "only" | "except"> = {}): Stage => ({
  name: [file, filter.only].filter(Boolean).join(" "),
  kind: "solidity",
  file: `test/${file}`,
  ...filter,
});
const mocha = (file: string): Stage => ({ name: file, kind: "mocha", file: `test/${file}` });
const late = (...stages: Stage[]): Stage[] => stages.map((stage) => ({ ...stage, late: true }));

// Tests of every tick need more gas than a test with an endless loop may take; MODEL_GRID and CORE know them all, too.
const GRID = solidity("libraries/Grid.t.sol", { except: "test_every" });
const SALE = solidity("libraries/Sale.t.sol");
const BOOK = solidity("libraries/TickBook.t.sol");
const MARKET = solidity("libraries/Market.t.sol");
const WALK = solidity("invariant/Book.t.sol", { only: "test_" });
const INVARIANTS = solidity("invariant/Book.t.sol", { only: "invariant_" });
const ADAPTER_MATHS = solidity("OracleAdapter.t.sol");
const ADAPTER_SAFETY = solidity("OracleSafety.t.sol");
const ADAPTER = ["feeds", "pool", "listing"].map((part) => mocha(`oracle/${part}.ts`));
const VAULT = ["adjust", "liquidation", "losses", "lenders", "operators", "listing"].map((action) =>
  mocha(`vault/${action}.ts`),
);
const BRAKE = mocha("EmergencyBrake.ts");
const FLASH = mocha("periphery/FlashLiquidator.ts");
const LENS = mocha("periphery/Lens.ts");
const CORE = mocha("sdk/core.ts");
const MODEL_GRID = mocha("differential/grid.ts");
const MODEL = mocha("differential/differential.ts");
const REGRESSIONS = mocha("differential/regressions.ts");
const NEVER_PAUSED = mocha("differential/never-paused.ts");
const RAMP = solidity("libraries/Ramp.t.sol");
const RAMPS = mocha("Ramps.ts");
const CASCADE = mocha("Cascade.ts");
const WIND_DOWN = mocha("WindDown.ts");
const ACCESS = mocha("deploy/access.ts");
const FUNDING = solidity("libraries/Funding.t.sol");
const PAIR = mocha("MarketPair.ts");
const TINY: Stage = { ...mocha("libraries/tiny-index.ts"), kind: "source" };

const ALL = [
  ...VAULT,
  BRAKE,
  RAMPS,
  CASCADE,
  ...late(PAIR, WIND_DOWN, FLASH, REGRESSIONS, NEVER_PAUSED, LENS, MODEL),
];

/** The files that are mutated, and what may kill their mutants. */
export const STAGES: Record<string, Stage[]> = {
  "contracts/libraries/Grid.sol": [
    GRID,
    SALE,
    BOOK,
    WALK,
    MODEL_GRID,
    ...VAULT,
    ...late(CORE, INVARIANTS, MODEL),
  ],
  "contracts/libraries/TickBook.sol": [BOOK, WALK, ...ALL, ...late(INVARIANTS, CORE, TINY)],
  "contracts/libraries/Sale.sol": [
    SALE,
    WALK,
    CORE,
    ...VAULT,
    ...late(INVARIANTS, REGRESSIONS, LENS, MODEL, TINY),
  ],
  "contracts/libraries/Liquidation.sol": [WALK, ...ALL, ...late(INVARIANTS)],
  "contracts/Vault.sol": [...ALL, ...late(ACCESS)],
  "contracts/Liquidator.sol": [...VAULT, BRAKE, CASCADE, FLASH, LENS, ACCESS],
  "contracts/OracleAdapter.sol": [ADAPTER_MATHS, ADAPTER_SAFETY, ...ADAPTER, ...VAULT],
  "contracts/libraries/Market.sol": [MARKET, RAMP, SALE, WALK, ...ALL, ...late(INVARIANTS, CORE)],
  "contracts/libraries/Lending.sol": ALL,
  "contracts/libraries/Funding.sol": [FUNDING, PAIR],
  "contracts/MarketPair.sol": [PAIR, ACCESS],
};
