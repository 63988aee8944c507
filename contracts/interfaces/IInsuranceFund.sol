// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IInsuranceFund
/// @notice First loss capital, a separate balance for each market, in the market's debt token. A market can draw on
/// its own balance only.
interface IInsuranceFund {
    /// @notice `amount` (debt token units) came in for `market`.
    event Deposit(address indexed market, address indexed from, uint256 amount);

    /// @notice The market covered a loss with `amount` (debt token units).
    event Cover(address indexed market, uint256 amount);

    /// @notice The governor took `amount` (debt token units) out.
    event Withdraw(address indexed market, address indexed receiver, uint256 amount);

    /// @notice `market` has `available`, less than `requested` (debt token units).
    error InsufficientInsurance(address market, uint256 requested, uint256 available);

    /// @notice The market holds seized collateral whose loss this balance covers.
    error PotOpen(address market, uint256 potDebt);

    /// @notice The token moved `received` instead of `expected`: it takes a fee or rebases.
    error TransferMismatch(address token, uint256 expected, uint256 received);

    /// @notice Insurance of `market`, in its debt token's units.
    function balanceOf(address market) external view returns (uint256);

    /// @notice Adds `amount` of the market's debt token, taken from the caller. Anyone may call.
    function deposit(address market, uint256 amount) external;

    /// @notice Sends `amount` to the calling market. Reverts with InsufficientInsurance beyond its balance.
    function cover(uint256 amount) external;

    /// @notice Takes insurance of `market` out, never while it holds seized collateral. Only the governor.
    function withdraw(address market, address receiver, uint256 amount) external;
}
