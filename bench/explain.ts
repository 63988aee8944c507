// Where the gas of one transaction goes, from its trace: by contract and kind, by storage slot, by function.
import type { Receipt, StructLog } from "./chain.ts";

const KINDS = [
  "cold SLOAD",
  "warm SLOAD",
  "SSTORE",
  "transient",
  "accounts",
  "logs",
  "keccak",
  "compute",
] as const;
type Kind = (typeof KINDS)[number];

/** What better code could save without touching, moving or telling less. */
const AVOIDABLE: Kind[] = ["warm SLOAD", "keccak", "compute"];

const CALLS = ["CALL", "STATICCALL", "DELEGATECALL"];
const ACCOUNTS = [...CALLS, "EXTCODESIZE", "EXTCODEHASH", "EXTCODECOPY", "BALANCE"];
const INTRINSIC = 21_000;

/** What the trace does not say: which contract's code an address runs, and which function an instruction is of. */
export interface Symbols {
  contract(address: string): string;
  /** Undefined: the compiler's own, such as checks, ABI coding and memory. */
  function(address: string, pc: number): string | undefined;
}

interface Slot {
  contract: string;
  slot: string;
  reads: number;
  writes: number;
  gas: number;
}

interface FunctionGas {
  own: number;
  /** Of the compiler's code that ran after it: probably for it. */
  generated: number;
  instructions: number;
}

export interface Explanation {
  gasUsed: number;
  intrinsic: number;
  calldata: number;
  refund: number;
  contracts: Map<string, Map<Kind, number>>;
  slots: Slot[];
  functions: Map<string, FunctionGas>;
}

export function explain(steps: StructLog[], { to, data, gasUsed }: Receipt, symbols: Symbols): Explanation {
  const contracts = new Map<string, Map<Kind, number>>();
  const slots = new Map<string, Slot>();
  const functions = new Map<string, FunctionGas>();
  let executed = 0;

  const frames = [{ code: to, storage: to, call: -1, given: 0, last: "" }];
  const charge = (step: StructLog, gas: number) => {
    const frame = frames.at(-1)!;
    const { code, storage } = frame;
    const kind = kindOf(step.op, gas);
    const contract = symbols.contract(code);
    const kinds = contracts.get(contract) ?? new Map<Kind, number>();
    kinds.set(kind, (kinds.get(kind) ?? 0) + gas);
    contracts.set(contract, kinds);
    executed += gas;
    if (step.op === "SLOAD" || step.op === "SSTORE") {
      const slot = wordOf(step, 1);
      const key = `${storage} ${slot}`;
      const entry = slots.get(key) ?? {
        contract: symbols.contract(storage),
        slot,
        reads: 0,
        writes: 0,
        gas: 0,
      };
      entry.gas += gas;
      if (step.op === "SLOAD") entry.reads++;
      else entry.writes++;
      slots.set(key, entry);
    }
    const name = symbols.function(code, step.pc);
    if (name !== undefined) frame.last = name;
    if (kind === "compute" || kind === "keccak") {
      const key = `${contract}: ${frame.last || "before any function"}`;
      const entry = functions.get(key) ?? { own: 0, generated: 0, instructions: 0 };
      if (name === undefined) entry.generated += gas;
      else entry.own += gas;
      entry.instructions++;
      functions.set(key, entry);
    }
  };

  steps.forEach((step, i) => {
    const next = steps[i + 1];
    if (next !== undefined && next.depth > step.depth) {
      // Charged when it returns: what it costs is what the caller lost and the callee did not use.
      const target = `0x${wordOf(step, 2).slice(-40)}`;
      const storage = step.op === "DELEGATECALL" ? frames.at(-1)!.storage : target;
      frames.push({ code: target, storage, call: i, given: next.gas, last: "" });
    } else if (next?.depth === step.depth) {
      charge(step, step.gas - next.gas);
    } else {
      charge(step, step.gasCost);
      const { call, given } = frames.at(-1)!;
      if (next === undefined) return;
      frames.pop();
      const caller = steps[call]!;
      const used = given - (step.gas - step.gasCost);
      charge(caller, caller.gas - next.gas - used);
    }
  });

  const calldata = Buffer.from(data.slice(2), "hex").reduce((sum, byte) => sum + (byte === 0 ? 4 : 16), 0);
  return {
    gasUsed: Number(gasUsed),
    intrinsic: INTRINSIC,
    calldata,
    refund: INTRINSIC + calldata + executed - Number(gasUsed),
    contracts,
    slots: [...slots.values()],
    functions,
  };
}

/** Addresses whose code runs, besides the one that the transaction is sent to. */
export function calledIn(steps: StructLog[]): Set<string> {
  return new Set(
    steps.filter(({ op }) => CALLS.includes(op)).map((step) => `0x${wordOf(step, 2).slice(-40)}`),
  );
}

function kindOf(op: string, gas: number): Kind {
  if (op === "SLOAD") return gas > 100 ? "cold SLOAD" : "warm SLOAD";
  if (op === "SSTORE") return "SSTORE";
  if (op === "TLOAD" || op === "TSTORE") return "transient";
  if (ACCOUNTS.includes(op)) return "accounts";
  if (op.startsWith("LOG")) return "logs";
  return op === "KECCAK256" || op === "SHA3" ? "keccak" : "compute";
}

/** The `position`-th word from the top of the stack, 64 hex digits. */
function wordOf(step: StructLog, position: number): string {
  return step.stack.at(-position)!.replace(/^0x/, "").padStart(64, "0");
}

// ---------------------------------------------------------------- tables

const MOST_FUNCTIONS = 30;
const figure = (gas: number) => (gas === 0 ? "" : gas.toLocaleString("en"));

export function kindTable(explanation: Explanation): string[][] {
  const { contracts, intrinsic, calldata, refund, gasUsed } = explanation;
  const total = (kinds: Map<Kind, number>) => [...kinds.values()].reduce((a, b) => a + b, 0);
  const rows = [...contracts]
    .sort(([, a], [, b]) => total(b) - total(a))
    .map(([name, kinds]) => [
      name,
      ...KINDS.map((kind) => figure(kinds.get(kind) ?? 0)),
      figure(total(kinds)),
    ]);
  const sums = KINDS.map((kind) =>
    [...contracts.values()].reduce((sum, kinds) => sum + (kinds.get(kind) ?? 0), 0),
  );
  const avoidable = KINDS.reduce((sum, kind, i) => (AVOIDABLE.includes(kind) ? sum + sums[i]! : sum), 0);
  const line = (name: string, gas: number) => [name, ...KINDS.map(() => ""), figure(gas)];
  return [
    ["gas by code", ...KINDS, "total"],
    ...rows,
    ["all contracts", ...sums.map(figure), figure(sums.reduce((a, b) => a + b, 0))],
    line("a transaction", intrinsic),
    line("its calldata", calldata),
    line("refund", -refund),
    line("gas used", gasUsed),
    line("without compute, keccak and second reads", gasUsed - avoidable),
  ];
}

const IMPLEMENTATION_SLOT = "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

function nameOf(slot: string): string {
  if (slot === IMPLEMENTATION_SLOT) return "implementation";
  return slot.startsWith("0".repeat(60)) ? `${parseInt(slot, 16)}` : `${slot.slice(0, 8)}…`;
}

/** In the order of the first access. */
export function slotTable({ slots }: Explanation): string[][] {
  return [
    ["storage of", "slot", "reads", "writes", "gas"],
    ...slots.map(({ contract, slot, reads, writes, gas }) => [
      contract,
      nameOf(slot),
      figure(reads),
      figure(writes),
      figure(gas),
    ]),
  ];
}

export function functionTable({ functions }: Explanation): string[][] {
  const sum = ({ own, generated }: FunctionGas) => own + generated;
  const sorted = [...functions].sort(([, a], [, b]) => sum(b) - sum(a));
  const rest = sorted.slice(MOST_FUNCTIONS).reduce((total, [, gas]) => total + sum(gas), 0);
  return [
    ["compute and keccak by function", "instructions", "own", "compiler's", "gas"],
    ...sorted
      .slice(0, MOST_FUNCTIONS)
      .map(([name, gas]) => [
        name,
        figure(gas.instructions),
        figure(gas.own),
        figure(gas.generated),
        figure(sum(gas)),
      ]),
    ["the others", "", "", "", figure(rest)],
  ];
}
