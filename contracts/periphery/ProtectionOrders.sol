// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {ILeverageRouter} from "../interfaces/ILeverageRouter.sol";
import {IOracleAdapter, Price, PriceState} from "../interfaces/IOracleAdapter.sol";
import {Executable, IProtectionOrders, Kind, Order, Quote} from "../interfaces/IProtectionOrders.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Grid} from "../libraries/Grid.sol";
import {Market} from "../libraries/Market.sol";
import {MarketReader} from "../libraries/MarketReader.sol";
import {PriceMath} from "../libraries/PriceMath.sol";
import {TickBook} from "../libraries/TickBook.sol";

/// @title ProtectionOrders
/// @notice See IProtectionOrders.
///
/// TRUST. A market is whatever the owner named in his order; one that lies can cheat him and who executes, nobody else: nothing
/// is held between calls, no approval outlasts one, and each call acts for one order's owner.
contract ProtectionOrders is IProtectionOrders, ReentrancyGuardTransient {
    using EnumerableSet for EnumerableSet.UintSet;
    using Math for uint256;
    using MarketReader for MarketReader.Reading;
    using SafeERC20 for IERC20;

    /// @dev A market with its price; ratios and prices are book debt per collateral unit, Q128.128.
    struct Scene {
        MarketReader.Reading market;
        Price price;
        uint256 high;
        uint256 low;
    }

    /// @dev A position with debt; book debt and collateral units.
    struct Holding {
        uint256 debt;
        uint256 collateral; // behind the debt
        uint256 surplus;
        int24 tick;
        uint256 ltv; //        WAD, at the higher price
    }

    int256 private constant ALL = type(int256).min;
    uint256 private constant ONE = 1 << 128;
    /// @dev How far beyond its level (basis points) a price makes an order urgent.
    uint256 private constant URGENT = 500;
    /// @dev A sale that may be worse than this is no protection.
    uint256 private constant MAX_SLIPPAGE = 1_000;

    ILeverageRouter public immutable ROUTER;

    uint256 private _created;
    mapping(uint256 id => Order) private _orders;
    mapping(address market => EnumerableSet.UintSet) private _ordersIn;

    constructor(ILeverageRouter router) {
        ROUTER = router;
    }

    /// @inheritdoc IProtectionOrders
    function create(Order calldata order) external returns (uint256 id) {
        require(msg.sender == order.owner, NotOrderOwner(msg.sender, order.owner));
        require(block.timestamp <= order.expiry, OrderExpired(order.expiry, block.timestamp));
        require(order.times != 0, InvalidOrder("it is executed at least once"));
        require(order.tipMin <= order.tipMax, InvalidOrder("the tip rises from tipMin to tipMax"));
        require(order.slippage <= MAX_SLIPPAGE, InvalidOrder("slippage is at most 10 %"));
        require(order.target < Market.BPS, InvalidOrder("a target LTV is below 100 %"));
        require(
            order.level != 0 && order.level < PriceMath.MAX,
            InvalidOrder("a level is above 0 and below 2^192")
        );
        bool sells = _sells(order.kind);
        bool closes = order.target == 0;
        require(sells || !closes, InvalidOrder("only a sale closes"));
        require(sells == (order.budget == 0), InvalidOrder("TopUp and Repay have a budget, a sale has none"));
        require(!closes || order.times == 1, InvalidOrder("a position is closed once"));
        require(closes || !order.keepCollateral, InvalidOrder("only a close keeps the collateral"));
        // Whatever the kind: what is no market cannot be read.
        uint256 threshold = (MarketReader.read(IVault(order.market)).threshold * Market.WAD) / Market.BPS;
        if (_byLtv(order.kind)) {
            require(order.level < threshold, InvalidOrder("its LTV is below the liquidation threshold"));
            // At the level even the worst sale lowers the LTV: it brings more than the LTV's share of what is sold.
            require(
                order.target * Market.WAD < order.level * Market.BPS &&
                    order.level * Market.BPS < (Market.BPS - order.slippage) * Market.WAD,
                WouldMakeWorse(order.target, order.level)
            );
        }
        id = ++_created;
        _orders[id] = order;
        _ordersIn[order.market].add(id);
        emit CreateOrder(id, order.owner, order.market, order);
    }

    /// @inheritdoc IProtectionOrders
    function cancel(uint256 id) external {
        Order memory order = orderOf(id);
        require(
            msg.sender == order.owner || block.timestamp > order.expiry,
            NotOrderOwner(msg.sender, order.owner)
        );
        _remove(id, order.market);
        emit CancelOrder(id, order.owner, msg.sender);
    }

    /// @inheritdoc IProtectionOrders
    function execute(
        uint256 id,
        bytes calldata path,
        uint256 minTip,
        address receiver
    ) external nonReentrant returns (uint256) {
        Order memory order = orderOf(id);
        Scene memory scene = _scene(order.market);
        (Quote memory q, Holding memory before) = _quote(order, scene);
        require(q.tip >= minTip, TipTooLow(q.tip, minTip));
        uint8 times = q.debt == ALL ? 0 : order.times - 1;
        if (times == 0) _remove(id, order.market);
        else _orders[id].times = times;

        if (_sells(order.kind)) _sell(order, q, path);
        else _add(id, order, q);

        Holding memory then = _holding(order, scene);
        require(
            then.debt == 0 || (then.tick < before.tick && then.ltv * Market.BPS <= order.target * Market.WAD),
            WouldMakeWorse(order.target, then.ltv)
        );
        // Whatever the path was.
        uint256 held = IERC20(q.tipToken).balanceOf(address(this));
        require(held >= q.least, TooLittleLeft(q.tipToken, held, q.least));
        if (q.tip != 0) IERC20(q.tipToken).safeTransfer(receiver, q.tip);
        uint256 left = _leave(q.tipToken, order.owner);
        if (q.tokenIn != address(0)) _leave(q.exactOut ? q.tokenOut : q.tokenIn, order.owner);
        emit ExecuteOrder(id, order.owner, msg.sender, q, left, times);
        return q.tip;
    }

    /// @inheritdoc IProtectionOrders
    function orderOf(uint256 id) public view returns (Order memory order) {
        order = _orders[id];
        require(order.owner != address(0), UnknownOrder(id));
    }

    /// @inheritdoc IProtectionOrders
    function quote(uint256 id) external view returns (Quote memory q) {
        Order memory order = orderOf(id);
        (q, ) = _quote(order, _scene(order.market));
    }

    /// @inheritdoc IProtectionOrders
    function executable(
        address[] calldata markets,
        uint256 from,
        uint256 count
    ) external view returns (Executable[] memory found, uint256 longest) {
        uint256 most;
        for (uint256 i = 0; i < markets.length; i++) {
            uint256 length = _ordersIn[markets[i]].length();
            longest = Math.max(longest, length);
            most += Math.min(count, length.saturatingSub(from));
        }
        found = new Executable[](most);
        uint256 fit;
        for (uint256 i = 0; i < markets.length; i++) fit = _find(found, fit, markets[i], from, count);
        assembly ("memory-safe") {
            mstore(found, fit)
        }
    }

    /// @dev Adds to `found`, from `fit` on, what can be executed in one market.
    function _find(
        Executable[] memory found,
        uint256 fit,
        address market,
        uint256 from,
        uint256 count
    ) private view returns (uint256) {
        uint256[] memory ids = _ordersIn[market].values(from, from + count);
        if (ids.length == 0) return fit;
        Scene memory scene = _scene(market);
        for (uint256 i = 0; i < ids.length; i++) {
            Order memory order = _orders[ids[i]];
            if (block.timestamp > order.expiry) continue;
            Holding memory h = _holding(order, scene);
            if (h.debt == 0) continue;
            (, bool triggered) = _trigger(order, scene, h.ltv);
            if (!triggered) continue;
            // So far it is cheap; what else may be in the way is known only by trying.
            try this.quote(ids[i]) returns (Quote memory q) {
                found[fit++] = Executable(ids[i], market, q);
            } catch {}
        }
        return fit;
    }

    // ------------------------------------------------------------------ what an execution does

    function _quote(
        Order memory order,
        Scene memory scene
    ) private view returns (Quote memory q, Holding memory h) {
        require(block.timestamp <= order.expiry, OrderExpired(order.expiry, block.timestamp));
        PriceState state = scene.price.state;
        require(
            state == PriceState.Fresh || (state == PriceState.Single && _byLtv(order.kind)),
            PriceUntrusted(state)
        );
        h = _holding(order, scene);
        require(h.debt != 0, NoDebt(order.owner, order.sub));
        q.ltv = h.ltv;
        {
            (uint256 current, bool triggered) = _trigger(order, scene, h.ltv);
            require(triggered, NotTriggered(current, order.level));
            q.tip = _tip(order, scene, current);
        }
        IVault market = scene.market.vault;
        (address collateral, address debt) = (market.COLLATERAL(), market.asset());
        if (_sells(order.kind)) {
            _checkOperator(order, address(this));
            _checkOperator(order, address(ROUTER));
            (q.tokenIn, q.tokenOut) = (collateral, debt);
            q.exactOut = order.target == 0 && order.keepCollateral;
            q.tipToken = q.exactOut ? collateral : debt;
            if (order.target == 0) _quoteClose(q, order, scene, h);
            else _quoteSale(q, order, scene, h);
        } else {
            q.tipToken = order.kind == Kind.TopUp ? collateral : debt;
            _quoteAddition(q, order, scene, h);
        }
    }

    /// @dev All of it: sold for the debt token, or just as much as buys the debt.
    function _quoteClose(
        Quote memory q,
        Order memory order,
        Scene memory scene,
        Holding memory h
    ) private pure {
        Market.Units memory u = scene.market.units;
        uint256 owed = Market.debtTokensUp(Market.unitsUp(h.debt, scene.market.ledger.borrowIndex), u);
        uint256 held = Market.collateralTokensDown(h.collateral + h.surplus, u);
        (q.collateral, q.debt) = (ALL, ALL);
        if (q.exactOut) {
            require(held > q.tip, TargetUnreachable(h.ltv, 0));
            q.amount = owed;
            uint256 cost = Market.debtUnitsDown(owed, u).mulDiv(ONE, _worst(order, scene));
            q.limit = Math.min(Market.collateralTokensDown(cost, u), held - q.tip);
            q.least = held - q.limit;
        } else {
            q.amount = held;
            q.limit = Math.max(_worthUp(held, order, scene), owed + q.tip);
            q.least = q.limit - owed;
        }
    }

    /// @dev As much as brings the LTV to the target when it is sold at the worst that the order allows.
    function _quoteSale(
        Quote memory q,
        Order memory order,
        Scene memory scene,
        Holding memory h
    ) private pure {
        Market.Units memory u = scene.market.units;
        (, uint256 ratio) = _target(order, scene, h);
        uint256 worst = scene.low.mulDiv(Market.BPS - order.slippage, Market.BPS);
        require(worst > ratio, TargetUnreachable(h.ltv, order.target));
        // Two units, of the token and of the book, for the roundings of what is bought and repaid.
        uint256 tip = Market.bookUp(Market.debtUnitsUp(q.tip + 2, u) + 2, scene.market.ledger.borrowIndex);
        uint256 collateral = h.collateral + h.surplus;
        // A sale folds in the surplus: where that suffices, it only has to pay for the tip.
        uint256 excess = Math.max((h.debt + tip).saturatingSub(ratio.mulDiv(collateral, ONE)), tip);
        uint256 sold = excess.mulDiv(ONE, worst - ratio, Math.Rounding.Ceil);
        q.amount = (sold * u.collateralDivisor).ceilDiv(u.collateralMultiplier);
        require(Market.collateralUnitsUp(q.amount, u) < collateral, TargetUnreachable(h.ltv, order.target));
        q.limit = _worthUp(q.amount, order, scene);
        q.least = q.tip;
        (q.collateral, q.debt) = (-int256(q.amount), -int256(q.limit - q.tip));
    }

    /// @dev As much of the owner's tokens as brings the LTV to the target.
    function _quoteAddition(
        Quote memory q,
        Order memory order,
        Scene memory scene,
        Holding memory h
    ) private view {
        Market.Units memory u = scene.market.units;
        (, uint256 ratio) = _target(order, scene, h);
        // The market folds in the surplus only for an operator.
        uint256 collateral = h.collateral;
        if (scene.market.vault.isOperator(order.owner, address(this))) collateral += h.surplus;
        uint256 amount;
        if (order.kind == Kind.TopUp) {
            uint256 need = h.debt.mulDiv(ONE, ratio, Math.Rounding.Ceil);
            uint256 added = Math.max(need.saturatingSub(collateral), 1);
            amount = (added * u.collateralDivisor).ceilDiv(u.collateralMultiplier);
            q.collateral = int256(amount);
        } else {
            uint256 repaid = Math.max(h.debt.saturatingSub(ratio.mulDiv(collateral, ONE)), 1);
            amount = Market.debtTokensUp(Market.unitsUp(repaid, scene.market.ledger.borrowIndex), u);
            q.debt = -int256(amount);
        }
        q.least = q.tip;
        amount += q.tip;
        require(amount <= order.budget, BudgetExceeded(amount, order.budget));
        IERC20 token = IERC20(q.tipToken);
        uint256 available = Math.min(
            token.balanceOf(order.owner),
            token.allowance(order.owner, address(this))
        );
        require(amount <= available, InsufficientFunds(address(token), available, amount));
    }

    /// @dev The highest tick whose LTV is at most the target, below the position's.
    function _target(
        Order memory order,
        Scene memory scene,
        Holding memory h
    ) private pure returns (int24 tick, uint256 ratio) {
        (tick, ratio) = Grid.floor(scene.high.mulDiv(order.target, Market.BPS), scene.market.units.spacing);
        require(ratio != 0 && tick < h.tick, WouldMakeWorse(order.target, h.ltv));
    }

    /// @return current the LTV or the price that the order looks at.
    function _trigger(
        Order memory order,
        Scene memory scene,
        uint256 ltv
    ) private pure returns (uint256 current, bool triggered) {
        if (order.kind == Kind.StopLoss) {
            current = scene.price.high;
            return (current, current <= order.level);
        }
        current = order.kind == Kind.TakeProfit ? scene.price.low : ltv;
        triggered = current >= order.level;
    }

    function _tip(Order memory order, Scene memory scene, uint256 current) private pure returns (uint256) {
        uint256 beyond = current < order.level ? order.level - current : current - order.level;
        uint256 urgent =
            _byLtv(order.kind)
                ? (scene.market.threshold * Market.WAD) / Market.BPS
                : order.level + order.level.mulDiv(URGENT, Market.BPS);
        urgent = urgent.saturatingSub(order.level);
        if (beyond >= urgent) return order.tipMax;
        return order.tipMin + uint256(order.tipMax - order.tipMin).mulDiv(beyond, urgent);
    }

    // ------------------------------------------------------------------ execution

    function _sell(Order memory order, Quote memory q, bytes calldata path) private {
        ILeverageRouter.Trade memory t;
        t.owner = order.owner;
        t.legs = new ILeverageRouter.Leg[](1);
        t.legs[0] = ILeverageRouter.Leg(order.market, order.sub, q.collateral, q.debt);
        t.path = path;
        t.exactOut = q.exactOut;
        t.limit = q.limit;
        t.receiver = address(this);
        t.deadline = block.timestamp;
        ILeverageRouter.Permit memory none;
        ROUTER.trade(t, new ILeverageRouter.Authorisation[](0), none);
    }

    function _add(uint256 id, Order memory order, Quote memory q) private {
        uint256 amount = q.collateral > 0 ? uint256(q.collateral) : uint256(-q.debt);
        if (order.times > 1) _orders[id].budget = uint128(order.budget - amount - q.tip);
        IERC20 token = IERC20(q.tipToken);
        token.safeTransferFrom(order.owner, address(this), amount + q.tip);
        token.forceApprove(order.market, amount);
        IVault(order.market).adjust(order.owner, order.sub, q.collateral, q.debt, address(this), "");
        if (token.allowance(address(this), order.market) != 0) token.forceApprove(order.market, 0);
    }

    /// @dev All that is here goes to the owner.
    function _leave(address token, address owner) private returns (uint256 left) {
        left = IERC20(token).balanceOf(address(this));
        if (left != 0) IERC20(token).safeTransfer(owner, left);
    }

    function _remove(uint256 id, address market) private {
        delete _orders[id];
        _ordersIn[market].remove(id);
    }

    // ------------------------------------------------------------------ markets and positions

    function _scene(address market) private view returns (Scene memory scene) {
        scene.market = MarketReader.read(IVault(market));
        scene.price = IOracleAdapter(scene.market.risk.oracle).read();
        uint256 index = scene.market.ledger.borrowIndex;
        scene.high = Market.bookPriceUp(scene.price.high, index, scene.market.units);
        scene.low = Market.bookPriceDown(scene.price.low, index, scene.market.units);
    }

    function _holding(Order memory order, Scene memory scene) private view returns (Holding memory h) {
        TickBook.Position memory position = scene.market.positionOf(order.owner, order.sub);
        h.surplus = position.surplus;
        TickBook.Node memory node;
        (, node, h.debt) = scene.market.resolve(position);
        if (h.debt == 0) return h;
        h.tick = node.tick;
        uint256 ratio = Grid.ratioOf(h.tick, scene.market.units.spacing);
        h.collateral = TickBook.behindDown(h.debt, ratio);
        if (scene.high != 0) h.ltv = ratio.mulDiv(Market.WAD, scene.high, Math.Rounding.Ceil);
    }

    function _checkOperator(Order memory order, address operator) private view {
        require(IVault(order.market).isOperator(order.owner, operator), NotOperator(order.market, operator));
    }

    /// @dev The worst price of a sale, debt units per collateral unit, Q128.128.
    function _worst(Order memory order, Scene memory scene) private pure returns (uint256) {
        return
            (scene.price.low * scene.market.units.priceMultiplier).mulDiv(
                Market.BPS - order.slippage,
                Market.BPS,
                Math.Rounding.Ceil
            );
    }

    /// @dev Debt token units that collateral token units bring at the worst.
    function _worthUp(
        uint256 collateral,
        Order memory order,
        Scene memory scene
    ) private pure returns (uint256) {
        Market.Units memory u = scene.market.units;
        uint256 worth = Market.collateralUnitsDown(collateral, u).mulDiv(
            _worst(order, scene),
            ONE,
            Math.Rounding.Ceil
        );
        return Market.debtTokensUp(worth, u);
    }

    function _sells(Kind kind) private pure returns (bool) {
        return kind < Kind.TopUp;
    }

    function _byLtv(Kind kind) private pure returns (bool) {
        return kind != Kind.StopLoss && kind != Kind.TakeProfit;
    }
}
