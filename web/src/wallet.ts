import { getAddress, toQuantity } from "ethers";
import { type EIP6963ProviderDetail, createStore as createDiscovery } from "mipd";

import type { Chain } from "./chain.ts";
import { createStore, useStore } from "./store.ts";

// The wallet: found by EIP-6963, connected by its owner, asked for signatures. The page never has a key.

export type WalletFound = EIP6963ProviderDetail;

export interface Connected {
  wallet: WalletFound;
  account: string;
  chainId: bigint;
  /** Whether it sends several calls as one (EIP-5792), as smart accounts do. */
  sendsTogether: boolean;
  /** Whether it can sign a permit or an authorisation: a contract cannot. */
  signs: boolean;
}

export interface WalletState {
  found: readonly WalletFound[];
  /** Its owner is being asked, by this wallet. */
  asking?: string;
  connected?: Connected;
  /** Why connecting did not work. */
  refused?: string;
}

/** What a wallet says when its owner declined. */
const REJECTED = 4001;
const UNKNOWN_CHAIN = 4902;
/** EIP-7702: an account with a key that has lent itself code, and can still sign. */
const DELEGATION = "0xef0100";
const REMEMBERED = "breakwater.wallet";

const discovery = createDiscovery();
const state = createStore<WalletState>({ found: discovery.getProviders() });
let forget: () => void = () => undefined;

discovery.subscribe((found) => {
  state.set({ ...state.get(), found });
  void reconnect();
});

export function useWallet(): WalletState {
  return useStore(state);
}

export function isRejection(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === REJECTED || code === "ACTION_REJECTED";
}

export function wordsOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === "string" ? message : String(error);
}

export async function connectWallet(wallet: WalletFound, chain: Chain): Promise<void> {
  state.set({ found: state.get().found, asking: wallet.info.uuid });
  try {
    const accounts = await ask<string[]>(wallet, "eth_requestAccounts");
    await take(wallet, accounts, chain);
    localStorage.setItem(REMEMBERED, wallet.info.rdns);
  } catch (error) {
    const refused = isRejection(error)
      ? `You declined in ${wallet.info.name}. Nothing was connected.`
      : `${wallet.info.name} did not connect: ${wordsOf(error)}`;
    state.set({ found: state.get().found, refused });
  }
}

export function disconnectWallet(): void {
  forget();
  localStorage.removeItem(REMEMBERED);
  state.set({ found: state.get().found });
}

let known: Chain | undefined;

/** Takes up the wallet of the last visit again, if it still lets this page see its account. */
export async function reconnect(chain: Chain | undefined = known): Promise<void> {
  known = chain;
  const { connected, asking, found } = state.get();
  const wallet = found.find(({ info }) => info.rdns === localStorage.getItem(REMEMBERED));
  if (!chain || !wallet || connected || asking !== undefined) return;
  const accounts = await ask<string[]>(wallet, "eth_accounts").catch(() => []);
  if (accounts.length > 0) await take(wallet, accounts, chain);
}

/** Asks the wallet to come to the page's chain, and tells it of it if it does not know it. */
export async function switchNetwork({ wallet }: Connected, { addresses, rpcUrl }: Chain): Promise<void> {
  const chainId = toQuantity(addresses.chainId);
  try {
    await ask(wallet, "wallet_switchEthereumChain", [{ chainId }]);
  } catch (error) {
    if ((error as { code?: unknown }).code !== UNKNOWN_CHAIN) throw error;
    await ask(wallet, "wallet_addEthereumChain", [
      {
        chainId,
        chainName: chainName(addresses.chainId),
        nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
        rpcUrls: [rpcUrl],
      },
    ]);
  }
}

export function chainName(chainId: number | bigint): string {
  const names: Record<string, string> = { 1: "Ethereum", 11155111: "Sepolia", 31337: "the local chain" };
  return names[String(chainId)] ?? `chain ${chainId}`;
}

/** A request to the wallet; it waits for its owner. */
export async function ask<T>({ provider }: WalletFound, method: string, params: unknown[] = []): Promise<T> {
  return (await (provider.request as (r: object) => Promise<unknown>)({ method, params })) as T;
}

async function take(wallet: WalletFound, accounts: readonly string[], chain: Chain): Promise<void> {
  const first = accounts[0];
  if (first === undefined) throw new Error("it has no account for this page");
  forget();
  const account = getAddress(first);
  const chainId = BigInt(await ask<string>(wallet, "eth_chainId"));
  const [code, sendsTogether] = await Promise.all([
    chain.provider.getCode(account).catch(() => "0x"),
    canSendTogether(wallet, account, chain),
  ]);
  const signs = code === "0x" || code.startsWith(DELEGATION);
  state.set({ found: state.get().found, connected: { wallet, account, chainId, sendsTogether, signs } });

  const onAccounts = (changed: readonly string[]) => {
    if (changed.length === 0) disconnectWallet();
    else void take(wallet, changed, chain);
  };
  const onChain = (changed: string) => {
    const { connected, found } = state.get();
    if (connected) state.set({ found, connected: { ...connected, chainId: BigInt(changed) } });
  };
  const { provider } = wallet;
  provider.on("accountsChanged", onAccounts);
  provider.on("chainChanged", onChain);
  forget = () => {
    provider.removeListener("accountsChanged", onAccounts);
    provider.removeListener("chainChanged", onChain);
  };
}

async function canSendTogether(wallet: WalletFound, account: string, chain: Chain): Promise<boolean> {
  type Capabilities = Record<string, { atomic?: { status?: string } } | undefined>;
  const chainId = toQuantity(chain.addresses.chainId);
  const all = await ask<Capabilities>(wallet, "wallet_getCapabilities", [account, [chainId]]).catch(
    () => ({}),
  );
  const status = (all as Capabilities)[chainId]?.atomic?.status;
  return status === "supported" || status === "ready";
}
