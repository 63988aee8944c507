// What owners, keepers and screens use; nothing depends on it.
import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";

import type { protocolModule } from "./Protocol.ts";
import type { uniswapModule } from "./Uniswap.ts";

export function peripheryModule(
  protocol: ReturnType<typeof protocolModule>,
  uniswap: ReturnType<typeof uniswapModule>,
  weth: string,
) {
  return buildModule("Periphery", (m) => {
    const { Liquidator: liquidator } = m.useModule(protocol);
    const { SwapRouter: router } = m.useModule(uniswap);
    const leverageRouter = m.contract("LeverageRouter", [router, weth]);
    return {
      Lens: m.contract("Lens"),
      AccountRecovery: m.contract("AccountRecovery"),
      FlashLiquidator: m.contract("FlashLiquidator", [liquidator, router]),
      LeverageRouter: leverageRouter,
      ProtectionOrders: m.contract("ProtectionOrders", [leverageRouter]),
    };
  });
}
