// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";

import {AdaptiveRate} from "../../contracts/libraries/AdaptiveRate.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {Sale} from "../../contracts/libraries/Sale.sol";

/// @notice Opens the pure libraries to the SDK's parity tests, many inputs a call.
contract CoreHarness {
    struct SaleInput {
        uint256 high;
        uint256 low;
        uint256 liquidationThreshold;
        uint256 target;
        uint256 bonusMin;
        uint256 bonusMax;
        uint256 slope;
        int24 spacing;
        int24 above; // ticks above the trigger
        uint256 debt;
        uint256 budget; // book debt, less than the full move repays; 0: only the full move
    }

    struct SaleOutput {
        Sale.Terms terms;
        uint256 w;
        int24 triggerTick;
        Sale.Step full;
        int24 land;
        Sale.Step partialMove;
    }

    function ratiosOf(int24[] calldata ticks, int24 spacing) external pure returns (uint256[] memory ratios) {
        ratios = new uint256[](ticks.length);
        for (uint256 i; i < ticks.length; i++) ratios[i] = Grid.ratioOf(ticks[i], spacing);
    }

    function ticksOf(
        uint256[] calldata ratios,
        int24 spacing
    ) external pure returns (int24[] memory ceil, int24[] memory floor) {
        ceil = new int24[](ratios.length);
        floor = new int24[](ratios.length);
        for (uint256 i; i < ratios.length; i++) {
            ceil[i] = Grid.ceilTick(ratios[i], spacing);
            (floor[i], ) = Grid.floor(ratios[i], spacing);
        }
    }

    function sales(SaleInput[] calldata inputs) external pure returns (SaleOutput[] memory result) {
        result = new SaleOutput[](inputs.length);
        for (uint256 i; i < inputs.length; i++) result[i] = _sale(inputs[i]);
    }

    function isInsolvent(uint256 ratio, uint256 price, uint256 bonusMin) external pure returns (bool) {
        return Market.isInsolvent(ratio, price, bonusMin);
    }

    function bookPrices(
        uint256 price,
        uint256 index,
        uint256 priceMultiplier
    ) external pure returns (uint256 down, uint256 up) {
        Market.Units memory units;
        units.priceMultiplier = priceMultiplier;
        return (Market.bookPriceDown(price, index, units), Market.bookPriceUp(price, index, units));
    }

    function exponentials(int256[] calldata exponents) external pure returns (int256[] memory results) {
        results = new int256[](exponents.length);
        for (uint256 i; i < exponents.length; i++) results[i] = FixedPointMathLib.expWad(exponents[i]);
    }

    function logarithms(int256[] calldata values) external pure returns (int256[] memory results) {
        results = new int256[](values.length);
        for (uint256 i; i < values.length; i++) results[i] = FixedPointMathLib.lnWad(values[i]);
    }

    function accrue(
        uint256 utilization,
        uint256 rateAtTarget,
        uint256 elapsed
    ) external pure returns (uint256 rate, uint256 newRateAtTarget, uint256 growth) {
        (rate, newRateAtTarget) = AdaptiveRate.accrue(utilization, rateAtTarget, elapsed);
        growth = AdaptiveRate.growth(rate * elapsed);
    }

    function _sale(SaleInput calldata i) private pure returns (SaleOutput memory out) {
        out.terms = Sale.terms(
            i.high,
            i.low,
            i.liquidationThreshold,
            i.target,
            i.bonusMin,
            i.bonusMax,
            i.slope,
            i.spacing
        );
        out.triggerTick = Sale.triggerTick(out.terms);
        int24 tick = out.triggerTick + i.above;
        uint256 ratio = Grid.ratioOf(tick, i.spacing);
        out.w = Sale.salePrice(out.terms, ratio >> out.terms.shift);
        if (ratio >> out.terms.shift >= out.w) return out;
        Sale.Step memory m = out.full;
        (m.debt, m.seized, m.num, m.den) = Sale.move(out.terms, i.debt, ratio, out.terms.targetRatio, out.w);
        if (i.budget != 0 && i.debt - out.full.debt > i.budget) {
            m = out.partialMove;
            (out.land, m.debt, m.seized, m.num, m.den) = Sale.landing(
                out.terms,
                i.debt,
                tick,
                ratio,
                out.w,
                i.budget
            );
        }
    }
}
