// A TransparentUpgradeableProxy whose ProxyAdmin belongs to the AccessManager: an upgrade is a scheduled operation.
import type {
  ArgumentType,
  ContractFuture,
  IgnitionModuleBuilder,
  NamedArtifactContractDeploymentFuture,
} from "@nomicfoundation/ignition-core";

export function proxyOf<Name extends string>(
  m: IgnitionModuleBuilder,
  id: string,
  implementation: NamedArtifactContractDeploymentFuture<Name>,
  manager: ContractFuture<string>,
  initialize: ArgumentType[],
) {
  const proxy = m.contract(
    "TransparentUpgradeableProxy",
    [
      implementation,
      manager,
      m.encodeFunctionCall(implementation, "initialize", initialize, { id: `${id}_initialize` }),
    ],
    { id: `${id}_proxy` },
  );
  const admin = m.readEventArgument(proxy, "AdminChanged", "newAdmin", { id: `${id}_admin_address` });
  return {
    contract: m.contractAt(implementation.contractName, proxy, { id }),
    admin: m.contractAt("ProxyAdmin", admin, { id: `${id}_admin` }),
  };
}
