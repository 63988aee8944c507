import { expect } from "chai";
import { fileURLToPath } from "node:url";

import { generate } from "../../scripts/mutants/generate.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const FILE = "contracts/libraries/Grid.sol";

describe("test:mutants", () => {
  const { mutants, sources } = generate(root, [FILE]);
  const changes = mutants.map(({ rule, before, after }) => `${rule}: ${before} → ${after}`);

  it("changes operators, boundaries, conditions, guards, constants, roundings and statements", () => {
    expect(changes).to.include.members([
      "arithmetic: return MAX_RAW_TICK / spacing; → return MAX_RAW_TICK * spacing;",
      "constant: return MAX_RAW_TICK / spacing; → return (MAX_RAW_TICK + 1) / spacing;",
      "guard: tick <= maxTick(spacing) → true",
      "constant: ratio >= 1 << 192 → ratio >= ((1 << 192) - 1)",
      "boundary: tick <= maxTick(spacing) → tick < maxTick(spacing)",
      "condition: tick < -top → false",
      "statement: tick = -top; → ",
    ]);
  });

  it("gives every mutant a number and a key of its own, and a place in the source", () => {
    expect(mutants.map(({ id }) => id)).to.deep.equal(mutants.map((_, index) => index + 1));
    expect(new Set(mutants.map(({ key }) => key)).size).to.equal(mutants.length);
    for (const { id } of mutants) expect(sources.get(FILE)).to.include(`isActive(${id})`);
  });

  it("leaves alone what only moves a boundary again, and numbers that do not exist", () => {
    expect(changes.filter((change) => change.includes("1 << 64) + 1"))).to.deep.equal([]);
    expect(changes.some((change) => change.includes("> -1"))).to.equal(false);
  });
});
