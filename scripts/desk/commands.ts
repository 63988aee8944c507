// The commands of the desk, and what they print.
import { join } from "node:path";

import { explainRevert } from "@breakwater/sdk/chain";
import { Command, CommanderError } from "commander";

import type { Options } from "./action.ts";
import { ACTIONS } from "./actions.ts";
import { DEFAULT_RPC, type Desk, formatTime, openDesk, readAddresses, Refusal, toJson } from "./chain.ts";
import { execute } from "./execute.ts";
import { propose, readProposal, verifyProposal, writeProposal } from "./proposal.ts";
import {
  checkAgainstChain,
  collect,
  confirmed,
  decision,
  type KeyOptions,
  openSigner,
  sign,
  signaturesBeside,
} from "./sign.ts";
import { readStatus, statusText } from "./status.ts";

export interface Output {
  out: (text: string) => void;
  err: (text: string) => void;
}

interface Common {
  rpc: string;
  addresses?: string;
  json: boolean;
}

const CANCEL = { summary: "what the governor has scheduled", expires: "1h" };
const VOID = {
  summary: "use a Safe's nonce up, so that what else has it can never be executed",
  expires: "24h",
};

/** Runs one command line; 0, or 1 after a refusal or a failure. */
export async function run(args: string[], { out, err }: Output): Promise<number> {
  const program = new Command("desk")
    .description("The signers' desk: a fixed menu, real Safes, no raw calldata. See docs/desk.md.")
    .showHelpAfterError("(--help says more)");

  const withDesk = async (options: Common, use: (desk: Desk) => Promise<void>) => {
    const desk = await openDesk(options.rpc, options.addresses);
    try {
      await use(desk);
    } finally {
      desk.close();
    }
  };
  const say = (options: Common, value: unknown, text: string) => out(options.json ? toJson(value) : text);

  common(program.command("status"))
    .description("every market, the Safes, and what is scheduled")
    .option("--blocks <count>", "how far to look back for liquidations", "5000")
    .action(async (options: Common & { blocks: string }) =>
      withDesk(options, async (desk) => {
        const status = await readStatus(desk, Number(options.blocks));
        say(options, status, statusText(status));
      }),
    );

  const proposals = program.command("propose").description("write a proposal for a Safe's owners to sign");
  const addAction = (
    name: string,
    summary: string,
    expires: string,
    flags: [string, string][],
    isDelayed: boolean,
  ) => {
    const command = common(proposals.command(name))
      .description(summary + (isDelayed ? " (schedules it; then execute)" : ""))
      .option("--file <file>", "to write (desk/NAME-NONCE.json)")
      .option("--expires <duration>", "how long signatures may be collected", expires)
      .option("--nonce <number>", "a later one than the Safe's next");
    for (const [flag, description] of flags) command.option(flag, description);
    command.action(async (options: Common & Options) =>
      withDesk(options, async (desk) => {
        const proposal = await propose(desk, name, options);
        const { safe, transaction, cost } = proposal;
        const isPauser = safe === desk.addresses.safes.pauser;
        const fallback = `${name}-${isPauser ? "pauser" : "governor"}-${transaction.nonce}.json`;
        const file = typeof options.file === "string" ? options.file : join("desk", fallback);
        const builder = await writeProposal(file, proposal);
        const intent = verifyProposal(desk.addresses, proposal);
        say(
          options,
          { file, builder, ...proposal },
          `${decision(desk.addresses, proposal, intent, cost)}\nWritten: ${file}, and ${builder} for Safe's Transaction Builder`,
        );
      }),
    );
  };
  for (const [name, { summary, expires, options, isDelayed }] of Object.entries(ACTIONS)) {
    addAction(name, summary, expires, options, isDelayed);
  }
  const safe: [string, string] = ["--safe <name>", "pauser or governor"];
  const operation: [string, string] = ["--operation <id>", "as desk status shows it"];
  addAction("execute", "what was scheduled, when its delay is over", "24h", [operation], false);
  addAction("cancel", CANCEL.summary, CANCEL.expires, [operation, safe], false);
  addAction("void", VOID.summary, VOID.expires, [safe], false);

  withKey(common(program.command("sign").argument("<proposal>", "its file")))
    .description("show what a proposal does, then sign it; the signature is a file beside it")
    .option("--yes", "without asking at the terminal", false)
    .action(async (file: string, options: Common & KeyOptions & { yes: boolean }) =>
      withDesk(options, async (desk) => {
        const proposal = await readProposal(file);
        const { intent, owners, threshold, cost } = await checkAgainstChain(desk, proposal);
        if (!options.json) out(decision(desk.addresses, proposal, intent, cost));
        await confirmed(options.yes);
        const signer = await openSigner(options, options.rpc);
        try {
          const signed = await sign(proposal, file, signer, owners, cost);
          const words = intent.words;
          const text = `Signed by ${signed.address}: ${signed.file} (${threshold} signatures are needed)`;
          say(options, { ...signed, intent: words, hashes: proposal.hashes, cost, threshold }, text);
        } finally {
          signer.provider?.destroy();
        }
      }),
    );

  program
    .command("verify")
    .argument("<proposal>", "its file")
    .argument("[signatures...]", "files; those beside the proposal if none is named")
    .description("recompute everything that a proposal and its signatures claim, without a chain")
    .option("--addresses <file>", "deploy/addresses/<chainId>.json")
    .option("--json", "print JSON", false)
    .action(async (file: string, named: string[], options: Common) => {
      const proposal = await readProposal(file);
      const addresses = await readAddresses(proposal.chainId, options.addresses);
      const intent = verifyProposal(addresses, proposal);
      const signatures = await collect(
        proposal,
        named.length > 0 ? named : await signaturesBeside(file, proposal),
      );
      const signers = signatures.map(({ signer }) => signer);
      // Offline there is only this machine's clock.
      if (Date.now() >= proposal.expiresAt * 1_000) {
        throw new Refusal(`expired: this proposal ended at ${formatTime(proposal.expiresAt)}`);
      }
      const text =
        `${decision(addresses, proposal, intent, proposal.cost)}\n(The cost is what the proposer was told; sign and execute ask the chain.)\n` +
        `The file is what its bytes say. Signed by ${signers.join(", ") || "nobody yet"}`;
      say(options, { action: intent.action, intent: intent.words, hashes: proposal.hashes, signers }, text);
    });

  withKey(
    common(
      program
        .command("execute")
        .argument("<proposal>", "its file")
        .argument("[signatures...]", "files; those beside it if none is named"),
    ),
  )
    .description("merge the signatures, simulate, send, and check the state afterwards; any account may send")
    .option("--accept-cost", "although it has risen since somebody signed", false)
    .action(async (file: string, named: string[], options: Common & KeyOptions & { acceptCost: boolean }) =>
      withDesk(options, async (desk) => {
        const proposal = await readProposal(file);
        const signatures = named.length > 0 ? named : await signaturesBeside(file, proposal);
        const sender = await openSigner(options, options.rpc);
        try {
          const done = await execute(desk, proposal, signatures, sender, options.acceptCost);
          say(
            options,
            done,
            `Executed in block ${done.block}, ${done.transaction}, gas ${done.gasUsed}\n${done.effect}`,
          );
        } finally {
          sender.provider?.destroy();
        }
      }),
    );

  program
    .command("exercise")
    .description(
      "a timed exercise on a canary market of a chain of its own: alert, proposal, signatures, pause, lapse, grace, normal",
    )
    .option("--wait", "wait for people to sign with their own desks instead of signing at once", false)
    .option("--report <file>", "to write", "desk/exercise.json")
    .option("--json", "print JSON", false)
    .action(async (options: { wait: boolean; report: string; json: boolean }) => {
      // Needs Hardhat, which the other commands do not.
      const { exercise, exerciseText } = await import("./exercise.ts");
      const report = await exercise({ ...options, say: options.json ? () => undefined : out });
      out(options.json ? toJson(report) : exerciseText(report, options.report));
    });

  for (const each of allOf(program)) {
    each.exitOverride().configureOutput({
      writeOut: (text) => out(text.trimEnd()),
      writeErr: (text) => err(text.trimEnd()),
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    err(error instanceof Refusal ? `Refused: ${error.message}` : explainRevert(error).words);
    return 1;
  }
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

function common(command: Command): Command {
  return command
    .option("--rpc <url>", "JSON-RPC of the chain ($DESK_RPC)", process.env.DESK_RPC ?? DEFAULT_RPC)
    .option("--addresses <file>", "deploy/addresses/<chainId>.json")
    .option("--json", "print JSON", false);
}

function withKey(command: Command): Command {
  return command
    .option("--account <address>", "an account that the node has unlocked")
    .option("--keystore <file>", "an encrypted JSON keystore; password from $KEYSTORE_PASSWORD, or asked for")
    .option("--key-env <name>", "the environment variable with a private key", "DESK_KEY");
}
