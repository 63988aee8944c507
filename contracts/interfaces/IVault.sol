// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {BrakeLevel} from "./IEmergencyBrake.sol";
import {PriceState} from "./IOracleAdapter.sol";

/// @notice Risk parameters, in basis points unless said otherwise. `slope` is basis points of bonus per 10,000 basis
/// points of LTV above the liquidation threshold.
struct RiskParameters {
    uint16 maxLtv; //               highest LTV of new risk
    uint16 liquidationThreshold; // a tick at or above it is liquidatable
    uint16 target; //               where a liquidation brings it, at most
    uint16 bonusMin;
    uint16 bonusMax;
    uint32 slope;
}

/// @notice Limits of new risk, in millionths of a whole token. They never stop a repayment, a top-up or a close.
struct Caps {
    uint80 debt;
    uint80 collateral;
    uint64 minDebt;
}

/// @notice Thresholds on their way. From the seconds that its clock has run, each is interpolated between the two ends,
/// the liquidation threshold rounded up and the target down, in basis points. The clock stands while `halted`, while
/// liquidations are paused and in the grace after it.
struct Ramp {
    uint16 fromThreshold;
    uint16 fromTarget;
    uint16 toThreshold;
    uint16 toTarget;
    uint32 start; //    when the clock would have begun had it never stood; while halted: the seconds it has run
    uint24 duration; // 0: no ramp, the thresholds stay where it begins
    bool halted; //     seen on a Dead price
}

/// @notice What the Liquidator asks a market to do; see ILiquidator.Order.
struct LiquidationRequest {
    address caller;
    address receiver;
    uint256 maxRepay; // debt token units
    int24 fromTick;
    uint32 maxTicks; //  0: no bound
    bool buyPot;
    bool seizeOnly; //   move insolvent ticks to the pot and sell nothing
}

/// @notice Evidence of one liquidation: with the events before it, every position can be recomputed.
/// Prices are Q128.128 of whole tokens; ticks are the market's; the factor of each sold tick follows from the prices,
/// the borrow index and the risk parameters.
struct LiquidationReport {
    uint256 priceLow;
    uint256 priceHigh;
    uint80 roundA;
    uint80 roundB;
    PriceState oracleState;
    BrakeLevel brakeLevel;
    uint256 borrowIndex;
    int24 fromTick; //        where the sweep began
    int24 lowestTick; //      lowest tick that was sold or seized
    int24 landTick; //        where whole ticks landed
    int24 partialTick; //     the tick that the budget cut short, if partialLandTick differs from it
    int24 partialLandTick; // where it landed
    uint32 ticks; //          sold, in whole or in part, and seized
    uint256 repaid; //        debt token units, pot included
    uint256 seized; //        collateral token units, pot included
}

/// @notice What a liquidation did to the pot, if anything.
struct PotReport {
    uint256 potDebt; //       seized into the pot, debt units
    uint256 potCollateral; // seized into the pot, collateral units
    uint256 potDebtSold; //   sold out of the pot, debt units
    uint256 potCollateralSold; // collateral units
    uint256 insurancePaid; // debt token units
    uint256 reservesPaid; //  debt token units
    uint256 lendersLoss; //   debt token units
}

/// @notice What a borrower's contract implements to receive tokens before it pays.
interface IVaultCallback {
    /// @notice The tokens that leave have been sent; `collateralIn` and `debtIn` (token units) must be in the caller's
    /// balance and approved to the vault when this returns.
    function onAdjust(uint256 collateralIn, uint256 debtIn, bytes calldata data) external;
}

/// @notice Who pays for a liquidation: implemented by the Liquidator.
interface ILiquidationPayer {
    /// @notice The collateral has been sent; `repaid` units of the debt token `asset` must reach the vault before this
    /// returns. `data` is what came with the request.
    function payLiquidation(address asset, uint256 repaid, uint256 seized, bytes calldata data) external;
}

/// @title IVault
/// @notice One market: one collateral token, one debt token, one oracle adapter, one rate curve, one set of risk
/// parameters. Lenders hold ERC-4626 shares of the debt token; borrowers hold positions, keyed by owner and
/// sub-account. A position's LTV is by definition its tick's; it is liquidatable ⇔ that LTV is at or above the
/// liquidation threshold at the higher price.
///
/// Repaying, topping up, closing and withdrawing surplus need no price, no level of the brake and no cap.
interface IVault is IERC4626 {
    // ------------------------------------------------------------------ events

    /// @notice A position changed. `tick`, `node`, `shares`, `debt` (book debt) and `surplus` (collateral units) are what
    /// it has now; the deltas are token units. `borrowIndex` is 0 if only collateral came in: that charges no interest.
    event Adjust(
        address indexed owner,
        uint96 indexed sub,
        address indexed caller,
        int256 collateralDelta,
        int256 debtDelta,
        int24 tick,
        uint32 node,
        uint128 shares,
        uint256 debt,
        uint96 surplus,
        uint256 borrowIndex
    );

    /// @notice Surplus left a position; token units, and what remains in collateral units.
    event WithdrawSurplus(
        address indexed owner,
        uint96 indexed sub,
        address indexed caller,
        address receiver,
        uint256 amount,
        uint96 surplus
    );

    /// @notice A liquidation, or the seizure of insolvent ticks.
    event Liquidate(
        address indexed market,
        address indexed caller,
        address indexed receiver,
        LiquidationReport report
    );

    /// @notice The liquidation of the Liquidate just before seized ticks into the pot or sold from it. Without this event
    /// a liquidation did neither: most have nothing to do with the pot, and do not pay to say so.
    event ChangePot(PotReport report);

    /// @notice `operator` may (or may no longer) act for `owner`.
    event SetOperator(address indexed owner, address indexed operator, bool approved);

    /// @notice `to` may take the position (address 0: nobody).
    event OfferPosition(address indexed owner, uint96 indexed sub, address indexed to);

    /// @notice The position moved as it was.
    event TransferPosition(address indexed from, uint96 fromSub, address indexed to, uint96 toSub);

    /// @notice Parameters that hold at once. A ramp that was running is over; a new one follows as SetRamp.
    event SetRisk(RiskParameters risk);

    /// @notice A ramp began, or its clock was halted, went on, or was moved by a pause.
    event SetRamp(Ramp ramp);

    /// @notice The market is wound down, for ever.
    event StartWindDown(address indexed caller);

    /// @notice What was left of a position was sold after the wind-down: token units, and the position's book debt and
    /// surplus now.
    event Settle(
        address indexed owner,
        uint96 indexed sub,
        address indexed caller,
        address receiver,
        uint256 priceLow,
        uint256 priceHigh,
        uint256 repaid,
        uint256 seized,
        uint256 borrowIndex,
        uint256 debt,
        uint96 surplus
    );

    event SetCascade(uint80 cap, uint32 window);
    event SetCaps(Caps caps);
    event SetReserveFactor(uint8 percent);
    event SetOracle(address indexed oracle);
    event SetBrake(uint32 noNewRiskUntil, uint32 liquidationsPausedUntil, uint32 graceUntil);
    event CollectReserves(uint256 amount);

    // ------------------------------------------------------------------ errors

    /// @notice The amount is zero, or too small to become a unit or a share.
    error ZeroAmount();

    /// @notice The amount does not fit the book.
    error AmountTooLarge(uint256 amount, uint256 max);

    /// @notice `caller` is neither `owner` nor its operator.
    error NotAuthorized(address caller, address owner);

    /// @notice The market holds `available` of the debt token.
    error InsufficientCash(uint256 requested, uint256 available);

    /// @notice The position's surplus is `available` (collateral token units).
    error InsufficientSurplus(uint256 requested, uint256 available);

    /// @notice The tick's LTV would be above the maximum for new risk; WAD.
    error LtvTooHigh(uint256 ltv, uint256 maxLtv);

    /// @notice The debt would be below the minimum (debt units: 18 decimals).
    error DebtTooSmall(uint256 debt, uint256 minDebt);

    /// @notice A cap would be exceeded (debt units, collateral units).
    error DebtCapExceeded(uint256 debt, uint256 cap);
    error CollateralCapExceeded(uint256 collateral, uint256 cap);

    /// @notice The brake allows no new risk.
    error NewRiskPaused(BrakeLevel level);

    /// @notice Liquidations are paused; or the grace period after a pause runs, in which only what was insolvent at an earlier
    /// round too can be seized.
    error LiquidationsPaused(BrakeLevel level, uint256 until);

    /// @notice New risk needs a Fresh price; a liquidation needs any price.
    error PriceNotFresh(PriceState state);
    error PriceDead();

    /// @notice Lenders wait: an insolvent tick cannot be seized now, or seized collateral cannot be priced now.
    error LendersWait(PriceState state, BrakeLevel level);

    /// @notice More insolvent ticks than one lender's transaction seizes: call Liquidator.seize first.
    error SeizeFirst(uint256 maxTicks);

    /// @notice Nothing to do: the highest populated tick is below the trigger, or the budget of `maxRepay` (debt token
    /// units) buys no step. `potDebt` is in debt units.
    error NothingToLiquidate(int24 topTick, int24 triggerTick, uint256 maxRepay, uint256 potDebt);

    /// @notice The token moved `received` instead of `expected`: it takes a fee or rebases, or was not paid.
    error TransferMismatch(address token, uint256 expected, uint256 received);

    /// @notice The destination sub-account is in use.
    error PositionNotEmpty(address owner, uint96 sub);

    /// @notice The receiver of the position has not been offered it.
    error NotOffered(address owner, uint96 sub, address to);

    /// @notice A signature is past its deadline, or not the owner's.
    error SignatureExpired(uint256 deadline);
    error InvalidSignature(address owner);

    /// @notice Listing: decimals outside 6 to 24, or the same token twice.
    error UnsupportedDecimals(address token, uint8 decimals);
    error SameToken(address token);
    error SpacingTooSmall(int24 spacing, int24 minimum);
    error PairMissing(address pair);

    /// @notice The parameters violate `rule` (a short sentence).
    error InvalidRisk(string rule);

    /// @notice A threshold may not fall at once (basis points).
    error ThresholdWouldFall(uint16 current, uint16 proposed);

    /// @notice This ramp lasts from `min` to `max` seconds, or this wind-down.
    error InvalidDuration(uint256 duration, uint256 min, uint256 max);

    /// @notice No ramp is running, or its clock already is as the oracle says.
    error NothingToPoke();

    /// @notice The market is being wound down: no deposits, no other parameters, not once more.
    error WindingDown();

    /// @notice Positions are settled once a wind-down's ramp is complete, `left` seconds of its clock from now.
    error NotWoundDown(uint256 left);

    /// @notice The position has no debt, or is insolvent: it can only be seized with its tick.
    error NothingToSettle(address owner, uint96 sub);

    /// @notice The oracle has not proved to have been Dead for `required` seconds, or, for a wind-down, to live again.
    error NotProvenDead(uint256 proven, uint256 required);

    /// @notice The cascade brake's cap is used up: `left` (debt units) of it now, refilled within `window` seconds.
    error CascadeCapReached(uint256 left, uint256 window);

    /// @notice A cap on liquidations without a window, or the other way round.
    error InvalidCascade(uint256 cap, uint256 window);

    /// @notice The new oracle is not Fresh, or its range does not fit the old one's (see `setOracle`).
    error OracleMismatch(uint256 oldLow, uint256 oldHigh, uint256 newLow, uint256 newHigh);

    error InvalidReserveFactor(uint8 percent, uint8 max);

    // ------------------------------------------------------------------ borrowers

    /// @notice Changes the position (`owner`, `sub`). Tokens go out, the caller is called back if `data` is not empty,
    /// tokens come in from the caller.
    /// Anyone may add collateral and repay; the rest is the owner's or an operator's.
    /// @param collateralDelta collateral token units in (positive) or out; type(int256).min: all of it.
    /// @param debtDelta debt token units borrowed (positive) or repaid; more than is owed repays what is owed.
    /// @param receiver of what goes out.
    /// @return collateralMoved as `collateralDelta`, what really moved. @return debtMoved as `debtDelta`, likewise.
    /// New risk (more debt, or less collateral and a higher tick) needs a Fresh price, no brake, and the tick's LTV at
    /// most maxLtv, less the share that the oracle takes of it under stress, at the lower price. Everything else needs none of them.
    /// Rounding: debt up when borrowed and, to close, in tokens up; a partial repayment credits book debt down.
    function adjust(
        address owner,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta,
        address receiver,
        bytes calldata data
    ) external returns (int256 collateralMoved, int256 debtMoved);

    /// @notice Takes surplus out: no price, no brake, no accrual. The owner's or an operator's.
    /// @param amount collateral token units; type(uint256).max: all. @return withdrawn token units, rounded down.
    function withdrawSurplus(
        address owner,
        uint96 sub,
        uint256 amount,
        address receiver
    ) external returns (uint256 withdrawn);

    /// @notice Allows `operator` to act for the caller in every sub-account, or no longer.
    function setOperator(address operator, bool approved) external;

    /// @notice The same by the owner's EIP-712 signature (ERC-1271 for contracts); uses up the owner's nonce.
    function setOperatorBySignature(
        address owner,
        address operator,
        bool approved,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Offers a position to `to`, who can then take it; address 0 withdraws the offer.
    function offerPosition(address owner, uint96 sub, address to) external;

    /// @notice Moves a position as it is into an empty sub-account. The caller acts for `to`, and either acts for `from`
    /// too or `to` was offered the position.
    function transferPosition(address from, uint96 fromSub, address to, uint96 toSub) external;

    // ------------------------------------------------------------------ liquidation

    /// @notice Sells liquidatable ticks, seizes insolvent ones, sells the pot. Only the Liquidator.
    /// @param data passed back to the Liquidator, which pays.
    function liquidate(
        LiquidationRequest calldata request,
        bytes calldata data
    ) external returns (uint256 repaid, uint256 seized);

    /// @notice Sells what a wind-down has left of a position: anyone pays up to `maxRepay` (debt token units) of its debt and
    /// `receiver` gets its collateral at the price of a liquidation with the minimum bonus. The rest of the collateral
    /// becomes surplus and stays the owner's. Once the ramp is complete; no pause, no grace, a price that is not Dead.
    /// @return repaid debt token units, rounded up. @return seized collateral token units, rounded down.
    function settle(
        address owner,
        uint96 sub,
        uint256 maxRepay,
        address receiver
    ) external returns (uint256 repaid, uint256 seized);

    /// @notice Sends reserves (as far as there is cash) to the insurance fund. Anyone may call.
    function collectReserves() external returns (uint256 amount);

    /// @notice Charges interest up to now; a paired market also tells its pair what its debt is worth at the price now, if
    /// that is Fresh. Anyone may call.
    function accrueInterest() external;

    // ------------------------------------------------------------------ governor and brake

    /// @notice Sets parameters that hold at once; ends a ramp. Neither threshold may be below what it is now.
    function setRisk(RiskParameters calldata risk) external;

    /// @notice Moves liquidation threshold and target to those of `target`, linearly over `duration` seconds (3 to 180
    /// days, and so long that neither falls by more than a fourteenth a day), from what they are now; replaces a ramp. Everything else of `target` holds at once. A duration of 0 is setRisk.
    function startRamp(RiskParameters calldata target, uint32 duration) external;

    /// @notice Ends a ramp: the thresholds stay what they are now.
    function stopRamp() external;

    /// @notice Stops a ramp's clock if the price is Dead now, and lets it go on if it is not. Anyone may call: time for
    /// which nobody has done so counts.
    function pokeRamp() external;

    /// @notice Ends the market: no new risk, no deposits, no other risk parameters for ever; the minimum bonus without slope;
    /// both thresholds fall by one factor over `duration` seconds (14 to 180 days; 0 asks what startWindDownDead asks) until
    /// the liquidation threshold is 5 %. Not to be undone. Only the governor.
    function startWindDown(uint32 duration) external;

    /// @notice The same over 14 days, by anyone, once the oracle proves that it was Dead for 7 days and lives again: is Fresh or
    /// Single. NotProvenDead otherwise.
    function startWindDownDead() external;

    /// @notice Cascade brake: at most `cap` (millionths of a whole debt token) is liquidated in `window` seconds, riskiest
    /// tick first; what is insolvent is seized all the same. Both 0: off, as at the start.
    function setCascade(uint80 cap, uint32 window) external;

    function setCaps(Caps calldata caps) external;

    /// @notice Share of the interest that goes to the reserves, in percent.
    function setReserveFactor(uint8 percent) external;

    /// @notice Swaps the oracle for one that is Fresh and whose [low, high] overlaps the old one's. If the old one is Dead,
    /// it must be proven so for a day (IDeadProof), and the new price lie within its `jumpRange`; after a week, anywhere.
    function setOracle(address oracle) external;

    /// @notice Timestamps of the brake. Only the EmergencyBrake.
    function setBrake(uint32 noNewRiskUntil, uint32 liquidationsPausedUntil, uint32 graceUntil) external;

    // ------------------------------------------------------------------ views

    function COLLATERAL() external view returns (address);
    function SPACING() external view returns (int24);
    function LIQUIDATOR() external view returns (address);
    function BRAKE() external view returns (address);
    function INSURANCE() external view returns (address);

    /// @notice The IMarketPair of this market and its mirror; 0: none.
    function PAIR() external view returns (address);

    /// @notice Units a token amount is multiplied and divided by to become book units.
    function scales()
        external
        view
        returns (
            uint256 collateralMultiplier,
            uint256 collateralDivisor,
            uint256 debtMultiplier,
            uint256 debtDivisor,
            uint256 priceMultiplier
        );

    function isOperator(address owner, address operator) external view returns (bool);

    /// @notice Debt of what was seized and not yet sold, debt units (18 decimals).
    function potDebt() external view returns (uint256);

    /// @notice One word of storage, for the Lens.
    function readSlot(bytes32 slot) external view returns (bytes32);
}
