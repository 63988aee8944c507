// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

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

    function _units() private pure returns (Market.Units memory) {
        return Market.Units(25, 1, 1, 1, 1, 1);
    }
}
