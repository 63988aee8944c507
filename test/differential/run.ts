/**
 * One run: the same operations on the real contracts and on the reference model, everything compared after each.
 *
 * And the book is made again out of the events alone, as the SDK's replay does it: that has to give the same to the unit.
 *
 * An operation is sent in a block of the run's own time, and what the views say before it and after it belongs to the
 * same moment. The price is what the real adapter says at that moment. What the model refuses must revert with the same
 * error and change nothing.
 *
 * The tolerance of every comparison is the one the model derives (docs/rounding.md). Index and rate are compared after
 * each accrual and then taken over, so that a run does not dilute its bounds; with the tiny index, positions and nodes
 * too.
 */
import { id, toBeHex } from "ethers";

import { type Parameters, type Price, Model, Refusal } from "../model/model.ts";
import { Real } from "../model/real.ts";
import { HOUR, LEVEL, MAX_UINT256 } from "../support/market.ts";
import { FULL } from "../support/tiny.ts";
import * as borrowers from "./borrowers.ts";
import type { Call, Log } from "./chain.ts";
import { compareState, slackOf, type Views } from "./compare.ts";
import { Coverage } from "./coverage.ts";
import * as lenders from "./lenders.ts";
import * as liquidations from "./liquidations.ts";
import { feedCalls } from "./feeds.ts";
import { History } from "./history.ts";
import * as governor from "./governor.ts";
import { type Of, type Operation, toJson } from "./sequence.ts";
import { BookReader, type BookState } from "./storage.ts";
import { admit, type EventArguments, expectEqual, Mismatch, type Trial } from "./trial.ts";
import type { MarketBrakeStructOutput } from "../../sdk/src/types/EmergencyBrake.ts";
import type { PriceStructOutput } from "../../sdk/src/types/OracleAdapter.ts";
import type { Venue } from "./venue.ts";

const STATES = ["Dead", "Single", "Diverged", "Fresh"] as const;
const LEVELS = ["None", "NoNewRisk", "Grace", "LiquidationsPaused"] as const;
const PLENTY = 1n << 120n;
/** Operations between two readings of what hardly ever changes. */
const SELDOM = 10;

/** Errors of what the contracts use. */
const OTHER_ERRORS = new Map(
  ["SafeCastOverflowedUintDowncast(uint8,uint256)", "Panic(uint256)"].map((signature) => [
    id(signature).slice(0, 10),
    signature.slice(0, signature.indexOf("(")),
  ]),
);

export interface Result {
  /** Operations that were done; a wait is none. */
  operations: number;
  /** Decisions closer than the roundings, and what came of them: the run ended there. */
  ambiguous?: string;
  /** A difference, and of which kind. */
  failure?: string;
  kind?: string;
}

export interface RunOptions {
  /** Changes the model before the run: to see that a difference is found. */
  spoil?: (model: Model) => void;
}

export class Run {
  readonly coverage = new Coverage();
  readonly trace: string[] = [];
  private operations = 0;
  private slack: bigint | undefined;
  private donations = 0n;
  private readonly reader: BookReader;
  private readonly history: History;
  private before: Views | undefined;

  private constructor(
    readonly venue: Venue,
    readonly model: Model,
  ) {
    this.reader = new BookReader(venue.chain, venue.addresses.vault, venue.accounts, venue.index);
    this.history = new History(venue);
  }

  static async start(venue: Venue, { spoil }: RunOptions = {}): Promise<Run> {
    await venue.reset();
    const parameters: Parameters = structuredClone(venue.market.parameters);
    const model = new Model(parameters, venue.startedAt, venue.index.indexMin);
    spoil?.(model);
    const run = new Run(venue, model);
    await run.wait(60n);
    return run;
  }

  get price(): Price {
    return this.before!.price;
  }

  /** Until the end, a difference, or a decision that may go either way. */
  async play(operations: Iterable<Operation> | AsyncIterable<Operation>): Promise<Result> {
    try {
      for await (const operation of operations) await this.perform(operation);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const failure = `${message}\nafter:\n${this.trace.slice(-12).join("\n")}`;
      if (error instanceof Mismatch && this.model.ambiguous.length !== 0) {
        this.coverage.count("ended: too close to call");
        return { operations: this.operations, ambiguous: [...this.model.ambiguous, failure].join("; ") };
      }
      if (error instanceof Mismatch) return { operations: this.operations, failure, kind: error.kind };
      // A fault of the test or the model: its stack says where.
      const stack = error instanceof Error ? (error.stack ?? "") : "";
      return { operations: this.operations, failure: `${failure}\n${stack}`, kind: "no mismatch" };
    } finally {
      this.coverage.add(this.model.reached);
    }
    return { operations: this.operations };
  }

  async perform(operation: Operation): Promise<void> {
    if (operation.do === "wait") return this.wait(operation.seconds);
    if (operation.do === "leave") return this.leave(operation.price);
    this.operations++;
    switch (operation.do) {
      case "prices":
      case "feed":
      case "revert":
      case "heal":
        return this.changeFeeds(operation);
      case "pause":
      case "resume":
        return this.brake(operation);
      case "donate":
        return this.donate(operation.amount);
      case "adjust":
        return this.both(borrowers.adjust(this, operation));
      case "surplus":
        return this.both(borrowers.surplus(this, operation));
      case "transfer":
        return this.both(borrowers.transfer(this, operation));
      case "deposit":
      case "mint":
        return this.both(lenders.come(this, operation));
      case "withdraw":
      case "redeem":
        return this.both(lenders.go(this, operation, await this.sharesOf(operation.lender)));
      case "record":
        return this.both(lenders.record(this));
      case "accrue":
        return this.both(lenders.accrue(this));
      case "reserves":
        return this.both(lenders.reserves(this));
      case "insure":
        return this.both(lenders.insure(this, operation));
      case "liquidate":
        return this.both(liquidations.liquidate(this, operation));
      case "seize":
        return this.both(liquidations.seize(this, operation));
      case "ramp":
        return this.both(governor.ramp(this, operation));
      case "stopRamp":
        return this.both(governor.stopRamp(this));
      case "pokeRamp":
        return this.both(governor.pokeRamp(this));
      case "windDown":
        return this.both(governor.windDown(this, operation));
      case "cascade":
        return this.both(governor.cascade(this, operation));
      case "settle":
        return this.both(governor.settle(this, operation));
    }
  }

  // ------------------------------------------------------------------ time and prices

  /** Time goes on; the views of the new moment are read. */
  private async wait(seconds: bigint): Promise<void> {
    const { chain } = this.venue;
    await chain.mine(chain.time + seconds);
    this.model.advance(chain.time);
    this.before = await this.view();
  }

  private async changeFeeds(operation: Of<"prices" | "feed" | "revert" | "heal">): Promise<void> {
    const { venue } = this;
    const outcomes = await venue.chain.sendAll(venue.keeper, await feedCalls(venue, operation));
    for (const { reverted } of outcomes) {
      if (reverted !== undefined) throw new Error(`A feed reverted: ${reverted}`);
    }
    this.before = await this.view();
    this.note(`${toJson(operation)}: ${this.price.state}`);
    this.coverage.count(`price ${this.price.state}`);
    // The lenders' assets at the new price.
    if (operation.do === "prices") await this.compare(this.before);
  }

  private async brake(operation: Of<"pause" | "resume">): Promise<void> {
    const { venue, model } = this;
    const { brake } = venue.market;
    const stateOf = async (): Promise<MarketBrakeStructOutput> => {
      const data = brake.interface.encodeFunctionData("stateOf", [venue.addresses.vault]);
      const answer = await venue.chain.read({ to: venue.addresses.brake, data });
      return brake.interface.decodeFunctionResult("stateOf", answer)[0] as MarketBrakeStructOutput;
    };
    const before = await stateOf();
    const data =
      operation.do === "resume"
        ? brake.interface.encodeFunctionData("resume", [
            venue.addresses.vault,
            LEVEL[operation.level],
            operation.level === "NoNewRisk" ? before.newRiskPauses : before.liquidationPauses,
          ])
        : brake.interface.encodeFunctionData("pause", [
            venue.addresses.vault,
            LEVEL[operation.level],
            operation.seconds,
            toBeHex(0, 32),
          ]);
    const { reverted } = await venue.chain.send(venue.keeper, { to: venue.addresses.brake, data });
    this.note(`${operation.do}: ${reverted === undefined ? "done" : this.errorName(reverted)}`);
    // Its budget is not the model's: a refused pause changes nothing.
    if (reverted === undefined) {
      if (operation.do === "resume") model.resume(operation.level);
      else if (operation.level === "LiquidationsPaused") model.pauseLiquidations(operation.seconds);
      else model.pauseNewRisk(operation.seconds);
      this.coverage.count(`level ${model.level}`);
    }
    // What the brake says; the market itself is compared below.
    const level = LEVELS[Number((await stateOf()).level)];
    if (!model.windingDown) expectEqual("level", level, model.level);
    await this.compare(await this.view());
  }

  /** A gift to the vault's balance changes nothing. */
  private async donate(amount: bigint): Promise<void> {
    const { venue } = this;
    this.note(`donate ${amount}`);
    const data = venue.market.debt.interface.encodeFunctionData("transfer", [venue.addresses.vault, amount]);
    const { reverted } = await venue.chain.send(venue.keeper, { to: venue.addresses.debt, data });
    if (reverted === undefined) this.donations += amount;
    await this.compare(await this.view());
  }

  // ------------------------------------------------------------------ both sides

  /** The operation on the model and on the contracts: both refuse for the same reason, or everything is compared. */
  private async both<T>({ what, from, call, onModel, marksAnew, check }: Trial<T>): Promise<void> {
    const { venue, model } = this;
    const before = this.before!;
    const revaluation = this.revaluation();
    let result: { done: T } | { refused: string };
    try {
      result = { done: onModel() };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      result = { refused: error.reason };
    }
    const outcome = await venue.chain.send(from, call);
    const reverted = outcome.reverted === undefined ? undefined : this.errorName(outcome.reverted);
    this.note(`${what}${reverted === undefined ? "" : `: ${reverted}`}`);
    const expected = "refused" in result ? result.refused : undefined;
    if (expected !== reverted) {
      const [contract, inModel] = [reverted ?? "does it", expected ?? "does it"];
      throw new Mismatch(
        `${what}: the contract ${contract}, the model ${inModel}`,
        `the contract ${contract}, the model ${inModel}`,
      );
    }
    const book = await this.reader.read();
    if (outcome.reverted !== undefined) this.coverage.count(`refused: ${reverted}`);
    else if ("done" in result) {
      check?.(result.done, {
        event: (name) => this.eventOf(outcome.logs, name, true)!,
        eventIfAny: (name) => this.eventOf(outcome.logs, name, false),
        book,
      });
    }
    const after = await this.view();
    await this.compare(after, book);
    // The share price falls with a loss that is marked, never within an operation at one price (I15).
    if (
      !marksAnew &&
      (after.totalAssets + revaluation + 1n) * (before.totalSupply + 1n) <
        (before.totalAssets + 1n) * (after.totalSupply + 1n)
    ) {
      throw new Mismatch(
        `The share price fell: assets ${before.totalAssets} to ${after.totalAssets}, ` +
          `shares ${before.totalSupply} to ${after.totalSupply}`,
      );
    }
    // Whatever was near, both decided alike.
    model.ambiguous.length = 0;
  }

  /**
   * What the lenders' assets may fall by without a loss while the pot is open. A unit, of the token or of the book, whichever
   * is coarser: the mark is rounded down, the part of it that the reserves bear up, and only once the mark covers the pot
   * are they whole. And while a tick is insolvent
   * the pot is marked as if that tick were seized now, with the clock of the whole pot set back. If the tick goes otherwise
   * (repaid, or skipped by who buys the pot), the old discount is back: as much of the pot as it had grown.
   */
  private revaluation(): bigint {
    const { model, price } = this;
    const { bonusMin, bonusMax } = this.venue.market.parameters.risk;
    const unit = 10n ** BigInt(Math.max(0, this.venue.market.parameters.debtDecimals - 18));
    const rounding = model.potDebt.isZero() ? 0n : unit;
    if (model.underWater(price).insolvent.isZero()) return rounding;
    return (model.toDebtTokens(model.potDebt).ceil() * (bonusMax - bonusMin)) / 10_000n + unit + rounding;
  }

  private errorName(data: string): string {
    const { vault, liquidator, insurance, brake } = this.venue.market;
    for (const { interface: errors } of [vault, liquidator, insurance, brake]) {
      const name = /^0x[0-9a-f]{8}/i.test(data) ? errors.parseError(data)?.name : undefined;
      if (name !== undefined) return name;
    }
    return OTHER_ERRORS.get(data.slice(0, 10)) ?? data;
  }

  private eventOf(logs: readonly Log[], name: string, required: boolean): EventArguments | undefined {
    const { interface: events } = this.venue.market.vault;
    const topic = events.getEvent(name as "Adjust").topicHash;
    const vault = this.venue.addresses.vault.toLowerCase();
    const log = logs.find(({ address, topics }) => topics[0] === topic && address.toLowerCase() === vault);
    if (log === undefined) {
      if (required) throw new Mismatch(`There is no ${name} among the events`);
      return undefined;
    }
    return events.parseLog(log)!.args.toObject() as EventArguments;
  }

  // ------------------------------------------------------------------ comparing

  private async compare(views: Views, given?: BookState): Promise<void> {
    const { model, venue } = this;
    const book = given ?? (await this.reader.read());
    compareState(model, venue, book, views);
    await this.history.compare(book);
    // I1: what the vault holds beyond what it promises never decreases.
    const slack = slackOf(model, venue, book, views.collateralBalance);
    const rounding = 1n << 8n; // of this computation
    if (slack < -rounding || (this.slack !== undefined && slack < this.slack - rounding)) {
      throw new Mismatch(`Slack fell from ${this.slack} to ${slack} (2^-64 collateral units)`);
    }
    this.slack = slack;
    expectEqual("tokens held", views.debtBalance, book.cash + this.donations);
    if (this.operations % SELDOM === 0 || views.totalSupply !== this.before?.totalSupply) {
      for (const [name, address] of venue.lenders) {
        admit(`shares of ${name}`, model.sharesOf(address), await this.sharesOf(name));
      }
    }
    this.coverage.book(book);
    if (venue.index !== FULL) model.adoptBook(book.positions, book.live.values());
    this.before = views;
  }

  private async view(): Promise<Views> {
    const { chain, market, addresses } = this.venue;
    const { vault, oracle, insurance, collateral } = market;
    const balance = collateral.interface.encodeFunctionData("balanceOf", [addresses.vault]);
    const ofVault = (data: string): Call => ({ to: addresses.vault, data });
    const read = oracle.interface.encodeFunctionData("read");
    const answer = await chain.read({ to: addresses.oracle, data: read });
    const { low, high, state, maxLtvCut } = oracle.interface.decodeFunctionResult(
      "read",
      answer,
    )[0] as PriceStructOutput;
    const [earlier, totalAssets, totalSupply, maxDeposit, insured, inCollateral, inDebt] =
      await chain.readAll([
        { to: addresses.oracle, data: oracle.interface.encodeFunctionData("earlier") },
        ofVault(vault.interface.encodeFunctionData("totalAssets")),
        ofVault(vault.interface.encodeFunctionData("totalSupply")),
        ofVault(vault.interface.encodeFunctionData("maxDeposit", [addresses.vault])),
        {
          to: addresses.insurance,
          data: insurance.interface.encodeFunctionData("balanceOf", [addresses.vault]),
        },
        { to: addresses.collateral, data: balance },
        { to: addresses.debt, data: balance },
      ]);
    return {
      price: { low, high, state: STATES[Number(state)]!, maxLtvCut, earlierHigh: earlier![1]! },
      totalAssets: totalAssets![0]!,
      totalSupply: totalSupply![0]!,
      maxDeposit: maxDeposit![0]!,
      insurance: insured![0]!,
      collateralBalance: inCollateral![0]!,
      debtBalance: inDebt![0]!,
    };
  }

  private async sharesOf(lender: string): Promise<bigint> {
    const { market, addresses, chain } = this.venue;
    const data = market.vault.interface.encodeFunctionData("balanceOf", [this.venue.lender(lender)]);
    return BigInt(await chain.read({ to: addresses.vault, data }));
  }

  // ------------------------------------------------------------------ the end

  /** Everybody can leave, and the totals reach 0 (I14). */
  private async leave(price: bigint): Promise<void> {
    const { venue, model } = this;
    this.note("everybody leaves");
    await this.wait(3n * HOUR);
    const heal = { do: "heal", price } as const;
    await this.perform(heal);
    await this.wait(1n);
    while (model.level === "LiquidationsPaused" || model.level === "Grace") {
      await this.wait(HOUR);
      await this.perform(heal);
    }
    for (const { name } of venue.accounts) {
      if (model.account(name).tick !== undefined) {
        await this.perform({ do: "adjust", account: name, collateral: "all", debt: "all" });
      }
      if (!model.account(name).surplus.isZero()) await this.takeSurplus(name);
    }
    if (!model.potDebt.isZero()) {
      await this.perform({ do: "liquidate", maxRepay: PLENTY, maxTicks: 0, buyPot: true });
    }
    for (const lender of venue.lenders.keys()) {
      if ((await this.sharesOf(lender)) !== 0n) await this.perform({ do: "redeem", lender, amount: "all" });
    }
    const book = await this.reader.read();
    expectEqual("book debt left", book.debt, 0n);
    expectEqual("pot debt left", book.potDebt, 0n);
    expectEqual("pot collateral left", book.potCollateral, 0n);
    expectEqual("nodes left", book.live.size, 0);
    expectEqual("shares left", (await this.view()).totalSupply, 0n);
    this.coverage.count("everybody left");
  }

  /** Whether what is left is worth a token unit may be too close to call: the model takes over what the contracts do. */
  private async takeSurplus(name: string): Promise<void> {
    const { venue, model } = this;
    const { owner, sub } = venue.account(name);
    const data = venue.market.vault.interface.encodeFunctionData("withdrawSurplus", [
      owner,
      sub,
      MAX_UINT256,
      owner,
    ]);
    await venue.chain.send(owner, { to: venue.addresses.vault, data });
    const { surplus } = (await this.reader.read()).positions.get(name)!;
    const unit = model.toCollateralUnits(Real.one).ceil() + 1n;
    if (surplus > unit) throw new Mismatch(`${name} keeps a surplus of ${surplus} units`);
    model.accounts.set(name, { ...model.account(name), surplus: Real.of(surplus) });
  }

  private note(line: string): void {
    this.trace.push(`${this.operations}: +${this.venue.chain.time - this.venue.startedAt} ${line}`);
  }
}
