/** Ramps, wind-down and the cascade brake, and what anyone does about them. */
import type { Settlement } from "../model/model.ts";
import type { Of } from "./sequence.ts";
import { admit, type Context, type Trial } from "./trial.ts";

export function ramp({ venue, model, price }: Context, { risk, seconds }: Of<"ramp">): Trial<void> {
  return {
    what: `ramp to ${risk.liquidationThreshold}/${risk.target} in ${seconds} (${price.state})`,
    from: venue.keeper,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("startRamp", [risk, seconds]),
    },
    onModel: () => model.startRamp(risk, seconds, price),
  };
}

export function stopRamp({ venue, model }: Context): Trial<void> {
  return {
    what: "stopRamp",
    from: venue.keeper,
    call: { to: venue.addresses.vault, data: venue.market.vault.interface.encodeFunctionData("stopRamp") },
    onModel: () => model.stopRamp(),
  };
}

export function pokeRamp({ venue, model, price }: Context): Trial<void> {
  return {
    what: `pokeRamp (${price.state}, ${model.level})`,
    from: venue.lender("x"),
    call: { to: venue.addresses.vault, data: venue.market.vault.interface.encodeFunctionData("pokeRamp") },
    onModel: () => model.pokeRamp(price),
  };
}

export function windDown({ venue, model, price }: Context, { seconds }: Of<"windDown">): Trial<void> {
  return {
    what: `wind-down in ${seconds} (${price.state})`,
    from: venue.keeper,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("startWindDown", [seconds]),
    },
    onModel: () => model.startWindDown(seconds, price),
  };
}

export function cascade({ venue, model }: Context, { cap, window }: Of<"cascade">): Trial<void> {
  return {
    what: `cascade cap ${cap} in ${window}`,
    from: venue.keeper,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("setCascade", [cap, window]),
    },
    onModel: () => model.setCascade(cap, window),
    marksAnew: true,
  };
}

export function settle({ venue, model, price }: Context, operation: Of<"settle">): Trial<Settlement> {
  const { account: name, maxRepay } = operation;
  const { owner, sub } = venue.account(name);
  return {
    what: `settle ${name} for ${maxRepay} (${price.state}, ${model.level})`,
    from: venue.keeper,
    call: {
      to: venue.addresses.vault,
      data: venue.market.vault.interface.encodeFunctionData("settle", [owner, sub, maxRepay, venue.keeper]),
    },
    onModel: () => model.settle(name, maxRepay, price),
    check: (result, { event }) => {
      const { repaid, seized } = event("Settle") as { repaid: bigint; seized: bigint };
      admit("repaid", result.repaid, repaid);
      admit("seized", result.seized, seized);
    },
  };
}
