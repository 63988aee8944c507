// Who may do what (deploy/roles.json), and the handover: afterwards the deployer holds nothing.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type {
  AccountRuntimeValue,
  ArgumentType,
  ContractFuture,
  Future,
} from "@nomicfoundation/ignition-core";

import { entry, type Parameters } from "../parameters.ts";
import { functionsOf, type Holder, KINDS, type Restricted, ROLE_NAMES, ROLES, TABLE } from "../roles.ts";
import { marketKey, type marketsModule } from "./Markets.ts";
import type { protocolModule } from "./Protocol.ts";
import type { safesModule } from "./Safes.ts";

export function accessModule(
  { markets, pairs, sentinel }: Parameters,
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
      const functions = Object.groupBy(functionsOf(kind), ({ role }) => role);
      for (const [role, group] of Object.entries(functions)) {
        const selectors = group.map(({ selector }) => selector);
        set(`${id}_${role}`, "setTargetFunctionRole", [target, selectors, ROLES[group[0]!.role]]);
      }
    };
    for (const kind of KINDS) {
      if (kind === "Vault" || kind === "MarketPair") continue;
      permit(kind, kind, entry<ContractFuture<string>>(contracts, kind));
    }
    for (const { id } of markets) {
      const key = marketKey(id);
      permit("Vault", key, entry(vaults, `${key}_vault`));
    }
    for (const { id } of pairs) {
      const key = `${marketKey(id)}_pair`;
      permit("MarketPair", key, entry(vaults, key));
    }

    const account =
      typeof sentinel === "object" && sentinel !== null ? m.getAccount(sentinel.account) : sentinel;
    const holders: Record<Holder, ContractFuture<string> | AccountRuntimeValue | string | null> = {
      "contracts.AccessAdmin": contracts.AccessAdmin,
      "safes.pauser": Pauser,
      "safes.governor": Governor,
      sentinel: account,
    };
    for (const name of ROLE_NAMES) {
      const { holder, executionDelay, grantDelay, admin, guardian } = TABLE.roles[name];
      const role = ROLES[name];
      if (name !== "ADMIN") set(`label_${name}`, "labelRole", [role, name]);
      if (admin !== "ADMIN") set(`admin_${name}`, "setRoleAdmin", [role, ROLES[admin]]);
      if (guardian !== "ADMIN") set(`guardian_${name}`, "setRoleGuardian", [role, ROLES[guardian]]);
      if (grantDelay !== 0) set(`grantDelay_${name}`, "setGrantDelay", [role, grantDelay]);
      const to = holders[holder];
      if (to !== null) set(`grant_${name}`, "grantRole", [role, to, executionDelay]);
    }

    m.call(manager, "renounceRole", [ROLES.ADMIN, m.getAccount(0)], { id: "handover", after: before });
    return { AccessManager: manager };
  });
}
