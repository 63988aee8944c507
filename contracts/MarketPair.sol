// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IMarketPair, PairTerms, PairView} from "./interfaces/IMarketPair.sol";
import {IVault} from "./interfaces/IVault.sol";
import {Funding} from "./libraries/Funding.sol";

/// @title MarketPair
/// @notice See IMarketPair.
contract MarketPair is IMarketPair, AccessManaged {
    using Funding for Funding.State;

    enum Side {
        None,
        Long,
        Short
    }

    uint256 private constant WAD = 1e18;
    uint256 private constant BILLION = 1e9; // the due's units in a second
    uint256 private constant MAX_RATE = 31_709_791_983; // 100 % a year

    uint64 private immutable RATE;
    uint64 private immutable DEAD_BAND;
    uint32 private immutable HALF_LIFE;
    uint8 private immutable INSURANCE_SHARE;
    uint8 private immutable SPARED_SHARE;
    uint80 private immutable FLOOR;

    Funding.State private _funding;
    /// @dev One slot for whoever asks, instead of one for each address.
    mapping(address market => Side) private _sideOf;
    address private _long;
    address private _short;

    constructor(address authority_, PairTerms memory t) AccessManaged(authority_) {
        _bound("maxRate", t.maxRate, 0, MAX_RATE);
        _bound("deadBand", t.deadBand, 0, WAD / 2);
        _bound("halfLife", t.halfLife, 1 hours, 30 days);
        _bound("insuranceShare", t.insuranceShare, 0, 100);
        _bound("sparedShare", t.sparedShare, 0, 100);
        _bound("floor", t.floor, 1, type(uint80).max);
        RATE = t.maxRate;
        DEAD_BAND = t.deadBand;
        HALF_LIFE = t.halfLife;
        INSURANCE_SHARE = t.insuranceShare;
        SPARED_SHARE = t.sparedShare;
        FLOOR = t.floor;
    }

    /// @inheritdoc IMarketPair
    /// @dev Before the markets have this pair in their implementations: until then they push nothing.
    function link(address long, address short) external restricted {
        require(_long == address(0), AlreadyLinked(_long, _short));
        require(
            IVault(long).COLLATERAL() == IVault(short).asset() &&
                IVault(short).COLLATERAL() == IVault(long).asset(),
            NotMirrored(long, short)
        );
        (_long, _short) = (long, short);
        (_sideOf[long], _sideOf[short]) = (Side.Long, Side.Short);
        emit Link(long, short);
    }

    /// @inheritdoc IMarketPair
    function push(uint256 debt) external {
        Side side = _sideOf[msg.sender];
        if (side == Side.None) return;
        _funding.push(_terms(), side == Side.Long, debt);
    }

    /// @inheritdoc IMarketPair
    /// @dev Only the short market's counts: it is the one whose debt has to be valued.
    function observe(uint256 price) external {
        if (_sideOf[msg.sender] != Side.Short || price == 0) return;
        _funding.price = type(uint256).max / price;
    }

    /// @inheritdoc IMarketPair
    function dueOf(
        address market
    ) external view returns (uint256 surcharge, uint256 insured, uint256 spared) {
        Side side = _sideOf[market];
        if (side == Side.None) return (0, 0, 0);
        Funding.Ledger memory l = _funding.advanced(_terms());
        return
            side == Side.Long
                ? _charge(l.chargedLong, l.sparedLong, BILLION)
                : _charge(l.chargedShort, l.sparedShort, BILLION);
    }

    /// @inheritdoc IMarketPair
    function rateOf(
        address market
    ) external view returns (uint256 surcharge, uint256 insured, uint256 spared) {
        Side side = _sideOf[market];
        if (side == Side.None) return (0, 0, 0);
        int256 skew = _funding.advanced(_terms()).skew;
        if (side == Side.Short) skew = -skew;
        return skew > 0 ? _charge(uint256(skew), 0, WAD) : _charge(0, uint256(-skew), WAD);
    }

    /// @inheritdoc IMarketPair
    function terms() external view returns (PairTerms memory) {
        return PairTerms(RATE, DEAD_BAND, HALF_LIFE, INSURANCE_SHARE, SPARED_SHARE, FLOOR);
    }

    /// @inheritdoc IMarketPair
    function read() external view returns (PairView memory) {
        Funding.Ledger memory l = _funding.advanced(_terms());
        return
            PairView({
                long: _long,
                short: _short,
                valueLong: l.valueLong,
                valueShort: l.valueShort,
                price: _funding.price,
                skew: l.skew,
                target: Funding.targetOf(l.valueLong, l.valueShort, _terms()),
                updatedAt: _funding.ledger.updatedAt
            });
    }

    function _charge(
        uint256 heavy,
        uint256 light,
        uint256 one
    ) private view returns (uint256 surcharge, uint256 insured, uint256 spared) {
        surcharge = (RATE * heavy) / one;
        return (surcharge, (surcharge * INSURANCE_SHARE) / 100, (light * SPARED_SHARE) / 100);
    }

    function _terms() private view returns (Funding.Terms memory) {
        return Funding.Terms({deadBand: DEAD_BAND, halfLife: HALF_LIFE, floor: FLOOR});
    }

    function _bound(string memory term, uint256 value, uint256 least, uint256 most) private pure {
        require(value >= least && value <= most, InvalidTerms(term, value, least, most));
    }
}
