// Plays the scene on one protocol and reads the gas off the receipts.
import { BORROW_INDEX_ONE } from "@breakwater/sdk/core";
import { TestToken__factory } from "@breakwater/sdk/types";

import type { Call, Chain, Receipt, Snapshot } from "./chain.ts";
import type { Result } from "./results.ts";
import {
  approve,
  atLeast,
  BACKGROUND,
  BACKGROUND_TICKS,
  CHANGE,
  COLLATERAL,
  crashBook,
  crashPrice,
  crowd,
  debtAt,
  FRESH,
  type Holder,
  LANDING,
  LENDER,
  type Leverage,
  LEVERAGED,
  LIQUIDATOR,
  NEW_REGION,
  type Opening,
  POPULATED,
  type Protocol,
  USER,
} from "./scene.ts";

/** Interest runs: between two operations, and between two transactions of one. */
const PAUSE_SECONDS = 60;
const BLOCK_SECONDS = 12;

const LENT = 3_000_000n * 10n ** 6n;
const PLENTY = 2n ** 100n;
const CROWD = BACKGROUND + 1_000;

/** What the results call an operation, or a variant of one that only the printed tables show. */
export type Step =
  | "open-populated"
  | "open-fresh"
  | "open-new-region"
  | "add-collateral"
  | "add-collateral-fresh"
  | "repay"
  | "repay-fresh"
  | "withdraw"
  | "withdraw-fresh"
  | "close"
  | "close-fresh"
  | "leverage-open"
  | "leverage-close"
  | "lender-deposit"
  | "lender-withdraw"
  | "liquidate";

export interface Crash {
  positions: number;
  ticks: number;
  /** 1: adjacent ticks; 8: every eighth. */
  every: number;
}

export const CRASHES: Crash[] = [
  { positions: 1, ticks: 1, every: 1 },
  { positions: 10, ticks: 10, every: 1 },
  { positions: 100, ticks: 47, every: 1 },
  { positions: 1_000, ticks: 47, every: 1 },
];
/** Those that only ticks make affordable. */
export const LARGE_CRASH: Crash = { positions: 10_000, ticks: 47, every: 1 };
/** As many as fit between the threshold and the ticks that are seized. */
export const SPARSE_CRASH: Crash = { positions: 7, ticks: 7, every: 8 };

export interface Measurement {
  step: Step;
  crash?: Crash;
  by?: Result["by"];
  receipts: Receipt[];
}

/** A protocol with its background, ready to be measured again and again. */
export class Stage {
  private readonly user: Holder = { owner: USER, sub: 0 };

  private constructor(
    private readonly chain: Chain,
    readonly protocol: Protocol,
    private readonly ready: Snapshot,
  ) {}

  static async prepare(chain: Chain, protocol: Protocol): Promise<Stage> {
    const token = TestToken__factory.createInterface();
    const { collateral, debt, spenders } = protocol;
    const mint = async (asset: string, to: string, amount: bigint) =>
      chain.send({
        from: chain.signer.address,
        to: asset,
        data: token.encodeFunctionData("mint", [to, amount]),
      });
    const approveAll = async (from: string, asset: string) => {
      for (const spender of spenders) await chain.send(approve(from, asset, spender));
    };
    for (const from of [USER, LENDER, LIQUIDATOR]) {
      await chain.impersonate(from);
      for (const asset of [collateral, debt]) {
        await mint(asset, from, PLENTY);
        await approveAll(from, asset);
      }
    }
    if (protocol.batch !== undefined) {
      await mint(debt, protocol.batch, PLENTY);
      await mint(collateral, protocol.batch, PLENTY);
    }
    for (let i = 0; i < CROWD; i++) {
      await chain.impersonate(crowd(i));
      await mint(collateral, crowd(i), COLLATERAL * 10n);
      await approveAll(crowd(i), collateral);
    }
    for (const call of protocol.leverage.flatMap(({ allow }) => allow)) await chain.send(call);
    const stage = new Stage(chain, protocol, { id: "", time: 0 });
    await stage.send(protocol.deposit(LENT));
    await stage.open(BACKGROUND_TICKS.map((tick, i) => ({ owner: crowd(i), sub: 0, tick })));
    return new Stage(chain, protocol, await chain.snapshot());
  }

  /** A user's life: opens, adds, repays, withdraws, closes, each landing as told. */
  async life(landing: "populated" | "fresh"): Promise<Measurement[]> {
    await this.chain.restore(this.ready);
    const { protocol, user } = this;
    const tick = landing === "populated" ? POPULATED : FRESH;
    const debt = debtAt(tick, await this.borrowIndex());
    const name = (step: "add-collateral" | "repay" | "withdraw" | "close"): Step =>
      landing === "populated" ? step : `${step}-fresh`;
    const change = COLLATERAL / CHANGE;
    return [
      await this.measure(`open-${landing}`, protocol.open(user, COLLATERAL, debt), tick),
      await this.measure(name("add-collateral"), protocol.addCollateral(user, change), tick - 4),
      await this.measure(name("repay"), protocol.repay(user, debt / CHANGE), tick - 8),
      await this.measure(name("withdraw"), protocol.withdraw(user, change), tick - 4),
      await this.measure(name("close"), await protocol.close(user)),
    ];
  }

  async openInNewRegion(): Promise<Measurement> {
    await this.chain.restore(this.ready);
    const debt = debtAt(NEW_REGION, await this.borrowIndex());
    return this.measure("open-new-region", this.protocol.open(this.user, COLLATERAL, debt), NEW_REGION);
  }

  /** Opens to leverage 3 and closes, the debt token bought and sold on the way. */
  async leverage(way: Leverage): Promise<Measurement[]> {
    await this.chain.restore(this.ready);
    const { user } = this;
    const debt = debtAt(LEVERAGED, await this.borrowIndex());
    const opening = way.open(user, COLLATERAL - atLeast(debt), COLLATERAL, debt);
    const measured = [
      await this.measure("leverage-open", opening, LEVERAGED),
      await this.measure("leverage-close", await way.close(user, debt)),
    ];
    return measured.map((measurement) => ({ ...measurement, ...(way.by && { by: way.by }) }));
  }

  async lend(): Promise<Measurement[]> {
    await this.chain.restore(this.ready);
    return [
      await this.measure("lender-deposit", this.protocol.deposit(LENT / CHANGE)),
      await this.measure("lender-withdraw", this.protocol.withdrawDeposit(LENT / CHANGE)),
    ];
  }

  async liquidate(crash: Crash): Promise<Measurement> {
    await this.chain.restore(this.ready);
    const { protocol } = this;
    const index = await this.borrowIndex();
    const book = crashBook(crash.positions, crash.ticks, crash.every, protocol.name === "breakwater");
    await this.send(protocol.deposit(BigInt(book.length) * 25_000n * 10n ** 6n));
    await this.open(book);
    await protocol.setPrice(crashPrice(index));
    this.chain.advance(PAUSE_SECONDS);
    const measured = await this.measure("liquidate", await protocol.liquidate(book));
    const swept = protocol.swept?.(measured.receipts[0]!);
    if (swept !== undefined && (swept.ticks !== crash.ticks || swept.land !== LANDING)) {
      throw new Error(`${swept.ticks} ticks landed in ${swept.land} instead of ${crash.ticks} in ${LANDING}`);
    }
    return { ...measured, crash };
  }

  private async measure(step: Step, calls: Call[], tick?: number): Promise<Measurement> {
    this.chain.advance(PAUSE_SECONDS);
    const receipts = await this.send(calls);
    const landed = this.protocol.landedAt?.(receipts[0]!);
    if (tick !== undefined && landed !== undefined && landed !== tick) {
      throw new Error(`${step} landed in tick ${landed} instead of ${tick}`);
    }
    return { step, receipts };
  }

  private async send(calls: Call[]): Promise<Receipt[]> {
    const receipts: Receipt[] = [];
    for (const call of calls) {
      if (receipts.length > 0) this.chain.advance(BLOCK_SECONDS);
      receipts.push(await this.chain.send(call));
    }
    return receipts;
  }

  /** Not measured: the clock stands still. */
  private async open(openings: Opening[]): Promise<void> {
    const index = await this.borrowIndex();
    for (const { tick, ...holder } of openings) {
      for (const call of this.protocol.open(holder, COLLATERAL, debtAt(tick, index))) {
        await this.chain.send(call);
      }
    }
  }

  private async borrowIndex(): Promise<bigint> {
    return (await this.protocol.borrowIndex?.()) ?? BORROW_INDEX_ONE;
  }
}

/** Everything that the results hold, and the variants that only the tables show. */
export async function measureAll(stage: Stage, crashes: Crash[]): Promise<Measurement[]> {
  const measurements = [
    ...(await stage.life("populated")),
    ...(await stage.life("fresh")),
    await stage.openInNewRegion(),
    ...(await stage.lend()),
  ];
  for (const way of stage.protocol.leverage) measurements.push(...(await stage.leverage(way)));
  for (const crash of crashes) measurements.push(await stage.liquidate(crash));
  return measurements;
}

export function totalGas({ receipts }: Measurement): bigint {
  return receipts.reduce((sum, { gasUsed }) => sum + gasUsed, 0n);
}
