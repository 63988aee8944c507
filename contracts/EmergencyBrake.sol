// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {AggregatorV3Interface} from "./interfaces/AggregatorV3Interface.sol";
import {BrakeBudgets, BrakeLevel, IEmergencyBrake, MarketBrake} from "./interfaces/IEmergencyBrake.sol";
import {IVault} from "./interfaces/IVault.sol";

/// @title EmergencyBrake
/// @notice See IEmergencyBrake. It writes timestamps into the market's own slots, so that a liquidation or a borrow reads
/// nothing else, and a pause lapses without a transaction.
///
/// BUDGET. A pause of liquidations is charged its seconds plus its grace, in advance, and gets back what a resumer leaves
/// unused. A budget is kept as the time at which it will be full again: each second drawn moves that by REFILL / budget
/// seconds (whole numbers, so nothing is ever rounded), and it refills by waiting. The sentinel draws from its own budget
/// and from the common one, and only what leaves the pauser one whole pause with its grace.
contract EmergencyBrake is IEmergencyBrake, AccessManagedUpgradeable {
    using Math for uint256;

    /// @dev The pauses of one market at one level; one slot.
    struct Pauses {
        uint32 since; //          when the latest episode began
        uint32 until;
        uint32 graceUntil; //     charged up to here; without grace: until
        uint32 count;
        uint32 fullAt; //         the common budget
        uint32 sentinelFullAt; // the sentinel's
    }

    struct State {
        Pauses liquidations;
        Pauses newRisk;
        bytes32 reason;
        address reporter;
        bool listed;
    }

    /// @dev What one level allows, in seconds.
    struct Limits {
        uint32 maxPause;
        uint32 maxGrace;
        uint32 budget;
        uint32 sentinelBudget;
    }

    /// @dev One slot, of all markets.
    struct Sequencer {
        address feed;
        uint32 grace;
        uint32 graceUntil;
        uint32 fullAt;
    }

    uint32 public constant MAX_LIQUIDATION_PAUSE = 4 hours;
    uint32 public constant MAX_NEW_RISK_PAUSE = 3 days;
    uint32 public constant MAX_BRIEF_PAUSE = 15 minutes;
    uint32 public constant MAX_GRACE = 1 hours;
    // Each budget divides REFILL.
    uint32 public constant LIQUIDATION_BUDGET = 12 hours;
    uint32 public constant NEW_RISK_BUDGET = 6 days;
    uint32 public constant SENTINEL_LIQUIDATION_BUDGET = 2 hours;
    uint32 public constant SENTINEL_NEW_RISK_BUDGET = 6 hours;
    uint32 public constant SEQUENCER_BUDGET = 12 hours;
    uint32 public constant REFILL = 30 days;
    uint32 public constant MARKET_GAS = 200_000;

    mapping(address market => State) private _states;
    address[] private _markets;
    Sequencer private _sequencer;

    constructor() {
        _disableInitializers();
    }

    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    // ------------------------------------------------------------------ pauser and sentinel

    /// @inheritdoc IEmergencyBrake
    function pause(address market, BrakeLevel level, uint32 duration, bytes32 reason) external restricted {
        _pause(market, level, duration, reason, false);
    }

    /// @inheritdoc IEmergencyBrake
    function pauseAll(BrakeLevel level, uint32 duration, bytes32 reason) external restricted {
        _pauseAll(level, duration, reason, false);
    }

    /// @inheritdoc IEmergencyBrake
    function pauseBriefly(
        address market,
        BrakeLevel level,
        uint32 duration,
        bytes32 reason
    ) external restricted {
        _pause(market, level, duration, reason, true);
    }

    /// @inheritdoc IEmergencyBrake
    function pauseAllBriefly(BrakeLevel level, uint32 duration, bytes32 reason) external restricted {
        _pauseAll(level, duration, reason, true);
    }

    // ------------------------------------------------------------------ resumer, governor, anyone

    /// @inheritdoc IEmergencyBrake
    function resume(address market, BrakeLevel level, uint32 count) external restricted {
        Limits memory limits = _limitsOf(level);
        Pauses memory p = _pausesOf(market, level);
        require(block.timestamp < p.until, NotPaused(market, level));
        require(count == p.count, PausedAgain(market, level, count, p.count));
        uint32 now_ = uint32(block.timestamp);
        uint32 graceUntil = now_ + _graceFor(now_ - p.since, limits.maxGrace);
        uint256 unused = p.graceUntil - graceUntil;
        // Not to the sentinel: what it may ask for stays bounded by what it asked for.
        p.fullAt = uint32(uint256(p.fullAt) - unused * (REFILL / limits.budget));
        p.until = now_;
        p.graceUntil = graceUntil;
        require(_apply(market, level, p), MarketDoesNotAnswer(market));
        emit Resume(market, level, graceUntil, count, msg.sender);
    }

    /// @inheritdoc IEmergencyBrake
    function list(address market) external restricted {
        State storage state = _states[market];
        require(!state.listed, AlreadyListed(market));
        state.listed = true;
        _markets.push(market);
        // A grace that runs is this market's too; and only one whose brake this is takes it.
        require(_tell(market, state.liquidations, state.newRisk), MarketDoesNotAnswer(market));
        emit List(market);
    }

    /// @inheritdoc IEmergencyBrake
    function setSequencerFeed(address feed, uint32 grace) external restricted {
        if (feed != address(0)) {
            require(grace != 0 && grace <= MAX_GRACE, SequencerGraceOutOfRange(grace, MAX_GRACE));
            (, int256 answer, , , ) = AggregatorV3Interface(feed).latestRoundData();
            require(answer == 0 || answer == 1, NotASequencerFeed(feed, answer));
        }
        _sequencer.feed = feed;
        _sequencer.grace = grace;
        emit SetSequencerFeed(feed, grace);
    }

    /// @inheritdoc IEmergencyBrake
    function startSequencerGrace() external {
        uint256 until = sequencerGraceDue();
        require(until != 0, NoSequencerGraceDue());
        Sequencer storage s = _sequencer;
        s.fullAt = _charged(s.fullAt, SEQUENCER_BUDGET, until - block.timestamp.max(s.graceUntil));
        s.graceUntil = uint32(until);
        emit SequencerGrace(until);
        for (uint256 i = 0; i < _markets.length; i++) {
            State storage state = _states[_markets[i]];
            bool answered = _tell(_markets[i], state.liquidations, state.newRisk);
            if (!answered) emit Skip(_markets[i], BrakeLevel.Grace, 0, 0);
        }
    }

    /// @inheritdoc IEmergencyBrake
    function remind(address market) external returns (bool answered) {
        State storage state = _states[market];
        require(state.listed, NotListed(market));
        return _tell(market, state.liquidations, state.newRisk);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IEmergencyBrake
    function stateOf(address market) external view returns (MarketBrake memory brake) {
        Pauses memory l = _pausesOf(market, BrakeLevel.LiquidationsPaused);
        Pauses memory n = _pausesOf(market, BrakeLevel.NoNewRisk);
        brake.pausedAt = l.since;
        brake.pausedUntil = l.until;
        brake.sequencerGraceUntil = _sequencer.graceUntil;
        brake.graceUntil = uint32(Math.max(l.graceUntil, brake.sequencerGraceUntil));
        brake.newRiskPausedAt = n.since;
        brake.noNewRiskUntil = n.until;
        brake.liquidationPauses = l.count;
        brake.newRiskPauses = n.count;
        brake.reason = _states[market].reason;
        brake.reporter = _states[market].reporter;
        if (block.timestamp < l.until) brake.level = BrakeLevel.LiquidationsPaused;
        else if (block.timestamp < brake.graceUntil) brake.level = BrakeLevel.Grace;
        else if (block.timestamp < n.until) brake.level = BrakeLevel.NoNewRisk;
    }

    /// @inheritdoc IEmergencyBrake
    function budgetOf(address market) external view returns (BrakeBudgets memory budgets) {
        Pauses memory l = _pausesOf(market, BrakeLevel.LiquidationsPaused);
        Limits memory limits = _limitsOf(BrakeLevel.LiquidationsPaused);
        budgets.liquidations = _available(l, limits, false);
        budgets.sentinelLiquidations = _available(l, limits, true);
        Pauses memory n = _pausesOf(market, BrakeLevel.NoNewRisk);
        limits = _limitsOf(BrakeLevel.NoNewRisk);
        budgets.newRisk = _available(n, limits, false);
        budgets.sentinelNewRisk = _available(n, limits, true);
    }

    /// @inheritdoc IEmergencyBrake
    function markets() external view returns (address[] memory) {
        return _markets;
    }

    /// @inheritdoc IEmergencyBrake
    function sequencer() external view returns (address feed, uint256 grace, uint256 budgetLeft) {
        Sequencer memory s = _sequencer;
        return (s.feed, s.grace, _left(s.fullAt, SEQUENCER_BUDGET));
    }

    /// @inheritdoc IEmergencyBrake
    function sequencerGraceDue() public view returns (uint256) {
        Sequencer memory s = _sequencer;
        if (s.feed == address(0)) return 0;
        try AggregatorV3Interface(s.feed).latestRoundData() returns (
            uint80,
            int256 answer,
            uint256 startedAt,
            uint256,
            uint80
        ) {
            // 0: the feed has not been told anything yet.
            if (startedAt == 0 || startedAt > block.timestamp) return 0;
            uint256 left = _left(s.fullAt, SEQUENCER_BUDGET);
            uint256 until = startedAt + s.grace;
            if (answer != 0) {
                until = block.timestamp + s.grace;
                left = left.saturatingSub(s.grace); // an outage leaves enough for the time after it
            }
            uint256 from = block.timestamp.max(s.graceUntil);
            until = until.min(from + left);
            return until > from ? until : 0;
        } catch {
            return 0;
        }
    }

    // ------------------------------------------------------------------ private

    function _pause(address market, BrakeLevel level, uint32 duration, bytes32 reason, bool brief) private {
        uint32 until = _until(level, duration, brief);
        Pauses memory p = _pausesOf(market, level);
        require(until > p.until, NotLonger(market, p.until, until));
        (uint256 required, uint256 available) = _extend(p, level, until, brief);
        require(required <= available, PauseBudgetSpent(market, required, available));
        require(_apply(market, level, p), MarketDoesNotAnswer(market));
        _record(market, level, p, reason);
    }

    function _pauseAll(BrakeLevel level, uint32 duration, bytes32 reason, bool brief) private {
        uint32 until = _until(level, duration, brief);
        bool any;
        for (uint256 i = 0; i < _markets.length; i++) {
            address market = _markets[i];
            Pauses memory p = _pausesOf(market, level);
            if (until <= p.until) {
                any = true; // paused for longer already
                continue;
            }
            (uint256 required, uint256 available) = _extend(p, level, until, brief);
            if (required <= available && _apply(market, level, p)) {
                any = true;
                _record(market, level, p, reason);
            } else {
                emit Skip(market, level, required, available);
            }
        }
        require(any, NothingPaused());
    }

    /// @dev The end of a pause of `duration` from now.
    function _until(BrakeLevel level, uint32 duration, bool brief) private view returns (uint32) {
        uint32 max = brief ? MAX_BRIEF_PAUSE : _limitsOf(level).maxPause;
        require(duration != 0 && duration <= max, PauseTooLong(duration, max));
        return uint32(block.timestamp) + duration;
    }

    /// @dev Turns `p` into what a pause until `until` makes of it, and says what that costs and what there is; the caller
    /// decides what it means if it does not suffice.
    function _extend(
        Pauses memory p,
        BrakeLevel level,
        uint32 until,
        bool brief
    ) private view returns (uint256 required, uint256 available) {
        Limits memory limits = _limitsOf(level);
        // A pause during a pause or its grace continues the same episode.
        if (block.timestamp >= p.graceUntil) p.since = uint32(block.timestamp);
        uint32 graceUntil = until + _graceFor(until - p.since, limits.maxGrace);
        required = graceUntil - block.timestamp.max(p.graceUntil);
        available = _available(p, limits, brief);
        p.until = until;
        p.graceUntil = graceUntil;
        p.count++;
        p.fullAt = _charged(p.fullAt, limits.budget, required);
        if (brief) p.sentinelFullAt = _charged(p.sentinelFullAt, limits.sentinelBudget, required);
    }

    /// @dev Makes `p` the market's, if the market takes it. A market that calls back meets its former state, as anyone would
    /// have a moment before.
    function _apply(address market, BrakeLevel level, Pauses memory p) private returns (bool answered) {
        State storage state = _states[market];
        bool liquidations = level == BrakeLevel.LiquidationsPaused;
        answered = liquidations ? _tell(market, p, state.newRisk) : _tell(market, state.liquidations, p);
        if (answered && liquidations) state.liquidations = p;
        if (answered && !liquidations) state.newRisk = p;
    }

    /// @dev Writes the timestamps into the market. One that does not answer takes no more than its share of gas; and nobody
    /// can make one fail that would answer, by sending too little.
    function _tell(address market, Pauses memory l, Pauses memory n) private returns (bool) {
        uint32 graceUntil = uint32(Math.max(l.graceUntil, _sequencer.graceUntil));
        uint32 noNewRiskUntil = uint32(Math.max(n.until, graceUntil));
        // A call can be given at most 63/64 of what is left.
        uint256 required = (uint256(MARKET_GAS) * 64) / 63 + 10_000;
        require(gasleft() >= required, TooLittleGas(gasleft(), required));
        try IVault(market).setBrake{gas: MARKET_GAS}(noNewRiskUntil, l.until, graceUntil) {
            return true;
        } catch {
            return false;
        }
    }

    function _record(address market, BrakeLevel level, Pauses memory p, bytes32 reason) private {
        _states[market].reason = reason;
        _states[market].reporter = msg.sender;
        emit Pause(market, level, p.until, p.graceUntil, p.count, reason, msg.sender);
    }

    function _pausesOf(address market, BrakeLevel level) private view returns (Pauses memory) {
        State storage state = _states[market];
        require(state.listed, NotListed(market));
        return level == BrakeLevel.LiquidationsPaused ? state.liquidations : state.newRisk;
    }

    function _limitsOf(BrakeLevel level) private pure returns (Limits memory) {
        if (level == BrakeLevel.LiquidationsPaused) {
            return Limits(MAX_LIQUIDATION_PAUSE, MAX_GRACE, LIQUIDATION_BUDGET, SENTINEL_LIQUIDATION_BUDGET);
        }
        require(level == BrakeLevel.NoNewRisk, NotAPause(level));
        return Limits(MAX_NEW_RISK_PAUSE, 0, NEW_RISK_BUDGET, SENTINEL_NEW_RISK_BUDGET);
    }

    /// @dev Seconds that the pauser (not `brief`) or the sentinel may draw now.
    function _available(Pauses memory p, Limits memory limits, bool brief) private view returns (uint256) {
        uint256 left = _left(p.fullAt, limits.budget);
        if (!brief) return left;
        // What the sentinel draws leaves the pauser one whole pause with its grace.
        left = left.saturatingSub(limits.maxPause + limits.maxGrace);
        return left.min(_left(p.sentinelFullAt, limits.sentinelBudget));
    }

    function _left(uint256 fullAt, uint256 budget) private view returns (uint256) {
        return budget.saturatingSub(fullAt.saturatingSub(block.timestamp).ceilDiv(REFILL / budget));
    }

    function _charged(uint256 fullAt, uint256 budget, uint256 seconds_) private view returns (uint32) {
        return uint32(fullAt.max(block.timestamp) + seconds_ * (REFILL / budget));
    }

    function _graceFor(uint32 paused, uint32 max) private pure returns (uint32) {
        return paused < max ? paused : max;
    }
}
