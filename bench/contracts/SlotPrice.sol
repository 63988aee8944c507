// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IOracleAdapter, Price, PriceState} from "../../contracts/interfaces/IOracleAdapter.sol";

/// @title SlotPrice
/// @notice The price source of all three protocols: one storage slot, answered in the form that each of them asks for.
/// For a collateral token of 18 decimals and a debt token of 6.
contract SlotPrice is IOracleAdapter {
    address private immutable COLLATERAL;
    /// @notice Whole debt tokens per whole collateral token, 8 decimals (Aave, through AggregatorInterface).
    uint256 public latestAnswer;

    constructor(address collateral) {
        COLLATERAL = collateral;
    }

    function set(uint256 answer) external {
        latestAnswer = answer;
    }

    /// @notice For Morpho Blue: debt token units per collateral token unit, 36 decimals.
    function price() external view returns (uint256) {
        return latestAnswer * 1e16;
    }

    /// @notice For Aave, in place of its AaveOracle: US dollars, 8 decimals; a debt token is worth one.
    function getAssetPrice(address asset) external view returns (uint256) {
        return asset == COLLATERAL ? latestAnswer : 1e8;
    }

    /// @inheritdoc IOracleAdapter
    function read() public view returns (Price memory) {
        uint256 q128 = (latestAnswer << 128) / 1e8;
        return Price({low: q128, high: q128, state: PriceState.Fresh, roundA: 1, roundB: 1, maxLtvCut: 0});
    }

    /// @inheritdoc IOracleAdapter
    function update() external view returns (Price memory) {
        return read();
    }

    /// @inheritdoc IOracleAdapter
    function band() external pure returns (uint16) {
        return 0;
    }

    /// @inheritdoc IOracleAdapter
    function earlier() external pure returns (uint256, uint256) {
        return (0, 0);
    }

    /// @inheritdoc IOracleAdapter
    function jumpRange() external pure returns (uint256, uint256) {
        return (0, 0);
    }

    /// @inheritdoc IOracleAdapter
    function volatility() external pure returns (uint256, uint256) {
        return (0, 0);
    }
}
