import { openSync, write, writeSync } from "node:fs";

import { type Logger, pino } from "pino";

import type { OnEvent } from "../events.ts";

// JSON lines in which no secret stands, from a keeper that neither a full disk nor a reader that stalls can stop. Pino's own
// stream tries for ever to write its last lines, so on a full disk such a process never ends.

/** Bytes that wait for a slow reader; what comes beyond is dropped and counted. */
const MAX_WAITING = 2 ** 20;
const RETRY_MS = 100;

export interface LogOptions {
  level: string;
  secrets: readonly string[];
  /** Lines were lost. */
  onFailure: () => void;
  /** A descriptor or a file. */
  destination?: number | string;
}

export function openLog({ level, secrets, onFailure, destination = 1 }: LogOptions): Logger {
  const descriptor = typeof destination === "string" ? openSync(destination, "a") : destination;
  const write = openStream(descriptor, onFailure);
  return pino(
    { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line: string) => write(scrub(line, secrets)) },
  );
}

/** What becomes of transactions, endpoints and the lease; the keeper itself tells the rest. */
export function logEvents(log: Logger): OnEvent {
  return (event) => {
    const { kind, ...about } = event;
    const record = Object.fromEntries(
      Object.entries(about).map(([key, value]) => [key, typeof value === "bigint" ? String(value) : value]),
    );
    switch (event.kind) {
      case "sent":
      case "mined":
        log.debug(record, `transaction ${event.nonce} ${kind}`);
        break;
      case "replaced":
        log.info(record, `transaction ${event.nonce} replaced: ${event.why}`);
        break;
      case "held":
        log.warn(record, `transaction ${event.nonce} waits: ${event.words}`);
        break;
      case "reorged":
        log.warn(record, `transaction ${event.nonce} was undone by a reorg and is pending again`);
        break;
      case "endpoint":
        log[event.state === "up" ? "info" : "warn"](
          record,
          `${event.endpoint} is ${event.state}: ${event.words}`,
        );
        break;
      case "lease":
        log.info(record, `${event.held ? "leads" : "stands by"}: ${event.words}`);
        break;
      default:
    }
  };
}

/** `text` without any of the secrets, as they are or as JSON writes them. */
export function scrub(text: string, secrets: readonly string[]): string {
  return secrets
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
    .reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), text);
}

function openStream(descriptor: number, onFailure: () => void): (line: string) => void {
  let waiting = Buffer.alloc(0);
  let isWriting = false;
  const drain = (): void => {
    if (isWriting || waiting.length === 0) return;
    isWriting = true;
    const chunk = waiting;
    waiting = Buffer.alloc(0);
    write(descriptor, chunk, (error, written) => {
      isWriting = false;
      if (error?.code === "EAGAIN") {
        waiting = Buffer.concat([chunk, waiting]);
        setTimeout(drain, RETRY_MS);
        return;
      }
      if (error) onFailure();
      else waiting = Buffer.concat([chunk.subarray(written), waiting]);
      drain();
    });
  };
  process.once("exit", () => {
    try {
      if (waiting.length > 0) writeSync(descriptor, waiting);
    } catch {
      // There is nobody left to tell.
    }
  });
  return (line) => {
    const bytes = Buffer.from(line);
    if (waiting.length + bytes.length > MAX_WAITING) {
      onFailure();
      return;
    }
    waiting = Buffer.concat([waiting, bytes]);
    drain();
  };
}
