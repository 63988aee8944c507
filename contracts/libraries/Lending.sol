// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BrakeLevel} from "../interfaces/IEmergencyBrake.sol";
import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {IMarketPair} from "../interfaces/IMarketPair.sol";
import {IOracleAdapter, Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Grid} from "./Grid.sol";
import {Liquidation} from "./Liquidation.sol";
import {Market} from "./Market.sol";
import {TickBook} from "./TickBook.sol";

/// @title Lending
/// @notice What the lenders own when a tick may be insolvent or the pot is not empty, and when they have to wait.
/// External: a healthy market answers without it.
library Lending {
    using Market for Market.State;
    using TickBook for TickBook.State;
    using SafeERC20 for IERC20;

    struct Insolvency {
        uint32 ticks; //       that would be seized now
        bool more; //          beyond maxTicks
        bool atLowOnly; //     a tick is beyond total seizure at the lower price only
        uint256 bookDebt; //   of these ticks
        uint256 debt; //       the same, debt units
        uint256 collateral; // collateral units
    }

    /// @dev A lender's transaction seizes at most this many ticks; beyond, anyone calls Liquidator.seize first.
    uint32 internal constant MAX_SEIZURES = 64;

    /// @notice The lenders' assets (token units, rounded down) at the lower price, or the higher one if `atHigh`, and
    /// whether lenders wait; if `required`, reverts with LendersWait instead.
    function assets(
        Market.State storage self,
        Market.Units memory units,
        IInsuranceFund insurance,
        bool atHigh,
        bool required
    ) external view returns (uint256 total, bool waits) {
        Price memory price;
        (total, waits, , price) = _assess(self, units, insurance, atHigh);
        if (!required) return (total, waits);
        require(!atHigh || !self.liquidations.windingDown, IVault.WindingDown());
        require(!waits, IVault.LendersWait(price.state, self.level()));
    }

    /// @notice Before a lender comes or goes: seizes what is insolvent, so that the share price knows every loss there
    /// is, and returns the assets. Interest has been charged.
    function enter(
        Market.State storage self,
        Market.Units memory units,
        IInsuranceFund insurance,
        bool atHigh
    ) external returns (uint256 total) {
        Insolvency memory found;
        Price memory price;
        bool waits;
        (total, waits, found, price) = _assess(self, units, insurance, atHigh);
        require(!found.more, IVault.SeizeFirst(MAX_SEIZURES));
        require(!waits, IVault.LendersWait(price.state, self.level()));
        if (found.ticks != 0) Liquidation.seizeInsolvent(self, units, price, found.ticks);
    }

    /// @notice Charges interest up to now, and tells the pair, if there is one, the price now.
    function accrue(Market.State storage self, Market.Units memory units) external {
        Market.Ledger memory ledger = self.accrued(units);
        if (units.pair != address(0)) {
            Price memory price = IOracleAdapter(self.risk.oracle).read();
            if (price.state == PriceState.Fresh) IMarketPair(units.pair).observe(price.low);
        }
        self.write(ledger, units.pair);
    }

    /// @notice Sends reserves, as far as there is cash, to the insurance fund. While the pot is open they stay: reserves
    /// lose first.
    function collectReserves(
        Market.State storage self,
        Market.Units memory units,
        IInsuranceFund insurance,
        IERC20 asset
    ) external returns (uint256 amount) {
        Market.Ledger memory ledger = self.accrued(units);
        amount = self.book.potDebt != 0 ? 0 : Math.min(ledger.reserves, ledger.cash);
        require(amount != 0, IVault.ZeroAmount());
        ledger.reserves -= uint112(amount);
        ledger.cash -= uint112(amount);
        self.write(ledger, units.pair);
        emit IVault.CollectReserves(amount);
        asset.forceApprove(address(insurance), amount);
        insurance.deposit(address(this), amount);
    }

    /// @notice What a lender must know: the ticks that are insolvent now, at most `maxTicks` of them.
    function _insolvency(
        Market.State storage self,
        Market.Units memory units,
        Price memory price,
        uint256 borrowIndex,
        uint256 maxTicks
    ) private view returns (Insolvency memory found) {
        uint256 high = Market.bookPriceUp(price.high, borrowIndex, units);
        uint256 low = Market.bookPriceDown(price.low, borrowIndex, units);
        int24 bottom = -Grid.maxTick(units.spacing);
        int24 tick = self.book.top;
        while ((tick = self.book.nextPopulated(tick, bottom)) >= bottom) {
            uint256 ratio = Grid.ratioOf(tick, units.spacing);
            if (!Market.isInsolvent(ratio, high, self.risk.bonusMin)) {
                found.atLowOnly = Market.isInsolvent(ratio, low, self.risk.bonusMin);
                break;
            }
            if (found.ticks == maxTicks) {
                found.more = true;
                break;
            }
            uint256 bookDebt = self.book.node[self.book.liveNodeAt(tick)].debt;
            found.bookDebt += bookDebt;
            found.debt += Market.unitsDown(bookDebt, borrowIndex);
            found.collateral += TickBook.behindDown(bookDebt, ratio);
            found.ticks++;
            tick--;
        }
    }

    /// @dev The lenders' assets (token units, rounded down) with what is insolvent marked as if it were seized, at
    /// the lower price, or the higher one if `atHigh`. Lenders wait while an insolvent tick cannot be seized, seized
    /// collateral cannot be priced, or a tick is insolvent at the lower price only; and on a Dead price unless nothing is
    /// owed at all. With a Dead price seized collateral counts as nothing.
    function _assess(
        Market.State storage self,
        Market.Units memory units,
        IInsuranceFund insurance,
        bool atHigh
    ) private view returns (uint256 total, bool waits, Insolvency memory found, Price memory price) {
        Market.Ledger memory ledger = self.accrued(units);
        bool pot = self.book.potDebt != 0;
        uint256 high;
        if (ledger.debt != 0 || pot) {
            price = IOracleAdapter(self.risk.oracle).read();
            BrakeLevel level = self.level();
            high = price.high;
            if (price.state == PriceState.Dead) {
                waits = true;
            } else {
                (bool able, bool twice) = Market.seizable(
                    price.state,
                    level,
                    self.liquidations.capped && Market.cascadeLeft(self.cascade) == 0
                );
                if (twice) {
                    (able, price.high) = Market.earlierHigh(IOracleAdapter(self.risk.oracle), high);
                }
                found = _insolvency(self, units, price, ledger.borrowIndex, MAX_SEIZURES);
                waits =
                    found.more ||
                    found.atLowOnly ||
                    (found.ticks != 0 && !able) ||
                    (pot && !Market.allowsSeizure(price.state, level));
                if (!able) delete found;
            }
        }
        if (atHigh && self.liquidations.windingDown) waits = true; // nobody comes any more
        uint256 potDebt = self.book.potDebt + found.debt;
        total = self.lenderAssets(
            ledger,
            ledger.debt - found.bookDebt,
            potDebt,
            self.book.potCollateral + found.collateral,
            Market.seizedAtWith(self.book.seizedAt, self.book.potCollateral, found.collateral),
            atHigh ? high : price.low,
            potDebt == 0 ? 0 : insurance.balanceOf(address(this)),
            units
        );
    }
}
