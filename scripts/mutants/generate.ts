// Mutants from the syntax tree.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { carry, type Edit, marker, MARKER_FILE, MODIFIERS, Source } from "./carry.ts";
import {
  childrenOf,
  isNode,
  type Node,
  nodeIn,
  nodesIn,
  optionalNodeIn,
  parse,
  type Range,
  rangeOf,
  textIn,
  typeOf,
} from "./tree.ts";

export interface Mutant {
  /** 1, 2, … over all files; changes with the sources. */
  id: number;
  /** Stable while the mutated statement is: names the mutant in explanations and results. */
  key: string;
  file: string;
  line: number;
  function: string;
  rule: Rule;
  /** The statement or condition, as it is and with the mutation; empty if it is removed. */
  before: string;
  after: string;
}

export type Rule =
  | "arithmetic"
  | "boundary"
  | "comparison"
  | "condition"
  | "constant"
  | "guard"
  | "price"
  | "rounding"
  | "statement";

interface Context {
  function: string;
  /** What `before` and `after` show. */
  shown: Range;
  /** The type that the place asks for, if it is an integer's. */
  expected: string;
  /** Written to, not read. */
  target: boolean;
  /** Decides a branch, or is part of such a condition: forcing it is done elsewhere. */
  decides: boolean;
  /** Side of a comparison: its boundary moves, its constants do not. */
  compared: boolean;
}

const ARITHMETIC: Record<string, string> = {
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "<<": ">>",
  ">>": "<<",
  "&": "|",
  "|": "&",
  "^": "|",
  "+=": "-=",
  "-=": "+=",
  "*=": "/=",
  "/=": "*=",
  "&=": "|=",
  "|=": "&=",
  "^=": "|=",
  "<<=": ">>=",
  ">>=": "<<=",
};
const BOUNDARY: Record<string, string> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
const OPPOSITE: Record<string, string> = {
  "<": ">=",
  "<=": ">",
  ">": "<=",
  ">=": "<",
  "==": "!=",
  "!=": "==",
};
/** Functions that differ in direction only. */
const TWINS: readonly [RegExp, string][] = [
  [/Up$/, "Down"],
  [/Down$/, "Up"],
  [/Up$/, ""],
  [/$/, "Up"],
  [/^ceil/, "floor"],
  [/^floor/, "ceil"],
  [/^min$/, "max"],
  [/^max$/, "min"],
];
const TWIN_MEMBERS: Record<string, { twin: string; rule: Rule }> = {
  low: { twin: "high", rule: "price" },
  high: { twin: "low", rule: "price" },
  Ceil: { twin: "Floor", rule: "rounding" },
  Floor: { twin: "Ceil", rule: "rounding" },
};
/** Beyond, a constant is a scale: one more of it is less than a rounding. */
const LARGEST_COUNT = 256n;
const INTEGER = /^u?int\d+$/;
const CONSTANT = /^(int|rational)_const/;

/** All mutants of `files`, and the sources of the contracts that carry them. */
export function generate(
  root: string,
  files: readonly string[],
): { mutants: Mutant[]; sources: Map<string, string> } {
  const trees = parse(root, files);
  const declarations = new Map<number, Node>();
  const parents = new Map<number, Node>();
  const collect = (node: Node, parent?: Node) => {
    declarations.set(node.id, node);
    if (parent) parents.set(node.id, parent);
    for (const child of childrenOf(node)) collect(child, node);
  };
  for (const tree of trees.values()) collect(tree);

  const mutants: Mutant[] = [];
  const sources = new Map([[MARKER_FILE, marker()]]);
  const keys = new Map<string, number>();
  for (const file of files) {
    const source = new Source(readFileSync(join(root, file)));
    const edits: Edit[] = [];
    const walker = new Walker(source, declarations, parents, (rule, context, range, edit) => {
      const before = source.plain(context.shown);
      const after =
        edit.kind === "replace"
          ? source.plainWith(context.shown, range, edit.text)
          : edit.kind === "modifier"
            ? source.plainWith(context.shown, range, "")
            : "";
      const stem = `${file} ${context.function}: ${before} → ${after}`;
      const again = (keys.get(stem) ?? 0) + 1;
      keys.set(stem, again);
      const id = mutants.length + 1;
      const key = again === 1 ? stem : `${stem} #${again}`;
      const line = source.lineOf(range.start);
      mutants.push({ id, key, file, line, function: context.function, rule, before, after });
      edits.push({ ...range, ...edit, id });
    });
    const tree = trees.get(file);
    if (!tree) throw new Error(`${file} is not a source`);
    walker.source(tree);
    sources.set(file, carry(source, file, tree, edits));
  }
  return { mutants, sources };
}

type Add = (
  rule: Rule,
  context: Context,
  range: Range,
  edit:
    { kind: "replace"; text: string; cast: string } | { kind: "remove" } | { kind: "modifier"; name: string },
) => void;

class Walker {
  readonly #source: Source;
  readonly #declarations: Map<number, Node>;
  readonly #parents: Map<number, Node>;
  readonly #add: Add;

  constructor(source: Source, declarations: Map<number, Node>, parents: Map<number, Node>, add: Add) {
    this.#source = source;
    this.#declarations = declarations;
    this.#parents = parents;
    this.#add = add;
  }

  source(tree: Node) {
    for (const contract of nodesIn(tree, "nodes")) {
      if (contract.nodeType !== "ContractDefinition") continue;
      for (const member of nodesIn(contract, "nodes")) {
        const body = optionalNodeIn(member, "body");
        if (member.nodeType !== "FunctionDefinition" && member.nodeType !== "ModifierDefinition") continue;
        if (!body) continue;
        const context: Context = {
          function: textIn(member, "name") || textIn(member, "kind"),
          shown: rangeOf(member),
          expected: "",
          target: false,
          decides: false,
          compared: false,
        };
        for (const modifier of nodesIn(member, "modifiers")) this.#modifier(modifier, member, context);
        this.#statement(body, context);
      }
    }
  }

  #modifier(modifier: Node, member: Node, context: Context) {
    const name = textIn(nodeIn(modifier, "modifierName"), "name");
    if (!(name in MODIFIERS)) return;
    const parameters = rangeOf(nodeIn(member, "parameters"));
    const shown = { start: parameters.start, end: rangeOf(nodeIn(member, "body")).start };
    this.#add("guard", { ...context, shown }, rangeOf(modifier), { kind: "modifier", name });
  }

  // ---------------------------------------------------------------- statements

  #statement(node: Node, outer: Context) {
    const range = this.#source.statement(rangeOf(node));
    const context = { ...outer, shown: range };
    switch (node.nodeType) {
      case "ExpressionStatement": {
        const expression = nodeIn(node, "expression");
        if (isRequire(expression)) {
          const condition = nodesIn(expression, "arguments")[0]!;
          const shown = { ...context, shown: rangeOf(condition) };
          this.#replace("guard", shown, condition, "true");
          this.#expression(condition, { ...shown, decides: true });
          return;
        }
        if (isRemovable(expression)) this.#remove(context, range);
        this.#expression(expression, context);
        return;
      }
      case "EmitStatement":
        this.#remove(context, range);
        for (const argument of nodesIn(nodeIn(node, "eventCall"), "arguments"))
          this.#expression(argument, context);
        return;
      case "RevertStatement":
      case "Break":
      case "Continue":
        this.#remove(context, range);
        return;
      case "Return": {
        const value = optionalNodeIn(node, "expression");
        if (value) this.#value(value, context, this.#returnTypes(node));
        else this.#remove(context, range);
        return;
      }
      case "VariableDeclarationStatement": {
        const value = optionalNodeIn(node, "initialValue");
        const types = (node.declarations as unknown[]).map((item) => (isNode(item) ? typeOf(item) : ""));
        if (value) this.#value(value, context, types);
        return;
      }
      case "IfStatement":
      case "WhileStatement":
      case "DoWhileStatement":
      case "ForStatement": {
        const condition = optionalNodeIn(node, "condition");
        if (condition) {
          const shown = { ...outer, shown: rangeOf(condition) };
          // A loop that never ends proves nothing but the limit of gas.
          if (node.nodeType === "IfStatement") this.#replace("condition", shown, condition, "true");
          this.#replace("condition", shown, condition, "false");
          this.#expression(condition, { ...shown, decides: true });
        }
        for (const part of ["initializationExpression", "loopExpression"]) {
          const header = optionalNodeIn(node, part);
          if (!header) continue;
          const shown = { ...outer, shown: rangeOf(header) };
          if (header.nodeType === "ExpressionStatement")
            this.#expression(nodeIn(header, "expression"), shown);
          else this.#statement(header, shown);
        }
        for (const part of ["body", "trueBody", "falseBody"]) {
          const body = optionalNodeIn(node, part);
          if (body) this.#statement(body, outer);
        }
        return;
      }
      case "Block":
      case "UncheckedBlock":
        for (const statement of nodesIn(node, "statements")) this.#statement(statement, outer);
        return;
      case "InlineAssembly":
      case "PlaceholderStatement":
        return;
      default:
        throw new Error(`No mutation knows ${node.nodeType}`);
    }
  }

  #returnTypes(node: Node): string[] {
    const parameters = this.#declarations.get(node.functionReturnParameters as number);
    return parameters ? nodesIn(parameters, "parameters").map(typeOf) : [];
  }

  /** A value for one variable or for several. */
  #value(node: Node, context: Context, types: readonly string[]) {
    if (node.nodeType === "TupleExpression" && types.length > 1) {
      (node.components as unknown[]).forEach((item, index) => {
        if (isNode(item)) this.#expression(item, { ...context, expected: types[index] ?? "" });
      });
    } else {
      this.#expression(node, { ...context, expected: types.length === 1 ? types[0]! : "" });
    }
  }

  // ---------------------------------------------------------------- expressions

  #expression(node: Node, context: Context) {
    const inner: Context = { ...context, decides: false, compared: false };
    if (CONSTANT.test(typeOf(node))) {
      if (!context.target) this.#constant(node, context, context.expected);
      return;
    }
    switch (node.nodeType) {
      case "BinaryOperation":
        this.#binary(node, context);
        return;
      case "UnaryOperation":
        this.#unary(node, context);
        return;
      case "Assignment": {
        const target = nodeIn(node, "leftHandSide");
        const value = nodeIn(node, "rightHandSide");
        const swapped = ARITHMETIC[textIn(node, "operator")];
        if (swapped !== undefined)
          this.#replace("arithmetic", inner, node, `${this.#text(target)} ${swapped} ${this.#text(value)}`);
        this.#expression(target, { ...inner, target: true });
        const types =
          target.nodeType === "TupleExpression"
            ? (target.components as unknown[]).map((item) => (isNode(item) ? typeOf(item) : ""))
            : [typeOf(target)];
        this.#value(value, inner, types);
        return;
      }
      case "Conditional": {
        const condition = nodeIn(node, "condition");
        this.#replace("condition", inner, condition, "true");
        this.#replace("condition", inner, condition, "false");
        this.#expression(condition, { ...inner, decides: true });
        const expected = context.expected || typeOf(node);
        this.#expression(nodeIn(node, "trueExpression"), { ...inner, expected });
        this.#expression(nodeIn(node, "falseExpression"), { ...inner, expected });
        return;
      }
      case "FunctionCall":
        this.#call(node, context);
        return;
      case "FunctionCallOptions":
        this.#expression(nodeIn(node, "expression"), { ...inner, expected: "" });
        return;
      case "MemberAccess":
        this.#member(node, context);
        return;
      case "IndexAccess": {
        const base = nodeIn(node, "baseExpression");
        const key = /^mapping\((\w+)/.exec(typeOf(base))?.[1] ?? "uint256";
        this.#expression(base, { ...inner, expected: "" });
        const index = optionalNodeIn(node, "indexExpression");
        if (index) this.#expression(index, { ...inner, expected: key, target: false });
        return;
      }
      case "TupleExpression":
        for (const component of nodesIn(node, "components")) this.#expression(component, context);
        return;
      case "Identifier":
        if (!context.target && this.#isConstant(node)) this.#constant(node, context, typeOf(node));
        return;
      case "Literal":
        if (textIn(node, "kind") === "bool")
          this.#replace("condition", inner, node, textIn(node, "value") === "true" ? "false" : "true");
        return;
      default:
        return;
    }
  }

  #binary(node: Node, context: Context) {
    const operator = textIn(node, "operator");
    const [left, right] = [nodeIn(node, "leftExpression"), nodeIn(node, "rightExpression")];
    const swap = (rule: Rule, other: string) =>
      this.#replace(rule, context, node, `${this.#text(left)} ${other} ${this.#text(right)}`);
    if (operator === "&&" || operator === "||") {
      this.#replace("condition", context, node, this.#text(right));
      this.#replace("condition", context, node, this.#text(left));
      this.#expression(left, { ...context, decides: true });
      this.#expression(right, { ...context, decides: true });
      return;
    }
    if (operator in ARITHMETIC && INTEGER.test(typeOf(node))) swap("arithmetic", ARITHMETIC[operator]!);
    // `> 0` of a natural number moves to `always`, as other mutants do.
    const isAlways =
      context.decides && operator === ">" && typeOf(right) === "int_const 0" && typeOf(left).startsWith("u");
    if (operator in BOUNDARY && !isAlways) swap("boundary", BOUNDARY[operator]!);
    if (operator in OPPOSITE && !context.decides) swap("comparison", OPPOSITE[operator]!);

    const inner = { ...context, decides: false };
    const compared = operator in OPPOSITE;
    const isShift = ["<<", ">>", "**"].includes(operator);
    const common = (node.commonType as { typeString?: string } | undefined)?.typeString ?? "";
    const own = isShift ? typeOf(node) : common;
    this.#expression(left, { ...inner, expected: own, compared });
    this.#expression(right, { ...inner, expected: isShift ? "uint256" : own, compared });
  }

  #unary(node: Node, context: Context) {
    const operator = textIn(node, "operator");
    const operand = nodeIn(node, "subExpression");
    const inner: Context = { ...context, decides: false, compared: false };
    if (operator === "!") {
      if (!context.decides) this.#replace("comparison", inner, node, this.#text(operand));
      this.#expression(operand, { ...inner, decides: context.decides });
    } else if (operator === "-" || operator === "~") {
      this.#replace("arithmetic", inner, node, this.#text(operand));
      this.#expression(operand, inner);
    } else {
      const other = { "++": "--", "--": "++" }[operator];
      const text = this.#text(operand);
      if (other !== undefined)
        this.#replace("arithmetic", inner, node, node.prefix === true ? other + text : text + other);
      this.#expression(operand, { ...inner, target: true });
    }
  }

  #call(node: Node, context: Context) {
    const inner: Context = { ...context, expected: "", target: false, decides: false, compared: false };
    const callee = nodeIn(node, "expression");
    const given = nodesIn(node, "arguments");
    if (node.kind === "typeConversion") {
      const expected = INTEGER.test(typeOf(node)) ? typeOf(node) : "";
      for (const argument of given) {
        // address(0) and the like are no numbers.
        if (expected !== "" || !CONSTANT.test(typeOf(argument)))
          this.#expression(argument, { ...inner, expected });
      }
      return;
    }
    const called = this.#declarations.get((callee.referencedDeclaration as number | undefined) ?? -1);
    const parameters =
      called?.nodeType === "FunctionDefinition" ? nodesIn(nodeIn(called, "parameters"), "parameters") : [];
    const bound = parameters.length === given.length + 1;
    const names = (node.names as string[] | undefined) ?? [];

    if (called && typeOf(node) !== "tuple()") this.#directions(node, callee, called, parameters, context);
    if (callee.nodeType === "MemberAccess") {
      const expected = bound ? typeOf(parameters[0]!) : "";
      this.#expression(nodeIn(callee, "expression"), { ...inner, expected });
    } else if (callee.nodeType === "FunctionCallOptions") {
      this.#expression(callee, inner);
    }
    given.forEach((argument, index) => {
      const parameter =
        names.length > 0
          ? parameters.find((candidate) => textIn(candidate, "name") === names[index])
          : parameters[index + (bound ? 1 : 0)];
      this.#expression(argument, { ...inner, expected: parameter ? typeOf(parameter) : "" });
    });
  }

  /** The same call, rounded the other way or unguarded. */
  #directions(node: Node, callee: Node, called: Node, parameters: readonly Node[], context: Context) {
    const inner: Context = { ...context, decides: false, compared: false };
    const name = textIn(called, "name");
    const where = callee.nodeType === "MemberAccess" ? memberRange(callee) : rangeOf(callee);
    const rename = (rule: Rule, other: string) => {
      const range = rangeOf(node);
      const head = this.#source.text({ start: range.start, end: where.start });
      this.#replace(
        rule,
        inner,
        node,
        head + other + this.#source.text({ start: where.end, end: range.end }),
      );
    };
    const container = this.#parents.get(called.id);
    const types = parameters.map(typeOf).join();
    for (const [pattern, ending] of TWINS) {
      if (!pattern.test(name)) continue;
      const other = name.replace(pattern, ending);
      const twin = container && nodesIn(container, "nodes").find((item) => textIn(item, "name") === other);
      if (twin?.nodeType !== "FunctionDefinition") continue;
      if (nodesIn(nodeIn(twin, "parameters"), "parameters").map(typeOf).join() === types)
        rename("rounding", other);
    }
    const given = nodesIn(node, "arguments");
    const operands =
      given.length < parameters.length && callee.nodeType === "MemberAccess"
        ? [nodeIn(callee, "expression"), ...given]
        : given;
    const texts = operands.map((operand) => this.#text(operand));
    if (name === "ceilDiv" || name === "divUp")
      this.#replace("rounding", inner, node, `(${texts[0]}) / (${texts[1]})`);
    if (name === "saturatingSub" || name === "zeroFloorSub")
      this.#replace("guard", inner, node, `(${texts[0]}) - (${texts[1]})`);
    const cast = /^toUint(\d+)$/.exec(name);
    if (cast && texts.length === 1) this.#replace("guard", inner, node, `uint${cast[1]}(${texts[0]})`);
  }

  #member(node: Node, context: Context) {
    const name = textIn(node, "memberName");
    const base = nodeIn(node, "expression");
    if (!context.target && this.#isConstant(node)) {
      this.#constant(node, context, typeOf(node));
      return;
    }
    const twin = TWIN_MEMBERS[name];
    if (twin && !context.target && this.#hasMember(base, twin.twin)) {
      const range = rangeOf(node);
      const head = this.#source.text({ start: range.start, end: memberRange(node).start });
      this.#replace(twin.rule, { ...context, decides: false }, node, head + twin.twin);
    }
    this.#expression(base, { ...context, expected: "", decides: false, compared: false });
  }

  #hasMember(base: Node, name: string): boolean {
    const declared = /^(?:struct|type\(enum) ([\w.]+)/.exec(typeOf(base))?.[1];
    if (declared === undefined) return false;
    for (const node of this.#declarations.values()) {
      if (node.canonicalName !== declared) continue;
      return nodesIn(node, "members").some((member) => textIn(member, "name") === name);
    }
    return false;
  }

  #isConstant(node: Node): boolean {
    const declared = this.#declarations.get((node.referencedDeclaration as number | undefined) ?? -1);
    return declared?.nodeType === "VariableDeclaration" && declared.constant === true;
  }

  #constant(node: Node, context: Context, type: string) {
    if (!INTEGER.test(type) || context.compared) return;
    const digits = node.nodeType === "Literal" ? textIn(node, "value") : "";
    if (!/^\d+$/.test(digits) || typeof node.subdenomination === "string") return;
    const value = BigInt(digits);
    if (value > LARGEST_COUNT) return;
    for (const delta of [1n, -1n]) {
      if (!fits(value + delta, type)) continue;
      this.#add("constant", context, rangeOf(node), {
        kind: "replace",
        text: `${value + delta}`,
        cast: type,
      });
    }
  }

  // ---------------------------------------------------------------- edits

  #text(node: Node): string {
    return this.#source.text(rangeOf(node));
  }

  #replace(rule: Rule, context: Context, node: Node, text: string) {
    if (/ (storage|calldata)\b/.test(typeOf(node))) return;
    this.#add(rule, context, rangeOf(node), { kind: "replace", text, cast: "" });
  }

  #remove(context: Context, range: Range) {
    this.#add("statement", context, range, { kind: "remove" });
  }
}

function memberRange(node: Node): Range {
  const [start = 0, length = 0] = textIn(node, "memberLocation").split(":").map(Number);
  return { start, end: start + length };
}

function isRequire(node: Node): boolean {
  return node.nodeType === "FunctionCall" && textIn(nodeIn(node, "expression"), "name") === "require";
}

function fits(value: bigint, type: string): boolean {
  const [, unsigned, bits] = /^(u?)int(\d+)$/.exec(type)!;
  return unsigned === "u" ? value >= 0n && value < 1n << BigInt(bits!) : value < 1n << (BigInt(bits!) - 1n);
}

/** Storage pointers must be assigned: the compiler refuses a path on which they are not. */
function isRemovable(node: Node): boolean {
  if (node.nodeType !== "Assignment") return true;
  const target = nodeIn(node, "leftHandSide");
  const targets = target.nodeType === "TupleExpression" ? nodesIn(target, "components") : [target];
  return !targets.some((item) => item.nodeType === "Identifier" && / storage pointer$/.test(typeOf(item)));
}
