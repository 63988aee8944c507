import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { HDNodeWallet, type TransactionReceipt } from "ethers";
import { network } from "hardhat";
import { pino } from "pino";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal } from "../../deploy/local.ts";
import { Endpoints } from "../../keeper/src/chain/endpoints.ts";
import { openFileJournal } from "../../keeper/src/chain/journal.ts";
import { Outbox, type OutboxOptions } from "../../keeper/src/chain/outbox.ts";
import { openSources } from "../../keeper/src/collect.ts";
import type { Parameters } from "../../keeper/src/decide.ts";
import type { KeeperEvent } from "../../keeper/src/events.ts";
import { Keeper } from "../../keeper/src/keeper.ts";
import { ALONE, type Lease } from "../../keeper/src/lease.ts";
import { openMetrics } from "../../keeper/src/operation/metrics.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";
import { PARAMETERS, until } from "../support/keeper.ts";
import { Front } from "./front.ts";

// A market, a chain whose blocks come by the clock, keepers, and what can go wrong between them.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MNEMONIC = "test test test test test test test test test test test junk";
const WINDOW = 600;
const BLOCK_MS = 200;

const parameters: Parameters = {
  ...PARAMETERS,
  deadline: 1_200n,
  seizeBudget: 10n ** 16n,
  pokeBudget: 10n ** 16n,
};

export type Stage = Awaited<ReturnType<typeof openStage>>;

export async function openStage() {
  const connection = await network.create();
  const { provider: chain } = connection;
  const local = await deployLocal(connection);
  const [lender, trader, ...others] = local.signers.others;
  // Their nonces are theirs alone: keeper, rival.
  const [, , ...owners] = others;
  await fundLenders(local, lender!);
  const market = local.markets["weth-usdc"]!;
  await openPositions(
    local,
    [3, 4, 4.2, 4.4, 4.6, 4.8, 5].map((leverage, sub) => ({
      ...{ market, owner: owners[0]!, sub, equityUsd: 40_000, leverage },
    })),
  );
  const arbitrageur = await openArbitrageur(local, trader!);
  const front = await Front.open(chain);
  const second = await Front.open(chain);
  const directory = await mkdtemp(join(tmpdir(), "breakwater-chaos-"));
  const addressesFile = writeAddresses(local.addresses, directory);
  const request = async (method: string, ...params: unknown[]): Promise<unknown> =>
    chain.request({ method, params });
  const provider = connection.ethers.provider;
  const stopping: (() => Promise<void>)[] = [];
  let ticker: NodeJS.Timeout | undefined;

  const setBaseFee = async (wei: bigint) =>
    request("hardhat_setNextBlockBaseFeePerGas", `0x${wei.toString(16)}`);

  /** Blocks come by the clock, or by hand. */
  async function tick(ms: number | undefined, baseFee?: bigint): Promise<void> {
    clearInterval(ticker);
    await request("evm_setAutomine", false);
    const mine = async () => {
      if (baseFee !== undefined) await setBaseFee(baseFee);
      await request("evm_mine");
    };
    if (ms !== undefined) ticker = setInterval(() => void mine().catch(() => undefined), ms);
  }

  async function setPrice(price: string, baseFee?: bigint): Promise<void> {
    clearInterval(ticker);
    await request("evm_setAutomine", true);
    await local.setPrice("ETH/USD", price);
    await arbitrageur.trade();
    if (baseFee !== undefined) await setBaseFee(baseFee);
    await connection.networkHelpers.time.increase(WINDOW);
    await tick(BLOCK_MS);
  }

  let start = await connection.networkHelpers.takeSnapshot();
  let uses = 0;

  return {
    ...{
      connection,
      local,
      market,
      front,
      second,
      directory,
      addressesFile,
      provider,
      request,
      tick,
      setPrice,
    },
    account: walletAt(12),
    rival: walletAt(13),

    /** The beginning again. */
    async reset(): Promise<void> {
      clearInterval(ticker);
      for (const stop of stopping.splice(0).reverse()) await stop();
      for (const each of [front, second]) each.heal();
      await start.restore();
      start = await connection.networkHelpers.takeSnapshot();
      await tick(BLOCK_MS);
      uses++;
    },

    async close(): Promise<void> {
      clearInterval(ticker);
      for (const stop of stopping.splice(0).reverse()) await stop();
      await Promise.all([front.close(), second.close(), rm(directory, { recursive: true, force: true })]);
      await connection.close();
    },

    /** A keeper in this process, with real endpoints, journal and outbox. */
    async keeper(options: KeeperOptions = {}) {
      const wallet = options.wallet ?? walletAt(12);
      const events: KeeperEvent[] = [];
      const metrics = openMetrics({ isAlone: true });
      const onEvent = (event: KeeperEvent) => {
        events.push(event);
        metrics.onEvent(event);
      };
      const urls = (options.fronts ?? [front]).map(({ url }) => url);
      const endpoints = new Endpoints({
        ...{ urls, chainId: 31337, timeoutMs: 700, staleMs: 1_500, compareMs: 300, onEvent },
      });
      const sources = await openSources(local.addresses, endpoints, wallet.address);
      endpoints.probe = await sources.contracts.lens.markets.populateTransaction(
        local.addresses.markets.map(({ vault }) => vault),
      );
      const lease = options.lease ?? ALONE;
      const journal =
        options.journal ??
        openFileJournal(join(directory, `${options.journalName ?? wallet.address}-${uses}.db`), "chaos");
      const outbox = await Outbox.open({
        ...{ provider: endpoints, chainId: 31337, journal, lease, pollMs: 50, onEvent },
        account: {
          address: wallet.address,
          sign: async (transaction) => wallet.signTransaction(transaction),
        },
        privateRpc: options.privateFront && {
          node: new Endpoints({ urls: [options.privateFront.url], chainId: 31337, onEvent }),
          blocks: 3,
        },
      });
      const sender = { contracts: sources.contracts, provider: endpoints, outbox };
      const log = pino({ level: process.env.CHAOS_LOG ?? "silent" });
      const keeper = new Keeper({ sources, sender, lease, parameters, log, onEvent });
      const aborting = new AbortController();
      const running = keeper.run(endpoints, 50, aborting.signal);
      let stopped: Promise<void> | undefined;
      const stop = () =>
        (stopped ??= (async () => {
          aborting.abort();
          await running;
          await outbox.close();
          endpoints.destroy();
        })());
      stopping.push(stop);
      const of = <K extends KeeperEvent["kind"]>(kind: K) =>
        events.filter((event): event is Extract<KeeperEvent, { kind: K }> => event.kind === kind);
      return {
        ...{ keeper, outbox, events, of, stop },
        /** Waits for `count` events of a kind that satisfy `is`. */
        async sees<K extends KeeperEvent["kind"]>(
          kind: K,
          is: (event: Extract<KeeperEvent, { kind: K }>) => boolean = () => true,
          count = 1,
        ) {
          await until(
            `${count} × ${kind}`,
            () => of(kind).filter(is).length >= count,
            () =>
              events
                .map((event) =>
                  JSON.stringify(event, (_, v: unknown) => (typeof v === "bigint" ? `${v}` : v)),
                )
                .filter((l) => !/"kind":"(block|balance)"/.test(l))
                .join("\n"),
          );
          return of(kind).filter(is);
        },
        async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
          const metric = await metrics.registry.getSingleMetric(name)?.get();
          const values = metric?.values ?? [];
          const matches = values.filter((value) =>
            Object.entries(labels).every(([key, label]) => value.labels[key] === label),
          );
          return matches.reduce((sum, { value }) => sum + value, 0);
        },
      };
    },

    /** A keeper as a process of its own, its journal in `state`. */
    child(options: {
      state: string;
      env?: Record<string, string>;
      imports?: string[];
      stdout?: number | "pipe";
    }) {
      const child: ChildProcess = spawn(
        process.execPath,
        [
          "--import",
          "tsx",
          ...(options.imports ?? []).flatMap((file) => ["--import", file]),
          "keeper/src/main.ts",
          "run",
        ],
        {
          cwd: ROOT,
          stdio: ["ignore", options.stdout ?? "pipe", "pipe"],
          env: {
            ...{
              PATH: process.env.PATH,
              HOME: process.env.HOME,
              RPC_URL: front.url,
              ADDRESSES: addressesFile,
            },
            ...{
              PRIVATE_KEY: walletAt(12).privateKey,
              STATE_DIR: join(directory, `${options.state}-${uses}`),
            },
            ...{
              POLL_MS: "50",
              METRICS_PORT: "0",
              DEADLINE_SECONDS: "1200",
              POKE_MINUTES: "0",
              LOG_LEVEL: "info",
            },
            ...options.env,
          },
        },
      );
      let text = "";
      child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
      child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
        child.kill(signal);
        await ended;
      };
      stopping.push(async () => kill());
      return { child, kill, ended, text: () => text };
    },

    /** What `address` sent that is in a block, in the order of its nonces. */
    async sent(address: string): Promise<TransactionReceipt[]> {
      const receipts: TransactionReceipt[] = [];
      for (let block = await provider.getBlockNumber(); block > 0; block--) {
        const { prefetchedTransactions } = (await provider.getBlock(block, true))!;
        if (receipts.length === (await provider.getTransactionCount(address, "latest"))) break;
        for (const { from, hash } of prefetchedTransactions) {
          if (from === address) receipts.push((await provider.getTransactionReceipt(hash))!);
        }
      }
      return receipts.reverse();
    },

    /** Liquidations that succeeded. */
    async liquidations(): Promise<number> {
      return (await market.vault.queryFilter(market.vault.filters.Liquidate())).length;
    },

    /** No nonce waits for anything. */
    async expectNothingStuck(address: string): Promise<void> {
      await until("nothing is pending", async () => {
        const [mined, pending] = await Promise.all(
          ["latest", "pending"].map(async (tag) => provider.getTransactionCount(address, tag)),
        );
        return mined === pending;
      });
    },
  };
}

export interface KeeperOptions {
  fronts?: Front[];
  privateFront?: Front;
  wallet?: HDNodeWallet;
  lease?: Lease;
  journal?: OutboxOptions["journal"];
  journalName?: string;
}

export function walletAt(index: number): HDNodeWallet {
  return HDNodeWallet.fromPhrase(MNEMONIC, undefined, `m/44'/60'/0'/0/${index}`);
}
