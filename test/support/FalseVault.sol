// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVaultCallback} from "../../contracts/interfaces/IVault.sol";

/// @notice Poses as a market to the LeverageRouter: everybody is everybody's operator, nothing is adjusted, and it calls
/// back as often as it was told to, with bytes of its own if it was given some.
contract FalseVault {
    address public immutable COLLATERAL;
    address private immutable ASSET;
    uint256 private immutable TIMES;
    bytes private _substitute;

    constructor(address collateral, address asset_, uint256 times) {
        COLLATERAL = collateral;
        ASSET = asset_;
        TIMES = times;
    }

    function substitute(bytes calldata data) external {
        _substitute = data;
    }

    function adjust(
        address,
        uint96,
        int256 collateralDelta,
        int256,
        address,
        bytes calldata data
    ) external returns (int256, int256) {
        bytes memory back = data;
        if (_substitute.length != 0) back = _substitute;
        for (uint256 i = 0; i < TIMES; i++) {
            IVaultCallback(msg.sender).onAdjust(uint256(collateralDelta), 0, back);
        }
        return (0, 0);
    }

    function asset() external view returns (address) {
        return ASSET;
    }

    function isOperator(address, address) external pure returns (bool) {
        return true;
    }
}
