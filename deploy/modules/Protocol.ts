// What all markets share: the authority, the keepers' entry, the brake and the insurance fund.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";

import { proxyOf } from "./proxy.ts";

export function protocolModule() {
  return buildModule("Protocol", (m) => {
    // The deployer is its admin until the handover (Access.ts).
    const manager = m.contract("AccessManager", [m.getAccount(0)]);
    const behindProxy = (name: "Liquidator" | "EmergencyBrake" | "InsuranceFund") =>
      proxyOf(m, name, m.contract(name, [], { id: `${name}_implementation` }), manager, [manager]);
    const liquidator = behindProxy("Liquidator");
    const brake = behindProxy("EmergencyBrake");
    const insurance = behindProxy("InsuranceFund");
    return {
      AccessManager: manager,
      Liquidator: liquidator.contract,
      EmergencyBrake: brake.contract,
      InsuranceFund: insurance.contract,
      LiquidatorAdmin: liquidator.admin,
      EmergencyBrakeAdmin: brake.admin,
      InsuranceFundAdmin: insurance.admin,
    };
  });
}
