import { type AccountPosition, readTicks } from "@breakwater/sdk/chain";
import { WAD, clearsBefore, liquidationPriceIn, moveTo, shareOfDebt } from "@breakwater/sdk/core";
import { useRef } from "react";

import { usePositions } from "../account.ts";
import { useChain, useRead } from "../chain.ts";
import * as format from "../format.ts";
import { Ladder } from "../parts/ladder.tsx";
import { Empty, Loading, Notice } from "../parts/notice.tsx";
import { Figures } from "../parts/sheet.tsx";
import { link, useOwner, useRoute } from "../route.ts";
import { Actions } from "./position/actions.tsx";
import { History } from "./position/history.tsx";
import { Orders } from "./position/orders.tsx";
import { Recovery } from "./position/recovery.tsx";

export default function Position() {
  const { owner, isOwn, words } = useOwner();
  if (words !== undefined) return <Notice kind="danger">{words}</Notice>;
  if (owner === undefined) {
    return (
      <>
        <h1>Position</h1>
        <Empty title="Whose positions?">
          Connect a wallet, or look at any account without one: both are behind the button above. An address
          in this page’s own, <code>?address=0x…</code>, does it too.
        </Empty>
      </>
    );
  }
  return (
    <>
      <h1>Position</h1>
      {!isOwn && (
        <Notice>
          You are looking at the account <span className="break-all">{owner}</span>. What changes it needs its
          owner’s wallet.
        </Notice>
      )}
      <Account key={owner} owner={owner} isOwn={isOwn} />
    </>
  );
}

function Account({ owner, isOwn }: { owner: string; isOwn: boolean }) {
  const { value: positions, error } = usePositions(owner);
  const { query } = useRoute();
  const last = useRef<AccountPosition>(undefined);
  if (!positions) {
    return error === undefined ? (
      <Loading what="the account’s positions" />
    ) : (
      <Notice kind="danger" title="The account’s positions could not be read">
        {error}
      </Notice>
    );
  }
  const chosen =
    positions.find(
      ({ market, sub }) =>
        market.addresses.id === query.get("market") && String(sub) === (query.get("sub") ?? "0"),
    ) ?? positions[0];
  const former = last.current;
  const isClosed = former && !positions.some((each) => isSame(each, former));
  if (!isClosed) last.current = chosen;
  return (
    <>
      {isClosed && (
        <Notice
          kind="good"
          title={`${nameOf(former)} is closed`}
          action={
            <a className="button" href={link("trade", { market: former.market.addresses.id })}>
              Open another
            </a>
          }
        >
          Nothing is owed there, and nothing is left in it.
        </Notice>
      )}
      {positions.length === 0 && !isClosed && (
        <Empty title={isOwn ? "You have no position" : "This account has no position"}>
          {isOwn && (
            <a className="link" href={link("trade")}>
              Open one
            </a>
          )}
        </Empty>
      )}
      {positions.length > 1 && (
        <nav aria-label="Positions" className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
          {positions.map((each) => (
            <Choice
              key={nameOf(each)}
              position={each}
              isChosen={each === chosen}
              {...(query.has("address") && { owner })}
            />
          ))}
        </nav>
      )}
      {chosen && <Chosen key={nameOf(chosen)} position={chosen} isOwn={isOwn} owner={owner} />}
      <History owner={owner} />
      <Recovery account={owner} />
    </>
  );
}

function isSame(a: AccountPosition, b: AccountPosition): boolean {
  return a.market.addresses.vault === b.market.addresses.vault && a.sub === b.sub;
}

function nameOf({ market, sub }: AccountPosition): string {
  return `${format.marketName(market)}${sub === 0n ? "" : `, no. ${sub}`}`;
}

function Choice({
  position,
  isChosen,
  owner,
}: {
  position: AccountPosition;
  isChosen: boolean;
  owner?: string;
}) {
  const { market, sub, figures } = position;
  return (
    <a
      className="card grid grid-cols-[1fr_auto] gap-x-4 hover:border-accent aria-[current]:border-accent aria-[current]:shadow-[inset_0_3px_0_var(--accent)]"
      aria-current={isChosen ? "true" : undefined}
      href={link("position", {
        ...(owner !== undefined && { address: owner }),
        market: market.addresses.id,
        sub: String(sub),
      })}
    >
      <span className="text-lg font-semibold">{nameOf(position)}</span>
      <span className="font-medium">{format.leverage(figures.leverage)}</span>
      <span className="text-muted">Health</span>
      <span className="text-right font-medium">{format.health(figures.health)}</span>
      <span className="text-muted">Liquidation price</span>
      <span className="text-right font-medium">{format.price(figures.liquidationPrice, market)}</span>
    </a>
  );
}

function Chosen({ position, isOwn, owner }: { position: AccountPosition; isOwn: boolean; owner: string }) {
  return (
    <>
      <Standing position={position} />
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,5fr)_minmax(0,6fr)]">
        <Overview position={position} />
        {isOwn ? (
          <Actions position={position} owner={owner} />
        ) : (
          <section className="card" aria-label="Changes">
            <h2>Change it</h2>
            <p className="text-muted">Only its owner can. You see everything that he sees.</p>
          </section>
        )}
      </div>
      <Place position={position} isOwn={isOwn} />
      <Orders position={position} owner={owner} isOwn={isOwn} />
    </>
  );
}

/** Nearer than this to liquidation, the page warns; WAD of the price. */
const NEAR = WAD / 20n;

/** What its owner should know at once. */
function Standing({ position: { figures, market } }: { position: AccountPosition }) {
  const { health, liquidationPrice } = figures;
  const { base } = format.priceUnits(market);
  if (health === undefined || liquidationPrice === undefined) return null;
  if (health < WAD) {
    return (
      <Notice kind="danger" title="This position can be liquidated now">
        Its health is {format.health(health)}, below 1. Repay or top up to bring it above.
      </Notice>
    );
  }
  const move = moveTo(liquidationPrice, market.state.priceHigh, market.side);
  if (move > NEAR) return null;
  return (
    <Notice kind="warning" title="Near liquidation">
      {base} needs only to {market.side === "long" ? "fall" : "rise"} by {format.percent(move)} for part of
      this position to be sold.
    </Notice>
  );
}

function Overview({ position }: { position: AccountPosition }) {
  const { market, figures, view } = position;
  const { collateral, debt, liquidationPrice, health } = figures;
  const { unit, base } = format.priceUnits(market);
  const rate = market.view.borrowRate;
  const move =
    liquidationPrice === undefined || market.state.priceHigh === 0n
      ? undefined
      : moveTo(liquidationPrice, market.state.priceHigh, market.side);
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="overview">
      <h2 id="overview">{nameOf(position)}</h2>
      <div className="grid grid-cols-2 gap-4">
        <p>
          <span className="block text-muted">Health</span>
          <span className="text-2xl font-semibold">{format.health(health)}</span>
          <span className="block text-sm text-muted">
            {health === undefined ? "nothing can be liquidated" : "liquidated below 1"}
          </span>
        </p>
        <p>
          <span className="block text-muted">Liquidation price</span>
          <span className="text-2xl font-semibold">{format.price(liquidationPrice, market)}</span>
          <span className="block text-sm text-muted">
            {move === undefined
              ? unit
              : move <= 0n
                ? `${unit}; reached`
                : `${unit}; if ${base} ${market.side === "long" ? "falls" : "rises"} by ${format.percent(move)}`}
          </span>
        </p>
      </div>
      <Figures
        rows={[
          [
            "Collateral",
            format.collateralAmount(collateral, market),
            view.surplus > 0n
              ? `${format.collateralAmount(view.surplus, market)} of it no liquidation can touch`
              : undefined,
          ],
          ["Debt", format.debtAmount(debt, market), "what closes it now, interest included"],
          ["Leverage", format.leverage(figures.leverage)],
          [
            "LTV",
            format.percent(figures.ltv),
            `liquidated from ${format.bps(market.state.liquidationThreshold)}`,
          ],
          [
            "Collateral ratio",
            figures.collateralRatio === undefined ? "no debt" : format.percent(figures.collateralRatio),
          ],
          ...(liquidationPrice === undefined
            ? []
            : [7n, 30n].map(
                (days) =>
                  [
                    `Liquidation price in ${days} days`,
                    format.price(liquidationPriceIn(days, liquidationPrice, rate), market),
                    `${unit}, at today’s rate`,
                  ] as const,
              )),
          ["Borrow rate, a year", format.yearly(rate)],
        ]}
      />
    </section>
  );
}

function Place({ position, isOwn }: { position: AccountPosition; isOwn: boolean }) {
  const { market, tick, figures } = position;
  const rungs = useRead(`ticks ${market.addresses.vault}`, async ({ contracts }, block) =>
    readTicks(contracts, market.addresses, block),
  );
  const { snapshot } = useChain();
  const now = snapshot.markets.find(({ addresses }) => addresses.vault === market.addresses.vault) ?? market;
  if (figures.debt === 0n) return null;
  const before = rungs.value && clearsBefore(tick, rungs.value, now.state);
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="place">
      <h2 id="place">
        {before && rungs.value
          ? `${format.percent(shareOfDebt(before, rungs.value, now.state), 1)} of debt clears before ${isOwn ? "you" : "this account"}`
          : "Place on the ladder"}
      </h2>
      {rungs.value ? (
        <Ladder market={now} rungs={rungs.value} position={{ tick, name: isOwn ? "you" : "this account" }} />
      ) : rungs.error === undefined ? (
        <Loading what="the ladder" />
      ) : (
        <Notice kind="danger" title="The ladder could not be read">
          {rungs.error}
        </Notice>
      )}
    </section>
  );
}
