// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @notice Poses as a market: answers as the real one does, but when it is to adjust a position, it makes the calls that it
/// was told to make, and takes nothing.
contract LyingMarket {
    using Address for address;

    struct Call {
        address target;
        bytes data;
    }

    address private immutable REAL;
    Call[] private _calls;

    constructor(address real) {
        REAL = real;
    }

    fallback(bytes calldata question) external payable returns (bytes memory) {
        return REAL.functionStaticCall(question);
    }

    function plan(Call[] calldata calls) external {
        delete _calls;
        for (uint256 i = 0; i < calls.length; i++) _calls.push(calls[i]);
    }

    function adjust(
        address,
        uint96,
        int256,
        int256,
        address,
        bytes calldata
    ) external returns (int256, int256) {
        for (uint256 i = 0; i < _calls.length; i++) _calls[i].target.functionCall(_calls[i].data);
        return (0, 0);
    }
}
