// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ILiquidationCallback} from "../../contracts/interfaces/ILiquidator.sol";
import {IVaultCallback} from "../../contracts/interfaces/IVault.sol";

/// @notice A borrower and keeper that says what its callbacks were told.
contract CallbackRecorder is IVaultCallback, ILiquidationCallback {
    using Address for address;

    event Adjusted(address market, uint256 collateral, uint256 debt, bytes data);
    event Liquidated(address caller, address market, uint256 repaid, uint256 seized, bytes data);

    function call(address target, bytes calldata data) external {
        target.functionCall(data);
    }

    function onAdjust(uint256 collateral, uint256 debt, bytes calldata data) external {
        emit Adjusted(msg.sender, collateral, debt, data);
    }

    function onLiquidation(address market, uint256 repaid, uint256 seized, bytes calldata data) external {
        emit Liquidated(msg.sender, market, repaid, seized, data);
    }
}
