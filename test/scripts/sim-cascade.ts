import { expect } from "chai";
import { readFileSync } from "node:fs";

import { outcomes, withTables } from "../../scripts/sim-cascade.ts";

/** As prettier leaves them. */
const squeezed = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");

describe("sim:cascade", () => {
  const realistic = outcomes("realistic");
  const at = (cap: number | undefined, speed: number) =>
    realistic.find((o) => o.capPercent === cap && o.fallPercentPerHour === speed)!;

  it("has the tables that docs/cascade.md shows", () => {
    const page = readFileSync("docs/cascade.md", "utf8");
    expect(squeezed(page), "npm run sim:cascade -- --docs").to.equal(squeezed(withTables(page)));
  });

  it("seizes nothing without a cap, and more the tighter the cap and the faster the fall", () => {
    for (const speed of [5, 10, 20, 40]) {
      expect(at(undefined, speed).seizedPercent).to.equal(0);
      expect(at(undefined, speed).longestWaitHours).to.equal(0);
      expect(at(5, speed).seizedPercent).to.be.at.least(at(10, speed).seizedPercent);
      expect(at(10, speed).seizedPercent).to.be.at.least(at(25, speed).seizedPercent);
    }
    expect(at(10, 40).seizedPercent).to.be.greaterThan(40);
    expect(at(10, 40).badDebtPercent).to.be.greaterThan(at(25, 40).badDebtPercent);
    // What is insolvent does not wait: a gap in the price costs the same with any cap.
    expect(at(5, 480).seizedPercent).to.equal(at(undefined, 480).seizedPercent);
  });
});
