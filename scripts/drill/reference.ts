// The same drill in the reference model: every account by itself, in exact numbers, the same orders at the same prices.
import { Model, type Parameters } from "../../test/model/model.ts";
import type { Real } from "../../test/model/real.ts";
import type { OraclePrice, Order } from "./market.ts";

/** What happened on the chain, in order; amounts in token units. */
export type Journal = (
  | { kind: "begin"; time: number }
  | { kind: "lend"; time: number; assets: bigint; price: OraclePrice }
  | { kind: "insure"; amount: bigint }
  | { kind: "open"; time: number; sub: number; collateral: bigint; debt: bigint; price: OraclePrice }
  | { kind: "accrue"; time: number }
  | { kind: "liquidate"; time: number; order: Order; price: OraclePrice }
)[];

export interface Reference {
  badDebt: bigint;
  insurancePaid: bigint;
  lendersLoss: bigint;
  /** How far rounding may take the contracts from the model: the widest bound of the three; see docs/rounding.md. */
  tolerance: bigint;
  /** Decisions so close that rounding could have turned them: beyond these the bound says nothing. */
  ambiguous: number;
}

export function replay(parameters: Parameters, journal: Journal, onEntry: (done: number) => void): Reference {
  const startedAt = journal.find((entry) => entry.kind === "begin")!.time;
  const model = new Model(parameters, BigInt(startedAt));
  journal.forEach((entry, i) => {
    if ("time" in entry) model.advance(BigInt(entry.time));
    switch (entry.kind) {
      case "begin":
        break;
      case "lend":
        model.deposit("lender", entry.assets, fresh(entry.price));
        break;
      case "insure":
        model.insure(entry.amount);
        break;
      case "open":
        model.open(String(entry.sub), entry.collateral, entry.debt, fresh(entry.price));
        break;
      case "accrue":
        model.accrue();
        break;
      case "liquidate":
        model.liquidate({ price: fresh(entry.price), ...entry.order });
        break;
    }
    onEntry(i + 1);
  });
  const { badDebt, insurancePaid, lendersLoss } = model.losses;
  return {
    badDebt: nearest(badDebt),
    insurancePaid: nearest(insurancePaid),
    lendersLoss: nearest(lendersLoss),
    tolerance: [badDebt, insurancePaid, lendersLoss]
      .map((loss) => loss.tolerance() + 1n) // one for printing the exact number as an integer
      .reduce((a, b) => (b > a ? b : a)),
    ambiguous: model.ambiguous.length,
  };
}

function fresh({ low, high }: OraclePrice) {
  return { low, high, state: "Fresh" as const };
}

function nearest(real: Real): bigint {
  return (real.floor() + real.ceil()) / 2n;
}
