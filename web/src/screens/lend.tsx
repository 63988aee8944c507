import {
  type Lender,
  type LendingQuote,
  type LiquidationRecord,
  type MarketReading,
  explainRevert,
  lendingTransactions,
  lossOf,
  openLiquidations,
  openShareHistory,
  quoteLending,
  readLender,
  readWaits,
  yieldOf,
} from "@breakwater/sdk/chain";
import { YEAR, formatAmount, min } from "@breakwater/sdk/core";
import { ZeroAddress } from "ethers";
import { useMemo, useState } from "react";

import { useChain, useRead } from "../chain.ts";
import * as format from "../format.ts";
import { AmountInput, readAmount } from "../parts/amount-input.tsx";
import { BeforeAfter } from "../parts/before-after.tsx";
import { Lines } from "../parts/lines.tsx";
import { Empty, Loading, Notice } from "../parts/notice.tsx";
import { Figures, Sheet } from "../parts/sheet.tsx";
import { Steps } from "../parts/steps.tsx";
import { useObstacle } from "../parts/wallet.tsx";
import { link, useOwner, useRoute } from "../route.ts";
import { stepsOf, useFlow } from "../transactions.ts";
import { useWallet } from "../wallet.ts";

export default function Lend() {
  const { snapshot } = useChain();
  const { query } = useRoute();
  const { markets } = snapshot;
  const market = markets.find(({ addresses }) => addresses.id === query.get("market")) ?? markets[0];
  if (!market)
    return <Empty title="No market can be read now">The reasons stand above, if there are any.</Empty>;
  const address = query.get("address");
  return (
    <>
      <h1>Lend</h1>
      <p className="max-w-prose">
        Each market lends one token to people who trade with leverage. What they pay goes to its lenders, and
        so does a loss that nothing else covers.
      </p>
      <nav aria-label="Markets" className="grid gap-3 md:grid-cols-3">
        {markets.map((each) => (
          <a
            key={each.addresses.id}
            href={link("lend", { market: each.addresses.id, ...(address !== null && { address }) })}
            aria-current={each === market ? "true" : undefined}
            className="card grid grid-cols-[1fr_auto] gap-x-4 hover:border-accent aria-[current]:border-accent aria-[current]:shadow-[inset_0_3px_0_var(--accent)]"
          >
            <span className="text-lg font-semibold">{each.symbols.debt}</span>
            <span className="text-right text-lg font-semibold">{format.yearly(each.view.lendRate, 3)}</span>
            <span className="text-muted">to {borrowers(each)}</span>
            <span className="text-right text-muted">a year, now</span>
          </a>
        ))}
      </nav>
      <Market key={market.addresses.id} market={market} />
    </>
  );
}

/** Whom one lends to. */
function borrowers(market: MarketReading): string {
  return `${market.side}s of ${format.priceUnits(market).base}`;
}

function Market({ market }: { market: MarketReading }) {
  const { addresses } = market;
  const { owner, isOwn, words } = useOwner();
  const lender = useRead(owner && `lender ${addresses.vault} ${owner}`, async ({ contracts }, block) =>
    readLender(contracts, market, owner!, block),
  );
  const waits = useRead(`waits ${addresses.vault}`, async ({ contracts }, block) =>
    readWaits(contracts, market, block),
  );
  return (
    <>
      {words !== undefined && <Notice kind="danger">{words}</Notice>}
      {waits.value && <Waits waits={waits.value} />}
      <div className="grid grid-cols-1 items-start gap-4 md:grid-cols-2">
        <div className="grid grid-cols-1 gap-4">
          {(isOwn || owner === undefined) && (
            <Form market={market} lender={lender.value} waits={waits.value ?? {}} />
          )}
          {owner !== undefined && (
            <Own market={market} lender={lender.value} error={lender.error} isOwn={isOwn} />
          )}
          <History market={market} />
        </div>
        <div className="grid grid-cols-1 gap-4">
          <Yield market={market} />
          <Losses market={market} />
        </div>
      </div>
    </>
  );
}

interface WaitWords {
  deposit?: string | undefined;
  withdraw?: string | undefined;
}

/** Lenders wait so that nobody leaves before a loss is counted, and nobody comes in to share in what he has not borne. */
function Waits({ waits: { deposit, withdraw } }: { waits: WaitWords }) {
  if (deposit === undefined && withdraw === undefined) return null;
  const what =
    withdraw === undefined
      ? "Nobody can deposit now"
      : deposit === undefined
        ? "Nobody can withdraw now"
        : "Nobody can deposit or withdraw now";
  return (
    <Notice kind="warning" title={what}>
      <p>{sentence(withdraw ?? deposit ?? "")}</p>
      {withdraw !== undefined && (
        <p>Shares go on earning meanwhile. This page looks again at every block; there is nothing to do.</p>
      )}
    </Notice>
  );
}

function sentence(words: string): string {
  const said = words.replace(/ \[\w+\]$/, "");
  return `${said[0]?.toUpperCase() ?? ""}${said.slice(1)}.`;
}

// ---------------------------------------------------------------- deposit, withdraw

const KINDS = { deposit: "Deposit", withdraw: "Withdraw" } as const;
type Kind = keyof typeof KINDS;

function Form({
  market,
  lender,
  waits,
}: {
  market: MarketReading;
  lender: Lender | undefined;
  waits: WaitWords;
}) {
  const { chain } = useChain();
  const { connected } = useWallet();
  const obstacle = useObstacle();
  const [kind, setKind] = useState<Kind>("deposit");
  const [text, setText] = useState("");
  // The text of all that there was: meant is all that there will be.
  const [all, setAll] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  const flow = useFlow(() => setText(""));

  const { decimals } = market.addresses;
  const token = { symbol: market.symbols.debt, decimals: decimals.debt };
  const most = lender && (kind === "deposit" ? min(lender.balance, lender.maxDeposit) : lender.maxWithdraw);
  const read = readAmount(text, token, most);
  const isAll = kind === "withdraw" && text === all && (most ?? 0n) > 0n;
  const amount = isAll ? "all" : read.words === undefined ? read.amount : undefined;
  const owner = connected?.account ?? ZeroAddress;
  const isWaiting = waits[kind] !== undefined;
  const quote = useRead(
    amount === undefined || isWaiting
      ? undefined
      : `quote ${market.addresses.vault} ${owner} ${kind} ${amount}`,
    async ({ contracts }, block) => quoteLending(contracts, { market, owner, kind, amount: amount!, block }),
  );

  const say = (next: string) => {
    setText(next);
    setTrouble(undefined);
    setAll(
      most !== undefined && next === formatAmount(most, decimals.debt).replaceAll(",", "") ? next : undefined,
    );
    if (flow.isDone) flow.clear();
  };
  const send = async (of: LendingQuote) => {
    try {
      const transactions = await lendingTransactions(chain.contracts, of);
      flow.start(stepsOf(transactions, connected?.sendsTogether ?? false));
    } catch (error) {
      setTrouble(explainRevert(error).words);
    }
  };
  const missing =
    obstacle ??
    (isWaiting
      ? "Lenders have to wait now: the reason stands above."
      : text === ""
        ? `Write how much ${token.symbol} to ${kind}.`
        : !isAll && read.words !== undefined
          ? read.words
          : undefined);

  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="move">
      <h2 id="move" className="sr-only">
        Deposit or withdraw
      </h2>
      <fieldset className="choice w-fit">
        <legend className="sr-only">What to do</legend>
        {(Object.keys(KINDS) as Kind[]).map((known) => (
          <label key={known}>
            <input
              type="radio"
              name="kind"
              checked={kind === known}
              disabled={flow.isRunning}
              onChange={() => {
                setKind(known);
                say("");
                flow.clear();
              }}
            />
            {KINDS[known]}
          </label>
        ))}
      </fieldset>
      <AmountInput
        label={`Amount to ${kind}`}
        token={token}
        text={text}
        onText={say}
        {...(most !== undefined && !isAll && { most })}
        mostName={kind === "deposit" ? "In your wallet" : "You can withdraw now"}
      />
      {isAll && quote.value?.isAll && (
        <p className="text-sm text-muted">
          All of it, with the interest until it is sent: nothing stays behind.
        </p>
      )}
      {kind === "withdraw" && lender && lender.maxWithdraw < lender.worth && !isWaiting && (
        <Notice kind="warning" title="Not all of it is there now">
          {format.debtAmount(lender.worth - lender.maxWithdraw, market)} of yours is lent out. It can be
          withdrawn as borrowers repay or others deposit; until then rates rise, which makes them.
        </Notice>
      )}
      {quote.value && <Change quote={quote.value} hasWallet={connected !== undefined} />}
      {quote.error !== undefined && <Notice kind="danger">{quote.error}</Notice>}
      {trouble !== undefined && <Notice kind="danger">{trouble}</Notice>}
      {missing === undefined ? (
        <button
          className="button main"
          disabled={flow.isRunning || !quote.value}
          onClick={() => void send(quote.value!)}
        >
          {KINDS[kind]} {quote.value && format.debtAmount(quote.value.assets, market)}
        </button>
      ) : (
        !flow.isRunning && !flow.isDone && <p className="text-muted">{missing}</p>
      )}
      <Steps
        flow={flow}
        done={
          kind === "deposit"
            ? "Deposited. Your shares earn from this block on."
            : "Withdrawn. It is in your wallet."
        }
      />
    </section>
  );
}

function Change({
  quote: { kind, market, before, after, shares },
  hasWallet,
}: {
  quote: LendingQuote;
  hasWallet: boolean;
}) {
  const debt = (value: bigint) => format.debtAmount(value, market);
  return (
    <>
      <BeforeAfter
        caption={`What the ${kind} changes`}
        changes={[
          ...(hasWallet
            ? [
                { name: "In your wallet", before: debt(before.balance), after: debt(after.balance) },
                { name: "Your deposit", before: debt(before.worth), after: debt(after.worth) },
              ]
            : []),
          {
            name: "Lent out of all",
            before: format.percent(before.utilization),
            after: format.percent(after.utilization),
          },
          {
            name: "Lenders get, a year",
            before: format.yearly(before.lendRate, 3),
            after: format.yearly(after.lendRate, 3),
          },
        ]}
      />
      <p className="text-sm text-muted">
        {kind === "deposit" ? "You get" : "You give back"}{" "}
        {format.amount(shares, market.addresses.decimals.debt)} shares. Nobody takes a fee. The rate is this
        block’s: it moves with what is lent out.
      </p>
    </>
  );
}

function Own({
  market,
  lender,
  error,
  isOwn,
}: {
  market: MarketReading;
  lender: Lender | undefined;
  error: string | undefined;
  isOwn: boolean;
}) {
  const title = isOwn ? "Your deposit" : "This account’s deposit";
  return (
    <section className="card grid grid-cols-1 gap-2" aria-labelledby="own">
      <h2 id="own">{title}</h2>
      {lender ? (
        <Figures
          rows={[
            ["Worth now", format.debtAmount(lender.worth, market)],
            [
              "Can be withdrawn now",
              format.debtAmount(lender.maxWithdraw, market),
              lender.maxWithdraw < lender.worth ? "the rest is lent out, or lenders wait" : undefined,
            ],
            ["Shares", format.amount(lender.shares, market.addresses.decimals.debt)],
            ["In the wallet", format.debtAmount(lender.balance, market)],
          ]}
        />
      ) : error === undefined ? (
        <Loading what="the deposit" />
      ) : (
        <Notice kind="danger">{error}</Notice>
      )}
    </section>
  );
}

// ---------------------------------------------------------------- where it comes from

function Yield({ market }: { market: MarketReading }) {
  const { view, funding } = market;
  const parts = yieldOf(market);
  const line = (rate: bigint) => format.signed(rate * YEAR, 3);
  const { base } = format.priceUnits(market);
  return (
    <section className="card grid grid-cols-1 gap-2" aria-labelledby="yield">
      <h2 id="yield">Where the yield comes from</h2>
      <Figures
        rows={[
          [
            "Interest of borrowers",
            line(parts.interest),
            `on the ${format.percent(view.utilization)} that is lent out`,
          ],
          ["To the reserves", line(-parts.fee), `${view.reserveFactor} % of it; they stand before lenders`],
          ...(funding
            ? [
                [
                  "Surcharge of the heavier side",
                  line(parts.surcharge),
                  parts.surcharge > 0n
                    ? `${market.side}s of ${base} outweigh the others, and pay for it`
                    : `none: these ${market.side}s are not the heavier side`,
                ] as const,
                [
                  "Of that, to the insurance",
                  line(-parts.insurance),
                  `${funding.insuranceShare} % of it; it pays losses first`,
                ] as const,
              ]
            : []),
          [
            "Lenders get, a year",
            <strong key="lend" className="text-lg font-semibold">
              {format.yearly(parts.lend, 3)}
            </strong>,
            "before interest on interest",
          ],
        ]}
      />
    </section>
  );
}

// ---------------------------------------------------------------- the past

/** A share's own gain is far behind the point. */
const MILLION = 1_000_000;

function History({ market }: { market: MarketReading }) {
  const { chain } = useChain();
  const { vault } = market.addresses;
  // One reader for as long as the market is looked at: it remembers what it has read.
  const readHistory = useMemo(() => openShareHistory(chain.contracts, market), [chain, vault]);
  const { value, error } = useRead(`history ${vault}`, async (_, block) => readHistory(block));
  const [first, last] = [value?.prices[0], value?.prices.at(-1)];
  const million = (price: bigint) => format.amount(price * BigInt(MILLION), 18, market.symbols.debt);
  return (
    <section className="card grid grid-cols-1 gap-2" aria-labelledby="history">
      <h2 id="history">Share price</h2>
      {value && first && last ? (
        <>
          <p>
            <span className="text-xl font-medium">{format.sharePrice(last.price)}</span>{" "}
            <span className="text-muted">{market.symbols.debt} a share</span>
          </p>
          <p>
            {format.change(value.gain)} in {format.duration(last.time - first.time)}: a million shares, worth{" "}
            {million(first.price)} then, are worth {million(last.price)} now.
          </p>
          <Lines
            label={`Gain of a million shares from ${format.time(first.time)} to ${format.time(last.time)}: ${format.change(value.gain)}.`}
            lines={[
              {
                name: "Gain",
                points: value.prices.map(({ time, price }) => ({
                  x: time,
                  // For drawing a double will do.
                  y: (Number(price - first.price) * MILLION) / 1e18,
                })),
              },
            ]}
            formatY={(y) => y.toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 })}
            from={format.time(first.time)}
            to={format.time(last.time)}
          />
          {value.isCut && (
            <p className="text-sm text-muted">
              The node keeps nothing older: of a deployment’s whole past only an archive node knows.
            </p>
          )}
        </>
      ) : error === undefined ? (
        <div className="grid min-h-48 place-items-center">
          <Loading what="the share price’s past" />
        </div>
      ) : null}
      {error !== undefined && (
        <Notice kind="warning">The share price’s past could not be read: {error}</Notice>
      )}
    </section>
  );
}

const SHOWN = 12;

function Losses({ market }: { market: MarketReading }) {
  const { chain } = useChain();
  const { addresses, view } = market;
  const readAll = useMemo(() => openLiquidations(chain.contracts, chain.addresses.startBlock), [chain]);
  const { value, error } = useRead(`losses ${addresses.vault}`, async ({ provider }, block) => {
    const records = (await readAll(block)).filter((record) => record.market === addresses.id);
    const bad = records.filter(({ loss }) => loss.insurance + loss.reserves + loss.lenders > 0n);
    const newest = bad.slice(-SHOWN).reverse();
    const rows = await Promise.all(
      newest.map(async (record) => ({ ...record, time: (await provider.getBlock(record.block))?.timestamp })),
    );
    return { records, bad, rows };
  });
  const debt = (amount: bigint) => format.debtAmount(amount, market);
  return (
    <section className="card grid grid-cols-1 gap-3" aria-labelledby="losses">
      <h2 id="losses">Losses since the deployment</h2>
      {value ? (
        <>
          <p>{lossWords(value.records, value.bad, market)}</p>
          {value.rows.length > 0 && (
            <Sheet
              caption="Losses, newest first"
              columns={[
                { name: "When" },
                { name: "Insurance paid", isFigure: true },
                { name: "Reserves paid", isFigure: true },
                { name: "Lenders lost", isFigure: true },
              ]}
              rows={value.rows.map(({ transaction, block, time, loss }, at) => ({
                key: `${transaction} ${at}`,
                cells: [
                  time === undefined ? `block ${block}` : format.time(time),
                  debt(loss.insurance),
                  debt(loss.reserves),
                  debt(loss.lenders),
                ],
              }))}
            />
          )}
          {value.bad.length > SHOWN && (
            <p className="text-sm text-muted">
              The newest {SHOWN} of {value.bad.length}.
            </p>
          )}
        </>
      ) : error === undefined ? (
        <Loading what="the losses" />
      ) : null}
      {error !== undefined && <Notice kind="warning">The losses could not be read: {error}</Notice>}
      <Figures
        rows={[
          [
            "Seized and not yet sold",
            debt(view.potDebt),
            view.potDebt > 0n ? "the share price counts it as what it would fetch" : undefined,
          ],
          ["Insurance now", debt(view.insurance), "pays first"],
          ["Reserves now", debt(view.reserves), "pay next"],
          ["All that lenders own", debt(view.totalAssets), "loses last, each share alike"],
        ]}
      />
    </section>
  );
}

function lossWords(
  records: readonly LiquidationRecord[],
  bad: readonly LiquidationRecord[],
  market: MarketReading,
): string {
  const debt = (amount: bigint) => format.debtAmount(amount, market);
  const count = `${records.length} liquidation${records.length === 1 ? "" : "s"}`;
  if (records.length === 0) return "None: nobody has been liquidated here so far.";
  if (bad.length === 0) return `None: collateral has covered all of ${count} so far.`;
  const { insurance, reserves, lenders } = lossOf(bad);
  const paid = `insurance paid ${debt(insurance)}, reserves ${debt(reserves)}`;
  const lost = lenders === 0n ? "lenders lost nothing" : `lenders lost ${debt(lenders)}`;
  return `In ${bad.length} of ${count} collateral did not cover all: ${paid}, and ${lost}.`;
}
