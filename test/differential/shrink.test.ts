import { expect } from "chai";

import type { Model } from "../model/model.ts";
import { playSeed, playSequence } from "./play.ts";
import type { Operation } from "./sequence.ts";
import { SHAPES } from "./shapes.ts";
import { shrink } from "./shrink.ts";
import { Venue } from "./venue.ts";

/** Faults in the model, and how many operations are enough to show each. */
const FAULTS: { name: string; spoil: (model: Model) => void; enough: number }[] = [
  {
    name: "a bonus that is a hundredth of a percent too high",
    spoil: (model) => (model.parameters.risk.bonusMin += 1n),
    enough: 4, // deposit, open, fall, liquidate
  },
  {
    name: "interest of which the reserves get a percent too much",
    spoil: (model) => (model.parameters.reserveFactor += 1n),
    enough: 4, // deposit, open, wait, accrue
  },
];

describe("a difference", () => {
  for (const { name, spoil, enough } of FAULTS) {
    it(`is found and shrunk to ${enough} operations: ${name}`, async () => {
      const shape = SHAPES[0]!;
      const venue = await Venue.open(shape.market);
      const { sequence, kind } = await playSeed(venue, shape, 3n, 200, { spoil });
      expect(kind, "found").to.be.a("string");
      const shows = async (operations: readonly Operation[]) =>
        (await playSequence(venue, operations, { spoil })).kind === kind;
      const shrunk = await shrink(sequence, shows, 20_000);
      expect(shrunk.length).to.be.at.most(enough);
      expect(await shows(shrunk), "it still shows the difference").to.equal(true);
      const { failure } = await playSequence(venue, shrunk);
      expect(failure, "only the fault shows it").to.equal(undefined);
    });
  }
});
