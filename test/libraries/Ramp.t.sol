// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RiskParameters} from "../../contracts/interfaces/IVault.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {Parameters} from "../../contracts/libraries/Parameters.sol";
import {Test} from "../support/Vm.sol";

/// @notice Thresholds on their way from one pair to another (docs/invariants.md, W1 to W3).
contract RampTest is Test {
    int24 private constant SPACING = 25;
    uint256 private constant BAND = 300;
    uint256 private constant START = 1_900_000_000;

    Market.State private _market;

    // Called from outside, so that each reads the time anew.

    function check(RiskParameters memory p) external pure {
        Parameters.checkRisk(p, SPACING, BAND);
    }

    function thresholds(Market.Liquidations memory l) external view returns (uint256, uint256) {
        return Market.thresholdsOf(l);
    }

    function elapsedNow() external view returns (uint256) {
        return Market.rampElapsed(_market.liquidations);
    }

    function left(Market.Cascade memory c) external view returns (uint256) {
        return Market.cascadeLeft(c) / Market.MICRO;
    }

    function pauseUntil(uint32 until) external {
        Parameters.setBrake(_market, until, until, until);
    }

    /// @dev Both ends on the rules' edges, so that a rounding to the wrong side breaks one of them on the way.
    function testFuzz_W2_rulesHoldAllTheWay(uint16 from, uint16 to, uint24 duration, uint24 at) external {
        from = uint16(bound(from, 500, 9_320));
        to = uint16(bound(to, 500, 9_320));
        duration = uint24(bound(duration, 3 days, 180 days));
        RiskParameters memory p = RiskParameters({
            // step ≤ (LT − maxLtv) / 4, at the lower end: 100 basis points and one for the rounding of the step
            maxLtv: (from < to ? from : to) - 101,
            liquidationThreshold: from,
            target: _targetFor(from),
            bonusMin: 150,
            bonusMax: 151,
            slope: 0
        });
        Market.Liquidations memory l = _ramp(p.liquidationThreshold, p.target, to, _targetFor(to), duration);
        this.check(p);
        (p.liquidationThreshold, p.target) = (to, _targetFor(to));
        this.check(p);
        VM.warp(START + bound(at, 0, duration));
        (uint256 threshold, uint256 target) = this.thresholds(l);
        (p.liquidationThreshold, p.target) = (uint16(threshold), uint16(target));
        this.check(p);
    }

    function testFuzz_W1_thresholdsNeverJump(
        uint16[4] memory ends,
        uint24 duration,
        uint24 at,
        uint24 pause
    ) external {
        for (uint256 i = 0; i < 4; i++) ends[i] = uint16(bound(ends[i], 1, 10_000));
        duration = uint24(bound(duration, 3 days, 180 days));
        pause = uint24(bound(pause, 1, 1 days));
        Market.Liquidations memory l = _ramp(ends[0], ends[1], ends[2], ends[3], duration);
        VM.warp(START);
        (uint256 threshold, uint256 target) = this.thresholds(l);
        assertEq(threshold, ends[0], "threshold at the beginning");
        assertEq(target, ends[1], "target at the beginning");
        at = uint24(bound(at, 0, duration));
        VM.warp(START + at);
        (threshold, target) = this.thresholds(l);
        VM.warp(START + at + pause);
        (uint256 thresholdLater, uint256 targetLater) = this.thresholds(l);
        // Towards the end, never beyond, and no faster than a straight line, but for one basis point of rounding.
        _assertOnTheWay(threshold, thresholdLater, ends[0], ends[2], duration, pause);
        _assertOnTheWay(target, targetLater, ends[1], ends[3], duration, pause);
        VM.warp(START + duration);
        (threshold, target) = this.thresholds(l);
        assertEq(threshold, ends[2], "threshold at the end");
        assertEq(target, ends[3], "target at the end");
    }

    function testFuzz_W3_clockStandsInAPauseAndItsGrace(
        uint24 at,
        uint24 pause,
        uint24 early,
        uint24 later
    ) external {
        uint24 duration = 30 days;
        _market.liquidations = _ramp(8_600, 8_300, 5_000, 4_700, duration);
        at = uint24(bound(at, 0, 20 days));
        pause = uint24(bound(pause, 1, 5 hours));
        early = uint24(bound(early, 0, pause - 1));
        later = uint24(bound(later, 0, 20 days));
        VM.warp(START + at);
        uint256 elapsed = this.elapsedNow();
        assertEq(elapsed, at, "clock");
        uint32 until = uint32(START + at + pause);
        this.pauseUntil(until);
        assertEq(this.elapsedNow(), elapsed, "as the pause begins");
        // It ends early, or it does not: what counts is how long it was.
        VM.warp(START + at + early);
        assertEq(this.elapsedNow(), elapsed, "in the pause");
        this.pauseUntil(uint32(START + at + early));
        assertEq(this.elapsedNow(), elapsed, "as the pause ends");
        VM.warp(START + at + early + later);
        uint256 run = elapsed + later;
        assertEq(this.elapsedNow(), run > duration ? duration : run, "after");
    }

    /// @notice In any window no more than twice the cap and one step, and nothing while the cap is used up.
    function testFuzz_W6_cascadeCapRefills(uint80 cap, uint32 window, uint112 used, uint32 elapsed) external {
        cap = uint80(bound(cap, 1, type(uint80).max));
        window = uint32(bound(window, 1, 7 days));
        used = uint112(bound(used, 0, 2 * uint256(cap)));
        elapsed = uint32(bound(elapsed, 0, 14 days));
        VM.warp(START + elapsed);
        Market.Cascade memory c = Market.Cascade(cap, window, used, uint32(START));
        uint256 rest = this.left(c);
        uint256 refilled = (uint256(cap) * elapsed) / window;
        assertEq(rest, _sub(cap, _sub(used, refilled)), "left");
        assertLe(rest, cap, "never more than the cap");
    }

    function _ramp(
        uint16 from,
        uint16 fromTarget,
        uint16 to,
        uint16 toTarget,
        uint24 duration
    ) private pure returns (Market.Liquidations memory l) {
        l.threshold = from;
        l.target = fromTarget;
        l.rampThreshold = to;
        l.rampTarget = toTarget;
        l.rampStart = uint32(START);
        l.rampDuration = duration;
    }

    function _assertOnTheWay(
        uint256 a,
        uint256 b,
        uint256 from,
        uint256 to,
        uint256 duration,
        uint256 elapsed
    ) private {
        uint256 length = from > to ? from - to : to - from;
        (uint256 first, uint256 then) = from > to ? (a, b) : (b, a);
        assertLe(then, first, "direction");
        assertLt(first - then, (length * elapsed) / duration + 2, "speed");
        assertLe(b, (from > to ? from : to), "not above");
        assertLe((from > to ? to : from), b, "not below");
    }

    function _targetFor(uint16 threshold) private pure returns (uint16) {
        return uint16((threshold * Grid.ratioOf(0, SPACING)) / Grid.ratioOf(1, SPACING));
    }

    function _sub(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a - b : 0;
    }
}
