import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";

import { expect } from "chai";
import { network } from "hardhat";
import { AbiCoder, type Addressable, concat, getAddress, type Interface } from "ethers";

import { deployLocal } from "../../deploy/local.ts";
import { instancesOf, readRoles } from "../../deploy/read-roles.ts";
import { functionsOf, KINDS, ROLES } from "../../deploy/roles.ts";
import { ProxyAdmin__factory } from "../../sdk/src/types/index.ts";
import { execute } from "../support/safe.ts";

const ADMIN_SLOT = "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103";
const IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
/** Where a Safe's list of modules begins. */
const FIRST_MODULE = "0x0000000000000000000000000000000000000001";
const GOVERNOR_DELAY = 48n * 3600n;
const RESUMER_DELAY = 30n * 60n;
const ELECTOR_DELAY = 96n * 3600n;

const RISK = {
  maxLtv: 8300,
  liquidationThreshold: 8700,
  target: 8400,
  bonusMin: 150,
  bonusMax: 800,
  slope: 5000,
};
const CAPS = { debt: 1, collateral: 1, minDebt: 1 };

const connection = await network.create();
const { networkHelpers } = connection;
async function deployed() {
  return deployLocal(connection);
}
const load = () => networkHelpers.loadFixture(deployed);

describe("who may do what after the deployment", () => {
  it("is what the table of roles says, and nothing is the deployer's", async () => {
    const { addresses, ethers, signers } = await load();
    const { roles, functions, differences } = await readRoles(ethers.provider, addresses);
    expect(differences).to.deep.equal([]);
    const { pauser, governor } = addresses.safes;
    const holders = roles.map(({ role, members }) => [
      role,
      ...members.map(({ account, executionDelay }) => [account, executionDelay]),
    ]);
    expect(holders).to.deep.equal([
      ["ADMIN", [addresses.contracts["AccessAdmin"], 0n]],
      ["PAUSER", [pauser, 0n]],
      ["RESUMER", [governor, RESUMER_DELAY]],
      ["GOVERNOR", [governor, GOVERNOR_DELAY]],
      ["SENTINEL", [signers.sentinel.address, 0n]],
      ["ELECTOR", [governor, ELECTOR_DELAY]],
    ]);
    expect(functions.length).to.be.greaterThan(30);
  });

  it("has every restricted function of the contracts in the table", () => {
    const actual = globSync("contracts/*.sol").flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/function (\w+)\([^{;]*\brestricted\b/g)].map(
        ([, name]) => `${basename(file, ".sol")}.${name}`,
      ),
    );
    const listed = KINDS.flatMap((kind) => functionsOf(kind).map(({ name }) => `${kind}.${name}`));
    expect(listed.toSorted()).to.deep.equal(actual.toSorted());
  });

  it("has two Safes of 2-of-3 and 3-of-5 that have never acted and have no module", async () => {
    const { safes, signers } = await load();
    for (const [safe, owners, threshold] of [
      [safes.pauser, signers.pausers, 2n],
      [safes.governor, signers.governors, 3n],
    ] as const) {
      expect([...(await safe.getOwners())]).to.have.members(owners.map(({ address }) => address));
      expect(await safe.getThreshold()).to.equal(threshold);
      expect(await safe.nonce()).to.equal(0n);
      expect([...(await safe.getModulesPaginated(FIRST_MODULE, 1)).array]).to.deep.equal([]);
    }
  });

  it("has every contract under the manager, and every proxy listed by the Upgrader, which owns its admin", async () => {
    const { addresses, contracts, ethers, markets } = await load();
    const manager = addresses.contracts["AccessManager"]!;
    const { brake, insurance, upgrader } = contracts;
    expect(await upgrader.authority()).to.equal(manager);
    expect(await upgrader.BRAKE()).to.equal(addresses.contracts["EmergencyBrake"]);
    const managed = { EmergencyBrake: brake, InsuranceFund: insurance };
    const proxies = {
      ...managed,
      ...Object.fromEntries(Object.entries(markets).map(([id, { vault }]) => [id, vault])),
    };
    for (const [name, proxy] of Object.entries(proxies)) {
      expect(await proxy.authority(), name).to.equal(manager);
      const slot = await ethers.provider.getStorage(await proxy.getAddress(), ADMIN_SLOT);
      const admin = getAddress(`0x${slot.slice(26)}`);
      expect(admin, name).to.equal(addresses.proxyAdmins[name]);
      expect(admin, name).to.equal(await upgrader.adminOf(proxy));
      const owner = await ProxyAdmin__factory.connect(admin, ethers.provider).owner();
      expect(owner, name).to.equal(await upgrader.getAddress());
      // What the deployment told the Upgrader is what the proxy runs.
      const running = await ethers.provider.getStorage(await proxy.getAddress(), IMPLEMENTATION_SLOT);
      const { implementation, restore } = await upgrader.stateOf(proxy);
      expect(implementation, name).to.equal(getAddress(`0x${running.slice(26)}`));
      expect(restore, name).to.equal(3n); // nothing to restore
    }
    expect(await upgrader.proxies()).to.have.lengthOf(Object.keys(proxies).length);
  });

  it("refuses every restricted function to a stranger and to the former deployer", async () => {
    const { addresses, contracts, markets, signers } = await load();
    const { manager, upgrader } = contracts;
    const { vault } = markets["weth-usdc"]!;
    for (const signer of [signers.others[0]!, signers.deployer]) {
      for (const { kind, contract, target } of instancesOf(addresses)) {
        const coder = AbiCoder.defaultAbiCoder();
        for (const { name, fragment } of functionsOf(kind)) {
          const data = concat([
            fragment.selector,
            coder.encode(fragment.inputs, coder.getDefaultValue(fragment.inputs)),
          ]);
          await expect(signer.sendTransaction({ to: target, data }), `${contract}.${name}`)
            .to.be.revertedWithCustomError(vault, "AccessManagedUnauthorized")
            .withArgs(signer);
        }
      }
      const admin = ProxyAdmin__factory.connect(addresses.proxyAdmins["weth-usdc"]!, signer);
      for (const call of [
        () => admin.upgradeAndCall(vault, signer, "0x"),
        () => admin.transferOwnership(signer),
        () => admin.renounceOwnership(),
      ]) {
        await expect(call())
          .to.be.revertedWithCustomError(admin, "OwnableUnauthorizedAccount")
          .withArgs(signer);
      }
      const asSigner = manager.connect(signer);
      for (const call of [
        () => asSigner.grantRole(ROLES.PAUSER, signer, 0),
        () => asSigner.revokeRole(ROLES.PAUSER, addresses.safes.pauser),
        () => asSigner.setRoleGuardian(ROLES.GOVERNOR, ROLES.ADMIN),
        () => asSigner.setTargetFunctionRole(vault, ["0x12345678"], ROLES.PAUSER),
        () => asSigner.setTargetClosed(vault, true),
        () => asSigner.updateAuthority(vault, signer),
      ]) {
        await expect(call()).to.be.revertedWithCustomError(manager, "AccessManagerUnauthorizedAccount");
      }
      // Nor by way of the manager.
      const upgrade = upgrader.interface.encodeFunctionData("upgrade", [
        await vault.getAddress(),
        signer.address,
        "0x",
        false,
      ]);
      await expect(asSigner.execute(upgrader, upgrade)).to.be.revertedWithCustomError(
        manager,
        "AccessManagerUnauthorizedCall",
      );
      await expect(asSigner.schedule(upgrader, upgrade, 0)).to.be.revertedWithCustomError(
        manager,
        "AccessManagerUnauthorizedCall",
      );
    }
  });

  it("can initialise nothing again, neither a proxy nor what is behind it", async () => {
    const { contracts, ethers, markets, signers } = await load();
    const { brake, insurance } = contracts;
    for (const proxy of [brake, insurance]) {
      const slot = await ethers.provider.getStorage(await proxy.getAddress(), IMPLEMENTATION_SLOT);
      const implementation = proxy.attach(`0x${slot.slice(26)}`) as typeof proxy;
      for (const contract of [proxy, implementation]) {
        const call = contract.initialize(signers.others[0]!);
        await expect(call).to.be.revertedWithCustomError(contract, "InvalidInitialization");
      }
    }
    for (const { vault, oracle } of Object.values(markets)) {
      const slot = await ethers.provider.getStorage(await vault.getAddress(), IMPLEMENTATION_SLOT);
      const implementation = vault.attach(`0x${slot.slice(26)}`) as typeof vault;
      for (const contract of [vault, implementation]) {
        const call = contract.initialize(signers.others[0]!, oracle, RISK, CAPS, 10);
        await expect(call).to.be.revertedWithCustomError(contract, "InvalidInitialization");
      }
    }
  });
});

describe("the governor's and the elector's delays", () => {
  /** The two Safes as they schedule, cancel and execute calls of AccessAdmin. */
  async function asSafes() {
    const local = await load();
    const { manager, accessAdmin } = local.contracts;
    const { safes, signers } = local;
    const governor = async (to: Addressable, data: string) =>
      execute(safes.governor, signers.governors.slice(0, 3), to, data);
    const pauser = async (to: Addressable, data: string) =>
      execute(safes.pauser, signers.pausers.slice(1), to, data);
    const admin = accessAdmin.interface as Interface;
    const target = await accessAdmin.getAddress();
    return {
      ...local,
      manager,
      accessAdmin,
      thief: signers.others[0]!,
      governor,
      encode: (name: string, ...args: unknown[]) => admin.encodeFunctionData(name, args),
      schedule: async (call: string) =>
        governor(manager, manager.interface.encodeFunctionData("schedule", [target, call, 0])),
      cancel: async (call: string) =>
        pauser(
          manager,
          manager.interface.encodeFunctionData("cancel", [await safes.governor.getAddress(), target, call]),
        ),
      run: async (call: string) => governor(accessAdmin, call),
      scheduledAt: async (call: string) =>
        manager.getSchedule(await manager.hashOperation(safes.governor, accessAdmin, call)),
      holds: async (role: bigint, account: Addressable) => (await manager.hasRole(role, account))[0],
    };
  }

  it("lets the pauser cancel a grantRole that the governor has scheduled", async () => {
    const { manager, accessAdmin, safes, thief, encode, schedule, cancel, run, scheduledAt, holds } =
      await asSafes();
    const grant = encode("grantRole", ROLES.GOVERNOR, thief.address, 0);
    await schedule(grant);
    expect(await scheduledAt(grant)).to.be.greaterThan(0n);
    await expect(
      manager.connect(thief).cancel(safes.governor, accessAdmin, grant),
    ).to.be.revertedWithCustomError(manager, "AccessManagerUnauthorizedCancel");
    await cancel(grant);
    expect(await scheduledAt(grant)).to.equal(0n);
    await networkHelpers.time.increase(GOVERNOR_DELAY);
    await expect(run(grant)).to.be.revertedWithCustomError(manager, "AccessManagerNotScheduled");
    expect(await holds(ROLES.GOVERNOR, thief)).to.equal(false);
  });

  it("lets nobody cancel the removal of the pauser, after which it can do nothing", async () => {
    const { contracts, manager, safes, thief, encode, schedule, cancel, run, holds } = await asSafes();
    const { brake } = contracts;
    const dismiss = encode("dismiss", ROLES.PAUSER, await safes.pauser.getAddress());
    const elect = encode("elect", ROLES.PAUSER, thief.address, 0);
    await schedule(dismiss);
    await schedule(elect);
    for (const call of [dismiss, elect]) {
      await expect(cancel(call)).to.be.revertedWithCustomError(manager, "AccessManagerUnauthorizedCancel");
    }
    await networkHelpers.time.increase(GOVERNOR_DELAY);
    await expect(run(dismiss)).to.be.revertedWithCustomError(manager, "AccessManagerNotReady");
    expect(await holds(ROLES.PAUSER, safes.pauser)).to.equal(true);
    await networkHelpers.time.increase(ELECTOR_DELAY - GOVERNOR_DELAY);
    await run(dismiss);
    await run(elect);
    expect(await holds(ROLES.PAUSER, safes.pauser)).to.equal(false);
    expect(await holds(ROLES.PAUSER, thief)).to.equal(true);
    await expect(brake.connect(thief).pauseAll(3n, 60n, new Uint8Array(32))).to.emit(brake, "Pause");
    await expect(cancel(encode("grantRole", 3n, thief.address, 0))).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
  });

  it("has no ordinary way to the elected roles, to ADMIN, or to who may call AccessAdmin", async () => {
    const { accessAdmin, thief, encode, schedule, run } = await asSafes();
    const admin = await accessAdmin.getAddress();
    const refused: [string, string][] = [ROLES.ADMIN, ROLES.PAUSER, ROLES.SENTINEL, ROLES.ELECTOR].flatMap(
      (role): [string, string][] => [
        [encode("grantRole", role, thief.address, 0), "ReservedRole"],
        [encode("revokeRole", role, thief.address), "ReservedRole"],
        [encode("setRoleGuardian", role, ROLES.PAUSER), "ReservedRole"],
        [encode("setGrantDelay", role, 0), "ReservedRole"],
      ],
    );
    const elect = accessAdmin.interface.getFunction("elect").selector;
    refused.push(
      [encode("setTargetFunctionRole", admin, [elect], ROLES.GOVERNOR), "FixedTarget"],
      [encode("setTargetClosed", admin, true), "FixedTarget"],
      [encode("updateAuthority", admin, thief.address), "FixedTarget"],
      [encode("elect", ROLES.ADMIN, thief.address, 0), "NotElected"],
      [encode("elect", ROLES.GOVERNOR, thief.address, 0), "NotElected"],
      [encode("dismiss", ROLES.GOVERNOR, thief.address), "NotElected"],
    );
    for (const [call] of refused) await schedule(call);
    await networkHelpers.time.increase(ELECTOR_DELAY);
    for (const [call, error] of refused) {
      await expect(run(call), call).to.be.revertedWithCustomError(accessAdmin, error);
    }
  });

  it("keeps the governor from the manager's own functions, and everybody from acting at once", async () => {
    const { manager, accessAdmin, thief, governor, encode } = await asSafes();
    const grant = manager.interface.encodeFunctionData("grantRole", [ROLES.GOVERNOR, thief.address, 0]);
    await expect(governor(manager, grant)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerUnauthorizedAccount",
    );
    const schedule = manager.interface.encodeFunctionData("schedule", [await manager.getAddress(), grant, 0]);
    await expect(governor(manager, schedule)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerUnauthorizedCall",
    );
    for (const { name, fragment } of functionsOf("AccessAdmin")) {
      const call = encode(name, ...AbiCoder.defaultAbiCoder().getDefaultValue(fragment.inputs));
      await expect(governor(accessAdmin, call), name).to.be.revertedWithCustomError(
        manager,
        "AccessManagerNotScheduled",
      );
    }
    // A delay that is asked for may be longer than the role's, not shorter.
    const tooSoon = manager.interface.encodeFunctionData("schedule", [
      await accessAdmin.getAddress(),
      encode("labelRole", 9n, "x"),
      (await networkHelpers.time.latest()) + Number(GOVERNOR_DELAY) - 60,
    ]);
    await expect(governor(manager, tooSoon)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerUnauthorizedCall",
    );
  });

  it("lets ordinary changes through after the delay", async () => {
    const { manager, accessAdmin, markets, thief, encode, schedule, run, holds } = await asSafes();
    const { vault } = markets["weth-usdc"]!;
    const calls = [
      encode("labelRole", 9n, "HELPER"),
      encode("grantRole", 9n, thief.address, 60),
      encode("setRoleGuardian", 9n, ROLES.PAUSER),
      encode("setGrantDelay", 9n, 60),
      encode("setTargetFunctionRole", await vault.getAddress(), ["0x12345678"], 9n),
      encode("setTargetClosed", await vault.getAddress(), true),
      encode("revokeRole", ROLES.RESUMER, thief.address),
      encode("updateAuthority", await vault.getAddress(), await accessAdmin.getAddress()),
    ];
    for (const call of calls) await schedule(call);
    await networkHelpers.time.increase(GOVERNOR_DELAY);
    for (const call of calls) await run(call);
    expect(await holds(9n, thief)).to.equal(true);
    expect(await manager.getRoleGuardian(9n)).to.equal(ROLES.PAUSER);
    expect(await manager.getTargetFunctionRole(vault, "0x12345678")).to.equal(9n);
    expect(await manager.isTargetClosed(vault)).to.equal(true);
    expect(await vault.authority()).to.equal(await accessAdmin.getAddress());
  });

  it("holds back a change of parameters, then lets it through", async () => {
    const { contracts, markets, safes, signers } = await load();
    const { manager } = contracts;
    const { vault } = markets["weth-usdc"]!;
    const governors = signers.governors.slice(0, 3);
    const set = vault.interface.encodeFunctionData("setCaps", [{ debt: 1n, collateral: 2n, minDebt: 3n }]);
    await expect(execute(safes.governor, governors, vault, set)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
    const schedule = manager.interface.encodeFunctionData("schedule", [await vault.getAddress(), set, 0]);
    await execute(safes.governor, governors, manager, schedule);
    await expect(execute(safes.governor, governors, vault, set)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotReady",
    );
    await networkHelpers.time.increase(GOVERNOR_DELAY);
    await expect(execute(safes.governor, governors, vault, set)).to.emit(vault, "SetCaps");
  });
});
