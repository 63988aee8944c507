// The commands of the desk, and what they print.
import { join } from "node:path";

import { explainRevert } from "@breakwater/sdk/chain";
import {
  type Action,
  ACTIONS,
  checkAgainstChain,
  checkSignatures,
  CostRisen,
  exerciseText,
  type Field,
  formatTime,
  nameOf,
  omissionOf,
  type Options,
  type OwnerSignature,
  type Proposal,
  propose,
  readStatus,
  Refusal,
  sign,
  STEPS,
  toJson,
  verifyProposal,
} from "@breakwater/sdk/desk";
import { Command, CommanderError } from "commander";

import { DEFAULT_RPC, openRpcDesk, readAddresses, type RpcDesk } from "./chain.ts";
import { execute } from "./execute.ts";
import { readProposal, readSignature, signaturesBeside, writeProposal, writeSignature } from "./files.ts";
import { takesFile, withFile } from "./parameters.ts";
import { confirmed, type KeyOptions, openSigner, ownerOf } from "./keys.ts";
import { decision, statusText } from "./text.ts";

export interface Output {
  out: (text: string) => void;
  err: (text: string) => void;
}

interface Common {
  rpc: string;
  addresses?: string;
  json: boolean;
}

/** Runs one command line; 0, or 1 after a refusal or a failure. */
export async function run(args: string[], { out, err }: Output): Promise<number> {
  const program = new Command("desk")
    .description("The signers' desk: a fixed menu, real Safes, no raw calldata. See docs/desk.md.")
    .showHelpAfterError("(--help says more)");

  const withDesk = async (options: Common, use: (desk: RpcDesk) => Promise<void>) => {
    const desk = await openRpcDesk(options.rpc, options.addresses);
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
  const menu: Record<string, Pick<Action, "summary" | "expires" | "fields"> & Partial<Action>> = {
    ...ACTIONS,
    ...STEPS,
  };
  for (const [name, { summary, expires, fields, isDelayed }] of Object.entries(menu)) {
    const command = common(proposals.command(name))
      .description(summary + (isDelayed ? " (schedules it; then execute)" : ""))
      .option("--file <file>", "to write (desk/ACTION-SAFE-NONCE.json)")
      .option("--expires <duration>", "how long signatures may be collected", expires)
      .option("--nonce <number>", "a later one than the Safe's next");
    for (const field of fields) {
      const of = field.choices ? `${field.words}: ${field.choices.join(", ")}` : field.words;
      command.option(field.kind === "yes" ? flagOf(field) : `${flagOf(field)} <${field.kind}>`, of);
    }
    if (takesFile(name)) {
      command.option(
        "--parameters <file>",
        "what is not named here, from the market's entry in this file (as in deploy/parameters)",
      );
    }
    command.action(async (given: Common & Options) =>
      withDesk(given, async (desk) => {
        const options = withFile(name, given) as Common & Options;
        const missing = fields.find((field) => !field.isOptional && options[field.name] === undefined);
        if (missing) throw new Refusal(`${flagOf(missing)} is missing`);
        const proposal = await propose(desk, name, options);
        const { cost } = proposal;
        const file =
          typeof options.file === "string" ? options.file : join("desk", nameOf(desk.addresses, proposal));
        const builder = await writeProposal(file, proposal);
        const intent = verifyProposal(desk.addresses, proposal);
        const omission = await omissionOf(desk, intent);
        say(
          options,
          { file, builder, ...proposal },
          `${decision(desk.addresses, proposal, intent, cost, omission)}\nWritten: ${file}, and ${builder} for Safe's Transaction Builder`,
        );
      }),
    );
  }

  withKey(common(program.command("sign").argument("<proposal>", "its file")))
    .description("show what a proposal does, then sign it; the signature is a file beside it")
    .option("--yes", "without asking at the terminal", false)
    .action(async (file: string, options: Common & KeyOptions & { yes: boolean }) =>
      withDesk(options, async (desk) => {
        const proposal = await readProposal(file);
        const checked = await checkAgainstChain(desk, proposal);
        const { intent, threshold, cost } = checked;
        const omission = await omissionOf(desk, intent);
        if (!options.json) out(decision(desk.addresses, proposal, intent, cost, omission));
        await confirmed(options.yes);
        const signature = await sign(
          proposal,
          await ownerOf(await openSigner(options, desk.provider)),
          checked,
        );
        const written = await writeSignature(file, signature);
        const { signer: address } = signature;
        say(
          options,
          {
            file: written,
            address,
            intent: intent.words,
            hashes: proposal.hashes,
            cost,
            omission,
            threshold,
          },
          `Signed by ${address}: ${written} (${threshold} signatures are needed)`,
        );
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
      const signatures = await signaturesOf(proposal, file, named);
      checkSignatures(proposal, signatures);
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
        const signatures = await signaturesOf(proposal, file, named);
        const sender = await openSigner(options, desk.provider);
        const done = await execute(desk, proposal, signatures, sender, options.acceptCost);
        say(
          options,
          done,
          `Executed in block ${done.block}, ${done.transaction}, gas ${done.gasUsed}\n${done.effect}`,
        );
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
      const { exercise } = await import("./exercise.ts");
      const report = await exercise({ ...options, say: options.json ? () => undefined : out });
      out(options.json ? toJson(report) : [...exerciseText(report), `Report: ${options.report}`].join("\n"));
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
    const how = error instanceof CostRisen ? " (--accept-cost)" : "";
    err(error instanceof Refusal ? `Refused: ${error.message}${how}` : explainRevert(error).words);
    return 1;
  }
}

/** The files that were named, or those beside the proposal. */
async function signaturesOf(proposal: Proposal, file: string, named: string[]): Promise<OwnerSignature[]> {
  return named.length > 0 ? Promise.all(named.map(readSignature)) : signaturesBeside(file, proposal);
}

/** maxLtv → --max-ltv */
function flagOf({ name }: Field): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
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
