// What the keeper's tests share.
import { setTimeout as pause } from "node:timers/promises";

import { expect } from "chai";

import type { Parameters } from "../../keeper/src/decide.ts";

export const PARAMETERS: Parameters = {
  minProfit: 10n ** 15n, // 2 USDC
  maxSlippage: 50n,
  deadline: 120n,
  maxTicks: 100,
  gasBase: 700_000n,
  gasPerTick: 15_000n,
  inventory: undefined,
  rescue: undefined,
  seizeBudget: 5n * 10n ** 16n,
  pokeBudget: 5n * 10n ** 15n,
  pokePeriod: 0n,
};

const DEADLINE_MS = 60_000; // of a machine that does other things too

export async function until(
  what: string,
  is: () => boolean | Promise<boolean>,
  explain: () => string = () => "",
): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!(await is())) {
    if (performance.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}\n${explain()}`);
    await pause(20);
  }
}

export async function expectRejection(promise: Promise<unknown>, words: RegExp): Promise<void> {
  try {
    await promise;
  } catch (error) {
    expect(String(error)).to.match(words);
    return;
  }
  expect.fail(`not rejected with ${words}`);
}
