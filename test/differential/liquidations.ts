/** What keepers do. */
import type { Liquidation } from "../model/model.ts";
import { MAX_INT24, MAX_UINT256 } from "../support/market.ts";
import type { Of } from "./sequence.ts";
import { admit, type Context, type Evidence, expectEqual, Mismatch, type Trial } from "./trial.ts";

export function liquidate(context: Context, operation: Of<"liquidate">): Trial<Liquidation> {
  const { venue, model, price } = context;
  const { maxRepay, fromTick, maxTicks, buyPot } = operation;
  const unlimited = maxRepay >= 1n << 120n && fromTick === undefined && maxTicks === 0;
  return {
    what: `liquidate ${maxRepay} from ${fromTick ?? "top"} ticks ${maxTicks} pot ${buyPot} (${price.state}, ${model.level})`,
    from: venue.keeper,
    call: {
      to: venue.addresses.liquidator,
      data: venue.market.liquidator.interface.encodeFunctionData("liquidate", [
        {
          market: venue.addresses.vault,
          maxRepay,
          minCollateral: 0n,
          fromTick: fromTick ?? MAX_INT24,
          maxTicks,
          buyPot,
          deadline: MAX_UINT256,
          receiver: venue.keeper,
        },
        "0x",
      ]),
    },
    onModel: () =>
      model.liquidate({ price, maxRepay, fromTick: fromTick ?? model.grid.top, maxTicks, buyPot }),
    check: (result, evidence) => {
      checkReport(context, result, evidence);
      if (model.cascade !== undefined) return;
      // After an unlimited call nothing is left that could be sold (I6); a second one does nothing (I13).
      const left = model.liquidatableTicks(price);
      if (unlimited && price.state === "Fresh" && left.length !== 0) {
        throw new Mismatch(`Left to liquidate: ${left.join(", ")}`);
      }
    },
  };
}

export function seize(context: Context, { maxTicks }: Of<"seize">): Trial<Liquidation> {
  const { venue, model, price } = context;
  return {
    what: `seize ${maxTicks} (${price.state}, ${model.level})`,
    from: venue.lender("x"),
    call: {
      to: venue.addresses.liquidator,
      data: venue.market.liquidator.interface.encodeFunctionData("seize", [venue.addresses.vault, maxTicks]),
    },
    onModel: () => model.liquidate({ price, maxRepay: 0n, maxTicks, seizeOnly: true }),
    check: (result, evidence) => checkReport(context, result, evidence),
  };
}

function checkReport({ price }: Context, result: Liquidation, { event, eventIfAny, book }: Evidence): void {
  const report = event("Liquidate").report as Record<string, bigint>;
  admit("repaid", result.repaid, report.repaid!);
  admit("seized", result.seized, report.seized!);
  const pot = (eventIfAny("ChangePot")?.report ?? {}) as Record<string, bigint>;
  admit("debt into the pot", result.potDebt, pot.potDebt ?? 0n);
  admit("collateral into the pot", result.potCollateral, pot.potCollateral ?? 0n);
  admit("debt out of the pot", result.potDebtSold, pot.potDebtSold ?? 0n);
  admit("insurance paid", result.insurancePaid, pot.insurancePaid ?? 0n);
  admit("reserves paid", result.reservesPaid, pot.reservesPaid ?? 0n);
  admit("lenders' loss", result.lendersLoss, pot.lendersLoss ?? 0n);
  expectEqual("low in the event", report.priceLow!, price.low);
  expectEqual("high in the event", report.priceHigh!, result.high);
  expectEqual("borrow index in the event", report.borrowIndex!, book.borrowIndex);
  const { moves } = result;
  expectEqual("ticks in the event", report.ticks!, BigInt(moves.length));
  if (moves.length === 0) return;
  expectEqual("lowest tick in the event", Number(report.lowestTick!), moves.at(-1)!.from);
  const sold = moves.filter(({ to }) => to !== undefined);
  const last = sold.at(-1);
  if (last === undefined) return;
  const landTick = Number(report.landTick!);
  for (const { to } of sold.slice(0, -1)) expectEqual("landing in the event", landTick, to!);
  const partial = report.partialTick! !== report.partialLandTick!;
  expectEqual(
    "landing of the last tick in the event",
    partial ? Number(report.partialLandTick!) : landTick,
    last.to!,
  );
}
