// A proposal's values out of a file of parameters, such as `npm run risk -- calibrate` writes.
import { formatAmount } from "@breakwater/sdk/core";
import { type Options, Refusal } from "@breakwater/sdk/desk";

import { type MarketParameters, parseAmount, readParameters } from "../../deploy/parameters.ts";

/** As they would be written on the command line. */
const riskOf = ({ risk }: MarketParameters): Options =>
  Object.fromEntries(
    (["maxLtv", "liquidationThreshold", "target", "bonusMin", "bonusMax", "slope"] as const).map((field) => [
      field,
      formatAmount(BigInt(risk[`${field}Bps`]), 2).replaceAll(",", ""),
    ]),
  );
const capsOf = ({ caps }: MarketParameters): Options =>
  Object.fromEntries(
    (["debt", "collateral", "minDebt"] as const).map((cap) => [
      cap,
      formatAmount(parseAmount(caps[cap], 6), 6),
    ]),
  );

/** By action: what it takes of a market's entry. */
const TAKES: Record<string, ((market: MarketParameters) => Options) | undefined> = {
  "set-risk": riskOf,
  "start-ramp": riskOf,
  "set-caps": capsOf,
};

export const takesFile = (action: string): boolean => TAKES[action] !== undefined;

/** What the command line does not name. */
export function withFile(action: string, options: Options): Options {
  const { parameters: file, market: id } = options;
  const read = TAKES[action];
  if (read === undefined || typeof file !== "string") return options;
  let markets: MarketParameters[];
  try {
    ({ markets } = readParameters(file));
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
  const market = markets.find((each) => each.id === id);
  if (!market) throw new Refusal(`${file} has no market ${String(id)}`);
  return { ...read(market), ...options };
}
