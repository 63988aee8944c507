import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { expect } from "chai";
import { network } from "hardhat";
import { pino } from "pino";

import { connect } from "@breakwater/sdk/chain";
import { WAD } from "@breakwater/sdk/core";

import { deployLocal } from "../../deploy/local.ts";
import { InvalidConfig } from "../../keeper/src/config.ts";
import { DEFAULT_DISTANCES, type Level, distanceOf, levelOf } from "../../keeper/src/margin.ts";
import { openMarginCalls, readSubscriptions } from "../../keeper/src/operation/margin-calls.ts";
import { post } from "../../keeper/src/operation/webhook.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";
import { openWebhook } from "./operation/support.ts";

const percent = (value: number) => (BigInt(Math.round(value * 1_000)) * WAD) / 100_000n;

describe("margin call levels", () => {
  const after = (distances: number[], from: Level = 0) => {
    let level = from;
    return distances.map((value) => (level = levelOf(level, percent(value), DEFAULT_DISTANCES)));
  };

  it("rise when the price comes as near as a distance, several at once", () => {
    expect(after([10.001, 10, 7, 5, 4, 2, -1])).to.deep.equal([0, 1, 1, 2, 2, 3, 3]);
    expect(after([30, 1])).to.deep.equal([0, 3]);
  });

  it("fall only when it is well away again, so that one that moves to and fro calls once", () => {
    expect(after([4.9, 5.1, 4.9, 5.49, 4.9])).to.deep.equal([2, 2, 2, 2, 2]);
    expect(after([4.9, 5.51, 4.9])).to.deep.equal([2, 1, 2]);
    expect(after([1, 50])).to.deep.equal([3, 0]);
  });

  it("are measured in what the price may still fall", () => {
    expect(distanceOf(WAD)).to.equal(0n);
    expect(distanceOf((WAD * 100n) / 80n)).to.equal(WAD / 5n);
    expect(distanceOf((WAD * 8n) / 10n)).to.equal(-WAD / 4n);
    expect(distanceOf(0n) < -WAD).to.equal(true);
  });
});

describe("margin call subscriptions", () => {
  const OWNER = `0x${"12".repeat(20)}`;
  const read = (text: string) => readSubscriptions(text, ["WETH/USDC"]);
  const line = (rest = "") =>
    `- market: WETH/USDC\n  owner: "${OWNER}"\n  webhook: http://127.0.0.1/hook\n${rest}`;

  it("are read, with distances of the owner's own", () => {
    expect(read("")).to.deep.equal([]);
    expect(read(line() + line("  sub: 7\n  distances: [20, 12.5, 3]"))).to.deep.equal([
      {
        market: "WETH/USDC",
        owner: OWNER,
        sub: 0n,
        webhook: "http://127.0.0.1/hook",
        distances: DEFAULT_DISTANCES,
      },
      {
        ...{ market: "WETH/USDC", owner: OWNER, sub: 7n, webhook: "http://127.0.0.1/hook" },
        distances: [percent(20), percent(12.5), percent(3)],
      },
    ]);
  });

  const wrong: [string, string, RegExp][] = [
    [
      "an unknown market",
      line().replace("USDC", "DAI"),
      /^MARGIN_CALLS\[0\].market: must be one of WETH\/USDC$/,
    ],
    [
      "no owner",
      "- market: WETH/USDC\n  webhook: http://127.0.0.1/",
      /^MARGIN_CALLS\[0\].owner: is missing$/,
    ],
    ["no address", line().replace("0x12", "12"), /^MARGIN_CALLS\[0\].owner: must be an address$/],
    ["no webhook", line().replace("http:", "ftp:"), /^MARGIN_CALLS\[0\].webhook: must be an http/],
    ["a misspelt key", line("  distance: [3, 2, 1]"), /^MARGIN_CALLS\[0\].*distance/],
    ["rising distances", line("  distances: [1, 2, 3]"), /^MARGIN_CALLS\[0\].distances: must fall$/],
    ["two distances", line("  distances: [2, 1]"), /^MARGIN_CALLS\[0\].distances/],
    ["no list", "market: WETH/USDC", /^MARGIN_CALLS: /],
    ["no YAML", "- [", /^MARGIN_CALLS: is no YAML/],
  ];
  for (const [name, text, message] of wrong) {
    it(`are refused with ${name}, by key`, () => {
      expect(() => void read(text)).to.throw(InvalidConfig, message);
    });
  }
});

describe("margin calls on a chain", function () {
  this.timeout(60_000);

  it("reach the owner in the block of each crossing, once, also after a webhook or a keeper was down", async () => {
    const connection = await network.create();
    const local = await deployLocal(connection);
    const [lender, trader, owner] = local.signers.others as [
      HardhatEthersSigner,
      HardhatEthersSigner,
      HardhatEthersSigner,
    ];
    await fundLenders(local, lender);
    const market = local.markets["weth-usdc"]!;
    const { id } = local.addresses.markets.find(({ vault }) => vault === market.vault.target)!;
    for (const sub of [0, 1]) {
      const leverage = sub === 0 ? 3 : 1.2;
      await openPositions(local, [{ market, owner, sub, equityUsd: 10_000, leverage }]);
    }
    const arbitrageur = await openArbitrageur(local, trader);
    const hook = await openWebhook();
    const directory = await mkdtemp(join(tmpdir(), "breakwater-"));
    const deliveries: boolean[] = [];
    const open = async () =>
      openMarginCalls({
        subscriptions: readSubscriptions(
          [0, 1, 9]
            .map(
              (sub) => `- {market: ${id}, owner: "${owner.address}", sub: ${sub}, webhook: "${hook.url}"}\n`,
            )
            .join(""),
          [id],
        ),
        contracts: connect(local.addresses, connection.ethers.provider),
        file: join(directory, "margin-calls.json"),
        send: post,
        onDelivery: (succeeded) => deliveries.push(succeeded),
        mayCall: () => true,
        log: pino({ level: "silent" }),
      });
    let calls = await open();
    /** The calls that a block makes. */
    const look = async () => {
      const block = await connection.ethers.provider.getBlockNumber();
      calls.onEvent({ kind: "block", block, markets: 3, lagMs: 0, ms: 0 });
      await calls.idle();
      return hook.bodies.splice(0).map(({ level, sub, block: at }) => {
        expect(at).to.equal(block);
        return `${String(sub)}: ${String(level)}`;
      });
    };
    const setPrice = async (price: string) => {
      await local.setPrice("ETH/USD", price);
      await arbitrageur.trade();
      await connection.networkHelpers.time.increase(600);
      return look();
    };
    try {
      expect(await look()).to.deep.equal([]);
      const { lens } = local.contracts;
      const health = async () => (await lens.position(market.vault, owner, 0)).health;
      const start = Number((await local.feeds["ETH/USD"]!.latestRoundData()).answer) / 1e8;
      // Its price of liquidation, by which the others are chosen.
      const limit = (start * Number(WAD)) / Number(await health());
      expect(await setPrice((limit / 0.93).toFixed(2))).to.deep.equal(["0: 1"]);
      expect(await look(), "once").to.deep.equal([]);

      hook.answers = 500;
      expect(await setPrice((limit / 0.96).toFixed(2))).to.deep.equal([]);
      hook.answers = 200;
      expect(await look(), "again, since it was not taken").to.deep.equal(["0: 2"]);
      expect(deliveries).to.deep.equal([true, false, true]);

      calls = await open();
      expect(await look(), "not again after a restart").to.deep.equal([]);
      expect(await setPrice((limit / 0.99).toFixed(2))).to.deep.equal(["0: 3"]);

      await setPrice(start.toFixed(2));
      expect(await setPrice((limit / 0.93).toFixed(2)), "anew").to.deep.equal(["0: 1"]);
    } finally {
      await hook.close();
      await rm(directory, { recursive: true });
    }
  });
});
