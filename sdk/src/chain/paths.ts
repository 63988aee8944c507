import { concat, dataLength, dataSlice, toBeHex } from "ethers";

/** A Uniswap v3 path: token, fee, token, and so on. */
export function encodePath(tokens: readonly string[], fees: readonly bigint[]): string {
  if (fees.length === 0 || tokens.length !== fees.length + 1) {
    throw new RangeError(
      `a path of ${tokens.length} tokens needs ${tokens.length - 1} fees, not ${fees.length}`,
    );
  }
  return concat(tokens.flatMap((token, at) => (at === 0 ? [token] : [toBeHex(fees[at - 1]!, 3), token])));
}

/** The same path from its end, as Uniswap wants it for buying an exact amount. */
export function reversePath(path: string): string {
  const parts: string[] = [];
  for (let at = 0, size = 20; at < dataLength(path); at += size, size = 23 - size) {
    parts.unshift(dataSlice(path, at, at + size));
  }
  return concat(parts);
}
