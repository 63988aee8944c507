import { expWad, lnWad } from "./exp.ts";
import { WAD, max, min } from "./math.ts";
import { RATE_BOUNDS, accrueRate } from "./rate.ts";

// The skew surcharge of two markets that mirror each other, to the unit what contracts/MarketPair.sol charges. While the
// debts stay what they are it makes no difference how often, or whether, anybody accrues: the path is integrated exactly.

const LN2 = 693_147_180_559_945_309n;
const BILLION = 10n ** 9n;
const HOUR = 3_600n;
const MAX_VALUE = (1n << 80n) - 1n;
const MAX_DUE = (1n << 64n) - 1n;

/** Fixed for a pair's life. */
export interface FundingTerms {
  maxRate: bigint; //       the surcharge at full skew, per second, WAD
  deadBand: bigint; //      imbalance that costs nothing, WAD
  halfLife: bigint; //      seconds in which the surcharge goes half of its way
  insuranceShare: bigint; // of the surcharge, percent; the lenders have the rest
  sparedShare: bigint; //   of the reserve fee, that the light side does not pay at full skew, percent
  floor: bigint; //         millionths of a quote token, not 0: a smaller book counts as this large
}

/** Since a market last charged interest, billionths of a second at full skew: while it was heavy, while the other was. */
export interface FundingDue {
  charged: bigint;
  spared: bigint;
}

/** A pair at `updatedAt`. */
export interface FundingState {
  valueLong: bigint; //  of the debts when their markets last changed, millionths of a quote token
  valueShort: bigint;
  skew: bigint; //       of the greatest surcharge, WAD; above 0 longs pay it, below 0 shorts
  updatedAt: bigint;
  long: FundingDue;
  short: FundingDue;
}

export const NOTHING_DUE: FundingDue = { charged: 0n, spared: 0n };

/** What a pair keeps of a debt (units, 18 decimals) of the long side or, with a price (quote per base, Q128), of the short. */
export function valueOfDebt(units: bigint, price = 1n << 128n): bigint {
  return min((min(units / 10n ** 12n, 1n << 100n) * price) >> 128n, MAX_VALUE);
}

/** (L − S) / max(L + S, floor), WAD; above 0: longs owe more. */
export function imbalanceOf({ valueLong, valueShort }: FundingState, floor: bigint): bigint {
  return ((valueLong - valueShort) * WAD) / max(valueLong + valueShort, floor);
}

/** Where the skew is going while the values stay what they are. */
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
  let [long, short] = [total, -total];
  if (crosses) {
    // Apart: up to where it is 0, and from there.
    const x = ((target - skew) * WAD) / target;
    const first = (tau * (skew + (target * lnWad(x)) / WAD)) / WAD;
    [long, short] = skew > 0n ? [first, first - total] : [total - first, -first];
  }
  // A piece that is all but nothing can round to the other sign.
  return { skew: end, long: max(long, 0n), short: max(short, 0n) };
}

/** The pair at `now`; what is due stays due. */
export function accrueFunding(s: FundingState, terms: FundingTerms, now: bigint): FundingState {
  const { skew, long, short } = advanceSkew(s.skew, targetSkew(s, terms), terms.halfLife, now - s.updatedAt);
  const add = (due: bigint, seconds: bigint) => min(due + seconds / BILLION, MAX_DUE);
  const both = (due: FundingDue, heavy: bigint, light: bigint): FundingDue => ({
    charged: add(due.charged, heavy),
    spared: add(due.spared, light),
  });
  return { ...s, skew, long: both(s.long, long, short), short: both(s.short, short, long), updatedAt: now };
}

/** What a surcharge that is due adds to the exponent of the borrow index, WAD. */
export function surchargeOf(due: FundingDue, { maxRate }: FundingTerms): bigint {
  return (maxRate * due.charged) / BILLION;
}

/** Interest that a market charges: exponents, WAD. What is `spared` is the reserves' loss, not the lenders'. */
export interface FundedInterest {
  exponent: bigint; //  base + surcharge − relief
  surcharge: bigint;
  relief: bigint;
  cut: bigint; //       the reserves' part of the interest, WAD
}

/** The interest of `elapsed` seconds whose base exponent is `base`, with what the pair adds and spares. */
export function fundedInterest(
  base: bigint,
  elapsed: bigint,
  reserveFactor: bigint,
  due: FundingDue,
  terms: FundingTerms,
): FundedInterest {
  const fee = (base * reserveFactor * (WAD / 100n)) / WAD;
  const sparedSeconds = (due.spared * terms.sparedShare) / 100n;
  const relief = elapsed === 0n ? 0n : min(fee, (fee * sparedSeconds) / (elapsed * BILLION));
  const surcharge = surchargeOf(due, terms);
  const insured = (surcharge * terms.insuranceShare) / 100n;
  const exponent = base - relief + surcharge;
  const cut = exponent === 0n ? 0n : ((fee - relief + insured) * WAD) / exponent;
  return { exponent, surcharge, relief, cut };
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

/** Means of an hour, per second, WAD: borrow = base + surcharge − relief, but for a unit of rounding. */
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

/** What borrowing costs each side in every hour from `now`, if neither values nor utilization change. */
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
    pair = accrueFunding({ ...pair, long: NOTHING_DUE, short: NOTHING_DUE }, terms, pair.updatedAt + HOUR);
    const longBase = accrueRate(long.utilization, longAtTarget, HOUR);
    const shortBase = accrueRate(short.utilization, shortAtTarget, HOUR);
    [longAtTarget, shortAtTarget] = [longBase.rateAtTarget, shortBase.rateAtTarget];
    return {
      time: pair.updatedAt,
      skew: pair.skew,
      long: ratesOf(longBase.rate, pair.long, long.reserveFactor, terms),
      short: ratesOf(shortBase.rate, pair.short, short.reserveFactor, terms),
    };
  });
}

/** What borrowers pay and lenders get per second, WAD: means of the hour that ends at `time`. */
export interface RateHour {
  time: bigint;
  borrow: bigint;
  lend: bigint;
}

/** The rates of a market without a pair in every hour from `now`, if its utilization stays. */
export function forecastRates(lending: LendingState, now: bigint, hours = 24): RateHour[] {
  let { rateAtTarget } = lending;
  return Array.from({ length: hours }, (_, at) => {
    const { rate, rateAtTarget: end } = accrueRate(lending.utilization, rateAtTarget, HOUR);
    rateAtTarget = end;
    const lend = lendRateOf({ base: rate, surcharge: 0n }, lending, 0n);
    return { time: now + BigInt(at + 1) * HOUR, borrow: rate, lend };
  });
}

/** What lenders get per second, WAD: Lens' lendRate. `insuranceShare`: of the surcharge, percent. */
export function lendRateOf(
  { base, surcharge }: Pick<SideRates, "base" | "surcharge">,
  { utilization, reserveFactor }: LendingState,
  insuranceShare: bigint,
): bigint {
  const kept = base - (base * reserveFactor) / 100n + surcharge - (surcharge * insuranceShare) / 100n;
  return (kept * utilization) / WAD;
}

function ratesOf(base: bigint, due: FundingDue, reserveFactor: bigint, terms: FundingTerms): SideRates {
  const interest = fundedInterest(base * HOUR, HOUR, reserveFactor, due, terms);
  return {
    base,
    surcharge: interest.surcharge / HOUR,
    relief: interest.relief / HOUR,
    borrow: interest.exponent / HOUR,
  };
}
