// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInsuranceFund} from "./interfaces/IInsuranceFund.sol";
import {IVault} from "./interfaces/IVault.sol";

/// @title InsuranceFund
/// @notice See IInsuranceFund. A market draws only on its own balance, so a malicious market could only lose what was
/// given to it.
contract InsuranceFund is IInsuranceFund, AccessManagedUpgradeable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    mapping(address market => uint256) public balanceOf;

    constructor() {
        _disableInitializers();
    }

    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc IInsuranceFund
    function deposit(address market, uint256 amount) external nonReentrant {
        IERC20 token = IERC20(IVault(market).asset());
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        require(received == amount, TransferMismatch(address(token), amount, received));
        balanceOf[market] += amount;
        emit Deposit(market, msg.sender, amount);
    }

    /// @inheritdoc IInsuranceFund
    function cover(uint256 amount) external nonReentrant {
        _take(msg.sender, amount);
        emit Cover(msg.sender, amount);
        IERC20(IVault(msg.sender).asset()).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IInsuranceFund
    function withdraw(address market, address receiver, uint256 amount) external restricted nonReentrant {
        // The pot's mark counts on this balance: taking it away would be an unbooked loss for the lenders.
        uint256 potDebt = IVault(market).potDebt();
        require(potDebt == 0, PotOpen(market, potDebt));
        _take(market, amount);
        emit Withdraw(market, receiver, amount);
        IERC20(IVault(market).asset()).safeTransfer(receiver, amount);
    }

    function _take(address market, uint256 amount) private {
        uint256 available = balanceOf[market];
        require(amount <= available, InsufficientInsurance(market, amount, available));
        balanceOf[market] = available - amount;
    }
}
