import { expect } from "chai";
import { Client } from "pg";

import { openSharedLease } from "../../keeper/src/lease.ts";
import { expectRejection, until } from "../support/keeper.ts";
import { installedPostgres, type Postgres, startPostgres } from "../support/postgres.ts";

const entry = { account: "0x1", nonce: 7, worth: 1n, firstBlock: 1, attempts: [], mined: undefined };

const installed = installedPostgres();

// npm run test:chaos fetches one where there is none.
(installed || process.env.CHAOS ? describe : describe.skip)("the lease of several keepers", function () {
  this.timeout(120_000);
  let postgres: Postgres;
  let opened: (() => Promise<void>)[];

  before(async () => (postgres = await startPostgres(installed)));
  after(async () => postgres.remove());
  beforeEach(() => (opened = []));
  afterEach(async () => {
    for (const close of opened.reverse()) await close();
  });

  async function open(name: string, seconds: number) {
    const said: string[] = [];
    const { lease, journal } = await openSharedLease({
      ...{ databaseUrl: postgres.url, name, seconds },
      onEvent: (event) => event.kind === "lease" && said.push(event.words),
    });
    opened.push(async () => lease.close());
    const noted = async () => (await journal.load()).map(({ nonce }) => nonce);
    return { lease, journal, noted, said };
  }

  async function query(...statements: string[]): Promise<void> {
    const client = new Client(postgres.url);
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  }

  it("keeps what a loser still believes it may send out of the journal", async () => {
    const { lease, journal, noted, said } = await open("fence", 60);
    expect(lease.held).to.be.true;
    await journal.write(entry);
    await query("UPDATE keeper_lease SET holder = 'another', token = token + 1 WHERE name = 'fence'");
    expect(lease.held).to.be.true;
    await expectRejection(journal.write({ ...entry, nonce: 8 }), /the lease is lost/);
    expect(lease.held).to.be.false;
    expect(await noted()).to.deep.equal([7]);
    expect(said).to.deep.equal(["this keeper leads, term 1", "another keeper has it"]);
  });

  it("ends by each keeper's own clock when the database is gone, and goes on when it is back", async () => {
    const { lease, journal, noted, said } = await open("gone", 1);
    const other = await open("gone", 1);
    expect([lease.held, other.lease.held]).to.deep.equal([true, false]);
    await journal.write(entry);
    const reloaded: number[][] = [];
    for (const each of [lease, other.lease]) {
      each.beforeActing = async () => void reloaded.push(await noted());
    }

    await postgres.crash();
    await expectRejection(journal.write({ ...entry, nonce: 8 }), /ECONNREFUSED|terminat/);
    await until("the lease has ended", () => !lease.held);
    await until("it says so", () => said.length === 2);
    expect(said[1]).to.match(/^the database does not answer: ./);
    expect(other.lease.held).to.be.false;

    await postgres.start();
    await until("one of them leads", () => lease.held || other.lease.held);
    expect(lease.held && other.lease.held).to.be.false;
    expect(reloaded).to.deep.equal([[7]]);
    const leader = lease.held ? journal : other.journal;
    await leader.write({ ...entry, nonce: 8 });
    expect(await noted()).to.deep.equal([7, 8]);
  });

  it("outlasts an absence that is shorter than itself", async () => {
    const { lease, journal, noted, said } = await open("brief", 60);
    await postgres.crash();
    await expectRejection(journal.write(entry), /ECONNREFUSED|terminat/);
    expect(lease.held).to.be.true;
    await postgres.start();
    await journal.write(entry);
    expect(await noted()).to.deep.equal([7]);
    expect(said).to.have.lengthOf(1);
  });

  it("ends when the database takes questions and answers none", async () => {
    const { lease, journal, noted, said } = await open("mute", 1);
    const locking = new Client(postgres.url);
    await locking.connect();
    await locking.query("BEGIN; LOCK TABLE keeper_lease");
    await expectRejection(journal.write(entry), /timeout/);
    await until("it says so", () => said.length === 2);
    expect(lease.held).to.be.false;
    expect(said[1]).to.match(/^the database does not answer: .*timeout/);
    await locking.end();
    await until("it leads again", () => lease.held);
    // What nobody waited for may have been done all the same: of a transaction that was noted, but not sent.
    expect(await noted()).to.satisfy((nonces: number[]) => nonces.every((nonce) => nonce === 7));
  });

  it("is not opened without the database", async () => {
    await postgres.crash();
    await expectRejection(open("nobody", 1), /the database does not answer: connect ECONNREFUSED/);
    await postgres.start();
  });
});
