import {
  Book,
  type BookNode,
  type Carried,
  INDEX_BOUNDS,
  NO_POSITION,
  type ResolvedPosition,
  type StoredPosition,
  type Table,
  positionKey,
} from "./book.ts";
import { maxTick, ratioOf, ceilTick } from "./grid.ts";
import { WAD, ceilDiv, max, min, saturatingSub } from "./math.ts";
import { type Ramp, thresholdsAt } from "./ramp.ts";
import { accrueRate, growth, utilizationOf } from "./rate.ts";
import {
  type SaleRisk,
  type SaleTerms,
  behindDown,
  isInsolvent,
  move,
  salePrice,
  saleTerms,
} from "./sale.ts";
import {
  BORROW_INDEX_ONE,
  type Units,
  bookPriceDown,
  bookPriceUp,
  collateralTokensDown,
  debtTokensDown,
  debtTokensUp,
  debtUnitsDown,
  debtUnitsUp,
} from "./units.ts";

// One market out of its events alone, to the unit: every position, also those that a liquidation moved without an event
// of their own, the ticks, the pot, what the lenders hold, cash and parameters.
//
// What no event says is when interest was charged without one (`accrueInterest`), and what a pair adds to it. So the
// index, the rate at target and the reserves are computed as the market computes them, set right by the index that the
// next event carries, and by `read` where the market's own words at the end of a block are at hand. No position depends
// on them.

/** A decoded event. Integers may be numbers or bigints, as decoders differ. */
export interface ReplayEvent {
  address: string;
  name: string;
  args: Args;
  block: number;
  logIndex: number;
  /** Of the block, seconds. */
  timestamp: number;
}
type Args = Readonly<Record<string, unknown>>;

/** What a market never changes. */
export interface ReplayMarket {
  vault: string;
  insurance: string;
  units: Units;
  /** Whether it has a mirror that adds to its interest. */
  paired: boolean;
}

/** As the market stores it: token units but for `debt`, which is book debt. */
export interface Ledger {
  borrowIndex: bigint;
  cash: bigint;
  rateAtTarget: bigint;
  debt: bigint;
  reserves: bigint;
  accruedAt: bigint;
  reserveFactor: bigint; // percent
}

/** The ledger in a market's first two words of storage (contracts/libraries/Market.sol). */
export function ledgerOfWords(first: bigint, second: bigint): Ledger {
  const bits = (word: bigint, at: bigint, width: bigint) => (word >> at) & ((1n << width) - 1n);
  return {
    borrowIndex: bits(first, 0n, 104n),
    cash: bits(first, 104n, 112n),
    rateAtTarget: bits(first, 216n, 40n),
    debt: bits(second, 0n, 104n),
    reserves: bits(second, 104n, 112n),
    accruedAt: bits(second, 216n, 32n),
    reserveFactor: bits(second, 248n, 8n),
  };
}

/** A market beside its tables. */
export interface MarketRecord {
  block: number; // of the last event, as the following
  logIndex: number;
  timestamp: number;
  /** Index, rate at target and reserves are certain. */
  isExact: boolean;
  ledger: Ledger;
  lenderShares: bigint;
  insurance: bigint; // token units
  oracle: string;
  /** Thresholds are where a ramp began; see thresholdsOf. */
  risk: SaleRisk & { maxLtv: bigint };
  caps: { debt: bigint; collateral: bigint; minDebt: bigint }; // millionths of a whole token
  /** `start` is on its clock; while halted: the seconds it has run. */
  ramp: Ramp & { start: bigint; isHalted: boolean };
  brake: { noNewRiskUntil: bigint; liquidationsPausedUntil: bigint; graceUntil: bigint };
  isWindingDown: boolean;
  /** Millionths of a whole token; cap 0: off. */
  cascade: { cap: bigint; window: bigint; used: bigint; usedAt: bigint };
  nodes: number;
  top: number;
  pot: { debt: bigint; collateral: bigint; seizedAt: bigint }; // units
  /** Of the last liquidation: what ChangePot, which follows, explains. */
  pending: { paid: bigint; seized: bigint; seizedUnits: bigint; potDebt: bigint; potCollateral: bigint };
}

/** Maps, in memory. Keys of positions: positionKey; of balances: the lender's address in lower case. */
export interface ReplayTables {
  market: Table<"market", MarketRecord>;
  nodes: Table<number, BookNode>;
  ticks: Table<number, number>;
  positions: Table<string, StoredPosition>;
  balances: Table<string, bigint>;
}

export interface Accrual {
  from: bigint; //     borrow index
  to: bigint;
  interest: bigint; // token units, as the following
  reserved: bigint; // of it
}

/** One tick of a sweep: sold, all or in part, or seized whole into the pot. */
export interface TickMove {
  tick: number;
  /** undefined: seized. */
  land?: number;
  node: number;
  /** That `node` belongs to afterwards; 0: none. */
  nodeAfter: number;
  positions: number;
  debtBefore: bigint; // book debt
  debtAfter: bigint;
  collateral: bigint; // units, sold or seized
  /** Book price at which it was sold, Q128; of a seizure 0. */
  salePrice: bigint;
  /** The node's index, and so the debt of all its positions, became × num / den. */
  num: bigint;
  den: bigint;
}

export interface PositionChange {
  owner: string;
  sub: bigint;
  before: ResolvedPosition;
  after: ResolvedPosition;
}

/** What an event did. */
export interface Change {
  accrual?: Accrual;
  positions: PositionChange[];
  /** From the top. */
  moves: TickMove[];
  /** Of the sweep alone: book debt and collateral units that were sold. */
  sold: { debt: bigint; collateral: bigint };
}

/** The events contradict each other or what the market would have computed: they are not the whole history. */
export class ReplayError extends Error {
  override name = "ReplayError";
}

const ZERO_ADDRESS = `0x${"0".repeat(40)}`;
const RATE_AT_TARGET = 1_268_391_679n; // 4 % a year: where a market begins
const MAX_INDEX = (1n << 104n) - 1n;
const MAX_RESERVES = (1n << 112n) - 1n;
const MICRO = 10n ** 12n;
const HOUR = 3_600n;
const BOUND_STEP = 32;

export function memoryTables() {
  return {
    market: new Map<"market", MarketRecord>(),
    nodes: new Map<number, BookNode>(),
    ticks: new Map<number, number>(),
    positions: new Map<string, StoredPosition>(),
    balances: new Map<string, bigint>(),
  } satisfies ReplayTables;
}

/** A market as text, for a column of a table. */
export function encodeRecord(record: MarketRecord): string {
  return JSON.stringify(record, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}

export function decodeRecord(record: string): MarketRecord {
  return JSON.parse(record, (_, value: unknown) =>
    typeof value === "string" && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as MarketRecord;
}

/** Both thresholds at `now`, basis points. */
export function thresholdsOf(
  m: Pick<MarketRecord, "ramp" | "brake">,
  now: bigint,
): { liquidationThreshold: bigint; target: bigint } {
  const { start, isHalted } = m.ramp;
  return thresholdsAt(m.ramp, isHalted ? start : max(now, m.brake.graceUntil) - start);
}

/** What counts against the cascade brake's cap at `now`, millionths of a whole token. */
export function cascadeUsed({ cap, window, used, usedAt }: MarketRecord["cascade"], now: bigint): bigint {
  return window === 0n ? 0n : saturatingSub(used, (cap * (now - usedAt)) / window);
}

/** A market's ledger at `now`, had somebody charged interest then; without what a pair adds. */
export function chargeInterest(ledger: Ledger, units: Units, now: bigint, index?: bigint): Ledger {
  const elapsed = now - ledger.accruedAt;
  if (elapsed === 0n && index === undefined) return ledger;
  const owed = tokensOwed(ledger, units);
  const { rate, rateAtTarget } = accrueRate(utilizationOf(owed, ledger.cash), ledger.rateAtTarget, elapsed);
  const charged = { ...ledger, rateAtTarget, accruedAt: now };
  if (ledger.debt === 0n && index === undefined) return charged;
  const computed = ceilDiv(ledger.borrowIndex * growth(rate, elapsed), WAD);
  charged.borrowIndex = index ?? min(computed, MAX_INDEX);
  const reserved = ((tokensOwed(charged, units) - owed) * ledger.reserveFactor) / 100n;
  charged.reserves = min(ledger.reserves + reserved, MAX_RESERVES);
  return charged;
}

/** The lenders' claim on borrowers, token units, rounded down. */
export function tokensOwed({ debt, borrowIndex }: Ledger, units: Units): bigint {
  return debtTokensDown(debtUnitsDown(debt, borrowIndex), units);
}

export class Replay<T extends ReplayTables = ReplayTables> {
  constructor(
    readonly market: ReplayMarket,
    readonly tables: T,
    /** Other than the build's only in tests. */
    private readonly index = INDEX_BOUNDS,
  ) {}

  /** The market now; undefined before its first event. */
  async record(): Promise<MarketRecord | undefined> {
    return this.tables.market.get("market");
  }

  async position(owner: string, sub: bigint): Promise<ResolvedPosition> {
    const m = await this.tables.market.get("market");
    const stored = await this.tables.positions.get(positionKey(owner, sub));
    return this.bookOf(m ?? { nodes: 0, top: 0 }).resolve(stored ?? NO_POSITION);
  }

  /**
   * Events must come in their order, from the market's first. Those of others, or that change nothing, are passed over.
   * @param ledger the market's own words at the end of the event's block, if they are at hand: then index, rate and
   * reserves are theirs once the block's last event has been applied.
   */
  async apply(event: ReplayEvent, ledger?: Ledger): Promise<Change> {
    const turn = new Turn(this, event, ledger);
    const rule = turn.rule();
    if (rule === undefined) return turn.change;
    await turn.begin();
    await rule(turn);
    await turn.end();
    return turn.change;
  }

  /**
   * Sets index, rate and reserves right by the market's own words at the end of a block whose events have all been
   * applied. @returns what had not been known, and so was charged without an event or by the pair.
   */
  async read(ledger: Ledger): Promise<Accrual> {
    const m = await this.tables.market.get("market");
    if (!m) throw new ReplayError(`nothing of the market ${this.market.vault} has been replayed`);
    for (const name of ["cash", "debt", "reserveFactor"] as const) {
      if (m.ledger[name] !== ledger[name])
        throw new ReplayError(
          `${this.where(m)}: ${name} is ${m.ledger[name]} by the events, but ${ledger[name]} in the market`,
        );
    }
    const { units } = this.market;
    await this.tables.market.set("market", { ...m, ledger: { ...ledger }, isExact: true });
    return {
      from: m.ledger.borrowIndex,
      to: ledger.borrowIndex,
      interest: tokensOwed(ledger, units) - tokensOwed(m.ledger, units),
      reserved: ledger.reserves - m.ledger.reserves,
    };
  }

  bookOf(counters: { nodes: number; top: number }): Book {
    return new Book(this.tables, counters, this.market.units.spacing, this.index);
  }

  where({ block, logIndex }: { block: number; logIndex: number }): string {
    return `market ${this.market.vault}, block ${block}, log ${logIndex}`;
  }
}

/** One event on its way into the tables. */
class Turn {
  readonly change: Change = { positions: [], moves: [], sold: { debt: 0n, collateral: 0n } };
  private m!: MarketRecord;
  private book!: Book;

  constructor(
    private readonly replay: Replay,
    private readonly event: ReplayEvent,
    private readonly known?: Ledger,
  ) {}

  /** What this event changes, if anything. */
  rule(): Rule | undefined {
    const { address, name, args } = this.event;
    const { vault, insurance } = this.replay.market;
    if (same(address, vault)) return VAULT_RULES[name];
    if (same(address, insurance) && "market" in args && same(text(args, "market"), vault))
      return INSURANCE_RULES[name];
    return undefined;
  }

  async begin(): Promise<void> {
    const { event, replay } = this;
    const { block, logIndex, timestamp } = event;
    const m = await replay.tables.market.get("market");
    if (!m) {
      if (event.name !== "SetOracle")
        throw this.error(`${event.name} comes before the market's first event: read from its deployment on`);
      this.m = this.opening();
    } else {
      if (block < m.block || (block === m.block && logIndex <= m.logIndex))
        throw this.error(
          `${event.name} comes after block ${m.block}, log ${m.logIndex}, which is not its order`,
        );
      this.m = { ...m, block, logIndex, timestamp };
    }
    this.book = replay.bookOf({ nodes: this.m.nodes, top: this.m.top });
    // All that charge interest in one block charge it once.
    if (this.known?.accruedAt === this.now) this.charge(this.known.borrowIndex);
  }

  async end(): Promise<void> {
    const { nodes, top } = this.book.counters;
    if (this.known) {
      const { borrowIndex, rateAtTarget, accruedAt, reserves } = this.known;
      this.m.ledger = { ...this.m.ledger, borrowIndex, rateAtTarget, accruedAt, reserves };
      this.m.isExact = true;
    }
    await this.replay.tables.market.set("market", { ...this.m, nodes, top });
  }

  // ---------------------------------------------------------------- borrowers

  async adjust(): Promise<void> {
    const { args } = this.event;
    const index = big(args, "borrowIndex");
    if (index !== 0n) this.charge(index);
    const surplus = big(args, "surplus");
    const [tick, debt] = [int(args, "tick"), big(args, "debt")];
    const { node, shares } = await this.restate(text(args, "owner"), big(args, "sub"), tick, debt, surplus);
    this.expect("node", node, int(args, "node"));
    this.expect("shares", shares, big(args, "shares"));
    if (index !== 0n) this.pay({ cash: -big(args, "debtDelta") });
  }

  async withdrawSurplus(): Promise<void> {
    const { args } = this.event;
    const [owner, sub, surplus] = [text(args, "owner"), big(args, "sub"), big(args, "surplus")];
    const stored = await this.stored(owner, sub);
    const before = await this.book.resolve(stored);
    await this.store(owner, sub, { ...stored, surplus });
    this.change.positions.push({ owner, sub, before, after: { ...before, surplus } });
  }

  async transferPosition(): Promise<void> {
    const { args } = this.event;
    const [from, fromSub, to, toSub] = [
      text(args, "from"),
      big(args, "fromSub"),
      text(args, "to"),
      big(args, "toSub"),
    ];
    const stored = await this.stored(from, fromSub);
    const moved = await this.book.resolve(stored);
    const nothing = await this.book.resolve(NO_POSITION);
    await this.store(from, fromSub, NO_POSITION);
    await this.store(to, toSub, stored);
    this.change.positions.push(
      { owner: from, sub: fromSub, before: moved, after: nothing },
      { owner: to, sub: toSub, before: nothing, after: moved },
    );
  }

  async settle(): Promise<void> {
    const { args } = this.event;
    const { units } = this.replay.market;
    const index = big(args, "borrowIndex");
    this.charge(index);
    const [owner, sub] = [text(args, "owner"), big(args, "sub")];
    const [debt, surplus] = [big(args, "debt"), big(args, "surplus")];
    const before = await this.book.resolve(await this.stored(owner, sub));
    const ratio = ratioOf(before.tick, units.spacing);
    const repaid = before.debt - debt;
    // Sources apart count as the higher price alone; the event does not say whether they were.
    const [high, low] = [big(args, "priceHigh"), big(args, "priceLow")];
    const found = [low, high]
      .map((lower) => {
        const t = this.terms(high, lower, index);
        const price = salePrice(t, ratio >> t.shift) << t.shift;
        const sold = min((repaid << 128n) / price, behindDown(repaid, ratio));
        const collateral = before.collateral - sold;
        const tick = debt === 0n ? 0 : ceilTick(ceilDiv(debt << 128n, collateral), units.spacing);
        const need = debt === 0n ? 0n : ceilDiv(debt << 128n, ratioOf(tick, units.spacing));
        return { sold, tick, surplus: before.surplus + saturatingSub(collateral, need) };
      })
      .find((s) => s.surplus === surplus && collateralTokensDown(s.sold, units) === big(args, "seized"));
    if (!found)
      throw this.error(`what Settle sold of the position ${owner}/${sub} does not follow from its prices`);
    await this.restate(owner, sub, found.tick, debt, surplus);
    this.change.sold = { debt: repaid, collateral: found.sold };
    this.pay({ cash: big(args, "repaid") });
  }

  /** Gives a position a debt at a tick. */
  private async restate(
    owner: string,
    sub: bigint,
    tick: number,
    debt: bigint,
    surplus: bigint,
  ): Promise<StoredPosition> {
    const before = await this.book.resolve(await this.stored(owner, sub));
    const position = { ...(await this.book.move(before.node, before.debt, debt, tick)), surplus };
    await this.store(owner, sub, position);
    this.m.ledger = { ...this.m.ledger, debt: this.m.ledger.debt - before.debt + debt };
    this.change.positions.push({ owner, sub, before, after: await this.book.resolve(position) });
    return position;
  }

  private async stored(owner: string, sub: bigint): Promise<StoredPosition> {
    return (await this.replay.tables.positions.get(positionKey(owner, sub))) ?? NO_POSITION;
  }

  private async store(owner: string, sub: bigint, position: StoredPosition): Promise<void> {
    const { positions } = this.replay.tables;
    const key = positionKey(owner, sub);
    if (position.node === 0 && position.surplus === 0n) await positions.delete(key);
    else await positions.set(key, position);
  }

  // ---------------------------------------------------------------- liquidations

  async liquidate(): Promise<void> {
    const { units } = this.replay.market;
    const r = struct(this.event.args, "report");
    const index = big(r, "borrowIndex");
    this.charge(index);
    const pot = { debt: 0n, collateral: 0n };
    if (this.m.ledger.debt !== 0n) await this.sweep(r, index, pot);
    const { moves, sold } = this.change;
    for (const { land, debtBefore, debtAfter, collateral } of moves) {
      if (land === undefined) continue;
      sold.debt += debtBefore - debtAfter;
      sold.collateral += collateral;
    }
    const closed = moves.reduce((sum, m) => (m.land === undefined ? sum + m.debtBefore : sum), 0n);
    const soldUnits = debtUnitsUp(sold.debt, index);
    const [repaid, seized] = [big(r, "repaid"), big(r, "seized")];
    const paid = repaid - debtTokensUp(soldUnits, units);
    if (paid < 0n || seized < collateralTokensDown(sold.collateral, units))
      throw this.error(`Liquidate moved ${repaid} and ${seized}, less than the ticks that it names`);
    this.m.pending = {
      ...{ paid, seized, seizedUnits: sold.collateral },
      ...{ potDebt: pot.debt, potCollateral: pot.collateral },
    };
    if (this.m.cascade.cap !== 0n) {
      const used = cascadeUsed(this.m.cascade, this.now) + ceilDiv(soldUnits, MICRO);
      this.m.cascade = { ...this.m.cascade, used, usedAt: this.now };
    }
    const { debt } = this.m.ledger;
    this.m.ledger = { ...this.m.ledger, debt: debt - sold.debt - closed };
    this.pay({ cash: repaid });
  }

  /** A budget, a bound and what was allowed are not in the report; which ticks it touched says as much. */
  private async sweep(r: Args, index: bigint, pot: { debt: bigint; collateral: bigint }): Promise<void> {
    const { units } = this.replay.market;
    const t = this.terms(big(r, "priceHigh"), big(r, "priceLow"), index);
    const [fromTick, lowest, ticks] = [int(r, "fromTick"), int(r, "lowestTick"), int(r, "ticks")];
    const [partialTick, partialLand] = [int(r, "partialTick"), int(r, "partialLandTick")];
    this.expect("landTick", t.targetTick, int(r, "landTick"));
    const high = bookPriceUp(big(r, "priceHigh"), index, units);
    const insolvent = (tick: number) => isInsolvent(ratioOf(tick, units.spacing), high, this.m.risk.bonusMin);

    const visited: number[] = [];
    if (ticks !== 0) {
      for (let tick = fromTick; tick >= lowest; tick--) {
        if (await this.book.populated(tick)) visited.push(tick);
      }
    }
    // Insolvent ticks come first, and either all are seized or all are skipped.
    const seizes = visited.length === ticks;
    const touched = seizes ? visited : visited.filter((tick) => !insolvent(tick));
    if (touched.length !== ticks)
      throw this.error(
        `Liquidate touched ${ticks} ticks from ${fromTick} to ${lowest}, ${touched.length} are there`,
      );

    let carrier: Carried | undefined;
    let partial: Carried | undefined;
    for (const tick of touched) {
      const { id, node } = (await this.book.populated(tick))!;
      const ratio = ratioOf(tick, units.spacing);
      const before = { tick, node: id, positions: node.count, debtBefore: node.debt };
      if (insolvent(tick)) {
        const collateral = behindDown(node.debt, ratio);
        pot.debt += debtUnitsDown(node.debt, index);
        pot.collateral += collateral;
        await this.book.close(id);
        const nothing = { nodeAfter: 0, debtAfter: 0n, salePrice: 0n, num: 0n, den: 1n };
        this.change.moves.push({ ...before, ...nothing, collateral });
        continue;
      }
      const isPartial = tick === partialTick && partialLand !== partialTick;
      const land = isPartial ? partialLand : t.targetTick;
      const w = salePrice(t, ratio >> t.shift);
      const { debt, seized, num, den } = move(t, node.debt, ratio, ratioOf(land, units.spacing), w);
      const shrunk = await this.book.shrink({ id, node }, debt, num, den);
      if (isPartial) {
        partial = await this.book.mergeWith(land, shrunk);
        await this.book.settleAt(partial, land);
      } else {
        carrier = carrier
          ? await this.book.merge(carrier, shrunk)
          : await this.book.mergeWith(t.targetTick, shrunk);
      }
      this.change.moves.push({
        ...before,
        ...{ land, nodeAfter: 0, debtAfter: debt, collateral: seized, salePrice: w << t.shift, num, den },
      });
    }
    if (carrier) await this.book.settleAt(carrier, t.targetTick);
    for (const moved of this.change.moves) {
      if (moved.land !== undefined) moved.nodeAfter = (moved.land === t.targetTick ? carrier : partial)!.id;
    }
    if (pot.debt !== 0n) this.fillPot(pot);
    await this.lowerTop(fromTick, touched.at(-1), seizes, partial !== undefined, t.targetTick, insolvent);
  }

  private fillPot({ debt, collateral }: { debt: bigint; collateral: bigint }): void {
    const { pot } = this.m;
    const elapsed = min(this.now - pot.seizedAt, HOUR);
    const back = collateral === 0n ? 0n : ceilDiv(elapsed * pot.collateral, pot.collateral + collateral);
    this.m.pot = {
      debt: pot.debt + debt,
      collateral: pot.collateral + collateral,
      seizedAt: collateral === 0n ? pot.seizedAt : this.now - back,
    };
  }

  /** The book's bound, which a sweep that began there lowers to the highest tick that it leaves. */
  private async lowerTop(
    fromTick: number,
    last: number | undefined,
    seizes: boolean,
    isPartial: boolean,
    target: number,
    insolvent: (tick: number) => boolean,
  ): Promise<void> {
    const { counters } = this.book;
    if (fromTick !== counters.top) return;
    let bound = target;
    const skips = !seizes || last === undefined;
    if (isPartial) bound = last! - 1;
    for (let tick = fromTick; tick > bound; tick--) {
      if (last !== undefined && tick >= last && !(skips && insolvent(tick))) continue;
      if (await this.book.populated(tick)) bound = tick;
    }
    if (bound + BOUND_STEP < counters.top) counters.top = bound;
  }

  changePot(): void {
    const { units } = this.replay.market;
    const r = struct(this.event.args, "report");
    const { paid, seized, seizedUnits, potDebt, potCollateral } = this.m.pending;
    this.expect("potDebt", potDebt, big(r, "potDebt"));
    this.expect("potCollateral", potCollateral, big(r, "potCollateral"));
    const [debtSold, sold] = [big(r, "potDebtSold"), big(r, "potCollateralSold")];
    this.expect("seized", collateralTokensDown(seizedUnits + sold, units), seized);
    if (debtSold === 0n) return;
    const { pot } = this.m;
    this.m.pot = { ...pot, debt: pot.debt - debtSold, collateral: pot.collateral - sold };
    const gain = paid - debtTokensUp(debtSold, units);
    this.pay({ cash: big(r, "insurancePaid"), reserves: gain > 0n ? gain : -big(r, "reservesPaid") });
  }

  private terms(high: bigint, low: bigint, index: bigint): SaleTerms {
    const { units } = this.replay.market;
    const risk = { ...this.m.risk, ...thresholdsOf(this.m, this.now) };
    const isRamped = this.m.ramp.duration !== 0n;
    return saleTerms(
      bookPriceUp(high, index, units),
      bookPriceDown(low, index, units),
      risk,
      units.spacing,
      isRamped,
    );
  }

  // ---------------------------------------------------------------- lenders

  async transfer(): Promise<void> {
    const { args } = this.event;
    const { balances } = this.replay.tables;
    const value = big(args, "value");
    for (const [name, amount] of [
      ["from", -value],
      ["to", value],
    ] as const) {
      const lender = text(args, name).toLowerCase();
      if (lender === ZERO_ADDRESS) {
        this.m.lenderShares -= amount;
        continue;
      }
      const balance = ((await balances.get(lender)) ?? 0n) + amount;
      if (balance < 0n) throw this.error(`the lender ${lender} moved more shares than it had`);
      if (balance === 0n) await balances.delete(lender);
      else await balances.set(lender, balance);
    }
  }

  lend(sign: 1n | -1n): void {
    this.charge();
    this.pay({ cash: sign * big(this.event.args, "assets") });
  }

  collectReserves(): void {
    this.charge();
    const amount = big(this.event.args, "amount");
    this.pay({ cash: -amount, reserves: -amount });
  }

  insure(sign: 1n | -1n): void {
    this.m.insurance += sign * big(this.event.args, "amount");
  }

  // ---------------------------------------------------------------- parameters

  setRisk(): void {
    const r = struct(this.event.args, "risk");
    const [liquidationThreshold, target] = [big(r, "liquidationThreshold"), big(r, "target")];
    this.m.risk = {
      liquidationThreshold,
      target,
      maxLtv: big(r, "maxLtv"),
      bonusMin: big(r, "bonusMin"),
      bonusMax: big(r, "bonusMax"),
      slope: big(r, "slope"),
    };
    this.m.ramp = {
      ...this.m.ramp,
      ...{ fromThreshold: liquidationThreshold, fromTarget: target },
      ...{ start: 0n, duration: 0n, isHalted: false },
    };
  }

  setRamp(): void {
    const r = struct(this.event.args, "ramp");
    this.m.ramp = {
      fromThreshold: big(r, "fromThreshold"),
      fromTarget: big(r, "fromTarget"),
      toThreshold: big(r, "toThreshold"),
      toTarget: big(r, "toTarget"),
      start: big(r, "start"),
      duration: big(r, "duration"),
      isHalted: Boolean(r.halted),
    };
  }

  setCaps(): void {
    const r = struct(this.event.args, "caps");
    this.m.caps = { debt: big(r, "debt"), collateral: big(r, "collateral"), minDebt: big(r, "minDebt") };
  }

  setCascade(): void {
    const { args } = this.event;
    const used = this.m.cascade.cap === 0n ? 0n : cascadeUsed(this.m.cascade, this.now);
    this.m.cascade = { cap: big(args, "cap"), window: big(args, "window"), used, usedAt: this.now };
  }

  setReserveFactor(): void {
    this.charge();
    this.m.ledger = { ...this.m.ledger, reserveFactor: big(this.event.args, "percent") };
  }

  setOracle(): void {
    this.m.oracle = text(this.event.args, "oracle");
  }

  setBrake(): void {
    const { args } = this.event;
    this.m.brake = {
      noNewRiskUntil: big(args, "noNewRiskUntil"),
      liquidationsPausedUntil: big(args, "liquidationsPausedUntil"),
      graceUntil: big(args, "graceUntil"),
    };
  }

  startWindDown(): void {
    this.m.isWindingDown = true;
    this.m.brake = { ...this.m.brake, noNewRiskUntil: 2n ** 32n - 1n };
  }

  // ---------------------------------------------------------------- inside

  private get now(): bigint {
    return BigInt(this.event.timestamp);
  }

  /** @param index that the event carries. */
  private charge(index?: bigint): void {
    const { ledger: before } = this.m;
    const { units, paired } = this.replay.market;
    if (this.now < before.accruedAt)
      throw this.error(`its time ${this.now} is before the last charge of interest at ${before.accruedAt}`);
    if (this.known && index !== undefined) this.expect("borrowIndex", this.known.borrowIndex, index);
    const computed = chargeInterest(before, units, this.now);
    const isSame = index === undefined || index === computed.borrowIndex;
    if (paired && this.now !== before.accruedAt && before.debt !== 0n) this.m.isExact = false;
    if (!isSame) this.m.isExact = false;
    const after = isSame ? computed : chargeInterest(before, units, this.now, index);
    if (after.borrowIndex < before.borrowIndex)
      throw this.error(`the borrow index falls from ${before.borrowIndex} to ${after.borrowIndex}`);
    this.m.ledger = after;
    if (this.now === before.accruedAt && isSame) return;
    this.change.accrual = {
      from: before.borrowIndex,
      to: after.borrowIndex,
      interest: tokensOwed(after, units) - tokensOwed(before, units),
      reserved: after.reserves - before.reserves,
    };
  }

  private pay({ cash, reserves = 0n }: { cash: bigint; reserves?: bigint }): void {
    const { ledger } = this.m;
    this.m.ledger = { ...ledger, cash: ledger.cash + cash, reserves: ledger.reserves + reserves };
    if (this.m.ledger.cash < 0n) throw this.error(`more cash leaves than the ${ledger.cash} that are there`);
  }

  private expect(name: string, computed: bigint | number, said: bigint | number): void {
    if (computed !== said)
      throw this.error(
        `${this.event.name} says ${name} ${said}, but ${computed} follows from the events before it`,
      );
  }

  private error(text: string): ReplayError {
    return new ReplayError(`${this.replay.where(this.event)}: ${text}`);
  }

  private opening(): MarketRecord {
    const { block, logIndex, timestamp } = this.event;
    const none = { fromThreshold: 0n, fromTarget: 0n, toThreshold: 0n, toTarget: 0n };
    return {
      ...{ block, logIndex, timestamp, isExact: true, lenderShares: 0n, insurance: 0n, oracle: "" },
      ledger: {
        ...{ borrowIndex: BORROW_INDEX_ONE, rateAtTarget: RATE_AT_TARGET, accruedAt: this.now },
        ...{ cash: 0n, debt: 0n, reserves: 0n, reserveFactor: 0n },
      },
      risk: {
        ...{ maxLtv: 0n, liquidationThreshold: 0n, target: 0n },
        ...{ bonusMin: 0n, bonusMax: 0n, slope: 0n },
      },
      caps: { debt: 0n, collateral: 0n, minDebt: 0n },
      ramp: { ...none, start: 0n, duration: 0n, isHalted: false },
      brake: { noNewRiskUntil: 0n, liquidationsPausedUntil: 0n, graceUntil: 0n },
      isWindingDown: false,
      cascade: { cap: 0n, window: 0n, used: 0n, usedAt: 0n },
      nodes: 0,
      top: -maxTick(this.replay.market.units.spacing),
      pot: { debt: 0n, collateral: 0n, seizedAt: 0n },
      pending: { paid: 0n, seized: 0n, seizedUnits: 0n, potDebt: 0n, potCollateral: 0n },
    };
  }
}

type Rule = (turn: Turn) => Promise<void> | void;

const VAULT_RULES: Readonly<Record<string, Rule>> = {
  Adjust: (t) => t.adjust(),
  WithdrawSurplus: (t) => t.withdrawSurplus(),
  TransferPosition: (t) => t.transferPosition(),
  Settle: (t) => t.settle(),
  Liquidate: (t) => t.liquidate(),
  ChangePot: (t) => t.changePot(),
  Transfer: (t) => t.transfer(),
  Deposit: (t) => t.lend(1n),
  Withdraw: (t) => t.lend(-1n),
  CollectReserves: (t) => t.collectReserves(),
  SetRisk: (t) => t.setRisk(),
  SetRamp: (t) => t.setRamp(),
  SetCaps: (t) => t.setCaps(),
  SetCascade: (t) => t.setCascade(),
  SetReserveFactor: (t) => t.setReserveFactor(),
  SetOracle: (t) => t.setOracle(),
  SetBrake: (t) => t.setBrake(),
  StartWindDown: (t) => t.startWindDown(),
};

const INSURANCE_RULES: Readonly<Record<string, Rule>> = {
  Deposit: (t) => t.insure(1n),
  Cover: (t) => t.insure(-1n),
  Withdraw: (t) => t.insure(-1n),
};

/** Events of these names, of a vault and of the insurance fund, are all that a replay needs. */
export const REPLAYED_EVENTS = { vault: Object.keys(VAULT_RULES), insurance: Object.keys(INSURANCE_RULES) };

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function value(args: Args, name: string): unknown {
  const found = args[name];
  if (found === undefined)
    throw new ReplayError(`an event has no "${name}": it is of another version of the contracts`);
  return found;
}

function big(args: Args, name: string): bigint {
  return BigInt(value(args, name) as bigint | number);
}

function int(args: Args, name: string): number {
  return Number(value(args, name));
}

function text(args: Args, name: string): string {
  return value(args, name) as string;
}

function struct(args: Args, name: string): Args {
  return value(args, name) as Args;
}
