import { Component, type ReactNode, Suspense, useEffect, useRef } from "react";

import { type Connection, useChain, useConnection } from "./chain.ts";
import { time } from "./format.ts";
import { Empty, Loading, Notice } from "./parts/notice.tsx";
import { ThemeChoice } from "./parts/theme.tsx";
import { SwitchNetwork, Wallet } from "./parts/wallet.tsx";
import { link, useRoute } from "./route.ts";
import { SCREENS, type Screen } from "./screens.ts";
import { resumeSent } from "./transactions.ts";
import { chainName, reconnect, useWallet } from "./wallet.ts";

export function App() {
  const connection = useConnection();
  const { screen: path } = useRoute();
  const chain = connection.status === "open" ? connection.chain : undefined;
  const screens = SCREENS.filter(({ isLocal }) => !isLocal || chain === undefined || chain.isLocal);
  const screen = path === "" ? screens[0] : screens.find((known) => known.path === path);
  const main = useRef<HTMLElement>(null);

  useEffect(() => {
    if (chain === undefined) return;
    void reconnect(chain);
    resumeSent(chain);
  }, [chain]);

  const former = useRef(path);
  useEffect(() => {
    document.title = screen === undefined ? "Breakwater" : `${screen.name} – Breakwater`;
    // Whoever follows a link by keyboard or screen reader goes on at what it led to.
    if (former.current !== path) main.current?.focus();
    former.current = path;
  }, [path, screen]);

  return (
    <>
      <a
        href="#main"
        className="button main absolute top-2 left-2 z-10 -translate-y-20 focus:translate-y-0"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <header className="border-b border-line bg-surface">
        <div className="mx-auto flex max-w-6xl flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2 sm:gap-x-6">
          <a href={link("")} className="flex items-center gap-2 text-lg font-semibold tracking-tight">
            <Mark />
            Breakwater
          </a>
          <div className="ml-auto flex items-center gap-1 sm:order-last">
            <ThemeChoice />
            {connection.status === "open" && <Wallet />}
          </div>
          <nav aria-label="Screens" className="-mx-1 flex w-full flex-wrap sm:w-auto">
            {screens.map(({ path: to, name }) => (
              <a
                key={to}
                href={link(to)}
                aria-current={to === screen?.path ? "page" : undefined}
                className="border-b-2 border-transparent px-2 py-1.5 text-muted hover:text-ink aria-[current]:border-accent aria-[current]:font-medium aria-[current]:text-ink"
              >
                {name}
              </a>
            ))}
          </nav>
        </div>
      </header>
      <main
        ref={main}
        id="main"
        tabIndex={-1}
        className="mx-auto grid max-w-6xl grid-cols-1 gap-4 px-4 py-5 outline-none"
      >
        <Body connection={connection} screen={screen} />
      </main>
      {connection.status === "open" && <Foot />}
    </>
  );
}

function Body({ connection, screen }: { connection: Connection; screen: Screen | undefined }) {
  switch (connection.status) {
    case "loading":
      return <Loading what="the chain" />;
    case "absent":
      return (
        <Empty title="There is no Breakwater here yet">
          <p>{connection.words}</p>
          <p>
            On a machine of your own, <code>npm start</code> deploys one and serves this page beside it. This
            page looks again every few seconds.
          </p>
        </Empty>
      );
    case "unreachable":
      return (
        <Notice kind="danger" title="The node does not answer">
          <p>
            This page reads from {connection.rpcUrl}, which does not answer ({connection.words}). It tries
            again every few seconds; nothing is lost.
          </p>
        </Notice>
      );
    case "open":
      if (screen === undefined) {
        return (
          <Empty title="There is no such page">
            <a className="link" href={link("")}>
              To the markets
            </a>
          </Empty>
        );
      }
      return (
        <>
          <Warnings />
          <Boundary key={screen.path}>
            <Suspense fallback={<Loading what={screen.name.toLowerCase()} />}>
              <screen.component />
            </Suspense>
          </Boundary>
        </>
      );
  }
}

/** What holds on every screen: a wallet elsewhere, a node that is silent, markets that cannot be read. */
function Warnings() {
  const connection = useConnection();
  const { chain, snapshot } = useChain();
  const { connected } = useWallet();
  const silentSince = connection.status === "open" ? connection.silentSince : undefined;
  return (
    <>
      {silentSince !== undefined && (
        <Notice kind="danger" title="The node does not answer">
          Since {new Date(silentSince).toLocaleTimeString("en-GB")}. What you see is of block {snapshot.block}
          , and nothing can be sent. Trying again every second.
        </Notice>
      )}
      {connected && connected.chainId !== BigInt(chain.addresses.chainId) && (
        <Notice
          kind="warning"
          title={`Your wallet is on ${chainName(connected.chainId)}`}
          action={<SwitchNetwork />}
        >
          This is Breakwater on {chainName(chain.addresses.chainId)}. You can look at everything; to send
          something, switch the wallet.
        </Notice>
      )}
      {snapshot.unread.map(({ id, words }) => (
        <Notice key={id} kind="warning" title={`The market ${id} cannot be read now`}>
          {words}
        </Notice>
      ))}
    </>
  );
}

function Foot() {
  const { chain, snapshot } = useChain();
  return (
    <footer className="mx-auto max-w-6xl px-4 pb-8 text-sm text-muted">
      Block {snapshot.block} of {chainName(chain.addresses.chainId)}, {time(snapshot.time)} by its clock.
      Every figure is read from the chain or reckoned by the SDK at that block.
    </footer>
  );
}

function Mark() {
  return (
    <svg aria-hidden width="26" height="26" viewBox="0 0 32 32" className="text-accent">
      <path
        d="M4 26h24M9 26v-6M14.5 26V8M20 26V12M25 26v-9"
        stroke="currentColor"
        strokeWidth="3"
        strokeLinecap="round"
        fill="none"
      />
    </svg>
  );
}

/** A screen that fails must not take the page with it. */
class Boundary extends Component<{ children: ReactNode }, { words?: string }> {
  override state: { words?: string } = {};

  static getDerivedStateFromError(error: unknown) {
    return { words: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    if (this.state.words === undefined) return this.props.children;
    return (
      <Notice
        kind="danger"
        title="This screen has failed"
        action={
          <button className="button" onClick={() => this.setState({ words: undefined })}>
            Try again
          </button>
        }
      >
        {this.state.words}
      </Notice>
    );
  }
}
