// Morpho Blue with its package's rate model, which is a mock: the deployed one costs about 9,000 more per accrual.
import { AbiCoder, Interface, keccak256 } from "ethers";

import type { Call, Chain } from "./chain.ts";
import { type Artifact, compileMorpho, deploy } from "./compile.ts";
import { COLLATERAL, type Holder, LENDER, LIQUIDATOR, type Protocol } from "./scene.ts";

const LLTV = 86n * 10n ** 16n;
const WAD = 10n ** 18n;
const MARKET_PARAMS = "tuple(address,address,address,address,uint256)";
/** Accounts that one transaction can liquidate below its gas cap. */
const BATCH = 500;

export async function deployMorpho(
  chain: Chain,
  own: Record<string, Artifact>,
  {
    collateral,
    debt,
    slot,
    setPrice,
  }: { collateral: string; debt: string; slot: string } & Pick<Protocol, "setPrice">,
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

  /** An account is closed: its debt is repaid or, where that is no longer worth it, all of its collateral is taken. */
  const target = async (holder: Holder, price: bigint) => {
    const shares = await borrowShares(holder);
    const [, , totalAssets, totalShares] = await read("market");
    const owed = (shares * totalAssets!) / totalShares!;
    const incentive = (WAD * WAD) / (WAD - (3n * (WAD - LLTV)) / 10n);
    const worth = (COLLATERAL * price) / 10n ** 36n;
    // Interest of a minute may still come on top.
    return (owed * incentive * 1_0001n) / (WAD * 10_000n) < worth
      ? { borrower: holder.owner, seizedAssets: 0n, repaidShares: shares }
      : { borrower: holder.owner, seizedAssets: COLLATERAL, repaidShares: 0n };
  };
  const oracle = new Interface(["function price() view returns (uint256)"]);

  return {
    name: "morpho-blue",
    collateral,
    debt,
    spenders: [morpho],
    batch,
    setPrice,
    open: ({ owner }, amount, borrowed) => [
      call(owner, "supplyCollateral", amount, owner, "0x"),
      call(owner, "borrow", borrowed, 0n, owner, owner),
    ],
    addCollateral: ({ owner }, amount) => [call(owner, "supplyCollateral", amount, owner, "0x")],
    repay: ({ owner }, amount) => [call(owner, "repay", amount, 0n, owner, "0x")],
    withdraw: ({ owner }, amount) => [call(owner, "withdrawCollateral", amount, owner, owner)],
    close: async (holder) => [
      call(holder.owner, "repay", 0n, await borrowShares(holder), holder.owner, "0x"),
      call(
        holder.owner,
        "withdrawCollateral",
        (await read("position", holder.owner))[2]!,
        holder.owner,
        holder.owner,
      ),
    ],
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
