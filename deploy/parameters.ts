// The parameters of a network: readable JSON in deploy/parameters, checked here before anything is deployed.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { getAddress, isAddress } from "ethers";
import { z } from "zod";

const address = z.string().refine(isAddress, "not an address").transform(getAddress);
const amount = z.string().regex(/^\d+(\.\d+)?(e\d+)?$/, 'an amount reads like "2000", "0.005" or "20e6"');
const bps = z.int().min(0).max(10_000);

/** A Hardhat account by its index, or an address. */
const owner = z.union([z.strictObject({ account: z.int().min(0) }), address]);
const safe = z
  .strictObject({ threshold: z.int().min(1), owners: z.array(owner) })
  .refine(({ threshold, owners }) => owners.length >= threshold, "names fewer owners than its threshold");

const token = z.union([
  z.strictObject({ address, decimals: z.int() }),
  z.strictObject({
    name: z.string(),
    decimals: z.int(),
    contract: z.enum(["TestToken", "TestWeth", "PermitToken"]).default("TestToken"),
  }),
]);

/** Answers older than maxAgeSeconds or outside min and max are not believed. */
const feedLimits = { decimals: z.int(), maxAgeSeconds: z.int(), min: amount, max: amount };
const feed = z.union([
  z.strictObject({ address, ...feedLimits }),
  z.strictObject({ price: amount, ...feedLimits }),
]);

const side = z.strictObject({ token: z.string(), feed: z.string() });
const pool = z.strictObject({
  base: side,
  quote: side,
  feeMillionths: z.int(),
  observations: z.int().min(64),
  /** Empty where the pool exists already. */
  liquidity: z.array(
    z.strictObject({
      rangePercent: z.union([z.literal("full"), z.number().gt(0).lt(100)]),
      valueUsd: amount,
    }),
  ),
});

const market = z.strictObject({
  id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  name: z.string().max(31),
  symbol: z.string().max(31),
  collateral: z.string(),
  debt: z.string(),
  collateralUnitDecimals: z.int(),
  spacing: z.int(),
  oracle: z.union([
    z.strictObject({ inverseOf: z.string() }),
    z.strictObject({
      collateral: z.string(),
      debt: z.string(),
      pool: z.string(),
      windowSeconds: z.int(),
      blockSeconds: z.int(),
      bandBps: bps,
      jumpLimitBps: bps,
      jumpWideningBpsPerHour: bps,
      jumpLimitMaxBps: bps,
      calmVolatilityBpsPerDay: bps,
      stressVolatilityBpsPerDay: bps,
      maxLtvCutBps: bps,
      volatilityPeriodSeconds: z.int().min(1),
      vetoBudgetSeconds: z.int().min(1),
      vetoRefillSeconds: z.int().min(1),
    }),
  ]),
  risk: z.strictObject({
    maxLtvBps: bps,
    liquidationThresholdBps: bps,
    targetBps: bps,
    bonusMinBps: bps,
    bonusMaxBps: bps,
    slopeBps: z.int().min(0),
  }),
  /** Whole tokens. */
  caps: z.strictObject({ debt: amount, collateral: amount, minDebt: amount }),
  reserveFactorPercent: z.int().min(0).max(50),
});

/** Two markets that mirror each other, and their funding (MarketPair). */
const pair = z.strictObject({
  id: market.shape.id,
  long: z.string(),
  short: z.string(),
  maxRatePercentPerYear: z.number().min(0).max(100),
  deadBandPercent: z.number().min(0).max(50),
  halfLifeSeconds: z.int().min(3_600).max(2_592_000),
  insuranceSharePercent: z.int().min(0).max(100),
  sparedSharePercent: z.int().min(0).max(100),
  /** Whole tokens that the long market lends: a smaller book counts as this large. */
  floor: amount,
});

const parametersSchema = z.strictObject({
  note: z.string(),
  chainId: z.int(),
  tokens: z.record(z.string(), token),
  feeds: z.record(z.string(), feed),
  /** Absent: deployed from Uniswap's own artifacts. */
  uniswap: z
    .strictObject({ UniswapV3Factory: address, NonfungiblePositionManager: address, QuoterV2: address })
    .optional(),
  pools: z.record(z.string(), pool),
  /** Absent: deployed from Safe's own artifacts. */
  safe: z
    .strictObject({
      Safe: address,
      SafeProxyFactory: address,
      CompatibilityFallbackHandler: address,
      MultiSend: address,
      MultiSendCallOnly: address,
      SignMessageLib: address,
      CreateCall: address,
      SimulateTxAccessor: address,
    })
    .optional(),
  safes: z.strictObject({ pauser: safe, governor: safe }),
  /** The bot's key that may pause for minutes; null: none yet. */
  sentinel: owner.nullable(),
  markets: z.array(market),
  pairs: z.array(pair),
});

export type Parameters = z.infer<typeof parametersSchema>;
export type MarketParameters = Parameters["markets"][number];
export type PairParameters = Parameters["pairs"][number];
export type PoolParameters = Parameters["pools"][string];

/** Reads deploy/parameters/NAME.json, or the file that is named by its path. */
export function readParameters(name: string): Parameters {
  const isFile = name.endsWith(".json");
  const file = isFile ? name : fileURLToPath(new URL(`parameters/${name}.json`, import.meta.url));
  const result = parametersSchema.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (result.success) return result.data;
  throw new Error(`${isFile ? name : `deploy/parameters/${name}.json`}:\n${z.prettifyError(result.error)}`);
}

/** "20e6" with 6 decimals → 20000000000000n; refuses what has more digits than that. */
export function parseAmount(text: string, decimals: number): bigint {
  const match = /^(\d+)(?:\.(\d+))?(?:e(\d+))?$/.exec(text);
  if (!match) throw new Error(`not an amount: ${text}`);
  const [, whole = "", fraction = "", exponent = "0"] = match;
  const shift = decimals + Number(exponent) - fraction.length;
  if (shift < 0) throw new Error(`${text} has more than ${decimals} decimals`);
  return BigInt(whole + fraction) * 10n ** BigInt(shift);
}

/** The entry `key` of `record`, or an error that says which name is missing. */
export function entry<T>(record: Record<string, T>, key: string): T {
  const value = record[key];
  if (value === undefined)
    throw new Error(`the parameters know no ${key}: ${Object.keys(record).join(", ")}`);
  return value;
}
