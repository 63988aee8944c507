// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ISwapRouter} from "../interfaces/IFlashLiquidator.sol";
import {ILeverageRouter, IWETH} from "../interfaces/ILeverageRouter.sol";
import {IVault, IVaultCallback} from "../interfaces/IVault.sol";

/// @title LeverageRouter
/// @notice See ILeverageRouter.
///
/// TRUST. Markets are whatever the caller names, and one that lies can cheat who names it, nobody else: a callback must come
/// from the market that was called last, once, and bring back the very bytes that it was given, so that no market
/// chooses for whom, or in which other market, the router acts. Tokens come from the caller only.
///
/// APPROVALS. Exactly what the swap sells and what each market takes; none is left when the call ends.
contract LeverageRouter is ILeverageRouter, IVaultCallback, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    ISwapRouter public immutable ROUTER;
    address public immutable WETH;

    /// @dev Hash of the market and of the bytes of the callback that is due; 0: none is.
    bytes32 private transient _awaited;

    constructor(ISwapRouter router, address weth) {
        ROUTER = router;
        WETH = weth;
    }

    receive() external payable {
        require(msg.sender == WETH, UnexpectedEther(msg.sender));
    }

    /// @inheritdoc ILeverageRouter
    function trade(
        Trade calldata t,
        Authorisation[] calldata authorisations,
        Permit calldata permit
    ) external payable nonReentrant {
        require(block.timestamp <= t.deadline, DeadlineExpired(t.deadline, block.timestamp));
        require(t.receiver != address(0) && t.receiver != address(this), InvalidReceiver(t.receiver));
        for (uint256 i = 0; i < t.legs.length; i++) {
            address market = t.legs[i].market;
            require(
                msg.sender == t.owner || IVault(market).isOperator(t.owner, msg.sender),
                NotOwner(market, msg.sender, t.owner)
            );
        }
        for (uint256 i = 0; i < authorisations.length; i++) _authorise(t.owner, authorisations[i]);
        if (msg.value != 0) IWETH(WETH).deposit{value: msg.value}();
        if (t.amount != 0) _take(t.token, t.amount, permit);

        _next(t, 0, 0);

        for (uint256 i = 0; i < t.legs.length; i++) {
            address market = t.legs[i].market;
            (address collateral, address debt) = (IVault(market).COLLATERAL(), IVault(market).asset());
            _revoke(collateral, market);
            _revoke(debt, market);
            _leave(collateral, t);
            _leave(debt, t);
        }
        // Nearly always markets' tokens too, and gone by now. Nothing is ever left of the path's first token: all of it is
        // sold, or just what the markets are owed is bought.
        if (t.path.length != 0) {
            (, address last) = _ends(t.path);
            _leave(last, t);
        }
        if (t.amount != 0) _leave(t.token, t);
        if (msg.value != 0) _leave(WETH, t);
    }

    /// @inheritdoc IVaultCallback
    function onAdjust(uint256 collateralIn, uint256 debtIn, bytes calldata data) external {
        require(_awaited == _digest(msg.sender, data), UnexpectedCallback(msg.sender));
        _awaited = 0;
        (Trade memory t, uint256 index, uint256 owed) = abi.decode(data, (Trade, uint256, uint256));
        address collateral = IVault(msg.sender).COLLATERAL();
        address debt = IVault(msg.sender).asset();
        if (t.exactOut) {
            (address bought, ) = _ends(t.path);
            if (collateral == bought) owed += collateralIn;
            if (debt == bought) owed += debtIn;
        }

        _next(t, index + 1, owed);

        _approve(collateral, collateralIn);
        _approve(debt, debtIn);
    }

    /// @dev The leg `index`, whose callback makes the rest; after the last one, the swap. `owed`: of the token to buy.
    function _next(Trade memory t, uint256 index, uint256 owed) private {
        if (index == t.legs.length) {
            if (t.path.length != 0) _swap(t, owed);
            return;
        }
        Leg memory leg = t.legs[index];
        bytes memory data = abi.encode(t, index, owed);
        _awaited = _digest(leg.market, data);
        IVault(leg.market).adjust(t.owner, leg.sub, leg.collateral, leg.debt, address(this), data);
        require(_awaited == 0, CallbackMissing(leg.market));
    }

    function _swap(Trade memory t, uint256 owed) private {
        (address tokenIn, address tokenOut) = _ends(t.path);
        if (t.exactOut) (tokenIn, tokenOut) = (tokenOut, tokenIn);
        uint256 sold = IERC20(tokenIn).balanceOf(address(this));
        uint256 bought;
        if (t.exactOut) {
            uint256 held = IERC20(tokenOut).balanceOf(address(this));
            if (owed <= held) return;
            bought = owed - held;
        }
        IERC20(tokenIn).forceApprove(address(ROUTER), sold);
        if (t.exactOut) {
            try
                ROUTER.exactOutput(
                    ISwapRouter.ExactOutputParams(t.path, address(this), block.timestamp, bought, sold)
                )
            returns (uint256 cost) {
                sold = cost;
            } catch {
                revert InsufficientLiquidity(tokenIn, tokenOut, sold, bought);
            }
            require(sold <= t.limit, SlippageExceeded(sold, t.limit));
            _revoke(tokenIn, address(ROUTER));
        } else {
            try
                ROUTER.exactInput(
                    ISwapRouter.ExactInputParams(t.path, address(this), block.timestamp, sold, 0)
                )
            returns (uint256 out) {
                bought = out;
            } catch {
                revert InsufficientLiquidity(tokenIn, tokenOut, sold, t.limit);
            }
            // An exhausted pool leaves what it cannot sell.
            require(
                IERC20(tokenIn).balanceOf(address(this)) == 0,
                InsufficientLiquidity(tokenIn, tokenOut, sold, t.limit)
            );
            require(bought >= t.limit, SlippageExceeded(bought, t.limit));
        }
        emit Swap(t.owner, tokenIn, tokenOut, sold, bought);
    }

    function _authorise(address owner, Authorisation calldata a) private {
        // Anyone can have used the signature before, to be in the way.
        if (IVault(a.market).isOperator(owner, address(this))) return;
        IVault(a.market).setOperatorBySignature(owner, address(this), true, a.deadline, a.signature);
    }

    function _take(address token, uint256 amount, Permit calldata p) private {
        if (p.deadline != 0) {
            require(block.timestamp <= p.deadline, PermitExpired(p.deadline, block.timestamp));
            // Likewise: what counts is the allowance.
            try
                IERC20Permit(token).permit(msg.sender, address(this), p.value, p.deadline, p.v, p.r, p.s)
            {} catch {}
        }
        uint256 allowance = IERC20(token).allowance(msg.sender, address(this));
        require(allowance >= amount, InsufficientAllowance(token, allowance, amount));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
    }

    function _approve(address token, uint256 owed) private {
        if (owed == 0) return;
        uint256 held = IERC20(token).balanceOf(address(this));
        require(held >= owed, InsufficientPayment(token, held, owed));
        IERC20(token).forceApprove(msg.sender, owed);
    }

    function _revoke(address token, address spender) private {
        if (IERC20(token).allowance(address(this), spender) != 0) IERC20(token).forceApprove(spender, 0);
    }

    /// @dev What is left goes to the receiver.
    function _leave(address token, Trade calldata t) private {
        uint256 left = IERC20(token).balanceOf(address(this));
        if (left == 0) return;
        if (token == WETH && t.unwrap) {
            IWETH(WETH).withdraw(left);
            (bool sent, ) = t.receiver.call{value: left}("");
            require(sent, EtherRefused(t.receiver));
        } else {
            IERC20(token).safeTransfer(t.receiver, left);
        }
    }

    function _ends(bytes memory path) private pure returns (address first, address last) {
        uint256 length = path.length;
        require(length >= 43 && (length - 20) % 23 == 0, InvalidPath(path));
        assembly ("memory-safe") {
            first := shr(96, mload(add(path, 32)))
            last := shr(96, mload(add(path, add(length, 12))))
        }
    }

    function _digest(address market, bytes memory data) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(market, data));
    }
}
