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
/// given to it. Balances are kept by token too: anyone may pose as a market, and name another asset each time it is asked.
contract InsuranceFund is IInsuranceFund, AccessManagedUpgradeable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    mapping(address market => mapping(IERC20 token => uint256)) private _balance;

    constructor() {
        _disableInitializers();
    }

    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc IInsuranceFund
    function deposit(address market, uint256 amount) external nonReentrant {
        IERC20 token = _assetOf(market);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        require(received == amount, TransferMismatch(address(token), amount, received));
        _balance[market][token] += amount;
        emit Deposit(market, msg.sender, amount);
    }

    /// @inheritdoc IInsuranceFund
    function cover(uint256 amount) external nonReentrant {
        IERC20 token = _take(msg.sender, amount);
        emit Cover(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IInsuranceFund
    function withdraw(address market, address receiver, uint256 amount) external restricted nonReentrant {
        // The pot's mark counts on this balance: taking it away would be an unbooked loss for the lenders.
        uint256 potDebt = IVault(market).potDebt();
        require(potDebt == 0, PotOpen(market, potDebt));
        IERC20 token = _take(market, amount);
        emit Withdraw(market, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IInsuranceFund
    function balanceOf(address market) external view returns (uint256) {
        return _balance[market][_assetOf(market)];
    }

    function _take(address market, uint256 amount) private returns (IERC20 token) {
        token = _assetOf(market);
        uint256 available = _balance[market][token];
        require(amount <= available, InsufficientInsurance(market, amount, available));
        _balance[market][token] = available - amount;
    }

    function _assetOf(address market) private view returns (IERC20) {
        return IERC20(IVault(market).asset());
    }
}
