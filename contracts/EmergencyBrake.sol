// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BrakeLevel, IEmergencyBrake} from "./interfaces/IEmergencyBrake.sol";
import {IVault} from "./interfaces/IVault.sol";

/// @title EmergencyBrake
/// @notice See IEmergencyBrake. It writes timestamps into the market's own slot, so that a liquidation or a borrow reads
/// nothing else, and a pause lapses without a transaction.
///
/// BUDGET. A pause of liquidations is charged its seconds plus its grace, in advance, and refunded nothing unless the
/// resumer ends it early. The budget refills to `BUDGET` in `REFILL` seconds, so in the long run liquidations can be
/// stopped for at most BUDGET / REFILL of the time, however many pauses are strung together.
contract EmergencyBrake is IEmergencyBrake, AccessManagedUpgradeable {
    /// @dev Where the running pause of a market stands.
    struct Pauses {
        uint32 pausedAt;
        uint32 pausedUntil; //    liquidations
        uint32 graceUntil;
        uint32 noNewRiskUntil; // asked for alone; the market gets the later of this and graceUntil
        uint32 liquidationBudget; // seconds left at `updatedAt`
        uint32 newRiskBudget;
        uint32 updatedAt;
        bool listed;
    }

    uint32 public constant MAX_LIQUIDATION_PAUSE = 4 hours;
    uint32 public constant MAX_NEW_RISK_PAUSE = 3 days;
    uint32 public constant MAX_GRACE = 1 hours;
    uint32 public constant LIQUIDATION_BUDGET = 12 hours;
    uint32 public constant NEW_RISK_BUDGET = 7 days;
    uint32 public constant REFILL = 30 days;

    mapping(address market => Pauses) private _pauses;
    address[] private _markets;

    constructor() {
        _disableInitializers();
    }

    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc IEmergencyBrake
    function pause(address market, BrakeLevel level, uint32 duration, bytes32 reason) external restricted {
        (uint256 required, uint256 available) = _pause(market, level, duration, reason);
        require(required <= available, PauseBudgetSpent(market, required, available));
    }

    /// @inheritdoc IEmergencyBrake
    function pauseAll(BrakeLevel level, uint32 duration, bytes32 reason) external restricted {
        bool any;
        uint256 required;
        uint256 available;
        for (uint256 i = 0; i < _markets.length; i++) {
            // A market that is paused for longer already stays so; the others must not wait for it.
            Pauses memory p = _pauses[_markets[i]];
            uint32 running = level == BrakeLevel.LiquidationsPaused ? p.pausedUntil : p.noNewRiskUntil;
            if (running >= block.timestamp + duration) {
                any = true;
                continue;
            }
            (required, available) = _pause(_markets[i], level, duration, reason);
            if (required <= available) any = true;
        }
        require(any, PauseBudgetSpent(address(0), required, available));
    }

    /// @inheritdoc IEmergencyBrake
    function resume(address market) external restricted {
        Pauses memory p = _refilled(market);
        uint32 now_ = uint32(block.timestamp);
        require(now_ < p.pausedUntil || now_ < p.noNewRiskUntil, NotPaused(market));
        if (now_ < p.pausedUntil) {
            uint32 graceUntil = now_ + _graceFor(now_ - p.pausedAt);
            // What was charged in advance and is not used goes back.
            p.liquidationBudget = uint32(
                Math.min(p.liquidationBudget + (p.graceUntil - graceUntil), LIQUIDATION_BUDGET)
            );
            p.graceUntil = graceUntil;
            p.pausedUntil = now_;
        }
        if (now_ < p.noNewRiskUntil) {
            p.newRiskBudget = uint32(Math.min(p.newRiskBudget + (p.noNewRiskUntil - now_), NEW_RISK_BUDGET));
            p.noNewRiskUntil = now_;
        }
        _apply(market, p);
        emit Resume(market, p.graceUntil, msg.sender);
    }

    /// @inheritdoc IEmergencyBrake
    function list(address market) external restricted {
        require(!_pauses[market].listed, AlreadyListed(market));
        _pauses[market].listed = true;
        _pauses[market].liquidationBudget = LIQUIDATION_BUDGET;
        _pauses[market].newRiskBudget = NEW_RISK_BUDGET;
        _pauses[market].updatedAt = uint32(block.timestamp);
        _markets.push(market);
        emit List(market);
    }

    /// @inheritdoc IEmergencyBrake
    function pausesOf(
        address market
    )
        external
        view
        returns (uint256 pausedAt, uint256 pausedUntil, uint256 graceUntil, uint256 noNewRiskUntil)
    {
        Pauses memory p = _pauses[market];
        return (p.pausedAt, p.pausedUntil, p.graceUntil, p.noNewRiskUntil);
    }

    /// @inheritdoc IEmergencyBrake
    function levelOf(address market) external view returns (BrakeLevel) {
        Pauses memory p = _pauses[market];
        if (block.timestamp < p.pausedUntil) return BrakeLevel.LiquidationsPaused;
        if (block.timestamp < p.graceUntil) return BrakeLevel.Grace;
        return block.timestamp < p.noNewRiskUntil ? BrakeLevel.NoNewRisk : BrakeLevel.None;
    }

    /// @inheritdoc IEmergencyBrake
    function budgetOf(address market) external view returns (uint256 liquidations, uint256 newRisk) {
        Pauses memory p = _refilled(market);
        return (p.liquidationBudget, p.newRiskBudget);
    }

    /// @inheritdoc IEmergencyBrake
    function markets() external view returns (address[] memory) {
        return _markets;
    }

    /// @dev Pauses if the budget suffices; the caller decides what it means if it does not.
    function _pause(
        address market,
        BrakeLevel level,
        uint32 duration,
        bytes32 reason
    ) private returns (uint256 required, uint256 available) {
        Pauses memory p = _refilled(market);
        uint32 now_ = uint32(block.timestamp);
        bool liquidations = level == BrakeLevel.LiquidationsPaused;
        require(liquidations || level == BrakeLevel.NoNewRisk, NotAPause(level));
        uint32 max = liquidations ? MAX_LIQUIDATION_PAUSE : MAX_NEW_RISK_PAUSE;
        require(duration != 0 && duration <= max, PauseTooLong(duration, max));
        uint32 until = now_ + duration;
        if (liquidations) {
            require(until > p.pausedUntil, NotLonger(market, p.pausedUntil, until));
            // A pause during a pause or its grace continues the same episode.
            uint32 since = now_ < p.graceUntil ? p.pausedAt : now_;
            uint32 graceUntil = until + _graceFor(until - since);
            required = graceUntil - (now_ < p.graceUntil ? p.graceUntil : now_);
            available = p.liquidationBudget;
            if (required > available) return (required, available);
            p.liquidationBudget -= uint32(required);
            p.pausedAt = since;
            p.pausedUntil = until;
            p.graceUntil = graceUntil;
        } else {
            require(until > p.noNewRiskUntil, NotLonger(market, p.noNewRiskUntil, until));
            required = until - (now_ < p.noNewRiskUntil ? p.noNewRiskUntil : now_);
            available = p.newRiskBudget;
            if (required > available) return (required, available);
            p.newRiskBudget -= uint32(required);
            p.noNewRiskUntil = until;
        }
        _apply(market, p);
        emit Pause(market, level, until, p.graceUntil, reason, msg.sender);
    }

    function _apply(address market, Pauses memory p) private {
        _pauses[market] = p;
        IVault(market).setBrake(
            uint32(Math.max(p.noNewRiskUntil, p.graceUntil)),
            p.pausedUntil,
            p.graceUntil
        );
    }

    function _refilled(address market) private view returns (Pauses memory p) {
        p = _pauses[market];
        require(p.listed, NotListed(market));
        uint256 elapsed = block.timestamp - p.updatedAt;
        p.liquidationBudget = _refill(p.liquidationBudget, LIQUIDATION_BUDGET, elapsed);
        p.newRiskBudget = _refill(p.newRiskBudget, NEW_RISK_BUDGET, elapsed);
        p.updatedAt = uint32(block.timestamp);
    }

    function _refill(uint256 left, uint256 full, uint256 elapsed) private pure returns (uint32) {
        return uint32(Math.min(left + (full * elapsed) / REFILL, full));
    }

    function _graceFor(uint32 paused) private pure returns (uint32) {
        return paused < MAX_GRACE ? paused : MAX_GRACE;
    }
}
