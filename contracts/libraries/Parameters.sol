// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IOracleAdapter, Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {Caps, IVault, RiskParameters} from "../interfaces/IVault.sol";
import {AdaptiveRate} from "./AdaptiveRate.sol";
import {Grid} from "./Grid.sol";
import {Market} from "./Market.sol";

/// @title Parameters
/// @notice Sets a market's parameters and checks them. External: only the governor's calls pay for it.
library Parameters {
    using Market for Market.State;

    uint8 internal constant MAX_RESERVE_FACTOR = 50;

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

    /// @notice A threshold that liquidates never falls at once.
    function setRisk(Market.State storage self, RiskParameters memory risk, int24 spacing) external {
        (uint16 threshold, uint16 target) = (self.liquidations.threshold, self.liquidations.target);
        require(
            risk.liquidationThreshold >= threshold,
            IVault.ThresholdWouldFall(threshold, risk.liquidationThreshold)
        );
        require(risk.target >= target, IVault.ThresholdWouldFall(target, risk.target));
        _setRisk(self, risk, spacing);
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

    function setOracle(Market.State storage self, address oracle) external {
        Price memory a = IOracleAdapter(self.risk.oracle).read();
        Price memory b = IOracleAdapter(oracle).read();
        require(
            a.state == PriceState.Fresh && b.state == PriceState.Fresh && a.low <= b.high && b.low <= a.high,
            IVault.OracleMismatch(a.low, a.high, b.low, b.high)
        );
        self.risk.oracle = oracle;
        emit IVault.SetOracle(oracle);
    }

    function _setReserveFactor(Market.State storage self, uint8 percent) private {
        require(percent <= MAX_RESERVE_FACTOR, IVault.InvalidReserveFactor(percent, MAX_RESERVE_FACTOR));
        self.ledger.reserveFactor = percent;
        emit IVault.SetReserveFactor(percent);
    }

    function _setRisk(Market.State storage self, RiskParameters memory p, int24 spacing) private {
        _checkRisk(p, spacing, IOracleAdapter(self.risk.oracle).band());
        Market.Risk storage risk = self.risk;
        risk.maxLtv = p.maxLtv;
        risk.bonusMin = p.bonusMin;
        Market.Liquidations storage liquidations = self.liquidations;
        liquidations.threshold = p.liquidationThreshold;
        liquidations.target = p.target;
        liquidations.bonusMax = p.bonusMax;
        liquidations.slope = p.slope;
        emit IVault.SetRisk(p);
    }

    /// @notice Checks the parameters against the grid and the oracle's band; reverts with the rule that they break.
    function _checkRisk(RiskParameters memory p, int24 spacing, uint256 band) private pure {
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
