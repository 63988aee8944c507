import { type Context, ponder } from "ponder:registry";
import * as tables from "ponder:schema";

import { VaultAbi } from "../../sdk/src/abi/Vault.ts";
import { LensAbi } from "../../sdk/src/abi/Lens.ts";
import {
  type Change,
  type Ledger,
  Replay,
  type ReplayEvent,
  ledgerOfWords,
  thresholdsOf,
} from "../../sdk/src/core.ts";
import { type SceneMarket, replayMarket, scene } from "../scene.ts";
import { tablesOf } from "./tables.ts";

// Every event of a market goes through the replay; besides, each leaves a row of what happened.

type Hex = `0x${string}`;
type Args = Record<string, unknown>;

/** What handlers need of Ponder's events, whose types differ by name. */
interface Seen {
  args: Args;
  block: { number: bigint; timestamp: bigint; hash: Hex };
  log: { address: Hex; logIndex: number; topics: readonly (Hex | null)[]; data: Hex };
  transaction: { hash: Hex };
}
type Handler = (context: Context, event: Seen, name: string) => Promise<void>;

const ADJUSTING = ["Adjust", "WithdrawSurplus", "TransferPosition", "Settle"] as const;
const LENDING = ["Deposit", "Withdraw", "Transfer"] as const;
const GOVERNING = [
  ...["SetRisk", "SetRamp", "SetCaps", "SetCascade", "SetReserveFactor", "SetOracle"],
  ...["StartWindDown", "CollectReserves"],
];

on("Vault", ADJUSTING, async (context, event, name) => {
  const { change, borrowIndex, market } = await replay(context, event, name);
  const { args } = event;
  const delta = (key: string, sign: 1n | -1n) => sign * ((args[key] as bigint | undefined) ?? 0n);
  const moved = {
    Adjust: [delta("collateralDelta", 1n), delta("debtDelta", 1n)],
    WithdrawSurplus: [delta("amount", -1n), 0n],
    TransferPosition: [0n, 0n],
    Settle: [delta("seized", -1n), delta("repaid", -1n)],
  }[name] as [bigint, bigint];
  for (const { owner, sub, before, after } of change.positions) {
    await context.db.insert(tables.positionChange).values({
      ...placed(event),
      ...{ market: market.vault, name, owner: lower(owner), sub, borrowIndex },
      caller: args.caller === undefined ? null : lower(args.caller as string),
      ...{ collateralDelta: moved[0], debtDelta: moved[1], surplus: after.surplus },
      ...{
        tickBefore: before.debt === 0n ? null : before.tick,
        tickAfter: after.debt === 0n ? null : after.tick,
      },
      ...{ debtBefore: before.debt, debtAfter: after.debt },
    });
  }
});

on("Vault", ["Liquidate"], async (context, event, name) => {
  const { change, market, threshold } = await replay(context, event, name);
  const { caller, receiver } = event.args as { caller: Hex; receiver: Hex };
  const r = event.args.report as Record<
    "priceLow" | "priceHigh" | "roundA" | "roundB" | "borrowIndex" | "repaid" | "seized",
    bigint
  > &
    Record<"oracleState" | "brakeLevel" | "fromTick" | "lowestTick" | "landTick" | "ticks", number>;
  const at = { ...placed(event), market: market.vault };
  await context.db.insert(tables.liquidation).values({
    ...at,
    ...{ caller: lower(caller), receiver: lower(receiver), liquidationThreshold: threshold },
    ...{ priceLow: r.priceLow, priceHigh: r.priceHigh, roundA: r.roundA, roundB: r.roundB },
    ...{ oracleState: r.oracleState, brakeLevel: r.brakeLevel, borrowIndex: r.borrowIndex },
    ...{ fromTick: r.fromTick, lowestTick: r.lowestTick, landTick: r.landTick, ticks: r.ticks },
    ...{ repaid: r.repaid, seized: r.seized },
    positions: change.moves.reduce((sum, { positions }) => sum + positions, 0),
    ...{ soldDebt: change.sold.debt, soldCollateral: change.sold.collateral },
  });
  for (const { land, node, nodeAfter, ...move } of change.moves) {
    const nodes = { node: BigInt(node), nodeAfter: BigInt(nodeAfter) };
    await context.db.insert(tables.tickMove).values({ ...at, ...move, ...nodes, land: land ?? null });
  }
});

on("Vault", ["ChangePot"], async (context, event, name) => {
  const { market } = await replay(context, event, name);
  const r = event.args.report as Record<
    | "potDebt"
    | "potCollateral"
    | "potDebtSold"
    | "potCollateralSold"
    | "insurancePaid"
    | "reservesPaid"
    | "lendersLoss",
    bigint
  >;
  await context.db.insert(tables.potChange).values({
    ...placed(event),
    market: market.vault,
    ...{ debtSeized: r.potDebt, collateralSeized: r.potCollateral },
    ...{ debtSold: r.potDebtSold, collateralSold: r.potCollateralSold },
    ...{ insurancePaid: r.insurancePaid, reservesPaid: r.reservesPaid, lendersLoss: r.lendersLoss },
  });
});

on("Vault", LENDING, async (context, event, name) => {
  const { market } = await replay(context, event, name);
  const { args } = event;
  const [from, to] = {
    Deposit: [args.sender, args.owner],
    Withdraw: [args.owner, args.receiver],
    Transfer: [args.from, args.to],
  }[name] as [string, string];
  // Minting and burning are told by the Deposit or Withdraw that follows.
  if (name === "Transfer" && (BigInt(from) === 0n || BigInt(to) === 0n)) return;
  await context.db.insert(tables.lenderChange).values({
    ...placed(event),
    ...{ market: market.vault, name, from: lower(from), to: lower(to) },
    assets: (args.assets as bigint | undefined) ?? null,
    shares: (args.shares ?? args.value) as bigint,
  });
});

on("Vault", GOVERNING, async (context, event, name) => {
  await replay(context, event, name);
  await context.db.insert(tables.governance).values(said("Vault", event, name, marketOf(event)?.vault));
});

on("Vault", ["SetBrake"], async (context, event, name) => {
  await replay(context, event, name);
  await context.db.insert(tables.pause).values(said("Vault", event, name, marketOf(event)?.vault));
});

on("InsuranceFund", ["Deposit", "Cover", "Withdraw"], async (context, event, name) => {
  const { args } = event;
  const market = scene.markets.find(({ vault }) => lower(vault) === lower(args.market as string));
  if (!market) return; // of a market that is not listed here
  await replay(context, event, name, market);
  const account = (args.from ?? args.receiver) as string | undefined;
  await context.db.insert(tables.insuranceChange).values({
    ...placed(event),
    ...{ market: market.vault, name, amount: args.amount as bigint },
    account: account === undefined ? null : lower(account),
  });
});

// ---------------------------------------------------------------- pauses, governance, recovery

on("EmergencyBrake", ["Pause", "Skip", "Resume", "SequencerGrace"], async (context, event, name) => {
  const market = event.args.market as string | undefined;
  await context.db
    .insert(tables.pause)
    .values(said("EmergencyBrake", event, name, market === undefined ? undefined : lower(market)));
});
governs("EmergencyBrake", ["List", "SetSequencerFeed"]);
governs("AccessManager", [
  ...["OperationScheduled", "OperationExecuted", "OperationCanceled", "RoleLabel", "RoleGranted"],
  ...["RoleRevoked", "RoleAdminChanged", "RoleGuardianChanged", "RoleGrantDelayChanged"],
  ...["TargetClosed", "TargetFunctionRoleUpdated", "TargetAdminDelayUpdated"],
]);
governs("Upgrader", ["List", "Upgrade", "Restore", "Ossify"]);
governs("MarketPair", ["Link"]);
governs("Safe", [
  ...["ExecutionSuccess", "ExecutionFailure", "AddedOwner", "RemovedOwner", "ChangedThreshold"],
  ...["EnabledModule", "DisabledModule", "ApproveHash"],
]);
on(
  "AccountRecovery",
  [
    ...["Create", "Approve", "Act", "Lock", "StartRecovery", "CancelRecovery", "Recover"],
    ...["ProposeGuard", "CancelGuard", "SetGuard"],
  ],
  async (context, event, name) => {
    await context.db.insert(tables.recovery).values(said("AccountRecovery", event, name));
  },
);

// ---------------------------------------------------------------- orders

on("ProtectionOrders", ["CreateOrder"], async (context, event) => {
  const { id, order } = event.args as { id: bigint; order: Args };
  await context.db.insert(tables.order).values({
    ...{
      id,
      owner: lower(order.owner as string),
      sub: order.sub as bigint,
      market: lower(order.market as string),
    },
    ...{ kind: order.kind as number, level: order.level as bigint, target: order.target as number },
    ...{ expiry: BigInt(order.expiry as number), times: order.times as number, status: "open" },
    ...{ block: Number(event.block.number), transaction: event.transaction.hash },
  });
});
on("ProtectionOrders", ["CancelOrder"], async (context, event) => {
  await context.db.update(tables.order, { id: event.args.id as bigint }).set({ status: "cancelled" });
});
on("ProtectionOrders", ["ExecuteOrder"], async (context, event) => {
  const { args } = event;
  const [id, times] = [args.id as bigint, args.times as number];
  await context.db.update(tables.order, { id }).set({ times, ...(times === 0 && { status: "done" }) });
  const { tip, tipToken } = args.quote as { tip: bigint; tipToken: string };
  await context.db.insert(tables.orderExecution).values({
    ...placed(event),
    ...{ id, owner: lower(args.owner as string), caller: lower(args.caller as string) },
    ...{ tip, tipToken: lower(tipToken), left: args.left as bigint },
  });
});

// ---------------------------------------------------------------- samples

ponder.on("Sample:block", async ({ event, context }) => {
  const vaults: Hex[] = [];
  for (const { vault } of scene.markets) {
    if (await context.db.find(tables.market, { vault })) vaults.push(vault);
  }
  if (vaults.length === 0) return;
  const views = await context.client.readContract({
    ...{ abi: LensAbi, address: scene.contracts.lens, functionName: "markets", args: [vaults] },
  });
  for (const view of views) {
    await context.db.insert(tables.sample).values({
      ...{
        market: lower(view.vault),
        block: Number(event.block.number),
        timestamp: Number(event.block.timestamp),
      },
      ...{ priceLow: view.price.low, priceHigh: view.price.high, oracleState: view.price.state },
      ...{ roundA: view.price.roundA, roundB: view.price.roundB, maxLtvNow: Number(view.maxLtvNow) },
      ...{ borrowRate: view.borrowRate, lendRate: view.lendRate, surcharge: view.surcharge },
      ...{ utilization: view.utilization, totalDebt: view.totalDebt, totalAssets: view.totalAssets },
      ...{ sharePrice: view.sharePrice, brakeLevel: view.brakeLevel },
    });
  }
});

// ---------------------------------------------------------------- inside

async function replay(
  context: Context,
  event: Seen,
  name: string,
  market = marketOf(event),
): Promise<{ change: Change; market: SceneMarket; borrowIndex: bigint; threshold: bigint }> {
  if (!market) throw new Error(`no market is at ${event.log.address}`);
  const rows = tablesOf(context.db, market, event.block.hash);
  const { address, topics, data } = event.log;
  await context.db.insert(tables.log).values({
    ...{ ...placed(event), blockHash: event.block.hash, address, data },
    topics: topics.filter((topic) => topic !== null),
  });
  const seen: ReplayEvent = {
    ...{ address: event.log.address, name, args: event.args },
    ...{ block: Number(event.block.number), logIndex: event.log.logIndex },
    timestamp: Number(event.block.timestamp),
  };
  const change = await new Replay(replayMarket(market), rows).apply(
    seen,
    await ledgerAt(context, market.vault, event.block.hash),
  );
  const record = (await rows.market.get("market"))!;
  return {
    ...{ change, market, borrowIndex: record.ledger.borrowIndex },
    threshold: thresholdsOf(record, event.block.timestamp).liquidationThreshold,
  };
}

/** Of the last block asked for: its events follow each other. */
let lastLedger: { vault: Hex; block: Hex; ledger: Ledger } | undefined;

async function ledgerAt(context: Context, vault: Hex, block: Hex): Promise<Ledger> {
  if (lastLedger?.vault !== vault || lastLedger.block !== block)
    lastLedger = { vault, block, ledger: await ledgerOf(context, vault) };
  return lastLedger.ledger;
}

/** The market's own words at the end of the event's block. */
async function ledgerOf({ client }: Context, vault: Hex): Promise<Ledger> {
  const [first, second] = (await Promise.all(
    [0n, 1n].map((slot) =>
      client.readContract({
        ...{ abi: VaultAbi, address: vault, functionName: "readSlot" },
        args: [`0x${slot.toString(16).padStart(64, "0")}`],
      }),
    ),
  ).then((words) => words.map(BigInt))) as [bigint, bigint];
  return ledgerOfWords(first, second);
}

function marketOf({ log }: Seen): SceneMarket | undefined {
  return scene.markets.find(({ vault }) => lower(vault) === lower(log.address));
}

function placed({ block, log, transaction }: Seen) {
  return {
    ...{ block: Number(block.number), logIndex: log.logIndex },
    ...{ timestamp: Number(block.timestamp), transaction: transaction.hash },
  };
}

function said(contract: string, event: Seen, name: string, market?: Hex) {
  const args: unknown = JSON.parse(
    JSON.stringify(event.args, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
  );
  return {
    ...placed(event),
    contract,
    address: lower(event.log.address),
    name,
    market: market ?? null,
    args,
  };
}

function governs(contract: string, names: readonly string[]): void {
  on(contract, names, async (context, event, name) => {
    await context.db.insert(tables.governance).values(said(contract, event, name));
  });
}

function on(contract: string, names: readonly string[], handler: Handler): void {
  for (const name of names) {
    // Ponder's types want every name spelled out.
    ponder.on(`${contract}:${name}` as "Vault:Adjust", ({ event, context }) =>
      handler(context, event as unknown as Seen, name),
    );
  }
}

function lower(address: string): Hex {
  return address.toLowerCase() as Hex;
}
