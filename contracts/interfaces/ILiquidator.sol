// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a keeper's contract implements to get the collateral before it pays.
interface ILiquidationCallback {
    /// @notice The collateral has been sent; `repaid` (debt token units) must be in the caller's balance and approved to
    /// the Liquidator when this returns.
    function onLiquidation(address market, uint256 repaid, uint256 seized, bytes calldata data) external;
}

/// @title ILiquidator
/// @notice The keepers' entry for all markets.
interface ILiquidator {
    struct Order {
        address market;
        uint256 maxRepay; //         debt token units at most
        uint256 minCollateral; //    collateral token units at least, for what is repaid
        int24 fromTick; //           skip what is above; type(int24).max: skip nothing
        uint32 maxTicks; //          bounds the gas; 0: no bound
        bool buyPot; //              spend what is left of the budget on seized collateral
        uint256 deadline; //         latest block timestamp
        address receiver; //         of the collateral
    }

    /// @notice The transaction came after its deadline.
    error DeadlineExpired(uint256 deadline, uint256 timestamp);

    /// @notice `seized` is less collateral than `minimum` (token units).
    error TooLittleCollateral(uint256 seized, uint256 minimum);

    /// @notice There is no contract at the address.
    error UnknownMarket(address market);

    /// @notice Only the market that is being liquidated may call back, and only once.
    error UnexpectedCallback(address caller);

    /// @notice The market asked for `repaid`, more than the order's `maxRepay` (debt token units).
    error TooMuchToRepay(uint256 repaid, uint256 maxRepay);

    /// @notice Liquidates `order.market` and takes the payment from the caller. Anyone may call. The market is the caller's
    /// to know: whatever contract is named here may take up to `maxRepay` from the caller, of a token that it names, and
    /// says itself what was seized. Nobody else's approval is ever within its reach.
    /// @param data empty: the caller has approved the debt token to this contract; otherwise the caller is called back
    /// with it after the collateral was sent.
    /// @return repaid debt token units paid. @return seized collateral token units received.
    /// Reverts with NothingToLiquidate (and the numbers) when nothing was done.
    function liquidate(
        Order calldata order,
        bytes calldata data
    ) external returns (uint256 repaid, uint256 seized);

    /// @notice Moves insolvent ticks of `market` into its pot. Takes no capital. Anyone may call.
    function seize(address market, uint32 maxTicks) external;
}
