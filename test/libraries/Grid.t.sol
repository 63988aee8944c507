// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {Test} from "../support/Vm.sol";

contract GridTest is Test {
    int24[4] private _spacings = [int24(4), 5, 25, 60];

    function testFuzz_ratioIsItsDefinition(uint256 seed, uint8 which) public view {
        int24 spacing = _spacings[which % 4];
        int24 top = Grid.maxTick(spacing);
        int24 tick = boundTick(seed, -top, top);
        uint256 root = TickMath.getSqrtPriceAtTick(tick * spacing);
        assertEq(Grid.ratioOf(tick, spacing), Math.mulDiv(root, root, 1 << 64), "R = floor(S^2 / 2^64)");
    }

    function testFuzz_ceilTickIsTheSmallestAtOrAbove(uint256 seed, uint8 which) public view {
        int24 spacing = _spacings[which % 4];
        _checkCeil(anyLength(seed, 1, 192), spacing);
    }

    function testFuzz_floorTickIsTheLargestAtOrBelow(uint256 seed, uint8 which) public view {
        int24 spacing = _spacings[which % 4];
        _checkFloor(anyLength(seed, 1, 193), spacing);
    }

    /// @dev Where rounding could go wrong: at a tick's ratio, one below and one above.
    function testFuzz_exactAroundEveryTick(uint256 seed, uint8 which) public view {
        int24 spacing = _spacings[which % 4];
        int24 top = Grid.maxTick(spacing);
        int24 tick = boundTick(seed, -top, top);
        uint256 ratio = Grid.ratioOf(tick, spacing);
        assertEq(Grid.ceilTick(ratio, spacing), tick, "ceil of R_k is k");
        assertEq(_floorTick(ratio, spacing), tick, "floor of R_k is k");
        assertEq(_floorTick(ratio - 1, spacing), tick - 1, "floor of R_k - 1 is k - 1");
        _checkCeil(ratio - 1, spacing);
        if (tick < top) assertEq(Grid.ceilTick(ratio + 1, spacing), tick + 1, "ceil of R_k + 1 is k + 1");
    }

    function test_theBottomTickIsTheLowestOfEverySpacing() public pure {
        for (int24 spacing = 1; spacing <= 200; spacing++) {
            assertEq(
                Grid.ceilTick((1 << 64) + 1, spacing),
                -Grid.maxTick(spacing),
                "whatever it leaves over"
            );
        }
    }

    /// @dev Not a sample: every raw tick of the domain. Each ratio is above the one before by nearly a ten-thousandth, so
    /// that no rounding of TickMath can bring two ticks together, whatever the spacing.
    function test_everyRatioIsAboveTheOneBefore() public pure {
        uint256 last = Grid.ratioOf(-Grid.MAX_RAW_TICK, 1);
        assertLe(1 << 64, last, "the lowest is at least 2^64");
        bool rises = true;
        for (int24 raw = -Grid.MAX_RAW_TICK + 1; raw <= Grid.MAX_RAW_TICK; raw++) {
            uint256 ratio = Grid.ratioOf(raw, 1);
            rises = rises && ratio >= last + last / 10_001 && ratio <= last + last / 9_999;
            last = ratio;
        }
        assertTrue(rises, "a step of one ten-thousandth up");
        assertLt(last, 1 << 192, "the highest is below 2^192");
    }

    /// @dev Where the search for a tick starts is a matter of the raw tick alone: what holds here holds for each spacing.
    function test_everyRatioIsFound() public pure {
        bool found = true;
        for (int24 raw = -Grid.MAX_RAW_TICK; raw <= Grid.MAX_RAW_TICK; raw++) {
            found = found && Grid.ceilTick(Grid.ratioOf(raw, 1), 1) == raw;
        }
        assertTrue(found, "ceil of R_k is k");
    }

    /// @dev Every tick of the demonstration markets' grid.
    function test_everyTickIsFoundFromItsRatio() public pure {
        int24 top = Grid.maxTick(25);
        bool exact = Grid.ceilTick(Grid.ratioOf(top, 25), 25) == top;
        for (int24 tick = -top; tick < top; tick++) {
            uint256 ratio = Grid.ratioOf(tick, 25);
            exact = exact && Grid.ceilTick(ratio, 25) == tick && Grid.ceilTick(ratio + 1, 25) == tick + 1;
            exact = exact && _floorTick(ratio, 25) == tick && _floorTick(ratio - 1, 25) == tick - 1;
        }
        assertTrue(exact, "ceil and floor of R_k, R_k + 1 and R_k - 1");
    }

    function test_domainEnds() public {
        for (uint256 i; i < 4; i++) {
            int24 spacing = _spacings[i];
            int24 top = Grid.maxTick(spacing);
            assertEq(int256(top), int256(443_636 / spacing), "maxTick");
            assertLe(1 << 64, Grid.ratioOf(-top, spacing), "the lowest ratio is at least 2^64");
            assertLt(Grid.ratioOf(top, spacing), 1 << 192, "the highest ratio is below 2^192");
            VM.expectRevert(abi.encodeWithSelector(Grid.TickOutOfGrid.selector, top + 1, top));
            this.ratioOf(top + 1, spacing);
            VM.expectRevert(abi.encodeWithSelector(Grid.TickOutOfGrid.selector, -top - 1, top));
            this.ratioOf(-top - 1, spacing);
        }
    }

    function test_ceilTickClampsAtTheBottom() public view {
        for (uint256 i; i < 4; i++) {
            int24 bottom = -Grid.maxTick(_spacings[i]);
            assertEq(Grid.ceilTick(0, _spacings[i]), bottom, "ceil of nothing");
            assertEq(Grid.ceilTick(1, _spacings[i]), bottom, "ceil of one unit");
            assertEq(Grid.ceilTick((1 << 64) - 1, _spacings[i]), bottom, "ceil below the domain");
            assertEq(Grid.ceilTick(1 << 64, _spacings[i]), bottom, "ceil at the domain's end");
            assertEq(_floorTick(0, _spacings[i]), bottom - 1, "floor below the grid");
        }
    }

    function test_floorTickClampsAtTheTop() public view {
        for (uint256 i; i < 4; i++) {
            int24 top = Grid.maxTick(_spacings[i]);
            assertEq(_floorTick((1 << 192) - 1, _spacings[i]), top, "floor below 2^192");
            assertEq(_floorTick(1 << 192, _spacings[i]), top, "floor of 2^192");
            assertEq(_floorTick(type(uint256).max, _spacings[i]), top, "floor of the greatest number");
        }
    }

    function test_RevertWhen_ratioIsAboveTheGrid() public {
        for (uint256 i; i < 4; i++) {
            uint256 ratio = Grid.ratioOf(Grid.maxTick(_spacings[i]), _spacings[i]) + 1;
            VM.expectRevert(abi.encodeWithSelector(Grid.RatioAboveGrid.selector, ratio));
            this.ceilTick(ratio, _spacings[i]);
            VM.expectRevert(abi.encodeWithSelector(Grid.RatioAboveGrid.selector, type(uint256).max));
            this.ceilTick(type(uint256).max, _spacings[i]);
        }
    }

    function ratioOf(int24 tick, int24 spacing) external pure returns (uint256) {
        return Grid.ratioOf(tick, spacing);
    }

    function ceilTick(uint256 ratio, int24 spacing) external pure returns (int24) {
        return Grid.ceilTick(ratio, spacing);
    }

    function _floorTick(uint256 ratio, int24 spacing) private pure returns (int24 tick) {
        (tick, ) = Grid.floor(ratio, spacing);
    }

    function _checkCeil(uint256 ratio, int24 spacing) private pure {
        int24 top = Grid.maxTick(spacing);
        if (ratio > Grid.ratioOf(top, spacing)) return;
        int24 tick = Grid.ceilTick(ratio, spacing);
        assertLe(ratio, Grid.ratioOf(tick, spacing), "at or above the ratio");
        if (tick > -top) assertLt(Grid.ratioOf(tick - 1, spacing), ratio, "the tick before is below");
    }

    function _checkFloor(uint256 ratio, int24 spacing) private pure {
        int24 top = Grid.maxTick(spacing);
        (int24 tick, uint256 atTick) = Grid.floor(ratio, spacing);
        assertEq(atTick, tick < -top ? 0 : Grid.ratioOf(tick, spacing), "with its ratio");
        if (tick >= -top) assertLe(atTick, ratio, "at or below the ratio");
        if (tick < top) assertLt(ratio, Grid.ratioOf(tick + 1, spacing), "the next tick is above");
    }
}
