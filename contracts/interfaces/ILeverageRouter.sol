// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What this protocol uses of wrapped ether.
interface IWETH {
    function deposit() external payable;
    function withdraw(uint256 amount) external;
}

/// @title ILeverageRouter
/// @notice Changes leveraged positions in one transaction. A trade is a list of changes of positions, its legs, and one
/// swap on Uniswap v3. First every market sends what leaves its position, then the swap is made, then every market takes
/// what it is owed: no flash loan but the markets' own. One leg opens, increases, decreases or closes; closing one market
/// and opening its mirror flips; closing one and opening another moves.
///
/// EXACT. A leg's amounts are the position's change to the unit; only a close, which names no amounts, repays what is owed
/// when it happens. What a swap brings above what the markets are owed goes to the receiver, with everything else that is
/// left. Nothing stays in the router: what somebody sends here by mistake is the next caller's.
///
/// RIGHTS. The router must be the owner's operator in every market in which a leg takes something out. It acts only for
/// who calls it: the owner, or the owner's operator in each market of the trade. Tokens are taken from the caller alone.
interface ILeverageRouter {
    /// @notice One change of a position; the amounts are IVault.adjust's.
    struct Leg {
        address market;
        uint96 sub;
        int256 collateral; // collateral token units into the position, or out of it; type(int256).min: all of it
        int256 debt; //       debt token units borrowed, or repaid; type(int256).min: all of it
    }

    /// @notice `exactOut` false: sells all that the router has of the path's first token by then, for at least `limit` of
    /// the last. `exactOut` true: the path is reversed, as Uniswap's router wants it; buys what the markets are still
    /// owed of its first token, for at most `limit` of its last.
    struct Trade {
        address owner;
        Leg[] legs; //       the tokens of all of them go out before any come in
        bytes path; //       Uniswap v3 path; empty: no swap
        bool exactOut;
        uint256 limit; //    token units; the slippage bound
        address token; //    taken from the caller, beside the ether that is sent along, which is wrapped
        uint256 amount; //   token units of it
        address receiver; // of what is left
        bool unwrap; //      whether wrapped ether that is left goes out as ether
        uint256 deadline; // latest block timestamp
    }

    /// @notice The owner's EIP-712 signature of IVault.setOperatorBySignature for the router.
    struct Authorisation {
        address market;
        uint256 deadline;
        bytes signature;
    }

    /// @notice An ERC-2612 permit of the caller for Trade.token; deadline 0: none, the router was approved.
    struct Permit {
        uint256 value;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice The swap of a trade, token units. What became of the positions is in the markets' Adjust, which alone is
    /// evidence: `owner` is who the caller, and a market that the caller named, say it is.
    event Swap(
        address indexed owner,
        address indexed tokenIn,
        address indexed tokenOut,
        uint256 sold,
        uint256 bought
    );

    /// @notice `deadline` was over at `timestamp`.
    error DeadlineExpired(uint256 deadline, uint256 timestamp);

    /// @notice The permit's deadline was over at `timestamp`.
    error PermitExpired(uint256 deadline, uint256 timestamp);

    /// @notice The caller has approved `allowance` of `token` for the router, and no permit that is valid.
    error InsufficientAllowance(address token, uint256 allowance, uint256 needed);

    /// @notice `caller` is neither `owner` nor its operator in `market`.
    error NotOwner(address market, address caller, address owner);

    /// @notice The swap brought (or cost, if `exactOut`) `amount`, beyond `limit`.
    error SlippageExceeded(uint256 amount, uint256 limit);

    /// @notice The path's pools do not give `wanted` of `tokenOut` for `available` of `tokenIn`, or are not there.
    error InsufficientLiquidity(address tokenIn, address tokenOut, uint256 available, uint256 wanted);

    /// @notice After the swap the router has `held` of `token`, of which the market is owed `owed`.
    error InsufficientPayment(address token, uint256 held, uint256 owed);

    /// @notice No Uniswap v3 path: a token of 20 bytes, then 3 of fee and 20 of token for each pool.
    error InvalidPath(bytes path);

    /// @notice Nothing may be left with nobody, or here.
    error InvalidReceiver(address receiver);

    /// @notice The receiver does not take ether.
    error EtherRefused(address receiver);

    /// @notice Ether comes from who trades, with the trade, or from unwrapping.
    error UnexpectedEther(address sender);

    /// @notice Only a market that the running trade has just called may call back, once, with what it was given.
    error UnexpectedCallback(address caller);

    /// @notice The market did not call back.
    error CallbackMissing(address market);

    /// @notice Makes a trade. Anyone may call, for an owner who is the caller or whose operator the caller is.
    /// Reverts with the errors above and the markets': NotAuthorized (the router is not the owner's operator), LtvTooHigh
    /// (leverage beyond the maximum), InsufficientCash (of the market), SignatureExpired, InvalidSignature,
    /// PriceNotFresh, NewRiskPaused, DebtTooSmall, and the rest of IVault.adjust's. Then nothing has moved.
    /// @param authorisations for markets of which the router is not yet the owner's operator; used ones are skipped.
    /// @param permit for Trade.token; one that somebody else has used already does no harm.
    function trade(
        Trade calldata trade,
        Authorisation[] calldata authorisations,
        Permit calldata permit
    ) external payable;
}
