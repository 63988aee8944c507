import {
  type MarketReading,
  type TradeQuote,
  type Transaction,
  approvalTransactions,
  authorisationsFor,
  costsOf,
  permitFor,
  permitOf,
  tradeTransaction,
  transactionsOf,
} from "@breakwater/sdk/chain";
import type { ReactNode } from "react";
import { useId, useState } from "react";

import { useSettled } from "../account.ts";
import { type Chain, type Reading, useChain, useRead } from "../chain.ts";
import { amount, bps, percent, priceWithUnit, time } from "../format.ts";
import { type Flow, type Step, stepsOf, useFlow } from "../transactions.ts";
import { type Connected, useWallet } from "../wallet.ts";
import { BeforeAfter, positionChanges } from "./before-after.tsx";
import { Loading, Notice } from "./notice.tsx";
import { Figures } from "./sheet.tsx";
import { Steps } from "./steps.tsx";
import { useObstacle } from "./wallet.tsx";

// What a trade would do, what it costs, what the wallet will be asked for, and what becomes of it. Every trade of this
// page goes through here.

interface Plan {
  quote: TradeQuote;
  steps: Step[];
}

export interface TicketProps {
  market: MarketReading;
  /** On the button. */
  action: string;
  /** Said when it is done. */
  done: (quote: TradeQuote) => ReactNode;
  /** Everything that the quote depends on; undefined: there is nothing to quote yet. */
  asked: string | undefined;
  ask: (chain: Chain, block: number) => Promise<TradeQuote>;
  /** In place of a quote, while there is nothing to quote. */
  children?: ReactNode;
}

export function Ticket({ market, action, done, asked, ask, children }: TicketProps) {
  const { snapshot } = useChain();
  const { connected } = useWallet();
  const [mode, setMode] = useState<Mode>("sign");
  const [begun, setBegun] = useState<Plan>();
  const [version, setVersion] = useState(0);
  const flow = useFlow(() => setVersion(version + 1));
  const obstacle = useObstacle();
  const isBusy = flow.steps.length > 0;

  const canSign = connected !== undefined && connected.signs && !connected.sendsTogether;
  const signs = canSign && mode === "sign";
  const settled = useSettled(asked);
  const key =
    settled === undefined || asked === undefined || isBusy
      ? undefined
      : `${settled} ${connected?.account ?? ""} ${signs} ${version}`;
  const symbols = Object.fromEntries(
    snapshot.markets.flatMap(({ addresses, symbols }) => [
      [addresses.collateral, symbols.collateral],
      [addresses.debt, symbols.debt],
    ]),
  );
  const reading = useRead(key, async (chain, block): Promise<Plan> => {
    const quote = await ask(chain, block);
    return { quote, steps: await planOf(chain, quote, symbols, connected, signs) };
  });
  const isCurrent = asked === settled && reading.error === undefined;
  const plan = isBusy ? begun : isCurrent ? reading.value : undefined;

  if (asked === undefined && !isBusy) return <>{children}</>;
  return (
    <div className="grid grid-cols-1 gap-4">
      <Quoted {...{ market, plan, reading, symbols }} isOutdated={!isBusy && reading.error !== undefined} />
      {plan && !isBusy && (
        <Begin
          {...{ action, plan, obstacle }}
          onBegin={() => {
            setBegun(plan);
            flow.start(plan.steps);
          }}
        >
          {canSign && <ModeChoice mode={mode} onMode={setMode} />}
        </Begin>
      )}
      <Steps flow={flow} />
      {flow.isDone && begun && <Done flow={flow}>{done(begun.quote)}</Done>}
    </div>
  );
}

function Done({ flow, children }: { flow: Flow; children: ReactNode }) {
  return (
    <Notice
      kind="good"
      action={
        <button className="button" onClick={flow.clear}>
          Go on
        </button>
      }
    >
      {children}
    </Notice>
  );
}

function Quoted({
  market,
  plan,
  reading,
  symbols,
  isOutdated,
}: {
  market: MarketReading;
  plan: Plan | undefined;
  reading: Reading<Plan>;
  symbols: Record<string, string>;
  isOutdated: boolean;
}) {
  if (isOutdated) {
    return (
      <Notice kind="danger" title="This cannot be done">
        {sentence(reading.error!)}
      </Notice>
    );
  }
  if (!plan) return <Loading what="what it would do" />;
  const { quote } = plan;
  const position = quote.positions[0]!;
  return (
    <>
      <BeforeAfter caption="The position before and after" changes={positionChanges(position, market)} />
      <Terms {...{ market, quote, symbols }} />
      {position.refusal && (
        <Notice kind="danger" title="The market would refuse this now">
          {sentence(position.refusal.words)}
        </Notice>
      )}
    </>
  );
}

/** What is paid, swapped and left, and what it costs in all. */
function Terms({
  market,
  quote,
  symbols,
}: {
  market: MarketReading;
  quote: TradeQuote;
  symbols: Record<string, string>;
}) {
  const { swap, trade, value, left } = quote;
  const { addresses } = market;
  const of = (token: string, units: bigint) => {
    const which = token === addresses.collateral ? "collateral" : "debt";
    return amount(units, addresses.decimals[which], symbols[token]);
  };
  const costs = costsOf(quote, market);
  const cost = (units: bigint) => of(addresses[costs.token], units);
  const rows: [string, ReactNode, ReactNode?][] = [];
  if (trade.amount > 0n) rows.push(["You pay", of(trade.token, trade.amount)]);
  if (value > 0n) rows.push(["You pay", amount(value, 18, "ETH")]);
  if (swap) {
    rows.push(
      [
        "Swap on Uniswap",
        `${of(swap.tokenIn, swap.sold)} → ${of(swap.tokenOut, swap.bought)}`,
        trade.exactOut
          ? `costs at most ${of(swap.tokenIn, swap.limit)}, or nothing happens`
          : `brings at least ${of(swap.tokenOut, swap.limit)}, or nothing happens`,
      ],
      [
        "Price of the swap",
        priceWithUnit(swap.price, market),
        `oracle: ${priceWithUnit(swap.oracle, market)}`,
      ],
      [
        "Price impact",
        percent(swap.impact, 3),
        `pool fee ${of(swap.tokenIn, swap.fee)}; with both ${percent(swap.againstOracle, 3)} worse than the oracle`,
      ],
    );
  }
  const received = trade.unwrap
    ? (token: string) => (symbols[token] === "WETH" ? "ETH" : undefined)
    : () => undefined;
  for (const { token, amount: units } of left) {
    const ether = received(token);
    rows.push([
      "You get",
      ether === undefined ? of(token, units) : amount(units, 18, ether),
      swap && "if the swap brings what is quoted",
    ]);
  }
  const after = quote.positions[0]!.after;
  if (swap || after.debt > 0n) {
    const [day, ...later] = costs.allIn;
    if (swap)
      rows.push(["Cost of the swap", cost(costs.swap), "fee, impact and what the pool’s price is off"]);
    if (after.debt > 0n) {
      rows.push(["Interest, a day", cost(day!.interest), "at the rate after, if it stays"]);
      for (const { days, cost: all } of later) rows.push([`All-in cost, ${days} days`, cost(all)]);
    }
  }
  if (rows.length > 0)
    rows.push(["Void after", time(trade.deadline), "by the chain’s clock; network fees come on top"]);
  return <Figures rows={rows.map(([name, figure, words]) => [name, figure, words] as const)} />;
}

function Begin({
  action,
  plan,
  obstacle,
  onBegin,
  children,
}: {
  action: string;
  plan: Plan;
  obstacle: string | undefined;
  onBegin: () => void;
  children: ReactNode;
}) {
  const refused = plan.quote.positions.some(({ refusal }) => refusal !== undefined);
  const id = useId();
  return (
    <div className="grid gap-3">
      {children}
      {plan.steps.length > 1 && (
        <div>
          <p className="text-muted">In {plan.steps.length} steps:</p>
          <ol className="list-inside list-decimal">
            {plan.steps.map(({ words }) => (
              <li key={words}>{words}</li>
            ))}
          </ol>
        </div>
      )}
      <button
        className="button main w-full"
        disabled={obstacle !== undefined || refused}
        aria-describedby={obstacle === undefined ? undefined : id}
        onClick={onBegin}
      >
        {action}
      </button>
      {obstacle !== undefined && (
        <p id={id} className="text-sm text-muted">
          {obstacle}
        </p>
      )}
    </div>
  );
}

type Mode = "sign" | "send";

function ModeChoice({ mode, onMode }: { mode: Mode; onMode: (mode: Mode) => void }) {
  const id = useId();
  return (
    <fieldset className="grid gap-1">
      <legend className="mb-1 font-medium">Allow it by</legend>
      <div className="choice justify-self-start">
        {(["sign", "send"] as const).map((each) => (
          <label key={each}>
            <input type="radio" name={id} checked={mode === each} onChange={() => onMode(each)} />
            {each === "sign" ? "signatures" : "transactions"}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function SlippageChoice({
  slippage,
  slippages,
  onSlippage,
}: {
  slippage: bigint;
  slippages: readonly bigint[];
  onSlippage: (slippage: bigint) => void;
}) {
  const id = useId();
  return (
    <fieldset className="grid gap-1">
      <legend className="mb-1 font-medium">Slippage that you accept</legend>
      <div className="choice justify-self-start">
        {slippages.map((each) => (
          <label key={String(each)}>
            <input type="radio" name={id} checked={slippage === each} onChange={() => onSlippage(each)} />
            {bps(each, 1)}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** What the wallet will be asked for: all at once, signatures and a transaction, or one transaction after the other. */
async function planOf(
  { contracts }: Chain,
  quote: TradeQuote,
  symbols: Record<string, string>,
  connected: Connected | undefined,
  signs: boolean,
): Promise<Step[]> {
  if (!signs)
    return stepsOf(await transactionsOf(contracts, quote, symbols), connected?.sendsTogether ?? false);
  const { owner, token, amount: units } = quote.trade;
  const [authorisations, permit, router] = await Promise.all([
    authorisationsFor(contracts, quote),
    permitFor(contracts, quote),
    contracts.leverageRouter.getAddress(),
  ]);
  const approvals: Transaction[] = permit
    ? []
    : await approvalTransactions(
        contracts,
        owner,
        { token, amount: units },
        { address: router, name: "the router" },
        symbols,
      );
  const signed: { market: string; deadline: bigint; signature: string }[] = [];
  let permitted: ReturnType<typeof permitOf> | undefined;
  return [
    ...authorisations.map((typed, at): Step => ({
      words: `sign: the router may act for you in ${contracts.addresses.markets.find(({ vault }) => vault === typed.domain.verifyingContract)?.id ?? "the market"}`,
      run: async ({ sign }) => {
        signed[at] = {
          market: typed.domain.verifyingContract,
          deadline: typed.message["deadline"] as bigint,
          signature: await sign(typed),
        };
      },
    })),
    ...(permit
      ? [
          {
            words: `sign a permit for ${symbols[token] ?? "the token"}: just what is needed`,
            run: async ({ sign }: Parameters<Step["run"]>[0]) => {
              permitted = permitOf(permit, await sign(permit));
            },
          },
        ]
      : []),
    ...stepsOf(approvals, false),
    {
      words: "trade",
      run: async ({ send }) => {
        await send(tradeTransaction(contracts, quote, signed, permitted));
      },
    },
  ];
}

export function sentence(words: string): string {
  const text = words.replace(/ \[\w+\]$/, "");
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
