// A node's index has 80 bits, so a wrongly rounded one is invisible: the error is far below a unit of debt. This runs a
// copy of the book, compiled here with an index of 20 bits that is rebased below 2^12, so that each error is worth
// percents, and checks that the positions still never exceed their node, that the totals still add up, and that the
// last to leave still empties the book.

import { expect } from "chai";
import { Contract, ContractFactory, type Signer } from "ethers";
import { network } from "hardhat";

import { compileTiny } from "../support/tiny.ts";

interface Audit {
  debt: bigint;
  nodeDebt: bigint;
  positionDebt: bigint;
  overdrawn: boolean;
  badCount: boolean;
  badBit: boolean;
  ticks: bigint;
  highest: bigint;
  top: bigint;
  links: bigint;
  nodes: bigint;
  rebases: bigint;
  promised: bigint;
  holdings: bigint;
}

const HARNESS = "test/support/BookHarness.sol";
const LIBRARY = "contracts/libraries/Liquidation.sol";
const KEYS = 12n;
const OPERATIONS = 300;
const ALL = -(1n << 255n);
const WHOLE_DEBT = -((1n << 128n) - 1n);
const Q128 = 1n << 128n;
const FRESH = 3n;
const MAX_TICK = 8_388_607n;

async function deployTinyBook(signer: Signer): Promise<Contract> {
  const contracts = compileTiny(
    { [HARNESS]: "BookHarness", [LIBRARY]: "Liquidation" },
    { evmVersion: "osaka", viaIR: true, optimizer: { enabled: true, runs: 1 } },
  );
  const library = contracts[LIBRARY]!.Liquidation!;
  const harness = contracts[HARNESS]!.BookHarness!;
  const liquidation = await new ContractFactory(library.abi, library.evm.bytecode.object, signer).deploy();
  const address = (await liquidation.getAddress()).slice(2);
  let code = harness.evm.bytecode.object;
  for (const { start, length } of harness.evm.bytecode.linkReferences[LIBRARY]!.Liquidation!) {
    code = code.slice(0, 2 * start) + address + code.slice(2 * (start + length));
  }
  const book = await new ContractFactory(harness.abi, code, signer).deploy(25, KEYS);
  return new Contract(await book.getAddress(), harness.abi, signer);
}

/** Numbers that depend on the seed only (splitmix64). */
function random(seed: bigint): (below: bigint) => bigint {
  const mask = (1n << 64n) - 1n;
  let state = seed;
  const next = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return z ^ (z >> 31n);
  };
  return (below) => ((next() << 64n) | next()) % below;
}

describe("The book with a tiny index", function () {
  this.timeout(300_000); // it compiles the book first

  let book: Contract;
  let signer: Signer;

  before(async function () {
    const { ethers } = await network.create({ override: { allowUnlimitedContractSize: true } });
    signer = (await ethers.getSigners())[0]!;
    book = await deployTinyBook(signer);
  });

  const audit = async (): Promise<Audit> => (await book.getFunction("audit").staticCall()) as Audit;

  async function send(name: string, ...args: unknown[]): Promise<boolean> {
    try {
      await book.getFunction(name).send(...args, { gasLimit: 10_000_000n });
      return true;
    } catch (error) {
      if (!/revert/i.test(String(error))) throw error; // not the chain's answer
      return false;
    }
  }

  it(`holds I1 to I5, I9, I11 and I14 over ${OPERATIONS} random operations`, async function () {
    const pick = random(20260801n);
    let price = 2000n * Q128;
    let before = await audit();
    let sold = 0;
    let rebases = 0n;
    for (let step = 0; step < OPERATIONS; step++) {
      const key = 1n + pick(KEYS);
      const kind = pick(12n);
      const collateral = 1n + pick(1n << (1n + pick(80n)));
      if (kind < 5n) {
        // Mostly near the limit, where the next fall of the price reaches.
        const ltv = pick(4n) === 0n ? 1n + pick(8200n) : 7600n + pick(600n);
        await send("change", key, collateral, (((collateral * price) / Q128) * ltv) / 10_000n, true);
      } else if (kind === 5n) {
        const { debt } = (await book.getFunction("resolve").staticCall(key)) as { debt: bigint };
        const repaid = await send("change", key, pick(1000n), -1n - pick(debt + 1n), pick(2n) === 0n);
        expect(repaid, `step ${step}: I9, repaying is never refused`).to.be.true;
      } else if (kind === 6n) {
        expect(await send("change", key, ALL, WHOLE_DEBT, true), `step ${step}: I9, closing`).to.be.true;
      } else {
        price = (price * (kind < 10n ? 88n + pick(10n) : 100n + pick(12n))) / 100n;
        const request = {
          caller: await signer.getAddress(),
          receiver: await signer.getAddress(),
          maxRepay: pick(2n) === 0n ? 1n << 128n : pick(before.debt + 1n),
          fromTick: MAX_TICK,
          maxTicks: pick(4n),
          buyPot: pick(2n) === 0n,
          seizeOnly: pick(8n) === 0n,
        };
        const quote = { low: price, high: price, state: FRESH, roundA: 0n, roundB: 0n, maxLtvCut: 0n };
        if (await send("liquidate", quote, request)) sold++;
      }

      const after = await audit();
      const at = `step ${step}, kind ${kind}`;
      const slack = after.holdings - after.promised - (before.holdings - before.promised);
      expect(slack >= -before.ticks, `${at}: I1, the slack never decreases`).to.be.true;
      expect(after.overdrawn, `${at}: I2, positions within their node`).to.be.false;
      expect(after.nodeDebt, `${at}: I3, total = sum of nodes`).to.equal(after.debt);
      expect(after.badBit || after.badCount, `${at}: I4, bits and counts`).to.be.false;
      expect(after.top >= after.highest, `${at}: I5, the bound`).to.be.true;
      const longest = BigInt(Math.floor(Math.log2(Number(after.nodes) + 1))) + after.rebases;
      expect(after.links <= longest, `${at}: I11, chains are short`).to.be.true;
      rebases = after.rebases;
      before = after;
    }
    expect(sold, "liquidations that did something").to.be.greaterThan(20);
    expect(Number(rebases), "an index became too small").to.be.greaterThan(0);

    for (let key = 1n; key <= KEYS; key++) {
      expect(await send("change", key, ALL, WHOLE_DEBT, true), `I14: position ${key} can leave`).to.be.true;
      expect((await audit()).overdrawn, "I2 while leaving").to.be.false;
    }
    const end = await audit();
    expect([end.debt, end.positionDebt, end.ticks]).to.deep.equal([0n, 0n, 0n], "I14: nothing is left");
    expect(end.promised <= end.holdings, "I14: and the pot is covered").to.be.true;
  });
});
