// What is sent to a Safe when enough of its owners have signed, and whether afterwards what was meant is the case.
import { concat } from "ethers";

import { explainRevert } from "../chain/errors.ts";
import type { Transaction } from "../chain/transactions.ts";
import { type Desk, formatTime, INTERFACES, Refusal } from "./desk.ts";
import { type Proposal, typedDataOf, verifyProposal } from "./proposal.ts";
import { checkAgainstChain, checkSignatures, type OwnerSignature, risenCosts } from "./signatures.ts";

/** More than somebody signed for: a person may accept it. */
export class CostRisen extends Refusal {}

/** The transaction that executes a proposal, from any account; it has been tried from `sender`. */
export async function executionOf(
  desk: Desk,
  proposal: Proposal,
  signatures: OwnerSignature[],
  { sender, acceptCost }: { sender: string; acceptCost: boolean },
): Promise<Transaction> {
  const { owners, threshold, cost } = await checkAgainstChain(desk, proposal);
  checkSignatures(proposal, signatures);
  for (const { signer } of signatures) {
    if (!owners.includes(signer))
      throw new Refusal(`not an owner: ${signer} signed, the owners are ${owners.join(", ")}`);
  }
  if (signatures.length < threshold) {
    const missing = owners.filter((owner) => signatures.every(({ signer }) => signer !== owner));
    throw new Refusal(`too few signatures: ${signatures.length} of ${threshold}; ask ${missing.join(", ")}`);
  }
  const risen = signatures.flatMap((signature) => risenCosts(signature, cost));
  if (risen.length > 0 && !acceptCost) {
    throw new CostRisen(`cost changed: ${risen.join("; ")}; propose anew, or accept it`);
  }

  const data = encodeExecution(proposal, signatures.slice(0, threshold));
  try {
    const answer = await desk.provider.call({ from: sender, to: proposal.safe, data });
    if (BigInt(answer) !== 1n) throw new Error("the Safe says that its call fails");
  } catch (error) {
    throw new Refusal(`the simulation fails: ${explainRevert(error).words}`);
  }
  return { to: proposal.safe, data, value: 0n, words: `execute ${proposal.action}` };
}

/** The Safe wants signatures in the order of their owners' addresses. */
export function encodeExecution(
  { chainId, safe, transaction }: Proposal,
  signatures: OwnerSignature[],
): string {
  const { message: m } = typedDataOf(chainId, safe, transaction);
  const sorted = [...signatures].sort((a, b) => (BigInt(a.signer) < BigInt(b.signer) ? -1 : 1));
  return INTERFACES.Safe.encodeFunctionData("execTransaction", [
    m.to,
    m.value,
    m.data,
    m.operation,
    m.safeTxGas,
    m.baseGas,
    m.gasPrice,
    m.gasToken,
    m.refundReceiver,
    concat(sorted.map(({ signature }) => signature)),
  ]);
}

/** After the execution: what is now the case, or a Refusal that says what is not. */
export async function effectOf(desk: Desk, proposal: Proposal): Promise<string> {
  const { step, call, entry, operation } = verifyProposal(desk.addresses, proposal);
  const nonce = Number(await desk.safe(proposal.safe).nonce());
  if (nonce !== proposal.transaction.nonce + 1)
    throw new Refusal(`executed, but the Safe's nonce is ${nonce}`);
  if (step === "void") return `nonce ${proposal.transaction.nonce} is used up`;
  const executableAt = await desk.manager.getSchedule(operation?.id ?? `0x${"0".repeat(64)}`);
  if (step === "schedule") {
    if (executableAt === 0n) throw new Refusal("executed, but nothing is scheduled");
    return `scheduled as ${operation!.id}, executable at ${formatTime(executableAt)}`;
  }
  if (step === "cancel") {
    if (executableAt !== 0n) throw new Refusal("executed, but the operation is still scheduled");
    return `cancelled ${operation!.id}`;
  }
  return entry!.effect(desk, call!, proposal.safe);
}
