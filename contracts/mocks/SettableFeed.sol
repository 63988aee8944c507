// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AggregatorV3Interface} from "../interfaces/AggregatorV3Interface.sol";

/// @title SettableFeed
/// @notice A Chainlink-style feed for local chains: whoever calls decides what it answers.
contract SettableFeed is AggregatorV3Interface {
    struct Round {
        int256 answer;
        uint256 updatedAt;
    }

    error Unavailable();
    error UnknownRound(uint80 roundId);

    /// @dev As Chainlink's feeds do, so that everything that follows the price can be driven by events.
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    uint8 private immutable DECIMALS;
    /// @inheritdoc AggregatorV3Interface
    string public description;
    uint80 public latestRound;
    bool public reverting;
    mapping(uint80 roundId => Round) private _rounds;

    constructor(uint8 decimals_, string memory description_) {
        DECIMALS = decimals_;
        description = description_;
    }

    /// @notice A new round, now.
    function set(int256 answer) external {
        setRound(latestRound + 1, answer, block.timestamp);
    }

    /// @notice Any round, however implausible; it becomes the newest.
    function setRound(uint80 roundId, int256 answer, uint256 updatedAt) public {
        latestRound = roundId;
        _rounds[roundId] = Round(answer, updatedAt);
        emit AnswerUpdated(answer, roundId, updatedAt);
    }

    /// @notice From now on the feed answers with a revert, or no longer.
    function setReverting(bool reverting_) external {
        reverting = reverting_;
    }

    /// @inheritdoc AggregatorV3Interface
    function decimals() external view returns (uint8) {
        return DECIMALS;
    }

    /// @inheritdoc AggregatorV3Interface
    function version() external pure returns (uint256) {
        return 1;
    }

    /// @inheritdoc AggregatorV3Interface
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return getRoundData(latestRound);
    }

    /// @inheritdoc AggregatorV3Interface
    function getRoundData(
        uint80 roundId
    )
        public
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        require(!reverting, Unavailable());
        Round memory round = _rounds[roundId];
        require(roundId == latestRound || round.updatedAt != 0, UnknownRound(roundId));
        return (roundId, round.answer, round.updatedAt, round.updatedAt, roundId);
    }
}
