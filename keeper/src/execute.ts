import { type Contracts, explainRevert } from "@breakwater/sdk/chain";
import { type ContractTransactionResponse, type Provider, type TransactionReceipt, isError } from "ethers";

import { type Absorption, type Action, type FlashLiquidation, type Poke, inDebt } from "./decide.ts";

// Simulates, sends, waits, and says what came of it.

export type Outcome =
  | { status: "done"; hash: string; gasUsed: bigint; gasPaid: bigint; repaid: bigint; profit: bigint }
  /** Nothing was sent. */
  | { status: "refused"; words: string }
  /** Mined and failed: it cost gas. */
  | { status: "reverted"; hash: string; words: string }
  /** Not seen in a block within the time given; it may still come. */
  | { status: "unmined"; hash: string };

/** `contracts` send from `account`. */
export interface Sender {
  contracts: Contracts;
  provider: Provider;
  account: string;
}

/** What the decision was made with. */
export interface Fees {
  gasPrice: bigint;
  coinPrice: bigint | undefined;
}

const RECEIPT_TIMEOUT_MS = 120_000;

export async function execute(action: Action, sender: Sender, fees: Fees): Promise<Outcome> {
  try {
    if (action.kind === "poke") return await poke(action, sender);
    if (action.mode === "absorb") return await absorb(action, sender);
    if (action.mode === "flash") return await liquidate(action, sender, fees);
    return { status: "refused", words: "no inventory yet" };
  } catch (error) {
    // Simulation, estimate or sending failed: nothing is in a block.
    return { status: "refused", words: explainRevert(error).words };
  }
}

async function liquidate(
  action: FlashLiquidation,
  sender: Sender,
  { gasPrice, coinPrice = 0n }: Fees,
): Promise<Outcome> {
  const { liquidate: call, interface: abi } = sender.contracts.flashLiquidator;
  const params = {
    market: action.market,
    maxRepay: action.maxRepay,
    fromTick: action.offer.fromTick,
    maxTicks: action.maxTicks,
    buyPot: action.buyPot,
    path: action.path,
    minOut: action.minOut,
    minProfit: action.minProfit,
    deadline: action.deadline,
    receiver: sender.account,
  };
  const { profit: expected } = await call.staticCall(params);
  const gas = await call.estimateGas(params);
  const net = expected - inDebt(gas * gasPrice, coinPrice);
  if (net < action.costs.required) {
    return { status: "refused", words: `${gas} gas would leave ${net} of at least ${action.costs.required}` };
  }
  const outcome = await settle(sender, call(params, { gasLimit: withRoom(gas) }));
  if (outcome.status !== "mined") return outcome;
  const event = outcome.receipt.logs
    .map((log) => abi.parseLog(log))
    .find((log) => log?.name === "FlashLiquidate")?.args;
  return done(
    outcome.receipt,
    (event?.repaid as bigint | undefined) ?? 0n,
    (event?.profit as bigint | undefined) ?? 0n,
  );
}

async function absorb(action: Absorption, sender: Sender): Promise<Outcome> {
  const { seize: call } = sender.contracts.liquidator;
  const gas = await call.estimateGas(action.market, action.maxTicks);
  const outcome = await settle(sender, call(action.market, action.maxTicks, { gasLimit: withRoom(gas) }));
  return outcome.status === "mined" ? done(outcome.receipt, 0n, 0n) : outcome;
}

async function poke(action: Poke, sender: Sender): Promise<Outcome> {
  const { contracts } = sender;
  const call =
    action.what === "oracle"
      ? contracts.oracle(action).update
      : contracts.vault({ vault: action.market }).pokeRamp;
  const gas = await call.estimateGas();
  const outcome = await settle(sender, call({ gasLimit: withRoom(gas) }));
  return outcome.status === "mined" ? done(outcome.receipt, 0n, 0n) : outcome;
}

/** Puts every market into the grace that an outage of the sequencer calls for. */
export async function startSequencerGrace(sender: Sender): Promise<Outcome> {
  try {
    const { startSequencerGrace: call } = sender.contracts.brake;
    const gas = await call.estimateGas();
    const outcome = await settle(sender, call({ gasLimit: withRoom(gas) }));
    return outcome.status === "mined" ? done(outcome.receipt, 0n, 0n) : outcome;
  } catch (error) {
    return { status: "refused", words: explainRevert(error).words };
  }
}

/** Waits for a transaction that is being sent. */
async function settle(
  { provider, account }: Sender,
  sending: Promise<ContractTransactionResponse>,
): Promise<Exclude<Outcome, { status: "done" }> | { status: "mined"; receipt: TransactionReceipt }> {
  const sent = await sending;
  const { hash, to, data, gasLimit } = sent;
  try {
    const receipt = await sent.wait(1, RECEIPT_TIMEOUT_MS);
    return receipt ? { status: "mined", receipt } : { status: "unmined", hash };
  } catch (error) {
    if (isError(error, "TIMEOUT")) return { status: "unmined", hash };
    const block = isError(error, "CALL_EXCEPTION") ? error.receipt?.blockNumber : undefined;
    if (block === undefined) return { status: "reverted", hash, words: explainRevert(error).words };
    // A receipt does not say why: run it again where it failed.
    const words = await provider.call({ from: account, to, data, gasLimit, blockTag: block }).then(
      () => "failed in its block, would pass at its end: something came before it",
      (reason: unknown) => explainRevert(reason).words,
    );
    return { status: "reverted", hash, words };
  }
}

function done(receipt: TransactionReceipt, repaid: bigint, profit: bigint): Outcome {
  const { hash, gasUsed, fee: gasPaid } = receipt;
  return { status: "done", hash, gasUsed, gasPaid, repaid, profit };
}

/** The estimate is for the state now; by its block interest has moved a little. */
function withRoom(gas: bigint): bigint {
  return (gas * 12n) / 10n;
}
