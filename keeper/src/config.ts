import { getAddress, isAddress, parseUnits } from "ethers";
import { parse } from "yaml";
import { z } from "zod";

import type { Parameters } from "./decide.ts";

// One YAML file, if any, and the environment, which has precedence, become one checked configuration, or the keeper does
// not start. The keys are the same in both.

export interface Config {
  /** All of one chain, the preferred one first. */
  rpcUrls: string[];
  /** New blocks' hints. */
  webSocketUrl: string | undefined;
  /** Where transactions go first, and for how many blocks before the public endpoints get them too. */
  privateRpc: { url: string; blocks: number } | undefined;
  addresses: string; // file
  signer: SignerSource;
  /** Directory of what must survive a restart. */
  stateDir: string;
  /** A PostgreSQL whose lease elects who acts. */
  databaseUrl: string | undefined;
  /** How long a keeper that is not heard of keeps its lease. */
  leaseSeconds: number;
  pollMs: number;
  logLevel: "debug" | "info" | "warn" | "error";
  operation: {
    /** Of /metrics and /health. */
    host: string;
    port: number;
    /** Seconds without an evaluated block after which the keeper is not healthy. */
    maxSilence: number;
    minBalance: bigint; // wei
    webhookUrl: string | undefined;
    /** File of the subscriptions to margin calls. */
    marginCalls: string | undefined;
  };
  parameters: Parameters;
  /** Texts that no log and no message may show. */
  secrets: string[];
}

export type SignerSource =
  | { kind: "key"; key: string }
  | { kind: "keystore"; file: string; password: string | undefined; passwordFile: string | undefined }
  /** Signs where `url` says; else the node itself has the account unlocked. */
  | { kind: "account"; address: string; url: string | undefined }
  | { kind: "none" };

/** The offending keys, one a line. */
export class InvalidConfig extends Error {
  override name = "InvalidConfig";
}

const text = (pattern: RegExp, expected: string) => z.string().regex(pattern, expected);
const whole = (least: number, most: number) =>
  text(/^\d+$/, "must be a whole number")
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be from ${least} to ${most}`);
const wei = () =>
  text(/^\d+(\.\d{1,18})?$/, "must be an amount such as 0.001").transform((amount) => parseUnits(amount, 18));
const url = (protocol: RegExp, expected: string) => z.url({ protocol, error: expected });
const http = () => url(/^https?$/, "must be an http(s) address");
const file = () => z.string().min(1);

const MANY = 2 ** 31 - 1;

/** Every key: how it is read, and what --help says of it. */
export const KEYS = z.object({
  RPC_URL: z
    .string("is missing")
    .transform((list) => list.split(",").map((item) => item.trim()))
    .pipe(z.array(http()))
    .describe("HTTP JSON-RPC of the chain; several, separated by commas: the first that is well is used"),
  WS_URL: url(/^wss?$/, "must be a ws(s) address")
    .optional()
    .describe("WebSocket of the same chain: a new block is noticed sooner"),
  PRIVATE_RPC_URL: http().optional().describe("where transactions are sent first, unseen by others"),
  PRIVATE_BLOCKS: whole(1, 1_000).prefault("3").describe("until the public endpoints get them too"),
  ADDRESSES: z
    .string("is missing")
    .min(1)
    .describe("file that the deployment wrote: deploy/addresses/<chainId>.json"),
  PRIVATE_KEY: text(/^0x[0-9a-fA-F]{64}$/, "must be 32 bytes in hex, with 0x")
    .optional()
    .describe("of the account that pays for gas and receives the profit; or"),
  KEYSTORE: file().optional().describe("its encrypted JSON file (version 3), with"),
  KEYSTORE_PASSWORD: z.string().optional().describe("its password, or"),
  KEYSTORE_PASSWORD_FILE: file().optional().describe("a file whose first line is the password; or"),
  ACCOUNT: text(/^0x[0-9a-fA-F]{40}$/, "must be an address")
    .refine((address) => isAddress(address), "has a wrong checksum")
    .transform(getAddress)
    .optional()
    .describe("an address that the node has unlocked, or that"),
  SIGNER_URL: http().optional().describe("this JSON-RPC signs for (eth_signTransaction)"),
  MIN_PROFIT_ETH: wei().prefault("0.001").describe("wanted after gas, in the chain's coin"),
  MAX_SLIPPAGE_BPS: whole(0, 9_999).prefault("50").describe("accepted between the quote and the sale"),
  DEADLINE_SECONDS: whole(1, MANY).prefault("120").describe("of a liquidation, from its block"),
  MAX_TICKS: whole(1, MANY).prefault("200").describe("of one liquidation"),
  GAS_BASE: whole(1, MANY)
    .prefault("700000")
    .describe("expected gas of a liquidation without its ticks, or of a protection order"),
  GAS_PER_TICK: whole(0, MANY).prefault("15000").describe("expected gas of each"),
  INVENTORY_HAIRCUT_BPS: whole(0, 9_999)
    .optional()
    .describe("use the account's own debt tokens too, and take this much off what the collateral is worth"),
  RESCUE_MAX_LOSS_ETH: wei()
    .optional()
    .describe("lose this much at most on a liquidation, gas included, before a tick becomes insolvent"),
  RESCUE_DISTANCE_BPS: whole(0, 9_999)
    .prefault("200")
    .describe("that the price may still fall until then; farther off nothing is lost"),
  SEIZE_BUDGET_ETH: wei()
    .prefault("0.02")
    .describe("for the gas of seizing insolvent ticks by itself; 0: never"),
  POKE_BUDGET_ETH: wei().prefault("0.005").describe("for the gas of one poke"),
  POKE_MINUTES: whole(0, 50)
    .prefault("10")
    .describe("between pokes of a clock that only runs when somebody looks, at most 50; 0: none"),
  STATE_DIR: file()
    .prefault("keeper-state")
    .describe("directory of what must survive a restart (the nonce journal)"),
  DATABASE_URL: url(/^postgres(ql)?$/, "must be a postgres:// address")
    .optional()
    .describe("PostgreSQL that elects which of several keepers acts; none: this is the only one"),
  LEASE_SECONDS: whole(1, 600)
    .prefault("8")
    .describe("after which another keeper takes over from one that is silent; at most a block's time"),
  POLL_MS: whole(50, MANY).prefault("1000").describe("between looks for a new block"),
  METRICS_HOST: z.string().min(1).prefault("127.0.0.1").describe("where /metrics and /health listen"),
  METRICS_PORT: whole(0, 65_535).prefault("9464").describe("and their port; 0: any that is free"),
  MAX_SILENCE_SECONDS: whole(1, MANY)
    .prefault("60")
    .describe("without an evaluated block until /health fails"),
  MIN_BALANCE_ETH: wei().prefault("0.05").describe("below which /health fails and an alert is sent"),
  WEBHOOK_URL: http().optional().describe("gets alerts as JSON"),
  MARGIN_CALLS: file().optional().describe("file of the position owners who want margin calls"),
  LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], "must be debug, info, warn or error")
    .prefault("info")
    .describe("debug, info, warn or error"),
});

/** A file is copied, committed and mounted. */
const ONLY_ENVIRONMENT = ["PRIVATE_KEY", "KEYSTORE_PASSWORD"];

export function readConfig(
  env: NodeJS.ProcessEnv,
  yaml = "",
  { needsSigner = true }: { needsSigner?: boolean } = {},
): Config {
  const fromFile = readYaml(yaml);
  // An empty variable is a missing one.
  const fromEnv = Object.entries(env).filter(([, value]) => value !== "");
  const given: Record<string, string | undefined> = { ...fromFile, ...Object.fromEntries(fromEnv) };
  const result = KEYS.safeParse(given);
  // Never the value: it may be a key.
  const problems = (result.error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
  problems.push(...signerProblems(given, needsSigner));
  if (!result.success || problems.length > 0) throw new InvalidConfig(problems.join("\n"));
  const { data } = result;
  return {
    rpcUrls: data.RPC_URL,
    webSocketUrl: data.WS_URL,
    privateRpc: data.PRIVATE_RPC_URL ? { url: data.PRIVATE_RPC_URL, blocks: data.PRIVATE_BLOCKS } : undefined,
    addresses: data.ADDRESSES,
    signer: signerOf(data),
    stateDir: data.STATE_DIR,
    databaseUrl: data.DATABASE_URL,
    leaseSeconds: data.LEASE_SECONDS,
    pollMs: data.POLL_MS,
    logLevel: data.LOG_LEVEL,
    operation: {
      host: data.METRICS_HOST,
      port: data.METRICS_PORT,
      maxSilence: data.MAX_SILENCE_SECONDS,
      minBalance: data.MIN_BALANCE_ETH,
      webhookUrl: data.WEBHOOK_URL,
      marginCalls: data.MARGIN_CALLS,
    },
    parameters: {
      minProfit: data.MIN_PROFIT_ETH,
      maxSlippage: BigInt(data.MAX_SLIPPAGE_BPS),
      deadline: BigInt(data.DEADLINE_SECONDS),
      maxTicks: data.MAX_TICKS,
      gasBase: BigInt(data.GAS_BASE),
      gasPerTick: BigInt(data.GAS_PER_TICK),
      inventory:
        data.INVENTORY_HAIRCUT_BPS === undefined
          ? undefined
          : { haircut: BigInt(data.INVENTORY_HAIRCUT_BPS) },
      rescue: data.RESCUE_MAX_LOSS_ETH
        ? { distance: BigInt(data.RESCUE_DISTANCE_BPS), maxLoss: data.RESCUE_MAX_LOSS_ETH }
        : undefined,
      seizeBudget: data.SEIZE_BUDGET_ETH,
      pokeBudget: data.POKE_BUDGET_ETH,
      pokePeriod: BigInt(data.POKE_MINUTES) * 60n,
    },
    secrets: secretsOf(data),
  };
}

/** Its keys, unread: every scalar is the text that was written, a list is its items with commas. */
function readYaml(yaml: string): Record<string, string> {
  const root = parseYaml(yaml);
  if (root === null || root === "") return {};
  if (typeof root !== "object" || Array.isArray(root)) {
    throw new InvalidConfig("the configuration file must be lines of KEY: value");
  }
  const problems: string[] = [];
  const given: Record<string, string> = {};
  for (const [key, value] of Object.entries(root)) {
    const texts: unknown[] = Array.isArray(value) ? value : [value];
    if (!(key in KEYS.shape)) problems.push(`${key}: is no key of this configuration`);
    else if (ONLY_ENVIRONMENT.includes(key))
      problems.push(`${key}: belongs in the environment, not in a file`);
    else if (!texts.every((item) => typeof item === "string"))
      problems.push(`${key}: must be a text or a list`);
    else if (texts.join() !== "") given[key] = texts.join();
  }
  if (problems.length > 0) throw new InvalidConfig(problems.join("\n"));
  return given;
}

function parseYaml(yaml: string): unknown {
  try {
    return parse(yaml, { schema: "failsafe", prettyErrors: false });
  } catch (error) {
    throw new InvalidConfig(`the configuration file is no YAML: ${(error as Error).message}`);
  }
}

function signerProblems(given: Record<string, string | undefined>, needsSigner: boolean): string[] {
  const [first, ...others] = ["PRIVATE_KEY", "KEYSTORE", "ACCOUNT"].filter((key) => given[key]);
  const problems = others.map((key) => `${key}: must not be set together with ${first}`);
  if (!first && needsSigner) problems.push("PRIVATE_KEY: is missing (or KEYSTORE, ACCOUNT, or --dry-run)");
  if (given.KEYSTORE && !given.KEYSTORE_PASSWORD && !given.KEYSTORE_PASSWORD_FILE) {
    problems.push("KEYSTORE_PASSWORD: is missing (or KEYSTORE_PASSWORD_FILE)");
  }
  return problems;
}

function signerOf(data: z.infer<typeof KEYS>): SignerSource {
  if (data.PRIVATE_KEY) return { kind: "key", key: data.PRIVATE_KEY };
  if (data.ACCOUNT) return { kind: "account", address: data.ACCOUNT, url: data.SIGNER_URL };
  if (!data.KEYSTORE) return { kind: "none" };
  const { KEYSTORE: file, KEYSTORE_PASSWORD: password, KEYSTORE_PASSWORD_FILE: passwordFile } = data;
  return { kind: "keystore", file, password, passwordFile };
}

/** Keys and passwords; of addresses what follows the host, where providers put their keys, and what comes before it. */
function secretsOf(data: z.infer<typeof KEYS>): string[] {
  const urls = [
    ...data.RPC_URL,
    data.WS_URL,
    data.PRIVATE_RPC_URL,
    data.SIGNER_URL,
    data.DATABASE_URL,
    data.WEBHOOK_URL,
  ];
  const parts = urls.flatMap((item) => {
    if (!item) return [];
    const { username, password, pathname, search } = new URL(item);
    return [username, password, decodeURIComponent(password), pathname.slice(1), search.slice(1)];
  });
  return [data.PRIVATE_KEY, data.PRIVATE_KEY?.slice(2), data.KEYSTORE_PASSWORD, ...parts].filter(
    // Shorter ones would eat words.
    (secret) => secret !== undefined && secret.length >= 8,
  ) as string[];
}
