// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IAccessAdmin
/// @notice Holds ADMIN, the role of the AccessManager that may change everything, and nothing else does: every such
/// change is a restricted function here, so that it has a role, a delay and a guardian of its own. What the governor
/// may do waits for its delay and can be cancelled by the pauser. The roles that the governor must not change so (the
/// *elected* ones: PAUSER, SENTINEL, ELECTOR) are the elector's, whose delay is longer and whom the pauser cannot stop:
/// a pauser cannot cancel its own removal, and nobody can remove it fast. ADMIN itself is granted to nobody.
/// @dev The functions that have a namesake in AccessManager do what that does.
interface IAccessAdmin {
    /// @notice `role` is ADMIN or an elected one: not to be changed by the governor.
    error ReservedRole(uint64 role);

    /// @notice `role` is not one that the elector gives and takes.
    error NotElected(uint64 role);

    /// @notice Who may call this contract is fixed.
    error FixedTarget(address target);

    // ------------------------------------------------------------------ governor

    function labelRole(uint64 role, string calldata label) external;

    /// @param executionDelay seconds between scheduling and executing what `account` does in this role.
    function grantRole(uint64 role, address account, uint32 executionDelay) external;

    function revokeRole(uint64 role, address account) external;

    function setRoleGuardian(uint64 role, uint64 guardian) external;

    /// @param delay seconds between a grant and its effect; itself effective after 5 days at the earliest.
    function setGrantDelay(uint64 role, uint32 delay) external;

    /// @param target any contract but this one.
    function setTargetFunctionRole(address target, bytes4[] calldata selectors, uint64 role) external;

    /// @param target any contract but this one.
    function setTargetClosed(address target, bool closed) external;

    /// @param target any contract but this one.
    function updateAuthority(address target, address authority) external;

    // ------------------------------------------------------------------ elector

    /// @notice Grants an elected `role`. Only the ELECTOR role, after its delay.
    /// @param executionDelay in seconds; 0 for who must act at once.
    function elect(uint64 role, address account, uint32 executionDelay) external;

    /// @notice Revokes an elected `role`. Only the ELECTOR role, after its delay.
    function dismiss(uint64 role, address account) external;
}
