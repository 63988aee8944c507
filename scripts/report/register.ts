// Events → lines, market by market; and what the contracts around the markets say.
import type { Ledger } from "@breakwater/sdk/core";
import { getAddress, ZeroAddress } from "ethers";

import { MarketBook } from "./book.ts";
import type { Amount, AmountName, Line } from "./lines.ts";
import { lineOf, Names, stamp } from "./names.ts";
import type { Block, Market, Price, RegisterEvent, TokenTransfer } from "./read.ts";

/** What the chain says beside its events about a market at the end of a block. */
export interface Reading {
  /** Of a block in which interest may have been charged. */
  ledger?: Ledger;
  price?: Price;
}

/** One block of the period. */
export interface Page {
  block: Block;
  events: RegisterEvent[];
  /** By vault. */
  readings: Map<string, Reading>;
  transfers: TokenTransfer[];
}

export interface Deployment {
  chainId: number;
  markets: Market[];
  fund: string;
}

/** Events that charge interest first. */
const CHARGING = new Set([
  "Deposit",
  "Withdraw",
  "Settle",
  "Liquidate",
  "CollectReserves",
  "SetReserveFactor",
]);
export function charges(event: RegisterEvent): boolean {
  if (event.contract !== "Vault") return false;
  return event.name === "Adjust" ? event.args.borrowIndex !== 0n : CHARGING.has(event.name);
}

export class Register {
  readonly names: Names;
  private readonly books = new Map<string, MarketBook>();

  constructor(private readonly deployment: Deployment) {
    this.names = new Names(deployment.chainId);
    for (const market of deployment.markets) {
      this.books.set(market.vault, new MarketBook(this.names, market));
    }
  }

  bookOf({ vault }: { vault: string }): MarketBook {
    return this.books.get(vault)!;
  }

  /** Events before the period: nobody's lines, but what the period begins with. */
  async follow(block: Block, events: RegisterEvent[]): Promise<void> {
    for (const event of events) {
      for (const book of this.concerned(event)) await book.apply(event, block, events);
    }
  }

  /** The lines of one block. */
  async lines({ block, events, readings, transfers }: Page): Promise<Line[]> {
    const lines: Line[] = [];
    for (const [vault, { ledger, price }] of readings) this.books.get(vault)!.beginBlock(ledger, price);
    for (const event of events) {
      const found: Line[] = [];
      for (const book of this.concerned(event)) found.push(...(await book.apply(event, block, events)));
      lines.push(...(found.length > 0 ? found : this.linesOfOthers(event, block, events)));
    }
    const interest = [];
    for (const vault of readings.keys()) interest.push(...(await this.books.get(vault)!.endBlock(block)));
    return [...interest, ...lines, ...this.unaccounted(block, transfers, lines)];
  }

  /** What positions owe more at the end of the period, since their last lines. */
  async closing(block: Block): Promise<Line[]> {
    const lines: Line[] = [];
    for (const book of this.books.values()) lines.push(...(await book.closing(block)));
    return lines;
  }

  private concerned(event: RegisterEvent): MarketBook[] {
    if (event.contract === "Vault") return [this.books.get(getAddress(event.address))!];
    if (event.contract !== "InsuranceFund" || !("market" in event.args)) return [];
    // Anybody may pose as a market there.
    const book = this.books.get(getAddress(event.args.market));
    return book ? [book] : [];
  }

  // ---------------------------------------------------------------- beside the markets

  private linesOfOthers(event: RegisterEvent, block: Block, all: RegisterEvent[]): Line[] {
    const { names } = this;
    if (event.contract === "LeverageRouter") {
      const { owner, tokenIn, tokenOut, sold, bought } = event.args;
      const market = this.changedFor(owner, event, all);
      return [
        lineOf(names, block, event, "swap", {
          ...this.vouched(market, owner),
          amounts: {
            ...this.tokenAmount("sold", tokenIn, sold),
            ...this.tokenAmount("bought", tokenOut, bought),
          },
        }),
      ];
    }
    if (event.contract === "ProtectionOrders" && event.name === "ExecuteOrder") {
      const { id, owner, caller, quote, left } = event.args;
      const market = this.changedFor(owner, event, all);
      return [
        lineOf(names, block, event, "order", {
          ...this.vouched(market, owner),
          counterparty: names.account(caller),
          order: id.toString(),
          amounts: {
            ...this.tokenAmount("tip", quote.tipToken, quote.tip),
            ...this.tokenAmount("left", quote.tipToken, left),
          },
        }),
      ];
    }
    if (event.contract === "FlashLiquidator") {
      const { market: vault, caller, receiver, repaid, seized, profit } = event.args;
      const book = this.books.get(getAddress(vault));
      if (!book) return [];
      const { amount } = book;
      return [
        lineOf(names, block, event, "flash-liquidation", {
          ...book.named,
          account: names.account(receiver),
          counterparty: names.account(caller),
          amounts: {
            repaid: amount.debt(repaid),
            seized: amount.collateral(seized),
            profit: amount.debt(profit),
          },
        }),
      ];
    }
    return [];
  }

  /** Router and orders believe a market that the caller named; a listed one's own event is evidence. */
  private changedFor(
    owner: string,
    { transaction }: RegisterEvent,
    all: RegisterEvent[],
  ): string | undefined {
    return all.find(
      (each) =>
        each.contract === "Vault" &&
        each.name === "Adjust" &&
        each.transaction === transaction &&
        each.args.owner === owner,
    )?.address;
  }

  private vouched(vault: string | undefined, owner: string): Partial<Line> {
    if (vault !== undefined) {
      return { ...this.books.get(getAddress(vault))!.named, account: this.names.account(owner) };
    }
    return {
      note: `says ${owner}, but no listed market changed a position of that owner in this transaction`,
    };
  }

  private tokenAmount(name: AmountName, token: string, raw: bigint): Partial<Record<AmountName, Amount>> {
    for (const { collateral, debt, decimals } of this.deployment.markets) {
      if (getAddress(token) === getAddress(debt)) {
        return { [name]: this.names.amount(raw, decimals.debt, debt) };
      }
      if (getAddress(token) === getAddress(collateral)) {
        return { [name]: this.names.amount(raw, decimals.collateral, collateral) };
      }
    }
    return {}; // of no listed market: nothing vouches for it
  }

  /** Tokens that came to a vault without an event of its: nobody's, and no market counts on them. */
  private unaccounted(block: Block, transfers: TokenTransfer[], lines: Line[]): Line[] {
    const found: Line[] = [];
    const holders = [...this.books.values()].map(({ market }) => market.vault);
    for (const transaction of new Set(transfers.map((each) => each.transaction))) {
      const within = transfers.filter((each) => each.transaction === transaction);
      const said = lines.filter((line) => line.transaction === transaction);
      for (const vault of holders) {
        const { market, amount, named } = this.books.get(vault)!;
        for (const [name, token, unit] of [
          ["debtTokens", market.debt, amount.debt],
          ["collateralTokens", market.collateral, amount.collateral],
        ] as const) {
          let left = 0n;
          for (const { token: moved, from, to, value } of within) {
            if (moved !== getAddress(token)) continue;
            if (to === vault) left += value;
            if (from === vault) left -= value;
          }
          for (const { vault: of, changes } of said) {
            if (of === named.vault) left -= BigInt(changes[name]?.raw ?? 0);
          }
          if (left === 0n) continue;
          const sender = within.find((each) => each.to === vault)?.from ?? ZeroAddress;
          found.push({
            ...stamp(this.names, block),
            ...{
              id: `${block.number}.${transaction}.${name}.${market.id}`,
              kind: "unaccounted",
              transaction,
            },
            ...named,
            counterparty: this.names.account(sender),
            amounts: { amount: unit(left) },
            changes: { [name]: unit(left) },
            note:
              left > 0n
                ? "tokens came to the vault without an event of its: nobody's claim, and no part of its cash"
                : "tokens left the vault without an event of its",
          });
        }
      }
    }
    return found;
  }
}
