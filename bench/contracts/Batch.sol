// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

// The peers liquidate one account a call. Their keepers batch calls: so does the bench, as cheaply as it can be done.

struct MarketParams {
    address loanToken;
    address collateralToken;
    address oracle;
    address irm;
    uint256 lltv;
}

interface IMorpho {
    function liquidate(
        MarketParams calldata market,
        address borrower,
        uint256 seizedAssets,
        uint256 repaidShares,
        bytes calldata data
    ) external returns (uint256, uint256);
    function supplyCollateral(
        MarketParams calldata market,
        uint256 assets,
        address onBehalf,
        bytes calldata data
    ) external;
    function withdrawCollateral(
        MarketParams calldata market,
        uint256 assets,
        address onBehalf,
        address receiver
    ) external;
    function borrow(
        MarketParams calldata market,
        uint256 assets,
        uint256 shares,
        address onBehalf,
        address receiver
    ) external returns (uint256, uint256);
    function repay(
        MarketParams calldata market,
        uint256 assets,
        uint256 shares,
        address onBehalf,
        bytes calldata data
    ) external returns (uint256, uint256);
}

interface IAavePool {
    function liquidationCall(
        address collateral,
        address debt,
        address user,
        uint256 debtToCover,
        bool receiveAToken
    ) external;
}

/// @title MorphoBatch
/// @notice Liquidates Morpho positions out of its own funds.
contract MorphoBatch {
    struct Target {
        address borrower;
        uint256 seizedAssets; // one of the two is 0
        uint256 repaidShares;
    }

    IMorpho private immutable MORPHO;
    address private immutable LOAN_TOKEN;
    address private immutable COLLATERAL_TOKEN;
    address private immutable ORACLE;
    address private immutable IRM;
    uint256 private immutable LLTV;

    constructor(IMorpho morpho, MarketParams memory market) {
        MORPHO = morpho;
        LOAN_TOKEN = market.loanToken;
        COLLATERAL_TOKEN = market.collateralToken;
        ORACLE = market.oracle;
        IRM = market.irm;
        LLTV = market.lltv;
        IERC20(market.loanToken).approve(address(morpho), type(uint256).max);
    }

    function liquidate(Target[] calldata targets) external {
        MarketParams memory market = MarketParams(LOAN_TOKEN, COLLATERAL_TOKEN, ORACLE, IRM, LLTV);
        for (uint256 i = 0; i < targets.length; i++) {
            Target calldata target = targets[i];
            MORPHO.liquidate(market, target.borrower, target.seizedAssets, target.repaidShares, "");
        }
    }
}

/// @title AaveBatch
/// @notice Liquidates Aave accounts out of its own funds, each as far as the close factor allows.
contract AaveBatch {
    IAavePool private immutable POOL;
    address private immutable COLLATERAL;
    address private immutable DEBT;

    constructor(IAavePool pool, address collateral, address debt) {
        POOL = pool;
        COLLATERAL = collateral;
        DEBT = debt;
        IERC20(debt).approve(address(pool), type(uint256).max);
    }

    function liquidate(address[] calldata users) external {
        for (uint256 i = 0; i < users.length; i++) {
            POOL.liquidationCall(COLLATERAL, DEBT, users[i], type(uint256).max, false);
        }
    }
}
