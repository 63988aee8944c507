// A process of `npm run test:deep`: runs the jobs that it is sent, one after the other. A market is deployed once.
import { writeFileSync } from "node:fs";

import { playSeed, playSequence } from "../../test/differential/play.ts";
import { type Operation, toFile } from "../../test/differential/sequence.ts";
import { SHAPES } from "../../test/differential/shapes.ts";
import { shrink } from "../../test/differential/shrink.ts";
import { Venue } from "../../test/differential/venue.ts";
import { tinyArtifacts } from "../../test/support/tiny.ts";
import type { Job, Report } from "./jobs.ts";

const SHRINK_MS = 180_000;
const venues = new Map<string, Venue>();

async function venueOf({ variant, shape }: Job): Promise<Venue> {
  const key = `${variant} ${shape}`;
  let venue = venues.get(key);
  if (venue === undefined) {
    venue = await Venue.open(SHAPES[shape]!.market, variant === "tiny" ? await tinyArtifacts() : undefined);
    venues.set(key, venue);
  }
  return venue;
}

async function run(job: Job): Promise<Report> {
  const venue = await venueOf(job);
  const shape = SHAPES[job.shape]!;
  const { steps, operations, coverage, sequence, ambiguous, failure, kind } = await playSeed(
    venue,
    shape,
    BigInt(job.seed),
    job.steps,
  );
  const report: Report = { job, steps, operations, coverage: coverage.toJson() };
  if (failure !== undefined) {
    const differs = async (candidate: readonly Operation[]) =>
      (await playSequence(venue, candidate)).kind === kind;
    const name = `found-${job.variant}-${job.shape}-${job.seed}`;
    const about = `Differed: ${failure.split("\n")[0]!}`;
    return { ...report, failure, kept: await keep(name, job, about, [], sequence, differs) };
  }
  const { find } = job;
  if (find !== undefined && coverage.of(find) !== 0) {
    const reaches = async (candidate: readonly Operation[]) => {
      const played = await playSequence(venue, candidate);
      return played.kind === undefined && played.ambiguous === undefined && played.coverage.of(find) !== 0;
    };
    const name = `${find.replaceAll(" ", "-")}-${job.variant}-${job.shape}`;
    return { ...report, kept: await keep(name, job, `Reaches: ${find}`, [find], sequence, reaches) };
  }
  return ambiguous === undefined ? report : { ...report, ambiguous };
}

/** Shrinks a sequence and keeps it among the regressions; returns the file. */
async function keep(
  name: string,
  { variant, shape }: Job,
  about: string,
  reaches: string[],
  sequence: readonly Operation[],
  shows: (operations: readonly Operation[]) => Promise<boolean>,
): Promise<string> {
  const operations = await shrink(sequence, shows, SHRINK_MS);
  const file = `test/differential/regressions/${name}.json`;
  const market = SHAPES[shape]!.market;
  writeFileSync(file, toFile({ about, reaches, market, tiny: variant === "tiny", operations }));
  return file;
}

process.on("message", (job: Job) => {
  run(job).then(
    (report) => process.send!(report),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
