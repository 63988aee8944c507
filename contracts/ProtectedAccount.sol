// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAccountRecovery} from "./interfaces/IAccountRecovery.sol";
import {IProtectedAccount} from "./interfaces/IProtectedAccount.sol";
import {IVault} from "./interfaces/IVault.sol";

/// @title ProtectedAccount
/// @notice See IProtectedAccount. The code behind every account, each a minimal clone. It has no state of its own: whom it
/// obeys, and whether it is locked, AccountRecovery says at each call.
contract ProtectedAccount is IProtectedAccount {
    using SafeERC20 for IERC20;

    IAccountRecovery public immutable RECOVERY;

    constructor(IAccountRecovery recovery) {
        RECOVERY = recovery;
    }

    modifier onlyOwnerUnlocked() {
        RECOVERY.checkMayTake(address(this), msg.sender);
        _;
    }

    /// @inheritdoc IProtectedAccount
    function take(
        IVault vault,
        uint96 sub,
        uint256 collateral,
        uint256 debt,
        address receiver
    ) external onlyOwnerUnlocked returns (uint256 collateralOut, uint256 debtOut) {
        uint256 max = uint256(type(int256).max);
        // No such amounts: the vault says so.
        int256 collateralDelta = collateral > max ? type(int256).min : -int256(collateral);
        int256 debtDelta = debt > max ? type(int256).max : int256(debt);
        (collateralDelta, debtDelta) = vault.adjust(
            address(this),
            sub,
            collateralDelta,
            debtDelta,
            receiver,
            ""
        );
        return (uint256(-collateralDelta), uint256(debtDelta));
    }

    /// @inheritdoc IProtectedAccount
    function withdrawSurplus(
        IVault vault,
        uint96 sub,
        uint256 amount,
        address receiver
    ) external onlyOwnerUnlocked returns (uint256) {
        return vault.withdrawSurplus(address(this), sub, amount, receiver);
    }

    /// @inheritdoc IProtectedAccount
    function redeem(
        IVault vault,
        uint256 shares,
        address receiver
    ) external onlyOwnerUnlocked returns (uint256) {
        if (shares == type(uint256).max) shares = vault.balanceOf(address(this));
        return vault.redeem(shares, receiver, address(this));
    }

    /// @inheritdoc IProtectedAccount
    function transfer(IERC20 token, address to, uint256 amount) external onlyOwnerUnlocked {
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IProtectedAccount
    function takePosition(
        IVault vault,
        address from,
        uint96 fromSub,
        uint96 toSub
    ) external onlyOwnerUnlocked {
        vault.transferPosition(from, fromSub, address(this), toSub);
    }

    /// @inheritdoc IProtectedAccount
    function sendPosition(IVault vault, uint96 fromSub, address to, uint96 toSub) external onlyOwnerUnlocked {
        vault.transferPosition(address(this), fromSub, to, toSub);
    }
}
