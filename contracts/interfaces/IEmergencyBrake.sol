// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice None; NoNewRisk: borrowing and withdrawing with debt revert; Grace: also no liquidation, after a pause or an
/// outage of the sequencer; LiquidationsPaused: no new risk and no liquidation. Repaying, topping up, closing and
/// withdrawing surplus do not know these levels.
enum BrakeLevel {
    None,
    NoNewRisk,
    Grace,
    LiquidationsPaused
}

/// @notice Where the brake of a market stands. Timestamps in seconds, 0: never; a level is in force before its timestamp.
struct MarketBrake {
    BrakeLevel level; //             now
    uint32 pausedAt; //              when the latest episode of paused liquidations began
    uint32 pausedUntil; //           liquidations
    uint32 graceUntil; //            after a pause or an outage of the sequencer, whichever lasts longer
    uint32 sequencerGraceUntil; //   of these, the sequencer's
    uint32 newRiskPausedAt; //       when the latest pause of new risk began
    uint32 noNewRiskUntil; //        asked for alone; new risk also waits until graceUntil
    uint32 liquidationPauses; //     pauses of liquidations so far, extensions included
    uint32 newRiskPauses; //         pauses of new risk so far
    bytes32 reason; //               of the latest pause at either level
    address reporter; //             who asked for that pause
}

/// @notice Seconds that can be spent now on one market, by level and role.
struct BrakeBudgets {
    uint256 liquidations; //         of pause and grace
    uint256 newRisk;
    uint256 sentinelLiquidations; // what the sentinel may draw of `liquidations`
    uint256 sentinelNewRisk; //      what it may draw of `newRisk`
}

/// @title IEmergencyBrake
/// @notice Bounded pauses that lapse by their timestamp. The pauser can stop liquidations or new risk of one market or
/// of all, for a bounded time, out of a budget of seconds that refills; it cannot end a pause early, and cannot pause
/// for ever. The sentinel can do the same for minutes, out of a smaller budget of its own and the common one alike.
/// A pause of liquidations ends, however it ends, in a grace period of min(seconds paused, MAX_GRACE).
///
/// BOUNDS. In any window of w seconds the pauses of a market with their grace take at most BUDGET · (1 + w / REFILL)
/// seconds, of which the sentinel asked for at most SENTINEL_BUDGET · (1 + w / REFILL); grace after outages of the
/// sequencer takes at most SEQUENCER_BUDGET · (1 + w / REFILL) besides, whatever its feed says.
interface IEmergencyBrake {
    /// @notice `market` is paused at `level` until `until`, for the `count`-th time; a pause of liquidations then has
    /// grace until `graceUntil` (a pause of new risk has none: `graceUntil` = `until`).
    event Pause(
        address indexed market,
        BrakeLevel indexed level,
        uint256 until,
        uint256 graceUntil,
        uint256 count,
        bytes32 reason,
        address indexed reporter
    );

    /// @notice A call for all markets passed over `market`: the pause would cost `required` seconds and `available` are
    /// left, or, if they suffice, the market did not answer.
    event Skip(address indexed market, BrakeLevel indexed level, uint256 required, uint256 available);

    /// @notice The resumer ended the `count`-th pause at `level` early; grace, after liquidations were paused, lasts until
    /// `graceUntil`.
    event Resume(
        address indexed market,
        BrakeLevel indexed level,
        uint256 graceUntil,
        uint256 count,
        address indexed resumer
    );

    /// @notice Every market is in grace until `until`, because the sequencer is down or came back a short time ago.
    event SequencerGrace(uint256 until);

    /// @notice `market` was listed here.
    event List(address indexed market);

    /// @notice The feed of the sequencer and the grace, in seconds, after it came back.
    event SetSequencerFeed(address feed, uint256 grace);

    /// @notice Only NoNewRisk and LiquidationsPaused can be asked for.
    error NotAPause(BrakeLevel level);

    /// @notice `duration` seconds is 0 or more than one pause may take.
    error PauseTooLong(uint256 duration, uint256 maxDuration);

    /// @notice The pause with its grace would cost `required` seconds; the caller's role has `available` left.
    error PauseBudgetSpent(address market, uint256 required, uint256 available);

    /// @notice `market` is already paused until `until`, which `requested` would not extend.
    error NotLonger(address market, uint256 until, uint256 requested);

    /// @notice A call for all markets paused none; its `Skip` events, in a simulation, say why.
    error NothingPaused();

    /// @notice `market` is not paused at `level`.
    error NotPaused(address market, BrakeLevel level);

    /// @notice This resumes the `count`-th pause at `level`, but the market has since seen its `latest`-th.
    error PausedAgain(address market, BrakeLevel level, uint256 count, uint256 latest);

    /// @notice `market` did not take what the brake told it.
    error MarketDoesNotAnswer(address market);

    /// @notice `left` gas would not give each market the `required` gas; more must be sent.
    error TooLittleGas(uint256 left, uint256 required);

    /// @notice `market` is not listed, or is listed already.
    error NotListed(address market);
    error AlreadyListed(address market);

    /// @notice The feed does not answer 0 (up) or 1 (down).
    error NotASequencerFeed(address feed, int256 answer);

    /// @notice `grace` seconds is 0 with a feed, or more than MAX_GRACE.
    error SequencerGraceOutOfRange(uint256 grace, uint256 maxGrace);

    /// @notice No grace that lasts longer than the running one is due, or its budget is spent.
    error NoSequencerGraceDue();

    // ------------------------------------------------------------------ pauser

    /// @notice Pauses one market. Only the PAUSER role. A pause during a pause or its grace continues the episode.
    /// @param duration seconds from now, at most MAX_LIQUIDATION_PAUSE or MAX_NEW_RISK_PAUSE.
    /// @param reason a code for the record.
    function pause(address market, BrakeLevel level, uint32 duration, bytes32 reason) external;

    /// @notice Pauses every listed market, but passes over those that are paused for longer, whose budget does not
    /// suffice or that do not answer; reverts only if none is paused then. Only the PAUSER role.
    function pauseAll(BrakeLevel level, uint32 duration, bytes32 reason) external;

    // ------------------------------------------------------------------ sentinel

    /// @notice As `pause`, for at most MAX_BRIEF_PAUSE seconds. Only the SENTINEL role.
    function pauseBriefly(address market, BrakeLevel level, uint32 duration, bytes32 reason) external;

    /// @notice As `pauseAll`, for at most MAX_BRIEF_PAUSE seconds. Only the SENTINEL role.
    function pauseAllBriefly(BrakeLevel level, uint32 duration, bytes32 reason) external;

    // ------------------------------------------------------------------ resumer, governor, anyone

    /// @notice Ends the running pause of `market` at `level` now and gives the budget back what was not used; the
    /// other level stays, and so does grace. Only the RESUMER role, after its delay.
    /// @param count the number of the pause that the signers saw (`stateOf`): one scheduled for it ends no later one.
    function resume(address market, BrakeLevel level, uint32 count) external;

    /// @notice Adds a market whose brake this is. Only the governor.
    function list(address market) external;

    /// @notice Sets the feed that says whether the chain's sequencer is up (Chainlink's interface: answer 0 up, 1 down,
    /// startedAt since when) and the grace after it came back. Only the governor.
    /// @param feed 0: none.
    /// @param grace seconds, 1 to MAX_GRACE.
    function setSequencerFeed(address feed, uint32 grace) external;

    /// @notice Puts every market into the grace that is due (`sequencerGraceDue`). Anyone may call.
    function startSequencerGrace() external;

    /// @notice Tells a listed `market` once more what it should know: it changes nothing unless the market has forgotten,
    /// or did not listen when it was said. Anyone may call.
    /// @return answered false if it does not take what the brake says, and so cannot be paused.
    function remind(address market) external returns (bool answered);

    // ------------------------------------------------------------------ views

    /// @notice Level, timestamps, counters, reason and reporter of a listed `market`.
    function stateOf(address market) external view returns (MarketBrake memory);

    /// @notice Seconds left in the budgets of a listed `market` now, rounded down.
    function budgetOf(address market) external view returns (BrakeBudgets memory);

    /// @notice The listed markets.
    function markets() external view returns (address[] memory);

    /// @notice The feed of the sequencer (0: none), the grace after it came back, and the seconds left in its budget.
    function sequencer() external view returns (address feed, uint256 grace, uint256 budgetLeft);

    /// @notice Until when `startSequencerGrace` would put every market into grace; 0: none is due. While the feed says
    /// down: `grace` from now, as far as the budget has it beyond one grace for the time after; when it came back
    /// less than `grace` ago: until `grace` after it did.
    function sequencerGraceDue() external view returns (uint256 until);

    // ------------------------------------------------------------------ constants, all in seconds but MARKET_GAS

    /// @notice Longest single pause of liquidations, without grace.
    function MAX_LIQUIDATION_PAUSE() external view returns (uint32);
    /// @notice Longest single pause of new risk.
    function MAX_NEW_RISK_PAUSE() external view returns (uint32);
    /// @notice Longest single pause, of either, by the sentinel.
    function MAX_BRIEF_PAUSE() external view returns (uint32);
    /// @notice Longest grace after a pause of liquidations or an outage of the sequencer.
    function MAX_GRACE() external view returns (uint32);
    /// @notice The full budgets of one market: pauser and sentinel together, then the sentinel's share.
    function LIQUIDATION_BUDGET() external view returns (uint32);
    function NEW_RISK_BUDGET() external view returns (uint32);
    function SENTINEL_LIQUIDATION_BUDGET() external view returns (uint32);
    function SENTINEL_NEW_RISK_BUDGET() external view returns (uint32);
    /// @notice The full budget of grace after outages of the sequencer, of all markets at once.
    function SEQUENCER_BUDGET() external view returns (uint32);
    /// @notice An empty budget is full again after this time.
    function REFILL() external view returns (uint32);
    /// @notice Gas a market gets to take what the brake tells it.
    function MARKET_GAS() external view returns (uint32);
}
