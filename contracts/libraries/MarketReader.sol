// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVault} from "../interfaces/IVault.sol";
import {Market} from "./Market.sol";
import {TickBook} from "./TickBook.sol";

/// @title MarketReader
/// @notice Reads a market's state from outside, word by word, into the structs that the market itself uses, so that
/// the market's own pure functions can be applied to it. Knows the layout of Market.State and nothing else.
/// @dev Fields are decoded from the low end of a word, in the order in which the struct declares them.
library MarketReader {
    /// @dev A market now. `ledger` is charged with interest up to now.
    struct Reading {
        IVault vault;
        Market.Units units;
        Market.Ledger ledger;
        Market.Risk risk;
        Market.Limits limits;
        Market.Liquidations liquidations;
        uint256 threshold; // now: a ramp may be under way; basis points
        uint256 target; //    likewise
        Market.Cascade cascade;
        int24 top; // no tick above it is populated
        uint32 seizedAt;
        uint256 potDebt; //       debt units
        uint256 potCollateral; // collateral units
    }

    uint256 private constant LEDGER = 0;
    uint256 private constant RISK = 2;
    uint256 private constant LIMITS = 3;
    uint256 private constant LIQUIDATIONS = 4;
    uint256 private constant BOOK = 5;
    uint256 private constant POT_COLLATERAL = 6;
    uint256 private constant NODE = 7;
    uint256 private constant BITMAP = 8;
    uint256 private constant LIVE_NODE = 9;
    uint256 private constant POSITION = 10;
    uint256 private constant CASCADE = 13;

    function read(IVault vault) internal view returns (Reading memory self) {
        self.vault = vault;
        self.units = _units(vault);
        uint256 word = _word(vault, LEDGER);
        uint256 second = _word(vault, LEDGER + 1);
        self.ledger = Market.Ledger({
            borrowIndex: uint104(word),
            cash: uint112(word >> 104),
            rateAtTarget: uint40(word >> 216),
            debt: uint104(second),
            reserves: uint112(second >> 104),
            accruedAt: uint32(second >> 216),
            reserveFactor: uint8(second >> 248)
        });
        word = _word(vault, RISK);
        self.risk = Market.Risk({
            oracle: address(uint160(word)),
            maxLtv: uint16(word >> 160),
            bonusMin: uint16(word >> 176),
            noNewRiskUntil: uint32(word >> 192)
        });
        word = _word(vault, LIMITS);
        self.limits = Market.Limits({
            debtCap: uint80(word),
            collateralCap: uint80(word >> 80),
            minDebt: uint64(word >> 160)
        });
        word = _word(vault, LIQUIDATIONS);
        self.liquidations = Market.Liquidations({
            threshold: uint16(word),
            target: uint16(word >> 16),
            bonusMax: uint16(word >> 32),
            slope: uint32(word >> 48),
            pausedUntil: uint32(word >> 80),
            graceUntil: uint32(word >> 112),
            rampThreshold: uint16(word >> 144),
            rampTarget: uint16(word >> 160),
            rampStart: uint32(word >> 176),
            rampDuration: uint24(word >> 208),
            rampHalted: uint8(word >> 232) != 0,
            windingDown: uint8(word >> 240) != 0,
            capped: uint8(word >> 248) != 0
        });
        (self.threshold, self.target) = Market.thresholdsOf(self.liquidations);
        if (self.liquidations.capped) {
            word = _word(vault, CASCADE);
            self.cascade = Market.Cascade({
                cap: uint80(word),
                window: uint32(word >> 80),
                used: uint112(word >> 112),
                usedAt: uint32(word >> 224)
            });
        }
        word = _word(vault, BOOK);
        self.top = int24(uint24(word >> 32));
        self.seizedAt = uint32(word >> 56);
        self.potDebt = uint128(word >> 88);
        self.potCollateral = uint128(_word(vault, POT_COLLATERAL));
        Market.charge(self.ledger, self.units, address(vault));
    }

    /// @notice The highest populated tick in [floor, from]; `floor − 1` if there is none.
    function nextPopulated(Reading memory self, int24 from, int24 floor) internal view returns (int24) {
        while (from >= floor) {
            bool found;
            (found, from) = TickBook.highestIn(_at(self.vault, BITMAP, uint256(int256(from >> 8))), from);
            if (found) return from < floor ? floor - 1 : from;
        }
        return floor - 1;
    }

    /// @notice The live node of a populated tick.
    function nodeAt(
        Reading memory self,
        int24 tick
    ) internal view returns (uint32 id, TickBook.Node memory node) {
        id = TickBook.idIn(_at(self.vault, LIVE_NODE, uint256(int256(tick >> 3))), tick);
        node = _toNode(_at(self.vault, NODE, id));
    }

    /// @notice A position as it is stored.
    function positionOf(
        Reading memory self,
        address owner,
        uint96 sub
    ) internal view returns (TickBook.Position memory) {
        uint256 word = _at(self.vault, POSITION, uint256(TickBook.keyOf(owner, sub)));
        return
            TickBook.Position({
                node: uint32(word),
                shares: uint128(word >> 32),
                surplus: uint96(word >> 160)
            });
    }

    /// @notice The node that a position belongs to now (live, closed or none), and its book debt there.
    function resolve(
        Reading memory self,
        TickBook.Position memory position
    ) internal view returns (uint32 id, TickBook.Node memory node, uint256 debt) {
        id = position.node;
        if (id == 0) return (id, node, 0);
        uint256 shares = position.shares;
        uint256 word = _at(self.vault, NODE, id);
        while (uint8(word) == uint8(TickBook.Kind.Linked)) {
            shares = TickBook.acrossLink(shares, uint80(word >> 40), uint80(word >> 120));
            id = uint32(word >> 8);
            word = _at(self.vault, NODE, id);
        }
        node = _toNode(word);
        if (node.kind == TickBook.Kind.Live)
            debt = TickBook.debtOf(node.count, node.debt, node.index, shares);
    }

    function _toNode(uint256 word) private pure returns (TickBook.Node memory) {
        return
            TickBook.Node({
                kind: TickBook.Kind(uint8(word)),
                rank: uint8(word >> 8),
                tick: int24(uint24(word >> 16)),
                count: uint32(word >> 40),
                index: uint80(word >> 72),
                debt: uint104(word >> 152)
            });
    }

    function _units(IVault vault) private view returns (Market.Units memory units) {
        units.spacing = vault.SPACING();
        (
            units.collateralMultiplier,
            units.collateralDivisor,
            units.debtMultiplier,
            units.debtDivisor,
            units.priceMultiplier
        ) = vault.scales();
        units.pair = vault.PAIR();
    }

    function _word(IVault vault, uint256 slot) private view returns (uint256) {
        return uint256(vault.readSlot(bytes32(slot)));
    }

    /// @dev The word of `key` in the mapping at `slot`.
    function _at(IVault vault, uint256 slot, uint256 key) private view returns (uint256) {
        return uint256(vault.readSlot(keccak256(abi.encode(key, slot))));
    }
}
