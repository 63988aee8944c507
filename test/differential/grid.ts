import { expect } from "chai";
import { network } from "hardhat";

import { Grid } from "../model/grid.ts";
import { Real } from "../model/real.ts";
import { Random } from "./random.ts";

describe("the model's grid", () => {
  for (const spacing of [4, 5, 25, 60]) {
    it(`is the contracts', spacing ${spacing}`, async () => {
      const { ethers } = await network.create();
      const harness = await ethers.deployContract("CoreHarness");
      const grid = new Grid(spacing);
      const random = new Random(BigInt(spacing));
      const any = () => Number(random.between(BigInt(grid.bottom), BigInt(grid.top)));
      const ticks = [
        grid.bottom,
        grid.bottom + 1,
        -1,
        0,
        1,
        grid.top - 1,
        grid.top,
        ...Array.from({ length: 60 }, any),
      ];

      expect(await harness.getFunction("ratiosOf")(ticks, spacing)).to.deep.equal(
        ticks.map((tick) => grid.integerRatio(tick)),
      );

      const ratios = ticks.flatMap((tick) => {
        const ratio = grid.integerRatio(tick);
        return tick === grid.top
          ? [ratio - 1n, ratio]
          : [ratio - 1n, ratio, ratio + 1n, ratio + random.between(2n, ratio >> 13n)];
      });
      const [ceil, floor] = (await harness.getFunction("ticksOf")(ratios, spacing)) as [bigint[], bigint[]];
      // What is below the grid joins its lowest tick.
      expect(ceil).to.deep.equal(ratios.map((ratio) => BigInt(grid.ceilTick(Real.ratio(ratio, 1n << 128n)))));
      expect(floor).to.deep.equal(
        ratios.map((ratio) => BigInt(grid.floorTick(Real.ratio(ratio, 1n << 128n)))),
      );
    });
  }
});
