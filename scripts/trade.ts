// npm run trade: opens, changes, flips and closes leveraged positions, and lists them, with a preview before anything is sent.
import { createInterface } from "node:readline/promises";

import { loadAddresses } from "@breakwater/sdk/addresses";
import {
  connect,
  explainRevert,
  type MarketFigures,
  type MarketReading,
  openMarkets,
  quoteClose,
  quoteFlip,
  quoteLeverage,
  type TradeQuote,
  transactionsOf,
} from "@breakwater/sdk/chain";
import {
  type Figures,
  formatAmount,
  formatPercent,
  formatPrice,
  parseAmount,
  WAD,
} from "@breakwater/sdk/core";
import { Command, InvalidArgumentError } from "commander";
import { formatEther, JsonRpcProvider, type JsonRpcSigner, Wallet } from "ethers";

interface Common {
  rpc: string;
  addresses?: string;
  account?: string;
  yes: boolean;
  json: boolean;
}
interface Trading extends Common {
  market: string;
  side: "long" | "short";
  sub?: bigint;
  slippage: bigint;
  deadline: bigint;
}

class Refusal extends Error {}

const argument =
  <T>(parse: (text: string) => T) =>
  (text: string): T => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
const leverage = argument((text) => parseAmount(text, 18));
const percent = argument((text) => {
  const bps = parseAmount(text, 2);
  if (bps < 0n || bps > 5_000n) throw new RangeError("from 0 to 50 percent, with at most 2 decimals");
  return bps;
});
const whole = argument((text) => {
  if (!/^\d+$/.test(text)) throw new RangeError("a whole number");
  return BigInt(text);
});
const side = argument((text) => {
  if (text !== "long" && text !== "short") throw new RangeError("long or short");
  return text;
});

const program = new Command("npm run trade --").description(
  "Leveraged positions in one transaction, through the LeverageRouter: a preview of before and after, a question, then " +
    "the transactions. On a local chain the last account is yours; elsewhere PRIVATE_KEY signs.",
);

function common(command: Command): Command {
  return command
    .option("--rpc <url>", "of the chain", process.env["RPC_URL"] ?? "http://127.0.0.1:8545")
    .option("--addresses <file>", "of the deployment (deploy/addresses/<chainId>.json)")
    .option("--account <address>", "unlocked at the node, instead of PRIVATE_KEY")
    .option("--yes", "send without asking", false)
    .option("--json", "print JSON and nothing else; sends only with --yes", false);
}

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
    const desk = await openDesk(options, options.owner);
    try {
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
    } finally {
      desk.close();
    }
  });

type Desk = Awaited<ReturnType<typeof openDesk>>;

async function openDesk(options: Common, whose?: string) {
  const provider = new JsonRpcProvider(options.rpc, undefined, { batchMaxCount: 1 });
  const { chainId } = await provider.getNetwork();
  const addresses = await loadAddresses(
    options.addresses ?? new URL(`../deploy/addresses/${chainId}.json`, import.meta.url),
  );
  if (BigInt(addresses.chainId) !== chainId) {
    throw new Refusal(`${options.rpc} is chain ${chainId}, the addresses are of chain ${addresses.chainId}`);
  }
  const key = process.env["PRIVATE_KEY"];
  const signer: Wallet | JsonRpcSigner =
    options.account === undefined && key
      ? new Wallet(key, provider)
      : await unlocked(provider, options.account);
  const owner = whose ?? (await signer.getAddress());
  const contracts = connect(addresses, signer);
  const readings = await (await openMarkets(contracts, provider))("latest");

  /** Sub-accounts that the owner ever changed, by the markets' own events. */
  const subsOf = async ({ addresses: { vault } }: MarketReading) => {
    const contract = contracts.vault({ vault });
    const events = await contract.queryFilter(contract.filters.Adjust(owner), addresses.startBlock);
    const moved = await contract.queryFilter(
      contract.filters.TransferPosition(undefined, undefined, owner),
      addresses.startBlock,
    );
    return [...new Set([...events.map(({ args }) => args.sub), ...moved.map(({ args }) => args.toSub)])].sort(
      (a, b) => Number(a - b),
    );
  };
  const positionsIn = async (reading: MarketReading) => {
    const subs = await subsOf(reading);
    const views = await contracts.lens.positions(
      reading.addresses.vault,
      subs.map(() => owner),
      subs,
    );
    return views
      .filter(({ debt, surplus }) => debt > 0n || surplus > 0n)
      .map((view) => ({
        market: reading.addresses.id,
        sub: view.sub,
        figures: {
          collateral: view.collateral + view.surplus,
          debt: view.debt,
          leverage: view.ltvLow < WAD ? (WAD * WAD) / (WAD - view.ltvLow) : 0n,
          ltv: view.ltvLow,
          ...(view.debt === 0n
            ? {}
            : {
                collateralRatio: view.collateralRatio,
                health: view.health,
                liquidationPrice: view.liquidationPrice,
              }),
        } satisfies Figures,
      }));
  };
  /** The lowest sub-account with a position, or the lowest without one. */
  const firstSub = async (reading: MarketReading, used: boolean): Promise<bigint> => {
    const taken = (await positionsIn(reading)).map(({ sub }) => sub);
    if (used) {
      if (taken[0] !== undefined) return taken[0];
      throw new Refusal(`${owner} has no position in ${reading.addresses.id}`);
    }
    let sub = 0n;
    while (taken.includes(sub)) sub++;
    return sub;
  };
  return {
    provider,
    signer,
    owner,
    contracts,
    readings,
    firstSub,
    positions: async () => (await Promise.all(readings.map(positionsIn))).flat(),
    /** The market of a pair's side: "weth-usdc" long has collateral WETH, its short is "usdc-weth". */
    find: (pair: string, of: "long" | "short"): MarketReading => {
      const tokens = pair.toLowerCase().split(/[-/]/);
      const id = (of === "long" ? tokens : tokens.reverse()).join("-");
      const found = readings.find(({ addresses: market }) => market.id === id);
      if (found) return found;
      throw new Refusal(`no market ${id}: there are ${readings.map((r) => r.addresses.id).join(", ")}`);
    },
    request: async (o: Trading, market: MarketReading, used: boolean) => ({
      market,
      owner,
      sub: o.sub ?? (await firstSub(market, used)),
      slippage: o.slippage,
      deadline: BigInt((await provider.getBlock("latest"))!.timestamp) + o.deadline,
    }),
    close: () => provider.destroy(),
  };
}

/** An account that the node signs for: the one that is named, or the last. */
async function unlocked(provider: JsonRpcProvider, account?: string): Promise<JsonRpcSigner> {
  const accounts = (await provider.send("eth_accounts", [])) as string[];
  const address = account ?? accounts.at(-1);
  if (address === undefined) throw new Refusal("this node signs for nobody: set PRIVATE_KEY");
  return provider.getSigner(address);
}

function tokenOf({ symbols }: MarketReading, symbol = symbols.collateral) {
  const ether = symbol.toUpperCase() === "ETH";
  const name = ether ? "WETH" : symbol.toUpperCase();
  for (const token of ["collateral", "debt"] as const) {
    if (symbols[token].toUpperCase() === name) return { token, ether };
  }
  throw new Refusal(`${symbol} is neither ${symbols.collateral} nor ${symbols.debt}`);
}

async function run(options: Trading, ask: (desk: Desk) => Promise<TradeQuote>): Promise<void> {
  const desk = await openDesk(options);
  try {
    const quote = await ask(desk);
    const transactions = await transactionsOf(desk.contracts, quote, symbolsOf(desk));
    if (!options.json)
      preview(
        desk,
        quote,
        transactions.map(({ words }) => words),
      );
    if (!options.yes && (options.json || !(await confirmed()))) {
      if (options.json) print({ quote, transactions });
      return;
    }
    const sent = [];
    for (const { to, data, value, words } of transactions) {
      const transaction = await desk.signer.sendTransaction({ to, data, value });
      const receipt = (await transaction.wait())!;
      sent.push({ words, hash: receipt.hash, block: receipt.blockNumber, gas: receipt.gasUsed });
      if (!options.json) console.log(`${words}: ${receipt.hash}, ${receipt.gasUsed} gas`);
    }
    if (options.json) print({ quote, sent });
  } finally {
    desk.close();
  }
}

async function confirmed(): Promise<boolean> {
  if (!process.stdin.isTTY) throw new Refusal("nobody is there to ask: add --yes to send it");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question("\nSend it? [y/N] ");
  terminal.close();
  if (/^y(es)?$/i.test(answer.trim())) return true;
  console.log("nothing was sent");
  return false;
}

function symbolsOf({ readings }: Desk): Record<string, string> {
  return Object.fromEntries(
    readings.flatMap(({ addresses, symbols }) => [
      [addresses.collateral, symbols.collateral],
      [addresses.debt, symbols.debt],
    ]),
  );
}

/** A token's amount with its symbol, in whole tokens. */
function amountOf(desk: Desk, token: string, amount: bigint): string {
  const { addresses, symbols } = desk.readings.find(({ addresses: market }) =>
    [market.collateral, market.debt].includes(token),
  )!;
  const which = token === addresses.collateral ? "collateral" : "debt";
  return `${formatAmount(amount, addresses.decimals[which], 6)} ${symbols[which]}`;
}

function describe(f: Figures, { addresses, symbols }: MarketReading): [string, string][] {
  const { decimals } = addresses;
  return [
    ["collateral", `${formatAmount(f.collateral, decimals.collateral, 6)} ${symbols.collateral}`],
    ["debt", `${formatAmount(f.debt, decimals.debt, 6)} ${symbols.debt}`],
    ["leverage", f.debt === 0n ? "none" : `${formatAmount(f.leverage, 18, 2)} ×`],
    ["LTV", formatPercent(f.ltv)],
    ["health", f.health === undefined ? "no debt" : formatAmount(f.health, 18, 3)],
    ["liquidation at", f.liquidationPrice === undefined ? "never" : price(f.liquidationPrice, symbols)],
  ];
}

/** A price of collateral in debt tokens; one far below 1 reads better the other way round. */
function price(q128: bigint, { collateral, debt }: MarketReading["symbols"]): string {
  if (q128 >= 1n << 128n || q128 === 0n) return `${formatPrice(q128)} ${debt} per ${collateral}`;
  return `${formatPrice((1n << 256n) / q128)} ${collateral} per ${debt}`;
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
  for (const { token, amount } of quote.left) rows.push(["you get", amountOf(desk, token, amount)]);
  rows.push(["void after", new Date(Number(trade.deadline) * 1_000).toISOString()]);
  table(rows);
  console.log(`\ntransactions: ${words.join("; ")}`);
}

/** The first column to the left, the others to the right. */
function table(rows: string[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    console.log(
      row
        .map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)))
        .join("  ")
        .trimEnd(),
    );
  }
}

function print(value: unknown): void {
  console.log(JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? v.toString() : v), 2));
}

try {
  await program.parseAsync();
} catch (error) {
  console.error(explainRevert(error).words);
  process.exitCode = 1;
}
