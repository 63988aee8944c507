// Signatures of a proposal: made by a wallet, passed on one by one, checked against the Safe.
import { getAddress, Signature, verifyTypedData } from "ethers";

import type { TypedData } from "../chain/transactions.ts";
import type { Cost } from "./cost.ts";
import { type Desk, formatTime, Refusal } from "./desk.ts";
import type { Intent } from "./intent.ts";
import {
  costOf,
  fieldsOf,
  figuresOf,
  hashOf,
  type Proposal,
  stated,
  type StatedFigure,
  typedDataOf,
  verifyProposal,
} from "./proposal.ts";

const SIGNATURE = "breakwater-desk-signature-1";

export interface OwnerSignature {
  kind: typeof SIGNATURE;
  safeTransactionHash: string;
  /** As the signer saw them, on the signer's own desk: the Safe's hash covers neither. */
  expiresAt: number;
  cost: StatedFigure[];
  signer: string;
  signature: string;
}

export function parseSignature(json: unknown): OwnerSignature {
  const root = fieldsOf(json, "a signature");
  root.only("kind", "safeTransactionHash", "expiresAt", "cost", "signer", "signature");
  root.matching("kind", SIGNATURE, new RegExp(`^${SIGNATURE}$`));
  return {
    kind: SIGNATURE,
    safeTransactionHash: hashOf(root, "safeTransactionHash"),
    expiresAt: root.integer("expiresAt"),
    cost: figuresOf(root, "cost"),
    signer: getAddress(root.address("signer")),
    signature: root.matching("signature", "a signature", /^0x[0-9a-f]{130}$/),
  };
}

// ---------------------------------------------------------------- checks against the chain

export interface Checked {
  intent: Intent;
  owners: string[];
  threshold: number;
  /** Now. */
  cost: Cost;
}

/** Everything that has to hold before anybody signs or sends: the chain as it is, not as the file has it. */
export async function checkAgainstChain(desk: Desk, proposal: Proposal): Promise<Checked> {
  const intent = verifyProposal(desk.addresses, proposal);
  const { safe: address, transaction, expiresAt, hashes } = proposal;
  const safe = desk.safe(address);
  const time = await desk.now();
  if (time >= BigInt(expiresAt)) {
    throw new Refusal(
      `expired: this proposal ended at ${formatTime(expiresAt)}, it is ${formatTime(time)}; propose anew`,
    );
  }
  const nonce = Number(await safe.nonce());
  if (transaction.nonce !== nonce) {
    const why = transaction.nonce < nonce ? "used already" : "not its turn yet";
    throw new Refusal(`wrong nonce: the proposal has ${transaction.nonce}, the Safe is at ${nonce} (${why})`);
  }
  const { message: m } = typedDataOf(desk.chainId, address, transaction);
  const onChain = await safe.getTransactionHash(
    m.to,
    m.value,
    m.data,
    m.operation,
    m.safeTxGas,
    m.baseGas,
    m.gasPrice,
    m.gasToken,
    m.refundReceiver,
    m.nonce,
  );
  if (onChain !== hashes.safeTransaction) {
    throw new Refusal(`the Safe itself computes another hash: ${onChain}, not ${hashes.safeTransaction}`);
  }
  const cost = await costOf(desk, intent);
  return {
    intent,
    owners: [...(await safe.getOwners())],
    threshold: Number(await safe.getThreshold()),
    cost,
  };
}

/** A signature given for one cost holds for none that is half greater. */
export function risenCosts(signature: OwnerSignature, now: Cost): string[] {
  return now.figures.flatMap(({ name, value, slack }) => {
    const seen = signature.cost.find((each) => each.name === name)?.value ?? 0n;
    const limit = seen + (seen / 2n > slack ? seen / 2n : slack);
    return value > limit ? [`${name} was ${seen} when ${signature.signer} signed, and is ${value}`] : [];
  });
}

// ---------------------------------------------------------------- signing and collecting

/** Whoever signs: a key of this machine, or a wallet that asks its owner. */
export interface Owner {
  address: string;
  sign: (data: TypedData) => Promise<string>;
}

/** An owner's signature, for the cost that the owner was shown. */
export async function sign(
  proposal: Proposal,
  { address, sign: ask }: Owner,
  { owners, cost }: Checked,
): Promise<OwnerSignature> {
  const { chainId, safe, transaction, hashes, expiresAt } = proposal;
  if (!owners.includes(address)) {
    throw new Refusal(`not an owner: ${address} does not own the Safe ${safe} (${owners.join(", ")})`);
  }
  // Some wallets end with a parity of 0 or 1, which a Safe takes for another kind of signature.
  const { serialized } = Signature.from(await ask(typedDataOf(chainId, safe, transaction)));
  const signature: OwnerSignature = {
    kind: SIGNATURE,
    safeTransactionHash: hashes.safeTransaction,
    expiresAt,
    cost: stated(cost).figures,
    signer: address,
    signature: serialized,
  };
  // A wallet may have signed as somebody else, or something else.
  checkSignatures(proposal, [signature]);
  return signature;
}

/** Checks signatures of a proposal: whose they are, over what, each signer once. */
export function checkSignatures(proposal: Proposal, signatures: OwnerSignature[]): void {
  const { domain, types, message } = typedDataOf(proposal.chainId, proposal.safe, proposal.transaction);
  const signers = new Set<string>();
  for (const { safeTransactionHash, signer, expiresAt, signature } of signatures) {
    if (safeTransactionHash !== proposal.hashes.safeTransaction) {
      throw new Refusal(`the signature of ${signer} signs another transaction: ${safeTransactionHash}`);
    }
    if (expiresAt !== proposal.expiresAt) {
      throw new Refusal(
        `changed expiry: ${signer} signed for one that ends at ${formatTime(expiresAt)}, not at ${formatTime(proposal.expiresAt)}`,
      );
    }
    let by: string | undefined;
    try {
      by = verifyTypedData(domain, types, message, signature);
    } catch {
      // no signature at all
    }
    if (by !== signer) {
      throw new Refusal(`this is no signature of ${signer} over this transaction (${by ?? "invalid"})`);
    }
    if (signers.has(signer)) throw new Refusal(`same signer twice: ${signer}`);
    signers.add(signer);
  }
}
