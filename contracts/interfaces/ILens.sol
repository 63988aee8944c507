// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BrakeLevel} from "./IEmergencyBrake.sol";
import {Price} from "./IOracleAdapter.sol";
import {Caps, IVault, Ramp, RiskParameters} from "./IVault.sol";

/// @notice What a liquidation would come to now, or why nothing would happen. In the order in which the market finds
/// out. Paused: the brake. Grace: likewise, and nothing can be seized. Dead: no price. NothingLiquidatable: no populated tick at or above the trigger (at or
/// below `fromTick`), and no pot to buy. NotFresh: only insolvent ticks or the pot, which need a Fresh price.
/// BudgetTooSmall: there is something, but `maxRepay` buys no step of it. CascadeCap: there is something, but the cascade
/// brake's cap has nothing left now.
enum Verdict {
    Possible,
    Paused,
    Grace,
    Dead,
    NothingLiquidatable,
    NotFresh,
    BudgetTooSmall,
    CascadeCap
}

/// @notice One market now, interest charged up to now. Token amounts in token units; prices in whole debt tokens per
/// whole collateral token, Q128.128; ratios and rates WAD.
struct MarketView {
    address vault;
    address collateral;
    address debt;
    uint8 collateralDecimals;
    uint8 debtDecimals;
    int24 spacing;
    address oracle;
    Price price; //                   low and high are 0 if it is Dead
    BrakeLevel brakeLevel;
    uint256 noNewRiskUntil; //        timestamps, as the following
    uint256 liquidationsPausedUntil;
    uint256 graceUntil;
    uint256 borrowIndex; //           2⁷² at the start
    uint256 borrowRate; //            per second, with what a pair adds or spares
    uint256 lendRate; //              per second, after the reserves' share
    uint256 surcharge; //             per second: what a pair adds to the rate now
    uint256 spared; //                the share of the reserve fee that it spares the borrowers now, WAD
    uint256 rateAtTarget; //          per second
    uint256 utilization;
    uint256 reserveFactor; //         percent
    uint256 bookDebt; //              Σ of the ticks, in book debt
    uint256 totalDebt; //             the same in tokens, rounded down: what the lenders own of it
    uint256 cash;
    uint256 reserves;
    uint256 potDebt; //               rounded up
    uint256 potCollateral; //         rounded down
    uint256 potPrice; //              at which the pot is sold now; 0 without a pot or on a Dead price
    uint256 insurance;
    uint256 totalAssets;
    uint256 sharePrice; //            debt token units for one whole share
    RiskParameters risk; //           the thresholds that hold now
    Caps caps;
    bool populated; //                whether any tick is; else topTick is one below the grid
    int24 topTick; //                 highest populated tick
    int24 triggerTick; //             smallest liquidatable tick; type(int24).max on a Dead price
    int24 targetTick; //              where whole ticks land; type(int24).min on a Dead price
    Ramp ramp; //                     of the thresholds; duration 0: they stay where it begins
    uint256 rampElapsed; //           seconds that its clock has run, at most its duration
    bool windingDown;
    uint256 cascadeCap; //            millionths of a whole debt token in `cascadeWindow`; 0: no cascade brake
    uint256 cascadeWindow; //         seconds
    uint256 cascadeLeft; //           debt units (18 decimals) that may be liquidated now
    uint256 volatility; //            of the price, basis points a day
    uint256 stress; //                what that stands for, 0 to 10,000
    uint256 maxLtvNow; //             basis points: max LTV of new risk, less what stress takes of it
}

/// @notice One position now. A position's ratio is by definition its tick's.
struct PositionView {
    address owner;
    uint96 sub;
    uint32 node; //              that it resolves to; 0: no debt ever, or none left
    bool seized; //              its tick was seized into the pot: no debt and no margin any more
    int24 tick; //               this and the following up to liquidatable mean something only with debt
    uint256 debt; //             debt token units, rounded up: what closes it
    uint256 bookDebt;
    uint256 collateral; //       margin: collateral token units behind the debt, rounded down
    uint256 surplus; //          collateral token units beside the margin, rounded down
    uint256 ltvHigh; //          at the higher price, WAD, rounded up: the one that liquidation looks at
    uint256 ltvLow; //           at the lower price, WAD, rounded up: the one that new risk looks at
    uint256 health; //           LT · price / R, WAD, the greatest below the exact value: below 1e18 ⇔ liquidatable
    uint256 collateralRatio; //  1 / ltvHigh, WAD, rounded down
    uint256 liquidationPrice; // R · I / LT, Q128.128: liquidatable ⇔ the higher price is at most this
    uint256 liquidationPriceWad; // the same, WAD, rounded down
    bool liquidatable;
    bool insolvent; //           equity at most the minimum bonus: the tick would be seized whole
}

/// @notice What IVault.adjust by the owner would do in this block.
struct AdjustView {
    int256 collateralMoved; //   what adjust returns
    int256 debtMoved;
    PositionView positionBefore;
    PositionView positionAfter; // as `position` shows it then, but for `node`, which is 0
    uint256 borrowRateBefore; //  per second, WAD
    uint256 borrowRateAfter; //   with the debt and the cash then
    bool newRisk; //              whether it counts as new risk
    bytes refusal; //             the error with which adjust reverts, with its values; empty: it does not
}

/// @notice One populated tick now.
struct TickView {
    int24 tick;
    uint32 node;
    uint32 count; //          positions
    uint256 ratio; //         R, book debt per collateral unit, Q128.128
    uint256 bookDebt;
    uint256 debt; //          debt token units, rounded up
    uint256 collateral; //    behind it, collateral token units, rounded down
    uint256 ltvHigh; //       WAD, rounded up
    uint256 liquidationPrice; // Q128.128, whole tokens
    uint256 salePrice; //     Q128.128, whole tokens: what its collateral is sold for if it is liquidatable
    bool liquidatable;
    bool insolvent;
}

/// @notice What Liquidator.liquidate would do in this block.
struct LiquidationView {
    Verdict verdict;
    uint256 until; //           end of the pause or the grace that `verdict` names
    Price price;
    uint256 repaid; //          debt token units, pot included
    uint256 seized; //          collateral token units, pot included
    uint32 ticks; //            sold, in whole or in part, and seized
    uint32 ticksSeized; //      insolvent ones of them
    int24 fromTick; //          where the sweep begins
    int24 lowestTick; //        lowest tick that is sold or seized
    int24 landTick; //          where whole ticks land
    int24 partialTick; //       the tick that the budget cuts short, if partialLandTick differs from it
    int24 partialLandTick;
    uint256 seizedPotDebt; //   debt units seized into the pot
    uint256 seizedPotCollateral; // collateral units
    uint256 potDebtSold; //     debt units
    uint256 potCollateralSold; // collateral units
    int256 gainLow; //          value of `seized` at the lower price less `repaid`, debt token units
    int256 gainHigh; //         the same at the higher price: what the borrowers pay
}

/// @title ILens
/// @notice All that a keeper or a screen needs to know of a market, in one call. Reads the market's own words and applies
/// the market's own functions to them, so it cannot disagree with the contracts. Holds nothing; nobody depends on it.
interface ILens {
    /// @notice Lists of different lengths.
    error LengthMismatch(uint256 owners, uint256 subs);

    /// @notice A price cannot fall by more than all of it (basis points).
    error FallTooLarge(uint256 fall);

    /// @notice One market.
    function market(IVault vault) external view returns (MarketView memory);

    /// @notice Many markets.
    function markets(IVault[] calldata vaults) external view returns (MarketView[] memory);

    /// @notice One position; an unknown one is empty.
    function position(IVault vault, address owner, uint96 sub) external view returns (PositionView memory);

    /// @notice Many positions of one market. Reverts with LengthMismatch.
    function positions(
        IVault vault,
        address[] calldata owners,
        uint96[] calldata subs
    ) external view returns (PositionView[] memory);

    /// @notice Exactly what IVault.adjust by the owner or an operator would do in this block, as far as the market decides
    /// it: the caller's balance and allowance are its own affair. The parameters are adjust's.
    /// What new risk or the market's cash forbids is in `refusal`, beside the position that it would be: NewRiskPaused,
    /// PriceNotFresh, LtvTooHigh, DebtTooSmall, DebtCapExceeded, CollateralCapExceeded, InsufficientCash. Reverts as adjust
    /// does where there would be no position to show: ZeroAmount, AmountTooLarge, InsufficientCollateral,
    /// TooMuchCollateral, DebtWithoutCollateral, RatioAboveGrid.
    function preview(
        IVault vault,
        address owner,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta
    ) external view returns (AdjustView memory);

    /// @notice Up to `count` populated ticks from `from` downward (type(int24).max: from the top).
    function ticks(IVault vault, int24 from, uint256 count) external view returns (TickView[] memory);

    /// @notice Exactly what Liquidator.liquidate would do in this block; the parameters are ILiquidator.Order's.
    function liquidation(
        IVault vault,
        uint256 maxRepay,
        int24 fromTick,
        uint32 maxTicks,
        bool buyPot
    ) external view returns (LiquidationView memory);

    /// @notice Debt (debt token units, rounded up) of the ticks that would be liquidatable if the price fell by each of
    /// `falls` (basis points; reverts with FallTooLarge above 10,000). Zeros on a Dead price.
    function liquidatableUnder(
        IVault vault,
        uint256[] calldata falls
    ) external view returns (uint256[] memory);
}
