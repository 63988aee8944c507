// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";
import {AggregatorV3Interface} from "./interfaces/AggregatorV3Interface.sol";
import {IDeadProof, IMirrored, IOracleAdapter, Price, PriceState} from "./interfaces/IOracleAdapter.sol";
import {ITwapPool} from "./interfaces/ITwapPool.sol";
import {Grid} from "./libraries/Grid.sol";
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
    uint32 blockTime; //    seconds; the pool must hold 2 · twapWindow / blockTime + 1 observations
    uint16 band; //         distance of the sources that counts as agreement
    uint16 jumpLimit; //    how far a single source may be from the last price that both agreed on,
    uint16 jumpWidening; // plus this for every hour since then,
    uint16 jumpLimitMax; // but at most this
    uint16 calmVolatility; //   volatility a day up to which nothing changes,
    uint16 stressVolatility; // and from which on the max LTV of new risk is lower by
    uint16 maxLtvCut; //        this share of it; in between in proportion
    uint32 volatilityPeriod; // seconds in which a return loses its weight: to a half at most, to 1/e at least
    uint32 vetoBudget; //       seconds for which diverged sources may hold liquidations back
    uint32 vetoRefill; //       seconds in which a spent budget is full again
}

/// @title OracleAdapter
/// @notice Two independent sources as one typed price. Not behind a proxy and without an owner: a market that wants
/// other limits swaps the adapter. docs/oracle.md explains it.
///
/// SOURCES. A source of feeds is valid while each of its feeds answers with a whole round whose answer is positive and
/// within its bounds and whose time is set, not in the future and not older than `maxAge`. A pool is valid while it can
/// look back over the whole window. Whatever a source does (revert, return too little or too much, have no code, burn
/// its gas), reading does not revert: the source is invalid, and no other price takes its place.
///
/// STATES. Fresh: both are valid and no further apart than `band` of the lower. Diverged: both are valid, but further
/// apart. Single: exactly one is valid, and believed. Dead: none is valid, or the only one is not believed, or there has
/// been no Fresh price yet; low and high are 0.
///
/// ONE SOURCE. It is believed within the jump limit of the last Fresh price that update() recorded, which widens with
/// time. Further from it than the band, it is believed as far as two rounds bear it out: low and high then span its newest
/// round and the one before (of a pool: the mean over its window and over the window before).
///
/// VETO. Diverged sources hold liquidations back, in the market or in its mirror, and that spends a budget of seconds.
/// Once it is spent the end that liquidates (high; low for the mirror) is the primary source's, if that one is believed
/// alone. The other end and the state stay.
///
/// SAMPLES. A recorded round is a sample if the one before is at least SAMPLE_PERIOD old. Volatility is that of the
/// samples, and `earlier` the sample before the newest.
///
/// ROUNDING. Each source is a pair rounded outward: its low is rounded down, its high up. The price is the lower low and
/// the higher high of the valid sources; the band is measured between those. The tick of a pool is its arithmetic mean,
/// rounded toward minus infinity in the pool's own order of tokens. Volatility is rounded up.
contract OracleAdapter is IOracleAdapter, IDeadProof, IMirrored {
    /// @dev What update() saw. Above, Below: Diverged, the primary source above or below the second.
    enum Seen {
        Fresh,
        Single,
        Dead,
        Above,
        Below
    }

    /// @dev One slot, all that a daily operation needs.
    struct Recorded {
        uint160 price; //     the last Fresh one: middle of low and high, Q64.96, rounded down
        uint32 time;
        uint32 round; //      low bits of roundA: a feed's own counter, without the phase
        uint16 volatility; // a day, basis points; the greatest since the newest sample
        Seen seen; //         last
        Seen outage; //       of which History knows since when
    }

    /// @dev One slot, for new rounds and for everything that is not Fresh. Ticks are powers of 1.0001.
    struct History {
        int24 lowTick; //     of the newest sample, rounded outward
        int24 highTick;
        uint32 sampledAt; //  0: none yet
        int24 earlierLowTick; // of the sample before
        int24 earlierHighTick; // NO_TICK: none
        uint32 variance; //   at the newest sample: square of basis points a day
        uint32 vetoFullAt; // when the budget is full again, were no more of it spent
        uint32 outageAt; //   when the outage was first seen
        uint32 seenAt; //     and when last
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
    error VolatilityOutOfRange(uint16 calmVolatility, uint16 stressVolatility, uint32 volatilityPeriod);
    error MaxLtvCutTooLarge(uint16 maxLtvCut, uint16 max);
    error VetoOutOfRange(uint32 vetoBudget, uint32 vetoRefill);

    uint256 private constant BPS = 10_000;
    uint16 private constant MAX_BAND = 2_000;
    uint16 private constant MAX_JUMP_LIMIT = 5_000;
    uint16 private constant MAX_MAX_LTV_CUT = 5_000;
    uint8 private constant MAX_DECIMALS = 24;
    int24 private constant NO_TICK = type(int24).max;
    /// @notice Seconds between two samples, at least.
    uint256 public constant SAMPLE_PERIOD = 5 minutes;
    /// @notice Seconds of veto that are charged for one interval between two updates, at most: what nobody saw does not
    /// count as divergence for longer.
    uint256 public constant MAX_CHARGE = 10 minutes;
    /// @notice An outage that nobody saw for longer than this begins anew.
    uint256 public constant MAX_UNSEEN = 1 hours;
    /// @notice So long after an outage was last seen it is no proof any more.
    uint256 public constant PROOF_PERIOD = 14 days;
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
    uint16 private immutable CALM_VOLATILITY;
    uint16 private immutable STRESS_VOLATILITY;
    uint16 private immutable MAX_LTV_CUT;
    uint32 private immutable VOLATILITY_PERIOD;
    uint32 private immutable VETO_BUDGET;
    uint32 private immutable VETO_REFILL;

    /// @notice The last Fresh price that was recorded, and when.
    Recorded public lastFresh;
    /// @notice Samples, and the clocks of what is not Fresh.
    History public history;

    constructor(OracleConfig memory c) {
        require(c.band > 0 && c.band <= MAX_BAND, BandOutOfRange(c.band, MAX_BAND));
        require(
            c.jumpLimit > 0 && c.jumpLimit <= c.jumpLimitMax && c.jumpLimitMax <= MAX_JUMP_LIMIT,
            JumpLimitOutOfRange(c.jumpLimit, c.jumpLimitMax, MAX_JUMP_LIMIT)
        );
        require(
            c.calmVolatility < c.stressVolatility && c.volatilityPeriod >= SAMPLE_PERIOD,
            VolatilityOutOfRange(c.calmVolatility, c.stressVolatility, c.volatilityPeriod)
        );
        require(c.maxLtvCut <= MAX_MAX_LTV_CUT, MaxLtvCutTooLarge(c.maxLtvCut, MAX_MAX_LTV_CUT));
        require(
            c.vetoBudget > 0 && c.vetoBudget < c.vetoRefill && c.vetoRefill <= 365 days,
            VetoOutOfRange(c.vetoBudget, c.vetoRefill)
        );
        COLLATERAL = c.collateral;
        DEBT = c.debt;
        BAND = c.band;
        JUMP_LIMIT = c.jumpLimit;
        JUMP_WIDENING = c.jumpWidening;
        JUMP_LIMIT_MAX = c.jumpLimitMax;
        CALM_VOLATILITY = c.calmVolatility;
        STRESS_VOLATILITY = c.stressVolatility;
        MAX_LTV_CUT = c.maxLtvCut;
        VOLATILITY_PERIOD = c.volatilityPeriod;
        VETO_BUDGET = c.vetoBudget;
        VETO_REFILL = c.vetoRefill;

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
    /// @dev What update() would return: it records in memory.
    function read() external view returns (Price memory) {
        return _read(false);
    }

    /// @inheritdoc IOracleAdapter
    /// @dev Records a Fresh price once per round of the primary collateral feed, and whatever is not Fresh; otherwise as
    /// cheap as a read.
    function update() external returns (Price memory) {
        return _update(false);
    }

    /// @inheritdoc IMirrored
    function readMirrored() external view returns (Price memory) {
        return _read(true);
    }

    /// @inheritdoc IMirrored
    function updateMirrored() external returns (Price memory) {
        return _update(true);
    }

    /// @inheritdoc IOracleAdapter
    function earlier() external view returns (uint256 low, uint256 high) {
        (, , History memory h) = _observed();
        if (h.earlierHighTick == NO_TICK || h.sampledAt == 0) return (0, 0);
        (low, ) = PriceMath.fromTick(h.earlierLowTick, 1, 1);
        (, high) = PriceMath.fromTick(h.earlierHighTick, 1, 1);
    }

    /// @inheritdoc IOracleAdapter
    function jumpRange() external view returns (uint256 low, uint256 high) {
        uint256 last = uint256(lastFresh.price) << 32;
        uint256 limit = jumpLimit();
        return (Math.ceilDiv(last * (BPS - limit), BPS), (last * (BPS + limit)) / BPS);
    }

    /// @inheritdoc IOracleAdapter
    function volatility() external view returns (uint256 perDay, uint256 stress) {
        (, Recorded memory last, ) = _observed();
        return (last.volatility, _share(last.volatility, uint16(BPS)));
    }

    /// @notice Seconds for which diverged sources may still hold liquidations back.
    function vetoLeft() external view returns (uint256) {
        (, , History memory h) = _observed();
        return _vetoLeft(h.vetoFullAt);
    }

    /// @inheritdoc IDeadProof
    /// @dev A primary source above the second counts as well: in this market it could hold liquidations back for ever.
    function provenDead() external view returns (uint256) {
        return _provenDead(Seen.Above);
    }

    /// @inheritdoc IDeadProof
    function provenDeadMirrored() external view returns (uint256) {
        return _provenDead(Seen.Below);
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
        c.calmVolatility = CALM_VOLATILITY;
        c.stressVolatility = STRESS_VOLATILITY;
        c.maxLtvCut = MAX_LTV_CUT;
        c.volatilityPeriod = VOLATILITY_PERIOD;
        c.vetoBudget = VETO_BUDGET;
        c.vetoRefill = VETO_REFILL;
    }

    // ------------------------------------------------------------------ the price

    function _read(bool mirrored) private view returns (Price memory price) {
        Recorded memory last = lastFresh;
        Seen seen;
        (price, seen) = _price(last, mirrored);
        if (_isNews(price, seen, last)) _record(price, seen, last, history);
        price.maxLtvCut = _share(last.volatility, MAX_LTV_CUT);
    }

    function _update(bool mirrored) private returns (Price memory price) {
        Recorded memory last = lastFresh;
        Seen seen;
        (price, seen) = _price(last, mirrored);
        if (_isNews(price, seen, last)) {
            History memory h = history;
            _record(price, seen, last, h);
            lastFresh = last;
            history = h;
        }
        price.maxLtvCut = _share(last.volatility, MAX_LTV_CUT);
    }

    /// @dev A spent veto gives way at the end that liquidates, the higher price, or the lower one in the mirrored market. The
    /// other end stays: lenders are paid by it, and must not run from a loss at which one source still points.
    function _price(
        Recorded memory last,
        bool mirrored
    ) private view returns (Price memory price, Seen seen) {
        Source memory a = _readPrimary();
        Source memory b = _readSecond();
        price.roundA = a.round;
        price.roundB = b.round;
        if (a.low > 0 && b.low > 0) {
            price.low = Math.min(a.low, b.low);
            price.high = Math.max(a.high, b.high);
            // No overflow: prices are below 2¹⁹³.
            if ((price.high - price.low) * BPS <= price.low * BAND) {
                price.state = PriceState.Fresh;
                return (price, Seen.Fresh);
            }
            price.state = PriceState.Diverged;
            seen = a.low > b.low ? Seen.Above : Seen.Below;
            if (_vetoLeft(_charged(history, seen, last)) == 0) {
                a = _believed(a, last, true);
                if (a.low > 0 && mirrored) price.low = a.low;
                if (a.low > 0 && !mirrored) price.high = a.high;
            }
            return (price, seen);
        }
        if (a.low > 0) a = _believed(a, last, true);
        else if (b.low > 0) a = _believed(b, last, false);
        if (a.low == 0) return (price, Seen.Dead);
        price.low = a.low;
        price.high = a.high;
        price.state = PriceState.Single;
        return (price, Seen.Single);
    }

    /// @dev What is believed of one source without the other; nothing as long as no Fresh price was recorded.
    function _believed(
        Source memory source,
        Recorded memory last,
        bool primary
    ) private view returns (Source memory) {
        if (_isWithin(source, last, Math.min(BAND, jumpLimit()))) return source;
        source = _readTwoRounds(primary);
        if (!_isWithin(source, last, jumpLimit())) source.low = 0;
        return source;
    }

    function _isWithin(
        Source memory source,
        Recorded memory last,
        uint256 limit
    ) private pure returns (bool) {
        uint256 price = uint256(last.price) << 32;
        return source.high * BPS <= price * (BPS + limit) && source.low * BPS >= price * (BPS - limit);
    }

    // ------------------------------------------------------------------ the record

    function _isNews(Price memory price, Seen seen, Recorded memory last) private pure returns (bool) {
        return seen != Seen.Fresh || last.seen != Seen.Fresh || last.round != uint32(price.roundA);
    }

    /// @dev What update() would leave behind.
    function _observed() private view returns (Price memory price, Recorded memory last, History memory h) {
        Seen seen;
        last = lastFresh;
        h = history;
        (price, seen) = _price(last, false);
        if (_isNews(price, seen, last)) _record(price, seen, last, h);
    }

    /// @dev Notes in `last` and `h` what is seen now.
    function _record(Price memory price, Seen seen, Recorded memory last, History memory h) private view {
        if (seen == Seen.Fresh) {
            bool isNewRound = last.round != uint32(price.roundA) || h.sampledAt == 0;
            // Fits: a price is below 2¹⁹³ − 2¹²⁸ in Q128.128, so its middle is below 2¹⁶⁰ in Q64.96.
            last.price = uint160((price.low + price.high) >> 33);
            last.time = uint32(block.timestamp);
            last.round = uint32(price.roundA);
            if (isNewRound) _sample(price, last, h);
        } else if (seen != Seen.Single) {
            h.vetoFullAt = _charged(h, seen, last);
            if (last.seen != seen || block.timestamp - h.seenAt > MAX_UNSEEN) {
                h.outageAt = uint32(block.timestamp);
            }
            h.seenAt = uint32(block.timestamp);
            last.outage = seen;
        }
        last.seen = seen;
    }

    /// @dev With v the variance a day, T the period, r the return and t the seconds since the newest sample:
    /// v' = (v·T + r²·day) / (T + t). So a return adds to v what it is, and time takes from it at most e^(−t/T), however
    /// many samples it comes in. Between samples the greatest v that a round would have made counts, and the next sample
    /// keeps it as if it had been its own.
    function _sample(Price memory price, Recorded memory last, History memory h) private view {
        (int24 lowTick, ) = Grid.floor(price.low, 1);
        // One tick for what `lowTick` lacks; n ticks are at least n basis points.
        int24 highTick = lowTick + 1 + int24(uint24(Math.ceilDiv((price.high - price.low) * BPS, price.low)));
        if (h.sampledAt == 0) {
            h.earlierHighTick = NO_TICK;
        } else {
            // Twice the return, in ticks of a basis point: below 2²². No overflow: all below 2⁸⁰.
            int256 twice = int256(lowTick) + highTick - h.lowTick - h.highTick;
            uint256 elapsed = block.timestamp - h.sampledAt;
            uint256 period = VOLATILITY_PERIOD;
            uint256 variance = Math.ceilDiv(
                uint256(h.variance) * period + (uint256(twice * twice) * 1 days) / 4,
                period + elapsed
            );
            uint256 most = uint256(last.volatility) * last.volatility;
            if (elapsed < SAMPLE_PERIOD) {
                last.volatility = _root(Math.max(variance, most));
                return;
            }
            variance = Math.max(variance, Math.ceilDiv(most * period, period + elapsed));
            h.variance = uint32(Math.min(variance, type(uint32).max));
            last.volatility = _root(variance);
            (h.earlierLowTick, h.earlierHighTick) = (h.lowTick, h.highTick);
        }
        (h.lowTick, h.highTick, h.sampledAt) = (lowTick, highTick, uint32(block.timestamp));
    }

    function _root(uint256 variance) private pure returns (uint16) {
        return uint16(Math.min(Math.sqrt(variance), type(uint16).max));
    }

    /// @dev The share of `whole` that a volatility stands for.
    function _share(uint256 perDay, uint16 whole) private view returns (uint16) {
        (uint256 calm, uint256 stress) = (CALM_VOLATILITY, STRESS_VOLATILITY);
        if (perDay <= calm) return 0;
        if (perDay >= stress) return whole;
        return uint16((whole * (perDay - calm)) / (stress - calm));
    }

    // ------------------------------------------------------------------ clocks of what is not Fresh

    /// @dev When the budget would be full again, charged up to now: for the time since the last update if the sources
    /// were apart then and are now.
    function _charged(History memory h, Seen seen, Recorded memory last) private view returns (uint32) {
        uint256 fullAt = Math.max(h.vetoFullAt, block.timestamp);
        if (seen >= Seen.Above && last.seen >= Seen.Above) {
            uint256 charge = Math.min(block.timestamp - h.seenAt, MAX_CHARGE);
            fullAt = Math.min(fullAt + (charge * VETO_REFILL) / VETO_BUDGET, block.timestamp + VETO_REFILL);
        }
        return uint32(fullAt);
    }

    function _vetoLeft(uint256 fullAt) private view returns (uint256) {
        uint256 missing = Math.saturatingSub(fullAt, block.timestamp);
        return VETO_BUDGET - Math.ceilDiv(missing * VETO_BUDGET, VETO_REFILL);
    }

    /// @dev How long the latest outage lasted, if it is one in which the price was Dead or `apart`.
    function _provenDead(Seen apart) private view returns (uint256) {
        (, Recorded memory last, History memory h) = _observed();
        if (last.outage != Seen.Dead && last.outage != apart) return 0;
        if (block.timestamp - h.seenAt > PROOF_PERIOD) return 0;
        return h.seenAt - h.outageAt;
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

    function _readSecond() private view returns (Source memory source) {
        if (POOL != address(0)) return _readPool(false);
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

    /// @dev The range of a source over its newest round and the one before.
    function _readTwoRounds(bool primary) private view returns (Source memory) {
        if (primary) {
            return
                _spanned(
                    _twoRounds(A_COLLATERAL_FEED, A_COLLATERAL_MAX_AGE, A_COLLATERAL_MIN, A_COLLATERAL_MAX),
                    _twoRounds(A_DEBT_FEED, A_DEBT_MAX_AGE, A_DEBT_MIN, A_DEBT_MAX),
                    A_MULTIPLIER,
                    A_DIVISOR
                );
        }
        if (POOL != address(0)) return _readPool(true);
        return
            _spanned(
                _twoRounds(B_COLLATERAL_FEED, B_COLLATERAL_MAX_AGE, B_COLLATERAL_MIN, B_COLLATERAL_MAX),
                _twoRounds(B_DEBT_FEED, B_DEBT_MAX_AGE, B_DEBT_MIN, B_DEBT_MAX),
                B_MULTIPLIER,
                B_DIVISOR
            );
    }

    function _spanned(
        Source memory collateral,
        Source memory debt,
        uint256 multiplier,
        uint256 divisor
    ) private pure returns (Source memory source) {
        if (collateral.low == 0 || debt.low == 0) return source;
        (source.low, ) = PriceMath.quotient(collateral.low * multiplier, debt.high * divisor);
        (, source.high) = PriceMath.quotient(collateral.high * multiplier, debt.low * divisor);
        if (source.high == 0) source.low = 0;
    }

    /// @dev `both`: low and high span the window and the one before.
    function _readPool(bool both) private view returns (Source memory source) {
        (bool ok, int24 least) = _meanTick(0);
        int24 most = least;
        if (ok && both) {
            int24 before;
            (ok, before) = _meanTick(TWAP_WINDOW);
            if (before < least) least = before;
            else most = before;
        }
        if (!ok) return source;
        if (!COLLATERAL_IS_TOKEN0) (least, most) = (-most, -least);
        (source.low, source.high) = PriceMath.fromTick(least, B_MULTIPLIER, B_DIVISOR);
        if (most != least) {
            (, source.high) = PriceMath.fromTick(most, B_MULTIPLIER, B_DIVISOR);
            if (source.high == 0) source.low = 0;
        }
        source.round = uint80(block.timestamp);
    }

    /// @dev The pool's mean tick over the window that ended `ago` seconds ago.
    function _meanTick(uint32 ago) private view returns (bool ok, int24 mean) {
        uint32[] memory secondsAgos = new uint32[](2);
        secondsAgos[0] = TWAP_WINDOW + ago;
        secondsAgos[1] = ago;
        // Answers ([past, now], [past, now]) as 8 words: two offsets, then each array's length and elements.
        uint256[8] memory words;
        bytes memory callData = abi.encodeCall(ITwapPool.observe, (secondsAgos));
        address pool = POOL;
        assembly ("memory-safe") {
            ok := staticcall(CALL_GAS, pool, add(callData, 0x20), mload(callData), words, 0x100)
            ok := and(ok, eq(returndatasize(), 0x100))
        }
        if (!ok || words[0] != 0x40 || words[2] != 2) return (false, 0);
        int256 total;
        unchecked {
            total = int256(words[4]) - int256(words[3]);
        }
        int256 window = int256(uint256(TWAP_WINDOW));
        int256 tick = total / window;
        if (total < 0 && total % window != 0) tick--;
        if (tick < TickMath.MIN_TICK || tick > TickMath.MAX_TICK) return (false, 0); // any number: before a cast
        return (true, int24(tick));
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

    /// @dev Answers, not prices: the newest and the one before, which may be of any age. No feed: 1, as in `_readPrimary`.
    function _twoRounds(
        address feed,
        uint256 maxAge,
        uint256 minAnswer,
        uint256 maxAnswer
    ) private view returns (Source memory source) {
        if (feed == address(0)) return Source(1, 1, 0);
        (uint256 answer, uint80 round) = _answer(feed, maxAge, minAnswer, maxAnswer);
        if (answer == 0 || round == 0) return source;
        uint256[5] memory words;
        bytes4 selector = AggregatorV3Interface.getRoundData.selector;
        bool ok;
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, sub(round, 1))
            ok := staticcall(CALL_GAS, feed, 0, 0x24, words, 0xa0)
            ok := and(ok, gt(returndatasize(), 0x9f))
        }
        // An answer for another round than the one asked for bears nothing out.
        if (!ok || words[0] != round - 1 || words[1] < minAnswer || words[1] > maxAnswer || words[3] == 0)
            return source;
        return Source(Math.min(answer, words[1]), Math.max(answer, words[1]), round);
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
        // A busy pool observes once a block; the window and the one before it have two ends, at the least one more.
        uint256 required = Math.ceilDiv(2 * uint256(c.twapWindow), c.blockTime) + 1;
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
