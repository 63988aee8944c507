// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AdaptiveRate} from "../../contracts/libraries/AdaptiveRate.sol";
import {Test} from "../support/Vm.sol";

contract AdaptiveRateTest is Test {
    uint256 private constant MIN = uint256(AdaptiveRate.MIN);
    uint256 private constant MAX = uint256(AdaptiveRate.MAX);
    uint256 private constant TARGET = uint256(AdaptiveRate.TARGET_UTILIZATION);
    uint256 private constant CENTURY = 100 * 365 days;

    function testFuzz_boundsForAnyElapsed(uint256 utilization, uint256 start, uint256 elapsed) public pure {
        utilization = bound(utilization, 0, 1e18);
        start = bound(start, MIN, MAX);
        elapsed = bound(elapsed, 0, CENTURY);
        (uint256 rate, uint256 end) = AdaptiveRate.accrue(utilization, start, elapsed);
        assertLe(MIN, end, "rate at target at least MIN");
        assertLe(end, MAX, "rate at target at most MAX");
        assertLe(MIN / 4, rate, "rate at least MIN / 4");
        assertLe(rate, MAX * 4, "rate at most MAX * 4");
        uint256 factor = AdaptiveRate.growth(rate * elapsed);
        assertLe(1e18, factor, "debt never shrinks");
        assertLe(factor, 486e24, "growth is capped at e^20");
    }

    function testFuzz_monotoneInUtilization(
        uint256 a,
        uint256 b,
        uint256 start,
        uint256 elapsed
    ) public pure {
        a = bound(a, 0, 1e18);
        b = bound(b, 0, 1e18);
        if (a > b) (a, b) = (b, a);
        start = bound(start, MIN, MAX);
        elapsed = bound(elapsed, 0, CENTURY);
        (uint256 rateA, uint256 endA) = AdaptiveRate.accrue(a, start, elapsed);
        (uint256 rateB, uint256 endB) = AdaptiveRate.accrue(b, start, elapsed);
        assertLe(rateA, rateB, "more borrowed, dearer");
        assertLe(endA, endB, "more borrowed, dearer later");
    }

    function testFuzz_atTheTargetNothingMoves(uint256 start, uint256 elapsed) public pure {
        start = bound(start, MIN, MAX);
        (uint256 rate, uint256 end) = AdaptiveRate.accrue(TARGET, start, bound(elapsed, 0, CENTURY));
        assertEq(end, start, "rate at target");
        assertEq(rate, start, "rate");
    }

    function test_curveIsFourTimesAsHighAndAsLow() public pure {
        (uint256 empty, ) = AdaptiveRate.accrue(0, 1e9, 0);
        (uint256 full, ) = AdaptiveRate.accrue(1e18, 1e9, 0);
        assertEq(empty, 0.25e9, "a quarter at 0 %");
        assertEq(full, 4e9, "four times at 100 %");
    }

    /// @dev 50 a year at full utilization: a doubling takes ln 2 / 50 years, about five days.
    function test_doublesInFiveDaysAtFullUtilization() public pure {
        (, uint256 end) = AdaptiveRate.accrue(1e18, uint256(AdaptiveRate.INITIAL), 437_174);
        assertNear(end, 2 * uint256(AdaptiveRate.INITIAL), uint256(AdaptiveRate.INITIAL) / 10_000, "doubled");
    }

    /// @dev Whoever pokes the market often moves rate and debt by rounding and by the mean's approximation only.
    function testFuzz_pokesChangeLittle(
        uint256 utilization,
        uint256 start,
        uint256 elapsed,
        uint8 pokes
    ) public pure {
        utilization = bound(utilization, 0, 1e18);
        start = bound(start, MIN, MAX);
        elapsed = bound(elapsed, 1 hours, 3 days);
        uint256 parts = bound(pokes, 2, 40);
        elapsed -= elapsed % parts;
        (uint256 rate, uint256 end) = AdaptiveRate.accrue(utilization, start, elapsed);
        uint256 once = AdaptiveRate.growth(rate * elapsed);
        uint256 many = 1e18;
        uint256 current = start;
        for (uint256 i; i < parts; i++) {
            (rate, current) = AdaptiveRate.accrue(utilization, current, elapsed / parts);
            many = (many * AdaptiveRate.growth(rate * (elapsed / parts))) / 1e18;
        }
        // Rate at target: each poke rounds down by at most one unit, that later pokes may double.
        assertNear(current, end, 2 * parts + end / 1e12, "rate at target");
        // Interest: the trapezoid's error over three days is below 2 % of the interest; one unit of rate at each poke.
        assertNear(many, once, (once - 1e18) / 50 + 4 * parts * elapsed + parts, "debt");
    }
}
