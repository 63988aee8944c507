/**
 * Transactions of a real Safe, signed by its owners with EIP-712 as Safe's own tools do.
 *
 *     await execute(local.safes.pauser, pausers.slice(0, 2), brake, brake.interface.encodeFunctionData("pause", […]));
 */
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { type Addressable, concat, resolveAddress, ZeroAddress } from "ethers";

import type { Safe } from "../../sdk/src/types/index.ts";

const SAFE_TX = [
  { name: "to", type: "address" },
  { name: "value", type: "uint256" },
  { name: "data", type: "bytes" },
  { name: "operation", type: "uint8" },
  { name: "safeTxGas", type: "uint256" },
  { name: "baseGas", type: "uint256" },
  { name: "gasPrice", type: "uint256" },
  { name: "gasToken", type: "address" },
  { name: "refundReceiver", type: "address" },
  { name: "nonce", type: "uint256" },
];

/** Signs with every one of `owners` and sends as whoever `safe` is connected to: an owner or not. */
export async function execute(
  safe: Safe,
  owners: HardhatEthersSigner[],
  to: Addressable,
  data: string,
): Promise<Awaited<ReturnType<Safe["execTransaction"]>>> {
  const transaction = {
    to: await resolveAddress(to),
    value: 0n,
    data,
    operation: 0n,
    safeTxGas: 0n,
    baseGas: 0n,
    gasPrice: 0n,
    gasToken: ZeroAddress,
    refundReceiver: ZeroAddress,
  };
  const network = await safe.runner?.provider?.getNetwork();
  const domain = { chainId: network?.chainId, verifyingContract: await safe.getAddress() };
  const message = { ...transaction, nonce: await safe.nonce() };
  // The Safe wants the signatures in the order of the owners' addresses.
  const sorted = [...owners].sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
  const signatures = await Promise.all(
    sorted.map((owner) => owner.signTypedData(domain, { SafeTx: SAFE_TX }, message)),
  );
  return safe.execTransaction(
    transaction.to,
    transaction.value,
    data,
    transaction.operation,
    transaction.safeTxGas,
    transaction.baseGas,
    transaction.gasPrice,
    transaction.gasToken,
    transaction.refundReceiver,
    concat(signatures),
  );
}
