// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IAccessAdmin} from "./interfaces/IAccessAdmin.sol";

/// @title AccessAdmin
/// @notice See IAccessAdmin. AccessManager alone cannot do this: it knows one ADMIN for all of its own functions and all
/// roles, without a guardian, and cannot tell one `grantRole` from another.
/// @dev Left out on purpose: setRoleAdmin (somebody else could then grant roles past this contract) and
/// setTargetAdminDelay (this contract acts at once; whoever calls it has waited).
contract AccessAdmin is IAccessAdmin, AccessManaged {
    uint64 public constant ADMIN = 0;
    uint64 public constant PAUSER = 1;
    uint64 public constant SENTINEL = 4;
    uint64 public constant ELECTOR = 5;

    constructor(address manager) AccessManaged(manager) {}

    // ------------------------------------------------------------------ governor

    /// @inheritdoc IAccessAdmin
    function labelRole(uint64 role, string calldata label) external restricted {
        _manager().labelRole(role, label);
    }

    /// @inheritdoc IAccessAdmin
    function grantRole(uint64 role, address account, uint32 executionDelay) external restricted {
        _requireOrdinary(role);
        _manager().grantRole(role, account, executionDelay);
    }

    /// @inheritdoc IAccessAdmin
    function revokeRole(uint64 role, address account) external restricted {
        _requireOrdinary(role);
        _manager().revokeRole(role, account);
    }

    /// @inheritdoc IAccessAdmin
    function setRoleGuardian(uint64 role, uint64 guardian) external restricted {
        _requireOrdinary(role);
        _manager().setRoleGuardian(role, guardian);
    }

    /// @inheritdoc IAccessAdmin
    function setGrantDelay(uint64 role, uint32 delay) external restricted {
        _requireOrdinary(role);
        _manager().setGrantDelay(role, delay);
    }

    /// @inheritdoc IAccessAdmin
    function setTargetFunctionRole(
        address target,
        bytes4[] calldata selectors,
        uint64 role
    ) external restricted {
        _requireOther(target);
        _manager().setTargetFunctionRole(target, selectors, role);
    }

    /// @inheritdoc IAccessAdmin
    function setTargetClosed(address target, bool closed) external restricted {
        _requireOther(target);
        _manager().setTargetClosed(target, closed);
    }

    /// @inheritdoc IAccessAdmin
    function updateAuthority(address target, address authority) external restricted {
        _requireOther(target);
        _manager().updateAuthority(target, authority);
    }

    // ------------------------------------------------------------------ elector

    /// @inheritdoc IAccessAdmin
    function elect(uint64 role, address account, uint32 executionDelay) external restricted {
        require(_isElected(role), NotElected(role));
        _manager().grantRole(role, account, executionDelay);
    }

    /// @inheritdoc IAccessAdmin
    function dismiss(uint64 role, address account) external restricted {
        require(_isElected(role), NotElected(role));
        _manager().revokeRole(role, account);
    }

    // ------------------------------------------------------------------ private

    function _manager() private view returns (IAccessManager) {
        return IAccessManager(authority());
    }

    function _requireOrdinary(uint64 role) private pure {
        require(role != ADMIN && !_isElected(role), ReservedRole(role));
    }

    function _requireOther(address target) private view {
        require(target != address(this), FixedTarget(target));
    }

    function _isElected(uint64 role) private pure returns (bool) {
        return role == PAUSER || role == SENTINEL || role == ELECTOR;
    }
}
