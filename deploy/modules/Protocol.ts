// What all markets share: the authority, who upgrades, the keepers' entry (nobody's to change: no proxy, no authority), the
// brake and the insurance fund.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type { ContractFuture } from "@nomicfoundation/ignition-core";

import { proxyOf } from "./proxy.ts";

export function protocolModule() {
  return buildModule("Protocol", (m) => {
    // The deployer is its admin until the handover (Access.ts).
    const manager = m.contract("AccessManager", [m.getAccount(0)]);
    const accessAdmin = m.contract("AccessAdmin", [manager]);
    const implementationOf = (name: "EmergencyBrake" | "InsuranceFund") =>
      m.contract(name, [], { id: `${name}_implementation` });
    // The Upgrader asks the brake and owns its proxy's admin: one of the two has to come first.
    const brakeImplementation = implementationOf("EmergencyBrake");
    const brake = proxyOf(m, "EmergencyBrake", brakeImplementation, m.getAccount(0), [manager]);
    const upgrader = m.contract("Upgrader", [manager, brake.contract]);
    const handover = m.call(brake.admin, "transferOwnership", [upgrader], { id: "EmergencyBrake_handover" });
    const list = (name: string, proxy: ContractFuture<string>, implementation: ContractFuture<string>) =>
      m.call(upgrader, "list", [proxy, implementation], { id: `${name}_list_Upgrader`, after: [handover] });
    list("EmergencyBrake", brake.contract, brakeImplementation);

    const insuranceImplementation = implementationOf("InsuranceFund");
    const insurance = proxyOf(m, "InsuranceFund", insuranceImplementation, upgrader, [manager]);
    list("InsuranceFund", insurance.contract, insuranceImplementation);
    return {
      AccessManager: manager,
      AccessAdmin: accessAdmin,
      Upgrader: upgrader,
      Liquidator: m.contract("Liquidator"),
      EmergencyBrake: brake.contract,
      InsuranceFund: insurance.contract,
      EmergencyBrakeAdmin: brake.admin,
      InsuranceFundAdmin: insurance.admin,
    };
  });
}
