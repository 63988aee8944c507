// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ITwapPool
/// @notice What an oracle needs of a Uniswap v3 pool.
interface ITwapPool {
    /// @notice The token with the lower address; prices are token 1 per token 0.
    function token0() external view returns (address);

    /// @notice The other token.
    function token1() external view returns (address);

    /// @notice The pool's state; `cardinality` is the number of observations that it can hold now.
    function slot0()
        external
        view
        returns (
            uint160 sqrtPriceX96,
            int24 tick,
            uint16 index,
            uint16 cardinality,
            uint16 cardinalityNext,
            uint8 feeProtocol,
            bool unlocked
        );

    /// @notice Sums of the tick over time; reverts ("OLD") when the pool cannot look back so far.
    function observe(
        uint32[] calldata secondsAgos
    )
        external
        view
        returns (int56[] memory tickCumulatives, uint160[] memory secondsPerLiquidityCumulativeX128s);
}
