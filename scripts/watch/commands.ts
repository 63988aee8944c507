// The watch: one look with an exit code, or a look at every block with metrics and alerts.
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

import { type Addresses, loadAddresses } from "@breakwater/sdk/addresses";
import { explainRevert } from "@breakwater/sdk/chain";
import { Refusal, formatDuration, formatTime, toJson } from "@breakwater/sdk/desk";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";

import { Endpoints } from "../../keeper/src/chain/endpoints.ts";
import type { OnEvent } from "../../keeper/src/events.ts";
import { type Alert, openAlerts } from "../../keeper/src/operation/alerts.ts";
import { openHealth, serve } from "../../keeper/src/operation/health.ts";
import { post } from "../../keeper/src/operation/webhook.ts";
import { DEFAULT_RPC, readAddresses } from "../desk/chain.ts";
import { type Look, openWatcher } from "./chain.ts";
import { openMetrics } from "./metrics.ts";
import { BLIND, type Finding, findings, RULES, standingSince } from "./rules.ts";
import { readThresholds, type Thresholds } from "./thresholds.ts";

export interface Output {
  out: (text: string) => void;
  err: (text: string) => void;
  /** Ends a watch. */
  signal: AbortSignal;
}

interface Options {
  rpc: string;
  addresses?: string;
  thresholds?: string;
  once: boolean;
  json: boolean;
  poll: number;
  metricsHost: string;
  metricsPort: string;
  webhook?: string;
}

/** What monitors understand. */
const [OK, FIRING, BLINDED] = [0, 1, 2];
const ALERT_MS = 1_000;

/** Runs one command line. */
export async function run(args: string[], output: Output): Promise<number> {
  let code = OK;
  const program = new Command("watch")
    .description("Evaluates the rules of docs/watch.md at every block: metrics, alerts, an exit code.")
    .option("--once", "one look, then exit: 0 nothing fires, 1 something does, 2 could not look", false)
    .option("--json", "print JSON: with --once one object, else one a line", false)
    .addOption(
      new Option(
        "--rpc <urls>",
        "JSON-RPC of the chain; several, separated by commas: the first that is well is used",
      )
        .env("RPC_URL")
        .default(DEFAULT_RPC),
    )
    .option("--addresses <file>", "of the deployment (deploy/addresses/<chainId>.json)")
    .option("--thresholds <file>", "YAML: other thresholds than the defaults")
    .option("--poll <ms>", "between looks for a new block", wholeNumber, 1_000)
    .addOption(
      new Option("--metrics-host <host>", "where /metrics and /health listen")
        .env("METRICS_HOST")
        .default("127.0.0.1"),
    )
    .addOption(new Option("--metrics-port <port>", "0: any that is free").env("METRICS_PORT").default("9465"))
    // Its address is a secret: it stands in no command line.
    .addOption(new Option("--webhook <url>", "gets alerts as JSON").env("WEBHOOK_URL").hideHelp())
    .addHelpText("after", `\nWEBHOOK_URL in the environment gets alerts as JSON.\n\n${describeRules()}`)
    .showHelpAfterError("(--help says more)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.out(text.trimEnd()),
      writeErr: (text) => output.err(text.trimEnd()),
    })
    .action(async (options: Options) => {
      code = await start(options, output);
    });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : BLINDED;
    output.err(`Could not look: ${explainRevert(error).words}`);
    return BLINDED;
  }
}

async function start(options: Options, output: Output): Promise<number> {
  const urls = options.rpc.split(",").map((url) => url.trim());
  for (const url of urls) {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new Refusal("--rpc: must be http(s) addresses");
  }
  const addresses = options.addresses
    ? await loadAddresses(options.addresses)
    : await readAddresses(await chainIdOf(urls));
  const thresholds = readThresholds(
    options.thresholds ? await readFile(options.thresholds, "utf8") : "",
    addresses.markets.map(({ id }) => id),
  );
  const listeners: OnEvent[] = [];
  const provider = new Endpoints({
    ...{ urls, chainId: addresses.chainId },
    onEvent: (event) => listeners.forEach((listen) => listen(event)),
  });
  const watch = { options, output, addresses, thresholds, provider };
  try {
    return await (options.once ? lookOnce(watch) : watchOn(watch, listeners));
  } finally {
    provider.destroy();
  }
}

interface Watch {
  options: Options;
  output: Output;
  addresses: Addresses;
  thresholds: Thresholds;
  provider: Endpoints;
}

interface Seen {
  look: Look;
  found: Finding[];
}

// ------------------------------------------------------------------ looking

/** Looks at block after block, and remembers what the rules compare with. */
async function openRounds({ addresses, thresholds, provider }: Watch) {
  const lookAt = await openWatcher(addresses, provider);
  let standing = new Map<string, number>();
  let last: Look | undefined;
  const look = async (block: number): Promise<Seen> => {
    const seen = await lookAt(block);
    if (seen.reorged) {
      last = undefined;
      standing = new Map([...standing].filter(([, since]) => since < block));
    }
    standing = standingSince(seen, standing);
    const found = findings(seen, thresholds, { ...(last && { look: last }), standing });
    last = seen;
    return { look: seen, found };
  };
  return {
    look,
    /** The first look: before it those at the blocks from which debt may have been standing. */
    async lookBack(head: number): Promise<Seen> {
      const missed: string[] = [];
      for (const block of pastBlocks(thresholds, addresses, head)) {
        try {
          await look(block);
        } catch (error) {
          missed.push(`the state of block ${block}: ${explainRevert(error).words}`);
        }
      }
      const now = await look(head);
      // Only then does it matter for how long.
      if (now.look.markets.some(({ debt }) => debt.canLiquidate)) now.look.unseen.push(...missed);
      return now;
    },
  };
}

function pastBlocks(thresholds: Thresholds, { markets, startBlock }: Addresses, head: number): number[] {
  const counts = markets.flatMap(({ id }) =>
    (["keeper-silent", "keeper-behind"] as const).map(
      (rule) => (thresholds(rule, id) as { blocks: number } | undefined)?.blocks ?? 0,
    ),
  );
  return [...new Set(counts)]
    .map((count) => head - count)
    .filter((block) => block < head && block > startBlock)
    .sort((a, b) => a - b);
}

async function lookOnce(watch: Watch): Promise<number> {
  const { options, output, addresses, thresholds, provider } = watch;
  const { look, found } = await (await openRounds(watch)).lookBack(await provider.getBlockNumber());
  const limits = thresholds("blind") as { seconds: number } | undefined;
  const age = Date.now() / 1_000 - Number(look.time);
  if (limits && age > limits.seconds) {
    look.unseen.push(
      `the newest block is ${formatDuration(Math.floor(age))} old: the node or the chain stands`,
    );
  }
  const { block, time, markets, unseen } = look;
  if (options.json) {
    output.out(toJson({ chainId: addresses.chainId, block, time, findings: found, unseen }));
  } else {
    for (const finding of found) output.out(lineOf(finding));
    for (const words of unseen) output.out(`unseen    ${words}`);
    const count = found.length === 0 ? "nothing fires" : `${found.length} firing`;
    output.out(`Block ${block}, ${formatTime(time)}: ${count}, in ${markets.length} markets.`);
  }
  return found.length > 0 ? FIRING : unseen.length > 0 ? BLINDED : OK;
}

function lineOf({ severity, rule, words, runbook }: Finding): string {
  return `${severity.padEnd(9)} ${rule.padEnd(14)} ${words}  (docs/runbooks/${runbook}.md)`;
}

// ------------------------------------------------------------------ watching

async function watchOn(watch: Watch, listeners: OnEvent[]): Promise<number> {
  const { options, output, addresses, thresholds, provider } = watch;
  const { chainId } = addresses;
  const metrics = openMetrics();
  const limits = thresholds("blind") as { seconds: number } | undefined;
  const health = openHealth({ maxSilence: limits?.seconds ?? Infinity, minBalance: 0n });
  const say = (event: string, about: Partial<Finding>) =>
    output.out(
      options.json
        ? JSON.stringify({ at: new Date().toISOString(), event, ...about })
        : `${new Date().toISOString()} ${event.padEnd(9)} ${about.words}`,
    );

  let current: Finding[] = [];
  let unseen: string[] = [];
  const problems = () => [
    ...health
      .problems()
      .map(({ words }) => ({ kind: "blind", words: `${words}  (docs/runbooks/${BLIND.runbook}.md)` })),
    ...unseen.map((words) => ({
      kind: `unseen ${words}`,
      severity: "warning" as const,
      words: `unseen: ${words}`,
    })),
    ...current.map(({ key, severity, words, runbook }) => ({
      ...{ kind: key, severity, words: `${words}  (docs/runbooks/${runbook}.md)` },
    })),
  ];
  const send = async ({ severity, key, words }: Alert) => {
    const text = `watch, chain ${chainId}: ${severity}: ${words}`;
    const at = new Date().toISOString();
    if (options.webhook) await post(options.webhook, { text, severity, key, chainId, at });
    say(severity, { key, words });
  };
  const alerts = openAlerts({ problems, send, onDelivery: metrics.delivered });
  listeners.push(alerts.onEvent);

  const at = { host: options.metricsHost, port: wholeNumber(options.metricsPort) };
  const server = await serve(at, metrics.registry, { problems: health.problems });
  say("started", { words: `metrics on ${server.url}/metrics, health on ${server.url}/health` });
  const isOver = () => output.signal.aborted;
  const telling = setInterval(() => void alerts.tell(), ALERT_MS);
  try {
    let rounds: Awaited<ReturnType<typeof openRounds>> | undefined;
    let block = -1;
    let failure = "";
    while (!isOver()) {
      try {
        const { block: head } = await provider.nextHead(block, options.poll, output.signal);
        const started = performance.now();
        let seen: Seen;
        if (rounds) seen = await rounds.look(head);
        else {
          const opened = await openRounds(watch);
          seen = await opened.lookBack(head);
          rounds = opened;
        }
        const ms = performance.now() - started;
        [block, current, unseen, failure] = [head, seen.found, seen.look.unseen, ""];
        metrics.looked(seen.look, seen.found, ms);
        const lagMs = Math.max(0, Date.now() - Number(seen.look.time) * 1_000);
        health.onEvent({ kind: "block", block, markets: seen.look.markets.length, lagMs, ms });
      } catch (error) {
        if (isOver()) break;
        metrics.failed();
        const words = explainRevert(error).words;
        if (words !== failure) say("failed", { words });
        failure = words;
        await pause(options.poll, undefined, { signal: output.signal }).catch(() => undefined);
      }
    }
    say("stopped", { words: "as it was told" });
    return OK;
  } finally {
    clearInterval(telling);
    await server.close();
  }
}

// ------------------------------------------------------------------ the command line

async function chainIdOf(urls: string[]): Promise<number> {
  for (const url of urls) {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
        signal: AbortSignal.timeout(5_000),
      });
      const { result } = (await response.json()) as { result?: string };
      if (result !== undefined) return Number(result);
    } catch {
      // the next one
    }
  }
  throw new Refusal(`no chain answers at ${urls.map((url) => new URL(url).host).join(", ")}`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

function describeRules(): string {
  const lines = Object.entries({ ...RULES, blind: BLIND }).map(([name, { threshold, severity, runbook }]) => {
    const limits = Object.entries(threshold.parse({}) as object).map(
      ([key, value]) => `${key} ${String(value)}`,
    );
    return `  ${name.padEnd(15)}${severity.padEnd(9)}${runbook.padEnd(19)}${limits.join(", ")}`;
  });
  return `rules, their severity, runbook and default thresholds:\n${lines.join("\n")}\n`;
}
