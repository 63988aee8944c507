import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";
import { JsonRpcProvider, MaxUint256 } from "ethers";
import { network } from "hardhat";
import { Client } from "pg";

import { connect, openHistory, openMarkets } from "@breakwater/sdk/chain";

import { writeAddresses } from "../../deploy/deploy.ts";
import { type Local, deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { random } from "../../scripts/drill/book.ts";
import { checkIndex } from "../../scripts/index/check.ts";
import { type Index, indexed, startIndex } from "../../scripts/index/ponder.ts";
import { type Chain, openChain } from "../../scripts/index/scene.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";
import { serveWeb } from "../../scripts/start/web.ts";
import { expectRejection } from "../support/keeper.ts";
import { freePort } from "../support/port.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";

/** Counts how many blocks it is asked for. */
class CountingProvider extends JsonRpcProvider {
  blocks = 0;

  override async send(method: string, parameters: unknown[]): Promise<unknown> {
    if (method === "eth_getBlockByNumber") this.blocks++;
    return super.send(method, parameters);
  }
}

// The index for real: Ponder beside a node. `npm run test:index`; npm test leaves it out.

(process.env.INDEX ? describe : describe.skip)("the index", function () {
  this.timeout(300_000);
  let directory: string;
  const servers: { close: () => Promise<void> }[] = [];
  let rpc: string;
  let request: (method: string, ...params: unknown[]) => Promise<unknown>;
  let local: Local;
  let chain: Chain;
  let index: Index;
  let postgres: Postgres | undefined;
  let trade: () => Promise<unknown>;
  const next = random(7);

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "breakwater-index-"));
    const port = await listen(0);
    rpc = `http://127.0.0.1:${port}`;
    const connection = await network.create({ network: "localhost", override: { url: rpc } });
    request = async (method, ...params) => connection.provider.request({ method, params });
    servers.push(connection);
    const stateId = `chain-31337-${port}`;
    await expectRejection(openChain({ rpc, addresses: join(directory, "none.json") }), /cannot be read/);
    local = await deployLocal(connection, { stateId });
    const addresses = writeAddresses(local.addresses, directory);
    await fundLenders(local, local.signers.others[0]!);
    const arbitrageur = await openArbitrageur(local, local.signers.others[1]!);
    trade = async () => arbitrageur.trade();
    await open(24, { from: 2, to: 5 });
    chain = await openChain({ rpc, addresses });
    index = await start();
  });
  after(async () => {
    await index.stop();
    await postgres?.remove();
    for (const server of servers.reverse()) await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A new chain. */
  async function listen(wanted: number): Promise<number> {
    const server = await network.createServer("default", "127.0.0.1", wanted);
    const { port } = await server.listen();
    servers.push(server);
    return port;
  }

  let opened = 0;
  async function open(count: number, leverage = { from: 1.5, to: 3 }): Promise<void> {
    const owners = local.signers.others.slice(4);
    await openPositions(local, planOpenings(local, owners, count, leverage, next, opened));
    opened += count;
  }

  async function start(): Promise<Index> {
    return startIndex(chain, {
      ...{ rpc, directory, sampleBlocks: 5, pollMs: 200, logLevel: "warn", port: await freePort() },
      databaseUrl: postgres?.url,
    });
  }

  /** Every position, tick, lender and total, once the index has the newest block. */
  async function expectNoDifference(): Promise<Awaited<ReturnType<typeof checkIndex>>> {
    await indexed(index, Number(await request("eth_blockNumber")), 240);
    const checked = await checkIndex(chain, index.url);
    for (const { differences } of checked) expect(differences).to.deep.equal([]);
    return checked;
  }

  async function ask(query: string): Promise<Record<string, { items: Record<string, unknown>[] }>> {
    const response = await fetch(`${index.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    });
    const { data, errors } = (await response.json()) as { data: never; errors?: unknown };
    expect(errors).to.equal(undefined);
    return data;
  }

  /** A price at which most of the book is liquidated, some of it seized; pools and averages follow. */
  async function crash(price: string): Promise<void> {
    const keeper = local.signers.others[2]!;
    await local.setPrice("ETH/USD", price);
    for (let i = 0; i < 3; i++) {
      await trade();
      await request("evm_increaseTime", 600);
      await request("evm_mine");
    }
    const { vault, debt } = local.markets["weth-usdc"]!;
    const liquidator = local.contracts.liquidator.connect(keeper);
    await (await debt.connect(keeper).mint(keeper, 10n ** 13n)).wait();
    await (await debt.connect(keeper).approve(liquidator, MaxUint256)).wait();
    const order = {
      market: await vault.getAddress(),
      maxRepay: 10n ** 13n,
      minCollateral: 0n,
      fromTick: 2n ** 23n - 1n,
      maxTicks: 0n,
      buyPot: true,
      deadline: MaxUint256,
      receiver: keeper.address,
    };
    // A part, and then the rest.
    await (await liquidator.liquidate({ ...order, maxRepay: 2_000_000_000n }, "0x")).wait();
    await (await liquidator.liquidate(order, "0x")).wait();
  }

  it("has every position and total of the chain, also after liquidations without an event for each", async () => {
    const [first] = await expectNoDifference();
    expect(first!.positions).to.be.greaterThan(0);
    await crash("1500");
    await expectNoDifference();
    const { liquidations, tickMoves, potChanges, samples, positionNows } = await ask(`{
      liquidations { items { ticks positions repaid roundA } }
      tickMoves { items { tick land positions } }
      potChanges { items { debtSeized debtSold } }
      samples(limit: 3) { items { priceLow borrowRate } }
      positionNows(limit: 3) { items { owner tick debt } }
    }`);
    expect(liquidations!.items).to.have.length(2);
    const ticks = liquidations!.items.reduce((sum, l) => sum + (l.ticks as number), 0);
    expect(tickMoves!.items).to.have.length(ticks);
    expect(potChanges!.items).not.to.be.empty;
    expect(samples!.items).to.have.length(3);
    expect(positionNows!.items).to.have.length(3);
  });

  it("has the logs for the page's history, which is the same as without it", async () => {
    const web = await serveWeb({ port: 0, rpcUrl: rpc, deployment: local.addresses, index: index.url });
    try {
      const served = (await (await fetch(`${web.url}/addresses.json`)).json()) as { index?: string };
      const url = new URL(served.index!, `${web.url}/`).href;
      const provider = new CountingProvider(rpc, undefined, { staticNetwork: true, cacheTimeout: -1 });
      const contracts = connect(local.addresses, provider);
      const block = await provider.getBlockNumber();
      await indexed(index, block);
      const markets = await (await openMarkets(contracts, provider))(block);
      const told = async (owner: string, index?: string) => {
        provider.blocks = 0;
        const entries = await openHistory(contracts, owner, index)(markets, block);
        return { entries, blocks: provider.blocks };
      };
      const owners = local.signers.others.slice(4);
      const kinds = new Set<string>();
      for (const { address } of owners) {
        const [alone, indexed] = [await told(address), await told(address, url)];
        expect(indexed.entries).to.deep.equal(alone.entries);
        expect(indexed.blocks).to.be.lessThan(5).and.lessThan(alone.blocks);
        for (const { kind } of alone.entries) kinds.add(kind);
      }
      expect(kinds).to.include("liquidation").and.include("seizure");
      provider.destroy();

      expect((await fetch(`${url}/logs?from=1&to=many`)).status).to.equal(400);
      expect((await fetch(`${web.url}/index/graphql`)).status).to.equal(404);
    } finally {
      await web.close();
    }
  });

  it("follows the chain when it goes back", async () => {
    const snapshot = await request("evm_snapshot");
    await open(6);
    const [before] = await expectNoDifference();
    await request("evm_revert", snapshot);
    opened -= 3;
    await open(3);
    // Longer than what it replaces: that is when a chain changes.
    for (let i = 0; i < 32; i++) await request("evm_mine");
    const [after] = await expectNoDifference();
    expect(after!.positions).to.be.lessThan(before!.positions);
  });

  it("goes on where it was when it is started again", async () => {
    await index.stop();
    await open(3);
    index = await start();
    await expectNoDifference();
  });

  it("is the same in PostgreSQL, and goes on there", async () => {
    await index.stop();
    postgres = await startPostgres();
    index = await start();
    await expectNoDifference();
    await index.stop();
    await open(3);
    index = await start();
    await expectNoDifference();
    // What Ponder keeps of a chain's answers would be taken for another local chain's.
    const client = new Client(postgres.url);
    await client.connect();
    const { rows } = await client.query("SELECT nspname FROM pg_namespace WHERE nspname = 'ponder_sync'");
    await client.end();
    expect(rows).to.deep.equal([]);
  });

  it("ends in plain words when the chain is reset, and is not started on a chain without the markets", async () => {
    for (const server of servers.splice(0).reverse()) await server.close();
    await listen(Number(new URL(rpc).port));
    expect(await index.ended).to.match(/it has been reset; start the index again/);
    await expectRejection(
      openChain({ rpc, addresses: join(directory, "31337.json") }),
      /there is no market .* not deployed yet, or the chain has been reset/,
    );
  });
});
