// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IFlashLiquidator, ISwapRouter} from "../interfaces/IFlashLiquidator.sol";
import {ILiquidationCallback, ILiquidator} from "../interfaces/ILiquidator.sol";
import {IVault} from "../interfaces/IVault.sol";

/// @title FlashLiquidator
/// @notice See IFlashLiquidator.
///
/// TRUST. The Liquidator and the router are fixed. The Liquidator calls back nobody but the caller of its own `liquidate`,
/// so a callback from it answers a call that is running here, from the market that this call names. What a call pays out
/// is what the balances rose by during the call. A market that lies can only cheat who names it: nothing stays here from
/// one call to the next, and what somebody sends here by mistake is anybody's.
///
/// APPROVALS. Exactly what the swap sells and what the market takes, and none is left when the call ends.
contract FlashLiquidator is IFlashLiquidator, ILiquidationCallback, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev What the callback needs.
    struct Swap {
        bytes path;
        uint256 minOut;
        uint256 minProfit;
        uint256 deadline;
    }

    ILiquidator public immutable LIQUIDATOR;
    ISwapRouter public immutable ROUTER;

    constructor(ILiquidator liquidator, ISwapRouter router) {
        LIQUIDATOR = liquidator;
        ROUTER = router;
    }

    /// @inheritdoc IFlashLiquidator
    function liquidate(
        Params calldata params
    ) external nonReentrant returns (uint256 repaid, uint256 seized, uint256 profit) {
        require(params.market.code.length != 0, ILiquidator.UnknownMarket(params.market));
        IERC20 collateral = IERC20(IVault(params.market).COLLATERAL());
        IERC20 debt = IERC20(IVault(params.market).asset());
        _checkPath(params.path, address(collateral), address(debt));
        uint256 collateralBefore = collateral.balanceOf(address(this));
        uint256 debtBefore = debt.balanceOf(address(this));

        (repaid, seized) = LIQUIDATOR.liquidate(
            ILiquidator.Order({
                market: params.market,
                maxRepay: params.maxRepay,
                minCollateral: 0, // the profit is what counts
                fromTick: params.fromTick,
                maxTicks: params.maxTicks,
                buyPot: params.buyPot,
                deadline: params.deadline,
                receiver: address(this)
            }),
            abi.encode(Swap(params.path, params.minOut, params.minProfit, params.deadline))
        );

        profit = debt.balanceOf(address(this)) - debtBefore;
        if (profit != 0) debt.safeTransfer(params.receiver, profit);
        // The router leaves collateral only if the pool had no liquidity for it.
        uint256 unsold = collateral.balanceOf(address(this)) - collateralBefore;
        if (unsold != 0) collateral.safeTransfer(params.receiver, unsold);
        emit FlashLiquidate(params.market, msg.sender, params.receiver, repaid, seized, profit);
    }

    /// @inheritdoc ILiquidationCallback
    function onLiquidation(address market, uint256 repaid, uint256 seized, bytes calldata data) external {
        require(msg.sender == address(LIQUIDATOR), UnexpectedCallback(msg.sender));
        Swap memory swap = abi.decode(data, (Swap));
        uint256 out = seized == 0 ? 0 : _sell(IERC20(IVault(market).COLLATERAL()), seized, swap);
        int256 profit = int256(out) - int256(repaid);
        require(profit >= 0 && uint256(profit) >= swap.minProfit, ProfitTooLow(profit, swap.minProfit));
        if (repaid != 0) IERC20(IVault(market).asset()).forceApprove(address(LIQUIDATOR), repaid);
    }

    function _sell(IERC20 collateral, uint256 amount, Swap memory swap) private returns (uint256 out) {
        collateral.forceApprove(address(ROUTER), amount);
        out = ROUTER.exactInput(
            ISwapRouter.ExactInputParams({
                path: swap.path,
                recipient: address(this),
                deadline: swap.deadline,
                amountIn: amount,
                amountOutMinimum: swap.minOut
            })
        );
        if (collateral.allowance(address(this), address(ROUTER)) != 0)
            collateral.forceApprove(address(ROUTER), 0);
    }

    /// @dev A path is 20 bytes of token, then 3 of fee and 20 of token for each pool.
    function _checkPath(bytes calldata path, address collateral, address debt) private pure {
        uint256 length = path.length;
        address first = length < 43 ? address(0) : address(bytes20(path[:20]));
        address last = length < 43 ? address(0) : address(bytes20(path[length - 20:]));
        require(first == collateral && last == debt && (length - 20) % 23 == 0, PathMismatch(first, last));
    }
}
