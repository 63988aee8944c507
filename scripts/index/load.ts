// Loads the index: many positions and liquidations on a chain of its own, indexed and checked.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { MaxUint256, concat, getCreateAddress, toBeHex, zeroPadValue } from "ethers";
import { network } from "hardhat";

import { writeAddresses } from "../../deploy/deploy.ts";
import { type Local, deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../arbitrage.ts";
import { random } from "../drill/book.ts";
import { fundLenders } from "../start/book.ts";
import { checkIndex } from "./check.ts";
import { type Index, indexed, startIndex } from "./ponder.ts";
import { openChain } from "./scene.ts";

export interface LoadResult {
  positions: number;
  liquidations: number;
  blocks: number;
  /** From the start of an index with nothing to its readiness, and from the last liquidation to having it. */
  backfillSeconds: number;
  followSeconds: number;
  checkSeconds: number;
  /** Peaks of Ponder's process, where the system tells them: after the backfill, the liquidations, the check. */
  memoryMb: (number | undefined)[];
  databaseMb: number | undefined; // of the embedded one
  differences: number;
}

/** An adjust takes less, and a transaction at most 2^24 gas. */
const POSITIONS_PER_TRANSACTION = 140;
const GAS_LIMIT = 2n ** 24n;
const EQUITY_USD = { from: 60, to: 160 };
const LEVERAGE = { from: 1.2, to: 4 };
const LIQUIDATIONS_PER_BLOCK = 10;
const LIQUIDATION_GAS = 1_500_000n;
/** Ticks looked at: more than a fall makes liquidatable. */
const HIGHEST = 100;

type Request = (method: string, ...params: unknown[]) => Promise<unknown>;

export interface LoadOptions {
  positions: number;
  liquidations: number;
  port: number;
  databaseUrl?: string;
}

/** A chain of its own, with the deployment and nothing in it. */
interface Stage {
  local: Local;
  rpc: string;
  addresses: string; // the file
  directory: string;
  request: Request;
}

export async function loadIndex(options: LoadOptions, say: (words: string) => void): Promise<LoadResult> {
  const directory = mkdtempSync(join(tmpdir(), "breakwater-load-"));
  const server = await network.createServer("default", "127.0.0.1", 0);
  const { port } = await server.listen();
  const rpc = `http://127.0.0.1:${port}`;
  const connection = await network.create({ network: "localhost", override: { url: rpc } });
  const request: Request = async (method, ...params) => connection.provider.request({ method, params });
  try {
    const local = await deployLocal(connection, { stateId: `chain-31337-${port}` });
    const addresses = writeAddresses(local.addresses, directory);
    await fundLenders(local, local.signers.others[0]!);
    await openPositions(local, options.positions, say);
    return await measure({ local, rpc, addresses, directory, request }, options, say);
  } finally {
    await connection.close();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Indexes what there is from nothing, makes liquidations while the index follows, and checks everything. */
export async function measure(
  { local, rpc, addresses, directory, request }: Stage,
  { positions, liquidations, port, databaseUrl }: LoadOptions,
  say: (words: string) => void,
): Promise<LoadResult> {
  const chain = await openChain({ rpc, addresses });
  const settings = { sampleBlocks: 25, pollMs: 500, logLevel: "warn" } as const;
  say("the index starts with nothing");
  let since = Date.now();
  const seconds = () => Math.round((Date.now() - since) / 100) / 10;
  const index = await startIndex(chain, { ...settings, rpc, port, directory, databaseUrl });
  try {
    const memoryMb = [];
    await indexed(index, Number(await request("eth_blockNumber")), 7_200);
    const backfillSeconds = seconds();
    memoryMb.push(peakMemory(index));
    say(`${positions} positions indexed in ${backfillSeconds} s; peak memory ${memoryMb[0]} MB`);
    const last = await liquidate(local, request, liquidations, say);
    say(`${liquidations} liquidations made in ${seconds() - backfillSeconds} s`);
    since = Date.now();
    await indexed(index, last, 7_200);
    const followSeconds = seconds();
    memoryMb.push(peakMemory(index));
    since = Date.now();
    const checked = await checkIndex(chain, index.url);
    const checkSeconds = seconds();
    return {
      ...{ positions, liquidations, blocks: last, backfillSeconds, followSeconds, checkSeconds },
      memoryMb: [...memoryMb, peakMemory(index)],
      databaseMb: databaseUrl === undefined ? Math.round(sizeOf(directory) / 2 ** 20) : undefined,
      differences: checked.reduce((sum, { differences }) => sum + differences.length, 0),
    };
  } finally {
    await index.stop();
  }
}

/** One transaction creates a contract that opens its positions while it is created: there is no faster way in. */
async function openPositions(local: Local, positions: number, say: (words: string) => void): Promise<void> {
  const sender = local.signers.others[3]!;
  const { vault, collateral } = local.markets["weth-usdc"]!;
  const [, answer] = await local.feeds["ETH/USD"]!.latestRoundData();
  const usd = Number(answer) / 1e8;
  const next = random(1);
  const [market, token] = [await vault.getAddress(), await collateral.getAddress()];
  let nonce = await sender.getNonce();
  for (let opened = 0, said = 0; opened < positions;) {
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
    const data = creationOf([
      { to: token, data: collateral.interface.encodeFunctionData("mint", [owner, total]) },
      { to: token, data: collateral.interface.encodeFunctionData("approve", [market, MaxUint256]) },
      ...planned.map((p, sub) => ({
        to: market,
        data: vault.interface.encodeFunctionData("adjust", [owner, sub, p.collateral, p.debt, owner, "0x"]),
      })),
    ]);
    const transaction = await sender.sendTransaction({ data, gasLimit: GAS_LIMIT });
    if ((await transaction.wait())?.status !== 1) throw new Error("a batch of positions was not opened");
    opened += planned.length;
    if (opened - said < 10_000 && opened < positions) continue;
    said = opened;
    say(`${opened} positions opened`);
  }
}

/**
 * As many as asked for out of few falls of the price: the lowest tick that is liquidatable goes down by a step a call,
 * then the one above it, which has a step more to go. The last call sells and seizes all that is left after a deeper fall.
 * @returns the last block.
 */
async function liquidate(
  local: Local,
  request: Request,
  liquidations: number,
  say: (words: string) => void,
): Promise<number> {
  const [, trader, keeper] = local.signers.others as [
    HardhatEthersSigner,
    HardhatEthersSigner,
    HardhatEthersSigner,
  ];
  const { vault, debt } = local.markets["weth-usdc"]!;
  const arbitrageur = await openArbitrageur(local, trader);
  const [, answer] = await local.feeds["ETH/USD"]!.latestRoundData();
  let price = Number(answer) / 1e8;
  const fall = async (share: number) => {
    price *= 1 - share;
    await local.setPrice("ETH/USD", price.toFixed(2));
    for (let i = 0; i < 3; i++) {
      await arbitrageur.trade();
      await request("evm_increaseTime", 600);
      await request("evm_mine");
    }
  };
  const liquidator = local.contracts.liquidator.connect(keeper);
  await (await debt.connect(keeper).mint(keeper, 10n ** 14n)).wait();
  await (await debt.connect(keeper).approve(liquidator, MaxUint256)).wait();
  const order = {
    market: await vault.getAddress(),
    ...{ maxRepay: 10n ** 14n, minCollateral: 0n, fromTick: 2n ** 23n - 1n, maxTicks: 0n, buyPot: false },
    ...{ deadline: MaxUint256, receiver: keeper.address },
  };
  const { lens } = local.contracts;
  let nonce = await keeper.getNonce();
  let done = 0;
  const mine = async (orders: (typeof order)[], gasLimit = LIQUIDATION_GAS) => {
    await request("evm_setAutomine", false);
    const sent = await Promise.all(
      orders.map((o) => liquidator.liquidate(o, "0x", { gasLimit, nonce: nonce++ })),
    );
    await request("evm_setAutomine", true);
    await request("evm_mine");
    const receipts = await Promise.all(
      sent.map(({ hash }) => local.ethers.provider.getTransactionReceipt(hash)),
    );
    done += receipts.filter((receipt) => receipt?.status === 1).length;
    return receipts.reduce((last, receipt) => Math.max(last, receipt?.blockNumber ?? 0), 0);
  };
  for (let share = 0.15; done < liquidations - 1; share = 0.08) {
    await fall(share);
    say(`${done} liquidations; ETH at ${price.toFixed(2)}`);
    const { triggerTick, targetTick, spacing } = await lens.market(vault);
    const views = (await lens.ticks(vault, order.fromTick, HIGHEST)).filter(
      ({ tick }) => tick >= triggerTick,
    );
    for (const { tick, debt: owed } of views.toReversed()) {
      const [all] = await liquidator.liquidate.staticCall({ ...order, fromTick: tick, maxTicks: 1n }, "0x");
      const steps = Number(tick - triggerTick) + 1;
      const costs = stepCosts(Number(owed), Number(all), Number(tick - targetTick), Number(spacing), steps);
      for (let from = 0; from < steps && done < liquidations - 1; from += LIQUIDATIONS_PER_BLOCK) {
        const batch = costs.slice(from, from + Math.min(LIQUIDATIONS_PER_BLOCK, liquidations - 1 - done));
        await mine(batch.map((maxRepay) => ({ ...order, fromTick: tick, maxTicks: 1n, maxRepay })));
      }
    }
  }
  await fall(0.14);
  const last = await mine([order], GAS_LIMIT);
  if (done < liquidations) throw new Error(`only ${done} liquidations could be made`);
  return last;
}

/** What one step after the other costs, a little more than, if `all` of `debt` brings a tick down by `toTarget` steps. */
function stepCosts(debt: number, all: number, toTarget: number, spacing: number, steps: number): bigint[] {
  const step = 1 + spacing / 10_000;
  const kept = 1 - all / debt;
  // docs/architecture.md: debt after = debt · (w/from − 1) / (w/to − 1). Here `from` is 1.
  const w = (1 - kept) / (1 - kept * step ** toTarget);
  return Array.from({ length: steps }, (_, i) => {
    const cost = debt * (1 - (w * step ** i - 1) / (w * step ** (i + 1) - 1));
    debt -= cost;
    return BigInt(Math.ceil(cost * 1.02));
  });
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

function peakMemory({ process }: Index): number | undefined {
  const file = `/proc/${process.pid ?? 0}/status`;
  const peak = existsSync(file) ? /VmHWM:\s+(\d+)/.exec(readFileSync(file, "utf8"))?.[1] : undefined;
  return peak === undefined ? undefined : Math.round(Number(peak) / 1024);
}

function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
