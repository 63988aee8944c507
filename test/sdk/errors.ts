import { expect } from "chai";
import { Interface, type InterfaceAbi } from "ethers";

import { IVaultAbi, LeverageRouterAbi, LiquidatorAbi, ProtectionOrdersAbi } from "@breakwater/sdk/abi";
import { explainRevert, revertData } from "@breakwater/sdk/chain";

const encode = (abi: InterfaceAbi, name: string, args: unknown[]) =>
  new Interface(abi).encodeErrorResult(name, args);

describe("SDK errors", () => {
  const vault = IVaultAbi;

  it("says why there is nothing to liquidate, with the numbers", () => {
    const data = encode(vault, "NothingToLiquidate", [2_990, 3_010, 5_000_000n, 0n]);
    expect(explainRevert({ data })).to.deep.equal({
      name: "NothingToLiquidate",
      args: { topTick: 2_990n, triggerTick: 3_010n, maxRepay: 5_000_000n, potDebt: 0n },
      words:
        "nothing to liquidate: highest populated tick at most 2990, trigger tick 3010, budget 5000000, " +
        "seized debt for sale 0.000000 [NothingToLiquidate]",
    });
  });

  it("names levels, states and times", () => {
    const paused = encode(vault, "LiquidationsPaused", [3, 1_800_000_000n]);
    expect(explainRevert({ data: paused }).words).to.equal(
      "liquidations wait (liquidations paused) until 2027-01-15T08:00:00Z [LiquidationsPaused]",
    );
    const notFresh = encode(vault, "PriceNotFresh", [2]);
    expect(explainRevert({ data: notFresh }).words).to.contain("the price is diverged");
    const ltv = encode(vault, "LtvTooHigh", [830_000_000_000_000_000n, 820_000_000_000_000_000n]);
    expect(explainRevert({ data: ltv }).words).to.equal(
      "the LTV of 83.00 % would be above 82.00 % [LtvTooHigh]",
    );
  });

  it("says why a trade did not go through", () => {
    const token = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
    for (const [name, args, words] of [
      [
        "SlippageExceeded",
        [19n, 20n],
        "the swap would come to 19 token units, beyond the limit of 20: the price has moved",
      ],
      [
        "InsufficientPayment",
        [token, 1n, 2n],
        `the swap leaves 1 units of ${token}, and the position needs 2: quote again`,
      ],
      [
        "PermitExpired",
        [1_800_000_000n, 1_800_000_001n],
        "the permit's deadline 2027-01-15T08:00:00Z is past (block time 2027-01-15T08:00:01Z): sign another",
      ],
    ] as const) {
      expect(explainRevert({ data: encode(LeverageRouterAbi, name, [...args]) }).words).to.equal(
        `${words} [${name}]`,
      );
    }
  });

  it("says why an order is not executed", () => {
    const wad = 10n ** 16n;
    for (const [name, args, words] of [
      ["NotTriggered", [69n * wad, 74n * wad], "it waits for an LTV of 74.00 %: now an LTV of 69.00 %"],
      [
        "NotTriggered",
        [2n ** 128n / 2_000n, 2n ** 128n / 2_100n],
        "it waits for a price of 1 / 2,100.00: now a price of 1 / 2,000.00",
      ],
      [
        "NotTriggered",
        [2_000n << 128n, 1_800n << 128n],
        "it waits for a price of 1,800.00: now a price of 2,000.00",
      ],
      ["InvalidOrder", ["only a sale closes"], "no such order: only a sale closes"],
      ["PriceUntrusted", [2], "this order is not executed on a price that is diverged"],
      [
        "WouldMakeWorse",
        [6_000n, 59n * wad],
        "it would not lower the LTV: 59.00 %, and the target is 60.00 %",
      ],
    ] as const) {
      expect(explainRevert({ data: encode(ProtectionOrdersAbi, name, [...args]) }).words).to.equal(
        `${words} [${name}]`,
      );
    }
  });

  it("spells out errors that have no sentence of their own", () => {
    const market = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
    const unknown = encode(LiquidatorAbi, "UnknownMarket", [market]);
    expect(explainRevert({ data: unknown }).words).to.equal(
      `unknown market: market ${market} [UnknownMarket]`,
    );
    expect(explainRevert({ data: encode(vault, "ZeroAmount", []) }).words).to.equal(
      "zero amount [ZeroAmount]",
    );
  });

  it("knows every error of ours", () => {
    const fragments = [vault, LeverageRouterAbi, ProtectionOrdersAbi].flatMap((abi) => [
      ...new Interface(abi as InterfaceAbi).fragments.map((fragment) => ({ fragment, abi })),
    ]);
    for (const { fragment, abi } of fragments) {
      if (fragment.type !== "error") continue;
      const { name, inputs } = fragment as unknown as { name: string; inputs: { type: string }[] };
      const args = inputs.map(({ type }) =>
        type === "address"
          ? "0x5FbDB2315678afecb367f032d93F642f64180aa3"
          : type === "string"
            ? "rule"
            : type === "bytes"
              ? "0x"
              : 1,
      );
      const { words } = explainRevert({ data: encode(abi, name, args) });
      expect(words).to.match(new RegExp(`\\[${name}\\]$`));
      expect(words).not.to.contain("undefined");
    }
  });

  it("reads texts and panics", () => {
    const errors = new Interface(["error Error(string)", "error Panic(uint256)"]);
    const text = errors.encodeErrorResult("Error", ["Too little received"]);
    expect(explainRevert({ data: text }).words).to.equal("Too little received");
    expect(explainRevert({ data: errors.encodeErrorResult("Panic", [0x11]) }).words).to.equal("panic 17");
  });

  it("finds the data wherever ethers, Hardhat or a node put it", () => {
    const data = encode(vault, "PriceDead", []);
    expect(revertData({ info: { error: { data: { data } } } })).to.equal(data);
    expect(revertData(new Error("x", { cause: { error: { data } } }))).to.equal(data);
    expect(revertData({ data: "0x" })).to.equal(undefined);
    expect(explainRevert(new Error("connection lost")).words).to.equal("connection lost");
    expect(explainRevert({ data: "0x12345678" }).words).to.equal("reverted with 0x12345678");
  });
});
