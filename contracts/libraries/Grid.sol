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
    /// @dev ln(1.0001), of one raw tick, and ln(2¹²⁸ / 10¹⁸), what lnWad makes of the ratio 1: 10⁻¹⁸.
    int256 private constant LN_BASE = 99_995_000_333_308;
    int256 private constant LN_ONE = 47_276_307_437_780_177_293;
    /// @dev More than a logarithm can be wrong by: LN_BASE by 0.34 for each raw tick, together less than 2¹⁸; lnWad and
    /// LN_ONE by some units; R_k by less than 2⁻⁶¹ of itself, its two roundings at the bottom of the grid. And far less
    /// than a step: the tick that the logarithm less this tolerance gives is the answer or the tick before it.
    int256 private constant TOLERANCE = 2 ** 20;

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
        // No overflow: tick and spacing have 24 bits.
        unchecked {
            int256 raw = int256(tick) * spacing;
            // |raw| > MAX_RAW_TICK
            if (uint256(raw + MAX_RAW_TICK) > uint256(int256(2 * MAX_RAW_TICK))) {
                revert TickOutOfGrid(tick, maxTick(spacing));
            }
            return _ratioOfRaw(raw);
        }
    }

    /// @notice The smallest tick k with R_k ≥ `ratio`, clamped at the bottom of the grid, and its R_k.
    function ceil(uint256 ratio, int24 spacing) internal pure returns (int24 tick, uint256 atTick) {
        (tick, atTick) = _ceil(ratio, spacing);
        require(atTick != 0, RatioAboveGrid(ratio));
    }

    /// @notice The smallest tick k with R_k ≥ `ratio`, clamped at the bottom of the grid.
    function ceilTick(uint256 ratio, int24 spacing) internal pure returns (int24 tick) {
        (tick, ) = ceil(ratio, spacing);
    }

    /// @notice The largest tick k with R_k ≤ `ratio`, clamped at the top of the grid, and its R_k; if there is none, the
    /// tick below the grid and 0.
    function floor(uint256 ratio, int24 spacing) internal pure returns (int24 tick, uint256 atTick) {
        int24 top = maxTick(spacing);
        tick = top;
        // No overflow, as in `_ceil`.
        unchecked {
            if (ratio < 1 << 64) {
                tick = -top - 1;
            } else if (ratio < 1 << 192) {
                int256 x = FixedPointMathLib.lnWad(int256(ratio)) - LN_ONE + TOLERANCE;
                int256 step = LN_BASE * spacing;
                int256 quotient = x / step;
                if (x % step < 0) quotient--;
                if (quotient < top) tick = int24(quotient);
            }
            // The answer, or the tick after it.
            for (; tick >= -top; tick--) {
                atTick = _ratioOfRaw(int256(tick) * spacing);
                if (atTick <= ratio) return (tick, atTick);
            }
            return (tick, 0);
        }
    }

    /// @dev As `ceil`; if there is none, the tick above the grid and 0.
    function _ceil(uint256 ratio, int24 spacing) private pure returns (int24 tick, uint256 atTick) {
        int24 top = maxTick(spacing);
        if (ratio >= 1 << 192) return (top + 1, 0);
        tick = -top;
        // No overflow: |ln| < 45 × 10¹⁸, and the quotient is at most a raw tick.
        unchecked {
            if (ratio > 1 << 64) {
                int256 x = FixedPointMathLib.lnWad(int256(ratio)) - LN_ONE - TOLERANCE;
                int256 step = LN_BASE * spacing;
                int256 quotient = x / step;
                if (x % step > 0) quotient++;
                if (quotient > tick) tick = int24(quotient);
            }
            // The answer, or the tick before it.
            for (; tick <= top; tick++) {
                atTick = _ratioOfRaw(int256(tick) * spacing);
                if (atTick >= ratio) return (tick, atTick);
            }
            return (tick, 0);
        }
    }

    function _ratioOfRaw(int256 raw) private pure returns (uint256) {
        uint256 root = TickMath.getSqrtPriceAtTick(int24(raw));
        // No overflow: root < 2¹²⁸ within the domain.
        unchecked {
            return (root * root) >> 64;
        }
    }
}
