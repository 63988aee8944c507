// The menu. Whatever is not here cannot be proposed, and a file that has it is not signed.
import { type Result, ZeroAddress } from "ethers";

import { type Addresses, contractAddress } from "../addresses.ts";
import { BRAKE_LEVELS } from "../chain/markets.ts";
import { formatAmount, formatBps, parseAmount } from "../core/units.ts";
import { type Action, confirm, type Decoded, type Field, type Options, text } from "./action.ts";
import { costOfLowerThresholds, costOfNoPause, costOfPause } from "./cost.ts";
import {
  type Desk,
  formatDuration,
  formatReason,
  formatTime,
  marketOf,
  parseAddress,
  parseBps,
  parseDuration,
  parseReason,
  Refusal,
  SAFES,
  safeOf,
  whoIs,
} from "./desk.ts";
import { RECOVERY_ACTIONS } from "./recovery.ts";

const LEVEL = { NoNewRisk: 1n, LiquidationsPaused: 3n };
const CAP_DECIMALS = 6;
const MARKET: Field = { name: "market", kind: "market", words: "the market" };

// ---------------------------------------------------------------- the brake

function pauseAction(level: keyof typeof LEVEL, what: string): Action {
  const marketsOf = (addresses: Addresses, { fn, args }: Decoded) =>
    fn === "pauseAll" ? addresses.markets : addresses.markets.filter(({ vault }) => vault === args.market);
  return {
    summary: `stop ${what} of a market, or of all, for a bounded time`,
    safe: "pauser",
    isDelayed: false,
    contract: "EmergencyBrake",
    functions: ["pause", "pauseAll"],
    matches: (args) => args.level === LEVEL[level],
    expires: "1h",
    fields: [
      { name: "market", kind: "market or all", words: "the market, or all" },
      { name: "for", kind: "duration", words: "such as 2h or 90m" },
      { name: "reason", kind: "text", words: "for the record, at most 31 letters" },
    ],
    async build({ addresses }, options) {
      const [market, reason] = [text(options, "market"), text(options, "reason")];
      const rest = [LEVEL[level], parseDuration(text(options, "for")), parseReason(reason)];
      const to = contractAddress(addresses, "EmergencyBrake");
      if (market === "all") return { to, fn: "pauseAll", args: rest };
      return { to, fn: "pause", args: [marketOf(addresses, market).vault, ...rest] };
    },
    words(addresses, call) {
      const markets =
        call.fn === "pauseAll" ? "every market" : whoIs(addresses, call.args.market as string).name;
      const reason = formatReason(call.args.reason as string);
      return [
        `pause ${what} of ${markets} for ${formatDuration(call.args.duration as bigint)} (reason: ${reason})`,
        "repaying, topping up, closing and withdrawing surplus go on; the pause lapses by itself",
      ];
    },
    async effect(desk, call) {
      const now = await desk.now();
      const [paused, open]: [string[], string[]] = [[], []];
      for (const { id, vault } of marketsOf(desk.addresses, call)) {
        const { noNewRiskUntil, pausedUntil } = await desk.brake.stateOf(vault);
        const until = level === "NoNewRisk" ? noNewRiskUntil : pausedUntil;
        if (until > now) paused.push(`${id} until ${formatTime(until)}`);
        else open.push(id);
      }
      // A call for all passes over a market whose budget is spent.
      const isEnough = call.fn === "pauseAll" ? paused.length > 0 : open.length === 0;
      const missed = open.length > 0 ? `; NOT paused: ${open.join(", ")} (see desk status)` : "";
      return confirm(
        isEnough,
        `${open.join(", ")} is not paused`,
        `${what} paused: ${paused.join(", ")}${missed}`,
      );
    },
    cost: async (desk, call) =>
      costOfPause(desk, marketsOf(desk.addresses, call), level, call.args.duration as bigint),
    omission: async (desk, call) =>
      (
        await Promise.all(
          marketsOf(desk.addresses, call).map(async (market) => costOfNoPause(desk, market, level)),
        )
      ).flatMap(({ words }) => words),
  };
}

const liftEarly: Action = {
  summary: "end a running pause early; grace follows a pause of liquidations",
  safe: "governor",
  isDelayed: true,
  contract: "EmergencyBrake",
  functions: ["resume"],
  expires: "15m",
  fields: [
    MARKET,
    { name: "level", kind: "text", words: "what is paused", choices: ["liquidations", "new-risk"] },
  ],
  async build({ addresses, brake }, options) {
    const { vault, id } = marketOf(addresses, text(options, "market"));
    const name = text(options, "level");
    if (name !== "liquidations" && name !== "new-risk")
      throw new Refusal("the level is liquidations or new-risk");
    const level = name === "liquidations" ? LEVEL.LiquidationsPaused : LEVEL.NoNewRisk;
    const state = await brake.stateOf(vault);
    const count = name === "liquidations" ? state.liquidationPauses : state.newRiskPauses;
    if (count === 0n) throw new Refusal(`${id}: no pause of ${name} to lift`);
    return { to: contractAddress(addresses, "EmergencyBrake"), fn: "resume", args: [vault, level, count] };
  },
  words: (addresses, { args }) => [
    `end pause number ${args.count} of ${args.level === LEVEL.NoNewRisk ? "new risk" : "liquidations"} of ` +
      `${whoIs(addresses, args.market as string).name} early; it ends no later pause`,
  ],
  async effect(desk, { args }) {
    const state = await desk.brake.stateOf(args.market as string);
    const until = args.level === LEVEL.NoNewRisk ? state.noNewRiskUntil : state.pausedUntil;
    const level = BRAKE_LEVELS[Number(state.level)]!;
    return confirm(
      until <= (await desk.now()),
      "the pause still runs",
      `the pause is over; the market is at ${level}`,
    );
  },
};

// ---------------------------------------------------------------- a market's parameters

type MarketView = Awaited<ReturnType<Desk["lens"]["market"]>>;

/** A function of a market that the governor calls, and what the Lens shows afterwards. */
function marketAction(
  fn: string,
  summary: string,
  fields: Field[],
  entry: {
    args: (view: MarketView, options: Options) => unknown[];
    words: (name: string, args: Result) => string[];
    isSo: (view: MarketView, args: Result) => boolean;
    shows: (view: MarketView) => string;
    cost?: Action["cost"];
  },
): Action {
  return {
    summary,
    safe: "governor",
    isDelayed: true,
    contract: "Vault",
    functions: [fn],
    expires: "24h",
    fields: [MARKET, ...fields],
    async build({ addresses, lens }, given) {
      const { vault } = marketOf(addresses, text(given, "market"));
      return { to: vault, fn, args: entry.args(await lens.market(vault), given) };
    },
    words: (_, { name, args }) => entry.words(name, args),
    async effect({ lens }, { to, args }) {
      const view = await lens.market(to);
      return confirm(entry.isSo(view, args), `the market shows: ${entry.shows(view)}`, entry.shows(view));
    },
    cost: entry.cost,
  };
}

/** Each field as given, and otherwise as it is now; at least one has to be given. */
function fieldsOf<F extends string>(
  fields: readonly F[],
  options: Options,
  now: Record<F, bigint>,
  parse: (value: string) => bigint,
): bigint[] {
  if (fields.every((field) => options[field] === undefined))
    throw new Refusal("name at least one value to change");
  return fields.map((field) => (options[field] === undefined ? now[field] : parse(text(options, field))));
}

const RISK = ["maxLtv", "liquidationThreshold", "target", "bonusMin", "bonusMax", "slope"] as const;
const RISK_WORDS: Record<(typeof RISK)[number], string> = {
  maxLtv: "highest LTV of new risk",
  liquidationThreshold: "LTV from which on a position is liquidated",
  target: "where a liquidation brings a position",
  bonusMin: "least bonus of a liquidation",
  bonusMax: "greatest bonus of a liquidation",
  slope: "bonus per 100 % of LTV above the threshold",
};
const RISK_FIELDS = RISK.map((name): Field => ({
  name,
  kind: "percent",
  words: RISK_WORDS[name],
  isOptional: true,
}));
const riskOf = (view: MarketView, options: Options) => fieldsOf(RISK, options, view.risk, parseBps);
const riskWords = (risk: bigint[]) => RISK.map((field, at) => `${field} ${formatBps(risk[at]!)}`).join(", ");
const listOf = (args: Result) => [...(args[0] as Result)] as bigint[];

const setRisk = marketAction(
  "setRisk",
  "risk parameters that hold at once; neither threshold may fall",
  RISK_FIELDS,
  {
    args: (view, options) => [riskOf(view, options)],
    words: (name, args) => [`set the risk of ${name}: ${riskWords(listOf(args))}`],
    isSo: ({ risk }, args) => RISK.every((field, at) => risk[field] === listOf(args)[at]),
    shows: ({ risk }) => riskWords(RISK.map((field) => risk[field])),
  },
);

const startRamp = marketAction(
  "startRamp",
  "move the thresholds over days; lowering them goes no other way",
  [...RISK_FIELDS, { name: "over", kind: "duration", words: "3d to 180d" }],
  {
    args: (view, options) => [riskOf(view, options), parseDuration(text(options, "over"))],
    words: (name, args) => [
      `ramp the thresholds of ${name} over ${formatDuration(args.duration as bigint)} to: ${riskWords(listOf(args))}`,
    ],
    isSo: ({ ramp }, args) => ramp.duration === args.duration && ramp.toThreshold === listOf(args)[1],
    shows: ({ ramp }) => `a ramp to ${formatBps(ramp.toThreshold)} over ${formatDuration(ramp.duration)}`,
    cost: async (desk, { to, args }) => costOfLowerThresholds(desk, to, listOf(args)[1]!),
  },
);

const stopRamp = marketAction("stopRamp", "end a ramp: the thresholds stay what they are then", [], {
  args: () => [],
  words: (name) => [`end the ramp of ${name}: its thresholds stay what they are then`],
  isSo: ({ ramp }) => ramp.duration === 0n,
  shows: ({ ramp }) => (ramp.duration === 0n ? "no ramp" : "a ramp"),
});

const windDown = marketAction(
  "startWindDown",
  "end a market for good, in order; not to be undone",
  [{ name: "over", kind: "duration", words: "14d to 180d" }],
  {
    args: (_, options) => [parseDuration(text(options, "over"))],
    words: (name, args) => [
      `WIND DOWN ${name} over ${formatDuration(args.duration as bigint)}: no new risk and no deposits ever again`,
      "thresholds fall to 5 %; keepers settle in order, lenders withdraw as cash arrives; not to be undone",
    ],
    isSo: ({ windingDown }) => windingDown,
    shows: ({ windingDown }) => (windingDown ? "winding down" : "not winding down"),
    cost: async (desk, { to }) => costOfLowerThresholds(desk, to, 500n),
  },
);

const CAPS = ["debt", "collateral", "minDebt"] as const;
const tokens = (amount: bigint) => formatAmount(amount, CAP_DECIMALS, 2);
const parseTokens = (value: string) => parseAmount(value, CAP_DECIMALS);
const capWords = ([debt, collateral, minDebt]: bigint[]) =>
  `debt ${tokens(debt!)}, collateral ${tokens(collateral!)}, smallest debt ${tokens(minDebt!)}, in whole tokens`;

const setCaps = marketAction(
  "setCaps",
  "caps of new risk; they never stop a repayment",
  [
    { name: "debt", kind: "amount", words: "whole debt tokens", isOptional: true },
    { name: "collateral", kind: "amount", words: "whole collateral tokens", isOptional: true },
    {
      name: "minDebt",
      kind: "amount",
      words: "smallest debt of a position, whole debt tokens",
      isOptional: true,
    },
  ],
  {
    args: (view, options) => [fieldsOf(CAPS, options, view.caps, parseTokens)],
    words: (name, args) => [`set the caps of ${name}: ${capWords(listOf(args))}`],
    isSo: ({ caps }, args) => CAPS.every((cap, at) => caps[cap] === listOf(args)[at]),
    shows: ({ caps }) => capWords(CAPS.map((cap) => caps[cap])),
  },
);

const setReserveFactor = marketAction(
  "setReserveFactor",
  "share of the interest that goes to the reserves",
  [{ name: "percent", kind: "percent", words: "whole, 0 to 50" }],
  {
    args(_, options) {
      const percent = text(options, "percent");
      if (/^\d{1,2}$/.test(percent)) return [BigInt(percent)];
      throw new Refusal(`the percentage is a whole number, not "${percent}"`);
    },
    words: (name, args) => [`set the reserve factor of ${name} to ${args.percent} %`],
    isSo: ({ reserveFactor }, args) => reserveFactor === args.percent,
    shows: ({ reserveFactor }) => `reserve factor ${reserveFactor} %`,
  },
);

const setOracle = marketAction(
  "setOracle",
  "another oracle adapter whose range overlaps; both must be Fresh",
  [{ name: "oracle", kind: "address", words: "the new adapter" }],
  {
    args: (_, options) => [parseAddress(text(options, "oracle"))],
    words: (name, args) => [`set the oracle of ${name} to ${args.oracle}`],
    isSo: ({ oracle }, args) => oracle === args.oracle,
    shows: ({ oracle }) => `oracle ${oracle}`,
  },
);

const setCascade = marketAction(
  "setCascade",
  "cascade brake: how much debt is liquidated in a window; delay makes insolvency (docs/cascade.md)",
  [
    { name: "cap", kind: "amount", words: "whole debt tokens; 0: off" },
    { name: "window", kind: "duration", words: "not with cap 0", isOptional: true },
  ],
  {
    args(_, options) {
      const cap = parseTokens(text(options, "cap"));
      return [cap, cap === 0n ? 0 : parseDuration(text(options, "window"))];
    },
    words: (name, { cap, window }) => [
      `set the cascade brake of ${name}: ${cascadeWords(cap as bigint, window as bigint)}`,
    ],
    isSo: ({ cascadeCap, cascadeWindow }, args) => cascadeCap === args.cap && cascadeWindow === args.window,
    shows: ({ cascadeCap, cascadeWindow }) => `cascade brake: ${cascadeWords(cascadeCap, cascadeWindow)}`,
  },
);
const cascadeWords = (cap: bigint, window: bigint) =>
  cap === 0n ? "off" : `at most ${tokens(cap)} of debt, in whole tokens, in ${formatDuration(window)}`;

// ---------------------------------------------------------------- upgrades

const PROXY: Field = { name: "proxy", kind: "proxy", words: "a market, or a contract by its name" };

function proxyOf(addresses: Addresses, options: Options): string {
  const name = text(options, "proxy");
  const address = addresses.markets.find(({ id }) => id === name)?.vault ?? addresses.contracts[name];
  if (address === undefined) throw new Refusal(`no proxy ${name}: ${PROXY.words}`);
  return address;
}

const upgradeAction = (
  fn: string,
  entry: Pick<Action, "summary" | "fields" | "words" | "effect"> & Partial<Action>,
) =>
  ({
    safe: "governor",
    isDelayed: true,
    contract: "Upgrader",
    functions: [fn],
    expires: "24h",
    build: async ({ addresses }, options) => ({
      to: contractAddress(addresses, "Upgrader"),
      fn,
      args: [proxyOf(addresses, options)],
    }),
    ...entry,
  }) satisfies Action;

const proxyName = (addresses: Addresses, args: Result) => whoIs(addresses, args.proxy as string).name;

const upgrade = upgradeAction("upgrade", {
  summary: "another implementation behind a proxy; rehearse it first",
  fields: [
    PROXY,
    { name: "implementation", kind: "address", words: "deployed already, and rehearsed" },
    {
      name: "securityFix",
      kind: "yes",
      words: "what runs now must never run again: the pauser cannot put it back",
      isOptional: true,
    },
  ],
  build: async ({ addresses }, options) => ({
    to: contractAddress(addresses, "Upgrader"),
    fn: "upgrade",
    args: [
      proxyOf(addresses, options),
      parseAddress(text(options, "implementation")),
      "0x",
      options.securityFix === true,
    ],
  }),
  // A call of the new implementation would be raw calldata.
  matches: (args) => args.data === "0x",
  words: (addresses, { args }) => [
    `UPGRADE ${proxyName(addresses, args)} to the implementation ${args.implementation}`,
    args.isSecurityFix === true
      ? "as a security fix: the pauser can NOT put back what runs now"
      : "for three days the pauser can put back what runs now, while paused",
  ],
  async effect(desk, { args }) {
    const { implementation } = await desk.upgrader.stateOf(args.proxy as string);
    const isSo = implementation === args.implementation;
    return confirm(isSo, `it runs ${implementation}`, `it runs ${implementation}`);
  },
});

const restore = upgradeAction("restore", {
  summary: "undo the latest upgrade, without delay; once, within three days, while paused",
  safe: "pauser",
  isDelayed: false,
  expires: "1h",
  fields: [PROXY],
  words: (addresses, { args }) => [
    `put back what ${proxyName(addresses, args)} ran before its latest upgrade`,
  ],
  async effect(desk, { args }) {
    const { implementation, previous } = await desk.upgrader.stateOf(args.proxy as string);
    return confirm(previous === ZeroAddress, `it runs ${implementation}`, `it runs ${implementation} again`);
  },
});

const ossify = upgradeAction("ossify", {
  summary: "end upgrading a proxy, for ever",
  fields: [PROXY],
  words: (addresses, { args }) => [
    `END UPGRADING ${proxyName(addresses, args)} for ever: what it runs stays`,
  ],
  async effect(desk, { args }) {
    const { ossified } = await desk.upgrader.stateOf(args.proxy as string);
    return confirm(ossified, "it can still be upgraded", "it can never be upgraded again");
  },
});

// ---------------------------------------------------------------- the Safes themselves

export const SAFE: Field = {
  name: "safe",
  kind: "text",
  words: "whose nonce, owners or signatures",
  choices: SAFES,
};

const replaceOwner: Action = {
  summary: "one owner of a Safe by another, at once",
  safe: "own",
  isDelayed: false,
  contract: "Safe",
  functions: ["swapOwner"],
  expires: "24h",
  fields: [
    SAFE,
    { name: "old", kind: "address", words: "who leaves" },
    { name: "new", kind: "address", words: "who comes" },
  ],
  async build(desk, options) {
    const to = safeOf(desk.addresses, text(options, "safe"));
    const [old, successor] = [parseAddress(text(options, "old")), parseAddress(text(options, "new"))];
    const owners = [...(await desk.safe(to).getOwners())];
    if (!owners.includes(old)) throw new Refusal(`${old} is no owner: ${owners.join(", ")}`);
    if (owners.includes(successor)) throw new Refusal(`${successor} is an owner already`);
    // The Safe keeps its owners as a chain, and wants the link before.
    const before = owners[owners.indexOf(old) - 1] ?? "0x0000000000000000000000000000000000000001";
    return { to, fn: "swapOwner", args: [before, old, successor] };
  },
  words: (_, { name, args }) => [
    `replace an owner of the ${name}: ${args.oldOwner} leaves, ${args.newOwner} comes`,
  ],
  async effect(desk, { to, args }) {
    const owners = await desk.safe(to).getOwners();
    const isSo = owners.includes(args.newOwner as string) && !owners.includes(args.oldOwner as string);
    return confirm(isSo, `the owners are ${owners.join(", ")}`, `the owners are ${owners.join(", ")}`);
  },
};

// ---------------------------------------------------------------- who holds the elected roles

/** Ids of the roles (deploy/roles.json) that are held with no delay. An elector has one, and is none of these. */
export const ELECTED = { PAUSER: 1n, SENTINEL: 4n };
const electedName = (id: unknown) => Object.entries(ELECTED).find(([, each]) => each === id)?.[0];

function electAction(fn: "elect" | "dismiss"): Action {
  const isElection = fn === "elect";
  return {
    summary: isElection
      ? "give PAUSER or SENTINEL to a new holder; the pauser cannot stop it"
      : "take PAUSER or SENTINEL from a holder; the pauser cannot stop it",
    safe: "governor",
    isDelayed: true,
    contract: "AccessAdmin",
    functions: [fn],
    matches: (args) => electedName(args.role) !== undefined && (!isElection || args.executionDelay === 0n),
    expires: "24h",
    fields: [
      { name: "role", kind: "text", words: "the role", choices: Object.keys(ELECTED) },
      { name: "holder", kind: "address", words: "a Safe; of SENTINEL a bot's key" },
    ],
    async build({ addresses }, options) {
      const role = Object.entries(ELECTED).find(([name]) => name === text(options, "role"));
      if (!role) throw new Refusal(`the role is one of ${Object.keys(ELECTED).join(", ")}`);
      const args = [role[1], parseAddress(text(options, "holder"))];
      return { to: contractAddress(addresses, "AccessAdmin"), fn, args: isElection ? [...args, 0n] : args };
    },
    words: (addresses, { args }) => [
      `${isElection ? "GIVE" : "TAKE"} ${electedName(args.role)} ` +
        `${isElection ? "to" : "from"} ${whoIs(addresses, args.account as string).name}`,
    ],
    async effect(desk, { args }) {
      const [isMember] = await desk.manager.hasRole(args.role as bigint, args.account as string);
      return confirm(isMember === isElection, `it ${isMember ? "holds" : "does not hold"} the role`, "done");
    },
  };
}

/** The menu. */
export const ACTIONS: Record<string, Action> = {
  "pause-liquidations": pauseAction("LiquidationsPaused", "liquidations"),
  "pause-new-risk": pauseAction("NoNewRisk", "new risk"),
  "lift-early": liftEarly,
  "set-risk": setRisk,
  "set-caps": setCaps,
  "set-reserve-factor": setReserveFactor,
  "set-oracle": setOracle,
  "set-cascade": setCascade,
  "start-ramp": startRamp,
  "stop-ramp": stopRamp,
  "wind-down": windDown,
  upgrade,
  restore,
  ossify,
  elect: electAction("elect"),
  dismiss: electAction("dismiss"),
  "replace-owner": replaceOwner,
  ...RECOVERY_ACTIONS,
};

const OPERATION: Field = { name: "operation", kind: "operation", words: "as the status shows it" };

/** Beside the menu: what is done with what was scheduled, and with a nonce. */
export const STEPS: Record<string, Pick<Action, "summary" | "expires" | "fields">> = {
  execute: { summary: "what was scheduled, when its delay is over", expires: "24h", fields: [OPERATION] },
  cancel: {
    summary: "what the governor has scheduled",
    expires: "1h",
    fields: [OPERATION, { ...SAFE, isOptional: true }],
  },
  void: {
    summary: "use a Safe's nonce up, so that what else has it can never be executed",
    expires: "24h",
    fields: [SAFE],
  },
};
