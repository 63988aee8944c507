import { type MarketReading, quoteLeverage } from "@breakwater/sdk/chain";
import { maxLeverage } from "@breakwater/sdk/core";
import { useId, useState } from "react";

import { SLIPPAGES, useMoney, usePositions, useRequest } from "../account.ts";
import { useChain } from "../chain.ts";
import * as format from "../format.ts";
import { AmountInput, readAmount } from "../parts/amount-input.tsx";
import { LeverageInput, readLeverage } from "../parts/leverage-input.tsx";
import { Empty, Notice } from "../parts/notice.tsx";
import { SlippageChoice, Ticket } from "../parts/ticket.tsx";
import { choose, link, useRoute } from "../route.ts";
import { useWallet } from "../wallet.ts";

export default function Trade() {
  const { snapshot } = useChain();
  const { query } = useRoute();
  const { markets } = snapshot;
  const market = markets.find(({ addresses }) => addresses.id === query.get("market")) ?? markets[0];
  if (!market)
    return <Empty title="No market can be read now">The reasons stand above, if there are any.</Empty>;
  return (
    <>
      <h1>Trade</h1>
      <Choice market={market} />
      <Opening key={market.addresses.id} market={market} />
    </>
  );
}

/** Which pair, and which side of it. */
function Choice({ market }: { market: MarketReading }) {
  const { snapshot } = useChain();
  const id = useId();
  const pairOf = (of: MarketReading) => {
    const { base, quote } = format.priceUnits(of);
    return `${base} / ${quote}`;
  };
  const pairs = [...new Set(snapshot.markets.map(pairOf))];
  const sides = snapshot.markets.filter((each) => pairOf(each) === pairOf(market));
  const go = (to: MarketReading | undefined) => choose({ market: to?.addresses.id });
  return (
    <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
      <fieldset className="grid gap-1">
        <legend className="mb-1 font-medium">Pair</legend>
        <div className="choice">
          {pairs.map((pair) => (
            <label key={pair}>
              <input
                type="radio"
                name={`${id}-pair`}
                checked={pair === pairOf(market)}
                onChange={() =>
                  go(
                    snapshot.markets.find((each) => pairOf(each) === pair && each.side === market.side) ??
                      snapshot.markets.find((each) => pairOf(each) === pair),
                  )
                }
              />
              {pair}
            </label>
          ))}
        </div>
      </fieldset>
      <fieldset className="grid gap-1">
        <legend className="mb-1 font-medium">Side</legend>
        <div className="choice">
          {(["long", "short"] as const).map((side) => {
            const to = sides.find((each) => each.side === side);
            return (
              <label key={side} className={to ? undefined : "opacity-50"}>
                <input
                  type="radio"
                  name={`${id}-side`}
                  checked={market.side === side}
                  disabled={!to}
                  onChange={() => go(to)}
                />
                {side === "long" ? "Long ↑" : "Short ↓"}
              </label>
            );
          })}
        </div>
      </fieldset>
      <p className="ml-auto text-right">
        <span className="text-xl font-medium">{format.price(market.state.priceLow, market)}</span>{" "}
        <span className="text-muted">
          {format.priceUnits(market).unit}
          <span className="block text-sm">the oracle’s, at the end that is worse for you</span>
        </span>
      </p>
    </div>
  );
}

function Opening({ market }: { market: MarketReading }) {
  const { connected } = useWallet();
  const { addresses, view } = market;
  const owner = connected?.account;
  const positions = usePositions(owner);
  const money = useMoney(market, owner);
  const [paid, setPaid] = useState(0);
  const [text, setText] = useState("");
  const most = maxLeverage(view.maxLtvNow);
  const [leverageText, setLeverageText] = useState("2");
  const [slippage, setSlippage] = useState<bigint>(SLIPPAGES[1]);
  const id = useId();

  const own = (positions.value ?? []).filter(({ market: of }) => of.addresses.vault === addresses.vault);
  let sub = 0n;
  while (own.some((each) => each.sub === sub)) sub++;
  const request = useRequest(market, owner, sub, slippage);

  const token = money[paid] ?? money[0]!;
  const margin = readAmount(text, token, token.balance);
  const leverage = readLeverage(leverageText, most);
  const isReady =
    margin.amount !== undefined &&
    margin.words === undefined &&
    leverage !== undefined &&
    (!owner || positions.value);
  const asked = isReady
    ? [addresses.id, owner, sub, token.symbol, margin.amount, leverage, slippage].join(" ")
    : undefined;
  const { base } = format.priceUnits(market);

  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,5fr)_minmax(0,6fr)]">
      <section className="card grid grid-cols-1 gap-4 lg:sticky lg:top-4" aria-label="What you want">
        {own.length > 0 && (
          <Notice>
            You have {own.length === 1 ? "a position" : `${own.length} positions`} here already; this opens
            another one beside.{" "}
            <a className="link" href={link("position", { market: addresses.id, sub: String(own[0]!.sub) })}>
              Change what you have
            </a>
          </Notice>
        )}
        <fieldset className="grid gap-1">
          <legend className="mb-1 font-medium">Pay in</legend>
          <div className="choice justify-self-start">
            {money.map(({ symbol }, at) => (
              <label key={symbol}>
                <input
                  type="radio"
                  name={id}
                  checked={token === money[at]}
                  onChange={() => {
                    setPaid(at);
                    setText("");
                  }}
                />
                {symbol}
              </label>
            ))}
          </div>
        </fieldset>
        <AmountInput
          label="Margin"
          token={token}
          text={text}
          onText={setText}
          {...(token.balance !== undefined && { most: token.balance })}
        />
        <LeverageInput text={leverageText} onText={setLeverageText} most={most} />
        <SlippageChoice slippage={slippage} slippages={SLIPPAGES} onSlippage={setSlippage} />
        <p className="text-sm text-muted">
          {market.side === "long"
            ? `The market lends ${market.symbols.debt}, which buys more ${base}: you gain when ${base} rises.`
            : `The market lends ${base}, which is sold for ${market.symbols.collateral}: you gain when ${base} falls.`}{" "}
          When the price reaches the liquidation price, part of the position is sold, with a penalty.
        </p>
      </section>
      <section className="card grid grid-cols-1 gap-4" aria-label="What it would do">
        <h2>Before you sign</h2>
        <Ticket
          market={market}
          action={`Open ${market.side} at ${leverage === undefined ? leverageText : format.leverage(leverage)}`}
          asked={asked}
          ask={async ({ contracts }, block) =>
            quoteLeverage(contracts, {
              ...request(block),
              leverage: leverage!,
              margin: { token: token.token, amount: margin.amount!, ether: token.ether },
              unwrap: token.ether,
            })
          }
          done={({ trade }) => (
            <>
              Your position is open.{" "}
              <a
                className="link"
                href={link("position", { market: addresses.id, sub: String(trade.legs[0]!.sub) })}
              >
                Look at it
              </a>
            </>
          )}
        >
          <Empty title="Write a margin and a leverage">
            Then you see here what the position would be, its one liquidation price, and all that it costs.
            {connected === undefined && " You need no wallet for that."}
          </Empty>
        </Ticket>
      </section>
    </div>
  );
}
