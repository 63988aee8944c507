// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a pair never changes.
struct PairTerms {
    uint64 maxRate; //        surcharge of the heavy side at the full skew, per second, WAD; at most 100 % a year
    uint64 deadBand; //       WAD: an imbalance up to this costs nothing; at most a half
    uint32 halfLife; //       seconds in which the skew comes half of the way to its target; an hour to 30 days
    uint8 insuranceShare; //  percent of the surcharge for the reserves, that is insurance; the rest is that pool's lenders'
    uint8 sparedShare; //     percent of the reserve fee that the light side's borrowers are spared at the full skew
    uint80 floor; //          millionths of a quote token, not 0: a smaller book counts as this large
}

/// @notice The pair now. Values: of the debts when their markets last changed, millionths of a quote token. Skew and
/// target: WAD of the full rate, positive while the longs are heavy.
struct PairView {
    address long;
    address short;
    uint256 valueLong;
    uint256 valueShort;
    uint256 price; //     of the base token in the quote token, Q128.128: the last Fresh one that the short market told
    int256 skew;
    int256 target; //     where the skew goes while the values stay
    uint256 updatedAt; // timestamp of the last push
}

/// @title IMarketPair
/// @notice The funding of two markets that mirror each other: in the long one the quote token is owed against the base
/// token, in the short one the base token against the quote token. The side whose debt is worth more pays a surcharge
/// that follows the imbalance with a half-life; the other is spared a part of its reserve fee. Both go through the
/// market's borrow index.
///
/// Every market pushes its debt at the end of a change, and asks what is due before it charges interest. The pair calls
/// nobody and knows no oracle: repaying works whatever the price, and both sides can change in one transaction. What a
/// price is worth here: the values, and so which side pays how much; the last Fresh one holds.
///
/// It can be linked once, has no other function for anybody but its two markets, and is no proxy: another pair is
/// another implementation of the markets.
interface IMarketPair {
    event Link(address indexed long, address indexed short);

    /// @notice `term` is the name of the term that is out of its bounds.
    error InvalidTerms(string term, uint256 value, uint256 least, uint256 most);

    error AlreadyLinked(address long, address short);

    /// @notice These two are no mirror images: one's collateral is not the other's debt.
    error NotMirrored(address long, address short);

    /// @notice Names the two markets, once. Restricted (GOVERNOR; at the deployment the deployer).
    function link(address long, address short) external;

    /// @notice Records that the caller has charged interest up to now and is owed `debt` (debt units, 18 decimals).
    /// From anyone but the two markets it changes nothing: a market is never kept from being repaid by this.
    function push(uint256 debt) external;

    /// @notice Tells the pair a Fresh price: whole debt tokens per whole collateral token of the caller, Q128.128. It counts
    /// from the next push on; from anyone but the short market it changes nothing.
    function observe(uint256 price) external;

    /// @notice What `market` is to charge beside its base rate, since it last pushed; 0 for anyone else.
    /// @return surcharge exponent of the growth, WAD: rate × seconds.
    /// @return insured the part of it that is the reserves'.
    /// @return spared billionths of a second for which its borrowers are spared all of the reserve fee.
    function dueOf(address market) external view returns (uint256 surcharge, uint256 insured, uint256 spared);

    /// @notice The same as rates now, per second, WAD; `spared` as a share of the reserve fee, WAD.
    function rateOf(
        address market
    ) external view returns (uint256 surcharge, uint256 insured, uint256 spared);

    function terms() external view returns (PairTerms memory);

    /// @notice The pair, advanced to now.
    function read() external view returns (PairView memory);
}
