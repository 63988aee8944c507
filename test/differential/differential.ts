import { expect } from "chai";

import { playSeed } from "./play.ts";
import { SHAPES } from "./shapes.ts";
import { Venue } from "./venue.ts";

/** The long runs are `npm run test:deep`. */
const STEPS = 60;

describe("I16: contracts and reference model, operation by operation", () => {
  SHAPES.forEach((shape, index) => {
    it(`${shape.name}: ${STEPS} steps, seed ${index + 1}`, async () => {
      const venue = await Venue.open(shape.market);
      const { failure, ambiguous } = await playSeed(venue, shape, BigInt(index + 1), STEPS);
      expect(failure, failure).to.equal(undefined);
      // A decision within the roundings may end one of many runs early, but none of those that always run.
      expect(ambiguous, ambiguous).to.equal(undefined);
    });
  });
});
