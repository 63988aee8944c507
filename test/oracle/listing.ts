import { expect } from "chai";
import { network } from "hardhat";

import type { OracleConfigStruct } from "../../sdk/src/types/OracleAdapter.js";
import { NONE, openOracles } from "../support/oracle.ts";

const connection = await network.create();
const { ethers } = connection;
const { deployFeeds, deployTwoSources } = openOracles(connection);

describe("OracleAdapter listing", () => {
  it("tells what it was made of", async () => {
    const { adapter, config } = await deployTwoSources();
    const encode = (c: OracleConfigStruct) => adapter.interface.encodeFunctionResult("config", [c]);
    expect(encode(await adapter.config())).to.equal(encode(config));
    expect(await adapter.band()).to.equal(300n);
  });

  it("accepts a configuration on its bounds", async () => {
    const { config } = await deployFeeds();
    const precise = await ethers.deployContract("SettableFeed", [24, "precise"]);
    const { debtFeed } = config;
    for (const changes of [
      { band: 1n },
      { band: 2_000n },
      { jumpLimit: 1n },
      { jumpLimit: 4_000n },
      { jumpLimitMax: 5_000n },
      { calmVolatility: 2_499n },
      { volatilityPeriod: 300n },
      { maxLtvCut: 5_000n },
      { vetoBudget: 1n },
      { vetoBudget: 31_535_999n, vetoRefill: 31_536_000n },
      { debtFeed: { ...debtFeed, maxAge: 1n } },
      { debtFeed: { ...debtFeed, minAnswer: 1n, maxAnswer: 2n } },
      { debtFeed: { ...debtFeed, feed: precise } },
    ]) {
      await ethers.deployContract("OracleAdapter", [{ ...config, ...changes }]);
    }
  });

  it("refuses a configuration that makes no sense", async () => {
    const { config, feeds } = await deployFeeds();
    const deploy = async (changes: Partial<OracleConfigStruct>) =>
      ethers.deployContract("OracleAdapter", [{ ...config, ...changes }]);
    const { collateralFeed, debtFeed, secondCollateralFeed } = config;
    const { interface: errors } = await ethers.getContractFactory("OracleAdapter");
    const [eoa] = await ethers.getSigners();
    const precise = await ethers.deployContract("SettableFeed", [25, "too precise"]);
    const refused = async (changes: Partial<OracleConfigStruct>, error: string, ...args: unknown[]) =>
      expect(deploy(changes))
        .to.be.revertedWithCustomError({ interface: errors }, error)
        .withArgs(...args);

    await refused({ collateralFeed: NONE }, "FeedMissing", ethers.ZeroAddress);
    await refused({ debtFeed: { ...debtFeed, feed: eoa! } }, "FeedMissing", eoa!.address);
    await refused({ secondCollateralFeed: NONE }, "FeedMissing", ethers.ZeroAddress);
    await refused({ debtFeed: { ...debtFeed, maxAge: 0n } }, "FeedMaxAgeZero", debtFeed.feed);
    await refused(
      { debtFeed: { ...debtFeed, minAnswer: 0n } },
      "FeedBoundsInvalid",
      debtFeed.feed,
      0n,
      debtFeed.maxAnswer,
    );
    await refused(
      { debtFeed: { ...debtFeed, minAnswer: 7n, maxAnswer: 7n } },
      "FeedBoundsInvalid",
      debtFeed.feed,
      7n,
      7n,
    );
    await refused(
      { debtFeed: { ...debtFeed, feed: precise } },
      "FeedDecimalsTooMany",
      await precise.getAddress(),
      25n,
      24n,
    );
    await refused({ secondCollateralFeed: collateralFeed }, "SourcesNotIndependent", collateralFeed.feed);
    const pool = await feeds.secondDebt.getAddress();
    await refused({ pool }, "SecondSourceAmbiguous", pool, secondCollateralFeed.feed);
    const debtOnly = { pool, secondCollateralFeed: NONE };
    await refused(debtOnly, "SecondSourceAmbiguous", pool, ethers.ZeroAddress);
    const collateralOnly = { pool, secondDebtFeed: NONE };
    await refused(collateralOnly, "SecondSourceAmbiguous", pool, secondCollateralFeed.feed);
    await refused({ band: 0n }, "BandOutOfRange", 0n, 2_000n);
    await refused({ band: 2_001n }, "BandOutOfRange", 2_001n, 2_000n);
    await refused({ jumpLimit: 0n }, "JumpLimitOutOfRange", 0n, 4_000n, 5_000n);
    await refused({ jumpLimit: 4_001n }, "JumpLimitOutOfRange", 4_001n, 4_000n, 5_000n);
    await refused({ jumpLimitMax: 5_001n }, "JumpLimitOutOfRange", 1_000n, 5_001n, 5_000n);
    await refused({ calmVolatility: 2_500n }, "VolatilityOutOfRange", 2_500n, 2_500n, 43_200n);
    await refused({ volatilityPeriod: 299n }, "VolatilityOutOfRange", 800n, 2_500n, 299n);
    await refused({ maxLtvCut: 5_001n }, "MaxLtvCutTooLarge", 5_001n, 5_000n);
    await refused({ vetoBudget: 0n }, "VetoOutOfRange", 0n, 2_592_000n);
    await refused({ vetoBudget: 2_592_000n }, "VetoOutOfRange", 2_592_000n, 2_592_000n);
    await refused({ vetoRefill: 31_536_001n }, "VetoOutOfRange", 21_600n, 31_536_001n);
  });
});
