import { type HistoryEntry, historyCsv } from "@breakwater/sdk/chain";

import { useHistory } from "../../account.ts";
import * as format from "../../format.ts";
import { BeforeAfter } from "../../parts/before-after.tsx";
import { Empty, Loading, Notice } from "../../parts/notice.tsx";
import { Figures } from "../../parts/sheet.tsx";

/** What became of an account's positions, newest first. */
export function History({ owner }: { owner: string }) {
  const { value: entries, error } = useHistory(owner);
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="history">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 id="history">History</h2>
        {entries && entries.length > 0 && (
          <button
            className="button"
            onClick={() => save(`breakwater-${owner.slice(2, 10).toLowerCase()}.csv`, historyCsv(entries))}
          >
            Save as CSV
          </button>
        )}
      </div>
      {error !== undefined && (
        <Notice kind="warning" title="The history could not be read">
          {error}
        </Notice>
      )}
      {!entries && error === undefined && <Loading what="the history" />}
      {entries?.length === 0 && <Empty title="Nothing has happened yet" />}
      {entries && entries.length > 0 && (
        <ol className="grid" aria-label="What happened, newest first">
          {entries.toReversed().map((entry, at) => (
            <Entry key={`${entry.transaction} ${entries.length - at}`} entry={entry} />
          ))}
        </ol>
      )}
    </section>
  );
}

const KINDS: Record<HistoryEntry["kind"], string> = {
  open: "Opened",
  change: "Changed",
  close: "Closed",
  move: "Moved to another account or sub-account",
  liquidation: "Partly liquidated",
  seizure: "Seized whole",
  settlement: "Settled after the wind-down",
};

function Entry({ entry }: { entry: HistoryEntry }) {
  const { market, sub, kind, block, time, transaction, before, after, liquidation } = entry;
  return (
    <li className="grid gap-2 border-b border-line py-3 last:border-0">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <span className={liquidation ? "font-semibold text-danger" : "font-semibold"}>
          {liquidation && (
            <span aria-hidden className="mr-1">
              ▼
            </span>
          )}
          {KINDS[kind]}
          <span className="font-normal text-ink">
            {" "}
            · {format.marketName(market)}
            {sub > 0n && `, no. ${sub}`}
          </span>
        </span>
        <span className="text-sm text-muted">
          {format.time(time)}, block {block}, {format.address(transaction)}
        </span>
      </div>
      {liquidation ? (
        <Liquidation {...{ entry, liquidation }} />
      ) : (
        <dl className="grid gap-x-6 gap-y-1 sm:grid-cols-2">
          <Amounts
            name="Collateral"
            before={format.collateralAmount(before.collateral, market)}
            after={format.collateralAmount(after.collateral, market)}
          />
          <Amounts
            name="Debt"
            before={format.debtAmount(before.debt, market)}
            after={format.debtAmount(after.debt, market)}
          />
        </dl>
      )}
    </li>
  );
}

function Amounts({ name, before, after }: { name: string; before: string; after: string }) {
  return (
    <div className="flex flex-wrap gap-x-2">
      <dt className="text-muted">{name}</dt>
      <dd>
        {before} → <span className="font-medium">{after}</span>
      </dd>
    </div>
  );
}

/** What it did to the position, at which prices, and what it took. */
function Liquidation({
  entry: { market, kind },
  liquidation: l,
}: {
  entry: HistoryEntry;
  liquidation: NonNullable<HistoryEntry["liquidation"]>;
}) {
  const { unit } = format.priceUnits(market);
  return (
    <div className="grid items-start gap-x-8 gap-y-3 md:grid-cols-2">
      <BeforeAfter
        caption="The position before and after the liquidation"
        changes={[
          {
            name: "Collateral",
            before: format.collateralAmount(l.before.collateral, market),
            after: format.collateralAmount(l.after.collateral, market),
          },
          {
            name: "Debt",
            before: format.debtAmount(l.before.debt, market),
            after: format.debtAmount(l.after.debt, market),
          },
          { name: "LTV", before: format.percent(l.before.ltv), after: format.percent(l.after.ltv) },
          { name: "Health", before: format.health(l.before.health), after: format.health(l.after.health) },
          {
            name: "Liquidation price",
            before: format.price(l.before.liquidationPrice, market),
            after: format.price(l.after.liquidationPrice, market),
            words: unit,
          },
        ]}
      />
      <Figures
        rows={[
          ["Debt cleared", format.debtAmount(l.debtCleared, market)],
          [
            kind === "seizure" ? "Collateral seized" : "Collateral sold",
            format.collateralAmount(l.collateralSold, market),
          ],
          [
            "Penalty",
            format.debtAmount(l.penalty, market),
            "what the collateral was worth beyond the debt that it cleared",
          ],
          [
            "Oracle’s prices",
            format.priceRange({ priceLow: l.priceLow, priceHigh: l.priceHigh }, market),
            `${unit}; ${format.PRICE_STATES[l.priceState].name}`,
          ],
          ["Rounds of the sources", `${l.rounds[0]} and ${l.rounds[1]}`],
        ]}
      />
    </div>
  );
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
