// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IInsuranceFund} from "../../contracts/interfaces/IInsuranceFund.sol";
import {Price} from "../../contracts/interfaces/IOracleAdapter.sol";
import {LiquidationRequest} from "../../contracts/interfaces/IVault.sol";
import {Grid} from "../../contracts/libraries/Grid.sol";
import {Liquidation} from "../../contracts/libraries/Liquidation.sol";
import {Market} from "../../contracts/libraries/Market.sol";
import {Sale} from "../../contracts/libraries/Sale.sol";
import {TickBook} from "../../contracts/libraries/TickBook.sol";

/// @notice A market's state without tokens and oracle: positions change by book amounts, prices come as arguments.
/// Counts the collateral that came in and went out, and audits the book against it.
contract BookHarness is IInsuranceFund {
    using Market for Market.State;
    using TickBook for TickBook.State;
    using TickBook for TickBook.Walk;

    struct Resolved {
        uint32 id;
        TickBook.Kind kind;
        int24 tick;
        uint256 debt;
        uint256 links;
    }

    struct Audit {
        uint256 debt; //         the book's total
        uint256 nodeDebt; //     Σ live nodes with members
        uint256 positionDebt; // Σ positions
        uint256 worst; //        greatest excess of a node over its positions
        bool overdrawn; //       a node below its positions
        bool badCount; //        a node's count is not the number of its positions
        bool badBit; //          a bit without its node, a node without its bit, or two nodes a tick
        uint256 ticks; //        populated
        int24 highest; //        populated tick; below the grid if there is none
        int24 top; //            the book's bound
        uint256 links; //        longest chain
        uint256 nodes;
        uint256 rebases;
        uint256 promised; //     Σ D/R + surplus + pot, units with 96 binary places, each D/R rounded down
        uint256 holdings; //     the same scale
    }

    uint256 internal constant INDEX_MIN = TickBook.INDEX_MIN;

    Market.State internal market;
    uint32[] private _firstNodes; // of the ticks that positions joined; they have no id from the counter
    mapping(uint32 id => uint256) private _place; // in `_firstNodes`, from 1
    uint256 public holdings;
    uint256 public immutable KEYS;
    int24 public immutable SPACING;

    /// @param keys positions are keyed 1 to `keys`.
    constructor(int24 spacing, uint256 keys) {
        SPACING = spacing;
        KEYS = keys;
        market.ledger.borrowIndex = uint104(Market.BORROW_INDEX_ONE);
        market.ledger.accruedAt = uint32(block.timestamp);
        market.ledger.cash = 1e29;
        market.ledger.reserveFactor = 10;
        market.ledger.rateAtTarget = 1268391679;
        market.risk.maxLtv = 8200;
        market.liquidations.threshold = 8600;
        market.liquidations.target = 8300;
        market.risk.bonusMin = 150;
        market.liquidations.bonusMax = 800;
        market.liquidations.slope = 5000;
        market.book.top = -Grid.maxTick(spacing);
    }

    // ------------------------------------------------------------------ changes

    function change(
        uint256 key,
        int256 collateralDelta,
        int256 debtDelta,
        bool fold
    ) public returns (TickBook.Outcome memory out) {
        out = market.book.change(
            market.book.position[bytes32(key)],
            collateralDelta,
            debtDelta,
            fold,
            SPACING
        );
        market.ledger.debt = uint104(market.ledger.debt - out.oldDebt + out.newDebt);
        if (out.node >= TickBook.FIRST_OF_TICK) _remember(out.node);
        if (collateralDelta > 0) holdings += uint256(collateralDelta);
        holdings -= out.taken;
    }

    function liquidate(
        Price memory price,
        LiquidationRequest memory request
    ) public returns (uint256 repaid, uint256 seized) {
        (repaid, seized) = Liquidation.liquidate(market, units(), price, request, this);
        holdings -= seized;
    }

    function accrue() public {
        market.accrue(units());
    }

    /// @notice Moves a whole node as a liquidation does, without price: for tests of the node mechanics.
    function moveNode(
        int24 from,
        int24 to,
        uint256 debt,
        uint256 num,
        uint256 den
    ) external returns (uint32 id) {
        uint256 node = _vacate(from);
        id = market.book.liveNodeAt(from);
        market.ledger.debt -= uint104(TickBook.debtIn(node) - debt);
        (id, node) = market.book.shrink(id, node, debt, num, den);
        (id, node) = market.book.mergeWith(to, id, node);
        market.book.settleAt(id, node, to);
    }

    function closeNode(int24 tick) external {
        market.ledger.debt -= uint104(TickBook.debtIn(_vacate(tick)));
        market.book.close(market.book.liveNodeAt(tick));
    }

    function _vacate(int24 tick) private returns (uint256 node) {
        TickBook.Walk memory walk = market.book.walkFrom(tick);
        (, node) = market.book.nodeAt(walk, tick);
        walk.vacate(tick);
        market.book.finish(walk);
    }

    // ------------------------------------------------------------------ insurance: none

    function balanceOf(address) external pure returns (uint256) {
        return 0;
    }

    // solhint-disable-next-line no-empty-blocks
    function deposit(address, uint256) external {}

    // solhint-disable-next-line no-empty-blocks
    function cover(uint256) external {}

    // solhint-disable-next-line no-empty-blocks
    function withdraw(address, address, uint256) external {}

    // ------------------------------------------------------------------ views

    function units() public view returns (Market.Units memory) {
        return Market.Units(SPACING, 1, 1, 1, 1, 1, address(0));
    }

    function terms(Price memory price) public view returns (Sale.Terms memory) {
        Market.Ledger memory ledger = market.accrued(units());
        return Liquidation.termsOf(market, units(), price.high, price.low, ledger.borrowIndex);
    }

    function totalDebt() public view returns (uint256) {
        return market.ledger.debt;
    }

    function borrowIndex() external view returns (uint256) {
        return market.ledger.borrowIndex;
    }

    function topTick() external view returns (int24) {
        return market.book.top;
    }

    function nodes() public view returns (uint256) {
        return market.book.nodes + _firstNodes.length;
    }

    function pot() public view returns (uint256 debt, uint256 collateral) {
        return (market.book.potDebt, market.book.potCollateral);
    }

    function nodeAt(int24 tick) external view returns (uint32 id, TickBook.Node memory node) {
        id = market.book.liveNodeAt(tick);
        node = market.book.node[id];
    }

    function nodeOf(uint32 id) external view returns (TickBook.Node memory) {
        return market.book.node[id];
    }

    function isPopulated(int24 tick) external view returns (bool) {
        return market.book.isPopulated(tick);
    }

    function nextPopulated(int24 from, int24 floor) public view returns (int24) {
        return market.book.nextPopulated(from, floor);
    }

    /// @notice The populated ticks from `from` down to the one above `floor`, as a liquidation walks them; then `floor`.
    function walkDown(int24 from, int24 floor) external returns (int24[16] memory found) {
        TickBook.Walk memory step = market.book.walkFrom(from);
        for (uint256 i = 0; i < found.length; i++) found[i] = market.book.next(step, floor);
    }

    function position(uint256 key) external view returns (TickBook.Position memory) {
        return market.book.position[bytes32(key)];
    }

    function resolve(uint256 key) public view returns (Resolved memory r) {
        TickBook.Position memory p = market.book.position[bytes32(key)];
        r.id = p.node;
        while (r.id != 0 && market.book.node[r.id].kind == TickBook.Kind.Linked) {
            r.id = linkOf(r.id).parent;
            r.links++;
        }
        (r.kind, r.tick) = (market.book.node[r.id].kind, market.book.node[r.id].tick);
        (, r.debt) = market.book.resolve(p.node, p.shares);
    }

    function linkOf(uint32 id) public view returns (TickBook.Link memory) {
        TickBook.Node storage node = market.book.node[id];
        TickBook.Link storage link;
        assembly ("memory-safe") {
            link.slot := node.slot
        }
        return link;
    }

    /// @notice Reads the whole book, position by position and node by node.
    function audit() public view returns (Audit memory a) {
        TickBook.State storage book = market.book;
        a.debt = market.ledger.debt;
        a.nodes = nodes();
        a.top = book.top;
        uint256[] memory sums = new uint256[](a.nodes + 1);
        uint256[] memory members = new uint256[](a.nodes + 1);
        for (uint256 key = 1; key <= KEYS; key++) {
            Resolved memory r = resolve(key);
            a.positionDebt += r.debt;
            a.promised += uint256(book.position[bytes32(key)].surplus) << 96;
            if (r.links > a.links) a.links = r.links;
            uint256 index = _indexOf(r.id);
            sums[index] += r.debt;
            if (index != 0) members[index]++;
        }
        uint256 populatedNodes;
        for (uint256 i = 1; i <= a.nodes; i++) {
            uint32 id = i <= book.nodes ? uint32(i) : _firstNodes[i - book.nodes - 1];
            TickBook.Node memory node = book.node[id];
            if (node.kind == TickBook.Kind.Linked) {
                if (linkOf(id).from < INDEX_MIN) a.rebases++;
                if (members[i] != 0) a.badCount = true;
            }
            if (node.kind != TickBook.Kind.Live) continue;
            if (node.count != members[i]) a.badCount = true;
            if (node.count == 0) {
                if (node.debt != 0) a.badCount = true;
                continue;
            }
            populatedNodes++;
            a.nodeDebt += node.debt;
            if (sums[i] > node.debt) a.overdrawn = true;
            else if (node.debt - sums[i] > a.worst) a.worst = node.debt - sums[i];
            if (!book.isPopulated(node.tick) || book.liveNodeAt(node.tick) != id) a.badBit = true;
        }
        int24 bottom = -Grid.maxTick(SPACING);
        int24 tick = Grid.maxTick(SPACING);
        a.highest = bottom - 1;
        while ((tick = book.nextPopulated(tick, bottom)) >= bottom) {
            if (a.ticks++ == 0) a.highest = tick;
            uint256 behind = uint256(book.node[book.liveNodeAt(tick)].debt) << 128;
            a.promised += Math.mulDiv(behind, 1 << 96, Grid.ratioOf(tick, SPACING));
            tick--;
        }
        if (a.ticks != populatedNodes) a.badBit = true;
        a.promised += uint256(book.potCollateral) << 96;
        a.holdings = holdings << 96;
    }

    /// @dev For the audit: not counted where gas is measured.
    function _remember(uint32 firstNode) internal virtual {
        if (_place[firstNode] != 0) return;
        _firstNodes.push(firstNode);
        _place[firstNode] = _firstNodes.length;
    }

    /// @dev Ids from the counter first, then the first nodes of ticks.
    function _indexOf(uint32 id) private view returns (uint256) {
        return id < TickBook.FIRST_OF_TICK ? id : market.book.nodes + _place[id];
    }
}
