/** What borrowers and strangers do with positions. */
import type { Moved } from "../model/model.ts";
import type { Real } from "../model/real.ts";
import { MAX_UINT256, MIN_INT256 } from "../support/market.ts";
import type { Of } from "./sequence.ts";
import { admit, type Context, expectEqual, type Trial } from "./trial.ts";

/** More than anybody owes. */
const PLENTY = 1n << 120n;

export function adjust({ venue, model, price }: Context, operation: Of<"adjust">): Trial<Moved> {
  const { name, owner, sub } = venue.account(operation.account);
  const { collateral, by } = operation;
  const debt = operation.debt === "all" ? -PLENTY : operation.debt;
  const from = by === undefined ? owner : venue.lender(by);
  return {
    what: `adjust ${name} ${collateral} ${operation.debt}${by === undefined ? "" : ` by ${by}`} (${price.state}, ${model.level})`,
    from,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("adjust", [
        owner,
        sub,
        collateral === "all" ? MIN_INT256 : collateral,
        debt,
        from,
        "0x",
      ]),
    },
    onModel: () => model.adjust({ account: name, collateral, debt, price, acts: by === undefined }),
    check: (moved, { event, book }) => {
      const log = event("Adjust");
      admit("collateral moved", moved.collateral, log.collateralDelta as bigint);
      admit("debt moved", moved.debt, log.debtDelta as bigint);
      // What it says of the position is what was stored.
      const position = book.positions.get(name)!;
      expectEqual("owner in the event", log.owner as string, owner);
      expectEqual("sub-account in the event", log.sub as bigint, sub);
      expectEqual("caller in the event", log.caller as string, from);
      expectEqual("node in the event", log.node as bigint, position.node);
      expectEqual("shares in the event", log.shares as bigint, position.shares);
      expectEqual("surplus in the event", log.surplus as bigint, position.surplus);
      const charges = debt !== 0n || collateral === "all" || collateral < 0n;
      expectEqual("borrow index in the event", log.borrowIndex as bigint, charges ? book.borrowIndex : 0n);
      admit("debt in the event", model.debtOf(model.account(name)), log.debt as bigint);
      if (position.tick !== undefined) {
        expectEqual("tick in the event", Number(log.tick as bigint), position.tick);
      }
    },
  };
}

export function surplus({ venue, model }: Context, operation: Of<"surplus">): Trial<Real> {
  const { name, owner, sub } = venue.account(operation.account);
  const { amount } = operation;
  return {
    what: `withdrawSurplus ${name} ${amount}`,
    from: owner,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("withdrawSurplus", [
        owner,
        sub,
        amount === "all" ? MAX_UINT256 : amount,
        owner,
      ]),
    },
    onModel: () => model.withdrawSurplus(name, amount),
    check: (moved, { event, book }) => {
      const log = event("WithdrawSurplus");
      admit("surplus withdrawn", moved, log.amount as bigint);
      expectEqual("owner in the event", log.owner as string, owner);
      expectEqual("surplus in the event", log.surplus as bigint, book.positions.get(name)!.surplus);
    },
  };
}

export function transfer({ venue, model }: Context, operation: Of<"transfer">): Trial<void> {
  const [from, to] = [venue.account(operation.from), venue.account(operation.to)];
  return {
    what: `transfer ${from.name} to ${to.name}`,
    from: from.owner,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("transferPosition", [
        from.owner,
        from.sub,
        to.owner,
        to.sub,
      ]),
    },
    onModel: () => model.transfer(from.name, to.name),
    check: (_, { event }) => {
      const log = event("TransferPosition");
      expectEqual("old owner in the event", log.from as string, from.owner);
      expectEqual("old sub-account in the event", log.fromSub as bigint, from.sub);
      expectEqual("new owner in the event", log.to as string, to.owner);
      expectEqual("new sub-account in the event", log.toSub as bigint, to.sub);
    },
  };
}
