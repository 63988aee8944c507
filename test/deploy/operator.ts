import { expect } from "chai";
import { network } from "hardhat";
import { concat, TypedDataEncoder } from "ethers";

import { deployLocal } from "../../deploy/local.ts";

const connection = await network.create();
const { ethers } = connection;

const SET_OPERATOR = [
  { name: "owner", type: "address" },
  { name: "operator", type: "address" },
  { name: "approved", type: "bool" },
  { name: "nonce", type: "uint256" },
  { name: "deadline", type: "uint256" },
];

describe("an operator of a Safe's positions", () => {
  it("is authorised by the Safe's signature (ERC-1271), by two owners and not by one", async () => {
    const local = await deployLocal(connection);
    const { vault } = local.markets["weth-usdc"]!;
    const safe = await local.safes.pauser.getAddress();
    const operator = local.signers.others[0]!.address;
    const deadline = 2n ** 40n;
    const { chainId } = await ethers.provider.getNetwork();
    const digest = TypedDataEncoder.hash(
      { name: "Breakwater", version: "1", chainId, verifyingContract: await vault.getAddress() },
      { SetOperator: SET_OPERATOR },
      { owner: safe, operator, approved: true, nonce: 0n, deadline },
    );
    const owners = local.signers.pausers
      .slice(0, 2)
      .sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
    const signatures = await Promise.all(
      owners.map((owner) =>
        owner.signTypedData(
          { chainId, verifyingContract: safe },
          { SafeMessage: [{ name: "message", type: "bytes" }] },
          { message: digest },
        ),
      ),
    );
    await expect(
      vault.setOperatorBySignature(safe, operator, true, deadline, signatures[0]!),
    ).to.be.revertedWithCustomError(vault, "InvalidSignature");
    await vault.setOperatorBySignature(safe, operator, true, deadline, concat(signatures));
    expect(await vault.isOperator(safe, operator)).to.equal(true);
  });
});
