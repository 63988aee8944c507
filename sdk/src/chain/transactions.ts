import { type BlockTag, Contract, Signature, TypedDataEncoder, type TypedDataField, ZeroHash } from "ethers";

import type { ILeverageRouter } from "../types/LeverageRouter.ts";
import { type Contracts, providerOf } from "./connect.ts";
import type { TradeQuote } from "./trade.ts";

// What an owner sends or signs, so that a quoted trade is made.

const ERC20 = [
  "function balanceOf(address) view returns (uint256)",
  "function allowance(address, address) view returns (uint256)",
  "function approve(address, uint256) returns (bool)",
  "function name() view returns (string)",
  "function version() view returns (string)",
  "function nonces(address) view returns (uint256)",
  "function DOMAIN_SEPARATOR() view returns (bytes32)",
  "function balanceOf(address) view returns (uint256)",
];

export interface Transaction {
  to: string;
  data: string;
  value: bigint;
  words: string;
}

/** What a wallet signs (EIP-712), as `signTypedData` takes it. */
export interface TypedData {
  domain: { name?: string; version?: string; chainId: bigint; verifyingContract: string };
  types: Record<string, TypedDataField[]>;
  message: Record<string, unknown>;
}

/** The transactions from here to the trade: what is missing of approval and authorisation, then the trade. */
export async function transactionsOf(
  contracts: Contracts,
  quote: TradeQuote,
  symbols: Record<string, string> = {},
): Promise<Transaction[]> {
  const { owner, token, amount } = quote.trade;
  const router = { address: await contracts.leverageRouter.getAddress(), name: "the router" };
  const markets = quote.trade.legs.map(({ market }) => market);
  return [
    ...(await operatorTransactions(contracts, owner, markets, router)),
    ...(await approvalTransactions(contracts, owner, { token, amount }, router, symbols)),
    tradeTransaction(contracts, quote),
  ];
}

/** What an account has: of each token (by its address) and of ether. */
export async function readBalances(
  contracts: Contracts,
  owner: string,
  tokens: readonly string[],
  block: BlockTag = "latest",
): Promise<{ ether: bigint; tokens: Record<string, bigint> }> {
  const provider = providerOf(contracts);
  const [ether, ...amounts] = await Promise.all([
    provider.getBalance(owner, block),
    ...tokens.map(async (token) => {
      const erc20 = new Contract(token, ERC20, provider);
      return (await erc20.getFunction("balanceOf").staticCall(owner, { blockTag: block })) as bigint;
    }),
  ]);
  return { ether, tokens: Object.fromEntries(tokens.map((token, at) => [token, amounts[at]!])) };
}

/** Whom an owner lets act, or take tokens. */
interface Party {
  address: string;
  name: string;
}

/** Of the markets, what is missing so that `operator` may act for the owner there. */
export async function operatorTransactions(
  contracts: Contracts,
  owner: string,
  markets: readonly string[],
  operator: Party,
): Promise<Transaction[]> {
  const unknown = await unauthorised(contracts, owner, markets, operator.address);
  return unknown.map((vault) => {
    const id = contracts.addresses.markets.find((market) => market.vault === vault)?.id ?? vault;
    return {
      to: vault,
      data: contracts.vault({ vault }).interface.encodeFunctionData("setOperator", [operator.address, true]),
      value: 0n,
      words: `let ${operator.name} act for you in ${id}`,
    };
  });
}

/** The approval of just this amount, if `spender` may not take it yet. */
export async function approvalTransactions(
  contracts: Contracts,
  owner: string,
  { token, amount }: { token: string; amount: bigint },
  spender: Party,
  symbols: Record<string, string>,
): Promise<Transaction[]> {
  if (amount === 0n) return [];
  const erc20 = new Contract(token, ERC20, providerOf(contracts));
  const allowed = (await erc20.getFunction("allowance").staticCall(owner, spender.address)) as bigint;
  if (allowed >= amount) return [];
  return [
    {
      to: token,
      data: erc20.interface.encodeFunctionData("approve", [spender.address, amount]),
      value: 0n,
      words: `approve ${symbols[token] ?? token} for ${spender.name}: just what is needed`,
    },
  ];
}

export async function tokenBalance(
  contracts: Contracts,
  token: string,
  owner: string,
  block: BlockTag = "latest",
): Promise<bigint> {
  const balanceOf = new Contract(token, ERC20, providerOf(contracts)).getFunction("balanceOf");
  return (await balanceOf.staticCall(owner, { blockTag: block })) as bigint;
}

/** The trade alone, with signatures in place of transactions. */
export function tradeTransaction(
  { leverageRouter, addresses }: Contracts,
  { trade, value }: TradeQuote,
  authorisations: ILeverageRouter.AuthorisationStruct[] = [],
  permit: ILeverageRouter.PermitStruct = { value: 0n, deadline: 0n, v: 0, r: ZeroHash, s: ZeroHash },
): Transaction {
  return {
    to: addresses.contracts["LeverageRouter"]!,
    data: leverageRouter.interface.encodeFunctionData("trade", [trade, authorisations, permit]),
    value,
    words: "trade",
  };
}

/** For each market of the trade that does not know the router yet: what the owner signs to make it an operator. */
export async function authorisationsFor(contracts: Contracts, quote: TradeQuote): Promise<TypedData[]> {
  const { chainId } = await providerOf(contracts).getNetwork();
  const operator = await contracts.leverageRouter.getAddress();
  const { owner, deadline, legs } = quote.trade;
  const markets = legs.map(({ market }) => market);
  return Promise.all(
    (await unauthorised(contracts, owner, markets, operator)).map(async (market) => ({
      domain: { name: "Breakwater", version: "1", chainId, verifyingContract: market },
      types: {
        SetOperator: fields(
          "owner address, operator address, approved bool, nonce uint256, deadline uint256",
        ),
      },
      message: {
        owner,
        operator,
        approved: true,
        nonce: await contracts.vault({ vault: market }).nonces(owner),
        deadline,
      },
    })),
  );
}

/**
 * What the owner signs instead of approving the margin, if the token knows ERC-2612 (undefined if not, or if it is approved
 * already). Smart accounts, which cannot sign one, approve.
 */
export async function permitFor(contracts: Contracts, quote: TradeQuote): Promise<TypedData | undefined> {
  const { owner, token, amount, deadline } = quote.trade;
  if (amount === 0n) return undefined;
  const spender = await contracts.leverageRouter.getAddress();
  const erc20 = new Contract(token, ERC20, providerOf(contracts));
  const ask = async <T>(name: string, ...args: unknown[]) =>
    (await erc20.getFunction(name).staticCall(...args)) as T;
  if ((await ask<bigint>("allowance", owner, spender)) >= amount) return undefined;
  const { chainId } = await providerOf(contracts).getNetwork();
  const nonce = await ask<bigint>("nonces", owner).catch(() => undefined);
  if (nonce === undefined) return undefined;
  const [name, version] = await Promise.all([
    ask<string>("name"),
    ask<string>("version").catch(() => "1"), // OpenZeppelin's have none, and mean this
  ]);
  const domain = { name, version, chainId, verifyingContract: token };
  // A token may have another domain than one can see: then its own hash says so.
  if (TypedDataEncoder.hashDomain(domain) !== (await ask<string>("DOMAIN_SEPARATOR"))) return undefined;
  return {
    domain,
    types: {
      Permit: fields("owner address, spender address, value uint256, nonce uint256, deadline uint256"),
    },
    message: { owner, spender, value: amount, nonce, deadline },
  };
}

/** A permit for the router from its typed data and signature. */
export function permitOf({ message }: TypedData, signature: string): ILeverageRouter.PermitStruct {
  const { v, r, s } = Signature.from(signature);
  return { value: message["value"] as bigint, deadline: message["deadline"] as bigint, v, r, s };
}

function fields(list: string): TypedDataField[] {
  return list.split(", ").map((field) => {
    const [name, type] = field.split(" ") as [string, string];
    return { name, type };
  });
}

async function unauthorised(
  contracts: Contracts,
  owner: string,
  markets: readonly string[],
  operator: string,
): Promise<string[]> {
  const each = [...new Set(markets)];
  const known = await Promise.all(
    each.map(async (vault) => contracts.vault({ vault }).isOperator(owner, operator)),
  );
  return each.filter((_, at) => !known[at]);
}
