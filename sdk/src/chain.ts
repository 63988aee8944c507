// @breakwater/sdk/chain: reads and writes the contracts through ethers.
export * from "./chain/connect.ts";
export * from "./chain/errors.ts";
export * from "./chain/funding.ts";
export {
  type EventName,
  type ProtocolEvent,
  type WatchOptions,
  readEvents,
  readLogs,
  watchEvents,
} from "./chain/events.ts";
export * from "./chain/history.ts";
export * from "./chain/lending.ts";
export * from "./chain/liquidations.ts";
export * from "./chain/markets.ts";
export * from "./chain/orders.ts";
export * from "./chain/positions.ts";
export * from "./chain/recovery.ts";
export * from "./chain/sources.ts";
export * from "./chain/trade.ts";
export * from "./chain/transactions.ts";
export * from "./chain/venue.ts";
