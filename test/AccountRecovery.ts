import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { concat, type Signer } from "ethers";

import { deployLocal } from "../deploy/local.ts";
import {
  AccountRecovery__factory,
  ProtectedAccount__factory,
  type Safe,
  type Vault,
} from "../sdk/src/types/index.ts";
import { openArbitrageur } from "../scripts/arbitrage.ts";
import { DAY, MAX_INT24, MAX_UINT256, MIN_INT256, USDC } from "./support/market.ts";
import { execute } from "./support/safe.ts";

const DELAY = 2n * DAY;
const WINDOW = 7n * DAY;
const ACTION = { Recover: 0n, Lock: 1n, RecoverAndLock: 2n, Release: 3n } as const;
const ACTION_TYPE = [
  { name: "account", type: "address" },
  { name: "action", type: "uint8" },
  { name: "newOwner", type: "address" },
  { name: "nonce", type: "uint256" },
  { name: "deadline", type: "uint256" },
];
const NEVER = 2n ** 40n;
const WETH = 10n ** 18n;

const connection = await network.create();
const { ethers, networkHelpers } = connection;
const { ZeroAddress, ZeroHash } = ethers;
const ascending = <T>(list: T[], of: (item: T) => string) =>
  [...list].sort((a, b) => (BigInt(of(a)) < BigInt(of(b)) ? -1 : 1));

/** An account of an EOA with a position and lender shares, guarded by two EOAs and a Safe, two of whom act together. */
async function deployed() {
  const local = await deployLocal(connection);
  const { recovery } = local.contracts;
  const { vault, collateral, debt } = local.markets["weth-usdc"]!;
  const [owner, heir, alice, bob, stranger, lender, arbitrageur] = local.signers.others;
  if (!owner || !heir || !alice || !bob || !stranger || !lender || !arbitrageur)
    throw new Error("too few accounts");
  const safe = await local.safes.pauser.getAddress();
  const guard = {
    guardians: ascending([alice.address, bob.address, safe], (address) => address),
    threshold: 2n,
    delay: DELAY,
  };
  const address = await recovery.accountOf(owner, guard, ZeroHash);
  await recovery.connect(stranger).create(owner, guard, ZeroHash);
  const account = ProtectedAccount__factory.connect(address, owner);

  for (const person of [owner, lender, stranger]) {
    await debt.mint(person, 10n ** 12n);
    await debt.connect(person).approve(vault, MAX_UINT256);
    await debt.connect(person).approve(local.contracts.liquidator, MAX_UINT256);
    await collateral.mint(person, 100n * WETH);
    await collateral.connect(person).approve(vault, MAX_UINT256);
  }
  await vault.connect(lender).deposit(500_000n * USDC, lender);
  await vault.connect(owner).deposit(1_000n * USDC, owner);
  await vault.connect(owner).adjust(owner, 1, 10n * WETH, 10_000n * USDC, owner, "0x");
  // How a position and shares of an EOA move in.
  await vault.connect(owner).offerPosition(owner, 1, address);
  await account.takePosition(vault, owner, 1, 0);
  await vault.connect(owner).transfer(address, await vault.balanceOf(owner));

  const people = { owner, heir, alice, bob, stranger, lender, arbitrageur };
  return { ...local, ...people, recovery, vault, collateral, debt, safe, guard, account, address };
}
const load = () => networkHelpers.loadFixture(deployed);
type Deployed = Awaited<ReturnType<typeof load>>;

async function signed(d: Deployed, action: bigint, newOwner: string, deadline: bigint, signer: Signer) {
  const { nonce } = await d.recovery.stateOf(d.address);
  const domain = {
    name: "Breakwater AccountRecovery",
    version: "1",
    chainId: 31337n,
    verifyingContract: await d.recovery.getAddress(),
  };
  const message = { account: d.address, action, newOwner, nonce, deadline };
  return signer.signTypedData(domain, { Action: ACTION_TYPE }, message);
}

/** Two guardians' approvals by signature. */
async function approvals(
  d: Deployed,
  action: bigint,
  newOwner: string,
  signers = [d.alice, d.bob],
  deadline = NEVER,
) {
  return Promise.all(
    ascending(signers, ({ address }) => address).map(async (signer) => ({
      guardian: signer.address,
      signature: await signed(d, action, newOwner, deadline, signer),
    })),
  );
}

async function act(d: Deployed, action: bigint, newOwner: string = ZeroAddress) {
  return d.recovery
    .connect(d.stranger)
    .act(d.address, action, newOwner, NEVER, await approvals(d, action, newOwner));
}

/** Everything that takes value or control out of the account. */
function ways(
  { account, vault, collateral, stranger, owner, lender }: Deployed,
  by: Signer,
): (() => Promise<unknown>)[] {
  const a = account.connect(by);
  return [
    async () => a.take(vault, 0, WETH, 0, stranger),
    async () => a.take(vault, 0, 0, USDC, stranger),
    async () => a.take(vault, 0, MAX_UINT256, MAX_UINT256, stranger),
    async () => a.withdrawSurplus(vault, 0, 1, stranger),
    async () => a.redeem(vault, MAX_UINT256, stranger),
    async () => a.transfer(vault, stranger, 1),
    async () => a.transfer(collateral, stranger, 0),
    async () => a.takePosition(vault, lender, 0, 5),
    async () => a.sendPosition(vault, 0, owner, 9),
  ];
}

describe("ProtectedAccount", () => {
  it("lets its owner do with positions and shares what an EOA can", async () => {
    const { account, address, vault, collateral, debt, owner, heir } = await load();
    await expect(account.take(vault, 0, 0, 500n * USDC, heir)).to.changeTokenBalance(
      ethers,
      debt,
      heir,
      500n * USDC,
    );
    await expect(account.take(vault, 0, WETH, 0, heir)).to.changeTokenBalance(ethers, collateral, heir, WETH);
    // A top-up that is too small for a step is surplus.
    await vault
      .connect(heir)
      .adjust(address, 0, 10n ** 15n, 0, heir, "0x", {})
      .catch(() => undefined);
    await collateral.connect(heir).approve(vault, MAX_UINT256);
    await vault.connect(heir).adjust(address, 0, 10n ** 15n, 0, heir, "0x");
    await account.withdrawSurplus(vault, 0, MAX_UINT256, heir);
    const shares = await vault.balanceOf(address);
    await account.redeem(vault, shares / 2n, heir);
    await account.transfer(vault, heir, 1n);
    await account.redeem(vault, MAX_UINT256, heir);
    expect(await vault.balanceOf(address)).to.equal(0n);
    // Closing: anyone repays at the vault, the owner takes out the rest.
    await vault.connect(owner).adjust(address, 0, 0, MIN_INT256 + 1n, owner, "0x");
    await account.take(vault, 0, MAX_UINT256, 0, heir);
    expect(await collateral.balanceOf(heir)).to.be.within(10n * WETH - 5n, 10n * WETH + 5n);
  });

  it("sends a position to who consents", async () => {
    const { account, address, vault, owner } = await load();
    await expect(account.sendPosition(vault, 0, owner, 3)).to.be.revertedWithCustomError(
      vault,
      "NotAuthorized",
    );
    await vault.connect(owner).setOperator(address, true);
    await expect(account.sendPosition(vault, 0, owner, 3))
      .to.emit(vault, "TransferPosition")
      .withArgs(address, 0, owner, 3);
  });

  it("R1 obeys nobody but its owner", async () => {
    const d = await load();
    for (const other of [d.stranger, d.alice, d.heir]) {
      for (const way of ways(d, other)) {
        await expect(way()).to.be.revertedWithCustomError(d.recovery, "NotOwner").withArgs(d.address, other);
      }
    }
  });

  it("R2 gives nobody a standing right: no operator, no offer, no allowance, no signature", async () => {
    const { account, address, vault, collateral, debt, owner, stranger, recovery } = await load();
    // The owner's signature is not the account's, neither by ERC-1271 nor by ECDSA.
    const { chainId } = await ethers.provider.getNetwork();
    const SetOperator = ["owner", "operator"]
      .map((name) => ({ name, type: "address" }))
      .concat([
        { name: "approved", type: "bool" },
        { name: "nonce", type: "uint256" },
        { name: "deadline", type: "uint256" },
      ]);
    const message = {
      owner: address,
      operator: stranger.address,
      approved: true,
      nonce: 0n,
      deadline: NEVER,
    };
    const domain = { name: "Breakwater", version: "1", chainId, verifyingContract: await vault.getAddress() };
    const signature = await owner.signTypedData(domain, { SetOperator }, message);
    await expect(
      vault.setOperatorBySignature(address, stranger, true, NEVER, signature),
    ).to.be.revertedWithCustomError(vault, "InvalidSignature");
    // Whatever it did, nothing is left behind; and there is no function that could leave anything.
    await account.take(vault, 0, WETH, USDC, stranger);
    await account.redeem(vault, 1_000_000n, stranger);
    for (const token of [collateral, debt, vault]) {
      for (const spender of [await vault.getAddress(), stranger.address, await recovery.getAddress()]) {
        expect(await token.allowance(address, spender)).to.equal(0n);
      }
    }
    const names: string[] = [];
    account.interface.forEachFunction(({ name, stateMutability }) => {
      if (stateMutability !== "view") names.push(name);
    });
    expect(names).to.have.members([
      "take",
      "withdrawSurplus",
      "redeem",
      "transfer",
      "takePosition",
      "sendPosition",
    ]);
  });
});

describe("AccountRecovery", () => {
  it("creates an account at the address that commits to its owner and its guard", async () => {
    const { recovery, owner, heir, guard, address, stranger } = await load();
    expect(await recovery.ownerOf(address)).to.equal(owner.address);
    const state = await recovery.stateOf(address);
    expect([...state.guard.guardians]).to.deep.equal(guard.guardians);
    expect(await recovery.accountOf(heir, guard, ZeroHash)).to.not.equal(address);
    expect(await recovery.accountOf(owner, { ...guard, threshold: 1n }, ZeroHash)).to.not.equal(address);
    await expect(recovery.create(owner, guard, ZeroHash)).to.be.revertedWithCustomError(
      recovery,
      "FailedDeployment",
    );
    await expect(recovery.create(ZeroAddress, guard, ZeroHash)).to.be.revertedWithCustomError(
      recovery,
      "InvalidOwner",
    );
    for (const wrong of [
      { guardians: [] },
      { guardians: [...guard.guardians].reverse() },
      { guardians: [ZeroAddress, stranger.address] },
      { guardians: [stranger.address, stranger.address] },
      { guardians: Array.from({ length: 17 }, (_, i) => ethers.toBeHex(i + 1, 20)) },
      { threshold: 0n },
      { threshold: 4n },
      { delay: DELAY - 1n },
      { delay: 30n * DAY + 1n },
    ]) {
      const invalid = recovery.create(owner, { ...guard, ...wrong }, ZeroHash);
      await expect(invalid).to.be.revertedWithCustomError(recovery, "InvalidGuard");
    }
    await expect(recovery.ownerOf(stranger))
      .to.be.revertedWithCustomError(recovery, "UnknownAccount")
      .withArgs(stranger);
  });

  it("R3 gives the account another owner after the delay, by two guardians' signatures", async () => {
    const d = await load();
    const { recovery, address, heir, owner, stranger, account, vault } = d;
    await expect(act(d, ACTION.Recover, heir.address)).to.emit(recovery, "StartRecovery");
    const { recoverFrom, recoverUntil } = await recovery.stateOf(address);
    expect(recoverUntil - recoverFrom).to.equal(WINDOW);
    await expect(recovery.executeRecovery(address))
      .to.be.revertedWithCustomError(recovery, "TooEarly")
      .withArgs(address, recoverFrom);
    await account.take(vault, 0, 0, USDC, owner); // the owner is not locked out
    await networkHelpers.time.increaseTo(recoverFrom);
    await expect(recovery.connect(stranger).executeRecovery(address))
      .to.emit(recovery, "Recover")
      .withArgs(address, owner, heir);
    expect(await recovery.ownerOf(address)).to.equal(heir.address);
    await expect(account.redeem(vault, 1_000_000n, owner)).to.be.revertedWithCustomError(
      recovery,
      "NotOwner",
    );
    await account.connect(heir).redeem(vault, 1_000_000n, heir);
    await expect(recovery.executeRecovery(address)).to.be.revertedWithCustomError(recovery, "NoRecovery");
  });

  it("R3 is not executed after its window", async () => {
    const d = await load();
    await act(d, ACTION.Recover, d.heir.address);
    const { recoverUntil } = await d.recovery.stateOf(d.address);
    await networkHelpers.time.increaseTo(recoverUntil);
    await expect(d.recovery.executeRecovery(d.address))
      .to.be.revertedWithCustomError(d.recovery, "TooLate")
      .withArgs(d.address, recoverUntil);
    await d.recovery.connect(d.owner).cancelRecovery(d.address); // clears it away
  });

  it("takes a guardian's approval by transaction, by EIP-712, from a Safe by both, and counts each once", async () => {
    const d = await load();
    const { recovery, address, heir, alice, bob, safe, safes, signers, stranger } = d;
    const [action, newOwner] = [ACTION.Recover, heir.address];
    const digest = await recovery.digestOf(address, action, newOwner, NEVER);
    const send = async (
      list: { guardian: string; signature: string }[],
      by: HardhatEthersSigner = stranger,
    ) =>
      recovery.connect(by).act(
        address,
        action,
        newOwner,
        NEVER,
        ascending(list, ({ guardian }) => guardian),
      );
    const bySignature = {
      guardian: alice.address,
      signature: await signed(d, action, newOwner, NEVER, alice),
    };
    const empty = (guardian: string) => ({ guardian, signature: "0x" });

    await expect(send([bySignature]))
      .to.be.revertedWithCustomError(recovery, "TooFewApprovals")
      .withArgs(1n, 2n);
    await expect(send([bySignature, bySignature])).to.be.revertedWithCustomError(recovery, "NotAscending");
    await expect(send([bySignature, empty(bob.address)]))
      .to.be.revertedWithCustomError(recovery, "NotApproved")
      .withArgs(bob, digest);
    const foreign = {
      guardian: stranger.address,
      signature: await signed(d, action, newOwner, NEVER, stranger),
    };
    await expect(send([bySignature, foreign])).to.be.revertedWithCustomError(recovery, "NotGuardian");
    const wrong = { guardian: bob.address, signature: bySignature.signature };
    await expect(send([bySignature, wrong])).to.be.revertedWithCustomError(recovery, "NotApproved");

    const chainId = 31337n;
    const owners = ascending(signers.pausers.slice(0, 2), (owner) => owner.address);
    const parts = await Promise.all(
      owners.map(async (owner) =>
        owner.signTypedData(
          { chainId, verifyingContract: safe },
          { SafeMessage: [{ name: "message", type: "bytes" }] },
          { message: digest },
        ),
      ),
    );
    await expect(send([bySignature, { guardian: safe, signature: parts[0]! }])).to.be.revertedWithCustomError(
      recovery,
      "NotApproved",
    );
    const each: [() => Promise<unknown>, () => Promise<unknown>][] = [
      // ERC-1271, and EIP-712
      [async () => undefined, async () => send([bySignature, { guardian: safe, signature: concat(parts) }])],
      // the Safe's transaction, and the sender's own
      [
        async () =>
          execute(safes.pauser, owners, recovery, recovery.interface.encodeFunctionData("approve", [digest])),
        async () => send([empty(bob.address), empty(safe)], bob),
      ],
    ];
    for (const [prepare, start] of each) {
      const snapshot = await networkHelpers.takeSnapshot();
      await prepare();
      await expect(start()).to.emit(recovery, "Act").withArgs(address, action, newOwner, 0n);
      await snapshot.restore();
    }
  });

  it("R7 lets approvals serve once, until their deadline, and for what they say", async () => {
    const d = await load();
    const { recovery, address, heir, stranger, owner } = d;
    const list = await approvals(d, ACTION.Recover, heir.address);
    const send = async (action: bigint, newOwner: string) =>
      recovery.connect(stranger).act(address, action, newOwner, NEVER, list);
    await expect(send(ACTION.RecoverAndLock, heir.address)).to.be.revertedWithCustomError(
      recovery,
      "NotApproved",
    );
    await expect(send(ACTION.Recover, stranger.address)).to.be.revertedWithCustomError(
      recovery,
      "NotApproved",
    );
    await send(ACTION.Recover, heir.address);
    await recovery.connect(owner).cancelRecovery(address);
    await expect(send(ACTION.Recover, heir.address)).to.be.revertedWithCustomError(recovery, "NotApproved");
    const deadline = BigInt(await networkHelpers.time.latest());
    const late = await approvals(d, ACTION.Lock, ZeroAddress, undefined, deadline);
    await expect(recovery.act(address, ACTION.Lock, ZeroAddress, deadline, late))
      .to.be.revertedWithCustomError(recovery, "ApprovalsExpired")
      .withArgs(deadline);
    for (const newOwner of [address, owner.address, ZeroAddress]) {
      await expect(act(d, ACTION.Recover, newOwner)).to.be.revertedWithCustomError(recovery, "InvalidOwner");
    }
    await expect(act(d, ACTION.Lock, heir.address)).to.be.revertedWithCustomError(recovery, "InvalidOwner");
  });

  it("R4 lets the owner cancel until the delay is over, even in the owner's own lockdown", async () => {
    const d = await load();
    const { recovery, address, heir, owner, alice } = d;
    await act(d, ACTION.Recover, heir.address);
    await expect(recovery.connect(alice).cancelRecovery(address)).to.be.revertedWithCustomError(
      recovery,
      "NotOwner",
    );
    await recovery.connect(owner).lock(address, DAY);
    await expect(recovery.connect(owner).cancelRecovery(address))
      .to.emit(recovery, "CancelRecovery")
      .withArgs(address, heir, owner);
    await expect(recovery.connect(owner).cancelRecovery(address)).to.be.revertedWithCustomError(
      recovery,
      "NoRecovery",
    );
    await act(d, ACTION.Recover, heir.address);
    const { recoverFrom } = await recovery.stateOf(address);
    await networkHelpers.time.increaseTo(recoverFrom);
    await expect(recovery.connect(owner).cancelRecovery(address))
      .to.be.revertedWithCustomError(recovery, "TooLate")
      .withArgs(address, recoverFrom);
  });

  it("R1 R8 in a lockdown lets nothing out, and lets repaying, topping up, lending and liquidating go on", async () => {
    const d = await load();
    const { recovery, address, owner, stranger, arbitrageur, vault, contracts, setPrice, collateral } = d;
    await recovery.connect(owner).lock(address, 30n * DAY);
    const { lockedUntil } = await recovery.stateOf(address);
    for (const way of ways(d, owner)) {
      await expect(way())
        .to.be.revertedWithCustomError(recovery, "LockedDown")
        .withArgs(address, lockedUntil);
    }
    const proposal = recovery.connect(owner).proposeGuard(address, d.guard);
    await expect(proposal).to.be.revertedWithCustomError(recovery, "LockedDown");

    await vault.connect(stranger).adjust(address, 0, 10n ** 15n, -USDC, stranger, "0x");
    await vault.connect(stranger).deposit(USDC, address);
    // Borrowed before as much as possible, it is liquidated like any other.
    await setPrice("ETH/USD", "1150");
    await (await openArbitrageur(d, arbitrageur)).trade();
    await networkHelpers.time.increase(700);
    const before = await collateral.balanceOf(stranger);
    await contracts.liquidator.connect(stranger).liquidate(
      {
        market: vault,
        maxRepay: MAX_UINT256 / 2n,
        minCollateral: 0,
        fromTick: MAX_INT24,
        maxTicks: 0,
        buyPot: false,
        deadline: MAX_UINT256,
        receiver: stranger,
      },
      "0x",
    );
    expect(await collateral.balanceOf(stranger)).to.be.greaterThan(before);
    await vault.connect(stranger).adjust(address, 0, 0, MIN_INT256 + 1n, stranger, "0x");
    await networkHelpers.time.increaseTo(lockedUntil);
    await d.account.take(vault, 0, MAX_UINT256, 0, owner);
  });

  it("R5 bounds the owner's lockdown, which is not lifted but lapses, and rations a guardian's", async () => {
    const d = await load();
    const { recovery, address, owner, alice, bob, stranger } = d;
    const max = 30n * DAY;
    for (const duration of [0n, max + 1n]) {
      await expect(recovery.connect(owner).lock(address, duration))
        .to.be.revertedWithCustomError(recovery, "InvalidDuration")
        .withArgs(duration, max);
    }
    await expect(recovery.connect(alice).lock(address, 1)).to.be.revertedWithCustomError(
      recovery,
      "NotOwner",
    );
    await recovery.connect(owner).lock(address, 10n * DAY);
    const { lockedUntil } = await recovery.stateOf(address);
    await recovery.connect(owner).lock(address, 1n); // does not shorten it
    expect((await recovery.stateOf(address)).lockedUntil).to.equal(lockedUntil);
    await networkHelpers.time.increaseTo(lockedUntil);
    await recovery.checkMayTake(address, owner);

    await expect(recovery.connect(stranger).lockByGuardian(address)).to.be.revertedWithCustomError(
      recovery,
      "NotGuardian",
    );
    await recovery.connect(alice).lockByGuardian(address);
    const state = await recovery.stateOf(address);
    expect(state.lockedUntil).to.equal(BigInt(await networkHelpers.time.latest()) + 7n * DAY);
    await networkHelpers.time.increaseTo(state.guardianLockFrom - 1n);
    // For all guardians together.
    await expect(recovery.connect(bob).lockByGuardian.staticCall(address))
      .to.be.revertedWithCustomError(recovery, "GuardianLockSpent")
      .withArgs(address, state.guardianLockFrom);
    await networkHelpers.time.increaseTo(state.guardianLockFrom);
    await recovery.connect(bob).lockByGuardian(address);
  });

  it("R6 changes the guard after the present delay, by the owner, unless cancelled", async () => {
    const d = await load();
    const { recovery, address, owner, stranger, heir } = d;
    const next = { guardians: [heir.address], threshold: 1n, delay: 5n * DAY };
    await expect(recovery.connect(stranger).proposeGuard(address, next)).to.be.revertedWithCustomError(
      recovery,
      "NotOwner",
    );
    const asOwner = recovery.connect(owner);
    await expect(asOwner.proposeGuard(address, { ...next, delay: 1n })).to.be.revertedWithCustomError(
      recovery,
      "InvalidGuard",
    );
    await asOwner.proposeGuard(address, next);
    await asOwner.cancelGuard(address);
    await expect(asOwner.cancelGuard(address)).to.be.revertedWithCustomError(recovery, "NoChange");
    await networkHelpers.time.increase(DELAY);
    await expect(recovery.applyGuard(address)).to.be.revertedWithCustomError(recovery, "NoChange");
    await asOwner.proposeGuard(address, next);
    const { changeFrom } = await recovery.stateOf(address);
    await expect(recovery.applyGuard(address))
      .to.be.revertedWithCustomError(recovery, "TooEarly")
      .withArgs(address, changeFrom);
    await networkHelpers.time.increaseTo(changeFrom);
    await recovery.connect(stranger).applyGuard(address);
    await expect(act(d, ACTION.Lock)).to.be.revertedWithCustomError(recovery, "NotGuardian");
    await recovery
      .connect(heir)
      .act(address, ACTION.Lock, ZeroAddress, NEVER, [{ guardian: heir.address, signature: "0x" }]);
    expect((await recovery.stateOf(address)).guard.delay).to.equal(5n * DAY);
  });

  it("withstands a thief with the owner's key: lock, recover, and nothing that was prepared comes true", async () => {
    const d = await load();
    const { recovery, address, owner: thief, heir, alice, stranger, account, vault, collateral } = d;
    // The thief prepares guardians of its own, and one guardian notices.
    await recovery
      .connect(thief)
      .proposeGuard(address, { guardians: [stranger.address], threshold: 1n, delay: DELAY });
    const { changeFrom } = await recovery.stateOf(address);
    await recovery.connect(alice).lockByGuardian(address);
    await expect(account.take(vault, 0, WETH, 0, thief)).to.be.revertedWithCustomError(
      recovery,
      "LockedDown",
    );
    // A recovery alone is cancelled by the thief; with a lockdown it is not.
    await act(d, ACTION.Recover, heir.address);
    await recovery.connect(thief).cancelRecovery(address);
    await expect(act(d, ACTION.RecoverAndLock, heir.address)).to.emit(recovery, "CancelGuard");
    const { recoverFrom, quorumLockedUntil, recoverUntil } = await recovery.stateOf(address);
    expect(quorumLockedUntil).to.equal(recoverUntil);
    await expect(recovery.connect(thief).cancelRecovery(address))
      .to.be.revertedWithCustomError(recovery, "LockedDown")
      .withArgs(address, quorumLockedUntil);
    await recovery.connect(thief).lock(address, 30n * DAY); // stops nobody
    await networkHelpers.time.increaseTo(changeFrom > recoverFrom ? changeFrom : recoverFrom);
    await expect(recovery.applyGuard(address)).to.be.revertedWithCustomError(recovery, "NoChange");
    await recovery.connect(stranger).executeRecovery(address);
    await expect(account.take(vault, 0, WETH, 0, thief)).to.be.revertedWithCustomError(recovery, "NotOwner");
    await d.setPrice("ETH/USD", "2000");
    await d.setPrice("USDC/USD", "1");
    await account.connect(heir).take(vault, 0, WETH, 0, heir);
    expect(await collateral.balanceOf(heir)).to.equal(WETH);
    expect((await recovery.stateOf(address)).lockedUntil).to.equal(0n);
  });

  it("lets the quorum release what it did", async () => {
    const d = await load();
    const { recovery, address, heir, owner, account, vault } = d;
    await act(d, ACTION.RecoverAndLock, heir.address);
    await expect(act(d, ACTION.Release)).to.emit(recovery, "CancelRecovery").withArgs(address, heir, address);
    await account.take(vault, 0, WETH, 0, owner);
    await networkHelpers.time.increase(DELAY);
    await expect(recovery.executeRecovery(address)).to.be.revertedWithCustomError(recovery, "NoRecovery");
  });

  it("serves a Safe as owner, and recovers its account to another Safe by a Safe and an EOA", async () => {
    const d = await load();
    const { recovery, alice, vault, collateral, debt, lender, safes, safe, signers, stranger } = d;
    const owner = safes.governor;
    const asOwner = async (to: Vault | typeof account | typeof recovery, data: string, by: Safe = owner) =>
      execute(by, by === owner ? signers.governors.slice(0, 3) : signers.pausers.slice(0, 2), to, data);
    // The pauser Safe is guardian here and heir of the account too.
    const guard = { guardians: ascending([alice.address, safe], (a) => a), threshold: 2n, delay: DELAY };
    await recovery.create(owner, guard, ZeroHash);
    const address = await recovery.accountOf(owner, guard, ZeroHash);
    const account = ProtectedAccount__factory.connect(address, stranger);
    await vault.connect(lender).adjust(address, 0, 10n * WETH, 0, lender, "0x");
    const take = account.interface.encodeFunctionData("take", [
      await vault.getAddress(),
      0n,
      0n,
      5_000n * USDC,
      lender.address,
    ]);
    await expect(asOwner(account, take)).to.changeTokenBalance(ethers, debt, lender, 5_000n * USDC);
    await asOwner(recovery, recovery.interface.encodeFunctionData("lock", [address, DAY]));
    await expect(asOwner(account, take)).to.be.revertedWithCustomError(recovery, "LockedDown");

    const digest = await recovery.digestOf(address, ACTION.RecoverAndLock, safe, NEVER);
    await recovery.connect(alice).approve(digest);
    const list = guard.guardians.map((guardian) => ({ guardian, signature: "0x" }));
    const call = AccountRecovery__factory.createInterface().encodeFunctionData("act", [
      address,
      ACTION.RecoverAndLock,
      safe,
      NEVER,
      list,
    ]);
    await asOwner(recovery, call, safes.pauser);
    const cancel = recovery.interface.encodeFunctionData("cancelRecovery", [address]);
    await expect(asOwner(recovery, cancel)).to.be.revertedWithCustomError(recovery, "LockedDown");
    await networkHelpers.time.increase(DELAY);
    await recovery.executeRecovery(address);
    await vault.connect(lender).adjust(address, 0, 0, MIN_INT256 + 1n, lender, "0x");
    const rest = account.interface.encodeFunctionData("take", [
      await vault.getAddress(),
      0n,
      MAX_UINT256,
      0n,
      lender.address,
    ]);
    await expect(asOwner(account, rest)).to.be.revertedWithCustomError(recovery, "NotOwner");
    const before = await collateral.balanceOf(lender);
    await asOwner(account, rest, safes.pauser);
    expect((await collateral.balanceOf(lender)) - before).to.be.within(10n * WETH - 2n, 10n * WETH);
  });
});
