// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ILiquidationCallback, ILiquidator} from "../interfaces/ILiquidator.sol";
import {IVault, IVaultCallback} from "../interfaces/IVault.sol";

/// @notice A borrower's and keeper's contract for tests: in its callbacks it makes the calls that it was told to make.
contract CallbackCaller is IVaultCallback, ILiquidationCallback {
    using Address for address;

    struct Call {
        address target;
        bytes data;
    }

    uint256 public seenTotalAssets;

    function call(address target, bytes calldata data) external returns (bytes memory) {
        return target.functionCall(data);
    }

    function adjust(
        IVault vault,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta,
        Call[] calldata calls
    ) external {
        vault.adjust(address(this), sub, collateralDelta, debtDelta, address(this), abi.encode(calls));
    }

    function liquidate(
        ILiquidator liquidator,
        ILiquidator.Order calldata order,
        Call[] calldata calls
    ) external {
        liquidator.liquidate(order, abi.encode(calls));
    }

    function onAdjust(uint256, uint256, bytes calldata data) external {
        seenTotalAssets = IVault(msg.sender).totalAssets();
        _make(data);
    }

    function onLiquidation(address, uint256, uint256, bytes calldata data) external {
        _make(data);
    }

    function _make(bytes calldata data) private {
        Call[] memory calls = abi.decode(data, (Call[]));
        for (uint256 i = 0; i < calls.length; i++) calls[i].target.functionCall(calls[i].data);
    }
}
