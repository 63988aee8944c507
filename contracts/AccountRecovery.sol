// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";
import {SignatureCheckerLib} from "solady/src/utils/SignatureCheckerLib.sol";
import {
    AccountView,
    Approval,
    Guard,
    IAccountRecovery,
    QuorumAction
} from "./interfaces/IAccountRecovery.sol";
import {ProtectedAccount} from "./ProtectedAccount.sol";

/// @title AccountRecovery
/// @notice See IAccountRecovery. Factory of the accounts, and what they ask before they let anything go.
///
/// ORDER. Nothing here moves a token. It calls out only to check an ERC-1271 signature (a static call), before it writes.
///
/// NONCE. Each action of a quorum uses up the account's nonce, and nothing else does: approvals serve once, and an owner
/// cannot make those that are on their way useless.
contract AccountRecovery is IAccountRecovery, EIP712 {
    struct Account {
        address owner;
        uint48 lockedUntil; //       by the owner or a guardian
        uint48 quorumLockedUntil;
        address newOwner; //         of the pending recovery; 0: none
        uint48 recoverFrom;
        uint48 changeFrom; //        of the pending guard; 0: none
        uint48 guardianLockFrom;
        uint48 nonce;
        Guard guard;
        Guard nextGuard;
    }

    uint256 public constant MAX_GUARDIANS = 16;
    uint32 public constant MIN_DELAY = 48 hours;
    uint32 public constant MAX_DELAY = 30 days;
    /// @dev How long a recovery that is due can be executed: not for ever, else its owner could never be sure again.
    uint32 public constant RECOVERY_WINDOW = 7 days;
    uint32 public constant MAX_OWNER_LOCK = 30 days;
    uint32 public constant GUARDIAN_LOCK = 7 days;
    uint32 public constant GUARDIAN_LOCK_EVERY = 30 days;

    bytes32 private constant ACTION_TYPEHASH = keccak256(
        "Action(address account,uint8 action,address newOwner,uint256 nonce,uint256 deadline)"
    );

    /// @notice The code of every account.
    address public immutable IMPLEMENTATION;

    mapping(address account => Account) private _accounts;
    mapping(bytes32 digest => mapping(address guardian => bool)) public isApproved;

    constructor() {
        IMPLEMENTATION = address(new ProtectedAccount(this));
    }

    // ------------------------------------------------------------------ accounts

    /// @inheritdoc IAccountRecovery
    function create(address owner, Guard calldata guard, bytes32 salt) external returns (address account) {
        _checkGuard(guard);
        account = Clones.cloneDeterministic(IMPLEMENTATION, _saltOf(owner, guard, salt));
        require(owner != address(0) && owner != account, InvalidOwner(account, owner));
        _accounts[account].owner = owner;
        _accounts[account].guard = guard;
        emit Create(account, owner, guard);
    }

    /// @inheritdoc IAccountRecovery
    function lock(address account, uint32 duration) external {
        Account storage a = _ownedBy(account, msg.sender);
        require(duration != 0 && duration <= MAX_OWNER_LOCK, InvalidDuration(duration, MAX_OWNER_LOCK));
        _lock(a, account, block.timestamp + duration);
    }

    /// @inheritdoc IAccountRecovery
    function lockByGuardian(address account) external {
        Account storage a = _at(account);
        require(_isGuardian(a, msg.sender), NotGuardian(account, msg.sender));
        require(block.timestamp >= a.guardianLockFrom, GuardianLockSpent(account, a.guardianLockFrom));
        a.guardianLockFrom = uint48(block.timestamp) + GUARDIAN_LOCK_EVERY;
        _lock(a, account, block.timestamp + GUARDIAN_LOCK);
    }

    // ------------------------------------------------------------------ guardians

    /// @inheritdoc IAccountRecovery
    function approve(bytes32 digest) external {
        isApproved[digest][msg.sender] = true;
        emit Approve(digest, msg.sender);
    }

    /// @inheritdoc IAccountRecovery
    function act(
        address account,
        QuorumAction action,
        address newOwner,
        uint256 deadline,
        Approval[] calldata approvals
    ) external {
        Account storage a = _at(account);
        require(block.timestamp <= deadline, ApprovalsExpired(deadline));
        _checkApprovals(a, account, digestOf(account, action, newOwner, deadline), approvals);
        emit Act(account, action, newOwner, a.nonce++);

        if (action == QuorumAction.Recover || action == QuorumAction.RecoverAndLock) {
            require(
                newOwner != address(0) && newOwner != account && newOwner != a.owner,
                InvalidOwner(account, newOwner)
            );
            a.newOwner = newOwner;
            a.recoverFrom = uint48(block.timestamp) + a.guard.delay;
            emit StartRecovery(account, newOwner, a.recoverFrom, a.recoverFrom + RECOVERY_WINDOW);
        } else {
            require(newOwner == address(0), InvalidOwner(account, newOwner));
        }
        if (action == QuorumAction.Lock || action == QuorumAction.RecoverAndLock) {
            uint48 until = uint48(block.timestamp) + a.guard.delay + RECOVERY_WINDOW;
            a.quorumLockedUntil = until;
            _dropChange(a, account); // it may be a thief's
            emit Lock(account, account, until);
        } else if (action == QuorumAction.Release) {
            a.quorumLockedUntil = 0;
            if (a.newOwner != address(0)) _dropRecovery(a, account, account);
        }
    }

    /// @inheritdoc IAccountRecovery
    function cancelRecovery(address account) external {
        Account storage a = _ownedBy(account, msg.sender);
        require(a.newOwner != address(0), NoRecovery(account));
        require(block.timestamp >= a.quorumLockedUntil, LockedDown(account, a.quorumLockedUntil));
        // Once its window is over it means nothing, and may be cleared away.
        require(
            block.timestamp < a.recoverFrom || block.timestamp >= a.recoverFrom + RECOVERY_WINDOW,
            TooLate(account, a.recoverFrom)
        );
        _dropRecovery(a, account, msg.sender);
    }

    /// @inheritdoc IAccountRecovery
    function executeRecovery(address account) external {
        Account storage a = _at(account);
        (address former, address owner, uint48 from) = (a.owner, a.newOwner, a.recoverFrom);
        require(owner != address(0), NoRecovery(account));
        require(block.timestamp >= from, TooEarly(account, from));
        require(block.timestamp < from + RECOVERY_WINDOW, TooLate(account, from + RECOVERY_WINDOW));
        (a.owner, a.newOwner, a.recoverFrom) = (owner, address(0), 0);
        (a.lockedUntil, a.quorumLockedUntil) = (0, 0);
        _dropChange(a, account);
        emit Recover(account, former, owner);
    }

    // ------------------------------------------------------------------ guard

    /// @inheritdoc IAccountRecovery
    function proposeGuard(address account, Guard calldata guard) external {
        Account storage a = _ownedBy(account, msg.sender);
        _checkUnlocked(a, account);
        _checkGuard(guard);
        a.nextGuard = guard;
        a.changeFrom = uint48(block.timestamp) + a.guard.delay;
        emit ProposeGuard(account, guard, a.changeFrom);
    }

    /// @inheritdoc IAccountRecovery
    function cancelGuard(address account) external {
        Account storage a = _ownedBy(account, msg.sender);
        require(a.changeFrom != 0, NoChange(account));
        _dropChange(a, account);
    }

    /// @inheritdoc IAccountRecovery
    function applyGuard(address account) external {
        Account storage a = _at(account);
        require(a.changeFrom != 0, NoChange(account));
        require(block.timestamp >= a.changeFrom, TooEarly(account, a.changeFrom));
        _checkUnlocked(a, account);
        a.guard = a.nextGuard;
        emit SetGuard(account, a.guard);
        a.changeFrom = 0;
        delete a.nextGuard;
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IAccountRecovery
    function ownerOf(address account) external view returns (address) {
        return _at(account).owner;
    }

    /// @inheritdoc IAccountRecovery
    function checkMayTake(address account, address caller) external view {
        _checkUnlocked(_ownedBy(account, caller), account);
    }

    /// @inheritdoc IAccountRecovery
    function stateOf(address account) external view returns (AccountView memory) {
        Account memory a = _at(account);
        return
            AccountView({
                owner: a.owner,
                guard: a.guard,
                nonce: a.nonce,
                lockedUntil: Math.max(a.lockedUntil, a.quorumLockedUntil),
                quorumLockedUntil: a.quorumLockedUntil,
                guardianLockFrom: a.guardianLockFrom,
                newOwner: a.newOwner,
                recoverFrom: a.recoverFrom,
                recoverUntil: a.recoverFrom == 0 ? 0 : a.recoverFrom + RECOVERY_WINDOW,
                nextGuard: a.nextGuard,
                changeFrom: a.changeFrom
            });
    }

    /// @inheritdoc IAccountRecovery
    function accountOf(address owner, Guard calldata guard, bytes32 salt) external view returns (address) {
        return Clones.predictDeterministicAddress(IMPLEMENTATION, _saltOf(owner, guard, salt));
    }

    /// @inheritdoc IAccountRecovery
    function digestOf(
        address account,
        QuorumAction action,
        address newOwner,
        uint256 deadline
    ) public view returns (bytes32) {
        return
            _hashTypedData(
                keccak256(
                    abi.encode(
                        ACTION_TYPEHASH,
                        account,
                        action,
                        newOwner,
                        uint256(_accounts[account].nonce),
                        deadline
                    )
                )
            );
    }

    // ------------------------------------------------------------------ private

    function _lock(Account storage a, address account, uint256 until) private {
        a.lockedUntil = uint48(Math.max(a.lockedUntil, until));
        emit Lock(account, msg.sender, a.lockedUntil);
    }

    function _dropRecovery(Account storage a, address account, address by) private {
        emit CancelRecovery(account, a.newOwner, by);
        (a.newOwner, a.recoverFrom) = (address(0), 0);
    }

    function _dropChange(Account storage a, address account) private {
        if (a.changeFrom == 0) return;
        a.changeFrom = 0;
        delete a.nextGuard;
        emit CancelGuard(account);
    }

    function _at(address account) private view returns (Account storage a) {
        a = _accounts[account];
        require(a.owner != address(0), UnknownAccount(account));
    }

    function _ownedBy(address account, address caller) private view returns (Account storage a) {
        a = _at(account);
        require(caller == a.owner, NotOwner(account, caller));
    }

    function _checkUnlocked(Account storage a, address account) private view {
        uint256 until = Math.max(a.lockedUntil, a.quorumLockedUntil);
        require(block.timestamp >= until, LockedDown(account, until));
    }

    function _isGuardian(Account storage a, address who) private view returns (bool) {
        address[] memory guardians = a.guard.guardians;
        for (uint256 i = 0; i < guardians.length; i++) if (guardians[i] == who) return true;
        return false;
    }

    function _checkApprovals(
        Account storage a,
        address account,
        bytes32 digest,
        Approval[] calldata approvals
    ) private view {
        require(approvals.length >= a.guard.threshold, TooFewApprovals(approvals.length, a.guard.threshold));
        address last;
        for (uint256 i = 0; i < approvals.length; i++) {
            address guardian = approvals[i].guardian;
            require(guardian > last, NotAscending(guardian));
            last = guardian;
            require(_isGuardian(a, guardian), NotGuardian(account, guardian));
            bytes calldata signature = approvals[i].signature;
            require(
                signature.length == 0
                    ? guardian == msg.sender || isApproved[digest][guardian]
                    : SignatureCheckerLib.isValidSignatureNowCalldata(guardian, digest, signature),
                NotApproved(guardian, digest)
            );
        }
    }

    function _checkGuard(Guard calldata guard) private pure {
        uint256 count = guard.guardians.length;
        require(count != 0 && count <= MAX_GUARDIANS, InvalidGuard("one to sixteen guardians"));
        require(
            guard.threshold != 0 && guard.threshold <= count,
            InvalidGuard("a threshold of one to as many as there are")
        );
        require(
            guard.delay >= MIN_DELAY && guard.delay <= MAX_DELAY,
            InvalidGuard("a delay of 48 hours to 30 days")
        );
        address last;
        for (uint256 i = 0; i < count; i++) {
            require(guard.guardians[i] > last, InvalidGuard("guardians in ascending order"));
            last = guard.guardians[i];
        }
    }

    function _saltOf(address owner, Guard calldata guard, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(owner, guard, salt));
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Breakwater AccountRecovery", "1");
    }
}
