// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BrakeLevel} from "../../contracts/interfaces/IEmergencyBrake.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {Test} from "../support/Vm.sol";

contract MarketTest is Test {
    /// @dev A tick of a few units of debt may have no whole unit of collateral behind it.
    function test_potWithoutCollateralIsWrittenOffForNothing() public view {
        uint256 price = Market.potPrice(5, 0, 2000 << 128, block.timestamp, 150, 800, _units());
        assertEq(price, 0, "no price");
        (uint256 bought, uint256 cost, uint256 debtSold) = Market.potSale(5, 0, price, 0);
        assertEq(bought, 0, "nothing to buy");
        assertEq(cost, 0, "for nothing");
        assertEq(debtSold, 5, "the debt goes all the same");
    }

    function testFuzz_potNeverSellsMoreThanItHas(
        uint256 debt,
        uint256 collateral,
        uint256 price,
        uint256 budget
    ) public view {
        debt = anyLength(debt, 1, 127);
        collateral = anyLength(collateral, 1, 127);
        uint256 u = Market.potPrice(
            debt,
            collateral,
            anyLength(price, 65, 192),
            block.timestamp,
            150,
            800,
            _units()
        );
        budget = anyLength(budget, 1, 168);
        (uint256 bought, uint256 cost, uint256 debtSold) = Market.potSale(debt, collateral, u, budget);
        assertLe(bought, collateral, "collateral");
        assertLe(debtSold, debt, "debt");
        assertLe(cost, budget, "cost");
        if (bought == collateral) assertEq(debtSold, debt, "the last unit takes all debt");
    }

    // ------------------------------------------------------------------ exact figures

    function test_potPriceFallsWithTime() public {
        VM.warp(1_000_000);
        Market.Units memory u = _units();
        uint256 price = 10_800 << 128;
        uint256 debt = 1e30; // more than any price asks
        // 1.5 % at the start, 4.75 % after half an hour, 8 % after an hour and for ever
        assertEq(Market.potPrice(debt, 1, price, 1_000_000, 150, 800, u), (price * 10_000) / 10_150, "start");
        assertEq(Market.potPrice(debt, 1, price, 998_200, 150, 800, u), (price * 10_000) / 10_475, "half");
        assertEq(Market.potPrice(debt, 1, price, 996_400, 150, 800, u), 10_000 << 128, "an hour");
        assertEq(Market.potPrice(debt, 1, price, 1, 150, 800, u), 10_000 << 128, "days");
        // What is owed less than that is asked for, but never less than the price at bonusMax.
        assertEq(
            Market.potPrice(10_100, 1, price, 996_400, 150, 800, u),
            10_000 << 128,
            "at most the ceiling"
        );
        assertEq(Market.potPrice(10_100, 1, price, 1_000_000, 150, 800, u), 10_100 << 128, "its debt");
        assertEq(
            Market.potPrice(9_000, 1, price, 1_000_000, 150, 800, u),
            10_000 << 128,
            "at least the floor"
        );
        u.priceMultiplier = 100;
        assertEq(Market.potPrice(debt, 1, price, 1, 150, 800, u), 1_000_000 << 128, "in units");
    }

    function test_seizedAtIsTheMeanWeightedByCollateral() public {
        VM.warp(1_000_000);
        assertEq(Market.seizedAtWith(5, 100, 0), 5, "nothing joins, nothing changes");
        assertEq(Market.seizedAtWith(999_000, 0, 7), 1_000_000, "the first counts from now");
        assertEq(Market.seizedAtWith(999_000, 300, 100), 999_250, "three quarters of 1,000 seconds");
        assertEq(Market.seizedAtWith(999_000, 300, 101), 999_251, "the earlier second");
        assertEq(Market.seizedAtWith(1, 100, 100), 998_200, "half of the whole hour, not of what is beyond");
    }

    function test_potSaleIsExact() public pure {
        uint256 u = (3 << 128) / 2; // 1.5
        (uint256 bought, uint256 cost, uint256 debtSold) = Market.potSale(1_000, 101, u, 152);
        assertEq(bought, 101, "all");
        assertEq(cost, 152, "rounded up");
        assertEq(debtSold, 1_000, "all of the debt");
        (bought, cost, debtSold) = Market.potSale(1_000, 101, u, 151);
        assertEq(bought, 100, "what the budget buys");
        assertEq(cost, 150, "its price");
        assertEq(debtSold, 990, "its share of the debt, rounded down");
    }

    function test_reservesGetTheirShareOfTheTokensThatInterestBrings() public {
        VM.warp(2_000_000);
        Market.Units memory u = Market.Units(25, 1, 1, 1e12, 1, 1, address(0)); // a debt token of 6 decimals
        for (uint256 i; i < 32; i++) {
            Market.Ledger memory l = _ledger();
            l.debt = uint104(anyLength(uint256(keccak256(abi.encode(i))), 70, 90));
            uint256 debt = Market.debtTokensDown(Market.unitsDown(l.debt, l.borrowIndex), u);
            Market.charge(l, u, address(this));
            uint256 after_ = Market.debtTokensDown(Market.unitsDown(l.debt, l.borrowIndex), u);
            assertEq(l.reserves, 7 + after_ - debt, "all of it, at 100 percent");
            assertEq(l.accruedAt, 2_000_000, "charged up to now");
            assertLt(2 ** 72, l.borrowIndex, "the index rises");
        }
    }

    function test_nothingOwedNoInterest() public {
        VM.warp(2_000_000);
        Market.Ledger memory l = _ledger();
        Market.charge(l, _units(), address(this));
        assertEq(l.borrowIndex, 2 ** 72, "index");
        assertEq(l.reserves, 7, "reserves");
        assertEq(l.accruedAt, 2_000_000, "charged up to now");
        assertLt(l.rateAtTarget, 1e9, "the rate still falls while nobody borrows");
    }

    /// @dev Index and reserves stop where their fields end: repaying goes on.
    function test_indexAndReservesSaturate() public {
        VM.warp(2_000_000);
        Market.Ledger memory l = _ledger();
        l.borrowIndex = type(uint104).max;
        l.reserves = type(uint112).max;
        l.debt = type(uint104).max;
        Market.charge(l, _units(), address(this));
        assertEq(l.borrowIndex, type(uint104).max, "index");
        assertEq(l.reserves, type(uint112).max, "reserves");
        l.borrowIndex = type(uint104).max / 2 + 1;
        l.accruedAt = 1;
        l.rateAtTarget = uint40(uint256(2e18) / 365 days);
        VM.warp(2 ** 31);
        Market.charge(l, _units(), address(this));
        assertEq(l.borrowIndex, type(uint104).max, "index grown beyond its field");
        assertEq(l.reserves, type(uint112).max, "reserves grown beyond theirs");
    }

    function test_utilizationIsTheShareLentOut() public pure {
        assertEq(Market.utilization(0, 0), 0, "nothing there");
        assertEq(Market.utilization(0, 5), 0, "nothing lent");
        assertEq(Market.utilization(3, 1), 0.75e18, "three of four");
        assertEq(Market.utilization(1, 0), 1e18, "all of it");
    }

    function test_pricesAreTurnedIntoTheBooksAndBack() public pure {
        Market.Units memory u = Market.Units(25, 1, 1, 1, 1, 1_000, address(0));
        uint256 index = 3 * 2 ** 71; // 1.5
        assertEq(Market.bookPriceDown(10 << 128, index, u), (uint256(20_000) << 128) / 3, "down");
        assertEq(Market.bookPriceUp(10 << 128, index, u), (uint256(20_000) << 128) / 3 + 1, "up");
        assertEq(Market.wholePrice(20_000 << 128, index, u), 30 << 128, "and back");
        assertEq(
            Market.liquidationPrice(4_300 << 128, 8_600, index, u),
            ((uint256(15) << 128) / 2),
            "R / threshold"
        );
        assertEq(Market.unitsDown(7, index), 10, "7 at 1.5, down");
        assertEq(Market.unitsUp(7, index), 11, "and up");
        assertEq(Market.bookDown(11, index), 7, "11 / 1.5, down");
        assertEq(Market.bookUp(11, index), 8, "and up");
    }

    function test_tokensAndUnitsOfEitherScale() public pure {
        Market.Units memory fine = Market.Units(25, 1, 1e6, 1, 1e6, 1, address(0)); // tokens of 24 decimals
        assertEq(Market.debtUnitsDown(1_999_999, fine), 1, "debt, down");
        assertEq(Market.debtUnitsUp(1_000_001, fine), 2, "debt, up");
        assertEq(Market.debtTokensDown(2, fine), 2_000_000, "debt tokens, down");
        assertEq(Market.debtTokensUp(2, fine), 2_000_000, "debt tokens, up");
        assertEq(Market.collateralUnitsDown(1_999_999, fine), 1, "collateral, down");
        assertEq(Market.collateralUnitsUp(1_000_001, fine), 2, "collateral, up");
        assertEq(Market.collateralTokensDown(2, fine), 2_000_000, "collateral tokens");
        Market.Units memory coarse = Market.Units(25, 1e12, 1, 1e12, 1, 1, address(0)); // tokens of 6 decimals
        assertEq(Market.debtUnitsDown(3, coarse), 3e12, "debt, down");
        assertEq(Market.debtUnitsUp(3, coarse), 3e12, "debt, up");
        assertEq(Market.debtTokensDown(1_999_999_999_999, coarse), 1, "debt tokens, down");
        assertEq(Market.debtTokensUp(1_000_000_000_001, coarse), 2, "debt tokens, up");
        assertEq(Market.collateralUnitsDown(3, coarse), 3e12, "collateral, down");
        assertEq(Market.collateralUnitsUp(3, coarse), 3e12, "collateral, up");
        assertEq(Market.collateralTokensDown(1_999_999_999_999, coarse), 1, "collateral tokens");
    }

    /// @dev At its own second a pause has ended.
    function test_levelsEndAtTheirSecond() public {
        VM.warp(100);
        assertTrue(Market.levelOf(103, 101, 102) == BrakeLevel.LiquidationsPaused, "paused");
        assertTrue(Market.levelOf(103, 100, 102) == BrakeLevel.Grace, "grace");
        assertTrue(Market.levelOf(103, 100, 100) == BrakeLevel.NoNewRisk, "no new risk");
        assertTrue(Market.levelOf(100, 100, 100) == BrakeLevel.None, "none");
    }

    function test_insolventFromEquityOfBonusMinOn() public pure {
        assertTrue(Market.isInsolvent(10_000, 10_150, 150), "exactly bonusMin");
        assertTrue(!Market.isInsolvent(10_000, 10_151, 150), "a little more");
    }

    Market.State private _state;

    /// @dev Cash 1,000 and debt 500 tokens of 18 decimals; a pot that owes 300 and would fetch 200 at this price.
    function test_lendersOwnCashDebtAndTheMarkOfThePot() public {
        VM.warp(1_000_000);
        (_state.risk.bonusMin, _state.liquidations.bonusMax) = (0, 800);
        assertEq(_assets(0, 0, 0, 0), 1_500, "no pot");
        assertEq(_assets(40, 0, 0, 0), 1_460, "less reserves");
        assertEq(_assets(2_000, 0, 0, 0), 0, "not less than nothing");
        assertEq(_assets(0, 300, 200, 0), 1_700, "what the pot fetches");
        assertEq(_assets(0, 300, 200, 60), 1_760, "and what insurance covers");
        assertEq(_assets(0, 300, 200, 160), 1_800, "at most its debt");
        assertEq(_assets(40, 300, 200, 60), 1_760, "the rest is the reserves' loss");
        assertEq(_assets(50, 300, 200, 60), 1_750, "as far as it goes");
    }

    function _assets(
        uint112 reserves,
        uint256 potDebt,
        uint256 potCollateral,
        uint256 insurance
    ) private view returns (uint256) {
        Market.Ledger memory l = _ledger();
        (l.cash, l.reserves) = (1_000, reserves);
        return
            Market.lenderAssets(
                _state,
                l,
                500,
                potDebt,
                potCollateral,
                block.timestamp,
                1 << 128,
                insurance,
                _units()
            );
    }

    /// @dev A day of interest at 100 percent for the reserves.
    function _ledger() private pure returns (Market.Ledger memory) {
        return
            Market.Ledger({
                borrowIndex: 2 ** 72,
                cash: 0,
                rateAtTarget: 1e9,
                debt: 0,
                reserves: 7,
                accruedAt: 1_913_600,
                reserveFactor: 100
            });
    }

    function _units() private pure returns (Market.Units memory) {
        return Market.Units(25, 1, 1, 1, 1, 1, address(0));
    }
}
