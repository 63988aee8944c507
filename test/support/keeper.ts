// What the keeper's tests run it with.
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
