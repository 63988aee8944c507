// @breakwater/sdk/chain: reads and writes the contracts through ethers.
export * from "./chain/errors.ts";
export * from "./chain/quotes.ts";
