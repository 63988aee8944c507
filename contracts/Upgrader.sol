// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {ITransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {LibRLP} from "solady/src/utils/LibRLP.sol";
import {BrakeLevel, IEmergencyBrake} from "./interfaces/IEmergencyBrake.sol";
import {IUpgrader, RestoreState, UpgradeState} from "./interfaces/IUpgrader.sol";

/// @title Upgrader
/// @notice See IUpgrader. It stands outside every implementation, so that no upgrade can take the way back away, and has
/// no proxy itself.
///
/// IMPLEMENTATIONS. It remembers what each proxy runs: a proxy tells its implementation to nobody. What `restore` puts
/// back ran before the latest upgrade, so it has run already.
contract Upgrader is IUpgrader, AccessManaged {
    struct Proxy {
        address implementation;
        uint48 restorableUntil;
        bool isSecurityFix;
        bool ossified;
        address previous;
    }

    uint48 public constant RESTORE_WINDOW = 3 days;

    IEmergencyBrake public immutable BRAKE;

    mapping(address proxy => Proxy) private _proxy;
    address[] private _proxies;

    constructor(address authority_, IEmergencyBrake brake) AccessManaged(authority_) {
        BRAKE = brake;
    }

    /// @inheritdoc IUpgrader
    function list(address proxy, address implementation) external restricted {
        Proxy storage p = _proxy[proxy];
        require(p.implementation == address(0), AlreadyListed(proxy));
        address admin = adminOf(proxy);
        address owner = ProxyAdmin(admin).owner();
        require(owner == address(this), NotTheAdminsOwner(proxy, admin, owner));
        require(implementation.code.length != 0, NotAContract(implementation));
        p.implementation = implementation;
        _proxies.push(proxy);
        emit List(proxy, implementation);
    }

    /// @inheritdoc IUpgrader
    function upgrade(
        address proxy,
        address implementation,
        bytes calldata data,
        bool isSecurityFix
    ) external restricted {
        Proxy storage p = _upgradeable(proxy);
        address previous = p.implementation;
        require(implementation.code.length != 0, NotAContract(implementation));
        require(implementation != previous, SameImplementation(proxy, implementation));
        uint48 until = uint48(block.timestamp) + RESTORE_WINDOW;
        (p.implementation, p.restorableUntil, p.isSecurityFix, p.previous) = (
            implementation,
            until,
            isSecurityFix,
            previous
        );
        emit Upgrade(proxy, implementation, previous, isSecurityFix, until);
        _set(proxy, implementation, data);
    }

    /// @inheritdoc IUpgrader
    function restore(address proxy) external restricted {
        Proxy storage p = _proxy[proxy];
        address previous = p.previous;
        RestoreState state = _restoreState(proxy);
        if (state == RestoreState.NotPaused && _cannotBePaused(proxy)) state = RestoreState.Restorable;
        require(state == RestoreState.Restorable, NotRestorable(proxy, previous, state, p.restorableUntil));
        emit Restore(proxy, previous, p.implementation);
        (p.implementation, p.previous) = (previous, address(0));
        _set(proxy, previous, "");
    }

    /// @inheritdoc IUpgrader
    function ossify(address proxy) external restricted {
        Proxy storage p = _upgradeable(proxy);
        require(
            p.previous == address(0) || p.isSecurityFix || block.timestamp >= p.restorableUntil,
            StillRestorable(proxy, p.implementation, p.restorableUntil)
        );
        p.ossified = true;
        emit Ossify(proxy, p.implementation);
        ProxyAdmin(adminOf(proxy)).renounceOwnership();
    }

    /// @inheritdoc IUpgrader
    function stateOf(address proxy) external view returns (UpgradeState memory) {
        Proxy memory p = _proxy[proxy];
        return
            UpgradeState({
                implementation: p.implementation,
                previous: p.previous,
                restorableUntil: p.restorableUntil,
                isSecurityFix: p.isSecurityFix,
                ossified: p.ossified,
                restore: _restoreState(proxy)
            });
    }

    /// @inheritdoc IUpgrader
    function proxies() external view returns (address[] memory) {
        return _proxies;
    }

    /// @inheritdoc IUpgrader
    function adminOf(address proxy) public pure returns (address) {
        return LibRLP.computeAddress(proxy, 1);
    }

    function _set(address proxy, address implementation, bytes memory data) private {
        ProxyAdmin(adminOf(proxy)).upgradeAndCall(ITransparentUpgradeableProxy(proxy), implementation, data);
    }

    function _upgradeable(address proxy) private view returns (Proxy storage p) {
        p = _proxy[proxy];
        require(p.implementation != address(0), NotListed(proxy));
        require(!p.ossified, AlreadyOssified(proxy, p.implementation));
    }

    function _restoreState(address proxy) private view returns (RestoreState) {
        Proxy storage p = _proxy[proxy];
        if (p.implementation == address(0)) return RestoreState.NotListed;
        if (p.ossified) return RestoreState.Ossified;
        if (p.previous == address(0)) return RestoreState.NothingToRestore;
        if (p.isSecurityFix) return RestoreState.SecurityFix;
        if (block.timestamp >= p.restorableUntil) return RestoreState.WindowClosed;
        return _isPaused(proxy) ? RestoreState.Restorable : RestoreState.NotPaused;
    }

    /// @dev A market that the upgrade made deaf to the brake.
    function _cannotBePaused(address proxy) private returns (bool) {
        try BRAKE.remind(proxy) returns (bool answered) {
            return !answered;
        } catch {
            return false; // not a market, or too little gas to tell
        }
    }

    /// @dev Of the market itself; of any market if the proxy is not one. The brake counts as paused: asking a broken one
    /// would leave no way back.
    function _isPaused(address proxy) private view returns (bool any) {
        if (proxy == address(BRAKE)) return true;
        address[] memory markets = BRAKE.markets();
        for (uint256 i = 0; i < markets.length; i++) {
            bool paused = BRAKE.stateOf(markets[i]).level == BrakeLevel.LiquidationsPaused;
            if (markets[i] == proxy) return paused;
            any = any || paused;
        }
    }
}
