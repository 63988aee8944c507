import { zeroPadValue } from "ethers";

import { type Figures, figuresOf } from "../core/leverage.ts";
import { Vault__factory } from "../types/index.ts";
import type { PositionViewStructOutput } from "../types/Lens.ts";
import { type Contracts, providerOf } from "./connect.ts";
import { BLOCKS_PER_CALL } from "./events.ts";
import { type MarketReading, positionOfView } from "./markets.ts";

// What an account has, whichever sub-accounts it is in.

export interface AccountPosition {
  market: MarketReading;
  sub: bigint;
  tick: number;
  figures: Figures;
  /** As the Lens gives it. */
  view: PositionViewStructOutput;
}

/** A reorganisation may have put an event into a block that was read already. */
const READ_AGAIN = 32;

/** Finds an account's positions by the markets' events; each reading asks only for what is new since the last one. */
export function openAccount(contracts: Contracts, owner: string) {
  const { addresses, lens } = contracts;
  const abi = Vault__factory.createInterface();
  const topic = zeroPadValue(owner, 32).toLowerCase();
  const [adjust, transfer] = [abi.getEvent("Adjust").topicHash, abi.getEvent("TransferPosition").topicHash];
  const subs = new Map(addresses.markets.map(({ vault }) => [vault.toLowerCase(), new Set<bigint>()]));
  let next = addresses.startBlock;

  async function findSubs(block: number): Promise<void> {
    const address = addresses.markets.map(({ vault }) => vault);
    for (let fromBlock = next; fromBlock <= block; fromBlock += BLOCKS_PER_CALL) {
      const range = { address, fromBlock, toBlock: Math.min(fromBlock + BLOCKS_PER_CALL - 1, block) };
      const logs = await Promise.all([
        providerOf(contracts).getLogs({ ...range, topics: [adjust, topic] }),
        providerOf(contracts).getLogs({ ...range, topics: [transfer, null, topic] }),
      ]);
      for (const log of logs.flat()) {
        const { args } = abi.parseLog(log)!;
        const sub = (log.topics[0] === adjust ? args["sub"] : args["toSub"]) as bigint;
        subs.get(log.address.toLowerCase())?.add(sub);
      }
    }
    next = Math.max(addresses.startBlock, block + 1 - READ_AGAIN);
  }

  /** Those with anything in them at `block`, which `readings` are of; by market and sub-account. */
  return async function readPositions(
    readings: readonly MarketReading[],
    block: number,
  ): Promise<AccountPosition[]> {
    await findSubs(block);
    const found = await Promise.all(
      readings.map(async (market) => {
        const { vault } = market.addresses;
        const here = [...(subs.get(vault.toLowerCase()) ?? [])].sort((a, b) => (a < b ? -1 : 1));
        if (here.length === 0) return [];
        const owners = here.map(() => owner);
        const views = await lens.positions(vault, owners, here, { blockTag: block });
        return views
          .filter(({ debt, surplus }) => debt > 0n || surplus > 0n)
          .map((view) => {
            const position = positionOfView(view, market);
            return {
              market,
              sub: view.sub,
              tick: position.tick,
              figures: figuresOf(position, market.state),
              view,
            };
          });
      }),
    );
    return found.flat();
  };
}
