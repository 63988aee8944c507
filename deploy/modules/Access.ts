// Who may do what, and the handover: afterwards the two Safes hold every role and the deployer none.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type { ArgumentType, ContractFuture, Future } from "@nomicfoundation/ignition-core";
import type { Interface } from "ethers";

import {
  AccessManager__factory,
  EmergencyBrake__factory,
  InsuranceFund__factory,
  Liquidator__factory,
  ProxyAdmin__factory,
  Vault__factory,
} from "../../sdk/src/types/index.ts";
import { entry, type Parameters } from "../parameters.ts";
import { PERMISSIONS, type Restricted, type Role, ROLES } from "../roles.ts";
import { marketKey, type marketsModule } from "./Markets.ts";
import type { protocolModule } from "./Protocol.ts";
import type { safesModule } from "./Safes.ts";

const INTERFACES: Record<Restricted, Interface> = {
  Vault: Vault__factory.createInterface(),
  Liquidator: Liquidator__factory.createInterface(),
  EmergencyBrake: EmergencyBrake__factory.createInterface(),
  InsuranceFund: InsuranceFund__factory.createInterface(),
  ProxyAdmin: ProxyAdmin__factory.createInterface(),
  AccessManager: AccessManager__factory.createInterface(),
};

/** The selectors of a kind of contract that each role may call. */
export function selectorsOf(kind: Restricted): [Exclude<Role, "ADMIN">, string[]][] {
  return Object.entries(PERMISSIONS[kind]).map(([role, names]) => [
    role as Exclude<Role, "ADMIN">,
    names.map((name) => INTERFACES[kind].getFunction(name)!.selector),
  ]);
}

export function accessModule(
  { markets, delays }: Parameters,
  safes: ReturnType<typeof safesModule>,
  protocol: ReturnType<typeof protocolModule>,
  listed: ReturnType<typeof marketsModule>,
) {
  return buildModule("Access", (m) => {
    const { Pauser, Governor } = m.useModule(safes);
    const { AccessManager: manager, ...contracts } = m.useModule(protocol);
    const vaults: Record<string, ContractFuture<string>> = m.useModule(listed);
    const before: Future[] = [];
    const set = (id: string, name: string, args: ArgumentType[]) =>
      // Only when everything is listed: until then the deployer does it as ADMIN, which everything falls to.
      before.push(m.call(manager, name, args, { id, after: [listed] }));

    const permit = (kind: Restricted, id: string, target: ContractFuture<string>) => {
      for (const [role, selectors] of selectorsOf(kind)) {
        set(`${id}_${role}`, "setTargetFunctionRole", [target, selectors, ROLES[role]]);
      }
    };
    permit("AccessManager", "AccessManager", manager);
    for (const name of ["Liquidator", "EmergencyBrake", "InsuranceFund"] as const) {
      permit(name, name, contracts[name]);
      permit("ProxyAdmin", `${name}_admin`, contracts[`${name}Admin`]);
    }
    for (const { id } of markets) {
      const key = marketKey(id);
      permit("Vault", key, entry(vaults, `${key}_vault`));
      permit("ProxyAdmin", `${key}_admin`, entry(vaults, `${key}_admin`));
    }

    for (const role of ["PAUSER", "RESUMER", "GOVERNOR"] as const) {
      set(`label_${role}`, "labelRole", [ROLES[role], role]);
    }
    // The pauser can cancel whatever the governor has scheduled, of either of its roles.
    set("guardian_RESUMER", "setRoleGuardian", [ROLES.RESUMER, ROLES.PAUSER]);
    set("guardian_GOVERNOR", "setRoleGuardian", [ROLES.GOVERNOR, ROLES.PAUSER]);

    const governorDelay = delays.governorHours * 3600;
    set("grant_PAUSER", "grantRole", [ROLES.PAUSER, Pauser, 0]);
    set("grant_RESUMER", "grantRole", [ROLES.RESUMER, Governor, delays.resumerMinutes * 60]);
    set("grant_GOVERNOR", "grantRole", [ROLES.GOVERNOR, Governor, governorDelay]);
    set("grant_ADMIN", "grantRole", [ROLES.ADMIN, Governor, governorDelay]);

    m.call(manager, "renounceRole", [ROLES.ADMIN, m.getAccount(0)], { id: "handover", after: before });
    return { AccessManager: manager };
  });
}
