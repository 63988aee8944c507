// What npm run roles says of a chain as it should be, and of one on which each thing is otherwise.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect } from "chai";
import { network } from "hardhat";
import { ZeroHash } from "ethers";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal } from "../../deploy/local.ts";
import { readRoles } from "../../deploy/read-roles.ts";
import { ROLES } from "../../deploy/roles.ts";
import { AccessManager__factory, ProxyAdmin__factory } from "../../sdk/src/types/index.ts";

const DAY = 86_400;

describe("npm run roles, on a chain that differs from the table", () => {
  async function deployed() {
    const connection = await network.create();
    const local = await deployLocal(connection);
    const { ethers, networkHelpers } = connection;
    /** A contract as if it sent transactions itself. */
    const as = async (address: string) => {
      await networkHelpers.setBalance(address, 10n ** 18n);
      return ethers.getImpersonatedSigner(address);
    };
    const { AccessAdmin, AccessManager, Upgrader } = local.addresses.contracts;
    const admin = await as(AccessAdmin!);
    const upgrader = await as(Upgrader!);
    return {
      ...local,
      networkHelpers,
      upgrader,
      /** Whoever has ADMIN can do anything: it is what the table keeps from everybody. */
      manager: AccessManager__factory.connect(AccessManager!, admin),
      stranger: local.signers.others[0]!.address,
      snapshot: await networkHelpers.takeSnapshot(),
    };
  }
  let chain: Awaited<ReturnType<typeof deployed>>;
  before(async () => {
    chain = await deployed();
  });
  afterEach(async () => {
    await chain.snapshot.restore();
  });
  const differences = async () =>
    (await readRoles(chain.ethers.provider, chain.addresses)).differences.join("\n");

  it("finds none after a deployment", async () => {
    expect(await differences()).to.equal("");
  });

  it("names whoever holds a role and should not, also of a role that the table has not", async () => {
    const { manager, stranger } = chain;
    await manager.grantRole(ROLES.GOVERNOR, stranger, 60);
    await manager.grantRole(77n, stranger, 0);
    expect(await differences()).to.equal(
      `GOVERNOR: ${stranger} holds it, with a delay of 1 min, and should not\n` +
        `role 77, which the table has not: ${stranger} holds it, with a delay of none, and should not`,
    );
  });

  it("names whoever should hold a role and does not, and who waits for less or will", async () => {
    const { manager, addresses } = chain;
    const { governor, pauser } = addresses.safes;
    await manager.revokeRole(ROLES.PAUSER, pauser);
    await manager.grantRole(ROLES.RESUMER, governor, 2 * DAY); // at once: it is longer
    await manager.grantRole(ROLES.ELECTOR, governor, DAY); // in three days
    const found = await differences();
    expect(found).to.match(/^PAUSER: pauser Safe should hold it and does not$/m);
    expect(found).to.match(/^RESUMER: governor Safe waits 48 h, not 30 min$/m);
    expect(found).to.match(/^ELECTOR: governor Safe will wait 24 h from 20.*Z on, not 96 h$/m);
  });

  it("names other guardians, admins and grant delays", async () => {
    const { manager, networkHelpers } = chain;
    await manager.setRoleGuardian(ROLES.GOVERNOR, ROLES.GOVERNOR);
    await manager.setRoleAdmin(ROLES.PAUSER, ROLES.GOVERNOR);
    await manager.setGrantDelay(ROLES.RESUMER, 3_600);
    await networkHelpers.time.increase(5 * DAY);
    expect(await differences()).to.equal(
      "PAUSER: granted by GOVERNOR, not by ADMIN\n" +
        "RESUMER: a grant takes effect after 1 h, not none\n" +
        "GOVERNOR: cancelled by GOVERNOR, not by PAUSER",
    );
  });

  it("names functions that others may call, whether the table has them or not", async () => {
    const { manager, markets, contracts } = chain;
    const { vault } = markets["weth-usdc"]!;
    const selector = vault.interface.getFunction("setCaps").selector;
    await manager.setTargetFunctionRole(vault, [selector], 2n ** 64n - 1n);
    await manager.setTargetFunctionRole(contracts.lens, ["0x12345678"], ROLES.PAUSER);
    expect(await differences()).to.equal(
      "Vault weth-usdc.setCaps: called by everybody, not by GOVERNOR\n" +
        "Lens: function 0x12345678 is called by PAUSER, and is not in the table",
    );
  });

  it("names closed targets, admin delays, and contracts that obey another authority", async () => {
    const { manager, markets, contracts, networkHelpers } = chain;
    await manager.setTargetClosed(contracts.brake, true);
    await manager.setTargetAdminDelay(contracts.insurance, 3_600);
    await manager.updateAuthority(markets["usdc-weth"]!.vault, contracts.lens);
    await networkHelpers.time.increase(5 * DAY);
    expect((await differences()).split("\n")).to.have.members([
      "EmergencyBrake: closed, nobody can call it",
      "InsuranceFund: an admin delay of 1 h, not none",
      "Vault usdc-weth: obeys Lens, not the AccessManager",
    ]);
  });

  it("names a ProxyAdmin that is somebody else's, and does not mind one that is nobody's", async () => {
    const { addresses, upgrader, stranger } = chain;
    const [first, second] = Object.entries(addresses.proxyAdmins);
    await ProxyAdmin__factory.connect(first![1], upgrader).transferOwnership(stranger);
    await ProxyAdmin__factory.connect(second![1], upgrader).renounceOwnership();
    expect(await differences()).to.equal(
      `${first![0]}: its ProxyAdmin belongs to ${stranger}, not to the Upgrader`,
    );
  });

  it("names a proxy whose admin is another than the deployment's", async () => {
    const { addresses, networkHelpers } = chain;
    const [name, admin] = Object.entries(addresses.proxyAdmins)[0]!;
    const other = Object.values(addresses.proxyAdmins)[1]!;
    const slot = "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103";
    await networkHelpers.setStorageAt(
      addresses.contracts[name]!,
      slot,
      ZeroHash.slice(0, 26) + other.slice(2),
    );
    expect(await differences()).to.equal(`${name}: its proxy's admin is ${other}, not ${admin}`);
  });
});

describe("npm run roles", function () {
  this.timeout(60_000);

  const roles = async (...args: string[]) =>
    promisify(execFile)(process.execPath, ["--import", "tsx", "scripts/roles.ts", ...args]).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: "" }),
      (failure: unknown) => failure as { code: number; stdout: string; stderr: string },
    );

  it("prints the roles of a running chain, and fails when somebody was granted one", async () => {
    const server = await network.createServer("default", "127.0.0.1", 0);
    const dir = await mkdtemp(join(tmpdir(), "roles-"));
    try {
      const { address, port } = await server.listen();
      const url = `http://${address}:${port}`;
      const connection = await network.create({ network: "localhost", override: { url } });
      const local = await deployLocal(connection, { stateId: `chain-31337-roles-${port}` });
      writeAddresses(local.addresses, dir);
      const args = ["--url", url, "--addresses", dir];

      const asItShould = await roles(...args);
      expect(asItShould.code, asItShould.stderr).to.equal(0);
      expect(asItShould.stdout).to.match(
        /^GOVERNOR \(3\): governor Safe 0x\w+, delay 48 h, cancelled by PAUSER$/m,
      );
      expect(asItShould.stdout).to.match(/^ {2}EmergencyBrake +pauseBriefly, pauseAllBriefly$/m);
      expect(asItShould.stdout).to.match(/^ {2}Vault × 3 +setRisk, /m);
      expect(asItShould.stdout).to.match(/As deploy\/roles\.json says\.\s*$/);

      const { AccessAdmin, AccessManager } = local.addresses.contracts;
      await connection.networkHelpers.setBalance(AccessAdmin!, 10n ** 18n);
      const admin = await connection.ethers.getImpersonatedSigner(AccessAdmin!);
      const thief = local.signers.others[3]!.address;
      await AccessManager__factory.connect(AccessManager!, admin).grantRole(ROLES.PAUSER, thief, 0);
      const otherwise = await roles(...args, "--json");
      expect(otherwise.code).to.equal(1);
      const { differences } = JSON.parse(otherwise.stdout) as { differences: string[] };
      expect(differences).to.deep.equal([`PAUSER: ${thief} holds it, with a delay of none, and should not`]);
      await connection.close();
      await rm(`deploy/deployments/chain-31337-roles-${port}`, { recursive: true, force: true });
    } finally {
      await rm(dir, { recursive: true });
      await server.close();
    }
  });

  it("explains itself, and says what is missing", async () => {
    const { code, stdout } = await roles("--help");
    expect(code).to.equal(0);
    expect(stdout).to.match(/--network <name>/);
    const nowhere = await roles("--url", "http://127.0.0.1:1", "--addresses", "/nowhere");
    expect(nowhere.code).to.equal(1);
    expect(nowhere.stderr).to.match(/Cannot connect to the network/);
  });
});
