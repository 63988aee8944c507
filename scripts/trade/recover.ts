// npm run trade -- recover: an account that outlives its owner's key (AccountRecovery). Guardians that are Safes use the desk.
import {
  cancelRecovery,
  finishRecovery,
  quoteRecovery,
  readAccount,
  type RecoverableAccount,
  type Transaction,
} from "@breakwater/sdk/chain";
import type { Command } from "commander";
import { getAddress, isAddress } from "ethers";

import { argument, type Common, common, type Desk, print, submit, table, withDesk } from "./desk.ts";

interface Recovering extends Common {
  of: string;
}
interface Starting extends Recovering {
  newOwner: string;
  until: bigint;
  lock: boolean;
}

const address = argument((text) => {
  if (!isAddress(text)) throw new RangeError("no address");
  return getAddress(text);
});
const time = argument((text) => {
  const seconds = Date.parse(text) / 1_000;
  if (!Number.isInteger(seconds)) throw new RangeError("a time such as 2026-12-01T12:00:00Z");
  return BigInt(seconds);
});

export function addRecover(program: Command): void {
  const recover = program
    .command("recover")
    .description("gives an account under AccountRecovery a new owner, and says where it stands");
  const command = (name: string, description: string) =>
    common(recover.command(name).description(description)).requiredOption(
      "--of <account>",
      "the account",
      address,
    );

  command("status", "who owns and guards the account, and what is pending").action(
    async (options: Recovering) => {
      await withDesk(options, async (desk) => {
        const state = await readAccount(desk.contracts, options.of);
        if (options.json) print(state);
        else table(describe(state));
      });
    },
  );

  command("start", "as a guardian: approves a recovery, or starts it if enough others have approved it")
    .requiredOption("--new-owner <address>", "who gets the account", address)
    .requiredOption("--until <time>", "that the approvals count; every guardian names the same one", time)
    .option("--lock", "and lock the account: its owner, or a thief, then cannot cancel", false)
    .action(async (options: Starting) =>
      run(options, async (desk, state) => {
        const { approved, missing, transaction } = await quoteRecovery(desk.contracts, {
          account: options.of,
          guardian: await desk.signer.getAddress(),
          newOwner: options.newOwner,
          deadline: options.until,
          lock: options.lock,
        });
        return {
          transaction,
          rows: [
            ["new owner", options.newOwner],
            ["approvals, yours included", `${approved.length} of ${state.threshold}`],
            ["which count until", textOf(options.until)],
            [
              "then",
              missing > 0 ? `${missing} more must run the same command` : startOf(state, options.lock),
            ],
          ],
        };
      }),
    );

  command("cancel", "as the owner: drops the pending recovery").action(async (options: Recovering) =>
    run(options, async (desk) => ({
      transaction: await cancelRecovery(desk.contracts, options.of),
      rows: [["then", "its owner stays"]],
    })),
  );

  command("finish", "as anyone: gives the account its new owner once the delay is over").action(
    async (options: Recovering) =>
      run(options, async (desk, { recovery }) => ({
        transaction: await finishRecovery(desk.contracts, options.of),
        rows: [["then", `${recovery?.newOwner ?? "nobody new"} owns it, and it is not locked`]],
      })),
  );
}

/** Shows where the account stands and what this does, and asks the chain whether it would, before anybody is asked. */
async function run(
  options: Recovering,
  ask: (desk: Desk, state: RecoverableAccount) => Promise<{ transaction: Transaction; rows: string[][] }>,
): Promise<void> {
  await withDesk(options, async (desk) => {
    const state = await readAccount(desk.contracts, options.of);
    const { transaction, rows } = await ask(desk, state);
    const { to, data } = transaction;
    await desk.provider.call({ to, data, from: await desk.signer.getAddress() });
    if (!options.json) {
      table([...describe(state), ...rows]);
      console.log(`\ntransactions: ${transaction.words}`);
    }
    await submit(desk, options, [transaction], { account: state });
  });
}

function describe({
  account,
  owner,
  guardians,
  threshold,
  delay,
  lockedUntil,
  recovery,
}: RecoverableAccount) {
  const phases = { waiting: "the owner can cancel", due: "anyone can finish it", lapsed: "it has lapsed" };
  return [
    ["account", account],
    ["owner", owner],
    [`guardians, ${threshold} of them`, guardians.join(" ")],
    ["delay", `${delay / 3_600n} hours`],
    ["locked until", lockedUntil === undefined ? "not locked" : textOf(lockedUntil)],
    ...(recovery
      ? [
          ["recovery to", recovery.newOwner],
          ["to be finished", `from ${textOf(recovery.from)} until ${textOf(recovery.until)}`],
          ["now", phases[recovery.phase]],
        ]
      : [["recovery to", "none is pending"]]),
  ];
}

function startOf({ delay }: RecoverableAccount, lock: boolean): string {
  const cancel = lock ? "and the owner cannot cancel" : "unless the owner cancels";
  return `in ${delay / 3_600n} hours anyone can finish it, ${cancel}`;
}

function textOf(seconds: bigint): string {
  return new Date(Number(seconds) * 1_000).toISOString().replace(".000Z", "Z");
}
