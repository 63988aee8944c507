import SafeKit from "@safe-global/protocol-kit";
import { expect } from "chai";
import { network } from "hardhat";

import { deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { HOUR, LEVEL, MAX_INT24, MAX_UINT256 } from "../support/market.ts";
import { execute } from "../support/safe.ts";

const RESUMER_DELAY = 30n * 60n;

const connection = await network.create();
const { networkHelpers, ethers } = connection;
const REASON = ethers.encodeBytes32String("oracle under attack");

/** The system with one position of WETH/USDC that is liquidatable at both sources, and a keeper with USDC. */
async function liquidatable() {
  const local = await deployLocal(connection);
  const { vault, collateral, debt, oracle } = local.markets["weth-usdc"]!;
  const [lender, borrower, keeper, arbitrageur] = local.signers.others;
  if (!lender || !borrower || !keeper || !arbitrageur) throw new Error("too few accounts");
  await debt.mint(lender, 10n ** 12n);
  await debt.connect(lender).approve(vault, MAX_UINT256);
  await vault.connect(lender).deposit(10n ** 12n, lender);
  await collateral.mint(borrower, 10n ** 19n);
  await collateral.connect(borrower).approve(vault, MAX_UINT256);
  await debt.connect(borrower).approve(vault, MAX_UINT256);
  await vault.connect(borrower).adjust(borrower, 0, 10n ** 19n, 16_000n * 10n ** 6n, borrower, "0x");
  await debt.mint(keeper, 10n ** 12n);
  await debt.connect(keeper).approve(local.contracts.liquidator, MAX_UINT256);

  await local.setPrice("ETH/USD", "1840");
  await (await openArbitrageur(local, arbitrageur)).trade();
  await networkHelpers.time.increase(700);

  const liquidate = () =>
    local.contracts.liquidator.connect(keeper).liquidate(
      {
        market: vault,
        maxRepay: MAX_UINT256 / 2n,
        minCollateral: 0,
        fromTick: MAX_INT24,
        maxTicks: 0,
        buyPot: false,
        deadline: MAX_UINT256,
        receiver: keeper,
      },
      "0x",
    );
  const { brake } = local.contracts;
  const pause = brake.interface.encodeFunctionData("pause", [
    await vault.getAddress(),
    LEVEL.LiquidationsPaused,
    2n * HOUR,
    REASON,
  ]);
  return { ...local, brake, vault, debt, oracle, borrower, keeper, liquidate, pause };
}
const load = () => networkHelpers.loadFixture(liquidatable);

describe("the multisig-gated pause, with real Safes", () => {
  it("liquidates while nothing is paused", async () => {
    const { liquidate, vault } = await load();
    await expect(liquidate()).to.emit(vault, "Liquidate");
  });

  it("pauses liquidations with two signatures of the pauser Safe, made by Safe's own kit", async () => {
    const { addresses, brake, liquidate, pause, safes, signers, vault } = await load();
    const { contracts } = addresses;
    const init = (signer: string) =>
      SafeKit.init({
        provider: connection.provider,
        signer,
        safeAddress: addresses.safes.pauser,
        contractNetworks: {
          "31337": {
            safeSingletonAddress: contracts["Safe"]!,
            safeProxyFactoryAddress: contracts["SafeProxyFactory"]!,
            multiSendAddress: contracts["MultiSend"]!,
            multiSendCallOnlyAddress: contracts["MultiSendCallOnly"]!,
            fallbackHandlerAddress: contracts["CompatibilityFallbackHandler"]!,
            signMessageLibAddress: contracts["SignMessageLib"]!,
            createCallAddress: contracts["CreateCall"]!,
            simulateTxAccessorAddress: contracts["SimulateTxAccessor"]!,
          },
        },
      });
    const [first, second] = [
      await init(signers.pausers[0]!.address),
      await init(signers.pausers[2]!.address),
    ];
    const send = (signatures: string) =>
      safes.pauser.execTransaction(
        brake,
        0,
        pause,
        0,
        0,
        0,
        0,
        ethers.ZeroAddress,
        ethers.ZeroAddress,
        signatures,
      );

    const proposed = await first.createTransaction({
      transactions: [{ to: await brake.getAddress(), value: "0", data: pause }],
    });
    const signedOnce = await first.signTransaction(proposed);
    await expect(send(signedOnce.encodedSignatures())).to.be.revertedWith("GS020");
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.None);

    const signedTwice = await second.signTransaction(signedOnce);
    await expect(send(signedTwice.encodedSignatures())).to.emit(brake, "Pause");
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.LiquidationsPaused);
    await expect(liquidate()).to.be.revertedWithCustomError(vault, "LiquidationsPaused");
  });

  it("does not pause with one signature, with the same one twice, or with a stranger's", async () => {
    const { brake, pause, safes, signers, vault } = await load();
    const [owner] = signers.pausers;
    const stranger = signers.others[5]!;
    await expect(execute(safes.pauser, [owner!], brake, pause)).to.be.revertedWith("GS020");
    await expect(execute(safes.pauser, [owner!, owner!], brake, pause)).to.be.revertedWith("GS026");
    await expect(execute(safes.pauser, [owner!, stranger], brake, pause)).to.be.revertedWith("GS026");
    // Three governors are enough for the governor Safe, and it is no pauser.
    await expect(
      execute(safes.governor, signers.governors.slice(0, 3), brake, pause),
    ).to.be.revertedWithCustomError(brake, "AccessManagedUnauthorized");
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.None);
  });

  it("blocks liquidations and new risk, and neither repayments nor closing", async () => {
    const { borrower, brake, debt, liquidate, pause, safes, signers, vault } = await load();
    await execute(safes.pauser, signers.pausers.slice(0, 2), brake, pause);
    await expect(liquidate()).to.be.revertedWithCustomError(vault, "LiquidationsPaused");
    const asBorrower = vault.connect(borrower);
    await expect(asBorrower.adjust(borrower, 0, 0, 10n ** 6n, borrower, "0x")).to.be.revertedWithCustomError(
      vault,
      "NewRiskPaused",
    );
    await expect(asBorrower.adjust(borrower, 0, 0, -(10n ** 9n), borrower, "0x")).to.emit(vault, "Adjust");
    await debt.mint(borrower, 10n ** 9n);
    await expect(asBorrower.adjust(borrower, 0, -(2n ** 255n), -(10n ** 12n), borrower, "0x")).to.emit(
      vault,
      "Adjust",
    );
  });

  it("lapses by its timestamp into grace, and then is over, with no transaction", async () => {
    const { brake, liquidate, pause, safes, setPrice, signers, vault } = await load();
    await execute(safes.pauser, signers.pausers.slice(0, 2), brake, pause);
    const { pausedUntil, graceUntil } = await brake.stateOf(vault);
    expect(graceUntil - pausedUntil).to.equal(HOUR);

    await networkHelpers.time.increaseTo(pausedUntil);
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.Grace);
    await expect(liquidate())
      .to.be.revertedWithCustomError(vault, "LiquidationsPaused")
      .withArgs(LEVEL.Grace, graceUntil);
    await networkHelpers.time.increaseTo(graceUntil);
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.None);
    await setPrice("ETH/USD", "1840");
    await expect(liquidate()).to.emit(vault, "Liquidate");
  });

  it("is not the pauser's to end: the governor resumes after its delay, into grace", async () => {
    const { brake, contracts, pause, safes, signers, vault } = await load();
    const { manager } = contracts;
    const [pausers, governors] = [signers.pausers.slice(0, 2), signers.governors.slice(2)];
    await execute(safes.pauser, pausers, brake, pause);
    const resume = brake.interface.encodeFunctionData("resume", [
      await vault.getAddress(),
      LEVEL.LiquidationsPaused,
      1n,
    ]);
    await expect(execute(safes.pauser, pausers, brake, resume)).to.be.revertedWithCustomError(
      brake,
      "AccessManagedUnauthorized",
    );

    await expect(execute(safes.governor, governors, brake, resume)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
    const schedule = manager.interface.encodeFunctionData("schedule", [await brake.getAddress(), resume, 0]);
    await execute(safes.governor, governors, manager, schedule);
    await expect(execute(safes.governor, governors, brake, resume)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotReady",
    );
    await networkHelpers.time.increase(RESUMER_DELAY);
    await expect(execute(safes.governor, governors, brake, resume)).to.emit(brake, "Resume");
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.Grace);
  });

  it("can have a resumption that the governor scheduled cancelled by the pauser", async () => {
    const { brake, contracts, pause, safes, signers, vault } = await load();
    const { manager } = contracts;
    const governors = signers.governors.slice(0, 3);
    await execute(safes.pauser, signers.pausers.slice(0, 2), brake, pause);
    const resume = brake.interface.encodeFunctionData("resume", [
      await vault.getAddress(),
      LEVEL.LiquidationsPaused,
      1n,
    ]);
    const schedule = manager.interface.encodeFunctionData("schedule", [await brake.getAddress(), resume, 0]);
    await execute(safes.governor, governors, manager, schedule);
    const cancel = manager.interface.encodeFunctionData("cancel", [
      await safes.governor.getAddress(),
      await brake.getAddress(),
      resume,
    ]);
    await execute(safes.pauser, signers.pausers.slice(0, 2), manager, cancel);
    await networkHelpers.time.increase(RESUMER_DELAY);
    await expect(execute(safes.governor, governors, brake, resume)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
    expect((await brake.stateOf(vault)).level).to.equal(LEVEL.LiquidationsPaused);
  });
});
