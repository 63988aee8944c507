// Pools whose TWAP is the oracles' second source. Locally they are created at the feeds' price and filled to a finite
// depth; on a public network they exist, and only their memory is made long enough.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";
import type { ContractFuture } from "@nomicfoundation/ignition-core";
import { MaxUint256 } from "ethers";

import { rangeOf, sqrtPriceX96 } from "../liquidity.ts";
import { entry, type Parameters, parseAmount, type PoolParameters } from "../parameters.ts";
import { UNISWAP } from "./prebuilt.ts";
import type { uniswapModule } from "./Uniswap.ts";

const TICK_SPACING: Record<string, number> = { 100: 1, 500: 10, 3000: 60, 10000: 200 };
const USD_DECIMALS = 18;

/** Results are keyed by the pair without its slash: identifiers allow none. */
export const poolKey = (pair: string) => pair.replace("/", "_");

interface Side {
  token: string;
  address: string;
  /** US dollars of a whole token, 18 decimals. */
  price: bigint;
  /** Smallest units of a whole token. */
  unit: bigint;
}

export function poolsModule(
  parameters: Parameters,
  tokens: Record<string, string>,
  uniswap: ReturnType<typeof uniswapModule>,
) {
  return buildModule("Pools", (m) => {
    const deployer = m.getAccount(0);
    const { UniswapV3Factory: factory, NonfungiblePositionManager: positions } = m.useModule(uniswap);
    const results: Record<string, ContractFuture<string>> = {};

    for (const [pair, pool] of Object.entries(parameters.pools)) {
      const key = poolKey(pair);
      if (pool.liquidity.length === 0) {
        const args = [entry(tokens, pool.base.token), entry(tokens, pool.quote.token), pool.feeMillionths];
        const existing = m.contractAt(
          "UniswapV3Pool",
          UNISWAP.UniswapV3Pool,
          m.staticCall(factory, "getPool", args, 0, { id: `${key}_address` }),
          { id: key },
        );
        m.call(existing, "increaseObservationCardinalityNext", [pool.observations], {
          id: `${key}_observations`,
        });
        results[key] = existing;
        continue;
      }

      const { side0, side1, sqrtPrice, baseIs0 } = start(pool, parameters, tokens);
      const created = m.call(
        positions,
        "createAndInitializePoolIfNecessary",
        [side0.address, side1.address, pool.feeMillionths, sqrtPrice],
        { id: `${key}_create` },
      );
      const contract = m.contractAt(
        "UniswapV3Pool",
        UNISWAP.UniswapV3Pool,
        m.readEventArgument(created, "PoolCreated", "pool", { emitter: factory, id: `${key}_address` }),
        { id: key },
      );
      // Before the liquidity: adding it writes the observation that puts the longer memory into effect.
      const remembers = m.call(contract, "increaseObservationCardinalityNext", [pool.observations], {
        id: `${key}_observations`,
      });
      pool.liquidity.forEach(({ rangePercent, valueUsd }, i) => {
        const share = rangePercent === "full" ? 0 : rangePercent / 100;
        const range = rangeOf(
          sqrtPrice,
          TICK_SPACING[pool.feeMillionths]!,
          share === 0
            ? "full"
            : baseIs0
              ? { down: 1 - share, up: 1 + share }
              : { down: 1 / (1 + share), up: 1 / (1 - share) },
          Number((parseAmount(valueUsd, USD_DECIMALS) * side1.unit) / side1.price),
        );
        const funded = [
          { side: side0, amount: range.amount0 },
          { side: side1, amount: range.amount1 },
        ].flatMap(({ side, amount }) => {
          const id = `${key}_${i}_${side.token}`;
          const token = m.contractAt("TestToken", side.address, { id });
          return [
            m.call(token, "mint", [deployer, amount], { id: `${id}_mint` }),
            m.call(token, "approve", [positions, MaxUint256], { id: `${id}_approve` }),
          ];
        });
        m.call(
          positions,
          "mint",
          [
            {
              token0: side0.address,
              token1: side1.address,
              fee: pool.feeMillionths,
              tickLower: range.tickLower,
              tickUpper: range.tickUpper,
              amount0Desired: range.amount0,
              amount1Desired: range.amount1,
              amount0Min: 0,
              amount1Min: 0,
              recipient: deployer,
              deadline: MaxUint256,
            },
          ],
          { id: `${key}_${i}_liquidity`, after: [remembers, ...funded] },
        );
      });
      results[key] = contract;
    }
    return results;
  });
}

/** The pool's two sides in Uniswap's order (by address), and the price that the feeds give. */
function start(pool: PoolParameters, { tokens, feeds }: Parameters, addresses: Record<string, string>) {
  const [base, quote] = [pool.base, pool.quote].map(({ token, feed }): Side => {
    const source = entry(feeds, feed);
    if ("address" in source) throw new Error(`${feed} has no price in the parameters to create a pool at`);
    return {
      token,
      address: entry(addresses, token),
      price: parseAmount(source.price, USD_DECIMALS),
      unit: 10n ** BigInt(entry(tokens, token).decimals),
    };
  }) as [Side, Side];
  const baseIs0 = BigInt(base.address) < BigInt(quote.address);
  const [side0, side1] = baseIs0 ? [base, quote] : [quote, base];
  return {
    side0,
    side1,
    baseIs0,
    sqrtPrice: sqrtPriceX96(side0.unit * side1.price, side1.unit * side0.price),
  };
}
