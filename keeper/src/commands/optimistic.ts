import { explainRevert, isRevert, revertData } from "@breakwater/sdk/chain";
import { formatAmount, formatPrice, liquidationPriceOf } from "@breakwater/sdk/core";
import { PinnedPrice__factory } from "@breakwater/sdk/types";
import {
  JsonRpcApiProvider,
  type JsonRpcError,
  type JsonRpcPayload,
  type JsonRpcResult,
  Network,
  dataSlice,
  id,
  toBeHex,
} from "ethers";

import { FROM_THE_TOP, type Node, type Sources, collect, openSources } from "../collect.ts";
import { type Parameters, decide, describe, explain } from "../decide.ts";

// Whether the keeper could: every tick is made liquidatable in its turn, and liquidated, on a copy of the chain that lasts
// for one call. The node runs each call with an oracle that answers with the tick's own liquidation price, so that all
// else is the chain's: book, brake, contracts, pools. Nothing is sent.

export interface Attempt {
  market: string;
  tick: number;
  positions: number;
  debt: string;
  /** At which it was tried. */
  price: string;
  succeeded: boolean;
  /** Whether it would earn what is wanted, by today's pools and fees. */
  pays: boolean;
  words: string;
}

type Overrides = Record<string, { code?: string; stateDiff?: Record<string, string> }>;

/** Where PinnedPrice looks for the adapter that it stands for, and for the price. */
const PINNED = BigInt(id("breakwater.PinnedPrice"));
/** Where the adapter's code is meanwhile. */
const ELSEWHERE = dataSlice(id("breakwater.optimistic"), 12);
const NOBODY = "0x000000000000000000000000000000000000dEaD";

/** The chain, but for what calls find in some contracts. */
class Copy extends JsonRpcApiProvider {
  overrides: Overrides = {};
  readonly #chain: Node;

  constructor(chain: Node, chainId: number) {
    super(Network.from(chainId), { staticNetwork: true, batchStallTime: 0, cacheTimeout: -1 });
    this.#chain = chain;
    this._start();
  }

  override async _send(
    payload: JsonRpcPayload | JsonRpcPayload[],
  ): Promise<(JsonRpcResult | JsonRpcError)[]> {
    const payloads = Array.isArray(payload) ? payload : [payload];
    return Promise.all(payloads.map(async (one) => this.#answer(one)));
  }

  async #answer({ id, method, params }: JsonRpcPayload): Promise<JsonRpcResult | JsonRpcError> {
    const asked = params as unknown[];
    try {
      const result = await this.#chain.send(
        method,
        method === "eth_call" ? [...asked, this.overrides] : asked,
      );
      return { id, result };
    } catch (error) {
      if (!isRevert(error)) throw error;
      const data = revertData(error) ?? "0x";
      return { id, error: { code: 3, message: `execution reverted: ${explainRevert(error).words}`, data } };
    }
  }
}

/** Calls back for each tick. @param account that would send; it needs nothing. */
export async function optimistic(
  { provider, contracts: { addresses, lens } }: Sources,
  parameters: Parameters,
  block: number,
  onAttempt: (attempt: Attempt) => void,
  account = NOBODY,
): Promise<{ tried: number; succeeded: number }> {
  const copy = new Copy(provider, addresses.chainId);
  const totals = { tried: 0, succeeded: 0 };
  // Its constructor only returns it.
  const pinned = (await provider.send("eth_call", [
    { data: PinnedPrice__factory.bytecode },
    "latest",
  ])) as string;
  for (const market of addresses.markets) {
    copy.overrides = {};
    const sources = await openSources({ ...addresses, markets: [market] }, copy);
    const [reading] = await sources.readMarkets(block);
    const { oracle } = reading!.view;
    const code = await provider.getCode(oracle, block);
    const ticks = await lens.ticks(market.vault, FROM_THE_TOP, 2 ** 16, { blockTag: block });
    for (const { tick, count, debt } of ticks) {
      const price = liquidationPriceOf(Number(tick), reading!.state);
      const words = [ELSEWHERE, toBeHex(price), toBeHex(price)].map(
        (word, at) => [toBeHex(PINNED + BigInt(at), 32), toBeHex(word, 32)] as const,
      );
      copy.overrides = {
        [oracle]: { code: pinned, stateDiff: Object.fromEntries(words) },
        [ELSEWHERE]: { code },
      };
      const outcome = await attempt(sources, parameters, block, Number(tick), account);
      totals.tried++;
      if (outcome.succeeded) totals.succeeded++;
      onAttempt({
        market: market.id,
        tick: Number(tick),
        positions: Number(count),
        debt: `${formatAmount(debt, market.decimals.debt, 2)} ${reading!.symbols.debt}`,
        price: formatPrice(price, 6),
        ...outcome,
      });
    }
  }
  copy.destroy();
  return totals;
}

/** The keeper's own way, without its capital, as far as the simulation before sending; whatever it earns. */
async function attempt(
  sources: Sources,
  parameters: Parameters,
  block: number,
  tick: number,
  account: string,
): Promise<Pick<Attempt, "succeeded" | "pays" | "words">> {
  const snapshot = await collect(sources, block, 1, tick);
  const own = { ...parameters, maxTicks: 1, inventory: undefined, pokePeriod: 0n };
  const [wanted] = decide(snapshot, own);
  const pays = wanted!.actions.some((action) => action.kind === "liquidate" && action.mode === "flash");
  const [decision] = decide(snapshot, { ...own, minProfit: 0n, gasBase: 0n, gasPerTick: 0n });
  const { actions, reasons, market } = decision!;
  const [action] = actions;
  if (action?.kind !== "liquidate" || action.mode !== "flash") {
    const why = [
      ...actions.map((one) => describe(one, market)),
      ...reasons.map((one) => explain(one, market)),
    ];
    return { succeeded: false, pays, words: why.join("; ") };
  }
  try {
    const { maxRepay, maxTicks, buyPot, path, minOut, minProfit, deadline, offer } = action;
    const { repaid, profit } = await sources.contracts.flashLiquidator.liquidate.staticCall(
      {
        market: market.vault,
        ...{ maxRepay, fromTick: offer.fromTick, maxTicks, buyPot, path, minOut, minProfit, deadline },
        receiver: account,
      },
      { from: account, blockTag: block },
    );
    const amount = (value: bigint) => `${formatAmount(value, market.debtDecimals, 2)} ${market.debtSymbol}`;
    const words = `repays ${amount(repaid)}, earns ${amount(profit)} before gas`;
    return { succeeded: true, pays, words: pays ? words : `${words}: not enough to do it` };
  } catch (error) {
    return { succeeded: false, pays, words: `refused: ${explainRevert(error).words}` };
  }
}

export function attemptLine({ market, tick, positions, debt, price, succeeded, words }: Attempt): string {
  return `${succeeded ? "yes" : "NO "} ${market} tick ${tick} (${positions} positions, ${debt}) at ${price}: ${words}`;
}
