// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {TransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {EmergencyBrake} from "../../contracts/EmergencyBrake.sol";
import {Upgrader} from "../../contracts/Upgrader.sol";
import {BrakeLevel} from "../../contracts/interfaces/IEmergencyBrake.sol";
import {UpgradeState} from "../../contracts/interfaces/IUpgrader.sol";
import {Test} from "../support/Vm.sol";

/// @notice The invariants of upgrades, each by its id in docs/invariants.md: governor and pauser upgrade, pause, restore and
/// ossify in any order, with days between. Who may do which is test/Upgrader.ts's matter.
contract UpgradeInvariants is Test {
    UpgradeHandler private _handler;

    function setUp() public {
        _handler = new UpgradeHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory s = new bytes4[](6);
        s[0] = UpgradeHandler.wait.selector;
        s[1] = UpgradeHandler.upgrade.selector;
        s[2] = UpgradeHandler.pause.selector;
        s[3] = UpgradeHandler.restore.selector;
        s[4] = UpgradeHandler.restore.selector;
        s[5] = UpgradeHandler.ossify.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), s);
    }

    function invariant_U1_runsWhatWasChosen() public view {
        assertTrue(!_handler.broken(1), "an upgrade was refused, or went through when it must not");
        UpgradeState memory state = _handler.state();
        assertTrue(_handler.runs() == _handler.running(), "the proxy runs something else");
        assertTrue(state.implementation == _handler.running(), "the Upgrader remembers something else");
    }

    function invariant_U2_oneStepBack() public view {
        assertTrue(!_handler.broken(2), "restored what, when or as often as it must not be; or refused");
    }

    function invariant_U3_ossifiedIsForEver() public view {
        assertTrue(!_handler.broken(3), "ossified within the window, or changed afterwards");
    }

    /// @dev A random walk that never gets anywhere would prove nothing.
    function test_upgradesReachEverything() public {
        for (uint256 i; i < 1200; i++) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 kind = seed % 8;
            if (kind < 2) _handler.wait(seed >> 8);
            else if (kind < 4) _handler.upgrade(seed >> 8, seed >> 16);
            else if (kind == 4) _handler.pause();
            else if (kind < 7) _handler.restore();
            else if (i > 1150) _handler.ossify(0);
        }
        for (uint256 id = 1; id <= 3; id++) assertEq(_handler.broken(id) ? id : 0, 0, "broken");
        assertLe(50, _handler.done(1), "upgrades");
        assertLe(5, _handler.done(2), "restored");
        assertEq(_handler.done(4), 1, "ossified, once");
        assertLe(5, _handler.done(3), "refused to restore for want of a pause, a window or a previous one");
    }
}

/// @notice A market as far as an upgrade is concerned: it takes what the brake says.
contract Version {
    address public immutable SELF = address(this);

    function setBrake(uint32, uint32, uint32) external {}
}

contract UpgradeHandler is Test {
    Upgrader private _upgrader;
    EmergencyBrake private _brake;
    address private _proxy;
    address[] private _versions;

    mapping(uint256 id => bool) public broken;
    /// @dev 1 upgraded, 2 restored, 3 not restored, 4 ossified.
    mapping(uint256 deed => uint256) public done;

    address public running;
    address private _previous;
    uint256 private _until;
    bool private _isFix;
    bool private _ossified;

    constructor() {
        VM.warp(1_000_000_000);
        // This contract is every role.
        address manager = address(new AccessManager(address(this)));
        bytes memory initialize = abi.encodeCall(EmergencyBrake.initialize, (manager));
        address brake = address(
            new TransparentUpgradeableProxy(address(new EmergencyBrake()), address(this), initialize)
        );
        _brake = EmergencyBrake(brake);
        _upgrader = new Upgrader(manager, _brake);
        for (uint256 i = 0; i < 4; i++) _versions.push(address(new Version()));
        running = _versions[0];
        bytes memory nothing = abi.encodeCall(Version.setBrake, (0, 0, 0));
        _proxy = address(new TransparentUpgradeableProxy(running, address(_upgrader), nothing));
        _upgrader.list(_proxy, running);
        _brake.list(_proxy);
    }

    /// @dev What the proxy itself runs.
    function runs() external view returns (address) {
        return Version(_proxy).SELF();
    }

    function state() external view returns (UpgradeState memory) {
        return _upgrader.stateOf(_proxy);
    }

    function wait(uint256 seed) external {
        VM.warp(block.timestamp + anyLength(seed, 8, 18)); // minutes to three days
    }

    function upgrade(uint256 seed, uint256 fix) external {
        (address to, bool isFix) = (_versions[seed % _versions.length], fix % 4 == 0);
        bool may = !_ossified && to != running;
        try _upgrader.upgrade(_proxy, to, "", isFix) {
            _expect(1, may);
            (_previous, running, _until, _isFix) = (running, to, block.timestamp + 3 days, isFix);
            done[1]++;
        } catch {
            _expect(1, !may);
        }
    }

    function pause() external {
        try _brake.pause(_proxy, BrakeLevel.LiquidationsPaused, 2 hours, "") {} catch {}
    }

    function restore() external {
        bool paused = _brake.stateOf(_proxy).level == BrakeLevel.LiquidationsPaused;
        bool may = !_ossified && _previous != address(0) && !_isFix && block.timestamp < _until && paused;
        try _upgrader.restore(_proxy) {
            _expect(2, may);
            (running, _previous) = (_previous, address(0));
            done[2]++;
        } catch {
            _expect(2, !may);
            done[3]++;
        }
    }

    /// @dev Rarely: nothing comes after it.
    function ossify(uint256 seed) external {
        if (seed % 16 != 0) return;
        bool may = !_ossified && (_previous == address(0) || _isFix || block.timestamp >= _until);
        try _upgrader.ossify(_proxy) {
            _expect(3, may);
            _ossified = true;
            done[4]++;
        } catch {
            _expect(3, !may);
        }
    }

    function _expect(uint256 id, bool holds) private {
        if (!holds) broken[id] = true;
    }
}
