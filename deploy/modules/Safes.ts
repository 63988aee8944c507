// The two Safes that hold the roles. Safe's contracts are deployed only where the canonical ones are missing.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import { ZeroAddress } from "ethers";

import type { Parameters } from "../parameters.ts";
import { SAFE } from "./prebuilt.ts";

export function safesModule({ safe, safes }: Parameters) {
  return buildModule("Safes", (m) => {
    const contract = (name: keyof typeof SAFE) =>
      safe ? m.contractAt(name, SAFE[name], safe[name]) : m.contract(name, SAFE[name]);
    const contracts = {
      Safe: contract("Safe"),
      SafeProxyFactory: contract("SafeProxyFactory"),
      CompatibilityFallbackHandler: contract("CompatibilityFallbackHandler"),
      // What Safe's own tools expect on a chain.
      MultiSend: contract("MultiSend"),
      MultiSendCallOnly: contract("MultiSendCallOnly"),
      SignMessageLib: contract("SignMessageLib"),
      CreateCall: contract("CreateCall"),
      SimulateTxAccessor: contract("SimulateTxAccessor"),
    };

    const create = (id: string, { owners, threshold }: Parameters["safes"]["pauser"], salt: bigint) => {
      const setup = m.encodeFunctionCall(
        contracts.Safe,
        "setup",
        [
          owners.map((owner) => (typeof owner === "string" ? owner : m.getAccount(owner.account))),
          threshold,
          ZeroAddress,
          "0x",
          contracts.CompatibilityFallbackHandler,
          ZeroAddress,
          0,
          ZeroAddress,
        ],
        { id: `${id}_setup` },
      );
      const created = m.call(
        contracts.SafeProxyFactory,
        "createProxyWithNonce",
        [contracts.Safe, setup, salt],
        { id: `${id}_create` },
      );
      const proxy = m.readEventArgument(created, "ProxyCreation", "proxy", {
        emitter: contracts.SafeProxyFactory,
        id: `${id}_address`,
      });
      return m.contractAt("Safe", SAFE.Safe, proxy, { id });
    };

    return {
      ...contracts,
      Pauser: create("Pauser", safes.pauser, 0n),
      Governor: create("Governor", safes.governor, 1n),
    };
  });
}
