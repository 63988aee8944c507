// One market, event by event: its replay, what its positions were at their last lines, and the lines that follow.
import { BRAKE_LEVELS, PRICE_STATES, type ProtocolEvent } from "@breakwater/sdk/chain";
import {
  BORROW_INDEX_ONE,
  type Change,
  type Ledger,
  Q128,
  type ReplayEvent,
  Replay,
  ReplayError,
  type ResolvedPosition,
  WAD,
  bookPriceUp,
  ceilDiv,
  collateralUnitsDown,
  debtTokensDown,
  debtTokensUp,
  debtUnitsDown,
  debtUnitsOfTokensDown,
  debtUnitsUp,
  max,
  memoryTables,
  min,
  positionKey,
  ratioOf,
} from "@breakwater/sdk/core";
import { Refusal } from "@breakwater/sdk/desk";
import { ZeroAddress } from "ethers";

import type { Amount, AmountName, Balance, Evidence, Line, PositionState, PriceLine } from "./lines.ts";
import { decimalOf, isoTime, lineOf, type Names, stamp, unitsIn } from "./names.ts";
import type { Block, Market, Price, RegisterEvent } from "./read.ts";

/** A position since its line before. Amounts in units, 18 decimals for debt. */
interface Kept {
  owner: string;
  sub: bigint;
  tick?: number;
  principal: bigint;
  debt: bigint;
  collateral: bigint;
  surplus: bigint;
}

type Amounts = Partial<Record<AmountName, Amount>>;
type Changes = Partial<Record<Balance, Amount>>;

const FUND_LINES: Partial<Record<string, { kind: Line["kind"]; sign: 1n | -1n }>> = {
  Deposit: { kind: "insurance-in", sign: 1n },
  Cover: { kind: "insurance-cover", sign: -1n },
  Withdraw: { kind: "insurance-out", sign: -1n },
};

export class MarketBook {
  readonly replay;
  readonly amount: ReturnType<typeof unitsIn>;
  readonly named: { market: string; vault: string };
  readonly kept = new Map<string, Kept>();
  /** Keys of positions with debt. */
  private readonly atTick = new Map<number, Set<string>>();
  /** Of the block that is being told. */
  private opening: Ledger | undefined;
  private reservesMoved = 0n;
  private reading: Ledger | undefined;
  private price: Price | undefined;

  constructor(
    private readonly names: Names,
    readonly market: Market,
  ) {
    const { vault, insurance, units, paired } = market;
    this.replay = new Replay({ vault, insurance, units, paired }, memoryTables());
    this.amount = unitsIn(names, market);
    this.named = { market: market.id, vault: names.account(vault) };
  }

  // ---------------------------------------------------------------- blocks

  /** The period begins with what the chain says at the block before. */
  async open(ledger: Ledger, exists: boolean): Promise<void> {
    if (this.record() === undefined) {
      if (!exists) return;
      throw new Refusal(
        `${this.market.id} is open, but the node has no event of it: it does not have all logs since its deployment`,
      );
    }
    await this.replay.read(ledger);
    for (const kept of this.kept.values()) {
      const now = await this.stateOf(kept.owner, kept.sub, ledger.borrowIndex);
      Object.assign(kept, now, { principal: min(kept.principal, now.debt) });
    }
  }

  beginBlock(ledger: Ledger | undefined, price: Price | undefined): void {
    [this.reading, this.price, this.reservesMoved] = [ledger, price, 0n];
    this.opening = this.replay.tables.market.get("market")?.ledger;
  }

  /** Holds the block's events against what the market says at its end; what they leave is interest. */
  async endBlock(block: Block): Promise<Line[]> {
    const { reading, opening } = this;
    [this.reading, this.price] = [undefined, undefined];
    if (!reading) return [];
    await this.replay.read(reading);
    const before = opening ?? { ...reading, borrowIndex: BORROW_INDEX_ONE, debt: 0n, reserves: 0n };
    const interest =
      debtUnitsDown(before.debt, reading.borrowIndex) - debtUnitsDown(before.debt, before.borrowIndex);
    const toReserves = reading.reserves - before.reserves - this.reservesMoved;
    if (interest === 0n && toReserves === 0n) return [];
    const { units, paired } = this.market;
    const inTokens =
      debtTokensDown(debtUnitsDown(before.debt, reading.borrowIndex), units) -
      debtTokensDown(debtUnitsDown(before.debt, before.borrowIndex), units);
    // A pair may leave the reserves any part of the interest; else it is the factor that held until this block.
    const most = paired ? inTokens : (inTokens * before.reserveFactor) / 100n;
    if (toReserves < 0n || toReserves > most) {
      throw new ReplayError(
        `${this.market.id}, block ${block.number}: reserves rose by ${toReserves} beyond the events, ` +
          `of interest of ${inTokens} that is from 0 to ${most}`,
      );
    }
    const { amount } = this;
    return [
      {
        ...stamp(this.names, block),
        ...{ id: `${block.number}.interest.${this.market.id}`, kind: "interest" },
        ...this.named,
        borrowIndex: reading.borrowIndex.toString(),
        amounts: {
          interest: amount.debtUnits(interest),
          toReserves: amount.debt(toReserves),
          toLenders: amount.debt(inTokens - toReserves),
        },
        changes: { debt: amount.debtUnits(interest), reserves: amount.debt(toReserves) },
        note: "charged since the interest line before; of no one event: index and reserves are the vault's, read at this block",
      },
    ];
  }

  /** What positions were at their last lines, by owner and sub-account. */
  points(): Map<string, Point> {
    return new Map([...this.kept.values()].map(({ owner, sub, ...kept }) => [`${owner}/${sub}`, kept]));
  }

  lastIndex(): bigint {
    return this.record()?.ledger.borrowIndex ?? BORROW_INDEX_ONE;
  }

  async closing(block: Block): Promise<Line[]> {
    const record = this.record();
    if (!record) return [];
    const lines: Line[] = [];
    for (const key of [...this.kept.keys()].sort()) {
      const kept = this.kept.get(key)!;
      const now = await this.stateOf(kept.owner, kept.sub, record.ledger.borrowIndex);
      const accrued = now.debt - kept.debt;
      if (accrued !== 0n || now.collateral !== kept.collateral) {
        lines.push({
          ...stamp(this.names, block),
          ...{ id: `${block.number}.accrual.${this.market.id}.${kept.owner}.${kept.sub}`, kind: "accrual" },
          ...this.named,
          account: this.names.account(kept.owner),
          sub: kept.sub.toString(),
          borrowIndex: record.ledger.borrowIndex.toString(),
          amounts: { accrued: this.amount.debtUnits(accrued) },
          positionChanges: this.movedOf(kept, now),
          after: this.shown(now),
          note: "owed more at the end of the period since the position's line before",
        });
      }
      Object.assign(kept, now);
    }
    return lines;
  }

  // ---------------------------------------------------------------- events

  /** Brings the book up to this event. @returns its lines. */
  async apply(event: RegisterEvent, block: Block, all: RegisterEvent[]): Promise<Line[]> {
    const { amount } = this;
    const line = (kind: Line["kind"], rest: Partial<Line>) =>
      lineOf(this.names, block, event, kind, { ...this.named, ...this.priced(block), ...rest });
    if (event.contract === "InsuranceFund") {
      await this.step(event, block);
      const fund = FUND_LINES[event.name];
      if (!fund || !("amount" in event.args)) return [];
      const { args } = event;
      const who = "from" in args ? args.from : "receiver" in args ? args.receiver : undefined;
      return [
        line(fund.kind, {
          ...(who !== undefined && { account: this.names.account(who) }),
          amounts: { amount: amount.debt(args.amount) },
          changes: { insurance: amount.debt(fund.sign * args.amount) },
        }),
      ];
    }
    if (event.contract !== "Vault") return [];
    switch (event.name) {
      case "Adjust": {
        const { owner, sub, caller, collateralDelta, debtDelta, borrowIndex } = event.args;
        const index = borrowIndex === 0n ? this.index() : borrowIndex;
        const before = await this.stateOf(owner, sub, index);
        const total = this.bookDebt();
        await this.step(event, block);
        const moved = await this.touch(owner, sub, index, before);
        return [
          line("adjust", {
            ...this.whose(owner, sub),
            counterparty: this.names.account(caller),
            borrowIndex: index.toString(),
            amounts: {
              collateral: amount.collateral(collateralDelta),
              debt: amount.debt(debtDelta),
              ...moved.amounts,
            },
            changes: {
              ...(debtDelta !== 0n && { cash: amount.debt(-debtDelta), debtTokens: amount.debt(-debtDelta) }),
              ...(collateralDelta !== 0n && { collateralTokens: amount.collateral(collateralDelta) }),
              ...this.debtChange(total, index),
            },
            ...moved.line,
          }),
        ];
      }
      case "WithdrawSurplus": {
        const { owner, sub, caller, receiver, amount: taken } = event.args;
        const before = await this.stateOf(owner, sub, this.index());
        await this.step(event, block);
        const moved = await this.touch(owner, sub, this.index(), before);
        return [
          line("surplus", {
            ...this.whose(owner, sub),
            counterparty: this.names.account(receiver),
            amounts: { collateral: amount.collateral(-taken), ...moved.amounts },
            changes: { collateralTokens: amount.collateral(-taken) },
            ...moved.line,
            ...(caller !== owner && { note: `by ${this.names.account(caller)}` }),
          }),
        ];
      }
      case "TransferPosition":
        return this.transferPosition(event, block, line);
      case "Settle":
        return this.settle(event, block, line);
      case "Liquidate":
        return this.liquidate(event, block, all, line);
      case "Deposit":
      case "Withdraw": {
        await this.step(event, block);
        const { owner, assets, shares } = event.args;
        const other = event.name === "Deposit" ? event.args.sender : event.args.receiver;
        const sign = event.name === "Deposit" ? 1n : -1n;
        return [
          line(event.name === "Deposit" ? "lend" : "redeem", {
            account: this.names.account(owner),
            counterparty: this.names.account(other),
            amounts: {
              assets: amount.debt(sign * assets),
              shares: amount.shares(sign * shares),
              sharePrice: amount.debt((assets * 10n ** BigInt(this.market.decimals.debt)) / shares),
            },
            changes: {
              cash: amount.debt(sign * assets),
              shares: amount.shares(sign * shares),
              debtTokens: amount.debt(sign * assets),
            },
          }),
        ];
      }
      case "Transfer": {
        await this.step(event, block);
        const { from, to, value } = event.args;
        // Of what is lent or redeemed, that event is the line.
        if (from === ZeroAddress || to === ZeroAddress) return [];
        const [out, into] = [this.names.account(from), this.names.account(to)];
        return [
          line("shares-out", {
            account: out,
            counterparty: into,
            amounts: { shares: amount.shares(-value) },
          }),
          line("shares-in", { account: into, counterparty: out, amounts: { shares: amount.shares(value) } }),
        ].map((each, part) => ({ ...each, id: `${each.id}.${part}` }));
      }
      case "CollectReserves": {
        await this.step(event, block);
        const moved = amount.debt(-event.args.amount);
        this.reservesMoved -= event.args.amount;
        return [
          line("reserves-collected", {
            amounts: { amount: amount.debt(event.args.amount) },
            changes: { cash: moved, reserves: moved, debtTokens: moved },
          }),
        ];
      }
      default:
        await this.step(event, block);
        return [];
    }
  }

  private async transferPosition(
    event: ProtocolEvent<"TransferPosition">,
    block: Block,
    line: (kind: Line["kind"], rest: Partial<Line>) => Line,
  ): Promise<Line[]> {
    const { from, fromSub, to, toSub } = event.args;
    const index = this.index();
    const befores = [await this.stateOf(from, fromSub, index), await this.stateOf(to, toSub, index)] as const;
    await this.step(event, block);
    // What was borrowed goes with the position, so it is told of the giver first.
    const principal = this.kept.get(positionKey(from, fromSub))?.principal ?? 0n;
    const out = await this.touch(from, fromSub, index, befores[0], -principal);
    const into = await this.touch(to, toSub, index, befores[1], principal);
    return [
      line("transfer-out", {
        ...this.whose(from, fromSub),
        counterparty: this.names.account(to),
        amounts: out.amounts,
        ...out.line,
        note: `to sub-account ${toSub}`,
      }),
      line("transfer-in", {
        ...this.whose(to, toSub),
        counterparty: this.names.account(from),
        amounts: into.amounts,
        ...into.line,
        note: `from sub-account ${fromSub}`,
      }),
    ].map((each, part) => ({ ...each, id: `${each.id}.${part}` }));
  }

  private async settle(
    event: ProtocolEvent<"Settle">,
    block: Block,
    line: (kind: Line["kind"], rest: Partial<Line>) => Line,
  ): Promise<Line[]> {
    const { amount } = this;
    const { owner, sub, caller, receiver, priceLow, priceHigh, repaid, seized, borrowIndex } = event.args;
    const before = await this.stateOf(owner, sub, borrowIndex);
    const total = this.bookDebt();
    const { sold } = await this.step(event, block);
    const moved = await this.touch(owner, sub, borrowIndex, before);
    // The event has the prices, but not their rounds.
    const prices = { low: priceLow, high: priceHigh };
    const price = this.price && this.priceLine({ ...this.price, ...prices }, block, "event");
    const note = "low and high are the event's; state and rounds were asked of the adapter at this block";
    const cleared = before.debt - moved.now.debt;
    const common = {
      borrowIndex: borrowIndex.toString(),
      price,
      counterparty: this.names.account(receiver),
      note,
    };
    return [
      line("settlement", {
        ...common,
        account: this.names.account(caller),
        amounts: {
          repaid: amount.debt(repaid),
          seized: amount.collateral(seized),
          bonus: amount.debtUnits(this.worth(this.seizedUnits(seized), priceHigh) - this.debtUnits(repaid)),
        },
        changes: {
          cash: amount.debt(repaid),
          debtTokens: amount.debt(repaid),
          collateralTokens: amount.collateral(-seized),
          ...this.debtChange(total, borrowIndex),
        },
      }),
      line("settled", {
        ...common,
        ...this.whose(owner, sub),
        counterparty: this.names.account(caller),
        amounts: {
          debtCleared: amount.debtUnits(cleared),
          collateralLost: amount.collateralUnits(sold.collateral),
          penalty: amount.debtUnits(this.worth(sold.collateral, priceHigh) - cleared),
          ...moved.amounts,
        },
        ...moved.line,
      }),
    ].map((each, part) => ({ ...each, id: `${each.id}.${part}` }));
  }

  // ---------------------------------------------------------------- liquidations

  private async liquidate(
    event: ProtocolEvent<"Liquidate">,
    block: Block,
    all: RegisterEvent[],
    line: (kind: Line["kind"], rest: Partial<Line>) => Line,
  ): Promise<Line[]> {
    const { amount } = this;
    const { caller, receiver, report: r } = event.args;
    const index = r.borrowIndex;
    const pot = potAfter(event, all) ?? NO_POT;

    const befores = new Map<string, Point>();
    for (let tick = Number(r.fromTick); tick >= Number(r.lowestTick) && r.ticks !== 0n; tick--) {
      for (const key of this.atTick.get(tick) ?? []) {
        const { owner, sub } = this.kept.get(key)!;
        befores.set(key, await this.stateOf(owner, sub, index));
      }
    }
    const total = this.bookDebt();
    const { moves, sold } = await this.step(event, block);

    const high = bookPriceUp(r.priceHigh, index, this.market.units);
    const price = this.priceLine(
      {
        oracle: this.oracle(),
        ...{ low: r.priceLow, high: r.priceHigh, roundA: r.roundA, roundB: r.roundB },
        state: PRICE_STATES[Number(r.oracleState)]!,
      },
      block,
      "event",
    );
    const swept = new Set(moves.map(({ tick }) => tick));
    const shares: Line[] = [];
    const sum = { principal: 0n, interest: 0n };
    const counterparty = this.names.account(caller);
    // In the order of their keys: an event names no position.
    for (const key of [...befores.keys()].sort()) {
      const before = befores.get(key)!;
      if (before.tick === undefined || !swept.has(before.tick)) continue;
      const { owner, sub } = this.kept.get(key)!;
      const moved = await this.touch(owner, sub, index, before);
      const cleared = before.debt - moved.now.debt;
      const lost = before.collateral - moved.now.collateral;
      sum.principal += moved.principal;
      sum.interest += moved.interest;
      shares.push(
        line("liquidated", {
          ...this.whose(owner, sub),
          counterparty,
          price,
          borrowIndex: index.toString(),
          amounts: {
            debtCleared: amount.debtUnits(cleared),
            collateralLost: amount.collateralUnits(lost),
            penalty: amount.debtUnits(this.worth(lost, r.priceHigh) - cleared),
            ...moved.amounts,
          },
          ...moved.line,
          before: this.shown(before, high),
          after: this.shown(moved.now, high),
        }),
      );
    }

    const soldUnits = debtUnitsUp(sold.debt, index);
    const sweepRepaid = debtTokensUp(soldUnits, this.market.units);
    const potPaid = r.repaid - sweepRepaid;
    const potOwed = debtTokensUp(pot.potDebtSold, this.market.units);
    const gain = pot.potDebtSold === 0n ? 0n : max(potPaid - potOwed, 0n);
    this.reservesMoved += gain - pot.reservesPaid;
    const debtChange = this.debtChange(total, index);
    const cleared = -BigInt(debtChange.debt?.raw ?? 0);
    const lost = sold.collateral + pot.potCollateral;
    const repaidUnits = this.debtUnits(r.repaid);
    const received = r.repaid + pot.insurancePaid;
    return [
      line("liquidation", {
        account: counterparty,
        // A seizure on a lender's way in or out has no receiver.
        ...(receiver !== ZeroAddress && { counterparty: this.names.account(receiver) }),
        price,
        borrowIndex: index.toString(),
        ...this.sweptRatios(moves, high),
        amounts: {
          debtCleared: amount.debtUnits(cleared),
          principal: amount.debtUnits(sum.principal),
          interest: amount.debtUnits(sum.interest),
          collateralLost: amount.collateralUnits(lost),
          repaid: amount.debt(r.repaid),
          seized: amount.collateral(r.seized),
          bonus: amount.debtUnits(this.worth(this.seizedUnits(r.seized), r.priceHigh) - repaidUnits),
          penalty: amount.debtUnits(this.worth(lost, r.priceHigh) - cleared),
          seizedDebt: amount.debtUnits(pot.potDebt),
          seizedCollateral: amount.collateralUnits(pot.potCollateral),
          potPaid: amount.debt(potPaid),
          potDebtSold: amount.debtUnits(pot.potDebtSold),
          potCollateralSold: amount.collateralUnits(pot.potCollateralSold),
          badDebt: amount.debt(pot.insurancePaid + pot.reservesPaid + pot.lendersLoss),
          insurance: amount.debt(pot.insurancePaid),
          reserves: amount.debt(pot.reservesPaid),
          lendersLoss: amount.debt(pot.lendersLoss),
        },
        changes: {
          ...(received !== 0n && { cash: amount.debt(received), debtTokens: amount.debt(received) }),
          ...(r.seized !== 0n && { collateralTokens: amount.collateral(-r.seized) }),
          ...debtChange,
          ...(gain !== pot.reservesPaid && { reserves: amount.debt(gain - pot.reservesPaid) }),
          ...(pot !== NO_POT && {
            potDebt: amount.debtUnits(pot.potDebt - pot.potDebtSold),
            potCollateral: amount.collateralUnits(pot.potCollateral - pot.potCollateralSold),
          }),
        },
        evidence: this.evidenceOf(event, moves, shares.length, high),
      }),
      ...shares.map((each, part) => ({ ...each, id: `${each.id}.${part + 1}` })),
    ];
  }

  private evidenceOf(
    { args: { report: r } }: ProtocolEvent<"Liquidate">,
    moves: Change["moves"],
    positions: number,
    high: bigint,
  ): Evidence {
    return {
      brakeLevel: BRAKE_LEVELS[Number(r.brakeLevel)]!,
      fromTick: Number(r.fromTick),
      lowestTick: Number(r.lowestTick),
      landTick: Number(r.landTick),
      partial:
        r.partialTick === r.partialLandTick
          ? null
          : { tick: Number(r.partialTick), landTick: Number(r.partialLandTick) },
      ticks: Number(r.ticks),
      positions,
      steps: moves.map(({ tick, land, debtBefore, debtAfter, collateral, num, den }) => ({
        tick,
        landTick: land ?? null,
        debtBefore: debtBefore.toString(),
        debtAfter: debtAfter.toString(),
        seized: collateral.toString(),
        factor: land === undefined ? null : { numerator: num.toString(), denominator: den.toString() },
        ltvBefore: decimalOf(this.ltvAt(tick, high), 18),
        ltvAfter: land === undefined ? null : decimalOf(this.ltvAt(land, high), 18),
      })),
    };
  }

  /** LTV of all that was swept, before and after. */
  private sweptRatios(moves: Change["moves"], high: bigint): Partial<Line> {
    let [debtBefore, behindBefore, debtAfter, behindAfter] = [0n, 0n, 0n, 0n];
    for (const { tick, land, debtBefore: before, debtAfter: after } of moves) {
      debtBefore += before;
      behindBefore += (before << 128n) / this.ratio(tick);
      if (land === undefined) continue;
      debtAfter += after;
      behindAfter += (after << 128n) / this.ratio(land);
    }
    const told = (debt: bigint, behind: bigint) => ceilDiv(debt * WAD * Q128, behind * high);
    if (behindBefore === 0n) return {};
    const before = told(debtBefore, behindBefore);
    const after = behindAfter === 0n ? undefined : told(debtAfter, behindAfter);
    return {
      ltvBefore: decimalOf(before, 18),
      collateralRatioBefore: decimalOf((WAD * WAD) / before, 18),
      ...(after !== undefined && {
        ltvAfter: decimalOf(after, 18),
        collateralRatioAfter: decimalOf((WAD * WAD) / after, 18),
      }),
    };
  }

  // ---------------------------------------------------------------- positions

  /** A position as the book has it, at a borrow index. */
  async stateOf(owner: string, sub: bigint, index: bigint): Promise<Point> {
    return pointOf(await this.replay.position(owner, sub), index);
  }

  /** Remembers what a position is after an event, and tells what that changed. @param given principal that came with it. */
  private async touch(owner: string, sub: bigint, index: bigint, before: Point, given?: bigint) {
    const key = positionKey(owner, sub);
    const kept = this.kept.get(key) ?? { owner, sub, ...NOWHERE, principal: 0n };
    const now = await this.stateOf(owner, sub, index);
    const accrued = before.debt - kept.debt;
    const cleared = given === undefined ? before.debt - now.debt : 0n;
    // Interest first: what is left of the debt beyond the principal.
    const interest = cleared > 0n ? min(cleared, max(before.debt - kept.principal, 0n)) : 0n;
    const principal = min(max(kept.principal + (given ?? interest - cleared), 0n), now.debt);
    const positionChanges = this.movedOf(kept, now);
    const moved = principal - kept.principal;
    this.settleIn(key, { owner, sub, ...now, principal });
    const high =
      this.price && this.price.high > 0n ? bookPriceUp(this.price.high, index, this.market.units) : undefined;
    return {
      now,
      principal: moved,
      interest,
      amounts: {
        ...(moved !== 0n && { principal: this.amount.debtUnits(moved) }),
        ...(interest !== 0n && { interest: this.amount.debtUnits(interest) }),
        ...(accrued !== 0n && { accrued: this.amount.debtUnits(accrued) }),
      } satisfies Amounts,
      line: { positionChanges, before: this.shown(before, high), after: this.shown(now, high) },
    };
  }

  private settleIn(key: string, now: Kept): void {
    const before = this.kept.get(key);
    if (before?.tick !== undefined) {
      const there = this.atTick.get(before.tick)!;
      there.delete(key);
      if (there.size === 0) this.atTick.delete(before.tick);
    }
    if (now.tick !== undefined) {
      const there = this.atTick.get(now.tick);
      if (there) there.add(key);
      else this.atTick.set(now.tick, new Set([key]));
    }
    if (now.debt === 0n && now.surplus === 0n) this.kept.delete(key);
    else this.kept.set(key, now);
  }

  private movedOf(from: Point, to: Point): Line["positionChanges"] {
    const { debtUnits, collateralUnits } = this.amount;
    return {
      ...(to.debt !== from.debt && { debt: debtUnits(to.debt - from.debt) }),
      ...(to.collateral !== from.collateral && {
        collateral: collateralUnits(to.collateral - from.collateral),
      }),
      ...(to.surplus !== from.surplus && { surplus: collateralUnits(to.surplus - from.surplus) }),
    };
  }

  private shown(point: Point, high?: bigint): PositionState {
    const { debtUnits, collateralUnits } = this.amount;
    const ltv = point.tick === undefined || high === undefined ? undefined : this.ltvAt(point.tick, high);
    return {
      debt: debtUnits(point.debt),
      collateral: collateralUnits(point.collateral),
      surplus: collateralUnits(point.surplus),
      ...(point.tick !== undefined && { tick: point.tick }),
      ...(ltv !== undefined && {
        ltv: decimalOf(ltv, 18),
        collateralRatio: decimalOf((WAD * WAD) / ltv, 18),
      }),
    };
  }

  private whose(owner: string, sub: bigint): Partial<Line> {
    return { account: this.names.account(owner), sub: sub.toString() };
  }

  // ---------------------------------------------------------------- arithmetic

  private async step(event: RegisterEvent, block: Block): Promise<Change> {
    const { address, name, args, index } = event;
    return this.replay.apply({
      ...{ address, name, args: args as unknown as ReplayEvent["args"] },
      ...{ block: block.number, logIndex: index, timestamp: block.timestamp },
    });
  }

  /** The last index that is known: of this block, if it was read. */
  private index(): bigint {
    return this.reading?.borrowIndex ?? this.lastIndex();
  }

  private record() {
    return this.replay.tables.market.get("market");
  }

  private bookDebt(): bigint {
    return this.record()?.ledger.debt ?? 0n;
  }

  oracle(): string {
    const oracle = this.record()?.oracle;
    return oracle === undefined || oracle === "" ? this.market.oracle : oracle;
  }

  private debtChange(before: bigint, index: bigint): Changes {
    const change = debtUnitsDown(this.bookDebt(), index) - debtUnitsDown(before, index);
    return change === 0n ? {} : { debt: this.amount.debtUnits(change) };
  }

  private ratio(tick: number): bigint {
    return ratioOf(tick, this.market.units.spacing);
  }

  private ltvAt(tick: number, high: bigint): bigint {
    return ceilDiv(this.ratio(tick) * WAD, high);
  }

  private debtUnits(tokens: bigint): bigint {
    return debtUnitsOfTokensDown(tokens, this.market.units);
  }

  private seizedUnits(tokens: bigint): bigint {
    return collateralUnitsDown(tokens, this.market.units);
  }

  /** Debt units that collateral units are worth at a price, rounded down. */
  private worth(collateralUnits: bigint, price: bigint): bigint {
    return (collateralUnits * price * this.market.units.priceMultiplier) / Q128;
  }

  private priced(block: Block): { price?: PriceLine } {
    return this.price ? { price: this.priceLine(this.price, block, "call") } : {};
  }

  private priceLine(price: Price, block: Block, from: PriceLine["from"]): PriceLine {
    const told = (q128: bigint) => decimalOf((q128 * WAD) / Q128, 18);
    return {
      source: this.names.account(price.oracle),
      time: isoTime(block.timestamp),
      low: told(price.low),
      high: told(price.high),
      lowRaw: price.low.toString(),
      highRaw: price.high.toString(),
      state: price.state,
      roundA: price.roundA.toString(),
      roundB: price.roundB.toString(),
      from,
    };
  }
}

export interface Point {
  tick?: number;
  debt: bigint;
  collateral: bigint;
  surplus: bigint;
}
const NOWHERE: Point = { tick: undefined, debt: 0n, collateral: 0n, surplus: 0n };

interface Pot {
  potDebt: bigint;
  potCollateral: bigint;
  potDebtSold: bigint;
  potCollateralSold: bigint;
  insurancePaid: bigint;
  reservesPaid: bigint;
  lendersLoss: bigint;
}
const NO_POT: Pot = {
  ...{ potDebt: 0n, potCollateral: 0n, potDebtSold: 0n, potCollateralSold: 0n },
  ...{ insurancePaid: 0n, reservesPaid: 0n, lendersLoss: 0n },
};

/** ChangePot, if it comes, explains the Liquidate just before it. */
function potAfter(event: ProtocolEvent<"Liquidate">, all: RegisterEvent[]): Pot | undefined {
  const own = all.filter((each) => each.contract === "Vault" && each.address === event.address);
  const next = own[own.indexOf(event) + 1];
  return next?.name === "ChangePot" ? next.args.report : undefined;
}

function pointOf({ debt, collateral, surplus, tick }: ResolvedPosition, index: bigint): Point {
  return { debt: debtUnitsDown(debt, index), collateral, surplus, tick: debt === 0n ? undefined : tick };
}
