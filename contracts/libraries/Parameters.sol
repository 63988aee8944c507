// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDeadProof, IOracleAdapter, Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {Caps, IVault, Ramp, RiskParameters} from "../interfaces/IVault.sol";
import {AdaptiveRate} from "./AdaptiveRate.sol";
import {Grid} from "./Grid.sol";
import {Market} from "./Market.sol";

/// @title Parameters
/// @notice Sets a market's parameters and checks them; ramps, wind-down, timestamps of the brake. External: daily
/// operations do not need it.
library Parameters {
    using Market for Market.State;

    uint8 internal constant MAX_RESERVE_FACTOR = 50;
    uint256 internal constant MIN_RAMP = 3 days;
    uint256 internal constant MIN_WIND_DOWN = 14 days;
    uint256 internal constant MAX_RAMP = 180 days;
    /// @dev Where the liquidation threshold ends in a wind-down, basis points.
    uint256 internal constant WIND_DOWN_FLOOR = 500;
    /// @dev Whoever winds a market down without being the governor shows that its oracle was Dead for so long.
    uint256 internal constant DEAD_FOR_WIND_DOWN = 7 days;
    /// @dev So long a Dead oracle has been so before another takes its place, near its last price; or at any price.
    uint256 internal constant DEAD_FOR_SWAP = 1 days;
    uint256 internal constant DEAD_FOR_ANY_SWAP = 7 days;

    function initialize(
        Market.State storage self,
        address oracle,
        RiskParameters memory risk,
        Caps memory caps,
        uint8 reserveFactor,
        int24 spacing
    ) external {
        self.ledger.borrowIndex = uint104(Market.BORROW_INDEX_ONE);
        self.ledger.accruedAt = uint32(block.timestamp);
        self.ledger.rateAtTarget = uint40(uint256(AdaptiveRate.INITIAL));
        self.book.top = -Grid.maxTick(spacing);
        self.risk.oracle = oracle;
        emit IVault.SetOracle(oracle);
        _setRisk(self, risk, spacing);
        setCaps(self, caps);
        _setReserveFactor(self, reserveFactor);
    }

    /// @notice Parameters that hold at once, or (`duration` is not 0) but for the thresholds, which a ramp brings there from
    /// what they are now. At once neither may fall.
    /// @dev The rules are checked at both ends of a ramp with the same other parameters. They are linear in the two
    /// thresholds, and these are rounded to the side that keeps them (Market.thresholdsOf): so they hold in between.
    function setRisk(
        Market.State storage self,
        RiskParameters memory risk,
        uint256 duration,
        int24 spacing
    ) external {
        (uint16 threshold, uint16 target) = _thresholds(self);
        if (duration == 0) {
            require(
                risk.liquidationThreshold >= threshold,
                IVault.ThresholdWouldFall(threshold, risk.liquidationThreshold)
            );
            require(risk.target >= target, IVault.ThresholdWouldFall(target, risk.target));
            _setRisk(self, risk, spacing);
            return;
        }
        _checkDuration(
            duration,
            Math.max(
                MIN_RAMP,
                Math.max(
                    _leastDuration(threshold, risk.liquidationThreshold),
                    _leastDuration(target, risk.target)
                )
            )
        );
        checkRisk(risk, spacing, IOracleAdapter(self.risk.oracle).band());
        (uint16 toThreshold, uint16 toTarget) = (risk.liquidationThreshold, risk.target);
        (risk.liquidationThreshold, risk.target) = (threshold, target);
        _setRisk(self, risk, spacing);
        _startRamp(self, toThreshold, toTarget, duration);
    }

    // ------------------------------------------------------------------ ramps

    /// @notice The thresholds stay what they are now.
    function stopRamp(Market.State storage self) external {
        (uint16 threshold, uint16 target) = _thresholds(self);
        Market.Risk memory risk = self.risk;
        Market.Liquidations memory l = self.liquidations;
        _writeRisk(self, RiskParameters(risk.maxLtv, threshold, target, risk.bonusMin, l.bonusMax, l.slope));
    }

    /// @notice The clock of a ramp stands while the price is Dead, as far as somebody says so here.
    function pokeRamp(Market.State storage self) external {
        Market.Liquidations memory l = self.liquidations;
        uint256 elapsed = Market.rampElapsed(l);
        bool dead = _isDead(self);
        require(elapsed < l.rampDuration && dead != l.rampHalted, IVault.NothingToPoke());
        self.liquidations.rampHalted = dead;
        self.liquidations.rampStart = uint32(dead ? elapsed : Market.rampClock(l.graceUntil) - elapsed);
        _emitRamp(self);
    }

    /// @notice Timestamps of the brake. A ramp's clock stands until the grace is over: its start moves by as much as that
    /// does, back too if a pause ends early. In a wind-down no new risk comes back.
    function setBrake(
        Market.State storage self,
        uint32 noNewRiskUntil,
        uint32 pausedUntil,
        uint32 graceUntil
    ) external {
        Market.Liquidations storage l = self.liquidations;
        if (l.windingDown) noNewRiskUntil = type(uint32).max;
        (uint256 from, uint256 to) = (Market.rampClock(l.graceUntil), Market.rampClock(graceUntil));
        self.risk.noNewRiskUntil = noNewRiskUntil;
        l.pausedUntil = pausedUntil;
        l.graceUntil = graceUntil;
        emit IVault.SetBrake(noNewRiskUntil, pausedUntil, graceUntil);
        if (l.rampDuration != 0 && !l.rampHalted && from != to) {
            l.rampStart = uint32(l.rampStart + to - from);
            _emitRamp(self);
        }
    }

    // ------------------------------------------------------------------ wind-down

    /// @notice Both thresholds fall by one factor. No slope leaves the minimum bonus; the greatest is the pot's.
    /// @param duration 0: whoever asks is not the governor, and needs the oracle's proof.
    function startWindDown(Market.State storage self, uint256 duration) external {
        if (duration == 0) {
            uint256 proven = IDeadProof(self.risk.oracle).provenDead();
            require(
                proven >= DEAD_FOR_WIND_DOWN && _lives(self),
                IVault.NotProvenDead(proven, DEAD_FOR_WIND_DOWN)
            );
            duration = MIN_WIND_DOWN;
        }
        _checkDuration(duration, MIN_WIND_DOWN);
        (uint16 threshold, uint16 target) = _thresholds(self);
        uint256 floor = threshold < WIND_DOWN_FLOOR ? threshold : WIND_DOWN_FLOOR;
        Market.Risk storage risk = self.risk;
        risk.noNewRiskUntil = type(uint32).max;
        self.liquidations.windingDown = true;
        emit IVault.StartWindDown(msg.sender);
        _writeRisk(self, RiskParameters(0, threshold, target, risk.bonusMin, self.liquidations.bonusMax, 0));
        _startRamp(self, uint16(floor), uint16((target * floor) / threshold), duration);
    }

    // ------------------------------------------------------------------ the others

    /// @notice What was liquidated in the old window counts in the new one.
    function setCascade(Market.State storage self, uint80 cap, uint32 window) external {
        require((cap == 0) == (window == 0), IVault.InvalidCascade(cap, window));
        uint256 used = self.liquidations.capped ? Market.cascadeUsed(self.cascade) : 0;
        self.liquidations.capped = cap != 0;
        self.cascade = Market.Cascade(cap, window, uint112(used), uint32(block.timestamp));
        emit IVault.SetCascade(cap, window);
    }

    function setCaps(Market.State storage self, Caps memory caps) public {
        self.limits.debtCap = caps.debt;
        self.limits.collateralCap = caps.collateral;
        self.limits.minDebt = caps.minDebt;
        emit IVault.SetCaps(caps);
    }

    function setReserveFactor(Market.State storage self, uint8 percent, Market.Units memory units) external {
        self.accrue(units); // the past is charged by the old factor
        _setReserveFactor(self, percent);
    }

    function setOracle(Market.State storage self, address oracle, int24 spacing) external {
        IOracleAdapter old = IOracleAdapter(self.risk.oracle);
        Price memory a = old.read();
        Price memory b = IOracleAdapter(oracle).read();
        bool fits;
        if (a.state != PriceState.Dead) {
            fits = a.low <= b.high && b.low <= a.high;
            if (!fits && a.state == PriceState.Diverged) {
                // With its veto spent the old price may be a lying source's alone: what both last agreed on counts.
                (a.low, a.high) = old.jumpRange();
                fits = a.low <= b.low && b.high <= a.high;
            }
        } else {
            uint256 proven = IDeadProof(address(old)).provenDead();
            require(proven >= DEAD_FOR_SWAP, IVault.NotProvenDead(proven, DEAD_FOR_SWAP));
            (a.low, a.high) = old.jumpRange();
            fits = proven >= DEAD_FOR_ANY_SWAP || (a.low <= b.low && b.high <= a.high);
        }
        require(fits && b.state == PriceState.Fresh, IVault.OracleMismatch(a.low, a.high, b.low, b.high));
        Market.Liquidations memory l = self.liquidations;
        Market.Risk storage risk = self.risk;
        // The band binds at the highest threshold: of a ramp, the higher end.
        uint16 threshold =
            l.rampThreshold > l.threshold && l.rampDuration != 0 ? l.rampThreshold : l.threshold;
        checkRisk(
            RiskParameters(risk.maxLtv, threshold, l.target, risk.bonusMin, l.bonusMax, l.slope),
            spacing,
            IOracleAdapter(oracle).band()
        );
        risk.oracle = oracle;
        emit IVault.SetOracle(oracle);
    }

    function _setReserveFactor(Market.State storage self, uint8 percent) private {
        require(percent <= MAX_RESERVE_FACTOR, IVault.InvalidReserveFactor(percent, MAX_RESERVE_FACTOR));
        self.ledger.reserveFactor = percent;
        emit IVault.SetReserveFactor(percent);
    }

    function _setRisk(Market.State storage self, RiskParameters memory p, int24 spacing) private {
        checkRisk(p, spacing, IOracleAdapter(self.risk.oracle).band());
        _writeRisk(self, p);
    }

    /// @dev Ends a ramp.
    function _writeRisk(Market.State storage self, RiskParameters memory p) private {
        Market.Risk storage risk = self.risk;
        risk.maxLtv = p.maxLtv;
        risk.bonusMin = p.bonusMin;
        Market.Liquidations storage liquidations = self.liquidations;
        liquidations.threshold = p.liquidationThreshold;
        liquidations.target = p.target;
        liquidations.bonusMax = p.bonusMax;
        liquidations.slope = p.slope;
        liquidations.rampStart = 0;
        liquidations.rampDuration = 0;
        liquidations.rampHalted = false;
        emit IVault.SetRisk(p);
    }

    /// @dev From the thresholds that are written. On a Dead price it begins halted.
    function _startRamp(
        Market.State storage self,
        uint16 toThreshold,
        uint16 toTarget,
        uint256 duration
    ) private {
        bool dead = _isDead(self);
        Market.Liquidations storage l = self.liquidations;
        l.rampThreshold = toThreshold;
        l.rampTarget = toTarget;
        l.rampStart = dead ? 0 : uint32(Market.rampClock(l.graceUntil));
        l.rampDuration = uint24(duration);
        l.rampHalted = dead;
        _emitRamp(self);
    }

    /// @dev What they are now, for who may change them: nobody any more in a wind-down.
    function _thresholds(Market.State storage self) private view returns (uint16, uint16) {
        Market.Liquidations memory l = self.liquidations;
        require(!l.windingDown, IVault.WindingDown());
        (uint256 threshold, uint256 target) = Market.thresholdsOf(l);
        return (uint16(threshold), uint16(target));
    }

    function _isDead(Market.State storage self) private view returns (bool) {
        return IOracleAdapter(self.risk.oracle).read().state == PriceState.Dead;
    }

    /// @dev Sources that are apart may be what kept it down.
    function _lives(Market.State storage self) private view returns (bool) {
        PriceState state = IOracleAdapter(self.risk.oracle).read().state;
        return state == PriceState.Fresh || state == PriceState.Single;
    }

    function _emitRamp(Market.State storage self) private {
        Market.Liquidations memory l = self.liquidations;
        emit IVault.SetRamp(
            Ramp(
                l.threshold,
                l.target,
                l.rampThreshold,
                l.rampTarget,
                l.rampStart,
                l.rampDuration,
                l.rampHalted
            )
        );
    }

    /// @dev No faster than a wind-down: in 14 days at most all of it.
    function _leastDuration(uint256 from, uint256 to) private pure returns (uint256) {
        return (Math.saturatingSub(from, to) * MIN_WIND_DOWN) / from;
    }

    function _checkDuration(uint256 duration, uint256 min) private pure {
        require(duration >= min && duration <= MAX_RAMP, IVault.InvalidDuration(duration, min, MAX_RAMP));
    }

    /// @notice Checks the parameters against the grid and the oracle's band; reverts with the rule that they break.
    function checkRisk(RiskParameters memory p, int24 spacing, uint256 band) internal pure {
        uint256 one = Grid.ratioOf(0, spacing);
        uint256 step = Grid.ratioOf(1, spacing);
        uint256 bps = Market.BPS;
        require(p.maxLtv < p.liquidationThreshold, IVault.InvalidRisk("maxLtv < liquidationThreshold"));
        require(p.bonusMin != 0 && p.bonusMin <= p.bonusMax, IVault.InvalidRisk("0 < bonusMin <= bonusMax"));
        require(
            p.target != 0 && p.target * step <= p.liquidationThreshold * one,
            IVault.InvalidRisk("0 < target * (1 + step) <= liquidationThreshold")
        );
        require(p.target * (bps + p.bonusMax) < bps * bps, IVault.InvalidRisk("target * (1 + bonusMax) < 1"));
        // Eight steps of room: two for the landing tick and the trigger tick, the rest so that no single jump skips it.
        require(
            uint256(p.liquidationThreshold) *
                (bps + band) *
                (bps + p.bonusMin) *
                (Grid.ratioOf(8, spacing) >> 64) <
                bps * bps * bps * (one >> 64),
            IVault.InvalidRisk("liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1")
        );
        require((step - one) * 4 * bps <= p.bonusMin * one, IVault.InvalidRisk("step <= bonusMin / 4"));
        require(
            (step - one) * 4 * bps <= uint256(p.liquidationThreshold - p.maxLtv) * one,
            IVault.InvalidRisk("step <= (liquidationThreshold - maxLtv) / 4")
        );
    }
}
