// The markets: an oracle adapter, a vault behind a proxy, and its listing.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type { CallableContractFuture, ContractFuture } from "@nomicfoundation/ignition-core";
import { ZeroAddress } from "ethers";

import {
  entry,
  type MarketParameters,
  type PairParameters,
  type Parameters,
  parseAmount,
} from "../parameters.ts";
import { feedKey, type feedsModule } from "./Feeds.ts";
import { poolKey, type poolsModule } from "./Pools.ts";
import type { protocolModule } from "./Protocol.ts";
import { proxyOf } from "./proxy.ts";

const NO_FEED = { feed: ZeroAddress, maxAge: 0, minAnswer: 0, maxAnswer: 0 };
const CAP_DECIMALS = 6; // caps are millionths of a whole token
const YEAR = 31_536_000;

/** Results are keyed by the market's id with underscores: identifiers allow no dash. */
export const marketKey = (id: string) => id.replaceAll("-", "_");

export function marketsModule(
  parameters: Parameters,
  tokens: Record<string, string>,
  feeds: ReturnType<typeof feedsModule>,
  pools: ReturnType<typeof poolsModule>,
  protocol: ReturnType<typeof protocolModule>,
) {
  return buildModule("Markets", (m) => {
    const deployed = m.useModule(protocol);
    const feedContracts = m.useModule(feeds);
    const poolContracts = m.useModule(pools);
    const libraries = vaultLibraries();

    const vaults: Record<string, ContractFuture<string>> = {};
    const oracles: Record<string, ContractFuture<string>> = {};
    const admins: Record<string, ContractFuture<string>> = {};
    const pairs: Record<string, CallableContractFuture<string>> = {};
    for (const pair of parameters.pairs) {
      const key = `${marketKey(pair.id)}_pair`;
      pairs[key] = m.contract("MarketPair", [deployed.AccessManager, termsOf(pair)], { id: key });
    }
    for (const market of parameters.markets) {
      const key = marketKey(market.id);
      const oracle = oracleOf(market);
      const implementation = m.contract(
        "Vault",
        [
          {
            name: market.name,
            symbol: market.symbol,
            collateral: entry(tokens, market.collateral),
            debt: entry(tokens, market.debt),
            spacing: market.spacing,
            collateralUnitDecimals: market.collateralUnitDecimals,
            liquidator: deployed.Liquidator,
            brake: deployed.EmergencyBrake,
            insurance: deployed.InsuranceFund,
            pair: pairOf(market.id),
          },
        ],
        { id: `${key}_implementation`, libraries },
      );
      const { contract: vault, admin } = proxyOf(m, key, implementation, deployed.Upgrader, [
        deployed.AccessManager,
        oracle,
        {
          maxLtv: market.risk.maxLtvBps,
          liquidationThreshold: market.risk.liquidationThresholdBps,
          target: market.risk.targetBps,
          bonusMin: market.risk.bonusMinBps,
          bonusMax: market.risk.bonusMaxBps,
          slope: market.risk.slopeBps,
        },
        {
          debt: parseAmount(market.caps.debt, CAP_DECIMALS),
          collateral: parseAmount(market.caps.collateral, CAP_DECIMALS),
          minDebt: parseAmount(market.caps.minDebt, CAP_DECIMALS),
        },
        market.reserveFactorPercent,
      ]);
      m.call(deployed.Upgrader, "list", [vault, implementation], { id: `${key}_list_Upgrader` });
      m.call(deployed.EmergencyBrake, "list", [vault], { id: `${key}_list_EmergencyBrake` });
      vaults[`${key}_vault`] = vault;
      oracles[`${key}_oracle`] = oracle;
      admins[`${key}_admin`] = admin;
    }
    for (const { id, long, short } of parameters.pairs) {
      const key = `${marketKey(id)}_pair`;
      const [longs, shorts] = [long, short].map((market) => entry(vaults, `${marketKey(market)}_vault`));
      m.call(entry(pairs, key), "link", [longs!, shorts!], { id: `${key}_link` });
    }
    return { ...vaults, ...oracles, ...admins, ...pairs };

    function pairOf(market: string) {
      const pair = parameters.pairs.find(({ long, short }) => long === market || short === market);
      return pair === undefined ? ZeroAddress : entry(pairs, `${marketKey(pair.id)}_pair`);
    }

    function termsOf(pair: PairParameters) {
      return {
        maxRate: BigInt(Math.floor((pair.maxRatePercentPerYear * 1e16) / YEAR)),
        deadBand: BigInt(Math.round(pair.deadBandPercent * 1e6)) * 10n ** 10n,
        halfLife: pair.halfLifeSeconds,
        insuranceShare: pair.insuranceSharePercent,
        sparedShare: pair.sparedSharePercent,
        floor: parseAmount(pair.floor, CAP_DECIMALS),
      };
    }

    function vaultLibraries() {
      const liquidation = m.library("Liquidation");
      return {
        Liquidation: liquidation,
        Lending: m.library("Lending", { libraries: { Liquidation: liquidation } }),
        Parameters: m.library("Parameters"),
        Positions: m.library("Positions"),
      };
    }

    function oracleOf({ id, collateral, debt, oracle }: MarketParameters) {
      const key = `${marketKey(id)}_oracle`;
      if ("inverseOf" in oracle) {
        const mirrored = entry(oracles, `${marketKey(oracle.inverseOf)}_oracle`);
        return m.contract("InverseOracleAdapter", [mirrored], { id: key });
      }
      return m.contract(
        "OracleAdapter",
        [
          {
            collateral: entry(tokens, collateral),
            debt: entry(tokens, debt),
            collateralFeed: feedConfig(oracle.collateral),
            debtFeed: feedConfig(oracle.debt),
            secondCollateralFeed: NO_FEED,
            secondDebtFeed: NO_FEED,
            pool: entry(poolContracts, poolKey(oracle.pool)),
            twapWindow: oracle.windowSeconds,
            blockTime: oracle.blockSeconds,
            band: oracle.bandBps,
            jumpLimit: oracle.jumpLimitBps,
            jumpWidening: oracle.jumpWideningBpsPerHour,
            jumpLimitMax: oracle.jumpLimitMaxBps,
            calmVolatility: oracle.calmVolatilityBpsPerDay,
            stressVolatility: oracle.stressVolatilityBpsPerDay,
            maxLtvCut: oracle.maxLtvCutBps,
            volatilityPeriod: oracle.volatilityPeriodSeconds,
            vetoBudget: oracle.vetoBudgetSeconds,
            vetoRefill: oracle.vetoRefillSeconds,
          },
        ],
        // The adapter refuses a pool that remembers too little.
        { id: key, after: [pools] },
      );
    }

    function feedConfig(pair: string) {
      const { decimals, maxAgeSeconds, min, max } = entry(parameters.feeds, pair);
      return {
        feed: entry(feedContracts, feedKey(pair)),
        maxAge: maxAgeSeconds,
        minAnswer: parseAmount(min, decimals),
        maxAnswer: parseAmount(max, decimals),
      };
    }
  });
}
