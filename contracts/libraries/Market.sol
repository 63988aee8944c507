// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BrakeLevel} from "../interfaces/IEmergencyBrake.sol";
import {IMarketPair} from "../interfaces/IMarketPair.sol";
import {IOracleAdapter, PriceState} from "../interfaces/IOracleAdapter.sol";
import {IVault} from "../interfaces/IVault.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";
import {AdaptiveRate} from "./AdaptiveRate.sol";
import {TickBook} from "./TickBook.sol";

/// @title Market
/// @notice The state of one market and its accounting: interest, units, what lenders own.
/// @dev Slots are packed by who reads them together. The state sits at slot 0 of the vault; the Lens relies on that.
library Market {
    using Math for uint256;

    /// @dev Two slots: all that interest, debt and cash change, and nothing else.
    struct Ledger {
        uint104 borrowIndex; //  BORROW_INDEX_ONE at the start; only rises
        uint112 cash; //         debt token units that the vault accounts for
        uint40 rateAtTarget; //  per second, WAD
        uint104 debt; //         book debt: Σ debt of the live nodes
        uint112 reserves; //     debt token units within the assets that are not the lenders'
        uint32 accruedAt;
        uint8 reserveFactor; //  percent of the interest
    }

    /// @dev One slot: whoever asks for a price, to borrow, to withdraw or to lend. Basis points.
    struct Risk {
        address oracle;
        uint16 maxLtv;
        uint16 bonusMin;
        uint32 noNewRiskUntil; // at least graceUntil
    }

    /// @dev One slot: new debt. Millionths of a whole token.
    struct Limits {
        uint80 debtCap;
        uint80 collateralCap;
        uint64 minDebt;
    }

    /// @dev One slot: liquidations. Basis points.
    struct Liquidations {
        uint16 threshold;
        uint16 target;
        uint16 bonusMax;
        uint32 slope; //       of bonus per 10,000 basis points of LTV
        uint32 pausedUntil;
        uint32 graceUntil; //  at least pausedUntil
        // A ramp: `threshold` and `target` are where it began; see thresholdsOf.
        uint16 rampThreshold;
        uint16 rampTarget;
        uint32 rampStart; //   on its clock; while halted: the seconds that it has run
        uint24 rampDuration; // 0: no ramp
        bool rampHalted;
        bool windingDown;
        bool capped; //        by `cascade`
    }

    /// @dev One slot, read only while the cascade brake is on. Millionths of a whole token.
    struct Cascade {
        uint80 cap;
        uint32 window;
        uint112 used; // at usedAt; the cap refills it in `window` seconds
        uint32 usedAt;
    }

    struct State {
        Ledger ledger; //              slots 0 and 1
        Risk risk; //                  slot 2
        Limits limits; //              slot 3
        Liquidations liquidations; //  slot 4
        TickBook.State book; //        slots 5 to 10
        mapping(address owner => mapping(address operator => bool)) isOperator;
        mapping(bytes32 position => address) offeredTo;
        Cascade cascade; //            slot 13
    }

    /// @dev What a market never changes: units, grid and pair (0: none). A token amount × multiplier / divisor is its
    /// book units; one of the two is 1. Debt units have 18 decimals; collateral units 18 or, for an astronomic supply,
    /// fewer.
    struct Units {
        int24 spacing;
        uint256 collateralMultiplier;
        uint256 collateralDivisor;
        uint256 debtMultiplier;
        uint256 debtDivisor;
        uint256 priceMultiplier; // whole-token price → price in units
        address pair;
    }

    uint256 internal constant BORROW_INDEX_ONE = 2 ** 72;
    uint256 internal constant BPS = 10_000;
    uint256 internal constant WAD = 1e18;
    uint256 internal constant MICRO = 1e12; // debt units (18 decimals) in a millionth
    /// @dev The pot's discount grows from bonusMin to bonusMax in this time.
    uint256 internal constant POT_DISCOUNT_PERIOD = 1 hours;

    // ------------------------------------------------------------------ interest

    /// @notice The ledger with interest charged up to now.
    function accrued(State storage self, Units memory units) internal view returns (Ledger memory l) {
        l = self.ledger;
        charge(l, units, address(this));
    }

    /// @notice Charges interest and funding of `market` up to now, in memory.
    function charge(Ledger memory l, Units memory units, address market) internal view {
        uint256 elapsed = block.timestamp - l.accruedAt;
        if (elapsed == 0) return;
        uint256 bookDebt = l.debt;
        uint256 index = l.borrowIndex;
        l.accruedAt = uint32(block.timestamp);
        uint256 debt = debtTokensDown(unitsDown(bookDebt, index), units);
        (uint256 rate, uint256 rateAtTarget) = AdaptiveRate.accrue(
            utilization(debt, l.cash),
            l.rateAtTarget,
            elapsed
        );
        l.rateAtTarget = uint40(rateAtTarget); // bounded by AdaptiveRate.MAX
        if (bookDebt == 0) return;
        // No overflow: growth < 2⁸⁹, and the index only rises.
        unchecked {
            uint256 exponent = rate * elapsed;
            uint256 cut = uint256(l.reserveFactor) * (WAD / 100);
            if (units.pair != address(0)) {
                (exponent, cut) = _funded(exponent, cut, elapsed, units.pair, market);
            }
            index = FixedPointMathLib.divUp(index * AdaptiveRate.growth(exponent), WAD);
            // The index saturates instead of overflowing: a market must stay repayable for ever.
            if (index > type(uint104).max) index = type(uint104).max;
            l.borrowIndex = uint104(index);
            uint256 interest = debtTokensDown(unitsDown(bookDebt, index), units) - debt;
            uint256 reserves = l.reserves + (interest * cut) / WAD;
            l.reserves = reserves > type(uint112).max ? type(uint112).max : uint112(reserves);
        }
    }

    /// @dev The exponent with what the pair charges or spares, and the reserves' part of the interest, WAD. A surcharge is
    /// the lenders' and the reserves'; what the light side is spared is the reserves' alone.
    function _funded(
        uint256 exponent,
        uint256 cut,
        uint256 elapsed,
        address pair,
        address market
    ) private view returns (uint256, uint256) {
        (uint256 surcharge, uint256 insured, uint256 spared) = IMarketPair(pair).dueOf(market);
        // No overflow: exponents are below 2⁷¹ and `spared` below 2⁶⁴; it is at most the time that has passed.
        unchecked {
            uint256 fee = (exponent * cut) / WAD;
            uint256 relief = Math.min(fee, (fee * spared) / (elapsed * 1e9));
            // Not 0: the base rate has a minimum, of which the fee is at most a half.
            exponent = exponent - relief + surcharge;
            return (exponent, ((fee - relief + insured) * WAD) / exponent);
        }
    }

    /// @notice The share of the lenders' tokens that is lent out, WAD.
    function utilization(uint256 debt, uint256 cash) internal pure returns (uint256) {
        // No overflow: debt, in tokens of up to 24 decimals, < 2¹⁵⁶, and cash < 2¹¹².
        unchecked {
            uint256 assets = debt + cash;
            return assets == 0 ? 0 : (debt * WAD) / assets;
        }
    }

    function accrue(State storage self, Units memory units) internal returns (Ledger memory l) {
        l = accrued(self, units);
        write(self, l, units.pair);
    }

    /// @notice Writes the ledger, each of its slots once, and tells the pair. `Ledger` says where its fields are.
    /// @dev The compiler's own copy may write a slot once for each field.
    function write(State storage self, Ledger memory l, address pair) internal {
        Ledger storage ledger = self.ledger;
        uint256 first = l.borrowIndex | (uint256(l.cash) << 104) | (uint256(l.rateAtTarget) << 216);
        uint256 second =
            l.debt |
                (uint256(l.reserves) << 104) |
                (uint256(l.accruedAt) << 216) |
                (uint256(l.reserveFactor) << 248);
        assembly ("memory-safe") {
            sstore(ledger.slot, first)
            sstore(add(ledger.slot, 1), second)
        }
        if (pair != address(0)) IMarketPair(pair).push(unitsDown(l.debt, l.borrowIndex));
    }

    // ------------------------------------------------------------------ units

    // Book debt and the index are below 2¹⁰⁴, so that debt units are below 2¹³⁶: their products do not overflow.

    function unitsDown(uint256 bookDebt, uint256 index) internal pure returns (uint256) {
        unchecked {
            return (bookDebt * index) / BORROW_INDEX_ONE;
        }
    }

    function unitsUp(uint256 bookDebt, uint256 index) internal pure returns (uint256) {
        unchecked {
            return FixedPointMathLib.divUp(bookDebt * index, BORROW_INDEX_ONE);
        }
    }

    function bookDown(uint256 debtUnits, uint256 index) internal pure returns (uint256) {
        return (debtUnits * BORROW_INDEX_ONE) / index;
    }

    function bookUp(uint256 debtUnits, uint256 index) internal pure returns (uint256) {
        return FixedPointMathLib.divUp(debtUnits * BORROW_INDEX_ONE, index);
    }

    // Debt units are below 2²³² even as the price of a pot, and the divisor is at most 10⁶: no overflow.

    function debtTokensDown(uint256 debtUnits, Units memory u) internal pure returns (uint256) {
        unchecked {
            return (debtUnits * u.debtDivisor) / u.debtMultiplier;
        }
    }

    function debtTokensUp(uint256 debtUnits, Units memory u) internal pure returns (uint256) {
        unchecked {
            return FixedPointMathLib.divUp(debtUnits * u.debtDivisor, u.debtMultiplier);
        }
    }

    function debtUnitsDown(uint256 tokens, Units memory u) internal pure returns (uint256) {
        return (tokens * u.debtMultiplier) / u.debtDivisor;
    }

    function debtUnitsUp(uint256 tokens, Units memory u) internal pure returns (uint256) {
        return FixedPointMathLib.divUp(tokens * u.debtMultiplier, u.debtDivisor);
    }

    function collateralUnitsDown(uint256 tokens, Units memory u) internal pure returns (uint256) {
        return (tokens * u.collateralMultiplier) / u.collateralDivisor;
    }

    function collateralUnitsUp(uint256 tokens, Units memory u) internal pure returns (uint256) {
        return FixedPointMathLib.divUp(tokens * u.collateralMultiplier, u.collateralDivisor);
    }

    function collateralTokensDown(uint256 units, Units memory u) internal pure returns (uint256) {
        return (units * u.collateralDivisor) / u.collateralMultiplier;
    }

    /// @notice A change of collateral, tokens → units, rounded against its owner. The least int256 (all) stays itself.
    function collateralChange(int256 tokens, Units memory u) internal pure returns (int256) {
        if (tokens == 0 || tokens == type(int256).min) return tokens;
        uint256 amount = tokens > 0 ? uint256(tokens) : uint256(-tokens);
        require(amount <= type(uint128).max, IVault.AmountTooLarge(amount, type(uint128).max));
        if (tokens < 0) return -int256(collateralUnitsUp(amount, u));
        uint256 units = collateralUnitsDown(amount, u);
        require(units != 0, IVault.ZeroAmount());
        return int256(units);
    }

    /// @notice A change of debt, tokens → book debt, rounded against its owner.
    function bookChange(int256 tokens, uint256 index, Units memory u) internal pure returns (int256) {
        if (tokens == 0) return 0;
        if (tokens > 0) {
            require(
                tokens <= int256(uint256(type(uint128).max)),
                IVault.AmountTooLarge(uint256(tokens), type(uint128).max)
            );
            return int256(bookUp(debtUnitsUp(uint256(tokens), u), index));
        }
        // Whoever repays more than 2¹²⁸ repays everything.
        uint256 amount = tokens < -int256(uint256(type(uint128).max)) ? type(uint128).max : uint256(-tokens);
        uint256 book = bookDown(debtUnitsDown(amount, u), index);
        require(book != 0, IVault.ZeroAmount());
        return -int256(book);
    }

    /// @notice Price in book debt per collateral unit, Q128.128, rounded down.
    function bookPriceDown(uint256 price, uint256 index, Units memory u) internal pure returns (uint256) {
        return FixedPointMathLib.fullMulDiv(price, BORROW_INDEX_ONE * u.priceMultiplier, index);
    }

    /// @notice Price in book debt per collateral unit, Q128.128, rounded up.
    function bookPriceUp(uint256 price, uint256 index, Units memory u) internal pure returns (uint256) {
        return price.mulDiv(BORROW_INDEX_ONE * u.priceMultiplier, index, Math.Rounding.Ceil);
    }

    /// @notice The highest price (whole tokens, Q128.128) at which a tick of ratio `ratio` is liquidatable.
    /// @dev Exact: R ≥ LT · bookPriceUp(price) ⇔ price ≤ this, since each floor bounds an integer.
    function liquidationPrice(
        uint256 ratio,
        uint256 threshold,
        uint256 index,
        Units memory u
    ) internal pure returns (uint256) {
        return wholePrice((ratio * BPS) / threshold, index, u);
    }

    /// @notice The price of whole tokens that a price in book debt per collateral unit stands for, rounded down.
    function wholePrice(uint256 bookPrice, uint256 index, Units memory u) internal pure returns (uint256) {
        return bookPrice.mulDiv(index, BORROW_INDEX_ONE * u.priceMultiplier);
    }

    // ------------------------------------------------------------------ who may

    /// @notice Whether the caller is `owner` or an operator of it.
    function actsFor(State storage self, address owner) internal view returns (bool) {
        return msg.sender == owner || self.isOperator[owner][msg.sender];
    }

    // ------------------------------------------------------------------ thresholds

    /// @notice Liquidation threshold and target now, basis points. All that liquidates or shows a threshold asks here.
    /// @dev Rounded to the side of the borrower (up) and of the solvency of the landing (down), so that the rules of
    /// Parameters, which are linear, hold in between as they hold at both ends. Neither is ever beyond the ends.
    function thresholdsOf(Liquidations memory l) internal view returns (uint256 threshold, uint256 target) {
        (threshold, target) = (l.threshold, l.target);
        uint256 duration = l.rampDuration;
        if (duration == 0) return (threshold, target);
        uint256 elapsed = rampElapsed(l);
        uint256 left = duration - elapsed;
        threshold = Math.ceilDiv(threshold * left + l.rampThreshold * elapsed, duration);
        target = (target * left + l.rampTarget * elapsed) / duration;
    }

    /// @notice Seconds that the ramp's clock has run, at most its duration.
    function rampElapsed(Liquidations memory l) internal view returns (uint256) {
        uint256 elapsed = l.rampHalted ? l.rampStart : rampClock(l.graceUntil) - l.rampStart;
        return Math.min(elapsed, l.rampDuration);
    }

    /// @notice The time as ramps count it. A pause and its grace move the start of a ramp by as long as they last, at once
    /// (Parameters.setBrake), and until then count as over.
    function rampClock(uint256 graceUntil) internal view returns (uint256) {
        return Math.max(block.timestamp, graceUntil);
    }

    /// @notice Debt units that the cascade brake lets be liquidated now.
    function cascadeLeft(Cascade memory c) internal view returns (uint256) {
        return Math.saturatingSub(c.cap, cascadeUsed(c)) * MICRO;
    }

    /// @notice What counts as liquidated in the window up to now, millionths of a whole token.
    function cascadeUsed(Cascade memory c) internal view returns (uint256) {
        return Math.saturatingSub(c.used, (uint256(c.cap) * (block.timestamp - c.usedAt)) / c.window);
    }

    // ------------------------------------------------------------------ brake

    function level(State storage self) internal view returns (BrakeLevel) {
        return levelOf(self.risk.noNewRiskUntil, self.liquidations.pausedUntil, self.liquidations.graceUntil);
    }

    function levelOf(
        uint256 noNewRiskUntil,
        uint256 liquidationsPausedUntil,
        uint256 graceUntil
    ) internal view returns (BrakeLevel) {
        if (block.timestamp < liquidationsPausedUntil) return BrakeLevel.LiquidationsPaused;
        if (block.timestamp < graceUntil) return BrakeLevel.Grace;
        if (block.timestamp < noNewRiskUntil) return BrakeLevel.NoNewRisk;
        return BrakeLevel.None;
    }

    // ------------------------------------------------------------------ what price and brake allow

    // The matrix of docs/oracle.md. What is not here needs neither: repaying, topping up, closing, withdrawing surplus.

    /// @notice Borrowing, or withdrawing to a higher tick.
    function allowsNewRisk(PriceState state, BrakeLevel level_) internal pure returns (bool) {
        return state == PriceState.Fresh && level_ == BrakeLevel.None;
    }

    /// @notice Selling the collateral of liquidatable ticks.
    function allowsSale(PriceState state, BrakeLevel level_) internal pure returns (bool) {
        return state != PriceState.Dead && level_ < BrakeLevel.Grace;
    }

    /// @notice Seizing insolvent ticks whole (`seizable`), and pricing the pot for lenders who come or go.
    function allowsSeizure(PriceState state, BrakeLevel level_) internal pure returns (bool) {
        return state == PriceState.Fresh && level_ <= BrakeLevel.Grace;
    }

    /// @notice Selling the pot.
    function allowsPotSale(PriceState state, BrakeLevel level_) internal pure returns (bool) {
        return state == PriceState.Fresh && level_ < BrakeLevel.Grace;
    }

    /// @notice Whether insolvent ticks may be seized now, and whether only those that were insolvent at an earlier round
    /// too (`earlierHigh`): in a grace period, and once the cascade brake's cap is used up (`bypass`).
    function seizable(
        PriceState state,
        BrakeLevel level_,
        bool bypass
    ) internal pure returns (bool able, bool twice) {
        able = allowsSeizure(state, level_);
        twice = able && (bypass || level_ >= BrakeLevel.Grace);
    }

    /// @notice The higher of `high` and the price at an earlier round; not able if there is none.
    function earlierHigh(
        IOracleAdapter oracle,
        uint256 high
    ) internal view returns (bool able, uint256 counts) {
        (, counts) = oracle.earlier();
        able = counts != 0;
        if (counts < high) counts = high;
    }

    // ------------------------------------------------------------------ what lenders own

    /// @notice Insolvent: equity at most bonusMin, R·(1 + bonusMin) ≥ price. Both Q128.128 in book debt.
    function isInsolvent(uint256 ratio, uint256 bookPrice, uint256 bonusMin) internal pure returns (bool) {
        return ratio * (BPS + bonusMin) >= bookPrice * BPS;
    }

    /// @notice Debt units per collateral unit, Q128.128, at which the pot is sold: its own debt, but at a discount to
    /// `price` (whole tokens) between the growing one and bonusMax.
    function potPrice(
        uint256 potDebt,
        uint256 potCollateral,
        uint256 price,
        uint256 seizedAt,
        uint256 bonusMin,
        uint256 bonusMax,
        Units memory u
    ) internal view returns (uint256) {
        if (potCollateral == 0) return 0;
        uint256 elapsed = Math.min(block.timestamp - seizedAt, POT_DISCOUNT_PERIOD);
        uint256 discount = bonusMin + ((bonusMax - bonusMin) * elapsed) / POT_DISCOUNT_PERIOD;
        uint256 inUnits = price * u.priceMultiplier;
        uint256 ceiling = inUnits.mulDiv(BPS, BPS + discount);
        uint256 floor = inUnits.mulDiv(BPS, BPS + bonusMax);
        return Math.max(floor, Math.min(ceiling, potDebt.mulDiv(1 << 128, potCollateral)));
    }

    /// @notice When the pot counts as seized once `added` collateral units join it: the mean, weighted by collateral, of
    /// its own time and now, rounded to the earlier second. So a seizure does not give what waits already a new start,
    /// and nobody can lift the mark of a large pot with a small one.
    function seizedAtWith(
        uint256 seizedAt,
        uint256 potCollateral,
        uint256 added
    ) internal view returns (uint256) {
        if (added == 0) return seizedAt;
        uint256 elapsed = Math.min(block.timestamp - seizedAt, POT_DISCOUNT_PERIOD);
        return block.timestamp - Math.ceilDiv(elapsed * potCollateral, potCollateral + added);
    }

    /// @notice What `budget` (debt units) buys of the pot at `price` (potPrice): collateral units, what they cost (debt
    /// units, rounded up) and the debt that leaves the pot with them.
    function potSale(
        uint256 potDebt,
        uint256 potCollateral,
        uint256 price,
        uint256 budget
    ) internal pure returns (uint256 bought, uint256 cost, uint256 debtSold) {
        bought = potCollateral;
        cost = bought.mulDiv(price, 1 << 128, Math.Rounding.Ceil);
        debtSold = potDebt;
        if (cost > budget) {
            bought = budget.mulDiv(1 << 128, price);
            cost = bought.mulDiv(price, 1 << 128, Math.Rounding.Ceil);
            debtSold = potDebt.mulDiv(bought, potCollateral);
        }
    }

    /// @notice The lenders' assets in token units, rounded down: cash, book debt, the pot at its mark, less reserves.
    /// The mark is what the pot would fetch at `price` plus what `insurance` (token units) covers, at most its debt; what
    /// is missing is taken from the reserves first.
    function lenderAssets(
        State storage self,
        Ledger memory l,
        uint256 bookDebt,
        uint256 potDebt,
        uint256 potCollateral,
        uint256 seizedAt,
        uint256 price,
        uint256 insurance,
        Units memory u
    ) internal view returns (uint256) {
        uint256 assets = uint256(l.cash) + debtTokensDown(unitsDown(bookDebt, l.borrowIndex), u);
        uint256 reserves = l.reserves;
        if (potDebt != 0) {
            uint256 sellsAt = potPrice(
                potDebt,
                potCollateral,
                price,
                seizedAt,
                self.risk.bonusMin,
                self.liquidations.bonusMax,
                u
            );
            uint256 fetch = potCollateral.mulDiv(sellsAt, 1 << 128);
            uint256 mark = Math.min(potDebt, fetch + debtUnitsDown(insurance, u));
            assets += debtTokensDown(mark, u);
            reserves = Math.saturatingSub(reserves, debtTokensUp(potDebt - mark, u));
        }
        return Math.saturatingSub(assets, reserves);
    }
}
