import { type Contracts, explainRevert, isRevert } from "@breakwater/sdk/chain";
import { TestToken__factory, Vault__factory } from "@breakwater/sdk/types";
import { type Interface, MaxUint256, type Result, type TransactionReceipt } from "ethers";

import { NoEndpoint, type Node } from "./chain/endpoints.ts";
import type { Order } from "./chain/journal.ts";
import type { Look, Outbox, Settlement } from "./chain/outbox.ts";
import type { Action } from "./decide.ts";
import type { Cause } from "./events.ts";
import type { MarketSnapshot } from "./snapshot.ts";

// Simulates, sends, and says what came of it, and of what if nothing did.

export type Outcome =
  /** `repaid` and `profit` (before gas) in debt token units; the profit of an order in units of its tip's token. */
  | {
      status: "done";
      repaid: bigint;
      profit: bigint;
      hash: string;
      block: number;
      gasUsed: bigint;
      gasPaid: bigint;
    }
  /** Nothing was sent, or it was taken back. */
  | { status: "refused"; cause: Cause; words: string }
  /** Mined and failed: it cost gas. */
  | { status: "reverted"; cause: Cause; words: string; hash: string; block: number; gasPaid: bigint };

/** `contracts` read through `provider`; whatever is sent goes through the outbox. */
export interface Sender {
  contracts: Contracts;
  provider: Node;
  outbox: Outbox;
}

/** Starting the grace that an outage of the sequencer calls for is nobody's market. */
export interface StartGrace {
  kind: "sequencer grace";
  until: bigint;
  worth: bigint;
}

/** Room over the estimate: by its block interest has moved a little, a tick may have come, or a round of the oracle. */
const gasLimitOf = (gas: bigint) => (gas * 130n) / 100n + 150_000n;
/** Seconds for which an order without a deadline of its own is worth being mined. */
const LIFETIME = 120n;

/** Debt token units for a whole coin; of an order, units of its tip's token. */
export function coinPriceFor(action: Action | StartGrace, market: MarketSnapshot | undefined) {
  return action.kind === "order" ? action.coinPrice : market?.coinPrice;
}

interface Report {
  repaid: bigint;
}

/** What the revert of a call that was good when it was decided says of the time since. */
const CAUSES: Record<string, Cause> = {
  NothingToLiquidate: "lost race",
  CascadeCapReached: "lost race",
  NothingToPoke: "lost race",
  ProfitTooLow: "price moved",
  TooLittleCollateral: "price moved",
  TooMuchToRepay: "price moved",
  NoDebt: "lost race",
  UnknownOrder: "lost race",
  WouldMakeWorse: "lost race",
  BudgetExceeded: "lost race",
  InsufficientFunds: "lost race",
  NotOperator: "lost race",
  NotTriggered: "price moved",
  TargetUnreachable: "price moved",
  TipTooLow: "price moved",
  SlippageExceeded: "price moved",
  InsufficientLiquidity: "price moved",
  PriceUntrusted: "price moved",
  PriceDead: "price moved",
  PriceNotFresh: "price moved",
  LiquidationsPaused: "paused",
  DeadlineExpired: "expired",
  OrderExpired: "expired",
};

/** Which actions are the same thing: of these only one is ever in flight. */
export function keyOf(action: Action | StartGrace): string {
  if (action.kind === "sequencer grace") return action.kind;
  if (action.kind === "order") return `order ${action.id}`;
  if (action.kind === "liquidate") return `liquidate ${action.market}`;
  return `poke ${action.what} ${action.what === "oracle" ? action.oracle : action.market}`;
}

export async function execute(
  action: Action | StartGrace,
  sender: Sender,
  coinPrice: bigint | undefined,
): Promise<Outcome> {
  try {
    if (action.kind === "liquidate" && action.mode === "inventory") {
      const approval = await approve(action.debt, action.maxRepay, action.worth, sender);
      if (approval && approval.status !== "done") return approval;
    }
    const { order, look } = await simulate(action, sender, coinPrice, "pending");
    return await outcomeOf(await sender.outbox.send(order, look), sender);
  } catch (error) {
    // Nothing was sent.
    return { status: "refused", ...classify(error) };
  }
}

/** Puts `action`, as it is best now, in the place of what is in flight for the same; takes that back if it would fail. */
export async function renew(
  action: Action | StartGrace,
  sender: Sender,
  coinPrice: bigint | undefined,
): Promise<void> {
  try {
    // Not on what the node holds: that is the very order.
    const { order, look } = await simulate(action, sender, coinPrice, "latest");
    await sender.outbox.renew(order, look);
  } catch (error) {
    if (!isRevert(error)) throw error;
    await sender.outbox.withdraw(keyOf(action));
  }
}

async function simulate(
  action: Action | StartGrace,
  sender: Sender,
  coinPrice: bigint | undefined,
  on: "latest" | "pending",
): Promise<{ order: Order; look: Look }> {
  const { provider, outbox } = sender;
  const { to, data } = await callOf(action, sender);
  const [look, estimate] = await Promise.all([
    outbox.look(),
    provider.send("eth_estimateGas", [{ from: outbox.account, to, data }, on]),
  ]);
  const gas = BigInt(estimate as string);
  const order: Order = {
    ...{ key: keyOf(action), market: "market" in action ? action.market : "", action: action.kind },
    ...{ to, data, gas, gasLimit: gasLimitOf(gas), worth: action.worth, coinPrice },
    deadline: "deadline" in action ? action.deadline : look.timestamp + LIFETIME,
  };
  return { order, look };
}

/** What came of an order, also of one that an earlier life of the keeper has sent. */
export async function outcomeOf(settlement: Settlement, sender: Sender): Promise<Outcome> {
  if (settlement.status === "refused") return settlement;
  if (settlement.status === "withdrawn") {
    return { status: "refused", cause: "lost race", words: `taken back: ${settlement.words}` };
  }
  const { receipt } = settlement;
  const { hash, blockNumber: block, gasUsed, fee: gasPaid } = receipt;
  if (receipt.status !== 1) {
    return { status: "reverted", ...(await whyReverted(receipt, sender)), hash, block, gasPaid };
  }
  const flash = eventOf(receipt, sender.contracts.flashLiquidator.interface, "FlashLiquidate");
  const report = eventOf(receipt, Vault__factory.createInterface(), "Liquidate")?.report as
    Report | undefined;
  const order = eventOf(receipt, sender.contracts.protectionOrders.interface, "ExecuteOrder");
  const tip = (order?.quote as { tip: bigint } | undefined)?.tip;
  const profit = (flash?.profit as bigint | undefined) ?? tip ?? 0n;
  return { status: "done", hash, block, gasUsed, gasPaid, repaid: report?.repaid ?? 0n, profit };
}

/** Why nothing came of a call or of sending it. */
export function classify(error: unknown): { cause: Cause; words: string } {
  const { name, words } = explainRevert(error);
  if (CAUSES[name]) return { cause: CAUSES[name], words };
  if (/too little received/i.test(words)) return { cause: "price moved", words };
  if (/transaction too old/i.test(words)) return { cause: "expired", words };
  if (/insufficient funds|enough funds/i.test(words)) return { cause: "no gas money", words };
  return { cause: isRevert(error) ? "bug" : isUnreachable(error) ? "endpoint" : "unknown", words };
}

function isUnreachable(error: unknown): boolean {
  if (error instanceof NoEndpoint) return true;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /TIMEOUT|NETWORK_ERROR|SERVER_ERROR|BAD_DATA|ECONN/.test(code);
}

async function callOf(
  action: Action | StartGrace,
  { contracts, outbox }: Sender,
): Promise<{ to: string; data: string }> {
  const { flashLiquidator, liquidator, brake } = contracts;
  switch (action.kind) {
    case "sequencer grace":
      return brake.startSequencerGrace.populateTransaction();
    case "order": {
      const { id, path, minTip } = action;
      return contracts.protectionOrders["execute"].populateTransaction(id, path, minTip, outbox.account);
    }
    case "poke":
      return action.what === "oracle"
        ? contracts.oracle(action).update.populateTransaction()
        : contracts.vault({ vault: action.market }).pokeRamp.populateTransaction();
    case "liquidate": {
      const { market, maxTicks } = action;
      if (action.mode === "absorb") return liquidator.seize.populateTransaction(market, maxTicks);
      const { maxRepay, buyPot, deadline, offer } = action;
      const order = { market, maxRepay, fromTick: offer.fromTick, maxTicks, buyPot, deadline };
      if (action.mode === "inventory") {
        const { minCollateral } = action;
        const kept = { ...order, minCollateral, receiver: outbox.account };
        return liquidator["liquidate"].populateTransaction(kept, "0x");
      }
      const { path, minOut, minProfit } = action;
      const sold = { ...order, path, minOut, minProfit, receiver: outbox.account };
      return flashLiquidator["liquidate"].populateTransaction(sold);
    }
  }
}

/** The Liquidator takes what is repaid from the account: nobody else can make it do so. */
async function approve(
  token: string,
  amount: bigint,
  worth: bigint,
  sender: Sender,
): Promise<Outcome | undefined> {
  const { contracts, provider, outbox } = sender;
  const debt = TestToken__factory.connect(token, provider);
  const spender = contracts.liquidator.target;
  const [look, allowance] = await Promise.all([outbox.look(), debt.allowance(outbox.account, spender)]);
  if (allowance >= amount) return undefined;
  const { to, data } = await debt.approve.populateTransaction(spender, MaxUint256);
  const gas = await provider.estimateGas({ from: outbox.account, to, data });
  const order: Order = {
    ...{ key: `approve ${token}`, market: "", action: "approve" as const, to, data, gas, worth },
    ...{ gasLimit: gasLimitOf(gas), deadline: look.timestamp + LIFETIME, coinPrice: undefined },
  };
  return outcomeOf(await outbox.send(order, look), sender);
}

function eventOf(receipt: TransactionReceipt, abi: Interface, name: string): Result | undefined {
  return receipt.logs.map((log) => abi.parseLog(log)).find((log) => log?.name === name)?.args;
}

/** A receipt does not say why: it is run again where it failed. */
async function whyReverted(
  { hash, blockNumber, gasUsed }: TransactionReceipt,
  { provider }: Sender,
): Promise<{ cause: Cause; words: string }> {
  try {
    const transaction = await provider.getTransaction(hash);
    if (!transaction) return { cause: "unknown", words: "the node forgot it" };
    const { from, to, data, gasLimit } = transaction;
    if (gasUsed >= gasLimit) return { cause: "bug", words: `it ran out of its ${gasLimit} gas` };
    await provider.call({ from, to, data, gasLimit, blockTag: blockNumber });
    return { cause: "lost race", words: "something came before it in its block" };
  } catch (error) {
    return classify(error);
  }
}
