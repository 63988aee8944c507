import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import {
  DEFAULT_RISK,
  deployFundedMarket,
  deployMarket,
  ETH,
  type FundedMarket,
  LEVEL,
  USD,
} from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const fixture = () => deployFundedMarket(connection);

describe("Vault listing and parameters", () => {
  let m: FundedMarket;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [, alice, bob] = m.accounts;
  });

  it("refuses decimals outside 6 to 24, one token twice, too fine a grid, and a pair that is none", async () => {
    for (const [options, error] of [
      [{ collateralDecimals: 5 }, "UnsupportedDecimals"],
      [{ collateralDecimals: 25 }, "UnsupportedDecimals"],
      [{ debtDecimals: 5 }, "UnsupportedDecimals"],
      [{ debtDecimals: 25 }, "UnsupportedDecimals"],
      [{ collateralUnitDecimals: 5 }, "UnsupportedDecimals"],
      [{ collateralUnitDecimals: 19 }, "UnsupportedDecimals"],
      [{ spacing: 3 }, "SpacingTooSmall"],
    ] as const) {
      const refusal = await deployMarket(connection, options).then(
        () => "deployed",
        (reason: unknown) => String(reason),
      );
      expect(refusal).to.contain(error);
    }
    const any = await m.liquidator.getAddress();
    const libraries = { Lending: any, Liquidation: any, Parameters: any, Positions: any };
    const factory = await ethers.getContractFactory("Vault", { libraries });
    const token = await m.debt.getAddress();
    const listing = {
      ...{ name: "Breakwater twice", symbol: "bwTWICE", collateral: token, debt: token, spacing: 25 },
      ...{
        collateralUnitDecimals: 18,
        liquidator: any,
        brake: any,
        insurance: any,
        pair: ethers.ZeroAddress,
      },
    };
    await expect(factory.deploy(listing)).to.be.revertedWithCustomError(factory, "SameToken").withArgs(token);
    const collateral = await m.collateral.getAddress();
    await expect(factory.deploy({ ...listing, collateral, pair: alice.address }))
      .to.be.revertedWithCustomError(factory, "PairMissing")
      .withArgs(alice.address);
  });

  it("accepts the coarsest and the finest decimals, and the finest grid", async () => {
    for (const [collateralDecimals, debtDecimals, collateralUnitDecimals] of [
      [6, 24, 6],
      [24, 6, 18],
    ] as const) {
      const { vault } = await deployMarket(connection, {
        collateralDecimals,
        debtDecimals,
        collateralUnitDecimals,
        spacing: 4,
      });
      const scale = (from: number, to: number) => (from < to ? 10n ** BigInt(to - from) : 1n);
      expect(await vault.scales()).to.deep.equal([
        scale(collateralDecimals, collateralUnitDecimals),
        scale(collateralUnitDecimals, collateralDecimals),
        scale(debtDecimals, 18),
        scale(18, debtDecimals),
        scale(collateralUnitDecimals, 18),
      ]);
      expect(await vault.SPACING()).to.equal(4n);
    }
  });

  it("takes its parameters and its rate of reserves from the governor, and says so", async () => {
    const { risk } = m.parameters;
    await expect(m.vault.setRisk(risk)).to.emit(m.vault, "SetRisk");
    await expect(m.vault.setReserveFactor(50n)).to.emit(m.vault, "SetReserveFactor").withArgs(50n);
    await expect(m.vault.setCaps({ debt: 1n, collateral: 2n, minDebt: 3n })).to.emit(m.vault, "SetCaps");
    await expect(m.pause(LEVEL.NoNewRisk, 600n)).to.emit(m.vault, "SetBrake");
  });

  it("names the rule that a parameter breaks", async () => {
    const risk = { ...m.parameters.risk };
    for (const [change, rule] of [
      [{ maxLtv: 8600n }, "maxLtv < liquidationThreshold"],
      [{ target: 8590n }, "0 < target * (1 + step) <= liquidationThreshold"],
      [{ bonusMin: 0n }, "0 < bonusMin <= bonusMax"],
      [{ bonusMax: 2_100n }, "target * (1 + bonusMax) < 1"],
      [
        { liquidationThreshold: 9_500n },
        "liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1",
      ],
      [{ bonusMin: 99n }, "step <= bonusMin / 4"],
      [{ maxLtv: 8_550n }, "step <= (liquidationThreshold - maxLtv) / 4"],
    ] as const) {
      await expect(m.vault.setRisk({ ...risk, ...change }))
        .to.be.revertedWithCustomError(m.vault, "InvalidRisk")
        .withArgs(rule);
    }
    await expect(m.vault.setRisk({ ...risk, liquidationThreshold: 8_599n }))
      .to.be.revertedWithCustomError(m.vault, "ThresholdWouldFall")
      .withArgs(8_600n, 8_599n);
    await expect(m.vault.setReserveFactor(51n))
      .to.be.revertedWithCustomError(m.vault, "InvalidReserveFactor")
      .withArgs(51n, 50n);
    await m.vault.setRisk({ ...risk, liquidationThreshold: 8_650n });
    for (const call of [
      m.vault.connect(bob).setRisk(risk),
      m.vault.connect(bob).setCaps({ debt: 0n, collateral: 0n, minDebt: 0n }),
      m.vault.connect(bob).setReserveFactor(1n),
      m.vault.connect(bob).setOracle(bob),
    ]) {
      await expect(call).to.be.revertedWithCustomError(m.vault, "AccessManagedUnauthorized");
    }
    await expect(m.vault.connect(bob).setBrake(1n, 1n, 1n)).to.be.revertedWithCustomError(
      m.vault,
      "NotAuthorized",
    );
  });

  it("initialises no market twice, and never an implementation", async () => {
    const slot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
    const implementation = `0x${(await ethers.provider.getStorage(m.vault, slot)).slice(26)}`;
    const caps = { debt: 1n, collateral: 1n, minDebt: 0n };
    for (const address of [implementation, await m.vault.getAddress()]) {
      const vault = await ethers.getContractAt("Vault", address);
      await expect(
        vault.initialize(m.governor, m.oracle, DEFAULT_RISK, caps, 10n),
      ).to.be.revertedWithCustomError(vault, "InvalidInitialization");
    }
  });

  it("swaps the oracle only for one that agrees", async () => {
    const other = await deployMarket(connection, { collateralPrice: 3_000n * USD });
    await expect(m.vault.setOracle(other.oracle)).to.be.revertedWithCustomError(m.vault, "OracleMismatch");
    const same = await deployMarket(connection, { collateralPrice: 2_000n * USD });
    await m.vault.setOracle(same.oracle);
  });

  it("swaps the oracle only for one whose band the parameters allow, at both ends of a ramp", async () => {
    const risk = { ...DEFAULT_RISK, maxLtv: 7_500n, liquidationThreshold: 8_000n, target: 7_800n };
    const options = { collateralPrice: 2_000n * USD, risk };
    const { vault } = await deployMarket(connection, options);
    const wide = await deployMarket(connection, { ...options, band: 1_500n });
    await vault.setOracle.staticCall(wide.oracle);
    await vault.startRamp(
      { ...risk, liquidationThreshold: DEFAULT_RISK.liquidationThreshold },
      20n * 86_400n,
    );
    await expect(vault.setOracle(wide.oracle))
      .to.be.revertedWithCustomError(vault, "InvalidRisk")
      .withArgs("liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1");
  });

  it("refuses a token that takes a fee, and leaves nothing behind", async () => {
    const fee = await deployMarket(connection, {
      collateralPrice: 2_000n * USD,
      collateralToken: "FeeToken",
    });
    await fee.fund(alice, { collateral: 10n * ETH });
    await expect(fee.vault.connect(alice).adjust(alice, 0n, ETH, 0n, alice, "0x"))
      .to.be.revertedWithCustomError(fee.vault, "TransferMismatch")
      .withArgs(await fee.collateral.getAddress(), ETH, (ETH * 99n) / 100n);
    expect(await fee.collateral.balanceOf(alice)).to.equal(10n * ETH);
  });
});
