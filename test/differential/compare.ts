/** After an operation: everything that the vault stores and says against the model, and the book's own invariants. */
import type { Level, Model, Price } from "../model/model.ts";
import { Real } from "../model/real.ts";
import type { BookState } from "./storage.ts";
import { admit, expectEqual, Mismatch } from "./trial.ts";
import type { Venue } from "./venue.ts";

/** What views answer at one moment; token units. */
export interface Views {
  price: Price;
  totalAssets: bigint;
  totalSupply: bigint;
  maxDeposit: bigint;
  insurance: bigint;
  collateralBalance: bigint;
  debtBalance: bigint;
}

const INDEX = Real.of(1n << 72n);
const WAD = Real.of(10n ** 18n);

export function compareState(model: Model, venue: Venue, book: BookState, views: Views): void {
  expectEqual("accrued at", book.accruedAt, model.accruedAt);
  admit("borrow index", model.borrowIndex.times(INDEX), book.borrowIndex);
  admit("rate at target", model.rateAtTarget.times(WAD), book.rateAtTarget);
  model.adoptInterest(book.borrowIndex, book.rateAtTarget);

  admit("cash", model.cash, book.cash);
  admit("reserves", model.reserves, book.reserves);
  admit("insurance", model.insurance, views.insurance);
  admit("book debt", model.totalBookDebt(), book.debt);
  admit("pot debt", model.potDebt, book.potDebt);
  admit("pot collateral", model.potCollateral, book.potCollateral);
  admit("shares", model.totalShares, views.totalSupply);
  admit("total assets", model.totalAssets(views.price), views.totalAssets);
  expectEqual("level of the brake", levelOf(book, model.now), model.level);
  const { liquidationThreshold, target } = model.thresholds();
  const thresholds = thresholdsOf(book, model.now);
  expectEqual("liquidation threshold", thresholds.liquidationThreshold, liquidationThreshold);
  expectEqual("target", thresholds.target, target);
  expectEqual("cascade cap", book.cascade?.cap, model.cascade?.cap);
  expectEqual("cascade window", book.cascade?.window, model.cascade?.window);
  admit("used of the cascade cap", model.cascadeUsed(), usedOf(book, model.now));
  if (book.cascade !== undefined) model.adoptCascade(book.cascade.used, book.cascade.usedAt);
  for (const [name, position] of book.positions) {
    const account = model.account(name);
    expectEqual(`tick of ${name}`, position.tick, account.tick);
    admit(`debt of ${name}`, model.debtOf(account), position.debt);
    admit(`surplus of ${name}`, account.surplus, position.surplus);
  }
  for (const { tick, debt } of book.live.values()) admit(`debt of tick ${tick}`, model.tickDebt(tick), debt);

  const open = views.maxDeposit !== 0n;
  const waits = model.windingDown ? "WindingDown" : model.lendersWait(views.price);
  if (open === (waits !== undefined)) {
    throw new Mismatch(
      `Lenders ${open ? "need not wait" : "wait"}, in the model ${waits ?? "they need not"}`,
    );
  }
  compareBook(book, venue);
}

function levelOf(book: BookState, now: bigint): Level {
  if (now < book.liquidationsPausedUntil) return "LiquidationsPaused";
  if (now < book.graceUntil) return "Grace";
  return now < book.noNewRiskUntil ? "NoNewRisk" : "None";
}

/** What the stored ramp says. */
function thresholdsOf({ ramp, graceUntil }: BookState, now: bigint) {
  const { from, to, start, duration, halted } = ramp;
  if (duration === 0n) return from;
  const clock = now > graceUntil ? now : graceUntil;
  const ran = halted ? start : clock - start;
  const left = ran > duration ? 0n : duration - ran;
  const sum = (a: bigint, b: bigint) => a * left + b * (duration - left);
  return {
    liquidationThreshold:
      (sum(from.liquidationThreshold, to.liquidationThreshold) + duration - 1n) / duration,
    target: sum(from.target, to.target) / duration,
  };
}

/** What the stored cascade brake says. */
function usedOf({ cascade }: BookState, now: bigint): bigint {
  if (cascade === undefined) return 0n;
  const used = cascade.used - (cascade.cap * (now - cascade.usedAt)) / cascade.window;
  return used > 0n ? used : 0n;
}

/** Invariants of the book by itself. */
function compareBook(book: BookState, venue: Venue): void {
  // I2: no node owes less than its positions; I3: the total is the sum of the nodes; I4; I5; I11.
  const members = new Map<number, { count: bigint; owed: bigint }>();
  for (const { tick, debt } of book.positions.values()) {
    if (tick === undefined) continue;
    const { count, owed } = members.get(tick) ?? { count: 0n, owed: 0n };
    members.set(tick, { count: count + 1n, owed: owed + debt });
  }
  let nodes = 0n;
  for (const [id, { tick, count, debt, index }] of book.live) {
    const { count: here, owed } = members.get(tick)!;
    nodes += debt;
    if (owed > debt) throw new Mismatch(`Tick ${tick} owes ${owed}, its node ${debt}`);
    expectEqual(`positions at tick ${tick}`, count, here);
    expectEqual(`node of tick ${tick}`, book.nodeAt.get(tick), id);
    if (tick > book.top) throw new Mismatch(`Tick ${tick} is above the bound ${book.top}`);
    if (index < venue.index.indexMin || index > venue.index.indexOne) {
      throw new Mismatch(`Tick ${tick} has index ${index}`);
    }
  }
  expectEqual("Σ nodes", nodes, book.debt);
  expectEqual("live nodes", book.live.size, members.size);
  expectEqual("ticks with a bit", book.bits.size, members.size);
  for (const tick of book.bits) {
    if (!members.has(tick)) throw new Mismatch(`Tick ${tick} has a bit and no position`);
  }
  const limit = book.nodes.toString(2).length * 2;
  for (const [name, { depth }] of book.positions) {
    if (depth > limit) throw new Mismatch(`${name} is ${depth} links deep of ${book.nodes} nodes`);
  }
}

/** What the vault holds beyond what it promises, 2^-64 collateral units (I1). */
export function slackOf(model: Model, venue: Venue, book: BookState, collateralBalance: bigint): bigint {
  const { collateralDecimals, collateralUnitDecimals } = venue.market.parameters;
  let promised = book.potCollateral << 64n;
  for (const { tick, debt } of book.live.values()) {
    promised += (debt << 192n) / model.grid.integerRatio(tick);
  }
  for (const { surplus } of book.positions.values()) promised += surplus << 64n;
  const held =
    ((collateralBalance * 10n ** BigInt(collateralUnitDecimals)) << 64n) / 10n ** BigInt(collateralDecimals);
  return held - promised;
}
