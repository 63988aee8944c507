// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {IMarketPair} from "../interfaces/IMarketPair.sol";
import {IOracleAdapter, Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {BrakeLevel} from "../interfaces/IEmergencyBrake.sol";
import {IVault, LiquidationReport, LiquidationRequest, PotReport} from "../interfaces/IVault.sol";
import {Grid} from "./Grid.sol";
import {Market} from "./Market.sol";
import {Sale} from "./Sale.sol";
import {TickBook} from "./TickBook.sol";

/// @title Liquidation
/// @notice Sweeps ticks from the top: sells what is liquidatable, seizes what is insolvent, sells the pot. An external
/// library: only liquidations and insolvency checks pay for the call, and the vault stays below the code size limit.
library Liquidation {
    using Market for Market.State;
    using TickBook for TickBook.State;
    using TickBook for TickBook.Walk;
    using Sale for Sale.Terms;
    using Sale for Sale.Step;
    using SafeCast for uint256;

    /// @dev The book's bound may stay so far above the highest populated tick: a write costs more than what it saves.
    int24 private constant BOUND_STEP = 32;

    /// @dev A sweep on its way down, in memory.
    struct Sweep {
        bool sell;
        bool seize;
        uint256 budget; //     book debt left to repay
        uint256 spare; //      book debt of the caller's budget that the cascade brake keeps back, but for one step
        uint256 seized; //     collateral units
        uint256 closedDebt; // book debt seized into the pot
        uint32 carrierId; //   all whole ticks merge into one node, the carrier; 0: none yet
        uint256 carrier;
    }

    /// @notice One call of a liquidator. The vault has checked the caller, and moves the tokens afterwards.
    /// @return repaid debt token units to come in. @return seized collateral token units to go out.
    function liquidate(
        Market.State storage self,
        Market.Units memory units,
        Price calldata price,
        LiquidationRequest calldata request,
        IInsuranceFund insurance
    ) external returns (uint256 repaid, uint256 seized) {
        Market.Liquidations storage liquidations = self.liquidations;
        bool capped = liquidations.capped; // here: one read of the slot
        BrakeLevel level = Market.levelOf(
            self.risk.noNewRiskUntil,
            liquidations.pausedUntil,
            liquidations.graceUntil
        );
        if (level == BrakeLevel.LiquidationsPaused) {
            revert IVault.LiquidationsPaused(level, liquidations.pausedUntil);
        }
        require(price.state != PriceState.Dead, IVault.PriceDead());
        if (units.pair != address(0) && price.state == PriceState.Fresh) {
            IMarketPair(units.pair).observe(price.low);
        }
        Market.Ledger memory ledger = self.accrued(units);
        LiquidationReport memory report;
        PotReport memory pot;
        report.borrowIndex = ledger.borrowIndex;
        report.brakeLevel = level;

        // More than the whole debt is not needed; the bound also keeps the conversions from overflowing.
        uint256 maxRepay = Math.min(request.maxRepay, type(uint128).max);
        int24 top = self.book.top;
        Sweep memory s;
        s.sell = !request.seizeOnly && Market.allowsSale(price.state, level);
        uint256 budget = Market.bookDown(Market.debtUnitsDown(maxRepay, units), ledger.borrowIndex);
        s.budget = budget;
        int24 fromTick = request.fromTick;
        bool spent;
        if (capped) {
            spent = _cap(self, s, ledger.borrowIndex);
            fromTick = type(int24).max;
        }
        report.priceHigh = price.high;
        {
            bool twice;
            (s.seize, twice) = Market.seizable(price.state, level, spent);
            if (twice) {
                (s.seize, report.priceHigh) = Market.earlierHigh(
                    IOracleAdapter(self.risk.oracle),
                    price.high
                );
            }
        }
        Sale.Terms memory t = termsOf(self, units, report.priceHigh, price.low, ledger.borrowIndex);
        if (ledger.debt != 0) _sweep(self, t, s, fromTick, request.maxTicks, report, pot, top);

        budget -= s.budget + s.spare; // what has been repaid of it
        if (capped) _use(self, Market.unitsUp(budget, ledger.borrowIndex));
        repaid = Market.debtTokensUp(Market.unitsUp(budget, ledger.borrowIndex), units);
        uint256 sold = s.seized;
        ledger.debt = (uint256(ledger.debt) - budget - s.closedDebt).toUint104();
        ledger.cash = (uint256(ledger.cash) + repaid).toUint112();
        self.write(ledger, units.pair);
        if (request.buyPot && self.book.potDebt != 0 && Market.allowsPotSale(price.state, level)) {
            (uint256 paid, uint256 bought) = _sellPot(
                self,
                units,
                price.low,
                maxRepay - repaid,
                insurance,
                pot
            );
            self.ledger.cash = (uint256(self.ledger.cash) + paid).toUint112();
            repaid += paid;
            sold += bought;
        }
        // Not `require`, which would read and compute first what only the error says.
        if (report.ticks == 0 && pot.potDebtSold == 0) {
            if (level == BrakeLevel.Grace) {
                revert IVault.LiquidationsPaused(level, self.liquidations.graceUntil);
            }
            if (spent && !request.seizeOnly) {
                revert IVault.CascadeCapReached(Market.cascadeLeft(self.cascade), self.cascade.window);
            }
            revert IVault.NothingToLiquidate(top, t.triggerTick(), request.maxRepay, self.book.potDebt);
        }
        seized = Market.collateralTokensDown(sold, units);
        report.repaid = repaid;
        report.seized = seized;
        _emit(price, request.caller, request.receiver, report, pot);
    }

    /// @notice Seizes every tick that is insolvent at the higher price, at most `maxTicks`. The caller has asked
    /// Market.seizable.
    function seizeInsolvent(
        Market.State storage self,
        Market.Units memory units,
        Price calldata price,
        uint32 maxTicks
    ) external {
        LiquidationReport memory report;
        PotReport memory pot;
        report.borrowIndex = self.ledger.borrowIndex;
        report.brakeLevel = self.level();
        Sweep memory s;
        s.seize = true;
        report.priceHigh = price.high;
        Sale.Terms memory t = termsOf(self, units, price.high, price.low, report.borrowIndex);
        _sweep(self, t, s, type(int24).max, maxTicks, report, pot, self.book.top);
        self.ledger.debt = (uint256(self.ledger.debt) - s.closedDebt).toUint104();
        _emit(price, msg.sender, address(0), report, pot);
    }

    /// @notice Sells what a wind-down has left of one position, at the price of a liquidation: at the end of a wind-down it
    /// has no slope. The vault moves the tokens afterwards.
    /// @return repaid debt token units to come in. @return seized collateral token units to go out.
    function settle(
        Market.State storage self,
        Market.Units memory units,
        address owner,
        uint96 sub,
        uint256 maxRepay,
        address receiver
    ) external returns (uint256 repaid, uint256 seized) {
        _checkSettlement(self);
        Price memory price = IOracleAdapter(self.risk.oracle).update();
        require(price.state != PriceState.Dead, IVault.PriceDead());
        Market.Ledger memory ledger = self.accrued(units);
        TickBook.Position storage position = self.book.position[TickBook.keyOf(owner, sub)];
        uint256 bookDebt;
        uint256 sold;
        {
            uint32 id;
            (id, bookDebt) = self.book.resolve(position.node, position.shares);
            require(bookDebt != 0, IVault.NothingToSettle(owner, sub));
            uint256 ratio = Grid.ratioOf(self.book.node[id].tick, units.spacing);
            // Sources apart leave the lower one nobody's price: a settlement can wait, its owner cannot choose.
            Sale.Terms memory t = termsOf(
                self,
                units,
                price.high,
                price.state == PriceState.Diverged ? price.high : price.low,
                ledger.borrowIndex
            );
            require(ratio < t.insolventRatio, IVault.NothingToSettle(owner, sub));
            maxRepay = Market.debtUnitsDown(Math.min(maxRepay, type(uint128).max), units);
            bookDebt = Math.min(bookDebt, Market.bookDown(maxRepay, ledger.borrowIndex));
            require(bookDebt != 0, IVault.ZeroAmount());
            // At most what stands behind the debt: the shift may cut a price to the ratio itself.
            sold = Math.min(
                (bookDebt << 128) / (t.salePrice(ratio >> t.shift) << t.shift),
                TickBook.behindDown(bookDebt, ratio)
            );
        }
        TickBook.Outcome memory out = self.book.change(
            position,
            -int256(sold),
            -int256(bookDebt),
            false,
            units.spacing
        );
        repaid = Market.debtTokensUp(Market.unitsUp(bookDebt, ledger.borrowIndex), units);
        seized = Market.collateralTokensDown(sold, units);
        ledger.debt = (uint256(ledger.debt) - out.oldDebt + out.newDebt).toUint104();
        ledger.cash = (uint256(ledger.cash) + repaid).toUint112();
        self.write(ledger, units.pair);
        emit IVault.Settle(
            owner,
            sub,
            msg.sender,
            receiver,
            price.low,
            price.high,
            repaid,
            seized,
            ledger.borrowIndex,
            out.newDebt,
            out.surplus
        );
    }

    /// @notice The terms of a sale now, at the price `high`, `low`.
    function termsOf(
        Market.State storage self,
        Market.Units memory units,
        uint256 high,
        uint256 low,
        uint256 borrowIndex
    ) internal view returns (Sale.Terms memory t) {
        Market.Liquidations storage l = self.liquidations;
        (uint256 threshold, uint256 target) = (l.threshold, l.target);
        bool ramped = l.rampDuration != 0;
        if (ramped) (threshold, target) = Market.thresholdsOf(l);
        t = Sale.terms(
            Market.bookPriceUp(high, borrowIndex, units),
            Market.bookPriceDown(low, borrowIndex, units),
            threshold,
            target,
            self.risk.bonusMin,
            l.bonusMax,
            l.slope,
            units.spacing
        );
        if (ramped) t.boundGap();
    }

    // ------------------------------------------------------------------ the sweep

    /// @dev The book's total debt is the caller's to lower. @param top the book's bound.
    function _sweep(
        Market.State storage self,
        Sale.Terms memory t,
        Sweep memory s,
        int24 fromTick,
        uint256 maxTicks, // 0: no bound
        LiquidationReport memory report,
        PotReport memory pot,
        int24 top
    ) private {
        TickBook.State storage book = self.book;
        int24 target = t.targetTick; // nothing at or below it is liquidatable
        int24 tick = fromTick < top ? fromTick : top;
        int24 bound = target; // the highest tick that this sweep leaves populated
        (report.fromTick, report.landTick) = (tick, target);
        uint256 ticks;
        if (maxTicks == 0) maxTicks = type(uint256).max;
        Sale.Step memory step;
        TickBook.Walk memory walk = book.walkFrom(tick);
        while (true) {
            tick = book.next(walk, target);
            if (tick == target || ticks == maxTicks) break;
            uint256 ratio = Grid.ratioOf(tick, t.spacing);
            if (ratio < t.triggerRatio) break;
            (uint32 id, uint256 node) = book.nodeAt(walk, tick);
            Sale.Action action = step.decide(
                t,
                tick,
                ratio,
                TickBook.debtIn(node),
                s.budget,
                s.sell,
                s.seize
            );
            if (action < Sale.Action.Seize) {
                if (action == Sale.Action.Skip) {
                    if (bound < tick) bound = tick; // left where it is: it blocks nothing below
                    continue;
                }
                if (!_oversteps(t, s, step, tick, ratio, TickBook.debtIn(node))) break;
            }
            walk.vacate(tick);
            report.lowestTick = tick;
            unchecked {
                ticks++;
            }
            if (action == Sale.Action.Seize) {
                _seize(book, s, pot, report.borrowIndex, ratio, id, TickBook.debtIn(node));
                continue;
            }
            _count(s, step, TickBook.debtIn(node));
            (id, node) = book.shrink(id, node, step.debt, step.num, step.den);
            if (step.land != target) {
                // The budget ends here.
                (report.partialTick, report.partialLandTick) = (tick, step.land);
                book.finish(walk);
                (id, node) = book.mergeWith(step.land, id, node);
                book.settleAt(id, node, step.land);
                tick--;
                break;
            }
            (s.carrierId, s.carrier) =
                s.carrierId == 0
                    ? book.mergeWith(target, id, node)
                    : book.merge(s.carrierId, s.carrier, id, node);
        }
        book.finish(walk);
        if (s.carrierId != 0) book.settleAt(s.carrierId, s.carrier, target);
        report.ticks = uint32(ticks);
        // Lower the bound only if nothing above `fromTick` was left out, and by a few ticks only with the next ones.
        if (bound < tick) bound = tick;
        if (report.fromTick == top && bound + BOUND_STEP < top) book.top = bound;
        if (s.closedDebt != 0) {
            book.potDebt = (book.potDebt + pot.potDebt).toUint128();
            book.seizedAt = uint32(Market.seizedAtWith(book.seizedAt, book.potCollateral, pot.potCollateral));
            book.potCollateral = (book.potCollateral + pot.potCollateral).toUint128();
        }
    }

    /// @dev With the cascade brake on no more is sold than the cap has left.
    function _cap(
        Market.State storage self,
        Sweep memory s,
        uint256 borrowIndex
    ) private view returns (bool spent) {
        uint256 left = Market.cascadeLeft(self.cascade);
        spent = left == 0;
        if (spent) s.sell = false;
        left = Market.bookDown(left, borrowIndex);
        if (left < s.budget) (s.spare, s.budget) = (s.budget - left, left);
    }

    /// @dev Counts what was sold, debt units, rounded up.
    function _use(Market.State storage self, uint256 debtUnits) private {
        Market.Cascade memory c = self.cascade;
        c.used = uint112(Market.cascadeUsed(c) + Math.ceilDiv(debtUnits, Market.MICRO));
        c.usedAt = uint32(block.timestamp);
        self.cascade = c;
    }

    /// @dev Where what the cap has left buys no step, one step is sold whole, or a cap could stop every sale: it counts
    /// whole too, so that the next one waits for longer. The sweep ends with it.
    function _oversteps(
        Sale.Terms memory t,
        Sweep memory s,
        Sale.Step memory step,
        int24 tick,
        uint256 ratio,
        uint256 debt
    ) private pure returns (bool) {
        if (!s.sell || s.spare == 0) return false;
        step.oneStep(t, tick, ratio, debt);
        uint256 cost = debt - step.debt;
        if (cost > s.budget + s.spare) return false;
        (s.spare, s.budget) = (s.budget + s.spare - cost, cost);
        s.sell = false; // after this step
        return true;
    }

    function _checkSettlement(Market.State storage self) private view {
        Market.Liquidations memory l = self.liquidations;
        uint256 left = l.windingDown ? l.rampDuration - Market.rampElapsed(l) : type(uint256).max;
        require(left == 0, IVault.NotWoundDown(left));
        BrakeLevel level = self.level();
        require(
            level < BrakeLevel.Grace,
            IVault.LiquidationsPaused(level, level == BrakeLevel.Grace ? l.graceUntil : l.pausedUntil)
        );
    }

    /// @dev Counts the sale of one tick.
    function _count(Sweep memory s, Sale.Step memory step, uint256 debt) private pure {
        // No overflow: a tick repays at most its debt and the budget; debt and collateral of a book are bounded.
        unchecked {
            s.budget -= debt - step.debt;
            s.seized += step.seized;
        }
    }

    /// @dev Moves one tick's debt and collateral to the pot. Its positions keep their surplus.
    function _seize(
        TickBook.State storage book,
        Sweep memory s,
        PotReport memory pot,
        uint256 borrowIndex,
        uint256 ratio,
        uint32 id,
        uint256 debt
    ) private {
        pot.potDebt += Market.unitsDown(debt, borrowIndex);
        pot.potCollateral += TickBook.behindDown(debt, ratio);
        s.closedDebt += debt;
        book.close(id);
    }

    // ------------------------------------------------------------------ the pot

    /// @dev Sells as much of the pot as `budget` (debt token units) buys, and books the loss of what was sold: insurance,
    /// then reserves, then the lenders. What the sale brings above the debt goes to the reserves, and so to the fund.
    function _sellPot(
        Market.State storage self,
        Market.Units memory units,
        uint256 price,
        uint256 budget,
        IInsuranceFund insurance,
        PotReport memory pot
    ) private returns (uint256 paid, uint256 bought) {
        uint256 debt = self.book.potDebt;
        uint256 collateral = self.book.potCollateral;
        uint256 u = Market.potPrice(
            debt,
            collateral,
            price,
            self.book.seizedAt,
            self.risk.bonusMin,
            self.liquidations.bonusMax,
            units
        );
        uint256 cost;
        uint256 debtSold;
        (bought, cost, debtSold) = Market.potSale(debt, collateral, u, Market.debtUnitsDown(budget, units));
        if (debtSold == 0) return (0, 0);
        paid = Market.debtTokensUp(cost, units);
        self.book.potDebt = (debt - debtSold).toUint128();
        self.book.potCollateral = (collateral - bought).toUint128();
        pot.potDebtSold = debtSold;
        pot.potCollateralSold = bought;
        uint256 owed = Market.debtTokensUp(debtSold, units);
        if (paid >= owed) {
            self.ledger.reserves = (uint256(self.ledger.reserves) + paid - owed).toUint112();
            return (paid, bought);
        }
        uint256 loss = owed - paid;
        pot.insurancePaid = Math.min(loss, insurance.balanceOf(address(this)));
        if (pot.insurancePaid != 0) {
            insurance.cover(pot.insurancePaid);
            self.ledger.cash = (uint256(self.ledger.cash) + pot.insurancePaid).toUint112();
        }
        loss -= pot.insurancePaid;
        pot.reservesPaid = Math.min(loss, self.ledger.reserves);
        if (pot.reservesPaid != 0) self.ledger.reserves -= uint112(pot.reservesPaid);
        pot.lendersLoss = loss - pot.reservesPaid;
    }

    function _emit(
        Price calldata price,
        address caller,
        address receiver,
        LiquidationReport memory report,
        PotReport memory pot
    ) private {
        report.priceLow = price.low;
        report.roundA = price.roundA;
        report.roundB = price.roundB;
        report.oracleState = price.state;
        emit IVault.Liquidate(address(this), caller, receiver, report);
        if (pot.potDebt != 0 || pot.potDebtSold != 0) emit IVault.ChangePot(pot);
    }
}
