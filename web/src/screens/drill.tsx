import {
  type LiquidationRecord,
  type MarketReading,
  gasOf,
  lossOf,
  openLiquidations,
  openMarkets,
  readTicks,
} from "@breakwater/sdk/chain";
import { WAD } from "@breakwater/sdk/core";
import { useId, useMemo, useState } from "react";

import { type Chain, useChain, useRead } from "../chain.ts";
import * as format from "../format.ts";
import { Ladder } from "../parts/ladder.tsx";
import { Lines } from "../parts/lines.tsx";
import { Empty, Loading, Notice } from "../parts/notice.tsx";
import { Share } from "../parts/share.tsx";
import { Figures, Sheet } from "../parts/sheet.tsx";
import { choose, useRoute } from "../route.ts";

// The server moves the prices (scripts/start/drill.ts); all that they do is read from the chain.

interface Running {
  phase: "falling" | "settling" | "over";
  fall: number;
  minutes: number;
  steps: number;
  path: { block: number; time: number; prices: Record<string, string> }[];
}
type State = { phase: "none" } | { phase: "absent" } | Running;

const MINUTES = [10, 30, 60, 120, 240, 720, 1_440];

export default function Drill() {
  const { snapshot } = useChain();
  const { value, error, block = -1 } = useRead("drill", readState);
  // What the server said to the start holds until the next block.
  const [started, setStarted] = useState<{ state: Running; block: number }>();
  const state = started && started.block >= block ? started.state : value;
  return (
    <>
      <h1>Drill</h1>
      <p className="max-w-prose">
        A crash on this machine’s chain, to watch what Breakwater makes of it. Every price but the dollar’s
        falls in even steps and stays there; keepers do their work as on any day.
      </p>
      {error !== undefined && <Notice kind="danger">{error}</Notice>}
      {state === undefined ? (
        error === undefined && <Loading what="the drill" />
      ) : state.phase === "absent" ? (
        <Empty title="This server has no drill">
          <code>npm start</code> serves this page with one.
        </Empty>
      ) : (
        <>
          <Start state={state} onStart={(state) => setStarted({ state, block: snapshot.block })} />
          {state.phase === "none" ? (
            <Before />
          ) : state.path.length > 0 ? (
            <Crash key={state.path[0]!.block} state={state} />
          ) : (
            <Loading what="the first step" />
          )}
        </>
      )}
    </>
  );
}

async function readState(): Promise<State> {
  const response = await fetch("./drill", { cache: "no-store" });
  if (response.status === 404) return { phase: "absent" };
  return (await response.json()) as State;
}

// ---------------------------------------------------------------- starting one

function Start({
  state,
  onStart,
}: {
  state: Exclude<State, { phase: "absent" }>;
  onStart: (state: Running) => void;
}) {
  const id = useId();
  const [fall, setFall] = useState(40);
  const [minutes, setMinutes] = useState(120);
  const [refused, setRefused] = useState<string>();
  const [isAsking, setAsking] = useState(false);
  const isRunning = state.phase === "falling" || state.phase === "settling";

  const start = async () => {
    setAsking(true);
    setRefused(undefined);
    try {
      const response = await fetch("./drill", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ fall, minutes }),
      });
      if (response.ok) onStart((await response.json()) as Running);
      else setRefused(((await response.json()) as { words: string }).words);
    } catch {
      setRefused("the server does not answer");
    }
    setAsking(false);
  };

  if (isRunning) return <Progress state={state} />;
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby={`${id}-start`}>
      <h2 id={`${id}-start`}>{state.phase === "over" ? "Start another one" : "Start one"}</h2>
      <div className="grid items-end gap-x-6 gap-y-3 md:grid-cols-[1fr_auto_auto]">
        <div>
          <label htmlFor={`${id}-fall`} className="font-medium">
            Prices fall by {fall} %
          </label>
          <input
            id={`${id}-fall`}
            type="range"
            min={5}
            max={90}
            step={5}
            value={fall}
            aria-valuetext={`${fall} percent`}
            onChange={({ target }) => setFall(Number(target.value))}
          />
        </div>
        <label className="grid gap-1">
          <span className="font-medium">within, by the chain’s clock</span>
          <select
            className="field"
            value={minutes}
            onChange={({ target }) => setMinutes(Number(target.value))}
          >
            {MINUTES.map((known) => (
              <option key={known} value={known}>
                {format.duration(known * 60)}
              </option>
            ))}
          </select>
        </label>
        <button className="button main" disabled={isAsking} onClick={() => void start()}>
          Start the crash
        </button>
      </div>
      <p className="text-sm text-muted">
        The shorter, the more is insolvent before anybody can act. Prices stay down afterwards; starting the
        chain anew brings them back.
      </p>
      {refused !== undefined && <Notice kind="danger">{refused}</Notice>}
    </section>
  );
}

function Progress({ state: { phase, fall, minutes, steps, path } }: { state: Running }) {
  const done = Math.max(path.length - 1, 0);
  const words =
    phase === "falling"
      ? `Step ${Math.min(done, steps)} of ${steps} of a fall of ${fall} % within ${format.duration(minutes * 60)}`
      : `Prices have fallen by ${fall} % and stand still, while keepers finish`;
  return (
    <section className="card grid grid-cols-1 gap-2" aria-label="The drill that runs">
      <p role="status" className="font-semibold">
        {words}
      </p>
      <Share name="Of the fall" share={(BigInt(Math.min(done, steps)) * WAD) / BigInt(steps)} />
    </section>
  );
}

// ---------------------------------------------------------------- before one

function Before() {
  const { market, choice } = useMarketChoice();
  return (
    market && (
      <section className="card grid grid-cols-1 gap-3" aria-labelledby="before">
        <h2 id="before">What a crash would meet</h2>
        {choice}
        <LiveLadder market={market} />
      </section>
    )
  );
}

// ---------------------------------------------------------------- watching one

function Crash({ state }: { state: Running }) {
  const { chain } = useChain();
  const { market, choice } = useMarketChoice();
  const { path, phase } = state;
  const from = path[0]!.block;
  const readLiquidations = useMemo(
    () => openLiquidations(chain.contracts, from + 1, { withGas: true }),
    [chain, from],
  );
  const readPast = useMemo(() => openPast(chain), [chain]);
  // What happens after it is no drill's.
  const last = phase === "over" ? path.at(-1)!.block : undefined;
  const seen = useRead(`crash ${from} ${last ?? ""}`, async (_, block) => {
    const [records, past] = await Promise.all([
      readLiquidations(last ?? block),
      readPast(path.map((step) => step.block)),
    ]);
    return { records, past };
  });
  if (!seen.value) {
    return seen.error === undefined ? (
      <Loading what="what has happened so far" />
    ) : (
      <Notice kind="danger">{seen.error}</Notice>
    );
  }
  const { records, past } = seen.value;
  return (
    <>
      {phase === "over" && <Outcome state={state} records={records} />}
      <Totals records={records} past={past} />
      {market && (
        <section className="card grid grid-cols-1 gap-4" aria-labelledby="watch">
          <h2 id="watch">Price, liquidations and ladder</h2>
          {choice}
          <div className="grid grid-cols-1 gap-4 md:grid-cols-2">
            <PriceLine market={market} past={phase === "over" ? past : [...past, [market]]} />
            <LiquidatedLine market={market} path={path} records={records} />
          </div>
          <LiveLadder market={market} />
        </section>
      )}
      <Newest records={records} />
    </>
  );
}

/** All markets at blocks that are past, each read once. */
function openPast({ contracts, provider }: Chain) {
  const known = new Map<number, Promise<MarketReading[]>>();
  const opened = openMarkets(contracts, provider);
  return async (blocks: readonly number[]): Promise<MarketReading[][]> => {
    const read = await opened;
    return Promise.all(
      blocks.map(async (block) => {
        const reading = known.get(block) ?? read(block, () => undefined);
        known.set(block, reading);
        return reading;
      }),
    );
  };
}

function Outcome({ state: { fall, minutes }, records }: { state: Running; records: LiquidationRecord[] }) {
  const { snapshot } = useChain();
  const losses = snapshot.markets
    .map((market) => ({ market, loss: lossOf(ofMarket(records, market)) }))
    .filter(({ loss }) => loss.lenders > 0n);
  const lost = losses
    .map(({ market, loss }) => `${format.debtAmount(loss.lenders, market)} (${format.marketName(market)})`)
    .join(" and ");
  return (
    <Notice
      kind={losses.length === 0 ? "good" : "warning"}
      title={`Over: −${fall} % within ${format.duration(minutes * 60)}`}
    >
      {count(records.length, "liquidation")}.{" "}
      {losses.length === 0 ? "No lender lost anything." : `Lenders lost ${lost}.`}
    </Notice>
  );
}

function Totals({ records, past }: { records: LiquidationRecord[]; past: MarketReading[][] }) {
  const { snapshot } = useChain();
  return (
    <section aria-labelledby="totals" className="grid grid-cols-1 gap-2">
      <h2 id="totals">So far</h2>
      <div className="grid grid-cols-1 gap-3 md:grid-cols-3">
        {snapshot.markets.map((market) => {
          const { id } = market.addresses;
          const before = past[0]?.find(({ addresses }) => addresses.id === id) ?? market;
          return <Total key={id} market={market} before={before} records={ofMarket(records, market)} />;
        })}
      </div>
      <p className="text-sm text-muted">
        Gas is of whole transactions, the keepers’ swaps included. Bad debt is what collateral did not cover:
        the insurance pays it first, then the reserves, then all lenders alike.
      </p>
    </section>
  );
}

function Total({
  market,
  before,
  records,
}: {
  market: MarketReading;
  before: MarketReading;
  records: LiquidationRecord[];
}) {
  const { insurance, reserves, lenders } = lossOf(records);
  const debt = (value: bigint) => format.debtAmount(value, market);
  const gas = gasOf(records);
  const { potDebt } = market.view;
  return (
    <section className="card" aria-label={format.marketName(market)}>
      <h3>{format.marketName(market)}</h3>
      <Figures
        rows={[
          [
            "Price",
            format.price(market.state.priceHigh, market),
            `${format.price(before.state.priceHigh, market)} before, ${format.priceUnits(market).unit}`,
          ],
          [
            "Liquidated",
            debt(records.reduce((sum, { repaid }) => sum + repaid, 0n)),
            count(records.length, "liquidation"),
          ],
          [
            "Gas",
            format.gas(gas),
            records.length > 0 ? `${format.gas(gas / BigInt(records.length))} each` : undefined,
          ],
          ["Bad debt", debt(insurance + reserves + lenders)],
          ["Insurance paid", debt(insurance)],
          ["Reserves paid", debt(reserves)],
          ["Lenders lost", debt(lenders)],
          ["Seized, not yet sold", debt(potDebt)],
        ]}
      />
    </section>
  );
}

function PriceLine({ market, past }: { market: MarketReading; past: MarketReading[][] }) {
  const { id } = market.addresses;
  const { unit } = format.priceUnits(market);
  const prices = past.flatMap((at) => at.find(({ addresses }) => addresses.id === id)?.state.priceHigh ?? []);
  const [first, last] = [prices[0], prices.at(-1)];
  return (
    <div className="grid content-start gap-1">
      <h3>Price, {unit}</h3>
      <Lines
        label={`Price from ${format.price(first, market)} to ${format.price(last, market)} ${unit}.`}
        lines={[
          {
            name: "Price",
            points: prices
              .filter((price) => price > 0n)
              .map((price, x) => ({ x, y: format.drawn(price, market) })),
          },
        ]}
        formatY={figure}
        from="before"
        to="now"
      />
    </div>
  );
}

function LiquidatedLine({
  market,
  path,
  records,
}: {
  market: MarketReading;
  path: Running["path"];
  records: LiquidationRecord[];
}) {
  const mine = ofMarket(records, market);
  const upTo = (block: number) =>
    mine.filter((record) => record.block <= block).reduce((sum, { repaid }) => sum + repaid, 0n);
  const all = upTo(Infinity);
  const { decimals } = market.addresses;
  return (
    <div className="grid content-start gap-1">
      <h3>Debt liquidated, {market.symbols.debt}</h3>
      <Lines
        label={`Debt liquidated since the start: ${format.debtAmount(all, market)}.`}
        lines={[
          {
            name: "Liquidated",
            points: path.map(({ block }, x) => ({
              x,
              // For drawing a double will do.
              y: Number(upTo(x === path.length - 1 ? Infinity : block)) / 10 ** decimals.debt,
            })),
          },
        ]}
        formatY={figure}
        from="before"
        to="now"
      />
    </div>
  );
}

function LiveLadder({ market }: { market: MarketReading }) {
  const rungs = useRead(`ticks ${market.addresses.vault}`, async ({ contracts }, block) =>
    readTicks(contracts, market.addresses, block),
  );
  if (rungs.error !== undefined)
    return (
      <Notice kind="danger" title="The ladder could not be read">
        {rungs.error}
      </Notice>
    );
  if (rungs.value) return <Ladder market={market} rungs={rungs.value} />;
  return (
    <div className="grid min-h-[36rem] place-items-center">
      <Loading what="the ladder" />
    </div>
  );
}

const SHOWN = 10;

function Newest({ records }: { records: LiquidationRecord[] }) {
  const { snapshot } = useChain();
  const newest = records.slice(-SHOWN).reverse();
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="newest">
      <h2 id="newest">Liquidations, newest first</h2>
      {newest.length === 0 ? (
        <p className="text-muted">None so far: no position is below its threshold, or no keeper runs.</p>
      ) : (
        <Sheet
          caption="The newest liquidations"
          columns={[
            { name: "Block" },
            { name: "Market" },
            { name: "Ticks", isFigure: true },
            { name: "Repaid", isFigure: true },
            { name: "Sold for it", isFigure: true },
            { name: "Gas", isFigure: true },
            { name: "Not covered", isFigure: true },
          ]}
          rows={newest.flatMap(
            ({ market: id, transaction, block, ticks, repaid, seized, gasUsed, loss }, at) => {
              const market = snapshot.markets.find(({ addresses }) => addresses.id === id);
              if (!market) return [];
              const lost = loss.insurance + loss.reserves + loss.lenders;
              return {
                key: `${transaction} ${at}`,
                cells: [
                  block,
                  format.marketName(market),
                  ticks,
                  format.debtAmount(repaid, market),
                  format.collateralAmount(seized, market),
                  format.gas(gasUsed ?? 0n),
                  lost === 0n ? "–" : format.debtAmount(lost, market),
                ],
              };
            },
          )}
        />
      )}
      {records.length > SHOWN && (
        <p className="text-sm text-muted">
          The newest {SHOWN} of {records.length}.
        </p>
      )}
    </section>
  );
}

// ---------------------------------------------------------------- shared

function useMarketChoice() {
  const { snapshot } = useChain();
  const { query } = useRoute();
  const { markets } = snapshot;
  const market = markets.find(({ addresses }) => addresses.id === query.get("market")) ?? markets[0];
  const choice = (
    <fieldset className="choice w-fit">
      <legend className="sr-only">Market</legend>
      {markets.map((each) => (
        <label key={each.addresses.id}>
          <input
            type="radio"
            name="market"
            checked={each === market}
            onChange={() => choose({ market: each.addresses.id })}
          />
          {format.marketName(each)}
        </label>
      ))}
    </fieldset>
  );
  return { market, choice };
}

function ofMarket(records: LiquidationRecord[], { addresses }: MarketReading): LiquidationRecord[] {
  return records.filter(({ market }) => market === addresses.id);
}

function figure(y: number): string {
  const notation = y < 100_000 ? "standard" : "compact";
  const maximumFractionDigits = y < 10 ? 3 : y < 100_000 ? 0 : 1;
  return y.toLocaleString("en-US", { notation, maximumFractionDigits }).replace("K", "k");
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
