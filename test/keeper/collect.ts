import { expect } from "chai";
import {
  JsonRpcApiProvider,
  type JsonRpcError,
  type JsonRpcPayload,
  type JsonRpcResult,
  Network,
} from "ethers";
import { network } from "hardhat";

import { deployLocal } from "../../deploy/local.ts";
import { collect, openSources } from "../../keeper/src/collect.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { fundLenders, openPositions } from "../../scripts/start/book.ts";

/** Batches as over HTTP, to a chain in this process, and counts. */
class Counted extends JsonRpcApiProvider {
  batches: string[][] = [];
  readonly #request: (method: string, params: unknown[]) => Promise<unknown>;

  constructor(request: (method: string, params: unknown[]) => Promise<unknown>) {
    super(Network.from(31_337), { staticNetwork: true, batchStallTime: 0, cacheTimeout: -1 });
    this.#request = request;
    this._start();
  }

  override async _send(
    payload: JsonRpcPayload | JsonRpcPayload[],
  ): Promise<(JsonRpcResult | JsonRpcError)[]> {
    const payloads = Array.isArray(payload) ? payload : [payload];
    this.batches.push(payloads.map(({ method }) => method));
    return Promise.all(
      payloads.map(async ({ id, method, params }) => {
        try {
          return { id, result: await this.#request(method, params as unknown[]) };
        } catch (error) {
          return { id, error: { code: 3, message: String(error) } };
        }
      }),
    );
  }
}

describe("collect", function () {
  it("asks once a block while there is nothing to do, whatever the positions; and little more when there is", async () => {
    const connection = await network.create();
    const local = await deployLocal(connection);
    const [lender, trader, ...owners] = local.signers.others;
    await fundLenders(local, lender!);
    const book = (from: number, count: number) =>
      Array.from({ length: count }, (_, at) => ({
        market: local.markets["weth-usdc"]!,
        owner: owners[at % owners.length]!,
        sub: from + at,
        equityUsd: 5_000,
        leverage: 4 + (at % 5) / 5,
      }));
    await openPositions(local, book(0, 2));
    const node = new Counted(async (method, params) => connection.provider.request({ method, params }));
    const sources = await openSources(local.addresses, node);
    const { provider } = connection.ethers;
    const batchesAt = async () => {
      node.batches = [];
      const snapshot = await collect(sources, await provider.getBlockNumber(), 100);
      return { snapshot, batches: node.batches };
    };
    const few = await batchesAt();
    expect(few.batches).to.have.length(1);
    expect(few.snapshot.markets.map(({ offers }) => offers)).to.deep.equal([[], [], []]);
    await openPositions(local, book(2, 20));
    const many = await batchesAt();
    expect(many.batches).to.deep.equal(few.batches);
    // The sequencer's grace, the Lens, the orders, and a word of each of two oracles; two markets share one.
    expect(many.batches[0]!.sort()).to.deep.equal([
      ...Array.from({ length: 5 }, () => "eth_call"),
      "eth_feeHistory",
      "eth_getBlockByNumber",
    ]);

    await local.setPrice("ETH/USD", "1800");
    await (await openArbitrageur(local, trader!)).trade();
    await connection.networkHelpers.time.increase(600);
    const busy = await batchesAt();
    expect(busy.snapshot.markets[0]!.offers).to.not.be.empty;
    expect(busy.batches.length).to.be.within(2, 8);
    node.destroy();
  });
});
