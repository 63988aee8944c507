import type { ContractRunner, Provider } from "ethers";

import { type Addresses, type MarketAddresses, contractAddress } from "../addresses.ts";
import {
  AccountRecovery__factory,
  EmergencyBrake__factory,
  FlashLiquidator__factory,
  InsuranceFund__factory,
  Lens__factory,
  LeverageRouter__factory,
  Liquidator__factory,
  OracleAdapter__factory,
  ProtectionOrders__factory,
  QuoterV2__factory,
  SwapRouter__factory,
  UniswapV3Factory__factory,
  Vault__factory,
} from "../types/index.ts";

/** The typed contracts of a deployment; `runner` is a provider, or a signer to write. */
export function connect(addresses: Addresses, runner: ContractRunner) {
  const at = (name: string) => contractAddress(addresses, name);
  return {
    addresses,
    lens: Lens__factory.connect(at("Lens"), runner),
    liquidator: Liquidator__factory.connect(at("Liquidator"), runner),
    flashLiquidator: FlashLiquidator__factory.connect(at("FlashLiquidator"), runner),
    leverageRouter: LeverageRouter__factory.connect(at("LeverageRouter"), runner),
    protectionOrders: ProtectionOrders__factory.connect(at("ProtectionOrders"), runner),
    brake: EmergencyBrake__factory.connect(at("EmergencyBrake"), runner),
    recovery: AccountRecovery__factory.connect(at("AccountRecovery"), runner),
    insurance: InsuranceFund__factory.connect(at("InsuranceFund"), runner),
    quoter: QuoterV2__factory.connect(at("QuoterV2"), runner),
    router: SwapRouter__factory.connect(at("SwapRouter"), runner),
    factory: UniswapV3Factory__factory.connect(at("UniswapV3Factory"), runner),
    vault: ({ vault }: Pick<MarketAddresses, "vault">) => Vault__factory.connect(vault, runner),
    oracle: ({ oracle }: Pick<MarketAddresses, "oracle">) => OracleAdapter__factory.connect(oracle, runner),
  };
}

export type Contracts = ReturnType<typeof connect>;

export function providerOf({ lens }: Contracts): Provider {
  const provider = lens.runner?.provider;
  if (!provider) throw new TypeError("connect the contracts to a provider or a signer");
  return provider;
}
