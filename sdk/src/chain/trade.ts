import { type BlockTag, MinInt256, ZeroAddress } from "ethers";

import {
  type Figures,
  type Swap,
  collateralToSell,
  debtToBorrow,
  figuresOf,
  interestIn,
  leastBought,
  liquidationPriceIn,
  maxLeverage,
  mostSold,
  positionAfter,
  swapPrice,
  worseThan,
} from "../core/leverage.ts";
import { BPS, WAD, max, min } from "../core/math.ts";
import { type Position, ltvOfLeverage } from "../core/position.ts";
import { fundedRate, rateBounds } from "../core/funding.ts";
import { YEAR, growth, rateAt, utilizationOf } from "../core/rate.ts";
import { formatAmount, valueInDebt } from "../core/units.ts";
import { type Contracts, providerOf } from "./connect.ts";
import { type Revert, explainRevert } from "./errors.ts";
import { type MarketReading, readPosition } from "./markets.ts";
import type { Transaction } from "./transactions.ts";
import { type Venue, bestPurchase, bestRoutes, bestSale, feeOfPath, uniswap } from "./venue.ts";

// Leveraged positions through the LeverageRouter: what a trade would do.

const ALL = MinInt256;
/** A sale and what is borrowed for it depend on each other; each round brings them an order of magnitude closer. */
const ROUNDS = 5;
/** What a price is before anyone has moved it: this share of a swap. */
const SMALL = 1_000n;

/** Why a trade would not go through, found out before it is sent. */
export class TradeRefused extends Error {
  constructor(
    readonly reason:
      "LeverageTooHigh" | "InsufficientPoolLiquidity" | "InsufficientCash" | "NothingToDo" | "NoPosition",
    words: string,
  ) {
    super(words);
    this.name = "TradeRefused";
  }
}

export interface Request {
  market: MarketReading;
  owner: string;
  sub: bigint;
  /** Basis points that the swap may bring less, or cost more, than quoted. */
  slippage: bigint;
  /** Unix time. */
  deadline: bigint;
  /** Gets what is left; the owner unless said otherwise. */
  receiver?: string;
  /** Whether wrapped ether that is left goes out as ether. */
  unwrap?: boolean;
  block?: BlockTag;
}

export interface Margin {
  token: "collateral" | "debt";
  /** Token units. */
  amount: bigint;
  /** Paid in ether; the token must be wrapped ether. */
  ether?: boolean;
}

export interface SwapFigures extends Swap {
  tokenIn: string;
  tokenOut: string;
  /** The least that it may bring; for a purchase the most that it may cost. */
  limit: bigint;
  price: bigint; //         Q128, debt tokens per collateral token of the market
  oracle: bigint; //        the middle of the oracle's two prices
  againstOracle: bigint; // by how much it is worse than the oracle, WAD; fee and impact are in it
  impact: bigint; //        by how much it is worse than a thousandth of it would be, WAD
  fee: bigint; //           of the pools, units of tokenIn
}

/** Of one market; rates are a year's, WAD. */
export interface MarketFigures {
  market: string;
  before: Figures;
  after: Figures;
  rate: { before: bigint; after: bigint; least: bigint; most: bigint };
  /** At the rate after. */
  forecast: { days: bigint; liquidationPrice: bigint }[];
  /** With what the market would refuse the change now. */
  refusal?: Revert;
}

/** ILeverageRouter.Trade. */
export interface Trade {
  owner: string;
  legs: { market: string; sub: bigint; collateral: bigint; debt: bigint }[];
  path: string;
  exactOut: boolean;
  limit: bigint;
  token: string;
  amount: bigint;
  receiver: string;
  unwrap: boolean;
  deadline: bigint;
}

export interface TradeQuote {
  trade: Trade;
  /** Ether to send along. */
  value: bigint;
  positions: MarketFigures[];
  swap?: SwapFigures;
  /** What the receiver gets if the swap brings what was quoted; token units. */
  left: { token: string; amount: bigint }[];
}

/** In the token that the pair is priced in: a long's debt, a short's collateral. */
export interface Costs {
  token: "collateral" | "debt";
  /** What the swap brings less than the oracle's price would: fee, impact, and what the pool is off. */
  swap: bigint;
  /** With the interest of so many days, at the rate after. */
  allIn: { days: bigint; interest: bigint; cost: bigint }[];
}

/** What a trade in one market costs, and keeping what it makes. */
export function costsOf({ swap, positions }: TradeQuote, { addresses, side, state }: MarketReading): Costs {
  const { after, rate } = positions[0]!;
  const unit = 10n ** BigInt(addresses.decimals.collateral);
  const oracle = (state.priceLow + state.priceHigh) / 2n;
  const worth = valueInDebt(unit, oracle, state.units);
  // Dead prices value nothing.
  const inCollateral = (debt: bigint) => (worth === 0n ? 0n : (debt * unit) / worth);
  const inDebt = (collateral: bigint) => (collateral * worth) / unit;
  const token = side === "long" ? "debt" : "collateral";
  const paid = swap ? (swap.sold * swap.againstOracle) / WAD : 0n;
  const paidIn = swap?.tokenIn === addresses.collateral ? "collateral" : "debt";
  const lost = paidIn === token ? paid : token === "debt" ? inDebt(paid) : inCollateral(paid);
  return {
    token,
    swap: lost,
    allIn: [1n, 7n, 30n].map((days) => {
      const due = interestIn(days, after.debt, rate.after / YEAR);
      const interest = token === "debt" ? due : inCollateral(due);
      return { days, interest, cost: lost + interest };
    }),
  };
}

/** Opens a position, or changes one with the margin added, to a leverage (WAD). */
export async function quoteLeverage(
  contracts: Contracts,
  request: Request & { leverage: bigint; margin?: Margin },
): Promise<TradeQuote> {
  const { market, leverage, margin, slippage } = request;
  const { state } = market;
  if (leverage <= WAD) throw new RangeError("leverage must be above 1: close the position instead");
  refuseLeverage(market, leverage);
  const p = await readPosition(contracts, request);
  const before = figuresOf(p, state);
  const [added, spare] = split(margin);
  const held = { collateral: before.collateral + added, debt: before.debt };
  if (held.collateral + spare === 0n)
    throw new TradeRefused("NoPosition", "there is no position: add a margin");

  const terms = { leverage, slippage };
  const unit = 10n ** BigInt(market.addresses.decimals.collateral);
  const fair = { sold: valueInDebt(unit, state.priceLow, state.units), bought: unit };
  let borrow = debtToBorrow(held, spare, fair, { leverage, slippage: 0n }, state);
  if (borrow + spare > 0n && borrow >= 0n) {
    const { collateral, debt } = market.addresses;
    const sell = seller(contracts, request, debt, collateral);
    let sale = await sell(borrow + spare);
    for (let round = 0; round < ROUNDS; round++) {
      borrow = max(debtToBorrow(held, spare, sale, terms, state), 0n);
      sale = await sell(borrow + spare);
    }
    refuseCash(market, borrow);
    const limit = leastBought(sale.bought, slippage);
    return compose(contracts, request, {
      legs: [{ reading: market, sub: request.sub, p, collateral: added + limit, debt: borrow }],
      margin,
      sale: { ...sale, tokenIn: debt, tokenOut: collateral, limit, exactOut: false },
      left: [{ token: collateral, amount: sale.bought - limit }],
    });
  }
  if (added !== 0n || spare !== 0n) {
    throw new RangeError(
      `with that margin the leverage would be below ${formatAmount(leverage, 18, 2)} without a swap: ` +
        `add it to the position, or leave it out`,
    );
  }
  // Less leverage: sell collateral and repay.
  const { collateral, debt } = market.addresses;
  let amount = collateralToSell(
    held,
    { sold: fair.bought, bought: fair.sold },
    { ...terms, slippage: 0n },
    state,
  );
  const sell = seller(contracts, request, collateral, debt);
  let sale = await sell(amount);
  for (let round = 0; round < ROUNDS; round++) {
    amount = collateralToSell(held, sale, terms, state);
    sale = await sell(amount);
  }
  const limit = leastBought(sale.bought, slippage);
  if (amount === 0n || limit >= before.debt) {
    throw new TradeRefused("NothingToDo", "the position is at that leverage, or below");
  }
  return compose(contracts, request, {
    legs: [{ reading: market, sub: request.sub, p, collateral: -amount, debt: -limit }],
    sale: { ...sale, tokenIn: collateral, tokenOut: debt, limit, exactOut: false },
    left: [{ token: debt, amount: sale.bought - limit }],
  });
}

/**
 * Adds a margin to a position or, if its amount is negative, takes it out; no swap. Of the debt token: repays, at most what is
 * owed, or borrows.
 */
export async function quoteMargin(
  contracts: Contracts,
  request: Request & { margin: Margin },
): Promise<TradeQuote> {
  const { market, sub, margin } = request;
  const { token, amount } = margin;
  if (amount === 0n) throw new RangeError("the margin must be more than nothing");
  const p = await readPosition(contracts, request);
  const { debt } = figuresOf(p, market.state);
  const isDebt = token === "debt";
  if (isDebt && amount > 0n && debt === 0n)
    throw new TradeRefused("NothingToDo", "there is no debt to repay");
  if (isDebt) refuseCash(market, -amount);
  const moved = isDebt ? { collateral: 0n, debt: -min(amount, debt) } : { collateral: amount, debt: 0n };
  return compose(contracts, request, {
    // All of it, if it is enough for all: then no dust of interest stays.
    legs: [{ reading: market, sub, p, ...moved, ...(isDebt && amount >= debt && { debt: ALL }) }],
    ...(amount > 0n && { margin }),
    left: [{ token: market.addresses[token], amount: amount < 0n ? -amount : isDebt ? amount - debt : 0n }],
  });
}

/** Closes a position: into its collateral (buying just the debt) or into its debt token (selling everything). */
export async function quoteClose(
  contracts: Contracts,
  request: Request & { into: "collateral" | "debt" },
): Promise<TradeQuote> {
  const { market, slippage, into } = request;
  const p = await readPosition(contracts, request);
  const before = figuresOf(p, market.state);
  const { collateral, debt } = market.addresses;
  const legs = [
    { reading: market, sub: request.sub, p, collateral: ALL, debt: before.debt === 0n ? 0n : ALL },
  ];
  if (before.collateral === 0n) throw new TradeRefused("NoPosition", "there is nothing to close");
  if (into === "debt") {
    const sale = await seller(contracts, request, collateral, debt)(before.collateral);
    const limit = leastBought(sale.bought, slippage);
    return compose(contracts, request, {
      legs,
      sale: { ...sale, tokenIn: collateral, tokenOut: debt, limit, exactOut: false },
      left: [{ token: debt, amount: sale.bought - before.debt }],
    });
  }
  if (before.debt === 0n) {
    return compose(contracts, request, { legs, left: [{ token: collateral, amount: before.collateral }] });
  }
  const venue = venueOf(contracts);
  const routes = await venue.routes(debt, collateral);
  const quote = await bestPurchase(venue, routes, before.debt, request.block ?? "latest");
  if (!quote || quote.cost > before.collateral) throw refusePool(market, collateral, debt);
  const swap = { path: quote.path, sold: quote.cost, bought: before.debt };
  const limit = min(mostSold(quote.cost, slippage), before.collateral);
  return compose(contracts, request, {
    legs,
    sale: { ...swap, tokenIn: collateral, tokenOut: debt, limit, exactOut: true },
    left: [{ token: collateral, amount: before.collateral - quote.cost }],
  });
}

/** Closes a position and opens one in the mirrored market with all that is left of it, in one swap. */
export async function quoteFlip(
  contracts: Contracts,
  request: Request & { leverage: bigint; to: MarketReading; toSub: bigint },
): Promise<TradeQuote> {
  const { market, to, leverage, slippage } = request;
  const { collateral, debt } = market.addresses;
  if (to.addresses.collateral !== debt || to.addresses.debt !== collateral) {
    throw new RangeError(`${to.addresses.id} does not mirror ${market.addresses.id}`);
  }
  if (leverage <= WAD) throw new RangeError("leverage must be above 1: close the position instead");
  refuseLeverage(to, leverage);
  const p = await readPosition(contracts, request);
  const before = figuresOf(p, market.state);
  if (before.debt === 0n) throw new TradeRefused("NoPosition", "there is no leveraged position to flip");
  const q = await emptyIn(contracts, { ...request, market: to, sub: request.toSub });
  const due = await dueOf(contracts, request, before.debt);
  const held = { collateral: -due, debt: 0n };
  const terms = { leverage, slippage };
  const sell = seller(contracts, request, collateral, debt);
  let sale = await sell(before.collateral);
  let borrow = 0n;
  for (let round = 0; round < ROUNDS; round++) {
    borrow = max(debtToBorrow(held, before.collateral, sale, terms, to.state), 0n);
    sale = await sell(before.collateral + borrow);
  }
  const limit = leastBought(sale.bought, slippage);
  if (borrow === 0n || limit <= due) throw new TradeRefused("NothingToDo", "nothing would be left to flip");
  refuseCash(to, borrow);
  return compose(contracts, request, {
    legs: [
      { reading: market, sub: request.sub, p, collateral: ALL, debt: ALL },
      { reading: to, sub: request.toSub, p: q, collateral: limit - due, debt: borrow },
    ],
    sale: { ...sale, tokenIn: collateral, tokenOut: debt, limit, exactOut: false },
    left: [{ token: debt, amount: sale.bought - before.debt - (limit - due) }],
  });
}

/** Moves a position, with its debt, to a market of the same tokens: no swap. */
export async function quoteMove(
  contracts: Contracts,
  request: Request & { to: MarketReading; toSub: bigint },
): Promise<TradeQuote> {
  const { market, to, toSub } = request;
  const { collateral, debt } = market.addresses;
  if (to.addresses.vault === market.addresses.vault) {
    throw new RangeError("the position is in that market: a sub-account of it takes transferPosition");
  }
  if (to.addresses.collateral !== collateral || to.addresses.debt !== debt) {
    throw new RangeError(`${to.addresses.id} has not the tokens of ${market.addresses.id}`);
  }
  const p = await readPosition(contracts, request);
  const before = figuresOf(p, market.state);
  if (before.collateral === 0n) throw new TradeRefused("NoPosition", "there is nothing to move");
  const q = await emptyIn(contracts, { ...request, market: to, sub: toSub });
  const due = before.debt === 0n ? 0n : await dueOf(contracts, request, before.debt);
  refuseCash(to, due);
  return compose(contracts, request, {
    legs: [
      { reading: market, sub: request.sub, p, collateral: ALL, debt: before.debt === 0n ? 0n : ALL },
      { reading: to, sub: toSub, p: q, collateral: before.collateral, debt: due },
    ],
    left: [{ token: debt, amount: due - before.debt }],
  });
}

/** Moves a position as it is to another sub-account of its owner: what it is, and the transaction. */
export async function quoteTransfer(
  contracts: Contracts,
  request: Place & { toSub: bigint },
): Promise<{ position: Figures; transaction: Transaction }> {
  const { market, owner, sub, toSub } = request;
  const position = figuresOf(await readPosition(contracts, request), market.state);
  if (position.collateral === 0n) throw new TradeRefused("NoPosition", "there is nothing to move");
  await emptyIn(contracts, { ...request, sub: toSub });
  const { vault } = market.addresses;
  return {
    position,
    transaction: {
      to: vault,
      data: contracts
        .vault({ vault })
        .interface.encodeFunctionData("transferPosition", [owner, sub, owner, toSub]),
      value: 0n,
      words: `move sub-account ${sub} of ${market.addresses.id} to ${toSub}`,
    },
  };
}

// ---------------------------------------------------------------- parts of a quote

interface Leg {
  reading: MarketReading;
  sub: bigint;
  p: Position;
  collateral: bigint;
  debt: bigint;
}

interface Plan {
  legs: Leg[];
  margin?: Margin;
  sale?: Swap & { path: string; tokenIn: string; tokenOut: string; limit: bigint; exactOut: boolean };
  left: { token: string; amount: bigint }[];
}

async function compose(contracts: Contracts, request: Request, plan: Plan): Promise<TradeQuote> {
  const { market, owner, receiver = owner, unwrap = false, deadline } = request;
  const { legs, margin, sale, left } = plan;
  const paid = margin && !margin.ether && margin.amount > 0n ? margin : undefined;
  return {
    trade: {
      owner,
      legs: legs.map(({ reading, sub, collateral, debt }) => ({
        market: reading.addresses.vault,
        sub,
        collateral,
        debt,
      })),
      path: sale?.path ?? "0x",
      exactOut: sale?.exactOut ?? false,
      limit: sale?.limit ?? 0n,
      token: paid ? market.addresses[paid.token] : ZeroAddress,
      amount: paid?.amount ?? 0n,
      receiver,
      unwrap,
      deadline,
    },
    value: margin?.ether ? margin.amount : 0n,
    positions: await Promise.all(
      legs.map(async (leg) => {
        const refusal = await refusalOf(contracts, request, leg);
        return { ...marketFigures(leg), ...(refusal && { refusal }) };
      }),
    ),
    swap: sale && (await swapFigures(contracts, request, sale)),
    left: left.filter(({ amount }) => amount > 0n),
  };
}

function marketFigures({ reading, p, collateral, debt }: Leg): MarketFigures {
  const { state, view } = reading;
  const before = figuresOf(p, state);
  const moved = debt === ALL ? -before.debt : debt;
  const after =
    collateral === ALL
      ? figuresOf({ tick: 0, debt: 0n, surplus: 0n }, state)
      : figuresOf(positionAfter(p, collateral, moved, state), state);
  const rate = fundedRate(
    rateAt(utilizationOf(view.totalDebt + moved, view.cash - moved), view.rateAtTarget),
    view,
  );
  const bounds = rateBounds(view.reserveFactor, reading.funding);
  const price = after.liquidationPrice;
  return {
    market: reading.addresses.id,
    before,
    after,
    rate: {
      before: view.borrowRate * YEAR,
      after: rate * YEAR,
      least: bounds.least * YEAR,
      most: bounds.most * YEAR,
    },
    forecast:
      price === undefined
        ? []
        : [7n, 30n].map((days) => ({ days, liquidationPrice: liquidationPriceIn(days, price, rate) })),
  };
}

/** Asks the market, which knows more than the position: its caps, its cash, the brake, the price's state. */
async function refusalOf(
  { lens }: Contracts,
  { owner, block = "latest" }: Request,
  { reading, sub, collateral, debt }: Leg,
): Promise<Revert | undefined> {
  const { vault } = reading.addresses;
  const { refusal } = await lens.preview(vault, owner, sub, collateral, debt, { blockTag: block });
  return refusal === "0x" ? undefined : explainRevert({ data: refusal });
}

async function swapFigures(
  contracts: Contracts,
  { market, block = "latest" }: Request,
  sale: NonNullable<Plan["sale"]>,
): Promise<SwapFigures> {
  const { path, tokenIn, tokenOut, limit, sold, bought, exactOut } = sale;
  const { state, addresses } = market;
  const sellsCollateral = tokenIn === addresses.collateral;
  const oracle = (state.priceLow + state.priceHigh) / 2n;
  const unit = 10n ** BigInt(addresses.decimals.collateral);
  const worth = valueInDebt(unit, oracle, state.units);
  const venue = venueOf(contracts);
  const small = exactOut
    ? { bought: max(bought / SMALL, 1n), sold: 0n }
    : { sold: max(sold / SMALL, 1n), bought: 0n };
  if (exactOut) {
    small.sold = (await venue.quoteCost(path, small.bought, block)) ?? 0n;
  } else small.bought = (await venue.quote(path, small.sold, block)) ?? 0n;
  return {
    tokenIn,
    tokenOut,
    sold,
    bought,
    limit,
    price: sellsCollateral ? swapPrice(sold, bought, state) : swapPrice(bought, sold, state),
    oracle,
    againstOracle: worseThan(
      sellsCollateral ? { sold: unit, bought: worth } : { sold: worth, bought: unit },
      sale,
    ),
    impact: small.sold === 0n || small.bought === 0n ? 0n : max(worseThan(small, sale), 0n),
    fee: (sold * feeOfPath(path)) / WAD,
  };
}

/** Whose position, and when. */
type Place = Pick<Request, "market" | "owner" | "sub" | "block">;

/** The position of a sub-account that must have none. */
async function emptyIn(contracts: Contracts, request: Place): Promise<Position> {
  const { addresses } = request.market;
  const p = await readPosition(contracts, request);
  if (p.debt === 0n && p.surplus === 0n) return p;
  throw new RangeError(`sub-account ${request.sub} of ${addresses.id} is in use: name another`);
}

/** What a debt (token units) will be at the deadline. */
async function dueOf(contracts: Contracts, { market, deadline }: Request, debt: bigint): Promise<bigint> {
  const left = max(deadline - (await timeOf(contracts)), 0n);
  return (debt * growth(market.view.borrowRate, left)) / WAD + 1n;
}

function venueOf(contracts: Contracts): Venue {
  return uniswap(contracts, providerOf(contracts));
}

/** Sells at the best route; what it is first asked for chooses the few routes that it goes on asking. */
function seller(
  contracts: Contracts,
  { market, block = "latest" }: Request,
  tokenIn: string,
  tokenOut: string,
): (amount: bigint) => Promise<Swap & { path: string }> {
  const venue = venueOf(contracts);
  let routes: string[] | undefined;
  return async (amount) => {
    if (amount <= 0n) throw new TradeRefused("NothingToDo", "the position is at that leverage");
    routes ??= await bestRoutes(
      venue,
      await venue.routes(tokenIn, tokenOut),
      [2n * amount, amount, amount / 2n],
      block,
    );
    const sale = await bestSale(venue, routes, amount, block);
    if (!sale || sale.proceeds === 0n) throw refusePool(market, tokenIn, tokenOut);
    return { path: sale.path, sold: amount, bought: sale.proceeds };
  };
}

function split(margin?: Margin): [collateral: bigint, debt: bigint] {
  const amount = margin?.amount ?? 0n;
  return margin?.token === "debt" ? [0n, amount] : [amount, 0n];
}

function refuseLeverage({ view }: MarketReading, leverage: bigint): void {
  if (ltvOfLeverage(leverage) * BPS <= view.maxLtvNow * WAD) return;
  throw new TradeRefused(
    "LeverageTooHigh",
    `leverage ${formatAmount(leverage, 18, 2)} is beyond the market's maximum of ` +
      `${formatAmount(maxLeverage(view.maxLtvNow), 18, 2)} now`,
  );
}

function refuseCash({ view, addresses, symbols }: MarketReading, borrow: bigint): void {
  if (borrow <= view.cash) return;
  const text = (amount: bigint) => `${formatAmount(amount, addresses.decimals.debt, 2)} ${symbols.debt}`;
  throw new TradeRefused(
    "InsufficientCash",
    `the market has ${text(view.cash)} to lend; this takes ${text(borrow)}`,
  );
}

function refusePool({ addresses, symbols }: MarketReading, tokenIn: string, tokenOut: string): TradeRefused {
  const name = (token: string) => (token === addresses.collateral ? symbols.collateral : symbols.debt);
  return new TradeRefused(
    "InsufficientPoolLiquidity",
    `no Uniswap pool has the liquidity to swap ${name(tokenIn)} for that much ${name(tokenOut)}`,
  );
}

async function timeOf(contracts: Contracts): Promise<bigint> {
  const block = await providerOf(contracts).getBlock("latest");
  if (!block) throw new Error("the chain has no latest block");
  return BigInt(block.timestamp);
}
