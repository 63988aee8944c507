// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {BrakeLevel} from "../interfaces/IEmergencyBrake.sol";
import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {
    AdjustView,
    ILens,
    LiquidationView,
    MarketView,
    PositionView,
    TickView,
    Verdict
} from "../interfaces/ILens.sol";
import {IMarketPair} from "../interfaces/IMarketPair.sol";
import {IOracleAdapter, Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {Caps, IVault, Ramp, RiskParameters} from "../interfaces/IVault.sol";
import {AdaptiveRate} from "../libraries/AdaptiveRate.sol";
import {Grid} from "../libraries/Grid.sol";
import {Market} from "../libraries/Market.sol";
import {MarketReader} from "../libraries/MarketReader.sol";
import {Sale} from "../libraries/Sale.sol";
import {TickBook} from "../libraries/TickBook.sol";

/// @title Lens
/// @notice See ILens. Stateless; what it computes, it computes with the market's own libraries.
contract Lens is ILens {
    using Math for uint256;
    using SafeCast for uint256;
    using MarketReader for MarketReader.Reading;
    using Sale for Sale.Step;
    using Sale for Sale.Terms;

    /// @dev A market with its price; `terms` are empty on a Dead price.
    struct Scene {
        MarketReader.Reading reading;
        Price price;
        Sale.Terms terms;
        int24 triggerTick;
        bool sell; //  of a liquidation: what it may do
        bool seize;
    }

    /// @inheritdoc ILens
    function market(IVault vault) public view returns (MarketView memory m) {
        Scene memory s = _scene(vault);
        MarketReader.Reading memory r = s.reading;
        _describe(m, vault);
        m.spacing = r.units.spacing;
        m.oracle = r.risk.oracle;
        m.price = s.price;
        m.brakeLevel = _level(r);
        m.noNewRiskUntil = r.risk.noNewRiskUntil;
        m.liquidationsPausedUntil = r.liquidations.pausedUntil;
        m.graceUntil = r.liquidations.graceUntil;
        _addRates(m, r);
        m.potDebt = Market.debtTokensUp(r.potDebt, r.units);
        m.potCollateral = Market.collateralTokensDown(r.potCollateral, r.units);
        if (r.potDebt != 0 && s.price.state != PriceState.Dead) {
            m.potPrice = _potPrice(s, r.potDebt, r.potCollateral, r.seizedAt) / r.units.priceMultiplier;
        }
        m.risk = RiskParameters({
            maxLtv: r.risk.maxLtv,
            liquidationThreshold: uint16(r.threshold),
            target: uint16(r.target),
            bonusMin: r.risk.bonusMin,
            bonusMax: r.liquidations.bonusMax,
            slope: r.liquidations.slope
        });
        (m.volatility, m.stress) = IOracleAdapter(m.oracle).volatility();
        m.maxLtvNow = (uint256(r.risk.maxLtv) * (Market.BPS - s.price.maxLtvCut)) / Market.BPS;
        m.caps = Caps({
            debt: r.limits.debtCap,
            collateral: r.limits.collateralCap,
            minDebt: r.limits.minDebt
        });
        int24 bottom = -Grid.maxTick(r.units.spacing);
        m.topTick = r.nextPopulated(r.top, bottom);
        m.populated = m.topTick >= bottom;
        (m.triggerTick, m.targetTick) =
            s.price.state == PriceState.Dead
                ? (type(int24).max, type(int24).min)
                : (s.triggerTick, s.terms.targetTick);
        _addRamp(m, r);
    }

    /// @inheritdoc ILens
    function markets(IVault[] calldata vaults) external view returns (MarketView[] memory views) {
        views = new MarketView[](vaults.length);
        for (uint256 i = 0; i < vaults.length; i++) views[i] = market(vaults[i]);
    }

    /// @inheritdoc ILens
    function position(IVault vault, address owner, uint96 sub) external view returns (PositionView memory) {
        return _position(_scene(vault), owner, sub);
    }

    /// @inheritdoc ILens
    function positions(
        IVault vault,
        address[] calldata owners,
        uint96[] calldata subs
    ) external view returns (PositionView[] memory views) {
        require(owners.length == subs.length, LengthMismatch(owners.length, subs.length));
        Scene memory s = _scene(vault);
        views = new PositionView[](owners.length);
        for (uint256 i = 0; i < owners.length; i++) views[i] = _position(s, owners[i], subs[i]);
    }

    /// @inheritdoc ILens
    function preview(
        IVault vault,
        address owner,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta
    ) external view returns (AdjustView memory v) {
        Scene memory s = _scene(vault);
        MarketReader.Reading memory r = s.reading;
        v.positionBefore = _position(s, owner, sub);
        TickBook.Outcome memory out = _change(r, owner, sub, collateralDelta, debtDelta);
        (v.collateralMoved, v.debtMoved) = _moved(r, out, collateralDelta, debtDelta);
        MarketView memory m;
        _addRates(m, r);
        v.borrowRateBefore = m.borrowRate;

        Market.Ledger memory ledger = r.ledger;
        ledger.debt = (uint256(ledger.debt) - out.oldDebt + out.newDebt).toUint104();
        v.newRisk =
            out.newDebt > out.oldDebt ||
            (out.taken != 0 && out.newDebt != 0 && out.newTick > out.oldTick);
        if (v.newRisk) v.refusal = _refusal(s, out, v.collateralMoved, v.debtMoved);
        int256 cash = int256(uint256(ledger.cash)) - v.debtMoved;
        ledger.cash = cash < 0 ? 0 : uint256(cash).toUint112();
        _addRates(m, r);
        v.borrowRateAfter = m.borrowRate;

        PositionView memory p = v.positionAfter;
        (p.owner, p.sub, p.tick) = (owner, sub, out.newTick);
        p.surplus = Market.collateralTokensDown(out.surplus, r.units);
        p.bookDebt = _resolved(r, out, v.positionBefore);
        _addFigures(p, s);
    }

    /// @inheritdoc ILens
    function ticks(IVault vault, int24 from, uint256 count) external view returns (TickView[] memory views) {
        Scene memory s = _scene(vault);
        MarketReader.Reading memory r = s.reading;
        int24 bottom = -Grid.maxTick(r.units.spacing);
        int24 first = from < r.top ? from : r.top;
        // How many there are decides how long the list is, so a first walk counts.
        uint256 found;
        int24 tick = first;
        while (found < count && (tick = r.nextPopulated(tick, bottom)) >= bottom) {
            found++;
            tick--;
        }
        views = new TickView[](found);
        tick = first;
        for (uint256 i = 0; i < found; i++) {
            tick = r.nextPopulated(tick, bottom);
            views[i] = _tick(s, tick);
            tick--;
        }
    }

    /// @inheritdoc ILens
    /// @dev Liquidation.liquidate without writing: the same decision for each tick, on the same numbers.
    function liquidation(
        IVault vault,
        uint256 maxRepay,
        int24 fromTick,
        uint32 maxTicks,
        bool buyPot
    ) external view returns (LiquidationView memory v) {
        Scene memory s = _scene(vault);
        MarketReader.Reading memory r = s.reading;
        v.price = s.price;
        BrakeLevel level = _level(r);
        if (level == BrakeLevel.LiquidationsPaused) {
            (v.verdict, v.until) = (Verdict.Paused, r.liquidations.pausedUntil);
            return v;
        }
        if (s.price.state == PriceState.Dead) {
            v.verdict = Verdict.Dead;
            return v;
        }
        bool spent = r.liquidations.capped && Market.cascadeLeft(r.cascade) == 0;
        s.sell = !spent && Market.allowsSale(s.price.state, level);
        bool twice;
        (s.seize, twice) = Market.seizable(s.price.state, level, spent);
        if (twice) {
            (s.seize, s.price.high) = Market.earlierHigh(IOracleAdapter(r.risk.oracle), s.price.high);
        }
        _setTerms(s); // at the price of an earlier round, if that counts and is higher
        maxRepay = Math.min(maxRepay, type(uint128).max);
        v.verdict = Verdict.NothingLiquidatable;
        uint256 sold = r.ledger.debt == 0 ? 0 : _sweep(s, v, maxRepay, fromTick, maxTicks);
        if (buyPot && level != BrakeLevel.Grace) sold += _buyPot(s, v, maxRepay - v.repaid);
        if (v.ticks != 0 || v.potDebtSold != 0) v.verdict = Verdict.Possible;
        else if (level == BrakeLevel.Grace) (v.verdict, v.until) = (Verdict.Grace, r.liquidations.graceUntil);
        v.seized = Market.collateralTokensDown(sold, r.units);
        v.gainLow = _valueDown(sold, s.price.low, r.units) - int256(v.repaid);
        v.gainHigh = _valueDown(sold, s.price.high, r.units) - int256(v.repaid);
    }

    /// @inheritdoc ILens
    function liquidatableUnder(
        IVault vault,
        uint256[] calldata falls
    ) external view returns (uint256[] memory amounts) {
        Scene memory s = _scene(vault);
        MarketReader.Reading memory r = s.reading;
        amounts = new uint256[](falls.length);
        if (s.price.state == PriceState.Dead) return amounts;
        int24[] memory triggers = new int24[](falls.length);
        int24 lowest = type(int24).max;
        for (uint256 i = 0; i < falls.length; i++) {
            require(falls[i] <= Market.BPS, FallTooLarge(falls[i]));
            uint256 high = s.price.high.mulDiv(Market.BPS - falls[i], Market.BPS);
            triggers[i] = Sale.triggerTick(
                Market.bookPriceUp(high, r.ledger.borrowIndex, r.units),
                r.threshold,
                r.units.spacing
            );
            if (triggers[i] < lowest) lowest = triggers[i];
        }
        int24 tick = r.top;
        while ((tick = r.nextPopulated(tick, lowest)) >= lowest) {
            (, TickBook.Node memory node) = r.nodeAt(tick);
            for (uint256 i = 0; i < falls.length; i++) if (tick >= triggers[i]) amounts[i] += node.debt;
            tick--;
        }
        for (uint256 i = 0; i < falls.length; i++) amounts[i] = _debtTokensUp(amounts[i], r);
    }

    // ------------------------------------------------------------------ markets

    function _scene(IVault vault) private view returns (Scene memory s) {
        s.reading = MarketReader.read(vault);
        s.price = IOracleAdapter(s.reading.risk.oracle).read();
        if (s.price.state != PriceState.Dead) _setTerms(s);
    }

    function _setTerms(Scene memory s) private pure {
        Market.Liquidations memory liquidations = s.reading.liquidations;
        s.terms = Sale.terms(
            Market.bookPriceUp(s.price.high, s.reading.ledger.borrowIndex, s.reading.units),
            Market.bookPriceDown(s.price.low, s.reading.ledger.borrowIndex, s.reading.units),
            s.reading.threshold,
            s.reading.target,
            s.reading.risk.bonusMin,
            liquidations.bonusMax,
            liquidations.slope,
            s.reading.units.spacing
        );
        if (liquidations.rampDuration != 0) s.terms.boundGap();
        s.triggerTick = s.terms.triggerTick();
    }

    /// @dev What the market says of itself.
    function _describe(MarketView memory m, IVault vault) private view {
        m.vault = address(vault);
        m.collateral = vault.COLLATERAL();
        m.debt = vault.asset();
        m.collateralDecimals = IERC20Metadata(m.collateral).decimals();
        m.debtDecimals = IERC20Metadata(m.debt).decimals();
        m.insurance = IInsuranceFund(vault.INSURANCE()).balanceOf(address(vault));
        m.totalAssets = vault.totalAssets();
        m.sharePrice = vault.convertToAssets(10 ** vault.decimals());
    }

    function _addRamp(MarketView memory m, MarketReader.Reading memory r) private view {
        Market.Liquidations memory l = r.liquidations;
        m.windingDown = l.windingDown;
        m.ramp = Ramp({
            fromThreshold: l.threshold,
            fromTarget: l.target,
            toThreshold: l.rampThreshold,
            toTarget: l.rampTarget,
            start: l.rampStart,
            duration: l.rampDuration,
            halted: l.rampHalted
        });
        m.rampElapsed = Market.rampElapsed(l);
        if (l.capped) {
            (m.cascadeCap, m.cascadeWindow) = (r.cascade.cap, r.cascade.window);
            m.cascadeLeft = Market.cascadeLeft(r.cascade);
        }
    }

    function _addRates(MarketView memory m, MarketReader.Reading memory r) private view {
        m.borrowIndex = r.ledger.borrowIndex;
        m.rateAtTarget = r.ledger.rateAtTarget;
        m.reserveFactor = r.ledger.reserveFactor;
        m.bookDebt = r.ledger.debt;
        m.totalDebt = Market.debtTokensDown(Market.unitsDown(r.ledger.debt, r.ledger.borrowIndex), r.units);
        m.cash = r.ledger.cash;
        m.reserves = r.ledger.reserves;
        m.utilization = Market.utilization(m.totalDebt, m.cash);
        (uint256 rate, ) = AdaptiveRate.accrue(m.utilization, m.rateAtTarget, 0);
        uint256 fee = (rate * m.reserveFactor) / 100;
        uint256 insured;
        if (r.units.pair != address(0)) {
            (m.surcharge, insured, m.spared) = IMarketPair(r.units.pair).rateOf(address(r.vault));
        }
        m.borrowRate = rate + m.surcharge - fee.mulDiv(m.spared, Market.WAD);
        m.lendRate = (rate - fee + m.surcharge - insured).mulDiv(m.utilization, Market.WAD);
    }

    // ------------------------------------------------------------------ positions and ticks

    function _position(
        Scene memory s,
        address owner,
        uint96 sub
    ) private view returns (PositionView memory p) {
        MarketReader.Reading memory r = s.reading;
        TickBook.Position memory stored = r.positionOf(owner, sub);
        TickBook.Node memory node;
        (p.owner, p.sub) = (owner, sub);
        (p.node, node, p.bookDebt) = r.resolve(stored);
        p.surplus = Market.collateralTokensDown(stored.surplus, r.units);
        p.seized = node.kind == TickBook.Kind.Closed;
        if (p.bookDebt != 0) p.tick = node.tick;
        _addFigures(p, s);
    }

    /// @dev What follows from the tick and the book debt.
    function _addFigures(PositionView memory p, Scene memory s) private pure {
        if (p.bookDebt == 0) return;
        MarketReader.Reading memory r = s.reading;
        uint256 ratio = Grid.ratioOf(p.tick, r.units.spacing);
        uint256 threshold = r.threshold;
        p.debt = _debtTokensUp(p.bookDebt, r);
        p.collateral = Market.collateralTokensDown(TickBook.behindDown(p.bookDebt, ratio), r.units);
        p.liquidationPrice = Market.liquidationPrice(ratio, threshold, r.ledger.borrowIndex, r.units);
        p.liquidationPriceWad = p.liquidationPrice.mulDiv(Market.WAD, 1 << 128);
        if (s.price.state == PriceState.Dead) return;
        uint256 low = Market.bookPriceDown(s.price.low, r.ledger.borrowIndex, r.units);
        p.ltvHigh = ratio.mulDiv(Market.WAD, s.terms.price, Math.Rounding.Ceil);
        p.ltvLow = ratio.mulDiv(Market.WAD, low, Math.Rounding.Ceil);
        p.collateralRatio = s.terms.price.mulDiv(Market.WAD, ratio);
        // Rounded up and one less, so that a tick exactly at the threshold, which is liquidatable, shows less than 1.
        p.health = s.terms.price.mulDiv(threshold * Market.WAD, Market.BPS * ratio, Math.Rounding.Ceil) - 1;
        p.liquidatable = p.tick >= s.triggerTick;
        p.insolvent = ratio >= s.terms.insolventRatio;
    }

    function _tick(Scene memory s, int24 tick) private view returns (TickView memory v) {
        MarketReader.Reading memory r = s.reading;
        TickBook.Node memory node;
        v.tick = tick;
        (v.node, node) = r.nodeAt(tick);
        v.count = node.count;
        v.ratio = Grid.ratioOf(tick, r.units.spacing);
        v.bookDebt = node.debt;
        v.debt = _debtTokensUp(node.debt, r);
        v.collateral = Market.collateralTokensDown(TickBook.behindDown(node.debt, v.ratio), r.units);
        v.liquidationPrice = Market.liquidationPrice(v.ratio, r.threshold, r.ledger.borrowIndex, r.units);
        if (s.price.state == PriceState.Dead) return v;
        v.ltvHigh = v.ratio.mulDiv(Market.WAD, s.terms.price, Math.Rounding.Ceil);
        v.liquidatable = tick >= s.triggerTick;
        v.insolvent = v.ratio >= s.terms.insolventRatio;
        v.salePrice = Market.wholePrice(
            Sale.salePrice(s.terms, v.ratio >> s.terms.shift) << s.terms.shift,
            r.ledger.borrowIndex,
            r.units
        );
    }

    // ------------------------------------------------------------------ a change of a position

    /// @dev TickBook.change without writing, for the amounts as Vault.adjust makes units of them. `node` and `shares`
    /// stay empty.
    function _change(
        MarketReader.Reading memory r,
        address owner,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta
    ) private view returns (TickBook.Outcome memory out) {
        require(collateralDelta != 0 || debtDelta != 0, IVault.ZeroAmount());
        int256 collateral = Market.collateralChange(collateralDelta, r.units);
        int256 debt = Market.bookChange(debtDelta, r.ledger.borrowIndex, r.units);
        TickBook.Position memory stored = r.positionOf(owner, sub);
        TickBook.Node memory node;
        (, node, out.oldDebt) = r.resolve(stored);
        uint256 held = stored.surplus;
        uint256 ceiling;
        if (out.oldDebt != 0) {
            out.oldTick = node.tick;
            ceiling = Grid.ratioOf(node.tick, r.units.spacing);
            held += TickBook.behindDown(out.oldDebt, ceiling);
        }
        if (collateral < 0) {
            out.taken = collateral == type(int256).min ? held : uint256(-collateral);
            require(out.taken <= held, TickBook.InsufficientCollateral(out.taken, held));
            held -= out.taken;
        } else if (collateral > 0) {
            held += uint256(collateral);
            require(
                held <= TickBook.MAX_COLLATERAL,
                TickBook.TooMuchCollateral(held, TickBook.MAX_COLLATERAL)
            );
        }
        out.newDebt = debt < 0 ? out.oldDebt.saturatingSub(uint256(-debt)) : out.oldDebt + uint256(debt);
        if (out.newDebt != 0) {
            if (collateral < 0 || debt > 0) ceiling = 0;
            require(held != 0 || ceiling != 0, TickBook.DebtWithoutCollateral(out.newDebt));
            uint256 ratio = held == 0 ? ceiling : TickBook.behindUp(out.newDebt, held);
            if (ceiling != 0 && ratio > ceiling) ratio = ceiling;
            (out.newTick, out.ratio) = Grid.ceil(ratio, r.units.spacing);
            held = held.saturatingSub(TickBook.behindUp(out.newDebt, out.ratio));
        }
        out.surplus = held.toUint96();
    }

    /// @dev What adjust returns.
    function _moved(
        MarketReader.Reading memory r,
        TickBook.Outcome memory out,
        int256 collateralDelta,
        int256 debtDelta
    ) private pure returns (int256, int256) {
        if (collateralDelta == type(int256).min) {
            collateralDelta = -int256(Market.collateralTokensDown(out.taken, r.units));
        }
        if (debtDelta < 0 && out.newDebt == 0) debtDelta = -int256(_debtTokensUp(out.oldDebt, r));
        return (collateralDelta, debtDelta);
    }

    /// @dev The error with which Vault.adjust refuses new risk, or nothing. The ledger's debt is the one after, its cash
    /// the one before.
    function _refusal(
        Scene memory s,
        TickBook.Outcome memory out,
        int256 collateralMoved,
        int256 debtMoved
    ) private view returns (bytes memory) {
        MarketReader.Reading memory r = s.reading;
        if (block.timestamp < r.risk.noNewRiskUntil) {
            return abi.encodeWithSelector(IVault.NewRiskPaused.selector, _level(r));
        }
        if (s.price.state != PriceState.Fresh) {
            return abi.encodeWithSelector(IVault.PriceNotFresh.selector, s.price.state);
        }
        bytes4 refused;
        uint256 amount = Market.bookPriceDown(s.price.low, r.ledger.borrowIndex, r.units);
        uint256 limit = (uint256(r.risk.maxLtv) * (Market.BPS - s.price.maxLtvCut)) / Market.BPS;
        if (out.ratio * Market.BPS > amount * limit) {
            refused = IVault.LtvTooHigh.selector;
            (amount, limit) = ((out.ratio * Market.WAD) / amount, (limit * Market.WAD) / Market.BPS);
        } else if (out.newDebt > out.oldDebt) {
            (refused, amount, limit) = _refusedDebt(r, out.newDebt, collateralMoved, uint256(debtMoved));
        }
        return refused == 0 ? bytes("") : abi.encodeWithSelector(refused, amount, limit);
    }

    /// @dev What only more debt must keep to: the minimum, both caps, and the market's cash.
    function _refusedDebt(
        MarketReader.Reading memory r,
        uint256 bookDebt,
        int256 collateralMoved,
        uint256 borrowed
    ) private view returns (bytes4, uint256 amount, uint256 limit) {
        uint256 index = r.ledger.borrowIndex;
        (amount, limit) = (Market.unitsUp(bookDebt, index), r.limits.minDebt * Market.MICRO);
        if (amount < limit) return (IVault.DebtTooSmall.selector, amount, limit);
        (amount, limit) = (Market.unitsUp(r.ledger.debt, index), r.limits.debtCap * Market.MICRO);
        if (amount > limit) return (IVault.DebtCapExceeded.selector, amount, limit);
        int256 held = int256(IERC20(r.vault.COLLATERAL()).balanceOf(address(r.vault)));
        amount = Market.collateralUnitsUp(uint256(held + collateralMoved), r.units);
        limit = (r.limits.collateralCap * Market.MICRO) / r.units.priceMultiplier;
        if (amount > limit) return (IVault.CollateralCapExceeded.selector, amount, limit);
        (amount, limit) = (borrowed, r.ledger.cash);
        if (amount > limit) return (IVault.InsufficientCash.selector, amount, limit);
        return (0, 0, 0);
    }

    /// @dev What the book will resolve the new debt to: among others at its tick it is shares, rounded down.
    function _resolved(
        MarketReader.Reading memory r,
        TickBook.Outcome memory out,
        PositionView memory before
    ) private view returns (uint256 debt) {
        debt = out.newDebt;
        if (debt == 0 || r.nextPopulated(out.newTick, out.newTick) != out.newTick) return debt;
        (uint32 id, TickBook.Node memory node) = r.nodeAt(out.newTick);
        if (id == before.node && node.count == 1) return debt;
        debt = (((debt * TickBook.INDEX_ONE) / node.index) * node.index) / TickBook.INDEX_ONE;
    }

    // ------------------------------------------------------------------ liquidation

    /// @return sold collateral units
    function _sweep(
        Scene memory s,
        LiquidationView memory v,
        uint256 maxRepay,
        int24 fromTick,
        uint32 maxTicks
    ) private view returns (uint256 sold) {
        MarketReader.Reading memory r = s.reading;
        uint256 index = r.ledger.borrowIndex;
        uint256 budget = Market.bookDown(Market.debtUnitsDown(maxRepay, r.units), index);
        uint256 spare; // beyond the cascade brake's cap, but for one step
        if (r.liquidations.capped) {
            fromTick = type(int24).max;
            uint256 left = Market.bookDown(Market.cascadeLeft(r.cascade), index);
            if (left < budget) (spare, budget) = (budget - left, left);
        }
        uint256 repaid;
        int24 floor = s.triggerTick;
        int24 tick = fromTick < r.top ? fromTick : r.top;
        (v.fromTick, v.landTick) = (tick, s.terms.targetTick);
        Sale.Step memory step;
        while ((tick = r.nextPopulated(tick, floor)) >= floor) {
            if (maxTicks != 0 && v.ticks == maxTicks) break;
            uint256 ratio = Grid.ratioOf(tick, r.units.spacing);
            (, TickBook.Node memory node) = r.nodeAt(tick);
            Sale.Action action = step.decide(s.terms, tick, ratio, node.debt, budget, s.sell, s.seize);
            if (action == Sale.Action.Stop) {
                v.verdict = s.sell ? Verdict.BudgetTooSmall : Verdict.CascadeCap;
                if (!s.sell || spare == 0) break;
                step.oneStep(s.terms, tick, ratio, node.debt);
                if (node.debt - step.debt > budget + spare) break;
                (spare, budget, action) = (0, node.debt - step.debt, Sale.Action.Sell);
            }
            if (action == Sale.Action.Skip) {
                v.verdict = Verdict.NotFresh;
            } else {
                v.ticks++;
                v.lowestTick = tick;
            }
            if (action == Sale.Action.Seize) {
                v.ticksSeized++;
                v.seizedPotDebt += Market.unitsDown(node.debt, index);
                v.seizedPotCollateral += TickBook.behindDown(node.debt, ratio);
            } else if (action == Sale.Action.Sell) {
                budget -= node.debt - step.debt;
                repaid += node.debt - step.debt;
                sold += step.seized;
                if (step.land != s.terms.targetTick) {
                    (v.partialTick, v.partialLandTick) = (tick, step.land);
                    break;
                }
            }
            tick--;
        }
        v.repaid = Market.debtTokensUp(Market.unitsUp(repaid, index), r.units);
    }

    /// @dev The pot, with what the sweep has just seized. @return bought collateral units
    function _buyPot(
        Scene memory s,
        LiquidationView memory v,
        uint256 budget
    ) private view returns (uint256 bought) {
        MarketReader.Reading memory r = s.reading;
        uint256 debt = r.potDebt + v.seizedPotDebt;
        if (debt == 0) return 0;
        if (s.price.state != PriceState.Fresh) {
            if (v.verdict == Verdict.NothingLiquidatable) v.verdict = Verdict.NotFresh;
            return 0;
        }
        uint256 collateral = r.potCollateral + v.seizedPotCollateral;
        uint256 price = _potPrice(
            s,
            debt,
            collateral,
            Market.seizedAtWith(r.seizedAt, r.potCollateral, v.seizedPotCollateral)
        );
        uint256 cost;
        (bought, cost, v.potDebtSold) = Market.potSale(
            debt,
            collateral,
            price,
            Market.debtUnitsDown(budget, r.units)
        );
        if (v.potDebtSold == 0) {
            v.verdict = Verdict.BudgetTooSmall;
            return 0;
        }
        v.potCollateralSold = bought;
        v.repaid += Market.debtTokensUp(cost, r.units);
    }

    /// @dev Debt units per collateral unit, Q128.128, at the lower price.
    function _potPrice(
        Scene memory s,
        uint256 debt,
        uint256 collateral,
        uint256 seizedAt
    ) private view returns (uint256) {
        MarketReader.Reading memory r = s.reading;
        (uint256 bonusMin, uint256 bonusMax) = (r.risk.bonusMin, r.liquidations.bonusMax);
        return Market.potPrice(debt, collateral, s.price.low, seizedAt, bonusMin, bonusMax, r.units);
    }

    function _level(MarketReader.Reading memory r) private view returns (BrakeLevel) {
        return Market.levelOf(r.risk.noNewRiskUntil, r.liquidations.pausedUntil, r.liquidations.graceUntil);
    }

    // ------------------------------------------------------------------ units

    function _debtTokensUp(uint256 bookDebt, MarketReader.Reading memory r) private pure returns (uint256) {
        return Market.debtTokensUp(Market.unitsUp(bookDebt, r.ledger.borrowIndex), r.units);
    }

    /// @dev Debt token units that `collateral` (units) is worth at `price`, rounded down.
    function _valueDown(
        uint256 collateral,
        uint256 price,
        Market.Units memory units
    ) private pure returns (int256) {
        uint256 value = collateral.mulDiv(price * units.priceMultiplier, 1 << 128);
        return int256(Market.debtTokensDown(value, units));
    }
}
