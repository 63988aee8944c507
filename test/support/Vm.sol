// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The cheat codes of the test runner that these tests use.
interface IVm {
    function expectRevert(bytes calldata reason) external;
    function expectRevert(bytes4 selector) external;
    function warp(uint256 timestamp) external;
    function prank(address sender) external;
    function mockCall(address target, bytes calldata callData, bytes calldata answer) external;
}

/// @title Test
/// @notice What every Solidity test needs and no more: cheat codes, a few assertions, bounded fuzz inputs.
abstract contract Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    IVm internal constant VM = IVm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 left, uint256 right);
    error NotEqualInt(string what, int256 left, int256 right);
    error NotAtMost(string what, uint256 left, uint256 right);
    error NotTrue(string what);

    function assertTrue(bool condition, string memory what) internal pure {
        require(condition, NotTrue(what));
    }

    function assertEq(uint256 left, uint256 right, string memory what) internal pure {
        require(left == right, NotEqual(what, left, right));
    }

    function assertEq(int256 left, int256 right, string memory what) internal pure {
        require(left == right, NotEqualInt(what, left, right));
    }

    /// @notice left ≤ right.
    function assertLe(uint256 left, uint256 right, string memory what) internal pure {
        require(left <= right, NotAtMost(what, left, right));
    }

    /// @notice left < right.
    function assertLt(uint256 left, uint256 right, string memory what) internal pure {
        require(left < right, NotAtMost(what, left, right));
    }

    /// @notice |left − right| ≤ tolerance.
    function assertNear(uint256 left, uint256 right, uint256 tolerance, string memory what) internal pure {
        require((left > right ? left - right : right - left) <= tolerance, NotEqual(what, left, right));
    }

    function bound(uint256 seed, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + (seed % (most - least + 1));
    }

    function boundTick(uint256 seed, int24 least, int24 most) internal pure returns (int24) {
        return int24(int256(least) + int256(seed % uint256(int256(most) - int256(least) + 1)));
    }

    /// @notice A number of `leastBits` to `mostBits` bits, every length equally likely: small and large ones alike.
    function anyLength(uint256 seed, uint256 leastBits, uint256 mostBits) internal pure returns (uint256) {
        uint256 bits = bound(uint256(keccak256(abi.encode(seed))), leastBits, mostBits);
        uint256 top = 1 << (bits - 1);
        return top | (seed & (top - 1));
    }
}
