/** Runs a seed of a shape, or a sequence. */
import { Generator } from "./generate.ts";
import { type Result, type RunOptions, Run } from "./run.ts";
import type { Operation } from "./sequence.ts";
import type { Shape } from "./shapes.ts";
import type { Venue } from "./venue.ts";
import type { Coverage } from "./coverage.ts";

export interface Played extends Result {
  /** Turns of the generator: each is one operation or a few that belong together, and a wait or none. */
  steps: number;
  operations: number;
  /** What was done, the last one included. */
  sequence: Operation[];
  coverage: Coverage;
}

const FIRST_OPERATIONS = 10;

/** `steps` random steps, then everybody leaves. */
export async function playSeed(
  venue: Venue,
  shape: Shape,
  seed: bigint,
  steps: number,
  options: RunOptions = {},
): Promise<Played> {
  const run = await Run.start(venue, options);
  const generator = new Generator(shape, seed);
  const sequence: Operation[] = [];
  let done = 0;
  async function* operations(): AsyncGenerator<Operation> {
    const record = (operation: Operation) => (sequence.push(operation), operation);
    for (let i = 0; i < FIRST_OPERATIONS; i++) yield record(generator.start(run.model, run.price, i));
    for (; done < steps; done++) {
      for (const operation of generator.next(run.model, run.price)) yield record(operation);
    }
    yield record({ do: "leave", price: generator.collateralUsd });
  }
  const result = await run.play(operations());
  return { ...result, steps: done, sequence, coverage: run.coverage };
}

/** The operations of a sequence. */
export async function playSequence(
  venue: Venue,
  operations: readonly Operation[],
  options: RunOptions = {},
): Promise<Result & { coverage: Coverage }> {
  const run = await Run.start(venue, options);
  return { ...(await run.play(operations)), coverage: run.coverage };
}
