// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";

/// @title AdaptiveRate
/// @notice The adaptive curve rate: a curve through `rateAtTarget` at the target utilization, four times as high at
/// 100 % and four times as low at 0 %; `rateAtTarget` itself moves with the distance from the target. Rates are per
/// second, WAD; utilization is WAD.
library AdaptiveRate {
    int256 internal constant WAD = 1e18;
    int256 internal constant TARGET_UTILIZATION = 0.9e18;
    int256 internal constant STEEPNESS = 4e18;
    int256 internal constant SPEED = 1_585_489_599_188; // 50 a year, rounded down, as the following
    int256 internal constant INITIAL = 1_268_391_679; //   4 % a year
    int256 internal constant MIN = 31_709_791; //          0.1 %
    int256 internal constant MAX = 63_419_583_967; //      200 %
    /// @dev e^20 spans far more than MIN to MAX: beyond it the bounds decide, and the exponential cannot overflow.
    int256 private constant MAX_EXPONENT = 20e18;

    /// @notice Average rate over the last `elapsed` seconds and the new rate at target.
    function accrue(
        uint256 utilization,
        uint256 rateAtTarget,
        uint256 elapsed
    ) internal pure returns (uint256 rate, uint256 newRateAtTarget) {
        int256 start = int256(rateAtTarget);
        int256 u = int256(utilization);
        // No overflow: utilization ≤ WAD, so |distance| ≤ WAD; rateAtTarget ≤ MAX < 2³⁶; SPEED < 2⁴¹; elapsed < 2⁶⁴.
        unchecked {
            int256 distance =
                ((u - TARGET_UTILIZATION) * WAD) /
                    (u > TARGET_UTILIZATION ? WAD - TARGET_UTILIZATION : TARGET_UTILIZATION);
            int256 average = start;
            int256 end = start;
            int256 exponent = ((SPEED * distance) / WAD) * int256(elapsed);
            if (exponent != 0) {
                // The mean of an exponential, by the trapezoid rule with one point in the middle.
                end = _adapt(start, exponent);
                average = (start + end + 2 * _adapt(start, exponent / 2)) / 4;
            }
            return (uint256(_curve(average, distance)), uint256(end));
        }
    }

    /// @notice exp(exponent), WAD; capped at e^20, so that a market nobody touched for years can still be repaid.
    function growth(uint256 exponent) internal pure returns (uint256) {
        if (exponent > uint256(MAX_EXPONENT)) exponent = uint256(MAX_EXPONENT);
        return uint256(FixedPointMathLib.expWad(int256(exponent)));
    }

    function _adapt(int256 start, int256 exponent) private pure returns (int256) {
        int256 bounded =
            exponent > MAX_EXPONENT ? MAX_EXPONENT : (exponent < -MAX_EXPONENT ? -MAX_EXPONENT : exponent);
        int256 rate;
        // No overflow: e²⁰ in WAD < 2⁸⁹.
        unchecked {
            rate = (start * FixedPointMathLib.expWad(bounded)) / WAD;
        }
        return rate < MIN ? MIN : (rate > MAX ? MAX : rate);
    }

    function _curve(int256 rateAtTarget, int256 distance) private pure returns (int256) {
        unchecked {
            int256 coefficient = distance < 0 ? WAD - (WAD * WAD) / STEEPNESS : STEEPNESS - WAD;
            return (((coefficient * distance) / WAD + WAD) * rateAtTarget) / WAD;
        }
    }
}
