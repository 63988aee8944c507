import { readFile } from "node:fs/promises";

import { expect } from "chai";
import { parse } from "yaml";
import { ZodPrefault } from "zod";

import { InvalidConfig, KEYS, readConfig } from "../../keeper/src/config.ts";
import { readSubscriptions } from "../../keeper/src/operation/margin-calls.ts";

const KEY = `0x${"ab".repeat(32)}`;
const ACCOUNT = `0x${"12".repeat(20)}`;
const env = { RPC_URL: "http://127.0.0.1:8545", ADDRESSES: "deploy/addresses/31337.json", PRIVATE_KEY: KEY };
const { PRIVATE_KEY: _, ...noSigner } = env;

describe("keeper configuration", () => {
  it("has sensible defaults", () => {
    const config = readConfig(env);
    expect(config).to.deep.include({
      rpcUrls: [env.RPC_URL],
      signer: { kind: "key", key: KEY },
      pollMs: 1_000,
      databaseUrl: undefined,
    });
    expect(config.parameters.minProfit).to.equal(10n ** 15n);
    expect(config.operation).to.deep.include({ host: "127.0.0.1", port: 9464, maxSilence: 60 });
  });

  it("reads numbers, amounts and several endpoints", () => {
    const config = readConfig({
      ...noSigner,
      RPC_URL: "http://127.0.0.1:8545, https://rpc.example/v2/abc",
      ACCOUNT,
      SIGNER_URL: "http://127.0.0.1:9000",
      MIN_PROFIT_ETH: "0.5",
      RESCUE_MAX_LOSS_ETH: "0.1",
      SEIZE_BUDGET_ETH: "0",
      POKE_MINUTES: "10",
    });
    expect(config.rpcUrls).to.deep.equal(["http://127.0.0.1:8545", "https://rpc.example/v2/abc"]);
    expect(config.signer).to.deep.equal({ kind: "account", address: ACCOUNT, url: "http://127.0.0.1:9000" });
    expect(config.parameters).to.deep.include({
      minProfit: 5n * 10n ** 17n,
      inventory: undefined,
      rescue: { distance: 200n, maxLoss: 10n ** 17n },
      seizeBudget: 0n,
      pokePeriod: 600n,
    });
  });

  it("reads a file, over which the environment has precedence", () => {
    const yaml = [
      "# the operator's",
      "RPC_URL:",
      "  - http://127.0.0.1:8545",
      "  - http://127.0.0.1:8546",
      "ADDRESSES: a.json",
      "MIN_PROFIT_ETH: 0.0000001 # no number, but the text that stands here",
      "MAX_TICKS: 7",
      "WEBHOOK_URL:",
    ].join("\n");
    const config = readConfig({ PRIVATE_KEY: KEY, MAX_TICKS: "9", ADDRESSES: "" }, yaml);
    expect(config.rpcUrls).to.have.lengthOf(2);
    expect(config.addresses).to.equal("a.json");
    expect(config.parameters).to.deep.include({ minProfit: 10n ** 11n, maxTicks: 9 });
    expect(config.operation.webhookUrl).to.equal(undefined);
  });

  it("needs no account where nothing is sent", () => {
    expect(readConfig(noSigner, "", { needsSigner: false }).signer).to.deep.equal({ kind: "none" });
  });

  it("reads a keystore's password from the environment or a file", () => {
    const keystore = { ...noSigner, KEYSTORE: "k.json" };
    expect(readConfig({ ...keystore, KEYSTORE_PASSWORD_FILE: "p" }).signer).to.deep.equal({
      kind: "keystore",
      file: "k.json",
      password: undefined,
      passwordFile: "p",
    });
    expect(() => void readConfig(keystore)).to.throw(InvalidConfig, /^KEYSTORE_PASSWORD: is missing/);
  });

  const wrong: [string, NodeJS.ProcessEnv, RegExp][] = [
    ["nothing at all", {}, /RPC_URL: is missing\nADDRESSES: is missing\nPRIVATE_KEY: is missing/],
    ["an empty variable", { ...env, RPC_URL: "" }, /^RPC_URL: /],
    ["no web address", { ...env, RPC_URL: "ws://127.0.0.1" }, /^RPC_URL.*: must be an http/],
    ["one of two endpoints", { ...env, RPC_URL: "http://127.0.0.1,nonsense" }, /^RPC_URL.1: must be an http/],
    ["a short key", { ...env, PRIVATE_KEY: "0xabcd" }, /^PRIVATE_KEY: must be 32 bytes/],
    ["two accounts", { ...env, ACCOUNT }, /^ACCOUNT: must not be set together with PRIVATE_KEY/],
    ["no number", { ...env, MAX_TICKS: "many" }, /^MAX_TICKS: must be a whole number/],
    ["a number of another base", { ...env, MAX_TICKS: "0x10" }, /^MAX_TICKS: must be a whole number/],
    [
      "all of the proceeds",
      { ...env, MAX_SLIPPAGE_BPS: "10000" },
      /^MAX_SLIPPAGE_BPS: must be from 0 to 9999/,
    ],
    ["pokes too far apart", { ...env, POKE_MINUTES: "51" }, /^POKE_MINUTES: must be from 0 to 50/],
    ["a negative profit", { ...env, MIN_PROFIT_ETH: "-1" }, /^MIN_PROFIT_ETH: must be an amount/],
    ["no fraction", { ...env, RESCUE_MAX_LOSS_ETH: "1/2" }, /^RESCUE_MAX_LOSS_ETH: must be an amount/],
    ["another database", { ...env, DATABASE_URL: "mysql://x/y" }, /^DATABASE_URL: must be a postgres/],
  ];
  for (const [name, environment, message] of wrong) {
    it(`fails closed and names the key: ${name}`, () => {
      expect(() => void readConfig(environment)).to.throw(InvalidConfig, message);
    });
  }

  const wrongFiles: [string, string, RegExp][] = [
    ["an unknown key", "MIN_PROFIT: 1", /^MIN_PROFIT: is no key of this configuration$/],
    ["a key in a file", `PRIVATE_KEY: "${KEY}"`, /^PRIVATE_KEY: belongs in the environment, not in a file$/],
    ["a section", "RPC_URL:\n  a: b", /^RPC_URL: must be a text or a list$/],
    ["a list", "- a\n- b", /must be lines of KEY: value/],
    ["no YAML", "a: [", /is no YAML/],
    ["a key twice", "MAX_TICKS: 1\nMAX_TICKS: 2", /is no YAML: .*unique/],
  ];
  for (const [name, yaml, message] of wrongFiles) {
    it(`fails closed on a file with ${name}`, () => {
      expect(() => void readConfig(env, yaml)).to.throw(InvalidConfig, message);
    });
  }

  it("never prints a value", () => {
    const secret = "abababababab";
    for (const key of ["PRIVATE_KEY", "RPC_URL", "DATABASE_URL", "WEBHOOK_URL", "ACCOUNT"]) {
      expect(() => void readConfig({ ...env, [key]: secret }), key)
        .to.throw(InvalidConfig)
        .with.property("message")
        .that.includes(key)
        .and.does.not.contain("abab");
    }
  });

  it("is written out in the examples, with the defaults", async () => {
    const read = async (name: string) => readFile(new URL(`../../keeper/${name}`, import.meta.url), "utf8");
    const example = await read(".env.example");
    const shown = new Map(
      [...example.matchAll(/^(?:# )?([A-Z_]+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]),
    );
    expect([...shown.keys()].sort()).to.deep.equal(Object.keys(KEYS.shape).sort());
    for (const [key, schema] of Object.entries(KEYS.shape)) {
      if (schema instanceof ZodPrefault && key !== "DEADLINE_SECONDS") {
        expect(shown.get(key), key).to.equal(schema.def.defaultValue);
      }
    }
    const set = [...example.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]);
    expect(readConfig(Object.fromEntries(set) as NodeJS.ProcessEnv).signer.kind).to.equal("key");

    const yaml = await read("keeper.example.yaml");
    const config = readConfig({}, yaml);
    expect(config.rpcUrls).to.have.lengthOf(2);
    expect(config.secrets).to.include.members(["v2/your-key", "services/your-token"]);
    expect(
      readSubscriptions(await read("margin-calls.example.yaml"), ["weth-usdc", "wbtc-usdc"]),
    ).to.have.lengthOf(2);

    const { services } = parse(await read("compose.yaml")) as {
      services: { keeper: { environment: object } };
    };
    expect(Object.keys(KEYS.shape)).to.include.members(Object.keys(services.keeper.environment));
  });

  it("knows what logs must not show", () => {
    const { secrets } = readConfig({
      ...env,
      RPC_URL: "https://rpc.example/v2/providers-key",
      DATABASE_URL: "postgres://keeper:pass%20word@db/keeper",
      WEBHOOK_URL: "https://hooks.example/T000/X000?token=0123456789",
    });
    expect(secrets).to.include.members([
      KEY,
      KEY.slice(2),
      "v2/providers-key",
      "pass%20word",
      "pass word",
      "T000/X000",
      "token=0123456789",
    ]);
  });
});
