// Loads the index: many positions and liquidations on a chain of its own, indexed and checked.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { TestToken__factory, Vault__factory } from "@breakwater/sdk/types";
import { MaxUint256, concat, getCreateAddress, toBeHex, zeroPadValue } from "ethers";
import { network } from "hardhat";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../arbitrage.ts";
import { random } from "../drill/book.ts";
import { fundLenders } from "../start/book.ts";
import { checkIndex } from "./check.ts";
import { indexed, startIndex } from "./ponder.ts";
import { openChain } from "./scene.ts";

export interface LoadResult {
  positions: number;
  liquidations: number;
  blocks: number;
  /** From the start of an index with nothing to its readiness, and from the last liquidation to having it. */
  backfillSeconds: number;
  followSeconds: number;
  checkSeconds: number;
  peakMemoryMb: number | undefined; // of Ponder's process, where the system tells
  databaseMb: number;
  differences: number;
}

/** An adjust takes less, and a transaction at most 2^24 gas. */
const POSITIONS_PER_TRANSACTION = 60;
const GAS_LIMIT = 16_700_000n;
const EQUITY_USD = { from: 60, to: 160 };
const LEVERAGE = { from: 1.2, to: 4 };
const LIQUIDATIONS_PER_BLOCK = 10;

export async function loadIndex(
  positions: number,
  liquidations: number,
  port: number,
  say: (words: string) => void,
): Promise<LoadResult> {
  const directory = mkdtempSync(join(tmpdir(), "breakwater-load-"));
  const server = await network.createServer("default", "127.0.0.1", 0);
  const { port: rpcPort } = await server.listen();
  const rpc = `http://127.0.0.1:${rpcPort}`;
  const connection = await network.create({ network: "localhost", override: { url: rpc } });
  const request = async (method: string, ...params: unknown[]): Promise<unknown> =>
    connection.provider.request({ method, params });
  let index: Awaited<ReturnType<typeof startIndex>> | undefined;
  try {
    const local = await deployLocal(connection, { stateId: `chain-31337-${rpcPort}` });
    const addresses = writeAddresses(local.addresses, directory);
    const [lender, trader, keeper, sender] = local.signers.others;
    if (!lender || !trader || !keeper || !sender) throw new Error("too few accounts");
    await fundLenders(local, lender);
    const arbitrageur = await openArbitrageur(local, trader);
    const { vault, collateral, debt } = local.markets["weth-usdc"]!;
    const [, answer] = await local.feeds["ETH/USD"]!.latestRoundData();
    const usd = Number(answer) / 1e8;

    // One transaction creates a contract that opens its positions while it is created: there is no faster way in.
    const next = random(1);
    const [market, token] = [await vault.getAddress(), await collateral.getAddress()];
    let nonce = await local.ethers.provider.getTransactionCount(sender);
    for (let opened = 0; opened < positions; opened += POSITIONS_PER_TRANSACTION) {
      const owner = getCreateAddress({ from: sender.address, nonce: nonce++ });
      const planned = Array.from({ length: Math.min(POSITIONS_PER_TRANSACTION, positions - opened) }, () => {
        const equity = EQUITY_USD.from + (EQUITY_USD.to - EQUITY_USD.from) * next();
        const leverage = LEVERAGE.from + (LEVERAGE.to - LEVERAGE.from) * next();
        return {
          collateral: BigInt(Math.round(((equity * leverage) / usd) * 1e9)) * 10n ** 9n,
          debt: BigInt(Math.round(equity * (leverage - 1) * 1e6)),
        };
      });
      const total = planned.reduce((sum, p) => sum + p.collateral, 0n);
      const tokens = TestToken__factory.createInterface();
      const calls = [
        { to: token, data: tokens.encodeFunctionData("mint", [owner, total]) },
        { to: token, data: tokens.encodeFunctionData("approve", [market, MaxUint256]) },
        ...planned.map((p, sub) => ({
          to: market,
          data: Vault__factory.createInterface().encodeFunctionData("adjust", [
            ...([owner, sub, p.collateral, p.debt, owner, "0x"] as const),
          ]),
        })),
      ];
      const transaction = await sender.sendTransaction({ data: creationOf(calls), gasLimit: GAS_LIMIT });
      const receipt = await transaction.wait();
      if (receipt?.status !== 1) throw new Error("a batch of positions was not opened");
      if (opened % 6_000 === 0) say(`${opened + planned.length} positions opened`);
    }

    const chain = await openChain({ rpc, addresses });
    const settings = { sampleBlocks: 25, pollMs: 500, logLevel: "warn" } as const;
    say("the index starts with nothing");
    let since = Date.now();
    index = await startIndex(chain, { ...settings, rpc, port, directory });
    const seconds = () => Math.round((Date.now() - since) / 100) / 10;
    await indexed(index, Number(await request("eth_blockNumber")), 7_200);
    const backfillSeconds = seconds();
    say(`${positions} positions indexed in ${backfillSeconds} s`);

    let price = usd;
    const fall = async (share: number) => {
      price *= 1 - share;
      await local.setPrice("ETH/USD", price.toFixed(2));
      for (let i = 0; i < 3; i++) {
        await arbitrageur.trade();
        await request("evm_increaseTime", 600);
        await request("evm_mine");
      }
    };
    await fall(0.15);
    await (await debt.connect(keeper).mint(keeper, 10n ** 14n)).wait();
    const liquidator = local.contracts.liquidator.connect(keeper);
    await (await debt.connect(keeper).approve(liquidator, MaxUint256)).wait();
    const order = {
      market,
      maxRepay: 10n ** 14n,
      ...{ minCollateral: 0n, fromTick: 2n ** 23n - 1n, maxTicks: 0n, buyPot: false, deadline: MaxUint256 },
      receiver: keeper.address,
    };
    const [all] = await liquidator.liquidate.staticCall(order, "0x");
    let maxRepay = all / BigInt(liquidations) + 1n;
    let last = 0;
    for (let done = 0; done < liquidations;) {
      const batch = Math.min(LIQUIDATIONS_PER_BLOCK, liquidations - done);
      await request("evm_setAutomine", false);
      const sent = [];
      for (let i = 0; i < batch; i++)
        sent.push(await liquidator.liquidate({ ...order, maxRepay }, "0x", { gasLimit: 1_500_000n }));
      await request("evm_setAutomine", true);
      await request("evm_mine");
      let succeeded = 0;
      for (const { hash } of sent) {
        const receipt = await local.ethers.provider.getTransactionReceipt(hash);
        if (receipt?.status === 1) succeeded++;
        last = Math.max(last, receipt?.blockNumber ?? 0);
      }
      done += succeeded;
      if (succeeded === batch) continue;
      // The budget buys no step of the highest tick; or nothing is left at this price.
      maxRepay *= 2n;
      if (succeeded === 0) await fall(0.01);
    }
    say(`${liquidations} liquidations made`);
    since = Date.now();
    await indexed(index, last, 7_200);
    const followSeconds = seconds();
    since = Date.now();
    const checked = await checkIndex(chain, index.url);
    const memory = `/proc/${index.process.pid ?? 0}/status`;
    const peak = existsSync(memory) ? /VmHWM:\s+(\d+)/.exec(readFileSync(memory, "utf8"))?.[1] : undefined;
    return {
      ...{ positions, liquidations, backfillSeconds, followSeconds, checkSeconds: seconds() },
      blocks: last,
      peakMemoryMb: peak === undefined ? undefined : Math.round(Number(peak) / 1024),
      databaseMb: Math.round(sizeOf(directory) / 2 ** 20),
      differences: checked.reduce((sum, { differences }) => sum + differences.length, 0),
    };
  } finally {
    await index?.stop();
    await connection.close();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Creation code that makes each call, and reverts if one fails; what it creates is empty. */
function creationOf(calls: { to: string; data: string }[]): string {
  const PIECE = 3 + 4 + 1 + 1 + 1 + 1 + 3 + 1 + 1 + 21 + 1 + 1 + 1 + 4 + 1 + 1;
  const code: string[] = [];
  const head = calls.length * PIECE + 1 + 5;
  const failure = toBeHex(head - 5, 3);
  let offset = head;
  for (const { to, data } of calls) {
    const size = toBeHex((data.length - 2) / 2, 2);
    const at = toBeHex(offset, 3);
    // codecopy(0, at, size); if (!call(gas, to, 0, 0, size, 0, 0)) jump to the failure
    code.push(
      concat([
        "0x61",
        size,
        "0x62",
        at,
        "0x5f",
        "0x39",
        "0x5f",
        "0x5f",
        "0x61",
        size,
        "0x5f",
        "0x5f",
        "0x73",
      ]),
      concat([zeroPadValue(to, 20), "0x5a", "0xf1", "0x15", "0x62", failure, "0x57", "0x5b"]),
    );
    offset += (data.length - 2) / 2;
  }
  return concat([...code, "0x00", "0x5b5f5ffd00", ...calls.map(({ data }) => data)]);
}

function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
