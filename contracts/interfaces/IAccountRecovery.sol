// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Who guards an account, how many of them act together, and how long everything waits that they or the owner
/// start.
struct Guard {
    address[] guardians; // in ascending order, 1 to MAX_GUARDIANS
    uint8 threshold; //     1 to as many as there are
    uint32 delay; //        seconds, MIN_DELAY to MAX_DELAY
}

/// @notice What a quorum of guardians can do. Recover: start a recovery. Lock: a lockdown, which they alone can lift.
/// RecoverAndLock: both at once, so that a thief with the owner's key cannot cancel in between. Release: lift their
/// lockdown and drop their recovery.
enum QuorumAction {
    Recover,
    Lock,
    RecoverAndLock,
    Release
}

/// @notice An account now. Timestamps; 0: none.
struct AccountView {
    address owner;
    Guard guard;
    uint256 nonce; //             of the guardians' next action
    uint256 lockedUntil; //       end of the longest lockdown; nothing of value or control leaves before
    uint256 quorumLockedUntil; // end of the quorum's
    uint256 guardianLockFrom; //  from when on a single guardian can lock again
    address newOwner; //          of the pending recovery
    uint256 recoverFrom; //       from when on anyone can execute it,
    uint256 recoverUntil; //      and until when
    Guard nextGuard; //           pending change
    uint256 changeFrom; //        from when on anyone can apply it
}

/// @notice A guardian's approval, other than by transaction: `signature` over the action's digest (EIP-712; ERC-1271
/// for contracts). Empty: the guardian approved the digest by `approve`, or sends the transaction.
struct Approval {
    address guardian;
    bytes signature;
}

/// @title IAccountRecovery
/// @notice Accounts that outlive their owner's key. An account (IProtectedAccount) holds positions and lenders' shares
/// in its own name and obeys its owner; `threshold` of its guardians can give it another owner, after a delay in which
/// the present one can cancel; a lockdown stops everything that takes value or control out of it, and nothing that
/// brings value in. Nobody has a role here, and nothing can be upgraded.
///
/// MOVING IN. The owner of a position offers it to the account (`Vault.offerPosition`), which takes it
/// (`IProtectedAccount.takePosition`); shares are transferred. From then on anyone adds collateral and repays at the
/// vault itself, as for every position.
///
/// TRUST. A quorum of guardians can take the account over if they lock it, so that its owner cannot cancel. One guardian
/// alone can stop withdrawals for GUARDIAN_LOCK in every GUARDIAN_LOCK_EVERY.
interface IAccountRecovery {
    event Create(address indexed account, address indexed owner, Guard guard);

    /// @notice `guardian` approves an action by its digest.
    event Approve(bytes32 indexed digest, address indexed guardian);

    /// @notice A quorum acted; `newOwner` is that of a recovery, else 0.
    event Act(address indexed account, QuorumAction action, address indexed newOwner, uint256 nonce);

    /// @notice A lockdown by `by`: the owner, a guardian, or the account itself for the quorum.
    event Lock(address indexed account, address indexed by, uint256 until);

    event StartRecovery(address indexed account, address indexed newOwner, uint256 from, uint256 until);

    /// @notice The pending recovery is dropped, by the owner or (`by` is the account) by the quorum.
    event CancelRecovery(address indexed account, address indexed newOwner, address by);

    /// @notice The account has another owner; lockdowns and pending changes are gone.
    event Recover(address indexed account, address indexed former, address indexed owner);

    event ProposeGuard(address indexed account, Guard guard, uint256 from);
    event CancelGuard(address indexed account);
    event SetGuard(address indexed account, Guard guard);

    /// @notice There is no such account.
    error UnknownAccount(address account);

    /// @notice `caller` is not its owner, or not one of its guardians.
    error NotOwner(address account, address caller);
    error NotGuardian(address account, address caller);

    /// @notice Until then nothing leaves the account, and its owner changes nothing.
    error LockedDown(address account, uint256 until);

    /// @notice The owner locks for 1 to `max` seconds.
    error InvalidDuration(uint256 duration, uint256 max);

    /// @notice A single guardian has locked this account lately; it can be done again `from` then on.
    error GuardianLockSpent(address account, uint256 from);

    /// @notice The guard violates `rule` (a short sentence).
    error InvalidGuard(string rule);

    /// @notice The new owner is 0, the account itself, or its owner already.
    error InvalidOwner(address account, address newOwner);

    /// @notice The guardians' approvals are for no later than `deadline`.
    error ApprovalsExpired(uint256 deadline);

    /// @notice Approvals must come in ascending order of the guardians, each once.
    error NotAscending(address guardian);

    /// @notice `guardian` did not approve `digest`.
    error NotApproved(address guardian, bytes32 digest);

    /// @notice Only `approvals` of `threshold`.
    error TooFewApprovals(uint256 approvals, uint256 threshold);

    /// @notice There is none pending.
    error NoRecovery(address account);
    error NoChange(address account);

    /// @notice It can be done `from` then on, and not yet.
    error TooEarly(address account, uint256 from);

    /// @notice It could be done (a recovery), or cancelled (by the owner), until then.
    error TooLate(address account, uint256 until);

    // ------------------------------------------------------------------ accounts

    /// @notice Creates the account of `owner`, guarded by `guard`. Anyone may, for anyone: the address (`accountOf`)
    /// commits to all of it, so that nobody can take it away by being first. Reverts with InvalidGuard, InvalidOwner.
    function create(address owner, Guard calldata guard, bytes32 salt) external returns (address account);

    /// @notice Stops everything that takes value or control out of `account` for `duration` seconds, at most
    /// MAX_OWNER_LOCK. Only the owner, who can extend it, but not lift it: whoever has stolen the key could, too.
    function lock(address account, uint32 duration) external;

    /// @notice The same for GUARDIAN_LOCK by one guardian, once in GUARDIAN_LOCK_EVERY for all of them together.
    function lockByGuardian(address account) external;

    // ------------------------------------------------------------------ guardians

    /// @notice Approves an action by transaction, for whoever brings it. It counts if the caller is a guardian then.
    function approve(bytes32 digest) external;

    /// @notice Does what a quorum of guardians approves. Anyone may bring the approvals.
    /// @param newOwner of a recovery; else 0.
    /// @param deadline of the approvals, a timestamp.
    /// @param approvals by at least `threshold` guardians, in ascending order of their addresses.
    /// A lockdown by the quorum lasts as long as a recovery can take: the delay and RECOVERY_WINDOW.
    /// Reverts with ApprovalsExpired, NotAscending, NotGuardian, NotApproved, TooFewApprovals, InvalidOwner.
    function act(
        address account,
        QuorumAction action,
        address newOwner,
        uint256 deadline,
        Approval[] calldata approvals
    ) external;

    /// @notice Drops the pending recovery. Only the owner, until the delay is over, and not while the quorum has locked
    /// the account: whoever has stolen the key would do it too. Reverts with NoRecovery, LockedDown, TooLate.
    function cancelRecovery(address account) external;

    /// @notice Gives `account` its new owner, from the end of the delay on for RECOVERY_WINDOW. Anyone may call. Lifts
    /// every lockdown and drops a pending change of the guard. Reverts with NoRecovery, TooEarly, TooLate.
    function executeRecovery(address account) external;

    // ------------------------------------------------------------------ guard

    /// @notice Proposes other guardians, another threshold or delay; it takes effect after the present delay, when
    /// anyone applies it. Only the owner, and not in a lockdown. Replaces a former proposal.
    function proposeGuard(address account, Guard calldata guard) external;

    /// @notice Drops the proposal. Only the owner.
    function cancelGuard(address account) external;

    /// @notice Applies the proposal from the end of the delay on, but not in a lockdown. Anyone may call. A quorum's
    /// lockdown or recovery drops it. Reverts with NoChange, TooEarly, LockedDown.
    function applyGuard(address account) external;

    // ------------------------------------------------------------------ views

    /// @notice Whose account it is now. Reverts with UnknownAccount.
    function ownerOf(address account) external view returns (address);

    /// @notice Reverts with NotOwner or LockedDown unless `caller` may take value out of `account` now.
    function checkMayTake(address account, address caller) external view;

    /// @notice Where `account` stands.
    function stateOf(address account) external view returns (AccountView memory);

    /// @notice Where `create` would put it.
    function accountOf(address owner, Guard calldata guard, bytes32 salt) external view returns (address);

    /// @notice What guardians sign or approve: EIP-712, of the account's present nonce.
    function digestOf(
        address account,
        QuorumAction action,
        address newOwner,
        uint256 deadline
    ) external view returns (bytes32);
}
