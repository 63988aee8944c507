// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IVault} from "./IVault.sol";

/// @title IProtectedAccount
/// @notice Holds positions and lenders' shares for its owner, whom IAccountRecovery names. What takes value or control out
/// goes through here: only the owner, and not in a lockdown. What brings value in needs nobody's leave: anyone adds
/// collateral, repays or lends to the account at the vault itself.
///
/// NO STANDING RIGHTS. It never approves a token, names no operator, offers no position and signs nothing (no ERC-1271): each
/// would be a right that a lockdown does not take back. So nobody but its owner moves anything of it, in calls of their own,
/// and a router works for it only through the owner.
interface IProtectedAccount {
    /// @notice Takes collateral out, borrows, or both: `Vault.adjust` with what leaves.
    /// @param collateral collateral token units; type(uint256).max: all. @param debt debt token units to borrow.
    /// @return collateralOut @return debtOut what really moved.
    function take(
        IVault vault,
        uint96 sub,
        uint256 collateral,
        uint256 debt,
        address receiver
    ) external returns (uint256 collateralOut, uint256 debtOut);

    /// @notice As `Vault.withdrawSurplus`. @return withdrawn token units.
    function withdrawSurplus(
        IVault vault,
        uint96 sub,
        uint256 amount,
        address receiver
    ) external returns (uint256 withdrawn);

    /// @notice Redeems lenders' shares; type(uint256).max: all. @return assets token units.
    function redeem(IVault vault, uint256 shares, address receiver) external returns (uint256 assets);

    /// @notice Sends lenders' shares, or whatever token somebody sent here.
    function transfer(IERC20 token, address to, uint256 amount) external;

    /// @notice Takes over a position that was offered to the account.
    function takePosition(IVault vault, address from, uint96 fromSub, uint96 toSub) external;

    /// @notice Gives a position away. The receiver consents by making the account its operator for the moment.
    function sendPosition(IVault vault, uint96 fromSub, address to, uint96 toSub) external;
}
