// @breakwater/sdk/core: the protocol's arithmetic on bigint. Imports nothing: no chain, no clock, no configuration.
export * from "./core/book.ts";
export * from "./core/exp.ts";
export * from "./core/funding.ts";
export * from "./core/grid.ts";
export * from "./core/leverage.ts";
export * from "./core/math.ts";
export * from "./core/orders.ts";
export * from "./core/position.ts";
export * from "./core/ramp.ts";
export * from "./core/rate.ts";
export * from "./core/replay.ts";
export * from "./core/rungs.ts";
export * from "./core/sale.ts";
export * from "./core/size.ts";
export * from "./core/units.ts";
