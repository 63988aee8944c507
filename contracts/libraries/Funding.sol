// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";

/// @title Funding
/// @notice The skew of two markets that mirror each other, and what it charges each of them. The skew, in parts of the
/// full rate, follows the imbalance of their debts' values with a half-life. Between two changes of a value it is an
/// exponential whose integral is known: how often anyone looks does not matter.
/// @dev Signed values are positive while the longs are heavy. Every division truncates.
library Funding {
    using SafeCast for uint256;

    /// @dev What a pair never changes.
    struct Terms {
        uint256 deadBand; //  WAD: an imbalance up to this costs nothing
        uint256 halfLife; //  seconds
        uint256 floor; //     millionths of a quote token: a smaller book counts as this large
    }

    /// @dev Two slots. Values: millionths of a quote token. What is due to a side since it last took: billionths of a
    /// second at the full rate, while it was heavy (`charged`) and while the other was (`spared`).
    struct Ledger {
        uint80 valueLong;
        uint80 valueShort;
        int64 skew; //       WAD, at updatedAt
        uint32 updatedAt;
        uint64 chargedLong;
        uint64 sparedLong;
        uint64 chargedShort;
        uint64 sparedShort;
    }

    struct State {
        Ledger ledger;
        uint256 price; //    of the base token in the quote token, Q128.128: the last Fresh one
    }

    int256 private constant WAD = 1e18;
    int256 private constant LN2 = 693_147_180_559_945_309;
    uint256 private constant DEBT_UNITS = 1e12; // in a millionth of a whole token

    /// @notice The ledger as it is now.
    function advanced(State storage self, Terms memory terms) internal view returns (Ledger memory l) {
        l = self.ledger;
        uint256 elapsed = block.timestamp - l.updatedAt;
        if (elapsed == 0) return l;
        int256 target = targetOf(l.valueLong, l.valueShort, terms);
        (int256 skew, int256 heavyLong, int256 heavyShort) = _follow(l.skew, target, elapsed, terms.halfLife);
        l.skew = int64(skew);
        l.updatedAt = uint32(block.timestamp);
        l.chargedLong = _plus(l.chargedLong, heavyLong);
        l.sparedLong = _plus(l.sparedLong, heavyShort);
        l.chargedShort = _plus(l.chargedShort, heavyShort);
        l.sparedShort = _plus(l.sparedShort, heavyLong);
    }

    /// @notice Records what a side owes now (debt units, 18 decimals), and that it has been charged up to now.
    function push(State storage self, Terms memory terms, bool isLong, uint256 debt) internal {
        Ledger memory l = advanced(self, terms);
        uint256 millionths = debt / DEBT_UNITS;
        if (isLong) {
            l.valueLong = _cap80(millionths);
            l.chargedLong = l.sparedLong = 0;
        } else {
            // A price above 2¹²⁸ whole tokens overflows nothing before the cap.
            l.valueShort = _cap80(
                FixedPointMathLib.fullMulDiv(Math.min(millionths, 1 << 100), self.price, 1 << 128)
            );
            l.chargedShort = l.sparedShort = 0;
        }
        self.ledger = l;
    }

    /// @notice Where the skew goes while the values stay: the imbalance beyond the dead band, WAD.
    function targetOf(
        uint256 valueLong,
        uint256 valueShort,
        Terms memory terms
    ) internal pure returns (int256) {
        // No overflow: values are below 2⁸⁰, the floor is not 0 and the dead band below WAD.
        unchecked {
            uint256 total = Math.max(valueLong + valueShort, terms.floor);
            int256 imbalance = ((int256(valueLong) - int256(valueShort)) * WAD) / int256(total);
            int256 beyond = (imbalance < 0 ? -imbalance : imbalance) - int256(terms.deadBand);
            if (beyond <= 0) return 0;
            int256 target = (beyond * WAD) / (WAD - int256(terms.deadBand));
            return imbalance < 0 ? -target : target;
        }
    }

    /// @dev The skew after `elapsed` seconds, and the integral of its size, WAD seconds: while it was positive, and while it was
    /// negative. Never both below 0; one that is stands for 0.
    function _follow(
        int256 skew,
        int256 target,
        uint256 elapsed,
        uint256 halfLife
    ) private pure returns (int256 end, int256 heavyLong, int256 heavyShort) {
        // No overflow: |skew|, |target| ≤ WAD < 2⁶⁰; elapsed and halfLife < 2³², so life < 2⁹³; logarithms < 2⁷⁰.
        unchecked {
            int256 life = (int256(halfLife) * WAD * WAD) / LN2; // WAD seconds in which a distance falls to 1 / e
            int256 decay = FixedPointMathLib.expWad(-((int256(elapsed) * WAD * WAD) / life));
            int256 distance = skew - target;
            end = target + (distance * decay) / WAD;
            int256 total = target * int256(elapsed) + (distance * life * (WAD - decay)) / (WAD * WAD);
            (heavyLong, heavyShort) = (total, -total);
            if ((skew > 0 && end < 0) || (skew < 0 && end > 0)) {
                // Apart: up to where it is 0, and from there.
                int256 logarithm = FixedPointMathLib.lnWad(((target - skew) * WAD) / target);
                int256 first = (life * (skew + (target * logarithm) / WAD)) / WAD;
                (heavyLong, heavyShort) = skew > 0 ? (first, first - total) : (total - first, -first);
            }
        }
    }

    /// @dev Adds WAD seconds, in billionths of a second; saturates after five centuries. A piece that is all but nothing can
    /// round to the other sign.
    function _plus(uint64 due, int256 integral) private pure returns (uint64) {
        if (integral <= 0) return due;
        return uint64(Math.min(due + uint256(integral) / 1e9, type(uint64).max));
    }

    function _cap80(uint256 value) private pure returns (uint80) {
        return uint80(Math.min(value, type(uint80).max));
    }
}
