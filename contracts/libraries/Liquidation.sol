// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {IVault, LiquidationReport, LiquidationRequest} from "../interfaces/IVault.sol";
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
    using SafeCast for uint256;
    using Math for uint256;

    /// @dev A sweep on its way down, in memory.
    struct Sweep {
        Sale.Terms terms;
        bool sell;
        bool seize;
        uint256 budget; //   book debt left to repay
        uint256 repaid; //   book debt
        uint256 seized; //   collateral units
        uint32 carrierId; // all whole ticks merge into one node, the carrier; 0: none yet
        TickBook.Node carrier;
        uint256 closedDebt; // book debt seized into the pot
    }

    /// @notice One call of a liquidator. The vault has checked the caller, the brake and that there is a price; it
    /// moves the tokens afterwards.
    /// @return repaid debt token units to come in. @return seized collateral token units to go out.
    function liquidate(
        Market.State storage self,
        Market.Units memory units,
        Price memory price,
        LiquidationRequest memory request,
        IInsuranceFund insurance
    ) external returns (uint256 repaid, uint256 seized) {
        Market.Ledger memory ledger = self.accrue(units);
        LiquidationReport memory report;
        report.borrowIndex = ledger.borrowIndex;
        report.brakeLevel = self.level();
        bool fresh = price.state == PriceState.Fresh;

        // More than the whole debt is not needed; the bound also keeps the conversions from overflowing.
        uint256 maxRepay = Math.min(request.maxRepay, type(uint128).max);
        int24 topTick = self.book.top;
        Sweep memory s;
        s.sell = !request.seizeOnly;
        s.seize = fresh;
        s.budget = Market.bookDown(Market.debtUnitsDown(maxRepay, units), ledger.borrowIndex);
        s.terms = termsOf(self, units, price, ledger.borrowIndex);
        if (ledger.debt != 0) _sweep(self, units, s, request, report);

        repaid = Market.debtTokensUp(Market.unitsUp(s.repaid, ledger.borrowIndex), units);
        uint256 sold = s.seized;
        if (request.buyPot && fresh && self.book.potDebt != 0) {
            (uint256 paid, uint256 bought) = _sellPot(
                self,
                units,
                price.low,
                maxRepay - repaid,
                insurance,
                report
            );
            repaid += paid;
            sold += bought;
        }
        require(
            report.ticks != 0 || report.potDebtSold != 0,
            IVault.NothingToLiquidate(topTick, s.terms.triggerTick, request.maxRepay, self.book.potDebt)
        );
        seized = Market.collateralTokensDown(sold, units);
        self.ledger.cash = (uint256(self.ledger.cash) + repaid).toUint112();
        report.repaid = repaid;
        report.seized = seized;
        _emit(price, request, report);
    }

    /// @notice Seizes every tick that is insolvent at the higher price, at most `maxTicks`. The caller has checked that
    /// the price is Fresh and that liquidations are not paused.
    function seizeInsolvent(
        Market.State storage self,
        Market.Units memory units,
        Price memory price,
        uint32 maxTicks
    ) external {
        LiquidationReport memory report;
        report.borrowIndex = self.ledger.borrowIndex;
        report.brakeLevel = self.level();
        Sweep memory s;
        s.seize = true;
        s.terms = termsOf(self, units, price, report.borrowIndex);
        LiquidationRequest memory request;
        request.caller = msg.sender;
        request.fromTick = type(int24).max;
        request.maxTicks = maxTicks;
        _sweep(self, units, s, request, report);
        _emit(price, request, report);
    }

    /// @notice The terms of a sale now.
    function termsOf(
        Market.State storage self,
        Market.Units memory units,
        Price memory price,
        uint256 borrowIndex
    ) internal view returns (Sale.Terms memory) {
        Market.Liquidations memory l = self.liquidations;
        return
            Sale.terms(
                Market.bookPriceUp(price.high, borrowIndex, units),
                Market.bookPriceDown(price.low, borrowIndex, units),
                l.threshold,
                l.target,
                self.risk.bonusMin,
                l.bonusMax,
                l.slope,
                units.spacing
            );
    }

    // ------------------------------------------------------------------ the sweep

    function _sweep(
        Market.State storage self,
        Market.Units memory units,
        Sweep memory s,
        LiquidationRequest memory request,
        LiquidationReport memory report
    ) private {
        TickBook.State storage book = self.book;
        int24 top = book.top;
        int24 floor = s.terms.triggerTick;
        int24 tick = request.fromTick < top ? request.fromTick : top;
        int24 bound = type(int24).min; // the highest tick that this sweep leaves populated above where it ends
        report.fromTick = tick;
        report.landTick = s.terms.targetTick;
        bool partial_;
        while ((tick = book.nextPopulated(tick, floor)) >= floor) {
            if (request.maxTicks != 0 && report.ticks == request.maxTicks) break;
            uint256 ratio = Grid.ratioOf(tick, units.spacing);
            uint32 id = book.liveNodeAt(tick);
            TickBook.Node memory node = book.node[id];
            Sale.Step memory step = Sale.decide(s.terms, tick, ratio, node.debt, s.budget, s.sell, s.seize);
            if (step.action == Sale.Action.Stop) break;
            if (step.action == Sale.Action.Seize) {
                _seize(self, s, report, tick, ratio, id, node);
            } else if (step.action == Sale.Action.Sell) {
                partial_ = step.land != s.terms.targetTick;
                if (partial_) (report.partialTick, report.partialLandTick) = (tick, step.land);
                _sell(book, s, report, tick, step.land, id, node, step.move);
            } else if (bound < tick) {
                bound = tick; // left where it is: it blocks nothing below
            }
            tick--;
            if (partial_) break;
        }
        if (s.carrierId != 0) book.settleAt(s.carrierId, s.carrier, s.terms.targetTick);
        // Lower the bound only if nothing above `fromTick` was left out.
        if (request.fromTick >= top) {
            if (tick < floor) tick = floor - 1;
            if (bound < tick) bound = tick;
            if (partial_ && bound < report.partialLandTick) bound = report.partialLandTick;
            if (s.carrierId != 0 && bound < s.terms.targetTick) bound = s.terms.targetTick;
            if (bound < top) book.top = bound;
        }
        self.ledger.debt = (uint256(self.ledger.debt) - s.repaid - s.closedDebt).toUint104();
        if (s.closedDebt != 0) {
            book.potDebt = (book.potDebt + report.potDebt).toUint128();
            book.seizedAt = uint32(
                Market.seizedAtWith(book.seizedAt, book.potCollateral, report.potCollateral)
            );
            book.potCollateral = (book.potCollateral + report.potCollateral).toUint128();
        }
    }

    /// @dev Moves one tick's node down: whole ticks into the carrier, a partial one to where the budget brings it.
    function _sell(
        TickBook.State storage book,
        Sweep memory s,
        LiquidationReport memory report,
        int24 tick,
        int24 land,
        uint32 id,
        TickBook.Node memory node,
        Sale.Move memory m
    ) private {
        s.budget -= node.debt - m.debt;
        s.repaid += node.debt - m.debt;
        s.seized += m.seized;
        report.ticks++;
        report.lowestTick = tick;
        book.vacate(tick);
        (id, node) = book.shrink(id, node, m.debt, m.num, m.den);
        if (land != s.terms.targetTick) {
            book.settleAt(id, node, land);
        } else if (s.carrierId == 0) {
            (s.carrierId, s.carrier) = (id, node);
        } else {
            (s.carrierId, s.carrier) = book.merge(s.carrierId, s.carrier, id, node);
        }
    }

    /// @dev Moves one tick's debt and collateral to the pot. Its positions keep their surplus.
    function _seize(
        Market.State storage self,
        Sweep memory s,
        LiquidationReport memory report,
        int24 tick,
        uint256 ratio,
        uint32 id,
        TickBook.Node memory node
    ) private {
        report.ticks++;
        report.lowestTick = tick;
        report.potDebt += Market.unitsDown(node.debt, report.borrowIndex);
        report.potCollateral += TickBook.behindDown(node.debt, ratio);
        s.closedDebt += node.debt;
        self.book.vacate(tick);
        self.book.close(id);
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
        LiquidationReport memory report
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
        report.potDebtSold = debtSold;
        report.potCollateralSold = bought;
        uint256 owed = Market.debtTokensUp(debtSold, units);
        if (paid >= owed) {
            self.ledger.reserves = (uint256(self.ledger.reserves) + paid - owed).toUint112();
            return (paid, bought);
        }
        uint256 loss = owed - paid;
        report.insurancePaid = Math.min(loss, insurance.balanceOf(address(this)));
        if (report.insurancePaid != 0) {
            insurance.cover(report.insurancePaid);
            self.ledger.cash = (uint256(self.ledger.cash) + report.insurancePaid).toUint112();
        }
        loss -= report.insurancePaid;
        report.reservesPaid = Math.min(loss, self.ledger.reserves);
        if (report.reservesPaid != 0) self.ledger.reserves -= uint112(report.reservesPaid);
        report.lendersLoss = loss - report.reservesPaid;
    }

    function _emit(
        Price memory price,
        LiquidationRequest memory request,
        LiquidationReport memory report
    ) private {
        report.priceLow = price.low;
        report.priceHigh = price.high;
        report.roundA = price.roundA;
        report.roundB = price.roundB;
        report.oracleState = price.state;
        emit IVault.Liquidate(address(this), request.caller, request.receiver, report);
    }
}
