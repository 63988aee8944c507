// Plays the code blocks of docs/runbooks on a local chain with real Safes, each in the incident that it is written for.
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";

import { expect } from "chai";
import { parseDuration, type Status } from "../../sdk/src/desk.ts";
import { type Result, ZeroAddress } from "ethers";

import { deployImplementation } from "../../deploy/implementation.ts";
import { readProposal } from "../../scripts/desk/files.ts";
import {
  AccountRecovery__factory,
  OracleAdapter__factory,
  SafeProxyFactory__factory,
} from "../../sdk/src/types/index.ts";
import { execute } from "../support/safe.ts";
import { openStage, type Stage } from "./stage.ts";

const MARKET = "weth-usdc";
const ROOT = new URL("../../docs/runbooks/", import.meta.url);

/** Amounts are texts in JSON. */
type InJson<T> = T extends bigint ? string : T extends object ? { [K in keyof T]: InJson<T[K]> } : T;

/** The sh blocks of a runbook, by the heading above them; lines that end in a backslash joined. */
function blocksOf(name: string): Map<string, string[]> {
  const blocks = new Map<string, string[]>();
  const text = readFileSync(new URL(`${name}.md`, ROOT), "utf8");
  for (const [, heading, body] of text.matchAll(/^## (.+)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)) {
    const lines = [...body!.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
      block!
        .replace(/\\\n\s*/g, " ")
        .trim()
        .split("\n"),
    );
    if (lines.length > 0) blocks.set(heading!, lines);
  }
  return blocks;
}

(process.env.COMMANDS ? describe : describe.skip)("The runbooks", function () {
  this.timeout(180_000);
  let stage: Stage;
  const played = new Map<string, Set<string>>();
  before(async () => {
    stage = await openStage();
  });
  after(async () => stage.close());
  beforeEach(async () => {
    await stage.reset();
    prices = {};
  });

  /** Plays one block as its readers would: `sign` by as many owners as it takes, the rest once. */
  async function play(
    book: string,
    heading: string,
    variables: Record<string, string> = {},
  ): Promise<string> {
    const lines = blocksOf(book).get(heading);
    if (!lines) throw new Error(`${book}.md has no block under "${heading}"`);
    played.set(book, (played.get(book) ?? new Set()).add(heading));
    let out = "";
    for (const line of lines) {
      const wait = /^# wait (\w+)$/.exec(line);
      if (wait) await pass(parseDuration(wait[1]!));
      else if (line === "npm run keeper -- --once") await keeper();
      else out += await command(line, variables);
    }
    return out;
  }

  async function command(line: string, variables: Record<string, string>): Promise<string> {
    const prefix = "npm run desk -- ";
    if (!line.startsWith(prefix)) throw new Error(`a block has a line that nobody tries: ${line}`);
    // A runbook's reader takes it from desk status: the operation that waits for longest.
    const OPERATION = line.includes("$OPERATION") ? (await status()).all.scheduled[0]!.id : "";
    const known: Record<string, string> = { OPERATION, ...variables };
    const args = line
      .slice(prefix.length)
      .split(" ")
      .map((word) => (word.startsWith("desk/") ? stage.path(word.slice(5)) : word))
      .map((word) => (word.startsWith("$") && word !== "$ME" ? known[word.slice(1)]! : word));
    const by = args[0] === "sign" ? await signersOf(args[1]!, variables.LOST) : [stage.keeper.address];
    let out = "";
    for (const me of by) {
      const answer = await stage.desk(...args.map((word) => (word === "$ME" ? me : word)));
      expect(answer.code, `${line}\n${answer.out}${answer.err}`).to.equal(0);
      out += answer.out;
    }
    return out;
  }

  async function signersOf(file: string, lost?: string): Promise<string[]> {
    const { safe: address } = await readProposal(file);
    const { safes } = stage.local;
    const safe = address === (await safes.pauser.getAddress()) ? safes.pauser : safes.governor;
    const able = [...(await safe.getOwners())].filter(
      (owner) =>
        owner !== lost &&
        stage.local.signers.pausers
          .concat(stage.local.signers.governors, stage.owners)
          .some(({ address: a }) => a === owner),
    );
    return able.slice(0, Number(await safe.getThreshold()));
  }

  /** Time passes; the feeds go on, and the pools' means with them. */
  async function pass(seconds: number): Promise<void> {
    await stage.pass(seconds - 900);
    await rounds();
    await stage.pass(900);
    await rounds();
  }
  let prices: Record<string, string>;
  async function rounds(changed: Record<string, string> = {}): Promise<void> {
    Object.assign(prices, changed);
    for (const [pair, { price }] of Object.entries(stage.local.parameters.feeds) as [
      string,
      { price: string },
    ][]) {
      await stage.local.setPrice(pair, prices[pair] ?? price);
    }
  }
  /** The whole market moves there: feeds, pool, and its mean. */
  async function marketAt(price: string): Promise<void> {
    await rounds({ "ETH/USD": price });
    await stage.arbitrageur.trade();
    await stage.pass(700);
    await rounds();
  }

  async function keeper(): Promise<void> {
    const env = {
      RPC_URL: stage.rpc,
      ADDRESSES: stage.addresses,
      ACCOUNT: stage.keeper.address,
      PRIVATE_KEY: "",
    };
    const child = spawn(process.execPath, ["--import", "tsx", "keeper/src/main.ts", "--once"], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code, text).to.equal(0);
  }

  async function status() {
    const answer = await stage.desk("status", "--json");
    expect(answer.code, answer.err).to.equal(0);
    const all = JSON.parse(answer.out) as InJson<Status>;
    return { all, market: all.markets.find(({ id }) => id === MARKET)! };
  }
  const vault = () => stage.local.markets[MARKET]!.vault;
  const owner = () => stage.owners[0]!;

  /** Repays a little of the first position: nothing may ever stop that. */
  async function repays(): Promise<void> {
    const { debt } = stage.local.markets[MARKET]!;
    const position = await stage.local.contracts.lens.position(vault(), owner(), 0);
    await (await debt.mint(owner(), 10n ** 6n)).wait();
    await (await debt.connect(owner()).approve(vault(), 2n ** 255n)).wait();
    await (
      await vault()
        .connect(owner())
        .adjust(owner(), 0, 0, -(10n ** 6n), owner(), "0x")
    ).wait();
    const after = await stage.local.contracts.lens.position(vault(), owner(), 0);
    expect(after.debt < position.debt).to.equal(true);
  }

  it("wrong-price: paused on two signatures, longer, lifted early into grace", async () => {
    await rounds({ "ETH/USD": "1400" });
    const seen = await play("wrong-price", "Look");
    expect(seen)
      .to.match(/weth-usdc: open, price Diverged/)
      .and.match(/first feed 1,400\.00/);
    await play("wrong-price", "Stop liquidations");
    expect((await status()).market.brake.level).to.equal("LiquidationsPaused");
    await repays();
    await stage.pass(3_600);
    await rounds({ "ETH/USD": "2000" });
    await play("wrong-price", "Not over yet");
    const { brake } = (await status()).market;
    expect(Number(brake.liquidationPauses)).to.equal(2);
    const lifted = await play("wrong-price", "The price is right again");
    expect(lifted)
      .to.match(/executable at /)
      .and.match(/the pause is over; the market is at Grace/);
    await repays();
  });

  it("stuck-feed: one source is shown as stale, and another oracle takes over", async () => {
    await stage.pass(3_700);
    const seen = await play("stuck-feed", "Look");
    expect(seen)
      .to.match(/weth-usdc: open, price (Single|Dead)/)
      .and.match(/first feed \(STALE\)/);
    await play("stuck-feed", "The source that is left is thin or moves strangely");
    await repays();
    await rounds();
    // The same sources in a new contract: what matters here is the way there.
    const adapter = await newAdapter(stage.local.addresses.markets[0]!.oracle);
    await play("stuck-feed", "Another oracle", { ORACLE: adapter });
    expect((await stage.local.contracts.lens.market(vault())).oracle).to.equal(adapter);
  });

  it("keeper-outage: anyone's keeper clears it, and new risk waits", async () => {
    await marketAt("1650");
    const before = (await status()).market;
    expect(BigInt(before.debt.liquidatable["0"]!) > 0n).to.equal(true);
    await play("keeper-outage", "Look");
    const seen = await play("keeper-outage", "Run a keeper");
    expect(seen).to.match(/1 liquidations since block/);
    expect(BigInt((await status()).market.debt.liquidatable["0"]!)).to.equal(0n);
    await play("keeper-outage", "It lasts");
    const { brake } = (await status()).market;
    expect(brake.level).to.equal("NoNewRisk");
    expect(BigInt(brake.pausedUntil)).to.equal(0n);
    await repays();
  });

  it("insolvency: the loss is booked, no new risk, a smaller market, then its end", async () => {
    await play("insolvency", "Look");
    await marketAt("1100");
    const seen = await play("insolvency", "No new risk, and sell what there is");
    expect(seen).to.match(/liquidations since block/);
    const { debt, brake } = (await status()).market;
    expect([BigInt(debt.pot), BigInt(debt.liquidatable["0"]!)]).to.deep.equal([0n, 0n]);
    expect(brake.level).to.equal("NoNewRisk");
    await play("insolvency", "A smaller market");
    expect((await stage.local.contracts.lens.market(vault())).caps.debt).to.equal(5_000_000n * 10n ** 6n);
    const end = await play("insolvency", "End the market");
    expect(end).to.match(/WINDING DOWN/);
  });

  it("compromised-signer: cancelled, replaced, voided; and another Safe elected", async () => {
    const { contracts, signers, safes, addresses } = stage.local;
    // Three stolen keys schedule an upgrade to nobody knows what.
    const evil = contracts.upgrader.interface.encodeFunctionData("upgrade", [
      await vault().getAddress(),
      await contracts.brake.getAddress(),
      "0x",
      true,
    ]);
    const target = await contracts.upgrader.getAddress();
    const schedule = contracts.manager.interface.encodeFunctionData("schedule", [target, evil, 0]);
    await execute(safes.governor, signers.governors.slice(2), contracts.manager, schedule);

    const seen = await play("compromised-signer", "Look");
    expect(seen)
      .to.match(/UPGRADE weth-usdc to the implementation 0x/)
      .and.match(/propose cancel --operation 0x/);
    const [operation] = (await status()).all.scheduled;
    await play("compromised-signer", "Cancel what the attacker scheduled", { OPERATION: operation!.id });
    expect((await status()).all.scheduled).to.deep.equal([]);

    const [LOST, NEW_OWNER] = [signers.pausers[0]!.address, stage.owners[1]!.address];
    await play("compromised-signer", "Replace the signer", { LOST, NEW_OWNER });
    const owners = await safes.pauser.getOwners();
    expect(owners).to.include(NEW_OWNER).and.not.include(LOST);

    const factory = SafeProxyFactory__factory.connect(
      addresses.contracts.SafeProxyFactory!,
      signers.deployer,
    );
    const setup = safes.pauser.interface.encodeFunctionData("setup", [
      stage.owners.slice(0, 3).map(({ address }) => address),
      2,
      ZeroAddress,
      "0x",
      addresses.contracts.CompatibilityFallbackHandler!,
      ZeroAddress,
      0,
      ZeroAddress,
    ]);
    const create = [addresses.contracts.Safe!, setup, 7] as const;
    const NEW_SAFE = await factory.createProxyWithNonce.staticCall(...create);
    await (await factory.createProxyWithNonce(...create)).wait();
    const OLD_SAFE = addresses.safes.pauser;
    await play("compromised-signer", "The pauser's Safe is lost", { NEW_SAFE, OLD_SAFE });
    expect((await contracts.manager.hasRole(1, NEW_SAFE))[0]).to.equal(true);
    expect((await contracts.manager.hasRole(1, OLD_SAFE))[0]).to.equal(false);
  });

  it("bad-upgrade: what ran before runs again, two signatures later", async () => {
    const IMPLEMENTATION = await deployImplementation(stage.local.ethers, "Vault", vault());
    const { upgrader } = stage.local.contracts;
    const before = (await upgrader.stateOf(vault())).implementation;
    await play("bad-upgrade", "How an upgrade goes", { IMPLEMENTATION });
    expect((await upgrader.stateOf(vault())).implementation).to.equal(IMPLEMENTATION);
    await play("bad-upgrade", "Pause and put back");
    expect((await upgrader.stateOf(vault())).implementation).to.equal(before);
    await repays();
  });

  it("lost-account: the other owners replace a signer", async () => {
    const [LOST, NEW_OWNER] = [stage.local.signers.governors[0]!.address, stage.owners[1]!.address];
    await play("lost-account", "A signer has lost a key", { LOST, NEW_OWNER });
    expect(await stage.local.safes.governor.getOwners())
      .to.include(NEW_OWNER)
      .and.not.include(LOST);
  });

  it("lost-account: two Safes that guard an account lock it and give it to a new owner", async () => {
    const { addresses, signers } = stage.local;
    const recovery = AccountRecovery__factory.connect(addresses.contracts.AccountRecovery!, signers.deployer);
    const guardians = Object.values(addresses.safes).sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
    const guard = { guardians, threshold: 2, delay: 48 * 3_600 };
    const create = [owner(), guard, `0x${"07".repeat(32)}`] as const;
    const ACCOUNT = await recovery.create.staticCall(...create);
    await (await recovery.create(...create)).wait();
    const [GUARDIAN_1, GUARDIAN_2] = [addresses.safes.governor, addresses.safes.pauser];
    const known = { ACCOUNT, GUARDIAN_1, GUARDIAN_2, NEW_OWNER: stage.owners[2]!.address };

    await play("lost-account", "An owner has lost the key, or it is stolen", known);
    expect((await recovery.stateOf(ACCOUNT)).lockedUntil > 0n).to.equal(true);
    const DEADLINE = new Date(((await stage.now()) + 86_400) * 1_000).toISOString().replace(".000Z", "Z");
    await play("lost-account", "Give the account to a new owner", { ...known, DEADLINE });
    expect(await recovery.ownerOf(ACCOUNT)).to.equal(known.NEW_OWNER);
  });

  it("full-market and paused-market: what there is, and for how long", async () => {
    expect(await play("full-market", "Look")).to.match(/utilization [\d.]+ %/);
    await play("wrong-price", "Stop liquidations");
    expect(await play("paused-market", "Look")).to.match(/liquidations paused for (2h|1h 59min)/);
  });

  it("have no block that these tests do not play", () => {
    for (const file of globSync("docs/runbooks/*.md")) {
      const book = basename(file, ".md");
      expect([...(played.get(book) ?? [])], book).to.have.members([...blocksOf(book).keys()]);
    }
  });

  async function newAdapter(old: string): Promise<string> {
    const { deployer } = stage.local.signers;
    const config = await OracleAdapter__factory.connect(old, deployer).config();
    const plain = (config as unknown as Result).toObject(true);
    const adapter = await stage.local.ethers.deployContract("OracleAdapter", [plain]);
    const address = await adapter.getAddress();
    await (await OracleAdapter__factory.connect(address, deployer).update()).wait();
    return address;
  }
});
