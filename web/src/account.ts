import {
  type AccountPosition,
  type MarketReading,
  type Request,
  openAccount,
  openHistory,
  readBalances,
} from "@breakwater/sdk/chain";
import { ZeroAddress } from "ethers";
import { useEffect, useMemo, useState } from "react";

import type { AmountToken } from "./parts/amount-input.tsx";
import { type Reading, useChain, useRead } from "./chain.ts";

// What an account has, and what it can pay with.

/** Its positions in all markets. */
export function usePositions(owner: string | undefined): Reading<AccountPosition[]> {
  const { chain, snapshot } = useChain();
  const account = useMemo(() => owner && openAccount(chain.contracts, owner), [chain, owner]);
  return useRead(account && `positions ${owner ?? ""}`, async (_, block) =>
    (account as ReturnType<typeof openAccount>)(snapshot.markets, block),
  );
}

export function useHistory(owner: string) {
  const { chain, snapshot } = useChain();
  const history = useMemo(() => openHistory(chain.contracts, owner, chain.index), [chain, owner]);
  return useRead(`history ${owner}`, async (_, block) => history(snapshot.markets, block));
}

/** A token of a market as somebody pays or gets it; wrapped ether comes as ether too. */
export interface Money extends AmountToken {
  token: "collateral" | "debt";
  ether: boolean;
  /** What the account has of it; undefined: not known, or nobody's. */
  balance?: bigint;
}

/** Left of an account's ether for what its transactions cost. */
const FOR_GAS = 10n ** 16n;

/** What the market's tokens are, ether first where one of them wraps it. */
export function useMoney(market: MarketReading, owner: string | undefined): Money[] {
  const { collateral, debt, decimals } = market.addresses;
  const weth = useRead("weth", async ({ contracts }) => contracts.leverageRouter.WETH()).value;
  const balances = useRead(owner && `balances ${owner} ${collateral} ${debt}`, async ({ contracts }, block) =>
    readBalances(contracts, owner!, [collateral, debt], block),
  ).value;
  return (["collateral", "debt"] as const).flatMap((token) => {
    const of = market.addresses[token];
    const plain: Money = {
      ...{ token, ether: false, symbol: market.symbols[token], decimals: decimals[token] },
      ...(balances && { balance: balances.tokens[of]! }),
    };
    if (of.toLowerCase() !== weth?.toLowerCase()) return [plain];
    const ether = balances && (balances.ether > FOR_GAS ? balances.ether - FOR_GAS : 0n);
    return [{ ...plain, ether: true, symbol: "ETH", ...(ether !== undefined && { balance: ether }) }, plain];
  });
}

/** Of trades here, unless they say otherwise. */
export const SLIPPAGES = [10n, 50n, 100n] as const;
const DEADLINE = 1_200n;

/** What all quotes ask for. Without an account the quote is for nobody's: what it would be. */
export function useRequest(
  market: MarketReading,
  owner: string | undefined,
  sub: bigint,
  slippage: bigint,
): (block: number) => Request {
  const { snapshot } = useChain();
  return (block) => ({
    ...{ market, owner: owner ?? ZeroAddress, sub, slippage, block },
    deadline: snapshot.time + DEADLINE,
  });
}

/** A value that has not changed for a moment: what is being typed or dragged is not asked about yet. */
export function useSettled<T>(value: T, milliseconds = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}
