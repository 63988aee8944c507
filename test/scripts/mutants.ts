import { expect } from "chai";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { generate } from "../../scripts/mutants/generate.ts";

const FILE = "contracts/Sample.sol";
const SOURCE = `pragma solidity 0.8.37;
library Sample {
    uint256 internal constant STEP = 5;
    error TooMuch(uint256 amount);
    function priceUp(uint256 a) internal pure returns (uint256) { return a * STEP; }
    function priceDown(uint256 a) internal pure returns (uint256) { return a / 7; }
    function share(uint256 a) private pure returns (uint256) {}
    function shareUp(uint256 a) private pure returns (uint256) {}
    function divUp(uint256 a, uint256 b) private pure returns (uint256) {}
    function zeroFloorSub(uint256 a, uint256 b) private pure returns (uint256) {}
    function round(uint256 a) internal pure returns (uint256 b, uint256 c) {
        (b, c) = (shareUp(a), share(a));
        (b, c) = (divUp(a, c), zeroFloorSub(a, c));
    }
    function take(uint256 amount, bool all) internal pure returns (uint256 left) {
        require(amount <= 1 << 64, TooMuch(amount + 1));
        left = priceUp(amount);
        if (all && amount > 0) left -= 2;
    }
}
`;

describe("test:mutants", () => {
  let mutants: ReturnType<typeof generate>["mutants"];
  let carrier: string;
  let changes: string[];

  before(() => {
    const root = mkdtempSync(join(tmpdir(), "mutants-"));
    try {
      mkdirSync(join(root, "contracts"));
      writeFileSync(join(root, FILE), SOURCE);
      const generated = generate(root, [FILE]);
      mutants = generated.mutants;
      carrier = generated.sources.get(FILE)!;
    } finally {
      rmSync(root, { recursive: true });
    }
    changes = mutants.map(({ rule, before, after }) => `${rule}: ${before} → ${after}`);
  });

  it("changes operators, small constants, guards, boundaries, conditions, roundings and statements, and nothing else", () => {
    expect(changes).to.have.members([
      "arithmetic: return a * STEP; → return a / STEP;",
      "arithmetic: return a / 7; → return a * 7;",
      "constant: return a / 7; → return a / 8;",
      "constant: return a / 7; → return a / 6;",
      "statement: (b, c) = (shareUp(a), share(a)); → ",
      "rounding: (b, c) = (shareUp(a), share(a)); → (b, c) = (share(a), share(a));",
      "rounding: (b, c) = (shareUp(a), share(a)); → (b, c) = (shareUp(a), shareUp(a));",
      "statement: (b, c) = (divUp(a, c), zeroFloorSub(a, c)); → ",
      "rounding: (b, c) = (divUp(a, c), zeroFloorSub(a, c)); → (b, c) = ((a) / (c), zeroFloorSub(a, c));",
      "guard: (b, c) = (divUp(a, c), zeroFloorSub(a, c)); → (b, c) = (divUp(a, c), (a) - (c));",
      "guard: amount <= 1 << 64 → true",
      "boundary: amount <= 1 << 64 → amount < 1 << 64",
      "statement: left = priceUp(amount); → ",
      "rounding: left = priceUp(amount); → left = priceDown(amount);",
      "condition: all && amount > 0 → true",
      "condition: all && amount > 0 → false",
      "condition: all && amount > 0 → amount > 0",
      "condition: all && amount > 0 → all",
      "statement: left -= 2; → ",
      "arithmetic: left -= 2; → left += 2;",
      "constant: left -= 2; → left -= 3;",
      "constant: left -= 2; → left -= 1;",
    ]);
  });

  it("gives every mutant a number and a key of its own, and asks for it in the source that carries them all", () => {
    expect(mutants.map(({ id }) => id)).to.deep.equal(mutants.map((_, index) => index + 1));
    expect(new Set(mutants.map(({ key }) => key)).size).to.equal(mutants.length);
    for (const { id } of mutants) expect(carrier).to.include(`isActive(${id})`);
  });
});
