import type { BrakeLevel, PriceState } from "@breakwater/sdk/chain";
import { BPS, WAD, formatAmount, formatPercent, max, min } from "@breakwater/sdk/core";

import {
  type OrderExecution,
  type OrderReason,
  decideOrders,
  describeOrder,
  explainOrder,
} from "./orders/decide.ts";
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
export type Action = Liquidation | OrderExecution | Poke;

export type Reason =
  | { kind: "dead price" }
  | { kind: "paused"; level: BrakeLevel; until: bigint }
  | { kind: "no debt" }
  | { kind: "not liquidatable"; tick: number; distance: bigint }
  | { kind: "cascade cap" }
  | { kind: "not sellable"; ticks: number; state: PriceState }
  | { kind: "pot waits"; debt: bigint; state: PriceState }
  | { kind: "no quote"; sizes: number }
  | { kind: "gas unpriced" }
  | { kind: "unprofitable"; best: Costs }
  | { kind: "beyond rescue"; best: Costs }
  | { kind: "seizing off"; ticks: number }
  | OrderReason;

export interface Decision {
  market: MarketSnapshot;
  actions: Action[];
  reasons: Reason[];
}

/** How an offer is taken, and what it comes to. */
interface Candidate {
  mode: "flash" | "inventory";
  offer: Offer;
  costs: Costs;
}

const INTEREST_ROOM = 1_000n;
/** Seconds between two samples of an oracle: noting more helps nobody. */
const SAMPLE_PERIOD = 300n;
/** An outage that nobody saw for an hour begins anew. */
const DEAD_PERIOD = 1_800n;

export function decide(snapshot: Snapshot, parameters: Parameters): Decision[] {
  const poked = new Set<string>();
  return snapshot.markets.map((market) => {
    const decision = decideMarket(market, snapshot, parameters);
    const orders = decideOrders(market, snapshot, parameters);
    decision.actions.push(...orders.actions);
    decision.reasons.push(...orders.reasons);
    // Liquidating first: it is in a hurry.
    decision.actions.push(...pokes(market, snapshot.timestamp, parameters, poked));
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
  if (market.cascadeCapped) reasons.push({ kind: "cascade cap" });
  else if (market.liquidatableTicks === 0) {
    const { nearest } = market;
    reasons.push(
      nearest
        ? { kind: "not liquidatable", tick: nearest.tick, distance: nearest.distance }
        : { kind: "no debt" },
    );
  }
  if (market.potDebt > 0n && !fresh) {
    reasons.push({ kind: "pot waits", debt: market.potDebt, state: market.priceState });
  }
  if (market.liquidatableTicks > 0 || (market.potDebt > 0n && fresh)) {
    const choice = choose(market, snapshot, parameters);
    // A liquidation seizes insolvent ticks on its way; if it begins below them, they wait for it.
    if (!Array.isArray(choice)) return { market, actions: [choice], reasons };
    reasons.push(...choice);
  }
  const decision: Decision = { market, actions: [], reasons };
  const { insolventTicks: ticks, priceState: state } = market;
  if (fresh) seizeInto(decision, parameters);
  else if (ticks > 0) reasons.push({ kind: "not sellable", ticks, state });
  return decision;
}

function seizeInto({ market, actions, reasons }: Decision, { seizeBudget, maxTicks }: Parameters): void {
  const { insolventTicks: ticks, vault } = market;
  if (ticks === 0) return;
  if (seizeBudget === 0n) reasons.push({ kind: "seizing off", ticks });
  else {
    const most = Math.min(ticks, maxTicks);
    actions.push({ kind: "liquidate", mode: "absorb", market: vault, maxTicks: most, worth: seizeBudget });
  }
}

/** The veto and the proof of a dead oracle count what `update()` sees; a ramp stands only once told to. */
function pokes(
  market: MarketSnapshot,
  timestamp: bigint,
  { pokePeriod, pokeBudget: worth }: Parameters,
  poked: Set<string>,
): Poke[] {
  if (pokePeriod === 0n) return [];
  const { vault, oracle, priceState, ramp } = market;
  const due: Poke[] = [];
  const poke = (what: Poke["what"], why: string) =>
    due.push({ kind: "poke", what, market: vault, oracle, why, worth });
  const why = poked.has(oracle) ? undefined : unrecorded(market, timestamp, pokePeriod);
  if (why !== undefined) {
    poked.add(oracle);
    poke("oracle", why);
  }
  const isDead = priceState === "Dead";
  if (ramp && ramp.halted !== isDead) {
    poke("ramp", isDead ? "it stands while the price is Dead" : "the price is back: it goes on");
  }
  return due;
}

/** What the oracle should note and has not; nothing that changes nothing. */
function unrecorded(
  { priceState, round, recorded, brake }: MarketSnapshot,
  timestamp: bigint,
  period: bigint,
): string | undefined {
  if (!recorded) return undefined;
  const { state, freshAt, apartAt } = recorded;
  if (priceState !== state) {
    // Sources at the edge of their band change it with every block.
    if (timestamp - max(freshAt, apartAt) < SAMPLE_PERIOD) return undefined;
    return priceState === "Fresh" ? "the price is Fresh again" : `the price is ${priceState}`;
  }
  switch (priceState) {
    case "Fresh": {
      const isNew = BigInt.asUintN(32, round) !== recorded.round;
      const isDue = timestamp - freshAt >= SAMPLE_PERIOD;
      return brake.level === "Grace" && isNew && isDue
        ? "a round in grace, that seizing may wait for"
        : undefined;
    }
    case "Single": // time on a single source counts for nothing: seeing it once is enough
      return undefined;
    default: {
      const least = priceState === "Dead" ? max(period, DEAD_PERIOD) : period;
      return timestamp - apartAt >= least ? `the price is ${priceState}` : undefined;
    }
  }
}

/** What earns most; if nothing earns enough and the market is near total seizure, what saves most. */
function choose(
  market: MarketSnapshot,
  snapshot: Snapshot,
  parameters: Parameters,
): FlashLiquidation | InventoryLiquidation | Reason[] {
  const { coinPrice, nearest } = market;
  const { rescue } = parameters;
  if (coinPrice === undefined) return [{ kind: "gas unpriced" }];
  const candidates = candidatesOf(market, coinPrice, snapshot.gasPrice, parameters);
  const best = greatest(candidates, ({ costs }) => costs.profit);
  if (!best) return [{ kind: "no quote", sizes: market.offers.length }];
  const take = (candidate: Candidate) => liquidation(candidate, market, coinPrice, snapshot, parameters);
  if (best.costs.profit >= best.costs.required) return take(best);

  const reasons: Reason[] = [{ kind: "unprofitable", best: best.costs }];
  const isNear =
    nearest && nearest.toSeizure > 0n && nearest.toSeizure * BPS <= (rescue?.distance ?? 0n) * WAD;
  if (!rescue || !isNear) return reasons;
  const required = -(rescue.maxLoss * coinPrice) / WAD;
  const affordable = candidates
    // The flash liquidator never pays in: what it sells has to repay.
    .filter(({ mode, costs }) => mode === "inventory" || costs.proceeds >= costs.repaid)
    .map((candidate) => ({ ...candidate, costs: { ...candidate.costs, required } }))
    .filter(({ costs }) => costs.profit >= required);
  const saving = greatest(affordable, ({ costs }) => costs.repaid);
  return saving ? take(saving) : [...reasons, { kind: "beyond rescue", best: { ...best.costs, required } }];
}

function candidatesOf(
  { offers, inventory, little }: MarketSnapshot,
  coinPrice: bigint,
  gasPrice: bigint,
  parameters: Parameters,
): Candidate[] {
  const costs = (offer: Offer, proceeds: bigint) => costsOf(offer, proceeds, coinPrice, gasPrice, parameters);
  const candidates: Candidate[] = [];
  for (const offer of offers) {
    if (offer.repaid === 0n) continue;
    const { sale } = offer;
    if (sale) candidates.push({ mode: "flash", offer, costs: costs(offer, sale.proceeds) });
    if (parameters.inventory && offer.repaid <= inventory) {
      const kept = (worthOf(offer, little) * (BPS - parameters.inventory.haircut)) / BPS;
      candidates.push({ mode: "inventory", offer, costs: costs(offer, kept) });
    }
  }
  return candidates;
}

/** Of collateral that is kept: at the oracle's lower price, or at the venues' if that is lower still. */
function worthOf({ value, seized }: Offer, little: MarketSnapshot["little"]): bigint {
  return little ? min(value, (little.proceeds * seized) / little.collateral) : value;
}

function liquidation(
  { mode, offer, costs }: Candidate,
  market: MarketSnapshot,
  coinPrice: bigint,
  { timestamp }: Snapshot,
  parameters: Parameters,
): FlashLiquidation | InventoryLiquidation {
  // By its block interest has grown: an exact budget could miss the step that it was quoted for.
  const maxRepay = offer.maxRepay + offer.maxRepay / INTEREST_ROOM + 1n;
  const atLeast = (amount: bigint) => (amount * (BPS - parameters.maxSlippage)) / BPS;
  const sold = {
    kind: "liquidate",
    market: market.vault,
    offer,
    costs,
    // What is seized on the way goes to the pot and can be bought at once: it was quoted so.
    buyPot: market.potDebt > 0n || market.insolventTicks > 0,
    maxTicks: parameters.maxTicks,
    deadline: timestamp + parameters.deadline,
    worth: ((costs.proceeds - costs.repaid - costs.required) * WAD) / coinPrice,
  } as const;
  if (mode === "inventory") {
    const minCollateral = atLeast(offer.seized);
    return { ...sold, mode, maxRepay: min(maxRepay, market.inventory), debt: market.debt, minCollateral };
  }
  const { proceeds, path } = offer.sale!;
  const minProfit = max(costs.gas + costs.required, 0n);
  return { ...sold, mode, maxRepay, path, minOut: atLeast(proceeds), minProfit };
}

/** What an offer earns: its collateral brings `proceeds`. */
export function costsOf(
  { repaid, ticks }: Offer,
  proceeds: bigint,
  coinPrice: bigint,
  gasPrice: bigint,
  { gasBase, gasPerTick, minProfit }: Parameters,
): Costs {
  const gas = inDebt((gasBase + BigInt(ticks) * gasPerTick) * gasPrice, coinPrice);
  return { repaid, proceeds, gas, profit: proceeds - repaid - gas, required: inDebt(minProfit, coinPrice) };
}

/** Wei in debt token units, rounded up. */
export function inDebt(wei: bigint, coinPrice: bigint): bigint {
  return (wei * coinPrice + WAD - 1n) / WAD;
}

function greatest<T>(list: readonly T[], measure: (item: T) => bigint): T | undefined {
  return list.reduce<T | undefined>(
    (best, item) => (best === undefined || measure(item) > measure(best) ? item : best),
    undefined,
  );
}

/** A reason as a sentence. */
export function explain(reason: Reason, market: MarketSnapshot): string {
  const amount = (value: bigint) => `${formatAmount(value, market.debtDecimals, 4)} ${market.debtSymbol}`;
  const sum = ({ repaid, proceeds, gas, profit }: Costs) =>
    `repays ${amount(repaid)}, brings ${amount(proceeds)} and costs ${amount(gas)} of gas: ${amount(profit)}`;
  switch (reason.kind) {
    case "dead price":
      return "the price is dead: nothing can be liquidated";
    case "paused":
      return `${reason.level === "Grace" ? "grace after a pause" : "liquidations paused"} until ${time(reason.until)}`;
    case "no debt":
      return "nobody owes anything";
    case "not liquidatable":
      return `nearest tick ${reason.tick}: the price is ${formatPercent(reason.distance)} above its liquidation price`;
    case "cascade cap":
      return "the cascade brake's cap is used up: it refills with time";
    case "not sellable":
      return `${reason.ticks} ticks are insolvent, but cannot be seized on a price that is ${reason.state}`;
    case "pot waits":
      return `seized collateral for ${amount(reason.debt)} of debt is not sold on a price that is ${reason.state}`;
    case "no quote":
      return `none of ${reason.sizes} sizes buys a step or can be sold on a pool`;
    case "gas unpriced":
      return `no pool prices gas in ${market.debtSymbol}`;
    case "unprofitable":
      return `unprofitable: the best size ${sum(reason.best)}, at least ${amount(reason.best.required)} wanted`;
    case "beyond rescue":
      return `near total seizure, but a rescue would lose more than ${amount(-reason.best.required)}`;
    case "seizing off":
      return `${reason.ticks} insolvent ticks could be seized, but this keeper does not pay for it`;
    case "order unpriced":
    case "order unsellable":
    case "order unprofitable":
      return explainOrder(reason);
  }
}

/** An action as a sentence. */
export function describe(action: Action, market: MarketSnapshot): string {
  if (action.kind === "order") return describeOrder(action);
  if (action.kind === "poke") return `poke the ${action.what}: ${action.why}`;
  if (action.mode === "absorb") return `seize up to ${ticks(action.maxTicks)} that are insolvent`;
  const amount = (value: bigint) => `${formatAmount(value, market.debtDecimals, 4)} ${market.debtSymbol}`;
  const { repaid, profit, required } = action.costs;
  return (
    `${required < 0n ? "rescue" : "liquidate"} ${ticks(action.offer.ticks)}: repay ${amount(repaid)}` +
    `${action.mode === "inventory" ? " out of the account" : ""}, expect ${amount(profit)} after gas`
  );
}

/** How many ticks, in words. */
export function ticks(count: number): string {
  return count === 1 ? "1 tick" : `${count} ticks`;
}

function time(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}
