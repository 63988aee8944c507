// What a line of the register is: checked before it is written, and published as register.schema.json.
import { z } from "zod";

/** Rises with every change that a reader could notice. */
export const SCHEMA = "breakwater-register/1";

const integer = z.string().regex(/^-?\d+$/);
const decimal = z.string().regex(/^-?\d+(\.\d+)?$/);
const hash = z.string().regex(/^0x[0-9a-f]{64}$/);
const chain = z.string().regex(/^eip155:\d+$/);
const account = z.string().regex(/^eip155:\d+:0x[0-9a-fA-F]{40}$/);
const asset = z.string().regex(/^eip155:\d+\/erc20:0x[0-9a-fA-F]{40}$/);
const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

const amount = z.strictObject({
  asset: asset.describe("CAIP-19"),
  raw: integer.describe(
    "decimal × 10^n: n is the token's decimals, or the book's (18) where the amount is the book's",
  ),
  decimal: decimal.describe("in whole tokens, exactly"),
});

/** Token amounts have the token's decimals; those of the book (debt, pot, collateral behind a debt) the book's, 18 for debt. */
const AMOUNTS = {
  collateral: "into the position from outside, or out of it",
  debt: "borrowed, or repaid (negative): tokens that moved",
  principal: "change of what was borrowed and not yet repaid",
  interest: "part of what was repaid or cleared that was interest; repayments pay interest first",
  accrued: "interest that the position owes more since its line before, or since the period began",
  debtCleared: "debt that borrowers no longer owe",
  collateralLost: "collateral that borrowers no longer have, from behind that debt",
  repaid: "paid by the liquidator, pot included",
  seized: "got by the liquidator, pot included",
  bonus: "the liquidator's: value of what was seized, at the higher price, less what was repaid",
  penalty:
    "the borrowers': value of what they lost, at the higher price, less the debt that was cleared; negative: they owed more",
  seizedDebt: "debt of insolvent ticks, seized whole into the pot",
  seizedCollateral: "collateral of insolvent ticks, seized whole into the pot",
  potPaid: "paid for what was sold out of the pot",
  potDebtSold: "debt that left the pot by its sale",
  potCollateralSold: "collateral that left the pot by its sale",
  badDebt: "what the pot's sale did not bring: the following three together",
  insurance: "of it, drawn from the insurance fund",
  reserves: "of it, from the market's reserves",
  lendersLoss: "of it, socialised to the market's lenders",
  assets: "lent, or taken back (negative)",
  shares: "of the lenders' shares",
  sharePrice: "assets for one whole share in this transaction",
  amount: "that moved",
  toReserves: "of the interest, the market's reserves'",
  toLenders: "of the interest, the lenders'",
  sold: "into the swap",
  bought: "out of the swap",
  profit: "left for the receiver after swap and repayment",
  tip: "to whoever executed the order",
  left: "of the order's sale, to the owner",
} as const;
export type AmountName = keyof typeof AMOUNTS;

/** Balances of a market whose changes the register adds up; the deployment's insurance fund as far as it is the market's. */
export const BALANCES = {
  cash: "the debt token that the market accounts for",
  debt: "owed by the borrowers with the interest charged so far, 18 decimals",
  reserves: "of the assets, not the lenders'",
  insurance: "in the fund, for this market",
  potDebt: "seized and not yet sold, 18 decimals",
  potCollateral: "seized and not yet sold, in the book's decimals",
  shares: "of the lenders, all together",
  debtTokens: "the debt token that the vault holds",
  collateralTokens: "the collateral token that the vault holds",
} as const;
export type Balance = keyof typeof BALANCES;

const POSITION = {
  debt: "owed, 18 decimals",
  collateral: "behind the debt at its tick's ratio, in the book's decimals",
  surplus: "beside it: never margin, never seized, in the book's decimals",
} as const;

const optionalAmounts = <Name extends string>(names: Record<Name, string>) =>
  z.strictObject(
    Object.fromEntries(
      Object.entries<string>(names).map(([name, words]) => [name, amount.describe(words).optional()]),
    ) as Record<Name, z.ZodOptional<typeof amount>>,
  );
const allAmounts = <Name extends string>(names: Record<Name, string>) =>
  z.strictObject(
    Object.fromEntries(
      Object.entries<string>(names).map(([name, words]) => [name, amount.describe(words)]),
    ) as Record<Name, typeof amount>,
  );

const ratio = {
  ltv: decimal.optional().describe("at the higher price, rounded up; none without a price"),
  collateralRatio: decimal.optional().describe("1 / LTV"),
};

const positionState = z.strictObject({
  ...allAmounts(POSITION).shape,
  tick: z.int().optional().describe("none without debt"),
  ...ratio,
});

const price = z.strictObject({
  source: account.describe("the oracle adapter, CAIP-10"),
  time: time.describe("of the block in which it answered so"),
  low: decimal,
  high: decimal,
  lowRaw: integer.describe("whole debt tokens per whole collateral token, times 2^128"),
  highRaw: integer,
  state: z.enum(["Dead", "Single", "Diverged", "Fresh"]),
  roundA: integer.describe("of the primary source"),
  roundB: integer.describe("of the second source; of an average: its time"),
  from: z.enum(["event", "call"]).describe("told by the event, or asked of the adapter at this block"),
});

const step = z.strictObject({
  tick: z.int(),
  landTick: z.int().nullable().describe("where it landed; null: seized whole into the pot"),
  debtBefore: integer.describe("book debt, as the following"),
  debtAfter: integer,
  seized: integer.describe("collateral in the book's unit"),
  factor: z
    .strictObject({ numerator: integer, denominator: integer })
    .nullable()
    .describe("by which the debt of each position of the tick is multiplied; null: seized whole"),
  ltvBefore: decimal,
  ltvAfter: decimal.nullable(),
});

const evidence = z.strictObject({
  brakeLevel: z.enum(["None", "NoNewRisk", "Grace", "LiquidationsPaused"]),
  fromTick: z.int(),
  lowestTick: z.int(),
  landTick: z.int(),
  partial: z
    .strictObject({ tick: z.int(), landTick: z.int() })
    .nullable()
    .describe("the tick that the liquidator's budget cut short, if any"),
  ticks: z.int(),
  positions: z.int().describe("that were touched; each has a line of its own"),
  steps: z.array(step).describe("tick by tick, in the order of the sweep"),
});

export const KINDS = [
  "adjust",
  "surplus",
  "transfer-out",
  "transfer-in",
  "liquidation",
  "liquidated",
  "settlement",
  "settled",
  "lend",
  "redeem",
  "shares-out",
  "shares-in",
  "interest",
  "accrual",
  "reserves-collected",
  "insurance-in",
  "insurance-cover",
  "insurance-out",
  "swap",
  "order",
  "flash-liquidation",
  "unaccounted",
] as const;

export const lineSchema = z.strictObject({
  id: z.string().describe("block, place in the block, and a part where one event has several lines"),
  kind: z.enum(KINDS),
  chain: chain.describe("CAIP-2"),
  block: z.int(),
  blockHash: hash,
  time: time.describe("of the block, UTC"),
  transaction: hash.nullable().describe("null: of the whole block"),
  logIndex: z.int().nullable().describe("null: no event says it"),
  event: z.string().nullable(),
  contract: account.nullable().describe("that emitted the event, CAIP-10"),
  market: z.string().optional(),
  vault: account.optional(),
  account: account.optional().describe("whose line it is, CAIP-10"),
  sub: integer.optional().describe("sub-account of the position"),
  counterparty: account.optional().describe("the caller, receiver, or other side"),
  order: integer.optional(),
  borrowIndex: integer.optional().describe("times 2^72"),
  price: price.optional(),
  ...ratioPair(),
  amounts: optionalAmounts(AMOUNTS),
  changes: optionalAmounts(BALANCES).describe(
    "of the market's balances; they sum to the change of its state",
  ),
  positionChanges: optionalAmounts(POSITION).describe(
    "of the position, with the interest since its line before",
  ),
  before: positionState.optional(),
  after: positionState.optional(),
  evidence: evidence.optional(),
  note: z.string().optional(),
});

function ratioPair() {
  const words = "of all that was swept, at the higher price";
  return {
    ltvBefore: decimal.optional().describe(words),
    ltvAfter: decimal.optional().describe(words),
    collateralRatioBefore: decimal.optional().describe(words),
    collateralRatioAfter: decimal.optional().describe(words),
  };
}

export type Line = z.infer<typeof lineSchema>;
export type Amount = z.infer<typeof amount>;
export type Evidence = z.infer<typeof evidence>;
export type PositionState = z.infer<typeof positionState>;
export type PriceLine = z.infer<typeof price>;

/** The schema for whoever reads a register without this code. */
export function jsonSchema(): object {
  return {
    $id: `urn:${SCHEMA.replace("/", ":")}`,
    title: SCHEMA,
    description:
      "One line of register.jsonl. Every change is an exact integer beside its decimal. A record of what a chain says; " +
      "it claims compliance with no regime.",
    ...z.toJSONSchema(lineSchema),
  };
}

// ---------------------------------------------------------------- CSV

interface Node {
  properties?: Record<string, Node>;
  anyOf?: Node[];
}

/** Of the twin: every leaf of the schema by its path; a list is one cell of JSON. */
export const COLUMNS: readonly string[] = leaves(z.toJSONSchema(lineSchema) as Node, "");

function leaves({ properties }: Node, path: string): string[] {
  if (!properties) return [path];
  return Object.entries(properties).flatMap(([key, node]) =>
    leaves(node, path === "" ? key : `${path}.${key}`),
  );
}

export function csvRow(cells: readonly unknown[]): string {
  return cells
    .map((cell) => {
      if (cell === undefined || cell === null) return "";
      const text = typeof cell === "string" ? cell : JSON.stringify(cell);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(",");
}

export function csvOf(line: Line): string {
  return csvRow(
    COLUMNS.map((path) =>
      path
        .split(".")
        .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], line),
    ),
  );
}

/** Of an account's file, for people and tax tools. `wallet`: signed as the account's wallet, or what acts for it, sees it. */
export const ACCOUNT_COLUMNS = [
  ...["time", "block", "transaction", "id", "kind", "market", "sub", "counterparty"],
  ...["wallet_1", "wallet_1_asset", "wallet_2", "wallet_2_asset"],
  ...["collateral_asset", "collateral_change", "surplus_change", "debt_asset", "debt_change"],
  ...["principal", "interest", "accrued", "bonus", "penalty", "debt_cleared", "collateral_lost"],
  ...["tip", "price_low", "price_high"],
] as const;

/** Amounts of a line that move the account's wallet, and which way; at most two a line. */
const WALLET: Partial<Record<Line["kind"], [AmountName, 1 | -1][]>> = {
  adjust: [
    ["collateral", -1],
    ["debt", 1],
  ],
  surplus: [["collateral", -1]],
  liquidation: [
    ["seized", 1],
    ["repaid", -1],
  ],
  settlement: [
    ["seized", 1],
    ["repaid", -1],
  ],
  lend: [
    ["assets", -1],
    ["shares", 1],
  ],
  redeem: [
    ["assets", -1],
    ["shares", 1],
  ],
  "shares-out": [["shares", 1]],
  "shares-in": [["shares", 1]],
  swap: [
    ["bought", 1],
    ["sold", -1],
  ],
  "flash-liquidation": [["profit", 1]],
  order: [["left", 1]],
  "insurance-in": [["amount", -1]],
  "insurance-out": [["amount", 1]],
};

export function accountRow(line: Line): string {
  const { amounts: a, positionChanges: p } = line;
  const moved = (WALLET[line.kind] ?? []).flatMap(([name, sign]) => {
    const { asset, decimal: text, raw } = a[name] ?? { asset: "", decimal: "", raw: "0" };
    if (raw === "0") return [];
    return [[sign === 1 ? text : text.startsWith("-") ? text.slice(1) : `-${text}`, asset]];
  });
  return csvRow([
    ...[
      line.time,
      line.block,
      line.transaction,
      line.id,
      line.kind,
      line.market,
      line.sub,
      line.counterparty,
    ],
    ...[moved[0]?.[0], moved[0]?.[1], moved[1]?.[0], moved[1]?.[1]],
    ...[(p.collateral ?? a.collateral)?.asset, p.collateral?.decimal, p.surplus?.decimal],
    ...[(p.debt ?? a.debt)?.asset, p.debt?.decimal],
    ...[a.principal, a.interest, a.accrued, a.bonus, a.penalty, a.debtCleared, a.collateralLost].map(
      (each) => each?.decimal,
    ),
    ...[a.tip?.decimal, line.price?.low, line.price?.high],
  ]);
}
