// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// The name is Chainlink's; declared here because its package cannot be installed from the registry alone.
// solhint-disable interface-starts-with-i

/// @title AggregatorV3Interface
/// @notice A Chainlink-style price feed.
interface AggregatorV3Interface {
    /// @notice Decimals of the answers.
    function decimals() external view returns (uint8);

    /// @notice What it quotes, "ETH / USD".
    function description() external view returns (string memory);

    /// @notice Version of the feed's code.
    function version() external view returns (uint256);

    /// @notice A past round; what an unknown one gives is up to the feed.
    function getRoundData(
        uint80 roundId
    )
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @notice The newest round.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
