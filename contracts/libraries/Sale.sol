// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";
import {Grid} from "./Grid.sol";

/// @title Sale
/// @notice The arithmetic of a liquidation, pure: at what price a tick's collateral is sold, and what moving it from one
/// tick to a lower one repays and seizes. With w the sale price and g(R) = w/R − 1, a tick that moves from R_k to R_j
/// keeps the fraction g(R_k)/g(R_j) of its debt: C·w − D is conserved, and the debt falls to nothing as R_k nears w.
///
/// BOUNDS. A sweep computes this once a tick, so most of it is unchecked. With debt < 2¹⁰⁴ and, in book debt per
/// collateral unit as Q128.128, 2³² ≤ price < 2²³² (PriceMath, Market) and 2⁶⁴ ≤ R < 2¹⁹² (Grid): shifted prices are
/// below 2¹²⁷; LTVs below 2²²⁰; a gain g(R), where R is at least a basis point of the price, below 2¹⁴². No divisor is
/// zero where the division does not check it: a price, such an R even when it is shifted, or more than 1.
library Sale {
    using FixedPointMathLib for uint256;

    uint256 internal constant WAD = 1e18;
    uint256 internal constant BPS = 10_000;

    /// @dev What one sweep has in common. The ratios are Q128.128; prices in book debt per collateral unit, shifted right
    /// by `shift` so that `high` < 2¹²⁷: then every product below fits 256 bits. Ratios are shifted by the same.
    struct Terms {
        uint256 price; //          high, unshifted
        uint256 triggerRatio; //   a tick of this ratio or a higher one is liquidatable,
        uint256 insolventRatio; // and from here on insolvent: Market.isInsolvent
        uint256 targetRatio;
        int24 targetTick; //       largest tick at or below the target
        int24 spacing;
        uint256 high;
        uint256 low;
        uint256 shift;
        uint256 threshold; //      of liquidation; LTV and bonuses are 10⁻¹⁸
        uint256 bonusMin;
        uint256 bonusMax;
        uint256 bonusGap; //       with it a keeper who trusts the lower price still earns bonusMin
        uint256 slope; //          basis points of bonus per 10,000 basis points of LTV
    }

    /// @dev Skip: the tick stays and blocks nothing below it. Stop: the sweep ends above the tick.
    enum Action {
        Skip,
        Stop,
        Seize,
        Sell
    }

    /// @dev The sale of one tick.
    struct Step {
        int24 land; //     where it brings the tick: the target, or above it as far as the budget reaches
        uint256 debt; //   left, book debt
        uint256 seized; // collateral units
        uint256 num; //    the node's index becomes index × num / den
        uint256 den;
    }

    /// @param high @param low Q128.128 book debt per collateral unit. @param liquidationThreshold basis points, as the
    /// following.
    function terms(
        uint256 high,
        uint256 low,
        uint256 liquidationThreshold,
        uint256 target,
        uint256 bonusMin,
        uint256 bonusMax,
        uint256 slope,
        int24 spacing
    ) internal pure returns (Terms memory t) {
        t.price = high;
        t.spacing = spacing;
        unchecked {
            t.triggerRatio = (high * liquidationThreshold).divUp(BPS);
            t.insolventRatio = (high * BPS).divUp(BPS + bonusMin);
            (t.targetTick, t.targetRatio) = Grid.floor((high * target) / BPS, spacing);
            if (t.targetRatio == 0) revert Grid.TickOutOfGrid(t.targetTick, Grid.maxTick(spacing));
            t.shift = high.log2().zeroFloorSub(126);
            t.high = high >> t.shift;
            t.low = low >> t.shift;
            t.threshold = (liquidationThreshold * WAD) / BPS;
            t.bonusMin = (bonusMin * WAD) / BPS;
            t.bonusMax = (bonusMax * WAD) / BPS;
            t.bonusGap = (t.high * (WAD + t.bonusMin)) / t.low - WAD; // low ≤ high
            t.slope = slope;
        }
    }

    /// @notice Bounds the gap's share of the bonus by bonusMax: where a ramp has brought the threshold low, nine tenths of the
    /// equity are no bound.
    function boundGap(Terms memory t) internal pure {
        if (t.bonusGap > t.bonusMax) t.bonusGap = t.bonusMax;
    }

    /// @notice The smallest liquidatable tick. A sweep does not need it: it compares ratios.
    function triggerTick(Terms memory t) internal pure returns (int24) {
        return Grid.ceilTick(t.triggerRatio, t.spacing);
    }

    /// @notice The smallest tick at or above the liquidation threshold at `price` (book debt, Q128.128).
    function triggerTick(uint256 price, uint256 threshold, int24 spacing) internal pure returns (int24) {
        return Grid.ceilTick(Math.ceilDiv(price * threshold, BPS), spacing);
    }

    /// @notice The price w at which a tick of ratio `ratio` (shifted) is sold, shifted like the terms.
    /// @dev The bonus grows with the shortfall, and with the gap between the sources; above bonusMin it never takes more
    /// than nine tenths of the equity.
    function salePrice(Terms memory t, uint256 ratio) internal pure returns (uint256) {
        unchecked {
            (uint256 high, uint256 least, uint256 bonus) = (t.high, t.bonusMin, t.bonusMin);
            uint256 ltv = (ratio * WAD).rawDiv(high);
            if (ltv > t.threshold) bonus += ((ltv - t.threshold) * t.slope) / BPS;
            if (bonus > t.bonusMax) bonus = t.bonusMax;
            if (bonus < t.bonusGap) bonus = t.bonusGap;
            uint256 cap = (high.zeroFloorSub(ratio) * (9 * WAD)).rawDiv(ratio * 10);
            if (bonus > cap) bonus = cap.max(least);
            return (high * WAD).rawDiv(WAD + bonus);
        }
    }

    /// @notice What a sweep does with a populated, liquidatable tick of ratio `ratio` (Q128.128) and `debt`, with `budget`
    /// left (both book debt): an insolvent tick can only be seized, any other only be sold, in part if the budget is short.
    /// @param step is written if it is a sale: a sweep has one for all its ticks.
    function decide(
        Step memory step,
        Terms memory t,
        int24 tick,
        uint256 ratio,
        uint256 debt,
        uint256 budget,
        bool sell,
        bool seize
    ) internal pure returns (Action action) {
        if (ratio >= t.insolventRatio) {
            action = seize ? Action.Seize : Action.Skip;
        } else if (!sell) {
            action = Action.Stop;
        } else {
            action = Action.Sell;
            uint256 w = salePrice(t, ratio >> t.shift);
            step.land = t.targetTick;
            (step.debt, step.seized, step.num, step.den) = move(t, debt, ratio, t.targetRatio, w);
            if (debt.rawSub(step.debt) > budget) {
                (step.land, step.debt, step.seized, step.num, step.den) = landing(
                    t,
                    debt,
                    tick,
                    ratio,
                    w,
                    budget
                );
                if (step.land == tick) action = Action.Stop;
            }
        }
    }

    /// @notice The sale that brings a tick down by one step, whatever it costs.
    function oneStep(
        Step memory step,
        Terms memory t,
        int24 tick,
        uint256 ratio,
        uint256 debt
    ) internal pure {
        step.land = tick - 1;
        (step.debt, step.seized, step.num, step.den) = move(
            t,
            debt,
            ratio,
            Grid.ratioOf(step.land, t.spacing),
            salePrice(t, ratio >> t.shift)
        );
    }

    /// @notice g(R) = w/R − 1, Q128; `ratio` and `w` shifted.
    function gain(uint256 w, uint256 ratio) internal pure returns (uint256) {
        // Saturating: the shift may cut a tick that is just solvent to the same number as w, or one above it.
        return (w.zeroFloorSub(ratio) << 128).rawDiv(ratio);
    }

    /// @notice Moves `debt` from ratio `from` to `to` (both Q128.128, to < from) at the sale price `w` (shifted).
    /// @return left book debt. @return seized collateral units. @return num @return den the node's index becomes
    /// index × num / den.
    function move(
        Terms memory t,
        uint256 debt,
        uint256 from,
        uint256 to,
        uint256 w
    ) internal pure returns (uint256 left, uint256 seized, uint256 num, uint256 den) {
        unchecked {
            num = gain(w, from >> t.shift);
            den = gain(w, to >> t.shift);
            left = (debt * num).divUp(den);
            uint256 before = (debt << 128).rawDiv(from);
            uint256 behind = ((left << 128) + to - 1).rawDiv(to);
            if (behind <= before) return (left, before - behind, num, den);
            // Dust: rounding would need more collateral than there is. Keep the collateral and lower the debt to it; the
            // index by what the debt became, not by the ratios: it must fall as far as the debt, which is rounded down.
            left = (debt * (to >> t.shift)) / (t.shift == 0 ? from : (from >> t.shift) + 1);
            return (left, 0, left, debt);
        }
    }

    /// @notice The lowest tick above the target and below `tick` to which `budget` (book debt) can bring `debt` from
    /// `tick`; `tick` itself if it buys no step. The move to it comes with it.
    function landing(
        Terms memory t,
        uint256 debt,
        int24 tick,
        uint256 from,
        uint256 w,
        uint256 budget
    ) internal pure returns (int24 land, uint256 left, uint256 seized, uint256 num, uint256 den) {
        if (budget == 0) return (tick, 0, 0, 0, 0);
        // debt − repaid = debt · g(from)/g(to) ≥ debt − budget  ⇔  to ≥ w / (1 + g(from)·debt/(debt − budget))
        uint256 g = Math.mulDiv(gain(w, from >> t.shift), debt, debt - budget);
        uint256 least = Math.mulDiv(w, 1 << 128, (1 << 128) + g) << t.shift;
        land = Grid.ceilTick(least, t.spacing);
        if (land <= t.targetTick) land = t.targetTick + 1;
        // The bound is a real number's; the move rounds. At most a step or two.
        for (; land < tick; land++) {
            (left, seized, num, den) = move(t, debt, from, Grid.ratioOf(land, t.spacing), w);
            if (debt - left <= budget) return (land, left, seized, num, den);
        }
        return (tick, 0, 0, 0, 0);
    }
}
