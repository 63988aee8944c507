// A new implementation for a market that is there: the listing is the running one's, read back from it.
import type { HardhatEthers } from "@nomicfoundation/hardhat-ethers/types";
import { artifacts } from "hardhat";

import type { Vault } from "../sdk/src/types/index.ts";

/** What the constructor of the market's implementation was given. */
export async function listingOf(vault: Vault) {
  const [name, symbol, collateral, debt, spacing, scales, liquidator, brake, insurance, pair] =
    await Promise.all([
      vault.name(),
      vault.symbol(),
      vault.COLLATERAL(),
      vault.asset(),
      vault.SPACING(),
      vault.scales(),
      vault.LIQUIDATOR(),
      vault.BRAKE(),
      vault.INSURANCE(),
      vault.PAIR(),
    ]);
  // The last of the scales is 10^(18 − collateralUnitDecimals)
  const collateralUnitDecimals = 19 - String(scales[4]).length;
  return {
    name,
    symbol,
    collateral,
    debt,
    spacing,
    collateralUnitDecimals,
    liquidator,
    brake,
    insurance,
    pair,
  };
}

/**
 * Deploys `contract` for `vault`, with the libraries that it is linked with; its address. `changes` of the listing make
 * another market of it, or bring it to another Liquidator.
 */
export async function deployImplementation(
  ethers: HardhatEthers,
  contract: string,
  vault: Vault,
  changes: Partial<Awaited<ReturnType<typeof listingOf>>> = {},
): Promise<string> {
  const libraries = new Map<string, Promise<string>>();
  const linked = async (name: string): Promise<Record<string, string>> => {
    const { linkReferences } = await artifacts.readArtifact(name);
    const names = Object.values(linkReferences).flatMap((inFile) => Object.keys(inFile));
    const addresses: Record<string, string> = {};
    for (const library of names) {
      if (!libraries.has(library)) libraries.set(library, deploy(library, []));
      addresses[library] = await libraries.get(library)!;
    }
    return addresses;
  };
  const deploy = async (name: string, args: unknown[]): Promise<string> => {
    const deployed = await ethers.deployContract(name, args, { libraries: await linked(name) });
    return (await deployed.waitForDeployment()).getAddress();
  };
  return deploy(contract, [{ ...(await listingOf(vault)), ...changes }]);
}
