import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Addresses } from "@breakwater/sdk/addresses";
import { type Contracts, bestSale, connect, explainRevert } from "@breakwater/sdk/chain";
import { formatAmount } from "@breakwater/sdk/core";
import { TestToken__factory } from "@breakwater/sdk/types";
import { Transaction, formatEther } from "ethers";
import { Pool } from "pg";

import { Endpoints } from "../chain/endpoints.ts";
import type { Account } from "../chain/outbox.ts";
import { type Node, openSources } from "../collect.ts";
import type { Config } from "../config.ts";

// Whether a keeper could work here: looks at everything that it will need, and changes nothing.

export interface Finding {
  what: string;
  ok: boolean;
  words: string;
}

const NO_CODE = "0x";
/** Of a transaction that no chain takes yet: it shows that the key signs, and could not be sent. */
const FAR_NONCE = 2 ** 48;
const TIMEOUT_MS = 5_000;

export interface CheckOptions {
  config: Config;
  addresses: Addresses;
  provider: Node;
  /** Fails where the key cannot be had. */
  openAccount: () => Promise<Account | undefined>;
}

/** Calls back for each thing that was looked at. */
export async function check(
  { config, addresses, provider, openAccount }: CheckOptions,
  onFinding: (finding: Finding) => void,
): Promise<{ looked: number; wrong: number }> {
  const totals = { looked: 0, wrong: 0 };
  const look: Look = async (what, judge) => {
    const finding = await judge().then(
      (words) => ({ what, ok: true, words }),
      (error: unknown) => ({ what, ok: false, words: explainRevert(error).words }),
    );
    totals.looked++;
    if (!finding.ok) totals.wrong++;
    onFinding(finding);
    return finding.ok;
  };

  const { rpcUrls, privateRpc, stateDir, databaseUrl } = config;
  const { chainId } = addresses;
  for (const url of rpcUrls)
    await look(`endpoint ${new URL(url).host}`, () => checkEndpoint(url, chainId, config));
  if (privateRpc)
    await look(`private endpoint ${new URL(privateRpc.url).host}`, () => checkChain(privateRpc.url, chainId));
  const contracts = connect(addresses, provider);
  const isDeployed = await checkContracts(provider, contracts, look);
  if (isDeployed) await checkMarkets(addresses, provider, look);
  await checkAccount(config, provider, contracts, openAccount, look);
  await look("state directory", () => checkWritable(stateDir));
  if (databaseUrl) await look(`database ${new URL(databaseUrl).host}`, () => checkDatabase(databaseUrl));
  return totals;
}

type Look = (what: string, judge: () => Promise<string>) => Promise<boolean>;

async function checkEndpoint(url: string, chainId: number, { operation }: Config): Promise<string> {
  const node = new Endpoints({ urls: [url], chainId, onEvent: () => undefined });
  try {
    const head = await node.getBlock("latest");
    if (!head) throw new Error("it does not know its latest block");
    const age = Math.floor(Date.now() / 1_000) - head.timestamp;
    if (age > operation.maxSilence) throw new Error(`its head ${head.number} is ${age} seconds old`);
    return `chain ${chainId}, head ${head.number}, ${Math.max(age, 0)} seconds old`;
  } finally {
    node.destroy();
  }
}

/** One that only takes transactions need not know any block. */
async function checkChain(url: string, chainId: number): Promise<string> {
  const node = new Endpoints({ urls: [url], chainId, onEvent: () => undefined });
  try {
    await node.send("eth_chainId", []);
    return `chain ${chainId}`;
  } finally {
    node.destroy();
  }
}

/** There is code at every address that the deployment names, and the keeper's own contracts belong together. */
async function checkContracts(provider: Node, contracts: Contracts, look: Look): Promise<boolean> {
  const { addresses, flashLiquidator, liquidator, router, quoter, factory } = contracts;
  const named = {
    ...addresses.contracts,
    ...Object.fromEntries(
      Object.entries(addresses.safes).map(([name, address]) => [`${name} Safe`, address]),
    ),
    ...Object.fromEntries(
      addresses.markets.flatMap(({ id, vault, oracle, collateral, debt }) =>
        Object.entries({ vault, oracle, collateral, debt }).map(([name, address]) => [
          `${id} ${name}`,
          address,
        ]),
      ),
    ),
  };
  const isThere = await look("bytecode", async () => {
    const codes = await Promise.all(
      Object.entries(named).map(async ([name, address]) => ({ name, code: await provider.getCode(address) })),
    );
    const missing = codes.filter(({ code }) => code === NO_CODE).map(({ name }) => name);
    if (missing.length > 0) throw new Error(`there is none at ${missing.join(", ")}`);
    return `at each of ${codes.length} addresses`;
  });
  if (!isThere) return false;
  return look("FlashLiquidator", async () => {
    expectSame("its Liquidator", await flashLiquidator.LIQUIDATOR(), await liquidator.getAddress());
    expectSame("its router", await flashLiquidator.ROUTER(), await router.getAddress());
    expectSame("the router's factory", await router.factory(), await factory.getAddress());
    expectSame("the quoter's factory", await quoter.factory(), await factory.getAddress());
    return "its Liquidator, router, quoter and factory belong together";
  });
}

/** Each market is wired to the contracts that the keeper calls, can be read, and its collateral can be sold. */
async function checkMarkets(addresses: Addresses, provider: Node, look: Look): Promise<void> {
  const { contracts, readMarkets, venue, saleRoutes, coinRoutes } = await openSources(addresses, provider);
  const block = await provider.getBlockNumber();
  for (const market of addresses.markets) {
    const vault = contracts.vault(market);
    await look(`${market.id} permissions`, async () => {
      // Whom the vault lets liquidate; the keeper itself needs no role.
      expectSame("its liquidator", await vault.LIQUIDATOR(), await contracts.liquidator.getAddress());
      expectSame("its brake", await vault.BRAKE(), await contracts.brake.getAddress());
      expectSame("its collateral", await vault.COLLATERAL(), market.collateral);
      expectSame("its debt token", await vault.asset(), market.debt);
      return "the vault lets the Liquidator liquidate; no role is needed";
    });
    await look(`${market.id} state`, async () => {
      const reading = (await readMarkets(block)).find((each) => each.addresses.vault === market.vault)!;
      const { priceState, brake } = reading;
      return `the price is ${priceState}, the brake says ${brake.level}`;
    });
    await look(`${market.id} quotes`, async () => {
      const routes = saleRoutes.get(market.vault) ?? [];
      const amount = 10n ** BigInt(market.decimals.collateral);
      const sale = await bestSale(venue, routes, amount, block);
      if (!sale) throw new Error(`none of ${routes.length} routes sells the collateral`);
      const coin = coinRoutes.get(market.debt);
      if (coin && !(await bestSale(venue, coin, 10n ** 18n, block))) {
        throw new Error(`none of ${coin.length} routes prices gas in the debt token`);
      }
      const proceeds = formatAmount(sale.proceeds, market.decimals.debt, 6);
      return `${routes.length} routes; 1 whole collateral token sells for ${proceeds}`;
    });
  }
}

async function checkAccount(
  { signer, operation, parameters }: Config,
  provider: Node,
  contracts: Contracts,
  openAccount: () => Promise<Account | undefined>,
  look: Look,
): Promise<void> {
  let account: Account | undefined;
  await look("account", async () => {
    account = await openAccount();
    if (!account) throw new Error("none is configured: only a dry run is possible");
    const { address, sign } = account;
    if (sign) {
      const { chainId } = contracts.addresses;
      const raw = await sign({ type: 2, chainId, nonce: FAR_NONCE, to: address, gasLimit: 0n });
      expectSame("the signature's account", Transaction.from(raw).from ?? "none", address);
    } else {
      const unlocked = (await provider.send("eth_accounts", [])) as string[];
      if (!unlocked.some((each) => each.toLowerCase() === address.toLowerCase())) {
        throw new Error(`the node has not unlocked ${address}`);
      }
    }
    return `${address} signs (${signer.kind})`;
  });
  if (!account) return;
  const { address } = account;
  await look("balance", async () => {
    const balance = await provider.getBalance(address);
    if (balance < operation.minBalance) {
      throw new Error(
        `${formatEther(balance)} is below MIN_BALANCE_ETH, ${formatEther(operation.minBalance)}`,
      );
    }
    return formatEther(balance);
  });
  await look("nonce", async () => {
    const [mined, pending] = await Promise.all([
      provider.getTransactionCount(address, "latest"),
      provider.getTransactionCount(address, "pending"),
    ]);
    if (pending > mined) throw new Error(`${pending - mined} transactions of this account are pending`);
    return `${mined}, nothing is pending`;
  });
  if (!parameters.inventory) return;
  for (const debt of new Set(contracts.addresses.markets.map((market) => market.debt))) {
    const token = TestToken__factory.connect(debt, provider);
    await look(`inventory ${debt}`, async () => {
      const [balance, decimals, symbol] = await Promise.all([
        token.balanceOf(address),
        token.decimals(),
        token.symbol(),
      ]);
      return `${formatAmount(balance, Number(decimals), 4)} ${symbol}`;
    });
  }
}

async function checkWritable(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  await rm(await mkdtemp(join(directory, "check-")), { recursive: true });
  return `${directory} can be written`;
}

async function checkDatabase(connectionString: string): Promise<string> {
  const pool = new Pool({
    connectionString,
    max: 1,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  try {
    const { rows } = await pool.query<{ may: boolean }>(
      "SELECT has_schema_privilege(current_schema(), 'CREATE') OR to_regclass('keeper_lease') IS NOT NULL AS may",
    );
    if (!rows[0]?.may) throw new Error("this user may create no tables");
    return "answers";
  } finally {
    await pool.end();
  }
}

function expectSame(what: string, is: string, expected: string): void {
  if (is.toLowerCase() !== expected.toLowerCase()) throw new Error(`${what} is ${is}, not ${expected}`);
}

export function findingLine({ what, ok, words }: Finding): string {
  return `${ok ? "ok   " : "WRONG"} ${what}: ${words}`;
}
