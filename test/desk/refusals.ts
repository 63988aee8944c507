// What the desk refuses: every way a file, a signature or a chain can be other than the signers think.
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";

import { expect } from "chai";
import { Wallet } from "ethers";

import { readParameters } from "../../deploy/parameters.ts";
import { AccountRecovery__factory } from "../../sdk/src/types/index.ts";
import { execute } from "../support/safe.ts";
import { type Answer, openStage, type Stage } from "./stage.ts";

const MARKET = "weth-usdc";

/** What a test changes in a file. */
interface Json {
  chainId: number;
  safe: string;
  expiresAt: number;
  transaction: { to: string; data: string; nonce: number };
  about?: { action: number };
  cost: { figures: { value: string }[] };
}

(process.env.COMMANDS ? describe : describe.skip)("The signers' desk", function () {
  this.timeout(120_000);
  let stage: Stage;
  let count = 0;
  before(async () => {
    stage = await openStage();
  });
  after(async () => stage.close());
  beforeEach(async () => stage.reset());

  const ok = (answer: Answer) => {
    expect(answer.code, answer.err + answer.out).to.equal(0);
    return answer;
  };
  const refused = (answer: Answer, words: RegExp) => {
    expect(answer.code, answer.out).to.equal(1);
    expect(answer.err).to.match(/^Refused: /);
    expect(answer.err).to.match(words);
  };
  const pauser = (at: number) => stage.local.signers.pausers[at]!.address;
  const governor = (at: number) => stage.local.signers.governors[at]!.address;
  const fresh = () => stage.path(`proposal-${++count}.json`);

  /** A pause of liquidations, as a file. */
  async function pause(...more: string[]): Promise<string> {
    const file = fresh();
    const what = ["--market", MARKET, "--for", "2h", "--reason", "test", "--file", file];
    ok(await stage.desk("propose", "pause-liquidations", ...what, ...more));
    return file;
  }
  const sign = async (file: string, account: string, ...more: string[]) =>
    stage.desk("sign", file, "--account", account, ...more);
  const send = async (file: string, ...more: string[]) =>
    stage.desk("execute", file, ...more, "--account", stage.keeper.address);
  async function edit(file: string, change: (json: Json) => void): Promise<void> {
    const json = JSON.parse(await readFile(file, "utf8")) as Json;
    change(json);
    await writeFile(file, JSON.stringify(json));
  }

  it("pauses with two signatures, and says what it did", async () => {
    const file = await pause();
    const first = ok(await sign(file, pauser(0)));
    expect(first.out).to.match(/pause liquidations of weth-usdc for 2h \(reason: test\)/);
    expect(first.out).to.match(/Safe transaction hash {2}0x[0-9a-f]{64}/);
    ok(await sign(file, pauser(2)));
    const verified = ok(await stage.desk("verify", file));
    expect(verified.out).to.include(pauser(0)).and.include(pauser(2));
    const done = ok(await send(file));
    expect(done.out).to.match(/liquidations paused: weth-usdc until /);
    const { level } = await stage.local.contracts.brake.stateOf(stage.local.markets[MARKET]!.vault);
    expect(level).to.equal(3n);
  });

  it("pauses every market at once, and lets the governor take back what it scheduled", async () => {
    const all = fresh();
    const what = ["--market", "all", "--for", "1d", "--reason", "test", "--file", all];
    ok(await stage.desk("propose", "pause-new-risk", ...what));
    for (const at of [1, 2])
      expect(ok(await sign(all, pauser(at))).out).to.match(/pause new risk of every market/);
    expect(ok(await send(all)).out).to.match(
      /new risk paused: weth-usdc until .*, usdc-weth until .*, wbtc-usdc until /,
    );

    const [caps, cancel] = [fresh(), fresh()];
    ok(await stage.desk("propose", "set-caps", "--market", MARKET, "--debt", "1", "--file", caps));
    for (const at of [0, 1, 2]) ok(await sign(caps, governor(at)));
    const [, id] = /scheduled as (0x[0-9a-f]{64})/.exec(ok(await send(caps)).out)!;
    const back = ["--operation", id!, "--safe", "governor", "--file", cancel];
    ok(await stage.desk("propose", "cancel", ...back));
    for (const at of [0, 1, 2])
      expect(ok(await sign(cancel, governor(at))).out).to.match(/CANCEL what the governor Safe has/);
    expect(ok(await send(cancel)).out).to.include(`cancelled ${id}`);
  });

  it("writes the same call for Safe's Transaction Builder", async () => {
    const file = await pause();
    const read = async (name: string) => JSON.parse(await readFile(name, "utf8")) as Json;
    const { transaction, safe } = await read(file);
    const builder = (await read(file.replace(".json", ".builder.json"))) as unknown as {
      chainId: string;
      meta: { createdFromSafeAddress: string };
      transactions: { to: string; value: string; data: string }[];
    };
    expect(builder.chainId).to.equal("31337");
    expect(builder.meta.createdFromSafeAddress).to.equal(safe);
    const [{ to, value, data }] = builder.transactions as [{ to: string; value: string; data: string }];
    expect({ to, data, value }).to.deep.equal({ to: transaction.to, data: transaction.data, value: "0" });
  });

  it("refuses a file of another chain, and addresses of another chain", async () => {
    const file = await pause();
    await edit(file, (json) => Object.assign(json, { chainId: 1 }));
    for (const answer of [await sign(file, pauser(0)), await stage.desk("verify", file), await send(file)]) {
      refused(answer, /wrong chain/);
    }
    const elsewhere = stage.path("elsewhere.json");
    await writeFile(elsewhere, await readFile(stage.addresses, "utf8"));
    await edit(elsewhere, (json) => Object.assign(json, { chainId: 1 }));
    refused(await stage.desk("status", "--addresses", elsewhere), /wrong chain/);
  });

  it("refuses where no chain answers", async () => {
    refused(await stage.desk("status", "--rpc", "http://127.0.0.1:1"), /no chain answers/);
  });

  it("refuses a nonce that was used, and one whose turn has not come", async () => {
    const [file, later] = [await pause(), await pause("--nonce", "1")];
    for (const each of [file]) {
      ok(await sign(each, pauser(0)));
      ok(await sign(each, pauser(1)));
    }
    refused(await sign(later, pauser(0)), /wrong nonce: .*not its turn/);
    ok(await send(file));
    refused(await send(file), /wrong nonce: the proposal has 0, the Safe is at 1 \(used already\)/);
    refused(await sign(file, pauser(2)), /wrong nonce/);
  });

  it("refuses changed bytes, whatever the words say", async () => {
    const file = await pause();
    ok(await sign(file, pauser(0)));
    ok(await sign(file, pauser(1)));
    // Four hours instead of two.
    const swap = (json: Json) => {
      const { transaction } = json;
      transaction.data = transaction.data.replace(
        (7_200).toString(16).padStart(64, "0"),
        (14_400).toString(16).padStart(64, "0"),
      );
    };
    await edit(file, swap);
    for (const answer of [await stage.desk("verify", file), await sign(file, pauser(2)), await send(file)]) {
      refused(answer, /changed bytes: the message hash/);
    }
  });

  it("refuses words that the calldata does not mean", async () => {
    const file = await pause();
    await edit(file, (json) => Object.assign(json, { intent: ["pause new risk of weth-usdc for 1h"] }));
    refused(
      await sign(file, pauser(0)),
      /changed intent: the calldata means\n\s+pause liquidations of weth-usdc for 2h/,
    );
  });

  it("refuses what is not on the menu, however well it is hashed", async () => {
    const { hashesOf } = await import("../../sdk/src/desk.ts");
    const { brake, manager } = stage.local.contracts;
    const [safe, vault] = [stage.local.addresses.safes.pauser, stage.local.markets[MARKET]!.vault];
    const brakeCall = brake.interface.encodeFunctionData("list", [await vault.getAddress()]);
    const grant = manager.interface.encodeFunctionData("grantRole", [1n, stage.keeper.address, 0]);
    const good = brake.interface.encodeFunctionData("pauseAll", [3n, 60n, `0x${"0".repeat(64)}`]);
    for (const [to, data, words] of [
      [await brake.getAddress(), brakeCall, /not on the menu: EmergencyBrake.list/],
      [await manager.getAddress(), grant, /not on the menu: AccessManager.grantRole/],
      [stage.local.addresses.tokens.USDC!, "0xa9059cbb", /not on the menu: a call of 0x/],
      [await brake.getAddress(), `${good}00`, /not in its plain form/],
    ] as const) {
      const file = await pause();
      await edit(file, (json) => {
        const transaction = { to, data, nonce: 0 };
        Object.assign(json, { transaction, hashes: hashesOf(31_337, safe, transaction) });
      });
      refused(await sign(file, pauser(0)), words);
    }
  });

  it("refuses an account that owns nothing, to sign and as a signature", async () => {
    const file = await pause();
    refused(await sign(file, governor(0)), /not an owner/);
    // Whoever was an owner when signing may not be any more.
    ok(await sign(file, pauser(0)));
    ok(await sign(file, pauser(1)));
    const { pauser: safe } = stage.local.safes;
    const change = safe.interface.encodeFunctionData("swapOwner", [pauser(0), pauser(1), governor(0)]);
    const later = await pause("--nonce", "1");
    await execute(safe, stage.local.signers.pausers.slice(0, 2), safe, change);
    ok(await sign(later, pauser(0)));
    const stale = await readFile(file.replace(".json", `.${pauser(1)}.sig.json`), "utf8");
    expect(stale).to.include(pauser(1));
    refused(await sign(later, pauser(1)), /not an owner/);
  });

  it("refuses too few signatures, the same signer twice, and signatures of something else", async () => {
    const [file, other] = [await pause(), await pause("--for", "1h")];
    ok(await sign(file, pauser(0)));
    refused(await send(file), new RegExp(`too few signatures: 1 of 2; ask .*${pauser(1)}`));
    const mine = file.replace(".json", `.${pauser(0)}.sig.json`);
    refused(await send(file, mine, mine), /same signer twice/);
    ok(await sign(other, pauser(1)));
    refused(
      await send(file, mine, other.replace(".json", `.${pauser(1)}.sig.json`)),
      /signs another transaction/,
    );
    // Somebody else's signature under an owner's name.
    const forged = stage.path("forged.sig.json");
    await writeFile(forged, (await readFile(mine, "utf8")).replaceAll(pauser(0), pauser(1)));
    refused(await send(file, mine, forged), /is no signature of/);
  });

  it("refuses an expired proposal, and an expiry that was moved after somebody had signed", async () => {
    const file = await pause("--expires", "30m");
    ok(await sign(file, pauser(0)));
    ok(await sign(file, pauser(1)));
    await stage.pass(1_801);
    refused(await send(file), /expired: .*propose anew/);
    refused(await sign(file, pauser(2)), /expired/);
    await edit(file, (json) => Object.assign(json, { expiresAt: json.expiresAt + 86_400 }));
    refused(await send(file), /changed expiry/);
  });

  it("lets no schedule through after its expiry, even past this desk", async () => {
    const file = fresh();
    ok(
      await stage.desk(
        "propose",
        "set-reserve-factor",
        "--market",
        MARKET,
        "--percent",
        "12",
        "--expires",
        "1h",
        "--file",
        file,
      ),
    );
    const { transaction } = JSON.parse(await readFile(file, "utf8")) as {
      transaction: { to: string; data: string };
    };
    await stage.pass(3_601);
    const { manager } = stage.local.contracts;
    let failure = "";
    try {
      await execute(
        stage.local.safes.governor,
        stage.local.signers.governors.slice(0, 3),
        manager,
        transaction.data,
      );
    } catch (error) {
      failure = String(error);
    }
    expect(failure).to.match(/AccessManagerUnauthorizedCall/);
  });

  it("refuses the wrong Safe", async () => {
    const { hashesOf } = await import("../../sdk/src/desk.ts");
    const file = await pause();
    await edit(file, (json) => {
      const { governor: safe } = stage.local.addresses.safes;
      const { transaction } = json;
      Object.assign(json, { safe, hashes: hashesOf(31_337, safe, transaction) });
    });
    refused(await sign(file, governor(0)), /wrong Safe: pause-liquidations is for/);
    refused(await stage.desk("verify", file), /wrong Safe/);
  });

  it("asks again when the cost has risen, and goes on if told to", async () => {
    const file = await pause("--for", "1h");
    ok(await sign(file, pauser(0)));
    ok(await sign(file, pauser(1)));
    // The price falls towards many positions: what a pause leaves unliquidated is more than the signers saw.
    for (const price of ["1900", "1750", "1600"]) {
      await stage.local.setPrice("ETH/USD", price);
      await stage.arbitrageur.trade();
      await stage.pass(300);
    }
    refused(
      await send(file),
      /cost changed: weth-usdc .* was \d+ when 0x\w+ signed, and is \d+.*; propose anew, or accept it \(--accept-cost\)/,
    );
    // Nor does a proposer's word for it count.
    await edit(file, (json) => {
      for (const figure of json.cost.figures) figure.value += "000000";
    });
    refused(await send(file), /cost changed: /);
    ok(await send(file, "--accept-cost"));
  });

  it("refuses a guardian's approval whose explanation is not what its hash says", async () => {
    const { addresses, signers } = stage.local;
    const recovery = AccountRecovery__factory.connect(addresses.contracts.AccountRecovery!, signers.deployer);
    const { pauser: safe } = addresses.safes;
    const guard = { guardians: [safe], threshold: 1, delay: 172_800 };
    const create = [stage.keeper.address, guard, `0x${"01".repeat(32)}`] as const;
    const account = await recovery.create.staticCall(...create);
    await (await recovery.create(...create)).wait();
    const file = fresh();
    const guards = [
      "--guardian",
      safe,
      "--account",
      account,
      "--do",
      "lock",
      "--deadline",
      "2030-01-01T00:00:00Z",
    ];
    ok(await stage.desk("propose", "recovery-approve", ...guards, "--file", file));
    expect((await sign(file, pauser(0))).out).to.match(/lock the account 0x/);
    await edit(file, (json) => Object.assign(json.about!, { action: 3 }));
    refused(await sign(file, pauser(1)), /changed intent: what the file explains has the hash/);
    const wrong = ["--guardian", addresses.safes.governor, "--account", account];
    refused(await stage.desk("propose", "recovery-lock", ...wrong, "--file", fresh()), /is no guardian of/);
  });

  it("refuses what the chain would refuse, before it sends anything", async () => {
    const file = fresh();
    const what = ["--market", MARKET, "--for", "5h", "--reason", "too long", "--file", file];
    ok(await stage.desk("propose", "pause-liquidations", ...what));
    ok(await sign(file, pauser(0)));
    ok(await sign(file, pauser(1)));
    refused(await send(file), /the simulation fails: pause too long/);
  });

  it("signs with a key from the environment, and with an encrypted keystore", async () => {
    const { local } = stage;
    const [key, kept] = [Wallet.createRandom(), Wallet.createRandom()];
    for (const [at, { address }] of [key, kept].entries()) {
      const swap = ["--safe", "pauser", "--old", pauser(at), "--new", address, "--file"];
      const file = fresh();
      ok(await stage.desk("propose", "replace-owner", ...swap, file));
      // The owners left besides the one who goes, or who went.
      if (at === 0) for (const signer of [pauser(0), pauser(1)]) ok(await sign(file, signer));
      else for (const signer of [pauser(1), pauser(2)]) ok(await sign(file, signer));
      ok(await send(file));
    }
    const file = await pause();
    process.env.TEST_DESK_KEY = key.privateKey;
    ok(await stage.desk("sign", file, "--key-env", "TEST_DESK_KEY"));
    delete process.env.TEST_DESK_KEY;
    const keystore = stage.path("keystore.json");
    await writeFile(keystore, kept.encryptSync("correct"));
    process.env.KEYSTORE_PASSWORD = "wrong";
    refused(await stage.desk("sign", file, "--keystore", keystore), /does not open with this password/);
    process.env.KEYSTORE_PASSWORD = "correct";
    ok(await stage.desk("sign", file, "--keystore", keystore));
    delete process.env.KEYSTORE_PASSWORD;
    refused(await stage.desk("sign", file), /no key/);
    ok(await send(file));
    expect(await local.safes.pauser.nonce()).to.equal(3n);
  });

  it("carries out what is delayed in two steps, and sees that it is so", async () => {
    const steps = [
      ["set-risk", "--market", MARKET, "--liquidation-threshold", "87", "--bonus-max", "7"],
      ["set-reserve-factor", "--market", MARKET, "--percent", "12"],
      ["set-cascade", "--market", MARKET, "--cap", "1000000", "--window", "10m"],
      [
        "start-ramp",
        "--market",
        MARKET,
        "--liquidation-threshold",
        "85",
        "--max-ltv",
        "80",
        "--target",
        "82",
        "--over",
        "7d",
      ],
      ["stop-ramp", "--market", MARKET],
      ["ossify", "--proxy", "InsuranceFund"],
    ];
    const step = async (args: string[]): Promise<string> => {
      const file = fresh();
      ok(await stage.desk("propose", ...args, "--expires", "1h", "--file", file));
      for (const at of [0, 2, 4]) ok(await sign(file, governor(at)));
      return ok(await send(file)).out;
    };
    const operations: string[] = [];
    for (const args of steps) {
      const [, id] = /scheduled as (0x[0-9a-f]{64})/.exec(await step(args)) ?? [];
      operations.push(id!);
    }
    const execution = (at: number) => ["execute", "--operation", operations[at]!];
    refused(await stage.desk("propose", ...execution(0), "--file", fresh()), /not executable before 2/);
    refused(
      await stage.desk("propose", ...steps[1]!, "--file", fresh()),
      /scheduled already: propose execute --operation 0x/,
    );
    const seen = ok(await stage.desk("status")).out;
    expect(seen)
      .to.match(/Scheduled \(6\)/)
      .and.match(/liquidationThreshold 87.00 %/)
      .and.match(/END UPGRADING InsuranceFund/);
    await stage.pass(49 * 3_600);
    const done: string[] = [];
    for (const at of steps.keys()) done.push(await step(execution(at)));
    expect(done[0]).to.match(/liquidationThreshold 87.00 %, .*bonusMax 7.00 %/);
    expect(done[1]).to.match(/reserve factor 12 %/);
    expect(done[2]).to.match(/cascade brake: at most 1,000,000.00 of debt, in whole tokens, in 10min/);
    expect(done[3]).to.match(/a ramp to 85.00 % over 7d/);
    expect(done[4]).to.match(/no ramp/);
    expect(done[5]).to.match(/it can never be upgraded again/);
  });

  it("takes what the command line does not name from a file of parameters", async () => {
    const file = stage.path("parameters.json");
    const parameters = readParameters("local");
    const at = parameters.markets.findIndex(({ id }) => id === MARKET);
    const { risk, caps } = parameters.markets[at]!;
    Object.assign(risk, {
      maxLtvBps: 7_750,
      liquidationThresholdBps: 8_150,
      targetBps: 7_950,
      bonusMaxBps: 525,
    });
    Object.assign(caps, { debt: "2e6", collateral: "1500.5" });
    await writeFile(file, JSON.stringify(parameters));
    const propose = async (...args: string[]) =>
      stage.desk(
        "propose",
        args[0]!,
        "--parameters",
        file,
        "--market",
        MARKET,
        "--file",
        fresh(),
        ...args.slice(1),
      );
    expect(ok(await propose("start-ramp", "--over", "14d")).out).to.match(
      /over 14d to: maxLtv 77.50 %, liquidationThreshold 81.50 %, target 79.50 %, bonusMin 1.50 %, bonusMax 5.25 %, slope 50.00 %/,
    );
    expect(ok(await propose("start-ramp", "--over", "14d", "--max-ltv", "76")).out).to.match(
      /maxLtv 76.00 %/,
    );
    expect(ok(await propose("set-caps")).out).to.match(
      /debt 2,000,000.00, collateral 1,500.50, smallest debt 10.00/,
    );
    refused(await propose("set-risk", "--parameters", "nowhere.json"), /nowhere.json/);
    parameters.markets.splice(at, 1);
    await writeFile(file, JSON.stringify({ ...parameters, pairs: [] }));
    refused(await propose("set-caps"), /parameters.json has no market/);
  });

  it("is a command, which ends with 1 after a refusal", async () => {
    const args = [
      "--import",
      "tsx",
      "scripts/desk.ts",
      "status",
      "--rpc",
      stage.rpc,
      "--addresses",
      "nowhere.json",
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([code, text]).to.deep.equal([
      1,
      "Refused: no addresses of chain 31337: nowhere.json is missing\n",
    ]);
  });

  it("refuses nonsense, names what there is, and explains itself", async () => {
    const propose = async (...args: string[]) => stage.desk("propose", ...args, "--file", fresh());
    refused(
      await propose("pause-liquidations", "--market", "doge", "--for", "2h", "--reason", "x"),
      /no market doge: there are weth-usdc/,
    );
    refused(
      await propose("pause-liquidations", "--market", MARKET, "--for", "soon", "--reason", "x"),
      /"soon" is no duration/,
    );
    refused(await propose("pause-liquidations", "--market", MARKET, "--reason", "x"), /--for is missing/);
    refused(await propose("cancel", "--operation", "0x12"), /nothing is scheduled as 0x12/);
    refused(await propose("set-risk", "--market", MARKET), /at least one value/);
    expect((await stage.desk("propose", "withdraw-everything")).code).to.equal(1);
    for (const command of ["status", "propose", "sign", "verify", "execute", "exercise"]) {
      const help = ok(await stage.desk(command, "--help"));
      expect(help.out).to.match(/^Usage: desk /);
    }
  });
});
