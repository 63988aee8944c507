// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Whether the previous implementation of a proxy can be put back now, or the first reason why not.
/// NothingToRestore: it was never upgraded, or the latest upgrade was undone. SecurityFix: the governor forbade it for
/// the latest upgrade. WindowClosed: too late. NotPaused: liquidations are not paused (see IUpgrader.restore).
enum RestoreState {
    Restorable,
    NotListed,
    Ossified,
    NothingToRestore,
    SecurityFix,
    WindowClosed,
    NotPaused
}

/// @notice A proxy now.
struct UpgradeState {
    address implementation;
    address previous; //        what ran before the latest upgrade; 0: none, or put back already
    uint256 restorableUntil; // timestamp, end of the window of the latest upgrade; 0: none
    bool isSecurityFix; //      the latest upgrade may not be undone
    bool ossified;
    RestoreState restore;
}

/// @title IUpgrader
/// @notice The owner of every proxy's ProxyAdmin: the only way to another implementation. An upgrade waits for the
/// governor's delay; undoing a bad one does not.
interface IUpgrader {
    /// @notice `proxy` is upgraded here from now on; it runs `implementation`.
    event List(address indexed proxy, address indexed implementation);

    /// @notice `proxy` runs `implementation` instead of `previous`, which can be put back until `restorableUntil`.
    event Upgrade(
        address indexed proxy,
        address indexed implementation,
        address indexed previous,
        bool isSecurityFix,
        uint256 restorableUntil
    );

    /// @notice `proxy` runs `implementation` again instead of `undone`.
    event Restore(address indexed proxy, address indexed implementation, address indexed undone);

    /// @notice `proxy` runs `implementation` for ever.
    event Ossify(address indexed proxy, address indexed implementation);

    /// @notice `proxy` is not listed, or is listed already.
    error NotListed(address proxy);
    error AlreadyListed(address proxy);

    /// @notice `admin`, the ProxyAdmin of `proxy`, belongs to `owner` and not to this contract.
    error NotTheAdminsOwner(address proxy, address admin, address owner);

    /// @notice There is no code at `implementation`.
    error NotAContract(address implementation);

    /// @notice `proxy` runs `implementation` already.
    error SameImplementation(address proxy, address implementation);

    /// @notice `proxy` runs `implementation` for ever.
    error AlreadyOssified(address proxy, address implementation);

    /// @notice Before it is made permanent, the window in which `implementation` can be undone has to pass.
    error StillRestorable(address proxy, address implementation, uint256 until);

    /// @notice `previous` cannot be put back, because of `state`; the window ends (or ended) at `until`.
    error NotRestorable(address proxy, address previous, RestoreState state, uint256 until);

    /// @notice Takes charge of a TransparentUpgradeableProxy whose ProxyAdmin this contract owns. Only GOVERNOR.
    /// @param implementation what it runs: no contract can read that from a proxy, so the caller answers for it.
    /// Reverts with AlreadyListed, NotTheAdminsOwner, NotAContract.
    function list(address proxy, address implementation) external;

    /// @notice Lets `proxy` run `implementation`, and calls it with `data` unless that is empty. Only GOVERNOR.
    /// @param isSecurityFix whether what ran before is unsafe to run again: known to be broken, or unable to read the
    /// storage that `data` migrates. It then cannot be put back.
    /// Reverts with NotListed, AlreadyOssified, NotAContract, SameImplementation.
    function upgrade(address proxy, address implementation, bytes calldata data, bool isSecurityFix) external;

    /// @notice Undoes the latest upgrade of `proxy`, calling nothing. Only PAUSER. Once per upgrade, within
    /// RESTORE_WINDOW, and while liquidations are paused: of that market, or, if the proxy is not a market, of any. No
    /// pause is needed where the upgrade made one impossible: for the brake itself, and for a market that no longer
    /// takes what the brake says (`stateOf` cannot see that, and calls it NotPaused).
    /// Reverts with NotRestorable.
    function restore(address proxy) external;

    /// @notice Ends upgrading `proxy` for good: nobody owns its ProxyAdmin any more. Only GOVERNOR, and not while the
    /// latest upgrade could still be undone. Reverts with NotListed, AlreadyOssified, StillRestorable.
    function ossify(address proxy) external;

    /// @notice Where `proxy` stands; all zero but `restore` if it is not listed.
    function stateOf(address proxy) external view returns (UpgradeState memory);

    /// @notice The ProxyAdmin that a TransparentUpgradeableProxy created: the address of its first creation.
    function adminOf(address proxy) external pure returns (address);

    /// @notice The listed proxies.
    function proxies() external view returns (address[] memory);
}
