import type { Context } from "ponder:registry";
import {
  lender,
  market as marketTable,
  node as nodeTable,
  position as positionTable,
  tick as tickTable,
} from "ponder:schema";

import {
  type BookNode,
  type MarketRecord,
  type ReplayTables,
  ownerOfKey,
  ratioOf,
} from "../../sdk/src/core.ts";
import type { SceneMarket } from "../scene.ts";

type Hex = `0x${string}`;
type Db = Context["db"];

/** The replay's tables of one market as rows, so that Ponder takes them back with the blocks that it takes back. */
export function tablesOf(db: Db, market: SceneMarket, blockHash: Hex): ReplayTables {
  const { vault } = market;
  const nodeKey = (id: number) => ({ market: vault, id: BigInt(id) });
  const positionKey = (key: string) => {
    const { owner, sub } = ownerOfKey(key);
    return { market: vault, owner: owner as Hex, sub };
  };
  return {
    market: {
      async get() {
        const row = await db.find(marketTable, { vault });
        return row ? decodeRecord(row.record) : undefined;
      },
      async set(_, record) {
        const row = marketRow(record, blockHash);
        const { id, collateral, debt, decimals, spacing, pair } = market;
        await db
          .insert(marketTable)
          .values({
            ...{ vault, id, collateral, debt, spacing, pair },
            ...{ collateralDecimals: decimals.collateral, debtDecimals: decimals.debt },
            ...row,
          })
          .onConflictDoUpdate(row);
      },
      delete: () => db.delete(marketTable, { vault }),
    },
    nodes: {
      async get(id) {
        const row = await db.find(nodeTable, nodeKey(id));
        return row ? nodeOf(row) : undefined;
      },
      async set(id, value) {
        const row = nodeRow(value, market.spacing);
        await db
          .insert(nodeTable)
          .values({ ...nodeKey(id), ...row })
          .onConflictDoUpdate(row);
      },
      delete: (id) => db.delete(nodeTable, nodeKey(id)),
    },
    ticks: {
      async get(tick) {
        const row = await db.find(tickTable, { market: vault, tick });
        return row ? Number(row.node) : undefined;
      },
      async set(tick, id) {
        const row = { node: BigInt(id) };
        await db
          .insert(tickTable)
          .values({ market: vault, tick, ...row })
          .onConflictDoUpdate(row);
      },
      delete: (tick) => db.delete(tickTable, { market: vault, tick }),
    },
    positions: {
      async get(key) {
        const row = await db.find(positionTable, positionKey(key));
        return row ? { node: Number(row.node), shares: row.shares, surplus: row.surplus } : undefined;
      },
      async set(key, { node, shares, surplus }) {
        const row = { node: BigInt(node), shares, surplus };
        await db
          .insert(positionTable)
          .values({ ...positionKey(key), ...row })
          .onConflictDoUpdate(row);
      },
      delete: (key) => db.delete(positionTable, positionKey(key)),
    },
    balances: {
      async get(account) {
        return (await db.find(lender, { market: vault, account: account as Hex }))?.shares;
      },
      async set(account, shares) {
        await db
          .insert(lender)
          .values({ market: vault, account: account as Hex, shares })
          .onConflictDoUpdate({ shares });
      },
      delete: (account) => db.delete(lender, { market: vault, account: account as Hex }),
    },
  };
}

function marketRow(m: MarketRecord, blockHash: Hex) {
  const { block, timestamp, ledger, lenderShares, insurance, pot, isWindingDown } = m;
  return {
    record: encodeRecord(m),
    ...{ block, blockHash, timestamp, lenderShares, insurance, isWindingDown },
    ...{
      borrowIndex: ledger.borrowIndex,
      cash: ledger.cash,
      bookDebt: ledger.debt,
      reserves: ledger.reserves,
    },
    ...{ potDebt: pot.debt, potCollateral: pot.collateral, oracle: m.oracle as Hex },
  };
}

function encodeRecord(record: MarketRecord): string {
  return JSON.stringify(record, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}

export function decodeRecord(text: string): MarketRecord {
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === "string" && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as MarketRecord;
}

type NodeRow = typeof nodeTable.$inferSelect;

function nodeOf(row: NodeRow): BookNode {
  if (row.kind === "live")
    return {
      kind: "live",
      rank: row.rank!,
      tick: row.tick!,
      count: row.count!,
      index: row.index!,
      debt: row.debt!,
    };
  if (row.kind === "linked")
    return { kind: "linked", parent: Number(row.parent), from: row.from!, to: row.to! };
  return { kind: "closed" };
}

function nodeRow(node: BookNode, spacing: number) {
  const none = { parent: null, from: null, to: null, rank: null, tick: null, count: null };
  const row = { ...none, index: null, debt: null, ratio: null };
  if (node.kind === "live") return { ...row, ...node, ratio: ratioOf(node.tick, spacing) };
  if (node.kind === "linked") return { ...row, ...node, parent: BigInt(node.parent) };
  return { ...row, kind: node.kind };
}
