// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Proxy} from "@openzeppelin/contracts/proxy/Proxy.sol";

/// @notice An implementation that does what `good` does, but for calls that begin with `prefix`: a bad upgrade.
contract FaultyVault is Proxy {
    error Faulty(bytes prefix);

    address private immutable GOOD;
    uint256 private immutable LENGTH;
    bytes32 private immutable HASH;

    constructor(address good, bytes memory prefix) {
        GOOD = good;
        LENGTH = prefix.length;
        HASH = keccak256(prefix);
    }

    function _fallback() internal override {
        bytes calldata start = msg.data[:LENGTH < msg.data.length ? LENGTH : msg.data.length];
        require(keccak256(start) != HASH, Faulty(start));
        super._fallback();
    }

    function _implementation() internal view override returns (address) {
        return GOOD;
    }
}
