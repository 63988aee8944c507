// Signatures: made with a key, a keystore or a node's account, kept as files, checked against the Safe.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

import type { Addresses } from "@breakwater/sdk/addresses";
import { JsonRpcProvider, JsonRpcSigner, type Signer, verifyTypedData, Wallet } from "ethers";

import { type Desk, formatTime, parseAddress, Refusal, toJson, whoIs } from "./chain.ts";
import { type Cost } from "./cost.ts";
import type { Intent } from "./intent.ts";
import {
  belongsTo,
  costOf,
  type Proposal,
  readSignature,
  SAFE_TX,
  type SignatureFile,
  signatureFile,
  stated,
  wholeOf,
  verifyProposal,
} from "./proposal.ts";

export interface KeyOptions {
  account?: string;
  keystore?: string;
  keyEnv: string;
}

/** One of: an account of the node, an encrypted JSON keystore, a key in the environment. */
export async function openSigner({ account, keystore, keyEnv }: KeyOptions, rpc: string): Promise<Signer> {
  const key = process.env[keyEnv];
  if (account !== undefined && keystore !== undefined) throw new Refusal("--account or --keystore, not both");
  if (account !== undefined) {
    const provider = new JsonRpcProvider(rpc, undefined, { batchMaxCount: 1, cacheTimeout: -1 });
    provider.pollingInterval = 250;
    return new JsonRpcSigner(provider, parseAddress(account));
  }
  if (keystore !== undefined) {
    const json = await readFile(keystore, "utf8").catch(() => {
      throw new Refusal(`--keystore: ${keystore} cannot be read`);
    });
    const password = process.env.KEYSTORE_PASSWORD ?? (await askHidden(`password of ${keystore}: `));
    try {
      return await Wallet.fromEncryptedJson(json, password);
    } catch {
      throw new Refusal(`--keystore: ${keystore} does not open with this password`);
    }
  }
  if (key === undefined || key === "")
    throw new Refusal(`no key: --account, --keystore, or a key in $${keyEnv}`);
  try {
    return new Wallet(key);
  } catch {
    // Never the value.
    throw new Refusal(`$${keyEnv} is no private key`);
  }
}

async function askHidden(question: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Refusal("no password: set $KEYSTORE_PASSWORD, or use a terminal");
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await lines.question("");
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}

/** A person at a terminal is asked; a script has decided. */
export async function confirmed(yes: boolean): Promise<void> {
  if (yes || !process.stdin.isTTY) return;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question("Sign this? (yes) ");
  lines.close();
  if (answer.trim() !== "yes") throw new Refusal("not signed");
}

// ---------------------------------------------------------------- checks against the chain

/** Everything that has to hold before anybody signs or sends: the chain as it is, not as the file has it. */
export async function checkAgainstChain(
  desk: Desk,
  proposal: Proposal,
): Promise<{ intent: Intent; owners: string[]; threshold: number; cost: Cost }> {
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
  const t = wholeOf(transaction);
  const onChain = await safe.getTransactionHash(
    t.to,
    t.value,
    t.data,
    t.operation,
    t.safeTxGas,
    t.baseGas,
    t.gasPrice,
    t.gasToken,
    t.refundReceiver,
    t.nonce,
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
export function risenCosts(signature: SignatureFile, now: Cost): string[] {
  return now.figures.flatMap(({ name, value, slack }) => {
    const seen = signature.cost.find((each) => each.name === name)?.value ?? 0n;
    const limit = seen + (seen / 2n > slack ? seen / 2n : slack);
    return value > limit ? [`${name} was ${seen} when ${signature.signer} signed, and is ${value}`] : [];
  });
}

// ---------------------------------------------------------------- signing and collecting

export async function sign(
  proposal: Proposal,
  file: string,
  signer: Signer,
  owners: string[],
  cost: Cost,
): Promise<{ file: string; address: string }> {
  const address = await signer.getAddress();
  if (!owners.includes(address)) {
    throw new Refusal(
      `not an owner: ${address} does not own the Safe ${proposal.safe} (${owners.join(", ")})`,
    );
  }
  const domain = { chainId: proposal.chainId, verifyingContract: proposal.safe };
  const signature = await signer.signTypedData(domain, SAFE_TX, wholeOf(proposal.transaction));
  const content: SignatureFile = {
    kind: "breakwater-desk-signature-1",
    safeTransactionHash: proposal.hashes.safeTransaction,
    expiresAt: proposal.expiresAt,
    cost: stated(cost).figures,
    signer: address,
    signature,
  };
  const target = signatureFile(file, address);
  await writeFile(target, `${toJson(content)}\n`);
  return { file: target, address };
}

/** The signature files beside a proposal; what was signed under an earlier proposal of the same name does not count. */
export async function signaturesBeside(file: string, { hashes }: Proposal): Promise<string[]> {
  const names = (await readdir(dirname(file))).filter((name) => belongsTo(file, name));
  const files = names.map((name) => join(dirname(file), name));
  const signatures = await Promise.all(files.map(readSignature));
  return files.filter((_, at) => signatures[at]!.safeTransactionHash === hashes.safeTransaction);
}

/** Reads and checks signatures of a proposal: whose they are, over what, each signer once. */
export async function collect(proposal: Proposal, files: string[]): Promise<SignatureFile[]> {
  const signatures: SignatureFile[] = [];
  for (const file of files) {
    const signature = await readSignature(file);
    const { safeTransactionHash, signer, expiresAt } = signature;
    if (safeTransactionHash !== proposal.hashes.safeTransaction) {
      throw new Refusal(`${file} signs another transaction: ${safeTransactionHash}`);
    }
    if (expiresAt !== proposal.expiresAt) {
      throw new Refusal(`changed expiry: ${file} was signed for one that ends at ${formatTime(expiresAt)}`);
    }
    const domain = { chainId: proposal.chainId, verifyingContract: proposal.safe };
    let by: string | undefined;
    try {
      by = verifyTypedData(domain, SAFE_TX, wholeOf(proposal.transaction), signature.signature);
    } catch {
      // no signature at all
    }
    if (by !== signer)
      throw new Refusal(`${file} is no signature of ${signer} over this transaction (${by ?? "invalid"})`);
    if (signatures.some((each) => each.signer === signer))
      throw new Refusal(`same signer twice: ${signer} (${file})`);
    signatures.push(signature);
  }
  return signatures;
}

// ---------------------------------------------------------------- text

/** What a signer compares and decides on. */
export function decision(
  addresses: Addresses,
  proposal: Proposal,
  intent: Intent,
  cost: { words: string[] },
): string {
  const { safe, transaction, hashes, expiresAt, chainId } = proposal;
  return [
    "What it does, read from the calldata:",
    ...intent.words.map((line) => `  ${line}`),
    ...(intent.operation ? [`  operation ${intent.operation.id}`] : []),
    "What it costs:",
    ...(cost.words.length > 0 ? cost.words : ["nothing beyond its gas"]).map((line) => `  ${line}`),
    `Chain ${chainId}, ${whoIs(addresses, safe).name} ${safe}, nonce ${transaction.nonce}, to ${transaction.to}`,
    `Expires ${formatTime(expiresAt)}`,
    "Compare with what your wallet shows:",
    `  domain hash            ${hashes.domain}`,
    `  message hash           ${hashes.message}`,
    `  Safe transaction hash  ${hashes.safeTransaction}`,
  ].join("\n");
}
