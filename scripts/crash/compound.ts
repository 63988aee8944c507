// Compound III: `absorb` takes the whole account, and the protocol sells the collateral afterwards for a fixed discount
// (Comet.absorbInternal, Comet.quoteCollateral). One collateral, a base token whose price is a dollar. Names as there.
import {
  type Account,
  type Block,
  emptyTally,
  equity,
  type GasCost,
  isBeyond,
  type Rule,
} from "./simulate.ts";

export interface CompoundTerms {
  liquidateCollateralFactor: number;
  liquidationFactor: number;
  storeFrontPriceFactor: number;
}

/** What the account has in base tokens after it was absorbed, and what the protocol has paid for its collateral. */
export function absorb(
  { collateral, debt }: Account,
  price: number,
  liquidationFactor: number,
): { newBalance: number; paid: number } {
  const newBalance = Math.max(0, collateral * price * liquidationFactor - debt);
  return { newBalance, paid: debt + newBalance };
}

/** Collateral for `baseAmount`. */
export function quoteCollateral(baseAmount: number, price: number, terms: CompoundTerms): number {
  return baseAmount / discounted(price, terms);
}

function discounted(price: number, { liquidationFactor, storeFrontPriceFactor }: CompoundTerms): number {
  return price * (1 - storeFrontPriceFactor * (1 - liquidationFactor));
}

/** One account's collateral in the protocol's hands. */
interface Lot {
  collateral: number;
  debt: number; //     that it was to cover
  paid: number; //     by the protocol for it
  proceeds: number; // so far
  unsold: number;
}

export class Compound implements Rule {
  readonly tally = emptyTally();
  private due: Account[] = [];
  private lots: Lot[] = [];

  constructor(
    readonly name: string,
    private readonly accounts: Account[],
    private readonly terms: CompoundTerms,
    readonly gasCost: GasCost,
  ) {}

  round(price: number): void {
    this.due = this.accounts
      .filter((account) => isBeyond(account, price, this.terms.liquidateCollateralFactor))
      .sort((a, b) => b.debt - a.debt);
  }

  liquidate({ price, gas, venue }: Block): void {
    while (this.due.length > 0 && gas.spend()) this.absorb(this.due.shift()!, price);
    const cost = discounted(price, this.terms);
    while (this.lots.length > 0) {
      const lot = this.lots[0]!;
      const amount = Math.min(lot.unsold, venue.room(cost));
      if (amount <= 0) break;
      venue.sell(amount);
      lot.unsold -= amount;
      lot.proceeds += amount * cost;
      if (lot.unsold > 0) break;
      this.lots.shift();
      this.tally.badDebt += Math.max(0, lot.paid - lot.proceeds);
      this.tally.income += Math.max(0, lot.proceeds - lot.paid);
    }
  }

  private absorb(account: Account, price: number): void {
    const { newBalance, paid } = absorb(account, price, this.terms.liquidationFactor);
    const { collateral, debt } = account;
    this.tally.penalty += equity(account, price) - newBalance;
    this.tally.cleared += debt;
    this.lots.push({ collateral, debt, paid, proceeds: 0, unsold: collateral });
    account.collateral = 0;
    account.debt = 0;
  }

  uncovered(): number {
    const liquidatable = this.due.reduce((sum, { debt }) => sum + debt, 0);
    return this.lots.reduce(
      (sum, { debt, unsold, collateral }) => sum + (debt * unsold) / collateral,
      liquidatable,
    );
  }
}
