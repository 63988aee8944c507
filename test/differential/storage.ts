/** Reads a vault's book out of its storage (the layout is in Market.sol and TickBook.sol). */
import { AbiCoder, getAddress, keccak256 } from "ethers";

const NODE_SLOT = 7n;
const POSITION_SLOT = 10n;
const INDEX_ONE = 1n << 79n;
/** Ids from here on are a tick's first node. */
export const FIRST_OF_TICK = 0xff00_0000n;
const KIND = { Live: 1n, Linked: 2n, Closed: 3n } as const;

export interface BookPosition {
  /** undefined: none, or closed. */
  tick: number | undefined;
  debt: bigint;
  surplus: bigint;
  node: bigint;
  /** Links between the position's node and the live one. */
  depth: number;
}

export interface BookNode {
  tick: number;
  count: bigint;
  debt: bigint;
  rank: bigint;
}

export interface BookState {
  borrowIndex: bigint;
  cash: bigint;
  accruedAt: bigint;
  rateAtTarget: bigint;
  reserves: bigint;
  debt: bigint;
  nodes: bigint;
  top: number;
  potDebt: bigint;
  potCollateral: bigint;
  positions: Map<string, BookPosition>;
  /** The live nodes that the positions belong to. */
  live: Map<bigint, BookNode>;
}

const bits = (word: bigint, at: bigint, width: bigint) => (word >> at) & ((1n << width) - 1n);
const signed24 = (x: bigint) => Number(BigInt.asIntN(24, x));
const coder = AbiCoder.defaultAbiCoder();

export async function readBook(
  getStorage: (slot: bigint) => Promise<bigint>,
  accounts: readonly { name: string; owner: string; sub: bigint }[],
): Promise<BookState> {
  const words = new Map<bigint, Promise<bigint>>();
  const nodeWord = (id: bigint) => {
    const known = words.get(id);
    if (known !== undefined) return known;
    const word = getStorage(BigInt(keccak256(coder.encode(["uint256", "uint256"], [id, NODE_SLOT]))));
    words.set(id, word);
    return word;
  };
  const [ledger, second, header, pot] = await Promise.all([0n, 1n, 5n, 6n].map(getStorage));
  const live = new Map<bigint, BookNode>();

  const readPosition = async (owner: string, sub: bigint): Promise<BookPosition> => {
    const key = (BigInt(getAddress(owner)) << 96n) | sub;
    const word = await getStorage(
      BigInt(keccak256(coder.encode(["uint256", "uint256"], [key, POSITION_SLOT]))),
    );
    const surplus = bits(word, 160n, 96n);
    const first = bits(word, 0n, 32n);
    const none = { tick: undefined, debt: 0n, surplus, node: first, depth: 0 };
    if (first === 0n) return none;
    let id = first;
    let shares = bits(word, 32n, 128n);
    let node = await nodeWord(id);
    let depth = 0;
    while (bits(node, 0n, 8n) === KIND.Linked) {
      shares = (shares * bits(node, 40n, 80n)) / bits(node, 120n, 80n);
      id = bits(node, 8n, 32n);
      node = await nodeWord(id);
      depth++;
    }
    if (bits(node, 0n, 8n) !== KIND.Live) return { ...none, depth };
    const found = {
      tick: signed24(bits(node, 16n, 24n)),
      count: bits(node, 40n, 32n),
      debt: bits(node, 152n, 104n),
      rank: bits(node, 8n, 8n),
    };
    live.set(id, found);
    const debt = found.count === 1n ? found.debt : (shares * bits(node, 72n, 80n)) / INDEX_ONE;
    return { tick: found.tick, debt, surplus, node: first, depth };
  };

  const positions = new Map(
    await Promise.all(
      accounts.map(async ({ name, owner, sub }) => [name, await readPosition(owner, sub)] as const),
    ),
  );
  return {
    borrowIndex: bits(ledger!, 0n, 104n),
    cash: bits(ledger!, 104n, 112n),
    accruedAt: bits(second!, 216n, 32n),
    rateAtTarget: bits(ledger!, 216n, 40n),
    reserves: bits(second!, 104n, 112n),
    debt: bits(second!, 0n, 104n),
    nodes: bits(header!, 0n, 32n),
    top: signed24(bits(header!, 32n, 24n)),
    potDebt: bits(header!, 88n, 128n),
    potCollateral: bits(pot!, 0n, 128n),
    positions,
    live,
  };
}
