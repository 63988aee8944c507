import type { MarketFigures, MarketReading } from "@breakwater/sdk/chain";
import type { ReactNode } from "react";

import { collateralAmount, debtAmount, health, leverage, percent, price, priceUnits } from "../format.ts";

export interface Change {
  name: string;
  before: ReactNode;
  after: ReactNode;
  words?: ReactNode;
}

/** What a change makes of things, line by line. */
export function BeforeAfter({ caption, changes }: { caption: string; changes: readonly Change[] }) {
  return (
    <table className="sheet">
      <caption className="sr-only">{caption}</caption>
      <thead>
        <tr>
          <td />
          <th scope="col" className="figure">
            Before
          </th>
          <th scope="col" className="figure">
            After
          </th>
        </tr>
      </thead>
      <tbody>
        {changes.map(({ name, before, after, words }) => (
          <tr key={name}>
            <th scope="row">
              {name}
              {words !== undefined && <span className="block text-sm font-normal">{words}</span>}
            </th>
            <td className="figure text-muted">{before}</td>
            <td className="figure font-semibold">{after}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Of a quote's position: the SDK's figures, and its one liquidation price, now and as interest moves it. */
export function positionChanges(
  { before, after, rate, forecast }: MarketFigures,
  market: MarketReading,
): Change[] {
  const { unit } = priceUnits(market);
  const none = "–";
  const had = before.collateral > 0n || before.debt > 0n;
  const was = (text: string) => (had ? text : none);
  return [
    {
      name: "Collateral",
      before: was(collateralAmount(before.collateral, market)),
      after: collateralAmount(after.collateral, market),
    },
    { name: "Debt", before: was(debtAmount(before.debt, market)), after: debtAmount(after.debt, market) },
    { name: "Leverage", before: was(leverage(before.leverage)), after: leverage(after.leverage) },
    {
      name: "LTV",
      before: was(percent(before.ltv)),
      after: percent(after.ltv),
    },
    {
      name: "Collateral ratio",
      before: before.collateralRatio === undefined ? none : percent(before.collateralRatio),
      after: after.collateralRatio === undefined ? none : percent(after.collateralRatio),
    },
    {
      name: "Health",
      before: was(health(before.health)),
      after: health(after.health),
      words: "below 1 it can be liquidated",
    },
    {
      name: "Liquidation price",
      before: price(before.liquidationPrice, market),
      after: price(after.liquidationPrice, market),
      words: unit,
    },
    ...forecast.map(({ days, liquidationPrice }) => ({
      name: `… in ${days} days`,
      before: none,
      after: price(liquidationPrice, market),
      words: "at the rate after, if it stays",
    })),
    {
      name: "Borrow rate, a year",
      before: percent(rate.before),
      after: percent(rate.after),
      words: `varies between ${percent(rate.least, 1)} and ${percent(rate.most, 0)}`,
    },
  ];
}
