import { type RefObject, useRef } from "react";

import { type Chain, useChain } from "../chain.ts";
import { address } from "../format.ts";
import { link } from "../route.ts";
import { useSent } from "../transactions.ts";
import {
  type WalletState,
  chainName,
  connectWallet,
  disconnectWallet,
  switchNetwork,
  useWallet,
} from "../wallet.ts";
import { Notice } from "./notice.tsx";
import { ProgressSign, progressWords } from "./steps.tsx";

/** The wallet's button, and behind it: connect, account, what was sent. */
export function Wallet() {
  const { chain } = useChain();
  const wallet = useWallet();
  const sent = useSent();
  const dialog = useRef<HTMLDialogElement>(null);
  const waiting = sent.filter(({ progress: { state } }) => state === "sent" || state === "dropped").length;
  const { connected } = wallet;
  return (
    <>
      <button
        className={connected ? "button" : "button main"}
        aria-haspopup="dialog"
        onClick={() => dialog.current?.showModal()}
      >
        {connected ? address(connected.account) : "Connect wallet"}
        {waiting > 0 && <span className="font-normal">· {waiting} waiting</span>}
      </button>
      <dialog
        ref={dialog}
        aria-label={connected ? "Your wallet" : "Connect a wallet"}
        className="m-auto w-[min(30rem,calc(100vw-2rem))] rounded-xl border border-strong-line bg-surface p-5 text-ink backdrop:bg-ground/80"
      >
        <div className="mb-3 flex items-center justify-between gap-3">
          <h2>{connected ? "Your wallet" : "Connect a wallet"}</h2>
          <button className="button quiet" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </div>
        {connected ? <Account {...{ chain, wallet }} /> : <Choice {...{ chain, wallet, dialog }} />}
        {sent.length > 0 && (
          <section className="mt-5 border-t border-line pt-3">
            <h3 className="mb-2">What this page sent</h3>
            <ul className="grid gap-2 text-sm">
              {sent.map(({ hash, words, progress }) => (
                <li key={hash} className="flex gap-2">
                  <ProgressSign progress={progress} />
                  <span className="min-w-0">
                    {words[0]!.toUpperCase() + words.slice(1)}
                    <span className="block text-muted">{progressWords(progress)}</span>
                  </span>
                </li>
              ))}
            </ul>
          </section>
        )}
      </dialog>
    </>
  );
}

function Choice({
  chain,
  wallet: { found, asking, refused },
  dialog,
}: {
  chain: Chain;
  wallet: WalletState;
  dialog: RefObject<HTMLDialogElement | null>;
}) {
  return (
    <div className="grid gap-3">
      {refused !== undefined && <Notice kind="danger">{refused}</Notice>}
      {found.map((wallet) => (
        <button
          key={wallet.info.uuid}
          className="button justify-start"
          disabled={asking !== undefined}
          onClick={() => {
            void connectWallet(wallet, chain).then(() => dialog.current?.close());
          }}
        >
          <img src={wallet.info.icon} alt="" width="24" height="24" />
          {wallet.info.name}
          {asking === wallet.info.uuid && (
            <span className="ml-auto font-normal">waiting for you in it …</span>
          )}
        </button>
      ))}
      {found.length === 0 && (
        <Notice title="No wallet found in this browser.">
          Install one that announces itself to pages (EIP-6963, as all common ones do), and reload.
        </Notice>
      )}
      <form
        className="mt-2 grid gap-2 border-t border-line pt-3"
        onSubmit={(event) => {
          event.preventDefault();
          const asked = new FormData(event.currentTarget).get("address");
          location.hash = link("position", { address: typeof asked === "string" ? asked.trim() : "" });
          dialog.current?.close();
        }}
      >
        <label className="grid gap-1">
          <span className="font-medium">Or look at an account without a wallet</span>
          <input
            name="address"
            className="field"
            placeholder="0x…"
            required
            pattern="\s*0x[0-9a-fA-F]{40}\s*"
            title="An address: 0x and 40 digits"
            autoComplete="off"
            spellCheck={false}
          />
        </label>
        <button className="button">Look</button>
      </form>
    </div>
  );
}

function Account({ chain, wallet: { connected } }: { chain: Chain; wallet: WalletState }) {
  if (!connected) return null;
  const { wallet, account, chainId, sendsTogether, signs } = connected;
  return (
    <div className="grid gap-2">
      <p className="flex items-center gap-2">
        <img src={wallet.info.icon} alt="" width="24" height="24" />
        {wallet.info.name}, on {chainName(chainId)}
      </p>
      <p className="font-medium break-all">{account}</p>
      <p className="text-sm text-muted">
        {sendsTogether
          ? "It sends several steps as one."
          : signs
            ? "It sends one step at a time, and can sign permits."
            : "It is a contract: it approves by transactions instead of signing permits."}
      </p>
      <div className="flex flex-wrap gap-2">
        <a className="button" href={link("position", { address: account })}>
          Address for others to look at
        </a>
        <button className="button" onClick={disconnectWallet}>
          Disconnect
        </button>
        {chainId !== BigInt(chain.addresses.chainId) && <SwitchNetwork />}
      </div>
    </div>
  );
}

/** Brings the wallet to this page's chain. */
export function SwitchNetwork() {
  const { chain } = useChain();
  const { connected } = useWallet();
  if (!connected) return null;
  return (
    <button
      className="button main"
      onClick={() => void switchNetwork(connected, chain).catch(() => undefined)}
    >
      Switch to {chainName(chain.addresses.chainId)}
    </button>
  );
}

/**
 * In place of a button that sends: what is missing until it can, which is a wallet, the right network or an answering node;
 * undefined: nothing is.
 */
export function useObstacle(): string | undefined {
  const { chain, isSilent } = useChain();
  const { connected } = useWallet();
  if (!connected) return "Connect a wallet to go on.";
  if (connected.chainId !== BigInt(chain.addresses.chainId)) {
    return `Your wallet is on ${chainName(connected.chainId)}. Switch it to ${chainName(chain.addresses.chainId)} to go on.`;
  }
  if (isSilent) return "The node does not answer: nothing can be sent now.";
  return undefined;
}
