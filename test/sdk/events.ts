import { expect } from "chai";
import { type ContractRunner, ZeroAddress, ZeroHash, makeError, toBeHex, zeroPadValue } from "ethers";

import { connect, readEvents, watchEvents } from "@breakwater/sdk/chain";
import { Vault__factory } from "@breakwater/sdk/types";

import { expectRejection } from "../support/keeper.ts";

const VAULT = "0x00000000000000000000000000000000000000aa";

/** A node that has one SetOperator in every block, and fails when told to. */
function node() {
  const vault = Vault__factory.createInterface();
  const listeners: ((block: number) => void)[] = [];
  const asked: [number, number][] = [];
  const provider = {
    head: 10,
    fails: false,
    /** Blocks that it answers for at once. */
    most: Infinity,
    asked,
    getBlockNumber: async () => Promise.resolve(provider.head),
    async getLogs({ fromBlock, toBlock }: { fromBlock: number; toBlock: number }) {
      if (provider.fails) throw new Error("the node is down");
      if (toBlock - fromBlock >= provider.most) throw makeError("too many results", "UNKNOWN_ERROR");
      asked.push([fromBlock, toBlock]);
      const { topics, data } = vault.encodeEventLog("SetOperator", [ZeroAddress, ZeroAddress, true]);
      return Promise.resolve(
        Array.from({ length: Math.min(toBlock - fromBlock + 1, 9) }, (_, at) => ({
          ...{
            address: VAULT,
            topics,
            data,
            blockNumber: fromBlock + at,
            transactionHash: ZeroHash,
            index: 0,
          },
        })),
      );
    },
    on: async (_: "block", listener: (block: number) => void) =>
      Promise.resolve(void listeners.push(listener)),
    off: async () => Promise.resolve(void listeners.splice(0)),
    async mine(blocks: number) {
      provider.head += blocks;
      for (const listener of listeners) listener(provider.head);
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
  // Whatever is asked for is somewhere.
  const names = new Map<string | symbol, string>();
  const contracts = new Proxy<Record<string, string>>(
    {},
    {
      get: (_, name) => {
        if (!names.has(name)) names.set(name, zeroPadValue(toBeHex(names.size + 1), 20));
        return names.get(name);
      },
    },
  );
  const market = { id: "a-b", vault: VAULT, collateral: ZeroAddress, debt: ZeroAddress, oracle: ZeroAddress };
  const addresses = {
    chainId: 1,
    startBlock: 0,
    contracts,
    safes: { pauser: ZeroAddress, governor: ZeroAddress },
    markets: [{ ...market, decimals: { collateral: 18, debt: 6 }, spacing: 25 }],
  };
  return { provider, contracts: connect(addresses, { provider } as unknown as ContractRunner) };
}

describe("SDK: events", () => {
  it("asks a node for no more blocks than it may, and for each once", async () => {
    const { provider, contracts } = node();
    const events = await readEvents(contracts, ["SetOperator"], 1, 12_000);
    expect(provider.asked).to.deep.equal([
      [1, 5_000],
      [5_001, 10_000],
      [10_001, 12_000],
    ]);
    expect(events[0]).to.deep.equal({
      contract: "Vault",
      name: "SetOperator",
      args: { owner: ZeroAddress, operator: ZeroAddress, approved: true },
      address: VAULT,
      market: "a-b",
      block: 1,
      transaction: ZeroHash,
      index: 0,
    });
    expect(await readEvents(contracts, ["SetOperator"], 5, 4)).to.deep.equal([]);
  });

  it("asks for fewer where the node refuses, down to one", async () => {
    const { provider, contracts } = node();
    provider.most = 3;
    const events = await readEvents(contracts, ["SetOperator"], 1, 10);
    expect(events.map(({ block }) => block)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(provider.asked).to.deep.equal([
      [1, 3],
      [4, 5],
      [6, 8],
      [9, 10],
    ]);
    provider.most = 0;
    await expectRejection(readEvents(contracts, ["SetOperator"], 1, 10), /too many results/);
    provider.fails = true; // what is no refusal is not asked again
    await expectRejection(readEvents(contracts, ["SetOperator"], 1, 10), /the node is down/);
  });

  it("leaves out what it was not asked for", async () => {
    const { contracts } = node();
    expect(await readEvents(contracts, ["Adjust"], 1, 3)).to.deep.equal([]);
  });

  it("watches from the next block on, waits for confirmations, and ends", async () => {
    const { provider, contracts } = node();
    const seen: number[] = [];
    const end = await watchEvents(contracts, ["SetOperator"], ({ block }) => seen.push(block), {
      confirmations: 2,
    });
    await provider.mine(2);
    expect(seen).to.deep.equal([]);
    await provider.mine(1);
    expect(seen).to.deep.equal([11]);
    await provider.mine(3);
    expect(seen).to.deep.equal([11, 12, 13, 14]);
    end();
    await provider.mine(5);
    expect(seen).to.deep.equal([11, 12, 13, 14]);
  });

  it("asks again for what a node has not answered, and tells nothing twice", async () => {
    const { provider, contracts } = node();
    const seen: number[] = [];
    const errors: unknown[] = [];
    await watchEvents(contracts, ["SetOperator"], ({ block }) => seen.push(block), {
      from: 9,
      onError: (error) => errors.push(error),
    });
    await provider.mine(0);
    expect(seen).to.deep.equal([9, 10]);
    provider.fails = true;
    await provider.mine(2);
    expect(errors).to.have.length(1);
    provider.fails = false;
    await provider.mine(1);
    expect(seen).to.deep.equal([9, 10, 11, 12, 13]);
  });
});
