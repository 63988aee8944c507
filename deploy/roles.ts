// The table of roles (roles.json), checked: who may call what, after which delay. The deployment is made from it.
import type { FunctionFragment, Interface } from "ethers";
import { z } from "zod";

import * as types from "../sdk/src/types/index.ts";
import json from "./roles.json" with { type: "json" };

export type Role = keyof typeof json.roles;
/** Kinds of contracts with restricted functions. */
export type Restricted = keyof typeof json.functions;

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

const roleName = z.enum(Object.keys(json.roles) as [Role, ...Role[]]);
/** "48h" → 172800 */
const delay = z
  .string()
  .regex(/^\d+[smhd]$/, 'a delay reads like "30m" or "48h"')
  .transform((text) => Number(text.slice(0, -1)) * SECONDS[text.at(-1) as keyof typeof SECONDS]);
/** A path in the addresses file. */
const holder = z.enum(["contracts.AccessAdmin", "safes.pauser", "safes.governor", "sentinel"]);
const role = z.strictObject({
  id: z.int().min(0),
  holder,
  executionDelay: delay,
  grantDelay: delay,
  admin: roleName,
  guardian: roleName,
  note: z.string(),
});
const table = z.strictObject({
  note: z.string(),
  roles: z.record(roleName, role),
  functions: z.record(z.string(), z.record(z.string(), roleName.exclude(["ADMIN"]))),
  proxyAdmins: z.strictObject({ owner: z.literal("contracts.Upgrader") }),
});

const result = table.safeParse(json);
if (!result.success) throw new Error(`deploy/roles.json:\n${z.prettifyError(result.error)}`);

export type Holder = z.infer<typeof holder>;
export type RoleTerms = z.infer<typeof role>;

/** Delays in seconds. */
export const TABLE = result.data;
export const ROLE_NAMES = Object.keys(TABLE.roles) as Role[];
export const KINDS = Object.keys(TABLE.functions) as Restricted[];

/** AccessManager's ids; 0 is its own ADMIN. */
export const ROLES = Object.fromEntries(
  ROLE_NAMES.map((name) => [name, BigInt(TABLE.roles[name].id)]),
) as Record<Role, bigint>;

/** The restricted functions of a kind of contract. */
export function functionsOf(
  kind: Restricted,
): { name: string; fragment: FunctionFragment; selector: string; role: Role }[] {
  const { [`${kind}__factory`]: factory } = types as unknown as Record<
    string,
    { createInterface(): Interface } | undefined
  >;
  if (factory === undefined) throw new Error(`deploy/roles.json: there is no contract ${kind}`);
  const contract = factory.createInterface();
  return Object.entries(TABLE.functions[kind] ?? {}).map(([name, roleOf]) => {
    const fragment = contract.getFunction(name);
    if (fragment === null) throw new Error(`deploy/roles.json: ${kind} has no function ${name}`);
    return { name, fragment, selector: fragment.selector, role: roleOf };
  });
}
