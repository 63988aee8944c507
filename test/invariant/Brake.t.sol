// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {TransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {AccessAdmin} from "../../contracts/AccessAdmin.sol";
import {EmergencyBrake} from "../../contracts/EmergencyBrake.sol";
import {BrakeBudgets, BrakeLevel, MarketBrake} from "../../contracts/interfaces/IEmergencyBrake.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {SettableFeed} from "../../contracts/mocks/SettableFeed.sol";
import {Test} from "../support/Vm.sol";

/// @notice The invariants of the brake, each by its id in docs/invariants.md: random pausers, sentinels, resumers,
/// governors, strangers, sequencer feeds and deaf markets, on the real AccessManager with its real delays.
/// hardhat-config: deep.invariant.runs = 48
/// hardhat-config: deep.invariant.depth = 200
contract BrakeInvariants is Test {
    BrakeHandler private _handler;

    function setUp() public {
        VM.warp(1_800_000_000);
        _handler = new BrakeHandler();
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory s = new bytes4[](16);
        s[0] = BrakeHandler.pause.selector;
        s[1] = BrakeHandler.pause.selector;
        s[2] = BrakeHandler.pauseAll.selector;
        s[3] = BrakeHandler.press.selector;
        s[4] = BrakeHandler.wait.selector;
        s[5] = BrakeHandler.wait.selector;
        s[6] = BrakeHandler.wait.selector;
        s[7] = BrakeHandler.scheduleResume.selector;
        s[8] = BrakeHandler.scheduleResume.selector;
        s[9] = BrakeHandler.scheduleGovernance.selector;
        s[10] = BrakeHandler.execute.selector;
        s[11] = BrakeHandler.execute.selector;
        s[12] = BrakeHandler.cancel.selector;
        s[13] = BrakeHandler.meddle.selector;
        s[14] = BrakeHandler.sequence.selector;
        s[15] = BrakeHandler.turnDeaf.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), s);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev Callers that never get anywhere would prove nothing; nor would those that never press the budget. Seeds are
    /// chosen for what the handler makes of them.
    function test_callersOfTheBrakeReachEverything() public {
        uint256 full = _handler.REFILL();
        for (uint256 i; i < 2; i++) {
            _handler.press(514); // liquidations, by the pauser
            _handler.press(1); //   new risk, by the pauser
            _handler.press(513); // liquidations, by the sentinel
            _handler.press(3); //   new risk, by the sentinel
        }
        assertLe(10, _handler.paused(), "pauses");
        assertLt(5, _handler.pausedBriefly(), "pauses by the sentinel");
        assertLe(2, _handler.refused(), "pauses refused for want of budget");
        assertLt((full * 80) / 100, _handler.worst(0), "liquidations, by pauses and their grace");
        assertLt((full * 75) / 100, _handler.worst(1), "new risk");
        assertLt((full * 95) / 100, _handler.worst(2), "liquidations, by the sentinel");
        assertLt((full * 10) / 100, _handler.worst(3), "new risk, by the sentinel");

        _handler.turnDeaf(0x200); // market 2 reverts
        _handler.turnDeaf(0x301); // market 1 burns its gas
        _handler.pauseAll(0x20001, 600);
        assertLe(1, _handler.passedOver(), "markets passed over by a call for all");
        for (uint256 market; market < 3; market++) _handler.turnDeaf(market);

        _handler.sequence(0x30001, 0);
        assertLe(5, _handler.graces(), "graces after an outage");
        assertLt((full * 50) / 100, _handler.worst(4), "liquidations, by the sequencer's grace");

        _handler.wait(7);
        for (uint256 market; market < 3; market++) {
            _handler.scheduleResume(0x202 + 16 * market);
            _handler.execute(0x101);
        }
        assertLe(1, _handler.resumed(), "pauses that were ended early");
        _handler.scheduleResume(0x3); //    of nothing
        _handler.scheduleResume(0x202); //  of a pause
        _handler.pause(0x20001, 14_000); // which another continues
        _handler.scheduleGovernance(0x10000); // the second pauser
        _handler.execute(0x101);
        _handler.scheduleGovernance(0x10003); // and it goes again
        _handler.execute(0x101);
        assertLe(1, _handler.elected(), "pausers that changed");
        _handler.scheduleResume(0x202);
        _handler.cancel(0);
        _handler.cancel(0);
        assertLe(1, _handler.cancelled(), "operations that the pauser cancelled");
        _handler.meddle(0);
        for (uint256 i; i < 40; i++) {
            uint256 seed = uint256(keccak256(abi.encode("brake", i)));
            _handler.pause(seed, seed >> 8);
            _handler.scheduleResume(seed >> 16);
            _handler.pause(seed >> 24, seed >> 32);
            _handler.execute(seed >> 40);
        }
        assertLe(1, _handler.outlived(), "resumptions that met a later pause");
        for (uint256 id = 1; id <= 8; id++) assertTrue(!_handler.broken(id), _handler.why());
    }

    function invariant_B1_blockedNoLongerThanTheBudgetInAnyWindow() public view {
        assertLe(_handler.worst(0), _handler.REFILL(), "liquidations, by pauses and their grace");
        assertLe(_handler.worst(1), _handler.REFILL(), "new risk, by pauses of it");
        assertLe(_handler.worst(4), _handler.REFILL(), "liquidations, by the sequencer's grace");
        assertTrue(!_handler.broken(1), _handler.why());
    }

    function invariant_B3_theBrakeOnlyEverTellsTimestamps() public view {
        assertTrue(!_handler.asked(), "a market was asked for something else");
    }

    function invariant_B4_everyPauseEndsInItsGrace() public view {
        assertTrue(!_handler.broken(4), _handler.why());
    }

    function invariant_B5_theSentinelsShareIsBounded() public view {
        assertLe(_handler.worst(2), _handler.REFILL(), "of liquidations");
        assertLe(_handler.worst(3), _handler.REFILL(), "of new risk");
        assertTrue(!_handler.broken(5), _handler.why());
    }

    function invariant_B6_timestampsFallOnlyByTheResumerAfterItsDelay() public view {
        assertTrue(!_handler.broken(6), _handler.why());
    }

    function invariant_B7_lapseNeedsNoTransaction() public view {
        assertTrue(!_handler.broken(7), _handler.why());
    }

    function invariant_B8_whoMayPauseCan() public view {
        assertTrue(!_handler.broken(8), _handler.why());
    }
}

/// @notice A market as the brake sees one. It can turn deaf, and notes whatever else it is asked.
contract BrakedMarket {
    enum Manner {
        Answers,
        Reverts,
        BurnsGas
    }

    error Deaf();

    Manner public manner;
    bool public asked;
    uint32 private _noNewRiskUntil;
    uint32 private _pausedUntil;
    uint32 private _graceUntil;

    // solhint-disable-next-line payable-fallback
    fallback() external {
        asked = true;
    }

    function setManner(Manner manner_) external {
        manner = manner_;
    }

    function setBrake(uint32 noNewRiskUntil, uint32 pausedUntil, uint32 graceUntil) external {
        require(manner != Manner.Reverts, Deaf());
        if (manner == Manner.BurnsGas) {
            assembly ("memory-safe") {
                invalid() // and all the gas with it
            }
        }
        (_noNewRiskUntil, _pausedUntil, _graceUntil) = (noNewRiskUntil, pausedUntil, graceUntil);
    }

    function timestamps() external view returns (uint256, uint256, uint256) {
        return (_noNewRiskUntil, _pausedUntil, _graceUntil);
    }
}

/// @notice What fuzzed callers do, and an account of it that is kept apart from the brake's.
contract BrakeHandler is Test {
    /// @dev What the pauses of one market at one level should be.
    struct Expected {
        uint256 since;
        uint256 until;
        uint256 graceUntil;
        uint256 count;
    }

    /// @dev Seconds used up, as a line that rises by `ratio` each second used and falls by 1 each second: no window holds
    /// more than the budget exactly if it never rises by more than REFILL = budget × ratio above a former low.
    struct Ledger {
        int256 used;
        int256 low;
        int256 worst;
    }

    struct Operation {
        address target;
        bytes data;
        uint256 from;
        address market; // of a resumption; else 0
        BrakeLevel level;
        uint256 count;
    }

    uint256 public constant REFILL = 30 days;
    uint64 private constant PAUSER = 1;
    uint64 private constant SENTINEL = 4;
    address private constant GOVERNOR = address(0x60);
    address private constant STRANGER = address(0x57);

    EmergencyBrake public immutable BRAKE;
    AccessManager private immutable MANAGER;
    AccessAdmin private immutable ADMIN;
    SettableFeed private immutable FEED;

    BrakedMarket[] private _markets;
    BrakedMarket private immutable UNLISTED;
    bool private _listed;
    mapping(address market => mapping(BrakeLevel => Expected)) private _expected;
    /// @dev Did not hear of the sequencer's grace.
    mapping(address market => bool) private _missed;
    mapping(address market => Ledger[5]) private _ledgers;
    uint256 private _sequencerUntil;
    Operation[] private _operations;

    mapping(uint256 id => bool) public broken;
    string public why;

    uint256 public paused;
    uint256 public pausedBriefly;
    uint256 public resumed;
    uint256 public outlived;
    uint256 public refused;
    uint256 public passedOver;
    uint256 public graces;
    uint256 public elected;
    uint256 public cancelled;

    constructor() {
        MANAGER = new AccessManager(address(this));
        ADMIN = new AccessAdmin(address(MANAGER));
        FEED = new SettableFeed(0, "sequencer");
        FEED.set(0);
        UNLISTED = new BrakedMarket();
        bytes memory initialize = abi.encodeCall(EmergencyBrake.initialize, (address(MANAGER)));
        BRAKE = EmergencyBrake(
            address(new TransparentUpgradeableProxy(address(new EmergencyBrake()), address(this), initialize))
        );
        for (uint256 i; i < 3; i++) {
            _markets.push(new BrakedMarket());
            BRAKE.list(address(_markets[i]));
        }
        BRAKE.setSequencerFeed(address(FEED), 1 hours);

        _permit(BRAKE.pause.selector, BRAKE.pauseAll.selector, PAUSER);
        _permit(BRAKE.pauseBriefly.selector, BRAKE.pauseAllBriefly.selector, SENTINEL);
        _permit(BRAKE.resume.selector, BRAKE.resume.selector, 2);
        _permit(BRAKE.list.selector, BRAKE.setSequencerFeed.selector, 3);
        bytes4[] memory selectors = new bytes4[](2);
        (selectors[0], selectors[1]) = (ADMIN.elect.selector, ADMIN.dismiss.selector);
        MANAGER.setTargetFunctionRole(address(ADMIN), selectors, 5);
        MANAGER.setRoleGuardian(2, PAUSER);
        MANAGER.setRoleGuardian(3, PAUSER);
        MANAGER.grantRole(PAUSER, _pauser(0), 0);
        MANAGER.grantRole(SENTINEL, _sentinel(0), 0);
        MANAGER.grantRole(2, GOVERNOR, 30 minutes);
        MANAGER.grantRole(3, GOVERNOR, 48 hours);
        MANAGER.grantRole(5, GOVERNOR, 96 hours);
        MANAGER.grantRole(0, address(ADMIN), 0);
        MANAGER.renounceRole(0, address(this));
    }

    // ------------------------------------------------------------------ what callers do

    /// @dev By either pauser or sentinel, with its role or without.
    function pause(uint256 seed, uint256 duration) external {
        _pause(_some(seed >> 1), seed % 3 == 0, seed >> 8, _level(seed >> 16), duration);
    }

    function pauseAll(uint256 seed, uint256 duration) external {
        bool brief = seed % 3 == 0;
        BrakeLevel level = _level(seed >> 16);
        duration = _duration(level, brief, duration);
        address who = brief ? _sentinel(seed >> 24) : _pauser(seed >> 24);
        uint256 until = block.timestamp + duration;
        bool any;
        bool[] memory paused_ = new bool[](_markets.length);
        for (uint256 i; i < _markets.length; i++) {
            address market = address(_markets[i]);
            if (until <= _expected[market][level].until) {
                any = true;
                continue;
            }
            paused_[i] = _answers(market) && _cost(market, level, until) <= _available(market, level, brief);
            any = any || paused_[i];
            if (!paused_[i]) passedOver++;
        }
        uint256[] memory before = _drawn(level);
        VM.prank(who);
        (bool ok, ) = address(BRAKE).call(
            brief
                ? abi.encodeCall(BRAKE.pauseAllBriefly, (level, uint32(duration), "all"))
                : abi.encodeCall(BRAKE.pauseAll, (level, uint32(duration), "all"))
        );
        bool able = _holds(brief ? SENTINEL : PAUSER, who) && duration <= _longest(level, brief);
        _check(ok == (able && any), 8, "a pause of all markets");
        if (ok) {
            for (uint256 i; i < _markets.length; i++) {
                if (paused_[i]) _paused(address(_markets[i]), level, until, brief, before[i]);
            }
        }
        _compareAll();
    }

    /// @dev Somebody who pauses as long and as often as possible.
    function press(uint256 seed) external {
        address market = _some(seed);
        BrakeLevel level = _level(seed >> 8);
        bool brief = seed % 3 == 0;
        for (uint256 i; i < 6; i++) {
            _pause(market, brief, seed >> 8, level, _longest(level, brief));
            uint256 end = _expected[market][level].graceUntil;
            _wait(end > block.timestamp ? end - block.timestamp : 1 minutes);
        }
    }

    function wait(uint256 seed) external {
        uint256 longest =
            seed % 8 < 4
                ? 1 hours
                : seed % 8 < 7
                    ? 8 hours
                    : 6 days;
        _wait(bound(seed >> 8, 1, longest));
    }

    /// @dev Of the pause that runs, of a later one or of an earlier one.
    function scheduleResume(uint256 seed) external {
        address market = _some(seed >> 4);
        BrakeLevel level = _level(seed >> 8);
        // Something to resume, often enough.
        if (seed % 2 == 0) _pause(market, false, 0, level, _longest(level, false));
        uint256 count = _expected[market][level].count;
        if (seed % 16 == 0) count += bound(seed >> 16, 0, 2);
        if (seed % 16 == 1 && count > 0) count--;
        bytes memory data = abi.encodeCall(BRAKE.resume, (market, level, uint32(count)));
        _schedule(Operation(address(BRAKE), data, block.timestamp + 30 minutes, market, level, count));
    }

    /// @dev Changes of pausers and sentinels, a new market, another feed for the sequencer, or none.
    function scheduleGovernance(uint256 seed) external {
        uint256 kind = seed % 8;
        uint64 role = (seed >> 8) % 2 == 0 ? PAUSER : SENTINEL;
        address account = role == PAUSER ? _pauser(seed >> 16) : _sentinel(seed >> 16);
        address target = kind < 5 ? address(ADMIN) : address(BRAKE);
        bytes memory data;
        if (kind < 3) data = abi.encodeCall(ADMIN.elect, (role, account, 0));
        else if (kind < 5) data = abi.encodeCall(ADMIN.dismiss, (role, account));
        else if (kind == 5) data = abi.encodeCall(BRAKE.list, (address(UNLISTED)));
        else {
            bool none = seed % 16 == 7;
            data = abi.encodeCall(
                BRAKE.setSequencerFeed,
                (none ? address(0) : address(FEED), none ? 0 : 1 hours)
            );
        }
        uint256 delay = kind < 5 ? 96 hours : 48 hours;
        _schedule(Operation(target, data, block.timestamp + delay, address(0), BrakeLevel.None, 0));
    }

    /// @dev What was scheduled, too early, in time, or after it expired.
    function execute(uint256 seed) external {
        if (_operations.length == 0) return;
        uint256 i = (seed >> 8) % 4 == 0 ? (seed >> 16) % _operations.length : _operations.length - 1;
        Operation memory operation = _operations[i];
        bool waits = seed % (operation.market == address(0) ? 4 : 8) != 0;
        if (waits && block.timestamp < operation.from) _wait(operation.from - block.timestamp);
        Expected storage e = _expected[operation.market][operation.level];
        bool due = block.timestamp >= operation.from;
        bool runs = block.timestamp < e.until && operation.count == e.count;
        bool expired =
            MANAGER.getSchedule(MANAGER.hashOperation(GOVERNOR, operation.target, operation.data)) == 0;
        VM.prank(GOVERNOR);
        (bool ok, ) = operation.target.call(operation.data);
        if (operation.market == address(0)) {
            _check(!ok || (due && !expired), 6, "the governor acted before its delay");
            if (ok && operation.target == address(ADMIN)) elected++;
            if (ok && bytes4(operation.data) == BRAKE.list.selector) _markets.push(UNLISTED);
        } else {
            _check(
                ok == (due && !expired && runs && _answers(operation.market)),
                6,
                "a resumption before its delay, of another pause, or refused"
            );
            if (!ok && operation.count < e.count && block.timestamp < e.until) outlived++;
        }
        if (ok && operation.market != address(0)) {
            resumed++;
            e.until = block.timestamp;
            bool isLiquidations = operation.level == BrakeLevel.LiquidationsPaused;
            e.graceUntil =
                block.timestamp + (isLiquidations ? _least(block.timestamp - e.since, 1 hours) : 0);
            _missed[operation.market] = false;
        }
        if (ok || expired) {
            _operations[i] = _operations[_operations.length - 1];
            _operations.pop();
        }
        _compareAll();
    }

    /// @dev The pauser, or one who was dismissed, cancels what the governor scheduled.
    function cancel(uint256 seed) external {
        if (_operations.length == 0) return;
        uint256 i = seed % _operations.length;
        Operation memory operation = _operations[i];
        address who = _pauser(seed >> 8);
        VM.prank(who);
        (bool ok, ) = address(MANAGER).call(
            abi.encodeCall(MANAGER.cancel, (GOVERNOR, operation.target, operation.data))
        );
        _check(
            !ok || (_holds(PAUSER, who) && operation.target == address(BRAKE)),
            6,
            "a pauser cancelled too much"
        );
        if (!ok) return;
        cancelled++;
        _operations[i] = _operations[_operations.length - 1];
        _operations.pop();
    }

    /// @dev Everybody tries what is not theirs; and anybody may remind a market.
    function meddle(uint256 seed) external {
        address[4] memory all = [STRANGER, _pauser(seed >> 8), _sentinel(seed >> 8), GOVERNOR];
        uint256 i = seed % 4;
        address who = all[i];
        address market = _some(seed >> 16);
        BrakeLevel level = _level(seed >> 24);
        uint32 count = uint32(_expected[market][level].count);
        bytes[8] memory calls = [
            abi.encodeCall(BRAKE.resume, (market, level, count + 7)),
            abi.encodeCall(BRAKE.list, (address(0xdead))),
            abi.encodeCall(BRAKE.setSequencerFeed, (address(FEED), 1 minutes)),
            abi.encodeCall(BRAKE.setAuthority, (who)),
            abi.encodeCall(BRAKE.initialize, (who)),
            abi.encodeCall(BRAKE.pause, (market, level, 60, "meddle")),
            abi.encodeCall(BRAKE.pauseBriefly, (market, level, 60, "meddle")),
            abi.encodeCall(BRAKE.resume, (market, level, count))
        ];
        for (uint256 j; j < 8; j++) {
            if ((j == 5 && i == 1) || (j == 6 && i == 2) || (j == 7 && i == 3)) continue;
            VM.prank(who);
            (bool ok, ) = address(BRAKE).call(calls[j]);
            _check(!ok, 6, "somebody did what is not theirs");
        }
        VM.prank(who);
        if (BRAKE.remind(market)) _missed[market] = false;
        _compareAll();
    }

    /// @dev The feed of the sequencer says something, true or not, and somebody takes it at its word.
    function sequence(uint256 seed, uint256 age) external {
        if (seed % 16 == 0) FEED.setReverting(!FEED.reverting());
        uint256 since = block.timestamp + 10 minutes - bound(age, 0, 2 hours);
        FEED.setRound(FEED.latestRound() + 1, int256((seed >> 8) % 2), since);
        uint256 times = (seed >> 16) % 3 == 0 ? 12 : 1;
        for (uint256 i; i < times; i++) {
            uint256 due = BRAKE.sequencerGraceDue();
            _check(due == 0 || due <= block.timestamp + 1 hours, 1, "a grace of more than an hour");
            VM.prank(STRANGER);
            (bool ok, ) = address(BRAKE).call(abi.encodeCall(BRAKE.startSequencerGrace, ()));
            _check(ok == (due > block.timestamp && due > _sequencerUntil), 1, "grace that was not due");
            if (ok) {
                graces++;
                _sequencerUntil = due;
                for (uint256 j; j < _markets.length; j++) {
                    _missed[address(_markets[j])] = !_answers(address(_markets[j]));
                }
            }
            _compareAll();
            // A feed that lies says again and again that it has just come back.
            if (times > 1) {
                _wait(1 hours);
                FEED.setRound(FEED.latestRound() + 1, 0, block.timestamp);
            }
        }
    }

    function turnDeaf(uint256 seed) external {
        _markets[seed % _markets.length].setManner(
            BrakedMarket.Manner((seed >> 8) % 4 < 2 ? 0 : ((seed >> 8) % 4) - 1)
        );
    }

    // ------------------------------------------------------------------ what is seen

    /// @notice The most that any market's account rose: 0 liquidations, 1 new risk, 2 and 3 what the sentinel drew of
    /// them, 4 the sequencer's grace. Comparable with REFILL.
    function worst(uint256 kind) external view returns (uint256) {
        int256 most;
        for (uint256 i; i < _markets.length; i++) {
            int256 rise = _ledgers[address(_markets[i])][kind].worst;
            if (rise > most) most = rise;
        }
        return uint256(most);
    }

    function asked() external view returns (bool) {
        for (uint256 i; i < _markets.length; i++) if (_markets[i].asked()) return true;
        return false;
    }

    // ------------------------------------------------------------------ private

    function _pause(address market, bool brief, uint256 seed, BrakeLevel level, uint256 duration) private {
        duration = _duration(level, brief, duration);
        address who = brief ? _sentinel(seed) : _pauser(seed);
        uint256 until = block.timestamp + duration;
        bool able =
            _holds(brief ? SENTINEL : PAUSER, who) &&
                duration <= _longest(level, brief) &&
                until > _expected[market][level].until &&
                _answers(market);
        bool affordable = !able || _cost(market, level, until) <= _available(market, level, brief);
        if (!affordable) refused++;
        uint256 before = _available(market, level, false);
        VM.prank(who);
        (bool ok, ) = address(BRAKE).call(
            brief
                ? abi.encodeCall(BRAKE.pauseBriefly, (market, level, uint32(duration), "one"))
                : abi.encodeCall(BRAKE.pause, (market, level, uint32(duration), "one"))
        );
        _check(ok == (able && affordable), 8, "a pause of one market");
        if (ok) _paused(market, level, until, brief, before);
        _compare(BrakedMarket(market));
    }

    function _paused(address market, BrakeLevel level, uint256 until, bool brief, uint256 before) private {
        Expected storage e = _expected[market][level];
        uint256 cost = _cost(market, level, until);
        if (block.timestamp >= e.graceUntil) e.since = block.timestamp;
        e.until = until;
        e.graceUntil = until + _graceOf(level, until - e.since);
        e.count++;
        _missed[market] = false;
        paused++;
        bool isLiquidations = level == BrakeLevel.LiquidationsPaused;
        uint256 left = _available(market, level, false);
        _check(before - left == cost, 1, "a pause was charged wrongly");
        if (!brief) return;
        pausedBriefly++;
        _check(left >= (isLiquidations ? 5 hours : 3 days), 5, "the sentinel left the pauser too little");
        (uint256 kind, uint256 ratio) = isLiquidations ? (2, REFILL / 2 hours) : (3, REFILL / 6 hours);
        _use(_ledgers[market][kind], block.timestamp, block.timestamp, cost, ratio);
    }

    /// @dev Time passes, and what was blocked meanwhile is written down. No transaction.
    function _wait(uint256 duration) private {
        (uint256 from, uint256 to) = (block.timestamp, block.timestamp + duration);
        for (uint256 i; i < _markets.length; i++) {
            BrakedMarket market = _markets[i];
            Ledger[5] storage ledgers = _ledgers[address(market)];
            (, uint256 pausedUntil, uint256 graceUntil) = market.timestamps();
            uint256 sequencerUntil = _least(_sequencerUntil, graceUntil);
            // Until pausedUntil and from the end of the sequencer's grace on it is the pauses'; between them the
            // sequencer's, which may hide some of theirs.
            _use(ledgers[0], from, _least(pausedUntil, to), 0, REFILL / 12 hours);
            uint256 middle = _most(from, pausedUntil);
            _use(ledgers[4], middle, _least(sequencerUntil, to), 0, REFILL / 12 hours);
            middle = _most(middle, sequencerUntil);
            _use(ledgers[0], middle, _least(graceUntil, to), 0, REFILL / 12 hours);
            uint256 noNewRiskUntil = _expected[address(market)][BrakeLevel.NoNewRisk].until;
            _use(ledgers[1], from, _least(noNewRiskUntil, to), 0, REFILL / 6 days);
        }
        VM.warp(to);
        _compareAll();
    }

    /// @dev `cost` or, if 0, the seconds from `from` to `to`.
    function _use(Ledger storage ledger, uint256 from, uint256 to, uint256 cost, uint256 ratio) private {
        if (to < from || (to == from && cost == 0)) return;
        int256 line = ledger.used * int256(ratio) - int256(from);
        if (line < ledger.low) ledger.low = line;
        ledger.used += int256(cost == 0 ? to - from : cost);
        int256 rise = ledger.used * int256(ratio) - int256(to) - ledger.low;
        if (rise > ledger.worst) ledger.worst = rise;
    }

    /// @dev The brake and every market say what they should, now.
    function _compareAll() private {
        for (uint256 i; i < _markets.length; i++) _compare(_markets[i]);
    }

    function _compare(BrakedMarket market) private {
        MarketBrake memory s = BRAKE.stateOf(address(market));
        Expected memory l = _expected[address(market)][BrakeLevel.LiquidationsPaused];
        Expected memory n = _expected[address(market)][BrakeLevel.NoNewRisk];
        _check(
            s.pausedAt == l.since &&
                s.pausedUntil == l.until &&
                s.graceUntil == _most(l.graceUntil, _sequencerUntil) &&
                s.noNewRiskUntil == n.until &&
                s.liquidationPauses == l.count &&
                s.newRiskPauses == n.count,
            6,
            "a timestamp or a count is not what was asked for"
        );
        _check(
            s.graceUntil >= s.pausedUntil + _least(s.pausedUntil - s.pausedAt, 1 hours),
            4,
            "a pause without its grace"
        );
        BrakeLevel level = BrakeLevel.None;
        if (block.timestamp < n.until) level = BrakeLevel.NoNewRisk;
        if (block.timestamp < l.graceUntil || block.timestamp < _sequencerUntil) level = BrakeLevel.Grace;
        if (block.timestamp < l.until) level = BrakeLevel.LiquidationsPaused;
        _check(level == s.level, 7, "the level is not the timestamps'");
        if (_missed[address(market)]) return;
        (uint256 noNewRiskUntil, uint256 pausedUntil, uint256 graceUntil) = market.timestamps();
        _check(
            Market.levelOf(noNewRiskUntil, pausedUntil, graceUntil) == s.level,
            7,
            "the market and the brake disagree"
        );
        _check(
            noNewRiskUntil >= graceUntil && graceUntil >= pausedUntil,
            7,
            "a level without those below it"
        );
    }

    function _schedule(Operation memory operation) private {
        if (_operations.length == 24) return;
        VM.prank(GOVERNOR);
        (bool ok, ) = address(MANAGER).call(
            abi.encodeCall(MANAGER.schedule, (operation.target, operation.data, uint48(0)))
        );
        if (ok) _operations.push(operation);
    }

    function _check(bool holds, uint256 id, string memory what) private {
        if (holds || broken[id]) return;
        broken[id] = true;
        why = what;
    }

    function _permit(bytes4 a, bytes4 b, uint64 role) private {
        bytes4[] memory selectors = new bytes4[](2);
        (selectors[0], selectors[1]) = (a, b);
        MANAGER.setTargetFunctionRole(address(BRAKE), selectors, role);
    }

    function _cost(address market, BrakeLevel level, uint256 until) private view returns (uint256) {
        Expected memory e = _expected[market][level];
        bool runs = block.timestamp < e.graceUntil;
        uint256 graceUntil = until + _graceOf(level, until - (runs ? e.since : block.timestamp));
        return graceUntil - (runs ? e.graceUntil : block.timestamp);
    }

    function _available(address market, BrakeLevel level, bool brief) private view returns (uint256) {
        BrakeBudgets memory b = BRAKE.budgetOf(market);
        if (level == BrakeLevel.LiquidationsPaused) return brief ? b.sentinelLiquidations : b.liquidations;
        return brief ? b.sentinelNewRisk : b.newRisk;
    }

    /// @dev What the common budget of each market has left.
    function _drawn(BrakeLevel level) private view returns (uint256[] memory left) {
        left = new uint256[](_markets.length);
        for (uint256 i; i < left.length; i++) left[i] = _available(address(_markets[i]), level, false);
    }

    function _holds(uint64 role, address who) private view returns (bool holds) {
        (holds, ) = MANAGER.hasRole(role, who);
    }

    function _answers(address market) private view returns (bool) {
        return BrakedMarket(market).manner() == BrakedMarket.Manner.Answers;
    }

    function _some(uint256 seed) private view returns (address) {
        return address(_markets[seed % _markets.length]);
    }

    function _pauser(uint256 seed) private pure returns (address) {
        return seed % 4 == 1 ? address(0x72) : address(0x71);
    }

    function _sentinel(uint256 seed) private pure returns (address) {
        return seed % 4 == 1 ? address(0x52) : address(0x51);
    }

    function _level(uint256 seed) private pure returns (BrakeLevel) {
        return seed % 3 == 0 ? BrakeLevel.NoNewRisk : BrakeLevel.LiquidationsPaused;
    }

    /// @dev Mostly allowed, sometimes a little too long.
    function _duration(BrakeLevel level, bool brief, uint256 seed) private pure returns (uint256) {
        uint256 longest = _longest(level, brief);
        return seed == longest ? seed : bound(seed, 1, longest + longest / 16);
    }

    function _longest(BrakeLevel level, bool brief) private pure returns (uint256) {
        if (brief) return 15 minutes;
        return level == BrakeLevel.LiquidationsPaused ? 4 hours : 3 days;
    }

    function _graceOf(BrakeLevel level, uint256 duration) private pure returns (uint256) {
        return level == BrakeLevel.LiquidationsPaused ? _least(duration, 1 hours) : 0;
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _most(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a : b;
    }
}
