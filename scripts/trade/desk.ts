// What every command of `npm run trade` has in common: the deployment, who signs, sending, and text.
import { createInterface } from "node:readline/promises";

import { loadAddresses } from "@breakwater/sdk/addresses";
import {
  connect,
  type MarketReading,
  openAccount,
  openMarkets,
  type Transaction,
} from "@breakwater/sdk/chain";
import { type Figures, formatAmount, formatPercent, formatPrice, parseAmount } from "@breakwater/sdk/core";
import { type Command, InvalidArgumentError } from "commander";
import { JsonRpcProvider, type JsonRpcSigner, Wallet } from "ethers";

export interface Common {
  rpc: string;
  addresses?: string;
  account?: string;
  yes: boolean;
  json: boolean;
}
export class Refusal extends Error {}

export const argument =
  <T>(parse: (text: string) => T) =>
  (text: string): T => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
export const percent = argument((text) => {
  const bps = parseAmount(text, 2);
  if (bps < 0n || bps > 5_000n) throw new RangeError("from 0 to 50 percent, with at most 2 decimals");
  return bps;
});
export const whole = argument((text) => {
  if (!/^\d+$/.test(text)) throw new RangeError("a whole number");
  return BigInt(text);
});
export const side = argument((text) => {
  if (text !== "long" && text !== "short") throw new RangeError("long or short");
  return text;
});

export function common(command: Command): Command {
  return command
    .option("--rpc <url>", "of the chain", process.env["RPC_URL"] ?? "http://127.0.0.1:8545")
    .option("--addresses <file>", "of the deployment (deploy/addresses/<chainId>.json)")
    .option("--account <address>", "unlocked at the node, instead of PRIVATE_KEY")
    .option("--yes", "send without asking", false)
    .option("--json", "print JSON and nothing else; sends only with --yes", false);
}

export type Desk = Awaited<ReturnType<typeof openDesk>>;

/** Acts with a desk, and lets go of its node afterwards. `whose` account, if not the signer's. */
export async function withDesk<T>(
  options: Common,
  act: (desk: Desk) => Promise<T>,
  whose?: string,
): Promise<T> {
  const provider = new JsonRpcProvider(options.rpc, undefined, { batchMaxCount: 1 });
  try {
    return await act(await openDesk(provider, options, whose));
  } finally {
    provider.destroy();
  }
}

async function openDesk(provider: JsonRpcProvider, options: Common, whose?: string) {
  const { chainId } = await provider.getNetwork();
  const addresses = await loadAddresses(
    options.addresses ?? new URL(`../../deploy/addresses/${chainId}.json`, import.meta.url),
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

  const account = openAccount(contracts, owner);
  const positionsIn = async (markets: readonly MarketReading[]) =>
    (await account(markets, await provider.getBlockNumber())).map(({ market, sub, figures }) => ({
      market: market.addresses.id,
      sub,
      figures,
    }));
  /** The lowest sub-account with a position, or the lowest without one. */
  const firstSub = async (reading: MarketReading, used: boolean): Promise<bigint> => {
    const taken = (await positionsIn([reading])).map(({ sub }) => sub);
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
    positions: async () => positionsIn(readings),
    /** The market of a pair's side: "weth-usdc" long has collateral WETH, its short is "usdc-weth". */
    find: (pair: string, of: "long" | "short"): MarketReading => {
      const tokens = pair.toLowerCase().split(/[-/]/);
      const id = (of === "long" ? tokens : tokens.reverse()).join("-");
      const found = readings.find(({ addresses: market }) => market.id === id);
      if (found) return found;
      throw new Refusal(`no market ${id}: there are ${readings.map((r) => r.addresses.id).join(", ")}`);
    },
    request: async (
      o: { sub?: bigint; slippage: bigint; deadline: bigint },
      market: MarketReading,
      used: boolean,
    ) => ({
      market,
      owner,
      sub: o.sub ?? (await firstSub(market, used)),
      slippage: o.slippage,
      deadline: BigInt((await provider.getBlock("latest"))!.timestamp) + o.deadline,
    }),
  };
}

/** An account that the node signs for: the one that is named, or the last. */
async function unlocked(provider: JsonRpcProvider, account?: string): Promise<JsonRpcSigner> {
  const accounts = (await provider.send("eth_accounts", [])) as string[];
  const address = account ?? accounts.at(-1);
  if (address === undefined) throw new Refusal("this node signs for nobody: set PRIVATE_KEY");
  return provider.getSigner(address);
}

export function tokenOf({ symbols }: MarketReading, symbol = symbols.collateral) {
  const ether = symbol.toUpperCase() === "ETH";
  const name = ether ? "WETH" : symbol.toUpperCase();
  for (const token of ["collateral", "debt"] as const) {
    if (symbols[token].toUpperCase() === name) return { token, ether };
  }
  throw new Refusal(`${symbol} is neither ${symbols.collateral} nor ${symbols.debt}`);
}

/** After the preview: asks, unless told not to, and sends; as JSON `shown` with what was sent, or would be. */
export async function submit(
  desk: Desk,
  options: Common,
  transactions: Transaction[],
  shown: object,
): Promise<void> {
  if (!options.yes && (options.json || !(await confirmed()))) {
    if (options.json) print({ ...shown, transactions });
    return;
  }
  const sent = [];
  for (const { to, data, value, words } of transactions) {
    const transaction = await desk.signer.sendTransaction({ to, data, value });
    const receipt = (await transaction.wait())!;
    sent.push({ words, hash: receipt.hash, block: receipt.blockNumber, gas: receipt.gasUsed });
    if (!options.json) console.log(`${words}: ${receipt.hash}, ${receipt.gasUsed} gas`);
  }
  if (options.json) print({ ...shown, sent });
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

export function symbolsOf({ readings }: Desk): Record<string, string> {
  return Object.fromEntries(
    readings.flatMap(({ addresses, symbols }) => [
      [addresses.collateral, symbols.collateral],
      [addresses.debt, symbols.debt],
    ]),
  );
}

/** A token's amount with its symbol, in whole tokens. */
export function amountOf(desk: Desk, token: string, amount: bigint): string {
  const { addresses, symbols } = desk.readings.find(({ addresses: market }) =>
    [market.collateral, market.debt].includes(token),
  )!;
  const which = token === addresses.collateral ? "collateral" : "debt";
  return `${formatAmount(amount, addresses.decimals[which], 6)} ${symbols[which]}`;
}

export function describe(f: Figures, { addresses, symbols }: MarketReading): [string, string][] {
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
export function price(q128: bigint, { collateral, debt }: MarketReading["symbols"]): string {
  if (q128 >= 1n << 128n || q128 === 0n) return `${formatPrice(q128)} ${debt} per ${collateral}`;
  return `${formatPrice((1n << 256n) / q128)} ${collateral} per ${debt}`;
}

/** The first column to the left, the others to the right. */
export function table(rows: string[][]): void {
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

export function print(value: unknown): void {
  console.log(JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? v.toString() : v), 2));
}
