// npm run trade: opens, changes, flips, moves and closes leveraged positions, lists and protects them, and recovers accounts,
// with a preview before anything is sent.
import {
  costsOf,
  explainRevert,
  type MarketFigures,
  quoteClose,
  quoteFlip,
  quoteLeverage,
  quoteMargin,
  quoteMove,
  quoteTransfer,
  type TradeQuote,
  transactionsOf,
} from "@breakwater/sdk/chain";
import { formatPercent, parseAmount } from "@breakwater/sdk/core";
import { Command } from "commander";
import { formatEther } from "ethers";

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
} from "./trade/desk.ts";
import { addProtect } from "./trade/protect.ts";
import { addRecover } from "./trade/recover.ts";

interface Trading extends Common {
  market: string;
  side: "long" | "short";
  sub?: bigint;
  slippage: bigint;
  deadline: bigint;
}

const leverage = argument((text) => parseAmount(text, 18));

const program = new Command("npm run trade --").description(
  "Leveraged positions in one transaction, through the LeverageRouter: a preview of before and after, a question, then " +
    "the transactions. On a local chain the last account is yours; elsewhere PRIVATE_KEY signs.",
);

function trading(command: Command): Command {
  return common(
    command
      .requiredOption("--side <long|short>", "of the pair", side)
      .option("--market <pair>", "what is traded, in what", "weth-usdc")
      .option("--sub <number>", "sub-account; by default the first one that fits", whole)
      .option("--slippage <percent>", "that the swap may be worse than quoted", percent, 50n)
      .option("--deadline <seconds>", "after which the trade is void", whole, 1_200n),
  );
}

trading(program.command("open").description("opens a position with a margin of your own"))
  .requiredOption("--leverage <times>", "such as 3 or 2.5", leverage)
  .requiredOption("--margin <amount>", "of your own")
  .option("--token <symbol>", "the margin's: ETH or one of the pair's; by default the position's collateral")
  .action(async (options: Trading & { leverage: bigint; margin: string; token?: string }) =>
    run(options, async (desk) => {
      const market = desk.find(options.market, options.side);
      const { token, ether } = tokenOf(market, options.token);
      const amount = parseAmount(options.margin, market.addresses.decimals[token]);
      if (amount <= 0n) throw new Refusal("the margin must be more than nothing");
      return quoteLeverage(desk.contracts, {
        ...(await desk.request(options, market, false)),
        leverage: options.leverage,
        margin: { token, amount, ether },
        unwrap: ether,
      });
    }),
  );

trading(program.command("adjust").description("brings a position to another leverage"))
  .requiredOption("--leverage <times>", "such as 3 or 2.5", leverage)
  .action(async (options: Trading & { leverage: bigint }) =>
    run(options, async (desk) =>
      quoteLeverage(desk.contracts, {
        ...(await desk.request(options, desk.find(options.market, options.side), true)),
        leverage: options.leverage,
      }),
    ),
  );

trading(
  program
    .command("margin")
    .description(
      "adds margin to a position or takes some out, without a swap; of the debt: repays or borrows",
    ),
)
  .option("--add <amount>", "of your own")
  .option("--take <amount>", "out of the position")
  .option("--token <symbol>", "ETH or one of the pair's; by default the position's collateral")
  .action(async (options: Trading & { add?: string; take?: string; token?: string }) =>
    run(options, async (desk) => {
      const market = desk.find(options.market, options.side);
      const { token, ether } = tokenOf(market, options.token);
      const [text, sign] = options.add === undefined ? [options.take, -1n] : [options.add, 1n];
      if (text === undefined || (options.add !== undefined && options.take !== undefined)) {
        throw new Refusal("either --add or --take");
      }
      const amount = parseAmount(text, market.addresses.decimals[token]);
      if (amount <= 0n) throw new Refusal("the margin must be more than nothing");
      return quoteMargin(desk.contracts, {
        ...(await desk.request(options, market, true)),
        margin: { token, amount: sign * amount, ether },
        unwrap: ether,
      });
    }),
  );

trading(
  program.command("flip").description("closes a position and opens the other side with what is left of it"),
)
  .requiredOption("--leverage <times>", "of the new one", leverage)
  .action(async (options: Trading & { leverage: bigint }) =>
    run(options, async (desk) => {
      const to = desk.find(options.market, options.side === "long" ? "short" : "long");
      return quoteFlip(desk.contracts, {
        ...(await desk.request(options, desk.find(options.market, options.side), true)),
        leverage: options.leverage,
        to,
        toSub: await desk.firstSub(to, false),
      });
    }),
  );

trading(program.command("close").description("closes a position"))
  .option("--token <symbol>", "to get: ETH or one of the pair's; by default the position's collateral")
  .action(async (options: Trading & { token?: string }) =>
    run(options, async (desk) => {
      const market = desk.find(options.market, options.side);
      const { token, ether } = tokenOf(market, options.token);
      return quoteClose(desk.contracts, {
        ...(await desk.request(options, market, true)),
        into: token,
        unwrap: ether,
      });
    }),
  );

common(program.command("positions").description("lists what an account has"))
  .option("--owner <address>", "whose; by default yours")
  .action(async (options: Common & { owner?: string }) => {
    await withDesk(
      options,
      async (desk) => {
        const rows = await desk.positions();
        if (options.json) {
          print(rows);
          return;
        }
        if (rows.length === 0) {
          console.log(`${desk.owner} has no positions`);
          return;
        }
        table([
          ["market", "sub", "collateral", "debt", "leverage", "LTV", "health", "liquidation at"],
          ...rows.map(({ market, sub, figures: f }) => {
            const reading = desk.readings.find(({ addresses }) => addresses.id === market)!;
            return [market, String(sub), ...describe(f, reading).map(([, text]) => text)];
          }),
        ]);
      },
      options.owner,
    );
  });

trading(
  program
    .command("move")
    .description("moves a position to a market of the same tokens, or another sub-account"),
)
  .option("--to <market>", "its id")
  .option("--to-sub <number>", "sub-account there; by default the first free one of another market", whole)
  .action(async (options: Trading & { to?: string; toSub?: bigint }) => {
    const { to: id, toSub } = options;
    if (id === undefined && toSub === undefined) throw new Refusal("where to? add --to or --to-sub");
    if (id === undefined) {
      await transfer({ ...options, toSub: toSub! });
      return;
    }
    await run(options, async (desk) => {
      const to = desk.readings.find(({ addresses }) => addresses.id === id);
      if (!to) throw new Refusal(`no market ${id}`);
      return quoteMove(desk.contracts, {
        ...(await desk.request(options, desk.find(options.market, options.side), true)),
        to,
        toSub: toSub ?? (await desk.firstSub(to, false)),
      });
    });
  });

addProtect(program);
addRecover(program);

async function transfer(options: Trading & { toSub: bigint }): Promise<void> {
  await withDesk(options, async (desk) => {
    const market = desk.find(options.market, options.side);
    const request = await desk.request(options, market, true);
    const { position, transaction } = await quoteTransfer(desk.contracts, {
      ...request,
      toSub: options.toSub,
    });
    if (!options.json) {
      const from = `${market.addresses.id}, sub-account ${request.sub}`;
      table([[from, `as it is to ${options.toSub}`], ...describe(position, market)]);
      console.log(`\ntransactions: ${transaction.words}`);
    }
    await submit(desk, options, [transaction], { position });
  });
}

async function run(options: Trading, ask: (desk: Desk) => Promise<TradeQuote>): Promise<void> {
  await withDesk(options, async (desk) => {
    const quote = await ask(desk);
    const transactions = await transactionsOf(desk.contracts, quote, symbolsOf(desk));
    if (!options.json)
      preview(
        desk,
        quote,
        transactions.map(({ words }) => words),
      );
    const refusal = quote.positions.find((position) => position.refusal)?.refusal;
    if (refusal && (options.yes || !options.json)) {
      throw new Refusal(`the market would refuse it: ${refusal.words}`);
    }
    await submit(desk, options, transactions, { quote });
  });
}

function preview(desk: Desk, quote: TradeQuote, words: string[]): void {
  const readingOf = ({ market }: MarketFigures) =>
    desk.readings.find(({ addresses }) => addresses.id === market)!;
  quote.positions.forEach((figures, at) => {
    const { before, after, rate, forecast } = figures;
    const reading = readingOf(figures);
    const now = describe(before, reading);
    const then = describe(after, reading);
    table([
      [`${figures.market}, sub-account ${quote.trade.legs[at]!.sub}`, "before", "after"],
      ...now.map(([name, text], row) => [name, text, then[row]![1]]),
      ["borrow rate a year", formatPercent(rate.before), formatPercent(rate.after)],
      ["which can be from", "", `${formatPercent(rate.least, 3)} to ${formatPercent(rate.most, 0)}`],
      ...forecast.map(({ days, liquidationPrice }) => [
        `liquidation in ${days} days`,
        "",
        price(liquidationPrice, reading.symbols),
      ]),
    ]);
    console.log();
  });
  const { swap, trade, value } = quote;
  const rows: string[][] = [];
  if (trade.amount > 0n) rows.push(["you pay", amountOf(desk, trade.token, trade.amount)]);
  if (value > 0n) rows.push(["you pay", `${formatEther(value)} ETH`]);
  if (swap) {
    const { symbols } = readingOf(quote.positions[0]!);
    rows.push(
      ["sells", amountOf(desk, swap.tokenIn, swap.sold)],
      ["for", amountOf(desk, swap.tokenOut, swap.bought)],
      [
        trade.exactOut ? "at most" : "at least",
        amountOf(desk, trade.exactOut ? swap.tokenIn : swap.tokenOut, swap.limit),
      ],
      ["at", price(swap.price, symbols)],
      ["oracle", price(swap.oracle, symbols)],
      ["worse than the oracle", formatPercent(swap.againstOracle, 3)],
      ["of it price impact", formatPercent(swap.impact, 3)],
      ["pool fee", amountOf(desk, swap.tokenIn, swap.fee)],
    );
  }
  if (swap && quote.positions.length === 1) {
    const { addresses } = readingOf(quote.positions[0]!);
    const costs = costsOf(quote, readingOf(quote.positions[0]!));
    const token = addresses[costs.token];
    rows.push(["cost of the swap", amountOf(desk, token, costs.swap)]);
    for (const { days, cost } of quote.positions[0]!.after.debt > 0n ? costs.allIn : [])
      rows.push([`all-in cost, ${days} days`, amountOf(desk, token, cost)]);
  }
  for (const { token, amount } of quote.left) rows.push(["you get", amountOf(desk, token, amount)]);
  rows.push(["void after", new Date(Number(trade.deadline) * 1_000).toISOString()]);
  table(rows);
  console.log(`\ntransactions: ${words.join("; ")}`);
}

try {
  await program.parseAsync();
} catch (error) {
  console.error(explainRevert(error).words);
  process.exitCode = 1;
}
