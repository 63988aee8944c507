// The files that travel between signers: a proposal, its twin for Safe's Transaction Builder, and one file a signature.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";

import { calculateSafeTransactionHash } from "@safe-global/protocol-kit";
import type { Addresses } from "@breakwater/sdk/addresses";
import { getAddress, isAddress, TypedDataEncoder, ZeroAddress } from "ethers";
import { z } from "zod";

import type { About, Options } from "./action.ts";
import { ACTIONS } from "./actions.ts";
import {
  addressOf,
  type Desk,
  formatTime,
  INTERFACES,
  parseAddress,
  parseDuration,
  Refusal,
  safeOf,
  toJson,
  whoIs,
} from "./chain.ts";
import type { Cost } from "./cost.ts";
import {
  type Call,
  type Intent,
  intentOf,
  operationId,
  type SafeTransaction,
  scheduledOperations,
} from "./intent.ts";

const SAFE_VERSION = "1.5.0";
/** Neither a delegate call nor a creation. */
// The kit exports the type and not its values.
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
const CALL = 0 as Parameters<typeof calculateSafeTransactionHash>[1]["operation"];
export const SAFE_TX = {
  SafeTx: [
    ["to", "address"],
    ["value", "uint256"],
    ["data", "bytes"],
    ["operation", "uint8"],
    ["safeTxGas", "uint256"],
    ["baseGas", "uint256"],
    ["gasPrice", "uint256"],
    ["gasToken", "address"],
    ["refundReceiver", "address"],
    ["nonce", "uint256"],
  ].map(([name, type]) => ({ name: name!, type: type! })),
};

const address = z.string().refine(isAddress, "not an address").transform(getAddress);
const hash = z.string().regex(/^0x[0-9a-f]{64}$/);
const whole = z.string().regex(/^\d+$/).transform(BigInt);

const figures = z.array(z.strictObject({ name: z.string(), value: whole }));

const proposalSchema = z.strictObject({
  kind: z.literal("breakwater-desk-proposal-1"),
  action: z.string(),
  intent: z.array(z.string()),
  chainId: z.int(),
  safe: address,
  /** Of a guardian's approval: what its hash stands for. */
  about: z
    .strictObject({
      account: address,
      action: z.int(),
      newOwner: address,
      nonce: z.string().regex(/^\d+$/),
      deadline: z.int(),
    })
    .optional(),
  /** Not on the menu, and so not in the file: value, operation, gas and refund, all 0. */
  transaction: z.strictObject({
    to: address,
    data: z.string().regex(/^0x([0-9a-f]{2})*$/),
    nonce: z.int().min(0),
  }),
  hashes: z.strictObject({ domain: hash, message: hash, safeTransaction: hash }),
  expiresAt: z.int(),
  cost: z.strictObject({
    figures,
    words: z.array(z.string()),
  }),
});
export type Proposal = z.infer<typeof proposalSchema>;

const signatureSchema = z.strictObject({
  kind: z.literal("breakwater-desk-signature-1"),
  safeTransactionHash: hash,
  /** As the signer saw them, on the signer's own desk: the Safe's hash covers neither. */
  expiresAt: z.int(),
  cost: figures,
  signer: address,
  signature: z.string().regex(/^0x[0-9a-f]{130}$/),
});
export type SignatureFile = z.infer<typeof signatureSchema>;

// ---------------------------------------------------------------- hashes

/** With the fields that are 0 on the menu, as ethers and protocol-kit take it. */
export function wholeOf({ to, data, nonce }: SafeTransaction) {
  const none = { value: "0", operation: CALL, safeTxGas: "0", baseGas: "0", gasPrice: "0" };
  return { to, data, nonce, ...none, gasToken: ZeroAddress, refundReceiver: ZeroAddress };
}

/** The three hashes that a hardware wallet or Safe's own tools show. */
export function hashesOf(chainId: number, safe: string, transaction: SafeTransaction): Proposal["hashes"] {
  const domain = { chainId, verifyingContract: safe };
  const message = wholeOf(transaction);
  const hashes = {
    domain: TypedDataEncoder.hashDomain(domain),
    message: TypedDataEncoder.hashStruct("SafeTx", SAFE_TX, message),
    safeTransaction: TypedDataEncoder.hash(domain, SAFE_TX, message),
  };
  // Safe's own code has to come to the same.
  const kits = calculateSafeTransactionHash(safe, message, SAFE_VERSION, BigInt(chainId));
  if (kits !== hashes.safeTransaction) throw new Error(`two hashes: ${kits} and ${hashes.safeTransaction}`);
  return hashes;
}

// ---------------------------------------------------------------- making one

export async function propose(desk: Desk, action: string, options: Options): Promise<Proposal> {
  const { safe, call, expires, about } = await callOf(desk, action, options);
  const time = await desk.now();
  const given = options.expires;
  const expiresAt = Number(time) + parseDuration(typeof given === "string" ? given : expires);
  const to = await stepOf(desk, action, safe, call, expiresAt);
  const current = Number(await desk.safe(safe).nonce());
  const nonce = typeof options.nonce === "string" ? Number(options.nonce) : current;
  if (!Number.isSafeInteger(nonce) || nonce < current) {
    throw new Refusal(`wrong nonce: ${String(options.nonce)}; the Safe is at ${current}`);
  }
  const transaction = { ...to, nonce };
  const intent = intentOf(desk.addresses, safe, transaction, about);
  return {
    kind: "breakwater-desk-proposal-1",
    action: intent.action,
    intent: intent.words,
    chainId: desk.chainId,
    safe,
    ...(about ? { about } : {}),
    transaction,
    hashes: hashesOf(desk.chainId, safe, transaction),
    expiresAt,
    cost: stated(await costOf(desk, intent)),
  };
}

/** A cost as a file states it. */
export const stated = ({ figures: all, words }: Cost) => ({
  figures: all.map(({ name, value }) => ({ name, value })),
  words,
});

/** What an intent costs now. */
export async function costOf(desk: Desk, { step, entry, call }: Intent): Promise<Cost> {
  if (step === "cancel" || !call || !entry?.cost) return { figures: [], words: [] };
  return entry.cost(desk, call);
}

async function callOf(
  desk: Desk,
  action: string,
  options: Options,
): Promise<{ safe: string; call: Call; expires: string; about?: About }> {
  const { addresses } = desk;
  if (action === "void") {
    const safe = safeOf(addresses, String(options.safe));
    return { safe, call: { to: safe, data: "0x" }, expires: "24h" };
  }
  if (action === "cancel" || action === "execute") {
    const operation = (await scheduledOperations(desk)).find(({ id }) => id === options.operation);
    if (!operation)
      throw new Refusal(`nothing is scheduled as ${String(options.operation)}: see desk status`);
    const { caller, to, data, executableAt } = operation;
    const manager = addressOf(addresses, "AccessManager");
    if (action === "cancel") {
      const call = { to: manager, data: encode("AccessManager", "cancel", [caller, to, data]) };
      return { safe: safeOf(addresses, String(options.safe ?? "pauser")), call, expires: "1h" };
    }
    if (executableAt > (await desk.now())) {
      throw new Refusal(`not executable before ${formatTime(executableAt)}`);
    }
    return { safe: caller, call: { to, data }, expires: "24h" };
  }
  const entry = ACTIONS[action];
  if (!entry) throw new Refusal(`not on the menu: ${action}`);
  const { to, fn, args, about } = await entry.build(desk, options);
  const safe =
    entry.safe === "guardian"
      ? parseAddress(String(options.guardian))
      : entry.safe === "own"
        ? to
        : addresses.safes[entry.safe];
  return { safe, call: { to, data: encode(entry.contract, fn, args) }, expires: entry.expires, about };
}

const encode = (kind: keyof typeof INTERFACES, fn: string, args: unknown[]) =>
  INTERFACES[kind].encodeFunctionData(fn, args);

/** What is delayed is scheduled, for `execute` afterwards. */
async function stepOf(
  desk: Desk,
  action: string,
  safe: string,
  call: Call,
  expiresAt: number,
): Promise<Call> {
  if (ACTIONS[action]?.isDelayed !== true) return call;
  const { manager } = desk;
  const id = operationId(safe, call);
  if ((await manager.getSchedule(id)) > 0n) {
    throw new Refusal(`scheduled already: propose execute --operation ${id}, or cancel it`);
  }
  const [immediate, delay] = await manager.canCall(safe, call.to, call.data.slice(0, 10));
  if (immediate || delay === 0n) {
    throw new Refusal(`the ${whoIs(desk.addresses, safe).name} has no delayed right to ${action}`);
  }
  // A date that no schedule after the expiry can meet: so signatures expire on the chain too.
  const when = BigInt(expiresAt) + delay;
  return {
    to: await manager.getAddress(),
    data: encode("AccessManager", "schedule", [call.to, call.data, when]),
  };
}

// ---------------------------------------------------------------- files

export async function writeProposal(file: string, proposal: Proposal): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${toJson(proposal)}\n`);
  const builder = file.replace(/(\.json)?$/, ".builder.json");
  const { to, data, nonce } = proposal.transaction;
  await writeFile(
    builder,
    `${toJson({
      version: "1.0",
      chainId: String(proposal.chainId),
      createdAt: Date.now(),
      meta: {
        name: `Breakwater: ${proposal.action}`,
        description: [...proposal.intent, `nonce ${nonce}`].join("; "),
        txBuilderVersion: "1.18.0",
        createdFromSafeAddress: proposal.safe,
      },
      transactions: [{ to, value: "0", data, contractMethod: null, contractInputsValues: null }],
    })}\n`,
  );
  return builder;
}

export const readProposal = async (file: string): Promise<Proposal> =>
  read(file, proposalSchema, "a proposal");
export const readSignature = async (file: string): Promise<SignatureFile> =>
  read(file, signatureSchema, "a signature");

async function read<T>(file: string, schema: z.ZodType<T>, what: string): Promise<T> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new Refusal(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new Refusal(`${file} is not ${what} of this desk:\n${z.prettifyError(result.error)}`);
}

/**
 * Recomputes everything that a file claims from the bytes, with no chain. Refuses a file whose words, hashes or Safe are
 * not what the bytes say.
 */
export function verifyProposal(addresses: Addresses, proposal: Proposal): Intent {
  const { chainId, safe, transaction, about } = proposal;
  if (chainId !== addresses.chainId) {
    throw new Refusal(
      `wrong chain: the proposal is for chain ${chainId}, the addresses are of ${addresses.chainId}`,
    );
  }
  const intent = intentOf(addresses, safe, transaction, about);
  if (intent.entry?.safe !== "guardian" && !Object.values(addresses.safes).includes(safe)) {
    throw new Refusal(`wrong Safe: ${safe} is neither the pauser's nor the governor's`);
  }
  const hashes = hashesOf(chainId, safe, transaction);
  for (const name of ["domain", "message", "safeTransaction"] as const) {
    if (hashes[name] === proposal.hashes[name]) continue;
    throw new Refusal(
      `changed bytes: the ${name} hash is ${hashes[name]}, the file says ${proposal.hashes[name]}`,
    );
  }
  if (intent.action !== proposal.action || intent.words.join("\n") !== proposal.intent.join("\n")) {
    throw new Refusal(
      `changed intent: the calldata means\n  ${intent.words.join("\n  ")}\nthe file says (${proposal.action})\n` +
        `  ${proposal.intent.join("\n  ")}`,
    );
  }
  return intent;
}

/** PROPOSAL.json → PROPOSAL.0xSigner.sig.json, beside it. */
export function signatureFile(proposal: string, signer: string): string {
  return proposal.replace(/(\.json)?$/, `.${signer}.sig.json`);
}

export function belongsTo(proposal: string, file: string): boolean {
  return file.startsWith(basename(proposal).replace(/(\.json)?$/, ".0x")) && file.endsWith(".sig.json");
}
