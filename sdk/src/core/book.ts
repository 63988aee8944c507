import { ratioOf } from "./grid.ts";
import { behindDown } from "./sale.ts";

// A market's positions, node for node as contracts/libraries/TickBook.sol keeps them, where it is explained.

/** A Map, or rows that are kept elsewhere. What is got from it is not changed; what changes is set anew. */
export interface Table<K, V> {
  get: (key: K) => V | undefined | Promise<V | undefined>;
  set: (key: K, value: V) => unknown;
  delete: (key: K) => unknown;
}

export interface LiveNode {
  kind: "live";
  rank: number;
  tick: number;
  count: number; // positions that resolve to it
  index: bigint;
  debt: bigint; //  book debt
}
export interface LinkedNode {
  kind: "linked";
  parent: number;
  from: bigint; //  its index when it was merged
  to: bigint; //    its parent's at that moment
}
export type BookNode = LiveNode | LinkedNode | { kind: "closed" };

/** A position as the market stores it. `node` 0: no debt ever, or none left. */
export interface StoredPosition {
  node: number;
  shares: bigint;
  surplus: bigint; // collateral units
}

/** A position now. Of one whose tick was seized nothing is left but its surplus. */
export interface ResolvedPosition {
  /** That it belongs to now; 0: none. */
  node: number;
  seized: boolean;
  /** Means something only with debt. */
  tick: number;
  debt: bigint; //       book debt
  collateral: bigint; // units behind the debt
  surplus: bigint; //    collateral units
}

export interface BookTables {
  nodes: Table<number, BookNode>;
  /** The node that a tick last had, unless that is its first one. */
  ticks: Table<number, number>;
}
export interface BookCounters {
  /** Ids given so far, beside the first node of each tick. */
  nodes: number;
  /** No tick above it is populated. */
  top: number;
}
export interface IndexBounds {
  one: bigint;
  min: bigint;
}

export const INDEX_BOUNDS: IndexBounds = { one: 1n << 79n, min: 1n << 63n };
export const NO_POSITION: StoredPosition = { node: 0, shares: 0n, surplus: 0n };

const FIRST_OF_TICK = 0xff00_0000;
const MAX_RANK = 255;

/** What a position is stored by: the owner's address and the sub-account in one word. */
export function positionKey(owner: string, sub: bigint): string {
  return `0x${owner.slice(2).toLowerCase()}${sub.toString(16).padStart(24, "0")}`;
}

/** The inverse of positionKey; the owner in lower case. */
export function ownerOfKey(key: string): { owner: string; sub: bigint } {
  return { owner: key.slice(0, 42), sub: BigInt(`0x${key.slice(42)}`) };
}

/** A position of a book whose nodes are at hand. */
export function resolvePosition(
  nodes: { get: (id: number) => BookNode | undefined },
  position: StoredPosition,
  spacing: number,
  { one } = INDEX_BOUNDS,
): ResolvedPosition {
  const { surplus } = position;
  let { node: id, shares } = position;
  let node = nodes.get(id);
  while (node?.kind === "linked") {
    shares = (shares * node.from) / node.to;
    id = node.parent;
    node = nodes.get(id);
  }
  if (node?.kind !== "live")
    return { node: 0, seized: node?.kind === "closed", tick: 0, debt: 0n, collateral: 0n, surplus };
  const debt = node.count === 1 ? node.debt : (shares * node.index) / one;
  const collateral = behindDown(debt, ratioOf(node.tick, spacing));
  return { node: id, seized: false, tick: node.tick, debt, collateral, surplus };
}

/** A node out of the book, on its way. */
export interface Carried {
  id: number;
  node: LiveNode;
}

export class Book {
  constructor(
    private readonly tables: BookTables,
    readonly counters: BookCounters,
    private readonly spacing: number,
    private readonly index = INDEX_BOUNDS,
  ) {}

  async resolve(position: StoredPosition): Promise<ResolvedPosition> {
    const chain = new Map<number, BookNode>();
    for (let id = position.node; ;) {
      const node = await this.tables.nodes.get(id);
      if (node) chain.set(id, node);
      if (node?.kind !== "linked") break;
      id = node.parent;
    }
    return resolvePosition(chain, position, this.spacing, this.index);
  }

  /** The node of a tick, if any position is there. */
  async populated(tick: number): Promise<Carried | undefined> {
    const id = await this.liveNodeAt(tick);
    const node = await this.tables.nodes.get(id);
    return node?.kind === "live" && node.tick === tick && node.count > 0 ? { id, node } : undefined;
  }

  /** Takes a position's debt out of the node `id` (0: it has none), and puts its new debt at `tick`. */
  async move(
    id: number,
    oldDebt: bigint,
    debt: bigint,
    tick: number,
  ): Promise<{ node: number; shares: bigint }> {
    const node = id === 0 ? undefined : await this.tables.nodes.get(id);
    if (node?.kind === "live") {
      const rest = node.debt - oldDebt;
      const others = node.count - 1;
      if (debt !== 0n && node.tick === tick) {
        await this.tables.nodes.set(id, { ...node, debt: rest + debt });
        return { node: id, shares: this.sharesOf(debt, node.index) };
      }
      if (debt !== 0n && others === 0 && !(await this.populated(tick))) {
        // The only member takes its node along.
        await this.tables.nodes.set(id, { ...node, tick, index: this.index.one, debt });
        await this.populate(id, tick);
        return { node: id, shares: debt };
      }
      await this.tables.nodes.set(id, { ...node, count: others, debt: rest });
    }
    return debt === 0n ? { node: 0, shares: 0n } : this.join(tick, debt);
  }

  /** Brings a node to index × num / den, and rebases it if that is too small. */
  async shrink({ id, node }: Carried, debt: bigint, num: bigint, den: bigint): Promise<Carried> {
    const index = (node.index * num) / den;
    const shrunk = { ...node, index, debt };
    if (index >= this.index.min) return { id, node: shrunk };
    const fresh: LiveNode = { ...node, count: 0, index: this.index.one, debt: 0n };
    return this.merge({ id: this.newId(), node: fresh }, { id, node: shrunk });
  }

  /** The node of lower rank becomes a link, `b` if they are equal. */
  async merge(a: Carried, b: Carried): Promise<Carried> {
    if (a.node.rank < b.node.rank) [a, b] = [b, a];
    const rank = a.node.rank === b.node.rank ? Math.min(a.node.rank + 1, MAX_RANK) : a.node.rank;
    await this.tables.nodes.set(b.id, {
      kind: "linked",
      parent: a.id,
      from: b.node.index,
      to: a.node.index,
    });
    const { count, debt } = a.node;
    return { id: a.id, node: { ...a.node, rank, count: count + b.node.count, debt: debt + b.node.debt } };
  }

  /** A node merged with the one that is at `tick`, if there is one. */
  async mergeWith(tick: number, carried: Carried): Promise<Carried> {
    const there = await this.populated(tick);
    return there ? this.merge(there, carried) : carried;
  }

  async settleAt({ id, node }: Carried, tick: number): Promise<void> {
    await this.setLiveNode(id, tick);
    await this.tables.nodes.set(id, { ...node, tick });
  }

  async close(id: number): Promise<void> {
    await this.tables.nodes.set(id, { kind: "closed" });
  }

  private async join(tick: number, debt: bigint): Promise<{ node: number; shares: bigint }> {
    let id = await this.liveNodeAt(tick);
    const node = await this.tables.nodes.get(id);
    const here = node?.kind === "live" && node.tick === tick;
    if (here && node.count !== 0) {
      await this.tables.nodes.set(id, { ...node, count: node.count + 1, debt: node.debt + debt });
      return { node: id, shares: this.sharesOf(debt, node.index) };
    }
    if (!here && node !== undefined) id = this.newId();
    await this.tables.nodes.set(id, {
      kind: "live",
      rank: 0,
      tick,
      count: 1,
      index: this.index.one,
      debt,
    });
    await this.populate(id, tick);
    return { node: id, shares: debt };
  }

  private sharesOf(debt: bigint, index: bigint): bigint {
    return (debt * this.index.one) / index;
  }

  private newId(): number {
    return ++this.counters.nodes;
  }

  private async populate(id: number, tick: number): Promise<void> {
    await this.setLiveNode(id, tick);
    this.counters.top = Math.max(this.counters.top, tick);
  }

  private async liveNodeAt(tick: number): Promise<number> {
    return (await this.tables.ticks.get(tick)) ?? FIRST_OF_TICK + (tick & 0xff_ffff);
  }

  private async setLiveNode(id: number, tick: number): Promise<void> {
    if ((await this.liveNodeAt(tick)) !== id) await this.tables.ticks.set(tick, id);
  }
}
