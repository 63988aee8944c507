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
        uint256 repaid; //     book debt
        uint256 seized; //     collateral units
        uint256 closedDebt; // book debt seized into the pot
        uint32 carrierId; //   all whole ticks merge into one node, the carrier; 0: none yet
        uint256 carrier;
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
        Market.Ledger memory ledger = self.accrued(units);
        LiquidationReport memory report;
        report.borrowIndex = ledger.borrowIndex;
        report.brakeLevel = self.level();
        bool fresh = price.state == PriceState.Fresh;

        // More than the whole debt is not needed; the bound also keeps the conversions from overflowing.
        uint256 maxRepay = Math.min(request.maxRepay, type(uint128).max);
        int24 top = self.book.top;
        Sweep memory s;
        s.sell = !request.seizeOnly;
        s.seize = fresh;
        s.budget = Market.bookDown(Market.debtUnitsDown(maxRepay, units), ledger.borrowIndex);
        Sale.Terms memory t = termsOf(self, units, price, ledger.borrowIndex);
        if (ledger.debt != 0) _sweep(self, t, s, request, report, top);

        repaid = Market.debtTokensUp(Market.unitsUp(s.repaid, ledger.borrowIndex), units);
        uint256 sold = s.seized;
        ledger.debt = (uint256(ledger.debt) - s.repaid - s.closedDebt).toUint104();
        ledger.cash = (uint256(ledger.cash) + repaid).toUint112();
        self.ledger = ledger;
        if (request.buyPot && fresh && self.book.potDebt != 0) {
            (uint256 paid, uint256 bought) = _sellPot(
                self,
                units,
                price.low,
                maxRepay - repaid,
                insurance,
                report
            );
            self.ledger.cash = (uint256(self.ledger.cash) + paid).toUint112();
            repaid += paid;
            sold += bought;
        }
        // Not `require`, which would read and compute first what only the error says.
        if (report.ticks == 0 && report.potDebtSold == 0) {
            revert IVault.NothingToLiquidate(top, t.triggerTick(), request.maxRepay, self.book.potDebt);
        }
        seized = Market.collateralTokensDown(sold, units);
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
        LiquidationRequest memory request;
        request.caller = msg.sender;
        request.fromTick = type(int24).max;
        request.maxTicks = maxTicks;
        Sale.Terms memory t = termsOf(self, units, price, report.borrowIndex);
        _sweep(self, t, s, request, report, self.book.top);
        self.ledger.debt = (uint256(self.ledger.debt) - s.closedDebt).toUint104();
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

    /// @dev The book's total debt is the caller's to lower. @param top the book's bound.
    function _sweep(
        Market.State storage self,
        Sale.Terms memory t,
        Sweep memory s,
        LiquidationRequest memory request,
        LiquidationReport memory report,
        int24 top
    ) private {
        TickBook.State storage book = self.book;
        int24 target = t.targetTick; // nothing at or below it is liquidatable
        int24 tick = request.fromTick < top ? request.fromTick : top;
        int24 bound = target; // the highest tick that this sweep leaves populated
        (report.fromTick, report.landTick) = (tick, target);
        uint256 ticks;
        uint256 maxTicks = request.maxTicks == 0 ? type(uint256).max : request.maxTicks;
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
            if (action == Sale.Action.Stop) break;
            if (action == Sale.Action.Skip) {
                if (bound < tick) bound = tick; // left where it is: it blocks nothing below
                continue;
            }
            walk.vacate(tick);
            report.lowestTick = tick;
            unchecked {
                ticks++;
            }
            if (action == Sale.Action.Seize) {
                _seize(book, s, report, ratio, id, TickBook.debtIn(node));
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
        if (request.fromTick >= top && bound + BOUND_STEP < top) book.top = bound;
        if (s.closedDebt != 0) {
            book.potDebt = (book.potDebt + report.potDebt).toUint128();
            book.seizedAt = uint32(
                Market.seizedAtWith(book.seizedAt, book.potCollateral, report.potCollateral)
            );
            book.potCollateral = (book.potCollateral + report.potCollateral).toUint128();
        }
    }

    /// @dev Counts the sale of one tick.
    function _count(Sweep memory s, Sale.Step memory step, uint256 debt) private pure {
        // No overflow: a tick repays at most its debt and the budget; debt and collateral of a book are bounded.
        unchecked {
            uint256 repaid = debt - step.debt;
            s.budget -= repaid;
            s.repaid += repaid;
            s.seized += step.seized;
        }
    }

    /// @dev Moves one tick's debt and collateral to the pot. Its positions keep their surplus.
    function _seize(
        TickBook.State storage book,
        Sweep memory s,
        LiquidationReport memory report,
        uint256 ratio,
        uint32 id,
        uint256 debt
    ) private {
        report.potDebt += Market.unitsDown(debt, report.borrowIndex);
        report.potCollateral += TickBook.behindDown(debt, ratio);
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
