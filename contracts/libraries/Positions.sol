// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Market} from "./Market.sol";
import {TickBook} from "./TickBook.sol";

/// @title Positions
/// @notice What an owner does with a position without changing its debt: surplus, offer, transfer. No price, no brake.
/// External: the daily path does not need it.
library Positions {
    using Market for Market.State;
    using SafeERC20 for IERC20;

    function withdrawSurplus(
        Market.State storage self,
        Market.Units memory units,
        IERC20 collateral,
        address owner,
        uint96 sub,
        uint256 amount,
        address receiver
    ) external returns (uint256) {
        require(self.actsFor(owner), IVault.NotAuthorized(msg.sender, owner));
        TickBook.Position storage position = self.book.position[TickBook.keyOf(owner, sub)];
        uint256 surplus = position.surplus;
        uint256 available = Market.collateralTokensDown(surplus, units);
        if (amount == type(uint256).max) amount = available;
        require(amount != 0, IVault.ZeroAmount());
        require(amount <= available, IVault.InsufficientSurplus(amount, available));
        surplus -= Market.collateralUnitsUp(amount, units);
        position.surplus = uint96(surplus);
        emit IVault.WithdrawSurplus(owner, sub, msg.sender, receiver, amount, uint96(surplus));
        collateral.safeTransfer(receiver, amount);
        return amount;
    }

    function offer(Market.State storage self, address owner, uint96 sub, address to) external {
        require(self.actsFor(owner), IVault.NotAuthorized(msg.sender, owner));
        self.offeredTo[TickBook.keyOf(owner, sub)] = to;
        emit IVault.OfferPosition(owner, sub, to);
    }

    function transfer(
        Market.State storage self,
        address from,
        uint96 fromSub,
        address to,
        uint96 toSub
    ) external {
        require(self.actsFor(to), IVault.NotAuthorized(msg.sender, to));
        bytes32 source = TickBook.keyOf(from, fromSub);
        require(
            self.actsFor(from) || (to != address(0) && self.offeredTo[source] == to),
            IVault.NotOffered(from, fromSub, to)
        );
        TickBook.Position storage target = self.book.position[TickBook.keyOf(to, toSub)];
        require(target.node == 0 && target.surplus == 0, IVault.PositionNotEmpty(to, toSub));
        TickBook.Position memory position = self.book.position[source];
        delete self.book.position[source];
        delete self.offeredTo[source];
        target.node = position.node;
        target.shares = position.shares;
        target.surplus = position.surplus;
        emit IVault.TransferPosition(from, fromSub, to, toSub);
    }
}
