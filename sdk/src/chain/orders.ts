import type { BlockTag } from "ethers";

import { type Figures, figuresOf, positionAfter } from "../core/leverage.ts";
import {
  KIND,
  type OrderKind,
  type OrderQuote,
  type OrderTerms,
  OrderRefused,
  quoteOrder,
  sells,
  stateAtTrigger,
  tipsCollateral,
  triggerOf,
} from "../core/orders.ts";
import type { MarketState } from "../core/position.ts";
import type { Contracts } from "./connect.ts";
import { explainRevert } from "./errors.ts";
import { type MarketReading, readPosition } from "./markets.ts";
import { type Transaction, approvalTransactions, operatorTransactions } from "./transactions.ts";

// Orders by which anybody protects a position for a tip: what one would do, and the transactions that leave it or take it back.

/** IProtectionOrders.Order; the market is the reading's. */
export interface OrderRequest extends OrderTerms {
  market: MarketReading;
  owner: string;
  sub: bigint;
  /** Unix time. */
  expiry: bigint;
  times: bigint;
  /** Token units that TopUp and Repay may take in all, tips included; 0 for the others. */
  budget: bigint;
}

export interface OrderPreview {
  request: OrderRequest;
  before: Figures;
  /** Whether it would be executed at once. */
  triggered: boolean;
  /** At which it was computed, Q128: now if it is triggered, else where it would just be. */
  price: bigint;
  quote: OrderQuote;
  after: Figures;
  /** In which tip, and for TopUp and Repay the amounts, are paid. */
  token: string;
}

/** An order as it stands on the chain. */
export interface KeptOrder extends Omit<OrderRequest, "market"> {
  id: bigint;
  market: string;
}

/** What an order would do when its level is reached, or now if it is; throws OrderRefused if that is nothing good. */
export async function previewOrder(
  contracts: Contracts,
  request: OrderRequest,
  block: BlockTag = "latest",
): Promise<OrderPreview> {
  const { market, owner, sub } = request;
  const { addresses, state: now } = market;
  const [p, acts] = await Promise.all([
    readPosition(contracts, { market, owner, sub, block }),
    contracts.vault(addresses).isOperator(owner, await contracts.protectionOrders.getAddress()),
  ]);
  if (p.debt === 0n) {
    throw new OrderRefused("NoDebt", `there is no debt in sub-account ${sub} of ${addresses.id}`);
  }
  const { triggered } = triggerOf(request, p, now);
  const state: MarketState = triggered ? now : stateAtTrigger(request, p, now);
  const quote = quoteOrder(request, p, state, sells(request.kind) || acts);
  const closes = request.target === 0n;
  return {
    request,
    before: figuresOf(p, now),
    triggered,
    price: state.priceHigh,
    quote,
    after: figuresOf(
      closes ? { tick: 0, debt: 0n, surplus: 0n } : positionAfter(p, quote.collateral, quote.debt, state),
      state,
    ),
    token: tipsCollateral(request) ? addresses.collateral : addresses.debt,
  };
}

/**
 * The transactions that leave the order: what is missing of operators and approval, then the order. Throws what the contract
 * would refuse it for, in plain words.
 */
export async function orderTransactions(
  contracts: Contracts,
  { request, token }: OrderPreview,
  symbols: Record<string, string> = {},
): Promise<Transaction[]> {
  const { protectionOrders, leverageRouter } = contracts;
  const { owner, market, kind, budget } = request;
  const [to, router] = await Promise.all([protectionOrders.getAddress(), leverageRouter.getAddress()]);
  const order = structOf(request);
  await protectionOrders.create.staticCall(order, { from: owner }).catch((error: unknown) => {
    throw new Error(explainRevert(error).words, { cause: error });
  });
  const orders = { address: to, name: "the orders" };
  const sent: Transaction[] = [];
  if (sells(kind)) {
    for (const operator of [orders, { address: router, name: "the router" }]) {
      sent.push(...(await operatorTransactions(contracts, owner, [market.addresses.vault], operator)));
    }
  } else {
    const kept = (await ordersOf(contracts, owner)).filter(
      (each) => budgetTokenOf(contracts, each) === token,
    );
    const amount = kept.reduce((sum, each) => sum + each.budget, budget);
    sent.push(...(await approvalTransactions(contracts, owner, { token, amount }, orders, symbols)));
  }
  const data = protectionOrders.interface.encodeFunctionData("create", [order]);
  return [...sent, { to, data, value: 0n, words: "leave the order" }];
}

export function cancelTransaction({ protectionOrders, addresses }: Contracts, id: bigint): Transaction {
  return {
    to: addresses.contracts["ProtectionOrders"]!,
    data: protectionOrders.interface.encodeFunctionData("cancel", [id]),
    value: 0n,
    words: `cancel order ${id}`,
  };
}

/** The orders of an owner that still stand, oldest first, found by the contract's own events. */
export async function ordersOf(
  { protectionOrders, addresses }: Contracts,
  owner: string,
): Promise<KeptOrder[]> {
  const created = await protectionOrders.queryFilter(
    protectionOrders.filters.CreateOrder(undefined, owner),
    addresses.startBlock,
  );
  const kept = await Promise.all(
    created.map(async ({ args: { id } }) =>
      protectionOrders.orderOf(id).then(
        (order) => ({
          ...{ id, owner: order.owner, sub: order.sub, market: order.market, kind: kindOf(order.kind) },
          ...{ level: order.level, target: order.target, slippage: order.slippage, expiry: order.expiry },
          ...{ times: order.times, keepCollateral: order.keepCollateral, budget: order.budget },
          ...{ tipMin: order.tipMin, tipMax: order.tipMax },
        }),
        (error: unknown) => {
          if (explainRevert(error).name === "UnknownOrder") return undefined;
          throw error;
        },
      ),
    ),
  );
  return kept.filter((order) => order !== undefined);
}

/** What an order on the chain waits for, or why it is not executed; undefined: it can be executed now. */
export async function whyNot({ protectionOrders }: Contracts, id: bigint): Promise<string | undefined> {
  return protectionOrders.quote(id).then(
    () => undefined,
    (error: unknown) => explainRevert(error).words,
  );
}

function kindOf(kind: bigint): OrderKind {
  return (Object.keys(KIND) as OrderKind[])[Number(kind)]!;
}

function structOf({ market, kind, ...request }: OrderRequest) {
  return { ...request, market: market.addresses.vault, kind: KIND[kind] };
}

function budgetTokenOf({ addresses }: Contracts, { market, kind }: KeptOrder): string | undefined {
  const listed = addresses.markets.find(({ vault }) => vault === market);
  return kind === "TopUp" ? listed?.collateral : kind === "Repay" ? listed?.debt : undefined;
}
