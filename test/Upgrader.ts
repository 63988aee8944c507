import { expect } from "chai";
import { network } from "hardhat";
import type { Addressable, Interface } from "ethers";

import { deployImplementation, listingOf } from "../deploy/implementation.ts";
import { deployLocal } from "../deploy/local.ts";
import { ProxyAdmin__factory } from "../sdk/src/types/index.ts";
import { HOUR, LEVEL, MAX_UINT256, MIN_INT256 } from "./support/market.ts";
import { execute } from "./support/safe.ts";

const DELAY = 48n * HOUR;
const WINDOW = 72n * HOUR;
/** In the order of IUpgrader's enum. */
const STATE = {
  Restorable: 0n,
  NotListed: 1n,
  Ossified: 2n,
  NothingToRestore: 3n,
  SecurityFix: 4n,
  WindowClosed: 5n,
  NotPaused: 6n,
} as const;
const IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

const connection = await network.create();
const { ethers, networkHelpers } = connection;
const REASON = ethers.encodeBytes32String("bad upgrade");
const FAULTY = (await ethers.getContractFactory("FaultyVault")).interface;

/** The deployed system with its real Safes, a lender, a borrower, and a second implementation of the first market. */
async function deployed() {
  const local = await deployLocal(connection);
  const { manager, upgrader, brake } = local.contracts;
  const { vault, collateral, debt } = local.markets["weth-usdc"]!;
  const [lender, borrower] = local.signers.others;
  if (!lender || !borrower) throw new Error("too few accounts");
  await debt.mint(lender, 10n ** 12n);
  await debt.connect(lender).approve(vault, MAX_UINT256);
  await vault.connect(lender).deposit(10n ** 12n, lender);
  await collateral.mint(borrower, 10n ** 19n);
  await collateral.connect(borrower).approve(vault, MAX_UINT256);
  await debt.mint(borrower, 10n ** 9n);
  await debt.connect(borrower).approve(vault, MAX_UINT256);
  await vault.connect(borrower).adjust(borrower, 7, 10n ** 19n, 10_000n * 10n ** 6n, borrower, "0x");

  const [pausers, governors] = [local.signers.pausers.slice(0, 2), local.signers.governors.slice(0, 3)];
  const asPauser = async (to: Addressable, data: string) => execute(local.safes.pauser, pausers, to, data);
  const asGovernor = async (to: Addressable, data: string) =>
    execute(local.safes.governor, governors, to, data);
  const schedule = async (call: string) =>
    asGovernor(
      manager,
      manager.interface.encodeFunctionData("schedule", [await upgrader.getAddress(), call, 0]),
    );
  /** A call of the governor's with its delay. */
  const delayed = async (call: string) => {
    await schedule(call);
    await networkHelpers.time.increase(DELAY);
    // Two days without a round are longer than any feed's age: prices again.
    for (const [pair, price] of [
      ["ETH/USD", "2000"],
      ["USDC/USD", "1"],
    ] as const)
      await local.setPrice(pair, price);
    return asGovernor(upgrader, call);
  };
  const encode = (name: string, args: unknown[]) =>
    (upgrader.interface as Interface).encodeFunctionData(name, args);
  const address = await vault.getAddress();
  const first = (await upgrader.stateOf(vault)).implementation;
  const second = await deployImplementation(ethers, "Vault", vault);
  const restore = encode("restore", [address]);
  return {
    ...local,
    manager,
    upgrader,
    brake,
    vault,
    address,
    collateral,
    debt,
    lender,
    borrower,
    first,
    second,
    asPauser,
    asGovernor,
    schedule,
    delayed,
    encode,
    upgradeTo: async (implementation: string, isSecurityFix = false) =>
      delayed(encode("upgrade", [address, implementation, "0x", isSecurityFix])),
    pause: async (market: string = address) =>
      asPauser(
        brake,
        brake.interface.encodeFunctionData("pause", [market, LEVEL.LiquidationsPaused, HOUR, REASON]),
      ),
    restore: async () => asPauser(upgrader, restore),
    state: async () => (await upgrader.stateOf(vault)).restore,
    running: async (proxy: string = address) =>
      ethers.getAddress(`0x${(await ethers.provider.getStorage(proxy, IMPLEMENTATION_SLOT)).slice(26)}`),
  };
}
const load = () => networkHelpers.loadFixture(deployed);

describe("Upgrader, with real Safes", () => {
  it("upgrades after the governor's delay, keeps storage, and remembers what ran before", async () => {
    const {
      upgrader,
      manager,
      vault,
      address,
      encode,
      schedule,
      asGovernor,
      lender,
      borrower,
      first,
      second,
      running,
    } = await load();
    const call = encode("upgrade", [address, second, "0x", false]);
    await expect(asGovernor(upgrader, call)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
    await schedule(call);
    await expect(asGovernor(upgrader, call)).to.be.revertedWithCustomError(manager, "AccessManagerNotReady");
    await networkHelpers.time.increase(DELAY);
    const [shares, position] = [await vault.balanceOf(lender), await vault.readSlot(ethers.toBeHex(0, 32))];
    expect(await running()).to.equal(first);
    await expect(asGovernor(upgrader, call))
      .to.emit(upgrader, "Upgrade")
      .withArgs(address, second, first, false, BigInt(await networkHelpers.time.latest()) + 1n + WINDOW);
    expect(await running()).to.equal(second);
    expect(await vault.balanceOf(lender)).to.equal(shares);
    expect(await vault.readSlot(ethers.toBeHex(0, 32))).to.equal(position);
    expect(await vault.authority()).to.equal(await manager.getAddress());
    // What the new implementation was given is what the old one had.
    expect((await listingOf(vault)).spacing).to.equal(25n);
    await vault.connect(borrower).adjust(borrower, 7, MIN_INT256, MIN_INT256 + 1n, borrower, "0x");
    const after = await upgrader.stateOf(vault);
    expect([after.implementation, after.previous, after.restore]).to.deep.equal([
      second,
      first,
      STATE.NotPaused,
    ]);
  });

  it("moves a market to another Liquidator, which is not behind a proxy", async () => {
    const { vault, upgradeTo } = await load();
    const liquidator = await (await ethers.deployContract("Liquidator")).getAddress();
    await upgradeTo(await deployImplementation(ethers, "Vault", vault, { liquidator }));
    expect(await vault.LIQUIDATOR()).to.equal(liquidator);
  });

  it("lets the pauser cancel a scheduled upgrade, and nobody but the governor make one", async () => {
    const {
      upgrader,
      manager,
      address,
      encode,
      schedule,
      asPauser,
      asGovernor,
      second,
      safes,
      lender,
      running,
      first,
    } = await load();
    const call = encode("upgrade", [address, second, "0x", false]);
    await schedule(call);
    const cancel = manager.interface.encodeFunctionData("cancel", [
      await safes.governor.getAddress(),
      await upgrader.getAddress(),
      call,
    ]);
    await expect(
      manager.connect(lender).cancel(safes.governor, upgrader, call),
    ).to.be.revertedWithCustomError(manager, "AccessManagerUnauthorizedCancel");
    await asPauser(manager, cancel);
    await networkHelpers.time.increase(DELAY);
    await expect(asGovernor(upgrader, call)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
    await expect(asPauser(upgrader, call)).to.be.revertedWithCustomError(
      upgrader,
      "AccessManagedUnauthorized",
    );
    await expect(upgrader.connect(lender).restore(address)).to.be.revertedWithCustomError(
      upgrader,
      "AccessManagedUnauthorized",
    );
    await expect(asGovernor(upgrader, encode("restore", [address]))).to.be.revertedWithCustomError(
      upgrader,
      "AccessManagedUnauthorized",
    );
    expect(await running()).to.equal(first);
  });

  it("undoes a bad upgrade at once: pause, restore, and the market works", async () => {
    const { upgrader, vault, borrower, upgradeTo, pause, restore, state, first, running } = await load();
    const adjust = vault.interface.getFunction("adjust").selector;
    const faulty = await (await ethers.deployContract("FaultyVault", [first, adjust])).getAddress();
    await upgradeTo(faulty);
    const repay = () => vault.connect(borrower).adjust(borrower, 7, 0, -(10n ** 6n), borrower, "0x");
    await expect(repay()).to.be.revertedWithCustomError({ interface: FAULTY }, "Faulty").withArgs(adjust);
    await pause();
    expect(await state()).to.equal(STATE.Restorable);
    await expect(restore()).to.emit(upgrader, "Restore").withArgs(vault, first, faulty);
    expect(await running()).to.equal(first);
    await expect(repay()).to.emit(vault, "Adjust");
    await networkHelpers.time.increase(3n * HOUR);
    await expect(
      vault.connect(borrower).adjust(borrower, 7, MIN_INT256, MIN_INT256 + 1n, borrower, "0x"),
    ).to.emit(vault, "Adjust");
  });

  it("restores a market that an upgrade made deaf to the brake, and so cannot be paused", async () => {
    const { brake, vault, address, upgradeTo, pause, restore, state, first, running } = await load();
    const setBrake = vault.interface.getFunction("setBrake").selector;
    await upgradeTo(await (await ethers.deployContract("FaultyVault", [first, setBrake])).getAddress());
    await expect(pause()).to.be.revertedWithCustomError(brake, "MarketDoesNotAnswer").withArgs(address);
    expect(await state()).to.equal(STATE.NotPaused);
    expect(await brake.remind.staticCall(address)).to.equal(false);
    await restore();
    expect(await running()).to.equal(first);
    expect(await brake.remind.staticCall(address)).to.equal(true);
    await pause();
  });

  it("restores once, and again only after another upgrade", async () => {
    const { upgrader, address, upgradeTo, pause, restore, state, first, second, running } = await load();
    expect(await state()).to.equal(STATE.NothingToRestore);
    const refused = async (why: bigint, previous: string, until: unknown) =>
      expect(restore())
        .to.be.revertedWithCustomError(upgrader, "NotRestorable")
        .withArgs(address, previous, why, until);
    await refused(STATE.NothingToRestore, ethers.ZeroAddress, 0n);
    await upgradeTo(second);
    await pause();
    await restore();
    const { restorableUntil } = await upgrader.stateOf(address);
    await refused(STATE.NothingToRestore, ethers.ZeroAddress, restorableUntil);
    expect(await running()).to.equal(first);

    // After a second upgrade the one before it comes back, not the first.
    await upgradeTo(second);
    const third = await (await ethers.deployContract("FaultyVault", [first, "0x12345678"])).getAddress();
    await upgradeTo(third);
    await pause();
    await restore();
    expect(await running()).to.equal(second);
    expect(await state()).to.equal(STATE.NothingToRestore);
  });

  it("does not restore without a pause of that market, after the window, or over a security fix", async () => {
    const { upgrader, addresses, address, upgradeTo, pause, restore, state, first, second, running } =
      await load();
    await upgradeTo(second);
    const { restorableUntil: until } = await upgrader.stateOf(address);
    const refused = async (why: bigint) =>
      expect(restore())
        .to.be.revertedWithCustomError(upgrader, "NotRestorable")
        .withArgs(address, first, why, until);
    await refused(STATE.NotPaused);
    await pause(addresses.markets[1]!.vault);
    await refused(STATE.NotPaused);
    await pause();
    expect(await state()).to.equal(STATE.Restorable);
    // Grace is no pause any more.
    await networkHelpers.time.increase(HOUR);
    await refused(STATE.NotPaused);
    await networkHelpers.time.increaseTo(until - HOUR);
    await pause();
    await networkHelpers.time.setNextBlockTimestamp(until);
    await refused(STATE.WindowClosed);
    expect(await running()).to.equal(second);

    await upgradeTo(first, true);
    await pause();
    expect(await state()).to.equal(STATE.SecurityFix);
    await expect(restore())
      .to.be.revertedWithCustomError(upgrader, "NotRestorable")
      .withArgs(address, second, STATE.SecurityFix, (await upgrader.stateOf(address)).restorableUntil);
    expect(await running()).to.equal(first);
  });

  it("restores what is no market while any market is paused, and the brake itself without a pause", async () => {
    const { upgrader, brake, contracts, encode, delayed, asPauser, pause, running } = await load();
    for (const [name, proxy] of [
      ["InsuranceFund", await contracts.insurance.getAddress()],
      ["EmergencyBrake", await brake.getAddress()],
    ] as const) {
      const before = await running(proxy);
      // A brake that cannot even say which markets there are.
      const faulty = await (await ethers.deployContract("FaultyVault", [before, "0x"])).getAddress();
      await delayed(encode("upgrade", [proxy, faulty, "0x", false]));
      expect(await running(proxy)).to.equal(faulty);
      const restore = encode("restore", [proxy]);
      if (name === "InsuranceFund") {
        await expect(asPauser(upgrader, restore)).to.be.revertedWithCustomError(upgrader, "NotRestorable");
        await pause();
      }
      await asPauser(upgrader, restore);
      expect(await running(proxy), name).to.equal(before);
    }
  });

  it("calls the new implementation with the governor's data, as the proxy", async () => {
    const { vault, address, encode, delayed, second, borrower } = await load();
    await expect(
      delayed(
        encode("upgrade", [address, second, vault.interface.encodeFunctionData("accrueInterest"), true]),
      ),
    ).to.not.be.revert(ethers);
    // A call that fails takes the upgrade with it.
    const close = vault.interface.encodeFunctionData("adjust", [
      borrower.address,
      7,
      MIN_INT256,
      0,
      borrower.address,
      "0x",
    ]);
    const third = await deployImplementation(ethers, "Vault", vault);
    await expect(delayed(encode("upgrade", [address, third, close, false]))).to.be.revertedWithCustomError(
      vault,
      "NotAuthorized",
    );
  });

  it("ossifies for ever, after the window of the latest upgrade", async () => {
    const {
      upgrader,
      address,
      encode,
      delayed,
      asGovernor,
      upgradeTo,
      pause,
      restore,
      state,
      first,
      second,
    } = await load();
    await upgradeTo(second);
    const ossify = encode("ossify", [address]);
    const { restorableUntil: until } = await upgrader.stateOf(address);
    await expect(delayed(ossify))
      .to.be.revertedWithCustomError(upgrader, "StillRestorable")
      .withArgs(address, second, until);
    await networkHelpers.time.increaseTo(until);
    await expect(asGovernor(upgrader, ossify)).to.emit(upgrader, "Ossify").withArgs(address, second);
    const admin = ProxyAdmin__factory.connect(await upgrader.adminOf(address), ethers.provider);
    expect(await admin.owner()).to.equal(ethers.ZeroAddress);
    expect(await state()).to.equal(STATE.Ossified);
    await pause();
    await expect(restore())
      .to.be.revertedWithCustomError(upgrader, "NotRestorable")
      .withArgs(address, first, STATE.Ossified, until);
    await expect(upgradeTo(first))
      .to.be.revertedWithCustomError(upgrader, "AlreadyOssified")
      .withArgs(address, second);
    await expect(delayed(ossify))
      .to.be.revertedWithCustomError(upgrader, "AlreadyOssified")
      .withArgs(address, second);
  });

  it("ossifies a security fix at once: there is nothing to go back to", async () => {
    const { upgrader, address, encode, delayed, upgradeTo, second } = await load();
    await upgradeTo(second, true);
    await expect(delayed(encode("ossify", [address]))).to.emit(upgrader, "Ossify");
  });

  it("refuses what it cannot own, what is listed, what has no code and what runs already", async () => {
    const { upgrader, vault, address, encode, delayed, asGovernor, lender, first } = await load();
    const proxy = await ethers.deployContract("TransparentUpgradeableProxy", [
      first,
      lender,
      vault.interface.encodeFunctionData("readSlot", [ethers.ZeroHash]),
    ]);
    const other = await proxy.getAddress();
    const admin = await upgrader.adminOf(other);
    await expect(delayed(encode("list", [other, first])))
      .to.be.revertedWithCustomError(upgrader, "NotTheAdminsOwner")
      .withArgs(other, admin, lender);
    await expect(delayed(encode("upgrade", [other, first, "0x", false])))
      .to.be.revertedWithCustomError(upgrader, "NotListed")
      .withArgs(other);
    expect((await upgrader.stateOf(other)).restore).to.equal(STATE.NotListed);
    await ProxyAdmin__factory.connect(admin, lender).transferOwnership(upgrader);
    await expect(delayed(encode("list", [other, lender.address])))
      .to.be.revertedWithCustomError(upgrader, "NotAContract")
      .withArgs(lender);
    // What failed stays scheduled.
    await expect(asGovernor(upgrader, encode("list", [other, first])))
      .to.emit(upgrader, "List")
      .withArgs(other, first);
    await expect(delayed(encode("list", [address, first])))
      .to.be.revertedWithCustomError(upgrader, "AlreadyListed")
      .withArgs(address);
    await expect(delayed(encode("upgrade", [address, lender.address, "0x", false])))
      .to.be.revertedWithCustomError(upgrader, "NotAContract")
      .withArgs(lender);
    await expect(delayed(encode("upgrade", [address, first, "0x", false])))
      .to.be.revertedWithCustomError(upgrader, "SameImplementation")
      .withArgs(address, first);
  });
});
