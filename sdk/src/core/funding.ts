import { expWad, lnWad } from "./exp.ts";
import { WAD, max, min } from "./math.ts";
import { RATE_BOUNDS, accrueRate } from "./rate.ts";

// The skew surcharge of two markets that mirror each other, to the unit what contracts/MarketPair.sol charges. While the
// debts stay what they are it makes no difference how often, or whether, anybody accrues: the path is integrated exactly.

const LN2 = 693_147_180_559_945_309n;
const BILLION = 10n ** 9n;
const MAX_DEBT = (1n << 80n) - 1n;
const MAX_DUE = (1n << 64n) - 1n;

/** Fixed for a pair's life. */
export interface FundingTerms {
  maxRate: bigint; //       the surcharge at full skew, per second, WAD
  deadBand: bigint; //      imbalance that costs nothing, WAD
  halfLife: bigint; //      seconds in which the surcharge goes half of its way
  insuranceShare: bigint; // of the surcharge, percent; the lenders have the rest
  sparedShare: bigint; //   of the reserve fee, that the light side does not pay at full skew, percent
  floor: bigint; //         millionths of a quote token: total debt below which imbalance is measured against this
}

/** A pair as it was left at `updatedAt`. */
export interface FundingState {
  debtLong: bigint; //    millionths of a quote token
  debtShort: bigint; //   millionths of a base token
  price: bigint; //       quote per base, whole tokens, Q128: the last Fresh one
  skew: bigint; //        of the greatest surcharge, WAD; above 0 longs pay it, below 0 shorts
  dueLong: bigint; //     surcharge since the long market accrued, billionths of a second at the greatest
  dueShort: bigint;
  sparedLong: bigint; //  surcharge of the shorts since the long market accrued, in the same unit
  sparedShort: bigint;
  updatedAt: bigint;
}

/** What a pair stores of a debt of `units` (18 decimals). */
export function millionths(units: bigint): bigint {
  return min(units / 10n ** 12n, MAX_DEBT);
}

/** (L − S) / max(L + S, floor), WAD; above 0: longs owe more. */
export function imbalanceOf(s: FundingState, floor: bigint): bigint {
  const short = (s.debtShort * s.price) >> 128n;
  return ((s.debtLong - short) * WAD) / max(s.debtLong + short, floor);
}

/** Where the skew is going while the debts stay what they are. */
export function targetSkew(s: FundingState, { deadBand, floor }: FundingTerms): bigint {
  const imbalance = imbalanceOf(s, floor);
  const beyond = (imbalance < 0n ? -imbalance : imbalance) - deadBand;
  if (beyond <= 0n) return 0n;
  const size = (beyond * WAD) / (WAD - deadBand);
  return imbalance < 0n ? -size : size;
}

/** The skew `elapsed` seconds later, and its integral while longs and while shorts were heavy, WAD seconds. */
export function advanceSkew(
  skew: bigint,
  target: bigint,
  halfLife: bigint,
  elapsed: bigint,
): { skew: bigint; long: bigint; short: bigint } {
  const tau = (halfLife * WAD * WAD) / LN2;
  const decay = expWad(-((elapsed * WAD * WAD) / tau));
  const distance = skew - target;
  const end = target + (distance * decay) / WAD;
  const total = target * elapsed + (distance * tau * (WAD - decay)) / (WAD * WAD);
  const crosses = skew !== 0n && end !== 0n && skew < 0n !== end < 0n;
  const pieces = crosses ? split(skew, target, tau, total) : [total];
  let [long, short] = [0n, 0n];
  for (const piece of pieces) {
    if (piece > 0n) long += piece;
    else short -= piece;
  }
  return { skew: end, long, short };
}

/** The integral until the skew is 0, and after that. */
function split(skew: bigint, target: bigint, tau: bigint, total: bigint): [bigint, bigint] {
  const ofSign = (x: bigint, sign: bigint) => (sign > 0n ? max(x, 0n) : min(x, 0n));
  const x = ((target - skew) * WAD) / target;
  const first = ofSign((tau * (skew + (target * lnWad(x)) / WAD)) / WAD, skew);
  return [first, ofSign(total - first, target)];
}

/** The pair at `now`; what is due is not taken. */
export function accrueFunding(s: FundingState, terms: FundingTerms, now: bigint): FundingState {
  const { skew, long, short } = advanceSkew(s.skew, targetSkew(s, terms), terms.halfLife, now - s.updatedAt);
  const add = (due: bigint, seconds: bigint) => min(due + seconds / BILLION, MAX_DUE);
  return {
    ...s,
    skew,
    dueLong: add(s.dueLong, long),
    dueShort: add(s.dueShort, short),
    sparedLong: add(s.sparedLong, short),
    sparedShort: add(s.sparedShort, long),
    updatedAt: now,
  };
}

/** What a surcharge that is due adds to the exponent of the borrow index, WAD. */
export function surchargeOf(due: bigint, { maxRate }: FundingTerms): bigint {
  return (maxRate * due) / BILLION;
}

/** What the light side's reserve fee, and its borrowers' interest with it, falls by: exponent, WAD. */
export function reliefOf(
  spared: bigint,
  rate: bigint,
  reserveFactor: bigint,
  { sparedShare }: FundingTerms,
): bigint {
  return (((rate * reserveFactor) / 100n) * ((sparedShare * spared) / 100n)) / BILLION;
}

/** What borrowers pay per second, WAD, when a market's own rate is `base`: with what its pair adds and spares now. */
export function fundedRate(
  base: bigint,
  now: { surcharge: bigint; spared: bigint; reserveFactor: bigint },
): bigint {
  return base + now.surcharge - (((base * now.reserveFactor) / 100n) * now.spared) / WAD;
}

/** The least and the greatest rate that a market can ever charge; without terms it has no pair. */
export function rateBounds(reserveFactor: bigint, terms?: FundingTerms): { least: bigint; most: bigint } {
  const { least, most } = RATE_BOUNDS;
  if (terms === undefined) return { least, most };
  return { least: least - (least * reserveFactor * terms.sparedShare) / 10_000n, most: most + terms.maxRate };
}

/** One side's lending, for a forecast. */
export interface LendingState {
  utilization: bigint; //   WAD
  rateAtTarget: bigint; //  per second, WAD
  reserveFactor: bigint; // percent
}

/** Means of an hour, per second, WAD: borrow = base + surcharge − relief. */
export interface SideRates {
  base: bigint;
  surcharge: bigint;
  relief: bigint;
  borrow: bigint;
}

export interface FundingHour {
  /** At the hour's end. */
  time: bigint;
  skew: bigint;
  long: SideRates;
  short: SideRates;
}

const HOUR = 3_600n;

/** What borrowing costs each side in every hour from `now`, if neither debts, price nor utilization change. */
export function forecastFunding(
  state: FundingState,
  terms: FundingTerms,
  long: LendingState,
  short: LendingState,
  now: bigint,
  hours = 24,
): FundingHour[] {
  let pair = accrueFunding(state, terms, now);
  let [longAtTarget, shortAtTarget] = [long.rateAtTarget, short.rateAtTarget];
  return Array.from({ length: hours }, () => {
    const taken = { ...pair, dueLong: 0n, dueShort: 0n, sparedLong: 0n, sparedShort: 0n };
    pair = accrueFunding(taken, terms, pair.updatedAt + HOUR);
    const longBase = accrueRate(long.utilization, longAtTarget, HOUR);
    const shortBase = accrueRate(short.utilization, shortAtTarget, HOUR);
    [longAtTarget, shortAtTarget] = [longBase.rateAtTarget, shortBase.rateAtTarget];
    return {
      time: pair.updatedAt,
      skew: pair.skew,
      long: ratesOf(longBase.rate, pair.dueLong, pair.sparedLong, long.reserveFactor, terms),
      short: ratesOf(shortBase.rate, pair.dueShort, pair.sparedShort, short.reserveFactor, terms),
    };
  });
}

function ratesOf(
  base: bigint,
  due: bigint,
  spared: bigint,
  reserveFactor: bigint,
  terms: FundingTerms,
): SideRates {
  const surcharge = surchargeOf(due, terms) / HOUR;
  const relief = reliefOf(spared, base, reserveFactor, terms) / HOUR;
  return { base, surcharge, relief, borrow: base + surcharge - relief };
}
