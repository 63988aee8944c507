// Merges signatures, simulates, sends, and looks afterwards whether what was meant is the case.
import SafeKit, { EthSafeSignature } from "@safe-global/protocol-kit";
import { explainRevert } from "@breakwater/sdk/chain";
import { BaseWallet, type Signer } from "ethers";

import { addressOf, type Desk, Refusal } from "./chain.ts";
import type { Intent } from "./intent.ts";
import { type Proposal, wholeOf } from "./proposal.ts";
import { checkAgainstChain, collect, risenCosts } from "./sign.ts";

export interface Execution {
  transaction: string;
  block: number;
  gasUsed: bigint;
  signers: string[];
  effect: string;
}

export async function execute(
  desk: Desk,
  proposal: Proposal,
  signatureFiles: string[],
  sender: Signer,
  acceptCost: boolean,
): Promise<Execution> {
  const { intent, owners, threshold, cost } = await checkAgainstChain(desk, proposal);
  const signatures = await collect(proposal, signatureFiles);
  for (const { signer } of signatures) {
    if (!owners.includes(signer))
      throw new Refusal(`not an owner: ${signer} signed, the owners are ${owners.join(", ")}`);
  }
  if (signatures.length < threshold) {
    throw new Refusal(
      `too few signatures: ${signatures.length} of ${threshold}; ask ${missing(owners, signatures)}`,
    );
  }
  const risen = signatures.flatMap((signature) => risenCosts(signature, cost));
  if (risen.length > 0 && !acceptCost) {
    throw new Refusal(`cost changed: ${risen.join("; ")}; propose anew, or --accept-cost`);
  }

  const kit = await openKit(desk, proposal.safe, sender);
  const transaction = await kit.createTransaction({
    transactions: [wholeOf(proposal.transaction)],
    options: { safeTxGas: "0", baseGas: "0", gasPrice: "0", nonce: proposal.transaction.nonce },
  });
  if ((await kit.getTransactionHash(transaction)) !== proposal.hashes.safeTransaction) {
    throw new Refusal("protocol-kit makes another transaction of this proposal");
  }
  // No more than it takes: the sender's own approval, which the kit would add, is not asked for.
  for (const { signer, signature } of signatures.slice(0, threshold)) {
    transaction.addSignature(new EthSafeSignature(signer, signature));
  }

  const call = {
    from: await sender.getAddress(),
    to: proposal.safe,
    data: await kit.getEncodedTransaction(transaction),
  };
  try {
    const answer = await desk.provider.call(call);
    if (BigInt(answer) !== 1n) throw new Error("the Safe says that its call fails");
  } catch (error) {
    throw new Refusal(`the simulation fails: ${explainRevert(error).words}`);
  }

  const { hash } = await kit.executeTransaction(transaction);
  const receipt = await desk.provider.waitForTransaction(hash, 1, 300_000);
  if (receipt?.status !== 1) throw new Refusal(`sent as ${hash}, and reverted`);
  const effect = await effectOf(desk, intent, proposal);
  return {
    transaction: hash,
    block: receipt.blockNumber,
    gasUsed: receipt.gasUsed,
    signers: signatures.map(({ signer }) => signer),
    effect,
  };
}

function missing(owners: string[], signatures: { signer: string }[]): string {
  return owners.filter((owner) => signatures.every(({ signer }) => signer !== owner)).join(", ");
}

async function effectOf(
  desk: Desk,
  { step, call, entry, operation }: Intent,
  proposal: Proposal,
): Promise<string> {
  const nonce = Number(await desk.safe(proposal.safe).nonce());
  if (nonce !== proposal.transaction.nonce + 1)
    throw new Refusal(`executed, but the Safe's nonce is ${nonce}`);
  if (step === "void") return `nonce ${proposal.transaction.nonce} is used up`;
  const executableAt = await desk.manager.getSchedule(operation?.id ?? `0x${"0".repeat(64)}`);
  if (step === "schedule") {
    if (executableAt === 0n) throw new Refusal("executed, but nothing is scheduled");
    const wait = new Date(Number(executableAt) * 1_000).toISOString();
    return `scheduled as ${operation!.id}, executable at ${wait}`;
  }
  if (step === "cancel") {
    if (executableAt !== 0n) throw new Refusal("executed, but the operation is still scheduled");
    return `cancelled ${operation!.id}`;
  }
  return entry!.effect(desk, call!, proposal.safe);
}

/** Safe's own kit, told where everything is: no service, no list of known chains. */
async function openKit({ addresses, provider, rpc }: Desk, safe: string, sender: Signer) {
  const at = (name: string) => addressOf(addresses, name);
  return SafeKit.init({
    provider: !(sender instanceof BaseWallet)
      ? {
          request: async ({ method, params }): Promise<unknown> =>
            provider.send(method, (params ?? []) as unknown[]),
        }
      : rpc,
    signer: sender instanceof BaseWallet ? sender.privateKey : await sender.getAddress(),
    safeAddress: safe,
    contractNetworks: {
      [String(addresses.chainId)]: {
        safeSingletonAddress: at("Safe"),
        safeProxyFactoryAddress: at("SafeProxyFactory"),
        multiSendAddress: at("MultiSend"),
        multiSendCallOnlyAddress: at("MultiSendCallOnly"),
        fallbackHandlerAddress: at("CompatibilityFallbackHandler"),
        signMessageLibAddress: at("SignMessageLib"),
        createCallAddress: at("CreateCall"),
        simulateTxAccessorAddress: at("SimulateTxAccessor"),
      },
    },
  });
}
