// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {LiquidationRequest} from "../../contracts/interfaces/IVault.sol";

/// @notice Poses as a market: when it is to liquidate, it makes the calls that it was told to make, and says that it gave
/// all the collateral in the world.
contract FalseMarket {
    using Address for address;

    struct Call {
        address target;
        bytes data;
    }

    Call[] private _calls;

    function plan(Call[] calldata calls) external {
        delete _calls;
        for (uint256 i = 0; i < calls.length; i++) _calls.push(calls[i]);
    }

    function make(Call[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; i++) calls[i].target.functionCall(calls[i].data);
    }

    function liquidate(LiquidationRequest calldata, bytes calldata) external returns (uint256, uint256) {
        for (uint256 i = 0; i < _calls.length; i++) _calls[i].target.functionCall(_calls[i].data);
        return (0, type(uint256).max);
    }
}
