import {
  calculateSafeTransactionHash,
  EthSafeSignature,
  EthSafeTransaction,
} from "@safe-global/protocol-kit";
import { expect } from "chai";
import { ZeroAddress } from "ethers";
import { network } from "hardhat";

import { deployLocal } from "../../deploy/local.ts";
import { ROLES } from "../../deploy/roles.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { ownerOf } from "../../scripts/desk/keys.ts";
import { fundLenders } from "../../scripts/start/book.ts";
import {
  checkAgainstChain,
  checkSignatures,
  costOfNoPause,
  ELECTED,
  effectOf,
  encodeExecution,
  executionOf,
  hashesOf,
  INTERFACES,
  openDesk,
  type Options,
  parseProposal,
  parseSignature,
  type Proposal,
  propose,
  Refusal,
  scheduledOperations,
  sign,
  toJson,
  verifyProposal,
} from "../../sdk/src/desk.ts";
import type { TypedData } from "../../sdk/src/chain.ts";
import { MAX_UINT256 } from "../support/market.ts";

const connection = await network.create();
const { networkHelpers, ethers } = connection;
const MARKET = "weth-usdc";

async function deployed() {
  const local = await deployLocal(connection);
  await fundLenders(local, local.signers.others[0]!);
  const desk = await openDesk(local.addresses, ethers.provider);
  const pause = async (options: Options = {}) =>
    propose(desk, "pause-liquidations", { market: MARKET, for: "2h", reason: "test", ...options });
  const signed = async (proposal: Proposal, ...owners: number[]) => {
    const checked = await checkAgainstChain(desk, proposal);
    return Promise.all(
      owners.map(async (at) => sign(proposal, await ownerOf(local.signers.pausers[at]!), checked)),
    );
  };
  return { ...local, desk, pause, signed };
}
const load = () => networkHelpers.loadFixture(deployed);
const [, , , , , , , , , sender] = await ethers.getSigners();
const from = { sender: sender!.address, acceptCost: false };

/** As it arrives after a file or a clipboard. */
const passedOn = (value: unknown): unknown => JSON.parse(toJson(value));

async function refused(work: Promise<unknown> | (() => unknown), words: RegExp): Promise<void> {
  let error: unknown;
  try {
    await (typeof work === "function" ? work() : work);
  } catch (caught) {
    error = caught;
  }
  expect(error, String(error)).to.be.instanceOf(Refusal);
  expect((error as Refusal).message).to.match(words);
}

describe("SDK desk", () => {
  it("hashes a transaction as the Safe does, and as Safe's own kit does", async () => {
    const { desk, pause, safes } = await load();
    const proposal = await pause();
    const { safe, hashes, transaction } = proposal;
    const { to, data } = transaction;
    for (const nonce of [0, 1, 2 ** 40]) {
      const rest = [0, 0, 0, 0, ZeroAddress, ZeroAddress, nonce] as const;
      const onChain = await safes.pauser.getTransactionHash(to, 0, data, ...rest);
      const ours = hashesOf(desk.chainId, safe, { to, data, nonce });
      expect(ours.safeTransaction).to.equal(onChain);
      expect(ours.domain).to.equal(await safes.pauser.domainSeparator());
      const none = { value: "0", safeTxGas: "0", baseGas: "0", gasPrice: "0" };
      const kits = calculateSafeTransactionHash(
        safe,
        // The kit exports the type and not its values.
        // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
        { to, data, nonce, ...none, operation: 0, gasToken: ZeroAddress, refundReceiver: ZeroAddress },
        "1.5.0",
        BigInt(desk.chainId),
      );
      expect(kits).to.equal(onChain);
    }
    expect(hashes).to.deep.equal(hashesOf(desk.chainId, safe, transaction));
  });

  it("puts signatures together as Safe's own kit does, in whatever order they came", async () => {
    const { pause, signed } = await load();
    const proposal = await pause();
    const signatures = await signed(proposal, 2, 0, 1);
    const none = { value: "0", safeTxGas: "0", baseGas: "0", gasPrice: "0" };
    const kits = new EthSafeTransaction({
      ...proposal.transaction,
      ...none,
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
      operation: 0,
      gasToken: ZeroAddress,
      refundReceiver: ZeroAddress,
    });
    for (const { signer, signature } of signatures)
      kits.addSignature(new EthSafeSignature(signer, signature));
    const args = INTERFACES.Safe.decodeFunctionData("execTransaction", encodeExecution(proposal, signatures));
    expect(args.signatures).to.equal(kits.encodedSignatures());
  });

  it("pauses with two signatures that were passed on as text, and sees that it is so", async () => {
    const { desk, pause, signed } = await load();
    const proposal = parseProposal(passedOn(await pause()));
    verifyProposal(desk.addresses, proposal);
    const signatures = (await signed(proposal, 1, 2)).map((each) => parseSignature(passedOn(each)));
    const { to, data } = await executionOf(desk, proposal, signatures, from);
    await (await sender!.sendTransaction({ to, data })).wait();
    expect(await effectOf(desk, proposal)).to.match(/^liquidations paused: weth-usdc until /);
  });

  it("makes of a wallet's parity of 0 or 1 what a Safe takes for a signature of an owner", async () => {
    const { desk, pause, signers } = await load();
    const proposal = await pause();
    const owner = await ownerOf(signers.pausers[0]!);
    const checked = await checkAgainstChain(desk, proposal);
    const usual = await sign(proposal, owner, checked);
    const old = async (data: TypedData) => (await owner.sign(data)).replace(/1b$/, "00").replace(/1c$/, "01");
    expect(await sign(proposal, { ...owner, sign: old }, checked)).to.deep.equal(usual);

    // Nor does it take the signature of whoever else the wallet has open.
    const { sign: another } = await ownerOf(signers.pausers[1]!);
    await refused(sign(proposal, { ...owner, sign: another }, checked), /is no signature of/);
  });

  it("refuses what is not a proposal or a signature, and names the field", async () => {
    const { pause, signed } = await load();
    const proposal = await pause();
    const [signature] = await signed(proposal, 0);
    const changed = (more: object) => passedOn({ ...proposal, ...more });
    await refused(() => parseProposal(7), /not a proposal of this desk: it must be an object/);
    await refused(() => parseProposal(passedOn(signature)), /not a proposal .*: \w+ must be absent/);
    await refused(() => parseProposal(changed({ operation: 1 })), /operation must be absent, but is 1/);
    const { transaction } = proposal;
    for (const more of [{ value: "1" }, { operation: 1 }]) {
      await refused(
        () => parseProposal(changed({ transaction: { ...transaction, ...more } })),
        /transaction\.\w+ must be absent/,
      );
    }
    await refused(() => parseProposal(changed({ safe: "0x12" })), /safe must be an address/);
    await refused(() => parseProposal(changed({ kind: "other-1" })), /kind must be breakwater-desk-/);
    await refused(
      () => parseSignature({ ...(passedOn(signature) as object), signature: "0x12" }),
      /not a signature of this desk: signature must be a signature/,
    );
  });

  it("refuses another chain, another Safe's signature, and too few", async () => {
    const { addresses, desk, pause, signed } = await load();
    await refused(openDesk({ ...addresses, chainId: 1 }, ethers.provider), /wrong chain/);
    const [proposal, other] = [await pause(), await pause({ for: "1h" })];
    const [first] = await signed(proposal, 0);
    const [second] = await signed(other, 1);
    await refused(executionOf(desk, proposal, [first!], from), /too few signatures: 1 of 2/);
    await refused(() => checkSignatures(proposal, [first!, second!]), /signs another transaction/);
    await refused(() => checkSignatures(proposal, [first!, first!]), /same signer twice/);
  });

  it("knows the roles by the ids of the deployment", () => {
    const { PAUSER, SENTINEL } = ROLES;
    expect(ELECTED).to.deep.equal({ PAUSER, SENTINEL });
  });

  it("reads what is scheduled again and again, and each operation once", async () => {
    const { desk, signers, safes } = await load();
    const proposal = await propose(desk, "set-reserve-factor", { market: MARKET, percent: "12" });
    const checked = await checkAgainstChain(desk, proposal);
    const owners = signers.governors.slice(0, 3);
    const signatures = await Promise.all(
      owners.map(async (owner) => sign(proposal, await ownerOf(owner), checked)),
    );
    expect(await scheduledOperations(desk)).to.deep.equal([]);
    const { to, data } = await executionOf(desk, proposal, signatures, from);
    await (await sender!.sendTransaction({ to, data })).wait();
    for (const _ of [1, 2]) {
      const [operation, ...others] = await scheduledOperations(desk);
      expect(others).to.deep.equal([]);
      expect(operation!.caller).to.equal(await safes.governor.getAddress());
      expect(operation!.words).to.deep.equal(["set the reserve factor of weth-usdc to 12 %"]);
    }
    await networkHelpers.time.increase(30 * 86_400);
    expect(await scheduledOperations(desk)).to.deep.equal([]);
  });

  it("says what it costs to leave a pause: what keepers would take, and what could be borrowed", async () => {
    const local = await load();
    const { addresses, contracts, desk, markets, setPrice, signers } = local;
    const market = addresses.markets.find(({ id }) => id === MARKET)!;
    const { vault, collateral } = markets[MARKET]!;
    const borrower = signers.others[1]!;
    await collateral.mint(borrower, 10n ** 19n);
    await collateral.connect(borrower).approve(vault, MAX_UINT256);
    await vault.connect(borrower).adjust(borrower, 0, 10n ** 19n, 16_000n * 10n ** 6n, borrower, "0x");

    const calm = await costOfNoPause(desk, market, "LiquidationsPaused");
    expect(calm.figures.map(({ value }) => value)).to.deep.equal([0n, 0n]);
    expect(calm.words[0]).to.match(/keepers can liquidate nothing/);
    expect(calm.words[2]).to.match(
      /16,000\.\d\d USDC after a fall of 10 %, for a penalty of at most 1,28\d\.\d\d/,
    );
    const { cash, caps, totalDebt } = await contracts.lens.market(vault);
    const borrowable = await costOfNoPause(desk, market, "NoNewRisk");
    const room = caps.debt - totalDebt; // millionths, as USDC's
    expect(borrowable.figures[0]!.value).to.equal(cash < room ? cash : room);

    // One source alone: nothing new can be borrowed anyway.
    await setPrice("ETH/USD", "1840");
    expect((await costOfNoPause(desk, market, "NoNewRisk")).words[0]).to.match(/nothing can be borrowed/);

    // Both: keepers take it to the target, and the borrower pays for that.
    const arbitrageur = await openArbitrageur(local, signers.others[2]!);
    await arbitrageur.trade();
    await networkHelpers.time.increase(700);
    const wrong = await costOfNoPause(desk, market, "LiquidationsPaused");
    const [repaid, penalty] = wrong.figures.map(({ value }) => value);
    expect(repaid! > 0n && penalty! > 0n && penalty! < repaid! / 10n).to.equal(true);
    expect(wrong.words[0]).to.match(
      /keepers can repay [\d,.]+ USDC now, and borrowers pay [\d,.]+ USDC for it/,
    );
  });
});
