// One YAML file, if any, becomes checked thresholds, or the watch does not start.
import { parse } from "yaml";

import { Refusal } from "@breakwater/sdk/desk";
import { BLIND, type RuleName, RULES } from "./rules.ts";

/** A rule's threshold for a market, or for all that belongs to none; undefined: it is off. */
export type Thresholds = (rule: RuleName, market?: string) => unknown;

const ALL = { ...RULES, blind: BLIND };
/** No market has one of its own. */
const WHOLE = ["blind", "recovery", "safe-changed", "scheduled", "upgraded"];

/** The defaults of all rules, and what `yaml` says otherwise: of all markets, and under `markets` of one. */
export function readThresholds(yaml: string, markets: readonly string[]): Thresholds {
  const problems: string[] = [];
  const { markets: special = {}, ...general } = mapping(parseYaml(yaml) ?? {}, "the file", problems);
  const common = readRules(general, "", problems);
  const own = new Map(
    Object.entries(mapping(special, "markets", problems)).map(([id, rules]) => {
      if (!markets.includes(id)) problems.push(`markets.${id}: there are ${markets.join(", ")}`);
      return [id, readRules(mapping(rules, `markets.${id}`, problems), `markets.${id}.`, problems)];
    }),
  );
  if (problems.length > 0)
    throw new Refusal(`thresholds:\n${problems.map((line) => `  ${line}`).join("\n")}`);
  return (rule, market) => {
    const rules = market === undefined ? undefined : own.get(market);
    const given = rules?.has(rule) ? rules : common;
    return given.has(rule) ? given.get(rule) : ALL[rule].threshold.parse({});
  };
}

function readRules(
  given: Record<string, unknown>,
  where: string,
  problems: string[],
): Map<RuleName, unknown> {
  const rules = new Map<RuleName, unknown>();
  for (const [name, value] of Object.entries(given)) {
    const at = `${where}${name}`;
    if (where !== "" && WHOLE.includes(name)) problems.push(`${at}: belongs to no market`);
    else if (!Object.hasOwn(ALL, name)) {
      problems.push(`${at}: is no rule; there are ${Object.keys(ALL).join(", ")}`);
    } else if (value === "off") rules.set(name as RuleName, undefined);
    else {
      const { data, error } = ALL[name as RuleName].threshold.safeParse(value);
      for (const { path, message } of error?.issues ?? []) {
        problems.push(`${[at, ...path.map(String)].join(".")}: ${message}`);
      }
      rules.set(name as RuleName, data);
    }
  }
  return rules;
}

function mapping(value: unknown, what: string, problems: string[]): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  problems.push(`${what}: must be a mapping of names to values`);
  return {};
}

function parseYaml(yaml: string): unknown {
  try {
    return parse(yaml, { prettyErrors: false });
  } catch (error) {
    throw new Refusal(`thresholds: the file is no YAML: ${(error as Error).message}`);
  }
}
