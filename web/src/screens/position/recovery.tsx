import {
  type RecoverableAccount,
  type Transaction,
  cancelRecovery,
  explainRevert,
  finishRecovery,
  quoteRecovery,
  readAccount,
} from "@breakwater/sdk/chain";
import { DAY } from "@breakwater/sdk/core";
import { getAddress, isAddress } from "ethers";
import { useId, useState } from "react";

import { useChain, useRead } from "../../chain.ts";
import * as format from "../../format.ts";
import { Loading, Notice } from "../../parts/notice.tsx";
import { Figures } from "../../parts/sheet.tsx";
import { Steps } from "../../parts/steps.tsx";
import { sentence } from "../../parts/ticket.tsx";
import { useObstacle } from "../../parts/wallet.tsx";
import { useFlow } from "../../transactions.ts";
import { useWallet } from "../../wallet.ts";

const PHASES = {
  waiting: "the owner can still cancel it",
  due: "anyone can finish it now",
  lapsed: "it has lapsed: the guardians must begin anew",
};

/** Who can give the account a new owner if its key is lost, and what is under way. */
export function Recovery({ account }: { account: string }) {
  const { connected } = useWallet();
  const { value, error } = useRead(`recovery ${account}`, async ({ contracts }) =>
    readAccount(contracts, account).catch((reason: unknown) => {
      if (explainRevert(reason).name === "UnknownAccount") return null;
      throw reason;
    }),
  );
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="recovery">
      <h2 id="recovery">Recovery guardians</h2>
      {error !== undefined && (
        <Notice kind="warning" title="The guardians could not be read">
          {error}
        </Notice>
      )}
      {value === undefined && error === undefined && <Loading what="the guardians" />}
      {value === null && (
        <p className="text-muted">
          This account has none: whoever has its key has it, and without the key nobody does. Positions of an
          account under AccountRecovery survive the loss of a key.
        </p>
      )}
      {value && <State state={value} />}
      {value && connected && <Acts state={value} by={connected.account} />}
    </section>
  );
}

function State({ state }: { state: RecoverableAccount }) {
  const { owner, guardians, threshold, delay, lockedUntil, recovery } = state;
  const whole = (address: string) => <span className="break-all">{address}</span>;
  return (
    <Figures
      rows={[
        ["Owner", whole(owner)],
        ...guardians.map((guardian, at) => [`Guardian ${at + 1}`, whole(guardian)] as const),
        ["Needed together", `${threshold} of ${guardians.length}`],
        ["A recovery waits for", format.duration(delay)],
        ["Locked until", lockedUntil === undefined ? "not locked" : format.time(lockedUntil)],
        ...(recovery
          ? ([
              ["Recovery to", whole(recovery.newOwner), PHASES[recovery.phase]],
              ["Can be finished", `${format.time(recovery.from)} – ${format.time(recovery.until)}`],
            ] as const)
          : ([["Recovery", "none is pending"]] as const)),
      ]}
    />
  );
}

function Acts({ state, by }: { state: RecoverableAccount; by: string }) {
  const { chain } = useChain();
  const flow = useFlow();
  const obstacle = useObstacle();
  const [trouble, setTrouble] = useState<string>();
  const { account, owner, guardians, recovery } = state;
  const { contracts } = chain;

  const send = (ask: () => Promise<Transaction>) => {
    setTrouble(undefined);
    void ask().then(
      (transaction) =>
        flow.start([
          {
            words: transaction.words,
            run: async (wallet) => {
              await wallet.send(transaction);
            },
          },
        ]),
      (error: unknown) => setTrouble(sentence(explainRevert(error).words)),
    );
  };
  const isOff = obstacle !== undefined || flow.isRunning;
  return (
    <div className="grid gap-3">
      {recovery?.phase === "waiting" && by === owner && (
        <button
          className="button justify-self-start"
          disabled={isOff}
          onClick={() => send(async () => cancelRecovery(contracts, account))}
        >
          Cancel the recovery
        </button>
      )}
      {recovery?.phase === "due" && (
        <button
          className="button justify-self-start"
          disabled={isOff}
          onClick={() => send(async () => finishRecovery(contracts, account))}
        >
          Finish the recovery
        </button>
      )}
      {guardians.includes(by) && (
        <Start
          isOff={isOff}
          onStart={(newOwner, deadline, lock) =>
            send(async () => {
              const asked = { account, guardian: by, newOwner, deadline, lock };
              return (await quoteRecovery(contracts, asked)).transaction;
            })
          }
        />
      )}
      {obstacle !== undefined && <p className="text-sm text-muted">{obstacle}</p>}
      {trouble !== undefined && <Notice kind="danger">{trouble}</Notice>}
      <Steps flow={flow} done="It is on the chain: what stands above includes it." />
    </div>
  );
}

/** All guardians must name the same end; a whole day is easy to agree on. */
function Start({
  isOff,
  onStart,
}: {
  isOff: boolean;
  onStart: (newOwner: string, deadline: bigint, lock: boolean) => void;
}) {
  const { snapshot } = useChain();
  const [newOwner, setNewOwner] = useState("");
  const [lock, setLock] = useState(false);
  const soonest = snapshot.time / DAY + 2n;
  const [until, setUntil] = useState(() => dayOf(soonest));
  const id = useId();
  const end = Date.parse(until) / 1_000;
  const isReady = isAddress(newOwner.trim()) && Number.isInteger(end);
  return (
    <form
      className="grid gap-3 rounded-lg border border-line p-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) onStart(getAddress(newOwner.trim()), BigInt(end), lock);
      }}
    >
      <h3>You are a guardian: start a recovery</h3>
      <div className="grid gap-3 sm:grid-cols-[2fr_1fr]">
        <label className="grid gap-1" htmlFor={`${id}-owner`}>
          <span className="font-medium">New owner</span>
          <input
            id={`${id}-owner`}
            className="field"
            placeholder="0x…"
            autoComplete="off"
            spellCheck={false}
            value={newOwner}
            onChange={({ target }) => setNewOwner(target.value)}
          />
        </label>
        <label className="grid gap-1" htmlFor={`${id}-until`}>
          <span className="font-medium">Approvals count until (UTC)</span>
          <input
            id={`${id}-until`}
            className="field"
            type="date"
            value={until}
            onChange={({ target }) => setUntil(target.value)}
          />
        </label>
      </div>
      <label className="flex gap-2">
        <input type="checkbox" checked={lock} onChange={({ target }) => setLock(target.checked)} />
        Lock the account too: its owner, or a thief, then cannot cancel
      </label>
      <p className="text-sm text-muted">
        Every guardian names the same new owner, day and lock. The last one who is needed starts it, the
        others approve.
      </p>
      <button className="button justify-self-start" disabled={isOff || !isReady}>
        Approve or start it
      </button>
    </form>
  );
}

function dayOf(day: bigint): string {
  return new Date(Number(day * DAY) * 1_000).toISOString().slice(0, 10);
}
