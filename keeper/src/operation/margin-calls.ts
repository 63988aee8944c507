import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";

import type { Contracts } from "@breakwater/sdk/chain";
import { formatAmount, formatPercent } from "@breakwater/sdk/core";
import { isAddress } from "ethers";
import type { Logger } from "pino";
import { parse } from "yaml";
import { z } from "zod";

import { InvalidConfig } from "../config.ts";
import type { OnEvent } from "../events.ts";
import { DEFAULT_DISTANCES, type Distances, type Level, distanceOf, levelOf } from "../margin.ts";

// Owners who subscribed are called within a block when the price comes near to liquidating their position.

export interface Subscription {
  market: string; // id
  owner: string;
  sub: bigint;
  webhook: string;
  distances: Distances;
}

const percent = z
  .string()
  .regex(/^\d{1,2}(\.\d{1,4})?$/, "must be a percentage such as 5")
  .transform((text) => {
    const [whole = "", part = ""] = text.split(".");
    return BigInt(whole + part.padEnd(4, "0")) * 10n ** 12n;
  });

const subscription = z.strictObject({
  market: z.string("is missing"),
  owner: z
    .string("is missing")
    .refine((owner) => owner.startsWith("0x") && isAddress(owner), "must be an address"),
  sub: z
    .string()
    .regex(/^\d{1,28}$/, "must be a whole number")
    .transform(BigInt)
    .prefault("0"),
  webhook: z.url({ protocol: /^https?$/, error: "must be an http(s) address" }),
  distances: z
    .tuple([percent, percent, percent])
    .refine(([first, second, third]) => first > second && second > third, "must fall")
    .default([...DEFAULT_DISTANCES]),
});

/** The subscriptions that a file's text holds; names what is wrong, never a value. */
export function readSubscriptions(yaml: string, markets: readonly string[]): Subscription[] {
  const known = subscription.refine(({ market }) => markets.includes(market), {
    path: ["market"],
    error: `must be one of ${markets.join(", ")}`,
  });
  const { data, error } = z.array(known).safeParse(parseList(yaml));
  if (data) return data;
  const where = (path: PropertyKey[]) =>
    path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  throw new InvalidConfig(
    error.issues.map(({ path, message }) => `MARGIN_CALLS${where(path)}: ${message}`).join("\n"),
  );
}

function parseList(yaml: string): unknown {
  try {
    const list: unknown = parse(yaml, { schema: "failsafe", prettyErrors: false });
    return list === null || list === "" ? [] : list;
  } catch (error) {
    throw new InvalidConfig(`MARGIN_CALLS: is no YAML: ${(error as Error).message}`);
  }
}

export interface MarginCall {
  text: string;
  market: string;
  owner: string;
  sub: string;
  block: number;
  level: Level;
  health: string;
  distance: string; // percent that the price may fall
  liquidationPrice: string;
}

export interface MarginCallOptions {
  subscriptions: readonly Subscription[];
  contracts: Contracts;
  /** What was told survives a restart in this file. */
  file: string;
  /** Throws if the call could not be delivered. */
  send: (webhook: string, call: MarginCall) => Promise<void>;
  onDelivery: (succeeded: boolean) => void;
  /** Only one of several keepers calls. */
  mayCall: () => boolean;
  log: Logger;
}

export interface MarginCalls {
  onEvent: OnEvent;
  /** Resolves when nothing is under way. */
  idle: () => Promise<void>;
}

export async function openMarginCalls(options: MarginCallOptions): Promise<MarginCalls> {
  const { subscriptions, contracts, file, send, onDelivery, mayCall, log } = options;
  const told = await readTold(file);
  const calling = new Map<string, Promise<void>>();
  let newest = -1;
  let looking: Promise<void> | undefined;
  let saving = Promise.resolve();

  const remember = (key: string, level: Level): void => {
    if (level === 0) told.delete(key);
    else told.set(key, level);
    saving = saving
      .then(() => save(file, told))
      // A call too many after a restart is better than none.
      .catch((error: unknown) => log.warn({ err: error }, "cannot note which margin calls were made"));
  };

  const call = async (key: string, webhook: string, message: MarginCall): Promise<void> => {
    const { text, ...about } = message;
    try {
      await send(webhook, message);
      remember(key, message.level);
      onDelivery(true);
      log.info(about, text);
    } catch (error) {
      // Not noted: the next block tries again.
      onDelivery(false);
      log.warn({ ...about, err: error }, "a margin call was not taken");
    } finally {
      calling.delete(key);
    }
  };

  const look = async (block: number): Promise<void> => {
    for (const [subscription, position] of await readPositions(contracts, subscriptions, block)) {
      const { market, owner, sub, distances, webhook } = subscription;
      const key = `${market} ${owner.toLowerCase()} ${sub} ${webhook}`;
      const before = told.get(key) ?? 0;
      if (position.debt === 0n) {
        if (before > 0) remember(key, 0);
        continue;
      }
      // On a Dead price health is not known, and nothing is liquidated.
      if (position.ltvHigh === 0n || calling.has(key)) continue;
      const distance = distanceOf(position.health);
      const level = levelOf(before, distance, distances);
      if (level < before) remember(key, level);
      if (level <= before) continue;
      const message = { market, owner, sub: String(sub), block, level, ...wordsOf(subscription, position) };
      // Not waited for: a slow webhook delays nobody else's call.
      calling.set(key, call(key, webhook, message));
    }
  };

  const lookAtNewest = async (): Promise<void> => {
    for (let last = -1; last < newest;) {
      last = newest;
      try {
        await look(last);
      } catch (error) {
        log.warn(
          { block: last, err: error },
          "cannot read positions for margin calls; trying the next block",
        );
      }
    }
  };

  return {
    onEvent(event) {
      if (event.kind !== "block" || !mayCall()) return;
      newest = event.block;
      looking ??= lookAtNewest().finally(() => (looking = undefined));
    },
    async idle() {
      await looking;
      await Promise.all(calling.values());
      await saving;
    },
  };
}

type PositionView = Awaited<ReturnType<Contracts["lens"]["position"]>>;

/** One call a market. */
async function readPositions(
  { lens, addresses }: Contracts,
  subscriptions: readonly Subscription[],
  block: number,
): Promise<[Subscription, PositionView][]> {
  const read = addresses.markets.map(async ({ id, vault }) => {
    const its = subscriptions.filter(({ market }) => market === id);
    if (its.length === 0) return [];
    const [owners, subs] = [its.map(({ owner }) => owner), its.map(({ sub }) => sub)];
    const positions = await lens.positions(vault, owners, subs, { blockTag: block });
    return its.map((each, at): [Subscription, PositionView] => [each, positions[at]!]);
  });
  return (await Promise.all(read)).flat();
}

function wordsOf({ market, sub }: Subscription, { health, liquidationPriceWad }: PositionView) {
  const distance = distanceOf(health);
  const liquidationPrice = formatAmount(liquidationPriceWad, 18, 6);
  const what =
    distance > 0n
      ? `is liquidated when the price falls by ${formatPercent(distance)}, to ${liquidationPrice}`
      : `can be liquidated now: the price is below ${liquidationPrice}`;
  return {
    text: `${market}: position ${sub} ${what}. Repay or add collateral.`,
    health: formatAmount(health, 18, 4),
    distance: formatAmount(distance * 100n, 18, 2),
    liquidationPrice,
  };
}

async function readTold(file: string): Promise<Map<string, Level>> {
  if (!existsSync(file)) return new Map();
  const text = await readFile(file, "utf8");
  const levels = z.record(z.string(), z.union([z.literal(1), z.literal(2), z.literal(3)]));
  try {
    return new Map(Object.entries(levels.parse(JSON.parse(text))));
  } catch {
    throw new InvalidConfig(`STATE_DIR: ${file} is damaged; without it calls that were made are made again`);
  }
}

/** Whole or not at all, however it ends. */
async function save(file: string, told: Map<string, Level>): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(told)));
  await rename(`${file}.new`, file);
}
