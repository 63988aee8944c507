/** What the four feeds of a market are told to answer. */
import type { Call } from "./chain.ts";
import type { Of, Side, Token } from "./sequence.ts";
import type { Venue } from "./venue.ts";

const SIDES: readonly Side[] = ["primary", "second"];
const TOKENS: readonly Token[] = ["collateral", "debt"];

export async function feedCalls(
  venue: Venue,
  operation: Of<"prices" | "feed" | "revert" | "heal">,
): Promise<Call[]> {
  const { feeds, parameters } = venue.market;
  const { interface: functions } = feeds.primary.collateral;
  const at = async (side: Side, token: Token) => await feeds[side][token].getAddress();
  const round = async (side: Side, token: Token, answer: bigint): Promise<Call> => ({
    to: await at(side, token),
    data: functions.encodeFunctionData("set", [answer]),
  });
  const reverting = async (side: Side, token: Token, is: boolean): Promise<Call> => ({
    to: await at(side, token),
    data: functions.encodeFunctionData("setReverting", [is]),
  });
  const rounds = (prices: Record<Side, bigint>) =>
    SIDES.flatMap((side) => [
      round(side, "collateral", prices[side]),
      round(side, "debt", parameters.debtPrice),
    ]);

  if (operation.do === "prices") return await Promise.all(rounds(operation));
  if (operation.do === "revert") return [await reverting(operation.side, operation.token, true)];
  if (operation.do === "heal") {
    const { price } = operation;
    const healed = SIDES.flatMap((side) => TOKENS.map((token) => reverting(side, token, false)));
    return await Promise.all([...healed, ...rounds({ primary: price, second: price })]);
  }
  const { side, token, answer, age } = operation;
  const to = await at(side, token);
  const last = BigInt(await venue.chain.read({ to, data: functions.encodeFunctionData("latestRound") }));
  const data = functions.encodeFunctionData("setRound", [last + 1n, answer, venue.chain.time - age]);
  return [{ to, data }];
}
