import { WAD, ceilDiv, formatAmount } from "@breakwater/sdk/core";

import type { Parameters } from "../decide.ts";
import type { MarketSnapshot, OrderOffer, Snapshot } from "../snapshot.ts";

// Which of the owners' protection orders pay: pure, synchronous, no clock.

/** Through ProtectionOrders. */
export interface OrderExecution {
  kind: "order";
  market: string;
  id: bigint;
  path: string;
  minTip: bigint; // units of the tip's token: what pays for the gas and the profit that is wanted
  gain: bigint; //   wei, of the tip less gas
  coinPrice: bigint; // units of the tip's token for a whole coin
  worth: bigint;
}

export type OrderReason =
  | { kind: "order unpriced"; id: bigint }
  | { kind: "order unsellable"; id: bigint }
  | { kind: "order unprofitable"; id: bigint; tip: bigint; gas: bigint; required: bigint }; // wei

/** Of an execution with its swap; measured are 280,000 to 500,000. */
const GAS = 500_000n;

export function decideOrders(
  { vault, orders }: MarketSnapshot,
  { gasPrice }: Snapshot,
  { minProfit }: Parameters,
): { actions: OrderExecution[]; reasons: OrderReason[] } {
  const actions: OrderExecution[] = [];
  const reasons: OrderReason[] = [];
  const gas = GAS * gasPrice;
  const decideOne = ({ id, path, tip, coinPrice }: OrderOffer) => {
    if (path === undefined) return reasons.push({ kind: "order unsellable", id });
    if (coinPrice === undefined) return reasons.push({ kind: "order unpriced", id });
    const tipWei = (tip * WAD) / coinPrice;
    const required = gas + minProfit;
    if (tipWei < required) {
      return reasons.push({ kind: "order unprofitable", id, tip: tipWei, gas, required: minProfit });
    }
    return actions.push({
      ...{ kind: "order", market: vault, id, path, coinPrice },
      ...{ minTip: ceilDiv(required * coinPrice, WAD), gain: tipWei - gas, worth: tipWei - minProfit },
    });
  };
  orders.forEach(decideOne);
  return { actions, reasons };
}

export function explainOrder(reason: OrderReason): string {
  const coins = (wei: bigint) => `${formatAmount(wei, 18, 6)} of the coin`;
  switch (reason.kind) {
    case "order unpriced":
      return `order ${reason.id}: no pool says what its tip is worth`;
    case "order unsellable":
      return `order ${reason.id}: no route sells within its bounds`;
    case "order unprofitable":
      return (
        `order ${reason.id}: its tip of ${coins(reason.tip)} is less than ${coins(reason.gas)} of gas and ` +
        `${coins(reason.required)} of profit`
      );
  }
}

export function describeOrder({ id, gain }: OrderExecution): string {
  return `execute order ${id}: expect ${formatAmount(gain, 18, 6)} of the coin after gas`;
}
