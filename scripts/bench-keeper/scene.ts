// A local chain for the keeper's bench: as many markets and positions as are wanted, and a price that falls step by step.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

import type { MarketAddresses } from "@breakwater/sdk/addresses";
import {
  OracleAdapter__factory,
  TestToken__factory,
  TransparentUpgradeableProxy__factory,
  Vault__factory,
} from "@breakwater/sdk/types";
import { MaxUint256, type Result, dataSlice, getAddress, parseEther, parseUnits } from "ethers";
import { network } from "hardhat";

import { compileOwn, deploy } from "../../bench/compile.ts";
import { type Local, deployLocal } from "../../deploy/local.ts";
import type { OracleConfigStruct } from "../../sdk/src/types/OracleAdapter.ts";
import { openArbitrageur } from "../arbitrage.ts";

/** EIP-1967: keccak256("eip1967.proxy.implementation") − 1. */
const IMPLEMENTATION_SLOT = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbcn;
/** What one transaction may use, and what a position takes of it. */
const TRANSACTION_GAS = 2n ** 24n;
const POSITIONS_PER_TRANSACTION = 120;
const CAP_DECIMALS = 6;
const WINDOW_SECONDS = 600;
const USDC = 10n ** 6n;
/** Of the positions that will be liquidated; the LTV of all others is lower by far. */
const FODDER = { count: 60, from: 0.74, to: 0.812, coins: 50, price: 2_000 };
const LENT = 30_000_000n * USDC;

export type Scene = Awaited<ReturnType<typeof openScene>>;

export async function openScene() {
  const chain = fork(fileURLToPath(new URL("chain.ts", import.meta.url)), { execArgv: ["--import", "tsx"] });
  const url = await new Promise<string>((resolve, reject) => {
    chain.once("message", resolve as (url: unknown) => void);
    chain.once("exit", (code) => reject(new Error(`the chain ended with code ${code ?? "none"}`)));
  });
  const connection = await network.create({ network: "localhost", override: { url } });
  const { ethers, provider } = connection;
  const request = async (method: string, ...params: unknown[]): Promise<unknown> =>
    provider.request({ method, params });
  const local = await deployLocal(connection, { stateId: `bench-keeper-${new URL(url).port}` });
  const { deployer } = local.signers;
  const first = local.addresses.markets.find(({ id }) => id === "weth-usdc")!;
  const [weth, usdc] = [first.collateral, first.debt].map((token) =>
    TestToken__factory.connect(token, deployer),
  );
  const { contract: crowd } = await deploy(deployer, compileOwn()["Crowd"], []);
  const tell = async (name: "approve" | "open", args: unknown[]) => {
    const data = crowd.interface.encodeFunctionData(name, args);
    await (await deployer.sendTransaction({ to: crowd, data, gasLimit: TRANSACTION_GAS })).wait();
  };
  const arbitrageur = await openArbitrageur(local, local.signers.others[0]!);
  const markets: MarketAddresses[] = [];
  const opened = new Map<string, number>();

  /** The sub-accounts of one market from the number that it has on, all alike. */
  async function open(vault: string, count: number, collateral: bigint, debt: bigint): Promise<void> {
    const from = opened.get(vault) ?? 0;
    await tell("open", [vault, from, count, collateral, debt]);
    opened.set(vault, from + count);
  }

  async function addMarket(): Promise<void> {
    const market = markets.length === 0 ? first : await copyMarket(local, first, markets.length);
    const vault = Vault__factory.connect(market.vault, deployer);
    await (await usdc!.mint(deployer, LENT)).wait();
    await (await usdc!.approve(vault, MaxUint256)).wait();
    await (await vault.deposit(LENT, deployer)).wait();
    await tell("approve", [market.collateral, market.vault]);
    markets.push(market);
  }

  const freshPrices = async (price: string) => {
    await local.setPrice("USDC/USD", "1");
    await local.setPrice("ETH/USD", price);
  };

  await (await weth!.mint(crowd, parseEther("1000000"))).wait();
  await addMarket();
  for (let at = 0; at < FODDER.count; at++) {
    const ltv = FODDER.from + ((FODDER.to - FODDER.from) * at) / FODDER.count;
    const debt = parseUnits((FODDER.coins * FODDER.price * ltv).toFixed(2), 6);
    await open(first.vault, 1, parseEther(String(FODDER.coins)), debt);
  }

  return {
    url,
    connection,
    local,
    /** The addresses of the markets that there are. */
    addresses: () => ({ ...local.addresses, markets: [...markets] }),

    /** Adds markets, and positions spread evenly over those that have too few, until there are so many. */
    async grow(marketCount: number, positions: number): Promise<void> {
      while (markets.length < marketCount) await addMarket();
      const rich = markets.filter(({ vault }) => (opened.get(vault) ?? 0) > positions / marketCount);
      const richTotal = rich.reduce((sum, { vault }) => sum + opened.get(vault)!, 0);
      const each = Math.ceil((positions - richTotal) / (marketCount - rich.length));
      for (const { vault } of markets) {
        for (let left = each - (opened.get(vault) ?? 0), at = 0; left > 0; at++) {
          if (at % 20 === 0) await freshPrices("2000");
          const count = Math.min(left, POSITIONS_PER_TRANSACTION);
          // Of many ticks, from 26 to 60 % of the collateral's 40 dollars.
          await open(vault, count, parseEther("0.02"), 10_500_000n + BigInt(at % 100) * 135_000n);
          left -= count;
        }
      }
      await freshPrices("2000");
    },

    positions: () => [...opened.values()].reduce((sum, count) => sum + count, 0),

    async mine(): Promise<void> {
      await request("evm_mine");
    },

    /** The pool goes first and its average follows; what comes last is the feed's round: the block of the new price. */
    async setPrice(price: number): Promise<number> {
      const text = price.toFixed(4);
      await local.setPrice("ETH/USD", text);
      await arbitrageur.trade();
      await request("evm_increaseTime", WINDOW_SECONDS);
      await local.setPrice("ETH/USD", text);
      return ethers.provider.getBlockNumber();
    },

    /** Does something and takes it back. */
    async tentatively<T>(action: () => Promise<T>): Promise<T> {
      const snapshot = await request("evm_snapshot");
      try {
        return await action();
      } finally {
        await request("evm_revert", snapshot);
      }
    },

    async fund(account: string): Promise<void> {
      await request("hardhat_setBalance", account, "0x3635c9adc5dea00000");
    },

    async close(): Promise<void> {
      await connection.close();
      chain.disconnect();
    },
  };
}

/** Another market of the same implementation, with an oracle of its own over the same sources. */
async function copyMarket(local: Local, market: MarketAddresses, at: number): Promise<MarketAddresses> {
  const { deployer } = local.signers;
  const { provider } = local.ethers;
  const id = `${market.id}-${at}`;
  const parameters = local.parameters.markets.find((one) => one.id === market.id)!;
  const { risk, caps, reserveFactorPercent } = parameters;
  const config = (await OracleAdapter__factory.connect(
    market.oracle,
    provider,
  ).config()) as unknown as Result;
  const oracle = await new OracleAdapter__factory(deployer).deploy(
    config.toObject(true) as unknown as OracleConfigStruct,
  );
  await (await oracle.update()).wait();
  const implementation = getAddress(
    dataSlice(await provider.getStorage(market.vault, IMPLEMENTATION_SLOT), 12),
  );
  const cap = (amount: string | number) => parseUnits(String(Number(amount)), CAP_DECIMALS);
  const initialize = Vault__factory.createInterface().encodeFunctionData("initialize", [
    local.addresses.contracts.AccessManager!,
    await oracle.getAddress(),
    {
      maxLtv: risk.maxLtvBps,
      liquidationThreshold: risk.liquidationThresholdBps,
      target: risk.targetBps,
      bonusMin: risk.bonusMinBps,
      bonusMax: risk.bonusMaxBps,
      slope: risk.slopeBps,
    },
    { debt: cap(caps.debt), collateral: cap(caps.collateral), minDebt: cap(caps.minDebt) },
    reserveFactorPercent,
  ]);
  const proxy = await new TransparentUpgradeableProxy__factory(deployer).deploy(
    implementation,
    local.addresses.contracts.Upgrader!,
    initialize,
  );
  await proxy.waitForDeployment();
  return { ...market, id, vault: await proxy.getAddress(), oracle: await oracle.getAddress() };
}
