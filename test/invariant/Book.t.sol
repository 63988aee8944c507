// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Price, PriceState} from "../../contracts/interfaces/IOracleAdapter.sol";
import {IVault, LiquidationRequest} from "../../contracts/interfaces/IVault.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {Sale} from "../../contracts/libraries/Sale.sol";
import {TickBook} from "../../contracts/libraries/TickBook.sol";
import {BookHarness} from "../support/BookHarness.sol";
import {Test} from "../support/Vm.sol";

/// @notice The invariants of the book, each by its id in docs/invariants.md.
/// hardhat-config: deep.invariant.runs = 48
/// hardhat-config: deep.invariant.depth = 200
contract BookInvariants is Test {
    BookHarness private _book;
    BookHandler private _handler;

    function setUp() public {
        _book = new BookHarness(25, 10);
        _handler = new BookHandler(_book);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory s = new bytes4[](11);
        s[0] = BookHandler.open.selector;
        s[1] = BookHandler.open.selector;
        s[2] = BookHandler.open.selector;
        s[3] = BookHandler.adjust.selector;
        s[4] = BookHandler.repay.selector;
        s[5] = BookHandler.topUp.selector;
        s[6] = BookHandler.close.selector;
        s[7] = BookHandler.movePrice.selector;
        s[8] = BookHandler.wait.selector;
        s[9] = BookHandler.liquidate.selector;
        s[10] = BookHandler.clear.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), s);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev A random walk that never gets anywhere would prove nothing.
    function test_randomWalkReachesEverything() public {
        for (uint256 i; i < 320; i++) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 x = uint256(keccak256(abi.encode(seed, 1)));
            uint256 y = uint256(keccak256(abi.encode(seed, 2)));
            uint256 kind = seed % 16;
            if (kind < 5) _handler.open(x, y, seed >> 8);
            else if (kind == 5) _handler.adjust(x, y, seed >> 8);
            else if (kind == 6) _handler.repay(x, y, seed % 5 == 0);
            else if (kind == 7) _handler.topUp(x, y, seed % 5 == 0);
            else if (kind < 11) _handler.movePrice(x, y);
            else if (kind == 11) _handler.wait(x);
            else if (kind < 15) _handler.liquidate(x, y, seed >> 8, seed >> 16);
            else _handler.clear();
        }
        for (uint256 id = 1; id <= 14; id++)
            assertTrue(!_handler.broken(id), "an invariant broke on the walk");
        assertLt(40, _handler.joined(), "positions opened");
        assertLt(5, _handler.cleared(), "full liquidations");
        assertLt(10, _handler.sold(), "positions sold to the target");
        assertLe(1, _handler.split(), "positions landed above the target");
        assertLe(1, _handler.lost(), "positions seized whole");
        assertLe(1, _handler.linked(), "nodes merged");
    }

    function invariant_I1_slackNeverDecreases() public view {
        assertTrue(!_handler.broken(1), "holdings less promises fell");
        BookHarness.Audit memory a = _book.audit();
        assertLe(a.promised, a.holdings, "holdings cover what is promised");
    }

    function invariant_I2_positionsNeverExceedTheirNode() public view {
        BookHarness.Audit memory a = _book.audit();
        assertTrue(!a.overdrawn, "a node owes less than its positions");
        assertLe(a.worst, _handler.tolerance(), "the difference is bounded");
    }

    function invariant_I3_totalIsTheSumOfNodes() public view {
        BookHarness.Audit memory a = _book.audit();
        assertEq(a.debt, a.nodeDebt, "total = sum of live nodes");
    }

    function invariant_I4_bitIfAndOnlyIfLiveNode() public view {
        BookHarness.Audit memory a = _book.audit();
        assertTrue(!a.badBit, "a bit without its node, or a node without its bit");
        assertTrue(!a.badCount, "a node's count is not the number of its positions");
    }

    function invariant_I5_boundIsAtOrAboveEveryPopulatedTick() public view {
        BookHarness.Audit memory a = _book.audit();
        assertTrue(a.top >= a.highest, "a populated tick above the bound");
    }

    function invariant_I6_unlimitedCallLeavesNothingAtTheTrigger() public view {
        assertTrue(!_handler.broken(6), "something liquidatable was left");
    }

    function invariant_I7_onlyLiquidatableIsTouched() public view {
        assertTrue(!_handler.broken(7), "a tick below the threshold was touched");
    }

    function invariant_I8_landingBetweenTargetAndTick() public view {
        assertTrue(!_handler.broken(8), "a landing below the target or not below the tick");
    }

    function invariant_I9_repayTopUpCloseNeverRevert() public view {
        assertTrue(!_handler.broken(9), "a change that reduces risk was refused, or raised the tick");
    }

    function invariant_I10_tickByTickEqualsOneCall() public {
        uint256 worst = _handler.probeSplit((_handler.price() / 100) * 88);
        assertLe(worst, _handler.tolerance(), "ticks, totals or debts differ");
    }

    function invariant_I11_chainsAreShort() public view {
        BookHarness.Audit memory a = _book.audit();
        assertLe(a.links, Math.log2(a.nodes + 1) + a.rebases, "a chain longer than log2(nodes) + rebases");
    }

    function invariant_I12_seizedIsWorthNoMoreThanRepaid() public view {
        assertTrue(!_handler.broken(12), "y * w > x + 1");
    }

    function invariant_I13_secondCallDoesNothing() public view {
        assertTrue(!_handler.broken(13), "a second call at the same price did something");
    }

    function invariant_I14_everybodyCanLeave() public {
        assertTrue(_handler.probeExit(_handler.steps()), "somebody was refused, or something is left");
    }
}

/// @title BookHandler
/// @notice Does random things to a book and remembers each invariant (by its number in the design, §2.11) that one of
/// them broke.
contract BookHandler is Test {
    BookHarness public immutable BOOK;
    uint256 private immutable POSITIONS;
    int24 private immutable SPACING;
    int256 private constant ALL = type(int256).min;
    int256 private constant WHOLE_DEBT = -int256(uint256(type(uint128).max));

    uint256 public price = 2000 << 128; // debt per collateral, higher source
    uint256 public gap; //                 of the lower source, basis points
    uint256 public steps; //               actions and ticks moved: what rounding errors are counted by
    uint256 public greatestDebt; //        of the book, ever
    mapping(uint256 invariantId => bool) public broken;

    // What the random walk reached: a test that never gets anywhere proves nothing.
    uint256 public joined;
    uint256 public cleared;
    uint256 public sold; //  positions brought to the target
    uint256 public split; // positions that a budget stopped above it
    uint256 public lost; //  positions seized whole
    uint256 public linked; // actions after which a position's node was linked

    error Probed(bytes result);

    /// @dev The book is deployed elsewhere: the runner does not recognise a target that needs linking.
    constructor(BookHarness book) {
        BOOK = book;
        POSITIONS = book.KEYS();
        SPACING = book.SPACING();
    }

    // ------------------------------------------------------------------ actions of owners

    function open(uint256 seed, uint256 size, uint256 ltv) external audited {
        uint256 key = bound(seed, 1, POSITIONS);
        uint256 collateral = anyLength(size, 1, 84);
        if (size % 2 == 0) _try(key, ALL, WHOLE_DEBT, true);
        // Mostly near the limit, where the next fall of the price reaches.
        uint256 debt = _worth(
            collateral,
            ltv % 4 == 0 ? bound(ltv >> 8, 1, 8200) : bound(ltv >> 8, 7600, 8200)
        );
        if (_try(key, int256(collateral), int256(debt), true)) joined++;
    }

    function adjust(uint256 seed, uint256 collateral, uint256 debt) external audited {
        uint256 key = bound(seed, 1, POSITIONS);
        uint256 owed = BOOK.resolve(key).debt;
        uint256 more = anyLength(collateral, 1, 84);
        _try(
            key,
            collateral % 3 == 0 ? -int256(more) : int256(more),
            debt % 2 == 0 ? -int256(bound(debt, 0, owed)) : int256(_worth(more, bound(debt, 0, 8000))),
            true
        );
    }

    /// @dev By the owner or a stranger; never reverts (I9).
    function repay(uint256 seed, uint256 amount, bool owner) external audited {
        uint256 key = bound(seed, 1, POSITIONS);
        uint256 owed = BOOK.resolve(key).debt;
        amount = bound(amount, 1, owed + owed / 8 + 2);
        if (!_tryNotRaising(key, 0, -int256(amount), owner)) broken[9] = true;
    }

    /// @dev By the owner or a stranger; never reverts (I9).
    function topUp(uint256 seed, uint256 amount, bool owner) external audited {
        if (!_tryNotRaising(bound(seed, 1, POSITIONS), int256(anyLength(amount, 1, 70)), 0, owner))
            broken[9] = true;
    }

    /// @dev Never reverts (I9).
    function close(uint256 seed) external audited {
        if (!_try(bound(seed, 1, POSITIONS), ALL, WHOLE_DEBT, true)) broken[9] = true;
    }

    // ------------------------------------------------------------------ the world

    function movePrice(uint256 seed, uint256 gapSeed) external {
        uint256 factor = seed % 6 == 0 ? bound(seed >> 8, 70, 115) : bound(seed >> 8, 90, 102);
        price = Math.min(Math.max((price / 100) * factor, 1 << 128), 200_000 << 128);
        gap = gapSeed % 4 == 0 ? 0 : bound(gapSeed >> 8, 0, 300);
    }

    function wait(uint256 time) external audited {
        VM.warp(block.timestamp + bound(time, 1, 1 days));
        BOOK.accrue();
    }

    // ------------------------------------------------------------------ liquidators

    function liquidate(uint256 budget, uint256 fromTick, uint256 maxTicks, uint256 kind) external audited {
        LiquidationRequest memory r;
        Price memory p = _price(kind % 5 == 0 ? PriceState.Diverged : PriceState.Fresh);
        r.maxRepay = budget % 4 == 0 ? type(uint256).max : _someOf(p, budget >> 8);
        int24 top = BOOK.topTick();
        r.fromTick = fromTick % 3 != 0 ? type(int24).max : boundTick(fromTick >> 8, top - 400, top);
        r.maxTicks = maxTicks % 2 == 0 ? 0 : uint32(bound(maxTicks >> 8, 1, 4));
        r.buyPot = kind % 3 == 0;
        r.seizeOnly = kind % 7 == 0;
        _liquidate(p, r);
    }

    /// @dev Without a limit, on a Fresh price: nothing at or above the trigger is left (I6), and a second call does
    /// nothing (I13).
    function clear() external audited {
        Price memory p = _price(PriceState.Fresh);
        LiquidationRequest memory r;
        r.maxRepay = type(uint256).max;
        r.fromTick = type(int24).max;
        _liquidate(p, r);
        int24 trigger = Sale.triggerTick(BOOK.terms(p));
        if (BOOK.nextPopulated(Grid.maxTick(SPACING), trigger) >= trigger) broken[6] = true;
        try BOOK.liquidate(p, r) {
            broken[13] = true;
        } catch (bytes memory reason) {
            if (bytes4(reason) != IVault.NothingToLiquidate.selector) broken[13] = true;
        }
        cleared++;
    }

    // ------------------------------------------------------------------ probes: done, reported, undone

    /// @notice I10: the debts that one unlimited sale leaves, and those that a sale tick by tick leaves, at `atPrice`.
    /// @return worst greatest difference between two positions' debts; type(uint256).max if anything else differs.
    function probeSplit(uint256 atPrice) external returns (uint256 worst) {
        bytes memory once = _probe(abi.encodeCall(this.sellAndReport, (atPrice, 0)));
        bytes memory many = _probe(abi.encodeCall(this.sellAndReport, (atPrice, 1)));
        (uint256[] memory a, uint256 totalA, uint256 holdA, uint256 potA) = _report(once);
        (uint256[] memory b, uint256 totalB, uint256 holdB, uint256 potB) = _report(many);
        if (totalA != totalB || holdA != holdB || potA != potB) return type(uint256).max;
        for (uint256 i; i < 2 * POSITIONS; i += 2) {
            if (a[i] != b[i]) return type(uint256).max; // ticks
            worst = Math.max(worst, a[i + 1] > b[i + 1] ? a[i + 1] - b[i + 1] : b[i + 1] - a[i + 1]);
        }
    }

    function sellAndReport(uint256 atPrice, uint32 maxTicks) external {
        (price, gap) = (atPrice, 0);
        Price memory p = _price(PriceState.Fresh);
        LiquidationRequest memory r;
        r.maxRepay = type(uint256).max;
        r.fromTick = type(int24).max;
        r.maxTicks = maxTicks;
        for (uint256 i; i < 200; i++) {
            try BOOK.liquidate(p, r) {
                if (maxTicks == 0) break;
            } catch {
                break;
            }
        }
        uint256[] memory result = new uint256[](2 * POSITIONS);
        for (uint256 i; i < POSITIONS; i++) {
            BookHarness.Resolved memory found = BOOK.resolve(i + 1);
            if (found.debt != 0) result[2 * i] = uint256(int256(found.tick) + 1_000_000);
            result[2 * i + 1] = found.debt;
        }
        (uint256 potDebt, ) = BOOK.pot();
        revert Probed(abi.encode(result, BOOK.totalDebt(), BOOK.holdings(), potDebt));
    }

    /// @notice I14: everybody leaves, in an order that `seed` chooses.
    /// @return ok whether nobody was refused, no debt and no node is left, and the holdings cover the pot.
    function probeExit(uint256 seed) external returns (bool ok) {
        return abi.decode(_probe(abi.encodeCall(this.leaveAndReport, (seed))), (bool));
    }

    function leaveAndReport(uint256 seed) external {
        bool ok = true;
        for (uint256 i; i < POSITIONS; i++) {
            // 7 and 3 have no factor in common with 10: each is an order of its own.
            uint256 key = 1 + ((seed + i * (seed % 2 == 0 ? 7 : 3)) % POSITIONS);
            if (!_try(key, ALL, WHOLE_DEBT, true)) ok = false;
        }
        BookHarness.Audit memory a = BOOK.audit();
        (, uint256 potCollateral) = BOOK.pot();
        if (a.debt != 0 || a.ticks != 0 || a.positionDebt != 0 || BOOK.holdings() < potCollateral) ok = false;
        revert Probed(abi.encode(ok));
    }

    // ------------------------------------------------------------------ inside

    /// @dev I1: holdings less promises never fall. Each D/R is rounded down to 2^-96 of a unit, so what was promised
    /// before may be understated by one such part for each tick.
    modifier audited() {
        BookHarness.Audit memory a = BOOK.audit();
        _;
        BookHarness.Audit memory b = BOOK.audit();
        if (b.promised + a.holdings > a.promised + b.holdings + a.ticks) broken[1] = true;
        if (b.debt > greatestDebt) greatestDebt = b.debt;
        if (b.links != 0) linked++;
        steps += 1 + a.ticks;
    }

    function _liquidate(Price memory p, LiquidationRequest memory r) private {
        BOOK.accrue();
        BookHarness.Resolved[] memory before = new BookHarness.Resolved[](POSITIONS);
        for (uint256 i; i < POSITIONS; i++) before[i] = BOOK.resolve(i + 1);
        (uint256 potBefore, ) = BOOK.pot();
        uint256 debtBefore = BOOK.totalDebt();
        Sale.Terms memory t = BOOK.terms(p);
        uint256 repaid;
        uint256 seized;
        try BOOK.liquidate(p, r) returns (uint256 x, uint256 y) {
            (repaid, seized) = (x, y);
        } catch (bytes memory reason) {
            if (bytes4(reason) != IVault.NothingToLiquidate.selector) broken[9] = true;
            return;
        }
        int24 lastTick = type(int24).min;
        uint256 ticks;
        for (uint256 i; i < POSITIONS; i++) {
            BookHarness.Resolved memory a = before[i];
            if (a.debt == 0 || a.kind != TickBook.Kind.Live) continue;
            BookHarness.Resolved memory b = BOOK.resolve(i + 1);
            if (b.kind == TickBook.Kind.Live && b.tick == a.tick) {
                // Not touched. A merge with another node rounds its debt, no more.
                if (b.debt > a.debt || a.debt - b.debt > tolerance()) broken[7] = true;
                continue;
            }
            if (a.tick != lastTick) (lastTick, ticks) = (a.tick, ticks + 1);
            if (Grid.ratioOf(a.tick, SPACING) * 10_000 < t.price * 8600) broken[7] = true;
            if (b.kind == TickBook.Kind.Closed) {
                lost++;
                if (!Market.isInsolvent(Grid.ratioOf(a.tick, SPACING), t.price, 150)) broken[7] = true;
            } else {
                if (b.tick < t.targetTick || b.tick >= a.tick) broken[8] = true;
                if (b.tick == t.targetTick) sold++;
                else split++;
            }
        }
        // I12 where one tick was sold and nothing else: its own price is known. (A tick may be seized into the pot and
        // bought from there in one call.)
        (uint256 potAfter, ) = BOOK.pot();
        if (ticks == 1 && !r.buyPot && potAfter == potBefore && debtBefore != BOOK.totalDebt()) {
            uint256 w = Sale.salePrice(t, Grid.ratioOf(lastTick, SPACING) >> t.shift);
            uint256 x = debtBefore - BOOK.totalDebt();
            if (Math.mulDiv(seized, w << t.shift, 1 << 128, Math.Rounding.Ceil) > x + 1) broken[12] = true;
            if (repaid < x) broken[12] = true; // the index is never below one
        }
    }

    /// @dev A budget that ends within the highest liquidatable tick, or a little below it.
    function _someOf(Price memory p, uint256 seed) private view returns (uint256) {
        int24 trigger = Sale.triggerTick(BOOK.terms(p));
        int24 tick = BOOK.nextPopulated(Grid.maxTick(SPACING), trigger);
        if (tick < trigger) return bound(seed, 0, BOOK.totalDebt());
        (, TickBook.Node memory node) = BOOK.nodeAt(tick);
        return (uint256(node.debt) * bound(seed, 0, seed % 3 == 0 ? 150 : 25)) / 100;
    }

    /// @notice What rounding may have cost one position by now: every step at most a unit, and the index's own error.
    function tolerance() public view returns (uint256) {
        return (steps + 1) * (4 + (greatestDebt >> 61));
    }

    function _price(PriceState state) private view returns (Price memory) {
        uint256 apart = state == PriceState.Fresh ? gap : 10 * gap;
        return Price(price - (price / 10_000) * apart, price, state, 0, 0, 0);
    }

    /// @dev Book debt of `collateral` at an LTV in basis points and the lower price.
    function _worth(uint256 collateral, uint256 ltv) private view returns (uint256) {
        uint256 low = Market.bookPriceDown(_price(PriceState.Fresh).low, BOOK.borrowIndex(), BOOK.units());
        return (Math.mulDiv(collateral, low, 1 << 128) * ltv) / 10_000;
    }

    function _try(uint256 key, int256 collateral, int256 debt, bool fold) private returns (bool ok) {
        try BOOK.change(key, collateral, debt, fold) {
            ok = true;
        } catch {
            ok = false;
        }
    }

    function _tryNotRaising(
        uint256 key,
        int256 collateral,
        int256 debt,
        bool fold
    ) private returns (bool ok) {
        int24 tick = BOOK.resolve(key).tick;
        try BOOK.change(key, collateral, debt, fold) returns (TickBook.Outcome memory out) {
            ok = out.newDebt == 0 || out.newTick <= tick;
        } catch {
            ok = false;
        }
    }

    function _probe(bytes memory data) private returns (bytes memory) {
        (bool ok, bytes memory reason) = address(this).call(data);
        assertTrue(!ok && bytes4(reason) == Probed.selector, "the probe reports");
        assembly ("memory-safe") {
            let size := mload(reason)
            reason := add(reason, 4)
            mstore(reason, sub(size, 4))
        }
        return abi.decode(reason, (bytes));
    }

    function _report(bytes memory data) private pure returns (uint256[] memory, uint256, uint256, uint256) {
        return abi.decode(data, (uint256[], uint256, uint256, uint256));
    }
}
