// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";

/// @title Grid
/// @notice The ladder of debt/collateral ratios. Tick k stands for the ratio R_k, in book debt per unit of
/// collateral as a Q128.128: R_k = floor(S_k² / 2⁶⁴), where S_k is the Q64.96 square root that Uniswap's TickMath
/// gives for the raw tick k × spacing. That integer *is* the definition: nothing here approximates it.
/// @dev The domain is |k × spacing| ≤ 443,636, so that 2⁶⁴ ≤ R_k < 2¹⁹² and S_k² fits 256 bits.
library Grid {
    /// @notice Greatest raw tick of the domain (a ratio just below 2⁶⁴).
    int24 internal constant MAX_RAW_TICK = 443_636;

    /// @notice No tick of the grid is as high as `ratio` (Q128.128).
    error RatioAboveGrid(uint256 ratio);

    /// @notice `tick` is not on the grid.
    error TickOutOfGrid(int24 tick, int24 maxTick);

    /// @notice Greatest tick of the grid; the least is its negative.
    function maxTick(int24 spacing) internal pure returns (int24) {
        return MAX_RAW_TICK / spacing;
    }

    /// @notice R_k of `tick`, Q128.128.
    function ratioOf(int24 tick, int24 spacing) internal pure returns (uint256) {
        int24 top = maxTick(spacing);
        require(tick >= -top && tick <= top, TickOutOfGrid(tick, top));
        return _ratioOfRaw(tick * spacing);
    }

    /// @notice The smallest tick k with R_k ≥ `ratio`, clamped at the bottom of the grid.
    function ceilTick(uint256 ratio, int24 spacing) internal pure returns (int24 tick) {
        tick = _ceilTick(ratio, spacing);
        require(tick <= maxTick(spacing), RatioAboveGrid(ratio));
    }

    /// @notice The largest tick k with R_k ≤ `ratio`, clamped at the top; one below the grid if there is none.
    function floorTick(uint256 ratio, int24 spacing) internal pure returns (int24 tick) {
        // The tick before the smallest one whose ratio is at least one unit higher.
        tick = ratio >= 1 << 192 ? maxTick(spacing) : _ceilTick(ratio + 1, spacing) - 1;
    }

    /// @dev Up to one tick above the grid, never below it.
    function _ceilTick(uint256 ratio, int24 spacing) private pure returns (int24 tick) {
        int24 top = maxTick(spacing);
        if (ratio < 1 << 64) return -top; // every R_k is at least 2⁶⁴
        if (ratio >= 1 << 192) return top + 1; // and below 2¹⁹²
        // R_t ≤ ratio ≤ R_(t+1) follows from the two floors, so only t itself has to be compared.
        int24 raw = TickMath.getTickAtSqrtPrice(uint160(FixedPointMathLib.sqrt(ratio << 64)));
        tick = raw / spacing;
        int24 rest = raw % spacing;
        if (rest > 0 || (rest == 0 && _ratioOfRaw(raw) < ratio)) tick++;
        if (tick < -top) tick = -top;
    }

    function _ratioOfRaw(int24 raw) private pure returns (uint256) {
        uint256 root = TickMath.getSqrtPriceAtTick(raw);
        // No overflow: root < 2¹²⁸ within the domain.
        unchecked {
            return (root * root) >> 64;
        }
    }
}
