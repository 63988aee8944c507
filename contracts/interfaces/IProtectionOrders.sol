// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PriceState} from "./IOracleAdapter.sol";

/// @notice What an order waits for, and what it then does. A trigger has to hold at both ends of the oracle's price, as for a
/// liquidation. The first three sell collateral, through the LeverageRouter; the others add tokens of the owner's.
/// Deleverage: LTV at or above `level`; sells collateral and repays, down to `target`.
/// StopLoss: price at or below `level`; as Deleverage, or closes. TakeProfit: price at or above `level`; likewise.
/// TopUp: LTV at or above `level`; adds collateral, down to `target`. Repay: likewise with the debt token.
enum Kind {
    Deleverage,
    StopLoss,
    TakeProfit,
    TopUp,
    Repay
}

/// @notice An order. LTV is the one that liquidation looks at, at the higher price (ILens: ltvHigh). It is for whatever
/// position is in the sub-account when it is executed.
struct Order {
    address owner;
    uint96 sub;
    address market;
    Kind kind;
    uint16 target; //         LTV that it leaves at most, basis points; 0: sells to close the position
    uint16 slippage; //       basis points that a sale may be worse than the oracle's lower price; the tip comes on top
    uint40 expiry; //         latest block timestamp
    uint8 times; //           executions that are left; a close is the last one
    bool keepCollateral; //   a close buys just what is owed, and the rest stays collateral; else everything is sold
    uint256 level; //         LTV in WAD, or price as IOracleAdapter's: whole debt tokens per whole collateral token, Q128.128
    uint128 tipMin; //        units of the token that the tip is paid in (Quote.tipToken): at the trigger
    uint128 tipMax; //        the same, when it is urgent: at the liquidation threshold, or 5 % beyond a price
    uint128 budget; //        token units that TopUp or Repay may still take from the owner, tips included
}

/// @notice What an execution does now; token units.
struct Quote {
    int256 collateral; //  of the position: out of it (negative; type(int256).min: all), or into it
    int256 debt; //        repaid (negative; type(int256).min: all)
    address tokenIn; //    sold; address 0: nothing is
    address tokenOut; //   bought
    bool exactOut; //      false: sells `amount` for at least `limit`; true: buys `amount` for at most `limit`
    uint256 amount;
    uint256 limit;
    address tipToken;
    uint256 tip;
    uint256 least; //      of the tip's token comes out, the tip in it; the rest is the owner's
    uint256 ltv; //        now, WAD
}

/// @notice An order that can be executed now.
struct Executable {
    uint256 id;
    address market;
    Quote quote;
}

/// @title IProtectionOrders
/// @notice Orders by which a position's owner lets anybody protect it for a tip. They are kept here, so that who executes
/// needs nothing but this contract.
///
/// RIGHTS. For the first three kinds this contract and the LeverageRouter must be the owner's operators in the market; TopUp and
/// Repay need none, only the owner's allowance of the token to this contract. It acts for an owner in no other way than his own
/// orders say. Who executes chooses the path of the swap, and nothing else.
///
/// PRICE. Nothing is executed on a Dead or Diverged price; StopLoss and TakeProfit only on a Fresh one. Deleverage, TopUp and
/// Repay also on a Single one, since a liquidation would be.
///
/// BOUNDS. How much is sold, or added, follows from position, price and order alone: the least that brings the LTV to the
/// target if the sale is as bad as the slippage allows. What a sale brings above that is the owner's. So whoever manipulates
/// pools gains at most the slippage of what is sold. An execution never leaves a higher LTV.
///
/// TIP. tipMin at the trigger, rising linearly with the distance beyond it to tipMax. Paid out of what the sale brings, or out
/// of what is taken from the owner.
interface IProtectionOrders {
    event CreateOrder(uint256 indexed id, address indexed owner, address indexed market, Order order);

    /// @notice By its owner, or by anybody once it had expired.
    event CancelOrder(uint256 indexed id, address indexed owner, address indexed caller);

    /// @notice Executed for `tip` units of `tipToken`; `collateral` and `debt` are what moved (IVault.Adjust has them exactly),
    /// `left` token units of `tipToken` went to the owner; `times` executions are left of the order, 0: it is gone.
    event ExecuteOrder(
        uint256 indexed id,
        address indexed owner,
        address indexed caller,
        Quote quote,
        uint256 left,
        uint8 times
    );

    /// @notice Only `owner` creates and cancels an order of his.
    error NotOrderOwner(address caller, address owner);

    /// @notice No such order, or no longer.
    error UnknownOrder(uint256 id);

    /// @notice The order's `expiry` was over at `timestamp`.
    error OrderExpired(uint256 expiry, uint256 timestamp);

    /// @notice The order violates `rule` (a short sentence).
    error InvalidOrder(string rule);

    /// @notice As it is now, the order would not lower the position's LTV (basis points and WAD).
    error WouldMakeWorse(uint256 target, uint256 ltv);

    /// @notice The order waits for `level`; the LTV (WAD) or price (Q128.128) is `current`.
    error NotTriggered(uint256 current, uint256 level);

    /// @notice This kind of order is not executed on a price in this state.
    error PriceUntrusted(PriceState state);

    /// @notice There is no debt in this sub-account.
    error NoDebt(address owner, uint96 sub);

    /// @notice The owner has not made `operator` an operator in `market`, or no longer.
    error NotOperator(address market, address operator);

    /// @notice Selling, as badly as the order allows, even all of the collateral does not bring the LTV to the target.
    error TargetUnreachable(uint256 ltv, uint256 target);

    /// @notice The order may still take `budget` token units, and needs `needed`.
    error BudgetExceeded(uint256 needed, uint256 budget);

    /// @notice The owner holds, or has approved to this contract, only `available` of `token`.
    error InsufficientFunds(address token, uint256 available, uint256 needed);

    /// @notice After the sale `held` of `token` is here, and the owner is due `least`, the tip in it.
    error TooLittleLeft(address token, uint256 held, uint256 least);

    /// @notice The tip is less than who executes asked for.
    error TipTooLow(uint256 tip, uint256 minTip);

    /// @notice Leaves an order; only its owner. Reverts with NotOrderOwner, OrderExpired, InvalidOrder.
    /// @return id of the order, never used again.
    function create(Order calldata order) external returns (uint256 id);

    /// @notice Takes an order back; its owner, or anybody once it has expired.
    function cancel(uint256 id) external;

    /// @notice Executes an order. Anyone may call. Reverts with the errors above, the router's (SlippageExceeded,
    /// InsufficientLiquidity, InvalidPath) and the market's.
    /// @param path Uniswap v3 path from Quote.tokenIn to tokenOut (reversed if exactOut); empty if nothing is sold.
    /// @param minTip least tip, units of Quote.tipToken. @param receiver of the tip.
    /// @return tip that was paid.
    function execute(
        uint256 id,
        bytes calldata path,
        uint256 minTip,
        address receiver
    ) external returns (uint256 tip);

    /// @notice An order. Reverts with UnknownOrder.
    function orderOf(uint256 id) external view returns (Order memory);

    /// @notice What `execute` would do in this block, or the error with which it would revert before it swaps.
    function quote(uint256 id) external view returns (Quote memory);

    /// @notice The orders that can be executed now, of those of each market from the place `from` in its list on, `count` of
    /// them. Reverts if one of the markets is none.
    /// @return found them, market by market. @return longest length of a list; places change as orders are removed.
    function executable(
        address[] calldata markets,
        uint256 from,
        uint256 count
    ) external view returns (Executable[] memory found, uint256 longest);
}
