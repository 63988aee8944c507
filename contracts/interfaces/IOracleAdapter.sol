// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice How much a price may be trusted. Every function that takes a price says what it does in each state.
/// Dead: no price at all; low and high are 0. Single: one source only, so low and high differ by their rounding at most.
/// Diverged: both sources answer, but they are further apart than the band. Fresh: both sources answer and agree.
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
}
