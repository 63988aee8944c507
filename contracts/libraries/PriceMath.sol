// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";

/// @title PriceMath
/// @notice Prices as Q128.128 between 2^-64 and 2^64, always as a pair rounded outward: `low` down, `high` up. What lies
/// outside that range is no price: (0, 0). So no product of a price with a ratio of basis points overflows, and the
/// inverse of a price is one too.
library PriceMath {
    uint256 internal constant MIN = 1 << 64;
    uint256 internal constant MAX = 1 << 192;

    /// @notice a / b, for b > 0.
    function quotient(uint256 a, uint256 b) internal pure returns (uint256 low, uint256 high) {
        return _mulDiv(a, 1 << 128, b);
    }

    /// @notice 1.0001^tick × multiplier / divisor. TickMath's square root is the definition of 1.0001^(tick / 2).
    /// @dev multiplier < 2⁹⁶ and divisor < 2¹⁹², so that nothing overflows.
    function fromTick(
        int24 tick,
        uint256 multiplier,
        uint256 divisor
    ) internal pure returns (uint256 low, uint256 high) {
        uint256 root = TickMath.getSqrtPriceAtTick(tick); // Q64.96
        return _mulDiv(root * multiplier, root, divisor << 64);
    }

    /// @notice [1 / high, 1 / low], rounded outward. Zero is no price and stays zero.
    function inverse(
        uint256 low,
        uint256 high
    ) internal pure returns (uint256 inverseLow, uint256 inverseHigh) {
        if (low <= 1) return (0, 0); // 2²⁵⁶ / 1 does not fit
        // floor(2²⁵⁶ / high) and ceil(2²⁵⁶ / low), with 2²⁵⁶ − 1 as the greatest number at hand.
        unchecked {
            inverseLow = (0 - high) / high + 1;
        }
        inverseHigh = type(uint256).max / low + 1;
    }

    /// @dev a × b / divisor, rounded both ways.
    function _mulDiv(uint256 a, uint256 b, uint256 divisor) private pure returns (uint256 low, uint256 high) {
        (uint256 overflow, ) = Math.mul512(a, b);
        if (overflow >= divisor) return (0, 0);
        low = Math.mulDiv(a, b, divisor);
        if (low < MIN || low >= MAX) return (0, 0);
        high = mulmod(a, b, divisor) == 0 ? low : low + 1;
    }
}
