// Aave v3.3 and later: a fixed close factor and a fixed bonus (LiquidationLogic.executeLiquidationCall). One collateral,
// one debt whose price is a dollar. Names as there.
import {
  type Account,
  type Block,
  emptyTally,
  equity,
  type GasCost,
  isBeyond,
  type Rule,
} from "./simulate.ts";

const DEFAULT_LIQUIDATION_CLOSE_FACTOR = 0.5;
const CLOSE_FACTOR_HF_THRESHOLD = 0.95;
const MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD = 2_000;
const MIN_LEFTOVER_BASE = MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD / 2;

export interface AaveTerms {
  threshold: number;
  /** 0.05: collateral for 105 % of the debt that is repaid. */
  bonus: number;
  /** Share of the bonus that the protocol takes. */
  protocolFee: number;
}

/** The most that one call may repay. */
export function maxLiquidatableDebt({ collateral, debt }: Account, price: number, threshold: number): number {
  const healthFactor = (collateral * price * threshold) / debt;
  const whole =
    collateral * price < MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD ||
    debt < MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD ||
    healthFactor <= CLOSE_FACTOR_HF_THRESHOLD;
  return whole ? debt : debt * DEFAULT_LIQUIDATION_CLOSE_FACTOR;
}

export interface LiquidationCall {
  debtToCover: number;
  collateral: number; //  that leaves the account
  protocolFee: number; // tokens of it that the protocol keeps
  deficit: number; //     debt that is written off, for no collateral is left
}

/** What a call that offers `debtToCover` does; undefined: it would leave dust, and reverts. */
export function liquidationCall(
  account: Account,
  price: number,
  { threshold, bonus, protocolFee }: AaveTerms,
  debtToCover: number,
): LiquidationCall | undefined {
  let cover = Math.min(debtToCover, maxLiquidatableDebt(account, price, threshold));
  let collateral = (cover / price) * (1 + bonus);
  if (collateral > account.collateral) {
    collateral = account.collateral;
    cover = (collateral * price) / (1 + bonus);
  }
  const [debtLeft, collateralLeft] = [account.debt - cover, account.collateral - collateral];
  const isWhole = debtLeft <= 0 || collateralLeft <= 0;
  if (!isWhole && (debtLeft < MIN_LEFTOVER_BASE || collateralLeft * price < MIN_LEFTOVER_BASE))
    return undefined;
  return {
    debtToCover: cover,
    collateral,
    protocolFee: (collateral - collateral / (1 + bonus)) * protocolFee,
    deficit: collateralLeft <= 0 ? debtLeft : 0,
  };
}

export class Aave implements Rule {
  readonly tally = emptyTally();
  private due: Account[] = [];

  constructor(
    readonly name: string,
    private readonly accounts: Account[],
    private readonly terms: AaveTerms,
    readonly gasCost: GasCost,
  ) {}

  round(price: number): void {
    this.due = this.accounts
      .filter((account) => isBeyond(account, price, this.terms.threshold))
      .sort((a, b) => b.debt - a.debt);
  }

  liquidate({ price, gas, venue }: Block): void {
    const { bonus, protocolFee, threshold } = this.terms;
    /** What a keeper pays for a token of collateral. */
    const cost = price / (1 + bonus * (1 - protocolFee));
    for (const account of this.due) {
      const room = venue.room(cost);
      if (room <= 0) break;
      const call = this.callThatFits(account, price, room * cost);
      if (call === undefined) continue;
      if (!gas.spend()) break;
      venue.sell(call.collateral - call.protocolFee);
      const before = equity(account, price);
      account.collateral -= call.collateral;
      account.debt -= call.debtToCover + call.deficit;
      this.tally.penalty += before - equity(account, price);
      this.tally.income += call.protocolFee * price;
      this.tally.badDebt += call.deficit;
      this.tally.cleared += call.debtToCover + call.deficit;
    }
    this.due = this.due.filter((account) => isBeyond(account, price, threshold));
  }

  /** As much as there is room to sell for, without leaving dust. */
  private callThatFits(account: Account, price: number, budget: number): LiquidationCall | undefined {
    const most = liquidationCall(account, price, this.terms, Infinity);
    if (most !== undefined && most.debtToCover <= budget) return most;
    const leave = account.debt - MIN_LEFTOVER_BASE;
    const least = Math.min(account.debt, MIN_LEFTOVER_BASE);
    const cover = Math.min(budget, leave);
    return cover < least ? undefined : liquidationCall(account, price, this.terms, cover);
  }

  uncovered(): number {
    return this.due.reduce((sum, { debt }) => sum + debt, 0);
  }
}
