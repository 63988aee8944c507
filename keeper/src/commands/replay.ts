import { explainRevert } from "@breakwater/sdk/chain";
import { formatAmount } from "@breakwater/sdk/core";

import { type Sources, collect } from "../collect.ts";
import { type Parameters, decide, describe, explain } from "../decide.ts";

// What the keeper would have done over past blocks, and what others did. Each block is judged as the chain was: had the
// keeper acted, the following blocks would have been others.

export interface Replayed {
  block: number;
  market: string;
  would: string[];
  /** Why nothing, where there was something to liquidate. */
  why: string[];
  /** Who liquidated the market in the next block. */
  taken: { by: string; hash: string; repaid: string }[];
}

const AT_ONCE = 8;
/** Reasons that every calm block has. */
const CALM = new Set(["no debt", "not liquidatable"]);

/** Calls back for each block that has something to tell, in their order. Past blocks take an archive node. */
export async function replay(
  opened: Sources,
  parameters: Parameters,
  range: { from: number; to: number },
  onBlock: (replayed: Replayed) => void,
): Promise<{ blocks: number; opportunities: number; taken: number }> {
  const { from, to } = range;
  const head = await opened.provider.getBlockNumber();
  if (from > to || to > head) throw new RangeError(`blocks ${from} to ${to}: the newest is ${head}`);
  // Today's routes serve: a pool that did not exist yet quotes nothing.
  const sources: Sources = { ...opened, routesAt: 2n ** 64n };
  const totals = { blocks: 0, opportunities: 0, taken: 0 };
  for (let first = from; first <= to; first += AT_ONCE) {
    const blocks = Array.from({ length: Math.min(AT_ONCE, to - first + 1) }, (_, at) => first + at);
    for (const replayed of await Promise.all(
      blocks.map((block) => replayBlock(sources, parameters, block)),
    )) {
      totals.blocks++;
      for (const row of replayed) {
        if (row.would.length > 0) totals.opportunities++;
        if (row.taken.length > 0) totals.taken++;
        onBlock(row);
      }
    }
  }
  return totals;
}

async function replayBlock(sources: Sources, parameters: Parameters, block: number): Promise<Replayed[]> {
  const [snapshot, taken] = await Promise.all([
    collect(sources, block, parameters.maxTicks),
    liquidationsIn(sources, block + 1),
  ]).catch((error: unknown) => {
    const { words } = explainRevert(error);
    throw new Error(`block ${block}: ${words} (past blocks take an archive node)`, { cause: error });
  });
  return decide(snapshot, parameters)
    .map(({ market, actions, reasons }) => ({
      block,
      market: market.id,
      would: actions.map((action) => describe(action, market)),
      why: reasons.filter(({ kind }) => !CALM.has(kind)).map((reason) => explain(reason, market)),
      taken: taken
        .filter(({ vault }) => vault === market.vault)
        .map(({ by, hash, repaid }) => ({
          by,
          hash,
          repaid: `${formatAmount(repaid, market.debtDecimals, 2)} ${market.debtSymbol}`,
        })),
    }))
    .filter(({ would, why, taken: others }) => would.length + why.length + others.length > 0);
}

async function liquidationsIn({ contracts, provider }: Sources, block: number) {
  const [first] = contracts.addresses.markets;
  if (!first) return [];
  const { interface: abi } = contracts.vault(first);
  const logs = await provider.getLogs({
    fromBlock: block,
    toBlock: block,
    topics: [abi.getEvent("Liquidate").topicHash],
  });
  return Promise.all(
    logs.flatMap((log) => {
      const market = contracts.addresses.markets.find(({ vault }) => vault === log.address);
      const event = market && abi.parseLog(log);
      if (!event) return [];
      const { report } = event.args as unknown as { report: { repaid: bigint } };
      return [tellWho(market.vault, log.transactionHash, report.repaid)];
    }),
  );

  /** The event names the contract that called. */
  async function tellWho(vault: string, hash: string, repaid: bigint) {
    return { vault, hash, repaid, by: (await provider.getTransaction(hash))?.from ?? "somebody" };
  }
}

export function replayedLines({ block, market, would, why, taken }: Replayed): string[] {
  const at = `${block} ${market}`;
  return [
    ...would.map((words) => `${at}: would ${words}`),
    ...why.map((words) => `${at}: ${words}`),
    ...taken.map(({ by, hash, repaid }) => `${at}: in the next block ${by} repaid ${repaid} (${hash})`),
  ];
}
