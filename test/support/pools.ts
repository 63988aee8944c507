// The local deployment's Uniswap v3 pools, made shallow, and others beside them.
import { sqrtPriceX96 } from "../../deploy/liquidity.ts";
import type { Local } from "../../deploy/local.ts";

/** Takes `percent` of the liquidity out of the WETH/USDC pool. */
export async function drainPool(local: Local, percent: bigint) {
  const { positionManager } = local.contracts;
  for (let tokenId = 1n; tokenId <= 4n; tokenId++) {
    const { fee, liquidity } = await positionManager.positions(tokenId);
    if (fee !== 500n) continue;
    const less = { tokenId, liquidity: (liquidity * percent) / 100n, amount0Min: 0n, amount1Min: 0n };
    await (await positionManager.decreaseLiquidity({ ...less, deadline: 2n ** 64n })).wait();
  }
}

export interface Side {
  token: string;
  amount: bigint;
}

/** A pool over the whole range, in which both amounts are worth the same. */
export async function addPool(local: Local, a: Side, b: Side) {
  const { positionManager } = local.contracts;
  const deployer = local.signers.deployer;
  const sides = await Promise.all(
    [a, b].map(async ({ token, amount }) => {
      const erc20 = local.tokens[token]!;
      await (await erc20.mint(deployer, amount)).wait();
      await (await erc20.approve(positionManager, 2n ** 255n)).wait();
      return { address: await erc20.getAddress(), amount };
    }),
  );
  const [side0, side1] = sides.sort((x, y) => (BigInt(x.address) < BigInt(y.address) ? -1 : 1)) as [
    { address: string; amount: bigint },
    { address: string; amount: bigint },
  ];
  const pool = { token0: side0.address, token1: side1.address, fee: 3_000n };
  await (
    await positionManager.createAndInitializePoolIfNecessary(
      pool.token0,
      pool.token1,
      pool.fee,
      sqrtPriceX96(side0.amount, side1.amount),
    )
  ).wait();
  const range = { tickLower: -887_220, tickUpper: 887_220 };
  const amounts = {
    amount0Desired: side0.amount,
    amount1Desired: side1.amount,
    amount0Min: 0,
    amount1Min: 0,
  };
  await (
    await positionManager.mint({ ...pool, ...range, ...amounts, recipient: deployer, deadline: 2n ** 64n })
  ).wait();
}
