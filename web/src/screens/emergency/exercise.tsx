import {
  EXERCISE_PAUSE,
  type ExerciseReport,
  type Status,
  countPauses,
  exerciseMarkets,
  exercisedPause,
  exerciseText,
  propose,
} from "@breakwater/sdk/desk";
import { useEffect, useRef, useState } from "react";

import { useChain } from "../../chain.ts";
import { Notice } from "../../parts/notice.tsx";
import { type Table, deskOf, download, wordsOf } from "./desk.ts";

type Step = ExerciseReport["steps"][number];

interface Run {
  startedAt: string;
  market: string;
  before: Map<string, bigint>;
  /** When the last step was done, by performance.now(). */
  last: number;
  steps: readonly Step[];
  pause?: Awaited<ReturnType<typeof exercisedPause>>;
}

/** A timed exercise with real signatures, from the alert until the market is normal again. */
export function Exercise({ table, status }: { table: Table; status: Status | undefined }) {
  const { chain } = useChain();
  const markets = exerciseMarkets(chain.addresses);
  const [market, setMarket] = useState(markets[0]?.id);
  const [run, setRun] = useState<Run>();
  const [refused, setRefused] = useState<string>();
  const isAsking = useRef(false);
  const level = status?.markets.find(({ id }) => id === run?.market)?.brake.level;
  const { signatures } = table;

  const start = async () => {
    setRefused(undefined);
    try {
      const desk = await deskOf(chain);
      const last = performance.now();
      const started = {
        startedAt: new Date().toISOString(),
        market: market!,
        before: await countPauses(desk),
      };
      const options = { market: market!, for: EXERCISE_PAUSE, reason: "exercise" };
      table.lay(await propose(desk, "pause-liquidations", options));
      const alert = { step: "alert", milliseconds: 0, found: `${market} is to be paused` };
      setRun(marked({ ...started, last, steps: [alert] }, "proposal", "written"));
    } catch (error) {
      setRefused(wordsOf(error));
    }
  };

  useEffect(() => {
    if (!run || reportOf(run)) return;
    const did = (step: string) => run.steps.some((each) => each.step === step);
    const signed = run.steps.filter(({ step }) => step.startsWith("signature")).length;
    if (!did("paused")) {
      if (signatures.length > signed) {
        setRun(marked(run, `signature ${signed + 1}`, signatures[signed]!.signer));
      } else if (level === "LiquidationsPaused" && !isAsking.current) {
        isAsking.current = true;
        void deskOf(chain)
          .then(async (desk) => exercisedPause(desk, run.market, run.before))
          .then(
            (pause) => setRun(marked({ ...run, pause }, "paused", `${run.market} is at ${level}`)),
            (error: unknown) => setRefused(wordsOf(error)),
          )
          .finally(() => (isAsking.current = false));
      }
      return;
    }
    if (!did("lapse into grace") && (level === "Grace" || level === "None")) {
      setRun(
        marked(
          run,
          "lapse into grace",
          level === "Grace" ? `${run.market} is at Grace` : "between two looks",
        ),
      );
    } else if (did("lapse into grace") && level === "None") {
      setRun(marked(run, "normal", `${run.market} is at None`));
    }
  }, [chain, level, run, signatures]);

  if (markets.length === 0) {
    return (
      <Notice kind="note" title="There is no market for exercises here">
        An exercise pauses a canary market, and this deployment has none.{" "}
        <code>npm run desk -- exercise --wait</code> makes one on a chain of its own.
      </Notice>
    );
  }
  const report = run && reportOf(run);
  return (
    <section className="card grid gap-3 border-dashed" aria-labelledby="exercise">
      <h2 id="exercise">Exercise</h2>
      <p>
        From the alert until the market is normal again, with the time of each step. The signatures are real,
        and so is the pause: of one market, for {EXERCISE_PAUSE.replace("m", " minutes")} and the grace after
        it.
      </p>
      {!run && (
        <div className="flex flex-wrap items-end gap-3">
          <label className="grid gap-1">
            <span className="font-medium">Market</span>
            <select className="field" value={market} onChange={({ target }) => setMarket(target.value)}>
              {markets.map(({ id }) => (
                <option key={id}>{id}</option>
              ))}
            </select>
          </label>
          <button className="button main" onClick={() => void start()}>
            Alert: start the clock
          </button>
        </div>
      )}
      {refused !== undefined && (
        <Notice kind="danger" title="Refused">
          <span className="wrap-anywhere">{refused}</span>
        </Notice>
      )}
      {run && (
        <ol className="grid gap-1" aria-label="Steps of the exercise" aria-live="polite">
          {run.steps.map(({ step, milliseconds, found }) => (
            <li key={step} className="flex flex-wrap gap-x-4">
              <span aria-hidden className="text-accent">
                ✓
              </span>
              <span className="w-36 font-medium">{step}</span>
              <span className="w-20 text-right">{(milliseconds / 1_000).toFixed(1)} s</span>
              <span className="min-w-0 break-all text-muted">{found}</span>
            </li>
          ))}
        </ol>
      )}
      {report && (
        <Notice
          kind={report.otherMarketsUntouched ? "good" : "danger"}
          title="The exercise is over"
          action={
            <button
              className="button"
              onClick={() => download("exercise.json", `${JSON.stringify(report, null, 2)}\n`)}
            >
              Download the report
            </button>
          }
        >
          {exerciseText(report).map((line) => (
            <p key={line}>{line}</p>
          ))}
        </Notice>
      )}
    </section>
  );
}

function marked(run: Run, step: string, found: string): Run {
  const now = performance.now();
  return {
    ...run,
    last: now,
    steps: [...run.steps, { step, milliseconds: Math.round(now - run.last), found }],
  };
}

/** Once it is over. */
function reportOf({ startedAt, market, steps, pause }: Run): ExerciseReport | undefined {
  if (!pause || steps.at(-1)?.step !== "normal") return undefined;
  const untilPaused = steps.slice(0, steps.findIndex(({ step }) => step === "paused") + 1);
  return {
    startedAt,
    market,
    signedBy: "people",
    steps: [...steps],
    alertToPausedMilliseconds: untilPaused.reduce((sum, { milliseconds }) => sum + milliseconds, 0),
    ...pause,
  };
}
