import type { BrakeLevel, PriceState } from "@breakwater/sdk/chain";
import { formatAmount, formatPercent } from "@breakwater/sdk/core";

import type { MarketSnapshot, Offer, Snapshot } from "./snapshot.ts";

// What to do with a snapshot, and why nothing more: pure, synchronous, no clock.

export interface Parameters {
  minProfit: bigint; //     wei, after gas
  maxSlippage: bigint; //   basis points of the quoted proceeds
  deadline: bigint; //      seconds from the block
  maxTicks: number; //      of one liquidation
  gasBase: bigint; //       gas of a flash liquidation with its swap
  gasPerTick: bigint;
  inventory: Inventory | undefined; // undefined: none of the account's own tokens are used
  rescue: Rescue | undefined; //       undefined: never at a loss
  seizeBudget: bigint; //   wei, for the gas of seizing insolvent ticks by itself; 0: never
  pokeBudget: bigint; //    wei, for the gas of one poke
  pokePeriod: bigint; //    seconds between pokes of a clock that only runs when somebody looks; 0: none
}

/** Liquidating with the account's own debt tokens; the collateral stays with the account. */
export interface Inventory {
  haircut: bigint; // basis points off the collateral's worth, for having to sell it later
}

/** Liquidating at a loss before the price makes a tick insolvent. */
export interface Rescue {
  distance: bigint; // basis points that the price may still fall until the nearest tick is insolvent
  maxLoss: bigint; //  wei, of one liquidation, gas included
}

export interface Costs {
  repaid: bigint; //  debt token units, as the others
  proceeds: bigint; // what the collateral is sold for, or worth if it is kept
  gas: bigint;
  profit: bigint; //  proceeds − repaid − gas
  required: bigint; // negative: a rescue
}

interface Sold {
  kind: "liquidate";
  market: string;
  offer: Offer;
  costs: Costs;
  maxRepay: bigint;
  buyPot: boolean;
  maxTicks: number;
  deadline: bigint;
  worth: bigint;
}

/** With no capital, through FlashLiquidator. */
export interface FlashLiquidation extends Sold {
  mode: "flash";
  path: string;
  minOut: bigint;
  minProfit: bigint; // before gas, for the contract to check
}

/** With the account's own debt tokens, through Liquidator, to which the account approves `maxRepay` of `debt`. */
export interface InventoryLiquidation extends Sold {
  mode: "inventory";
  debt: string; // token
  minCollateral: bigint;
}

/** Insolvent ticks into the pot, through Liquidator.seize: takes no capital, earns nothing. */
export interface Absorption {
  kind: "liquidate";
  mode: "absorb";
  market: string;
  maxTicks: number;
  worth: bigint;
}

export type Liquidation = FlashLiquidation | InventoryLiquidation | Absorption;

/** Drives a clock that only moves when somebody looks: the oracle's, or that of a ramp. */
export interface Poke {
  kind: "poke";
  what: "oracle" | "ramp";
  market: string;
  oracle: string;
  why: string;
  worth: bigint;
}

/** `worth`: wei that its gas may cost at most. */
export type Action = Liquidation | Poke;

export type Reason =
  | { kind: "dead price" }
  | { kind: "paused"; level: BrakeLevel; until: bigint }
  | { kind: "no debt" }
  | { kind: "not liquidatable"; tick: number; distance: bigint }
  | { kind: "not sellable"; ticks: number; state: PriceState }
  | { kind: "pot waits"; debt: bigint; state: PriceState }
  | { kind: "no quote"; sizes: number }
  | { kind: "gas unpriced" }
  | { kind: "unprofitable"; best: Costs }
  | { kind: "seizing off"; ticks: number };

export interface Decision {
  market: MarketSnapshot;
  actions: Action[];
  reasons: Reason[];
}

const INTEREST_ROOM = 1_000n;

export function decide(snapshot: Snapshot, parameters: Parameters): Decision[] {
  return snapshot.markets.map((market) => {
    const decision = decideMarket(market, snapshot, parameters);
    // Liquidating first: it is in a hurry.
    decision.actions.push(...pokes(market, snapshot.timestamp, parameters.pokePeriod));
    return decision;
  });
}

function decideMarket(market: MarketSnapshot, snapshot: Snapshot, parameters: Parameters): Decision {
  const { level, until } = market.brake;
  const nothing = (...reasons: Reason[]): Decision => ({ market, actions: [], reasons });
  if (market.priceState === "Dead") return nothing({ kind: "dead price" });
  if (level === "LiquidationsPaused") return nothing({ kind: "paused", level, until });

  const fresh = market.priceState === "Fresh";
  const reasons: Reason[] = [];
  if (level === "Grace") {
    // Nothing is sold; what two rounds find insolvent is seized.
    const decision = nothing({ kind: "paused", level, until });
    if (fresh) seizeInto(decision, parameters);
    return decision;
  }
  if (market.liquidatableTicks === 0) {
    const { nearest } = market;
    reasons.push(nearest ? { kind: "not liquidatable", ...nearest } : { kind: "no debt" });
  }
  if (market.potDebt > 0n && !fresh) {
    reasons.push({ kind: "pot waits", debt: market.potDebt, state: market.priceState });
  }
  if (market.liquidatableTicks > 0 || (market.potDebt > 0n && fresh)) {
    const choice = mostProfitable(market, snapshot, parameters);
    // A liquidation seizes insolvent ticks on its way.
    if (choice.kind === "liquidate") return { market, actions: [choice], reasons };
    reasons.push(choice);
  }
  const decision: Decision = { market, actions: [], reasons };
  const { insolventTicks: ticks, priceState: state } = market;
  if (fresh) seizeInto(decision, parameters);
  else if (ticks > 0) reasons.push({ kind: "not sellable", ticks, state });
  return decision;
}

function seizeInto({ market, actions, reasons }: Decision, { seizeGas, maxTicks }: Parameters): void {
  const { insolventTicks: ticks, vault } = market;
  if (ticks === 0) return;
  if (seizeGas) actions.push({ kind: "seize", market: vault, maxTicks: Math.min(ticks, maxTicks) });
  else reasons.push({ kind: "seizing off", ticks });
}

/** The veto and the proof of a dead oracle count what `update()` sees; a ramp stands only once told to. */
function pokes(
  { vault, oracle, priceState, round, brake, ramp, lastPoke }: MarketSnapshot,
  timestamp: bigint,
  period: bigint,
): Poke[] {
  if (period === 0n || (lastPoke && timestamp - lastPoke.at < period)) return [];
  const poke = (what: Poke["what"], why: string): Poke => ({
    kind: "poke",
    what,
    market: vault,
    oracle,
    why,
  });
  const due: Poke[] = [];
  const isDead = priceState === "Dead";
  const hasChanged = priceState !== lastPoke?.priceState;
  if (priceState !== "Fresh") {
    // Time on a single source counts for nothing: seeing it once is enough.
    if (hasChanged || priceState !== "Single") due.push(poke("oracle", `the price is ${priceState}`));
  } else if (lastPoke && hasChanged) {
    due.push(poke("oracle", "the price is Fresh again"));
  } else if (brake.level === "Grace" && round !== lastPoke?.round) {
    due.push(poke("oracle", "a round in grace, that seizing may wait for"));
  }
  if (ramp && ramp.halted !== isDead) {
    due.push(poke("ramp", isDead ? "it stands while the price is Dead" : "the price is back: it goes on"));
  }
  return due;
}

function mostProfitable(
  market: MarketSnapshot,
  snapshot: Snapshot,
  parameters: Parameters,
): Liquidation | Reason {
  const { coinPrice } = market;
  if (coinPrice === undefined) return { kind: "gas unpriced" };
  const priced = market.offers
    .filter((offer) => offer.repaid > 0n)
    .map((offer) => ({ offer, costs: costsOf(offer, coinPrice, snapshot.gasPrice, parameters) }))
    .sort((a, b) => (a.costs.profit > b.costs.profit ? -1 : a.costs.profit < b.costs.profit ? 1 : 0));
  const [best] = priced;
  if (!best) return { kind: "no quote", sizes: market.offers.length };
  const { offer, costs } = best;
  if (costs.profit < costs.required) return { kind: "unprofitable", best: costs };
  return {
    kind: "liquidate",
    market: market.vault,
    offer,
    costs,
    // By its block interest has grown: an exact budget could miss the step that it was quoted for.
    maxRepay: offer.maxRepay + offer.maxRepay / INTEREST_ROOM + 1n,
    // What is seized on the way goes to the pot and can be bought at once: it was quoted so.
    buyPot: market.potDebt > 0n || market.insolventTicks > 0,
    maxTicks: parameters.maxTicks,
    minOut: (offer.proceeds * (10_000n - parameters.maxSlippage)) / 10_000n,
    minProfit: costs.gas + costs.required,
    deadline: snapshot.timestamp + parameters.deadline,
  };
}

/** What an offer earns after slippage (in the proceeds) and gas. */
export function costsOf(offer: Offer, coinPrice: bigint, gasPrice: bigint, parameters: Parameters): Costs {
  const units = parameters.gasBase + BigInt(offer.ticks) * parameters.gasPerTick;
  const gas = inDebt(units * gasPrice, coinPrice);
  const { repaid, proceeds } = offer;
  const required = inDebt(parameters.minProfit, coinPrice);
  return { repaid, proceeds, gas, profit: proceeds - repaid - gas, required };
}

/** Wei in debt token units, rounded up. */
export function inDebt(wei: bigint, coinPrice: bigint): bigint {
  return (wei * coinPrice + 10n ** 18n - 1n) / 10n ** 18n;
}

/** A reason as a sentence. */
export function explain(reason: Reason, market: MarketSnapshot): string {
  const amount = (value: bigint) => `${formatAmount(value, market.debtDecimals, 4)} ${market.debtSymbol}`;
  switch (reason.kind) {
    case "dead price":
      return "the price is dead: nothing can be liquidated";
    case "paused":
      return `${reason.level === "Grace" ? "grace after a pause" : "liquidations paused"} until ${time(reason.until)}`;
    case "no debt":
      return "nobody owes anything";
    case "not liquidatable":
      return `nearest tick ${reason.tick}: the price is ${formatPercent(reason.distance)} above its liquidation price`;
    case "not sellable":
      return `${reason.ticks} ticks are insolvent, but cannot be seized on a price that is ${reason.state}`;
    case "pot waits":
      return `seized collateral for ${amount(reason.debt)} of debt is not sold on a price that is ${reason.state}`;
    case "no quote":
      return `none of ${reason.sizes} sizes buys a step or can be sold on a pool`;
    case "gas unpriced":
      return `no pool prices gas in ${market.debtSymbol}`;
    case "unprofitable": {
      const { profit, required, repaid, proceeds, gas } = reason.best;
      return (
        `unprofitable: the best size repays ${amount(repaid)}, sells for ${amount(proceeds)} and costs ${amount(gas)} ` +
        `of gas: ${amount(profit)}, at least ${amount(required)} wanted`
      );
    }
    case "seizing off":
      return `${reason.ticks} insolvent ticks could be seized, but this keeper does not pay for it`;
  }
}

/** An action as a sentence. */
export function describe(action: Action, market: MarketSnapshot): string {
  if (action.kind === "poke") return `poke the ${action.what}: ${action.why}`;
  if (action.kind === "seize") return `seize up to ${action.maxTicks} insolvent ticks`;
  const amount = (value: bigint) => `${formatAmount(value, market.debtDecimals, 4)} ${market.debtSymbol}`;
  const { repaid, profit } = action.costs;
  return `liquidate ${ticks(action.offer.ticks)}: repay ${amount(repaid)}, expect ${amount(profit)} after gas`;
}

/** How many ticks, in words. */
export function ticks(count: number): string {
  return count === 1 ? "1 tick" : `${count} ticks`;
}

function time(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}
