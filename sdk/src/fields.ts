import { isAddress } from "ethers";

/** Reads a JSON object that somebody else wrote, field by field, and names the one that is not what it must be. */
export class Fields {
  readonly #where: string;
  readonly #value: Record<string, unknown>;
  readonly #invalid: (where: string, expected: string, value: unknown) => Error;

  constructor(
    where: string,
    value: unknown,
    invalid: (where: string, expected: string, value: unknown) => Error,
  ) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid(where, "an object", value);
    }
    this.#where = where;
    this.#value = value as Record<string, unknown>;
    this.#invalid = invalid;
  }

  keys(): string[] {
    return Object.keys(this.#value);
  }

  has(key: string): boolean {
    return this.#value[key] !== undefined;
  }

  /** Refuses what is not one of these keys. */
  only(...known: string[]): this {
    const unknown = this.keys().find((key) => !known.includes(key));
    if (unknown !== undefined) throw this.#invalid(this.#path(unknown), "absent", this.#value[unknown]);
    return this;
  }

  address(key: string): string {
    return this.#checked(key, "an address", (value) => isAddress(value)) as string;
  }

  text(key: string): string {
    return this.#checked(key, "a text", (value) => typeof value === "string" && value !== "") as string;
  }

  matching(key: string, expected: string, pattern: RegExp): string {
    return this.#checked(key, expected, (v) => typeof v === "string" && pattern.test(v)) as string;
  }

  integer(key: string): number {
    return this.#checked(
      key,
      "a whole number, not negative",
      (v) => Number.isSafeInteger(v) && Number(v) >= 0,
    ) as number;
  }

  texts(key: string): string[] {
    return this.#checked(
      key,
      "a list of texts",
      (value) => Array.isArray(value) && value.every((each) => typeof each === "string"),
    ) as string[];
  }

  object(key: string): Fields {
    return new Fields(this.#path(key), this.#value[key], this.#invalid);
  }

  array(key: string): Fields[] {
    const list = this.#checked(key, "a list", (value) => Array.isArray(value)) as unknown[];
    return list.map((value, at) => new Fields(`${this.#path(key)}[${at}]`, value, this.#invalid));
  }

  #checked(key: string, expected: string, isValid: (value: unknown) => boolean): unknown {
    const value = this.#value[key];
    if (!isValid(value)) throw this.#invalid(this.#path(key), expected, value);
    return value;
  }

  #path(key: string): string {
    return this.#where === "" ? key : `${this.#where}.${key}`;
  }
}
