// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInsuranceFund} from "../../contracts/interfaces/IInsuranceFund.sol";

/// @notice Poses as a market: its asset is whatever it was told last.
contract TwoFacedMarket {
    address public asset;

    function setAsset(address asset_) external {
        asset = asset_;
    }

    function cover(IInsuranceFund fund, uint256 amount) external {
        fund.cover(amount);
    }
}
