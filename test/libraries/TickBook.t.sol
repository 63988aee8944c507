// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Price, PriceState} from "../../contracts/interfaces/IOracleAdapter.sol";
import {LiquidationRequest} from "../../contracts/interfaces/IVault.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {TickBook} from "../../contracts/libraries/TickBook.sol";
import {BookHarness} from "../support/BookHarness.sol";
import {Test} from "../support/Vm.sol";

contract TickBookTest is Test {
    int24 private constant SPACING = 25;
    uint256 private constant ONE = TickBook.INDEX_ONE;
    int256 private constant ALL = type(int256).min;
    int256 private constant WHOLE_DEBT = -int256(uint256(type(uint128).max));

    BookHarness private _book;

    function setUp() public {
        _book = new BookHarness(SPACING, 16);
    }

    function testFuzz_aKeyIsItsOwnerAndItsNumber(address owner, uint96 sub) public pure {
        uint256 key = uint256(TickBook.keyOf(owner, sub));
        assertEq(key >> 96, uint160(owner), "owner");
        assertEq(uint96(key), sub, "number");
    }

    // ------------------------------------------------------------------ join and leave

    function test_joinTakesTheSmallestTickAtOrAboveTheRatio() public {
        TickBook.Outcome memory out = _book.change(1, 10e18, 12_345e18, true);
        uint256 ratio = (uint256(12_345e18) << 128) / 10e18;
        assertLe(ratio, out.ratio, "at or above");
        assertLt(Grid.ratioOf(out.newTick - 1, SPACING), ratio, "and the smallest");
        uint256 need = TickBook.behindUp(12_345e18, out.ratio);
        assertEq(out.surplus, 10e18 - need, "the rest is surplus");
        assertEq(out.shares, 12_345e18, "shares of a new node are its debt");
        assertEq(_book.topTick(), out.newTick, "the bound is raised");
        _check();
    }

    /// @dev By less than a part in 2⁶⁵ above the ratio of tick 100 (the nearest quotient of its size): the tick is the next.
    function test_joinTakesNoTickBelowTheRatio() public {
        (uint256 debt, uint256 collateral) = (76_769_467_941_884_174_872, 59_788_869_055_487_016_973);
        uint256 ratio = Grid.ratioOf(100, SPACING);
        assertEq((debt << 128) / collateral, ratio, "the control: rounded down it is tick 100");
        assertEq(_book.change(1, int256(collateral), int256(debt), true).newTick, 101, "above");
    }

    function test_positionsOfATickShareItsNode() public {
        int24 tick = _join(1, 100, 1e18);
        _join(2, 100, 3e18);
        (uint32 id, TickBook.Node memory node) = _book.nodeAt(tick);
        assertEq(node.count, 2, "two members");
        assertEq(node.debt, 4e18, "one debt");
        assertEq(_book.resolve(1).id, id, "first");
        assertEq(_book.resolve(2).id, id, "second");
        assertEq(_book.nodes(), 1, "one node");
        _check();
    }

    function test_leaveClearsTheTick() public {
        int24 tick = _join(1, 100, 1e18);
        TickBook.Outcome memory out = _book.change(1, ALL, WHOLE_DEBT, true);
        assertEq(out.newDebt, 0, "no debt");
        assertEq(out.node, 0, "no node");
        assertEq(out.shares, 0, "no shares");
        assertTrue(!_book.isPopulated(tick), "bit cleared");
        assertEq(_book.totalDebt(), 0, "total");
        _check();
    }

    function test_repayKeepsTheCollateralAsSurplus() public {
        _join(1, 100, 1e18);
        uint256 held = _book.holdings();
        TickBook.Outcome memory out = _book.change(1, 0, WHOLE_DEBT, true);
        assertEq(out.taken, 0, "nothing leaves");
        assertNear(out.surplus, held, 1, "all of it is the owner's");
        _check();
    }

    function test_emptiedNodeIsUsedAgain() public {
        int24 tick = _join(1, 100, 1e18);
        _book.moveNode(tick, tick, 0.5e18, 1, 2);
        _book.change(1, ALL, WHOLE_DEBT, true);
        (uint32 id, TickBook.Node memory node) = _book.nodeAt(tick);
        assertEq(node.count, 0, "empty");
        assertEq(node.debt, 0, "without a ghost");
        assertEq(_join(2, 100, 5e18), tick, "same tick");
        assertEq(_book.resolve(2).id, id, "same node");
        assertEq(_book.nodeOf(id).index, ONE, "with a new index");
        assertEq(_book.nodes(), 1, "no second node");
        _check();
    }

    function test_emptiedNodeThatMovedIsNotUsedAtItsOldTick() public {
        int24 tick = _join(1, 100, 1e18);
        _book.moveNode(tick, tick - 40, 0.5e18, 1, 2);
        _book.change(1, ALL, WHOLE_DEBT, true);
        _join(2, 100, 5e18);
        assertEq(_book.resolve(2).id, 1, "a new node");
        assertEq(_book.resolve(2).tick, tick, "at the old tick");
        _check();
    }

    function test_lastLeaverTakesTheResidue() public {
        int24 tick = _join(1, 100, 1e18 + 1);
        _join(2, 100, 1e18 + 1);
        _join(3, 100, 1e18 + 1);
        // An index that divides nothing evenly leaves a residue in the node.
        _book.moveNode(tick, tick - 1, 1e18 + 1, 1, 3);
        uint256 debt = _book.totalDebt();
        uint256 left;
        for (uint256 key = 1; key <= 3; key++) {
            left += _book.change(key, ALL, WHOLE_DEBT, true).oldDebt;
            _check();
        }
        assertEq(left, debt, "three members pay the node's whole debt");
        assertEq(_book.totalDebt(), 0, "nothing is left");
        assertTrue(!_book.isPopulated(tick - 1), "no ghost");
    }

    // ------------------------------------------------------------------ moves

    function test_onlyMemberMovesItsNode() public {
        int24 tick = _join(1, 100, 1e18);
        uint32 id = _book.resolve(1).id;
        TickBook.Outcome memory out = _book.change(1, 1e18, 0, true);
        assertTrue(out.newTick < tick, "a lower tick");
        assertEq(out.node, id, "the same node");
        assertEq(_book.nodes(), 1, "no new node");
        assertTrue(!_book.isPopulated(tick), "the old tick is empty");
        assertTrue(_book.isPopulated(out.newTick), "the new one is not");
        _check();
    }

    function test_adjustInPlaceKeepsTheOthersDebt() public {
        int24 tick = _join(1, 100, 1e18);
        _join(2, 100, 7e18);
        int256 behind = int256(TickBook.behindUp(3e18, _ratio(tick)));
        TickBook.Outcome memory out = _book.change(1, behind, 3e18, true);
        assertEq(out.newTick, tick, "the same tick");
        assertEq(out.newDebt, 4e18, "more debt");
        assertEq(_book.nodes(), 1, "the same node");
        assertNear(_book.resolve(2).debt, 7e18, 1, "the other's debt");
        _check();
    }

    /// @dev Whoever follows the events (the replay) counts on it.
    function test_onlyMemberKeepsTheIndexInPlace() public {
        int24 tick = _join(1, 100, 1e18);
        _book.moveNode(tick, tick, 0.5e18, 1, 2);
        TickBook.Outcome memory out = _book.change(1, 0, -1, true);
        assertEq(out.newTick, tick, "in place");
        (, TickBook.Node memory node) = _book.nodeAt(tick);
        assertEq(node.index, ONE / 2, "its index");
        assertEq(out.shares, 2 * node.debt, "and shares of it");
        _check();
    }

    function test_memberLeavesForAnotherTick() public {
        int24 tick = _join(1, 100, 1e18);
        _join(2, 100, 7e18);
        uint32 id = _book.resolve(2).id;
        TickBook.Outcome memory out = _book.change(1, 5e18, 0, true);
        assertTrue(out.newTick < tick, "a lower tick");
        assertTrue(_book.resolve(1).id != id, "another node");
        assertEq(_book.resolve(2).id, id, "the other stays");
        assertEq(_book.resolve(2).debt, 7e18, "as it was");
        _check();
    }

    // ------------------------------------------------------------------ who may not be hurt by rounding

    /// @dev Repaying or topping up, however little, by whomever, never raises the tick, never takes anything.
    function testFuzz_lessRiskNeverRaisesTheTick(
        uint256 debt,
        uint256 collateral,
        uint256 repaid,
        uint256 added,
        bool fold,
        bool company
    ) public {
        debt = anyLength(debt, 1, 90);
        collateral = anyLength(collateral, 1, 90);
        uint256 ratio = ((debt << 128) + collateral - 1) / collateral;
        if (ratio > Grid.ratioOf(Grid.maxTick(SPACING), SPACING)) return;
        TickBook.Outcome memory out = _book.change(1, int256(collateral), int256(debt), true);
        if (company) _book.change(2, int256(collateral), int256(debt), true);
        int24 tick = out.newTick;
        uint256 surplus = out.surplus;
        out = _book.change(1, int256(bound(added, 0, 3)), -int256(bound(repaid, 0, debt + 1)), fold);
        if (out.newDebt != 0) assertTrue(out.newTick <= tick, "never a higher tick");
        if (!fold) assertLe(surplus, out.surplus, "a stranger never uses the surplus");
        assertEq(out.taken, 0, "nothing leaves");
        _check();
    }

    function test_strangerDoesNotFoldTheSurplus() public {
        TickBook.Outcome memory out = _book.change(1, 10e18, 12_345e18, true);
        uint256 surplus = out.surplus;
        assertLt(0, surplus, "there is a surplus");
        int24 tick = out.newTick;
        out = _book.change(1, 0, -1, false);
        assertEq(out.newTick, tick, "the tick stays");
        assertLe(surplus, out.surplus, "the surplus stays aside");
        out = _book.change(1, 1, 0, true);
        assertLe(out.surplus, surplus + 2, "the owner folds it in");
        _check();
    }

    function testFuzz_dustNeverReverts(uint8 debt, uint8 collateral, uint8 repaid, uint8 taken) public {
        uint256 d = bound(debt, 1, 12);
        uint256 c = bound(collateral, 1, 12);
        _book.change(1, int256(c), int256(d), true);
        _book.change(2, int256(c), int256(d), true);
        _book.change(1, 0, -int256(bound(repaid, 0, d)), true);
        _check();
        _book.change(1, ALL, WHOLE_DEBT, true);
        _book.change(2, int256(bound(taken, 0, 3)), -1, false);
        _book.change(2, ALL, WHOLE_DEBT, true);
        _check();
        assertEq(_book.totalDebt(), 0, "everybody left");
    }

    // ------------------------------------------------------------------ whole nodes

    function test_movedNodeKeepsItsId() public {
        int24 tick = _join(1, 100, 1e18);
        _join(2, 100, 3e18);
        uint32 id = _book.resolve(1).id;
        assertEq(_book.moveNode(tick, tick - 10, 2e18, 1, 2), id, "the same node");
        assertEq(_book.resolve(1).tick, tick - 10, "the first moved");
        assertEq(_book.resolve(1).debt, 0.5e18, "to half its debt");
        assertEq(_book.resolve(2).debt, 1.5e18, "and the second");
        assertEq(_book.resolve(1).links, 0, "without a link");
        _check();
    }

    /// @dev Its shares are then its debt, whatever index liquidations had left the node.
    function test_onlyMemberOfAShrunkNodeMovesIt() public {
        int24 tick = _join(1, 100, 1e18);
        _book.moveNode(tick, tick - 4, 0.5e18, 1, 2);
        int24 landed = _book.change(1, 1e18, 0, true).newTick;
        _joinAt(2, landed, 1e18);
        assertEq(_book.resolve(1).debt, 0.5e18, "its debt");
        assertEq(_book.resolve(2).debt, 1e18, "the other's");
        _check();
    }

    function test_tickForgetsTheNodeBefore() public {
        int24 tick = _join(1, 101, 1e18);
        _book.moveNode(tick, tick - 40, 0.5e18, 1, 2);
        _join(2, 101, 1e18);
        _book.moveNode(tick, tick - 50, 0.5e18, 1, 2);
        _join(3, 101, 1e18);
        (uint32 id, TickBook.Node memory node) = _book.nodeAt(tick);
        assertEq(id, 2, "the second from the counter, not mixed with the first");
        assertEq(node.debt, 1e18, "its debt");
        _check();
    }

    function test_mergeLinksTheLowerRank() public {
        int24 a = _join(1, 100, 1e18);
        int24 b = _join(2, 200, 1e18);
        int24 c = _join(3, 300, 1e18);
        // 3 into 2: equal ranks, the one that is there keeps its id and gains a rank.
        _book.moveNode(c, b, 0.5e18, 1, 2);
        (uint32 id, TickBook.Node memory node) = _book.nodeAt(b);
        assertEq(id, _book.resolve(2).id, "the one that is there is the parent");
        assertEq(node.rank, 1, "of rank 1");
        assertEq(_book.resolve(2).links, 0, "its member has no link");
        assertEq(_book.resolve(3).links, 1, "the mover is a link");
        // They into 1: its rank is lower, so it becomes the link although it stays.
        _book.moveNode(b, a, 0.75e18, 1, 2);
        uint32 parent = id;
        (id, node) = _book.nodeAt(a);
        assertEq(id, parent, "the higher rank stays the parent");
        assertEq(node.rank, 1, "and its rank");
        assertEq(node.count, 3, "with all members");
        assertEq(node.tick, a, "at the tick");
        assertEq(_book.resolve(1).links, 1, "the one that was there is a link");
        assertEq(_book.resolve(1).debt, 1e18, "first");
        assertEq(_book.resolve(2).debt, 0.5e18, "second");
        assertEq(_book.resolve(3).debt, 0.25e18, "third");
        _check();
    }

    /// @dev The attack that made chains of 208 links: one more node at every landing.
    function test_chainsStayShort() public {
        int24 tick = _join(1, 0, 1e18);
        for (uint256 i = 2; i <= 16; i++) {
            int24 next = _join(i, int24(uint24(i * 3)), 1e18);
            _book.moveNode(next, tick, 0.9e18, 9, 10);
            _check();
        }
        BookHarness.Audit memory a = _book.audit();
        assertLe(a.links, 1, "fresh nodes hang below one parent");
        assertEq(a.ticks, 1, "one tick");
        (, TickBook.Node memory node) = _book.nodeAt(tick);
        assertEq(node.rank, 1, "a link of lower rank makes the parent no higher");
    }

    function test_theLeastIndexIsKept() public {
        int24 tick = _join(1, 100, 1 << 60);
        uint32 id = _book.moveNode(tick, tick - 4, 1 << 44, 1, 1 << 16);
        assertEq(_book.nodeOf(id).index, TickBook.INDEX_MIN, "on the bound");
        assertEq(_book.resolve(1).links, 0, "no link");
        _check();
    }

    function test_smallIndexIsRebased() public {
        int24 tick = _join(1, 100, 1e18);
        _join(2, 100, 3e18);
        // To a 2^17th, below INDEX_MIN: shares would need too many bits.
        uint32 id = _book.moveNode(tick, tick - 4, 4e18 >> 17, 1, 1 << 17);
        assertEq(id, 1, "a parent with a new index, the first from the counter");
        assertEq(_book.nodeOf(id).index, ONE, "of one");
        assertEq(_book.resolve(1).links, 1, "one link");
        assertEq(_book.resolve(1).debt, 1e18 >> 17, "first");
        assertEq(_book.resolve(2).debt, 3e18 >> 17, "second");
        BookHarness.Audit memory a = _book.audit();
        assertEq(a.rebases, 1, "counted as a rebase");
        _check();
        _join(3, 96, 1e18);
        _check();
    }

    function test_closedNodeLeavesTheSurplusOnly() public {
        TickBook.Outcome memory out = _book.change(1, 10e18, 12_345e18, true);
        uint256 surplus = out.surplus;
        _book.closeNode(out.newTick);
        BookHarness.Resolved memory r = _book.resolve(1);
        assertTrue(r.kind == TickBook.Kind.Closed, "closed");
        assertEq(r.debt, 0, "no debt");
        out = _book.change(1, 1e18, 0, false);
        assertEq(out.node, 0, "the next change forgets the node");
        assertEq(out.surplus, surplus + 1e18, "surplus stays the owner's");
        out = _book.change(1, 0, 5e18, true);
        assertEq(_book.resolve(1).debt, 5e18, "and can carry debt again");
    }

    function test_closedTickCanBePopulatedAgain() public {
        int24 tick = _join(1, 100, 1e18);
        _book.closeNode(tick);
        assertEq(_join(2, 100, 2e18), tick, "the same tick");
        assertEq(_book.resolve(2).debt, 2e18, "new debt");
        assertEq(_book.resolve(1).debt, 0, "the old one is gone");
        assertEq(_book.totalDebt(), 2e18, "total");
    }

    /// @dev The slot of a closed node reads as one of tick 0.
    function test_closedNodeOfTickZeroIsNotUsedAgain() public {
        assertEq(_join(1, 0, 1e18), 0, "tick 0");
        _book.closeNode(0);
        assertEq(_join(2, 0, 2e18), 0, "the same tick");
        assertTrue(_book.resolve(2).id != _book.position(1).node, "another node");
        assertEq(_book.resolve(1).debt, 0, "the old position owes nothing");
        assertEq(_book.resolve(2).debt, 2e18, "the new one its own debt");
        _check();
        _book.closeNode(0);
        assertEq(_book.resolve(2).debt, 0, "the walk meets the node that is there");
        assertEq(_book.totalDebt(), 0, "all of it");
        _check();
    }

    /// @dev Whatever fraction a node keeps, its positions never resolve to more than it.
    function testFuzz_positionsNeverExceedTheirNode(
        uint256 a,
        uint256 b,
        uint256 num,
        uint256 den,
        uint8 moves
    ) public {
        a = anyLength(a, 20, 95);
        b = anyLength(b, 20, 95);
        den = anyLength(den, 2, 120);
        // At most what the lower tick carries: a liquidation never adds collateral.
        num = bound(num, 1, den - den / 100 - 1);
        int24 tick = _join(1, 100, a);
        _join(2, 100, b);
        uint256 count = bound(moves, 1, 8);
        for (uint256 i; i < count; i++) {
            uint256 debt = _book.totalDebt();
            debt = (debt * num + den - 1) / den;
            _book.moveNode(tick, tick - 1, debt, num, den);
            tick--;
            BookHarness.Audit memory audit = _book.audit();
            assertTrue(!audit.overdrawn, "positions within their node");
            assertEq(audit.nodeDebt, audit.debt, "total");
            // An index of at least 2^63 that is rounded down by less than one.
            assertLe(audit.worst, (i + 1) * (4 + ((a + b) >> 62)), "the difference is bounded");
        }
        _book.change(1, ALL, WHOLE_DEBT, true);
        _book.change(2, ALL, WHOLE_DEBT, true);
        assertEq(_book.totalDebt(), 0, "everybody can leave");
    }

    // ------------------------------------------------------------------ bitmap

    function testFuzz_nextPopulated(uint256 a, uint256 b, uint256 from, uint256 floor) public {
        int24 top = Grid.maxTick(SPACING);
        int24 first = boundTick(a, -600, 600);
        int24 second = boundTick(b, -600, 600);
        _joinAt(1, first, 1e18);
        _joinAt(2, second, 1e18);
        int24 start = boundTick(from, -700, 700);
        int24 least = boundTick(floor, -700, 700);
        int24 expected = least - 1;
        for (int24 tick = start; tick >= least; tick--) {
            if (tick == first || tick == second) {
                expected = tick;
                break;
            }
        }
        assertEq(_book.nextPopulated(start, least), expected, "the highest populated tick in the range");
        assertEq(_book.nextPopulated(top, -top), first > second ? first : second, "over the whole grid");
    }

    function test_nextPopulatedLooksAtTheFloor() public {
        int24 tick = _join(1, 100, 1e18);
        assertEq(_book.nextPopulated(tick, tick), tick, "a range of one tick");
        assertEq(_book.nextPopulated(tick, tick + 1), tick, "below the floor: nothing is in an empty range");
    }

    /// @dev Over empty words, below 0, beside the ends of words, and from and down to ticks beside populated ones.
    function test_walkFindsWhatNextPopulatedDoes() public {
        int24[8] memory ticks = [int24(-1100), -513, -257, -1, 0, 255, 256, 700];
        for (uint256 i = 0; i < ticks.length; i++) _joinAt(i + 1, ticks[i], 1e18);
        for (uint256 i = 0; i < 3 * ticks.length; i++) {
            int24 from = ticks[i / 3] + int24(int256(i % 3)) - 1;
            for (uint256 j = 0; j <= i; j++) {
                int24 floor = ticks[j / 3] + int24(int256(j % 3)) - 1;
                if (floor >= from) continue;
                int24[16] memory found = _book.walkDown(from, floor);
                int24 expected = from + 1;
                for (uint256 k = 0; k < found.length; k++) {
                    if (expected > floor) expected = _book.nextPopulated(expected - 1, floor + 1);
                    assertEq(found[k], expected, "the next one, and then the floor");
                }
            }
        }
    }

    // ------------------------------------------------------------------ refusals

    function test_RevertWhen_moreCollateralIsTakenThanThereIs() public {
        _book.change(1, 1e18, 0, true);
        VM.expectRevert(abi.encodeWithSelector(TickBook.InsufficientCollateral.selector, 1e18 + 1, 1e18));
        _book.change(1, -1e18 - 1, 0, true);
    }

    /// @dev Refused on the way in, also by a stranger: a repayment must find room for all that it frees (I9).
    function test_RevertWhen_collateralWouldNotFitTheSurplus() public {
        uint256 max = 1 << 95;
        TickBook.Outcome memory out = _book.change(1, int256(max), 1 << 90, true);
        uint256 held = TickBook.behindDown(out.newDebt, out.ratio) + out.surplus + 1000;
        VM.expectRevert(abi.encodeWithSelector(TickBook.TooMuchCollateral.selector, held, max));
        _book.change(1, 1000, 0, true);
        VM.expectRevert(abi.encodeWithSelector(TickBook.TooMuchCollateral.selector, held, max));
        _book.change(1, 1000, 0, false);
        out = _book.change(1, 0, WHOLE_DEBT, true);
        assertEq(out.newDebt, 0, "repaid");
        assertNear(_book.position(1).surplus, max, 1, "all of it is surplus now");
        _check();
    }

    function test_RevertWhen_debtHasNoCollateral() public {
        VM.expectRevert(abi.encodeWithSelector(TickBook.DebtWithoutCollateral.selector, 1));
        _book.change(1, 0, 1, true);
        _join(1, 100, 1e18);
        uint256 debt = _book.resolve(1).debt;
        VM.expectRevert(abi.encodeWithSelector(TickBook.DebtWithoutCollateral.selector, debt));
        _book.change(1, ALL, 0, true);
    }

    function test_RevertWhen_debtDoesNotFit() public {
        VM.expectRevert(
            abi.encodeWithSignature("SafeCastOverflowedUintDowncast(uint8,uint256)", 104, uint256(1 << 104))
        );
        _book.change(1, 1 << 95, 1 << 104, true);
        // The shift by 128 bits must not make a small debt of a large one.
        VM.expectRevert(
            abi.encodeWithSignature(
                "SafeCastOverflowedUintDowncast(uint8,uint256)",
                104,
                uint256(1 << 128) + 1
            )
        );
        _book.change(1, 1 << 95, (1 << 128) + 1, true);
    }

    /// @dev The vault caps the book's debt; a node does not rely on it.
    function test_RevertWhen_debtOfTwoDoesNotFitTheirNode() public {
        uint256 one = _ratio(2880) >> 128; // what one unit of collateral carries there
        _join(1, 2880, 1 << 103);
        _join(2, 2880, (1 << 103) - one);
        bytes memory overflow = abi.encodeWithSignature(
            "SafeCastOverflowedUintDowncast(uint8,uint256)",
            104,
            uint256(1 << 104)
        );
        VM.expectRevert(overflow);
        _book.change(3, 1, int256(one), true);
        VM.expectRevert(overflow);
        _book.change(2, 2, int256(one), true);
        assertEq(_book.change(2, 2, int256(one) - 1, true).newTick, 2880, "the control: in place");
        _check();
    }

    /// @dev Dust that is liquidated again and again, and never sold: rounding must not leave its positions with more than
    /// their node, else one of them cannot leave before the other.
    function test_I2_I9_dustLiquidatedAgainAndAgainCanBeRepaid() public {
        int24 tick = 2880;
        uint256 debt = _ratio(tick) >> 128; // one unit of collateral each
        _join(1, tick, debt);
        _join(2, tick, debt);
        _book.change(2, 0, 1 - int256(debt), true);
        LiquidationRequest memory request;
        request.maxRepay = 1e30;
        request.fromTick = type(int24).max;
        for (uint256 i; i < 10; i++) {
            // The price at which the tick is just liquidatable.
            uint256 price = (_ratio(tick) * 10_000) / 8600;
            _book.liquidate(Price(price, price, PriceState.Fresh, 0, 0, 0), request);
            tick = _book.resolve(1).tick;
            _check();
        }
        assertEq(_book.resolve(2).debt, 0, "the second owes nothing and stays a member");
        TickBook.Outcome memory out = _book.change(1, ALL, WHOLE_DEBT, true);
        assertEq(out.newDebt, 0, "the first repays and leaves");
        _check();
    }

    // ------------------------------------------------------------------ inside

    function _ratio(int24 tick) private pure returns (uint256) {
        return Grid.ratioOf(tick, SPACING);
    }

    function _join(uint256 key, int24 tick, uint256 debt) private returns (int24) {
        _joinAt(key, tick, debt);
        assertEq(_book.resolve(key).tick, tick, "joined there");
        return tick;
    }

    function _joinAt(uint256 key, int24 tick, uint256 debt) private {
        _book.change(key, int256(TickBook.behindUp(debt, _ratio(tick))), int256(debt), true);
    }

    /// @dev What holds after every change.
    function _check() private view {
        BookHarness.Audit memory a = _book.audit();
        assertEq(a.debt, a.nodeDebt, "total = sum of nodes");
        assertTrue(!a.overdrawn, "positions within their nodes");
        assertTrue(!a.badCount, "counts");
        assertTrue(!a.badBit, "bits");
        assertTrue(a.top >= a.highest, "bound");
        assertLe(a.promised, a.holdings, "holdings cover what is promised");
    }
}
