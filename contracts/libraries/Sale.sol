// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";
import {Grid} from "./Grid.sol";
import {Market} from "./Market.sol";
import {TickBook} from "./TickBook.sol";

/// @title Sale
/// @notice The arithmetic of a liquidation, pure: at what price a tick's collateral is sold, and what moving it from one
/// tick to a lower one repays and seizes. With w the sale price and g(R) = w/R − 1, a tick that moves from R_k to R_j
/// keeps the fraction g(R_k)/g(R_j) of its debt: C·w − D is conserved, and the debt falls to nothing as R_k nears w.
library Sale {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant BPS = 10_000;

    /// @dev Prices in book debt per collateral unit, shifted right by `shift` so that `high` < 2¹²⁷: then every product
    /// below fits 256 bits. Ratios are shifted by the same.
    struct Terms {
        uint256 price; //                high, unshifted
        uint256 high;
        uint256 low;
        uint256 shift;
        uint256 bonusMin; //             basis points, as the following
        uint256 bonusMax;
        uint256 slope;
        uint256 liquidationThreshold;
        int24 triggerTick; //            smallest tick at or above the liquidation threshold
        int24 targetTick; //             largest tick at or below the target
        uint256 targetRatio; //          Q128.128
        int24 spacing;
    }

    struct Move {
        uint256 debt; //   left, book debt
        uint256 seized; // collateral units
        uint256 num; //    the node's index becomes index × num / den
        uint256 den;
    }

    /// @dev Skip: the tick stays and blocks nothing below it. Stop: the sweep ends above the tick.
    enum Action {
        Skip,
        Stop,
        Seize,
        Sell
    }

    struct Step {
        Action action;
        int24 land; // where a sale brings the tick: the target, or above it as far as the budget reaches
        Move move;
    }

    /// @param high @param low Q128.128 book debt per collateral unit.
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
        uint256 bits = FixedPointMathLib.log2(high);
        t.shift = bits > 126 ? bits - 126 : 0;
        t.high = high >> t.shift;
        t.low = low >> t.shift;
        t.bonusMin = bonusMin;
        t.bonusMax = bonusMax;
        t.slope = slope;
        t.liquidationThreshold = liquidationThreshold;
        t.spacing = spacing;
        t.triggerTick = triggerTick(high, liquidationThreshold, spacing);
        t.targetTick = Grid.floorTick((high * target) / BPS, spacing);
        t.targetRatio = Grid.ratioOf(t.targetTick, spacing);
    }

    /// @notice The smallest tick at or above the liquidation threshold at `price` (book debt, Q128.128).
    function triggerTick(uint256 price, uint256 threshold, int24 spacing) internal pure returns (int24) {
        return Grid.ceilTick(Math.ceilDiv(price * threshold, BPS), spacing);
    }

    /// @notice The price w at which a tick of ratio `ratio` (shifted) is sold, shifted like the terms.
    /// @dev The bonus grows with the shortfall, and with the gap between the sources so that a keeper who trusts the
    /// lower price still earns bonusMin; above bonusMin it never takes more than nine tenths of the equity.
    function salePrice(Terms memory t, uint256 ratio) internal pure returns (uint256) {
        uint256 least = (t.bonusMin * WAD) / BPS;
        uint256 ltv = (ratio * WAD) / t.high;
        uint256 threshold = (t.liquidationThreshold * WAD) / BPS;
        uint256 bonus = least + (Math.saturatingSub(ltv, threshold) * t.slope) / BPS;
        bonus = Math.min(bonus, (t.bonusMax * WAD) / BPS);
        uint256 gap = (t.high * (WAD + least)) / t.low - WAD;
        bonus = Math.max(bonus, gap);
        uint256 cap = t.high > ratio ? ((t.high - ratio) * 9 * WAD) / (ratio * 10) : 0;
        if (bonus > cap) bonus = Math.max(cap, least);
        return (t.high * WAD) / (WAD + bonus);
    }

    /// @notice What a sweep does with a populated tick of ratio `ratio` (Q128.128) and `debt`, with `budget` left (both
    /// book debt): an insolvent tick can only be seized, any other only be sold, in part if the budget is short.
    function decide(
        Terms memory t,
        int24 tick,
        uint256 ratio,
        uint256 debt,
        uint256 budget,
        bool sell,
        bool seize
    ) internal pure returns (Step memory step) {
        if (Market.isInsolvent(ratio, t.price, t.bonusMin)) {
            step.action = seize ? Action.Seize : Action.Skip;
            return step;
        }
        step.action = sell ? Action.Sell : Action.Stop;
        if (!sell) return step;
        uint256 w = salePrice(t, ratio >> t.shift);
        step.land = t.targetTick;
        step.move = move(t, debt, ratio, t.targetRatio, w);
        if (debt - step.move.debt > budget) {
            (step.land, step.move) = landing(t, debt, tick, ratio, w, budget);
            if (step.land == tick) step.action = Action.Stop;
        }
    }

    /// @notice g(R) = w/R − 1, Q128; `ratio` and `w` shifted, ratio < w < 2¹²⁷.
    function gain(uint256 w, uint256 ratio) internal pure returns (uint256) {
        // Saturating: the shift may cut a tick that is just solvent to the same number as w, or one above it.
        return (Math.saturatingSub(w, ratio) << 128) / ratio;
    }

    /// @notice Moves `debt` from ratio `from` to `to` (both Q128.128, to < from) at the sale price `w` (shifted).
    function move(
        Terms memory t,
        uint256 debt,
        uint256 from,
        uint256 to,
        uint256 w
    ) internal pure returns (Move memory m) {
        m.num = gain(w, from >> t.shift);
        m.den = gain(w, to >> t.shift);
        m.debt = Math.ceilDiv(debt * m.num, m.den);
        uint256 before = TickBook.behindDown(debt, from);
        uint256 behind = TickBook.behindUp(m.debt, to);
        if (behind <= before) {
            m.seized = before - behind;
        } else {
            // Dust: rounding would need more collateral than there is. Keep the collateral and lower the debt to it; the
            // index by what the debt became, not by the ratios: it must fall as far as the debt, which is rounded down.
            m.debt = (debt * (to >> t.shift)) / (t.shift == 0 ? from : (from >> t.shift) + 1);
            (m.num, m.den) = (m.debt, debt);
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
    ) internal pure returns (int24 land, Move memory m) {
        if (budget == 0) return (tick, m);
        // debt − repaid = debt · g(from)/g(to) ≥ debt − budget  ⇔  to ≥ w / (1 + g(from)·debt/(debt − budget))
        uint256 g = Math.mulDiv(gain(w, from >> t.shift), debt, debt - budget);
        uint256 least = Math.mulDiv(w, 1 << 128, (1 << 128) + g) << t.shift;
        land = Grid.ceilTick(least, t.spacing);
        if (land <= t.targetTick) land = t.targetTick + 1;
        // The bound is a real number's; the move rounds. At most a step or two.
        for (; land < tick; land++) {
            m = move(t, debt, from, Grid.ratioOf(land, t.spacing), w);
            if (debt - m.debt <= budget) return (land, m);
        }
        return (tick, m);
    }
}
