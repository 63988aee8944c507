/**
 * Chooses the next operations of a random run. It knows the model and the price, so that it aims where it is
 * interesting: at populated ticks, at the edge of what is allowed, at what has just become liquidatable.
 */
import type { Model, Price } from "../model/model.ts";
import { MICRO, min } from "../model/market.ts";
import { Real } from "../model/real.ts";
import { DEFAULT_RISK, HOUR, USD } from "../support/market.ts";
import { Random } from "./random.ts";
import { type Operation, LENDERS, OWNERS, SUBS } from "./sequence.ts";
import type { Shape } from "./shapes.ts";

const Q128 = 1n << 128n;
const PLENTY = 1n << 120n;
/** Of units: below it a rounding blurs the tick of what comes next, and the run would soon end. */
const CLEAR = 20_000n;
const NAMES = OWNERS.flatMap((owner) => SUBS.map((sub) => `${owner}${sub}`));

const CALM = {
  open: 24,
  change: 16,
  repay: 6,
  topUp: 5,
  close: 2,
  surplus: 4,
  transfer: 2,
  stranger: 4,
  lend: 10,
  movePrice: 24,
  breakOracle: 6,
  liquidate: 16,
  seize: 3,
  pause: 2,
  accrue: 2,
  record: 3,
  reserves: 2,
  insure: 2,
  donate: 1,
  ramp: 1,
  poke: 1,
  settle: 1,
  windDown: 0,
  cascade: 2,
};
const MOVES = { wobble: 50, fall: 30, crash: 8, rise: 12 };

/** What the run is mostly about. */
const CLIMATES = {
  calm: { weights: CALM, moves: MOVES, floor: 5n },
  crash: {
    weights: { ...CALM, open: 30, movePrice: 20, liquidate: 30, seize: 8, insure: 4, cascade: 4 },
    moves: { wobble: 15, fall: 35, crash: 35, rise: 15 },
    floor: 20n,
  },
  slide: {
    weights: { ...CALM, open: 8, change: 6, repay: 8, close: 1, lend: 6, movePrice: 40, liquidate: 30 },
    moves: { wobble: 10, fall: 80, crash: 0, rise: 10 },
    floor: 10_000n,
  },
  outage: {
    weights: { ...CALM, breakOracle: 24, pause: 10, liquidate: 24, lend: 14 },
    moves: MOVES,
    floor: 5n,
  },
  // Thresholds fall, and often the whole market ends.
  ramps: {
    weights: {
      ...CALM,
      ramp: 8,
      poke: 12,
      settle: 16,
      windDown: 4,
      breakOracle: 10,
      pause: 5,
      liquidate: 24,
    },
    moves: MOVES,
    floor: 5n,
  },
} as const;

export class Generator {
  private readonly random: Random;
  private readonly climate: (typeof CLIMATES)[keyof typeof CLIMATES];
  /** Where the price is, or is about to be. */
  collateralUsd: bigint;
  private broken = false;
  /** Percent of the waits. */
  private readonly longWaits: number;

  constructor(
    private readonly shape: Shape,
    seed: bigint,
  ) {
    this.random = new Random(seed);
    this.climate =
      CLIMATES[this.random.pick(["calm", "crash", "crash", "slide", "outage", "ramps"] as const)];
    this.longWaits = this.climate === CLIMATES.ramps ? 16 : 4;
    this.collateralUsd = shape.market.collateralPrice!;
  }

  /** What a run begins with, one operation after the other. */
  start(model: Model, price: Price, index: number): Operation {
    return index < 2 ? this.deposit() : this.open(model, price)[0]!;
  }

  /** The next operations: most often one, or a wait and one. */
  next(model: Model, price: Price): Operation[] {
    const { random } = this;
    const operations: Operation[] = [];
    if (!random.chance(40)) {
      const seconds = random.magnitude(12n, random.chance(this.longWaits) ? 40n * 24n * HOUR : 3n * HOUR);
      operations.push({ do: "wait", seconds });
    }
    // What has become liquidatable is often liquidated at once.
    const due = model.liquidatableTicks(price).length !== 0;
    if (due && random.chance(45)) return [...operations, ...this.order(model, price, false)];
    if (this.broken && random.chance(25)) return [...operations, ...this.heal()];
    return [...operations, ...this[random.weighted(this.climate.weights)](model, price)];
  }

  // ------------------------------------------------------------------ borrowers

  private open(model: Model, price: Price): Operation[] {
    const { random } = this;
    const free = NAMES.filter((name) => model.account(name).tick === undefined);
    if (free.length === 0) return this.change(model);
    let collateral = this.collateralWorth(random.magnitude(this.shape.worth.least, this.shape.worth.most));
    // Where any debt may be, sometimes a few units: what a sale of them brings is lost in rounding.
    const unit = this.debtFor(model.toCollateralTokens(Real.one).ceil(), price);
    const fine = model.toDebtUnits(Real.of(unit)).floor() > CLEAR * CLEAR;
    const empty = free.filter((name) => model.account(name).surplus.isZero());
    const dust = this.shape.market.caps?.minDebt === 0n && fine && empty.length !== 0 && random.chance(20);
    if (dust) {
      collateral = model.toCollateralTokens(Real.of(random.between(1n, 30n))).ceil();
    }
    const ticks = model.populatedTicks();
    let debt =
      (this.debtFor(collateral, price) *
        random.between(random.chance(25) ? 1_000n : 7_000n, random.chance(95) ? 8_190n : 9_000n)) /
      10_000n;
    // Often as close to the limit as can be.
    if (random.chance(30) && !model.windingDown) {
      debt = (this.debtFor(collateral, price) * (model.parameters.risk.maxLtv - 5n)) / 10_000n;
    }
    // Often exactly below a tick that others are at.
    if (ticks.length !== 0 && random.chance(50)) {
      const ratio = model.grid.ratio(random.pick(ticks)).times(model.borrowIndex);
      const units = model.toCollateralUnits(Real.of(collateral)).exact().times(ratio);
      debt = (model.toDebtTokens(units).floor() * 999_999n) / 1_000_000n;
    }
    if (random.chance(2)) debt = 1n;
    if (debt === 0n) debt = 1n;
    return [{ do: "adjust", account: random.pick(dust ? empty : free), collateral, debt }];
  }

  private change(model: Model): Operation[] {
    const { random } = this;
    const account = this.borrower(model);
    if (account === undefined) return this.lend(model);
    const { collateral, debt } = this.holdings(model, account);
    const part = (of: bigint) => (of * random.between(1n, 3_000n)) / 10_000n + 1n;
    const share = random.between(100n, 9_000n);
    const [c, d] = {
      borrow: [0n, part(debt)],
      withdraw: [-part(random.chance(10) ? collateral * 8n : collateral), 0n],
      leverage: [part(collateral), part(debt)],
      swap: [part(collateral), -part(debt)],
      unwind: [-(collateral * share) / 10_001n, -(debt * share) / 10_000n],
    }[random.pick(["borrow", "withdraw", "unwind", "leverage", "swap"] as const)] as [bigint, bigint];
    return [{ do: "adjust", account, collateral: c, debt: d }];
  }

  private repay(model: Model): Operation[] {
    const account = this.borrower(model);
    if (account === undefined) return this.lend(model);
    const { debt } = this.holdings(model, account);
    // Sometimes all but dust: of so many units, though, that roundings do not blur its tick.
    const blur = model.toDebtTokens(model.debtOf(model.account(account)).bound()).ceil() * 20_000n;
    const dust = model.parameters.debtDecimals > 8 ? blur : blur / 20_000n;
    if (debt < 10_000n * blur || debt < 3n)
      return [{ do: "adjust", account, collateral: "all", debt: "all" }];
    const left = model.accruedAt === model.now && this.random.chance(40) ? dust : debt;
    const repaid = left < debt ? debt - left : (debt * this.random.between(10n, 9_990n)) / 10_000n + 1n;
    return [{ do: "adjust", account, collateral: 0n, debt: -repaid }];
  }

  private topUp(model: Model): Operation[] {
    const account = this.borrower(model);
    if (account === undefined) return this.lend(model);
    const collateral = this.collateralWorth(this.random.magnitude(USD, this.shape.worth.most / 20n));
    return [{ do: "adjust", account, collateral, debt: 0n }];
  }

  private close(model: Model): Operation[] {
    const account = this.borrower(model, false);
    if (account === undefined) return this.lend(model);
    return [{ do: "adjust", account, collateral: this.random.chance(80) ? "all" : 0n, debt: "all" }];
  }

  private stranger(model: Model): Operation[] {
    const { random } = this;
    const account = random.chance(80) ? (this.borrower(model) ?? random.pick(NAMES)) : random.pick(NAMES);
    const { debt } = this.holdings(model, account);
    const by = random.pick(LENDERS);
    const kind = this.isClear(model, account)
      ? random.pick(["topUp", "repay", "close", "steal"] as const)
      : random.pick(["close", "steal"] as const);
    const change = {
      topUp: { collateral: this.collateralWorth(random.magnitude(USD, 10_000n * USD)), debt: 0n },
      repay: { collateral: 0n, debt: -(debt / 3n) - 1n },
      close: { collateral: 0n, debt: "all" as const },
      steal: { collateral: -1n, debt: 0n },
    }[kind];
    return [{ do: "adjust", account, ...change, by }];
  }

  private surplus(model: Model): Operation[] {
    const { random } = this;
    const owning = NAMES.filter((name) => model.account(name).surplus.floor() > CLEAR);
    const account = random.pick(owning.length !== 0 ? owning : NAMES);
    const available = model.toCollateralTokens(model.account(account).surplus).floor();
    const amount = random.chance(60)
      ? "all"
      : random.chance(80)
        ? (available * random.between(1n, 9_900n)) / 10_000n
        : available * 2n + 10n;
    return [{ do: "surplus", account, amount }];
  }

  private transfer(model: Model): Operation[] {
    const { random } = this;
    const from = random.chance(80) ? (this.borrower(model) ?? random.pick(NAMES)) : random.pick(NAMES);
    const clear = (name: string) => !model.account(name).surplus.isNear(Real.zero);
    const to = random.pick(NAMES.filter((name) => name[0] === from[0] && (name === from || clear(name))));
    return [{ do: "transfer", from, to }];
  }

  // ------------------------------------------------------------------ lenders

  private deposit(): Operation {
    const amount = this.debtWorth(this.random.magnitude(1_000_000n * USD, 20_000_000n * USD));
    return { do: "deposit", lender: this.random.pick(LENDERS), amount };
  }

  private lend(model: Model): Operation[] {
    const { random } = this;
    const lender = random.pick(LENDERS);
    const assets = this.debtWorth(random.magnitude(1_000n * USD, 20_000_000n * USD));
    const shares = model.sharesOf(lender).floor();
    const poor = model.cash.compare(Real.of(this.debtWorth(200_000n * USD))) < 0;
    const kind = poor
      ? "deposit"
      : shares <= 0n
        ? random.pick(["deposit", "mint"] as const)
        : random.pick(["deposit", "mint", "withdraw", "redeem", "redeemAll"] as const);
    const part = (of: bigint) => (of * random.between(1n, 9_000n)) / 10_000n + 1n;
    if (kind === "deposit" || kind === "mint") return [{ do: kind, lender, amount: assets }];
    if (kind === "redeemAll") return [{ do: "redeem", lender, amount: "all" }];
    if (kind === "redeem") return [{ do: "redeem", lender, amount: part(shares) }];
    // Roughly what the shares are worth: they start at one for one.
    return [{ do: "withdraw", lender, amount: random.chance(10) ? assets * 100n : part(shares) }];
  }

  private record(): Operation[] {
    return [{ do: "record" }];
  }

  private accrue(): Operation[] {
    return [{ do: "accrue" }];
  }

  private reserves(): Operation[] {
    return [{ do: "reserves" }];
  }

  private insure(): Operation[] {
    return [{ do: "insure", amount: this.debtWorth(this.random.magnitude(USD, 100_000n * USD)) }];
  }

  private donate(): Operation[] {
    return [{ do: "donate", amount: this.debtWorth(1_000n * USD) }];
  }

  // ------------------------------------------------------------------ prices

  private movePrice(model: Model, price: Price): Operation[] {
    const { random, shape } = this;
    const [low, high] = {
      wobble: [-200n, 200n],
      fall: [-900n, -200n],
      crash: [-4_000n, -900n],
      rise: [200n, 3_000n],
    }[random.weighted(this.climate.moves)] as [bigint, bigint];
    this.collateralUsd += (this.collateralUsd * random.between(low, high)) / 10_000n;
    const first = shape.market.collateralPrice!;
    const bottom = first / this.climate.floor;
    // Not below what a feed can tell in steps of a hundredth of a percent.
    if (this.collateralUsd < bottom || this.collateralUsd < 1_000n) this.collateralUsd = first;
    // Beyond 2^64 or its reciprocal there is no price.
    const debtPrice = shape.market.debtPrice!;
    const outside = this.collateralUsd << 64n < debtPrice * 2n || this.collateralUsd > debtPrice << 63n;
    if (this.collateralUsd > first * 3n || outside) this.collateralUsd = first;
    const gap = random.chance(30) ? random.between(-250n, 250n) : 0n;
    const move: Operation = {
      do: "prices",
      primary: this.collateralUsd,
      second: this.collateralUsd + (this.collateralUsd * gap) / 10_000n,
    };
    return random.chance(10) ? [move, ...this.order(model, price, true)] : [move];
  }

  /** Diverged, stale, reverting, zero: one source or both. */
  private breakOracle(model: Model, price: Price): Operation[] {
    const { random } = this;
    this.broken = true;
    const side = random.pick(["primary", "second"] as const);
    const other = side === "primary" ? "second" : "primary";
    const usd = this.collateralUsd;
    const kind = random.pick(["diverge", "diverge", "revert", "fall", "zero", "stale", "bothDead"] as const);
    const fall = random.between(0n, 900n);
    const gap = random.pick([-1n, 1n]) * random.between(350n, 1_500n);
    if (kind === "diverge") this.collateralUsd -= (usd * fall) / 10_000n;
    const moved = this.collateralUsd;
    const operations = {
      diverge: [
        { do: "prices", primary: moved, second: moved },
        { do: "feed", side, token: "collateral", answer: moved + (moved * gap) / 10_000n, age: 0n },
      ],
      revert: [{ do: "revert", side, token: "collateral" }],
      fall: [
        {
          do: "feed",
          side: other,
          token: "collateral",
          answer: usd - (usd * (400n + (fall * 11n) / 20n)) / 10_000n,
          age: 0n,
        },
        { do: "revert", side, token: "collateral" },
      ],
      zero: [{ do: "feed", side, token: "debt", answer: 0n, age: 0n }],
      stale: [{ do: "feed", side, token: "collateral", answer: usd, age: 100_000n }],
      bothDead: [
        { do: "feed", side: "primary", token: "collateral", answer: -1n, age: 0n },
        { do: "revert", side: "second", token: "debt" },
      ],
    }[kind] as Operation[];
    return random.chance(20) ? [...operations, ...this.order(model, price, true)] : operations;
  }

  private heal(): Operation[] {
    this.broken = false;
    return [{ do: "heal", price: this.collateralUsd }];
  }

  // ------------------------------------------------------------------ liquidation

  private liquidate(model: Model, price: Price): Operation[] {
    const idle = model.liquidatableTicks(price).length === 0 && model.potDebt.isZero();
    if (idle && this.random.chance(80)) return this.movePrice(model, price);
    return this.order(model, price, false);
  }

  /** `blind`: the price will have moved when it is executed. */
  private order(model: Model, price: Price, blind: boolean): Operation[] {
    const { random } = this;
    const populated = model.populatedTicks();
    const ticks = blind ? populated : model.liquidatableTicks(price);
    const units = ticks.reduce((sum, tick) => sum.plus(model.tickDebt(tick)), Real.zero);
    const owed = (of: Real) => model.toDebtTokens(of.times(model.borrowIndex)).ceil();
    const all = owed(units) + model.toDebtTokens(model.potDebt).ceil();
    // All of it, some of it, or some of the first tick.
    const maxRepay = random.weighted({ plenty: 45, some: 30, step: 25 });
    const part = (of: bigint) => (of * random.between(1n, 12_000n)) / 10_000n;
    const budget = {
      plenty: () => PLENTY,
      some: () => part(all),
      step: () => part(ticks.length === 0 ? all : owed(model.tickDebt(ticks[0]!)) / 2n),
    }[maxRepay]();
    const skips = random.chance(20) && populated.length !== 0;
    return [
      {
        do: "liquidate",
        maxRepay: budget,
        ...(skips ? { fromTick: random.pick(populated) - random.index(3) } : {}),
        maxTicks: random.chance(25) ? 1 + random.index(4) : 0,
        buyPot: random.chance(50),
      },
    ];
  }

  private seize(): Operation[] {
    return [{ do: "seize", maxTicks: this.random.chance(50) ? 0 : 1 + this.random.index(3) }];
  }

  private pause(model: Model): Operation[] {
    const { random } = this;
    const now = model.level;
    if ((now === "LiquidationsPaused" || now === "NoNewRisk") && random.chance(50)) {
      return [{ do: "resume", level: now }];
    }
    const level = random.chance(60) ? "LiquidationsPaused" : "NoNewRisk";
    return [{ do: "pause", level, seconds: random.between(60n, 2n * HOUR) }];
  }

  // ------------------------------------------------------------------ governor

  /** Both thresholds, and the limit of new risk, by the same amount below where they began; or the end of a ramp. */
  private ramp(model: Model): Operation[] {
    const { random } = this;
    if (random.chance(20)) return [{ do: "stopRamp" }];
    const risk = { ...DEFAULT_RISK, ...this.shape.market.risk };
    const down = random.between(0n, random.chance(50) ? 500n : 4_000n);
    // It holds at once, below what the threshold will be then, however long the wait before it.
    const now = min(model.thresholds().liquidationThreshold, model.parameters.risk.liquidationThreshold);
    const limit = min(risk.liquidationThreshold - down, now) - (risk.liquidationThreshold - risk.maxLtv);
    return [
      {
        do: "ramp",
        risk: {
          ...risk,
          maxLtv: limit > 0n ? limit : 1n,
          liquidationThreshold: risk.liquidationThreshold - down,
          target: risk.target - down,
        },
        seconds: random.between(3n, random.chance(80) ? 10n : 180n) * 24n * HOUR + random.between(0n, HOUR),
      },
    ];
  }

  private poke(): Operation[] {
    return [{ do: "pokeRamp" }];
  }

  private windDown(): Operation[] {
    return [{ do: "windDown", seconds: this.random.between(14n, 20n) * 24n * HOUR }];
  }

  /** On, with a cap around the debt of a tick, so that it binds; sometimes with next to none, or off. */
  private cascade(model: Model): Operation[] {
    const { random } = this;
    if (random.chance(model.cascade === undefined ? 2 : 50)) return [{ do: "cascade", cap: 0n, window: 0n }];
    const ticks = model.populatedTicks();
    const tick = random.chance(60) ? ticks[0] : [undefined, ...ticks][random.index(ticks.length + 1)];
    const debt = tick === undefined ? MICRO : model.tickDebt(tick).times(model.borrowIndex);
    const cap = (debt.over(MICRO).ceil() * random.between(0n, 20_000n)) / 10_000n + 1n;
    const window = random.chance(2) ? 0n : random.magnitude(60n, 12n * HOUR);
    return [{ do: "cascade", cap: min(cap, 2n ** 80n - 1n), window }];
  }

  private settle(model: Model): Operation[] {
    const { random } = this;
    const account = this.borrower(model) ?? random.pick(NAMES);
    const { debt } = this.holdings(model, account);
    const maxRepay = random.chance(60) ? PLENTY : (debt * random.between(1n, 9_000n)) / 10_000n + 1n;
    return [{ do: "settle", account, maxRepay }];
  }

  // ------------------------------------------------------------------ amounts

  /** Somebody with debt; `clear`: and with so much that its rounding does not blur the tick of what comes next. */
  private borrower(model: Model, clear = true): string | undefined {
    const open = NAMES.filter(
      (name) => model.account(name).tick !== undefined && (!clear || this.isClear(model, name)),
    );
    return open.length === 0 ? undefined : this.random.pick(open);
  }

  private isClear(model: Model, name: string): boolean {
    const { tick, debt } = model.account(name);
    if (tick === undefined) return true;
    return debt.floor() > CLEAR && debt.over(model.grid.ratio(tick)).floor() > CLEAR;
  }

  /** Token units that an account has and owes. */
  private holdings(model: Model, name: string): { collateral: bigint; debt: bigint } {
    const account = model.account(name);
    if (account.tick === undefined) return { collateral: 0n, debt: 0n };
    const debt = model.debtOf(account);
    const collateral = debt.over(model.grid.ratio(account.tick)).plus(account.surplus);
    return {
      collateral: model.toCollateralTokens(collateral).floor(),
      debt: model.toDebtTokens(debt.times(model.accrued().borrowIndex)).floor(),
    };
  }

  private collateralWorth(usd: bigint): bigint {
    return (usd * 10n ** BigInt(this.shape.market.collateralDecimals!)) / this.collateralUsd + 1n;
  }

  private debtWorth(usd: bigint): bigint {
    const { debtDecimals, debtPrice } = this.shape.market;
    return (usd * 10n ** BigInt(debtDecimals!)) / debtPrice! + 1n;
  }

  /** Debt token units that are worth `collateral`, at the lower price. */
  private debtFor(collateral: bigint, { low }: Price): bigint {
    const { collateralDecimals, debtDecimals } = this.shape.market;
    const scaled = (collateral * low * 10n ** BigInt(debtDecimals!)) / 10n ** BigInt(collateralDecimals!);
    return scaled / Q128 + 1n;
  }
}
