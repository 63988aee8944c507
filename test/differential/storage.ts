/** Reads a vault's book out of its storage (the layout is in Market.sol and TickBook.sol). */
import { AbiCoder, getAddress, keccak256 } from "ethers";

import type { Chain } from "./chain.ts";

const HEADER_SLOTS = [0n, 1n, 2n, 4n, 5n, 6n, 13n] as const;
const NODE_SLOT = 7n;
const BITMAP_SLOT = 8n;
const LIVE_NODE_SLOT = 9n;
const POSITION_SLOT = 10n;
/** The first node of a tick has this and the tick as its id; no counter counts it, and no word names it. */
const FIRST_OF_TICK = 0xff00_0000n;
const KIND = { Live: 1n, Linked: 2n, Closed: 3n } as const;

export interface BookPosition {
  /** undefined: none, or closed. */
  tick: number | undefined;
  debt: bigint;
  /** Of its debt what its shares say: the only member of a node owes what is left over, too. */
  byShares: bigint;
  surplus: bigint;
  node: bigint;
  shares: bigint;
  /** Links between the position's node and the live one, and those of them that a rebase made. */
  depth: number;
  rebases: number;
}

export interface BookNode {
  tick: number;
  count: bigint;
  debt: bigint;
  rank: bigint;
  index: bigint;
}

export interface BookState {
  borrowIndex: bigint;
  cash: bigint;
  accruedAt: bigint;
  rateAtTarget: bigint;
  reserves: bigint;
  noNewRiskUntil: bigint;
  liquidationsPausedUntil: bigint;
  graceUntil: bigint;
  ramp: {
    from: { liquidationThreshold: bigint; target: bigint };
    to: { liquidationThreshold: bigint; target: bigint };
    start: bigint;
    duration: bigint;
    halted: boolean;
  };
  /** undefined: off. */
  cascade: { cap: bigint; window: bigint; used: bigint; usedAt: bigint } | undefined;
  debt: bigint;
  /** How many there are or have been, as far as positions led to them. */
  nodes: bigint;
  top: number;
  seizedAt: bigint;
  potDebt: bigint;
  potCollateral: bigint;
  positions: Map<string, BookPosition>;
  /** The live nodes that the positions belong to. */
  live: Map<bigint, BookNode>;
  /** Of the words of the bitmap that any tick of the run was in: the ticks whose bit is set. */
  bits: Set<number>;
  /** What the book has as the node of each tick of `live`. */
  nodeAt: Map<number, bigint>;
}

const bits = (word: bigint, at: bigint, width: bigint) => (word >> at) & ((1n << width) - 1n);
const signed24 = (x: bigint) => Number(BigInt.asIntN(24, x));
const coder = AbiCoder.defaultAbiCoder();

/**
 * One vault's. Everything is read anew each time; only *which* words will be needed is remembered, so that nearly always
 * one call brings them all.
 */
export class BookReader {
  private readonly slots = new Map<string, bigint>();
  private readonly positionSlots: bigint[];
  /** Nodes that positions led to the last time, and words of ticks. */
  private nodes = new Set<bigint>();
  private readonly bitmapWords = new Set<number>();
  private readonly liveNodeWords = new Set<number>();
  private readonly firstNodes = new Set<bigint>();

  constructor(
    private readonly chain: Chain,
    private readonly vault: string,
    private readonly accounts: readonly { name: string; owner: string; sub: bigint }[],
    private readonly index: { indexOne: bigint; indexMin: bigint },
  ) {
    this.positionSlots = accounts.map(({ owner, sub }) =>
      this.slotOf((BigInt(getAddress(owner)) << 96n) | sub, POSITION_SLOT),
    );
  }

  async read(): Promise<BookState> {
    for (;;) {
      const words = await this.fetch();
      const state = this.resolve(words);
      if (state !== undefined) return state;
    }
  }

  private slotOf(key: bigint, mapping: bigint): bigint {
    const name = `${mapping}:${key}`;
    let slot = this.slots.get(name);
    if (slot === undefined) {
      slot = BigInt(keccak256(coder.encode(["uint256", "uint256"], [BigInt.asUintN(256, key), mapping])));
      this.slots.set(name, slot);
    }
    return slot;
  }

  private async fetch(): Promise<Map<bigint, bigint>> {
    const wanted = [
      ...HEADER_SLOTS,
      ...this.positionSlots,
      ...[...this.nodes].map((id) => this.slotOf(id, NODE_SLOT)),
      ...[...this.bitmapWords].map((word) => this.slotOf(BigInt(word), BITMAP_SLOT)),
      ...[...this.liveNodeWords].map((word) => this.slotOf(BigInt(word), LIVE_NODE_SLOT)),
    ];
    const words = await this.chain.readSlots(this.vault, wanted);
    return new Map(wanted.map((slot, i) => [slot, words[i]!]));
  }

  /** undefined: it needs words that were not fetched; they will be the next time. */
  private resolve(words: Map<bigint, bigint>): BookState | undefined {
    let complete = true;
    const used = new Set<bigint>();
    const nodeWord = (id: bigint): bigint => {
      used.add(id);
      const word = words.get(this.slotOf(id, NODE_SLOT));
      if (word === undefined) complete = false;
      return word ?? 0n;
    };
    const positions = new Map<string, BookPosition>();
    const live = new Map<bigint, BookNode>();
    this.accounts.forEach(({ name }, i) => {
      const { position, id, node } = this.position(words.get(this.positionSlots[i]!)!, nodeWord);
      positions.set(name, position);
      if (node !== undefined) live.set(id, node);
    });

    const [cash, debt, risk, liquidations, header, pot, cascade] = HEADER_SLOTS.map((slot) =>
      words.get(slot)!,
    );
    const nodes = bits(header!, 0n, 32n);
    for (const { tick } of live.values()) {
      if (!this.bitmapWords.has(tick >> 8) || !this.liveNodeWords.has(tick >> 3)) complete = false;
      this.bitmapWords.add(tick >> 8);
      this.liveNodeWords.add(tick >> 3);
    }
    for (const id of used) if (id >= FIRST_OF_TICK) this.firstNodes.add(id);
    // What comes next is likely to use the nodes of now, and new ones.
    this.nodes = used.add(nodes + 1n).add(nodes + 2n);
    if (!complete) return undefined;

    const set = new Set<number>();
    for (const word of this.bitmapWords) {
      const map = words.get(this.slotOf(BigInt(word), BITMAP_SLOT))!;
      for (let rest = map, at = 0; rest !== 0n; rest >>= 1n, at++) {
        if ((rest & 1n) === 1n) set.add(word * 256 + at);
      }
    }
    const nodeAt = new Map<number, bigint>();
    for (const { tick } of live.values()) {
      const word = words.get(this.slotOf(BigInt(tick >> 3), LIVE_NODE_SLOT))!;
      const id = bits(word, BigInt((tick & 7) << 5), 32n);
      nodeAt.set(tick, id === 0n ? FIRST_OF_TICK + BigInt.asUintN(24, BigInt(tick)) : id);
    }
    return {
      borrowIndex: bits(cash!, 0n, 104n),
      cash: bits(cash!, 104n, 112n),
      rateAtTarget: bits(cash!, 216n, 40n),
      debt: bits(debt!, 0n, 104n),
      reserves: bits(debt!, 104n, 112n),
      accruedAt: bits(debt!, 216n, 32n),
      noNewRiskUntil: bits(risk!, 192n, 32n),
      liquidationsPausedUntil: bits(liquidations!, 80n, 32n),
      graceUntil: bits(liquidations!, 112n, 32n),
      ramp: {
        from: {
          liquidationThreshold: bits(liquidations!, 0n, 16n),
          target: bits(liquidations!, 16n, 16n),
        },
        to: {
          liquidationThreshold: bits(liquidations!, 144n, 16n),
          target: bits(liquidations!, 160n, 16n),
        },
        start: bits(liquidations!, 176n, 32n),
        duration: bits(liquidations!, 208n, 24n),
        halted: bits(liquidations!, 232n, 8n) !== 0n,
      },
      cascade:
        bits(liquidations!, 248n, 8n) === 0n
          ? undefined
          : {
              cap: bits(cascade!, 0n, 80n),
              window: bits(cascade!, 80n, 32n),
              used: bits(cascade!, 112n, 112n),
              usedAt: bits(cascade!, 224n, 32n),
            },
      nodes: nodes + BigInt(this.firstNodes.size),
      top: signed24(bits(header!, 32n, 24n)),
      seizedAt: bits(header!, 56n, 32n),
      potDebt: bits(header!, 88n, 128n),
      potCollateral: bits(pot!, 0n, 128n),
      positions,
      live,
      bits: set,
      nodeAt,
    };
  }

  private position(
    word: bigint,
    nodeWord: (id: bigint) => bigint,
  ): { position: BookPosition; id: bigint; node: BookNode | undefined } {
    const first = bits(word, 0n, 32n);
    const stored = { node: first, shares: bits(word, 32n, 128n), surplus: bits(word, 160n, 96n) };
    let [depth, rebases] = [0, 0];
    const none = () => ({
      position: { tick: undefined, debt: 0n, byShares: 0n, depth, rebases, ...stored },
      id: first,
      node: undefined,
    });
    if (first === 0n) return none();
    let id = first;
    let shares = stored.shares;
    let node = nodeWord(id);
    while (bits(node, 0n, 8n) === KIND.Linked) {
      const from = bits(node, 40n, 80n);
      shares = (shares * from) / bits(node, 120n, 80n);
      if (from < this.index.indexMin) rebases++;
      id = bits(node, 8n, 32n);
      node = nodeWord(id);
      depth++;
    }
    if (bits(node, 0n, 8n) !== KIND.Live) return none();
    const found = {
      tick: signed24(bits(node, 16n, 24n)),
      count: bits(node, 40n, 32n),
      debt: bits(node, 152n, 104n),
      rank: bits(node, 8n, 8n),
      index: bits(node, 72n, 80n),
    };
    const byShares = (shares * found.index) / this.index.indexOne;
    const debt = found.count === 1n ? found.debt : byShares;
    return { position: { tick: found.tick, debt, byShares, depth, rebases, ...stored }, id, node: found };
  }
}
