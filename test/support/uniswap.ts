/**
 * Uniswap v3 from npm's canonical artifacts, for tests: core, and the periphery's position manager and router.
 *
 *     const uniswap = await deployUniswap(signer);
 *     const pool = await createPool(uniswap, token0, token1, {
 *       sqrtPrice: sqrtPriceOf(2_000, 18, 6),
 *       liquidity: 10n ** 18n,
 *       observations: 60,
 *     });
 *     await tradeTo(uniswap, pool, sqrtPriceOf(2_100, 18, 6)); // a real swap that ends at this price
 */
import type { Signer } from "ethers";

import {
  NonfungiblePositionManager__factory,
  SwapRouter__factory,
  TestToken__factory,
  UniswapV3Factory__factory,
  UniswapV3Pool__factory,
} from "../../sdk/src/types/index.ts";
import type {
  NonfungiblePositionManager,
  SwapRouter,
  TestToken,
  UniswapV3Factory,
  UniswapV3Pool,
} from "../../sdk/src/types/index.ts";

export const FEE = 500n;
const TICK_SPACING = 10;
const MAX_TICK = Math.floor(887_272 / TICK_SPACING) * TICK_SPACING;
const MAX_UINT256 = 2n ** 256n - 1n;
const FOREVER = 2n ** 32n;

export interface Uniswap {
  /** Deployer, liquidity provider and trader. */
  signer: Signer;
  factory: UniswapV3Factory;
  positions: NonfungiblePositionManager;
  router: SwapRouter;
}

export async function deployUniswap(signer: Signer): Promise<Uniswap> {
  const factory = await new UniswapV3Factory__factory(signer).deploy();
  // Neither wrapped ether nor position pictures are used here: any address does.
  const positions = await new NonfungiblePositionManager__factory(signer).deploy(factory, factory, factory);
  const router = await new SwapRouter__factory(signer).deploy(factory, factory);
  return { signer, factory, positions, router };
}

/** sqrt(price × 10^(decimals1 − decimals0)) as Q64.96; `price` in whole tokens 1 per whole token 0. */
export function sqrtPriceOf(price: number, decimals0: number, decimals1: number): bigint {
  return BigInt(Math.floor(Math.sqrt(price * 10 ** (decimals1 - decimals0)) * 2 ** 96));
}

/**
 * A pool of two test tokens with liquidity over the whole price range and room for `observations`: reserved before the
 * first liquidity comes in, because a pool grows only when it writes an observation.
 */
export async function createPool(
  { signer, factory, positions }: Uniswap,
  token0: TestToken,
  token1: TestToken,
  options: { sqrtPrice: bigint; liquidity: bigint; observations: number },
): Promise<UniswapV3Pool> {
  const [address0, address1] = [await token0.getAddress(), await token1.getAddress()];
  await factory.createPool(address0, address1, FEE);
  const pool = UniswapV3Pool__factory.connect(await factory.getPool(address0, address1, FEE), signer);
  await pool.initialize(options.sqrtPrice);
  await pool.increaseObservationCardinalityNext(options.observations);
  const owner = await signer.getAddress();
  for (const token of [token0, token1]) {
    await token.mint(owner, 2n ** 160n);
    await token.approve(positions, MAX_UINT256);
  }
  await positions.mint({
    token0: address0,
    token1: address1,
    fee: FEE,
    tickLower: -MAX_TICK,
    tickUpper: MAX_TICK,
    amount0Desired: (options.liquidity << 96n) / options.sqrtPrice,
    amount1Desired: (options.liquidity * options.sqrtPrice) >> 96n,
    amount0Min: 0n,
    amount1Min: 0n,
    recipient: owner,
    deadline: FOREVER,
  });
  return pool;
}

/** Swaps until the pool's price is `sqrtPrice`. */
export async function tradeTo(
  { signer, router }: Uniswap,
  pool: UniswapV3Pool,
  sqrtPrice: bigint,
): Promise<void> {
  const { sqrtPriceX96 } = await pool.slot0();
  if (sqrtPriceX96 === sqrtPrice) return;
  const tokens = [await pool.token0(), await pool.token1()] as const;
  const [tokenIn, tokenOut] = sqrtPrice < sqrtPriceX96 ? tokens : [tokens[1], tokens[0]];
  const owner = await signer.getAddress();
  const amountIn = 2n ** 120n; // more than the way there takes; the router pulls only what is swapped
  const input = TestToken__factory.connect(tokenIn, signer);
  await input.mint(owner, amountIn);
  await input.approve(router, amountIn);
  await router.exactInputSingle({
    tokenIn,
    tokenOut,
    fee: FEE,
    recipient: owner,
    deadline: FOREVER,
    amountIn,
    amountOutMinimum: 0n,
    sqrtPriceLimitX96: sqrtPrice,
  });
}
