// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ILiquidationCallback, ILiquidator} from "./interfaces/ILiquidator.sol";
import {ILiquidationPayer, IVault, LiquidationRequest} from "./interfaces/IVault.sol";

/// @title Liquidator
/// @notice See ILiquidator. Holds nothing and remembers nothing: collateral goes from the vault to the receiver, the
/// payment from the caller to the vault. Nobody can change it.
///
/// TRUST. It keeps no list of markets, and needs none to protect who has approved it: a payment is taken only from the
/// caller of a `liquidate` that is running, by the market which that caller named, once, and at most `maxRepay`.
contract Liquidator is ILiquidator, ILiquidationPayer {
    using SafeERC20 for IERC20;

    /// @dev Which market may ask for a payment now, who pays, and how much at most (debt token units). 0: none may. Addresses
    /// as whole words: the compiler writes a word without reading it first.
    uint256 private transient _market;
    uint256 private transient _payer;
    uint256 private transient _maxRepay;

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
            data
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
        _liquidate(market, request, msg.data[:0]);
    }

    /// @inheritdoc ILiquidationPayer
    function payLiquidation(address asset, uint256 repaid, uint256 seized, bytes calldata data) external {
        require(uint160(msg.sender) == _market, UnexpectedCallback(msg.sender));
        (address payer, uint256 maxRepay) = (address(uint160(_payer)), _maxRepay);
        require(repaid <= maxRepay, TooMuchToRepay(repaid, maxRepay));
        _market = 0; // once; and the callback may liquidate elsewhere
        if (data.length != 0) ILiquidationCallback(payer).onLiquidation(msg.sender, repaid, seized, data);
        if (repaid != 0) IERC20(asset).safeTransferFrom(payer, msg.sender, repaid);
    }

    function _liquidate(
        address market,
        LiquidationRequest memory request,
        bytes calldata data
    ) private returns (uint256 repaid, uint256 seized) {
        require(market.code.length != 0, UnknownMarket(market));
        (_market, _payer, _maxRepay) = (uint160(market), uint160(msg.sender), request.maxRepay);
        (repaid, seized) = IVault(market).liquidate(request, data);
        _market = 0; // whether or not it has asked
    }
}
