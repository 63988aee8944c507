/** What lenders do, and what is done for all of them. */
import type { Real } from "../model/real.ts";
import type { Of } from "./sequence.ts";
import { admit, type Context, expectEqual, type Trial } from "./trial.ts";

export function come({ venue, model, price }: Context, operation: Of<"deposit" | "mint">): Trial<Real> {
  const { do: kind, lender, amount } = operation;
  const from = venue.lender(lender);
  return {
    what: `${kind} ${amount} by ${lender} (${price.state}, ${model.level})`,
    from,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData(kind as "deposit", [amount, from]),
    },
    onModel: () => model[kind](from, amount, price),
    check: (moved, { event }) => {
      const { shares, assets, owner } = event("Deposit") as { shares: bigint; assets: bigint; owner: string };
      expectEqual("owner in the event", owner, from);
      expectEqual("given in the event", kind === "deposit" ? assets : shares, amount);
      admit(kind, moved, kind === "deposit" ? shares : assets);
    },
  };
}

/** `shares`: what the lender has on chain. */
export function go(
  { venue, model, price }: Context,
  operation: Of<"withdraw" | "redeem">,
  shares: bigint,
): Trial<Real> {
  const { do: kind, lender } = operation;
  const from = venue.lender(lender);
  const amount = operation.amount === "all" ? shares : operation.amount;
  return {
    what: `${kind} ${operation.amount} by ${lender} (${price.state}, ${model.level})`,
    from,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData(kind as "withdraw", [amount, from, from]),
    },
    onModel: () =>
      operation.do === "withdraw"
        ? model.withdraw(from, amount, price)
        : model.redeem(from, operation.amount, price),
    check: (moved, { event }) => {
      const log = event("Withdraw") as { shares: bigint; assets: bigint; owner: string };
      expectEqual("owner in the event", log.owner, from);
      expectEqual("given in the event", kind === "withdraw" ? log.assets : log.shares, amount);
      admit(kind, moved, kind === "withdraw" ? log.shares : log.assets);
    },
  };
}

export function record({ venue }: Context): Trial<void> {
  return {
    what: "oracle.update",
    from: venue.lender("x"),
    call: {
      to: venue.addresses.oracle,
      data: venue.market.oracle.interface.encodeFunctionData("update"),
    },
    onModel: () => undefined,
  };
}

export function accrue({ venue, model }: Context): Trial<void> {
  return {
    what: "accrueInterest",
    from: venue.lender("x"),
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("accrueInterest"),
    },
    onModel: () => model.accrue(),
  };
}

export function reserves({ venue, model }: Context): Trial<Real> {
  return {
    what: "collectReserves",
    from: venue.lender("x"),
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("collectReserves"),
    },
    onModel: () => model.collectReserves(),
    check: (amount, { event }) => admit("reserves", amount, event("CollectReserves").amount as bigint),
  };
}

export function insure({ venue, model }: Context, { amount }: Of<"insure">): Trial<void> {
  return {
    what: `insure ${amount}`,
    from: venue.lender("x"),
    call: {
      to: venue.addresses.insurance,
      data: venue.market.insurance.interface.encodeFunctionData("deposit", [venue.addresses.vault, amount]),
    },
    onModel: () => model.insure(amount),
  };
}
