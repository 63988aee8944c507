// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

interface IAdjustable {
    function adjust(
        address owner,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta,
        address receiver,
        bytes calldata data
    ) external returns (int256, int256);
}

/// @title Crowd
/// @notice Owns many positions, opened many at a time, for the keeper's bench.
contract Crowd {
    function approve(IERC20 token, address market) external {
        token.approve(market, type(uint256).max);
    }

    /// @notice Opens the sub-accounts from `first` on, all alike.
    function open(IAdjustable market, uint96 first, uint96 count, int256 collateral, int256 debt) external {
        for (uint96 sub = first; sub < first + count; sub++)
            market.adjust(address(this), sub, collateral, debt, address(this), "");
    }
}
