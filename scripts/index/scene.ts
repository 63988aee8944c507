// What there is to index: asked of the chain once, and refused in plain words where it cannot be.
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { type Addresses, contractAddress, loadAddresses } from "@breakwater/sdk/addresses";
import { Vault__factory } from "@breakwater/sdk/types";
import { JsonRpcProvider, ZeroAddress } from "ethers";

import type { Scene, SceneMarket } from "../../indexer/scene.ts";
import { Refusal } from "../trade/desk.ts";

type Hex = `0x${string}`;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Place {
  rpc: string;
  addresses?: string;
}

/** A chain, told from any other by its first block that counts here. */
export interface Chain {
  provider: JsonRpcProvider;
  addresses: Addresses;
  startHash: string;
}

export async function openChain({ rpc, addresses: file }: Place): Promise<Chain> {
  const provider = new JsonRpcProvider(rpc, undefined, { staticNetwork: true, batchMaxCount: 100 });
  const chainId = Number(
    await provider.send("eth_chainId", []).catch((error: unknown) => {
      throw new Refusal(`no chain answers at ${rpc}: ${(error as Error).message}`);
    }),
  );
  const path = file ?? join(ROOT, `deploy/addresses/${chainId}.json`);
  const addresses = await loadAddresses(path).catch((error: unknown) => {
    throw new Refusal(`the addresses of chain ${chainId} cannot be read: ${(error as Error).message}`);
  });
  if (addresses.chainId !== chainId)
    throw new Refusal(`${path} is of chain ${addresses.chainId}, but ${rpc} is chain ${chainId}`);
  if (addresses.markets.length === 0) throw new Refusal(`${path} lists no market: there is nothing to index`);
  for (const { id, vault } of addresses.markets) {
    if ((await provider.getCode(vault)) === "0x")
      throw new Refusal(
        `there is no market ${id} at ${vault} on ${rpc}: it is not deployed yet, or the chain has been reset since ${path} was written`,
      );
  }
  return { provider, addresses, startHash: await startHashOf(provider, addresses) };
}

export async function startHashOf(provider: JsonRpcProvider, { startBlock }: Addresses): Promise<string> {
  const block = await provider.getBlock(startBlock);
  if (block?.hash == null)
    throw new Refusal(
      `the node no longer has block ${startBlock}, where the history begins: use one that keeps it`,
    );
  return block.hash;
}

export async function sceneOf(
  { provider, addresses }: Chain,
  options: Pick<Scene, "rpc" | "pollMs" | "sampleBlocks" | "database">,
): Promise<Scene> {
  const at = (name: string) => lower(contractAddress(addresses, name));
  const markets = await Promise.all(
    addresses.markets.map(async (market): Promise<SceneMarket> => {
      const vault = Vault__factory.connect(market.vault, provider);
      const [scales, pair] = await Promise.all([vault.scales(), vault.PAIR()]);
      const { id, spacing, decimals } = market;
      return {
        ...{ vault: lower(market.vault), id, spacing, decimals },
        ...{ collateral: lower(market.collateral), debt: lower(market.debt) },
        pair: pair === ZeroAddress ? null : lower(pair),
        scales: scales.map(String) as SceneMarket["scales"],
      };
    }),
  );
  const pairs = [...new Set(markets.flatMap(({ pair }) => pair ?? []))];
  return {
    chainId: addresses.chainId,
    startBlock: addresses.startBlock,
    ...options,
    sampleFrom: await firstBlockOf(provider, at("Lens"), addresses.startBlock),
    contracts: {
      brake: at("EmergencyBrake"),
      insurance: at("InsuranceFund"),
      orders: at("ProtectionOrders"),
      recovery: at("AccountRecovery"),
      manager: at("AccessManager"),
      upgrader: at("Upgrader"),
      lens: at("Lens"),
    },
    safes: { pauser: lower(addresses.safes.pauser), governor: lower(addresses.safes.governor) },
    pairs: pairs.length === 0 ? [lower(ZeroAddress)] : pairs,
    markets,
  };
}

/** The first block at whose end a contract is there. */
async function firstBlockOf(provider: JsonRpcProvider, address: string, startBlock: number): Promise<number> {
  let [before, there] = [startBlock - 1, await provider.getBlockNumber()];
  while (there - before > 1) {
    const middle = Math.floor((before + there) / 2);
    const code = await provider.getCode(address, middle).catch((error: unknown) => {
      throw new Refusal(
        `the node does not know the state of block ${middle} any more, and an index needs that of every block from ${startBlock} on: ${(error as Error).message}`,
      );
    });
    if (code === "0x") before = middle;
    else there = middle;
  }
  return there;
}

/** Another chain, other markets or another version of the index: another database. */
export function nameOf({ addresses, startHash }: Chain, sampleBlocks: number): string {
  const hash = createHash("sha256").update(JSON.stringify([addresses, startHash, sampleBlocks]));
  const sources = ["indexer/*.ts", "indexer/package.json", "indexer/src/**/*.ts", "sdk/src/core/*.ts"];
  for (const path of globSync(sources, { cwd: ROOT }).sort()) hash.update(readFileSync(join(ROOT, path)));
  return `breakwater_${addresses.chainId}_${hash.digest("hex").slice(0, 10)}`;
}

function lower(address: string): Hex {
  return address.toLowerCase() as Hex;
}
