// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TestToken} from "./TestToken.sol";

/// @title FeeToken
/// @notice A test token that burns 1 % of every transfer: what markets must refuse.
contract FeeToken is TestToken {
    constructor(
        string memory name_,
        string memory symbol_,
        uint8 decimals_
    ) TestToken(name_, symbol_, decimals_) {}

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount / 100;
        if (fee > 0) super._update(from, address(0), fee);
        super._update(from, to, amount - fee);
    }
}
