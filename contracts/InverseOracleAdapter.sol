// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IOracleAdapter, Price} from "./interfaces/IOracleAdapter.sol";
import {PriceMath} from "./libraries/PriceMath.sol";

/// @title InverseOracleAdapter
/// @notice The price of the mirrored market: the other adapter's debt token in units of its collateral token.
/// low = 1 / (the other's high) rounded down, high = 1 / (the other's low) rounded up; state and rounds are the other's.
/// It keeps nothing: both markets record into, and are limited by, the one adapter behind.
contract InverseOracleAdapter is IOracleAdapter {
    /// @notice The adapter that is mirrored.
    IOracleAdapter public immutable MIRRORED;

    error AdapterMissing(address adapter);

    constructor(IOracleAdapter mirrored) {
        require(address(mirrored).code.length > 0, AdapterMissing(address(mirrored)));
        MIRRORED = mirrored;
    }

    /// @inheritdoc IOracleAdapter
    function read() external view returns (Price memory price) {
        price = MIRRORED.read();
        (price.low, price.high) = PriceMath.inverse(price.low, price.high);
    }

    /// @inheritdoc IOracleAdapter
    function update() external returns (Price memory price) {
        price = MIRRORED.update();
        (price.low, price.high) = PriceMath.inverse(price.low, price.high);
    }

    /// @inheritdoc IOracleAdapter
    /// @dev Inverting both prices leaves their ratio, and so the distance in parts of the lower, as it is.
    function band() external view returns (uint16) {
        return MIRRORED.band();
    }
}
