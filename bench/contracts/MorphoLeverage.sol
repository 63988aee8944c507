// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISwapRouter} from "../../contracts/interfaces/IFlashLiquidator.sol";
import {IMorpho, MarketParams} from "./Batch.sol";

/// @title MorphoLeverage
/// @notice Leverages on Morpho out of Morpho's own callbacks, as cheaply as it can be done: one market in the code, approvals
/// without limit, given once. Acts for its caller, who has authorised it in Morpho and approved it for the collateral.
contract MorphoLeverage {
    IMorpho private immutable MORPHO;
    ISwapRouter private immutable ROUTER;
    uint24 private immutable FEE;
    address private immutable LOAN_TOKEN;
    address private immutable COLLATERAL_TOKEN;
    address private immutable ORACLE;
    address private immutable IRM;
    uint256 private immutable LLTV;

    error NotMorpho(address caller);

    constructor(IMorpho morpho, MarketParams memory market, ISwapRouter router, uint24 fee) {
        MORPHO = morpho;
        ROUTER = router;
        FEE = fee;
        LOAN_TOKEN = market.loanToken;
        COLLATERAL_TOKEN = market.collateralToken;
        ORACLE = market.oracle;
        IRM = market.irm;
        LLTV = market.lltv;
        for (uint256 i = 0; i < 2; i++) {
            IERC20 token = IERC20(i == 0 ? market.loanToken : market.collateralToken);
            token.approve(address(morpho), type(uint256).max);
            token.approve(address(router), type(uint256).max);
        }
    }

    /// @notice Supplies `collateral`, of which the caller pays `own` and the swap of `debt` borrowed the rest.
    function open(uint256 own, uint256 collateral, uint256 debt) external {
        IERC20(COLLATERAL_TOKEN).transferFrom(msg.sender, address(this), own);
        bytes memory data = abi.encode(msg.sender, debt, collateral - own);
        MORPHO.supplyCollateral(_market(), collateral, msg.sender, data);
        _leave();
    }

    /// @notice Repays `shares` and withdraws `collateral`, of which at most `limit` is sold for that.
    function close(uint256 shares, uint256 collateral, uint256 limit) external {
        MORPHO.repay(_market(), 0, shares, msg.sender, abi.encode(msg.sender, collateral, limit));
        _leave();
    }

    function onMorphoSupplyCollateral(uint256, bytes calldata data) external {
        require(msg.sender == address(MORPHO), NotMorpho(msg.sender));
        (address owner, uint256 debt, uint256 minOut) = abi.decode(data, (address, uint256, uint256));
        MORPHO.borrow(_market(), debt, 0, owner, address(this));
        bytes memory path = abi.encodePacked(LOAN_TOKEN, FEE, COLLATERAL_TOKEN);
        ROUTER.exactInput(ISwapRouter.ExactInputParams(path, address(this), block.timestamp, debt, minOut));
    }

    function onMorphoRepay(uint256 assets, bytes calldata data) external {
        require(msg.sender == address(MORPHO), NotMorpho(msg.sender));
        (address owner, uint256 collateral, uint256 limit) = abi.decode(data, (address, uint256, uint256));
        MORPHO.withdrawCollateral(_market(), collateral, owner, address(this));
        bytes memory path = abi.encodePacked(LOAN_TOKEN, FEE, COLLATERAL_TOKEN);
        ROUTER.exactOutput(
            ISwapRouter.ExactOutputParams(path, address(this), block.timestamp, assets, limit)
        );
    }

    /// @dev Nothing of the loan token is ever left: what was borrowed is sold, what is repaid is bought.
    function _leave() private {
        uint256 left = IERC20(COLLATERAL_TOKEN).balanceOf(address(this));
        if (left != 0) IERC20(COLLATERAL_TOKEN).transfer(msg.sender, left);
    }

    function _market() private view returns (MarketParams memory) {
        return MarketParams(LOAN_TOKEN, COLLATERAL_TOKEN, ORACLE, IRM, LLTV);
    }
}
