import { formatAmount } from "@breakwater/sdk/core";
import type { Logger } from "pino";

import { collect, type Sources } from "./collect.ts";
import { type Decision, type Parameters, decide, describe, explain, ticks } from "./decide.ts";
import { type Outcome, type Sender, execute, startSequencerGrace } from "./execute.ts";
import type { Snapshot } from "./snapshot.ts";

// collect → decide → execute, once a block.

export interface Keeper {
  sources: Sources;
  /** Absent: a dry run. */
  sender: Sender | undefined;
  parameters: Parameters;
  log: Logger;
}

export interface Round {
  snapshot: Snapshot;
  decisions: Decision[];
  outcomes: Outcome[];
}

/** One round at `block`. */
export async function step(keeper: Keeper, block: number): Promise<Round> {
  const { sources, sender, parameters, log } = keeper;
  const snapshot = await collect(sources, await afterOutage(keeper, block), parameters.maxTicks);
  const decisions = decide(snapshot, parameters);
  const outcomes: Outcome[] = [];
  for (const { market, actions, reasons } of decisions) {
    const about = { block, market: market.id };
    for (const reason of reasons) log.debug({ ...about, reason: reason.kind }, explain(reason, market));
    for (const action of actions) {
      const plan = describe(action, market);
      if (!sender) {
        log.info({ ...about, action: action.kind, dryRun: true }, `${market.id}: would ${plan}`);
        continue;
      }
      const outcome = await execute(action, sender, { ...snapshot, coinPrice: market.coinPrice });
      outcomes.push(outcome);
      const record = { ...about, action: action.kind, ...texts(outcome) };
      if (outcome.status === "done") {
        const amount = (value: bigint) =>
          `${formatAmount(value, market.debtDecimals, 4)} ${market.debtSymbol}`;
        log.info(
          record,
          action.kind === "poke"
            ? `${market.id}: poked the ${action.what}: ${action.why}`
            : action.mode === "absorb"
              ? `${market.id}: seized insolvent ticks`
              : `${market.id}: liquidated ${ticks(action.offer.ticks)}, repaid ${amount(outcome.repaid)}, ` +
                `profit ${amount(outcome.profit)} before gas`,
        );
      } else {
        const why = outcome.status === "unmined" ? "not seen in a block in time" : outcome.words;
        log.warn(record, `${market.id}: ${outcome.status}: ${why} (wanted to ${plan})`);
      }
    }
  }
  return { snapshot, decisions, outcomes };
}

/**
 * First of all: borrowers get time after an outage of the sequencer, if somebody asks the brake for it, and who liquidates
 * for a living asks too. The block to go on with.
 */
async function afterOutage({ sources, sender, log }: Keeper, block: number): Promise<number> {
  const due = await sources.contracts.brake.sequencerGraceDue({ blockTag: block });
  if (due === 0n) return block;
  const until = new Date(Number(due) * 1_000).toISOString();
  if (!sender) {
    log.info(
      { block, dryRun: true },
      `would start the grace after an outage of the sequencer, until ${until}`,
    );
    return block;
  }
  const outcome = await startSequencerGrace(sender);
  const isDone = outcome.status === "done";
  log[isDone ? "info" : "warn"](
    { block, ...texts(outcome) },
    isDone
      ? `started the grace after an outage of the sequencer, until ${until}`
      : `${outcome.status}: the grace after an outage of the sequencer`,
  );
  return sources.provider.getBlockNumber();
}

/** A round for every new block, until `signal` aborts; a failure is logged and the next block tried. */
export async function run(keeper: Keeper, pollMs: number, signal: AbortSignal): Promise<void> {
  const { log, sources } = keeper;
  let last = -1;
  const told = new Map<string, string>();
  while (!signal.aborted) {
    try {
      const block = await sources.provider.getBlockNumber();
      if (block !== last) {
        last = block;
        const { decisions } = await step(keeper, block);
        for (const { market, reasons } of decisions) {
          // Every block's reasons are in the debug log; a person wants to hear when they change.
          const kinds = reasons.map(({ kind }) => kind).join();
          if (kinds === "" || kinds === told.get(market.id)) continue;
          told.set(market.id, kinds);
          for (const reason of reasons) {
            log.info(
              { block, market: market.id, reason: reason.kind },
              `${market.id}: ${explain(reason, market)}`,
            );
          }
        }
      }
    } catch (error) {
      log.error({ err: error }, "the round failed; trying the next block");
    }
    await pause(pollMs, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}

/** JSON has no bigint. */
function texts(record: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]: [string, unknown]) => [
      key,
      typeof value === "bigint" ? String(value) : value,
    ]),
  );
}
