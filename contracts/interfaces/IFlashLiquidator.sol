// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What this protocol uses of Uniswap v3's SwapRouter (the package's own interface is for older compilers).
interface ISwapRouter {
    /// @notice `path`: token, fee (3 bytes), token, and so on; the first token is sold, the last one is bought.
    struct ExactInputParams {
        bytes path;
        address recipient;
        uint256 deadline;
        uint256 amountIn;
        uint256 amountOutMinimum;
    }

    /// @notice Sells `amountIn` of the path's first token, taken from the caller.
    function exactInput(ExactInputParams calldata params) external payable returns (uint256 amountOut);

    /// @notice As ExactInputParams, but the path is reversed: the first token is bought, the last one is sold.
    struct ExactOutputParams {
        bytes path;
        address recipient;
        uint256 deadline;
        uint256 amountOut;
        uint256 amountInMaximum;
    }

    /// @notice Buys `amountOut` of the path's first token, and takes what it costs of the last one from the caller.
    function exactOutput(ExactOutputParams calldata params) external payable returns (uint256 amountIn);
}

/// @title IFlashLiquidator
/// @notice Liquidates with no capital: takes the collateral first, sells it on Uniswap v3, pays the market out of the
/// proceeds and sends the rest to the receiver. Anyone may call it; it holds nothing between calls, so there is nothing
/// in it to take.
interface IFlashLiquidator {
    struct Params {
        address market;
        uint256 maxRepay; //  debt token units at most
        int24 fromTick; //    skip what is above; type(int24).max: skip nothing
        uint32 maxTicks; //   bounds the gas; 0: no bound
        bool buyPot; //       spend what is left of the budget on seized collateral
        bytes path; //        Uniswap v3 path, from the market's collateral token to its debt token
        uint256 minOut; //    debt token units at least for the collateral
        uint256 minProfit; // debt token units at least that are left for the receiver
        uint256 deadline; //  latest block timestamp
        address receiver; //  of the profit, and of collateral that the swap left
    }

    /// @notice `market` was liquidated with no capital. `repaid` and `profit` in debt token units, `seized` in
    /// collateral token units.
    event FlashLiquidate(
        address indexed market,
        address indexed caller,
        address indexed receiver,
        uint256 repaid,
        uint256 seized,
        uint256 profit
    );

    /// @notice The swap's proceeds less the repayment are `profit` (debt token units; negative: they do not even repay).
    error ProfitTooLow(int256 profit, uint256 minProfit);

    /// @notice The path does not lead from the market's collateral token to its debt token.
    error PathMismatch(address tokenIn, address tokenOut);

    /// @notice Only the Liquidator may call back, and only during a call of `liquidate`.
    error UnexpectedCallback(address caller);

    /// @notice Liquidates, swaps, repays and sends the profit. Anyone may call.
    /// Reverts with ProfitTooLow, PathMismatch, the Liquidator's and the market's errors (DeadlineExpired,
    /// UnknownMarket, NothingToLiquidate, LiquidationsPaused, PriceDead), or the router's ("Too little received").
    /// @return repaid debt token units paid to the market.
    /// @return seized collateral token units sold.
    /// @return profit debt token units sent to the receiver.
    function liquidate(
        Params calldata params
    ) external returns (uint256 repaid, uint256 seized, uint256 profit);
}
