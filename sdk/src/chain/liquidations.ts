import { type ProtocolEvent, readEvents } from "./events.ts";
import { type Contracts, providerOf } from "./connect.ts";

// What was liquidated, and who paid for what collateral did not cover.

export interface LiquidationRecord {
  /** Its id. */
  market: string;
  block: number;
  transaction: string;
  caller: string;
  /** Sold, in whole or in part, and seized. */
  ticks: number;
  repaid: bigint; // debt token units, as the following
  seized: bigint; // collateral token units
  /** Who paid what was missing. */
  loss: Loss;
  /** Of the whole transaction, which may hold others; only where it was asked for. */
  gasUsed?: bigint;
}

/** Debt token units; the first pays first. */
export interface Loss {
  insurance: bigint;
  reserves: bigint;
  lenders: bigint;
}

const NO_LOSS: Loss = { insurance: 0n, reserves: 0n, lenders: 0n };

/** A reorganisation may have put an event into a block that was read already. */
const READ_AGAIN = 32;

/** All markets' liquidations from block `from` on; each reading asks only for what is new since the last one. */
export function openLiquidations(contracts: Contracts, from: number, { withGas = false } = {}) {
  let events: ProtocolEvent<"Liquidate" | "ChangePot">[] = [];
  let next = from;
  const gas = new Map<string, bigint>();

  async function readGas(transaction: string): Promise<bigint> {
    const known = gas.get(transaction);
    if (known !== undefined) return known;
    const receipt = await providerOf(contracts).getTransactionReceipt(transaction);
    if (!receipt) throw new Error(`The node does not know ${transaction}`);
    gas.set(transaction, receipt.gasUsed);
    return receipt.gasUsed;
  }

  /** In their order, up to and with `block`. */
  return async function readLiquidations(block: number): Promise<LiquidationRecord[]> {
    // Readings may overlap: each replaces what it has read itself.
    const since = next;
    const found = await readEvents(contracts, ["Liquidate", "ChangePot"], since, block);
    const all = [...events.filter((event) => event.block < since), ...found];
    [events, next] = [all, Math.max(from, block + 1 - READ_AGAIN)];
    const records = all.flatMap((event, at) => {
      if (event.name !== "Liquidate") return [];
      const { caller, report } = event.args;
      const { market = "", transaction } = event;
      // It follows at once, if there is one.
      const pot = all
        .slice(at + 1)
        .find((later) => later.transaction === transaction && later.market === event.market);
      const { insurancePaid, reservesPaid, lendersLoss } =
        pot?.name === "ChangePot"
          ? pot.args.report
          : { insurancePaid: 0n, reservesPaid: 0n, lendersLoss: 0n };
      return {
        market,
        block: event.block,
        transaction,
        caller,
        ticks: Number(report.ticks),
        repaid: report.repaid,
        seized: report.seized,
        loss: { insurance: insurancePaid, reserves: reservesPaid, lenders: lendersLoss },
      };
    });
    if (!withGas) return records;
    return Promise.all(
      records.map(async (record) => ({ ...record, gasUsed: await readGas(record.transaction) })),
    );
  };
}

/** Of one market's: their sum. */
export function lossOf(records: readonly LiquidationRecord[]): Loss {
  return records.reduce(
    (sum, { loss }) => ({
      insurance: sum.insurance + loss.insurance,
      reserves: sum.reserves + loss.reserves,
      lenders: sum.lenders + loss.lenders,
    }),
    NO_LOSS,
  );
}

/** What their transactions took, each counted once. */
export function gasOf(records: readonly LiquidationRecord[]): bigint {
  const each = new Map(records.map(({ transaction, gasUsed = 0n }) => [transaction, gasUsed]));
  return [...each.values()].reduce((sum, gasUsed) => sum + gasUsed, 0n);
}
