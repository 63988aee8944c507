// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {AccountRecovery} from "../../contracts/AccountRecovery.sol";
import {
    AccountView,
    Approval,
    Guard,
    IAccountRecovery,
    QuorumAction
} from "../../contracts/interfaces/IAccountRecovery.sol";
import {IProtectedAccount} from "../../contracts/interfaces/IProtectedAccount.sol";
import {TestToken} from "../../contracts/mocks/TestToken.sol";
import {Test} from "../support/Vm.sol";

/// @notice The invariants of account recovery, each by its id in docs/invariants.md: owners, thieves, guardians and
/// strangers do whatever they can, in any order, with days between.
contract RecoveryInvariants is Test {
    RecoveryHandler private _handler;

    function setUp() public {
        _handler = new RecoveryHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory s = new bytes4[](10);
        s[0] = RecoveryHandler.wait.selector;
        s[1] = RecoveryHandler.takeOut.selector;
        s[2] = RecoveryHandler.lock.selector;
        s[3] = RecoveryHandler.lockByGuardian.selector;
        s[4] = RecoveryHandler.act.selector;
        s[5] = RecoveryHandler.act.selector;
        s[6] = RecoveryHandler.cancelRecovery.selector;
        s[7] = RecoveryHandler.executeRecovery.selector;
        s[8] = RecoveryHandler.proposeGuard.selector;
        s[9] = RecoveryHandler.applyGuard.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), s);
    }

    function invariant_R1_nothingLeavesALockedAccount() public view {
        assertTrue(
            !_handler.broken(1),
            "value left by another's hand, or in a lockdown; or the owner was refused"
        );
    }

    function invariant_R3_onlyADueRecoveryChangesTheOwner() public view {
        assertTrue(!_handler.broken(3), "executed without a quorum, its delay or its window");
        assertTrue(_handler.owner() == _handler.recovery().ownerOf(_handler.account()), "another owner");
    }

    function invariant_R4_ownerCancelsUntilDueUnlessTheQuorumHasLocked() public view {
        assertTrue(!_handler.broken(4), "the owner's cancel");
    }

    function invariant_R5_lockdownsEnd() public view {
        assertTrue(!_handler.broken(5), "locked by who may not, for too long, or a guardian's too often");
        AccountView memory a = _handler.recovery().stateOf(_handler.account());
        assertEq(a.lockedUntil, _handler.lockedUntil(), "the lockdown's end");
    }

    function invariant_R6_guardChangesAreDelayed() public view {
        assertTrue(!_handler.broken(6), "a change too early, in a lockdown, or by another than the owner");
        AccountView memory a = _handler.recovery().stateOf(_handler.account());
        assertTrue(keccak256(abi.encode(a.guard)) == _handler.guardHash(), "another guard");
    }

    function invariant_R7_approvalsServeOnce() public view {
        assertTrue(!_handler.broken(7), "acted without a quorum, or twice on the same approvals");
    }

    /// @dev A random walk that never gets anywhere would prove nothing.
    function test_randomWalkReachesEverything() public {
        for (uint256 i; i < 1500; i++) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 x = uint256(keccak256(abi.encode(seed, 1)));
            uint256 kind = seed % 12;
            if (kind < 2) _handler.wait(x);
            else if (kind == 2) _handler.takeOut(x);
            else if (kind == 3) _handler.lock(x, seed >> 128);
            else if (kind == 4) _handler.lockByGuardian(x);
            else if (kind < 8) _handler.act(x, seed >> 8, seed >> 16, seed >> 24);
            else if (kind == 8) _handler.cancelRecovery(x);
            else if (kind == 9) _handler.executeRecovery(x);
            else if (kind == 10) _handler.proposeGuard(x, seed >> 8, seed >> 16);
            else _handler.applyGuard(x);
        }
        for (uint256 id = 1; id <= 7; id++) assertEq(_handler.broken(id) ? id : 0, 0, "broken");
        for (uint256 id = 1; id <= 8; id++) assertLe(2 + id, _handler.done(id) + id, "each deed is done");
    }
}

/// @notice Somebody with an address of their own.
contract Actor {
    function call(address target, bytes memory data) external returns (bool success, bytes memory answer) {
        return target.call(data);
    }
}

/// @notice Does what a seed says, and keeps books of its own about what must come of it.
contract RecoveryHandler is Test {
    AccountRecovery public recovery = new AccountRecovery();
    address public account;
    TestToken private _token = new TestToken("Token", "TOK", 18);
    /// @dev In ascending order; the first guard names three of them, two to act.
    Actor[] private _actors;
    Actor private _stranger = new Actor();

    mapping(uint256 id => bool) public broken;
    /// @dev 1 took out, 2 locked, 3 guardian locked, 4 acted, 5 cancelled, 6 recovered, 7 proposed, 8 applied.
    mapping(uint256 deed => uint256) public done;

    address public owner;
    bytes32 public guardHash;
    Guard private _guard;
    uint256 private _ownLock;
    uint256 private _quorumLock;
    uint256 private _guardianLockAt;
    address private _newOwner;
    uint256 private _due;
    Guard private _nextGuard;
    uint256 private _changeDue;

    constructor() {
        VM.warp(1_000_000_000);
        for (uint256 i = 0; i < 8; i++) {
            Actor actor = new Actor();
            _actors.push(actor);
            for (uint256 j = i; j > 0 && address(_actors[j]) < address(_actors[j - 1]); j--) {
                (_actors[j], _actors[j - 1]) = (_actors[j - 1], _actors[j]);
            }
        }
        owner = address(_actors[7]);
        _guard = _guardOf(7, 2, 2 days);
        guardHash = keccak256(abi.encode(_guard));
        account = recovery.create(owner, _guard, 0);
        _token.mint(account, 1e30);
    }

    function lockedUntil() public view returns (uint256) {
        return _ownLock > _quorumLock ? _ownLock : _quorumLock;
    }

    function wait(uint256 seed) external {
        VM.warp(block.timestamp + anyLength(seed, 8, 21)); // minutes to 24 days
    }

    function takeOut(uint256 seed) external {
        Actor actor = _who(seed);
        uint256 before = _token.balanceOf(account);
        (bool success, ) = actor.call(
            account,
            abi.encodeCall(IProtectedAccount.transfer, (IERC20(address(_token)), address(actor), 1))
        );
        bool may = address(actor) == owner && block.timestamp >= lockedUntil();
        _expect(1, success == may && before - _token.balanceOf(account) == (may ? 1 : 0));
        if (success) done[1]++;
    }

    function lock(uint256 seed, uint256 duration) external {
        Actor actor = _who(seed);
        duration = bound(duration, 0, 31 days);
        bool success = _call(actor, abi.encodeCall(IAccountRecovery.lock, (account, uint32(duration))));
        _expect(5, success == (address(actor) == owner && duration != 0 && duration <= 30 days));
        if (!success) return;
        if (block.timestamp + duration > _ownLock) _ownLock = block.timestamp + duration;
        done[2]++;
    }

    function lockByGuardian(uint256 seed) external {
        Actor actor = _who(seed);
        bool success = _call(actor, abi.encodeCall(IAccountRecovery.lockByGuardian, (account)));
        bool rested = _guardianLockAt == 0 || block.timestamp >= _guardianLockAt + 30 days;
        _expect(5, success == (_isGuardian(address(actor)) && rested));
        if (!success) return;
        _guardianLockAt = block.timestamp;
        if (block.timestamp + 7 days > _ownLock) _ownLock = block.timestamp + 7 days;
        done[3]++;
    }

    /// @dev Whoever `mask` names approves, guardian or not.
    function act(uint256 seed, uint256 mask, uint256 kind, uint256 late) external {
        QuorumAction action = QuorumAction(kind % 4);
        bool recovers = action == QuorumAction.Recover || action == QuorumAction.RecoverAndLock;
        address newOwner = recovers ? address(_who(seed >> 8)) : address(0);
        uint256 deadline = late % 8 == 0 ? block.timestamp - 1 : block.timestamp + 1;
        bytes32 digest = recovery.digestOf(account, action, newOwner, deadline);
        mask = mask % 3 == 0 ? mask % 256 : _maskOf(_guard) & (mask % 256);
        (Approval[] memory approvals, bool all) = _approve(digest, mask);
        bytes memory data = abi.encodeCall(
            IAccountRecovery.act,
            (account, action, newOwner, deadline, approvals)
        );
        bool success = _call(_who(seed), data);
        bool enough = all && approvals.length >= _guard.threshold && late % 8 != 0;
        _expect(7, success == (enough && !(recovers && newOwner == owner)));
        if (!success) return;
        _expect(7, !_call(_stranger, data)); // never again
        done[4]++;
        if (recovers) (_newOwner, _due) = (newOwner, block.timestamp + _guard.delay);
        if (action == QuorumAction.Lock || action == QuorumAction.RecoverAndLock) {
            _quorumLock = block.timestamp + _guard.delay + 7 days;
            _changeDue = 0;
        }
        if (action == QuorumAction.Release) (_quorumLock, _newOwner) = (0, address(0));
    }

    function cancelRecovery(uint256 seed) external {
        Actor actor = _who(seed);
        bool success = _call(actor, abi.encodeCall(IAccountRecovery.cancelRecovery, (account)));
        bool open =
            _newOwner != address(0) &&
                (block.timestamp < _due || block.timestamp >= _due + 7 days) &&
                block.timestamp >= _quorumLock;
        _expect(4, success == (address(actor) == owner && open));
        if (!success) return;
        _newOwner = address(0);
        done[5]++;
    }

    function executeRecovery(uint256 seed) external {
        if (_newOwner != address(0) && seed % 2 == 0 && block.timestamp < _due)
            VM.warp(_due - ((seed >> 8) % 2));
        bool success = _call(_who(seed), abi.encodeCall(IAccountRecovery.executeRecovery, (account)));
        bool due = _newOwner != address(0) && block.timestamp >= _due && block.timestamp < _due + 7 days;
        _expect(3, success == due);
        if (!success) return;
        (owner, _newOwner) = (_newOwner, address(0));
        (_ownLock, _quorumLock, _changeDue) = (0, 0, 0);
        done[6]++;
    }

    function proposeGuard(uint256 seed, uint256 mask, uint256 numbers) external {
        Actor actor = _who(seed);
        Guard memory guard = _guardOf(mask % 256, uint8(bound(numbers, 0, 5)), 0);
        guard.delay = uint32(bound(numbers >> 8, 47 hours, 5 days));
        bool sound =
            guard.guardians.length != 0 &&
                guard.threshold != 0 &&
                guard.threshold <= guard.guardians.length &&
                guard.delay >= 2 days;
        bool success = _call(actor, abi.encodeCall(IAccountRecovery.proposeGuard, (account, guard)));
        _expect(6, success == (address(actor) == owner && sound && block.timestamp >= lockedUntil()));
        if (!success) return;
        (_nextGuard, _changeDue) = (guard, block.timestamp + _guard.delay);
        done[7]++;
    }

    function applyGuard(uint256 seed) external {
        if (_changeDue != 0 && seed % 2 == 0 && block.timestamp < _changeDue) {
            VM.warp(_changeDue - ((seed >> 8) % 2));
        }
        bool success = _call(_who(seed), abi.encodeCall(IAccountRecovery.applyGuard, (account)));
        bool due = _changeDue != 0 && block.timestamp >= _changeDue && block.timestamp >= lockedUntil();
        _expect(6, success == due);
        if (!success) return;
        (_guard, _changeDue) = (_nextGuard, 0);
        guardHash = keccak256(abi.encode(_guard));
        done[8]++;
    }

    // ------------------------------------------------------------------ private

    function _expect(uint256 id, bool holds) private {
        if (!holds) broken[id] = true;
    }

    function _call(Actor actor, bytes memory data) private returns (bool success) {
        (success, ) = actor.call(address(recovery), data);
    }

    /// @dev Half of the time the owner, so that much is allowed.
    function _who(uint256 seed) private view returns (Actor) {
        return seed % 2 == 0 ? Actor(owner) : _actors[(seed >> 1) % _actors.length];
    }

    function _isGuardian(address who) private view returns (bool) {
        for (uint256 i = 0; i < _guard.guardians.length; i++) if (_guard.guardians[i] == who) return true;
        return false;
    }

    function _guardOf(uint256 mask, uint8 threshold, uint32 delay) private view returns (Guard memory guard) {
        guard.guardians = _membersOf(mask);
        (guard.threshold, guard.delay) = (threshold, delay);
    }

    function _membersOf(uint256 mask) private view returns (address[] memory members) {
        uint256 count;
        for (uint256 i = 0; i < 8; i++) count += (mask >> i) & 1;
        members = new address[](count);
        count = 0;
        for (uint256 i = 0; i < 8; i++) if ((mask >> i) & 1 == 1) members[count++] = address(_actors[i]);
    }

    function _maskOf(Guard memory guard) private view returns (uint256 mask) {
        for (uint256 i = 0; i < 8; i++) {
            for (uint256 j = 0; j < guard.guardians.length; j++) {
                if (guard.guardians[j] == address(_actors[i])) mask |= 1 << i;
            }
        }
    }

    function _approve(
        bytes32 digest,
        uint256 mask
    ) private returns (Approval[] memory approvals, bool allGuardians) {
        address[] memory members = _membersOf(mask);
        approvals = new Approval[](members.length);
        allGuardians = true;
        for (uint256 i = 0; i < members.length; i++) {
            _call(Actor(members[i]), abi.encodeCall(IAccountRecovery.approve, (digest)));
            approvals[i].guardian = members[i];
            allGuardians = allGuardians && _isGuardian(members[i]);
        }
    }
}
