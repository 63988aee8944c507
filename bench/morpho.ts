// Morpho Blue with its package's rate model, which is a mock: the deployed one costs about 9,000 more per accrual.
import { SwapRouter__factory } from "@breakwater/sdk/types";
import { AbiCoder, Interface, keccak256 } from "ethers";

import { FEE } from "../test/support/uniswap.ts";
import type { Call, Chain } from "./chain.ts";
import { type Artifact, compileMorpho, deploy } from "./compile.ts";
import {
  approve,
  atLeast,
  atMost,
  COLLATERAL,
  type Exchange,
  inCollateral,
  inDebt,
  type Holder,
  LENDER,
  type Leverage,
  LIQUIDATOR,
  type Protocol,
  USER,
} from "./scene.ts";

const LLTV = 86n * 10n ** 16n;
const WAD = 10n ** 18n;
const MARKET_PARAMS = "tuple(address,address,address,address,uint256)";
/** Accounts that one transaction can liquidate below its gas cap. */
const BATCH = 500;
/** By hand nobody goes closer to the LLTV, percent. */
const LOOP_LTV = 85n;

export async function deployMorpho(
  chain: Chain,
  own: Record<string, Artifact>,
  {
    collateral,
    debt,
    slot,
    setPrice,
    exchange,
  }: { collateral: string; debt: string; slot: string; exchange: Exchange } & Pick<Protocol, "setPrice">,
): Promise<Protocol> {
  const compiled = compileMorpho();
  const { address: irm } = await deploy(chain.signer, compiled["IrmMock"], []);
  const { address: morpho, contract } = await deploy(chain.signer, compiled["Morpho"], [
    chain.signer.address,
  ]);
  const market = [debt, collateral, slot, irm, LLTV];
  await contract.getFunction("enableIrm")(irm);
  await contract.getFunction("enableLltv")(LLTV);
  await contract.getFunction("createMarket")(market);
  const { address: batch } = await deploy(chain.signer, own["MorphoBatch"], [morpho, market]);

  const { address: flash } = await deploy(chain.signer, own["MorphoLeverage"], [
    morpho,
    market,
    exchange.router,
    FEE,
  ]);

  const { interface: morphoInterface } = contract;
  const batchInterface = new Interface(own["MorphoBatch"]!.abi);
  const id = keccak256(AbiCoder.defaultAbiCoder().encode([MARKET_PARAMS], [market]));
  const call = (from: string, method: string, ...args: unknown[]): Call => ({
    from,
    to: morpho,
    data: morphoInterface.encodeFunctionData(method, [market, ...args]),
  });
  const read = async (method: string, ...args: unknown[]) =>
    morphoInterface.decodeFunctionResult(
      method,
      await chain.call(morpho, morphoInterface.encodeFunctionData(method, [id, ...args])),
    ) as unknown as bigint[];
  const borrowShares = async ({ owner }: Holder) => (await read("position", owner))[1]!;

  const owed = async (shares: bigint) => {
    const [, , totalAssets, totalShares] = await read("market");
    return (shares * totalAssets!) / totalShares!;
  };

  /** An account is closed: its debt is repaid or, where that is no longer worth it, all of its collateral is taken. */
  const target = async (holder: Holder, price: bigint) => {
    const shares = await borrowShares(holder);
    const incentive = (WAD * WAD) / (WAD - (3n * (WAD - LLTV)) / 10n);
    const worth = (COLLATERAL * price) / 10n ** 36n;
    // Interest of a minute may still come on top.
    return ((await owed(shares)) * incentive * 1_0001n) / (WAD * 10_000n) < worth
      ? { borrower: holder.owner, seizedAssets: 0n, repaidShares: shares }
      : { borrower: holder.owner, seizedAssets: COLLATERAL, repaidShares: 0n };
  };
  const oracle = new Interface(["function price() view returns (uint256)"]);

  const collateralOf = async ({ owner }: Holder) => (await read("position", owner))[2]!;
  const supply = ({ owner }: Holder, amount: bigint) => call(owner, "supplyCollateral", amount, owner, "0x");
  const withdraw = ({ owner }: Holder, amount: bigint) =>
    call(owner, "withdrawCollateral", amount, owner, owner);

  const flashInterface = new Interface(own["MorphoLeverage"]!.abi);
  const byFlash: Leverage = {
    allow: [
      approve(USER, collateral, flash),
      {
        from: USER,
        to: morpho,
        data: morphoInterface.encodeFunctionData("setAuthorization", [flash, true]),
      },
    ],
    open: ({ owner: from }, ...amounts) => [
      { from, to: flash, data: flashInterface.encodeFunctionData("open", amounts) },
    ],
    close: async (holder, borrowed) => {
      const amounts = [await borrowShares(holder), await collateralOf(holder), atMost(borrowed)];
      return [{ from: holder.owner, to: flash, data: flashInterface.encodeFunctionData("close", amounts) }];
    },
  };

  const swapInterface = SwapRouter__factory.createInterface();
  const swap = (from: string, tokenIn: string, tokenOut: string, amountIn: bigint, minOut: bigint): Call => ({
    from,
    to: exchange.router,
    data: swapInterface.encodeFunctionData("exactInputSingle", [
      {
        tokenIn,
        tokenOut,
        fee: FEE,
        recipient: from,
        deadline: 2n ** 32n - 1n,
        amountIn,
        amountOutMinimum: minOut,
        sqrtPriceLimitX96: 0n,
      },
    ]),
  });
  const byHand: Leverage = {
    by: "hand",
    allow: [collateral, debt].map((token) => approve(USER, token, exchange.router)),
    open: (holder, paid, amount, toBorrow) => {
      const calls = [supply(holder, paid)];
      let [supplied, left] = [paid, toBorrow];
      while (left > 0n) {
        const free = (inDebt(supplied) * LOOP_LTV) / 100n - (toBorrow - left);
        const borrowed = free < left ? free : left;
        left -= borrowed;
        const bought = left === 0n ? amount - supplied : atLeast(borrowed);
        supplied += bought;
        calls.push(
          call(holder.owner, "borrow", borrowed, 0n, holder.owner, holder.owner),
          swap(holder.owner, debt, collateral, borrowed, bought),
          supply(holder, bought),
        );
      }
      return calls;
    },
    close: async (holder) => {
      const calls: Call[] = [];
      let [supplied, shares] = [await collateralOf(holder), await borrowShares(holder)];
      while (shares > 0n) {
        const debtLeft = await owed(shares);
        const free = supplied - (inCollateral(debtLeft) * 100n) / LOOP_LTV;
        const needed = atMost(debtLeft);
        const sold = free < needed ? free : needed;
        const repaid = (shares * sold) / needed;
        shares -= repaid;
        supplied -= sold;
        calls.push(
          withdraw(holder, sold),
          swap(holder.owner, collateral, debt, sold, (debtLeft * sold) / needed),
          call(holder.owner, "repay", 0n, repaid, holder.owner, "0x"),
        );
      }
      return [...calls, withdraw(holder, supplied)];
    },
  };

  return {
    name: "morpho-blue",
    collateral,
    debt,
    spenders: [morpho],
    batch,
    setPrice,
    open: (holder, amount, borrowed) => [
      supply(holder, amount),
      call(holder.owner, "borrow", borrowed, 0n, holder.owner, holder.owner),
    ],
    addCollateral: (holder, amount) => [supply(holder, amount)],
    repay: ({ owner }, amount) => [call(owner, "repay", amount, 0n, owner, "0x")],
    withdraw: (holder, amount) => [withdraw(holder, amount)],
    close: async (holder) => [
      call(holder.owner, "repay", 0n, await borrowShares(holder), holder.owner, "0x"),
      withdraw(holder, await collateralOf(holder)),
    ],
    leverage: [byFlash, byHand],
    deposit: (amount) => [call(LENDER, "supply", amount, 0n, LENDER, "0x")],
    withdrawDeposit: (amount) => [call(LENDER, "withdraw", amount, 0n, LENDER, LENDER)],
    liquidate: async (holders) => {
      const price = BigInt(await chain.call(slot, oracle.encodeFunctionData("price")));
      const targets = await Promise.all(holders.map((holder) => target(holder, price)));
      const [first, ...more] = targets;
      if (first !== undefined && more.length === 0) {
        const { borrower, seizedAssets, repaidShares } = first;
        return [call(LIQUIDATOR, "liquidate", borrower, seizedAssets, repaidShares, "0x")];
      }
      const calls: Call[] = [];
      for (let i = 0; i < targets.length; i += BATCH) {
        const data = batchInterface.encodeFunctionData("liquidate", [targets.slice(i, i + BATCH)]);
        calls.push({ from: LIQUIDATOR, to: batch, data });
      }
      return calls;
    },
  };
}
