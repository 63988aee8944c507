import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";

import { deployFundedMarket, ETH, type FundedMarket, MIN_INT256, USDC } from "../support/market.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const fixture = () => deployFundedMarket(connection);

describe("Vault operators", () => {
  let m: FundedMarket;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [, alice, bob] = m.accounts;
  });

  const types = {
    SetOperator: [
      { name: "owner", type: "address" },
      { name: "operator", type: "address" },
      { name: "approved", type: "bool" },
      { name: "nonce", type: "uint256" },
      { name: "deadline", type: "uint256" },
    ],
  };
  const domain = async () => ({
    name: "Breakwater",
    version: "1",
    chainId: 31337n,
    verifyingContract: await m.vault.getAddress(),
  });

  it("act for the owner until they are dismissed", async () => {
    await expect(m.vault.connect(alice).setOperator(bob, true))
      .to.emit(m.vault, "SetOperator")
      .withArgs(alice.address, bob.address, true);
    await m.adjust(bob, ETH, 1_000n * USDC, 7n, alice);
    await m.vault.connect(alice).setOperator(bob, false);
    await expect(m.adjust(bob, 0n, USDC, 7n, alice)).to.be.revertedWithCustomError(m.vault, "NotAuthorized");
  });

  it("are authorised by signature, once, before the deadline", async () => {
    const deadline = BigInt(await networkHelpers.time.latest()) + 1_000n;
    const message = { owner: alice.address, operator: bob.address, approved: true, nonce: 0n, deadline };
    const signature = await alice.signTypedData(await domain(), types, message);
    await expect(
      m.vault.setOperatorBySignature(
        alice,
        bob,
        true,
        deadline,
        await bob.signTypedData(await domain(), types, message),
      ),
    )
      .to.be.revertedWithCustomError(m.vault, "InvalidSignature")
      .withArgs(alice.address);
    await m.vault.setOperatorBySignature(alice, bob, true, deadline, signature);
    expect(await m.vault.isOperator(alice, bob)).to.equal(true);
    await expect(
      m.vault.setOperatorBySignature(alice, bob, true, deadline, signature),
    ).to.be.revertedWithCustomError(m.vault, "InvalidSignature");
    const second = await alice.signTypedData(await domain(), types, {
      ...message,
      approved: false,
      nonce: 1n,
    });
    await networkHelpers.time.setNextBlockTimestamp(deadline); // the last second
    await m.vault.setOperatorBySignature(alice, bob, false, deadline, second);
    expect(await m.vault.isOperator(alice, bob)).to.equal(false);
    await networkHelpers.time.setNextBlockTimestamp(deadline + 1n);
    await expect(m.vault.setOperatorBySignature(alice, bob, true, deadline, signature))
      .to.be.revertedWithCustomError(m.vault, "SignatureExpired")
      .withArgs(deadline);
  });
});

describe("Vault transfer of positions", () => {
  let m: FundedMarket;
  let alice: HardhatEthersSigner;
  let bob: HardhatEthersSigner;

  beforeEach(async () => {
    m = await networkHelpers.loadFixture(fixture);
    [, alice, bob] = m.accounts;
  });

  it("needs the receiver, and the owner's offer", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC);
    await expect(m.vault.connect(alice).transferPosition(alice, 0n, bob, 0n))
      .to.be.revertedWithCustomError(m.vault, "NotAuthorized")
      .withArgs(alice.address, bob.address);
    await expect(m.vault.connect(bob).transferPosition(alice, 0n, bob, 0n))
      .to.be.revertedWithCustomError(m.vault, "NotOffered")
      .withArgs(alice.address, 0n, bob.address);
    await m.vault.connect(alice).offerPosition(alice, 0n, bob);
    await m.vault.connect(bob).transferPosition(alice, 0n, bob, 3n);
    await expect(m.adjust(alice, MIN_INT256, 0n)).to.changeTokenBalance(ethers, m.collateral, alice, 0n);
    await m.adjust(bob, MIN_INT256, MIN_INT256, 3n);
    await expect(m.vault.connect(bob).transferPosition(alice, 0n, bob, 4n)).to.be.revertedWithCustomError(
      m.vault,
      "NotOffered",
    );
  });

  it("never overwrites a position, and moves between one's own sub-accounts", async () => {
    await m.adjust(alice, ETH, 1_000n * USDC, 0n);
    await m.adjust(alice, ETH, 0n, 1n);
    await expect(m.vault.connect(alice).transferPosition(alice, 0n, alice, 1n))
      .to.be.revertedWithCustomError(m.vault, "PositionNotEmpty")
      .withArgs(alice.address, 1n);
    await expect(m.vault.connect(alice).transferPosition(alice, 0n, alice, 0n)).to.be.revertedWithCustomError(
      m.vault,
      "PositionNotEmpty",
    );
    await m.vault.connect(alice).transferPosition(alice, 0n, alice, 2n);
    await m.adjust(alice, MIN_INT256, MIN_INT256, 2n);
  });
});
