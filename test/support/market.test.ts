import { expect } from "chai";
import { network } from "hardhat";

import { deployMarket, MIN_INT256 } from "./market.ts";

describe("the market fixture", () => {
  it("opens a market in which one can lend, borrow and leave", async () => {
    const connection = await network.create();
    const market = await deployMarket(connection);
    const { vault } = market;
    const [lender, borrower] = [market.signer(1), market.signer(2)];
    await market.fund(lender, { debt: 10n ** 12n });
    await market.fund(borrower, { collateral: 10n ** 18n, debt: 10n ** 9n });

    await vault.connect(lender).deposit(10n ** 12n, lender);
    await vault.connect(borrower).adjust(borrower, 0, 10n ** 18n, 2_000n * 10n ** 6n, borrower, "0x");
    expect(await market.debt.balanceOf(borrower)).to.equal(3_000n * 10n ** 6n);
    await vault.connect(borrower).adjust(borrower, 0, MIN_INT256, -(10n ** 10n), borrower, "0x");
    // What stands behind a debt is rounded down when it leaves.
    expect(await market.collateral.balanceOf(borrower)).to.be.within(10n ** 18n - 1n, 10n ** 18n);
  });
});
