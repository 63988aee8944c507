import { parseArgs } from "node:util";

import { parseUnits } from "ethers";
import { z } from "zod";

import type { Parameters } from "./decide.ts";

// Flags and environment become one checked configuration, or the keeper does not start.

export interface Config {
  rpcUrl: string;
  addresses: string; // file
  signer: { kind: "key"; key: string } | { kind: "account"; address: string } | { kind: "none" };
  dryRun: boolean;
  once: boolean;
  pollMs: number;
  logLevel: "debug" | "info" | "warn" | "error";
  parameters: Parameters;
}

/** The offending keys, one a line. */
export class InvalidConfig extends Error {
  override name = "InvalidConfig";
}

export const HELP = `usage: keeper [--dry-run] [--once] [--help]

Liquidates with no capital, through a Uniswap v3 pool, whatever pays; logs what it did, or why not.

  --dry-run   decide and say so, send nothing
  --once      one block, then exit

environment
  RPC_URL              HTTP JSON-RPC of the chain
  ADDRESSES            file that the deployment wrote: deploy/addresses/<chainId>.json
  PRIVATE_KEY          of the account that pays for gas and receives the profit; or
  ACCOUNT              an address that the node has unlocked (a local chain)
  MIN_PROFIT_ETH       wanted after gas, in the chain's coin (0.001)
  MAX_SLIPPAGE_BPS     accepted between the quote and the sale (50)
  DEADLINE_SECONDS     of a liquidation, from its block (120)
  MAX_TICKS            of one liquidation (200)
  GAS_BASE             expected gas of a liquidation without its ticks (700000)
  GAS_PER_TICK         expected gas of each (15000)
  SEIZE                pay the gas of seizing insolvent ticks: yes or no (yes)
  POKE_MINUTES         least time between pokes of one market's clocks, at most 60; 0: none (10)
  POLL_MS              between looks for a new block (1000)
  LOG_LEVEL            debug, info, warn or error (info)
`;

const whole = (least: number, fallback: number) => z.coerce.number().int().min(least).default(fallback);

const schema = z
  .object({
    RPC_URL: z.url({ protocol: /^https?$/ }),
    ADDRESSES: z.string().min(1),
    PRIVATE_KEY: z
      .string()
      .regex(/^0x[0-9a-fA-F]{64}$/, "must be 32 bytes in hex, with 0x")
      .optional(),
    ACCOUNT: z
      .string()
      .regex(/^0x[0-9a-fA-F]{40}$/, "must be an address")
      .optional(),
    MIN_PROFIT_ETH: z
      .string()
      .regex(/^\d+(\.\d{1,18})?$/, "must be an amount such as 0.001")
      .default("0.001"),
    MAX_SLIPPAGE_BPS: whole(0, 50).refine((bps) => bps < 10_000, "must be below 10000"),
    DEADLINE_SECONDS: whole(1, 120),
    MAX_TICKS: whole(1, 200),
    GAS_BASE: whole(1, 700_000),
    GAS_PER_TICK: whole(0, 15_000),
    SEIZE: z.enum(["yes", "no"]).default("yes"),
    POKE_MINUTES: whole(0, 10).refine((minutes) => minutes <= 60, "must be at most 60"),
    POLL_MS: whole(50, 1_000),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  })
  .refine((env) => !(env.PRIVATE_KEY && env.ACCOUNT), {
    path: ["ACCOUNT"],
    message: "must not be set together with PRIVATE_KEY",
  });

export function readConfig(args: string[], env: NodeJS.ProcessEnv): Config | "help" {
  const flags = parseFlags(args);
  if (flags.help) return "help";
  // An empty variable is a missing one.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const result = schema.safeParse(set);
  const problems = result.success
    ? []
    : // Never the value: it may be a key.
      result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  if (!flags["dry-run"] && !set.PRIVATE_KEY && !set.ACCOUNT) {
    problems.push("PRIVATE_KEY: is missing (or ACCOUNT, or --dry-run)");
  }
  if (!result.success || problems.length > 0) throw new InvalidConfig(problems.join("\n"));
  const { data } = result;
  return {
    rpcUrl: data.RPC_URL,
    addresses: data.ADDRESSES,
    signer: data.PRIVATE_KEY
      ? { kind: "key", key: data.PRIVATE_KEY }
      : data.ACCOUNT
        ? { kind: "account", address: data.ACCOUNT }
        : { kind: "none" },
    dryRun: flags["dry-run"],
    once: flags.once,
    pollMs: data.POLL_MS,
    logLevel: data.LOG_LEVEL,
    parameters: {
      minProfit: parseUnits(data.MIN_PROFIT_ETH, 18),
      maxSlippage: BigInt(data.MAX_SLIPPAGE_BPS),
      deadline: BigInt(data.DEADLINE_SECONDS),
      maxTicks: data.MAX_TICKS,
      gasBase: BigInt(data.GAS_BASE),
      gasPerTick: BigInt(data.GAS_PER_TICK),
      seizeGas: data.SEIZE === "yes",
      pokePeriod: BigInt(data.POKE_MINUTES) * 60n,
    },
  };
}

function parseFlags(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        "dry-run": { type: "boolean", default: false },
        once: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new InvalidConfig(error instanceof Error ? error.message : String(error));
  }
}
