// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Price, PriceState} from "../../contracts/interfaces/IOracleAdapter.sol";
import {LiquidationRequest} from "../../contracts/interfaces/IVault.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {TickBook} from "../../contracts/libraries/TickBook.sol";
import {BookHarness} from "../support/BookHarness.sol";
import {Test} from "../support/Vm.sol";

/// @notice A book that keeps nothing for audits.
contract UnauditedBook is BookHarness {
    // solhint-disable-next-line no-empty-blocks
    constructor(int24 spacing, uint256 keys) BookHarness(spacing, keys) {}

    // solhint-disable-next-line no-empty-blocks
    function _remember(uint32) internal override {}
}

/// @notice Gas of the bare book: no token, no oracle. The snapshot keeps it from growing unnoticed; each number includes
/// the harness's own count of the collateral, and not the 21,000 of a transaction.
contract BookGas is Test {
    int24 private constant SPACING = 25;
    int24 private constant BASE = 2900; // a ratio of about 1,400
    int256 private constant ALL = type(int256).min;
    int256 private constant WHOLE_DEBT = -int256(uint256(type(uint128).max));

    BookHarness private _book;

    /// @dev Fifty dense ticks, two positions each, and a region below that is in use.
    function setUp() public {
        _book = new UnauditedBook(SPACING, 200);
        for (uint256 i; i < 50; i++) {
            _join(1 + i, BASE + int24(uint24(i)), 1e18);
            _join(51 + i, BASE + int24(uint24(i)), 2e18);
        }
        _join(150, BASE - 100, 1e18);
        _join(151, BASE - 60, 1e18);
    }

    function test_gas_joinPopulatedTick() public {
        _join(160, BASE, 1e18);
    }

    function test_gas_joinFreshTick() public {
        _join(160, BASE - 61, 1e18);
    }

    function test_gas_joinNewRegion() public {
        _join(160, BASE - 2000, 1e18);
    }

    function test_gas_adjustInPlace() public {
        _book.change(1, int256(TickBook.behindUp(1e17, Grid.ratioOf(BASE, SPACING))), 1e17, true);
    }

    function test_gas_close() public {
        _book.change(1, ALL, WHOLE_DEBT, true);
    }

    function test_gas_sweep1Tick() public {
        _sweep(1);
    }

    function test_gas_sweep10Ticks() public {
        _sweep(10);
    }

    function test_gas_sweep50Ticks() public {
        _sweep(50);
    }

    function _join(uint256 key, int24 tick, uint256 debt) private {
        _book.change(key, int256(TickBook.behindUp(debt, Grid.ratioOf(tick, SPACING))), int256(debt), true);
    }

    /// @dev The price at which the fifty ticks lie between threshold and total seizure.
    function _sweep(uint32 ticks) private {
        uint256 price = (Grid.ratioOf(BASE, SPACING) / 8600) * 10_000;
        LiquidationRequest memory r;
        r.maxRepay = 1e30;
        r.fromTick = type(int24).max;
        r.maxTicks = ticks;
        _book.liquidate(Price(price, price, PriceState.Fresh, 0, 0, 0), r);
    }
}
