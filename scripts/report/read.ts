// What the register asks a chain: blocks, events, what markets hold and owe at a block, prices.
import { contractAddress, type MarketAddresses } from "@breakwater/sdk/addresses";
import {
  connect,
  type Contracts,
  type EventName,
  PRICE_STATES,
  type ProtocolEvent,
  readEvents,
  readLogs,
} from "@breakwater/sdk/chain";
import { BORROW_INDEX_ONE, type Ledger, ledgerOfWords, type Units } from "@breakwater/sdk/core";
import {
  InverseOracleAdapter__factory,
  IOracleAdapter__factory,
  OracleAdapter__factory,
  TestToken__factory,
} from "@breakwater/sdk/types";
import { Refusal } from "@breakwater/sdk/desk";
import { getAddress, id, isError, JsonRpcProvider, toBeHex, ZeroAddress, zeroPadValue } from "ethers";

import { readAddresses } from "../desk/chain.ts";
import type { Balance } from "./lines.ts";

export interface Block {
  number: number;
  hash: string;
  timestamp: number;
}

export interface Price {
  oracle: string;
  low: bigint;
  high: bigint;
  state: (typeof PRICE_STATES)[number];
  roundA: bigint;
  roundB: bigint;
}

/** A market of the deployment, with what never changes. */
export interface Market extends MarketAddresses {
  units: Units;
  /** Decimals of a collateral unit of the book. */
  unitDecimals: number;
  paired: boolean;
  insurance: string;
}

/** A market at the end of a block, as it is stored: no interest that nobody has charged yet. */
export interface State {
  exists: boolean;
  ledger: Ledger;
  balances: Record<Balance, bigint>;
}

/** A token that came or went, as the token itself says. */
export interface TokenTransfer {
  block: number;
  transaction: string;
  token: string;
  from: string;
  to: string;
  value: bigint;
}

/** All that moves a unit or that a replay needs. */
const EVENTS = [
  ...["Adjust", "WithdrawSurplus", "TransferPosition", "Settle", "Liquidate", "ChangePot"],
  ...["Deposit", "Withdraw", "Transfer", "CollectReserves", "Cover"],
  ...["SetRisk", "SetRamp", "SetCaps", "SetCascade", "SetReserveFactor", "SetOracle", "SetBrake"],
  ...["StartWindDown", "Swap", "ExecuteOrder", "FlashLiquidate"],
] as EventName[];
export type RegisterEvent = ProtocolEvent;

const AT_ONCE = 200;
const NOTHING: Ledger = {
  ...{ borrowIndex: BORROW_INDEX_ONE, cash: 0n, rateAtTarget: 0n },
  ...{ debt: 0n, reserves: 0n, accruedAt: 0n, reserveFactor: 0n },
};

export type Chain = Awaited<ReturnType<typeof openChain>>;

/** Connects, and refuses a chain of which there is no deployment here. */
export async function openChain(rpc: string, addressesFile?: string) {
  const probe = new JsonRpcProvider(rpc, undefined, { batchMaxCount: 1 });
  let chainId: number;
  try {
    const [answer] = await probe._send({ id: 1, jsonrpc: "2.0", method: "eth_chainId", params: [] });
    if (!answer || !("result" in answer)) throw new Refusal(`no chain answers at ${rpc}`);
    chainId = Number(answer.result);
  } catch {
    throw new Refusal(`no chain answers at ${rpc}`);
  } finally {
    probe.destroy();
  }
  const addresses = await readAddresses(chainId, addressesFile);
  if (addresses.chainId !== chainId) {
    throw new Refusal(`${rpc} is chain ${chainId}, the addresses are of chain ${addresses.chainId}`);
  }
  const provider = new JsonRpcProvider(rpc, chainId, { staticNetwork: true, cacheTimeout: -1 });
  const contracts = connect(addresses, provider);
  return {
    provider,
    contracts,
    addresses,
    chainId,
    startBlock: addresses.startBlock,
    markets: await Promise.all(addresses.markets.map(async (market) => listed(contracts, market))),
    fund: getAddress(contractAddress(addresses, "InsuranceFund")),
    close: () => provider.destroy(),
  };
}

async function listed(contracts: Contracts, market: MarketAddresses): Promise<Market> {
  const vault = contracts.vault(market);
  const [scales, pair, insurance] = await Promise.all([vault.scales(), vault.PAIR(), vault.INSURANCE()]);
  const [collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier] = scales;
  return {
    ...market,
    vault: getAddress(market.vault),
    units: {
      spacing: market.spacing,
      ...{ collateralMultiplier, collateralDivisor, debtMultiplier, debtDivisor, priceMultiplier },
    },
    unitDecimals: 18 - (priceMultiplier.toString().length - 1),
    paired: BigInt(pair) !== 0n,
    insurance,
  };
}

export async function readBlock({ provider }: Chain, number: number): Promise<Block> {
  const block = await provider.getBlock(number);
  if (!block?.hash) throw new Refusal(`the node has no block ${number} (any more)`);
  return { number, hash: block.hash, timestamp: block.timestamp };
}

export async function readBlocks(chain: Chain, numbers: Iterable<number>): Promise<Map<number, Block>> {
  const blocks = await eachOf([...new Set(numbers)], async (number) => readBlock(chain, number));
  return new Map(blocks.map((block) => [block.number, block]));
}

/** Many questions, but not all of them at once. */
export async function eachOf<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    answers.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(ask))));
  }
  return answers;
}

/** Says what a node lacks that has thrown its past away. */
export async function ofThePast<T>(what: string, ask: Promise<T>): Promise<T> {
  try {
    return await ask;
  } catch (error) {
    if (!isError(error, "UNKNOWN_ERROR") && !isError(error, "CALL_EXCEPTION")) throw error;
    const words = (error.error as { message?: string } | undefined)?.message ?? error.shortMessage;
    throw new Refusal(`the node does not have ${what} any more ("${words}"): ask an archive node`);
  }
}

export async function readRegisterEvents(chain: Chain, from: number, to: number): Promise<RegisterEvent[]> {
  return ofThePast(`the logs of blocks ${from} to ${to}`, readEvents(chain.contracts, EVENTS, from, to));
}

/** Collateral and debt tokens into and out of the vaults. */
export async function readTransfers(chain: Chain, from: number, to: number): Promise<TokenTransfer[]> {
  const tokens = [...new Set(chain.markets.flatMap(({ collateral, debt }) => [collateral, debt]))];
  const holders = chain.markets.map(({ vault }) => zeroPadValue(vault, 32));
  const transfer = id("Transfer(address,address,uint256)");
  const logs = await Promise.all(
    [
      [transfer, null, holders],
      [transfer, holders],
    ].map(async (topics) => readLogs(chain.provider, { address: tokens, topics }, from, to)),
  );
  const unique = new Map(logs.flat().map((log) => [`${log.blockNumber}.${log.index}`, log]));
  return [...unique.values()].map((log) => ({
    block: log.blockNumber,
    transaction: log.transactionHash,
    token: getAddress(log.address),
    from: getAddress(`0x${log.topics[1]!.slice(26)}`),
    to: getAddress(`0x${log.topics[2]!.slice(26)}`),
    value: BigInt(log.data),
  }));
}

// Where Market.State keeps its fields: contracts/libraries/Market.sol and TickBook.sol.
const [LEDGER, BOOK] = [0, 5];
const bits = (word: bigint, at: bigint, width: bigint) => (word >> at) & ((1n << width) - 1n);

export async function readLedger({ provider }: Chain, vault: string, block: number): Promise<Ledger> {
  const [first, second] = (
    await ofThePast(
      `the state of block ${block}`,
      Promise.all([0, 1].map(async (at) => provider.getStorage(vault, LEDGER + at, block))),
    )
  ).map(BigInt) as [bigint, bigint];
  return ledgerOfWords(first, second);
}

/** A market before it was deployed has nothing. */
export async function readState(chain: Chain, market: Market, block: number): Promise<State> {
  const { provider, contracts } = chain;
  const at = { blockTag: block };
  const what = `the state of block ${block}`;
  const zero = Object.fromEntries(BALANCE_NAMES.map((name) => [name, 0n])) as Record<Balance, bigint>;
  const code = await ofThePast(what, provider.getCode(market.vault, block));
  const nothing = { exists: false, ledger: NOTHING, balances: zero };
  if (code === "0x") return nothing;
  const ledger = await readLedger(chain, market.vault, block);
  if (ledger.borrowIndex === 0n) return nothing;
  const token = (address: string) => TestToken__factory.connect(address, provider);
  const [book, potCollateral, insurance, shares, debtTokens, collateralTokens] = await ofThePast(
    what,
    Promise.all([
      provider.getStorage(market.vault, BOOK, block),
      provider.getStorage(market.vault, BOOK + 1, block),
      provider.getCode(chain.fund, block).then(async (there) => {
        return there === "0x" ? 0n : contracts.insurance.balanceOf(market.vault, at);
      }),
      contracts.vault(market).totalSupply(at),
      token(market.debt).balanceOf(market.vault, at),
      token(market.collateral).balanceOf(market.vault, at),
    ]),
  );
  return {
    exists: true,
    ledger,
    balances: {
      cash: ledger.cash,
      debt: (ledger.debt * ledger.borrowIndex) / BORROW_INDEX_ONE,
      reserves: ledger.reserves,
      insurance,
      potDebt: bits(BigInt(book), 88n, 128n),
      potCollateral: bits(BigInt(potCollateral), 0n, 128n),
      shares,
      debtTokens,
      collateralTokens,
    },
  };
}
const BALANCE_NAMES: Balance[] = [
  ...(["cash", "debt", "reserves", "insurance", "potDebt"] as const),
  ...(["potCollateral", "shares", "debtTokens", "collateralTokens"] as const),
];

/** What a token's contract says somebody has; nothing before there is one. */
export async function readBalance(
  { provider }: Chain,
  token: string,
  holder: string,
  block: number,
): Promise<bigint> {
  return ofThePast(
    `the state of block ${block}`,
    (async () => {
      if ((await provider.getCode(token, block)) === "0x") return 0n;
      return TestToken__factory.connect(token, provider).balanceOf(holder, { blockTag: block });
    })(),
  );
}

export async function readPrice({ provider }: Chain, oracle: string, block: number): Promise<Price> {
  const price = await ofThePast(
    `the state of block ${block}`,
    IOracleAdapter__factory.connect(oracle, provider).read({ blockTag: toBeHex(block) }),
  );
  const { low, high, state, roundA, roundB } = price;
  return { oracle, low, high, state: PRICE_STATES[Number(state)]!, roundA, roundB };
}

/** Whose rounds an adapter's are. */
export interface Sources {
  adapter: string;
  /** Of a mirrored market: the adapter behind, whose sources these are. */
  mirrors?: string;
  primary?: string[];
  second?: string[];
}

export async function readSources({ provider }: Chain, adapter: string, block: number): Promise<Sources> {
  const at = { blockTag: block };
  const mirrors = await InverseOracleAdapter__factory.connect(adapter, provider)
    .MIRRORED(at)
    .catch(() => undefined);
  const config = await OracleAdapter__factory.connect(mirrors ?? adapter, provider)
    .config(at)
    .catch(() => undefined);
  const some = (...feeds: string[]) => feeds.filter((feed) => feed !== ZeroAddress);
  return {
    adapter,
    ...(mirrors !== undefined && { mirrors }),
    ...(config && {
      primary: some(config.collateralFeed.feed, config.debtFeed.feed),
      second: some(config.pool, config.secondCollateralFeed.feed, config.secondDebtFeed.feed),
    }),
  };
}
