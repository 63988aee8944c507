// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {Sale} from "../../contracts/libraries/Sale.sol";
import {TickBook} from "../../contracts/libraries/TickBook.sol";
import {Test} from "../support/Vm.sol";

contract SaleTest is Test {
    using Sale for Sale.Terms;

    struct Move {
        uint256 debt;
        uint256 seized;
        uint256 num;
        uint256 den;
    }

    int24 private constant SPACING = 25;
    uint256 private constant LT = 8600;
    uint256 private constant TARGET = 8300;
    uint256 private constant BONUS_MIN = 150;
    uint256 private constant BONUS_MAX = 800;
    uint256 private constant SLOPE = 5000;

    // ------------------------------------------------------------------ the move

    /// @dev Invariant 12 and its other side: what is sold at w brings what is repaid, within the rounding.
    function testFuzz_I12_moveConservesEquityAtTheSalePrice(
        uint256 price,
        uint256 gap,
        uint256 debt,
        uint256 from,
        uint256 to
    ) public pure {
        Sale.Terms memory t = _terms(price, gap);
        int24 tick = _anySellable(t, from);
        int24 land = boundTick(to, t.targetTick, tick - 1);
        debt = anyLength(debt, 1, 103);
        uint256 ratio = Grid.ratioOf(tick, SPACING);
        uint256 lower = Grid.ratioOf(land, SPACING);
        uint256 w = Sale.salePrice(t, ratio >> t.shift);
        Move memory m = _move(t, debt, ratio, lower, w);

        assertLe(m.debt, debt, "debt never rises");
        uint256 repaid = debt - m.debt;
        assertLe(
            Math.mulDiv(m.seized, w << t.shift, 1 << 128, Math.Rounding.Ceil),
            repaid + 1,
            "y * w <= x + 1"
        );
        uint256 before = TickBook.behindDown(debt, ratio);
        // Every node resolves its positions by num / den, so that fraction is at most the debt's.
        assertLe(debt * m.num, m.debt * m.den, "I2: the index falls at least as far as the debt");
        if (TickBook.behindUp(m.debt, lower) + m.seized > before) {
            assertEq(m.seized, 0, "dust seizes nothing");
            assertLe(
                m.debt,
                Math.mulDiv(debt, lower, ratio),
                "dust: no more debt than the collateral carries"
            );
            assertLe(TickBook.behindDown(m.debt, lower), before, "dust: no more collateral than there was");
        } else {
            assertTrue(
                m.debt == 0 || (m.debt - 1) * m.den < debt * m.num,
                "debt rounded up by less than one"
            );
            // Both roundings of the collateral, and one unit of debt turned into collateral.
            uint256 short = 3 + (1 << 128) / lower;
            assertLe(
                repaid,
                Math.mulDiv(m.seized + short, w << t.shift, 1 << 128, Math.Rounding.Ceil) + 1,
                "x <= (y + rounding) * w + 1"
            );
        }
    }

    /// @dev Invariant 10 in the small: two moves in a row leave what one leaves, within a unit for each rounding.
    function testFuzz_I10_twoMovesEqualOne(
        uint256 price,
        uint256 debt,
        uint256 from,
        uint256 to
    ) public pure {
        Sale.Terms memory t = _terms(price, 0);
        int24 tick = _anySellable(t, from);
        int24 middle = boundTick(to, t.targetTick, tick - 1);
        if (middle == t.targetTick) return;
        debt = anyLength(debt, 40, 103);
        uint256 ratio = Grid.ratioOf(tick, SPACING);
        if (TickBook.behindDown(debt, ratio) < 1e6) return; // dust follows its own rule
        uint256 w = Sale.salePrice(t, ratio >> t.shift);
        Move memory once = _move(t, debt, ratio, t.targetRatio, w);
        Move memory first = _move(t, debt, ratio, Grid.ratioOf(middle, SPACING), w);
        Move memory second = _move(t, first.debt, Grid.ratioOf(middle, SPACING), t.targetRatio, w);
        assertNear(second.debt, once.debt, 2, "debt");
        assertNear(first.seized + second.seized, once.seized, 3 + (2 << 128) / t.targetRatio, "seized");
    }

    /// @dev The same for a few units of collateral, where the dust rule is as likely as a sale.
    function testFuzz_I2_indexOfDustFallsWithItsDebt(uint256 price, uint256 units, uint256 from) public pure {
        Sale.Terms memory t = _terms(price, 0);
        uint256 ratio = Grid.ratioOf(_anySellable(t, from), SPACING);
        uint256 debt = Math.mulDiv(ratio, bound(units, 1, 20), 1 << 128) + bound(from, 1, 20);
        if (debt >= 1 << 104) return;
        Move memory m = _move(t, debt, ratio, t.targetRatio, Sale.salePrice(t, ratio >> t.shift));
        assertLe(debt * m.num, m.debt * m.den, "the index falls at least as far as the debt");
    }

    function test_dustRuleIsReached() public pure {
        // Two units of collateral carry 3,000 units of debt: one step down would take a fraction of a unit.
        Sale.Terms memory t = Sale.terms(
            2000 << 128,
            2000 << 128,
            LT,
            TARGET,
            BONUS_MIN,
            BONUS_MAX,
            SLOPE,
            SPACING
        );
        uint256 from = Grid.ratioOf(t.triggerTick(), SPACING);
        uint256 to = Grid.ratioOf(t.triggerTick() - 1, SPACING);
        uint256 debt = (from * 2) >> 128;
        uint256 w = Sale.salePrice(t, from >> t.shift);
        Move memory m = _move(t, debt, from, to, w);
        assertEq(TickBook.behindDown(debt, from), 1, "one whole unit behind the debt");
        assertEq(m.seized, 0, "nothing is seized");
        assertLt(m.debt, debt, "the debt falls to what the collateral carries");
        assertNear(m.debt, Math.mulDiv(debt, to, from), 1, "D * R_j / R_k");
        assertLe(m.debt, Math.mulDiv(debt, to, from), "rounded down");
        assertEq((debt * m.num) / m.den, m.debt, "the index falls by the same fraction");
    }

    function test_dustRuleWithoutShift() public pure {
        // A price below 2^126: ratios are used as they are, and D' is exactly floor(D * R_j / R_k).
        uint256 price = 1 << 100;
        Sale.Terms memory t = Sale.terms(price, price, LT, TARGET, BONUS_MIN, BONUS_MAX, SLOPE, SPACING);
        assertEq(t.shift, 0, "no shift");
        uint256 from = Grid.ratioOf(t.triggerTick(), SPACING);
        Move memory m = _move(t, 4, from, t.targetRatio, Sale.salePrice(t, from));
        assertEq(m.debt, 3, "four units become three");
        assertEq(m.debt, Math.mulDiv(4, t.targetRatio, from), "D' = floor(D * R_j / R_k)");
        assertEq(m.seized, 0, "nothing is seized");
    }

    // ------------------------------------------------------------------ the budget

    function testFuzz_landingIsTheLowestAffordable(
        uint256 price,
        uint256 debt,
        uint256 from,
        uint256 budget
    ) public pure {
        Sale.Terms memory t = _terms(price, 0);
        int24 tick = _anySellable(t, from);
        _checkLanding(t, anyLength(debt, 1, 103), tick, budget);
    }

    /// @dev Debts of a few units: one unit of rounding is several ticks.
    function testFuzz_landingOfDust(uint256 price, uint256 debt, uint256 from, uint256 budget) public pure {
        Sale.Terms memory t = _terms(price, 0);
        int24 tick = _anySellable(t, from);
        _checkLanding(t, bound(debt, 2, 2000), tick, budget);
    }

    function test_landingWithoutBudgetStays() public pure {
        Sale.Terms memory t = Sale.terms(
            2000 << 128,
            2000 << 128,
            LT,
            TARGET,
            BONUS_MIN,
            BONUS_MAX,
            SLOPE,
            SPACING
        );
        int24 tick = t.triggerTick() + 3;
        uint256 ratio = Grid.ratioOf(tick, SPACING);
        (int24 land, , , , ) = Sale.landing(t, 1e18, tick, ratio, Sale.salePrice(t, ratio >> t.shift), 0);
        assertEq(land, tick, "no budget, no step");
    }

    function _checkLanding(Sale.Terms memory t, uint256 debt, int24 tick, uint256 budget) private pure {
        uint256 ratio = Grid.ratioOf(tick, SPACING);
        uint256 w = Sale.salePrice(t, ratio >> t.shift);
        uint256 whole = debt - _move(t, debt, ratio, t.targetRatio, w).debt;
        if (whole == 0) return;
        budget = bound(budget, 1, whole);
        if (budget == whole) return;
        (int24 land, uint256 left, , , ) = Sale.landing(t, debt, tick, ratio, w, budget);
        assertTrue(land > t.targetTick && land <= tick, "between target and tick");
        if (land < tick) assertLe(debt - left, budget, "within the budget");
        for (int24 lower = t.targetTick + 1; lower < land; lower++) {
            Move memory m = _move(t, debt, ratio, Grid.ratioOf(lower, SPACING), w);
            // The dust rule is cheaper than the sale that the landing is computed for.
            if (m.seized == 0) continue;
            // Cost is rounded down: a lower tick costs more than the budget, or rounds down to just that.
            assertLe(budget, debt - m.debt, "no lower tick is affordable");
        }
    }

    // ------------------------------------------------------------------ the bonus

    function testFuzz_bonusKeepsTheEquityPositive(uint256 price, uint256 gap, uint256 from) public pure {
        Sale.Terms memory t = _terms(price, gap);
        int24 tick = _anySellable(t, from);
        uint256 ratio = Grid.ratioOf(tick, SPACING) >> t.shift;
        uint256 w = Sale.salePrice(t, ratio);
        assertLt(ratio, w, "LTV * (1 + bonus) < 1 while the tick is solvent");
        assertLe(w, Math.mulDiv(t.high, 10_000, 10_000 + BONUS_MIN) + 1, "at least bonusMin");
        // Above bonusMin at most nine tenths of the equity: w >= high / (1 + 0.9 (high/R - 1)).
        uint256 least = Math.mulDiv(t.high, 10 * ratio, 9 * t.high + ratio);
        uint256 floor = Math.mulDiv(t.high, 10_000, 10_000 + BONUS_MIN);
        assertLe(Math.min(least, floor), w + t.high / 1e17 + 1, "at most nine tenths of the equity");
        // Between the sources: the keeper who trusts the lower price still earns bonusMin, unless the equity is short.
        uint256 trusted = Math.mulDiv(t.low, 10_000, 10_000 + BONUS_MIN);
        assertLe(
            w,
            Math.max(trusted, Math.max(least, 1)) + t.high / 1e17 + 1 + _short(t, least),
            "bonus at low"
        );
    }

    /// @dev Rises with the LTV until the equity caps it, then falls; never jumps by more than a step's worth.
    function test_bonusScheduleRisesThenMeetsTheCap() public pure {
        Sale.Terms memory t = Sale.terms(
            2000 << 128,
            2000 << 128,
            LT,
            TARGET,
            BONUS_MIN,
            BONUS_MAX,
            SLOPE,
            SPACING
        );
        uint256 last;
        bool falling;
        uint256 most;
        for (int24 tick = t.triggerTick(); !_insolvent(t, tick); tick++) {
            uint256 w = Sale.salePrice(t, Grid.ratioOf(tick, SPACING) >> t.shift);
            uint256 bonus = (t.high * 1e18) / w - 1e18;
            assertLe(0.015e18, bonus + 10, "at least bonusMin");
            assertLe(bonus, 0.08e18 + 10, "at most bonusMax");
            if (last != 0) {
                if (bonus < last - 1) falling = true;
                else if (bonus > last + 1) assertTrue(!falling, "one peak only");
                assertNear(bonus, last, 0.0026e18, "no jump");
            }
            if (bonus > most) most = bonus;
            last = bonus;
        }
        assertTrue(falling, "the cap is reached");
        assertLt(0.04e18, most, "the slope is felt");
        assertNear(last, 0.015e18, 10, "bonusMin at the end");
    }

    /// @dev Below a ramped threshold nine tenths of the equity are no bound: bonusMax is, with the sources however far apart.
    function test_aBoundGapTakesNoMoreThanBonusMax() public pure {
        Sale.Terms memory t = Sale.terms(
            2000 << 128,
            1500 << 128,
            LT,
            TARGET,
            BONUS_MIN,
            BONUS_MAX,
            SLOPE,
            SPACING
        );
        uint256 ratio = (1000 << 128) >> t.shift;
        assertNear((t.high * 1e18) / Sale.salePrice(t, ratio), 1.353333333333333333e18, 10, "the gap");
        t.boundGap();
        assertNear((t.high * 1e18) / Sale.salePrice(t, ratio), 1.08e18, 10, "bonusMax");
        t.bonusGap = t.bonusMax - 1;
        t.boundGap();
        assertEq(t.bonusGap, t.bonusMax - 1, "a smaller one stays");
    }

    /// @dev Partial liquidation grows into total seizure: what is left falls without a jump to almost nothing.
    function test_debtLeftFallsContinuouslyToNothing() public pure {
        Sale.Terms memory t = Sale.terms(
            2000 << 128,
            2000 << 128,
            LT,
            TARGET,
            BONUS_MIN,
            BONUS_MAX,
            SLOPE,
            SPACING
        );
        uint256 last = 1e24;
        for (int24 tick = t.triggerTick(); !_insolvent(t, tick); tick++) {
            uint256 ratio = Grid.ratioOf(tick, SPACING);
            Move memory m = _move(t, 1e24, ratio, t.targetRatio, Sale.salePrice(t, ratio >> t.shift));
            assertLe(m.debt, last, "a worse tick keeps less");
            if (tick > t.triggerTick()) assertLe(last - m.debt, 0.05e24, "no jump");
            last = m.debt;
        }
        assertLe(last, 0.02e24, "almost nothing left at the last solvent tick");
    }

    function testFuzz_termsBracketThresholdAndTarget(uint256 price, uint256 gap) public pure {
        Sale.Terms memory t = _terms(price, gap);
        assertLt(t.high, 1 << 127, "high fits 127 bits");
        assertLe(
            t.price * LT,
            Grid.ratioOf(t.triggerTick(), SPACING) * 10_000,
            "trigger at or above the threshold"
        );
        assertLt(
            Grid.ratioOf(t.triggerTick() - 1, SPACING) * 10_000,
            t.price * LT,
            "and the first such tick"
        );
        assertLe(t.targetRatio * 10_000, t.price * TARGET, "target at or below");
        assertLt(
            t.price * TARGET,
            Grid.ratioOf(t.targetTick + 1, SPACING) * 10_000,
            "and the last such tick"
        );
        assertTrue(t.targetTick < t.triggerTick(), "target below trigger");
    }

    function testFuzz_triggerRatioIsWhereLiquidationBegins(uint256 price) public pure {
        Sale.Terms memory t = _terms(price, 0);
        assertLe(t.price * LT, t.triggerRatio * 10_000, "at or above the threshold");
        assertLt((t.triggerRatio - 1) * 10_000, t.price * LT, "and the first such ratio");
    }

    function test_insolventRatioIsWhereInsolvencyBegins() public pure {
        for (uint256 i; i < 64; i++) {
            Sale.Terms memory t = _terms(uint256(keccak256(abi.encode(i))), 0);
            assertTrue(Market.isInsolvent(t.insolventRatio, t.price, BONUS_MIN), "insolvent");
            assertTrue(
                !Market.isInsolvent(t.insolventRatio - 1, t.price, BONUS_MIN),
                "and the first such ratio"
            );
        }
    }

    // ------------------------------------------------------------------ inputs

    function _move(
        Sale.Terms memory t,
        uint256 debt,
        uint256 from,
        uint256 to,
        uint256 w
    ) private pure returns (Move memory m) {
        (m.debt, m.seized, m.num, m.den) = Sale.move(t, debt, from, to, w);
    }

    /// @dev A price anywhere in the grid's middle, the lower one up to a third below.
    function _terms(uint256 price, uint256 gap) private pure returns (Sale.Terms memory) {
        uint256 high = anyLength(price, 80, 180);
        uint256 low = high - Math.mulDiv(high, bound(gap, 0, 3300), 10_000);
        return Sale.terms(high, low, LT, TARGET, BONUS_MIN, BONUS_MAX, SLOPE, SPACING);
    }

    function _insolvent(Sale.Terms memory t, int24 tick) private pure returns (bool) {
        return Market.isInsolvent(Grid.ratioOf(tick, SPACING), t.price, BONUS_MIN);
    }

    /// @dev A tick between the trigger and total seizure.
    function _anySellable(Sale.Terms memory t, uint256 seed) private pure returns (int24) {
        int24 top = Grid.ceilTick(Math.mulDiv(t.price, 10_000, 10_000 + BONUS_MIN), SPACING);
        while (_insolvent(t, top)) top--;
        return boundTick(seed, t.triggerTick(), top);
    }

    /// @dev Where the equity cannot pay the gap, bonusMin at the higher price is all there is.
    function _short(Sale.Terms memory t, uint256 least) private pure returns (uint256) {
        uint256 floor = Math.mulDiv(t.high, 10_000, 10_000 + BONUS_MIN);
        return least > floor ? 0 : (floor > least ? floor - least : 0);
    }
}
