import { expect } from "chai";

import { InvalidConfig, readConfig } from "../../keeper/src/config.ts";

const KEY = `0x${"ab".repeat(32)}`;
const env = { RPC_URL: "http://127.0.0.1:8545", ADDRESSES: "deploy/addresses/31337.json", PRIVATE_KEY: KEY };

describe("keeper configuration", () => {
  it("has sensible defaults", () => {
    const config = readConfig([], env);
    expect(config).to.deep.include({
      signer: { kind: "key", key: KEY },
      dryRun: false,
      once: false,
      pollMs: 1_000,
    });
    expect(config).to.have.nested.property("parameters.minProfit", 10n ** 15n);
  });

  it("reads flags and numbers", () => {
    const account = `0x${"12".repeat(20)}`;
    const { PRIVATE_KEY: _, ...rest } = env;
    const config = readConfig(["--dry-run", "--once"], {
      ...rest,
      ACCOUNT: account,
      MIN_PROFIT_ETH: "0.5",
      SEIZE: "no",
      POKE_MINUTES: "10",
    });
    expect(config).to.deep.include({
      signer: { kind: "account", address: account },
      dryRun: true,
      once: true,
    });
    expect(config).to.have.nested.property("parameters.minProfit", 5n * 10n ** 17n);
    expect(config).to.have.nested.property("parameters.seizeGas", false);
    expect(config).to.have.nested.property("parameters.pokePeriod", 600n);
    expect(readConfig(["--help"], {})).to.equal("help");
  });

  it("needs no account for a dry run", () => {
    const { PRIVATE_KEY: _, ...rest } = env;
    expect(readConfig(["--dry-run"], rest)).to.deep.include({ signer: { kind: "none" } });
  });

  const wrong: [string, string[], NodeJS.ProcessEnv, RegExp][] = [
    ["nothing at all", [], {}, /RPC_URL: .*\nADDRESSES: .*\nPRIVATE_KEY: is missing/s],
    ["an empty variable", [], { ...env, RPC_URL: "" }, /^RPC_URL: /],
    ["no web address", [], { ...env, RPC_URL: "ws://127.0.0.1" }, /^RPC_URL: /],
    ["a short key", [], { ...env, PRIVATE_KEY: "0xabcd" }, /^PRIVATE_KEY: must be 32 bytes/],
    ["two accounts", [], { ...env, ACCOUNT: `0x${"12".repeat(20)}` }, /^ACCOUNT: must not be set together/],
    ["no number", [], { ...env, MAX_TICKS: "many" }, /^MAX_TICKS: /],
    [
      "all of the proceeds",
      [],
      { ...env, MAX_SLIPPAGE_BPS: "10000" },
      /^MAX_SLIPPAGE_BPS: must be below 10000/,
    ],
    ["pokes too far apart", [], { ...env, POKE_MINUTES: "61" }, /^POKE_MINUTES: must be at most 60/],
    ["a negative profit", [], { ...env, MIN_PROFIT_ETH: "-1" }, /^MIN_PROFIT_ETH: must be an amount/],
    ["an unknown flag", ["--fast"], env, /Unknown option '--fast'/],
  ];
  for (const [name, args, environment, message] of wrong) {
    it(`fails closed and names the key: ${name}`, () => {
      expect(() => void readConfig(args, environment)).to.throw(InvalidConfig, message);
    });
  }

  it("never prints a key", () => {
    const key = `${KEY}ff`;
    expect(() => void readConfig([], { ...env, PRIVATE_KEY: key }))
      .to.throw(InvalidConfig)
      .with.property("message")
      .that.does.not.contain("abab");
  });
});
