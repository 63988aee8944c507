// npm run trade -- protect: leaves orders that anybody executes for a tip, lists them and takes them back.
import {
  cancelTransaction,
  type KeptOrder,
  type MarketReading,
  type OrderPreview,
  orderTransactions,
  ordersOf,
  previewOrder,
  whyNot,
} from "@breakwater/sdk/chain";
import {
  BPS,
  formatPercent,
  isByLtv,
  type OrderKind,
  parseAmount,
  parsePrice,
  Q128,
  sells,
  tipsCollateral,
  WAD,
} from "@breakwater/sdk/core";
import type { Command } from "commander";

import {
  amountOf,
  argument,
  type Common,
  common,
  describe,
  type Desk,
  percent,
  price,
  print,
  Refusal,
  side,
  submit,
  symbolsOf,
  table,
  tokenOf,
  whole,
  withDesk,
} from "./desk.ts";

interface Creating extends Common {
  kind: OrderKind;
  side: "long" | "short";
  market: string;
  at: string;
  target?: bigint;
  sub?: bigint;
  slippage: bigint;
  tip: string;
  maxTip?: string;
  token?: string;
  budget?: string;
  times: bigint;
  days: bigint;
}

const KINDS: Record<string, OrderKind> = {
  deleverage: "Deleverage",
  "stop-loss": "StopLoss",
  "take-profit": "TakeProfit",
  "top-up": "TopUp",
  repay: "Repay",
};
const kind = argument((text) => {
  const found = KINDS[text];
  if (found) return found;
  throw new RangeError(`one of ${Object.keys(KINDS).join(", ")}`);
});
const ltv = argument((text) => {
  const bps = parseAmount(text, 2);
  if (bps < 0n || bps >= BPS) throw new RangeError("from 0 to below 100 percent, with at most 2 decimals");
  return bps;
});

export function addProtect(program: Command): void {
  const protect = program
    .command("protect")
    .description(
      "orders that anybody may execute for a tip: a keeper looks after the position while its owner sleeps",
    );

  common(protect.command("create").description("leaves an order"))
    .requiredOption("--kind <kind>", Object.keys(KINDS).join(", "), kind)
    .requiredOption("--side <long|short>", "of the pair", side)
    .requiredOption("--at <level>", "price of the pair; of deleverage, top-up and repay the LTV, in percent")
    .requiredOption("--tip <amount>", "in what the order brings, or takes, when its level is reached")
    .option("--max-tip <amount>", "when it is urgent; by default five times the tip")
    .option(
      "--target <percent>",
      "LTV that it leaves; 0, as by default for stop-loss and take-profit, closes",
      ltv,
    )
    .option("--token <symbol>", "of a close: what is left; by default what the pair is priced in")
    .option("--budget <amount>", "that top-up and repay may take from your account in all, tips included")
    .option("--times <number>", "that it is executed", whole, 1n)
    .option("--days <number>", "until it expires", whole, 30n)
    .option("--slippage <percent>", "that a sale may be worse than the oracle's price", percent, 100n)
    .option("--market <pair>", "what is traded, in what", "weth-usdc")
    .option("--sub <number>", "sub-account; by default the first one with a position", whole)
    .action(create);

  common(protect.command("list").description("lists an account's orders, and what each waits for"))
    .option("--owner <address>", "whose; by default yours")
    .action(list);

  common(protect.command("cancel").description("takes an order back"))
    .argument("<id>", "of the order", whole)
    .action(async (id: bigint, options: Common) => {
      await withDesk(options, async (desk) => {
        const order = (await ordersOf(desk.contracts, desk.owner)).find((each) => each.id === id);
        if (!order) throw new Refusal(`${desk.owner} has no order ${id}`);
        if (!options.json) table([HEADINGS, await rowOf(desk, order)]);
        await submit(desk, options, [cancelTransaction(desk.contracts, id)], { order });
      });
    });
}

async function create(options: Creating): Promise<void> {
  await withDesk(options, async (desk) => {
    const preview = await previewOrder(desk.contracts, await requestOf(desk, options));
    const transactions = await orderTransactions(desk.contracts, preview, symbolsOf(desk));
    if (!options.json) {
      show(desk, preview);
      console.log(`\ntransactions: ${transactions.map(({ words }) => words).join("; ")}`);
    }
    await submit(desk, options, transactions, { preview: { ...preview, request: undefined } });
  });
}

async function requestOf(desk: Desk, o: Creating) {
  const market = desk.find(o.market, o.side);
  const { decimals } = market.addresses;
  if (o.target === undefined && isByLtv(o.kind)) throw new Refusal("say to which LTV: --target");
  const target = o.target ?? 0n;
  // Into dollars, for a pair priced in dollars: a long sells everything, a short buys what it owes.
  const { token } = tokenOf(market, o.token ?? market.symbols[o.side === "long" ? "debt" : "collateral"]);
  const closes = sells(o.kind) && target === 0n;
  const keepCollateral = closes && token === "collateral";
  const inCollateral = tipsCollateral({ kind: o.kind, target, keepCollateral });
  const paid = decimals[inCollateral ? "collateral" : "debt"];
  const tipMin = parseAmount(o.tip, paid);
  if (!sells(o.kind) && o.budget === undefined) throw new Refusal("say how much it may take: --budget");
  const now = BigInt((await desk.provider.getBlock("latest"))!.timestamp);
  return {
    ...{ market, owner: desk.owner, kind: o.kind, target, keepCollateral, tipMin, times: o.times },
    sub: o.sub ?? (await desk.firstSub(market, true)),
    level: isByLtv(o.kind) ? (parseAmount(o.at, 2) * WAD) / BPS : parsePrice(o.at, o.side),
    slippage: sells(o.kind) ? o.slippage : 0n,
    tipMax: o.maxTip === undefined ? 5n * tipMin : parseAmount(o.maxTip, paid),
    budget: o.budget === undefined ? 0n : parseAmount(o.budget, paid),
    expiry: now + o.days * 86_400n,
  };
}

function show(
  desk: Desk,
  { request, before, after, triggered, price: at, quote, token }: OrderPreview,
): void {
  const { market } = request;
  const { collateral, debt } = market.addresses;
  const now = describe(before, market);
  const then = describe(after, market);
  table([
    [`${market.addresses.id}, sub-account ${request.sub}`, "now", "after"],
    ...now.map(([name, text], row) => [name, text, then[row]![1]]),
  ]);
  const rows = [
    ["when", `${whenOf(request, market)}${triggered ? ": now" : ""}`],
    [triggered ? "the price is" : "the price will be", price(at, market.symbols)],
  ];
  const { amount, limit, exactOut, tip, least } = quote;
  if (amount > 0n) {
    rows.push(
      [exactOut ? "buys" : "sells", amountOf(desk, exactOut ? debt : collateral, amount)],
      [exactOut ? "for at most" : "for at least", amountOf(desk, exactOut ? collateral : debt, limit)],
      ["you get at least", amountOf(desk, token, least - tip)],
    );
  } else {
    const added = quote.collateral > 0n ? quote.collateral : -quote.debt;
    rows.push(
      [quote.collateral > 0n ? "adds" : "repays", amountOf(desk, token, added)],
      ["takes at most", `${amountOf(desk, token, request.budget)} in all`],
    );
  }
  rows.push(
    ["tip", `${amountOf(desk, token, tip)}, up to ${amountOf(desk, token, request.tipMax)}`],
    ["executions", String(request.times)],
    ["expires", dateOf(request.expiry)],
  );
  console.log();
  table(rows);
}

async function list(options: Common & { owner?: string }): Promise<void> {
  await withDesk(
    options,
    async (desk) => {
      const orders = await ordersOf(desk.contracts, desk.owner);
      if (options.json) print(orders);
      else if (orders.length === 0) console.log(`${desk.owner} has no orders`);
      else table([HEADINGS, ...(await Promise.all(orders.map(async (order) => rowOf(desk, order))))]);
    },
    options.owner,
  );
}

const HEADINGS = ["order", "market", "sub", "kind", "when", "to", "times", "expires", "now"];

async function rowOf(desk: Desk, order: KeptOrder): Promise<string[]> {
  const market = desk.readings.find(({ addresses }) => addresses.vault === order.market);
  return [
    ...[String(order.id), market?.addresses.id ?? order.market, String(order.sub), nameOf(order.kind)],
    market ? whenOf(order, market) : "",
    order.target === 0n ? "nothing" : formatPercent((order.target * WAD) / BPS),
    ...[String(order.times), dateOf(order.expiry)],
    (await whyNot(desk.contracts, order.id)) ?? "can be executed",
  ];
}

function nameOf(of: OrderKind): string {
  return Object.entries(KINDS).find(([, each]) => each === of)![0];
}

/** The price of the pair falls when that of a short's market rises. */
function whenOf({ kind: of, level }: Pick<KeptOrder, "kind" | "level">, { symbols }: MarketReading): string {
  if (isByLtv(of)) return `LTV from ${formatPercent(level)}`;
  const inverse = level < Q128;
  return `${(of === "StopLoss") === inverse ? "from" : "down to"} ${price(level, symbols)}`;
}

function dateOf(time: bigint): string {
  return new Date(Number(time) * 1_000).toISOString().replace(/\.\d+Z$/, "Z");
}
