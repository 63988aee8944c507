// Sends what enough owners have signed, and looks afterwards whether what was meant is the case.
import { effectOf, executionOf, type OwnerSignature, type Proposal, Refusal } from "@breakwater/sdk/desk";
import type { Signer } from "ethers";

import type { RpcDesk } from "./chain.ts";

export interface Execution {
  transaction: string;
  block: number;
  gasUsed: bigint;
  signers: string[];
  effect: string;
}

export async function execute(
  desk: RpcDesk,
  proposal: Proposal,
  signatures: OwnerSignature[],
  sender: Signer,
  acceptCost: boolean,
): Promise<Execution> {
  const { to, data } = await executionOf(desk, proposal, signatures, {
    sender: await sender.getAddress(),
    acceptCost,
  });
  const { hash } = await sender.sendTransaction({ to, data });
  const receipt = await desk.provider.waitForTransaction(hash, 1, 300_000);
  if (receipt?.status !== 1) throw new Refusal(`sent as ${hash}, and reverted`);
  return {
    transaction: hash,
    block: receipt.blockNumber,
    gasUsed: receipt.gasUsed,
    signers: signatures.map(({ signer }) => signer),
    effect: await effectOf(desk, proposal),
  };
}
