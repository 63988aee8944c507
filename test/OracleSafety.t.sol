// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";
import {FeedConfig, OracleAdapter, OracleConfig} from "../contracts/OracleAdapter.sol";
import {InverseOracleAdapter} from "../contracts/InverseOracleAdapter.sol";
import {IOracleAdapter, Price, PriceState} from "../contracts/interfaces/IOracleAdapter.sol";
import {Grid} from "../contracts/libraries/Grid.sol";
import {SettableFeed} from "../contracts/mocks/SettableFeed.sol";
import {Test} from "./support/Vm.sol";

/// @dev What the adapter remembers: volatility, the veto's budget, samples, outages. docs/invariants.md has O1 to O6.
contract OracleSafetyTest is Test {
    uint256 private constant BPS = 10_000;
    uint256 private constant CALM = 800;
    uint256 private constant STRESS = 2_500;
    uint256 private constant CUT = 1_000;
    uint256 private constant PERIOD = 12 hours;
    uint256 private constant BUDGET = 6 hours;
    uint256 private constant REFILL = 30 days;
    uint256 private constant SAMPLE = 5 minutes;
    uint256 private constant CHARGE = 10 minutes;
    uint256 private constant USD = 1e8;
    uint256 private constant PRICE = 2_000 * USD;

    SettableFeed private _first;
    SettableFeed private _second;
    OracleAdapter private _adapter;
    InverseOracleAdapter private _mirror;
    uint256 private _now;

    function setUp() public {
        _now = 1_900_000_000;
        VM.warp(_now);
        _deploy();
        _round(PRICE, PRICE);
        _round(PRICE, PRICE);
    }

    // ------------------------------------------------------------------ volatility

    function test_theFirstRoundsHaveNoVolatility() public view {
        (uint256 perDay, uint256 stress) = _adapter.volatility();
        assertEq(perDay, 0, "volatility");
        assertEq(stress, 0, "stress");
        assertEq(_adapter.read().maxLtvCut, 0, "cut");
    }

    /// @dev v = r²·day/(T + t): a move of 10 % within a sample, T of half a day, is 0.1 · √2 a day.
    function test_aReturnCountsAtOnceAndStays() public {
        _pass(60);
        _round((PRICE * 9) / 10, (PRICE * 9) / 10);
        (uint256 atOnce, ) = _adapter.volatility();
        assertTrue(atOnce > 1_470 && atOnce < 1_500, "1054 ticks, times the root of 2, a little less");
        assertEq(_adapter.read().maxLtvCut, (CUT * (atOnce - CALM)) / (STRESS - CALM), "cut in proportion");
        // Back within the same sample: the next one remembers it.
        _pass(60);
        _round(PRICE, PRICE);
        _pass(SAMPLE);
        _round(PRICE, PRICE);
        (uint256 later, ) = _adapter.volatility();
        assertTrue(later > (atOnce * 99) / 100 && later <= atOnce, "kept");
    }

    function test_stressIsBoundedByWhatIsConfigured() public {
        _pass(SAMPLE);
        _round(PRICE * 100, PRICE * 100);
        assertEq(_adapter.read().maxLtvCut, CUT, "cut");
        (uint256 perDay, uint256 stress) = _adapter.volatility();
        assertEq(stress, BPS, "stress");
        assertTrue(perDay > STRESS, "volatility");
        _pass(SAMPLE);
        _round(PRICE / 1_000, PRICE / 1_000);
        (perDay, ) = _adapter.volatility();
        assertEq(perDay, type(uint16).max, "saturates");
        assertEq(_mirror.read().maxLtvCut, CUT, "in the mirror");
    }

    /// @dev However often, and whatever is poked in between: from a volatility in force, time takes at most e^(−t/T) of the
    /// variance, and no return leaves less than no return.
    function testFuzz_O1_timeAloneTakesVolatility(uint256 seed, uint256 fall) public {
        fall = 100 + (fall % 8_900);
        _pass(SAMPLE);
        uint256 price = (PRICE * (BPS - fall)) / BPS;
        _round(price, price);
        (uint256 start, ) = _adapter.volatility();
        uint256 began = _now;
        for (uint256 i = 0; i < 24; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            _pass(1 + (seed % (i % 3 == 0 ? 4_000 : 400)));
            if (seed & 1 == 0) _adapter.update();
            else _round(price, price);
        }
        (uint256 left, ) = _adapter.volatility();
        int256 exponent = -int256(((_now - began) * 1e18) / PERIOD);
        uint256 least = (start * start * uint256(FixedPointMathLib.expWad(exponent))) / 1e18;
        // The root is rounded down.
        assertLe(least, (left + 1) * (left + 1) + 2 * start, "washed out");
        assertLe(left, start, "no return adds none");
    }

    /// @dev A fall in many small rounds stirs as much as the same fall in one, sample by sample.
    function testFuzz_O1_tinyRoundsHideNoFall(uint256 steps, uint256 fall) public {
        steps = 2 + (steps % 40);
        fall = 500 + (fall % 4_000);
        _pass(SAMPLE);
        uint256 price = PRICE;
        for (uint256 i = 1; i <= steps; i++) {
            price = PRICE - (PRICE * fall * i) / (BPS * steps);
            _round(price, price);
        }
        (uint256 many, ) = _adapter.volatility();
        setUp();
        _pass(SAMPLE);
        _round(price, price);
        (uint256 one, ) = _adapter.volatility();
        // A first step after the period of a sample is one of its own.
        assertLe(one - one / steps - 20, many, "hidden");
    }

    /// @dev v' = r²·day/(T + t), rounded up: seen where that makes a square of it.
    function test_theVarianceOfAReturnIsRoundedUp() public {
        uint256 price = (PRICE * 9) / 10;
        (int24 before, ) = Grid.floor((PRICE << 128) / USD, 1);
        (int24 afterwards, ) = Grid.floor((price << 128) / USD, 1);
        int256 r = int256(afterwards) - before;
        (uint256 time, uint256 root) = _squareFrom(uint256(r * r) * 1 days, SAMPLE);
        _pass(time);
        _round(price, price);
        (uint256 perDay, ) = _adapter.volatility();
        assertEq(perDay, root, "the root of what is rounded up");
    }

    /// @dev And so is what time leaves of a volatility between samples.
    function test_theVarianceThatIsLeftIsRoundedUp() public {
        _pass(60);
        _round((PRICE * 9) / 10, (PRICE * 9) / 10);
        (uint256 most, ) = _adapter.volatility();
        (uint256 time, uint256 root) = _squareFrom(most * most * PERIOD, SAMPLE);
        _pass(time - 60);
        _round(PRICE, PRICE);
        (uint256 perDay, ) = _adapter.volatility();
        assertEq(perDay, root, "the root of what is rounded up");
    }

    /// @dev The first time from `time` on after which `amount` / (T + time), rounded up, is a square and was none before.
    function _squareFrom(uint256 amount, uint256 time) private pure returns (uint256, uint256) {
        for (; ; time++) {
            uint256 up = Math.ceilDiv(amount, PERIOD + time);
            uint256 root = Math.sqrt(up);
            if (root * root == up && amount % (PERIOD + time) != 0) return (time, root);
        }
        revert("no square");
    }

    function test_aRoundGoingBackOrANewPhaseIsANewRound() public {
        for (uint256 i = 0; i < 3; i++) {
            _pass(SAMPLE);
            uint80 round = [uint80(1), (uint80(5) << 64) | 9, (uint80(6) << 64) | 2][i];
            uint256 price = PRICE - i * 20 * USD - 20 * USD;
            _first.setRound(round, int256(price), _now);
            _second.set(int256(price));
            _adapter.update();
            (uint160 recorded, , uint32 low, , , ) = _adapter.lastFresh();
            assertEq(low, uint32(round), "round");
            assertEq(uint256(recorded), ((price << 128) / USD) >> 32, "price");
        }
    }

    // ------------------------------------------------------------------ the veto

    /// @dev In any window, apart sources hold back for at most the budget, what refills of it, and what nobody saw.
    function testFuzz_O2_vetoIsBounded(uint256 seed) public {
        uint256 low = (PRICE * 95) / 100;
        uint256 began = _now;
        uint256 held;
        uint256 unseen;
        for (uint256 i = 0; i < 60; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            bool apart = seed % 5 != 0;
            _answers(apart ? low : PRICE, PRICE);
            _answers(apart ? low : PRICE, PRICE); // two rounds: not the jump, the veto holds back
            _adapter.update();
            uint256 seconds_ = 60 + ((seed >> 8) % 5_000);
            if (apart && _isHeldBack()) {
                bool next = uint256(keccak256(abi.encode(seed))) % 5 != 0;
                uint256 left = _adapter.vetoLeft();
                // Charged as time goes on, up to CHARGE: it may run out before the next update, seen or not.
                uint256 here = left + left / 100 + 2;
                if (here > CHARGE || seconds_ < here) here = seconds_;
                held += here;
                // Nobody saw it to the end, or for longer than is charged.
                if (!next) unseen += here;
                else if (here > CHARGE) unseen += here - CHARGE;
                if (here < seconds_) {
                    uint256 start = _now;
                    _pass(here);
                    assertTrue(!_isHeldBack(), "ran out");
                    _now = start;
                    VM.warp(start);
                }
            }
            _pass(seconds_);
        }
        // A hundredth: what refills of an interval while it is spent.
        uint256 bound = BUDGET + ((_now - began) * BUDGET) / REFILL + unseen + held / 100 + 120;
        assertLe(held, bound, "held back for too long");
    }

    function test_vetoIsSpentByWhatIsSeenAndThenThePrimaryRules() public {
        uint256 low = (PRICE * 93) / 100;
        _answers(low, PRICE);
        _answers(low, PRICE); // two rounds: the primary alone would be believed
        _adapter.update();
        for (uint256 i = 0; i < 6; i++) {
            assertTrue(_isHeldBack(), "held back");
            // Of what was spent, all but the latest refills.
            uint256 refilled = i == 0 ? 0 : ((i * 1 hours - CHARGE) * BUDGET) / REFILL;
            uint256 left = BUDGET - i * 1 hours + refilled;
            uint256 says = _adapter.vetoLeft();
            assertTrue(says + 36 >= left && says <= left, "left"); // a second of rounding for each update
            _watch(1 hours, _adapter);
        }
        _pass(CHARGE);
        Price memory price = _adapter.read();
        assertTrue(price.state == PriceState.Diverged, "state");
        assertEq(price.low, (low << 128) / USD, "low");
        assertEq(price.high, (low << 128) / USD, "high");
        assertEq(_adapter.vetoLeft(), 0, "nothing left");
        uint256 inverse = Math.mulDiv(1 << 128, USD, PRICE);
        assertLe(_mirror.read().low, inverse, "the mirror's lenders");
        assertLe(inverse, _mirror.read().low + 2, "are paid as before");
        _adapter.update();
        // Agreement does not give it back at once.
        _answers(PRICE, PRICE);
        _adapter.update();
        _pass(REFILL / 6);
        assertEq(_adapter.vetoLeft() / 200, BUDGET / 6 / 200, "a sixth");
    }

    /// @dev One adapter serves two markets: each is held back at its own higher price.
    function test_aSpentVetoGivesWayAtTheEndThatLiquidatesOnly() public {
        uint256 above = (PRICE * 107) / 100;
        _answers(above, PRICE);
        _answers(above, PRICE);
        _adapter.update();
        _watch(7 hours, _mirror);
        assertEq(_adapter.vetoLeft(), 0, "spent");
        Price memory price = _adapter.read();
        assertEq(price.low, (PRICE << 128) / USD, "lenders are paid by the lower one");
        assertEq(price.high, (above << 128) / USD, "liquidations as before");
        price = _mirror.read();
        uint256 inverse = Math.mulDiv(1 << 128, USD, above);
        assertTrue(
            price.high >= inverse && price.high <= inverse + 2,
            "the mirror liquidates at the primary's"
        );
        assertTrue(keccak256(abi.encode(_mirror.update())) == keccak256(abi.encode(price)), "recorded");
        price = _adapter.read();
        assertTrue(keccak256(abi.encode(_adapter.update())) == keccak256(abi.encode(price)), "as it is read");
    }

    /// @dev A primary beyond the band counts with two rounds: each market with the end that liquidates.
    function test_aSpentVetoGivesWayToTheRangeOfTwoRounds() public {
        _answers((PRICE * 107) / 100, PRICE);
        _adapter.update();
        _watch(7 hours, _adapter);
        uint256 lower = (PRICE * 130) / 100;
        _answers(lower, PRICE);
        _answers((PRICE * 135) / 100, PRICE);
        uint256 inverse = Math.mulDiv(1 << 128, USD, lower);
        Price memory price = _mirror.read();
        assertTrue(price.high >= inverse && price.high <= inverse + 2, "mirrored");
        assertEq(_adapter.read().high, (((PRICE * 135) / 100) << 128) / USD, "and not");
    }

    function test_whatNobodySawSpendsNoMoreThanTenMinutes() public {
        _answers((PRICE * 93) / 100, PRICE);
        _adapter.update();
        _pass(5 hours);
        assertTrue(_isHeldBack(), "held back");
        assertTrue(_adapter.vetoLeft() <= BUDGET - CHARGE, "some");
        assertLe(BUDGET - CHARGE - 1, _adapter.vetoLeft(), "ten minutes");
        // And what was not seen at both ends, nothing.
        _answers(PRICE, PRICE);
        assertEq(_adapter.vetoLeft(), BUDGET, "none");
    }

    function test_theBudgetRefillsInWholeSecondsOnly() public {
        _answers((PRICE * 93) / 100, PRICE);
        _adapter.update();
        _pass(CHARGE);
        _adapter.update();
        _answers(PRICE, PRICE);
        _adapter.update();
        _pass(REFILL / BUDGET - 1);
        assertEq(_adapter.vetoLeft(), BUDGET - CHARGE, "not yet");
        _pass(1);
        assertEq(_adapter.vetoLeft(), BUDGET - CHARGE + 1, "a second");
    }

    /// @dev Nobody is held back by sources that do not answer.
    function test_anOutageSpendsNothing() public {
        _answers((PRICE * 93) / 100, PRICE);
        _adapter.update();
        _pass(CHARGE / 2);
        _first.setReverting(true);
        _second.setReverting(true);
        _adapter.update();
        assertEq(_adapter.vetoLeft(), BUDGET, "none");
    }

    function test_aSpentVetoDoesNotMakeAJumpBelieved() public {
        uint256 low = (PRICE * 93) / 100;
        _answers(low, PRICE);
        _adapter.update();
        _watch(7 hours, _adapter);
        assertEq(_adapter.vetoLeft(), 0, "spent");
        // In the mirror too the sources stay what they are while the primary is not believed.
        _answers(PRICE * 2, PRICE);
        uint256 inverse = Math.mulDiv(1 << 128, USD, PRICE);
        assertTrue(_mirror.read().state == PriceState.Diverged, "mirrored");
        assertLe(inverse, _mirror.read().high, "held back in the mirror");
        assertLe(_mirror.read().high, inverse + 2, "by the second source");
        // Beyond the jump limit, which is 40 % by now.
        _answers(PRICE / 2, PRICE);
        assertTrue(_isHeldBack(), "half the price");
        _answers((PRICE * 70) / 100, PRICE);
        Price memory price = _adapter.read();
        assertEq(price.high, (PRICE << 128) / USD, "no second round: beyond the limit");
        _answers((PRICE * 70) / 100, PRICE);
        price = _adapter.read();
        assertEq(price.high, (((PRICE * 70) / 100) << 128) / USD, "the second round bears it out");
    }

    // ------------------------------------------------------------------ what is recorded

    function test_readKnowsTheVolatilityThatUpdateWouldRecord() public {
        _pass(SAMPLE);
        _answers((PRICE * 80) / 100, (PRICE * 80) / 100);
        uint16 cut = _adapter.read().maxLtvCut;
        assertTrue(cut > 0, "a fifth in minutes is stress");
        assertEq(_adapter.update().maxLtvCut, cut, "recorded");
    }

    function test_theSameRoundIsNewsAfterAnOutage() public {
        _second.setReverting(true);
        _adapter.update();
        _second.setReverting(false);
        _pass(7);
        _adapter.update();
        (, uint32 time, , , OracleAdapter.Seen seen, ) = _adapter.lastFresh();
        assertTrue(seen == OracleAdapter.Seen.Fresh, "seen");
        assertEq(time, _now, "when");
    }

    /// @dev Rounds are told apart by 32 bits, all of which may be 0.
    function test_theFirstRoundIsASampleWhateverItsNumber() public {
        _deploy();
        _adapter.update(); // Dead: what follows is news
        _first.setRound(uint80(1) << 64, int256(PRICE), _now);
        _second.set(int256(PRICE));
        _adapter.update();
        _pass(SAMPLE);
        _round(PRICE, PRICE);
        (uint256 low, ) = _adapter.earlier();
        assertTrue(low != 0, "there is an earlier one");
    }

    /// @dev The round in which both agreed is a sample already: no return is counted twice.
    function test_theSameRoundIsNoSampleAfterAnOutage() public {
        _pass(SAMPLE);
        _round((PRICE * 102) / 100, (PRICE * 102) / 100);
        (uint256 low, uint256 high) = _adapter.earlier();
        _second.setReverting(true);
        _adapter.update();
        _second.setReverting(false);
        _pass(SAMPLE);
        _adapter.update();
        (uint256 nextLow, uint256 nextHigh) = _adapter.earlier();
        assertTrue(nextLow == low && nextHigh == high, "the sample before the last");
    }

    /// @dev Wherever in its tick the lower source is, and however little above it the higher one.
    function test_earlierContainsWhatWasSampled() public {
        uint256 price = PRICE;
        for (uint256 i = 0; i < 30; i++) {
            _pass(SAMPLE);
            _round(price, price + (price * 9) / 100_000);
            (uint256 low, uint256 high) = (
                (price << 128) / USD,
                ((price + (price * 9) / 100_000) << 128) / USD
            );
            price += PRICE / 700;
            _pass(SAMPLE);
            _round(price, price);
            (uint256 from, uint256 to) = _adapter.earlier();
            assertTrue(from <= low && to >= high, "contained");
        }
    }

    function test_earlierSpansBothSourcesAndIsNothingBeforeASample() public {
        for (uint256 i = 0; i < 2; i++) {
            _pass(SAMPLE);
            _round(PRICE, (PRICE * 102) / 100);
        }
        (uint256 low, uint256 high) = _adapter.earlier();
        uint256 price = (PRICE << 128) / USD;
        assertLe(low, price, "low");
        assertLe(price - price / 5_000, low, "not much lower");
        assertLe((price * 102) / 100, high, "high");
        assertLe(high, (price * 10_203) / 10_000, "not much higher");
        OracleAdapter blank = new OracleAdapter(_adapter.config());
        _second.setReverting(true);
        (low, high) = blank.earlier();
        assertEq(low + high, 0, "nothing");
    }

    // ------------------------------------------------------------------ one source

    /// @dev A jump of one round moves one end of the price only: what it would make liquidatable, here or in the mirror,
    /// waits for the next round.
    function testFuzz_O3_oneRoundDoesNotCarryAJump(uint256 jump, bool primary) public {
        uint256 to = (PRICE * (BPS - 999 + (jump % 1_999))) / BPS;
        (SettableFeed dead, SettableFeed alive) = primary ? (_second, _first) : (_first, _second);
        dead.setReverting(true);
        alive.set(int256(to));
        Price memory price = _adapter.read();
        uint256 distance = to > PRICE ? to - PRICE : PRICE - to;
        assertTrue(price.state == PriceState.Single, "state");
        if (distance * BPS > PRICE * 300) {
            assertEq(price.low, (Math.min(to, PRICE) << 128) / USD, "low");
            assertEq(price.high, Math.ceilDiv(Math.max(to, PRICE) << 128, USD), "high");
        } else {
            assertEq(price.low, (to << 128) / USD, "low");
        }
        alive.set(int256(to));
        price = _adapter.read();
        assertEq(price.low, (to << 128) / USD, "low, borne out");
        assertEq(price.high, Math.ceilDiv(to << 128, USD), "high, borne out");
    }

    function test_aJumpWithoutARoundBeforeIsNotBelieved() public {
        _second.setReverting(true);
        _first.setRound(77, int256((PRICE * 95) / 100), _now);
        assertTrue(_adapter.read().state == PriceState.Dead, "nothing at 76");
        _first.setRound(78, int256((PRICE * 95) / 100), _now);
        assertTrue(_adapter.read().state == PriceState.Single, "77");
        _first.setRound(1 << 64, int256((PRICE * 95) / 100), _now);
        assertTrue(_adapter.read().state == PriceState.Dead, "the first of a phase");
        _first.setRound(0, int256((PRICE * 95) / 100), _now);
        assertTrue(_adapter.read().state == PriceState.Dead, "there is none before 0");
    }

    // ------------------------------------------------------------------ samples

    /// @dev Whatever the rounds: `earlier` covers a Fresh price that was recorded at least a sample's period before the
    /// newest sample, and so before now.
    function testFuzz_O4_earlierIsOlderThanASample(uint256 seed) public {
        uint256[] memory times = new uint256[](40);
        uint256[] memory prices = new uint256[](40);
        for (uint256 i = 0; i < 40; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            _pass(1 + (seed % 500));
            uint256 price = (PRICE * (9_000 + ((seed >> 32) % 2_000))) / BPS;
            _round(price, price);
            (times[i], prices[i]) = (_now, price);
            (uint256 low, uint256 high) = _adapter.earlier();
            if (low == 0) continue;
            (, , uint32 sampledAt, , , , , , ) = _adapter.history();
            bool found;
            for (uint256 j = 0; j <= i; j++) {
                uint256 q128 = (prices[j] << 128) / USD;
                if (low <= q128 && q128 <= high && times[j] + SAMPLE <= sampledAt) found = true;
            }
            // The two rounds of the arrangement are older still.
            uint256 first = (PRICE << 128) / USD;
            assertTrue(found || (low <= first && first <= high), "no such round");
            assertLe((high - low) * BPS, low * 3, "not that tight");
            (uint256 mirroredLow, uint256 mirroredHigh) = _mirror.earlier();
            assertTrue(mirroredLow <= mirroredHigh && mirroredLow > 0, "mirrored");
        }
    }

    function test_earlierNeedsTwoSamples() public {
        (uint256 low, uint256 high) = _adapter.earlier();
        assertEq(low + high, 0, "one sample");
        _pass(SAMPLE - 1);
        _round(PRICE, PRICE);
        (low, high) = _adapter.earlier();
        assertEq(low + high, 0, "too early");
        _pass(1);
        _adapter.update(); // of the same round
        (low, high) = _adapter.earlier();
        assertEq(low + high, 0, "the same round");
        _first.set(int256((PRICE * 99) / 100));
        _second.set(int256((PRICE * 99) / 100));
        (low, high) = _adapter.earlier();
        assertTrue(low <= (PRICE << 128) / USD && high >= (PRICE << 128) / USD, "before it is recorded, too");
    }

    function test_aRoundBeforeThatIsNoAnswerBearsNothingOut() public {
        _second.setReverting(true);
        _first.set(int256((PRICE * 95) / 100));
        uint80 before = _first.latestRound() - 1;
        bytes memory ask = abi.encodeCall(_first.getRoundData, (before));
        uint256[5] memory words = [before, PRICE, 0, 1, 0];
        VM.mockCall(address(_first), ask, abi.encode(words));
        assertTrue(_adapter.read().state == PriceState.Single, "the control: updated is what counts");
        for (uint256 i = 0; i < 4; i++) {
            words = [before, PRICE, 1, 1, 1];
            if (i == 0) words[0] = before - 1;
            else if (i == 1) words[1] = 0;
            else if (i == 2) words[1] = 1 << 128;
            else words[3] = 0;
            VM.mockCall(address(_first), ask, abi.encode(words));
            assertTrue(_adapter.read().state == PriceState.Dead, "no answer");
        }
        VM.mockCall(address(_first), ask, abi.encode(before, PRICE, 1, 1));
        assertTrue(_adapter.read().state == PriceState.Dead, "a word is missing");
        // Before round 0 there is none, whatever the feed answers.
        uint256[5] memory none = [uint256(0), (PRICE * 95) / 100, _now, _now, 0];
        VM.mockCall(address(_first), abi.encodeCall(_first.latestRoundData, ()), abi.encode(none));
        words = [type(uint256).max, PRICE, 1, 1, 1];
        VM.mockCall(address(_first), abi.encodePacked(_first.getRoundData.selector), abi.encode(words));
        assertTrue(_adapter.read().state == PriceState.Dead, "the first round");
    }

    // ------------------------------------------------------------------ outages

    function test_anOutageIsProvenByWhoeverSeesIt() public {
        (uint256 low, uint256 high) = _adapter.jumpRange();
        assertEq(low, Math.ceilDiv((PRICE << 128) * 9, 10 * USD), "from");
        assertEq(high, ((PRICE << 128) * 11) / (10 * USD), "to");
        _first.setReverting(true);
        _second.setReverting(true);
        assertEq(_adapter.provenDead(), 0, "not seen yet");
        _adapter.update();
        for (uint256 i = 0; i < 8 * 24; i++) {
            _pass(1 hours);
            assertEq(_adapter.provenDead(), (i + 1) * 1 hours, "as long as it is seen");
            _adapter.update();
        }
        assertEq(_mirror.provenDead(), 8 days, "in the mirror");
        _first.setReverting(false);
        _adapter.update();
        assertTrue(_adapter.read().state == PriceState.Single, "one lives again");
        assertEq(_adapter.provenDead(), 8 days, "and proves nothing else");
        _second.setReverting(false);
        _adapter.update();
        assertTrue(_adapter.read().state == PriceState.Fresh, "lives again");
        assertEq(_adapter.provenDead(), 8 days, "the last one");
        _pass(14 days);
        assertEq(_adapter.provenDead(), 8 days, "two weeks later");
        _pass(1);
        assertEq(_adapter.provenDead(), 0, "no proof for ever");
    }

    function test_theJumpRangeIsRoundedInward() public {
        _round(PRICE + USD / 3, PRICE + USD / 3);
        (uint160 recorded, , , , , ) = _adapter.lastFresh();
        uint256 last = uint256(recorded) << 32;
        assertTrue((last * 9) % 10 != 0, "the control");
        (uint256 low, uint256 high) = _adapter.jumpRange();
        assertEq(low, Math.ceilDiv(last * 9, 10), "from");
        assertEq(high, (last * 11) / 10, "to");
    }

    function test_anOutageThatNobodySawForAnHourBeginsAnew() public {
        _first.setReverting(true);
        _second.setReverting(true);
        _adapter.update();
        _pass(1 hours + 1);
        assertEq(_adapter.provenDead(), 0, "anew");
    }

    function test_aPrimaryAboveTheSecondCountsAndInTheMirrorTheOther() public {
        _answers((PRICE * 110) / 100, PRICE);
        _adapter.update();
        _pass(1 hours);
        assertEq(_adapter.provenDead(), 1 hours, "above");
        assertEq(_mirror.provenDead(), 0, "above, in the mirror");
        _answers((PRICE * 90) / 100, PRICE);
        _adapter.update();
        _pass(1 hours);
        assertEq(_adapter.provenDead(), 0, "below");
        assertEq(_mirror.provenDead(), 1 hours, "below, in the mirror");
        _second.setReverting(true);
        _adapter.update();
        _second.setReverting(false);
        _adapter.update();
        assertEq(_mirror.provenDead(), 0, "interrupted");
    }

    // ------------------------------------------------------------------ update

    /// @dev Through whatever happens to its sources: update() says what read() does, and never reverts.
    function testFuzz_O6_updateSaysWhatReadDoes(uint256 seed) public {
        for (uint256 i = 0; i < 40; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            _pass((seed % 7) ** 6);
            SettableFeed feed = seed & 256 == 0 ? _first : _second;
            uint256 kind = (seed >> 16) % 8;
            if (kind == 0) feed.setReverting(true);
            else if (kind == 1) feed.setReverting(false);
            else if (kind == 2) feed.set(int256(seed >> (seed % 256)));
            else if (kind == 3) feed.setRound(uint80(seed), int256(PRICE), _now);
            else if (kind < 6) _answers(PRICE - (PRICE * (seed % 500)) / BPS, PRICE);
            else _answers(PRICE, PRICE);
            Price memory read = _adapter.read();
            (uint256 perDay, uint256 stress) = _adapter.volatility();
            (uint256 low, uint256 high) = _adapter.earlier();
            uint256 left = _adapter.vetoLeft();
            uint256 proven = _adapter.provenDead();
            Price memory updated = _adapter.update();
            assertTrue(keccak256(abi.encode(read)) == keccak256(abi.encode(updated)), "price");
            (uint256 nextPerDay, uint256 nextStress) = _adapter.volatility();
            assertTrue(perDay == nextPerDay && stress == nextStress, "volatility");
            (uint256 nextLow, uint256 nextHigh) = _adapter.earlier();
            assertTrue(low == nextLow && high == nextHigh, "earlier");
            assertEq(left, _adapter.vetoLeft(), "veto");
            assertEq(proven, _adapter.provenDead(), "outage");
            assertLe(updated.maxLtvCut, CUT, "cut");
            assertTrue((updated.state == PriceState.Dead) == (updated.low == 0), "dead");
            assertLe(updated.low, updated.high, "range");
        }
    }

    // ------------------------------------------------------------------ arrangement

    function _deploy() private {
        _first = new SettableFeed(8, "");
        _second = new SettableFeed(8, "");
        OracleConfig memory c;
        c.collateralFeed = FeedConfig(address(_first), type(uint32).max, 1, type(uint128).max);
        c.secondCollateralFeed = FeedConfig(address(_second), type(uint32).max, 1, type(uint128).max);
        (c.band, c.jumpLimit, c.jumpWidening, c.jumpLimitMax) = (300, 1_000, 1_000, 4_000);
        c.calmVolatility = uint16(CALM);
        c.stressVolatility = uint16(STRESS);
        c.maxLtvCut = uint16(CUT);
        c.volatilityPeriod = uint32(PERIOD);
        c.vetoBudget = uint32(BUDGET);
        c.vetoRefill = uint32(REFILL);
        _adapter = new OracleAdapter(c);
        _mirror = new InverseOracleAdapter(_adapter);
    }

    function _pass(uint256 time) private {
        _now += time;
        VM.warp(_now);
    }

    /// @dev Somebody looks as often as it takes to charge all.
    function _watch(uint256 time, IOracleAdapter oracle) private {
        for (uint256 end = _now + time; _now < end; oracle.update()) _pass(CHARGE);
    }

    function _answers(uint256 first, uint256 second) private {
        _first.setReverting(false);
        _second.setReverting(false);
        _first.set(int256(first));
        _second.set(int256(second));
    }

    function _round(uint256 first, uint256 second) private {
        _answers(first, second);
        _adapter.update();
    }

    /// @dev Diverged, and both sources count.
    function _isHeldBack() private view returns (bool) {
        Price memory price = _adapter.read();
        return price.state == PriceState.Diverged && price.high > price.low;
    }
}
