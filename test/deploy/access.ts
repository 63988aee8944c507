import { expect } from "chai";
import { network } from "hardhat";
import { getAddress } from "ethers";

import { deployLocal } from "../../deploy/local.ts";
import { selectorsOf } from "../../deploy/modules/Access.ts";
import { type Restricted, type Role, ROLES } from "../../deploy/roles.ts";
import { ProxyAdmin__factory } from "../../sdk/src/types/index.ts";
import { execute } from "../support/safe.ts";

const ADMIN_SLOT = "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103";
const IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
/** Where a Safe's list of modules begins. */
const SENTINEL = "0x0000000000000000000000000000000000000001";
const GOVERNOR_DELAY = 48n * 3600n;
const RESUMER_DELAY = 30n * 60n;

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

type Deployed = Awaited<ReturnType<typeof load>>;

/** Every contract with restricted functions, by its kind. */
function targets({ addresses }: Deployed): [Restricted, string][] {
  const fixed = ["AccessManager", "Liquidator", "EmergencyBrake", "InsuranceFund"] as const;
  return [
    ...fixed.map((name): [Restricted, string] => [name, addresses.contracts[name]!]),
    ...addresses.markets.map(({ vault }): [Restricted, string] => ["Vault", vault]),
    ...Object.values(addresses.proxyAdmins).map((admin): [Restricted, string] => ["ProxyAdmin", admin]),
  ];
}

describe("who may do what after the deployment", () => {
  it("leaves each role with its Safe, and nothing with the deployer", async () => {
    const { contracts, addresses, signers } = await load();
    const { manager } = contracts;
    const { pauser, governor } = addresses.safes;
    const expected: Record<Role, [string, bigint]> = {
      ADMIN: [governor, GOVERNOR_DELAY],
      GOVERNOR: [governor, GOVERNOR_DELAY],
      RESUMER: [governor, RESUMER_DELAY],
      PAUSER: [pauser, 0n],
    };
    // Whoever was ever granted a role: nobody else has one.
    const grants = await manager.queryFilter(manager.filters.RoleGranted());
    const accounts = new Set([...grants.map(({ args }) => args.account), signers.deployer.address]);
    expect(accounts).to.deep.equal(new Set([signers.deployer.address, pauser, governor]));
    for (const role of Object.keys(ROLES) as Role[]) {
      const [holder, delay] = expected[role];
      for (const account of accounts) {
        const [isMember, executionDelay] = await manager.hasRole(ROLES[role], account);
        expect(isMember, `${role} ${account}`).to.equal(account === holder);
        if (isMember) expect(executionDelay).to.equal(delay);
      }
    }
    for (const role of ["RESUMER", "GOVERNOR"] as const) {
      expect(await manager.getRoleGuardian(ROLES[role])).to.equal(ROLES.PAUSER);
    }
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
      expect([...(await safe.getModulesPaginated(SENTINEL, 1)).array]).to.deep.equal([]);
    }
  });

  it("gives every restricted function to the role of the table", async () => {
    const local = await load();
    for (const [kind, target] of targets(local)) {
      for (const [role, selectors] of selectorsOf(kind)) {
        for (const selector of selectors) {
          expect(await local.contracts.manager.getTargetFunctionRole(target, selector)).to.equal(ROLES[role]);
        }
      }
    }
  });

  it("has every contract under the manager, and every proxy under an admin that the manager owns", async () => {
    const { addresses, contracts, ethers, markets } = await load();
    const manager = addresses.contracts["AccessManager"]!;
    const { liquidator, brake, insurance } = contracts;
    const managed = { Liquidator: liquidator, EmergencyBrake: brake, InsuranceFund: insurance };
    const proxies = {
      ...managed,
      ...Object.fromEntries(Object.entries(markets).map(([id, { vault }]) => [id, vault])),
    };
    for (const [name, proxy] of Object.entries(proxies)) {
      expect(await proxy.authority(), name).to.equal(manager);
      const slot = await ethers.provider.getStorage(await proxy.getAddress(), ADMIN_SLOT);
      const admin = getAddress(`0x${slot.slice(26)}`);
      expect(admin, name).to.equal(addresses.proxyAdmins[name]);
      expect(await ProxyAdmin__factory.connect(admin, ethers.provider).owner(), name).to.equal(manager);
    }
  });

  it("refuses every restricted function to a stranger and to the former deployer", async () => {
    const { addresses, contracts, ethers, markets, signers } = await load();
    const { liquidator, brake, insurance, manager } = contracts;
    const { vault } = markets["weth-usdc"]!;
    const reason = ethers.encodeBytes32String("test");
    for (const signer of [signers.others[0]!, signers.deployer]) {
      const managed = [
        [vault, () => vault.connect(signer).setRisk(RISK)],
        [vault, () => vault.connect(signer).setCaps(CAPS)],
        [vault, () => vault.connect(signer).setReserveFactor(5)],
        [vault, () => vault.connect(signer).setOracle(signer)],
        [liquidator, () => liquidator.connect(signer).list(vault)],
        [brake, () => brake.connect(signer).list(vault)],
        [brake, () => brake.connect(signer).pause(vault, 3, 60, reason)],
        [brake, () => brake.connect(signer).pauseAll(3, 60, reason)],
        [brake, () => brake.connect(signer).resume(vault)],
        [insurance, () => insurance.connect(signer).withdraw(vault, signer, 1)],
      ] as const;
      for (const [contract, call] of managed) {
        await expect(call())
          .to.be.revertedWithCustomError(contract, "AccessManagedUnauthorized")
          .withArgs(signer);
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
      const upgrade = admin.interface.encodeFunctionData("upgradeAndCall", [
        await vault.getAddress(),
        signer.address,
        "0x",
      ]);
      await expect(asSigner.execute(admin, upgrade)).to.be.revertedWithCustomError(
        manager,
        "AccessManagerUnauthorizedCall",
      );
      await expect(asSigner.schedule(admin, upgrade, 0)).to.be.revertedWithCustomError(
        manager,
        "AccessManagerUnauthorizedCall",
      );
    }
  });

  it("can initialise nothing again, neither a proxy nor what is behind it", async () => {
    const { contracts, ethers, markets, signers } = await load();
    const { liquidator, brake, insurance } = contracts;
    for (const proxy of [liquidator, brake, insurance]) {
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

describe("the governor's delay", () => {
  it("lets the pauser cancel a grantRole that the governor has scheduled", async () => {
    const { contracts, safes, signers } = await load();
    const { manager } = contracts;
    const thief = signers.others[0]!;
    const grant = manager.interface.encodeFunctionData("grantRole", [ROLES.PAUSER, thief.address, 0]);
    const schedule = manager.interface.encodeFunctionData("schedule", [await manager.getAddress(), grant, 0]);
    await execute(safes.governor, signers.governors.slice(0, 3), manager, schedule);
    const id = await manager.hashOperation(safes.governor, manager, grant);
    expect(await manager.getSchedule(id)).to.be.greaterThan(0n);

    await expect(manager.connect(thief).cancel(safes.governor, manager, grant)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerUnauthorizedCancel",
    );
    const cancel = manager.interface.encodeFunctionData("cancel", [
      await safes.governor.getAddress(),
      await manager.getAddress(),
      grant,
    ]);
    await execute(safes.pauser, signers.pausers.slice(1), manager, cancel);
    expect(await manager.getSchedule(id)).to.equal(0n);

    await networkHelpers.time.increase(GOVERNOR_DELAY);
    await expect(
      execute(safes.governor, signers.governors.slice(0, 3), manager, grant),
    ).to.be.revertedWithCustomError(manager, "AccessManagerNotScheduled");
    expect((await manager.hasRole(ROLES.PAUSER, thief))[0]).to.equal(false);
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

  it("takes an upgrade of a vault through the governor Safe alone, and keeps its state", async () => {
    const { addresses, contracts, ethers, markets, safes, signers } = await load();
    const { manager, liquidator, brake, insurance } = contracts;
    const { vault, collateral, debt } = markets["weth-usdc"]!;
    const governors = signers.governors.slice(0, 3);
    const lender = signers.others[0]!;
    await debt.mint(lender, 10n ** 9n);
    await debt.connect(lender).approve(vault, 10n ** 9n);
    await vault.connect(lender).deposit(10n ** 9n, lender);

    const liquidation = await ethers.deployContract("Liquidation");
    const libraries = {
      Liquidation: liquidation,
      Lending: await ethers.deployContract("Lending", [], { libraries: { Liquidation: liquidation } }),
      Parameters: await ethers.deployContract("Parameters"),
      Positions: await ethers.deployContract("Positions"),
    };
    const listing = {
      name: "Renamed by an upgrade",
      symbol: "bwNEW",
      collateral,
      debt,
      spacing: 25,
      collateralUnitDecimals: 18,
      liquidator,
      brake,
      insurance,
    };
    const implementation = await ethers.deployContract("Vault", [listing], { libraries });
    const admin = ProxyAdmin__factory.connect(addresses.proxyAdmins["weth-usdc"]!, ethers.provider);
    const upgrade = admin.interface.encodeFunctionData("upgradeAndCall", [
      await vault.getAddress(),
      await implementation.getAddress(),
      "0x",
    ]);
    const operation = [await admin.getAddress(), upgrade] as const;
    const schedule = manager.interface.encodeFunctionData("schedule", [...operation, 0]);
    const run = manager.interface.encodeFunctionData("execute", [...operation]);

    await expect(
      execute(safes.pauser, signers.pausers.slice(0, 2), manager, schedule),
    ).to.be.revertedWithCustomError(manager, "AccessManagerUnauthorizedCall");
    await expect(execute(safes.governor, governors, manager, run)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotScheduled",
    );
    await execute(safes.governor, governors, manager, schedule);
    await expect(execute(safes.governor, governors, manager, run)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerNotReady",
    );
    // The pauser can stop it meanwhile; the governor has to begin again.
    const cancel = manager.interface.encodeFunctionData("cancel", [
      await safes.governor.getAddress(),
      ...operation,
    ]);
    await execute(safes.pauser, signers.pausers.slice(0, 2), manager, cancel);
    await execute(safes.governor, governors, manager, schedule);
    await networkHelpers.time.increase(GOVERNOR_DELAY);
    await expect(manager.connect(lender).execute(...operation)).to.be.revertedWithCustomError(
      manager,
      "AccessManagerUnauthorizedCall",
    );
    expect(await vault.name()).to.equal("Breakwater USDC for WETH");
    await execute(safes.governor, governors, manager, run);
    expect(await vault.name()).to.equal("Renamed by an upgrade");
    expect(await vault.balanceOf(lender)).to.equal(10n ** 9n);
    expect(await vault.authority()).to.equal(await manager.getAddress());
  });
});
