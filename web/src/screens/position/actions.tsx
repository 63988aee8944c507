import { type AccountPosition, quoteClose, quoteLeverage, quoteMargin } from "@breakwater/sdk/chain";
import { interestIn, maxLeverage } from "@breakwater/sdk/core";
import { type ReactNode, useId, useState } from "react";

import { type Money, SLIPPAGES, useMoney, useRequest } from "../../account.ts";
import * as format from "../../format.ts";
import { AmountInput, readAmount } from "../../parts/amount-input.tsx";
import { LeverageInput, readLeverage } from "../../parts/leverage-input.tsx";
import { Empty } from "../../parts/notice.tsx";
import { SlippageChoice, Ticket } from "../../parts/ticket.tsx";
import { link } from "../../route.ts";

const ACTIONS = {
  "top up": "Top up",
  repay: "Repay",
  leverage: "Leverage",
  "take out": "Take out",
  close: "Close",
} as const;
type Action = keyof typeof ACTIONS;

interface FormProps {
  position: AccountPosition;
  owner: string;
  money: Money[];
}

/** What the owner can do with a position. */
export function Actions({ position, owner }: { position: AccountPosition; owner: string }) {
  const hasDebt = position.figures.debt > 0n;
  const [action, setAction] = useState<Action>("top up");
  const money = useMoney(position.market, owner);
  const id = useId();
  const props = { position, owner, money };
  return (
    <section className="card grid grid-cols-1 gap-4" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Change it</h2>
      <fieldset className="choice justify-self-start">
        <legend className="sr-only">What to do</legend>
        {(Object.keys(ACTIONS) as Action[])
          .filter((each) => hasDebt || (each !== "repay" && each !== "leverage"))
          .map((each) => (
            <label key={each}>
              <input type="radio" name={id} checked={action === each} onChange={() => setAction(each)} />
              {ACTIONS[each]}
            </label>
          ))}
      </fieldset>
      {action === "top up" && <Margin key="top up" {...props} token="collateral" />}
      {action === "repay" && <Margin key="repay" {...props} token="debt" />}
      {action === "take out" && <Margin key="take out" {...props} token="collateral" isOut />}
      {action === "leverage" && <Leverage {...props} />}
      {action === "close" && <Close {...props} />}
    </section>
  );
}

function MoneyChoice({
  money,
  chosen,
  legend,
  onChoose,
}: {
  money: Money[];
  chosen: Money;
  legend: string;
  onChoose: (money: Money) => void;
}) {
  const id = useId();
  if (money.length < 2) return null;
  return (
    <fieldset className="grid gap-1">
      <legend className="mb-1 font-medium">{legend}</legend>
      <div className="choice justify-self-start">
        {money.map((each) => (
          <label key={each.symbol}>
            <input
              type="radio"
              name={id}
              checked={each.symbol === chosen.symbol}
              onChange={() => onChoose(each)}
            />
            {each.symbol}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** Adds collateral, repays, or takes collateral out: no swap. */
function Margin({
  position,
  owner,
  money: all,
  token,
  isOut = false,
}: FormProps & { token: "collateral" | "debt"; isOut?: boolean }) {
  const { market, sub, figures } = position;
  const money = all.filter((each) => each.token === token);
  const [symbol, setSymbol] = useState<string>();
  const [text, setText] = useState("");
  const chosen = money.find((each) => each.symbol === symbol) ?? money[0]!;
  const request = useRequest(market, owner, sub, 0n);
  // A day's interest beside it: what is too much comes back, and nothing is left owing.
  const due = figures.debt + interestIn(1n, figures.debt, market.view.borrowRate);
  const { balance } = chosen;
  const most = isOut
    ? figures.collateral
    : balance === undefined || token === "collateral" || balance < due
      ? balance
      : due;
  const { amount, words } = readAmount(text, chosen, isOut ? most : balance);
  const name = isOut ? "take out" : token === "debt" ? "repay" : "top up";
  return (
    <>
      <MoneyChoice
        money={money}
        chosen={chosen}
        legend={isOut ? "As" : "In"}
        onChoose={(each) => {
          setSymbol(each.symbol);
          setText("");
        }}
      />
      <AmountInput
        label={
          { "take out": "Collateral to take out", repay: "Debt to repay", "top up": "Collateral to add" }[
            name
          ]
        }
        token={chosen}
        text={text}
        onText={setText}
        {...(most !== undefined && { most })}
        mostName={
          isOut ? "In the position" : most === due && token === "debt" ? "All of the debt" : "You have"
        }
      />
      <Ticket
        market={market}
        action={ACTIONS[name]}
        asked={
          amount === undefined || words !== undefined
            ? undefined
            : [name, market.addresses.id, sub, owner, chosen.symbol, amount].join(" ")
        }
        ask={async ({ contracts }, block) =>
          quoteMargin(contracts, {
            ...request(block),
            margin: { token, amount: isOut ? -amount! : amount!, ether: chosen.ether },
            unwrap: chosen.ether,
          })
        }
        done={() => ({ "take out": "It is out.", repay: "It is repaid.", "top up": "It is added." })[name]}
      >
        <Hint>
          {
            {
              "take out": "Taking collateral out raises the LTV, and with it the liquidation price.",
              repay: "Repaying always works, whatever the price or a pause. What is too much comes back.",
              "top up": "Adding collateral always works, whatever the price or a pause.",
            }[name]
          }
        </Hint>
      </Ticket>
    </>
  );
}

function Leverage({ position, owner }: FormProps) {
  const { market, sub, figures } = position;
  const [text, setText] = useState("");
  const [slippage, setSlippage] = useState<bigint>(SLIPPAGES[1]);
  const request = useRequest(market, owner, sub, slippage);
  const now = format.leverage(figures.leverage).replace("×", "");
  const most = maxLeverage(market.view.maxLtvNow);
  const shown = text === "" ? now : text;
  const leverage = text === "" ? undefined : readLeverage(text, most);
  return (
    <>
      <LeverageInput text={shown} onText={setText} most={most < figures.leverage ? figures.leverage : most} />
      <SlippageChoice slippage={slippage} slippages={SLIPPAGES} onSlippage={setSlippage} />
      <Ticket
        market={market}
        action={leverage === undefined ? "Change the leverage" : `Bring it to ${format.leverage(leverage)}`}
        asked={
          leverage === undefined
            ? undefined
            : ["leverage", market.addresses.id, sub, owner, leverage, slippage].join(" ")
        }
        ask={async ({ contracts }, block) =>
          quoteLeverage(contracts, { ...request(block), leverage: leverage! })
        }
        done={() => "The leverage is changed."}
      >
        <Hint>
          To the left reduces: collateral is sold and debt repaid, in one transaction. To the right borrows
          and buys more.
        </Hint>
      </Ticket>
    </>
  );
}

function Close({ position, owner, money }: FormProps) {
  const { market, sub } = position;
  const [symbol, setSymbol] = useState<string>();
  const [slippage, setSlippage] = useState<bigint>(SLIPPAGES[1]);
  // Into what the pair is priced in, as people reckon.
  const usual = market.side === "long" ? "debt" : "collateral";
  const chosen =
    money.find((each) => each.symbol === symbol) ?? money.find(({ token }) => token === usual) ?? money[0]!;
  const request = useRequest(market, owner, sub, slippage);
  return (
    <>
      <MoneyChoice
        money={money}
        chosen={chosen}
        legend="Get what is left as"
        onChoose={(each) => setSymbol(each.symbol)}
      />
      <SlippageChoice slippage={slippage} slippages={SLIPPAGES} onSlippage={setSlippage} />
      <Ticket
        market={market}
        action="Close the position"
        asked={["close", market.addresses.id, sub, owner, chosen.symbol, slippage].join(" ")}
        ask={async ({ contracts }, block) =>
          quoteClose(contracts, { ...request(block), into: chosen.token, unwrap: chosen.ether })
        }
        done={() => (
          <>
            The position is closed, and nothing is owed.{" "}
            <a className="link" href={link("trade", { market: market.addresses.id })}>
              Open another
            </a>
          </>
        )}
      />
    </>
  );
}

function Hint({ children }: { children: ReactNode }) {
  return <Empty title="Before and after stand here">{children}</Empty>;
}
