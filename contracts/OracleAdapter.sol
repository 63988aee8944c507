// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";
import {AggregatorV3Interface} from "./interfaces/AggregatorV3Interface.sol";
import {IOracleAdapter, Price, PriceState} from "./interfaces/IOracleAdapter.sol";
import {ITwapPool} from "./interfaces/ITwapPool.sol";
import {PriceMath} from "./libraries/PriceMath.sol";

/// @notice One feed and what is believed of it.
struct FeedConfig {
    address feed;
    uint32 maxAge; //     seconds after which an answer is stale: the feed's heartbeat and some room
    uint128 minAnswer; // an answer below or above these is not believed, in the feed's decimals
    uint128 maxAnswer;
}

/// @notice What an adapter reads and how far it trusts it; fixed for its life. Limits in basis points.
///
/// A source of feeds is a pair collateral/X and debt/X in the same X (as a rule USD), or, when the debt feed's address
/// is zero, one feed that quotes collateral in debt tokens. There is no assumed price: a dollar token has a feed too.
/// The second source is either such feeds (`pool` zero) or the time-weighted price of a Uniswap v3 pool of the two
/// tokens (the second feeds zero).
struct OracleConfig {
    address collateral;
    address debt;
    FeedConfig collateralFeed; //       primary source
    FeedConfig debtFeed;
    FeedConfig secondCollateralFeed; // second source, unless there is a pool
    FeedConfig secondDebtFeed;
    address pool;
    uint32 twapWindow; //   seconds
    uint32 blockTime; //    seconds; the pool must hold twapWindow / blockTime observations
    uint16 band; //         distance of the sources that counts as agreement
    uint16 jumpLimit; //    how far a single source may be from the last price that both agreed on,
    uint16 jumpWidening; // plus this for every hour since then,
    uint16 jumpLimitMax; // but at most this
}

/// @title OracleAdapter
/// @notice Two independent sources as one typed price. Not behind a proxy and without an owner: a market that wants
/// other limits swaps the adapter.
///
/// SOURCES. A source of feeds is valid while each of its feeds answers with a whole round whose answer is positive and
/// within its bounds and whose time is set, not in the future and not older than `maxAge`. A pool is valid while it can
/// look back over the whole window. Whatever a source does (revert, return too little or too much, have no code, burn
/// its gas), reading does not revert: the source is invalid, and no other price takes its place.
///
/// STATES. Fresh: both are valid and no further apart than `band` of the lower. Diverged: both are valid, but further
/// apart. Single: exactly one is valid, and within the jump limit of the last Fresh price that update() recorded; that
/// limit widens with time. Dead: none is valid, or the only one is beyond that limit, or there has been no Fresh price
/// yet; low and high are 0.
///
/// ROUNDING. Each source is a pair rounded outward: its low is rounded down, its high up. The price is the lower low and
/// the higher high of the valid sources; the band is measured between those. The tick of a pool is its arithmetic mean,
/// rounded toward minus infinity in the pool's own order of tokens.
contract OracleAdapter is IOracleAdapter {
    /// @dev One slot: the last Fresh price, for the jump limit.
    struct Recorded {
        uint160 price; // middle of low and high, Q64.96, rounded down
        uint32 time;
        uint64 round; //  low bits of roundA: a feed's own counter, without the phase
    }

    struct Source {
        uint256 low; // 0: not valid
        uint256 high;
        uint80 round;
    }

    error FeedMissing(address feed);
    error FeedDecimalsTooMany(address feed, uint8 decimals, uint8 max);
    error FeedBoundsInvalid(address feed, uint128 minAnswer, uint128 maxAnswer);
    error FeedMaxAgeZero(address feed);
    error SourcesNotIndependent(address feed);
    error SecondSourceAmbiguous(address pool, address feed);
    error PoolMissing(address pool);
    error PoolTokensMismatch(address pool, address token0, address token1);
    error TokenDecimalsTooMany(address token, uint8 decimals, uint8 max);
    error WindowInvalid(uint32 twapWindow, uint32 blockTime);
    error CardinalityTooLow(address pool, uint16 cardinality, uint256 required);
    error BandOutOfRange(uint16 band, uint16 max);
    error JumpLimitOutOfRange(uint16 jumpLimit, uint16 jumpLimitMax, uint16 max);

    uint256 private constant BPS = 10_000;
    uint16 private constant MAX_BAND = 2_000;
    uint16 private constant MAX_JUMP_LIMIT = 5_000;
    uint8 private constant MAX_DECIMALS = 24;
    /// @dev Far more than any feed or pool needs; a source that burns its gas takes no more with it.
    uint256 private constant CALL_GAS = 500_000;

    address private immutable COLLATERAL;
    address private immutable DEBT;

    address private immutable A_COLLATERAL_FEED;
    uint32 private immutable A_COLLATERAL_MAX_AGE;
    uint128 private immutable A_COLLATERAL_MIN;
    uint128 private immutable A_COLLATERAL_MAX;
    address private immutable A_DEBT_FEED;
    uint32 private immutable A_DEBT_MAX_AGE;
    uint128 private immutable A_DEBT_MIN;
    uint128 private immutable A_DEBT_MAX;
    uint256 private immutable A_MULTIPLIER;
    uint256 private immutable A_DIVISOR;

    address private immutable B_COLLATERAL_FEED;
    uint32 private immutable B_COLLATERAL_MAX_AGE;
    uint128 private immutable B_COLLATERAL_MIN;
    uint128 private immutable B_COLLATERAL_MAX;
    address private immutable B_DEBT_FEED;
    uint32 private immutable B_DEBT_MAX_AGE;
    uint128 private immutable B_DEBT_MIN;
    uint128 private immutable B_DEBT_MAX;
    uint256 private immutable B_MULTIPLIER;
    uint256 private immutable B_DIVISOR;

    address private immutable POOL;
    bool private immutable COLLATERAL_IS_TOKEN0;
    uint32 private immutable TWAP_WINDOW;
    uint32 private immutable BLOCK_TIME;

    uint16 private immutable BAND;
    uint16 private immutable JUMP_LIMIT;
    uint16 private immutable JUMP_WIDENING;
    uint16 private immutable JUMP_LIMIT_MAX;

    /// @notice The last Fresh price that was recorded, and when.
    Recorded public lastFresh;

    constructor(OracleConfig memory c) {
        require(c.band > 0 && c.band <= MAX_BAND, BandOutOfRange(c.band, MAX_BAND));
        require(
            c.jumpLimit > 0 && c.jumpLimit <= c.jumpLimitMax && c.jumpLimitMax <= MAX_JUMP_LIMIT,
            JumpLimitOutOfRange(c.jumpLimit, c.jumpLimitMax, MAX_JUMP_LIMIT)
        );
        COLLATERAL = c.collateral;
        DEBT = c.debt;
        BAND = c.band;
        JUMP_LIMIT = c.jumpLimit;
        JUMP_WIDENING = c.jumpWidening;
        JUMP_LIMIT_MAX = c.jumpLimitMax;

        A_COLLATERAL_FEED = c.collateralFeed.feed;
        A_COLLATERAL_MAX_AGE = c.collateralFeed.maxAge;
        A_COLLATERAL_MIN = c.collateralFeed.minAnswer;
        A_COLLATERAL_MAX = c.collateralFeed.maxAnswer;
        A_DEBT_FEED = c.debtFeed.feed;
        A_DEBT_MAX_AGE = c.debtFeed.maxAge;
        A_DEBT_MIN = c.debtFeed.minAnswer;
        A_DEBT_MAX = c.debtFeed.maxAnswer;
        (A_MULTIPLIER, A_DIVISOR) = _feedScale(c.collateralFeed, c.debtFeed);

        B_COLLATERAL_FEED = c.secondCollateralFeed.feed;
        B_COLLATERAL_MAX_AGE = c.secondCollateralFeed.maxAge;
        B_COLLATERAL_MIN = c.secondCollateralFeed.minAnswer;
        B_COLLATERAL_MAX = c.secondCollateralFeed.maxAnswer;
        B_DEBT_FEED = c.secondDebtFeed.feed;
        B_DEBT_MAX_AGE = c.secondDebtFeed.maxAge;
        B_DEBT_MIN = c.secondDebtFeed.minAnswer;
        B_DEBT_MAX = c.secondDebtFeed.maxAnswer;
        POOL = c.pool;
        TWAP_WINDOW = c.twapWindow;
        BLOCK_TIME = c.blockTime;
        if (c.pool == address(0)) {
            require(
                c.secondCollateralFeed.feed != c.collateralFeed.feed,
                SourcesNotIndependent(c.collateralFeed.feed)
            );
            (B_MULTIPLIER, B_DIVISOR) = _feedScale(c.secondCollateralFeed, c.secondDebtFeed);
            COLLATERAL_IS_TOKEN0 = false;
        } else {
            require(
                c.secondCollateralFeed.feed == address(0) && c.secondDebtFeed.feed == address(0),
                SecondSourceAmbiguous(c.pool, c.secondCollateralFeed.feed)
            );
            COLLATERAL_IS_TOKEN0 = _checkPool(c);
            (B_MULTIPLIER, B_DIVISOR) = _scale(_tokenDecimals(c.debt), _tokenDecimals(c.collateral));
        }
    }

    // ------------------------------------------------------------------ prices

    /// @inheritdoc IOracleAdapter
    /// @dev Reads storage only when one source alone is valid.
    function read() public view returns (Price memory price) {
        Source memory a = _readPrimary();
        Source memory b = POOL == address(0) ? _readSecondFeeds() : _readPool();
        price.roundA = a.round;
        price.roundB = b.round;
        if (a.low > 0 && b.low > 0) {
            price.low = Math.min(a.low, b.low);
            price.high = Math.max(a.high, b.high);
            // No overflow: prices are below 2¹⁹³.
            bool agree = (price.high - price.low) * BPS <= price.low * BAND;
            price.state = agree ? PriceState.Fresh : PriceState.Diverged;
        } else if (a.low > 0 || b.low > 0) {
            Source memory only = a.low > 0 ? a : b;
            if (!_isWithinJumpLimit(only)) return price;
            price.low = only.low;
            price.high = only.high;
            price.state = PriceState.Single;
        }
    }

    /// @inheritdoc IOracleAdapter
    /// @dev Records a Fresh price once per round of the primary collateral feed; otherwise as cheap as a read and one
    /// slot.
    function update() external returns (Price memory price) {
        price = read();
        if (price.state != PriceState.Fresh || lastFresh.round == uint64(price.roundA)) return price;
        // Fits: a price is below 2¹⁹³ − 2¹²⁸ in Q128.128, so its middle is below 2¹⁶⁰ in Q64.96.
        lastFresh = Recorded({
            price: uint160((price.low + price.high) >> 33),
            time: uint32(block.timestamp),
            round: uint64(price.roundA)
        });
    }

    /// @inheritdoc IOracleAdapter
    function band() external view returns (uint16) {
        return BAND;
    }

    /// @notice How far a single source may be from the last Fresh price now, in basis points of that price.
    function jumpLimit() public view returns (uint256) {
        uint256 hoursBps = (JUMP_WIDENING * (block.timestamp - lastFresh.time)) / 1 hours;
        return Math.min(JUMP_LIMIT + hoursBps, JUMP_LIMIT_MAX);
    }

    /// @notice What this adapter was made of.
    function config() external view returns (OracleConfig memory c) {
        c.collateral = COLLATERAL;
        c.debt = DEBT;
        c.collateralFeed = FeedConfig(
            A_COLLATERAL_FEED,
            A_COLLATERAL_MAX_AGE,
            A_COLLATERAL_MIN,
            A_COLLATERAL_MAX
        );
        c.debtFeed = FeedConfig(A_DEBT_FEED, A_DEBT_MAX_AGE, A_DEBT_MIN, A_DEBT_MAX);
        c.secondCollateralFeed = FeedConfig(
            B_COLLATERAL_FEED,
            B_COLLATERAL_MAX_AGE,
            B_COLLATERAL_MIN,
            B_COLLATERAL_MAX
        );
        c.secondDebtFeed = FeedConfig(B_DEBT_FEED, B_DEBT_MAX_AGE, B_DEBT_MIN, B_DEBT_MAX);
        c.pool = POOL;
        c.twapWindow = TWAP_WINDOW;
        c.blockTime = BLOCK_TIME;
        c.band = BAND;
        c.jumpLimit = JUMP_LIMIT;
        c.jumpWidening = JUMP_WIDENING;
        c.jumpLimitMax = JUMP_LIMIT_MAX;
    }

    /// @dev Nothing is within the limit of a price that was never recorded.
    function _isWithinJumpLimit(Source memory source) private view returns (bool) {
        uint256 last = uint256(lastFresh.price) << 32;
        uint256 limit = jumpLimit();
        return source.high * BPS <= last * (BPS + limit) && source.low * BPS >= last * (BPS - limit);
    }

    // ------------------------------------------------------------------ sources

    function _readPrimary() private view returns (Source memory source) {
        uint256 answer;
        uint256 debtAnswer = 1; // one feed: it quotes in debt tokens already
        (answer, source.round) = _answer(
            A_COLLATERAL_FEED,
            A_COLLATERAL_MAX_AGE,
            A_COLLATERAL_MIN,
            A_COLLATERAL_MAX
        );
        if (A_DEBT_FEED != address(0))
            (debtAnswer, ) = _answer(A_DEBT_FEED, A_DEBT_MAX_AGE, A_DEBT_MIN, A_DEBT_MAX);
        if (answer == 0 || debtAnswer == 0) return source;
        // No overflow: answers are below 2¹²⁸, scales at most 10²⁴ < 2⁸⁰.
        (source.low, source.high) = PriceMath.quotient(answer * A_MULTIPLIER, debtAnswer * A_DIVISOR);
    }

    function _readSecondFeeds() private view returns (Source memory source) {
        uint256 answer;
        uint256 debtAnswer = 1;
        (answer, source.round) = _answer(
            B_COLLATERAL_FEED,
            B_COLLATERAL_MAX_AGE,
            B_COLLATERAL_MIN,
            B_COLLATERAL_MAX
        );
        if (B_DEBT_FEED != address(0))
            (debtAnswer, ) = _answer(B_DEBT_FEED, B_DEBT_MAX_AGE, B_DEBT_MIN, B_DEBT_MAX);
        if (answer == 0 || debtAnswer == 0) return source;
        (source.low, source.high) = PriceMath.quotient(answer * B_MULTIPLIER, debtAnswer * B_DIVISOR);
    }

    function _readPool() private view returns (Source memory source) {
        uint32[] memory secondsAgos = new uint32[](2);
        secondsAgos[0] = TWAP_WINDOW;
        // Answers ([past, now], [past, now]) as 8 words: two offsets, then each array's length and elements.
        uint256[8] memory words;
        bytes memory callData = abi.encodeCall(ITwapPool.observe, (secondsAgos));
        address pool = POOL;
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(CALL_GAS, pool, add(callData, 0x20), mload(callData), words, 0x100)
            ok := and(ok, eq(returndatasize(), 0x100))
        }
        if (!ok || words[0] != 0x40 || words[2] != 2) return source;
        int256 total;
        unchecked {
            total = int256(words[4]) - int256(words[3]);
        }
        int256 window = int256(uint256(TWAP_WINDOW));
        int256 tick = total / window;
        if (total < 0 && total % window != 0) tick--;
        if (tick < TickMath.MIN_TICK || tick > TickMath.MAX_TICK) return source; // before it is negated: any number
        if (!COLLATERAL_IS_TOKEN0) tick = -tick;
        (source.low, source.high) = PriceMath.fromTick(int24(tick), B_MULTIPLIER, B_DIVISOR);
        source.round = uint80(block.timestamp);
    }

    /// @dev The feed's newest answer, and its round; 0 if it is not to be believed. A call by hand, because a failing
    /// decoding or a missing contract cannot be caught, and so that no answer is too long to read.
    function _answer(
        address feed,
        uint256 maxAge,
        uint256 minAnswer,
        uint256 maxAnswer
    ) private view returns (uint256 answer, uint80 round) {
        uint256[5] memory words; // round, answer, startedAt, updatedAt, answeredInRound
        bytes4 selector = AggregatorV3Interface.latestRoundData.selector;
        bool ok;
        assembly ("memory-safe") {
            mstore(0, selector)
            ok := staticcall(CALL_GAS, feed, 0, 4, words, 0xa0)
            ok := and(ok, gt(returndatasize(), 0x9f))
        }
        if (!ok || words[0] > type(uint80).max) return (0, 0);
        // As an unsigned number a negative answer is above every bound.
        if (words[1] < minAnswer || words[1] > maxAnswer) return (0, 0);
        uint256 updatedAt = words[3];
        if (updatedAt == 0 || updatedAt > block.timestamp || block.timestamp - updatedAt > maxAge)
            return (0, 0);
        return (words[1], uint80(words[0]));
    }

    // ------------------------------------------------------------------ listing

    function _feedScale(
        FeedConfig memory collateral,
        FeedConfig memory debt
    ) private view returns (uint256, uint256) {
        return _scale(_checkFeed(collateral), debt.feed == address(0) ? 0 : _checkFeed(debt));
    }

    function _checkFeed(FeedConfig memory c) private view returns (uint8 decimals) {
        require(c.feed.code.length > 0, FeedMissing(c.feed));
        require(c.maxAge > 0, FeedMaxAgeZero(c.feed));
        require(
            c.minAnswer > 0 && c.minAnswer < c.maxAnswer,
            FeedBoundsInvalid(c.feed, c.minAnswer, c.maxAnswer)
        );
        decimals = AggregatorV3Interface(c.feed).decimals();
        require(decimals <= MAX_DECIMALS, FeedDecimalsTooMany(c.feed, decimals, MAX_DECIMALS));
    }

    /// @dev Whether the collateral is the pool's token 0.
    function _checkPool(OracleConfig memory c) private view returns (bool collateralIsToken0) {
        require(c.pool.code.length > 0, PoolMissing(c.pool));
        require(c.twapWindow > 0 && c.blockTime > 0, WindowInvalid(c.twapWindow, c.blockTime));
        (address token0, address token1) = (ITwapPool(c.pool).token0(), ITwapPool(c.pool).token1());
        collateralIsToken0 = token0 == c.collateral;
        require(
            collateralIsToken0 ? token1 == c.debt : token0 == c.debt && token1 == c.collateral,
            PoolTokensMismatch(c.pool, token0, token1)
        );
        (, , , uint16 cardinality, , , ) = ITwapPool(c.pool).slot0();
        uint256 required = Math.ceilDiv(c.twapWindow, c.blockTime);
        require(cardinality >= required, CardinalityTooLow(c.pool, cardinality, required));
    }

    function _tokenDecimals(address token) private view returns (uint8 decimals) {
        decimals = IERC20Metadata(token).decimals();
        require(decimals <= MAX_DECIMALS, TokenDecimalsTooMany(token, decimals, MAX_DECIMALS));
    }

    /// @dev 10^(up − down) as multiplier / divisor, one of which is 1.
    function _scale(uint8 down, uint8 up) private pure returns (uint256 multiplier, uint256 divisor) {
        return up >= down ? (10 ** (up - down), uint256(1)) : (uint256(1), 10 ** (down - up));
    }
}
