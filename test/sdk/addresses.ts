import { expect } from "chai";

import { contractAddress, parseAddresses } from "@breakwater/sdk/addresses";

const A = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

const valid = () => ({
  chainId: 31337,
  startBlock: 0,
  contracts: { Lens: A },
  safes: { pauser: A, governor: A },
  markets: [
    {
      id: "weth-usdc",
      vault: A,
      collateral: A,
      debt: A,
      oracle: A,
      decimals: { collateral: 18, debt: 6 },
      spacing: 25,
    },
  ],
  tokens: { WETH: A },
});

describe("SDK addresses", () => {
  it("takes what a deployment writes, and leaves other sections alone", () => {
    const { tokens: _, ...expected } = valid();
    expect(parseAddresses(valid())).to.deep.equal(expected);
    expect(contractAddress(parseAddresses(valid()), "Lens")).to.equal(A);
  });

  const wrong: [string, (file: ReturnType<typeof valid>) => unknown, string][] = [
    ["no object", () => 7, "the file must be an object, but is 7"],
    ["no markets", ({ markets: _, ...rest }) => rest, "markets must be a list, but is missing"],
    [
      "a bad chain",
      (f) => ({ ...f, chainId: "1" }),
      'chainId must be a whole number, not negative, but is "1"',
    ],
    [
      "a bad contract",
      (f) => ({ ...f, contracts: { Lens: "0x12" } }),
      'contracts.Lens must be an address, but is "0x12"',
    ],
    [
      "a missing Safe",
      (f) => ({ ...f, safes: { pauser: A } }),
      "safes.governor must be an address, but is missing",
    ],
    [
      "a bad market",
      (f) => ({ ...f, markets: [{ ...f.markets[0], decimals: { collateral: 18, debt: -1 } }] }),
      "markets[0].decimals.debt must be a whole number, not negative, but is -1",
    ],
    [
      "a bad checksum",
      (f) => ({ ...f, contracts: { Lens: A.replace("F", "f") } }),
      "contracts.Lens must be an address",
    ],
  ];
  for (const [name, change, message] of wrong) {
    it(`names the offending key: ${name}`, () => {
      expect(() => void parseAddresses(change(valid()))).to.throw(message);
    });
  }

  it("names a contract that the deployment does not have", () => {
    expect(() => contractAddress(parseAddresses(valid()), "Liquidator")).to.throw(
      "contracts.Liquidator must be an address, but is missing",
    );
  });
});
