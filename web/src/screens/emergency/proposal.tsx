import {
  type Checked,
  type OwnerSignature,
  type Proposal,
  builderNameOf,
  builderOf,
  checkAgainstChain,
  effectOf,
  executionOf,
  nameOf,
  omissionOf,
  risenCosts,
  sign,
  signatureNameOf,
  toJson,
  verifyProposal,
  whoIs,
} from "@breakwater/sdk/desk";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { type Chain, useChain, useRead } from "../../chain.ts";
import { address, duration, time } from "../../format.ts";
import { Loading, Notice } from "../../parts/notice.tsx";
import { Figures } from "../../parts/sheet.tsx";
import { Steps } from "../../parts/steps.tsx";
import { useObstacle } from "../../parts/wallet.tsx";
import { useFlow } from "../../transactions.ts";
import { useWallet } from "../../wallet.ts";
import { type Table, deskOf, download, wordsOf } from "./desk.ts";
import { nameOfAction, sentence } from "./menu.tsx";

/** One proposal: what it does, what it costs, what to compare, who has signed, and its execution. */
export function ProposalSheet({ table, proposal }: { table: Table; proposal: Proposal }) {
  const { chain, snapshot } = useChain();
  const { addresses } = chain;
  const { hashes, safe, transaction, expiresAt } = proposal;
  const [effect, setEffect] = useState<string>();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [hashes.safeTransaction]);

  const check = useRead(
    effect === undefined ? `proposal ${hashes.safeTransaction} ${expiresAt}` : undefined,
    async (on: Chain) => {
      const desk = await deskOf(on);
      const checked = await checkAgainstChain(desk, proposal);
      return { checked, omission: await omissionOf(desk, checked.intent) };
    },
  );
  // What the bytes say needs no chain.
  const intent = verifyProposal(addresses, proposal);
  const checked = check.value?.checked;
  const left = BigInt(expiresAt) - snapshot.time;
  const name = nameOf(addresses, proposal);

  return (
    <section className="card grid gap-5" aria-labelledby="proposal">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h2 id="proposal" ref={heading} tabIndex={-1} className="outline-none">
          Proposal: {nameOfAction(proposal.action)}
        </h2>
        <button className="button quiet" onClick={table.clear}>
          {effect === undefined ? "Put it away" : "Done: put it away"}
        </button>
      </div>

      {effect !== undefined && (
        <Notice kind="good" title="Executed">
          <span className="wrap-anywhere">{sentence(effect)}</span>
        </Notice>
      )}
      {check.error !== undefined && effect === undefined && (
        <Notice kind="danger" title="Refused: do not sign this">
          <span className="wrap-anywhere">{sentence(check.error)}</span>
        </Notice>
      )}

      <Lines title="What it does, read from its bytes" lines={intent.words.map(sentence)} isLarge />

      {checked ? (
        <div className="grid gap-5 md:grid-cols-2">
          <Lines
            title="What it costs"
            lines={checked.cost.words.length > 0 ? checked.cost.words : ["nothing beyond its gas"]}
          />
          <Lines
            title="What it costs to leave it"
            lines={
              check.value!.omission.length > 0 ? check.value!.omission : ["nothing that this desk can reckon"]
            }
          />
        </div>
      ) : (
        check.error === undefined && effect === undefined && <Loading what="what it costs now" />
      )}

      <div className="grid gap-2">
        <h3>Compare with what your wallet shows</h3>
        <Figures
          rows={[
            ["Chain", addresses.chainId],
            [`Safe (${whoIs(addresses, safe).name})`, <Long key="safe" text={safe} />],
            ["Nonce", transaction.nonce],
            ["Calls", <Long key="to" text={transaction.to} />, whoIs(addresses, transaction.to).name],
            ...(effect === undefined
              ? [
                  [
                    "Signatures are collected",
                    left > 0n ? `for ${duration(left)} more` : "no more: it has expired",
                    `until ${time(expiresAt)}`,
                  ] as const,
                ]
              : []),
            ["Domain hash", <Long key="domain" text={hashes.domain} />],
            ["Message hash", <Long key="message" text={hashes.message} />],
            ["Safe transaction hash", <Long key="transaction" text={hashes.safeTransaction} />],
          ]}
        />
        {checked && <p className="text-sm text-muted">The Safe itself reckons the same transaction hash.</p>}
      </div>

      <div className="grid gap-2">
        <h3>Pass it on</h3>
        <div className="flex flex-wrap gap-2">
          <button className="button" onClick={() => download(name, `${toJson(proposal)}\n`)}>
            Download the proposal
          </button>
          <Copy text={toJson(proposal)}>Copy the proposal</Copy>
          <button
            className="button"
            onClick={() => download(builderNameOf(name), `${toJson(builderOf(proposal))}\n`)}
          >
            For Safe’s Transaction Builder
          </button>
        </div>
      </div>

      {effect === undefined && (
        <Signing
          {...{ table, proposal, name }}
          checked={check.error === undefined ? checked : undefined}
          onEffect={setEffect}
        />
      )}
    </section>
  );
}

function Signing({
  table: { signatures, add },
  proposal,
  name,
  checked,
  onEffect,
}: {
  table: Table;
  proposal: Proposal;
  name: string;
  /** Only what the chain has nothing against is signed or executed. */
  checked: Checked | undefined;
  onEffect: (effect: string) => void;
}) {
  const { chain } = useChain();
  const { connected } = useWallet();
  const obstacle = useObstacle();
  const signing = useFlow();
  const executing = useFlow();
  const [accepts, setAccepts] = useState(false);
  if (!checked) return null;

  const { owners, threshold, cost } = checked;
  const account = connected?.account;
  const isOwner = account !== undefined && owners.includes(account);
  const hasSigned = signatures.some(({ signer }) => signer === account);
  const strangers = signatures.filter(({ signer }) => !owners.includes(signer));
  const risen = signatures.flatMap((signature) => risenCosts(signature, cost));
  const isEnough = signatures.length >= threshold;

  const startSigning = () => {
    const step = async (wallet: { sign: Parameters<typeof sign>[1]["sign"] }) =>
      add(await sign(proposal, { address: account!, sign: wallet.sign }, checked));
    signing.start([{ words: `sign, as one of ${threshold} who are needed`, run: step }]);
  };
  const startExecuting = () => {
    executing.start([
      {
        words: "execute it",
        run: async (wallet) => {
          const desk = await deskOf(chain);
          const terms = { sender: account!, acceptCost: accepts };
          await wallet.send(await executionOf(desk, proposal, [...signatures], terms));
          onEffect(await effectOf(desk, proposal));
        },
      },
    ]);
  };

  return (
    <>
      <div className="grid gap-2">
        <h3>
          Signatures: {signatures.length} of {threshold}
        </h3>
        <ul className="grid gap-1">
          {owners.map((owner) => {
            const signature = signatures.find(({ signer }) => signer === owner);
            return (
              <li
                key={owner}
                className="flex flex-wrap items-center gap-x-3 border-b border-line py-1 last:border-0"
              >
                <span className="flex min-w-0 gap-2">
                  <span aria-hidden className={signature ? "text-accent" : "text-muted"}>
                    {signature ? "✓" : "○"}
                  </span>
                  <span className="break-all">
                    {owner}
                    {owner === account && <span className="text-muted"> (you)</span>}
                  </span>
                </span>
                <span className="ml-auto text-muted">{signature ? "has signed" : "has not signed"}</span>
                {signature && <PassOn {...{ signature, name }} />}
              </li>
            );
          })}
        </ul>
        {strangers.map(({ signer }) => (
          <Notice key={signer} kind="danger" title="A signature of somebody who is no owner">
            <span className="break-all">{signer}</span> signed this, and owns nothing of this Safe: it will be
            refused.
          </Notice>
        ))}
        {!hasSigned && (
          <div className="grid justify-items-start gap-2">
            <button
              className="button main"
              disabled={obstacle !== undefined || !isOwner || signing.isRunning}
              onClick={startSigning}
            >
              Sign it
            </button>
            {obstacle !== undefined ? (
              <p className="text-sm text-muted">{obstacle}</p>
            ) : (
              !isOwner && (
                <p className="text-sm text-muted">
                  Your wallet’s account is not among the owners of this Safe.
                </p>
              )
            )}
          </div>
        )}
        <Steps flow={signing} done="Signed. Pass your signature on to whoever executes it." />
      </div>

      <div className="grid justify-items-start gap-2">
        <h3>Execute</h3>
        {risen.length > 0 && (
          <Notice kind="warning" title="It costs more than when it was signed">
            {risen.map((words) => (
              <p key={words} className="wrap-anywhere">
                {sentence(words)}.
              </p>
            ))}
            <label className="mt-1 flex items-baseline gap-2">
              <input
                type="checkbox"
                checked={accepts}
                onChange={({ target }) => setAccepts(target.checked)}
              />
              I accept it. Better: propose anew.
            </label>
          </Notice>
        )}
        <button
          className="button main"
          disabled={
            !isEnough || obstacle !== undefined || executing.isRunning || (risen.length > 0 && !accepts)
          }
          onClick={startExecuting}
        >
          Execute it
        </button>
        <p className="text-sm text-muted">
          {isEnough
            ? (obstacle ?? "It is tried on the chain first. Any account may send it, and pays its gas.")
            : `It takes ${threshold} signatures; ${threshold - signatures.length} more to come.`}
        </p>
        <Steps flow={executing} />
      </div>
    </>
  );
}

function PassOn({ signature, name }: { signature: OwnerSignature; name: string }) {
  const of = address(signature.signer);
  return (
    <span className="flex gap-1">
      <button
        className="button quiet"
        aria-label={`Download the signature of ${of}`}
        onClick={() => download(signatureNameOf(name, signature.signer), `${toJson(signature)}\n`)}
      >
        Download
      </button>
      <Copy text={toJson(signature)} label={`Copy the signature of ${of}`} isQuiet>
        Copy
      </Copy>
    </span>
  );
}

/** Where what others passed on comes in: files, or text. */
export function Intake({ table }: { table: Table }) {
  const [text, setText] = useState("");
  const [outcome, setOutcome] = useState<{ refused?: string; took?: string }>({});

  const take = (texts: readonly string[]) => {
    try {
      table.take(texts);
      setText("");
      setOutcome({ took: "Taken: its words and hashes are what its bytes say." });
    } catch (error) {
      setOutcome({ refused: wordsOf(error) });
    }
  };
  return (
    <div className="grid gap-3">
      <label className="grid gap-1">
        <span className="font-medium">Files of a proposal and its signatures</span>
        <input
          type="file"
          multiple
          accept=".json,application/json"
          className="field file:mr-3 file:rounded file:border file:border-strong-line file:px-2 file:py-0.5"
          onChange={({ target }) => {
            const files = [...(target.files ?? [])];
            target.value = "";
            void Promise.all(files.map(async (file) => file.text())).then(take);
          }}
        />
      </label>
      <form
        className="grid gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          take([text]);
        }}
      >
        <label className="grid gap-1">
          <span className="font-medium">Or the text that you were sent</span>
          <textarea
            className="field font-mono text-sm"
            rows={3}
            spellCheck={false}
            required
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
        </label>
        <button className="button justify-self-start">Open</button>
      </form>
      {outcome.refused !== undefined && (
        <Notice kind="danger" title="Refused">
          <span className="wrap-anywhere whitespace-pre-line">{sentence(outcome.refused)}</span>
        </Notice>
      )}
      {outcome.took !== undefined && <Notice kind="good">{outcome.took}</Notice>}
    </div>
  );
}

function Lines({
  title,
  lines,
  isLarge = false,
}: {
  title: string;
  lines: readonly string[];
  isLarge?: boolean;
}) {
  return (
    <div className="grid content-start gap-1">
      <h3>{title}</h3>
      <ul className={`grid gap-1 ${isLarge ? "border-l-4 border-accent pl-3 text-lg" : ""}`}>
        {lines.map((line) => (
          <li key={line} className="wrap-anywhere">
            {line}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** An address or a hash, whole: it is there to be compared. */
function Long({ text }: { text: string }) {
  return <span className="font-mono text-sm break-all">{text}</span>;
}

export function Copy({
  text,
  label,
  isQuiet = false,
  children,
}: {
  text: string;
  label?: string;
  isQuiet?: boolean;
  children: ReactNode;
}) {
  const [outcome, setOutcome] = useState<string>();
  return (
    <button
      className={`button ${isQuiet ? "quiet" : ""}`}
      aria-label={label}
      onClick={() => {
        navigator.clipboard.writeText(text).then(
          () => setOutcome("Copied"),
          () => setOutcome("Not copied"),
        );
        setTimeout(() => setOutcome(undefined), 2_000);
      }}
    >
      <span aria-live="polite">{outcome ?? children}</span>
    </button>
  );
}
