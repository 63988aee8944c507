// The desk on this machine: over JSON-RPC, with the addresses that the deployment wrote.
import { readFile } from "node:fs/promises";

import { type Addresses, loadAddresses } from "@breakwater/sdk/addresses";
import { type Desk, openDesk, Refusal } from "@breakwater/sdk/desk";
import { JsonRpcProvider } from "ethers";

export const DEFAULT_RPC = "http://127.0.0.1:8545";

export interface RpcDesk extends Desk {
  rpc: string;
  provider: JsonRpcProvider;
  close: () => void;
}

/** Connects to the chain; refuses where none answers, or one that the addresses are not of. */
export async function openRpcDesk(rpc: string, addressesFile?: string): Promise<RpcDesk> {
  // Nothing remembered: what is shown is the chain now.
  const provider = new JsonRpcProvider(rpc, undefined, { batchMaxCount: 1, cacheTimeout: -1, polling: true });
  provider.pollingInterval = 250;
  try {
    const chainId = Number(BigInt((await ask(provider, rpc)) as string));
    const desk = await openDesk(await readAddresses(chainId, addressesFile), provider);
    return { ...desk, rpc, provider, close: () => provider.destroy() };
  } catch (error) {
    provider.destroy();
    throw error;
  }
}

/** Asked once, without ethers' retries: a desk without a chain says so at once. */
async function ask(provider: JsonRpcProvider, rpc: string): Promise<unknown> {
  try {
    const [answer] = await provider._send({ id: 1, jsonrpc: "2.0", method: "eth_chainId", params: [] });
    if (answer && "result" in answer) return answer.result;
  } catch {
    // as without an answer
  }
  throw new Refusal(`no chain answers at ${rpc}`);
}

/** FILE, or deploy/addresses/<chainId>.json. */
export async function readAddresses(chainId: number, file?: string): Promise<Addresses> {
  const path = file ?? new URL(`../../deploy/addresses/${chainId}.json`, import.meta.url);
  try {
    await readFile(path);
  } catch {
    throw new Refusal(`no addresses of chain ${chainId}: ${String(path)} is missing`);
  }
  return loadAddresses(path);
}
