// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Funding} from "../../contracts/libraries/Funding.sol";
import {Test} from "../support/Vm.sol";

contract FundingTest is Test {
    using Funding for Funding.State;

    uint256 private constant WAD = 1e18;
    uint256 private constant START = 1_700_000_000;
    uint256 private constant ONE = 1 << 128;

    Funding.State private _once;
    Funding.State private _often;

    /// @dev The values of a fuzz run: sides up to 10¹⁵ quote tokens, the skew anywhere.
    function _set(
        uint256 long,
        uint256 short,
        int256 skew,
        uint256 halfLife
    ) private returns (Funding.Terms memory terms) {
        terms = Funding.Terms({deadBand: 0.05e18, halfLife: bound(halfLife, 1 hours, 30 days), floor: 1e12});
        VM.warp(START);
        Funding.Ledger memory s;
        s.valueLong = uint80(bound(long, 0, 1e21));
        s.valueShort = uint80(bound(short, 0, 1e21));
        s.skew = int64((skew % int256(WAD + 1)));
        s.updatedAt = uint32(START);
        (_once.ledger, _often.ledger) = (s, s);
        _once.price = ONE;
    }

    function _poke(Funding.Terms memory terms) private {
        _often.ledger = _often.advanced(terms);
    }

    function testFuzz_F1_pokesChangeNothing(
        uint256 long,
        uint256 short,
        int256 skew,
        uint256 halfLife,
        uint256 elapsed,
        uint256 seed
    ) public {
        Funding.Terms memory terms = _set(long, short, skew, halfLife);
        elapsed = bound(elapsed, 1, 365 days);
        uint256 time;
        uint256 pokes;
        while (time < elapsed) {
            seed = uint256(keccak256(abi.encode(seed)));
            time += bound(seed, 1, elapsed / 16 + 1);
            if (time > elapsed) time = elapsed;
            VM.warp(START + time);
            _poke(terms);
            pokes++;
        }
        Funding.Ledger memory once = _once.advanced(terms);
        Funding.Ledger memory often = _often.advanced(terms);
        // A poke truncates the skew by some WAD⁻¹, which lasts for a half-life, and every due by a billionth of a second.
        uint256 skewError = 4 * (pokes + 1);
        uint256 dueError = 2 * (pokes + 1) + (skewError * (elapsed + 2 * terms.halfLife)) / 1e9;
        assertNear(_unsigned(once.skew), _unsigned(often.skew), skewError, "skew");
        assertNear(once.chargedLong, often.chargedLong, dueError, "longs charged");
        assertNear(once.sparedLong, often.sparedLong, dueError, "longs spared");
        assertNear(once.chargedShort, often.chargedShort, dueError, "shorts charged");
        assertNear(once.sparedShort, often.sparedShort, dueError, "shorts spared");
    }

    function testFuzz_F2_boundedAndTowardsTheTarget(
        uint256 long,
        uint256 short,
        int256 skew,
        uint256 halfLife,
        uint256 elapsed
    ) public {
        Funding.Terms memory terms = _set(long, short, skew, halfLife);
        elapsed = bound(elapsed, 1, 100 * 365 days);
        VM.warp(START + elapsed);
        int256 target = Funding.targetOf(_once.ledger.valueLong, _once.ledger.valueShort, terms);
        int256 start = _once.ledger.skew;
        Funding.Ledger memory s = _once.advanced(terms);
        assertLe(_unsigned(target), WAD + WAD, "the target is at most the full rate");
        assertTrue(target <= int256(WAD) && target >= -int256(WAD), "the target is at most the full rate");
        (int256 least, int256 most) = start < target ? (start, target) : (target, start);
        assertTrue(s.skew >= least && s.skew <= most, "between where it was and its target");
        // Nobody is charged for more than the time that has passed, and only the heavy side is.
        assertLe(uint256(s.chargedLong) + s.chargedShort, elapsed * 1e9, "at most the full rate");
        assertEq(s.chargedLong, s.sparedShort, "who is charged, and who is spared meanwhile");
        assertEq(s.chargedShort, s.sparedLong, "who is charged, and who is spared meanwhile");
        if (start >= 0 && target >= 0) assertEq(s.chargedShort, 0, "shorts were never heavy");
        if (start <= 0 && target <= 0) assertEq(s.chargedLong, 0, "longs were never heavy");
    }

    function testFuzz_F2_imbalanceWithinTheDeadBandIsFree(uint256 long, uint256 part) public {
        Funding.Terms memory terms = _set(0, 0, 0, 12 hours);
        long = bound(long, 1e12, 1e21);
        // (L − S) / (L + S) ≤ 5 %
        uint256 short = long - (long * bound(part, 0, 95)) / 1_000;
        assertEq(Funding.targetOf(long, short, terms), 0, "free");
        assertEq(Funding.targetOf(short, long, terms), 0, "free");
        assertTrue(Funding.targetOf(long, (long * 9) / 10, terms) > 0, "longs pay");
        assertTrue(Funding.targetOf((long * 9) / 10, long, terms) < 0, "shorts pay");
    }

    function testFuzz_F3_neverReverts(
        uint256 long,
        uint256 short,
        int256 skew,
        uint256 debt,
        uint256 price,
        uint32 elapsed,
        bool isLong
    ) public {
        Funding.Terms memory terms = _set(0, 0, skew, 12 hours);
        _once.ledger.valueLong = uint80(long);
        _once.ledger.valueShort = uint80(short);
        VM.warp(START + (elapsed % (type(uint32).max - START)));
        _once.price = price;
        _once.push(terms, isLong, debt);
        Funding.Ledger memory l = _once.ledger;
        assertEq(isLong ? l.chargedLong : l.chargedShort, 0, "taken");
        assertEq(isLong ? l.sparedLong : l.sparedShort, 0, "taken");
    }

    /// @dev A piece so small that its rounding has the other sign: a wrong sign would be the greatest due there is.
    function test_F2_aPieceThatIsAllButNothingChargesNobody() public {
        Funding.Terms memory terms = Funding.Terms({deadBand: 0, halfLife: 12 hours, floor: 1});
        for (uint256 i = 0; i < 2; i++) {
            VM.warp(START);
            Funding.Ledger memory l;
            (l.valueLong, l.valueShort) = (5e17 - 4_381_582, 5e17 + 4_381_582);
            l.skew = 424_300_038_814_548_033;
            if (i == 1) (l.valueLong, l.valueShort, l.skew) = (l.valueShort, l.valueLong, -l.skew);
            l.updatedAt = uint32(START);
            _once.ledger = l;
            assertEq(
                _unsigned(Funding.targetOf(5e17 - 4_381_582, 5e17 + 4_381_582, terms)),
                WAD - 8_763_164,
                "target"
            );
            VM.warp(START + 1_533_378);
            l = _once.advanced(terms);
            assertTrue(i == 0 ? l.skew < 0 : l.skew > 0, "has just crossed");
            (uint256 heavy, uint256 light) = i == 0
                ? (l.chargedLong, l.chargedShort)
                : (l.chargedShort, l.chargedLong);
            assertEq(light, 0, "all but nothing");
            // skew × life: 0.4243 × 62,324 s
            assertNear(heavy, 26_444e9, 1e9, "the other side is charged as ever");
        }
    }

    function test_F2_noTimeChargesNobody() public {
        Funding.Terms memory terms = _set(1e20, 0, int256(WAD / 2), 12 hours);
        Funding.Ledger memory l = _once.advanced(terms);
        assertEq(l.skew, _once.ledger.skew, "skew");
        assertEq(uint256(l.chargedLong) + l.sparedLong + l.chargedShort + l.sparedShort, 0, "dues");
    }

    function test_halfLife() public {
        Funding.Terms memory terms = _set(1e20, 0, 0, 12 hours);
        VM.warp(START + terms.halfLife);
        assertNear(_unsigned(_once.advanced(terms).skew), WAD + WAD / 2, 2, "half of the way");
        VM.warp(START + 2 * terms.halfLife);
        assertNear(_unsigned(_once.advanced(terms).skew), WAD + (WAD * 3) / 4, 2, "three quarters");
    }

    function test_valuesTheShortsDebtAtTheLastPrice() public {
        Funding.Terms memory terms = _set(0, 0, 0, 12 hours);
        _once.price = 2_000 * ONE;
        _once.push(terms, false, 3e18);
        assertEq(_once.ledger.valueShort, 6_000e6, "at that price");
        _once.push(terms, false, 1e18);
        assertEq(_once.ledger.valueShort, 2_000e6, "at the last one");
        _once.price = 1_000 * ONE;
        _once.push(terms, true, 500e18);
        assertEq(_once.ledger.valueLong, 500e6, "is in the quote token already");
        assertEq(_once.ledger.valueShort, 2_000e6, "until the short market says so");
    }

    /// @dev −WAD … WAD as 0 … 2 WAD.
    function _unsigned(int256 skew) private pure returns (uint256) {
        return uint256(skew + int256(WAD));
    }
}
