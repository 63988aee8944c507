// A timed exercise: a market's price goes wrong, the signers pause it, the pause lapses into grace, the market is normal.
import type { Addresses, MarketAddresses } from "../addresses.ts";
import { type Desk, formatDuration } from "./desk.ts";

export interface ExerciseReport {
  startedAt: string;
  market: string;
  signedBy: "people" | "the exercise itself";
  /** Wall-clock milliseconds of each step. */
  steps: { step: string; milliseconds: number; found: string }[];
  alertToPausedMilliseconds: number;
  /** On the chain's clock. */
  pausedSeconds: number;
  graceSeconds: number;
  otherMarketsUntouched: boolean;
}

/** How long an exercise pauses. */
export const EXERCISE_PAUSE = "30m";
const LOCAL_CHAIN = 31_337;

/** What an exercise may stop: a canary market; on a chain of one's own any. */
export function exerciseMarkets({ chainId, markets }: Addresses): MarketAddresses[] {
  const canaries = markets.filter(({ id }) => id.startsWith("canary-"));
  return canaries.length > 0 || chainId !== LOCAL_CHAIN ? canaries : markets;
}

/** Every market's pauses, to compare with afterwards. */
export async function countPauses({ addresses, brake }: Desk): Promise<Map<string, bigint>> {
  const counted = addresses.markets.map(async ({ id, vault }) => {
    const { liquidationPauses, newRiskPauses } = await brake.stateOf(vault);
    return [id, liquidationPauses + newRiskPauses] as const;
  });
  return new Map(await Promise.all(counted));
}

/** The pause that a market is in, and whether no other was touched since `before`. */
export async function exercisedPause(
  desk: Desk,
  market: string,
  before: Map<string, bigint>,
): Promise<Pick<ExerciseReport, "pausedSeconds" | "graceSeconds" | "otherMarketsUntouched">> {
  const { vault } = desk.addresses.markets.find(({ id }) => id === market)!;
  const [{ pausedAt, pausedUntil, graceUntil }, after] = await Promise.all([
    desk.brake.stateOf(vault),
    countPauses(desk),
  ]);
  return {
    pausedSeconds: Number(pausedUntil - pausedAt),
    graceSeconds: Number(graceUntil - pausedUntil),
    otherMarketsUntouched: [...after].every(([id, count]) => id === market || count === before.get(id)),
  };
}

export function exerciseText(report: ExerciseReport): string[] {
  const { alertToPausedMilliseconds, pausedSeconds, graceSeconds, otherMarketsUntouched } = report;
  return [
    `From alert to paused: ${(alertToPausedMilliseconds / 1_000).toFixed(1)} s, signed by ${report.signedBy}`,
    `Paused for ${formatDuration(pausedSeconds)}, grace of ${formatDuration(graceSeconds)}, both ended by themselves`,
    otherMarketsUntouched ? "No other market was touched." : "ANOTHER MARKET WAS PAUSED TOO.",
  ];
}
