// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {TestToken} from "./TestToken.sol";

/// @title TestWeth
/// @notice Wrapped ether for local chains, where anyone may also mint it: whoever unwraps minted ether needs the chain to
/// give this contract a balance.
contract TestWeth is TestToken {
    constructor(
        string memory name_,
        string memory symbol_,
        uint8 decimals_
    ) TestToken(name_, symbol_, decimals_) {}

    receive() external payable {
        deposit();
    }

    function deposit() public payable {
        _mint(msg.sender, msg.value);
    }

    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount);
    }
}
