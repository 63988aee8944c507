import { address } from "../format.ts";
import type { Flow, Progress } from "../transactions.ts";
import { Notice } from "./notice.tsx";

/** What becomes of a transaction, in plain words; nothing is claimed that the chain has not said. */
export function progressWords(progress: Progress): string {
  switch (progress.state) {
    case "to do":
      return "not begun";
    case "in the wallet":
      return "waiting for you in the wallet";
    case "signed":
      return "signed";
    case "rejected":
      return "declined in the wallet; nothing was sent";
    case "sent":
      return `sent (${address(progress.hash)}), waiting for a block`;
    case "dropped":
      return `no node knows ${address(progress.hash)} any more: it was dropped, or will come back. Nothing has happened so far`;
    case "confirmed":
      return progress.replaces === undefined
        ? `confirmed in block ${progress.block} (${address(progress.hash)})`
        : `confirmed in block ${progress.block} as ${address(progress.hash)}, which replaced ${address(progress.replaces)}`;
    case "replaced":
      return `not done: another transaction of yours (${address(progress.by)}) took the place of ${address(progress.hash)}`;
    case "failed":
      return `failed: ${progress.words}`;
  }
}

const SIGNS: Record<Progress["state"], { sign: string; ink: string }> = {
  "to do": { sign: "○", ink: "text-muted" },
  "in the wallet": { sign: "◔", ink: "text-accent" },
  signed: { sign: "✓", ink: "text-accent" },
  rejected: { sign: "×", ink: "text-danger" },
  sent: { sign: "◑", ink: "text-accent" },
  dropped: { sign: "?", ink: "text-warn" },
  confirmed: { sign: "✓", ink: "text-accent" },
  replaced: { sign: "×", ink: "text-danger" },
  failed: { sign: "×", ink: "text-danger" },
};

export function ProgressSign({ progress }: { progress: Progress }) {
  const { sign, ink } = SIGNS[progress.state];
  return (
    <span aria-hidden className={`inline-block w-5 text-center font-semibold ${ink}`}>
      {sign}
    </span>
  );
}

/** The steps of a flow, numbered, each with its state, and what to do if one did not succeed. */
export function Steps({ flow, done }: { flow: Flow; done?: string }) {
  if (flow.steps.length === 0) return null;
  return (
    <div className="grid gap-3">
      <ol className="grid gap-2" aria-label="Steps" aria-live="polite">
        {flow.steps.map(({ words, progress }, at) => (
          <li key={at} className="flex gap-2">
            <ProgressSign progress={progress} />
            <span className="min-w-0">
              <span className="font-medium">
                {at + 1}. {words[0]!.toUpperCase() + words.slice(1)}
              </span>
              <span className="block text-sm text-muted" data-state={progress.state}>
                {progressWords(progress)}
              </span>
            </span>
          </li>
        ))}
      </ol>
      {flow.isDone && done !== undefined && <Notice kind="good">{done}</Notice>}
      {flow.isStopped && (
        <div className="flex gap-2">
          <button className="button" onClick={flow.retry}>
            Try again from here
          </button>
          <button className="button quiet" onClick={flow.clear}>
            Leave it
          </button>
        </div>
      )}
    </div>
  );
}
