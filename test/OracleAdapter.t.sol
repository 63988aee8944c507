// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";
import {FeedConfig, OracleAdapter, OracleConfig} from "../contracts/OracleAdapter.sol";
import {InverseOracleAdapter} from "../contracts/InverseOracleAdapter.sol";
import {Price, PriceState} from "../contracts/interfaces/IOracleAdapter.sol";
import {PriceMath} from "../contracts/libraries/PriceMath.sol";
import {SettableFeed} from "../contracts/mocks/SettableFeed.sol";

/// @dev The arithmetic of prices against exact, 512-bit inequalities; test/oracle tests the behaviour.
contract OracleAdapterTest {
    uint256 private constant BPS = 10_000;
    uint16 private constant BAND = 300;

    function testFuzz_PriceOfTwoFeedsIsRoundedOutward(
        uint256 collateralDecimals,
        uint256 debtDecimals,
        uint256 collateralAnswer,
        uint256 debtAnswer
    ) public {
        collateralDecimals %= 25;
        debtDecimals %= 25;
        collateralAnswer = 1 + (collateralAnswer % 2 ** 40);
        debtAnswer = 1 + (debtAnswer % 2 ** 40);
        OracleConfig memory c = _config();
        c.collateralFeed = _feed(collateralDecimals, collateralAnswer);
        c.debtFeed = _feed(debtDecimals, debtAnswer);
        c.secondCollateralFeed = _feed(collateralDecimals, collateralAnswer);
        c.secondDebtFeed = c.debtFeed;
        Price memory price = new OracleAdapter(c).read();

        uint256 numerator = (collateralAnswer * 10 ** debtDecimals) << 128; // below 2^(41 + 80 + 128)
        uint256 denominator = debtAnswer * 10 ** collateralDecimals;
        uint256 floor = numerator / denominator;
        if (floor < PriceMath.MIN || floor >= PriceMath.MAX) {
            assert(price.state == PriceState.Dead && price.low == 0 && price.high == 0);
        } else {
            assert(price.state == PriceState.Fresh);
            assert(price.low == floor);
            assert(price.high == Math.ceilDiv(numerator, denominator));
        }
    }

    function testFuzz_FreshMeansWithinTheBandOfTheLower(uint256 first, uint256 second) public {
        first = 1e8 + (first % 1e8);
        second = (first * (BPS - 600 + (second % 1_200))) / BPS;
        OracleConfig memory c = _config();
        c.collateralFeed = _feed(8, first);
        c.secondCollateralFeed = _feed(8, second);
        Price memory price = new OracleAdapter(c).read();
        uint256 lower = Math.min(first, second);
        uint256 distance = Math.max(first, second) - lower;
        assert(price.low == (lower << 128) / 1e8);
        assert(price.high == Math.ceilDiv((lower + distance) << 128, 1e8));
        if (price.state == PriceState.Fresh) assert(distance * BPS <= lower * BAND);
        else assert(price.state == PriceState.Diverged && (distance + 1) * BPS > lower * BAND);
    }

    function testFuzz_PriceOfATickIsRoundedOutward(int256 tick, uint256 decimals, bool up) public pure {
        tick %= TickMath.MAX_TICK + 1;
        uint256 scale = 10 ** (decimals % 25);
        (uint256 multiplier, uint256 divisor) = up ? (scale, uint256(1)) : (uint256(1), scale);
        (uint256 low, uint256 high) = PriceMath.fromTick(int24(tick), multiplier, divisor);
        uint256 root = TickMath.getSqrtPriceAtTick(int24(tick));
        if (low == 0) {
            assert(high == 0);
            // price < 2⁶⁴ or ≥ 2¹⁹²
            assert(
                _isLess(root * multiplier, root, divisor << 64, PriceMath.MIN) ||
                    !_isLess(root * multiplier, root, divisor << 64, PriceMath.MAX)
            );
        } else {
            assert(low >= PriceMath.MIN && low < PriceMath.MAX);
            assert(!_isLess(root * multiplier, root, low, divisor << 64)); // low ≤ price
            assert(_isLess(root * multiplier, root, low + 1, divisor << 64)); // price < low + 1
            assert(!_isLess(high, divisor << 64, root * multiplier, root)); // high ≥ price
            assert(high <= low + 1);
        }
    }

    function testFuzz_InverseIsRoundedOutward(uint256 low, uint256 high) public pure {
        (low, high) = _range(low, high);
        (uint256 inverseLow, uint256 inverseHigh) = PriceMath.inverse(low, high);
        assert(!_isAbove2Pow256(inverseLow, high) && _isAbove2Pow256(inverseLow + 1, high));
        assert(!_isBelow2Pow256(inverseHigh, low) && _isBelow2Pow256(inverseHigh - 1, low));
    }

    function testFuzz_InverseOfInverseContainsTheOriginal(uint256 low, uint256 high) public pure {
        (low, high) = _range(low, high);
        (uint256 inverseLow, uint256 inverseHigh) = PriceMath.inverse(low, high);
        (uint256 lower, uint256 higher) = PriceMath.inverse(inverseLow, inverseHigh);
        assert(lower <= low && higher >= high);
    }

    function testFuzz_TheMirrorOfAMirrorContainsThePrice(uint256 first, uint256 second) public {
        OracleConfig memory c = _config();
        c.collateralFeed = _feed(8, 1 + (first % 2 ** 60));
        c.secondCollateralFeed = _feed(18, 1 + (second % 2 ** 90));
        OracleAdapter adapter = new OracleAdapter(c);
        InverseOracleAdapter mirror = new InverseOracleAdapter(adapter);
        Price memory price = adapter.read();
        Price memory mirrored = mirror.read();
        Price memory twice = new InverseOracleAdapter(mirror).read();
        assert(mirrored.state == price.state && twice.state == price.state);
        assert(mirrored.roundA == price.roundA && mirrored.roundB == price.roundB);
        assert(mirrored.low <= mirrored.high);
        assert(twice.low <= price.low && twice.high >= price.high);
        assert((mirrored.low == 0) == (price.low == 0));
    }

    function test_InverseOfPowersOfTwoIsExact() public pure {
        for (uint256 i = 64; i <= 192; i++) {
            (uint256 low, uint256 high) = PriceMath.inverse(1 << i, 1 << i);
            assert(low == 1 << (256 - i) && high == low);
        }
    }

    // ------------------------------------------------------------------ arrangement

    function _config() private pure returns (OracleConfig memory c) {
        c.band = BAND;
        c.jumpLimit = 1_000;
        c.jumpLimitMax = 5_000;
        c.calmVolatility = 800;
        c.stressVolatility = 2_500;
        c.maxLtvCut = 1_000;
        c.volatilityPeriod = 12 hours;
        c.vetoBudget = 6 hours;
        c.vetoRefill = 30 days;
    }

    function _feed(uint256 decimals, uint256 answer) private returns (FeedConfig memory) {
        SettableFeed feed = new SettableFeed(uint8(decimals), "");
        feed.set(int256(answer));
        return FeedConfig(address(feed), 1 hours, 1, type(uint128).max);
    }

    function _range(uint256 low, uint256 high) private pure returns (uint256, uint256) {
        // As many short as long numbers.
        low = PriceMath.MIN + ((low >> 8) % (1 << (64 + (low % 128))));
        high = low + ((high >> 8) % (PriceMath.MAX - low));
        return (low, high);
    }

    /// @dev a × b < c × d
    function _isLess(uint256 a, uint256 b, uint256 c, uint256 d) private pure returns (bool) {
        (uint256 high1, uint256 low1) = Math.mul512(a, b);
        (uint256 high2, uint256 low2) = Math.mul512(c, d);
        return high1 < high2 || (high1 == high2 && low1 < low2);
    }

    function _isAbove2Pow256(uint256 a, uint256 b) private pure returns (bool) {
        (uint256 high, uint256 low) = Math.mul512(a, b);
        return high > 1 || (high == 1 && low > 0);
    }

    function _isBelow2Pow256(uint256 a, uint256 b) private pure returns (bool) {
        (uint256 high, ) = Math.mul512(a, b);
        return high == 0;
    }
}
