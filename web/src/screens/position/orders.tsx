import {
  type AccountPosition,
  type KeptOrder,
  type MarketReading,
  type OrderPreview,
  type OrderRequest,
  cancelTransaction,
  orderTransactions,
  ordersOf,
  previewOrder,
  whyNot,
} from "@breakwater/sdk/chain";
import {
  DAY,
  type OrderKind,
  WAD,
  isByLtv,
  parseAmount,
  parsePrice,
  sells,
  tipsCollateral,
} from "@breakwater/sdk/core";
import { type ReactNode, useId, useState } from "react";

import { useSettled } from "../../account.ts";
import { useChain, useRead } from "../../chain.ts";
import * as format from "../../format.ts";
import { AmountInput, readAmount } from "../../parts/amount-input.tsx";
import { BeforeAfter } from "../../parts/before-after.tsx";
import { Empty, Loading, Notice } from "../../parts/notice.tsx";
import { Figures, Sheet } from "../../parts/sheet.tsx";
import { Steps } from "../../parts/steps.tsx";
import { sentence } from "../../parts/ticket.tsx";
import { useObstacle } from "../../parts/wallet.tsx";
import { type Step, stepsOf, useFlow } from "../../transactions.ts";
import { useWallet } from "../../wallet.ts";

const KINDS: Record<OrderKind, { name: string; words: string }> = {
  StopLoss: { name: "Stop-loss", words: "closes the position when the price turns against you" },
  TakeProfit: { name: "Take profit", words: "closes the position when the price has gone your way" },
  Deleverage: { name: "Reduce", words: "sells collateral and repays when the LTV gets too high" },
  TopUp: { name: "Top up", words: "adds collateral from your wallet when the LTV gets too high" },
  Repay: { name: "Repay", words: "repays from your wallet when the LTV gets too high" },
};

/** Orders that anybody executes for a tip: those that stand, and leaving one. */
export function Orders({
  position,
  owner,
  isOwn,
}: {
  position: AccountPosition;
  owner: string;
  isOwn: boolean;
}) {
  const { market, sub, figures } = position;
  const flow = useFlow();
  const obstacle = useObstacle();
  const [isOpen, setOpen] = useState(false);
  const { chain } = useChain();
  const orders = useRead(`orders ${owner}`, async ({ contracts }) =>
    Promise.all(
      (await ordersOf(contracts, owner)).map(async (order) => ({
        order,
        waits: await whyNot(contracts, order.id),
      })),
    ),
  );
  const here = orders.value?.filter(
    ({ order }) => order.market === market.addresses.vault && order.sub === sub,
  );
  return (
    <section className="card grid grid-cols-1 gap-4" aria-labelledby="orders">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 id="orders">Protection orders</h2>
        {isOwn && figures.debt > 0n && (
          <button className="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? "Not now" : "Leave an order"}
          </button>
        )}
      </div>
      <p className="text-muted">
        An order waits on the chain until its level is reached; then anybody executes it for the tip, within
        the bounds that you set. It can fail to be in time: it is no guarantee.
      </p>
      {isOpen && <Creation position={position} owner={owner} />}
      {orders.error !== undefined && (
        <Notice kind="warning" title="The orders could not be read">
          {orders.error}
        </Notice>
      )}
      {!here && orders.error === undefined && <Loading what="the orders" />}
      {here?.length === 0 && <Empty title="No order protects this position" />}
      {here && here.length > 0 && (
        <Sheet
          caption="Orders that protect this position"
          columns={[
            { name: "Order" },
            { name: "When" },
            { name: "Then" },
            { name: "Tip", isFigure: true },
            { name: "Until" },
            { name: "Now" },
            ...(isOwn ? [{ name: "Cancel" }] : []),
          ]}
          rows={here.map(({ order, waits }) => ({
            key: String(order.id),
            cells: [
              `${KINDS[order.kind].name}, no. ${order.id}`,
              whenOf(order, market),
              order.target === 0n ? "closes" : `to an LTV of ${format.bps(order.target)}`,
              tipOf(order, market),
              format.time(order.expiry),
              waits === undefined ? "can be executed" : sentence(waits),
              ...(isOwn
                ? [
                    <button
                      key="cancel"
                      className="button"
                      aria-label={`Cancel order ${order.id}`}
                      disabled={obstacle !== undefined || flow.isRunning}
                      onClick={() =>
                        flow.start(stepsOf([cancelTransaction(chain.contracts, order.id)], false))
                      }
                    >
                      Cancel
                    </button>,
                  ]
                : []),
            ],
          }))}
        />
      )}
      <Steps flow={flow} done="The order is cancelled." />
    </section>
  );
}

function whenOf({ kind, level }: Pick<KeptOrder, "kind" | "level">, market: MarketReading): ReactNode {
  if (isByLtv(kind)) return `LTV from ${format.percent(level)}`;
  const rises = (kind === "TakeProfit") === (market.side === "long");
  return `${rises ? "from" : "down to"} ${format.priceWithUnit(level, market)}`;
}

function tipOf(order: KeptOrder, market: MarketReading): string {
  const text = tipsCollateral(order) ? format.collateralAmount : format.debtAmount;
  return `${text(order.tipMin, market)} – ${text(order.tipMax, market)}`;
}

/** Of the tip when it is urgent. */
const URGENT = 5n;
const SLIPPAGE = 100n;
/** Of an order's life. */
const LIVES = [7n, 30n, 90n] as const;

function percentOf(text: string): bigint | undefined {
  try {
    const bps = parseAmount(text, 2);
    return bps > 0n && bps < 10_000n ? bps : undefined;
  } catch {
    return undefined;
  }
}

function levelOf(kind: OrderKind, text: string, { side }: MarketReading): bigint | undefined {
  if (isByLtv(kind)) {
    const bps = percentOf(text);
    return bps === undefined ? undefined : (bps * WAD) / 10_000n;
  }
  try {
    return parsePrice(text, side);
  } catch {
    return undefined;
  }
}

function Creation({ position, owner }: { position: AccountPosition; owner: string }) {
  const { market, sub } = position;
  const { snapshot } = useChain();
  const { connected } = useWallet();
  const [kind, setKind] = useState<OrderKind>("StopLoss");
  const [level, setLevel] = useState("");
  const [target, setTarget] = useState("");
  const [tip, setTip] = useState("");
  const [budget, setBudget] = useState("");
  const [days, setDays] = useState<bigint>(LIVES[1]);
  const [begun, setBegun] = useState<OrderPreview>();
  const flow = useFlow();
  const obstacle = useObstacle();
  const id = useId();

  const byLtv = isByLtv(kind);
  const closes = !byLtv;
  // Into what the pair is priced in: a long sells everything, a short buys what it owes.
  const keepCollateral = closes && market.side === "short";
  const targetBps = closes ? 0n : percentOf(target);
  const inCollateral = tipsCollateral({ kind, target: targetBps ?? 1n, keepCollateral });
  const token = inCollateral ? "collateral" : "debt";
  const money = { symbol: market.symbols[token], decimals: market.addresses.decimals[token] };
  const at = levelOf(kind, level, market);
  const tipMin = readAmount(tip, money).amount;
  const most = sells(kind) ? 0n : readAmount(budget, money).amount;
  const isReady = at !== undefined && targetBps !== undefined && tipMin !== undefined && most !== undefined;
  const asked = isReady ? [kind, at, targetBps, tipMin, most, days].join(" ") : undefined;
  const settled = useSettled(asked);
  const isBusy = flow.steps.length > 0;
  const reading = useRead(
    isBusy || settled !== asked || asked === undefined
      ? undefined
      : `order ${asked} ${market.addresses.id} ${sub} ${owner}`,
    async ({ contracts }, block): Promise<{ preview: OrderPreview; steps: Step[] }> => {
      const request: OrderRequest = {
        ...{ market, owner, sub, kind, keepCollateral, times: 1n },
        ...{ level: at!, target: targetBps!, slippage: sells(kind) ? SLIPPAGE : 0n },
        ...{ tipMin: tipMin!, tipMax: URGENT * tipMin!, budget: most! },
        expiry: snapshot.time + days * DAY,
      };
      const preview = await previewOrder(contracts, request, block);
      const symbols = {
        [market.addresses.collateral]: market.symbols.collateral,
        [market.addresses.debt]: market.symbols.debt,
      };
      const transactions = await orderTransactions(contracts, preview, symbols);
      return { preview, steps: stepsOf(transactions, connected?.sendsTogether ?? false) };
    },
  );
  const ready = reading.error === undefined ? reading.value : undefined;
  const preview = isBusy ? begun : ready?.preview;
  const { unit } = format.priceUnits(market);
  return (
    <div className="grid items-start gap-4 rounded-lg border border-line p-4 lg:grid-cols-2">
      <div className="grid gap-4">
        <fieldset className="grid gap-1">
          <legend className="mb-1 font-medium">Kind</legend>
          <div className="choice justify-self-start">
            {(Object.keys(KINDS) as OrderKind[]).map((each) => (
              <label key={each}>
                <input
                  type="radio"
                  name={`${id}-kind`}
                  checked={kind === each}
                  onChange={() => {
                    setKind(each);
                    setLevel("");
                  }}
                />
                {KINDS[each].name}
              </label>
            ))}
          </div>
          <p className="text-sm text-muted">It {KINDS[kind].words}.</p>
        </fieldset>
        <TextField
          label={byLtv ? "When the LTV reaches" : "When the price reaches"}
          unit={byLtv ? "%" : unit}
          text={level}
          onText={setLevel}
          isWrong={level.trim() !== "" && at === undefined}
        />
        {byLtv && (
          <TextField
            label="Bring the LTV down to"
            unit="%"
            text={target}
            onText={setTarget}
            isWrong={target.trim() !== "" && targetBps === undefined}
          />
        )}
        {!sells(kind) && (
          <AmountInput
            label="It may take from your wallet, in all"
            token={money}
            text={budget}
            onText={setBudget}
          />
        )}
        <AmountInput label="Tip for whoever executes it" token={money} text={tip} onText={setTip} />
        <fieldset className="grid gap-1">
          <legend className="mb-1 font-medium">It stands for</legend>
          <div className="choice justify-self-start">
            {LIVES.map((each) => (
              <label key={String(each)}>
                <input
                  type="radio"
                  name={`${id}-days`}
                  checked={days === each}
                  onChange={() => setDays(each)}
                />
                {String(each)} days
              </label>
            ))}
          </div>
        </fieldset>
      </div>
      <div className="grid gap-4">
        {!isBusy && reading.error !== undefined && (
          <Notice kind="danger" title="This order cannot be left">
            {sentence(reading.error)}
          </Notice>
        )}
        {preview ? (
          <Preview preview={preview} />
        ) : asked === undefined ? (
          <Empty title="What it would do stands here">Write its level and the tip.</Empty>
        ) : (
          reading.error === undefined && <Loading what="what it would do" />
        )}
        {ready && !isBusy && (
          <>
            {ready.steps.length > 1 && (
              <ol className="list-inside list-decimal" aria-label="What you will be asked for">
                {ready.steps.map(({ words }) => (
                  <li key={words}>{words}</li>
                ))}
              </ol>
            )}
            <button
              className="button main"
              disabled={obstacle !== undefined}
              onClick={() => {
                setBegun(ready.preview);
                flow.start(ready.steps);
              }}
            >
              Leave the order
            </button>
            {obstacle !== undefined && <p className="text-sm text-muted">{obstacle}</p>}
          </>
        )}
        <Steps flow={flow} done="The order stands." />
        {flow.isDone && (
          <button className="button" onClick={flow.clear}>
            Leave another
          </button>
        )}
      </div>
    </div>
  );
}

function TextField({
  label,
  unit,
  text,
  onText,
  isWrong,
}: {
  label: string;
  unit: string;
  text: string;
  onText: (text: string) => void;
  isWrong: boolean;
}) {
  const id = useId();
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label} <span className="font-normal text-muted">({unit})</span>
      </label>
      <input
        id={id}
        className="field text-lg"
        inputMode="decimal"
        autoComplete="off"
        value={text}
        onChange={({ target }) => onText(target.value)}
        aria-invalid={isWrong}
        aria-describedby={`${id}-words`}
      />
      <span id={`${id}-words`} className="text-sm text-danger" aria-live="polite">
        {isWrong && (unit === "%" ? "Write a percentage like 82.5" : "Write a price like 1,900.50")}
      </span>
    </div>
  );
}

function Preview({
  preview: { request, before, after, triggered, price, quote, token },
}: {
  preview: OrderPreview;
}) {
  const { market } = request;
  const { addresses } = market;
  const text = (of: string, units: bigint) =>
    of === addresses.collateral ? format.collateralAmount(units, market) : format.debtAmount(units, market);
  const { collateral, debt } = addresses;
  const { amount, limit, exactOut, tip, least } = quote;
  const rows: [string, ReactNode][] =
    amount > 0n
      ? [
          [exactOut ? "Buys" : "Sells", text(exactOut ? debt : collateral, amount)],
          [exactOut ? "For at most" : "For at least", text(exactOut ? collateral : debt, limit)],
          ...(least > tip ? [["You get at least", text(token, least - tip)] as [string, ReactNode]] : []),
        ]
      : [
          [
            quote.collateral > 0n ? "Adds" : "Repays",
            text(token, quote.collateral > 0n ? quote.collateral : -quote.debt),
          ],
        ];
  return (
    <>
      {triggered && (
        <Notice kind="warning" title="Its level is reached already">
          It would be executed at once.
        </Notice>
      )}
      <BeforeAfter
        caption="The position now, and after the order"
        changes={[
          {
            name: "Collateral",
            before: format.collateralAmount(before.collateral, market),
            after: format.collateralAmount(after.collateral, market),
          },
          {
            name: "Debt",
            before: format.debtAmount(before.debt, market),
            after: format.debtAmount(after.debt, market),
          },
          { name: "LTV", before: format.percent(before.ltv), after: format.percent(after.ltv) },
          { name: "Health", before: format.health(before.health), after: format.health(after.health) },
        ]}
      />
      <Figures
        rows={[
          [triggered ? "At the price now" : "At a price of", format.priceWithUnit(price, market)],
          ...rows,
          ["Tip", text(token, tip), `up to ${text(token, request.tipMax)} when it is urgent`],
        ]}
      />
    </>
  );
}
