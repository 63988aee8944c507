import { expect } from "chai";
import { network } from "hardhat";

import { STATE } from "../support/market.ts";
import { expectPrice, openOracles, Q128 } from "../support/oracle.ts";

const connection = await network.create();
const { ethers } = connection;
const { deployTwoSources } = openOracles(connection);

describe("InverseOracleAdapter", () => {
  async function deployMirror() {
    const arrangement = await deployTwoSources();
    const mirror = await ethers.deployContract("InverseOracleAdapter", [arrangement.adapter]);
    return { ...arrangement, mirror };
  }
  const inverseDown = (price: bigint) => (1n << 256n) / price;
  const inverseUp = (price: bigint) => ((1n << 256n) + price - 1n) / price;

  it("gives 1 / high and 1 / low, rounded outward, with the other's state and rounds", async () => {
    const { adapter, mirror, set } = await deployMirror();
    await set("collateral", 2_010);
    const price = await adapter.read();
    const mirrored = await expectPrice(mirror, STATE.Fresh, inverseDown(price.high), inverseUp(price.low));
    expect([mirrored.roundA, mirrored.roundB]).to.deep.equal([price.roundA, price.roundB]);
    expect(await mirror.band()).to.equal(await adapter.band());
    expect(await mirror.MIRRORED()).to.equal(await adapter.getAddress());
  });

  it("is in every state that the other is in", async () => {
    const { mirror, feeds, set } = await deployMirror();
    await set("collateral", 2_150);
    await expectPrice(mirror, STATE.Diverged, inverseDown(2_150n * Q128), inverseUp(2_000n * Q128));
    await feeds.secondDebt.setReverting(true);
    await set("collateral", 2_150);
    await expectPrice(mirror, STATE.Single, inverseDown(2_150n * Q128), inverseUp(2_150n * Q128));
    await feeds.debt.setReverting(true);
    await expectPrice(mirror, STATE.Dead, 0n);
  });

  it("forwards an update to the adapter behind", async () => {
    const { adapter, mirror, set } = await deployMirror();
    await set("collateral", 2_040);
    expect(await mirror.update.staticCall()).to.deep.equal(await mirror.read());
    await mirror.update();
    expect((await adapter.lastFresh()).price).to.equal((2_020n * Q128) >> 32n);
  });

  it("refuses an address without code", async () => {
    const [eoa] = await ethers.getSigners();
    const factory = await ethers.getContractFactory("InverseOracleAdapter");
    await expect(factory.deploy(eoa!))
      .to.be.revertedWithCustomError(factory, "AdapterMissing")
      .withArgs(eoa!.address);
  });
});
