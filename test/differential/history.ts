/** The market out of its events alone, as the SDK replays them, beside what the contracts store. */
import {
  NO_POSITION,
  Replay,
  ReplayError,
  cascadeUsed,
  memoryTables,
  positionKey,
  resolvePosition,
  unitsOf,
} from "@breakwater/sdk/core";

import type { BookState } from "./storage.ts";
import { Mismatch, expectEqual } from "./trial.ts";
import type { Venue } from "./venue.ts";

export class History {
  private readonly replay: Replay<ReturnType<typeof memoryTables>>;
  private readonly index: { one: bigint; min: bigint };
  private next = 0;

  constructor(private readonly venue: Venue) {
    const { vault, insurance } = venue.addresses;
    const p = venue.market.parameters;
    const units = unitsOf(p.spacing, p.collateralDecimals, p.debtDecimals, p.collateralUnitDecimals);
    this.index = { one: venue.index.indexOne, min: venue.index.indexMin };
    this.replay = new Replay({ vault, insurance, units, paired: false }, memoryTables(), this.index);
  }

  /** To the unit. */
  async compare(book: BookState): Promise<void> {
    try {
      await this.follow();
      const m = (await this.replay.record())!;
      const { borrowIndex, rateAtTarget, reserves } = m.ledger;
      const corrected = await this.replay.read({ ...book, reserveFactor: m.ledger.reserveFactor });
      // Interest that nobody announced is the one thing that the events do not tell.
      if (m.isExact && corrected.from === corrected.to) {
        expectEqual("replay: index", borrowIndex, book.borrowIndex);
        if (m.ledger.accruedAt === book.accruedAt) {
          expectEqual("replay: rate at target", rateAtTarget, book.rateAtTarget);
          expectEqual("replay: reserves", reserves, book.reserves);
        }
      }
    } catch (error) {
      if (error instanceof ReplayError) throw new Mismatch(`replay: ${error.message}`);
      throw error;
    }
    this.compareRecord(book);
    this.compareBook(book);
  }

  private async follow(): Promise<void> {
    const { vault, insurance } = this.venue.market;
    const { chain, addresses } = this.venue;
    const { logs, last } = await chain.logsSince(this.next, [addresses.vault, addresses.insurance]);
    this.next = last + 1;
    for (const { address, topics, data, block, logIndex, timestamp } of logs) {
      const isVault = address.toLowerCase() === addresses.vault.toLowerCase();
      const parsed = (isVault ? vault : insurance).interface.parseLog({ topics, data });
      if (parsed === null) continue;
      const args = parsed.args.toObject(true);
      await this.replay.apply({ address, name: parsed.name, args, block, logIndex, timestamp });
    }
  }

  private compareRecord(book: BookState): void {
    const m = this.replay.tables.market.get("market")!;
    expectEqual("replay: bound", m.top, book.top);
    expectEqual("replay: pot's debt", m.pot.debt, book.potDebt);
    expectEqual("replay: pot's collateral", m.pot.collateral, book.potCollateral);
    expectEqual("replay: pot's time", m.pot.seizedAt, book.seizedAt);
    expectEqual("replay: no new risk until", m.brake.noNewRiskUntil, book.noNewRiskUntil);
    expectEqual("replay: paused until", m.brake.liquidationsPausedUntil, book.liquidationsPausedUntil);
    expectEqual("replay: grace until", m.brake.graceUntil, book.graceUntil);
    const { ramp } = book;
    expectEqual("replay: threshold", m.ramp.fromThreshold, ramp.from.liquidationThreshold);
    expectEqual("replay: target", m.ramp.fromTarget, ramp.from.target);
    expectEqual("replay: ramp's duration", m.ramp.duration, ramp.duration);
    if (ramp.duration !== 0n) {
      expectEqual("replay: ramp's threshold", m.ramp.toThreshold, ramp.to.liquidationThreshold);
      expectEqual("replay: ramp's target", m.ramp.toTarget, ramp.to.target);
      expectEqual("replay: ramp's start", m.ramp.start, ramp.start);
      expectEqual("replay: ramp halted", m.ramp.isHalted, ramp.halted);
    }
    expectEqual("replay: cascade cap", m.cascade.cap, book.cascade?.cap ?? 0n);
    if (book.cascade !== undefined) {
      const now = this.venue.chain.time;
      const [mine, stored] = [cascadeUsed(m.cascade, now), cascadeUsed(book.cascade, now)];
      // Seizing for a lender counts nothing, and looks like a keeper's seizing, which rounds what has counted.
      if (mine - stored > 1n || stored - mine > 1n) expectEqual("replay: cascade used", mine, stored);
    }
  }

  private compareBook(book: BookState): void {
    const { nodes, positions } = this.replay.tables;
    const { spacing } = this.venue.market.parameters;
    for (const { name, owner, sub } of this.venue.accounts) {
      const stored = positions.get(positionKey(owner, sub)) ?? NO_POSITION;
      const expected = book.positions.get(name)!;
      expectEqual(`replay: node of ${name}`, BigInt(stored.node), expected.node);
      expectEqual(`replay: shares of ${name}`, stored.shares, expected.shares);
      expectEqual(`replay: surplus of ${name}`, stored.surplus, expected.surplus);
      const now = resolvePosition(nodes, stored, spacing, this.index);
      expectEqual(`replay: debt of ${name}`, now.debt, expected.debt);
      if (expected.tick !== undefined) expectEqual(`replay: tick of ${name}`, now.tick, expected.tick);
    }
    for (const [id, expected] of book.live) {
      const node = nodes.get(Number(id));
      if (node?.kind !== "live") throw new Mismatch(`replay: node ${id} is not live`);
      expectEqual(`replay: tick of node ${id}`, node.tick, expected.tick);
      expectEqual(`replay: count of node ${id}`, BigInt(node.count), expected.count);
      expectEqual(`replay: debt of node ${id}`, node.debt, expected.debt);
      expectEqual(`replay: rank of node ${id}`, BigInt(node.rank), expected.rank);
      expectEqual(`replay: index of node ${id}`, node.index, expected.index);
    }
  }
}
