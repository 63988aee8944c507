/**
 * Sequences that are kept: what once differed, and the shortest ways that were found to what is hardly ever reached.
 * `npm run test:deep` adds the first kind, `npm run test:deep -- --find` the second.
 */
import { expect } from "chai";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { haveTinyArtifacts, tinyArtifacts } from "../support/tiny.ts";
import { playSequence } from "./play.ts";
import { fromFile, toJson } from "./sequence.ts";
import { Venue } from "./venue.ts";

const FOLDER = join(import.meta.dirname, "regressions");

describe("sequences that are kept", () => {
  const venues = new Map<string, Venue>();

  for (const file of readdirSync(FOLDER).sort()) {
    const { about, reaches, market, tiny, operations } = fromFile(readFileSync(join(FOLDER, file), "utf8"));

    it(`${about} (${operations.length} operations${tiny ? ", tiny index" : ""})`, async function () {
      // Compiling with the tiny index takes a minute: test:deep does it.
      if (tiny && !haveTinyArtifacts()) return this.skip();
      const key = toJson({ market, tiny });
      let venue = venues.get(key);
      if (venue === undefined) {
        venue = await Venue.open(market, tiny ? await tinyArtifacts() : undefined);
        venues.set(key, venue);
      }
      const { failure, ambiguous, coverage } = await playSequence(venue, operations);
      expect(failure, failure).to.equal(undefined);
      expect(ambiguous, ambiguous).to.equal(undefined);
      for (const branch of reaches) expect(coverage.of(branch), branch).to.be.greaterThan(0);
    });
  }
});
