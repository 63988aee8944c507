// A TransparentUpgradeableProxy; its ProxyAdmin belongs to the Upgrader, where an upgrade is a scheduled operation.
import type {
  AccountRuntimeValue,
  ArgumentType,
  ContractFuture,
  IgnitionModuleBuilder,
  NamedArtifactContractDeploymentFuture,
} from "@nomicfoundation/ignition-core";

export function proxyOf<Name extends string>(
  m: IgnitionModuleBuilder,
  id: string,
  implementation: NamedArtifactContractDeploymentFuture<Name>,
  owner: ContractFuture<string> | AccountRuntimeValue,
  initialize: ArgumentType[],
) {
  const proxy = m.contract(
    "TransparentUpgradeableProxy",
    [
      implementation,
      owner,
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
