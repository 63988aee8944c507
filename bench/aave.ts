// Aave v3.0 from its package's artifacts. Its pool asks the slot directly: no AaveOracle between.
import { encodeBytes32String, Interface, MaxUint256, ZeroAddress } from "ethers";

import type { Call, Chain } from "./chain.ts";
import { type Artifact, deploy, readAave } from "./compile.ts";
import { LENDER, LIQUIDATOR, type Protocol } from "./scene.ts";

const RAY = 10n ** 27n;
const percent = (value: bigint) => (value * RAY) / 100n;
const VARIABLE = 2n;
const NO_REFERRAL = 0n;
/** Accounts that one transaction can liquidate below its gas cap. */
const BATCH = 143;

export async function deployAave(
  chain: Chain,
  own: Record<string, Artifact>,
  {
    collateral,
    debt,
    slot,
    setPrice,
  }: { collateral: string; debt: string; slot: string } & Pick<Protocol, "setPrice">,
): Promise<Protocol> {
  const { signer } = chain;
  const logic: Record<string, string> = {};
  const create = async (path: string, ...args: unknown[]) => deploy(signer, readAave(path), args, logic);
  // FlashLoanLogic links BorrowLogic.
  for (const name of [
    "BorrowLogic",
    "BridgeLogic",
    "ConfiguratorLogic",
    "EModeLogic",
    "FlashLoanLogic",
    "LiquidationLogic",
    "PoolLogic",
    "SupplyLogic",
  ]) {
    logic[name] = (await create(`libraries/logic/${name}.sol/${name}.json`)).address;
  }

  const provider = await create(
    "configuration/PoolAddressesProvider.sol/PoolAddressesProvider.json",
    "bench",
    signer,
  );
  const provide = (method: string, ...args: unknown[]) => provider.contract.getFunction(method)(...args);
  await provide("setACLAdmin", signer.address);
  const acl = await create("configuration/ACLManager.sol/ACLManager.json", provider.address);
  await provide("setACLManager", acl.address);
  await acl.contract.getFunction("addPoolAdmin")(signer.address);
  await provide("setPriceOracle", slot);
  const poolImplementation = await create("pool/Pool.sol/Pool.json", provider.address);
  await provide("setPoolImpl", poolImplementation.address);
  const configuratorImplementation = await create("pool/PoolConfigurator.sol/PoolConfigurator.json");
  await provide("setPoolConfiguratorImpl", configuratorImplementation.address);
  const pool = (await provider.contract.getFunction("getPool").staticCall()) as string;
  const configurator = configuratorImplementation.contract.attach(
    (await provider.contract.getFunction("getPoolConfigurator").staticCall()) as string,
  );
  const configure = (method: string, ...args: unknown[]) => configurator.getFunction(method)(...args);

  const tokens = "tokenization";
  const aToken = await create(`${tokens}/AToken.sol/AToken.json`, pool);
  const stableDebt = await create(`${tokens}/StableDebtToken.sol/StableDebtToken.json`, pool);
  const variableDebt = await create(`${tokens}/VariableDebtToken.sol/VariableDebtToken.json`, pool);
  const strategy = await create(
    "pool/DefaultReserveInterestRateStrategy.sol/DefaultReserveInterestRateStrategy.json",
    provider.address,
    percent(90n), // optimal usage
    0n, //           base rate
    percent(4n), //  slopes of the variable rate
    percent(60n),
    percent(5n), //  slopes of the stable rate, which nobody uses
    percent(60n),
    percent(1n),
    percent(8n),
    percent(20n),
  );
  const reserve = (asset: string, symbol: string, decimals: number) => ({
    aTokenImpl: aToken.address,
    stableDebtTokenImpl: stableDebt.address,
    variableDebtTokenImpl: variableDebt.address,
    underlyingAssetDecimals: decimals,
    interestRateStrategyAddress: strategy.address,
    underlyingAsset: asset,
    treasury: signer.address,
    incentivesController: ZeroAddress,
    aTokenName: `Aave ${symbol}`,
    aTokenSymbol: `a${symbol}`,
    variableDebtTokenName: `Aave variable debt ${symbol}`,
    variableDebtTokenSymbol: `v${symbol}`,
    stableDebtTokenName: `Aave stable debt ${symbol}`,
    stableDebtTokenSymbol: `s${symbol}`,
    params: encodeBytes32String(""),
  });
  await configure("initReserves", [reserve(collateral, "COL", 18), reserve(debt, "DEBT", 6)]);
  await configure("configureReserveAsCollateral", collateral, 8_200n, 8_600n, 10_500n);
  await configure("setReserveBorrowing", debt, true);
  await configure("setReserveFactor", debt, 1_000n);
  const { address: batch } = await deploy(signer, own["AaveBatch"], [pool, collateral, debt]);

  const { interface: poolInterface } = poolImplementation.contract;
  const batchInterface = new Interface(own["AaveBatch"]!.abi);
  const call = (from: string, method: string, ...args: unknown[]): Call => ({
    from,
    to: pool,
    data: poolInterface.encodeFunctionData(method, args),
  });
  return {
    name: "aave-v3",
    collateral,
    debt,
    spenders: [pool],
    batch,
    setPrice,
    open: ({ owner }, amount, borrowed) => [
      call(owner, "supply", collateral, amount, owner, NO_REFERRAL),
      call(owner, "borrow", debt, borrowed, VARIABLE, NO_REFERRAL, owner),
    ],
    addCollateral: ({ owner }, amount) => [call(owner, "supply", collateral, amount, owner, NO_REFERRAL)],
    repay: ({ owner }, amount) => [call(owner, "repay", debt, amount, VARIABLE, owner)],
    withdraw: ({ owner }, amount) => [call(owner, "withdraw", collateral, amount, owner)],
    close: async ({ owner }) => [
      call(owner, "repay", debt, MaxUint256, VARIABLE, owner),
      call(owner, "withdraw", collateral, MaxUint256, owner),
    ],
    leverage: [],
    deposit: (amount) => [call(LENDER, "supply", debt, amount, LENDER, NO_REFERRAL)],
    withdrawDeposit: (amount) => [call(LENDER, "withdraw", debt, amount, LENDER)],
    liquidate: async (holders) => {
      const [first, ...more] = holders;
      if (first !== undefined && more.length === 0) {
        return [call(LIQUIDATOR, "liquidationCall", collateral, debt, first.owner, MaxUint256, false)];
      }
      const calls: Call[] = [];
      for (let i = 0; i < holders.length; i += BATCH) {
        const users = holders.slice(i, i + BATCH).map(({ owner }) => owner);
        calls.push({
          from: LIQUIDATOR,
          to: batch,
          data: batchInterface.encodeFunctionData("liquidate", [users]),
        });
      }
      return calls;
    },
  };
}
