import type { BrakeLevel } from "@breakwater/sdk/chain";
import { type MarketStatus, type Scheduled, type Status, propose, readStatus } from "@breakwater/sdk/desk";
import { useState } from "react";

import { useChain, useRead } from "../chain.ts";
import {
  PRICE_STATES,
  amount,
  bps,
  duration,
  marketName,
  percent,
  price,
  priceRange,
  priceUnits,
  sourceName,
  sourceWords,
  time,
} from "../format.ts";
import { Empty, Loading, Notice } from "../parts/notice.tsx";
import { Figures } from "../parts/sheet.tsx";
import { useWallet } from "../wallet.ts";
import { deskOf, useTable, wordsOf } from "./emergency/desk.ts";
import { Exercise } from "./emergency/exercise.tsx";
import { Menu, type Preset, sentence } from "./emergency/menu.tsx";
import { Intake, ProposalSheet } from "./emergency/proposal.tsx";

/** How far to look back for liquidations. */
const BLOCKS = 5_000;

const LEVELS: Record<BrakeLevel, { name: string; sign: string; ink: string }> = {
  None: { name: "Open", sign: "●", ink: "text-accent" },
  NoNewRisk: { name: "No new risk", sign: "◐", ink: "text-warn" },
  Grace: { name: "Grace after a pause", sign: "◐", ink: "text-warn" },
  LiquidationsPaused: { name: "Liquidations paused", sign: "■", ink: "text-danger" },
};

export default function Emergency() {
  const { value: status, error } = useRead("desk", async (chain) => readStatus(await deskOf(chain), BLOCKS));
  const [isExercise, setExercise] = useState(false);
  const [form, setForm] = useState<{ preset: Preset; at: number }>({
    preset: { action: "pause-liquidations", options: {} },
    at: 0,
  });
  const table = useTable();
  const { proposal } = table;

  const fill = (action: string, market: string) => {
    setForm(({ at }) => ({ preset: { action, options: { market } }, at: at + 1 }));
    document.getElementById("menu")?.focus();
  };

  return (
    <>
      <div className="flex flex-wrap items-end justify-between gap-x-6 gap-y-2">
        <div>
          <h1>Emergency</h1>
          <p className="max-w-prose text-muted">
            The desk of the two Safes’ owners: what they decide on and act with. Its files are those of{" "}
            <code>npm run desk</code>.
          </p>
        </div>
        <label className="flex items-center gap-2">
          <input
            type="checkbox"
            checked={isExercise}
            onChange={({ target }) => setExercise(target.checked)}
          />
          Exercise
        </label>
      </div>

      {isExercise && <Exercise table={table} status={status} />}
      {error !== undefined && (
        <Notice kind="danger" title="The desk cannot read the chain">
          {error}
        </Notice>
      )}
      {!status && error === undefined && <Loading what="the markets as signers see them" />}
      {status && <Markets status={status} onPause={proposal ? undefined : fill} />}

      {proposal ? (
        <ProposalSheet key={proposal.hashes.safeTransaction} {...{ table, proposal }} />
      ) : (
        <div className="grid items-start gap-4 lg:grid-cols-[3fr_2fr]">
          <section className="card grid gap-3" aria-labelledby="menu">
            <h2 id="menu" tabIndex={-1}>
              Propose
            </h2>
            <Menu
              key={form.at}
              preset={form.preset}
              scheduled={status?.scheduled ?? []}
              onProposal={table.lay}
            />
          </section>
          <section className="card grid gap-3" aria-labelledby="intake">
            <h2 id="intake">Open what another signer sent</h2>
            <Intake table={table} />
          </section>
        </div>
      )}
      {proposal && (
        <section className="card grid gap-3" aria-labelledby="intake">
          <h2 id="intake">Add what another signer sent</h2>
          <Intake table={table} />
        </section>
      )}

      {status && (
        <div className="grid items-start gap-4 lg:grid-cols-[3fr_2fr]">
          <Schedule {...{ status }} onProposal={table.lay} />
          <Safes {...{ status }} />
        </div>
      )}
    </>
  );
}

/** Begins a proposal; there is none while another one lies on the desk. */
type OnPause = ((action: string, market: string) => void) | undefined;

function Markets({ status, onPause }: { status: Status; onPause: OnPause }) {
  return (
    <section aria-label="Markets" className="grid gap-4 md:grid-cols-2 lg:grid-cols-3">
      {status.markets.map((market) => (
        <Market key={market.id} market={market} onPause={onPause} />
      ))}
    </section>
  );
}

function Market({ market, onPause }: { market: MarketStatus; onPause: OnPause }) {
  const { snapshot } = useChain();
  const reading = snapshot.markets.find(({ addresses }) => addresses.id === market.id);
  if (!reading) return null;
  const { brake, budgets, debt, decimals, keepers, price: quoted, ramp, symbols } = market;
  const { name, sign, ink } = LEVELS[brake.level];
  const owed = (value: bigint) => amount(value, decimals.debt, symbols.debt);
  const countdowns = [
    brake.pausedFor > 0n && `lapses in ${duration(brake.pausedFor)}, then grace`,
    brake.pausedFor === 0n && brake.graceFor > 0n && `grace ends in ${duration(brake.graceFor)}`,
    brake.noNewRiskFor > 0n && `no new risk for ${duration(brake.noNewRiskFor)} more`,
  ].filter((words) => words !== false);
  const { last } = keepers;
  const state = PRICE_STATES[quoted.state];
  return (
    <article className="card grid content-start gap-3" aria-label={marketName(reading)}>
      <div>
        <div className="flex flex-wrap items-baseline justify-between gap-x-3">
          <h2>{marketName(reading)}</h2>
          <code className="text-sm text-muted">{market.id}</code>
        </div>
        <p className={`font-semibold ${ink}`} data-level={brake.level}>
          <span aria-hidden>{sign} </span>
          {name}
        </p>
        <p className="text-sm text-muted">
          {countdowns.length > 0 ? sentence(countdowns.join("; ")) : "Nothing is paused"}
          {brake.reason !== "none" && `; last reason: ${brake.reason}`}
        </p>
      </div>
      <p className={`text-sm ${quoted.state === "Fresh" ? "text-muted" : "font-medium text-warn"}`}>
        Price: {state.name.toLowerCase()}. {state.words}
      </p>
      {onPause && (
        <div className="grid grid-cols-2 gap-2">
          <button className="button px-1 text-sm" onClick={() => onPause("pause-liquidations", market.id)}>
            Pause liquidations
          </button>
          <button className="button px-1 text-sm" onClick={() => onPause("pause-new-risk", market.id)}>
            Stop new risk
          </button>
        </div>
      )}
      <Figures
        rows={[
          ["Both sources", priceRange(reading.state, reading), priceUnits(reading).unit],
          ...quoted.sources.map(
            (source, at) =>
              [
                `${at === 0 ? "First" : "Second"}: ${sourceName(source)}`,
                price(source.price, reading),
                sourceWords(source),
              ] as const,
          ),
          ["Budget to pause liquidations", duration(budgets.liquidations)],
          ["Budget to stop new risk", duration(budgets.newRisk)],
        ]}
      />
      <Falls market={market} />
      <details className="mt-auto">
        <summary className="text-accent">Keepers, lenders, volatility</summary>
        <Figures
          rows={[
            [
              "Keepers",
              last ? `${keepers.liquidations} liquidations` : "no liquidation",
              last
                ? `since block ${keepers.sinceBlock}; last ${time(last.time)}, ${owed(last.repaid)}`
                : `since block ${keepers.sinceBlock}`,
            ],
            ["Seized and unsold", owed(debt.pot)],
            ["Lenders’ loss", owed(keepers.lendersLoss), `since block ${keepers.sinceBlock}`],
            ["Cash", owed(market.lenders.cash), `utilisation ${percent(market.lenders.utilization)}`],
            ["Insurance", owed(market.lenders.insurance)],
            ["Volatility, a day", bps(quoted.volatility), `max LTV of new risk ${bps(quoted.maxLtvNow)}`],
            [
              "Sentinel’s budgets",
              duration(budgets.sentinelLiquidations),
              `of new risk ${duration(budgets.sentinelNewRisk)}`,
            ],
            ...(quoted.vetoLeft === undefined
              ? []
              : [["Veto of diverged sources", `${duration(quoted.vetoLeft)} left`] as const]),
            ...(ramp.duration > 0n
              ? [
                  [
                    ramp.windingDown ? "Winding down" : "Thresholds move",
                    `${duration(ramp.elapsed)} of ${duration(ramp.duration)}`,
                  ] as const,
                ]
              : []),
          ]}
        />
      </details>
    </article>
  );
}

/** How much of the debt can be liquidated, now and further down, as figures and as bars. */
function Falls({ market: { debt, decimals, symbols } }: { market: MarketStatus }) {
  const rows = [
    ...Object.entries(debt.liquidatable).map(
      ([fall, value]) => [fall === "0" ? "now" : `at ${bps(BigInt(fall), 0)} worse`, value] as const,
    ),
    ["all", debt.total] as const,
  ];
  return (
    <div className="grid gap-1">
      <h3>Debt that can be liquidated</h3>
      <dl className="grid gap-1.5">
        {rows.map(([name, value]) => (
          <div
            key={name}
            className="flex justify-between gap-3 rounded-xs pb-1.5"
            style={{
              background: `${bar(
                name === "all" ? "strong-line" : name === "now" ? "danger" : "accent",
                debt.total === 0n ? 0 : Number((value * 1_000n) / debt.total) / 10,
              )}, ${bar("sunken", 100)}`,
            }}
          >
            <dt className="text-muted">{name}</dt>
            <dd className="font-medium">{amount(value, decimals.debt, symbols.debt)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** A line along the bottom, so many percent long. */
function bar(colour: string, long: number): string {
  return `linear-gradient(var(--${colour}), var(--${colour})) left bottom / ${long}% 4px no-repeat`;
}

function Schedule({
  status,
  onProposal,
}: {
  status: Status;
  onProposal: (proposal: Awaited<ReturnType<typeof propose>>) => void;
}) {
  const { chain } = useChain();
  const [refused, setRefused] = useState<string>();
  const { scheduled, time: now } = status;
  const act = async (step: "execute" | "cancel", { id }: Scheduled) => {
    setRefused(undefined);
    try {
      onProposal(await propose(await deskOf(chain), step, { operation: id }));
    } catch (error) {
      setRefused(wordsOf(error));
    }
  };
  return (
    <section className="card grid gap-3" aria-labelledby="scheduled">
      <h2 id="scheduled">Scheduled by the governor</h2>
      {refused !== undefined && (
        <Notice kind="danger" title="Refused">
          <span className="wrap-anywhere">{refused}</span>
        </Notice>
      )}
      {scheduled.length === 0 && <Empty title="Nothing is scheduled" />}
      <ul className="grid gap-4">
        {scheduled.map((operation) => {
          const { id, words, executableAt, expiresAt } = operation;
          const isDue = executableAt <= now;
          return (
            <li key={id} className="grid gap-1 border-b border-line pb-4 last:border-0 last:pb-0">
              {words.map((line) => (
                <p
                  key={line}
                  className={`font-medium wrap-anywhere ${line.startsWith("UNKNOWN") ? "text-danger" : ""}`}
                >
                  {sentence(line)}
                </p>
              ))}
              <p className="text-sm text-muted">
                {isDue
                  ? "Can be executed now"
                  : `Can be executed in ${duration(executableAt - now)} (${time(executableAt)})`}
                ; gone in {duration(expiresAt - now)}
              </p>
              <p className="font-mono text-sm break-all text-muted">{id}</p>
              <div className="flex flex-wrap gap-2">
                <button className="button" onClick={() => void act("cancel", operation)}>
                  Propose to cancel it
                </button>
                {isDue && (
                  <button className="button" onClick={() => void act("execute", operation)}>
                    Propose to execute it
                  </button>
                )}
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Safes({ status: { safes } }: { status: Status }) {
  const { connected } = useWallet();
  return (
    <section className="card grid gap-4" aria-labelledby="safes">
      <h2 id="safes">The Safes</h2>
      {safes.map(({ name, address, nonce, threshold, owners }) => (
        <div key={name} className="grid gap-1">
          <h3>
            {sentence(name)}: {threshold.toString()} of {owners.length}, next nonce {nonce.toString()}
          </h3>
          <p className="font-mono text-sm break-all">{address}</p>
          <ul className="text-sm text-muted">
            {owners.map((owner) => (
              <li key={owner} className="font-mono break-all">
                {owner}
                {owner === connected?.account && <strong className="font-sans text-ink"> you</strong>}
              </li>
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}
