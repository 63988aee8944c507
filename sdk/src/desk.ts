// @breakwater/sdk/desk: what the owners of the Safes do, through ethers: the menu, proposals, signatures, what they cost.
// The command line and the web page show and do the same with it.
export * from "./desk/action.ts";
export * from "./desk/actions.ts";
export * from "./desk/cost.ts";
export * from "./desk/desk.ts";
export * from "./desk/execution.ts";
export * from "./desk/exercise.ts";
export * from "./desk/intent.ts";
export * from "./desk/proposal.ts";
export * from "./desk/signatures.ts";
export * from "./desk/status.ts";
