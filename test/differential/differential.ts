import { expect } from "chai";

import { playSeed } from "./play.ts";
import { SHAPES } from "./shapes.ts";
import { Venue } from "./venue.ts";

/** The long runs are `npm run test:deep`. */
const STEPS = 60;
const FIRST_SEED = 21;

describe("I16: contracts and reference model, operation by operation", () => {
  SHAPES.forEach((shape, index) => {
    it(`${shape.name}: ${STEPS} steps, seed ${index + FIRST_SEED}`, async () => {
      const venue = await Venue.open(shape.market);
      const { failure, ambiguous } = await playSeed(venue, shape, BigInt(index + FIRST_SEED), STEPS);
      expect(failure, failure).to.equal(undefined);
      // A decision within the roundings may end one of many runs early, but none of those that always run.
      expect(ambiguous, ambiguous).to.equal(undefined);
    });
  });
});
