import {
  type PgColumnsBuilders,
  bigint,
  hex,
  index,
  integer,
  onchainTable,
  onchainView,
  primaryKey,
  sql,
} from "ponder";

// Amounts are as the contracts have them: token units, or book debt, debt units and collateral units where a comment says
// so (docs/glossary.md). Prices and ratios are Q128, shares of a whole WAD. A market is named by its vault's address.

/** Where an event was, and in which order. */
const placed = (t: PgColumnsBuilders) => ({
  block: t.integer().notNull(),
  logIndex: t.integer().notNull(),
  timestamp: t.integer().notNull(),
  transaction: t.hex().notNull(),
});

// ---------------------------------------------------------------- what is now

/** `record` is all that the replay knows of a market (sdk/src/core/replay.ts), as text; the other columns repeat of it. */
export const market = onchainTable("market", (t) => ({
  vault: t.hex().primaryKey(),
  id: t.text().notNull(),
  collateral: t.hex().notNull(),
  debt: t.hex().notNull(),
  collateralDecimals: t.integer().notNull(),
  debtDecimals: t.integer().notNull(),
  spacing: t.integer().notNull(),
  pair: t.hex(),
  record: t.text().notNull(),
  /** Of its last event. */
  block: t.integer().notNull(),
  blockHash: t.hex().notNull(),
  timestamp: t.integer().notNull(),
  borrowIndex: t.bigint().notNull(),
  cash: t.bigint().notNull(),
  bookDebt: t.bigint().notNull(),
  reserves: t.bigint().notNull(),
  lenderShares: t.bigint().notNull(),
  insurance: t.bigint().notNull(),
  potDebt: t.bigint().notNull(), //       debt units
  potCollateral: t.bigint().notNull(), // collateral units
  oracle: t.hex().notNull(),
  isWindingDown: t.boolean().notNull(),
}));

/** Nodes of the book; the last four columns are a live one's. A link's shares × from / to are shares of its parent. */
export const node = onchainTable(
  "node",
  (t) => ({
    market: t.hex().notNull(),
    id: t.bigint().notNull(),
    kind: t.text().notNull(), // live, linked, closed
    parent: t.bigint(),
    from: t.bigint(),
    to: t.bigint(),
    rank: t.integer(),
    tick: t.integer(),
    count: t.integer(),
    index: t.bigint(),
    debt: t.bigint(), // book debt
    ratio: t.bigint(),
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.market, table.id] }),
    tick: index().on(table.market, table.tick),
  }),
);

/** The node that a tick last had, where that is not its first one. */
export const tick = onchainTable(
  "tick",
  (t) => ({ market: t.hex().notNull(), tick: t.integer().notNull(), node: t.bigint().notNull() }),
  (table) => ({ pk: primaryKey({ columns: [table.market, table.tick] }) }),
);

/** As the market stores it; `position_now` says what it is. A liquidation changes no row here. */
export const position = onchainTable(
  "position",
  (t) => ({
    market: t.hex().notNull(),
    owner: t.hex().notNull(),
    sub: t.bigint().notNull(),
    node: t.bigint().notNull(),
    shares: t.bigint().notNull(),
    surplus: t.bigint().notNull(), // collateral units
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.market, table.owner, table.sub] }),
    owner: index().on(table.owner),
    node: index().on(table.market, table.node),
  }),
);

/** Every position, resolved through the links of the book to the unit. */
export const positionNow = onchainView("position_now", {
  market: hex().notNull(),
  owner: hex().notNull(),
  sub: bigint().notNull(),
  /** That it belongs to; 0: none, or its tick was seized. */
  node: bigint().notNull(),
  tick: integer(),
  debt: bigint().notNull(), //       book debt
  collateral: bigint().notNull(), // units behind the debt
  surplus: bigint().notNull(), //    collateral units
}).as(sql`
  WITH RECURSIVE step AS (
    SELECT p.market, p.owner, p.sub, p.node, p.shares::numeric AS shares, p.surplus FROM ${position} p
    UNION ALL
    SELECT s.market, s.owner, s.sub, n.parent, div(s.shares * n."from", n."to"), s.surplus
    FROM step s JOIN ${node} n ON n.market = s.market AND n.id = s.node AND n.kind = 'linked'
  ), owed AS (
    SELECT s.market, s.owner, s.sub, CASE WHEN n.kind = 'live' THEN n.id ELSE 0 END AS node, n.tick, n.ratio, s.surplus,
      CASE WHEN n.kind IS NULL OR n.kind <> 'live' THEN 0 WHEN n.count = 1 THEN n.debt
        ELSE div(s.shares * n."index", 604462909807314587353088) END AS debt
    FROM step s LEFT JOIN ${node} n ON n.market = s.market AND n.id = s.node
    WHERE n.kind IS NULL OR n.kind <> 'linked'
  )
  SELECT market, owner, sub, node, tick, debt,
    CASE WHEN debt = 0 THEN 0 ELSE div(debt * 340282366920938463463374607431768211456, ratio) END AS collateral, surplus
  FROM owed`);

/** The populated ticks. */
export const tickNow = onchainView("tick_now", {
  market: hex().notNull(),
  tick: integer().notNull(),
  node: bigint().notNull(),
  positions: integer().notNull(),
  debt: bigint().notNull(), //       book debt
  collateral: bigint().notNull(), // units behind the debt
  ratio: bigint().notNull(),
}).as(sql`
  SELECT market, tick, id AS node, count AS positions, debt,
    div(debt * 340282366920938463463374607431768211456, ratio) AS collateral, ratio
  FROM ${node} WHERE kind = 'live' AND count > 0`);

export const lender = onchainTable(
  "lender",
  (t) => ({ market: t.hex().notNull(), account: t.hex().notNull(), shares: t.bigint().notNull() }),
  (table) => ({ pk: primaryKey({ columns: [table.market, table.account] }) }),
);

// ---------------------------------------------------------------- what was

/** What the replay was given, as the chain has it: whoever replays for himself asks no node for it (`/logs`). */
export const log = onchainTable(
  "log",
  (t) => ({
    ...placed(t),
    blockHash: t.hex().notNull(),
    address: t.hex().notNull(),
    topics: t.json().$type<string[]>().notNull(),
    data: t.hex().notNull(),
  }),
  (table) => ({ pk: primaryKey({ columns: [table.block, table.logIndex] }) }),
);

/** What an owner, or whoever acted for him, did; and, after a wind-down, what settled it. */
export const positionChange = onchainTable(
  "position_change",
  (t) => ({
    ...placed(t),
    market: t.hex().notNull(),
    name: t.text().notNull(), // of the event
    owner: t.hex().notNull(),
    sub: t.bigint().notNull(),
    caller: t.hex(),
    collateralDelta: t.bigint().notNull(), // token units; above 0: in
    debtDelta: t.bigint().notNull(), //       token units; above 0: borrowed
    tickBefore: t.integer(),
    tickAfter: t.integer(),
    debtBefore: t.bigint().notNull(), // book debt
    debtAfter: t.bigint().notNull(),
    surplus: t.bigint().notNull(), //    collateral units, afterwards
    borrowIndex: t.bigint().notNull(),
  }),
  (table) => ({
    // A transfer changes two.
    pk: primaryKey({ columns: [table.block, table.logIndex, table.owner, table.sub] }),
    owner: index().on(table.owner),
    position: index().on(table.market, table.owner, table.sub),
  }),
);

export const liquidation = onchainTable(
  "liquidation",
  (t) => ({
    ...placed(t),
    market: t.hex().notNull(),
    caller: t.hex().notNull(),
    receiver: t.hex().notNull(),
    priceLow: t.bigint().notNull(),
    priceHigh: t.bigint().notNull(),
    roundA: t.bigint().notNull(),
    roundB: t.bigint().notNull(),
    oracleState: t.integer().notNull(), // Dead, Single, Diverged, Fresh
    brakeLevel: t.integer().notNull(), //  None, NoNewRisk, Grace, LiquidationsPaused
    borrowIndex: t.bigint().notNull(),
    liquidationThreshold: t.bigint().notNull(), // then, basis points
    fromTick: t.integer().notNull(),
    lowestTick: t.integer().notNull(),
    landTick: t.integer().notNull(),
    ticks: t.integer().notNull(),
    positions: t.integer().notNull(),
    repaid: t.bigint().notNull(), // pot included, as the following
    seized: t.bigint().notNull(),
    soldDebt: t.bigint().notNull(), //       book debt of its ticks
    soldCollateral: t.bigint().notNull(), // collateral units
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.block, table.logIndex] }),
    market: index().on(table.market),
  }),
);

/** One tick of a liquidation. All positions of its node went the same way: their debt became × num / den. */
export const tickMove = onchainTable(
  "tick_move",
  (t) => ({
    ...placed(t),
    market: t.hex().notNull(),
    tick: t.integer().notNull(),
    /** Null: seized whole into the pot. */
    land: t.integer(),
    node: t.bigint().notNull(),
    nodeAfter: t.bigint().notNull(),
    positions: t.integer().notNull(),
    debtBefore: t.bigint().notNull(), // book debt
    debtAfter: t.bigint().notNull(),
    collateral: t.bigint().notNull(), // collateral units, sold or seized
    salePrice: t.bigint().notNull(), //  book debt per collateral unit, Q128
    num: t.bigint().notNull(),
    den: t.bigint().notNull(),
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.block, table.logIndex, table.tick] }),
    node: index().on(table.market, table.node),
  }),
);

/** What a liquidation seized into the pot and sold from it, and who bore the loss of that. */
export const potChange = onchainTable(
  "pot_change",
  (t) => ({
    ...placed(t),
    market: t.hex().notNull(),
    debtSeized: t.bigint().notNull(), //       debt units
    collateralSeized: t.bigint().notNull(), // collateral units
    debtSold: t.bigint().notNull(),
    collateralSold: t.bigint().notNull(),
    insurancePaid: t.bigint().notNull(), //    token units, as the following
    reservesPaid: t.bigint().notNull(),
    lendersLoss: t.bigint().notNull(),
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.block, table.logIndex] }),
    market: index().on(table.market),
  }),
);

export const lenderChange = onchainTable(
  "lender_change",
  (t) => ({
    ...placed(t),
    market: t.hex().notNull(),
    name: t.text().notNull(), // Deposit, Withdraw, Transfer
    from: t.hex().notNull(),
    to: t.hex().notNull(),
    assets: t.bigint(), // a transfer has none
    shares: t.bigint().notNull(),
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.block, table.logIndex] }),
    from: index().on(table.from),
    to: index().on(table.to),
  }),
);

/** What the insurance fund got and paid, and what the reserves gave it. */
export const insuranceChange = onchainTable(
  "insurance_change",
  (t) => ({
    ...placed(t),
    market: t.hex().notNull(),
    name: t.text().notNull(), // Deposit, Cover, Withdraw
    account: t.hex(),
    amount: t.bigint().notNull(),
  }),
  (table) => ({ pk: primaryKey({ columns: [table.block, table.logIndex] }) }),
);

/** Prices with their rounds, and rates, every few blocks, as the Lens has them. */
export const sample = onchainTable(
  "sample",
  (t) => ({
    market: t.hex().notNull(),
    block: t.integer().notNull(),
    timestamp: t.integer().notNull(),
    priceLow: t.bigint().notNull(),
    priceHigh: t.bigint().notNull(),
    oracleState: t.integer().notNull(),
    roundA: t.bigint().notNull(),
    roundB: t.bigint().notNull(),
    maxLtvNow: t.integer().notNull(), // basis points
    borrowRate: t.bigint().notNull(), // per second, WAD, as the following
    lendRate: t.bigint().notNull(),
    surcharge: t.bigint().notNull(),
    utilization: t.bigint().notNull(),
    totalDebt: t.bigint().notNull(),
    totalAssets: t.bigint().notNull(),
    sharePrice: t.bigint().notNull(),
    brakeLevel: t.integer().notNull(),
  }),
  (table) => ({ pk: primaryKey({ columns: [table.market, table.block] }) }),
);

/** Events of which only what they say matters: `args` are theirs, integers as text. */
const said = (t: PgColumnsBuilders) => ({
  ...placed(t),
  contract: t.text().notNull(),
  address: t.hex().notNull(),
  name: t.text().notNull(),
  market: t.hex(),
  args: t.json().notNull(),
});

/** Of the brake, and what it set in the markets. */
export const pause = onchainTable("pause", said, (table) => ({
  pk: primaryKey({ columns: [table.block, table.logIndex] }),
  market: index().on(table.market),
}));

/** Parameters, roles, what was scheduled and done, upgrades, what the Safes executed. */
export const governance = onchainTable("governance", said, (table) => ({
  pk: primaryKey({ columns: [table.block, table.logIndex] }),
  name: index().on(table.name),
}));

/** Of accounts with guardians. */
export const recovery = onchainTable("recovery", said, (table) => ({
  pk: primaryKey({ columns: [table.block, table.logIndex] }),
}));

export const order = onchainTable(
  "protection_order",
  (t) => ({
    id: t.bigint().primaryKey(),
    owner: t.hex().notNull(),
    sub: t.bigint().notNull(),
    market: t.hex().notNull(),
    kind: t.integer().notNull(), // Deleverage, StopLoss, TakeProfit, TopUp, Repay
    level: t.bigint().notNull(),
    target: t.integer().notNull(),
    expiry: t.bigint().notNull(),
    /** Executions that are left. */
    times: t.integer().notNull(),
    status: t.text().notNull(), // open, done, cancelled
    block: t.integer().notNull(),
    transaction: t.hex().notNull(),
  }),
  (table) => ({ owner: index().on(table.owner), market: index().on(table.market) }),
);

export const orderExecution = onchainTable(
  "order_execution",
  (t) => ({
    ...placed(t),
    id: t.bigint().notNull(),
    owner: t.hex().notNull(),
    caller: t.hex().notNull(),
    tip: t.bigint().notNull(),
    tipToken: t.hex().notNull(),
    left: t.bigint().notNull(),
  }),
  (table) => ({ pk: primaryKey({ columns: [table.block, table.logIndex] }), order: index().on(table.id) }),
);
