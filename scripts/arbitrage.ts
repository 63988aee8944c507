// The local arbitrageur: trades every Uniswap pool of a local deployment to the price of its feeds. Without one the
// pools' time-weighted prices never follow the feeds. It holds its own inventory and touches nothing else.
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import { formatAmount, isqrt } from "@breakwater/sdk/core";
import { MaxUint256 } from "ethers";

import type { Local } from "../deploy/local.ts";
import { entry } from "../deploy/parameters.ts";

export interface Trade {
  pool: string;
  sold: bigint; //   token units
  bought: bigint;
  words: string;
}

/** In US dollars of each token: far more than any pool takes. */
const INVENTORY_USD = 500_000_000n;
/** More than it takes: somebody else's trade may come between an estimate and this one. */
const GAS_LIMIT = 5_000_000n;
const SPOT_ON = 20_000n; // nearer than one part in this many, in the root of the price: leave it

/** Gives `trader` its inventory. */
export async function openArbitrageur(local: Local, trader: HardhatEthersSigner) {
  for (const { base, quote } of Object.values(local.parameters.pools)) {
    for (const side of [base, quote]) {
      const token = entry(local.tokens, side.token).connect(trader);
      if ((await token.allowance(trader, local.contracts.swapRouter)) > 0n) continue;
      const feed = entry(local.feeds, side.feed);
      const [[, answer], feedDecimals, decimals] = await Promise.all([
        feed.latestRoundData(),
        feed.decimals(),
        token.decimals(),
      ]);
      const amount = (INVENTORY_USD * 10n ** (decimals + feedDecimals)) / answer;
      await (await token.mint(trader, amount)).wait();
      await (await token.approve(local.contracts.swapRouter, MaxUint256)).wait();
    }
  }

  return {
    /** Trades every pool to its feeds' price; says what it did. */
    async trade(): Promise<Trade[]> {
      const trades: Trade[] = [];
      for (const pair of Object.keys(local.pools)) {
        const trade = await tradePool(local, trader, pair);
        if (trade) trades.push(trade);
      }
      return trades;
    },
  };
}

async function tradePool(
  local: Local,
  trader: HardhatEthersSigner,
  pair: string,
): Promise<Trade | undefined> {
  const { base, quote, feeMillionths } = entry(local.parameters.pools, pair);
  const pool = entry(local.pools, pair);
  const [baseSide, quoteSide] = await Promise.all(
    [base, quote].map(async (side) => {
      const [[, answer], feedDecimals] = await Promise.all([
        entry(local.feeds, side.feed).latestRoundData(),
        entry(local.feeds, side.feed).decimals(),
      ]);
      const token = entry(local.tokens, side.token).connect(trader);
      // Value of the token's smallest unit, by one scale for both sides.
      const value = answer * 10n ** (60n - feedDecimals - (await token.decimals()));
      return { symbol: side.token, token, decimals: Number(await token.decimals()), value };
    }),
  );
  const baseIs0 = (await pool.token0()) === (await baseSide!.token.getAddress());
  const [side0, side1] = baseIs0 ? [baseSide!, quoteSide!] : [quoteSide!, baseSide!];
  const target = sqrtPriceOf(side0.value, side1.value);
  const { sqrtPriceX96: current } = await pool.slot0();
  const gap = target > current ? target - current : current - target;
  if (gap * SPOT_ON < current) return undefined;

  const [tokenIn, tokenOut] = target < current ? [side0, side1] : [side1, side0];
  const [inBefore, outBefore] = [
    await tokenIn.token.balanceOf(trader),
    await tokenOut.token.balanceOf(trader),
  ];
  const sent = await local.contracts.swapRouter.connect(trader).exactInputSingle(
    {
      tokenIn: tokenIn.token,
      tokenOut: tokenOut.token,
      fee: feeMillionths,
      recipient: trader,
      deadline: MaxUint256,
      // The pool takes what it needs to reach the limit: the exact swap.
      amountIn: inBefore,
      amountOutMinimum: 0n,
      sqrtPriceLimitX96: target,
    },
    { gasLimit: GAS_LIMIT },
  );
  await sent.wait();
  const sold = inBefore - (await tokenIn.token.balanceOf(trader));
  const bought = (await tokenOut.token.balanceOf(trader)) - outBefore;
  const words =
    `sold ${formatAmount(sold, tokenIn.decimals, 2)} ${tokenIn.symbol} ` +
    `for ${formatAmount(bought, tokenOut.decimals, 2)} ${tokenOut.symbol}`;
  return { pool: pair, sold, bought, words };
}

/** Square root of token1 per token0 in smallest units, Q64.96, from what a unit of each is worth. */
export function sqrtPriceOf(value0: bigint, value1: bigint): bigint {
  return isqrt((value0 << 192n) / value1);
}
