import { expect } from "chai";
import { network } from "hardhat";

import { random } from "../../scripts/drill/book.ts";
import { brokenRule } from "../../sdk/src/core.ts";
import { deployMarket, type Risk } from "../support/market.ts";

const connection = await network.create();
const BAND = 300n;

/** Low thresholds, so that a change is refused for its rules only. */
const LOW: Risk = {
  maxLtv: 100n,
  liquidationThreshold: 300n,
  target: 100n,
  bonusMin: 150n,
  bonusMax: 800n,
  slope: 5_000n,
};

describe("risk parameters", function () {
  this.timeout(60_000);

  for (const spacing of [10, 25]) {
    it(`are refused as the contract refuses them, at a step of ${spacing / 100} %`, async () => {
      const { vault } = await deployMarket(connection, { risk: LOW, band: BAND, spacing });
      const next = random(spacing);
      const between = (least: number, most: number) => BigInt(Math.floor(least + (most - least) * next()));
      const seen = new Map<string, number>();
      for (let trial = 0; trial < 100; trial++) {
        const liquidationThreshold = between(8_000, 9_500);
        const sort = trial % 6;
        const risk: Risk = {
          maxLtv: liquidationThreshold - (sort === 0 ? between(-20, 2) : between(sort === 1 ? 1 : 60, 300)),
          liquidationThreshold,
          target: liquidationThreshold - between(sort === 2 ? 0 : 30, sort === 2 ? 30 : 300),
          bonusMin: sort === 3 ? between(20, 120) : between(100, 250),
          bonusMax: sort === 4 ? between(1_000, 2_500) : between(sort === 5 ? 0 : 250, 500),
          slope: between(0, 10_000),
        };
        const broken = brokenRule(risk, spacing, BAND);
        const refusal = await vault.setRisk.staticCall(risk).then(
          () => undefined,
          (error: unknown) => (error as Error).message,
        );
        if (broken === undefined) expect(refusal).to.equal(undefined);
        else expect(refusal).to.contain(`InvalidRisk("${broken}")`);
        seen.set(broken ?? "none", (seen.get(broken ?? "none") ?? 0) + 1);
      }
      // Every rule was met, and keeping all of them.
      expect([...seen.keys()]).to.have.length(8);
    });
  }
});
