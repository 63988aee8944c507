// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice None; NoNewRisk: borrowing and withdrawing with debt revert; Grace: also no liquidation, after a pause;
/// LiquidationsPaused: no new risk and no liquidation. Repaying, topping up, closing and withdrawing surplus do not
/// know these levels.
enum BrakeLevel {
    None,
    NoNewRisk,
    Grace,
    LiquidationsPaused
}

/// @title IEmergencyBrake
/// @notice Bounded pauses that lapse by their timestamp. The pauser can stop liquidations or new risk of one market or
/// of all, for a bounded time, out of a budget of seconds that refills; it cannot end a pause early, and cannot pause
/// for ever. A pause of liquidations ends, however it ends, in a grace period of min(seconds paused, maxGrace).
interface IEmergencyBrake {
    /// @notice `market` is paused at `level` until `until`; a pause of liquidations then has grace until `graceUntil`.
    event Pause(
        address indexed market,
        BrakeLevel indexed level,
        uint256 until,
        uint256 graceUntil,
        bytes32 reason,
        address indexed pauser
    );

    /// @notice The resumer ended the pause early; grace, if liquidations were paused, lasts until `graceUntil`.
    event Resume(address indexed market, uint256 graceUntil, address indexed resumer);

    /// @notice `market` was listed here.
    event List(address indexed market);

    /// @notice Only NoNewRisk and LiquidationsPaused can be asked for.
    error NotAPause(BrakeLevel level);

    /// @notice `duration` seconds is 0 or more than one pause may take.
    error PauseTooLong(uint256 duration, uint256 maxDuration);

    /// @notice The pause with its grace would cost `required` seconds; `available` are left.
    error PauseBudgetSpent(address market, uint256 required, uint256 available);

    /// @notice `market` is already paused until `until`, which `requested` would not extend.
    error NotLonger(address market, uint256 until, uint256 requested);

    /// @notice `market` is not paused.
    error NotPaused(address market);

    /// @notice `market` is not listed, or is listed already.
    error NotListed(address market);
    error AlreadyListed(address market);

    /// @notice Pauses one market. Only the PAUSER role.
    /// @param duration seconds from now, at most MAX_LIQUIDATION_PAUSE or MAX_NEW_RISK_PAUSE.
    /// @param reason a code for the record.
    function pause(address market, BrakeLevel level, uint32 duration, bytes32 reason) external;

    /// @notice Pauses every listed market whose budget suffices; reverts only if no market could be paused.
    function pauseAll(BrakeLevel level, uint32 duration, bytes32 reason) external;

    /// @notice Ends the running pause of `market` now. Only the RESUMER role, after its delay.
    function resume(address market) external;

    /// @notice Adds a market. Only the governor.
    function list(address market) external;

    /// @notice When the latest pause of liquidations began, and until when each level lasts; timestamps, 0: never.
    function pausesOf(
        address market
    )
        external
        view
        returns (uint256 pausedAt, uint256 pausedUntil, uint256 graceUntil, uint256 noNewRiskUntil);

    /// @notice The level of `market` now.
    function levelOf(address market) external view returns (BrakeLevel);

    /// @notice Seconds left in the budgets of `market` now.
    function budgetOf(address market) external view returns (uint256 liquidations, uint256 newRisk);

    /// @notice The listed markets.
    function markets() external view returns (address[] memory);
}
