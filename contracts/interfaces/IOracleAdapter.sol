// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice How much a price may be trusted. Every function that takes a price says what it does in each state.
/// Dead: no price at all; low and high are 0. Single: one source only; low and high differ by their rounding, or after
/// a jump span its two newest rounds. Diverged: both sources answer, but they are further apart than the band. Fresh: both
/// sources answer and agree.
enum PriceState {
    Dead,
    Single,
    Diverged,
    Fresh
}

/// @notice Price of one whole collateral token in whole debt tokens, Q128.128. `low` is rounded down, `high` up; unless
/// Dead, both lie between 2⁶⁴ and 2¹⁹² (2⁻⁶⁴ and 2⁶⁴ whole tokens).
/// roundA and roundB say which answers of the two sources it comes from (a feed's round id; for a TWAP the timestamp).
struct Price {
    uint256 low;
    uint256 high;
    PriceState state;
    uint80 roundA;
    uint80 roundB;
    uint16 maxLtvCut; // by this share of it, in basis points, volatility lowers the max LTV of new risk now
}

/// @notice What a market asks before anyone may wind it down (Vault.startWindDownDead). An adapter that does not answer
/// leaves that to the governor.
interface IDeadProof {
    /// @notice For how many seconds consecutive rounds of its feeds prove this oracle to have been Dead the last time;
    /// 0 without such a proof.
    /// It counts as Dead too while the primary source alone keeps the price up: above the second by more than the band.
    function provenDead() external view returns (uint256);

    /// @notice The same for the mirrored market, whose prices are the inverse.
    function provenDeadMirrored() external view returns (uint256);
}

/// @notice What an adapter says to the mirrored market's: a price still of its own market, but in which a veto that is
/// spent gives way at the lower end, where the mirrored market liquidates.
interface IMirrored {
    /// @notice As IOracleAdapter.read.
    function readMirrored() external view returns (Price memory price);

    /// @notice As IOracleAdapter.update.
    function updateMirrored() external returns (Price memory price);
}

/// @title IOracleAdapter
/// @notice Two independent sources as one typed price. No price is ever substituted.
interface IOracleAdapter {
    /// @notice The price now. Never reverts for a bad source: that is a state.
    function read() external view returns (Price memory price);

    /// @notice The price now, after recording what a new round needs recorded. Anyone may call.
    function update() external returns (Price memory price);

    /// @notice Greatest distance of the two sources that counts as agreement, in basis points of the lower.
    function band() external view returns (uint16);

    /// @notice The last but one sample of the Fresh price: of another round of the primary source than the price now and
    /// than the newest sample, and seen at least five minutes before the latter. Rounded outward, by two basis points at
    /// most; (0, 0): there is none. What holds now and held then was so at two rounds some minutes apart.
    function earlier() external view returns (uint256 low, uint256 high);

    /// @notice What a single source is believed within now, around the last Fresh price; (0, 0): there was none.
    function jumpRange() external view returns (uint256 low, uint256 high);

    /// @notice Volatility of the price, basis points a day, and the stress that it stands for, 0 to 10,000.
    function volatility() external view returns (uint256 perDay, uint256 stress);
}
