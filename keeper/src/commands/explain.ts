import { formatAmount, formatPercent, formatPrice, liquidationPriceOf } from "@breakwater/sdk/core";

import { type Sources, FROM_THE_TOP, collect } from "../collect.ts";
import { type Parameters, decide, describe, explain } from "../decide.ts";

// What the keeper sees at a block, what it would do, and why nothing more.

export interface Explanation {
  market: string;
  price: { state: string; low: string; high: string }; // whole debt tokens per whole collateral token
  brake: string;
  /** The highest populated tick. */
  nearest:
    | { tick: number; positions: number; debt: string; liquidationPrice: string; distancePercent: string }
    | undefined;
  pot: string;
  would: string[];
  why: string[];
}

export interface Explained {
  block: number;
  time: string;
  gasGwei: string;
  markets: Explanation[];
  /** Markets that the Lens could not read. */
  unreadable: { id: string; words: string }[];
}

export async function explainBlock(
  sources: Sources,
  parameters: Parameters,
  block: number,
): Promise<Explained> {
  const { lens, addresses } = sources.contracts;
  const [snapshot, readings, tops] = await Promise.all([
    collect(sources, block, parameters.maxTicks),
    sources.readMarkets(block, () => undefined),
    Promise.allSettled(
      addresses.markets.map(async ({ vault }) => lens.ticks(vault, FROM_THE_TOP, 1, { blockTag: block })),
    ),
  ]);
  const markets = decide(snapshot, parameters).map(({ market, actions, reasons }): Explanation => {
    const { state, view } = readings.find(({ addresses: { vault } }) => vault === market.vault)!;
    const answer = tops[addresses.markets.findIndex(({ vault }) => vault === market.vault)];
    const [top] = answer?.status === "fulfilled" ? [...answer.value] : [];
    const amount = (value: bigint) => `${formatAmount(value, market.debtDecimals, 2)} ${market.debtSymbol}`;
    return {
      market: market.id,
      price: {
        state: market.priceState,
        low: formatPrice(view.price.low, 6),
        high: formatPrice(view.price.high, 6),
      },
      brake: market.brake.level,
      nearest: market.nearest &&
        top && {
          tick: market.nearest.tick,
          positions: Number(top.count),
          debt: amount(top.debt),
          liquidationPrice: formatPrice(liquidationPriceOf(market.nearest.tick, state), 6),
          distancePercent: formatPercent(market.nearest.distance),
        },
      pot: amount(market.potDebt),
      would: actions.map((action) => describe(action, market)),
      why: reasons.map((reason) => explain(reason, market)),
    };
  });
  return {
    block,
    time: new Date(Number(snapshot.timestamp) * 1_000).toISOString(),
    gasGwei: formatAmount(snapshot.gasPrice, 9, 3),
    markets,
    unreadable: snapshot.unreadable,
  };
}

export function explainedLines({ block, time, gasGwei, markets, unreadable }: Explained): string[] {
  const lines = [`block ${block}, ${time}, gas at ${gasGwei} gwei`];
  for (const { market, price, brake, nearest, pot, would, why } of markets) {
    lines.push("", `${market}: ${price.state}, ${price.low} to ${price.high}; brake: ${brake}; pot: ${pot}`);
    if (nearest) {
      lines.push(
        `  nearest tick ${nearest.tick}: ${nearest.positions} positions, ${nearest.debt} of debt, liquidated at ` +
          `${nearest.liquidationPrice} (${nearest.distancePercent} away)`,
      );
    }
    lines.push(...would.map((words) => `  would ${words}`), ...why.map((words) => `  ${words}`));
  }
  for (const { id, words } of unreadable) lines.push("", `${id}: the Lens cannot read it: ${words}`);
  return lines;
}
