// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {ERC4626Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC4626Upgradeable.sol";
import {NoncesUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/NoncesUpgradeable.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ShortString, ShortStrings} from "@openzeppelin/contracts/utils/ShortStrings.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";
import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";
import {SignatureCheckerLib} from "solady/src/utils/SignatureCheckerLib.sol";
import {IInsuranceFund} from "./interfaces/IInsuranceFund.sol";
import {IMarketPair} from "./interfaces/IMarketPair.sol";
import {IOracleAdapter, Price, PriceState} from "./interfaces/IOracleAdapter.sol";
import {
    Caps,
    ILiquidationPayer,
    IVault,
    IVaultCallback,
    LiquidationRequest,
    RiskParameters
} from "./interfaces/IVault.sol";
import {Grid} from "./libraries/Grid.sol";
import {Lending} from "./libraries/Lending.sol";
import {Liquidation} from "./libraries/Liquidation.sol";
import {Market} from "./libraries/Market.sol";
import {Parameters} from "./libraries/Parameters.sol";
import {Positions} from "./libraries/Positions.sol";
import {TickBook} from "./libraries/TickBook.sol";

/// @title Vault
/// @notice One market. See IVault for what it promises.
///
/// TOKENS. Standard ERC-20 with 6 to 24 decimals. What comes in is measured: a token that takes a fee is refused by the
/// first transfer. Cash is accounted for inside; a donation changes nothing.
///
/// ORDER. Every entry writes all of its state before it moves a token or calls out, under one transient guard; prices
/// are read before the tokens move.
///
/// ROLES. The governor sets parameters through the AccessManager; the brake and the liquidator are fixed contracts.
/// Hot paths ask no authority.
contract Vault is
    IVault,
    ERC4626Upgradeable,
    AccessManagedUpgradeable,
    NoncesUpgradeable,
    ReentrancyGuardTransient,
    EIP712
{
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using Math for uint256;
    using ShortStrings for string;
    using ShortStrings for ShortString;
    using Market for Market.State;
    using Market for Market.Ledger;
    using TickBook for TickBook.State;

    /// @dev What a market is, for ever.
    struct Listing {
        string name; //                   of the lenders' shares, at most 31 bytes, as the symbol
        string symbol;
        address collateral;
        address debt;
        int24 spacing; //                 of the grid, in raw ticks
        uint8 collateralUnitDecimals; //  18, or fewer for a collateral of which 2⁹⁶ units would be too few
        address liquidator;
        address brake;
        address insurance;
        address pair; //                  of this market and its mirror; 0: none
    }

    bytes32 private constant SET_OPERATOR_TYPEHASH = keccak256(
        "SetOperator(address owner,address operator,bool approved,uint256 nonce,uint256 deadline)"
    );
    /// @dev Half of what cash can hold: interest on the rest never overflows it.
    uint256 private constant MAX_ASSETS = type(uint112).max / 2;

    address public immutable COLLATERAL;
    int24 public immutable SPACING;
    address public immutable LIQUIDATOR;
    address public immutable BRAKE;
    address public immutable INSURANCE;
    address public immutable PAIR;
    address private immutable DEBT;
    ShortString private immutable NAME;
    ShortString private immutable SYMBOL;
    uint8 private immutable DECIMALS;
    uint256 private immutable COLLATERAL_MULTIPLIER;
    uint256 private immutable COLLATERAL_DIVISOR;
    uint256 private immutable DEBT_MULTIPLIER;
    uint256 private immutable DEBT_DIVISOR;
    uint256 private immutable PRICE_MULTIPLIER;

    /// @dev Slot 0 onwards: everything inherited is namespaced.
    Market.State private _market;

    constructor(Listing memory listing) {
        (address collateral, address debt, int24 spacing) = (
            listing.collateral,
            listing.debt,
            listing.spacing
        );
        require(collateral != debt, SameToken(debt));
        require(spacing >= 4, SpacingTooSmall(spacing, 4));
        uint8 collateralDecimals = _decimalsOf(collateral);
        uint8 debtDecimals = _decimalsOf(debt);
        uint8 unitDecimals = listing.collateralUnitDecimals;
        require(unitDecimals >= 6 && unitDecimals <= 18, UnsupportedDecimals(collateral, unitDecimals));
        NAME = listing.name.toShortString();
        SYMBOL = listing.symbol.toShortString();
        DECIMALS = debtDecimals;
        COLLATERAL = collateral;
        DEBT = debt;
        SPACING = spacing;
        LIQUIDATOR = listing.liquidator;
        BRAKE = listing.brake;
        INSURANCE = listing.insurance;
        PAIR = listing.pair;
        require(listing.pair == address(0) || listing.pair.code.length != 0, PairMissing(listing.pair));
        (COLLATERAL_MULTIPLIER, COLLATERAL_DIVISOR) = _scale(collateralDecimals, unitDecimals);
        (DEBT_MULTIPLIER, DEBT_DIVISOR) = _scale(debtDecimals, 18);
        PRICE_MULTIPLIER = 10 ** (18 - unitDecimals);
        _disableInitializers();
    }

    /// @notice Opens the market; called once, by the proxy's constructor.
    /// @dev ERC20's and ERC4626's initializers would store the name, the symbol and the asset, which are immutable here.
    /// @custom:oz-upgrades-unsafe-allow missing-initializer-call incorrect-initializer-order
    function initialize(
        address authority_,
        address oracle,
        RiskParameters calldata risk,
        Caps calldata caps,
        uint8 reserveFactor
    ) external initializer {
        __AccessManaged_init(authority_);
        Parameters.initialize(_market, oracle, risk, caps, reserveFactor, SPACING);
    }

    // ------------------------------------------------------------------ borrowers

    /// @inheritdoc IVault
    function adjust(
        address owner,
        uint96 sub,
        int256 collateralDelta,
        int256 debtDelta,
        address receiver,
        bytes calldata data
    ) external nonReentrant returns (int256, int256) {
        bool acts = _market.actsFor(owner);
        require(acts || (collateralDelta >= 0 && debtDelta <= 0), NotAuthorized(msg.sender, owner));
        require(collateralDelta != 0 || debtDelta != 0, ZeroAmount());

        Market.Units memory u = _units();
        // Adding collateral needs neither interest nor price.
        bool touches = debtDelta != 0 || collateralDelta < 0;
        Market.Ledger memory ledger;
        if (touches) {
            ledger = _market.ledger;
            ledger.charge(u, address(this));
        }

        TickBook.Outcome memory out = _market.book.change(
            _market.book.position[TickBook.keyOf(owner, sub)],
            Market.collateralChange(collateralDelta, u),
            Market.bookChange(debtDelta, ledger.borrowIndex, u),
            acts,
            SPACING
        );

        // What really moves: all of the collateral, or what was owed, in tokens.
        if (collateralDelta == type(int256).min) {
            collateralDelta = -int256(Market.collateralTokensDown(out.taken, u));
        }
        if (debtDelta < 0 && out.newDebt == 0) {
            debtDelta = -int256(Market.debtTokensUp(Market.unitsUp(out.oldDebt, ledger.borrowIndex), u));
        }
        if (touches) ledger.debt = (uint256(ledger.debt) - out.oldDebt + out.newDebt).toUint104();
        if (out.newDebt > out.oldDebt || (out.taken != 0 && out.newDebt != 0 && out.newTick > out.oldTick)) {
            _checkNewRisk(out, ledger, collateralDelta, u);
        }
        if (touches) {
            if (debtDelta > 0) ledger.cash = _lessCash(ledger.cash, uint256(debtDelta));
            else ledger.cash = (uint256(ledger.cash) + uint256(-debtDelta)).toUint112();
            _market.write(ledger, PAIR);
        }
        emit Adjust(
            owner,
            sub,
            msg.sender,
            collateralDelta,
            debtDelta,
            out.newTick,
            out.node,
            out.shares,
            out.newDebt,
            out.surplus,
            ledger.borrowIndex
        );

        if (collateralDelta < 0) IERC20(COLLATERAL).safeTransfer(receiver, uint256(-collateralDelta));
        if (debtDelta > 0) IERC20(DEBT).safeTransfer(receiver, uint256(debtDelta));
        if (data.length != 0) {
            IVaultCallback(msg.sender).onAdjust(
                collateralDelta > 0 ? uint256(collateralDelta) : 0,
                debtDelta < 0 ? uint256(-debtDelta) : 0,
                data
            );
        }
        if (collateralDelta > 0) _pull(COLLATERAL, msg.sender, uint256(collateralDelta));
        if (debtDelta < 0) _pull(DEBT, msg.sender, uint256(-debtDelta));
        return (collateralDelta, debtDelta);
    }

    /// @inheritdoc IVault
    function withdrawSurplus(
        address owner,
        uint96 sub,
        uint256 amount,
        address receiver
    ) external nonReentrant returns (uint256) {
        return Positions.withdrawSurplus(_market, _units(), IERC20(COLLATERAL), owner, sub, amount, receiver);
    }

    /// @inheritdoc IVault
    function setOperator(address operator, bool approved) external {
        _setOperator(msg.sender, operator, approved);
    }

    /// @inheritdoc IVault
    function setOperatorBySignature(
        address owner,
        address operator,
        bool approved,
        uint256 deadline,
        bytes calldata signature
    ) external {
        require(block.timestamp <= deadline, SignatureExpired(deadline));
        bytes32 digest = _hashTypedData(
            keccak256(
                abi.encode(SET_OPERATOR_TYPEHASH, owner, operator, approved, _useNonce(owner), deadline)
            )
        );
        require(
            SignatureCheckerLib.isValidSignatureNowCalldata(owner, digest, signature),
            InvalidSignature(owner)
        );
        _setOperator(owner, operator, approved);
    }

    /// @inheritdoc IVault
    function offerPosition(address owner, uint96 sub, address to) external {
        Positions.offer(_market, owner, sub, to);
    }

    /// @inheritdoc IVault
    function transferPosition(address from, uint96 fromSub, address to, uint96 toSub) external nonReentrant {
        Positions.transfer(_market, from, fromSub, to, toSub);
    }

    // ------------------------------------------------------------------ lenders

    /// @inheritdoc IERC4626
    function deposit(
        uint256 assets,
        address receiver
    ) public override(ERC4626Upgradeable, IERC4626) nonReentrant returns (uint256 shares) {
        Market.Ledger memory ledger = _market.ledger;
        shares = _toShares(assets, _enter(ledger, true), Math.Rounding.Floor);
        _lend(ledger, receiver, assets, shares);
    }

    /// @inheritdoc IERC4626
    function mint(
        uint256 shares,
        address receiver
    ) public override(ERC4626Upgradeable, IERC4626) nonReentrant returns (uint256 assets) {
        Market.Ledger memory ledger = _market.ledger;
        assets = _toAssets(shares, _enter(ledger, true), Math.Rounding.Ceil);
        _lend(ledger, receiver, assets, shares);
    }

    /// @inheritdoc IERC4626
    function withdraw(
        uint256 assets,
        address receiver,
        address owner
    ) public override(ERC4626Upgradeable, IERC4626) nonReentrant returns (uint256 shares) {
        Market.Ledger memory ledger = _market.ledger;
        shares = _toShares(assets, _enter(ledger, false), Math.Rounding.Ceil);
        _redeem(ledger, receiver, owner, assets, shares);
    }

    /// @inheritdoc IERC4626
    function redeem(
        uint256 shares,
        address receiver,
        address owner
    ) public override(ERC4626Upgradeable, IERC4626) nonReentrant returns (uint256 assets) {
        Market.Ledger memory ledger = _market.ledger;
        assets = _toAssets(shares, _enter(ledger, false), Math.Rounding.Floor);
        _redeem(ledger, receiver, owner, assets, shares);
    }

    /// @notice Assets of the lenders at the lower price, accrued to now. With a Dead price seized collateral counts as
    /// nothing, and lenders wait.
    function totalAssets() public view override(ERC4626Upgradeable, IERC4626) returns (uint256 total) {
        (total, ) = _assess(false, false);
    }

    /// @inheritdoc IERC4626
    function previewDeposit(
        uint256 assets
    ) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        return _toShares(assets, _previewAssets(true), Math.Rounding.Floor);
    }

    /// @inheritdoc IERC4626
    function previewMint(
        uint256 shares
    ) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        return _toAssets(shares, _previewAssets(true), Math.Rounding.Ceil);
    }

    /// @inheritdoc IERC4626
    function previewWithdraw(
        uint256 assets
    ) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        return _toShares(assets, _previewAssets(false), Math.Rounding.Ceil);
    }

    /// @inheritdoc IERC4626
    function previewRedeem(
        uint256 shares
    ) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        return _toAssets(shares, _previewAssets(false), Math.Rounding.Floor);
    }

    /// @inheritdoc IERC4626
    function maxDeposit(address) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        (uint256 total, bool waits) = _assess(true, false);
        return waits ? 0 : MAX_ASSETS.saturatingSub(total);
    }

    /// @inheritdoc IERC4626
    function maxMint(address) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        (uint256 total, bool waits) = _assess(true, false);
        return waits ? 0 : _toShares(MAX_ASSETS.saturatingSub(total), total, Math.Rounding.Floor);
    }

    /// @inheritdoc IERC4626
    function maxWithdraw(address owner) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        (uint256 total, bool waits) = _assess(false, false);
        if (waits) return 0;
        return Math.min(_toAssets(balanceOf(owner), total, Math.Rounding.Floor), _market.ledger.cash);
    }

    /// @inheritdoc IERC4626
    function maxRedeem(address owner) public view override(ERC4626Upgradeable, IERC4626) returns (uint256) {
        (uint256 total, bool waits) = _assess(false, false);
        if (waits) return 0;
        return Math.min(balanceOf(owner), _toShares(_market.ledger.cash, total, Math.Rounding.Floor));
    }

    function name() public view override(ERC20Upgradeable, IERC20Metadata) returns (string memory) {
        return NAME.toString();
    }

    function symbol() public view override(ERC20Upgradeable, IERC20Metadata) returns (string memory) {
        return SYMBOL.toString();
    }

    function decimals() public view override(ERC4626Upgradeable, IERC20Metadata) returns (uint8) {
        return DECIMALS;
    }

    /// @notice The debt token.
    function asset() public view override(ERC4626Upgradeable, IERC4626) returns (address) {
        return DEBT;
    }

    // ------------------------------------------------------------------ liquidation

    /// @inheritdoc IVault
    function liquidate(
        LiquidationRequest calldata request,
        bytes calldata data
    ) external nonReentrant returns (uint256 repaid, uint256 seized) {
        require(msg.sender == LIQUIDATOR, NotAuthorized(msg.sender, LIQUIDATOR));
        Price memory price = IOracleAdapter(_market.risk.oracle).update();
        (repaid, seized) = Liquidation.liquidate(
            _market,
            _units(),
            price,
            request,
            IInsuranceFund(INSURANCE)
        );

        if (seized != 0) IERC20(COLLATERAL).safeTransfer(request.receiver, seized);
        uint256 before = IERC20(DEBT).balanceOf(address(this));
        ILiquidationPayer(msg.sender).payLiquidation(DEBT, repaid, seized, data);
        _checkReceived(DEBT, before, repaid);
    }

    /// @inheritdoc IVault
    function settle(
        address owner,
        uint96 sub,
        uint256 maxRepay,
        address receiver
    ) external nonReentrant returns (uint256 repaid, uint256 seized) {
        (repaid, seized) = Liquidation.settle(_market, _units(), owner, sub, maxRepay, receiver);
        if (seized != 0) IERC20(COLLATERAL).safeTransfer(receiver, seized);
        _pull(DEBT, msg.sender, repaid);
    }

    /// @inheritdoc IVault
    function collectReserves() external nonReentrant returns (uint256 amount) {
        return Lending.collectReserves(_market, _units(), IInsuranceFund(INSURANCE), IERC20(DEBT));
    }

    /// @inheritdoc IVault
    function accrueInterest() external nonReentrant {
        Lending.accrue(_market, _units());
    }

    // ------------------------------------------------------------------ governor and brake

    /// @inheritdoc IVault
    function setRisk(RiskParameters calldata risk) external restricted {
        _setRisk(risk, 0);
    }

    /// @inheritdoc IVault
    function startRamp(RiskParameters calldata target, uint32 duration) external restricted {
        _setRisk(target, duration);
    }

    /// @inheritdoc IVault
    function stopRamp() external restricted {
        Parameters.stopRamp(_market);
    }

    /// @inheritdoc IVault
    function pokeRamp() external {
        Parameters.pokeRamp(_market);
    }

    /// @inheritdoc IVault
    function startWindDown(uint32 duration) external restricted {
        _startWindDown(duration);
    }

    /// @inheritdoc IVault
    function startWindDownDead() external {
        _startWindDown(0);
    }

    /// @inheritdoc IVault
    function setCascade(uint80 cap, uint32 window) external restricted {
        Parameters.setCascade(_market, cap, window);
    }

    /// @inheritdoc IVault
    function setCaps(Caps calldata caps) external restricted {
        Parameters.setCaps(_market, caps);
    }

    /// @inheritdoc IVault
    function setReserveFactor(uint8 percent) external restricted {
        Parameters.setReserveFactor(_market, percent, _units());
    }

    /// @inheritdoc IVault
    function setOracle(address oracle) external restricted {
        Parameters.setOracle(_market, oracle, SPACING);
    }

    /// @inheritdoc IVault
    function setBrake(uint32 noNewRiskUntil, uint32 liquidationsPausedUntil, uint32 graceUntil) external {
        require(msg.sender == BRAKE, NotAuthorized(msg.sender, BRAKE));
        Parameters.setBrake(_market, noNewRiskUntil, liquidationsPausedUntil, graceUntil);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IVault
    function scales() external view returns (uint256, uint256, uint256, uint256, uint256) {
        return (COLLATERAL_MULTIPLIER, COLLATERAL_DIVISOR, DEBT_MULTIPLIER, DEBT_DIVISOR, PRICE_MULTIPLIER);
    }

    /// @inheritdoc IVault
    function isOperator(address owner, address operator) external view returns (bool) {
        return _market.isOperator[owner][operator];
    }

    /// @inheritdoc IVault
    function potDebt() external view returns (uint256) {
        return _market.book.potDebt;
    }

    /// @inheritdoc IVault
    function readSlot(bytes32 slot) external view returns (bytes32 value) {
        assembly ("memory-safe") {
            value := sload(slot)
        }
    }

    // ------------------------------------------------------------------ borrowers, inside

    /// @dev New risk: no brake, a Fresh price, the tick's LTV at most maxLtv, less the cut under stress, at the lower price;
    /// for more debt also the minimum and the caps. The pair learns that price.
    function _checkNewRisk(
        TickBook.Outcome memory out,
        Market.Ledger memory ledger,
        int256 collateralDelta,
        Market.Units memory u
    ) private {
        Market.Risk storage risk = _market.risk;
        (address oracle, uint256 maxLtv, uint256 until) = (risk.oracle, risk.maxLtv, risk.noNewRiskUntil);
        if (block.timestamp < until) revert NewRiskPaused(_market.level());
        Price memory price = IOracleAdapter(oracle).update();
        require(price.state == PriceState.Fresh, PriceNotFresh(price.state));
        uint256 low = Market.bookPriceDown(price.low, ledger.borrowIndex, u);
        maxLtv = (maxLtv * (Market.BPS - price.maxLtvCut)) / Market.BPS;
        if (out.ratio * Market.BPS > low * maxLtv) {
            revert LtvTooHigh((out.ratio * Market.WAD) / low, (maxLtv * Market.WAD) / Market.BPS);
        }
        if (PAIR != address(0)) IMarketPair(PAIR).observe(price.low);
        if (out.newDebt <= out.oldDebt) return;

        Market.Limits storage limits = _market.limits;
        uint256 minDebt = uint256(limits.minDebt) * Market.MICRO;
        uint256 debtCap = uint256(limits.debtCap) * Market.MICRO;
        uint256 collateralCap = (uint256(limits.collateralCap) * Market.MICRO) / PRICE_MULTIPLIER;
        uint256 debt = Market.unitsUp(out.newDebt, ledger.borrowIndex);
        require(debt >= minDebt, DebtTooSmall(debt, minDebt));
        debt = Market.unitsUp(ledger.debt, ledger.borrowIndex);
        require(debt <= debtCap, DebtCapExceeded(debt, debtCap));
        uint256 collateral = Market.collateralUnitsUp(
            uint256(int256(IERC20(COLLATERAL).balanceOf(address(this))) + collateralDelta),
            u
        );
        require(collateral <= collateralCap, CollateralCapExceeded(collateral, collateralCap));
    }

    function _setOperator(address owner, address operator, bool approved) private {
        _market.isOperator[owner][operator] = approved;
        emit SetOperator(owner, operator, approved);
    }

    // ------------------------------------------------------------------ lenders, inside

    /// @dev Before a lender comes or goes: charge interest and seize what is insolvent, so that the share price knows
    /// every loss there is. Returns the assets at the price worse for who comes or goes; the caller writes the ledger.
    function _enter(Market.Ledger memory ledger, bool atHigh) private returns (uint256 total) {
        Market.Units memory u = _units();
        ledger.charge(u, address(this));
        Market.Risk storage risk = _market.risk;
        // Whoever wants to lend to a market that is wound down; `deposit` and `mint` alone enter at the higher price.
        require(!atHigh || risk.noNewRiskUntil != type(uint32).max, WindingDown());
        uint256 debt = ledger.debt;
        (int24 top, uint256 pot) = (_market.book.top, _market.book.potDebt);
        if (pot == 0) {
            if (debt == 0) return uint256(ledger.cash).saturatingSub(ledger.reserves);
            // Healthy if even the bound of the highest populated tick is solvent at the lower price.
            (address oracle, uint256 bonusMin) = (risk.oracle, risk.bonusMin);
            uint256 low = Market.bookPriceDown(IOracleAdapter(oracle).read().low, ledger.borrowIndex, u);
            if (!Market.isInsolvent(Grid.ratioOf(top, SPACING), low, bonusMin)) {
                debt = Market.debtTokensDown(Market.unitsDown(debt, ledger.borrowIndex), u);
                return (debt + ledger.cash).saturatingSub(ledger.reserves);
            }
        }
        _market.write(ledger, PAIR);
        total = Lending.enter(_market, u, IInsuranceFund(INSURANCE), atHigh);
        ledger.debt = _market.ledger.debt; // less what was seized
    }

    /// @dev The lenders' assets, and whether they wait; if `required`, reverts instead.
    function _assess(bool atHigh, bool required) private view returns (uint256, bool) {
        return Lending.assets(_market, _units(), IInsuranceFund(INSURANCE), atHigh, required);
    }

    function _previewAssets(bool atHigh) private view returns (uint256 total) {
        (total, ) = _assess(atHigh, true);
    }

    /// @inheritdoc ERC4626Upgradeable
    function _convertToShares(
        uint256 assets,
        Math.Rounding rounding
    ) internal view override returns (uint256) {
        return _toShares(assets, totalAssets(), rounding);
    }

    /// @inheritdoc ERC4626Upgradeable
    function _convertToAssets(
        uint256 shares,
        Math.Rounding rounding
    ) internal view override returns (uint256) {
        return _toAssets(shares, totalAssets(), rounding);
    }

    function _toShares(uint256 assets, uint256 total, Math.Rounding rounding) private view returns (uint256) {
        uint256 supply = totalSupply() + 1;
        return
            rounding == Math.Rounding.Ceil
                ? FixedPointMathLib.fullMulDivUp(assets, supply, total + 1)
                : FixedPointMathLib.fullMulDiv(assets, supply, total + 1);
    }

    function _toAssets(uint256 shares, uint256 total, Math.Rounding rounding) private view returns (uint256) {
        uint256 supply = totalSupply() + 1;
        return
            rounding == Math.Rounding.Ceil
                ? FixedPointMathLib.fullMulDivUp(shares, total + 1, supply)
                : FixedPointMathLib.fullMulDiv(shares, total + 1, supply);
    }

    function _lend(Market.Ledger memory ledger, address receiver, uint256 assets, uint256 shares) private {
        require(assets != 0 && shares != 0, ZeroAmount());
        uint256 cash = ledger.cash + assets;
        require(cash <= MAX_ASSETS, AmountTooLarge(assets, MAX_ASSETS));
        ledger.cash = uint112(cash);
        _market.write(ledger, PAIR);
        _deposit(msg.sender, receiver, assets, shares);
    }

    function _redeem(
        Market.Ledger memory ledger,
        address receiver,
        address owner,
        uint256 assets,
        uint256 shares
    ) private {
        require(assets != 0 && shares != 0, ZeroAmount());
        ledger.cash = _lessCash(ledger.cash, assets);
        _market.write(ledger, PAIR);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /// @inheritdoc ERC4626Upgradeable
    function _transferIn(address from, uint256 assets) internal override {
        _pull(DEBT, from, assets);
    }

    // ------------------------------------------------------------------ governor, inside

    function _setRisk(RiskParameters calldata risk, uint256 duration) private {
        Parameters.setRisk(_market, risk, duration, SPACING);
    }

    function _startWindDown(uint256 duration) private {
        Parameters.startWindDown(_market, duration);
    }

    // ------------------------------------------------------------------ tokens and units

    function _lessCash(uint256 cash, uint256 amount) private pure returns (uint112) {
        require(amount <= cash, InsufficientCash(amount, cash));
        return uint112(cash - amount);
    }

    function _pull(address token, address from, uint256 amount) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        _checkReceived(token, before, amount);
    }

    function _checkReceived(address token, uint256 before, uint256 expected) private view {
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        require(received == expected, TransferMismatch(token, expected, received));
    }

    function _units() private view returns (Market.Units memory u) {
        u.spacing = SPACING;
        u.collateralMultiplier = COLLATERAL_MULTIPLIER;
        u.collateralDivisor = COLLATERAL_DIVISOR;
        u.debtMultiplier = DEBT_MULTIPLIER;
        u.debtDivisor = DEBT_DIVISOR;
        u.priceMultiplier = PRICE_MULTIPLIER;
        u.pair = PAIR;
    }

    function _decimalsOf(address token) private view returns (uint8 decimals_) {
        decimals_ = IERC20Metadata(token).decimals();
        require(decimals_ >= 6 && decimals_ <= 24, UnsupportedDecimals(token, decimals_));
    }

    function _scale(uint8 from, uint8 to) private pure returns (uint256 multiplier, uint256 divisor) {
        multiplier = from < to ? 10 ** (to - from) : 1;
        divisor = from > to ? 10 ** (from - to) : 1;
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Breakwater", "1");
    }
}
