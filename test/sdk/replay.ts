import { expect } from "chai";

import {
  NO_POSITION,
  Replay,
  type ReplayEvent,
  decodeRecord,
  encodeRecord,
  memoryTables,
  ownerOfKey,
  positionKey,
  resolvePosition,
  unitsOf,
} from "@breakwater/sdk/core";

import { expectRejection } from "../support/keeper.ts";

// What a replay does with a history that is not whole. That of a whole one it makes the same as the contracts, to the
// unit, is tried by every differential run (test/differential/history.ts).

const VAULT = "0x00000000000000000000000000000000000000aa";
const INSURANCE = "0x00000000000000000000000000000000000000bb";
const OWNER = "0x00000000000000000000000000000000000000cc";
const ONE = 1n << 72n;

function replay() {
  const units = unitsOf(25, 18, 6);
  return new Replay({ vault: VAULT, insurance: INSURANCE, units, paired: false }, memoryTables());
}

let logs = 0;
function event(name: string, args: Record<string, unknown>, over: Partial<ReplayEvent> = {}): ReplayEvent {
  return { address: VAULT, name, args, block: 10, logIndex: ++logs, timestamp: 1_000, ...over };
}

const opening = () => event("SetOracle", { oracle: OWNER }, { block: 1 });
const adjust = (over: Record<string, unknown> = {}, where: Partial<ReplayEvent> = {}) =>
  event(
    "Adjust",
    {
      ...{ owner: OWNER, sub: 0n, caller: OWNER, collateralDelta: 10n ** 18n, debtDelta: 10n ** 9n },
      // The first node of tick 40.
      ...{ tick: 40, node: 0xff00_0028, shares: 10n ** 21n, debt: 10n ** 21n, surplus: 5n, borrowIndex: ONE },
      ...over,
    },
    where,
  );

async function lent() {
  const it = replay();
  await it.apply(opening());
  await it.apply(event("Deposit", { sender: OWNER, owner: OWNER, assets: 10n ** 12n, shares: 10n ** 12n }));
  return it;
}

describe("SDK: replay", () => {
  it("takes numbers and bigints alike, and passes over what changes nothing and what is another's", async () => {
    const it = await lent();
    const before = it.tables.market.get("market");
    await it.apply(event("SetOperator", { owner: OWNER, operator: VAULT, approved: true }));
    await it.apply(adjust({}, { address: OWNER }));
    await it.apply(event("Deposit", { market: OWNER, amount: 7n }, { address: INSURANCE }));
    expect(it.tables.market.get("market")).to.equal(before);

    const { positions } = await it.apply(adjust({ tick: 40n, node: 0xff00_0028n }));
    expect(positions[0]!.after).to.include({ tick: 40, debt: 10n ** 21n, surplus: 5n, seized: false });
    expect((await it.record())!.ledger).to.include({ cash: 10n ** 12n - 10n ** 9n, debt: 10n ** 21n });
    expect(await it.position(OWNER, 0n)).to.deep.equal(positions[0]!.after);
    expect(await it.position(OWNER, 1n)).to.deep.equal(resolvePosition(new Map(), NO_POSITION, 25));
  });

  it("refuses a history without its beginning, or out of its order", async () => {
    await expectRejection(replay().apply(adjust()), /Adjust comes before the market's first event/);
    const it = await lent();
    await expectRejection(it.apply(adjust({}, { block: 9 })), /comes after block 10, .* not its order/);
    await expectRejection(it.apply(adjust({}, { block: 10, logIndex: 0 })), /not its order/);
    await expectRejection(it.apply(adjust({}, { timestamp: 999 })), /is before the last charge/);
  });

  it("finds that an event is missing by what the next ones say", async () => {
    const it = await lent();
    await expectRejection(it.apply(adjust({ node: 3 })), /says node 3, but 4278190120 follows/);
    await expectRejection(it.apply(adjust({ shares: 1n })), /says shares 1, but 10+ follows/);
    await expectRejection(it.apply(adjust({ debtDelta: 10n ** 13n })), /more cash leaves than/);
    await it.apply(adjust());
    const transfer = { from: OWNER, to: VAULT, value: 1n };
    await expectRejection(it.apply(event("Transfer", transfer)), /moved more shares than it had/);
  });

  it("says that events are of another version of the contracts", async () => {
    const it = await lent();
    const { surplus: _, ...older } = adjust().args;
    await expectRejection(it.apply(event("Adjust", older)), /has no "surplus": it is of another version/);
  });

  it("takes index, rate and reserves from the market where nobody announced a charge, and nothing else", async () => {
    const it = await lent();
    await it.apply(adjust());
    const { ledger } = (await it.record())!;
    const charged = {
      ...ledger,
      borrowIndex: ledger.borrowIndex + 10n ** 15n,
      reserves: 3n,
      accruedAt: 1_060n,
    };
    const { interest, reserved } = await it.read(charged);
    expect(reserved).to.equal(3n);
    expect(interest).to.equal((10n ** 9n * charged.borrowIndex) / ONE - 10n ** 9n);
    expect((await it.record())!.ledger).to.deep.equal(charged);
    await expectRejection(
      it.read({ ...charged, cash: 1n }),
      /cash is \d+ by the events, but 1 in the market/,
    );
    // Its next event carries an index that its own arithmetic would not have given.
    const index = charged.borrowIndex + 10n ** 14n;
    const { accrual } = await it.apply(
      adjust({ sub: 1n, node: 0xff00_0028, borrowIndex: index }, { block: 11, timestamp: 1_061 }),
    );
    expect(accrual).to.include({ from: charged.borrowIndex, to: index });
    expect((await it.record())!.isExact).to.equal(false);
  });

  it("is text and back", async () => {
    const it = await lent();
    const record = (await it.record())!;
    expect(decodeRecord(encodeRecord(record))).to.deep.equal(record);
  });

  it("keys positions as the contracts do", () => {
    const key = positionKey(OWNER, 2n ** 96n - 1n);
    expect(BigInt(key)).to.equal((BigInt(OWNER) << 96n) | (2n ** 96n - 1n));
    expect(ownerOfKey(key)).to.deep.equal({ owner: OWNER, sub: 2n ** 96n - 1n });
  });
});
