import { concat, toBeHex } from "ethers";

/** A Uniswap v3 path: token, fee, token, and so on. */
export function encodePath(tokens: readonly string[], fees: readonly bigint[]): string {
  if (fees.length === 0 || tokens.length !== fees.length + 1) {
    throw new RangeError(
      `a path of ${tokens.length} tokens needs ${tokens.length - 1} fees, not ${fees.length}`,
    );
  }
  return concat(tokens.flatMap((token, at) => (at === 0 ? [token] : [toBeHex(fees[at - 1]!, 3), token])));
}
