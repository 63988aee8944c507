// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";
import {Grid} from "./Grid.sol";

/// @title TickBook
/// @notice The book of a market's positions, kept per tick. All positions of a tick share one node, so that moving
/// the node moves them all. The book knows ratios and amounts; it knows no price, no token and no interest.
///
/// UNITS. Collateral in the market's collateral units; debt in *book debt* (debt units divided by the borrow index).
///
/// NODES. A node is live at one tick, or linked to the node it was merged into, or closed (its tick was seized).
/// A position holds shares of a node: debt = shares × index / INDEX_ONE, rounded down; across a link, shares of the
/// child become shares × from / to of the parent. A node that moves keeps its id; only a merge links, by rank, so a
/// chain of links is never longer than log₂ of the number of nodes, plus its rebases.
///
/// SOLVENCY. Σ debt of a node's positions ≤ the node's debt: every resolution rounds down, and the last to leave
/// takes what is left, with the collateral behind it. Collateral behind D at ratio R is D/R: rounded up when it is
/// put in, down when it is taken out, so what the market holds never falls below what the book promises.
library TickBook {
    using SafeCast for uint256;
    using FixedPointMathLib for uint256;

    enum Kind {
        None,
        Live,
        Linked,
        Closed
    }

    /// @dev One slot. `Linked` nodes are read as a `Link`.
    struct Node {
        Kind kind; //       8
        uint8 rank; //      8  union by rank: height bound of the links below
        int24 tick; //     24
        uint32 count; //   32  positions that resolve to this node
        uint80 index; //   80  INDEX_ONE when new; falls with each liquidation
        uint104 debt; //  104  book debt
    }

    /// @dev One slot, `kind` at the place where `Node` has it.
    struct Link {
        Kind kind; //       8
        uint32 parent; //  32
        uint80 from; //    80  the child's index when it was merged
        uint80 to; //      80  the parent's index at that moment
    }

    /// @dev One slot.
    struct Position {
        uint32 node; //    32  0: no debt ever, or none left
        uint128 shares; // 128
        uint96 surplus; // 96  collateral units beyond what the tick needs: the owner's, never seized
    }

    struct State {
        // slot 0
        uint32 nodes; //    32  ids given so far, from 1, beside the first node of each tick
        int24 top; //       24  no tick above it is populated
        uint32 seizedAt; // 32  when the pot was seized: the mean, weighted by collateral
        uint128 potDebt; // 128  what was seized and not yet sold: debt units (18 decimals, no index)
        // slot 1
        uint128 potCollateral; // collateral units
        mapping(uint32 id => Node) node;
        mapping(int24 word => uint256) bitmap; //   256 ticks a word; a bit is set ⇔ the tick's node has count > 0
        mapping(int24 word => uint256) liveNode; // 8 ids a word, never cleared: the bitmap is the truth. 0: the first
        mapping(bytes32 key => Position) position;
    }

    /// @dev What a change of one position did.
    struct Outcome {
        uint256 oldDebt;
        uint256 newDebt;
        int24 oldTick; // meaningful if oldDebt > 0
        int24 newTick; // meaningful if newDebt > 0
        uint256 ratio; // R of newTick
        uint256 taken; // collateral units that left
        uint32 node; //   the position now
        uint128 shares;
        uint96 surplus;
    }

    /// @dev A walk down the populated ticks: every word is read once, and what it vacates of a word is written at once.
    struct Walk {
        int256 word; //     of the bitmap
        uint256 bits; //    as they are stored
        uint256 left; //    those of them that are still to be visited
        uint256 vacated; // those of them that are gone, but not yet from storage
        int256 group; //    word of liveNode
        uint256 ids;
    }

    uint256 internal constant INDEX_ONE = 2 ** 79;
    /// @dev A node whose index falls below is rebased, so that shares fit 128 bits: 104 + 79 − 63 = 120.
    uint256 internal constant INDEX_MIN = 2 ** 63;
    /// @dev The first node of a tick needs no id from the counter and no entry in `liveNode`: its id is this and the tick.
    uint32 internal constant FIRST_OF_TICK = 0xff00_0000;

    // Where `Node` has its fields.
    uint256 private constant RANK_AT = 8;
    uint256 private constant TICK_AT = 16;
    uint256 private constant INDEX_AT = 72;
    uint256 private constant DEBT_AT = 152;
    uint256 private constant DEBT_AND_COUNT =
        (uint256(type(uint104).max) << 152) | (uint256(type(uint32).max) << 40);

    /// @dev Half of what a surplus can be, on the way in: then roundings never bring a position beyond it, and a repayment
    /// always finds room for the collateral that it frees.
    uint256 internal constant MAX_COLLATERAL = 2 ** 95;

    /// @notice The position would hold more collateral than fits; collateral units.
    error TooMuchCollateral(uint256 collateral, uint256 max);

    /// @notice More collateral was asked for than the position has; collateral units.
    error InsufficientCollateral(uint256 requested, uint256 available);

    /// @notice A debt without any collateral; book debt.
    error DebtWithoutCollateral(uint256 debt);

    // ------------------------------------------------------------------ reading

    function keyOf(address owner, uint96 sub) internal pure returns (bytes32) {
        return bytes32((uint256(uint160(owner)) << 96) | sub);
    }

    /// @notice The live node that `shares` of `id` belong to now, and their debt there; 0 if there is none any more.
    function resolve(State storage self, uint32 id, uint256 shares) internal view returns (uint32, uint256) {
        if (id == 0) return (0, 0);
        Node storage node = self.node[id];
        while (node.kind == Kind.Linked) {
            Link storage link = _linkOf(self, id);
            shares = acrossLink(shares, link.from, link.to);
            id = link.parent;
            node = self.node[id];
        }
        if (node.kind != Kind.Live) return (0, 0);
        return (id, debtOf(node.count, node.debt, node.index, shares));
    }

    /// @notice Shares of a child in terms of its parent.
    function acrossLink(uint256 shares, uint256 from, uint256 to) internal pure returns (uint256) {
        return (shares * from) / to;
    }

    /// @notice Debt of `shares` of a live node: rounded down, or all that is left for the last one.
    function debtOf(
        uint256 count,
        uint256 debt,
        uint256 index,
        uint256 shares
    ) internal pure returns (uint256) {
        return count == 1 ? debt : (shares * index) / INDEX_ONE;
    }

    /// @notice Collateral behind `debt` at `ratio`, rounded down (taken out).
    function behindDown(uint256 debt, uint256 ratio) internal pure returns (uint256) {
        return (debt << 128) / ratio;
    }

    /// @notice Collateral behind `debt` at `ratio`, rounded up (put in).
    function behindUp(uint256 debt, uint256 ratio) internal pure returns (uint256) {
        return FixedPointMathLib.divUp(debt << 128, ratio);
    }

    /// @notice The highest populated tick in [floor, from]; `floor − 1` if there is none.
    function nextPopulated(State storage self, int24 from, int24 floor) internal view returns (int24) {
        while (from >= floor) {
            bool found;
            (found, from) = highestIn(self.bitmap[from >> 8], from);
            if (found) return from < floor ? floor - 1 : from;
        }
        return floor - 1;
    }

    /// @notice The highest tick at or below `from` in the bitmap's `word` of `from`; if there is none, the tick below
    /// the word.
    function highestIn(uint256 word, int24 from) internal pure returns (bool found, int24 tick) {
        uint256 bits = word << (255 - uint8(uint24(from)));
        if (bits == 0) return (false, ((from >> 8) << 8) - 1);
        return (true, from - int24(uint24(255 - highestBit(bits))));
    }

    /// @notice The index of the highest bit of a word that is not 0.
    function highestBit(uint256 word) internal pure returns (uint256 bit) {
        assembly ("memory-safe") {
            bit := sub(255, clz(word))
        }
    }

    function isPopulated(State storage self, int24 tick) internal view returns (bool) {
        return (self.bitmap[tick >> 8] >> uint8(uint24(tick))) & 1 == 1;
    }

    function liveNodeAt(State storage self, int24 tick) internal view returns (uint32) {
        return idIn(self.liveNode[tick >> 3], tick);
    }

    /// @notice The id of `tick` in its word of eight.
    function idIn(uint256 word, int24 tick) internal pure returns (uint32 id) {
        id = uint32(word >> _idShift(tick));
        if (id == 0) id = FIRST_OF_TICK | uint24(tick);
    }

    // ------------------------------------------------------------------ one position

    /// @notice Changes a position by signed amounts of collateral (units) and debt (book debt).
    /// @param collateralDelta type(int256).min takes all out. @param debtDelta a repayment beyond the debt repays the debt.
    /// @param fold whether the surplus becomes margin (the owner's own change) or stays aside (somebody else's).
    /// @dev A change that adds no debt and takes no collateral never moves a position to a higher tick and never
    /// reverts for rounding. The caller judges whether the outcome is allowed, and keeps the total.
    function change(
        State storage self,
        Position storage slot,
        int256 collateralDelta,
        int256 debtDelta,
        bool fold,
        int24 spacing
    ) internal returns (Outcome memory out) {
        (uint32 id, uint256 debt) = resolve(self, slot.node, slot.shares);
        uint256 surplus = slot.surplus;
        uint256 collateral = fold ? surplus : 0;
        uint256 ratio;
        uint256 need;
        // No overflow: what is there is below 2¹⁶⁹, and a signed amount is at most 2²⁵⁵.
        unchecked {
            out.oldDebt = debt;
            if (debt != 0) {
                out.oldTick = self.node[id].tick;
                ratio = Grid.ratioOf(out.oldTick, spacing);
                collateral += behindDown(debt, ratio);
            }
            if (collateralDelta < 0) {
                uint256 taken = collateralDelta == type(int256).min ? collateral : uint256(-collateralDelta);
                require(taken <= collateral, InsufficientCollateral(taken, collateral));
                out.taken = taken;
                collateral -= taken;
            } else if (collateralDelta > 0) {
                collateral += uint256(collateralDelta);
                uint256 held = fold ? collateral : collateral + surplus;
                require(held <= MAX_COLLATERAL, TooMuchCollateral(held, MAX_COLLATERAL));
            }
            debt = debtDelta < 0 ? Math.saturatingSub(debt, uint256(-debtDelta)) : debt + uint256(debtDelta);
            out.newDebt = debt;
            if (debt != 0) {
                // Only a change that reduces risk is held at or below its old tick.
                if (collateralDelta < 0 || debtDelta > 0) ratio = 0;
                (out.newTick, ratio) = _tickFor(debt, collateral, ratio, spacing);
                out.ratio = ratio;
                need = behindUp(debt, ratio);
            }
            collateral = collateral > need ? collateral - need : 0;
            if (!fold) collateral += surplus;
        }
        out.surplus = collateral.toUint96();
        (out.node, out.shares) = _move(self, id, out.oldDebt, debt, out.newTick);
        slot.node = out.node;
        slot.shares = out.shares;
        slot.surplus = out.surplus;
    }

    /// @dev Takes a position's old debt out of its live node (0: it has none) and puts its new debt at `tick`; the node
    /// and its shares there.
    function _move(
        State storage self,
        uint32 id,
        uint256 oldDebt,
        uint256 newDebt,
        int24 tick
    ) private returns (uint32, uint128) {
        if (id != 0) {
            Node storage node = self.node[id];
            int24 oldTick = node.tick;
            uint32 others = node.count - 1;
            uint256 rest = node.debt - oldDebt;
            if (newDebt != 0) {
                if (oldTick == tick) {
                    node.debt = (rest + newDebt).toUint104();
                    return (id, _sharesOf(newDebt, node.index));
                }
                if (others == 0 && !isPopulated(self, tick)) {
                    // The only member takes its node along: no new node, and nobody else's shares to keep.
                    node.tick = tick;
                    node.index = uint80(INDEX_ONE);
                    node.debt = newDebt.toUint104();
                    _flipBit(self, oldTick);
                    _populate(self, id, tick);
                    return (id, uint128(newDebt));
                }
            }
            node.count = others;
            node.debt = uint104(rest);
            if (others == 0) _flipBit(self, oldTick);
        }
        if (newDebt == 0) return (0, 0);
        return _join(self, tick, newDebt);
    }

    /// @dev One more member at `tick`. The node itself tells whether the tick is populated: no need to read the bitmap. An
    /// emptied node still at its tick is used again.
    function _join(State storage self, int24 tick, uint256 debt) private returns (uint32 id, uint128 shares) {
        id = liveNodeAt(self, tick);
        Node storage node = self.node[id];
        Kind kind = node.kind;
        bool here = kind == Kind.Live && node.tick == tick;
        if (here && node.count != 0) {
            node.count += 1;
            node.debt = (node.debt + debt).toUint104();
            return (id, _sharesOf(debt, node.index));
        }
        if (!here && kind != Kind.None) id = _newId(self); // merged, closed or moved away
        self.node[id] = Node({
            kind: Kind.Live,
            rank: 0,
            tick: tick,
            count: 1,
            index: uint80(INDEX_ONE),
            debt: debt.toUint104()
        });
        _populate(self, id, tick);
        shares = uint128(debt);
    }

    /// @dev Rounded down. No overflow: the debt has been found to fit its node.
    function _sharesOf(uint256 debt, uint256 index) private pure returns (uint128) {
        unchecked {
            return ((debt * INDEX_ONE) / index).toUint128();
        }
    }

    /// @dev The smallest tick that `debt` over `collateral` may take, at most the one of `ceiling` unless that is 0.
    function _tickFor(
        uint256 debt,
        uint256 collateral,
        uint256 ceiling,
        int24 spacing
    ) private pure returns (int24 tick, uint256 ratio) {
        require(collateral != 0 || ceiling != 0, DebtWithoutCollateral(debt));
        ratio = collateral == 0 ? ceiling : FixedPointMathLib.divUp(debt << 128, collateral);
        if (ceiling != 0 && ratio > ceiling) ratio = ceiling;
        (tick, ratio) = Grid.ceil(ratio, spacing);
    }

    // ------------------------------------------------------------------ a walk down (liquidation)

    /// @notice A walk down the populated ticks from `from` on.
    function walkFrom(State storage self, int24 from) internal view returns (Walk memory walk) {
        walk.word = from >> 8;
        walk.bits = self.bitmap[int24(walk.word)];
        uint256 above = 255 - uint8(uint24(from));
        walk.left = (walk.bits << above) >> above;
        walk.group = type(int24).min; // no tick's
    }

    /// @notice The next populated tick above `floor`; `floor` if there is none.
    function next(State storage self, Walk memory walk, int24 floor) internal returns (int24 tick) {
        // No overflow: a tick has 24 bits.
        unchecked {
            while (walk.left == 0 && walk.word > floor >> 8) {
                finish(self, walk);
                walk.word--;
                walk.left = walk.bits = self.bitmap[int24(walk.word)];
            }
            tick = floor;
            if (walk.left != 0) {
                uint256 bit = highestBit(walk.left);
                walk.left ^= 1 << bit;
                int256 found = (walk.word << 8) + int256(bit);
                if (found > floor) tick = int24(found);
            }
        }
    }

    /// @notice The node of the tick where the walk is.
    function nodeAt(
        State storage self,
        Walk memory walk,
        int24 tick
    ) internal view returns (uint32 id, uint256 node) {
        int256 group = tick >> 3;
        if (walk.group != group) {
            walk.group = group;
            walk.ids = self.liveNode[int24(group)];
        }
        id = idIn(walk.ids, tick);
        node = load(self, id);
    }

    /// @notice Takes away the bit of the tick where the walk is; its node is the caller's to move or to close.
    function vacate(Walk memory walk, int24 tick) internal pure {
        walk.vacated |= 1 << uint8(uint24(tick));
    }

    /// @notice Writes what the walk has vacated; due before anything else writes the bitmap.
    function finish(State storage self, Walk memory walk) internal {
        if (walk.vacated != 0) {
            walk.bits ^= walk.vacated;
            walk.vacated = 0;
            self.bitmap[int24(walk.word)] = walk.bits;
        }
    }

    // ------------------------------------------------------------------ whole nodes (liquidation)
    //
    // A sweep keeps a node as the word that its slot holds, laid out as `Node` says: a struct in memory would cost more
    // than all the arithmetic.

    function load(State storage self, uint32 id) internal view returns (uint256 node) {
        Node storage slot = self.node[id];
        assembly ("memory-safe") {
            node := sload(slot.slot)
        }
    }

    function store(State storage self, uint32 id, uint256 node) internal {
        Node storage slot = self.node[id];
        assembly ("memory-safe") {
            sstore(slot.slot, node)
        }
    }

    function debtIn(uint256 node) internal pure returns (uint256) {
        return node >> DEBT_AT;
    }

    /// @notice Moves a node to `index × num / den` (rounded down) with `debt`, which is never more than before; rebases it
    /// if the index gets too small. The tick's bit and id are the caller's.
    function shrink(
        State storage self,
        uint32 id,
        uint256 node,
        uint256 debt,
        uint256 num,
        uint256 den
    ) internal returns (uint32, uint256) {
        // No overflow: num < 2¹⁴²; den is not 0: see Sale.
        unchecked {
            uint256 index = (uint256(uint80(node >> INDEX_AT)) * num).rawDiv(den);
            node = uint72(node) | (index << INDEX_AT) | (debt << DEBT_AT);
            if (index < INDEX_MIN) {
                // It merges into a new node, empty and of the same rank.
                (id, node) = merge(self, _newId(self), uint40(node) | (INDEX_ONE << INDEX_AT), id, node);
            }
        }
        return (id, node);
    }

    /// @notice Merges two live nodes of one tick: the one of lower rank becomes a link in storage, `b` if they are equal.
    function merge(
        State storage self,
        uint32 idA,
        uint256 a,
        uint32 idB,
        uint256 b
    ) internal returns (uint32, uint256) {
        unchecked {
            uint256 rankA = uint8(a >> RANK_AT);
            uint256 rankB = uint8(b >> RANK_AT);
            if (rankA < rankB) (idA, a, idB, b) = (idB, b, idA, a);
            else if (rankA == rankB && rankA != type(uint8).max) a += 1 << RANK_AT;
            uint256 from = uint80(b >> INDEX_AT);
            uint256 to = uint80(a >> INDEX_AT);
            store(self, idB, uint256(Kind.Linked) | (uint256(idA) << 8) | (from << 40) | (to << 120));
            // Neither carries: the sum of debts is at most the book's, and there are never 2³² positions.
            return (idA, a + (b & DEBT_AND_COUNT));
        }
    }

    /// @notice A node merged with the one that is at `tick`, if there is one. It comes before all others that go there: of
    /// equals the one that is there stays, and the tick needs no new id.
    function mergeWith(
        State storage self,
        int24 tick,
        uint32 id,
        uint256 node
    ) internal returns (uint32, uint256) {
        if (!isPopulated(self, tick)) return (id, node);
        uint32 there = liveNodeAt(self, tick);
        return merge(self, there, load(self, there), id, node);
    }

    /// @notice Puts a node at `tick`, below where it was, in place of the one with which it has merged.
    function settleAt(State storage self, uint32 id, uint256 node, int24 tick) internal {
        if (!isPopulated(self, tick)) _flipBit(self, tick);
        _setLiveNode(self, id, tick);
        node = (node & ~(uint256(type(uint24).max) << TICK_AT)) | (uint256(uint24(tick)) << TICK_AT);
        store(self, id, node);
    }

    /// @notice Closes a node: its positions have no debt and no margin any more, only their surplus.
    function close(State storage self, uint32 id) internal {
        store(self, id, uint256(Kind.Closed));
    }

    // ------------------------------------------------------------------ storage

    function _newId(State storage self) private returns (uint32 id) {
        id = ++self.nodes;
        assert(id < FIRST_OF_TICK);
    }

    function _populate(State storage self, uint32 id, int24 tick) private {
        _flipBit(self, tick);
        _setLiveNode(self, id, tick);
        if (tick > self.top) self.top = tick;
    }

    function _flipBit(State storage self, int24 tick) private {
        self.bitmap[tick >> 8] ^= 1 << uint8(uint24(tick));
    }

    function _setLiveNode(State storage self, uint32 id, int24 tick) private {
        uint256 word = self.liveNode[tick >> 3];
        if (idIn(word, tick) == id) return;
        uint256 shift = _idShift(tick);
        self.liveNode[tick >> 3] = (word & ~(uint256(type(uint32).max) << shift)) | (uint256(id) << shift);
    }

    function _idShift(int24 tick) private pure returns (uint256) {
        return uint256(uint24(tick) & 7) << 5;
    }

    /// @dev A linked node's slot, read with the fields that it has then.
    function _linkOf(State storage self, uint32 id) private view returns (Link storage link) {
        Node storage node = self.node[id];
        assembly ("memory-safe") {
            link.slot := node.slot
        }
    }
}
