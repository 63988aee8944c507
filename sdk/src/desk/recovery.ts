// What a Safe that guards somebody's account does for it (AccountRecovery): approve, act, lock, execute.
import { type Result, TypedDataEncoder } from "ethers";

import { contractAddress } from "../addresses.ts";
import { type About, type Action, confirm, type Decoded, type Field, type Options, text } from "./action.ts";
import { type Desk, formatTime, parseAddress, Refusal } from "./desk.ts";

const DO = ["recover", "lock", "recover-and-lock", "release"] as const;
const NOBODY = "0x0000000000000000000000000000000000000000";

const ACTION = {
  Action: [
    { name: "account", type: "address" },
    { name: "action", type: "uint8" },
    { name: "newOwner", type: "address" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
};

function digestOf(chainId: number, verifyingContract: string, about: About): string {
  const domain = { name: "Breakwater AccountRecovery", version: "1", chainId, verifyingContract };
  return TypedDataEncoder.hash(domain, ACTION, about);
}

const GUARDIAN: Field = {
  name: "guardian",
  kind: "address",
  words: "the Safe that is a guardian, and signs this",
};
const ACCOUNT: Field = { name: "account", kind: "address", words: "the account" };

function wordsOf(account: string, action: number, newOwner: string, deadline: bigint | number): string[] {
  const name = DO[action];
  if (name === undefined) throw new Refusal(`no action ${action} of guardians`);
  const whom = newOwner === NOBODY ? "" : `, to the new owner ${newOwner}`;
  return [`${name} the account ${account}${whom}; approved until ${formatTime(deadline)}`];
}

/** What the options ask for, if the Safe guards the account. */
async function guarded(desk: Desk, options: Options) {
  const [guardian, account] = [
    parseAddress(text(options, "guardian")),
    parseAddress(text(options, "account")),
  ];
  const state = await desk.recovery.stateOf(account);
  if (!state.guard.guardians.includes(guardian)) {
    throw new Refusal(`${guardian} is no guardian of ${account}: ${state.guard.guardians.join(", ")}`);
  }
  return { guardian, account, state, to: contractAddress(desk.addresses, "AccountRecovery") };
}

function asked(options: Options, nonce: bigint, account: string): About {
  const action = DO.findIndex((name) => name === text(options, "do"));
  if (action < 0) throw new Refusal(`what to do is one of ${DO.join(", ")}`);
  const isRecovery = DO[action]!.startsWith("recover");
  const newOwner = isRecovery ? parseAddress(text(options, "newOwner")) : NOBODY;
  const deadline = Date.parse(text(options, "deadline")) / 1_000;
  if (!Number.isInteger(deadline)) throw new Refusal("the deadline reads like 2026-12-01T12:00:00Z");
  return { account, action, newOwner, nonce: String(nonce), deadline };
}

const ASKED: Field[] = [
  GUARDIAN,
  ACCOUNT,
  { name: "do", kind: "text", words: "what is done", choices: DO },
  { name: "newOwner", kind: "address", words: "of a recovery", isOptional: true },
  {
    name: "deadline",
    kind: "time",
    words: "the same for all guardians, such as 2026-12-01T12:00:00Z",
  },
];

const common = { safe: "guardian", isDelayed: false, contract: "AccountRecovery", expires: "24h" } as const;

const approve: Action = {
  ...common,
  summary: "a guardian's approval of what a quorum of guardians does with an account",
  functions: ["approve"],
  fields: ASKED,
  async build(desk, options) {
    const { account, state, to } = await guarded(desk, options);
    const about = asked(options, state.nonce, account);
    return { to, fn: "approve", args: [digestOf(desk.chainId, to, about)], about };
  },
  words({ chainId }, { to, args }, about) {
    if (!about) throw new Refusal("an approval of a hash that the file does not explain");
    const digest = digestOf(chainId, to, about);
    if (digest !== args.digest) {
      throw new Refusal(
        `changed intent: what the file explains has the hash ${digest}, the calldata ${args.digest}`,
      );
    }
    const what = wordsOf(about.account, about.action, about.newOwner, about.deadline);
    return ["as a guardian, approve:", ...what];
  },
  async effect(desk, { args }, safe) {
    const isSo = await desk.recovery.isApproved(args.digest as string, safe);
    return confirm(isSo, "it is not approved", "approved");
  },
};

const act: Action = {
  ...common,
  summary: "do what enough guardians have approved; this Safe's own approval is in it",
  functions: ["act"],
  // Signatures would be bytes that nobody reads.
  matches: (args) => (args.approvals as Result[]).every(({ signature }) => signature === "0x"),
  fields: [
    ...ASKED,
    {
      name: "with",
      kind: "addresses",
      words: "guardians that have approved it, with commas between",
      isOptional: true,
    },
  ],
  async build(desk, options) {
    const { guardian, account, state, to } = await guarded(desk, options);
    const { action, newOwner, deadline } = asked(options, state.nonce, account);
    const others = typeof options.with === "string" ? options.with.split(",").map(parseAddress) : [];
    const approvals = [...new Set([guardian, ...others])]
      .sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
      .map((each) => [each, "0x"]);
    return { to, fn: "act", args: [account, action, newOwner, deadline, approvals] };
  },
  words: (_, { args }) => [
    ...wordsOf(args.account as string, Number(args.action), args.newOwner as string, args.deadline as bigint),
    `on the approvals of ${(args.approvals as Result[]).map(({ guardian }) => guardian as string).join(", ")}`,
  ],
  async effect(desk, { args }) {
    const { newOwner, recoverFrom, quorumLockedUntil } = await desk.recovery.stateOf(args.account as string);
    const isRecovery = args.newOwner !== NOBODY;
    const from = `${newOwner} from ${formatTime(recoverFrom)} on`;
    return confirm(
      !isRecovery || newOwner === args.newOwner,
      "no such recovery is pending",
      `${isRecovery ? `recovery to ${from}` : "done"}${quorumLockedUntil > 0n ? `; locked until ${formatTime(quorumLockedUntil)}` : ""}`,
    );
  },
};

function accountAction(fn: string, summary: string, words: string, effect: Action["effect"]): Action {
  return {
    ...common,
    summary,
    functions: [fn],
    fields: [GUARDIAN, ACCOUNT],
    async build(desk, options) {
      const { account, to } = await guarded(desk, options);
      return { to, fn, args: [account] };
    },
    words: (_, { args }) => [`${words} ${args.account}`],
    effect,
  };
}

const stateOf = async (desk: Desk, { args }: Decoded) => desk.recovery.stateOf(args.account as string);

export const RECOVERY_ACTIONS: Record<string, Action> = {
  "recovery-approve": approve,
  "recovery-act": act,
  "recovery-lock": accountAction(
    "lockByGuardian",
    "stop what takes value out of an account, by one guardian alone; once in a while",
    "as one guardian, lock the account",
    async (desk, call) => {
      const { lockedUntil } = await stateOf(desk, call);
      return confirm(
        lockedUntil > (await desk.now()),
        "it is not locked",
        `locked until ${formatTime(lockedUntil)}`,
      );
    },
  ),
  "recovery-execute": accountAction(
    "executeRecovery",
    "give an account its new owner, when the delay is over",
    "execute the pending recovery of the account",
    async (desk, call) => {
      const { owner, newOwner } = await stateOf(desk, call);
      return confirm(newOwner === NOBODY, "the recovery is still pending", `its owner is ${owner}`);
    },
  ),
};
