// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMirrored, IOracleAdapter, PriceState} from "../interfaces/IOracleAdapter.sol";

/// @title PinnedPrice
/// @notice Put in an oracle adapter's place on a copy of a chain (scripts/rehearse): answers as the adapter does, whose
/// code is elsewhere now, but with a price that somebody wrote into its storage, and Fresh.
contract PinnedPrice {
    /// @dev Far from the adapter's own slots: where its code is, and the price.
    uint256 private constant SLOT = uint256(keccak256("breakwater.PinnedPrice"));

    fallback() external payable {
        (address adapter, uint256 low, uint256 high) = (address(uint160(_read(0))), _read(1), _read(2));
        (bool success, bytes memory answer) = adapter.delegatecall(msg.data);
        bool isPrice =
            msg.sig == IOracleAdapter.read.selector ||
                msg.sig == IOracleAdapter.update.selector ||
                msg.sig == IMirrored.readMirrored.selector ||
                msg.sig == IMirrored.updateMirrored.selector;
        uint256 fresh = uint256(PriceState.Fresh);
        assembly ("memory-safe") {
            if and(isPrice, success) {
                mstore(add(answer, 32), low)
                mstore(add(answer, 64), high)
                mstore(add(answer, 96), fresh)
            }
            if iszero(success) {
                revert(add(answer, 32), mload(answer))
            }
            return(add(answer, 32), mload(answer))
        }
    }

    function _read(uint256 offset) private view returns (uint256 value) {
        uint256 slot = SLOT + offset;
        assembly ("memory-safe") {
            value := sload(slot)
        }
    }
}
