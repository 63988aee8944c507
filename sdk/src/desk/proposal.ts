// A proposal: a Safe's transaction with what it means, costs and hashes to, as its owners pass it on.
import { getAddress, TypedDataEncoder, ZeroAddress } from "ethers";

import { type Addresses, contractAddress } from "../addresses.ts";
import { Fields } from "../fields.ts";
import type { About, Options } from "./action.ts";
import { ACTIONS } from "./actions.ts";
import type { Cost } from "./cost.ts";
import {
  type Desk,
  formatTime,
  INTERFACES,
  parseAddress,
  parseDuration,
  Refusal,
  SAFES,
  safeOf,
  whoIs,
} from "./desk.ts";
import {
  type Call,
  type Intent,
  intentOf,
  operationId,
  type SafeTransaction,
  scheduledOperations,
} from "./intent.ts";

/** A cost as it is written down. */
export interface StatedFigure {
  name: string;
  value: bigint;
}

export interface Hashes {
  domain: string;
  message: string;
  safeTransaction: string;
}

export interface Proposal {
  kind: typeof PROPOSAL;
  action: string;
  intent: string[];
  chainId: number;
  safe: string;
  /** Of a guardian's approval: what its hash stands for. */
  about?: About | undefined;
  /** Not on the menu, and so not here: value, operation, gas and refund, all 0. */
  transaction: SafeTransaction;
  hashes: Hashes;
  expiresAt: number;
  cost: { figures: StatedFigure[]; words: string[] };
}

const PROPOSAL = "breakwater-desk-proposal-1";

/** What somebody passed on. What it says of itself is checked by verifyProposal. */
export function parseProposal(json: unknown): Proposal {
  const root = fieldsOf(json, "a proposal");
  root.only(
    "kind",
    "action",
    "intent",
    "chainId",
    "safe",
    "about",
    "transaction",
    "hashes",
    "expiresAt",
    "cost",
  );
  root.matching("kind", PROPOSAL, new RegExp(`^${PROPOSAL}$`));
  const transaction = root.object("transaction").only("to", "data", "nonce");
  const hashes = root.object("hashes").only("domain", "message", "safeTransaction");
  const cost = root.object("cost").only("figures", "words");
  return {
    kind: PROPOSAL,
    action: root.text("action"),
    intent: root.texts("intent"),
    chainId: root.integer("chainId"),
    safe: getAddress(root.address("safe")),
    about: root.has("about") ? aboutOf(root.object("about")) : undefined,
    transaction: {
      to: getAddress(transaction.address("to")),
      data: transaction.matching("data", "bytes", /^0x([0-9a-f]{2})*$/),
      nonce: transaction.integer("nonce"),
    },
    hashes: {
      domain: hashOf(hashes, "domain"),
      message: hashOf(hashes, "message"),
      safeTransaction: hashOf(hashes, "safeTransaction"),
    },
    expiresAt: root.integer("expiresAt"),
    cost: { figures: figuresOf(cost, "figures"), words: cost.texts("words") },
  };
}

function aboutOf(fields: Fields): About {
  fields.only("account", "action", "newOwner", "nonce", "deadline");
  return {
    account: getAddress(fields.address("account")),
    action: fields.integer("action"),
    newOwner: getAddress(fields.address("newOwner")),
    nonce: fields.matching("nonce", "a number", /^\d+$/),
    deadline: fields.integer("deadline"),
  };
}

export function fieldsOf(json: unknown, what: string): Fields {
  return new Fields("", json, (where, expected, value) => {
    const is = value === undefined ? "missing" : JSON.stringify(value);
    return new Refusal(`not ${what} of this desk: ${where || "it"} must be ${expected}, but is ${is}`);
  });
}

export const hashOf = (fields: Fields, key: string) => fields.matching(key, "a hash", /^0x[0-9a-f]{64}$/);

export const figuresOf = (fields: Fields, key: string): StatedFigure[] =>
  fields.array(key).map((figure) => {
    const { name, value } = {
      name: figure.only("name", "value").text("name"),
      value: figure.matching("value", "a number", /^\d+$/),
    };
    return { name, value: BigInt(value) };
  });

// ---------------------------------------------------------------- hashes

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

/** What EIP-712 signs of a Safe's transaction; operation 0 is neither a delegate call nor a creation. */
export function typedDataOf(chainId: number, safe: string, { to, data, nonce }: SafeTransaction) {
  return {
    domain: { chainId: BigInt(chainId), verifyingContract: safe },
    types: SAFE_TX,
    message: {
      to,
      value: 0n,
      data,
      operation: 0,
      safeTxGas: 0n,
      baseGas: 0n,
      gasPrice: 0n,
      gasToken: ZeroAddress,
      refundReceiver: ZeroAddress,
      nonce,
    },
  };
}

/** The three hashes that a hardware wallet or Safe's own tools show. */
export function hashesOf(chainId: number, safe: string, transaction: SafeTransaction): Hashes {
  const { domain, types, message } = typedDataOf(chainId, safe, transaction);
  return {
    domain: TypedDataEncoder.hashDomain(domain),
    message: TypedDataEncoder.hashStruct("SafeTx", types, message),
    safeTransaction: TypedDataEncoder.hash(domain, types, message),
  };
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
    kind: PROPOSAL,
    action: intent.action,
    intent: intent.words,
    chainId: desk.chainId,
    safe,
    about,
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

/** What it costs now to leave it. */
export async function omissionOf(desk: Desk, { step, entry, call }: Intent): Promise<string[]> {
  if (step === "cancel" || !call || !entry?.omission) return [];
  return entry.omission(desk, call);
}

async function callOf(
  desk: Desk,
  action: string,
  options: Options,
): Promise<{ safe: string; call: Call; expires: string; about?: About | undefined }> {
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
    const manager = contractAddress(addresses, "AccessManager");
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

// ---------------------------------------------------------------- checking one

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

// ---------------------------------------------------------------- as it is passed on

/** What its file is called. */
export function nameOf({ safes }: Addresses, { action, safe, transaction }: Proposal): string {
  const name = SAFES.find((each) => safes[each] === safe) ?? safe;
  return `${action}-${name}-${transaction.nonce}.json`;
}

/** What a signature's file is called, beside its proposal's: PROPOSAL.0xSigner.sig.json. */
export function signatureNameOf(proposal: string, signer: string): string {
  return proposal.replace(/(\.json)?$/, `.${signer}.sig.json`);
}

/** The name of the twin for Safe's Transaction Builder. */
export function builderNameOf(proposal: string): string {
  return proposal.replace(/(\.json)?$/, ".builder.json");
}

/** The same call for Safe's Transaction Builder. */
export function builderOf({ chainId, safe, action, intent, transaction }: Proposal) {
  const { to, data, nonce } = transaction;
  return {
    version: "1.0",
    chainId: String(chainId),
    createdAt: Date.now(),
    meta: {
      name: `Breakwater: ${action}`,
      description: [...intent, `nonce ${nonce}`].join("; "),
      txBuilderVersion: "1.18.0",
      createdFromSafeAddress: safe,
    },
    transactions: [{ to, value: "0", data, contractMethod: null, contractInputsValues: null }],
  };
}

/** As it is passed on; numbers that a double does not hold are texts. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? each.toString() : each), 2);
}
