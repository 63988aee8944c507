import {
  type Field,
  type Options,
  type Proposal,
  type Scheduled,
  ACTIONS,
  STEPS,
  propose,
} from "@breakwater/sdk/desk";
import { useId, useState } from "react";

import { useChain } from "../../chain.ts";
import { Notice } from "../../parts/notice.tsx";
import { deskOf, wordsOf } from "./desk.ts";

/** What the form begins with. */
export interface Preset {
  action: string;
  options: Options;
}

const MENU = { ...ACTIONS, void: { ...STEPS["void"]!, safe: "own", isDelayed: false } };
const GROUPS = {
  pauser: "The pauser’s Safe: at once",
  governor: "The governor’s Safe: scheduled, then executed after its delay",
  own: "A Safe’s own",
  guardian: "A Safe that guards an account",
};

/** The fixed menu: an action, what it needs, and a proposal of it. */
export function Menu({
  preset,
  scheduled,
  onProposal,
}: {
  preset: Preset;
  scheduled: readonly Scheduled[];
  onProposal: (proposal: Proposal) => void;
}) {
  const { chain, isSilent } = useChain();
  const [action, setAction] = useState(preset.action);
  const [options, setOptions] = useState<Options>(preset.options);
  const [isBusy, setBusy] = useState(false);
  const [refused, setRefused] = useState<string>();
  const id = useId();
  const { summary, fields, expires, isDelayed } = MENU[action as keyof typeof MENU];

  const submit = async () => {
    setBusy(true);
    setRefused(undefined);
    try {
      const known = fields.map(({ name }) => name).concat("expires", "nonce");
      const given = Object.entries(options).filter(([name, value]) => known.includes(name) && value !== "");
      onProposal(await propose(await deskOf(chain), action, Object.fromEntries(given)));
    } catch (error) {
      setRefused(wordsOf(error));
    } finally {
      setBusy(false);
    }
  };
  const input = (field: Field) => (
    <Input
      key={field.name}
      field={field}
      value={options[field.name]}
      scheduled={scheduled}
      onValue={(value) => setOptions((former) => ({ ...former, [field.name]: value }))}
    />
  );

  return (
    <form
      className="grid gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div className="grid gap-1">
        <label htmlFor={id} className="font-medium">
          Action
        </label>
        <select
          id={id}
          className="field"
          value={action}
          aria-describedby={`${id}-words`}
          onChange={({ target }) => {
            setAction(target.value);
            setRefused(undefined);
          }}
        >
          {Object.entries(GROUPS).map(([safe, name]) => (
            <optgroup key={safe} label={name}>
              {Object.entries(MENU)
                .filter(([, entry]) => entry.safe === safe)
                .map(([each]) => (
                  <option key={each} value={each}>
                    {nameOfAction(each)}
                  </option>
                ))}
            </optgroup>
          ))}
        </select>
        <p id={`${id}-words`} className="text-sm text-muted">
          {sentence(summary)}.
          {isDelayed && " Signed twice: to schedule it, and to execute it when its delay is over."}
        </p>
      </div>
      <div className="grid items-start gap-3 sm:grid-cols-2">{fields.map(input)}</div>
      <details>
        <summary className="text-accent">Expiry and nonce</summary>
        <div className="mt-2 grid items-start gap-3 sm:grid-cols-2">
          {input({
            name: "expires",
            kind: "duration",
            words: `how long signatures may be collected; ${expires} unless you say otherwise`,
            isOptional: true,
          })}
          {input({
            name: "nonce",
            kind: "text",
            words: "a later one than the Safe’s next",
            isOptional: true,
          })}
        </div>
      </details>
      {refused !== undefined && (
        <Notice kind="danger" title="Refused">
          <span className="wrap-anywhere">{refused}</span>
        </Notice>
      )}
      <button className="button main justify-self-start" disabled={isBusy || isSilent}>
        {isBusy ? "Asking the chain …" : "Write the proposal"}
      </button>
      <p className="text-sm text-muted">
        Nothing is signed or sent by this: next you see what it does and what it costs.
      </p>
    </form>
  );
}

function Input({
  field: { name, kind, words, choices, isOptional = false },
  value = "",
  scheduled,
  onValue,
}: {
  field: Field;
  value: Options[string];
  scheduled: readonly Scheduled[];
  onValue: (value: string | boolean) => void;
}) {
  const { chain } = useChain();
  const id = useId();
  const { markets, contracts } = chain.addresses;
  const ids = markets.map((market) => market.id);
  const known =
    choices ??
    {
      market: ids,
      "market or all": [...ids, "all"],
      proxy: [...ids, ...Object.keys(contracts)],
      operation: scheduled.map((operation) => operation.id),
    }[kind as string];
  const common = { id, required: !isOptional, "aria-describedby": `${id}-words` };
  if (kind === "yes") {
    return (
      <label className="flex items-baseline gap-2 sm:col-span-2">
        <input type="checkbox" checked={value === true} onChange={({ target }) => onValue(target.checked)} />
        <span>
          {nameOfField(name)}: <span className="text-muted">{words}</span>
        </span>
      </label>
    );
  }
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {nameOfField(name)}
        {isOptional && <span className="font-normal text-muted"> (optional)</span>}
      </label>
      {known ? (
        <select
          {...common}
          className="field"
          value={String(value)}
          onChange={({ target }) => onValue(target.value)}
        >
          <option value="">{isOptional ? "–" : "Choose …"}</option>
          {known.map((each) => (
            <option key={each} value={each}>
              {each === "all" ? "all markets" : each}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...common}
          className="field"
          autoComplete="off"
          spellCheck={false}
          value={String(value)}
          onChange={({ target }) => onValue(target.value)}
        />
      )}
      <span id={`${id}-words`} className="text-sm text-muted">
        {sentence(words)}
        {kind === "percent" && ", in %"}
      </span>
    </div>
  );
}

/** "pause-liquidations" → "Pause liquidations" */
export function nameOfAction(action: string): string {
  return sentence(action.replaceAll("-", " "));
}

function nameOfField(name: string): string {
  return sentence(name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace("ltv", "LTV"));
}

export function sentence(words: string): string {
  return `${words[0]!.toUpperCase()}${words.slice(1)}`;
}
