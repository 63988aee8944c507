// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDeadProof, IMirrored, IOracleAdapter, Price} from "./interfaces/IOracleAdapter.sol";
import {PriceMath} from "./libraries/PriceMath.sol";

/// @title InverseOracleAdapter
/// @notice The price of the mirrored market: the other adapter's debt token in units of its collateral token.
/// low = 1 / (the other's high) rounded down, high = 1 / (the other's low) rounded up; state and rounds are the other's.
/// It keeps nothing: both markets record into, and are limited by, the one adapter behind.
contract InverseOracleAdapter is IOracleAdapter, IDeadProof, IMirrored {
    /// @notice The adapter that is mirrored.
    IOracleAdapter public immutable MIRRORED;

    error AdapterMissing(address adapter);

    constructor(IOracleAdapter mirrored) {
        require(address(mirrored).code.length > 0, AdapterMissing(address(mirrored)));
        MIRRORED = mirrored;
    }

    /// @inheritdoc IOracleAdapter
    function read() external view returns (Price memory price) {
        price = IMirrored(address(MIRRORED)).readMirrored();
        (price.low, price.high) = PriceMath.inverse(price.low, price.high);
    }

    /// @inheritdoc IOracleAdapter
    function update() external returns (Price memory price) {
        price = IMirrored(address(MIRRORED)).updateMirrored();
        (price.low, price.high) = PriceMath.inverse(price.low, price.high);
    }

    /// @inheritdoc IMirrored
    function readMirrored() external view returns (Price memory price) {
        price = MIRRORED.read();
        (price.low, price.high) = PriceMath.inverse(price.low, price.high);
    }

    /// @inheritdoc IMirrored
    function updateMirrored() external returns (Price memory price) {
        price = MIRRORED.update();
        (price.low, price.high) = PriceMath.inverse(price.low, price.high);
    }

    /// @inheritdoc IOracleAdapter
    /// @dev Inverting both prices leaves their ratio, and so the distance in parts of the lower, as it is.
    function band() external view returns (uint16) {
        return MIRRORED.band();
    }

    /// @inheritdoc IOracleAdapter
    function earlier() external view returns (uint256 low, uint256 high) {
        (low, high) = MIRRORED.earlier();
        return PriceMath.inverse(low, high);
    }

    /// @inheritdoc IOracleAdapter
    function jumpRange() external view returns (uint256 low, uint256 high) {
        (low, high) = MIRRORED.jumpRange();
        return PriceMath.inverse(low, high);
    }

    /// @inheritdoc IOracleAdapter
    /// @dev The logarithm's returns change their sign only.
    function volatility() external view returns (uint256, uint256) {
        return MIRRORED.volatility();
    }

    /// @inheritdoc IDeadProof
    function provenDead() external view returns (uint256) {
        return IDeadProof(address(MIRRORED)).provenDeadMirrored();
    }

    /// @inheritdoc IDeadProof
    function provenDeadMirrored() external view returns (uint256) {
        return IDeadProof(address(MIRRORED)).provenDead();
    }
}
