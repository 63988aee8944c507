import type { Cause, KeeperEvent, OnEvent } from "../events.ts";
import type { Problem } from "./health.ts";

// What a person has to know, told by webhook: once, again while it lasts, and when it is over. What is wrong is kept apart
// from what was told, so that an alert that could not be delivered is tried again.

export interface Alert {
  key: string;
  severity: "page" | "warning" | "resolved";
  words: string;
}

export interface AlertOptions {
  problems: () => Problem[];
  /** Throws if the alert could not be delivered. */
  send: (alert: Alert) => Promise<void>;
  onDelivery: (succeeded: boolean) => void;
  now?: () => number; // milliseconds, of a clock that nobody sets
}

export interface Alerts {
  onEvent: OnEvent;
  /** Tells what is due; called every second or so. */
  tell: () => Promise<void>;
}

const REPEAT_MS = 3_600_000;
/** What happens rather than lasts is over after this; what comes and goes is not over before this. */
const CALM_MS = 60_000;
const MAX_BACKOFF_MS = 60_000;
const FAILED_ROUNDS = 3;

/** The others belong to the business. */
const PAGES: Cause[] = ["bug", "unknown", "no gas money", "key shared", "no journal"];

interface Condition {
  severity: "page" | "warning";
  words: string;
  lasts: boolean;
  seenAt: number;
  toldAt: number | undefined;
}

export function openAlerts({
  problems,
  send,
  onDelivery,
  now = () => performance.now(),
}: AlertOptions): Alerts {
  const conditions = new Map<string, Condition>();
  const failed = { count: 0, sinceBlock: false };
  let lasting: string[] = []; // problems that were there the last time
  let leads = false;
  let isTelling = false;
  let failures = 0;
  let notBefore = 0;

  const raise = (key: string, severity: Condition["severity"], words: string, lasts = false): void => {
    const before = conditions.get(key);
    // What became serious is told anew.
    const toldAt = before?.severity === severity ? before.toldAt : undefined;
    conditions.set(key, { severity, words, lasts, seenAt: now(), toldAt });
  };
  const end = (key: string): void => {
    const condition = conditions.get(key);
    if (condition?.lasts) conditions.set(key, { ...condition, lasts: false, seenAt: now() });
  };

  const onEvent = (event: KeeperEvent): void => {
    switch (event.kind) {
      case "block":
        // A block of which some market could not be read is no clean one.
        if (!failed.sinceBlock) {
          failed.count = 0;
          end("rounds");
        }
        failed.sinceBlock = false;
        break;
      case "round failed":
        failed.count++;
        failed.sinceBlock = true;
        if (failed.count >= FAILED_ROUNDS) {
          raise("rounds", "page", `rounds fail, no clean one among ${failed.count}: ${event.words}`, true);
        }
        break;
      case "endpoint": {
        const key = `endpoint ${event.endpoint}`;
        const isSerious = event.state === "wrong chain" || event.state === "disagrees";
        if (event.state === "up") end(key);
        else raise(key, isSerious ? "page" : "warning", `${key}: ${event.state}: ${event.words}`, true);
        break;
      }
      case "missed":
        if (PAGES.includes(event.cause)) {
          raise(`missed: ${event.cause}`, "page", `${event.market}: ${event.action} missed: ${event.words}`);
        }
        break;
      case "lease":
        // A keeper that never had it stands by.
        if (leads && !event.held) raise("lease", "warning", `another keeper takes over: ${event.words}`);
        leads = event.held;
        break;
      case "held":
        raise(`held ${event.nonce}`, "warning", `transaction ${event.nonce} waits: ${event.words}`, true);
        break;
      case "replaced":
      case "mined":
        end(`held ${event.nonce}`);
        break;
      case "reorged":
        raise("reorg", "warning", `transaction ${event.nonce} was undone by a reorg and is pending again`);
        break;
      default:
    }
  };

  const due = (): Alert[] => {
    const wrong = new Map(problems().map((problem) => [problem.kind, problem]));
    for (const { kind, severity = "page", words } of wrong.values()) raise(kind, severity, words, true);
    for (const kind of lasting) if (!wrong.has(kind)) end(kind);
    lasting = [...wrong.keys()];
    const alerts: Alert[] = [];
    for (const [key, { severity, words, lasts, seenAt, toldAt }] of conditions) {
      const isOver = !lasts && now() - seenAt >= CALM_MS;
      if (toldAt === undefined || (!isOver && now() - toldAt >= REPEAT_MS)) {
        alerts.push({ key, severity, words });
      } else if (isOver) alerts.push({ key, severity: "resolved", words: `over: ${words}` });
    }
    return alerts;
  };

  const tell = async (): Promise<void> => {
    if (isTelling || now() < notBefore) return;
    isTelling = true;
    try {
      for (const alert of due()) {
        const before = conditions.get(alert.key);
        await send(alert);
        onDelivery(true);
        failures = 0;
        const condition = conditions.get(alert.key)!;
        // Meanwhile it may have come back: then it is told anew.
        if (alert.severity !== "resolved") condition.toldAt = now();
        else if (condition === before) conditions.delete(alert.key);
        else condition.toldAt = undefined;
      }
    } catch {
      onDelivery(false);
      notBefore = now() + Math.min(1_000 * 2 ** failures++, MAX_BACKOFF_MS);
    } finally {
      isTelling = false;
    }
  };

  return { onEvent, tell };
}
