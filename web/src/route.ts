import { getAddress, isAddress } from "ethers";
import { useSyncExternalStore } from "react";

import { useWallet } from "./wallet.ts";

// Where the reader is: `#/markets?market=weth-usdc`. `?address=0x…`, before or behind the #, shows an account without a
// wallet.

export interface Route {
  screen: string;
  query: URLSearchParams;
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => `${location.hash}|${location.search}`);
  const [path = "", query = ""] = (hash.split("|")[0] ?? "").replace(/^#\/?/, "").split("?");
  const all = new URLSearchParams(query);
  new URLSearchParams(location.search).forEach((value, key) => {
    if (!all.has(key)) all.set(key, value);
  });
  return { screen: path, query: all };
}

export function link(screen: string, query: Record<string, string> = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#/${screen}${text === "" ? "" : `?${text}`}`;
}

/** Notes a choice in the address, so that the page can be shared as it is; `undefined` takes it out. */
export function choose(choices: Record<string, string | undefined>): void {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const all = new URLSearchParams(query);
  for (const [key, value] of Object.entries(choices)) {
    if (value === undefined) all.delete(key);
    else all.set(key, value);
  }
  history.replaceState(null, "", link(path, Object.fromEntries(all)));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Whose account is shown: the one in the address, or the wallet's. */
export function useOwner(): { owner?: string; isOwn: boolean; words?: string } {
  const { query } = useRoute();
  const { connected } = useWallet();
  const asked: string | null = query.get("address");
  const words = `“${asked ?? ""}” is no address.`;
  if (asked === null)
    return { ...(connected && { owner: connected.account }), isOwn: connected !== undefined };
  if (!isAddress(asked)) return { isOwn: false, words };
  const owner = getAddress(asked);
  return { owner, isOwn: owner === connected?.account };
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  addEventListener("popstate", listener);
  return () => {
    removeEventListener("hashchange", listener);
    removeEventListener("popstate", listener);
  };
}
