// Every market now: price, rates, what is left to borrow, and what leverage it allows.
import { YEAR, formatAmount, formatPercent, formatPrice, maxLeverage } from "@breakwater/sdk/core";

import { markets, provider } from "./setup.js";

for (const { addresses, symbols, view, priceState } of markets) {
  const cash = formatAmount(view.cash, addresses.decimals.debt, 2);
  console.log(
    `${addresses.id}: ${formatPrice(view.price.low, 6)} ${symbols.debt} per ${symbols.collateral} (${priceState}), ` +
      `borrowing costs ${formatPercent(view.borrowRate * YEAR)} a year, ${cash} ${symbols.debt} left to borrow, ` +
      `leverage up to ${formatAmount(maxLeverage(view.maxLtvNow), 18, 2)}`,
  );
}
provider.destroy();
