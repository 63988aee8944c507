// The roles of the AccessManager and what each of them may call.

/** AccessManager's ids; 0 is its own ADMIN. */
export const ROLES = { ADMIN: 0n, PAUSER: 1n, RESUMER: 2n, GOVERNOR: 3n } as const;
export type Role = keyof typeof ROLES;

/** Kinds of contracts with restricted functions. */
export type Restricted =
  "Vault" | "Liquidator" | "EmergencyBrake" | "InsuranceFund" | "ProxyAdmin" | "AccessManager";

/** Every restricted function, by the role that may call it. Functions that are not named here stay with ADMIN. */
export const PERMISSIONS: Record<Restricted, Partial<Record<Exclude<Role, "ADMIN">, string[]>>> = {
  Vault: { GOVERNOR: ["setRisk", "setCaps", "setReserveFactor", "setOracle"] },
  Liquidator: { GOVERNOR: ["list"] },
  EmergencyBrake: { PAUSER: ["pause", "pauseAll"], RESUMER: ["resume"], GOVERNOR: ["list"] },
  InsuranceFund: { GOVERNOR: ["withdraw"] },
  ProxyAdmin: { GOVERNOR: ["upgradeAndCall", "transferOwnership", "renounceOwnership"] },
  // Only ADMIN can call these, whatever is said here. But ADMIN can have no guardian: mapped to GOVERNOR, whose
  // guardian is PAUSER, they can be cancelled by it.
  AccessManager: {
    GOVERNOR: [
      "labelRole",
      "grantRole",
      "revokeRole",
      "setRoleAdmin",
      "setRoleGuardian",
      "setGrantDelay",
      "setTargetFunctionRole",
      "setTargetAdminDelay",
      "setTargetClosed",
      "updateAuthority",
    ],
  },
};
