import {
  type MarketReading,
  type PriceSource,
  openAccount,
  readRates,
  readSources,
  readTicks,
} from "@breakwater/sdk/chain";
import { WAD, YEAR } from "@breakwater/sdk/core";
import { useMemo } from "react";

import { useChain, useRead } from "../chain.ts";
import * as format from "../format.ts";
import { Ladder } from "../parts/ladder.tsx";
import { Lines } from "../parts/lines.tsx";
import { Empty, Loading, Notice } from "../parts/notice.tsx";
import { Share } from "../parts/share.tsx";
import { Figures } from "../parts/sheet.tsx";
import { link, useOwner, useRoute } from "../route.ts";

export default function Markets() {
  const { snapshot } = useChain();
  const { query } = useRoute();
  const { markets } = snapshot;
  const market = markets.find(({ addresses }) => addresses.id === query.get("market")) ?? markets[0];
  if (!market)
    return <Empty title="No market can be read now">The reasons stand above, if there are any.</Empty>;
  return (
    <>
      <h1>Markets</h1>
      <nav aria-label="Markets" className="grid gap-3 md:grid-cols-3">
        {markets.map((each) => (
          <Choice key={each.addresses.id} market={each} isChosen={each === market} />
        ))}
      </nav>
      <Market key={market.addresses.id} market={market} />
    </>
  );
}

function Choice({ market, isChosen }: { market: MarketReading; isChosen: boolean }) {
  const { view, addresses, priceState } = market;
  const { unit } = format.priceUnits(market);
  return (
    <a
      href={link("markets", { market: addresses.id })}
      aria-current={isChosen ? "true" : undefined}
      className="card grid grid-cols-[1fr_auto] gap-x-4 hover:border-accent aria-[current]:border-accent aria-[current]:shadow-[inset_0_3px_0_var(--accent)]"
    >
      <span className="text-lg font-semibold">{format.marketName(market)}</span>
      <State name={format.PRICE_STATES[priceState].name} isGood={priceState === "Fresh"} />
      <span className="col-span-2 mb-2">
        <span className="block text-xl font-medium">{format.priceRange(market.state, market)}</span>
        <span className="text-muted">{unit}</span>
      </span>
      <span className="text-muted">Borrow</span>
      <span className="text-right font-medium">{format.yearly(view.borrowRate)}</span>
      <span className="text-muted">Lend {market.symbols.debt}</span>
      <span className="text-right font-medium">{format.yearly(view.lendRate)}</span>
    </a>
  );
}

/** A state in a word, with a sign of its own: a full circle is good, a ring with a bar is not. */
function State({ name, isGood }: { name: string; isGood: boolean }) {
  return (
    <span className={`flex items-center gap-1.5 text-sm font-medium ${isGood ? "text-accent" : "text-warn"}`}>
      <svg aria-hidden width="10" height="10" viewBox="0 0 10 10">
        {isGood ? (
          <circle cx="5" cy="5" r="5" fill="currentColor" />
        ) : (
          <path d="M5 0l5 10H0z" fill="currentColor" />
        )}
      </svg>
      {name}
    </span>
  );
}

function Market({ market }: { market: MarketReading }) {
  const { chain, snapshot } = useChain();
  const { addresses } = market;
  const { owner, isOwn } = useOwner();
  const rungs = useRead(`ticks ${addresses.vault}`, async ({ contracts }, block) =>
    readTicks(contracts, addresses, block),
  );
  const account = useMemo(() => (owner ? openAccount(chain.contracts, owner) : undefined), [chain, owner]);
  const positions = useRead(account && `positions ${addresses.vault} ${owner ?? ""}`, async (_, block) =>
    account!([market], block),
  );
  const [riskiest] = [...(positions.value ?? [])]
    .filter(({ figures }) => figures.debt > 0n)
    .sort((a, b) => b.tick - a.tick);
  return (
    <>
      <Brake market={market} now={snapshot.time} />
      <section className="card grid gap-3" aria-labelledby="ladder">
        <h2 id="ladder">
          Liquidation ladder{" "}
          <span className="font-normal text-muted">
            of {market.side} {format.priceUnits(market).base}
          </span>
        </h2>
        {rungs.value ? (
          <Ladder
            market={market}
            rungs={rungs.value}
            {...(riskiest && { position: { tick: riskiest.tick, name: isOwn ? "you" : "this account" } })}
          />
        ) : rungs.error === undefined ? (
          <div className="grid min-h-[36rem] place-items-center">
            <Loading what="the ladder" />
          </div>
        ) : null}
        {rungs.error !== undefined && (
          <Notice kind="danger" title="The ladder could not be read">
            {rungs.error}
          </Notice>
        )}
      </section>
      <div className="grid items-start gap-4 md:grid-cols-2">
        <Price market={market} />
        <Rates market={market} />
        <Lenders market={market} />
        <Limits market={market} />
      </div>
    </>
  );
}

/** What is restricted now, and until when. */
function Brake({ market: { brake, view }, now }: { market: MarketReading; now: bigint }) {
  const left = format.duration(brake.until > now ? brake.until - now : 0n);
  const words = {
    None: undefined,
    NoNewRisk: `No new risk for ${left} more: nobody can borrow or raise leverage. Repaying, topping up and closing work, and liquidations go on.`,
    Grace: `Grace after a pause, for ${left} more: nobody is liquidated but what is insolvent. Use it to repay or top up.`,
    LiquidationsPaused: `Liquidations are paused for ${left} more; a grace period follows. Repaying, topping up and closing work.`,
  }[brake.level];
  return (
    <>
      {words !== undefined && (
        <Notice kind="warning" title="The emergency brake is on">
          {words}
        </Notice>
      )}
      {view.windingDown && (
        <Notice kind="warning" title="This market is being wound down">
          Nobody comes in; its thresholds fall along a ramp of days, and lenders leave as cash comes.
        </Notice>
      )}
    </>
  );
}

function Price({ market }: { market: MarketReading }) {
  const { addresses, view, state, priceState } = market;
  const { unit } = format.priceUnits(market);
  const sources = useRead(`sources ${addresses.oracle}`, async ({ contracts }, block) =>
    readSources(contracts, addresses, block),
  );
  const { name, words } = format.PRICE_STATES[priceState];
  return (
    <section className="card grid gap-2" aria-labelledby="price">
      <h2 id="price">Price</h2>
      <div>
        <State name={name} isGood={priceState === "Fresh"} />
        <p className="text-muted">{words}</p>
      </div>
      <Figures
        rows={[
          [
            "Range of both sources",
            format.priceRange(state, market),
            `${unit}; new risk counts the worse end`,
          ],
          ...(sources.value ?? []).map(
            (source, at) =>
              [
                `${at === 0 ? "First" : "Second"} source: ${sourceName(source)}`,
                format.price(source.price, market),
                sourceWords(source),
              ] as const,
          ),
          ["Volatility, a day", format.bps(view.volatility)],
          [
            "Highest LTV of new risk now",
            format.bps(view.maxLtvNow),
            view.maxLtvNow < view.risk.maxLtv
              ? `${format.bps(view.risk.maxLtv)} in calm times`
              : "nothing taken off for volatility",
          ],
          ["Liquidated from an LTV of", format.bps(state.liquidationThreshold)],
        ]}
      />
      {sources.error !== undefined && (
        <Notice kind="warning">The sources could not be read: {sources.error}</Notice>
      )}
    </section>
  );
}

function sourceName({ kind, window }: PriceSource): string {
  return kind === "feed" ? "price feed" : `pool, mean of ${format.duration(window ?? 0n)}`;
}

function sourceWords({ price, age, isStale }: PriceSource): string {
  if (price === undefined) return "does not answer";
  if (age === undefined) return "of now";
  return `${format.duration(age)} old${isStale ? ": too old to be believed" : ""}`;
}

function Rates({ market }: { market: MarketReading }) {
  const { addresses, view, symbols, side } = market;
  const { quote } = format.priceUnits(market);
  const { value: rates, error } = useRead(`rates ${addresses.vault}`, async ({ contracts }, block) =>
    readRates(contracts, market, block),
  );
  const last = rates?.hours.at(-1);
  const drawn = (rate: bigint) => Number((rate * YEAR * 1_000_000n) / WAD) / 10_000;
  return (
    <section className="card grid gap-2" aria-labelledby="rates">
      <h2 id="rates">Rates, a year</h2>
      <Figures
        rows={[
          [
            `Borrow ${symbols.debt}`,
            format.yearly(view.borrowRate),
            last && `${format.yearly(last.borrow)} in 24 h, if debts and price stay`,
          ],
          [
            `Lend ${symbols.debt}`,
            format.yearly(view.lendRate),
            last && `${format.yearly(last.lend)} in 24 h, after the reserves’ share`,
          ],
        ]}
      />
      {!rates && error === undefined && (
        <div className="grid min-h-44 place-items-center">
          <Loading what="the forecast" />
        </div>
      )}
      {rates && last && (
        <Lines
          label={`Forecast of 24 hours: borrowing goes from ${format.yearly(view.borrowRate)} to ${format.yearly(last.borrow)}, lending from ${format.yearly(view.lendRate)} to ${format.yearly(last.lend)}.`}
          lines={[
            {
              name: "Borrow",
              points: [view.borrowRate, ...rates.hours.map(({ borrow }) => borrow)].map((y, x) => ({
                x,
                y: drawn(y),
              })),
            },
            {
              name: "Lend",
              isDashed: true,
              points: [view.lendRate, ...rates.hours.map(({ lend }) => lend)].map((y, x) => ({
                x,
                y: drawn(y),
              })),
            },
          ]}
          formatY={(y) => `${y.toFixed(2)} %`}
          from="now"
          to="in 24 h"
        />
      )}
      {error !== undefined && <Notice kind="warning">The forecast could not be read: {error}</Notice>}
      {rates?.pair && (
        <div className="grid gap-1 border-t border-line pt-2">
          <h3>Longs and shorts</h3>
          <Share
            name="Share of the longs"
            share={shareOf(rates.pair.valueLong, rates.pair.valueLong + rates.pair.valueShort)}
            mark={WAD / 2n}
          />
          <p className="flex flex-wrap justify-between gap-x-4">
            <span>Longs owe {format.compact(rates.pair.valueLong, 6, quote)}</span>
            <span>Shorts owe {format.compact(rates.pair.valueShort, 6, quote)}</span>
          </p>
          <p className="text-sm text-muted">{skewWords(rates.pair, view.surcharge, side)}</p>
        </div>
      )}
    </section>
  );
}

function skewWords(
  { skew, target }: { skew: bigint; target: bigint },
  surcharge: bigint,
  side: "long" | "short",
): string {
  if (skew === 0n && target === 0n) return "Both sides are about as large: neither pays a surcharge.";
  const heavy = skew > 0n || (skew === 0n && target > 0n) ? "long" : "short";
  const pays =
    heavy === side
      ? `this side pays a surcharge of ${format.yearly(surcharge)}`
      : "the other side pays a surcharge, and this one is spared a part of its reserve fee";
  const size = (of: bigint) => format.percent(of < 0n ? -of : of, 1);
  return `The ${heavy}s are heavier, so ${pays}: ${size(skew)} of the greatest there is, on the way to ${size(target)}.`;
}

function Lenders({ market }: { market: MarketReading }) {
  const { view } = market;
  const debt = (value: bigint) => format.debtAmount(value, market);
  return (
    <section className="card grid gap-2" aria-labelledby="lenders">
      <h2 id="lenders">Lenders and what covers losses</h2>
      <p className="flex justify-between gap-4">
        <span className="text-muted">Utilisation</span>
        <span className="font-medium">{format.percent(view.utilization)}</span>
      </p>
      <Share name="Utilisation" share={view.utilization} mark={(9n * WAD) / 10n} />
      <p className="text-sm text-muted">The rate rises steeply beyond the mark at 90 %.</p>
      <Figures
        rows={[
          ["Lent out", debt(view.totalDebt)],
          ["Ready to withdraw or borrow", debt(view.cash)],
          ["Insurance of this market", debt(view.insurance), "pays first"],
          ["Reserves", debt(view.reserves), "pay next, before lenders do"],
          [
            "Seized and not yet sold",
            debt(view.potDebt),
            view.potDebt > 0n ? "for sale to anyone" : undefined,
          ],
        ]}
      />
    </section>
  );
}

function Limits({ market }: { market: MarketReading }) {
  const { view, symbols, addresses } = market;
  const cap = (view.caps.debt * 10n ** BigInt(addresses.decimals.debt)) / 1_000_000n;
  const share = shareOf(view.totalDebt, cap);
  return (
    <section className="card grid gap-2" aria-labelledby="limits">
      <h2 id="limits">Limits of new risk</h2>
      <p className="flex justify-between gap-4">
        <span className="text-muted">Debt cap used</span>
        <span className="font-medium">{format.percent(share)}</span>
      </p>
      <Share name="Debt cap used" share={share} />
      <Figures
        rows={[
          ["Debt cap", format.compact(view.caps.debt, 6, symbols.debt)],
          ["Collateral cap", format.compact(view.caps.collateral, 6, symbols.collateral)],
          ["Least debt of a position", format.amount(view.caps.minDebt, 6, symbols.debt)],
          [
            "Cascade brake",
            view.cascadeCap === 0n ? "off" : format.amount(view.cascadeLeft, 18, symbols.debt),
            view.cascadeCap === 0n
              ? "delay makes insolvency"
              : `may be liquidated now; ${format.compact(view.cascadeCap, 6)} in ${format.duration(view.cascadeWindow)}`,
          ],
        ]}
      />
      <p className="text-sm text-muted">Limits never stop a repayment, a top-up or a close.</p>
    </section>
  );
}

function shareOf(part: bigint, whole: bigint): bigint {
  return whole === 0n ? 0n : (part * WAD) / whole;
}
