/**
 * A number that carries a bound of how far an implementation that rounds may be from it: `value` is exact (up to
 * 2^-320), `error` is the bound. Arithmetic carries the bound along; `rounded(unit)` says that the implementation
 * rounds here, by less than `unit`. So the tolerance between contract and model is derived by the model itself,
 * operation by operation; docs/rounding.md gives the reason of each `rounded`.
 */
const BITS = 320n;
const UNIT = 1n << BITS;
/** The bound of a quotient whose divisor may be nothing. */
const UNBOUNDED = 1n << (BITS + 512n);

const abs = (x: bigint) => (x < 0n ? -x : x);
const min = (a: bigint, b: bigint) => (a < b ? a : b);
const max = (a: bigint, b: bigint) => (a > b ? a : b);

export class Real {
  static readonly zero = new Real(0n, 0n);
  static readonly one = new Real(UNIT, 0n);

  private constructor(
    private readonly value: bigint,
    private readonly error: bigint,
  ) {}

  static of(integer: bigint): Real {
    return new Real(integer << BITS, 0n);
  }

  /** numerator / denominator. */
  static ratio(numerator: bigint, denominator: bigint): Real {
    const scaled = numerator << BITS;
    return new Real(scaled / denominator, scaled % denominator === 0n ? 0n : 1n);
  }

  plus(b: Real): Real {
    return new Real(this.value + b.value, this.error + b.error);
  }

  minus(b: Real): Real {
    return new Real(this.value - b.value, this.error + b.error);
  }

  times(b: Real): Real {
    const error = (abs(this.value) * b.error + abs(b.value) * this.error + this.error * b.error) >> BITS;
    const product = this.value * b.value;
    const exact = this.error + b.error === 0n && product % UNIT === 0n;
    return new Real(product >> BITS, exact ? 0n : error + 1n);
  }

  over(b: Real): Real {
    const scaled = this.value << BITS;
    const value = scaled / b.value;
    if (this.error + b.error === 0n && scaled % b.value === 0n) return new Real(value, 0n);
    const least = abs(b.value) - b.error;
    if (least <= 0n) return new Real(value, UNBOUNDED);
    return new Real(value, ((this.error + ((abs(value) * b.error) >> BITS)) << BITS) / least + 1n);
  }

  /** The smaller one; if they are near each other, the implementation may take the other one. */
  least(b: Real): Real {
    if (!this.isNear(b)) return this.value < b.value ? this : b;
    return new Real(min(this.value, b.value), max(this.error, b.error));
  }

  greatest(b: Real): Real {
    if (!this.isNear(b)) return this.value < b.value ? b : this;
    return new Real(max(this.value, b.value), max(this.error, b.error));
  }

  orZero(): Real {
    return new Real(max(this.value, 0n), this.error);
  }

  /** Brought into [low, high], where the implementation's number is too. */
  clamp(low: Real, high: Real): Real {
    const value = min(max(this.value, low.value), high.value);
    return new Real(value, min(this.error, high.value - low.value + low.error + high.error));
  }

  /** e^this. */
  exp(): Real {
    const value = exp(this.value);
    return new Real(value, this.error === 0n ? 0n : (value * (exp(this.error) - UNIT + 1n)) >> BITS);
  }

  /** The implementation rounds here, by at most `unit`; nothing stays nothing. */
  rounded(unit: Real = Real.one): Real {
    if (this.value === 0n && this.error === 0n) return this;
    return new Real(this.value, this.error + unit.value + unit.error);
  }

  /** The implementation may be off by `bound` more. */
  within(bound: Real): Real {
    return new Real(this.value, this.error + bound.value + bound.error);
  }

  /** The same number, of which the implementation knows the exact value. */
  exact(): Real {
    return new Real(this.value, 0n);
  }

  /** The bound itself as a number. */
  bound(): Real {
    return new Real(this.error, 0n);
  }

  /** How the exact values compare. */
  compare(b: Real): number {
    return this.value < b.value ? -1 : this.value > b.value ? 1 : 0;
  }

  /** Whether the implementation may find another order of the two than `compare` does. */
  isNear(b: Real): boolean {
    const error = this.error + b.error;
    return error !== 0n && abs(this.value - b.value) <= error;
  }

  isZero(): boolean {
    return this.value === 0n;
  }

  isNegative(): boolean {
    return this.value < 0n;
  }

  floor(): bigint {
    return this.value >> BITS;
  }

  ceil(): bigint {
    return -(-this.value >> BITS);
  }

  /** The bound, rounded up to a whole number. */
  tolerance(): bigint {
    return -(-this.error >> BITS);
  }

  /** Whether `integer` is what an implementation may have for this number. */
  admits(integer: bigint): boolean {
    return abs((integer << BITS) - this.value) <= this.error;
  }

  /** value ± error with `digits` decimals, for messages. */
  toString(digits = 6): string {
    const decimal = (x: bigint) => {
      const scaled = (abs(x) * 10n ** BigInt(digits)) >> BITS;
      const text = scaled.toString().padStart(digits + 1, "0");
      return `${x < 0n ? "-" : ""}${text.slice(0, -digits)}.${text.slice(-digits)}`;
    };
    return `${decimal(this.value)} ± ${decimal(this.error)}`;
  }
}

/** Fixed point e^x: halved until it is small, Taylor, squared back. */
function exp(x: bigint): bigint {
  const halvings = 24n;
  const guard = 64n;
  const one = 1n << (BITS + guard);
  const y = (x << guard) >> halvings;
  let term = one;
  let sum = one;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    term = (term * y) >> (BITS + guard);
    term /= n;
    sum += term;
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) >> (BITS + guard);
  return sum >> guard;
}
