// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ILiquidationCallback, ILiquidator} from "./interfaces/ILiquidator.sol";
import {ILiquidationPayer, IVault, LiquidationRequest} from "./interfaces/IVault.sol";

/// @title Liquidator
/// @notice See ILiquidator. Holds nothing: collateral goes from the vault to the receiver, the payment from the caller
/// to the vault.
contract Liquidator is ILiquidator, ILiquidationPayer, AccessManagedUpgradeable {
    using SafeERC20 for IERC20;

    mapping(address market => bool) public isMarket;

    constructor() {
        _disableInitializers();
    }

    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc ILiquidator
    function list(address market) external restricted {
        isMarket[market] = true;
        emit List(market);
    }

    /// @inheritdoc ILiquidator
    function liquidate(
        Order calldata order,
        bytes calldata data
    ) external returns (uint256 repaid, uint256 seized) {
        require(block.timestamp <= order.deadline, DeadlineExpired(order.deadline, block.timestamp));
        (repaid, seized) = _liquidate(
            order.market,
            LiquidationRequest({
                caller: msg.sender,
                receiver: order.receiver,
                maxRepay: order.maxRepay,
                fromTick: order.fromTick,
                maxTicks: order.maxTicks,
                buyPot: order.buyPot,
                seizeOnly: false
            }),
            abi.encodePacked(msg.sender, data)
        );
        require(seized >= order.minCollateral, TooLittleCollateral(seized, order.minCollateral));
    }

    /// @inheritdoc ILiquidator
    function seize(address market, uint32 maxTicks) external {
        LiquidationRequest memory request;
        request.caller = msg.sender;
        request.fromTick = type(int24).max;
        request.maxTicks = maxTicks;
        request.seizeOnly = true;
        _liquidate(market, request, abi.encodePacked(msg.sender));
    }

    /// @inheritdoc ILiquidationPayer
    /// @dev Only a listed market calls this, and only from within its own `liquidate`, which only this contract may call:
    /// the payer at the head of `data` is the caller that this contract wrote there.
    function payLiquidation(address asset, uint256 repaid, uint256 seized, bytes calldata data) external {
        require(isMarket[msg.sender], UnexpectedCallback(msg.sender));
        address payer = address(bytes20(data));
        if (data.length > 20) {
            ILiquidationCallback(payer).onLiquidation(msg.sender, repaid, seized, data[20:]);
        }
        if (repaid != 0) IERC20(asset).safeTransferFrom(payer, msg.sender, repaid);
    }

    function _liquidate(
        address market,
        LiquidationRequest memory request,
        bytes memory data
    ) private returns (uint256, uint256) {
        require(isMarket[market], UnknownMarket(market));
        return IVault(market).liquidate(request, data);
    }
}
