import { expect } from "chai";
import { network } from "hardhat";

import { deployLocal } from "../../deploy/local.ts";
import { STATE } from "../support/market.ts";

/** Q128.128 → billionths. */
const nano = (price: bigint) => (price * 10n ** 9n) >> 128n;

describe("deployLocal", () => {
  it("opens the demonstration markets at Fresh prices, in seconds", async () => {
    const connection = await network.create();
    const started = performance.now();
    const local = await deployLocal(connection);
    expect(performance.now() - started).to.be.below(15_000);

    const expected = { "weth-usdc": 2_000_000000000n, "usdc-weth": 500000n, "wbtc-usdc": 40_000_000000000n };
    expect(Object.keys(local.markets)).to.deep.equal(Object.keys(expected));
    for (const [id, price] of Object.entries(expected)) {
      const { low, high, state } = await local.markets[id]!.oracle.read();
      expect(state).to.equal(STATE.Fresh);
      expect(nano(low)).to.be.closeTo(price, price / 5_000n);
      expect(nano(high)).to.be.closeTo(price, price / 5_000n);
      expect(await local.markets[id]!.vault.LIQUIDATOR()).to.equal(local.addresses.contracts["Liquidator"]);
    }
    expect([...(await local.contracts.brake.markets())]).to.have.members(
      local.addresses.markets.map(({ vault }) => vault),
    );
  });

  it("starts at other prices when told to", async () => {
    const local = await deployLocal(await network.create(), { prices: { "ETH/USD": "194.5" } });
    const { low, state } = await local.markets["weth-usdc"]!.oracle.read();
    expect(state).to.equal(STATE.Fresh);
    expect(nano(low)).to.be.closeTo(194_500000000n, 50000000n);
  });

  it("gives the pool a finite depth", async () => {
    const local = await deployLocal(await network.create());
    const { quoter } = local.contracts;
    const quote = (weth: bigint) =>
      quoter.quoteExactInputSingle.staticCall({
        tokenIn: local.tokens["WETH"]!,
        tokenOut: local.tokens["USDC"]!,
        amountIn: weth * 10n ** 18n,
        fee: 500,
        sqrtPriceLimitX96: 0,
      });
    const { amountOut: small } = await quote(1n);
    expect(small).to.be.closeTo(2_000_000000n, 3_000000n);
    const { amountOut: large } = await quote(1_000n);
    // Two million dollars of WETH move a pool of 25 million by several percent.
    expect(large / 1_000n).to.be.within(1_850_000000n, 1_980_000000n);
  });

  it("moves a price with one call", async () => {
    const local = await deployLocal(await network.create());
    await local.setPrice("ETH/USD", "1999.5");
    const { low } = await local.markets["weth-usdc"]!.oracle.read();
    expect(nano(low)).to.be.closeTo(1_999_500000000n, 10);
  });
});
